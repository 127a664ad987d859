/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/bench.h - what the files of lq bench share
 *
 *   cmd_bench.c       arguments, lists, output
 *   bench.c           samples and their medians, pseudo-random data
 *   bench_codec.c     quantize, dequantize
 *   bench_product.c   gemv, gemm; bench_copies.c: the weights they go through
 *   bench_optimizer.c steps of optimizers
 *   roof.c            the machine's limits
 */
#ifndef LQ_TOOL_BENCH_H
#define LQ_TOOL_BENCH_H

#include "roof.h"

#define SAMPLES_MAX 1000
#define N_MAX 16

enum { OP_ROOF, OP_GEMV, OP_GEMM, OP_QUANTIZE, OP_DEQUANTIZE, OP_OPTIMIZER, OPS };

/* Of one measurement; 'limit' and what follows are medians. */
typedef struct sample_set {
    uint64_t count;
    double   seconds[SAMPLES_MAX];          /* per call */
    double   read[READS][SAMPLES_MAX];      /* bytes per second */
    double   peak[SAMPLES_MAX];             /* operations per second */
    double   call, roof, top;               /* medians; roof: of the better way to read */
} sample_set;

typedef struct bench {
    tool      *t;
    lq_ctx    *ctx;
    uint64_t   rows, cols, repeat;
    uint64_t   n[N_MAX], n_count;           /* n_count 0: each operation's own */
    uint64_t   rotate;                      /* bytes of weights to go through */
    int        mode, unprepared;
    int        weighted;                    /* encode with importances always */
    float     *importance;                  /* [cols] */
    lq_dtype   type;                        /* of the numbers that dequantize makes */
    int        rule, bits;                  /* of optimizers; -1, 0: all */
    roof       roof;
    sample_set samples;
} bench;

/* A line of output.  NULL, 0 and NaN: does not apply. */
typedef struct record {
    int            op;
    const lq_spec *spec;
    const char    *mode;
    uint64_t       n, source_bytes, prepared_bytes;
    uint32_t       bits;                    /* of the state of an optimizer */
    lq_dtype       type;                    /* of plain numbers */
    double         seconds, bytes, flops;   /* bytes: read and written, of a call */
    double         weights, written;        /* of quantize, dequantize, optimizer */
    double         roof, peak;              /* of the machine, per second */
    int            of_peak;                 /* 'fraction' is of the peak, else of the roof */
    double         nmse;
} record;

extern const char *const bench_mode_name[];   /* by LQ_MODE_... */
extern const char *const bench_rule_name[];   /* by LQ_ADAMW... */

void bench_report(bench *b, const record *r);

/* Call 'work' often enough for a sample of 20 ms, 'repeat' times; before each sample read
 * the roof's memory in every way and, with a kind >= 0, measure that peak. */
lq_status bench_run(bench *b, int peak, lq_status (*work)(void *arg), void *arg);

/* Encode bench data with 'spec'; unless b->weighted, with importances only where the format
 * needs them. */
lq_status bench_encode(const bench *b, const lq_spec *spec, uint64_t rows, const float *x,
                       lq_tensor **tensor, lq_error *error);

/* Normal numbers of standard deviation 'scale', the same every time; NULL: no memory. */
float *bench_floats(uint64_t a, uint64_t b, uint64_t seed, float scale);

/* Importances of columns: squares of such numbers, or all 1; NULL: no memory. */
float *bench_importance(uint64_t cols, int weighted);

lq_status bench_codec(bench *b, const lq_spec *spec, int op, lq_error *error);
lq_status bench_product(bench *b, const lq_spec *spec, int op, lq_error *error);

/* Lines for an array that stays in the caches, and for one of rows x cols numbers. */
lq_status bench_optimizer(bench *b, int rule, uint32_t bits);

/* ------------------------------------------------------------------ weights */

/* One weight many times, in the memory of the roof. */
typedef struct copy {
    lq_rows      rows;
    lq_prepared *prepared;     /* NULL: from its rows */
} copy;

typedef struct copies {
    lq_tensor *tensor;         /* the weight itself */
    copy      *copy;
    int        prepare;
    uint64_t   count, next;
    uint64_t   source_bytes, prepared_bytes;
} copies;

/* The next of them in turn. */
static inline const copy *copies_next(copies *c)
{
    return &c->copy[c->next++ % c->count];
}

/* Also after a failure: copies_close(). */
lq_status copies_open(copies *c, bench *b, const lq_spec *spec, int prepare, lq_error *error);
void      copies_close(copies *c);

#endif
