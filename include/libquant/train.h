/* SPDX-License-Identifier: MIT */
/*
 * libquant/train.h - training: optimizers, LoRA, fake quantization, paged arrays
 *
 * Optimizers own no memory: parameters, gradients and the optimizer's state are the
 * caller's arrays, so they can lie in files, in mapped memory or in a framework's tensors,
 * and are saved and restored as they are.  Paged arrays are such arrays, larger than the
 * memory that they may take.
 */
#ifndef LIBQUANT_TRAIN_H
#define LIBQUANT_TRAIN_H

#include "libquant/matmul.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------- optimizers */

/*
 * Rules.  p is a parameter, g its gradient times grad_scale, m and v are the state, t is the
 * step, w the weight decay, b1 and b2 are beta1 and beta2; defaults of these in brackets.
 * Pinned.
 */
enum {
    LQ_ADAMW = 0,  /* p -= lr w p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g g;
                      p -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps sqrt(1 - b2^t))
                      [0.9, 0.999] */
    LQ_ADAM  = 1,  /* the same with g + w p in place of g, and no decay besides */
    LQ_LION  = 2,  /* p -= lr w p;  p -= lr sign(b1 m + (1 - b1) g);  m = b2 m + (1 - b2) g
                      [0.9, 0.99] */
    LQ_SGD   = 3   /* m = b1 m + g + w p;  p -= lr m  [0.9, -] */
};

/*
 * A rule and its numbers; the caller changes 'step', 'lr' and 'grad_scale' from step to
 * step.  A zeroed struct with struct_size, step and lr set is valid: AdamW, state of f32.
 */
typedef struct lq_optimizer {
    size_t   struct_size;
    int32_t  rule;          /* LQ_ADAMW... */
    uint32_t state_bits;    /* of a number of the state: 32 (0), or 8 */
    uint64_t step;          /* 1 for the first */
    float    lr;
    float    beta1, beta2;  /* 0: the rule's default; negative: 0 */
    float    eps;           /* 0: 1e-8 */
    float    weight_decay;
    float    grad_scale;    /* 0: 1 */
} lq_optimizer;

#define LQ_OPTIMIZER_INIT { sizeof(lq_optimizer), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_optimizer_init(lq_optimizer *optimizer);

#define LQ_STATE_BLOCK 256   /* numbers of an 8-bit state that share a scale */

/*
 * An array of n parameters with what belongs to it.  The state begins as zero bytes and is
 * nothing but these arrays: written to a file and read back, it goes on exactly.
 *
 * 32 bits: f32 numbers.  8 bits: one byte each, codes of the dynamic maps of bitsandbytes (m
 * signed, v unsigned), and the scale of each LQ_STATE_BLOCK of them, their largest
 * magnitude; the last block may be short.  A code is the nearest, but of a v above zero never
 * that of zero: the update is divided by the root of v.
 */
typedef struct lq_params {
    size_t       struct_size;
    uint64_t     n;
    float       *values;
    const float *grads;
    void        *m, *v;                /* v: ADAMW, ADAM */
    float       *m_scales, *v_scales;  /* 8 bits only */
} lq_params;

#define LQ_PARAMS_INIT { sizeof(lq_params), 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_params_init(lq_params *params);

/* Bytes of m, v, m_scales and v_scales for n parameters; 0: the rule needs no such array.
 * LQ_ERR_ARG, LQ_ERR_OVERFLOW. */
LQ_API lq_status lq_optimizer_bytes(const lq_optimizer *optimizer, uint64_t n,
                                    uint64_t bytes[4]);

/*
 * One step of one array, on the context's threads.  f32 arithmetic; a parameter whose new
 * state would not be finite (its gradient is not, or is too large) stays as it is, state
 * and all.
 *
 * The bytes do not depend on CPU level and threads, nor, in whole blocks, on how arrays are
 * cut.  8 bits: 24 KiB of tables are made in the context when they are first needed.
 *
 * LQ_ERR_ARG (NULL, step 0, a number out of range or not finite), LQ_ERR_ALIGN,
 * LQ_ERR_OVERFLOW, LQ_ERR_OVERLAP (of two arrays), LQ_ERR_NOMEM; then nothing was changed.
 */
