/* SPDX-License-Identifier: MIT */
/*
 * lib/file/writer.c - lq_writer_*: order of calls, completeness, checksums
 *
 * Checksums are computed while the bytes pass by.  The header holds placeholders of the
 * same length until finish writes it a second time.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdio.h>

#include "lib/core/core.h"
#include "lib/file/gguf.h"

#define KEY_BYTES   65535   /* of a metadata key */
#define COUNT_MAX   ((uint64_t)1 << 32)   /* elements of a metadata value */
#define NAME_BYTES  4096    /* of a tensor name where the container sets no limit */

void lq_writer_opts_init(lq_writer_opts *opts)
{
    const lq_writer_opts init = LQ_WRITER_OPTS_INIT;

    if (opts)
        *opts = init;
}

/* ------------------------------------------------------------------- buffer */

void lqi_buffer_put(lqi_buffer *b, const void *data, uint64_t bytes)
{
    uint64_t wanted = b->capacity ? b->capacity : 4096;
    uint8_t *grown;

    while (wanted < b->bytes + bytes)
        wanted *= 2;
    if (!b->failed && wanted > b->capacity) {
        grown = lqi_alloc(b->allocator, wanted);
        b->failed = !grown;
        if (grown && b->bytes)
            memcpy(grown, b->data, (size_t)b->bytes);
        if (grown) {
            lqi_free(b->allocator, b->data);
            b->data = grown;
            b->capacity = wanted;
        }
    }
    if (b->failed || bytes == 0)
        return;
    memcpy(b->data + b->bytes, data, (size_t)bytes);
    b->bytes += bytes;
}

void lqi_buffer_text(lqi_buffer *b, const char *text)
{
    lqi_buffer_put(b, text, strlen(text));
}

void lqi_buffer_free(lqi_buffer *b)
{
    lqi_free(b->allocator, b->data);
    b->data = NULL;
    b->bytes = b->capacity = 0;
}

uint64_t lqi_writer_cut(const lq_writer *w, uint64_t first, uint64_t max_bytes)
{
    uint64_t most = w->opts.shard_tensors ? w->opts.shard_tensors : UINT64_MAX;
    uint64_t bytes = 0, last = first;

    while (last < w->tensor_count && last - first < most) {
        if (!lqi_add(bytes, w->tensors[last].bytes, &bytes) || (last > first && bytes > max_bytes))
            break;
        last++;
    }
    return last;
}

/* ----------------------------------------------------------------- creating */

static int power_of_two(uint64_t v, uint64_t least)
{
    return v >= least && v <= LQI_GGUF_ALIGN_MAX && (v & (v - 1)) == 0;
}

static lq_status read_opts(lq_writer *w, const lq_writer_opts *opts, lq_error *error)
{
    lq_status status = lqi_opts_read(&w->opts, sizeof w->opts, opts);

    if (status != LQ_OK)
        return lqi_fail(error, status, NULL,
                        "struct_size or unknown members of lq_writer_opts");
    if ((w->opts.replace & ~1) || w->opts.checksums < -1 || w->opts.checksums > 0)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "replace is 0 or 1, checksums 0 or -1");
    if (w->opts.alignment && !power_of_two(w->opts.alignment, 8))
        return lqi_fail(error, LQ_ERR_ARG, NULL,
                        "an alignment of %u: no power of two from 8 to %u",
                        (unsigned)w->opts.alignment, LQI_GGUF_ALIGN_MAX);
    return LQ_OK;
}

static int output_kind(const lq_writer *w)
{
    if (w->container == LQ_CONTAINER_DIRECTORY)
        return LQI_OUTPUT_DIRECTORY;
    return w->container == LQ_CONTAINER_GGUF && (w->opts.shard_bytes || w->opts.shard_tensors)
               ? LQI_OUTPUT_SET : LQI_OUTPUT_FILE;
}

lq_status lq_writer_create(const lq_ctx *ctx, const char *path, lq_container container,
                           const lq_writer_opts *opts, lq_writer **writer, lq_error *error)
{
    lq_writer *w;
    lq_status status;

    if (!ctx || !path || !writer || !lq_container_name(container))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, path, container, writer are needed");
    w = lqi_alloc_zero(&ctx->allocator, sizeof *w);
    if (!w)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    w->allocator = ctx->allocator;
    w->arena.allocator = &w->allocator;
    w->container = container;
    w->path = lqi_arena_text(&w->arena, path, strlen(path));
    status = w->path ? read_opts(w, opts, error)
                     : lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    if (status == LQ_OK)
        status = lqi_output_create(&w->allocator, path, output_kind(w), w->opts.replace,
                                   &w->output, error);
    if (status != LQ_OK) {
        lq_writer_destroy(w);
        return status;
    }
    *writer = w;
    return LQ_OK;
}

