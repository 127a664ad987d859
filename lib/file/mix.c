/* SPDX-License-Identifier: MIT */
/*
 * lib/file/mix.c - llama-quantize's mixes: several GGUF types under one name
 *
 * Two tables say everything.  rules: the first row that names the mix and the kind of
 * tensor, and whose conditions all hold, gives the type.  changes: afterwards, in order,
 * every row that fits replaces the type.  (llama.cpp, August 2026.)
 */
#include <ctype.h>
#include <stdio.h>

#include "lib/file/gguf.h"
#include "lib/file/mix.h"

/* GGUF's numbers of the types that rules name. */
enum {
    Q4_0 = 2, Q4_1, Q5_0 = 6, Q5_1, Q8_0, Q2_K = 10, Q3_K, Q4_K, Q5_K, Q6_K,
    IQ2_XXS = 16, IQ2_XS, IQ3_XXS, IQ1_S, IQ4_NL, IQ3_S, IQ2_S, IQ4_XS, IQ1_M = 29,
    TQ1_0 = 34, TQ2_0, MXFP4 = 39, Q1_0 = 41, Q2_0
};

/* --------------------------------------------------------------------- mixes */

enum {
    M_Q4_0, M_Q4_1, M_Q5_0, M_Q5_1, M_Q8_0, M_Q2_K, M_Q2_K_S, M_Q3_K_S, M_Q3_K_M, M_Q3_K_L,
    M_Q4_K_S, M_Q4_K_M, M_Q5_K_S, M_Q5_K_M, M_Q6_K, M_IQ1_S, M_IQ1_M, M_IQ2_XXS, M_IQ2_XS,
    M_IQ2_S, M_IQ2_M, M_IQ3_XXS, M_IQ3_XS, M_IQ3_S, M_IQ3_M, M_IQ4_NL, M_IQ4_XS, M_TQ1_0,
    M_TQ2_0, M_MXFP4_MOE, M_Q1_0, M_Q2_0, MIXES
};

static const lqi_mix mixes[MIXES] = {
    [M_Q4_0] = { "q4_0", Q4_0, 2 },           [M_Q4_1] = { "q4_1", Q4_1, 3 },
    [M_Q5_0] = { "q5_0", Q5_0, 8 },           [M_Q5_1] = { "q5_1", Q5_1, 9 },
    [M_Q8_0] = { "q8_0", Q8_0, 7 },           [M_Q2_K] = { "q2_k", Q2_K, 10 },
    [M_Q2_K_S] = { "q2_k_s", Q2_K, 21 },      [M_Q3_K_S] = { "q3_k_s", Q3_K, 11 },
    [M_Q3_K_M] = { "q3_k_m", Q3_K, 12 },      [M_Q3_K_L] = { "q3_k_l", Q3_K, 13 },
    [M_Q4_K_S] = { "q4_k_s", Q4_K, 14 },      [M_Q4_K_M] = { "q4_k_m", Q4_K, 15 },
    [M_Q5_K_S] = { "q5_k_s", Q5_K, 16 },      [M_Q5_K_M] = { "q5_k_m", Q5_K, 17 },
    [M_Q6_K] = { "q6_k", Q6_K, 18 },          [M_IQ1_S] = { "iq1_s", IQ1_S, 24 },
    [M_IQ1_M] = { "iq1_m", IQ1_M, 31 },       [M_IQ2_XXS] = { "iq2_xxs", IQ2_XXS, 19 },
    [M_IQ2_XS] = { "iq2_xs", IQ2_XS, 20 },    [M_IQ2_S] = { "iq2_s", IQ2_XS, 28 },
    [M_IQ2_M] = { "iq2_m", IQ2_S, 29 },       [M_IQ3_XXS] = { "iq3_xxs", IQ3_XXS, 23 },
    [M_IQ3_XS] = { "iq3_xs", IQ3_S, 22 },     [M_IQ3_S] = { "iq3_s", IQ3_S, 26 },
    [M_IQ3_M] = { "iq3_m", IQ3_S, 27 },       [M_IQ4_NL] = { "iq4_nl", IQ4_NL, 25 },
    [M_IQ4_XS] = { "iq4_xs", IQ4_XS, 30 },    [M_TQ1_0] = { "tq1_0", TQ1_0, 36 },
    [M_TQ2_0] = { "tq2_0", TQ2_0, 37 },       [M_MXFP4_MOE] = { "mxfp4_moe", MXFP4, 38 },
    [M_Q1_0] = { "q1_0", Q1_0, 40 },          [M_Q2_0] = { "q2_0", Q2_0, 41 },
};

/* --------------------------------------------------------------------- kinds */

enum { ANY, OUTPUT, EMBEDDING, ATTN_V, ATTN_K, ATTN_Q, ATTN_OUT, DOWN, GATE, UP };

