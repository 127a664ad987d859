/* SPDX-License-Identifier: MIT */
/*
 * lib/train/lora_open.c - arguments of LoRA layers: defaults, checks, who may share memory
 */
#include "lib/train/lora.h"

#include <math.h>

#include "lib/core/product.h"

void lq_lora_init(lq_lora *lora)
{
    const lq_lora init = LQ_LORA_INIT;

    if (lora)
        *lora = init;
}

void lq_lora_args_init(lq_lora_args *args)
{
    const lq_lora_args init = LQ_LORA_ARGS_INIT;

    if (args)
        *args = init;
}

void lq_lora_grads_init(lq_lora_grads *grads)
{
    const lq_lora_grads init = LQ_LORA_GRADS_INIT;

    if (grads)
        *grads = init;
}

float lq_lora_scale(float alpha, uint32_t rank, int32_t rank_stabilised)
{
    if (rank == 0)
        return 0.0f;
    return (float)(alpha / (rank_stabilised ? sqrt((double)rank) : (double)rank));
}

/* -------------------------------------------------------------------- checks */

lq_status lqi_lora_open(const lq_lora *in, lqi_lora *lora)
{
    lq_lora *l = &lora->l;
    lq_status status = lqi_opts_read(l, sizeof *l, in);

    if (status)
        return status;
    if (!l->base == !l->prepared || l->rank == 0 || !isfinite(l->scale))
        return LQ_ERR_ARG;
    l->scale = l->scale == 0 ? 1 : l->scale;
    status = lqi_rows_open(l->base ? l->base : lqi_prepared_rows(l->prepared), &lora->rows,
                           &lora->spec, &lora->g);
    if (status)
        return status;
    if ((uintptr_t)l->bias % sizeof *l->bias)
        return LQ_ERR_ALIGN;
    status = lqi_check_floats(&l->type, l->a, l->rank, lora->g.cols, lora->g.cols,
                              &lora->a_bytes);
    return status ? status : lqi_check_floats(&l->type, l->b, lora->g.rows, l->rank, l->rank,
                                              &lora->b_bytes);
}

/* The arrays of a call. */
typedef struct arrays {
    struct { const void *p; uint64_t bytes; int written; } list[10];
    int count;
} arrays;

static void add_bytes(arrays *s, const void *p, uint64_t bytes, int written)
{
    s->list[s->count].p = p;
    s->list[s->count].bytes = p ? bytes : 0;
    s->list[s->count++].written = written;
}

/* A [rows][*ld] array of floats; ld 0 becomes dense. */
static lq_status add_floats(arrays *s, const void *p, lq_dtype *type, uint64_t rows,
                            uint64_t *ld, uint64_t cols, int written)
{
    uint64_t bytes;
    lq_status status;

    *ld = *ld ? *ld : cols;
    status = lqi_check_floats(type, p, rows, cols, *ld, &bytes);
    if (!status)
        add_bytes(s, p, bytes, written);
    return status;
}

/* The same of the layer's own shapes: dense f32, or not there. */
static lq_status add_dense(arrays *s, const float *p, uint64_t rows, uint64_t cols, int written)
{
    lq_dtype type = LQ_F32;

    return p ? add_floats(s, p, &type, rows, &(uint64_t){ 0 }, cols, written) : LQ_OK;
}

static lq_status check_apart(const lqi_lora *lora, const arrays *s)
{
    for (int i = 0; i < s->count; i++) {
        if (!s->list[i].written)
            continue;
        if (lqi_planes_overlap(&lora->g, &lora->rows, s->list[i].p, s->list[i].bytes))
            return LQ_ERR_OVERLAP;
        for (int k = 0; k < s->count; k++)
            if (k != i && lqi_overlap(s->list[i].p, s->list[i].bytes, s->list[k].p,
                                      s->list[k].bytes))
                return LQ_ERR_OVERLAP;
    }
    return LQ_OK;
}

static int is_flag(int32_t value)
{
    return value == 0 || value == 1;
}

/* What both passes read, and xa. */
static lq_status open_args(lqi_lora_call *c, const lq_lora *lora, const lq_lora_args *args,
                           arrays *s, int writes_xa)
{
    lq_lora_args *a = &c->args;
    uint64_t mask;
    lq_status status;

    if ((status = lqi_lora_open(lora, &c->lora)) ||
        (status = lqi_opts_read(a, sizeof *a, args)))
        return status;
    if (!isfinite(a->keep_scale) || !is_flag(a->add_y))
        return LQ_ERR_ARG;
    if (!lqi_mul(a->n, lqi_div_up(c->lora.g.cols, 8), &mask) || mask > SIZE_MAX / 2)
        return LQ_ERR_OVERFLOW;
    a->keep_scale = a->keep_scale == 0 ? 1 : a->keep_scale;
    add_bytes(s, c->lora.l.a, c->lora.a_bytes, 0);
    add_bytes(s, c->lora.l.b, c->lora.b_bytes, 0);
    add_bytes(s, a->keep, mask, 0);
    return add_dense(s, a->xa, a->n, c->lora.l.rank, writes_xa);
}

static lq_status add_x(lqi_lora_call *c, arrays *s)
{
    lq_lora_args *a = &c->args;

    return add_floats(s, a->x, &a->x_type, a->n, &a->ldx, c->lora.g.cols, 0);
}

lq_status lqi_lora_open_forward(lqi_lora_call *c, const lq_lora *lora, const lq_lora_args *args)
{
    lq_lora_args *a = &c->args;
    arrays s = { .count = 0 };
    lq_status status;

    if ((status = open_args(c, lora, args, &s, 1)) || (status = add_x(c, &s)) ||
        (status = add_floats(&s, a->y, &a->y_type, a->n, &a->ldy, c->lora.g.rows, 1)))
        return status;
    add_bytes(&s, c->lora.l.bias, c->lora.g.rows * sizeof(float), 0);
    return check_apart(&c->lora, &s);
}

int lqi_lora_needs_x(const lqi_lora_call *c)
{
    return c->grads.da || (c->grads.db && !c->args.xa);
}

lq_status lqi_lora_open_backward(lqi_lora_call *c, const lq_lora *lora,
                                 const lq_lora_args *args, const lq_lora_grads *grads)
{
    lq_lora_grads *d = &c->grads;
    const lqi_geometry *g = &c->lora.g;
    uint32_t rank;
    arrays s = { .count = 0 };
    lq_status status;

    if ((status = open_args(c, lora, args, &s, 0)) ||
        (status = lqi_opts_read(d, sizeof *d, grads)))
        return status;
    if (!is_flag(d->add_dx) || !is_flag(d->add_da) || !is_flag(d->add_db))
        return LQ_ERR_ARG;
    rank = c->lora.l.rank;
    if ((lqi_lora_needs_x(c) && (status = add_x(c, &s))) ||
        (status = add_floats(&s, d->dy, &d->dy_type, c->args.n, &d->lddy, g->rows, 0)) ||
        (d->dx && (status = add_floats(&s, d->dx, &d->dx_type, c->args.n, &d->lddx, g->cols,
                                       1))) ||
        (status = add_dense(&s, d->da, rank, g->cols, 1)) ||
        (status = add_dense(&s, d->db, g->rows, rank, 1)))
        return status;
    return check_apart(&c->lora, &s);
}