void lq_writer_destroy(lq_writer *writer)
{
    lq_allocator a;

    if (!writer)
        return;
    a = writer->allocator;
    lqi_output_destroy(writer->output);
    for (uint64_t i = 0; i < writer->tensor_count; i++)
        lqi_free(&a, writer->tensors[i].hash);
    for (uint64_t i = 0; i < writer->attachment_count; i++)
        lqi_free(&a, writer->attachments[i].data);
    lqi_names_destroy(writer->names);
    lqi_arena_free(&writer->arena);
    lqi_free(&a, writer->attachments);
    lqi_free(&a, writer->tensors);
    lqi_free(&a, writer->keys);
    lqi_free(&a, writer);
}

/* Room for one more element: the array doubles.  0: out of memory. */
static int reserve(lq_writer *w, void **array, uint64_t size, uint64_t count,
                   uint64_t *capacity)
{
    uint64_t wanted = *capacity ? *capacity * 2 : 16;
    void *grown;

    if (count < *capacity)
        return 1;
    grown = lqi_alloc(&w->allocator, wanted * size);
    if (!grown)
        return 0;
    if (count)
        memcpy(grown, *array, (size_t)(count * size));
    lqi_free(&w->allocator, *array);
    *array = grown;
    *capacity = wanted;
    return 1;
}

/* ----------------------------------------------------------------- metadata */

static int own_key(const char *key)
{
    size_t n = strlen(LQI_META_XXH3);

    return strncmp(key, LQI_META_XXH3, n) == 0 && (key[n] == '\0' || key[n] == '.');
}

static lq_status check_key(const lq_writer *w, const lqi_key *key)
{
    size_t n = strlen(key->key);

    if (w->begun || n == 0 || n > KEY_BYTES || !lqi_utf8_valid(key->key, n) ||
        own_key(key->key))
        return LQ_ERR_ARG;
    if (key->type != LQ_META_STRING && lqi_meta_bytes(key->type) == 0)
        return LQ_ERR_ARG;
    if (w->container != LQ_CONTAINER_GGUF)
        return key->type == LQ_META_STRING && !key->is_array ? LQ_OK : LQ_ERR_UNSUPPORTED;
    if (strcmp(key->key, LQI_GGUF_ALIGN_KEY) == 0 &&
        (key->type != LQ_META_U32 || key->is_array ||
         !power_of_two(lqi_load32(key->data), 1)))
        return LQ_ERR_ARG;
    return LQ_OK;
}

static lq_status copy_strings(lq_writer *w, const lqi_key *from, lqi_key *to)
{
    to->strings = lqi_arena_alloc(&w->arena, from->count * sizeof *to->strings);
    to->string_bytes = lqi_arena_alloc(&w->arena, from->count * sizeof *to->string_bytes);
    if (!to->strings || !to->string_bytes)
        return LQ_ERR_NOMEM;
    for (uint64_t i = 0; i < from->count; i++) {
        to->string_bytes[i] = from->string_bytes ? from->string_bytes[i]
                                                 : strlen(from->strings[i]);
        to->strings[i] = lqi_arena_text(&w->arena, from->strings[i], to->string_bytes[i]);
        if (!to->strings[i])
            return LQ_ERR_NOMEM;
    }
    return LQ_OK;
}

static lq_status copy_numbers(lq_writer *w, const lqi_key *from, lqi_key *to)
{
    uint64_t bytes = from->count * lqi_meta_bytes(from->type);
    void *data = lqi_arena_alloc(&w->arena, bytes);

    if (!data)
        return LQ_ERR_NOMEM;
    if (bytes)
        memcpy(data, from->data, (size_t)bytes);
    to->data = data;
    return LQ_OK;
}

static void drop_key(lq_writer *w, const char *name)
{
    for (uint64_t i = 0; i < w->key_count; i++) {
        if (strcmp(w->keys[i].key, name) != 0)
            continue;
        w->key_count--;
        memmove(&w->keys[i], &w->keys[i + 1],
                (size_t)((w->key_count - i) * sizeof *w->keys));
        return;
    }
}

