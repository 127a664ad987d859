/* SPDX-License-Identifier: MIT */
/*
 * lib/train/pages_file.c - the files of paged arrays: temporary ones, and ones that stay
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1   /* mkostemp */
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/train/pages.h"

/* A name in the directory, taken away at once. */
static lq_status open_temporary(lqi_pages *p, lq_error *error)
{
    static const char pattern[] = "/.lqpaged-XXXXXX";
    size_t n = strlen(p->path);
    char *name = lqi_alloc(p->allocator, n + sizeof pattern);

    if (!name)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    memcpy(name, p->path, n);
    memcpy(name + n, pattern, sizeof pattern);
    p->file = mkostemp(name, O_CLOEXEC);
    int system = errno;
    if (p->file >= 0)
        unlink(name);
    lqi_free(p->allocator, name);
    if (p->file >= 0)
        return LQ_OK;
    return lqi_fail_errno(error, system, p->path, "create a temporary file in it");
}

/* What was there before keeps its size and content. */
static lq_status check_named(lqi_pages *p, int created, lq_error *error)
{
    const lqi_where where = { p->path, NULL, LQ_NO_OFFSET };
    struct stat st;

    if (fstat(p->file, &st) != 0)
        return lqi_fail_errno(error, errno, p->path, "examine");
    if (!S_ISREG(st.st_mode))
        return lqi_fail(error, LQ_ERR_IO, &where, "is no regular file");
    if (flock(p->file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return lqi_fail(error, LQ_ERR_OVERLAP, &where, "is a paged array already");
    if (st.st_size && (uint64_t)st.st_size != p->bytes)
        return lqi_fail(error, LQ_ERR_MISMATCH, &where, "has %llu bytes, not %llu",
                        (unsigned long long)st.st_size, (unsigned long long)p->bytes);
    p->origin = created ? LQI_FILE_CREATED : st.st_size ? LQI_FILE_FULL : LQI_FILE_EMPTY;
    return LQ_OK;
}

/* The new name is in its directory for good. */
static lq_status sync_parent(lqi_pages *p, lq_error *error)
{
    char *slash = strrchr(p->path, '/');
    int parent, system = 0;

    if (slash)
        *slash = '\0';
    parent = open(!slash ? "." : slash == p->path ? "/" : p->path, O_RDONLY | O_CLOEXEC);
    if (parent < 0 || fsync(parent) != 0)
        system = errno;
    if (parent >= 0)
        close(parent);
    if (slash)
        *slash = '/';
    return system && system != EINVAL   /* no file system of those that sync directories */
               ? lqi_fail_errno(error, system, p->path, "synchronize the directory of")
               : LQ_OK;
}

static lq_status open_named(lqi_pages *p, lq_error *error)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;   /* a FIFO does not wait */
    lq_status status;
    int created;

    p->file = open(p->path, flags | O_CREAT | O_EXCL, 0666);
    created = p->file >= 0;
    if (!created && errno == EEXIST)
        p->file = open(p->path, flags);
    if (p->file < 0)
        return lqi_fail_errno(error, errno, p->path, "open");
    status = check_named(p, created, error);
    return status || !created ? status : sync_parent(p, error);
}

lq_status lqi_pages_file_open(lqi_pages *p, const char *path, lq_error *error)
{
    p->origin = path ? LQI_FILE_FULL : LQI_FILE_TEMPORARY;   /* until it is known better */
    return path ? open_named(p, error) : open_temporary(p, error);
}

void lqi_pages_file_close(lqi_pages *p, int undo)
{
    if (p->file < 0)
        return;
    if (undo && p->origin == LQI_FILE_CREATED)
        unlink(p->path);
    if (undo && p->origin == LQI_FILE_EMPTY && ftruncate(p->file, 0) != 0)
        errno = 0;   /* the first error is the one that is told */
    close(p->file);
    p->file = -1;
}
