/* SPDX-License-Identifier: MIT */
/*
 * lib/core/gemm.c - products of plain matrices
 *
 * C is cut into parts, and all threads work on one part at a time:
 *
 *     for each part of C, PART x PART:
 *         for each block of k, LQ_GEMM_BLOCK:
 *             b = panels of op(B), [k][nr] each        all threads; shared, third cache
 *             for each strip of rows:                  taken one by one
 *                 a = panels of op(A), [k][mr] each    its thread's, second cache
 *                 for each panel of b:                 first cache
 *                     for each panel of a:  sums += tile
 *                 last block:  C = alpha * sums (+ C)
 *
 * So a number of A or B is packed once per PART lines of the other factor.  Sums live in C
 * itself where that is f32 and not needed before the end, else in work memory.  The tile
 * makes the order of additions that libquant/gemm.h promises; nothing here touches it.
 *
 * B may be quantized: it is decoded as it is packed.
 */
#include <stdatomic.h>

#include "lib/core/gemm.h"

#define PART  2048
#define STRIP 256   /* rows at most; their panels take a quarter of a second cache of 1 MiB */
#define PACK  512   /* columns that are packed at once: memory is read in runs of this */
#define FEW   64    /* rows that make packing B the larger part of the work */

void lq_gemm_args_init(lq_gemm_args *args)
{
    const lq_gemm_args init = LQ_GEMM_ARGS_INIT;

    if (args)
        *args = init;
}

/* Rows [row, row + rows) and columns of C. */
struct area {
    uint64_t row, col, rows, cols;
};

struct gemm {
    const lq_ctx   *ctx;
    const lqi_gemm *kernel;
    lq_gemm_args args;
    lqi_factor   a, b;
    uint32_t     threads;
    int          direct;              /* sums live in C */
    uint64_t     part_rows, part_cols, strip_rows, strip_cols, pack_cols;
    uint64_t     a_floats, thread_floats;   /* of one thread: panels of a, then scratch */
    float       *b_panels, *sums, *threads_work;

    struct area  part;
    uint64_t     l;                   /* the block of k */
    size_t       k;
    void       (*item)(const struct gemm *g, float *work, uint64_t index);
    uint64_t     items;
    atomic_ullong next;
};

/* ------------------------------------------------------------------- strip */

/* Columns of an area's row i that are wanted. */
static size_t row_cols(const struct gemm *g, const struct area *s, uint64_t i)
{
    if (!g->args.lower)
        return (size_t)s->cols;
    return s->row + i < s->col ? 0 : (size_t)lqi_min(s->cols, s->row + i - s->col + 1);
}

static float *sums_at(const struct gemm *g, uint64_t row, uint64_t col, size_t *ld)
{
    if (g->direct) {
        *ld = (size_t)g->args.ldc;
        return (float *)g->args.c + row * g->args.ldc + col;
    }
    *ld = (size_t)g->part_cols;
    return g->sums + (row - g->part.row) * g->part_cols + (col - g->part.col);
}

/* A tile of which not all numbers are wanted. */
static void edge_tile(const struct gemm *g, const struct area *s, lqi_gemm_tile t)
{
    float tile[LQI_GEMM_TILE_MAX], *to = t.sums;
    size_t ld = t.ld;
    int add = t.add;

    t.sums = tile;
    t.ld = g->kernel->nr;
    t.add = 0;
    g->kernel->tile(&t);
    for (size_t i = 0; i < s->rows; i++) {
        const float *from = tile + i * t.ld;
        for (size_t j = 0, n = row_cols(g, s, i); j < n; j++)
            to[i * ld + j] = add ? to[i * ld + j] + from[j] : from[j];
    }
}

static void one_tile(const struct gemm *g, const struct area *s, const float *a, const float *b)
{
    lqi_gemm_tile t = { .a = a, .b = b, .k = g->k, .rows = (size_t)s->rows,
                        .cols = (size_t)s->cols };

    t.add = g->l > 0 || (g->direct && g->args.accumulate);
    t.sums = sums_at(g, s->row, s->col, &t.ld);
    if (s->rows == g->kernel->mr && row_cols(g, s, 0) == g->kernel->nr)
        g->kernel->tile(&t);
    else
        edge_tile(g, s, t);
}

