/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q6_k.c - GGUF Q6_K: 256 codes of 6 bits around 32, 16 scales of 8 bits
 *
 *     byte    0..127              128..191            192..207        208..209
 *     holds   ql: low 4 bits      qh: high 2 bits     sc[16]: i8      d: f16
 *
 * Each half of 128 weights has 64 bytes of ql and 32 of qh.  For l in [0, 32):
 *
 *     weight      l               l + 32           l + 64           l + 96
 *     low bits    ql[l] 0..3      ql[l + 32] 0..3  ql[l] 4..7       ql[l + 32] 4..7
 *     high bits   qh[l] 0..1      qh[l] 2..3       qh[l] 4..5       qh[l] 6..7
 *
 *     value = (d * sc) * (q - 32)         two roundings; sc per 16 weights
 *
 * Encoding: the search make_qx per 16 weights, weighted with x^2 or, if there are any,
 * the importances as they are.  The scale of largest magnitude (the first) becomes
 * -128, d is its inverse factor; codes are then rounded anew, to nearest even of
 * x / (d * sc) with the stored numbers.  A sub-block with d * sc = 0 keeps the codes of
 * the search: 'round' repeats the search there.
 *
 * All scales below 1e-15: the block is all zero bytes, the codes too (value -0).  A
 * sub-block with a NaN, an infinity or a number whose square overflows (1e19 and more)
 * has no scale: it becomes zero, and nothing in the bytes tells.  With importances, and
 * with numbers that large throughout, d may be infinite or NaN, which check reports.
 * max_abs, the largest number that a block can hold, lets the core refuse all of these.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/batch.h"
#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LEN   256
#define BYTES 210
#define SUBS  16
#define SUB   16
#define ZERO  32    /* code of value 0 */

enum { QH = 128, SC = 192, D = 208 };   /* byte offsets */

typedef struct q6_k_param {
    uint16_t d;
    int8_t   sc[SUBS];
} q6_k_param;

static lq_status check(const void *block)
{
    return lqi_check_f16((const uint8_t *)block + D);
}

/* -------------------------------------------------------------- the search */

static lqi_qx search(const lqi_fit *in, int j)
{
    const float *x = in->x + SUB * j;
    float square[SUB];

    if (in->imp)
        return lqi_make_qx(x, in->imp + SUB * j, SUB, ZERO);
    for (int i = 0; i < SUB; i++)
        square[i] = x[i] * x[i];
    return lqi_make_qx(x, square, SUB, ZERO);
}

static void fit_scales(const float *scale, q6_k_param *p)
{
    float extreme = lqi_extreme(scale, SUBS);

    *p = (q6_k_param){ 0 };
    if (fabsf(extreme) < LQI_SEARCH_EPS)
        return;

    float inverse = -128.0f / extreme;
    p->d = lqi_store_scale(1 / inverse);
    for (int j = 0; j < SUBS; j++) {
        int sc = lqi_nearest_int(inverse * scale[j]);
        p->sc[j] = (int8_t)lqi_signed_byte((uint8_t)(sc > 127 ? 127 : sc));
    }
}

static void fit(const lqi_fit *in, void *param)
{
    float scale[SUBS];

    for (int j = 0; j < SUBS; j++)
        scale[j] = search(in, j).scale;
    fit_scales(scale, param);
}

static int all_zero(const q6_k_param *p)
{
    int empty = 1;

    for (int j = 0; j < SUBS; j++)
        empty &= p->sc[j] == 0;
    return empty;
}

/* Codes of a sub-block whose scale is 0; 'empty' if those of the whole block are. */
static void search_codes(const lqi_fit *in, int j, int empty, uint32_t *codes)
{
    lqi_qx won = { 0, 0 };

    if (!empty)
        won = search(in, j);
    for (int i = 0; i < SUB; i++)
        codes[i] = lqi_qx_code(won.inverse, ZERO, in->x[SUB * j + i]);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const q6_k_param *p = param;
    float d = lqi_f16_to_f32(p->d);
    int empty = all_zero(p);

    for (int j = 0; j < SUBS; j++, codes += SUB) {
        float scale = d * p->sc[j];
        if (scale == 0) {
            search_codes(in, j, empty, codes);
            continue;
        }
        for (int i = 0; i < SUB; i++) {
            int l = lqi_nearest_int(in->x[SUB * j + i] / scale);
            codes[i] = (uint32_t)(lqi_clamp_int(l, -ZERO, ZERO - 1) + ZERO);
        }
    }
}

