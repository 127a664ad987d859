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
#include "lib/format/blocked.h"

static lq_status check(const void *block)
{
    return (lqi_load16(block) & 0x7c00) == 0x7c00 ? LQ_ERR_NONFINITE : LQ_OK;
}

static void fit(const lqi_fit *in, void *param)
{
    (void)in;
    (void)param;
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    (void)param;
    codes[0] = lqi_f32_to_f16(in->x[0]);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    (void)param;
    for (size_t i = 0; i < n; i++)
        y[i] = lqi_f16_to_f32((uint16_t)codes[i]);
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
        y[i] = lqi_f16_to_f32(lqi_load16(b + 2 * i));
}

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
    .gguf        = 1,
    .dtype       = LQ_F16,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
