/* SPDX-License-Identifier: MIT */
/*
 * examples/train/shape.c - the parameters of a Llama model, and where they are
 *
 * All parameters lie in one array, gradients and the optimizer's state in arrays like it.
 * The output shares the embedding's matrix.
 */
#include "train.h"

#include <math.h>
#include <stdio.h>

enum { PARTS = 9 };   /* of a layer */

static void add(parameter *list, uint32_t *n, size_t *total, const char *name, uint32_t rows,
                uint32_t cols, double deviation)
{
    size_t count = (size_t)(rows ? rows : 1) * cols;

    if (list) {
        parameter *p = &list[*n];

        snprintf(p->name, sizeof p->name, "%s.weight", name);
        p->rows = rows;
        p->cols = cols;
        p->at = *total;
        p->count = count;
        p->deviation = deviation;
    }
    ++*n;
    *total += count;
}

/* What is added to the stream of residuals begins smaller, the more layers add to it. */
static void add_layer(const shape *s, parameter *list, uint32_t *n, size_t *total, uint32_t i)
{
    double plain = 0.02, adding = 0.02 / sqrt(2.0 * s->layers);
    const struct { const char *name; uint32_t rows, cols; double deviation; } parts[PARTS] = {
        { "input_layernorm", 0, s->dim, 0 },
        { "self_attn.q_proj", s->dim, s->dim, plain },
        { "self_attn.k_proj", kv_dim(s), s->dim, plain },
        { "self_attn.v_proj", kv_dim(s), s->dim, plain },
        { "self_attn.o_proj", s->dim, s->dim, adding },
        { "post_attention_layernorm", 0, s->dim, 0 },
        { "mlp.gate_proj", s->hidden, s->dim, plain },
        { "mlp.up_proj", s->hidden, s->dim, plain },
        { "mlp.down_proj", s->dim, s->hidden, adding },
    };
    char name[64];

    for (int p = 0; p < PARTS; p++) {
        if (parts[p].rows && s->apart)
            continue;
        snprintf(name, sizeof name, "model.layers.%u.%s", i, parts[p].name);
        add(list, n, total, name, parts[p].rows, parts[p].cols, parts[p].deviation);
    }
}

uint32_t shape_parameters(const shape *s, parameter *list, size_t *total)
{
    uint32_t n = 0;

    *total = 0;
    add(list, &n, total, "model.embed_tokens", s->vocab, s->dim, 0.02);
    for (uint32_t i = 0; i < s->layers; i++)
        add_layer(s, list, &n, total, i);
    add(list, &n, total, "model.norm", 0, s->dim, 0);
    return n;
}

void shape_matrix(const shape *s, int matrix, uint32_t *rows, uint32_t *cols)
{
    *rows = matrix == K || matrix == V ? kv_dim(s)
            : matrix == GATE || matrix == UP ? s->hidden : s->dim;
    *cols = matrix == DOWN ? s->hidden : s->dim;
}

static size_t matrix_count(const shape *s, int matrix)
{
    uint32_t rows, cols;

    shape_matrix(s, matrix, &rows, &cols);
    return s->apart ? 0 : (size_t)rows * cols;
}

static size_t layer_count(const shape *s)
{
    size_t count = 2 * (size_t)s->dim;

    for (int i = 0; i < MATRICES; i++)
        count += matrix_count(s, i);
    return count;
}

layer_part shape_layer(const shape *s, real *all, uint32_t layer)
{
    layer_part l = { 0 };

    if (!all)
        return l;
    all += (size_t)s->vocab * s->dim + layer * layer_count(s);
    l.attn_norm = all;
    all += s->dim;
    for (int i = Q; i <= O; all += matrix_count(s, i++))
        l.matrix[i] = all;
    l.ffn_norm = all;
    all += s->dim;
    for (int i = GATE; i <= DOWN; all += matrix_count(s, i++))
        l.matrix[i] = all;
    return l;
}

real *shape_norm(const shape *s, real *all)
{
    return shape_layer(s, all, s->layers).attn_norm;
}
