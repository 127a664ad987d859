/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/mixes.c - a mix by name through lq_convert()
 */
#include "tests/convert/util.h"

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", "
    "\"hidden_size\": 256, \"intermediate_size\": 256, \"num_hidden_layers\": 8, "
    "\"num_attention_heads\": 8, \"num_key_value_heads\": 2, \"vocab_size\": 40}";

static const made tensors[] = {
    { "lm_head.weight", LQ_F32, 2, { 8, 256 }, NULL },
    { "model.embed_tokens.weight", LQ_F32, 2, { 40, 256 }, NULL },
    { "model.layers.0.mlp.down_proj.weight", LQ_F32, 2, { 8, 256 }, NULL },
    { "model.layers.0.self_attn.v_proj.weight", LQ_F32, 2, { 8, 256 }, NULL },
    { "model.layers.1.mlp.down_proj.weight", LQ_F32, 2, { 8, 256 }, NULL },
    { "model.layers.1.mlp.up_proj.weight", LQ_F32, 2, { 8, 256 }, NULL },
    { "model.layers.2.mlp.down_proj.weight", LQ_F32, 2, { 8, 160 }, NULL },
    { "model.norm.weight", LQ_F32, 1, { 256 }, NULL },
};

static lq_ctx *ctx;
static folder f;

static int setup(void **state)
{
    (void)state;
    ctx = test_ctx(LQ_LEVEL_REF, 1);
    folder_make(&f);
    made_write(ctx, folder_path(&f, "model"), LQ_CONTAINER_DIRECTORY, config, tensors,
               COUNT(tensors));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lq_ctx_destroy(ctx);
    folder_clear(f.path, 1);
    return 0;
}

static void see(void *user, const lq_convert_report *r)
{
    if (!strcmp(r->name, "blk.0.ffn_down.weight"))
        snprintf(user, 192, "%s", r->reason);
}

static lq_status convert(const char *mix, const char *out, lq_convert_opts *o,
                         lq_error *error)
{
    char in[512];

    strcpy(in, folder_path(&f, "model"));
    o->mix = mix;
    o->replace = 1;
    return lq_convert(ctx, in, folder_path(&f, out), o, error);
}

static lq_format format(const lq_checkpoint *cp, const char *name)
{
    lq_weight w = LQ_WEIGHT_INIT;
    uint64_t index;

    assert_int_equal(lq_checkpoint_find(cp, name, &index), LQ_OK);
    assert_int_equal(lq_checkpoint_weight(cp, index, &w), LQ_OK);
    return w.spec->format;
}

static void choices(void **state)
{
    lq_format_info info = LQ_FORMAT_INFO_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_meta m = LQ_META_INIT;
    lq_checkpoint *cp;
    lq_convert_opts o;
    char reason[192] = "";
    uint32_t type;
    lq_status st;

    (void)state;
    lq_convert_opts_init(&o);
    o.tail = LQ_TAIL_FALLBACK;
    o.report = see;
    o.user = reason;
    st = convert("Q4_K_M", "m.gguf", &o, &error);
    if (st)
        fail_msg("%s", error.message);
    assert_string_equal(reason, "q4_k_m: ffn_down, more bits here");
    cp = open_checkpoint(ctx, folder_path(&f, "m.gguf"));
    assert_int_equal(format(cp, "output.weight"), LQ_FORMAT_Q6_K);
    assert_int_equal(format(cp, "token_embd.weight"), LQ_FORMAT_Q4_K);
    assert_int_equal(format(cp, "blk.0.ffn_down.weight"), LQ_FORMAT_Q6_K);
    assert_int_equal(format(cp, "blk.1.ffn_down.weight"), LQ_FORMAT_Q4_K);
    assert_int_equal(format(cp, "blk.1.ffn_up.weight"), LQ_FORMAT_Q4_K);
    assert_int_equal(format(cp, "blk.0.attn_v.weight"), LQ_FORMAT_Q6_K);
    type = lq_format_get(LQ_FORMAT_Q5_0, &info) ? LQ_FORMAT_Q8_0 : LQ_FORMAT_Q5_0;
    assert_int_equal(format(cp, "blk.2.ffn_down.weight"), type);
    assert_int_equal(lq_file_meta_find(lq_checkpoint_file(cp), "general.file_type", &m), LQ_OK);
    memcpy(&type, m.data, 4);
    assert_int_equal(type, 15);
    lq_checkpoint_destroy(cp);
}

static void refusals(void **state)
{
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o;

    (void)state;
    lq_convert_opts_init(&o);
    assert_int_equal(convert("q4_k_m", "n.gguf", &o, &error), LQ_ERR_SHAPE);   /* 160 columns */
    assert_int_equal(convert("q4_k_xl", "n.gguf", &o, &error), LQ_ERR_NOTFOUND);
    assert_int_equal(convert("q4_k_m", "n.safetensors", &o, &error), LQ_ERR_UNSUPPORTED);
    o.dequantize = 1;
    assert_int_equal(convert("q4_k_m", "n.gguf", &o, &error), LQ_ERR_ARG);
    assert_int_not_equal(access(folder_path(&f, "n.gguf"), F_OK), 0);
}

static void names(void **state)
{
    lq_spec spec = LQ_SPEC_INIT;
    size_t n = 0;

    (void)state;
    while (lq_mix_name(n))
        n++;
    assert_int_equal(n, 32);
    assert_int_equal(lq_mix_spec("q4_k_s", &spec), LQ_OK);
    assert_int_equal(spec.format, LQ_FORMAT_Q4_K);
    assert_int_equal(lq_mix_spec("nf4", &spec), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_mix_spec("q4_k_s", NULL), LQ_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices), cmocka_unit_test(refusals), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
