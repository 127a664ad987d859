/* SPDX-License-Identifier: MIT */
/*
 * lib/format/nvfp4.c - NVFP4: E2M1 elements, groups of 16, E4M3 scales, a scale of the tensor
 *
 *   byte i     element 2i in bits 3..0, element 2i + 1 in bits 7..4
 *   bits 7..0  s ee m s ee m, from the high one: minifloat.h
 *   gm         value = element * (s * g)          torchao, ModelOpt
 *              g = amax / 2688                    2688 = 448 * 6
 *              s = E4M3(clamp(group amax / 6 / g, 2^-6, 448))
 *              code of x * ((1 / g) / s)
 *   gd         value = element * (s / g)          compressed-tensors
 *              g = (1 / amax) * 2688, as its PyTorch divides
 *              s = E4M3(min(g * (group amax / 6), 448)); a 0 becomes 0.125
 *              code of x / (s / g)
 *   rounding   f32 throughout; elements to nearest, ties to even codes, saturating
 *   all zero   (the tensor) g = 1
 *   limits     gm: g at least 2^-120, gd: at most 2^120, so that no quotient overflows
 *   NaN, inf   (propagated) any finite codes; the group may decode to anything
 */
#include "lib/format/minifloat.h"

static const float table[16] = LQI_E2M1_TABLE;

static float fit_global(const lq_spec *spec, float amax)
{
    float g;

    if (amax == 0)
        return 1;
    if (spec->flags & LQ_SPEC_GLOBAL_DIV) {
        g = 1 / amax * 2688.0f;
        return g > 0x1p120f ? 0x1p120f : g;
    }
    g = amax / 2688.0f;
    return g < 0x1p-120f ? 0x1p-120f : g;
}

static void fit_range(const lq_spec *spec, float lo, float hi, lqi_group *group)
{
    float s = lqi_amax(lo, hi) / 6;

    if (spec->flags & LQ_SPEC_GLOBAL_DIV) {
        s = lqi_e4m3_to_f32(lqi_f32_to_e4m3(group->global * s));
        s = s == 0 ? 0.125f : s;
    } else {
        s /= group->global;
        s = !(s > 0x1p-6f) ? 0x1p-6f : s > 448 ? 448 : s;
    }
    group->scale = s;
    group->zero = 0;
}

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;

    if (in->spec->flags & LQ_SPEC_GLOBAL_DIV) {
        float by = group->scale / group->global;
        for (size_t i = 0; i < in->n; i++)
            codes[i] = lqi_f32_to_e2m1(in->x[i] / by);
    } else {
        float by = 1 / group->global / group->scale;
        for (size_t i = 0; i < in->n; i++)
            codes[i] = lqi_f32_to_e2m1(in->x[i] * by);
    }
}

/* The scale is the effective one: the core has applied g. */
static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    lqi_table4_value(table, param, codes, n, y);
}

const lqi_format lqi_format_nvfp4 = {
    .name         = "nvfp4",
    .panel       = &lqi_panel_nvfp4,
    .text         = "4-bit floats (E2M1), E4M3 scales of 16, a scale of the tensor",
    .default_spec = "nvfp4:g16:gm",
    .id           = LQ_FORMAT_NVFP4,
    .storage      = LQ_PLANAR,
    .block_len    = 1,
    .bits         = 4,
    .order        = LQI_LOW_FIRST,
    .unit         = 1,
    .strip_rows   = 1,
    .gguf         = -1,
    .can          = LQI_CAN_GLOBAL | LQI_FIXED_GROUP,
    .scale_types  = 1u << LQ_F8_E4M3,
    .scale_type   = LQ_F8_E4M3,
    .group_rows   = 1,
    .group_cols   = 16,
    .flags        = LQ_SPEC_GLOBAL_MUL,
    .table        = table,
    .param_bytes  = sizeof(lqi_group),
    .fit_range    = fit_range,
    .fit_global   = fit_global,
    .round        = round_,
    .value        = value,
    .encoder      = LQI_ENCODER_E4M3_E2M1,
    .decoder      = LQI_DECODER_TABLE4_LOW,
    .decode       = lqi_table4_low_decode
};
