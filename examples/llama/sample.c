/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/sample.c - the next token: greedy, or drawn at a temperature from the
 * most probable tokens
 */
#include "llama.h"

#include <math.h>
#include <stdlib.h>

/* splitmix64, to [0, 1). */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

uint32_t most_probable(const float *logits, uint32_t vocab)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

typedef struct candidate {
    float    weight;
    uint32_t token;
} candidate;

static int by_weight(const void *a, const void *b)
{
    const candidate *x = a, *y = b;

    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return x->token < y->token ? -1 : 1;
}

/* Draw from the first 'n' candidates, whose weights add up to 'sum'. */
static uint32_t draw(sampler *s, const candidate *c, uint32_t n, double sum)
{
    double left = uniform(&s->state) * sum;

    for (uint32_t i = 0; i + 1 < n; i++) {
        left -= c[i].weight;
        if (left < 0.0)
            return c[i].token;
    }
    return c[n - 1].token;
}

uint32_t sample(sampler *s, float *logits, uint32_t vocab)
{
    float largest = logits[most_probable(logits, vocab)];
    double sum = 0.0, kept = 0.0;
    uint32_t n = 0, token;
    candidate *c;

    if (s->temperature <= 0.0f)
        return most_probable(logits, vocab);
    c = allocate(vocab, sizeof *c);
    for (uint32_t i = 0; i < vocab; i++) {
        c[i].weight = expf((logits[i] - largest) / s->temperature);
        c[i].token = i;
        sum += c[i].weight;
    }
    if (s->top_p < 1.0f) {
        qsort(c, vocab, sizeof *c, by_weight);
        while (n < vocab && kept < s->top_p * sum)
            kept += c[n++].weight;
    } else {
        n = vocab;
        kept = sum;
    }
    token = draw(s, c, n ? n : 1, kept);
    free(c);
    return token;
}
