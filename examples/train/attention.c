/* SPDX-License-Identifier: MIT */
/*
 * examples/train/attention.c - causal attention, forward and backward
 *
 * One task per sequence and key head.  For each query head that uses it, with rows of
 * positions, s = 1 / sqrt(head_dim) and everything right of the diagonal zero:
 *
 *     P = softmax(s Q K^T)          dP = dO V^T,  dS = P (dP - rowsum(P dP))
 *     O = P V                       dV += P^T dO, dQ = s dS K,  dK += s dS^T Q
 */
#include "train.h"

#include <string.h>
#include <tgmath.h>

typedef struct heads {
    const network *n;
    const saved   *l;
} heads;

/* Where a task's matrices are: rows are positions, 'ldq' and 'ldk' numbers apart. */
typedef struct place {
    uint32_t t, size;      /* length of the sequence, and of a head */
    size_t   ldq, ldk;
    size_t   q, k, p;      /* offsets in q and att; in k and v; in p */
    real     scale;
} place;

static place find_place(const network *n, size_t task, uint32_t query)
{
    const shape *s = &n->s;
    uint32_t sequence = (uint32_t)(task / s->kv_heads), kv = (uint32_t)(task % s->kv_heads);
    uint32_t head = kv * (s->heads / s->kv_heads) + query;
    size_t token = (size_t)sequence * n->length;
    place at = { .t = n->length, .size = head_dim(s), .ldq = s->dim, .ldk = kv_dim(s) };

    at.q = token * at.ldq + (size_t)head * at.size;
    at.k = token * at.ldk + (size_t)kv * at.size;
    at.p = ((size_t)sequence * s->heads + head) * at.t * at.t;
    at.scale = (real)(1 / sqrt((double)at.size));
    return at;
}

/* c = alpha x y^T, only up to the diagonal: [t][size] twice to [t][t]. */
static void scores(const heads *h, const place *at, const real *x, size_t ldx, const real *y,
                   size_t ldy, real alpha, real *c)
{
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;

    a.m = a.n = at->t;
    a.k = at->size;
    a.a = x;
    a.lda = ldx;
    a.b = y;
    a.ldb = ldy;
    a.trans_b = 1;
    a.c = c;
    a.lower = 1;
    a.alpha = (float)alpha;
    product(h->n->ctx, &a);
}

/* c (+)= alpha op(p) x: [t][t] and [t][size] to [t][size]. */
static void weigh(const heads *h, const place *at, const real *p, int transposed, const real *x,
                  size_t ldx, real alpha, real *c, size_t ldc, int accumulate)
{
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;

    a.m = a.k = at->t;
    a.n = at->size;
    a.a = p;
    a.trans_a = transposed;
    a.b = x;
    a.ldb = ldx;
    a.c = c;
    a.ldc = ldc;
    a.accumulate = accumulate;
    a.alpha = (float)alpha;
    product(h->n->ctx, &a);
}

/* Rows of scores to probabilities; zeros right of the diagonal. */
static void softmax_rows(real *p, uint32_t t)
{
    for (uint32_t i = 0; i < t; i++, p += t) {
        real largest = p[0], sum = 0;

        for (uint32_t j = 1; j <= i; j++)
            largest = p[j] > largest ? p[j] : largest;
        for (uint32_t j = 0; j <= i; j++) {
            p[j] = exp(p[j] - largest);
            sum += p[j];
        }
        for (uint32_t j = 0; j <= i; j++)
            p[j] /= sum;
        memset(p + i + 1, 0, (t - i - 1) * sizeof *p);
    }
}

static void softmax_rows_back(const real *p, real *dp, uint32_t t)
{
    for (uint32_t i = 0; i < t; i++, p += t, dp += t) {
        real sum = 0;

        for (uint32_t j = 0; j <= i; j++)
            sum += p[j] * dp[j];
        for (uint32_t j = 0; j <= i; j++)
            dp[j] = p[j] * (dp[j] - sum);
        memset(dp + i + 1, 0, (t - i - 1) * sizeof *dp);
    }
}

static void forward_task(void *arg, size_t task)
{
    const heads *h = arg;
    const saved *l = h->l;
    uint32_t group = h->n->s.heads / h->n->s.kv_heads;

    for (uint32_t query = 0; query < group; query++) {
        place at = find_place(h->n, task, query);

        scores(h, &at, l->q + at.q, at.ldq, l->k + at.k, at.ldk, at.scale, l->p + at.p);
        softmax_rows(l->p + at.p, at.t);
        weigh(h, &at, l->p + at.p, 0, l->v + at.k, at.ldk, 1, l->att + at.q, at.ldq, 0);
    }
}

static void back_task(void *arg, size_t task)
{
    const heads *h = arg;
    const network *n = h->n;
    const saved *l = h->l;
    uint32_t group = n->s.heads / n->s.kv_heads;
    real *dp = n->dp + task * n->length * n->length;

    for (uint32_t query = 0; query < group; query++) {
        place at = find_place(n, task, query);
        const real *p = l->p + at.p, *dy = n->datt + at.q;

        scores(h, &at, dy, at.ldq, l->v + at.k, at.ldk, 1, dp);
        softmax_rows_back(p, dp, at.t);
        weigh(h, &at, p, 1, dy, at.ldq, 1, n->dv + at.k, at.ldk, query > 0);
        weigh(h, &at, dp, 0, l->k + at.k, at.ldk, at.scale, n->dq + at.q, at.ldq, 0);
        weigh(h, &at, dp, 1, l->q + at.q, at.ldq, at.scale, n->dk + at.k, at.ldk, query > 0);
    }
}

void attention_forward(const network *n, const saved *l)
{
    heads h = { n, l };

    (void)lq_parallel(n->ctx, (size_t)n->sequences * n->s.kv_heads, forward_task, &h);
}

void attention_back(const network *n, const saved *l)
{
    heads h = { n, l };

    (void)lq_parallel(n->ctx, (size_t)n->sequences * n->s.kv_heads, back_task, &h);
}
