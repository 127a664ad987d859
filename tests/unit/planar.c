/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/planar.c - packed codes, and the corners of the planar formats' rules
 */
#include "common.h"

#include "lib/base/half.h"
#include "lib/core/core.h"

/* -------------------------------------------------------------------- codes */

/* Reading bit by bit. */
static uint32_t slow_code(const uint8_t *codes, unsigned bits, unsigned order, size_t k)
{
    uint32_t v = 0;

    if (order == LQI_HIGH_FIRST)
        return codes[k / 2] >> (k % 2 ? 0 : 4) & 15;
    for (unsigned b = 0; b < bits; b++)
        v |= (uint32_t)(codes[(k * bits + b) / 8] >> (k * bits + b) % 8 & 1) << b;
    return v;
}

static void check_codes(unsigned bits, unsigned order)
{
    enum { N = 50 };
    uint64_t seed = bits;
    size_t bytes = (N * bits + 7) / 8;
    uint8_t *codes = malloc(bytes), *before = malloc(bytes);
    uint32_t in[N], out[N];

    for (size_t first = 0; first < N; first++)
        for (size_t n = 0; first + n <= N; n += 1 + n / 3) {
            for (size_t i = 0; i < bytes; i++)
                before[i] = codes[i] = (uint8_t)test_next(&seed);
            for (size_t i = 0; i < n; i++)
                in[i] = (uint32_t)test_next(&seed) & ((1u << bits) - 1);
            lqi_codes_write(codes, bits, order, first, n, in);
            lqi_codes_read(codes, bits, order, first, n, out);
            assert_memory_equal(in, out, n * sizeof *in);
            for (size_t k = 0; k < N; k++)
                assert_int_equal(slow_code(codes, bits, order, k),
                                 k >= first && k < first + n
                                     ? in[k - first] : slow_code(before, bits, order, k));
        }
    free(codes);
    free(before);
}

static void test_codes(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 8; bits++)
        check_codes(bits, LQI_LOW_FIRST);
    check_codes(4, LQI_HIGH_FIRST);
}

