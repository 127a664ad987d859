/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/layouts.c - planes of GPTQ, AWQ and compressed-tensors as their programs pack
 */
#include "common.h"
#include "lib/format/format.h"
#include "tests/golden/vectors.h"

static vec_set set;

static int set_up(void **state)
{
    (void)state;
    vec_open(&set, "gptq");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vec_close(&set);
    return 0;
}

static void *bytes(uint64_t n, int fill)
{
    void *p = malloc((size_t)n + 1);

    assert_non_null(p);
    return memset(p, fill, (size_t)n + 1);
}

/* Our planes for a case, and the plain numbers they must hold. */
typedef struct job {
    const vec_array *a;
    size_t           rows, cols, groups;
    unsigned         bits;
    lq_spec          spec;
    lq_rows          planes;
} job;

static void job_init(job *j, const vec_array *a)
{
    static const lq_rows rows = LQ_ROWS_INIT;

    j->a = a;
    j->rows = vec_number(a, "rows");
    j->cols = vec_number(a, "cols");
    j->bits = (unsigned)vec_number(a, "bits");
    j->spec = test_spec("int4:g32:zp");
    j->spec.format = LQ_FORMAT_INT2 + (lq_format)j->bits - 2;
    j->spec.group_cols = (uint32_t)vec_number(a, "group");
    j->groups = j->cols / j->spec.group_cols;
    j->planes = rows;
    j->planes.spec = &j->spec;
    j->planes.rows = j->rows;
    j->planes.cols = j->cols;
    j->planes.plane[LQ_PLANE_CODES] = bytes(j->rows * j->cols * j->bits / 8, 0x5a);
    j->planes.plane[LQ_PLANE_SCALES] = bytes(j->rows * j->groups * 2, 0x5a);
    j->planes.plane[LQ_PLANE_ZEROS] = bytes(j->rows * j->groups, 0x5a);
}

static void job_free(job *j)
{
    for (int p = 0; p < LQ_PLANES; p++)
        free(j->planes.plane[p]);
}

/* 'codes' and 'zeros' are u8 numbers, or signed ones: then 'add' makes them ours. */
static void check_numbers(const job *j, const char *codes, const char *zeros, int add)
{
    const int8_t *c = vec_data(&set, j->a->name, codes, j->rows * j->cols);
    const int8_t *z = vec_data(&set, j->a->name, zeros, j->rows * j->groups);
    const uint8_t *ours = j->planes.plane[LQ_PLANE_ZEROS];
    uint32_t row[1024], mask = (1u << j->bits) - 1, flip = j->bits == 8 ? 128 : 0;

    for (size_t r = 0; r < j->rows; r++) {
        const uint8_t *p = (const uint8_t *)j->planes.plane[LQ_PLANE_CODES] +
                           r * (j->cols * j->bits / 8);
        lqi_codes_read(p, j->bits, LQI_LOW_FIRST, 0, j->cols, row);
        for (size_t i = 0; i < j->cols; i++)
            assert_int_equal(row[i] ^ flip, (uint32_t)(c[r * j->cols + i] + add) & mask);
        for (size_t g = 0; g < j->groups; g++)
            assert_int_equal(ours[r * j->groups + g] ^ flip,
                             (uint32_t)(z[r * j->groups + g] + add) & mask);
    }
}

/* A copy that may be written, exactly as long as it has to be. */
static void *copy(const job *j, const char *array, uint64_t n)
{
    const vec_array *a = vec_find(&set, j->a->name, array);
    void *p = bytes(n, 0);

    assert_non_null(a);
    size_t size = !strcmp(a->dtype, "i32") ? 4 : !strcmp(a->dtype, "f16") ? 2 : 1;
    assert_int_equal(a->count * size, n);
    return memcpy(p, a->data, n);
}

static void same(const job *j, const char *array, const void *ours, uint64_t n)
{
    void *p = copy(j, array, n);

    assert_memory_equal(ours, p, n);
    free(p);
}

/* ------------------------------------------------------------------- planes */

static void planes_case(job *j)
{
    lq_gptq in = LQ_GPTQ_INIT, out;

    in.version = LQ_GPTQ_PLANES;
    assert_int_equal(lq_gptq_bytes(&j->spec, j->rows, j->cols, &in), LQ_OK);
    out = in;
    in.qweight = copy(j, "qweight", in.qweight_bytes);
    in.qzeros = copy(j, "qzeros", in.qzeros_bytes);
    in.scales = bytes(in.scales_bytes, 1);
    assert_int_equal(lq_gptq_import(&in, &j->planes), LQ_OK);
    check_numbers(j, "codes", "zeros", 0);
    out.qweight = bytes(in.qweight_bytes, 0xee);
    out.qzeros = bytes(in.qzeros_bytes, 0xee);
    out.scales = bytes(in.scales_bytes, 0xee);
    assert_int_equal(lq_gptq_export(&j->planes, &out), LQ_OK);
    same(j, "qweight", out.qweight, out.qweight_bytes);
    same(j, "qzeros", out.qzeros, out.qzeros_bytes);
    assert_memory_equal(out.scales, in.scales, in.scales_bytes);
    void *all[] = { in.qweight, in.qzeros, in.scales, out.qweight, out.qzeros, out.scales };
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
}

