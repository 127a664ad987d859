/* SPDX-License-Identifier: MIT */
/*
 * lib/format/int5.c - 5-bit integers in groups, with or without zero points
 *
 *   byte              0         1         2         3         4
 *   bits 7..0         11100000  32222211  44443333  66555554  77777666
 *   element e         bits [5e, 5e + 5) of the row's stream; the digits above are e
 *   value             (code - 16) * scale, or (code - zero) * scale
 *
 * Rules and source of truth: int.h.
 */
#define LQI_INT_BITS 5
#include "lib/format/int.h"

const lqi_format lqi_format_int5 = {
    LQI_INT_MEMBERS,
    .name         = "int5",
    .panel       = &lqi_panel_int5,
    .text         = "5-bit integers in groups",
    .default_spec = "int5:g128",
    .id           = LQ_FORMAT_INT5,
    .scale_type   = LQ_F16,
    .group_cols   = 128,
    .decoder      = LQI_DECODER_INT_BITS,
    .encoder      = LQI_ENCODER_INT5,
    .rounder      = LQI_ROUNDER_INT5,
    .decode       = decode_stream
};
