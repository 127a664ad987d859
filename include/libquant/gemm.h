/* SPDX-License-Identifier: MIT */
/*
 * libquant/gemm.h - products of plain matrices
 *
 *     C = alpha * op(A) * op(B)  (+ C)
 *
 * for op(A) of m x k, op(B) of k x n and C of m x n numbers, rows one behind the other,
 * 'ld' numbers apart.  op(A) is A, or its transpose, which is then stored as k x m; the
 * same for B.
 *
 * Numerics: there is one order of additions, and it is part of the contract.  Inputs are
 * widened to f32.  k is cut into blocks of LQ_GEMM_BLOCK; the sum of a block is one chain
 *
 *     s = 0;  s = fma(a[i][l], b[l][j], s)  for ascending l
 *
 * and the sums of the blocks are added in ascending order, beginning with the first one
 * (k 0: the sum is 0).  Then the sum is multiplied by alpha, C is added to that, and the
 * result is rounded to c_type: each step rounds once, to nearest even.  So C is the same
 * bytes at every CPU level, for any number of threads, and for a row or a column computed
 * alone; X'X is symmetric.  (A NaN is a NaN: its sign and payload are not promised.)
 * Against the exact product:
 *
 *     |C - exact| <= (min(k, 256) + k / 256 + 2) * 2^-24 * |alpha| * sum of |a| |b|
 *
 * plus the rounding to c_type and, with 'accumulate', of the last addition.
 */
#ifndef LIBQUANT_GEMM_H
#define LIBQUANT_GEMM_H

#include "libquant/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LQ_GEMM_BLOCK 256

/* A zeroed struct with struct_size, m, n, k, a, b and c set is valid: dense f32. */
typedef struct lq_gemm_args {
    size_t      struct_size;
    uint64_t    m, n, k;       /* m or n 0: nothing is done */
    const void *a;             /* m x k, or k x m with trans_a */
    const void *b;             /* k x n, or n x k with trans_b */
    void       *c;             /* m x n */
    uint64_t    lda, ldb, ldc; /* numbers from row to row as stored; 0: dense */
    lq_dtype    a_type, b_type, c_type;   /* F32 (0), F16, BF16 */
    int32_t     trans_a, trans_b;         /* 1: the transpose */
    int32_t     accumulate;    /* 1: add to C */
    int32_t     lower;         /* 1: only c[i][j] with j <= i; others are not touched */
    float       alpha;         /* 0: 1 */
} lq_gemm_args;

#define LQ_GEMM_ARGS_INIT \
    { sizeof(lq_gemm_args), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_gemm_args_init(lq_gemm_args *args);

/*
 * Multiply on the context's threads.  Everything is borrowed for the call only.  C must
 * not share numbers with A or B; parts of one array may be used where their stored rows
 * are equally far apart.  A and B may be the same.  Calls that write different numbers may
 * run at the same time, on one context too.  Work memory from the context's allocator, at
 * most about 3 MiB and 0.5 MiB per thread; 16 MiB more where C cannot hold the sums (C of
 * 16 bits, or added to, with k > 256 or alpha).
 *
 * LQ_ERR_ARG (NULL, a flag that is neither 0 nor 1), LQ_ERR_SHAPE (an ld below the row),
 * LQ_ERR_UNSUPPORTED (type), LQ_ERR_ALIGN, LQ_ERR_OVERLAP, LQ_ERR_OVERFLOW, LQ_ERR_NOMEM;
 * then C is untouched.
 */
LQ_API lq_status lq_gemm(const lq_ctx *ctx, const lq_gemm_args *args);

#ifdef __cplusplus
}
#endif
#endif
