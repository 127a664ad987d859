/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/gguf.c - fuzz target: any bytes as a GGUF file
 *
 * What is accepted lies inside the file and can be read to the last byte; what is refused
 * says why; strict accepts nothing more; memory stays in proportion to the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libquant/libquant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ------------------------------------------------------------------- memory */

typedef struct meter {
    size_t live, limit;
} meter;

#define HEAD 64   /* before each block: its size */

static void *meter_alloc(void *user, size_t size, size_t align)
{
    meter *m = user;
    void *memory = NULL;

    if (align > HEAD || m->live + size > m->limit)
        abort();
    if (posix_memalign(&memory, HEAD, size + HEAD) != 0)
        return NULL;
    memcpy(memory, &size, sizeof size);
    m->live += size;
    return (char *)memory + HEAD;
}

static void meter_free(void *user, void *memory)
{
    meter *m = user;
    size_t size;

    if (!memory)
        return;
    memcpy(&size, (char *)memory - HEAD, sizeof size);
    m->live -= size;
    free((char *)memory - HEAD);
}

/* --------------------------------------------------------------------- walk */

static void walk_tensor(const lq_file *file, uint64_t i, const uint8_t *data, size_t size)
{
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    uint8_t piece[64];
    uint64_t found, n;

    if (lq_file_tensor_at(file, i, &t) != LQ_OK || t.n_dims > 4 || t.offset > size ||
        t.bytes > size - t.offset || lq_file_tensor_data(file, i) != data + t.offset)
        abort();
    if (lq_file_tensor_find(file, t.name, &found) != LQ_OK || found != i)
        abort();
    n = t.bytes < sizeof piece ? t.bytes : sizeof piece;
    if (lq_file_read(file, i, t.bytes - n, piece, n, NULL) != LQ_OK ||
        memcmp(piece, data + t.offset + t.bytes - n, (size_t)n) != 0)
        abort();
    if (lq_file_read(file, i, t.bytes, piece, 1, NULL) != LQ_ERR_ARG)
        abort();
}

static void walk_key(const lq_file *file, uint64_t i)
{
    lq_meta m = LQ_META_INIT, again = LQ_META_INIT;
    const char *text;
    uint64_t bytes;

    if (lq_file_meta_at(file, i, &m) != LQ_OK || !m.key[0] ||
        lq_file_meta_find(file, m.key, &again) != LQ_OK || again.data != m.data ||
        (!m.is_array && m.count != 1))
        abort();
    for (uint64_t k = 0; m.type == LQ_META_STRING && k < m.count; k++)
        if (lq_file_meta_string(file, &m, k, &text, &bytes) != LQ_OK || text[bytes])
            abort();
    if (m.type != LQ_META_STRING && !m.data)
        abort();
}

static lq_status try(const lq_ctx *ctx, const uint8_t *data, size_t size, int32_t strict)
{
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_file *file = NULL;
    lq_status status;

    opts.strict = strict;
    status = lq_file_open_memory(ctx, data, size, &opts, &file, &error);
    if (status != LQ_OK && (file || error.status != status || !error.message[0]))
        abort();
    if (status == LQ_OK && lq_file_container(file) == LQ_CONTAINER_GGUF) {
        for (uint64_t i = 0; i < lq_file_tensor_count(file); i++)
            walk_tensor(file, i, data, size);
        for (uint64_t i = 0; i < lq_file_meta_count(file); i++)
            walk_key(file, i);
    }
    lq_file_close(file);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    meter m = { 0, SIZE_MAX };
    lq_ctx *ctx = NULL;
    lq_status lax;
    size_t before;

    opts.allocator = (lq_allocator){ meter_alloc, meter_free, &m };
    opts.level = LQ_LEVEL_REF;
    if (lq_ctx_create(&opts, &ctx, NULL) != LQ_OK)
        return 0;
    before = m.live;
    m.limit = before + ((size_t)64 << 10) + 32 * size;
    lax = try(ctx, data, size, 0);
    if (try(ctx, data, size, 1) == LQ_OK && lax != LQ_OK)
        abort();
    if (m.live != before)
        abort();
    lq_ctx_destroy(ctx);
    return 0;
}
