/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq2_xxs.c - GGUF IQ2_XXS: 256 weights in 66 bytes, 8 weights per code
 *
 *     byte    0..1      2 + 8 j .. 9 + 8 j, for sub-block j of 32
 *     holds   d: f16    4 entries: u8 | u32: 4 sign codes of 7 bits, scale in bits 28..31
 *
 *     value = (d * (0.5 + scale) * 0.25) * codebook value * sign
 *
 * A sign code stands for 8 signs (set: minus), the eighth making the number of minus signs
 * even.  Code of 8 weights: entry | sign code << 8.
 *
 * Encoding: grid_search.c, with a range per sub-block from a fit of five levels.  Needs
 * importances (the core refuses without them; here none means ones).  All zero: zero
 * bytes.  A scale that overflows is stored as it is; check reports it.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/grid_search.h"

#define BYTES 66
#define SUBS  8

/* ------------------------------------------------------------------ layout */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_grid_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    b += 2;
    for (int j = 0; j < SUBS; j++, b += 8) {
        uint32_t signs = (uint32_t)p->scale[j] << 28;
        for (int g = 0; g < 4; g++, codes++) {
            b[g] = (uint8_t)*codes;
            signs |= (*codes >> 8 & 127) << 7 * g;
        }
        lqi_store32(b + 4, signs);
    }
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    lqi_grid_param *p = param;

    p->d = lqi_load16(b);
    b += 2;
    for (int j = 0; j < SUBS; j++, b += 8) {
        uint32_t signs = lqi_load32(b + 4);
        p->scale[j] = (uint8_t)(signs >> 28);
        for (int g = 0; g < 4; g++)
            *codes++ = b[g] | (signs >> 7 * g & 127) << 8;
    }
}

static const lqi_grid_plan plan = {
    .grid = LQI_GRID_IQ2_XXS, .entry_bits = 8, .unit = 0.25f, .even = 1, .fit_range = 1,
    .eps = 1e-15f, .mean_factor = 1, .plain = LQI_GRID_ONES, .fudge = 1,
    .rules = { .sub = 32, .base = 5, .step = 0.1f, .steps = 6, .repeat = 1, .repeat_all = 1 },
    .bytes = BYTES, .pack = pack, .unpack = unpack,
};

LQI_GRID_FUNCTIONS(plan, SUBS)

const lqi_format lqi_format_iq2_xxs = {
    .name        = "iq2_xxs",
    .panel       = &lqi_panel_iq2_xxs,
    .text        = "GGUF: blocks of 256, entries of 8 weights from 256, even signs, scale per 32",
    .id          = LQ_FORMAT_IQ2_XXS,
    .storage     = LQ_BLOCKED,
    .block_len   = LQI_GRID_LEN,
    .block_bytes = BYTES,
    .bits        = 15,
    .unit        = 8,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_EIGHTS_U8,
    .max_abs     = LQI_GRID_MAX(0.25f * 43),
    .needs_imp   = 1,
    .grid        = LQI_GRID_IQ2_XXS,
    .gguf        = 16,
    .param_bytes = sizeof(lqi_grid_param),
    LQI_GRID_MEMBERS,
};
