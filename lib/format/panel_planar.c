/* SPDX-License-Identifier: MIT */
/*
 * lib/format/panel_planar.c - panels of the planar formats: what their codes mean
 */
#include "lib/format/panel.h"

/* Eight times the numbers of E2M3. */
static const int8_t e2m3_levels[64] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30,
    32, 36, 40, 44, 48, 52, 56, 60,
    0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -14, -15, -16, -18, -20, -22,
    -24, -26, -28, -30, -32, -36, -40, -44, -48, -52, -56, -60
};

#define LINEAR(name, width, log2) \
    const lqi_panel_plan lqi_panel_##name = { \
        .codes = LQI_PANEL_##width, .shift = log2, .factor = 1 }

LINEAR(int2, 2, 1);
LINEAR(int3, 3, 2);
LINEAR(int4, 4, 3);
LINEAR(int5, 5, 4);
LINEAR(int6, 6, 5);
LINEAR(ternary, 2, 0);

#define BYTES(name, by) \
    const lqi_panel_plan lqi_panel_##name = { \
        .codes = LQI_PANEL_8, .shift = 7, .flip = 0x80, .factor = by }

BYTES(int8, 1);
BYTES(llm_int8, 1.0f / 127);
BYTES(mxint8, 1.0f / 64);

#define LEVELS(name, width, log2, by, table) \
    const lqi_panel_plan lqi_panel_##name = { \
        .codes = LQI_PANEL_##width, .shift = log2, .factor = by, .levels = table, \
        .count = sizeof table }

LEVELS(mxfp4, 4, 4, 0.5f, lqi_panel_e2m1_levels);
LEVELS(nvfp4, 4, 4, 0.5f, lqi_panel_e2m1_levels);
LEVELS(mxfp6_e2m3, 6, 6, 0.125f, e2m3_levels);

/* Any sixteen numbers. */
const lqi_panel_plan lqi_panel_table4 = {
    .codes = LQI_PANEL_4, .shift = 7, .factor = 1, .fitted = 1
};
