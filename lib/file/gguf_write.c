/* SPDX-License-Identifier: MIT */
/*
 * lib/file/gguf_write.c - header builder of GGUF version 3
 *
 * Keys in the order they were set, then tensors in the order of their declaration, which
 * is also the order of their data.  The layout is that of gguf_read.c.
 */
#include "lib/file/gguf.h"

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

static int has_hashes(const lq_writer *w)
{
    return w->opts.checksums >= 0 && w->tensor_count > 0;
}

static void put_hashes(lqi_buffer *b, const lq_writer *w)
{
    put_key_head(b, LQI_META_XXH3, LQ_META_STRING, 1, w->tensor_count);
    for (uint64_t i = 0; i < w->tensor_count; i++)
        put_string(b, w->tensors[i].xxh3[0] ? w->tensors[i].xxh3 : unknown_hash,
                   sizeof unknown_hash - 1);
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
static int place(lq_writer *w, uint64_t alignment, uint64_t *total)
{
    uint64_t at = 0;

    for (uint64_t i = 0; i < w->tensor_count; i++) {
        w->tensors[i].offset = at;
        if (!lqi_add(at, w->tensors[i].bytes, &at) || !round_up(at, alignment, &at))
            return 0;
    }
    *total = at;
    return at <= INT64_MAX;
}

/* 'start': of the data, already in the offsets when the header is written again. */
static void build(lqi_buffer *b, const lq_writer *w, uint64_t start)
{
    lqi_buffer_text(b, "GGUF");
    put32(b, 3);
    put64(b, w->tensor_count);
    put64(b, w->key_count + has_hashes(w));
    for (uint64_t i = 0; i < w->key_count; i++)
        put_key(b, &w->keys[i]);
    if (has_hashes(w))
        put_hashes(b, w);
    for (uint64_t i = 0; i < w->tensor_count; i++)
        put_tensor(b, &w->tensors[i], w->tensors[i].offset - start);
}

/* First time: fix offsets, member and size of the file. */
static lq_status lay_out(lq_writer *w, uint64_t header, uint64_t total, lq_error *error)
{
    uint64_t alignment = choose_alignment(w), start;
    uint32_t member;
    lq_status status;

    if (!round_up(header, alignment, &start) || start > INT64_MAX - total)
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "the file's size does not fit");
    for (uint64_t i = 0; i < w->tensor_count; i++)
        w->tensors[i].offset += start;
    status = lqi_output_member(w->output, NULL, &member, error);
    if (status != LQ_OK)
        return status;
    return lqi_output_reserve(w->output, member, start + total, error);
}

static lq_status first_time(lq_writer *w, lqi_buffer *b, lq_error *error)
{
    uint64_t total;
    lq_status status = settle_alignment(w);

    if (status != LQ_OK)
        return lqi_fail(error, status, NULL, "cannot set %s", LQI_GGUF_ALIGN_KEY);
    if (!place(w, choose_alignment(w), &total))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "the file's size does not fit");
    build(b, w, 0);
    if (b->failed)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    return lay_out(w, b->bytes, total, error);
}

lq_status lqi_gguf_write_header(lq_writer *w, lq_error *error)
{
    lqi_buffer b = { .allocator = &w->allocator };
    lq_status status = LQ_OK;

    if (!w->begun)
        status = first_time(w, &b, error);
    else
        build(&b, w, w->tensor_count ? w->tensors[0].offset : 0);
    if (status == LQ_OK && b.failed)
        status = lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    if (status == LQ_OK)
        status = lqi_output_write(w->output, 0, 0, b.data, b.bytes, error);
    lqi_buffer_free(&b);
    return status;
}
