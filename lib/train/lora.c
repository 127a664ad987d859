/* SPDX-License-Identifier: MIT */
/*
 * lib/train/lora.c - a thin trainable product beside a frozen weight, forward and backward
 *
 * The frozen product is one call for all vectors, so that the weight is decoded as rarely as
 * can be.  The branch takes BLOCK vectors at a time: then nothing of its memory grows with
 * their number, and products that add do so in place (lq_gemm() needs no memory for sums over
 * at most LQ_GEMM_BLOCK numbers).
 */
#include "lib/core/gemm.h"
#include "lib/train/lora.h"

enum { BLOCK = LQ_GEMM_BLOCK, CHUNK = 256 };

typedef lqi_lora_call call;

/* Part of an array: what lq_gemm() wants to know about a factor. */
typedef struct piece {
    const void *p;
    lq_dtype    type;
    uint64_t    ld;
} piece;

/* xa, gb and wide in one piece, which c->xa begins. */
static lq_status allocate(call *c)
{
    uint64_t n = lqi_min(c->args.n, BLOCK), thin = n * c->lora.l.rank, wide, bytes;

    if (!lqi_mul(n, c->args.keep ? c->lora.g.cols : 0, &wide) ||
        !lqi_add(2 * thin, wide, &bytes) || !lqi_mul(bytes + 1, sizeof(float), &bytes))
        return LQ_ERR_OVERFLOW;
    c->xa = lqi_alloc(&c->ctx->allocator, bytes);
    if (!c->xa)
        return LQ_ERR_NOMEM;
    c->gb = c->xa + thin;
    c->wide = c->gb + thin;
    return LQ_OK;
}

/* ------------------------------------------------------------------ products */

/* Vectors from number i on. */
static piece vectors(const void *p, lq_dtype type, uint64_t ld, uint64_t i)
{
    return (piece){ p && i ? (const uint8_t *)p + i * ld * lq_dtype_bytes(type) : p, type, ld };
}

/* The same to write to. */
static void *place(void *p, lq_dtype type, uint64_t ld, uint64_t i)
{
    return i ? (uint8_t *)p + i * ld * lq_dtype_bytes(type) : p;
}

/* C (+)= alpha op(A) op(B): 'm' has all but A and B. */
static lq_status multiply(const call *c, lq_gemm_args m, piece a, piece b)
{
    m.struct_size = sizeof m;
    m.a = a.p;
    m.a_type = a.type;
    m.lda = a.ld;
    m.b = b.p;
    m.b_type = b.type;
    m.ldb = b.ld;
    return lq_gemm(c->ctx, &m);
}

static piece matrix_a(const call *c)
{
    return (piece){ c->lora.l.a, c->lora.l.type, c->lora.g.cols };
}

static piece matrix_b(const call *c)
{
    return (piece){ c->lora.l.b, c->lora.l.type, c->lora.l.rank };
}

/* ------------------------------------------------------------------- dropout */

struct drop {
    const call *c;
    uint64_t    first;   /* vector */
};

static void drop_row(const call *c, uint64_t vector, float *x)
{
    uint64_t cols = c->lora.g.cols;
    const uint8_t *keep = c->args.keep + vector * lqi_div_up(cols, 8);

    for (uint64_t k = 0; k < cols; k++)
        x[k] = keep[k / 8] >> k % 8 & 1 ? x[k] * c->args.keep_scale : 0.0f;
}

static void drop_x_task(void *arg, size_t index)
{
    const struct drop *d = arg;
    const call *c = d->c;
    float *row = c->wide + index * c->lora.g.cols;
    piece x = vectors(c->args.x, c->args.x_type, c->args.ldx, d->first + index);

    lqi_widen(&c->ctx->kernels, x.type, x.p, row, (size_t)c->lora.g.cols);
    drop_row(c, d->first + index, row);
}

/* x' of n vectors from number i on. */
static piece dropped(const call *c, uint64_t i, uint64_t n)
{
    struct drop d = { c, i };

    if (!c->args.keep)
        return vectors(c->args.x, c->args.x_type, c->args.ldx, i);
    lqi_parallel(c->ctx, (size_t)n, drop_x_task, &d);
    return (piece){ c->wide, LQ_F32, c->lora.g.cols };
}

