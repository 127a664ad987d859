/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_bench.c - lq bench
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BENCH_QUANTIZE, BENCH_DEQUANTIZE, BENCH_MATMUL, BENCH_KINDS };

static const char *const kind_name[] = { "quantize", "dequantize", "matmul" };

typedef struct bench {
    tool       *t;
    lq_ctx     *ctx;
    uint64_t    rows, cols, n, repeat;
    lq_dtype    type;                        /* of the numbers that dequantize makes */
    roof        roof;
    float      *weights, *decoded, *x, *y;   /* rows x cols twice; n x cols; n x rows */
    doc         j;
    sample_set  samples;
    /* of the spec being measured */
    lq_spec      spec;
    lq_tensor   *tensor;
    lq_prepared *prepared;
} bench;

static lq_shape shape_of(const bench *b)
{
    return (lq_shape){ 1, b->rows, b->cols };
}

/* Into the tensor that is there; specs whose rows depend on each other into a new one. */
static lq_status run_quantize(void *arg)
{
    bench *b = arg;
    lq_shape shape = shape_of(b);
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *fresh = NULL;

    if (!lq_spec_rows_independent(&b->spec)) {
        lq_status status = lq_tensor_encode(b->ctx, &b->spec, &shape, LQ_F32, b->weights,
                                            NULL, &fresh, NULL);
        lq_tensor_destroy(fresh);
        return status;
    }
    lq_status status = lq_tensor_rows(b->tensor, 0, &rows);
    return status == LQ_OK ? lq_encode_rows(b->ctx, &rows, 0, b->rows, LQ_F32, b->weights,
                                            b->cols, NULL)
                           : status;
}

static lq_status run_dequantize(void *arg)
{
    bench *b = arg;

    return lq_tensor_decode(b->tensor, b->type, b->decoded);
}

static lq_status run_matmul(void *arg)
{
    bench *b = arg;
    lq_matmul_args product = LQ_MATMUL_ARGS_INIT;

    product.n = b->n;
    product.x = b->x;
    product.ldx = b->cols;
    product.y = b->y;
    product.ldy = b->rows;
    return lq_matmul(b->ctx, b->prepared, &product);
}

typedef struct figures {
    double weights, bytes, flops, of_roof;   /* per second, and the share */
    double source, written;                  /* bytes of the packed weight; written a second */
} figures;

/* Bytes of one number that is read or made. */
static double number_bytes(const bench *b, int kind)
{
    return kind == BENCH_MATMUL ? 0 : kind == BENCH_DEQUANTIZE && b->type != LQ_F32 ? 2 : 4;
}

static figures compute(const bench *b, int kind)
{
    double numbers = (double)b->rows * (double)b->cols;
    lq_shape shape = shape_of(b);
    uint64_t packed = 0;
    figures f;

    lq_spec_bytes(&b->spec, &shape, &packed);
    double made = number_bytes(b, kind) * numbers, bytes = (double)packed + made;
    f.weights = numbers / b->samples.median;
    f.bytes = bytes / b->samples.median;
    f.flops = kind == BENCH_MATMUL ? 2 * numbers * (double)b->n / b->samples.median : 0;
    f.source = (double)packed;
    f.written = (kind == BENCH_DEQUANTIZE ? made : kind == BENCH_QUANTIZE ? (double)packed
                 : 4 * (double)b->rows * (double)b->n) / b->samples.median;
    f.of_roof = b->samples.roof_median > 0 ? f.bytes / b->samples.roof_median : 0;
    return f;
}

