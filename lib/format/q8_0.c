/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q8_0.c - GGUF Q8_0: 32 signed bytes and a scale
 *
 *     byte    0..1     2..33
 *     holds   d: f16   q[32]: i8
 *
 *     value[j] = q[j] * d                 one rounding
 *     d        = largest |x| / 127, stored as f16
 *     q[j]     = round(x[j] * (1/d)), with d before it becomes f16;
 *                ties away from zero
 *
 * Codes are the bytes, 0..255, two's complement.  Importances are not used.
 *
 * All zero: d = 0, q = 0.  NaN counts as 0 and does not take part in the maximum.
 * Infinity, or a maximum above 127 * 65504: d is infinite, check reports it.  Where 1/d
 * is not finite (d below 2^-128; the stored d is 0 anyway) the reference is undefined:
 * here q = 0.
 *
 * Source of truth: ggml's generic C.  Its vector code for activations rounds ties to
 * even; weights in files never come from there.
 */
#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LEN   32
#define BYTES 34

/* 'inverse' is what codes are rounded with; only 'd' is stored. */
typedef struct q8_0_param {
    float    inverse;
    uint16_t d;
} q8_0_param;

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
    float d = fabsf(lqi_extreme(in->x, LEN)) / 127;
    q8_0_param *p = param;

    p->d = lqi_store_scale(d);
    p->inverse = inverse_of(d);
}

/*
 * Ties away from zero by truncation: adding 0.5 would be wrong just below one half,
 * its predecessor is right for every float.  NaN gives 0.
 */
static int round_away(float v)
{
    if (!(v == v))
        return 0;
    v = v > 127 ? 127 : v;
    v = v < -128 ? -128 : v;
    return (int)(v + copysignf(0x1.fffffep-2f, v));
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const q8_0_param *p = param;

    for (int i = 0; i < LEN; i++)
        codes[i] = (uint32_t)round_away(in->x[i] * p->inverse) & 0xff;
}

/* Code, or byte, to number without relying on how narrowing treats the sign. */
static inline float level(uint32_t code)
{
    return (float)((int)(code ^ 0x80) - 128);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const q8_0_param *p = param;
    float d = lqi_f16_to_f32(p->d);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = level(codes[i]) * d;
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const q8_0_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int i = 0; i < LEN; i++)
        b[2 + i] = (uint8_t)codes[i];
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    q8_0_param *p = param;

    p->d = lqi_load16(b);
    p->inverse = inverse_of(lqi_f16_to_f32(p->d));
    for (int i = 0; i < LEN; i++)
        codes[i] = b[2 + i];
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int i = 0; i < LEN; i++)
        y[i] = level(b[2 + i]) * d;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

const lqi_format lqi_format_q8_0 = {
    .name        = "q8_0",
    .text        = "GGUF: blocks of 32, 8-bit codes, f16 scale",
    .id          = LQ_FORMAT_Q8_0,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 8,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16_I8X32,
    .gguf        = 8,
    .param_bytes = sizeof(q8_0_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
