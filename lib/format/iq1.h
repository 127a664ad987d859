/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq1.h - what IQ1_S and IQ1_M share
 *
 * A value is scale * (level + delta), the levels -1, 0, 1 of 8 weights together being an
 * entry of a codebook, delta one of +-1/8.  A search sorts a sub-block and cuts it in
 * three: the smallest values get level -1, the middle ones 0, the largest 1.
 */
#ifndef LQI_IQ1_H
#define LQI_IQ1_H

#include "lib/format/blocked.h"
#include "lib/format/grids.h"
#include "lib/format/search.h"

#define LQI_IQ1_LEN   256
#define LQI_IQ1_CODES (LQI_IQ1_LEN / 8)
#define LQI_IQ1_SUB   32     /* weights of the larger sub-blocks */

/* Level as digit 0..2, plus delta, for both signs of delta. */
extern const float lqi_iq1_value[2][3];

/* w = imp * sqrt(ms2 + x^2), with imp NULL: x^2, or if 'ones': as if imp were 1. */
void lqi_iq1_weights(const float *x, const float *imp, int ones, int n, float ms2, float *w);

/* Indices of n values, ascending; equal ones keep their order. */
void lqi_iq1_sort(const float *x, int n, uint8_t *order);

/*
 * Entries of the n / 8 groups for a cut, off the grid the nearest neighbours; then the
 * scale is fitted anew.  A negative scale turns everything round.
 */
void lqi_iq1_entries(const lqi_fit *in, const float *x, const float *w, int n, lqi_cut *cut,
                     uint16_t *entry);

/* 3-bit code of a scale: nearest of d * (2 code + 1), from 1 / d. */
static inline uint8_t lqi_iq1_scale_code(float inverse, float scale)
{
    return (uint8_t)lqi_clamp_int(lqi_nearest_int(0.5f * (inverse * scale - 1)), 0, 7);
}

/* Frozen scale and delta: the entry for 8 values, and its weighted squared error; imp
 * NULL: ones. */
uint32_t lqi_iq1_round(const struct lqi_grids *grids, const float *x, const float *imp,
                       float scale, int minus, float *error);

/* ---------------------------------------------------------------- decoding */

#define LQI_IQ1_MAX (65504.0f * 15 * 1.125f)

/* 8 values of an entry; without a codebook: from the bitmap. */
static inline void lqi_iq1_values(const uint8_t *codebook, uint32_t entry, unsigned minus,
                                  float scale, float *y)
{
    float delta = minus ? -0.125f : 0.125f;
    uint8_t level[8];

    lqi_grid_entry(codebook, LQI_GRID_IQ1, entry, level);
    for (int i = 0; i < 8; i++)
        y[i] = scale * ((float)(int8_t)level[i] + delta);
}

/* The descriptor functions that follow from a format's encode, unpack and values. */
#define LQI_IQ1_FUNCTIONS(param_type, bytes) \
    static void fit(const lqi_fit *in, void *param) \
    { \
        uint8_t block[bytes]; \
        uint32_t codes[LQI_IQ1_CODES]; \
        encode(in, block); \
        unpack(block, param, codes); \
    } \
    static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n, \
                      float *y) \
    { \
        (void)spec; \
        values(NULL, param, codes, n, y); \
    } \
    static void decode_block(const void *plan, const uint8_t *codebook, const uint8_t *b, \
                             float *y) \
    { \
        uint32_t codes[LQI_IQ1_CODES]; \
        param_type p; \
        (void)plan; \
        unpack(b, &p, codes); \
        values(codebook, &p, codes, LQI_IQ1_LEN, y); \
    } \
    static void decode(const lqi_run *run, float *y) \
    { \
        lqi_decode_entries(run, bytes, NULL, decode_block, y); \
    }

#endif