/* ------------------------------------------------------------------ layout */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const q6_k_param *p = param;
    uint8_t *b = block;

    for (int half = 0; half < 2; half++, codes += 128) {
        uint8_t *ql = b + 64 * half, *qh = b + QH + 32 * half;
        for (int l = 0; l < 32; l++) {
            uint32_t c0 = codes[l], c1 = codes[l + 32], c2 = codes[l + 64], c3 = codes[l + 96];
            ql[l] = (uint8_t)((c0 & 15) | (c2 & 15) << 4);
            ql[l + 32] = (uint8_t)((c1 & 15) | (c3 & 15) << 4);
            qh[l] = (uint8_t)(c0 >> 4 | c1 >> 4 << 2 | c2 >> 4 << 4 | c3 >> 4 << 6);
        }
    }
    for (int j = 0; j < SUBS; j++)
        b[SC + j] = (uint8_t)p->sc[j];
    lqi_store16(b + D, p->d);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    q6_k_param *p = param;

    for (int half = 0; half < 2; half++, codes += 128) {
        const uint8_t *ql = b + 64 * half, *qh = b + QH + 32 * half;
        for (int l = 0; l < 32; l++) {
            codes[l] = (ql[l] & 15u) | (qh[l] & 3u) << 4;
            codes[l + 32] = (ql[l + 32] & 15u) | (qh[l] >> 2 & 3u) << 4;
            codes[l + 64] = ql[l] >> 4 | (qh[l] >> 4 & 3u) << 4;
            codes[l + 96] = ql[l + 32] >> 4 | (qh[l] >> 6 & 3u) << 4;
        }
    }
    for (int j = 0; j < SUBS; j++)
        p->sc[j] = (int8_t)lqi_signed_byte(b[SC + j]);
    p->d = lqi_load16(b + D);
}

/* ---------------------------------------------------------------- decoding */

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const q6_k_param *p = param;
    float d = lqi_f16_to_f32(p->d);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = d * p->sc[i / SUB] * (float)((int)codes[i] - ZERO);
}

/* 32 weights with two scales: four low bits at 'low_shift', two high ones. */
static inline void decode_32(const uint8_t *ql, int low_shift, const uint8_t *qh,
                             int high_shift, const float *scale, float *y)
{
    for (int i = 0; i < 32; i++) {
        int q = (ql[i] >> low_shift & 15) | (qh[i] >> high_shift & 3) << 4;
        y[i] = scale[i / SUB] * (float)(q - ZERO);
    }
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b + D)), scale[SUBS];

    for (int j = 0; j < SUBS; j++)
        scale[j] = d * (float)lqi_signed_byte(b[SC + j]);
    for (int half = 0; half < 2; half++, y += 128) {
        const uint8_t *ql = b + 64 * half, *qh = b + QH + 32 * half;
        const float *s = scale + 8 * half;
        decode_32(ql, 0, qh, 0, s, y);
        decode_32(ql + 32, 0, qh, 2, s + 2, y + 32);
        decode_32(ql, 4, qh, 4, s + 4, y + 64);
        decode_32(ql + 32, 4, qh, 6, s + 6, y + 96);
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

/* -------------------------------------------------------- many superblocks */

/* The same from the searches of one lane. */
static void encode_lane(lqi_batch *b, const lqi_subs *s, size_t lane)
{
    float scale[SUBS], inverse[SUBS], d;
    uint32_t codes[LEN];
    const lqi_rounding r = { .x = b->row[lane], .n = LEN, .group = SUB, .scale = scale,
                             .lo = -ZERO, .hi = ZERO - 1, .codes = codes };
    q6_k_param p;
    int empty;

    lqi_lane_floats(b, s->scale, lane, SUBS, scale);
    lqi_lane_floats(b, s->inverse, lane, SUBS, inverse);
    fit_scales(scale, &p);
    d = lqi_f16_to_f32(p.d);
    empty = all_zero(&p);
    for (int j = 0; j < SUBS; j++) {
        scale[j] = d * p.sc[j];
        for (int i = SUB * j; i < SUB * (j + 1) && scale[j] == 0; i++)
            codes[i] = lqi_qx_code(empty ? 0 : inverse[j], ZERO, r.x[i]);
    }
    if (b->search->round(&r))
        b->odd |= 1u << lane;
    pack(&p, codes, b->block[lane]);
}

static void encode_batch(lqi_batch *b)
{
    const lqi_batch_plan plan = { .subs = SUBS, .len = SUB, .how = LQI_WEIGH_SQUARE };
    lqi_subs s;

    lqi_batch_symmetric(b, &plan, ZERO, &s);
    for (size_t lane = 0; lane < b->count; lane++)
        if (!(b->odd >> lane & 1))
            encode_lane(b, &s, lane);
}

static void encode_many(const lqi_encode_run *run)
{
    lqi_encode_batches(&lqi_format_q6_k, NULL, run, encode_batch);
}

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(q6_k_param, d),
    { (uint16_t)offsetof(q6_k_param, sc), SUBS, LQI_TUNE_I8, -128, 127 },
    { 0 },
};

const lqi_format lqi_format_q6_k = {
    .name        = "q6_k",
    .panel       = &lqi_panel_q6_k,
    .text        = "GGUF: blocks of 256, 6-bit codes, 8-bit scales per 16",
    .id          = LQ_FORMAT_Q6_K,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 6,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_SYMMETRIC_6_BITS,
    .max_abs     = 65504.0f * 128 * 32,
    .gguf        = 14,
    .param_bytes = sizeof(q6_k_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode_many = encode_many,
};
