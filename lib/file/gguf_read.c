/* SPDX-License-Identifier: MIT */
/*
 * lib/file/gguf_read.c - parser of GGUF, versions 2 and 3, little-endian
 *
 *     "GGUF" | u32 version | u64 tensors | u64 keys
 *     keys times:    string key | u32 type | value
 *     tensors times: string name | u32 n_dims | u64 dims[n_dims] | u32 type | u64 offset
 *     zeros up to the alignment
 *     data; each tensor padded with zeros to the alignment
 *
 *     string = u64 length, bytes        array = u32 element type, u64 count, elements
 *
 * Dimensions stand innermost first (row length, rows, experts...); we turn them round.
 * Offsets count from the start of the data and must follow from the sizes: a file that
 * says otherwise is refused, as llama.cpp does.
 *
 * Every count is compared with the bytes that are left before memory is allocated, so a
 * small file cannot ask for a lot of it.
 */
#include "lib/file/gguf.h"
#include "lib/format/format.h"

#define WINDOW       ((uint64_t)64 << 10)
#define KEY_BYTES    65535         /* of a key, strict */
#define KEY_MIN      14            /* bytes of the smallest key: length, 'k', type, u8 */
#define TENSOR_MIN   24            /* of the smallest tensor: no name, no dims */

typedef struct cursor {
    lq_file          *file;
    const lqi_source *source;
    lq_error         *error;
    uint64_t          at, end;     /* position, size of the file */
    const uint8_t    *window;      /* bytes [from, from + length) of the file */
    uint8_t          *buffer;      /* NULL: the whole file is the window */
    uint64_t          from, length;
    const char       *name;        /* key or tensor being read, for errors */
    uint32_t          shard;
} cursor;

#define FAIL(c, status, ...) \
    lqi_fail((c)->error, (status), \
             &(lqi_where){ lqi_source_path((c)->source), (c)->name, (c)->at }, __VA_ARGS__)

#define ULL(x) ((unsigned long long)(x))

/* ------------------------------------------------------------------- bytes */

static lq_status truncated(cursor *c, uint64_t bytes)
{
    return FAIL(c, LQ_ERR_TRUNCATED, "%llu bytes announced, %llu left in the file",
                ULL(bytes), ULL(c->end - c->at));
}

/* 'bytes' more bytes exist and the header stays within its limit. */
static lq_status need(cursor *c, uint64_t bytes)
{
    if (bytes > c->end - c->at)
        return truncated(c, bytes);
    if (c->at + bytes > c->file->opts.max_header)
        return FAIL(c, LQ_ERR_LIMIT, "the header is larger than %llu bytes",
                    ULL(c->file->opts.max_header));
    return LQ_OK;
}

static lq_status refill(cursor *c)
{
    uint64_t length = lqi_min(WINDOW, c->end - c->at);
    lq_status status = lqi_source_read(c->source, c->at, c->buffer, length, c->error);

    c->from = c->at;
    c->length = status == LQ_OK ? length : 0;
    return status;
}

static lq_status take(cursor *c, void *out, uint64_t bytes)
{
    lq_status status = need(c, bytes);

    if (status != LQ_OK || bytes == 0)
        return status;
    if (c->buffer && (c->at < c->from || c->at + bytes > c->from + c->length)) {
        if (bytes > WINDOW)
            status = lqi_source_read(c->source, c->at, out, bytes, c->error);
        else
            status = refill(c);
        if (status != LQ_OK)
            return status;
    }
    if (!c->buffer || bytes <= WINDOW)
        memcpy(out, c->window + (c->at - c->from), (size_t)bytes);
    c->at += bytes;
    return LQ_OK;
}

static lq_status take32(cursor *c, uint32_t *value)
{
    uint8_t b[4];
    lq_status status = take(c, b, sizeof b);

    if (status == LQ_OK)
        *value = lqi_load32(b);
    return status;
}

static lq_status take64(cursor *c, uint64_t *value)
{
    uint8_t b[8];
    lq_status status = take(c, b, sizeof b);

    if (status == LQ_OK)
        *value = lqi_load64(b);
    return status;
}

/* A string of any bytes, in the arena and terminated. */
static lq_status take_string(cursor *c, uint64_t limit, char **text, uint64_t *bytes)
{
    uint64_t n;
    lq_status status = take64(c, &n);

    if (status == LQ_OK)
        status = need(c, n);
    if (status != LQ_OK)
        return status;
    if (n > limit)
        return FAIL(c, LQ_ERR_LIMIT, "a name of %llu bytes; %llu are allowed", ULL(n),
                    ULL(limit));
    *text = lqi_arena_text(&c->file->arena, NULL, n);
    if (!*text)
        return FAIL(c, LQ_ERR_NOMEM, "out of memory");
    *bytes = n;
    return take(c, *text, n);
}

