/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/layout.c - foreign layouts: every width both ways, symmetric models, refusals
 *
 * Round trips start from random planes of ours; the arrays are exactly as long as they must
 * be, so that a sanitizer sees every step beyond.
 */
#include <stdio.h>

#include "common.h"

/* Rows with random planes. */
typedef struct ours {
    lq_spec  spec;
    lq_rows  rows;
    uint64_t bytes[LQ_PLANES];
} ours;

static void *room(uint64_t n, int fill)
{
    void *p = malloc((size_t)n + (n == 0));

    assert_non_null(p);
    return memset(p, fill, (size_t)n);
}

static void ours_init(ours *o, const char *text, uint64_t rows, uint64_t cols)
{
    static const lq_rows init = LQ_ROWS_INIT;
    lq_shape shape = { 1, rows, cols };

    o->spec = test_spec(text);
    o->rows = init;
    o->rows.spec = &o->spec;
    o->rows.rows = rows;
    o->rows.cols = cols;
    for (int p = 0; p < LQ_PLANES; p++) {
        assert_int_equal(lq_plane_bytes(&o->spec, p, &shape, &o->bytes[p]), LQ_OK);
        o->rows.plane[p] = o->bytes[p] ? room(o->bytes[p], 0) : NULL;
    }
}

static void ours_fill(ours *o, uint64_t seed)
{
    lq_format_info info = LQ_FORMAT_INFO_INIT;
    lq_ctx *ctx = test_ctx(0, 1);
    uint64_t n = o->rows.rows * o->rows.cols;
    float *x = malloc(n * sizeof *x + 1);

    assert_non_null(x);
    assert_int_equal(lq_format_get(o->spec.format, &info), LQ_OK);
    test_fill(x, n, seed);
    lq_tensor *t = test_encode(ctx, &o->spec, (lq_shape){ 1, o->rows.rows, o->rows.cols }, x, NULL);
    for (int p = 0; p < LQ_PLANES; p++)
        if (o->bytes[p])
            memcpy(o->rows.plane[p], lq_tensor_plane(t, p, NULL), o->bytes[p]);
    uint8_t *zeros = o->rows.plane[LQ_PLANE_ZEROS];
    for (uint64_t i = 0; i < o->bytes[LQ_PLANE_ZEROS]; i++) {    /* 1 .. 2^bits - 1 */
        unsigned z = 1 + (unsigned)(test_next(&seed) % ((1u << info.bits) - 1));
        zeros[i] = (uint8_t)(z ^ (info.bits == 8 ? 128 : 0));
    }
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
    free(x);
}

static void ours_free(ours *o)
{
    for (int p = 0; p < LQ_PLANES; p++)
        free(o->rows.plane[p]);
}

static void same_planes(const ours *a, const ours *b)
{
    for (int p = 0; p < LQ_PLANES; p++)
        if (a->bytes[p])
            assert_memory_equal(a->rows.plane[p], b->rows.plane[p], a->bytes[p]);
}

/* --------------------------------------------------------------- round trips */

static void gptq_round_trip(const char *text, int32_t version)
{
    lq_gptq g = LQ_GPTQ_INIT;
    ours a, b;

    ours_init(&a, text, 64, 96);
    ours_init(&b, text, 64, 96);
    ours_fill(&a, (uint64_t)version);
    g.version = version;
    assert_int_equal(lq_gptq_bytes(&a.spec, 64, 96, &g), LQ_OK);
    g.qweight = room(g.qweight_bytes, 0xaa);
    g.qzeros = room(g.qzeros_bytes, 0xaa);
    g.scales = room(g.scales_bytes, 0xaa);
    g.g_idx = room(g.g_idx_bytes, 0xaa);
    assert_int_equal(lq_gptq_export(&a.rows, &g), LQ_OK);
    assert_int_equal(lq_gptq_import(&g, &b.rows), LQ_OK);
    same_planes(&a, &b);
    free(g.qweight);
    free(g.qzeros);
    free(g.scales);
    free(g.g_idx);
    ours_free(&a);
    ours_free(&b);
}

static void every_gptq(void **state)
{
    static const char *const end[] = { ":g32:zp:f16", ":g32:f16", ":g96:zp:f16:gidx", ":ch:zp:f16" };
    char text[64];

    (void)state;
    for (int bits = 2; bits <= 8; bits++)
        for (int32_t version = LQ_GPTQ_V1; version <= LQ_GPTQ_PLANES; version++) {
            int whole = bits == 2 || bits == 4 || bits == 8;
            if (version != LQ_GPTQ_PLANES && !whole && (bits != 3 || version == LQ_GPTQ_V1_WORDS))
                continue;
            for (size_t i = 0; i < COUNT(end); i++) {
                snprintf(text, sizeof text, "int%d%s", bits, end[i]);
                gptq_round_trip(text, version);
            }
        }
}

