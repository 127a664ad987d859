/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_bench.c - lq bench: arguments, the list of formats, lines of output
 */
#include "bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const op_name[OPS] = { "roof", "gemv", "gemm", "quantize", "dequantize",
                                            "optimizer" };

const char *const bench_mode_name[] = { "fast", "fast", "bf16", "f32", "w8a8" };

/* ------------------------------------------------------------------------ output */

static double fraction(const record *r)
{
    double limit = r->of_peak ? r->peak : r->roof;
    double amount = r->of_peak ? r->flops : r->bytes;

    return limit > 0 && r->seconds > 0 ? amount / r->seconds / limit : NAN;
}

static double giga(double amount, double seconds)
{
    return amount > 0 && seconds > 0 ? 1e-9 * amount / seconds : NAN;
}

/* Of a record, what the column has or nothing. */
static void column(tool *t, double value, int width, int digits, const char *unit)
{
    if (isfinite(value))
        out_printf(t, " %*.*f %s", width, digits, value, unit);
    else
        out_printf(t, " %*s", width + 1 + (int)strlen(unit), "");
}

static void report_text(bench *b, const record *r, const char *spec)
{
    tool *t = b->t;

    out_printf(t, "%-10s %-14s", op_name[r->op], spec);
    if (r->n)
        out_printf(t, " n %-4" PRIu64, r->n);
    else
        out_printf(t, " %6s", "");
    out_printf(t, " %-4s", r->mode ? r->mode : "");
    column(t, r->seconds > 0 ? 1e3 * r->seconds : NAN, 10, 3, "ms");
    column(t, giga(r->bytes, r->seconds), 7, 2, "GB/s");
    if (r->type)
        column(t, giga(r->weights, r->seconds), 7, 3, "Gw/s");
    else
        column(t, giga(r->flops, r->seconds), 7, 1, "GF/s");
    if (r->seconds > 0)
        out_printf(t, " %5.2f of", fraction(r));
    if (r->of_peak || r->op == OP_ROOF)
        column(t, giga(r->peak, 1), 7, 1, "Gop/s");
    if (!r->of_peak)
        column(t, giga(r->roof, 1), 5, 1, "GB/s");
    if (isfinite(r->nmse))
        out_printf(t, "  nmse %.2e", r->nmse);
    out_printf(t, "\n");
    out_flush(t);
}

static void number(doc *j, const char *key, uint64_t value)
{
    if (value)
        doc_uint(j, key, value);
    else
        doc_null(j, key);
}

static void report_json(bench *b, const record *r, const char *spec)
{
    int matrix = r->op != OP_ROOF && r->op != OP_OPTIMIZER;
    doc j;

    doc_begin(&j, &b->t->out);
    j.line = 1;
    doc_object(&j, NULL);
    doc_string(&j, "status", "LQ_OK");
    doc_string(&j, "op", op_name[r->op]);
    doc_string(&j, "format", r->spec ? spec : NULL);
    number(&j, "rows", matrix ? b->rows : 0);
    number(&j, "cols", matrix ? b->cols : 0);
    number(&j, "n", r->n);
    doc_uint(&j, "threads", b->roof.threads);
    doc_string(&j, "mode", r->mode);
    doc_string(&j, "level", lq_level_name(b->roof.level));
    doc_number(&j, "seconds", r->seconds > 0 ? r->seconds : NAN);
    doc_number(&j, "gbps", giga(r->bytes, r->seconds));
    doc_number(&j, "gflops", giga(r->flops, r->seconds));
    doc_number(&j, "roof_gbps", giga(r->roof, 1));
    doc_number(&j, "peak_gops", giga(r->peak, 1));
    doc_number(&j, "fraction", fraction(r));
    doc_number(&j, "nmse", r->nmse);
    number(&j, "prepared_bytes", r->prepared_bytes);
    number(&j, "source_bytes", r->source_bytes);
    if (r->type) {
        doc_string(&j, "type", lq_dtype_name(r->type));
        doc_number(&j, "gweights", giga(r->weights, r->seconds));
        doc_number(&j, "gbps_written", giga(r->written, r->seconds));
    }
    if (r->bits)
        doc_uint(&j, "bits", r->bits);
    doc_close(&j);
    out_lines(b->t);
}

void bench_report(bench *b, const record *r)
{
    char spec[LQ_SPEC_TEXT] = "";

    if (r->spec)
        lq_spec_print(r->spec, spec, sizeof spec);
    if (r->bits)
        snprintf(spec, sizeof spec, "%u bits", (unsigned)r->bits);
    (b->t->json ? report_json : report_text)(b, r, spec);
}

static void head(bench *b)
{
    if (!b->t->json)
        out_printf(b->t, "%" PRIu64 " x %" PRIu64 ", %u threads, level %s, median of %" PRIu64
                   "\n", b->rows, b->cols, b->roof.threads, lq_level_name(b->roof.level),
                   b->repeat);
}

/* ------------------------------------------------------------------ measurements */

static lq_status nothing(void *arg)
{
    (void)arg;
    return LQ_OK;
}

/* A line for each mode's arithmetic. */
static int measure_roof(bench *b)
{
    static const int peak[] = { PEAK_INT8, PEAK_BF16, PEAK_F32 };

    for (int mode = LQ_MODE_FAST; mode <= LQ_MODE_F32; mode++) {
        lq_status status = bench_run(b, peak[mode - LQ_MODE_FAST], nothing, b);
        record r = { .op = OP_ROOF, .mode = bench_mode_name[mode], .roof = b->samples.roof,
                     .peak = b->samples.top, .nmse = NAN };
        if (status != LQ_OK)
            return fail_error(b->t, status, NULL);
        bench_report(b, &r);
    }
    return 0;
}

