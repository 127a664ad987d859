/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/gemm.c - plain products: the promised order of additions, bit for bit, in
 * every shape, layout and type, at every level and number of threads
 */
#include <math.h>

#include "common.h"
#include "lib/base/half.h"

#define ROOM 131072

static float a[ROOM], b[ROOM], c[ROOM], before[ROOM], want[ROOM];

static const lq_level levels[] = {
    LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON,
};

static float load(lq_dtype type, const void *p, uint64_t i)
{
    return lqi_load_float(type ? type : LQ_F32, p, i);
}

static void store(lq_dtype type, void *p, uint64_t i, float f)
{
    if (type == LQ_F16)
        ((uint16_t *)p)[i] = lqi_f32_to_f16(f);
    else if (type == LQ_BF16)
        ((uint16_t *)p)[i] = lqi_f32_to_bf16(f);
    else
        ((float *)p)[i] = f;
}

static void fill(lq_dtype type, void *p, uint64_t seed)
{
    for (size_t i = 0; i < ROOM; i++)
        store(type, p, i, test_normal(&seed));
}

/* The header's definition, with leading dimensions given. */
static float element(const lq_gemm_args *g, uint64_t i, uint64_t j)
{
    float total = 0;

    for (uint64_t l = 0; l < g->k; l += LQ_GEMM_BLOCK) {
        float s = 0;
        for (uint64_t t = l; t < g->k && t < l + LQ_GEMM_BLOCK; t++)
            s = fmaf(load(g->a_type, g->a, g->trans_a ? t * g->lda + i : i * g->lda + t),
                     load(g->b_type, g->b, g->trans_b ? j * g->ldb + t : t * g->ldb + j), s);
        total = l ? total + s : s;
    }
    return total * (g->alpha == 0 ? 1 : g->alpha);
}

static void reference(const lq_gemm_args *g, void *to)
{
    for (uint64_t i = 0; i < g->m; i++) {
        for (uint64_t j = 0; j < g->n; j++) {
            uint64_t at = i * g->ldc + j;
            if (g->lower && j > i)
                continue;
            float f = element(g, i, j);
            store(g->c_type, to, at, g->accumulate ? load(g->c_type, to, at) + f : f);
        }
    }
}

static lq_gemm_args args_for(uint64_t m, uint64_t n, uint64_t k)
{
    lq_gemm_args g = LQ_GEMM_ARGS_INIT;

    g.m = m;
    g.n = n;
    g.k = k;
    g.a = a;
    g.b = b;
    g.c = c;
    return g;
}

/* Random leading dimensions that fit. */
static void strides(lq_gemm_args *g, uint64_t *seed)
{
    g->lda = (g->trans_a ? g->m : g->k) + test_next(seed) % 5;
    g->ldb = (g->trans_b ? g->k : g->n) + test_next(seed) % 5;
    g->ldc = g->n + test_next(seed) % 5;
}

/* Everything of C's array, what lies between the rows too. */
static void check(lq_ctx *const ctx[], size_t contexts, lq_gemm_args *g, uint64_t seed)
{
    fill(g->c_type, before, seed);
    memcpy(want, before, sizeof want);
    reference(g, want);
    for (size_t i = 0; i < contexts; i++) {
        memcpy(c, before, sizeof c);
        assert_int_equal(lq_gemm(ctx[i], g), LQ_OK);
        if (memcmp(c, want, sizeof c) != 0)
            fail_msg("%s, %u threads: %d x %d x %d, trans %d %d, types %d %d %d, "
                     "accumulate %d, lower %d, alpha %g", lq_level_name(lq_ctx_level(ctx[i])),
                     lq_ctx_threads(ctx[i]), (int)g->m, (int)g->n, (int)g->k, g->trans_a,
                     g->trans_b, g->a_type, g->b_type, g->c_type, g->accumulate, g->lower,
                     (double)g->alpha);
    }
}

static size_t every_context(lq_ctx **ctx)
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT(levels); i++) {
        if (!lq_level_available(levels[i]))
            continue;
        ctx[n++] = test_ctx(levels[i], 1);
        ctx[n++] = test_ctx(levels[i], 3);
    }
    return n;
}

