/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q4_k.c - GGUF Q4_K: 256 nibbles, 8 scales and minimums of 6 bits
 *
 *     byte    0..1     2..3        4..15               16..143
 *     holds   d: f16   dmin: f16   S: 16 x 6 bits      q: four groups of 32 bytes
 *
 * Group g has sub-block 2g in its low nibbles and 2g + 1 in its high ones.  S, for the
 * scale sc and the minimum m of sub-block j:
 *
 *     byte    S[j], j < 4                S[4 + j]               S[8 + j]
 *     bits    0..5  sc[j]                0..5  m[j]             0..3  sc[4 + j] low
 *             6..7  sc[4 + j] high       6..7  m[4 + j] high    4..7  m[4 + j] low
 *
 *     value = (d * sc) * q - (dmin * m)   three roundings
 *
 * Encoding, and what becomes of odd numbers: k_affine.h.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/k_affine.h"

#define LEN   256
#define BYTES 144
#define SUBS  8
#define SUB   32

static const lqi_k_plan plan = {
    .plain    = { .rmin = -1.0f, .rdelta = 0.1f, .nmax = 15, .steps = 20 },
    .weighted = { .rmin = -0.9f, .rdelta = 0.05f, .nmax = 15, .steps = 36 },
    .sub = SUB, .top = 63, .cut = 63, .ms = 2, .with_rms = 1,
};

static lq_status check(const void *block)
{
    return lqi_check_f16_pair(block);
}

static void fit(const lqi_fit *in, void *param)
{
    uint8_t packed[12];

    lqi_k_fit(&plan, in, param);
    lqi_k_scales_write(param, packed);
    lqi_k_scales_read(packed, param);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    lqi_k_round(&plan, in, param, codes);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    lqi_k_value(&plan, param, codes, n, y);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_k_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    lqi_store16(b + 2, p->dmin);
    lqi_k_scales_write(p, b + 4);
    for (int g = 0; g < SUBS / 2; g++)
        lqi_nibbles_write(codes + 2 * SUB * g, SUB, b + 16 + SUB * g);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    lqi_k_param *p = param;

    p->d = lqi_load16(b);
    p->dmin = lqi_load16(b + 2);
    lqi_k_scales_read(b + 4, p);
    for (int g = 0; g < SUBS / 2; g++)
        lqi_nibbles_read(b + 16 + SUB * g, SUB, codes + 2 * SUB * g);
}

static void decode_block(const uint8_t *b, float *y)
{
    const uint8_t *q = b + 16;
    float d = lqi_f16_to_f32(lqi_load16(b)), dmin = lqi_f16_to_f32(lqi_load16(b + 2));
    lqi_k_param p;

    lqi_k_scales_read(b + 4, &p);
    for (int j = 0; j < SUBS; j += 2, q += SUB, y += 2 * SUB) {
        float scale = d * p.sc[j], min = dmin * p.m[j];
        for (int i = 0; i < SUB; i++)
            y[i] = scale * (float)(q[i] & 15) - min;
        scale = d * p.sc[j + 1];
        min = dmin * p.m[j + 1];
        for (int i = 0; i < SUB; i++)
            y[i + SUB] = scale * (float)(q[i] >> 4) - min;
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static void encode_many(const lqi_encode_run *run)
{
    lqi_k_encode_many(&plan, &lqi_format_q4_k, run);
}

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(lqi_k_param, d),
    LQI_TUNE_SCALE(lqi_k_param, dmin),
    { (uint16_t)offsetof(lqi_k_param, sc), SUBS, LQI_TUNE_U8, 0, 63 },
    { (uint16_t)offsetof(lqi_k_param, m), SUBS, LQI_TUNE_U8, 0, 63 },
    { 0 },
};

const lqi_format lqi_format_q4_k = {
    .name        = "q4_k",
    .panel       = &lqi_panel_q4_k,
    .text        = "GGUF: blocks of 256, 4-bit codes, 6-bit scales and minimums per 32",
    .id          = LQ_FORMAT_Q4_K,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_AFFINE_NIBBLES,
    .max_abs     = 65504.0f * 63 * 15,
    .gguf        = 12,
    .param_bytes = sizeof(lqi_k_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode_many = encode_many,
};
