/* SPDX-License-Identifier: MIT */
/*
 * lib/file/arena.c - memory and names of an opened file
 *
 * Headers of files announce up to a million names.  They go into few large chunks, and
 * into a hash map, so that opening takes linear time whatever the names are.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/file/file.h"

/* -------------------------------------------------------------------- arena */

#define CHUNK_MIN ((uint64_t)4 << 10)
#define CHUNK_MAX ((uint64_t)1 << 20)

/* Header of a chunk; its bytes follow, 64-byte aligned like the chunk. */
struct lqi_chunk {
    struct lqi_chunk *next;
    uint64_t          used, capacity;
    uint8_t           pad[40];
};

/* A chunk with room for 'bytes', first in the list, or NULL. */
static struct lqi_chunk *grow(lqi_arena *arena, uint64_t bytes)
{
    uint64_t capacity = arena->chunks ? lqi_min(arena->chunks->capacity * 2, CHUNK_MAX)
                                      : CHUNK_MIN;
    struct lqi_chunk *chunk;
    uint64_t size;

    if (capacity < bytes)
        capacity = bytes;
    if (!lqi_add(capacity, sizeof *chunk, &size))
        return NULL;
    chunk = lqi_alloc(arena->allocator, size);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    chunk->used = 0;
    chunk->capacity = capacity;
    arena->chunks = chunk;
    return chunk;
}

static void *take(lqi_arena *arena, uint64_t bytes, uint64_t align)
{
    struct lqi_chunk *chunk = arena->chunks;
    uint64_t at = chunk ? (chunk->used + align - 1) / align * align : 0;

    if (!chunk || at > chunk->capacity || bytes > chunk->capacity - at) {
        chunk = grow(arena, bytes);
        at = 0;
    }
    if (!chunk)
        return NULL;
    chunk->used = at + bytes;
    return (uint8_t *)(chunk + 1) + at;
}

void *lqi_arena_alloc(lqi_arena *arena, uint64_t bytes)
{
    return take(arena, bytes ? bytes : 1, 16);
}

char *lqi_arena_text(lqi_arena *arena, const void *text, uint64_t bytes)
{
    char *copy = bytes < UINT64_MAX ? take(arena, bytes + 1, 1) : NULL;

    if (!copy)
        return NULL;
    if (bytes > 0 && text)
        memcpy(copy, text, (size_t)bytes);
    copy[bytes] = '\0';
    return copy;
}

void lqi_arena_free(lqi_arena *arena)
{
    while (arena->chunks) {
        struct lqi_chunk *next = arena->chunks->next;
        lqi_free(arena->allocator, arena->chunks);
        arena->chunks = next;
    }
}

/* -------------------------------------------------------------------- names */

struct slot {
    const char *text;      /* NULL: free */
    uint64_t    hash, index;
};

struct lqi_names {
    lq_allocator allocator;
    struct slot *slots;
    uint64_t     capacity; /* a power of two, at least 4/3 of count */
    uint64_t     count;
};

/* Seeded with an address, so that nobody can prepare a file of colliding names. */
static uint64_t hash_of(const lqi_names *names, const char *text)
{
    return XXH3_64bits_withSeed(text, strlen(text), (uint64_t)(uintptr_t)names);
}

/* The slot that holds 'text', or the free one where it belongs. */
static struct slot *probe(const lqi_names *names, const char *text, uint64_t hash)
{
    uint64_t i = hash & (names->capacity - 1);

    while (names->slots[i].text &&
           (names->slots[i].hash != hash || strcmp(names->slots[i].text, text) != 0))
        i = (i + 1) & (names->capacity - 1);
    return &names->slots[i];
}

static int resize(lqi_names *names, uint64_t capacity)
{
    struct slot *old = names->slots;
    uint64_t old_capacity = names->capacity, bytes;

    if (!lqi_mul(capacity, sizeof *old, &bytes))
        return 0;
    names->slots = lqi_alloc_zero(&names->allocator, bytes);
    if (!names->slots) {
        names->slots = old;
        return 0;
    }
    names->capacity = capacity;
    for (uint64_t i = 0; i < old_capacity; i++)
        if (old[i].text)
            *probe(names, old[i].text, old[i].hash) = old[i];
    lqi_free(&names->allocator, old);
    return 1;
}

lqi_names *lqi_names_create(const lq_allocator *a, uint64_t expected)
{
    lqi_names *names = lqi_alloc_zero(a, sizeof *names);
    uint64_t capacity = 16;

    if (!names)
        return NULL;
    names->allocator = *a;
    while (capacity / 4 * 3 < expected && capacity < (uint64_t)1 << 22)
        capacity *= 2;
    if (!resize(names, capacity)) {
        lqi_free(a, names);
        return NULL;
    }
    return names;
}

void lqi_names_destroy(lqi_names *names)
{
    lq_allocator a;

    if (!names)
        return;
    a = names->allocator;
    lqi_free(&a, names->slots);
    lqi_free(&a, names);
}

int lqi_names_add(lqi_names *names, const char *text, uint64_t *index)
{
    uint64_t hash = hash_of(names, text);
    struct slot *slot = probe(names, text, hash);

    if (slot->text) {
        *index = slot->index;
        return 0;
    }
    if (names->count >= names->capacity / 4 * 3) {
        if (!resize(names, names->capacity * 2))
            return -1;
        slot = probe(names, text, hash);
    }
    slot->text = text;
    slot->hash = hash;
    slot->index = names->count++;
    *index = slot->index;
    return 1;
}

int lqi_names_find(const lqi_names *names, const char *text, uint64_t *index)
{
    const struct slot *slot;

    if (!names)
        return 0;
    slot = probe(names, text, hash_of(names, text));
    if (!slot->text)
        return 0;
    *index = slot->index;
    return 1;
}

/* --------------------------------------------------------------------- text */

/* Bytes of the sequence that begins with 'lead', 0 if none does. */
static unsigned sequence_bytes(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

/* 1 unless the sequence at s is overlong, a surrogate or above U+10FFFF. */
static int second_byte_fits(const uint8_t *s)
{
    switch (s[0]) {
    case 0xe0: return s[1] >= 0xa0;
    case 0xed: return s[1] < 0xa0;
    case 0xf0: return s[1] >= 0x90;
    case 0xf4: return s[1] < 0x90;
    default:   return 1;
    }
}

int lqi_utf8_valid(const char *text, uint64_t bytes)
{
    const uint8_t *s = (const uint8_t *)text;

    for (uint64_t i = 0; i < bytes;) {
        unsigned n = sequence_bytes(s[i]);
        if (n == 0 || s[i] == 0 || n > bytes - i)
            return 0;
        for (unsigned k = 1; k < n; k++)
            if ((s[i + k] & 0xc0) != 0x80)
                return 0;
        if (n > 1 && !second_byte_fits(s + i))
            return 0;
        i += n;
    }
    return 1;
}
