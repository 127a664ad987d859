/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/tensor.c - encode and decode through every path of the core
 *
 * Same bytes from whole tensors and from strips, for any number of threads, at every
 * level, from any source type; awkward shapes; policies for what is not finite.
 */
#include <math.h>

#include "common.h"

#define MAX (256 * 1024)

static float x[MAX], y[MAX], z[MAX];

static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX512_VNNI,
                                   LQ_LEVEL_NEON };

/* The largest error of numbers within +-3.5: a 4-bit step, more for coarse formats. */
static float largest_error(const char *spec)
{
    static const struct { const char *spec; float error; } coarse[] = {
        { "q1_0", 3.5f }, { "q2_0", 1.8f }, { "tq1_0", 1.8f }, { "tq2_0", 1.8f },
        { "q2_k", 1.5f }, { "q3_k", 1.3f }, { "iq1_m", 6 }, { "iq2_s", 2 }, { "iq3_xxs", 1.5f },
        { "iq3_s", 1.3f },
        { "int2:g32", 1.6f }, { "int2:g32:zp", 1.4f }, { "int2:g32:fz", 1.6f },
        { "ternary:t", 3 }, { "ternary:ch", 3 }, { "ternary:g64:f16", 3 },
        { "ternary:128x128", 3 },
    };

    for (size_t i = 0; i < COUNT(coarse); i++)
        if (!strcmp(spec, coarse[i].spec))
            return coarse[i].error;
    return 1;
}

/* ------------------------------------------------------------------ shapes */

static const lq_shape shapes[] = {
    { 1, 3, 512 }, { 2, 5, 300 }, { 1, 1, 1 }, { 1, 7, 1 }, { 1, 1, 97 }, { 1, 0, 64 },
    { 1, 4, 0 }, { 0, 4, 64 }, { 3, 130, 66 }, { 1, 257, 33 },
};

static void every_shape(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1), *many = test_ctx(0, 5);

    (void)state;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        for (size_t k = 0; k < COUNT(shapes); k++) {
            lq_spec spec = test_spec(test_specs[i]);
            lq_shape s = { shapes[k].outer, shapes[k].rows, test_cols(&spec, shapes[k].cols) };
            uint64_t n = s.outer * s.rows * s.cols;
            assert_true(n <= MAX);
            test_fill(x, (size_t)n, i * 100 + k);
            lq_tensor *a = test_encode(ctx, &spec, s, x, NULL), *b = test_encode(many, &spec, s, x, NULL);
            test_same_planes(a, b);
            assert_int_equal(lq_tensor_decode(a, LQ_F32, y), LQ_OK);
            assert_int_equal(lq_tensor_decode(b, LQ_F32, z), LQ_OK);
            assert_memory_equal(y, z, n * sizeof *y);
            assert_int_equal(lq_tensor_check(a, NULL), LQ_OK);
            for (uint64_t e = 0; e < n; e++)
                if (!(fabsf(x[e] - y[e]) < largest_error(test_specs[i])))
                    fail_msg("%s: %g became %g", test_specs[i], (double)x[e], (double)y[e]);
            lq_tensor_destroy(a);
            lq_tensor_destroy(b);
        }
    }
    lq_ctx_destroy(ctx);
    lq_ctx_destroy(many);
}

static void every_level(void **state)
{
    lq_shape s = { 2, 9, 768 };
    size_t n = 2 * 9 * 768;

    (void)state;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        lq_spec spec = test_spec(test_specs[i]);
        lq_ctx *ref = test_ctx(LQ_LEVEL_REF, 1);
        test_fill(x, n, i);
        lq_tensor *a = test_encode(ref, &spec, s, x, NULL);
        assert_int_equal(lq_tensor_decode(a, LQ_F32, y), LQ_OK);
        for (size_t l = 1; l < COUNT(levels); l++) {
            if (!lq_level_available(levels[l]))
                continue;
            lq_ctx *ctx = test_ctx(levels[l], 2);
            lq_tensor *b = test_encode(ctx, &spec, s, x, NULL);
            test_same_planes(a, b);
            assert_int_equal(lq_tensor_decode(b, LQ_F32, z), LQ_OK);
            assert_memory_equal(y, z, n * sizeof *y);
            lq_tensor_destroy(b);
            lq_ctx_destroy(ctx);
        }
        lq_tensor_destroy(a);
        lq_ctx_destroy(ref);
    }
}

