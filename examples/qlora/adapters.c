/* SPDX-License-Identifier: MIT */
/*
 * examples/qlora/adapters.c - the matrices of the layers: frozen, with LoRA layers beside them
 */
#include "qlora.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const names[MATRICES] = {
    [Q] = "self_attn.q_proj", [K] = "self_attn.k_proj", [V] = "self_attn.v_proj",
    [O] = "self_attn.o_proj", [GATE] = "mlp.gate_proj", [UP] = "mlp.up_proj",
    [DOWN] = "mlp.down_proj",
};

/* ------------------------------------------------------------------ creation */

static void encode(adapters *all, adapter *a, const lq_checkpoint *model, const char *text,
                   const lq_shape *dims)
{
    float *w = allocate(dims->rows * dims->cols, sizeof *w);
    lq_error error = LQ_ERROR_INIT;
    lq_spec spec = LQ_SPEC_INIT;
    uint64_t bytes;
    char full[80];

    snprintf(full, sizeof full, "%s.weight", a->name);
    base_read(model, full, dims->rows * dims->cols, w);
    check(lq_spec_parse(text, &spec, &error), &error, text);
    check(lq_tensor_encode(all->ctx, &spec, dims, LQ_F32, w, NULL, &a->base, &error), &error,
          a->name);
    lq_rows_init(&a->rows);
    check(lq_tensor_rows(a->base, 0, &a->rows), NULL, a->name);
    for (int p = 0; p < LQ_PLANES; p++) {
        (void)lq_tensor_plane(a->base, p, &bytes);
        all->base_bytes += bytes;
    }
    free(w);
}

static void prepare(adapters *all, adapter *a)
{
    lq_error error = LQ_ERROR_INIT;
    uint64_t bytes;

    check(lq_prepare(all->ctx, &a->rows, NULL, &a->ready, &error), &error, a->name);
    check(lq_prepared_bytes(all->ctx, a->rows.spec, a->rows.rows, a->rows.cols, &bytes), NULL,
          a->name);
    all->ready_bytes += bytes;
}

static void create(adapters *all, adapter *a, const lq_checkpoint *model, const recipe *r,
                   int matrix)
{
    uint32_t rows, cols;

    shape_matrix(&all->s, matrix, &rows, &cols);
    all->frozen += (size_t)rows * cols;
    encode(all, a, model, r->spec, &(lq_shape){ 1, rows, cols });
    if (r->fast)
        prepare(all, a);
    lq_lora_init(&a->lora);
    a->lora.base = r->fast ? NULL : &a->rows;
    a->lora.prepared = a->ready;
    a->lora.mode = LQ_MODE_FAST;
    a->lora.rank = r->rank;
    a->lora.scale = lq_lora_scale((float)r->alpha, r->rank, r->stabilised);
    a->a = all->parameters;
    a->b = a->a + (size_t)r->rank * cols;
    all->parameters = a->b + (size_t)rows * r->rank;
    a->xa = allocate((size_t)r->tokens * r->rank, sizeof *a->xa);
    all->kept_bytes += (size_t)r->tokens * r->rank * sizeof *a->xa;
    if (r->dropout > 0) {
        a->keep = allocate((size_t)r->tokens * ((cols + 7) / 8), 1);
        all->kept_bytes += (size_t)r->tokens * ((cols + 7) / 8);
    }
}

/* A as PEFT begins it: uniform within 1 / sqrt(cols).  B stays zero. */
static void begin_values(adapters *all, uint64_t random)
{
    all->values = allocate(all->parameters, sizeof *all->values);
    all->grads = allocate(all->parameters, sizeof *all->grads);
    for (uint32_t i = 0; i < all->count; i++) {
        adapter *a = &all->list[i];
        double bound = 1 / sqrt((double)a->rows.cols);

        for (size_t k = a->a; k < a->b; k++)
            all->values[k] = (float)(bound * (2 * random_uniform(&random) - 1));
        a->lora.a = all->values + a->a;
        a->lora.b = all->values + a->b;
    }
}

adapters *adapters_create(const lq_ctx *ctx, const lq_checkpoint *model, const shape *s,
                          const recipe *r)
{
    adapters *all = allocate(1, sizeof *all);

    all->ctx = ctx;
    all->s = *s;
    all->tokens = r->tokens;
    all->rank = r->rank;
    all->alpha = r->alpha;
    all->stabilised = r->stabilised;
    all->dropout = r->dropout;
    all->random = r->seed + 1;
    all->count = s->layers * MATRICES;
    all->list = allocate(all->count, sizeof *all->list);
    for (uint32_t i = 0; i < all->count; i++) {
        adapter *a = &all->list[i];

        snprintf(a->name, sizeof a->name, "model.layers.%u.%s", i / MATRICES,
                 names[i % MATRICES]);
        create(all, a, model, r, (int)(i % MATRICES));
    }
    begin_values(all, r->seed);
    return all;
}

void adapters_destroy(adapters *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        lq_prepared_destroy(all->list[i].ready);
        lq_tensor_destroy(all->list[i].base);
        free(all->list[i].xa);
        free(all->list[i].keep);
    }
    free(all->list);
    free(all->values);
    free(all->grads);
    free(all);
}

/* ------------------------------------------------------------------ products */

static void draw_keep(adapters *all, adapter *a)
{
    size_t bytes = (size_t)all->tokens * ((a->rows.cols + 7) / 8);

    for (size_t i = 0; i < bytes; i++) {
        uint8_t bits = 0;

        for (int k = 0; k < 8; k++)
            bits |= (uint8_t)((random_uniform(&all->random) >= all->dropout) << k);
        a->keep[i] = bits;
    }
}

static lq_lora_args arguments(const adapters *all, const adapter *a, const float *x)
{
    lq_lora_args args = LQ_LORA_ARGS_INIT;

    args.n = all->tokens;
    args.x = x;
    args.xa = a->xa;
    if (a->keep && all->training) {
        args.keep = a->keep;
        args.keep_scale = (float)(1 / (1 - all->dropout));
    }
    return args;
}

static void forward(void *user, uint32_t layer, int matrix, const real *x, real *y,
                    int accumulate)
{
    adapters *all = user;
    adapter *a = &all->list[layer * MATRICES + (uint32_t)matrix];
    lq_lora_args args = arguments(all, a, x);

    if (args.keep)
        draw_keep(all, a);
    args.y = y;
    args.add_y = accumulate;
    check(lq_lora_forward(all->ctx, &a->lora, &args), NULL, a->name);
}

static void back(void *user, uint32_t layer, int matrix, const real *x, const real *dy,
                 real *dx, int accumulate)
{
    adapters *all = user;
    adapter *a = &all->list[layer * MATRICES + (uint32_t)matrix];
    lq_lora_args args = arguments(all, a, x);
    lq_lora_grads grads = LQ_LORA_GRADS_INIT;

    grads.dy = dy;
    grads.dx = dx;
    grads.add_dx = accumulate;
    grads.da = all->grads + a->a;
    grads.db = all->grads + a->b;
    check(lq_lora_backward(all->ctx, &a->lora, &args, &grads), NULL, a->name);
}

linears adapters_linears(adapters *all)
{
    return (linears){ all, forward, back };
}
