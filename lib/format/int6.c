/* SPDX-License-Identifier: MIT */
/*
 * lib/format/int6.c - 6-bit integers in groups, with or without zero points
 *
 *   byte              0         1         2
 *   bits 7..0         11000000  22221111  33333322
 *   element e         bits [6e, 6e + 6) of the row's stream; the digits above are e
 *   value             (code - 32) * scale, or (code - zero) * scale
 *
 * Rules and source of truth: int.h.
 */
#define LQI_INT_BITS 6
#include "lib/format/int.h"

const lqi_format lqi_format_int6 = {
    LQI_INT_MEMBERS,
    .name         = "int6",
    .panel       = &lqi_panel_int6,
    .text         = "6-bit integers in groups",
    .default_spec = "int6:g128",
    .id           = LQ_FORMAT_INT6,
    .scale_type   = LQ_F16,
    .group_cols   = 128,
    .decoder      = LQI_DECODER_INT_BITS,
    .encoder      = LQI_ENCODER_INT6,
    .rounder      = LQI_ROUNDER_INT6,
    .decode       = decode_stream
};
