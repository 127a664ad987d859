/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/hf_llama.c - a Hugging Face Llama directory to GGUF: names, order of
 * tensors and rows, keys, tokenizer
 */
#include "tests/convert/util.h"

#define HEADS 4
#define KV_HEADS 2
#define DIM 64

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", "
    "\"hidden_size\": 64, \"intermediate_size\": 96, \"num_hidden_layers\": 11, "
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"vocab_size\": 40, "
    "\"max_position_embeddings\": 512, \"rms_norm_eps\": 1e-05, \"rope_theta\": 500000.0, "
    "\"bos_token_id\": 1, \"eos_token_id\": [2, 3]}";

static const made tensors[] = {
    { "model.embed_tokens.weight", LQ_F32, 2, { 40, DIM }, NULL },
    { "model.layers.10.self_attn.k_proj.weight", LQ_F32, 2, { 32, DIM }, NULL },
    { "model.layers.10.self_attn.q_proj.weight", LQ_F32, 2, { DIM, DIM }, NULL },
    { "model.layers.10.self_attn.v_proj.weight", LQ_F32, 2, { 32, DIM }, NULL },
    { "model.layers.2.input_layernorm.weight", LQ_F32, 1, { DIM }, NULL },
    { "model.layers.2.mlp.down_proj.weight", LQ_F32, 2, { DIM, 96 }, NULL },
    { "model.layers.2.mlp.gate_proj.weight", LQ_F32, 2, { 96, DIM }, NULL },
    { "model.layers.2.mlp.up_proj.weight", LQ_F32, 2, { 96, DIM }, NULL },
    { "model.layers.2.post_attention_layernorm.weight", LQ_F32, 1, { DIM }, NULL },
    { "model.layers.2.self_attn.o_proj.weight", LQ_F32, 2, { DIM, DIM }, NULL },
    { "model.layers.2.self_attn.rotary_emb.inv_freq", LQ_F32, 1, { 8 }, NULL },
    { "model.norm.weight", LQ_F32, 1, { DIM }, NULL },
};

static const char *const order[] = {
    "output_norm.weight", "token_embd.weight", "blk.2.attn_norm.weight",
    "blk.2.attn_output.weight", "blk.2.ffn_down.weight", "blk.2.ffn_gate.weight",
    "blk.2.ffn_norm.weight", "blk.2.ffn_up.weight", "blk.10.attn_k.weight",
    "blk.10.attn_q.weight", "blk.10.attn_v.weight",
};

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

static lq_checkpoint *convert(const lq_ctx *ctx, const folder *f, const char *spec)
{
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o;
    char in[512];

    strcpy(in, folder_path(f, "model"));
    lq_convert_opts_init(&o);
    lq_spec target = test_spec(spec);
    o.spec = &target;
    o.tail = LQ_TAIL_FALLBACK;
    o.replace = 1;
    if (lq_convert(ctx, in, folder_path(f, "model.gguf"), &o, &error) != LQ_OK)
        fail_msg("%s", error.message);
    return open_checkpoint(ctx, folder_path(f, "model.gguf"));
}

static void make(const lq_ctx *ctx, folder *f)
{
    folder_make(f);
    made_write(ctx, folder_path(f, "model"), LQ_CONTAINER_DIRECTORY, config, tensors,
               COUNT(tensors));
}

static void names_and_order(void **state)
{
    folder f;
    lq_checkpoint *cp;

    make(*state, &f);
    cp = convert(*state, &f, "f32");
    assert_int_equal(lq_checkpoint_count(cp), COUNT(order));
    for (size_t i = 0; i < COUNT(order); i++) {
        lq_weight w = LQ_WEIGHT_INIT;
        assert_int_equal(lq_checkpoint_weight(cp, i, &w), LQ_OK);
        assert_string_equal(w.name, order[i]);
    }
    lq_checkpoint_destroy(cp);
    folder_clear(f.path, 1);
}

