/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/model.h - what estimate knows about a model: its weights and its shape
 */
#ifndef LQ_TOOL_MODEL_H
#define LQ_TOOL_MODEL_H

#include "lq.h"

typedef struct model {
    lq_ctx        *ctx;
    lq_checkpoint *checkpoint;  /* a model file, or NULL: weights follow from the shape */
    uint64_t       layers, hidden, ffn, vocab;   /* 0: unknown */
    uint64_t       heads, kv_heads, head_size;   /* kv_heads * head_size: one KV row */
    uint64_t       experts;     /* per layer, 0 or 1: dense */
    int            tied;        /* no lm_head of its own */
    lq_spec        source;      /* format of weights that are not in a file */
    const char    *origin;      /* "config", "file", "assumed" */
} model;

/* 'times': how often a weight of this kind and shape occurs (experts). */
typedef void model_visit(void *user, const lq_weight *w, uint64_t times);

/* From the positional argument, or --params.  0 or an exit code. */
int  model_open(tool *t, const args *a, model *m);
void model_close(model *m);

/* Call 'visit' for every weight. */
void model_each(const model *m, model_visit *visit, void *user);

/* Shape from the text of a config.json: 1, 0 with a reason, or -1 without JSON. */
int model_config(model *m, const char *text, size_t bytes, const char **reason);

#endif
