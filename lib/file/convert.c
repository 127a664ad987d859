/* SPDX-License-Identifier: MIT */
/*
 * lib/file/convert.c - lq_convert(): a whole checkpoint into another
 *
 * Memory: the plan, the headers, two strips of at most LQI_STRIP_BYTES, and the planes of
 * one weight where its source, its dialect (GPTQ) or the measurement needs them whole.
 */
#include <sys/stat.h>

#include "lib/core/core.h"
#include "lib/file/dialect/dialect.h"

/* ------------------------------------------------------------------ arguments */

static int ends(const char *text, const char *suffix)
{
    size_t n = strlen(text), s = strlen(suffix);

    return n > s && !strcmp(text + n - s, suffix);
}

static lq_container container_of(const char *path)
{
    if (ends(path, ".gguf"))
        return LQ_CONTAINER_GGUF;
    return ends(path, ".safetensors") ? LQ_CONTAINER_SAFETENSORS : LQ_CONTAINER_DIRECTORY;
}

static int same_file(const char *a, const char *b)
{
    struct stat x, y;

    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A mix names the spec of most tensors. */
static lq_status mix_spec(const lq_convert_opts *o, lq_spec *target, lq_error *error)
{
    lq_status st = lq_mix_spec(o->mix, target);

    if (st == LQ_ERR_NOTFOUND)
        return lqi_fail(error, st, NULL, "no mix has the name '%s'", o->mix);
    if (st)
        return lqi_fail(error, st, NULL, "the mix %s needs a type that this build does not "
                        "have", o->mix);
    return o->dequantize ? lqi_fail(error, LQ_ERR_ARG, NULL, "a mix does not dequantize")
                         : LQ_OK;
}

/* The copies of the caller's specs that the options point to from here on. */
typedef struct targets {
    lq_spec main, tail;
} targets;

static lq_status check_opts(lq_convert_opts *o, targets *t, lq_error *error)
{
    lq_status st = LQ_ERR_ARG;

    if (o->mix && (st = mix_spec(o, &t->main, error)))
        return st;
    if (!o->mix && o->spec)
        st = lqi_opts_read(&t->main, sizeof t->main, o->spec);
    o->spec = &t->main;
    if (!st)
        st = lq_spec_complete(&t->main, error);
    if (!st && o->tail_spec) {
        st = lqi_opts_read(&t->tail, sizeof t->tail, o->tail_spec);
        if (!st)
            st = lq_spec_complete(&t->tail, error);
        o->tail_spec = &t->tail;
    }
    if (st)
        return lqi_fail(error, st, NULL, "the target's spec: %s", lq_status_text(st));
    if (o->nonfinite < LQ_NONFINITE_ERROR || o->nonfinite > LQ_NONFINITE_PROPAGATE ||
        o->tail < LQ_TAIL_ERROR || o->tail > LQ_TAIL_SPEC || o->search < 0 ||
        o->search > LQ_SEARCH_BEST ||
        (o->container && !lq_container_name(o->container)))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an option is out of range");
    if (o->dequantize && !lqi_spec_plain(o->spec))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "dequantizing needs f32, f16 or bf16");
    return LQ_OK;
}

/* -------------------------------------------------------------------- reports */

static void report(const lqi_plan *plan, uint64_t index, const double sums[2],
                   const lq_writer *writer)
{
    const lqi_job *job = &plan->jobs[index];
    const lqi_weight *w = job->made ? NULL : &plan->cp->weights[job->weight];
    char from[LQ_SPEC_TEXT] = "", to[LQ_SPEC_TEXT] = "";
    uint64_t main = job->raw != LQI_NONE ? job->raw_out : job->out.main;
    lq_convert_report r = { .struct_size = sizeof r, .index = index, .count = plan->count };

    if (!plan->opts->report)
        return;
    if (job->raw == LQI_NONE) {
        lq_spec_print(w ? &w->spec : &job->out.spec, from, sizeof from);
        lq_spec_print(&job->out.spec, to, sizeof to);
    }
    r.name = job->out.name;
    r.from = from;
    r.to = to;
    r.reason = job->reason;
    r.shape = job->out.shape;
    r.bytes_in = r.bytes_out = w ? w->bytes : 0;
    if (job->raw == LQI_NONE)
        lq_spec_bytes(&job->out.spec, &job->out.shape, &r.bytes_out);
    r.sum_sq = sums[0];
    r.sum_err_sq = sums[1];
    if (writer && main != LQI_NONE)
        memcpy(r.xxh3, writer->tensors[main].xxh3, sizeof r.xxh3);
    plan->opts->report(plan->opts->user, &r);
}

/* -------------------------------------------------------------------- writing */

