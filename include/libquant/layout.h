/* SPDX-License-Identifier: MIT */
/*
 * libquant/layout.h - other people's memory layouts of the same numbers
 *
 * Pure, lossless import and export between foreign arrays and our planes, for engines
 * with their own file loaders.  A layout changes no number: only order and packing.
 *
 * All of them take integer specs without second-level scales, one expert (outer 1).  A
 * spec without zero points ("int4:g128") stands for arrays whose zero points are all
 * 2^(bits - 1): import returns LQ_ERR_MISMATCH where one is not, export writes them.
 * The planes must not overlap the foreign arrays.
 *
 * NVFP4 and MXFP4 as compressed-tensors, ModelOpt and gpt-oss pack them are our planes.
 */
#ifndef LIBQUANT_LAYOUT_H
#define LIBQUANT_LAYOUT_H

#include "libquant/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------------- GPTQ */

/*
 * GPTQ: 'qweight' i32 [cols * bits / 32][rows], codes packed along cols;
 * 'qzeros' i32 [groups][rows * bits / 32], zero points packed along rows;
 * 'scales' f16 [groups][rows]; 'g_idx' i32 [cols].
 *
 *   V1        zero points minus one, per field modulo 2^bits
 *   V2        zero points as they are
 *   V1_WORDS  V1 by writers that subtract one from every field of a word at once: a zero
 *             point 0 borrows from the next field.  2, 4 and 8 bits
 *   PLANES    "gptq_p": each 32 codes as planes of 4, 2 and 1 bits (8 bits: bytes), zero
 *             points as in V2.  2 to 8 bits; the others 2, 3, 4 and 8
 */
enum { LQ_GPTQ_V1 = 1, LQ_GPTQ_V2 = 2, LQ_GPTQ_V1_WORDS = 3, LQ_GPTQ_PLANES = 4 };

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

/* Bytes that each array needs for an int spec with f16 scales: fills the '_bytes' members.
 * LQ_ERR_UNSUPPORTED: not such a spec.  LQ_ERR_SHAPE: rows or cols is not a multiple of
 * 32. */
LQ_API lq_status lq_gptq_bytes(const lq_spec *spec, uint64_t rows, uint64_t cols,
                               lq_gptq *gptq);

/* Foreign arrays -> planes of 'rows' (spec int4:gN:zp, with gidx where g_idx is not
 * column / N).  LQ_ERR_BUFFER (array too short), LQ_ERR_CORRUPT (g_idx out of range),
 * LQ_ERR_UNSUPPORTED (the version has not these bits). */
LQ_API lq_status lq_gptq_import(const lq_gptq *gptq, const lq_rows *rows);

/* Planes -> foreign arrays.  Version 1 cannot tell zero point 0 from 2^bits in
 * every reader: LQ_ERR_NUMERIC if a zero point is 0; the others take everything. */
LQ_API lq_status lq_gptq_export(const lq_rows *rows, const lq_gptq *gptq);

/* Which version 'qzeros' of a symmetric model was written in: LQ_GPTQ_V2 if every field
 * is 2^(bits-1), LQ_GPTQ_V1 if every field is 2^(bits-1) - 1, 0 if neither. */
LQ_API int32_t lq_gptq_detect(const void *qzeros, uint64_t bytes, uint32_t bits);

/* --------------------------------------------------------------------- AWQ */

/*
 * AWQ: 4 bits, f16 scales, groups that divide cols.
 *
 *   GEMM   'qweight' i32 [cols][rows / 8], nibble i of word c is row 8c + order[i], order
 *          0 2 4 6 1 3 5 7; 'qzeros' i32 [groups][rows / 8] likewise; 'scales' f16
 *          [groups][rows].  rows: a multiple of 8
 *   GEMV   'qweight' i32 [rows][cols / 8], low nibble first; 'qzeros' i32 [rows][zw], one
 *          nibble per group; 'scales' f16 [rows][8 zw].  zw: words for the groups, rounded
 *          up to a multiple of 1 (groups of 128 and more), 2 (64) or 4 (32); other groups
 *          are LQ_ERR_UNSUPPORTED.  cols: a multiple of 8
 *   FAST   "gemv_fast", and llm-awq itself: 'qweight' i16 [rows / 4][cols], four rows and
 *          64 columns interleaved; 'scales' f16 [8 zw][rows]; 'qzeros' f16 [8 zw][rows],
 *          -(zero * scale), which llm-awq calls scaled_zeros.  rows: a multiple of 4,
 *          cols: of 64
 */
