/* SPDX-License-Identifier: MIT */
/*
 * libquant/matmul.h - products with quantized weights
 *
 *     y[i][r] (+)= sum over c of x[i][c] * w[r][c]  (+ bias[r])
 *
 * for n activation vectors x[i] and weight rows w[r].  Every spec multiplies.  How exactly is
 * the caller's choice, per call:
 *
 *   LQ_MODE_FAST   activations become 8-bit integers, with a scale per 32 or per 256 of them,
 *                  and meet the weights' integer codes in exact integer products; sums of
 *                  groups are f32.  Codebooks (NF4, FP4, ...) are rounded to 8-bit levels.
 *                  For Gaussian activations the added error is 3e-5 (per 32) to 5e-5 (per
 *                  256) of the signal's power, NF4 2e-5 more.  FP8, MXFP8 and MXFP6 E3M2 are
 *                  multiplied as they are with activations as they are, f32 sums (magnitudes
 *                  above 2^67 overflow).  The same bits on every level.
 *                  A vector with a NaN or an infinity gives NaN; magnitudes below 1e-30
 *                  throughout a group count as 0.
 *   LQ_MODE_BF16   weights and activations rounded once to bf16, f32 sums.  Prepared weights of
 *                  four bits with one level of scales, FP8, MXFP8 and MXFP6 E3M2 are closer:
 *                  what is rounded is the number that a code stands for (codebooks alone need
 *                  it, NF4 costs 1e-6 of the signal's power), scales and zero points join the
 *                  f32 sums of their groups.  Such a sum of activations times codes must stay
 *                  in f32's range.  Denormal bf16 count as 0.
 *   LQ_MODE_F32    weights decoded exactly, f32 sums by fused multiply-adds.  Against the
 *                  exact product of the decoded weights
 *                      |y - exact| <= (cols / 8 + 16) * 2^-24 * sum of |x[i][c]| |w[r][c]|
 *                  plus the rounding of y to y_type; on the reference level cols + 16.
 *
 *   LQ_MODE_W8A8   both sides in 8 bits, as vLLM and bitsandbytes run such checkpoints: for
 *                  int8, llm_int8, fp8_e4m3 and fp8_e5m2, LQ_ERR_UNSUPPORTED for others.
 *                  Each activation vector is encoded with one scale as a row of the weight's
 *                  format is (e4m3 for e5m2): scale = amax / 127.5 for int8 (compressed-
 *                  tensors), amax / 127 for llm_int8 (bitsandbytes), amax / 448 for fp8.
 *                  Integer weights with one scale per row, prepared, up to 131071 columns:
 *                  the sum of the products of codes is exact, then rounded once to
 *                  f32(sum * scale * scale): the same bits on every level.  Others: codes
 *                  and decoded weights in F32, the vector's scale last; the bound is F32's,
 *                  of the rounded activations, and 2^-24 of the result.  Against the
 *                  unrounded activations the added error is, for Gaussian ones, 4096 to a
 *                  vector, 6.5e-5 of the signal's power in integers, 7e-4 in fp8; outliers
 *                  make it worse (below).  A vector with a NaN or an infinity gives NaN.
 *
 * LLM.int8(): with a 'threshold' (6.0 is usual; integers only), columns in which any of the
 * call's vectors reaches it in magnitude are multiplied in f32 with the decoded weights, and
 * numbers that reach it do not count for the scales.  Then results depend on which vectors
 * are in the call.
 *
 * LQ_MODE_DEFAULT is FAST.  What a spec or a level does not have in one mode is done in the
 * next more exact one: f32, f16, bf16, codebooks of 8 bits and odd group sizes have no fast
 * products, levels without bf16 instructions no BF16.
 *
 * In every mode the order of additions into one output is fixed by the spec, the columns and
 * (BF16, F32) the level: the same bits for any number of threads, any n, any slicing.
 */
#ifndef LIBQUANT_MATMUL_H
#define LIBQUANT_MATMUL_H

#include "libquant/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LQ_MODE_DEFAULT = 0, LQ_MODE_FAST = 1, LQ_MODE_BF16 = 2, LQ_MODE_F32 = 3,
    LQ_MODE_W8A8 = 4
};

/* A weight made ready for products. */
typedef struct lq_prepared lq_prepared;

typedef struct lq_prepare_opts {
    size_t  struct_size;
    void   *memory;        /* where to put panels, or NULL: allocate */
    uint64_t memory_bytes; /* at least lq_prepared_bytes() when memory is not NULL */
} lq_prepare_opts;

#define LQ_PREPARE_OPTS_INIT { sizeof(lq_prepare_opts), 0, 0 }
LQ_API void lq_prepare_opts_init(lq_prepare_opts *opts);

/* Bytes of panel memory that lq_prepare() needs for rows of this spec and shape: about what
 * the planes take.  0: the weight is multiplied from its own planes. */
LQ_API lq_status lq_prepared_bytes(const lq_ctx *ctx, const lq_spec *spec,
                                   uint64_t rows, uint64_t cols, uint64_t *bytes);