/* reshape(heads, 2, half, cols).swapaxes(1, 2), as llama.cpp's converter does it. */
static void permuted(const lq_checkpoint *cp, const made *source, const char *name,
                     uint64_t heads)
{
    float *x = made_values(source), *y;
    uint64_t cols = source->dims[1], half = source->dims[0] / heads / 2;
    lq_weight w;

    y = decode_weight(cp, name, &w);
    for (uint64_t h = 0; h < heads; h++)
        for (uint64_t a = 0; a < 2; a++)
            for (uint64_t b = 0; b < half; b++)
                assert_memory_equal(x + ((h * 2 + a) * half + b) * cols,
                                    y + ((h * half + b) * 2 + a) * cols, (size_t)(4 * cols));
    free(x);
    free(y);
}

static void rows_change_places(void **state)
{
    folder f;
    lq_checkpoint *cp;
    float *x, *y;
    lq_weight w;

    make(*state, &f);
    cp = convert(*state, &f, "f32");
    permuted(cp, &tensors[1], "blk.10.attn_k.weight", KV_HEADS);
    permuted(cp, &tensors[2], "blk.10.attn_q.weight", HEADS);
    x = made_values(&tensors[3]);
    y = decode_weight(cp, "blk.10.attn_v.weight", &w);
    assert_memory_equal(x, y, 4 * 32 * DIM);
    free(x);
    free(y);
    lq_checkpoint_destroy(cp);
    folder_clear(f.path, 1);
}

static const lq_file *file;

static uint32_t u32(const char *key)
{
    lq_meta m = LQ_META_INIT;
    uint32_t v;

    if (lq_file_meta_find(file, key, &m) != LQ_OK)
        fail_msg("%s is missing", key);
    assert_int_equal(m.type, LQ_META_U32);
    memcpy(&v, m.data, 4);
    return v;
}

static float f32(const char *key)
{
    lq_meta m = LQ_META_INIT;
    float v;

    assert_int_equal(lq_file_meta_find(file, key, &m), LQ_OK);
    assert_int_equal(m.type, LQ_META_F32);
    memcpy(&v, m.data, 4);
    return v;
}

static const char *text(const char *key, uint64_t element)
{
    lq_meta m = LQ_META_INIT;
    const char *t = NULL;
    uint64_t bytes;

    if (lq_file_meta_find(file, key, &m) != LQ_OK)
        fail_msg("%s is missing", key);
    assert_int_equal(lq_file_meta_string(file, &m, element, &t, &bytes), LQ_OK);
    return t;
}

static void keys(void **state)
{
    folder f;
    lq_checkpoint *cp;

    make(*state, &f);
    cp = convert(*state, &f, "q8_0");
    file = lq_checkpoint_file(cp);
    assert_string_equal(text("general.architecture", 0), "llama");
    assert_int_equal(u32("general.file_type"), 7);
    assert_int_equal(u32("general.quantization_version"), 2);
    assert_int_equal(u32("llama.context_length"), 512);
    assert_int_equal(u32("llama.embedding_length"), 64);
    assert_int_equal(u32("llama.block_count"), 11);
    assert_int_equal(u32("llama.feed_forward_length"), 96);
    assert_int_equal(u32("llama.attention.head_count"), HEADS);
    assert_int_equal(u32("llama.attention.head_count_kv"), KV_HEADS);
    assert_int_equal(u32("llama.rope.dimension_count"), 16);
    assert_int_equal(u32("llama.vocab_size"), 40);
    assert_true(f32("llama.attention.layer_norm_rms_epsilon") == 1e-5f);
    assert_true(f32("llama.rope.freq_base") == 500000.0f);
    assert_string_equal(text("tokenizer.ggml.model", 0), "no_vocab");
    lq_checkpoint_destroy(cp);
    folder_clear(f.path, 1);
}