static void awq_round_trip(const char *text, int32_t version, uint64_t rows, uint64_t cols)
{
    lq_awq g = LQ_AWQ_INIT;
    ours a, b;

    ours_init(&a, text, rows, cols);
    ours_init(&b, text, rows, cols);
    ours_fill(&a, (uint64_t)version);
    g.version = version;
    assert_int_equal(lq_awq_bytes(&a.spec, rows, cols, &g), LQ_OK);
    g.qweight = room(g.qweight_bytes, 0xaa);
    g.qzeros = room(g.qzeros_bytes, 0xaa);
    g.scales = room(g.scales_bytes, 0xaa);
    assert_int_equal(lq_awq_export(&a.rows, &g), LQ_OK);
    assert_int_equal(lq_awq_import(&g, &b.rows), LQ_OK);
    same_planes(&a, &b);
    free(g.qweight);
    free(g.qzeros);
    free(g.scales);
    ours_free(&a);
    ours_free(&b);
}

static void every_awq(void **state)
{
    static const char *const texts[] = { "int4:g32:zp", "int4:g64:zp", "int4:g128:zp", "int4:g128",
                                         "int4:ch:zp", "int4:g64:zp:gidx" };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        for (int32_t version = LQ_AWQ_GEMM; version <= LQ_AWQ_FAST; version++) {
            awq_round_trip(texts[i], version, 16, 128);
            awq_round_trip(texts[i], version, 40, 384);
        }
    awq_round_trip("int4:g20:zp", LQ_AWQ_GEMM, 8, 100);
}

static void compressed_round_trip(const char *text, int32_t form, uint64_t rows, uint64_t cols)
{
    lq_compressed g = LQ_COMPRESSED_INIT;
    ours a, b;

    ours_init(&a, text, rows, cols);
    ours_init(&b, text, rows, cols);
    ours_fill(&a, (uint64_t)form);
    for (int p = 0; p < LQ_PLANES; p++)          /* these are not part of the layout */
        if (a.bytes[p] && p != LQ_PLANE_CODES && p != LQ_PLANE_ZEROS)
            memcpy(b.rows.plane[p], a.rows.plane[p], a.bytes[p]);
    memset(b.rows.plane[LQ_PLANE_CODES], 0xff, b.bytes[LQ_PLANE_CODES]);
    g.form = form;
    assert_int_equal(lq_compressed_bytes(&a.spec, rows, cols, &g), LQ_OK);
    g.packed = room(g.packed_bytes, 0xaa);
    g.zero_point = g.zero_point_bytes ? room(g.zero_point_bytes, 0xaa) : NULL;
    assert_int_equal(lq_compressed_export(&a.rows, &g), LQ_OK);
    assert_int_equal(lq_compressed_import(&g, &b.rows), LQ_OK);
    same_planes(&a, &b);
    free(g.packed);
    free(g.zero_point);
    ours_free(&a);
    ours_free(&b);
}

static void every_compressed(void **state)
{
    static const char *const end[] = { ":g32:zp", ":g32", ":ch:zp:f32", ":g50:zp:bf16",
                                       ":16x16:zp", ":t:zp", ":g32:zp:gidx" };
    static const uint64_t sizes[] = { 1, 7, 31, 33, 100 };
    char text[64];

    (void)state;
    for (int bits = 2; bits <= 8; bits++)
        for (int32_t form = LQ_COMPRESSED_DENSE; form <= LQ_COMPRESSED_WORDS; form++)
            for (size_t i = 0; i < COUNT(end); i++)
                for (size_t k = 0; k < COUNT(sizes); k++) {
                    snprintf(text, sizeof text, "int%d%s", bits, end[i]);
                    compressed_round_trip(text, form, sizes[COUNT(sizes) - 1 - k], sizes[k]);
                }
}