/* ------------------------------------------------------------------ strips */

struct planes {
    uint8_t  *data[LQ_PLANES];
    uint64_t  at[LQ_PLANES], bytes[LQ_PLANES];
};

static lq_status collect(void *user, int plane, uint64_t offset, const void *data, size_t bytes)
{
    struct planes *p = user;

    assert_int_equal(offset, p->at[plane]);
    assert_true(offset + bytes <= p->bytes[plane]);
    memcpy(p->data[plane] + offset, data, bytes);
    p->at[plane] += bytes;
    return LQ_OK;
}

static void push(lq_encoder *e, lq_shape s, uint64_t strip, int scan)
{
    for (uint64_t o = 0; o < s.outer; o++) {
        for (uint64_t r = 0; r < s.rows; r += strip) {
            uint64_t n = s.rows - r < strip ? s.rows - r : strip;
            const float *from = x + (o * s.rows + r) * s.cols;
            lq_status status = scan ? lq_encoder_scan(e, LQ_F32, from, s.cols, n)
                                    : lq_encoder_rows(e, LQ_F32, from, s.cols, n);
            assert_int_equal(status, LQ_OK);
        }
    }
}

static void strips_equal_whole(void **state)
{
    lq_ctx *ctx = test_ctx(0, 3);
    static const uint64_t strips[] = { 1, 3, 64 };

    (void)state;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        lq_spec spec = test_spec(test_specs[i]);
        lq_shape s = { 2, 150, test_cols(&spec, 75) };
        test_fill(x, (size_t)(s.outer * s.rows * s.cols), i);
        lq_tensor *whole = test_encode(ctx, &spec, s, x, NULL);
        for (size_t k = 0; k < COUNT(strips); k++) {
            struct planes p = { { 0 }, { 0 }, { 0 } };
            lq_encoder *e = NULL;
            for (int q = 0; q < LQ_PLANES; q++) {
                assert_int_equal(lq_plane_bytes(&spec, q, &s, &p.bytes[q]), LQ_OK);
                p.data[q] = malloc(p.bytes[q] + 1);
            }
            assert_int_equal(lq_encoder_begin(ctx, &spec, &s, NULL, collect, &p, &e, NULL), LQ_OK);
            uint64_t step = strips[k] * lq_encoder_strip_rows(e);
            if (lq_encoder_passes(e) == 2)
                push(e, s, step, 1);
            push(e, s, step, 0);
            assert_int_equal(lq_encoder_finish(e, NULL), LQ_OK);
            lq_encoder_destroy(e);
            for (int q = 0; q < LQ_PLANES; q++) {
                assert_int_equal(p.at[q], p.bytes[q]);
                if (p.bytes[q])
                    assert_memory_equal(p.data[q], lq_tensor_plane(whole, q, NULL), p.bytes[q]);
                free(p.data[q]);
            }
        }
        lq_tensor_destroy(whole);
    }
    lq_ctx_destroy(ctx);
}

