/* SPDX-License-Identifier: MIT */
/*
 * lib/file/source.c - one input of known size: read, mapped or in memory
 *
 * Reading is by pread, so that any number of threads can share a source and a file that
 * somebody truncates meanwhile gives an error and no signal.  Mapping must be asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file/file.h"

#define READ_MAX ((uint64_t)1 << 30)   /* bytes of one system call */

struct lqi_source {
    lq_allocator allocator;
    char        *path;
    const void  *data;       /* memory or mapping, or NULL */
    int          descriptor; /* -1: memory */
    int          mapped;
    uint64_t     bytes;
};

static const char *kind_text(mode_t mode)
{
    if (S_ISDIR(mode))
        return "is a directory, not a file";
    if (S_ISFIFO(mode))
        return "is a pipe; a file is needed, its parts are read in any order";
    if (S_ISSOCK(mode))
        return "is a socket, not a file";
    return "is a device, not a file";
}

static lq_status open_file(lqi_source *s, const char *path, lq_error *error)
{
    const lqi_where where = { path, NULL, LQ_NO_OFFSET };
    struct stat st;

    /* O_NONBLOCK: a pipe without a writer must not hang us; files do not care. */
    do
        s->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (s->descriptor < 0 && errno == EINTR);
    if (s->descriptor < 0)
        return lqi_fail_errno(error, errno, path, "open");
    if (fstat(s->descriptor, &st) != 0)
        return lqi_fail_errno(error, errno, path, "examine");
    if (!S_ISREG(st.st_mode))
        return lqi_fail(error, LQ_ERR_IO, &where, "%s", kind_text(st.st_mode));
    s->bytes = (uint64_t)st.st_size;
    return LQ_OK;
}

static lq_status map_file(lqi_source *s, lq_error *error)
{
    const lqi_where where = { s->path, NULL, LQ_NO_OFFSET };
    void *data;

    if (s->bytes == 0)
        return LQ_OK;
    if (s->bytes > SIZE_MAX)
        return lqi_fail(error, LQ_ERR_OVERFLOW, &where, "is too large to be mapped");
    data = mmap(NULL, (size_t)s->bytes, PROT_READ, MAP_SHARED, s->descriptor, 0);
    if (data == MAP_FAILED)
        return lqi_fail_errno(error, errno, s->path, "map");
    s->data = data;
    s->mapped = 1;
    return LQ_OK;
}

static lqi_source *create(const lq_allocator *a, const char *path)
{
    lqi_source *s = lqi_alloc_zero(a, sizeof *s);

    if (!s)
        return NULL;
    s->allocator = *a;
    s->descriptor = -1;
    s->path = lqi_strdup(a, path);
    if (!s->path) {
        lqi_free(a, s);
        return NULL;
    }
    return s;
}

lq_status lqi_source_open(const lq_allocator *a, const char *path, int map,
                          lqi_source **source, lq_error *error)
{
    const lqi_where where = { path, NULL, LQ_NO_OFFSET };
    lqi_source *s = create(a, path);
    lq_status status;

    if (!s)
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    status = open_file(s, path, error);
    if (status == LQ_OK && map)
        status = map_file(s, error);
    if (status != LQ_OK) {
        lqi_source_close(s);
        return status;
    }
    *source = s;
    return LQ_OK;
}

lq_status lqi_source_memory(const lq_allocator *a, const void *data, uint64_t bytes,
                            lqi_source **source, lq_error *error)
{
    lqi_source *s = create(a, "");

    if (!s)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    s->data = data ? data : "";
    s->bytes = bytes;
    *source = s;
    return LQ_OK;
}

/* munmap() takes what mmap() gave, whatever our pointer promises. */
static void unmap(const void *data, size_t bytes)
{
    munmap((void *)(uintptr_t)data, bytes);
}

void lqi_source_close(lqi_source *source)
{
    lq_allocator a;

    if (!source)
        return;
    a = source->allocator;
    if (source->mapped)
        unmap(source->data, (size_t)source->bytes);
    if (source->descriptor >= 0)
        close(source->descriptor);
    lqi_free(&a, source->path);
    lqi_free(&a, source);
}

uint64_t lqi_source_bytes(const lqi_source *source)
{
    return source->bytes;
}

const char *lqi_source_path(const lqi_source *source)
{
    return source->path;
}

const void *lqi_source_data(const lqi_source *source)
{
    return source->data;
}

static lq_status read_file(const lqi_source *s, uint64_t offset, uint8_t *buffer,
                           uint64_t bytes, lq_error *error)
{
    const lqi_where where = { s->path, NULL, offset };

    while (bytes > 0) {
        ssize_t n = pread(s->descriptor, buffer, (size_t)lqi_min(bytes, READ_MAX),
                          (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return lqi_fail_errno(error, errno, s->path, "read");
        if (n == 0)
            return lqi_fail(error, LQ_ERR_TRUNCATED, &where,
                            "the file shrank while it was read");
        buffer += n;
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return LQ_OK;
}

lq_status lqi_source_read(const lqi_source *source, uint64_t offset, void *buffer,
                          uint64_t bytes, lq_error *error)
{
    const lqi_where where = { source->path, NULL, offset };

    if (offset > source->bytes || bytes > source->bytes - offset)
        return lqi_fail(error, LQ_ERR_TRUNCATED, &where,
                        "%llu bytes are needed here, but the file has %llu in all",
                        (unsigned long long)bytes, (unsigned long long)source->bytes);
    if (!source->data)
        return read_file(source, offset, buffer, bytes, error);
    if (bytes > 0)
        memcpy(buffer, (const uint8_t *)source->data + offset, (size_t)bytes);
    return LQ_OK;
}