static void multiply_panels(const struct gemm *g, const struct area *s, const float *a)
{
    unsigned mr = g->kernel->mr, nr = g->kernel->nr;

    for (uint64_t j = 0; j < s->cols; j += nr) {
        uint64_t col = s->col + j;
        const float *b = g->b_panels + (col - g->part.col) / nr * lqi_gemm_stride(nr);
        for (uint64_t i = 0; i < s->rows; i += mr) {
            struct area tile = { s->row + i, col, lqi_min(mr, s->rows - i),
                                 lqi_min(nr, s->cols - j) };
            if (row_cols(g, &tile, tile.rows - 1))
                one_tile(g, &tile, a + i / mr * lqi_gemm_stride(mr), b);
        }
    }
}

/* Sums of a row, in place, to what C shall be; 'old' has room for a row. */
static void finish_row(const struct gemm *g, float *sums, const void *c, size_t n, float *old)
{
    if (g->args.alpha != 1)
        for (size_t j = 0; j < n; j++)
            sums[j] *= g->args.alpha;
    if (!g->args.accumulate || g->direct)
        return;
    lqi_widen(&g->ctx->kernels, g->args.c_type, c, old, n);
    for (size_t j = 0; j < n; j++)
        sums[j] = old[j] + sums[j];
}

static void finish_strip(const struct gemm *g, const struct area *s, float *scratch)
{
    const lqi_kernels *kernels = &g->ctx->kernels;
    size_t ld;

    if (g->direct && g->args.alpha == 1)
        return;
    for (uint64_t i = 0; i < s->rows; i++) {
        float *sums = sums_at(g, s->row + i, s->col, &ld);
        size_t n = row_cols(g, s, i);
        uint8_t *c = (uint8_t *)g->args.c + ((s->row + i) * g->args.ldc + s->col) *
                                                lq_dtype_bytes(g->args.c_type);
        finish_row(g, sums, c, n, scratch);
        if (g->args.c_type == LQ_F16)
            kernels->f32_to_f16(sums, c, n);
        else if (g->args.c_type == LQ_BF16)
            kernels->f32_to_bf16(sums, c, n);
        else if (!g->direct)
            memcpy(c, sums, n * sizeof *sums);
    }
}

/* ------------------------------------------------------------------- items */

/* Item 'index' of a part's strips, which are cut into pieces of columns where there are
 * few of them.  The last rows, the longest of a triangle, come first. */
static void multiply_item(const struct gemm *g, float *work, uint64_t index)
{
    uint64_t across = lqi_div_up(g->part.cols, g->strip_cols);
    uint64_t row = (g->items - 1 - index) / across * g->strip_rows;
    uint64_t col = (g->items - 1 - index) % across * g->strip_cols;
    struct area s = { g->part.row + row, g->part.col + col,
                      lqi_min(g->strip_rows, g->part.rows - row),
                      lqi_min(g->strip_cols, g->part.cols - col) };

    if (row_cols(g, &s, s.rows - 1) == 0)
        return;
    lqi_factor_pack(&g->ctx->kernels, &g->a, s.row, (size_t)s.rows, g->l, g->k,
                    work + g->a_floats, work);
    multiply_panels(g, &s, work);
    if (g->l + g->k == g->args.k)
        finish_strip(g, &s, work + g->a_floats);
}

static void pack_item(const struct gemm *g, float *work, uint64_t index)
{
    uint64_t col = index * g->pack_cols;

    lqi_factor_pack(&g->ctx->kernels, &g->b, g->part.col + col,
                    (size_t)lqi_min(g->pack_cols, g->part.cols - col), g->l, g->k,
                    work + g->a_floats,
                    g->b_panels + col / g->kernel->nr * lqi_gemm_stride(g->kernel->nr));
}

/* One task per thread's work memory; items are taken one by one. */
static void items_task(void *arg, size_t index)
{
    struct gemm *g = arg;
    unsigned long long i;

    while ((i = atomic_fetch_add(&g->next, 1)) < g->items)
        g->item(g, g->threads_work + index * g->thread_floats, i);
}

static void run_items(struct gemm *g, uint64_t items,
                      void (*item)(const struct gemm *g, float *work, uint64_t index))
{
    g->items = items;
    g->item = item;
    atomic_store(&g->next, 0);
    lqi_parallel(g->ctx, (size_t)lqi_min(items, g->threads), items_task, g);
}

