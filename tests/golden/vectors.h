/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/vectors.h - reference arrays in tests/data/<set>/{index.tsv,vectors.bin}
 *
 * A line of the index: case, kind, params ("key=value;..."), array, dtype, count, offset.
 * Everything here fails the test when something is missing.
 */
#ifndef TEST_VECTORS_H
#define TEST_VECTORS_H

#include <stddef.h>
#include <stdint.h>

typedef struct vec_array {
    char        name[48], kind[24], params[96], array[40], dtype[8];
    size_t      count;
    const void *data;       /* aligned to 4 bytes */
} vec_array;

typedef struct vec_set {
    void      *bytes;
    vec_array *arrays;
    size_t     count;
} vec_set;

void vec_open(vec_set *set, const char *name);
void vec_close(vec_set *set);

/* Array of a case; NULL if it has none. */
const vec_array *vec_find(const vec_set *set, const char *name, const char *array);

/* Data of an array that must be there with 'count' elements (0: any). */
const void *vec_data(const vec_set *set, const char *name, const char *array, size_t count);

/* 1 if the arrays[i] is the first of its case, which is of this kind. */
int vec_case_begins(const vec_set *set, size_t i, const char *kind);

/* Number after "key=" in params; 1 if "key=text" is there. */
unsigned long vec_number(const vec_array *array, const char *key);
int           vec_has(const vec_array *array, const char *key_value);

#endif
