/* SPDX-License-Identifier: MIT */
/*
 * tests/file/safetensors_write.c - files and directories are written, read back, and are
 * refused or absent when something is wrong
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/file/folder.h"
#include "tests/file/parse.h"
#include "tests/file/pattern.h"

static const lq_container containers[] = {
    LQ_CONTAINER_SAFETENSORS, LQ_CONTAINER_DIRECTORY
};
static folder here;
static lq_ctx *ctx;

static void check_tensor(const lq_file *file, const pattern_tensor *p, int checksums)
{
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    uint64_t index, bytes = pattern_bytes(p);
    uint8_t *wanted = pattern_data(p), *data = malloc((size_t)bytes + 1);
    lq_error error = LQ_ERROR_INIT;
    assert_non_null(data);
    assert_int_equal(lq_file_tensor_find(file, p->name, &index), LQ_OK);
    assert_int_equal(lq_file_tensor_at(file, index, &t), LQ_OK);
    assert_int_equal(t.dtype, p->dtype);
    assert_int_equal(t.n_dims, p->n_dims);
    for (uint32_t i = 0; i < p->n_dims; i++)
        assert_int_equal(t.dims[i], p->dims[i]);
    assert_int_equal(t.bytes, bytes);
    assert_int_equal(t.offset % lq_dtype_bytes(p->dtype), 0);
    assert_int_equal(lq_file_read(file, index, 0, data, bytes, &error), LQ_OK);
    assert_memory_equal(data, wanted, (size_t)bytes);

    char key[300], hex[33];
    lq_meta meta = LQ_META_INIT;
    XXH128_hash_t hash = XXH3_128bits(wanted, (size_t)bytes);
    const char *text = NULL;
    snprintf(key, sizeof key, "lq.xxh3.%s", p->name);
    snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    assert_int_equal(lq_file_meta_find(file, key, &meta), checksums ? LQ_OK : LQ_ERR_NOTFOUND);
    if (checksums) {
        assert_int_equal(lq_file_meta_string(file, &meta, 0, &text, &bytes), LQ_OK);
        assert_string_equal(text, hex);
    }
    free(wanted);
    free(data);
}

static void check_file(const char *path, int checksums)
{
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    lq_file *file = NULL;
    lq_error error = LQ_ERROR_INIT;
    lq_meta meta = LQ_META_INIT;
    const char *text = NULL;
    uint64_t bytes = 0;
    opts.strict = 1;
    if (lq_file_open(ctx, path, &opts, &file, &error) != LQ_OK)
        fail_msg("%s", error.message);
    assert_int_equal(lq_file_tensor_count(file), PATTERN_COUNT);
    for (size_t i = 0; i < PATTERN_COUNT; i++)
        check_tensor(file, &pattern_tensors[i], checksums);
    assert_int_equal(lq_file_meta_count(file), 2 + (checksums ? PATTERN_COUNT : 0));
    assert_int_equal(lq_file_meta_find(file, "note \"\\\n", &meta), LQ_OK);
    assert_int_equal(lq_file_meta_string(file, &meta, 0, &text, &bytes), LQ_OK);
    assert_string_equal(text, "caf\xc3\xa9 \"quoted\"\t\\ \x01");
    if (lq_file_container(file) == LQ_CONTAINER_DIRECTORY)
        assert_string_equal(lq_file_config(file, NULL), "{\"a\": 1}\n");
    lq_file_close(file);
}

static void one_file(void **state)
{
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    (void)state;
    for (int checksums = 0; checksums >= -1; checksums--) {
        for (uint64_t part = 1; part < 100000; part *= 97) {
            const char *path = folder_path(&here, "a.safetensors");
            opts.checksums = checksums;
            opts.replace = 1;
            if (pattern_create(ctx, path, LQ_CONTAINER_SAFETENSORS, &opts, part, &error))
                fail_msg("%s", error.message);
            check_file(path, checksums == 0);
            assert_int_equal(folder_count(here.path), 1);
        }
    }
}

/* The header's length is a multiple of 8, it begins with "{" and declares in order. */
static void header_text(void **state)
{
    uint8_t head[400] = { 0 };
    const char *path = folder_path(&here, "a.safetensors");
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_writer *w = NULL;
    uint64_t a, b, dims[2] = { 2, 3 };
    static const char wanted[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[24,26]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}";
    (void)state;
    opts.checksums = -1;
    assert_int_equal(lq_writer_create(ctx, path, LQ_CONTAINER_SAFETENSORS, &opts, &w, NULL), 0);
    assert_int_equal(lq_writer_meta_string(w, "format", "pt"), LQ_OK);
    assert_int_equal(lq_writer_tensor(w, "a", LQ_U8, 0, 1, dims, &a), LQ_OK);
    assert_int_equal(lq_writer_tensor(w, "b", 0, LQ_FORMAT_F32, 2, dims, &b), LQ_OK);
    assert_int_equal(lq_writer_begin(w, NULL), LQ_OK);
    assert_int_equal(lq_writer_write(w, a, 0, "xy", 2, NULL), LQ_OK);
    assert_int_equal(lq_writer_write(w, b, 0, "012345678901234567890123", 24, NULL), LQ_OK);
    assert_int_equal(lq_writer_finish(w, NULL), LQ_OK);
    lq_writer_destroy(w);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    uint64_t header = lqi_load64(head);
    assert_int_equal(header, (sizeof wanted - 1 + 7) / 8 * 8);
    assert_memory_equal(head + 8, wanted, sizeof wanted - 1);
    for (uint64_t i = sizeof wanted - 1; i < header; i++)
        assert_int_equal(head[8 + i], ' ');
    assert_int_equal(n, 8 + header + 26);
    assert_memory_equal(head + 8 + header, "012345678901234567890123xy", 26);
}

