/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q3_k.c - GGUF Q3_K: 256 codes of 3 bits around 4, 16 scales of 6 bits
 *
 *     byte    0..31                    32..95              96..107           108..109
 *     holds   hmask: bit k of byte i   q: 2 x 32 bytes,    S: 16 x 6 bits    d: f16
 *             is bit 2 of code         bits 0..1 of the
 *             32 k + i                 codes, as in Q2_K
 *
 * S, for the scale sc of sub-block j (16 codes each):
 *
 *     byte    S[j], j < 8          S[8 + j], j < 4
 *     bits    0..3  sc[j]          0..1  sc[j] high         4..5  sc[8 + j] high
 *             4..7  sc[8 + j]      2..3  sc[4 + j] high     6..7  sc[12 + j] high
 *
 *     value = (d * (sc - 32)) * (code - 4)     two roundings
 *
 * Encoding: a symmetric search per sub-block, by coordinate descent; the scale of largest
 * magnitude (the first) becomes -32, d is its inverse factor.  With importances: weights
 * imp * sqrt(2 * mean x^2 of the block + x^2), the search make_qx, and again make_qx over
 * the scales, weighted with the sums of weights.  Codes are then rounded anew, to nearest
 * even of x / (d * sc) with the stored numbers.  A sub-block with d * sc = 0 keeps the
 * codes of the search: 'round' repeats the search there.
 *
 * All scales zero: the block is all zero bytes.  A sub-block with a NaN, an infinity or
 * numbers whose square overflows may have no scale: it becomes zero, and nothing in the
 * bytes tells.  max_abs, the largest number that a block can hold, lets the core refuse
 * them.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/batch.h"
#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LEN   256
#define BYTES 110
#define SUBS  16
#define SUB   16
#define MID   4     /* code of value 0 */
#define ZERO  32    /* scale of 0 */

enum { Q = 32, SCALES = 96, D = 108 };   /* byte offsets */

typedef struct q3_k_param {
    uint16_t d;
    uint8_t  sc[SUBS];   /* 0..63 */
} q3_k_param;

static lq_status check(const void *block)
{
    return lqi_check_f16((const uint8_t *)block + D);
}

/* -------------------------------------------------------------- the search */

static float mean_square2(const lqi_fit *in)
{
    return in->imp ? 2 * lqi_sum_squares(in->x, LEN) / LEN : 0;
}

/* Search sub-block j: its scale, codes, and with importances the sum of its weights. */
static float search(const lqi_fit *in, float ms2, int j, uint32_t *codes, float *weight)
{
    const float *x = in->x + SUB * j;
    float w[SUB];

    *weight = 0;
    if (!in->imp)
        return lqi_make_q3(x, SUB, MID, codes);
    *weight = lqi_search_weights(x, in->imp + SUB * j, SUB, ms2, w);
    lqi_qx won = lqi_make_qx(x, w, SUB, MID);
    for (int i = 0; i < SUB; i++)
        codes[i] = lqi_qx_code(won.inverse, MID, x[i]);
    return won.scale;
}

static void fit_scales(const float *scale, q3_k_param *p)
{
    float extreme = lqi_extreme(scale, SUBS);

    *p = (q3_k_param){ 0 };
    if (extreme == 0)
        return;
    float inverse = (float)-ZERO / extreme;
    for (int j = 0; j < SUBS; j++) {
        int l = lqi_clamp_int(lqi_nearest_int(inverse * scale[j]), -ZERO, ZERO - 1);
        p->sc[j] = (uint8_t)(l + ZERO);
    }
    p->d = lqi_store_scale(1 / inverse);
}

static void scales_of(lqi_qx won, const float *scale, q3_k_param *p)
{
    for (int j = 0; j < SUBS; j++)
        p->sc[j] = (uint8_t)lqi_qx_code(won.inverse, ZERO, scale[j]);
    p->d = lqi_store_scale(won.scale);
}

static void fit(const lqi_fit *in, void *param)
{
    float scale[SUBS], weight[SUBS], ms2 = mean_square2(in);
    uint32_t codes[SUB];
    q3_k_param *p = param;

    for (int j = 0; j < SUBS; j++)
        scale[j] = search(in, ms2, j, codes, &weight[j]);
    if (!in->imp) {
        fit_scales(scale, p);
        return;
    }
    scales_of(lqi_make_qx(scale, weight, SUBS, ZERO), scale, p);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const q3_k_param *p = param;
    float d = lqi_f16_to_f32(p->d), weight;

    for (int j = 0; j < SUBS; j++, codes += SUB) {
        float scale = d * (float)(p->sc[j] - ZERO);
        if (scale == 0) {
            search(in, mean_square2(in), j, codes, &weight);
            continue;
        }
        for (int i = 0; i < SUB; i++) {
            int l = lqi_nearest_int(in->x[SUB * j + i] / scale);
            codes[i] = (uint32_t)(lqi_clamp_int(l, -MID, MID - 1) + MID);
        }
    }
}

/* ------------------------------------------------------------------ layout */

static void scales_write(const uint8_t *sc, uint8_t *s)
{
    for (int j = 0; j < 8; j++)
        s[j] = (uint8_t)((sc[j] & 15) | (sc[j + 8] & 15) << 4);
    for (int j = 0; j < 4; j++)
        s[8 + j] = (uint8_t)(sc[j] >> 4 | sc[j + 4] >> 4 << 2 | sc[j + 8] >> 4 << 4 |
                             sc[j + 12] >> 4 << 6);
}

