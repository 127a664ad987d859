/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_compare.c - lq compare
 */
#include "pairs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct comparison {
    tool          *t;
    const lq_ctx  *ctx;
    lq_checkpoint *a, *b;
    double         tolerance;
    int            verbose;
    doc            j;
    difference     all;
    uint64_t       equal, within, different, missing;
    progress       progress;
} comparison;

static const char *spec_or_dash(const lq_weight *w, char *out)
{
    if (!w->spec || lq_spec_print(w->spec, out, LQ_SPEC_TEXT) != LQ_OK)
        snprintf(out, LQ_SPEC_TEXT, "-");
    return out;
}

static void json_result(comparison *c, const lq_weight *a, const lq_weight *b,
                        const char *verdict, const difference *d)
{
    char spec[LQ_SPEC_TEXT];
    doc *j = &c->j;

    doc_object(j, NULL);
    doc_string(j, "name", a->name ? a->name : b->name);
    doc_string(j, "verdict", verdict);
    doc_string(j, "spec_a", a->name ? spec_or_dash(a, spec) : NULL);
    doc_string(j, "spec_b", b->name ? spec_or_dash(b, spec) : NULL);
    if (d) {
        doc_number(j, "relative_rmse", difference_rmse(d));
        doc_number(j, "max_abs_error", d->max_abs);
        doc_number(j, "cosine", difference_cosine(d));
        doc_uint(j, "unequal_nonfinite", d->nonfinite);
    }
    doc_close(j);
}

static void print_result(comparison *c, const lq_weight *a, const lq_weight *b,
                         const char *verdict, const difference *d)
{
    char spec_a[LQ_SPEC_TEXT], spec_b[LQ_SPEC_TEXT];
    tool *t = c->t;

    progress_clear(&c->progress);
    text_cell(&t->out, a->name ? a->name : b->name, 44);
    out_printf(t, " %-13s", verdict);
    if (a->name && b->name)
        out_printf(t, " %s %s", spec_or_dash(a, spec_a), spec_or_dash(b, spec_b));
    if (d)
        out_printf(t, "  rel. RMSE %.4g  max %.4g  cosine %.6f", difference_rmse(d),
                   d->max_abs, difference_cosine(d));
    if (d && d->nonfinite)
        out_printf(t, "  %" PRIu64 " unequal %s", d->nonfinite,
                   a->spec && b->spec ? "non-finite numbers" : "bytes");
    out_printf(t, "\n");
    out_flush(t);       /* before progress draws its line again */
}

static void result(comparison *c, const lq_weight *a, const lq_weight *b,
                   const char *verdict, const difference *d, int shown)
{
    if (c->t->json)
        json_result(c, a, b, verdict, d);
    else if (shown || c->verbose)
        print_result(c, a, b, verdict, d);
}

static int same_shape(const lq_weight *a, const lq_weight *b)
{
    return !memcmp(&a->shape, &b->shape, sizeof a->shape);
}

static void sum_up(difference *all, const difference *d)
{
    all->sum_aa += d->sum_aa;
    all->sum_bb += d->sum_bb;
    all->sum_ab += d->sum_ab;
    all->sum_err += d->sum_err;
    all->nonfinite += d->nonfinite;
    if (d->max_abs > all->max_abs)
        all->max_abs = d->max_abs;
}

static lq_status compare_pair(comparison *c, const pair *p, lq_error *error)
{
    lq_weight a = LQ_WEIGHT_INIT, b = LQ_WEIGHT_INIT;
    difference d;

    if (p->a != PAIR_NONE)
        lq_checkpoint_weight(c->a, p->a, &a);
    if (p->b != PAIR_NONE)
        lq_checkpoint_weight(c->b, p->b, &b);
    if (!a.name || !b.name) {
        c->missing++;
        result(c, &a, &b, a.name ? "missing in B" : "missing in A", NULL, 1);
        return LQ_OK;
    }
    if (!same_shape(&a, &b)) {
        c->different++;
        result(c, &a, &b, "shape", NULL, 1);
        return LQ_OK;
    }
    lq_status status = pair_compare(c->ctx, c->a, c->b, p, &d, error);
    if (status != LQ_OK)
        return status;
    sum_up(&c->all, &d);
    int equal = d.sum_err == 0 && !d.nonfinite;
    int within = !equal && !d.nonfinite && difference_rmse(&d) <= c->tolerance;
    c->equal += (uint64_t)equal;
    c->within += (uint64_t)within;
    c->different += (uint64_t)(!equal && !within);
    result(c, &a, &b, equal ? "equal" : within ? "within" : "differs", &d,
           !equal && !within);
    return LQ_OK;
}