static lq_status declare_raw(lqi_plan *plan, lqi_job *job, lq_writer *writer)
{
    const lqi_entry *e = &plan->cp->file->entries[job->raw];
    lqi_where where = { plan->in, e->name, LQ_NO_OFFSET };
    lq_status st = lq_writer_tensor(writer, job->out.name, e->dtype,
                                    e->dtype ? 0 : e->format, e->n_dims, e->dims,
                                    &job->raw_out);

    return st ? lqi_fail(plan->error, st, &where, "cannot be copied: %s", lq_status_text(st))
              : LQ_OK;
}

static lq_status declare_all(lqi_plan *plan, lq_writer *writer)
{
    lq_status st = LQ_OK;

    for (uint64_t i = 0; i < plan->count && !st; i++) {
        lqi_job *job = &plan->jobs[i];
        job->out.writer = writer;
        st = job->raw != LQI_NONE ? declare_raw(plan, job, writer)
                                  : job->out.dialect->declare(&job->out);
    }
    return st;
}

static lq_status write_all(lqi_plan *plan, lq_writer *writer)
{
    uint64_t done = 0;
    lq_status st = lqi_attach(plan, writer);

    if (!st)
        st = declare_all(plan, writer);
    if (!st)
        st = lq_writer_begin(writer, plan->error);
    for (uint64_t i = 0; i < plan->count && !st; i++) {
        double sums[2];
        st = lqi_job_run(plan, &plan->jobs[i], &done, sums);
        if (!st)
            report(plan, i, sums, writer);
    }
    return st ? st : lq_writer_finish(writer, plan->error);
}

static lq_status write_output(lqi_plan *plan)
{
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_writer *writer = NULL;
    lq_status st;

    opts.replace = plan->opts->replace;
    opts.shard_bytes = plan->opts->shard_bytes;
    opts.shard_tensors = (uint32_t)lqi_min(plan->opts->shard_tensors, UINT32_MAX);
    st = lq_writer_create(plan->ctx, plan->out, plan->container, &opts, &writer, plan->error);
    if (!st)
        st = write_all(plan, writer);
    lq_writer_destroy(writer);
    return st;
}

/* ------------------------------------------------------------------------ run */

static lq_status read_config(lqi_plan *plan)
{
#ifdef LQI_HAVE_JSON
    lq_status st = lqi_config_model(plan->cp->file, &plan->config, plan->error);

    plan->llama = !st && plan->container == LQ_CONTAINER_GGUF &&
                  plan->cp->file->container != LQ_CONTAINER_GGUF &&
                  lqi_llama_known(plan->config);
    return st;
#else
    (void)plan;
    return LQ_OK;
#endif
}

static lq_status run(lqi_plan *plan)
{
    static const double nothing[2];
    lq_status st = read_config(plan);

    if (!st)
        st = lqi_plan_make(plan);
    if (st || !plan->opts->dry_run)
        return st ? st : write_output(plan);
    for (uint64_t i = 0; i < plan->count; i++)
        report(plan, i, nothing, NULL);
    return LQ_OK;
}

static lq_status convert(const lq_ctx *ctx, const char *in, const char *out,
                         const lq_convert_opts *opts, lq_error *error)
{
    lqi_plan plan = { .ctx = ctx, .in = in, .out = out, .error = error };
    targets t = { LQ_SPEC_INIT, LQ_SPEC_INIT };
    lq_convert_opts o;
    lq_status st = lqi_opts_read(&o, sizeof o, opts);

    if (st)
        return lqi_fail(error, st, NULL, "the options struct is not usable");
    st = check_opts(&o, &t, error);
    if (st)
        return st;
    if (same_file(in, out))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "%s: input and output are the same", out);
    plan.opts = &o;
    plan.container = o.container ? o.container : container_of(out);
    if (o.mix && plan.container != LQ_CONTAINER_GGUF)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL, "mixes are for gguf output only");
    plan.arena.allocator = lqi_ctx_allocator(ctx);
    st = lq_checkpoint_open(ctx, in, NULL, &plan.cp, error);
    if (st)
        return st;
    st = run(&plan);
    lqi_plan_free(&plan);
    lq_checkpoint_destroy(plan.cp);
    return st;
}

static void hand_over(lq_error *to, const lq_error *from)
{
    size_t size = to->struct_size;

    if (size <= sizeof size)
        return;
    memcpy((char *)to + sizeof size, (const char *)from + sizeof size,
           (size < sizeof *from ? size : sizeof *from) - sizeof size);
}

lq_status lq_convert(const lq_ctx *ctx, const char *in, const char *out,
                     const lq_convert_opts *opts, lq_error *error)
{
    lq_error own = LQ_ERROR_INIT;
    lq_status st;

    if (!ctx || !in || !out || !opts)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a context, two paths and options are needed");
    st = convert(ctx, in, out, opts, &own);
    if (st && own.status != st)
        lqi_fail(&own, st, NULL, "%s", lq_status_text(st));
    if (st && error)
        hand_over(error, &own);
    return st;
}
