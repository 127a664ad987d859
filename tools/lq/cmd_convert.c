/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_convert.c - lq convert
 */
#include "convert.h"

#include <string.h>

static const char *find_dialect(const char *text)
{
    const char *name;

    for (size_t i = 0; (name = lq_dialect_name(i)) != NULL; i++)
        if (!strcmp(text, name))
            return name;
    return NULL;
}

/* To a dialect: every weight keeps its numbers. */
static lq_status keep(void *user, const lq_weight *w, lq_choice *choice)
{
    const conversion *c = user;

    if (c->opts.container == LQ_CONTAINER_GGUF && w->spec && spec_is_float(w->spec))
        return LQ_OK;
    choice->action = LQ_KEEP;
    choice->reason = "the same numbers";
    return LQ_OK;
}

/* To a spec: what is quantized already changes. */
static lq_status change(void *user, const lq_weight *w, lq_choice *choice)
{
    const conversion *c = user;

    if (!w->spec || spec_is_float(w->spec)) {
        if (choice->action == LQ_ENCODE && !spec_is_float(&choice->spec)) {
            choice->action = LQ_KEEP;
            choice->reason = "not quantized";
        }
        return LQ_OK;
    }
    choice->action = LQ_ENCODE;
    choice->spec = *c->opts.spec;
    choice->reason = "";
    return LQ_OK;
}

static int check_paths(conversion *c)
{
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *in = NULL;

    lq_status status = lq_checkpoint_open(c->ctx, c->a->positional[0], NULL, &in, &error);
    int code = status == LQ_OK ? conversion_output(c, in) : fail_error(c->t, status, &error);
    lq_checkpoint_destroy(in);
    return code;
}

int cmd_convert(tool *t, const args *a)
{
    lq_spec spec = LQ_SPEC_INIT;
    const char *to = args_value(a, OPT_TO);
    conversion c;

    if (!to)
        return fail_usage(t, "the target is missing: --to DIALECT or --to SPEC");
    const char *dialect = find_dialect(to);
    int code = tool_spec(t, "--to", dialect ? "f32" : to, &spec);
    if (code)
        return code;
    code = conversion_begin(&c, t, a, &spec);
    c.opts.dialect = dialect;
    c.opts.choose = dialect ? keep : change;
    c.opts.allow_requantize = 1;
    c.losses = 1;
    if (!code && dialect && c.opts.container == LQ_CONTAINER_GGUF)
        code = fail_status(t, LQ_ERR_UNSUPPORTED, "a .gguf file has no dialects: --to SPEC");
    if (!code)
        code = check_paths(&c);
    if (!code)
        code = conversion_run(&c);
    conversion_end(&c);
    return code;
}
