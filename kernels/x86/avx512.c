/* SPDX-License-Identifier: MIT */
/*
 * kernels/x86/avx512.c - the AVX-512 kernels: templates over v_avx512.h
 */
#include "kernels/kernels.h"
#include "kernels/x86/v_avx512.h"
#include "lib/base/half.h"

#define TILE_MR 4
#define TILE_NR 6
#define GEMM_MR 8
#define GEMM_NV 3

#include "kernels/tmpl/convert.h"
#include "kernels/tmpl/decode.h"
#include "kernels/tmpl/decode_bits.h"
#include "kernels/tmpl/decode_blocks.h"
#include "kernels/tmpl/decode_grids.h"
#include "kernels/tmpl/encode_blocks.h"
#include "kernels/tmpl/bins.h"
#include "kernels/tmpl/codes.h"
#include "kernels/tmpl/encode_acts.h"
#include "kernels/tmpl/encode_planar.h"
#include "kernels/tmpl/gemm_tile.h"
#include "kernels/tmpl/planar_formats.h"
#include "kernels/tmpl/encode_e2m1.h"
#include "kernels/tmpl/encode_ternary.h"
#include "kernels/tmpl/scan.h"
#include "kernels/tmpl/search.h"
#include "kernels/tmpl/optim.h"
#include "kernels/tmpl/tile_f32.h"
#include "kernels/tmpl/slots.h"
#include "kernels/tmpl/slots_codes.h"

void lqi_kernels_init_avx512(lqi_kernels *k)
{
    fill_slots(k);
    fill_code_slots(k);
    k->panel = &lqi_panel_kernels_avx512;
    k->sums = &lqi_panel_sums_avx512;
}
