/* SPDX-License-Identifier: MIT */
/*
 * lib/file/plan.c - decisions, names and dialects before anything is written
 *
 * One foreign dialect per output: if a single one can hold every quantized weight, and
 * one quantization_config tells the truth about all of them, the output is written in
 * it; otherwise all quantized weights go out in our own dialect.  A file half in one and
 * half in another would be read wrongly by everybody else.
 */
#include <stdio.h>
#include <stdlib.h>

#ifdef LQI_HAVE_JSON
#include <jansson.h>
#endif

#include "lib/file/dialect/dialect.h"

static lq_status nomem(lqi_plan *plan)
{
    return lqi_fail(plan->error, LQ_ERR_NOMEM, NULL, "no memory for a plan");
}

/* ---------------------------------------------------------------- decisions */

/* The model's output matrix is its embedding. */
static int is_tied(const lq_checkpoint *cp)
{
    for (uint64_t i = 0; i < cp->count; i++)
        if (lqi_name_is_output(cp->weights[i].name))
            return 0;
    return 1;
}

static const char *reason_or(const lq_choice *choice, const char *text)
{
    return *choice->reason ? choice->reason : text;
}

static lq_status check_choice(lqi_plan *plan, const lq_weight *w, lq_choice *choice,
                              lqi_job *job)
{
    lqi_where where = { plan->in, w->name, LQ_NO_OFFSET };
    char text[LQ_SPEC_TEXT] = "";
    lq_status st;

    if (choice->action != LQ_KEEP && choice->action != LQ_ENCODE)
        return lqi_fail(plan->error, LQ_ERR_ARG, &where, "unknown action %d",
                        (int)choice->action);
    if (choice->action == LQ_KEEP)
        return LQ_OK;
    if (!w->spec)
        return lqi_fail(plan->error, LQ_ERR_UNSUPPORTED, &where,
                        "not numbers that can be decoded");
    st = lq_spec_complete(&choice->spec, plan->error);
    if (st)
        return st;
    if (lq_spec_equal(w->spec, &choice->spec)) {
        choice->action = LQ_KEEP;
        choice->reason = reason_or(choice, "already in this format");
        return LQ_OK;
    }
    if (lqi_spec_plain(w->spec) || lqi_spec_plain(&choice->spec))
        return LQ_OK;
    st = lqi_recode_check(plan, job->weight, &choice->spec, &job->recode);
    if (st)
        return st;
    choice->reason = reason_or(choice, job->recode ? "the same codes"
                                                   : "decoded and encoded again");
    if (!job->recode && !plan->opts->allow_requantize) {
        lq_spec_print(w->spec, text, sizeof text);
        return lqi_fail(plan->error, LQ_ERR_ARG, &where, "already quantized (%s); encoding "
                        "it again adds errors and must be allowed", text);
    }
    return LQ_OK;
}

typedef struct words {      /* room for a reason */
    char text[192];
} words;

static lq_status choose(lqi_plan *plan, const lq_weight *w, const lqi_choose *rule,
                        lqi_job *job, lq_choice *choice, words *reason)
{
    const lq_convert_opts *o = plan->opts;
    lq_status st = lqi_choose_weight(rule, w, choice);

    choice->tail = o->tail;
    if (plan->mix && choice->action == LQ_ENCODE && !lqi_spec_plain(&choice->spec))
        st = lqi_mix_choose(plan, job->weight, w, choice, reason->text, sizeof reason->text);
    if (st)
        return st;
    if (o->dequantize && w->spec && !lqi_spec_plain(w->spec)) {
        choice->action = LQ_ENCODE;
        choice->spec = *rule->spec;
        choice->reason = "";
    } else if (o->dequantize && plan->container != LQ_CONTAINER_GGUF) {
        choice->action = LQ_KEEP;
    }
    if (!st && o->choose)
        st = o->choose(o->user, w, choice);
    if (st)
        return lqi_fail(plan->error, st, NULL, "the choice for '%s' was refused", w->name);
    if (!choice->reason)
        choice->reason = "";
    st = check_choice(plan, w, choice, job);
    return st ? st : lqi_choose_tail(w, plan->container, o->tail_spec, choice, reason->text,
                                     sizeof reason->text, plan->error);
}

/* --------------------------------------------------------------------- jobs */

static lq_status plane_sizes(lqi_plan *plan, lqi_out *out)
{
    lqi_where where = { plan->in, out->name, LQ_NO_OFFSET };

    for (int p = 0; p < LQ_PLANES; p++) {
        lq_status st = lq_plane_bytes(&out->spec, p, &out->shape, &out->bytes[p]);
        if (st)
            return lqi_fail(plan->error, st, &where, "%s", lq_status_text(st));
        out->tensor[p] = LQI_NONE;
    }
    return LQ_OK;
}

