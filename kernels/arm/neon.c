/* SPDX-License-Identifier: MIT */
/*
 * kernels/arm/neon.c - the NEON kernels: searches and products, templates over v_neon.h
 */
#include "kernels/kernels.h"
#include "lib/base/half.h"

#define V_REGS 1
#include "kernels/arm/v_neon.h"
#include "kernels/arm/v_neon_search.h"

#define TILE_MR 4
#define TILE_NR 4
#define GEMM_MR 4
#define GEMM_NV 6

#include "kernels/tmpl/gemm_tile.h"
#include "kernels/tmpl/scan.h"
#include "kernels/tmpl/search.h"
#include "kernels/tmpl/tile_f32.h"
#include "kernels/tmpl/slots.h"

void lqi_kernels_init_neon(lqi_kernels *k)
{
    fill_slots(k);
    lqi_kernels_init_neon_codes(k);
    k->panel = &lqi_panel_kernels_neon;
    k->sums = &lqi_panel_sums_neon;
}
