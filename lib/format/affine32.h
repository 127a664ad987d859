/* SPDX-License-Identifier: MIT */
/*
 * lib/format/affine32.h - blocks of 32 codes above a minimum: Q4_1 and Q5_1
 *
 * For codes in [0, top], value = code * d + m with two roundings.
 *
 * Without importances:
 *     m, d     = least x; (largest x - least x) / top; both stored as f16
 *     code     = floor((x - m) * (1/d) + 0.5), at most top, with m and d before they
 *                become f16
 *
 * With importances: weights imp * sqrt(mean x^2 of the row + x^2), the affine search,
 * and the codes that won there; the rounding to f16 does not change them.  Nearest,
 * ties to even.
 *
 * All equal: d = 0, code 0.  NaN: code 0, and it does not take part in the range.
 * Infinity or overflow: d or m are not finite, which check reports.  Where 1/d is not
 * finite (the stored d is 0 anyway) the reference is undefined: here the code is 0.
 *
 * Inline, so that 'top' is a constant.
 */
#ifndef LQI_AFFINE32_H
#define LQI_AFFINE32_H

#include "lib/format/batch.h"
#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LQI_AFFINE32_LEN 32

/* Codes come from (x - base) * inverse; only 'd' and 'm' are stored. */
typedef struct lqi_affine32 {
    float    inverse, base;
    uint16_t d, m;
    uint32_t nearest;   /* ties to even, as the search does; else floor of + 0.5 */
} lqi_affine32;

static inline void lqi_affine32_fit(const lqi_fit *in, int top, lqi_affine32 *p)
{
    const lqi_qkx_plan plan = { .rmin = -0.9f, .rdelta = 0.05f, .nmax = top, .steps = 36 };
    float w[LQI_AFFINE32_LEN], lo = FLT_MAX, hi = -FLT_MAX;

    if (in->imp) {
        lqi_search_weights(in->x, in->imp, LQI_AFFINE32_LEN, in->row_ms, w);
        lqi_qkx won = lqi_make_qkx(&plan, in->x, w, LQI_AFFINE32_LEN);
        *p = (lqi_affine32){ won.inverse, won.base, lqi_store_scale(won.scale),
                             lqi_store_scale(-won.min), 1 };
        return;
    }
    for (int i = 0; i < LQI_AFFINE32_LEN; i++) {
        lo = in->x[i] < lo ? in->x[i] : lo;
        hi = in->x[i] > hi ? in->x[i] : hi;
    }
    float d = (hi - lo) / (float)top;
    *p = (lqi_affine32){ lqi_inverse_of(d), lo, lqi_store_scale(d), lqi_store_scale(lo), 0 };
}

static inline uint32_t lqi_affine32_half_up(float v, int top)
{
    v += 0.5f;
    v = v < (float)top ? v : v == v ? (float)top : 0;
    return v > 0 ? (uint32_t)v : 0;
}

static inline void lqi_affine32_round(const lqi_fit *in, int top, const lqi_affine32 *p,
                                      uint32_t *codes)
{
    const lqi_qkx searched = { .inverse = p->inverse, .base = p->base };

    for (int i = 0; i < LQI_AFFINE32_LEN; i++)
        codes[i] = p->nearest ? lqi_qkx_code(&searched, top, in->x[i])
                              : lqi_affine32_half_up((in->x[i] - p->base) * p->inverse, top);
}

/* Two blocks in each lane of a batch, with importances: as lqi_symmetric32_lane(). */
static inline int lqi_affine32_lane(lqi_batch *b, int top, const lqi_subs *s, size_t lane,
                                    lqi_affine32 *p, uint32_t *codes)
{
    float inverse[2], add[2];
    const lqi_rounding r = { .x = b->row[lane], .n = 2 * LQI_AFFINE32_LEN, .multiply = 1,
                             .group = LQI_AFFINE32_LEN, .scale = inverse, .add = add,
                             .hi = top, .codes = codes };

    for (size_t j = 0; j < 2; j++) {
        size_t at = j * b->lanes + lane;
        inverse[j] = s->inverse[at];
        add[j] = -s->base[at];
        p[j] = (lqi_affine32){ s->inverse[at], s->base[at], lqi_store_scale(s->scale[at]),
                               lqi_store_scale(-s->min[at]), 1 };
    }
    memset(codes, 0, 2 * LQI_AFFINE32_LEN * sizeof *codes);
    return !b->search->round(&r);
}

static inline void lqi_affine32_batch(lqi_batch *b, int top)
{
    _Alignas(LQI_ALIGN) float ms[LQI_LANES_MAX];
    const lqi_batch_plan plan = { .subs = 2, .len = LQI_AFFINE32_LEN, .ms = ms };
    const lqi_qkx_plan search = { .rmin = -0.9f, .rdelta = 0.05f, .nmax = top, .steps = 36 };
    uint32_t codes[2 * LQI_AFFINE32_LEN];
    lqi_affine32 p[2];
    lqi_subs s;

    for (size_t lane = 0; lane < b->lanes; lane++)
        ms[lane] = b->row_ms;
    lqi_batch_affine(b, &plan, &search, &s);
    for (size_t lane = 0; lane < b->count; lane++) {
        if (!lqi_affine32_lane(b, top, &s, lane, p, codes))
            b->odd |= 1u << lane;
        b->format->pack(&p[0], codes, b->block[lane]);
        b->format->pack(&p[1], codes + LQI_AFFINE32_LEN,
                        b->block[lane] + b->format->block_bytes);
    }
}

static inline void lqi_affine32_value(const lqi_affine32 *p, const uint32_t *codes, size_t n,
                                      float *y)
{
    float d = lqi_f16_to_f32(p->d), m = lqi_f16_to_f32(p->m);

    for (size_t i = 0; i < n; i++)
        y[i] = (float)codes[i] * d + m;
}

static inline void lqi_affine32_store(const lqi_affine32 *p, uint8_t *b)
{
    lqi_store16(b, p->d);
    lqi_store16(b + 2, p->m);
}

/* They come back as stored: whoever rounds with them wants the nearest level. */
static inline void lqi_affine32_load(const uint8_t *b, lqi_affine32 *p)
{
    p->d = lqi_load16(b);
    p->m = lqi_load16(b + 2);
    p->inverse = lqi_inverse_of(lqi_f16_to_f32(p->d));
    p->base = lqi_f16_to_f32(p->m);
    p->nearest = 0;
}

#endif
