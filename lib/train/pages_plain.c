/* SPDX-License-Identifier: MIT */
/*
 * lib/train/pages_plain.c - paged arrays where the system moves no pages: plain memory
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1   /* pread, pwrite */
#endif

#include "lib/train/pages.h"

#if !LQI_PAGES_LINUX
#include <errno.h>
#include <unistd.h>

#define IO_MAX ((uint64_t)1 << 30)   /* bytes of one system call */

/* The file's bytes to memory, or back. */
static lq_status move(const lqi_pages *p, int write, lq_error *error)
{
    const lqi_where where = { p->path, NULL, LQ_NO_OFFSET };

    for (uint64_t at = 0; at < p->bytes;) {
        size_t part = (size_t)lqi_min(IO_MAX, p->bytes - at);
        ssize_t n = write ? pwrite(p->file, p->data + at, part, (off_t)at)
                          : pread(p->file, p->data + at, part, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return lqi_fail_errno(error, errno == EFBIG ? ENOSPC : errno, p->path,
                                  write ? "write" : "read");
        if (n == 0)
            return lqi_fail(error, LQ_ERR_TRUNCATED, &where, "became shorter");
        at += (uint64_t)n;
    }
    return LQ_OK;
}

lq_status lqi_pages_open(lqi_pages *p, const lq_allocator *allocator, const char *directory,
                         const char *path, uint64_t bytes, lq_error *error)
{
    lq_status status = LQ_OK;

    *p = (lqi_pages){ .allocator = allocator, .bytes = bytes, .file = -1,
                      .path = lqi_strdup(allocator, path ? path : directory),
                      .data = lqi_alloc_zero(allocator, bytes) };
    if (!p->path || !p->data)
        status = lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    else if (path)
        status = lqi_pages_file_open(p, path, error);
    if (status == LQ_OK && path)
        status = move(p, p->origin != LQI_FILE_FULL, error);
    if (status)
        lqi_pages_close(p, 1);
    return status;
}

void lqi_pages_close(lqi_pages *p, int undo)
{
    lqi_pages_file_close(p, undo);
    lqi_free(p->allocator, p->data);
    lqi_free(p->allocator, p->path);
}

uint64_t lqi_pages_unit(void)
{
    return 1;
}

uint64_t lqi_pages_resident(const lqi_pages *p, uint64_t at, uint64_t n)
{
    (void)p;
    (void)at;
    return n;
}

void lqi_pages_fetch(const lqi_pages *p, uint64_t at, uint64_t n)
{
    (void)p;
    (void)at;
    (void)n;
}

void lqi_pages_settle(const lqi_pages *p, uint64_t at, uint64_t n)
{
    (void)p;
    (void)at;
    (void)n;
}

void lqi_pages_start_write(const lqi_pages *p, uint64_t at, uint64_t n)
{
    (void)p;
    (void)at;
    (void)n;
}

lq_status lqi_pages_drop(const lqi_pages *p, uint64_t at, uint64_t n, lq_error *error)
{
    (void)p;
    (void)at;
    (void)n;
    (void)error;
    return LQ_OK;
}

lq_status lqi_pages_sync(const lqi_pages *p, lq_error *error)
{
    lq_status status = move(p, 1, error);

    if (status == LQ_OK && fsync(p->file) != 0)
        status = lqi_fail_errno(error, errno, p->path, "synchronize");
    return status;
}
#endif
