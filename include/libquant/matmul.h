/* SPDX-License-Identifier: MIT */
/*
 * libquant/matmul.h - products with quantized weights
 *
 *     y[i][r] (+)= sum over c of x[i][c] * w[r][c]  (+ bias[r])
 *
 * for n activation vectors x[i] and weight rows w[r].  Every spec multiplies.
 *
 * Numerics: weights are decoded to f32, products summed in f32 by fused multiply-adds
 * in a fixed order that depends on the CPU level only.  So results are the same bits
 * for any number of threads, any n, any slicing of the rows, prepared or not.  Against
 * the exact product of the decoded weights:
 *
 *     |y - exact| <= (cols / 8 + 16) * 2^-24 * sum over c of |x[i][c]| |w[r][c]|
 *
 * plus the rounding of y to y_type.  On the reference level the factor is cols + 16.
 */
#ifndef LIBQUANT_MATMUL_H
#define LIBQUANT_MATMUL_H

#include "libquant/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A weight made ready for products. */
typedef struct lq_prepared lq_prepared;

typedef struct lq_prepare_opts {
    size_t  struct_size;
    void   *memory;        /* where to put panels, or NULL: allocate */
    uint64_t memory_bytes; /* at least lq_prepared_bytes() when memory is not NULL */
} lq_prepare_opts;

#define LQ_PREPARE_OPTS_INIT { sizeof(lq_prepare_opts), 0, 0 }
LQ_API void lq_prepare_opts_init(lq_prepare_opts *opts);

/* Bytes of panel memory that lq_prepare() needs for rows of this spec and shape; 0 when
 * the weight is multiplied from its own planes. */
LQ_API lq_status lq_prepared_bytes(const lq_ctx *ctx, const lq_spec *spec,
                                   uint64_t rows, uint64_t cols, uint64_t *bytes);

/*
 * Prepare one matrix.  The spec and planes of 'rows' are borrowed and must stay valid
 * and unchanged until lq_prepared_destroy().
 * LQ_ERR_ARG, LQ_ERR_SHAPE, LQ_ERR_BUFFER, LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_prepare(const lq_ctx *ctx, const lq_rows *rows,
                            const lq_prepare_opts *opts, lq_prepared **prepared,
                            lq_error *error);
LQ_API void lq_prepared_destroy(lq_prepared *prepared);

/* Arguments of the three products.  A zeroed struct with struct_size, n, x, ldx, y and
 * ldy set is valid.  'ldx' and 'ldy' count elements. */
typedef struct lq_matmul_args {
    size_t      struct_size;
    uint64_t    n;             /* activation vectors; 0: nothing is done */
    uint64_t    row0, row1;    /* rows [row0, row1) of the weight; row1 0: all */
    const void *x;             /* n vectors of cols numbers */
    lq_dtype    x_type;        /* F32 (0), F16, BF16 */
    lq_dtype    y_type;        /* F32 (0), F16, BF16 */
    uint64_t    ldx, ldy;      /* ldx >= cols; ldy >= row1 - row0 */
    void       *y;             /* y[i * ldy + r - row0]; must not overlap x */
    const float *bias;         /* one per weight row (indexed by r), or NULL */
    int32_t     accumulate;    /* 1: add to y */
    int32_t     reserved;      /* 0 */
    void       *work;          /* lq_matmul_work_bytes() bytes; lq_matmul_slice() only */
    uint64_t    work_bytes;
} lq_matmul_args;

#define LQ_MATMUL_ARGS_INIT { sizeof(lq_matmul_args), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_matmul_args_init(lq_matmul_args *args);

/* Multiply on the context's threads.  LQ_ERR_ARG, LQ_ERR_ALIGN, LQ_ERR_OVERLAP,
 * LQ_ERR_OVERFLOW, LQ_ERR_NOMEM (work memory); then y is untouched. */
LQ_API lq_status lq_matmul(const lq_ctx *ctx, const lq_prepared *w,
                           const lq_matmul_args *args);

/* The same straight from unprepared rows. */
LQ_API lq_status lq_matmul_rows(const lq_ctx *ctx, const lq_rows *w,
                                const lq_matmul_args *args);

/* Work memory for one calling thread of lq_matmul_slice(), for n vectors. */
LQ_API uint64_t lq_matmul_work_bytes(const lq_prepared *w, uint64_t n);

/*
 * Multiply rows [row0, row1) on the calling thread only.  Stateless: calls on disjoint
 * row ranges may run at the same time on the same 'w', which is how an engine brings
 * its own threads.  Allocates nothing.  LQ_ERR_BUFFER: work too small.
 */
LQ_API lq_status lq_matmul_slice(const lq_prepared *w, const lq_matmul_args *args);

#ifdef __cplusplus
}
#endif
#endif
