/* SPDX-License-Identifier: MIT */
/*
 * lib/format/panel_small.c - panels of the formats with blocks of 128 weights and less
 */
#include "lib/format/panel.h"

const int8_t lqi_panel_iq4_levels[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
};

/* Twice the numbers of E2M1. */
const int8_t lqi_panel_e2m1_levels[16] = {
    0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12
};

/* Where a block of 32 goes. */
typedef struct place {
    const uint8_t *b;
    uint8_t       *code;
    unsigned       unit;
} place;

static place place_of(const lqi_run *run, size_t bytes, lqi_panel_part *part)
{
    unsigned at = run->first % LQI_PANEL_CHUNK;

    return (place){ lqi_panel_block(run, 32, bytes), part->code + at, at / 32 };
}

/* The fifth bits of 32 codes. */
static void fifth_bits(uint32_t bits, uint8_t *code)
{
    for (int i = 0; i < 32; i++)
        code[i] = (uint8_t)(code[i] | (bits >> i & 1) << 4);
}

static void part_q4_0(const lqi_run *run, lqi_panel_part *part)
{
    place p = place_of(run, 18, part);

    part->scale[p.unit] = lqi_panel_f16(p.b);
    lqi_panel_nibbles(p.b + 2, p.code, 16);
}

static void part_q4_1(const lqi_run *run, lqi_panel_part *part)
{
    place p = place_of(run, 20, part);

    part->scale[p.unit] = lqi_panel_f16(p.b);
    part->min[p.unit] = lqi_panel_f16(p.b + 2);
    lqi_panel_nibbles(p.b + 4, p.code, 16);
}

static void part_q5_0(const lqi_run *run, lqi_panel_part *part)
{
    place p = place_of(run, 22, part);

    part->scale[p.unit] = lqi_panel_f16(p.b);
    lqi_panel_nibbles(p.b + 6, p.code, 16);
    fifth_bits(lqi_load32(p.b + 2), p.code);
}

static void part_q5_1(const lqi_run *run, lqi_panel_part *part)
{
    place p = place_of(run, 24, part);

    part->scale[p.unit] = lqi_panel_f16(p.b);
    part->min[p.unit] = lqi_panel_f16(p.b + 2);
    lqi_panel_nibbles(p.b + 8, p.code, 16);
    fifth_bits(lqi_load32(p.b + 4), p.code);
}

static void signed_bytes(const uint8_t *q, uint8_t *code, int n)
{
    for (int i = 0; i < n; i++)
        code[i] = q[i] ^ 0x80;
}

static void part_q8_0(const lqi_run *run, lqi_panel_part *part)
{
    place p = place_of(run, 34, part);

    part->scale[p.unit] = lqi_panel_f16(p.b);
    signed_bytes(p.b + 2, p.code, 32);
}

static void part_q8_1(const lqi_run *run, lqi_panel_part *part)
{
    place p = place_of(run, 36, part);

    part->scale[p.unit] = lqi_panel_f16(p.b);
    signed_bytes(p.b + 4, p.code, 32);
}

static void part_mxfp4(const lqi_run *run, lqi_panel_part *part)
{
    place p = place_of(run, 17, part);

    part->byte[p.unit] = p.b[0];
    lqi_panel_nibbles(p.b + 1, p.code, 16);
}

/* Bit 7 of a scale is ignored; 0x7f stands for 0. */
static void part_nvfp4(const lqi_run *run, lqi_panel_part *part)
{
    unsigned at = run->first % LQI_PANEL_CHUNK;
    const uint8_t *b = lqi_panel_block(run, 64, 36);

    for (unsigned s = 0; s < 4; s++) {
        uint8_t d = b[s] & 0x7f;
        part->byte[at / 16 + s] = d == 0x7f ? 0 : d;
        lqi_panel_nibbles(b + 4 + 8 * s, part->code + at + 16 * s, 8);
    }
}

static void part_q1_0(const lqi_run *run, lqi_panel_part *part)
{
    unsigned at = run->first % LQI_PANEL_CHUNK;
    const uint8_t *b = lqi_panel_block(run, 128, 18);

    for (unsigned i = 0; i < 128; i++)
        part->code[at + i] = (uint8_t)((b[2 + i / 8] >> i % 8 & 1) << 1);
    for (unsigned i = at / 64; i < at / 64 + 2; i++) {
        part->scale[i] = lqi_panel_f16(b);
        part->byte[i] = 1;
    }
}

static void part_q2_0(const lqi_run *run, lqi_panel_part *part)
{
    unsigned at = run->first % LQI_PANEL_CHUNK;
    const uint8_t *b = lqi_panel_block(run, 64, 18);

    for (unsigned i = 0; i < 64; i++)
        part->code[at + i] = b[2 + i / 4] >> 2 * (i % 4) & 3;
    part->scale[at / 64] = lqi_panel_f16(b);
    part->byte[at / 64] = 1;
}

#define PLAN(name, width, form, log2, by, table, how) \
    const lqi_panel_plan lqi_panel_##name = { \
        .codes = LQI_PANEL_##width, .shape = LQI_##form, .shift = log2, .factor = by, \
        .levels = table, .count = 16, .part = how }

PLAN(q4_0, 4, S32_F16, 3, 1, NULL, part_q4_0);
PLAN(q4_1, 4, S32_F16_MIN, 0, 1, NULL, part_q4_1);
PLAN(q5_0, 5, S32_F16, 4, 1, NULL, part_q5_0);
PLAN(q5_1, 5, S32_F16_MIN, 0, 1, NULL, part_q5_1);
PLAN(q8_0, 8, S32_F16, 7, 1, NULL, part_q8_0);
PLAN(q8_1, 8, S32_F16, 7, 1, NULL, part_q8_1);
PLAN(iq4_nl, 4, S32_F16, 7, 1, lqi_panel_iq4_levels, part_q4_0);
PLAN(gguf_mxfp4, 4, S32_E8M0, 4, 0.5f, lqi_panel_e2m1_levels, part_mxfp4);
PLAN(gguf_nvfp4, 4, S16_E4M3, 4, 0.5f, lqi_panel_e2m1_levels, part_nvfp4);
PLAN(q1_0, 2, S128_F16_ZP, 0, 1, NULL, part_q1_0);
PLAN(q2_0, 2, S64_F16_ZP, 0, 1, NULL, part_q2_0);