static void result(bench *b, int kind)
{
    figures f = compute(b, kind);
    char spec[LQ_SPEC_TEXT] = "";
    tool *t = b->t;
    doc *j = &b->j;

    lq_spec_print(&b->spec, spec, sizeof spec);
    if (!t->json) {
        out_printf(t, "%-10s %-14s %10.3f ms %9.3f Gw/s %8.2f GB/s", kind_name[kind], spec,
                   1e3 * b->samples.median, 1e-9 * f.weights, 1e-9 * f.bytes);
        if (kind == BENCH_MATMUL)
            out_printf(t, " %8.2f GFLOP/s", 1e-9 * f.flops);
        else
            out_printf(t, " %8.2f written", 1e-9 * f.written);
        out_printf(t, "  %.2f of roof %.1f GB/s\n", f.of_roof, 1e-9 * b->samples.roof_median);
        out_flush(t);
        return;
    }
    doc_object(j, NULL);
    doc_string(j, "what", kind_name[kind]);
    doc_string(j, "spec", spec);
    doc_string(j, "op", kind_name[kind]);
    doc_string(j, "format", spec);
    doc_uint(j, "rows", b->rows);
    doc_uint(j, "cols", b->cols);
    doc_uint(j, "threads", lq_ctx_threads(b->ctx));
    doc_string(j, "level", lq_level_name(lq_ctx_level(b->ctx)));
    if (kind == BENCH_DEQUANTIZE)
        doc_string(j, "type", lq_dtype_name(b->type));
    doc_number(j, "seconds", b->samples.median);
    doc_number(j, "gbps", 1e-9 * f.bytes);
    doc_number(j, "gbps_written", 1e-9 * f.written);
    doc_number(j, "gweights", 1e-9 * f.weights);
    doc_number(j, "roof_gbps", 1e-9 * b->samples.roof_median);
    doc_number(j, "fraction", f.of_roof);
    doc_uint(j, "source_bytes", (uint64_t)f.source);
    doc_number(j, "seconds_best", b->samples.best);
    doc_number(j, "weights_per_second", f.weights);
    doc_number(j, "bytes_per_second", f.bytes);
    if (kind == BENCH_MATMUL)
        doc_number(j, "flops", f.flops);
    doc_number(j, "roof_bytes_per_second", b->samples.roof_median);
    doc_number(j, "of_roof", f.of_roof);
    doc_close(j);
}

static lq_status measure(bench *b, int kind)
{
    lq_status (*const run[])(void *) = { run_quantize, run_dequantize, run_matmul };
    lq_rows rows = LQ_ROWS_INIT;
    lq_status status = LQ_OK;

    if (kind == BENCH_MATMUL) {
        status = lq_tensor_rows(b->tensor, 0, &rows);
        if (status == LQ_OK)
            status = lq_prepare(b->ctx, &rows, NULL, &b->prepared, NULL);
    }
    if (status == LQ_OK)
        status = bench_run(&b->samples, &b->roof, b->repeat, run[kind], b);
    lq_prepared_destroy(b->prepared);
    b->prepared = NULL;
    if (status == LQ_OK)
        result(b, kind);
    return status;
}

static int measure_spec(bench *b, const char *word, int only)
{
    lq_error error = LQ_ERROR_INIT;
    lq_shape shape = shape_of(b);

    int code = tool_spec(b->t, "--format", word, &b->spec);
    if (code)
        return code;
    lq_status status = lq_tensor_encode(b->ctx, &b->spec, &shape, LQ_F32, b->weights, NULL,
                                        &b->tensor, &error);
    for (int kind = 0; kind < BENCH_KINDS && status == LQ_OK; kind++)
        if (only < 0 || only == kind)
            status = measure(b, kind);
    lq_tensor_destroy(b->tensor);
    b->tensor = NULL;
    return status == LQ_OK ? 0 : fail_error(b->t, status, &error);
}

/* All words of the list, before the first measurement. */
static int check_list(bench *b, const char *list)
{
    lq_shape shape = shape_of(b);
    char word[LQ_SPEC_TEXT];
    uint64_t bytes;

    do {
        list = list_next(list, word, sizeof word);
        int code = tool_spec(b->t, "--format", word, &b->spec);
        if (code)
            return code;
        lq_status status = lq_spec_bytes(&b->spec, &shape, &bytes);
        if (status != LQ_OK)
            return fail_status(b->t, status, "%s does not hold rows of %" PRIu64 ": %s", word,
                               b->cols, lq_status_text(status));
    } while (*list);
    return 0;
}

