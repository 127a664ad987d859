/* SPDX-License-Identifier: MIT */
/*
 * lib/file/index_json.h - model.safetensors.index.json: which shard holds which tensor
 *
 *   {"metadata": {"total_size": 1234, ...}, "weight_map": {"name": "file", ...}}
 */
#ifndef LQI_INDEX_JSON_H
#define LQI_INDEX_JSON_H

#include "lib/file/json_scan.h"

#define LQI_INDEX_FILE "model.safetensors.index.json"
#define LQI_SHARD_NAME_BYTES 255    /* longest file name */

typedef struct lqi_index_tensor {
    const char *name;
    uint32_t    shard;              /* index into shards */
    int         found;              /* for the reader of the shards */
} lqi_index_tensor;

typedef struct lqi_index {
    lq_allocator      allocator;
    lqi_arena         arena;        /* all names */
    lqi_names        *tensor_names, *shard_names;
    lqi_index_tensor *tensors;      /* in the order of the file */
    uint64_t          tensor_count, tensor_capacity;
    const char      **shards;       /* sorted by name */
    uint64_t          shard_count, shard_capacity;
    uint64_t          total_size;
    int               has_total_size;
} lqi_index;

/*
 * Parse.  'path' is for messages.  Shard names are plain file names: no directories, not
 * "." or "..".  At most 'max_tensors' names.  The result, also after a failure, is to be
 * freed with lqi_index_free().
 */
lq_status lqi_index_parse(const lq_allocator *a, const char *path, const void *text,
                          uint64_t bytes, uint64_t max_tensors, lqi_index *index,
                          lq_error *error);
void lqi_index_free(lqi_index *index);

#endif
