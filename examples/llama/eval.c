/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/eval.c - how well a model predicts a text, and how far it is from another
 *
 * The tokens are cut into windows of N inputs that do not overlap; a shorter rest is
 * dropped.  Each input predicts the token behind it.  All figures are means over the
 * predicted tokens, in nats:
 *
 *   NLL        -log p(token)
 *   KL         sum over the vocabulary of r log (r / p), r the reference's distribution
 *   flips      share of tokens whose most probable prediction differs
 */
#include "llama.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 };  /* tokens whose logits are in memory at a time */

typedef struct tally {
    uint64_t count, windows, flips;
    double   nll, reference_nll;
    float   *kl;          /* per token */
} tally;

typedef struct run {
    const model *m;
    session     *s;
    float       *logits;  /* CHUNK of them */
} run;

uint32_t *read_tokens(const char *path, size_t *count)
{
    size_t bytes = 0;
    char *data = read_file(path, &bytes);
    uint32_t *tokens;

    if (!data)
        fail("%s: cannot be read", path);
    if (bytes % 2)
        fail("%s: not a file of 16-bit token ids", path);
    *count = bytes / 2;
    tokens = allocate(*count, sizeof *tokens);
    for (size_t i = 0; i < *count; i++)
        tokens[i] = (unsigned char)data[2 * i] | (uint32_t)(unsigned char)data[2 * i + 1] << 8;
    free(data);
    return tokens;
}

/* log of sum of exp: subtract it from a logit for its log probability. */
static double log_sum(const float *logits, uint32_t vocab)
{
    double largest = logits[most_probable(logits, vocab)], sum = 0.0;

    for (uint32_t i = 0; i < vocab; i++)
        sum += exp(logits[i] - largest);
    return largest + log(sum);
}

static double divergence(const float *reference, double reference_log, const float *logits,
                         double own_log, uint32_t vocab)
{
    double kl = 0.0;

    for (uint32_t i = 0; i < vocab; i++) {
        double r = reference[i] - reference_log;

        kl += exp(r) * (r - (logits[i] - own_log));
    }
    return kl;
}

static void score(tally *t, const run *a, const run *reference, uint32_t row, uint32_t target)
{
    uint32_t vocab = a->m->vocab;
    const float *x = a->logits + (size_t)row * vocab, *r;
    double own = log_sum(x, vocab), other;

    t->nll += own - x[target];
    if (reference) {
        r = reference->logits + (size_t)row * vocab;
        other = log_sum(r, vocab);
        t->reference_nll += other - r[target];
        t->kl[t->count] = (float)divergence(r, other, x, own, vocab);
        t->flips += most_probable(x, vocab) != most_probable(r, vocab);
    }
    t->count++;
}

static void run_window(const run *a, const uint32_t *tokens, uint32_t window)
{
    session_reset(a->s);
    session_run(a->s, tokens, window);
}

static void score_window(tally *t, const run *a, const run *reference,
                         const uint32_t *tokens, uint32_t window)
{
    run_window(a, tokens, window);
    if (reference)
        run_window(reference, tokens, window);
    for (uint32_t first = 0; first < window; first += CHUNK) {
        uint32_t n = window - first < CHUNK ? window - first : CHUNK;

        session_logits(a->s, first, n, a->logits);
        if (reference)
            session_logits(reference->s, first, n, reference->logits);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t target = tokens[first + i + 1];

            if (target >= a->m->vocab)
                fail("token %u: the model has %u", target, a->m->vocab);
            score(t, a, reference, i, target);
        }
    }
    t->windows++;
}

static run begin(const model *m, uint32_t window)
{
    run r;

    r.m = m;
    r.s = session_create(m, window, window);
    r.logits = allocate((size_t)CHUNK * m->vocab, sizeof *r.logits);
    return r;
}

static void end(run *r)
{
    session_destroy(r->s);
    free(r->logits);
}

/* ------------------------------------------------------------------ report */

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

typedef struct summary {
    double nll, reference_nll, kl, kl_999, kl_max, flips;
} summary;

