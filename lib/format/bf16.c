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
#include "lib/format/blocked.h"

static lq_status check(const void *block)
{
    return (lqi_load16(block) & 0x7f80) == 0x7f80 ? LQ_ERR_NONFINITE : LQ_OK;
}

static void fit(const lqi_fit *in, void *param)
{
    (void)in;
    (void)param;
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    (void)param;
    codes[0] = lqi_f32_to_bf16(in->x[0]);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    (void)param;
    for (size_t i = 0; i < n; i++)
        y[i] = lqi_bf16_to_f32((uint16_t)codes[i]);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    (void)param;
    lqi_store16(block, (uint16_t)codes[0]);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    (void)param;
    codes[0] = lqi_load16(block);
}

static void decode(const lqi_run *run, float *y)
{
    const uint8_t *b = run->codes + 2 * run->first;

    for (size_t i = 0; i < run->n; i++)
        y[i] = lqi_bf16_to_f32(lqi_load16(b + 2 * i));
}

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
    .gguf        = 30,
    .dtype       = LQ_BF16,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