/* In the order in which llama.cpp asks; a part of the name decides. */
static const struct { const char *part; int kind; const char *text; } kinds[] = {
    { "token_embd.weight", EMBEDDING, "embedding" },
    { "attn_v.weight", ATTN_V, "values" },
    { "attn_qkv.weight", ATTN_V, "values" },
    { "attn_kv_b.weight", ATTN_V, "values" },
    { "attn_k.weight", ATTN_K, "keys" },
    { "attn_q.weight", ATTN_Q, "queries" },
    { "ffn_down", DOWN, "ffn_down" },
    { "attn_output.weight", ATTN_OUT, "attention output" },
    { "ffn_gate", GATE, "ffn_gate" },
    { "ffn_up", UP, "ffn_up" },
};

int lqi_mix_kind(const char *name)
{
    if (!strcmp(name, "output.weight"))
        return OUTPUT;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(name, kinds[i].part))
            return kinds[i].kind;
    return ANY;
}

/* ---------------------------------------------------------------- conditions */

enum {
    GQA4 = 1 << 0, EXPERTS4 = 1 << 1, EXPERTS8 = 1 << 2, MORE = 1 << 3, EIGHTH = 1 << 4,
    SIXTEENTH = 1 << 5, FIRST2 = 1 << 6, FIRST4 = 1 << 7, IMATRIX = 1 << 8, PLAIN = 1 << 9,
    FALCON = 1 << 10, OTHERS = 1 << 11, MIDDLE = 1 << 12, RAGGED = 1 << 13, BIG = 1 << 14,
    STACKED = 1 << 15
};

static const char *const condition_text[] = {
    "4 or more queries per key", "4 or more experts", "8 experts", "more bits here",
    "first eighth", "first sixteenth", "first 2", "first 4", "imatrix", "no imatrix", "falcon",
    "", "middle layers", "cols not a multiple of the block", "70B", "experts"
};

static int more_bits(uint64_t i, uint64_t n)
{
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static unsigned conditions(const lqi_mix *mix, const lqi_mix_model *m, const lqi_mix_tensor *t)
{
    uint64_t i = t->index, n = t->count;
    const lqi_gguf_type *type = lqi_gguf_type_get(mix->base);
    unsigned have = m->imatrix ? IMATRIX : PLAIN;

    have |= m->falcon ? FALCON : OTHERS;
    have |= m->kv_heads && m->heads / m->kv_heads >= 4 ? GQA4 : 0;
    have |= (m->experts >= 4 ? EXPERTS4 : 0) | (m->experts == 8 ? EXPERTS8 : 0);
    have |= more_bits(i, n) ? MORE : 0;
    have |= (i < n / 8 ? EIGHTH : 0) | (i < n / 16 ? SIXTEENTH : 0);
    have |= (i < 2 ? FIRST2 : 0) | (i < 4 ? FIRST4 : 0);
    have |= i >= n / 8 && i < 7 * n / 8 ? MIDDLE : 0;
    have |= t->cols % type->block_len ? RAGGED : 0;
    have |= m->llama && m->layers == 80 ? BIG : 0;
    return have | (t->n_dims > 2 ? STACKED : 0);
}

/* --------------------------------------------------------------------- rules */

#define M(name) (UINT64_C(1) << M_##name)
#define ALL     UINT64_MAX
#define LOW     (M(IQ1_S) | M(IQ1_M) | M(IQ2_XXS) | M(IQ2_XS) | M(IQ2_S) | M(IQ2_M))
#define LOW_S   (M(IQ2_S) | M(IQ2_M))
#define NL_XS   (M(IQ4_NL) | M(IQ4_XS))
#define EIGHT_OUT (M(Q2_K) | M(IQ3_XS) | M(IQ3_XXS) | M(Q3_K_S) | M(Q3_K_M) | NL_XS | \
                   M(Q4_K_S) | M(Q4_K_M) | M(IQ3_S) | M(IQ3_M))

enum { BASE = 255 };    /* the mix's own type, whatever later rows say */

typedef struct rule {
    uint64_t mixes;
    int      kind;      /* ANY: every kind */
    unsigned when;
    uint8_t  type;
} rule;

