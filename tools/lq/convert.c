/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/convert.c - one conversion, from options to the finished file
 */
#include "convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int split_options(conversion *c)
{
    int code = args_size(c->t, c->a, OPT_SPLIT_SIZE, 0, &c->opts.shard_bytes);

    if (!code)
        code = args_count(c->t, c->a, OPT_SPLIT_TENSORS, 0, 1, UINT32_MAX,
                          &c->opts.shard_tensors);
    if (!code && c->opts.container == LQ_CONTAINER_SAFETENSORS
        && (c->opts.shard_bytes || c->opts.shard_tensors))
        return fail_usage(c->t, "a .safetensors file is one file: several go to a directory");
    return code;
}

int conversion_begin(conversion *c, tool *t, const args *a, const lq_spec *spec)
{
    memset(c, 0, sizeof *c);
    c->t = t;
    c->a = a;
    c->quiet = args_has(a, OPT_QUIET);
    c->verbose = args_has(a, OPT_VERBOSE);
    if (c->quiet && c->verbose)
        return fail_usage(t, "--quiet and --verbose contradict each other");
    lq_convert_opts_init(&c->opts);
    c->spec = *spec;
    c->opts.spec = &c->spec;
    c->opts.container = container_of(a->positional[1]);
    c->opts.replace = args_has(a, OPT_FORCE);
    c->opts.dry_run = args_has(a, OPT_DRY_RUN);
    c->opts.report = report_weight;
    c->opts.user = c;
    int code = split_options(c);
    return code ? code : tool_ctx(t, a, &c->ctx);
}

/* Folder of a path, as something stat() takes. */
static int folder_exists(const char *path)
{
    struct stat at;
    char *folder = strdup(path);

    if (!folder)
        return 1;
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        folder[--n] = 0;
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    int exists = stat(slash ? folder : ".", &at) == 0 && S_ISDIR(at.st_mode);
    free(folder);
    return exists;
}

int conversion_output(conversion *c, const lq_checkpoint *in)
{
    const char *out = c->a->positional[1];
    struct stat at;

    int code = check_output(c->t, in, c->a->positional[0], out);
    if (code || c->opts.dry_run)
        return code;
    if (!*out)
        return fail_usage(c->t, "the output has no name");
    if (!lstat(out, &at) && !c->opts.replace)
        return fail_status(c->t, LQ_ERR_EXISTS, "%s exists; --force replaces it", out);
    if (!folder_exists(out))
        return fail_status(c->t, LQ_ERR_IO, "the folder that %s should go to does not exist",
                           out);
    return 0;
}

int conversion_run(conversion *c)
{
    lq_error error = LQ_ERROR_INIT;

    progress_signals();
    progress_begin(&c->progress, c->quiet);
    c->opts.progress = progress_callback(&c->progress);
    report_head(c);
    lq_status status = lq_convert(c->ctx, c->a->positional[0], c->a->positional[1], &c->opts,
                                  &error);
    progress_clear(&c->progress);
    if (status != LQ_OK)
        return fail_error(c->t, status, &error);
    report_end(c);
    return 0;
}

void conversion_end(conversion *c)
{
    for (size_t i = 0; i < c->fate_count; i++) {
        free(c->fates[i].name);
        free(c->fates[i].reason);
    }
    free(c->fates);
    rules_close(&c->rules);
    lq_imatrix_destroy(c->imatrix);
    lq_ctx_destroy(c->ctx);
}
