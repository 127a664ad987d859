/* SPDX-License-Identifier: MIT */
/*
 * tests/file/gguf_read.c - files of other writers are read as they were meant, from disk,
 * mapped and from memory; the rules of lq_file_*
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/file/container.h"

enum { FROM_DISK, MAPPED, FROM_MEMORY, WAYS };

/* A line of files.tsv, cut at its tabs. */
typedef struct record {
    char *field[16];
    int   count;
} record;

static void cut(char *line, record *r)
{
    char *next = line;

    line[strcspn(line, "\n")] = '\0';
    for (r->count = 0; next && r->count < 16; r->count++) {
        r->field[r->count] = next;
        next = strchr(next, '\t');
        if (next)
            *next++ = '\0';
    }
}

static unsigned long long number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static uint8_t hex_byte(const char *text)
{
    unsigned value = 0;

    assert_int_equal(sscanf(text, "%2x", &value), 1);
    return (uint8_t)value;
}

static void check_string(const char *text, uint64_t bytes, const char *hex, size_t digits)
{
    if (digits == 1) {                       /* "-" */
        assert_int_equal(bytes, 0);
        return;
    }
    assert_int_equal(bytes, digits / 2);
    for (size_t i = 0; i < digits / 2; i++)
        assert_int_equal((uint8_t)text[i], hex_byte(hex + 2 * i));
}

static void check_key(const lq_file *file, uint64_t index, const record *r)
{
    lq_meta meta = LQ_META_INIT;
    const char *hex = r->field[5], *text;
    uint64_t bytes;

    assert_int_equal(lq_file_meta_find(file, r->field[1], &meta), LQ_OK);
    assert_string_equal(meta.key, r->field[1]);
    assert_int_equal(meta.type, number(r->field[2]));
    assert_int_equal(meta.is_array, number(r->field[3]));
    assert_int_equal(meta.count, number(r->field[4]));
    for (size_t i = 0; meta.data && i < strlen(hex) / 2; i++)
        assert_int_equal(((const uint8_t *)meta.data)[i], hex_byte(hex + 2 * i));
    for (uint64_t i = 0; !meta.data && i < meta.count; i++) {
        size_t digits = strcspn(hex, " ");
        assert_int_equal(lq_file_meta_string(file, &meta, i, &text, &bytes), LQ_OK);
        check_string(text, bytes, hex, digits);
        hex += digits + (hex[digits] == ' ');
    }
    assert_int_equal(lq_file_meta_at(file, index, &meta), LQ_OK);
    assert_string_equal(meta.key, r->field[1]);  /* the file's order is kept */
}

static void check_type(const lq_file_tensor *t, unsigned long long type)
{
    static const struct { unsigned gguf; lq_dtype dtype; lq_format format; } plain[] = {
        { 0, LQ_F32, LQ_FORMAT_F32 }, { 1, LQ_F16, LQ_FORMAT_F16 }, { 24, LQ_I8, 0 },
        { 25, LQ_I16, 0 }, { 26, LQ_I32, 0 }, { 27, LQ_I64, 0 }, { 28, LQ_F64, 0 },
        { 30, LQ_BF16, LQ_FORMAT_BF16 },
    };

    for (size_t i = 0; i < COUNT(plain); i++)
        if (plain[i].gguf == type) {
            assert_int_equal(t->dtype, plain[i].dtype);
            assert_int_equal(t->format, plain[i].format);
            return;
        }
    assert_int_equal(t->dtype, 0);
    assert_int_equal(t->format, 100 + type);
}

static void check_tensor(const lq_file *file, uint64_t index, const record *r)
{
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    char hash[17];
    uint8_t *data;

    assert_int_equal(lq_file_tensor_at(file, index, &t), LQ_OK);
    assert_string_equal(t.name, r->field[1]);
    check_type(&t, number(r->field[2]));
    assert_int_equal(t.offset, number(r->field[3]));
    assert_int_equal(t.bytes, number(r->field[4]));
    assert_int_equal(t.n_dims, r->count - 6);
    for (uint32_t d = 0; d < t.n_dims; d++)
        assert_int_equal(t.dims[d], number(r->field[6 + d]));
    data = malloc((size_t)t.bytes);
    assert_non_null(data);
    /* In two pieces. */
    assert_int_equal(lq_file_read(file, index, 0, data, t.bytes / 3, NULL), LQ_OK);
    assert_int_equal(lq_file_read(file, index, t.bytes / 3, data + t.bytes / 3,
                                  t.bytes - t.bytes / 3, NULL), LQ_OK);
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)fnv(data, t.bytes));
    assert_string_equal(hash, r->field[5]);
    if (lq_file_tensor_data(file, index))
        assert_memory_equal(lq_file_tensor_data(file, index), data, (size_t)t.bytes);
    free(data);
}