/* ---------------------------------------------------------------------- AWQ */

static void awq_version(job *j, int32_t version, const char *const names[3])
{
    lq_awq in = LQ_AWQ_INIT, out;

    in.version = version;
    assert_int_equal(lq_awq_bytes(&j->spec, j->rows, j->cols, &in), LQ_OK);
    out = in;
    in.qweight = copy(j, names[0], in.qweight_bytes);
    in.qzeros = copy(j, names[1], in.qzeros_bytes);
    in.scales = copy(j, names[2], in.scales_bytes);
    assert_int_equal(lq_awq_import(&in, &j->planes), LQ_OK);
    check_numbers(j, "codes", "zeros", 0);
    same(j, "scales_out_groups", j->planes.plane[LQ_PLANE_SCALES], j->rows * j->groups * 2);
    out.qweight = bytes(in.qweight_bytes, 0xee);
    out.qzeros = bytes(in.qzeros_bytes, 0xee);
    out.scales = bytes(in.scales_bytes, 0xee);
    assert_int_equal(lq_awq_export(&j->planes, &out), LQ_OK);
    assert_memory_equal(out.qweight, in.qweight, in.qweight_bytes);
    assert_memory_equal(out.qzeros, in.qzeros, in.qzeros_bytes);
    assert_memory_equal(out.scales, in.scales, in.scales_bytes);
    void *all[] = { in.qweight, in.qzeros, in.scales, out.qweight, out.qzeros, out.scales };
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
}

static void awq_case(job *j)
{
    static const char *const names[][3] = {
        { "gemm_qweight", "gemm_qzeros", "gemm_scales" },
        { "gemv_qweight", "gemv_qzeros", "gemv_scales" },
        { "gemv_fast_qweight", "gemv_fast_qzeros", "gemv_fast_scales" },
        { "llmawq_qweight", "llmawq_scaled_zeros", "llmawq_scales" },
    };

    awq_version(j, LQ_AWQ_GEMM, names[0]);
    awq_version(j, LQ_AWQ_GEMV, names[1]);
    awq_version(j, LQ_AWQ_FAST, names[2]);
    awq_version(j, LQ_AWQ_FAST, names[3]);
}

/* ------------------------------------------------------- compressed-tensors */

static void compressed_case(job *j)
{
    lq_compressed in = LQ_COMPRESSED_INIT, out;

    in.form = LQ_COMPRESSED_DENSE;
    assert_int_equal(lq_compressed_bytes(&j->spec, j->rows, j->cols, &in), LQ_OK);
    assert_int_equal(lq_compressed_detect(j->bits, j->cols, in.packed_bytes / j->rows / 4),
                     LQ_COMPRESSED_DENSE);
    out = in;
    in.packed = copy(j, "weight_packed", in.packed_bytes);
    in.zero_point = copy(j, "weight_zero_point", in.zero_point_bytes);
    assert_int_equal(lq_compressed_import(&in, &j->planes), LQ_OK);
    check_numbers(j, "q", "zp", 1 << (j->bits - 1));
    out.packed = bytes(in.packed_bytes, 0xee);
    out.zero_point = bytes(in.zero_point_bytes, 0xee);
    assert_int_equal(lq_compressed_export(&j->planes, &out), LQ_OK);
    assert_memory_equal(out.packed, in.packed, in.packed_bytes);
    assert_memory_equal(out.zero_point, in.zero_point, in.zero_point_bytes);
    void *all[] = { in.packed, in.zero_point, out.packed, out.zero_point };
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
}

static void each(const char *kind, void (*run)(job *), size_t want)
{
    size_t cases = 0;

    for (size_t i = 0; i < set.count; i++) {
        if (!vec_case_begins(&set, i, kind))
            continue;
        job j;
        job_init(&j, &set.arrays[i]);
        run(&j);
        job_free(&j);
        cases++;
    }
    assert_int_equal(cases, want);
}

static void test_planes(void **state)
{
    (void)state;
    each("gptq_planar_pack", planes_case, 8);
}

static void test_awq(void **state)
{
    (void)state;
    each("awq_pack", awq_case, 2);
}

static void test_compressed(void **state)
{
    (void)state;
    each("ct_pack", compressed_case, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_awq),
        cmocka_unit_test(test_compressed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