LQ_API lq_status lq_optimizer_step(const lq_ctx *ctx, const lq_optimizer *optimizer,
                                   const lq_params *params);

/*
 * Add the sum of the squares of n numbers to *sum: for the norm of a gradient in several
 * arrays.  The order of the additions is fixed (blocks of 16384 numbers, 16 chains each, all
 * in double), so the result does not depend on threads or CPU level.
 *
 * LQ_ERR_ARG, LQ_ERR_ALIGN, LQ_ERR_NONFINITE (a number, or *sum), LQ_ERR_NOMEM; then *sum
 * is as it was.
 */
LQ_API lq_status lq_sum_squares(const lq_ctx *ctx, const float *x, uint64_t n, double *sum);

/* -------------------------------------------------------------------- LoRA */

/*
 * A frozen weight W of rows x cols, in any spec, and two thin matrices beside it that learn:
 *
 *     y = x W^T (+ bias) + s (x' A^T) B^T
 *
 * for A of rank x cols and B of rows x rank; x' is x, or what dropout leaves of it.  With g
 * the gradient of y:
 *
 *     dx = g W + s (g B) A, the second behind the same dropout
 *     dA = s (g B)^T x'
 *     dB = s g^T (x' A^T)
 *
 * W gets no gradient.  Only its stored bytes are needed: products decode it piece by piece.
 *
 * Numerics: numbers are widened to f32, s (x' A^T) and s (g B) are rounded to f32 in between.
 * x W^T is the product of lq_matmul() in 'mode', or of lq_matmul_rows() in F32, g W that of
 * lq_matmul_transposed(), everything else lq_gemm()'s.  Sums over vectors are added in blocks
 * of LQ_GEMM_BLOCK, each to what is there.  y and dx of 16 bits are rounded twice: the branch
 * is added to the product.  The same bytes for any number of threads; dx, dA and dB, given the
 * same x' A^T, also at every CPU level, and y where the mode's product is.
 *
 * Work memory from the context's allocator during a call: that of the product with W (of
 * lq_matmul_rows() 64 bytes per vector and 128 KiB, for each thread); after it, for the branch,
 * that of lq_gemm() and min(n, 256) x 2 rank floats, with dropout min(n, 256) x cols more.
 */
typedef struct lq_lora {
    size_t             struct_size;
    const lq_rows     *base;      /* W; NULL with 'prepared' */
    const lq_prepared *prepared;  /* W prepared for forward products; its rows are read, too */
    int32_t            mode;      /* LQ_MODE_...; F32 without 'prepared', whatever it says */
    lq_dtype           type;      /* of A and B: F32 (0), F16, BF16 */
    uint32_t           rank;      /* at least 1 */
    float              scale;     /* s; 0: 1 */
    const void        *a, *b;     /* [rank][cols], [rows][rank] */
    const float       *bias;      /* one per row, or NULL */
} lq_lora;

#define LQ_LORA_INIT { sizeof(lq_lora), 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_lora_init(lq_lora *lora);

/* s as PEFT has it: alpha / rank, or rank-stabilised alpha / sqrt(rank).  0 for rank 0. */
LQ_API float lq_lora_scale(float alpha, uint32_t rank, int32_t rank_stabilised);

/*
 * What a pass reads and the forward pass writes.  A zeroed struct with struct_size, n, x and y
 * set is valid: dense f32, no dropout.
 *
 * Dropout is the caller's: 'keep' has a bit for each number of x, of vector i and column c the
 * bit c % 8 of byte i * ((cols + 7) / 8) + c / 8, and x' = keep ? x keep_scale : 0.  The
 * backward pass needs the same bits.
 */
typedef struct lq_lora_args {
    size_t         struct_size;
    uint64_t       n;             /* vectors; 0: nothing is multiplied */
    const void    *x;             /* n vectors of cols numbers */
    void          *y;             /* n vectors of rows numbers; the forward pass only */
    const uint8_t *keep;          /* or NULL */
    float         *xa;            /* s x' A^T, n x rank: written by the forward pass and read by
                                     the backward pass; NULL: not kept, computed again */
    uint64_t       ldx, ldy;      /* numbers from vector to vector; 0: dense */
    lq_dtype       x_type, y_type;   /* F32 (0), F16, BF16 */
    float          keep_scale;    /* 1 / (1 - p); 0: 1 */
    int32_t        add_y;         /* 1: y is added to */
} lq_lora_args;

