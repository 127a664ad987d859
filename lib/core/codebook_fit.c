/* SPDX-License-Identifier: MIT */
/*
 * lib/core/codebook_fit.c - codebooks fitted to samples: Lloyd-Max in one dimension
 *
 * The samples are sorted once; a cell is then a run of them, and one pass per round gives
 * every cell's mean and the error.  All sums are double, in order of value (equal samples
 * in the caller's order), so the result does not depend on the machine.
 */
#include "lib/base/half.h"
#include "lib/core/core.h"

#define ROUNDS 100
#define LEVELS 256

typedef struct sample {
    float x, weight;
} sample;

typedef struct fit {
    sample  *samples, *spare;   /* n each, one allocation */
    uint64_t n;                 /* samples with a weight above 0 */
    uint64_t distinct;
    size_t   count;
    double   level[LEVELS];     /* ascending */
} fit;

/* ------------------------------------------------------------------- input */

/* Unsigned number that orders like the float. */
static uint32_t order_of(float x)
{
    uint32_t bits = lqi_float_bits(x);
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

/* Stable radix sort, a byte at a time; 4 passes end where they began. */
static void sort_samples(fit *f)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        uint64_t start[257] = { 0 };
        for (uint64_t i = 0; i < f->n; i++)
            start[(order_of(f->samples[i].x) >> shift & 255) + 1]++;
        for (int b = 0; b < 256; b++)
            start[b + 1] += start[b];
        for (uint64_t i = 0; i < f->n; i++)
            f->spare[start[order_of(f->samples[i].x) >> shift & 255]++] = f->samples[i];
        sample *swap = f->samples;
        f->samples = f->spare;
        f->spare = swap;
    }
}

static lq_status take_samples(fit *f, const float *x, const float *importance, size_t n,
                              lq_error *error)
{
    for (size_t i = 0; i < n; i++) {
        float weight = importance ? importance[i] : 1;
        if (!lqi_finite(x[i]) || !lqi_finite(weight))
            return lqi_fail(error, LQ_ERR_NONFINITE, NULL,
                            "sample %llu or its importance is not finite",
                            (unsigned long long)i);
        if (weight < 0)
            return lqi_fail(error, LQ_ERR_ARG, NULL, "importance %llu is negative",
                            (unsigned long long)i);
        if (weight > 0)
            f->samples[f->n++] = (sample){ x[i] == 0 ? 0 : x[i], weight };
    }
    sort_samples(f);
    for (uint64_t i = 0; i < f->n; i++)
        f->distinct += i == 0 || f->samples[i].x != f->samples[i - 1].x;
    if (f->distinct < f->count)
        return lqi_fail(error, LQ_ERR_NUMERIC, NULL,
                        "%llu distinct samples are too few for %llu values",
                        (unsigned long long)f->distinct, (unsigned long long)f->count);
    return LQ_OK;
}

/* ------------------------------------------------------------------- start */

/*
 * Level i starts at sample (i + 1/2) n / count, or at the next distinct sample not yet
 * taken; 'rank' counts distinct samples.  Enough are left for the levels still to come.
 */
static void choose_ranks(const fit *f, uint64_t rank[LEVELS])
{
    uint64_t at = 0, r = 0;

    for (size_t i = 0; i < f->count; i++) {
        /* (2i + 1) n / (2 count), in parts that cannot overflow */
        uint64_t d = 2 * f->count, m = 2 * i + 1;
        uint64_t target = f->n / d * m + f->n % d * m / d;
        for (; at < target; at++)
            r += f->samples[at + 1].x != f->samples[at].x;
        uint64_t least = i ? rank[i - 1] + 1 : 0, most = f->distinct - f->count + i;
        rank[i] = r < least ? least : r > most ? most : r;
    }
}

static void start_levels(fit *f)
{
    uint64_t rank[LEVELS], r = 0;
    size_t i = 0;

    choose_ranks(f, rank);
    for (uint64_t at = 0; at < f->n && i < f->count; at++) {
        r += at > 0 && f->samples[at].x != f->samples[at - 1].x;
        if (r == rank[i])
            f->level[i++] = f->samples[at].x;
    }
}

/* -------------------------------------------------------------------- rounds */

/* Error of the present levels; moves each to the mean of its cell. */
static double iterate(fit *f)
{
    double error = 0;
    uint64_t at = 0;

    for (size_t i = 0; i < f->count; i++) {
        double level = f->level[i], weight = 0, sum = 0;
        double end = i + 1 < f->count ? (level + f->level[i + 1]) / 2 : INFINITY;
        for (; at < f->n && f->samples[at].x <= end; at++) {
            double w = f->samples[at].weight, d = f->samples[at].x - level;
            weight += w;
            sum += w * d;
            error += w * d * d;
        }
        if (weight > 0)
            f->level[i] = level + sum / weight;
    }
    return error;
}

static void lloyd(fit *f)
{
    double before = iterate(f);

    for (int round = 1; round < ROUNDS; round++) {
        double now = iterate(f);
        if (before - now < 1e-6 * before || now == 0)
            return;
        before = now;
    }
}

static lq_status run(fit *f, const lq_ctx *ctx, const float *samples,
                     const float *importance, size_t n, lq_codebook **codebook,
                     lq_error *error)
{
    float values[LEVELS];
    lq_status status = take_samples(f, samples, importance, n, error);

    if (status)
        return status;
    start_levels(f);
    lloyd(f);
    for (size_t i = 0; i < f->count; i++)
        values[i] = (float)f->level[i];
    return lq_codebook_create(ctx, values, f->count, codebook, error);
}

lq_status lq_codebook_fit(const lq_ctx *ctx, const float *samples, const float *importance,
                          size_t n, size_t count, lq_codebook **codebook, lq_error *error)
{
    fit f = { 0 };
    uint64_t bytes;

    if (!ctx || !codebook || (n && !samples))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_codebook_fit: NULL argument");
    if (count < 2 || count > LEVELS)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a codebook has 2 to 256 values, not %llu",
                        (unsigned long long)count);
    if ((uintptr_t)samples % sizeof(float) || (uintptr_t)importance % sizeof(float))
        return lqi_fail(error, LQ_ERR_ALIGN, NULL, "the samples are not aligned");
    if (n < count)
        return lqi_fail(error, LQ_ERR_NUMERIC, NULL, "fewer samples than values");
    if (!lqi_mul(n, 2 * sizeof(sample), &bytes))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "too many samples");
    sample *memory = lqi_alloc(&ctx->allocator, bytes);
    if (!memory)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory for %llu samples",
                        (unsigned long long)n);
    f.samples = memory;
    f.spare = memory + n;
    f.count = count;
    lq_status status = run(&f, ctx, samples, importance, n, codebook, error);
    lqi_free(&ctx->allocator, memory);
    return status;
}
