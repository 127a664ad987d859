/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/matmul_w8a8.c - products of 8 bits by 8 bits: exact sums on every level, for
 * every n, any threads and slices; columns apart; near float64
 */
#include <math.h>

#include "common.h"

#define ROWS 53
#define COLS 1301    /* more than two chunks of 512 and a rest */
#define N    37

static float w[ROWS * COLS], d[ROWS * COLS], x[N * COLS], y[N * ROWS], z[N * ROWS];
static int8_t codes[N * COLS];

static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI,
                                   LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON };

static lq_matmul_args args_for(uint64_t n, float *to)
{
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;

    a.n = n;
    a.x = x;
    a.ldx = COLS;
    a.y = to;
    a.ldy = ROWS;
    a.mode = LQ_MODE_W8A8;
    return a;
}

static lq_tensor *weight(const lq_ctx *ctx, const char *text, lq_rows *rows)
{
    lq_spec spec = test_spec(text);
    lq_tensor *t = test_encode(ctx, &spec, (lq_shape){ 1, ROWS, COLS }, w, NULL);

    assert_int_equal(lq_tensor_decode(t, LQ_F32, d), LQ_OK);
    assert_int_equal(lq_tensor_rows(t, 0, rows), LQ_OK);
    return t;
}

static lq_prepared *prepare(const lq_ctx *ctx, const lq_rows *rows)
{
    lq_prepared *p = NULL;

    assert_int_equal(lq_prepare(ctx, rows, NULL, &p, NULL), LQ_OK);
    return p;
}

/* Inputs whose codes are extreme: whole vectors of the least and the largest ones too. */
static void fill_inputs(void)
{
    test_fill(w, ROWS * COLS, 3);
    test_fill(x, N * COLS, 4);
    for (int c = 0; c < COLS; c++) {
        w[2 * COLS + c] = x[2 * COLS + c] = -1;
        w[3 * COLS + c] = x[3 * COLS + c] = 1;
        w[4 * COLS + c] = x[4 * COLS + c] = 0;
    }
    x[5 * COLS + 700] = 500;
}

/* The exact product of int8 or llm_int8 codes, rounded once, to 'z'. */
static void exact(const lq_ctx *ctx, const char *text, const lq_rows *rows, double unit)
{
    lq_spec spec = test_spec(text);
    lq_tensor *t = test_encode(ctx, &spec, (lq_shape){ 1, N, COLS }, x, NULL);
    const float *sx = lq_tensor_plane(t, LQ_PLANE_SCALES, NULL);
    const float *sw = rows->plane[LQ_PLANE_SCALES];
    const int8_t *qw = rows->plane[LQ_PLANE_CODES];

    memcpy(codes, lq_tensor_plane(t, LQ_PLANE_CODES, NULL), sizeof codes);
    for (int i = 0; i < N; i++)
        for (int r = 0; r < ROWS; r++) {
            int32_t sum = 0;
            for (int c = 0; c < COLS; c++)
                sum += codes[i * COLS + c] * qw[r * COLS + c];
            z[i * ROWS + r] = (float)(sum * ((double)sx[i] * ((double)sw[r] * unit)));
        }
    lq_tensor_destroy(t);
}

static void exact_on_every_level(void **state)
{
    static const char *const specs[] = { "int8:ch", "llm_int8:ch" };
    static const double unit[] = { 1, 1.0 / 16129 };

    (void)state;
    fill_inputs();
    for (size_t k = 0; k < 2 * COUNT(levels); k++) {
        if (!lq_level_available(levels[k / 2]))
            continue;
        lq_ctx *ctx = test_ctx(levels[k / 2], 1), *three = test_ctx(levels[k / 2], 3);
        lq_rows rows = LQ_ROWS_INIT;
        lq_tensor *t = weight(ctx, specs[k % 2], &rows);
        lq_prepared *p = prepare(ctx, &rows);
        exact(ctx, specs[k % 2], &rows, unit[k % 2]);
        for (uint64_t n = 1; n <= N; n++) {
            lq_matmul_args a = args_for(n, y);
            memset(y, 0xff, sizeof y);
            assert_int_equal(lq_matmul(n % 2 ? ctx : three, p, &a), LQ_OK);
            if (memcmp(y, z, n * ROWS * sizeof *y))
                fail_msg("%s, level %d, n %d", specs[k % 2], levels[k / 2], (int)n);
        }
        lq_prepared_destroy(p);
        lq_tensor_destroy(t);
        lq_ctx_destroy(ctx);
        lq_ctx_destroy(three);
    }
}

