/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_estimate.c - lq estimate
 *
 * Sums are made in double: exact below 2^53 bytes, and free of overflow above.
 */
#include "model.h"

#include <inttypes.h>
#include <math.h>
#include <regex.h>
#include <string.h>

#include "rules.h"

#define PROMPT_TOKENS 512     /* activations of one step of decoding a prompt */

enum { OPTIMIZER_NONE, OPTIMIZER_ADAM, OPTIMIZER_ADAM8 };

typedef struct estimate {
    tool        *t;
    model        m;
    lq_spec      spec, kv, f16;
    lq_container container;
    uint64_t     context, batch, rank, memory;
    int          optimizer, recompute, has_targets;
    regex_t      targets;
    /* sums */
    double       params, weights, adapter_params;
    uint64_t     encoded, kept, unfit, adapters;
    double       kv_bytes, adapter_bytes, gradients, state, activations;
} estimate;

static int is_linear(const lq_weight *w, const lq_spec *spec)
{
    lq_choice choice = { sizeof choice };

    return w->n_dims >= 2
           && lq_choose_default(w, spec, LQ_CONTAINER_SAFETENSORS, &choice) == LQ_OK
           && choice.action == LQ_ENCODE;
}

static void add_adapter(estimate *e, const lq_weight *w, double times)
{
    int wanted = e->has_targets ? !regexec(&e->targets, w->name, 0, NULL, 0)
                                : is_linear(w, &e->spec);

    if (!e->rank || !wanted || !w->spec || w->n_dims < 2)
        return;
    e->adapters += (uint64_t)times;
    e->adapter_params += times * (double)w->shape.outer * (double)e->rank
                         * ((double)w->shape.rows + (double)w->shape.cols);
}

/* Bytes of a weight as quantize would store it. */
static void add_weight(void *user, const lq_weight *w, uint64_t times)
{
    estimate *e = user;
    lq_choice choice = { sizeof choice };
    uint64_t bytes = w->bytes;

    lq_status status = lq_choose_default(w, &e->spec, e->container, &choice);
    if (status == LQ_OK && choice.action == LQ_ENCODE && w->spec) {
        e->encoded += times;
        if (lq_spec_bytes(&choice.spec, &w->shape, &bytes) != LQ_OK) {
            e->unfit += times;
            if (lq_spec_bytes(&e->f16, &w->shape, &bytes) != LQ_OK)
                bytes = w->bytes;
        }
    } else {
        e->kept += times;
    }
    e->weights += (double)bytes * (double)times;
    if (!w->spec)
        return;
    e->params += (double)times * (double)w->shape.outer * (double)w->shape.rows
                 * (double)w->shape.cols;
    add_adapter(e, w, (double)times);
}

/* Bytes of one token's keys and values in all layers. */
static double kv_per_token(const estimate *e)
{
    const lq_shape row = { 1, 1, e->m.kv_heads * e->m.head_size };
    uint64_t bytes = 0;

    if (!row.cols || lq_spec_bytes(&e->kv, &row, &bytes) != LQ_OK)
        return 0;
    return 2.0 * (double)e->m.layers * (double)bytes;
}

static double activation_bytes(const estimate *e)
{
    const model *m = &e->m;
    double h = (double)m->hidden, batch = (double)e->batch;
    double tokens = (double)e->context * batch;

    if (e->optimizer == OPTIMIZER_NONE) {
        double n = batch * (double)(e->context < PROMPT_TOKENS ? e->context : PROMPT_TOKENS);
        return 4 * n * (4 * h + 3 * (double)m->ffn) + 4 * batch * (double)m->vocab;
    }
    double layers = e->recompute ? 34 * h + 2 * h * (double)m->layers
                                 : 34 * h * (double)m->layers;
    return tokens * (layers + 4 * (double)m->vocab);
}