static int measure_list(bench *b, const char *list, int only)
{
    char word[LQ_SPEC_TEXT];
    int code = 0;

    while (*list && !code) {
        list = list_next(list, word, sizeof word);
        code = measure_spec(b, word, only);
    }
    return code;
}

/* Numbers of a x b floats, if that is a size at all. */
static float *floats(uint64_t a, uint64_t b)
{
    if (a > SIZE_MAX / sizeof(float) / b)
        return NULL;
    float *x = malloc((size_t)(a * b) * sizeof *x);
    if (x)
        bench_fill(x, a * b, 0.02f);
    return x;
}

static int allocate(bench *b)
{
    b->weights = floats(b->rows, b->cols);
    b->decoded = floats(b->rows, b->cols);
    b->x = floats(b->n, b->cols);
    b->y = floats(b->n, b->rows);
    if (b->weights && b->decoded && b->x && b->y
        && roof_open(&b->roof, lq_ctx_threads(b->ctx)))
        return 0;
    return fail_status(b->t, LQ_ERR_NOMEM, "not enough memory for %" PRIu64 " x %" PRIu64
                       " numbers", b->rows, b->cols);
}

static void head(bench *b)
{
    doc *j = &b->j;

    doc_begin(j, &b->t->out);
    if (!b->t->json) {
        out_printf(b->t, "%" PRIu64 " x %" PRIu64 ", n %" PRIu64 ", %" PRIu32
                   " threads, level %s, median of %" PRIu64 "\n", b->rows, b->cols, b->n,
                   lq_ctx_threads(b->ctx), lq_level_name(lq_ctx_level(b->ctx)), b->repeat);
        return;
    }
    doc_object(j, NULL);
    doc_string(j, "status", "LQ_OK");
    doc_uint(j, "rows", b->rows);
    doc_uint(j, "cols", b->cols);
    doc_uint(j, "n", b->n);
    doc_uint(j, "threads", lq_ctx_threads(b->ctx));
    doc_string(j, "level", lq_level_name(lq_ctx_level(b->ctx)));
    doc_uint(j, "repeat", b->repeat);
    doc_array(j, "results");
}

static int options(bench *b, const args *a, int *only)
{
    static const lq_dtype types[] = { LQ_F32, LQ_F16, LQ_BF16 };
    const char *word = a->positional_count ? a->positional[0] : NULL;
    const char *type = args_has(a, OPT_TYPE) ? args_value(a, OPT_TYPE) : "f32";
    int code;

    b->type = types[words_find("f32|f16|bf16", type)];

    *only = word ? words_find(b->t->command->words, word) : -1;
    if (word && *only < 0)
        return fail_usage(b->t, "%s: expected one of %s", word, b->t->command->words);
    if ((code = args_count(b->t, a, OPT_ROWS, 4096, 1, 1u << 30, &b->rows))
        || (code = args_count(b->t, a, OPT_COLS, 4096, 1, 1u << 30, &b->cols))
        || (code = args_count(b->t, a, OPT_N, 1, 1, 1u << 20, &b->n))
        || (code = args_count(b->t, a, OPT_REPEAT, 7, 1, SAMPLES_MAX, &b->repeat)))
        return code;
    return tool_ctx(b->t, a, &b->ctx);
}

int cmd_bench(tool *t, const args *a)
{
    const char *list = args_has(a, OPT_FORMAT) ? args_value(a, OPT_FORMAT)
                                               : "q8_0,q4_k,nf4,int8:ch";
    bench *b = calloc(1, sizeof *b);
    int only;

    if (!b)
        return fail_status(t, LQ_ERR_NOMEM, "out of memory");
    b->t = t;
    progress_signals();
    int code = options(b, a, &only);
    if (!code)
        code = check_list(b, list);
    if (!code)
        code = allocate(b);
    if (!code) {
        head(b);
        code = measure_list(b, list, only);
    }
    if (!code && t->json) {
        doc_close(&b->j);
        doc_close(&b->j);
    }
    roof_close(&b->roof);
    free(b->weights);
    free(b->decoded);
    free(b->x);
    free(b->y);
    lq_ctx_destroy(b->ctx);
    free(b);
    return code;
}
