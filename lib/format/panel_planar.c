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

/* Floats; the factor is half of the power that panel_float.h takes from them. */
#define FLOATS(name, width, log2, by, table, number) \
    const lqi_panel_plan lqi_panel_##name = { \
        .codes = LQI_PANEL_##width, .shift = log2, .factor = by, .floats = 1, .levels = table, \
        .count = number }

/* The numbers of E3M2 in E4M3. */
static const int8_t e3m2_in_e4m3[64] = {
    0x00, 0x18, 0x20, 0x24, 0x28, 0x2a, 0x2c, 0x2e, 0x30, 0x32, 0x34, 0x36, 0x38, 0x3a, 0x3c,
    0x3e, 0x40, 0x42, 0x44, 0x46, 0x48, 0x4a, 0x4c, 0x4e, 0x50, 0x52, 0x54, 0x56, 0x58, 0x5a,
    0x5c, 0x5e,
    -128, -104, -96, -92, -88, -86, -84, -82, -80, -78, -76, -74, -72, -70, -68, -66, -64, -62,
    -60, -58, -56, -54, -52, -50, -48, -46, -44, -42, -40, -38, -36, -34
};

FLOATS(e4m3, 8, 4, 0x1p60f, NULL, 0);
FLOATS(e5m2, 8, 3, 0x1p52f, NULL, 0);
FLOATS(mxfp6_e3m2, 6, 4, 0x1p60f, e3m2_in_e4m3, 64);

/* Any sixteen numbers. */
const lqi_panel_plan lqi_panel_table4 = {
    .codes = LQI_PANEL_4, .shift = 7, .factor = 1, .fitted = 1
};
