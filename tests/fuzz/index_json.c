/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/index_json.c - fuzz target: any bytes as model.safetensors.index.json
 *
 * No shard may be accepted whose name could leave the directory.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lib/file/index_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const lqi_index *index)
{
    for (uint64_t i = 0; i < index->shard_count; i++) {
        const char *name = index->shards[i];
        if (!name[0] || strchr(name, '/') || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
            abort();
        if (i && strcmp(index->shards[i - 1], name) >= 0)
            abort();
    }
    for (uint64_t i = 0; i < index->tensor_count; i++) {
        if (index->tensors[i].shard >= index->shard_count)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const lq_allocator plain;
    lqi_index index;
    lq_error error = LQ_ERROR_INIT;
    lq_status status = lqi_index_parse(&plain, "index", data, size, 1000, &index, &error);
    if (status == LQ_OK)
        check(&index);
    else if (error.status != status || !error.message[0])
        abort();
    lqi_index_free(&index);
    return 0;
}