/* Append a deep copy of 'key': numbers little-endian, string_bytes NULL: terminated. */
static lq_status put_key(lq_writer *w, const lqi_key *key)
{
    lqi_key copy = *key;
    void *keys = w->keys;
    lq_status status = check_key(w, key);

    if (status != LQ_OK)
        return status;
    copy.key = lqi_arena_text(&w->arena, key->key, strlen(key->key));
    if (!copy.key)
        return LQ_ERR_NOMEM;
    status = key->type == LQ_META_STRING ? copy_strings(w, key, &copy)
                                         : copy_numbers(w, key, &copy);
    if (status != LQ_OK)
        return status;
    if (!reserve(w, &keys, sizeof copy, w->key_count, &w->key_capacity))
        return LQ_ERR_NOMEM;
    w->keys = keys;
    drop_key(w, copy.key);
    w->keys[w->key_count++] = copy;
    return LQ_OK;
}

static void store_element(uint8_t *dst, const uint8_t *src, uint32_t size)
{
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    switch (size) {
    case 2: memcpy(&v16, src, 2); lqi_store16(dst, v16); break;
    case 4: memcpy(&v32, src, 4); lqi_store32(dst, v32); break;
    case 8: memcpy(&v64, src, 8); lqi_store64(dst, v64); break;
    default: *dst = *src; break;
    }
}

/* The caller's numbers, little-endian; truth values 0 or 1.  In the arena. */
static uint8_t *to_little_endian(lq_writer *w, lq_meta_type type, const void *data,
                                 uint64_t count)
{
    uint32_t size = lqi_meta_bytes(type);
    uint8_t *le;
    uint64_t bytes;

    if (!lqi_mul(count, size, &bytes))
        return NULL;
    le = lqi_arena_alloc(&w->arena, bytes);
    for (uint64_t i = 0; le && i < count; i++) {
        store_element(le + i * size, (const uint8_t *)data + i * size, size);
        if (type == LQ_META_BOOL)
            le[i] = le[i] != 0;
    }
    return le;
}

lq_status lq_writer_meta(lq_writer *writer, const char *key, lq_meta_type type,
                         int32_t is_array, const void *data, uint64_t count)
{
    lqi_key k = { .type = type, .is_array = is_array, .count = count };

    if (!writer || !key || (!data && count) || (is_array & ~1) || writer->begun ||
        count > COUNT_MAX || (!is_array && count != 1))
        return LQ_ERR_ARG;
    k.key = lqi_arena_text(&writer->arena, key, strlen(key));
    if (!k.key)
        return LQ_ERR_NOMEM;
    if (type == LQ_META_STRING) {
        const char *const *texts = data;
        k.strings = lqi_arena_alloc(&writer->arena, count * sizeof *k.strings);
        if (!k.strings)
            return LQ_ERR_NOMEM;
        for (uint64_t i = 0; i < count; i++) {
            if (!texts[i])
                return LQ_ERR_ARG;
            k.strings[i] = texts[i];
        }
        return put_key(writer, &k);
    }
    if (lqi_meta_bytes(type) == 0)
        return LQ_ERR_ARG;
    k.data = to_little_endian(writer, type, data, count);
    return k.data ? put_key(writer, &k) : LQ_ERR_NOMEM;
}

lq_status lq_writer_meta_string(lq_writer *writer, const char *key, const char *text)
{
    return text ? lq_writer_meta(writer, key, LQ_META_STRING, 0, &text, 1) : LQ_ERR_ARG;
}

/* Checksums of another file's tensors mean nothing here: they are not copied. */
lq_status lq_writer_meta_copy(lq_writer *writer, const lq_file *file, const lq_meta *meta)
{
    uint64_t index;

    if (!writer || !file || !meta || meta->struct_size < offsetof(lq_meta, type) ||
        !meta->key || writer->begun)
        return LQ_ERR_ARG;
    if (!lqi_names_find(file->key_names, meta->key, &index))
        return LQ_ERR_NOTFOUND;
    if (own_key(meta->key))
        return LQ_OK;
    return put_key(writer, &file->keys[index]);
}

/* -------------------------------------------------------------- attachments */

static int attached(const lq_writer *w, const char *name)
{
    for (uint64_t i = 0; i < w->attachment_count; i++)
        if (strcmp(w->attachments[i].name, name) == 0)
            return 1;
    return 0;
}

