/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/best.c - the second search never loses, and wins where there is room
 */
#include <stdio.h>

#include "common.h"

#define ROWS 8
#define COLS 1024

static float x[ROWS * COLS], y[ROWS * COLS], imp[COLS];

static double error_of(const lq_ctx *ctx, const lq_spec *spec, int search, int weighted)
{
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    double sum = 0;

    opts.search = search;
    opts.importance = weighted ? imp : NULL;
    lq_tensor *t = test_encode(ctx, spec, (lq_shape){ 1, ROWS, COLS }, x, &opts);
    assert_int_equal(lq_tensor_check(t, NULL), LQ_OK);
    assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
    for (int i = 0; i < ROWS * COLS; i++)
        sum += (weighted ? (double)imp[i % COLS] : 1) * (double)(x[i] - y[i]) * (double)(x[i] - y[i]);
    lq_tensor_destroy(t);
    return sum;
}

/* Formats whose reference leaves room: at least this factor on normal numbers. */
static const struct { const char *spec; double most; } room[] = {
    { "q4_0", 0.97 }, { "q4_k", 0.985 }, { "q6_k", 0.995 }, { "q8_0", 0.999 },
    { "int4:g128", 0.93 }, { "int4:g32:zp", 0.98 }, { "nf4:b64", 0.995 }, { "fp4:b64", 0.97 },
    { "nvfp4_gguf", 0.85 }, { "iq4_ks", 0.98 }, { "ternary:g64", 0.8 },
};

static void lower_errors(void **state)
{
    lq_ctx *ctx = test_ctx(0, 2);
    uint64_t seed = 4;

    (void)state;
    test_fill(x, COUNT(x), 1);
    for (int i = 0; i < COLS; i++)
        imp[i] = 0.1f + (float)(test_next(&seed) % 64) / 16;
    for (size_t i = 0; i < COUNT(room); i++) {
        lq_spec spec = test_spec(room[i].spec);
        double exact = error_of(ctx, &spec, LQ_SEARCH_EXACT, 0);
        double best = error_of(ctx, &spec, LQ_SEARCH_BEST, 0);
        print_message("%-14s error %.4f -> %.4f (%.3f)\n", room[i].spec, exact, best, best / exact);
        assert_true(best <= exact * room[i].most);
    }
    lq_ctx_destroy(ctx);
}

static void never_higher(void **state)
{
    lq_ctx *ctx = test_ctx(0, 2);

    (void)state;
    test_fill(x, COUNT(x), 2);
    for (int i = 0; i < ROWS * COLS; i += 100)
        x[i] *= 20;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        lq_spec spec = test_spec(test_specs[i]);
        lq_format_info info = LQ_FORMAT_INFO_INIT;
        lq_format_get(spec.format, &info);
        for (int weighted = 0; weighted <= (info.storage == LQ_BLOCKED); weighted++) {
            double exact = error_of(ctx, &spec, LQ_SEARCH_EXACT, weighted);
            double best = error_of(ctx, &spec, LQ_SEARCH_BEST, weighted);
            if (!spec.scale2_block && best > exact * (1 + 1e-6))   /* dq: codes see other scales */
                fail_msg("%s: %g > %g", test_specs[i], best, exact);
        }
    }
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lower_errors), cmocka_unit_test(never_higher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
