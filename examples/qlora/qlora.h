/* SPDX-License-Identifier: MIT */
/*
 * examples/qlora/qlora.h - fine-tuning of a quantized Llama model with LoRA adapters
 *
 * The network is that of examples/train, with its matrices apart: adapters.c has them, frozen
 * in any spec, and what learns beside them.  base.c loads the model, files.c keeps adapters and
 * merges them, main.c trains and reports.
 */
#ifndef EXAMPLE_QLORA_H
#define EXAMPLE_QLORA_H

#include "../common/common.h"
#include "../train/train.h"
#include "base.h"

/* ------------------------------------------------------------- adapters.c */

/* A frozen matrix and its LoRA layer. */
typedef struct adapter {
    char         name[64];   /* "model.layers.0.self_attn.q_proj" */
    lq_tensor   *base;
    lq_rows      rows;
    lq_prepared *ready;      /* with fast products, else NULL */
    lq_lora      lora;
    size_t       a, b;       /* places among values and grads */
    float       *xa;         /* kept from the forward pass */
    uint8_t     *keep;       /* dropout's bits; NULL without */
} adapter;

typedef struct adapters {
    const lq_ctx *ctx;
    shape    s;
    uint32_t tokens, rank;
    int      stabilised, training;
    double   alpha, dropout;
    uint64_t random;          /* of dropout */
    adapter *list;            /* [layer][matrix] */
    uint32_t count;
    size_t   parameters, frozen;   /* numbers of A and B; of the matrices */
    float   *values, *grads;  /* A, B of one, then of the next */
    size_t   base_bytes, ready_bytes, kept_bytes;
} adapters;

/* What a run is made of. */
typedef struct recipe {
    const char *spec;         /* of the frozen matrices */
    uint32_t    rank, tokens;
    double      alpha, dropout;
    uint64_t    seed;
    int         stabilised, fast;
} recipe;

/* Matrices of the checkpoint encoded in r->spec, A random, B zero. */
adapters *adapters_create(const lq_ctx *ctx, const lq_checkpoint *model, const shape *s,
                          const recipe *r);
void      adapters_destroy(adapters *a);

/* For a network without matrices of its own (s.apart). */
linears adapters_linears(adapters *a);

/* ---------------------------------------------------------------- files.c */

void adapters_save(const adapters *a, const char *path, const char *base_model);
void adapters_load(adapters *a, const char *path);

/* All matrices merged into 'spec' and decoded to the parameters of a plain network; prints
 * what that did. */
void adapters_merge(const adapters *a, const char *spec, network *n);

#endif
