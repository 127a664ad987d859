/* SPDX-License-Identifier: MIT */
/*
 * libquant/tensor.h - quantized rows and tensors: encode and decode
 *
 * Three ways in, from light to complete:
 *
 *   lq_encode_rows / lq_decode_rows   on the caller's memory, no allocation; for specs
 *                                     whose rows are independent (encode) and all specs
 *                                     (decode)
 *   lq_encoder                        streaming: any spec, any size, bounded memory
 *   lq_tensor                         a handle that owns, or borrows, its planes
 *
 * Same bytes on every CPU level, compiler, and for any number of threads.
 */
#ifndef LIBQUANT_TENSOR_H
#define LIBQUANT_TENSOR_H

#include "libquant/format.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------------- rows */

/*
 * One matrix of quantized rows in the caller's memory: a cache that grows, a mapped
 * file, a slice.  Plain data; keep it on the stack.  'plane[i]' holds what
 * lq_plane_bytes() says for {1, rows, cols}; planes a spec lacks are NULL.  Functions
 * that decode do not write to the planes.
 *
 * 'stride' is the distance in bytes from one row to the next in CODES (0: dense), for
 * rows with padding between them.  Flat specs must be dense.
 */
typedef struct lq_rows {
    size_t         struct_size;
    const lq_spec *spec;
    void          *plane[LQ_PLANES];
    uint64_t       stride;
    uint64_t       rows, cols;
} lq_rows;

#define LQ_ROWS_INIT { sizeof(lq_rows), 0, { 0 }, 0, 0, 0 }
LQ_API void lq_rows_init(lq_rows *rows);

/*
 * Decode rows [row0, row0 + n) to 'y' (F32, F16 or BF16; 'ldy' elements from row to
 * row, at least cols), as the format's reference does in f32, then rounded once to
 * nearest even.  Any bytes decode to something: no input is undefined.
 *
 * Uses the context's threads; allocates nothing.  LQ_ERR_ARG, LQ_ERR_SHAPE,
 * LQ_ERR_ALIGN, LQ_ERR_OVERFLOW; then y is untouched.
 */
LQ_API lq_status lq_decode_rows(const lq_ctx *ctx, const lq_rows *rows, uint64_t row0,
                                uint64_t n, lq_dtype y_type, void *y, uint64_t ldy);

/* What to do with NaN and infinities in the source. */
enum {
    LQ_NONFINITE_ERROR     = 0, /* LQ_ERR_NONFINITE, output planes undefined */
    LQ_NONFINITE_CLAMP     = 1, /* infinity: the largest finite value of the row; NaN: 0 */
    LQ_NONFINITE_ZERO      = 2, /* both become 0 */
    LQ_NONFINITE_PROPAGATE = 3  /* encoded as they come: the group decodes to anything */
};

/* Which search finds scales. */
enum {
    LQ_SEARCH_EXACT = 0, /* the format's reference: its bytes */
    LQ_SEARCH_BEST  = 1  /* lower squared error (weighted with the importances in blocked
                            formats), same format, several times slower.  Groups of
                            several rows and float zero points: as EXACT */
};

typedef struct lq_encode_opts {
    size_t       struct_size;
    int32_t      nonfinite;    /* LQ_NONFINITE_... */
    int32_t      search;       /* LQ_SEARCH_... */
    const float *importance;   /* one non-negative weight per column [outer][cols], for
                                  formats that use it (imatrix); or NULL */
    const float *offset;       /* second-level scales: use this offset, one per outer,
                                  instead of the mean of the scales; or NULL */
    lq_progress  progress;
} lq_encode_opts;

#define LQ_ENCODE_OPTS_INIT { sizeof(lq_encode_opts), 0, 0, 0, 0, { 0, 0 } }
LQ_API void lq_encode_opts_init(lq_encode_opts *opts);

/* 1 if every row can be encoded without seeing the others (lq_encode_rows works). */
LQ_API int lq_spec_rows_independent(const lq_spec *spec);

/*
 * Encode n rows of 'x' (F32, F16, BF16; 'ldx' elements from row to row) into rows
 * [row0, row0 + n) of 'rows'.  'x' and the planes must not overlap.
 *
 * Uses the context's threads; allocates nothing.  LQ_ERR_UNSUPPORTED: rows depend on
 * each other (use lq_encoder).  LQ_ERR_NONFINITE, LQ_ERR_NUMERIC (a scale does not fit
 * its type), LQ_ERR_SHAPE, LQ_ERR_ALIGN, LQ_ERR_OVERLAP, LQ_ERR_ARG.
 */
LQ_API lq_status lq_encode_rows(const lq_ctx *ctx, const lq_rows *rows, uint64_t row0,
                                uint64_t n, lq_dtype x_type, const void *x, uint64_t ldx,
                                const lq_encode_opts *opts);

/* ----------------------------------------------------------------- encoder */

