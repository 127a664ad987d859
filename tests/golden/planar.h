/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/planar.h - a planar matrix encoded and decoded by a format's functions alone
 *
 * The library's core does the same with threads, strips and planes; here only the rules of
 * lib/format are under test.
 */
#ifndef TEST_PLANAR_H
#define TEST_PLANAR_H

#include "lib/core/core.h"

typedef struct planar {
    lq_spec  spec;           /* format, zeros and scale_type are used */
    size_t   rows, cols;     /* flat: one row */
    size_t   group_rows, group_cols;
    uint8_t *codes;          /* rows of row_bytes */
    size_t   row_bytes, row_groups;
    float   *scale, *zero;   /* [group of rows][group of columns] */
} planar;

void planar_init(planar *p, lq_format format, size_t rows, size_t cols, size_t group_rows,
                 size_t group_cols);
void planar_free(planar *p);

/* Encode; where a row ends within a byte, the rest of it holds the code of 0.0. */
void planar_encode(planar *p, const float *x);

/* By the format's decode; fails the test if codes_read and value say otherwise. */
void planar_decode(const planar *p, float *y);

#endif
