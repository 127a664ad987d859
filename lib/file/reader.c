/* SPDX-License-Identifier: MIT */
/*
 * lib/file/reader.c - lq_file_*: opens containers, serves tensors and metadata
 */
#include <errno.h>
#include <sys/stat.h>

#include "lib/core/core.h"
#include "lib/file/gguf.h"

const char *lq_container_name(lq_container container)
{
    switch (container) {
    case LQ_CONTAINER_GGUF:        return "gguf";
    case LQ_CONTAINER_SAFETENSORS: return "safetensors";
    case LQ_CONTAINER_DIRECTORY:   return "directory";
    default:                       return NULL;
    }
}

void lq_file_opts_init(lq_file_opts *opts)
{
    const lq_file_opts init = LQ_FILE_OPTS_INIT;

    if (opts)
        *opts = init;
}

void lq_file_tensor_init(lq_file_tensor *tensor)
{
    const lq_file_tensor init = LQ_FILE_TENSOR_INIT;

    if (tensor)
        *tensor = init;
}

void lq_meta_init(lq_meta *meta)
{
    const lq_meta init = LQ_META_INIT;

    if (meta)
        *meta = init;
}

/* ------------------------------------------------------------------ opening */

static lq_status read_opts(lq_file *file, const lq_file_opts *opts, lq_error *error)
{
    lq_status status = lqi_opts_read(&file->opts, sizeof file->opts, opts);

    if (status != LQ_OK)
        return lqi_fail(error, status, NULL, "struct_size or unknown members of lq_file_opts");
    if ((file->opts.strict | file->opts.map) & ~1)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "strict and map are 0 or 1");
    file->opts.struct_size = sizeof file->opts;
    if (file->opts.max_header == 0)
        file->opts.max_header = (uint64_t)100 << 20;
    if (file->opts.max_tensors == 0)
        file->opts.max_tensors = 1000000;
    return LQ_OK;
}

static lq_status create(const lq_ctx *ctx, const char *path, const lq_file_opts *opts,
                        lq_file **file, lq_error *error)
{
    const lqi_where where = { path, NULL, LQ_NO_OFFSET };
    lq_file *f = lqi_alloc_zero(&ctx->allocator, sizeof *f);
    lq_status status;

    if (!f)
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    f->allocator = ctx->allocator;
    f->arena.allocator = &f->allocator;
    f->path = lqi_strdup(&f->allocator, path);
    status = f->path ? read_opts(f, opts, error)
                     : lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    if (status != LQ_OK) {
        lq_file_close(f);
        return status;
    }
    *file = f;
    return LQ_OK;
}

/*
 * GGUF begins with its name, safetensors with eight bytes of length and '{'.  Files too
 * short to tell are truncated ones.
 */
static lq_status recognise(lq_file *file, lq_error *error)
{
    const lqi_where where = { file->path, NULL, 0 };
    const lqi_source *source = file->sources[0];
    uint64_t size = lqi_source_bytes(source);
    uint8_t head[9] = { 0 };
    lq_status status = lqi_source_read(source, 0, head, lqi_min(size, sizeof head), error);

    if (status != LQ_OK)
        return status;
    if (size == 0)
        return lqi_fail(error, LQ_ERR_TRUNCATED, &where, "the file is empty");
    if (memcmp(head, "GGUF", lqi_min(size, 4)) == 0) {
        file->container = LQ_CONTAINER_GGUF;
        return lqi_gguf_read(file, 0, error);
    }
    if (memcmp(head, "FUGG", lqi_min(size, 4)) == 0 && size >= 4)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, &where, "a byte-swapped GGUF file");
    if (size < 8)
        return lqi_fail(error, LQ_ERR_TRUNCATED, &where,
                        "%llu bytes are too few for any checkpoint", (unsigned long long)size);
    if (size >= 9 && head[8] != '{')
        return lqi_fail(error, LQ_ERR_FORMAT, &where, "neither GGUF nor safetensors");
    file->container = LQ_CONTAINER_SAFETENSORS;
    return lqi_safetensors_read(file, 0, error);
}

/* Single files carry a configuration in their metadata, if at all. */
static void find_config(lq_file *file)
{
    static const char *const keys[] = { "quantization_config", "config" };
    uint64_t i;

    for (size_t k = 0; k < 2 && !file->config; k++) {
        if (!lqi_names_find(file->key_names, keys[k], &i))
            continue;
        const lqi_key *key = &file->keys[i];
        if (key->type != LQ_META_STRING || key->is_array)
            continue;
        file->config = key->strings[0];
        file->config_bytes = key->string_bytes[0];
    }
}

static lq_status open_single(lq_file *file, lqi_source *source, lq_error *error)
{
    lq_status status;

    file->sources = lqi_alloc_zero(&file->allocator, sizeof *file->sources);
    if (!file->sources) {
        lqi_source_close(source);
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    }
    file->sources[0] = source;
    file->source_count = 1;
    status = recognise(file, error);
    if (status == LQ_OK)
        find_config(file);
    return status;
}

