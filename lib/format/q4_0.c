/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q4_0.c - GGUF Q4_0: 32 nibbles around 8 and a scale
 *
 *     byte    0..1     2..17
 *     holds   d: f16   low nibbles: q[0..15], high nibbles: q[16..31]
 *
 *     value[j] = (q[j] - 8) * d           one rounding
 *
 * Without importances:
 *     d        = x of largest |x| (the first) / -8, stored as f16
 *     q[j]     = floor(x[j] * (1/d) + 8.5), at most 15, with d before it becomes f16
 *
 * With importances: weights imp * sqrt(mean x^2 of the row + x^2), the search make_qx,
 * and the codes that won there; the rounding of d to f16 does not change them.
 * Nearest, ties to even.
 *
 * All zero: d = 0, q = 8; with importances q = 0.  NaN: q = 8, and it does not take part
 * in the maximum.  Infinity or overflow of d: d is not finite, check reports it.  Where
 * 1/d is not finite (|d| below 2^-128; the stored d is 0 anyway) the reference is
 * undefined: here q = 8.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LEN   32
#define BYTES 18

/* How codes come from x * inverse; only 'd' is stored. */
enum { HALF_UP, NEAREST };

typedef struct q4_0_param {
    float    inverse;
    uint16_t d;
    uint16_t rounding;
} q4_0_param;

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

static float inverse_of(float d)
{
    float inverse = d != 0 ? 1 / d : 0;

    return lqi_finite(inverse) ? inverse : 0;
}

static void fit(const lqi_fit *in, void *param)
{
    q4_0_param *p = param;
    float w[LEN];

    if (!in->imp) {
        float d = lqi_extreme(in->x, LEN) / -8;
        *p = (q4_0_param){ inverse_of(d), lqi_store_scale(d), HALF_UP };
        return;
    }
    lqi_search_weights(in->x, in->imp, LEN, in->row_ms, w);
    lqi_qx won = lqi_make_qx(in->x, w, LEN, 8);
    *p = (q4_0_param){ won.inverse, lqi_store_scale(won.scale), NEAREST };
}

static uint32_t half_up(float v)
{
    if (!(v == v))
        return 8;
    v += 8.5f;
    v = v < 15 ? v : 15;
    return v > 0 ? (uint32_t)v : 0;
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const q4_0_param *p = param;

    for (int i = 0; i < LEN; i++)
        codes[i] = p->rounding == HALF_UP ? half_up(in->x[i] * p->inverse)
                                          : lqi_qx_code(p->inverse, 8, in->x[i]);
}

static inline float level(uint32_t code)
{
    return (float)((int)code - 8);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const q4_0_param *p = param;
    float d = lqi_f16_to_f32(p->d);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = level(codes[i]) * d;
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const q4_0_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int i = 0; i < LEN / 2; i++)
        b[2 + i] = (uint8_t)(codes[i] | codes[i + LEN / 2] << 4);
}

/* The scale comes back as stored: whoever rounds with it wants the nearest level. */
static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    q4_0_param *p = param;

    p->d = lqi_load16(b);
    p->inverse = inverse_of(lqi_f16_to_f32(p->d));
    p->rounding = HALF_UP;
    for (int i = 0; i < LEN / 2; i++) {
        codes[i] = b[2 + i] & 15;
        codes[i + LEN / 2] = b[2 + i] >> 4;
    }
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int i = 0; i < LEN / 2; i++)
        y[i] = level(b[2 + i] & 15) * d;
    for (int i = 0; i < LEN / 2; i++)
        y[i + LEN / 2] = level(b[2 + i] >> 4) * d;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

const lqi_format lqi_format_q4_0 = {
    .name        = "q4_0",
    .text        = "GGUF: blocks of 32, 4-bit codes, f16 scale",
    .id          = LQ_FORMAT_Q4_0,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .row_ms      = 1,
    .gguf        = 2,
    .param_bytes = sizeof(q4_0_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
