/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q8_0.c - GGUF Q8_0: 32 signed bytes and a scale
 *
 *     byte    0..1     2..33
 *     holds   d: f16   q[32]: i8
 *
 *     value[j] = q[j] * d                 one rounding
 *
 * Codes are the bytes, 0..255, two's complement.  Encoding, and what becomes of odd
 * numbers: absmax.h, with 127 as the largest code.
 *
 * Source of truth: ggml's generic C.  Its vector code for activations rounds ties to
 * even; weights in files never come from there.
 */
#include "lib/format/absmax.h"

#define LEN   32
#define BYTES 34
#define TOP   127

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

static void fit(const lqi_fit *in, void *param)
{
    lqi_absmax_fit(in->x, LEN, TOP, param);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_absmax *p = param;

    for (int i = 0; i < LEN; i++)
        codes[i] = (uint32_t)lqi_round_away(in->x[i] * p->inverse, -128, TOP) & 0xff;
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const lqi_absmax *p = param;
    float d = lqi_f16_to_f32(p->d);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = (float)lqi_signed_byte((uint8_t)codes[i]) * d;
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_absmax *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int i = 0; i < LEN; i++)
        b[2 + i] = (uint8_t)codes[i];
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;

    lqi_absmax_load(b, param);
    for (int i = 0; i < LEN; i++)
        codes[i] = b[2 + i];
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int i = 0; i < LEN; i++)
        y[i] = (float)lqi_signed_byte(b[2 + i]) * d;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static const lqi_tunable tunable[] = { LQI_TUNE_SCALE(lqi_absmax, d), { 0 } };

const lqi_format lqi_format_q8_0 = {
    .name        = "q8_0",
    .panel       = &lqi_panel_q8_0,
    .text        = "GGUF: blocks of 32, 8-bit codes, f16 scale",
    .id          = LQ_FORMAT_Q8_0,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 8,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16_I8X32,
    .encoder     = LQI_ENCODER_F16_I8X32,
    .gguf        = 8,
    .param_bytes = sizeof(lqi_absmax),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
