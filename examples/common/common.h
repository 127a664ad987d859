/* SPDX-License-Identifier: MIT */
/*
 * examples/common/common.h - what the example programs share: errors end the program
 */
#ifndef EXAMPLE_COMMON_H
#define EXAMPLE_COMMON_H

#include <libquant/libquant.h>

/* Print a message and exit with 1. */
_Noreturn void fail(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* Exit with the library's message unless 'status' is LQ_OK. */
void check(lq_status status, const lq_error *error, const char *what);

/* malloc(count * size), zeroed; exits when it cannot. */
void *allocate(size_t count, size_t size);

/* A whole file, NUL appended; NULL if it cannot be read. */
char *read_file(const char *path, size_t *bytes);

#endif
