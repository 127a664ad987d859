/* SPDX-License-Identifier: MIT */
/*
 * examples/common/fail.c - errors end the program; memory and whole files
 */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fail(const char *text, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, text);
    vfprintf(stderr, text, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void check(lq_status status, const lq_error *error, const char *what)
{
    if (status == LQ_OK)
        return;
    if (error && error->message[0])
        fail("%s: %s", what, error->message);
    fail("%s: %s", what, lq_status_text(status));
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory)
        fail("no memory for %zu x %zu bytes", count, size);
    return memory;
}

char *read_file(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    long length = -1;

    if (!f)
        return NULL;
    if (fseek(f, 0, SEEK_END) == 0)
        length = ftell(f);
    if (length >= 0 && length < (1L << 30) && fseek(f, 0, SEEK_SET) == 0) {
        text = allocate((size_t)length + 1, 1);
        *bytes = fread(text, 1, (size_t)length, f);
        if (*bytes != (size_t)length) {
            free(text);
            text = NULL;
        }
    }
    fclose(f);
    return text;
}
