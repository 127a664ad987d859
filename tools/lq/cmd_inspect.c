/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_inspect.c - lq inspect
 */
#include "meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the listing sums up. */
typedef struct totals {
    uint64_t bytes, weights;
} totals;

static void count_weight(totals *sum, const lq_weight *w)
{
    sum->bytes += w->bytes;
    if (w->spec)
        sum->weights += w->shape.outer * w->shape.rows * w->shape.cols;
}

static void print_weight(tool *t, const lq_weight *w)
{
    char spec[LQ_SPEC_TEXT] = "-", shape[SHAPE_TEXT];

    if (w->spec)
        lq_spec_print(w->spec, spec, sizeof spec);
    else if (lq_dtype_name(w->dtype))
        snprintf(spec, sizeof spec, "%s", lq_dtype_name(w->dtype));
    text_cell(&t->out, w->name, 48);
    out_printf(t, " %-16s %-16s %14" PRIu64, spec, shape_text(w->n_dims, w->dims, shape),
               w->bytes);
    if (w->spec)
        out_printf(t, " %7.3f\n", bits_per_weight(w->bytes, &w->shape));
    else
        out_printf(t, " %7s\n", "-");
    if (*w->note)
        out_printf(t, "  note: %s\n", w->note);
}

static void json_weight(doc *j, const lq_weight *w)
{
    char spec[LQ_SPEC_TEXT] = "";

    doc_object(j, NULL);
    doc_string(j, "name", w->name);
    if (w->spec && lq_spec_print(w->spec, spec, sizeof spec) == LQ_OK)
        doc_string(j, "spec", spec);
    else
        doc_null(j, "spec");
    doc_string(j, "dialect", w->dialect);
    doc_string(j, "dtype", lq_dtype_name(w->dtype));
    doc_dims(j, "shape", w->n_dims, w->dims);
    doc_uint(j, "bytes", w->bytes);
    if (w->spec)
        doc_number(j, "bits_per_weight", bits_per_weight(w->bytes, &w->shape));
    else
        doc_null(j, "bits_per_weight");
    if (*w->note)
        doc_string(j, "note", w->note);
    doc_close(j);
}

static const char *tensor_type(const lq_file_tensor *x)
{
    lq_format_info info = LQ_FORMAT_INFO_INIT;

    if (lq_dtype_name(x->dtype))
        return lq_dtype_name(x->dtype);
    return lq_format_get(x->format, &info) == LQ_OK ? info.name : "?";
}

static void print_tensor(tool *t, const lq_file_tensor *x)
{
    char shape[SHAPE_TEXT];

    text_cell(&t->out, x->name, 48);
    out_printf(t, " %-9s %-16s %14" PRIu64 " %14" PRIu64 "\n", tensor_type(x),
               shape_text(x->n_dims, x->dims, shape), x->bytes, x->offset);
}

static void json_tensor(doc *j, const lq_file_tensor *x)
{
    doc_object(j, NULL);
    doc_string(j, "name", x->name);
    doc_string(j, "type", tensor_type(x));
    doc_dims(j, "shape", x->n_dims, x->dims);
    doc_uint(j, "bytes", x->bytes);
    doc_uint(j, "offset", x->offset);
    doc_string(j, "file", x->file);
    doc_close(j);
}

static void show_metadata(tool *t, doc *j, const lq_file *file, int full)
{
    uint64_t n = lq_file_meta_count(file);

    if (t->json)
        doc_object(j, "metadata");
    else if (n)
        out_printf(t, "\nmetadata\n");
    for (uint64_t i = 0; i < n; i++) {
        lq_meta m = LQ_META_INIT;
        if (lq_file_meta_at(file, i, &m) != LQ_OK)
            continue;
        if (t->json) {
            meta_json(j, file, &m);
            continue;
        }
        out_printf(t, "  ");
        text_cell(&t->out, m.key, 36);
        out_printf(t, " ");
        meta_print(&t->out, file, &m, full);
        out_printf(t, "\n");
    }
    if (t->json)
        doc_close(j);
}

