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
    lqi_grid_scales_write(p->scale, SUBS, b + SCALES);
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
    lqi_grid_scales_read(b + SCALES, SUBS, p->scale);
}

static const lqi_grid_plan plan = {
    .grid = LQI_GRID_IQ2_S, .entry_bits = 10, .unit = 0.25f, .eps = 1e-8f,
    .mean_factor = 2, .plain = LQI_GRID_QUARTER, .fudge = 0.9875f,
    .rules = { .sub = 16, .base = 5, .step = 0.1f, .steps = 9 },
    .bytes = BYTES, .pack = pack, .unpack = unpack,
};

LQI_GRID_FUNCTIONS(plan, SUBS)

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
    .decoder     = LQI_DECODER_EIGHTS_SIGNS,
    .max_abs     = LQI_GRID_MAX(0.25f * 43),
    .grid        = LQI_GRID_IQ2_S,
    .gguf        = 22,
    .param_bytes = sizeof(lqi_grid_param),
    LQI_GRID_MEMBERS,
};
