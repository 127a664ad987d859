/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/model.c - a model from a file, a config.json, or its size alone
 */
#include "model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONFIG_MAX (1u << 20)
#define PARAMS_MIN 1000000u
#define PARAMS_MAX 100000000000000u

static int has_end(const char *name, const char *a, const char *b)
{
    size_t n = strlen(name), la = strlen(a), lb = strlen(b);

    return (n >= la && !strcmp(name + n - la, a)) || (n >= lb && !strcmp(name + n - lb, b));
}

/* Learn the shape from the names and shapes of a file's weights. */
static void learn(void *user, const lq_weight *w, uint64_t times)
{
    model *m = user;

    (void)times;
    if (has_end(w->name, "k_proj.weight", "attn_k.weight")) {
        m->layers++;
        m->kv_heads = 1;
        m->head_size = w->shape.rows;
        m->hidden = w->shape.cols;
    } else if (has_end(w->name, "up_proj.weight", "ffn_up.weight")) {
        m->ffn = w->shape.rows;
    } else if (has_end(w->name, "embed_tokens.weight", "token_embd.weight")) {
        m->vocab = w->shape.rows;
    }
}

static int from_file(tool *t, const char *path, model *m)
{
    lq_error error = LQ_ERROR_INIT;

    lq_status status = lq_checkpoint_open(m->ctx, path, NULL, &m->checkpoint, &error);
    if (status != LQ_OK)
        return fail_error(t, status, &error);
    m->origin = "file";
    model_each(m, learn, m);
    return 0;
}

static int from_config(tool *t, const char *path, model *m)
{
    const char *reason = "";
    FILE *file = fopen(path, "rb");
    char *data = file ? malloc(CONFIG_MAX + 1) : NULL;

    if (!file)
        return fail_status(t, LQ_ERR_IO, "%s cannot be opened", path);
    size_t bytes = data ? fread(data, 1, CONFIG_MAX + 1, file) : 0;
    int broken = ferror(file);
    fclose(file);
    int found = data && !broken && bytes <= CONFIG_MAX
                    ? model_config(m, data, bytes, &reason) : 0;
    free(data);
    if (!data)
        return fail_status(t, LQ_ERR_NOMEM, "out of memory");
    if (broken)
        return fail_status(t, LQ_ERR_IO, "%s cannot be read", path);
    if (bytes > CONFIG_MAX)
        return fail_status(t, LQ_ERR_LIMIT, "%s is larger than 1 MiB", path);
    if (found <= 0)
        return fail_status(t, found ? LQ_ERR_UNSUPPORTED : LQ_ERR_CORRUPT, "%s: %s", path,
                           reason);
    m->origin = "config";
    return 0;
}

/* A Llama of about this size: 12 hidden^2 numbers per layer, hidden / layers = 128. */
static int from_params(tool *t, const char *text, model *m)
{
    uint64_t count;

    if (!parse_params(text, &count) || count < PARAMS_MIN || count > PARAMS_MAX)
        return fail_usage(t, "--params %s: expected a size such as 7B or 350M (1M to 100T)",
                          text);
    double hidden = cbrt((double)count * 128 / 12);
    uint64_t step = hidden > 1024 ? 128 : 32;
    m->hidden = (uint64_t)(hidden / (double)step + 0.5) * step;
    m->layers = (uint64_t)((double)count / (12.0 * (double)m->hidden * (double)m->hidden)
                           + 0.5);
    m->layers = m->layers ? m->layers : 1;
    m->head_size = step == 128 ? 128 : 32;
    m->heads = m->hidden / m->head_size;
    m->kv_heads = m->heads;
    m->ffn = (m->hidden * 8 / 3 + step - 1) / step * step;
    m->vocab = step == 128 ? 32000 : 8192;
    m->experts = 1;
    m->tied = step != 128;
    m->origin = "assumed";
    return 0;
}

/* config.json itself, or a directory that has one and no weights. */
static char *config_path(const char *path)
{
    size_t bytes = strlen(path);
    char *joined = malloc(bytes + sizeof "/config.json");
    struct stat at;

    if (!joined)
        return NULL;
    if (stat(path, &at) == 0 && S_ISDIR(at.st_mode))
        sprintf(joined, "%s/config.json", path);
    else
        strcpy(joined, path);
    bytes = strlen(joined);
    if (bytes < 5 || strcmp(joined + bytes - 5, ".json")) {
        free(joined);
        return NULL;
    }
    return joined;
}