static void every_shape(void **state)
{
    static const uint16_t sizes[][3] = {
        { 1, 1, 1 }, { 1, 1, 700 }, { 1, 100, 300 }, { 100, 1, 300 }, { 3, 17, 5 },
        { 8, 48, 256 }, { 9, 49, 257 }, { 16, 96, 512 }, { 65, 33, 64 }, { 130, 70, 31 }, { 7, 200, 513 },
        { 200, 7, 513 }, { 40, 40, 0 }, { 4, 24, 1 }, { 300, 300, 20 }, { 48, 16, 100 },
        { 33, 32, 800 }, { 600, 100, 9 }, { 2, 1300, 17 },
    };
    lq_ctx *ctx[2 * COUNT(levels)];
    size_t contexts = every_context(ctx);
    uint64_t seed = 7;

    (void)state;
    fill(LQ_F32, a, 1);
    fill(LQ_F32, b, 2);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (unsigned f = 0; f < 16; f++) {
            lq_gemm_args g = args_for(sizes[i][0], sizes[i][1], sizes[i][2]);
            g.trans_a = f & 1;
            g.trans_b = f >> 1 & 1;
            g.accumulate = f >> 2 & 1;
            g.lower = f >> 3;
            strides(&g, &seed);
            g.alpha = f % 3 == 0 ? 0.0f : f % 3 == 1 ? 1.0f : -0.7f;
            check(ctx, contexts, &g, f);
        }
    }
    for (size_t i = 0; i < contexts; i++)
        lq_ctx_destroy(ctx[i]);
}

static void every_type(void **state)
{
    static const lq_dtype types[] = { LQ_F32, LQ_F16, LQ_BF16 };
    lq_ctx *ctx[2 * COUNT(levels)];
    size_t contexts = every_context(ctx);
    uint64_t seed = 9;

    (void)state;
    for (unsigned t = 0; t < 27; t++) {
        lq_gemm_args g = args_for(61, 117, 300);
        g.a_type = types[t % 3];
        g.b_type = types[t / 3 % 3];
        g.c_type = types[t / 9];
        fill(g.a_type, a, t);
        fill(g.b_type, b, t + 100);
        for (unsigned f = 0; f < 8; f++) {
            g.trans_a = f & 1;
            g.trans_b = f >> 1 & 1;
            g.accumulate = f >> 2;
            strides(&g, &seed);
            check(ctx, contexts, &g, f);
        }
    }
    for (size_t i = 0; i < contexts; i++)
        lq_ctx_destroy(ctx[i]);
}

/* More than one part each way: the levels agree, and agree with a row computed alone. */
static void large(void **state)
{
    const uint64_t m = 2100, n = 2075, k = 270;
    float *x = malloc(m * k * sizeof *x), *y = malloc(k * n * sizeof *y);
    float *first = malloc(m * n * sizeof *first), *other = malloc(m * n * sizeof *other);
    lq_gemm_args g = args_for(m, n, k);

    (void)state;
    test_fill(x, m * k, 5);
    test_fill(y, k * n, 6);
    g.a = x;
    g.b = y;
    for (uint32_t threads = 1; threads < 4; threads++) {
        lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, threads);
        g.c = threads == 1 ? first : other;
        assert_int_equal(lq_gemm(ctx, &g), LQ_OK);
        if (threads > 1)
            assert_memory_equal(first, other, m * n * sizeof *first);
        lq_ctx_destroy(ctx);
    }
    g.lda = k;
    g.ldb = n;
    for (uint64_t i = 0; i < m; i += 41)
        for (uint64_t j = i % 53; j < n; j += 53)
            assert_true(first[i * n + j] == element(&g, i, j));
    free(x);
    free(y);
    free(first);
    free(other);
}

/* X'X: its triangle is the whole product's, which is symmetric. */
static void symmetric(void **state)
{
    const uint64_t n = 330, k = 390;
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 2);
    lq_gemm_args g = args_for(n, n, k);

    (void)state;
    fill(LQ_F32, a, 3);
    g.trans_a = 1;
    g.b = a;
    assert_int_equal(lq_gemm(ctx, &g), LQ_OK);
    memcpy(want, c, n * n * sizeof *c);
    memset(c, 0, n * n * sizeof *c);
    g.lower = 1;
    assert_int_equal(lq_gemm(ctx, &g), LQ_OK);
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < n; j++) {
            assert_true(c[i * n + j] == (j <= i ? want[i * n + j] : 0));
            assert_true(want[i * n + j] == want[j * n + i]);
        }
    lq_ctx_destroy(ctx);
}

/* (min(k, 256) + k / 256 + 2) 2^-24 |alpha| sum |a| |b| */
static void bound(void **state)
{
    const uint64_t n = 40, k = 3000;
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    lq_gemm_args g = args_for(n, n, k);

    (void)state;
    fill(LQ_F32, a, 11);
    fill(LQ_F32, b, 12);
    g.alpha = 3;
    assert_int_equal(lq_gemm(ctx, &g), LQ_OK);
    for (uint64_t i = 0; i < n; i++)
        for (uint64_t j = 0; j < n; j++) {
            double sum = 0, mag = 0;
            for (uint64_t l = 0; l < k; l++) {
                double t = (double)a[i * k + l] * (double)b[l * n + j];
                sum += t;
                mag += fabs(t);
            }
            assert_true(fabs((double)c[i * n + j] - 3 * sum) <=
                        (256 + (double)k / 256 + 2) * 0x1p-24 * 3 * mag);
        }
    lq_ctx_destroy(ctx);
}

