/* SPDX-License-Identifier: MIT */
/*
 * lib/format/panel_grid.c - panels of the I-quants
 *
 * A codebook's levels with their signs are few numbers: six (+-8, 25, 43) or sixteen.  So a
 * panel holds level and sign of every weight as one code of 3 or 4 bits, and products need
 * neither codebook nor sign masks.  IQ1's levels with their delta of +-1/8 are six numbers
 * of eighths.
 *
 * Codes: number of the level, plus half the codes if the weight is negative.
 */
#include "lib/format/grid_search.h"
#include "lib/format/iq1.h"
#include "lib/format/panel.h"

static const int8_t levels_2[8] = { 8, 25, 43, 0, -8, -25, -43, 0 };
static const int8_t levels_3xxs[16] = { 4, 12, 20, 28, 36, 44, 52, 62,
                                        -4, -12, -20, -28, -36, -44, -52, -62 };
static const int8_t levels_3s[16] = { 1, 3, 5, 7, 9, 11, 13, 15,
                                      -1, -3, -5, -7, -9, -11, -13, -15 };
static const int8_t levels_1[8] = { -7, 1, 9, 0, -9, -1, 7, 0 };   /* 8 level +- 1 */

/* n levels of an entry with their signs, 'negative' added to the codes of those set. */
static void entry_codes(const lqi_run *run, int grid, uint32_t entry, unsigned signs,
                        uint8_t negative, uint8_t *code)
{
    int lanes = lqi_grid_kinds[grid].lanes;
    const uint8_t *digit = run->grids->digit[grid] + (size_t)lanes * entry;

    for (int i = 0; i < lanes; i++)
        code[i] = (uint8_t)(digit[i] + (signs >> i & 1 ? negative : 0));
}

/* Sixteen, or eight, scales of four bits: sub = 2 scale + 1. */
static void odd_scales(const uint8_t *s, int n, lqi_panel_part *part)
{
    for (int j = 0; j < n; j++)
        part->sub[j] = (int8_t)(2 * (s[j / 2] >> 4 * (j % 2) & 15) + 1);
}

static void part_iq2_xxs(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 66);

    part->half[0] = lqi_load16(b);
    b += 2;
    for (int j = 0; j < 8; j++, b += 8) {
        uint32_t signs = lqi_load32(b + 4);
        part->sub[j] = (int8_t)(2 * (signs >> 28) + 1);
        for (int g = 0; g < 4; g++)
            entry_codes(run, LQI_GRID_IQ2_XXS, b[g], lqi_grid_even(signs >> 7 * g), 4,
                        part->code + 32 * j + 8 * g);
    }
}

static void part_iq2_xs(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 74);

    part->half[0] = lqi_load16(b);
    odd_scales(b + 66, 16, part);
    for (int g = 0; g < 32; g++) {
        uint32_t code = lqi_load16(b + 2 + 2 * g);
        entry_codes(run, LQI_GRID_IQ2_XS, code & 511, lqi_grid_even(code >> 9), 4,
                    part->code + 8 * g);
    }
}

static void part_iq2_s(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 82);

    part->half[0] = lqi_load16(b);
    odd_scales(b + 74, 16, part);
    for (int g = 0; g < 32; g++)
        entry_codes(run, LQI_GRID_IQ2_S,
                    b[2 + g] | (uint32_t)(b[66 + g / 4] >> 2 * (g % 4) & 3) << 8, b[34 + g], 4,
                    part->code + 8 * g);
}

static void part_iq3_xxs(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 98);

    part->half[0] = lqi_load16(b);
    for (int j = 0; j < 8; j++) {
        uint32_t signs = lqi_load32(b + 66 + 4 * j);
        part->sub[j] = (int8_t)(2 * (signs >> 28) + 1);
        for (int g = 0; g < 4; g++) {
            unsigned eight = lqi_grid_even(signs >> 7 * g);
            for (int k = 0; k < 2; k++)
                entry_codes(run, LQI_GRID_IQ3_XXS, b[2 + 8 * j + 2 * g + k], eight >> 4 * k, 8,
                            part->code + 32 * j + 8 * g + 4 * k);
        }
    }
}

static void part_iq3_s(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 110);

    part->half[0] = lqi_load16(b);
    odd_scales(b + 106, 8, part);
    for (int i = 0; i < 64; i++)
        entry_codes(run, LQI_GRID_IQ3_S, b[2 + i] | (uint32_t)(b[66 + i / 8] >> i % 8 & 1) << 8,
                    (unsigned)b[74 + i / 2] >> 4 * (i % 2), 8, part->code + 4 * i);
}

static void part_iq1_s(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 50);

    part->half[0] = lqi_load16(b);
    for (int j = 0; j < 8; j++) {
        uint32_t high = lqi_load16(b + 34 + 2 * j);
        part->sub[j] = (int8_t)(2 * (high >> 12 & 7) + 1);
        for (int g = 0; g < 4; g++)
            entry_codes(run, LQI_GRID_IQ1, b[2 + 4 * j + g] | (high >> 3 * g & 7) << 8,
                        high >> 15 ? 255 : 0, 4, part->code + 32 * j + 8 * g);
    }
}

static void part_iq1_m(const lqi_run *run, lqi_panel_part *part)
{
    const uint8_t *b = lqi_panel_block(run, 256, 56);
    unsigned d = 0;

    for (int k = 0; k < 4; k++) {
        unsigned word = lqi_load16(b + 48 + 2 * k);
        d |= (word >> 12) << 4 * k;
        for (int j = 0; j < 4; j++)
            part->sub[4 * k + j] = (int8_t)(2 * (word >> 3 * j & 7) + 1);
    }
    part->half[0] = (uint16_t)d;
    for (int g = 0; g < 32; g++) {
        unsigned high = b[32 + g / 2] >> 4 * (g % 2) & 15u;
        entry_codes(run, LQI_GRID_IQ1, b[g] | (high & 7) << 8, high >> 3 ? 255 : 0, 4,
                    part->code + 8 * g);
    }
}

#define PLAN(name, width, form, log2, by, table, n) \
    const lqi_panel_plan lqi_panel_##name = { \
        .codes = LQI_PANEL_##width, .shape = LQI_##form, .shift = log2, .factor = by, \
        .levels = table, .count = n, .part = part_##name }

PLAN(iq1_s, 3, K32, 4, 0.125f, levels_1, 8);
PLAN(iq1_m, 3, K16, 4, 0.125f, levels_1, 8);
PLAN(iq2_xxs, 3, K32, 6, 0.125f, levels_2, 8);
PLAN(iq2_xs, 3, K16, 6, 0.125f, levels_2, 8);
PLAN(iq2_s, 3, K16, 6, 0.125f, levels_2, 8);
PLAN(iq3_xxs, 4, K32, 6, 0.25f, levels_3xxs, 16);
PLAN(iq3_s, 4, K32, 4, 1, levels_3s, 16);
