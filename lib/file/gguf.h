/* SPDX-License-Identifier: MIT */
/*
 * lib/file/gguf.h - what reading and writing of GGUF share
 */
#ifndef LQI_GGUF_H
#define LQI_GGUF_H

#include "lib/file/file.h"

#define LQI_GGUF_DIMS       4
#define LQI_GGUF_NAME       63          /* bytes of a tensor name */
#define LQI_GGUF_ALIGNMENT  32          /* unless general.alignment says otherwise */
#define LQI_GGUF_ALIGN_MAX  (1u << 20)
#define LQI_GGUF_ALIGN_KEY  "general.alignment"
#define LQI_GGUF_TYPE_BASE  100         /* lq_format = 100 + type number */

/* A tensor type of GGUF, known to the library's formats or not: a file that contains
 * it can be opened and copied all the same. */
typedef struct lqi_gguf_type {
    uint16_t block_len, block_bytes;    /* block_len 0: no such type */
    lq_dtype dtype;                     /* of plain numbers, else 0 */
} lqi_gguf_type;

/* NULL for removed and unknown numbers. */
const lqi_gguf_type *lqi_gguf_type_get(uint64_t number);

/* Number of the type that holds 'dtype' or, if that is 0, 'format'; -1: none. */
int32_t lqi_gguf_type_number(lq_dtype dtype, lq_format format);

/* Bytes of one element of a metadata value; 0 for strings, arrays, unknown types. */
uint32_t lqi_meta_bytes(lq_meta_type type);

#endif
