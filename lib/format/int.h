/* SPDX-License-Identifier: MIT */
/*
 * lib/format/int.h - integers of 2 to 8 bits: the rules, written once
 *
 * A unit defines LQI_INT_BITS, includes this file and names the functions in its
 * descriptor (LQI_INT_MEMBERS).  With b bits, codes as numbers run from 0 to 2^b - 1:
 *
 *   zeros none   scale = amax / ((2^b - 1) / 2)           amax = max(|lo|, |hi|)
 *                code  = clamp(round(x / scale) + 2^(b-1))
 *                value = (code - 2^(b-1)) * scale
 *   zeros int    scale = (xmax - xmin) / (2^b - 1)        xmin = min(0, lo), xmax = max(0, hi)
 *                zero  = clamp(round(-xmin / scale))      scale as stored
 *                code  = clamp(round(x / scale) + zero)
 *                value = (code - zero) * scale
 *   zeros float  scale and zero from HQQ's solver (hqq.h), as stored
 *                code  = clamp(round(x * (1 / scale) + zero))
 *                value = (code - zero) * scale
 *
 * round is to nearest, ties to even; every operation is f32.  These are the rules of
 * compressed-tensors and of GPTQ, without GPTQ's halved scale of an all-positive group.
 *
 *   all zero     zeros none: scale = the epsilon of its type (compressed-tensors), code
 *                2^(b-1); zeros int: as if the range were [-1, 1] (GPTQ)
 *   scale 0      (underflow of a small type) every code means 0
 *   NaN, inf     (propagated) NaN becomes 0, infinities clamp
 *
 * Stored: below 8 bits as they are, little end first; 8-bit codes and zero points minus 128,
 * that is as two's complement bytes.  Float zero points are in numbers of codes, at 8 bits
 * too.
 */
#include "lib/format/hqq.h"
#include "lib/format/planar.h"

#ifndef LQI_INT_BITS
#error "define LQI_INT_BITS"
#endif

#define MAXQ ((1 << LQI_INT_BITS) - 1)
#define HALF (1 << (LQI_INT_BITS - 1))
#define FLIP (LQI_INT_BITS == 8 ? 128u : 0u)   /* number <-> stored byte */

/* Distance from 1 to the next number of a scale's type. */
static float epsilon(lq_dtype type)
{
    switch (type) {
    case LQ_F16:
        return 0x1p-10f;
    case LQ_BF16:
        return 0x1p-7f;
    case LQ_F8_E4M3:
        return 0x1p-3f;
    default:
        return 0x1p-23f;
    }
}

static void fit_range(const lq_spec *spec, float lo, float hi, lqi_group *group)
{
    float xmin = lo < 0 ? lo : 0, xmax = hi > 0 ? hi : 0, scale;

    if (spec->zeros == LQ_ZEROS_INT) {
        if (xmin == 0 && xmax == 0) {
            xmin = -1;
            xmax = 1;
        }
        scale = (xmax - xmin) / (float)MAXQ;
    } else {
        scale = lqi_amax(lo, hi) / ((float)MAXQ / 2);
        if (scale == 0)
            scale = epsilon(spec->scale_type);
    }
    group->scale = scale;
    group->zero = 0;
}

static void fit_zero(const lq_spec *spec, float lo, float hi, lqi_group *group)
{
    float xmin = lo < 0 ? lo : 0;
    uint32_t zero;

    (void)spec;
    if (xmin == 0 && !(hi > 0))
        xmin = -1;
    zero = (uint32_t)lqi_round_int(-xmin / group->scale, 0, (float)MAXQ);
    group->zero = (float)(zero ^ FLIP);
}

static void fit_values(const lqi_fit *in, lqi_group *group)
{
    lqi_hqq_fit(in, LQI_INT_BITS, group);
}

/* An integer zero point as a number of codes. */
static int32_t zero_of(const lq_spec *spec, float stored)
{
    return spec->zeros == LQ_ZEROS_INT ? (int32_t)((uint32_t)stored ^ FLIP) : HALF;
}

static void round_float(const lqi_fit *in, const lqi_group *group, uint32_t *codes)
{
    float by = group->scale == 0 ? 0 : 1 / group->scale;

    for (size_t i = 0; i < in->n; i++)
        codes[i] = (uint32_t)lqi_round_int(in->x[i] * by + group->zero, 0, (float)MAXQ) ^ FLIP;
}

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;
    int32_t zero = zero_of(in->spec, group->zero);
    float scale = group->scale, lo = (float)-zero, hi = (float)(MAXQ - zero);

    if (in->spec->zeros == LQ_ZEROS_FLOAT) {
        round_float(in, group, codes);
        return;
    }
    for (size_t i = 0; i < in->n; i++) {
        float t = scale == 0 ? 0 : in->x[i] / scale;
        codes[i] = (uint32_t)(lqi_round_int(t, lo, hi) + zero) ^ FLIP;
    }
}

/* Differences of codes and integer zero points are exact in f32. */
static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const lqi_group *group = param;
    float zero = spec->zeros == LQ_ZEROS_FLOAT ? group->zero
                                               : (float)zero_of(spec, group->zero);

    for (size_t i = 0; i < n; i++)
        y[i] = ((float)(int32_t)(codes[i] ^ FLIP) - zero) * group->scale;
}

/* Zero point of group 'i' of a run, as a number of codes. */
static inline float run_zero(const lqi_run *run, size_t i)
{
    if (!run->zero)
        return (float)HALF;
    return run->float_zeros ? run->zero[i] : (float)((uint32_t)run->zero[i] ^ FLIP);
}

#define LQI_INT_CHUNK 256

/* For widths without a decoder of their own. */
static inline void decode_stream(const lqi_run *run, float *y)
{
    uint32_t codes[LQI_INT_CHUNK];

    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        float zero = run_zero(run, s.group), scale = run->scale[s.group];
        for (size_t i = 0; i < s.n; i += LQI_INT_CHUNK) {
            size_t n = s.n - i < LQI_INT_CHUNK ? s.n - i : LQI_INT_CHUNK;
            lqi_codes_read(run->codes, LQI_INT_BITS, LQI_LOW_FIRST, run->first + s.at + i, n,
                           codes);
            for (size_t k = 0; k < n; k++)
                y[s.at + i + k] = ((float)(int32_t)codes[k] - zero) * scale;
        }
    }
}

#define LQI_INT_MEMBERS \
    .storage = LQ_PLANAR, .block_len = 1, .bits = LQI_INT_BITS, .order = LQI_LOW_FIRST, \
    .unit = 1, .strip_rows = 1, .gguf = -1, \
    .can = LQI_CAN_MULTIROW | LQI_CAN_ZEROS_INT | LQI_CAN_ZEROS_FLOAT | LQI_CAN_SCALE2 | \
           LQI_CAN_GIDX, \
    .scale_types = LQI_ALL_SCALE_TYPES, .group_rows = 1, .param_bytes = sizeof(lqi_group), \
    .fit_range = fit_range, .fit_zero = fit_zero, .fit_values = fit_values, \
    .round = round_, .value = value
