/* SPDX-License-Identifier: MIT */
/*
 * lib/file/atomic.c - output files that appear complete or not at all
 *
 * "dir/name" is written as "dir/.name.lqtmp-XXXXXX" and renamed at the end; a directory
 * likewise, and exchanged with an existing one, which is then removed.  Everything goes
 * through a descriptor of "dir", so that a directory renamed meanwhile does no harm.
 *
 * A temporary that a killed process has left stays: nothing tells it from that of a writer
 * at work, on another machine perhaps.  Nobody reads it as a model, and no later run
 * stumbles over it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/file/file.h"

#define ATTEMPTS   100
#define DEPTH_MAX  64                    /* of directories that are removed */
#define NAME_KEPT  200                   /* bytes of the output's name in the temporary's */
#define WRITE_MAX  ((uint64_t)1 << 30)   /* bytes of one system call */

enum { NOREPLACE = 1, EXCHANGE = 2 };    /* flags of renameat2 */

struct lqi_output {
    lq_allocator allocator;
    char        *path;
    const char  *name;                   /* last part of the path, without '/' */
    char         temporary[NAME_KEPT + 32];
    int          parent, own;            /* descriptors; own: of a directory output */
    int         *members;                /* descriptors, -1 when closed */
    uint32_t     member_count;
    int          directory, replace, committed;
};

static lq_status fail_system(const lqi_output *o, lq_error *error, const char *doing)
{
    int system = errno;
    lq_status status = lqi_fail_errno(error, system, o->path, doing);

    if (system == EFBIG) {               /* the file system's or a quota's limit */
        status = LQ_ERR_NOSPACE;
        if (error && error->struct_size >= sizeof *error)
            error->status = status;
    }
    return status;
}

/* ----------------------------------------------------------------- creating */

/* Cut trailing slashes, find the last part.  0: there is no name to create. */
static int split_path(lqi_output *o)
{
    size_t n = strlen(o->path);
    const char *slash;

    while (n > 1 && o->path[n - 1] == '/')
        o->path[--n] = '\0';
    slash = strrchr(o->path, '/');
    o->name = slash ? slash + 1 : o->path;
    return o->name[0] && strcmp(o->name, ".") != 0 && strcmp(o->name, "..") != 0;
}

static int open_parent(lqi_output *o)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    size_t n = (size_t)(o->name - o->path);
    char saved;
    int parent;

    if (n == 0)
        return open(".", flags);
    saved = o->path[n];
    o->path[n] = '\0';
    parent = open(o->path, flags);
    o->path[n] = saved;
    return parent;
}

/* What stands at the path now, and may it be replaced? */
static lq_status check_present(lqi_output *o, lq_error *error)
{
    const lqi_where where = { o->path, NULL, LQ_NO_OFFSET };
    struct stat st;

    if (fstatat(o->parent, o->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? LQ_OK : fail_system(o, error, "examine");
    if (!o->replace)
        return lqi_fail(error, LQ_ERR_EXISTS, &where, "the output exists");
    if (S_ISLNK(st.st_mode) || (o->directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)))
        return LQ_OK;
    return lqi_fail(error, LQ_ERR_EXISTS, &where, "exists and is no %s; it stays",
                    o->directory ? "directory" : "regular file");
}

static void name_temporary(lqi_output *o, unsigned attempt)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz012345";
    struct timespec now = { 0, 0 };
    char suffix[7] = "";
    uint64_t seed;

    clock_gettime(CLOCK_REALTIME, &now);
    seed = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid() << 17 ^
           (uint64_t)(uintptr_t)o;
    seed = (seed + attempt) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 6; i++)
        suffix[i] = digits[seed >> (34 + 5 * i) & 31];
    snprintf(o->temporary, sizeof o->temporary, ".%.*s.lqtmp-%s", NAME_KEPT, o->name, suffix);
}

