/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/codebook.c - lq_codebook: names, nearest code, normal quantiles, fitting
 */
#include "common.h"

#include <math.h>

/* What every machine and compiler must produce. */
#define HASH_NORMAL   0x227b66056c19f625u
#define HASH_FITTED   0x308907430e559907u
#define HASH_WEIGHTED 0x2c6e06f869ed7638u

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

/* FNV-1a of the values' bits: the same number on every machine and compiler. */
static uint64_t hash(const lq_codebook *book)
{
    const float *v = lq_codebook_values(book);
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < lq_codebook_count(book); i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        for (int b = 0; b < 4; b++)
            h = (h ^ (bits >> 8 * b & 255)) * 0x100000001b3u;
    }
    return h;
}

static void test_named(void **state)
{
    static const struct { const char *name; size_t count; float first, last; } want[] = {
        { "nf4", 16, -1, 1 },
        { "fp4", 16, 0, -0.25f },
        { "dynamic8", 256, -0.99296874f, 1 },
        { "udynamic8", 256, 0, 1 },
    };
    lq_codebook *book;

    (void)state;
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(lq_codebook_named(ctx, want[i].name, &book, NULL), LQ_OK);
        assert_int_equal(lq_codebook_count(book), want[i].count);
        assert_true(lq_codebook_values(book)[0] == want[i].first);
        assert_true(lq_codebook_values(book)[want[i].count - 1] == want[i].last);
        lq_codebook_destroy(book);
    }
    assert_int_equal(lq_codebook_named(ctx, "nf5", &book, NULL), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_codebook_named(ctx, "q4_0", &book, NULL), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_codebook_named(ctx, "codebook", &book, NULL), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_codebook_named(ctx, NULL, &book, NULL), LQ_ERR_ARG);
}

static uint8_t nearest(const lq_codebook *book, float x)
{
    uint8_t code = 99;
    assert_int_equal(lq_codebook_nearest(book, &x, 1, &code), LQ_OK);
    return code;
}

static void test_nearest_rules(void **state)
{
    const float values[7] = { 3, -1, 0.5f, 3, -1, 2, 0.25f };   /* unsorted, repeated */
    lq_codebook *book;

    (void)state;
    assert_int_equal(lq_codebook_create(ctx, values, 7, &book, NULL), LQ_OK);
    assert_memory_equal(lq_codebook_values(book), values, sizeof values);
    assert_int_equal(nearest(book, 100), 0);
    assert_int_equal(nearest(book, 3), 0);
    assert_int_equal(nearest(book, INFINITY), 0);
    assert_int_equal(nearest(book, -1), 1);
    assert_int_equal(nearest(book, -7), 1);
    assert_int_equal(nearest(book, -INFINITY), 1);
    assert_int_equal(nearest(book, 2.5f), 5);                    /* tie: the smaller */
    assert_int_equal(nearest(book, nextafterf(2.5f, 3)), 0);
    assert_int_equal(nearest(book, 0.375f), 6);
    assert_int_equal(nearest(book, -0.375f), 1);
    assert_int_equal(nearest(book, nextafterf(-0.375f, 0)), 6);
    assert_int_equal(nearest(book, NAN), 6);
    lq_codebook_destroy(book);

    /* midpoints that no float holds, between far and between close values */
    const float far[3] = { -1e-20f, 1, 1.00000012f };
    assert_int_equal(lq_codebook_create(ctx, far, 3, &book, NULL), LQ_OK);
    assert_int_equal(nearest(book, 0.5f), 1);
    assert_int_equal(nearest(book, nextafterf(0.5f, 0)), 0);
    assert_int_equal(nearest(book, 1), 1);
    assert_int_equal(nearest(book, 1.00000012f), 2);
    lq_codebook_destroy(book);
}

/* Against the definition, in double (values of few bits: differences are exact). */
static void test_nearest_random(void **state)
{
    uint64_t seed = 11;

    (void)state;
    for (size_t count = 2; count <= 256; count += count < 20 ? 1 : 59) {
        float values[256];
        lq_codebook *book;
        for (size_t i = 0; i < count; i++)
            values[i] = (float)(test_next(&seed) % 2048) / 1024 - 1;
        assert_int_equal(lq_codebook_create(ctx, values, count, &book, NULL), LQ_OK);
        for (int k = 0; k < 2000; k++) {
            float x = (float)(test_next(&seed) % 8192) / 2048 - 2;
            size_t best = 0;
            for (size_t i = 1; i < count; i++) {
                double d = fabs((double)values[i] - x), b = fabs((double)values[best] - x);
                if (d < b || (d == b && values[i] < values[best]))
                    best = i;
            }
            assert_int_equal(nearest(book, x), best);
        }
        lq_codebook_destroy(book);
    }
}