static void slices(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_rows rows = LQ_ROWS_INIT;

    (void)state;
    fill_inputs();
    for (int fp8 = 0; fp8 < 2; fp8++) {
        lq_tensor *t = weight(ctx, fp8 ? "fp8_e4m3:ch" : "llm_int8:ch", &rows);
        lq_prepared *p = prepare(ctx, &rows);
        uint64_t bytes = lq_matmul_work_bytes(p, N);
        char *work = malloc(bytes);
        lq_matmul_args a = args_for(N, y);
        a.threshold = fp8 ? 0 : 3;
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        for (uint64_t row = 0; row < ROWS; row += 9) {
            a.row0 = row;
            a.row1 = row + 9 < ROWS ? row + 9 : ROWS;
            a.y = z;
            a.work = work;
            a.work_bytes = 64;
            assert_int_equal(lq_matmul_slice(p, &a), LQ_ERR_BUFFER);
            a.work_bytes = bytes;
            assert_int_equal(lq_matmul_slice(p, &a), LQ_OK);
            for (uint64_t j = 0; j < N; j++)
                assert_memory_equal(z + j * ROWS, y + j * ROWS + row,
                                    (a.row1 - row) * sizeof *y);
        }
        free(work);
        lq_prepared_destroy(p);
        lq_tensor_destroy(t);
    }
    lq_ctx_destroy(ctx);
}

/* Squared error against float64 products of the decoded weights, of the signal. */
static double nmse(void)
{
    double error = 0, signal = 0;

    for (int i = 0; i < N; i++)
        for (int r = 0; r < ROWS; r++) {
            double sum = 0, e;
            for (int c = 0; c < COLS; c++)
                sum += (double)x[i * COLS + c] * (double)d[r * COLS + c];
            e = (double)y[i * ROWS + r] - sum;
            error += e * e;
            signal += sum * sum;
        }
    return error / signal;
}

/* Every kind of 8-bit weight is near; the same with 16-bit inputs that are the same. */
static void near_float64(void **state)
{
    static const char *const specs[] = { "int8:ch", "int8:ch:bf16", "llm_int8:ch", "int8:g128",
                                         "int8:g64:zp", "fp8_e4m3:ch", "fp8_e4m3:t",
                                         "fp8_e4m3:128x128", "fp8_e5m2:ch" };
    static uint16_t half[N * COLS];
    lq_ctx *ctx = test_ctx(0, 2);
    lq_rows rows = LQ_ROWS_INIT;

    (void)state;
    test_fill(w, ROWS * COLS, 3);
    test_fill(x, N * COLS, 4);
    for (size_t i = 0; i < COUNT(x); i++) {   /* to bf16 */
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        half[i] = (uint16_t)(bits >> 16);
        bits &= 0xffff0000;
        memcpy(&x[i], &bits, sizeof bits);
    }
    for (size_t i = 0; i < COUNT(specs); i++) {
        lq_tensor *t = weight(ctx, specs[i], &rows);
        lq_prepared *p = prepare(ctx, &rows);
        lq_matmul_args a = args_for(N, y);
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        double error = nmse();
        if (!(error < (i < 5 ? 1e-4 : 8e-4)))
            fail_msg("%s: error %g of the signal", specs[i], error);
        a = args_for(N, z);
        a.x = half;
        a.x_type = LQ_BF16;
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        assert_memory_equal(y, z, sizeof y);
        lq_prepared_destroy(p);
        lq_tensor_destroy(t);
    }
    lq_ctx_destroy(ctx);
}