/* Infinities and NaNs reach the numbers they belong to, and no others. */
static void nonfinite(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    lq_gemm_args g = args_for(50, 70, 30);

    (void)state;
    fill(LQ_F32, a, 21);
    fill(LQ_F32, b, 22);
    a[20 * 30 + 7] = NAN;
    b[5 * 70 + 40] = INFINITY;
    assert_int_equal(lq_gemm(ctx, &g), LQ_OK);
    for (int i = 0; i < 50; i++)
        for (int j = 0; j < 70; j++) {
            float f = c[i * 70 + j];
            assert_true(i == 20 ? f != f : j == 40 ? isinf(f) : isfinite(f));
        }
    lq_ctx_destroy(ctx);
}

static void refusals(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    lq_gemm_args g = args_for(20, 30, 40);

    (void)state;
    assert_int_equal(lq_gemm(NULL, &g), LQ_ERR_ARG);
    assert_int_equal(lq_gemm(ctx, NULL), LQ_ERR_ARG);
    g.a = NULL;
    assert_int_equal(lq_gemm(ctx, &g), LQ_ERR_ARG);
    g.m = 0;
    assert_int_equal(lq_gemm(ctx, &g), LQ_OK);
    g = args_for(20, 30, 40);
    g.lower = 2;
    assert_int_equal(lq_gemm(ctx, &g), LQ_ERR_ARG);
    g = args_for(20, 30, 40);
    g.ldb = 29;
    assert_int_equal(lq_gemm(ctx, &g), LQ_ERR_SHAPE);
    g = args_for(20, 30, 40);
    g.c_type = LQ_I8;
    assert_int_equal(lq_gemm(ctx, &g), LQ_ERR_UNSUPPORTED);
    g = args_for(20, 30, 40);
    g.c = (char *)c + 2;
    assert_int_equal(lq_gemm(ctx, &g), LQ_ERR_ALIGN);
    g = args_for(UINT64_MAX / 8, 30, 40);
    assert_int_equal(lq_gemm(ctx, &g), LQ_ERR_OVERFLOW);
    g = args_for(20, 30, 40);
    g.struct_size += 8;
    struct { lq_gemm_args args; uint64_t tail; } longer = { g, 1 };
    assert_int_equal(lq_gemm(ctx, &longer.args), LQ_ERR_UNSUPPORTED);
    lq_ctx_destroy(ctx);
}

/* Parts of one array, rows 100 numbers apart. */
static void overlap(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    lq_gemm_args g = args_for(20, 30, 40);

    (void)state;
    g.lda = g.ldc = 100;
    for (int at = 0; at < 3000; at++) {
        int row = at / 100, col = at % 100;   /* A is rows 10 to 29, columns 20 to 59 */
        g.a = c + 10 * 100 + 20;
        g.c = c + at;
        int rows = row < 30 && row + 20 > 10;
        int shared = rows && col < 60 && col + 30 > 20;
        if (col + 30 > 100)   /* the rest is at the beginning of the next row */
            shared = shared || (row + 1 < 30 && row + 21 > 10 && col + 30 - 100 > 20);
        if (lq_gemm(ctx, &g) != (shared ? LQ_ERR_OVERLAP : LQ_OK))
            fail_msg("C at row %d, column %d: %d", row, col, shared);
    }
    g.a = c + 10 * 100 + 20;
    g.lda = 99;   /* not the same distance: any touch is refused */
    g.c = c + 10 * 100 + 65;
    assert_int_equal(lq_gemm(ctx, &g), LQ_ERR_OVERLAP);
    lq_ctx_destroy(ctx);
}

static void *no_memory(void *user, size_t size, size_t align)
{
    (void)align;
    return --*(int *)user < 0 ? NULL : malloc(size);
}

static void release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static void out_of_memory(void **state)
{
    int left = 1000;
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx = NULL;
    lq_gemm_args g = args_for(20, 30, 40);

    (void)state;
    opts.allocator = (lq_allocator){ no_memory, release, &left };
    assert_int_equal(lq_ctx_create(&opts, &ctx, NULL), LQ_OK);
    left = 0;
    memset(c, 0x5a, sizeof c);
    memcpy(want, c, sizeof c);
    assert_int_equal(lq_gemm(ctx, &g), LQ_ERR_NOMEM);
    assert_memory_equal(c, want, sizeof c);
    left = 1;
    assert_int_equal(lq_gemm(ctx, &g), LQ_OK);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape), cmocka_unit_test(every_type), cmocka_unit_test(large),
        cmocka_unit_test(symmetric), cmocka_unit_test(bound), cmocka_unit_test(nonfinite),
        cmocka_unit_test(refusals), cmocka_unit_test(overlap), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
