/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/gptq.c - GPTQ import and export: refusals, hostile arrays, strides, detection
 */
#include "common.h"

#define ROWS 32
#define COLS 64
#define GROUP 32
#define GROUPS (COLS / GROUP)
#define STRIDE (COLS / 2 + 5)

typedef struct job {
    lq_spec spec;
    lq_rows rows;
    lq_gptq gptq;
    uint8_t codes[ROWS * STRIDE], zeros[ROWS * GROUPS], scales[2 * ROWS * GROUPS];
    uint8_t gidx[4 * COLS];
    uint8_t qweight[COLS / 2 * ROWS], qzeros[ROWS / 2 * GROUPS], qscales[2 * ROWS * GROUPS];
    uint8_t g_idx[4 * COLS];
} job;

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)test_next(&seed);
}

static void job_init(job *j, uint32_t flags)
{
    lq_spec spec = LQ_SPEC_INIT;
    lq_rows rows = LQ_ROWS_INIT;
    lq_gptq gptq = LQ_GPTQ_INIT;

    memset(j, 0, sizeof *j);
    j->spec = spec;
    j->spec.format = LQ_FORMAT_INT4;
    j->spec.group_cols = GROUP;
    j->spec.zeros = LQ_ZEROS_INT;
    j->spec.flags = flags;
    j->rows = rows;
    j->rows.spec = &j->spec;
    j->rows.rows = ROWS;
    j->rows.cols = COLS;
    j->rows.plane[LQ_PLANE_CODES] = j->codes;
    j->rows.plane[LQ_PLANE_SCALES] = j->scales;
    j->rows.plane[LQ_PLANE_ZEROS] = j->zeros;
    j->rows.plane[LQ_PLANE_GIDX] = flags & LQ_SPEC_GIDX ? j->gidx : NULL;
    j->gptq = gptq;
    j->gptq.version = LQ_GPTQ_V2;
    assert_int_equal(lq_gptq_bytes(&j->spec, ROWS, COLS, &j->gptq), LQ_OK);
    assert_int_equal(j->gptq.qweight_bytes, sizeof j->qweight);
    assert_int_equal(j->gptq.qzeros_bytes, sizeof j->qzeros);
    assert_int_equal(j->gptq.scales_bytes, sizeof j->qscales);
    assert_int_equal(j->gptq.g_idx_bytes, sizeof j->g_idx);
    assert_int_equal(j->gptq.version, LQ_GPTQ_V2);
    j->gptq.qweight = j->qweight;
    j->gptq.qzeros = j->qzeros;
    j->gptq.scales = j->qscales;
    fill(j->qweight, sizeof j->qweight, 1);
    fill(j->qzeros, sizeof j->qzeros, 2);
    fill(j->qscales, sizeof j->qscales, 3);
    for (unsigned c = 0; c < COLS; c++)
        j->g_idx[4 * c] = (uint8_t)(c / GROUP);
}

/* Any bytes go in and come out again; bytes between strided rows stay. */
static void test_round_trip(void **state)
{
    job j, out;

    (void)state;
    for (int stride = 0; stride < 2; stride++)
        for (int32_t version = LQ_GPTQ_V1; version <= LQ_GPTQ_V2; version++) {
            job_init(&j, 0);
            memset(j.codes, 0xa5, sizeof j.codes);
            j.rows.stride = stride ? STRIDE : 0;
            j.gptq.version = version;
            /* version 1 writes no zero point 0: fields 15 do not come */
            for (size_t i = 0; version == LQ_GPTQ_V1 && i < sizeof j.qzeros; i++)
                j.qzeros[i] &= 0x77;
            assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_OK);
            for (int r = 0; stride && r < ROWS; r++)
                assert_int_equal(j.codes[r * STRIDE + COLS / 2], 0xa5);
            out = j;
            out.gptq.qweight = memset(out.qweight, 0xff, sizeof out.qweight);
            out.gptq.qzeros = memset(out.qzeros, 0xff, sizeof out.qzeros);
            out.gptq.scales = memset(out.qscales, 0xff, sizeof out.qscales);
            out.gptq.g_idx = memset(out.g_idx, 0xff, sizeof out.g_idx);
            assert_int_equal(lq_gptq_export(&j.rows, &out.gptq), LQ_OK);
            assert_memory_equal(out.qweight, j.qweight, sizeof j.qweight);
            assert_memory_equal(out.qzeros, j.qzeros, sizeof j.qzeros);
            assert_memory_equal(out.qscales, j.qscales, sizeof j.qscales);
            assert_memory_equal(out.g_idx, j.g_idx, sizeof j.g_idx);
        }
}