lq_status lq_writer_attach(lq_writer *writer, const char *name, const void *data,
                           uint64_t bytes)
{
    struct lqi_attachment *grown, new = { 0 };
    uint64_t n;

    if (!writer || !name || (!data && bytes) || writer->begun)
        return LQ_ERR_ARG;
    if (writer->container != LQ_CONTAINER_DIRECTORY)
        return LQ_ERR_UNSUPPORTED;
    if (!name[0] || strlen(name) > 255 || strchr(name, '/') || !strcmp(name, ".") ||
        !strcmp(name, ".."))
        return LQ_ERR_ARG;
    if (attached(writer, name))
        return LQ_ERR_DUPLICATE;
    n = writer->attachment_count;
    new.name = lqi_arena_text(&writer->arena, name, strlen(name));
    new.data = lqi_alloc(&writer->allocator, bytes ? bytes : 1);
    new.bytes = bytes;
    grown = lqi_alloc(&writer->allocator, (n + 1) * sizeof *grown);
    if (!new.name || !new.data || !grown) {
        lqi_free(&writer->allocator, new.data);
        lqi_free(&writer->allocator, grown);
        return LQ_ERR_NOMEM;
    }
    if (bytes)
        memcpy(new.data, data, (size_t)bytes);
    if (n)
        memcpy(grown, writer->attachments, (size_t)(n * sizeof *grown));
    grown[n] = new;
    lqi_free(&writer->allocator, writer->attachments);
    writer->attachments = grown;
    writer->attachment_count = n + 1;
    return LQ_OK;
}

/* ------------------------------------------------------------------ tensors */

static lq_status check_name(const lq_writer *w, const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || !lqi_utf8_valid(name, n))
        return LQ_ERR_ARG;
    return n > (w->container == LQ_CONTAINER_GGUF ? LQI_GGUF_NAME : NAME_BYTES)
               ? LQ_ERR_LIMIT : LQ_OK;
}

/* Plain numbers are known by their dtype, whichever way they were announced. */
static lq_dtype plain_type(lq_dtype dtype, lq_format format)
{
    const lqi_format *f = lqi_format_by_id(format);

    if (dtype)
        return dtype;
    return f ? f->dtype : 0;
}

static lq_status describe(const lq_writer *w, lqi_out_tensor *t)
{
    uint32_t limit = w->container == LQ_CONTAINER_GGUF ? LQI_GGUF_DIMS : LQ_MAX_DIMS;

    if (t->n_dims > limit)
        return LQ_ERR_SHAPE;
    if (w->container == LQ_CONTAINER_GGUF) {
        if (lqi_gguf_type_number(t->dtype, t->format) < 0)
            return LQ_ERR_UNSUPPORTED;
    } else if (lq_dtype_bytes(t->dtype) == 0) {
        return LQ_ERR_UNSUPPORTED;
    }
    return lqi_entry_bytes(t->dtype, t->format, t->n_dims, t->dims, &t->bytes);
}

lq_status lq_writer_tensor(lq_writer *writer, const char *name, lq_dtype dtype,
                           lq_format format, uint32_t n_dims, const uint64_t *dims,
                           uint64_t *index)
{
    lqi_out_tensor t = { .format = format, .n_dims = n_dims };
    void *tensors;
    lq_status status;
    int added;

    if (!writer || !name || !index || (!dims && n_dims) || writer->begun)
        return LQ_ERR_ARG;
    status = check_name(writer, name);
    if (status != LQ_OK)
        return status;
    if (n_dims > LQ_MAX_DIMS)
        return LQ_ERR_SHAPE;
    if (n_dims)
        memcpy(t.dims, dims, n_dims * sizeof *dims);
    t.dtype = plain_type(dtype, format);
    status = describe(writer, &t);
    if (status != LQ_OK)
        return status;
    if (!writer->names)
        writer->names = lqi_names_create(&writer->allocator, 16);
    t.name = lqi_arena_text(&writer->arena, name, strlen(name));
    tensors = writer->tensors;
    if (!writer->names || !t.name ||
        !reserve(writer, &tensors, sizeof t, writer->tensor_count, &writer->tensor_capacity))
        return LQ_ERR_NOMEM;
    writer->tensors = tensors;
    added = lqi_names_add(writer->names, t.name, &(uint64_t){ 0 });
    if (added <= 0)
        return added < 0 ? LQ_ERR_NOMEM : LQ_ERR_DUPLICATE;
    writer->tensors[writer->tensor_count] = t;
    *index = writer->tensor_count++;
    return LQ_OK;
}

/* ------------------------------------------------------------------ writing */

static lq_status write_header(lq_writer *w, lq_error *error)
{
    switch (w->container) {
    case LQ_CONTAINER_GGUF:        return lqi_gguf_write_header(w, error);
    case LQ_CONTAINER_SAFETENSORS: return lqi_safetensors_write_header(w, error);
    default:                       return lqi_directory_write_header(w, error);
    }
}

