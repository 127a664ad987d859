/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq1_m.c - GGUF IQ1_M: 256 weights in 56 bytes, 8 weights per code
 *
 *     byte    0..31                   32..47                        48..55
 *     holds   entries, bits 0..7:     per 8 weights a nibble, low   4 x u16: bits 0..11 four
 *             32 x u8                 first: bits 8..10 of the      scales of 3 bits, bits
 *                                     entry; bit 3: delta minus     12..15 a nibble of d
 *
 * d, an f16, is spread over the upper nibbles, its lowest nibble in the first word.
 *
 *     value = (d * (2 scale + 1)) * (codebook level + delta)     level -1, 0, 1; delta 1/8
 *
 * with a scale per 16 weights.  Code of 8 weights: entry | delta is minus << 11.
 *
 * Encoding: all cuts of the sorted sub-block (iq1.h), for both signs of both deltas.  Then
 * d is fitted to the whole superblock, sub-blocks below 1e-7 (or without weight) taking
 * part as if they had entry 0, scale code 0 and delta plus, which is what they store: so
 * does the reference.  All of them so: zero bytes.  A scale that overflows is stored as it
 * is; check reports it.
 *
 * Source of truth: ggml's generic C, with a stable sort.
 */
#include "lib/format/iq1.h"

#define BYTES 56
#define SUBS  16
#define SUB   16
#define EPS   1e-7f

enum { HIGH = 32, SCALES = 48 };   /* byte offsets */

typedef struct iq1_m_param {
    uint16_t d;
    uint8_t  scale[SUBS];
} iq1_m_param;

static uint16_t load_d(const uint8_t *b)
{
    unsigned d = 0;

    for (int k = 0; k < 4; k++)
        d |= (unsigned)(b[SCALES + 2 * k + 1] >> 4) << 4 * k;
    return (uint16_t)d;
}

static lq_status check(const void *block)
{
    uint8_t d[2];

    lqi_store16(d, load_d(block));
    return lqi_check_f16(d);
}

/* ------------------------------------------------------------------ layout */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const iq1_m_param *p = param;
    uint8_t *b = block;

    for (int g = 0; g < LQI_IQ1_CODES; g++)
        b[g] = (uint8_t)codes[g];
    for (int j = 0; j < SUBS; j++)
        b[HIGH + j] = (uint8_t)((codes[2 * j] >> 8 & 15) | (codes[2 * j + 1] >> 8 & 15) << 4);
    for (int k = 0; k < 4; k++) {
        unsigned word = (unsigned)(p->d >> 4 * k & 15) << 12;
        for (int j = 0; j < 4; j++)
            word |= (unsigned)p->scale[4 * k + j] << 3 * j;
        lqi_store16(b + SCALES + 2 * k, (uint16_t)word);
    }
}

static uint32_t load_code(const uint8_t *b, int g)
{
    return b[g] | (uint32_t)(b[HIGH + g / 2] >> 4 * (g % 2) & 15) << 8;
}

static unsigned load_scale(const uint8_t *b, int j)
{
    return lqi_load16(b + SCALES + j / 4 * 2) >> 3 * (j % 4) & 7u;
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    iq1_m_param *p = param;

    p->d = load_d(block);
    for (int j = 0; j < SUBS; j++)
        p->scale[j] = (uint8_t)load_scale(block, j);
    for (int g = 0; g < LQI_IQ1_CODES; g++)
        codes[g] = load_code(block, g);
}

/* ---------------------------------------------------------------- encoding */

/* Terms (w q) x and (w q) q of the element at a place of the sorted sub-block, for each
 * level, as the four combinations of deltas need them: bit 0 of a combination is the sign
 * of the second group's delta, bit 1 that of the first. */
typedef struct terms {
    float a[SUB][3][4], b[SUB][3][4];
} terms;

static void make_terms(const float *x, const float *w, const uint8_t *order, terms *t)
{
    for (int k = 0; k < SUB; k++)
        for (int l = 0; l < 3; l++)
            for (int c = 0; c < 4; c++) {
                int i = order[k];
                float q = lqi_iq1_value[i < 8 ? c >> 1 : c & 1][l], wq = w[i] * q;
                t->a[k][l][c] = wq * x[i];
                t->b[k][l][c] = wq * q;
            }
}

static void best_cut(const terms *t, lqi_cut *cut)
{
    static const uint8_t minus[4] = { 0, 2, 1, 3 };   /* as bits of lqi_cut */
    float best = -FLT_MAX;

    for (int i = 0; i <= SUB; i++)
        for (int j = i; j <= SUB; j++) {
            float a[4] = { 0 }, b[4] = { 0 };
            for (int k = 0; k < SUB; k++) {
                int l = k < i ? 0 : k < j ? 1 : 2;
                for (int c = 0; c < 4; c++) {
                    a[c] += t->a[k][l][c];
                    b[c] += t->b[k][l][c];
                }
            }
            for (int c = 0; c < 4; c++)
                if (b[c] > 0 && a[c] * a[c] > best * b[c]) {
                    cut->low = i;
                    cut->high = j;
                    cut->minus = minus[c];
                    cut->scale = a[c] / b[c];
                    best = cut->scale * a[c];
                }
        }
}