static void test_normal_quantiles(void **state)
{
    lq_codebook *book;

    (void)state;
    for (size_t n = 2; n <= 256; n++) {
        assert_int_equal(lq_codebook_normal(ctx, n, &book, NULL), LQ_OK);
        const float *v = lq_codebook_values(book);
        assert_true(v[0] == -1 && v[n - 1] == 1);
        if (n % 2)
            assert_true(v[n / 2] == 0 && !signbit(v[n / 2]));
        /* the scale that puts the largest at its probability puts all there */
        double p = 0.5 / (double)n, lo = 0, hi = 10;
        for (int k = 0; k < 60; k++) {
            double m = (lo + hi) / 2;
            *(0.5 * erfc(m / sqrt(2)) > p ? &lo : &hi) = m;
        }
        for (size_t i = 0; i < n; i++) {
            double got = 0.5 * erfc(-v[i] * lo / sqrt(2));
            assert_true(fabs(got - ((double)i + 0.5) / (double)n) < 1e-7);
            assert_true(v[i] == -v[n - 1 - i]);
            assert_true(i == 0 || v[i] > v[i - 1]);
        }
        lq_codebook_destroy(book);
    }
    assert_int_equal(lq_codebook_normal(ctx, 16, &book, NULL), LQ_OK);
    assert_int_equal(hash(book), HASH_NORMAL);
    lq_codebook_destroy(book);
    assert_int_equal(lq_codebook_normal(ctx, 1, &book, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_codebook_normal(ctx, 257, &book, NULL), LQ_ERR_ARG);
}

static double fit_error(const lq_codebook *book, const float *x, const float *w, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double d = lq_codebook_values(book)[nearest(book, x[i])] - (double)x[i];
        sum += (w ? w[i] : 1) * d * d;
    }
    return sum;
}

static void test_fit_exact(void **state)
{
    const float x[9] = { 0.5f, -0.5f, 0.25f, 0.5f, -0.25f, 0.75f, 0.75f, -0.0f, 0 };
    lq_codebook *book;

    (void)state;
    /* as many values as distinct samples: no error (-0 is 0) */
    assert_int_equal(lq_codebook_fit(ctx, x, NULL, 9, 6, &book, NULL), LQ_OK);
    assert_true(fit_error(book, x, NULL, 9) == 0);
    lq_codebook_destroy(book);
    assert_int_equal(lq_codebook_fit(ctx, x, NULL, 9, 7, &book, NULL), LQ_ERR_NUMERIC);
    /* two clusters: their means */
    const float y[6] = { -1, -0.5f, -0.75f, 0.25f, 0.5f, 0.75f };
    const float w[6] = { 1, 1, 0, 3, 0, 1 };
    assert_int_equal(lq_codebook_fit(ctx, y, NULL, 6, 2, &book, NULL), LQ_OK);
    assert_true(lq_codebook_values(book)[0] == -0.75f);
    assert_true(lq_codebook_values(book)[1] == 0.5f);
    lq_codebook_destroy(book);
    assert_int_equal(lq_codebook_fit(ctx, y, w, 6, 2, &book, NULL), LQ_OK);
    assert_true(lq_codebook_values(book)[1] == 0.375f);
    lq_codebook_destroy(book);
    assert_int_equal(lq_codebook_fit(ctx, y, w, 6, 5, &book, NULL), LQ_ERR_NUMERIC);
}

static void test_fit_normal(void **state)
{
    enum { N = 20000 };
    float *x = malloc(N * sizeof *x), *w = malloc(N * sizeof *w);
    lq_codebook *fitted, *quantiles, *weighted;

    (void)state;
    test_fill(x, N, 5);
    for (int i = 0; i < N; i++) {
        x[i] /= 4;
        w[i] = x[i] > 0 ? 8 : 1;
    }
    assert_int_equal(lq_codebook_fit(ctx, x, NULL, N, 16, &fitted, NULL), LQ_OK);
    assert_int_equal(lq_codebook_fit(ctx, x, w, N, 16, &weighted, NULL), LQ_OK);
    assert_int_equal(lq_codebook_normal(ctx, 16, &quantiles, NULL), LQ_OK);
    /* Lloyd and Max give 0.0095 (20.2 dB) for 16 levels and a normal */
    double power = 0;
    for (int i = 0; i < N; i++)
        power += (double)x[i] * x[i];
    assert_true(fit_error(fitted, x, NULL, N) < 0.0100 * power);
    assert_true(fit_error(fitted, x, NULL, N) < fit_error(quantiles, x, NULL, N));
    assert_true(fit_error(weighted, x, w, N) < fit_error(fitted, x, w, N));
    assert_int_equal(hash(fitted), HASH_FITTED);
    assert_int_equal(hash(weighted), HASH_WEIGHTED);
    lq_codebook_destroy(fitted);
    lq_codebook_destroy(weighted);
    lq_codebook_destroy(quantiles);
    free(x);
    free(w);
}

