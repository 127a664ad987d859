/* SPDX-License-Identifier: MIT */
/*
 * tests/file/adapter.c - LoRA adapters: a file as PEFT writes it, there and back, what is
 * refused and with which words, memory
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/file/folder.h"
#include "tests/file/parse.h"

#include "lib/file/json_scan.h"
#include "libquant/libquant.h"

static folder here;
static lq_ctx *ctx;

/* ------------------------------------------------------------------- reading */

/* PEFT 0.15's members. */
#define MEMBERS \
    "\"auto_mapping\": null, \"base_model_name_or_path\": \"some/model\", " \
    "\"bias\": \"none\", " \
    "\"corda_config\": null, \"eva_config\": null, \"exclude_modules\": null, " \
    "\"fan_in_fan_out\": false, \"inference_mode\": true, \"init_lora_weights\": true, " \
    "\"layer_replication\": null, \"layers_pattern\": null, \"layers_to_transform\": null, " \
    "\"loftq_config\": {}, \"lora_bias\": false, \"lora_dropout\": 0.05, " \
    "\"megatron_config\": null, \"megatron_core\": \"megatron.core\", " \
    "\"modules_to_save\": null, \"revision\": null, " \
    "\"target_modules\": [\"q_proj\", \"up\"], " \
    "\"task_type\": \"CAUSAL_LM\", \"trainable_token_indices\": null, \"use_dora\": false"
#define CONFIG(more) "{" MEMBERS ", \"peft_type\": \"LORA\", " more "}"
#define PLAIN CONFIG("\"r\": 2, \"lora_alpha\": 8, \"use_rslora\": false, " \
                     "\"rank_pattern\": {}, \"alpha_pattern\": {}")

/* One F32 tensor of a header. */
#define TENSOR(name, rows, cols, from, to) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" #rows "," #cols "],\"data_offsets\":[" \
    #from "," #to "]}"
#define Q "base_model.model.model.layers.0.self_attn.q_proj"
#define UP "base_model.model.model.layers.0.mlp.up"
#define QA TENSOR(Q ".lora_A.weight", 2, 3, 0, 24)
#define QB TENSOR(Q ".lora_B.weight", 4, 2, 24, 56)

/* A safetensors file with this header and 'bytes' of data, floats 0.5, 1, 1.5... */
static uint8_t *weights_of(const char *header, unsigned data, uint64_t *bytes)
{
    uint8_t *file = image(header, strlen(header), data, bytes);

    for (unsigned i = 0; i < data / 4; i++) {
        float f = 0.5f * (float)(i + 1);
        memcpy(file + *bytes - data + 4 * i, &f, sizeof f);
    }
    return file;
}

static lq_status open_texts(const char *config, const char *header, unsigned data,
                            lq_adapter **adapter, lq_error *error)
{
    uint64_t bytes;
    uint8_t *file = weights_of(header, data, &bytes);
    lq_status status;

    lq_error_init(error);
    status = lq_adapter_open_memory(ctx, config, strlen(config), file, bytes, adapter, error);
    free(file);
    return status;
}

static void expect(const char *config, const char *header, unsigned data, lq_status wanted,
                   const char *name)
{
    lq_adapter *adapter = NULL;
    lq_error error;
    lq_status status = open_texts(config, header, data, &adapter, &error);

    if (status != wanted)
        print_error("%s\n", error.message);
    assert_string_equal(lq_status_name(status), lq_status_name(wanted));
    if (status) {
        assert_null(adapter);
        assert_int_equal(error.status, wanted);
        assert_string_not_equal(error.message, "");
        if (name)
            assert_string_equal(error.name, name);
    }
    lq_adapter_destroy(adapter);
}

