/* SPDX-License-Identifier: MIT */
/*
 * lib/format/grid_search.c - what IQ2_* and IQ3_* share: signs, scales, nearest entries
 *
 * The search defines bytes: sums run over ascending indices, one rounding per operation,
 * products from left to right.  Source of truth: the quantizers of ggml, generic C.  What
 * follows from numbers that are not finite, or overflow, is defined here: a list's first
 * neighbour where no distance is a number; the scale becomes NaN or infinite, which the
 * formats' check reports.
 */
#include "lib/format/grid_search.h"

/* One rounding of a sub-block. */
typedef struct rounding {
    uint16_t word[8];   /* of each group of lanes */
    uint8_t  off[8];    /* group was not in the codebook */
} rounding;

/* ------------------------------------------------------------------- signs */

uint8_t lqi_grid_signs(const float *x, const float *w, int even, float *v)
{
    unsigned signs = 0, minus = 0;

    for (int i = 0; i < 8; i++) {
        v[i] = x[i] >= 0 ? x[i] : -x[i];
        signs |= (unsigned)!(x[i] >= 0) << i;
        minus += !(x[i] >= 0);
    }
    if (!even || minus % 2 == 0)
        return (uint8_t)signs;
    int least = 0;
    for (int i = 1; i < 8; i++)
        if (w[i] * x[i] * x[i] < w[least] * x[least] * x[least])
            least = i;
    v[least] = -v[least];
    return (uint8_t)(signs ^ 1u << least);
}

/* ------------------------------------------------------------------ groups */

static int top_digit(const lqi_near *near)
{
    return near->lanes == 8 ? 2 : 7;
}

/* Entry of least sum (u e) e in the list of a point, e = scale * level - v and u the square
 * root of the weight. */
static uint16_t nearest(const lqi_near *near, int32_t place, const float *v, const float *w,
                        float scale)
{
    float term[8][8], error;

    for (int i = 0; i < near->lanes; i++) {
        float u = sqrtf(w[i]);
        for (int l = 0; l <= top_digit(near); l++) {
            float e = scale * (float)(2 * l + 1) - v[i];
            term[i][l] = u * e * e;
        }
    }
    return lqi_near_word(near->lanes, lqi_near_list(near, place), lqi_near_count(place),
                         (const float (*)[8])term, &error);
}

/* Round a group with an inverse scale; off the grid, to its nearest neighbour. */
static void round_group(const lqi_grid_fit *f, int group, float inverse, float scale,
                        rounding *r)
{
    int lanes = f->near->lanes;
    const float *v = f->v + group * lanes;
    uint8_t digit[8];

    for (int k = 0; k < lanes; k++)
        digit[k] = (uint8_t)lqi_clamp_int(lqi_nearest_int(0.5f * (inverse * v[k] - 1)), 0,
                                          top_digit(f->near));
    r->word[group] = lqi_grid_word(lanes, digit);
    int32_t place = f->near->place[lqi_grid_word_point(lanes, r->word[group])];
    r->off[group] = place < 0;
    if (place < 0)
        r->word[group] = nearest(f->near, place, v, f->w + group * lanes, scale);
}

typedef struct sums {
    float xq, q2;   /* of w v q and w q^2: the scale is xq / q2 */
} sums;

static sums add_up(const lqi_grid_fit *f, const rounding *r)
{
    sums sum = { 0, 0 };
    int lanes = f->near->lanes;

    for (int i = 0; i < f->rules->sub; i++) {
        float q = (float)(2 * lqi_grid_digit(lanes, r->word[i / lanes], i % lanes) + 1);
        sum.xq += f->w[i] * f->v[i] * q;
        sum.q2 += f->w[i] * q * q;
    }
    return sum;
}

/* -------------------------------------------------------------- sub-blocks */

/* The scale of the best candidate; its rounding in *won. */
static float search_scale(const lqi_grid_fit *f, rounding *won)
{
    const lqi_grid_rules *p = f->rules;
    float scale = f->scale, best = 0;
    rounding r = *won;

    for (int c = -p->steps; c <= p->steps; c++) {
        float inverse = (p->base + (float)c * p->step) / f->range;
        for (int g = 0; g < p->sub / f->near->lanes; g++)
            round_group(f, g, inverse, 1 / inverse, &r);
        sums sum = add_up(f, &r);
        if (sum.q2 > 0 && sum.xq * sum.xq > best * sum.q2) {
            scale = sum.xq / sum.q2;
            best = scale * sum.xq;
            *won = r;
        }
    }
    return scale;
}

