/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_verify.c - lq verify
 */
#include "lq.h"

#include <inttypes.h>
#include <string.h>

typedef struct verification {
    tool    *t;
    int      verbose;
    doc      j;
    uint64_t good;
} verification;

static void found(void *user, const lq_finding *f)
{
    verification *v = user;
    tool *t = v->t;

    v->good += f->status == LQ_OK;
    if (t->json) {
        doc_object(&v->j, NULL);
        doc_string(&v->j, "name", f->name);
        doc_string(&v->j, "status", lq_status_name(f->status));
        doc_string(&v->j, "message", f->message);
        doc_close(&v->j);
        return;
    }
    if (f->status == LQ_OK && !v->verbose)
        return;
    out_printf(t, "%-5s ", f->status == LQ_OK ? "ok" : "BAD");
    text_cell(&t->out, f->name ? f->name : "", 44);
    out_printf(t, " ");
    if (f->message)
        text_escaped(&t->out, f->message, strlen(f->message));
    out_printf(t, "\n");
}

static int finish(verification *v, const args *a, uint64_t bad)
{
    tool *t = v->t;

    if (t->json) {
        doc_close(&v->j);
        doc_uint(&v->j, "good", v->good);
        doc_uint(&v->j, "bad", bad);
        doc_close(&v->j);
    } else {
        text_escaped(&t->out, a->positional[0], strlen(a->positional[0]));
        out_printf(t, ": %" PRIu64 " good, %" PRIu64 " bad\n", v->good, bad);
    }
    return bad ? EXIT_DIFFERS : EXIT_SAME;
}

int cmd_verify(tool *t, const args *a)
{
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    verification v;
    lq_ctx *ctx = NULL;
    uint64_t bad = 0;

    memset(&v, 0, sizeof v);
    v.t = t;
    v.verbose = args_has(a, OPT_VERBOSE);
    opts.strict = args_has(a, OPT_STRICT);
    int code = tool_ctx(t, a, &ctx);
    if (code)
        return code;
    doc_begin(&v.j, &t->out);
    if (t->json) {
        doc_object(&v.j, NULL);
        doc_string(&v.j, "status", "LQ_OK");
        doc_string(&v.j, "file", a->positional[0]);
        doc_array(&v.j, "findings");
    }
    lq_status status = lq_verify(ctx, a->positional[0], &opts, found, &v, &bad, &error);
    code = status == LQ_OK ? finish(&v, a, bad) : fail_error(t, status, &error);
    lq_ctx_destroy(ctx);
    return code;
}
