/* SPDX-License-Identifier: MIT */
/*
 * lib/format/planar.h - what planar formats share: groups of a run, normalisation, rounding
 */
#ifndef LQI_PLANAR_H
#define LQI_PLANAR_H

#include "lib/base/half.h"
#include "lib/format/format.h"

/* Every type that scales may have, as a descriptor's 'scale_types'. */
#define LQI_ALL_SCALE_TYPES \
    (1u << LQ_F32 | 1u << LQ_F16 | 1u << LQ_BF16 | 1u << LQ_F8_E4M3 | 1u << LQ_E8M0)

/* -------------------------------------------------------------- groups of a run */

/* Elements [at, at + n) of a run, all of its group number 'group'.  Starts as { 0, 0, 0 }. */
typedef struct lqi_segment {
    size_t at, n, group;
} lqi_segment;

/* The next segment; 0 at the end of the run. */
static inline int lqi_segment_next(const lqi_run *run, lqi_segment *s)
{
    s->group += s->n != 0;
    s->at += s->n;
    if (s->at >= run->n)
        return 0;
    s->n = (size_t)lqi_min(run->n - s->at, run->group - (run->first + s->at) % run->group);
    return 1;
}

/* ---------------------------------------------------------------- normalisation */

static inline float lqi_amax(float lo, float hi)
{
    float a = fabsf(lo), b = fabsf(hi);
    return a > b ? a : b;
}

/* fit_range of formats whose scale is the largest magnitude of the group. */
static inline void lqi_absmax_fit_range(const lq_spec *spec, float lo, float hi,
                                        lqi_group *group)
{
    (void)spec;
    group->scale = lqi_amax(lo, hi);
    group->zero = 0;
}

/*
 * Weights to [-1, 1], bitsandbytes' way: full groups multiply by the f32 reciprocal of the
 * scale, short ones divide.  Where the reciprocal is not a normal number (subnormal or huge
 * scales) full groups divide too.  Scale 0 makes every y a zero.
 */
typedef struct lqi_normal {
    float by;
    int   divide;
} lqi_normal;

static inline lqi_normal lqi_normal_init(float scale, int partial)
{
    float r = scale == 0 ? 0 : 1 / scale;
    uint32_t exp = lqi_float_bits(r) >> 23 & 255, own = lqi_float_bits(scale) >> 23 & 255;
    int normal = exp != 0 && exp != 255 && own != 0;

    if (scale != 0 && (partial || !normal))
        return (lqi_normal){ scale, 1 };
    return (lqi_normal){ r, 0 };
}

static inline float lqi_normal_of(lqi_normal normal, float x)
{
    return normal.divide ? x / normal.by : x * normal.by;
}

/* --------------------------------------------------------------------- rounding */

/*
 * t to the nearest integer, ties to even, clamped to [lo, hi] (magnitudes up to 2^21); NaN
 * becomes 0.  1.5 * 2^23 pushes the fraction out of the mantissa.
 */
static inline int32_t lqi_round_int(float t, float lo, float hi)
{
    if (t != t)
        return 0;
    t = t < lo ? lo : t > hi ? hi : t;
    return (int32_t)((t + 12582912.0f) - 12582912.0f);
}

/* ------------------------------------------------------- tables of 16, high first */

/* y = table[code] * scale, one f32 product. */
void lqi_table4_value(const float *table, const void *param, const uint32_t *codes,
                      size_t n, float *y);
void lqi_table4_decode(const lqi_run *run, float *y);

#endif
