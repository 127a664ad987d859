/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq2_s.c - GGUF IQ2_S: 256 weights in 82 bytes, 8 weights per code
 *
 *     byte    0..1      2..33             34..65    66..73             74..81
 *     holds   d: f16    entries, bits     signs     entries, bits      16 scales of 4
 *                       0..7              32 x u8   8..9: 2 each       bits, low first
 *
 *     value = (d * (0.5 + scale) * 0.25) * codebook value * sign      scale per 16 weights
 *
 * Sign bits, set: minus.  Code of 8 weights: entry | signs << 10.
 *
 * Encoding: grid_search.c.  All zero: zero bytes.  A scale that
 * overflows is stored as it is; check reports it.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/grid_search.h"

#define BYTES 82
#define SUBS  16

static const lqi_grid_plan plan = {
    .grid = LQI_GRID_IQ2_S, .sub = 16, .entry_bits = 10, .unit = 0.25f, .eps = 1e-8f,
    .base = 5, .step = 0.1f, .steps = 9, .mean_factor = 2, .plain = LQI_GRID_QUARTER,
    .fudge = 0.9875f,
};

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

/* ------------------------------------------------------------------ layout */

enum { SIGNS = 34, HIGH = 66, SCALES = 74 };   /* byte offsets */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_grid_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    memset(b + HIGH, 0, SCALES - HIGH);
    for (int g = 0; g < LQI_GRID_CODES; g++) {
        b[2 + g] = (uint8_t)codes[g];
        b[SIGNS + g] = (uint8_t)(codes[g] >> 10);
        b[HIGH + g / 4] |= (uint8_t)((codes[g] >> 8 & 3) << 2 * (g % 4));
    }
    for (int j = 0; j < SUBS / 2; j++)
        b[SCALES + j] = (uint8_t)(p->scale[2 * j] | p->scale[2 * j + 1] << 4);
}

static uint32_t entry(const uint8_t *b, int g)
{
    return b[2 + g] | (uint32_t)(b[HIGH + g / 4] >> 2 * (g % 4) & 3) << 8;
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    lqi_grid_param *p = param;

    p->d = lqi_load16(b);
    for (int g = 0; g < LQI_GRID_CODES; g++)
        codes[g] = entry(b, g) | (uint32_t)b[SIGNS + g] << 10;
    for (int j = 0; j < SUBS; j++)
        p->scale[j] = b[SCALES + j / 2] >> 4 * (j % 2) & 15;
}

/* ---------------------------------------------------------------- encoding */

static void encode(const lqi_fit *in, void *block)
{
    lqi_grid_sub sub[SUBS];
    lqi_grid_param param;
    uint32_t codes[LQI_GRID_CODES];

    memset(block, 0, BYTES);
    lqi_grid_search(&plan, in, sub);
    if (lqi_grid_finish(&plan, sub, &param, codes))
        pack(&param, codes, block);
}

static void fit(const lqi_fit *in, void *param)
{
    uint8_t block[BYTES];
    uint32_t codes[LQI_GRID_CODES];

    encode(in, block);
    unpack(block, param, codes);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    lqi_grid_round(&plan, in, param, codes);
}

/* ---------------------------------------------------------------- decoding */

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    lqi_grid_value(&plan, param, codes, n, y);
}

static void decode_block(const lqi_grids *grids, const uint8_t *b, float *y)
{
    const uint8_t *table = grids->value[LQI_GRID_IQ2_S];
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int g = 0; g < LQI_GRID_CODES; g++, y += 8) {
        float scale = lqi_grid_scale(&plan, d, b[SCALES + g / 4] >> 4 * (g / 2 % 2) & 15);
        lqi_grid_values(table + 8 * entry(b, g), b[SIGNS + g], scale, y, 8);
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_grid(run, BYTES, decode_block, y);
}

static const lqi_tunable tunable[] = {
    LQI_TUNE_SCALE(lqi_grid_param, d),
    { offsetof(lqi_grid_param, scale), SUBS, LQI_TUNE_U8, 0, 15 },
    { 0 },
};

const lqi_format lqi_format_iq2_s = {
    .name        = "iq2_s",
    .panel       = &lqi_panel_iq2_s,
    .text        = "GGUF: blocks of 256, entries of 8 weights from 1024, signs, scale per 16",
    .id          = LQ_FORMAT_IQ2_S,
    .storage     = LQ_BLOCKED,
    .block_len   = LQI_GRID_LEN,
    .block_bytes = BYTES,
    .bits        = 18,
    .unit        = 8,
    .strip_rows  = 1,
    .max_abs     = LQI_GRID_MAX(0.25f * 43),
    .neighbours  = 1 << LQI_GRID_IQ2_S,
    .gguf        = 22,
    .param_bytes = sizeof(lqi_grid_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode = encode,
    .tunable = tunable,
};