static void json_tokenizer(void **state)
{
    folder f;
    lq_checkpoint *cp;

    make(*state, &f);
    folder_text(&f, "model/tokenizer.json",
                "{\"added_tokens\": [{\"id\": 3, \"content\": \"<s>\", \"special\": true}], "
                "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, "
                "\"merges\": [\"a b\", [\"ab\", \"a\"]]}}");
    cp = convert(*state, &f, "q8_0");
    file = lq_checkpoint_file(cp);
    assert_string_equal(text("tokenizer.ggml.model", 0), "gpt2");
    assert_string_equal(text("tokenizer.ggml.tokens", 2), "ab");
    assert_string_equal(text("tokenizer.ggml.tokens", 3), "<s>");
    assert_string_equal(text("tokenizer.ggml.tokens", 39), "[PAD39]");
    assert_string_equal(text("tokenizer.ggml.merges", 0), "a b");
    assert_string_equal(text("tokenizer.ggml.merges", 1), "ab a");
    assert_int_equal(u32("tokenizer.ggml.bos_token_id"), 1);
    assert_int_equal(u32("tokenizer.ggml.eos_token_id"), 2);
    lq_checkpoint_destroy(cp);
    folder_clear(f.path, 1);
}

/* Pieces "<unk>" (type 2), "<s>" (3), "x" (score -1.5); then bos = 1, eos none. */
static const unsigned char model[] =
    "\x0a\x09\x0a\x05<unk>\x18\x02" "\x0a\x07\x0a\x03<s>\x18\x03"
    "\x0a\x08\x0a\x01x\x15\x00\x00\xc0\xbf"
    "\x12\x06\xc8\x02\x01\xd0\x02\x63";

static void sentencepiece(void **state)
{
    folder f;
    lq_checkpoint *cp;
    lq_meta m = LQ_META_INIT;
    float score;

    make(*state, &f);
    folder_put(&f, "model/tokenizer.model", model, sizeof model - 1);
    cp = convert(*state, &f, "f16");
    file = lq_checkpoint_file(cp);
    assert_string_equal(text("tokenizer.ggml.model", 0), "llama");
    assert_string_equal(text("tokenizer.ggml.tokens", 1), "<s>");
    assert_string_equal(text("tokenizer.ggml.tokens", 2), "x");
    assert_int_equal(lq_file_meta_find(file, "tokenizer.ggml.scores", &m), LQ_OK);
    assert_int_equal(m.count, 40);
    memcpy(&score, (const char *)m.data + 8, 4);
    assert_true(score == -1.5f);
    assert_int_equal(u32("tokenizer.ggml.bos_token_id"), 1);
    assert_int_equal(lq_file_meta_find(file, "tokenizer.ggml.eos_token_id", &m),
                     LQ_ERR_NOTFOUND);
    lq_checkpoint_destroy(cp);
    folder_clear(f.path, 1);
}

/* Cut anywhere: an error, or a model that is shorter; never a crash. */
static void damaged_tokenizer(void **state)
{
    folder f;
    char in[512];

    make(*state, &f);
    strcpy(in, folder_path(&f, "model"));
    for (size_t n = 0; n < sizeof model - 1; n++) {
        lq_convert_opts o;
        lq_status st;
        folder_put(&f, "model/tokenizer.model", model, n);
        lq_convert_opts_init(&o);
        lq_spec f32 = test_spec("f32");
        o.spec = &f32;
        o.replace = 1;
        st = lq_convert(*state, in, folder_path(&f, "m.gguf"), &o, NULL);
        assert_true(st == LQ_OK || st == LQ_ERR_CORRUPT);
    }
    folder_clear(f.path, 1);
}

/* Rows of 64 do not fit q4_k: llama-quantize takes q5_0. */
static void fallback(void **state)
{
    folder f;
    lq_checkpoint *cp;
    lq_weight w;

    make(*state, &f);
    cp = convert(*state, &f, "q4_k");
    free(decode_weight(cp, "blk.2.ffn_up.weight", &w));
    assert_int_equal(w.spec->format, LQ_FORMAT_Q5_0);
    free(decode_weight(cp, "blk.2.ffn_norm.weight", &w));
    assert_int_equal(w.spec->format, LQ_FORMAT_F32);
    lq_checkpoint_destroy(cp);
    folder_clear(f.path, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_order), cmocka_unit_test(rows_change_places),
        cmocka_unit_test(keys), cmocka_unit_test(json_tokenizer),
        cmocka_unit_test(sentencepiece), cmocka_unit_test(damaged_tokenizer),
        cmocka_unit_test(fallback),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
