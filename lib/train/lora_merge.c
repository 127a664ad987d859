/* SPDX-License-Identifier: MIT */
/*
 * lib/train/lora_merge.c - a LoRA layer becomes one weight again
 *
 * Strip by strip: decoded, s B A added, encoded.  Specs that need the whole tensor first are
 * shown the strips twice, and the report makes them once more to compare.
 */
#include "lib/train/lora.h"

#include "libquant/gemm.h"

enum { STRIP_BYTES = 1 << 20 };   /* of f32, about */

void lq_merge_report_init(lq_merge_report *report)
{
    const lq_merge_report init = LQ_MERGE_REPORT_INIT;

    if (report)
        *report = init;
}

typedef struct merge {
    const lq_ctx *ctx;
    lqi_lora      lora;
    lq_tensor    *tensor;
    lq_encoder   *encoder;
    const float  *importance;   /* of columns, or NULL */
    uint64_t      strip;        /* rows */
    float        *sum, *change; /* [strip][cols]: W + s B A, s B A */
    lq_merge_report *rows;      /* [strip] */
} merge;

/* ------------------------------------------------------------------- strips */

static void add_task(void *arg, size_t index)
{
    const merge *m = arg;
    uint64_t cols = m->lora.g.cols;
    float *sum = m->sum + index * cols;
    const float *change = m->change + index * cols;

    for (uint64_t k = 0; k < cols; k++)
        sum[k] += change[k];
}

/* Rows [row, row + n): m->sum and m->change. */
static lq_status make_strip(merge *m, uint64_t row, uint64_t n)
{
    const lq_lora *l = &m->lora.l;
    uint64_t cols = m->lora.g.cols;
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;
    lq_status status = lq_decode_rows(m->ctx, &m->lora.rows, row, n, LQ_F32, m->sum, cols);

    if (status)
        return status;
    a.m = n;
    a.n = cols;
    a.k = l->rank;
    a.a = (const uint8_t *)l->b + row * l->rank * lq_dtype_bytes(l->type);
    a.b = l->a;
    a.a_type = a.b_type = l->type;
    a.c = m->change;
    a.alpha = l->scale;
    status = lq_gemm(m->ctx, &a);
    if (!status)
        lqi_parallel(m->ctx, (size_t)n, add_task, m);
    return status;
}

typedef lq_status strip_step(merge *m, uint64_t row, uint64_t n);

static lq_status for_strips(merge *m, strip_step *step)
{
    lq_status status = LQ_OK;

    for (uint64_t row = 0; row < m->lora.g.rows && !status; row += m->strip) {
        uint64_t n = lqi_min(m->strip, m->lora.g.rows - row);

        status = make_strip(m, row, n);
        if (!status)
            status = step(m, row, n);
    }
    return status;
}

static lq_status scan_strip(merge *m, uint64_t row, uint64_t n)
{
    (void)row;
    return lq_encoder_scan(m->encoder, LQ_F32, m->sum, m->lora.g.cols, n);
}

static lq_status encode_strip(merge *m, uint64_t row, uint64_t n)
{
    (void)row;
    return lq_encoder_rows(m->encoder, LQ_F32, m->sum, m->lora.g.cols, n);
}

/* ------------------------------------------------------------------- report */

static double weight(const merge *m, uint64_t col)
{
    return m->importance ? m->importance[col] : 1.0;
}

static void measure_sum_task(void *arg, size_t index)
{
    const merge *m = arg;
    uint64_t cols = m->lora.g.cols;
    const float *sum = m->sum + index * cols, *change = m->change + index * cols;
    lq_merge_report r = LQ_MERGE_REPORT_INIT;

    for (uint64_t k = 0; k < cols; k++) {
        r.squares += weight(m, k) * sum[k] * sum[k];
        r.change += weight(m, k) * change[k] * change[k];
    }
    m->rows[index] = r;
}

/* m->change holds what was stored. */
static void measure_error_task(void *arg, size_t index)
{
    const merge *m = arg;
    uint64_t cols = m->lora.g.cols;
    const float *sum = m->sum + index * cols, *stored = m->change + index * cols;
    double error = 0;

    for (uint64_t k = 0; k < cols; k++) {
        double d = (double)stored[k] - sum[k];
        error += weight(m, k) * d * d;
    }
    m->rows[index].error = error;
}

