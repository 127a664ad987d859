/* SPDX-License-Identifier: MIT */
/*
 * lib/file/directory_read.c - a checkpoint directory
 *
 * The weights are, in this order: the shards that model.safetensors.index.json lists;
 * model.safetensors; the only file whose name ends in ".safetensors".  config.json, and
 * what quantizers write beside it, are kept as text.
 *
 * An index must agree with its shards: a tensor that it lists is in the shard it names.
 * Under 'strict' it also lists every tensor, and total_size is the sum of their sizes.
 */
#include "lib/file/index_json.h"

#include <dirent.h>
#include <errno.h>

#define CONFIG_FILE   "config.json"
#define CONFIG_BYTES  ((uint64_t)1 << 20)
#define SINGLE_FILE   "model.safetensors"
#define FILE_ENDING   ".safetensors"

const char *const lqi_quant_files[] = {
    "quantize_config.json",     /* AutoGPTQ, GPTQModel */
    "quant_config.json",        /* AutoAWQ */
    "hf_quant_config.json",     /* ModelOpt */
    NULL
};

static lq_status fail_memory(const lq_file *file, lq_error *error)
{
    lqi_where where = { file->path, NULL, LQ_NO_OFFSET };
    return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
}

/* "directory/name", in the arena; NULL: out of memory. */
static char *join(lq_file *file, const char *name)
{
    size_t head = strlen(file->path), tail = strlen(name) + 1;
    size_t slash = head && file->path[head - 1] != '/';
    char *path = lqi_arena_alloc(&file->arena, (uint64_t)head + slash + tail);
    if (!path)
        return NULL;
    memcpy(path, file->path, head);
    if (slash)
        path[head] = '/';
    memcpy(path + head + slash, name, tail);
    return path;
}

/* ---------------------------------------------------------------- small files */

typedef struct text_file {
    char    *path, *text;       /* text NULL: there is no such file */
    uint64_t bytes;
} text_file;

static lq_status load(lq_file *file, const lqi_source *source, uint64_t limit,
                      text_file *t, lq_error *error)
{
    lqi_where where = { t->path, NULL, LQ_NO_OFFSET };
    t->bytes = lqi_source_bytes(source);
    if (t->bytes > limit)
        return lqi_fail(error, LQ_ERR_LIMIT, &where, "longer than %llu bytes",
                        (unsigned long long)limit);
    t->text = lqi_alloc(&file->allocator, t->bytes + 1);
    if (!t->text)
        return fail_memory(file, error);
    t->text[t->bytes] = '\0';
    return t->bytes ? lqi_source_read(source, 0, t->text, t->bytes, error) : LQ_OK;
}

/* Read a file that may be missing.  The caller frees t->text in any case. */
static lq_status read_text(lq_file *file, const char *name, uint64_t limit, text_file *t,
                           lq_error *error)
{
    lqi_source *source = NULL;
    memset(t, 0, sizeof *t);
    t->path = join(file, name);
    if (!t->path)
        return fail_memory(file, error);
    /* The error is the caller's: written only once it is known to be one. */
    lq_status status = lqi_source_open(&file->allocator, t->path, 0, &source, NULL);
    if (status == LQ_ERR_NOTFOUND)
        return LQ_OK;
    if (status == LQ_ERR_NOMEM)
        return fail_memory(file, error);
    if (status != LQ_OK)
        status = lqi_source_open(&file->allocator, t->path, 0, &source, error);
    if (status != LQ_OK)
        return status;
    status = load(file, source, limit, t, error);
    lqi_source_close(source);
    return status;
}

static lq_status keep_config(lq_file *file, const text_file *t, const char **config,
                             uint64_t *bytes, lq_error *error)
{
    lqi_json json;
    if (!t->text)
        return LQ_OK;
    if (!lqi_json_is_object(&json, t->text, t->bytes)) {
        lqi_where where = { t->path, NULL, json.start };
        return lqi_fail(error, json.status, &where, "%s", json.problem);
    }
    char *text = lqi_arena_text(&file->arena, t->text, t->bytes);
    if (!text)
        return fail_memory(file, error);
    *config = text;
    *bytes = t->bytes;
    return LQ_OK;
}

static lq_status read_config(lq_file *file, const char *name, const char **config,
                             uint64_t *bytes, lq_error *error)
{
    text_file t;
    lq_status status = read_text(file, name, CONFIG_BYTES, &t, error);
    if (status == LQ_OK)
        status = keep_config(file, &t, config, bytes, error);
    lqi_free(&file->allocator, t.text);
    return status;
}

/* config.json, and the first file that quantizers write beside it. */
static lq_status read_configs(lq_file *file, lq_error *error)
{
    lq_status status = read_config(file, CONFIG_FILE, &file->config, &file->config_bytes,
                                   error);
    for (int i = 0; status == LQ_OK && !file->quant_config && lqi_quant_files[i]; i++)
        status = read_config(file, lqi_quant_files[i], &file->quant_config,
                             &file->quant_config_bytes, error);
    return status;
}

/* --------------------------------------------------------------------- shards */

/* Open shard number source_count and read its header. */
static lq_status read_shard(lq_file *file, const char *name, lq_error *error)
{
    char *path = join(file, name);
    if (!path)
        return fail_memory(file, error);
    uint32_t shard = file->source_count;
    lq_status status = lqi_source_open(&file->allocator, path, file->opts.map,
                                       &file->sources[shard], error);
    if (status != LQ_OK)
        return status;
    file->source_count++;
    return lqi_safetensors_read(file, shard, error);
}

