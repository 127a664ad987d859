/* SPDX-License-Identifier: MIT */
/*
 * lib/format/scale_type.c - one scale in its stored type
 */
#include "lib/base/half.h"
#include "lib/format/format.h"

size_t lqi_scale_bytes(lq_dtype type)
{
    switch (type) {
    case LQ_F32:
        return 4;
    case LQ_F16:
    case LQ_BF16:
        return 2;
    case LQ_E8M0:
    case LQ_F8_E4M3:
        return 1;
    default:
        return 0;
    }
}

/* Scales that have been rounded to these types are found by their bits. */
static uint8_t to_e8m0(float scale)
{
    uint32_t bits = lqi_float_bits(scale), code = bits >> 23;

    return (bits & 0x7fffff) == 0 && code - 1 < 254 ? (uint8_t)code : lqi_f32_to_e8m0(scale);
}

static uint8_t to_e4m3(float scale)
{
    uint32_t bits = lqi_float_bits(scale), code = (bits >> 20) - (120u << 3);

    return (bits & 0xfffff) == 0 && code - 8 < 0x7f - 8 ? (uint8_t)code : lqi_f32_to_e4m3(scale);
}

void lqi_scale_store(lq_dtype type, float scale, void *dst, uint64_t index)
{
    uint8_t *p = (uint8_t *)dst + index * lqi_scale_bytes(type);

    switch (type) {
    case LQ_F16:
        lqi_store16(p, lqi_f32_to_f16(scale));
        break;
    case LQ_BF16:
        lqi_store16(p, lqi_f32_to_bf16(scale));
        break;
    case LQ_E8M0:
        *p = to_e8m0(scale);
        break;
    case LQ_F8_E4M3:
        *p = to_e4m3(scale);
        break;
    default:
        lqi_store32(p, lqi_float_bits(scale));
    }
}

float lqi_scale_load(lq_dtype type, const void *src, uint64_t index)
{
    const uint8_t *p = src;

    if (type == LQ_E8M0)
        return lqi_e8m0_to_f32(p[index]);
    if (type == LQ_F8_E4M3)
        return lqi_e4m3_to_f32(p[index]);
    return lqi_load_float(type, src, index);
}

/* 464 lies half way between 448 and the next number E4M3 would have; ties go to 448. */
static int out_of_range(lq_dtype type, float scale)
{
    if (type == LQ_F8_E4M3)
        return fabsf(scale) > 464;
    if (type == LQ_E8M0)
        return scale < 0 || scale > 0x1.6a09e6p127f;   /* 2^127 * sqrt(2); NaN is a code */
    return 0;
}

float lqi_scale_round(lq_dtype type, float scale)
{
    uint8_t stored[4];

    if (out_of_range(type, scale))
        return INFINITY;
    lqi_scale_store(type, scale, stored, 0);
    return lqi_scale_load(type, stored, 0);
}
