/* SPDX-License-Identifier: MIT */
/*
 * lib/train/fake_back.c - gradients of fake quantization
 */
#include "lib/train/fake.h"

#include <math.h>

struct back {
    lq_fake_grads grads;
    double       *scale_sums, *zero_sums;   /* of every piece; NULL: not asked for */
};

/* One number: dy is what reaches it. */
typedef struct slope {
    float x, scale, zero;   /* dy times these */
} slope;

static slope affine(const lqi_fake *f, float u, float level, float scale)
{
    (void)f;
    if (fabsf(u - level) <= 0.5f)
        return (slope){ 1, level - u, 0 };
    return (slope){ 0, level, -scale };
}

static slope lsq(const lqi_fake *f, float u, float level, float scale)
{
    int inside = u >= f->lo && u <= f->hi;

    (void)scale;
    return (slope){ inside ? 1.0f : 0.0f, inside && f->levels > 2 ? level - u : level, 0 };
}

static slope stretched(const lqi_fake *f, float u, float level, float scale)
{
    (void)scale;
    if (u >= -0.99f && u <= 0.99f)
        return (slope){ 1, level / f->step / f->n - u, 0 };
    return (slope){ 0, copysignf((f->n - f->h) / f->n, u), 0 };
}

typedef slope rule(const lqi_fake *f, float u, float level, float scale);

static inline void back_piece(const lqi_fake *f, const lqi_piece *p, const struct back *b,
                              rule *slope_of)
{
    uint64_t base = p->row * f->length + p->first;
    const float *x = b->grads.x + base, *dy = b->grads.dy + base;
    float u[LQI_FAKE_CHUNK], level[LQI_FAKE_CHUNK], *dx = b->grads.dx + base;
    float scale = lqi_fake_group(f, p->group).scale;
    double scale_sum = 0, zero_sum = 0;

    for (size_t i = 0; i < p->n; i += LQI_FAKE_CHUNK) {
        size_t n = (size_t)lqi_min(LQI_FAKE_CHUNK, p->n - i);

        lqi_fake_levels(f, p, x + i, n, u, level);
        for (size_t k = 0; k < n; k++) {
            slope s = slope_of(f, u[k], level[k], scale);
            float d = dy[i + k];

            scale_sum += (double)(s.scale * d);
            zero_sum += (double)(s.zero * d);
            dx[i + k] = s.x != 0 ? d : 0;
        }
    }
    if (b->scale_sums)
        b->scale_sums[p->slot] = scale_sum;
    if (b->zero_sums)
        b->zero_sums[p->slot] = zero_sum;
}

static void affine_piece(const lqi_fake *f, const lqi_piece *p, void *arg)
{
    back_piece(f, p, arg, affine);
}

static void lsq_piece(const lqi_fake *f, const lqi_piece *p, void *arg)
{
    back_piece(f, p, arg, lsq);
}

static void stretched_piece(const lqi_fake *f, const lqi_piece *p, void *arg)
{
    back_piece(f, p, arg, stretched);
}

/* --------------------------------------------------------------- of groups */

static double grad_factor(const lqi_fake *f)
{
    double most = f->hi, n = (double)f->g.rows * (double)f->g.cols;

    if (f->fake.grad_factor != 0)
        return f->fake.grad_factor;
    if (f->fake.rule == LQ_FAKE_AFFINE)
        return 1;
    if (f->fake.rule == LQ_FAKE_STRETCHED)
        most = f->levels > 2 ? (f->levels - 1) / 2 : 1;
    return n > 0 ? 1 / sqrt(n * (most > 0 ? most : 1)) : 1;
}

/* Sums of the pieces of each group, row by row. */
static void add_up(const lqi_fake *f, const double *sums, float *out)
{
    const lqi_geometry *g = &f->g;
    double factor = grad_factor(f);

    for (uint64_t i = 0; i < g->groups; i++) {
        uint64_t row = i / g->row_groups * g->group_rows;
        uint64_t end = lqi_min(row + g->group_rows, f->rows);
        double sum = 0;

        for (; row < end; row++)
            sum += sums[row * g->row_groups + i % g->row_groups];
        out[i] = (float)(factor * sum);
    }
}

