/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_dequantize.c - lq dequantize
 */
#include "convert.h"

static int check_paths(conversion *c)
{
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *in = NULL;

    lq_status status = lq_checkpoint_open(c->ctx, c->a->positional[0], NULL, &in, &error);
    int code = status == LQ_OK ? conversion_output(c, in) : fail_error(c->t, status, &error);
    lq_checkpoint_destroy(in);
    return code;
}

int cmd_dequantize(tool *t, const args *a)
{
    lq_spec spec = LQ_SPEC_INIT;
    conversion c;
    int word;

    int code = args_word(t, a, OPT_FORMAT, 0, &word);
    if (!code)
        code = args_spec(t, a, OPT_FORMAT, "f32", &spec);
    if (code)
        return code;
    code = conversion_begin(&c, t, a, &spec);
    c.opts.dequantize = 1;
    if (!code)
        code = check_paths(&c);
    if (!code)
        code = conversion_run(&c);
    conversion_end(&c);
    return code;
}
