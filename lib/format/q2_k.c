/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q2_k.c - GGUF Q2_K: 256 codes of 2 bits, 16 scales and minimums of 4 bits
 *
 *     byte    0..15                   16..79             80..81   82..83
 *     holds   low nibble: scale sc    q: 2 x 32 bytes    d: f16   dmin: f16
 *             high nibble: min m
 *
 * Each 32 bytes of q hold half a block, 128 codes: byte i has codes i, i + 32, i + 64
 * and i + 96 from its low bits up.  Sub-blocks have 16 codes.
 *
 *     value = (d * sc) * q - (dmin * m)   three roundings
 *
 * Encoding, and what becomes of odd numbers: k_affine.h.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/k_affine.h"

#define LEN   256
#define BYTES 84
#define SUBS  16
#define SUB   16

enum { Q = 16, D = 80, DMIN = 82 };   /* byte offsets */

static const lqi_k_plan plan = {
    .plain    = { .rmin = -0.5f, .rdelta = 0.1f, .nmax = 3, .steps = 15, .absolute = 1 },
    .weighted = { .rmin = -0.9f, .rdelta = 0.05f, .nmax = 3, .steps = 36 },
    .sub = SUB, .top = 15, .cut = 255, .ms = 1,
};

static lq_status check(const void *block)
{
    return lqi_check_f16_pair((const uint8_t *)block + D);
}

static void scales_write(const lqi_k_param *p, uint8_t *s)
{
    for (int j = 0; j < SUBS; j++)
        s[j] = (uint8_t)(p->sc[j] | p->m[j] << 4);
}

static void scales_read(const uint8_t *s, lqi_k_param *p)
{
    for (int j = 0; j < SUBS; j++) {
        p->sc[j] = s[j] & 15;
        p->m[j] = s[j] >> 4;
    }
}

static void fit(const lqi_fit *in, void *param)
{
    uint8_t packed[SUBS];

    lqi_k_fit(&plan, in, param);
    scales_write(param, packed);
    scales_read(packed, param);
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

    scales_write(p, b);
    lqi_pairs_write(codes, 32, b + Q);
    lqi_pairs_write(codes + 128, 32, b + Q + 32);
    lqi_store16(b + D, p->d);
    lqi_store16(b + DMIN, p->dmin);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    lqi_k_param *p = param;

    scales_read(b, p);
    lqi_pairs_read(b + Q, 32, codes);
    lqi_pairs_read(b + Q + 32, 32, codes + 128);
    p->d = lqi_load16(b + D);
    p->dmin = lqi_load16(b + DMIN);
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b + D)), dmin = lqi_f16_to_f32(lqi_load16(b + DMIN));

    for (int j = 0; j < SUBS; j++, y += SUB) {
        const uint8_t *q = b + Q + 32 * (j / 8) + SUB * (j % 2);
        int shift = 2 * (j % 8 / 2);
        float scale = d * (float)(b[j] & 15), min = dmin * (float)(b[j] >> 4);
        for (int i = 0; i < SUB; i++)
            y[i] = scale * (float)(q[i] >> shift & 3) - min;
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static void encode_many(const lqi_encode_run *run)
{
    lqi_k_encode_many(&plan, &lqi_format_q2_k, run);
}

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(lqi_k_param, d),
    LQI_TUNE_SCALE(lqi_k_param, dmin),
    { (uint16_t)offsetof(lqi_k_param, sc), SUBS, LQI_TUNE_U8, 0, 15 },
    { (uint16_t)offsetof(lqi_k_param, m), SUBS, LQI_TUNE_U8, 0, 15 },
    { 0 },
};

const lqi_format lqi_format_q2_k = {
    .name        = "q2_k",
    .panel       = &lqi_panel_q2_k,
    .text        = "GGUF: blocks of 256, 2-bit codes, 4-bit scales and minimums per 16",
    .id          = LQ_FORMAT_Q2_K,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 2,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_AFFINE_2_BITS,
    .max_abs     = 65504.0f * 15 * 3,
    .gguf        = 10,
    .param_bytes = sizeof(lqi_k_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode_many = encode_many,
};