static lq_status refuse(const lq_writer *w, lq_error *error)
{
    return lqi_fail(error, LQ_ERR_ARG, NULL, "%s",
                    !w           ? "the writer is needed"
                    : w->failed   ? "the writer has failed before"
                    : w->finished ? "the output is finished"
                    : w->begun    ? "lq_writer_begin() was called before"
                                  : "lq_writer_begin() comes first");
}

lq_status lq_writer_begin(lq_writer *writer, lq_error *error)
{
    lq_status status;

    if (!writer || writer->failed || writer->begun)
        return refuse(writer, error);
    status = write_header(writer, error);
    writer->failed = status != LQ_OK;
    writer->begun = status == LQ_OK;
    return status;
}

static void store_hash(lqi_out_tensor *t, XXH128_hash_t hash)
{
    snprintf(t->xxh3, sizeof t->xxh3, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

/* Hash the next bytes of a tensor; the state lives from its first to its last. */
static lq_status hash_part(lq_writer *w, lqi_out_tensor *t, const void *data, uint64_t bytes,
                           lq_error *error)
{
    XXH3_state_t *state = t->hash;

    if (w->opts.checksums < 0)
        return LQ_OK;
    if (bytes == t->bytes) {
        store_hash(t, XXH3_128bits(data, (size_t)bytes));
        return LQ_OK;
    }
    if (!state) {
        state = lqi_alloc_zero(&w->allocator, sizeof *state);
        if (!state)
            return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
        XXH3_128bits_reset(state);
        t->hash = state;
    }
    XXH3_128bits_update(state, data, (size_t)bytes);
    if (t->written + bytes == t->bytes) {
        store_hash(t, XXH3_128bits_digest(state));
        lqi_free(&w->allocator, state);
        t->hash = NULL;
    }
    return LQ_OK;
}

static lq_status write_part(lq_writer *w, lqi_out_tensor *t, const void *data, uint64_t bytes,
                            lq_error *error)
{
    lq_status status = lqi_output_write(w->output, t->member, t->offset + t->written, data,
                                        bytes, error);

    if (status == LQ_OK)
        status = hash_part(w, t, data, bytes, error);
    if (status == LQ_OK)
        t->written += bytes;
    w->failed = status != LQ_OK;
    return status;
}

lq_status lq_writer_write(lq_writer *writer, uint64_t index, uint64_t offset,
                          const void *data, uint64_t bytes, lq_error *error)
{
    lqi_where where = { NULL, NULL, LQ_NO_OFFSET };
    lqi_out_tensor *t;

    if (!writer || !writer->begun || writer->failed || writer->finished)
        return refuse(writer, error);
    if ((!data && bytes) || index >= writer->tensor_count)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no data, or no such tensor");
    t = &writer->tensors[index];
    where.name = t->name;
    if (offset != t->written || bytes > t->bytes - t->written)
        return lqi_fail(error, LQ_ERR_ARG, &where, "%llu bytes at %llu, but %llu of %llu "
                        "bytes were written so far", (unsigned long long)bytes,
                        (unsigned long long)offset, (unsigned long long)t->written,
                        (unsigned long long)t->bytes);
    return bytes ? write_part(writer, t, data, bytes, error) : LQ_OK;
}

static lq_status check_complete(lq_writer *w, lq_error *error)
{
    for (uint64_t i = 0; i < w->tensor_count; i++) {
        lqi_out_tensor *t = &w->tensors[i];
        const lqi_where where = { NULL, t->name, LQ_NO_OFFSET };
        if (t->written != t->bytes)
            return lqi_fail(error, LQ_ERR_CORRUPT, &where, "%llu of %llu bytes were written",
                            (unsigned long long)t->written, (unsigned long long)t->bytes);
        if (t->bytes == 0)
            store_hash(t, XXH3_128bits("", 0));
    }
    return LQ_OK;
}

lq_status lq_writer_finish(lq_writer *writer, lq_error *error)
{
    lq_status status;

    if (!writer || !writer->begun || writer->failed || writer->finished)
        return refuse(writer, error);
    status = check_complete(writer, error);
    if (status != LQ_OK)
        return status;
    status = writer->opts.checksums < 0 ? LQ_OK : write_header(writer, error);
    if (status == LQ_OK)
        status = lqi_output_commit(writer->output, error);
    writer->failed = status != LQ_OK;
    writer->finished = status == LQ_OK;
    return status;
}
