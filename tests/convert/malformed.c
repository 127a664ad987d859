/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/malformed.c - companions and configs that are wrong, each with its status
 *
 * The cases P1-P3 and P5-P8 of the catalogue of bad input.
 */
#include <math.h>

#include "tests/convert/util.h"

static lq_ctx *ctx;
static folder f;

static int setup(void **state)
{
    (void)state;
    ctx = test_ctx(LQ_LEVEL_REF, 1);
    folder_make(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lq_ctx_destroy(ctx);
    folder_clear(f.path, 1);
    return 0;
}

/* Load and decode the first weight. */
static lq_status load(const lq_checkpoint *cp)
{
    lq_error error = LQ_ERROR_INIT;
    lq_weight w = LQ_WEIGHT_INIT;
    lq_tensor *t = NULL;
    lq_status st;

    assert_int_equal(lq_checkpoint_weight(cp, 0, &w), LQ_OK);
    if (!w.spec)
        return LQ_OK;
    st = lq_checkpoint_load(cp, 0, &t, &error);
    if (st)
        assert_true(error.name[0] && strstr(error.message, error.name));
    else
        free(decode_weight(cp, w.name, &w));
    lq_tensor_destroy(t);
    return st;
}

/* Status of opening a file with these tensors, and of loading; the error names one. */
static lq_status try(const char *config, const made *tensors, size_t count)
{
    const char *path = folder_path(&f, "x.safetensors");
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *cp = NULL;
    lq_status st;

    made_write(ctx, path, LQ_CONTAINER_SAFETENSORS, config, tensors, count);
    st = lq_checkpoint_open(ctx, path, NULL, &cp, &error);
    unlink(path);
    if (st) {
        assert_null(cp);
        assert_int_equal(error.status, st);
        assert_true(error.message[0] != 0);
    } else {
        st = load(cp);
    }
    lq_checkpoint_destroy(cp);
    return st;
}

/* --------------------------------------------------------------------- GPTQ */

static uint32_t words[256], zeros_v1[8], zeros_v2[8], zeros_odd[8];
static uint16_t ones[64];
static int32_t groups[64], bad_group[64], mixed_groups[64];
static float floats[256];

enum { QWEIGHT, QZEROS, SCALES, G_IDX, GPTQ_COUNT };

/* [out 32, in 64] in groups of 32. */
static void gptq(made t[GPTQ_COUNT])
{
    const made good[GPTQ_COUNT] = {
        { "l.qweight", LQ_I32, 2, { 8, 32 }, words },
        { "l.qzeros", LQ_I32, 2, { 2, 4 }, zeros_v1 },
        { "l.scales", LQ_F16, 2, { 2, 32 }, ones },
        { "l.g_idx", LQ_I32, 1, { 64 }, groups },
    };

    for (int i = 0; i < 64; i++) {
        ones[i] = 0x3c00;
        groups[i] = bad_group[i] = mixed_groups[i] = i / 32;
    }
    for (int i = 0; i < 8; i++) {
        zeros_v1[i] = 0x77777777;
        zeros_v2[i] = 0x88888888;
        zeros_odd[i] = 0x12345678;
    }
    bad_group[40] = 2;
    mixed_groups[0] = 1;
    mixed_groups[63] = 0;
    memcpy(t, good, sizeof good);
}

#define CONFIG(rest) "{\"quant_method\": \"gptq\", " rest "}"

static void gptq_configs(void **state)
{
    static const struct { const char *config; lq_status status; } cases[] = {
        { CONFIG("\"bits\": 4, \"group_size\": 32, \"sym\": true, \"desc_act\": false"), LQ_OK },
        { CONFIG("\"bits\": 4, \"group_size\": 32, \"checkpoint_format\": \"gptq_v2\""), LQ_OK },
        { CONFIG("\"bits\": 0, \"group_size\": 32"), LQ_ERR_ARG },
        { CONFIG("\"bits\": 1, \"group_size\": 32"), LQ_ERR_ARG },
        { CONFIG("\"bits\": 5, \"group_size\": 32"), LQ_ERR_ARG },
        { CONFIG("\"bits\": 33, \"group_size\": 32"), LQ_ERR_ARG },
        { CONFIG("\"bits\": 8, \"group_size\": 32"), LQ_ERR_MISMATCH },
        { CONFIG("\"bits\": \"4\", \"group_size\": 32"), LQ_ERR_CORRUPT },
        { CONFIG("\"bits\": 4, \"group_size\": 0"), LQ_ERR_ARG },
        { CONFIG("\"bits\": 4, \"group_size\": -2"), LQ_ERR_ARG },
        { CONFIG("\"bits\": 4, \"group_size\": 48"), LQ_ERR_SHAPE },
        { CONFIG("\"bits\": 4, \"group_size\": 64"), LQ_ERR_MISMATCH },
        { CONFIG("\"bits\": 4, \"group_size\": -1"), LQ_ERR_MISMATCH },
        { CONFIG("\"bits\": 4, \"checkpoint_format\": \"marlin\""), LQ_ERR_UNSUPPORTED },
        { "{\"quant_method\": \"aqlm\"}", LQ_ERR_UNSUPPORTED },
        { "{\"quant_method\": 7}", LQ_ERR_CORRUPT },
        { "[]", LQ_ERR_CORRUPT },
        { "{\"quantization_config\": 3}", LQ_ERR_CORRUPT },
        { "{\"quant_method\":", LQ_ERR_FORMAT },
        { NULL, LQ_OK },
    };
    made t[GPTQ_COUNT];

    (void)state;
    gptq(t);
    for (size_t i = 0; i < COUNT(cases); i++) {
        lq_status st = try(cases[i].config, t, GPTQ_COUNT);
        if (st != cases[i].status)
            fail_msg("%s: %s", cases[i].config, lq_status_name(st));
    }
}

static void gptq_tensors(void **state)
{
    static const char config[] = CONFIG("\"bits\": 4, \"group_size\": 32, \"desc_act\": true");
    static const char in_order[] = CONFIG("\"bits\": 4, \"group_size\": 32, \"desc_act\": false");
    made t[GPTQ_COUNT];

    (void)state;
    gptq(t);
    assert_int_equal(try(config, t, GPTQ_COUNT), LQ_OK);
    t[G_IDX].data = bad_group;
    assert_int_equal(try(config, t, GPTQ_COUNT), LQ_ERR_CORRUPT);
    t[G_IDX].data = mixed_groups;
    assert_int_equal(try(config, t, GPTQ_COUNT), LQ_OK);
    assert_int_equal(try(in_order, t, GPTQ_COUNT), LQ_ERR_MISMATCH);
    t[G_IDX].dims[0] = 63;
    assert_int_equal(try(config, t, GPTQ_COUNT), LQ_ERR_SHAPE);
    gptq(t);
    t[QZEROS].dims[0] = 1;
    assert_int_equal(try(config, t, GPTQ_COUNT), LQ_ERR_SHAPE);
    gptq(t);
    t[QZEROS].dims[1] = 3;
    assert_int_equal(try(config, t, GPTQ_COUNT), LQ_ERR_MISMATCH);
    gptq(t);
    t[QWEIGHT].dtype = LQ_F32;
    t[QWEIGHT].data = floats;
    assert_int_equal(try(config, t, GPTQ_COUNT), LQ_ERR_CORRUPT);
    gptq(t);
    t[SCALES].dims[1] = 31;
    assert_int_equal(try(config, t, GPTQ_COUNT), LQ_ERR_SHAPE);
    gptq(t);
    assert_int_equal(try(config, t, 2), LQ_ERR_NOTFOUND);       /* no scales */
    assert_int_equal(try(config, t + 1, 3), LQ_ERR_NOTFOUND);   /* no qweight */
    t[QZEROS].data = zeros_odd;
    assert_int_equal(try(NULL, t, GPTQ_COUNT), LQ_ERR_UNSUPPORTED);
    t[QZEROS].data = zeros_v2;
    assert_int_equal(try(NULL, t, GPTQ_COUNT), LQ_OK);
}

/* Version 2 zero points under the label of version 1: decoded as what they are. */
static void gptq_mislabelled(void **state)
{
    const char *path = folder_path(&f, "m.safetensors");
    made t[GPTQ_COUNT];

    (void)state;
    gptq(t);
    for (int v = 0; v < 2; v++) {
        lq_checkpoint *cp;
        lq_weight w;
        float *y;
        t[QZEROS].data = v ? zeros_v2 : zeros_v1;
        made_write(ctx, path, LQ_CONTAINER_SAFETENSORS,
                   CONFIG("\"bits\": 4, \"group_size\": 32, \"sym\": true, "
                          "\"checkpoint_format\": \"gptq\""), t, GPTQ_COUNT);
        cp = open_checkpoint(ctx, path);
        y = decode_weight(cp, "l.weight", &w);
        for (int i = 0; i < 32 * 64; i++)
            assert_true(y[i] == -8.0f);         /* code 0, zero point 8, scale 1 */
        free(y);
        lq_checkpoint_destroy(cp);
        unlink(path);
    }
}

/* ------------------------------------------------------------- bitsandbytes */

static const float nf4[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f
};

static lq_status try_bnb(const char *config, const char *state, uint64_t blocks,
                         const float *map, size_t count)
{
    made t[] = {
        { "l.weight", LQ_U8, 2, { 512, 1 }, words },
        { "l.weight.absmax", LQ_F32, 1, { blocks }, floats },
        { "l.weight.quant_map", LQ_F32, 1, { 16 }, map },
        { "l.weight.quant_state.bitsandbytes__nf4", LQ_U8, 1, { strlen(state) }, state },
    };

    return try(config, t, count);
}

static void bnb(void **state)
{
    static const char good[] = "{\"quant_type\": \"nf4\", \"blocksize\": 64, "
                               "\"dtype\": \"bfloat16\", \"shape\": [16, 64]}";
    static const struct { const char *state; lq_status status; } states[] = {
        { good, LQ_OK },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"dtype\":\"float32\",\"shape\":[1024]} ",
          LQ_OK },
        { "{\"quant_type\":\"nf4\",\"blocksize\":63,\"shape\":[16,64]}", LQ_ERR_CORRUPT },
        { "{\"quant_type\":\"nf4\",\"blocksize\":8192,\"shape\":[16,64]}", LQ_ERR_CORRUPT },
        { "{\"quant_type\":\"nf4\",\"blocksize\":0,\"shape\":[16,64]}", LQ_ERR_CORRUPT },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[16,65]}", LQ_ERR_SHAPE },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[-1,64]}", LQ_ERR_CORRUPT },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,"
          "\"shape\":[4294967296,4294967296,4294967296]}", LQ_ERR_OVERFLOW },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64}", LQ_ERR_CORRUPT },
        { "{\"quant_type\":\"fp4\",\"blocksize\":64,\"shape\":[16,64]}", LQ_ERR_MISMATCH },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[16,64],"
          "\"nested_blocksize\":256}", LQ_ERR_CORRUPT },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[16,64],"
          "\"nested_blocksize\":256,\"nested_offset\":1}", LQ_ERR_CORRUPT },
        { "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[16,64],"
          "\"nested_blocksize\":256,\"nested_offset\":1e39}", LQ_ERR_NONFINITE },
        { "{\"quant_type\":\"nf4\xff\"}", LQ_ERR_CORRUPT },
        { "[1]", LQ_ERR_CORRUPT },
        { "", LQ_ERR_CORRUPT },
    };
    float map[16];

    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        lq_status st = try_bnb(NULL, states[i].state, 16, nf4, 4);
        if (st != states[i].status)
            fail_msg("%s: %s", states[i].state, lq_status_name(st));
    }
    assert_int_equal(try_bnb(NULL, good, 15, nf4, 4), LQ_ERR_SHAPE);
    assert_int_equal(try_bnb(NULL, good, 16, nf4, 3), LQ_ERR_NOTFOUND);
    memcpy(map, nf4, sizeof map);
    map[3] = (float)atof("nan");
    assert_int_equal(try_bnb(NULL, good, 16, map, 4), LQ_ERR_NONFINITE);
    map[3] = 0.25f;
    assert_int_equal(try_bnb(NULL, good, 16, map, 4), LQ_ERR_MISMATCH);
    assert_int_equal(try_bnb("{\"quant_method\": \"bitsandbytes\", "
                             "\"bnb_4bit_quant_type\": \"fp4\"}", good, 16, nf4, 4),
                     LQ_ERR_MISMATCH);
}

