/* SPDX-License-Identifier: MIT */
/*
 * lib/file/safetensors.h - what readers and writers of safetensors files share
 *
 *   bytes 0-7       n, little-endian: length of the header
 *   bytes 8-8+n     JSON: {"__metadata__": {"key": "text", ...},
 *                          "name": {"dtype": "F32", "shape": [2, 3],
 *                                   "data_offsets": [begin, end]}, ...}
 *                   padded with spaces
 *   bytes 8+n-...   data; offsets count from here, without overlap, gap or rest
 */
#ifndef LQI_SAFETENSORS_H
#define LQI_SAFETENSORS_H

#include "lib/file/json_scan.h"

#define LQI_SAFETENSORS_METADATA "__metadata__"

/* Element types by their names in headers; the end has dtype 0. */
typedef struct lqi_safetensors_dtype {
    char     name[12];
    lq_dtype dtype;
} lqi_safetensors_dtype;

extern const lqi_safetensors_dtype lqi_safetensors_dtypes[];

/*
 * Lay out tensors [first, last) as one file, 'member' of the output, and write its
 * header; before begin has succeeded, reserve its space as well.
 */
lq_status lqi_safetensors_put(lq_writer *w, uint64_t first, uint64_t last, uint32_t member,
                              lq_error *error);

/* 'text' as a JSON string, quotes included. */
void lqi_json_put_string(lqi_buffer *b, const char *text);
void lqi_json_put_u64(lqi_buffer *b, uint64_t value);

/* Shortest decimal that reads back as the same double, whatever the locale; at most 40
 * bytes. */
void lqi_print_double(double v, char *text, size_t capacity);

#endif
