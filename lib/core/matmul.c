/* SPDX-License-Identifier: MIT */
/*
 * lib/core/matmul.c - prepared weights and products: arguments, memory, threads
 *
 * The work itself: matmul_panels.c (integers), matmul_bf16.c, matmul_strips.c (f32),
 * tokens.c (W8A8).
 */
#include "lib/core/tokens.h"

struct lq_prepared {
    const lq_ctx *ctx;
    lq_rows       rows;
    lq_spec       spec;
    lqi_geometry  geometry;
    int           panels;    /* 'weight' is filled */
    lqi_weight    weight;
    void         *owned;     /* panels that are ours, or NULL */
};

void lq_prepare_opts_init(lq_prepare_opts *opts)
{
    const lq_prepare_opts init = LQ_PREPARE_OPTS_INIT;

    if (opts)
        *opts = init;
}

void lq_matmul_args_init(lq_matmul_args *args)
{
    const lq_matmul_args init = LQ_MATMUL_ARGS_INIT;

    if (args)
        *args = init;
}

/* ----------------------------------------------------------------- prepare */

/* Panels and, with act-order, the order of columns behind them; 0 without panels. */
static lq_status panel_bytes(const lqi_geometry *g, lqi_weight *weight, uint64_t *bytes)
{
    lq_status status;
    uint64_t order = 0;

    *bytes = 0;
    if (!lqi_weight_plan(g, weight, &status))
        return status;
    if (g->spec->flags & LQ_SPEC_GIDX) {
        if (g->cols > UINT32_MAX)
            return LQ_OK;
        order = weight->chunks * LQI_PANEL_CHUNK * sizeof *weight->order;
    }
    return lqi_add(weight->bytes, order, bytes) && *bytes <= SIZE_MAX / 2 ? LQ_OK
                                                                          : LQ_ERR_OVERFLOW;
}

lq_status lq_prepared_bytes(const lq_ctx *ctx, const lq_spec *spec, uint64_t rows,
                            uint64_t cols, uint64_t *bytes)
{
    lq_spec full = LQ_SPEC_INIT;
    lqi_geometry g;
    lqi_weight weight;
    uint64_t n;
    lq_status status;

    if (!ctx || !bytes || !spec)
        return LQ_ERR_ARG;
    if ((status = lqi_opts_read(&full, sizeof full, spec)) ||
        (status = lq_spec_complete(&full, NULL)) ||
        (status = lqi_geometry_init(&g, &full, rows, cols)) ||
        (status = panel_bytes(&g, &weight, &n)))
        return status;
    *bytes = n;
    return LQ_OK;
}

/* Panels in the caller's memory or ours.  Without any the weight is a view of its planes. */
static lq_status make_panels(const lq_ctx *ctx, lq_prepared *p, const lq_prepare_opts *o)
{
    uint64_t bytes;
    uint8_t *memory = o->memory;
    lq_status status = panel_bytes(&p->geometry, &p->weight, &bytes);

    if (status || bytes == 0)
        return status;
    if (memory && o->memory_bytes < bytes)
        return LQ_ERR_BUFFER;
    if ((uintptr_t)memory % sizeof *p->weight.order)
        return LQ_ERR_ALIGN;
    if (!memory)
        memory = p->owned = lqi_alloc(&ctx->allocator, bytes);
    if (!memory)
        return LQ_ERR_NOMEM;
    p->weight.data = memory;
    if (p->spec.flags & LQ_SPEC_GIDX)
        p->weight.order = (uint32_t *)(void *)(memory + p->weight.bytes);
    p->panels = lqi_weight_pack(ctx, &p->geometry, &p->rows, &p->weight);
    if (!p->panels) {
        lqi_free(&ctx->allocator, p->owned);
        p->owned = NULL;
    }
    return LQ_OK;
}

lq_status lq_prepare(const lq_ctx *ctx, const lq_rows *rows, const lq_prepare_opts *opts,
                     lq_prepared **prepared, lq_error *error)
{
    lq_prepare_opts o = LQ_PREPARE_OPTS_INIT;
    lq_prepared *p;
    lq_status status;

    if (!ctx || !rows || !prepared)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_prepare is NULL");
    status = lqi_opts_read(&o, sizeof o, opts);
    if (status)
        return lqi_fail(error, status, NULL, "lq_prepare_opts has an unknown struct_size");
    p = lqi_alloc_zero(&ctx->allocator, sizeof *p);
    if (!p)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for a prepared weight");
    p->ctx = ctx;
    status = lqi_rows_open(rows, &p->rows, &p->spec, &p->geometry);
    if (!status)
        status = make_panels(ctx, p, &o);
    if (status) {
        lqi_free(&ctx->allocator, p);
        return lqi_fail(error, status, NULL, "the rows cannot be prepared: %s",
                        lq_status_text(status));
    }
    *prepared = p;
    return LQ_OK;
}

