/* SPDX-License-Identifier: MIT */
/*
 * examples/qat/fakes.c - products of the layers with quantized weights, activations, gradients
 */
#include "qat.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- creation */

static void parse(const char *text, lq_spec *spec)
{
    lq_error error = LQ_ERROR_INIT;

    lq_spec_init(spec);
    if (text)
        check(lq_spec_parse(text, spec, &error), &error, text);
}

static void create_quantizer(quantizer *q, const lq_spec *spec, int rule, uint32_t history,
                             const uint64_t size[2])
{
    lq_error error = LQ_ERROR_INIT;

    lq_fake_init(&q->fake);
    q->fake.rule = rule;
    q->fake.spec = spec;
    if (rule == LQ_FAKE_FITTED)
        return;
    check(lq_fake_groups(&q->fake, size[0], size[1], &q->groups, &error), &error, "quantizer");
    if (history)
        q->history = allocate(history * q->groups, sizeof(float));
    q->fake.history = q->history;
    q->fake.history_length = history;
}

/* Scales of its own; those of weights lie in f->values. */
static void own_scales(quantizer *q)
{
    q->scales = allocate(q->groups, sizeof(float));
    q->fake.scales = q->scales;
}

static void create_matrix(fakes *f, matrix *m, uint32_t layer, int which)
{
    const network *n = f->n;
    int rule = f->r.history ? LQ_FAKE_LSQ : LQ_FAKE_FITTED;
    lq_shape stored;
    uint64_t bytes;

    shape_matrix(&n->s, which, &m->rows, &m->cols);
    m->at = (size_t)(shape_layer(&n->s, n->weights, layer).matrix[which] - n->weights);
    if (f->r.weights) {
        create_quantizer(&m->weight, &f->weights, f->r.rule, 0,
                         (uint64_t[]){ m->rows, m->cols });
        m->value = allocate((size_t)m->rows * m->cols, sizeof(float));
        stored = (lq_shape){ 1, m->rows, m->cols };
        check(lq_spec_bytes(&f->weights, &stored, &bytes), NULL, f->r.weights);
        f->bytes += bytes;
        f->weights_in_all += (uint64_t)m->rows * m->cols;
        f->scales += m->weight.groups * (f->weights.zeros == LQ_ZEROS_INT ? 2 : 1);
    }
    if (f->r.activations)
        create_quantizer(&m->x, &f->activations, rule, f->r.history,
                         (uint64_t[]){ n->tokens, m->cols });
    if (f->r.gradients)
        create_quantizer(&m->dy, &f->gradients, rule, f->r.history,
                         (uint64_t[]){ n->tokens, m->rows });
    own_scales(&m->x);
    own_scales(&m->dy);
}

/* Places of the learned numbers, and their first values. */
static void start_scales(fakes *f)
{
    lq_error error = LQ_ERROR_INIT;
    size_t at = 0;

    f->values = allocate(f->scales, sizeof(float));
    f->grads = allocate(f->scales, sizeof(float));
    for (uint32_t i = 0; i < f->count && f->scales; i++) {
        matrix *m = &f->list[i];
        lq_fake *fake = &m->weight.fake;

        fake->scales = f->values + at;
        at += m->weight.groups;
        if (f->weights.zeros == LQ_ZEROS_INT) {
            fake->zeros = f->values + at;
            at += m->weight.groups;
        }
        check(lq_fake_start(f->ctx, fake, m->rows, m->cols, f->n->weights + m->at, &error),
              &error, "first scales");
    }
}

/* ---------------------------------------------------------------- products */

/* x, or what it becomes in 'to'. */
static const float *quantize(fakes *f, quantizer *q, uint32_t cols, const float *x, float *to)
{
    lq_error error = LQ_ERROR_INIT;

    if (!q->fake.spec)
        return x;
    if (q->history && !q->observed)
        check(lq_fake_observe(f->ctx, &q->fake, f->n->tokens, cols, x, &error), &error, "scales");
    q->observed = 1;
    check(lq_fake_forward(f->ctx, &q->fake, f->n->tokens, cols, x, to, &error), &error,
          "quantize");
    return to;
}