static lq_status open_way(const lq_ctx *ctx, const char *name, int way, uint8_t **memory,
                          lq_file **file)
{
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    char path[1024], below[256];
    uint64_t bytes;

    opts.map = way == MAPPED;
    snprintf(below, sizeof below, "gguf_files/files/%s", name);
    if (way != FROM_MEMORY)
        return lq_file_open(ctx, data_path(below, path, sizeof path), &opts, file, NULL);
    *memory = load(below, &bytes);
    return lq_file_open_memory(ctx, *memory, bytes, &opts, file, NULL);
}

/* All files of files.tsv, opened in one way. */
static void contents(int way)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    FILE *list = open_data("gguf_files/files.tsv");
    lq_file *file = NULL;
    uint8_t *memory = NULL;
    char line[4096];
    uint64_t keys = 0, tensors = 0, files = 0;
    record r;

    while (fgets(line, sizeof line, list)) {
        cut(line, &r);
        if (r.field[0][0] == 'F') {
            if (file) {
                assert_int_equal(lq_file_meta_count(file), keys);
                assert_int_equal(lq_file_tensor_count(file), tensors);
            }
            lq_file_close(file);
            free(memory);
            file = NULL, memory = NULL, keys = tensors = 0;
            lq_status status = open_way(ctx, r.field[1], way, &memory, &file);
            if (!strcmp(r.field[4], "big"))
                assert_int_equal(status, LQ_ERR_UNSUPPORTED);
            else if (!strcmp(r.field[1], "meta_only.gguf"))
                assert_int_equal(status, LQ_ERR_TRUNCATED);
            else
                assert_int_equal(status, LQ_OK);
            files += status == LQ_OK;
        } else if (file && r.field[0][0] == 'K') {
            check_key(file, keys++, &r);
        } else if (file && r.field[0][0] == 'T') {
            check_tensor(file, tensors++, &r);
        }
    }
    assert_int_equal(files, 12);
    lq_file_close(file);
    free(memory);
    fclose(list);
    lq_ctx_destroy(ctx);
}

static void from_disk(void **state)   { (void)state; contents(FROM_DISK); }
static void mapped(void **state)      { (void)state; contents(MAPPED); }
static void from_memory(void **state) { (void)state; contents(FROM_MEMORY); }

static lq_file *open_sample(const lq_ctx *ctx, const char *name, int map)
{
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    char path[1024], below[256];
    lq_file *file = NULL;

    opts.map = map;
    snprintf(below, sizeof below, "gguf_files/files/%s", name);
    assert_int_equal(lq_file_open(ctx, data_path(below, path, sizeof path), &opts, &file, NULL),
                     LQ_OK);
    assert_string_equal(lq_file_path(file), path);
    return file;
}

