/* SPDX-License-Identifier: MIT */
/*
 * lib/format/symmetric32.h - blocks of 32 codes around a middle: Q4_0 and Q5_0
 *
 * For codes in [0, 2 mid), value = (code - mid) * d with one rounding.
 *
 * Without importances:
 *     d        = x of largest |x| (the first) / -mid, stored as f16
 *     code     = floor(x * (1/d) + mid + 0.5), at most 2 mid - 1, with d before it
 *                becomes f16
 *
 * With importances: weights imp * sqrt(mean x^2 of the row + x^2), the search make_qx,
 * and the codes that won there; the rounding of d to f16 does not change them.
 * Nearest, ties to even.
 *
 * All zero: d = 0, code mid; with importances code 0.  NaN: code mid, and it does not
 * take part in the maximum.  Infinity or overflow of d: d is not finite, check reports
 * it.  Where 1/d is not finite (the stored d is 0 anyway) the reference is undefined:
 * here the code is mid.
 *
 * Inline, so that 'mid' is a constant.
 */
#ifndef LQI_SYMMETRIC32_H
#define LQI_SYMMETRIC32_H

#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LQI_SYMMETRIC32_LEN 32

/* How codes come from x * inverse; only 'd' is stored. */
enum { LQI_HALF_UP, LQI_NEAREST };

typedef struct lqi_symmetric32 {
    float    inverse;
    uint16_t d;
    uint16_t rounding;
} lqi_symmetric32;

static inline void lqi_symmetric32_fit(const lqi_fit *in, int mid, lqi_symmetric32 *p)
{
    float w[LQI_SYMMETRIC32_LEN];

    if (!in->imp) {
        float d = lqi_extreme(in->x, LQI_SYMMETRIC32_LEN) / (float)-mid;
        *p = (lqi_symmetric32){ lqi_inverse_of(d), lqi_store_scale(d), LQI_HALF_UP };
        return;
    }
    lqi_search_weights(in->x, in->imp, LQI_SYMMETRIC32_LEN, in->row_ms, w);
    lqi_qx won = lqi_make_qx(in->x, w, LQI_SYMMETRIC32_LEN, mid);
    *p = (lqi_symmetric32){ won.inverse, lqi_store_scale(won.scale), LQI_NEAREST };
}

static inline uint32_t lqi_symmetric32_half_up(float v, int mid)
{
    float top = (float)(2 * mid - 1);

    if (!(v == v))
        return (uint32_t)mid;
    v += (float)mid + 0.5f;
    v = v < top ? v : top;
    return v > 0 ? (uint32_t)v : 0;
}

static inline void lqi_symmetric32_round(const lqi_fit *in, int mid, const lqi_symmetric32 *p,
                                         uint32_t *codes)
{
    for (int i = 0; i < LQI_SYMMETRIC32_LEN; i++)
        codes[i] = p->rounding == LQI_HALF_UP
                       ? lqi_symmetric32_half_up(in->x[i] * p->inverse, mid)
                       : lqi_qx_code(p->inverse, mid, in->x[i]);
}

static inline void lqi_symmetric32_value(const lqi_symmetric32 *p, int mid,
                                         const uint32_t *codes, size_t n, float *y)
{
    float d = lqi_f16_to_f32(p->d);

    for (size_t i = 0; i < n; i++)
        y[i] = (float)((int)codes[i] - mid) * d;
}

/* The scale comes back as stored: whoever rounds with it wants the nearest level. */
static inline void lqi_symmetric32_load(const void *d, lqi_symmetric32 *p)
{
    p->d = lqi_load16(d);
    p->inverse = lqi_inverse_of(lqi_f16_to_f32(p->d));
    p->rounding = LQI_HALF_UP;
}

#endif
