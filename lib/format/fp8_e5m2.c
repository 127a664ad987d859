/* SPDX-License-Identifier: MIT */
/*
 * lib/format/fp8_e5m2.c - weights as OCP E5M2 floats with scales
 *
 *   byte i      element i
 *   bits 7..0   s eeeee mm: sign, exponent, mantissa; lib/base/fp8.c
 *
 * Rules: fp8.h.
 */
#define LQI_FP8_MAX 57344.0f
#define LQI_FP8_FROM lqi_f32_to_e5m2
#define LQI_FP8_TO lqi_e5m2_to_f32
#include "lib/format/fp8.h"

const lqi_format lqi_format_fp8_e5m2 = {
    LQI_FP8_MEMBERS,
    .name         = "fp8_e5m2",
    .text         = "8-bit floats, 5 exponent and 2 mantissa bits",
    .default_spec = "fp8_e5m2:ch",
    .id           = LQ_FORMAT_FP8_E5M2,
    .token        = LQ_FORMAT_FP8_E4M3,
    .decoder      = LQI_DECODER_E5M2,
    .encoder      = LQI_ENCODER_E5M2,
    .rounder      = LQI_ROUNDER_E5M2,
    .panel        = &lqi_panel_e5m2
};
