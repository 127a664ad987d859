/* SPDX-License-Identifier: MIT */
/*
 * lib/train/fake_start.c - first scales from the numbers, scales from a history
 */
#include "lib/train/fake.h"

#include <math.h>

/* What scales are made from, of every piece, then of every group. */
typedef struct extent {
    float    lo, hi;
    double   sum;     /* of magnitudes */
    uint64_t n;
} extent;

struct extents {
    const float *x;
    extent      *of;
};

static void extent_piece(const lqi_fake *f, const lqi_piece *p, void *arg)
{
    const struct extents *a = arg;
    const float *x = a->x + p->row * f->length;
    lqi_values v = { .ctx = f->ctx, .type = LQ_F32, .x = x, .n = f->length, .finite = 1 };
    extent *e = &a->of[p->slot];

    *e = (extent){ INFINITY, -INFINITY, 0, p->n };
    (void)lqi_values_range(&v, p->first, p->n, &e->lo, &e->hi);
    (void)lqi_values_sum(&v, p->first, p->n, &e->sum);
}

static extent group_extent(const lqi_fake *f, const extent *of, uint64_t index)
{
    const lqi_geometry *g = &f->g;
    uint64_t row = index / g->row_groups * g->group_rows;
    uint64_t end = lqi_min(row + g->group_rows, f->rows);
    extent all = { INFINITY, -INFINITY, 0, 0 };

    for (; row < end; row++) {
        const extent *e = &of[row * g->row_groups + index % g->row_groups];

        all.lo = e->lo < all.lo ? e->lo : all.lo;
        all.hi = e->hi > all.hi ? e->hi : all.hi;
        all.sum += e->sum;
        all.n += e->n;
    }
    if (all.lo > all.hi)
        all.lo = all.hi = 0;
    return all;
}

/* Extents of all groups of x, to be freed. */
static lq_status find_extents(const lqi_fake *f, const float *x, extent **extents,
                              lq_error *error)
{
    struct extents a = { x, NULL };
    uint64_t bytes;
    lq_status status = lqi_fake_finite(f, x, error);

    if (status)
        return status;
    if (!lqi_mul(f->rows * f->g.row_groups, sizeof *a.of, &bytes))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "the matrix's size does not fit");
    a.of = lqi_alloc(&f->ctx->allocator, bytes);
    if (!a.of && bytes)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for the ranges of groups");
    lqi_fake_pieces(f, extent_piece, &a);
    /* in place: no piece of a group lies before the group's own number */
    for (uint64_t i = 0; i < f->g.groups && bytes; i++)
        a.of[i] = group_extent(f, a.of, i);
    *extents = a.of;
    return LQ_OK;
}

/* What the spec finds for a range. */
static lq_status fit(const lqi_fake *f, float lo, float hi, uint64_t index, lqi_group *group,
                     lq_error *error)
{
    *group = (lqi_group){ 0, 0, 0 };
    lqi_group_from_range(f->g.format, &f->spec, lo, hi, group);
    if (!lqi_finite(group->scale))
        return lqi_fail(error, LQ_ERR_NUMERIC, NULL, "scale %llu is too large for its type",
                        (unsigned long long)index);
    return LQ_OK;
}

/* A stored integer zero point in numbers of codes: minus the value of code number 0. */
static float zero_number(const lqi_fake *f, float stored)
{
    lqi_group none = { 1, 0, 0 }, one = { 1, stored, 0 };
    uint32_t code;
    float value;

    f->g.format->fit_zero(&f->spec, 0, 1, &none);
    code = (uint32_t)none.zero;
    f->g.format->value(&f->spec, &one, &code, 1, &value);
    return -value;
}

/* ------------------------------------------------------------------- start */

/* LSQ of integers, STRETCHED. */
static float learned_start(const lqi_fake *f, const extent *e)
{
    float mean = e->n ? (float)(e->sum / (double)e->n) : 0;

    if (f->fake.rule == LQ_FAKE_STRETCHED)
        return -e->lo > e->hi ? -e->lo : e->hi;
    return f->levels > 2 ? 2 * mean / sqrtf(f->hi) : mean / f->hi;
}