#define LQ_LORA_ARGS_INIT { sizeof(lq_lora_args), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_lora_args_init(lq_lora_args *args);

/* What the backward pass reads besides, and writes.  Results that are NULL are left out. */
typedef struct lq_lora_grads {
    size_t      struct_size;
    const void *dy;               /* n vectors of rows numbers */
    void       *dx;               /* n vectors of cols numbers */
    float      *da, *db;          /* [rank][cols], [rows][rank] */
    uint64_t    lddy, lddx;       /* 0: dense */
    lq_dtype    dy_type, dx_type; /* F32 (0), F16, BF16 */
    int32_t     add_dx, add_da, add_db;   /* 1: added to what is there */
} lq_lora_grads;

#define LQ_LORA_GRADS_INIT { sizeof(lq_lora_grads), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_lora_grads_init(lq_lora_grads *grads);

/*
 * The passes, on the context's threads.  Forward: y and args->xa.  Backward: from args' n, x,
 * keep and xa (x is not needed for dx alone, nor for dB with xa).
 *
 * LQ_ERR_ARG (NULL, both or neither of base and prepared, rank 0, a flag that is neither 0
 * nor 1, a scale that is not finite), LQ_ERR_SHAPE (an ld below the vector), LQ_ERR_ALIGN,
 * LQ_ERR_OVERLAP (what is written with anything else), LQ_ERR_OVERFLOW, LQ_ERR_UNSUPPORTED
 * (type; mode and spec); then nothing was written.  LQ_ERR_NOMEM: results may be written in
 * part.
 */
LQ_API lq_status lq_lora_forward(const lq_ctx *ctx, const lq_lora *lora,
                                 const lq_lora_args *args);
LQ_API lq_status lq_lora_backward(const lq_ctx *ctx, const lq_lora *lora,
                                  const lq_lora_args *args, const lq_lora_grads *grads);

/*
 * What merging did, sums over all numbers, weighted with the importance of their column: how
 * much of the change survives the rounding to the spec is 'error' against 'change'.
 */
typedef struct lq_merge_report {
    size_t struct_size;
    double squares;   /* of W + s B A */
    double change;    /* squares of s B A */
    double error;     /* squares of what was stored minus W + s B A */
} lq_merge_report;

#define LQ_MERGE_REPORT_INIT { sizeof(lq_merge_report), 0, 0, 0 }
LQ_API void lq_merge_report_init(lq_merge_report *report);

/*
 * Encode W + s B A in 'spec' (NULL: that of W) to a new tensor of shape 1 x rows x cols.  The
 * sum is f32: W decoded, plus s (B A) in the order of lq_gemm().  Strips of some 1 MiB of W
 * are decoded at a time; besides two of them and the tensor, memory is lq_gemm()'s and the
 * encoder's.  'opts' and 'report' may be NULL; rounding, and so LQ_ERR_NONFINITE, is
 * lq_encoder's.  The same bytes at every level, for any threads.
 *
 * Statuses of the passes, lq_encoder_begin() and lq_encoder_finish(); then there is no tensor.
 */
LQ_API lq_status lq_lora_merge(const lq_ctx *ctx, const lq_lora *lora, const lq_spec *spec,
                               const lq_encode_opts *opts, lq_tensor **merged,
                               lq_merge_report *report, lq_error *error);

/* ------------------------------------------------------- fake quantization */

