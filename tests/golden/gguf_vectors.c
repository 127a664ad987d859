/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/gguf_vectors.c - the reference's bytes, block formats one by one
 *
 * Every case of tests/data/gguf: what is encoded has the reference's bytes, what is
 * decoded its numbers.  Cases that are undefined in the reference are encoded all the
 * same, for the sanitizers, and compared with nothing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/golden/gguf_util.h"

#define ELEMENTS 4096   /* of the largest case */

typedef struct vector {
    char   kind[16], type[16], name[32], q_fnv[20], deq_fnv[20];
    size_t rows, cols;
    long   x, imp, q;
} vector;

static uint8_t *blob;
static size_t blob_bytes;

/* Floats of the blob in the machine's byte order, or NULL for none. */
static const float *floats_at(long offset, size_t n, float *copy)
{
    if (offset < 0)
        return NULL;
    assert_true((size_t)offset + 4 * n <= blob_bytes);
    for (size_t i = 0; i < n; i++)
        copy[i] = lqi_bits_float(lqi_load32(blob + offset + 4 * i));
    return copy;
}

static void check_hash(const vector *v, const char *what, const char *expected, uint64_t hash)
{
    char text[20];

    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    if (strcmp(expected, "-") && strcmp(expected, text))
        fail_msg("%s %s: %s differ", v->type, v->name, what);
}

static void check_bytes(const vector *v, const lqi_format *f, const uint8_t *q, size_t bytes)
{
    if (v->q < 0)
        return;
    assert_true((size_t)v->q + bytes <= blob_bytes);
    for (size_t i = 0; i < bytes; i++)
        if (q[i] != blob[v->q + (long)i])
            fail_msg("%s %s: block %zu byte %zu is %02x, not %02x", v->type, v->name,
                     i / f->block_bytes, i % f->block_bytes, q[i], blob[v->q + (long)i]);
}

static void check_decoding(const vector *v, const lqi_format *f, const uint8_t *q)
{
    static float y[ELEMENTS], z[ELEMENTS];
    size_t bytes = row_bytes(f, v->cols);

    for (size_t r = 0; r < v->rows; r++) {
        decode_run(f, q + r * bytes, 0, v->cols, y + r * v->cols);
        value_row(f, q + r * bytes, v->cols, z + r * v->cols);
    }
    check_hash(v, "decoded numbers", v->deq_fnv, fnv_floats(y, v->rows * v->cols));
    assert_int_equal(first_difference(y, z, v->rows * v->cols), v->rows * v->cols);
}

static void run_vector(const vector *v)
{
    static float x[ELEMENTS], imp[ELEMENTS];
    static uint8_t q[4 * ELEMENTS];
    const lqi_format *f = lqi_format_by_name(v->type);
    size_t bytes;

    assert_non_null(f);
    assert_true(v->rows * v->cols <= ELEMENTS);
    bytes = row_bytes(f, v->cols);
    if (!strcmp(v->kind, "decode")) {
        check_decoding(v, f, blob + v->q);
        return;
    }
    const float *rows = floats_at(v->x, v->rows * v->cols, x);
    const float *importance = floats_at(v->imp, v->cols, imp);
    for (size_t r = 0; r < v->rows; r++)
        encode_row(f, rows + r * v->cols, importance, v->cols, q + r * bytes);
    check_bytes(v, f, q, v->rows * bytes);
    check_hash(v, "encoded bytes", v->q_fnv, fnv_bytes(q, v->rows * bytes));
    check_decoding(v, f, q);
}

static void test_vectors(void **state)
{
    size_t bytes, cases = 0;
    char *table = (char *)read_data("gguf/cases.tsv", &bytes), *line = table;

    (void)state;
    blob = read_data("gguf/vectors.bin", &blob_bytes);
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        vector v;
        *end = 0;
        if (line[0] == '#')
            continue;
        if (sscanf(line, "%15s %15s %31s %zu %zu %ld %ld %ld %19s %19s", v.kind, v.type, v.name,
                   &v.rows, &v.cols, &v.x, &v.imp, &v.q, v.q_fnv, v.deq_fnv) != 10)
            fail_msg("cannot read: %s", line);
        run_vector(&v);
        cases++;
    }
    assert_true(cases > 200);
    free(blob);
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
