/* SPDX-License-Identifier: MIT */
/*
 * tests/file/safetensors_read.c - legal safetensors files: every type, a real file, many
 * tensors, memory that runs out
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/file/parse.h"

static const struct { const char *name; lq_dtype dtype; unsigned bytes; } types[] = {
    { "F64", LQ_F64, 8 }, { "I64", LQ_I64, 8 }, { "U64", LQ_U64, 8 }, { "F32", LQ_F32, 4 },
    { "I32", LQ_I32, 4 }, { "U32", LQ_U32, 4 }, { "F16", LQ_F16, 2 }, { "BF16", LQ_BF16, 2 },
    { "I16", LQ_I16, 2 }, { "U16", LQ_U16, 2 }, { "I8", LQ_I8, 1 }, { "U8", LQ_U8, 1 },
    { "BOOL", LQ_BOOL, 1 }, { "F8_E4M3", LQ_F8_E4M3, 1 }, { "F8_E5M2", LQ_F8_E5M2, 1 },
    { "F8_E8M0", LQ_E8M0, 1 }
};

static void every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        /* The length of the header takes every remainder modulo 8. */
        for (int pad = 0; pad < 8; pad++) {
            char header[256];
            uint64_t bytes;
            unsigned size = 6 * types[i].bytes;
            int n = snprintf(header, sizeof header,
                             "{\"a\":{\"dtype\":\"%s\",\"shape\":[2,3],"
                             "\"data_offsets\":[0,%u]}}%*s",
                             types[i].name, size, pad, "");
            uint8_t *data = image(header, (uint64_t)n, size, &bytes);
            counting c = { 0, 0, -1 };
            lq_file file;
            lq_error error = LQ_ERROR_INIT;
            file_init(&file, &c);
            file.opts.strict = 1;
            assert_int_equal(file_parse(&file, data, bytes, &error), LQ_OK);
            assert_int_equal(file.entry_count, 1);
            assert_string_equal(file.entries[0].name, "a");
            assert_int_equal(file.entries[0].dtype, types[i].dtype);
            lq_format format = types[i].dtype == LQ_F32 ? LQ_FORMAT_F32 :
                               types[i].dtype == LQ_F16 ? LQ_FORMAT_F16 :
                               types[i].dtype == LQ_BF16 ? LQ_FORMAT_BF16 : 0;
            assert_int_equal(file.entries[0].format, format);
            assert_int_equal(file.entries[0].n_dims, 2);
            assert_int_equal(file.entries[0].dims[0], 2);
            assert_int_equal(file.entries[0].dims[1], 3);
            assert_int_equal(file.entries[0].offset, 8 + n);
            assert_int_equal(file.entries[0].bytes, size);
            file_free(&file);
            assert_int_equal(c.live, 0);
            free(data);
        }
    }
}

