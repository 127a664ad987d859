/* SPDX-License-Identifier: MIT */
/*
 * tests/file/imatrix.c - importances of both kinds of file, and files that have none
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tests/file/container.h"

static lq_imatrix *open_sample(const lq_ctx *ctx, const char *name)
{
    lq_imatrix *m = NULL;
    lq_error error = LQ_ERROR_INIT;
    char path[1024], below[128];

    snprintf(below, sizeof below, "gguf_files/files/%s", name);
    if (lq_imatrix_open(ctx, data_path(below, path, sizeof path), &m, &error) != LQ_OK)
        fail_msg("%s", error.message);
    return m;
}

/* Entries as files.tsv has them: "I", name, calls, count, sum of the stored values. */
static void legacy(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_imatrix *m = open_sample(ctx, "imatrix_legacy.dat");
    FILE *list = open_data("gguf_files/files.tsv");
    char line[4096], name[64];
    const char *found;
    const float *values, *again;
    uint64_t count, entries = 0;
    int calls, n;
    double expected;

    (void)state;
    while (fgets(line, sizeof line, list)) {
        double sum = 0;
        if (sscanf(line, "I\t%63s\t%d\t%d\t%lf", name, &calls, &n, &expected) != 4)
            continue;
        assert_int_equal(lq_imatrix_at(m, entries++, &found, &values, &count), LQ_OK);
        assert_string_equal(found, name);
        assert_int_equal(count, n);
        for (uint64_t i = 0; i < count; i++)
            sum += (double)values[i] * calls;
        assert_true(fabs(sum - expected) < 1e-4 * expected);
        assert_int_equal(lq_imatrix_find(m, name, &again, &count), LQ_OK);
        assert_ptr_equal(again, values);
    }
    fclose(list);
    assert_int_equal(entries, 2);
    assert_int_equal(lq_imatrix_count(m), 2);
    assert_int_equal(lq_imatrix_at(m, 2, &found, &values, &count), LQ_ERR_ARG);
    assert_int_equal(lq_imatrix_find(m, "blk.0.attn_q", &values, &count), LQ_ERR_NOTFOUND);
    lq_imatrix_destroy(m);
    lq_imatrix_destroy(NULL);
    lq_ctx_destroy(ctx);
}

/* The sample's sums are random numbers of both signs, its counts are not: clear the
 * signs.  Data of the first tensor begin at byte 480, the last counts at 1312. */
static uint8_t *load_gguf(uint64_t *bytes)
{
    uint8_t *data = load("gguf_files/files/imatrix_sample.gguf", bytes);

    for (uint64_t at = 480; at < *bytes; at += 4)
        data[at + 3] &= 0x7f;
    return data;
}

static float raw(const uint8_t *data, uint64_t start, uint64_t i)
{
    return lqi_bits_float(lqi_load32(data + start + 4 * i));
}

static void gguf(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_imatrix *m = NULL;
    const float *values;
    uint64_t count, bytes;
    uint8_t *data = load_gguf(&bytes);

    (void)state;
    assert_int_equal(lq_imatrix_open_memory(ctx, data, bytes, &m, NULL), LQ_OK);
    assert_int_equal(lq_imatrix_count(m), 2);
    assert_int_equal(lq_imatrix_find(m, "blk.0.ffn_up_exps.weight", &values, &count), LQ_OK);
    assert_int_equal(count, 256);
    for (uint64_t i = 0; i < count; i++) {
        float calls = raw(data, 480 + 1312, i / 64), sum = raw(data, 480 + 288, i);
        assert_true(values[i] == (calls > 0 ? sum / calls : 1.0f));
    }
    assert_int_equal(lq_imatrix_find(m, "blk.0.attn_q.weight", &values, &count), LQ_OK);
    assert_int_equal(count, 64);
    lq_imatrix_destroy(m);
    lq_ctx_destroy(ctx);
    free(data);
}

/* ---------------------------------------------------------------- bad files */

typedef struct image {
    uint8_t  data[256];
    uint64_t bytes;
} image;

static void add_i32(image *m, int32_t value)
{
    lqi_store32(m->data + m->bytes, (uint32_t)value);
    m->bytes += 4;
}

