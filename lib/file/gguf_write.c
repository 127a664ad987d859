/* SPDX-License-Identifier: MIT */
/*
 * lib/file/gguf_write.c - header builder of GGUF version 3
 *
 * Keys in the order they were set, then tensors in the order of their declaration, which
 * is also the order of their data.  The layout is that of gguf_read.c.
 *
 * A model in several files (gguf_splits.c): each is a file of its own, but only the first
 * has the model's keys.  Beside llama.cpp's keys all of them carry the same checksum of the
 * tensors' checksums, LQI_META_SPLIT: files of another writing show.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdio.h>

#include "lib/file/gguf.h"

/* One file: tensors [first, last). */
typedef struct part {
    uint64_t first, last;
    unsigned no, count;
    uint64_t start;         /* of the data, already in the offsets */
} part;

static const char unknown_hash[] = "00000000000000000000000000000000";

static void put32(lqi_buffer *b, uint32_t value)
{
    uint8_t bytes[4];

    lqi_store32(bytes, value);
    lqi_buffer_put(b, bytes, sizeof bytes);
}

static void put64(lqi_buffer *b, uint64_t value)
{
    uint8_t bytes[8];

    lqi_store64(bytes, value);
    lqi_buffer_put(b, bytes, sizeof bytes);
}

static void put_string(lqi_buffer *b, const char *text, uint64_t bytes)
{
    put64(b, bytes);
    lqi_buffer_put(b, text, bytes);
}

/* Key, and what stands before the elements. */
static void put_key_head(lqi_buffer *b, const char *key, lq_meta_type type, int is_array,
                         uint64_t count)
{
    put_string(b, key, strlen(key));
    if (is_array)
        put32(b, LQ_META_ARRAY);
    put32(b, (uint32_t)type);
    if (is_array)
        put64(b, count);
}

static void put_key(lqi_buffer *b, const lqi_key *key)
{
    put_key_head(b, key->key, key->type, key->is_array, key->count);
    if (!key->strings)
        lqi_buffer_put(b, key->data, key->count * lqi_meta_bytes(key->type));
    for (uint64_t i = 0; key->strings && i < key->count; i++)
        put_string(b, key->strings[i], key->string_bytes[i]);
}

static int has_hashes(const lq_writer *w, const part *p)
{
    return w->opts.checksums >= 0 && p->last > p->first;
}

static const char *hash_of(const lqi_out_tensor *t)
{
    return t->xxh3[0] ? t->xxh3 : unknown_hash;
}

static void put_hashes(lqi_buffer *b, const lq_writer *w, const part *p)
{
    put_key_head(b, LQI_META_XXH3, LQ_META_STRING, 1, p->last - p->first);
    for (uint64_t i = p->first; i < p->last; i++)
        put_string(b, hash_of(&w->tensors[i]), sizeof unknown_hash - 1);
}

/* The checksum of all checksums, in the order of the tensors. */
static void put_set_hash(lqi_buffer *b, const lq_writer *w)
{
    char text[sizeof unknown_hash];
    XXH3_state_t state;
    XXH128_hash_t h;

    XXH3_128bits_reset(&state);
    for (uint64_t i = 0; i < w->tensor_count; i++)
        XXH3_128bits_update(&state, hash_of(&w->tensors[i]), sizeof unknown_hash - 1);
    h = XXH3_128bits_digest(&state);
    snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
    put_key_head(b, LQI_META_SPLIT, LQ_META_STRING, 0, 1);
    put_string(b, text, sizeof text - 1);
}

static unsigned split_keys(const lq_writer *w, const part *p)
{
    return p->count < 2 ? 0 : w->opts.checksums >= 0 ? 4 : 3;
}

