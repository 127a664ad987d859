/* SPDX-License-Identifier: MIT */
/*
 * lib/file/safetensors_read.c - the header of a safetensors file
 *
 * Always refused, because two readers could disagree about the content: a name that
 * occurs twice (escapes included), data that overlaps, leaves gaps or does not end with
 * the file, sizes that do not fit the shape.  A file shorter than its header announces is
 * TRUNCATED; bytes behind the last tensor are CORRUPT.
 *
 * Under 'strict' only: unknown members of a tensor, and white space other than blanks
 * behind the header.
 */
#include "lib/file/safetensors.h"

#include "lib/file/order.h"
#include "lib/format/format.h"

const lqi_safetensors_dtype lqi_safetensors_dtypes[] = {
    { "F32", LQ_F32 }, { "F16", LQ_F16 }, { "BF16", LQ_BF16 }, { "F64", LQ_F64 },
    { "F8_E4M3", LQ_F8_E4M3 }, { "F8_E5M2", LQ_F8_E5M2 }, { "F8_E8M0", LQ_E8M0 },
    { "I8", LQ_I8 }, { "U8", LQ_U8 }, { "I16", LQ_I16 }, { "U16", LQ_U16 },
    { "I32", LQ_I32 }, { "U32", LQ_U32 }, { "I64", LQ_I64 }, { "U64", LQ_U64 },
    { "BOOL", LQ_BOOL }, { "", 0 }
};

typedef struct header {
    lq_file    *file;
    const char *path;
    uint32_t    shard;
    uint64_t    data, data_bytes;       /* where the data begins, and its size */
    uint64_t    first_entry, first_key; /* of this shard */
    int         has_metadata;
    lqi_json    json;
    lq_error   *error;
} header;

/* The members of one tensor. */
typedef struct tensor {
    lqi_entry entry;
    uint64_t  at;                       /* of its name, for errors */
    uint64_t  begin, end;
    unsigned  seen;
} tensor;

enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };

static lq_status fail(const header *h, lq_status status, const char *name, uint64_t at,
                      const char *problem)
{
    lqi_where where = { h->path, name, at };
    return lqi_fail(h->error, status, &where, "%s", problem);
}

/* A problem of the current token. */
static lq_status fail_here(const header *h, lq_status status, const char *name,
                           const char *problem)
{
    return fail(h, status, name, 8 + h->json.start, problem);
}

/* The scanner's own error, or 'expected' if it had none. */
static lq_status fail_syntax(const header *h, const char *name, const char *expected)
{
    if (h->json.problem)
        return fail_here(h, h->json.status, name, h->json.problem);
    return fail_here(h, LQ_ERR_FORMAT, name, expected);
}

static lq_status fail_memory(const header *h)
{
    return fail(h, LQ_ERR_NOMEM, NULL, LQ_NO_OFFSET, "out of memory");
}

/* ------------------------------------------------------------------ metadata */

/* 1: a key that an earlier shard had already. */
static int known_from_other_shard(const header *h, const char *key, uint64_t *index)
{
    return h->first_key && lqi_names_find(h->file->key_names, key, index) == 1 &&
           *index < h->first_key;
}

/* Shards repeat common keys such as "format": the first shard's value counts. */
static lq_status repeated_key(const header *h, const lqi_key *key, uint64_t index)
{
    const lqi_key *old = &h->file->keys[index];
    if (!h->file->opts.strict ||
        (old->string_bytes[0] == key->string_bytes[0] &&
         memcmp(old->strings[0], key->strings[0], (size_t)key->string_bytes[0]) == 0))
        return LQ_OK;
    return fail_here(h, LQ_ERR_MISMATCH, key->key, "metadata of the shards differ");
}

static lq_status add_key(header *h, char *name, char *text, uint64_t bytes)
{
    struct { const char *text; uint64_t bytes; } *value;
    value = lqi_arena_alloc(&h->file->arena, sizeof *value);
    if (!value)
        return fail_memory(h);
    value->text = text;
    value->bytes = bytes;
    lqi_key key = { name, LQ_META_STRING, 0, 1, NULL, &value->text, &value->bytes };
    uint64_t index;
    if (known_from_other_shard(h, name, &index))
        return repeated_key(h, &key, index);
    lq_status status = lqi_file_add_key(h->file, &key, NULL);
    if (status == LQ_ERR_DUPLICATE)
        return fail_here(h, status, name, "the metadata key occurs twice");
    if (status != LQ_OK)
        return fail_here(h, status, name, lq_status_text(status));
    return LQ_OK;
}