/* Round once more with the scale that was found. */
static float round_again(const lqi_grid_fit *f, float scale, rounding *r)
{
    int groups = f->rules->sub / f->near->lanes, any = f->rules->repeat;

    for (int g = 0; g < groups; g++)
        any |= r->off[g];
    if (!any || !(scale > 0))
        return scale;
    for (int g = 0; g < groups; g++)
        if (r->off[g] || f->rules->repeat_all)
            round_group(f, g, 1 / scale, scale, r);
    sums sum = add_up(f, r);
    return sum.q2 > 0 ? sum.xq / sum.q2 : scale;
}

void lqi_grid_fit_plain(lqi_grid_fit *f)
{
    static const uint8_t zero[8] = { 0 };
    rounding r;

    for (int g = 0; g < 8; g++) {
        r.word[g] = lqi_grid_word(f->near->lanes, zero);
        r.off[g] = f->rules->start_off != 0;
    }
    f->scale = round_again(f, search_scale(f, &r), &r);
    memcpy(f->word, r.word, sizeof f->word);
}

/* Magnitudes and signs; the range that candidates divide by, 0 for a sub-block that counts
 * as zero, and the scale to start from. */
static void prepare(const lqi_grid_plan *p, const float *x, const float *w, float *v,
                    lqi_grid_fit *f, lqi_grid_sub *sub)
{
    int top = top_digit(f->near);
    uint8_t codes[LQI_GRID_SUB];
    float max;

    for (int i = 0; i < p->rules.sub; i += 8)
        sub->signs[i / 8] = lqi_grid_signs(x + i, w + i, p->even, v + i);
    max = v[0];
    for (int i = 0; i < p->rules.sub; i++)
        max = max > v[i] ? max : v[i];
    f->range = max < p->eps ? 0 : max;
    f->scale = max / (float)(2 * top + 1);
    if (f->range != 0 && p->fit_range)
        f->range = (float)(top + 1) * lqi_make_qp(v, w, p->rules.sub, top + 2, codes);
}

static void search_sub(const lqi_grid_plan *plan, const lqi_fit *in, const lqi_near *near,
                       const float *x, const float *w, lqi_grid_sub *sub)
{
    _Alignas(LQI_ALIGN) float v[LQI_GRID_SUB];
    lqi_grid_fit f = { .rules = &plan->rules, .near = near, .v = v, .w = w };

    *sub = (lqi_grid_sub){ 0 };
    prepare(plan, x, w, v, &f, sub);
    if (f.range == 0 || (plan->fit_range && f.range <= 0)) {
        *sub = (lqi_grid_sub){ .zero = 1 };
        return;
    }
    if (!in->search || !in->search->grid || in->search->grid(&f))
        lqi_grid_fit_plain(&f);
    sub->scale = f.scale;
    if (sub->scale < 0) {
        sub->scale = -sub->scale;
        for (int i = 0; i < plan->rules.sub / 8; i++)
            sub->signs[i] = (uint8_t)~sub->signs[i];
    }
    for (int g = 0; g < plan->rules.sub / near->lanes; g++)
        sub->entry[g] = (uint16_t)near->place[lqi_grid_word_point(near->lanes, f.word[g])];
}

static void make_weights(const lqi_grid_plan *p, const float *x, const float *imp, float mean,
                         float *w)
{
    for (int i = 0; i < p->rules.sub; i++) {
        float square = x[i] * x[i];
        if (imp)
            w[i] = imp[i] * sqrtf(mean + square);
        else if (p->plain == LQI_GRID_ONES)
            w[i] = sqrtf(mean + square);
        else
            w[i] = p->plain == LQI_GRID_QUARTER ? 0.25f * mean + square : square;
    }
}

void lqi_grid_search(const lqi_grid_plan *plan, const lqi_fit *in, lqi_grid_sub *sub)
{
    float mean = plan->mean_factor * lqi_sum_squares(in->x, LQI_GRID_LEN) / LQI_GRID_LEN;
    const lqi_near *near = lqi_grids_near(in->grids, plan->grid);
    _Alignas(LQI_ALIGN) float w[LQI_GRID_SUB];

    for (int i = 0; i < LQI_GRID_LEN; i += plan->rules.sub, sub++) {
        make_weights(plan, in->x + i, in->imp ? in->imp + i : NULL, mean, w);
        search_sub(plan, in, near, in->x + i, w, sub);
    }
}
