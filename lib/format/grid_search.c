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

#define MAX_SUB 32

/* One sub-block under search. */
typedef struct search {
    const lqi_grid_plan *plan;
    const lqi_grid_kind *kind;
    const lqi_near      *near;
    const uint8_t       *digit;       /* of the entries */
    const float         *w;           /* weights */
    float                v[MAX_SUB];  /* magnitudes */
    float                u[MAX_SUB];  /* square roots of the weights */
    int                  top;         /* highest digit */
} search;

/* One rounding of the sub-block. */
typedef struct rounding {
    uint8_t digit[MAX_SUB];
    uint8_t off[MAX_SUB / 4];         /* group was not in the codebook */
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

/* Entry of least sum (u e) e in the list of a point, e = scale * level - v. */
static unsigned nearest(const search *s, const uint16_t *list, const float *v, const float *u,
                        float scale)
{
    float term[8][8], best = FLT_MAX;
    int lanes = s->kind->lanes;
    unsigned found = list[1];

    for (int i = 0; i < lanes; i++)
        for (int l = 0; l <= s->top; l++) {
            float e = scale * (float)(2 * l + 1) - v[i];
            term[i][l] = u[i] * e * e;
        }
    for (unsigned k = 1; k <= list[0]; k++) {
        const uint8_t *d = s->digit + (size_t)lanes * list[k];
        float sum = 0;
        for (int i = 0; i < lanes; i++)
            sum += term[i][d[i]];
        if (sum < best) {
            best = sum;
            found = list[k];
        }
    }
    return found;
}

/* Round the group at 'i' with an inverse scale; off the grid, to its nearest neighbour. */
static void round_group(const search *s, int i, float inverse, float scale, rounding *r)
{
    const float *v = s->v + i;
    uint8_t *digit = r->digit + i;
    int lanes = s->kind->lanes;

    for (int k = 0; k < lanes; k++)
        digit[k] = (uint8_t)lqi_clamp_int(lqi_nearest_int(0.5f * (inverse * v[k] - 1)), 0,
                                          s->top);
    int32_t place = s->near->place[lqi_grid_point(s->kind, digit)];
    r->off[i / lanes] = place < 0;
    if (place >= 0)
        return;
    unsigned entry = nearest(s, lqi_near_list(s->near, place), v, s->u + i, scale);
    memcpy(digit, s->digit + (size_t)lanes * entry, (size_t)lanes);
}

typedef struct sums {
    float xq, q2;   /* of w v q and w q^2: the scale is xq / q2 */
} sums;

static sums add_up(const search *s, const rounding *r)
{
    sums sum = { 0, 0 };

    for (int i = 0; i < s->plan->sub; i++) {
        float q = (float)(2 * r->digit[i] + 1);
        sum.xq += s->w[i] * s->v[i] * q;
        sum.q2 += s->w[i] * q * q;
    }
    return sum;
}

/* -------------------------------------------------------------- sub-blocks */

/* The scale of the best candidate; its rounding in *won. */
static float search_scale(const search *s, float range, float start, rounding *won)
{
    const lqi_grid_plan *p = s->plan;
    float scale = start, best = 0;
    rounding r;

    for (int c = -p->steps; c <= p->steps; c++) {
        float inverse = (p->base + (float)c * p->step) / range;
        for (int i = 0; i < p->sub; i += s->kind->lanes)
            round_group(s, i, inverse, 1 / inverse, &r);
        sums sum = add_up(s, &r);
        if (sum.q2 > 0 && sum.xq * sum.xq > best * sum.q2) {
            scale = sum.xq / sum.q2;
            best = scale * sum.xq;
            *won = r;
        }
    }
    return scale;
}

/* Round once more with the scale that was found. */
static float round_again(const search *s, float scale, rounding *r)
{
    int lanes = s->kind->lanes, any = s->plan->fit_range;

    for (int i = 0; i < s->plan->sub / lanes; i++)
        any |= r->off[i];
    if (!any || !(scale > 0))
        return scale;
    for (int i = 0; i < s->plan->sub; i += lanes)
        if (r->off[i / lanes] || s->plan->repeat_all)
            round_group(s, i, 1 / scale, scale, r);
    sums sum = add_up(s, r);
    return sum.q2 > 0 ? sum.xq / sum.q2 : scale;
}

/* Magnitudes and signs; returns the range that candidates divide by, 0 for a sub-block
 * that counts as zero. */
static float prepare(search *s, const float *x, const float *w, float *start,
                     lqi_grid_sub *sub)
{
    const lqi_grid_plan *p = s->plan;
    uint8_t codes[MAX_SUB];
    float max;

    s->w = w;
    for (int i = 0; i < p->sub; i += 8)
        sub->signs[i / 8] = lqi_grid_signs(x + i, w + i, p->even, s->v + i);
    max = s->v[0];
    for (int i = 0; i < p->sub; i++) {
        s->u[i] = sqrtf(w[i]);
        max = max > s->v[i] ? max : s->v[i];
    }
    if (max < p->eps || max == 0)
        return 0;
    *start = max / (float)(2 * s->top + 1);
    if (!p->fit_range)
        return max;
    float range = (float)(s->top + 1) * lqi_make_qp(s->v, w, p->sub, s->top + 2, codes);
    return range <= 0 ? 0 : range;
}

static void search_sub(search *s, const float *x, const float *w, lqi_grid_sub *sub)
{
    int lanes = s->kind->lanes, groups = s->plan->sub / lanes;
    float start = 0, range;
    rounding r = { { 0 }, { 0 } };

    *sub = (lqi_grid_sub){ 0 };
    range = prepare(s, x, w, &start, sub);
    if (range == 0) {
        *sub = (lqi_grid_sub){ .zero = 1 };
        return;
    }
    memset(r.off, s->plan->start_off, sizeof r.off);
    sub->scale = round_again(s, search_scale(s, range, start, &r), &r);
    if (sub->scale < 0) {
        sub->scale = -sub->scale;
        for (int i = 0; i < s->plan->sub / 8; i++)
            sub->signs[i] = (uint8_t)~sub->signs[i];
    }
    for (int g = 0; g < groups; g++) {
        int32_t place = s->near->place[lqi_grid_point(s->kind, r.digit + g * lanes)];
        sub->entry[g] = (uint16_t)(place < 0 ? 0 : place);
    }
}

static void make_weights(const lqi_grid_plan *p, const float *x, const float *imp, float mean,
                         float *w)
{
    for (int i = 0; i < p->sub; i++) {
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
    search s = { .plan = plan, .kind = &lqi_grid_kinds[plan->grid],
                 .near = lqi_grids_near(in->grids, plan->grid),
                 .digit = in->grids->digit[plan->grid] };
    float w[MAX_SUB];

    s.top = s.kind->base - 1;
    for (int i = 0; i < LQI_GRID_LEN; i += plan->sub, sub++) {
        make_weights(plan, in->x + i, in->imp ? in->imp + i : NULL, mean, w);
        search_sub(&s, in->x + i, w, sub);
    }
}