/*
 * Prepare one matrix on the context's threads: its codes are put in the order of the fast
 * products.  The spec and planes of 'rows' are borrowed and must stay valid and unchanged
 * until lq_prepared_destroy(); fast products do not read them, so pages of a mapped file may
 * be dropped.  A weight with scales that are not finite is multiplied in F32.
 * LQ_ERR_ARG, LQ_ERR_SHAPE, LQ_ERR_BUFFER, LQ_ERR_ALIGN (memory: 4 bytes; 64 are
 * faster), LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_prepare(const lq_ctx *ctx, const lq_rows *rows,
                            const lq_prepare_opts *opts, lq_prepared **prepared,
                            lq_error *error);
LQ_API void lq_prepared_destroy(lq_prepared *prepared);

/* ------------------------------------------------------------- activations */

/* Activation vectors as integers, for several fast products with the same inputs (Q, K and
 * V; gate and up): they are converted once. */
typedef struct lq_acts lq_acts;

/* For up to n_max vectors of as many numbers as 'w' has columns, and for weights that
 * lq_acts_fit().  The context must outlive them, 'w' need not.
 * LQ_ERR_ARG, LQ_ERR_UNSUPPORTED ('w' has no fast products), LQ_ERR_OVERFLOW,
 * LQ_ERR_NOMEM. */
LQ_API lq_status lq_acts_create(const lq_ctx *ctx, const lq_prepared *w, uint64_t n_max,
                                lq_acts **acts, lq_error *error);

/* Convert n <= n_max vectors: x_type F32, F16 or BF16, ldx elements from one to the next; x
 * is not kept.  Not while a product uses them.  LQ_ERR_ARG, LQ_ERR_SHAPE, LQ_ERR_ALIGN. */
LQ_API lq_status lq_acts_fill(lq_acts *acts, uint64_t n, lq_dtype x_type, const void *x,
                              uint64_t ldx);

/* 1 if products with 'w' can use them: same columns, same kind of scales, no act-order. */
LQ_API int lq_acts_fit(const lq_acts *acts, const lq_prepared *w);
LQ_API void lq_acts_destroy(lq_acts *acts);

/* ---------------------------------------------------------------- products */

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
    int32_t     mode;          /* LQ_MODE_... */
    void       *work;          /* lq_matmul_work_bytes() bytes; lq_matmul_slice() only */
    uint64_t    work_bytes;
    const lq_acts *acts;       /* instead of x, which is not looked at then; their n */
    float       threshold;     /* LQ_MODE_W8A8: LLM.int8()'s; 0: none */
    int32_t     reserved;      /* 0 */
} lq_matmul_args;

#define LQ_MATMUL_ARGS_INIT \
    { sizeof(lq_matmul_args), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_matmul_args_init(lq_matmul_args *args);

/* Multiply on the context's threads.  LQ_ERR_ARG, LQ_ERR_ALIGN, LQ_ERR_OVERLAP,
 * LQ_ERR_MISMATCH (acts of another kind), LQ_ERR_UNSUPPORTED (W8A8 with other weights),
 * LQ_ERR_OVERFLOW, LQ_ERR_NOMEM (work memory); then y is untouched. */
LQ_API lq_status lq_matmul(const lq_ctx *ctx, const lq_prepared *w,
                           const lq_matmul_args *args);

/* The same straight from unprepared rows: in F32, or W8A8 by way of F32. */
LQ_API lq_status lq_matmul_rows(const lq_ctx *ctx, const lq_rows *w,
                                const lq_matmul_args *args);

/*
 * The product with the transpose, for the backward pass through a frozen weight:
 *
 *     y[i][c] (+)= sum over r in [row0, row1) of x[i][r - row0] * w[r][c]
 *
 * for n vectors x[i] of row1 - row0 numbers, y[i] of cols numbers: ldx >= row1 - row0, ldy
 * >= cols, 0: dense.  'bias' and 'acts' must be NULL, every mode is F32.  The result is, byte
 * for byte, that of lq_gemm() with x and the decoded rows: at every level, for any threads,
 * any n; its bound (libquant/gemm.h) has k = row1 - row0.  Weights are decoded piece by
 * piece, once per 2048 vectors; work memory as lq_gemm()'s.  Statuses as lq_matmul().
 */
LQ_API lq_status lq_matmul_transposed(const lq_ctx *ctx, const lq_rows *w,
                                      const lq_matmul_args *args);

/* Work memory for one calling thread of lq_matmul_slice(), for n vectors, any mode. */
LQ_API uint64_t lq_matmul_work_bytes(const lq_prepared *w, uint64_t n);

/*
 * Multiply rows [row0, row1) on the calling thread only.  Stateless: calls on disjoint
 * row ranges may run at the same time on the same 'w', which is how an engine brings
 * its own threads.  Each call converts the activations for itself unless args->acts has them.
 * Allocates nothing.  LQ_ERR_BUFFER: work too small.
 */
LQ_API lq_status lq_matmul_slice(const lq_prepared *w, const lq_matmul_args *args);

#ifdef __cplusplus
}
#endif
#endif
