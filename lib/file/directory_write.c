/* SPDX-License-Identifier: MIT */
/*
 * lib/file/directory_write.c - a checkpoint directory: shards, index, attachments
 *
 * Tensors go to shards in the order of their declaration; a new shard begins when the
 * data of the next tensor would exceed shard_bytes, or it would be one too many.  One shard is "model.safetensors",
 * several are "model-00001-of-00003.safetensors" with "model.safetensors.index.json".
 */
#include "lib/file/index_json.h"
#include "lib/file/safetensors.h"

#include <stdio.h>

#define SHARD_BYTES  ((uint64_t)4 << 30)
#define SINGLE_FILE  "model.safetensors"
#define FILE_ENDING  ".safetensors"

static uint64_t shard_end(const lq_writer *w, uint64_t first)
{
    return lqi_writer_cut(w, first, w->opts.shard_bytes ? w->opts.shard_bytes : SHARD_BYTES);
}

static unsigned long shard_count(const lq_writer *w)
{
    unsigned long count = 0;
    for (uint64_t first = 0; first < w->tensor_count; first = shard_end(w, first))
        count++;
    return count ? count : 1;
}

static void shard_name(const lq_writer *w, char *name, size_t size, unsigned long shard,
                       unsigned long count)
{
    if (count == 1)
        snprintf(name, size, "%s", w->single ? w->single : SINGLE_FILE);
    else
        snprintf(name, size, "model-%05lu-of-%05lu" FILE_ENDING, shard + 1, count);
}

/* --------------------------------------------------------------------- index */

static lq_status put_member(lq_writer *w, const char *name, const void *data,
                            uint64_t bytes, lq_error *error)
{
    uint32_t member = 0;
    lq_status status = lqi_output_member(w->output, name, &member, error);
    if (status != LQ_OK || bytes == 0)
        return status;
    status = lqi_output_reserve(w->output, member, bytes, error);
    return status == LQ_OK ? lqi_output_write(w->output, member, 0, data, bytes, error)
                           : status;
}

static void build_index(const lq_writer *w, unsigned long count, lqi_buffer *b)
{
    uint64_t total = 0, first = 0;
    char name[64];
    for (uint64_t i = 0; i < w->tensor_count; i++)
        total += w->tensors[i].bytes;
    lqi_buffer_text(b, "{\n  \"metadata\": {\n    \"total_size\": ");
    lqi_json_put_u64(b, total);
    lqi_buffer_text(b, "\n  },\n  \"weight_map\": {");
    for (unsigned long shard = 0; shard < count; shard++) {
        uint64_t last = shard_end(w, first);
        shard_name(w, name, sizeof name, shard, count);
        for (; first < last; first++) {
            lqi_buffer_text(b, first ? ",\n    " : "\n    ");
            lqi_json_put_string(b, w->tensors[first].name);
            lqi_buffer_text(b, ": \"");
            lqi_buffer_text(b, name);
            lqi_buffer_text(b, "\"");
        }
    }
    lqi_buffer_text(b, "\n  }\n}\n");
}

static lq_status write_index(lq_writer *w, unsigned long count, lq_error *error)
{
    lqi_buffer index = { .allocator = &w->allocator };
    build_index(w, count, &index);
    lq_status status = index.failed ? lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory")
                                    : put_member(w, LQI_INDEX_FILE, index.data, index.bytes,
                                                 error);
    lqi_buffer_free(&index);
    return status;
}

/* --------------------------------------------------------------- attachments */

/* Files that a reader would take for ours. */
static int reserved(const char *name)
{
    size_t n = strlen(name), m = strlen(FILE_ENDING);
    return strcmp(name, LQI_INDEX_FILE) == 0 ||
           (n >= m && strcmp(name + n - m, FILE_ENDING) == 0);
}

static lq_status write_attachments(lq_writer *w, lq_error *error)
{
    for (uint64_t i = 0; i < w->attachment_count; i++) {
        const struct lqi_attachment *a = &w->attachments[i];
        lqi_where where = { NULL, a->name, LQ_NO_OFFSET };
        if (reserved(a->name))
            return lqi_fail(error, LQ_ERR_ARG, &where, "the file name is reserved");
        lq_status status = put_member(w, a->name, a->data, a->bytes, error);
        if (status != LQ_OK)
            return status;
    }
    return LQ_OK;
}

/* -------------------------------------------------------------------- shards */

/* Header of the shard that begins with 'first', ends before 'last'. */
static lq_status write_shard(lq_writer *w, const char *name, uint64_t first, uint64_t last,
                             lq_error *error)
{
    uint32_t member = 0;
    if (w->begun) {
        if (first == last)
            return LQ_OK;       /* no tensors: nothing has changed since begin */
        member = w->tensors[first].member;
    } else {
        lq_status status = lqi_output_member(w->output, name, &member, error);
        if (status != LQ_OK)
            return status;
    }
    return lqi_safetensors_put(w, first, last, member, error);
}

lq_status lqi_directory_write_header(lq_writer *w, lq_error *error)
{
    char name[64];
    unsigned long count = shard_count(w);
    uint64_t first = 0;
    for (unsigned long shard = 0; shard < count; shard++) {
        uint64_t last = shard_end(w, first);
        shard_name(w, name, sizeof name, shard, count);
        lq_status status = write_shard(w, name, first, last, error);
        if (status != LQ_OK)
            return status;
        first = last;
    }
    if (w->begun)
        return LQ_OK;
    lq_status status = count > 1 ? write_index(w, count, error) : LQ_OK;
    return status == LQ_OK ? write_attachments(w, error) : status;
}
