/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/panel_slots.h - the table of this level's panel kernels, PANEL_KERNELS
 */
#if defined(V_GENERIC)
#define FUSED(bits, shape) \
    .fused[LQI_PANEL_##bits][LQI_##shape] = { fused_1, fused_4, fused_8 },
#define FLOATS(bits, shape) \
    .fused[LQI_PANEL_##bits][LQI_##shape] = { floats_1, floats_4, floats_8 },
#else
#define FUSED(bits, shape) \
    .fused[LQI_PANEL_##bits][LQI_##shape] = { \
        fused_##bits##_##shape##_1, fused_##bits##_##shape##_4, fused_##bits##_##shape##_8 },
#define FLOATS(bits, shape) \
    .fused[LQI_PANEL_##bits][LQI_##shape] = { \
        floats_##bits##_##shape##_1, floats_##bits##_##shape##_4, \
        floats_##bits##_##shape##_8 },
#endif
#define TILE_SLOT(name) { name##_0, name##_1, name##_2 }

const lqi_panel_kernels PANEL_KERNELS = {
#include "kernels/tmpl/panels.def"
    .strip = { strip_2, strip_3, strip_4, strip_5, strip_6, strip_8 },
    .tile = {
        [LQI_TILE_32]         = TILE_SLOT(tile32),
        [LQI_TILE_32_MIN]     = TILE_SLOT(tile32_min),
        [LQI_TILE_32_CODES_MIN] = TILE_SLOT(tile32_codes_min),
        [LQI_TILE_16_256]     = TILE_SLOT(tile16_256),
        [LQI_TILE_32_256]     = TILE_SLOT(tile32_256),
        [LQI_TILE_64_256]     = TILE_SLOT(tile64_256),
        [LQI_TILE_16_256_MIN] = TILE_SLOT(tile16_256_min),
        [LQI_TILE_32_256_MIN] = TILE_SLOT(tile32_256_min),
    },
    .acts = acts_chunk,
    .pack = pack_chunk,
    .strip_panels = STRIP_PANELS,
    .tile_max = TILE_MAX,
};
