/* SPDX-License-Identifier: MIT */
/*
 * lib/base/half.h - conversions between f32 and the small float types
 *
 * One function per direction and type; all round to nearest, ties to even, keep
 * denormals, and work on bits, so that no flag of the floating-point unit matters.
 */
#ifndef LQI_HALF_H
#define LQI_HALF_H

#include <math.h>

#include "lib/base/base.h"

/* ------------------------------------------------------------- f16 and bf16 */

static inline float lqi_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 0x3ff;

    if (exp == 31)
        return lqi_bits_float(sign | 0x7f800000 | man << 13);
    if (exp != 0)
        return lqi_bits_float(sign | (exp + 112) << 23 | man << 13);
    /* man * 2^-24, exact in f32: the difference of two normal numbers */
    float f = lqi_bits_float(0x38800000 | man << 13) - lqi_bits_float(0x38800000);
    return lqi_bits_float(sign | lqi_float_bits(f));
}

/* Overflow gives infinity, NaN a quiet NaN of the same sign. */
static inline uint16_t lqi_f32_to_f16(float f)
{
    uint32_t bits = lqi_float_bits(f), sign = (bits >> 16) & 0x8000, a = bits & 0x7fffffff;

    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000)                      /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (a >= 0x38800000)                      /* normal */
        return (uint16_t)(sign | ((a - 0x38000000 + 0xfff + ((a >> 13) & 1)) >> 13));
    if (a < 0x33000000)                       /* below half of the least denormal */
        return (uint16_t)sign;
    uint32_t shift = 126 - (a >> 23), man = (a & 0x7fffff) | 0x800000;
    uint32_t half = 1u << (shift - 1), q = man >> shift, rest = man & ((1u << shift) - 1);
    return (uint16_t)(sign | (q + (rest > half || (rest == half && (q & 1)))));
}

static inline float lqi_bf16_to_f32(uint16_t h)
{
    return lqi_bits_float((uint32_t)h << 16);
}

static inline uint16_t lqi_f32_to_bf16(float f)
{
    uint32_t bits = lqi_float_bits(f);

    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* -------------------------------------------------------------------- fp8 */

/* OCP E4M3FN and E5M2; see fp8.c.  The encoders saturate: finite overflow and
 * infinities give the largest finite code, NaN a NaN code. */
uint8_t lqi_f32_to_e4m3(float f);
uint8_t lqi_f32_to_e5m2(float f);

static inline float lqi_e4m3_to_f32(uint8_t code)
{
    uint32_t sign = (uint32_t)(code & 0x80) << 24, a = code & 0x7f;
    uint32_t normal = (a << 20) + (120u << 23);           /* fields moved, rebiased */
    uint32_t small = lqi_float_bits((float)(int32_t)a * 0x1p-9f);
    uint32_t bits = a == 0x7f ? 0x7fc00000 : a >= 8 ? normal : small;

    return lqi_bits_float(sign | bits);
}

/* E5M2 is the upper byte of an f16. */
static inline float lqi_e5m2_to_f32(uint8_t code)
{
    return lqi_f16_to_f32((uint16_t)(code << 8));
}

/* 2^(code - 127); 255 is NaN. */
static inline float lqi_e8m0_to_f32(uint8_t code)
{
    if (code == 255)
        return lqi_bits_float(0x7fc00000);
    return lqi_bits_float(code ? (uint32_t)code << 23 : 0x00400000);
}

/* Nearest power of two by ratio, clamped to 2^-127 .. 2^127; f >= 0. */
uint8_t lqi_f32_to_e8m0(float f);

/* ------------------------------------------------------------------ arrays */

/* One element of 'type' (F32, F16, BF16) at index i of 'p'. */
static inline float lqi_load_float(lq_dtype type, const void *p, uint64_t i)
{
    if (type == LQ_F16)
        return lqi_f16_to_f32(lqi_load16((const uint8_t *)p + 2 * i));
    if (type == LQ_BF16)
        return lqi_bf16_to_f32(lqi_load16((const uint8_t *)p + 2 * i));
    return lqi_bits_float(lqi_load32((const uint8_t *)p + 4 * i));
}

static inline int lqi_finite(float f)
{
    return (lqi_float_bits(f) & 0x7f800000) != 0x7f800000;
}

#endif
