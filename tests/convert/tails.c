/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/tails.c - llama-quantize's table of types for rows that do not fit, and its
 * type of the output matrix
 */
#include "lib/file/weights.h"
#include "tests/common/common.h"

/* 'to' for rows of 160; for rows of 100, which fit no block, F16.  NULL: an error. */
static const struct { const char *from, *to; } rows[] = {
    { "iq1_s", "iq4_nl" },   { "iq1_m", "iq4_nl" },   { "iq2_xxs", "iq4_nl" },
    { "iq2_xs", "iq4_nl" },  { "iq2_s", "iq4_nl" },   { "iq3_xxs", "iq4_nl" },
    { "iq3_s", "iq4_nl" },   { "iq4_xs", "iq4_nl" },  { "q2_0", "q4_0" },
    { "q2_k", "q4_0" },      { "q3_k", "q4_0" },      { "tq1_0", "q4_0" },
    { "tq2_0", "q4_0" },     { "q4_k", "q5_0" },      { "q5_k", "q5_1" },
    { "q6_k", "q8_0" },      { "q8_0", NULL },        { "q4_0", NULL },
    { "q4_1", NULL },        { "q5_0", NULL },        { "q5_1", NULL },
    { "iq4_nl", NULL },      { "mxfp4_gguf", NULL },  { "nvfp4_gguf", NULL },
    { "q1_0", NULL },
};

static void check(const char *from, const char *to, uint64_t cols)
{
    lq_error error = LQ_ERROR_INIT;
    lq_weight w = LQ_WEIGHT_INIT;
    lq_choice choice = { .struct_size = sizeof choice, .action = LQ_ENCODE,
                         .tail = LQ_TAIL_FALLBACK, .reason = "", .spec = test_spec(from) };
    char reason[192] = "", text[LQ_SPEC_TEXT] = "";
    lq_status st;

    w.name = "blk.0.ffn_up.weight";
    w.shape = (lq_shape){ 1, 4, cols };
    st = lqi_choose_tail(&w, LQ_CONTAINER_GGUF, NULL, &choice, reason, sizeof reason, &error);
    if (!to) {
        if (st != LQ_ERR_SHAPE)
            fail_msg("%s, %llu columns: not refused", from, (unsigned long long)cols);
        return;
    }
    assert_int_equal(st, LQ_OK);
    lq_spec_print(&choice.spec, text, sizeof text);
    if (strcmp(text, to))
        fail_msg("%s, %llu columns: %s, not %s", from, (unsigned long long)cols, text, to);
    assert_non_null(strstr(reason, to));
}

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        lq_spec spec = test_spec(rows[i].from);
        lq_format_info info = LQ_FORMAT_INFO_INIT;
        assert_int_equal(lq_format_get(spec.format, &info), LQ_OK);
        if (160 % info.block_len)
            check(rows[i].from, rows[i].to, 160);
        check(rows[i].from, rows[i].to ? "f16" : NULL, 100);
    }
}

/* Every GGUF type for weights is in the table above. */
static void complete(void **state)
{
    (void)state;
    for (int i = 0; i < LQI_FORMATS; i++) {
        const lqi_format *f = lqi_formats[i];
        size_t k = 0;
        if (f->gguf < 0 || f->dtype || !strcmp(f->name, "q8_1") || !strcmp(f->name, "q8_k"))
            continue;
        while (k < COUNT(rows) && strcmp(rows[k].from, f->name))
            k++;
        if (k == COUNT(rows))
            fail_msg("%s is not in the table", f->name);
    }
}

static void output(void **state)
{
    static const struct { const char *spec, *to; uint64_t cols; } cases[] = {
        { "q4_0", "q6_k", 256 },    { "q4_k", "q6_k", 256 },   { "q4_k", "q8_0", 160 },
        { "q8_0", "q8_0", 256 },    { "iq1_s", "q5_k", 256 },  { "iq1_m", "q5_k", 256 },
        { "iq2_xxs", "q5_k", 256 }, { "iq2_xs", "q5_k", 256 }, { "iq2_s", "q5_k", 256 },
        { "iq3_xxs", "q5_k", 256 }, { "iq3_s", "q6_k", 256 },  { "iq4_xs", "q6_k", 256 },
        { "tq1_0", "q6_k", 256 },   { "f16", "f16", 256 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        lq_spec spec = test_spec(cases[i].spec), f32 = test_spec("f32");
        lq_choice choice = { .struct_size = sizeof choice };
        lq_weight w = LQ_WEIGHT_INIT;
        char text[LQ_SPEC_TEXT] = "";
        w.name = "output.weight";
        w.spec = &f32;
        w.n_dims = 2;
        w.shape = (lq_shape){ 1, 8, cases[i].cols };
        assert_int_equal(lq_choose_default(&w, &spec, LQ_CONTAINER_GGUF, &choice), LQ_OK);
        lq_spec_print(&choice.spec, text, sizeof text);
        if (strcmp(text, cases[i].to))
            fail_msg("%s: %s, not %s", cases[i].spec, text, cases[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table), cmocka_unit_test(complete), cmocka_unit_test(output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