/* A name: no NUL, since it is handed out as a C string; strict: UTF-8. */
static lq_status take_name(cursor *c, uint64_t limit, char **text)
{
    uint64_t bytes;
    lq_status status;

    c->name = NULL;
    status = take_string(c, limit, text, &bytes);
    if (status != LQ_OK)
        return status;
    c->name = *text;
    if (memchr(*text, 0, (size_t)bytes))
        return FAIL(c, LQ_ERR_CORRUPT, "a name with a NUL byte");
    if (c->file->opts.strict && !lqi_utf8_valid(*text, bytes))
        return FAIL(c, LQ_ERR_CORRUPT, "a name that is not UTF-8");
    return LQ_OK;
}

/* -------------------------------------------------------------------- keys */

static lq_status take_numbers(cursor *c, lqi_key *key)
{
    uint64_t size = lqi_meta_bytes(key->type);
    uint8_t *data;
    lq_status status;

    if (size == 0)
        return FAIL(c, LQ_ERR_UNSUPPORTED, "value type %u", (unsigned)key->type);
    if (key->count > (c->end - c->at) / size)
        return FAIL(c, LQ_ERR_TRUNCATED, "%llu elements of %llu bytes announced, %llu bytes "
                    "left in the file", ULL(key->count), ULL(size), ULL(c->end - c->at));
    status = need(c, key->count * size);
    if (status != LQ_OK)
        return status;
    data = lqi_arena_alloc(&c->file->arena, key->count * size);
    if (!data)
        return FAIL(c, LQ_ERR_NOMEM, "out of memory");
    key->data = data;
    status = take(c, data, key->count * size);
    if (status != LQ_OK || key->type != LQ_META_BOOL || !c->file->opts.strict)
        return status;
    for (uint64_t i = 0; i < key->count; i++)
        if (data[i] > 1)
            return FAIL(c, LQ_ERR_CORRUPT, "a truth value of %u", data[i]);
    return LQ_OK;
}

static lq_status take_strings(cursor *c, lqi_key *key)
{
    char *text;
    lq_status status;

    if (key->count > (c->end - c->at) / 8)
        return FAIL(c, LQ_ERR_TRUNCATED, "%llu strings announced, %llu bytes left in the file",
                    ULL(key->count), ULL(c->end - c->at));
    status = need(c, key->count * 8);
    if (status != LQ_OK)
        return status;
    key->strings = lqi_arena_alloc(&c->file->arena, key->count * sizeof *key->strings);
    key->string_bytes = lqi_arena_alloc(&c->file->arena,
                                        key->count * sizeof *key->string_bytes);
    if (!key->strings || !key->string_bytes)
        return FAIL(c, LQ_ERR_NOMEM, "out of memory");
    for (uint64_t i = 0; i < key->count; i++) {
        status = take_string(c, UINT64_MAX, &text, &key->string_bytes[i]);
        if (status != LQ_OK)
            return status;
        key->strings[i] = text;
    }
    return LQ_OK;
}

static lq_status take_value(cursor *c, lqi_key *key)
{
    uint32_t type;
    lq_status status = take32(c, &type);

    key->count = 1;
    if (status == LQ_OK && type == LQ_META_ARRAY) {
        key->is_array = 1;
        status = take32(c, &type);
        if (status == LQ_OK)
            status = take64(c, &key->count);
        if (status == LQ_OK && type == LQ_META_ARRAY)
            return FAIL(c, LQ_ERR_UNSUPPORTED, "an array of arrays");
    }
    if (status != LQ_OK)
        return status;
    if (type > LQ_META_F64)
        return FAIL(c, LQ_ERR_UNSUPPORTED, "value type %u", (unsigned)type);
    key->type = (lq_meta_type)type;
    return type == LQ_META_STRING ? take_strings(c, key) : take_numbers(c, key);
}

static lq_status take_key(cursor *c)
{
    lqi_key key = { 0 };
    uint64_t limit = c->file->opts.strict ? KEY_BYTES : UINT64_MAX;
    lq_status status = take_name(c, limit, &key.key);

    if (status != LQ_OK)
        return status;
    if (!key.key[0])
        return FAIL(c, LQ_ERR_CORRUPT, "an empty key");
    status = take_value(c, &key);
    if (status != LQ_OK)
        return status;
    return lqi_file_add_key(c->file, &key, c->error);
}