static void llm_int8(void **state)
{
    static const uint8_t one[1] = { 1 };
    made t[] = {
        { "l.weight", LQ_I8, 2, { 8, 16 }, words },
        { "l.SCB", LQ_F32, 1, { 8 }, floats },
        { "l.weight_format", LQ_U8, 0, { 0 }, words },
    };

    (void)state;
    assert_int_equal(try(NULL, t, 3), LQ_OK);
    assert_int_equal(try(NULL, t, 2), LQ_OK);
    assert_int_equal(try(NULL, t + 1, 1), LQ_ERR_NOTFOUND);
    t[2].data = one;
    assert_int_equal(try(NULL, t, 3), LQ_ERR_UNSUPPORTED);
    t[1].dims[0] = 7;
    assert_int_equal(try(NULL, t, 2), LQ_ERR_SHAPE);
    t[0].dtype = LQ_U8;
    t[1].dims[0] = 8;
    assert_int_equal(try(NULL, t, 2), LQ_ERR_CORRUPT);
}

/* ------------------------------------------------------------------ gpt-oss */

static void gpt_oss(void **state)
{
    static const char method[] = "{\"quant_method\": \"mxfp4\"}";
    uint8_t bytes[4 * 2 * 16] = { 0 };
    made t[] = {
        { "x_blocks", LQ_U8, 3, { 4, 2, 16 }, bytes },
        { "x_scales", LQ_U8, 2, { 4, 2 }, bytes },
    };

    (void)state;
    assert_int_equal(try(method, t, 2), LQ_OK);
    assert_int_equal(try(method, t, 1), LQ_ERR_NOTFOUND);
    t[1].dims[1] = 1;
    assert_int_equal(try(method, t, 2), LQ_ERR_SHAPE);
    t[1].dims[1] = 2;
    t[1].dtype = LQ_I8;
    assert_int_equal(try(method, t, 2), LQ_ERR_CORRUPT);
    t[1].dtype = LQ_U8;
    t[0].dims[2] = 8;
    assert_int_equal(try(method, t, 2), LQ_ERR_SHAPE);
    t[0].dims[2] = 16;
    t[0].dtype = LQ_I8;
    assert_int_equal(try(method, t, 2), LQ_ERR_CORRUPT);
}

