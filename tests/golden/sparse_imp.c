/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/sparse_imp.c - importances that are mostly zero
 *
 * The reference's vectors pin importances that are all zero.  In between nothing is pinned
 * but the rules: for every blocked format the blocks must be legal, decode to finite numbers,
 * and be the same bytes at every level.
 */
#include <math.h>

#include "lib/format/format.h"
#include "tests/common/common.h"

#define ROWS 4
#define COLS 512

enum { ONE, FIRST_OF_BLOCK, ONE_SUB_BLOCK, EVERY_SEVENTH, TINY, PATTERNS };

static void fill(float *imp, int pattern)
{
    for (int c = 0; c < COLS; c++) {
        int set = pattern == ONE ? c == 300 : pattern == FIRST_OF_BLOCK ? c % 256 == 0
                : pattern == ONE_SUB_BLOCK ? c / 16 == 5 : c % 7 == 3;
        imp[c] = set ? (pattern == TINY ? 1e-38f : 0.5f + (float)(c % 5)) : 0;
    }
}

static void check(const lq_ctx *ctx, const lq_ctx *best, const lqi_format *f, int pattern)
{
    lq_shape shape = { 1, ROWS, COLS };
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    lq_spec spec = test_spec(f->name);
    float x[ROWS * COLS], y[ROWS * COLS], imp[COLS];
    lq_tensor *a = NULL, *b = NULL;
    lq_status st;

    test_fill(x, ROWS * COLS, 5);
    memset(x + 64, 0, 64 * sizeof *x);      /* and some that are nothing */
    fill(imp, pattern);
    opts.importance = imp;
    st = lq_tensor_encode(ctx, &spec, &shape, LQ_F32, x, &opts, &a, NULL);
    assert_int_equal(lq_tensor_encode(best, &spec, &shape, LQ_F32, x, &opts, &b, NULL), st);
    if (st)
        fail_msg("%s, pattern %d: %s", f->name, pattern, lq_status_name(st));
    test_same_planes(a, b);
    if (lq_tensor_check(a, NULL) != LQ_OK)
        fail_msg("%s, pattern %d: illegal blocks", f->name, pattern);
    assert_int_equal(lq_tensor_decode(a, LQ_F32, y), LQ_OK);
    for (int i = 0; i < ROWS * COLS; i++)
        if (!(fabsf(y[i]) <= 100))
            fail_msg("%s, pattern %d: value %d is %g", f->name, pattern, i, (double)y[i]);
    lq_tensor_destroy(a);
    lq_tensor_destroy(b);
}

static void all(void **state)
{
    lq_ctx *ref = test_ctx(LQ_LEVEL_REF, 1), *best = test_ctx(0, 1);

    (void)state;
    for (int i = 0; i < LQI_FORMATS; i++)
        for (int p = 0; p < PATTERNS && lqi_formats[i]->storage == LQ_BLOCKED; p++)
            check(ref, best, lqi_formats[i], p);
    lq_ctx_destroy(ref);
    lq_ctx_destroy(best);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
