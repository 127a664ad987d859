/* SPDX-License-Identifier: MIT */
/*
 * lib/format/minifloat.h - floats of 4 and 6 bits without infinity and NaN (OCP MX)
 *
 *           bits      bias   largest   least normal   least
 *   E2M1    s ee m       1     6          1           0.5
 *   E2M3    s ee mmm     1     7.5        1           0.125
 *   E3M2    s eee mm     3    28          0.25        0.0625
 *
 * Encoding rounds to nearest, ties to even codes, in the subnormal range too, and saturates;
 * the sign of zero is kept; NaN becomes 0.
 */
#ifndef LQI_MINIFLOAT_H
#define LQI_MINIFLOAT_H

#include "lib/format/planar.h"

/* 'man' mantissa bits, 'exp' exponent bits of bias 2^(exp - 1) - 1 with all codes finite. */
static inline uint32_t lqi_minifloat_from(float f, unsigned exp, unsigned man)
{
    uint32_t bits = lqi_float_bits(f), a = bits & 0x7fffffff, code;
    uint32_t largest = (1u << (exp + man)) - 1, bias = (1u << (exp - 1)) - 1;
    uint32_t least = (128 - bias) << 23, shift = 23 - man;      /* the least normal */

    if (a > 0x7f800000)
        return 0;
    if (a >= least) {
        a -= (127 - bias) << 23;
        code = (a + (1u << (shift - 1)) - 1 + (a >> shift & 1)) >> shift;
    } else {                              /* units of the least value, by a power of two */
        float unit = lqi_bits_float((126 + bias + man) << 23);
        code = (uint32_t)lqi_round_int(lqi_bits_float(a) * unit, 0, (float)(1u << man));
    }
    return (code < largest ? code : largest) | bits >> 31 << (exp + man);
}

static inline uint32_t lqi_f32_to_e2m1(float f) { return lqi_minifloat_from(f, 2, 1); }
static inline uint32_t lqi_f32_to_e2m3(float f) { return lqi_minifloat_from(f, 2, 3); }
static inline uint32_t lqi_f32_to_e3m2(float f) { return lqi_minifloat_from(f, 3, 2); }

/* Values of all codes. */
#define LQI_E2M1_HALF(s) s 0.0f, s 0.5f, s 1.0f, s 1.5f, s 2.0f, s 3.0f, s 4.0f, s 6.0f
#define LQI_E2M1_TABLE { LQI_E2M1_HALF(+), LQI_E2M1_HALF(-) }

#define LQI_E2M3_EIGHT(s, least, unit) \
    s (least), s (least + unit), s (least + 2 * unit), s (least + 3 * unit), \
    s (least + 4 * unit), s (least + 5 * unit), s (least + 6 * unit), s (least + 7 * unit)
#define LQI_E2M3_HALF(s) \
    LQI_E2M3_EIGHT(s, 0.0f, 0.125f), LQI_E2M3_EIGHT(s, 1.0f, 0.125f), \
    LQI_E2M3_EIGHT(s, 2.0f, 0.25f), LQI_E2M3_EIGHT(s, 4.0f, 0.5f)
#define LQI_E2M3_TABLE { LQI_E2M3_HALF(+), LQI_E2M3_HALF(-) }

#define LQI_E3M2_FOUR(s, least, unit) \
    s (least), s (least + unit), s (least + 2 * unit), s (least + 3 * unit)
#define LQI_E3M2_HALF(s) \
    LQI_E3M2_FOUR(s, 0.0f, 0.0625f), LQI_E3M2_FOUR(s, 0.25f, 0.0625f), \
    LQI_E3M2_FOUR(s, 0.5f, 0.125f), LQI_E3M2_FOUR(s, 1.0f, 0.25f), \
    LQI_E3M2_FOUR(s, 2.0f, 0.5f), LQI_E3M2_FOUR(s, 4.0f, 1.0f), \
    LQI_E3M2_FOUR(s, 8.0f, 2.0f), LQI_E3M2_FOUR(s, 16.0f, 4.0f)
#define LQI_E3M2_TABLE { LQI_E3M2_HALF(+), LQI_E3M2_HALF(-) }

/* Runs of 4-bit codes, low nibble first, and of 6-bit codes: run->table[code] * scale. */
void lqi_table4_low_decode(const lqi_run *run, float *y);
void lqi_table6_decode(const lqi_run *run, float *y);

#endif
