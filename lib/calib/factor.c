/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/factor.c - Cholesky factorization in blocks
 *
 * For each block of LQI_BLOCK columns:
 *
 *     the square on the diagonal is factored        in double
 *     rows below: X = A L^-T                        LQI_LANES rows side by side
 *     what is right of that: A -= X X'              lq_gemm()
 *
 * Every sum has its place in one fixed order, so the factor is the same bytes everywhere.
 */
#include "lib/calib/gptq.h"
#include "libquant/gemm.h"

struct factor {
    uint64_t n, at, width;    /* of the block */
    float   *a, *pivots;
    float   *below;           /* [rows below][LQI_BLOCK]: -X */
    double   square[LQI_BLOCK][LQI_BLOCK];
    float    column[LQI_BLOCK][LQI_BLOCK];   /* L of the square, by columns */
};

/* -------------------------------------------------------------------- square */

/* 0: not positive definite. */
static int factor_square(struct factor *f)
{
    for (uint64_t i = 0; i < f->width; i++)
        for (uint64_t j = 0; j <= i; j++)
            f->square[i][j] = (double)f->a[(f->at + i) * f->n + f->at + j];
    for (uint64_t j = 0; j < f->width; j++) {
        double pivot = f->square[j][j];
        for (uint64_t k = 0; k < j; k++)
            pivot -= f->square[j][k] * f->square[j][k];
        if (!(pivot > 0) || !lqi_finite((float)pivot))
            return 0;
        f->square[j][j] = sqrt(pivot);
        for (uint64_t i = j + 1; i < f->width; i++) {
            double sum = f->square[i][j];
            for (uint64_t k = 0; k < j; k++)
                sum -= f->square[i][k] * f->square[j][k];
            f->square[i][j] = sum / f->square[j][j];
        }
    }
    return 1;
}

static void store_square(struct factor *f)
{
    for (uint64_t i = 0; i < f->width; i++) {
        for (uint64_t j = 0; j <= i; j++) {
            f->column[j][i] = (float)f->square[i][j];
            f->a[(f->at + i) * f->n + f->at + j] = f->column[j][i];
        }
        f->pivots[f->at + i] = f->column[i][i];
    }
}

/* --------------------------------------------------------------------- below */

/* Forward substitution: x[j] = (a[j] - sum over k < j of x[k] L[j][k]) / L[j][j]. */
static void substitute(const struct factor *f, float x[LQI_BLOCK][LQI_LANES])
{
    for (uint64_t j = 0; j < f->width; j++) {
        float by = 1 / f->column[j][j];
        for (int r = 0; r < LQI_LANES; r++)
            x[j][r] *= by;
        for (uint64_t k = j + 1; k < f->width; k++)
            for (int r = 0; r < LQI_LANES; r++)
                x[k][r] -= x[j][r] * f->column[j][k];
    }
}

static void below_task(void *arg, size_t index)
{
    const struct factor *f = arg;
    float x[LQI_BLOCK][LQI_LANES] = { { 0 } };
    uint64_t first = (uint64_t)index * LQI_LANES, row = f->at + f->width + first;
    uint64_t rows = lqi_min(LQI_LANES, f->n - row);

    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t j = 0; j < f->width; j++)
            x[j][r] = f->a[(row + r) * f->n + f->at + j];
    substitute(f, x);
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t j = 0; j < f->width; j++) {
            f->a[(row + r) * f->n + f->at + j] = x[j][r];
            f->below[(first + r) * LQI_BLOCK + j] = -x[j][r];
        }
}

/* A -= X X', the lower triangle. */
static lq_status update(const lq_ctx *ctx, const struct factor *f)
{
    uint64_t next = f->at + f->width;
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;

    a.m = a.n = f->n - next;
    a.k = f->width;
    a.a = f->below;
    a.lda = LQI_BLOCK;
    a.b = f->a + next * f->n + f->at;
    a.c = f->a + next * f->n + next;
    a.ldb = a.ldc = f->n;
    a.trans_b = a.accumulate = a.lower = 1;
    return lq_gemm(ctx, &a);
}

static lq_status factor_block(const lq_ctx *ctx, struct factor *f)
{
    uint64_t below = f->n - f->at - f->width;

    if (!factor_square(f))
        return LQ_ERR_NUMERIC;
    store_square(f);
    if (below == 0)
        return LQ_OK;
    lqi_parallel(ctx, (size_t)lqi_div_up(below, LQI_LANES), below_task, f);
    return update(ctx, f);
}

/* ------------------------------------------------------------------- columns */

static void divide_task(void *arg, size_t index)
{
    const struct factor *f = arg;
    uint64_t first = (uint64_t)index * LQI_LANES, end = lqi_min(f->n, first + LQI_LANES);

    for (uint64_t s = first; s < end; s++)
        for (uint64_t t = 0; t < s; t++)
            f->a[s * f->n + t] /= f->pivots[t];
}

lq_status lqi_factor(const lq_ctx *ctx, uint64_t n, float *a, float *pivots)
{
    struct factor *f = lqi_alloc_zero(&ctx->allocator, sizeof *f);
    lq_status status = LQ_OK;

    if (!f)
        return LQ_ERR_NOMEM;
    f->n = n;
    f->a = a;
    f->pivots = pivots;
    f->below = lqi_alloc(&ctx->allocator, n * LQI_BLOCK * sizeof *f->below);
    if (!f->below)
        status = LQ_ERR_NOMEM;
    for (; f->at < n && !status; f->at += f->width) {
        f->width = lqi_min(LQI_BLOCK, n - f->at);
        status = factor_block(ctx, f);
    }
    if (!status)
        lqi_parallel(ctx, (size_t)lqi_div_up(n, LQI_LANES), divide_task, f);
    lqi_free(&ctx->allocator, f->below);
    lqi_free(&ctx->allocator, f);
    return status;
}