static lq_status take_alignment(cursor *c, uint64_t *alignment)
{
    const lqi_key *key;
    uint64_t index;
    uint32_t value;

    *alignment = LQI_GGUF_ALIGNMENT;
    if (!lqi_names_find(c->file->key_names, LQI_GGUF_ALIGN_KEY, &index))
        return LQ_OK;
    key = &c->file->keys[index];
    c->name = key->key;
    if (key->type != LQ_META_U32 || key->is_array)
        return FAIL(c, LQ_ERR_CORRUPT, "the alignment is no u32");
    value = lqi_load32(key->data);
    if (value == 0 || (value & (value - 1)) != 0 || value > LQI_GGUF_ALIGN_MAX)
        return FAIL(c, LQ_ERR_CORRUPT, "an alignment of %u: no power of two up to %u",
                    (unsigned)value, LQI_GGUF_ALIGN_MAX);
    if (c->file->opts.strict && value < 8)
        return FAIL(c, LQ_ERR_CORRUPT, "an alignment of %u, below 8", (unsigned)value);
    *alignment = value;
    return LQ_OK;
}

/* ----------------------------------------------------------------- tensors */

static lq_status take_dims(cursor *c, lqi_entry *entry)
{
    uint32_t n;
    lq_status status = take32(c, &n);

    if (status != LQ_OK)
        return status;
    if (n > LQI_GGUF_DIMS)
        return FAIL(c, LQ_ERR_LIMIT, "%u dimensions; %d are allowed", (unsigned)n,
                    LQI_GGUF_DIMS);
    entry->n_dims = n;
    for (uint32_t i = 0; i < n; i++) {
        status = take64(c, &entry->dims[n - 1 - i]);
        if (status != LQ_OK)
            return status;
        if (entry->dims[n - 1 - i] > INT64_MAX)
            return FAIL(c, LQ_ERR_OVERFLOW, "dimension %u is negative or above 2^63",
                        (unsigned)i);
    }
    return LQ_OK;
}

static lq_status take_type(cursor *c, lqi_entry *entry)
{
    const lqi_format *format;
    const lqi_gguf_type *type;
    uint32_t number;
    lq_status status = take32(c, &number);

    if (status != LQ_OK)
        return status;
    type = lqi_gguf_type_get(number);
    if (!type)
        return FAIL(c, LQ_ERR_UNSUPPORTED, "tensor type %d", (int)(int32_t)number);
    format = lqi_format_by_gguf(number);
    entry->dtype = type->dtype;
    if (format)
        entry->format = format->id;
    else if (!type->dtype)
        entry->format = LQI_GGUF_TYPE_BASE + (lq_format)number;
    return LQ_OK;
}

static lq_status take_size(cursor *c, lqi_entry *entry)
{
    lq_status status = lqi_entry_bytes(entry->dtype, entry->format, entry->n_dims,
                                       entry->dims, &entry->bytes);

    if (status == LQ_ERR_SHAPE)
        return FAIL(c, status, "rows of %llu elements are not whole blocks of its type",
                    ULL(entry->n_dims ? entry->dims[entry->n_dims - 1] : 1));
    if (status != LQ_OK)
        return FAIL(c, status, "its size does not fit 64 bits");
    return LQ_OK;
}

/* Reads one tensor; its offset stays relative to the data section. */
static lq_status take_tensor(cursor *c)
{
    lqi_entry entry = { 0 };
    lq_status status = take_name(c, LQI_GGUF_NAME, &entry.name);

    if (status != LQ_OK)
        return status;
    if (c->file->opts.strict && !entry.name[0])
        return FAIL(c, LQ_ERR_CORRUPT, "a tensor without a name");
    entry.shard = c->shard;
    status = take_dims(c, &entry);
    if (status == LQ_OK)
        status = take_type(c, &entry);
    if (status == LQ_OK)
        status = take64(c, &entry.offset);
    if (status == LQ_OK)
        status = take_size(c, &entry);
    if (status != LQ_OK)
        return status;
    return lqi_file_add_entry(c->file, &entry, c->error);
}

/* ------------------------------------------------------------------ layout */

static int round_up(uint64_t value, uint64_t alignment, uint64_t *result)
{
    int fits = lqi_add(value, alignment - 1, result);

    *result &= ~(alignment - 1);
    return fits;
}

