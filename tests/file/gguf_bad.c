/* SPDX-License-Identifier: MIT */
/*
 * tests/file/gguf_bad.c - broken GGUF files: the right refusal, little memory, no crash
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/file/container.h"

/* Open from memory, look at everything, close.  Afterwards nothing is allocated. */
static lq_status try_bytes(const void *data, uint64_t bytes, int strict, long *peak)
{
    meter m = { .fail_at = -1 };
    lq_ctx *ctx = meter_ctx(&m);
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_file *file = NULL;
    long before = m.live;
    lq_status status;

    opts.strict = strict;
    m.peak = m.live;
    status = lq_file_open_memory(ctx, data, bytes, &opts, &file, &error);
    if (status == LQ_OK)
        walk(file);
    else
        assert_true(file == NULL && error.status == status && error.message[0]);
    lq_file_close(file);
    if (peak)
        *peak = m.peak - before;
    assert_int_equal(m.live, before);
    lq_ctx_destroy(ctx);
    assert_int_equal(m.live, 0);
    return status;
}

/* Field number 'index' of a line of tab-separated fields, copied. */
static const char *field(const char *line, int index, char *out, size_t capacity)
{
    while (index-- > 0)
        line = strchr(line, '\t') + 1;
    snprintf(out, capacity, "%.*s", (int)strcspn(line, "\t\n"), line);
    return out;
}

static void check_verdict(const char *line, int strict)
{
    char name[80], verdict[80], expected[80], path[512];
    uint64_t bytes;
    long peak;
    uint8_t *data;
    lq_status status;

    field(line, 0, name, sizeof name);
    field(line, 1, verdict, sizeof verdict);
    field(line, 2 + strict, expected, sizeof expected);
    snprintf(path, sizeof path, "gguf_files/malformed/%s", name);
    data = load(path, &bytes);
    status = try_bytes(data, bytes, strict, &peak);
    if (strcmp(lq_status_name(status), expected) != 0)
        fail_msg("%s%s: %s, expected %s", name, strict ? " (strict)" : "",
                 lq_status_name(status), expected);
    if (!strcmp(verdict, "bad") && status == LQ_OK)
        fail_msg("%s must be refused", name);
    if (!strcmp(verdict, "ok") && !strict && status != LQ_OK)
        fail_msg("%s must be accepted", name);
    if (peak > (long)(16384 + 8 * bytes))
        fail_msg("%s: %ld bytes of memory for %lu of file", name, peak, (unsigned long)bytes);
    free(data);
}

static void verdicts(void **state)
{
    FILE *list = open_data("gguf_files/malformed.tsv");
    char line[1024];
    int count = 0;

    (void)state;
    for (; fgets(line, sizeof line, list); count++) {
        check_verdict(line, 0);
        check_verdict(line, 1);
    }
    fclose(list);
    assert_int_equal(count, 110);
}

/* An exact copy of the first n bytes, so that a sanitizer sees a read past them. */
static lq_status try_cut(const uint8_t *data, uint64_t n)
{
    uint8_t *cut = malloc(n ? (size_t)n : 1);
    lq_status status;

    assert_non_null(cut);
    memcpy(cut, data, (size_t)n);
    status = try_bytes(cut, n, 0, NULL);
    free(cut);
    return status;
}

static void cut_everywhere(void **state)
{
    uint64_t bytes;
    uint8_t *data = load("gguf_files/files/all_kv_types.gguf", &bytes);

    (void)state;
    assert_int_equal(bytes, 1984);
    assert_int_equal(try_cut(data, bytes), LQ_OK);
    /* The last tensor's 96 bytes end the file exactly: nothing may be missing. */
    for (uint64_t n = 0; n < bytes; n++)
        if (try_cut(data, n) != LQ_ERR_TRUNCATED)
            fail_msg("cut at byte %lu: not TRUNCATED", (unsigned long)n);
    free(data);
}

/* Every byte of a header set to a few values: any status, no crash, no leak. */
static void change_everywhere(void **state)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    uint64_t bytes;
    uint8_t *data = load("gguf_files/files/imatrix_sample.gguf", &bytes);

    (void)state;
    for (uint64_t i = 0; i < 480; i++) {
        uint8_t saved = data[i];
        for (size_t v = 0; v < sizeof values; v++) {
            data[i] = values[v];
            try_bytes(data, bytes, (int)(i & 1), NULL);
        }
        data[i] = saved;
    }
    free(data);
}

/* A file of 'count' scalars; 'distinct' names or all the same. */
static uint8_t *many(uint64_t count, int distinct, uint64_t *bytes)
{
    uint64_t each = 8 + 8 + 4 + 4 + 8;
    uint8_t *data = calloc(1, (size_t)(24 + count * (each + 32) + 64)), *p = data + 24;

    assert_non_null(data);
    memcpy(data, "GGUF\3\0\0\0", 8);
    lqi_store64(data + 8, count);
    for (uint64_t i = 0; i < count; i++, p += each) {
        char name[24];
        snprintf(name, sizeof name, "%08lx", (unsigned long)(distinct ? i : 0));
        lqi_store64(p, 8);
        memcpy(p + 8, name, 8);
        lqi_store64(p + 24, 32 * i);
    }
    *bytes = ((uint64_t)(p - data) + 31) / 32 * 32 + 32 * count;
    return data;
}

static void many_tensors(void **state)
{
    uint64_t bytes, count = 300000;
    long peak;
    uint8_t *data = many(count, 1, &bytes);

    (void)state;
    assert_int_equal(try_bytes(data, bytes, 0, &peak), LQ_OK);
    assert_in_range(peak, 1, 16 * bytes);
    free(data);
    data = many(count, 0, &bytes);
    assert_int_equal(try_bytes(data, bytes, 0, NULL), LQ_ERR_DUPLICATE);
    free(data);
}

static void limits(void **state)
{
    uint64_t bytes;
    uint8_t *data = many(100, 1, &bytes);
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    lq_file *file = NULL;

    (void)state;
    opts.max_tensors = 99;
    assert_int_equal(lq_file_open_memory(ctx, data, bytes, &opts, &file, NULL), LQ_ERR_LIMIT);
    opts.max_tensors = 100;
    opts.max_header = 24 + 100 * 32 - 1;
    assert_int_equal(lq_file_open_memory(ctx, data, bytes, &opts, &file, NULL), LQ_ERR_LIMIT);
    opts.max_header++;
    assert_int_equal(lq_file_open_memory(ctx, data, bytes, &opts, &file, NULL), LQ_OK);
    lq_file_close(file);
    lq_ctx_destroy(ctx);
    free(data);
}

/* Allocation number i fails: NOMEM, nothing left, and finally success.  From disk. */
static void memory_runs_out(void **state)
{
    meter m = { .fail_at = -1 };
    lq_ctx *ctx = meter_ctx(&m);
    lq_status status = LQ_ERR_NOMEM;
    long before = m.live;
    char path[1024];

    (void)state;
    data_path("gguf_files/files/all_kv_types.gguf", path, sizeof path);
    for (long i = 0; status != LQ_OK; i++) {
        lq_file *file = NULL;
        assert_in_range(i, 0, 200);
        m.made = 0;
        m.fail_at = i;
        status = lq_file_open(ctx, path, NULL, &file, NULL);
        assert_true(status == LQ_OK ? i > 5 : status == LQ_ERR_NOMEM && file == NULL);
        lq_file_close(file);
        assert_int_equal(m.live, before);
    }
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),     cmocka_unit_test(cut_everywhere),
        cmocka_unit_test(change_everywhere), cmocka_unit_test(many_tensors),
        cmocka_unit_test(limits),       cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