static void as_peft_writes_it(void **state)
{
    lq_adapter *adapter = NULL;
    lq_adapter_config c = LQ_ADAPTER_CONFIG_INIT;
    lq_adapter_module m = LQ_ADAPTER_MODULE_INIT;
    lq_error error;
    uint64_t index = 9;

    (void)state;
    assert_int_equal(open_texts(PLAIN, "{\"__metadata__\":{\"format\":\"pt\"}," QB "," QA "}",
                                56, &adapter, &error), LQ_OK);
    assert_int_equal(lq_adapter_get_config(adapter, &c), LQ_OK);
    assert_string_equal(c.base_model, "some/model");
    assert_string_equal(c.task, "CAUSAL_LM");
    assert_true(c.rank == 2 && c.alpha == 8 && c.dropout == 0.05 && !c.rank_stabilised);
    assert_int_equal(c.target_count, 2);
    assert_string_equal(c.targets[0], "q_proj");
    assert_int_equal(lq_adapter_count(adapter), 1);
    assert_int_equal(lq_adapter_find(adapter, "model.layers.0.self_attn.q_proj", &index),
                     LQ_OK);
    assert_int_equal(index, 0);
    assert_int_equal(lq_adapter_find(adapter, "q_proj", &index), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_adapter_at(adapter, 1, &m), LQ_ERR_ARG);
    assert_int_equal(lq_adapter_at(adapter, 0, &m), LQ_OK);
    assert_true(m.rows == 4 && m.cols == 3 && m.rank == 2 && m.type == LQ_F32 && m.scale == 4);
    for (int i = 0; i < 6; i++)
        assert_true(((const float *)m.a)[i] == 0.5f * (float)(i + 1));
    for (int i = 0; i < 8; i++)
        assert_true(((const float *)m.b)[i] == 0.5f * (float)(i + 7));
    lq_adapter_destroy(adapter);
}

static float scale_with(const char *more)
{
    char config[2048];
    lq_adapter *adapter = NULL;
    lq_adapter_module m = LQ_ADAPTER_MODULE_INIT;
    lq_error error;

    snprintf(config, sizeof config, CONFIG("%s"), more);
    if (open_texts(config, "{" QA "," QB "}", 56, &adapter, &error) != LQ_OK)
        fail_msg("%s: %s", more, error.message);
    assert_int_equal(lq_adapter_at(adapter, 0, &m), LQ_OK);
    lq_adapter_destroy(adapter);
    return m.scale;
}

static void scales_and_patterns(void **state)
{
    (void)state;
    assert_true(scale_with("\"r\": 2, \"lora_alpha\": 3") == 1.5f);
    assert_true(scale_with("\"r\": 2, \"lora_alpha\": 2.5e-1, \"use_rslora\": true") ==
                (float)(0.25 / sqrt(2)));
    assert_true(scale_with("\"r\": 8, \"lora_alpha\": 3, \"rank_pattern\": {\"q_proj\": 2}") ==
                1.5f);
    assert_true(scale_with("\"r\": 2, \"lora_alpha\": 3, \"alpha_pattern\": "
                           "{\"proj\": 5, \"self_attn.q_proj\": 4, \"q_proj\": 7}") == 2);
    assert_true(scale_with("\"r\": 2, \"lora_alpha\": -1") == -0.5f);
}

