/* SPDX-License-Identifier: MIT */
/*
 * libquant/train.h - training: optimizers
 *
 * Nothing here owns memory: parameters, gradients and the optimizer's state are the
 * caller's arrays, so they can lie in files, in mapped memory or in a framework's tensors,
 * and are saved and restored as they are.
 */
#ifndef LIBQUANT_TRAIN_H
#define LIBQUANT_TRAIN_H

#include "libquant/base.h"

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

#ifdef __cplusplus
}
#endif
#endif
