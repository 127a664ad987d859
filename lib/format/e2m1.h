/* SPDX-License-Identifier: MIT */
/*
 * lib/format/e2m1.h - the 4-bit floats of GGUF's MXFP4 and NVFP4
 *
 *     code    0  1  2  3  4  5  6  7    8   9 10 11 12 13 14  15
 *     level   0  1  2  3  4  6  8 12    0  -1 -2 -3 -4 -6 -8 -12
 *
 * twice OCP E2M1, so that scales are halved; there is no -0: code 8 is another 0, which
 * encoding never writes.
 */
#ifndef LQI_E2M1_H
#define LQI_E2M1_H

#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LQI_E2M1_LEVELS { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 }

static inline float lqi_e2m1_level(uint32_t code)
{
    static const int8_t level[16] = LQI_E2M1_LEVELS;

    return (float)level[code];
}

/* What defines the bytes: the first code of least |level * scale - x|. */
static inline uint32_t lqi_e2m1_search(float x, float scale)
{
    uint32_t best = 0;

    for (uint32_t c = 1; c < 16; c++)
        if (fabsf(lqi_e2m1_level(c) * scale - x) < fabsf(lqi_e2m1_level(best) * scale - x))
            best = c;
    return best;
}

/*
 * The same by counting the midpoints below |x|, which are exact multiples of the scale:
 * ties go to the smaller magnitude on both sides.  Far beyond the largest level all
 * distances are the same float and the first code wins, which only the search shows;
 * it takes a scale of 0, NaN (code 0) and infinities as well.
 */
static inline uint32_t lqi_e2m1_code(float x, float scale)
{
    static const float middle[7] = { 0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10 };
    float a = fabsf(x);
    uint32_t code = 0;

    if (!(a < 0x1p20f * scale))
        return lqi_e2m1_search(x, scale);
    for (int k = 0; k < 7; k++)
        code += a > middle[k] * scale;
    return x < 0 && code ? code + 8 : code;
}

#endif