void lq_prepared_destroy(lq_prepared *prepared)
{
    if (!prepared)
        return;
    lqi_free(&prepared->ctx->allocator, prepared->owned);
    lqi_free(&prepared->ctx->allocator, prepared);
}

const lq_rows *lqi_prepared_rows(const lq_prepared *w)
{
    return &w->rows;
}

/* ------------------------------------------------------------- activations */

struct lq_acts {
    const lq_ctx *ctx;
    int           kind;
    uint64_t      n_max, cols;
    lqi_acts      acts;
};

static int acts_kind(const lqi_weight *w, lqi_way way)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[w->panel.shape];

    if (way == LQI_WAY_PAIRS)
        return g->min == LQI_MIN_NONE ? LQI_ACTS_PAIRS :
               g->step == 64 ? LQI_ACTS_PAIRS_64 : LQI_ACTS_PAIRS_32;
    return g->acts;
}

/* The most bytes that n vectors or fewer take. */
static uint64_t acts_bytes(const lq_ctx *ctx, int kind, uint64_t n, uint64_t cols)
{
    lqi_acts a;
    uint64_t rounded;

    return lqi_add(n, 8, &rounded) ? lqi_acts_plan(ctx, kind, rounded, cols, &a) : 0;
}

lq_status lq_acts_create(const lq_ctx *ctx, const lq_prepared *w, uint64_t n_max,
                         lq_acts **acts, lq_error *error)
{
    lq_acts *a;
    uint64_t bytes;

    if (!ctx || !w || !acts || n_max == 0)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_acts_create is NULL or 0");
    if (!w->panels || w->weight.order)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL,
                        "the weight has no fast products that could share activations");
    bytes = acts_bytes(ctx, acts_kind(&w->weight, LQI_WAY_PANELS), n_max, w->geometry.cols);
    if (!bytes)
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "too many activations");
    a = lqi_alloc_zero(&ctx->allocator, sizeof *a);
    if (!a)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for activations");
    *a = (lq_acts){ ctx, acts_kind(&w->weight, LQI_WAY_PANELS), n_max, w->geometry.cols, { 0 } };
    a->acts.data = lqi_alloc(&ctx->allocator, bytes);
    if (!a->acts.data) {
        lqi_free(&ctx->allocator, a);
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for activations");
    }
    *acts = a;
    return LQ_OK;
}

lq_status lq_acts_fill(lq_acts *acts, uint64_t n, lq_dtype x_type, const void *x, uint64_t ldx)
{
    int32_t *data;
    uint64_t bytes;
    lq_status status;

    if (!acts || n == 0 || n > acts->n_max)
        return LQ_ERR_ARG;
    status = lqi_check_floats(&x_type, x, n, acts->cols, ldx, &bytes);
    if (status)
        return status;
    data = acts->acts.data;
    lqi_acts_plan(acts->ctx, acts->kind, n, acts->cols, &acts->acts);
    acts->acts.data = data;
    lqi_acts_fill(acts->ctx, &acts->acts, x_type, x, ldx, acts->cols, NULL, 1);
    return LQ_OK;
}

int lq_acts_fit(const lq_acts *acts, const lq_prepared *w)
{
    return acts && w && w->panels && !w->weight.order && acts->ctx->kernels.panel ==
           w->ctx->kernels.panel && acts->kind == acts_kind(&w->weight, LQI_WAY_PANELS) &&
           acts->cols == w->geometry.cols;
}

void lq_acts_destroy(lq_acts *acts)
{
    if (!acts)
        return;
    lqi_free(&acts->ctx->allocator, acts->acts.data);
    lqi_free(&acts->ctx->allocator, acts);
}

/* ------------------------------------------------------------------ outputs */

static void store(lq_dtype type, void *y, uint64_t i, float f)
{
    if (type == LQ_F32)
        ((float *)y)[i] = f;
    else
        lqi_store16((uint8_t *)y + 2 * i, type == LQ_F16 ? lqi_f32_to_f16(f) : lqi_f32_to_bf16(f));
}