/* 3 bits by words: ten codes, two bits of nothing. */
static void words_form(void **state)
{
    lq_compressed g = LQ_COMPRESSED_INIT;
    uint32_t words[2];
    uint8_t bytes[8];
    ours o;

    (void)state;
    ours_init(&o, "int3:g32", 1, 12);
    g.form = LQ_COMPRESSED_WORDS;
    assert_int_equal(lq_compressed_bytes(&o.spec, 1, 12, &g), LQ_OK);
    assert_int_equal(g.packed_bytes, 8);
    words[0] = 0xc0000000;                         /* not codes */
    words[1] = 0;
    for (unsigned k = 0; k < 12; k++)
        words[k / 10] |= (k % 8) << k % 10 * 3;
    for (int b = 0; b < 8; b++)
        bytes[b] = (uint8_t)(words[b / 4] >> b % 4 * 8);
    g.packed = bytes;
    assert_int_equal(lq_compressed_import(&g, &o.rows), LQ_OK);
    const uint8_t *codes = o.rows.plane[LQ_PLANE_CODES];
    for (unsigned k = 0; k < 36; k++)
        assert_int_equal(codes[k / 8] >> k % 8 & 1, k / 3 % 8 >> k % 3 & 1);
    ours_free(&o);
    assert_int_equal(lq_compressed_detect(3, 12, 2), LQ_COMPRESSED_DENSE);   /* 36 bits */
    assert_int_equal(lq_compressed_detect(3, 100, 10), LQ_COMPRESSED_DENSE);
    assert_int_equal(lq_compressed_detect(3, 128, 13), LQ_COMPRESSED_WORDS);
    assert_int_equal(lq_compressed_detect(3, 128, 12), LQ_COMPRESSED_DENSE);
    assert_int_equal(lq_compressed_detect(4, 128, 16), LQ_COMPRESSED_DENSE);
    assert_int_equal(lq_compressed_detect(4, 128, 17), 0);
    assert_int_equal(lq_compressed_detect(9, 128, 36), 0);
}

/* ------------------------------------------------------------------ refusals */

static void symmetric(void **state)
{
    lq_awq g = LQ_AWQ_INIT;
    ours o;

    (void)state;
    ours_init(&o, "int4:g32", 8, 32);
    g.version = LQ_AWQ_GEMM;
    assert_int_equal(lq_awq_bytes(&o.spec, 8, 32, &g), LQ_OK);
    g.qweight = room(g.qweight_bytes, 0);
    g.qzeros = room(g.qzeros_bytes, 0x88);
    g.scales = room(g.scales_bytes, 0);
    assert_int_equal(lq_awq_import(&g, &o.rows), LQ_OK);
    ((uint8_t *)g.qzeros)[1] = 0x87;
    assert_int_equal(lq_awq_import(&g, &o.rows), LQ_ERR_MISMATCH);
    free(g.qweight);
    free(g.qzeros);
    free(g.scales);
    ours_free(&o);
}

static void awq_refuses(void **state)
{
    static const struct { const char *spec; int32_t version; uint64_t rows, cols; lq_status want; } bad[] = {
        { "int4:g32:zp", 0, 32, 64, LQ_ERR_ARG },
        { "int4:g32:zp", 4, 32, 64, LQ_ERR_ARG },
        { "int3:g32:zp", LQ_AWQ_GEMM, 32, 64, LQ_ERR_UNSUPPORTED },
        { "int4:g32:zp:bf16", LQ_AWQ_GEMM, 32, 64, LQ_ERR_UNSUPPORTED },
        { "int4:g32:fz", LQ_AWQ_GEMM, 32, 64, LQ_ERR_UNSUPPORTED },
        { "int4:g16:zp", LQ_AWQ_GEMV, 32, 64, LQ_ERR_UNSUPPORTED },
        { "nf4:g32:f16", LQ_AWQ_GEMM, 32, 64, LQ_ERR_UNSUPPORTED },
        { "int4:g32:zp", LQ_AWQ_GEMM, 33, 64, LQ_ERR_SHAPE },
        { "int4:g32:zp", LQ_AWQ_GEMM, 32, 65, LQ_ERR_SHAPE },
        { "int4:g32:zp", LQ_AWQ_FAST, 30, 64, LQ_ERR_SHAPE },
        { "int4:g32:zp", LQ_AWQ_FAST, 32, 96, LQ_ERR_SHAPE },
        { "int4:g32:zp", LQ_AWQ_GEMM, (uint64_t)1 << 62, 64, LQ_ERR_OVERFLOW },
    };
    lq_awq g = LQ_AWQ_INIT;
    ours o;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        lq_spec spec = test_spec(bad[i].spec);
        g.version = bad[i].version;
        assert_int_equal(lq_awq_bytes(&spec, bad[i].rows, bad[i].cols, &g), bad[i].want);
    }
    ours_init(&o, "int4:g64:zp", 8, 64);
    g.version = LQ_AWQ_FAST;
    assert_int_equal(lq_awq_bytes(&o.spec, 8, 64, &g), LQ_OK);
    g.qweight = room(g.qweight_bytes, 0);
    g.qzeros = room(g.qzeros_bytes, 0);
    g.scales = room(g.scales_bytes, 0x3c);
    uint64_t *sizes[] = { &g.qweight_bytes, &g.qzeros_bytes, &g.scales_bytes };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        --*sizes[i];
        assert_int_equal(lq_awq_import(&g, &o.rows), LQ_ERR_BUFFER);
        assert_int_equal(lq_awq_export(&o.rows, &g), LQ_ERR_BUFFER);
        ++*sizes[i];
    }
    assert_int_equal(lq_awq_import(&g, &o.rows), LQ_OK);
    ((uint8_t *)g.qzeros)[0] = 1;                        /* no multiple of the scale */
    assert_int_equal(lq_awq_import(&g, &o.rows), LQ_ERR_NUMERIC);
    ((uint8_t *)o.rows.plane[LQ_PLANE_ZEROS])[3] = 16;
    assert_int_equal(lq_awq_export(&o.rows, &g), LQ_ERR_CORRUPT);
    ((uint8_t *)o.rows.plane[LQ_PLANE_ZEROS])[3] = 5;
    memset(o.rows.plane[LQ_PLANE_SCALES], 0, o.bytes[LQ_PLANE_SCALES]);
    assert_int_equal(lq_awq_export(&o.rows, &g), LQ_ERR_NUMERIC);
    assert_int_equal(lq_awq_import(NULL, &o.rows), LQ_ERR_ARG);
    assert_int_equal(lq_awq_export(NULL, &g), LQ_ERR_ARG);
    g.qweight = (free(g.qweight), NULL);
    assert_int_equal(lq_awq_import(&g, &o.rows), LQ_ERR_ARG);
    free(g.qzeros);
    free(g.scales);
    ours_free(&o);
}

