/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/rope.c - scaled rotary positions in GGUF, and the functions behind them
 */
#include <math.h>

#include "lib/base/mathx.h"
#include "tests/convert/util.h"

#define HEAD \
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", " \
    "\"hidden_size\": 256, \"intermediate_size\": 96, \"num_hidden_layers\": 1, " \
    "\"num_attention_heads\": 2, \"vocab_size\": 40, "
#define LLAMA3 \
    "\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, " \
    "\"original_max_position_embeddings\": 8192"

static const made tensors[] = {
    { "model.embed_tokens.weight", LQ_F32, 2, { 40, 256 }, NULL },
    { "model.norm.weight", LQ_F32, 1, { 256 }, NULL },
};

static lq_status convert(const folder *f, const lq_ctx *ctx, const char *config,
                         lq_checkpoint **cp)
{
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o;
    char in[512];
    lq_status st;

    strcpy(in, folder_path(f, "model"));
    made_write(ctx, in, LQ_CONTAINER_DIRECTORY, config, tensors, COUNT(tensors));
    lq_convert_opts_init(&o);
    lq_spec f16 = test_spec("f16");
    o.spec = &f16;
    st = lq_convert(ctx, in, folder_path(f, "model.gguf"), &o, &error);
    if (!st)
        *cp = open_checkpoint(ctx, folder_path(f, "model.gguf"));
    return st;
}

/* Llama 3.1 8B: head size 128, theta 500000.  The factors that llama.cpp's converter writes:
 * ones up to dimension 28, a blend, 8 from dimension 35: wavelengths 2048 and 8192. */
static void llama3(void **state)
{
    static const char *const configs[] = {
        HEAD "\"rope_theta\": 500000.0, \"rope_scaling\": {\"rope_type\": \"llama3\", " LLAMA3 "}}",
        HEAD "\"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": \"llama3\", "
        LLAMA3 "}}"
    };

    for (size_t k = 0; k < COUNT(configs); k++) {
        lq_checkpoint *cp = NULL;
        lq_weight w;
        folder f;
        float *y;
        folder_make(&f);
        assert_int_equal(convert(&f, *state, configs[k], &cp), LQ_OK);
        y = decode_weight(cp, "rope_freqs.weight", &w);
        assert_int_equal(w.spec->format, LQ_FORMAT_F32);
        assert_int_equal(w.n_dims, 1);
        assert_int_equal(w.dims[0], 64);
        for (int i = 0; i < 64; i++) {
            double length = 6.283185307179586 * pow(500000, i / 64.0), want = 1;
            double smooth = (8192 / length - 1) / 3;
            if (length > 8192)
                want = 8;
            else if (length > 2048)
                want = 1 / ((1 - smooth) / 8 + smooth);
            assert_true(fabs((double)y[i] - want) <= 2e-6 * want);
        }
        assert_true(y[28] == 1 && y[29] > 1 && y[34] < 8 && y[35] == 8);
        free(y);
        lq_checkpoint_destroy(cp);
        folder_clear(f.path, 1);
    }
}

static void linear(void **state)
{
    lq_checkpoint *cp = NULL;
    lq_meta m = LQ_META_INIT;
    uint64_t index;
    float factor;
    folder f;

    folder_make(&f);
    assert_int_equal(convert(&f, *state, HEAD "\"rope_scaling\": {\"type\": \"linear\", "
                             "\"factor\": 2.5}}", &cp), LQ_OK);
    assert_int_equal(lq_checkpoint_find(cp, "rope_freqs.weight", &index), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_file_meta_find(lq_checkpoint_file(cp), "llama.rope.scaling.factor",
                                       &m), LQ_OK);
    memcpy(&factor, m.data, 4);
    assert_true(m.type == LQ_META_F32 && factor == 2.5f);
    assert_int_equal(lq_file_meta_find(lq_checkpoint_file(cp), "llama.rope.scaling.type", &m),
                     LQ_OK);
    lq_checkpoint_destroy(cp);
    folder_clear(f.path, 1);
}

static void refused(void **state)
{
    static const struct { const char *config; lq_status status; } cases[] = {
        { HEAD "\"rope_scaling\": {\"type\": \"longrope\"}}", LQ_ERR_UNSUPPORTED },
        { HEAD "\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 0}}", LQ_ERR_CORRUPT },
        { HEAD "\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 1e300}}", LQ_ERR_CORRUPT },
        { HEAD "\"rope_scaling\": {\"type\": \"llama3\", \"low_freq_factor\": 4}}",
          LQ_ERR_CORRUPT },
        { HEAD "\"head_dim\": 3, \"rope_scaling\": {\"type\": \"llama3\"}}", LQ_ERR_CORRUPT },
        { HEAD "\"rope_scaling\": {\"rope_type\": \"default\"}}", LQ_OK },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        lq_checkpoint *cp = NULL;
        folder f;
        folder_make(&f);
        assert_int_equal(convert(&f, *state, cases[i].config, &cp), cases[i].status);
        lq_checkpoint_destroy(cp);
        folder_clear(f.path, 1);
    }
}

/* Against libm, which is right to about one unit in the last place of a double. */
static void functions(void **state)
{
    (void)state;
    for (int i = 1; i < 20000; i++) {
        double x = i * 0.37, y = (i % 601 - 300) * 0.031;
        assert_true(fabs(lqi_log(x) - log(x)) <= 1e-14 * (fabs(log(x)) + 1e-2));
        assert_true(fabs(lqi_log(1 / x) - log(1 / x)) <= 1e-14 * (fabs(log(x)) + 1e-2));
        assert_true(fabs(lqi_exp(y) / exp(y) - 1) <= 1e-14);
        assert_true(fabs(lqi_pow(x, y / 10) / pow(x, y / 10) - 1) <= 2e-14);
    }
    assert_true(lqi_log(1) == 0 && lqi_exp(0) == 1);
}

static void names(void **state)
{
    char name[LQ_GGUF_NAME];

    (void)state;
    assert_int_equal(lq_gguf_name("lm_head.weight", name, sizeof name), LQ_OK);
    assert_string_equal(name, "output.weight");
    assert_int_equal(lq_gguf_name("model.layers.12.mlp.down_proj.weight", name, sizeof name),
                     LQ_OK);
    assert_string_equal(name, "blk.12.ffn_down.weight");
    assert_int_equal(lq_gguf_name("model.layers.12.mlp.down_proj.weight", name, 22),
                     LQ_ERR_BUFFER);
    assert_int_equal(lq_gguf_name("model.layers.12.mlp.down_proj", name, sizeof name),
                     LQ_ERR_NOTFOUND);
    assert_int_equal(lq_gguf_name("model.layers..mlp.down_proj.weight", name, sizeof name),
                     LQ_ERR_NOTFOUND);
    assert_int_equal(lq_gguf_name(NULL, name, sizeof name), LQ_ERR_ARG);
}

static int setup(void **state)
{
    *state = test_ctx(LQ_LEVEL_REF, 1);
    return 0;
}

static int teardown(void **state)
{
    lq_ctx_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama3), cmocka_unit_test(linear), cmocka_unit_test(refused),
        cmocka_unit_test(functions), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
