/* SPDX-License-Identifier: MIT */
/*
 * lib/base/memory.c - memory through the caller's allocator
 */
#include <stdlib.h>

#include "lib/base/base.h"

/*
 * Aligned memory from malloc(), whose own address is kept before it.  glibc's
 * posix_memalign (before 2.38) does not find again what was freed, so that work memory
 * would be fresh pages in every call.
 */
static void *aligned_malloc(size_t size)
{
    uint8_t *whole = malloc(size + LQI_ALIGN), *memory;

    if (!whole)
        return NULL;
    memory = whole + LQI_ALIGN - (uintptr_t)whole % LQI_ALIGN;
    memcpy(memory - sizeof whole, &whole, sizeof whole);
    return memory;
}

static void aligned_free(void *memory)
{
    void *whole;

    if (!memory)
        return;
    memcpy(&whole, (uint8_t *)memory - sizeof whole, sizeof whole);
    free(whole);
}

void *lqi_alloc(const lq_allocator *allocator, uint64_t size)
{
    if (size == 0 || size > SIZE_MAX - LQI_ALIGN)
        return NULL;
    if (allocator->alloc)
        return allocator->alloc(allocator->user, (size_t)size, LQI_ALIGN);
    return aligned_malloc((size_t)size);
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
        aligned_free(memory);
}

char *lqi_strdup(const lq_allocator *allocator, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = lqi_alloc(allocator, bytes);

    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}