static void compute(estimate *e)
{
    model_each(&e->m, add_weight, e);
    if (e->optimizer == OPTIMIZER_NONE)
        e->kv_bytes = kv_per_token(e) * (double)e->context * (double)e->batch;
    e->adapter_bytes = 4 * e->adapter_params;
    double trained = e->rank ? e->adapter_params : e->params;
    if (e->optimizer == OPTIMIZER_NONE)
        trained = 0;
    e->gradients = 4 * trained;
    e->state = trained * (e->optimizer == OPTIMIZER_ADAM8 ? 2 + 8.0 / 256 : 8);
    e->activations = activation_bytes(e);
}

static double total(const estimate *e)
{
    return e->weights + e->kv_bytes + e->adapter_bytes + e->gradients + e->state
           + e->activations;
}

/* Longest context of the batch that fits: all but the KV cache stays. */
static double longest_context(const estimate *e)
{
    double per_token = kv_per_token(e) * (double)e->batch;
    double left = (double)e->memory - (total(e) - e->kv_bytes);

    return per_token > 0 && left > 0 ? floor(left / per_token) : 0;
}

static const char *human(double bytes, char *out)
{
    return human_bytes(bytes < 1.8e19 ? (uint64_t)(bytes + 0.5) : UINT64_MAX, out);
}

static void line(const estimate *e, const char *what, double bytes, const char *note)
{
    char size[HUMAN_TEXT];

    if (bytes > 0)
        out_printf(e->t, "  %-16s %12s  %s\n", what, human(bytes, size), note);
}

static void print(const estimate *e)
{
    const model *m = &e->m;
    char spec[LQ_SPEC_TEXT] = "", kv[LQ_SPEC_TEXT] = "", size[HUMAN_TEXT];
    tool *t = e->t;

    lq_spec_print(&e->spec, spec, sizeof spec);
    lq_spec_print(&e->kv, kv, sizeof kv);
    int large = e->params >= 1e9;
    out_printf(t, "%.4g %s parameters, %" PRIu64 " layers, hidden %" PRIu64 ", ffn %" PRIu64
               ", vocabulary %" PRIu64 " (%s)\n", e->params / (large ? 1e9 : 1e6),
               large ? "billion" : "million", m->layers, m->hidden, m->ffn, m->vocab,
               m->origin);
    line(e, "weights", e->weights, spec);
    line(e, "KV cache", e->kv_bytes, kv);
    line(e, "adapters", e->adapter_bytes, "f32");
    line(e, "gradients", e->gradients, "f32");
    line(e, "optimizer state", e->state,
         e->optimizer == OPTIMIZER_ADAM8 ? "adam8bit" : "adam");
    line(e, "activations", e->activations, "");
    line(e, "total", total(e), "");
    out_printf(t, "  %.3f bits/weight; %" PRIu64 " weights encoded, %" PRIu64 " kept\n",
               e->params > 0 ? 8 * e->weights / e->params : 0.0, e->encoded, e->kept);
    if (e->unfit)
        out_printf(t, "  %" PRIu64 " weights do not fit the blocks and count as f16\n",
                   e->unfit);
    if (!m->kv_heads)
        out_printf(t, "  the shape of the attention is not known: no KV cache counted\n");
    if (!e->memory)
        return;
    double left = (double)e->memory - total(e);
    out_printf(t, "fits in %s: %s, ", human((double)e->memory, size), left >= 0 ? "yes" : "no");
    out_printf(t, "%s %s", human(fabs(left), size), left >= 0 ? "left" : "too much");
    if (e->optimizer == OPTIMIZER_NONE && m->kv_heads)
        out_printf(t, "; longest context %.0f", longest_context(e));
    out_printf(t, "\n");
}

