/* SPDX-License-Identifier: MIT */
/*
 * lib/format/gguf_mxfp4.c - GGUF MXFP4: 32 4-bit floats and a power of two, in a block
 *
 *     byte    0         1..16
 *     holds   e: E8M0   low nibbles: q[0..15], high nibbles: q[16..31]
 *
 *     value[j] = level(q[j]) * 2^(e - 128)        one rounding; levels: e2m1.h
 *     e        = floor(log2f(largest |x|)) - 2 + 127
 *     q[j]     = nearest level, ties towards zero
 *
 * log2f is rounded to a float.  Just below a power of two 2^k that float can be k, so
 * that numbers there count as 2^k: those above 2^k * (1 - half an ulp of log2's result *
 * ln 2).  This is not the rule of OCP MX (which the planar format "mxfp4" follows): a
 * largest |x| in (6, 8) * 2^k is cut to 6 * 2^k.
 *
 * All zero: e = 0, code 0.  NaN: code 0, and it does not take part in the maximum.
 * Infinity: e = 255, which check reports; decoding takes it as 2^127 all the same.
 * Maxima below 2^-125, where e would be negative and the reference is undefined: e = 0.
 *
 * Importances are not used.  Source of truth: ggml's generic C.
 */
#include "lib/format/e2m1.h"

#define LEN   32
#define BYTES 17

typedef struct mxfp4_param {
    uint8_t e;
} mxfp4_param;

static lq_status check(const void *block)
{
    return *(const uint8_t *)block == 255 ? LQ_ERR_NONFINITE : LQ_OK;
}

/* 2^(e - 128): for 0 and 1 a denormal. */
static inline float scale_of(uint8_t e)
{
    return lqi_bits_float(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}

/* How many of the last floats below 2^k have a log2f of k: those 2^k (1 - j 2^-24) with
 * j / ln 2 less than half an ulp of the numbers next to k, 2^n 2^-24. */
static uint32_t rounded_up(int k)
{
    static const uint8_t last[7] = { 0, 1, 2, 5, 11, 22, 44 };   /* floor(ln 2 * 2^n) */
    int below = k > 0 ? k - 1 : -k, n = 0;

    while (below >> n > 1)
        n++;
    return last[n];
}

/* floor(log2f(a)) of a normal number. */
static int floor_log2f(float a)
{
    uint32_t bits = lqi_float_bits(a), fraction = bits & 0x7fffff;
    int k = (int)(bits >> 23) - 127;

    return k + (fraction >= 0x800000 - rounded_up(k + 1));
}

static void fit(const lqi_fit *in, void *param)
{
    mxfp4_param *p = param;
    float amax = fabsf(lqi_extreme(in->x, LEN));

    p->e = 0;
    if (!lqi_finite(amax))
        p->e = 255;
    else if (amax >= 0x1p-125f)
        p->e = (uint8_t)(floor_log2f(amax) + 125);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const mxfp4_param *p = param;

    for (int i = 0; i < LEN; i++)
        codes[i] = lqi_e2m1_code(in->x[i], scale_of(p->e));
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const mxfp4_param *p = param;

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = lqi_e2m1_level(codes[i]) * scale_of(p->e);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const mxfp4_param *p = param;
    uint8_t *b = block;

    b[0] = p->e;
    lqi_nibbles_write(codes, LEN / 2, b + 1);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    mxfp4_param *p = param;

    p->e = b[0];
    lqi_nibbles_read(b + 1, LEN / 2, codes);
}

static void decode_block(const uint8_t *b, float *y)
{
    float scale = scale_of(b[0]);

    for (int i = 0; i < LEN / 2; i++) {
        y[i] = lqi_e2m1_level(b[1 + i] & 15) * scale;
        y[i + LEN / 2] = lqi_e2m1_level(b[1 + i] >> 4) * scale;
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

/* The levels of e2m1.h, for decoders. */
static const float levels[16] = LQI_E2M1_LEVELS;

static const lqi_tunable tunable[] = {
    { (uint16_t)offsetof(mxfp4_param, e), 1, LQI_TUNE_U8, 0, 254 },
    { 0 },
};

const lqi_format lqi_format_gguf_mxfp4 = {
    .name        = "mxfp4_gguf",
    .panel       = &lqi_panel_gguf_mxfp4,
    .text        = "GGUF MXFP4: blocks of 32, 4-bit floats, E8M0 scale",
    .id          = LQ_FORMAT_GGUF_MXFP4,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_E8M0_TABLE4,
    .encoder     = LQI_ENCODER_E8M0_TABLE4,
    .table       = levels,
    .gguf        = 39,
    .param_bytes = sizeof(mxfp4_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