/* Version 1 stores zero - 1 modulo 16: field 15 is zero point 0, which export refuses. */
static void test_zero_points(void **state)
{
    job j;

    (void)state;
    job_init(&j, 0);
    j.gptq.version = LQ_GPTQ_V1;
    memset(j.qzeros, 0x77, sizeof j.qzeros);
    j.qzeros[1] = 0xf0;                      /* group 0, rows 2 and 3: fields 0 and 15 */
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_OK);
    assert_int_equal(j.zeros[0], 8);
    assert_int_equal(j.zeros[2 * GROUPS], 1);
    assert_int_equal(j.zeros[3 * GROUPS], 0);
    assert_int_equal(lq_gptq_export(&j.rows, &j.gptq), LQ_ERR_NUMERIC);
    j.gptq.version = LQ_GPTQ_V2;
    assert_int_equal(lq_gptq_export(&j.rows, &j.gptq), LQ_OK);
    j.zeros[5] = 16;
    assert_int_equal(lq_gptq_export(&j.rows, &j.gptq), LQ_ERR_CORRUPT);
}

static void test_g_idx(void **state)
{
    job j;

    (void)state;
    job_init(&j, LQ_SPEC_GIDX);
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_OK);       /* none: in order */
    assert_memory_equal(j.gidx, j.g_idx, sizeof j.gidx);
    j.gptq.g_idx = j.g_idx;
    j.g_idx[0] = 1;
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_OK);
    assert_memory_equal(j.gidx, j.g_idx, sizeof j.gidx);
    j.gptq.g_idx = NULL;                      /* nowhere to write what is not in order */
    assert_int_equal(lq_gptq_export(&j.rows, &j.gptq), LQ_ERR_MISMATCH);
    j.gptq.g_idx = j.g_idx;
    j.gidx[7] = 0x80;
    assert_int_equal(lq_gptq_export(&j.rows, &j.gptq), LQ_ERR_CORRUPT);
    static const uint32_t bad[] = { GROUPS, 0xffffffff, 0x80000000, 0x7fffffff, 256 };
    for (size_t i = 0; i < COUNT(bad); i++) {
        for (int b = 0; b < 4; b++)
            j.g_idx[4 * 63 + b] = (uint8_t)(bad[i] >> 8 * b);
        memset(j.codes, 0x5a, sizeof j.codes);
        assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_ERR_CORRUPT);
        for (size_t k = 0; k < sizeof j.codes; k++)
            assert_int_equal(j.codes[k], 0x5a);
    }
    /* a spec without the plane takes only the plain order */
    job_init(&j, 0);
    j.gptq.g_idx = j.g_idx;
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_OK);
    j.g_idx[0] = 1;
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_ERR_MISMATCH);
}