/*
 * What numbers become when they are quantized and decoded again, with gradients as if
 * rounding were not there (the straight-through estimator): for training weights that will
 * be stored in a spec, and for 8-bit activations and gradients.
 *
 * The forward pass is encode and decode: y is bit for bit what the planes of
 * lq_fake_encode() decode to, which are the trained weight.  Where the scales come from is
 * the rule.  Below, s is the scale of x's group as the spec's type stores it, level the
 * value that the spec gives x's code at scale 1, lo and hi the least and largest of these,
 * u = x / s, dy the gradient of y.
 *
 *   FITTED     Any spec; scales as lq_tensor_encode() finds them, with 'opts'.  dx = dy.
 *              "ternary:t" is BitNet b1.58, "nf4:b64" or "codebook:ch" a table, "fp8_e4m3:t"
 *              FP8 with dynamic scaling.
 *   AFFINE     Integers, with or without zero points; scales and zero points are the
 *              caller's, fixed or learned (PyTorch).  The zero point is rounded, to 0..2^b - 1.
 *                  where |u - level| <= 1/2:   dx = dy   ds = (level - u) dy   dz = 0
 *                  beyond the last level:      dx = 0    ds = level dy         dz = -s dy
 *   LSQ        Learned step size (arXiv 1902.08153) for the levels of any spec without zero
 *              points: integers, ternary, codebooks, FP8.  Without gradients for scales:
 *              clipping at scales that are given, for FP8 those of lq_fake_observe().
 *                  where lo <= u <= hi:        dx = dy   ds = (level - u) dy
 *                  elsewhere:                  dx = 0    ds = level dy
 *              Of two levels (1 bit), ds = level dy everywhere (ParetoQ).
 *   STRETCHED  Stretched elastic quantization (ParetoQ, arXiv 2502.02631) for N equally
 *              spaced levels around 0: three in "ternary:ch", four in "int2:g32:fz:f32" or a
 *              codebook.  With n = N / 2, h = 1/2, or 0 for odd N; here u = x / scales[]:
 *                  y = s' (round(clamp(u, +-0.99) n - h) + h),   s' = scales[] / n
 *                  where |u| <= 0.99:          dx = dy   ds = (y / scales[] - u) dy
 *                  elsewhere:                  dx = 0    ds = sign(u) (n - h) / n dy
 *              What is stored as scale is s' over the distance of the spec's levels.
 *
 * Rounding is to nearest even.  A scale that is not above 0 in its type counts as the least
 * that is.  For f32 scales all formulas are f32, in the order written.
 */
enum { LQ_FAKE_FITTED = 0, LQ_FAKE_AFFINE = 1, LQ_FAKE_LSQ = 2, LQ_FAKE_STRETCHED = 3 };

/*
 * All but FITTED: a planar spec without second-level or global scales and group indices.
 * Arrays are the caller's, in the order of the spec's scales ([group of rows][group of
 * columns]; flat: along the tensor), lq_fake_groups() numbers each.
 */
typedef struct lq_fake {
    size_t         struct_size;
    int32_t        rule;            /* LQ_FAKE_... */
    const lq_spec *spec;
    const lq_encode_opts *opts;     /* FITTED; or NULL */
    float         *scales;          /* all but FITTED */
    float         *zeros;           /* AFFINE with zero points: in numbers of codes */
    float         *history;         /* lq_fake_observe(): [history_length][groups] */
    uint32_t       history_length;
    float          grad_factor;     /* of the gradients of scales and zeros; 0: 1 for AFFINE,
                                       else 1 / sqrt(rows * cols * Q), Q = hi for LSQ, (N - 1)
                                       / 2 rounded down (at least 1) for STRETCHED */
} lq_fake;

#define LQ_FAKE_INIT { sizeof(lq_fake), 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_fake_init(lq_fake *fake);

/*
 * These are common to the functions below: [rows][cols] f32 arrays, dense; the context's
 * threads; memory from its allocator (the planes, and 16 bytes per group and row for
 * gradients of scales), given back.  Same bytes for any threads and CPU level.  Calls with
 * other arrays may run at the same time.
 *
 * LQ_ERR_ARG (NULL, rule, a factor that is not finite), LQ_ERR_UNSUPPORTED (a spec that the
 * rule does not have), LQ_ERR_NONFINITE (NaN or infinity in x, scales, zeros; FITTED: by
 * 'opts'), LQ_ERR_NUMERIC (a scale does not fit its type), LQ_ERR_SHAPE, LQ_ERR_ALIGN,
 * LQ_ERR_OVERFLOW, LQ_ERR_OVERLAP, LQ_ERR_NOMEM; then the results are untouched.
 */

/* Scales of a matrix. */
LQ_API lq_status lq_fake_groups(const lq_fake *fake, uint64_t rows, uint64_t cols,
                                uint64_t *groups, lq_error *error);

/*
 * First values of fake->scales and ->zeros.  AFFINE, and LSQ of levels that are not integers:
 * what the spec finds for the range of the group, so that y is decode(encode(x)).  LSQ of
 * integers: 2 mean |x| / sqrt(hi).  STRETCHED: max |x|.
 */
