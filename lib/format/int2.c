/* SPDX-License-Identifier: MIT */
/*
 * lib/format/int2.c - 2-bit integers in groups, with or without zero points
 *
 *   byte i of a row   elements 4i .. 4i + 3, from the low bits up
 *   value             (code - 2) * scale, or (code - zero) * scale
 *
 * Rules and source of truth: int.h.
 */
#define LQI_INT_BITS 2
#include "lib/format/int.h"

const lqi_format lqi_format_int2 = {
    LQI_INT_MEMBERS,
    .name         = "int2",
    .panel       = &lqi_panel_int2,
    .text         = "2-bit integers in groups",
    .default_spec = "int2:g128",
    .id           = LQ_FORMAT_INT2,
    .scale_type   = LQ_F16,
    .group_cols   = 128,
    .decoder      = LQI_DECODER_INT_BITS,
    .encoder      = LQI_ENCODER_INT2,
    .rounder      = LQI_ROUNDER_INT2,
    .decode       = decode_stream
};