static void encoder_refuses(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_spec spec = test_spec("fp8_e4m3:128x128"), dq = test_spec("nf4:b64:dq");
    lq_shape s = { 1, 200, 64 };
    struct planes p = { { 0 }, { 0 }, { 0 } };
    lq_encoder *e;
    lq_error error = LQ_ERROR_INIT;

    (void)state;
    for (int q = 0; q < LQ_PLANES; q++)
        p.data[q] = malloc(p.bytes[q] = 20000);
    test_fill(x, 200 * 64, 1);
    assert_int_equal(lq_encoder_begin(ctx, &spec, &s, NULL, collect, &p, &e, NULL), LQ_OK);
    assert_int_equal(lq_encoder_strip_rows(e), 128);
    assert_int_equal(lq_encoder_rows(e, LQ_F32, x, 64, 100), LQ_ERR_SHAPE);   /* not 128 */
    assert_int_equal(lq_encoder_rows(e, LQ_F32, x, 64, 128), LQ_ERR_SHAPE);   /* sticky */
    lq_encoder_destroy(e);
    assert_int_equal(lq_encoder_begin(ctx, &dq, &s, NULL, collect, &p, &e, NULL), LQ_OK);
    assert_int_equal(lq_encoder_rows(e, LQ_F32, x, 64, 200), LQ_ERR_SHAPE);   /* no scan */
    lq_encoder_destroy(e);
    assert_int_equal(lq_encoder_begin(ctx, &spec, &s, NULL, collect, &p, &e, NULL), LQ_OK);
    assert_int_equal(lq_encoder_rows(e, LQ_F32, x, 64, 128), LQ_OK);
    assert_int_equal(lq_encoder_finish(e, &error), LQ_ERR_SHAPE);             /* 72 missing */
    assert_non_null(strstr(error.message, "72"));
    lq_encoder_destroy(e);
    assert_int_equal(lq_encoder_begin(ctx, &spec, &s, NULL, collect, &p, &e, NULL), LQ_OK);
    assert_int_equal(lq_encoder_rows(e, LQ_F32, x, 64, 256), LQ_ERR_SHAPE);   /* too many */
    lq_encoder_destroy(e);
    for (int q = 0; q < LQ_PLANES; q++)
        free(p.data[q]);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------- source types */

static void half_sources(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_spec f16 = test_spec("f16"), bf16 = test_spec("bf16");
    lq_shape s = { 1, 6, 512 };
    size_t n = 6 * 512;

    (void)state;
    test_fill(x, n, 9);
    for (int b = 0; b < 2; b++) {
        lq_tensor *h = test_encode(ctx, b ? &bf16 : &f16, s, x, NULL);
        const void *halves = lq_tensor_plane(h, LQ_PLANE_CODES, NULL);
        assert_int_equal(lq_tensor_decode(h, LQ_F32, y), LQ_OK);
        for (size_t i = 0; i < COUNT(test_specs); i++) {
            lq_spec spec = test_spec(test_specs[i]);
            lq_tensor *a = test_encode(ctx, &spec, s, y, NULL), *c = NULL;
            assert_int_equal(lq_tensor_encode(ctx, &spec, &s, b ? LQ_BF16 : LQ_F16, halves, NULL,
                                              &c, NULL), LQ_OK);
            test_same_planes(a, c);
            lq_tensor_destroy(a);
            lq_tensor_destroy(c);
        }
        /* decode to the same type gives the halves back */
        assert_int_equal(lq_tensor_decode(h, b ? LQ_BF16 : LQ_F16, z), LQ_OK);
        assert_memory_equal(z, halves, n * 2);
        lq_tensor_destroy(h);
    }
    lq_ctx_destroy(ctx);
}

/* -------------------------------------------------------------------- rows */

static void rows_with_strides(void **state)
{
    lq_ctx *ctx = test_ctx(0, 2);

    (void)state;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        lq_spec spec = test_spec(test_specs[i]);
        uint64_t cols = test_cols(&spec, 200), stride;
        lq_shape s = { 1, 6, cols };
        if (!lq_spec_rows_independent(&spec))
            continue;
        test_fill(x, (size_t)(6 * (cols + 5)), i);
        lq_rows rows = LQ_ROWS_INIT;
        rows.spec = &spec;
        rows.rows = 6;
        rows.cols = cols;
        for (int p = 0; p < LQ_PLANES; p++) {
            uint64_t bytes;
            assert_int_equal(lq_plane_bytes(&spec, p, &s, &bytes), LQ_OK);
            if (bytes)
                rows.plane[p] = calloc(1, bytes + 6 * 11);
            if (p == LQ_PLANE_CODES)
                rows.stride = bytes / 6 + 11;
        }
        stride = rows.stride;
        /* in two calls, as a growing cache would */
        assert_int_equal(lq_encode_rows(ctx, &rows, 0, 2, LQ_F32, x, cols + 5, NULL), LQ_OK);
        assert_int_equal(lq_encode_rows(ctx, &rows, 2, 4, LQ_F32, x + 2 * (cols + 5), cols + 5,
                                        NULL), LQ_OK);
        for (uint64_t r = 0; r < 6; r++) {   /* nothing between the rows was touched */
            const uint8_t *gap = (uint8_t *)rows.plane[0] + (r + 1) * stride - 11;
            for (int b = 0; b < 11; b++)
                assert_int_equal(gap[b], 0);
        }
        for (uint64_t r = 0; r < 6; r++)
            memmove(z + r * cols, x + r * (cols + 5), cols * sizeof *x);
        lq_tensor *whole = test_encode(ctx, &spec, s, z, NULL);
        assert_int_equal(lq_tensor_decode(whole, LQ_F32, y), LQ_OK);
        assert_int_equal(lq_decode_rows(ctx, &rows, 1, 5, LQ_F32, z, cols + 3), LQ_OK);
        for (uint64_t r = 0; r < 5; r++)
            assert_memory_equal(z + r * (cols + 3), y + (r + 1) * cols, cols * sizeof *y);
        lq_tensor_destroy(whole);
        for (int p = 0; p < LQ_PLANES; p++)
            free(rows.plane[p]);
    }
    lq_ctx_destroy(ctx);
}