LQ_API lq_status lq_fake_start(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows,
                               uint64_t cols, const float *x, lq_error *error);

/*
 * Delayed scaling (FP8 training): put the largest magnitude of each group of x first in
 * fake->history, whose last entry goes, and set fake->scales to what the spec finds for the
 * largest of the history.  The history begins as zeros.  Called after the forward pass,
 * that used what earlier calls left; once before the first.  LSQ only.
 */
LQ_API lq_status lq_fake_observe(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows,
                                 uint64_t cols, const float *x, lq_error *error);

/* x to y, which may be x. */
LQ_API lq_status lq_fake_forward(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows,
                                 uint64_t cols, const float *x, float *y, lq_error *error);

/* The same, kept as a tensor: what to store when training is over. */
LQ_API lq_status lq_fake_encode(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows,
                                uint64_t cols, const float *x, lq_tensor **tensor,
                                lq_error *error);

/*
 * The backward pass, with fake->scales and ->zeros as they were in the forward pass.  It is
 * linear in dy, so gradients of several forward passes may be added up first.  dy is not
 * checked: its NaN and infinities go where the formulas send them.
 */
typedef struct lq_fake_grads {
    size_t       struct_size;
    const float *x;        /* as in the forward pass; FITTED: not needed */
    const float *dy;
    float       *dx;       /* overwritten; may be dy */
    float       *dscales;  /* overwritten, or NULL; not with FITTED.  Sums over a group: in
                              double, row by row, rounded once after the factor */
    float       *dzeros;   /* AFFINE with zero points; or NULL */
} lq_fake_grads;

#define LQ_FAKE_GRADS_INIT { sizeof(lq_fake_grads), 0, 0, 0, 0, 0 }
LQ_API void lq_fake_grads_init(lq_fake_grads *grads);

LQ_API lq_status lq_fake_backward(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows,
                                  uint64_t cols, const lq_fake_grads *grads, lq_error *error);

/* ------------------------------------------------------------ paged arrays */

/*
 * Arrays in files that are mapped: plain pointers, of which only as much is in memory as a
 * budget allows.  Several arrays share one budget.  The system moves pages; the pool tells it
 * which: lq_paged_use() starts to read what is needed next, and what was used longest ago is
 * written back and given up.
 *
 * Every pointer into an array may be used at any time, as long as the pool lives; what is
 * touched without lq_paged_use() is read when it is touched, slowly, and is in memory
 * beyond the budget until lq_paged_trim().  A file's blocks are reserved when the array is
 * made, so stores cannot fail for want of room (on file systems that write in place).  An
 * error of the disk while the system reads a page, or a file that somebody else cuts, kills
 * the process with SIGBUS.
 *
 * Where the system is not Linux arrays are plain memory: read from their files when they are
 * made, written by lq_paged_sync(), and the budget is not kept.
 *
 * A pool belongs to one thread at a time; the memory itself to whoever uses it.
 */
typedef struct lq_paged lq_paged;

#define LQ_PAGED_MIN_BUDGET ((uint64_t)2 << 20)

typedef struct lq_paged_opts {
    size_t      struct_size;
    const char *directory;      /* of temporary files; NULL: there are none */
    uint64_t    budget_bytes;   /* 0: 256 MiB; at least LQ_PAGED_MIN_BUDGET */
} lq_paged_opts;

#define LQ_PAGED_OPTS_INIT { sizeof(lq_paged_opts), 0, 0 }
LQ_API void lq_paged_opts_init(lq_paged_opts *opts);

/*
 * A pool without arrays.  'opts' NULL: defaults.  The context must outlive it.
 * LQ_ERR_ARG (NULL; a budget that is too small), LQ_ERR_UNSUPPORTED, LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_paged_create(const lq_ctx *ctx, const lq_paged_opts *opts,
                                 lq_paged **pool, lq_error *error);

/* Free all arrays and the pool.  NULL is allowed. */
LQ_API void lq_paged_destroy(lq_paged *pool);

