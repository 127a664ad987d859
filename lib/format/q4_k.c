/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q4_k.c - GGUF Q4_K: 256 nibbles, 8 scales and minimums of 6 bits
 *
 *     byte    0..1     2..3        4..15               16..143
 *     holds   d: f16   dmin: f16   S: 16 x 6 bits      q: four groups of 32 bytes
 *
 * Group g has sub-block 2g in its low nibbles and 2g + 1 in its high ones.  S, for the
 * scale sc and the minimum m of sub-block j:
 *
 *     byte    S[j], j < 4                S[4 + j]               S[8 + j]
 *     bits    0..5  sc[j]                0..5  m[j]             0..3  sc[4 + j] low
 *             6..7  sc[4 + j] high       6..7  m[4 + j] high    4..7  m[4 + j] low
 *
 *     value = (d * sc) * q - (dmin * m)   three roundings
 *
 * Encoding: an affine search per sub-block of 32 gives a scale and a minimum; the eight
 * of each kind are rounded to 6 bits; codes are then rounded anew, to nearest even of
 * (x + dmin * m) / (d * sc) with the stored numbers.  Weights of the search: root mean
 * square of the sub-block + |x|; with importances imp * sqrt(2 * mean x^2 of the block +
 * x^2), and a weighted fit of the 6-bit scales too.  A sub-block with d * sc = 0 keeps
 * the codes of the search: 'round' repeats the search there.
 *
 * All zero: the block is all zero bytes.  NaN: code 0, or what the fit of its sub-block
 * makes of it; infinity and overflow: d or dmin are not finite, which check reports.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LEN   256
#define BYTES 144
#define SUBS  8
#define SUB   32
#define TOP   15   /* largest code */
#define TOP6  63   /* largest 6-bit scale */

typedef struct q4_k_param {
    uint16_t d, dmin;
    uint8_t  sc[SUBS], m[SUBS];
} q4_k_param;

static lq_status check(const void *block)
{
    const uint8_t *b = block;
    lq_status status = lqi_check_f16(b);

    return status ? status : lqi_check_f16(b + 2);
}

/* ------------------------------------------------------------------ layout */

/* The reference packs bytes without masking sc and m, whose upper bits a search with
 * zero weights can set; they run into sub-block j + 4. */
static void pack_scales(const uint8_t *sc, const uint8_t *m, uint8_t *s)
{
    for (int j = 0; j < 4; j++) {
        s[j] = (uint8_t)(sc[j] | sc[j + 4] >> 4 << 6);
        s[4 + j] = (uint8_t)(m[j] | m[j + 4] >> 4 << 6);
        s[8 + j] = (uint8_t)((sc[j + 4] & 15) | (m[j + 4] & 15) << 4);
    }
}

static void unpack_scales(const uint8_t *s, uint8_t *sc, uint8_t *m)
{
    for (int j = 0; j < 4; j++) {
        sc[j] = s[j] & 63;
        m[j] = s[4 + j] & 63;
        sc[j + 4] = (uint8_t)((s[8 + j] & 15) | s[j] >> 6 << 4);
        m[j + 4] = (uint8_t)(s[8 + j] >> 4 | s[4 + j] >> 6 << 4);
    }
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const q4_k_param *p = param;
    uint8_t *b = block, *q = b + 16;

    lqi_store16(b, p->d);
    lqi_store16(b + 2, p->dmin);
    pack_scales(p->sc, p->m, b + 4);
    for (int g = 0; g < SUBS / 2; g++, q += SUB, codes += 2 * SUB)
        for (int i = 0; i < SUB; i++)
            q[i] = (uint8_t)(codes[i] | codes[i + SUB] << 4);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block, *q = b + 16;
    q4_k_param *p = param;

    p->d = lqi_load16(b);
    p->dmin = lqi_load16(b + 2);
    unpack_scales(b + 4, p->sc, p->m);
    for (int g = 0; g < SUBS / 2; g++, q += SUB, codes += 2 * SUB)
        for (int i = 0; i < SUB; i++) {
            codes[i] = q[i] & 15;
            codes[i + SUB] = q[i] >> 4;
        }
}

/* -------------------------------------------------------------- the search */

/* Search sub-block j; *weight is the sum of its weights. */
static lqi_qkx search(const lqi_fit *in, float ms2, int j, float *weight)
{
    static const lqi_qkx_plan plain = { -1.0f, 0.1f, TOP, 20 };
    static const lqi_qkx_plan weighted = { -0.9f, 0.05f, TOP, 36 };
    const float *x = in->x + SUB * j;
    float w[SUB];

    if (in->imp) {
        *weight = lqi_search_weights(x, in->imp + SUB * j, SUB, ms2, w);
        return lqi_make_qkx(&weighted, x, w, SUB);
    }
    float rms = sqrtf(lqi_sum_squares(x, SUB) / SUB);
    for (int i = 0; i < SUB; i++)
        w[i] = rms + fabsf(x[i]);
    *weight = 0;
    return lqi_make_qkx(&plain, x, w, SUB);
}

