/* SPDX-License-Identifier: MIT */
/*
 * libquant/layout.h - other people's memory layouts of the same numbers
 *
 * Pure, lossless import and export between foreign arrays and our planes, for engines
 * with their own file loaders.  A layout changes no number: only order and packing.
 */
#ifndef LIBQUANT_LAYOUT_H
#define LIBQUANT_LAYOUT_H

#include "libquant/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * GPTQ: 'qweight' i32 [cols * bits / 32][rows], codes packed along cols;
 * 'qzeros' i32 [groups][rows * bits / 32], zero points packed along rows;
 * 'scales' f16 [groups][rows]; 'g_idx' i32 [cols].
 * v1 stores zero points minus one, per field modulo 2^bits; v2 stores them plainly.
 */
enum { LQ_GPTQ_V1 = 1, LQ_GPTQ_V2 = 2 };

typedef struct lq_gptq {
    size_t      struct_size;
    int32_t     version;      /* LQ_GPTQ_... */
    int32_t     reserved;
    void       *qweight, *qzeros, *scales;
    void       *g_idx;        /* NULL: column / group size */
    uint64_t    qweight_bytes, qzeros_bytes, scales_bytes, g_idx_bytes;
} lq_gptq;

#define LQ_GPTQ_INIT { sizeof(lq_gptq), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_gptq_init(lq_gptq *gptq);

/* Bytes that each array needs for an int spec with zero points and this shape (outer
 * 1): fills the '_bytes' members.  LQ_ERR_UNSUPPORTED: not such a spec.  LQ_ERR_SHAPE:
 * rows or cols is not a multiple of 32. */
LQ_API lq_status lq_gptq_bytes(const lq_spec *spec, uint64_t rows, uint64_t cols,
                               lq_gptq *gptq);

/* Foreign arrays -> planes of 'rows' (spec int4:gN:zp:f16, with gidx where g_idx is not
 * column / N).  LQ_ERR_BUFFER (array too short), LQ_ERR_CORRUPT (g_idx out of range). */
LQ_API lq_status lq_gptq_import(const lq_gptq *gptq, const lq_rows *rows);

/* Planes -> foreign arrays.  Version 1 cannot tell zero point 0 from 2^bits in
 * every reader: LQ_ERR_NUMERIC if a zero point is 0; version 2 takes everything. */
LQ_API lq_status lq_gptq_export(const lq_rows *rows, const lq_gptq *gptq);

/* Which version 'qzeros' of a symmetric model was written in: LQ_GPTQ_V2 if every field
 * is 2^(bits-1), LQ_GPTQ_V1 if every field is 2^(bits-1) - 1, 0 if neither. */
LQ_API int32_t lq_gptq_detect(const void *qzeros, uint64_t bytes, uint32_t bits);

#ifdef __cplusplus
}
#endif
#endif