/*
 * An array of 'bytes' bytes, aligned to a page.  It belongs to the pool.  0 bytes: *data
 * becomes NULL.  An array is a file, open as long as the array lives: for many small ones
 * take a large one and cut it.
 *
 * 'path' NULL: of zeros, in a temporary file without a name.  Else in this file, which stays:
 * a new or an empty one becomes 'bytes' zeros, one of just that size keeps its content, which
 * is nothing but the array's bytes.
 *
 * LQ_ERR_ARG (NULL; no path and no directory), LQ_ERR_OVERFLOW, LQ_ERR_NOMEM, LQ_ERR_NOSPACE
 * (also the limit of the process), LQ_ERR_NOTFOUND (no such directory), LQ_ERR_IO (also: no
 * regular file), LQ_ERR_MISMATCH (a file of another size), LQ_ERR_OVERLAP (a file that is a
 * paged array already), LQ_ERR_UNSUPPORTED (a file system that lies in memory).  Then there
 * is no file that was not there before.
 */
LQ_API lq_status lq_paged_alloc(lq_paged *pool, uint64_t bytes, const char *path, void **data,
                                lq_error *error);

/* Free the array that begins at 'data'; NULL is allowed.  Its file stays if it has a name.
 * LQ_ERR_ARG (no array begins there). */
LQ_API lq_status lq_paged_free(lq_paged *pool, void *data);

/* What is done with memory.  Pinned. */
enum {
    LQ_PAGED_READ  = 0,
    LQ_PAGED_WRITE = 1   /* read or written */
};

/*
 * [data, data + bytes), in one array, is used now or soon: start to read what is missing of
 * it, and give up what was used longest ago.  Does not wait for what it reads.  Pages move in
 * segments of a 32nd of the budget (64 KiB to 16 MiB, from the beginning of the array), and
 * what was named last stays as long as its segments fit the budget.  'access' tells what will
 * have to be written and is for the counters: nothing that is stored is ever lost.
 *
 * LQ_ERR_ARG (NULL pool; not in one array), LQ_ERR_LIMIT (more than the budget at once),
 * LQ_ERR_IO, LQ_ERR_NOSPACE (writing back).
 */
LQ_API lq_status lq_paged_use(lq_paged *pool, const void *data, uint64_t bytes, int32_t access,
                              lq_error *error);

/* Give up everything that is in memory without lq_paged_use().  LQ_ERR_ARG, LQ_ERR_IO,
 * LQ_ERR_NOSPACE. */
LQ_API lq_status lq_paged_trim(lq_paged *pool, lq_error *error);

/*
 * Wait until the arrays that have a name are in their files, whatever then happens to the
 * process or the machine.  What is stored afterwards may be there or not.
 * LQ_ERR_ARG, LQ_ERR_IO, LQ_ERR_NOSPACE.
 */
LQ_API lq_status lq_paged_sync(lq_paged *pool, lq_error *error);

typedef struct lq_paged_info {
    size_t   struct_size;
    uint64_t budget;
    uint64_t bytes;      /* of all arrays */
    uint64_t resident;   /* of these in memory now, in whole pages, as the system counts
                            (mincore) */
    uint64_t read;       /* bytes that lq_paged_use() did not find in memory */
    uint64_t written;    /* bytes named with LQ_PAGED_WRITE that were written back */
} lq_paged_info;

#define LQ_PAGED_INFO_INIT { sizeof(lq_paged_info), 0, 0, 0, 0, 0 }
LQ_API void lq_paged_info_init(lq_paged_info *info);

/* LQ_ERR_ARG. */
LQ_API lq_status lq_paged_get(const lq_paged *pool, lq_paged_info *info);

/*
 * lq_optimizer_step() on the threads of the pool's context, for arrays of which some or all
 * lie in the pool: a segment's numbers after the other, the next ones being read meanwhile.
 * The bytes are those of lq_optimizer_step().  Even steps begin at the end, where the odd ones
 * before them have left pages in memory.
 *
 * Statuses as there, and those of lq_paged_use(): LQ_ERR_IO and LQ_ERR_NOSPACE can come in
 * the middle, when some of the numbers are stepped and others are not.
 */
LQ_API lq_status lq_paged_step(lq_paged *pool, const lq_optimizer *optimizer,
                               const lq_params *params, lq_error *error);

#ifdef __cplusplus
}
#endif
#endif
