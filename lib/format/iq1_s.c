/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq1_s.c - GGUF IQ1_S: 256 weights in 50 bytes, 8 weights per code
 *
 *     byte    0..1      2..33                   34 + 2 j, for sub-block j of 32
 *     holds   d: f16    entries, bits 0..7:     u16: bits 8..10 of 4 entries, 3 bits each;
 *                       32 x u8                 scale in bits 12..14; bit 15: delta is minus
 *
 *     value = (d * (2 scale + 1)) * (codebook level + delta)     level -1, 0, 1; delta 1/8
 *
 * Codes are entries.
 *
 * Encoding: all cuts of the sorted sub-block (iq1.h), from running sums, for both signs of
 * delta; the best quotient of correlation wins.  Needs importances (the core refuses
 * without them; here none means ones).  A sub-block below 1e-12, or whose weights are all
 * 0, has scale code 0, entries 0, delta plus; if all are: zero bytes.  A scale that
 * overflows is stored as it is; check reports it.
 *
 * Source of truth: ggml's generic C, with a stable sort.
 */
#include "lib/format/iq1.h"

#define BYTES 50
#define SUBS  8
#define SUB   32
#define EPS   1e-12f

typedef struct iq1_s_param {
    uint16_t d;
    uint8_t  scale[SUBS], minus[SUBS];
} iq1_s_param;

/* ------------------------------------------------------------------ layout */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const iq1_s_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int j = 0; j < SUBS; j++) {
        unsigned high = (unsigned)p->scale[j] << 12 | (unsigned)p->minus[j] << 15;
        for (int g = 0; g < 4; g++, codes++) {
            b[2 + 4 * j + g] = (uint8_t)*codes;
            high |= (*codes >> 8 & 7) << 3 * g;
        }
        lqi_store16(b + 34 + 2 * j, (uint16_t)high);
    }
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    iq1_s_param *p = param;

    p->d = lqi_load16(b);
    for (int j = 0; j < SUBS; j++) {
        unsigned high = lqi_load16(b + 34 + 2 * j);
        p->scale[j] = high >> 12 & 7;
        p->minus[j] = (uint8_t)(high >> 15);
        for (int g = 0; g < 4; g++)
            *codes++ = b[2 + 4 * j + g] | (high >> 3 * g & 7) << 8;
    }
}

/* ---------------------------------------------------------------- encoding */

/* Running sums of w x and w in sorted order. */
typedef struct sums {
    float wx[SUB + 1], w[SUB + 1];
} sums;

static void add_up(const float *x, const float *w, const uint8_t *order, sums *s)
{
    s->wx[0] = s->w[0] = 0;
    for (int k = 0; k < SUB; k++) {
        s->wx[k + 1] = s->wx[k] + w[order[k]] * x[order[k]];
        s->w[k + 1] = s->w[k] + w[order[k]];
    }
}

static void best_cut(const sums *s, lqi_cut *cut)
{
    float best = -FLT_MAX;

    for (int i = 0; i <= SUB; i++)
        for (int j = i; j <= SUB; j++)
            for (unsigned minus = 0; minus < 2; minus++) {
                const float *q = lqi_iq1_value[minus];
                float a = (s->wx[i] - s->wx[0]) * q[0] + (s->wx[j] - s->wx[i]) * q[1] +
                          (s->wx[SUB] - s->wx[j]) * q[2];
                float b = (s->w[i] - s->w[0]) * q[0] * q[0] +
                          (s->w[j] - s->w[i]) * q[1] * q[1] +
                          (s->w[SUB] - s->w[j]) * q[2] * q[2];
                if (b > 0 && a * a > best * b) {
                    cut->low = i;
                    cut->high = j;
                    cut->minus = minus ? 15u : 0u;
                    cut->scale = a / b;
                    best = cut->scale * a;
                }
            }
}

static void plain_cut(const float *x, const float *w, lqi_cut *cut)
{
    sums s;

    *cut = (lqi_cut){ .low = -1 };
    lqi_iq1_sort(x, SUB, cut->order);
    add_up(x, w, cut->order, &s);
    best_cut(&s, cut);
}

