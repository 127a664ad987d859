/* SPDX-License-Identifier: MIT */
/*
 * lib/file/choose.c - which weight becomes what, and why
 *
 * GGUF follows llama-quantize for a file of one type: what it leaves alone, its rule for
 * the output matrix, its table of types for rows that are no multiple of the block.
 */
#include <stdio.h>

#include "lib/file/mix.h"

enum { GGUF_F16 = 1, GGUF_Q8_0 = 8, GGUF_Q5_K = 13, GGUF_Q6_K = 14, GGUF_K_BLOCK = 256 };

void lq_convert_opts_init(lq_convert_opts *opts)
{
    if (!opts)
        return;
    memset(opts, 0, sizeof *opts);
    opts->struct_size = sizeof *opts;
}

/* -------------------------------------------------------------------- names */

static int ends(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);

    return n >= s && !strcmp(name + n - s, suffix);
}

static int contains_any(const char *name, const char *const *words)
{
    for (; *words; words++)
        if (strstr(name, *words))
            return 1;
    return 0;
}

static int is_norm(const char *name)
{
    static const char *const words[] = {
        "norm.", "_norm", "layernorm", "ln_f.", "ln_1.", "ln_2.", NULL
    };

    return contains_any(name, words);
}

/* Small matrices that decide much: routers, convolutions, positions. */
static int is_delicate(const char *name)
{
    static const char *const words[] = {
        "ffn_gate_inp", "ffn_gate_tid2eid", "altup", "laurel", "per_layer_model_proj",
        "ssm_conv1d", "shortconv.conv", "attn_rel_b", "position_emb", "pos_embed", "wpe.",
        "conv1d", "mlp.gate.weight", "block_sparse_moe.gate.weight", "router.",
        "indexer.k_proj", "indexer.q_proj", "token_types.weight", "time_mix_first",
        "time_mix_w0", "time_mix_w1", "time_mix_w2", "time_mix_v0", "time_mix_v1",
        "time_mix_v2", "time_mix_a0", "time_mix_a1", "time_mix_a2", "time_mix_g1",
        "time_mix_g2", "time_mix_decay_w1", "time_mix_decay_w2", "time_mix_lerp_fused",
        ".position_embd", "sam.", ".rel_pos", ".patch_embd", ".patch_merger",
        "a.rvq.codebook", "mm.a.code_embd", NULL
    };

    return contains_any(name, words);
}

static int is_embedding(const char *name)
{
    static const char *const words[] = {
        "embed_tokens", "token_embd", "tok_embeddings", "word_embeddings", "wte.", NULL
    };

    return contains_any(name, words);
}

int lqi_name_is_output(const char *name)
{
    return !strcmp(name, "output.weight") || ends(name, "lm_head.weight") ||
           ends(name, "embed_out.weight");
}

/* -------------------------------------------------------------- default rule */

static void set(lq_choice *choice, int32_t action, const lq_spec *spec, const char *reason)
{
    choice->action = action;
    if (spec)
        choice->spec = *spec;
    choice->reason = reason;
}

/* Vectors and norms: F32 in GGUF, as they are in safetensors. */
static void choose_small(const lqi_choose *rule, const lq_weight *w, const char *reason,
                         lq_choice *choice)
{
    lq_spec f32 = LQ_SPEC_INIT;

    f32.format = LQ_FORMAT_F32;
    lq_spec_complete(&f32, NULL);
    if (rule->out == LQ_CONTAINER_GGUF && w->spec->format != LQ_FORMAT_F32)
        set(choice, LQ_ENCODE, &f32, reason);
    else
        set(choice, LQ_KEEP, w->spec, reason);
}

/* As the mix of the same name says, if there is one. */
static int output_type(const lqi_format *target)
{
    const lqi_mix *mix = target ? lqi_mix_find(target->name) : NULL;
    const lqi_mix_model model = { .has_output = 1 };
    const lqi_mix_tensor t = { "output.weight", 2, GGUF_K_BLOCK, 0, 1 };

    return mix ? (int)lqi_mix_type(mix, &model, &t, NULL, 0) : GGUF_Q6_K;
}

