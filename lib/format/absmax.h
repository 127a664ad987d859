/* SPDX-License-Identifier: MIT */
/*
 * lib/format/absmax.h - blocks whose scale is the largest magnitude over the largest code
 *
 *     d        = largest |x| / top, stored as f16
 *     l        = round(x * (1/d)), with d before it becomes f16; ties away from zero
 *     value    = l * d                    one rounding
 *
 * Q8_0, Q8_1: top 127.  Q2_0, TQ1_0, TQ2_0: top 1.  Importances are not used.
 *
 * All zero: d = 0, l = 0.  NaN counts as 0 and does not take part in the maximum.
 * Infinity, or a maximum above top * 65504: d is infinite, check reports it.  Where 1/d
 * is not finite (the stored d is 0 anyway) the reference is undefined: here l = 0.
 */
#ifndef LQI_ABSMAX_H
#define LQI_ABSMAX_H

#include "lib/format/blocked.h"
#include "lib/format/search.h"

/* 'inverse' is what codes are rounded with; only 'd' is stored. */
typedef struct lqi_absmax {
    float    inverse;
    uint16_t d;
} lqi_absmax;

/* Returns d before it becomes f16. */
static inline float lqi_absmax_fit(const float *x, int n, int top, lqi_absmax *p)
{
    float d = fabsf(lqi_extreme(x, n)) / (float)top;

    p->d = lqi_store_scale(d);
    p->inverse = lqi_inverse_of(d);
    return d;
}

/* The scale comes back as stored: whoever rounds with it wants the nearest level. */
static inline void lqi_absmax_load(const void *d, lqi_absmax *p)
{
    p->d = lqi_load16(d);
    p->inverse = lqi_inverse_of(lqi_f16_to_f32(p->d));
}

/* Codes l + 1 for l in -1, 0, 1 and, where the format has a fourth code, 2. */
static inline void lqi_ternary_round(const float *x, int n, int top, const lqi_absmax *p,
                                     uint32_t *codes)
{
    for (int i = 0; i < n; i++)
        codes[i] = (uint32_t)(lqi_round_away(x[i] * p->inverse, -1, top) + 1);
}

static inline void lqi_ternary_value(const lqi_absmax *p, const uint32_t *codes, size_t n,
                                     float *y)
{
    float d = lqi_f16_to_f32(p->d);

    for (size_t i = 0; i < n; i++)
        y[i] = (float)((int)codes[i] - 1) * d;
}

#endif
