/* SPDX-License-Identifier: MIT */
/*
 * lib/train/lora.h - LoRA layers and calls as their files see them: checked, with defaults
 *
 *   lora_open.c   arguments
 *   lora.c        the passes
 *   lora_merge.c  a layer becomes one weight again
 */
#ifndef LQI_TRAIN_LORA_H
#define LQI_TRAIN_LORA_H

#include "lib/core/core.h"
#include "libquant/train.h"

typedef struct lqi_lora {
    lq_lora      l;
    lq_rows      rows;       /* of W, whichever way it was given; points into this struct */
    lq_spec      spec;
    lqi_geometry g;
    uint64_t     a_bytes, b_bytes;
} lqi_lora;

/* One call: arguments as they were checked, and the work memory of the branch. */
typedef struct lqi_lora_call {
    const lq_ctx *ctx;
    lqi_lora      lora;
    lq_lora_args  args;
    lq_lora_grads grads;
    float        *xa;      /* [BLOCK][rank], s x' A^T where the caller does not keep it */
    float        *gb;      /* [BLOCK][rank], s g B */
    float        *wide;    /* [BLOCK][cols], with dropout: x', then the branch's part of dx */
} lqi_lora_call;

/* The statuses of lq_lora_forward() that are about 'in'. */
lq_status lqi_lora_open(const lq_lora *in, lqi_lora *lora);

/* Fill c->lora, c->args and c->grads from the caller's. */
lq_status lqi_lora_open_forward(lqi_lora_call *c, const lq_lora *lora,
                                const lq_lora_args *args);
lq_status lqi_lora_open_backward(lqi_lora_call *c, const lq_lora *lora,
                                 const lq_lora_args *args, const lq_lora_grads *grads);

/* 1 if a backward pass looks at x. */
int lqi_lora_needs_x(const lqi_lora_call *c);

#endif
