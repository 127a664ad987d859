/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/matmul_fast.c - products in integers: near float64, the same bits on every
 * level, for every n, any threads and slices
 */
#include <math.h>

#include "common.h"

#define ROWS 37
#define COLS 1300    /* more than two chunks of 512 and a rest */
#define N    19

static float ones[1536], w[ROWS * 1536], d[ROWS * 1536], x[N * 1536], y[N * ROWS], z[N * ROWS];

static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI,
                                   LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON,
                                   LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM };

static lq_matmul_args args_for(uint64_t n, uint64_t cols, float *to)
{
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;

    a.n = n;
    a.x = x;
    a.ldx = cols;
    a.y = to;
    a.ldy = ROWS;
    return a;
}

static double nmse(uint64_t cols, const float *got)
{
    double error = 0, signal = 0;

    for (uint64_t i = 0; i < N; i++)
        for (uint64_t r = 0; r < ROWS; r++) {
            double sum = 0, e;
            for (uint64_t c = 0; c < cols; c++)
                sum += (double)x[i * cols + c] * (double)d[r * cols + c];
            e = (double)got[i * ROWS + r] - sum;
            error += e * e;
            signal += sum * sum;
        }
    return error / signal;
}

/* Encoded Gaussian weights; act-order groups are dealt out in turn. */
static lq_tensor *weight(const lq_ctx *ctx, const lq_spec *spec, uint64_t cols, lq_rows *rows)
{
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    opts.importance = ones;
    for (uint64_t c = 0; c < cols; c++)
        ones[c] = 1;
    lq_tensor *t = test_encode(ctx, spec, (lq_shape){ 1, ROWS, cols }, w, &opts);
    int32_t *index = lq_tensor_plane(t, LQ_PLANE_GIDX, NULL);

    for (uint64_t c = 0; index && c < cols; c++)
        index[c] = (int32_t)(c % (cols / spec->group_cols));
    assert_int_equal(lq_tensor_decode(t, LQ_F32, d), LQ_OK);
    assert_int_equal(lq_tensor_rows(t, 0, rows), LQ_OK);
    return t;
}

/* Every n gives the vectors of the full product. */
static void check_every_n(const lq_ctx *ctx, const lq_prepared *p, uint64_t cols)
{
    for (uint64_t n = 1; n < N; n++) {
        lq_matmul_args a = args_for(n, cols, z);
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        assert_memory_equal(z, y, n * ROWS * sizeof *y);
    }
}

static void one_spec(const char *text, const lq_ctx *ctx, const lq_ctx *four, int first,
                     uint32_t *sum)
{
    lq_spec spec = test_spec(text);
    int whole = spec.flags & (LQ_SPEC_FLAT | LQ_SPEC_GIDX);
    uint64_t cols = whole ? 1536 : test_cols(&spec, COLS), bytes;
    lq_rows rows = LQ_ROWS_INIT;
    lq_prepared *p = NULL;
    uint32_t hash = 0;

    test_fill(w, ROWS * cols, 3);
    test_fill(x, N * cols, 4);
    lq_tensor *t = weight(ctx, &spec, cols, &rows);
    assert_int_equal(lq_prepared_bytes(ctx, &spec, ROWS, cols, &bytes), LQ_OK);
    assert_int_equal(lq_prepare(four, &rows, NULL, &p, NULL), LQ_OK);
    lq_matmul_args a = args_for(N, cols, y);
    assert_int_equal(lq_matmul(four, p, &a), LQ_OK);
    check_every_n(ctx, p, cols);
    if (bytes) {
        double error = nmse(cols, y), most = spec.format == LQ_FORMAT_NF4 ||
                       spec.format == LQ_FORMAT_FP4 || spec.format == LQ_FORMAT_CODEBOOK
                       ? 1.2e-4 : 7e-5;
        if (!(error < most))
            fail_msg("%s: error %g of the signal", text, error);
        for (size_t i = 0; i < N * ROWS; i++) {
            uint32_t bits;
            memcpy(&bits, &y[i], sizeof bits);
            hash = (hash ^ bits) * 16777619u;
        }
        if (!first && hash != *sum)
            fail_msg("%s: level differs from the first one", text);
        *sum = hash;
    }
    lq_prepared_destroy(p);
    lq_tensor_destroy(t);
}

