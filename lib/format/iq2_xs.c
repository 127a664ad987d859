/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq2_xs.c - GGUF IQ2_XS: 256 weights in 74 bytes, 8 weights per code
 *
 *     byte    0..1      2..65                               66..73
 *     holds   d: f16    32 x u16: entry | sign code << 9    16 scales of 4 bits, low first
 *
 *     value = (d * (0.5 + scale) * 0.25) * codebook value * sign      scale per 16 weights
 *
 * A sign code of 7 bits stands for 8 signs (set: minus), the eighth making the number of
 * minus signs even.  Codes are the u16.
 *
 * Encoding: grid_search.c.  Needs importances (the core refuses without them; here
 * none means ones).  All zero: zero bytes.  A scale that
 * overflows is stored as it is; check reports it.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/grid_search.h"

#define BYTES 74
#define SUBS  16

static const lqi_grid_plan plan = {
    .grid = LQI_GRID_IQ2_XS, .sub = 16, .entry_bits = 9, .unit = 0.25f, .even = 1,
    .eps = 1e-15f, .base = 5, .step = 0.1f, .steps = 9, .mean_factor = 1,
    .plain = LQI_GRID_ONES, .fudge = 1,
};

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

/* ------------------------------------------------------------------ layout */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_grid_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int g = 0; g < LQI_GRID_CODES; g++)
        lqi_store16(b + 2 + 2 * g, (uint16_t)codes[g]);
    for (int j = 0; j < SUBS / 2; j++)
        b[66 + j] = (uint8_t)(p->scale[2 * j] | p->scale[2 * j + 1] << 4);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    lqi_grid_param *p = param;

    p->d = lqi_load16(b);
    for (int g = 0; g < LQI_GRID_CODES; g++)
        codes[g] = lqi_load16(b + 2 + 2 * g);
    for (int j = 0; j < SUBS; j++)
        p->scale[j] = b[66 + j / 2] >> 4 * (j % 2) & 15;
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
    const uint8_t *table = grids->value[LQI_GRID_IQ2_XS];
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int j = 0; j < SUBS; j++) {
        float scale = lqi_grid_scale(&plan, d, b[66 + j / 2] >> 4 * (j % 2) & 15);
        for (int g = 0; g < 2; g++, y += 8) {
            unsigned code = lqi_load16(b + 2 + 4 * j + 2 * g);
            lqi_grid_values(table + 8 * (code & 511), lqi_grid_even(code >> 9), scale, y, 8);
        }
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

const lqi_format lqi_format_iq2_xs = {
    .name        = "iq2_xs",
    .panel       = &lqi_panel_iq2_xs,
    .text        = "GGUF: blocks of 256, entries of 8 weights from 512, even signs, scale per 16",
    .id          = LQ_FORMAT_IQ2_XS,
    .storage     = LQ_BLOCKED,
    .block_len   = LQI_GRID_LEN,
    .block_bytes = BYTES,
    .bits        = 16,
    .unit        = 8,
    .strip_rows  = 1,
    .max_abs     = LQI_GRID_MAX(0.25f * 43),
    .needs_imp   = 1,
    .neighbours  = 1 << LQI_GRID_IQ2_XS,
    .gguf        = 17,
    .param_bytes = sizeof(lqi_grid_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode = encode,
    .tunable = tunable,
};
