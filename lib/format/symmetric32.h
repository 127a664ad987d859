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

#include "lib/format/batch.h"
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

/*
 * Two blocks in each lane of a batch, with importances: their parameters, and codes of
 * both.  0 if the lane is for the plain encoder.
 */
static inline int lqi_symmetric32_lane(lqi_batch *b, int mid, const lqi_subs *s, size_t lane,
                                       lqi_symmetric32 *p, uint32_t *codes)
{
    float inverse[2];
    const lqi_rounding r = { .x = b->row[lane], .n = 2 * LQI_SYMMETRIC32_LEN, .multiply = 1,
                             .group = LQI_SYMMETRIC32_LEN, .scale = inverse, .lo = -mid,
                             .hi = mid - 1, .codes = codes };

    for (size_t j = 0; j < 2; j++) {
        inverse[j] = s->inverse[j * b->lanes + lane];
        p[j] = (lqi_symmetric32){ inverse[j], lqi_store_scale(s->scale[j * b->lanes + lane]),
                                  LQI_NEAREST };
    }
    memset(codes, 0, 2 * LQI_SYMMETRIC32_LEN * sizeof *codes);
    return !b->search->round(&r);
}

static inline void lqi_symmetric32_batch(lqi_batch *b, int mid)
{
    _Alignas(LQI_ALIGN) float ms[LQI_LANES_MAX];
    const lqi_batch_plan plan = { .subs = 2, .len = LQI_SYMMETRIC32_LEN, .ms = ms };
    uint32_t codes[2 * LQI_SYMMETRIC32_LEN];
    lqi_symmetric32 p[2];
    lqi_subs s;

    for (size_t lane = 0; lane < b->lanes; lane++)
        ms[lane] = b->row_ms;
    lqi_batch_symmetric(b, &plan, mid, &s);
    for (size_t lane = 0; lane < b->count; lane++) {
        if (!lqi_symmetric32_lane(b, mid, &s, lane, p, codes))
            b->odd |= 1u << lane;
        b->format->pack(&p[0], codes, b->block[lane]);
        b->format->pack(&p[1], codes + LQI_SYMMETRIC32_LEN,
                        b->block[lane] + b->format->block_bytes);
    }
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