/* Few columns of large numbers: hopeless with one scale, fine with them apart. */
static void columns_apart(void **state)
{
    (void)state;
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lq_level_available(levels[l]))
            continue;
        lq_ctx *ctx = test_ctx(levels[l], 2);
        lq_rows rows = LQ_ROWS_INIT;
        test_fill(w, ROWS * COLS, 3);
        test_fill(x, N * COLS, 4);
        for (int i = 0; i < N; i++)
            for (int k = 0; k < 7; k++)
                x[i * COLS + 180 * k + 5] *= 40;
        x[0] = 6;   /* the threshold itself */
        lq_tensor *t = weight(ctx, "llm_int8:ch", &rows);
        lq_prepared *p = prepare(ctx, &rows);
        lq_matmul_args a = args_for(N, y);
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        assert_true(nmse() > 3e-4);
        a.threshold = 6;
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        assert_true(nmse() < 3e-5);
        a.threshold = 1e-3f;   /* all columns */
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        assert_true(nmse() < 1e-11);
        lq_prepared_destroy(p);
        lq_tensor_destroy(t);
        lq_ctx_destroy(ctx);
    }
}

static void odd_activations(void **state)
{
    static const char *const specs[] = { "int8:ch", "llm_int8:ch", "fp8_e4m3:ch", "int8:g128" };
    lq_ctx *ctx = test_ctx(0, 1);
    lq_rows rows = LQ_ROWS_INIT;

    (void)state;
    fill_inputs();
    x[0 * COLS + 300] = NAN;
    x[2 * COLS + 511] = -INFINITY;
    for (int c = 0; c < COLS; c++) {
        x[3 * COLS + c] = 1e-40f;
        x[4 * COLS + c] = 3e38f;
    }
    for (size_t i = 0; i < COUNT(specs); i++) {
        lq_tensor *t = weight(ctx, specs[i], &rows);
        lq_prepared *p = prepare(ctx, &rows);
        lq_matmul_args a = args_for(N, y);
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        for (int r = 0; r < ROWS; r++) {
            assert_true(isnan(y[r]) && isnan(y[2 * ROWS + r]) && isfinite(y[ROWS + r]));
            assert_true(fabsf(y[3 * ROWS + r]) < 1e-30f && !isnan(y[4 * ROWS + r]));
        }
        lq_prepared_destroy(p);
        lq_tensor_destroy(t);
    }
    lq_ctx_destroy(ctx);
}

static void refused(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_rows rows = LQ_ROWS_INIT;
    lq_acts *acts = NULL;

    (void)state;
    fill_inputs();
    lq_tensor *t = weight(ctx, "int8:g128", &rows);
    lq_prepared *p = prepare(ctx, &rows);
    lq_matmul_args a = args_for(2, y);
    a.threshold = 6;   /* not one scale per row */
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_UNSUPPORTED);
    a.threshold = -1;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_ARG);
    a.threshold = NAN;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_ARG);
    a.threshold = 6;
    a.mode = LQ_MODE_FAST;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_ARG);
    a.threshold = 0;
    a.mode = LQ_MODE_W8A8 + 1;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_ARG);
    a.mode = LQ_MODE_W8A8;
    a.reserved = 1;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_ARG);
    a.reserved = 0;
    assert_int_equal(lq_acts_create(ctx, p, 2, &acts, NULL), LQ_OK);
    assert_int_equal(lq_acts_fill(acts, 2, LQ_F32, x, COLS), LQ_OK);
    a.acts = acts;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_MISMATCH);
    lq_acts_destroy(acts);
    lq_prepared_destroy(p);
    lq_tensor_destroy(t);
    t = weight(ctx, "int6:ch", &rows);
    p = prepare(ctx, &rows);
    a = args_for(2, y);
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_UNSUPPORTED);
    lq_prepared_destroy(p);
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_on_every_level), cmocka_unit_test(slices),
        cmocka_unit_test(near_float64), cmocka_unit_test(columns_apart),
        cmocka_unit_test(odd_activations), cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
