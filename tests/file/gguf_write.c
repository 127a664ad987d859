/* SPDX-License-Identifier: MIT */
/*
 * tests/file/gguf_write.c - what lq_writer writes is what was asked for, and only that
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/file/sample.h"

static char folder[64], path[128];
static lq_ctx *ctx;

static int start(void **state)
{
    (void)state;
    ctx = test_ctx(LQ_LEVEL_REF, 1);
    snprintf(path, sizeof path, "%s/out.gguf", new_folder(folder));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    unlink(path);
    lq_ctx_destroy(ctx);
    return rmdir(folder);          /* fails if anything was left behind */
}

static int files_here(void)
{
    DIR *list = opendir(folder);
    int count = -2;                /* . and .. */

    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count;
}

static uint8_t *load_output(uint64_t *bytes)
{
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    return load_stream(file, bytes);
}

/* ------------------------------------------------------------- round trips */

static void check_key(const lq_file *file, uint64_t index, const sample_key *k)
{
    static const uint8_t size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    lq_meta meta = LQ_META_INIT;
    const char *text;
    uint64_t bytes;

    assert_int_equal(lq_file_meta_at(file, index, &meta), LQ_OK);
    assert_string_equal(meta.key, k->key);
    assert_int_equal(meta.type, k->type);
    assert_int_equal(meta.is_array, k->is_array);
    assert_int_equal(meta.count, k->count);
    if (k->type != LQ_META_STRING && k->count)
        assert_memory_equal(meta.data, k->data, (size_t)(k->count * size[k->type]));
    for (uint64_t i = 0; k->type == LQ_META_STRING && i < k->count; i++) {
        assert_int_equal(lq_file_meta_string(file, &meta, i, &text, &bytes), LQ_OK);
        assert_string_equal(text, ((const char *const *)k->data)[i]);
        assert_int_equal(bytes, strlen(text));
    }
}

static void check_tensor(const lq_file *file, uint64_t index, uint64_t alignment)
{
    const sample_tensor *s = &sample_tensors[index];
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    uint32_t first = 0;
    uint8_t expected[512], data[512];

    assert_int_equal(lq_file_tensor_at(file, index, &t), LQ_OK);
    assert_string_equal(t.name, s->name);
    assert_int_equal(t.bytes, s->bytes);
    assert_int_equal(t.offset % alignment, 0);
    while (first + 1 < s->n_dims && s->dims[first] == 1)
        first++;
    assert_int_equal(t.n_dims, s->n_dims ? s->n_dims - first : 1);
    for (uint32_t d = 0; d < t.n_dims; d++)
        assert_int_equal(t.dims[d], s->n_dims ? s->dims[first + d] : 1);
    if (s->dtype)
        assert_int_equal(t.dtype, s->dtype);
    else
        assert_int_equal(t.format, s->format);
    sample_fill(index, expected, s->bytes);
    assert_int_equal(lq_file_read(file, index, 0, data, t.bytes, NULL), LQ_OK);
    assert_memory_equal(data, expected, (size_t)s->bytes);
}

static void check_hashes(const lq_file *file)
{
    lq_meta meta = LQ_META_INIT;
    uint8_t data[512];

    assert_int_equal(lq_file_meta_find(file, "lq.xxh3", &meta), LQ_OK);
    assert_int_equal(meta.count, COUNT(sample_tensors));
    for (size_t i = 0; i < COUNT(sample_tensors); i++) {
        XXH128_canonical_t canonical;
        char hex[33];
        const char *text;
        sample_fill(i, data, sample_tensors[i].bytes);
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, sample_tensors[i].bytes));
        for (int b = 0; b < 16; b++)
            snprintf(hex + 2 * b, 3, "%02x", canonical.digest[b]);
        assert_int_equal(lq_file_meta_string(file, &meta, i, &text, NULL), LQ_OK);
        assert_string_equal(text, hex);
    }
}

/* 'alignment' as the option says; 0: not given. */
static void round_trip(uint32_t alignment, uint64_t piece)
{
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_file_opts strict = LQ_FILE_OPTS_INIT;
    lq_file *file = NULL;
    lq_meta meta = LQ_META_INIT;
    uint32_t expected = alignment ? alignment : 32;

    opts.replace = 1;
    opts.alignment = alignment;
    strict.strict = 1;             /* padding to the last byte, nothing behind */
    assert_int_equal(sample_file(ctx, path, &opts, piece), LQ_OK);
    assert_int_equal(lq_file_open(ctx, path, &strict, &file, NULL), LQ_OK);
    assert_int_equal(lq_file_tensor_count(file), COUNT(sample_tensors));
    for (size_t i = 0; i < COUNT(sample_keys); i++)
        check_key(file, i, &sample_keys[i]);
    for (size_t i = 0; i < COUNT(sample_tensors); i++)
        check_tensor(file, i, expected);
    check_hashes(file);
    assert_int_equal(lq_file_meta_find(file, "general.alignment", &meta),
                     expected == 32 ? LQ_ERR_NOTFOUND : LQ_OK);
    lq_file_close(file);
    assert_int_equal(files_here(), 1);
}

