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

/* How a call multiplies. */
typedef enum lqi_way {
    LQI_WAY_STRIPS,    /* rows decoded to f32 */
    LQI_WAY_BF16,      /* rows decoded to pairs of bf16 */
    LQI_WAY_PANELS,    /* panels, activations in integers (or floats: panels of floats) */
    LQI_WAY_PAIRS,     /* panels in pairs of bf16 */
    LQI_WAY_TOKENS     /* panels, integers to the end */
} lqi_way;

typedef struct lqi_product {
    const lq_ctx       *ctx;
    const lqi_geometry *g;
    const lq_rows      *rows;
    lqi_way             way;
    const lqi_weight   *weight;     /* PANELS, PAIRS, TOKENS: the panels; else NULL */
    const lqi_acts     *acts;       /* PANELS, PAIRS: the activations */
    const uint32_t     *pairs;      /* BF16: likewise */
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
uint64_t lqi_panels_work(const lqi_product *p, const lqi_acts *acts);
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
