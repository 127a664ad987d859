/* SPDX-License-Identifier: MIT */
/*
 * libquant/scales.h - arrays of block scales, with an optional second level
 *
 * Double quantization is a property of scales, not of a format: any planar spec with
 * 'dq' stores its scales like this.  The same arrays are offered on their own here.
 *
 *   one level    stored = round(scale) to the element type, nearest, ties to even
 *   two levels   offset  = mean of all scales (double, in index order, rounded to f32)
 *                block   = 256 neighbouring scales (scale2_block)
 *                scale2  = max |scale - offset| of the block
 *                code    = nearest value of the signed dynamic 8-bit map to
 *                          (scale - offset) / scale2, as bitsandbytes' CUDA kernel
 *                decoded = map[code] * scale2 + offset, two f32 roundings
 *                (QLoRA, arXiv 2305.14314)
 */
#ifndef LIBQUANT_SCALES_H
#define LIBQUANT_SCALES_H

#include "libquant/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lq_scales lq_scales;

typedef struct lq_scales_opts {
    size_t       struct_size;
    lq_dtype     type;          /* F32 (0), F16, BF16, E8M0, F8_E4M3; one level only */
    uint32_t     scale2_block;  /* 0: one level; else 8-bit codes in blocks of this many */
    const float *offset;        /* use this offset instead of the mean; two levels only */
} lq_scales_opts;

#define LQ_SCALES_OPTS_INIT { sizeof(lq_scales_opts), 0, 0, 0 }
LQ_API void lq_scales_opts_init(lq_scales_opts *opts);

/*
 * Store 'n' scales.  E8M0 takes the nearest power of two (in ratio; a tie in the
 * mantissa at sqrt(2) cannot occur), 0 becomes 2^-127.
 * LQ_ERR_NONFINITE; LQ_ERR_NUMERIC: a scale is out of the type's range (message names
 * the index), or negative for E8M0; LQ_ERR_UNSUPPORTED (type); LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_scales_create(const lq_ctx *ctx, const float *values, uint64_t n,
                                  const lq_scales_opts *opts, lq_scales **scales,
                                  lq_error *error);

/*
 * Take stored scales as they are: 'codes' are n elements of opts->type, or n bytes with
 * ceil(n / scale2_block) f32 in 'scale2' and *opts->offset.  The bytes are copied.
 */
LQ_API lq_status lq_scales_from_stored(const lq_ctx *ctx, const void *codes,
                                       const float *scale2, uint64_t n,
                                       const lq_scales_opts *opts, lq_scales **scales,
                                       lq_error *error);

LQ_API void lq_scales_destroy(lq_scales *scales);

/* Number of scales; 0 for NULL. */
LQ_API uint64_t lq_scales_count(const lq_scales *scales);

/* Stored bytes: first level, second level (NULL for one level), offset (0 for one).
 * Owned by 'scales'.  '*bytes' may be NULL. */
LQ_API const void  *lq_scales_codes(const lq_scales *scales, uint64_t *bytes);
LQ_API const float *lq_scales_scale2(const lq_scales *scales, uint64_t *count);
LQ_API float        lq_scales_offset(const lq_scales *scales);

/* Decode scales [first, first + n) to f32.  LQ_ERR_ARG: NULL or out of range. */
LQ_API lq_status lq_scales_decode(const lq_scales *scales, uint64_t first, uint64_t n,
                                  float *values);

#ifdef __cplusplus
}
#endif
#endif