static void scales_read(const uint8_t *s, uint8_t *sc)
{
    for (int j = 0; j < SUBS; j++) {
        int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
        sc[j] = (uint8_t)(low | (s[8 + j % 4] >> 2 * (j / 4) & 3) << 4);
    }
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const q3_k_param *p = param;
    uint8_t *b = block;

    memset(b, 0, Q);
    for (int i = 0; i < LEN; i++)
        b[i % 32] |= (uint8_t)((codes[i] >> 2 & 1) << i / 32);
    lqi_pairs_write(codes, 32, b + Q);
    lqi_pairs_write(codes + 128, 32, b + Q + 32);
    scales_write(p->sc, b + SCALES);
    lqi_store16(b + D, p->d);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    q3_k_param *p = param;

    lqi_pairs_read(b + Q, 32, codes);
    lqi_pairs_read(b + Q + 32, 32, codes + 128);
    for (int i = 0; i < LEN; i++)
        codes[i] |= (b[i % 32] >> i / 32 & 1u) << 2;
    scales_read(b + SCALES, p->sc);
    p->d = lqi_load16(b + D);
}

/* ---------------------------------------------------------------- decoding */

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const q3_k_param *p = param;
    float d = lqi_f16_to_f32(p->d);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = d * (float)(p->sc[i / SUB] - ZERO) * (float)((int)codes[i] - MID);
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b + D));
    uint8_t sc[SUBS];

    scales_read(b + SCALES, sc);
    for (int j = 0; j < SUBS; j++, y += SUB) {
        const uint8_t *q = b + Q + 32 * (j / 8) + SUB * (j % 2), *high = b + SUB * (j % 2);
        int shift = 2 * (j % 8 / 2), bit = j / 2;
        float scale = d * (float)(sc[j] - ZERO);
        for (int i = 0; i < SUB; i++)
            y[i] = scale * (float)((q[i] >> shift & 3) + 4 * (high[i] >> bit & 1) - MID);
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

/* -------------------------------------------------------- many superblocks */

typedef struct searched {
    lqi_subs subs;
    uint8_t  codes[LEN * LQI_LANES_MAX];            /* without importances */
    _Alignas(LQI_ALIGN) float scale[LQI_LANES_MAX];   /* of the scales, with them */
    _Alignas(LQI_ALIGN) float inverse[LQI_LANES_MAX];
} searched;

static void search_weighted(lqi_batch *b, searched *s)
{
    _Alignas(LQI_ALIGN) float ms[LQI_LANES_MAX];
    const lqi_batch_plan plan = { .subs = SUBS, .len = SUB, .ms = ms };
    const lqi_symmetric_search again = { .x = s->subs.scale, .w = s->subs.weight, .groups = 1,
                                         .n = SUBS, .nmax = ZERO, .scale = s->scale,
                                         .inverse = s->inverse };

    lqi_batch_mean_square(b, 2, 0, LEN, ms);
    lqi_batch_symmetric(b, &plan, MID, &s->subs);
    b->odd |= b->search->symmetric(&again);
}

/* What the search of sub-block j ended with. */
static void kept_codes(const lqi_batch *b, const searched *s, size_t lane, size_t j,
                       uint32_t *codes)
{
    float inverse = s->subs.inverse[j * b->lanes + lane];

    for (size_t i = 0; i < SUB; i++)
        codes[i] = b->imp[0] ? lqi_qx_code(inverse, MID, b->row[lane][SUB * j + i])
                             : s->codes[(SUB * j + i) * b->lanes + lane];
}

static void encode_lane(lqi_batch *b, const searched *s, size_t lane)
{
    float scale[SUBS], d;
    uint32_t codes[LEN];
    const lqi_rounding r = { .x = b->row[lane], .n = LEN, .group = SUB, .scale = scale,
                             .lo = -MID, .hi = MID - 1, .codes = codes };
    q3_k_param p;

    lqi_lane_floats(b, s->subs.scale, lane, SUBS, scale);
    if (b->imp[0])
        scales_of((lqi_qx){ s->scale[lane], s->inverse[lane] }, scale, &p);
    else
        fit_scales(scale, &p);
    d = lqi_f16_to_f32(p.d);
    for (size_t j = 0; j < SUBS; j++) {
        scale[j] = d * (float)(p.sc[j] - ZERO);
        if (scale[j] == 0)
            kept_codes(b, s, lane, j, codes + SUB * j);
    }
    if (b->search->round(&r))
        b->odd |= 1u << lane;
    pack(&p, codes, b->block[lane]);
}

static void encode_batch(lqi_batch *b)
{
    const lqi_batch_plan plan = { .subs = SUBS, .len = SUB, .how = LQI_WEIGH_SQUARE };
    searched s;

    if (b->imp[0])
        search_weighted(b, &s);
    else
        lqi_batch_descend(b, &plan, MID, &s.subs, s.codes);
    for (size_t lane = 0; lane < b->count; lane++)
        if (!(b->odd >> lane & 1))
            encode_lane(b, &s, lane);
}

static void encode_many(const lqi_encode_run *run)
{
    lqi_encode_batches(&lqi_format_q3_k, NULL, run, encode_batch);
}

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(q3_k_param, d),
    { (uint16_t)offsetof(q3_k_param, sc), SUBS, LQI_TUNE_U8, 0, 63 },
    { 0 },
};

const lqi_format lqi_format_q3_k = {
    .name        = "q3_k",
    .panel       = &lqi_panel_q3_k,
    .text        = "GGUF: blocks of 256, 3-bit codes, 6-bit scales per 16",
    .id          = LQ_FORMAT_Q3_K,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 3,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_SYMMETRIC_3_BITS,
    .max_abs     = 65504.0f * 32 * 4,
    .gguf        = 11,
    .param_bytes = sizeof(q3_k_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode_many = encode_many,
};
