/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/report.c - what a conversion did, weight by weight or summed up
 */
#include "convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double relative_rmse(double sum_sq, double sum_err_sq)
{
    return sum_sq > 0 ? sqrt(sum_err_sq / sum_sq) : sum_err_sq > 0 ? INFINITY : 0;
}

static int is_float(const char *spec)
{
    return !*spec || !strcmp(spec, "f32") || !strcmp(spec, "f16") || !strcmp(spec, "bf16");
}

/* 'lq convert': 1 nothing was lost, 0 something was, -1 not a quantized weight, or not yet
 * known. */
static int lossless(const conversion *c, const lq_convert_report *r, int kept)
{
    if (!c->losses || is_float(r->from))
        return -1;
    if (kept)
        return 1;
    return c->opts.dry_run ? -1 : r->sum_err_sq == 0;
}

void report_head(conversion *c)
{
    char spec[LQ_SPEC_TEXT] = "";

    doc_begin(&c->j, &c->t->out);
    if (!c->t->json)
        return;
    lq_spec_print(c->opts.spec, spec, sizeof spec);
    doc_object(&c->j, NULL);
    doc_string(&c->j, "status", "LQ_OK");
    doc_string(&c->j, "in", c->a->positional[0]);
    doc_string(&c->j, "out", c->a->positional[1]);
    doc_string(&c->j, "container", lq_container_name(c->opts.container));
    doc_string(&c->j, "spec", spec);
    doc_bool(&c->j, "dry_run", c->opts.dry_run);
    doc_array(&c->j, "weights");
}

static void json_weight(conversion *c, const lq_convert_report *r, int kept)
{
    doc *j = &c->j;

    doc_object(j, NULL);
    doc_string(j, "name", r->name);
    doc_string(j, "action", kept ? "keep" : "encode");
    doc_string(j, "from", r->from);
    doc_string(j, "to", r->to);
    doc_string(j, "reason", r->reason);
    doc_uint(j, "outer", r->shape.outer);
    doc_uint(j, "rows", r->shape.rows);
    doc_uint(j, "cols", r->shape.cols);
    doc_uint(j, "bytes_in", r->bytes_in);
    doc_uint(j, "bytes_out", r->bytes_out);
    if (kept || c->opts.dry_run)
        doc_null(j, "relative_rmse");
    else
        doc_number(j, "relative_rmse", relative_rmse(r->sum_sq, r->sum_err_sq));
    if (lossless(c, r, kept) >= 0)
        doc_bool(j, "lossless", lossless(c, r, kept));
    doc_string(j, "xxh3", r->xxh3[0] ? r->xxh3 : NULL);
    doc_close(j);
}

static void print_weight(conversion *c, const lq_convert_report *r, int kept)
{
    tool *t = c->t;
    int loss = lossless(c, r, kept);

    progress_clear(&c->progress);
    out_printf(t, "%-8s ", loss == 1 ? "lossless" : loss == 0 ? "recoded"
                           : kept ? "kept" : "encoded");
    text_cell(&t->out, r->name, 44);
    out_printf(t, " %s", r->from);
    if (!kept)
        out_printf(t, " -> %s", r->to);
    if (!kept && !c->opts.dry_run)
        out_printf(t, "  rel. RMSE %.3g", relative_rmse(r->sum_sq, r->sum_err_sq));
    out_printf(t, "%s%s\n", *r->reason ? "  " : "", r->reason);
    out_flush(t);       /* before progress draws its line again */
}

/* Count a weight among those that met the same fate. */
static void add_fate(conversion *c, const lq_convert_report *r)
{
    for (size_t i = 0; i < c->fate_count; i++) {
        fate *f = &c->fates[i];
        if (!strcmp(f->from, r->from) && !strcmp(f->to, r->to) && f->reason
            && !strcmp(f->reason, r->reason)) {
            f->count++;
            return;
        }
    }
    fate *more = realloc(c->fates, (c->fate_count + 1) * sizeof *more);
    if (!more) {
        c->t->out.failed = 1;
        return;
    }
    c->fates = more;
    fate *f = &more[c->fate_count++];
    f->count = 1;
    f->name = strdup(r->name);
    f->reason = strdup(r->reason);
    snprintf(f->from, sizeof f->from, "%s", r->from);
    snprintf(f->to, sizeof f->to, "%s", r->to);
}

/* Told one by one: what became another format than was asked for, and what may have lost
 * something. */
static int told_alone(const conversion *c, const lq_convert_report *r, int kept)
{
    return c->verbose || lossless(c, r, kept) >= 0 ||
           (!kept && *r->reason && r->shape.rows > 1);
}

void report_weight(void *user, const lq_convert_report *r)
{
    conversion *c = user;
    int kept = !strcmp(r->from, r->to);

    c->encoded += !kept;
    c->kept += kept;
    c->bytes_in += r->bytes_in;
    c->bytes_out += r->bytes_out;
    c->weights_in += r->shape.outer * r->shape.rows * r->shape.cols;
    if (!kept) {
        c->sum_sq += r->sum_sq;
        c->sum_err_sq += r->sum_err_sq;
    }
    if (c->t->json)
        json_weight(c, r, kept);
    else if (!c->quiet && told_alone(c, r, kept))
        print_weight(c, r, kept);
    else if (!c->quiet && (kept || *r->reason))
        add_fate(c, r);
}

static void print_fates(conversion *c)
{
    tool *t = c->t;

    for (size_t i = 0; i < c->fate_count; i++) {
        const fate *f = &c->fates[i];
        int kept = !strcmp(f->from, f->to);
        out_printf(t, "%-8s %" PRIu64 " x %s%s%s", kept ? "kept" : "changed", f->count,
                   f->from, kept ? "" : " -> ", kept ? "" : f->to);
        out_printf(t, "  %s: ", f->reason && *f->reason ? f->reason : "no change");
        if (f->name)
            text_escaped(&t->out, f->name, strlen(f->name));
        out_printf(t, "%s\n", f->count > 1 ? "..." : "");
    }
}

static void json_end(conversion *c)
{
    doc *j = &c->j;

    doc_close(j);
    doc_uint(j, "encoded", c->encoded);
    doc_uint(j, "kept", c->kept);
    doc_uint(j, "bytes_in", c->bytes_in);
    doc_uint(j, "bytes_out", c->bytes_out);
    doc_number(j, "bits_per_weight",
                c->weights_in ? 8.0 * (double)c->bytes_out / (double)c->weights_in : NAN);
    doc_number(j, "relative_rmse",
                c->opts.dry_run ? NAN : relative_rmse(c->sum_sq, c->sum_err_sq));
    doc_close(j);
}

void report_end(conversion *c)
{
    char in[HUMAN_TEXT], out[HUMAN_TEXT];

    if (c->t->json) {
        json_end(c);
        return;
    }
    if (c->quiet)
        return;
    print_fates(c);
    text_escaped(&c->t->out, c->a->positional[1], strlen(c->a->positional[1]));
    out_printf(c->t, ": %" PRIu64 " encoded, %" PRIu64 " kept, %s -> %s, %.3f bits/weight",
               c->encoded, c->kept, human_bytes(c->bytes_in, in),
               human_bytes(c->bytes_out, out),
               c->weights_in ? 8.0 * (double)c->bytes_out / (double)c->weights_in : 0.0);
    if (c->opts.dry_run)
        out_printf(c->t, " (dry run, nothing written)\n");
    else
        out_printf(c->t, ", relative RMSE %.4g\n",
                   relative_rmse(c->sum_sq, c->sum_err_sq));
}