/* Offsets follow from sizes; make them absolute.  'first': of this file's entries. */
static lq_status place(cursor *c, uint64_t first, uint64_t data, uint64_t alignment)
{
    uint64_t expected = 0, end;

    for (uint64_t i = first; i < c->file->entry_count; i++) {
        lqi_entry *e = &c->file->entries[i];
        c->name = e->name;
        if (e->offset != expected)
            return FAIL(c, LQ_ERR_CORRUPT, "offset %llu, %llu expected", ULL(e->offset),
                        ULL(expected));
        if (!lqi_add(expected, e->bytes, &end) || end > c->end - data)
            return FAIL(c, LQ_ERR_TRUNCATED, "%llu bytes at %llu, but the file ends at %llu",
                        ULL(e->bytes), ULL(data + expected), ULL(c->end));
        e->offset = data + expected;
        if (!round_up(end, alignment, &expected))
            return FAIL(c, LQ_ERR_OVERFLOW, "its end does not fit 64 bits");
    }
    c->name = NULL;
    if (!c->file->opts.strict)
        return LQ_OK;
    if (expected > c->end - data)
        return FAIL(c, LQ_ERR_TRUNCATED, "padding after the last tensor is missing");
    if (expected < c->end - data)
        return FAIL(c, LQ_ERR_CORRUPT, "%llu bytes after the data",
                    ULL(c->end - data - expected));
    return LQ_OK;
}

static lq_status take_all(cursor *c, uint64_t tensors, uint64_t keys)
{
    uint64_t first = c->file->entry_count, alignment, data;
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < keys && status == LQ_OK; i++)
        status = take_key(c);
    if (status == LQ_OK)
        status = take_alignment(c, &alignment);
    for (uint64_t i = 0; i < tensors && status == LQ_OK; i++)
        status = take_tensor(c);
    if (status != LQ_OK)
        return status;
    c->name = NULL;
    if (!round_up(c->at, alignment, &data) || data > c->end)
        return FAIL(c, LQ_ERR_TRUNCATED, "the file ends before its data begin");
    return place(c, first, data, alignment);
}

/* A count that the rest of the file cannot hold: absurd, or the file was cut. */
static lq_status check_count(cursor *c, uint64_t count, uint64_t limit, uint64_t smallest,
                             const char *what)
{
    if (count > limit)
        return FAIL(c, LQ_ERR_LIMIT, "%llu %s; %llu are allowed", ULL(count), what, ULL(limit));
    if (count > (c->end - c->at) / smallest)
        return FAIL(c, LQ_ERR_TRUNCATED, "%llu %s announced, %llu bytes left in the file",
                    ULL(count), what, ULL(c->end - c->at));
    return LQ_OK;
}

static lq_status take_version(cursor *c)
{
    uint8_t magic[4];
    uint32_t version;
    lq_status status = take(c, magic, sizeof magic);

    if (status == LQ_OK && memcmp(magic, "GGUF", 4) != 0) {
        c->at = 0;
        return FAIL(c, LQ_ERR_FORMAT, "not a GGUF file");
    }
    if (status == LQ_OK)
        status = take32(c, &version);
    if (status != LQ_OK)
        return status;
    if (version == 0)
        return FAIL(c, LQ_ERR_FORMAT, "GGUF version 0");
    if (version == 1)
        return FAIL(c, LQ_ERR_UNSUPPORTED, "GGUF version 1; convert it with an old llama.cpp");
    if ((version & 0xffff) == 0)
        return FAIL(c, LQ_ERR_UNSUPPORTED, "a big-endian GGUF file");
    if (version > 3)
        return FAIL(c, LQ_ERR_UNSUPPORTED, "GGUF version %u", (unsigned)version);
    return LQ_OK;
}

static lq_status take_file(cursor *c)
{
    uint64_t tensors, keys;
    lq_status status = take_version(c);

    if (status == LQ_OK)
        status = take64(c, &tensors);
    if (status == LQ_OK)
        status = take64(c, &keys);
    if (status == LQ_OK)
        status = check_count(c, tensors, c->file->opts.max_tensors, TENSOR_MIN, "tensors");
    if (status == LQ_OK)
        status = check_count(c, keys, c->file->opts.max_header / KEY_MIN, KEY_MIN, "keys");
    return status == LQ_OK ? take_all(c, tensors, keys) : status;
}

lq_status lqi_gguf_read(lq_file *file, uint32_t shard, lq_error *error)
{
    const lqi_source *source = file->sources[shard];
    cursor c = { .file = file, .source = source, .error = error, .shard = shard,
                 .end = lqi_source_bytes(source) };
    lq_status status;

    c.window = lqi_source_data(source);
    c.length = c.end;
    if (!c.window) {
        c.buffer = lqi_alloc(&file->allocator, WINDOW);
        if (!c.buffer)
            return FAIL(&c, LQ_ERR_NOMEM, "out of memory");
        c.window = c.buffer;
        c.length = 0;
    }
    status = take_file(&c);
    lqi_free(&file->allocator, c.buffer);
    return status;
}
