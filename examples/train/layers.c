/* SPDX-License-Identifier: MIT */
/*
 * examples/train/layers.c - linear layers, normalization, rotation, gating, embedding:
 * forward and backward
 *
 * Work is cut by tokens; sums over tokens are cut by columns.  So every number is computed
 * by one thread in one order, and results do not depend on the number of threads.
 */
#include "train.h"

#include <string.h>
#include <tgmath.h>

/* ----------------------------------------------------------------- linear */

void linear_forward(const lq_ctx *ctx, uint32_t n, uint32_t rows, uint32_t cols, const real *w,
                    const real *x, real *y, int accumulate)
{
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;

    a.m = n;
    a.n = rows;
    a.k = cols;
    a.a = x;
    a.b = w;
    a.trans_b = 1;
    a.c = y;
    a.accumulate = accumulate;
    product(ctx, &a);
}

void linear_back(const lq_ctx *ctx, uint32_t n, uint32_t rows, uint32_t cols, const real *w,
                 const real *x, const real *dy, real *dx, real *dw, int accumulate)
{
    lq_gemm_args a = LQ_GEMM_ARGS_INIT, b = LQ_GEMM_ARGS_INIT;

    a.m = n;
    a.n = cols;
    a.k = rows;
    a.a = dy;
    a.b = w;
    a.c = dx;
    a.accumulate = accumulate;
    product(ctx, &a);
    if (!dw)
        return;
    b.m = rows;
    b.n = cols;
    b.k = n;
    b.a = dy;
    b.trans_a = 1;
    b.b = x;
    b.c = dw;
    b.accumulate = 1;
    product(ctx, &b);
}

/* ------------------------------------------------------------------ tasks */

typedef struct ranges {
    size_t      count;
    range_task *task;
    void       *arg;
} ranges;

static void run_range(void *arg, size_t index)
{
    const ranges *r = arg;
    size_t from = index * TASK, to = r->count - from < TASK ? r->count : from + TASK;

    r->task(r->arg, from, to);
}

void for_ranges(const lq_ctx *ctx, size_t count, range_task *task, void *arg)
{
    ranges r = { count, task, arg };

    (void)lq_parallel(ctx, (count + TASK - 1) / TASK, run_range, &r);
}

/* ---------------------------------------------------------- normalization */

static void norm_task(void *arg, size_t from, size_t to)
{
    const norm *a = arg;

    for (size_t i = from; i < to; i++) {
        const real *x = a->x + i * a->dim;
        real *y = a->y + i * a->dim;
        double sum = 0;

        for (uint32_t k = 0; k < a->dim; k++)
            sum += (double)x[k] * x[k];
        a->scale[i] = (real)(1 / sqrt(sum / a->dim + a->eps));
        for (uint32_t k = 0; k < a->dim; k++)
            y[k] = x[k] * a->scale[i] * a->weight[k];
    }
}

void norm_forward(const lq_ctx *ctx, norm *a)
{
    for_ranges(ctx, a->n, norm_task, a);
}

/* With s = scale: dx = s (w dy) - s^3 / dim sum(w dy x) x. */
static void norm_back_task(void *arg, size_t from, size_t to)
{
    const norm *a = arg;

    for (size_t i = from; i < to; i++) {
        const real *x = a->x + i * a->dim, *dy = a->dy + i * a->dim;
        real *dx = a->dx + i * a->dim, s = a->scale[i];
        double sum = 0;

        for (uint32_t k = 0; k < a->dim; k++)
            sum += (double)(a->weight[k] * dy[k]) * x[k];
        real pull = (real)(sum * s * s * s / a->dim);

        for (uint32_t k = 0; k < a->dim; k++)
            dx[k] += s * a->weight[k] * dy[k] - pull * x[k];
    }
}

static void norm_weight_task(void *arg, size_t from, size_t to)
{
    const norm *a = arg;

    for (size_t i = 0; i < a->n; i++) {
        const real *x = a->x + i * a->dim, *dy = a->dy + i * a->dim;

        for (size_t k = from; k < to; k++)
            a->dweight[k] += dy[k] * x[k] * a->scale[i];
    }
}

void norm_back(const lq_ctx *ctx, norm *a)
{
    for_ranges(ctx, a->n, norm_back_task, a);
    if (a->dweight)
        for_ranges(ctx, a->dim, norm_weight_task, a);
}

/* --------------------------------------------------------------- rotation */

typedef struct rotation {
    const network *n;
    real    *x;
    uint32_t heads;
    real     sign;
} rotation;

static void rope_task(void *arg, size_t from, size_t to)
{
    const rotation *r = arg;
    const network *n = r->n;
    uint32_t size = head_dim(&n->s), half = size / 2;

    for (size_t i = from; i < to; i++) {
        const real *cosine = n->cosines + i % n->length * half;
        const real *sine = n->sines + i % n->length * half;

        for (uint32_t h = 0; h < r->heads; h++) {
            real *x = r->x + (i * r->heads + h) * size;

            for (uint32_t k = 0; k < half; k++) {
                real a = x[k], b = x[k + half], s = r->sign * sine[k];

                x[k] = a * cosine[k] - b * s;
                x[k + half] = a * s + b * cosine[k];
            }
        }
    }
}

void rope(const network *n, real *x, uint32_t heads, int back)
{
    rotation r = { n, x, heads, back ? -1 : 1 };

    for_ranges(n->ctx, n->tokens, rope_task, &r);
}

/* ----------------------------------------------------------------- gating */

static real sigmoid(real x)
{
    return 1 / (1 + exp(-x));
}

static void gating_task(void *arg, size_t from, size_t to)
{
    const gating *a = arg;

    for (size_t i = from * a->width; i < to * a->width; i++)
        a->act[i] = a->gate[i] * sigmoid(a->gate[i]) * a->up[i];
}

static void gating_back_task(void *arg, size_t from, size_t to)
{
    const gating *a = arg;

    for (size_t i = from * a->width; i < to * a->width; i++) {
        real g = a->gate[i], s = sigmoid(g);

        a->dup[i] = a->dact[i] * g * s;
        a->dgate[i] = a->dact[i] * a->up[i] * s * (1 + g * (1 - s));
    }
}

void gating_forward(const lq_ctx *ctx, gating *a)
{
    for_ranges(ctx, a->n, gating_task, a);
}

void gating_back(const lq_ctx *ctx, gating *a)
{
    for_ranges(ctx, a->n, gating_back_task, a);
}

/* -------------------------------------------------------------- embedding */

void embed(network *n, const uint16_t *tokens, real *x)
{
    for (uint32_t i = 0; i < n->tokens; i++)
        memcpy(x + (size_t)i * n->s.dim, n->weights + (size_t)tokens[i] * n->s.dim,
               n->s.dim * sizeof *x);
}

void embed_back(network *n, const uint16_t *tokens, const real *dx)
{
    for (uint32_t i = 0; i < n->tokens && n->grads; i++, dx += n->s.dim) {
        real *row = n->grads + (size_t)tokens[i] * n->s.dim;

        for (uint32_t k = 0; k < n->s.dim; k++)
            row[k] += dx[k];
    }
}
