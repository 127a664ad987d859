/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/stats_add.c - statistics of a batch of activations
 *
 * Sums in double run down the columns, one task per CHUNK of them.  X'X is lq_gemm()'s work:
 * per block of LQ_GEMM_BLOCK vectors, which it adds to the panels in place, and per panel the
 * rectangle left of the diagonal and the triangle on it.
 */
#include "lib/calib/calib.h"
#include "lib/core/gemm.h"

#define CHUNK 256   /* columns */

struct batch {
    const lq_ctx  *ctx;
    lqi_stat      *entry;
    uint64_t       cols, n;
    lq_dtype       type;
    const uint8_t *x;
    uint64_t       row_bytes;
    _Atomic int    bad;
};

static lq_status fail(lq_error *error, lq_status status, const char *name, const char *problem)
{
    const lqi_where where = { NULL, name, LQ_NO_OFFSET };

    return lqi_fail(error, status, &where, "%s", problem);
}

/* --------------------------------------------------------------------- sums */

/* Up to CHUNK columns of a vector. */
static const float *piece(const struct batch *b, uint64_t i, uint64_t col, size_t n,
                          float *buffer)
{
    const uint8_t *x = b->x + i * b->row_bytes + col * lq_dtype_bytes(b->type);

    lqi_widen(&b->ctx->kernels, b->type, x, buffer, n);
    return buffer;
}

static void look_task(void *arg, size_t index)
{
    struct batch *b = arg;
    uint64_t col = (uint64_t)index * CHUNK;
    size_t n = (size_t)lqi_min(CHUNK, b->cols - col);
    float buffer[CHUNK];

    for (uint64_t i = 0; i < b->n && !b->bad; i++)
        if (b->ctx->kernels.any_nonfinite(piece(b, i, col, n, buffer), n))
            b->bad = 1;
}

static void sum_task(void *arg, size_t index)
{
    const struct batch *b = arg;
    uint64_t col = (uint64_t)index * CHUNK;
    size_t n = (size_t)lqi_min(CHUNK, b->cols - col);
    double *sq = b->entry->sum_sq + col, *abs = b->entry->sum_abs + col;
    float buffer[CHUNK];

    for (uint64_t i = 0; i < b->n; i++) {
        const float *x = piece(b, i, col, n, buffer);
        for (size_t c = 0; c < n; c++) {
            double v = (double)x[c];
            sq[c] += v * v;
            abs[c] += fabs(v);
        }
    }
}

/* ---------------------------------------------------------------------- X'X */

/* Columns [col, col + cols) of rows [row, row + rows) of X'X, from n <= LQ_GEMM_BLOCK
 * vectors. */
static lq_status add_part(const struct batch *b, const uint8_t *x, uint64_t n, uint64_t row,
                          uint64_t rows, uint64_t col, uint64_t cols, float *c, uint64_t ldc)
{
    size_t size = lq_dtype_bytes(b->type);
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;

    a.m = rows;
    a.n = cols;
    a.k = n;
    a.a = x + row * size;
    a.b = x + col * size;
    a.c = c + col;
    a.lda = a.ldb = b->row_bytes / size;
    a.ldc = ldc;
    a.a_type = a.b_type = b->type;
    a.trans_a = 1;
    a.accumulate = 1;
    a.lower = row == col;
    return lq_gemm(b->ctx, &a);
}

static lq_status add_panel(const struct batch *b, const uint8_t *x, uint64_t n, uint64_t panel)
{
    uint64_t row = panel * LQ_GRAM_ROWS, rows = lqi_gram_rows(b->cols, panel);
    uint64_t width = lqi_gram_width(b->cols, panel);
    float *c = b->entry->gram[panel];
    lq_status status = LQ_OK;

    if (row)
        status = add_part(b, x, n, row, rows, 0, row, c, width);
    return status ? status : add_part(b, x, n, row, rows, row, rows, c, width);
}

static lq_status add_gram(const struct batch *b)
{
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < b->n; i += LQ_GEMM_BLOCK) {
        uint64_t n = lqi_min(LQ_GEMM_BLOCK, b->n - i);
        for (uint64_t p = 0; p < lqi_gram_panels(b->cols) && !status; p++)
            if (b->entry->gram[p])
                status = add_panel(b, b->x + i * b->row_bytes, n, p);
    }
    return status;
}

static lq_status make_panels(lq_stats *s, lqi_stat *e, lq_error *error)
{
    lq_status status = LQ_OK;

    for (uint64_t p = 0; s->opts.gram && p < lqi_gram_panels(e->cols) && !status; p++)
        if (p * LQ_GRAM_ROWS >= s->opts.gram_row0 && p * LQ_GRAM_ROWS < s->opts.gram_row1)
            status = lqi_stats_panel(s, e, p, error);
    return status;
}

/* -------------------------------------------------------------------- adding */

/* The entry of a name, new or old. */
static lq_status entry_of(lq_stats *s, const char *name, uint64_t cols, lqi_stat **entry,
                          lq_error *error)
{
    const lqi_stat *old = lqi_stats_find(s, name);
    lq_status status;

    if (!old) {
        status = lqi_stats_new(s, name, cols, entry, error);
        if (!status && (status = make_panels(s, *entry, error)))
            lqi_stats_drop(s);
        return status;
    }
    *entry = &s->entries[old->same];
    if (old->cols != cols)
        return fail(error, LQ_ERR_MISMATCH, name, "the weight had another number of columns");
    if (strcmp(old->name, name))
        return fail(error, LQ_ERR_DUPLICATE, name, "the weight shares another one's "
                    "statistics");
    if (old->broken)
        return fail(error, LQ_ERR_NOMEM, name, "memory ended while X'X was added to");
    return make_panels(s, *entry, error);
}

static lq_status check(const lq_stats *s, const char *name, struct batch *b, uint64_t ldx,
                       lq_error *error)
{
    uint64_t bytes;
    lq_status status;

    if (!s || !name || !*name)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_stats_add: NULL argument, or no name");
    status = lqi_check_floats(&b->type, b->x, b->n, b->cols, ldx, &bytes);
    if (status)
        return fail(error, status, name, lq_status_text(status));
    b->row_bytes = ldx * lq_dtype_bytes(b->type);
    return LQ_OK;
}

lq_status lq_stats_add(lq_stats *stats, const char *name, uint64_t cols, uint64_t n,
                       lq_dtype x_type, const void *x, uint64_t ldx, lq_error *error)
{
    struct batch b = { .cols = cols, .n = n, .type = x_type, .x = x };
    size_t chunks = (size_t)lqi_div_up(cols, CHUNK);
    lq_status status = check(stats, name, &b, ldx, error);

    if (status)
        return status;
    b.ctx = stats->ctx;
    lqi_parallel(b.ctx, chunks, look_task, &b);
    if (b.bad)
        return fail(error, LQ_ERR_NONFINITE, name, "an activation is NaN or infinite");
    status = entry_of(stats, name, cols, &b.entry, error);
    if (status)
        return status;
    status = add_gram(&b);
    if (status) {
        b.entry->broken = 1;
        return fail(error, status, name, lq_status_text(status));
    }
    lqi_parallel(b.ctx, chunks, sum_task, &b);
    b.entry->count += n;
    return LQ_OK;
}
