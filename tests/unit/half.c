/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/half.c - small floats: every code, every boundary between neighbours
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/base/half.h"

/* A type under test: codes of 'bits' bits whose upper half are the negative ones. */
typedef struct kind {
    float    (*decode)(uint32_t code);
    uint32_t (*encode)(float f);
    uint32_t sign, largest;   /* largest finite positive code */
} kind;

static float f16_decode(uint32_t c) { return lqi_f16_to_f32((uint16_t)c); }
static uint32_t f16_encode(float f) { return lqi_f32_to_f16(f); }
static float bf16_decode(uint32_t c) { return lqi_bf16_to_f32((uint16_t)c); }
static uint32_t bf16_encode(float f) { return lqi_f32_to_bf16(f); }
static float e4m3_decode(uint32_t c) { return lqi_e4m3_to_f32((uint8_t)c); }
static uint32_t e4m3_encode(float f) { return lqi_f32_to_e4m3(f); }
static float e5m2_decode(uint32_t c) { return lqi_e5m2_to_f32((uint8_t)c); }
static uint32_t e5m2_encode(float f) { return lqi_f32_to_e5m2(f); }

static const kind f16 = { f16_decode, f16_encode, 0x8000, 0x7bff };
static const kind bf16 = { bf16_decode, bf16_encode, 0x8000, 0x7f7f };
static const kind e4m3 = { e4m3_decode, e4m3_encode, 0x80, 0x7e };
static const kind e5m2 = { e5m2_decode, e5m2_encode, 0x80, 0x7b };

/* Codes ascend in value, come back, and halves go to the even code. */
static void check_kind(const kind *k)
{
    for (uint32_t c = 0; c <= k->largest; c++) {
        float v = k->decode(c);
        assert_int_equal(k->encode(v), c);
        assert_int_equal(k->encode(-v), c | k->sign);
        assert_int_equal(lqi_float_bits(k->decode(c | k->sign)), lqi_float_bits(-v));
        if (c == k->largest)
            break;
        float next = k->decode(c + 1);
        float middle = (float)(((double)v + next) / 2);      /* exact: few bits */
        assert_true(v < middle && middle < next);
        assert_int_equal(k->encode(middle), c + (c & 1));
        assert_int_equal(k->encode(nextafterf(middle, 0)), c);
        assert_int_equal(k->encode(nextafterf(middle, INFINITY)), c + 1);
        assert_int_equal(k->encode(-middle), (c + (c & 1)) | k->sign);
    }
}

/* Every code that is no number stays none. */
static void check_nan(const kind *k, uint32_t first_nan)
{
    for (uint32_t c = first_nan; c < k->sign; c++) {
        float p = k->decode(c), n = k->decode(c | k->sign);
        assert_true(p != p && n != n);
        uint32_t back = k->encode(p);
        assert_true(back >= first_nan && back < k->sign);
        assert_true(k->encode(n) >= (first_nan | k->sign));
    }
}

static void test_f16(void **state)
{
    (void)state;
    check_kind(&f16);
    check_nan(&f16, 0x7c01);
    assert_int_equal(f16_encode(65519.996f), 0x7bff);
    assert_int_equal(f16_encode(65520), 0x7c00);
    assert_int_equal(f16_encode(-INFINITY), 0xfc00);
    assert_true(f16_decode(0x7c00) == INFINITY);
    assert_int_equal(f16_encode(0x1p-25f), 0);
    assert_int_equal(f16_encode(nextafterf(0x1p-25f, 1)), 1);
}

/* bf16's midpoints next to subnormals of f32 are exact in f32 as well. */
static void test_bf16(void **state)
{
    (void)state;
    check_kind(&bf16);
    check_nan(&bf16, 0x7f81);
    assert_int_equal(bf16_encode(INFINITY), 0x7f80);
    assert_int_equal(bf16_encode(FLT_MAX), 0x7f80);
    assert_int_equal(bf16_encode(lqi_bits_float(0x7f7f7fff)), 0x7f7f);
}

static void test_e4m3(void **state)
{
    (void)state;
    check_kind(&e4m3);
    check_nan(&e4m3, 0x7f);
    assert_true(e4m3_decode(0x7e) == 448 && e4m3_decode(1) == 0x1p-9f);
    assert_int_equal(e4m3_encode(464), 0x7e);
    assert_int_equal(e4m3_encode(1e30f), 0x7e);
    assert_int_equal(e4m3_encode(-INFINITY), 0xfe);
    assert_int_equal(e4m3_encode(0x1p-10f), 0);
    assert_int_equal(e4m3_encode(0x1p-149f), 0);
}

static void test_e5m2(void **state)
{
    (void)state;
    check_kind(&e5m2);
    check_nan(&e5m2, 0x7d);
    assert_true(e5m2_decode(0x7b) == 57344 && e5m2_decode(1) == 0x1p-16f);
    assert_true(e5m2_decode(0xfc) == -INFINITY);
    assert_int_equal(e5m2_encode(INFINITY), 0x7b);
    assert_int_equal(e5m2_encode(-FLT_MAX), 0xfb);
}

/* x between 2^(c - 127) and twice that is nearer to the upper one if x^2 > 2^(2c - 253);
 * squares of f32 are exact in double. */
static void check_e8m0(uint32_t c, float x)
{
    double lower = ldexp(1, (int)c - 127);
    uint32_t want = (double)x * x > 2 * lower * lower ? c + 1 : c;

    assert_int_equal(lqi_f32_to_e8m0(x), want < 254 ? want : 254);
}

static void test_e8m0(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 255; c++) {
        float v = lqi_e8m0_to_f32((uint8_t)c);
        assert_true(v == ldexp(1, (int)c - 127));
        assert_int_equal(lqi_f32_to_e8m0(v), c);
        float root = (float)(v * 1.4142135623730951);
        float x = root;
        for (int i = 0; i < 3; i++, x = nextafterf(x, 0))
            check_e8m0(c, x);
        for (x = root; x < 1.4142140 * v && lqi_finite(x); x = nextafterf(x, INFINITY))
            check_e8m0(c, x);
        if (c < 254)
            check_e8m0(c, v * 1.99f);
    }
    assert_int_equal(lqi_f32_to_e8m0(0), 0);
    assert_int_equal(lqi_f32_to_e8m0(0x1p-149f), 0);
    assert_int_equal(lqi_f32_to_e8m0(FLT_MAX), 254);
    assert_int_equal(lqi_f32_to_e8m0(INFINITY), 254);
    assert_int_equal(lqi_f32_to_e8m0(NAN), 255);
    assert_int_equal(lqi_f32_to_e8m0(-1), 0);
    float nan = lqi_e8m0_to_f32(255);
    assert_true(nan != nan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),  cmocka_unit_test(test_bf16), cmocka_unit_test(test_e4m3),
        cmocka_unit_test(test_e5m2), cmocka_unit_test(test_e8m0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
