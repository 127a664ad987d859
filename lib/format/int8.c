/* SPDX-License-Identifier: MIT */
/*
 * lib/format/int8.c - 8-bit integers, per row or in groups
 *
 *   byte i   element i, two's complement; zero points too
 *   value    code * scale, or (code - zero) * scale
 *
 * Rules and source of truth: int.h.
 */
#define LQI_INT_BITS 8
#include "lib/format/int.h"

static void decode(const lqi_run *run, float *y)
{
    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        float zero = run_zero(run, s.group), scale = run->scale[s.group];
        const uint8_t *codes = run->codes + run->first + s.at;
        for (size_t i = 0; i < s.n; i++)
            y[s.at + i] = ((float)(int32_t)(codes[i] ^ FLIP) - zero) * scale;
    }
}

const lqi_format lqi_format_int8 = {
    LQI_INT_MEMBERS,
    .name         = "int8",
    .panel       = &lqi_panel_int8,
    .text         = "8-bit integers per row or in groups",
    .default_spec = "int8:ch",
    .id           = LQ_FORMAT_INT8,
    .scale_type   = LQ_F32,
    .group_cols   = LQ_GROUP_ALL,
    .token        = LQ_FORMAT_INT8,
    .token_unit   = 1,
    .decoder      = LQI_DECODER_INT8,
    .encoder      = LQI_ENCODER_INT8,
    .rounder      = LQI_ROUNDER_INT8,
    .decode       = decode
};
