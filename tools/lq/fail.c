/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/fail.c - failures: the message, the JSON object, the exit code
 */
#include "lq.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int exit_code(lq_status status, const lq_error *error)
{
    switch (status) {
    case LQ_OK:
        return EXIT_SAME;
    case LQ_ERR_ARG:
    case LQ_ERR_EXISTS:
    case LQ_ERR_OVERLAP:
        return EXIT_USAGE;
    case LQ_ERR_UNSUPPORTED:
        return EXIT_UNSUPPORTED;
    case LQ_ERR_IO:
    case LQ_ERR_NOSPACE:
        return EXIT_IO;
    case LQ_ERR_NOTFOUND:       /* a path; else a tensor or key that should be there */
        return error && error->system ? EXIT_IO : EXIT_DATA;
    case LQ_ERR_NOMEM:
        return EXIT_MEMORY;
    case LQ_ERR_CANCELLED:
        return EXIT_CANCELLED;
    default:
        return EXIT_DATA;
    }
}

static const char *command_name(const tool *t)
{
    return t->command ? t->command->name : "";
}

static int report(tool *t, lq_status status, int code, const lq_error *error,
                  const char *message)
{
    if (!t->json) {
        textbuf line = { 0 };
        out_flush(t);
        text_escaped(&line, message, strlen(message));
        fprintf(stderr, "lq%s%s: %s\n", *command_name(t) ? " " : "", command_name(t),
                line.data ? line.data : lq_status_text(status));
        text_free(&line);
        return code;
    }
    doc  j;
    text_free(&t->out);
    doc_begin(&j, &t->out);
    doc_object(&j, NULL);
    doc_string(&j, "status", lq_status_name(status));
    doc_int(&j, "exit", code);
    doc_string(&j, "command", t->command ? t->command->name : NULL);
    doc_string(&j, "message", message);
    if (error && error->file[0])
        doc_string(&j, "file", error->file);
    if (error && error->name[0])
        doc_string(&j, "name", error->name);
    if (error && error->offset != LQ_NO_OFFSET)
        doc_uint(&j, "offset", error->offset);
    if (error && error->system)
        doc_int(&j, "errno", error->system);
    doc_close(&j);
    return code;
}

static int report_list(tool *t, lq_status status, const char *format, va_list list)
{
    char message[1024];

    vsnprintf(message, sizeof message, format, list);
    return report(t, status, exit_code(status, NULL), NULL, message);
}

int fail_usage(tool *t, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int code = report_list(t, LQ_ERR_ARG, format, list);
    va_end(list);
    if (!t->json && t->command)
        fprintf(stderr, "Try 'lq %s --help'.\n", t->command->name);
    else if (!t->json)
        fprintf(stderr, "Try 'lq --help'.\n");
    return code;
}

int fail_status(tool *t, lq_status status, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int code = report_list(t, status, format, list);
    va_end(list);
    return code;
}

int fail_error(tool *t, lq_status status, const lq_error *error)
{
    const char *message = error && error->message[0] ? error->message
                                                     : lq_status_text(status);

    return report(t, status, exit_code(status, error), error, message);
}

void warn(tool *t, const char *format, ...)
{
    char message[1024];
    textbuf line = { 0 };
    va_list list;

    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    out_flush(t);
    text_escaped(&line, message, strlen(message));
    if (line.data)
        fprintf(stderr, "lq %s: warning: %s\n", command_name(t), line.data);
    text_free(&line);
}
