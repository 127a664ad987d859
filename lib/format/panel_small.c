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

/* The fifth bits of 32 codes. */
static void fifth_bits(uint32_t bits, uint8_t *code)
{
    for (int i = 0; i < 32; i++)
        code[i] = (uint8_t)(code[i] | (bits >> i & 1) << 4);
}

static void part_q4_0(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 32, 18);

    for (size_t i = 0; i < run->n / 32; i++, b += 18) {
        part->half[i] = lqi_load16(b);
        lqi_panel_nibbles(b + 2, part->code + 32 * i, 16);
    }
}

static void part_q4_1(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 32, 20);

    for (size_t i = 0; i < run->n / 32; i++, b += 20) {
        part->half[i] = lqi_load16(b);
        part->half_min[i] = lqi_load16(b + 2);
        lqi_panel_nibbles(b + 4, part->code + 32 * i, 16);
    }
}

static void part_q5_0(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 32, 22);

    for (size_t i = 0; i < run->n / 32; i++, b += 22) {
        part->half[i] = lqi_load16(b);
        lqi_panel_nibbles(b + 6, part->code + 32 * i, 16);
        fifth_bits(lqi_load32(b + 2), part->code + 32 * i);
    }
}

static void part_q5_1(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 32, 24);

    for (size_t i = 0; i < run->n / 32; i++, b += 24) {
        part->half[i] = lqi_load16(b);
        part->half_min[i] = lqi_load16(b + 2);
        lqi_panel_nibbles(b + 8, part->code + 32 * i, 16);
        fifth_bits(lqi_load32(b + 4), part->code + 32 * i);
    }
}

static void signed_bytes(const uint8_t *q, uint8_t *code)
{
    for (int i = 0; i < 32; i++)
        code[i] = q[i] ^ 0x80;
}

static void part_q8_0(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 32, 34);

    for (size_t i = 0; i < run->n / 32; i++, b += 34) {
        part->half[i] = lqi_load16(b);
        signed_bytes(b + 2, part->code + 32 * i);
    }
}

static void part_q8_1(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 32, 36);

    for (size_t i = 0; i < run->n / 32; i++, b += 36) {
        part->half[i] = lqi_load16(b);
        signed_bytes(b + 4, part->code + 32 * i);
    }
}

static void part_mxfp4(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 32, 17);

    for (size_t i = 0; i < run->n / 32; i++, b += 17) {
        part->byte[i] = b[0];
        lqi_panel_nibbles(b + 1, part->code + 32 * i, 16);
    }
}

/* Bit 7 of a scale is ignored; 0x7f stands for 0. */
static void part_nvfp4(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 64, 36);

    for (size_t i = 0; i < run->n / 64; i++, b += 36)
        for (size_t k = 0; k < 4; k++) {
            uint8_t d = b[k] & 0x7f;
            part->byte[4 * i + k] = d == 0x7f ? 0 : d;
            lqi_panel_nibbles(b + 4 + 8 * k, part->code + 64 * i + 16 * k, 8);
        }
}

static void part_q1_0(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 128, 18);

    for (size_t i = 0; i < run->n / 128; i++, b += 18) {
        for (size_t k = 0; k < 128; k++)
            part->code[128 * i + k] = (uint8_t)((b[2 + k / 8] >> k % 8 & 1) << 1);
        for (size_t k = 2 * i; k < 2 * i + 2; k++) {
            part->half[k] = lqi_load16(b);
            part->byte[k] = 1;
        }
    }
}

static void part_q2_0(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 64, 18);

    for (size_t i = 0; i < run->n / 64; i++, b += 18) {
        for (size_t k = 0; k < 64; k++)
            part->code[64 * i + k] = b[2 + k / 4] >> 2 * (k % 4) & 3;
        part->half[i] = lqi_load16(b);
        part->byte[i] = 1;
    }
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
