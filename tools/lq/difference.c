/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/difference.c - how far apart two weights are
 */
#include "pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STRIP_BYTES (4u << 20)

/* Rows of one weight.  Planar ones, and those read out of order, are loaded once. */
typedef struct reader {
    const lq_ctx        *ctx;
    const lq_checkpoint *checkpoint;
    uint64_t             index;
    lq_weight            w;
    lq_tensor           *tensor;
} reader;

static lq_status reader_open(reader *r, int load, lq_error *error)
{
    lq_format_info info = LQ_FORMAT_INFO_INIT;

    lq_weight_init(&r->w);
    lq_status status = lq_checkpoint_weight(r->checkpoint, r->index, &r->w);
    if (status != LQ_OK || !r->w.spec)
        return status;
    if (lq_format_get(r->w.spec->format, &info) == LQ_OK && info.storage == LQ_PLANAR)
        load = 1;
    return load ? lq_checkpoint_load(r->checkpoint, r->index, &r->tensor, error) : LQ_OK;
}

static lq_status reader_rows(const reader *r, uint64_t outer, uint64_t row0, uint64_t n,
                             float *y, lq_error *error)
{
    lq_rows rows = LQ_ROWS_INIT;

    if (!r->tensor)
        return lq_checkpoint_rows(r->checkpoint, r->index, outer, row0, n, y, error);
    lq_status status = lq_tensor_rows(r->tensor, outer, &rows);
    return status == LQ_OK
               ? lq_decode_rows(r->ctx, &rows, row0, n, LQ_F32, y, r->w.shape.cols)
               : status;
}

static void add(difference *d, const float *a, const float *b, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        double x = (double)a[i], y = (double)b[i];
        if (!isfinite(x) || !isfinite(y)) {
            d->nonfinite += !(x == y || (isnan(x) && isnan(y)));
            continue;
        }
        double e = y - x;
        d->sum_aa += x * x;
        d->sum_bb += y * y;
        d->sum_ab += x * y;
        d->sum_err += e * e;
        if (fabs(e) > d->max_abs)
            d->max_abs = fabs(e);
    }
}

static lq_status rows_of_b(const reader *b, const pair *p, uint64_t outer, uint64_t row0,
                           uint64_t n, float *y, lq_error *error)
{
    lq_status status = LQ_OK;

    if (!p->head_rows)
        return reader_rows(b, outer, row0, n, y, error);
    for (uint64_t i = 0; i < n && status == LQ_OK; i++)
        status = reader_rows(b, outer, pair_row(p, row0 + i), 1, y + i * b->w.shape.cols,
                             error);
    return status;
}

static lq_status compare_values(reader *a, reader *b, const pair *p, difference *d,
                                lq_error *error)
{
    const lq_shape *s = &a->w.shape;
    uint64_t strip = s->cols ? STRIP_BYTES / 4 / s->cols : 0;
    lq_status status = LQ_OK;

    if (!s->cols || !s->rows || !s->outer)
        return LQ_OK;
    if (strip < 1)
        strip = 1;
    if (strip > s->rows)
        strip = s->rows;
    if (s->cols > SIZE_MAX / 8 / strip)
        return LQ_ERR_OVERFLOW;
    size_t floats = (size_t)(strip * s->cols);
    float *x = malloc(floats * sizeof *x), *y = malloc(floats * sizeof *y);
    if (!x || !y)
        status = LQ_ERR_NOMEM;
    for (uint64_t o = 0; o < s->outer; o++) {
        for (uint64_t row = 0; row < s->rows && status == LQ_OK; row += strip) {
            uint64_t n = s->rows - row < strip ? s->rows - row : strip;
            status = reader_rows(a, o, row, n, x, error);
            if (status == LQ_OK)
                status = rows_of_b(b, p, o, row, n, y, error);
            if (status == LQ_OK)
                add(d, x, y, n * s->cols);
            if (status == LQ_OK && progress_cancelled())
                status = LQ_ERR_CANCELLED;
        }
    }
    free(x);
    free(y);
    return status;
}

/* Tensors that are no numbers we decode: the bytes. */
static lq_status compare_bytes(const reader *a, const reader *b, difference *d,
                               lq_error *error)
{
    const lq_file *fa = lq_checkpoint_file(a->checkpoint);
    const lq_file *fb = lq_checkpoint_file(b->checkpoint);
    static uint8_t x[1 << 16], y[1 << 16];
    uint64_t ia, ib;

    if (lq_file_tensor_find(fa, a->w.name, &ia) != LQ_OK
        || lq_file_tensor_find(fb, b->w.name, &ib) != LQ_OK || a->w.bytes != b->w.bytes) {
        d->nonfinite++;
        return LQ_OK;
    }
    for (uint64_t at = 0; at < a->w.bytes; at += sizeof x) {
        uint64_t n = a->w.bytes - at < sizeof x ? a->w.bytes - at : sizeof x;
        lq_status status = lq_file_read(fa, ia, at, x, n, error);
        if (status == LQ_OK)
            status = lq_file_read(fb, ib, at, y, n, error);
        if (status != LQ_OK)
            return status;
        for (uint64_t i = 0; i < n; i++)
            d->nonfinite += x[i] != y[i];
    }
    return LQ_OK;
}

lq_status pair_compare(const lq_ctx *ctx, const lq_checkpoint *a, const lq_checkpoint *b,
                       const pair *p, difference *d, lq_error *error)
{
    reader ra = { ctx, a, p->a, LQ_WEIGHT_INIT, NULL };
    reader rb = { ctx, b, p->b, LQ_WEIGHT_INIT, NULL };

    memset(d, 0, sizeof *d);
    lq_status status = reader_open(&ra, 0, error);
    if (status == LQ_OK)
        status = reader_open(&rb, p->head_rows != 0, error);
    if (status == LQ_OK && ra.w.spec && rb.w.spec)
        status = compare_values(&ra, &rb, p, d, error);
    else if (status == LQ_OK)
        status = compare_bytes(&ra, &rb, d, error);
    lq_tensor_destroy(ra.tensor);
    lq_tensor_destroy(rb.tensor);
    return status;
}

double difference_rmse(const difference *d)
{
    if (d->sum_err == 0)
        return 0;
    return d->sum_aa > 0 ? sqrt(d->sum_err / d->sum_aa) : INFINITY;
}

double difference_cosine(const difference *d)
{
    if (d->sum_aa == 0 || d->sum_bb == 0)
        return d->sum_aa == d->sum_bb ? 1 : 0;
    return d->sum_ab / (sqrt(d->sum_aa) * sqrt(d->sum_bb));
}
