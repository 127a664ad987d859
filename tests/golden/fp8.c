/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/fp8.c - 8-bit floats, their scales, and INT8 as compressed-tensors
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/half.h"
#include "tests/golden/planar.h"
#include "tests/golden/vectors.h"

static vec_set set;

static int set_up(void **state)
{
    (void)state;
    vec_open(&set, "fp8");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vec_close(&set);
    return 0;
}

static void decode_all(const char *name, float (*decode)(uint8_t))
{
    const float *want = vec_data(&set, name, "values", 256);

    for (int code = 0; code < 256; code++) {
        float v = decode((uint8_t)code);
        if (want[code] != want[code])
            assert_true(v != v);
        else
            assert_memory_equal(&v, &want[code], sizeof v);
    }
}

static float e8m0(uint8_t code)
{
    return lqi_e8m0_to_f32(code);
}

static void test_decode(void **state)
{
    (void)state;
    decode_all("e4m3fn", lqi_e4m3_to_f32);
    decode_all("e5m2", lqi_e5m2_to_f32);
    decode_all("e8m0", e8m0);
}

static void encode_all(const char *name, uint8_t (*encode)(float))
{
    const vec_array *in = vec_find(&set, name, "input");
    assert_non_null(in);
    const float *x = in->data;
    const uint8_t *want = vec_data(&set, name, "enc_saturate", in->count);

    for (size_t i = 0; i < in->count; i++) {
        uint8_t mask = x[i] == x[i] ? 0xff : 0x7f;    /* a NaN's sign says nothing */
        assert_int_equal(encode(x[i]) & mask, want[i] & mask);
    }
}

static void test_encode(void **state)
{
    (void)state;
    encode_all("e4m3fn", lqi_f32_to_e4m3);
    encode_all("e5m2", lqi_f32_to_e5m2);
}

#define MATRIX "144x168"

/* W in groups of that shape: codes and scales bit for bit. */
static void matrix_case(lq_format format, size_t group_rows, size_t group_cols,
                        const char *codes, const char *scales)
{
    const size_t rows = 144, cols = 168;
    size_t groups = (rows + group_rows - 1) / group_rows;
    groups *= (cols + group_cols - 1) / group_cols;
    float *y = malloc(rows * cols * sizeof *y);
    planar p;

    assert_non_null(y);
    planar_init(&p, format, rows, cols, group_rows, group_cols);
    planar_encode(&p, vec_data(&set, MATRIX, "W", rows * cols));
    assert_memory_equal(p.scale, vec_data(&set, MATRIX, scales, groups),
                        groups * sizeof(float));
    assert_memory_equal(p.codes, vec_data(&set, MATRIX, codes, rows * cols), rows * cols);
    planar_decode(&p, y);
    planar_free(&p);
    free(y);
}

static void test_matrix(void **state)
{
    (void)state;
    matrix_case(LQ_FORMAT_FP8_E4M3, 144, 168, "q_tensor", "scale_tensor");
    matrix_case(LQ_FORMAT_FP8_E4M3, 1, 168, "q_channel", "scale_channel");
    matrix_case(LQ_FORMAT_FP8_E4M3, 128, 128, "q_block128", "scale_inv_block128");
    matrix_case(LQ_FORMAT_INT8, 1, 168, "i8_w_ct", "i8_w_scale_ct");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_matrix),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
