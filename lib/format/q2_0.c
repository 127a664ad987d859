/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q2_0.c - GGUF Q2_0: 64 codes of 2 bits around 1, and a scale
 *
 *     byte    0..1     2..17
 *     holds   d: f16   q: codes 4 i .. 4 i + 3 in byte i, from its low bits up
 *
 *     value[j] = (code[j] - 1) * d        one rounding
 *
 * Encoding, and what becomes of odd numbers: absmax.h, with 1 as the largest code;
 * only the second search writes code 3.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/absmax.h"

#define LEN   64
#define BYTES 18

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

static void fit(const lqi_fit *in, void *param)
{
    lqi_absmax_fit(in->x, LEN, 1, param);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    lqi_ternary_round(in->x, LEN, 2, param, codes);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    lqi_ternary_value(param, codes, n, y);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_absmax *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int i = 0; i < LEN; i += 4)
        b[2 + i / 4] = (uint8_t)(codes[i] | codes[i + 1] << 2 | codes[i + 2] << 4 |
                                 codes[i + 3] << 6);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;

    lqi_absmax_load(b, param);
    for (int i = 0; i < LEN; i++)
        codes[i] = b[2 + i / 4] >> 2 * (i % 4) & 3;
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int i = 0; i < LEN; i++)
        y[i] = (float)((b[2 + i / 4] >> 2 * (i % 4) & 3) - 1) * d;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static const lqi_tunable tunable[] = { LQI_TUNE_SCALE(lqi_absmax, d), { 0 } };

const lqi_format lqi_format_q2_0 = {
    .name        = "q2_0",
    .panel       = &lqi_panel_q2_0,
    .text        = "GGUF: blocks of 64, 2-bit codes, f16 scale",
    .id          = LQ_FORMAT_Q2_0,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 2,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16_PAIRS,
    .gguf        = 42,
    .param_bytes = sizeof(lqi_absmax),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
