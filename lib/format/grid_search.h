/* SPDX-License-Identifier: MIT */
/*
 * lib/format/grid_search.h - what IQ2_* and IQ3_* share: signs, scales, nearest entries
 *
 * A value is scale * level * sign, the levels of 8 or 4 neighbours together being an entry
 * of a codebook.  While searching, levels are the odd numbers 2 l + 1 for digits l; the
 * decoder's values are near multiples of them.
 */
#ifndef LQI_GRID_SEARCH_H
#define LQI_GRID_SEARCH_H

#include "lib/format/blocked.h"
#include "lib/format/grids.h"
#include "lib/format/search.h"

#define LQI_GRID_LEN 256   /* weights of a superblock */

/* What distinguishes the formats. */
typedef struct lqi_grid_plan {
    int   grid, sub;         /* codebook; weights of a sub-block: 32 or 16 */
    int   entry_bits;        /* in codes */
    float unit;              /* scale of sub-block = d * (0.5 + code) * unit */
    int   even;              /* the number of minus signs of 8 weights is even */
    int   fit_range;         /* start from a fit of five levels, not from the maximum */
    int   repeat_all;        /* the last rounding is for all groups, not those off the grid */
    int   start_off;         /* groups count as off the grid until a candidate wins */
    float eps;               /* below this magnitude a sub-block is zero */
    float base, step;        /* candidates (base + step * i) / max for i in -steps..steps */
    int   steps;
    float mean_factor;       /* of the superblock's mean square */
    int   plain;             /* weights without importances: LQI_GRID_... */
    float fudge;             /* on the stored scale */
} lqi_grid_plan;

enum {
    LQI_GRID_ONES,           /* as with importances of 1; the core never asks for it */
    LQI_GRID_SQUARES,        /* x^2 */
    LQI_GRID_QUARTER         /* mean / 4 + x^2 */
};

/* Parameters of a superblock. */
typedef struct lqi_grid_param {
    uint16_t d;
    uint8_t  scale[16];
} lqi_grid_param;

/*
 * A code stands for 8 weights: their entry, or two entries of 4 lanes (the first in the
 * low bits, 'entry_bits' each), and above them 8 sign bits (set: minus), or 7 if 'even'.
 */
#define LQI_GRID_CODES (LQI_GRID_LEN / 8)

/* Result for a sub-block. */
typedef struct lqi_grid_sub {
    float    scale;
    int      zero;           /* too small to be searched: all the rest is 0 */
    uint16_t entry[8];       /* of each group of lanes */
    uint8_t  signs[4];       /* of each 8 weights */
} lqi_grid_sub;

/* Signs and magnitudes of 8 values; if 'even' and the signs are not, the one of least
 * (w x) x changes, so that its magnitude is negative. */
uint8_t lqi_grid_signs(const float *x, const float *w, int even, float *v);

/* Number of a point. */
static inline unsigned lqi_grid_point(const lqi_grid_kind *k, const uint8_t *digit)
{
    unsigned point = 0;

    for (int i = k->lanes; i-- > 0;)
        point = point * k->base + digit[i];
    return point;
}

/* Search all sub-blocks of a superblock. */
void lqi_grid_search(const lqi_grid_plan *plan, const lqi_fit *in, lqi_grid_sub *sub);

/* The search's results as parameters and codes; returns 0, and leaves both, if the
 * superblock is all zero. */
int lqi_grid_finish(const lqi_grid_plan *plan, const lqi_grid_sub *sub, lqi_grid_param *param,
                    uint32_t *codes);

/* Descriptor functions. */
void lqi_grid_round(const lqi_grid_plan *plan, const lqi_fit *in, const lqi_grid_param *param,
                    uint32_t *codes);
void lqi_grid_value(const lqi_grid_plan *plan, const lqi_grid_param *param,
                    const uint32_t *codes, size_t n, float *y);

/* ---------------------------------------------------------------- decoding */

/* Largest value that a superblock of f16 scale and 4-bit sub-block scales can hold, the
 * latter counting 0.5 + code, for 'unit' times the largest level. */
#define LQI_GRID_MAX(unit) (65504.0f * 15.5f * (unit))

/* Signs of 8 weights from 7 bits: the eighth makes their number even. */
static inline uint8_t lqi_grid_even(uint32_t code)
{
    uint32_t parity;

    code &= 127;
    parity = code ^ code >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return (uint8_t)(code | (parity & 1) << 7);
}

/* n values of an entry: scale * value, then the sign. */
static inline void lqi_grid_values(const uint8_t *value, unsigned signs, float scale, float *y,
                                   int n)
{
    for (int i = 0; i < n; i++) {
        float v = scale * (float)value[i];
        y[i] = lqi_bits_float(lqi_float_bits(v) ^ (uint32_t)(signs >> i & 1) << 31);
    }
}

static inline float lqi_grid_scale(const lqi_grid_plan *plan, float d, unsigned code)
{
    return d * (0.5f + (float)code) * plan->unit;
}

/* Decode a run of whole superblocks, the last one perhaps in part. */
static inline void lqi_decode_grid(const lqi_run *run, size_t bytes,
                                   void (*block)(const lqi_grids *grids, const uint8_t *b,
                                                 float *y), float *y)
{
    const uint8_t *b = run->codes + (size_t)(run->first / LQI_GRID_LEN) * bytes;
    size_t n = run->n;
    float tail[LQI_GRID_LEN];

    for (; n >= LQI_GRID_LEN; n -= LQI_GRID_LEN, b += bytes, y += LQI_GRID_LEN)
        block(run->grids, b, y);
    if (n == 0)
        return;
    block(run->grids, b, tail);
    memcpy(y, tail, n * sizeof *y);
}

#endif
