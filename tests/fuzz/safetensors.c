/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/safetensors.c - fuzz target: any bytes as a safetensors file
 *
 * Nothing may be accepted whose tensors do not lie inside the file, and nothing under
 * 'strict' that is refused without it.
 */
#include <stdint.h>
#include <stdlib.h>

#include "libquant/libquant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const lq_file *file, const uint8_t *data, size_t size)
{
    for (uint64_t i = 0; i < lq_file_tensor_count(file); i++) {
        lq_file_tensor t = LQ_FILE_TENSOR_INIT;
        uint64_t found;
        if (lq_file_tensor_at(file, i, &t) != LQ_OK || t.offset > size ||
            t.bytes > size - t.offset || t.n_dims > LQ_MAX_DIMS)
            abort();
        if (lq_file_tensor_find(file, t.name, &found) != LQ_OK || found != i)
            abort();
        if (lq_file_tensor_data(file, i) != data + t.offset)
            abort();
    }
    for (uint64_t i = 0; i < lq_file_meta_count(file); i++) {
        lq_meta m = LQ_META_INIT;
        const char *text;
        uint64_t bytes;
        if (lq_file_meta_at(file, i, &m) != LQ_OK ||
            lq_file_meta_string(file, &m, 0, &text, &bytes) != LQ_OK || text[bytes] != '\0')
            abort();
    }
}

static lq_status try(const lq_ctx *ctx, const uint8_t *data, size_t size, int32_t strict)
{
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_file *file = NULL;
    opts.strict = strict;
    lq_status status = lq_file_open_memory(ctx, data, size, &opts, &file, &error);
    if (status != LQ_OK && (error.status != status || !error.message[0] || file))
        abort();
    if (status == LQ_OK && lq_file_container(file) == LQ_CONTAINER_SAFETENSORS)
        check(file, data, size);
    lq_file_close(file);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lq_ctx *ctx = NULL;
    if (lq_ctx_create(NULL, &ctx, NULL) != LQ_OK)
        return 0;
    lq_status lax = try(ctx, data, size, 0);
    if (try(ctx, data, size, 1) == LQ_OK && lax != LQ_OK)
        abort();
    lq_ctx_destroy(ctx);
    return 0;
}
