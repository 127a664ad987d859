/* SPDX-License-Identifier: MIT */
/*
 * lib/core/matmul.c - products: strips of decoded weights meet the f32 tile
 *
 * STRIP rows are multiplied at a time.  Blocks of BLOCK columns are decoded to f32 and
 * met with every activation vector, so a weight is decoded once per call whatever n is.
 * Sums of a strip stay in the work memory until its last block:
 *
 *     for each strip of 16 rows:
 *         sums[n][16] = 0
 *         for each block of 512 columns:
 *             w[16][512] = decode
 *             for each tile of nr vectors:  sums += w . x   (kernels/tmpl/tile_f32.h)
 *         y = sums + bias (+ y)
 *
 * The order of additions into one output depends on cols and on the level only.  Edges
 * are zero-padded copies; every output goes through the same tile.
 */
#include <stdatomic.h>

#include "lib/core/core.h"
#include "libquant/matmul.h"

#define STRIP 16
#define BLOCK 512   /* a multiple of every format's block */

struct lq_prepared {
    const lq_ctx *ctx;
    lq_rows       rows;
    lq_spec       spec;
    lqi_geometry  geometry;
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

lq_status lq_prepared_bytes(const lq_ctx *ctx, const lq_spec *spec, uint64_t rows,
                            uint64_t cols, uint64_t *bytes)
{
    lq_shape shape = { 1, rows, cols };
    uint64_t source;
    lq_status status;

    if (!ctx || !bytes)
        return LQ_ERR_ARG;
    status = lq_spec_bytes(spec, &shape, &source);
    if (!status)
        *bytes = 0;   /* a view of the planes */
    return status;
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
    if (prepared)
        lqi_free(&prepared->ctx->allocator, prepared);
}

/* -------------------------------------------------------------------- work */

/* One thread's scratch: floats, in this order. */
struct scratch {
    float *w;      /* [STRIP][BLOCK] */
    float *x;      /* [LQI_TILE_MAX][BLOCK]: converted or padded vectors */
    float *sums;   /* [n rounded up to tiles][STRIP] */
};

/* LQI_TILE_MAX more vectors than n leave room for any tile; 0: does not fit. */
static uint64_t work_bytes(uint64_t n)
{
    uint64_t floats;

    if (!lqi_add(n, LQI_TILE_MAX, &floats) || !lqi_mul(floats, STRIP, &floats) ||
        !lqi_add(floats, (STRIP + LQI_TILE_MAX) * BLOCK, &floats) ||
        !lqi_mul(floats, sizeof(float), &floats) || floats > SIZE_MAX / 2)
        return 0;
    return floats;
}

static struct scratch carve(void *work)
{
    float *p = work;

