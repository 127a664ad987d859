/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checkbooks.c - nearest codes of codebooks, at every level, against the bisection
 *
 * Books of all sizes and shapes, some of which bins do not fit; numbers around every
 * midpoint and every value, of every magnitude, zeros, infinities and NaN; every tail.
 */
#include <math.h>

#include "common.h"
#include "lib/core/core.h"

static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX512_VNNI,
                                   LQ_LEVEL_NEON };

static lq_ctx *ctx;
static uint64_t seed = 1;
static unsigned with_bins, without;

#define N 4096

/* 'n' numbers: neighbours of x up to two floats away, and its opposite. */
static size_t around(float x, float *out)
{
    size_t n = 0;
    float below = nextafterf(x, -INFINITY), above = nextafterf(x, INFINITY);

    out[n++] = x;
    out[n++] = -x;
    out[n++] = below;
    out[n++] = above;
    out[n++] = nextafterf(below, -INFINITY);
    out[n++] = nextafterf(above, INFINITY);
    return n;
}

static size_t numbers(const lq_codebook *book, float *x)
{
    static const float special[] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, -NAN, FLT_MAX,
                                     -FLT_MAX, 0x1p-149f, -0x1p-149f, FLT_MIN, -FLT_MIN };
    size_t n = 0;

    for (size_t i = 0; i < COUNT(special); i++)
        x[n++] = special[i];
    for (uint32_t i = 0; i < book->count; i++)
        n += around(book->sorted[i], x + n);
    for (uint32_t i = 0; i + 1 < book->count; i++)
        n += around(book->midpoints[i], x + n);
    n += around(book->bins.least, x + n);
    n += around(book->bins.most, x + n);
    for (; n < N; n++)
        x[n] = n % 2 ? test_normal(&seed) / 3 : lqi_bits_float((uint32_t)test_next(&seed));
    return n;
}

static void check(const lq_codebook *book)
{
    static float x[N];
    static uint8_t codes[N + 1];
    size_t n = numbers(book, x);

    for (size_t at = 0; at < n; at += 64) {
        size_t some = at < n - 200 ? 64 + at / 64 % 37 : n - at;   /* tails of all lengths */
        memset(codes, 0x5a, sizeof codes);
        assert_int_equal(lq_codebook_nearest(book, x + at, some, codes), LQ_OK);
        for (size_t i = 0; i < some; i++) {
            float y = x[at + i] == x[at + i] ? x[at + i] : 0;
            int want = book->code[lqi_codebook_rank(book, y)];
            if (codes[i] != want)
                fail_msg("%u values, %a: code %d, not %d", book->count, x[at + i], codes[i], want);
        }
        assert_int_equal(codes[some], 0x5a);
    }
    with_bins += book->bins.entry != NULL;
    without += book->bins.entry == NULL;
}

static void create_and_check(const float *values, size_t count)
{
    lq_codebook *book;

    assert_int_equal(lq_codebook_create(ctx, values, count, &book, NULL), LQ_OK);
    check(book);
    lq_codebook_destroy(book);
}

static void named(void)
{
    static const char *const names[] = { "nf4", "fp4", "dynamic8", "udynamic8" };
    lq_codebook *book;

    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(lq_codebook_named(ctx, names[i], &book, NULL), LQ_OK);
        assert_non_null(book->bins.entry);   /* what the speed of 8-bit optimizers rests on */
        check(book);
        lq_codebook_destroy(book);
    }
    for (size_t count = 2; count <= 256; count += count < 40 ? 1 : 27) {
        assert_int_equal(lq_codebook_normal(ctx, count, &book, NULL), LQ_OK);
        check(book);
        lq_codebook_destroy(book);
    }
}

static void odd_values(void)
{
    static const float equal[] = { 1, 1, 1 }, zeros[] = { 0.0f, -0.0f }, mirror[] = { -1, 1 },
                       ends[] = { -FLT_MAX, FLT_MAX, 0, -1 }, least[] = { 0x1p-149f, -0x1p-149f, 0 },
                       close[] = { 1, 0x1.000002p0f, 0x1.000004p0f, 0x1.000006p0f },
                       edge[] = { 0.5f, 1.5f, -0.5f, -1.5f, 0 }, wide[] = { 1e-30f, 1, 0, -1, -1e-30f };

    create_and_check(equal, COUNT(equal));
    create_and_check(zeros, COUNT(zeros));
    create_and_check(mirror, COUNT(mirror));
    create_and_check(ends, COUNT(ends));
    create_and_check(least, COUNT(least));
    create_and_check(close, COUNT(close));
    create_and_check(edge, COUNT(edge));
    create_and_check(wide, COUNT(wide));
}

static void random_values(void)
{
    float values[256];

    for (unsigned round = 0; round < 60; round++) {
        size_t count = 2 + test_next(&seed) % 255;
        for (size_t i = 0; i < count; i++) {
            float v = test_normal(&seed), any = lqi_bits_float((uint32_t)test_next(&seed));
            values[i] = round % 3 == 0 ? v : round % 3 == 1 ? rintf(v * 64) / 64
                        : lqi_finite(any) && i < 9 ? any : 1;
        }
        create_and_check(values, count);
    }
}

static void every_level(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(levels); i++) {
        if (!lq_level_available(levels[i]))
            continue;
        ctx = test_ctx(levels[i], 1);
        named();
        odd_values();
        random_values();
        lq_ctx_destroy(ctx);
    }
    assert_true(with_bins > 100 && without > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_level) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
