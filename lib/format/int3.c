/* SPDX-License-Identifier: MIT */
/*
 * lib/format/int3.c - 3-bit integers in groups, with or without zero points
 *
 *   byte              0         1         2
 *   bits 7..0         22111000  54443332  77766655
 *   element e         bits [3e, 3e + 3) of the row's stream; the digits above are e
 *   value             (code - 4) * scale, or (code - zero) * scale
 *
 * Rules and source of truth: int.h.
 */
#define LQI_INT_BITS 3
#include "lib/format/int.h"

const lqi_format lqi_format_int3 = {
    LQI_INT_MEMBERS,
    .name         = "int3",
    .panel       = &lqi_panel_int3,
    .text         = "3-bit integers in groups",
    .default_spec = "int3:g128",
    .id           = LQ_FORMAT_INT3,
    .scale_type   = LQ_F16,
    .group_cols   = 128,
    .decoder      = LQI_DECODER_INT_BITS,
    .encoder      = LQI_ENCODER_INT3,
    .rounder      = LQI_ROUNDER_INT3,
    .decode       = decode_stream
};
