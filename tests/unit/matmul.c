/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/matmul.c - products in f32 against float64, and the promises about their bits
 */
#include <math.h>

#include "common.h"

#define ROWS 37
#define COLS 700
#define N    19

static float w[ROWS * 1024], d[ROWS * 1024], x[N * 1100], y[N * 64], z[N * 64], bias[ROWS];

static lq_matmul_args args_for(uint64_t n, uint64_t cols, float *to)
{
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;

    a.n = n;
    a.x = x;
    a.ldx = cols + 3;
    a.y = to;
    a.ldy = 64;
    a.mode = LQ_MODE_F32;
    return a;
}

/* |y - exact| <= (cols / 8 + 16) eps sum |x w|; the reference level sums in one chain. */
static void check_bound(lq_level level, uint64_t n, uint64_t cols, const float *got)
{
    double g = level == LQ_LEVEL_REF ? (double)cols + 16 : (double)cols / 8 + 16;

    for (uint64_t i = 0; i < n; i++) {
        for (uint64_t r = 0; r < ROWS; r++) {
            double sum = 0, mag = 0;
            for (uint64_t c = 0; c < cols; c++) {
                double t = (double)x[i * (cols + 3) + c] * (double)d[r * cols + c];
                sum += t;
                mag += fabs(t);
            }
            double error = fabs((double)got[i * 64 + r] - sum);
            if (!(error <= g * 0x1p-24 * mag))
                fail_msg("vector %d row %d: error %g of %g", (int)i, (int)r, error, mag);
        }
    }
}

static void every_spec_every_level(void **state)
{
    static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX512_VNNI,
                                       LQ_LEVEL_NEON };

    (void)state;
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lq_level_available(levels[l]))
            continue;
        lq_ctx *ctx = test_ctx(levels[l], 1), *four = test_ctx(levels[l], 4);
        for (size_t i = 0; i < COUNT(test_specs); i++) {
            lq_spec spec = test_spec(test_specs[i]);
            uint64_t cols = test_cols(&spec, COLS);
            lq_rows rows = LQ_ROWS_INIT;
            test_fill(w, ROWS * cols, i);
            test_fill(x, N * (cols + 3), i + 50);
            lq_tensor *t = test_encode(ctx, &spec, (lq_shape){ 1, ROWS, cols }, w, NULL);
            assert_int_equal(lq_tensor_decode(t, LQ_F32, d), LQ_OK);
            assert_int_equal(lq_tensor_rows(t, 0, &rows), LQ_OK);
            lq_matmul_args a = args_for(N, cols, y);
            assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_OK);
            check_bound(levels[l], N, cols, y);
            /* any n: the same bits per vector; any threads; prepared */
            lq_prepared *p = NULL;
            assert_int_equal(lq_prepare(four, &rows, NULL, &p, NULL), LQ_OK);
            for (uint64_t n = 1; n <= N; n += 6) {
                memset(z, 0, sizeof z);
                a = args_for(n, cols, z);
                assert_int_equal(lq_matmul(four, p, &a), LQ_OK);
                for (uint64_t k = 0; k < n; k++)
                    assert_memory_equal(z + k * 64, y + k * 64, ROWS * sizeof *y);
            }
            lq_prepared_destroy(p);
            lq_tensor_destroy(t);
        }
        lq_ctx_destroy(ctx);
        lq_ctx_destroy(four);
    }
}

static lq_tensor *some_weight(const lq_ctx *ctx, lq_rows *rows)
{
    lq_spec spec = test_spec("nf4:g64");

    test_fill(w, ROWS * COLS, 1);
    test_fill(x, N * (COLS + 3), 2);
    test_fill(bias, ROWS, 3);
    lq_tensor *t = test_encode(ctx, &spec, (lq_shape){ 1, ROWS, COLS }, w, NULL);
    assert_int_equal(lq_tensor_rows(t, 0, rows), LQ_OK);
    return t;
}

