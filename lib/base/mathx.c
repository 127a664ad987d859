/* SPDX-License-Identifier: MIT */
/*
 * lib/base/mathx.c - logarithm, exponential and power that are the same everywhere
 */
#include "lib/base/mathx.h"

#include <stdint.h>
#include <string.h>

/* ln 2 as a double of 32 significant bits and the rest: n * LN2_HI is exact. */
#define LN2_HI 6.93147180369123816490e-01
#define LN2_LO 1.90821492927058770002e-10
#define SQRT2 1.41421356237309514547

static double power_of_two(int64_t e)
{
    uint64_t bits = (uint64_t)(e + 1023) << 52;
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* x = m * 2^e, m in [sqrt(1/2), sqrt(2)); log(m) = 2 atanh(s), s = (m - 1) / (m + 1),
 * |s| < 0.172: s^23 / 23 is the last term above 2^-60. */
double lqi_log(double x)
{
    uint64_t bits;
    int64_t e;
    double m, s, square, sum = 0;

    memcpy(&bits, &x, sizeof bits);
    e = (int64_t)(bits >> 52 & 2047) - 1023;
    m = x / power_of_two(e);
    if (m >= SQRT2) {
        m /= 2;
        e++;
    }
    s = (m - 1) / (m + 1);
    square = s * s;
    for (int k = 23; k >= 3; k -= 2)
        sum = (sum + 1.0 / k) * square;
    return (double)e * LN2_HI + (2 * s + (2 * s * sum + (double)e * LN2_LO));
}

/* x = n ln 2 + r, |r| <= ln 2 / 2; Taylor's series to r^17 / 17!. */
double lqi_exp(double x)
{
    double n = x / (LN2_HI + LN2_LO), r, sum = 1;
    int64_t e = (int64_t)(n < 0 ? n - 0.5 : n + 0.5);

    r = (x - (double)e * LN2_HI) - (double)e * LN2_LO;
    for (int k = 17; k >= 1; k--)
        sum = 1 + sum * r / k;
    return sum * power_of_two(e);
}

double lqi_pow(double x, double y)
{
    return lqi_exp(y * lqi_log(x));
}