static void show_weights(tool *t, doc *j, const lq_checkpoint *c)
{
    if (t->json)
        doc_array(j, "weights");
    else
        out_printf(t, "\n%-48s %-16s %-16s %14s %7s\n", "weight", "spec", "shape", "bytes",
                   "bits/w");
    for (uint64_t i = 0; i < lq_checkpoint_count(c); i++) {
        lq_weight w = LQ_WEIGHT_INIT;
        if (lq_checkpoint_weight(c, i, &w) != LQ_OK)
            continue;
        if (t->json)
            json_weight(j, &w);
        else
            print_weight(t, &w);
    }
    if (t->json)
        doc_close(j);
}

static void show_tensors(tool *t, doc *j, const lq_file *file)
{
    if (t->json)
        doc_array(j, "tensors");
    else
        out_printf(t, "\n%-48s %-9s %-16s %14s %14s\n", "tensor", "type", "shape", "bytes",
                   "offset");
    for (uint64_t i = 0; i < lq_file_tensor_count(file); i++) {
        lq_file_tensor x = LQ_FILE_TENSOR_INIT;
        if (lq_file_tensor_at(file, i, &x) != LQ_OK)
            continue;
        if (t->json)
            json_tensor(j, &x);
        else
            print_tensor(t, &x);
    }
    if (t->json)
        doc_close(j);
}

static void show_head(tool *t, doc *j, const lq_file *file, const char *path,
                      const totals *sum, uint64_t count)
{
    const char *container = lq_container_name(lq_file_container(file));
    double bits = sum->weights ? 8.0 * (double)sum->bytes / (double)sum->weights : 0;
    char human[HUMAN_TEXT];

    if (t->json) {
        doc_object(j, NULL);
        doc_string(j, "status", "LQ_OK");
        doc_string(j, "file", path);
        doc_string(j, "container", container);
        doc_uint(j, "tensor_count", lq_file_tensor_count(file));
        doc_uint(j, "weight_count", count);
        doc_uint(j, "parameters", sum->weights);
        doc_uint(j, "bytes", sum->bytes);
        doc_number(j, "bits_per_weight", bits);
        return;
    }
    text_escaped(&t->out, path, strlen(path));
    out_printf(t, ": %s, %" PRIu64 " weights in %" PRIu64 " tensors, %" PRIu64
               " parameters, %s, %.3f bits/weight\n", container ? container : "?", count,
               lq_file_tensor_count(file), sum->weights, human_bytes(sum->bytes, human),
               bits);
}

static int show(tool *t, const args *a, const lq_checkpoint *c)
{
    const lq_file *file = lq_checkpoint_file(c);
    totals sum = { 0, 0 };
    doc  j;

    doc_begin(&j, &t->out);
    for (uint64_t i = 0; i < lq_checkpoint_count(c); i++) {
        lq_weight w = LQ_WEIGHT_INIT;
        if (lq_checkpoint_weight(c, i, &w) == LQ_OK)
            count_weight(&sum, &w);
    }
    show_head(t, &j, file, a->positional[0], &sum, lq_checkpoint_count(c));
    show_metadata(t, &j, file, args_has(a, OPT_VERBOSE));
    if (args_has(a, OPT_TENSORS))
        show_tensors(t, &j, file);
    if (t->json || !args_has(a, OPT_TENSORS))
        show_weights(t, &j, c);
    if (t->json)
        doc_close(&j);
    return 0;
}

int cmd_inspect(tool *t, const args *a)
{
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *checkpoint = NULL;
    lq_ctx *ctx = NULL;

    opts.strict = args_has(a, OPT_STRICT);
    lq_status status = lq_ctx_create(NULL, &ctx, &error);
    if (status == LQ_OK)
        status = lq_checkpoint_open(ctx, a->positional[0], &opts, &checkpoint, &error);
    int code = status == LQ_OK ? show(t, a, checkpoint) : fail_error(t, status, &error);
    lq_checkpoint_destroy(checkpoint);
    lq_ctx_destroy(ctx);
    return code;
}