static void every_spec_every_level(void **state)
{
    uint32_t sums[COUNT(test_specs)];

    (void)state;
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lq_level_available(levels[l]))
            continue;
        lq_ctx *ctx = test_ctx(levels[l], 1), *four = test_ctx(levels[l], 4);
        for (size_t i = 0; i < COUNT(test_specs); i++)
            one_spec(test_specs[i], ctx, four, l == 0, &sums[i]);
        lq_ctx_destroy(ctx);
        lq_ctx_destroy(four);
    }
}

/* Specs that only products care about: each shape of panels. */
static void more_specs(void **state)
{
    static const char *const specs[] = {
        "int2:g32", "int2:g64:zp", "int2:g128", "int3:g32:zp", "int3:g64", "int4:g128:zp",
        "int4:g128:gidx", "int4:g64:fz", "int4:g32:zp:f32", "int5:g32", "int6:g32:zp",
        "int8:g128:zp", "int8:g64", "int8:g32", "nf4:g32", "nf4:g64:f16", "fp4:g128",
        "mxint8", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3", "mxfp8_e5m2",
        "fp8_e4m3:t", "fp8_e5m2:g128", "fp8_e4m3:128x128", "fp8_e5m2:ch", "nvfp4:gd",
        "ternary", "int4:ch:zp", "int4:g256",
    };
    uint32_t sums[COUNT(specs)];

    (void)state;
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lq_level_available(levels[l]))
            continue;
        lq_ctx *ctx = test_ctx(levels[l], 1), *four = test_ctx(levels[l], 4);
        for (size_t i = 0; i < COUNT(specs); i++)
            one_spec(specs[i], ctx, four, l == 0, &sums[i]);
        lq_ctx_destroy(ctx);
        lq_ctx_destroy(four);
    }
}

static lq_prepared *some_weight(const lq_ctx *ctx, const char *text, lq_tensor **t)
{
    lq_spec spec = test_spec(text);
    lq_rows rows = LQ_ROWS_INIT;
    lq_prepared *p = NULL;

    test_fill(w, ROWS * 512, 5);
    test_fill(x, N * 512, 6);
    *t = weight(ctx, &spec, 512, &rows);
    assert_int_equal(lq_prepare(ctx, &rows, NULL, &p, NULL), LQ_OK);
    return p;
}

static void slices_and_acts(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_tensor *t, *t2;
    lq_prepared *p = some_weight(ctx, "q4_k", &t), *other = some_weight(ctx, "q4_0", &t2);
    lq_acts *acts = NULL;
    static const uint64_t counts[] = { 1, 7, N };

    (void)state;
    assert_int_equal(lq_acts_create(ctx, p, N, &acts, NULL), LQ_OK);
    assert_true(lq_acts_fit(acts, p));
    assert_false(lq_acts_fit(acts, other));
    for (size_t i = 0; i < COUNT(counts); i++) {
        uint64_t n = counts[i], bytes = lq_matmul_work_bytes(p, n);
        char *work = malloc(bytes);
        lq_matmul_args a = args_for(n, 512, y);
        assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
        assert_int_equal(lq_acts_fill(acts, n, LQ_F32, x, 512), LQ_OK);
        for (uint64_t row = 0; row < ROWS; row += 5) {
            a = args_for(n, 512, z);
            a.row0 = row;
            a.row1 = row + 5 < ROWS ? row + 5 : ROWS;
            a.work = work;
            a.work_bytes = 64;
            if (row % 2)
                a.acts = acts;
            else
                assert_int_equal(lq_matmul_slice(p, &a), LQ_ERR_BUFFER);
            a.work_bytes = bytes;
            assert_int_equal(lq_matmul_slice(p, &a), LQ_OK);
            for (uint64_t j = 0; j < n; j++)
                assert_memory_equal(z + j * ROWS, y + j * ROWS + row,
                                    (a.row1 - row) * sizeof *y);
        }
        free(work);
    }
    lq_matmul_args a = args_for(N, 512, z);
    a.acts = acts;
    assert_int_equal(lq_matmul(ctx, other, &a), LQ_ERR_MISMATCH);
    a.mode = LQ_MODE_F32;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_ERR_MISMATCH);
    assert_int_equal(lq_acts_fill(acts, N + 1, LQ_F32, x, 512), LQ_ERR_ARG);
    lq_acts_destroy(acts);
    lq_prepared_destroy(p);
    lq_prepared_destroy(other);
    lq_tensor_destroy(t);
    lq_tensor_destroy(t2);
    lq_ctx_destroy(ctx);
}