static void observe(fakes *f, quantizer *q, uint32_t cols, const float *x)
{
    lq_error error = LQ_ERROR_INIT;

    if (q->history)
        check(lq_fake_observe(f->ctx, &q->fake, f->n->tokens, cols, x, &error), &error, "scales");
}

static const float *weights(const fakes *f, const matrix *m)
{
    return m->value ? m->value : f->n->weights + m->at;
}

static void forward(void *user, uint32_t layer, int which, const real *x, real *y,
                    int accumulate)
{
    fakes *f = user;
    matrix *m = &f->list[layer * MATRICES + (uint32_t)which];

    x = quantize(f, &m->x, m->cols, x, f->x);
    linear_forward(f->ctx, f->n->tokens, m->rows, m->cols, weights(f, m), x, y, accumulate);
}

/* Activations are quantized again, with the scales of the forward pass, not kept. */
static void back(void *user, uint32_t layer, int which, const real *x, const real *dy, real *dx,
                 int accumulate)
{
    fakes *f = user;
    matrix *m = &f->list[layer * MATRICES + (uint32_t)which];
    const real *seen_x = quantize(f, &m->x, m->cols, x, f->x);
    const real *seen_dy = quantize(f, &m->dy, m->rows, dy, f->dy);

    linear_back(f->ctx, f->n->tokens, m->rows, m->cols, weights(f, m), seen_x, seen_dy, dx,
                f->n->grads + m->at, accumulate);
    observe(f, &m->x, m->cols, x);
    observe(f, &m->dy, m->rows, dy);
}

/* ------------------------------------------------------------- the weights */

void fakes_begin(fakes *f)
{
    lq_error error = LQ_ERROR_INIT;

    for (uint32_t i = 0; i < f->count; i++) {
        matrix *m = &f->list[i];

        if (m->value)
            check(lq_fake_forward(f->ctx, &m->weight.fake, m->rows, m->cols,
                                  f->n->weights + m->at, m->value, &error), &error, "weights");
    }
}

void fakes_end(fakes *f)
{
    lq_error error = LQ_ERROR_INIT;

    for (uint32_t i = 0; i < f->count; i++) {
        matrix *m = &f->list[i];
        lq_fake_grads g = LQ_FAKE_GRADS_INIT;

        if (!m->value)
            continue;
        g.x = f->n->weights + m->at;
        g.dx = f->n->grads + m->at;
        g.dy = g.dx;
        if (m->weight.fake.scales)
            g.dscales = f->grads + (m->weight.fake.scales - f->values);
        if (m->weight.fake.zeros)
            g.dzeros = f->grads + (m->weight.fake.zeros - f->values);
        check(lq_fake_backward(f->ctx, &m->weight.fake, m->rows, m->cols, &g, &error), &error,
              "gradients of weights");
    }
}

/* -------------------------------------------------------------------- whole */

fakes *fakes_create(network *n, const recipe *r)
{
    fakes *f = allocate(1, sizeof *f);
    uint32_t widest = n->s.dim > n->s.hidden ? n->s.dim : n->s.hidden;

    f->ctx = n->ctx;
    f->n = n;
    f->r = *r;
    f->count = n->s.layers * MATRICES;
    f->list = allocate(f->count, sizeof *f->list);
    parse(r->weights, &f->weights);
    parse(r->activations, &f->activations);
    parse(r->gradients, &f->gradients);
    for (uint32_t i = 0; i < f->count; i++)
        create_matrix(f, &f->list[i], i / MATRICES, (int)(i % MATRICES));
    start_scales(f);
    f->x = allocate((size_t)n->tokens * widest, sizeof(float));
    f->dy = allocate((size_t)n->tokens * widest, sizeof(float));
    n->linears = (linears){ f, forward, back };
    return f;
}

void fakes_destroy(fakes *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        matrix *m = &f->list[i];
        float *all[] = { m->value, m->x.scales, m->x.history, m->dy.scales, m->dy.history };

        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            free(all[k]);
    }
    free(f->list);
    free(f->values);
    free(f->grads);
    free(f->x);
    free(f->dy);
    free(f);
}
