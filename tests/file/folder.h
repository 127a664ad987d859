/* SPDX-License-Identifier: MIT */
/* tests/file/folder.h - helpers: a temporary folder and the files in it */
#ifndef TESTS_FILE_FOLDER_H
#define TESTS_FILE_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct folder {
    char path[128];
} folder;

static inline void folder_make(folder *f)
{
    strcpy(f->path, "/tmp/lq-test-XXXXXX");
    if (!mkdtemp(f->path))
        abort();
}

/* "folder/name"; the next call but three overwrites it. */
static inline const char *folder_path(const folder *f, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", f->path, name);
    return path;
}

static inline void folder_put(const folder *f, const char *name, const void *data, size_t n)
{
    FILE *file = fopen(folder_path(f, name), "wb");
    if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0)
        abort();
}

static inline void folder_text(const folder *f, const char *name, const char *text)
{
    folder_put(f, name, text, strlen(text));
}

/* Number of entries, hidden ones included. */
static inline unsigned folder_count(const char *path)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *directory = opendir(path);
    if (!directory)
        abort();
    while ((entry = readdir(directory)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return count;
}

static inline void folder_clear(const char *path, int itself)
{
    char name[1024];
    struct dirent *entry;
    DIR *directory = opendir(path);
    while (directory && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >= (int)sizeof name)
            abort();
        struct stat st;
        if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode))
            folder_clear(name, 1);
        else
            unlink(name);
    }
    if (directory)
        closedir(directory);
    if (itself)
        rmdir(path);
}

static inline void folder_remove(const folder *f)
{
    folder_clear(f->path, 1);
}

#endif
