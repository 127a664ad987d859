/* SPDX-License-Identifier: MIT */
/*
 * lib/format/mxfp6_e3m2.c - OCP MXFP6 with E3M2 elements
 *
 *   byte        0         1         2
 *   bits 7..0   11000000  22221111  33333322
 *   element e   bits [6e, 6e + 6) of the row's stream; the digits above are e
 *   its bits    s eee mm, from the high one: minifloat.h
 *
 * Rules and source of truth: mx.h.
 */
#include "lib/format/minifloat.h"

static const float table[64] = LQI_E3M2_TABLE;

#define LQI_MX_EMAX 4
#define LQI_MX_MAX 28.0f
#define LQI_MX_MAN 2
#define LQI_MX_FROM(f) lqi_f32_to_e3m2(f)
#define LQI_MX_TO(code) table[(code) & 63]
#include "lib/format/mx.h"

const lqi_format lqi_format_mxfp6_e3m2 = {
    LQI_MX_MEMBERS,
    .name         = "mxfp6_e3m2",
    .text         = "OCP MX: 6-bit floats (E3M2), power-of-two scales",
    .default_spec = "mxfp6_e3m2:g32",
    .id           = LQ_FORMAT_MXFP6_E3M2,
    .bits         = 6,
    .table        = table,
    .decoder      = LQI_DECODER_E3M2,
    .encoder      = LQI_ENCODER_MX_E3M2,
    .rounder      = LQI_ROUNDER_E3M2,
    .decode       = lqi_table6_decode,
    .panel        = &lqi_panel_mxfp6_e3m2
};
