/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq4_xs.c - GGUF IQ4_XS: 256 nibbles into a table of uneven levels, 8 scales
 *
 *     byte    0..1     2..3           4..7           8..135
 *     holds   d: f16   sh: u16        sl: nibbles    q: eight groups of 16 bytes
 *                      2 bits each    low first
 *
 * The scale l of sub-block j (32 weights) is nibble j of sl, with bits 2j and 2j + 1 of
 * sh above it.  Group j has weights 0..15 of the sub-block in its low nibbles, 16..31 in
 * its high ones.
 *
 *     value = (d * (l - 32)) * level(q)   two roundings; levels: iq4.h
 *
 * Encoding: per sub-block a search for the scale of least weighted error, weights x^2, or
 * with importances imp * sqrt(2 * mean x^2 of the block + x^2).  d is the scale of
 * largest magnitude (the first) / -32; l the nearest multiple of d; codes are the levels
 * nearest to x / (d * l) with d before it becomes f16.
 *
 * All scales zero: d = 0, l = 32, code 8.  A sub-block with a NaN or numbers whose square
 * overflows may have no scale, and nothing in the bytes tells: max_abs, the largest
 * number that a block can hold, lets the core refuse them.  Infinity likewise.  A sub-block
 * whose importances are all 0 has no scale either: l = 32.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/iq4.h"

#define LEN   256
#define BYTES 136
#define SUBS  8
#define SUB   LQI_IQ4_SUB
#define ZERO  32   /* scale of 0 */

enum { HIGH = 2, LOW = 4, Q = 8 };   /* byte offsets */

/* 'd' rounds, 'stored' is what files have. */
typedef struct iq4_xs_param {
    float    d;
    uint16_t stored;
    uint8_t  l[SUBS];   /* 0..63 */
} iq4_xs_param;

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

static void fit_scales(const float *scale, iq4_xs_param *p)
{
    p->d = -lqi_extreme(scale, SUBS) / ZERO;
    p->stored = lqi_store_scale(p->d);
    float inverse = p->d != 0 ? 1 / p->d : 0;
    for (int j = 0; j < SUBS; j++) {
        int l = lqi_clamp_int(lqi_nearest_int(inverse * scale[j]), -ZERO, ZERO - 1);
        p->l[j] = (uint8_t)(l + ZERO);
    }
}

static void fit(const lqi_fit *in, void *param)
{
    float scale[SUBS], ms2 = in->imp ? 2 * lqi_sum_squares(in->x, LEN) / LEN : 0;

    for (int j = 0; j < SUBS; j++)
        scale[j] = lqi_iq4_search(in->x + SUB * j, in->imp ? in->imp + SUB * j : NULL, ms2);
    fit_scales(scale, param);
}

/* What the numbers of sub-block j are multiplied with to find their levels. */
static float inverse_of(const iq4_xs_param *p, int j)
{
    float scale = p->d * (float)(p->l[j] - ZERO);

    return scale != 0 ? 1 / scale : 0;
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const iq4_xs_param *p = param;

    for (int j = 0; j < SUBS; j++)
        lqi_iq4_codes(in->x + SUB * j, inverse_of(p, j), codes + SUB * j);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const iq4_xs_param *p = param;
    float d = lqi_f16_to_f32(p->stored);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = d * (float)(p->l[i / SUB] - ZERO) * (float)lqi_iq4_level[codes[i]];
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const iq4_xs_param *p = param;
    uint8_t *b = block;
    unsigned high = 0;

    for (int j = 0; j < SUBS; j++) {
        high |= (unsigned)p->l[j] >> 4 << 2 * j;
        lqi_nibbles_write(codes + SUB * j, SUB / 2, b + Q + SUB / 2 * j);
    }
    lqi_store16(b, p->stored);
    lqi_store16(b + HIGH, (uint16_t)high);
    for (int j = 0; j < SUBS; j += 2)
        b[LOW + j / 2] = (uint8_t)((p->l[j] & 15) | (p->l[j + 1] & 15) << 4);
}

static inline uint8_t scale_at(const uint8_t *b, int j)
{
    return (uint8_t)((b[LOW + j / 2] >> 4 * (j % 2) & 15) |
                     (lqi_load16(b + HIGH) >> 2 * j & 3) << 4);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    iq4_xs_param *p = param;

    p->stored = lqi_load16(b);
    p->d = lqi_f16_to_f32(p->stored);
    for (int j = 0; j < SUBS; j++) {
        p->l[j] = scale_at(b, j);
        lqi_nibbles_read(b + Q + SUB / 2 * j, SUB / 2, codes + SUB * j);
    }
}

static void decode_block(const uint8_t *b, float *y)
{
    const uint8_t *q = b + Q;
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int j = 0; j < SUBS; j++, q += SUB / 2, y += SUB) {
        float scale = d * (float)(scale_at(b, j) - ZERO);
        for (int i = 0; i < SUB / 2; i++) {
            y[i] = scale * (float)lqi_iq4_level[q[i] & 15];
            y[i + SUB / 2] = scale * (float)lqi_iq4_level[q[i] >> 4];
        }
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static void encode_batch(lqi_batch *b)
{
    _Alignas(LQI_ALIGN) float ms2[LQI_LANES_MAX];
    const lqi_batch_plan plan = { .subs = SUBS, .len = SUB, .how = LQI_WEIGH_SQUARE, .ms = ms2 };
    lqi_subs s;

    if (b->imp[0])
        lqi_batch_mean_square(b, 2, 0, LEN, ms2);
    lqi_batch_levels(b, &plan, &lqi_iq4_levels, &s);
    for (size_t lane = 0; lane < b->count; lane++) {
        uint32_t codes[LEN];
        float scale[SUBS], inverse[SUBS];
        const lqi_rounding r = { .x = b->row[lane], .n = LEN, .group = SUB, .scale = inverse,
                                 .codes = codes };
        iq4_xs_param p;
        lqi_lane_floats(b, s.scale, lane, SUBS, scale);
        fit_scales(scale, &p);
        for (int j = 0; j < SUBS; j++)
            inverse[j] = inverse_of(&p, j);
        if (b->search->round_levels(&r, &lqi_iq4_levels))
            b->odd |= 1u << lane;
        pack(&p, codes, b->block[lane]);
    }
}

static void encode_many(const lqi_encode_run *run)
{
    lqi_encode_batches(&lqi_format_iq4_xs, NULL, run, encode_batch);
}

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(iq4_xs_param, stored),
    { (uint16_t)offsetof(iq4_xs_param, l), SUBS, LQI_TUNE_U8, 0, 63 },
    { 0 },
};

const lqi_format lqi_format_iq4_xs = {
    .name        = "iq4_xs",
    .panel       = &lqi_panel_iq4_xs,
    .text        = "GGUF: blocks of 256, 4-bit codes of uneven levels, 6-bit scales per 32",
    .id          = LQ_FORMAT_IQ4_XS,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16_TABLE4_SCALES,
    .table       = lqi_iq4_levels.level,
    .max_abs     = 65504.0f * 32 * 127,
    .gguf        = 23,
    .param_bytes = sizeof(iq4_xs_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode_many = encode_many,
};
