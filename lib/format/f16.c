/* SPDX-License-Identifier: MIT */
/*
 * lib/format/f16.c - IEEE half precision
 *
 *     byte    0..1
 *     holds   the number, little-endian
 *
 * value = the number, exact in f32; the code is its bits.  Rounding to nearest, ties to
 * even, denormals kept.  Magnitudes of 65520 and more become infinity, NaN a quiet NaN
 * (0x7e00) of the same sign; check reports both.  Source of truth: GGUF type 1.
 */
#define HALF_TO_F32   lqi_f16_to_f32
#define HALF_FROM_F32 lqi_f32_to_f16
#define HALF_EXPONENT 0x7c00

#include "lib/format/half16.h"

const lqi_format lqi_format_f16 = {
    .name        = "f16",
    .text        = "IEEE half precision",
    .id          = LQ_FORMAT_F16,
    .storage     = LQ_BLOCKED,
    .block_len   = 1,
    .block_bytes = 2,
    .bits        = 16,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16,
    .encoder     = LQI_ENCODER_F16,
    .gguf        = 1,
    .dtype       = LQ_F16,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