static void rows_refuse(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_spec spec = test_spec("q8_0"), flat = test_spec("nf4");
    uint8_t codes[4 * 68];
    lq_rows rows = LQ_ROWS_INIT;

    (void)state;
    test_fill(x, 256, 3);
    rows.spec = &spec;
    rows.rows = 4;
    rows.cols = 64;
    assert_int_equal(lq_decode_rows(ctx, &rows, 0, 4, LQ_F32, y, 64), LQ_ERR_ARG);  /* no plane */
    rows.plane[0] = codes;
    assert_int_equal(lq_encode_rows(ctx, &rows, 0, 4, LQ_F32, x, 64, NULL), LQ_OK);
    assert_int_equal(lq_decode_rows(ctx, &rows, 1, 4, LQ_F32, y, 64), LQ_ERR_ARG);
    assert_int_equal(lq_decode_rows(ctx, &rows, 0, 4, LQ_F32, y, 63), LQ_ERR_SHAPE);
    assert_int_equal(lq_decode_rows(ctx, &rows, 0, 4, LQ_I8, y, 64), LQ_ERR_UNSUPPORTED);
    assert_int_equal(lq_decode_rows(ctx, &rows, 0, 4, LQ_F32, (char *)y + 1, 64), LQ_ERR_ALIGN);
    assert_int_equal(lq_decode_rows(ctx, &rows, 0, 4, LQ_F32, NULL, 64), LQ_ERR_ARG);
    assert_int_equal(lq_decode_rows(NULL, &rows, 0, 4, LQ_F32, y, 64), LQ_ERR_ARG);
    assert_int_equal(lq_decode_rows(ctx, NULL, 0, 4, LQ_F32, y, 64), LQ_ERR_ARG);
    assert_int_equal(lq_decode_rows(ctx, &rows, 4, 0, LQ_F32, NULL, 64), LQ_OK);
    rows.stride = 67;
    assert_int_equal(lq_decode_rows(ctx, &rows, 0, 4, LQ_F32, y, 64), LQ_ERR_SHAPE);
    rows.stride = 0;
    rows.cols = 63;
    assert_int_equal(lq_decode_rows(ctx, &rows, 0, 4, LQ_F32, y, 64), LQ_ERR_SHAPE);
    rows.cols = 64;
    rows.plane[0] = y;
    assert_int_equal(lq_decode_rows(ctx, &rows, 0, 4, LQ_F32, y + 1, 64), LQ_ERR_OVERLAP);
    rows.spec = &flat;
    rows.plane[LQ_PLANE_SCALES] = codes;
    assert_int_equal(lq_encode_rows(ctx, &rows, 0, 4, LQ_F32, x, 64, NULL), LQ_ERR_UNSUPPORTED);
    lq_ctx_destroy(ctx);
}

