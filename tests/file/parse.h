/* SPDX-License-Identifier: MIT */
/*
 * tests/file/parse.h - helpers: a safetensors image in memory, parsed or refused, with
 * an allocator that counts and can fail
 */
#ifndef TESTS_FILE_PARSE_H
#define TESTS_FILE_PARSE_H

#include <stdlib.h>

#include "lib/file/file.h"

/* Counts live blocks; allocation number fail_at (from 0) returns NULL. */
typedef struct counting {
    long live, made, fail_at;
} counting;

static inline void *counting_alloc(void *user, size_t size, size_t align)
{
    counting *c = user;
    void *memory = NULL;
    if (c->made++ == c->fail_at)
        return NULL;
    if (posix_memalign(&memory, align < sizeof(void *) ? sizeof(void *) : align, size) != 0)
        return NULL;
    c->live++;
    return memory;
}

static inline void counting_free(void *user, void *memory)
{
    counting *c = user;
    c->live -= memory != NULL;
    free(memory);
}

/* length, header, zeros; freed by the caller. */
static inline uint8_t *image(const char *header, uint64_t header_bytes, uint64_t data_bytes,
                             uint64_t *bytes)
{
    *bytes = 8 + header_bytes + data_bytes;
    uint8_t *data = calloc(1, (size_t)*bytes);
    if (!data)
        abort();
    lqi_store64(data, header_bytes);
    memcpy(data + 8, header, (size_t)header_bytes);
    return data;
}

/* An lq_file without a context around it, for the parsers alone. */
static inline void file_init(lq_file *file, counting *c)
{
    memset(file, 0, sizeof *file);
    file->allocator = (lq_allocator){ counting_alloc, counting_free, c };
    file->opts = (lq_file_opts){ sizeof file->opts, 0, 0, (uint64_t)100 << 20, 1000000 };
    file->arena.allocator = &file->allocator;
}

/* Parse an image; the caller frees the file whatever comes back. */
static inline lq_status file_parse(lq_file *file, const void *data, uint64_t bytes,
                                   lq_error *error)
{
    file->container = LQ_CONTAINER_SAFETENSORS;
    file->sources = lqi_alloc_zero(&file->allocator, sizeof *file->sources);
    if (!file->sources)
        return LQ_ERR_NOMEM;
    lq_status status = lqi_source_memory(&file->allocator, data, bytes, &file->sources[0],
                                         error);
    if (status != LQ_OK)
        return status;
    file->source_count = 1;
    return lqi_safetensors_read(file, 0, error);
}

static inline void file_free(lq_file *file)
{
    for (uint32_t i = 0; i < file->source_count; i++)
        lqi_source_close(file->sources[i]);
    lqi_free(&file->allocator, file->sources);
    lqi_free(&file->allocator, file->entries);
    lqi_free(&file->allocator, file->keys);
    lqi_names_destroy(file->entry_names);
    lqi_names_destroy(file->key_names);
    lqi_arena_free(&file->arena);
}

/* Parse and free. */
static inline lq_status try_image(const void *data, uint64_t bytes, int strict,
                                  lq_error *error)
{
    counting c = { 0, 0, -1 };
    lq_file file;
    file_init(&file, &c);
    file.opts.strict = strict;
    lq_status status = file_parse(&file, data, bytes, error);
    file_free(&file);
    if (c.live != 0)
        abort();
    return status;
}

static inline lq_status try_header(const char *header, uint64_t header_bytes,
                                   uint64_t data_bytes, int strict, lq_error *error)
{
    uint64_t bytes;
    uint8_t *data = image(header, header_bytes, data_bytes, &bytes);
    lq_status status = try_image(data, bytes, strict, error);
    free(data);
    return status;
}

#endif
