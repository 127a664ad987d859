/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/bench.c - measuring: repeated samples and their medians, pseudo-random data
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_SECONDS 0.02
#define CALLS_MAX 1000000

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, uint64_t n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static lq_status calls(uint64_t n, lq_status (*work)(void *arg), void *arg, double *seconds)
{
    lq_status status = LQ_OK;
    double start = seconds_now();

    for (uint64_t i = 0; i < n && status == LQ_OK; i++)
        status = work(arg);
    *seconds = (seconds_now() - start) / (double)n;
    return status;
}

static void medians(sample_set *s, int peak)
{
    s->call = median(s->seconds, s->count);
    s->roof = 0;
    for (int way = 0; way < READS; way++) {
        double m = median(s->read[way], s->count);
        s->roof = m > s->roof ? m : s->roof;
    }
    s->top = peak >= 0 ? median(s->peak, s->count) : 0;
}

lq_status bench_run(bench *b, int peak, lq_status (*work)(void *arg), void *arg)
{
    sample_set *s = &b->samples;
    double once;

    s->count = b->repeat;
    lq_status status = calls(1, work, arg, &once);       /* also warms the caches */
    double wanted = once > 0 ? SAMPLE_SECONDS / once : CALLS_MAX;
    uint64_t n = wanted < 1 ? 1 : wanted > CALLS_MAX ? CALLS_MAX : (uint64_t)wanted;
    for (uint64_t i = 0; i < s->count && status == LQ_OK; i++) {
        for (int way = 0; way < READS; way++)
            s->read[way][i] = roof_read(&b->roof, way);
        if (peak >= 0)
            s->peak[i] = roof_peak(&b->roof, peak);
        status = calls(n, work, arg, &s->seconds[i]);
        if (status == LQ_OK && progress_cancelled())
            status = LQ_ERR_CANCELLED;
    }
    if (status == LQ_OK)
        medians(s, peak);
    return status;
}

lq_status bench_encode(const bench *b, const lq_spec *spec, uint64_t rows, const float *x,
                       lq_tensor **tensor, lq_error *error)
{
    const lq_shape shape = { 1, rows, b->cols };
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    lq_status status;

    opts.importance = b->weighted ? b->importance : NULL;
    status = lq_tensor_encode(b->ctx, spec, &shape, LQ_F32, x, &opts, tensor, error);
    if (status != LQ_ERR_ARG || b->weighted)
        return status;
    opts.importance = b->importance;   /* it needs them */
    return lq_tensor_encode(b->ctx, spec, &shape, LQ_F32, x, &opts, tensor, error);
}

/* Sums of twelve uniform numbers. */
static float normal(uint64_t *state)
{
    float sum = 0;

    for (int i = 0; i < 3; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        for (int k = 0; k < 4; k++)
            sum += (float)(*state >> (52 - 12 * k) & 0xfff);
    }
    return (sum + 6) / 4096 - 6;   /* + 6: twelve halves of a step */
}

float *bench_floats(uint64_t a, uint64_t b, uint64_t seed, float scale)
{
    if (a > SIZE_MAX / sizeof(float) / b)
        return NULL;
    float *x = malloc((size_t)(a * b) * sizeof *x);
    for (uint64_t i = 0; x && i < a * b; i++)
        x[i] = scale * normal(&seed);
    return x;
}

float *bench_importance(uint64_t cols, int weighted)
{
    float *x = weighted ? bench_floats(1, cols, 3, 1) : malloc((size_t)cols * sizeof *x);

    for (uint64_t i = 0; x && i < cols; i++)
        x[i] = weighted ? x[i] * x[i] : 1;
    return x;
}