static void put_split_keys(lqi_buffer *b, const lq_writer *w, const part *p)
{
    uint8_t no[2], count[2];

    lqi_store16(no, (uint16_t)p->no);
    lqi_store16(count, (uint16_t)p->count);
    put_key_head(b, "split.no", LQ_META_U16, 0, 1);
    lqi_buffer_put(b, no, sizeof no);
    put_key_head(b, "split.count", LQ_META_U16, 0, 1);
    lqi_buffer_put(b, count, sizeof count);
    put_key_head(b, "split.tensors.count", LQ_META_I32, 0, 1);
    put32(b, (uint32_t)w->tensor_count);
    if (w->opts.checksums >= 0)
        put_set_hash(b, w);
}

/* Outermost dimensions of 1 are not written; one dimension always is. */
static void put_tensor(lqi_buffer *b, const lqi_out_tensor *t, uint64_t offset)
{
    uint32_t first = 0;

    while (first + 1 < t->n_dims && t->dims[first] == 1)
        first++;
    put_string(b, t->name, strlen(t->name));
    put32(b, t->n_dims ? t->n_dims - first : 1);
    if (t->n_dims == 0)
        put64(b, 1);
    for (uint32_t i = t->n_dims; i > first; i--)
        put64(b, t->dims[i - 1]);
    put32(b, (uint32_t)lqi_gguf_type_number(t->dtype, t->format));
    put64(b, offset);
}

/* general.alignment among the keys; NULL: it is not there. */
static const lqi_key *alignment_key(const lq_writer *w)
{
    for (uint64_t i = 0; i < w->key_count; i++)
        if (strcmp(w->keys[i].key, LQI_GGUF_ALIGN_KEY) == 0)
            return &w->keys[i];
    return NULL;
}

/* The option decides, else the key (of a copied file), else 32. */
static uint32_t choose_alignment(const lq_writer *w)
{
    const lqi_key *key = alignment_key(w);

    if (w->opts.alignment)
        return w->opts.alignment;
    return key ? lqi_load32(key->data) : LQI_GGUF_ALIGNMENT;
}

/* Make the key say what was chosen; the default needs none. */
static lq_status settle_alignment(lq_writer *w)
{
    uint32_t alignment = choose_alignment(w);
    const lqi_key *key = alignment_key(w);

    if (key ? lqi_load32(key->data) == alignment : alignment == LQI_GGUF_ALIGNMENT)
        return LQ_OK;
    return lq_writer_meta(w, LQI_GGUF_ALIGN_KEY, LQ_META_U32, 0, &alignment, 1);
}

static int round_up(uint64_t value, uint64_t alignment, uint64_t *result)
{
    int fits = lqi_add(value, alignment - 1, result);

    *result &= ~(alignment - 1);
    return fits;
}

/* Offsets from the start of the data; *total is the size of the data with padding. */
static int place(lq_writer *w, const part *p, uint64_t alignment, uint64_t *total)
{
    uint64_t at = 0;

    for (uint64_t i = p->first; i < p->last; i++) {
        w->tensors[i].offset = at;
        if (!lqi_add(at, w->tensors[i].bytes, &at) || !round_up(at, alignment, &at))
            return 0;
    }
    *total = at;
    return at <= INT64_MAX;
}

/* Further files have no keys of the model but the one that reading them takes. */
static int wants_key(const part *p, const lqi_key *key)
{
    return p->no == 0 || strcmp(key->key, LQI_GGUF_ALIGN_KEY) == 0;
}

static void build(lqi_buffer *b, const lq_writer *w, const part *p)
{
    uint64_t keys = has_hashes(w, p) + split_keys(w, p);

    for (uint64_t i = 0; i < w->key_count; i++)
        keys += wants_key(p, &w->keys[i]);
    lqi_buffer_text(b, "GGUF");
    put32(b, 3);
    put64(b, p->last - p->first);
    put64(b, keys);
    for (uint64_t i = 0; i < w->key_count; i++)
        if (wants_key(p, &w->keys[i]))
            put_key(b, &w->keys[i]);
    if (split_keys(w, p))
        put_split_keys(b, w, p);
    if (has_hashes(w, p))
        put_hashes(b, w, p);
    for (uint64_t i = p->first; i < p->last; i++)
        put_tensor(b, &w->tensors[i], w->tensors[i].offset - p->start);
}

