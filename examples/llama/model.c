/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/model.c - a model's weights, in whatever format the file keeps them
 */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names in Hugging Face checkpoints and in GGUF.  "%u" is the layer. */
typedef struct names {
    const char *embedding, *norm, *output, *attn_norm, *ffn_norm, *proj[PROJECTIONS];
} names;

static const names hf_names = {
    "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight",
    "model.layers.%u.input_layernorm.weight",
    "model.layers.%u.post_attention_layernorm.weight",
    { "model.layers.%u.self_attn.q_proj.", "model.layers.%u.self_attn.k_proj.",
      "model.layers.%u.self_attn.v_proj.", "model.layers.%u.self_attn.o_proj.",
      "model.layers.%u.mlp.gate_proj.", "model.layers.%u.mlp.up_proj.",
      "model.layers.%u.mlp.down_proj." }
};

static const names gguf_names = {
    "token_embd.weight", "output_norm.weight", "output.weight",
    "blk.%u.attn_norm.weight", "blk.%u.ffn_norm.weight",
    { "blk.%u.attn_q.", "blk.%u.attn_k.", "blk.%u.attn_v.", "blk.%u.attn_output.",
      "blk.%u.ffn_gate.", "blk.%u.ffn_up.", "blk.%u.ffn_down." }
};

/* Name of layer i's part; the patterns above have the one "%u". */
static void layer_name(char *out, size_t capacity, const char *pattern, uint32_t i,
                       const char *suffix)
{
    const char *mark = strstr(pattern, "%u");

    snprintf(out, capacity, "%.*s%u%s%s", (int)(mark - pattern), pattern, i, mark + 2,
             suffix);
}

static int find(const model *m, const char *name, uint64_t *index)
{
    return lq_checkpoint_find(m->checkpoint, name, index) == LQ_OK;
}

/* A vector of 'length' numbers, or NULL if there is no such tensor. */
static float *load_vector(const model *m, const char *name, uint64_t length)
{
    lq_error error = LQ_ERROR_INIT;
    lq_weight weight = LQ_WEIGHT_INIT;
    uint64_t index;
    float *values;

    if (!find(m, name, &index))
        return NULL;
    check(lq_checkpoint_weight(m->checkpoint, index, &weight), NULL, name);
    if (weight.shape.outer * weight.shape.rows * weight.shape.cols != length)
        fail("%s: %llu numbers are needed", name, (unsigned long long)length);
    values = allocate(length, sizeof *values);
    check(lq_checkpoint_rows(m->checkpoint, index, 0, 0, weight.shape.rows, values, &error),
          &error, name);
    return values;
}

static float *need_vector(const model *m, const char *name, uint64_t length)
{
    float *values = load_vector(m, name, length);

    if (!values)
        fail("the model lacks %s", name);
    return values;
}

static lq_tensor *load_matrix(const model *m, const char *name, uint64_t cols,
                              uint64_t *bytes)
{
    lq_error error = LQ_ERROR_INIT;
    lq_weight weight = LQ_WEIGHT_INIT;
    lq_tensor *tensor = NULL;
    uint64_t index;

    if (!find(m, name, &index))
        fail("the model lacks %s", name);
    check(lq_checkpoint_weight(m->checkpoint, index, &weight), NULL, name);
    if (weight.shape.outer != 1 || weight.shape.cols != cols)
        fail("%s: %llu columns, %llu are needed", name,
             (unsigned long long)weight.shape.cols, (unsigned long long)cols);
    check(lq_checkpoint_load(m->checkpoint, index, &tensor, &error), &error, name);
    *bytes = weight.bytes;
    return tensor;
}

/* Make a tensor ready for products. */
static void prepare(const model *m, linear *l, const char *name)
{
    lq_error error = LQ_ERROR_INIT;
    lq_rows rows = LQ_ROWS_INIT;

    check(lq_tensor_rows(l->tensor, 0, &rows), NULL, name);
    check(lq_prepare(m->ctx, &rows, NULL, &l->ready, &error), &error, name);
    l->rows = rows.rows;
    l->cols = rows.cols;
}

