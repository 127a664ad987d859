/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/model_config.c - the shape of a model from its config.json
 */
#include "model.h"

#include <string.h>

#ifdef LQ_TOOL_JSON
#include <jansson.h>

/* First of several spellings that is a positive whole number; else 'otherwise'. */
static uint64_t number(const json_t *object, const char *const *keys, uint64_t otherwise)
{
    for (; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);
        if (json_is_integer(value) && json_integer_value(value) > 0)
            return (uint64_t)json_integer_value(value);
    }
    return otherwise;
}

#define NUMBER(otherwise, ...) \
    number(o, (const char *const[]){ __VA_ARGS__, NULL }, otherwise)
#define MOST ((uint64_t)1 << 32)

static int fill(model *m, const json_t *o, const char **reason)
{
    m->hidden = NUMBER(0, "hidden_size", "n_embd", "d_model");
    m->layers = NUMBER(0, "num_hidden_layers", "n_layer", "num_layers");
    m->heads = NUMBER(0, "num_attention_heads", "n_head", "num_heads");
    m->vocab = NUMBER(0, "vocab_size");
    if (!m->hidden || !m->layers || !m->heads || !m->vocab) {
        *reason = "hidden_size, num_hidden_layers, num_attention_heads or vocab_size is "
                  "missing";
        return 0;
    }
    m->kv_heads = NUMBER(m->heads, "num_key_value_heads");
    m->head_size = NUMBER(m->hidden / m->heads, "head_dim");
    m->ffn = NUMBER(4 * m->hidden, "moe_intermediate_size", "intermediate_size", "n_inner");
    m->experts = NUMBER(1, "num_local_experts", "num_experts", "n_routed_experts");
    m->tied = json_is_true(json_object_get(o, "tie_word_embeddings"));
    if (m->hidden > MOST || m->vocab > MOST || m->ffn > MOST || m->heads > MOST
        || m->kv_heads > MOST || m->head_size > MOST || m->layers > 100000
        || m->experts > 100000) {
        *reason = "a number is too large to be true";
        return 0;
    }
    const char *type = json_string_value(json_object_get(o, "torch_dtype"));
    if (type && !strcmp(type, "float32"))
        m->source.format = LQ_FORMAT_F32;
    else if (type && !strcmp(type, "float16"))
        m->source.format = LQ_FORMAT_F16;
    return 1;
}

int model_config(model *m, const char *text, size_t bytes, const char **reason)
{
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *inner = json_object_get(root, "text_config");

    if (!json_is_object(root)) {
        json_decref(root);
        *reason = "it is not a JSON object";
        return 0;
    }
    int found = fill(m, json_is_object(inner) ? inner : root, reason);
    json_decref(root);
    return found;
}

#else

int model_config(model *m, const char *text, size_t bytes, const char **reason)
{
    (void)m;
    (void)text;
    (void)bytes;
    *reason = "this build reads no JSON";
    return -1;
}

#endif
