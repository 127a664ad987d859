/* SPDX-License-Identifier: MIT */
/*
 * lib/format/mxfp4.c - OCP MXFP4: E2M1 elements
 *
 *   byte i      element 2i in bits 3..0, element 2i + 1 in bits 7..4
 *   bits 7..0   s ee m s ee m, from the high one: minifloat.h
 *
 * Rules and source of truth: mx.h.
 */
#include "lib/format/minifloat.h"

static const float table[16] = LQI_E2M1_TABLE;

#define LQI_MX_EMAX 2
#define LQI_MX_MAX 6.0f
#define LQI_MX_MAN 1
#define LQI_MX_FROM(f) lqi_f32_to_e2m1(f)
#define LQI_MX_TO(code) table[(code) & 15]
#include "lib/format/mx.h"

const lqi_format lqi_format_mxfp4 = {
    LQI_MX_MEMBERS,
    .name         = "mxfp4",
    .panel       = &lqi_panel_mxfp4,
    .text         = "OCP MX: 4-bit floats (E2M1), power-of-two scales",
    .default_spec = "mxfp4:g32",
    .id           = LQ_FORMAT_MXFP4,
    .bits         = 4,
    .table        = table,
    .decoder      = LQI_DECODER_TABLE4_LOW,
    .encoder      = LQI_ENCODER_MX_E2M1,
    .rounder      = LQI_ROUNDER_E2M1,
    .decode       = lqi_table4_low_decode
};