/* y += x for n numbers of y's type. */
static void add_to(const lqi_kernels *kernels, lq_dtype type, void *y, const float *x, size_t n)
{
    float sum[CHUNK];

    for (size_t i = 0; i < n; i += CHUNK) {
        size_t some = (size_t)lqi_min(CHUNK, n - i);
        uint8_t *at = (uint8_t *)y + i * lq_dtype_bytes(type);

        lqi_widen(kernels, type, at, sum, some);
        for (size_t k = 0; k < some; k++)
            sum[k] += x[i + k];
        if (type == LQ_F16)
            kernels->f32_to_f16(sum, at, some);
        else if (type == LQ_BF16)
            kernels->f32_to_bf16(sum, at, some);
        else
            memcpy(at, sum, some * sizeof *sum);
    }
}

static void drop_dx_task(void *arg, size_t index)
{
    const struct drop *d = arg;
    const call *c = d->c;
    const lq_lora_grads *g = &c->grads;
    uint64_t vector = d->first + index;
    float *row = c->wide + index * c->lora.g.cols;

    drop_row(c, vector, row);
    add_to(&c->ctx->kernels, g->dx_type, place(g->dx, g->dx_type, g->lddx, vector), row,
           (size_t)c->lora.g.cols);
}

/* ------------------------------------------------------------------- forward */

/* Where s x' A^T of the vectors from number i on is. */
static float *projected(const call *c, uint64_t i)
{
    return c->args.xa ? c->args.xa + i * c->lora.l.rank : c->xa;
}

static piece thin(const call *c, const float *p)
{
    return (piece){ p, LQ_F32, c->lora.l.rank };
}

static lq_status project(const call *c, uint64_t i, uint64_t n, piece x)
{
    lq_gemm_args m = { .m = n, .n = c->lora.l.rank, .k = c->lora.g.cols, .trans_b = 1,
                       .alpha = c->lora.l.scale, .c = projected(c, i) };

    return multiply(c, m, x, matrix_a(c));
}

static lq_status frozen_forward(const call *c)
{
    const lq_lora *l = &c->lora.l;
    lq_matmul_args m = LQ_MATMUL_ARGS_INIT;

    m.n = c->args.n;
    m.x = c->args.x;
    m.x_type = c->args.x_type;
    m.ldx = c->args.ldx;
    m.y = c->args.y;
    m.y_type = c->args.y_type;
    m.ldy = c->args.ldy;
    m.bias = l->bias;
    m.accumulate = c->args.add_y;
    m.mode = l->prepared ? l->mode : LQ_MODE_F32;
    return l->prepared ? lq_matmul(c->ctx, l->prepared, &m)
                       : lq_matmul_rows(c->ctx, &c->lora.rows, &m);
}

static lq_status forward_block(const call *c, uint64_t i, uint64_t n)
{
    const lq_lora_args *a = &c->args;
    lq_gemm_args m = { .m = n, .n = c->lora.g.rows, .k = c->lora.l.rank, .trans_b = 1,
                       .accumulate = 1, .c = place(a->y, a->y_type, a->ldy, i),
                       .c_type = a->y_type, .ldc = a->ldy };
    lq_status status = project(c, i, n, dropped(c, i, n));

    return status ? status : multiply(c, m, thin(c, projected(c, i)), matrix_b(c));
}

lq_status lq_lora_forward(const lq_ctx *ctx, const lq_lora *lora, const lq_lora_args *args)
{
    call c = { .ctx = ctx };
    lq_status status;

    if (!ctx || !lora || !args)
        return LQ_ERR_ARG;
    if ((status = lqi_lora_open_forward(&c, lora, args)) || (status = frozen_forward(&c)) ||
        (status = allocate(&c)))
        return status;
    for (uint64_t i = 0; i < c.args.n && !status; i += BLOCK)
        status = forward_block(&c, i, lqi_min(BLOCK, c.args.n - i));
    lqi_free(&ctx->allocator, c.xa);
    return status;
}

/* ------------------------------------------------------------------ backward */

