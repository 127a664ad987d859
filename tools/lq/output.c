/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/output.c - standard output: buffered, every failure noticed
 */
#include "lq.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_BYTES (64 * 1024)

void out_begin(tool *t)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (fd == 1)
            t->closed = 1;
        if (open("/dev/null", O_RDWR) < 0)
            break;
    }
    /* A reader that went away must not kill us in the middle of a conversion. */
    signal(SIGPIPE, SIG_IGN);
}

static void write_out(tool *t)
{
    size_t done = 0;

    if (t->closed && t->out.bytes)
        t->out_errno = EBADF;
    while (done < t->out.bytes && !t->out_errno) {
        ssize_t n = write(STDOUT_FILENO, t->out.data + done, t->out.bytes - done);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EINTR)
            t->out_errno = errno;
    }
    t->out.bytes = 0;
}

void out_printf(tool *t, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    text_vprintf(&t->out, format, list);
    va_end(list);
    if (t->out.bytes > FLUSH_BYTES)
        out_flush(t);
}

void out_flush(tool *t)
{
    if (!t->json)
        write_out(t);
}

void out_lines(tool *t)
{
    write_out(t);
}

int out_end(tool *t, int code)
{
    int failed = t->out.failed;

    if (failed && t->json)      /* half a document helps nobody */
        t->out.bytes = 0;
    write_out(t);
    text_free(&t->out);
    if (failed) {
        fprintf(stderr, "lq: out of memory while writing the result\n");
        return code ? code : EXIT_MEMORY;
    }
    if (!t->out_errno)
        return code;
    if (t->out_errno == EPIPE)
        return code ? code : EXIT_PIPE;
    fprintf(stderr, "lq: standard output: %s\n", strerror(t->out_errno));
    return code ? code : EXIT_IO;
}
