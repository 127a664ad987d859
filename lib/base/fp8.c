/* SPDX-License-Identifier: MIT */
/*
 * lib/base/fp8.c - 8-bit floats: OCP E4M3FN and E5M2, and E8M0 scales
 *
 *            bits         bias   largest        least      infinity   NaN
 *   E4M3FN   s eeee mmm      7   448   (7e)     2^-9       none       7f
 *   E5M2     s eeeee mm     15   57344 (7b)     2^-16      7c         7d..7f
 *   E8M0     eeeeeeee      127   2^127 (fe)     2^-127     none       ff
 *
 * Decoding is in half.h.  Encoding rounds to nearest, ties to even, in the subnormal range
 * too, and saturates: what is too large, infinity included, becomes the largest finite code.
 */
#include "lib/base/half.h"

/* Magnitude 'a' (f32 bits, no NaN) to 'man' mantissa bits with exponent bias 'bias'. */
static uint32_t encode(uint32_t a, unsigned man, unsigned bias, uint32_t largest)
{
    uint32_t least_exp = 128 - bias, exp = a >> 23, shift = 23 - man, code;

    if (exp >= least_exp) {
        uint32_t r = a - ((least_exp - 1) << 23);
        code = (r + (1u << (shift - 1)) - 1 + ((r >> shift) & 1)) >> shift;
        return code < largest ? code : largest;
    }
    shift += least_exp - exp;                     /* subnormal: units of the least value */
    if (shift > 24)
        return 0;                                 /* below half a unit */
    uint32_t m = (a & 0x7fffff) | 0x800000;
    uint32_t half = 1u << (shift - 1), rest = m & ((1u << shift) - 1);
    code = m >> shift;
    return code + (rest > half || (rest == half && (code & 1)));
}

static uint8_t encode_signed(float f, unsigned man, unsigned bias, uint32_t largest,
                             uint32_t nan)
{
    uint32_t bits = lqi_float_bits(f), a = bits & 0x7fffffff;
    uint32_t code = a > 0x7f800000 ? nan : encode(a, man, bias, largest);

    return (uint8_t)((bits >> 24 & 0x80) | code);
}

uint8_t lqi_f32_to_e4m3(float f)
{
    return encode_signed(f, 3, 7, 0x7e, 0x7f);
}

uint8_t lqi_f32_to_e5m2(float f)
{
    return encode_signed(f, 2, 15, 0x7b, 0x7e);
}

/*
 * The nearest power of two by ratio changes at sqrt(2), which no f32 hits: 0x3fb504f3 is
 * the last one below.  Code 0 is 2^-127, a subnormal of f32 with mantissa 0x400000.
 */
uint8_t lqi_f32_to_e8m0(float f)
{
    uint32_t bits = lqi_float_bits(f), exp = bits >> 23, man = bits & 0x7fffff;

    if ((bits & 0x7fffffff) > 0x7f800000)
        return 255;
    if (bits >> 31)
        return 0;
    if (exp == 0)
        return man > 0x5a8279;
    exp += man > 0x3504f3;
    return (uint8_t)(exp < 254 ? exp : 254);
}
