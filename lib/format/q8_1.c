/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q8_1.c - GGUF Q8_1: 32 signed bytes, a scale and a sum (activations)
 *
 *     byte    0..1     2..3     4..35
 *     holds   d: f16   s: f16   q[32]: i8
 *
 *     value[j] = q[j] * d                 one rounding
 *
 *     s        = d * sum of q, with d before it becomes f16; not used in decoding
 *
 * The format of activations in products with Q4_1 and Q5_1, not of weights in files.
 * The sum belongs to the codes that 'fit' found: it is a parameter.
 *
 * Codes are the bytes, 0..255, two's complement.  Encoding, and what becomes of odd
 * numbers: absmax.h, with 127 as the largest code.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/absmax.h"

#define LEN   32
#define BYTES 36
#define TOP   127

typedef struct q8_1_param {
    lqi_absmax scale;
    uint16_t   s;
} q8_1_param;

static lq_status check(const void *block)
{
    return lqi_check_f16_pair(block);
}

static inline int level(const q8_1_param *p, float x)
{
    return lqi_round_away(x * p->scale.inverse, -128, TOP);
}

static void fit(const lqi_fit *in, void *param)
{
    q8_1_param *p = param;
    float d = lqi_absmax_fit(in->x, LEN, TOP, &p->scale);
    int sum = 0;

    for (int i = 0; i < LEN; i++)
        sum += level(p, in->x[i]);
    p->s = lqi_store_scale((float)sum * d);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const q8_1_param *p = param;

    for (int i = 0; i < LEN; i++)
        codes[i] = (uint32_t)level(p, in->x[i]) & 0xff;
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const q8_1_param *p = param;
    float d = lqi_f16_to_f32(p->scale.d);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = (float)lqi_signed_byte((uint8_t)codes[i]) * d;
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const q8_1_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->scale.d);
    lqi_store16(b + 2, p->s);
    for (int i = 0; i < LEN; i++)
        b[4 + i] = (uint8_t)codes[i];
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    q8_1_param *p = param;

    lqi_absmax_load(b, &p->scale);
    p->s = lqi_load16(b + 2);
    for (int i = 0; i < LEN; i++)
        codes[i] = b[4 + i];
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int i = 0; i < LEN; i++)
        y[i] = (float)lqi_signed_byte(b[4 + i]) * d;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

const lqi_format lqi_format_q8_1 = {
    .name        = "q8_1",
    .panel       = &lqi_panel_q8_1,
    .text        = "GGUF: blocks of 32, 8-bit codes, f16 scale and sum, for activations",
    .id          = LQ_FORMAT_Q8_1,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 8,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16X2_I8X32,
    .encoder     = LQI_ENCODER_F16X2_I8X32,
    .gguf        = 9,
    .param_bytes = sizeof(q8_1_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