static void bad_configs(void **state)
{
    static const struct { const char *config; lq_status status; const char *name; } cases[] = {
        { "", LQ_ERR_FORMAT, NULL },
        { "[1]", LQ_ERR_FORMAT, NULL },
        { "{\"r\": 2", LQ_ERR_FORMAT, NULL },
        { "{\"r\": 2, \"lora_alpha\": 4}", LQ_ERR_NOTFOUND, "peft_type" },
        { CONFIG("\"r\": 2"), LQ_ERR_NOTFOUND, "lora_alpha" },
        { CONFIG("\"lora_alpha\": 4"), LQ_ERR_NOTFOUND, "r" },
        { CONFIG("\"r\": 2, \"lora_alpha\": 4, \"r\": 2"), LQ_ERR_DUPLICATE, "r" },
        { PLAIN " x", LQ_ERR_FORMAT, NULL },
        { "{\"peft_type\": \"IA3\", \"r\": 2, \"lora_alpha\": 4}", LQ_ERR_UNSUPPORTED,
          "peft_type" },
        { "{\"peft_type\": 7, \"r\": 2, \"lora_alpha\": 4}", LQ_ERR_CORRUPT, "peft_type" },
        { "{\"peft_type\": \"LORA\", \"r\": 0, \"lora_alpha\": 4}", LQ_ERR_CORRUPT, "r" },
        { "{\"peft_type\": \"LORA\", \"r\": 2.5, \"lora_alpha\": 4}", LQ_ERR_CORRUPT, "r" },
        { "{\"peft_type\": \"LORA\", \"r\": -1, \"lora_alpha\": 4}", LQ_ERR_CORRUPT, "r" },
        { "{\"peft_type\": \"LORA\", \"r\": \"2\", \"lora_alpha\": 4}", LQ_ERR_CORRUPT, "r" },
        { "{\"peft_type\": \"LORA\", \"r\": 1e99, \"lora_alpha\": 4}", LQ_ERR_CORRUPT, "r" },
        { "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 0}", LQ_ERR_CORRUPT,
          "lora_alpha" },
        { "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 1e999}", LQ_ERR_CORRUPT,
          "lora_alpha" },
        { CONFIG("\"r\": 2, \"lora_alpha\": 4, \"use_rslora\": 1"), LQ_ERR_CORRUPT,
          "use_rslora" },
        { CONFIG("\"r\": 2, \"lora_alpha\": 4, \"rank_pattern\": {\"q.*\": 2}"),
          LQ_ERR_UNSUPPORTED, "q.*" },
        { CONFIG("\"r\": 2, \"lora_alpha\": 4, \"rank_pattern\": {\"q\": 0}"), LQ_ERR_CORRUPT,
          "q" },
        { CONFIG("\"r\": 2, \"lora_alpha\": 4, \"alpha_pattern\": []"), LQ_ERR_CORRUPT,
          "alpha_pattern" },
        { CONFIG("\"r\": 2, \"lora_alpha\": 4, \"use_qalora\": true"), LQ_ERR_UNSUPPORTED,
          "use_qalora" },
        { CONFIG("\"r\": 2, \"lora_alpha\": 4, \"target_parameters\": [\"w\"]"),
          LQ_ERR_UNSUPPORTED, "target_parameters" },
        { "{\"peft_type\": \"LORA\", \"use_dora\": true", LQ_ERR_UNSUPPORTED, "use_dora" },
        { "{\"peft_type\": \"LORA\", \"bias\": \"all\"", LQ_ERR_UNSUPPORTED, "bias" },
        { "{\"bias\": 3", LQ_ERR_CORRUPT, "bias" },
        { "{\"init_lora_weights\": \"pissa\"", LQ_ERR_UNSUPPORTED, "init_lora_weights" },
        { "{\"modules_to_save\": [\"lm_head\"]", LQ_ERR_UNSUPPORTED, "modules_to_save" },
        { "{\"target_modules\": [1]", LQ_ERR_CORRUPT, "target_modules" },
        { "{\"target_modules\": [\"a\", [", LQ_ERR_CORRUPT, "target_modules" },
        { "{\"target_modules\": 5", LQ_ERR_CORRUPT, "target_modules" },
        { "{\"task_type\": {}", LQ_ERR_CORRUPT, "task_type" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].config, "{" QA "," QB "}", 56, cases[i].status, cases[i].name);
    expect(PLAIN, "{" QA "," QB "}", 56, LQ_OK, NULL);
}

