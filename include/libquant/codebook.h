/* SPDX-License-Identifier: MIT */
/*
 * libquant/codebook.h - tables of values that codes index
 */
#ifndef LIBQUANT_CODEBOOK_H
#define LIBQUANT_CODEBOOK_H

#include "libquant/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * 2 to 256 finite f32 values, code by code.  Immutable; must outlive the specs that
 * name it and the context must outlive it.
 */
typedef struct lq_codebook lq_codebook;

/*
 * The table of 'values', in code order (they need not be sorted, equal values are
 * allowed).  The values are copied.
 * LQ_ERR_ARG: count outside 2..256.  LQ_ERR_NONFINITE.  LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_codebook_create(const lq_ctx *ctx, const float *values, size_t count,
                                    lq_codebook **codebook, lq_error *error);

/*
 * A table by name: "nf4" (16 normal quantiles, QLoRA, arXiv 2305.14314), "fp4"
 * (bitsandbytes), "dynamic8" and "udynamic8" (256 values, signed and unsigned,
 * bitsandbytes' dynamic map).  LQ_ERR_NOTFOUND for another name.
 */
LQ_API lq_status lq_codebook_named(const lq_ctx *ctx, const char *name,
                                   lq_codebook **codebook, lq_error *error);

/*
 * 'count' values at equally likely quantiles of the standard normal distribution,
 * divided by the largest, symmetric around an exact 0 when 'count' is odd.
 */
LQ_API lq_status lq_codebook_normal(const lq_ctx *ctx, size_t count,
                                    lq_codebook **codebook, lq_error *error);

/*
 * Fit 'count' values to 'n' samples in [-1, 1] (weights divided by their group's
 * absmax) by Lloyd-Max iterations, from quantiles of the samples, until the weighted
 * squared error falls by less than 1e-6 of itself or after 100 rounds.  Fixed order of
 * sums: the same bytes everywhere.  'importance' has one weight per sample, or is NULL.
 * LQ_ERR_NONFINITE; LQ_ERR_NUMERIC: fewer than 'count' distinct samples.
 */
LQ_API lq_status lq_codebook_fit(const lq_ctx *ctx, const float *samples,
                                 const float *importance, size_t n, size_t count,
                                 lq_codebook **codebook, lq_error *error);

/* NULL is allowed. */
LQ_API void lq_codebook_destroy(lq_codebook *codebook);

/* Number of values (0 for NULL), and the values in code order (NULL for NULL). */
LQ_API size_t lq_codebook_count(const lq_codebook *codebook);
LQ_API const float *lq_codebook_values(const lq_codebook *codebook);

/*
 * Code of the value nearest to each of 'n' numbers; a tie goes to the smaller value,
 * equal values to the lower code, NaN to the code of the value nearest to 0.
 * LQ_ERR_ARG for NULL.
 */
LQ_API lq_status lq_codebook_nearest(const lq_codebook *codebook, const float *x,
                                     size_t n, uint8_t *codes);

#ifdef __cplusplus
}
#endif
#endif
