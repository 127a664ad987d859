/* SPDX-License-Identifier: MIT */
/*
 * tests/file/output.c - outputs appear complete or not at all, and leave nothing behind
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "lib/file/file.h"
#include "tests/file/container.h"

static char folder[64], path[128];
static const lq_allocator plain = { NULL, NULL, NULL };

static int start(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/out", new_folder(folder));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int files_in(const char *name)
{
    DIR *list = opendir(name);
    int count = -2;

    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "wb");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void check_text(const char *name, const char *text)
{
    char buffer[64] = "";
    FILE *file = fopen(name, "rb");

    assert_non_null(file);
    buffer[fread(buffer, 1, sizeof buffer - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(buffer, text);
}

static lqi_output *create(int directory, int replace)
{
    lqi_output *o = NULL;

    assert_int_equal(lqi_output_create(&plain, path, directory, replace, &o, NULL), LQ_OK);
    return o;
}

static void member(lqi_output *o, const char *name, const char *text)
{
    uint32_t m;

    assert_int_equal(lqi_output_member(o, name, &m, NULL), LQ_OK);
    assert_int_equal(lqi_output_reserve(o, m, strlen(text), NULL), LQ_OK);
    assert_int_equal(lqi_output_write(o, m, 0, text, strlen(text), NULL), LQ_OK);
}

/* -------------------------------------------------------------------- files */

static void file_appears(void **state)
{
    lqi_output *o = create(0, 0);
    struct stat st;
    mode_t mask = umask(027);

    (void)state;
    lqi_output_destroy(o);
    o = create(0, 0);
    umask(mask);
    member(o, NULL, "new");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(files_in(folder), 1);
    assert_int_equal(lqi_output_commit(o, NULL), LQ_OK);
    lqi_output_destroy(o);
    check_text(path, "new");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(files_in(folder), 1);
    unlink(path);
}

static void file_given_up(void **state)
{
    lqi_output *o = create(0, 0);

    (void)state;
    member(o, NULL, "new");
    lqi_output_destroy(o);
    assert_int_equal(files_in(folder), 0);
    lqi_output_destroy(NULL);
}

static void file_replaced(void **state)
{
    lqi_output *o = NULL;
    lq_error error = LQ_ERROR_INIT;

    (void)state;
    put(path, "old");
    assert_int_equal(lqi_output_create(&plain, path, 0, 0, &o, &error), LQ_ERR_EXISTS);
    assert_non_null(strstr(error.message, path));
    o = create(0, 1);
    member(o, NULL, "new");
    check_text(path, "old");
    lqi_output_destroy(o);
    check_text(path, "old");
    o = create(0, 1);
    member(o, NULL, "new");
    assert_int_equal(lqi_output_commit(o, NULL), LQ_OK);
    lqi_output_destroy(o);
    check_text(path, "new");
    assert_int_equal(files_in(folder), 1);
    unlink(path);
}

/* Somebody else was faster: his file stays. */
static void file_came_between(void **state)
{
    lqi_output *o = create(0, 0);

    (void)state;
    member(o, NULL, "new");
    put(path, "other");
    assert_int_equal(lqi_output_commit(o, NULL), LQ_ERR_EXISTS);
    lqi_output_destroy(o);
    check_text(path, "other");
    assert_int_equal(files_in(folder), 1);
    unlink(path);
}

static void no_place(void **state)
{
    lqi_output *o = NULL;
    char name[512];

    (void)state;
    assert_int_equal(lqi_output_create(&plain, "/nowhere/x", 0, 0, &o, NULL), LQ_ERR_NOTFOUND);
    assert_int_equal(lqi_output_create(&plain, "", 0, 0, &o, NULL), LQ_ERR_ARG);
    assert_int_equal(lqi_output_create(&plain, "/", 1, 1, &o, NULL), LQ_ERR_ARG);
    assert_int_equal(lqi_output_create(&plain, "..", 1, 1, &o, NULL), LQ_ERR_ARG);
    assert_int_equal(lqi_output_create(&plain, folder, 0, 1, &o, NULL), LQ_ERR_EXISTS);
    assert_int_equal(lqi_output_create(&plain, "/dev/null", 0, 1, &o, NULL), LQ_ERR_EXISTS);
    memset(name, 'x', sizeof name);
    memcpy(name, folder, strlen(folder));
    name[strlen(folder)] = '/';
    name[sizeof name - 1] = '\0';
    assert_int_equal(lqi_output_create(&plain, name, 0, 0, &o, NULL), LQ_ERR_IO);
    name[strlen(folder) + 1 + 255] = '\0';   /* the longest name there is */
    assert_int_equal(lqi_output_create(&plain, name, 0, 0, &o, NULL), LQ_OK);
    lqi_output_destroy(o);
    assert_int_equal(files_in(folder), 0);
}

