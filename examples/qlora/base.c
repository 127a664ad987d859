/* SPDX-License-Identifier: MIT */
/*
 * examples/qlora/base.c - the model that is fine-tuned
 */
#include "../llama/llama.h"
#include "base.h"

#include <stdlib.h>

lq_checkpoint *base_open(const lq_ctx *ctx, const char *path, shape *s)
{
    lq_error error = LQ_ERROR_INIT;
    lq_weight embedding = LQ_WEIGHT_INIT;
    lq_checkpoint *checkpoint = NULL;
    uint64_t index;
    config c;

    check(lq_checkpoint_open(ctx, path, NULL, &checkpoint, &error), &error, path);
    config_read(&c, lq_checkpoint_file(checkpoint), NULL);
    check(lq_checkpoint_find(checkpoint, "model.embed_tokens.weight", &index), NULL,
          "the embedding");
    check(lq_checkpoint_weight(checkpoint, index, &embedding), NULL, "the embedding");
    if (lq_checkpoint_find(checkpoint, "lm_head.weight", &index) == LQ_OK)
        fail("%s: the output does not share the embedding's matrix", path);
    *s = (shape){ .vocab = (uint32_t)embedding.shape.rows, .dim = c.dim, .hidden = c.hidden,
                  .layers = c.layers, .heads = c.heads, .kv_heads = c.kv_heads,
                  .context = c.context, .eps = (double)c.eps, .theta = (double)c.theta };
    if (s->vocab > 65536 || c.head_dim != head_dim(s) || c.rope_dim != c.head_dim ||
        c.gguf_names)
        fail("%s: not a model of examples/train", path);
    return checkpoint;
}

void base_read(const lq_checkpoint *checkpoint, const char *name, size_t count, float *to)
{
    lq_error error = LQ_ERROR_INIT;
    lq_weight weight = LQ_WEIGHT_INIT;
    uint64_t index;

    check(lq_checkpoint_find(checkpoint, name, &index), NULL, name);
    check(lq_checkpoint_weight(checkpoint, index, &weight), NULL, name);
    if (weight.shape.outer * weight.shape.rows * weight.shape.cols != count)
        fail("%s: not the shape that config.json says", name);
    check(lq_checkpoint_rows(checkpoint, index, 0, 0, weight.shape.rows, to, &error), &error,
          name);
}

void base_fill(const lq_checkpoint *checkpoint, network *n)
{
    size_t total;
    parameter *list = allocate(shape_parameters(&n->s, NULL, &total), sizeof *list);
    uint32_t count = shape_parameters(&n->s, list, &total);

    for (uint32_t i = 0; i < count; i++)
        base_read(checkpoint, list[i].name, list[i].count, n->weights + list[i].at);
    free(list);
}
