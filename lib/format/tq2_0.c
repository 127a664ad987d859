/* SPDX-License-Identifier: MIT */
/*
 * lib/format/tq2_0.c - GGUF TQ2_0: 256 ternary weights in 2 bits, and a scale
 *
 *     byte    0..63              64..65
 *     holds   q: 2 x 32 bytes    d: f16
 *
 * Each 32 bytes of q hold half a block, 128 codes: byte i has codes i, i + 32, i + 64
 * and i + 96 from its low bits up.
 *
 *     value[j] = (code[j] - 1) * d        one rounding
 *
 * Encoding, and what becomes of odd numbers: absmax.h, with 1 as the largest code;
 * only the second search writes code 3.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/absmax.h"

#define LEN   256
#define BYTES 66
#define D     64   /* byte offset */

static lq_status check(const void *block)
{
    return lqi_check_f16((const uint8_t *)block + D);
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

    lqi_pairs_write(codes, 32, b);
    lqi_pairs_write(codes + 128, 32, b + 32);
    lqi_store16(b + D, p->d);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;

    lqi_pairs_read(b, 32, codes);
    lqi_pairs_read(b + 32, 32, codes + 128);
    lqi_absmax_load(b + D, param);
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b + D));

    for (int k = 0; k < LEN / 32; k++, y += 32)
        for (int i = 0; i < 32; i++)
            y[i] = (float)((b[32 * (k / 4) + i] >> 2 * (k % 4) & 3) - 1) * d;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static const lqi_tunable tunable[] = { LQI_TUNE_SCALE(lqi_absmax, d), { 0 } };

const lqi_format lqi_format_tq2_0 = {
    .name        = "tq2_0",
    .panel       = &lqi_panel_tq2_0,
    .text        = "GGUF: blocks of 256, ternary codes in 2 bits, f16 scale",
    .id          = LQ_FORMAT_TQ2_0,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 2,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_TERNARY_PAIRS,
    .encoder     = LQI_ENCODER_TERNARY_PAIRS,
    .gguf        = 35,
    .param_bytes = sizeof(lqi_absmax),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
