/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/spec.c - specs: text both ways, defaults, refusals, sizes
 */
#include "common.h"

static void prints_what_it_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(test_specs); i++) {
        char text[LQ_SPEC_TEXT];
        lq_spec a = test_spec(test_specs[i]), b;
        assert_int_equal(lq_spec_print(&a, text, sizeof text), LQ_OK);
        b = test_spec(text);
        assert_true(lq_spec_equal(&a, &b));
    }
}

static void canonical_texts(void **state)
{
    static const char *const pairs[][2] = {
        { "nf4", "nf4:b64" }, { "NF4:B64:DQ", "nf4:b64:dq" }, { "nf4:dq128:b64", "nf4:b64:dq128" },
        { "int4", "int4:g128" }, { "int4:zp:g32:f16", "int4:g32:zp" }, { "int8", "int8:ch" },
        { "fp8_e4m3:128x128", "fp8_e4m3:128x128" }, { "q4_k:pad", "q4_k:pad" }, { "f32", "f32" },
    };
    char text[LQ_SPEC_TEXT];

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        lq_spec s = test_spec(pairs[i][0]);
        assert_int_equal(lq_spec_print(&s, text, sizeof text), LQ_OK);
        assert_string_equal(text, pairs[i][1]);
    }
    lq_spec s = test_spec("nf4:b64:dq");
    assert_int_equal(lq_spec_print(&s, text, 10), LQ_ERR_BUFFER);
}

