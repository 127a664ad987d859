/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/matmul_transposed.c - products with the transpose: lq_gemm() of the decoded
 * rows byte for byte, for every spec, at every level, near float64
 */
#include <math.h>

#include "common.h"

#define ROWS 299      /* more than one block of the sum */
#define COLS 1100     /* more than one piece of columns */
#define ROOM (ROWS * 1536)
#define N    5

static float ones[1536], w[ROOM], d[ROOM], x[70 * ROWS], y[70 * 1536], want[70 * 1536];

static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI,
                                   LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON };

/* Encoded Gaussian weights and their numbers in 'd'; act-order groups are dealt out in turn. */
static lq_tensor *weight(const lq_ctx *ctx, const lq_spec *spec, uint64_t cols, lq_rows *rows)
{
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    opts.importance = ones;
    for (uint64_t c = 0; c < cols; c++)
        ones[c] = 1;
    test_fill(w, ROWS * cols, 3);
    lq_tensor *t = test_encode(ctx, spec, (lq_shape){ 1, ROWS, cols }, w, &opts);
    int32_t *index = lq_tensor_plane(t, LQ_PLANE_GIDX, NULL);

    for (uint64_t c = 0; index && c < cols; c++)
        index[c] = (int32_t)(c * 7 % ((cols - 1) / spec->group_cols + 1));
    assert_int_equal(lq_tensor_decode(t, LQ_F32, d), LQ_OK);
    assert_int_equal(lq_tensor_rows(t, 0, rows), LQ_OK);
    return t;
}

static lq_matmul_args args_for(uint64_t n, uint64_t cols)
{
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;

    a.n = n;
    a.x = x;
    a.ldx = ROWS;
    a.y = y;
    a.ldy = cols;
    return a;
}

/* The plain product with the decoded rows, to 'want'. */
static void plain(const lq_ctx *ctx, const lq_matmul_args *a, uint64_t cols)
{
    lq_gemm_args g = LQ_GEMM_ARGS_INIT;

    g.m = a->n;
    g.n = cols;
    g.k = (a->row1 ? a->row1 : ROWS) - a->row0;
    g.a = a->x;
    g.a_type = a->x_type;
    g.lda = a->ldx;
    g.b = d + a->row0 * cols;
    g.c = want;
    g.c_type = a->y_type;
    g.ldc = a->ldy;
    g.accumulate = a->accumulate;
    assert_int_equal(lq_gemm(ctx, &g), LQ_OK);
}

/* The documented bound. */
static void check_bound(const char *text, uint64_t cols)
{
    for (uint64_t i = 0; i < N; i++)
        for (uint64_t c = 0; c < cols; c++) {
            double sum = 0, most = 0;
            for (uint64_t r = 0; r < ROWS; r++) {
                double p = (double)x[i * ROWS + r] * (double)d[r * cols + c];
                sum += p;
                most += fabs(p);
            }
            if (!(fabs((double)y[i * cols + c] - sum) <= (256 + 1 + 2) * 0x1p-24 * most))
                fail_msg("%s: vector %d, column %d", text, (int)i, (int)c);
        }
}

static void one_spec(const char *text, lq_ctx *const *ctx, size_t count)
{
    lq_spec spec = test_spec(text);
    uint64_t cols = test_cols(&spec, COLS);
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = weight(ctx[0], &spec, cols, &rows);
    lq_matmul_args a = args_for(N, cols);

    plain(ctx[0], &a, cols);
    for (size_t i = 0; i < count; i++) {
        memset(y, 0xff, sizeof y);
        assert_int_equal(lq_matmul_transposed(ctx[i], &rows, &a), LQ_OK);
        if (memcmp(y, want, N * cols * sizeof *y))
            fail_msg("%s: not the plain product, context %d", text, (int)i);
    }
    check_bound(text, cols);
    lq_tensor_destroy(t);
}