void lqi_product_store(const lqi_product *p, uint64_t row, uint64_t rows, uint64_t first,
                       uint64_t n, const float *sums, uint64_t ld)
{
    const lq_matmul_args *a = &p->a;

    for (uint64_t j = 0; j < n; j++, sums += ld) {
        uint64_t to = (first + j) * a->ldy + row - a->row0;
        if (!a->bias && !a->accumulate && a->y_type == LQ_F32) {
            memcpy((float *)a->y + to, sums, (size_t)rows * sizeof *sums);
            continue;
        }
        for (uint64_t r = 0; r < rows; r++) {
            float f = sums[r];
            if (a->bias)
                f += a->bias[row + r];
            if (a->accumulate)
                f += lqi_load_float(a->y_type, a->y, to + r);
            store(a->y_type, a->y, to + r, f);
        }
    }
}

/* -------------------------------------------------------------------- calls */

static int has_pairs(const lq_ctx *ctx, const lqi_panel *p)
{
    return ctx->kernels.pairs && ctx->kernels.pairs->fused[p->codes][p->shape][LQI_FUSED_1];
}

/* Modes become what there is for the weight, at this level; w NULL: rows. */
static lqi_way way_of(const lq_ctx *ctx, const lq_prepared *w, const lq_matmul_args *a)
{
    int panels = w && w->panels;

    if (a->mode == LQ_MODE_W8A8)
        return panels && lqi_tokens_integer(&w->geometry, &w->weight) ? LQI_WAY_TOKENS
                                                                       : LQI_WAY_STRIPS;
    if (a->mode == LQ_MODE_BF16 && ctx->kernels.bf16[0])
        return panels && has_pairs(ctx, &w->weight.panel) ? LQI_WAY_PAIRS : LQI_WAY_BF16;
    return panels && (a->mode == LQ_MODE_DEFAULT || a->mode == LQ_MODE_FAST) ? LQI_WAY_PANELS
                                                                             : LQI_WAY_STRIPS;
}

static void choose_way(lqi_product *p, const lq_prepared *w)
{
    p->way = way_of(p->ctx, w, &p->a);
    p->weight = p->way == LQI_WAY_STRIPS || p->way == LQI_WAY_BF16 ? NULL : &w->weight;
}

/* What only W8A8 has, and what it has not. */
static lq_status check_w8a8(const lqi_product *p)
{
    const lq_matmul_args *a = &p->a;

    if (!(a->threshold >= 0) || (a->threshold > 0 && a->mode != LQ_MODE_W8A8))
        return LQ_ERR_ARG;
    if (a->mode != LQ_MODE_W8A8)
        return LQ_OK;
    if (!p->g->format->token || (a->threshold > 0 && !p->weight))
        return LQ_ERR_UNSUPPORTED;
    return a->acts ? LQ_ERR_MISMATCH : LQ_OK;
}

static lq_status check_range(const lqi_geometry *g, lq_matmul_args *a)
{
    if (a->row1 == 0)
        a->row1 = g->rows;
    return a->row0 > a->row1 || a->row1 > g->rows || a->accumulate < 0 || a->accumulate > 1 ||
           a->mode < LQ_MODE_DEFAULT || a->mode > LQ_MODE_W8A8 || a->reserved ? LQ_ERR_ARG : LQ_OK;
}

static lq_status check_memory(const lqi_geometry *g, const lq_rows *rows, lq_matmul_args *a)
{
    uint64_t x_bytes = 0, y_bytes;
    lq_status status;

    if ((!a->acts &&
         (status = lqi_check_floats(&a->x_type, a->x, a->n, g->cols, a->ldx, &x_bytes))) ||
        (status = lqi_check_floats(&a->y_type, a->y, a->n, a->row1 - a->row0, a->ldy, &y_bytes)))
        return status;
    if (a->bias && (uintptr_t)a->bias % sizeof *a->bias)
        return LQ_ERR_ALIGN;
    if (lqi_overlap(a->x, x_bytes, a->y, y_bytes) ||
        lqi_overlap(a->bias, g->rows * sizeof *a->bias, a->y, y_bytes) ||
        lqi_planes_overlap(g, rows, a->y, y_bytes))
        return LQ_ERR_OVERLAP;
    return LQ_OK;
}

