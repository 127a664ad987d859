/* SPDX-License-Identifier: MIT */
/*
 * lib/train/pages_linux.c - paged arrays as mapped files, whose pages come and go on request
 *
 * Pages that are given up must leave the page cache, not only the process: written first,
 * then unmapped, then dropped by POSIX_FADV_DONTNEED, which takes clean, unmapped pages only.
 * So nothing that is stored is ever lost, and mincore() counts what is really there.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1   /* sync_file_range, mincore */
#endif

#include "lib/train/pages.h"

#if LQI_PAGES_LINUX
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6

static lq_status no_space(const lqi_pages *p, uint64_t room, const char *where_text,
                          lq_error *error)
{
    const lqi_where where = { p->path, NULL, LQ_NO_OFFSET };

    return lqi_fail(error, LQ_ERR_NOSPACE, &where, "a paged array of %llu bytes; %s %llu",
                    (unsigned long long)p->bytes, where_text, (unsigned long long)room);
}

/* Blocks for all of it, so that no store needs any.  What cannot succeed is not tried: it
 * would fill the disk first, or end in a signal. */
static lq_status reserve(const lqi_pages *p, lq_error *error)
{
    struct rlimit limit;
    struct statvfs st;
    int code;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        p->bytes > limit.rlim_cur)
        return no_space(p, limit.rlim_cur, "files of this process may have", error);
    if (p->origin != LQI_FILE_FULL && fstatvfs(p->file, &st) == 0 &&
        p->bytes / st.f_frsize > st.f_bavail)
        return no_space(p, (uint64_t)st.f_bavail * st.f_frsize, "the file system has left",
                        error);
    do
        code = posix_fallocate(p->file, 0, (off_t)p->bytes);
    while (code == EINTR);
    return code ? lqi_fail_errno(error, code == EFBIG ? ENOSPC : code, p->path,
                                 "reserve space for a paged array")
                : LQ_OK;
}

static lq_status check_system(const lqi_pages *p, lq_error *error)
{
    const lqi_where where = { p->path, NULL, LQ_NO_OFFSET };
    struct statfs st;

    if (fstatfs(p->file, &st) != 0)
        return lqi_fail_errno(error, errno, p->path, "examine");
    if ((uint32_t)st.f_type == TMPFS_MAGIC || (uint32_t)st.f_type == RAMFS_MAGIC)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, &where,
                        "files here lie in memory: a paged array needs a disk");
    return LQ_OK;
}

/* Random: no page is read that nobody asked for. */
static lq_status map(lqi_pages *p, lq_error *error)
{
    void *data = mmap(NULL, (size_t)p->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->file, 0);

    if (data == MAP_FAILED)
        return lqi_fail_errno(error, errno, p->path, "map");
    madvise(data, (size_t)p->bytes, MADV_RANDOM);
    p->data = data;
    return LQ_OK;
}

lq_status lqi_pages_open(lqi_pages *p, const lq_allocator *allocator, const char *directory,
                         const char *path, uint64_t bytes, lq_error *error)
{
    lq_status status;

    *p = (lqi_pages){ .allocator = allocator, .bytes = bytes, .file = -1,
                      .path = lqi_strdup(allocator, path ? path : directory) };
    if (!p->path)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    if ((status = lqi_pages_file_open(p, path, error)) ||
        (status = check_system(p, error)) ||
        (status = reserve(p, error)) ||
        (status = map(p, error)))
        lqi_pages_close(p, 1);
    return status;
}

void lqi_pages_close(lqi_pages *p, int undo)
{
    if (p->data)
        munmap(p->data, (size_t)p->bytes);
    lqi_pages_file_close(p, undo);
    lqi_free(p->allocator, p->path);
}

uint64_t lqi_pages_unit(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t lqi_pages_resident(const lqi_pages *p, uint64_t at, uint64_t n)
{
    uint64_t page = lqi_pages_unit(), resident = 0;
    unsigned char present[4096];

    for (uint64_t end = at + n; at < end; at += sizeof present * page) {
        uint64_t part = lqi_min(sizeof present * page, end - at);

        if (mincore(p->data + at, (size_t)part, present) != 0)
            continue;
        for (uint64_t i = 0; i * page < part; i++)
            resident += present[i] & 1;
    }
    return resident * page;
}

void lqi_pages_fetch(const lqi_pages *p, uint64_t at, uint64_t n)
{
    madvise(p->data + at, (size_t)n, MADV_WILLNEED);
}

void lqi_pages_settle(const lqi_pages *p, uint64_t at, uint64_t n)
{
    uint64_t page = lqi_pages_unit();

    if (lqi_pages_resident(p, at, n) >= n)
        return;
    for (const volatile uint8_t *b = p->data + at, *end = b + n; b < end; b += page)
        (void)*b;
}

void lqi_pages_start_write(const lqi_pages *p, uint64_t at, uint64_t n)
{
    sync_file_range(p->file, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE);
}

static void give_up(const lqi_pages *p, uint64_t at, uint64_t n)
{
    madvise(p->data + at, (size_t)n, MADV_DONTNEED);
    posix_fadvise(p->file, (off_t)at, (off_t)n, POSIX_FADV_DONTNEED);
}

/* sync_file_range() commits no journal, which msync() would do for every segment; but some
 * file systems know only that. */
lq_status lqi_pages_drop(const lqi_pages *p, uint64_t at, uint64_t n, lq_error *error)
{
    const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                         SYNC_FILE_RANGE_WAIT_AFTER;

    if (sync_file_range(p->file, (off_t)at, (off_t)n, all) == 0)
        give_up(p, at, n);
    if (lqi_pages_resident(p, at, n) == 0)
        return LQ_OK;
    if (msync(p->data + at, (size_t)n, MS_SYNC) != 0)
        return lqi_fail_errno(error, errno, p->path, "write pages to");
    give_up(p, at, n);
    return LQ_OK;
}

lq_status lqi_pages_sync(const lqi_pages *p, lq_error *error)
{
    int code;

    do
        code = fsync(p->file);
    while (code != 0 && errno == EINTR);
    return code == 0 ? LQ_OK : lqi_fail_errno(error, errno, p->path, "synchronize");
}
#endif
