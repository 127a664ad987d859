/* SPDX-License-Identifier: MIT */
/*
 * lib/format/f32.c - plain IEEE binary32
 *
 *     byte    0..3
 *     holds   the number, little-endian
 *
 * value = the number; the code is its bits.  Nothing is rounded: every input, NaN
 * payloads included, comes back as it was.  Infinities and NaN are stored, and reported
 * by check.  Source of truth: GGUF type 0.
 */
#include "lib/format/blocked.h"

static lq_status check(const void *block)
{
    return lqi_finite(lqi_bits_float(lqi_load32(block))) ? LQ_OK : LQ_ERR_NONFINITE;
}

static void fit(const lqi_fit *in, void *param)
{
    (void)in;
    (void)param;
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    (void)param;
    codes[0] = lqi_float_bits(in->x[0]);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    (void)param;
    for (size_t i = 0; i < n; i++)
        y[i] = lqi_bits_float(codes[i]);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    (void)param;
    lqi_store32(block, codes[0]);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    (void)param;
    codes[0] = lqi_load32(block);
}

static void decode(const lqi_run *run, float *y)
{
    const uint8_t *b = run->codes + 4 * run->first;

    for (size_t i = 0; i < run->n; i++)
        y[i] = lqi_bits_float(lqi_load32(b + 4 * i));
}

const lqi_format lqi_format_f32 = {
    .name        = "f32",
    .text        = "IEEE single precision",
    .id          = LQ_FORMAT_F32,
    .storage     = LQ_BLOCKED,
    .block_len   = 1,
    .block_bytes = 4,
    .bits        = 32,
    .unit        = 1,
    .strip_rows  = 1,
    .encoder     = LQI_ENCODER_F32,
    .gguf        = 0,
    .dtype       = LQ_F32,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
