/* SPDX-License-Identifier: MIT */
/*
 * lib/format/mxint8.c - OCP MXINT8: two's complement with six fractional bits
 *
 *   byte i   element i, two's complement: q / 64; -128 is never written (symmetric, as
 *            microxcaling) and decodes to -2
 *
 * Rules and source of truth: mx.h.
 */
#define LQI_MX_EMAX 0
#define LQI_MX_MAX (127.0f / 64)
#define LQI_MX_MAN 6
#define LQI_MX_FROM(f) ((uint32_t)lqi_round_int((f) * 64, -127, 127) & 255)
#define LQI_MX_TO(code) ((float)(int8_t)(code) / 64)
#include "lib/format/mx.h"

const lqi_format lqi_format_mxint8 = {
    LQI_MX_MEMBERS,
    .name         = "mxint8",
    .panel       = &lqi_panel_mxint8,
    .text         = "OCP MX: 8-bit integers, power-of-two scales",
    .default_spec = "mxint8:g32",
    .id           = LQ_FORMAT_MXINT8,
    .bits         = 8,
    .encoder      = LQI_ENCODER_MX_INT8,
    .rounder      = LQI_ROUNDER_INT8_64,
    .decoder      = LQI_DECODER_INT8_64,
    .decode       = decode_bytes
};
