/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/sweep.c - coordinate descent on codes
 *
 * With all other columns as they are, the error is least where column k is
 *
 *     q[k] + (D H)[k] / H[k][k]
 *
 * so each column is rounded once more to that; the error never grows.  G = D H is kept:
 * inside a block column after column, outside of it by one product.
 */
#include "lib/calib/gptq.h"
#include "libquant/gemm.h"

typedef float lanes[LQI_BLOCK][LQI_LANES];

lq_status lqi_sweep_open(lqi_solver *s)
{
    const lq_allocator *a = &s->ctx->allocator;
    uint64_t n = s->h->n;

    if (s->sweeps == 0)
        return LQ_OK;
    s->square = lqi_alloc(a, n * n * sizeof *s->square);
    s->all = lqi_alloc(a, s->strip * n * sizeof *s->all);
    s->slope = lqi_alloc(a, s->strip * n * sizeof *s->slope);
    if (!s->square || !s->all || !s->slope)
        return LQ_ERR_NOMEM;
    lqi_hessian_fill(s->h, s->h->damp, 1, s->square);
    return LQ_OK;
}

void lqi_sweep_close(lqi_solver *s)
{
    lqi_free(&s->ctx->allocator, s->square);
    lqi_free(&s->ctx->allocator, s->all);
    lqi_free(&s->ctx->allocator, s->slope);
}

/* G of columns [col, col + n) += what the block changed times its rows of H; or all of D H. */
static lq_status multiply(const lqi_solver *s, uint64_t col, uint64_t n, int whole)
{
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;

    a.m = s->n;
    a.n = n;
    a.k = whole ? s->h->n : s->hi - s->lo;
    a.a = whole ? s->all : s->d;
    a.lda = whole ? s->h->n : LQI_BLOCK;
    a.b = s->square + (whole ? 0 : s->lo * s->h->n) + col;
    a.c = s->slope + col;
    a.ldb = a.ldc = s->h->n;
    a.accumulate = !whole;
    return lq_gemm(s->ctx, &a);
}

static void difference_task(void *arg, size_t r)
{
    const lqi_solver *s = arg;
    uint64_t n = s->h->n;

    for (uint64_t i = r * n; i < (r + 1) * n; i++)
        s->all[i] = s->source[i] - s->run[i];
}

/* Round the column at 'place' anew in all lanes; 'change' is what it was minus what it is. */
static void move_column(const lqi_solver *s, uint64_t first, uint64_t rows, uint64_t place,
                        const float *slope, float *change)
{
    const float *h = s->square + place * s->h->n;

    for (uint64_t r = 0; r < rows; r++) {
        float *q = s->run + (first + r) * s->h->n + place;
        float now = lqi_frozen_round(s->frozen, first + r, s->h->order[place],
                                     *q + slope[r] / h[place]);
        change[r] = *q - now;
        *q = now;
    }
}

static void sweep_task(void *arg, size_t index)
{
    const lqi_solver *s = arg;
    uint64_t n = s->h->n, first = (uint64_t)index * LQI_LANES, width = s->hi - s->lo;
    uint64_t rows = lqi_min(LQI_LANES, s->n - first);
    lanes g = { { 0 } };

    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < width; c++)
            g[c][r] = s->slope[(first + r) * n + s->lo + c];
    for (uint64_t at = width; at-- > 0;) {
        const float *h = s->square + (s->lo + at) * n + s->lo;
        float change[LQI_LANES] = { 0 };
        move_column(s, first, rows, s->lo + at, g[at], change);
        for (uint64_t c = 0; c < width; c++)
            for (int r = 0; r < LQI_LANES; r++)
                g[c][r] += change[r] * h[c];
        for (uint64_t r = 0; r < rows; r++)
            s->d[(first + r) * LQI_BLOCK + at] = change[r];
    }
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < width; c++)
            s->slope[(first + r) * n + s->lo + c] = g[c][r];
}

lq_status lqi_sweep(lqi_solver *s)
{
    uint64_t n = s->h->n;
    lq_status status;

    lqi_parallel(s->ctx, (size_t)s->n, difference_task, s);
    status = multiply(s, 0, n, 1);
    for (s->hi = n; s->hi && !status; s->hi = s->lo) {
        s->lo = s->hi > LQI_BLOCK ? s->hi - LQI_BLOCK : 0;
        lqi_parallel(s->ctx, (size_t)lqi_div_up(s->n, LQI_LANES), sweep_task, s);
        if (s->lo)
            status = multiply(s, 0, s->lo, 0);
        if (!status && s->hi < n)
            status = multiply(s, s->hi, n - s->hi, 0);
    }
    return status;
}