static const rule rules[] = {
    { M(MXFP4_MOE), OUTPUT, 0, Q8_0 },
    { ALL, OUTPUT, FALCON, Q8_0 },
    { ALL, OUTPUT, RAGGED, Q8_0 },
    { LOW | M(IQ3_XXS), OUTPUT, 0, Q5_K },
    { M(Q8_0), OUTPUT, 0, BASE },
    { ALL, OUTPUT, 0, Q6_K },

    { M(MXFP4_MOE), ANY, STACKED, BASE },
    { M(MXFP4_MOE), ANY, 0, Q8_0 },

    { M(IQ2_XXS) | M(IQ2_XS) | M(IQ1_S) | M(IQ1_M), EMBEDDING, 0, Q2_K },
    { LOW_S | M(IQ3_XXS), EMBEDDING, 0, IQ3_S },
    { M(TQ1_0) | M(TQ2_0) | M(Q2_0), EMBEDDING, 0, Q4_K },

    { LOW, ATTN_V, GQA4, Q4_K },
    { LOW, ATTN_V, EXPERTS4, Q4_K },
    { LOW_S, ATTN_V, 0, IQ3_S },
    { LOW, ATTN_V, 0, Q2_K },
    { M(Q2_K) | M(Q2_K_S) | M(IQ3_XXS) | M(IQ3_XS) | M(IQ3_S), ATTN_V, GQA4, Q4_K },
    { M(Q2_K), ATTN_V, 0, Q3_K },
    { M(IQ3_XXS), ATTN_V, PLAIN, IQ3_S },
    { M(IQ3_M), ATTN_V, 0, Q4_K },
    { M(Q3_K_M), ATTN_V, FIRST2, Q5_K },
    { M(Q3_K_M), ATTN_V, 0, Q4_K },
    { M(Q3_K_L), ATTN_V, 0, Q5_K },
    { NL_XS, ATTN_V, GQA4, Q5_K },
    { M(Q4_K_M) | M(Q5_K_M), ATTN_V, MORE, Q6_K },
    { M(Q4_K_S), ATTN_V, FIRST4, Q5_K },

    { LOW, ATTN_K, EXPERTS8, Q4_K },
    { ~LOW, ATTN_K, EXPERTS8, Q8_0 },
    { M(IQ3_XS), ATTN_K, 0, IQ3_XXS },
    { M(IQ3_XXS), ATTN_K, 0, IQ2_S },
    { M(IQ3_XS), ATTN_Q, 0, IQ3_XXS },
    { M(IQ3_XXS), ATTN_Q, 0, IQ2_S },

    { LOW_S, DOWN, EIGHTH, IQ3_S },
    { LOW, DOWN, EIGHTH, Q2_K },
    { M(Q2_K), DOWN, 0, Q3_K },
    { M(Q2_K_S), DOWN, EIGHTH, Q4_K },
    { M(IQ3_XXS), DOWN, PLAIN | EIGHTH, Q4_K },
    { M(IQ3_XXS), DOWN, PLAIN, Q3_K },
    { M(Q3_K_M), DOWN, SIXTEENTH, Q5_K },
    { M(Q3_K_M), DOWN, OTHERS, Q4_K },
    { M(Q3_K_M), DOWN, MORE, Q4_K },
    { M(IQ3_M), DOWN, EIGHTH, Q4_K },
    { M(IQ3_M), DOWN, EXPERTS8 | MORE, Q4_K },
    { M(Q3_K_L), DOWN, FALCON, Q4_K },
    { M(Q3_K_L), DOWN, 0, Q5_K },
    { M(Q4_K_M), DOWN, FALCON | SIXTEENTH, Q6_K },
    { M(Q4_K_M), DOWN, FALCON | MORE, Q5_K },
    { M(Q4_K_M), DOWN, OTHERS | MORE, Q6_K },
    { NL_XS, DOWN, PLAIN | EIGHTH, Q5_K },
    { M(Q5_K_M), DOWN, MORE, Q6_K },
    { M(Q4_K_S), DOWN, OTHERS | EIGHTH, Q5_K },
    { M(Q4_0), DOWN, IMATRIX | EIGHTH, Q4_1 },
    { M(Q5_0), DOWN, IMATRIX | EIGHTH, Q5_1 },

    { LOW, ATTN_OUT, EXPERTS8, Q5_K },
    { M(IQ1_S) | M(IQ1_M), ATTN_OUT, 0, IQ2_XXS },
    { LOW_S, ATTN_OUT, 0, IQ3_S },
    { M(Q3_K_L), ATTN_OUT, FALCON, Q4_K },
    { ALL, ATTN_OUT, FALCON, BASE },
    { EIGHT_OUT, ATTN_OUT, EXPERTS8, Q5_K },
    { ALL, ATTN_OUT, EXPERTS8, BASE },
    { M(Q2_K), ATTN_OUT, 0, Q3_K },
    { M(IQ3_XXS), ATTN_OUT, 0, IQ3_S },
    { M(Q3_K_M) | M(IQ3_M), ATTN_OUT, 0, Q4_K },
    { M(Q3_K_L), ATTN_OUT, 0, Q5_K },

    { M(IQ3_XS), GATE, MIDDLE, IQ3_XXS },
    { M(IQ3_XS), UP, MIDDLE, IQ3_XXS },
};