static void no_space(void **state)
{
    struct rlimit saved, small;
    lqi_output *o = create(0, 0);
    uint32_t m;

    (void)state;
    assert_int_equal(lqi_output_member(o, NULL, &m, NULL), LQ_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    small = saved;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    lq_status reserved = lqi_output_reserve(o, m, 100000, NULL);
    lq_status written = lqi_output_write(o, m, 4096, "x", 1, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    assert_int_equal(reserved, LQ_ERR_NOSPACE);
    assert_int_equal(written, LQ_ERR_NOSPACE);
    lqi_output_destroy(o);
    assert_int_equal(files_in(folder), 0);
}

/* -------------------------------------------------------------- directories */

static void write_directory(int replace, const char *text, lq_status expected)
{
    lqi_output *o = create(1, replace);
    uint32_t m;

    member(o, "a.safetensors", text);
    member(o, "config.json", "{}");
    assert_int_equal(lqi_output_member(o, "config.json", &m, NULL), LQ_ERR_DUPLICATE);
    assert_int_equal(lqi_output_member(o, "../x", &m, NULL), LQ_ERR_ARG);
    assert_int_equal(lqi_output_member(o, "..", &m, NULL), LQ_ERR_ARG);
    assert_int_equal(lqi_output_member(o, NULL, &m, NULL), LQ_ERR_ARG);
    if (expected == LQ_OK)
        assert_int_equal(lqi_output_commit(o, NULL), LQ_OK);
    lqi_output_destroy(o);
}

static void directory_appears(void **state)
{
    char name[160];

    (void)state;
    write_directory(0, "one", LQ_ERR_CANCELLED);
    assert_int_equal(files_in(folder), 0);
    write_directory(0, "one", LQ_OK);
    snprintf(name, sizeof name, "%s/a.safetensors", path);
    check_text(name, "one");
    assert_int_equal(files_in(path), 2);
    assert_int_equal(files_in(folder), 1);
}

/* What directory_appears left is exchanged for a new one, deep folders and all. */
static void directory_replaced(void **state)
{
    lqi_output *o = NULL;
    char name[160];

    (void)state;
    assert_int_equal(lqi_output_create(&plain, path, 1, 0, &o, NULL), LQ_ERR_EXISTS);
    snprintf(name, sizeof name, "%s/deep", path);
    assert_int_equal(mkdir(name, 0777), 0);
    snprintf(name, sizeof name, "%s/deep/er", path);
    assert_int_equal(mkdir(name, 0777), 0);
    snprintf(name, sizeof name, "%s/deep/er/file", path);
    put(name, "old");
    write_directory(1, "two", LQ_ERR_CANCELLED);
    assert_int_equal(files_in(path), 3);
    write_directory(1, "two", LQ_OK);
    assert_int_equal(files_in(path), 2);
    snprintf(name, sizeof name, "%s/a.safetensors", path);
    check_text(name, "two");
    assert_int_equal(files_in(folder), 1);
}

static void directory_came_between(void **state)
{
    char name[160], old[160];
    lqi_output *o;

    (void)state;
    snprintf(name, sizeof name, "%s/a.safetensors", path);
    snprintf(old, sizeof old, "%s/config.json", path);
    unlink(name);
    unlink(old);
    rmdir(path);
    o = create(1, 0);
    member(o, "a", "new");
    assert_int_equal(mkdir(path, 0777), 0);
    put(name, "other");
    assert_int_equal(lqi_output_commit(o, NULL), LQ_ERR_EXISTS);
    lqi_output_destroy(o);
    check_text(name, "other");
    assert_int_equal(files_in(folder), 1);
    unlink(name);
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_appears),      cmocka_unit_test(file_given_up),
        cmocka_unit_test(file_replaced),     cmocka_unit_test(file_came_between),
        cmocka_unit_test(no_place),          cmocka_unit_test(no_space),
        cmocka_unit_test(directory_appears), cmocka_unit_test(directory_replaced),
        cmocka_unit_test(directory_came_between),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
