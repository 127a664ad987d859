/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/driver.c - runs a fuzz target without libFuzzer
 *
 *     replay [--changes N] FILE|FOLDER...
 *
 * gives every file, and N changed copies of each, to the target.  The changes are the
 * same in every run.  A target that is not content aborts.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long changes, inputs;

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* An exact copy, so that a sanitizer sees the first byte behind it. */
static void give(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        exit(2);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    inputs++;
}

/* Cut the end off, or set one to four bytes; small counts like extreme values. */
static void give_changed(const uint8_t *data, size_t size, uint64_t *state)
{
    static const uint8_t liked[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        exit(2);
    memcpy(copy, data, size);
    if (size > 0 && next(state) % 4 == 0)
        size = (size_t)(next(state) % size);
    for (uint64_t n = next(state) % 4 + 1; size > 0 && n > 0; n--) {
        uint64_t r = next(state);
        copy[(size_t)(r >> 16) % size] = r & 256 ? (uint8_t)r : liked[r % sizeof liked];
    }
    give(copy, size);
    free(copy);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint64_t state = 1;
    uint8_t *data;
    long size;

    if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        perror(path);
        exit(2);
    }
    rewind(file);
    data = malloc(size ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    give(data, (size_t)size);
    for (unsigned long i = 0; i < changes; i++)
        give_changed(data, (size_t)size, &state);
    free(data);
}

static void run(const char *path)
{
    DIR *list = opendir(path);
    const struct dirent *entry;
    char below[4096];

    if (!list) {
        run_file(path);
        return;
    }
    while ((entry = readdir(list)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        int n = snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (n > 0 && (size_t)n < sizeof below)
            run(below);
    }
    closedir(list);
}

int main(int argc, char **argv)
{
    int first = 1;

    if (argc > 2 && strcmp(argv[1], "--changes") == 0) {
        changes = strtoul(argv[2], NULL, 10);
        first = 3;
    }
    for (int i = first; i < argc; i++)
        run(argv[i]);
    printf("%lu inputs\n", inputs);
    return inputs > 0 ? 0 : 1;   /* an empty corpus tests nothing */
}
