/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/w8a8.c - products of 8 bits by 8 bits: LLM.int8() of bitsandbytes, int8 and
 * fp8 with scales per token of compressed-tensors
 */
#include <math.h>

#include "common.h"
#include "lib/base/half.h"
#include "vectors.h"

static float y[6 * 144];

/* Rows of codes with one scale each. */
static lq_prepared *prepare(const lq_ctx *ctx, const lq_spec *spec, uint64_t rows, uint64_t cols,
                            const void *codes, const float *scales)
{
    lq_rows r = LQ_ROWS_INIT;
    lq_prepared *p = NULL;

    r.spec = spec;
    r.rows = rows;
    r.cols = cols;
    memcpy(&r.plane[LQ_PLANE_CODES], &codes, sizeof codes);   /* only read */
    memcpy(&r.plane[LQ_PLANE_SCALES], &scales, sizeof scales);
    assert_int_equal(lq_prepare(ctx, &r, NULL, &p, NULL), LQ_OK);
    return p;
}

static void multiply(const lq_ctx *ctx, const lq_prepared *p, uint64_t n, uint64_t rows,
                     uint64_t cols, lq_dtype type, const void *x, float threshold)
{
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;

    a.n = n;
    a.x = x;
    a.x_type = type;
    a.ldx = cols;
    a.y = y;
    a.ldy = rows;
    a.mode = LQ_MODE_W8A8;
    a.threshold = threshold;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
}

static void llm_int8(void **state)
{
    vec_set set;
    lq_ctx *ctx = test_ctx(0, 1);
    lq_spec spec = test_spec("llm_int8:ch");

    (void)state;
    vec_open(&set, "bitsandbytes");
    lq_prepared *p = prepare(ctx, &spec, 16, 96, vec_data(&set, "int8_thr0", "CB", 16 * 96),
                             vec_data(&set, "int8_thr0", "SCB", 16));
    const void *x = vec_data(&set, "int8_thr0", "A_fp16", 7 * 96);

    multiply(ctx, p, 7, 16, 96, LQ_F16, x, 0);
    assert_memory_equal(y, vec_data(&set, "int8_thr0", "out_f32_exact_const", 7 * 16),
                        7 * 16 * sizeof *y);
    multiply(ctx, p, 7, 16, 96, LQ_F16, x, 6);
    const float *mixed = vec_data(&set, "int8_thr6", "out_mixed_f32_reference", 7 * 16);
    for (int i = 0; i < 7 * 16; i++)
        assert_true(fabsf(y[i] - mixed[i]) <= 1e-6f * (fabsf(mixed[i]) + 1));
    lq_prepared_destroy(p);
    lq_ctx_destroy(ctx);
    vec_close(&set);
}

/* The exact product of codes, times both scales. */
static void per_token(const char *text, const char *const array[4], float (*value)(uint8_t))
{
    vec_set set;
    lq_ctx *ctx = test_ctx(0, 1);
    lq_spec spec = test_spec(text);

    vec_open(&set, "fp8");
    const uint8_t *w = vec_data(&set, "144x168", array[0], 144 * 168);
    const uint8_t *x = vec_data(&set, "144x168", array[2], 6 * 168);
    const float *w_scale = vec_data(&set, "144x168", array[1], 144);
    const float *x_scale = vec_data(&set, "144x168", array[3], 6);
    lq_prepared *p = prepare(ctx, &spec, 144, 168, w, w_scale);

    multiply(ctx, p, 6, 144, 168, LQ_F32, vec_data(&set, "144x168", "X", 6 * 168), 0);
    for (int i = 0; i < 6; i++)
        for (int r = 0; r < 144; r++) {
            double sum = 0, most = 0, scale = (double)x_scale[i] * (double)w_scale[r];
            for (int c = 0; c < 168; c++) {
                double one = (double)value(x[i * 168 + c]) * (double)value(w[r * 168 + c]);
                sum += one;
                most += fabs(one);
            }
            if (spec.format == LQ_FORMAT_INT8)
                assert_true(y[i * 144 + r] == (float)(sum * scale));
            else   /* the weight is rounded once, then sums in f32 */
                assert_true(fabs((double)y[i * 144 + r] - sum * scale) <=
                            (168 + 18) * 0x1p-24 * most * scale);
        }
    lq_prepared_destroy(p);
    lq_ctx_destroy(ctx);
    vec_close(&set);
}

static float of_int8(uint8_t code)
{
    return (int8_t)code;
}

static void int8_per_token(void **state)
{
    static const char *const arrays[] = { "i8_w_ct", "i8_w_scale_ct", "i8_x_ct",
                                          "i8_x_scale_ct" };
    (void)state;
    per_token("int8:ch", arrays, of_int8);
}

static void fp8_per_token(void **state)
{
    static const char *const arrays[] = { "q_channel", "scale_channel", "qx_token",
                                          "scale_x_token" };
    (void)state;
    per_token("fp8_e4m3:ch", arrays, lqi_e4m3_to_f32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llm_int8), cmocka_unit_test(int8_per_token),
        cmocka_unit_test(fp8_per_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