/* ---------------------------------------------------------------- policies */

static void nonfinite(void **state)
{
    lq_ctx *ctx = test_ctx(0, 2);
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    lq_shape s = { 1, 3, 512 };
    size_t n = 3 * 512;

    (void)state;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        lq_spec spec = test_spec(test_specs[i]);
        for (size_t b = 0; b < COUNT(bad); b++) {
            lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
            lq_tensor *t = NULL;
            test_fill(x, n, i);
            x[700] = bad[b];
            assert_int_equal(lq_tensor_encode(ctx, &spec, &s, LQ_F32, x, &opts, &t, NULL),
                             LQ_ERR_NONFINITE);
            assert_null(t);
            for (int policy = LQ_NONFINITE_CLAMP; policy <= LQ_NONFINITE_ZERO; policy++) {
                opts.nonfinite = policy;
                t = test_encode(ctx, &spec, s, x, &opts);
                assert_int_equal(lq_tensor_check(t, NULL), LQ_OK);
                assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
                float most = 0;
                for (size_t k = 512; k < 1024; k++)
                    most = k != 700 && fabsf(x[k]) > most ? fabsf(x[k]) : most;
                float want = policy == LQ_NONFINITE_ZERO || b == 0 ? 0 : copysignf(most, bad[b]);
                assert_true(fabsf(y[700] - want) < largest_error(test_specs[i]));
                lq_tensor_destroy(t);
            }
            opts.nonfinite = LQ_NONFINITE_PROPAGATE;   /* any result, but defined */
            t = test_encode(ctx, &spec, s, x, &opts);
            assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
            lq_tensor_destroy(t);
        }
    }
    lq_ctx_destroy(ctx);
}

/* Magnitudes whose scales do not fit f16 are refused, never stored as infinity. */
static void too_large_for_the_scale(void **state)
{
    static const char *const half_scales[] = {
        "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q8_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k",
        "iq4_nl", "iq4_xs", "tq1_0", "tq2_0", "q1_0", "q2_0", "nvfp4_gguf", "int4:g32:zp",
        "nf4:g64:f16",
    };
    lq_ctx *ctx = test_ctx(0, 1);
    lq_shape s = { 1, 1, 256 };

    (void)state;
    for (size_t i = 0; i < COUNT(half_scales); i++) {
        lq_spec spec = test_spec(half_scales[i]);
        lq_tensor *t = NULL;
        for (size_t k = 0; k < 256; k++)
            x[k] = k % 2 ? 1e30f : -9e29f;
        if (lq_tensor_encode(ctx, &spec, &s, LQ_F32, x, NULL, &t, NULL) != LQ_ERR_NUMERIC)
            fail_msg("%s: not refused", half_scales[i]);
    }
    lq_ctx_destroy(ctx);
}

