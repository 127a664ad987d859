/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/bench.h - measuring: repeated samples, the memory roof, pseudo-random data
 */
#ifndef LQ_TOOL_BENCH_H
#define LQ_TOOL_BENCH_H

#include "lq.h"

#define SAMPLES_MAX 1000

/* Reads a buffer larger than the caches with several threads. */
typedef struct roof {
    uint64_t *words;
    uint64_t  count;
    uint64_t  sum;       /* of everything read, so that reading cannot be left out */
    unsigned  threads;
} roof;

int    roof_open(roof *r, unsigned threads);   /* 1, or 0 when out of memory */
void   roof_close(roof *r);
double roof_sweep(roof *r);                    /* bytes per second of one sweep */

/* Medians over the samples of one measurement. */
typedef struct sample_set {
    uint64_t count;
    double   seconds[SAMPLES_MAX];     /* per call */
    double   roof[SAMPLES_MAX];        /* bytes per second */
    double   median, best, roof_median;
} sample_set;

/* Call 'work' often enough for a sample of 20 ms, 'count' times, a sweep before each. */
lq_status bench_run(sample_set *s, roof *r, uint64_t count,
                    lq_status (*work)(void *arg), void *arg);

/* Roughly normal numbers of standard deviation 'scale', the same every time. */
void bench_fill(float *x, uint64_t n, float scale);

#endif
