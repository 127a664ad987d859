/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/mx.c - OCP MX and NVFP4 as torchao and compressed-tensors, HQQ's solver
 */
#include <stdio.h>

#include "common.h"
#include "tests/golden/vectors.h"

#define ROWS 12
#define COLS 512

static vec_set set;
static lq_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    ctx = test_ctx(0, 1);
    vec_open(&set, "mx");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vec_close(&set);
    lq_ctx_destroy(ctx);
    return 0;
}

static lq_tensor *encode(const char *text, const float *x, uint64_t rows, uint64_t cols)
{
    lq_spec spec = test_spec(text);
    lq_shape shape = { 1, rows, cols };

    return test_encode(ctx, &spec, shape, x, NULL);
}

/* Element 'i' of a row-major matrix of codes of 'bits' bits, each row a stream. */
static unsigned code_at(const uint8_t *codes, unsigned bits, size_t i)
{
    unsigned v = 0;

    for (unsigned b = 0; b < bits; b++)
        v |= (unsigned)(codes[(i * bits + b) / 8] >> (i * bits + b) % 8 & 1) << b;
    return v;
}

static void compare(const char *name, const char *mode, unsigned bits)
{
    char text[64], array[32];
    const float *x = vec_data(&set, "pub_mx", "x", ROWS * COLS);
    const vec_array *codes;

    snprintf(text, sizeof text, "%s:%s", name + 4, mode);
    lq_tensor *t = encode(text, x, ROWS, COLS);
    snprintf(array, sizeof array, "scale_%s", mode);
    assert_memory_equal(lq_tensor_plane(t, LQ_PLANE_SCALES, NULL),
                        vec_data(&set, name, array, ROWS * COLS / 32), ROWS * COLS / 32);
    snprintf(array, sizeof array, "codes_%s", mode);
    codes = vec_find(&set, name, array);
    if (codes) {
        const uint8_t *ours = lq_tensor_plane(t, LQ_PLANE_CODES, NULL), *want = codes->data;
        for (size_t i = 0; i < ROWS * COLS; i++) {
            unsigned theirs = bits == 4 ? code_at(want, 4, i) : want[i];
            if (code_at(ours, bits, i) != theirs)
                fail_msg("%s: code %zu is %u, not %u", text, i, code_at(ours, bits, i), theirs);
        }
    }
    lq_tensor_destroy(t);
}

static void test_mx(void **state)
{
    static const char *const modes[] = { "floor", "rceil", "ceil", "even" };
    static const struct { const char *name; unsigned bits; } cases[] = {
        { "pub_mxfp8_e4m3", 8 }, { "pub_mxfp8_e5m2", 8 }, { "pub_mxfp6_e2m3", 6 },
        { "pub_mxfp6_e3m2", 6 }, { "pub_mxfp4", 4 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t m = 0; m < COUNT(modes); m++)
            compare(cases[i].name, modes[m], cases[i].bits);
    compare("pub_mxint8", "floor", 8);
}

/* The signs of zeros are not defined by the format: values are compared. */
static void nvfp4_case(const char *text, const char *global, const char *scale, const char *codes)
{
    static const float value[8] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 };
    const float *x = vec_data(&set, "pub_nvfp4", "w", ROWS * COLS);
    const uint8_t *want = vec_data(&set, "pub_nvfp4", codes, ROWS * COLS / 2);
    static float y[ROWS * COLS];
    lq_tensor *t = encode(text, x, ROWS, COLS);
    const uint8_t *ours = lq_tensor_plane(t, LQ_PLANE_CODES, NULL);
    size_t signs = 0;

    assert_memory_equal(lq_tensor_plane(t, LQ_PLANE_OFFSET, NULL),
                        vec_data(&set, "pub_nvfp4", global, 1), 4);
    assert_memory_equal(lq_tensor_plane(t, LQ_PLANE_SCALES, NULL),
                        vec_data(&set, "pub_nvfp4", scale, ROWS * COLS / 16), ROWS * COLS / 16);
    assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
    for (size_t i = 0; i < ROWS * COLS; i++) {
        unsigned a = code_at(ours, 4, i), b = code_at(want, 4, i);
        assert_true(a == b || ((a | b) == 8));
        signs += a != b;
        assert_true((y[i] == 0) == (value[a & 7] == 0));
    }
    print_message("%s: %zu zeros of another sign\n", text, signs);
    lq_tensor_destroy(t);
}

static void test_nvfp4(void **state)
{
    (void)state;
    nvfp4_case("nvfp4", "ao_per_tensor_scale", "ao_block_scale", "ao_codes");
    nvfp4_case("nvfp4:gd", "ct_weight_global_scale", "ct_weight_scale", "ct_weight_packed");
}

/* Scales bit for bit, zero points to the last bits of their sums, codes but for numbers that
 * such a bit puts on the other side of a half. */
static void hqq_case(const vec_array *a)
{
    size_t rows = vec_number(a, "rows"), cols = vec_number(a, "cols"), n = rows * cols;
    unsigned bits = (unsigned)vec_number(a, "bits");
    size_t group = vec_number(a, "group"), differ = 0;
    const float *x = vec_data(&set, "pub_32x256_b4_g64", "W", n);
    const float *by = vec_data(&set, a->name, "inv_scale", n / group);
    const float *zero = vec_data(&set, a->name, "zero", n / group);
    const uint8_t *want = vec_data(&set, a->name, "codes", n);
    char text[64];

    snprintf(text, sizeof text, "int%u:g%zu:fz:f32", bits, group);
    lq_tensor *t = encode(text, x, rows, cols);
    const float *scales = lq_tensor_plane(t, LQ_PLANE_SCALES, NULL);
    const float *zeros = lq_tensor_plane(t, LQ_PLANE_ZEROS, NULL);
    const uint8_t *codes = lq_tensor_plane(t, LQ_PLANE_CODES, NULL);
    float *y = malloc(n * sizeof *y), worst = 0;
    assert_non_null(y);
    assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
    for (size_t g = 0; g < n / group; g++) {
        float d = zeros[g] - zero[g];
        assert_true(scales[g] == 1 / by[g]);
        worst = d > worst ? d : -d > worst ? -d : worst;
    }
    assert_true(worst < 4e-5f);
    for (size_t i = 0; i < n; i++) {
        unsigned c = code_at(codes, bits, i) ^ (bits == 8 ? 128 : 0);
        differ += c != want[i];
        assert_true(c + 1 >= want[i] && want[i] + 1u >= c);
        assert_true(y[i] == ((float)c - zeros[i / group]) * scales[i / group]);
    }
    print_message("%s: zero points within %g, %zu of %zu codes differ\n", text, (double)worst,
                  differ, n);
    assert_true(differ <= 2);
    free(y);
    lq_tensor_destroy(t);
}

static void test_hqq(void **state)
{
    size_t cases = 0;

    (void)state;
    for (size_t i = 0; i < set.count; i++) {
        if (!vec_case_begins(&set, i, "hqq"))
            continue;
        hqq_case(&set.arrays[i]);
        cases++;
    }
    assert_int_equal(cases, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mx),
        cmocka_unit_test(test_nvfp4),
        cmocka_unit_test(test_hqq),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
