/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/hessian.c - the order of columns; H, its damping
 */
#include <stdlib.h>

#include "lib/calib/gptq.h"

#define DAMP_MOST 1.3f   /* times the mean of the diagonal: nothing is left of feedback then */

static lq_status fail(const lqi_hessian *h, lq_error *error, lq_status status,
                      const char *problem)
{
    const lqi_where where = { NULL, h->stat->name, LQ_NO_OFFSET };

    return lqi_fail(error, status, &where, "%s", problem);
}

/* Row i of X'X. */
static const float *gram_row(const lqi_stat *s, uint64_t i)
{
    uint64_t panel = i / LQ_GRAM_ROWS;

    return s->gram[panel] + i % LQ_GRAM_ROWS * lqi_gram_width(s->cols, panel);
}

/* ---------------------------------------------------------------------- order */

struct key {
    float    size;
    uint32_t index;
};

/* Larger first, of equal ones the first: a total order, so any sort gives the same. */
static int before(const void *a, const void *b)
{
    const struct key *x = a, *y = b;

    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static void sort(struct key *keys, uint64_t n)
{
    qsort(keys, (size_t)n, sizeof *keys, before);
}

/* Columns within groups, then groups by their first; columns behind whole groups stay
 * last. */
static void order_groups(const lqi_hessian *h, uint64_t group, struct key *keys,
                         struct key *firsts, uint32_t *solved)
{
    uint64_t groups = h->n / group, at = 0;

    for (uint64_t g = 0; g < groups; g++) {
        sort(keys + g * group, group);
        firsts[g] = (struct key){ keys[g * group].size, (uint32_t)g };
    }
    sort(firsts, groups);
    for (uint64_t g = 0; g < groups; g++)
        for (uint64_t k = 0; k < group; k++)
            solved[at++] = keys[firsts[g].index * group + k].index;
    sort(keys + at, h->n - at);
    for (; at < h->n; at++)
        solved[at] = keys[at].index;
}

static lq_status choose_order(lqi_hessian *h, int32_t order, uint64_t group)
{
    const lq_allocator *a = &h->ctx->allocator;
    struct key *keys = lqi_alloc(a, 2 * h->n * sizeof *keys);

    if (!keys)
        return LQ_ERR_NOMEM;
    for (uint64_t i = 0; i < h->n; i++)
        keys[i] = (struct key){ h->diagonal[i], (uint32_t)i };
    if (order == LQ_GPTQ_ORDER_ACT)
        sort(keys, h->n);
    if (order == LQ_GPTQ_ORDER_GROUP)
        order_groups(h, group, keys, keys + h->n, h->order);
    else
        for (uint64_t i = 0; i < h->n; i++)
            h->order[i] = keys[i].index;
    for (uint64_t i = 0; i < h->n / 2; i++) {
        uint32_t last = h->order[h->n - 1 - i];
        h->order[h->n - 1 - i] = h->order[i];
        h->order[i] = last;
    }
    lqi_free(a, keys);
    return LQ_OK;
}

/* ------------------------------------------------------------------- opening */

static lq_status read_diagonal(lqi_hessian *h, lq_error *error)
{
    double sum = 0;

    for (uint64_t i = 0; i < h->n; i++) {
        float d = gram_row(h->stat, i)[i];
        if (!lqi_finite(d))
            return fail(h, error, LQ_ERR_NONFINITE, "X'X is not finite");
        if (d < 0)
            return fail(h, error, LQ_ERR_NUMERIC, "X'X has a negative diagonal");
        h->diagonal[i] = (float)((double)d / (double)h->stat->count);
        h->dead += d == 0;
        sum += d == 0 ? 1 : (double)d;
    }
    h->mean = sum / (double)h->n;
    return h->dead < h->n ? LQ_OK : fail(h, error, LQ_ERR_NUMERIC, "all activations are zero");
}

lq_status lqi_hessian_open(lqi_hessian *h, const lq_ctx *ctx, const lqi_stat *stat,
                           int32_t order, uint64_t group, lq_error *error)
{
    const lq_allocator *a = &ctx->allocator;
    lq_status status;

    *h = (lqi_hessian){ .ctx = ctx, .stat = stat, .n = stat->cols };
    h->order = lqi_alloc(a, h->n * sizeof *h->order);
    h->diagonal = lqi_alloc(a, h->n * sizeof *h->diagonal);
    h->pivots = lqi_alloc(a, h->n * sizeof *h->pivots);
    h->rows = lqi_alloc(a, h->n * sizeof *h->rows);
    if (!h->order || !h->diagonal || !h->pivots || !h->rows)
        return fail(h, error, LQ_ERR_NOMEM, "out of memory");
    for (uint64_t i = 0; i < h->n; i++)
        h->rows[i] = gram_row(stat, i);
    status = read_diagonal(h, error);
    if (status)
        return status;
    status = choose_order(h, order, group);
    return status ? fail(h, error, status, "out of memory") : LQ_OK;
}

void lqi_hessian_close(lqi_hessian *h)
{
    const lq_allocator *a;

    if (!h->ctx)
        return;
    a = &h->ctx->allocator;
    lqi_free(a, h->order);
    lqi_free(a, h->diagonal);
    lqi_free(a, h->pivots);
    lqi_free(a, h->rows);
    lqi_free(a, h->factor);
}

/* ------------------------------------------------------------------- filling */

struct fill {
    const lqi_hessian *h;
    float              add;
    int                both;
    float             *a;
};

#define FILL_ROWS 16
#define AHEAD     24

/* Half of a row is part of a column of what is kept, each number in a cache line of its own. */
static void fill_task(void *arg, size_t index)
{
    const struct fill *f = arg;
    const lqi_hessian *h = f->h;
    uint64_t end = lqi_min(h->n, ((uint64_t)index + 1) * FILL_ROWS);

    for (uint64_t s = (uint64_t)index * FILL_ROWS; s < end; s++) {
        float *row = f->a + s * h->n;
        uint64_t width = f->both ? h->n : s + 1;
        uint32_t i = h->order[s];
        const float *own = h->rows[i];
        for (uint64_t t = 0; t < width; t++) {
            uint32_t j = h->order[t];
            if (t + AHEAD < width)
                __builtin_prefetch(h->rows[h->order[t + AHEAD]] + i);
            row[t] = i > j ? own[j] : h->rows[j][i];
        }
        if (row[s] == 0)
            row[s] = 1;
        row[s] += f->add;
    }
}

void lqi_hessian_fill(const lqi_hessian *h, float damp, int both, float *a)
{
    struct fill f = { h, (float)((double)damp * h->mean), both, a };

    lqi_parallel(h->ctx, (size_t)lqi_div_up(h->n, FILL_ROWS), fill_task, &f);
}

lq_status lqi_hessian_factor(lqi_hessian *h, float damp, lq_error *error)
{
    lq_status status = LQ_ERR_NUMERIC;

    h->factor = lqi_alloc(&h->ctx->allocator, h->n * h->n * sizeof *h->factor);
    if (!h->factor)
        return fail(h, error, LQ_ERR_NOMEM, "out of memory for H");
    for (h->damp = damp; status == LQ_ERR_NUMERIC && h->damp <= DAMP_MOST; ) {
        lqi_hessian_fill(h, h->damp, 0, h->factor);
        status = lqi_factor(h->ctx, h->n, h->factor, h->pivots);
        if (status == LQ_ERR_NUMERIC)
            h->damp *= 2;
    }
    if (status == LQ_ERR_NUMERIC)
        return fail(h, error, status, "X'X is not positive definite, whatever its damping");
    return status ? fail(h, error, status, lq_status_text(status)) : LQ_OK;
}
