/* SPDX-License-Identifier: MIT */
/*
 * lib/format/int7.c - 7-bit integers in groups, with or without zero points
 *
 *   byte              0         1         2         3         4         5         6
 *   bits 7..0         10000000  22111111  33322222  44443333  55555444  66666655  77777776
 *   element e         bits [7e, 7e + 7) of the row's stream; the digits above are e
 *   value             (code - 64) * scale, or (code - zero) * scale
 *
 * Rules and source of truth: int.h.
 */
#define LQI_INT_BITS 7
#include "lib/format/int.h"

const lqi_format lqi_format_int7 = {
    LQI_INT_MEMBERS,
    .name         = "int7",
    .text         = "7-bit integers in groups",
    .default_spec = "int7:g128",
    .id           = LQ_FORMAT_INT7,
    .scale_type   = LQ_F16,
    .group_cols   = 128,
    .decoder      = LQI_DECODER_INT_BITS,
    .encoder      = LQI_ENCODER_INT7,
    .rounder      = LQI_ROUNDER_INT7,
    .decode       = decode_stream
};