static int from_path(tool *t, const char *path, model *m)
{
    char *config = config_path(path);
    lq_file *file = NULL;
    int code;

    int is_model = !config || lq_file_open(m->ctx, path, NULL, &file, NULL) == LQ_OK;
    lq_file_close(file);
    if (!is_model && strcmp(config, path)) {
        FILE *there = fopen(config, "rb");
        is_model = !there;        /* let the reader say what is wrong with the folder */
        if (there)
            fclose(there);
    }
    code = is_model ? from_file(t, path, m) : from_config(t, config, m);
    free(config);
    return code;
}

int model_open(tool *t, const args *a, model *m)
{
    const char *params = args_value(a, OPT_PARAMS);
    lq_error error = LQ_ERROR_INIT;

    memset(m, 0, sizeof *m);
    lq_spec_init(&m->source);
    lq_spec_parse("bf16", &m->source, NULL);
    if (!params == !a->positional_count)
        return fail_usage(t, params ? "a model and --params contradict each other"
                                    : "which model? Give a file, a config.json or --params");
    lq_status status = lq_ctx_create(NULL, &m->ctx, &error);
    if (status != LQ_OK)
        return fail_error(t, status, &error);
    return params ? from_params(t, params, m) : from_path(t, a->positional[0], m);
}

void model_close(model *m)
{
    lq_checkpoint_destroy(m->checkpoint);
    lq_ctx_destroy(m->ctx);
    memset(m, 0, sizeof *m);
}

typedef struct synthesis {
    const model *m;
    model_visit *visit;
    void        *user;
} synthesis;

static void visit_shape(const synthesis *s, const char *name, uint64_t rows, uint64_t cols,
                        uint64_t times)
{
    lq_weight w = LQ_WEIGHT_INIT;

    w.name = name;
    w.spec = &s->m->source;
    w.dialect = "plain";
    w.dtype = s->m->source.format;      /* F32, F16, BF16 have the same numbers in both */
    w.n_dims = rows ? 2 : 1;
    w.shape = (lq_shape){ 1, rows ? rows : 1, cols };
    w.dims[0] = rows ? rows : cols;
    w.dims[1] = rows ? cols : 0;
    if (lq_spec_bytes(w.spec, &w.shape, &w.bytes) == LQ_OK)
        s->visit(s->user, &w, times);
}

static void visit_layer(const synthesis *s, uint64_t layer)
{
    const model *m = s->m;
    const uint64_t h = m->hidden, q = m->heads * m->head_size, kv = m->kv_heads * m->head_size;
    const struct { const char *name; uint64_t rows, cols, times; } list[] = {
        { "input_layernorm", 0, h, 1 }, { "self_attn.q_proj", q, h, 1 },
        { "self_attn.k_proj", kv, h, 1 }, { "self_attn.v_proj", kv, h, 1 },
        { "self_attn.o_proj", h, q, 1 }, { "post_attention_layernorm", 0, h, 1 },
        { "mlp.gate_proj", m->ffn, h, m->experts }, { "mlp.up_proj", m->ffn, h, m->experts },
        { "mlp.down_proj", h, m->ffn, m->experts },
    };
    char name[96];

    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        snprintf(name, sizeof name, "model.layers.%" PRIu64 ".%s.weight", layer,
                 list[i].name);
        visit_shape(s, name, list[i].rows, list[i].cols, list[i].times);
    }
    if (m->experts > 1) {
        snprintf(name, sizeof name, "model.layers.%" PRIu64 ".mlp.gate.weight", layer);
        visit_shape(s, name, m->experts, h, 1);
    }
}

void model_each(const model *m, model_visit *visit, void *user)
{
    const synthesis s = { m, visit, user };

    if (m->checkpoint) {
        for (uint64_t i = 0; i < lq_checkpoint_count(m->checkpoint); i++) {
            lq_weight w = LQ_WEIGHT_INIT;
            if (lq_checkpoint_weight(m->checkpoint, i, &w) == LQ_OK)
                visit(user, &w, 1);
        }
        return;
    }
    visit_shape(&s, "model.embed_tokens.weight", m->vocab, m->hidden, 1);
    for (uint64_t layer = 0; layer < m->layers; layer++)
        visit_layer(&s, layer);
    visit_shape(&s, "model.norm.weight", 0, m->hidden, 1);
    if (!m->tied)
        visit_shape(&s, "lm_head.weight", m->vocab, m->hidden, 1);
}
