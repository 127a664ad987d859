/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq4.c - the table of sixteen uneven levels of IQ4_NL and IQ4_XS
 */
#include "lib/format/iq4.h"

const int8_t lqi_iq4_level[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
};

/* Midpoints are 11.5 apart and more; none is near an edge of a bin, which are odd multiples
 * of 5.75. */
const lqi_levels lqi_iq4_levels = {
    .level = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 },
    .middle = { -115.5f, -93.5f, -74, -57, -42, -28.5f, -16, -4.5f, 7, 19, 31.5f, 45.5f, 61, 79,
                101, FLT_MAX },
    .bins = 1 / 11.5f,
    .below = { 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11, 12, 13, 13, 14, 14,
               15, 15, 15, 15, 15, 15 },
};

uint32_t lqi_iq4_code(float v)
{
    const float *middle = lqi_iq4_levels.middle;
    uint32_t code = v < middle[7] ? 0 : 8;

    code += v < middle[code + 3] ? 0 : 4;
    code += v < middle[code + 1] ? 0 : 2;
    return code + !(v < middle[code]);
}

void lqi_iq4_codes(const float *x, float inverse, uint32_t *codes)
{
    for (int i = 0; i < LQI_IQ4_SUB; i++)
        codes[i] = lqi_iq4_code(inverse * x[i]);
}

/* Sums for the codes of x * inverse: the scale that fits them is qx / q2, 0 where nothing has
 * any weight. */
typedef struct level_sums {
    float qx, q2;
} level_sums;

static level_sums sums_of(const float *x, const float *w, float inverse)
{
    level_sums s = { 0, 0 };

    for (int i = 0; i < LQI_IQ4_SUB; i++) {
        float q = (float)lqi_iq4_level[lqi_iq4_code(inverse * x[i])], wq = w[i] * q;
        s.qx += wq * x[i];
        s.q2 += wq * q;
    }
    return s;
}

static float fitted_scale(level_sums s)
{
    return s.q2 == 0 && s.qx == 0 ? 0 : s.qx / s.q2;
}

float lqi_iq4_search(const float *x, const float *imp, float ms)
{
    float extreme = lqi_extreme(x, LQI_IQ4_SUB), lowest = (float)lqi_iq4_level[0];
    float w[LQI_IQ4_SUB];

    if (fabsf(extreme) < LQI_SEARCH_EPS)
        return 0;
    if (imp)
        lqi_search_weights(x, imp, LQI_IQ4_SUB, ms, w);
    else
        for (int i = 0; i < LQI_IQ4_SUB; i++)
            w[i] = x[i] * x[i];

    level_sums s = sums_of(x, w, 1 / (-extreme / lowest));
    float scale = fitted_scale(s), best = scale * s.qx;
    for (int step = -7; step <= 7; step++) {
        s = sums_of(x, w, ((float)step + lowest) / extreme);
        if (s.q2 > 0 && s.qx * s.qx > best * s.q2) {
            scale = s.qx / s.q2;
            best = scale * s.qx;
        }
    }
    return scale;
}
