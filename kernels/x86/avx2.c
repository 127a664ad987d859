/* SPDX-License-Identifier: MIT */
/*
 * kernels/x86/avx2.c - the AVX2 kernels: templates over v_avx2.h
 */
#include "kernels/kernels.h"
#include "kernels/x86/v_avx2.h"
#include "lib/base/half.h"

#define TILE_MR 4
#define TILE_NR 2

#include "kernels/tmpl/convert.h"
#include "kernels/tmpl/decode.h"
#include "kernels/tmpl/tile_f32.h"

void lqi_kernels_init_avx2(lqi_kernels *k)
{
    k->tile_f32 = (lqi_tile_f32){ tile_f32, TILE_MR, TILE_NR };
    k->decode[LQI_DECODER_TABLE4] = decode_table4;
    k->decode[LQI_DECODER_F16_I8X32] = decode_f16_i8x32;
    k->f16_to_f32 = f16_to_f32;
    k->bf16_to_f32 = bf16_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->f32_to_bf16 = f32_to_bf16;
}