static lq_status name_job(lqi_plan *plan, const lqi_weight *w, lqi_job *job)
{
    job->out.name = w->name;
#ifdef LQI_HAVE_JSON
    if (plan->llama) {
        char *name = NULL;
        lq_status st = lqi_llama_name(plan, w->name, &name, &job->heads);
        if (st)
            return st;
        if (name)
            job->out.name = name;
        if (job->heads && (w->n_dims != 2 || w->shape.rows % (2 * (uint64_t)job->heads))) {
            lqi_where where = { plan->in, w->name, LQ_NO_OFFSET };
            return lqi_fail(plan->error, LQ_ERR_MISMATCH, &where, "%llu rows do not divide "
                            "into %u heads of even size", (unsigned long long)w->shape.rows,
                            job->heads);
        }
    }
#else
    (void)plan;
#endif
    return LQ_OK;
}

static void fill_out(lqi_plan *plan, const lqi_weight *w, lqi_job *job)
{
    lqi_out *out = &job->out;

    out->ctx = plan->ctx;
    out->error = plan->error;
    out->dtype = w->dtype;
    out->n_dims = w->n_dims;
    memcpy(out->dims, w->dims, sizeof out->dims);
    out->shape = w->shape;
    out->main = LQI_NONE;
    for (int p = 0; p < LQ_PLANES; p++)
        out->tensor[p] = LQI_NONE;
}

/* The choice's reason, and the reader's note. */
static lq_status explain(lqi_plan *plan, const lqi_weight *w, const char *reason, lqi_job *job)
{
    const char *note = w->note ? w->note : "";
    size_t n = strlen(reason) + strlen(note) + 3;

    job->reason = lqi_arena_alloc(&plan->arena, n);
    if (!job->reason)
        return nomem(plan);
    snprintf(job->reason, n, "%s%s%s", reason, *reason && *note ? "; " : "", note);
    return LQ_OK;
}

static lq_status plan_weight(lqi_plan *plan, uint64_t index, const lqi_choose *rule,
                             lqi_job *job)
{
    const lqi_weight *w = &plan->cp->weights[index];
    words reason;
    lq_choice choice = { .struct_size = sizeof choice, .reason = "" };
    lq_weight description;
    lq_status st;

    memset(job, 0, sizeof *job);
    job->weight = index;
    job->raw = w->spec.format ? LQI_NONE : w->first;
    job->raw_out = LQI_NONE;
    lq_spec_init(&choice.spec);
    lqi_weight_describe(w, &description);
    fill_out(plan, w, job);
    st = name_job(plan, w, job);
    if (!st)
        st = choose(plan, &description, rule, job, &choice, &reason);
    if (st)
        return st;
    job->action = choice.action;
    st = explain(plan, w, choice.reason, job);
    if (st)
        return st;
    if (job->raw != LQI_NONE)
        return LQ_OK;
    job->out.spec = choice.action == LQ_ENCODE ? choice.spec : w->spec;
    if (job->heads && lqi_spec_plain(&w->spec))
        job->action = LQ_ENCODE;        /* rows change places: decode and encode them */
    return plane_sizes(plan, &job->out);
}

/* Tensors that llama.cpp wants and the source does not have. */
static lq_status plan_made(lqi_plan *plan)
{
#ifdef LQI_HAVE_JSON
    lqi_job *job = &plan->jobs[plan->count];
    lq_status st = LQ_OK;

    if (!plan->llama)
        return LQ_OK;
    memset(job, 0, sizeof *job);
    job->weight = job->raw = job->raw_out = LQI_NONE;
    job->out.ctx = plan->ctx;
    job->out.error = plan->error;
    st = lqi_rope_job(plan, job);
    if (st || !job->made)
        return st;
    plan->count++;
    job->out.dtype = LQ_F32;
    lq_spec_init(&job->out.spec);
    job->out.spec.format = LQ_FORMAT_F32;
    st = lq_spec_complete(&job->out.spec, plan->error);
    if (!st)
        st = lqi_shape_of(job->out.n_dims, job->out.dims, &job->out.shape);
    return st ? st : plane_sizes(plan, &job->out);
#else
    (void)plan;
    return LQ_OK;
#endif
}

/* --------------------------------------------------------------------- order */

long long lqi_block_of(const char *name)
{
    long long n = 0;

    if (strncmp(name, "blk.", 4) || name[4] < '0' || name[4] > '9')
        return -1;
    for (name += 4; *name >= '0' && *name <= '9' && n < 1000000000; name++)
        n = 10 * n + (*name - '0');
    return n;
}

/* Order of llama-quantize's output: by block, then by name. */
static int by_block(const void *a, const void *b)
{
    const lqi_job *x = a, *y = b;
    long long m = lqi_block_of(x->out.name), n = lqi_block_of(y->out.name);

    return m != n ? (m < n ? -1 : 1) : strcmp(x->out.name, y->out.name);
}

/* ------------------------------------------------------------------ dialects */

static int job_quantized(const lqi_job *job)
{
    return job->raw == LQI_NONE && !lqi_spec_plain(&job->out.spec);
}