static lq_status read_metadata(header *h)
{
    lqi_json *json = &h->json;
    lqi_arena *arena = &h->file->arena;
    lqi_json_token token;
    if (h->has_metadata)
        return fail_here(h, LQ_ERR_DUPLICATE, LQI_SAFETENSORS_METADATA, "occurs twice");
    h->has_metadata = 1;
    if (lqi_json_next(json) != LQI_JSON_OBJECT)
        return fail_syntax(h, LQI_SAFETENSORS_METADATA, "not an object");
    while ((token = lqi_json_next(json)) == LQI_JSON_KEY) {
        uint64_t bytes = 0;
        char *name = lqi_json_string(json, arena, NULL);
        if (!name)
            return fail_memory(h);
        if (lqi_json_next(json) != LQI_JSON_STRING)
            return fail_syntax(h, name, "the metadata value is not a string");
        char *text = lqi_json_string(json, arena, &bytes);
        if (!text)
            return fail_memory(h);
        lq_status status = add_key(h, name, text, bytes);
        if (status != LQ_OK)
            return status;
    }
    return token == LQI_JSON_OBJECT_END ? LQ_OK
                                        : fail_syntax(h, LQI_SAFETENSORS_METADATA, "syntax");
}

/* ------------------------------------------------------------------- tensors */

static lq_status read_dtype(header *h, tensor *t)
{
    const lqi_safetensors_dtype *type = lqi_safetensors_dtypes;
    if (lqi_json_next(&h->json) != LQI_JSON_STRING)
        return fail_syntax(h, t->entry.name, "dtype is not a string");
    while (type->dtype && !lqi_json_equals(&h->json, type->name))
        type++;
    if (!type->dtype) {
        char name[24] = "";
        if (h->json.length < sizeof name)
            name[lqi_json_decode(&h->json, name)] = '\0';
        for (char *c = name; *c; c++)
            *c = *c >= ' ' && *c <= '~' ? *c : '?';
        lqi_where where = { h->path, t->entry.name, 8 + h->json.start };
        return lqi_fail(h->error, LQ_ERR_UNSUPPORTED, &where, "dtype '%s' is not supported",
                        name);
    }
    const lqi_format *plain = lqi_format_by_dtype(type->dtype);
    t->entry.dtype = type->dtype;
    t->entry.format = plain ? plain->id : LQ_FORMAT_NONE;
    return LQ_OK;
}

/* An array of at most 'limit' sizes. */
static lq_status read_sizes(header *h, const char *name, uint64_t *sizes, uint32_t limit,
                            uint32_t *count)
{
    lqi_json_token token;
    *count = 0;
    if (lqi_json_next(&h->json) != LQI_JSON_ARRAY)
        return fail_syntax(h, name, "not an array");
    while ((token = lqi_json_next(&h->json)) == LQI_JSON_NUMBER) {
        uint64_t size;
        if (!lqi_json_u64(&h->json, &size))
            return fail_here(h, LQ_ERR_FORMAT, name, "not an integer from 0 to 2^64 - 1");
        if (*count == limit)
            return fail_here(h, LQ_ERR_LIMIT, name, "too many numbers");
        sizes[(*count)++] = size;
    }
    return token == LQI_JSON_ARRAY_END ? LQ_OK : fail_syntax(h, name, "not a number");
}

static lq_status read_offsets(header *h, tensor *t)
{
    uint64_t offsets[2];
    uint32_t count;
    lq_status status = read_sizes(h, t->entry.name, offsets, 2, &count);
    if (status == LQ_ERR_LIMIT || (status == LQ_OK && count != 2))
        return fail_here(h, LQ_ERR_FORMAT, t->entry.name, "data_offsets are not two numbers");
    if (status != LQ_OK)
        return status;
    t->begin = offsets[0];
    t->end = offsets[1];
    return LQ_OK;
}

