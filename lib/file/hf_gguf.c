/* SPDX-License-Identifier: MIT */
/*
 * lib/file/hf_gguf.c - row order and keys of Hugging Face Llama models in GGUF
 *
 * Without jansson the file is empty: config.json cannot be read then.
 *
 * Rows of q and k change places: HF rotates the two halves of a head, llama.cpp its even
 * and odd rows.  Row h * d + i of the output is row h * d + (i mod 2) * d / 2 + i / 2 of
 * the source, for heads of d rows.
 */
#include "lib/file/dialect/dialect.h"

#ifdef LQI_HAVE_JSON
#include <jansson.h>
#include <stdio.h>

int lqi_llama_known(json_t *config)
{
    static const char *const known[] = { "LlamaForCausalLM", "MistralForCausalLM" };
    json_t *list = json_object_get(config, "architectures"), *name;
    size_t i;

    json_array_foreach(list, i, name)
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (json_is_string(name) && !strcmp(json_string_value(name), known[k]))
                return 1;
    return 0;
}

/* ----------------------------------------------------------------------- names */

static lq_status integer(const lqi_plan *plan, const char *key, uint64_t *value)
{
    json_t *v = json_object_get(plan->config, key);

    if (!v || json_is_null(v))
        return LQ_ERR_NOTFOUND;
    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        json_integer_value(v) > UINT32_MAX)
        return lqi_fail(plan->error, LQ_ERR_CORRUPT, NULL,
                        "the config's '%s' is not a count", key);
    *value = (uint64_t)json_integer_value(v);
    return LQ_OK;
}

static lq_status need(const lqi_plan *plan, const char *key, uint64_t *value)
{
    lq_status st = integer(plan, key, value);

    if (st == LQ_ERR_NOTFOUND)
        return lqi_fail(plan->error, st, NULL, "the config has no '%s'", key);
    return st;
}

static lq_status count_heads(const lqi_plan *plan, int which, uint32_t *heads)
{
    uint64_t n = 0;
    lq_status st = LQ_ERR_NOTFOUND;

    if (which == LQI_K_HEADS)
        st = integer(plan, "num_key_value_heads", &n);
    if (st == LQ_ERR_NOTFOUND)
        st = need(plan, "num_attention_heads", &n);
    if (!st && !n)
        st = lqi_fail(plan->error, LQ_ERR_CORRUPT, NULL, "the config says 0 heads");
    if (!st)
        *heads = (uint32_t)n;
    return st;
}

static int ends(const char *name, const char *suffix)
{
    return lqi_scan_base(name, suffix) != 0;
}

/* rotary_emb.inv_freq is computed by readers: the empty name says that nobody wants it. */
lq_status lqi_llama_name(lqi_plan *plan, const char *hf, char **name, uint32_t *heads)
{
    char text[LQ_GGUF_NAME] = "";
    int which = LQI_NO_HEADS;
    lq_status st = lqi_llama_find(hf, text, sizeof text, &which);

    if (st == LQ_ERR_BUFFER || (st && !ends(hf, ".self_attn.rotary_emb.inv_freq")))
        return LQ_OK;
    if (which != LQI_NO_HEADS && ends(hf, ".bias"))
        return lqi_fail(plan->error, LQ_ERR_UNSUPPORTED, NULL,
                        "'%s': biases of q and k are not known in GGUF's llama", hf);
    st = which ? count_heads(plan, which, heads) : LQ_OK;
    if (st)
        return st;
    *name = lqi_arena_text(&plan->arena, text, strlen(text));
    return *name ? LQ_OK : lqi_fail(plan->error, LQ_ERR_NOMEM, NULL, "no memory for a name");
}

/* ------------------------------------------------------------------------ keys */

static lq_status put_u32(lqi_plan *plan, lq_writer *writer, const char *key, uint64_t value)
{
    uint32_t v = (uint32_t)value;
    lq_status st = lq_writer_meta(writer, key, LQ_META_U32, 0, &v, 1);

    return st ? lqi_fail(plan->error, st, NULL, "%s: %s", key, lq_status_text(st)) : LQ_OK;
}

static lq_status put_f32(lqi_plan *plan, lq_writer *writer, const char *key, float value)
{
    lq_status st = lq_writer_meta(writer, key, LQ_META_F32, 0, &value, 1);

    return st ? lqi_fail(plan->error, st, NULL, "%s: %s", key, lq_status_text(st)) : LQ_OK;
}

