/* SPDX-License-Identifier: MIT */
/*
 * lib/format/llm_int8.c - LLM.int8() weights (arXiv 2208.07339, bitsandbytes)
 *
 *   byte i     element i of the row, two's complement, -127..127
 *   scale      largest magnitude of the row ("SCB"), f32: not divided by 127
 *   value      code * absmax * (1/127), two f32 products from the left
 *   code       round(x * (127 / absmax)), ties to even; where that quotient is no finite f32
 *              (absmax below 3.8e-37), round(x / absmax * 127)
 *   all zero   absmax 0, codes 0
 *   NaN, inf   (propagated) NaN becomes 0, infinities clamp
 */
#include "lib/format/planar.h"

static const float per_code = 1.0f / 127;

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;
    float absmax = group->scale, factor = absmax == 0 ? 0 : 127 / absmax;
    int direct = lqi_finite(factor);

    for (size_t i = 0; i < in->n; i++) {
        float t = direct ? in->x[i] * factor : in->x[i] / absmax * 127;
        codes[i] = (uint8_t)lqi_round_int(t, -127, 127);
    }
}

static inline float value_of(uint8_t code, float absmax)
{
    return (float)((int32_t)(code ^ 128u) - 128) * absmax * per_code;
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const lqi_group *group = param;

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = value_of((uint8_t)codes[i], group->scale);
}

static void decode(const lqi_run *run, float *y)
{
    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        const uint8_t *codes = run->codes + run->first + s.at;
        for (size_t i = 0; i < s.n; i++)
            y[s.at + i] = value_of(codes[i], run->scale[s.group]);
    }
}

const lqi_format lqi_format_llm_int8 = {
    .name         = "llm_int8",
    .panel       = &lqi_panel_llm_int8,
    .text         = "LLM.int8() weights, as bitsandbytes",
    .default_spec = "llm_int8:ch",
    .id           = LQ_FORMAT_LLM_INT8,
    .storage      = LQ_PLANAR,
    .block_len    = 1,
    .bits         = 8,
    .order        = LQI_LOW_FIRST,
    .unit         = 1,
    .strip_rows   = 1,
    .token        = LQ_FORMAT_LLM_INT8,
    .token_unit   = 1.0 / (127 * 127),
    .decoder      = LQI_DECODER_INT8_ABSMAX,
    .rounder      = LQI_ROUNDER_INT8_ABSMAX,
    .gguf         = -1,
    .can          = LQI_CAN_SCALE2,
    .scale_types  = 1u << LQ_F32,
    .scale_type   = LQ_F32,
    .group_rows   = 1,
    .group_cols   = LQ_GROUP_ALL,
    .param_bytes  = sizeof(lqi_group),
    .fit_range    = lqi_absmax_fit_range,
    .round        = round_,
    .value        = value,
    .decode       = decode
};
