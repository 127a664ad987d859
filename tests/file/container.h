/* SPDX-License-Identifier: MIT */
/*
 * tests/file/container.h - helpers of the container tests: data files, a metering
 * allocator, a walk over everything in a file
 */
#ifndef TESTS_FILE_CONTAINER_H
#define TESTS_FILE_CONTAINER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base.h"
#include "tests/common/common.h"

/* ------------------------------------------------------------------- memory */

/* Bytes in use and their peak; allocation number fail_at (from 0) fails, -1: none. */
typedef struct meter {
    long live, peak, made, fail_at;
} meter;

static inline void *meter_alloc(void *user, size_t size, size_t align)
{
    meter *m = user;
    size_t head = align < 64 ? 64 : align;
    void *memory = NULL;

    if (m->made++ == m->fail_at || posix_memalign(&memory, head, size + head) != 0)
        return NULL;
    memset(memory, 0xa5, size + head);
    memcpy((char *)memory + head - 2 * sizeof(size_t), (size_t[2]){ size, head },
           2 * sizeof(size_t));
    m->live += (long)size;
    if (m->live > m->peak)
        m->peak = m->live;
    return (char *)memory + head;
}

static inline void meter_free(void *user, void *memory)
{
    meter *m = user;
    size_t sizes[2];

    if (!memory)
        return;
    memcpy(sizes, (char *)memory - sizeof sizes, sizeof sizes);
    m->live -= (long)sizes[0];
    free((char *)memory - sizes[1]);
}

static inline lq_ctx *meter_ctx(meter *m)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx = NULL;

    opts.allocator = (lq_allocator){ meter_alloc, meter_free, m };
    opts.level = LQ_LEVEL_REF;
    assert_int_equal(lq_ctx_create(&opts, &ctx, NULL), LQ_OK);
    return ctx;
}

/* --------------------------------------------------------------------- data */

static inline const char *data_path(const char *name, char *path, size_t capacity)
{
    const char *folder = getenv("LQ_TEST_DATA");

    snprintf(path, capacity, "%s/%s", folder ? folder : "tests/data", name);
    return path;
}

static inline FILE *open_data(const char *name)
{
    char path[1024];
    FILE *file = fopen(data_path(name, path, sizeof path), "rb");

    if (!file)
        fail_msg("cannot open %s", path);
    return file;
}

static inline uint8_t *load_stream(FILE *file, uint64_t *bytes)
{
    uint8_t *data;
    long size;

    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    rewind(file);
    data = malloc(size ? (size_t)size : 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), size);
    fclose(file);
    *bytes = (uint64_t)size;
    return data;
}

static inline uint8_t *load(const char *name, uint64_t *bytes)
{
    return load_stream(open_data(name), bytes);
}

/* A new folder below the system's temporary one; the caller removes it. */
static inline const char *new_folder(char path[64])
{
    strcpy(path, "/tmp/lq-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline uint64_t fnv(const void *data, uint64_t bytes)
{
    const uint8_t *p = data;
    uint64_t hash = 0xcbf29ce484222325u;

    for (uint64_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* --------------------------------------------------------------------- walk */

static inline void walk_meta(const lq_file *file, uint64_t index)
{
    lq_meta meta = LQ_META_INIT;
    const char *text;
    uint64_t bytes;

    assert_int_equal(lq_file_meta_at(file, index, &meta), LQ_OK);
    assert_true(meta.is_array || meta.count == 1);
    if (meta.data)
        assert_int_equal(lq_file_meta_string(file, &meta, 0, &text, &bytes), LQ_ERR_ARG);
    for (uint64_t i = 0; !meta.data && i < meta.count; i++) {
        assert_int_equal(lq_file_meta_string(file, &meta, i, &text, &bytes), LQ_OK);
        assert_int_equal(text[bytes], 0);
    }
}

/* Every tensor and key can be found, and read to its last byte. */
static inline void walk(const lq_file *file)
{
    uint8_t byte;

    for (uint64_t i = 0; i < lq_file_meta_count(file); i++)
        walk_meta(file, i);
    for (uint64_t i = 0; i < lq_file_tensor_count(file); i++) {
        lq_file_tensor t = LQ_FILE_TENSOR_INIT;
        uint64_t found;
        assert_int_equal(lq_file_tensor_at(file, i, &t), LQ_OK);
        assert_int_equal(lq_file_tensor_find(file, t.name, &found), LQ_OK);
        assert_int_equal(found, i);
        assert_int_equal(lq_file_read(file, i, t.bytes, &byte, 1, NULL), LQ_ERR_ARG);
        if (t.bytes)
            assert_int_equal(lq_file_read(file, i, t.bytes - 1, &byte, 1, NULL), LQ_OK);
    }
}

#endif
