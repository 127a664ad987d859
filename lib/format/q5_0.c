/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q5_0.c - GGUF Q5_0: 32 codes of 5 bits around 16 and a scale
 *
 *     byte    0..1     2..5                     6..21
 *     holds   d: f16   bit j: bit 4 of q[j]     bits 0..3 of q, as in Q4_0
 *
 *     value[j] = (q[j] - 16) * d           one rounding
 *
 * Encoding, and what becomes of odd numbers: symmetric32.h.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/symmetric32.h"

#define LEN   LQI_SYMMETRIC32_LEN
#define BYTES 22
#define MID   16

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

static void fit(const lqi_fit *in, void *param)
{
    lqi_symmetric32_fit(in, MID, param);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    lqi_symmetric32_round(in, MID, param, codes);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    lqi_symmetric32_value(param, MID, codes, n, y);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_symmetric32 *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    lqi_bits_write(codes, 4, b + 2);
    lqi_nibbles_write(codes, LEN / 2, b + 6);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;

    lqi_symmetric32_load(b, param);
    lqi_nibbles_read(b + 6, LEN / 2, codes);
    lqi_bits_read(b + 2, 4, codes);
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b));
    uint32_t high = lqi_load32(b + 2);

    for (int i = 0; i < LEN / 2; i++)
        y[i] = (float)((b[6 + i] & 15) + (int)(high >> i & 1) * 16 - MID) * d;
    for (int i = 0; i < LEN / 2; i++)
        y[i + LEN / 2] = (float)((b[6 + i] >> 4) + (int)(high >> (i + 16) & 1) * 16 - MID) * d;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static void encode_batch(lqi_batch *b)
{
    lqi_symmetric32_batch(b, MID);
}

/* Searches are for importances; without, the range of a block says it all. */
static void encode_many(const lqi_encode_run *run)
{
    lqi_encode_batches(&lqi_format_q5_0, NULL, run, run->imp ? encode_batch : NULL);
}

static const lqi_tunable tunable[] = { LQI_TUNE_SCALE(lqi_symmetric32, d), { 0 } };

const lqi_format lqi_format_q5_0 = {
    .name        = "q5_0",
    .panel       = &lqi_panel_q5_0,
    .text        = "GGUF: blocks of 32, 5-bit codes, f16 scale",
    .id          = LQ_FORMAT_Q5_0,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 5,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16_NIBBLES_BIT,
    .encoder     = LQI_ENCODER_F16_NIBBLES_BIT,
    .row_ms      = 1,
    .gguf        = 6,
    .param_bytes = sizeof(lqi_symmetric32),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode_many = encode_many,
};
