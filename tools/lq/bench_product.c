/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/bench_product.c - the speed of products, and their error
 *
 * GEMM of f32, f16 and bf16 is lq_gemm's, with vectors of the same type; everything else is
 * lq_matmul's, which converts the vectors within the time.
 */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_ROWS    64
#define SAMPLE_VECTORS 16

typedef struct product {
    bench         *b;
    const lq_spec *spec;
    copies         weights;
    lq_dtype       plain;      /* of lq_gemm; 0: lq_matmul */
    lq_tensor     *vectors;    /* of lq_gemm */
    float         *x, *y;
    uint64_t       n;
} product;

static lq_status run_matmul(void *arg)
{
    product *p = arg;
    const copy *w = copies_next(&p->weights);
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;

    a.n = p->n;
    a.x = p->x;
    a.ldx = p->b->cols;
    a.y = p->y;
    a.ldy = p->b->rows;
    a.mode = p->b->mode;
    return w->prepared ? lq_matmul(p->b->ctx, w->prepared, &a)
                       : lq_matmul_rows(p->b->ctx, &w->rows, &a);
}

static lq_status run_gemm(void *arg)
{
    product *p = arg;
    const copy *w = copies_next(&p->weights);
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;

    a.m = p->n;
    a.n = p->b->rows;
    a.k = p->b->cols;
    a.a = lq_tensor_plane(p->vectors, LQ_PLANE_CODES, NULL);
    a.b = w->rows.plane[LQ_PLANE_CODES];
    a.c = p->y;
    a.a_type = a.b_type = p->plain;
    a.trans_b = 1;
    return lq_gemm(p->b->ctx, &a);
}

/* ------------------------------------------------------------------------ error */

/* Squared error and square of the outputs of one row, against float64. */
static void row_error(const product *p, uint64_t row, const float *w, double *error,
                      double *signal)
{
    uint64_t cols = p->b->cols, step = p->n / SAMPLE_VECTORS + 1;

    for (uint64_t i = 0; i < p->n; i += step) {
        double sum = 0;
        for (uint64_t c = 0; c < cols; c++)
            sum += (double)p->x[i * cols + c] * (double)w[c];
        double e = (double)p->y[i * p->b->rows + row] - sum;
        *error += e * e;
        *signal += sum * sum;
    }
}

/* Of the last product, with what the weights decode to, on some rows and vectors. */
static double nmse(const product *p)
{
    uint64_t rows = p->b->rows, step = rows / SAMPLE_ROWS + 1;
    double error = 0, signal = 0;
    float *w = bench_floats(1, p->b->cols, 0, 0);

    for (uint64_t row = 0; w && row < rows; row += step) {
        if (lq_decode_rows(p->b->ctx, &p->weights.copy[0].rows, row, 1, LQ_F32, w, p->b->cols))
            break;
        row_error(p, row, w, &error, &signal);
    }
    free(w);
    return signal > 0 ? error / signal : NAN;
}

/* ------------------------------------------------------------------ measurement */

/* Formats whose fast products are in f32 (matmul.h). */
static int of_floats(lq_format format)
{
    return format == LQ_FORMAT_FP8_E4M3 || format == LQ_FORMAT_FP8_E5M2 ||
           format == LQ_FORMAT_MXFP8_E4M3 || format == LQ_FORMAT_MXFP8_E5M2 ||
           format == LQ_FORMAT_MXFP6_E3M2;
}

/* The peak of the arithmetic that is used. */
static int peak_of(const product *p)
{
    if (p->plain || p->b->mode == LQ_MODE_F32)
        return PEAK_F32;
    if (p->b->mode == LQ_MODE_BF16)
        return PEAK_BF16;
    return p->weights.prepared_bytes && !of_floats(p->spec->format) ? PEAK_INT8 : PEAK_F32;
}

static lq_status measure(product *p, int op, lq_error *error)
{
    bench *b = p->b;
    record r = { .op = op, .spec = p->spec, .n = p->n, .of_peak = op == OP_GEMM,
                 .mode = bench_mode_name[p->plain ? LQ_MODE_F32 : b->mode],
                 .source_bytes = p->weights.source_bytes,
                 .prepared_bytes = p->weights.prepared_bytes };
    lq_status status = LQ_OK;

    if (p->plain) {
        lq_tensor_destroy(p->vectors);
        p->vectors = NULL;
        status = bench_encode(b, p->spec, p->n, p->x, &p->vectors, error);
    }
    if (status == LQ_OK)
        status = bench_run(b, peak_of(p), p->plain ? run_gemm : run_matmul, p);
    if (status != LQ_OK)
        return status;
    r.seconds = b->samples.call;
    r.bytes = (double)r.source_bytes;
    r.flops = 2 * (double)b->rows * (double)b->cols * (double)p->n;
    r.roof = b->samples.roof;
    r.peak = b->samples.top;
    r.nmse = nmse(p);
    bench_report(b, &r);
    return LQ_OK;
}

static lq_status measure_all(product *p, int op, lq_error *error)
{
    const bench *b = p->b;
    uint64_t otherwise = op == OP_GEMM ? 128 : 1, most = otherwise;
    lq_status status;

    for (uint64_t i = 0; i < b->n_count; i++)
        most = b->n[i] > most ? b->n[i] : most;
    p->x = bench_floats(most, b->cols, 2, 1);
    p->y = bench_floats(most, b->rows, 3, 0);
    if (!p->x || !p->y)
        return LQ_ERR_NOMEM;
    status = copies_open(&p->weights, p->b, p->spec, !p->plain && !b->unprepared, error);
    for (uint64_t i = 0; i < (b->n_count ? b->n_count : 1) && status == LQ_OK; i++) {
        p->n = b->n_count ? b->n[i] : otherwise;
        status = measure(p, op, error);
    }
    return status;
}

lq_status bench_product(bench *b, const lq_spec *spec, int op, lq_error *error)
{
    product p = { .b = b, .spec = spec };
    lq_format_info info = LQ_FORMAT_INFO_INIT;

    if (op == OP_GEMM && b->mode != LQ_MODE_BF16
        && lq_format_get(spec->format, &info) == LQ_OK)
        p.plain = info.dtype;
    lq_status status = measure_all(&p, op, error);
    copies_close(&p.weights);
    lq_tensor_destroy(p.vectors);
    free(p.x);
    free(p.y);
    return status;
}