/* Fill everything of 'p' but the work; p->strips 0: nothing to do. */
static lq_status open_product(const lq_ctx *ctx, const lqi_geometry *g, const lq_rows *rows,
                              const lq_prepared *w, const lq_matmul_args *args, lqi_product *p)
{
    lq_matmul_args *a = &p->a;
    lq_status status;

    memset(p, 0, sizeof *p);
    p->ctx = ctx;
    p->g = g;
    p->rows = rows;
    atomic_init(&p->next, 0);
    if (!args)
        return LQ_ERR_ARG;
    if ((status = lqi_opts_read(a, sizeof *a, args)) || (status = check_range(g, a)))
        return status;
    choose_way(p, w);
    if ((status = check_w8a8(p)))
        return status;
    if (a->acts) {
        if (p->way != LQI_WAY_PANELS || !lq_acts_fit(a->acts, w) || a->n != a->acts->acts.n)
            return LQ_ERR_MISMATCH;
        p->acts = &a->acts->acts;
    }
    if (a->n == 0 || a->row1 == a->row0)
        return LQ_OK;
    if ((status = check_memory(g, rows, a)))
        return status;
    p->strips = lqi_strips_count(a->row0, a->row1);
    return LQ_OK;
}

/* Activations of a call that it converts for itself. */
struct converted {
    lqi_acts   acts;
    lqi_tokens tokens;
    uint64_t   bytes;     /* a multiple of LQI_ALIGN; 0: none */
};

/* W8A8: integers for panels, or numbers for the f32 product. */
static void convert_tokens(lqi_product *p, struct converted *c, void *memory, int parallel)
{
    lqi_tokens_fill(p, &c->tokens, memory, parallel);
    p->tokens = &c->tokens;
    if (p->weight) {
        p->strips = lqi_tokens_count(p->a.row0, p->a.row1);
        return;
    }
    p->a.x = c->tokens.numbers;
    p->a.x_type = LQ_F32;
    p->a.ldx = p->g->cols;
}

static void convert(lqi_product *p, struct converted *c, void *memory, int parallel)
{
    if (p->a.mode == LQ_MODE_W8A8) {
        convert_tokens(p, c, memory, parallel);
        return;
    }
    if (p->way == LQI_WAY_BF16) {
        lqi_bf16_fill(p, memory, parallel);
        p->pairs = memory;
        p->strips = lqi_bf16_count(p->a.row0, p->a.row1);
    }
    if (!p->weight)
        return;
    if (!p->acts) {
        c->acts.data = memory;
        lqi_acts_fill(p->ctx, &c->acts, p->a.x_type, p->a.x, p->a.ldx, p->g->cols,
                      p->weight->order, parallel);
        p->acts = &c->acts;
    }
    p->strips = lqi_panels_count(p->ctx, p->acts, p->a.row0, p->a.row1);
}

static void task(void *arg, size_t index)
{
    lqi_product *p = arg;
    uint8_t *work = p->work + index * p->work_bytes;

    switch (p->way) {
    case LQI_WAY_TOKENS: lqi_tokens_run(p, work); break;
    case LQI_WAY_PANELS:
    case LQI_WAY_PAIRS:  lqi_panels_run(p, work); break;
    case LQI_WAY_BF16:   lqi_bf16_run(p, work); break;
    default:             lqi_strips_run(p, work);
    }
}

/* Bytes for converted activations and of one task. */
static lq_status measure(lqi_product *p, struct converted *c)
{
    lq_status status;

    c->bytes = 0;
    if (p->a.mode == LQ_MODE_W8A8) {
        if ((status = lqi_tokens_plan(p, &c->tokens, &c->bytes)))
            return status;
        p->work_bytes = p->weight ? lqi_tokens_work(p) : lqi_strips_work(p->a.n);
        return p->work_bytes ? LQ_OK : LQ_ERR_OVERFLOW;
    }
    if (p->way != LQI_WAY_STRIPS && !p->acts) {
        c->bytes = p->weight ? lqi_acts_plan(p->ctx, acts_kind(p->weight, p->way), p->a.n,
                                             p->g->cols, &c->acts)
                             : lqi_bf16_acts(p->a.n, p->g->cols);
        if (c->bytes == 0)
            return LQ_ERR_OVERFLOW;
        c->bytes = lqi_div_up(c->bytes, LQI_ALIGN) * LQI_ALIGN;
    }
    p->work_bytes = p->weight ? lqi_panels_work(p, p->acts ? p->acts : &c->acts)
                    : p->way == LQI_WAY_BF16 ? lqi_bf16_work(p->a.n) : lqi_strips_work(p->a.n);
    return p->work_bytes ? LQ_OK : LQ_ERR_OVERFLOW;
}

/* Products that one thread should have at least: below that a second one costs more than it
 * gains.  Integers are some ten times as fast. */
#define TASK_F32     65536
#define TASK_INTEGER 1048576

