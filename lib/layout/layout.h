/* SPDX-License-Identifier: MIT */
/*
 * lib/layout/layout.h - what layouts share: an integer matrix of ours, streams of fields
 */
#ifndef LQI_LAYOUT_H
#define LQI_LAYOUT_H

#include "lib/format/format.h"
#include "libquant/layout.h"

#define LQI_BATCH 32   /* fields at a time: whole bytes of ours, whole words of theirs */

/* Rows of an integer spec.  Their numbers are ours, but that our 8-bit codes and zero points
 * are two's complement: number ^ flip is our byte. */
typedef struct lqi_matrix {
    lq_spec  spec;
    unsigned bits, flip;
    uint64_t rows, cols;
    uint64_t group_rows, group_cols;   /* as numbers */
    uint64_t row_groups, groups;       /* groups down, and across */
    uint64_t row_bytes;                /* from row to row of our codes */
    void    *plane[LQ_PLANES];
} lqi_matrix;

/* LQ_ERR_UNSUPPORTED: not an integer format, flat, float zeros or second-level scales. */
lq_status lqi_matrix_init(lqi_matrix *m, const lq_spec *spec, uint64_t rows, uint64_t cols);

/* The same for one group row and f16 scales, which GPTQ and AWQ want. */
lq_status lqi_matrix_half(lqi_matrix *m, const lq_spec *spec, uint64_t rows, uint64_t cols);

/* The caller's planes: stride, and that what the layout reads or writes is there ('scales':
 * the scales and indices too). */
lq_status lqi_matrix_planes(lqi_matrix *m, const lq_rows *rows, int scales);

/* LQI_BATCH or fewer codes from column 'first' on, as numbers. */
void lqi_matrix_read(const lqi_matrix *m, uint64_t row, uint64_t first, size_t n,
                     uint32_t *codes);
void lqi_matrix_write(const lqi_matrix *m, uint64_t row, uint64_t first, size_t n,
                      uint32_t *codes);

/* Zero point number 'index' as a number; 2^(bits - 1) without zero points. */
uint32_t  lqi_matrix_zero(const lqi_matrix *m, uint64_t index);
/* Store it; without zero points: LQ_ERR_MISMATCH if it is another. */
lq_status lqi_matrix_set_zero(const lqi_matrix *m, uint64_t index, uint32_t zero);

/* All our zero points in range: LQ_ERR_CORRUPT; and at least 'least': LQ_ERR_NUMERIC. */
lq_status lqi_matrix_check_zeros(const lqi_matrix *m, uint32_t least);

/* lq_gptq_detect(), and with 'planes' LQ_GPTQ_PLANES if every field of such an array is
 * 2^(bits-1). */
int32_t lqi_gptq_detect(const void *qzeros, uint64_t bytes, uint32_t bits, int planes);

/* Write what the caller's struct, read into 'copy', has room for. */
void lqi_struct_return(void *dst, const void *copy, size_t known);

#endif