static void add_entry(image *m, const char *name, int32_t calls, int32_t n, float value)
{
    add_i32(m, (int32_t)strlen(name));
    memcpy(m->data + m->bytes, name, strlen(name));
    m->bytes += strlen(name);
    add_i32(m, calls);
    add_i32(m, n);
    for (int32_t i = 0; i < n; i++)
        add_i32(m, (int32_t)lqi_float_bits(value));
}

static lq_status try_bytes(const void *data, uint64_t bytes, lq_error *error)
{
    meter m = { .fail_at = -1 };
    lq_ctx *ctx = meter_ctx(&m);
    uint8_t *copy = malloc(bytes ? (size_t)bytes : 1);
    lq_imatrix *imatrix = NULL;
    long before = m.live;
    lq_status status;

    assert_non_null(copy);
    memcpy(copy, data, (size_t)bytes);
    status = lq_imatrix_open_memory(ctx, copy, bytes, &imatrix, error);
    assert_true((status == LQ_OK) == (imatrix != NULL));
    lq_imatrix_destroy(imatrix);
    assert_int_equal(m.live, before);
    lq_ctx_destroy(ctx);
    free(copy);
    return status;
}

/* One entry with these numbers. */
static lq_status try_entry(int32_t entries, int32_t length, int32_t calls, int32_t n, float v)
{
    image m = { .bytes = 0 };

    add_i32(&m, entries);
    add_entry(&m, "w", calls, n < 0 ? 0 : n > 8 ? 8 : n, v);
    lqi_store32(m.data + 4, (uint32_t)length);
    lqi_store32(m.data + 13, (uint32_t)n);
    return try_bytes(m.data, m.bytes, NULL);
}

static void bad_numbers(void **state)
{
    (void)state;
    assert_int_equal(try_entry(1, 1, 2, 8, 1), LQ_OK);
    assert_int_equal(try_entry(1, 1, 0, 8, 1), LQ_OK);
    assert_int_equal(try_entry(1, 1, 2, 8, 0), LQ_OK);
    assert_int_equal(try_entry(0, 1, 2, 8, 1), LQ_ERR_CORRUPT);
    assert_int_equal(try_entry(-1, 1, 2, 8, 1), LQ_ERR_CORRUPT);
    assert_int_equal(try_entry(INT32_MAX, 1, 2, 8, 1), LQ_ERR_LIMIT);
    assert_int_equal(try_entry(5, 1, 2, 8, 1), LQ_ERR_TRUNCATED);
    assert_int_equal(try_entry(1, -1, 2, 8, 1), LQ_ERR_CORRUPT);
    assert_int_equal(try_entry(1, 0, 2, 8, 1), LQ_ERR_CORRUPT);
    assert_int_equal(try_entry(1, INT32_MAX, 2, 8, 1), LQ_ERR_TRUNCATED);
    assert_int_equal(try_entry(1, 1, -2, 8, 1), LQ_ERR_CORRUPT);
    assert_int_equal(try_entry(1, 1, 2, 0, 1), LQ_ERR_CORRUPT);
    assert_int_equal(try_entry(1, 1, 2, -8, 1), LQ_ERR_CORRUPT);
    assert_int_equal(try_entry(1, 1, 2, 9, 1), LQ_ERR_TRUNCATED);
    assert_int_equal(try_entry(1, 1, 2, INT32_MAX, 1), LQ_ERR_TRUNCATED);
    assert_int_equal(try_entry(1, 1, 2, 8, -1), LQ_ERR_CORRUPT);
    assert_int_equal(try_entry(1, 1, 2, 8, NAN), LQ_ERR_NONFINITE);
    assert_int_equal(try_entry(1, 1, 2, 8, INFINITY), LQ_ERR_NONFINITE);
}

static void named_errors(void **state)
{
    lq_error error = LQ_ERROR_INIT;
    image m = { .bytes = 0 };

    (void)state;
    add_i32(&m, 2);
    add_entry(&m, "first", 1, 4, 1);
    add_entry(&m, "second", 1, 4, NAN);
    assert_int_equal(try_bytes(m.data, m.bytes, &error), LQ_ERR_NONFINITE);
    assert_string_equal(error.name, "second");
    m.bytes = 0;
    add_i32(&m, 2);
    add_entry(&m, "first", 1, 4, 1);
    add_entry(&m, "first", 1, 4, 1);
    assert_int_equal(try_bytes(m.data, m.bytes, &error), LQ_ERR_DUPLICATE);
    assert_string_equal(error.name, "first");
}