static lq_status backward(const lqi_fake *f, struct back *b, lq_error *error)
{
    static lqi_fake_task *const tasks[] = { NULL, affine_piece, lsq_piece, stretched_piece };
    const lq_allocator *allocator = &f->ctx->allocator;
    uint64_t bytes;
    lq_status status = LQ_OK;

    if (!lqi_mul(f->rows * f->g.row_groups, sizeof(double), &bytes))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "the matrix's size does not fit");
    if (b->grads.dscales)
        b->scale_sums = lqi_alloc(allocator, bytes);
    if (b->grads.dzeros)
        b->zero_sums = lqi_alloc(allocator, bytes);
    if (bytes && ((b->grads.dscales && !b->scale_sums) || (b->grads.dzeros && !b->zero_sums))) {
        status = lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for sums of gradients");
        goto done;
    }
    lqi_fake_pieces(f, tasks[f->fake.rule], b);
    if (b->grads.dscales)
        add_up(f, b->scale_sums, b->grads.dscales);
    if (b->grads.dzeros)
        add_up(f, b->zero_sums, b->grads.dzeros);
done:
    lqi_free(allocator, b->scale_sums);
    lqi_free(allocator, b->zero_sums);
    return status;
}

/* --------------------------------------------------------------- arguments */

/* Arrays that are written share nothing with others, but dx may be dy. */
static lq_status check_overlap(const lqi_fake *f, const lq_fake_grads *a, lq_error *error)
{
    uint64_t matrix = f->g.rows * f->g.cols * sizeof(float), groups = f->g.groups * sizeof(float);
    const struct { const float *p; uint64_t bytes; int written; } array[] = {
        { a->dx, matrix, 1 },       { a->dscales, groups, 1 },  { a->dzeros, groups, 1 },
        { a->dy, matrix, 0 },       { a->x, matrix, 0 },        { f->fake.scales, groups, 0 },
        { f->fake.zeros, groups, 0 },
    };

    for (size_t i = 0; i < sizeof array / sizeof array[0]; i++)
        for (size_t k = i + 1; array[i].written && k < sizeof array / sizeof array[0]; k++) {
            int same = array[i].p == a->dx && array[k].p == a->dy && a->dx == a->dy;

            if (array[i].p && array[k].p && !same &&
                lqi_overlap(array[i].p, array[i].bytes, array[k].p, array[k].bytes))
                return lqi_fail(error, LQ_ERR_OVERLAP, NULL,
                                "lq_fake: a gradient shares memory with another array");
        }
    return LQ_OK;
}

static lq_status check(const lqi_fake *f, const lq_fake_grads *a, lq_error *error)
{
    int fitted = f->fake.rule == LQ_FAKE_FITTED;
    lq_status status;

    if ((fitted && a->dscales) ||
        (a->dzeros && (f->fake.rule != LQ_FAKE_AFFINE || !f->spec.zeros)))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "the rule has no such scales or zero points");
    if ((status = lqi_fake_array(f, a->dy, "dy", error)) ||
        (status = lqi_fake_array(f, a->dx, "dx", error)))
        return status;
    if ((uintptr_t)a->dscales % sizeof(float) || (uintptr_t)a->dzeros % sizeof(float))
        return lqi_fail(error, LQ_ERR_ALIGN, NULL, "lq_fake: dscales or dzeros are not aligned");
    if (!fitted && ((status = lqi_fake_array(f, a->x, "x", error)) ||
                    (status = lqi_fake_params(f, error))))
        return status;
    if ((status = check_overlap(f, a, error)))
        return status;
    return fitted ? LQ_OK : lqi_fake_finite(f, a->x, error);
}

lq_status lq_fake_backward(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows, uint64_t cols,
                           const lq_fake_grads *grads, lq_error *error)
{
    lqi_fake f;
    struct back b = { 0 };
    lq_status status;

    if (!ctx || !fake || !grads)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_fake_backward is NULL");
    if ((status = lqi_opts_read(&b.grads, sizeof b.grads, grads)))
        return lqi_fail(error, status, NULL, "lq_fake_grads has an unknown struct_size");
    if ((status = lqi_fake_open(ctx, fake, rows, cols, &f, error)) ||
        (status = check(&f, &b.grads, error)))
        return status;
    if (f.fake.rule != LQ_FAKE_FITTED)
        return backward(&f, &b, error);
    if (b.grads.dx != b.grads.dy)
        memcpy(b.grads.dx, b.grads.dy, (size_t)(rows * cols * sizeof(float)));
    return LQ_OK;
}
