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
#define LQI_GRID_SUB 32    /* weights of the larger sub-blocks */

/* Result for a sub-block. */
typedef struct lqi_grid_sub {
    float    scale;
    int      zero;           /* too small to be searched: all the rest is 0 */
    uint16_t entry[8];       /* of each group of lanes */
    uint8_t  signs[4];       /* of each 8 weights */
} lqi_grid_sub;

/* What distinguishes the formats. */
typedef struct lqi_grid_plan {
    int   grid, bytes;       /* codebook; bytes of a superblock */
    int   entry_bits;        /* in codes */
    float unit;              /* scale of sub-block = d * (0.5 + code) * unit */
    int   even;              /* the number of minus signs of 8 weights is even */
    int   fit_range;         /* start from a fit of five levels, not from the maximum */
    float eps;               /* below this magnitude a sub-block is zero */
    float mean_factor;       /* of the superblock's mean square */
    int   plain;             /* weights without importances: LQI_GRID_... */
    float fudge;             /* on the stored scale */
    lqi_grid_rules rules;
    void (*pack)(const void *param, const uint32_t *codes, void *block);
    void (*unpack)(const void *block, void *param, uint32_t *codes);
    void (*finish)(const lqi_grid_sub *sub, uint8_t *block);   /* or NULL: after pack */
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

/* Signs and magnitudes of 8 values; if 'even' and the signs are not, the one of least
 * (w x) x changes, so that its magnitude is negative. */
uint8_t lqi_grid_signs(const float *x, const float *w, int even, float *v);

/* Search all sub-blocks of a superblock. */
void lqi_grid_search(const lqi_grid_plan *plan, const lqi_fit *in, lqi_grid_sub *sub);

/* The search for one sub-block: the scale of the best candidate, and its rounding done once
 * more with that scale. */
void lqi_grid_fit_plain(lqi_grid_fit *fit);

/* Scales of 4 bits, the low nibble first. */
void lqi_grid_scales_write(const uint8_t *scale, int n, uint8_t *b);
void lqi_grid_scales_read(const uint8_t *b, int n, uint8_t *scale);

/* ---------------------------------------------------- descriptor functions */

void lqi_grid_encode(const lqi_grid_plan *plan, const lqi_fit *in, void *block);
void lqi_grid_fit_block(const lqi_grid_plan *plan, const lqi_fit *in, void *param);
void lqi_grid_round(const lqi_grid_plan *plan, const lqi_fit *in, const lqi_grid_param *param,
                    uint32_t *codes);
void lqi_grid_value(const lqi_grid_plan *plan, const lqi_grid_param *param,
                    const uint32_t *codes, size_t n, float *y);
void lqi_grid_decode(const lqi_grid_plan *plan, const lqi_run *run, float *y);

/* A format's functions and tunables, from its plan and the number of its sub-blocks. */
#define LQI_GRID_FUNCTIONS(plan, subs) \
    static void encode(const lqi_fit *in, void *block) \
    { \
        lqi_grid_encode(&(plan), in, block); \
    } \
    static void fit(const lqi_fit *in, void *param) \
    { \
        lqi_grid_fit_block(&(plan), in, param); \
    } \
    static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes) \
    { \
        lqi_grid_round(&(plan), in, param, codes); \
    } \
    static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n, \
                      float *y) \
    { \
        (void)spec; \
        lqi_grid_value(&(plan), param, codes, n, y); \
    } \
    static void decode(const lqi_run *run, float *y) \
    { \
        lqi_grid_decode(&(plan), run, y); \
    } \
    static const lqi_tunable tunable[] = { \
        LQI_TUNE_SCALE(lqi_grid_param, d), \
        { offsetof(lqi_grid_param, scale), subs, LQI_TUNE_U8, 0, 15 }, \
        { 0 }, \
    };

/* Their places in the descriptor. */
#define LQI_GRID_MEMBERS \
    .check = lqi_check_f16, .fit = fit, .round = round_codes, .value = value, .pack = pack, \
    .unpack = unpack, .decode = decode, .encode = encode, \
    .encode_many = lqi_encode_search, .tunable = tunable

#endif
