/* SPDX-License-Identifier: MIT */
/*
 * lib/format/panel_super.c - panels of the formats with blocks of 256 weights and a formula
 */
#include "lib/format/panel.h"

/* Four codes of two bits in a byte, 32 apart: 128 codes from 32 bytes. */
static void two_bits(const uint8_t *q, uint8_t *code)
{
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 32; i++)
            code[32 * k + i] = q[i] >> 2 * k & 3;
}

static void part_q2_k(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 84);

    for (int j = 0; j < 16; j++) {
        part->sub[j] = b[j] & 15;
        part->byte[j] = b[j] >> 4;
    }
    two_bits(b + 16, part->code);
    two_bits(b + 48, part->code + 128);
    part->half[0] = lqi_load16(b + 80);
    part->half_min[0] = lqi_load16(b + 82);
}

static void part_q3_k(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 110), *s = b + 96;

    two_bits(b + 32, part->code);
    two_bits(b + 64, part->code + 128);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 32; i++)
            part->code[32 * k + i] = (uint8_t)(part->code[32 * k + i] | (b[i] >> k & 1) << 2);
    for (int j = 0; j < 16; j++) {
        unsigned low = j < 8 ? s[j] & 15u : (unsigned)s[j - 8] >> 4;
        part->sub[j] = (int8_t)((int)(low | (s[8 + j % 4] >> 2 * (j / 4) & 3u) << 4) - 32);
    }
    part->half[0] = lqi_load16(b + 108);
}

/* The twelve bytes of Q4_K and Q5_K: eight scales and eight minimums of six bits. */
static void six_bits(const uint8_t *s, lqi_panel_part *part)
{
    for (int j = 0; j < 4; j++) {
        part->sub[j] = (int8_t)(s[j] & 63);
        part->byte[j] = s[j + 4] & 63;
        part->sub[j + 4] = (int8_t)((s[j + 8] & 15) | s[j] >> 6 << 4);
        part->byte[j + 4] = (uint8_t)(s[j + 8] >> 4 | s[j + 4] >> 6 << 4);
    }
}

static void part_q4_k(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 144);

    part->half[0] = lqi_load16(b);
    part->half_min[0] = lqi_load16(b + 2);
    six_bits(b + 4, part);
    for (int k = 0; k < 4; k++)
        lqi_panel_nibbles(b + 16 + 32 * k, part->code + 64 * k, 32);
}

static void part_q5_k(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 176);

    part->half[0] = lqi_load16(b);
    part->half_min[0] = lqi_load16(b + 2);
    six_bits(b + 4, part);
    for (int k = 0; k < 4; k++)
        lqi_panel_nibbles(b + 48 + 32 * k, part->code + 64 * k, 32);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 32; i++)
            part->code[32 * k + i] = (uint8_t)(part->code[32 * k + i] |
                                               (b[16 + i] >> k & 1) << 4);
}

static void part_q6_k(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 210);

    for (int half = 0; half < 2; half++) {
        uint8_t *code = part->code + 128 * half;
        lqi_panel_nibbles(b + 64 * half, code, 64);
        /* low nibbles: codes 0..63; high ones: 64..127 */
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < 32; i++)
                code[32 * k + i] = (uint8_t)(code[32 * k + i] |
                                             (b[128 + 32 * half + i] >> 2 * k & 3) << 4);
    }
    for (int j = 0; j < 16; j++)
        part->sub[j] = (int8_t)((b[192 + j] ^ 0x80) - 128);
    part->half[0] = lqi_load16(b + 208);
}

static void four_scales(float d, lqi_panel_part *part)
{
    for (int i = 0; i < 4; i++)
        part->scale[i] = d;
}

static void part_q8_k(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 292);

    four_scales(lqi_bits_float(lqi_load32(b)), part);
    for (int i = 0; i < 256; i++)
        part->code[i] = b[4 + i] ^ 0x80;
}

static void part_iq4_xs(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 136);
    unsigned high = lqi_load16(b + 2);

    part->half[0] = lqi_load16(b);
    for (int j = 0; j < 8; j++) {
        unsigned low = b[4 + j / 2] >> 4 * (j % 2) & 15u;
        part->sub[j] = (int8_t)((int)(low | (high >> 2 * j & 3) << 4) - 32);
        lqi_panel_nibbles(b + 8 + 16 * j, part->code + 32 * j, 16);
    }
}

/* The second table is the first plus 4: a minimum. */
static void part_iq4_ks(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 136) + 4;
    float d = lqi_bits_float(lqi_load32(run->codes));

    for (int j = 0; j < 8; j++) {
        float scale = d * (float)((b[j] & 254) - 127);
        part->scale[j] = scale;
        part->min[j] = scale * (float)((b[j] & 1) * 4);
        lqi_panel_nibbles(b + 8 + 16 * j, part->code + 32 * j, 16);
    }
}

static void part_tq2_0(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 66);

    two_bits(b, part->code);
    two_bits(b + 32, part->code + 128);
    four_scales(lqi_f16_to_f32(lqi_load16(b + 64)), part);
}

/* Digits in base 3 of 'count' bytes. */
static void digits(const uint8_t *q, int count, int n, uint8_t *code)
{
    for (int i = 0; i < count; i++) {
        unsigned fraction = q[i];
        for (int k = 0; k < n; k++) {
            fraction *= 3;
            code[count * k + i] = (uint8_t)(fraction >> 8);
            fraction &= 255;
        }
    }
}

static void part_tq1_0(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 54);

    digits(b, 32, 5, part->code);
    digits(b + 32, 16, 5, part->code + 160);
    digits(b + 48, 4, 4, part->code + 240);
    four_scales(lqi_f16_to_f32(lqi_load16(b + 52)), part);
}

#define PLAN(name, width, form, log2, table, how) \
    const lqi_panel_plan lqi_panel_##name = { \
        .codes = LQI_PANEL_##width, .shape = LQI_##form, .shift = log2, .factor = 1, \
        .levels = table, .count = 16, .part = how }

PLAN(q2_k, 2, K16_MIN, 0, NULL, part_q2_k);
PLAN(q3_k, 3, K16, 2, NULL, part_q3_k);
PLAN(q4_k, 4, K32_MIN, 0, NULL, part_q4_k);
PLAN(q5_k, 5, K32_MIN, 0, NULL, part_q5_k);
PLAN(q6_k, 6, K16, 5, NULL, part_q6_k);
PLAN(q8_k, 8, S256_F32, 7, NULL, part_q8_k);
PLAN(iq4_xs, 4, K32, 7, lqi_panel_iq4_levels, part_iq4_xs);
PLAN(iq4_ks, 4, S32_F32_MIN, 7, lqi_panel_iq4_levels, part_iq4_ks);
PLAN(tq1_0, 2, S256_F32, 0, NULL, part_tq1_0);
PLAN(tq2_0, 2, S256_F32, 0, NULL, part_tq2_0);