static void bad_weights(void **state)
{
    (void)state;
    expect(PLAIN, "{}", 0, LQ_ERR_NOTFOUND, NULL);
    expect(PLAIN, "{" QA "}", 24, LQ_ERR_NOTFOUND, Q ".lora_A.weight");
    expect(PLAIN, "{" TENSOR(Q ".lora_B.weight", 4, 2, 0, 32) "}", 32, LQ_ERR_NOTFOUND,
           Q ".lora_B.weight");
    expect(PLAIN, "{" QA "," QB "," TENSOR("lm_head.weight", 1, 1, 56, 60) "}", 60,
           LQ_ERR_UNSUPPORTED, "lm_head.weight");
    expect(PLAIN, "{" QA "," QB "," TENSOR(Q ".lora_magnitude_vector", 1, 1, 56, 60) "}", 60,
           LQ_ERR_UNSUPPORTED, Q ".lora_magnitude_vector");
    expect(PLAIN, "{" TENSOR("base_model.model.lora_A.weight", 1, 1, 0, 4) "}", 4,
           LQ_ERR_UNSUPPORTED, "base_model.model.lora_A.weight");
    expect(PLAIN, "{\"" Q ".lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":"
           "[0,24]}," QB "}", 56, LQ_ERR_SHAPE, Q ".lora_A.weight");
    expect(PLAIN, "{\"" Q ".lora_A.weight\":{\"dtype\":\"I32\",\"shape\":[2,3],"
           "\"data_offsets\":[0,24]}," QB "}", 56, LQ_ERR_UNSUPPORTED, Q ".lora_A.weight");
    expect(PLAIN, "{\"" Q ".lora_A.weight\":{\"dtype\":\"BF16\",\"shape\":[2,6],"
           "\"data_offsets\":[0,24]}," QB "}", 56, LQ_ERR_MISMATCH, Q ".lora_B.weight");
    expect(PLAIN, "{" QA "," TENSOR(Q ".lora_B.weight", 8, 1, 24, 56) "}", 56, LQ_ERR_MISMATCH,
           Q ".lora_B.weight");
    expect(PLAIN, "{" TENSOR(Q ".lora_A.weight", 3, 2, 0, 24) ","
           TENSOR(Q ".lora_B.weight", 1, 3, 24, 36) "}", 36, LQ_ERR_MISMATCH,
           Q ".lora_A.weight");
    expect(PLAIN, "{" QA "," QB "}", 52, LQ_ERR_TRUNCATED, NULL);
    expect(PLAIN, "", 0, LQ_ERR_FORMAT, NULL);
    expect(CONFIG("\"r\": 2, \"lora_alpha\": 1e-300"), "{" QA "," QB "}", 56, LQ_ERR_NUMERIC,
           Q ".lora_A.weight");
}

static void odd_numbers(void **state)
{
    static const uint8_t nan[] = { 0, 0, 0xc0, 0x7f };
    uint64_t bytes;
    uint8_t *file = weights_of("{" QA "," QB "}", 56, &bytes);
    lq_adapter *adapter = NULL;
    lq_error error = LQ_ERROR_INIT;

    (void)state;
    memcpy(file + bytes - 4, nan, sizeof nan);
    assert_int_equal(lq_adapter_open_memory(ctx, PLAIN, strlen(PLAIN), file, bytes, &adapter,
                                            &error), LQ_ERR_NONFINITE);
    assert_string_equal(error.name, Q ".lora_B.weight");
    assert_null(adapter);
    free(file);
}

static void decimals(void **state)
{
    static const char *const texts[] = {
        "0", "-0.0", "1", "0.05", "0.1", "16", "1e3", "2.5E-4", "123456789.125", "5e-324",
        "9007199254740991", "0.30000000000000004", "1e-300", "1.7976931348623157e308",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double v = 77, want = strtod(texts[i], NULL);
        lqi_json json;

        lqi_json_start(&json, texts[i], strlen(texts[i]));
        assert_int_equal(lqi_json_next(&json), LQI_JSON_NUMBER);
        assert_int_equal(lqi_json_f64(&json, &v), 1);
        if (!(fabs(v - want) <= 1e-15 * fabs(want)))
            fail_msg("%s: %.17g", texts[i], v);
    }
}

/* ------------------------------------------------------------------- writing */

static void module_of(lq_adapter_module *m, const char *name, uint64_t rows, uint64_t cols,
                      uint32_t rank, lq_dtype type, void *a, void *b)
{
    lq_adapter_module_init(m);
    m->name = name;
    m->rows = rows;
    m->cols = cols;
    m->rank = rank;
    m->type = type;
    m->a = a;
    m->b = b;
}

static float fa[30000], fb[30000];
static uint16_t ha[64], hb[64];

