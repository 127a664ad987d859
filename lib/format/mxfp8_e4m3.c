/* SPDX-License-Identifier: MIT */
/*
 * lib/format/mxfp8_e4m3.c - OCP MXFP8 with E4M3 elements
 *
 *   byte i      element i
 *   bits 7..0   s eeee mmm: sign, exponent, mantissa; lib/base/fp8.c
 *
 * Rules and source of truth: mx.h.
 */
#define LQI_MX_EMAX 8
#define LQI_MX_MAX 448.0f
#define LQI_MX_MAN 3
#define LQI_MX_FROM(f) lqi_f32_to_e4m3(f)
#define LQI_MX_TO(code) lqi_e4m3_to_f32((uint8_t)(code))
#include "lib/format/mx.h"

const lqi_format lqi_format_mxfp8_e4m3 = {
    LQI_MX_MEMBERS,
    .name         = "mxfp8_e4m3",
    .text         = "OCP MX: 8-bit floats (E4M3), power-of-two scales",
    .default_spec = "mxfp8_e4m3:g32",
    .id           = LQ_FORMAT_MXFP8_E4M3,
    .bits         = 8,
    .decoder      = LQI_DECODER_E4M3,
    .encoder      = LQI_ENCODER_MX_E4M3,
    .rounder      = LQI_ROUNDER_E4M3,
    .decode       = decode_bytes,
    .panel        = &lqi_panel_e4m3
};
