/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq1.c - what IQ1_S and IQ1_M share
 *
 * The reference sorts with the C library's qsort, whose order of equal values is not
 * defined; here it is stable, as the one behind the reference's published bytes.
 */
#include "lib/format/iq1.h"

const float lqi_iq1_value[2][3] = { { -0.875f, 0.125f, 1.125f }, { -1.125f, -0.125f, 0.875f } };

void lqi_iq1_weights(const float *x, const float *imp, int ones, int n, float ms2, float *w)
{
    for (int i = 0; i < n; i++) {
        float square = x[i] * x[i];
        w[i] = imp ? imp[i] * sqrtf(ms2 + square) : ones ? sqrtf(ms2 + square) : square;
    }
}

void lqi_iq1_sort(const float *x, int n, uint8_t *order)
{
    for (int i = 0; i < n; i++) {
        int k = i;
        for (; k > 0 && x[order[k - 1]] > x[i]; k--)
            order[k] = order[k - 1];
        order[k] = (uint8_t)i;
    }
}

/* ----------------------------------------------------------------- entries */

static int32_t place_of(const lqi_near *near, uint16_t word)
{
    return near->place[lqi_grid_word_point(8, word)];
}

/* Word of the entry of least sum (w e) e among the neighbours. */
static uint16_t nearest(const lqi_near *near, int32_t place, const float *x, const float *w,
                        float scale, const float *q, float *error)
{
    float term[8][8];

    for (int i = 0; i < 8; i++)
        for (int l = 0; l < 3; l++) {
            float e = scale * q[l] - x[i];
            term[i][l] = w[i] * e * e;
        }
    return lqi_near_word(8, lqi_near_list(near, place), lqi_near_count(place),
                         (const float (*)[8])term, error);
}

static void cut_digits(int n, lqi_cut *cut, uint8_t *digit)
{
    int back = cut->scale < 0;

    for (int k = 0; k < n; k++) {
        int level = k < cut->low ? 0 : k < cut->high ? 1 : 2;
        digit[cut->order[k]] = (uint8_t)(back ? 2 - level : level);
    }
    if (back) {
        cut->scale = -cut->scale;
        cut->minus = ~cut->minus;
    }
}

void lqi_iq1_entries(const lqi_fit *in, const float *x, const float *w, int n, lqi_cut *cut,
                     uint16_t *entry)
{
    const lqi_near *near = lqi_grids_near(in->grids, LQI_GRID_IQ1);
    float a = 0, b = 0, error;
    uint8_t digit[LQI_IQ1_SUB];
    int off = 0;

    cut_digits(n, cut, digit);
    for (int g = 0; g < n / 8; g++, x += 8, w += 8) {
        const float *q = lqi_iq1_value[cut->minus >> g & 1];
        uint16_t word = lqi_grid_word(8, digit + 8 * g);
        int32_t place = place_of(near, word);
        if (place < 0) {
            const uint16_t *list = lqi_near_list(near, place);
            unsigned count = lqi_near_count(place);
            word = in->search && in->search->nearest
                       ? in->search->nearest(list, count, x, w, cut->scale, q)
                       : nearest(near, place, x, w, cut->scale, q, &error);
            off = 1;
        }
        entry[g] = (uint16_t)place_of(near, word);
        for (int i = 0; i < 8; i++) {
            float level = q[lqi_grid_digit(8, word, i)], wq = w[i] * level;
            a += wq * x[i];
            b += wq * level;
        }
    }
    if (off && a > 0 && b > 0)
        cut->scale = a / b;
}

/* ----------------------------------------------------------- frozen scales */

uint32_t lqi_iq1_round(const struct lqi_grids *grids, const float *x, const float *imp,
                       float scale, int minus, float *error)
{
    static const float ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    const lqi_near *near = lqi_grids_near(grids, LQI_GRID_IQ1);
    const float *q = lqi_iq1_value[minus], *w = imp ? imp : ones;
    uint8_t digit[8];

    *error = 0;
    if (scale == 0)
        return 0;
    for (int i = 0; i < 8; i++) {
        float v = x[i] / scale;
        digit[i] = (uint8_t)((v > 0.5f * (q[0] + q[1])) + (v > 0.5f * (q[1] + q[2])));
    }
    int32_t place = place_of(near, lqi_grid_word(8, digit));
    if (place < 0)
        return (uint32_t)place_of(near, nearest(near, place, x, w, scale, q, error));
    for (int i = 0; i < 8; i++) {
        float e = scale * q[digit[i]] - x[i];
        *error += w[i] * e * e;
    }
    return (uint32_t)place;
}
