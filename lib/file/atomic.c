/* SPDX-License-Identifier: MIT */
/*
 * lib/file/atomic.c - output files that appear complete or not at all
 *
 * "dir/name" is written as "dir/.name.lqtmp-XXXXXX" and renamed at the end; a directory
 * likewise, and exchanged with an existing one, which is then removed.  Everything goes
 * through a descriptor of "dir", so that a directory renamed meanwhile does no harm.
 *
 * Several files side by side cannot be renamed at once.  A set is read from its first file
 * on: that one is put in place last, and the first of an old set is removed before.  Whoever
 * opens the set finds all of the new one, all of the old one, or none.
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

typedef char temporary_name[NAME_KEPT + 32];

typedef struct member {
    int            descriptor;           /* -1 when closed */
    char          *name;                 /* of a set: where it goes */
    temporary_name temporary;            /* of a set: where it is, "" when in place */
} member;

struct lqi_output {
    lq_allocator   allocator;
    char          *path;
    const char    *name;                 /* last part of the path, without '/' */
    temporary_name temporary;
    int            parent, own;          /* descriptors; own: of a directory output */
    member        *members;
    uint32_t       member_count;
    int            kind, replace, committed;
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

/* What stands at the name now, and may it be replaced? */
static lq_status check_present(lqi_output *o, const char *name, lq_error *error)
{
    const lqi_where where = { o->path, name == o->name ? NULL : name, LQ_NO_OFFSET };
    int directory = o->kind == LQI_OUTPUT_DIRECTORY;
    struct stat st;

    if (fstatat(o->parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? LQ_OK : fail_system(o, error, "examine");
    if (!o->replace)
        return lqi_fail(error, LQ_ERR_EXISTS, &where, "the output exists");
    if (S_ISLNK(st.st_mode) || (directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)))
        return LQ_OK;
    return lqi_fail(error, LQ_ERR_EXISTS, &where, "exists and is no %s; it stays",
                    directory ? "directory" : "regular file");
}

static void name_temporary(const lqi_output *o, const char *name, unsigned attempt,
                           temporary_name temporary)
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
    snprintf(temporary, sizeof(temporary_name), ".%.*s.lqtmp-%s", NAME_KEPT, name, suffix);
}

/* Create the temporary for 'name', a file or a directory, under a name that nobody has. */
static lq_status create_temporary(lqi_output *o, const char *name, temporary_name temporary,
                                  int *descriptor, lq_error *error)
{
    int directory = o->kind == LQI_OUTPUT_DIRECTORY;

    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        name_temporary(o, name, attempt, temporary);
        if (directory) {
            if (mkdirat(o->parent, temporary, 0777) == 0)
                break;
        } else {
            *descriptor = openat(o->parent, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                                 0666);
            if (*descriptor >= 0)
                return LQ_OK;
        }
        if (errno != EEXIST || attempt + 1 == ATTEMPTS) {
            temporary[0] = '\0';
            return fail_system(o, error, "create a temporary beside the output");
        }
    }
    *descriptor = openat(o->parent, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *descriptor >= 0 ? LQ_OK : fail_system(o, error, "open the temporary directory");
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
    if (o->kind == LQI_OUTPUT_SET)       /* its members' names are not known yet */
        return LQ_OK;
    status = check_present(o, o->name, error);
    return status == LQ_OK ? create_temporary(o, o->name, o->temporary, &o->own, error)
                           : status;
}

lq_status lqi_output_create(const lq_allocator *a, const char *path, int kind, int replace,
                            lqi_output **output, lq_error *error)
{
    lqi_output *o = lqi_alloc_zero(a, sizeof *o);
    lq_status status;

    if (!o)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    o->allocator = *a;
    o->parent = o->own = -1;
    o->kind = kind;
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

/* A file of a set: its temporary lies beside it. */
static lq_status open_beside(lqi_output *o, const char *name, member *m, lq_error *error)
{
    lq_status status = check_present(o, name, error);

    if (status != LQ_OK)
        return status;
    m->name = lqi_strdup(&o->allocator, name);
    if (!m->name)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    status = create_temporary(o, name, m->temporary, &m->descriptor, error);
    if (status != LQ_OK)
        lqi_free(&o->allocator, m->name);
    return status;
}

/* The single file is open already; members of directories and sets are created here. */
static lq_status open_member(lqi_output *o, const char *name, member *m, lq_error *error)
{
    const lqi_where where = { o->path, name, LQ_NO_OFFSET };

    if (o->kind == LQI_OUTPUT_FILE) {
        if (o->member_count > 0)
            return lqi_fail(error, LQ_ERR_ARG, &where, "a single file has one member");
        m->descriptor = o->own;
        o->own = -1;
        return LQ_OK;
    }
    if (!name || !name[0] || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return lqi_fail(error, LQ_ERR_ARG, &where, "no name of a file");
    if (o->kind == LQI_OUTPUT_SET)
        return open_beside(o, name, m, error);
    m->descriptor = openat(o->own, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (m->descriptor < 0 && errno == EEXIST)
        return lqi_fail(error, LQ_ERR_DUPLICATE, &where, "two files of this name");
    return m->descriptor >= 0 ? LQ_OK : fail_system(o, error, "create a file of the output");
}

lq_status lqi_output_member(lqi_output *output, const char *name, uint32_t *index,
                            lq_error *error)
{
    uint32_t n = output->member_count;
    member *grown = lqi_alloc_zero(&output->allocator, ((uint64_t)n + 1) * sizeof *grown);
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
    *index = n;
    return LQ_OK;
}

/*
 * Room for 'bytes', so that a full disk shows before the work and not after it.  What is
 * not written later reads as zeros.
 */
lq_status lqi_output_reserve(lqi_output *output, uint32_t index, uint64_t bytes,
                             lq_error *error)
{
    int code;

    if (bytes == 0)
        return LQ_OK;
    do
        code = posix_fallocate(output->members[index].descriptor, 0, (off_t)bytes);
    while (code == EINTR);
    if (code == EINVAL || code == EOPNOTSUPP)
        code = ftruncate(output->members[index].descriptor, (off_t)bytes) == 0 ? 0 : errno;
    errno = code;
    return code == 0 ? LQ_OK : fail_system(output, error, "reserve space for the output");
}

lq_status lqi_output_write(lqi_output *output, uint32_t index, uint64_t offset,
                           const void *data, uint64_t bytes, lq_error *error)
{
    const uint8_t *at = data;

    while (bytes > 0) {
        ssize_t n = pwrite(output->members[index].descriptor, at, (size_t)lqi_min(bytes, WRITE_MAX),
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

static int rename_with(const lqi_output *o, const char *from, const char *to, unsigned flags)
{
#ifdef SYS_renameat2
    return (int)syscall(SYS_renameat2, o->parent, from, o->parent, to, flags);
#else
    (void)o, (void)from, (void)to, (void)flags;
    errno = ENOSYS;
    return -1;
#endif
}

/* Into a place that must be free.  Old kernels and some file systems lack the flag: a
 * hard link fails on an existing name as well, and so does a rename of directories. */
static int rename_new(lqi_output *o, const char *from, const char *to)
{
    if (rename_with(o, from, to, NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (o->kind == LQI_OUTPUT_DIRECTORY)
        return renameat(o->parent, from, o->parent, to);
    if (linkat(o->parent, from, o->parent, to, 0) != 0)
        return -1;
    unlinkat(o->parent, from, 0);
    return 0;
}

static lq_status put_file(lqi_output *o, const char *from, const char *to, lq_error *error)
{
    int failed = o->replace ? renameat(o->parent, from, o->parent, to)
                            : rename_new(o, from, to);

    return failed ? fail_system(o, error, "rename the temporary to the output") : LQ_OK;
}

static lq_status put_directory(lqi_output *o, lq_error *error)
{
    if (rename_new(o, o->temporary, o->name) == 0)
        return LQ_OK;
    if (errno != EEXIST && errno != ENOTEMPTY)
        return fail_system(o, error, "rename the temporary to the output");
    if (!o->replace) {
        errno = EEXIST;
        return fail_system(o, error, "put the output in place");
    }
    if (rename_with(o, o->temporary, o->name, EXCHANGE) != 0)
        return fail_system(o, error, "exchange the old directory for the new one");
    remove_tree(o->parent, o->temporary, 0);
    return LQ_OK;
}

/* Some file systems cannot synchronize directories: that is no failure of ours. */
static int sync_directory(int descriptor)
{
    return fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS ? 0 : -1;
}

static lq_status put_set(lqi_output *o, lq_error *error)
{
    lq_status status = LQ_OK;

    if (o->replace && o->member_count > 1) {
        if (unlinkat(o->parent, o->members[0].name, 0) != 0 && errno != ENOENT)
            return fail_system(o, error, "remove the first file of the old output");
        if (sync_directory(o->parent) != 0)
            return fail_system(o, error, "make the removal durable");
    }
    for (uint32_t i = o->member_count; i-- > 0 && status == LQ_OK;) {
        member *m = &o->members[i];
        if (i == 0 && o->member_count > 1 && sync_directory(o->parent) != 0)
            return fail_system(o, error, "make the output's names durable");
        status = put_file(o, m->temporary, m->name, error);
        if (status == LQ_OK)
            m->temporary[0] = '\0';
    }
    return status;
}

static lq_status put_in_place(lqi_output *o, lq_error *error)
{
    switch (o->kind) {
    case LQI_OUTPUT_FILE: return put_file(o, o->temporary, o->name, error);
    case LQI_OUTPUT_SET:  return put_set(o, error);
    default:              return put_directory(o, error);
    }
}

static lq_status close_members(lqi_output *o, lq_error *error)
{
    for (uint32_t i = 0; i < o->member_count; i++) {
        int descriptor = o->members[i].descriptor;
        if (descriptor < 0)
            continue;
        if (fsync(descriptor) != 0)
            return fail_system(o, error, "make the output durable");
        o->members[i].descriptor = -1;
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
    if (output->kind == LQI_OUTPUT_DIRECTORY && sync_directory(output->own) != 0)
        return fail_system(output, error, "make the output durable");
    status = put_in_place(output, error);
    if (status != LQ_OK)
        return status;
    output->committed = 1;
    if (sync_directory(output->parent) != 0)
        return fail_system(output, error, "make the output's name durable");
    return LQ_OK;
}

/* Of a set that is not complete, what is in place goes as well. */
static void drop_member(lqi_output *o, member *m)
{
    if (m->descriptor >= 0)
        close(m->descriptor);
    if (m->name && !o->committed)
        unlinkat(o->parent, m->temporary[0] ? m->temporary : m->name, 0);
    lqi_free(&o->allocator, m->name);
}

void lqi_output_destroy(lqi_output *output)
{
    lq_allocator a;

    if (!output)
        return;
    a = output->allocator;
    for (uint32_t i = 0; i < output->member_count; i++)
        drop_member(output, &output->members[i]);
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