static lq_status frozen_backward(const call *c)
{
    const lq_lora_grads *d = &c->grads;
    lq_matmul_args m = LQ_MATMUL_ARGS_INIT;

    m.n = c->args.n;
    m.x = d->dy;
    m.x_type = d->dy_type;
    m.ldx = d->lddy;
    m.y = d->dx;
    m.y_type = d->dx_type;
    m.ldy = d->lddx;
    m.accumulate = d->add_dx;
    return d->dx ? lq_matmul_transposed(c->ctx, &c->lora.rows, &m) : LQ_OK;
}

static piece gradient(const call *c, uint64_t i)
{
    return vectors(c->grads.dy, c->grads.dy_type, c->grads.lddy, i);
}

/* dB += g^T (s x' A^T) */
static lq_status back_b(const call *c, uint64_t i, uint64_t n, piece x)
{
    lq_gemm_args m = { .m = c->lora.g.rows, .n = c->lora.l.rank, .k = n, .trans_a = 1,
                       .accumulate = i || c->grads.add_db, .c = c->grads.db };
    lq_status status = c->args.xa ? LQ_OK : project(c, i, n, x);

    return status ? status : multiply(c, m, gradient(c, i), thin(c, projected(c, i)));
}

/* s g B */
static lq_status back_project(const call *c, uint64_t i, uint64_t n)
{
    lq_gemm_args m = { .m = n, .n = c->lora.l.rank, .k = c->lora.g.rows,
                       .alpha = c->lora.l.scale, .c = c->gb };

    return multiply(c, m, gradient(c, i), matrix_b(c));
}

/* dA += (s g B)^T x' */
static lq_status back_a(const call *c, uint64_t i, uint64_t n, piece x)
{
    lq_gemm_args m = { .m = c->lora.l.rank, .n = c->lora.g.cols, .k = n, .trans_a = 1,
                       .accumulate = i || c->grads.add_da, .c = c->grads.da };

    return multiply(c, m, thin(c, c->gb), x);
}

/* dx += (s g B) A behind dropout */
static lq_status back_x(const call *c, uint64_t i, uint64_t n)
{
    const lq_lora_grads *d = &c->grads;
    lq_gemm_args m = { .m = n, .n = c->lora.g.cols, .k = c->lora.l.rank };
    struct drop drop = { c, i };
    lq_status status;

    if (c->args.keep) {
        m.c = c->wide;
    } else {
        m.c = place(d->dx, d->dx_type, d->lddx, i);
        m.c_type = d->dx_type;
        m.ldc = d->lddx;
        m.accumulate = 1;
    }
    status = multiply(c, m, thin(c, c->gb), matrix_a(c));
    if (!status && c->args.keep)
        lqi_parallel(c->ctx, (size_t)n, drop_dx_task, &drop);
    return status;
}

static lq_status backward_block(const call *c, uint64_t i, uint64_t n)
{
    const lq_lora_grads *d = &c->grads;
    piece x = { NULL, LQ_F32, c->lora.g.cols };
    lq_status status = LQ_OK;

    if (lqi_lora_needs_x(c))
        x = dropped(c, i, n);
    if (d->db)
        status = back_b(c, i, n, x);
    if (!status && (d->da || d->dx))
        status = back_project(c, i, n);
    if (!status && d->da)
        status = back_a(c, i, n, x);
    if (!status && d->dx)
        status = back_x(c, i, n);
    return status;
}

lq_status lq_lora_backward(const lq_ctx *ctx, const lq_lora *lora, const lq_lora_args *args,
                           const lq_lora_grads *grads)
{
    call c = { .ctx = ctx };
    uint64_t i = 0;
    lq_status status;

    if (!ctx || !lora || !args || !grads)
        return LQ_ERR_ARG;
    if ((status = lqi_lora_open_backward(&c, lora, args, grads)) ||
        (status = frozen_backward(&c)) || (status = allocate(&c)))
        return status;
    do {   /* without vectors, sums are 0 */
        status = backward_block(&c, i, lqi_min(BLOCK, c.args.n - i));
        i += BLOCK;
    } while (i < c.args.n && !status);
    lqi_free(&ctx->allocator, c.xa);
    return status;
}