static void refusals(void **state)
{
    static const struct {
        const char *text;
        lq_status   status;
        const char *says;
    } bad[] = {
        { "", LQ_ERR_NOTFOUND, "did you mean" },
        { "q4_9", LQ_ERR_NOTFOUND, "q4_0" },
        { "nf5", LQ_ERR_NOTFOUND, "nf4" },
        { "nf4:", LQ_ERR_ARG, "no option" },
        { "nf4:b63", LQ_ERR_UNSUPPORTED, "power of two" },
        { "nf4:b8192", LQ_ERR_UNSUPPORTED, "power of two" },
        { "nf4:b0", LQ_ERR_ARG, "no option" },
        { "nf4:b-64", LQ_ERR_ARG, "no option" },
        { "nf4:g99999999999999999999", LQ_ERR_ARG, "no option" },
        { "nf4:zp", LQ_ERR_UNSUPPORTED, "zero points" },
        { "nf4:gidx", LQ_ERR_UNSUPPORTED, "group indices" },
        { "llm_int8:128x128", LQ_ERR_UNSUPPORTED, "several rows" },
        { "q4_k:g32", LQ_ERR_UNSUPPORTED, "blocks are fixed" },
        { "q4_k:dq", LQ_ERR_UNSUPPORTED, "blocks are fixed" },
        { "int8:dq:f16", LQ_ERR_UNSUPPORTED, "second-level" },
        { "int8:pad", LQ_ERR_UNSUPPORTED, "padding" },
        { "int8:chh", LQ_ERR_ARG, "'ch'" },
        { "int4:g32:zpp", LQ_ERR_ARG, "'zp'" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", LQ_ERR_ARG,
          "longer" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        lq_spec spec = LQ_SPEC_INIT, before = spec;
        lq_error error = LQ_ERROR_INIT;
        lq_status status = lq_spec_parse(bad[i].text, &spec, &error);
        if (status != bad[i].status || !strstr(error.message, bad[i].says))
            fail_msg("'%s': %s: %s", bad[i].text, lq_status_name(status), error.message);
        assert_memory_equal(&spec, &before, sizeof spec);
    }
}

static void struct_sizes(void **state)
{
    struct { lq_spec spec; uint64_t tail; } longer = { LQ_SPEC_INIT, 0 };
    lq_shape shape = { 1, 4, 64 };
    uint64_t bytes;

    (void)state;
    longer.spec.struct_size = sizeof longer;
    longer.spec.format = LQ_FORMAT_Q8_0;
    assert_int_equal(lq_spec_bytes(&longer.spec, &shape, &bytes), LQ_OK);
    assert_int_equal(bytes, 4 * 68);
    longer.tail = 1;
    assert_int_equal(lq_spec_bytes(&longer.spec, &shape, &bytes), LQ_ERR_UNSUPPORTED);
    longer.spec.struct_size = 0;
    assert_int_equal(lq_spec_bytes(&longer.spec, &shape, &bytes), LQ_ERR_ARG);
    longer.spec.struct_size = offsetof(lq_spec, group_rows);   /* older: all defaults */
    assert_int_equal(lq_spec_bytes(&longer.spec, &shape, &bytes), LQ_OK);
}

static uint64_t bytes_of(const char *text, int plane, lq_shape shape)
{
    lq_spec spec = test_spec(text);
    uint64_t bytes = 77;

    assert_int_equal(lq_plane_bytes(&spec, plane, &shape, &bytes), LQ_OK);
    return bytes;
}

static void sizes(void **state)
{
    lq_shape odd = { 3, 5, 33 }, big = { 1, 65536, 65536 }, none = { 1, 0, 64 };

    (void)state;
    assert_int_equal(bytes_of("nf4:b64", LQ_PLANE_CODES, odd), 3 * 83);
    assert_int_equal(bytes_of("nf4:b64", LQ_PLANE_SCALES, odd), 3 * 3 * 4);
    assert_int_equal(bytes_of("nf4:g32", LQ_PLANE_CODES, odd), 3 * 5 * 17);
    assert_int_equal(bytes_of("nf4:g32", LQ_PLANE_SCALES, odd), 3 * 5 * 2 * 4);
    assert_int_equal(bytes_of("nf4:b64:dq", LQ_PLANE_SCALES, odd), 3 * 3);
    assert_int_equal(bytes_of("nf4:b64:dq", LQ_PLANE_SCALE2, odd), 3 * 4);
    assert_int_equal(bytes_of("nf4:b64:dq", LQ_PLANE_OFFSET, odd), 3 * 4);
    assert_int_equal(bytes_of("int4:g32:zp:gidx", LQ_PLANE_GIDX, odd), 3 * 33 * 4);
    assert_int_equal(bytes_of("int4:g32:zp", LQ_PLANE_ZEROS, odd), 3 * 5 * 2);
    assert_int_equal(bytes_of("fp8_e4m3:128x128", LQ_PLANE_SCALES, odd), 3 * 4);
    assert_int_equal(bytes_of("q8_0:pad", LQ_PLANE_CODES, odd), 3 * 5 * 68);
    assert_int_equal(bytes_of("nf4:b64", LQ_PLANE_CODES, big), 1ull << 31);
    assert_int_equal(bytes_of("q4_k", LQ_PLANE_CODES, big), (1ull << 32) / 256 * 144);
    assert_int_equal(bytes_of("nf4:b64:dq", LQ_PLANE_CODES, none), 0);
    assert_int_equal(bytes_of("fp8_e4m3:t", LQ_PLANE_SCALES, none), 0);
}

static void sizes_that_do_not_fit(void **state)
{
    lq_spec q8 = test_spec("q8_0"), nf4 = test_spec("nf4");
    lq_shape tail = { 1, 1, 33 }, huge = { 1, 1ull << 40, 1ull << 40 },
             wrap = { 1ull << 62, 1, 64 }, most = { 1, 1, UINT64_MAX };
    uint64_t bytes = 77;

    (void)state;
    assert_int_equal(lq_spec_bytes(&q8, &tail, &bytes), LQ_ERR_SHAPE);
    assert_int_equal(lq_spec_bytes(&nf4, &huge, &bytes), LQ_ERR_OVERFLOW);
    assert_int_equal(lq_spec_bytes(&nf4, &wrap, &bytes), LQ_ERR_OVERFLOW);
    assert_int_equal(lq_spec_bytes(&nf4, &most, &bytes), LQ_ERR_OVERFLOW);
    assert_int_equal(bytes, 77);
}

static void registry(void **state)
{
    lq_format_info info = LQ_FORMAT_INFO_INIT, other = LQ_FORMAT_INFO_INIT;

    (void)state;
    for (size_t i = 0; i < lq_format_count(); i++) {
        assert_int_equal(lq_format_at(i, &info), LQ_OK);
        assert_int_equal(lq_format_get(info.id, &other), LQ_OK);
        assert_string_equal(info.name, other.name);
        assert_int_equal(lq_format_find(info.name, &other), LQ_OK);
        assert_int_equal(info.id, other.id);
        lq_spec spec = test_spec(info.default_spec);
        assert_int_equal(spec.format, info.id);
    }
    assert_int_equal(lq_format_at(lq_format_count(), &info), LQ_ERR_ARG);
    assert_int_equal(lq_format_get(9999, &info), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_format_find("nope", &info), LQ_ERR_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_what_it_parsed), cmocka_unit_test(canonical_texts),
        cmocka_unit_test(refusals), cmocka_unit_test(struct_sizes), cmocka_unit_test(sizes),
        cmocka_unit_test(sizes_that_do_not_fit), cmocka_unit_test(registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
