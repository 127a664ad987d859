/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/gguf_util.h - what the tests of blocked formats share
 */
#ifndef GGUF_UTIL_H
#define GGUF_UTIL_H

#include "lib/format/grids.h"

/* Parameters of one block, aligned for anything. */
typedef union block_param {
    uint8_t  bytes[LQI_PARAM_MAX];
    uint64_t align;
    double   align_float;
} block_param;

/* Codebooks with all neighbour lists; made once, never freed. */
const lqi_grids *all_grids(void);

/* A whole file of the test data folder, malloc; fails the test. */
uint8_t *read_data(const char *name, size_t *bytes);

/* A row, block by block, as the core does it: encode, or fit, round and pack. */
void encode_row(const lqi_format *f, const float *x, const float *imp, size_t cols,
                uint8_t *out);

/* Parameters and codes of block 'i' of a row; the row's header, if any, is among the
 * parameters. */
void unpack_block(const lqi_format *f, const uint8_t *row, size_t i, block_param *param,
                  uint32_t *codes);

/* A row of whole blocks by unpack and value. */
void value_row(const lqi_format *f, const uint8_t *in, size_t cols, float *y);

/* 'n' elements from 'first' by the format's decoder. */
void decode_run(const lqi_format *f, const uint8_t *row, size_t first, size_t n, float *y);

size_t row_bytes(const lqi_format *f, size_t cols);

/* The first difference, or n; bits count, but any NaN equals any other. */
size_t first_difference(const float *a, const float *b, size_t n);

/* FNV-1a, 64 bits: of bytes, and of floats as little-endian bytes. */
uint64_t fnv_bytes(const uint8_t *p, size_t n);
uint64_t fnv_floats(const float *p, size_t n);

/* Reproducible numbers: 32 random bits, and a standard normal float. */
uint32_t random_bits(uint64_t *state);
float    random_normal(uint64_t *state);

#endif
