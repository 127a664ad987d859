/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/scales.c - lq_scales: types, ranges, two levels, refusals
 */
#include "common.h"

#include "lib/base/half.h"
#include "lib/core/core.h"

#define N 600

static lq_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    ctx = test_ctx(LQ_LEVEL_REF, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lq_ctx_destroy(ctx);
    return 0;
}

static lq_status create(const float *x, uint64_t n, lq_dtype type, uint32_t block,
                        const float *offset, lq_scales **s)
{
    lq_scales_opts opts = LQ_SCALES_OPTS_INIT;

    opts.type = type;
    opts.scale2_block = block;
    opts.offset = offset;
    return lq_scales_create(ctx, x, n, &opts, s, NULL);
}

static void fill_positive(float *x, size_t n, uint64_t seed)
{
    test_fill(x, n, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = fabsf(x[i]) * 0.1f + 0.01f;
}

/* Relative error of one level: half a unit of the mantissa, sqrt(2) for E8M0. */
static void one_level(lq_dtype type, double bound)
{
    float x[N], y[N], again[N];
    uint64_t bytes;
    lq_scales *s, *t;
    lq_scales_opts opts = LQ_SCALES_OPTS_INIT;

    fill_positive(x, N, 7);
    assert_int_equal(create(x, N, type, 0, NULL, &s), LQ_OK);
    assert_int_equal(lq_scales_count(s), N);
    const void *codes = lq_scales_codes(s, &bytes);
    assert_int_equal(bytes, N * lqi_scale_bytes(type));
    assert_null(lq_scales_scale2(s, NULL));
    assert_true(lq_scales_offset(s) == 0);
    assert_int_equal(lq_scales_decode(s, 0, N, y), LQ_OK);
    for (int i = 0; i < N; i++) {
        assert_true(y[i] == lqi_scale_round(type, x[i]));
        assert_true(y[i] / x[i] <= 1 + bound && x[i] / y[i] <= 1 + bound);
    }
    opts.type = type;
    assert_int_equal(lq_scales_from_stored(ctx, codes, NULL, N, &opts, &t, NULL), LQ_OK);
    assert_int_equal(lq_scales_decode(t, 17, 100, again), LQ_OK);
    assert_memory_equal(again, y + 17, 100 * sizeof *y);
    lq_scales_destroy(s);
    lq_scales_destroy(t);
}

static void test_one_level(void **state)
{
    (void)state;
    one_level(LQ_F32, 0);
    one_level(LQ_F16, 0x1p-11);
    one_level(LQ_BF16, 0x1p-8);
    one_level(LQ_F8_E4M3, 0.15);      /* some are subnormal */
    one_level(LQ_E8M0, 0.4142136);
}

static void test_two_levels(void **state)
{
    float x[N], y[N], piece[10];
    double sum = 0;
    uint64_t count, bytes;
    lq_scales *s;

    (void)state;
    fill_positive(x, N, 9);
    assert_int_equal(create(x, N, 0, 256, NULL, &s), LQ_OK);
    for (int i = 0; i < N; i++)
        sum += x[i];
    assert_true(lq_scales_offset(s) == (float)(sum / N));
    const uint8_t *codes = lq_scales_codes(s, &bytes);
    const float *scale2 = lq_scales_scale2(s, &count);
    assert_int_equal(bytes, N);
    assert_int_equal(count, 3);
    assert_int_equal(lq_scales_decode(s, 0, N, y), LQ_OK);
    for (int i = 0; i < N; i++) {
        float product = lqi_dynamic8[codes[i]] * scale2[i / 256];
        assert_true(y[i] == product + lq_scales_offset(s));
        assert_true(fabsf(y[i] - x[i]) <= 0.009f * scale2[i / 256]);   /* widest gap / 2 */
    }
    /* the planes of a tensor say the same, also where a block ends */
    float offset = lq_scales_offset(s);
    union { const void *in; void *out; } c = { codes }, s2 = { scale2 };
    void *plane[LQ_PLANES] = { 0 };
    lq_spec spec = LQ_SPEC_INIT;
    plane[LQ_PLANE_SCALES] = c.out;
    plane[LQ_PLANE_SCALE2] = s2.out;
    plane[LQ_PLANE_OFFSET] = &offset;
    spec.scale2_block = 256;
    lqi_scales_read(ctx, &spec, plane, 251, 10, piece);
    assert_memory_equal(piece, y + 251, sizeof piece);
    lq_scales_destroy(s);
}

/* All equal: the second level is 0 and decoding gives the offset. */
static void test_equal_scales(void **state)
{
    float x[5] = { 0.25f, 0.25f, 0.25f, 0.25f, 0.25f }, y[5], offset = 0.5f;
    lq_scales *s;

    (void)state;
    assert_int_equal(create(x, 5, 0, 2, NULL, &s), LQ_OK);
    assert_int_equal(lq_scales_decode(s, 0, 5, y), LQ_OK);
    assert_memory_equal(x, y, sizeof x);
    lq_scales_destroy(s);
    assert_int_equal(create(x, 5, 0, 2, &offset, &s), LQ_OK);
    assert_true(lq_scales_offset(s) == 0.5f);
    assert_int_equal(lq_scales_decode(s, 0, 5, y), LQ_OK);
    for (int i = 0; i < 5; i++)      /* -0.25 is no value of the map: -0.993 * 0.25 is */
        assert_true(fabsf(y[i] - 0.25f) < 0.002f);
    lq_scales_destroy(s);
}

static void test_search(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        assert_int_equal(lqi_dynamic8_nearest(lqi_dynamic8[i]), i);
        assert_int_equal(lqi_dynamic_nearest(lqi_udynamic8, lqi_udynamic8[i]), i);
    }
    assert_int_equal(lqi_dynamic8_nearest(-2), 0);
    assert_int_equal(lqi_dynamic8_nearest(2), 255);
    assert_int_equal(lqi_dynamic8_nearest(INFINITY), 255);
    assert_int_equal(lqi_dynamic8_nearest(NAN), 0);
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        float y = test_normal(&seed) * (i % 2 ? 1 : 1e-4f), best = INFINITY;
        for (int k = 0; k < 256; k++)
            best = fminf(best, fabsf(lqi_dynamic8[k] - y));
        assert_true(fabsf(lqi_dynamic8[lqi_dynamic8_nearest(y)] - y) <= best * 1.000001f);
    }
}