/* Twice the mean square of the block, which only importances need. */
static float mean_square2(const lqi_fit *in)
{
    return in->imp ? 2 * lqi_sum_squares(in->x, LEN) / LEN : 0;
}

/* Eight non-negative numbers to 6 bits by the largest; returns the scale. */
static float round_to_top(const float *v, uint8_t *codes)
{
    float top = 0;

    for (int j = 0; j < SUBS; j++)
        top = v[j] > top ? v[j] : top;
    float inverse = top > 0 ? TOP6 / top : 0;
    for (int j = 0; j < SUBS; j++) {
        uint8_t code = (uint8_t)lqi_nearest_int(inverse * v[j]);
        codes[j] = code > TOP6 ? TOP6 : code;
    }
    return top / TOP6;
}

static void fit(const lqi_fit *in, void *param)
{
    float scale[SUBS], min[SUBS], weight[SUBS], d, dmin;
    float ms2 = mean_square2(in);
    uint8_t sc[SUBS], m[SUBS], packed[12];
    q4_k_param *p = param;

    for (int j = 0; j < SUBS; j++) {
        lqi_qkx won = search(in, ms2, j, &weight[j]);
        scale[j] = won.scale;
        min[j] = won.min;
    }
    if (in->imp) {
        d = lqi_make_qp(scale, weight, SUBS, TOP6, sc);
        dmin = lqi_make_qp(min, weight, SUBS, TOP6, m);
    } else {
        d = round_to_top(scale, sc);
        dmin = round_to_top(min, m);
    }
    p->d = lqi_store_scale(d);
    p->dmin = lqi_store_scale(dmin);
    pack_scales(sc, m, packed);
    unpack_scales(packed, p->sc, p->m);
}

static void search_codes(const lqi_fit *in, int j, uint32_t *codes)
{
    float weight;
    lqi_qkx won = search(in, mean_square2(in), j, &weight);

    for (int i = 0; i < SUB; i++)
        codes[i] = lqi_qkx_code(&won, TOP, in->x[SUB * j + i]);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const q4_k_param *p = param;
    float d = lqi_f16_to_f32(p->d), dmin = lqi_f16_to_f32(p->dmin);

    for (int j = 0; j < SUBS; j++, codes += SUB) {
        float scale = d * p->sc[j], min = dmin * p->m[j];
        if (scale == 0) {
            search_codes(in, j, codes);
            continue;
        }
        for (int i = 0; i < SUB; i++) {
            int l = lqi_nearest_int((in->x[SUB * j + i] + min) / scale);
            codes[i] = (uint32_t)lqi_clamp_int(l, 0, TOP);
        }
    }
}

/* ---------------------------------------------------------------- decoding */

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const q4_k_param *p = param;
    float d = lqi_f16_to_f32(p->d), dmin = lqi_f16_to_f32(p->dmin);

    (void)spec;
    for (size_t i = 0; i < n; i++) {
        float scale = d * p->sc[i / SUB], min = dmin * p->m[i / SUB];
        y[i] = scale * (float)codes[i] - min;
    }
}

static void decode_block(const uint8_t *b, float *y)
{
    const uint8_t *q = b + 16;
    float d = lqi_f16_to_f32(lqi_load16(b)), dmin = lqi_f16_to_f32(lqi_load16(b + 2));
    uint8_t sc[SUBS], m[SUBS];

    unpack_scales(b + 4, sc, m);
    for (int j = 0; j < SUBS; j += 2, q += SUB, y += 2 * SUB) {
        float scale = d * sc[j], min = dmin * m[j];
        for (int i = 0; i < SUB; i++)
            y[i] = scale * (float)(q[i] & 15) - min;
        scale = d * sc[j + 1];
        min = dmin * m[j + 1];
        for (int i = 0; i < SUB; i++)
            y[i + SUB] = scale * (float)(q[i] >> 4) - min;
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

const lqi_format lqi_format_q4_k = {
    .name        = "q4_k",
    .text        = "GGUF: blocks of 256, 4-bit codes, 6-bit scales and minimums per 32",
    .id          = LQ_FORMAT_Q4_K,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .gguf        = 12,
    .param_bytes = sizeof(q4_k_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
