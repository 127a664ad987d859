/* SPDX-License-Identifier: MIT */
/*
 * tests/train/gradients.c - every gradient of the example's network against differences
 *
 * examples/train is compiled with double, its products replaced by loops, so that central
 * differences of the loss are good to eight digits: each parameter tensor is checked in
 * several places, in a model with grouped heads and tied output.
 */
#include <math.h>
#include <stdlib.h>

#include "common.h"

#include "examples/train/train.h"

static const shape sizes = { 11, 8, 12, 2, 4, 2, 7, 1e-5, 100, 0 };

enum { SEQUENCES = 2, LENGTH = 7, PLACES = 12 };

static const double *factor(const void *p, uint64_t ld, int transposed, uint64_t i, uint64_t l)
{
    return (const double *)p + (transposed ? l * ld + i : i * ld + l);
}

void product(const lq_ctx *ctx, const lq_gemm_args *a)
{
    uint64_t lda = a->lda ? a->lda : a->trans_a ? a->m : a->k;
    uint64_t ldb = a->ldb ? a->ldb : a->trans_b ? a->k : a->n;
    uint64_t ldc = a->ldc ? a->ldc : a->n;

    (void)ctx;
    for (uint64_t i = 0; i < a->m; i++)
        for (uint64_t j = 0; j < a->n; j++) {
            double *c = (double *)a->c + i * ldc + j, sum = 0;

            if (a->lower && j > i)
                continue;
            for (uint64_t l = 0; l < a->k; l++)
                sum += *factor(a->a, lda, a->trans_a, i, l) *
                       *factor(a->b, ldb, !a->trans_b, j, l);
            sum *= a->alpha != 0 ? a->alpha : 1;
            *c = a->accumulate ? *c + sum : sum;
        }
}

static uint64_t seed = 5;

static double noise(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-52 - 1;
}

static network *make_network(const lq_ctx *ctx, uint16_t *inputs, uint16_t *targets)
{
    network *n = network_create(ctx, &sizes, SEQUENCES, LENGTH, 1);

    for (size_t i = 0; i < n->parameters; i++)
        n->weights[i] = 0.5 * noise();
    for (uint32_t i = 0; i < n->tokens; i++) {
        inputs[i] = (uint16_t)((noise() + 1) * 0.5 * sizes.vocab);
        targets[i] = (uint16_t)((noise() + 1) * 0.5 * sizes.vocab);
    }
    return n;
}

static double difference(network *n, double *weight, const uint16_t *inputs,
                         const uint16_t *targets)
{
    double old = *weight, step = 1e-5, above, below;

    *weight = old + step;
    above = network_forward(n, inputs, targets);
    *weight = old - step;
    below = network_forward(n, inputs, targets);
    *weight = old;
    return (above - below) / (2 * step);
}

static void every_parameter_tensor(void **state)
{
    uint16_t inputs[SEQUENCES * LENGTH], targets[SEQUENCES * LENGTH];
    parameter list[24];
    size_t total;
    network *n = make_network(*state, inputs, targets);
    uint32_t count = shape_parameters(&sizes, list, &total);
    const double weight = 0.75;

    assert_int_equal(total, n->parameters);
    assert_ptr_equal(shape_norm(&sizes, n->weights), n->weights + list[count - 1].at);
    (void)network_forward(n, inputs, targets);
    network_backward(n, inputs, targets, weight);
    for (uint32_t i = 0; i < count; i++)
        for (int k = 0; k < PLACES; k++) {
            size_t at = list[i].at + (size_t)((noise() + 1) * 0.5 * (double)list[i].count);
            double expected = weight * difference(n, &n->weights[at], inputs, targets);

            if (fabs(n->grads[at] - expected) > 1e-9 + 1e-6 * fabs(expected))
                fail_msg("%s: number %zu: %.10g, not %.10g", list[i].name, at - list[i].at,
                         n->grads[at], expected);
        }
    network_destroy(n);
}

/* A second backward pass adds; a token that does not occur changes only through the output. */
static void gradients_add_up(void **state)
{
    uint16_t inputs[SEQUENCES * LENGTH], targets[SEQUENCES * LENGTH];
    network *n = make_network(*state, inputs, targets);
    double *once = malloc(n->parameters * sizeof *once);

    (void)network_forward(n, inputs, targets);
    network_backward(n, inputs, targets, 1);
    memcpy(once, n->grads, n->parameters * sizeof *once);
    (void)network_forward(n, inputs, targets);
    network_backward(n, inputs, targets, 1);
    for (size_t i = 0; i < n->parameters; i++)
        assert_true(fabs(n->grads[i] - 2 * once[i]) <= 1e-12 + 1e-12 * fabs(once[i]));
    free(once);
    network_destroy(n);
}

static int make_context(void **state)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;

    opts.threads = 2;
    return lq_ctx_create(&opts, (lq_ctx **)state, NULL) != LQ_OK;
}

static int destroy_context(void **state)
{
    lq_ctx_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_tensor),
        cmocka_unit_test(gradients_add_up),
    };

    return cmocka_run_group_tests(tests, make_context, destroy_context);
}
