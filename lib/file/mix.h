/* SPDX-License-Identifier: MIT */
/*
 * lib/file/mix.h - llama-quantize's mixes: several GGUF types under one name
 */
#ifndef LQI_MIX_H
#define LQI_MIX_H

#include "lib/file/weights.h"

typedef struct lqi_mix {
    const char *name;       /* "q4_k_m" */
    uint8_t     base;       /* GGUF type of whatever no rule names */
    uint8_t     file_type;  /* general.file_type */
} lqi_mix;

/* What the rules ask of the model. */
typedef struct lqi_mix_model {
    uint64_t heads, kv_heads, experts, layers;
    int      falcon, llama, imatrix, has_output;
} lqi_mix_model;

/* A tensor, in llama.cpp's names: which it is of those of its kind, in the file's order. */
typedef struct lqi_mix_tensor {
    const char *name;
    uint32_t    n_dims;
    uint64_t    cols;
    uint64_t    index, count;
} lqi_mix_tensor;

/* A mix by name, in any case; NULL. */
const lqi_mix *lqi_mix_find(const char *name);

/* Kind of a tensor by its name, from 0; tensors of a kind are counted together. */
enum { LQI_MIX_KINDS = 10 };
int lqi_mix_kind(const char *name);

/* GGUF type of a tensor, before any fallback.  'reason' gets words, "" for the base. */
unsigned lqi_mix_type(const lqi_mix *mix, const lqi_mix_model *model,
                      const lqi_mix_tensor *tensor, char *reason, size_t capacity);

/* 1 if llama-quantize wants importances for this tensor of this type. */
int lqi_mix_needs_importance(const lqi_mix *mix, const char *name, unsigned type);

/* Name of a GGUF type, also of those that this build lacks. */
const char *lqi_gguf_type_name(unsigned type);

#endif