static int finish(comparison *c)
{
    int differs = c->different || c->missing;
    doc *j = &c->j;

    if (c->t->json) {
        doc_close(j);
        doc_uint(j, "equal", c->equal);
        doc_uint(j, "within", c->within);
        doc_uint(j, "different", c->different);
        doc_uint(j, "missing", c->missing);
        doc_number(j, "relative_rmse", difference_rmse(&c->all));
        doc_number(j, "max_abs_error", c->all.max_abs);
        doc_number(j, "cosine", difference_cosine(&c->all));
        doc_close(j);
    } else {
        out_printf(c->t, "%" PRIu64 " equal, %" PRIu64 " within tolerance, %" PRIu64
                   " different, %" PRIu64 " missing; relative RMSE %.4g, max %.4g, cosine "
                   "%.6f\n", c->equal, c->within, c->different, c->missing,
                   difference_rmse(&c->all), c->all.max_abs, difference_cosine(&c->all));
    }
    return differs ? EXIT_DIFFERS : EXIT_SAME;
}

static int compare_all(comparison *c, const args *a)
{
    lq_error error = LQ_ERROR_INIT;
    lq_status status = LQ_OK;
    pairs p = { NULL, 0 };

    if (!pairs_open(c->a, c->b, &p))
        return fail_status(c->t, LQ_ERR_NOMEM, "out of memory");
    doc_begin(&c->j, &c->t->out);
    if (c->t->json) {
        doc_object(&c->j, NULL);
        doc_string(&c->j, "status", "LQ_OK");
        doc_string(&c->j, "a", a->positional[0]);
        doc_string(&c->j, "b", a->positional[1]);
        doc_number(&c->j, "tolerance", c->tolerance);
        doc_array(&c->j, "weights");
    }
    progress_signals();
    progress_begin(&c->progress, 0);
    lq_progress show = progress_callback(&c->progress);
    for (uint64_t i = 0; i < p.count && status == LQ_OK; i++) {
        status = show.report(show.user, i, p.count, "comparing") ? LQ_ERR_CANCELLED
                                                                 : LQ_OK;
        if (status == LQ_OK)
            status = compare_pair(c, &p.list[i], &error);
    }
    progress_clear(&c->progress);
    pairs_close(&p);
    return status == LQ_OK ? finish(c) : fail_error(c->t, status, &error);
}

int cmd_compare(tool *t, const args *a)
{
    const char *tolerance = args_value(a, OPT_TOLERANCE);
    lq_error error = LQ_ERROR_INIT;
    comparison c;
    lq_ctx *ctx = NULL;

    memset(&c, 0, sizeof c);
    c.t = t;
    c.verbose = args_has(a, OPT_VERBOSE);
    if (tolerance && !parse_number(tolerance, &c.tolerance))
        return fail_usage(t, "--tolerance %s: expected a number such as 1e-3", tolerance);
    int code = tool_ctx(t, a, &ctx);
    if (code)
        return code;
    c.ctx = ctx;
    lq_status status = lq_checkpoint_open(ctx, a->positional[0], NULL, &c.a, &error);
    if (status == LQ_OK)
        status = lq_checkpoint_open(ctx, a->positional[1], NULL, &c.b, &error);
    code = status == LQ_OK ? compare_all(&c, a) : fail_error(t, status, &error);
    lq_checkpoint_destroy(c.a);
    lq_checkpoint_destroy(c.b);
    lq_ctx_destroy(ctx);
    return code;
}
