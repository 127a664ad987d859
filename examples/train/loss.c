/* SPDX-License-Identifier: MIT */
/*
 * examples/train/loss.c - cross-entropy of the next token
 *
 *     loss = log sum exp(z) - z[target];     dz = weight / tokens (softmax(z) - [target])
 */
#include "train.h"

#include <tgmath.h>

typedef struct loss {
    network        *n;
    const uint16_t *targets;
    double          factor;
} loss;

static double log_sum(const real *z, uint32_t vocab)
{
    real largest = z[0];
    double sum = 0;

    for (uint32_t i = 1; i < vocab; i++)
        largest = z[i] > largest ? z[i] : largest;
    for (uint32_t i = 0; i < vocab; i++)
        sum += exp(z[i] - largest);
    return (double)largest + log(sum);
}

static void forward_task(void *arg, size_t from, size_t to)
{
    const loss *a = arg;
    uint32_t vocab = a->n->s.vocab;

    for (size_t i = from; i < to; i++) {
        const real *z = a->n->logits + i * vocab;

        a->n->losses[i] = log_sum(z, vocab) - (double)z[a->targets[i]];
    }
}

static void back_task(void *arg, size_t from, size_t to)
{
    const loss *a = arg;
    uint32_t vocab = a->n->s.vocab;

    for (size_t i = from; i < to; i++) {
        real *z = a->n->logits + i * vocab;
        real shift = (real)(a->n->losses[i] + (double)z[a->targets[i]]);
        real factor = (real)a->factor;

        for (uint32_t k = 0; k < vocab; k++)
            z[k] = factor * exp(z[k] - shift);
        z[a->targets[i]] -= factor;
    }
}

double loss_forward(network *n, const uint16_t *targets)
{
    loss a = { n, targets, 0 };
    double sum = 0;

    for_ranges(n->ctx, n->tokens, forward_task, &a);
    for (uint32_t i = 0; i < n->tokens; i++)
        sum += n->losses[i];
    return sum / n->tokens;
}

void loss_back(network *n, const uint16_t *targets, double weight)
{
    loss a = { n, targets, weight / n->tokens };

    for_ranges(n->ctx, n->tokens, back_task, &a);
}