static void multiply_part(struct gemm *g)
{
    g->l = 0;
    do {
        g->k = (size_t)lqi_min(LQ_GEMM_BLOCK, g->args.k - g->l);
        run_items(g, lqi_div_up(g->part.cols, g->pack_cols), pack_item);
        run_items(g, lqi_div_up(g->part.rows, g->strip_rows) *
                         lqi_div_up(g->part.cols, g->strip_cols), multiply_item);
        g->l += g->k;
    } while (g->l < g->args.k);
}

static void multiply_all(struct gemm *g)
{
    for (uint64_t row = 0; row < g->args.m; row += g->part_rows) {
        for (uint64_t col = 0; col < g->args.n; col += g->part_cols) {
            g->part = (struct area){ row, col, lqi_min(g->part_rows, g->args.m - row),
                                     lqi_min(g->part_cols, g->args.n - col) };
            if (row_cols(g, &g->part, g->part.rows - 1))
                multiply_part(g);
        }
    }
}

/* -------------------------------------------------------------------- plan */

/* Equal pieces of about 'most' lines, whole panels each. */
static uint64_t piece(uint64_t lines, uint64_t most, unsigned width)
{
    uint64_t each = lqi_div_up(lines, lqi_div_up(lines, most));

    return lqi_div_up(each, width) * width;
}