static void slices(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = some_weight(ctx, &rows);
    lq_prepared *p = NULL;
    lq_matmul_args a = args_for(N, COLS, y);

    (void)state;
    assert_int_equal(lq_prepare(ctx, &rows, NULL, &p, NULL), LQ_OK);
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
    uint64_t bytes = lq_matmul_work_bytes(p, N);
    void *work = malloc(bytes);
    for (uint64_t row = 0; row < ROWS; row += 5) {
        a = args_for(N, COLS, z);
        a.row0 = row;
        a.row1 = row + 5 < ROWS ? row + 5 : ROWS;
        a.work = work;
        a.work_bytes = 64;
        assert_int_equal(lq_matmul_slice(p, &a), LQ_ERR_BUFFER);
        a.work_bytes = bytes;
        assert_int_equal(lq_matmul_slice(p, &a), LQ_OK);
        for (uint64_t i = 0; i < N; i++)
            assert_memory_equal(z + i * 64, y + i * 64 + row, (a.row1 - row) * sizeof *y);
    }
    free(work);
    lq_prepared_destroy(p);
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
}

static void bias_and_accumulate(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = some_weight(ctx, &rows);
    lq_matmul_args a = args_for(4, COLS, y);

    (void)state;
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_OK);
    for (int i = 0; i < 4 * 64; i++)
        z[i] = (float)i;
    a = args_for(4, COLS, z);
    a.bias = bias;
    a.accumulate = 1;
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_OK);
    for (int i = 0; i < 4; i++) {
        for (int r = 0; r < 64; r++) {
            float want = (float)(i * 64 + r);
            if (r < ROWS)
                want = (y[i * 64 + r] + bias[r]) + want;
            assert_true(z[i * 64 + r] == want);
        }
    }
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
}

/* x and y in 16 bits: as if x had been widened and y rounded. */
static void half_types(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = some_weight(ctx, &rows);
    static uint16_t hx[5 * (COLS + 3)], hy[5 * 64];

    (void)state;
    for (int b = 0; b < 2; b++) {
        lq_spec spec = test_spec(b ? "bf16" : "f16");
        lq_tensor *h = test_encode(ctx, &spec, (lq_shape){ 1, 5, COLS + 3 }, x, NULL);
        memcpy(hx, lq_tensor_plane(h, 0, NULL), sizeof hx);
        assert_int_equal(lq_tensor_decode(h, LQ_F32, x), LQ_OK);
        lq_tensor_destroy(h);
        lq_matmul_args a = args_for(5, COLS, y);
        assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_OK);
        a = args_for(5, COLS, (float *)(void *)hy);
        a.x = hx;
        a.x_type = a.y_type = b ? LQ_BF16 : LQ_F16;
        assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_OK);
        h = test_encode(ctx, &spec, (lq_shape){ 1, 5, 64 }, y, NULL);
        for (int i = 0; i < 5; i++)
            assert_memory_equal(hy + i * 64, (uint16_t *)lq_tensor_plane(h, 0, NULL) + i * 64,
                                ROWS * 2);
        lq_tensor_destroy(h);
    }
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
}

static void refusals(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = some_weight(ctx, &rows);
    lq_matmul_args a = args_for(4, COLS, y);

    (void)state;
    assert_int_equal(lq_matmul_rows(ctx, &rows, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_matmul_rows(NULL, &rows, &a), LQ_ERR_ARG);
    a.n = 0;
    a.x = NULL;
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_OK);
    a = args_for(4, COLS, y);
    a.ldx = COLS - 1;
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_ERR_SHAPE);
    a = args_for(4, COLS, y);
    a.ldy = ROWS - 1;
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_ERR_SHAPE);
    a = args_for(4, COLS, y);
    a.row1 = ROWS + 1;
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_ERR_ARG);
    a = args_for(4, COLS, x + 8);
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_ERR_OVERLAP);
    a = args_for(4, COLS, y);
    a.y = (char *)y + 1;
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_ERR_ALIGN);
    a = args_for(4, COLS, y);
    a.x_type = LQ_I8;
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_ERR_UNSUPPORTED);
    a = args_for(UINT64_MAX / 8, COLS, y);
    assert_int_equal(lq_matmul_rows(ctx, &rows, &a), LQ_ERR_OVERFLOW);
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec_every_level), cmocka_unit_test(slices),
        cmocka_unit_test(bias_and_accumulate), cmocka_unit_test(half_types),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
