/* SPDX-License-Identifier: MIT */
/*
 * lib/format/int4.c - 4-bit integers in groups, with or without zero points
 *
 *   byte i of a row   element 2i in bits 3..0, element 2i + 1 in bits 7..4
 *   value             (code - 8) * scale, or (code - zero) * scale
 *
 * Rules and source of truth: int.h.
 */
#define LQI_INT_BITS 4
#include "lib/format/int.h"

static void decode(const lqi_run *run, float *y)
{
    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        float zero = run_zero(run, s.group), scale = run->scale[s.group];
        for (size_t i = s.at; i < s.at + s.n; i++) {
            uint64_t e = run->first + i;
            int32_t code = run->codes[e / 2] >> (e & 1) * 4 & 15;
            y[i] = ((float)code - zero) * scale;
        }
    }
}

const lqi_format lqi_format_int4 = {
    LQI_INT_MEMBERS,
    .name         = "int4",
    .panel       = &lqi_panel_int4,
    .text         = "4-bit integers in groups",
    .default_spec = "int4:g128",
    .id           = LQ_FORMAT_INT4,
    .scale_type   = LQ_F16,
    .group_cols   = 128,
    .decoder      = LQI_DECODER_INT4,
    .encoder      = LQI_ENCODER_INT4,
    .rounder      = LQI_ROUNDER_INT4,
    .decode       = decode
};
