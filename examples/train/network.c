/* SPDX-License-Identifier: MIT */
/*
 * examples/train/network.c - the whole model, forward and backward
 *
 * The forward pass keeps what every layer computed; the backward pass goes through the
 * layers in reverse with n->dx, the gradient of the stream of residuals, and adds to n->grads.
 * The matrices of the layers are the network's own, or somebody else's (linears).
 */
#include "../common/common.h"
#include "train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static real *reals(network *n, size_t rows, size_t cols)
{
    n->bytes += rows * cols * sizeof(real);
    return allocate(rows * cols, sizeof(real));
}

static void create_layer(network *n, saved *l)
{
    size_t t = n->tokens, kv = kv_dim(&n->s);

    l->x = reals(n, t, n->s.dim);
    l->scale1 = reals(n, t, 1);
    l->h1 = reals(n, t, n->s.dim);
    l->q = reals(n, t, n->s.dim);
    l->k = reals(n, t, kv);
    l->v = reals(n, t, kv);
    l->p = reals(n, t * n->s.heads, n->length);
    l->att = reals(n, t, n->s.dim);
    l->mid = reals(n, t, n->s.dim);
    l->scale2 = reals(n, t, 1);
    l->h2 = reals(n, t, n->s.dim);
    l->gate = reals(n, t, n->s.hidden);
    l->up = reals(n, t, n->s.hidden);
    l->act = reals(n, t, n->s.hidden);
}

static void create_gradients(network *n)
{
    size_t t = n->tokens, kv = kv_dim(&n->s);

    n->dx = reals(n, t, n->s.dim);
    n->dh = reals(n, t, n->s.dim);
    n->dq = reals(n, t, n->s.dim);
    n->dk = reals(n, t, kv);
    n->dv = reals(n, t, kv);
    n->datt = reals(n, t, n->s.dim);
    n->dgate = reals(n, t, n->s.hidden);
    n->dup = reals(n, t, n->s.hidden);
    n->dact = reals(n, t, n->s.hidden);
    n->dp = reals(n, t * n->s.kv_heads, n->length);
}

static void fill_angles(network *n)
{
    uint32_t half = head_dim(&n->s) / 2;

    n->cosines = reals(n, n->length, half);
    n->sines = reals(n, n->length, half);
    for (uint32_t i = 0; i < half; i++) {
        double frequency = pow(n->s.theta, -1.0 * i / half);

        for (uint32_t p = 0; p < n->length; p++) {
            n->cosines[(size_t)p * half + i] = (real)cos(p * frequency);
            n->sines[(size_t)p * half + i] = (real)sin(p * frequency);
        }
    }
}

network *network_create(const lq_ctx *ctx, const shape *s, uint32_t sequences, uint32_t length,
                        int trained)
{
    network *n = allocate(1, sizeof *n);

    n->ctx = ctx;
    n->s = *s;
    n->sequences = sequences;
    n->length = length;
    n->tokens = sequences * length;
    (void)shape_parameters(s, NULL, &n->parameters);
    n->weights = reals(n, n->parameters, 1);
    n->grads = trained ? reals(n, n->parameters, 1) : NULL;
    n->layers = allocate(s->layers, sizeof *n->layers);
    for (uint32_t i = 0; i < s->layers; i++)
        create_layer(n, &n->layers[i]);
    n->x = reals(n, n->tokens, s->dim);
    n->scale = reals(n, n->tokens, 1);
    n->h = reals(n, n->tokens, s->dim);
    n->logits = reals(n, n->tokens, s->vocab);
    n->losses = allocate(n->tokens, sizeof *n->losses);
    create_gradients(n);
    fill_angles(n);
    return n;
}

void network_destroy(network *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->s.layers; i++) {
        saved *l = &n->layers[i];
        real *all[] = { l->x, l->scale1, l->h1, l->q, l->k, l->v, l->p, l->att, l->mid,
                        l->scale2, l->h2, l->gate, l->up, l->act };

        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            free(all[k]);
    }
    real *all[] = { n->weights, n->grads, n->x, n->scale, n->h, n->logits, n->cosines,
                    n->sines, n->dx, n->dh, n->dq, n->dk, n->dv, n->datt, n->dgate, n->dup,
                    n->dact, n->dp };

    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        free(all[k]);
    free(n->layers);
    free(n->losses);
    free(n);
}

/* ---------------------------------------------------------------- forward */

static void normalize(const network *n, const real *x, const real *weight, real *scale, real *y)
{
    norm a = { .n = n->tokens, .dim = n->s.dim, .eps = n->s.eps, .x = x, .weight = weight,
               .scale = scale, .y = y };

    norm_forward(n->ctx, &a);
}

/* y (+)= x W^T with a matrix of a layer. */
static void multiply(const network *n, uint32_t layer, int matrix, const real *x, real *y,
                     int accumulate)
{
    uint32_t rows, cols;

    if (n->linears.forward) {
        n->linears.forward(n->linears.user, layer, matrix, x, y, accumulate);
        return;
    }
    shape_matrix(&n->s, matrix, &rows, &cols);
    linear_forward(n->ctx, n->tokens, rows, cols,
                   shape_layer(&n->s, n->weights, layer).matrix[matrix], x, y, accumulate);
}