static void alignments(void **state)
{
    (void)state;
    round_trip(0, 512);
    round_trip(8, 7);
    round_trip(32, 1);
    round_trip(64, 100);
}

static void same_bytes(void **state)
{
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    uint64_t bytes, again;
    uint8_t *a, *b;

    (void)state;
    opts.replace = 1;
    assert_int_equal(sample_file(ctx, path, &opts, 512), LQ_OK);
    a = load_output(&bytes);
    assert_int_equal(sample_file(ctx, path, &opts, 3), LQ_OK);
    b = load_output(&again);
    assert_int_equal(bytes, again);
    assert_memory_equal(a, b, (size_t)bytes);
    free(a);
    free(b);
}

/* Keys and tensors of a foreign file, copied: the same bytes as the foreign writer's. */
static void copy_of(const char *name)
{
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_file *file = NULL;
    lq_writer *w = NULL;
    lq_meta meta = LQ_META_INIT;
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    char source[1024];
    uint64_t index, bytes, expected_bytes;
    uint8_t data[4096], *out, *expected = load(name, &expected_bytes);

    opts.replace = 1;
    opts.checksums = -1;
    data_path(name, source, sizeof source);
    assert_int_equal(lq_file_open(ctx, source, NULL, &file, NULL), LQ_OK);
    assert_int_equal(lq_writer_create(ctx, path, LQ_CONTAINER_GGUF, &opts, &w, NULL), LQ_OK);
    for (uint64_t i = 0; i < lq_file_meta_count(file); i++) {
        assert_int_equal(lq_file_meta_at(file, i, &meta), LQ_OK);
        assert_int_equal(lq_writer_meta_copy(w, file, &meta), LQ_OK);
    }
    for (uint64_t i = 0; i < lq_file_tensor_count(file); i++) {
        assert_int_equal(lq_file_tensor_at(file, i, &t), LQ_OK);
        assert_int_equal(lq_writer_tensor(w, t.name, t.dtype, t.format, t.n_dims, t.dims,
                                          &index), LQ_OK);
    }
    assert_int_equal(lq_writer_begin(w, NULL), LQ_OK);
    for (uint64_t i = 0; i < lq_file_tensor_count(file); i++) {
        assert_int_equal(lq_file_tensor_at(file, i, &t), LQ_OK);
        assert_int_equal(lq_file_read(file, i, 0, data, t.bytes, NULL), LQ_OK);
        assert_int_equal(lq_writer_write(w, i, 0, data, t.bytes, NULL), LQ_OK);
    }
    assert_int_equal(lq_writer_finish(w, NULL), LQ_OK);
    lq_writer_destroy(w);
    lq_file_close(file);
    out = load_output(&bytes);
    assert_int_equal(bytes, expected_bytes);
    assert_memory_equal(out, expected, (size_t)bytes);
    free(out);
    free(expected);
}

static void foreign_bytes(void **state)
{
    (void)state;
    copy_of("gguf_files/files/all_kv_types.gguf");
    copy_of("gguf_files/files/all_tensor_types.gguf");
    copy_of("gguf_files/files/align_1024.gguf");
    copy_of("gguf_files/files/align_8.gguf");
    copy_of("gguf_files/files/align_1.gguf");
    copy_of("gguf_files/files/empty.gguf");
    copy_of("gguf_files/files/kv_only.gguf");
    copy_of("gguf_files/files/split-00001-of-00002.gguf");
}

static void keys_replaced(void **state)
{
    lq_writer *w = NULL;
    lq_file *file = NULL;
    lq_meta meta = LQ_META_INIT;
    const uint32_t one = 1, two = 2;

    (void)state;
    unlink(path);
    assert_int_equal(lq_writer_create(ctx, path, LQ_CONTAINER_GGUF, NULL, &w, NULL), LQ_OK);
    assert_int_equal(lq_writer_meta(w, "x", LQ_META_U32, 0, &one, 1), LQ_OK);
    assert_int_equal(lq_writer_meta_string(w, "y", "text"), LQ_OK);
    assert_int_equal(lq_writer_meta(w, "x", LQ_META_U32, 0, &two, 1), LQ_OK);
    assert_int_equal(lq_writer_begin(w, NULL), LQ_OK);
    assert_int_equal(lq_writer_finish(w, NULL), LQ_OK);
    lq_writer_destroy(w);
    assert_int_equal(lq_file_open(ctx, path, NULL, &file, NULL), LQ_OK);
    assert_int_equal(lq_file_meta_count(file), 2);
    assert_int_equal(lq_file_meta_at(file, 1, &meta), LQ_OK);
    assert_string_equal(meta.key, "x");
    assert_memory_equal(meta.data, &two, 4);
    lq_file_close(file);
}

