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

/* ------------------------------------------------------------------ layout */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_grid_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int g = 0; g < LQI_GRID_CODES; g++)
        lqi_store16(b + 2 + 2 * g, (uint16_t)codes[g]);
    lqi_grid_scales_write(p->scale, SUBS, b + 66);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    lqi_grid_param *p = param;

    p->d = lqi_load16(b);
    for (int g = 0; g < LQI_GRID_CODES; g++)
        codes[g] = lqi_load16(b + 2 + 2 * g);
    lqi_grid_scales_read(b + 66, SUBS, p->scale);
}

static const lqi_grid_plan plan = {
    .grid = LQI_GRID_IQ2_XS, .entry_bits = 9, .unit = 0.25f, .even = 1, .eps = 1e-15f,
    .mean_factor = 1, .plain = LQI_GRID_ONES, .fudge = 1,
    .rules = { .sub = 16, .base = 5, .step = 0.1f, .steps = 9 },
    .bytes = BYTES, .pack = pack, .unpack = unpack,
};

LQI_GRID_FUNCTIONS(plan, SUBS)

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
    .decoder     = LQI_DECODER_EIGHTS_U16,
    .max_abs     = LQI_GRID_MAX(0.25f * 43),
    .needs_imp   = 1,
    .grid        = LQI_GRID_IQ2_XS,
    .gguf        = 17,
    .param_bytes = sizeof(lqi_grid_param),
    LQI_GRID_MEMBERS,
};
