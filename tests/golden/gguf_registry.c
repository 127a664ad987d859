/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/gguf_registry.c - the registry: complete, unique, found by every key
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/format/format.h"

static void test_descriptors(void **state)
{
    (void)state;
    for (int i = 0; i < LQI_FORMATS; i++) {
        const lqi_format *f = lqi_formats[i];
        assert_true(f->name && f->name[0] && f->text && f->text[0] && f->id != LQ_FORMAT_NONE);
        assert_true(f->unit >= 1 && f->round && f->value && (f->fit || f->fit_range || f->fit_mean));
        assert_true(f->param_bytes <= LQI_PARAM_MAX);
        if (f->storage != LQ_BLOCKED)
            continue;
        assert_true(f->block_len >= 1 && f->block_len <= LQI_BLOCK_MAX && f->block_bytes > 0);
        assert_true(f->fit && f->pack && f->unpack && f->check && f->decode && f->bits >= 1);
    }
}

static void test_unique(void **state)
{
    (void)state;
    for (int i = 0; i < LQI_FORMATS; i++) {
        const lqi_format *f = lqi_formats[i];
        assert_ptr_equal(lqi_format_by_id(f->id), f);
        assert_ptr_equal(lqi_format_by_name(f->name), f);
        assert_int_equal(lqi_format_index(f), i);
        if (f->gguf >= 0)
            assert_ptr_equal(lqi_format_by_gguf((uint32_t)f->gguf), f);
    }
    assert_null(lqi_format_by_id(LQ_FORMAT_NONE));
    assert_null(lqi_format_by_gguf(4));
    assert_null(lqi_format_by_gguf(UINT32_MAX));
    assert_null(lqi_format_by_name(NULL));
    assert_null(lqi_format_by_name(""));
    assert_null(lqi_format_by_name("q4_"));
    assert_null(lqi_format_by_name("q4_kk"));
    assert_int_equal(lqi_format_index(NULL), -1);
    assert_int_equal(LQI_INDEX_f32, 0);
}

static void test_gguf_types(void **state)
{
    static const struct { const char *name; uint32_t type, len, bytes; } types[] = {
        { "F32", 0, 1, 4 }, { "f16", 1, 1, 2 }, { "Q4_0", 2, 32, 18 }, { "q8_0", 8, 32, 34 },
        { "Q4_K", 12, 256, 144 }, { "q6_K", 14, 256, 210 }, { "Bf16", 30, 1, 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const lqi_format *f = lqi_format_by_gguf(types[i].type);
        assert_non_null(f);
        assert_ptr_equal(lqi_format_by_name(types[i].name), f);
        assert_int_equal(f->block_len, types[i].len);
        assert_int_equal(f->block_bytes, types[i].bytes);
    }
}

static void test_public(void **state)
{
    lq_format_info info, other;

    (void)state;
    lq_format_info_init(&info);
    lq_format_info_init(&other);
    assert_int_equal(lq_format_count(), LQI_FORMATS);
    for (size_t i = 0; i < lq_format_count(); i++) {
        assert_int_equal(lq_format_at(i, &info), LQ_OK);
        assert_int_equal(info.struct_size, sizeof info);
        assert_non_null(info.default_spec);
        assert_memory_equal(info.default_spec, info.name, strlen(info.name));
        if (info.storage == LQ_PLANAR)
            assert_true(info.block_len == 1 && info.block_bytes == 0);
        assert_int_equal(lq_format_get(info.id, &other), LQ_OK);
        assert_memory_equal(&info, &other, sizeof info);
        assert_int_equal(lq_format_find(info.name, &other), LQ_OK);
        assert_memory_equal(&info, &other, sizeof info);
    }
    assert_int_equal(lq_format_find("Q4_K", &info), LQ_OK);
    assert_int_equal(info.gguf_type, 12);
    assert_string_equal(info.default_spec, "q4_k");
}

static void test_refusals(void **state)
{
    lq_format_info info = LQ_FORMAT_INFO_INIT, before;

    (void)state;
    info.id = 77;
    before = info;
    assert_int_equal(lq_format_at(lq_format_count(), &info), LQ_ERR_ARG);
    assert_int_equal(lq_format_get(99999, &info), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_format_find("q9_z", &info), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_format_find(NULL, &info), LQ_ERR_ARG);
    assert_memory_equal(&info, &before, sizeof info);
    assert_int_equal(lq_format_at(0, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_format_get(LQ_FORMAT_F32, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_format_find("f32", NULL), LQ_ERR_ARG);
    info.struct_size = 0;
    assert_int_equal(lq_format_at(0, &info), LQ_ERR_ARG);
    assert_int_equal(lq_format_get(LQ_FORMAT_F32, &info), LQ_ERR_ARG);
    assert_int_equal(lq_format_find("f32", &info), LQ_ERR_ARG);
}

/* A caller built with a shorter or longer struct than the library. */
static void test_struct_size(void **state)
{
    struct { lq_format_info info; uint8_t tail[16]; } longer = { LQ_FORMAT_INFO_INIT, { 0 } };
    lq_format_info info = LQ_FORMAT_INFO_INIT;

    (void)state;
    info.struct_size = offsetof(lq_format_info, text);
    info.block_len = 4711;
    assert_int_equal(lq_format_find("q6_k", &info), LQ_OK);
    assert_int_equal(info.struct_size, offsetof(lq_format_info, text));
    assert_string_equal(info.name, "q6_k");
    assert_null(info.text);
    assert_int_equal(info.block_len, 4711);

    longer.info.struct_size = sizeof longer;
    assert_int_equal(lq_format_find("q6_k", &longer.info), LQ_OK);
    assert_int_equal(longer.info.block_bytes, 210);
    assert_int_equal(longer.info.struct_size, sizeof longer);
    for (size_t i = 0; i < sizeof longer.tail; i++)
        assert_int_equal(longer.tail[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors), cmocka_unit_test(test_unique),
        cmocka_unit_test(test_gguf_types),  cmocka_unit_test(test_public),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_struct_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
