/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/bitsandbytes.c - bytes of bitsandbytes: NF4, FP4, scales, 8-bit maps, LLM.int8()
 *
 * Everything is compared bit for bit.  The only deviation, by case:
 *
 *   *_zeros, *_zeroblocks   the scale of an all-zero short block: it stores 1e-38, we 0
 *
 * (It also divides by max(absmax, 1e-38), we by the true absmax: no case here has a block
 * below 1e-38, tests/unit/planar.c does.)
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
static lq_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    vec_open(&set, "bitsandbytes");
    return lq_ctx_create(NULL, &ctx, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    lq_ctx_destroy(ctx);
    vec_close(&set);
    return 0;
}

/* ----------------------------------------------------------------------- q4 */

/* Input of a case as f32. */
static float *widened(const vec_array *a, const char *array)
{
    const vec_array *in = vec_find(&set, a->name, array);
    assert_non_null(in);
    float *x = malloc((in->count + 1) * sizeof *x);
    assert_non_null(x);
    lq_dtype type = !strcmp(in->dtype, "f32") ? LQ_F32
                    : vec_has(a, "dtype=bf16") ? LQ_BF16 : LQ_F16;
    for (size_t i = 0; i < in->count; i++)
        x[i] = lqi_load_float(type, in->data, i);
    return x;
}

/* Scales equal, except 0 for 1e-38 in a short all-zero block; returns how often. */
static size_t compare_scales(const planar *p, const float *want)
{
    size_t differ = 0;

    for (size_t g = 0; g < p->row_groups; g++) {
        int partial = (g + 1) * p->group_cols > p->cols;
        if (partial && p->scale[g] == 0 && want[g] == 1e-38f)
            differ++;
        else
            assert_memory_equal(&p->scale[g], &want[g], sizeof *want);
    }
    return differ;
}

/* Decode the reference's bytes; compare as numbers (a zero's sign may differ). */
static void compare_values(planar *p, const vec_array *a)
{
    const vec_array *want = vec_find(&set, a->name, "dequant");
    const vec_array *half = vec_find(&set, a->name, "dequant16");
    float *y = malloc((p->cols + 1) * sizeof *y);
    int bf16 = vec_has(a, "dtype=bf16");

    assert_non_null(y);
    if (want || half) {
        const uint8_t *codes = vec_data(&set, a->name, "packed", p->row_bytes);
        memcpy(p->codes, codes, p->row_bytes);
        memcpy(p->scale, vec_data(&set, a->name, "absmax", p->row_groups),
               p->row_groups * sizeof *y);
    }
    planar_decode(p, y);
    for (size_t i = 0; want && i < p->cols; i++)
        assert_true(y[i] == ((const float *)want->data)[i]);
    for (size_t i = 0; half && i < p->cols; i++) {
        uint16_t h = bf16 ? lqi_f32_to_bf16(y[i]) : lqi_f32_to_f16(y[i]);
        uint16_t w = ((const uint16_t *)half->data)[i];
        assert_true(h == w || ((h | w) & 0x7fff) == 0);
    }
    free(y);
}

/* The library's own encoder makes the same planes. */
static void compare_tensor(const planar *p, const float *x)
{
    lq_spec spec = LQ_SPEC_INIT;
    lq_shape shape = { 1, 1, p->cols };
    uint64_t bytes;
    lq_tensor *t;

    spec.format = p->spec.format;
    spec.group_cols = (uint32_t)p->group_cols;
    spec.flags = LQ_SPEC_FLAT;
    assert_int_equal(lq_tensor_encode(ctx, &spec, &shape, LQ_F32, x, NULL, &t, NULL), LQ_OK);
    void *codes = lq_tensor_plane(t, LQ_PLANE_CODES, &bytes);
    assert_int_equal(bytes, p->row_bytes);
    assert_memory_equal(codes, p->codes, bytes);
    void *scales = lq_tensor_plane(t, LQ_PLANE_SCALES, &bytes);
    assert_int_equal(bytes, p->row_groups * sizeof(float));
    assert_memory_equal(scales, p->scale, bytes);
    lq_tensor_destroy(t);
}