/* ---------------------------------------------------------------------- fp8 */

static void fp8(void **state)
{
    static const char method[] = "{\"quant_method\": \"fp8\"}";
    made t[] = {
        { "l.weight", LQ_F8_E4M3, 2, { 16, 32 }, words },
        { "l.weight_scale_inv", LQ_F32, 2, { 1, 1 }, floats },
    };

    (void)state;
    assert_int_equal(try(method, t, 2), LQ_OK);
    assert_int_equal(try(NULL, t, 2), LQ_OK);
    assert_int_equal(try(method, t, 1), LQ_ERR_NOTFOUND);
    assert_int_equal(try(NULL, t, 1), LQ_OK);
    assert_int_equal(try("{\"quant_method\": \"fp8\", \"weight_block_size\": [16, 0]}", t, 2),
                     LQ_ERR_CORRUPT);
    assert_int_equal(try("{\"quant_method\": \"fp8\", \"weight_block_size\": [8, 32]}", t, 2),
                     LQ_ERR_SHAPE);
    assert_int_equal(try("{\"quant_method\": \"gptq\", "
                         "\"weight_scale_semantics\": \"inverse\"}", t, 2), LQ_ERR_NONFINITE);
    t[1].dtype = LQ_I32;
    assert_int_equal(try(method, t, 2), LQ_ERR_CORRUPT);
}

