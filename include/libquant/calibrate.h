/* SPDX-License-Identifier: MIT */
/*
 * libquant/calibrate.h - statistics of activations
 *
 * A weight's inputs are seen once, in batches of any size; what is kept of them does not
 * grow with their number:
 *
 *     count        input vectors
 *     sum_sq       sum over them of x[c]^2: over the count, the importances of an imatrix
 *     sum_abs      sum of |x[c]|
 *     gram         X'X, of which the lower triangle is kept: what GPTQ needs
 *
 * Statistics of several threads, machines or files are merged.
 */
#ifndef LIBQUANT_CALIBRATE_H
#define LIBQUANT_CALIBRATE_H

#include "libquant/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- statistics */

/* Statistics of the inputs of any number of weights, by name. */
typedef struct lq_stats lq_stats;

#define LQ_GRAM_ROWS 2048   /* rows of X'X that are stored as one matrix */

/*
 * gram 1: keep X'X too.  It takes, in bytes, 2 cols (cols + 2048) and at most 4 cols^2: 64
 * KiB for 128 columns, 50 MB for 4096, 5.9 GB for 53248.  What does not fit is made in
 * parts, in several passes over the same inputs or on several machines: only rows
 * [gram_row0, gram_row1) of X'X are kept (multiples of LQ_GRAM_ROWS; gram_row1 0: all), and
 * lq_stats_join() puts the parts together.
 */
typedef struct lq_stats_opts {
    size_t   struct_size;
    int32_t  gram;
    int32_t  reserved;        /* 0 */
    uint64_t gram_row0, gram_row1;
} lq_stats_opts;

#define LQ_STATS_OPTS_INIT { sizeof(lq_stats_opts), 0, 0, 0, 0 }
LQ_API void lq_stats_opts_init(lq_stats_opts *opts);

/* Statistics of nothing.  opts NULL: no X'X.  LQ_ERR_ARG (rows that are no multiples, or
 * none), LQ_ERR_NOMEM. */
LQ_API lq_status lq_stats_create(const lq_ctx *ctx, const lq_stats_opts *opts,
                                 lq_stats **stats, lq_error *error);
LQ_API void lq_stats_destroy(lq_stats *stats);

/*
 * Add n input vectors of 'cols' numbers (F32, F16 or BF16; ldx elements from one to the next)
 * of weight 'name', which is new or has been seen with as many columns.  Runs on the
 * context's threads; one call at a time on the same statistics.
 *
 * sum_sq and sum_abs are added in double, vector after vector.  X'X is added in f32 in blocks
 * of LQ_GEMM_BLOCK vectors, counted from the first one of the call: each a chain of fused
 * multiply-adds, the blocks one after the other.  So everything is the same bytes at every
 * level and for any number of threads, and for any cuts into calls at multiples of
 * LQ_GEMM_BLOCK.
 *
 * LQ_ERR_ARG, LQ_ERR_SHAPE (ldx below cols), LQ_ERR_ALIGN, LQ_ERR_UNSUPPORTED (type),
 * LQ_ERR_NONFINITE, LQ_ERR_MISMATCH (other columns than before), LQ_ERR_OVERFLOW,
 * LQ_ERR_NOMEM; the weight is named and its statistics are as they were, but for
 * LQ_ERR_NOMEM in the middle of X'X: then every later call with the name says so.
 */
LQ_API lq_status lq_stats_add(lq_stats *stats, const char *name, uint64_t cols, uint64_t n,
                              lq_dtype x_type, const void *x, uint64_t ldx, lq_error *error);

/* Weight 'name' has the inputs of 'of' (K and V those of Q, up those of gate), which are kept
 * once.  LQ_ERR_NOTFOUND, LQ_ERR_DUPLICATE, LQ_ERR_NOMEM. */
LQ_API lq_status lq_stats_same(lq_stats *stats, const char *name, const char *of,
                               lq_error *error);

/* Add the statistics of 'other', from other inputs of the same model, to those of 'stats';
 * names that are new come along.  LQ_ERR_MISMATCH (columns, or one has X'X where the other
 * does not; the weight is named), LQ_ERR_NOMEM; what had been added before stays. */
LQ_API lq_status lq_stats_merge(lq_stats *stats, const lq_stats *other, lq_error *error);

/* Take over the rows of X'X that 'stats' lacks from 'other', made from the same inputs.
 * LQ_ERR_MISMATCH (columns, counts, or sums; the weight is named), LQ_ERR_NOMEM. */
LQ_API lq_status lq_stats_join(lq_stats *stats, const lq_stats *other, lq_error *error);

/* Statistics of one weight; pointers belong to the lq_stats, until it is changed. */
typedef struct lq_stat {
    size_t        struct_size;
    const char   *name;
    uint64_t      cols, count;
    const double *sum_sq, *sum_abs;   /* cols each */
    int32_t       gram;               /* X'X: 1 complete, -1 in part, 0 not kept */
    int32_t       reserved;
} lq_stat;

#define LQ_STAT_INIT { sizeof(lq_stat), 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_stat_init(lq_stat *stat);

LQ_API uint64_t lq_stats_count(const lq_stats *stats);
LQ_API lq_status lq_stats_at(const lq_stats *stats, uint64_t index, lq_stat *stat);

/* LQ_ERR_NOTFOUND, LQ_ERR_ARG. */
LQ_API lq_status lq_stats_find(const lq_stats *stats, const char *name, lq_stat *stat);

/* Columns 0 to 'row' of a row of X'X, into row + 1 numbers.  LQ_ERR_NOTFOUND: no such weight,
 * or the row is not kept.  LQ_ERR_ARG. */
LQ_API lq_status lq_stats_gram_row(const lq_stats *stats, const char *name, uint64_t row,
                                   float *values);

/* --------------------------------------------------------------------- files */

/*
 * Write to 'path', atomically.
 *
 * A name that ends in ".gguf" makes an imatrix file of llama.cpp, under llama.cpp's names:
 * counts and sums of squares, which lq_imatrix_open() reads.  Any other makes a safetensors
 * file of everything: per weight NAME.count (U64 [1]), NAME.sum_sq and NAME.sum_abs (F64
 * [cols]) and, of X'X, NAME.gram.P (F32, rows 2048 P and following, as many columns as the
 * last of them has; numbers above the diagonal are 0); key "lq.stats" is "1", key
 * "lq.stats.same.NAME" the name that has NAME's inputs.
 *
 * LQ_ERR_EXISTS (and not 'replace'), LQ_ERR_NUMERIC (nothing was seen of a weight), and what
 * writers say.
 */
LQ_API lq_status lq_stats_save(const lq_stats *stats, const char *path, int32_t replace,
                               lq_error *error);

/*
 * Read weight 'name' of an open safetensors file of lq_stats_save(), NULL: all of them.
 *
 * LQ_ERR_FORMAT (no statistics), LQ_ERR_NOTFOUND (no such weight), LQ_ERR_CORRUPT,
 * LQ_ERR_SHAPE, LQ_ERR_NONFINITE, LQ_ERR_NOMEM and those of lq_file_read(); the weight is
 * named.
 */
LQ_API lq_status lq_stats_load(const lq_ctx *ctx, const lq_file *file, const char *name,
                               lq_stats **stats, lq_error *error);

#ifdef __cplusplus
}
#endif
#endif
