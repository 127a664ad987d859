/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/vectors.c - loader of reference arrays
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden/vectors.h"

static void *read_file(const char *set, const char *name, size_t *bytes)
{
    const char *folder = getenv("LQ_TEST_DATA");
    char path[1024];

    snprintf(path, sizeof path, "%s/%s/%s", folder ? folder : "tests/data", set, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    long end = ftell(f);
    rewind(f);
    assert_true(end >= 0);
    *bytes = (size_t)end;
    char *data = malloc(*bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, f), *bytes);
    fclose(f);
    data[*bytes] = 0;
    return data;
}

static size_t element(const char *dtype)
{
    if (!strcmp(dtype, "f32") || !strcmp(dtype, "i32"))
        return 4;
    if (!strcmp(dtype, "u16") || !strcmp(dtype, "f16"))
        return 2;
    assert_true(!strcmp(dtype, "u8") || !strcmp(dtype, "i8"));
    return 1;
}

/* The next field of a line, up to a tab or the end. */
static void take(char **p, char *out, size_t capacity)
{
    size_t n = strcspn(*p, "\t\n");

    assert_true(n < capacity);
    memcpy(out, *p, n);
    out[n] = 0;
    *p += n + ((*p)[n] == '\t');
}

static void parse_line(const vec_set *set, size_t bytes, char *line, vec_array *a)
{
    char count[24], offset[24];

    take(&line, a->name, sizeof a->name);
    take(&line, a->kind, sizeof a->kind);
    take(&line, a->params, sizeof a->params);
    take(&line, a->array, sizeof a->array);
    take(&line, a->dtype, sizeof a->dtype);
    take(&line, count, sizeof count);
    take(&line, offset, sizeof offset);
    a->count = strtoul(count, NULL, 10);
    size_t at = strtoul(offset, NULL, 10);
    assert_true(at <= bytes && a->count * element(a->dtype) <= bytes - at);
    a->data = (const char *)set->bytes + at;
}

void vec_open(vec_set *set, const char *name)
{
    size_t index_bytes, bytes, lines = 0;
    char *index = read_file(name, "index.tsv", &index_bytes);

    set->bytes = read_file(name, "vectors.bin", &bytes);
    for (char *p = index; *p; p++)
        lines += *p == '\n';
    set->arrays = calloc(lines, sizeof *set->arrays);
    assert_non_null(set->arrays);
    set->count = 0;
    for (char *p = index; *p; p = strchr(p, '\n') + 1)
        if (*p != '#')
            parse_line(set, bytes, p, &set->arrays[set->count++]);
    free(index);
}

void vec_close(vec_set *set)
{
    free(set->arrays);
    free(set->bytes);
}

const vec_array *vec_find(const vec_set *set, const char *name, const char *array)
{
    for (size_t i = 0; i < set->count; i++)
        if (!strcmp(set->arrays[i].name, name) && !strcmp(set->arrays[i].array, array))
            return &set->arrays[i];
    return NULL;
}

const void *vec_data(const vec_set *set, const char *name, const char *array, size_t count)
{
    const vec_array *a = vec_find(set, name, array);

    if (!a)
        fail_msg("%s has no array %s", name, array);
    else if (count && a->count != count)
        fail_msg("%s: %s has %zu elements, not %zu", name, array, a->count, count);
    return a ? a->data : NULL;
}

int vec_case_begins(const vec_set *set, size_t i, const char *kind)
{
    return !strcmp(set->arrays[i].kind, kind) &&
           (i == 0 || strcmp(set->arrays[i].name, set->arrays[i - 1].name) != 0);
}

unsigned long vec_number(const vec_array *array, const char *key)
{
    size_t n = strlen(key);

    for (const char *p = array->params; p; p = strchr(p, ';')) {
        p += *p == ';';
        if (!strncmp(p, key, n) && p[n] == '=')
            return strtoul(p + n + 1, NULL, 10);
    }
    fail_msg("%s has no parameter %s", array->name, key);
    return 0;
}

int vec_has(const vec_array *array, const char *key_value)
{
    size_t n = strlen(key_value);

    for (const char *p = array->params; p; p = strchr(p, ';')) {
        p += *p == ';';
        if (!strncmp(p, key_value, n) && (p[n] == ';' || p[n] == 0))
            return 1;
    }
    return 0;
}
