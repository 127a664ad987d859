/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/pairs.h - weights of two checkpoints that belong together
 */
#ifndef LQ_TOOL_PAIRS_H
#define LQ_TOOL_PAIRS_H

#include "lq.h"

#define PAIR_NONE UINT64_MAX

/* One weight in A and B; PAIR_NONE where it is missing. */
typedef struct pair {
    uint64_t a, b;
    uint64_t head_rows;  /* 0, or: rows of each head are in llama.cpp's order on one side */
    int      a_is_gguf;  /* that side is A */
} pair;

typedef struct pairs {
    pair    *list;
    uint64_t count;
} pairs;

/* 1, or 0 when out of memory. */
int  pairs_open(const lq_checkpoint *a, const lq_checkpoint *b, pairs *p);
void pairs_close(pairs *p);

/* Row of B that holds what row 'row' of A holds. */
uint64_t pair_row(const pair *p, uint64_t row);

/* Difference of two weights. */
typedef struct difference {
    double   sum_aa, sum_bb, sum_ab, sum_err;
    double   max_abs;
    uint64_t nonfinite;  /* numbers that are not finite on one side, or differ in it */
} difference;

double difference_rmse(const difference *d);    /* relative to A */
double difference_cosine(const difference *d);

/* Decode both and compare.  Works in strips of rows. */
lq_status pair_compare(const lq_ctx *ctx, const lq_checkpoint *a, const lq_checkpoint *b,
                       const pair *p, difference *d, lq_error *error);

#endif