/* Many equal samples: the starting quantiles coincide and must be pulled apart. */
static void test_fit_repeats(void **state)
{
    float x[1000] = { 0 };
    lq_codebook *book;

    (void)state;
    for (int i = 0; i < 20; i++)
        x[i * 50] = (float)(i - 10) / 16;
    for (size_t count = 2; count <= 20; count++) {
        assert_int_equal(lq_codebook_fit(ctx, x, NULL, 1000, count, &book, NULL), LQ_OK);
        for (size_t i = 1; i < count; i++)
            assert_true(lq_codebook_values(book)[i] > lq_codebook_values(book)[i - 1]);
        if (count == 20)
            assert_true(fit_error(book, x, NULL, 1000) == 0);
        lq_codebook_destroy(book);
    }
}

static void test_refusals(void **state)
{
    float x[4] = { 0, 1, NAN, 2 }, w[2] = { 1, -1 };
    lq_codebook *book = (lq_codebook *)x;
    uint8_t code;

    (void)state;
    assert_int_equal(lq_codebook_create(ctx, x, 4, &book, NULL), LQ_ERR_NONFINITE);
    assert_int_equal(lq_codebook_create(ctx, x, 1, &book, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_codebook_create(ctx, x, 257, &book, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_codebook_create(NULL, x, 2, &book, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_codebook_fit(ctx, x, NULL, 4, 2, &book, NULL), LQ_ERR_NONFINITE);
    assert_int_equal(lq_codebook_fit(ctx, x, w, 2, 2, &book, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_codebook_fit(ctx, x, NULL, 0, 2, &book, NULL), LQ_ERR_NUMERIC);
    assert_int_equal(lq_codebook_fit(ctx, NULL, NULL, 4, 2, &book, NULL), LQ_ERR_ARG);
    assert_ptr_equal(book, x);
    assert_int_equal(lq_codebook_nearest(NULL, x, 1, &code), LQ_ERR_ARG);
    lq_codebook_destroy(NULL);
    assert_int_equal(lq_codebook_count(NULL), 0);
    assert_null(lq_codebook_values(NULL));
}

/* An allocator whose 'left'-th allocation fails. */
typedef struct tight {
    int left, live;
} tight;

static void *tight_alloc(void *user, size_t size, size_t align)
{
    tight *t = user;
    if (t->left-- <= 0)
        return NULL;
    t->live++;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void tight_free(void *user, void *memory)
{
    tight *t = user;
    t->live -= memory != NULL;
    free(memory);
}

static void test_no_memory(void **state)
{
    const float x[6] = { -1, -0.5f, -0.75f, 0.25f, 0.5f, 0.75f };
    lq_scales_opts two = LQ_SCALES_OPTS_INIT;
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    tight t = { 1000, 0 };
    lq_ctx *small;

    (void)state;
    two.scale2_block = 4;
    opts.allocator = (lq_allocator){ tight_alloc, tight_free, &t };
    assert_int_equal(lq_ctx_create(&opts, &small, NULL), LQ_OK);
    int before = t.live, failed = 0;
    for (int left = 0; left < 6; left++) {
        lq_codebook *made = NULL, *fitted = NULL;
        lq_scales *scales = NULL;
        t.left = left;
        lq_status s1 = lq_codebook_create(small, x, 6, &made, NULL);
        t.left = left;
        lq_status s2 = lq_codebook_fit(small, x, NULL, 6, 2, &fitted, NULL);
        t.left = left;
        lq_status s3 = lq_scales_create(small, x, 6, &two, &scales, NULL);
        assert_true(s1 == (made ? LQ_OK : LQ_ERR_NOMEM));
        assert_true(s2 == (fitted ? LQ_OK : LQ_ERR_NOMEM));
        assert_true(s3 == (scales ? LQ_OK : LQ_ERR_NOMEM));
        failed += !made + !fitted + !scales;
        lq_codebook_destroy(made);
        lq_codebook_destroy(fitted);
        lq_scales_destroy(scales);
        assert_int_equal(t.live, before);
    }
    assert_int_equal(failed, 2 + 3 + 3);      /* as many allocations as each makes */
    lq_ctx_destroy(small);
    assert_int_equal(t.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_named),          cmocka_unit_test(test_nearest_rules),
        cmocka_unit_test(test_nearest_random), cmocka_unit_test(test_normal_quantiles),
        cmocka_unit_test(test_fit_exact),      cmocka_unit_test(test_fit_normal),
        cmocka_unit_test(test_fit_repeats),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
