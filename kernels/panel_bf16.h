/* SPDX-License-Identifier: MIT */
/*
 * kernels/panel_bf16.h - panels in pairs of bf16
 *
 * For panels of four bits with one level of scales, and of floats.  A shift by 0, 8, 4 and 12
 * bits puts a code of columns 0 and 2, 1 and 3, 4 and 6, 5 and 7 of eight columns where it is
 * an index in both halves of a dword; bytes of floats give pairs 0 and 2, 1 and 3 of four.  So
 * the pairs of all panels have one order: (0, 2) (1, 3), four columns after four.
 */
#ifndef LQI_PANEL_BF16_H
#define LQI_PANEL_BF16_H

#include "kernels/panel.h"

/* A panel, its 'factor' now the unit of the words. */
typedef struct lqi_words {
    lqi_panel panel;
    uint16_t  word[128];   /* bf16: of code i % 16; of the float whose lower seven bits are i */
} lqi_words;

/* What is taken from codes of shapes with zero points, so that the rest is small. */
#define LQI_WORDS_ZERO 8

/*
 * y[column][16] = products of one panel with activations in pairs.  The operations behind one
 * output, in this order, in both kinds of kernels (pair: two products added to an f32, as
 * vdpbf16ps does):
 *
 *     each pair k of a step: part[k % 2] = pair(w, x, part[k % 2])
 *     each step: dot = part[0] + part[1];       part = 0
 *                dot = fma(8 - zero, fsum, dot)  MIN_ZERO
 *                y = fma(dot, scale, y)
 *                y = fma(min, fsum, y)           MIN_FLOAT
 */
typedef void lqi_pairs_fused_fn(const lqi_words *w, const uint8_t *panel, size_t chunks,
                                const lqi_acts_tile *a, float *y);

/* For many columns: two panels, LQI_STRIP_CHUNKS chunks at most, decoded once. */
typedef struct lqi_pairs_strip {
    _Alignas(LQI_ALIGN) uint32_t pair[2][LQI_STRIP_CHUNKS * LQI_PANEL_CHUNK / 2][16];
    _Alignas(LQI_ALIGN) float    scale[LQI_STRIP_CHUNKS * 16][2][16];
    _Alignas(LQI_ALIGN) float    min[LQI_STRIP_CHUNKS * 8][2][16];   /* or 8 - zero */
} lqi_pairs_strip;

/* Decode chunks [0, chunks) at 'panel' to one half of the strip. */
typedef void lqi_pairs_strip_fn(const lqi_words *w, const uint8_t *panel, size_t chunks,
                                unsigned half, lqi_pairs_strip *strip);

/* y[column][LQI_STRIP_ROWS] += the strip's products, by the order above. */
typedef void lqi_pairs_tile_fn(const lqi_pairs_strip *strip, size_t chunks,
                               const lqi_acts_tile *a, float *y);

/* What a tile needs to know of a shape. */
typedef enum lqi_pairs_kind {
    LQI_PAIRS_16, LQI_PAIRS_32, LQI_PAIRS_32_ZERO, LQI_PAIRS_32_MIN, LQI_PAIRS_64,
    LQI_PAIRS_64_ZERO, LQI_PAIRS_KINDS
} lqi_pairs_kind;

lqi_pairs_kind lqi_panel_pairs_kind(const lqi_panel *p);

/* One level's kernels; tiles have LQI_PAIRS_TILE, .. - 1 and .. - 2 columns. */
#define LQI_PAIRS_TILE 6

typedef struct lqi_panel_pairs {
    lqi_pairs_fused_fn *fused[LQI_PANEL_CODES][LQI_PANEL_SHAPES][LQI_FUSED];   /* or NULL */
    lqi_pairs_strip_fn *strip[LQI_PANEL_CODES];
    lqi_pairs_tile_fn  *tile[LQI_PAIRS_KINDS][3];
} lqi_panel_pairs;

extern const lqi_panel_pairs lqi_panel_pairs_avx512;

#endif
