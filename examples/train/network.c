/* SPDX-License-Identifier: MIT */
/*
 * examples/train/network.c - the whole model, forward and backward
 *
 * The forward pass keeps what every layer computed; the backward pass goes through the
 * layers in reverse with n->dx, the gradient of the stream of residuals, and adds to n->grads.
 */
#include "../common/common.h"
#include "train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static real *reals(size_t rows, size_t cols)
{
    return allocate(rows * cols, sizeof(real));
}

static void create_layer(network *n, saved *l)
{
    size_t t = n->tokens, kv = kv_dim(&n->s);

    l->x = reals(t, n->s.dim);
    l->scale1 = reals(t, 1);
    l->h1 = reals(t, n->s.dim);
    l->q = reals(t, n->s.dim);
    l->k = reals(t, kv);
    l->v = reals(t, kv);
    l->p = reals(t * n->s.heads, n->length);
    l->att = reals(t, n->s.dim);
    l->mid = reals(t, n->s.dim);
    l->scale2 = reals(t, 1);
    l->h2 = reals(t, n->s.dim);
    l->gate = reals(t, n->s.hidden);
    l->up = reals(t, n->s.hidden);
    l->act = reals(t, n->s.hidden);
}

static void create_gradients(network *n)
{
    size_t t = n->tokens, kv = kv_dim(&n->s);

    n->dx = reals(t, n->s.dim);
    n->dh = reals(t, n->s.dim);
    n->dq = reals(t, n->s.dim);
    n->dk = reals(t, kv);
    n->dv = reals(t, kv);
    n->datt = reals(t, n->s.dim);
    n->dgate = reals(t, n->s.hidden);
    n->dup = reals(t, n->s.hidden);
    n->dact = reals(t, n->s.hidden);
    n->dp = reals(t * n->s.kv_heads, n->length);
}

static void fill_angles(network *n)
{
    uint32_t half = head_dim(&n->s) / 2;

    n->cosines = reals(n->length, half);
    n->sines = reals(n->length, half);
    for (uint32_t i = 0; i < half; i++) {
        double frequency = pow(n->s.theta, -1.0 * i / half);

        for (uint32_t p = 0; p < n->length; p++) {
            n->cosines[(size_t)p * half + i] = (real)cos(p * frequency);
            n->sines[(size_t)p * half + i] = (real)sin(p * frequency);
        }
    }
}

network *network_create(const lq_ctx *ctx, const shape *s, uint32_t sequences, uint32_t length)
{
    network *n = allocate(1, sizeof *n);

    n->ctx = ctx;
    n->s = *s;
    n->sequences = sequences;
    n->length = length;
    n->tokens = sequences * length;
    (void)shape_parameters(s, NULL, &n->parameters);
    n->weights = reals(n->parameters, 1);
    n->grads = reals(n->parameters, 1);
    n->layers = allocate(s->layers, sizeof *n->layers);
    for (uint32_t i = 0; i < s->layers; i++)
        create_layer(n, &n->layers[i]);
    n->x = reals(n->tokens, s->dim);
    n->scale = reals(n->tokens, 1);
    n->h = reals(n->tokens, s->dim);
    n->logits = reals(n->tokens, s->vocab);
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

/* l->x through the layer, to 'out'. */
static void layer_forward(network *n, saved *l, const layer_part *w, real *out)
{
    uint32_t t = n->tokens, dim = n->s.dim, kv = kv_dim(&n->s), hidden = n->s.hidden;
    size_t bytes = (size_t)t * dim * sizeof(real);
    gating g = { .n = t, .width = hidden, .gate = l->gate, .up = l->up, .act = l->act };

    normalize(n, l->x, w->attn_norm, l->scale1, l->h1);
    linear(n->ctx, t, dim, dim, w->q, l->h1, l->q, 0);
    linear(n->ctx, t, kv, dim, w->k, l->h1, l->k, 0);
    linear(n->ctx, t, kv, dim, w->v, l->h1, l->v, 0);
    rope(n, l->q, n->s.heads, 0);
    rope(n, l->k, n->s.kv_heads, 0);
    attention_forward(n, l);
    memcpy(l->mid, l->x, bytes);
    linear(n->ctx, t, dim, dim, w->o, l->att, l->mid, 1);

    normalize(n, l->mid, w->ffn_norm, l->scale2, l->h2);
    linear(n->ctx, t, hidden, dim, w->gate, l->h2, l->gate, 0);
    linear(n->ctx, t, hidden, dim, w->up, l->h2, l->up, 0);
    gating_forward(n->ctx, &g);
    memcpy(out, l->mid, bytes);
    linear(n->ctx, t, dim, hidden, w->down, l->act, out, 1);
}

double network_forward(network *n, const uint16_t *inputs, const uint16_t *targets)
{
    embed(n, inputs, n->layers[0].x);
    for (uint32_t i = 0; i < n->s.layers; i++) {
        layer_part w = shape_layer(&n->s, n->weights, i);

        layer_forward(n, &n->layers[i], &w,
                      i + 1 < n->s.layers ? n->layers[i + 1].x : n->x);
    }
    normalize(n, n->x, shape_norm(&n->s, n->weights), n->scale, n->h);
    linear(n->ctx, n->tokens, n->s.vocab, n->s.dim, n->weights, n->h, n->logits, 0);
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

static void feed_forward_back(network *n, saved *l, const layer_part *w, const layer_part *d)
{
    uint32_t t = n->tokens, dim = n->s.dim, hidden = n->s.hidden;
    gating g = { .n = t, .width = hidden, .gate = l->gate, .up = l->up, .dact = n->dact,
                 .dgate = n->dgate, .dup = n->dup };

    linear_back(n->ctx, t, dim, hidden, w->down, l->act, n->dx, n->dact, d->down, 0);
    gating_back(n->ctx, &g);
    linear_back(n->ctx, t, hidden, dim, w->gate, l->h2, n->dgate, n->dh, d->gate, 0);
    linear_back(n->ctx, t, hidden, dim, w->up, l->h2, n->dup, n->dh, d->up, 1);
    normalize_back(n, l->mid, w->ffn_norm, l->scale2, d->ffn_norm);
}

static void self_attention_back(network *n, saved *l, const layer_part *w, const layer_part *d)
{
    uint32_t t = n->tokens, dim = n->s.dim, kv = kv_dim(&n->s);

    linear_back(n->ctx, t, dim, dim, w->o, l->att, n->dx, n->datt, d->o, 0);
    attention_back(n, l);
    rope(n, n->dq, n->s.heads, 1);
    rope(n, n->dk, n->s.kv_heads, 1);
    linear_back(n->ctx, t, dim, dim, w->q, l->h1, n->dq, n->dh, d->q, 0);
    linear_back(n->ctx, t, kv, dim, w->k, l->h1, n->dk, n->dh, d->k, 1);
    linear_back(n->ctx, t, kv, dim, w->v, l->h1, n->dv, n->dh, d->v, 1);
    normalize_back(n, l->x, w->attn_norm, l->scale1, d->attn_norm);
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
        layer_part w = shape_layer(&n->s, n->weights, i), d = shape_layer(&n->s, n->grads, i);

        feed_forward_back(n, &n->layers[i], &w, &d);
        self_attention_back(n, &n->layers[i], &w, &d);
    }
    embed_back(n, inputs, n->dx);
}