static summary summarize(tally *t, int with_reference)
{
    summary s = { 0 };
    double n = (double)t->count, sum = 0.0;

    s.nll = t->nll / n;
    if (!with_reference)
        return s;
    for (uint64_t i = 0; i < t->count; i++)
        sum += t->kl[i];
    qsort(t->kl, t->count, sizeof *t->kl, by_value);
    s.reference_nll = t->reference_nll / n;
    s.kl = sum / n;
    s.kl_999 = t->kl[(uint64_t)ceil(0.999 * n) - 1];
    s.kl_max = t->kl[t->count - 1];
    s.flips = (double)t->flips / n;
    return s;
}

static void print_json(const tally *t, const summary *s, const weight_stats *w,
                       int with_reference)
{
    printf("{\"tokens\": %llu, \"windows\": %llu, \"nll\": %.17g, \"perplexity\": %.9f",
           (unsigned long long)t->count, (unsigned long long)t->windows, s->nll, exp(s->nll));
    printf(", \"spec\": \"%s\", \"weights\": %llu, \"bits_per_weight\": %.6f", w->spec,
           (unsigned long long)w->weights, 8.0 * (double)w->bytes / (double)w->weights);
    if (with_reference)
        printf(", \"reference_nll\": %.9f, \"relative_rmse\": %.9g, \"kl\": %.9g, "
               "\"kl_p999\": %.9g, \"kl_max\": %.9g, \"flips\": %.9g", s->reference_nll,
               w->relative_rmse, s->kl, s->kl_999, s->kl_max, s->flips);
    printf("}\n");
}

static void print_text(const tally *t, const summary *s, const weight_stats *w,
                       int with_reference)
{
    printf("tokens           %llu in %llu windows\n", (unsigned long long)t->count,
           (unsigned long long)t->windows);
    printf("projections      %s, %.3f bits per weight\n", w->spec,
           8.0 * (double)w->bytes / (double)w->weights);
    printf("mean NLL         %.6f nats per token\n", s->nll);
    printf("perplexity       %.4f\n", exp(s->nll));
    if (!with_reference)
        return;
    printf("reference NLL    %.6f\n", s->reference_nll);
    printf("relative RMSE    %.6f of the projections\n", w->relative_rmse);
    printf("mean KL          %.6g nats\n", s->kl);
    printf("99.9th perc. KL  %.6g\n", s->kl_999);
    printf("largest KL       %.6g\n", s->kl_max);
    printf("top-1 flips      %.4f %%\n", 100.0 * s->flips);
}

static void check_reference(const model *m, const model *reference)
{
    int same = m->vocab == reference->vocab && m->c.layers == reference->c.layers;

    for (uint32_t i = 0; same && i < m->c.layers; i++)
        for (int p = 0; p < PROJECTIONS; p++) {
            const linear *a = &m->layers[i].proj[p], *b = &reference->layers[i].proj[p];

            same = same && a->rows == b->rows && a->cols == b->cols;
        }
    if (!same)
        fail("the reference has another shape");
}

void evaluate(const model *m, const model *reference, const eval_options *o)
{
    uint32_t window = o->window ? o->window : m->c.context, *tokens;
    run a, b;
    tally t = { 0 };
    summary s;
    weight_stats w;
    size_t count;

    tokens = read_tokens(o->tokens, &count);
    if (count <= window)
        fail("%s: %zu tokens, more than a window of %u are needed", o->tokens, count, window);
    if (reference)
        check_reference(m, reference);
    a = begin(m, window);
    if (reference)
        b = begin(reference, window);
    t.kl = allocate(count, sizeof *t.kl);
    for (size_t at = 0; at + window < count; at += window)
        score_window(&t, &a, reference ? &b : NULL, tokens + at, window);
    s = summarize(&t, reference != NULL);
    w = weights_measure(m, reference);
    (o->json ? print_json : print_text)(&t, &s, &w, reference != NULL);
    end(&a);
    if (reference)
        end(&b);
    free(t.kl);
    free(tokens);
}
