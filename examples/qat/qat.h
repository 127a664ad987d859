/* SPDX-License-Identifier: MIT */
/*
 * examples/qat/qat.h - training a model for the format it will be stored in
 *
 * The network is that of examples/train.  fakes.c stands in for the matrices of its layers:
 * products see what the weights, and if asked for the activations and gradients, become in a
 * quantized format.  main.c trains and measures.
 */
#ifndef EXAMPLE_QAT_H
#define EXAMPLE_QAT_H

#include "../common/common.h"
#include "../train/train.h"

/* What a run quantizes; a spec of NULL: nothing. */
typedef struct recipe {
    const char *weights, *activations, *gradients;   /* specs */
    int         rule;                                /* LQ_FAKE_..., of the weights */
    uint32_t    history;   /* activations, gradients: calls whose magnitudes count; 0: scales
                              of the numbers themselves */
} recipe;

/* A fake quantization and its arrays. */
typedef struct quantizer {
    lq_fake  fake;
    uint64_t groups;
    float   *scales, *zeros, *history;
    int      observed;     /* the scales have been set */
} quantizer;

/* The matrix of a layer. */
typedef struct matrix {
    uint32_t  rows, cols;
    size_t    at;              /* among the network's parameters */
    quantizer weight, x, dy;
    float    *value;           /* of the weights, quantized */
} matrix;

typedef struct fakes {
    const lq_ctx *ctx;
    network *n;
    recipe   r;
    lq_spec  weights, activations, gradients;
    matrix  *list;             /* [layer][matrix] */
    uint32_t count;
    size_t   scales;           /* learned numbers of all matrices: scales, then zero points */
    float   *values, *grads;
    float   *x, *dy;           /* one matrix of activations, quantized */
    uint64_t bytes, weights_in_all;   /* of the stored matrices; numbers in them */
} fakes;

/* For the network, whose parameters are there; its products go through here from now on. */
fakes *fakes_create(network *n, const recipe *r);
void   fakes_destroy(fakes *f);

/* Quantize the weights as they are now: before forward passes. */
void fakes_begin(fakes *f);

/* Gradients of the quantized weights in n->grads to those of the weights and f->grads: after
 * the step's last backward pass. */
void fakes_end(fakes *f);

#endif
