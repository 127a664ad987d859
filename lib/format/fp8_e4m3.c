/* SPDX-License-Identifier: MIT */
/*
 * lib/format/fp8_e4m3.c - weights as OCP E4M3 floats with scales
 *
 *   byte i      element i
 *   bits 7..0   s eeee mmm: sign, exponent, mantissa; lib/base/fp8.c
 *
 * Rules: fp8.h.
 */
#define LQI_FP8_MAX 448.0f
#define LQI_FP8_FROM lqi_f32_to_e4m3
#define LQI_FP8_TO lqi_e4m3_to_f32
#include "lib/format/fp8.h"

const lqi_format lqi_format_fp8_e4m3 = {
    LQI_FP8_MEMBERS,
    .name         = "fp8_e4m3",
    .text         = "8-bit floats, 4 exponent and 3 mantissa bits",
    .default_spec = "fp8_e4m3:ch",
    .id           = LQ_FORMAT_FP8_E4M3,
    .token        = LQ_FORMAT_FP8_E4M3,
    .decoder      = LQI_DECODER_E4M3,
    .encoder      = LQI_ENCODER_E4M3,
    .rounder      = LQI_ROUNDER_E4M3,
    .panel        = &lqi_panel_e4m3
};