/* Any float array encodes to something legal, or is refused: nothing undefined. */
static void extreme_values(void **state)
{
    static const float values[] = { 0.0f, -0.0f, 1e-45f, -1e-40f, 1e-38f, 1e-20f, 3.4e38f,
                                    -3.4e38f, 1.0f, 65504.0f, 1e-7f };
    lq_ctx *ctx = test_ctx(0, 1);
    lq_shape s = { 1, 2, 512 };
    uint64_t seed = 5;

    (void)state;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        lq_spec spec = test_spec(test_specs[i]);
        for (int round = 0; round < 24; round++) {
            lq_tensor *t = NULL;
            for (size_t k = 0; k < 1024; k++)
                x[k] = round < 11 ? values[round] : values[test_next(&seed) % (uint64_t)(round / 2)];
            lq_status status = lq_tensor_encode(ctx, &spec, &s, LQ_F32, x, NULL, &t, NULL);
            if (status == LQ_ERR_NUMERIC)
                continue;
            assert_int_equal(status, LQ_OK);
            assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
            if (round < 2)
                for (size_t k = 0; k < 1024; k++)
                    assert_true(y[k] == 0);
            lq_tensor_destroy(t);
        }
    }
    lq_ctx_destroy(ctx);
}

/* Any bytes decode to something: no table is left, no shift is too far. */
static void random_bytes(void **state)
{
    lq_ctx *ctx = test_ctx(0, 1);
    lq_shape s = { 1, 5, 512 };
    uint64_t seed = 11;

    (void)state;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        lq_spec spec = test_spec(test_specs[i]);
        lq_tensor *t = NULL;
        assert_int_equal(lq_tensor_create(ctx, &spec, &s, &t, NULL), LQ_OK);
        for (int round = 0; round < 20; round++) {
            for (int p = 0; p < LQ_PLANES; p++) {
                uint64_t n;
                uint8_t *bytes = lq_tensor_plane(t, p, &n);
                for (uint64_t k = 0; k < n; k++)
                    bytes[k] = (uint8_t)test_next(&seed);
            }
            assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
            lq_status status = lq_tensor_check(t, NULL);
            assert_true(status == LQ_OK || status == LQ_ERR_NONFINITE || status == LQ_ERR_CORRUPT);
        }
        lq_tensor_destroy(t);
    }
    lq_ctx_destroy(ctx);
}

/* --------------------------------------------------------------- allocation */

struct failing { long left; long live; };

static void *failing_alloc(void *user, size_t size, size_t align)
{
    struct failing *f = user;
    void *p = NULL;

    if (f->left-- == 0 || posix_memalign(&p, align, size))
        return NULL;
    f->live++;
    return p;
}

static void failing_free(void *user, void *p)
{
    if (p)
        ((struct failing *)user)->live--;
    free(p);
}

static void allocation_sweep(void **state)
{
    static const char *const some[] = { "q4_k", "nf4:b64:dq", "fp8_e4m3:t", "int4:g32:zp:gidx" };
    lq_shape s = { 2, 4, 256 };

    (void)state;
    test_fill(x, 2048, 1);
    for (size_t i = 0; i < COUNT(some); i++) {
        lq_spec spec = test_spec(some[i]);
        for (long fail = 0;; fail++) {
            struct failing f = { fail, 0 };
            lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
            lq_ctx *ctx = NULL;
            lq_tensor *t = NULL;
            opts.allocator = (lq_allocator){ failing_alloc, failing_free, &f };
            lq_status status = lq_ctx_create(&opts, &ctx, NULL);
            if (!status)
                status = lq_tensor_encode(ctx, &spec, &s, LQ_F32, x, NULL, &t, NULL);
            lq_tensor_destroy(t);
            lq_ctx_destroy(ctx);
            assert_int_equal(f.live, 0);
            if (!status)
                break;
            assert_int_equal(status, LQ_ERR_NOMEM);
            assert_true(fail < 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape), cmocka_unit_test(every_level),
        cmocka_unit_test(strips_equal_whole), cmocka_unit_test(encoder_refuses),
        cmocka_unit_test(half_sources), cmocka_unit_test(rows_with_strides),
        cmocka_unit_test(rows_refuse), cmocka_unit_test(nonfinite),
        cmocka_unit_test(too_large_for_the_scale), cmocka_unit_test(extreme_values),
        cmocka_unit_test(random_bytes), cmocka_unit_test(allocation_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