/* A NaN or an infinity spoils its own vector only; tiny vectors are zero. */
static void odd_activations(void **state)
{
    (void)state;
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lq_level_available(levels[l]))
            continue;
        lq_ctx *ctx = test_ctx(levels[l], 1);
        lq_tensor *t;
        static const char *const specs[] = { "q4_0", "q6_k", "q4_1", "int4:g128:zp" };
        for (size_t s = 0; s < COUNT(specs); s++) {
            lq_prepared *p = some_weight(ctx, specs[s], &t);
            x[0 * 512 + 300] = NAN;
            x[2 * 512 + 511] = -INFINITY;
            for (int c = 0; c < 512; c++)
                x[3 * 512 + c] = 1e-39f;
            lq_matmul_args a = args_for(N, 512, y);
            assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
            for (int r = 0; r < ROWS; r++) {
                assert_true(isnan(y[r]) && isnan(y[2 * ROWS + r]));
                assert_true(isfinite(y[ROWS + r]) && y[3 * ROWS + r] == 0);
            }
            lq_prepared_destroy(p);
            lq_tensor_destroy(t);
        }
        lq_ctx_destroy(ctx);
    }
}

/* Scales that are not finite: no panels, the product is as in F32. */
static void odd_weights(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_spec spec = test_spec("q4_0");
    lq_rows rows = LQ_ROWS_INIT;
    lq_prepared *p = NULL;
    uint64_t bytes;

    (void)state;
    test_fill(w, ROWS * 512, 5);
    test_fill(x, N * 512, 6);
    lq_tensor *t = weight(ctx, &spec, 512, &rows);
    uint8_t *codes = rows.plane[LQ_PLANE_CODES];
    codes[1] = 0x7c;   /* row 0 */
    assert_int_equal(lq_prepare(ctx, &rows, NULL, &p, NULL), LQ_OK);
    lq_matmul_args a = args_for(3, 512, y);
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
    a = args_for(3, 512, z);
    a.mode = LQ_MODE_F32;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
    for (int i = 0; i < 3; i++) {
        assert_false(isfinite(y[i * ROWS]));
        assert_memory_equal(y + i * ROWS + 1, z + i * ROWS + 1, (ROWS - 1) * sizeof *y);
    }
    lq_prepared_destroy(p);
    /* memory of the caller: too little, then enough */
    codes[1] = 0;
    assert_int_equal(lq_prepared_bytes(ctx, &spec, ROWS, 512, &bytes), LQ_OK);
    char *memory = malloc(bytes);
    lq_prepare_opts o = LQ_PREPARE_OPTS_INIT;
    o.memory = memory;
    o.memory_bytes = bytes - 1;
    assert_int_equal(lq_prepare(ctx, &rows, &o, &p, NULL), LQ_ERR_BUFFER);
    o.memory_bytes = bytes;
    assert_int_equal(lq_prepare(ctx, &rows, &o, &p, NULL), LQ_OK);
    a = args_for(3, 512, y);
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
    lq_prepared_destroy(p);
    free(memory);
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
}

