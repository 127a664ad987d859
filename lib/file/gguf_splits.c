/* SPDX-License-Identifier: MIT */
/*
 * lib/file/gguf_splits.c - a GGUF model in several files
 *
 * PREFIX-00001-of-0000N.gguf and its siblings, each a complete file with its own offsets.
 * The first one carries the model's metadata; all say split.no (from 0), split.count and
 * split.tensors.count, the number of tensors in all of them together.  Ours carry a checksum
 * of all tensors besides, LQI_META_SPLIT: a reader that comes while a set is replaced may
 * have opened the first file of the old one.
 */
#include <stdio.h>

#include "lib/file/weights.h"

enum { TAIL = 20, SPLITS_MAX = 65535 };     /* "-00001-of-00002.gguf" */

static uint64_t number(const lq_file *file, const char *key)
{
    lq_meta m = LQ_META_INIT;

    if (lq_file_meta_find(file, key, &m) || m.is_array || !m.data)
        return UINT64_MAX;
    if (m.type == LQ_META_U16 || m.type == LQ_META_I16)
        return lqi_load16(m.data);
    return m.type == LQ_META_U32 || m.type == LQ_META_I32 ? lqi_load32(m.data) : UINT64_MAX;
}

static lq_status mismatch(const lq_file *file, lq_error *error, const char *what)
{
    lqi_where where = { file->path, NULL, LQ_NO_OFFSET };

    return lqi_fail(error, LQ_ERR_MISMATCH, &where, "%s", what);
}

/* The path of part 'no' of 'count', in the arena; NULL: the first is not named like one. */
static char *part_path(lq_file *file, unsigned no, unsigned count)
{
    size_t n = strlen(file->path);
    char tail[TAIL + 16], *path;

    snprintf(tail, sizeof tail, "-%05u-of-%05u.gguf", 1u, count);
    if (n < strlen(tail) || strcmp(file->path + n - strlen(tail), tail))
        return NULL;
    path = lqi_arena_text(&file->arena, file->path, n);
    if (path) {
        snprintf(tail, sizeof tail, "-%05u-of-%05u.gguf", no + 1, count);
        memcpy(path + n - strlen(tail), tail, strlen(tail));
    }
    return path;
}

/* 1 if both files say which writing they belong to, and not the same. */
static int other_writing(const lq_file *file, const lq_file *part)
{
    lq_meta a = LQ_META_INIT, b = LQ_META_INIT;
    const char *x = "", *y = "";
    uint64_t n = 0, m = 0;

    if (lq_file_meta_find(file, LQI_META_SPLIT, &a) || lq_file_meta_find(part, LQI_META_SPLIT, &b) ||
        lq_file_meta_string(file, &a, 0, &x, &n) || lq_file_meta_string(part, &b, 0, &y, &m))
        return 0;
    return n != m || memcmp(x, y, (size_t)n);
}

static lq_status check_part(const lq_file *file, const lq_file *part, unsigned no,
                            lq_error *error)
{
    if (part->container != LQ_CONTAINER_GGUF)
        return mismatch(part, error, "not a part of a GGUF model");
    if (number(part, "split.no") != no)
        return mismatch(part, error, "'split.no' is not that of its name");
    if (number(part, "split.count") != number(file, "split.count") ||
        number(part, "split.tensors.count") != number(file, "split.tensors.count"))
        return mismatch(part, error, "a part of another model");
    if (other_writing(file, part))
        return mismatch(part, error, "written at another time than the first part");
    return LQ_OK;
}

static lqi_key *hashes(lq_file *file)
{
    uint64_t index;

    if (!lqi_names_find(file->key_names, LQI_META_XXH3, &index) || !file->keys[index].is_array ||
        !file->keys[index].strings || file->keys[index].count != file->entry_count)
        return NULL;
    return &file->keys[index];
}

/* The part's checksums behind those of the file, where all parts have some.  0: NOMEM. */
static int join_hashes(lq_file *file, lq_file *part)
{
    lqi_key *to = hashes(file);
    const lqi_key *from = hashes(part);
    uint64_t n = to && from ? to->count + from->count : 0;
    const char **strings = lqi_arena_alloc(&file->arena, n * sizeof *strings);
    uint64_t *bytes = lqi_arena_alloc(&file->arena, n * sizeof *bytes);

    if (!strings || !bytes)
        return 0;
    for (uint64_t i = 0; i < n; i++) {
        const lqi_key *key = i < to->count ? to : from;
        uint64_t at = i < to->count ? i : i - to->count;
        bytes[i] = key->string_bytes[at];
        strings[i] = key == to ? to->strings[at]
                               : lqi_arena_text(&file->arena, from->strings[at], bytes[i]);
        if (!strings[i])
            return 0;
    }
    if (n) {
        to->strings = strings;
        to->string_bytes = bytes;
        to->count = n;
    }
    return 1;
}

/* Take over a part's tensors and its source. */
static lq_status take_part(lq_file *file, lq_file *part, unsigned no, lq_error *error)
{
    lq_status st = LQ_OK;

    if (!join_hashes(file, part))
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for checksums");
    file->sources[no] = part->sources[0];
    part->sources[0] = NULL;
    part->source_count = 0;
    file->source_count = no + 1;
    for (uint64_t i = 0; i < part->entry_count && !st; i++) {
        lqi_entry e = part->entries[i];
        e.shard = no;
        e.name = lqi_arena_text(&file->arena, e.name, strlen(e.name));
        st = e.name ? lqi_file_add_entry(file, &e, error)
                    : lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for a name");
    }
    return st;
}

static lq_status join(const lq_ctx *ctx, lq_file *file, unsigned no, unsigned count,
                      lq_error *error)
{
    const char *path = part_path(file, no, count);
    lq_file *part = NULL;
    lq_status st;

    if (!path)
        return mismatch(file, error, "a part of several that is not named like the first");
    st = lq_file_open(ctx, path, &file->opts, &part, error);
    if (st == LQ_ERR_NOTFOUND) {
        lqi_where where = { path, NULL, LQ_NO_OFFSET };
        return lqi_fail(error, LQ_ERR_MISMATCH, &where, "this part of the model is missing");
    }
    if (!st)
        st = check_part(file, part, no, error);
    if (!st)
        st = take_part(file, part, no, error);
    lq_file_close(part);
    return st;
}

lq_status lqi_gguf_join(const lq_ctx *ctx, lq_file *file, lq_error *error)
{
    uint64_t count = number(file, "split.count");
    lqi_source **sources;
    lq_status st = LQ_OK;

    if (file->container != LQ_CONTAINER_GGUF || count == UINT64_MAX || count < 2)
        return LQ_OK;
    if (number(file, "split.no") != 0)
        return mismatch(file, error, "not the first part of the model: open that one");
    if (count > SPLITS_MAX)
        return mismatch(file, error, "'split.count' is too large");
    sources = lqi_alloc_zero(&file->allocator, count * sizeof *sources);
    if (!sources)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for parts");
    sources[0] = file->sources[0];
    lqi_free(&file->allocator, file->sources);
    file->sources = sources;
    for (unsigned no = 1; no < count && !st; no++)
        st = join(ctx, file, no, (unsigned)count, error);
    if (!st && file->entry_count != number(file, "split.tensors.count"))
        st = mismatch(file, error, "the parts do not have 'split.tensors.count' tensors");
    return st;
}
