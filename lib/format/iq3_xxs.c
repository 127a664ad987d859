/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq3_xxs.c - GGUF IQ3_XXS: 256 weights in 98 bytes, 4 weights per entry
 *
 *     byte    0..1      2..65             66 + 4 j .. 69 + 4 j, for sub-block j of 32
 *     holds   d: f16    entries: 64 u8    u32: 4 sign codes of 7 bits, scale in bits 28..31
 *
 *     value = (d * (0.5 + scale) * 0.5) * codebook value * sign
 *
 * A sign code stands for 8 signs (set: minus), the eighth making the number of minus signs
 * even.  Code of 8 weights: entry | next entry << 8 | sign code << 16.
 *
 * Encoding: grid_search.c.  All zero: zero bytes.  A scale that
 * overflows is stored as it is; check reports it.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/grid_search.h"

#define BYTES 98
#define SUBS  8

/* ------------------------------------------------------------------ layout */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_grid_param *p = param;
    uint8_t *b = block, *entry = b + 2;

    lqi_store16(b, p->d);
    for (int j = 0; j < SUBS; j++) {
        uint32_t signs = (uint32_t)p->scale[j] << 28;
        for (int g = 0; g < 4; g++, codes++, entry += 2) {
            lqi_store16(entry, (uint16_t)*codes);
            signs |= (*codes >> 16 & 127) << 7 * g;
        }
        lqi_store32(b + 66 + 4 * j, signs);
    }
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block, *entry = b + 2;
    lqi_grid_param *p = param;

    p->d = lqi_load16(b);
    for (int j = 0; j < SUBS; j++) {
        uint32_t signs = lqi_load32(b + 66 + 4 * j);
        p->scale[j] = (uint8_t)(signs >> 28);
        for (int g = 0; g < 4; g++, entry += 2)
            *codes++ = lqi_load16(entry) | (signs >> 7 * g & 127) << 16;
    }
}

static const lqi_grid_plan plan = {
    .grid = LQI_GRID_IQ3_XXS, .entry_bits = 8, .unit = 0.5f, .even = 1, .eps = 1e-8f,
    .mean_factor = 2, .plain = LQI_GRID_SQUARES, .fudge = 1.0125f,
    .rules = { .sub = 32, .base = 15, .step = 0.2f, .steps = 15 },
    .bytes = BYTES, .pack = pack, .unpack = unpack,
};

LQI_GRID_FUNCTIONS(plan, SUBS)

const lqi_format lqi_format_iq3_xxs = {
    .name        = "iq3_xxs",
    .panel       = &lqi_panel_iq3_xxs,
    .text        = "GGUF: blocks of 256, entries of 4 weights from 256, even signs, scale per 32",
    .id          = LQ_FORMAT_IQ3_XXS,
    .storage     = LQ_BLOCKED,
    .block_len   = LQI_GRID_LEN,
    .block_bytes = BYTES,
    .bits        = 23,
    .unit        = 8,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_FOURS_U8,
    .max_abs     = LQI_GRID_MAX(0.5f * 62),
    .grid        = LQI_GRID_IQ3_XXS,
    .gguf        = 18,
    .param_bytes = sizeof(lqi_grid_param),
    LQI_GRID_MEMBERS,
};
