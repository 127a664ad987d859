/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/forward.c - tokens in, logits out
 *
 * A run takes n tokens through the layers together, so every matrix is decoded once for
 * n products: an evaluation window is one run.  All sums are in a fixed order and
 * lq_matmul() gives the same bits for any number of threads, so the logits do too.
 */
#include "llama.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *floats(uint64_t a, uint64_t b)
{
    if (b && a > SIZE_MAX / sizeof(float) / b)
        fail("the sequence is too long");
    return allocate(a * b, sizeof(float));
}

/* Angles of all positions: position * theta^(-2i / rope_dim). */
static void fill_angles(session *s)
{
    const config *c = &s->m->c;
    uint32_t half = c->rope_dim / 2;

    for (uint32_t i = 0; i < half; i++) {
        double frequency = pow(c->theta, -2.0 * i / c->rope_dim);

        if (s->m->rope_factors)
            frequency /= s->m->rope_factors[i];
        for (uint32_t p = 0; p < s->capacity; p++) {
            s->cosines[(size_t)p * half + i] = (float)cos(p * frequency);
            s->sines[(size_t)p * half + i] = (float)sin(p * frequency);
        }
    }
}

session *session_create(const model *m, uint32_t capacity, uint32_t batch)
{
    const config *c = &m->c;
    session *s = allocate(1, sizeof *s);
    uint64_t kv = (uint64_t)c->kv_heads * c->head_dim, q = (uint64_t)c->heads * c->head_dim;

    s->m = m;
    s->capacity = capacity;
    s->batch = batch;
    s->keys = floats((uint64_t)c->layers * capacity, kv);
    s->values = floats((uint64_t)c->layers * capacity, kv);
    s->x = floats(batch, c->dim);
    s->norm = floats(batch, c->dim);
    s->q = floats(batch, q);
    s->attn = floats(batch, q);
    s->gate = floats(batch, c->hidden);
    s->up = floats(batch, c->hidden);
    s->scores = floats(capacity, 1);
    s->cosines = floats(capacity, c->rope_dim / 2);
    s->sines = floats(capacity, c->rope_dim / 2);
    fill_angles(s);
    return s;
}

void session_destroy(session *s)
{
    if (!s)
        return;
    free(s->keys);
    free(s->values);
    free(s->x);
    free(s->norm);
    free(s->q);
    free(s->attn);
    free(s->gate);
    free(s->up);
    free(s->scores);
    free(s->cosines);
    free(s->sines);
    free(s);
}

void session_reset(session *s)
{
    s->used = 0;
}

/* y (+)= x W^T for n vectors. */
static void multiply(const model *m, const linear *w, uint32_t n, const float *x, float *y,
                     int accumulate)
{
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;

    a.n = n;
    a.x = x;
    a.ldx = w->cols;
    a.y = y;
    a.ldy = w->rows;
    a.bias = w->bias;
    a.accumulate = accumulate;
    a.mode = m->mode;
    check(lq_matmul(m->ctx, w->ready, &a), NULL, "matmul");
}

static void rms_norm(const config *c, float *y, const float *x, const float *weight,
                     uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, x += c->dim, y += c->dim) {
        double sum = 0.0;

        for (uint32_t k = 0; k < c->dim; k++)
            sum += (double)x[k] * x[k];
        float scale = (float)(1.0 / sqrt(sum / c->dim + c->eps));

        for (uint32_t k = 0; k < c->dim; k++)
            y[k] = x[k] * scale * weight[k];
    }
}

/* Turn one head's pairs.  GGUF's rows are permuted so that pairs are neighbours. */
static void rotate(const session *s, float *head, uint32_t position)
{
    const config *c = &s->m->c;
    uint32_t half = c->rope_dim / 2, step = c->gguf_names ? 2 : 1;
    const float *cosine = s->cosines + (size_t)position * half;
    const float *sine = s->sines + (size_t)position * half;

    for (uint32_t i = 0; i < half; i++) {
        float *a = head + i * step, *b = c->gguf_names ? a + 1 : a + half;
        float re = *a * cosine[i] - *b * sine[i], im = *a * sine[i] + *b * cosine[i];

        *a = re;
        *b = im;
    }
}

static void rotate_all(const session *s, float *x, uint32_t heads, uint32_t n)
{
    uint32_t size = s->m->c.head_dim;

    for (uint32_t i = 0; i < n; i++)
        for (uint32_t h = 0; h < heads; h++)
            rotate(s, x + ((size_t)i * heads + h) * size, s->used + i);
}

static void softmax(float *x, uint32_t n)
{
    float largest = x[0];
    double sum = 0.0;

    for (uint32_t i = 1; i < n; i++)
        if (x[i] > largest)
            largest = x[i];
    for (uint32_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - largest);
        sum += x[i];
    }
    for (uint32_t i = 0; i < n; i++)
        x[i] = (float)(x[i] / sum);
}