static void load_linear(const model *m, linear *l, const char *pattern, uint32_t i,
                        uint64_t rows, uint64_t cols)
{
    char name[128];

    layer_name(name, sizeof name, pattern, i, "weight");
    l->tensor = load_matrix(m, name, cols, &l->bytes);
    prepare(m, l, name);
    if (l->rows != rows)
        fail("%s: %llu rows, %llu are needed", name, (unsigned long long)l->rows,
             (unsigned long long)rows);
    layer_name(name, sizeof name, pattern, i, "bias");
    l->bias = load_vector(m, name, rows);
}

static void load_layer(model *m, const names *n, uint32_t i)
{
    const config *c = &m->c;
    layer *l = &m->layers[i];
    uint64_t q = (uint64_t)c->heads * c->head_dim, kv = (uint64_t)c->kv_heads * c->head_dim;
    const uint64_t rows[PROJECTIONS] = { q, kv, kv, c->dim, c->hidden, c->hidden, c->dim };
    const uint64_t cols[PROJECTIONS] = { c->dim, c->dim, c->dim, q, c->dim, c->dim,
                                         c->hidden };
    char name[128];

    layer_name(name, sizeof name, n->attn_norm, i, "");
    l->attn_norm = need_vector(m, name, c->dim);
    layer_name(name, sizeof name, n->ffn_norm, i, "");
    l->ffn_norm = need_vector(m, name, c->dim);
    for (int p = 0; p < PROJECTIONS; p++)
        load_linear(m, &l->proj[p], n->proj[p], i, rows[p], cols[p]);
}

static void load_output(model *m, const names *n)
{
    uint64_t index, bytes;
    const char *name = n->output;

    m->embedding = load_matrix(m, n->embedding, m->c.dim, &bytes);
    if (find(m, n->output, &index)) {
        m->output.tensor = load_matrix(m, n->output, m->c.dim, &m->output.bytes);
    } else {
        m->output.tensor = m->embedding;
        m->output.bytes = bytes;
        name = n->embedding;
    }
    prepare(m, &m->output, name);
    m->vocab = (uint32_t)m->output.rows;
}

model *model_open(lq_ctx *ctx, const char *path, const char *config_path)
{
    lq_error error = LQ_ERROR_INIT;
    model *m = allocate(1, sizeof *m);
    const names *n;

    m->ctx = ctx;
    check(lq_checkpoint_open(ctx, path, NULL, &m->checkpoint, &error), &error, path);
    config_read(&m->c, lq_checkpoint_file(m->checkpoint), config_path);
    n = m->c.gguf_names ? &gguf_names : &hf_names;
    m->layers = allocate(m->c.layers, sizeof *m->layers);
    for (uint32_t i = 0; i < m->c.layers; i++)
        load_layer(m, n, i);
    m->norm = need_vector(m, n->norm, m->c.dim);
    m->rope_factors = load_vector(m, "rope_freqs.weight", m->c.rope_dim / 2);
    load_output(m, n);
    return m;
}

static void close_linear(linear *l)
{
    lq_prepared_destroy(l->ready);
    lq_tensor_destroy(l->tensor);
    free(l->bias);
}

void model_close(model *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->c.layers; i++) {
        for (int p = 0; p < PROJECTIONS; p++)
            close_linear(&m->layers[i].proj[p]);
        free(m->layers[i].attn_norm);
        free(m->layers[i].ffn_norm);
    }
    if (m->output.tensor != m->embedding)
        lq_tensor_destroy(m->embedding);
    close_linear(&m->output);
    free(m->norm);
    free(m->rope_factors);
    free(m->layers);
    lq_checkpoint_destroy(m->checkpoint);
    free(m);
}