/* Only two cuts leave a whole file of an older layout: before and inside the tail. */
static void cut_everywhere(void **state)
{
    uint64_t bytes, whole = 0, entries_end;
    uint8_t *data = load("gguf_files/files/imatrix_legacy.dat", &bytes);

    (void)state;
    entries_end = 4 + (4 + 19 + 8 + 64 * 4) + (4 + 21 + 8 + 96 * 4);
    for (uint64_t n = 0; n < bytes; n++) {
        lq_status status = try_bytes(data, n, NULL);
        if (n == entries_end || n == entries_end + 4)
            whole += status == LQ_OK;
        else
            assert_int_equal(status, LQ_ERR_TRUNCATED);
    }
    assert_int_equal(whole, 2);
    assert_int_equal(try_bytes(data, bytes, NULL), LQ_OK);
    free(data);
}

/* Sums and counts of a GGUF file, changed one at a time. */
static void bad_gguf(void **state)
{
    uint64_t bytes;
    uint8_t *data = load_gguf(&bytes);
    lq_error error = LQ_ERROR_INIT;

    (void)state;
    lqi_store32(data + 480, lqi_float_bits(-1));
    assert_int_equal(try_bytes(data, bytes, &error), LQ_ERR_CORRUPT);
    lqi_store32(data + 480, lqi_float_bits(NAN));
    assert_int_equal(try_bytes(data, bytes, &error), LQ_ERR_NONFINITE);
    assert_string_equal(error.name, "blk.0.attn_q.weight.in_sum2");
    lqi_store32(data + 480, lqi_float_bits(1));
    lqi_store32(data + 480 + 256, lqi_float_bits(-1));
    assert_int_equal(try_bytes(data, bytes, &error), LQ_ERR_CORRUPT);
    lqi_store32(data + 480 + 256, lqi_float_bits(INFINITY));
    assert_int_equal(try_bytes(data, bytes, &error), LQ_ERR_NONFINITE);
    lqi_store32(data + 480 + 256, 1);   /* the quotient overflows */
    assert_int_equal(try_bytes(data, bytes, &error), LQ_ERR_NONFINITE);
    lqi_store32(data + 480 + 256, lqi_float_bits(0));
    assert_int_equal(try_bytes(data, bytes, &error), LQ_OK);
    free(data);
    data = load("gguf_files/files/all_kv_types.gguf", &bytes);
    assert_int_equal(try_bytes(data, bytes, &error), LQ_ERR_FORMAT);
    free(data);
}

/* Allocation number i fails, of an opening that succeeds otherwise. */
static void memory_runs_out_of(const void *data, uint64_t bytes)
{
    meter m = { .fail_at = -1 };
    lq_ctx *ctx = meter_ctx(&m);
    lq_status status = LQ_ERR_NOMEM;
    long before = m.live;

    for (long i = 0; status != LQ_OK; i++) {
        lq_imatrix *imatrix = NULL;
        assert_in_range(i, 0, 100);
        m.made = 0;
        m.fail_at = i;
        status = lq_imatrix_open_memory(ctx, data, bytes, &imatrix, NULL);
        assert_true(status == LQ_OK ? i > 4 : status == LQ_ERR_NOMEM);
        lq_imatrix_destroy(imatrix);
        assert_int_equal(m.live, before);
    }
    lq_ctx_destroy(ctx);
}

static void memory_runs_out(void **state)
{
    uint64_t bytes;
    uint8_t *data = load_gguf(&bytes);

    (void)state;
    memory_runs_out_of(data, bytes);
    free(data);
    data = load("gguf_files/files/imatrix_legacy.dat", &bytes);
    memory_runs_out_of(data, bytes);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legacy),         cmocka_unit_test(gguf),
        cmocka_unit_test(bad_numbers),    cmocka_unit_test(named_errors),
        cmocka_unit_test(cut_everywhere), cmocka_unit_test(bad_gguf),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
