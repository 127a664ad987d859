/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/bench_codec.c - the speed of encoding and decoding
 */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

typedef struct codec {
    bench         *b;
    const lq_spec *spec;
    lq_tensor     *tensor;
    float         *x, *decoded;
} codec;

/* Into the tensor that is there; specs whose rows depend on each other, and formats that need
 * importances, into a new one. */
static lq_status run_quantize(void *arg)
{
    codec *k = arg;
    bench *b = k->b;
    lq_rows rows = LQ_ROWS_INIT;
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    lq_tensor *fresh = NULL;
    lq_status status = LQ_ERR_UNSUPPORTED;

    opts.importance = b->weighted ? b->importance : NULL;
    if (lq_spec_rows_independent(k->spec)) {
        status = lq_tensor_rows(k->tensor, 0, &rows);
        if (status == LQ_OK)
            status = lq_encode_rows(b->ctx, &rows, 0, b->rows, LQ_F32, k->x, b->cols, &opts);
    }
    if (status != LQ_ERR_UNSUPPORTED && status != LQ_ERR_ARG)
        return status;
    status = bench_encode(b, k->spec, b->rows, k->x, &fresh, NULL);
    lq_tensor_destroy(fresh);
    return status;
}

static lq_status run_dequantize(void *arg)
{
    codec *k = arg;

    return lq_tensor_decode(k->tensor, k->b->type, k->decoded);
}

/* Of the decoded weights. */
static double error_of(const codec *k)
{
    double error = 0, signal = 0;

    for (uint64_t i = 0; i < k->b->rows * k->b->cols; i++) {
        double x = (double)k->x[i], e = (double)k->decoded[i] - x;
        error += e * e;
        signal += x * x;
    }
    return signal > 0 ? error / signal : NAN;
}

static lq_status measure(codec *k, int op, lq_error *error)
{
    bench *b = k->b;
    const lq_shape shape = { 1, b->rows, b->cols };
    double numbers = (double)b->rows * (double)b->cols;
    record r = { .op = op, .spec = k->spec, .nmse = NAN,
                 .type = op == OP_DEQUANTIZE ? b->type : LQ_F32 };
    lq_status status;

    if (!k->x || !k->decoded)
        return LQ_ERR_NOMEM;
    if ((status = bench_encode(b, k->spec, b->rows, k->x, &k->tensor, error))
        || (status = lq_spec_bytes(k->spec, &shape, &r.source_bytes))
        || (status = bench_run(b, -1, op == OP_QUANTIZE ? run_quantize : run_dequantize, k)))
        return status;
    r.seconds = b->samples.call;
    r.roof = b->samples.roof;
    r.weights = numbers;
    r.bytes = numbers * (double)lq_dtype_bytes(r.type) + (double)r.source_bytes;
    r.written = op == OP_QUANTIZE ? (double)r.source_bytes : r.bytes - (double)r.source_bytes;
    status = lq_tensor_decode(k->tensor, LQ_F32, k->decoded);
    if (status != LQ_OK)
        return status;
    r.nmse = error_of(k);
    bench_report(b, &r);
    return LQ_OK;
}

lq_status bench_codec(bench *b, const lq_spec *spec, int op, lq_error *error)
{
    codec k = { .b = b, .spec = spec };

    k.x = bench_floats(b->rows, b->cols, 1, 0.02f);
    k.decoded = bench_floats(b->rows, b->cols, 2, 0);
    lq_status status = measure(&k, op, error);
    lq_tensor_destroy(k.tensor);
    free(k.x);
    free(k.decoded);
    return status;
}