/* A header of several read windows: numbers larger than one, strings across borders. */
static void large_header(void **state)
{
    static uint32_t numbers[40000];
    static const char *texts[20000];
    static char text[20000][8];
    lq_writer *w = NULL;
    lq_file *file = NULL;
    lq_meta meta = LQ_META_INIT;
    const char *found;

    (void)state;
    unlink(path);
    for (uint32_t i = 0; i < COUNT(numbers); i++)
        numbers[i] = i * 2654435761u;
    for (size_t i = 0; i < COUNT(texts); i++) {
        snprintf(text[i], sizeof text[i], "%zu", i);
        texts[i] = text[i];
    }
    assert_int_equal(lq_writer_create(ctx, path, LQ_CONTAINER_GGUF, NULL, &w, NULL), LQ_OK);
    assert_int_equal(lq_writer_meta(w, "n", LQ_META_U32, 1, numbers, COUNT(numbers)), LQ_OK);
    assert_int_equal(lq_writer_meta(w, "t", LQ_META_STRING, 1, texts, COUNT(texts)), LQ_OK);
    assert_int_equal(lq_writer_begin(w, NULL), LQ_OK);
    assert_int_equal(lq_writer_finish(w, NULL), LQ_OK);
    lq_writer_destroy(w);
    assert_int_equal(lq_file_open(ctx, path, NULL, &file, NULL), LQ_OK);
    assert_int_equal(lq_file_meta_find(file, "n", &meta), LQ_OK);
    assert_memory_equal(meta.data, numbers, sizeof numbers);
    assert_int_equal(lq_file_meta_find(file, "t", &meta), LQ_OK);
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(lq_file_meta_string(file, &meta, i, &found, NULL), LQ_OK);
        assert_string_equal(found, texts[i]);
    }
    lq_file_close(file);
}

/* ---------------------------------------------------------------- refusals */