static void refused(float value, lq_dtype type, uint32_t block, lq_status want)
{
    float x[3] = { 0.5f, value, 0.5f };
    lq_scales *s = (lq_scales *)x;

    assert_int_equal(create(x, 3, type, block, NULL, &s), want);
    assert_ptr_equal(s, x);          /* untouched */
}

static void test_refusals(void **state)
{
    float x[2] = { 1, 2 };
    lq_scales *s;
    lq_scales_opts opts = LQ_SCALES_OPTS_INIT;

    (void)state;
    refused(NAN, LQ_F32, 0, LQ_ERR_NONFINITE);
    refused(INFINITY, 0, 256, LQ_ERR_NONFINITE);
    refused(65520, LQ_F16, 0, LQ_ERR_NUMERIC);
    refused(FLT_MAX, LQ_BF16, 0, LQ_ERR_NUMERIC);
    refused(465, LQ_F8_E4M3, 0, LQ_ERR_NUMERIC);
    refused(-1, LQ_E8M0, 0, LQ_ERR_NUMERIC);
    refused(FLT_MAX, LQ_E8M0, 0, LQ_ERR_NUMERIC);
    refused(1, LQ_I8, 0, LQ_ERR_UNSUPPORTED);
    refused(1, -5, 0, LQ_ERR_UNSUPPORTED);
    refused(1, LQ_F16, 256, LQ_ERR_ARG);
    float far[3] = { FLT_MAX, -FLT_MAX, -FLT_MAX };
    assert_int_equal(create(far, 3, 0, 2, NULL, &s), LQ_ERR_NUMERIC);
    assert_int_equal(create(x, 2, 0, 0, x, &s), LQ_ERR_ARG);
    opts.struct_size = 0;
    assert_int_equal(lq_scales_create(ctx, x, 2, &opts, &s, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_scales_create(NULL, x, 2, NULL, &s, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_scales_create(ctx, NULL, 2, NULL, &s, NULL), LQ_ERR_ARG);
    lq_scales_opts_init(&opts);
    opts.scale2_block = 4;
    assert_int_equal(lq_scales_from_stored(ctx, x, x, 2, &opts, &s, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_scales_from_stored(ctx, x, x, 2, NULL, &s, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_scales_create(ctx, x, 2, NULL, &s, NULL), LQ_OK);
    assert_int_equal(lq_scales_decode(s, 1, 2, x), LQ_ERR_ARG);
    assert_int_equal(lq_scales_decode(s, UINT64_MAX, 2, x), LQ_ERR_ARG);
    assert_int_equal(lq_scales_decode(s, 0, 2, NULL), LQ_ERR_ARG);
    lq_scales_destroy(s);
    assert_int_equal(lq_scales_create(ctx, NULL, 0, NULL, &s, NULL), LQ_OK);
    assert_int_equal(lq_scales_count(s), 0);
    lq_scales_destroy(s);
    lq_scales_destroy(NULL);
    assert_int_equal(lq_scales_count(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_level),    cmocka_unit_test(test_two_levels),
        cmocka_unit_test(test_equal_scales), cmocka_unit_test(test_search),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
