/* SPDX-License-Identifier: MIT */
/*
 * lib/train/norm.c - sums of squares in a fixed order, for clipping
 */
#include "lib/core/core.h"
#include "libquant/train.h"

#include <math.h>

enum { CHUNK = 16384, CHAINS = 16 };

struct squares {
    const float *x;
    uint64_t     n;
    double      *sums;   /* of every chunk */
};

static void chunk_task(void *arg, size_t index)
{
    const struct squares *s = arg;
    const float *x = s->x + (uint64_t)index * CHUNK;
    size_t n = (size_t)lqi_min(CHUNK, s->n - (uint64_t)index * CHUNK), i = 0;
    double chain[CHAINS] = { 0 }, sum = 0;

    for (; i + CHAINS <= n; i += CHAINS)
        for (int k = 0; k < CHAINS; k++)
            chain[k] += (double)x[i + k] * x[i + k];
    for (int k = 0; i < n; i++, k++)
        chain[k] += (double)x[i] * x[i];
    for (int k = 0; k < CHAINS; k++)
        sum += chain[k];
    s->sums[index] = sum;
}

lq_status lq_sum_squares(const lq_ctx *ctx, const float *x, uint64_t n, double *sum)
{
    struct squares s = { x, n, NULL };
    uint64_t chunks = lqi_div_up(n, CHUNK);
    double total;

    if (!ctx || !sum || (n && !x))
        return LQ_ERR_ARG;
    if ((uintptr_t)x % sizeof *x)
        return LQ_ERR_ALIGN;
    if (n == 0)
        return LQ_OK;
    s.sums = lqi_alloc(&ctx->allocator, chunks * sizeof *s.sums);
    if (!s.sums)
        return LQ_ERR_NOMEM;
    lqi_parallel(ctx, (size_t)chunks, chunk_task, &s);
    total = *sum;
    for (uint64_t i = 0; i < chunks; i++)
        total += s.sums[i];
    lqi_free(&ctx->allocator, s.sums);
    if (!isfinite(total))
        return LQ_ERR_NONFINITE;
    *sum = total;
    return LQ_OK;
}
