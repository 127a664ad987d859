/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/timethreads.c - what a second thread costs, and from which size on it pays
 *
 * Two tasks of 10 us each on two threads take 10 us and the overhead: calls back to back,
 * and calls after a pause in which the worker fell asleep.  Then products of growing size
 * with one and with two threads.  meson test --benchmark runs it; it judges nothing.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "lib/core/core.h"

#define CALLS 2001
#define TASK  10e-6

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
    return x[n / 2];
}

static void busy(void *arg, size_t index)
{
    double end = now() + TASK;

    (void)arg;
    (void)index;
    while (now() < end)
        ;
}

static void overhead(const lq_ctx *ctx, const char *what, size_t calls, unsigned pause_us)
{
    static double sample[CALLS];

    for (size_t i = 0; i < calls; i++) {
        if (pause_us)
            usleep(pause_us);
        double start = now();
        lqi_parallel(ctx, 2, busy, NULL);
        sample[i] = now() - start - TASK;
    }
    double m = median(sample, calls);
    printf("%-14s %6.2f us, 9 of 10 below %6.2f us\n", what, 1e6 * m,
           1e6 * sample[calls * 9 / 10]);
}

/* Of one product. */
static double product(const lq_ctx *ctx, const char *text, uint64_t rows, uint64_t cols,
                      uint64_t n, int mode)
{
    lq_spec spec = LQ_SPEC_INIT;
    const lq_shape shape = { 1, rows, cols };
    lq_tensor *t = NULL;
    lq_prepared *p = NULL;
    lq_rows view = LQ_ROWS_INIT;
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;
    double sample[301];
    float *x = calloc(n * cols, sizeof *x), *y = calloc(n * rows, sizeof *y);

    if (!x || !y || lq_spec_parse(text, &spec, NULL) ||
        lq_tensor_create(ctx, &spec, &shape, &t, NULL) || lq_tensor_rows(t, 0, &view) ||
        lq_prepare(ctx, &view, NULL, &p, NULL))
        exit(1);
    a.n = n;
    a.x = x;
    a.ldx = cols;
    a.y = y;
    a.ldy = rows;
    a.mode = mode;
    for (size_t i = 0; i < COUNT(sample); i++) {
        double start = now();
        for (int k = 0; k < 4; k++)
            lq_matmul(ctx, p, &a);
        sample[i] = (now() - start) / 4;
    }
    lq_prepared_destroy(p);
    lq_tensor_destroy(t);
    free(x);
    free(y);
    return median(sample, COUNT(sample));
}

static void sizes(const lq_ctx *one, const lq_ctx *two, const char *text, uint64_t cols,
                  uint64_t n, int mode)
{
    for (uint64_t rows = 32; rows <= 2048; rows *= 2) {
        double a = product(one, text, rows, cols, n, mode);
        double b = product(two, text, rows, cols, n, mode);
        printf("%-6s %4llu x %4llu, n %3llu, mode %d: %8.2f us, two threads %8.2f us (%.2f)\n",
               text, (unsigned long long)rows, (unsigned long long)cols, (unsigned long long)n,
               mode, 1e6 * a, 1e6 * b, a / b);
    }
}

int main(void)
{
    lq_ctx *one = test_ctx(LQ_LEVEL_BEST, 1), *two = test_ctx(LQ_LEVEL_BEST, 2);

    overhead(two, "back to back", CALLS, 0);
    overhead(two, "after 10 us", 501, 10);
    overhead(two, "cold", 501, 1000);
    sizes(one, two, "q4_0", 1024, 1, LQ_MODE_FAST);
    sizes(one, two, "q4_0", 1024, 32, LQ_MODE_FAST);
    sizes(one, two, "q4_0", 256, 1, LQ_MODE_F32);
    lq_ctx_destroy(one);
    lq_ctx_destroy(two);
    return 0;
}
