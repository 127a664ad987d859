/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/bench.c - measuring: repeated samples, the memory roof, pseudo-random data
 */
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROOF_BYTES (256u << 20)
#define SAMPLE_SECONDS 0.02
#define CALLS_MAX 1000000

typedef struct slice {
    const uint64_t *words;
    uint64_t        count, sum;
    pthread_t       thread;
    int             started;
} slice;

int roof_open(roof *r, unsigned threads)
{
    r->threads = threads;
    r->count = ROOF_BYTES / sizeof *r->words;
    r->words = malloc(ROOF_BYTES);
    if (!r->words)
        return 0;
    for (uint64_t i = 0; i < r->count; i++)
        r->words[i] = i;
    return 1;
}

void roof_close(roof *r)
{
    free(r->words);
    r->words = NULL;
}

/* Eight sums, so that the additions do not wait for each other. */
static void *read_slice(void *arg)
{
    slice *s = arg;
    uint64_t sum[8] = { 0 };

    for (uint64_t i = 0; i + 8 <= s->count; i += 8)
        for (unsigned k = 0; k < 8; k++)
            sum[k] += s->words[i + k];
    for (unsigned k = 0; k < 8; k++)
        s->sum += sum[k];
    return NULL;
}

double roof_sweep(roof *r)
{
    slice *slices = calloc(r->threads, sizeof *slices);
    uint64_t each = r->count / r->threads / 8 * 8;

    if (!slices)
        return 0;
    double start = seconds_now();
    for (unsigned i = 0; i < r->threads; i++) {
        slice *s = &slices[i];
        s->words = r->words + i * each;
        s->count = each;
        /* The last one is ours; what the system refuses to start is done here as well. */
        s->started = i + 1 < r->threads && !pthread_create(&s->thread, NULL, read_slice, s);
        if (!s->started)
            read_slice(s);
    }
    for (unsigned i = 0; i < r->threads; i++) {
        if (slices[i].started)
            pthread_join(slices[i].thread, NULL);
        r->sum += slices[i].sum;
    }
    double seconds = seconds_now() - start;
    free(slices);
    return seconds > 0 ? (double)each * r->threads * sizeof *r->words / seconds : 0;
}

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

lq_status bench_run(sample_set *s, roof *r, uint64_t count,
                    lq_status (*work)(void *arg), void *arg)
{
    double once;

    memset(s, 0, sizeof *s);
    s->count = count < SAMPLES_MAX ? count : SAMPLES_MAX;
    lq_status status = calls(1, work, arg, &once);       /* also warms the caches */
    double wanted = once > 0 ? SAMPLE_SECONDS / once : CALLS_MAX;
    uint64_t n = wanted < 1 ? 1 : wanted > CALLS_MAX ? CALLS_MAX : (uint64_t)wanted;
    for (uint64_t i = 0; i < s->count && status == LQ_OK; i++) {
        s->roof[i] = roof_sweep(r);
        status = calls(n, work, arg, &s->seconds[i]);
        if (status == LQ_OK && progress_cancelled())
            status = LQ_ERR_CANCELLED;
    }
    if (status != LQ_OK)
        return status;
    s->median = median(s->seconds, s->count);
    s->best = s->seconds[0];                             /* sorted by now */
    s->roof_median = median(s->roof, s->count);
    return LQ_OK;
}

void bench_fill(float *x, uint64_t n, float scale)
{
    uint64_t state = 0x9e3779b97f4a7c15u;

    for (uint64_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t bits = state >> 16;         /* three 16-bit uniforms: variance 1/4 */
        float sum = (float)(bits & 0xffff) + (float)(bits >> 16 & 0xffff)
                    + (float)(bits >> 32 & 0xffff);
        x[i] = (sum / 65536.0f - 1.5f) * 2 * scale;
    }
}