static void print_json(const estimate *e)
{
    const model *m = &e->m;
    char spec[LQ_SPEC_TEXT] = "";
    doc  j;

    lq_spec_print(&e->spec, spec, sizeof spec);
    doc_begin(&j, &e->t->out);
    doc_object(&j, NULL);
    doc_string(&j, "status", "LQ_OK");
    doc_string(&j, "spec", spec);
    doc_object(&j, "model");
    doc_string(&j, "origin", m->origin);
    doc_number(&j, "parameters", e->params);
    doc_uint(&j, "layers", m->layers);
    doc_uint(&j, "hidden", m->hidden);
    doc_uint(&j, "ffn", m->ffn);
    doc_uint(&j, "vocab", m->vocab);
    doc_uint(&j, "kv_row", m->kv_heads * m->head_size);
    doc_close(&j);
    doc_uint(&j, "context", e->context);
    doc_uint(&j, "batch", e->batch);
    doc_object(&j, "bytes");
    doc_number(&j, "weights", e->weights);
    doc_number(&j, "kv_cache", e->kv_bytes);
    doc_number(&j, "adapters", e->adapter_bytes);
    doc_number(&j, "gradients", e->gradients);
    doc_number(&j, "optimizer_state", e->state);
    doc_number(&j, "activations", e->activations);
    doc_number(&j, "total", total(e));
    doc_close(&j);
    doc_number(&j, "bits_per_weight", e->params > 0 ? 8 * e->weights / e->params : NAN);
    doc_uint(&j, "encoded", e->encoded);
    doc_uint(&j, "kept", e->kept);
    doc_uint(&j, "unfit_as_f16", e->unfit);
    doc_uint(&j, "adapter_count", e->adapters);
    if (e->memory) {
        doc_uint(&j, "memory", e->memory);
        doc_bool(&j, "fits", (double)e->memory >= total(e));
        doc_number(&j, "longest_context",
                    e->optimizer == OPTIMIZER_NONE ? longest_context(e) : NAN);
    }
    doc_close(&j);
}

static int options(estimate *e, const args *a)
{
    tool *t = e->t;
    const char *targets = args_value(a, OPT_TARGETS);
    int container, code;

    if ((code = args_spec(t, a, OPT_FORMAT, "bf16", &e->spec))
        || (code = args_spec(t, a, OPT_KV, "f16", &e->kv))
        || (code = tool_spec(t, "f16", "f16", &e->f16))
        || (code = args_word(t, a, OPT_CONTAINER, 0, &container))
        || (code = args_count(t, a, OPT_CONTEXT, 4096, 1, UINT32_MAX, &e->context))
        || (code = args_count(t, a, OPT_BATCH, 1, 1, 1u << 20, &e->batch))
        || (code = args_count(t, a, OPT_LORA, 0, 1, 1u << 20, &e->rank))
        || (code = args_size(t, a, OPT_MEMORY, 0, &e->memory)))
        return code;
    code = args_word(t, a, OPT_OPTIMIZER, e->rank ? OPTIMIZER_ADAM : OPTIMIZER_NONE,
                     &e->optimizer);
    if (code)
        return code;
    e->container = container ? LQ_CONTAINER_GGUF : LQ_CONTAINER_SAFETENSORS;
    e->recompute = args_has(a, OPT_RECOMPUTE);
    if (e->recompute && e->optimizer == OPTIMIZER_NONE)
        return fail_usage(t, "--recompute is for training: it needs --lora or --optimizer");
    if (targets && !e->rank)
        return fail_usage(t, "--targets needs --lora");
    if (!e->rank && e->optimizer != OPTIMIZER_NONE && !spec_is_float(&e->spec))
        return fail_usage(t, "quantized weights cannot be trained themselves: --optimizer "
                          "needs --lora, or -f f32, f16 or bf16");
    if (targets && !(code = regex_open(t, "targets", targets, &e->targets)))
        e->has_targets = 1;
    return code;
}

int cmd_estimate(tool *t, const args *a)
{
    estimate e;

    memset(&e, 0, sizeof e);
    e.t = t;
    int code = options(&e, a);
    if (!code)
        code = model_open(t, a, &e.m);
    if (!code) {
        compute(&e);
        if (e.has_targets && !e.adapters)
            code = fail_usage(t, "--targets %s matches no weight", args_value(a, OPT_TARGETS));
        else if (t->json)
            print_json(&e);
        else
            print(&e);
    }
    model_close(&e.m);
    if (e.has_targets)
        regfree(&e.targets);
    return code;
}