static lq_status put_text(lqi_plan *plan, lq_writer *writer, const char *key,
                          const char *value)
{
    lq_status st = lq_writer_meta_string(writer, key, value);

    return st ? lqi_fail(plan->error, st, NULL, "%s: %s", key, lq_status_text(st)) : LQ_OK;
}

typedef struct sizes {
    uint64_t embedding, layers, ffn, heads, kv_heads, head_dim, context, vocab;
    double   epsilon, theta;
} sizes;

static double number(const lqi_plan *plan, const char *key, double otherwise)
{
    json_t *v = json_object_get(plan->config, key);

    if (!v && !strcmp(key, "rope_theta"))       /* newer configs nest it */
        v = json_object_get(json_object_get(plan->config, "rope_parameters"), key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

static lq_status optional(const lqi_plan *plan, const char *key, uint64_t otherwise,
                          uint64_t *value)
{
    lq_status st = integer(plan, key, value);

    if (st == LQ_ERR_NOTFOUND) {
        *value = otherwise;
        return LQ_OK;
    }
    return st;
}

static lq_status read_sizes(const lqi_plan *plan, sizes *s)
{
    lq_status st = need(plan, "hidden_size", &s->embedding);

    if (!st)
        st = need(plan, "num_hidden_layers", &s->layers);
    if (!st)
        st = need(plan, "intermediate_size", &s->ffn);
    if (!st)
        st = need(plan, "num_attention_heads", &s->heads);
    if (!st && !s->heads)
        st = lqi_fail(plan->error, LQ_ERR_CORRUPT, NULL, "the config says 0 heads");
    if (!st)
        st = optional(plan, "num_key_value_heads", s->heads, &s->kv_heads);
    if (!st)
        st = optional(plan, "head_dim", s->embedding / s->heads, &s->head_dim);
    if (!st)
        st = optional(plan, "max_position_embeddings", 2048, &s->context);
    if (!st)
        st = need(plan, "vocab_size", &s->vocab);
    s->epsilon = number(plan, "rms_norm_eps", 1e-6);
    s->theta = number(plan, "rope_theta", 10000);
    return st;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

static lq_status put_sizes(lqi_plan *plan, lq_writer *writer, const sizes *s)
{
    const struct { const char *key; uint64_t value; } keys[] = {
        { "llama.context_length", s->context },
        { "llama.embedding_length", s->embedding },
        { "llama.block_count", s->layers },
        { "llama.feed_forward_length", s->ffn },
        { "llama.attention.head_count", s->heads },
        { "llama.attention.head_count_kv", s->kv_heads },
        { "llama.attention.key_length", s->head_dim },
        { "llama.attention.value_length", s->head_dim },
        { "llama.rope.dimension_count", s->head_dim },
        { "llama.vocab_size", s->vocab },
    };
    lq_status st = LQ_OK;

    for (size_t i = 0; i < sizeof keys / sizeof *keys && !st; i++)
        st = put_u32(plan, writer, keys[i].key, keys[i].value);
    if (!st)
        st = put_f32(plan, writer, "llama.attention.layer_norm_rms_epsilon",
                     (float)s->epsilon);
    return st ? st : put_f32(plan, writer, "llama.rope.freq_base", (float)s->theta);
}

lq_status lqi_llama_keys(lqi_plan *plan, lq_writer *writer)
{
    sizes s = { 0 };
    json_t *name = json_object_get(plan->config, "_name_or_path");
    const char *text = json_is_string(name) && *json_string_value(name)
                           ? json_string_value(name) : base_name(plan->in);
    lq_status st = read_sizes(plan, &s);

    if (!st)
        st = put_text(plan, writer, "general.architecture", "llama");
    if (!st)
        st = put_text(plan, writer, "general.name", base_name(text));
    if (!st)
        st = put_text(plan, writer, "general.type", "model");
    if (!st)
        st = put_sizes(plan, writer, &s);
    if (!st)
        st = lqi_rope_keys(plan, writer);
    return st ? st : lqi_tokenizer_keys(plan, writer, s.vocab);
}
#else
typedef int lqi_hf_gguf_empty;
#endif