static lq_status read_shards(lq_file *file, const char *const *names, uint64_t count,
                             lq_error *error)
{
    file->sources = lqi_alloc_zero(&file->allocator, count * sizeof *file->sources);
    if (!file->sources)
        return fail_memory(file, error);
    for (uint64_t i = 0; i < count; i++) {
        lq_status status = read_shard(file, names[i], error);
        if (status != LQ_OK)
            return status;
    }
    return LQ_OK;
}

/* ---------------------------------------------------------------------- index */

static lq_status check_entry(const lq_file *file, lqi_index *index, const char *path,
                             const lqi_entry *entry, lq_error *error)
{
    uint64_t number;
    lqi_where where = { path, entry->name, LQ_NO_OFFSET };
    if (lqi_names_find(index->tensor_names, entry->name, &number) != 1) {
        if (!file->opts.strict)
            return LQ_OK;
        return lqi_fail(error, LQ_ERR_MISMATCH, &where, "not listed, but in %s",
                        index->shards[entry->shard]);
    }
    lqi_index_tensor *listed = &index->tensors[number];
    if (listed->shard != entry->shard)
        return lqi_fail(error, LQ_ERR_MISMATCH, &where, "listed in %s, but in %s",
                        index->shards[listed->shard], index->shards[entry->shard]);
    listed->found = 1;
    return LQ_OK;
}

static lq_status check_index(const lq_file *file, lqi_index *index, const char *path,
                             lq_error *error)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < file->entry_count; i++) {
        lq_status status = check_entry(file, index, path, &file->entries[i], error);
        if (status != LQ_OK)
            return status;
        total += file->entries[i].bytes;
    }
    for (uint64_t i = 0; i < index->tensor_count; i++) {
        const lqi_index_tensor *t = &index->tensors[i];
        lqi_where where = { path, t->name, LQ_NO_OFFSET };
        if (!t->found)
            return lqi_fail(error, LQ_ERR_MISMATCH, &where, "listed, but not in %s",
                            index->shards[t->shard]);
    }
    lqi_where where = { path, "total_size", LQ_NO_OFFSET };
    if (file->opts.strict && index->has_total_size && index->total_size != total)
        return lqi_fail(error, LQ_ERR_MISMATCH, &where, "%llu, but the tensors have %llu",
                        (unsigned long long)index->total_size, (unsigned long long)total);
    return LQ_OK;
}

static lq_status read_indexed(lq_file *file, const text_file *t, lq_error *error)
{
    lqi_index index;
    lq_status status = lqi_index_parse(&file->allocator, t->path, t->text, t->bytes,
                                       file->opts.max_tensors, &index, error);
    if (status == LQ_OK)
        status = read_shards(file, index.shards, index.shard_count, error);
    if (status == LQ_OK)
        status = check_index(file, &index, t->path, error);
    lqi_index_free(&index);
    return status;
}

/* ---------------------------------------------------------------- single files */

static int ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n > m && strcmp(text + n - m, ending) == 0;
}

/* Look through the open directory: model.safetensors, or the only *.safetensors. */
static lq_status choose_file(lq_file *file, DIR *directory, char **name, lq_error *error)
{
    lqi_where where = { file->path, NULL, LQ_NO_OFFSET };
    struct dirent *member;
    unsigned found = 0;
    for (errno = 0; (member = readdir(directory)) != NULL; errno = 0) {
        int wanted = strcmp(member->d_name, SINGLE_FILE) == 0;
        if (member->d_name[0] == '.' || !ends_with(member->d_name, FILE_ENDING))
            continue;
        if (!*name || wanted)
            *name = lqi_arena_text(&file->arena, member->d_name, strlen(member->d_name));
        if (!*name)
            return fail_memory(file, error);
        if (wanted)
            return LQ_OK;
        found++;
    }
    if (errno)
        return lqi_fail_errno(error, errno, file->path, "read the directory");
    if (found == 1)
        return LQ_OK;
    if (found > 1)
        return lqi_fail(error, LQ_ERR_NOTFOUND, &where, "%u *.safetensors files, but neither "
                        LQI_INDEX_FILE " nor " SINGLE_FILE, found);
    return lqi_fail(error, LQ_ERR_NOTFOUND, &where, "the directory holds no weights: neither "
                    LQI_INDEX_FILE ", nor " SINGLE_FILE ", nor any *.safetensors file");
}

static lq_status read_single(lq_file *file, lq_error *error)
{
    char *name = NULL;
    DIR *directory = opendir(file->path);
    if (!directory)
        return lqi_fail_errno(error, errno, file->path, "open the directory");
    lq_status status = choose_file(file, directory, &name, error);
    closedir(directory);
    if (status != LQ_OK)
        return status;
    const char *const names[] = { name };
    return read_shards(file, names, 1, error);
}

lq_status lqi_directory_read(lq_file *file, lq_error *error)
{
    text_file t;
    lq_status status = read_configs(file, error);
    if (status != LQ_OK)
        return status;
    status = read_text(file, LQI_INDEX_FILE, file->opts.max_header, &t, error);
    if (status == LQ_OK)
        status = t.text ? read_indexed(file, &t, error) : read_single(file, error);
    lqi_free(&file->allocator, t.text);
    return status;
}
