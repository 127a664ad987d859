/* SPDX-License-Identifier: MIT */
/*
 * lib/core/product.h - one product on its way: checked arguments, tasks, outputs
 *
 * Tasks, one per thread, take strips of rows from a counter until none is left, so that a
 * disturbed core simply takes fewer.
 */
#ifndef LQI_CORE_PRODUCT_H
#define LQI_CORE_PRODUCT_H

#include <stdatomic.h>

#include "lib/core/core.h"
#include "lib/core/panel.h"
#include "libquant/matmul.h"

typedef struct lqi_tokens lqi_tokens;   /* tokens.h */

typedef struct lqi_product {
    const lq_ctx       *ctx;
    const lqi_geometry *g;
    const lq_rows      *rows;
    const lqi_weight   *weight;     /* panels, or NULL: decoded strips */
    const lqi_acts     *acts;       /* with panels */
    int                 bf16;       /* pairs of bf16 */
    const uint32_t     *pairs;      /* with bf16: the activations */
    const lqi_tokens   *tokens;     /* W8A8, instead of acts or of a.x */
    lq_matmul_args      a;          /* row1 and types complete */
    uint8_t            *work;
    uint64_t            work_bytes; /* of one task, a multiple of LQI_ALIGN */
    uint64_t            strips;
    atomic_ullong       next;
} lqi_product;

/* Outputs of rows [row, row + rows) and vectors [first, first + n) from 'sums', vector j of
 * them at j * ld: bias, accumulation, type. */
void lqi_product_store(const lqi_product *p, uint64_t row, uint64_t rows, uint64_t first,
                       uint64_t n, const float *sums, uint64_t ld);

/* What was prepared; belongs to 'w'. */
const lq_rows *lqi_prepared_rows(const lq_prepared *w);

/* Decoded strips: work memory of a task (0: does not fit), strips, the task. */
uint64_t lqi_strips_work(uint64_t n);
uint64_t lqi_strips_count(uint64_t row0, uint64_t row1);
void     lqi_strips_run(lqi_product *p, uint8_t *work);

/* The same with panels. */
uint64_t lqi_panels_work(const lqi_acts *acts);
uint64_t lqi_panels_count(const lq_ctx *ctx, const lqi_acts *acts, uint64_t row0,
                          uint64_t row1);
void     lqi_panels_run(lqi_product *p, uint8_t *work);

/* The same with pairs of bf16; the activations' pairs: bytes (0: does not fit), conversion. */
uint64_t lqi_bf16_work(uint64_t n);
uint64_t lqi_bf16_count(uint64_t row0, uint64_t row1);
uint64_t lqi_bf16_acts(uint64_t n, uint64_t cols);
void     lqi_bf16_fill(const lqi_product *p, uint32_t *pairs, int parallel);
void     lqi_bf16_run(lqi_product *p, uint8_t *work);

#endif