static uint8_t *load(const char *name, uint64_t *bytes)
{
    const char *folder = getenv("LQ_TEST_DATA");
    char path[1024];
    snprintf(path, sizeof path, "%s/safetensors/%s", folder ? folder : "tests/data", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *data = malloc(1 << 20);
    assert_non_null(data);
    *bytes = fread(data, 1, 1 << 20, f);
    assert_true(*bytes > 0 && *bytes < 1 << 20);
    fclose(f);
    return data;
}

/* A checkpoint that bitsandbytes wrote. */
static void real_file(void **state)
{
    uint64_t bytes, index;
    uint8_t *data = load("tiny_bnb4bit.safetensors", &bytes);
    counting c = { 0, 0, -1 };
    lq_file file;
    lq_error error = LQ_ERROR_INIT;
    (void)state;
    file_init(&file, &c);
    file.opts.strict = 1;
    assert_int_equal(file_parse(&file, data, bytes, &error), LQ_OK);
    assert_int_equal(file.entry_count, 27);
    assert_int_equal(file.key_count, 1);
    assert_string_equal(file.keys[0].key, "format");
    assert_string_equal(file.keys[0].strings[0], "pt");
    assert_int_equal(file.keys[0].string_bytes[0], 2);
    assert_int_equal(lqi_names_find(file.entry_names,
                                    "layer0.weight.quant_state.bitsandbytes__nf4", &index), 1);
    const lqi_entry *e = &file.entries[index];
    assert_int_equal(e->dtype, LQ_U8);
    assert_int_equal(e->bytes, 169);
    assert_int_equal(e->offset, 8 + 2240 + 3268);
    assert_memory_equal(data + e->offset, "{\"quant_type\": \"nf4\"", 20);
    file_free(&file);
    assert_int_equal(c.live, 0);
    free(data);
}

static const char sample[] =
    "{\"__metadata__\":{\"format\":\"pt\",\"k\\u00e9\":\"v\\n\"},"
    "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[2,10]},"
    "\"\\ud83d\\ude00\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
    "\"e\":{\"dtype\":\"I64\",\"shape\":[3,0],\"data_offsets\":[2,2]}}";

static void names_and_metadata(void **state)
{
    uint64_t bytes;
    uint8_t *data = image(sample, sizeof sample - 1, 10, &bytes);
    counting c = { 0, 0, -1 };
    lq_file file;
    (void)state;
    file_init(&file, &c);
    assert_int_equal(file_parse(&file, data, bytes, NULL), LQ_OK);
    assert_int_equal(file.entry_count, 3);
    assert_string_equal(file.entries[1].name, "\xf0\x9f\x98\x80");
    assert_int_equal(file.entries[1].n_dims, 0);
    assert_int_equal(file.entries[1].bytes, 2);
    assert_int_equal(file.entries[1].offset, bytes - 10);
    assert_int_equal(file.entries[2].bytes, 0);
    assert_string_equal(file.keys[1].key, "k\xc3\xa9");
    assert_string_equal(file.keys[1].strings[0], "v\n");
    file_free(&file);
    free(data);
}

/* Allocation number i fails, for all i: NOMEM, and nothing leaks. */
static void memory_runs_out(void **state)
{
    uint64_t bytes;
    uint8_t *data = load("tiny_bnb4bit.safetensors", &bytes);
    lq_status status = LQ_ERR_NOMEM;
    long i = 0;
    (void)state;
    for (; status == LQ_ERR_NOMEM; i++) {
        counting c = { 0, 0, i };
        lq_file file;
        lq_error error = LQ_ERROR_INIT;
        file_init(&file, &c);
        status = file_parse(&file, data, bytes, &error);
        file_free(&file);
        assert_int_equal(c.live, 0);
        assert_true(i < 1000);
    }
    assert_int_equal(status, LQ_OK);
    assert_true(i > 5);
    free(data);
}

/* 300,000 tensors in descending order of offsets, then all with the same name. */
static void many(void **state)
{
    enum { COUNT = 300000, LINE = 80 };
    char *header = malloc((size_t)COUNT * LINE + 2);
    (void)state;
    assert_non_null(header);
    for (int same = 0; same < 2; same++) {
        size_t n = 0;
        lq_error error = LQ_ERROR_INIT;
        for (unsigned i = 0; i < COUNT; i++) {
            unsigned at = COUNT - 1 - i;
            n += (size_t)sprintf(header + n, "%c\"t%u\":{\"dtype\":\"U8\",\"shape\":[1],"
                                 "\"data_offsets\":[%u,%u]}", i ? ',' : '{',
                                 same ? 7 : i, at, at + 1);
        }
        header[n++] = '}';
        assert_int_equal(try_header(header, n, COUNT, 0, &error),
                         same ? LQ_ERR_DUPLICATE : LQ_OK);
    }
    free(header);
}

static void tensor_limit(void **state)
{
    uint64_t bytes;
    uint8_t *data = image(sample, sizeof sample - 1, 10, &bytes);
    (void)state;
    for (uint64_t limit = 1; limit < 5; limit++) {
        counting c = { 0, 0, -1 };
        lq_file file;
        lq_error error = LQ_ERROR_INIT;
        file_init(&file, &c);
        file.opts.max_tensors = limit;
        assert_int_equal(file_parse(&file, data, bytes, &error),
                         limit < 3 ? LQ_ERR_LIMIT : LQ_OK);
        file_free(&file);
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type), cmocka_unit_test(real_file),
        cmocka_unit_test(names_and_metadata), cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(many), cmocka_unit_test(tensor_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
