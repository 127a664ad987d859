/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/config.c - the model's shape, from config.json or GGUF metadata
 */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------- GGUF */

/* Any numeric metadata value as a double; 'otherwise' if the key is missing. */
static double meta_number(const lq_file *file, const char *key, double otherwise)
{
    lq_meta meta = LQ_META_INIT;
    union { uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64; float f32; double f64; } v;

    if (lq_file_meta_find(file, key, &meta) != LQ_OK || meta.count < 1 || !meta.data)
        return otherwise;
    memset(&v, 0, sizeof v);
    switch (meta.type) {
    case LQ_META_U8: case LQ_META_BOOL: memcpy(&v, meta.data, 1); return v.u8;
    case LQ_META_U16: memcpy(&v, meta.data, 2); return v.u16;
    case LQ_META_U32: memcpy(&v, meta.data, 4); return v.u32;
    case LQ_META_I32: memcpy(&v, meta.data, 4); return (int32_t)v.u32;
    case LQ_META_F32: memcpy(&v, meta.data, 4); return v.f32;
    case LQ_META_U64: memcpy(&v, meta.data, 8); return (double)v.u64;
    case LQ_META_F64: memcpy(&v, meta.data, 8); return v.f64;
    default: return otherwise;
    }
}

static double llama_number(const lq_file *file, const char *key, double otherwise)
{
    char full[96];

    snprintf(full, sizeof full, "llama.%s", key);
    return meta_number(file, full, otherwise);
}

static void check_architecture(const lq_file *file)
{
    lq_meta meta = LQ_META_INIT;
    const char *text = "";
    uint64_t bytes = 0;

    if (lq_file_meta_find(file, "general.architecture", &meta) == LQ_OK)
        (void)lq_file_meta_string(file, &meta, 0, &text, &bytes);
    if (strcmp(text, "llama"))
        fail("architecture '%s': this example runs llama", text);
}

static void read_gguf(config *c, const lq_file *file)
{
    check_architecture(file);
    c->dim = (uint32_t)llama_number(file, "embedding_length", 0);
    c->hidden = (uint32_t)llama_number(file, "feed_forward_length", 0);
    c->layers = (uint32_t)llama_number(file, "block_count", 0);
    c->heads = (uint32_t)llama_number(file, "attention.head_count", 0);
    c->kv_heads = (uint32_t)llama_number(file, "attention.head_count_kv", c->heads);
    c->head_dim = (uint32_t)llama_number(file, "attention.key_length", 0);
    c->rope_dim = (uint32_t)llama_number(file, "rope.dimension_count", 0);
    c->context = (uint32_t)llama_number(file, "context_length", 0);
    c->eps = (float)llama_number(file, "attention.layer_norm_rms_epsilon", 1e-5);
    c->theta = (float)llama_number(file, "rope.freq_base", 10000.0);
    c->bos = (uint32_t)meta_number(file, "tokenizer.ggml.bos_token_id", 1);
    c->eos = (uint32_t)meta_number(file, "tokenizer.ggml.eos_token_id", 2);
    c->gguf_names = 1;
}

/* ------------------------------------------------------------- config.json */

static double number(const char *text, const char *key, double otherwise)
{
    double value = otherwise;

    (void)json_number(text, key, &value);
    return value;
}

static void read_json(config *c, const char *text)
{
    char type[64] = "llama";

    (void)json_text(text, "model_type", type, sizeof type);
    if (strcmp(type, "llama") && strcmp(type, "mistral"))
        fail("model_type '%s': this example runs llama", type);
    if (json_has(text, "rope_scaling"))
        fail("rope_scaling in config.json is not supported by this example");
    c->dim = (uint32_t)number(text, "hidden_size", 0);
    c->hidden = (uint32_t)number(text, "intermediate_size", 0);
    c->layers = (uint32_t)number(text, "num_hidden_layers", 0);
    c->heads = (uint32_t)number(text, "num_attention_heads", 0);
    c->kv_heads = (uint32_t)number(text, "num_key_value_heads", c->heads);
    c->head_dim = (uint32_t)number(text, "head_dim", 0);
    c->context = (uint32_t)number(text, "max_position_embeddings", 0);
    c->eps = (float)number(text, "rms_norm_eps", 1e-6);
    c->theta = (float)number(text, "rope_theta", 10000.0);
    c->bos = (uint32_t)number(text, "bos_token_id", 1);
    c->eos = (uint32_t)number(text, "eos_token_id", 2);
}

/* Text of the config: the given file, the checkpoint's own, or the one beside it. */
static char *find_json(const lq_file *file, const char *config_path)
{
    const char *path = lq_file_path(file), *slash = strrchr(path, '/'), *own;
    char *text, beside[4096];
    uint64_t bytes = 0;
    size_t length;

    if (config_path)
        return read_file(config_path, &length);
    own = lq_file_config(file, &bytes);
    if (own) {
        text = allocate((size_t)bytes + 1, 1);
        memcpy(text, own, (size_t)bytes);
        if (json_has(text, "hidden_size"))
            return text;
        free(text);
    }
    snprintf(beside, sizeof beside, "%.*sconfig.json", slash ? (int)(slash + 1 - path) : 0,
             path);
    return read_file(beside, &length);
}

/* ------------------------------------------------------------------- both */

static void check_sizes(config *c)
{
    if (!c->dim || !c->hidden || !c->layers || !c->heads || !c->kv_heads)
        fail("the model's configuration is incomplete");
    if (c->dim > 1u << 20 || c->hidden > 1u << 22 || c->layers > 4096 || c->heads > 4096)
        fail("the model's configuration is out of range");
    if (!c->head_dim)
        c->head_dim = c->dim / c->heads;
    if (!c->rope_dim)
        c->rope_dim = c->head_dim;
    if (!c->context || c->context > 1u << 22)
        c->context = 2048;
    if (c->heads % c->kv_heads || c->head_dim > 65536 || c->rope_dim > c->head_dim ||
        c->rope_dim % 2)
        fail("%u heads, %u kv heads of %u do not fit together", c->heads, c->kv_heads,
             c->head_dim);
}

void config_read(config *c, const lq_file *file, const char *config_path)
{
    uint64_t index;
    char *text;

    memset(c, 0, sizeof *c);
    if (lq_file_container(file) == LQ_CONTAINER_GGUF) {
        read_gguf(c, file);
    } else {
        text = find_json(file, config_path);
        if (!text)
            fail("no config.json: name one with --config");
        read_json(c, text);
        free(text);
        c->gguf_names = lq_file_tensor_find(file, "token_embd.weight", &index) == LQ_OK;
    }
    check_sizes(c);
}