static const struct { uint64_t mixes; int kind; unsigned when; uint8_t from, to; } changes[] = {
    { ~(LOW | M(MXFP4_MOE)), ATTN_V, BIG, Q3_K, Q5_K },
    { ~(LOW | M(MXFP4_MOE)), ATTN_V, BIG, Q4_K, Q5_K },
    { ~(LOW | M(MXFP4_MOE)), ATTN_V, EXPERTS8, BASE, Q8_0 },   /* from any */
};

/* -------------------------------------------------------------------- choice */

const lqi_mix *lqi_mix_find(const char *name)
{
    for (size_t i = 0; i < MIXES; i++) {
        const char *a = mixes[i].name, *b = name;
        while (*a && *a == tolower((unsigned char)*b))
            a++, b++;
        if (!*a && !*b)
            return &mixes[i];
    }
    return NULL;
}

static void explain(const lqi_mix *mix, int kind, unsigned when, char *reason, size_t capacity)
{
    const char *text = kind == OUTPUT ? "output matrix" : "other tensors";
    int n;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind)
            text = kinds[i].text;
    n = snprintf(reason, capacity, "%s: %s", mix->name, text);
    for (size_t i = 0; i < sizeof condition_text / sizeof *condition_text; i++)
        if ((when >> i & 1) && *condition_text[i] && n >= 0 && (size_t)n < capacity)
            n += snprintf(reason + n, capacity - (size_t)n, ", %s", condition_text[i]);
}

unsigned lqi_mix_type(const lqi_mix *mix, const lqi_mix_model *model,
                      const lqi_mix_tensor *t, char *reason, size_t capacity)
{
    uint64_t bit = UINT64_C(1) << (mix - mixes);
    int kind = lqi_mix_kind(t->name);
    unsigned have = conditions(mix, model, t), type = mix->base, when = 0;

    if (kind == EMBEDDING && !model->has_output)
        kind = OUTPUT;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const rule *r = &rules[i];
        if (!(r->mixes & bit) || (r->kind != ANY && r->kind != kind) || (r->when & ~have))
            continue;
        type = r->type == BASE ? mix->base : r->type;
        when = r->when;
        break;
    }
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        if ((changes[i].mixes & bit) && changes[i].kind == kind && !(changes[i].when & ~have) &&
            (changes[i].from == BASE || changes[i].from == type)) {
            type = changes[i].to;
            when = changes[i].when;
        }
    if (capacity)
        *reason = 0;
    if (type != mix->base)
        explain(mix, kind, when, reason, capacity);
    return type;
}

int lqi_mix_needs_importance(const lqi_mix *mix, const char *name, unsigned type)
{
    int kind = lqi_mix_kind(name);

    if (kind == OUTPUT || kind == EMBEDDING)
        return 0;
    return type == IQ1_S || type == IQ1_M || type == IQ2_XXS || type == IQ2_XS ||
           type == IQ2_S || type == IQ3_XXS || (type == Q2_K && mix == &mixes[M_Q2_K_S]);
}

const char *lqi_gguf_type_name(unsigned type)
{
    static const struct { uint8_t type; const char *name; } names[] = {
        { Q4_0, "q4_0" }, { Q4_1, "q4_1" }, { Q5_0, "q5_0" }, { Q5_1, "q5_1" },
        { Q8_0, "q8_0" }, { Q2_K, "q2_k" }, { Q3_K, "q3_k" }, { Q4_K, "q4_k" },
        { Q5_K, "q5_k" }, { Q6_K, "q6_k" }, { IQ2_XXS, "iq2_xxs" }, { IQ2_XS, "iq2_xs" },
        { IQ3_XXS, "iq3_xxs" }, { IQ1_S, "iq1_s" }, { IQ4_NL, "iq4_nl" }, { IQ3_S, "iq3_s" },
        { IQ2_S, "iq2_s" }, { IQ4_XS, "iq4_xs" }, { IQ1_M, "iq1_m" }, { TQ1_0, "tq1_0" },
        { TQ2_0, "tq2_0" }, { MXFP4, "mxfp4_gguf" }, { Q1_0, "q1_0" }, { Q2_0, "q2_0" },
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == type)
            return names[i].name;
    return "unknown";
}

/* -------------------------------------------------------------------- public */

const char *lq_mix_name(size_t index)
{
    return index < MIXES ? mixes[index].name : NULL;
}

lq_status lq_mix_spec(const char *name, lq_spec *spec)
{
    const lqi_mix *mix = name ? lqi_mix_find(name) : NULL;
    const lqi_format *f;
    lq_spec s = LQ_SPEC_INIT;
    lq_status st;

    if (!name || !spec)
        return LQ_ERR_ARG;
    if (!mix)
        return LQ_ERR_NOTFOUND;
    f = lqi_format_by_gguf(mix->base);
    if (!f)
        return LQ_ERR_UNSUPPORTED;
    s.format = f->id;
    st = lq_spec_complete(&s, NULL);
    if (!st)
        *spec = s;
    return st;
}
