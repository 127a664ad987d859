/* SPDX-License-Identifier: MIT */
/*
 * lib/format/mx.h - OCP MX: groups of 32 that share a power of two; the rules, written once
 *
 * A unit defines
 *     LQI_MX_EMAX    exponent of the largest element
 *     LQI_MX_MAX     the largest element
 *     LQI_MX_MAN     mantissa bits of an element
 *     LQI_MX_FROM    float -> code, nearest even, saturating
 *     LQI_MX_TO      code -> float
 * includes this file and names LQI_MX_MEMBERS in its descriptor.
 *
 *   scale      E8M0, a power of two X; value = element * X
 *     floor    X = 2^(floor(log2(amax)) - EMAX), as the OCP text
 *     ceil     the same with the logarithm rounded up
 *     even     the same as floor after amax was rounded to MAN mantissa bits, halves up
 *              (for MXFP4 also what compressed-tensors does)
 *     rceil    X = the power of two at or above amax * (1 / MAX), as cuBLAS
 *   limits     X lies in 2^-127 .. 2^127
 *   code       x / X, one f32 division
 *   all zero   scale code 0 (2^-127), codes 0
 *   NaN, inf   (propagated) scale code 255, codes 0: the group is NaN
 *
 * Source of truth: torchao's to_mx, exponents from bits; MXINT8 microxcaling's.
 */
#include "lib/format/minifloat.h"

/* Stored exponent of amax, finite and not 0, before the limits. */
static int32_t exponent(int32_t mode, float amax)
{
    uint32_t bits = lqi_float_bits(amax), man = 0x7fffff;

    if (mode == LQ_SCALE_RCEIL) {
        bits = lqi_float_bits(amax * (1.0f / LQI_MX_MAX));
        if (bits < 0x800000)                       /* 2^-127 is a subnormal of f32 */
            return bits > 0x400000;
        return (int32_t)(bits >> 23) + ((bits & man) != 0);
    }
    if (mode == LQ_SCALE_EVEN)
        bits += 1u << (22 - LQI_MX_MAN);
    return (int32_t)(bits >> 23) - LQI_MX_EMAX + (mode == LQ_SCALE_CEIL && (bits & man) != 0);
}

static void fit_range(const lq_spec *spec, float lo, float hi, lqi_group *group)
{
    float amax = lqi_amax(lo, hi);
    int32_t code = amax == 0 ? 0 : exponent(spec->scale_mode, amax);

    code = code < 0 ? 0 : code > 254 ? 254 : code;
    group->scale = lqi_e8m0_to_f32(lqi_finite(amax) ? (uint8_t)code : 255);
    group->zero = 0;
}

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;
    float scale = group->scale;

    for (size_t i = 0; i < in->n; i++)
        codes[i] = scale == scale ? LQI_MX_FROM(in->x[i] / scale) : 0;
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const lqi_group *group = param;

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = LQI_MX_TO(codes[i]) * group->scale;
}

/* For elements of one byte. */
static inline void decode_bytes(const lqi_run *run, float *y)
{
    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        const uint8_t *codes = run->codes + run->first + s.at;
        float scale = run->scale[s.group];
        for (size_t i = 0; i < s.n; i++)
            y[s.at + i] = LQI_MX_TO(codes[i]) * scale;
    }
}

#define LQI_MX_MEMBERS \
    .storage = LQ_PLANAR, .block_len = 1, .order = LQI_LOW_FIRST, .unit = 1, \
    .strip_rows = 1, .gguf = -1, \
    .can = LQI_CAN_SCALE_MODE | LQI_FIXED_GROUP | LQI_NAN_SCALE, \
    .scale_types = 1u << LQ_E8M0, .scale_type = LQ_E8M0, .group_rows = 1, .group_cols = 32, \
    .param_bytes = sizeof(lqi_group), .fit_range = fit_range, .round = round_, .value = value