/* Several items for each thread: by fewer rows, down to one panel, then by fewer columns. */
static void plan_strips(struct gemm *g)
{
    uint64_t want = g->threads > 1 ? 4 * (uint64_t)g->threads : 1, rows, strips;

    rows = lqi_min(STRIP, lqi_div_up(g->part_rows, want));
    g->strip_rows = piece(g->part_rows, rows, g->kernel->mr);
    strips = lqi_div_up(g->part_rows, g->strip_rows);
    g->strip_cols = piece(g->part_cols, lqi_div_up(g->part_cols, lqi_div_up(want, strips)),
                          g->kernel->nr);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static lq_status plan_memory(struct gemm *g)
{
    unsigned mr = g->kernel->mr, nr = g->kernel->nr;
    uint64_t b_floats = g->part_cols / nr * lqi_gemm_stride(nr);
    uint64_t sums = g->direct ? 0 : g->part_rows * g->part_cols, floats;

    g->a_floats = g->strip_rows / mr * lqi_gemm_stride(mr);
    g->thread_floats = g->a_floats + larger(g->strip_cols,
                                            larger(lqi_factor_scratch(&g->a, g->strip_rows),
                                                   lqi_factor_scratch(&g->b, g->pack_cols)));
    floats = b_floats + sums + g->thread_floats * g->threads;
    g->b_panels = lqi_alloc(&g->ctx->allocator, floats * sizeof(float));
    if (!g->b_panels)
        return LQ_ERR_NOMEM;
    g->threads_work = g->b_panels + b_floats;
    g->sums = g->threads_work + g->thread_floats * g->threads;
    return LQ_OK;
}

/* Threads worth waking: one per LQI_TASK_WEIGHTS multiplications. */
static uint32_t useful_threads(const lq_ctx *ctx, const lq_gemm_args *a)
{
    double tasks = (double)a->m * (double)a->n * (double)a->k / LQI_TASK_WEIGHTS;

    if (tasks >= (double)ctx->threads)
        return ctx->threads;
    return tasks < 1 ? 1 : (uint32_t)tasks;
}

/* Columns of B are packed in multiples of this: whole panels, whole blocks of a format. */
static unsigned pack_width(const struct gemm *g)
{
    unsigned width = g->kernel->nr;

    while (g->b.quantized && width % LQI_BLOCK_MAX)
        width += g->kernel->nr;
    return width;
}

static lq_status plan(struct gemm *g)
{
    const lq_gemm_args *a = &g->args;
    unsigned width = pack_width(g);
    uint64_t cols;

    g->threads = useful_threads(g->ctx, a);
    cols = a->m > FEW ? PART : (uint64_t)PACK * g->threads;
    g->direct = a->c_type == LQ_F32 &&
                (!a->accumulate || (a->k <= LQ_GEMM_BLOCK && a->alpha == 1));
    g->part_rows = piece(a->m, PART, g->kernel->mr);
    g->part_cols = piece(a->n, cols, width);
    g->pack_cols = piece(g->part_cols, PACK, width);
    plan_strips(g);
    return plan_memory(g);
}

/* ------------------------------------------------------------------- checks */

/* 1 if two matrices share a byte.  With rows equally far apart they may lie side by side
 * in one array: q begins 'down' rows and 'right' bytes after p. */
static int share(const void *p, uint64_t p_rows, uint64_t p_row_bytes, uint64_t p_stride,
                 const void *q, uint64_t q_rows, uint64_t q_row_bytes, uint64_t q_stride)
{
    uint64_t down, right;

    if (!lqi_overlap(p, (p_rows - 1) * p_stride + p_row_bytes, q,
                     (q_rows - 1) * q_stride + q_row_bytes))
        return 0;
    if (p_stride != q_stride)
        return 1;
    if ((uintptr_t)p > (uintptr_t)q)
        return share(q, q_rows, q_row_bytes, q_stride, p, p_rows, p_row_bytes, p_stride);
    down = ((uintptr_t)q - (uintptr_t)p) / p_stride;
    right = ((uintptr_t)q - (uintptr_t)p) % p_stride;
    return (down < p_rows && right < p_row_bytes) ||
           (down + 1 < p_rows && right + q_row_bytes > p_stride);
}

/* Rows and row bytes of a factor as stored. */
static uint64_t stored_rows(const struct gemm *g, const lqi_factor *f)
{
    return f->along ? f->lines : g->args.k;
}

static uint64_t stored_cols(const struct gemm *g, const lqi_factor *f)
{
    return f->along ? g->args.k : f->lines;
}

static lq_status check_factor(const struct gemm *g, lqi_factor *f)
{
    uint64_t rows = stored_rows(g, f), cols = stored_cols(g, f), bytes;

    if (f->quantized)
        return LQ_OK;
    f->ld = f->ld ? f->ld : cols;
    return lqi_check_floats(&f->type, f->p, rows, cols, f->ld, &bytes);
}

static int shares_c(const struct gemm *g, const lqi_factor *f, uint64_t c_bytes)
{
    size_t size = lq_dtype_bytes(f->type), c_size = lq_dtype_bytes(g->args.c_type);

    if (f->quantized)
        return lqi_planes_overlap(f->quantized->g, f->quantized->rows, g->args.c, c_bytes);
    return g->args.k && share(f->p, stored_rows(g, f), stored_cols(g, f) * size, f->ld * size,
                              g->args.c, g->args.m, g->args.n * c_size, g->args.ldc * c_size);
}

static int is_flag(int32_t value)
{
    return value == 0 || value == 1;
}

static lq_status check_args(const lq_ctx *ctx, const lq_gemm_args *args,
                            const lqi_quantized *b, struct gemm *g)
{
    lq_gemm_args *a = &g->args;
    uint64_t bytes;
    lq_status status;

    if (!ctx || !args)
        return LQ_ERR_ARG;
    status = lqi_opts_read(a, sizeof *a, args);
    if (status)
        return status;
    if (!is_flag(a->trans_a) || !is_flag(a->trans_b) || !is_flag(a->accumulate) ||
        !is_flag(a->lower))
        return LQ_ERR_ARG;
    g->ctx = ctx;
    g->kernel = &ctx->kernels.gemm;
    g->a = (lqi_factor){ a->a, a->a_type, a->lda, !a->trans_a, a->m, g->kernel->mr, NULL };
    g->b = (lqi_factor){ a->b, a->b_type, a->ldb, a->trans_b && !b, a->n, g->kernel->nr, b };
    a->ldc = a->ldc ? a->ldc : a->n;
    a->alpha = a->alpha == 0 ? 1 : a->alpha;
    if ((status = check_factor(g, &g->a)) || (status = check_factor(g, &g->b)) ||
        (status = lqi_check_floats(&a->c_type, a->c, a->m, a->n, a->ldc, &bytes)) ||
        a->m == 0 || a->n == 0)
        return status;
    return shares_c(g, &g->a, bytes) || shares_c(g, &g->b, bytes) ? LQ_ERR_OVERLAP : LQ_OK;
}

lq_status lqi_gemm_quantized(const lq_ctx *ctx, const lq_gemm_args *args,
                             const lqi_quantized *b)
{
    struct gemm g = { .ctx = ctx };
    lq_status status = check_args(ctx, args, b, &g);

    if (status || g.args.m == 0 || g.args.n == 0)
        return status;
    status = plan(&g);
    if (status)
        return status;
    multiply_all(&g);
    lqi_free(&ctx->allocator, g.b_panels);
    return LQ_OK;
}

lq_status lq_gemm(const lq_ctx *ctx, const lq_gemm_args *args)
{
    return lqi_gemm_quantized(ctx, args, NULL);
}
