/* SPDX-License-Identifier: MIT */
/*
 * lib/format/k_affine.h - superblocks with scales and minimums: Q2_K, Q4_K, Q5_K
 *
 * 256 codes in sub-blocks, each with a small integer scale and minimum; one float d for
 * the scales and one for the minimums:
 *
 *     value = (d * sc) * q - (dmin * m)   three roundings
 *
 * Encoding: an affine search per sub-block gives a scale and a minimum; those of each
 * kind are rounded to integers by the largest, or with importances by a weighted fit.
 * Codes are then rounded anew, to nearest even of (x + dmin * m) / (d * sc) with the
 * stored numbers.  Weights of the search: |x|, or root mean square of the sub-block +
 * |x|; with importances imp * sqrt(ms * mean x^2 of the block + x^2).  A sub-block with
 * d * sc = 0 keeps the codes of the search: 'round' repeats the search there.
 *
 * All zero: the block is all zero bytes.  NaN: code 0, or what the fit of its sub-block
 * makes of it.  Infinity and overflow: d or dmin are not finite, which check reports,
 * except that a weighted fit can lose numbers whose square overflows: max_abs says
 * what a block can hold.
 */
#ifndef LQI_K_AFFINE_H
#define LQI_K_AFFINE_H

#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LQI_K_LEN  256
#define LQI_K_SUBS 16   /* sub-blocks at most */

typedef struct lqi_k_plan {
    lqi_qkx_plan plain, weighted;
    int   sub;         /* weights of a sub-block */
    int   top;         /* largest sc and m */
    int   cut;         /* what they are cut to without importances */
    float ms;          /* factor of the mean square in the weights */
    int   with_rms;    /* weights without importances: rms + |x| */
} lqi_k_plan;

typedef struct lqi_k_param {
    uint16_t d, dmin;
    uint8_t  sc[LQI_K_SUBS], m[LQI_K_SUBS];
} lqi_k_param;

/* sc and m fill their byte: a search with zero weights can leave more than 'top' there,
 * which the format's packing cuts as the reference's does. */
void lqi_k_fit(const lqi_k_plan *plan, const lqi_fit *in, lqi_k_param *p);

/* A format's encode_many (k_affine_many.c). */
void lqi_k_encode_many(const lqi_k_plan *plan, const lqi_format *format,
                       const lqi_encode_run *run);

void lqi_k_round(const lqi_k_plan *plan, const lqi_fit *in, const lqi_k_param *p,
                 uint32_t *codes);

void lqi_k_value(const lqi_k_plan *plan, const lqi_k_param *p, const uint32_t *codes, size_t n,
                 float *y);

/* Non-negative numbers to integers by the largest; returns the scale. */
float lqi_k_round_to_top(const lqi_k_plan *plan, const float *v, int n, uint8_t *codes);

/* The 12 bytes of scales and minimums of Q4_K and Q5_K; see q4_k.c. */
void lqi_k_scales_write(const lqi_k_param *p, uint8_t *s);
void lqi_k_scales_read(const uint8_t *s, lqi_k_param *p);

#endif