/* l->x through the layer, to 'out'. */
static void layer_forward(network *n, uint32_t layer, real *out)
{
    saved *l = &n->layers[layer];
    layer_part w = shape_layer(&n->s, n->weights, layer);
    size_t bytes = (size_t)n->tokens * n->s.dim * sizeof(real);
    gating g = { .n = n->tokens, .width = n->s.hidden, .gate = l->gate, .up = l->up,
                 .act = l->act };

    normalize(n, l->x, w.attn_norm, l->scale1, l->h1);
    multiply(n, layer, Q, l->h1, l->q, 0);
    multiply(n, layer, K, l->h1, l->k, 0);
    multiply(n, layer, V, l->h1, l->v, 0);
    rope(n, l->q, n->s.heads, 0);
    rope(n, l->k, n->s.kv_heads, 0);
    attention_forward(n, l);
    memcpy(l->mid, l->x, bytes);
    multiply(n, layer, O, l->att, l->mid, 1);

    normalize(n, l->mid, w.ffn_norm, l->scale2, l->h2);
    multiply(n, layer, GATE, l->h2, l->gate, 0);
    multiply(n, layer, UP, l->h2, l->up, 0);
    gating_forward(n->ctx, &g);
    memcpy(out, l->mid, bytes);
    multiply(n, layer, DOWN, l->act, out, 1);
}

double network_forward(network *n, const uint16_t *inputs, const uint16_t *targets)
{
    embed(n, inputs, n->layers[0].x);
    for (uint32_t i = 0; i < n->s.layers; i++)
        layer_forward(n, i, i + 1 < n->s.layers ? n->layers[i + 1].x : n->x);
    normalize(n, n->x, shape_norm(&n->s, n->weights), n->scale, n->h);
    linear_forward(n->ctx, n->tokens, n->s.vocab, n->s.dim, n->weights, n->h, n->logits, 0);
    return loss_forward(n, targets);
}

/* --------------------------------------------------------------- backward */

/* Gradient n->dh behind a normalization to n->dx before it. */
static void normalize_back(const network *n, const real *x, const real *weight, real *scale,
                           real *dweight)
{
    norm a = { .n = n->tokens, .dim = n->s.dim, .x = x, .weight = weight, .scale = scale,
               .dy = n->dh, .dx = n->dx, .dweight = dweight };

    norm_back(n->ctx, &a);
}

/* dx (+)= dy W and, where they are parameters, dW += dy^T x. */
static void multiply_back(const network *n, uint32_t layer, int matrix, const real *x,
                          const real *dy, real *dx, int accumulate)
{
    uint32_t rows, cols;

    if (n->linears.forward) {
        n->linears.back(n->linears.user, layer, matrix, x, dy, dx, accumulate);
        return;
    }
    shape_matrix(&n->s, matrix, &rows, &cols);
    linear_back(n->ctx, n->tokens, rows, cols,
                shape_layer(&n->s, n->weights, layer).matrix[matrix], x, dy, dx,
                shape_layer(&n->s, n->grads, layer).matrix[matrix], accumulate);
}

static void feed_forward_back(network *n, uint32_t layer)
{
    saved *l = &n->layers[layer];
    gating g = { .n = n->tokens, .width = n->s.hidden, .gate = l->gate, .up = l->up,
                 .dact = n->dact, .dgate = n->dgate, .dup = n->dup };

    multiply_back(n, layer, DOWN, l->act, n->dx, n->dact, 0);
    gating_back(n->ctx, &g);
    multiply_back(n, layer, GATE, l->h2, n->dgate, n->dh, 0);
    multiply_back(n, layer, UP, l->h2, n->dup, n->dh, 1);
    normalize_back(n, l->mid, shape_layer(&n->s, n->weights, layer).ffn_norm, l->scale2,
                   shape_layer(&n->s, n->grads, layer).ffn_norm);
}

static void self_attention_back(network *n, uint32_t layer)
{
    saved *l = &n->layers[layer];

    multiply_back(n, layer, O, l->att, n->dx, n->datt, 0);
    attention_back(n, l);
    rope(n, n->dq, n->s.heads, 1);
    rope(n, n->dk, n->s.kv_heads, 1);
    multiply_back(n, layer, Q, l->h1, n->dq, n->dh, 0);
    multiply_back(n, layer, K, l->h1, n->dk, n->dh, 1);
    multiply_back(n, layer, V, l->h1, n->dv, n->dh, 1);
    normalize_back(n, l->x, shape_layer(&n->s, n->weights, layer).attn_norm, l->scale1,
                   shape_layer(&n->s, n->grads, layer).attn_norm);
}

void network_backward(network *n, const uint16_t *inputs, const uint16_t *targets, double weight)
{
    loss_back(n, targets, weight);
    linear_back(n->ctx, n->tokens, n->s.vocab, n->s.dim, n->weights, n->h, n->logits, n->dh,
                n->grads, 0);
    memset(n->dx, 0, (size_t)n->tokens * n->s.dim * sizeof *n->dx);
    normalize_back(n, n->x, shape_norm(&n->s, n->weights), n->scale,
                   shape_norm(&n->s, n->grads));
    for (uint32_t i = n->s.layers; i-- > 0;) {
        feed_forward_back(n, i);
        self_attention_back(n, i);
    }
    embed_back(n, inputs, n->dx);
}
