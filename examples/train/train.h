/* SPDX-License-Identifier: MIT */
/*
 * examples/train/train.h - a trainer of small Llama models on libquant's products
 *
 * The parts, bottom up: shape.c lists the parameters, product.c multiplies, layers.c,
 * attention.c and loss.c are the pieces of the network, each forward and backward, network.c
 * puts them together, data.c draws batches, checkpoint.c saves, resumes and exports, main.c
 * is the schedule and the command line.
 *
 * 'real' is float.  The tests compile the same files with double and compare every gradient
 * with differences of the loss.
 */
#ifndef EXAMPLE_TRAIN_H
#define EXAMPLE_TRAIN_H

#include <libquant/libquant.h>

#include <stddef.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL real;

/* ---------------------------------------------------------------- shape.c */

typedef struct shape {
    uint32_t vocab, dim, hidden, layers, heads, kv_heads, context;
    double   eps, theta;
    int      apart;   /* 1: the matrices of the layers are not parameters; see linears */
} shape;

static inline uint32_t head_dim(const shape *s) { return s->dim / s->heads; }
static inline uint32_t kv_dim(const shape *s) { return s->kv_heads * head_dim(s); }

/* One parameter tensor: a matrix, or with rows 0 the 'cols' weights of a norm. */
typedef struct parameter {
    char     name[72];     /* in Hugging Face checkpoints */
    uint32_t rows, cols;
    size_t   at, count;    /* place among all parameters; numbers */
    double   deviation;    /* of the Gaussian it begins as */
} parameter;

/* Fill list[] in the order of 'at'; NULL: only count.  *total: numbers in all. */
uint32_t shape_parameters(const shape *s, parameter *list, size_t *total);

/* The matrices of a layer. */
enum { Q, K, V, O, GATE, UP, DOWN, MATRICES };

void shape_matrix(const shape *s, int matrix, uint32_t *rows, uint32_t *cols);

/* The parts of a layer in an array that is laid out as the parameters; NULL: all NULL. */
typedef struct layer_part {
    real *attn_norm, *ffn_norm, *matrix[MATRICES];
} layer_part;

layer_part shape_layer(const shape *s, real *all, uint32_t layer);
real      *shape_norm(const shape *s, real *all);   /* the last one; the embedding is first */

/* -------------------------------------------------------------- network.c */

/* What a layer's backward pass needs of its forward pass. */
typedef struct saved {
    real *x, *scale1, *h1, *q, *k, *v, *p, *att, *mid, *scale2, *h2, *gate, *up, *act;
} saved;

/* Products with the matrices of the layers where somebody else has them: y (+)= x W^T, and
 * dx (+)= dy W with whatever gradients he wants for himself. */
typedef struct linears {
    void *user;
    void (*forward)(void *user, uint32_t layer, int matrix, const real *x, real *y,
                    int accumulate);
    void (*back)(void *user, uint32_t layer, int matrix, const real *x, const real *dy,
                 real *dx, int accumulate);
} linears;

typedef struct network {
    const lq_ctx *ctx;
    shape    s;
    uint32_t sequences, length, tokens;   /* tokens = sequences x length */
    size_t   parameters, bytes;           /* bytes: of all arrays */
    linears  linears;                     /* all NULL: the products are the network's own */
    real    *weights, *grads;             /* grads NULL: the parameters stay as they are */
    saved   *layers;
    real    *x, *scale, *h, *logits;      /* behind the layers; logits become gradients */
    double  *losses;                      /* of each token */
    real    *cosines, *sines;             /* [position][head_dim / 2] */
    real    *dx, *dh, *dq, *dk, *dv, *datt, *dgate, *dup, *dact, *dp;
} network;

/* 'trained': with gradients of the parameters. */
network *network_create(const lq_ctx *ctx, const shape *s, uint32_t sequences, uint32_t length,
                        int trained);
void     network_destroy(network *n);

/* Mean loss in nats of predicting targets[i] behind inputs[i]; tokens in all, one sequence
 * behind the other. */
double network_forward(network *n, const uint16_t *inputs, const uint16_t *targets);