static void two_modules(lq_adapter_module m[2])
{
    for (int i = 0; i < 30000; i++) {
        fa[i] = (float)i * 0.125f;
        fb[i] = -(float)i;
    }
    for (int i = 0; i < 64; i++) {
        ha[i] = (uint16_t)(0x3c00 + i);
        hb[i] = (uint16_t)(0xbc00 + i);
    }
    module_of(&m[0], "layers.0.q", 2500, 2000, 12, LQ_F32, fa, fb);
    module_of(&m[1], "layers.0.\"up\"", 5, 7, 3, LQ_BF16, ha, hb);
}

static void same_module(const lq_adapter *adapter, const lq_adapter_module *want, float scale)
{
    lq_adapter_module m = LQ_ADAPTER_MODULE_INIT;
    uint64_t index = 0, size = want->type == LQ_F32 ? 4 : 2;

    assert_int_equal(lq_adapter_find(adapter, want->name, &index), LQ_OK);
    assert_int_equal(lq_adapter_at(adapter, index, &m), LQ_OK);
    assert_true(m.rows == want->rows && m.cols == want->cols && m.rank == want->rank &&
                m.type == want->type);
    assert_true(fabsf(m.scale - scale) <= 1e-6f * fabsf(scale));
    assert_memory_equal(m.a, want->a, m.rank * m.cols * size);
    assert_memory_equal(m.b, want->b, m.rank * m.rows * size);
}

static void there_and_back(void **state)
{
    static const char *const targets[] = { "q", "\"up\"" };
    const char *path = folder_path(&here, "adapter");
    lq_adapter_config c = LQ_ADAPTER_CONFIG_INIT, back = LQ_ADAPTER_CONFIG_INIT;
    lq_adapter_module m[2];
    lq_adapter *adapter = NULL;
    lq_error error = LQ_ERROR_INIT;

    (void)state;
    two_modules(m);
    m[1].scale = 7;
    c.rank = 12;
    c.alpha = 24;
    c.dropout = 0.1;
    c.base_model = "models/kjv";
    c.rank_stabilised = 1;
    c.targets = targets;
    c.target_count = 2;
    assert_int_equal(lq_adapter_write(ctx, path, &c, m, 2, 0, &error), LQ_OK);
    assert_int_equal(folder_count(path), 2);
    assert_int_equal(lq_adapter_write(ctx, path, &c, m, 2, 0, &error), LQ_ERR_EXISTS);
    c.task = "CAUSAL_LM";
    assert_int_equal(lq_adapter_write(ctx, path, &c, m, 2, 1, &error), LQ_OK);
    if (lq_adapter_open(ctx, path, &adapter, &error) != LQ_OK)
        fail_msg("%s", error.message);
    assert_int_equal(lq_adapter_get_config(adapter, &back), LQ_OK);
    assert_true(back.rank == 12 && back.alpha == 24 && back.dropout == 0.1 &&
                back.rank_stabilised == 1 && back.target_count == 2);
    assert_string_equal(back.base_model, "models/kjv");
    assert_string_equal(back.task, "CAUSAL_LM");
    assert_string_equal(back.targets[1], "\"up\"");
    assert_int_equal(lq_adapter_count(adapter), 2);
    same_module(adapter, &m[0], 24 / sqrtf(12));
    same_module(adapter, &m[1], 7);
    lq_adapter_destroy(adapter);
}