static void test_refusals(void **state)
{
    job j;
    lq_gptq g = LQ_GPTQ_INIT;

    (void)state;
    job_init(&j, 0);
    uint64_t *sizes[] = { &j.gptq.qweight_bytes, &j.gptq.qzeros_bytes, &j.gptq.scales_bytes };
    for (int i = 0; i < 3; i++) {
        --*sizes[i];
        assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_ERR_BUFFER);
        assert_int_equal(lq_gptq_export(&j.rows, &j.gptq), LQ_ERR_BUFFER);
        ++*sizes[i];
    }
    j.gptq.version = 0;
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_ERR_ARG);
    j.gptq.version = 5;
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_ERR_ARG);
    j.gptq.version = 1;
    j.rows.stride = COLS / 2 - 1;
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_ERR_ARG);
    j.rows.stride = 0;
    j.rows.plane[LQ_PLANE_ZEROS] = NULL;
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_ERR_ARG);
    j.rows.plane[LQ_PLANE_ZEROS] = j.zeros;
    j.gptq.qzeros = NULL;
    assert_int_equal(lq_gptq_import(&j.gptq, &j.rows), LQ_ERR_ARG);
    assert_int_equal(lq_gptq_import(NULL, &j.rows), LQ_ERR_ARG);
    assert_int_equal(lq_gptq_export(NULL, &j.gptq), LQ_ERR_ARG);

    assert_int_equal(lq_gptq_bytes(&j.spec, 33, 64, &g), LQ_ERR_SHAPE);
    assert_int_equal(lq_gptq_bytes(&j.spec, 32, 40, &g), LQ_ERR_SHAPE);
    assert_int_equal(lq_gptq_bytes(&j.spec, (uint64_t)1 << 62, 1 << 20, &g), LQ_ERR_OVERFLOW);
    assert_int_equal(lq_gptq_bytes(&j.spec, 32, (uint64_t)1 << 40, &g), LQ_ERR_OVERFLOW);
    assert_int_equal(lq_gptq_bytes(&j.spec, 32, 64, NULL), LQ_ERR_ARG);
    j.spec.zeros = LQ_ZEROS_FLOAT;
    assert_int_equal(lq_gptq_bytes(&j.spec, 32, 64, &g), LQ_ERR_UNSUPPORTED);
    j.spec.zeros = LQ_ZEROS_INT;
    j.spec.scale_type = LQ_F32;
    assert_int_equal(lq_gptq_bytes(&j.spec, 32, 64, &g), LQ_ERR_UNSUPPORTED);
    j.spec.scale_type = 0;
    j.spec.zeros = 0;
    j.spec.format = LQ_FORMAT_NF4;
    assert_int_equal(lq_gptq_bytes(&j.spec, 32, 64, &g), LQ_ERR_UNSUPPORTED);
    assert_int_equal(g.qweight_bytes, 0);
}

/* 32 fields of one value, as a stream of 'bits' words. */
static void stream(uint8_t *words, uint32_t bits, uint32_t value)
{
    memset(words, 0, 4 * bits);
    for (uint32_t b = 0; b < 32 * bits; b++)
        if (value >> b % bits & 1)
            words[b / 8] |= (uint8_t)(1u << b % 8);
}

static void test_detect(void **state)
{
    static const uint32_t bits[] = { 2, 3, 4, 8 };
    uint8_t words[64];

    (void)state;
    for (size_t i = 0; i < COUNT(bits); i++) {
        uint32_t b = bits[i], middle = 1u << (b - 1);
        stream(words, b, middle);
        stream(words + 4 * b, b, middle);
        assert_int_equal(lq_gptq_detect(words, 8 * b, b), LQ_GPTQ_V2);
        stream(words + 4 * b, b, middle - 1);
        assert_int_equal(lq_gptq_detect(words, 8 * b, b), 0);
        stream(words, b, middle - 1);
        assert_int_equal(lq_gptq_detect(words, 8 * b, b), LQ_GPTQ_V1);
        assert_int_equal(lq_gptq_detect(words, 8 * b - 1, b), 0);
        words[8 * b - 1] ^= 0x80;
        assert_int_equal(lq_gptq_detect(words, 8 * b, b), 0);
    }
    assert_int_equal(lq_gptq_detect(words, 32, 5), 0);
    assert_int_equal(lq_gptq_detect(words, 32, 0), 0);
    assert_int_equal(lq_gptq_detect(words, 0, 4), 0);
    assert_int_equal(lq_gptq_detect(NULL, 32, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_zero_points),
        cmocka_unit_test(test_g_idx),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_detect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
