/* SPDX-License-Identifier: MIT */
/*
 * kernels/panel_sums.h - sums of 8-bit panels that stay integers to the end
 */
#ifndef LQI_PANEL_SUMS_H
#define LQI_PANEL_SUMS_H

#include "kernels/panel.h"

#define LQI_SUMS_CHUNK (64 + 64 * 64)   /* bytes of a chunk of 8 bits, shape S256_F32 */
#define LQI_SUMS_MAX   16

/*
 * y[t][16] += sum over the columns of some chunks of byte * x, modulo 2^32, for the rows of
 * one panel of 8 bits and shape S256_F32: bytes as they lie there (level + 128, no sign).
 * x[64 * chunk + j][t] holds columns 4j .. 4j + 3 of activation vector t, bytes with sign.
 */
typedef void lqi_panel_sums_fn(const uint8_t *panel, size_t chunks, const int32_t *x,
                               int32_t *y);

/* run[t - 1]: of t vectors, t <= columns. */
typedef struct lqi_panel_sums {
    lqi_panel_sums_fn *run[LQI_SUMS_MAX];
    uint8_t            columns;
} lqi_panel_sums;

extern const lqi_panel_sums lqi_panel_sums_ref;
extern const lqi_panel_sums lqi_panel_sums_avx2;
extern const lqi_panel_sums lqi_panel_sums_avx2_vnni;
extern const lqi_panel_sums lqi_panel_sums_avx512;
extern const lqi_panel_sums lqi_panel_sums_neon;
extern const lqi_panel_sums lqi_panel_sums_neon_dotprod;
extern const lqi_panel_sums lqi_panel_sums_neon_i8mm;

#endif