static void compressed_tensors(void **state)
{
#define CT(format, weights) "{\"quant_method\": \"compressed-tensors\", \"format\": \"" format \
    "\", \"config_groups\": {\"group_0\": {\"weights\": {" weights "}}}}"
    static const struct { const char *config; uint64_t dims[2]; lq_status status; } cases[] = {
        { CT("int-quantized", "\"num_bits\": 8, \"type\": \"int\""), { 16, 1 }, LQ_OK },
        { CT("int-quantized", "\"num_bits\": 4, \"type\": \"int\""), { 16, 1 },
          LQ_ERR_MISMATCH },
        { CT("int-quantized", "\"num_bits\": 8, \"type\": \"float\""), { 16, 1 },
          LQ_ERR_MISMATCH },
        { CT("int-quantized", "\"group_size\": 8"), { 16, 4 }, LQ_OK },
        { CT("int-quantized", "\"group_size\": 16"), { 16, 4 }, LQ_ERR_MISMATCH },
        { CT("pack-quantized", "\"num_bits\": 8"), { 16, 1 }, LQ_ERR_UNSUPPORTED },
        { NULL, { 16, 33 }, LQ_ERR_SHAPE },
        { NULL, { 15, 1 }, LQ_ERR_SHAPE },
        { NULL, { 1, 1 }, LQ_OK },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        made t[] = {
            { "l.weight", LQ_I8, 2, { 16, 32 }, words },
            { "l.weight_scale", LQ_F32, 2, { cases[i].dims[0], cases[i].dims[1] }, floats + 0 },
        };
        float *many = calloc(16 * 33, 4);
        t[1].data = many;
        lq_status st = try(cases[i].config, t, 2);
        free(many);
        if (st != cases[i].status)
            fail_msg("%zu: %s", i, lq_status_name(st));
    }
}

