/* SPDX-License-Identifier: MIT */
/*
 * lib/format/fp8.h - weights as 8-bit floats: the rules, written once
 *
 * A unit defines LQI_FP8_MAX (largest value), LQI_FP8_FROM and LQI_FP8_TO (conversions),
 * includes this file and names LQI_FP8_MEMBERS in its descriptor.
 *
 *   codes      one byte each
 *   scale      amax / LQI_FP8_MAX, f32 division; value = float(code) * scale
 *   code       x / scale, f32 division, rounded to nearest, ties to even, saturating
 *   all zero   scale 1, codes 0
 *   scale 0    (underflow) a zero with the sign of x
 *   NaN        (propagated) a NaN code; infinities saturate
 *
 * Source of truth: OCP 8-bit floating point; scales as compressed-tensors and DeepSeek's
 * 128x128 blocks.
 */
#include "lib/format/planar.h"

static void fit_range(const lq_spec *spec, float lo, float hi, lqi_group *group)
{
    float amax = lqi_amax(lo, hi);

    (void)spec;
    group->scale = amax == 0 ? 1 : amax / LQI_FP8_MAX;
    group->zero = 0;
}

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;

    for (size_t i = 0; i < in->n; i++)
        codes[i] = LQI_FP8_FROM(group->scale == 0 ? in->x[i] * 0 : in->x[i] / group->scale);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const lqi_group *group = param;

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = LQI_FP8_TO((uint8_t)codes[i]) * group->scale;
}

static void decode(const lqi_run *run, float *y)
{
    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        const uint8_t *codes = run->codes + run->first + s.at;
        float scale = run->scale[s.group];
        for (size_t i = 0; i < s.n; i++)
            y[s.at + i] = LQI_FP8_TO(codes[i]) * scale;
    }
}

#define LQI_FP8_MEMBERS \
    .storage = LQ_PLANAR, .block_len = 1, .bits = 8, .order = LQI_LOW_FIRST, .unit = 1, \
    .strip_rows = 1, .gguf = -1, .can = LQI_CAN_MULTIROW | LQI_CAN_SCALE2, \
    .scale_types = LQI_ALL_SCALE_TYPES, .scale_type = LQ_F32, .group_rows = 1, \
    .group_cols = LQ_GROUP_ALL, .param_bytes = sizeof(lqi_group), .fit_range = fit_range, \
    .round = round_, .value = value, .decode = decode
