/* SPDX-License-Identifier: MIT */
/*
 * lib/core/gemm.h - packing for the plain product; products with a quantized factor
 */
#ifndef LQI_GEMM_H
#define LQI_GEMM_H

#include "lib/core/core.h"
#include "libquant/gemm.h"

/* A quantized matrix: rows from 'row0' on. */
typedef struct lqi_quantized {
    const lq_ctx       *ctx;
    const lqi_geometry *g;
    const lq_rows      *rows;
    uint64_t            row0;
} lqi_quantized;

/* A factor as packing sees it: 'lines' across the product (rows of op(A), columns of
 * op(B)), each with k numbers.  Either numbers at 'p' or decoded as they are packed. */
typedef struct lqi_factor {
    const void *p;
    lq_dtype    type;
    uint64_t    ld;
    int         along;     /* 1: the numbers of a line are neighbours in memory */
    uint64_t    lines;
    unsigned    width;     /* of a panel */
    const lqi_quantized *quantized;   /* instead of p, type and ld; or NULL */
} lqi_factor;

/* Numbers between the panels of a block of LQ_GEMM_BLOCK: the vectors of 'copy' write past
 * a panel; and panels are better not a power of two apart. */
static inline size_t lqi_gemm_stride(unsigned width)
{
    return (size_t)LQ_GEMM_BLOCK * width + LQI_LANES_MAX;
}

/* n numbers to f32. */
void lqi_widen(const lqi_kernels *kernels, lq_dtype type, const void *x, float *y, size_t n);

/* Numbers of scratch that packing a block of so many lines needs. */
size_t lqi_factor_scratch(const lqi_factor *f, uint64_t lines);

/* Lines [line, line + lines), numbers [l, l + k) to panels.  k <= LQ_GEMM_BLOCK.  Of a
 * quantized matrix only from whole LQI_BLOCK_MAX columns on. */
void lqi_factor_pack(const lqi_kernels *kernels, const lqi_factor *f, uint64_t line,
                     size_t lines, uint64_t l, size_t k, float *scratch, float *panels);

/* lq_gemm() with a quantized B of k rows and n columns, NULL: with args->b. */
lq_status lqi_gemm_quantized(const lq_ctx *ctx, const lq_gemm_args *args,
                             const lqi_quantized *b);

#endif