/* Add 'weight' times the gradient of that loss to n->grads. */
void network_backward(network *n, const uint16_t *inputs, const uint16_t *targets,
                      double weight);

/* ----------------------------------------------- product.c, tasks, pieces */

/* lq_gemm() of reals. */
void product(const lq_ctx *ctx, const lq_gemm_args *args);

/* y (+)= x W^T: n vectors of 'cols' numbers to n of 'rows'. */
void linear_forward(const lq_ctx *ctx, uint32_t n, uint32_t rows, uint32_t cols, const real *w,
                    const real *x, real *y, int accumulate);

/* dx (+)= dy W, dw += dy^T x; dw NULL: left out. */
void linear_back(const lq_ctx *ctx, uint32_t n, uint32_t rows, uint32_t cols, const real *w,
                 const real *x, const real *dy, real *dx, real *dw, int accumulate);

/* Run task on pieces of [0, count), TASK each, on the context's threads. */
enum { TASK = 64 };
typedef void range_task(void *arg, size_t from, size_t to);
void for_ranges(const lq_ctx *ctx, size_t count, range_task *task, void *arg);

/* Root mean square normalization: y = x scale weight, scale 1 / sqrt(mean x^2 + eps). */
typedef struct norm {
    uint32_t n, dim;
    double   eps;
    const real *x, *weight, *dy;
    real    *scale, *y, *dx, *dweight;   /* dweight NULL: left out */
} norm;

void norm_forward(const lq_ctx *ctx, norm *a);
void norm_back(const lq_ctx *ctx, norm *a);     /* adds to dx and dweight */

/* Turn the halves of every head by its position's angles, or back. */
void rope(const network *n, real *x, uint32_t heads, int back);

/* act = silu(gate) up */
typedef struct gating {
    uint32_t n, width;
    const real *gate, *up, *dact;
    real *act, *dgate, *dup;
} gating;

void gating_forward(const lq_ctx *ctx, gating *a);
void gating_back(const lq_ctx *ctx, gating *a);

/* Causal attention of all heads: q, k, v to att; datt to dq, dk, dv. */
void attention_forward(const network *n, const saved *l);
void attention_back(const network *n, const saved *l);

/* The tokens' rows of the embedding; dx added to the rows of its gradient. */
void embed(network *n, const uint16_t *tokens, real *x);
void embed_back(network *n, const uint16_t *tokens, const real *dx);

/* Mean cross-entropy; the backward pass turns logits into weight times their gradients. */
double loss_forward(network *n, const uint16_t *targets);
void   loss_back(network *n, const uint16_t *targets, double weight);

/* ----------------------------------------------------------------- data.c */

typedef struct corpus {
    uint16_t *tokens;
    size_t    count;
} corpus;

corpus corpus_read(const char *folder, const char *name, uint32_t vocab);

/* splitmix64 */
uint64_t random_next(uint64_t *state);
double   random_uniform(uint64_t *state);
double   random_gaussian(uint64_t *state);

/* Windows that begin anywhere, drawn with *state. */
void corpus_draw(const corpus *c, uint64_t *state, uint32_t sequences, uint32_t length,
                 uint16_t *inputs, uint16_t *targets);

/* Windows number 'first' and following, which do not overlap; 0 when there are not that many. */
int corpus_windows(const corpus *c, size_t first, uint32_t sequences, uint32_t length,
                   uint16_t *inputs, uint16_t *targets);

/* Mean loss of all whole batches of them; 'inputs' and 'targets' have room for one. */
double corpus_loss(const corpus *c, network *n, uint16_t *inputs, uint16_t *targets);

/* ----------------------------------------------------------- checkpoint.c */

/* All that a run needs to go on as if it had not been stopped. */
typedef struct progress {
    uint64_t step, random;
    float   *m, *v;
} progress;

/* Write parameters and progress to a safetensors file, which is the old or the new one at
 * any time. */
void checkpoint_save(const network *n, const char *path, const progress *p);

/* Read them back; 0 if there is no such file. */
int checkpoint_resume(network *n, const char *path, progress *p);

/* Write the model as a Hugging Face directory of bf16 shards, with config.json and the
 * tokenizer. */
void checkpoint_export(const network *n, const char *path, const char *tokenizer);

#endif