/* NaN and infinity nowhere, negative ones not where scales are magnitudes. */
static void scales(void **state)
{
    static const struct { float scale; lq_status fp8, int8; } cases[] = {
        { 0, LQ_OK, LQ_OK }, { 1, LQ_OK, LQ_OK }, { -1, LQ_ERR_CORRUPT, LQ_OK },
        { INFINITY, LQ_ERR_NONFINITE, LQ_ERR_NONFINITE },
        { NAN, LQ_ERR_NONFINITE, LQ_ERR_NONFINITE },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        float many[16];
        made t[] = {
            { "l.weight", LQ_F8_E4M3, 2, { 16, 32 }, words },
            { "l.weight_scale", LQ_F32, 2, { 16, 1 }, many },
        };
        for (int r = 0; r < 16; r++)
            many[r] = r == 11 ? cases[i].scale : 1;
        assert_int_equal(try(NULL, t, 2), cases[i].fp8);
        t[0].dtype = LQ_I8;
        assert_int_equal(try(NULL, t, 2), cases[i].int8);
    }
}

static void awq(void **state)
{
#define AWQ(more) "{\"quant_method\": \"awq\", \"group_size\": 32, \"bits\": 4" more "}"
    static const struct {
        const char *config;
        lq_dtype    dtype;
        uint64_t    words, scales;
        size_t      count;
        lq_status   status;
    } cases[] = {
        { AWQ(""), LQ_I32, 4, 32, 3, LQ_OK },
        { AWQ(", \"version\": \"GEMM\""), LQ_I32, 4, 32, 3, LQ_OK },
        { AWQ(", \"version\": \"marlin\""), LQ_I32, 4, 32, 3, LQ_ERR_UNSUPPORTED },
        { AWQ(", \"version\": \"gemv_fast\""), LQ_I32, 4, 32, 3, LQ_ERR_CORRUPT },
        { AWQ(", \"w_bit\": 3"), LQ_I32, 4, 32, 3, LQ_OK },
        { "{\"quant_method\": \"awq\", \"bits\": 3}", LQ_I32, 4, 32, 3, LQ_ERR_ARG },
        { "{\"quant_method\": \"awq\", \"group_size\": 0}", LQ_I32, 4, 32, 3, LQ_ERR_ARG },
        { "{\"quant_method\": \"awq\", \"group_size\": 24}", LQ_I32, 4, 32, 3, LQ_ERR_SHAPE },
        { AWQ(""), LQ_F32, 4, 32, 3, LQ_ERR_CORRUPT },
        { AWQ(""), LQ_I32, 3, 32, 3, LQ_ERR_SHAPE },
        { AWQ(""), LQ_I32, 4, 31, 3, LQ_ERR_SHAPE },
        { AWQ(""), LQ_I32, 4, 32, 2, LQ_ERR_NOTFOUND },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        made t[] = {
            { "l.qweight", cases[i].dtype, 2, { 32, 4 }, words },
            { "l.qzeros", LQ_I32, 2, { 1, cases[i].words }, words },
            { "l.scales", LQ_F16, 2, { 1, cases[i].scales }, ones },
        };
        lq_status st = try(cases[i].config, t, cases[i].count);
        if (st != cases[i].status)
            fail_msg("%zu: %s", i, lq_status_name(st));
    }
}