/* ---------------------------------------------------------------------- files */

static uint64_t cut(const lq_writer *w, uint64_t first)
{
    return lqi_writer_cut(w, first, w->opts.shard_bytes ? w->opts.shard_bytes : UINT64_MAX);
}

static lq_status count_parts(const lq_writer *w, unsigned *count, lq_error *error)
{
    uint64_t n = 1, at = cut(w, 0);

    for (; at < w->tensor_count; n++)
        at = cut(w, at);
    if (n > UINT16_MAX || (n > 1 && w->tensor_count > INT32_MAX))
        return lqi_fail(error, LQ_ERR_LIMIT, NULL, "%llu files, or too many tensors for the "
                        "keys of several files", (unsigned long long)n);
    *count = (unsigned)n;
    return LQ_OK;
}

/* Name of a file of a set, from the path "folder/NAME.gguf".  ARG: too long. */
static lq_status part_name(const lq_writer *w, const part *p, char *name, size_t capacity,
                           lq_error *error)
{
    const char *slash = strrchr(w->path, '/'), *base = slash ? slash + 1 : w->path;
    size_t n = strlen(base);
    int used;

    if (n > 5 && !strcmp(base + n - 5, ".gguf"))
        n -= 5;
    used = p->count == 1 ? snprintf(name, capacity, "%s", base)
                         : snprintf(name, capacity, "%.*s-%05u-of-%05u.gguf", (int)n, base,
                                    p->no + 1, p->count);
    if (used < 0 || (size_t)used >= capacity)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "%s: too long a name", w->path);
    return LQ_OK;
}

/* First time: fix offsets, member and size of the file. */
static lq_status lay_out(lq_writer *w, const part *p, uint64_t header, uint64_t total,
                         lq_error *error)
{
    uint64_t alignment = choose_alignment(w), start;
    char name[256];
    uint32_t member;
    lq_status status;

    if (!round_up(header, alignment, &start) || start > INT64_MAX - total)
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "the file's size does not fit");
    status = part_name(w, p, name, sizeof name, error);
    if (status == LQ_OK)
        status = lqi_output_member(w->output, name, &member, error);
    if (status != LQ_OK)
        return status;
    for (uint64_t i = p->first; i < p->last; i++) {
        w->tensors[i].offset += start;
        w->tensors[i].member = member;
    }
    return lqi_output_reserve(w->output, member, start + total, error);
}

static lq_status first_time(lq_writer *w, const part *p, lqi_buffer *b, lq_error *error)
{
    uint64_t total;

    if (!place(w, p, choose_alignment(w), &total))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "the file's size does not fit");
    build(b, w, p);
    if (b->failed)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    return lay_out(w, p, b->bytes, total, error);
}

static lq_status write_part(lq_writer *w, part *p, lq_error *error)
{
    lqi_buffer b = { .allocator = &w->allocator };
    lq_status status = LQ_OK;

    if (!w->begun) {
        status = first_time(w, p, &b, error);
    } else {
        p->start = p->last > p->first ? w->tensors[p->first].offset : 0;
        build(&b, w, p);
    }
    if (status == LQ_OK && b.failed)
        status = lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    if (status == LQ_OK)
        status = lqi_output_write(w->output, p->no, 0, b.data, b.bytes, error);
    lqi_buffer_free(&b);
    return status;
}

lq_status lqi_gguf_write_header(lq_writer *w, lq_error *error)
{
    part p = { 0 };
    lq_status status = w->begun ? LQ_OK : settle_alignment(w);

    if (status != LQ_OK)
        return lqi_fail(error, status, NULL, "cannot set %s", LQI_GGUF_ALIGN_KEY);
    status = count_parts(w, &p.count, error);
    for (; p.no < p.count && status == LQ_OK; p.no++, p.first = p.last) {
        p.last = cut(w, p.first);
        status = write_part(w, &p, error);
    }
    return status;
}