static lq_status refuse_container(lqi_plan *plan, const lqi_job *job)
{
    lqi_where where = { plan->out, job->out.name, LQ_NO_OFFSET };
    char text[LQ_SPEC_TEXT] = "", list[200] = "";
    size_t n = 0;

    lq_spec_print(&job->out.spec, text, sizeof text);
    for (int i = 0; i < LQI_FORMATS && n < sizeof list; i++)
        if (lqi_formats[i]->gguf >= 0)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? " " : "",
                                  lqi_formats[i]->name);
    return lqi_fail(plan->error, LQ_ERR_UNSUPPORTED, &where, "gguf cannot hold %s; "
                    "safetensors files and directories can; gguf holds %s", text, list);
}

#ifdef LQI_HAVE_JSON
static int holds_all(const lqi_plan *plan, const lqi_dialect *d)
{
    for (uint64_t i = 0; i < plan->count; i++)
        if (job_quantized(&plan->jobs[i]) && !d->can_hold(&plan->jobs[i].out))
            return 0;
    return 1;
}

/* The dialect that the caller asks for. */
static lq_status asked_dialect(lqi_plan *plan)
{
    const char *name = plan->opts->dialect;
    int known = !strcmp(name, lqi_dialect_lq.name), any = 0;

    for (uint64_t i = 0; i < plan->count; i++)
        any |= job_quantized(&plan->jobs[i]);
    for (const lqi_dialect *const *d = lqi_dialects; *d; d++) {
        struct json_t *config;
        if (!(*d)->config || strcmp((*d)->name, name) ||
            !((*d)->containers & 1u << plan->container))
            continue;
        known = 1;
        if (!any || !holds_all(plan, *d))
            continue;
        config = (*d)->config(plan);
        json_decref(config);
        if (!config)
            continue;
        plan->foreign = *d;
        return LQ_OK;
    }
    if (!known)
        return lqi_fail(plan->error, LQ_ERR_NOTFOUND, NULL, "no dialect of this container has "
                        "the name '%s'", name);
    if (!any || !strcmp(name, lqi_dialect_lq.name))
        return LQ_OK;
    return lqi_fail(plan->error, LQ_ERR_UNSUPPORTED, NULL, "the dialect %s cannot hold every "
                    "quantized weight of this model", name);
}

/* The one foreign dialect for all quantized weights, or NULL. */
static const lqi_dialect *common_dialect(lqi_plan *plan)
{
    const lqi_dialect *common = NULL;
    struct json_t *config;

    for (uint64_t i = 0; i < plan->count; i++) {
        const lqi_dialect *d;
        if (!job_quantized(&plan->jobs[i]))
            continue;
        d = lqi_dialect_for(&plan->jobs[i].out, plan->container, 1);
        if (!d || !d->config || (common && d != common))
            return NULL;
        common = d;
    }
    if (!common)
        return NULL;
    config = common->config(plan);
    json_decref(config);
    return config ? common : NULL;
}
#endif

static lq_status assign_dialects(lqi_plan *plan)
{
#ifdef LQI_HAVE_JSON
    lq_status st = plan->opts->dialect ? asked_dialect(plan) : LQ_OK;

    if (st)
        return st;
    if (!plan->opts->dialect)
        plan->foreign = common_dialect(plan);
#endif
    for (uint64_t i = 0; i < plan->count; i++) {
        lqi_job *job = &plan->jobs[i];
        if (job->raw != LQI_NONE)
            continue;
        job->out.dialect = job_quantized(job) && plan->foreign
                               ? plan->foreign
                               : lqi_dialect_for(&job->out, plan->container, 0);
        if (!job->out.dialect)
            return refuse_container(plan, job);
    }
    return LQ_OK;
}

/* ---------------------------------------------------------------------- plan */

lq_status lqi_plan_make(lqi_plan *plan)
{
    lqi_choose rule = { plan->container, plan->opts->spec, is_tied(plan->cp) };
    uint64_t n = plan->cp->count, bytes;
    lq_status st = LQ_OK;

    if (lqi_mul(n + 1, sizeof *plan->jobs, &bytes))
        plan->jobs = lqi_alloc_zero(lqi_ctx_allocator(plan->ctx), bytes);
    if (!plan->jobs)
        return nomem(plan);
    if (plan->opts->mix)
        st = lqi_mix_open(plan, !rule.tied);
    for (uint64_t i = 0; i < n && !st; i++) {
        lqi_job *job = &plan->jobs[plan->count];
        st = plan_weight(plan, i, &rule, job);
        if (!*job->out.name)
            continue;                   /* hf_gguf.c: nobody wants this tensor */
        plan->count++;
        plan->work += plan->cp->weights[i].bytes;
    }
    if (!st && plan->mix)
        st = lqi_mix_missing(plan);
    if (!st)
        st = plan_made(plan);
    if (!st && plan->container == LQ_CONTAINER_GGUF && plan->count)
        qsort(plan->jobs, (size_t)plan->count, sizeof *plan->jobs, by_block);
    return st ? st : assign_dialects(plan);
}

void lqi_plan_free(lqi_plan *plan)
{
    lqi_mix_close(plan);
    lqi_free(lqi_ctx_allocator(plan->ctx), plan->jobs);
    lqi_arena_free(&plan->arena);
#ifdef LQI_HAVE_JSON
    json_decref(plan->config);
#endif
}
