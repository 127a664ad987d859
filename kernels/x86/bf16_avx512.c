/* SPDX-License-Identifier: MIT */
/*
 * kernels/x86/bf16_avx512.c - products of bf16 pairs with AVX-512 BF16
 *
 * vdpbf16ps adds the products of two pairs to an f32; denormals count as 0.
 */
#include "kernels/kernels.h"
#include "kernels/x86/v_avx512.h"

#define ROWS LQI_BF16_ROWS

#if defined(__clang__)
#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)
#else
#define EACH(i, count) _Pragma("GCC unroll 6") for (int i = 0; i < (count); i++)
#endif

/* 32 rows in two registers, T columns. */
V_INLINE void tile(const int T, const lqi_bf16_strip *w, const uint32_t *x, size_t pairs,
                   float *y)
{
    v_f32 sum[LQI_BF16_TILE][2];

    EACH(t, T)
        EACH(i, 2)
            sum[t][i] = v_load(y + ROWS * t + 16 * i);
    for (size_t k = 0; k < pairs; k++, x += T) {
        __m512bh a = (__m512bh)_mm512_loadu_si512(w->pair[0][k]);
        __m512bh b = (__m512bh)_mm512_loadu_si512(w->pair[1][k]);
        EACH(t, T) {
            __m512bh xt = (__m512bh)_mm512_set1_epi32((int)x[t]);
            sum[t][0] = _mm512_dpbf16_ps(sum[t][0], a, xt);
            sum[t][1] = _mm512_dpbf16_ps(sum[t][1], b, xt);
        }
    }
    EACH(t, T)
        EACH(i, 2)
            v_store(y + ROWS * t + 16 * i, sum[t][i]);
}

#define TILE(T) \
    static void tile_##T(const lqi_bf16_strip *w, const uint32_t *x, size_t pairs, \
                         float *y) \
    { \
        tile(T, w, x, pairs, y); \
    }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)

void lqi_kernels_init_avx512_bf16(lqi_kernels *k)
{
    static lqi_bf16_fn *const tiles[LQI_BF16_TILE] = { tile_1, tile_2, tile_3, tile_4, tile_5,
                                                       tile_6 };

    memcpy(k->bf16, tiles, sizeof tiles);
    k->pairs = &lqi_panel_pairs_avx512;
}
