/* SPDX-License-Identifier: MIT */
/*
 * examples/train/checkpoint.c - save and resume a run, export the model
 *
 * The library's writer shows a file only when it is complete, so a run that is killed while
 * it saves goes on from the save before.
 */
#include "../common/common.h"
#include "train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARD_BYTES = 3900000 };

static parameter *list_parameters(const shape *s, uint32_t *count)
{
    size_t total;
    parameter *list = allocate(shape_parameters(s, NULL, &total), sizeof *list);

    *count = shape_parameters(s, list, &total);
    return list;
}

static uint64_t declare(lq_writer *w, const parameter *p, const char *prefix, lq_dtype type)
{
    const uint64_t dims[2] = { p->rows, p->cols };
    uint64_t index = 0;
    char name[96];

    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    check(lq_writer_tensor(w, name, type, 0, p->rows ? 2 : 1, p->rows ? dims : dims + 1, &index),
          NULL, name);
    return index;
}

/* ------------------------------------------------------------ save, resume */

/* The arrays of a run, each with every parameter. */
enum { ARRAYS = 3 };
static const char *const array_prefix[ARRAYS] = { "", "m.", "v." };

static void set_number(lq_writer *w, const char *key, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    check(lq_writer_meta_string(w, key, text), NULL, key);
}

void checkpoint_save(const network *n, const char *path, const progress *p)
{
    const float *const arrays[ARRAYS] = { n->weights, p->m, p->v };
    lq_error error = LQ_ERROR_INIT;
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_writer *w = NULL;
    uint32_t count;
    parameter *list = list_parameters(&n->s, &count);
    uint64_t first = 0;

    opts.replace = 1;
    check(lq_writer_create(n->ctx, path, LQ_CONTAINER_SAFETENSORS, &opts, &w, &error), &error,
          path);
    set_number(w, "step", p->step);
    set_number(w, "random", p->random);
    for (int a = 0; a < ARRAYS; a++)
        for (uint32_t i = 0; i < count; i++)
            (void)declare(w, &list[i], array_prefix[a], LQ_F32);
    check(lq_writer_begin(w, &error), &error, path);
    for (int a = 0; a < ARRAYS; a++, first += count)
        for (uint32_t i = 0; i < count; i++)
            check(lq_writer_write(w, first + i, 0, arrays[a] + list[i].at,
                                  list[i].count * sizeof(float), &error), &error, path);
    check(lq_writer_finish(w, &error), &error, path);
    lq_writer_destroy(w);
    free(list);
}

static uint64_t get_number(const lq_file *file, const char *key)
{
    lq_meta meta = LQ_META_INIT;
    const char *text = "";
    uint64_t bytes = 0;

    check(lq_file_meta_find(file, key, &meta), NULL, key);
    check(lq_file_meta_string(file, &meta, 0, &text, &bytes), NULL, key);
    return strtoull(text, NULL, 10);
}

static void read_parameter(const lq_file *file, const parameter *p, const char *prefix,
                           float *all)
{
    lq_error error = LQ_ERROR_INIT;
    lq_file_tensor tensor = LQ_FILE_TENSOR_INIT;
    uint64_t index;
    char name[96];

    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    check(lq_file_tensor_find(file, name, &index), NULL, name);
    check(lq_file_tensor_at(file, index, &tensor), NULL, name);
    if (tensor.dtype != LQ_F32 || tensor.bytes != p->count * sizeof(float))
        fail("%s: the checkpoint is of another model", name);
    check(lq_file_read(file, index, 0, all + p->at, tensor.bytes, &error), &error, name);
}

int checkpoint_resume(network *n, const char *path, progress *p)
{
    float *const arrays[ARRAYS] = { n->weights, p->m, p->v };
    lq_error error = LQ_ERROR_INIT;
    lq_file *file = NULL;
    uint32_t count;
    parameter *list;
    lq_status status = lq_file_open(n->ctx, path, NULL, &file, &error);

    if (status == LQ_ERR_NOTFOUND)
        return 0;
    check(status, &error, path);
    list = list_parameters(&n->s, &count);
    p->step = get_number(file, "step");
    p->random = get_number(file, "random");
    for (int a = 0; a < ARRAYS; a++)
        for (uint32_t i = 0; i < count; i++)
            read_parameter(file, &list[i], array_prefix[a], arrays[a]);
    free(list);
    lq_file_close(file);
    return 1;
}

/* ------------------------------------------------------------------ export */

static void attach_config(lq_writer *w, const shape *s)
{
    char text[1024];
    int length = snprintf(text, sizeof text,
        "{\n \"architectures\": [\"LlamaForCausalLM\"],\n \"model_type\": \"llama\",\n"
        " \"hidden_act\": \"silu\",\n \"hidden_size\": %u,\n \"intermediate_size\": %u,\n"
        " \"num_hidden_layers\": %u,\n \"num_attention_heads\": %u,\n"
        " \"num_key_value_heads\": %u,\n \"vocab_size\": %u,\n"
        " \"max_position_embeddings\": %u,\n \"rms_norm_eps\": %g,\n"
        " \"rope_theta\": %.1f,\n \"tie_word_embeddings\": true,\n"
        " \"bos_token_id\": 1,\n \"eos_token_id\": 2,\n \"torch_dtype\": \"bfloat16\"\n}\n",
        s->dim, s->hidden, s->layers, s->heads, s->kv_heads, s->vocab, s->context, s->eps,
        s->theta);

    check(lq_writer_attach(w, "config.json", text, (uint64_t)length), NULL, "config.json");
}

static void write_bf16(const network *n, lq_writer *w, uint64_t index, const parameter *p)
{
    lq_error error = LQ_ERROR_INIT;
    lq_spec spec = LQ_SPEC_INIT;
    lq_shape dims = { 1, 1, p->count };
    lq_tensor *tensor = NULL;
    uint64_t bytes;
    void *codes;

    check(lq_spec_parse("bf16", &spec, &error), &error, "bf16");
    check(lq_tensor_encode(n->ctx, &spec, &dims, LQ_F32, n->weights + p->at, NULL, &tensor,
                           &error), &error, p->name);
    codes = lq_tensor_plane(tensor, LQ_PLANE_CODES, &bytes);
    check(lq_writer_write(w, index, 0, codes, bytes, &error), &error, p->name);
    lq_tensor_destroy(tensor);
}

void checkpoint_export(const network *n, const char *path, const char *tokenizer)
{
    lq_error error = LQ_ERROR_INIT;
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_writer *w = NULL;
    uint32_t count;
    parameter *list = list_parameters(&n->s, &count);
    size_t bytes = 0;
    char *pieces = read_file(tokenizer, &bytes);

    if (!pieces)
        fail("%s: cannot be read", tokenizer);
    opts.replace = 1;
    opts.shard_bytes = SHARD_BYTES;
    check(lq_writer_create(n->ctx, path, LQ_CONTAINER_DIRECTORY, &opts, &w, &error), &error,
          path);
    attach_config(w, &n->s);
    check(lq_writer_attach(w, "tokenizer.bin", pieces, bytes), NULL, tokenizer);
    for (uint32_t i = 0; i < count; i++)
        (void)declare(w, &list[i], "", LQ_BF16);
    check(lq_writer_begin(w, &error), &error, path);
    for (uint32_t i = 0; i < count; i++)
        write_bf16(n, w, i, &list[i]);
    check(lq_writer_finish(w, &error), &error, path);
    lq_writer_destroy(w);
    free(pieces);
    free(list);
}