static lq_status read_member(header *h, tensor *t)
{
    unsigned member = lqi_json_equals(&h->json, "dtype") ? DTYPE :
                      lqi_json_equals(&h->json, "shape") ? SHAPE :
                      lqi_json_equals(&h->json, "data_offsets") ? OFFSETS : 0;
    if (t->seen & member)
        return fail_here(h, LQ_ERR_DUPLICATE, t->entry.name, "a member occurs twice");
    t->seen |= member;
    switch (member) {
    case DTYPE:
        return read_dtype(h, t);
    case SHAPE:
        return read_sizes(h, t->entry.name, t->entry.dims, LQ_MAX_DIMS, &t->entry.n_dims);
    case OFFSETS:
        return read_offsets(h, t);
    default:
        if (h->file->opts.strict)
            return fail_here(h, LQ_ERR_FORMAT, t->entry.name, "unknown member");
        return lqi_json_skip(&h->json) ? LQ_OK : fail_syntax(h, t->entry.name, "syntax");
    }
}

/* Type, shape and place must fit one another and the file. */
static lq_status check_tensor(header *h, tensor *t)
{
    lqi_entry *e = &t->entry;
    if (t->seen != (DTYPE | SHAPE | OFFSETS))
        return fail(h, LQ_ERR_FORMAT, e->name, t->at,
                    !(t->seen & DTYPE) ? "dtype is missing" :
                    !(t->seen & SHAPE) ? "shape is missing" : "data_offsets are missing");
    if (t->begin > t->end)
        return fail(h, LQ_ERR_CORRUPT, e->name, t->at, "the data ends before it begins");
    lq_status status = lqi_entry_bytes(e->dtype, LQ_FORMAT_NONE, e->n_dims, e->dims,
                                       &e->bytes);
    if (status != LQ_OK)
        return fail(h, status, e->name, t->at, "the shape is too large");
    if (e->bytes != t->end - t->begin)
        return fail(h, LQ_ERR_MISMATCH, e->name, t->at,
                    "data_offsets do not fit dtype and shape");
    if (t->end > h->data_bytes)
        return fail(h, LQ_ERR_TRUNCATED, e->name, t->at, "the file ends before the data");
    e->offset = h->data + t->begin;
    return LQ_OK;
}

static lq_status read_tensor(header *h)
{
    lqi_json *json = &h->json;
    lqi_json_token token;
    tensor t = { .entry = { .shard = h->shard }, .at = 8 + json->start };
    t.entry.name = lqi_json_string(json, &h->file->arena, NULL);
    if (!t.entry.name)
        return fail_memory(h);
    if (lqi_json_next(json) != LQI_JSON_OBJECT)
        return fail_syntax(h, t.entry.name, "not an object");
    while ((token = lqi_json_next(json)) == LQI_JSON_KEY) {
        lq_status status = read_member(h, &t);
        if (status != LQ_OK)
            return status;
    }
    if (token != LQI_JSON_OBJECT_END)
        return fail_syntax(h, t.entry.name, "syntax");
    lq_status status = check_tensor(h, &t);
    if (status != LQ_OK)
        return status;
    status = lqi_file_add_entry(h->file, &t.entry, NULL);
    if (status == LQ_ERR_DUPLICATE)
        return fail(h, status, t.entry.name, t.at, "the name occurs twice");
    if (status != LQ_OK)
        return fail(h, status, t.entry.name, t.at, lq_status_text(status));
    return LQ_OK;
}

/* -------------------------------------------------------------------- layout */

static int lies_before(const void *context, uint64_t b, uint64_t a)
{
    const lqi_entry *entries = context;
    if (entries[b].offset != entries[a].offset)
        return entries[b].offset < entries[a].offset;
    return entries[b].bytes < entries[a].bytes;     /* empty ones first */
}