static void refused_options(void **state)
{
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_writer *w = NULL;

    (void)state;
    assert_int_equal(sample_file(ctx, path, &(lq_writer_opts){ sizeof opts, 1 }, 512), LQ_OK);
    assert_int_equal(lq_writer_create(ctx, path, 1, NULL, &w, NULL), LQ_ERR_EXISTS);
    assert_int_equal(lq_writer_create(ctx, "/nowhere/x", 1, NULL, &w, NULL), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_writer_create(ctx, path, 9, NULL, &w, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_create(NULL, path, 1, NULL, &w, NULL), LQ_ERR_ARG);
    opts.alignment = 24;
    assert_int_equal(lq_writer_create(ctx, path, 1, &opts, &w, NULL), LQ_ERR_ARG);
    opts.alignment = 4;
    assert_int_equal(lq_writer_create(ctx, path, 1, &opts, &w, NULL), LQ_ERR_ARG);
    assert_null(w);
    assert_int_equal(files_here(), 1);
}

static void refused_declarations(void **state)
{
    const uint64_t dims[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, odd[2] = { 2, 33 },
                   wrap[2] = { (uint64_t)1 << 32, (uint64_t)1 << 32 };
    char name[70];
    lq_writer *w = NULL;
    uint64_t i;
    uint32_t v = 24;

    (void)state;
    unlink(path);
    memset(name, 'n', sizeof name);
    name[64] = '\0';
    assert_int_equal(lq_writer_create(ctx, path, 1, NULL, &w, NULL), LQ_OK);
    assert_int_equal(lq_writer_tensor(w, name, LQ_F32, 0, 1, dims, &i), LQ_ERR_LIMIT);
    name[63] = '\0';
    assert_int_equal(lq_writer_tensor(w, name, LQ_F32, 0, 1, dims, &i), LQ_OK);
    assert_int_equal(lq_writer_tensor(w, name, LQ_F32, 0, 1, dims, &i), LQ_ERR_DUPLICATE);
    assert_int_equal(lq_writer_tensor(w, "", LQ_F32, 0, 1, dims, &i), LQ_ERR_ARG);
    assert_int_equal(lq_writer_tensor(w, "a\xff", LQ_F32, 0, 1, dims, &i), LQ_ERR_ARG);
    assert_int_equal(lq_writer_tensor(w, "a", LQ_F32, 0, 5, dims, &i), LQ_ERR_SHAPE);
    assert_int_equal(lq_writer_tensor(w, "a", LQ_F32, 0, 9, dims, &i), LQ_ERR_SHAPE);
    assert_int_equal(lq_writer_tensor(w, "a", LQ_U8, 0, 1, dims, &i), LQ_ERR_UNSUPPORTED);
    assert_int_equal(lq_writer_tensor(w, "a", 0, LQ_FORMAT_NF4, 1, dims, &i),
                     LQ_ERR_UNSUPPORTED);
    assert_int_equal(lq_writer_tensor(w, "a", 0, 104, 1, dims, &i), LQ_ERR_UNSUPPORTED);
    assert_int_equal(lq_writer_tensor(w, "a", 0, LQ_FORMAT_Q8_0, 2, odd, &i), LQ_ERR_SHAPE);
    assert_int_equal(lq_writer_tensor(w, "a", LQ_F32, 0, 2, wrap, &i), LQ_ERR_OVERFLOW);
    assert_int_equal(lq_writer_meta(w, "", LQ_META_U32, 0, &v, 1), LQ_ERR_ARG);
    assert_int_equal(lq_writer_meta(w, "k", LQ_META_U32, 0, &v, 2), LQ_ERR_ARG);
    assert_int_equal(lq_writer_meta(w, "k", LQ_META_ARRAY, 0, &v, 1), LQ_ERR_ARG);
    assert_int_equal(lq_writer_meta(w, "k", 13, 0, &v, 1), LQ_ERR_ARG);
    assert_int_equal(lq_writer_meta(w, "lq.xxh3", LQ_META_U32, 0, &v, 1), LQ_ERR_ARG);
    assert_int_equal(lq_writer_meta(w, "general.alignment", LQ_META_U32, 0, &v, 1), LQ_ERR_ARG);
    assert_int_equal(lq_writer_attach(w, "config.json", "{}", 2), LQ_ERR_UNSUPPORTED);
    lq_writer_destroy(w);
    assert_int_equal(files_here(), 0);
}

static void order_of_calls(void **state)
{
    const uint64_t dims[1] = { 4 };
    uint8_t data[17] = { 0 };
    lq_error error = LQ_ERROR_INIT;
    lq_writer *w = NULL;
    uint64_t i;

    (void)state;
    unlink(path);
    assert_int_equal(lq_writer_create(ctx, path, 1, NULL, &w, NULL), LQ_OK);
    assert_int_equal(lq_writer_tensor(w, "a", LQ_F32, 0, 1, dims, &i), LQ_OK);
    assert_int_equal(lq_writer_write(w, 0, 0, data, 4, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_finish(w, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_begin(w, NULL), LQ_OK);
    assert_int_equal(lq_writer_begin(w, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_tensor(w, "b", LQ_F32, 0, 1, dims, &i), LQ_ERR_ARG);
    assert_int_equal(lq_writer_meta_string(w, "k", "v"), LQ_ERR_ARG);
    assert_int_equal(lq_writer_write(w, 1, 0, data, 4, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_write(w, 0, 4, data, 4, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_write(w, 0, 0, data, 17, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_write(w, 0, 0, data, 12, NULL), LQ_OK);
    assert_int_equal(lq_writer_write(w, 0, 0, data, 4, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_finish(w, &error), LQ_ERR_CORRUPT);
    assert_string_equal(error.name, "a");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(lq_writer_write(w, 0, 12, data, 4, NULL), LQ_OK);
    assert_int_equal(lq_writer_finish(w, NULL), LQ_OK);
    assert_int_equal(lq_writer_finish(w, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_writer_write(w, 0, 16, data, 0, NULL), LQ_ERR_ARG);
    lq_writer_destroy(w);
    assert_int_equal(access(path, F_OK), 0);
}

static void memory_runs_out(void **state)
{
    meter m = { .fail_at = -1 };
    lq_ctx *metered = meter_ctx(&m);
    lq_status status = LQ_ERR_NOMEM;
    long before = m.live;

    (void)state;
    unlink(path);
    for (long i = 0; status != LQ_OK; i++) {
        assert_in_range(i, 0, 200);
        m.made = 0;
        m.fail_at = i;
        status = sample_file(metered, path, NULL, 10);
        assert_true(status == LQ_OK ? i > 10 : status == LQ_ERR_NOMEM);
        assert_int_equal(files_here(), status == LQ_OK);
        assert_int_equal(m.live, before);
    }
    lq_ctx_destroy(metered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alignments),       cmocka_unit_test(same_bytes),
        cmocka_unit_test(foreign_bytes),    cmocka_unit_test(keys_replaced),
        cmocka_unit_test(refused_options),  cmocka_unit_test(refused_declarations),
        cmocka_unit_test(large_header),
        cmocka_unit_test(order_of_calls),   cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
