/* SPDX-License-Identifier: MIT */
/*
 * lib/file/gguf_splits.c - a GGUF model in several files
 *
 * PREFIX-00001-of-0000N.gguf and its siblings, each a complete file with its own offsets.
 * The first one carries the model's metadata; all say split.no (from 0), split.count and
 * split.tensors.count, the number of tensors in all of them together.
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
    return LQ_OK;
}

/* Take over a part's tensors and its source. */
static lq_status take_part(lq_file *file, lq_file *part, unsigned no, lq_error *error)
{
    lq_status st = LQ_OK;

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
