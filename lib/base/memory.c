/* SPDX-License-Identifier: MIT */
/*
 * lib/base/memory.c - memory through the caller's allocator
 */
#include <stdlib.h>

#include "lib/base/base.h"

void *lqi_alloc(const lq_allocator *allocator, uint64_t size)
{
    void *memory = NULL;

    if (size == 0 || size > SIZE_MAX - LQI_ALIGN)
        return NULL;
    if (allocator->alloc)
        return allocator->alloc(allocator->user, (size_t)size, LQI_ALIGN);
    return posix_memalign(&memory, LQI_ALIGN, (size_t)size) == 0 ? memory : NULL;
}

void *lqi_alloc_zero(const lq_allocator *allocator, uint64_t size)
{
    void *memory = lqi_alloc(allocator, size);

    if (memory)
        memset(memory, 0, (size_t)size);
    return memory;
}

void lqi_free(const lq_allocator *allocator, void *memory)
{
    if (allocator->alloc)
        allocator->free(allocator->user, memory);
    else
        free(memory);
}

char *lqi_strdup(const lq_allocator *allocator, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = lqi_alloc(allocator, bytes);

    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}
