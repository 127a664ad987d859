/* SPDX-License-Identifier: MIT */
/*
 * lib/format/mxfp6_e2m3.c - OCP MXFP6 with E2M3 elements
 *
 *   byte        0         1         2
 *   bits 7..0   11000000  22221111  33333322
 *   element e   bits [6e, 6e + 6) of the row's stream; the digits above are e
 *   its bits    s ee mmm, from the high one: minifloat.h
 *
 * Rules and source of truth: mx.h.
 */
#include "lib/format/minifloat.h"

static const float table[64] = LQI_E2M3_TABLE;

#define LQI_MX_EMAX 2
#define LQI_MX_MAX 7.5f
#define LQI_MX_MAN 3
#define LQI_MX_FROM(f) lqi_f32_to_e2m3(f)
#define LQI_MX_TO(code) table[(code) & 63]
#include "lib/format/mx.h"

const lqi_format lqi_format_mxfp6_e2m3 = {
    LQI_MX_MEMBERS,
    .name         = "mxfp6_e2m3",
    .panel       = &lqi_panel_mxfp6_e2m3,
    .text         = "OCP MX: 6-bit floats (E2M3), power-of-two scales",
    .default_spec = "mxfp6_e2m3:g32",
    .id           = LQ_FORMAT_MXFP6_E2M3,
    .bits         = 6,
    .table        = table,
    .decoder      = LQI_DECODER_E2M3,
    .encoder      = LQI_ENCODER_MX_E2M3,
    .rounder      = LQI_ROUNDER_E2M3,
    .decode       = lqi_table6_decode
};
