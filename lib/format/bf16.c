/* SPDX-License-Identifier: MIT */
/*
 * lib/format/bf16.c - bfloat16
 *
 *     byte    0..1
 *     holds   the number, little-endian
 *
 * value = the number, exact in f32: the code is the upper half of its bits.  Rounding to
 * nearest, ties to even, denormals kept.  Finite values above the largest bf16 become
 * infinity, NaN is made quiet and keeps its upper bits; check reports both.  Source of
 * truth: GGUF type 30.
 */
#define HALF_TO_F32   lqi_bf16_to_f32
#define HALF_FROM_F32 lqi_f32_to_bf16
#define HALF_EXPONENT 0x7f80

#include "lib/format/half16.h"

const lqi_format lqi_format_bf16 = {
    .name        = "bf16",
    .text        = "bfloat16: the upper half of single precision",
    .id          = LQ_FORMAT_BF16,
    .storage     = LQ_BLOCKED,
    .block_len   = 1,
    .block_bytes = 2,
    .bits        = 16,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_BF16,
    .encoder     = LQI_ENCODER_BF16,
    .gguf        = 30,
    .dtype       = LQ_BF16,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
