/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/slots.h - puts products, searches and scans into a table
 *
 * Included last by each ISA unit; slots_codes.h has the rest.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

static void fill_slots(lqi_kernels *k)
{
    k->tile_f32 = (lqi_tile_f32){ tile_f32, TILE_MR, TILE_NR };
    k->gemm = (lqi_gemm){ gemm_tile, gemm_copy, gemm_transpose, GEMM_MR, GEMM_NR };
    k->search = search_slots;
    k->magnitude = magnitude;
    k->any_nonfinite = any_nonfinite;
    k->range = range;
}