/* Create the temporary under a name that nobody has. */
static lq_status create_temporary(lqi_output *o, lq_error *error)
{
    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        name_temporary(o, attempt);
        if (o->directory) {
            if (mkdirat(o->parent, o->temporary, 0777) == 0)
                break;
        } else {
            o->own = openat(o->parent, o->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                            0666);
            if (o->own >= 0)
                return LQ_OK;
        }
        if (errno != EEXIST || attempt + 1 == ATTEMPTS) {
            o->temporary[0] = '\0';
            return fail_system(o, error, "create a temporary beside the output");
        }
    }
    o->own = openat(o->parent, o->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return o->own >= 0 ? LQ_OK : fail_system(o, error, "open the temporary directory");
}

static lq_status prepare(lqi_output *o, const char *path, lq_error *error)
{
    const lqi_where where = { path, NULL, LQ_NO_OFFSET };
    lq_status status;

    o->path = lqi_strdup(&o->allocator, path);
    if (!o->path)
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    if (!split_path(o))
        return lqi_fail(error, LQ_ERR_ARG, &where, "this is no name of an output");
    o->parent = open_parent(o);
    if (o->parent < 0)
        return fail_system(o, error, "open the directory of the output");
    status = check_present(o, error);
    return status == LQ_OK ? create_temporary(o, error) : status;
}

lq_status lqi_output_create(const lq_allocator *a, const char *path, int directory,
                            int replace, lqi_output **output, lq_error *error)
{
    lqi_output *o = lqi_alloc_zero(a, sizeof *o);
    lq_status status;

    if (!o)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    o->allocator = *a;
    o->parent = o->own = -1;
    o->directory = directory;
    o->replace = replace;
    status = prepare(o, path, error);
    if (status != LQ_OK) {
        lqi_output_destroy(o);
        return status;
    }
    *output = o;
    return LQ_OK;
}

/* ------------------------------------------------------------------ members */