static void choose_output(const lqi_choose *rule, const lq_weight *w, lq_choice *choice)
{
    static const char *const reasons[] = {
        [GGUF_Q8_0] = "output matrix, cols not a multiple of 256: q8_0",
        [GGUF_Q5_K] = "output matrix: q5_k", [GGUF_Q6_K] = "output matrix: q6_k",
    };
    const lqi_format *target = lqi_format_by_id(rule->spec->format);
    int type = w->shape.cols % GGUF_K_BLOCK ? GGUF_Q8_0 : output_type(target);
    const lqi_format *f = lqi_format_by_gguf((uint32_t)type);
    lq_spec spec = LQ_SPEC_INIT;

    set(choice, LQ_ENCODE, rule->spec, "");
    if (lqi_spec_plain(rule->spec) || !f || (target && target->gguf == GGUF_Q8_0))
        return;
    spec.format = f->id;
    if (lq_spec_complete(&spec, NULL) || lq_spec_equal(&spec, rule->spec))
        return;
    set(choice, LQ_ENCODE, &spec, reasons[type]);
}

lq_status lqi_choose_weight(const lqi_choose *rule, const lq_weight *w, lq_choice *choice)
{
    int gguf = rule->out == LQ_CONTAINER_GGUF;

    set(choice, LQ_KEEP, w->spec, "");
    if (!w->spec)
        choice->reason = "not numbers that can be decoded";
    else if (w->n_dims < 2)
        choose_small(rule, w, is_norm(w->name) ? "norm" : "one dimension", choice);
    else if (is_norm(w->name))
        choose_small(rule, w, "norm", choice);
    else if (!ends(w->name, "weight"))
        choice->reason = "not a weight matrix";
    else if (is_delicate(w->name))
        choice->reason = "small and delicate";
    else if (!gguf && (is_embedding(w->name) || lqi_name_is_output(w->name)))
        choice->reason = is_embedding(w->name) ? "embedding" : "output matrix";
    else if (gguf && (lqi_name_is_output(w->name) || (rule->tied && is_embedding(w->name))))
        choose_output(rule, w, choice);
    else
        set(choice, LQ_ENCODE, rule->spec, "");
    return LQ_OK;
}

lq_status lq_choose_default(const lq_weight *weight, const lq_spec *spec, lq_container out,
                            lq_choice *choice)
{
    lq_spec full = LQ_SPEC_INIT;
    lqi_choose rule = { out, &full, 0 };
    lq_choice result = { .struct_size = sizeof result };
    lq_status st;

    if (!weight || !weight->name || !spec || !choice || !choice->struct_size ||
        choice->struct_size < sizeof *choice || !lq_container_name(out))
        return LQ_ERR_ARG;
    st = lqi_opts_read(&full, sizeof full, spec);
    if (!st)
        st = lq_spec_complete(&full, NULL);
    if (st)
        return st;
    lq_spec_init(&result.spec);
    lqi_choose_weight(&rule, weight, &result);
    result.tail = out == LQ_CONTAINER_GGUF ? LQ_TAIL_FALLBACK : LQ_TAIL_ERROR;
    result.struct_size = choice->struct_size;
    *choice = result;
    return LQ_OK;
}

/* -------------------------------------------------------------------- tails */

/* llama-quantize's table of types for rows that do not fit, by GGUF numbers; -1: it has none
 * for this type, which is an error. */
static int next_type(int type)
{
    static const struct { int16_t from, to; } table[] = {
        { 16, 20 }, { 17, 20 }, { 18, 20 }, { 19, 20 }, { 21, 20 }, { 22, 20 }, { 23, 20 },
        { 29, 20 },                                     /* iq1* to iq3*, iq4_xs: iq4_nl */
        { 10, 2 }, { 11, 2 }, { 34, 2 }, { 35, 2 }, { 42, 2 },  /* q2*, q3_k, tq*: q4_0 */
        { 12, 6 }, { 13, 7 }, { 14, 8 }                 /* q4_k q5_0, q5_k q5_1, q6_k q8_0 */
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].from == type)
            return table[i].to;
    return -1;
}