/* Entries, scale and delta of one sub-block. */
static float search_sub(const lqi_fit *in, int j, float ms2, uint16_t *entry, uint8_t *minus)
{
    const float *x = in->x + SUB * j;
    float w[SUB];
    lqi_cut cut;

    if (fabsf(lqi_extreme(x, SUB)) < EPS)
        return 0;
    lqi_iq1_weights(x, in->imp ? in->imp + SUB * j : NULL, 1, SUB, ms2, w);
    if (!in->search || !in->search->cut_32 || in->search->cut_32(x, w, lqi_iq1_value, &cut))
        plain_cut(x, w, &cut);
    if (cut.low < 0)
        return 0;
    lqi_iq1_entries(in, x, w, SUB, &cut, entry);
    *minus = cut.minus & 1;
    return cut.scale;
}

static void encode(const lqi_fit *in, void *block)
{
    float ms2 = 2 * lqi_sum_squares(in->x, LQI_IQ1_LEN) / LQI_IQ1_LEN;
    float scale[SUBS], max = 0;
    uint16_t entry[LQI_IQ1_CODES] = { 0 };
    uint32_t codes[LQI_IQ1_CODES];
    iq1_s_param p = { 0 };

    memset(block, 0, BYTES);
    for (int j = 0; j < SUBS; j++) {
        scale[j] = search_sub(in, j, ms2, entry + 4 * j, &p.minus[j]);
        max = max > scale[j] || max != max ? max : scale[j];   /* NaN stays */
    }
    if (max == 0)
        return;
    float d = max / 15, inverse = 1 / d;
    p.d = lqi_store_scale(d * 1.125f);
    for (int j = 0; j < SUBS; j++)
        p.scale[j] = lqi_iq1_scale_code(inverse, scale[j]);
    for (int g = 0; g < LQI_IQ1_CODES; g++)
        codes[g] = entry[g];
    pack(&p, codes, block);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const iq1_s_param *p = param;
    float d = lqi_f16_to_f32(p->d), error;

    for (int g = 0; g < LQI_IQ1_CODES; g++)
        codes[g] = lqi_iq1_round(in->grids, in->x + 8 * g, in->imp ? in->imp + 8 * g : NULL,
                                 d * (float)(2 * p->scale[g / 4] + 1), p->minus[g / 4], &error);
}

/* ---------------------------------------------------------------- decoding */

static void values(const uint8_t *codebook, const iq1_s_param *p, const uint32_t *codes,
                   size_t n, float *y)
{
    float d = lqi_f16_to_f32(p->d);

    for (size_t g = 0; g < n / 8; g++)
        lqi_iq1_values(codebook, codes[g], p->minus[g / 4],
                       d * (float)(2 * p->scale[g / 4] + 1), y + 8 * g);
}

LQI_IQ1_FUNCTIONS(iq1_s_param, BYTES)

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(iq1_s_param, d),
    { offsetof(iq1_s_param, scale), SUBS, LQI_TUNE_U8, 0, 7 },
    { offsetof(iq1_s_param, minus), SUBS, LQI_TUNE_U8, 0, 1 },
    { 0 },
};

const lqi_format lqi_format_iq1_s = {
    .name        = "iq1_s",
    .panel       = &lqi_panel_iq1_s,
    .text        = "GGUF: blocks of 256, entries of 8 ternary weights from 2048, scale per 32",
    .id          = LQ_FORMAT_IQ1_S,
    .storage     = LQ_BLOCKED,
    .block_len   = LQI_IQ1_LEN,
    .block_bytes = BYTES,
    .bits        = 11,
    .unit        = 8,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_TERNARY_32,
    .max_abs     = LQI_IQ1_MAX,
    .needs_imp   = 1,
    .grid        = LQI_GRID_IQ1,
    .gguf        = 19,
    .param_bytes = sizeof(iq1_s_param),
    .check = lqi_check_f16, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode = encode,
    .encode_many = lqi_encode_search,
    .tunable = tunable,
};