static lq_status check_order(const header *h, const uint64_t *order, uint64_t n)
{
    uint64_t at = h->data;
    for (uint64_t i = 0; i < n; i++) {
        const lqi_entry *e = &h->file->entries[h->first_entry + order[i]];
        if (e->offset != at)
            return fail(h, LQ_ERR_CORRUPT, e->name, e->offset,
                        e->offset < at ? "the data overlaps another tensor's"
                                       : "there is a gap before the data");
        at += e->bytes;
    }
    if (at != h->data + h->data_bytes)
        return fail(h, LQ_ERR_CORRUPT, NULL, at, "bytes follow the last tensor");
    return LQ_OK;
}

/* The tensors cover the data exactly. */
static lq_status check_layout(const header *h)
{
    uint64_t n = h->file->entry_count - h->first_entry;
    if (n == 0)
        return check_order(h, NULL, 0);
    uint64_t *order = lqi_alloc(&h->file->allocator, 2 * n * sizeof *order);
    if (!order)
        return fail_memory(h);
    lqi_order(order, order + n, n, lies_before, h->file->entries + h->first_entry);
    lq_status status = check_order(h, order, n);
    lqi_free(&h->file->allocator, order);
    return status;
}

/* -------------------------------------------------------------------- header */

static lq_status check_padding(const header *h, uint64_t at)
{
    for (; at < h->json.bytes; at++) {
        if (h->json.text[at] != ' ')
            return fail(h, LQ_ERR_FORMAT, NULL, 8 + at, "the header is padded with other "
                                                        "characters than spaces");
    }
    return LQ_OK;
}

static lq_status read_header(header *h)
{
    lqi_json *json = &h->json;
    lqi_json_token token;
    if (json->bytes == 0 || json->text[0] != '{')
        return fail(h, LQ_ERR_FORMAT, NULL, 8, "the header does not begin with '{'");
    lqi_json_next(json);
    while ((token = lqi_json_next(json)) == LQI_JSON_KEY) {
        lq_status status = lqi_json_equals(json, LQI_SAFETENSORS_METADATA)
                           ? read_metadata(h) : read_tensor(h);
        if (status != LQ_OK)
            return status;
    }
    uint64_t end = json->at;
    if (token != LQI_JSON_OBJECT_END || lqi_json_next(json) != LQI_JSON_END)
        return fail_syntax(h, NULL, "syntax");
    lq_status status = h->file->opts.strict ? check_padding(h, end) : LQ_OK;
    return status == LQ_OK ? check_layout(h) : status;
}

static lq_status header_bytes(const header *h, const lqi_source *source, uint64_t *bytes)
{
    uint8_t field[8];
    uint64_t size = lqi_source_bytes(source);
    if (size < sizeof field)
        return fail(h, LQ_ERR_TRUNCATED, NULL, size, "too short for a safetensors file");
    lq_status status = lqi_source_read(source, 0, field, sizeof field, h->error);
    if (status != LQ_OK)
        return status;
    *bytes = lqi_load64(field);
    if (*bytes > h->file->opts.max_header)
        return fail(h, LQ_ERR_LIMIT, NULL, 0, "the header is too long");
    if (*bytes > size - sizeof field)
        return fail(h, LQ_ERR_TRUNCATED, NULL, size, "the file ends inside its header");
    return LQ_OK;
}

lq_status lqi_safetensors_read(lq_file *file, uint32_t shard, lq_error *error)
{
    const lqi_source *source = file->sources[shard];
    header h = { .file = file, .path = lqi_source_path(source), .shard = shard,
                 .first_entry = file->entry_count, .first_key = file->key_count,
                 .error = error };
    uint64_t bytes = 0;
    lq_status status = header_bytes(&h, source, &bytes);
    if (status != LQ_OK)
        return status;
    h.data = 8 + bytes;
    h.data_bytes = lqi_source_bytes(source) - h.data;
    const uint8_t *text = lqi_source_data(source);
    uint8_t *copy = NULL;
    if (text) {
        text += 8;
    } else if (bytes) {
        text = copy = lqi_alloc(&file->allocator, bytes);
        if (!copy)
            return fail_memory(&h);
        status = lqi_source_read(source, 8, copy, bytes, error);
    }
    if (status == LQ_OK) {
        lqi_json_start(&h.json, text, bytes);
        status = read_header(&h);
    }
    lqi_free(&file->allocator, copy);
    return status;
}