static lq_status open_path(lq_file *file, lq_error *error)
{
    lqi_source *source;
    struct stat st;
    lq_status status;

    if (stat(file->path, &st) != 0)
        return lqi_fail_errno(error, errno, file->path, "open");
    if (S_ISDIR(st.st_mode)) {
        file->container = LQ_CONTAINER_DIRECTORY;
        return lqi_directory_read(file, error);
    }
    status = lqi_source_open(&file->allocator, file->path, file->opts.map, &source, error);
    return status == LQ_OK ? open_single(file, source, error) : status;
}

lq_status lq_file_open(const lq_ctx *ctx, const char *path, const lq_file_opts *opts,
                       lq_file **file, lq_error *error)
{
    lq_file *f;
    lq_status status;

    if (!ctx || !path || !file)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, path and file are needed");
    status = create(ctx, path, opts, &f, error);
    if (status != LQ_OK)
        return status;
    status = open_path(f, error);
    if (status != LQ_OK) {
        lq_file_close(f);
        return status;
    }
    *file = f;
    return LQ_OK;
}

lq_status lq_file_open_memory(const lq_ctx *ctx, const void *data, uint64_t bytes,
                              const lq_file_opts *opts, lq_file **file, lq_error *error)
{
    lqi_source *source;
    lq_file *f;
    lq_status status;

    if (!ctx || !file || (!data && bytes))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, data and file are needed");
    status = create(ctx, "", opts, &f, error);
    if (status != LQ_OK)
        return status;
    status = lqi_source_memory(&f->allocator, data, bytes, &source, error);
    if (status == LQ_OK)
        status = open_single(f, source, error);
    if (status != LQ_OK) {
        lq_file_close(f);
        return status;
    }
    *file = f;
    return LQ_OK;
}

void lq_file_close(lq_file *file)
{
    lq_allocator a;

    if (!file)
        return;
    a = file->allocator;
    for (uint32_t i = 0; i < file->source_count; i++)
        lqi_source_close(file->sources[i]);
    lqi_names_destroy(file->entry_names);
    lqi_names_destroy(file->key_names);
    lqi_arena_free(&file->arena);
    lqi_free(&a, file->sources);
    lqi_free(&a, file->entries);
    lqi_free(&a, file->keys);
    lqi_free(&a, file->path);
    lqi_free(&a, file);
}

/* ---------------------------------------------------------- filling, by parsers */

/* Room for one more element in *array: doubles it.  0: out of memory. */
static int reserve(const lq_allocator *a, void **array, uint64_t size, uint64_t count,
                   uint64_t *capacity)
{
    uint64_t wanted = *capacity ? *capacity * 2 : 16;
    void *grown;

    if (count < *capacity)
        return 1;
    grown = lqi_alloc(a, wanted * size);
    if (!grown)
        return 0;
    if (count)
        memcpy(grown, *array, (size_t)(count * size));
    lqi_free(a, *array);
    *array = grown;
    *capacity = wanted;
    return 1;
}

/* Add to a map that is created when first needed. */
static int add_name(lq_file *file, lqi_names **names, const char *text)
{
    uint64_t index;

    if (!*names)
        *names = lqi_names_create(&file->allocator, 16);
    return *names ? lqi_names_add(*names, text, &index) : -1;
}

static lq_status name_failure(int added, const lqi_where *where, lq_error *error)
{
    if (added < 0)
        return lqi_fail(error, LQ_ERR_NOMEM, where, "out of memory");
    return lqi_fail(error, LQ_ERR_DUPLICATE, where, "the name occurs twice");
}

lq_status lqi_file_add_entry(lq_file *file, const lqi_entry *entry, lq_error *error)
{
    const char *path = entry->shard < file->source_count
                           ? lqi_source_path(file->sources[entry->shard]) : file->path;
    const lqi_where where = { path, entry->name, LQ_NO_OFFSET };
    void *entries = file->entries;
    int added;

    if (file->entry_count >= file->opts.max_tensors)
        return lqi_fail(error, LQ_ERR_LIMIT, &where, "more than %llu tensors",
                        (unsigned long long)file->opts.max_tensors);
    if (!reserve(&file->allocator, &entries, sizeof *entry, file->entry_count,
                 &file->entry_capacity))
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    file->entries = entries;
    added = add_name(file, &file->entry_names, entry->name);
    if (added <= 0)
        return name_failure(added, &where, error);
    file->entries[file->entry_count++] = *entry;
    return LQ_OK;
}

lq_status lqi_file_add_key(lq_file *file, const lqi_key *key, lq_error *error)
{
    const lqi_where where = { file->path, key->key, LQ_NO_OFFSET };
    void *keys = file->keys;
    int added;

    if (!reserve(&file->allocator, &keys, sizeof *key, file->key_count,
                 &file->key_capacity))
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    file->keys = keys;
    added = add_name(file, &file->key_names, key->key);
    if (added <= 0)
        return name_failure(added, &where, error);
    file->keys[file->key_count++] = *key;
    return LQ_OK;
}

