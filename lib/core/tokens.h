/* SPDX-License-Identifier: MIT */
/*
 * lib/core/tokens.h - activations in 8 bits with one scale per vector ("per token"), and
 * their products
 */
#ifndef LQI_CORE_TOKENS_H
#define LQI_CORE_TOKENS_H

#include "lib/core/product.h"

/*
 * n vectors.  Integers: tiles of neighbouring vectors, block after block of chunks, in each
 * the tiles, in each [64 * chunk + line][vector] (kernels/panel_sums.h).  Floats: numbers of
 * the codes, without their scale, for the f32 product.
 */
struct lqi_tokens {
    int          integer;
    lq_spec      spec;             /* what one row of activations is encoded as */
    lqi_geometry g;
    uint64_t     chunks, block;    /* of 256; that lie together */
    uint64_t     tiles, width, wider;   /* 'wider' tiles have one vector more than 'width' */
    float        threshold;        /* 0: no columns apart */
    float       *scale;            /* [n] */
    int32_t     *sum;              /* [n]: of the integers */
    int32_t     *codes;
    float       *numbers;          /* [n][cols]; integers: [n][outliers] */
    uint32_t    *outlier;          /* columns that are multiplied as they are, ascending */
    uint64_t     outliers;
    uint8_t     *apart;            /* [cols]: is one of them */
};

/* 1 if a weight with these panels (NULL: none) meets integers. */
int lqi_tokens_integer(const lqi_geometry *g, const lqi_weight *weight);

/* Plan for the product (p->weight: integers); 'bytes' of memory.  LQ_ERR_OVERFLOW. */
lq_status lqi_tokens_plan(const lqi_product *p, lqi_tokens *t, uint64_t *bytes);

/* Convert p's vectors. */
void lqi_tokens_fill(const lqi_product *p, lqi_tokens *t, void *memory, int parallel);

/* Integers: work memory of a task (0: does not fit), strips, the task. */
uint64_t lqi_tokens_work(const lqi_product *p);
uint64_t lqi_tokens_count(uint64_t row0, uint64_t row1);
void     lqi_tokens_run(lqi_product *p, uint8_t *work);

/* Floats: scales to sums of n vectors by 'rows' rows, vector j at j * ld. */
void lqi_tokens_scale(const lqi_tokens *t, uint64_t n, uint64_t rows, float *sums, uint64_t ld);

#endif
