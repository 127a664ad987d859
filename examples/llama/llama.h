/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/llama.h - a Llama-architecture model on libquant's products
 *
 * The parts, bottom up: json.c helps, config.c learns the model's shape,
 * model.c its weights, forward.c computes, sample.c chooses, tokenizer.c translates,
 * eval.c and weights.c measure, collect.c keeps statistics, main.c is the command line.
 *
 * Every matrix stays in whatever format the file has: lq_checkpoint_load() gives the
 * planes, lq_prepare() makes them ready, lq_matmul() multiplies.
 */
#ifndef EXAMPLE_LLAMA_H
#define EXAMPLE_LLAMA_H

#include "../common/common.h"

/* ----------------------------------------------------------------- json.c */

/* Value of a key of the outermost object: number (a list: its first), true or false as
 * 1 and 0; text without escapes.  Return 0 if it is not there, or of another kind. */
int json_number(const char *text, const char *key, double *value);
int json_text(const char *text, const char *key, char *value, size_t capacity);

/* Whether the key is there, and not null. */
int json_has(const char *text, const char *key);

/* --------------------------------------------------------------- config.c */

typedef struct config {
    uint32_t dim, hidden, layers, heads, kv_heads, head_dim, rope_dim, context;
    uint32_t bos, eos;
    float    eps, theta;
    int      gguf_names;  /* "blk.0.attn_q", and RoPE turns neighbours: (0,1), (2,3)...;
                             else "model.layers.0..." and halves: (0,d/2), (1,d/2+1)... */
} config;

/* From the file's own metadata, from 'config_path' if not NULL, or from the config.json
 * beside the file. */
void config_read(config *c, const lq_file *file, const char *config_path);

/* ---------------------------------------------------------------- model.c */

/* y = W x + bias */
typedef struct linear {
    lq_tensor   *tensor;
    lq_prepared *ready;
    float       *bias;      /* or NULL */
    uint64_t     rows, cols, bytes;
} linear;

enum { PROJ_Q, PROJ_K, PROJ_V, PROJ_O, PROJ_GATE, PROJ_UP, PROJ_DOWN, PROJECTIONS };

typedef struct layer {
    float *attn_norm, *ffn_norm;
    linear proj[PROJECTIONS];
} layer;

typedef struct model {
    config         c;
    lq_ctx        *ctx;
    lq_checkpoint *checkpoint;
    layer         *layers;
    lq_tensor     *embedding;
    float         *norm;         /* before the output */
    float         *rope_factors; /* divide the frequencies; or NULL */
    linear         output;       /* shares the embedding's tensor when tied */
    uint32_t       vocab;
    int32_t        mode;         /* LQ_MODE_... of products */
} model;

model *model_open(lq_ctx *ctx, const char *path, const char *config_path);
void model_close(model *m);

/* -------------------------------------------------------------- forward.c */

/* Keys and values of one sequence, and the room to compute 'batch' tokens at once. */
typedef struct session {
    const model *m;
    uint32_t capacity, batch, used;
    float *keys, *values;   /* [layer][position][kv_heads * head_dim] */
    float *x, *norm, *q, *attn, *gate, *up, *scores;
    float *cosines, *sines; /* [position][rope_dim / 2] */
    lq_stats *stats;        /* of the projections' inputs, or NULL */
} session;

session *session_create(const model *m, uint32_t capacity, uint32_t batch);
void session_destroy(session *s);

/* Forget the sequence. */
void session_reset(session *s);

/* Append n tokens (at most 'batch') to the sequence. */
void session_run(session *s, const uint32_t *tokens, uint32_t n);

/* Logits [n][vocab] after tokens [first, first + n) of the last run. */
void session_logits(session *s, uint32_t first, uint32_t n, float *logits);

/* --------------------------------------------------------------- sample.c */

typedef struct sampler {
    float    temperature;   /* 0: the most probable token */
    float    top_p;         /* 1: all tokens; else the smallest set that reaches it */
    uint64_t state;         /* the seed */
} sampler;

/* Choose a token; 'logits' are changed. */
uint32_t sample(sampler *s, float *logits, uint32_t vocab);

uint32_t most_probable(const float *logits, uint32_t vocab);

/* ------------------------------------------------------------ tokenizer.c */

typedef struct tokenizer tokenizer;

/* From a llama2.c tokenizer.bin ('path'), or from a GGUF file's "llama" tokenizer.
 * NULL when there is neither. */
tokenizer *tokenizer_open(const char *path, const lq_file *file, uint32_t vocab);
void tokenizer_close(tokenizer *t);

/* Tokens of 'text', BOS first; 'tokens' has room for strlen(text) + 2. */
uint32_t tokenizer_encode(const tokenizer *t, const char *text, uint32_t bos,
                          uint32_t *tokens);

/* Text of a token that follows 'previous'; the space that begins a sequence is dropped. */
const char *tokenizer_piece(const tokenizer *t, uint32_t previous, uint32_t token,
                            uint32_t bos, size_t *bytes);

/* -------------------------------------------------------------- weights.c */

/* The layers' projection matrices: how many weights, bytes, and against the same
 * matrices of 'reference' (NULL: none) the root of sum (w - r)^2 / sum r^2. */
typedef struct weight_stats {
    uint64_t weights, bytes;
    double   relative_rmse;
    char     spec[LQ_SPEC_TEXT];
} weight_stats;

weight_stats weights_measure(const model *m, const model *reference);

/* ----------------------------------------------------------------- eval.c */

typedef struct eval_options {
    const char *tokens;     /* file of uint16 little-endian token ids */
    uint32_t    window;     /* 0: the model's context */
    int         json;
} eval_options;

/* Token ids of a file. */
uint32_t *read_tokens(const char *path, size_t *count);

/* Print the mean NLL of 'm' on the tokens and, with a reference, the divergence. */
void evaluate(const model *m, const model *reference, const eval_options *o);

/* -------------------------------------------------------------- collect.c */

/* Add n inputs of a projection to the session's statistics, if it has any. */
void collect_add(const session *s, uint32_t layer, int projection, uint32_t n, const float *x);

/* Run over the tokens and write the statistics of all projections to 'path'. */
void collect(const model *m, const eval_options *o, const char *path);

#endif