/* NF4's 0.0 is code 7; bits before the last code and after whole codes stay. */
static void test_pad(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    const float values[4] = { -1, 0.5f, 0, 1 };      /* 0.0 is code 2 */
    uint8_t bytes[2] = { 0xa0, 0xff }, three[1] = { 0 };
    lq_spec spec = LQ_SPEC_INIT;
    lq_codebook *book;

    (void)state;
    spec.format = LQ_FORMAT_NF4;
    lqi_codes_pad(lqi_format_by_id(spec.format), &spec, bytes, 1);
    assert_int_equal(bytes[0], 0xa7);
    lqi_codes_pad(lqi_format_by_id(spec.format), &spec, bytes, 2);
    assert_int_equal(bytes[1], 0xff);
    spec.format = LQ_FORMAT_CODEBOOK;
    assert_int_equal(lq_codebook_create(ctx, values, 4, &book, NULL), LQ_OK);
    spec.codebook = book;
    lqi_codes_pad(lqi_format_by_id(spec.format), &spec, bytes + 1, 1);
    assert_int_equal(bytes[1], 0xab);
    lq_codebook_destroy(book);
    assert_int_equal(lq_codebook_normal(ctx, 5, &book, NULL), LQ_OK);   /* 3 bits, 0.0: 2 */
    spec.codebook = book;
    lqi_codes_pad(lqi_format_by_id(spec.format), &spec, three, 1);
    assert_int_equal(three[0], 2 << 3);
    lq_codebook_destroy(book);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------------- groups */

/* Fit (scale stored as 'type') and round n values as one group; decode to y. */
typedef struct result {
    lqi_group group;
    uint32_t  codes[64];
    float     y[64];
} result;

static result one_group(lq_format id, lq_dtype type, int zeros, const lq_codebook *book,
                        const float *x, size_t n, int partial)
{
    const lqi_format *f = lqi_format_by_id(id);
    lq_spec spec = LQ_SPEC_INIT;
    result r = { { 0, 0 }, { 0 }, { 0 } };
    float lo = INFINITY, hi = -INFINITY;

    assert_non_null(f);
    spec.format = id;
    spec.scale_type = type;
    spec.zeros = zeros;
    spec.codebook = book;
    for (size_t i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    f->fit_range(&spec, lo, hi, &r.group);
    r.group.scale = lqi_scale_round(type, r.group.scale);
    if (zeros)
        f->fit_zero(&spec, lo, hi, &r.group);
    lqi_fit in = { .spec = &spec, .x = x, .n = n, .partial = partial };
    f->round(&in, &r.group, r.codes);
    f->value(&spec, &r.group, r.codes, n, r.y);
    for (size_t i = 0; i < n; i++)
        assert_true(r.codes[i] < 1u << lqi_spec_bits(f, &spec));
    return r;
}

static void test_subnormal(void **state)
{
    const float x[4] = { 0x1p-140f, -0x1p-140f, 0, 0x1p-141f };

    (void)state;
    for (int partial = 0; partial < 2; partial++) {
        result nf4 = one_group(LQ_FORMAT_NF4, LQ_F32, 0, NULL, x, 4, partial);
        const uint32_t want[4] = { 15, 0, 7, 12 };
        assert_memory_equal(nf4.codes, want, sizeof want);
        assert_true(nf4.group.scale == 0x1p-140f);
        result fp4 = one_group(LQ_FORMAT_FP4, LQ_F32, 0, NULL, x, 4, partial);
        const uint32_t want4[4] = { 3, 11, 0, 5 };
        assert_memory_equal(fp4.codes, want4, sizeof want4);
    }
    result llm = one_group(LQ_FORMAT_LLM_INT8, LQ_F32, 0, NULL, x, 4, 0);
    const uint32_t want8[4] = { 127, 129, 0, 64 };
    assert_memory_equal(llm.codes, want8, sizeof want8);
    /* huge: the reciprocal is subnormal */
    const float big[4] = { 0x1p127f, -0x1p127f, 0x1p126f, 0 };
    result r = one_group(LQ_FORMAT_NF4, LQ_F32, 0, NULL, big, 4, 0);
    const uint32_t want[4] = { 15, 0, 12, 7 };
    assert_memory_equal(r.codes, want, sizeof want);
}

/* Full groups multiply by the reciprocal, short ones divide: they can differ. */
static void test_partial(void **state)
{
    uint64_t seed = 1;
    int differ = 0;
    lq_codebook *book;
    float values[256];
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);

    (void)state;
    for (int i = 0; i < 256; i++)        /* midpoints at odd multiples of 1/256 */
        values[i] = (float)(i - 128) / 128;
    assert_int_equal(lq_codebook_create(ctx, values, 256, &book, NULL), LQ_OK);
    for (int k = 0; k < 4000; k++) {
        float x[2];
        x[0] = (float)(test_next(&seed) % 1000 + 1) / 7;
        x[1] = x[0] * ((float)(2 * (test_next(&seed) % 60) + 1) / 256);
        result full = one_group(LQ_FORMAT_CODEBOOK, LQ_F32, 0, book, x, 2, 0);
        result part = one_group(LQ_FORMAT_CODEBOOK, LQ_F32, 0, book, x, 2, 1);
        uint8_t want;
        float y = x[1] / x[0];
        lq_codebook_nearest(book, &y, 1, &want);
        assert_int_equal(part.codes[1], want);
        y = x[1] * (1 / x[0]);
        lq_codebook_nearest(book, &y, 1, &want);
        assert_int_equal(full.codes[1], want);
        differ += full.codes[1] != part.codes[1];
    }
    assert_true(differ > 0);
    lq_codebook_destroy(book);
    lq_ctx_destroy(ctx);
}

static void test_int4(void **state)
{
    const float x[5] = { 7.5f, -7.5f, 0.5f, 1.5f, 0 };
    const uint32_t sym[5] = { 15, 0, 8, 10, 8 };

    (void)state;
    result r = one_group(LQ_FORMAT_INT4, LQ_F32, 0, NULL, x, 5, 0);
    assert_true(r.group.scale == 1 && r.group.zero == 0);
    assert_memory_equal(r.codes, sym, sizeof sym);
    assert_true(r.y[0] == 7 && r.y[1] == -8 && r.y[2] == 0 && r.y[3] == 2 && r.y[4] == 0);

    const float shifted[4] = { 1, 16, 5.5f, 6.5f };
    const uint32_t asym[4] = { 1, 15, 5, 6 };         /* range [0, 16] over 15 */
    r = one_group(LQ_FORMAT_INT4, LQ_F32, LQ_ZEROS_INT, NULL, shifted, 4, 0);
    assert_true(r.group.scale == 16.0f / 15 && r.group.zero == 0);
    assert_memory_equal(r.codes, asym, sizeof asym);

    const float below[3] = { -3, -2, -1 };
    r = one_group(LQ_FORMAT_INT4, LQ_F16, LQ_ZEROS_INT, NULL, below, 3, 0);
    assert_true(r.group.scale == lqi_scale_round(LQ_F16, 0.2f) && r.group.zero == 15);
    assert_int_equal(r.codes[0], 0);
}

static void test_int8(void **state)
{
    const float x[4] = { 127.5f, -127.5f, 1, -1 };

    (void)state;
    result r = one_group(LQ_FORMAT_INT8, LQ_F32, 0, NULL, x, 4, 0);
    const uint32_t want[4] = { 127, 128, 1, 255 };
    assert_memory_equal(r.codes, want, sizeof want);
    assert_true(r.y[0] == 127 && r.y[1] == -128 && r.y[2] == 1 && r.y[3] == -1);

    const float y[3] = { -1, 0, 254 };
    r = one_group(LQ_FORMAT_INT8, LQ_F32, LQ_ZEROS_INT, NULL, y, 3, 0);
    assert_true(r.group.scale == 1 && r.group.zero == (1 ^ 128));
    const uint32_t stored[3] = { 0 ^ 128, 1 ^ 128, 255 ^ 128 };
    assert_memory_equal(r.codes, stored, sizeof stored);
    assert_true(r.y[0] == -1 && r.y[1] == 0 && r.y[2] == 254);
}

/* All zero: every format decodes zeros, with the scale its unit documents. */
static void test_zero_group(void **state)
{
    static const struct { lq_format id; lq_dtype type; int zeros; float scale; } want[] = {
        { LQ_FORMAT_NF4, LQ_F32, 0, 0 },
        { LQ_FORMAT_NF4, LQ_E8M0, 0, 0x1p-127f },
        { LQ_FORMAT_FP4, LQ_F16, 0, 0 },
        { LQ_FORMAT_INT4, LQ_F16, 0, 0x1p-10f },
        { LQ_FORMAT_INT4, LQ_F32, LQ_ZEROS_INT, 2.0f / 15 },
        { LQ_FORMAT_INT8, LQ_F32, 0, 0x1p-23f },
        { LQ_FORMAT_INT8, LQ_BF16, 0, 0x1p-7f },
        { LQ_FORMAT_LLM_INT8, LQ_F32, 0, 0 },
        { LQ_FORMAT_FP8_E4M3, LQ_F32, 0, 1 },
        { LQ_FORMAT_FP8_E5M2, LQ_F16, 0, 1 },
    };
    const float x[3] = { 0, -0.0f, 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(want); i++) {
        result r = one_group(want[i].id, want[i].type, want[i].zeros, NULL, x, 3, 0);
        assert_true(r.group.scale == want[i].scale);
        for (int k = 0; k < 3; k++)
            assert_true(r.y[k] == 0);
    }
}

/* Anything may come in under the policy 'propagate', and any scale may be stored. */
static void test_wild(void **state)
{
    static const lq_format ids[] = { LQ_FORMAT_NF4, LQ_FORMAT_FP4, LQ_FORMAT_CODEBOOK,
                                     LQ_FORMAT_INT4, LQ_FORMAT_INT8, LQ_FORMAT_LLM_INT8,
                                     LQ_FORMAT_FP8_E4M3, LQ_FORMAT_FP8_E5M2 };
    static const lq_dtype types[] = { LQ_F32, LQ_F16, LQ_BF16, LQ_E8M0, LQ_F8_E4M3 };
    static const float odd[] = { NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0, -0.0f,
                                 0x1p-149f, 1, -3e38f, 0x1p-126f };
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_codebook *book;
    uint64_t seed = 2;

    (void)state;
    assert_int_equal(lq_codebook_normal(ctx, 5, &book, NULL), LQ_OK);
    for (int k = 0; k < 20000; k++) {
        float x[8];
        size_t n = 1 + test_next(&seed) % 8;
        for (size_t i = 0; i < n; i++) {
            uint64_t z = test_next(&seed);
            x[i] = z & 1 ? odd[(z >> 8) % COUNT(odd)] : lqi_bits_float((uint32_t)(z >> 16));
        }
        lq_format id = ids[k % COUNT(ids)];
        int zeros = (id == LQ_FORMAT_INT4 || id == LQ_FORMAT_INT8) && k & 16;
        one_group(id, types[(unsigned)k / 32 % COUNT(types)], zeros ? LQ_ZEROS_INT : 0, book, x,
                  n, k & 8);
    }
    lq_codebook_destroy(book);
    lq_ctx_destroy(ctx);
}

/* NaN keeps being one in FP8, with its place. */
static void test_fp8_nan(void **state)
{
    const float x[3] = { 448, NAN, -448 };

    (void)state;
    result r = one_group(LQ_FORMAT_FP8_E4M3, LQ_F32, 0, NULL, x, 3, 0);
    assert_int_equal(r.codes[0], 0x7e);
    assert_true(r.y[1] != r.y[1] && r.y[0] == 448 && r.y[2] == -448);
}

/* ------------------------------------------------------------------ decoding */

/* Every planar format: 'decode' is codes_read and value, for any start and group. */
static void test_decode(void **state)
{
    uint64_t seed = 4;
    uint8_t codes[1200];
    float scale[700], zero[700], y[600], again[600];
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_codebook *book;

    (void)state;
    assert_int_equal(lq_codebook_normal(ctx, 6, &book, NULL), LQ_OK);
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)test_next(&seed);
    for (size_t i = 0; i < COUNT(scale); i++) {
        scale[i] = test_normal(&seed);
        zero[i] = (float)(test_next(&seed) % 256);
    }
    for (size_t k = 0; k < LQI_FORMATS; k++) {
        const lqi_format *f = lqi_formats[k];
        if (f->storage != LQ_PLANAR)
            continue;
        for (int round = 0; round < 300; round++) {
            lq_spec spec = LQ_SPEC_INIT;
            spec.format = f->id;
            spec.codebook = book;
            spec.zeros = f->can & LQI_CAN_ZEROS_INT && round & 1 ? LQ_ZEROS_INT : 0;
            lqi_run run = { .codes = codes, .first = test_next(&seed) % 500,
                            .n = test_next(&seed) % 600, .scale = scale,
                            .zero = spec.zeros ? zero : NULL,
                            .group = round % 3 ? 1 + test_next(&seed) % 140 : 1,
                            .table = lqi_spec_table(f, &spec),
                            .bits = lqi_spec_bits(f, &spec) };
            f->decode(&run, y);
            lqi_decode_planar(f, &spec, &run, again);
            assert_memory_equal(y, again, run.n * sizeof *y);
        }
    }
    lq_codebook_destroy(book);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),   cmocka_unit_test(test_pad),
        cmocka_unit_test(test_subnormal),
        cmocka_unit_test(test_partial), cmocka_unit_test(test_int4),
        cmocka_unit_test(test_int8),    cmocka_unit_test(test_zero_group),
        cmocka_unit_test(test_wild),    cmocka_unit_test(test_fp8_nan),
        cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