static uint64_t useful_tasks(const lqi_product *p)
{
    double work = (double)(p->a.row1 - p->a.row0) * (double)p->g->cols * (double)p->a.n;
    double tasks = work / (p->weight ? TASK_INTEGER : TASK_F32);

    if (tasks < 2)
        return 1;
    return tasks < (double)p->ctx->threads ? (uint64_t)tasks : p->ctx->threads;
}

static lq_status run(lqi_product *p)
{
    uint64_t tasks, bytes;
    uint8_t *memory;
    struct converted c;
    lq_status status;

    if (p->strips == 0)
        return LQ_OK;
    status = measure(p, &c);
    if (status)
        return status;
    tasks = useful_tasks(p);
    if (!lqi_mul(tasks, p->work_bytes, &bytes) || !lqi_add(bytes, c.bytes, &bytes))
        return LQ_ERR_OVERFLOW;
    memory = lqi_alloc(&p->ctx->allocator, bytes);
    if (!memory)
        return LQ_ERR_NOMEM;
    p->work = memory + c.bytes;
    convert(p, &c, memory, tasks > 1);
    lqi_parallel(p->ctx, (size_t)lqi_min(tasks, p->strips), task, p);
    lqi_free(&p->ctx->allocator, memory);
    return LQ_OK;
}

lq_status lq_matmul(const lq_ctx *ctx, const lq_prepared *w, const lq_matmul_args *args)
{
    lqi_product p;
    lq_status status;

    if (!ctx || !w)
        return LQ_ERR_ARG;
    status = open_product(ctx, &w->geometry, &w->rows, w, args, &p);
    return status ? status : run(&p);
}

lq_status lq_matmul_rows(const lq_ctx *ctx, const lq_rows *w, const lq_matmul_args *args)
{
    lqi_product p;
    lqi_geometry g;
    lq_rows rows;
    lq_spec spec;
    lq_status status;

    if (!ctx || !w)
        return LQ_ERR_ARG;
    status = lqi_rows_open(w, &rows, &spec, &g);
    if (!status)
        status = open_product(ctx, &g, &rows, NULL, args, &p);
    return status ? status : run(&p);
}

/* Of a slice in one mode; 0: does not fit. */
static uint64_t slice_bytes(const lq_prepared *w, const lq_matmul_args *a)
{
    lqi_product p = { .ctx = w->ctx, .g = &w->geometry, .a = *a };
    struct converted c;
    uint64_t bytes;

    choose_way(&p, w);
    return !measure(&p, &c) && lqi_add(c.bytes, p.work_bytes, &bytes) ? bytes : 0;
}

uint64_t lq_matmul_work_bytes(const lq_prepared *w, uint64_t n)
{
    static const int32_t modes[] = { LQ_MODE_F32, LQ_MODE_BF16, LQ_MODE_FAST, LQ_MODE_W8A8 };
    uint64_t most = 0;

    if (!w)
        return 0;
    for (int i = 0; i < 4; i++) {
        lq_matmul_args a = { .n = n ? n : 1, .mode = modes[i], .threshold = 1 };
        uint64_t bytes;
        if (modes[i] == LQ_MODE_W8A8 && !w->geometry.format->token)
            continue;
        bytes = slice_bytes(w, &a);
        if (bytes == 0)
            return 0;
        most = bytes > most ? bytes : most;
    }
    return most + LQI_ALIGN;
}

/* The caller's work memory, moved up to where the work may begin. */
static uint8_t *aligned_work(const lq_matmul_args *a, uint64_t bytes)
{
    uint64_t skip = (LQI_ALIGN - (uintptr_t)a->work % LQI_ALIGN) % LQI_ALIGN;

    return a->work && a->work_bytes >= bytes + LQI_ALIGN ? (uint8_t *)a->work + skip : NULL;
}

lq_status lq_matmul_slice(const lq_prepared *w, const lq_matmul_args *args)
{
    lqi_product p;
    struct converted c;
    uint8_t *work;
    lq_status status;

    if (!w)
        return LQ_ERR_ARG;
    status = open_product(w->ctx, &w->geometry, &w->rows, w, args, &p);
    if (status || p.strips == 0)
        return status;
    status = measure(&p, &c);
    if (status)
        return status;
    work = aligned_work(&p.a, c.bytes + p.work_bytes);
    if (!work)
        return LQ_ERR_BUFFER;
    p.work = work + c.bytes;
    convert(&p, &c, work, 0);
    task(&p, 0);
    return LQ_OK;
}
