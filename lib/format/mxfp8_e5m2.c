/* SPDX-License-Identifier: MIT */
/*
 * lib/format/mxfp8_e5m2.c - OCP MXFP8 with E5M2 elements
 *
 *   byte i      element i
 *   bits 7..0   s eeeee mm: sign, exponent, mantissa; lib/base/fp8.c
 *
 * Rules and source of truth: mx.h.
 */
#define LQI_MX_EMAX 15
#define LQI_MX_MAX 57344.0f
#define LQI_MX_MAN 2
#define LQI_MX_FROM(f) lqi_f32_to_e5m2(f)
#define LQI_MX_TO(code) lqi_e5m2_to_f32((uint8_t)(code))
#include "lib/format/mx.h"

const lqi_format lqi_format_mxfp8_e5m2 = {
    LQI_MX_MEMBERS,
    .name         = "mxfp8_e5m2",
    .text         = "OCP MX: 8-bit floats (E5M2), power-of-two scales",
    .default_spec = "mxfp8_e5m2:g32",
    .id           = LQ_FORMAT_MXFP8_E5M2,
    .bits         = 8,
    .decoder      = LQI_DECODER_E5M2,
    .encoder      = LQI_ENCODER_MX_E5M2,
    .rounder      = LQI_ROUNDER_E5M2,
    .decode       = decode_bytes,
    .panel        = &lqi_panel_e5m2
};
