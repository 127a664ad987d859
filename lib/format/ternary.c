/* SPDX-License-Identifier: MIT */
/*
 * lib/format/ternary.c - BitNet b1.58: -1, 0 and 1 times the mean magnitude
 *
 *   byte i     elements 4i .. 4i + 3, two bits each from the low bits up
 *   code       0, 1, 2 for -1, 0, 1; 3 is never written and decodes like 2
 *   scale      gamma = mean |x| of the group (BitNet: of the tensor), summed in double row by
 *              row, rounded to f32, then to its type
 *   code of    clamp(round(x / gamma), -1, 1) + 1, ties to even, f32
 *   all zero   scale 0, codes 1
 *   NaN, inf   (propagated) NaN becomes 0; the group may decode to anything
 *
 * Source of truth: the formula of arXiv 2402.17764; its epsilon beside gamma only keeps a
 * zero tensor from dividing by zero, which the rule above does.
 */
#include "lib/format/planar.h"

static const float table[4] = { -1, 0, 1, 1 };

static void fit_mean(const lq_spec *spec, float mean, lqi_group *group)
{
    (void)spec;
    group->scale = mean;
}

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;

    for (size_t i = 0; i < in->n; i++) {
        float t = group->scale == 0 ? 0 : in->x[i] / group->scale;
        codes[i] = (uint32_t)(lqi_round_int(t, -1, 1) + 1);
    }
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const lqi_group *group = param;

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = table[codes[i] & 3] * group->scale;
}

static void decode(const lqi_run *run, float *y)
{
    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        float scale = run->scale[s.group];
        for (size_t i = s.at; i < s.at + s.n; i++) {
            uint64_t e = run->first + i;
            y[i] = table[run->codes[e / 4] >> e % 4 * 2 & 3] * scale;
        }
    }
}

const lqi_format lqi_format_ternary = {
    .name         = "ternary",
    .panel       = &lqi_panel_ternary,
    .text         = "-1, 0 or 1 times the mean magnitude (BitNet b1.58)",
    .default_spec = "ternary:t",
    .id           = LQ_FORMAT_TERNARY,
    .storage      = LQ_PLANAR,
    .block_len    = 1,
    .bits         = 2,
    .order        = LQI_LOW_FIRST,
    .unit         = 1,
    .strip_rows   = 1,
    .decoder      = LQI_DECODER_TABLE2,
    .rounder      = LQI_ROUNDER_TERNARY,
    .gguf         = -1,
    .can          = LQI_CAN_MULTIROW,
    .scale_types  = 1u << LQ_F32 | 1u << LQ_F16 | 1u << LQ_BF16,
    .scale_type   = LQ_F32,
    .group_rows   = LQ_GROUP_ALL,
    .group_cols   = LQ_GROUP_ALL,
    .table        = table,
    .param_bytes  = sizeof(lqi_group),
    .fit_mean     = fit_mean,
    .round        = round_,
    .value        = value,
    .decode       = decode
};