/* Groups out of order have no place in AWQ. */
static void awq_order(void **state)
{
    lq_awq g = LQ_AWQ_INIT;
    ours o;

    (void)state;
    ours_init(&o, "int4:g32:zp:gidx", 8, 64);
    ours_fill(&o, 3);
    ((uint8_t *)o.rows.plane[LQ_PLANE_GIDX])[0] = 1;
    g.version = LQ_AWQ_GEMM;
    assert_int_equal(lq_awq_bytes(&o.spec, 8, 64, &g), LQ_OK);
    g.qweight = room(g.qweight_bytes, 0);
    g.qzeros = room(g.qzeros_bytes, 0);
    g.scales = room(g.scales_bytes, 0);
    assert_int_equal(lq_awq_export(&o.rows, &g), LQ_ERR_MISMATCH);
    free(g.qweight);
    free(g.qzeros);
    free(g.scales);
    ours_free(&o);
}

static void others_refuse(void **state)
{
    lq_compressed c = LQ_COMPRESSED_INIT;
    lq_gptq g = LQ_GPTQ_INIT;
    uint8_t few[4] = { 0 };
    ours o;

    (void)state;
    ours_init(&o, "int5:g32:zp", 32, 32);
    assert_int_equal(lq_compressed_bytes(&o.spec, 32, 32, &c), LQ_ERR_ARG);
    c.form = LQ_COMPRESSED_DENSE;
    assert_int_equal(lq_compressed_bytes(&o.spec, (uint64_t)1 << 60, 1 << 20, &c), LQ_ERR_OVERFLOW);
    assert_int_equal(lq_compressed_bytes(NULL, 32, 32, &c), LQ_ERR_ARG);
    assert_int_equal(lq_compressed_bytes(&o.spec, 32, 32, &c), LQ_OK);
    assert_int_equal(c.packed_bytes, 32 * 20);
    assert_int_equal(c.zero_point_bytes, 20);
    assert_int_equal(lq_compressed_import(&c, &o.rows), LQ_ERR_ARG);
    c.packed = c.zero_point = few;
    c.packed_bytes--;
    assert_int_equal(lq_compressed_import(&c, &o.rows), LQ_ERR_BUFFER);
    c.packed_bytes++;
    c.zero_point_bytes--;
    assert_int_equal(lq_compressed_export(&o.rows, &c), LQ_ERR_BUFFER);
    /* five bits lie in planes only; by words they do not exist for three either */
    g.qweight = g.qzeros = g.scales = few;
    g.qweight_bytes = g.qzeros_bytes = g.scales_bytes = UINT32_MAX;
    g.version = LQ_GPTQ_V2;
    assert_int_equal(lq_gptq_import(&g, &o.rows), LQ_ERR_UNSUPPORTED);
    o.spec.format = LQ_FORMAT_INT3;
    g.version = LQ_GPTQ_V1_WORDS;
    assert_int_equal(lq_gptq_import(&g, &o.rows), LQ_ERR_UNSUPPORTED);
    ours_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gptq), cmocka_unit_test(every_awq),
        cmocka_unit_test(every_compressed), cmocka_unit_test(words_form),
        cmocka_unit_test(symmetric), cmocka_unit_test(awq_refuses),
        cmocka_unit_test(awq_order), cmocka_unit_test(others_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
