/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq3_s.c - GGUF IQ3_S: 256 weights in 110 bytes, 4 weights per entry
 *
 *     byte    0..1      2..65            66..73            74..105    106..109
 *     holds   d: f16    entries, bits    entries, bit 8    signs      8 scales of 4 bits,
 *                       0..7: 64 u8      1 each            32 x u8    low first
 *
 *     value = (d * (1 + 2 scale)) * codebook value * sign      scale per 32 weights
 *
 * Sign bits, set: minus.  Code of 8 weights: entry | next entry << 9 | signs << 18.
 *
 * Encoding: grid_search.c.  All zero: zero bytes.  A scale that overflows is stored as it
 * is; check reports it.  A defect of the reference is part of its bytes: a sub-block of
 * zeros inside a superblock takes no place among the low bytes of the entries and the
 * signs, so that those of all following sub-blocks lie, and decode, one place too early;
 * the last places stay 0.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/grid_search.h"

#define BYTES 110
#define SUBS  8

/* ------------------------------------------------------------------ layout */

enum { HIGH = 66, SIGNS = 74, SCALES = 106 };   /* byte offsets */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const lqi_grid_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    for (int g = 0; g < LQI_GRID_CODES; g++) {
        unsigned high = (codes[g] >> 8 & 1) | (codes[g] >> 17 & 1) << 1;
        b[2 + 2 * g] = (uint8_t)codes[g];
        b[3 + 2 * g] = (uint8_t)(codes[g] >> 9);
        b[HIGH + g / 4] = (uint8_t)((g % 4 ? b[HIGH + g / 4] : 0u) | high << 2 * (g % 4));
        b[SIGNS + g] = (uint8_t)(codes[g] >> 18);
    }
    lqi_grid_scales_write(p->scale, SUBS, b + SCALES);
}

/* Entry i of 64. */
static uint32_t entry(const uint8_t *b, int i)
{
    return b[2 + i] | (uint32_t)(b[HIGH + i / 8] >> i % 8 & 1) << 8;
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    lqi_grid_param *p = param;

    p->d = lqi_load16(b);
    for (int g = 0; g < LQI_GRID_CODES; g++)
        codes[g] = entry(b, 2 * g) | entry(b, 2 * g + 1) << 9 | (uint32_t)b[SIGNS + g] << 18;
    lqi_grid_scales_read(b + SCALES, SUBS, p->scale);
}

/* The reference's defect: low bytes and signs of the sub-blocks that are not zero, without
 * gaps. */
static void close_gaps(const lqi_grid_sub *sub, uint8_t *b)
{
    int to = 0;

    for (int j = 0; j < SUBS; j++) {
        if (sub[j].zero)
            continue;
        memmove(b + 2 + 8 * to, b + 2 + 8 * j, 8);
        memmove(b + SIGNS + 4 * to, b + SIGNS + 4 * j, 4);
        to++;
    }
    memset(b + 2 + 8 * to, 0, (size_t)(8 * (SUBS - to)));
    memset(b + SIGNS + 4 * to, 0, (size_t)(4 * (SUBS - to)));
}

static const lqi_grid_plan plan = {
    .grid = LQI_GRID_IQ3_S, .entry_bits = 9, .unit = 2, .eps = 0, .mean_factor = 2,
    .plain = LQI_GRID_SQUARES, .fudge = 1.033f,
    .rules = { .sub = 32, .base = 15, .step = 0.2f, .steps = 9, .repeat_all = 1, .start_off = 1 },
    .bytes = BYTES, .pack = pack, .unpack = unpack, .finish = close_gaps,
};

LQI_GRID_FUNCTIONS(plan, SUBS)

const lqi_format lqi_format_iq3_s = {
    .name        = "iq3_s",
    .panel       = &lqi_panel_iq3_s,
    .text        = "GGUF: blocks of 256, entries of 4 weights from 512, signs, scale per 32",
    .id          = LQ_FORMAT_IQ3_S,
    .storage     = LQ_BLOCKED,
    .block_len   = LQI_GRID_LEN,
    .block_bytes = BYTES,
    .bits        = 26,
    .unit        = 8,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_FOURS_SIGNS,
    .max_abs     = LQI_GRID_MAX(2 * 15),
    .grid        = LQI_GRID_IQ3_S,
    .gguf        = 21,
    .param_bytes = sizeof(lqi_grid_param),
    LQI_GRID_MEMBERS,
};