/* To the last element of m->rows, which is the total. */
static lq_status measure_strip(merge *m, uint64_t row, uint64_t n)
{
    lq_rows stored = LQ_ROWS_INIT;
    lq_merge_report *total = &m->rows[m->strip];
    lq_status status;

    lqi_parallel(m->ctx, (size_t)n, measure_sum_task, m);
    (void)lq_tensor_rows(m->tensor, 0, &stored);
    status = lq_decode_rows(m->ctx, &stored, row, n, LQ_F32, m->change, m->lora.g.cols);
    if (status)
        return status;
    lqi_parallel(m->ctx, (size_t)n, measure_error_task, m);
    for (uint64_t i = 0; i < n; i++) {
        total->squares += m->rows[i].squares;
        total->change += m->rows[i].change;
        total->error += m->rows[i].error;
    }
    return LQ_OK;
}

/* -------------------------------------------------------------------- merge */

static lq_status begin(merge *m, const lq_spec *spec, const lq_encode_opts *opts,
                       lq_error *error)
{
    const lq_shape shape = { 1, m->lora.g.rows, m->lora.g.cols };
    lq_encode_opts o = LQ_ENCODE_OPTS_INIT;
    uint64_t unit, floats, rows, bytes;
    lq_status status = lq_tensor_create(m->ctx, spec, &shape, &m->tensor, error);

    if (status)
        return status;
    status = lq_encoder_begin(m->ctx, lq_tensor_spec(m->tensor), &shape, opts, lqi_tensor_sink,
                              m->tensor, &m->encoder, error);
    if (status)
        return status;
    (void)lqi_opts_read(&o, sizeof o, opts);
    m->importance = o.importance;
    unit = lq_encoder_strip_rows(m->encoder);
    rows = STRIP_BYTES / sizeof(float) / (shape.cols + (shape.cols == 0));
    m->strip = lqi_min(rows > unit ? rows / unit * unit : unit, shape.rows + (shape.rows == 0));
    if (!lqi_mul(2 * m->strip, shape.cols, &floats) ||
        !lqi_mul(floats + 1, sizeof(float), &bytes))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "a strip of the weight does not fit");
    m->sum = lqi_alloc(&m->ctx->allocator, bytes);
    m->change = m->sum ? m->sum + floats / 2 : NULL;
    m->rows = lqi_alloc_zero(&m->ctx->allocator, (m->strip + 1) * sizeof *m->rows);
    return m->sum && m->rows ? LQ_OK
                             : lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for a strip");
}

/* Errors of the encoder come again, with their words, from its end. */
static lq_status encode(merge *m, lq_error *error)
{
    lq_status status = lq_encoder_passes(m->encoder) == 2 ? for_strips(m, scan_strip) : LQ_OK;

    if (!status)
        status = for_strips(m, encode_strip);
    if (status == LQ_ERR_NOMEM)
        return lqi_fail(error, status, NULL, "no memory for a product");
    return lq_encoder_finish(m->encoder, error);
}

static lq_status measure(merge *m, lq_merge_report *report, lq_error *error)
{
    lq_status status = for_strips(m, measure_strip);

    if (status)
        return lqi_fail(error, status, NULL, "the report: %s", lq_status_text(status));
    *report = m->rows[m->strip];
    report->struct_size = sizeof *report;
    return LQ_OK;
}

lq_status lq_lora_merge(const lq_ctx *ctx, const lq_lora *lora, const lq_spec *spec,
                        const lq_encode_opts *opts, lq_tensor **merged,
                        lq_merge_report *report, lq_error *error)
{
    merge m = { .ctx = ctx };
    lq_status status;

    if (!ctx || !lora || !merged || (report && report->struct_size < sizeof *report))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, lora or merged is NULL, or report short");
    status = lqi_lora_open(lora, &m.lora);
    if (status)
        return lqi_fail(error, status, NULL, "the LoRA layer: %s", lq_status_text(status));
    status = begin(&m, spec ? spec : &m.lora.spec, opts, error);
    if (!status)
        status = encode(&m, error);
    if (!status && report)
        status = measure(&m, report, error);
    lq_encoder_destroy(m.encoder);
    lqi_free(&ctx->allocator, m.sum);
    lqi_free(&ctx->allocator, m.rows);
    if (status)
        lq_tensor_destroy(m.tensor);
    else
        *merged = m.tensor;
    return status;
}
