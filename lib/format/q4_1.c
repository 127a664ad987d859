/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q4_1.c - GGUF Q4_1: 32 nibbles, a scale and a minimum
 *
 *     byte    0..1     2..3     4..19
 *     holds   d: f16   m: f16   low nibbles: q[0..15], high nibbles: q[16..31]
 *
 *     value[j] = q[j] * d + m             two roundings
 *
 * Encoding, and what becomes of odd numbers: affine32.h.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/affine32.h"

#define LEN   LQI_AFFINE32_LEN
#define BYTES 20
#define TOP   15

static lq_status check(const void *block)
{
    return lqi_check_f16_pair(block);
}

static void fit(const lqi_fit *in, void *param)
{
    lqi_affine32_fit(in, TOP, param);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    lqi_affine32_round(in, TOP, param, codes);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    lqi_affine32_value(param, codes, n, y);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    uint8_t *b = block;

    lqi_affine32_store(param, b);
    lqi_nibbles_write(codes, LEN / 2, b + 4);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;

    lqi_affine32_load(b, param);
    lqi_nibbles_read(b + 4, LEN / 2, codes);
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b)), m = lqi_f16_to_f32(lqi_load16(b + 2));

    for (int i = 0; i < LEN / 2; i++)
        y[i] = (float)(b[4 + i] & 15) * d + m;
    for (int i = 0; i < LEN / 2; i++)
        y[i + LEN / 2] = (float)(b[4 + i] >> 4) * d + m;
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static void encode_batch(lqi_batch *b)
{
    lqi_affine32_batch(b, TOP);
}

/* Searches are for importances; without, the range of a block says it all. */
static void encode_many(const lqi_encode_run *run)
{
    lqi_encode_batches(&lqi_format_q4_1, NULL, run, run->imp ? encode_batch : NULL);
}

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(lqi_affine32, d),
    LQI_TUNE_SCALE(lqi_affine32, m),
    { 0 },
};

const lqi_format lqi_format_q4_1 = {
    .name        = "q4_1",
    .panel       = &lqi_panel_q4_1,
    .text        = "GGUF: blocks of 32, 4-bit codes, f16 scale and minimum",
    .id          = LQ_FORMAT_Q4_1,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16X2_NIBBLES,
    .encoder     = LQI_ENCODER_F16X2_NIBBLES,
    .row_ms      = 1,
    .gguf        = 3,
    .param_bytes = sizeof(lqi_affine32),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode_many = encode_many,
};
