/* SPDX-License-Identifier: MIT */
/*
 * libquant/calibrate.h - statistics of activations, and quantization that uses them
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

/* ---------------------------------------------------------------------- GPTQ */

/* Order in which columns are solved. */
enum {
    LQ_GPTQ_ORDER_ACT   = 0, /* largest inputs first (X'X's diagonal) */
    LQ_GPTQ_ORDER_NONE  = 1, /* as they stand */
    LQ_GPTQ_ORDER_GROUP = 2  /* largest first inside groups, and of groups: GPTQModel's */
};

/* How groups of planar formats are clipped. */
enum {
    LQ_GPTQ_CLIP_BEST = 0,   /* least squared error, weighted with the inputs' squares */
    LQ_GPTQ_CLIP_NONE = 1,
    LQ_GPTQ_CLIP_MSE  = 2    /* the reference's "mse": 80 factors, |error|^2.4, unweighted */
};

/*
 * All zero: columns in order of their inputs, parameters of groups fixed before, clipped: the
 * best recipe that needs no column index in the file.
 */
typedef struct lq_gptq_opts {
    size_t      struct_size;
    int32_t     order;        /* LQ_GPTQ_ORDER_... */
    int32_t     running;      /* 1: parameters of groups from the weights as they are when
                                 their turn comes, inside a block of 128 columns without
                                 that block's changes, like the reference.  Planar formats
                                 with groups in rows and scales of one level; with
                                 ORDER_ACT the spec must have 'gidx' */
    int32_t     clip;         /* LQ_GPTQ_CLIP_... */
    int32_t     sweeps;       /* of coordinate descent on the codes afterwards; as costly as
                                 the solution each */
    float       damp;         /* added to the diagonal, times its mean; 0: 0.01.  Doubled
                                 until X'X can be factored */
    int32_t     nonfinite;    /* of weights: LQ_NONFINITE_..., but not PROPAGATE */
    int32_t     search;       /* LQ_SEARCH_...: parameters that do not follow from ranges */
    int32_t     reserved;     /* 0 */
    lq_progress progress;     /* in rows */
} lq_gptq_opts;

#define LQ_GPTQ_OPTS_INIT { sizeof(lq_gptq_opts), 0, 0, 0, 0, 0, 0, 0, 0, { 0, 0 } }
LQ_API void lq_gptq_opts_init(lq_gptq_opts *opts);

/* What the reference does by default: order NONE, running, clip NONE. */
LQ_API void lq_gptq_opts_compat(lq_gptq_opts *opts);

typedef struct lq_gptq_result {
    size_t    struct_size;
    lq_status solved;         /* LQ_OK; LQ_ERR_NOTFOUND: rounded, there were no statistics;
                                 LQ_ERR_UNSUPPORTED: rounded, the spec is a plain float */
    float     damp;           /* that it took */
    uint64_t  dead;           /* columns whose inputs were all zero */
    double    loss;           /* sum over the inputs seen of the squared errors of outputs,
                                 damping included; before sweeps */
} lq_gptq_result;

#define LQ_GPTQ_RESULT_INIT { sizeof(lq_gptq_result), 0, 0, 0, 0 }
LQ_API void lq_gptq_result_init(lq_gptq_result *result);

/*
 * Encode a matrix (shape->outer is 1) so that its products with the inputs seen change least:
 * GPTQ's feedback over the rounding of any format.  Parameters are found first and stored as
 * the format stores them; then columns are rounded one by one and their errors passed on to
 * those behind them.  Formats whose codes stand for several columns are rounded 32 columns at
 * a time, in order NONE.  In blocked formats the inputs' mean squares are the importances.
 *
 * 'name' is the weight's in 'stats', which must have its X'X.  stats NULL: the weight is
 * rounded plainly, and 'result' (may be NULL) says so.  A column whose inputs were all zero is
 * rounded plainly too; 'running' makes it 0, like the reference.
 *
 * Same bytes at every level and for any number of threads.  Memory besides the tensor, for
 * rows x cols: 4 cols^2 bytes (8 with sweeps), 4 rows cols (8 where x is not F32, 'running', or
 * with another policy than ERROR), and for strips of at most 512 rows 12 cols (20 with sweeps)
 * a row, in blocked formats up to 64 MiB more.
 *
 * LQ_ERR_NOTFOUND (no such weight in the statistics, or not all of X'X), LQ_ERR_MISMATCH
 * (other columns), LQ_ERR_NUMERIC (inputs all zero, X'X not positive definite for any damping,
 * a scale that does not fit), LQ_ERR_NONFINITE (weights, X'X), LQ_ERR_SHAPE,
 * LQ_ERR_UNSUPPORTED (an option that the spec cannot have), LQ_ERR_CANCELLED, LQ_ERR_ARG,
 * LQ_ERR_ALIGN, LQ_ERR_OVERFLOW, LQ_ERR_NOMEM; the weight is named.
 */
LQ_API lq_status lq_tensor_gptq(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                                lq_dtype x_type, const void *x, const lq_stats *stats,
                                const char *name, const lq_gptq_opts *opts,
                                lq_tensor **tensor, lq_gptq_result *result,
                                lq_error *error);

#ifdef __cplusplus
}
#endif
#endif