/* The single file is open already; members of directories are created here. */
static lq_status open_member(lqi_output *o, const char *name, int *descriptor,
                             lq_error *error)
{
    const lqi_where where = { o->path, name, LQ_NO_OFFSET };

    if (!o->directory) {
        if (o->member_count > 0)
            return lqi_fail(error, LQ_ERR_ARG, &where, "a single file has one member");
        *descriptor = o->own;
        o->own = -1;
        return LQ_OK;
    }
    if (!name || !name[0] || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return lqi_fail(error, LQ_ERR_ARG, &where, "no name of a file");
    *descriptor = openat(o->own, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (*descriptor < 0 && errno == EEXIST)
        return lqi_fail(error, LQ_ERR_DUPLICATE, &where, "two files of this name");
    return *descriptor >= 0 ? LQ_OK : fail_system(o, error, "create a file of the output");
}

lq_status lqi_output_member(lqi_output *output, const char *name, uint32_t *member,
                            lq_error *error)
{
    uint32_t n = output->member_count;
    int *grown = lqi_alloc(&output->allocator, ((uint64_t)n + 1) * sizeof *grown);
    lq_status status;

    if (!grown)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    status = open_member(output, name, &grown[n], error);
    if (status != LQ_OK) {
        lqi_free(&output->allocator, grown);
        return status;
    }
    if (n)
        memcpy(grown, output->members, n * sizeof *grown);
    lqi_free(&output->allocator, output->members);
    output->members = grown;
    output->member_count = n + 1;
    *member = n;
    return LQ_OK;
}

/*
 * Room for 'bytes', so that a full disk shows before the work and not after it.  What is
 * not written later reads as zeros.
 */
lq_status lqi_output_reserve(lqi_output *output, uint32_t member, uint64_t bytes,
                             lq_error *error)
{
    int code;

    if (bytes == 0)
        return LQ_OK;
    do
        code = posix_fallocate(output->members[member], 0, (off_t)bytes);
    while (code == EINTR);
    if (code == EINVAL || code == EOPNOTSUPP)
        code = ftruncate(output->members[member], (off_t)bytes) == 0 ? 0 : errno;
    errno = code;
    return code == 0 ? LQ_OK : fail_system(output, error, "reserve space for the output");
}

lq_status lqi_output_write(lqi_output *output, uint32_t member, uint64_t offset,
                           const void *data, uint64_t bytes, lq_error *error)
{
    const uint8_t *at = data;

    while (bytes > 0) {
        ssize_t n = pwrite(output->members[member], at, (size_t)lqi_min(bytes, WRITE_MAX),
                           (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_system(output, error, "write the output");
        at += n;
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return LQ_OK;
}

/* ------------------------------------------------------------------ removal */

static void remove_tree(int parent, const char *name, int depth)
{
    int own = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = own >= 0 ? fdopendir(own) : NULL;
    const struct dirent *entry;

    if (!list) {                         /* no directory */
        if (own >= 0)
            close(own);
        unlinkat(parent, name, 0);
        return;
    }
    while ((entry = readdir(list)) != NULL) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (unlinkat(own, entry->d_name, 0) != 0 && depth < DEPTH_MAX)
            remove_tree(own, entry->d_name, depth + 1);
    }
    closedir(list);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* ----------------------------------------------------------------- the end */

static int rename_with(const lqi_output *o, unsigned flags)
{
#ifdef SYS_renameat2
    return (int)syscall(SYS_renameat2, o->parent, o->temporary, o->parent, o->name, flags);
#else
    (void)o, (void)flags;
    errno = ENOSYS;
    return -1;
#endif
}

/* Into a place that must be free.  Old kernels and some file systems lack the flag: a
 * hard link fails on an existing name as well, and so does a rename of directories. */
static int rename_new(lqi_output *o)
{
    if (rename_with(o, NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (o->directory)
        return renameat(o->parent, o->temporary, o->parent, o->name);
    if (linkat(o->parent, o->temporary, o->parent, o->name, 0) != 0)
        return -1;
    unlinkat(o->parent, o->temporary, 0);
    return 0;
}

static lq_status put_in_place(lqi_output *o, lq_error *error)
{
    if (o->replace && !o->directory)
        return renameat(o->parent, o->temporary, o->parent, o->name) == 0
                   ? LQ_OK : fail_system(o, error, "rename the temporary to the output");
    if (rename_new(o) == 0)
        return LQ_OK;
    if (errno != EEXIST && errno != ENOTEMPTY)
        return fail_system(o, error, "rename the temporary to the output");
    if (!o->replace) {
        errno = EEXIST;
        return fail_system(o, error, "put the output in place");
    }
    if (rename_with(o, EXCHANGE) != 0)
        return fail_system(o, error, "exchange the old directory for the new one");
    remove_tree(o->parent, o->temporary, 0);
    return LQ_OK;
}

/* Some file systems cannot synchronize directories: that is no failure of ours. */
static int sync_directory(int descriptor)
{
    return fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS ? 0 : -1;
}

static lq_status close_members(lqi_output *o, lq_error *error)
{
    for (uint32_t i = 0; i < o->member_count; i++) {
        int descriptor = o->members[i];
        if (descriptor < 0)
            continue;
        if (fsync(descriptor) != 0)
            return fail_system(o, error, "make the output durable");
        o->members[i] = -1;
        if (close(descriptor) != 0 && errno != EINTR)
            return fail_system(o, error, "close the output");
    }
    return LQ_OK;
}

lq_status lqi_output_commit(lqi_output *output, lq_error *error)
{
    lq_status status = close_members(output, error);

    if (status != LQ_OK)
        return status;
    if (output->directory && sync_directory(output->own) != 0)
        return fail_system(output, error, "make the output durable");
    status = put_in_place(output, error);
    if (status != LQ_OK)
        return status;
    output->committed = 1;
    if (sync_directory(output->parent) != 0)
        return fail_system(output, error, "make the output's name durable");
    return LQ_OK;
}

void lqi_output_destroy(lqi_output *output)
{
    lq_allocator a;

    if (!output)
        return;
    a = output->allocator;
    for (uint32_t i = 0; i < output->member_count; i++)
        if (output->members[i] >= 0)
            close(output->members[i]);
    if (output->own >= 0)
        close(output->own);
    if (!output->committed && output->temporary[0])
        remove_tree(output->parent, output->temporary, 0);
    if (output->parent >= 0)
        close(output->parent);
    lqi_free(&a, output->members);
    lqi_free(&a, output->path);
    lqi_free(&a, output);
}
