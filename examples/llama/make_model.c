/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/make_model.c - write a small Llama checkpoint with random weights
 *
 * The weights are drawn, not trained: the model speaks no language.  But they look like
 * weights to a quantizer: Gaussian with heavy tails (four in a thousand from a
 * distribution 2.5 times as wide), output channels of different size (log-normal, 0.35),
 * a few input channels that are three times as large.  So errors and divergences from the
 * original behave as they do on real models.  The same seed gives the same bytes.
 */
#include "llama.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sizes {
    uint32_t dim, hidden, layers, heads, kv_heads, vocab, context;
} sizes;

typedef struct random_source {
    uint64_t state;
} random_source;

static double uniform(random_source *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Sum of twelve uniform numbers: near enough to a Gaussian, and the same on any libm. */
static double gaussian(random_source *r)
{
    double sum = -6.0;

    for (int i = 0; i < 12; i++)
        sum += uniform(r);
    return sum;
}

/* About e^(s g) without libm. */
static double log_normal(random_source *r, double s)
{
    double x = s * gaussian(r) / 16.0, e = 1.0 + x + x * x / 2.0 + x * x * x / 6.0;

    e *= e;
    e *= e;
    e *= e;
    return e * e;
}

static void fill_matrix(random_source *r, float *w, uint32_t rows, uint32_t cols,
                        double scale)
{
    double *column = allocate(cols, sizeof *column);

    for (uint32_t c = 0; c < cols; c++)
        column[c] = uniform(r) < 0.004 ? 3.0 : log_normal(r, 0.1);
    for (uint32_t i = 0; i < rows; i++) {
        double row = log_normal(r, 0.35);

        for (uint32_t c = 0; c < cols; c++) {
            double tail = uniform(r) < 0.004 ? 2.5 : 1.0;

            w[(size_t)i * cols + c] = (float)(scale * row * column[c] * tail * gaussian(r));
        }
    }
    free(column);
}

/* ---------------------------------------------------------------- tensors */

typedef struct tensor {
    char     name[96];
    uint32_t rows, cols;    /* rows 0: a norm of 'cols' ones, roughly */
    double   scale;
    uint64_t index;
} tensor;

static void add(tensor *list, uint32_t *n, const char *name, uint32_t rows, uint32_t cols)
{
    tensor *t = &list[(*n)++];

    snprintf(t->name, sizeof t->name, "%s.weight", name);
    t->rows = rows;
    t->cols = cols;
    t->scale = 0.8 / sqrt((double)cols);
}

static uint32_t list_tensors(const sizes *s, tensor *list)
{
    uint32_t n = 0, kv = s->dim / s->heads * s->kv_heads;
    char name[80];

    add(list, &n, "model.embed_tokens", s->vocab, s->dim);
    list[0].scale = 1.0;
    for (uint32_t i = 0; i < s->layers; i++) {
        const struct { const char *name; uint32_t rows, cols; } parts[] = {
            { "input_layernorm", 0, s->dim },
            { "self_attn.q_proj", s->dim, s->dim },
            { "self_attn.k_proj", kv, s->dim },
            { "self_attn.v_proj", kv, s->dim },
            { "self_attn.o_proj", s->dim, s->dim },
            { "post_attention_layernorm", 0, s->dim },
            { "mlp.gate_proj", s->hidden, s->dim },
            { "mlp.up_proj", s->hidden, s->dim },
            { "mlp.down_proj", s->dim, s->hidden },
        };

        for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
            snprintf(name, sizeof name, "model.layers.%u.%s", i, parts[p].name);
            add(list, &n, name, parts[p].rows, parts[p].cols);
        }
    }
    add(list, &n, "model.norm", 0, s->dim);
    add(list, &n, "lm_head", s->vocab, s->dim);
    list[n - 1].scale *= 3.0;
    return n;
}

static void fill(const tensor *t, random_source *r, float *w)
{
    if (t->rows) {
        fill_matrix(r, w, t->rows, t->cols, t->scale);
        return;
    }
    for (uint32_t c = 0; c < t->cols; c++)
        w[c] = (float)log_normal(r, 0.1);
}

/* ----------------------------------------------------------------- output */

static void declare(lq_writer *w, tensor *t)
{
    const uint64_t matrix[2] = { t->rows, t->cols }, vector[1] = { t->cols };

    check(lq_writer_tensor(w, t->name, LQ_F32, 0, t->rows ? 2 : 1, t->rows ? matrix : vector,
                           &t->index), NULL, t->name);
}

static void write_tensor(lq_writer *w, const tensor *t, random_source *r)
{
    lq_error error = LQ_ERROR_INIT;
    size_t count = (size_t)(t->rows ? t->rows : 1) * t->cols;
    float *values = allocate(count, sizeof *values);

    fill(t, r, values);
    check(lq_writer_write(w, t->index, 0, values, count * sizeof *values, &error), &error,
          t->name);
    free(values);
}

static void attach_config(lq_writer *w, const sizes *s)
{
    char text[1024];
    int length = snprintf(text, sizeof text,
        "{\n \"architectures\": [\"LlamaForCausalLM\"],\n \"model_type\": \"llama\",\n"
        " \"hidden_act\": \"silu\",\n \"hidden_size\": %u,\n \"intermediate_size\": %u,\n"
        " \"num_hidden_layers\": %u,\n \"num_attention_heads\": %u,\n"
        " \"num_key_value_heads\": %u,\n \"vocab_size\": %u,\n"
        " \"max_position_embeddings\": %u,\n \"rms_norm_eps\": 1e-05,\n"
        " \"rope_theta\": 10000.0,\n \"tie_word_embeddings\": false,\n"
        " \"bos_token_id\": 1,\n \"eos_token_id\": 2,\n \"torch_dtype\": \"float32\"\n}\n",
        s->dim, s->hidden, s->layers, s->heads, s->kv_heads, s->vocab, s->context);

    check(lq_writer_attach(w, "config.json", text, (uint64_t)length), NULL, "config.json");
}

static void write_model(lq_ctx *ctx, const char *path, const sizes *s, uint64_t seed)
{
    lq_error error = LQ_ERROR_INIT;
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_writer *w = NULL;
    random_source r = { seed };
    tensor *list = allocate(9u * s->layers + 3u, sizeof *list);
    uint32_t n = list_tensors(s, list);

    opts.replace = 1;
    check(lq_writer_create(ctx, path, LQ_CONTAINER_DIRECTORY, &opts, &w, &error), &error,
          path);
    attach_config(w, s);
    for (uint32_t i = 0; i < n; i++)
        declare(w, &list[i]);
    check(lq_writer_begin(w, &error), &error, path);
    for (uint32_t i = 0; i < n; i++)
        write_tensor(w, &list[i], &r);
    check(lq_writer_finish(w, &error), &error, path);
    lq_writer_destroy(w);
    free(list);
}

int main(int argc, char **argv)
{
    sizes s = { 256, 768, 2, 8, 4, 512, 256 };
    lq_error error = LQ_ERROR_INIT;
    lq_ctx *ctx = NULL;

    if (argc < 2 || argc > 4) {
        fputs("usage: make_model DIRECTORY [SEED [tiny]]\n"
              "Writes a small Llama checkpoint with random weights.\n", stderr);
        return 2;
    }
    if (argc == 4)
        s = (sizes){ 32, 88, 2, 4, 2, 64, 64 };
    check(lq_ctx_create(NULL, &ctx, &error), &error, "context");
    write_model(ctx, argv[1], &s, argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
    lq_ctx_destroy(ctx);
    return 0;
}