static void every_spec_every_level(void **state)
{
    lq_ctx *ctx[COUNT(levels) + 1];
    size_t count = 0;

    (void)state;
    test_fill(x, N * ROWS, 4);
    ctx[count++] = test_ctx(0, 3);
    for (size_t l = 0; l < COUNT(levels); l++)
        if (lq_level_available(levels[l]))
            ctx[count++] = test_ctx(levels[l], 1);
    for (size_t i = 0; i < COUNT(test_specs); i++)
        one_spec(test_specs[i], ctx, count);
    for (size_t i = 0; i < count; i++)
        lq_ctx_destroy(ctx[i]);
}

/* Parts of the rows, types, accumulation, many vectors. */
static void arguments(void **state)
{
    static const lq_dtype types[] = { LQ_DTYPE_DEFAULT, LQ_F32, LQ_F16, LQ_BF16 };
    lq_ctx *ctx = test_ctx(0, 1), *three = test_ctx(0, 3);
    lq_spec spec = test_spec("q4_k");
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = weight(ctx, &spec, 1280, &rows);

    (void)state;
    for (int i = 0; i < 8; i++) {
        lq_matmul_args a = args_for(i < 4 ? 3 : 70, 1280);
        test_fill(x, COUNT(x), 6);
        for (size_t k = 0; types[i % 4] > LQ_F32 && k < 2 * COUNT(x); k++)
            ((uint16_t *)x)[k] &= 0xbfff;   /* no infinity or NaN in 16 bits */
        a.row0 = i % 2 ? 7 : 0;
        a.row1 = i % 3 ? 0 : 280;
        a.x_type = types[i % 4];
        a.y_type = types[(i + i / 4) % 4];
        a.accumulate = i > 2;
        memset(y, 0, sizeof y);
        memset(want, 0, sizeof want);
        for (int repeat = 0; repeat < 2; repeat++) {
            plain(ctx, &a, 1280);
            assert_int_equal(lq_matmul_transposed(three, &rows, &a), LQ_OK);
            assert_memory_equal(y, want, sizeof y);
        }
    }
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
    lq_ctx_destroy(three);
}

static void refused(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_spec spec = test_spec("int4:g128");
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = weight(ctx, &spec, 256, &rows);
    lq_matmul_args a = args_for(2, 256);

    (void)state;
    assert_int_equal(lq_matmul_transposed(NULL, &rows, &a), LQ_ERR_ARG);
    assert_int_equal(lq_matmul_transposed(ctx, NULL, &a), LQ_ERR_ARG);
    assert_int_equal(lq_matmul_transposed(ctx, &rows, NULL), LQ_ERR_ARG);
    a.bias = ones;
    assert_int_equal(lq_matmul_transposed(ctx, &rows, &a), LQ_ERR_ARG);
    a.bias = NULL;
    a.row1 = ROWS + 1;
    assert_int_equal(lq_matmul_transposed(ctx, &rows, &a), LQ_ERR_ARG);
    a.row1 = 0;
    a.ldx = ROWS - 1;
    assert_int_equal(lq_matmul_transposed(ctx, &rows, &a), LQ_ERR_SHAPE);
    a.ldx = ROWS;
    a.y = rows.plane[LQ_PLANE_CODES];
    assert_int_equal(lq_matmul_transposed(ctx, &rows, &a), LQ_ERR_OVERLAP);
    a.y = x;
    assert_int_equal(lq_matmul_transposed(ctx, &rows, &a), LQ_ERR_OVERLAP);
    a.y = y;
    a.accumulate = 2;
    assert_int_equal(lq_matmul_transposed(ctx, &rows, &a), LQ_ERR_ARG);
    a.accumulate = 0;
    a.row0 = a.row1 = 5;   /* no rows: sums of nothing */
    assert_int_equal(lq_matmul_transposed(ctx, &rows, &a), LQ_OK);
    for (int i = 0; i < 512; i++)
        assert_true(y[i] == 0);
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec_every_level), cmocka_unit_test(arguments),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