    return (struct scratch){ p, p + STRIP * BLOCK, p + (STRIP + LQI_TILE_MAX) * BLOCK };
}

uint64_t lq_matmul_work_bytes(const lq_prepared *w, uint64_t n)
{
    return w ? work_bytes(n) : 0;
}

/* ------------------------------------------------------------------- strip */

struct product {
    const lq_ctx       *ctx;
    const lqi_geometry *g;
    const lq_rows      *rows;
    lq_matmul_args      a;
    uint8_t            *work;
    uint64_t            work_bytes, strips;
    atomic_ullong       next;
};

/* Vectors [j, j + nr), columns [c, c + k), as the tile wants them: in place, or copied. */
static const float *tile_vectors(const struct product *p, const struct scratch *s, uint64_t j,
                                 uint64_t c, size_t k, size_t *ldx)
{
    unsigned nr = p->ctx->kernels.tile_f32.nr;
    const lq_matmul_args *a = &p->a;

    if (a->x_type == LQ_F32 && j + nr <= a->n) {
        *ldx = (size_t)a->ldx;
        return (const float *)a->x + j * a->ldx + c;
    }
    *ldx = BLOCK;
    for (unsigned t = 0; t < nr; t++) {
        float *to = s->x + t * BLOCK;
        const uint8_t *from = (const uint8_t *)a->x +
                              ((j + t) * a->ldx + c) * lq_dtype_bytes(a->x_type);
        if (j + t >= a->n)
            memset(to, 0, k * sizeof *to);
        else if (a->x_type == LQ_F32)
            memcpy(to, from, k * sizeof *to);
        else if (a->x_type == LQ_F16)
            p->ctx->kernels.f16_to_f32(from, to, k);
        else
            p->ctx->kernels.bf16_to_f32(from, to, k);
    }
    return s->x;
}

/* Columns [c, c + k) of the strip's rows meet all vectors. */
static void multiply_block(const struct product *p, const struct scratch *s, uint64_t row,
                           uint64_t rows, uint64_t c, size_t k)
{
    const lqi_tile_f32 *tile = &p->ctx->kernels.tile_f32;

    for (uint64_t r = 0; r < STRIP; r++) {
        if (r < rows)
            lqi_decode_span(p->ctx, p->g, p->rows, row + r, c, k, s->w + r * BLOCK);
        else
            memset(s->w + r * BLOCK, 0, k * sizeof *s->w);
    }
    for (uint64_t j = 0; j < p->a.n; j += tile->nr) {
        size_t ldx;
        const float *x = tile_vectors(p, s, j, c, k, &ldx);
        for (uint64_t r = 0; r < rows; r += tile->mr)
            tile->run(s->w + r * BLOCK, BLOCK, x, ldx, k, s->sums + j * STRIP + r, STRIP);
    }
}

static void store(lq_dtype type, void *y, uint64_t i, float f)
{
    if (type == LQ_F32)
        ((float *)y)[i] = f;
    else
        lqi_store16((uint8_t *)y + 2 * i, type == LQ_F16 ? lqi_f32_to_f16(f) : lqi_f32_to_bf16(f));
}

static void store_strip(const struct product *p, const struct scratch *s, uint64_t row,
                        uint64_t rows)
{
    const lq_matmul_args *a = &p->a;

    for (uint64_t j = 0; j < a->n; j++) {
        for (uint64_t r = 0; r < rows; r++) {
            uint64_t at = j * a->ldy + row + r - a->row0;
            float f = s->sums[j * STRIP + r];
            if (a->bias)
                f += a->bias[row + r];
            if (a->accumulate)
                f += lqi_load_float(a->y_type, a->y, at);
            store(a->y_type, a->y, at, f);
        }
    }
}

static void multiply_strip(const struct product *p, const struct scratch *s, uint64_t row)
{
    uint64_t rows = lqi_min(STRIP, p->a.row1 - row), cols = p->g->cols;

    memset(s->sums, 0, (size_t)((p->a.n + LQI_TILE_MAX) * STRIP) * sizeof *s->sums);
    for (uint64_t c = 0; c < cols; c += BLOCK)
        multiply_block(p, s, row, rows, c, (size_t)lqi_min(BLOCK, cols - c));
    store_strip(p, s, row, rows);
}

/* One task per scratch; strips are taken one by one. */
static void product_task(void *arg, size_t index)
{
    struct product *p = arg;
    struct scratch s = carve(p->work + index * p->work_bytes);
    unsigned long long strip;

    while ((strip = atomic_fetch_add(&p->next, 1)) < p->strips)
        multiply_strip(p, &s, p->a.row0 + strip * STRIP);
}

/* -------------------------------------------------------------------- calls */

static lq_status check_args(const lq_ctx *ctx, const lqi_geometry *g, const lq_rows *rows,
                            const lq_matmul_args *args, struct product *p)
{
    lq_matmul_args *a = &p->a;
    uint64_t x_bytes, y_bytes;
    lq_status status;

    p->ctx = ctx;
    p->g = g;
    p->rows = rows;
    atomic_init(&p->next, 0);
    memset(a, 0, sizeof *a);
    if (!args)
        return LQ_ERR_ARG;
    status = lqi_opts_read(a, sizeof *a, args);
    if (status)
        return status;
    if (a->row1 == 0)
        a->row1 = g->rows;
    if (a->row0 > a->row1 || a->row1 > g->rows || a->accumulate < 0 || a->accumulate > 1 ||
        a->reserved)
        return LQ_ERR_ARG;
    p->strips = lqi_div_up(a->row1 - a->row0, STRIP);
    if (a->n == 0 || p->strips == 0) {
        p->strips = 0;
        return LQ_OK;
    }
    if ((status = lqi_check_floats(&a->x_type, a->x, a->n, g->cols, a->ldx, &x_bytes)) ||
        (status = lqi_check_floats(&a->y_type, a->y, a->n, a->row1 - a->row0, a->ldy, &y_bytes)))
        return status;
    if (a->bias && (uintptr_t)a->bias % sizeof *a->bias)
        return LQ_ERR_ALIGN;
    if (lqi_overlap(a->x, x_bytes, a->y, y_bytes) ||
        lqi_overlap(a->bias, g->rows * sizeof *a->bias, a->y, y_bytes) ||
        lqi_planes_overlap(g, rows, a->y, y_bytes))
        return LQ_ERR_OVERLAP;
    p->work_bytes = work_bytes(a->n);
    return p->work_bytes ? LQ_OK : LQ_ERR_OVERFLOW;
}

/* Threads worth waking: one per LQI_TASK_WEIGHTS multiplications. */
static uint64_t useful_tasks(const struct product *p)
{
    double work = (double)(p->a.row1 - p->a.row0) * (double)p->g->cols * (double)p->a.n;
    uint64_t tasks = lqi_min(p->ctx->threads, p->strips);

    if (work / LQI_TASK_WEIGHTS < (double)tasks)
        tasks = (uint64_t)(work / LQI_TASK_WEIGHTS);
    return tasks ? tasks : 1;
}

static lq_status run(struct product *p)
{
    uint64_t tasks, bytes;

    if (p->strips == 0)
        return LQ_OK;
    tasks = useful_tasks(p);
    if (!lqi_mul(tasks, p->work_bytes, &bytes))
        return LQ_ERR_OVERFLOW;
    p->work = lqi_alloc(&p->ctx->allocator, bytes);
    if (!p->work)
        return LQ_ERR_NOMEM;
    lqi_parallel(p->ctx, (size_t)tasks, product_task, p);
    lqi_free(&p->ctx->allocator, p->work);
    return LQ_OK;
}

lq_status lq_matmul(const lq_ctx *ctx, const lq_prepared *w, const lq_matmul_args *args)
{
    struct product p;
    lq_status status;

    if (!ctx || !w)
        return LQ_ERR_ARG;
    status = check_args(ctx, &w->geometry, &w->rows, args, &p);
    return status ? status : run(&p);
}

lq_status lq_matmul_rows(const lq_ctx *ctx, const lq_rows *w, const lq_matmul_args *args)
{
    struct product p;
    lqi_geometry g;
    lq_rows rows;
    lq_spec spec;
    lq_status status;

    if (!ctx || !w)
        return LQ_ERR_ARG;
    status = lqi_rows_open(w, &rows, &spec, &g);
    if (!status)
        status = check_args(ctx, &g, &rows, args, &p);
    return status ? status : run(&p);
}

lq_status lq_matmul_slice(const lq_prepared *w, const lq_matmul_args *args)
{
    struct product p;
    lq_status status;

    if (!w)
        return LQ_ERR_ARG;
    status = check_args(w->ctx, &w->geometry, &w->rows, args, &p);
    if (status || p.strips == 0)
        return status;
    if (!p.a.work || p.a.work_bytes < p.work_bytes)
        return LQ_ERR_BUFFER;
    if ((uintptr_t)p.a.work % sizeof(float))
        return LQ_ERR_ALIGN;
    p.work = p.a.work;
    product_task(&p, 0);
    return LQ_OK;
}