static void q4_case(const vec_array *a)
{
    int nf4 = vec_has(a, "type=nf4");
    size_t n = vec_number(a, "n"), block = vec_number(a, "blocksize");
    const char *rule = nf4 ? "packed" : "packed_gpu_rule";
    float *x = widened(a, "input");
    planar p;

    planar_init(&p, nf4 ? LQ_FORMAT_NF4 : LQ_FORMAT_FP4, 1, n, 1, block);
    planar_encode(&p, x);
    /* only FP4's subnormal cases say nothing about codes */
    if (nf4 || !strstr(a->name, "_denormal"))
        assert_memory_equal(p.codes, vec_data(&set, a->name, rule, p.row_bytes), p.row_bytes);
    size_t scales = compare_scales(&p, vec_data(&set, a->name, "absmax", p.row_groups));
    int zero_tail = strstr(a->name, "_zeros") || strstr(a->name, "_zeroblocks");
    assert_int_equal(scales, zero_tail && n % block != 0);
    compare_tensor(&p, x);
    compare_values(&p, a);
    planar_free(&p);
    free(x);
}

static void test_q4(void **state)
{
    size_t cases = 0;

    (void)state;
    for (size_t i = 0; i < set.count; i++)
        if (vec_case_begins(&set, i, "q4")) {
            q4_case(&set.arrays[i]);
            cases++;
        }
    assert_int_equal(cases, 86);
}

/* ------------------------------------------------------------------- nested */

static void nested_scales(const vec_array *a, const float *plain, size_t n)
{
    const float *offset = vec_data(&set, a->name, "offset", 1);
    lq_scales_opts opts = LQ_SCALES_OPTS_INIT;
    float decoded[301];
    uint64_t count;
    lq_scales *s;

    opts.scale2_block = (uint32_t)vec_number(a, "nested_blocksize");
    opts.offset = offset;
    assert_int_equal(lq_scales_create(ctx, plain, n, &opts, &s, NULL), LQ_OK);
    const float *scale2 = vec_data(&set, a->name, "nested_absmax", 2);
    assert_memory_equal(lq_scales_codes(s, NULL),
                        vec_data(&set, a->name, "qabsmax_gpu_rule", n), n);
    assert_memory_equal(lq_scales_scale2(s, &count), scale2, 2 * sizeof(float));
    assert_int_equal(count, 2);
    lq_scales_destroy(s);

    /* decoding: bitsandbytes' own codes */
    const void *codes = vec_data(&set, a->name, "qabsmax_cpu_lut", n);
    assert_int_equal(lq_scales_from_stored(ctx, codes, scale2, n, &opts, &s, NULL), LQ_OK);
    assert_int_equal(lq_scales_decode(s, 0, n, decoded), LQ_OK);
    assert_memory_equal(decoded, vec_data(&set, a->name, "absmax_dequant", n),
                        n * sizeof(float));
    lq_scales_destroy(s);
}

/* Double quantization by the library's own encoder, given the offset. */
static void nested_tensor(const vec_array *a, const planar *p)
{
    lq_spec spec = LQ_SPEC_INIT;
    lq_shape shape = { 1, 1, p->cols };
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    const float *x = vec_data(&set, a->name, "input", p->cols);
    lq_tensor *t;

    spec.format = p->spec.format;
    spec.group_cols = (uint32_t)p->group_cols;
    spec.flags = LQ_SPEC_FLAT;
    spec.scale2_block = 256;
    opts.offset = vec_data(&set, a->name, "offset", 1);
    assert_int_equal(lq_tensor_encode(ctx, &spec, &shape, LQ_F32, x, &opts, &t, NULL), LQ_OK);
    assert_memory_equal(lq_tensor_plane(t, LQ_PLANE_CODES, NULL), p->codes, p->row_bytes);
    assert_memory_equal(lq_tensor_plane(t, LQ_PLANE_SCALES, NULL),
                        vec_data(&set, a->name, "qabsmax_gpu_rule", p->row_groups),
                        p->row_groups);
    assert_memory_equal(lq_tensor_plane(t, LQ_PLANE_SCALE2, NULL),
                        vec_data(&set, a->name, "nested_absmax", 2), 2 * sizeof(float));
    lq_tensor_destroy(t);
}