/* One head of one token: over the 'count' keys and values, 'stride' numbers apart. */
static void attend(const session *s, const float *q, const float *keys,
                   const float *values, uint32_t count, float *y)
{
    const config *c = &s->m->c;
    size_t stride = (size_t)c->kv_heads * c->head_dim;
    float scale = 1.0f / sqrtf((float)c->head_dim);

    for (uint32_t p = 0; p < count; p++) {
        const float *k = keys + p * stride;
        float sum = 0.0f;

        for (uint32_t i = 0; i < c->head_dim; i++)
            sum += q[i] * k[i];
        s->scores[p] = sum * scale;
    }
    softmax(s->scores, count);
    memset(y, 0, c->head_dim * sizeof *y);
    for (uint32_t p = 0; p < count; p++) {
        const float *v = values + p * stride;

        for (uint32_t i = 0; i < c->head_dim; i++)
            y[i] += s->scores[p] * v[i];
    }
}

static void attention(session *s, const layer *l, uint32_t index, uint32_t n)
{
    const model *m = s->m;
    const config *c = &m->c;
    size_t kv = (size_t)c->kv_heads * c->head_dim;
    float *keys = s->keys + (size_t)index * s->capacity * kv;
    float *values = s->values + (size_t)index * s->capacity * kv;

    collect_add(s, index, PROJ_Q, n, s->norm);
    multiply(m, &l->proj[PROJ_Q], n, s->norm, s->q, 0);
    multiply(m, &l->proj[PROJ_K], n, s->norm, keys + s->used * kv, 0);
    multiply(m, &l->proj[PROJ_V], n, s->norm, values + s->used * kv, 0);
    rotate_all(s, s->q, c->heads, n);
    rotate_all(s, keys + s->used * kv, c->kv_heads, n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t h = 0; h < c->heads; h++) {
            size_t at = ((size_t)i * c->heads + h) * c->head_dim;
            size_t group = (size_t)(h / (c->heads / c->kv_heads)) * c->head_dim;

            attend(s, s->q + at, keys + group, values + group, s->used + i + 1,
                   s->attn + at);
        }
    collect_add(s, index, PROJ_O, n, s->attn);
    multiply(m, &l->proj[PROJ_O], n, s->attn, s->x, 1);
}

/* down(silu(gate(x)) * up(x)) */
static void feed_forward(session *s, const layer *l, uint32_t index, uint32_t n)
{
    size_t count = (size_t)n * s->m->c.hidden;

    collect_add(s, index, PROJ_GATE, n, s->norm);
    multiply(s->m, &l->proj[PROJ_GATE], n, s->norm, s->gate, 0);
    multiply(s->m, &l->proj[PROJ_UP], n, s->norm, s->up, 0);
    for (size_t i = 0; i < count; i++)
        s->gate[i] *= s->up[i] / (1.0f + expf(-s->gate[i]));
    collect_add(s, index, PROJ_DOWN, n, s->gate);
    multiply(s->m, &l->proj[PROJ_DOWN], n, s->gate, s->x, 1);
}

static void embed(session *s, const uint32_t *tokens, uint32_t n)
{
    const model *m = s->m;
    lq_rows rows = LQ_ROWS_INIT;

    check(lq_tensor_rows(m->embedding, 0, &rows), NULL, "embedding");
    for (uint32_t i = 0; i < n; i++) {
        if (tokens[i] >= rows.rows)
            fail("token %u: the model has %llu", tokens[i], (unsigned long long)rows.rows);
        check(lq_decode_rows(m->ctx, &rows, tokens[i], 1, LQ_F32,
                             s->x + (size_t)i * m->c.dim, m->c.dim), NULL, "embedding");
    }
}

void session_run(session *s, const uint32_t *tokens, uint32_t n)
{
    const model *m = s->m;

    if (n > s->batch || n > s->capacity - s->used)
        fail("the sequence is longer than %u tokens", s->capacity);
    embed(s, tokens, n);
    for (uint32_t i = 0; i < m->c.layers; i++) {
        const layer *l = &m->layers[i];

        rms_norm(&m->c, s->norm, s->x, l->attn_norm, n);
        attention(s, l, i, n);
        rms_norm(&m->c, s->norm, s->x, l->ffn_norm, n);
        feed_forward(s, l, i, n);
    }
    rms_norm(&m->c, s->norm, s->x, m->norm, n);
    s->used += n;
}

void session_logits(session *s, uint32_t first, uint32_t n, float *logits)
{
    multiply(s->m, &s->m->output, n, s->norm + (size_t)first * s->m->c.dim, logits, 0);
}