static void directories(void **state)
{
    static const struct { uint64_t shard_bytes; unsigned files; } cases[] = {
        { 0, 3 },               /* model.safetensors and two attachments */
        { 1 << 20, 3 },
        { 200, 2 + 1 + 3 },     /* an index, three shards */
        { 1, 2 + 1 + 17 },      /* a shard for each but the empty tensor, which joins */
    };
    lq_error error = LQ_ERROR_INIT;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
        const char *path = folder_path(&here, "out");
        opts.shard_bytes = cases[i].shard_bytes;
        opts.replace = 1;
        if (pattern_create(ctx, path, LQ_CONTAINER_DIRECTORY, &opts, 1000, &error))
            fail_msg("%s", error.message);
        check_file(path, 1);
        assert_int_equal(folder_count(path), cases[i].files);
        assert_int_equal(folder_count(here.path), 1);
    }
}

static void no_tensors(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *path = folder_path(&here, i ? "d" : "f.safetensors");
        lq_writer *w = NULL;
        lq_file *file = NULL;
        lq_file_opts opts = LQ_FILE_OPTS_INIT;
        opts.strict = 1;
        assert_int_equal(lq_writer_create(ctx, path, containers[i], NULL, &w, NULL), LQ_OK);
        assert_int_equal(lq_writer_begin(w, NULL), LQ_OK);
        assert_int_equal(lq_writer_finish(w, NULL), LQ_OK);
        lq_writer_destroy(w);
        assert_int_equal(lq_file_open(ctx, path, &opts, &file, NULL), LQ_OK);
        assert_int_equal(lq_file_tensor_count(file), 0);
        assert_int_equal(lq_file_meta_count(file), 0);
        lq_file_close(file);
    }
}

/* begin fails with 'wanted', and nothing is left behind. */
static void refused(lq_writer *w, lq_status wanted, const char *name)
{
    lq_error error = LQ_ERROR_INIT;
    assert_int_equal(lq_writer_begin(w, &error), wanted);
    assert_string_equal(error.name, name);
    lq_writer_destroy(w);
    assert_int_equal(folder_count(here.path), 0);
}

static lq_writer *start(lq_container container)
{
    lq_writer *w = NULL;
    assert_int_equal(lq_writer_create(ctx, folder_path(&here, "x"), container, NULL, &w, NULL),
                     LQ_OK);
    return w;
}

static void refusals(void **state)
{
    static const char *const reserved[] = {
        "model.safetensors", "x.safetensors", ".safetensors", "model.safetensors.index.json"
    };
    uint64_t index, one = 1;
    (void)state;
    lq_writer *w = start(LQ_CONTAINER_SAFETENSORS);
    assert_int_equal(lq_writer_tensor(w, "__metadata__", LQ_U8, 0, 1, &one, &index), LQ_OK);
    refused(w, LQ_ERR_ARG, "__metadata__");
    w = start(LQ_CONTAINER_SAFETENSORS);
    assert_int_equal(lq_writer_meta_string(w, "k", "caf\xe9"), LQ_OK);
    refused(w, LQ_ERR_ARG, "k");
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        w = start(LQ_CONTAINER_DIRECTORY);
        assert_int_equal(lq_writer_attach(w, reserved[i], "x", 1), LQ_OK);
        refused(w, LQ_ERR_ARG, reserved[i]);
    }
}

static void memory_runs_out(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        lq_status status = LQ_ERR_NOMEM;
        long n = 0;
        for (; status == LQ_ERR_NOMEM; n++) {
            counting c = { 0, 0, -1 };
            lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
            lq_writer_opts writer = LQ_WRITER_OPTS_INIT;
            lq_ctx *small = NULL;
            lq_error error = LQ_ERROR_INIT;
            opts.allocator = (lq_allocator){ counting_alloc, counting_free, &c };
            writer.shard_bytes = 200;
            assert_int_equal(lq_ctx_create(&opts, &small, NULL), LQ_OK);
            long before = c.live;
            c.fail_at = c.made + n;
            status = pattern_create(small, folder_path(&here, "x"), containers[i], &writer,
                                    1000, &error);
            assert_int_equal(c.live, before);
            lq_ctx_destroy(small);
            assert_int_equal(folder_count(here.path), status == LQ_OK);
            assert_true(n < 2000);
        }
        assert_int_equal(status, LQ_OK);
        assert_true(n > 10);
        check_file(folder_path(&here, "x"), 1);
        folder_clear(here.path, 0);
    }
}

static int clean(void **state)
{
    (void)state;
    folder_clear(here.path, 0);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    folder_make(&here);
    return lq_ctx_create(NULL, &ctx, NULL) == LQ_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    folder_remove(&here);
    lq_ctx_destroy(ctx);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_file), TEST(header_text), TEST(directories), TEST(no_tensors),
        TEST(refusals), TEST(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