/*
 * Encodes one tensor of any spec from strips of rows, in memory that does not grow
 * with the tensor.  Use:
 *
 *     lq_encoder_begin(ctx, &spec, &shape, &opts, sink, user, &enc, &error);
 *     if (lq_encoder_passes(enc) == 2)
 *         for each strip: lq_encoder_scan(enc, LQ_F32, x, ldx, n);
 *     for each strip:     lq_encoder_rows(enc, LQ_F32, x, ldx, n);
 *     lq_encoder_finish(enc, &error);  lq_encoder_destroy(enc);
 *
 * Strips come in row order, expert after expert; a strip never crosses an expert.
 */
typedef struct lq_encoder lq_encoder;

/*
 * Receives finished bytes: 'bytes' bytes of 'plane' at 'offset'.  Offsets of a plane
 * ascend without gaps.  Return 0, or a negative lq_status to stop.
 */
typedef lq_status lq_plane_sink(void *user, int plane, uint64_t offset,
                                const void *data, size_t bytes);

/* LQ_ERR_ARG, LQ_ERR_SHAPE, LQ_ERR_UNSUPPORTED, LQ_ERR_OVERFLOW, LQ_ERR_NOMEM,
 * LQ_ERR_NONFINITE (importances or offset). */
LQ_API lq_status lq_encoder_begin(const lq_ctx *ctx, const lq_spec *spec,
                                  const lq_shape *shape, const lq_encode_opts *opts,
                                  lq_plane_sink *sink, void *user,
                                  lq_encoder **encoder, lq_error *error);

/* 2 if all rows must be shown to lq_encoder_scan() first (scales or an offset of the
 * whole tensor), else 1.  0 for NULL. */
LQ_API int lq_encoder_passes(const lq_encoder *encoder);

/* Strips must hold a multiple of this many rows, except an expert's last.  1 for
 * most specs; 128 for 128x128 groups. */
LQ_API uint64_t lq_encoder_strip_rows(const lq_encoder *encoder);

LQ_API lq_status lq_encoder_scan(lq_encoder *encoder, lq_dtype x_type, const void *x,
                                 uint64_t ldx, uint64_t n);
LQ_API lq_status lq_encoder_rows(lq_encoder *encoder, lq_dtype x_type, const void *x,
                                 uint64_t ldx, uint64_t n);

/* Emit what is left.  LQ_ERR_SHAPE: rows are missing.  After any error the encoder
 * only accepts lq_encoder_destroy(). */
LQ_API lq_status lq_encoder_finish(lq_encoder *encoder, lq_error *error);
LQ_API void lq_encoder_destroy(lq_encoder *encoder);

/* ------------------------------------------------------------------ tensor */

/* Planes of an [outer][rows][cols] tensor, owned or borrowed. */
typedef struct lq_tensor lq_tensor;

/* Allocate zeroed planes. */
LQ_API lq_status lq_tensor_create(const lq_ctx *ctx, const lq_spec *spec,
                                  const lq_shape *shape, lq_tensor **tensor,
                                  lq_error *error);

/* Borrow planes, which must stay valid and hold lq_plane_bytes() each.  'bytes' says
 * how much there is: LQ_ERR_BUFFER if a plane is too short. */
LQ_API lq_status lq_tensor_wrap(const lq_ctx *ctx, const lq_spec *spec,
                                const lq_shape *shape, void *const plane[LQ_PLANES],
                                const uint64_t bytes[LQ_PLANES], lq_tensor **tensor,
                                lq_error *error);

/* Encode a whole dense tensor from memory into a new handle. */
LQ_API lq_status lq_tensor_encode(const lq_ctx *ctx, const lq_spec *spec,
                                  const lq_shape *shape, lq_dtype x_type, const void *x,
                                  const lq_encode_opts *opts, lq_tensor **tensor,
                                  lq_error *error);

/* Decode everything, dense, [outer][rows][cols]. */
LQ_API lq_status lq_tensor_decode(const lq_tensor *tensor, lq_dtype y_type, void *y);

/*
 * Examine stored bytes: scales finite, codes and group indices in range, padding as
 * the format wants it.  LQ_ERR_NONFINITE or LQ_ERR_CORRUPT with the plane's name and
 * byte offset in 'error'.
 */
LQ_API lq_status lq_tensor_check(const lq_tensor *tensor, lq_error *error);

LQ_API void lq_tensor_destroy(lq_tensor *tensor);

/* Owned by the tensor; NULL for NULL. */
LQ_API const lq_spec *lq_tensor_spec(const lq_tensor *tensor);
LQ_API lq_status lq_tensor_shape(const lq_tensor *tensor, lq_shape *shape);
LQ_API void *lq_tensor_plane(const lq_tensor *tensor, int plane, uint64_t *bytes);

/* View of one expert's rows.  The view borrows from the tensor. */
LQ_API lq_status lq_tensor_rows(const lq_tensor *tensor, uint64_t outer, lq_rows *rows);

#ifdef __cplusplus
}
#endif
#endif