static void arguments(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_file *file = open_sample(ctx, "all_kv_types.gguf", 0), *none = NULL;
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    uint64_t index = 77;
    uint8_t buffer[32];

    (void)state;
    assert_int_equal(lq_file_container(file), LQ_CONTAINER_GGUF);
    assert_int_equal(lq_file_open(NULL, "x", NULL, &none, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_open(ctx, NULL, NULL, &none, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_open(ctx, "x", NULL, NULL, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_open(ctx, "/nowhere/x", NULL, &none, NULL), LQ_ERR_NOTFOUND);
    opts.struct_size = 0;
    assert_int_equal(lq_file_open(ctx, "x", &opts, &none, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_open_memory(ctx, NULL, 5, NULL, &none, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_open_memory(ctx, NULL, 0, NULL, &none, NULL), LQ_ERR_TRUNCATED);
    assert_null(none);
    assert_int_equal(lq_file_tensor_find(file, "one_d_f3", &index), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_file_tensor_find(file, NULL, &index), LQ_ERR_ARG);
    assert_int_equal(index, 77);
    assert_int_equal(lq_file_read(file, 0, 0, NULL, 1, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_read(file, 4, 0, buffer, 1, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_read(file, 0, 1, buffer, 28, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_read(file, 0, UINT64_MAX, buffer, 2, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_file_read(file, 0, 28, NULL, 0, NULL), LQ_OK);
    assert_null(lq_file_tensor_data(file, 0));
    assert_null(lq_file_config(file, &index));
    assert_int_equal(index, 0);
    lq_file_close(file);
    lq_file_close(NULL);
    lq_ctx_destroy(ctx);
}

/* Callers built against a shorter or longer struct get what they know. */
static void struct_sizes(void **state)
{
    struct { lq_file_tensor t; uint8_t more[16]; } longer;
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_file *file = open_sample(ctx, "all_kv_types.gguf", 1);
    lq_file_tensor t;
    lq_meta meta = LQ_META_INIT;

    (void)state;
    memset(&t, 0x77, sizeof t);
    t.struct_size = offsetof(lq_file_tensor, n_dims);
    assert_int_equal(lq_file_tensor_at(file, 1, &t), LQ_OK);
    assert_string_equal(t.name, "two_d_q4k");
    assert_int_equal(t.n_dims, 0x77777777);
    assert_int_equal(t.struct_size, offsetof(lq_file_tensor, n_dims));
    memset(&longer, 0x77, sizeof longer);
    longer.t.struct_size = sizeof longer;
    assert_int_equal(lq_file_tensor_at(file, 1, &longer.t), LQ_OK);
    assert_int_equal(longer.t.bytes, 432);
    for (size_t i = 0; i < sizeof longer.more; i++)
        assert_int_equal(longer.more[i], 0);
    t.struct_size = 0;
    assert_int_equal(lq_file_tensor_at(file, 1, &t), LQ_ERR_ARG);
    meta.struct_size = 3;
    assert_int_equal(lq_file_meta_at(file, 0, &meta), LQ_ERR_ARG);
    lq_file_close(file);
    lq_ctx_destroy(ctx);
}

static void refused_kinds(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_error error = LQ_ERROR_INIT;
    lq_file *file = NULL;
    char folder[64], pipe_path[128];

    (void)state;
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe", new_folder(folder));
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(lq_file_open(ctx, pipe_path, NULL, &file, &error), LQ_ERR_IO);
    assert_non_null(strstr(error.message, "pipe"));
    assert_non_null(strstr(error.message, pipe_path));
    assert_int_equal(lq_file_open(ctx, "/dev/zero", NULL, &file, &error), LQ_ERR_IO);
    assert_non_null(strstr(error.message, "device"));
    unlink(pipe_path);
    rmdir(folder);
    lq_ctx_destroy(ctx);
}

static void shrinking(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    char folder[64], path[128];
    uint8_t buffer[512], *data;
    uint64_t bytes;
    lq_error error = LQ_ERROR_INIT;
    lq_file *file = NULL;
    FILE *out;

    (void)state;
    snprintf(path, sizeof path, "%s/x.gguf", new_folder(folder));
    data = load("gguf_files/files/all_kv_types.gguf", &bytes);
    out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, (size_t)bytes, out), bytes);
    fclose(out);
    assert_int_equal(lq_file_open(ctx, path, NULL, &file, NULL), LQ_OK);
    assert_int_equal(truncate(path, 1300), 0);
    assert_int_equal(lq_file_read(file, 0, 0, buffer, 28, NULL), LQ_OK);
    assert_int_equal(lq_file_read(file, 1, 0, buffer, 432, &error), LQ_ERR_TRUNCATED);
    assert_non_null(strstr(error.message, "shrank"));
    lq_file_close(file);
    unlink(path);
    rmdir(folder);
    free(data);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------------ threads */

typedef struct reader {
    const lq_file *file;
    uint64_t       hash;
} reader;

static void *read_all(void *arg)
{
    reader *r = arg;
    uint8_t buffer[4096];

    for (int round = 0; round < 20; round++) {
        uint64_t hash = 0;
        for (uint64_t i = 0; i < lq_file_tensor_count(r->file); i++) {
            lq_file_tensor t = LQ_FILE_TENSOR_INIT;
            if (lq_file_tensor_at(r->file, i, &t) != LQ_OK ||
                lq_file_read(r->file, i, 0, buffer, t.bytes, NULL) != LQ_OK)
                return NULL;
            hash = hash * 31 + fnv(buffer, t.bytes);
        }
        r->hash = hash;
    }
    return NULL;
}

static void many_threads(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_file *file = open_sample(ctx, "all_tensor_types.gguf", 0);
    reader readers[8];
    pthread_t threads[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        readers[i] = (reader){ file, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 8; i++) {
        assert_true(readers[i].hash != 0);
        assert_true(readers[i].hash == readers[0].hash);
    }
    lq_file_close(file);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_disk),    cmocka_unit_test(mapped),
        cmocka_unit_test(from_memory),  cmocka_unit_test(arguments),
        cmocka_unit_test(struct_sizes), cmocka_unit_test(refused_kinds),
        cmocka_unit_test(shrinking),    cmocka_unit_test(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