static lq_status start(const lqi_fake *f, const extent *extents, int write, lq_error *error)
{
    int fitted = f->fake.rule == LQ_FAKE_AFFINE || (f->fake.rule == LQ_FAKE_LSQ && !f->integers);
    lqi_group group;
    lq_status status;

    for (uint64_t i = 0; i < f->g.groups; i++) {
        if (!fitted)
            group = (lqi_group){ learned_start(f, &extents[i]), 0, 0 };
        else if ((status = fit(f, extents[i].lo, extents[i].hi, i, &group, error)))
            return status;
        if (!write)
            continue;
        f->fake.scales[i] = group.scale;
        if (f->spec.zeros == LQ_ZEROS_INT)
            f->fake.zeros[i] = zero_number(f, group.zero);
    }
    return LQ_OK;
}

static lq_status check_scales(const lqi_fake *f, const float *x, lq_error *error)
{
    const lq_fake *a = &f->fake;
    int with_zeros = f->spec.zeros == LQ_ZEROS_INT;

    if (a->rule == LQ_FAKE_FITTED)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_fake: the rule has no scales to keep");
    if (!a->scales || (with_zeros && !a->zeros))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_fake: scales or zeros are NULL");
    if ((uintptr_t)a->scales % sizeof(float) || (with_zeros && (uintptr_t)a->zeros % sizeof(float)))
        return lqi_fail(error, LQ_ERR_ALIGN, NULL, "lq_fake: scales or zeros are not aligned");
    return lqi_fake_array(f, x, "x", error);
}

lq_status lq_fake_start(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows, uint64_t cols,
                        const float *x, lq_error *error)
{
    lqi_fake f;
    extent *extents = NULL;
    lq_status status;

    if (!ctx || !fake)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_fake_start is NULL");
    if ((status = lqi_fake_open(ctx, fake, rows, cols, &f, error)) ||
        (status = check_scales(&f, x, error)) ||
        (status = find_extents(&f, x, &extents, error)))
        return status;
    status = start(&f, extents, 0, error);
    if (!status)
        status = start(&f, extents, 1, error);
    lqi_free(&ctx->allocator, extents);
    return status;
}

/* ----------------------------------------------------------------- observe */

/* Scale of a group whose largest magnitude is 'now'. */
static lq_status delayed(const lqi_fake *f, float now, uint64_t index, float *scale,
                         lq_error *error)
{
    float most = now;
    lqi_group group;
    lq_status status;

    for (uint32_t k = 0; k + 1 < f->fake.history_length; k++) {
        float then = f->fake.history[k * f->g.groups + index];

        if (!(then >= 0 && then <= FLT_MAX))
            return lqi_fail(error, LQ_ERR_NONFINITE, NULL,
                            "magnitude %u of group %llu in the history is none", k,
                            (unsigned long long)index);
        most = then > most ? then : most;
    }
    status = fit(f, -most, most, index, &group, error);
    *scale = group.scale;
    return status;
}

static float magnitude(const extent *e)
{
    return -e->lo > e->hi ? -e->lo : e->hi;
}

static lq_status observe(const lqi_fake *f, const extent *extents, lq_error *error)
{
    uint64_t n = f->g.groups;
    float scale, *history = f->fake.history;
    lq_status status;

    for (uint64_t i = 0; i < n; i++)
        if ((status = delayed(f, magnitude(&extents[i]), i, &scale, error)))
            return status;
    for (uint64_t i = 0; i < n; i++)
        (void)delayed(f, magnitude(&extents[i]), i, &f->fake.scales[i], error);
    memmove(history + n, history, (f->fake.history_length - 1) * n * sizeof *history);
    for (uint64_t i = 0; i < n; i++)
        history[i] = magnitude(&extents[i]);
    return LQ_OK;
}

lq_status lq_fake_observe(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows, uint64_t cols,
                          const float *x, lq_error *error)
{
    lqi_fake f;
    extent *extents = NULL;
    lq_status status;

    if (!ctx || !fake)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_fake_observe is NULL");
    if ((status = lqi_fake_open(ctx, fake, rows, cols, &f, error)) ||
        (status = check_scales(&f, x, error)))
        return status;
    if (f.fake.rule != LQ_FAKE_LSQ || !f.g.format->fit_range)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL,
                        "delayed scaling needs LSQ and a spec whose scale follows from the range");
    if (!f.fake.history || f.fake.history_length == 0)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_fake: no history");
    if ((uintptr_t)f.fake.history % sizeof(float))
        return lqi_fail(error, LQ_ERR_ALIGN, NULL, "lq_fake: the history is not aligned");
    if ((status = find_extents(&f, x, &extents, error)))
        return status;
    status = observe(&f, extents, error);
    lqi_free(&ctx->allocator, extents);
    return status;
}