static void bad_writing(void **state)
{
    const char *path = folder_path(&here, "bad");
    lq_adapter_config c = LQ_ADAPTER_CONFIG_INIT;
    lq_adapter_module m[2], x[2];
    lq_error error = LQ_ERROR_INIT;

    (void)state;
    two_modules(m);
    c.rank = 12;
    assert_int_equal(lq_adapter_write(ctx, path, &c, m, 2, 0, &error), LQ_ERR_ARG);
    c.alpha = 4;
    assert_int_equal(lq_adapter_write(ctx, path, &c, m, 0, 0, &error), LQ_ERR_ARG);
    assert_int_equal(lq_adapter_write(ctx, path, &c, NULL, 2, 0, &error), LQ_ERR_ARG);
    assert_int_equal(lq_adapter_write(NULL, path, &c, m, 2, 0, &error), LQ_ERR_ARG);
#define BAD(field, value, status) \
    memcpy(x, m, sizeof x); \
    x[1].field = value; \
    assert_int_equal(lq_adapter_write(ctx, path, &c, x, 2, 0, &error), status)
    BAD(name, NULL, LQ_ERR_ARG);
    BAD(name, m[0].name, LQ_ERR_DUPLICATE);
    BAD(name, "\xff", LQ_ERR_ARG);
    BAD(rank, 0, LQ_ERR_ARG);
    BAD(a, NULL, LQ_ERR_ARG);
    BAD(b, (char *)hb + 1, LQ_ERR_ALIGN);
    BAD(type, LQ_I8, LQ_ERR_UNSUPPORTED);
    BAD(scale, NAN, LQ_ERR_ARG);
#undef BAD
    c.dropout = NAN;
    assert_int_equal(lq_adapter_write(ctx, path, &c, m, 2, 0, &error), LQ_ERR_ARG);
    assert_int_equal(folder_count(here.path), 0);
    assert_int_equal(lq_adapter_open(ctx, path, &(lq_adapter *){ NULL }, &error),
                     LQ_ERR_NOTFOUND);
    assert_non_null(strstr(error.message, "adapter_config.json"));
    assert_int_equal(lq_adapter_open(ctx, path, NULL, &error), LQ_ERR_ARG);
    folder_text(&here, "adapter_config.json", PLAIN);
    assert_int_equal(lq_adapter_open(ctx, here.path, &(lq_adapter *){ NULL }, &error),
                     LQ_ERR_NOTFOUND);
    assert_non_null(strstr(error.message, "adapter_model.safetensors"));
}

/* -------------------------------------------------------------------- memory */

/* Every allocation fails once, reading and writing: a status, and nothing stays behind. */
static void no_memory(void **state)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    const char *path = folder_path(&here, "adapter");
    lq_adapter_config c = LQ_ADAPTER_CONFIG_INIT;
    lq_adapter_module m[2];
    lq_ctx *small = NULL;
    lq_adapter *adapter = NULL;
    lq_status status = LQ_ERR_NOMEM;
    counting memory = { 0, 0, -1 };
    long before, fail_at = 0;

    (void)state;
    two_modules(m);
    c.rank = 12;
    c.alpha = 4;
    opts.allocator = (lq_allocator){ counting_alloc, counting_free, &memory };
    assert_int_equal(lq_ctx_create(&opts, &small, NULL), LQ_OK);
    before = memory.live;
    for (; status; fail_at++) {
        memory.made = 0;
        memory.fail_at = fail_at;
        status = lq_adapter_write(small, path, &c, m, 2, 0, NULL);
        assert_true(!status || status == LQ_ERR_NOMEM);
        assert_int_equal(memory.live, before);
        assert_int_equal(folder_count(here.path), status ? 0 : 1);
    }
    assert_true(fail_at > 10);
    status = LQ_ERR_NOMEM;
    for (fail_at = 0; status; fail_at++) {
        memory.made = 0;
        memory.fail_at = fail_at;
        status = lq_adapter_open(small, path, &adapter, NULL);
        assert_true(status ? status == LQ_ERR_NOMEM && memory.live == before : 1);
    }
    assert_true(fail_at > 10);
    lq_adapter_destroy(adapter);
    assert_int_equal(memory.live, before);
    lq_ctx_destroy(small);
}

static int clean(void **state)
{
    (void)state;
    folder_clear(here.path, 0);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    folder_make(&here);
    return lq_ctx_create(NULL, &ctx, NULL) != LQ_OK;
}

static int end(void **state)
{
    (void)state;
    folder_remove(&here);
    lq_ctx_destroy(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_peft_writes_it), cmocka_unit_test(scales_and_patterns),
        cmocka_unit_test(bad_configs), cmocka_unit_test(bad_weights),
        cmocka_unit_test(odd_numbers), cmocka_unit_test(decimals),
        cmocka_unit_test_teardown(there_and_back, clean),
        cmocka_unit_test_teardown(bad_writing, clean),
        cmocka_unit_test_teardown(no_memory, clean),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
