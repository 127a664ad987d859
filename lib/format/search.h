/* SPDX-License-Identifier: MIT */
/*
 * lib/format/search.h - the scale searches that several block formats share
 *
 * They define bytes: every sum runs over ascending indices from +0, one rounding per
 * operation, no fusing, products from left to right: a weighted square is (w * l) * l.
 * Source of truth: the quantizers of ggml, generic C.
 *
 * Searches return scales and the *inverse* scale whose codes won, never the codes:
 * most formats round anew with the stored scales, and the few codes that come straight
 * from a search follow from the inverse.
 */
#ifndef LQI_SEARCH_H
#define LQI_SEARCH_H

#include "lib/base/half.h"

#define LQI_SEARCH_MAX 32   /* values of one search */

/* Below this magnitude a group counts as zero. */
#define LQI_SEARCH_EPS 1e-15f

/*
 * Nearest integer, ties to even, for |v| < 2^22.  Beyond that the low bits of the sum
 * are no integer near v any more, but they are what the reference works with, so they
 * stay: infinities give -2^22.  NaN gives 0 whatever its payload.
 */
static inline int lqi_nearest_int(float v)
{
    uint32_t bits = lqi_float_bits(v + 12582912.0f);   /* 1.5 * 2^23 */

    return v == v ? (int)(bits & 0x7fffff) - 0x400000 : 0;
}

static inline int lqi_clamp_int(int v, int lo, int hi)
{
    v = v > hi ? hi : v;
    return v < lo ? lo : v;
}

/* Element of largest magnitude, the first of equal ones; NaN is passed over. */
float lqi_extreme(const float *x, int n);

/* Sum of squares, left to right. */
float lqi_sum_squares(const float *x, int n);

/*
 * Importance weights w = imp * sqrt(ms + x^2), which most searches use, for a mean
 * square 'ms' of some neighbourhood.  Returns their sum.
 */
float lqi_search_weights(const float *x, const float *imp, int n, float ms, float *w);

/* --------------------------------------------------------------- symmetric */

/* inverse 0: every code is 0, which stands for the lowest level. */
typedef struct lqi_qx {
    float scale, inverse;
} lqi_qx;

/*
 * x ~ scale * l with l in [-nmax, nmax): the scale of least weighted error among the
 * fits of 19 roundings.  n <= LQI_SEARCH_MAX.
 */
lqi_qx lqi_make_qx(const float *x, const float *w, int n, int nmax);

/* Code in [0, 2 nmax) that the winning rounding gives x. */
static inline uint32_t lqi_qx_code(float inverse, int nmax, float x)
{
    if (inverse == 0)
        return 0;
    return (uint32_t)(lqi_clamp_int(lqi_nearest_int(inverse * x), -nmax, nmax - 1) + nmax);
}

/*
 * The same by coordinate descent, weighted with x^2: from one rounding, each l in turn
 * moves where the others want it.  Returns the scale, and l + nmax as codes, which no
 * inverse scale could give.
 */
float lqi_make_q3(const float *x, int n, int nmax, uint32_t *codes);

/* ------------------------------------------------------------------ affine */

/* Candidate s in [0, steps] rounds with (rmin + rdelta * s + nmax) / range.  The error
 * is w * e^2, or w * |e|. */
typedef struct lqi_qkx_plan {
    float rmin, rdelta;
    int   nmax, steps;
    int   absolute;
} lqi_qkx_plan;

/* x ~ scale * l - min; the codes come from 'inverse' and 'base' */
typedef struct lqi_qkx {
    float scale, min, inverse, base;
} lqi_qkx;

/* l in [0, nmax], min >= 0, least weighted error.  n <= LQI_SEARCH_MAX. */
lqi_qkx lqi_make_qkx(const lqi_qkx_plan *plan, const float *x, const float *w, int n);

static inline uint32_t lqi_qkx_code(const lqi_qkx *fit, int nmax, float x)
{
    return (uint32_t)lqi_clamp_int(lqi_nearest_int(fit->inverse * (x - fit->base)), 0, nmax);
}

/* ------------------------------------------------------------ second level */

/*
 * x ~ scale * l for x >= 0 and l in [0, nmax]; returns the scale.  Codes have no lower
 * clamp and live in a byte: a negative x leaves 256 - l there, as in the reference.
 */
float lqi_make_qp(const float *x, const float *w, int n, int nmax, uint8_t *codes);

#endif
