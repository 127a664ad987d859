/* SPDX-License-Identifier: MIT */
/*
 * kernels/kernels.c - fills a kernel table, level by level
 */
#include "kernels/kernels.h"

void lqi_kernels_init(lqi_kernels *k, lq_level level)
{
    memset(k, 0, sizeof *k);
    lqi_kernels_init_ref(k);
    k->level = level;
#if LQI_BUILD_AVX2
    if (level >= LQ_LEVEL_AVX2 && level <= LQ_LEVEL_AVX512_BF16)
        lqi_kernels_init_avx2(k);
#endif
#if LQI_BUILD_AVX2_VNNI
    if (level >= LQ_LEVEL_AVX2_VNNI && level <= LQ_LEVEL_AVX512_BF16) {
        k->panel = &lqi_panel_kernels_avx2_vnni;
        k->sums = &lqi_panel_sums_avx2_vnni;
    }
#endif
#if LQI_BUILD_AVX512
    if (level >= LQ_LEVEL_AVX512_VNNI && level <= LQ_LEVEL_AVX512_BF16)
        lqi_kernels_init_avx512(k);
#endif
#if LQI_BUILD_AVX512_BF16
    if (level == LQ_LEVEL_AVX512_BF16)
        lqi_kernels_init_avx512_bf16(k);
#endif
#if LQI_BUILD_NEON
    if (level >= LQ_LEVEL_NEON)
        lqi_kernels_init_neon(k);
#endif
#if LQI_BUILD_NEON_DOTPROD
    if (level >= LQ_LEVEL_NEON_DOTPROD) {
        k->panel = &lqi_panel_kernels_neon_dotprod;
        k->sums = &lqi_panel_sums_neon_dotprod;
    }
#endif
#if LQI_BUILD_NEON_I8MM
    if (level >= LQ_LEVEL_NEON_I8MM) {
        k->panel = &lqi_panel_kernels_neon_i8mm;
        k->sums = &lqi_panel_sums_neon_i8mm;
    }
#endif
}