static void packed(void **state)
{
    static const int64_t shapes[][2] = { { 16, 32 }, { 16, 31 }, { 16, 33 }, { 0, 32 }, { -1, 2 } };
    static const struct {
        const char *config;
        size_t      shape;
        uint64_t    words, groups, indices;
        lq_status   status;
    } cases[] = {
        { CT("pack-quantized", "\"num_bits\": 4, \"group_size\": 16"), 0, 4, 2, 32, LQ_OK },
        { NULL, 0, 4, 2, 32, LQ_OK },
        { CT("pack-quantized", "\"num_bits\": 4"), 1, 4, 1, 31, LQ_OK },
        { CT("pack-quantized", "\"num_bits\": 4"), 2, 4, 1, 33, LQ_ERR_MISMATCH },
        { CT("pack-quantized", "\"num_bits\": 8"), 0, 4, 2, 32, LQ_ERR_MISMATCH },
        { CT("pack-quantized", "\"num_bits\": 9"), 0, 4, 2, 32, LQ_ERR_ARG },
        { CT("pack-quantized", "\"num_bits\": 4, \"group_size\": 8"), 0, 4, 2, 32,
          LQ_ERR_MISMATCH },
        { NULL, 0, 4, 0, 32, LQ_ERR_SHAPE }, { NULL, 3, 4, 2, 32, LQ_ERR_SHAPE },
        { NULL, 4, 4, 2, 32, LQ_ERR_SHAPE }, { NULL, 0, 4, 2, 31, LQ_ERR_SHAPE },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        float many[64] = { 1 };
        made t[] = {
            { "l.weight_packed", LQ_I32, 2, { 16, cases[i].words }, words },
            { "l.weight_scale", LQ_F32, 2, { 16, cases[i].groups }, many },
            { "l.weight_shape", LQ_I64, 1, { 2 }, shapes[cases[i].shape] },
            { "l.weight_g_idx", LQ_I32, 1, { cases[i].indices }, words },
        };
        lq_status st = try(cases[i].config, t, 4);
        if (st != cases[i].status)
            fail_msg("%zu: %s", i, lq_status_name(st));
        assert_int_equal(try(cases[i].config, t, 2), st == LQ_ERR_ARG ? st : LQ_ERR_NOTFOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gptq_configs), cmocka_unit_test(gptq_tensors),
        cmocka_unit_test(gptq_mislabelled), cmocka_unit_test(bnb), cmocka_unit_test(llm_int8),
        cmocka_unit_test(gpt_oss), cmocka_unit_test(fp8),
        cmocka_unit_test(compressed_tensors),
        cmocka_unit_test(scales), cmocka_unit_test(awq), cmocka_unit_test(packed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
