/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/common.c - what several commands need: context, specs, shapes, paths
 */
#include "lq.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS_MAX 1024

int tool_ctx(tool *t, const args *a, lq_ctx **ctx)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    const char *level = args_value(a, OPT_LEVEL);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t threads;

    int code = args_count(t, a, OPT_THREADS, cpus > 0 ? (uint64_t)cpus : 1, 1, THREADS_MAX,
                          &threads);
    if (code)
        return code;
    opts.threads = (uint32_t)(threads > THREADS_MAX ? THREADS_MAX : threads);
    if (level && lq_level_find(level, &opts.level) != LQ_OK)
        return fail_usage(t, "--level %s: expected one of %s", level,
                          command_option(t->command, OPT_LEVEL)->words);
    lq_status status = lq_ctx_create(&opts, ctx, &error);
    return status == LQ_OK ? 0 : fail_error(t, status, &error);
}

/* The registry's nearest name for the part before the first colon. */
static const char *near_format(const char *spec_text, char *out)
{
    char word[LQ_SPEC_TEXT];
    suggestion s = { word, NULL, 0 };

    snprintf(word, sizeof word, "%.*s", (int)strcspn(spec_text, ":"), spec_text);
    for (size_t i = 0; i < lq_format_count(); i++) {
        lq_format_info info = LQ_FORMAT_INFO_INIT;
        if (lq_format_at(i, &info) == LQ_OK)
            suggest(&s, info.name);
    }
    return suggest_text(&s, "", out);
}

int tool_spec(tool *t, const char *what, const char *spec_text, lq_spec *spec)
{
    lq_error error = LQ_ERROR_INIT;
    lq_spec parsed = LQ_SPEC_INIT;
    char near[SUGGEST_TEXT] = "";

    lq_status status = lq_spec_parse(spec_text, &parsed, &error);
    if (status == LQ_OK && parsed.format == LQ_FORMAT_CODEBOOK)
        return fail_status(t, LQ_ERR_UNSUPPORTED,
                           "%s %s: a codebook needs its table, which only programs can give",
                           what, spec_text);
    if (status == LQ_OK) {
        *spec = parsed;
        return 0;
    }
    if (status == LQ_ERR_NOTFOUND && !strstr(error.message, "did you mean"))
        near_format(spec_text, near);
    return fail_usage(t, "%s %s: %s%s", what, spec_text,
                      error.message[0] ? error.message : lq_status_text(status), near);
}

int args_spec(tool *t, const args *a, int id, const char *otherwise, lq_spec *spec)
{
    const char *value = args_value(a, id);
    char what[40];

    snprintf(what, sizeof what, "--%s", command_option(t->command, id)->name);
    return tool_spec(t, what, value ? value : otherwise, spec);
}

int spec_is_float(const lq_spec *spec)
{
    return spec->format == LQ_FORMAT_F32 || spec->format == LQ_FORMAT_F16
           || spec->format == LQ_FORMAT_BF16;
}

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n > m && !strcmp(s + n - m, end);
}

lq_container container_of(const char *path)
{
    if (ends_with(path, ".gguf"))
        return LQ_CONTAINER_GGUF;
    if (ends_with(path, ".safetensors"))
        return LQ_CONTAINER_SAFETENSORS;
    return LQ_CONTAINER_DIRECTORY;
}

double bits_per_weight(uint64_t bytes, const lq_shape *shape)
{
    double weights = (double)shape->outer * (double)shape->rows * (double)shape->cols;

    return weights > 0 ? 8.0 * (double)bytes / weights : 0;
}

const char *shape_text(uint32_t n_dims, const uint64_t *dims, char *out)
{
    size_t used = 0;

    snprintf(out, SHAPE_TEXT, "scalar");
    for (uint32_t i = 0; i < n_dims && i < LQ_MAX_DIMS; i++)
        used += (size_t)snprintf(out + used, SHAPE_TEXT - used, "%s%" PRIu64, i ? "x" : "",
                                 dims[i]);
    return out;
}

void doc_dims(doc *j, const char *key, uint32_t n_dims, const uint64_t *dims)
{
    doc_array(j, key);
    for (uint32_t i = 0; i < n_dims && i < LQ_MAX_DIMS; i++)
        doc_uint(j, NULL, dims[i]);
    doc_close(j);
}

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* 1 if 'path', or a folder it lies in, is 'out'. */
static int lies_in(const char *path, const struct stat *out)
{
    struct stat at;
    char *real = realpath(path, NULL);
    int found = 0;

    while (real && *real && !found) {
        found = stat(real, &at) == 0 && same_file(&at, out);
        char *slash = strrchr(real, '/');
        if (slash)
            *slash = 0;
    }
    free(real);
    return found;
}

int check_output(tool *t, const lq_checkpoint *in, const char *in_path, const char *out)
{
    const lq_file *file = lq_checkpoint_file(in);
    const char *last = NULL;
    struct stat at;

    if (stat(out, &at))
        return 0;
    if (lies_in(in_path, &at))
        return fail_usage(t, "the output %s is the input, or holds it", out);
    for (uint64_t i = 0; i < lq_file_tensor_count(file); i++) {
        lq_file_tensor tensor = LQ_FILE_TENSOR_INIT;
        if (lq_file_tensor_at(file, i, &tensor) || !tensor.file || !*tensor.file
            || (last && !strcmp(last, tensor.file)))
            continue;
        last = tensor.file;
        if (lies_in(last, &at))
            return fail_usage(t, "the output %s is the input's file %s, or holds it", out,
                              last);
    }
    return 0;
}
