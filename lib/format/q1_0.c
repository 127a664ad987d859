/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q1_0.c - GGUF Q1_0: 128 signs and a scale
 *
 *     byte    0..1     2..17
 *     holds   d: f16   code 8 i + k: bit k of byte i
 *
 *     value[j] = code[j] ? d : -d         exact
 *     d        = mean of |x|, summed from the left, stored as f16
 *     code[j]  = x[j] >= 0
 *
 * Importances are not used.
 *
 * All zero: d = 0, every code 1.  NaN, infinity, overflow of the sum or of d: d is not
 * finite, check reports it.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/blocked.h"

#define LEN   128
#define BYTES 18

typedef struct q1_0_param {
    uint16_t d;
} q1_0_param;

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

static void fit(const lqi_fit *in, void *param)
{
    q1_0_param *p = param;
    float sum = 0;

    for (int i = 0; i < LEN; i++)
        sum += fabsf(in->x[i]);
    p->d = lqi_store_scale(sum / LEN);
}

/* A negative d, which only other writers store, turns the codes round. */
static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const q1_0_param *p = param;
    uint32_t negative = p->d >> 15;

    for (int i = 0; i < LEN; i++)
        codes[i] = (in->x[i] >= 0) ^ negative;
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const q1_0_param *p = param;
    float d = lqi_f16_to_f32(p->d);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = codes[i] ? d : -d;
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const q1_0_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int i = 0; i < LEN; i += 32)
        lqi_bits_write(codes + i, 0, b + 2 + i / 8);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    q1_0_param *p = param;

    p->d = lqi_load16(b);
    for (int i = 0; i < LEN; i++)
        codes[i] = b[2 + i / 8] >> i % 8 & 1;
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int i = 0; i < LEN; i++)
        y[i] = b[2 + i / 8] >> i % 8 & 1 ? d : -d;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static const lqi_tunable tunable[] = { LQI_TUNE_SCALE(q1_0_param, d), { 0 } };

const lqi_format lqi_format_q1_0 = {
    .name        = "q1_0",
    .panel       = &lqi_panel_q1_0,
    .text        = "GGUF: blocks of 128, signs, f16 scale",
    .id          = LQ_FORMAT_Q1_0,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 1,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16_BITS,
    .gguf        = 41,
    .param_bytes = sizeof(q1_0_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