enum { LQ_AWQ_GEMM = 1, LQ_AWQ_GEMV = 2, LQ_AWQ_FAST = 3 };

typedef struct lq_awq {
    size_t      struct_size;
    int32_t     version;      /* LQ_AWQ_... */
    int32_t     reserved;
    void       *qweight, *qzeros, *scales;
    uint64_t    qweight_bytes, qzeros_bytes, scales_bytes;
} lq_awq;

#define LQ_AWQ_INIT { sizeof(lq_awq), 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_awq_init(lq_awq *awq);

/* Bytes that each array needs, for awq->version and an int4 spec with f16 scales: fills
 * the '_bytes' members.  LQ_ERR_ARG (version), LQ_ERR_UNSUPPORTED, LQ_ERR_SHAPE. */
LQ_API lq_status lq_awq_bytes(const lq_spec *spec, uint64_t rows, uint64_t cols,
                              lq_awq *awq);

/* Foreign arrays -> planes of 'rows' (spec int4:gN:zp).  LQ_ERR_BUFFER (array too short);
 * FAST: LQ_ERR_NUMERIC if a scaled zero point is not that of an integer 0..15. */
LQ_API lq_status lq_awq_import(const lq_awq *awq, const lq_rows *rows);

/* Planes -> foreign arrays; padding becomes 0.  LQ_ERR_MISMATCH: g_idx is not column / N,
 * which AWQ cannot say.  FAST: LQ_ERR_NUMERIC if a zero point cannot be told from
 * -(zero * scale) in f16 (scale 0 or not finite, overflow). */
LQ_API lq_status lq_awq_export(const lq_rows *rows, const lq_awq *awq);

/* ------------------------------------------------------ compressed-tensors */

/*
 * "pack-quantized": 'packed' i32 [rows][words], codes (value + 2^(bits - 1)) along cols;
 * 'zero_point' i32 [words for rows][groups], packed along rows.  2 to 8 bits, any shape,
 * any type of scales: weight_scale and weight_g_idx are our planes as they are.
 *
 *   DENSE   a stream of bits: ceil(n * bits / 32) words
 *   WORDS   floor(32 / bits) codes to a word, the rest of it unused: what
 *           compressed-tensors wrote until 0.16.0.  Differs for 3, 5, 6 and 7 bits
 */
enum { LQ_COMPRESSED_DENSE = 1, LQ_COMPRESSED_WORDS = 2 };

typedef struct lq_compressed {
    size_t      struct_size;
    int32_t     form;         /* LQ_COMPRESSED_... */
    int32_t     reserved;
    void       *packed;
    void       *zero_point;   /* not looked at without zero points */
    uint64_t    packed_bytes, zero_point_bytes;
} lq_compressed;

#define LQ_COMPRESSED_INIT { sizeof(lq_compressed), 0, 0, 0, 0, 0, 0 }
LQ_API void lq_compressed_init(lq_compressed *compressed);

/* Bytes that each array needs, for compressed->form: fills the '_bytes' members.
 * LQ_ERR_ARG (form), LQ_ERR_UNSUPPORTED (spec), LQ_ERR_OVERFLOW. */
LQ_API lq_status lq_compressed_bytes(const lq_spec *spec, uint64_t rows, uint64_t cols,
                                     lq_compressed *compressed);

/* Form of rows of 'words' words with 'n' codes: DENSE also where the two agree, 0 if
 * it is neither. */
LQ_API int32_t lq_compressed_detect(uint32_t bits, uint64_t n, uint64_t words);

/* Foreign arrays -> CODES and ZEROS of 'rows'; the other planes stay as they are.
 * LQ_ERR_BUFFER (array too short). */
LQ_API lq_status lq_compressed_import(const lq_compressed *compressed, const lq_rows *rows);

/* CODES and ZEROS -> foreign arrays; unused bits become 0. */
LQ_API lq_status lq_compressed_export(const lq_rows *rows, const lq_compressed *compressed);

#ifdef __cplusplus
}
#endif
#endif