static void nested_case(const vec_array *a)
{
    int nf4 = vec_has(a, "type=nf4");
    size_t n = vec_number(a, "n"), block = vec_number(a, "blocksize");
    planar p;

    planar_init(&p, nf4 ? LQ_FORMAT_NF4 : LQ_FORMAT_FP4, 1, n, 1, block);
    planar_encode(&p, vec_data(&set, a->name, "input", n));
    if (nf4)
        assert_memory_equal(p.codes, vec_data(&set, a->name, "packed", n / 2), n / 2);
    assert_memory_equal(p.scale, vec_data(&set, a->name, "absmax_plain", p.row_groups),
                        p.row_groups * sizeof(float));
    nested_scales(a, p.scale, p.row_groups);
    nested_tensor(a, &p);
    planar_free(&p);
}

static void test_nested(void **state)
{
    size_t cases = 0;

    (void)state;
    for (size_t i = 0; i < set.count; i++)
        if (vec_case_begins(&set, i, "nested")) {
            nested_case(&set.arrays[i]);
            cases++;
        }
    assert_int_equal(cases, 4);
}

/* ------------------------------------------------------------ maps, 8 bits */

static void test_maps(void **state)
{
    (void)state;
    assert_memory_equal(lqi_dynamic8, vec_data(&set, "dynamic_map_signed", "code", 256), 1024);
    assert_memory_equal(lqi_udynamic8, vec_data(&set, "dynamic_map_unsigned", "code", 256),
                        1024);
    assert_memory_equal(lqi_format_by_id(LQ_FORMAT_NF4)->table,
                        vec_data(&set, "code_nf4", "code", 16), 64);
    assert_memory_equal(lqi_format_by_id(LQ_FORMAT_FP4)->table,
                        vec_data(&set, "code_fp4", "code", 16), 64);
}

static void q8_case(const vec_array *a)
{
    size_t n = vec_number(a, "n"), block = vec_number(a, "blocksize");
    const float *x = vec_data(&set, a->name, "input", n);
    const float *absmax = vec_data(&set, a->name, "absmax", 0);
    const uint8_t *want = vec_data(&set, a->name, "q_gpu_rule", n);
    int is_signed = vec_has(a, "map=dynamic");

    for (size_t first = 0; first < n; first += block) {
        size_t len = n - first < block ? n - first : block;
        uint8_t codes[4096];
        float scale2, r = 1 / absmax[first / block];
        if (is_signed) {           /* scales of the second level, with offset 0 */
            lqi_scale2_encode(x + first, len, 0, codes, &scale2);
            assert_true(scale2 == absmax[first / block]);
        } else {
            for (size_t i = 0; i < len; i++)
                codes[i] = lqi_dynamic_nearest(lqi_udynamic8, x[first + i] * r);
        }
        assert_memory_equal(codes, want + first, len);
    }
}

static void test_q8(void **state)
{
    size_t cases = 0;

    (void)state;
    for (size_t i = 0; i < set.count; i++)
        if (vec_case_begins(&set, i, "q8_blockwise")) {
            q8_case(&set.arrays[i]);
            cases++;
        }
    assert_int_equal(cases, 9);
}

/* ----------------------------------------------------------------- LLM.int8 */

static void test_llm_int8(void **state)
{
    const vec_array *a = vec_find(&set, "int8_thr0", "W_fp16");
    planar p;

    (void)state;
    assert_non_null(a);
    size_t rows = vec_number(a, "out_features"), cols = vec_number(a, "cols");
    float *x = widened(a, "W_fp16"), *y = malloc(rows * cols * sizeof *y);
    planar_init(&p, LQ_FORMAT_LLM_INT8, rows, cols, 1, cols);
    planar_encode(&p, x);
    planar_decode(&p, y);
    assert_memory_equal(p.codes, vec_data(&set, a->name, "CB", rows * cols), rows * cols);
    assert_memory_equal(p.scale, vec_data(&set, a->name, "SCB", rows), rows * sizeof *x);
    assert_memory_equal(y, vec_data(&set, a->name, "W_dequant", rows * cols),
                        rows * cols * sizeof *y);
    planar_free(&p);
    free(x);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_q4),       cmocka_unit_test(test_nested),
        cmocka_unit_test(test_maps),     cmocka_unit_test(test_q8),
        cmocka_unit_test(test_llm_int8),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