static int measure_spec(bench *b, const char *word, int only)
{
    lq_error error = LQ_ERROR_INIT;
    lq_status status = LQ_OK;
    lq_spec spec = LQ_SPEC_INIT;

    int code = tool_spec(b->t, "--format", word, &spec);
    if (code)
        return code;
    for (int op = OP_GEMV; op <= OP_DEQUANTIZE && status == LQ_OK; op++)
        if (only < 0 || only == op)
            status = (op <= OP_GEMM ? bench_product : bench_codec)(b, &spec, op, &error);
    return status == LQ_OK ? 0 : fail_error(b->t, status, &error);
}

static int measure_optimizers(bench *b)
{
    lq_status status = LQ_OK;

    for (int rule = LQ_ADAMW; rule <= LQ_SGD; rule++)
        for (uint32_t bits = 8; bits <= 32; bits += 24)
            if (status == LQ_OK && (b->rule < 0 || b->rule == rule) &&
                (!b->bits || b->bits == (int)bits))
                status = bench_optimizer(b, rule, bits);
    return status == LQ_OK ? 0 : fail_error(b->t, status, NULL);
}

static int measure_list(bench *b, const char *list, int only)
{
    char word[LQ_SPEC_TEXT];

    if (only == OP_OPTIMIZER)
        return measure_optimizers(b);
    int code = only < 0 || only == OP_ROOF ? measure_roof(b) : 0;

    while (only != OP_ROOF && *list && !code) {
        list = list_next(list, word, sizeof word);
        code = measure_spec(b, word, only);
    }
    return code;
}

/* --------------------------------------------------------------------- arguments */

/* All words of the list, before the first measurement. */
static int check_list(bench *b, const char *list)
{
    const lq_shape shape = { 1, b->rows, b->cols };
    lq_spec spec = LQ_SPEC_INIT;
    char word[LQ_SPEC_TEXT];
    uint64_t bytes;

    do {
        list = list_next(list, word, sizeof word);
        int code = tool_spec(b->t, "--format", word, &spec);
        if (code)
            return code;
        lq_status status = lq_spec_bytes(&spec, &shape, &bytes);
        if (status != LQ_OK)
            return fail_status(b->t, status, "%s does not hold rows of %" PRIu64 ": %s", word,
                               b->cols, lq_status_text(status));
    } while (*list);
    return 0;
}

static int vectors(bench *b, const char *list)
{
    const char *all = list;
    char word[24];

    while (list && *list) {
        uint64_t n;
        list = list_next(list, word, sizeof word);
        if (b->n_count == N_MAX || !parse_count(word, &n) || n < 1 || n > 1u << 20)
            return fail_usage(b->t, "--n %s: expected up to %d whole numbers from 1 to %u", all,
                              N_MAX, 1u << 20);
        b->n[b->n_count++] = n;
    }
    return 0;
}

/* The operation, or -1 for all. */
static int operation(bench *b, const args *a, int *only)
{
    const char *word = a->positional_count ? a->positional[0] : NULL;

    *only = -1;
    for (int op = 0; word && op < OPS; op++)
        if (!strcmp(word, op_name[op]))
            *only = op;
    if (word && *only < 0)
        return fail_usage(b->t, "%s: expected one of %s", word, b->t->command->words);
    return 0;
}

static int options(bench *b, const args *a, int *only)
{
    static const lq_dtype types[] = { LQ_F32, LQ_F16, LQ_BF16 };
    static const int bits[] = { 0, 8, 32 };
    int code, type, width;

    if ((code = operation(b, a, only))
        || (code = args_count(b->t, a, OPT_ROWS, 4096, 1, 1u << 30, &b->rows))
        || (code = args_count(b->t, a, OPT_COLS, 4096, 1, 1u << 30, &b->cols))
        || (code = vectors(b, args_value(a, OPT_N)))
        || (code = args_count(b->t, a, OPT_REPEAT, 7, 1, SAMPLES_MAX, &b->repeat))
        || (code = args_word(b->t, a, OPT_MODE, 0, &b->mode))
        || (code = args_word(b->t, a, OPT_TYPE, 0, &type))
        || (code = args_word(b->t, a, OPT_RULE, 0, &b->rule))
        || (code = args_word(b->t, a, OPT_BITS, 0, &width))
        || (code = args_size(b->t, a, OPT_ROTATE, 256u << 20, &b->rotate))
        || (code = tool_ctx(b->t, a, &b->ctx)))
        return code;
    b->mode += LQ_MODE_FAST;
    b->type = types[type];
    b->rule--;                       /* all come first */
    b->bits = bits[width];
    b->unprepared = args_has(a, OPT_UNPREPARED);
    b->weighted = args_has(a, OPT_WEIGHTED);
    b->roof.threads = lq_ctx_threads(b->ctx);
    b->roof.level = lq_ctx_level(b->ctx);
    return 0;
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
        b->importance = bench_importance(b->cols, b->weighted);
    if (!code && (!b->importance || !roof_reserve(&b->roof, ROOF_BYTES)))
        code = fail_status(t, LQ_ERR_NOMEM, "out of memory");
    if (!code) {
        head(b);
        code = measure_list(b, list, only);
    }
    roof_close(&b->roof);
    lq_ctx_destroy(b->ctx);
    free(b->importance);
    free(b);
    return code;
}