/* NULL: none.  What the table's type does not fit either becomes F16. */
static const lqi_format *fall_back(const lqi_format *f, uint64_t cols)
{
    int type = next_type(f->gguf);
    const lqi_format *next = type < 0 ? NULL : lqi_format_by_gguf((uint32_t)type);

    return next && cols % next->block_len ? lqi_format_by_gguf(GGUF_F16) : next;
}

static int has_tail(const lq_spec *spec, uint64_t cols)
{
    const lqi_format *f = lqi_format_by_id(spec->format);

    return f && f->storage == LQ_BLOCKED && cols % f->block_len && !(spec->flags & LQ_SPEC_PAD);
}

static lq_status refuse_tail(const lq_weight *w, const lqi_format *f, lq_error *error)
{
    lqi_where where = { NULL, w->name, LQ_NO_OFFSET };

    return lqi_fail(error, LQ_ERR_SHAPE, &where, "cols %llu is not a multiple of %u (%s)",
                    (unsigned long long)w->shape.cols, f->block_len, f->name);
}

lq_status lqi_choose_tail(const lq_weight *w, lq_container out, const lq_spec *tail_spec,
                          lq_choice *choice, char *reason, size_t capacity, lq_error *error)
{
    const lqi_format *f = lqi_format_by_id(choice->spec.format), *to = NULL;
    lqi_where where = { NULL, w->name, LQ_NO_OFFSET };

    if (choice->action != LQ_ENCODE || !has_tail(&choice->spec, w->shape.cols))
        return LQ_OK;
    if (choice->tail == LQ_TAIL_ERROR || (choice->tail == LQ_TAIL_SPEC && !tail_spec))
        return refuse_tail(w, f, error);
    if (choice->tail == LQ_TAIL_PAD && out == LQ_CONTAINER_GGUF)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, &where,
                        "cols %llu is not a multiple of %u, and gguf cannot hold padded rows",
                        (unsigned long long)w->shape.cols, f->block_len);
    if (choice->tail == LQ_TAIL_PAD)
        choice->spec.flags |= LQ_SPEC_PAD;
    else if (choice->tail == LQ_TAIL_SPEC)
        choice->spec = *tail_spec;
    else {
        to = fall_back(f, w->shape.cols);
        if (!to)
            return refuse_tail(w, f, error);
        lq_spec_init(&choice->spec);
        choice->spec.format = to->id;
        lq_spec_complete(&choice->spec, NULL);
    }
    if (has_tail(&choice->spec, w->shape.cols))
        return refuse_tail(w, lqi_format_by_id(choice->spec.format), error);
    to = lqi_format_by_id(choice->spec.format);
    snprintf(reason, capacity, "cols %llu not a multiple of %u: %s",
             (unsigned long long)w->shape.cols, f->block_len,
             choice->tail == LQ_TAIL_PAD ? "padded" : to->name);
    choice->reason = reason;
    return LQ_OK;
}

uint32_t lqi_gguf_file_type(lq_format format)
{
    static const struct { int16_t type, file; } map[] = {   /* type in GGUF, llama_ftype */
        { 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 3 }, { 8, 7 }, { 6, 8 }, { 7, 9 }, { 10, 10 },
        { 11, 11 }, { 12, 14 }, { 13, 16 }, { 14, 18 }, { 16, 19 }, { 17, 20 }, { 18, 23 },
        { 19, 24 }, { 20, 25 }, { 21, 26 }, { 22, 28 }, { 23, 30 }, { 29, 31 }, { 30, 32 },
        { 34, 36 }, { 35, 37 }, { 39, 38 }
    };
    const lqi_format *f = lqi_format_by_id(format);

    for (size_t i = 0; f && i < sizeof map / sizeof *map; i++)
        if (map[i].type == f->gguf)
            return (uint32_t)map[i].file;
    return 0;
}