static void plain_cut(const float *x, const float *w, lqi_cut *cut)
{
    terms t;

    *cut = (lqi_cut){ .low = -1 };
    lqi_iq1_sort(x, SUB, cut->order);
    make_terms(x, w, cut->order, &t);
    best_cut(&t, cut);
}

/* Scale, weights and two codes of one sub-block. */
static float search_sub(const lqi_fit *in, int j, float ms2, float *w, uint32_t *codes)
{
    const float *x = in->x + SUB * j;
    uint16_t entry[2];
    lqi_cut cut;

    lqi_iq1_weights(x, in->imp ? in->imp + SUB * j : NULL, 0, SUB, ms2, w);
    codes[0] = codes[1] = 0;
    if (fabsf(lqi_extreme(x, SUB)) < EPS)
        return 0;
    if (!in->search || !in->search->cut_16 || in->search->cut_16(x, w, lqi_iq1_value, &cut))
        plain_cut(x, w, &cut);
    if (cut.low < 0)
        return 0;
    lqi_iq1_entries(in, x, w, SUB, &cut, entry);
    for (int g = 0; g < 2; g++)
        codes[g] = entry[g] | (cut.minus >> g & 1) << 11;
    return cut.scale;
}

/* Least squares over the superblock, the scale codes and all else given. */
static float fit_d(const lqi_fit *in, const float *w, const iq1_m_param *p,
                   const uint32_t *codes, float d)
{
    const uint8_t *table = in->grids->digit[LQI_GRID_IQ1];
    float a = 0, b = 0;

    for (int i = 0; i < LQI_IQ1_LEN; i++) {
        uint32_t code = codes[i / 8];
        float level = lqi_iq1_value[code >> 11][table[8 * (code & 2047) + (uint32_t)i % 8]];
        float q = level * (float)(2 * p->scale[i / SUB] + 1), wq = w[i] * q;
        a += wq * in->x[i];
        b += wq * q;
    }
    return b > 0 ? a / b : d;
}

static void encode(const lqi_fit *in, void *block)
{
    float ms2 = 2 * lqi_sum_squares(in->x, LQI_IQ1_LEN) / LQI_IQ1_LEN;
    float scale[SUBS], w[LQI_IQ1_LEN], max = 0;
    uint32_t codes[LQI_IQ1_CODES];
    iq1_m_param p = { 0 };

    memset(block, 0, BYTES);
    for (int j = 0; j < SUBS; j++) {
        scale[j] = search_sub(in, j, ms2, w + SUB * j, codes + 2 * j);
        max = max > scale[j] || max != max ? max : scale[j];   /* NaN stays */
    }
    if (max == 0)
        return;
    float d = max / 15, inverse = 1 / d;
    for (int j = 0; j < SUBS; j++)
        p.scale[j] = lqi_iq1_scale_code(inverse, scale[j]);
    p.d = lqi_store_scale(fit_d(in, w, &p, codes, d) * 1.1125f);
    pack(&p, codes, block);
}

/* Both deltas; the first of equal errors. */
static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const iq1_m_param *p = param;
    float d = lqi_f16_to_f32(p->d);

    for (int g = 0; g < LQI_IQ1_CODES; g++) {
        const float *x = in->x + 8 * g, *imp = in->imp ? in->imp + 8 * g : NULL;
        float scale = d * (float)(2 * p->scale[g / 2] + 1), error, other;
        uint32_t code = lqi_iq1_round(in->grids, x, imp, scale, 0, &error);
        uint32_t minus = lqi_iq1_round(in->grids, x, imp, scale, 1, &other);
        codes[g] = other < error ? minus | 1u << 11 : code;
    }
}

/* ---------------------------------------------------------------- decoding */

static void values(const uint8_t *codebook, const iq1_m_param *p, const uint32_t *codes,
                   size_t n, float *y)
{
    float d = lqi_f16_to_f32(p->d);

    for (size_t g = 0; g < n / 8; g++)
        lqi_iq1_values(codebook, codes[g] & 2047, codes[g] >> 11 & 1,
                       d * (float)(2 * p->scale[g / 2] + 1), y + 8 * g);
}

LQI_IQ1_FUNCTIONS(iq1_m_param, BYTES)

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(iq1_m_param, d),
    { offsetof(iq1_m_param, scale), SUBS, LQI_TUNE_U8, 0, 7 },
    { 0 },
};

const lqi_format lqi_format_iq1_m = {
    .name        = "iq1_m",
    .panel       = &lqi_panel_iq1_m,
    .text        = "GGUF: blocks of 256, entries of 8 ternary weights from 2048, scale per 16",
    .id          = LQ_FORMAT_IQ1_M,
    .storage     = LQ_BLOCKED,
    .block_len   = LQI_IQ1_LEN,
    .block_bytes = BYTES,
    .bits        = 12,
    .unit        = 8,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_TERNARY_16,
    .max_abs     = LQI_IQ1_MAX,
    .grid        = LQI_GRID_IQ1,
    .gguf        = 29,
    .param_bytes = sizeof(iq1_m_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode = encode,
    .encode_many = lqi_encode_search,
    .tunable = tunable,
};
