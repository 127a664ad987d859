/* SPDX-License-Identifier: MIT */
/*
 * examples/qlora/base.h - a checkpoint as the network of examples/train
 */
#ifndef EXAMPLE_BASE_H
#define EXAMPLE_BASE_H

#include "../common/common.h"
#include "../train/train.h"

/* A Llama model as examples/train writes it, and its shape. */
lq_checkpoint *base_open(const lq_ctx *ctx, const char *path, shape *s);

/* All numbers of a tensor as f32; exits unless there are 'count'. */
void base_read(const lq_checkpoint *model, const char *name, size_t count, float *to);

/* The network's parameters from the checkpoint. */
void base_fill(const lq_checkpoint *model, network *n);

#endif