/* Zero points far above the codes: the same product for one vector and for many. */
static void odd_zeros(void **state)
{
    static const char *const specs[] = { "int4:g32:zp", "int4:g128:zp", "int3:g32:zp",
                                         "int6:g128:zp" };
    static const uint8_t zeros[] = { 15, 16, 17, 64, 65, 128, 200, 255 };

    (void)state;
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lq_level_available(levels[l]))
            continue;
        lq_ctx *ctx = test_ctx(levels[l], 1);
        for (size_t s = 0; s < COUNT(specs) * COUNT(zeros); s++) {
            lq_spec spec = test_spec(specs[s / COUNT(zeros)]);
            lq_rows rows = LQ_ROWS_INIT;
            lq_prepared *p = NULL;
            test_fill(w, ROWS * 512, 5);
            test_fill(x, N * 512, 6);
            lq_tensor *t = weight(ctx, &spec, 512, &rows);
            ((uint8_t *)rows.plane[LQ_PLANE_ZEROS])[1] = zeros[s % COUNT(zeros)];
            assert_int_equal(lq_tensor_decode(t, LQ_F32, d), LQ_OK);
            assert_int_equal(lq_prepare(ctx, &rows, NULL, &p, NULL), LQ_OK);
            lq_matmul_args a = args_for(N, 512, y);
            assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
            assert_true(nmse(512, y) < 1e-4);
            check_every_n(ctx, p, 512);
            lq_prepared_destroy(p);
            lq_tensor_destroy(t);
        }
        lq_ctx_destroy(ctx);
    }
}

/* Where the level has bf16: each factor rounded once at most, the same bits for any n and threads.
 * Elsewhere the mode is F32. */
static void bf16(void **state)
{
    static const char *const specs[] = {
        "q4_k", "bf16", "f16", "f32",   /* decoded: scales are rounded with the weights */
        "nf4:g64", "fp8_e4m3:ch", "int4:g128:gidx", "nf4:g64:dq", "fp4:g64", "int4:g128:zp", "int4:g64:zp", "int4:g32:zp", "int4:g32", "int4:g32:fz",
        "int4:ch", "mxfp4", "nvfp4:gm", "q4_0", "q4_1", "iq4_nl", "mxfp8_e4m3", "mxfp8_e5m2",
        "mxfp6_e3m2", "fp8_e5m2:g128", "fp8_e4m3:128x128", "int4:g128:zp:gidx",
    };

    (void)state;
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lq_level_available(levels[l]))
            continue;
        lq_ctx *ctx = test_ctx(levels[l], 1), *four = test_ctx(levels[l], 4);
        for (size_t s = 0; s < COUNT(specs); s++) {
            lq_spec spec = test_spec(specs[s]);
            uint64_t cols = spec.flags & LQ_SPEC_GIDX ? 1536 : test_cols(&spec, COLS - 1);
            lq_rows rows = LQ_ROWS_INIT;
            lq_prepared *p = NULL;
            test_fill(w, ROWS * cols, 3);
            test_fill(x, N * cols, 4);
            lq_tensor *t = weight(ctx, &spec, cols, &rows);
            assert_int_equal(lq_prepare(ctx, &rows, NULL, &p, NULL), LQ_OK);
            lq_matmul_args a = args_for(N, cols, y);
            a.mode = LQ_MODE_BF16;
            assert_int_equal(lq_matmul(four, p, &a), LQ_OK);
            double error = nmse(cols, y);
            if (!(error < (s < 4 ? 7e-6 : 5e-6)))
                fail_msg("%s: error %g of the signal", specs[s], error);
            char *work = malloc(lq_matmul_work_bytes(p, N));
            for (uint64_t n = 1; n <= N; n += 3) {
                a = args_for(n, cols, z);
                a.mode = LQ_MODE_BF16;
                a.row0 = 3;
                a.work = work;
                a.work_bytes = lq_matmul_work_bytes(p, N);
                assert_int_equal(lq_matmul_slice(p, &a), LQ_OK);
                for (uint64_t j = 0; j < n; j++)
                    assert_memory_equal(z + j * ROWS, y + j * ROWS + 3,
                                        (ROWS - 3) * sizeof *y);
            }
            free(work);
            lq_prepared_destroy(p);
            lq_tensor_destroy(t);
        }
        lq_ctx_destroy(ctx);
        lq_ctx_destroy(four);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec_every_level), cmocka_unit_test(more_specs),
        cmocka_unit_test(slices_and_acts), cmocka_unit_test(odd_activations),
        cmocka_unit_test(odd_weights), cmocka_unit_test(odd_zeros), cmocka_unit_test(bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
