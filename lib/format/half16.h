/* SPDX-License-Identifier: MIT */
/*
 * lib/format/half16.h - the functions of F16 and BF16, which differ in three words
 *
 * Parameters: HALF_TO_F32(bits), HALF_FROM_F32(float), HALF_EXPONENT (mask of the bits
 * that are all set in NaN and infinity).
 */
#if !defined(HALF_TO_F32) || !defined(HALF_FROM_F32) || !defined(HALF_EXPONENT)
#error "half16.h needs HALF_TO_F32, HALF_FROM_F32 and HALF_EXPONENT"
#endif

#include "lib/format/blocked.h"

static lq_status check(const void *block)
{
    return (lqi_load16(block) & HALF_EXPONENT) == HALF_EXPONENT ? LQ_ERR_NONFINITE : LQ_OK;
}

static void fit(const lqi_fit *in, void *param)
{
    (void)in;
    (void)param;
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    (void)param;
    codes[0] = HALF_FROM_F32(in->x[0]);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    (void)param;
    for (size_t i = 0; i < n; i++)
        y[i] = HALF_TO_F32((uint16_t)codes[i]);
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
        y[i] = HALF_TO_F32(lqi_load16(b + 2 * i));
}