/* ------------------------------------------------------------------ serving */

lq_status lqi_hand_out(void *out, const void *known, size_t known_bytes)
{
    size_t given;

    memcpy(&given, out, sizeof given);
    if (given < sizeof given)
        return LQ_ERR_ARG;
    memcpy((char *)out + sizeof given, (const char *)known + sizeof given,
           (given < known_bytes ? given : known_bytes) - sizeof given);
    if (given > known_bytes)
        memset((char *)out + known_bytes, 0, given - known_bytes);
    return LQ_OK;
}

lq_container lq_file_container(const lq_file *file)
{
    return file ? file->container : 0;
}

const char *lq_file_path(const lq_file *file)
{
    return file ? file->path : "";
}

uint64_t lq_file_tensor_count(const lq_file *file)
{
    return file ? file->entry_count : 0;
}

lq_status lq_file_tensor_at(const lq_file *file, uint64_t index, lq_file_tensor *tensor)
{
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    const lqi_entry *e;

    if (!file || !tensor || index >= file->entry_count)
        return LQ_ERR_ARG;
    e = &file->entries[index];
    t.name = e->name;
    t.dtype = e->dtype;
    t.format = e->format;
    t.n_dims = e->n_dims;
    memcpy(t.dims, e->dims, sizeof t.dims);
    t.offset = e->offset;
    t.bytes = e->bytes;
    t.file = lqi_source_path(file->sources[e->shard]);
    return lqi_hand_out(tensor, &t, sizeof t);
}

lq_status lq_file_tensor_find(const lq_file *file, const char *name, uint64_t *index)
{
    if (!file || !name || !index)
        return LQ_ERR_ARG;
    return lqi_names_find(file->entry_names, name, index) ? LQ_OK : LQ_ERR_NOTFOUND;
}

lq_status lq_file_read(const lq_file *file, uint64_t index, uint64_t offset, void *buffer,
                       uint64_t bytes, lq_error *error)
{
    lqi_where where = { NULL, NULL, LQ_NO_OFFSET };
    const lqi_entry *e;

    if (!file || (!buffer && bytes) || index >= file->entry_count)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no file, no buffer, or no such tensor");
    e = &file->entries[index];
    where.file = lqi_source_path(file->sources[e->shard]);
    where.name = e->name;
    if (offset > e->bytes || bytes > e->bytes - offset)
        return lqi_fail(error, LQ_ERR_ARG, &where,
                        "%llu bytes from %llu are outside its %llu bytes",
                        (unsigned long long)bytes, (unsigned long long)offset,
                        (unsigned long long)e->bytes);
    return lqi_source_read(file->sources[e->shard], e->offset + offset, buffer, bytes, error);
}

const void *lq_file_tensor_data(const lq_file *file, uint64_t index)
{
    const lqi_entry *e;
    const uint8_t *data;

    if (!file || index >= file->entry_count)
        return NULL;
    e = &file->entries[index];
    data = lqi_source_data(file->sources[e->shard]);
    return data ? data + e->offset : NULL;
}

uint64_t lq_file_meta_count(const lq_file *file)
{
    return file ? file->key_count : 0;
}

lq_status lq_file_meta_at(const lq_file *file, uint64_t index, lq_meta *meta)
{
    lq_meta m = LQ_META_INIT;
    const lqi_key *key;

    if (!file || !meta || index >= file->key_count)
        return LQ_ERR_ARG;
    key = &file->keys[index];
    m.key = key->key;
    m.type = key->type;
    m.is_array = key->is_array;
    m.count = key->count;
    m.data = key->data;
    return lqi_hand_out(meta, &m, sizeof m);
}

lq_status lq_file_meta_find(const lq_file *file, const char *key, lq_meta *meta)
{
    uint64_t index;

    if (!file || !key || !meta)
        return LQ_ERR_ARG;
    if (!lqi_names_find(file->key_names, key, &index))
        return LQ_ERR_NOTFOUND;
    return lq_file_meta_at(file, index, meta);
}

lq_status lq_file_meta_string(const lq_file *file, const lq_meta *meta, uint64_t element,
                              const char **text, uint64_t *bytes)
{
    const lqi_key *key;
    uint64_t index;

    if (!file || !meta || !text || meta->struct_size < offsetof(lq_meta, type) || !meta->key)
        return LQ_ERR_ARG;
    if (!lqi_names_find(file->key_names, meta->key, &index))
        return LQ_ERR_NOTFOUND;
    key = &file->keys[index];
    if (!key->strings || element >= key->count)
        return LQ_ERR_ARG;
    *text = key->strings[element];
    if (bytes)
        *bytes = key->string_bytes[element];
    return LQ_OK;
}

const char *lq_file_config(const lq_file *file, uint64_t *bytes)
{
    if (bytes)
        *bytes = file ? file->config_bytes : 0;
    return file ? file->config : NULL;
}
