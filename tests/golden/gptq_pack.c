/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/gptq_pack.c - GPTQ's arrays as GPTQModel packs them, in and out
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/format/format.h"
#include "libquant/layout.h"
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

/* A case and our planes for it. */
typedef struct job {
    const vec_array *a;
    size_t           rows, cols, bits, groups;
    lq_spec          spec;
    lq_rows          planes;
    lq_gptq          theirs;      /* freshly allocated, for export */
} job;

static void *zeroed(uint64_t n)
{
    void *p = calloc((size_t)n, 1);
    assert_non_null(p);
    return p;
}

static void job_init(job *j, const vec_array *a)
{
    lq_spec spec = LQ_SPEC_INIT;
    lq_rows rows = LQ_ROWS_INIT;
    lq_gptq gptq = LQ_GPTQ_INIT;

    j->a = a;
    j->rows = vec_number(a, "rows");
    j->cols = vec_number(a, "cols");
    j->bits = vec_number(a, "bits");
    j->spec = spec;
    j->spec.format = LQ_FORMAT_INT2 + (lq_format)j->bits - 2;
    j->spec.group_cols = (uint32_t)vec_number(a, "group");
    j->spec.scale_type = LQ_F16;
    j->spec.zeros = LQ_ZEROS_INT;
    j->spec.flags = vec_find(&set, a->name, "g_idx") ? LQ_SPEC_GIDX : 0;
    j->groups = j->cols / j->spec.group_cols;
    j->planes = rows;
    j->planes.spec = &j->spec;
    j->planes.rows = j->rows;
    j->planes.cols = j->cols;
    j->planes.plane[LQ_PLANE_CODES] = zeroed(j->rows * j->cols * j->bits / 8);
    j->planes.plane[LQ_PLANE_SCALES] = zeroed(j->rows * j->groups * 2);
    j->planes.plane[LQ_PLANE_ZEROS] = zeroed(j->rows * j->groups);
    j->planes.plane[LQ_PLANE_GIDX] = j->spec.flags ? zeroed(j->cols * 4) : NULL;
    j->theirs = gptq;
    assert_int_equal(lq_gptq_bytes(&j->spec, j->rows, j->cols, &j->theirs), LQ_OK);
    j->theirs.qweight = zeroed(j->theirs.qweight_bytes);
    j->theirs.qzeros = zeroed(j->theirs.qzeros_bytes);
    j->theirs.scales = zeroed(j->theirs.scales_bytes);
    j->theirs.g_idx = zeroed(j->theirs.g_idx_bytes);
}

static void job_free(job *j)
{
    for (int i = 0; i < LQ_PLANES; i++)
        free(j->planes.plane[i]);
    free(j->theirs.qweight);
    free(j->theirs.qzeros);
    free(j->theirs.scales);
    free(j->theirs.g_idx);
}

/* Our planes against plain codes, zero points and transposed scales of the case. */
static void check_planes(const job *j, const char *zeros_name)
{
    const uint8_t *codes = vec_data(&set, j->a->name, "codes", j->rows * j->cols);
    const uint8_t *zeros = vec_data(&set, j->a->name, zeros_name, j->rows * j->groups);
    const uint16_t *scales = vec_data(&set, j->a->name, "scales", j->rows * j->groups);
    const uint8_t *our_zeros = j->planes.plane[LQ_PLANE_ZEROS];
    uint8_t flip = j->bits == 8 ? 128 : 0;
    uint32_t row[128];

    for (size_t r = 0; r < j->rows; r++) {
        const uint8_t *ours = j->planes.plane[LQ_PLANE_CODES];
        lqi_codes_read(ours + r * j->cols * j->bits / 8, (unsigned)j->bits, LQI_LOW_FIRST, 0,
                       j->cols, row);
        for (size_t c = 0; c < j->cols; c++)
            assert_int_equal(row[c] ^ flip, codes[r * j->cols + c]);
        for (size_t g = 0; g < j->groups; g++) {
            const uint16_t *s = j->planes.plane[LQ_PLANE_SCALES];
            assert_int_equal(our_zeros[r * j->groups + g] ^ flip, zeros[r * j->groups + g]);
            assert_int_equal(s[r * j->groups + g], scales[g * j->rows + r]);
        }
    }
}

static void check_index(const job *j, const int32_t *index)
{
    const vec_array *want = vec_find(&set, j->a->name, "g_idx");

    for (size_t c = 0; c < j->cols; c++) {
        int32_t plain = (int32_t)(c / j->spec.group_cols);
        assert_int_equal(index[c], want ? ((const int32_t *)want->data)[c] : plain);
    }
}

/* Import one version of the arrays, compare, export again, compare. */
static void both_ways(job *j, int32_t version, const char *qzeros, const char *zeros)
{
    const vec_array *g_idx = vec_find(&set, j->a->name, "g_idx");
    lq_gptq in = j->theirs;
    union { const void *in; void *out; } weight, zero, scale, index;

    weight.in = vec_data(&set, j->a->name, "qweight", j->theirs.qweight_bytes / 4);
    zero.in = vec_data(&set, j->a->name, qzeros, j->theirs.qzeros_bytes / 4);
    scale.in = vec_data(&set, j->a->name, "scales", j->theirs.scales_bytes / 2);
    index.in = g_idx ? g_idx->data : NULL;
    in.version = j->theirs.version = version;
    in.qweight = weight.out;
    in.qzeros = zero.out;
    in.scales = scale.out;
    in.g_idx = index.out;
    assert_int_equal(lq_gptq_import(&in, &j->planes), LQ_OK);
    check_planes(j, zeros);
    if (j->spec.flags)
        check_index(j, j->planes.plane[LQ_PLANE_GIDX]);
    int has_zero = !strcmp(zeros, "zeros_with_zero");
    lq_status want = has_zero && version == LQ_GPTQ_V1 ? LQ_ERR_NUMERIC : LQ_OK;
    assert_int_equal(lq_gptq_export(&j->planes, &j->theirs), want);
    if (want)
        return;
    assert_memory_equal(j->theirs.qweight, in.qweight, in.qweight_bytes);
    assert_memory_equal(j->theirs.qzeros, in.qzeros, in.qzeros_bytes);
    assert_memory_equal(j->theirs.scales, in.scales, in.scales_bytes);
    check_index(j, j->theirs.g_idx);
}

static void test_pack(void **state)
{
    size_t cases = 0, words = 0;

    (void)state;
    for (size_t i = 0; i < set.count; i++) {
        if (!vec_case_begins(&set, i, "gptq_pack"))
            continue;
        job j;
        job_init(&j, &set.arrays[i]);
        both_ways(&j, LQ_GPTQ_V1, "qzeros_v1", "zeros");
        both_ways(&j, LQ_GPTQ_V2, "qzeros_v2", "zeros");
        if (vec_find(&set, j.a->name, "zeros_with_zero")) {
            both_ways(&j, LQ_GPTQ_V2, "qzeros_with_zero_v2", "zeros_with_zero");
            both_ways(&j, LQ_GPTQ_V1, "qzeros_with_zero_v1_fieldwise", "zeros_with_zero");
            if (vec_find(&set, j.a->name, "qzeros_with_zero_v1_wordwise"))
                both_ways(&j, LQ_GPTQ_V1_WORDS, "qzeros_with_zero_v1_wordwise",
                          "zeros_with_zero");
            else
                words++;
        }
        job_free(&j);
        cases++;
    }
    assert_int_equal(cases, 16);
    assert_int_equal(words, 2);      /* 3 bits have no such form */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
