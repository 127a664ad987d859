/* SPDX-License-Identifier: MIT */
/*
 * kernels/panel.c - what is known about panels without looking at one
 */
#include "kernels/panel_bf16.h"

void lqi_panel_measure(lqi_panel *p)
{
    static const uint8_t bits[LQI_PANEL_CODES] = { 2, 3, 4, 5, 6, 8 };
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];

    p->bits = bits[p->codes];
    p->chunk_bytes = g->front + 4u * g->head + g->tail + LQI_PANEL_UNITS * 64u * p->bits;
}

lqi_tile_kind lqi_panel_tile_kind(const lqi_panel *p)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];

    if (g->acts == LQI_ACTS_32)
        return g->min != LQI_MIN_FLOAT ? LQI_TILE_32 :
               g->offset ? LQI_TILE_32_MIN : LQI_TILE_32_CODES_MIN;
    if (g->step == 64)
        return LQI_TILE_64_256;
    if (g->min == LQI_MIN_INT)
        return g->step == 16 ? LQI_TILE_16_256_MIN : LQI_TILE_32_256_MIN;
    return g->step == 16 ? LQI_TILE_16_256 : LQI_TILE_32_256;
}

int lqi_panel_usable(lqi_panel_codes codes, lqi_panel_shape shape)
{
    return lqi_panel_kernels_ref.fused[codes][shape][LQI_FUSED_1] != NULL;
}

lqi_pairs_kind lqi_panel_pairs_kind(const lqi_panel *p)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];

    if (g->step == 64)
        return g->min == LQI_MIN_ZERO ? LQI_PAIRS_64_ZERO : LQI_PAIRS_64;
    if (g->step == 16)
        return LQI_PAIRS_16;
    return g->min == LQI_MIN_ZERO ? LQI_PAIRS_32_ZERO :
           g->min == LQI_MIN_FLOAT ? LQI_PAIRS_32_MIN : LQI_PAIRS_32;
}
