/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/fake.c - fake quantization as ParetoQ and PyTorch compute it, with gradients
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libquant/libquant.h>

#include "tests/golden/vectors.h"

enum { ROWS = 8, COLS = 96, N = ROWS * COLS };

static vec_set set;
static lq_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    vec_open(&set, "qat");
    return lq_ctx_create(NULL, &ctx, NULL) != LQ_OK;
}

static int tear_down(void **state)
{
    (void)state;
    lq_ctx_destroy(ctx);
    vec_close(&set);
    return 0;
}

/* Sums of one row in another order: the bound of f32 sums over its terms, which are below 8. */
static void near_sums(const float *got, const float *want, double factor, const float *dy)
{
    for (int r = 0; r < ROWS; r++) {
        double most = 0;

        for (int c = 0; c < COLS; c++)
            most += 8 * factor * fabs(dy[r * COLS + c]);
        if (!(fabs((double)got[r] - want[r]) <= COLS * 0x1p-24 * most))
            fail_msg("sum of row %d: %.9g, not %.9g", r, got[r], want[r]);
    }
}

/* One case: y and dx the same numbers, sums close. */
static void compare(lq_fake *fake, const float *x, const float *dy, const char *name,
                    const char *prefix, const char *scale_name, const char *zero_name)
{
    static float y[N], dx[N];
    float dscales[ROWS], dzeros[ROWS];
    char array[40];
    lq_fake_grads grads = LQ_FAKE_GRADS_INIT;
    const float *want;

    grads.x = x;
    grads.dy = dy;
    grads.dx = dx;
    grads.dscales = dscales;
    grads.dzeros = zero_name ? dzeros : NULL;
    assert_int_equal(lq_fake_forward(ctx, fake, ROWS, COLS, x, y, NULL), LQ_OK);
    assert_int_equal(lq_fake_backward(ctx, fake, ROWS, COLS, &grads, NULL), LQ_OK);
    snprintf(array, sizeof array, "%sy", prefix);
    want = vec_data(&set, name, array, N);
    for (int i = 0; i < N; i++)
        if (y[i] != want[i])
            fail_msg("%s[%d]: %.9g, not %.9g", array, i, y[i], want[i]);
    snprintf(array, sizeof array, "%sgrad_%c", prefix, zero_name ? 'x' : 'w');
    want = vec_data(&set, name, array, N);
    for (int i = 0; i < N; i++)
        if (dx[i] != want[i])
            fail_msg("%s[%d]: %.9g, not %.9g", array, i, dx[i], want[i]);
    snprintf(array, sizeof array, "%sgrad_%s", prefix, scale_name);
    near_sums(dscales, vec_data(&set, name, array, ROWS), zero_name ? 1 : 1 / sqrt(N), dy);
    if (zero_name)
        near_sums(dzeros, vec_data(&set, name, zero_name, ROWS), 1, dy);
}

static void pareto(const char *prefix, int rule, const char *spec_text, const float *levels,
                   size_t count)
{
    lq_spec spec = LQ_SPEC_INIT;
    lq_fake fake = LQ_FAKE_INIT;
    lq_codebook *book = NULL;
    float alpha[ROWS];
    char array[40];

    assert_int_equal(lq_spec_parse(spec_text, &spec, NULL), LQ_OK);
    if (count)
        assert_int_equal(lq_codebook_create(ctx, levels, count, &book, NULL), LQ_OK);
    spec.codebook = book;
    fake.rule = rule;
    fake.spec = &spec;
    fake.scales = alpha;
    snprintf(array, sizeof array, "%salpha", prefix);
    memcpy(alpha, vec_data(&set, "pub_8x96", array, ROWS), sizeof alpha);
    compare(&fake, vec_data(&set, "pub_8x96", "w", N), vec_data(&set, "pub_8x96", "grad_out", N),
            "pub_8x96", prefix, "alpha", NULL);
    lq_codebook_destroy(book);
}

static void test_lsq(void **state)
{
    const float signs[] = { -1, 1 };

    (void)state;
    pareto("lsq0_", LQ_FAKE_LSQ, "ternary:ch", NULL, 0);
    pareto("lsq1_", LQ_FAKE_LSQ, "codebook:ch", signs, 2);
    pareto("lsq2_", LQ_FAKE_LSQ, "int2:ch:f32", NULL, 0);
    pareto("lsq3_", LQ_FAKE_LSQ, "int3:ch:f32", NULL, 0);
    pareto("lsq4_", LQ_FAKE_LSQ, "int4:ch:f32", NULL, 0);
}

static void test_stretched(void **state)
{
    const float levels[] = { -0.75f, -0.25f, 0.25f, 0.75f }, odd[] = { -3, -1, 1, 3 };
    const float three[] = { -1, 0, 1 };

    (void)state;
    pareto("seq0_", LQ_FAKE_STRETCHED, "ternary:ch", NULL, 0);
    pareto("seq0_", LQ_FAKE_STRETCHED, "codebook:ch", three, 3);
    pareto("seq2_", LQ_FAKE_STRETCHED, "int2:g96:fz:f32", NULL, 0);
    pareto("seq2_", LQ_FAKE_STRETCHED, "codebook:ch", levels, 4);
    pareto("seq2_", LQ_FAKE_STRETCHED, "codebook:ch", odd, 4);
}

static void test_affine(void **state)
{
    const char *name = "pub_affine_8x96";
    lq_spec spec = LQ_SPEC_INIT;
    lq_fake fake = LQ_FAKE_INIT;
    float scales[ROWS], zeros[ROWS];

    (void)state;
    assert_int_equal(lq_spec_parse("int4:ch:zp:f32", &spec, NULL), LQ_OK);
    memcpy(scales, vec_data(&set, name, "scale", ROWS), sizeof scales);
    memcpy(zeros, vec_data(&set, name, "zero_point", ROWS), sizeof zeros);
    fake.rule = LQ_FAKE_AFFINE;
    fake.spec = &spec;
    fake.scales = scales;
    fake.zeros = zeros;
    compare(&fake, vec_data(&set, name, "x", N), vec_data(&set, name, "grad_out", N), name, "",
            "scale", "grad_zero_point");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lsq),
        cmocka_unit_test(test_stretched),
        cmocka_unit_test(test_affine),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
