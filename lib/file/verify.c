/* SPDX-License-Identifier: MIT */
/*
 * lib/file/verify.c - lq_verify(): checksums, legal blocks and scales, finite floats
 */
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/core/core.h"
#include "lib/file/dialect/dialect.h"

#define CHUNK (1u << 20)

typedef struct verify {
    const lq_ctx  *ctx;
    lq_checkpoint *cp;
    void         (*found)(void *user, const lq_finding *finding);
    void          *user;
    uint64_t       bad;
    void          *buffer;      /* CHUNK bytes, or rows */
    XXH3_state_t  *hash;
    lq_error       error;
} verify;

static void find(verify *v, lq_status status, const char *name, const char *message)
{
    lq_finding f = { sizeof f, status, name, message };

    v->bad += status != LQ_OK;
    if (v->found)
        v->found(v->user, &f);
}

/* ------------------------------------------------------------------- checksums */

/* Recorded checksum of raw tensor 'index', 32 hex digits, or NULL. */
static const char *recorded(verify *v, uint64_t index)
{
    const lq_file *file = v->cp->file;
    const char *name = file->entries[index].name, *text = NULL;
    lqi_buffer key = { .allocator = lqi_ctx_allocator(v->ctx) };
    lq_meta meta = LQ_META_INIT;
    uint64_t bytes = 0, element = 0;
    lq_status st;

    lqi_buffer_text(&key, LQI_META_XXH3);
    if (file->container == LQ_CONTAINER_GGUF) {
        element = index;
    } else {
        lqi_buffer_text(&key, ".");
        lqi_buffer_text(&key, name);
    }
    lqi_buffer_put(&key, "", 1);
    st = key.failed ? LQ_ERR_NOMEM
                    : lq_file_meta_find(file, (const char *)key.data, &meta);
    lqi_buffer_free(&key);
    if (st || meta.type != LQ_META_STRING || element >= meta.count ||
        lq_file_meta_string(file, &meta, element, &text, &bytes))
        return NULL;
    return strspn(text, "0") == bytes ? NULL : text;    /* all zero: not known */
}

static lq_status hash_tensor(verify *v, uint64_t index, char text[33])
{
    uint64_t bytes = v->cp->file->entries[index].bytes;
    XXH128_canonical_t canonical;
    lq_status st = LQ_OK;

    XXH3_128bits_reset(v->hash);
    for (uint64_t at = 0; at < bytes && !st; at += CHUNK) {
        uint64_t n = lqi_min(CHUNK, bytes - at);
        st = lq_file_read(v->cp->file, index, at, v->buffer, n, &v->error);
        if (!st)
            XXH3_128bits_update(v->hash, v->buffer, (size_t)n);
    }
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(v->hash));
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", canonical.digest[i]);
    return st;
}

/* Status of a part's checksum; LQ_OK also where none is recorded. */
static lq_status check_part(verify *v, uint64_t tensor, int *checked)
{
    const char *want = recorded(v, tensor);
    char have[33];
    lq_status st;

    if (!want)
        return LQ_OK;
    *checked = 1;
    st = hash_tensor(v, tensor, have);
    if (st || !strcmp(want, have))
        return st;
    lqi_where where = lqi_entry_where(v->cp->file, &v->cp->file->entries[tensor]);
    return lqi_fail(&v->error, LQ_ERR_CORRUPT, &where, "checksum %s, recorded is %s", have,
                    want);
}

/* -------------------------------------------------------------------- contents */

/* Rows [row0, row0 + n) of all experts together, as a tensor of their own. */
static lq_status check_strip(verify *v, const lqi_weight *w, uint64_t row0, uint64_t n,
                             uint64_t row_bytes)
{
    const lqi_part *part = lqi_weight_part(w, LQ_PLANE_CODES);
    lq_shape shape = { 1, n, w->shape.cols };
    uint64_t sizes[LQ_PLANES] = { n * row_bytes };
    void *planes[LQ_PLANES] = { v->buffer };
    lq_tensor *t = NULL;
    lq_status st = lqi_part_read(v->cp, part, row0 * row_bytes, v->buffer, sizes[0],
                                 &v->error);

    if (!st)
        st = lq_tensor_wrap(v->ctx, &w->spec, &shape, planes, sizes, &t, &v->error);
    if (!st)
        st = lq_tensor_check(t, &v->error);
    lq_tensor_destroy(t);
    return st;
}

static lq_status check_rows(verify *v, const lqi_weight *w)
{
    lq_shape one = { 1, 1, w->shape.cols };
    uint64_t row = 0, rows = w->shape.outer * w->shape.rows, strip;
    void *small = v->buffer;
    lq_status st = lq_plane_bytes(&w->spec, LQ_PLANE_CODES, &one, &row);

    if (st || !row)
        return st;
    strip = row < CHUNK ? CHUNK / row : 1;
    if (row > CHUNK)
        v->buffer = lqi_alloc(lqi_ctx_allocator(v->ctx), row);
    if (!v->buffer)
        st = lqi_fail(&v->error, LQ_ERR_NOMEM, NULL, "no memory for a row");
    for (uint64_t r = 0; r < rows && !st; r += strip)
        st = check_strip(v, w, r, lqi_min(strip, rows - r), row);
    if (v->buffer != small)
        lqi_free(lqi_ctx_allocator(v->ctx), v->buffer);
    v->buffer = small;
    return st;
}

static lq_status check_loaded(verify *v, uint64_t index)
{
    lq_tensor *t = NULL;
    lq_status st = lq_checkpoint_load(v->cp, index, &t, &v->error);

    if (!st)
        st = lq_tensor_check(t, &v->error);
    lq_tensor_destroy(t);
    return st;
}

/* Faults of the data are findings; these end the examination. */
static int is_fatal(lq_status st)
{
    return st == LQ_ERR_NOMEM || st == LQ_ERR_IO || st == LQ_ERR_TRUNCATED;
}

static lq_status check_weight(verify *v, uint64_t index)
{
    const lqi_weight *w = &v->cp->weights[index];
    const char *note = w->note ? w->note : "";
    char message[160];
    int checked = 0;
    lq_status st = LQ_OK;

    lq_error_init(&v->error);
    for (uint32_t i = 0; i < w->part_count && !st; i++)
        if (w->parts[i].tensor != LQI_NONE)
            st = check_part(v, w->parts[i].tensor, &checked);
    if (!st && w->spec.format)
        st = lqi_rows_alone(&w->spec) ? check_rows(v, w) : check_loaded(v, index);
    if (is_fatal(st))
        return st;
    snprintf(message, sizeof message, "%s%s%s", checked ? "checksum and contents are right"
             : "contents are legal, no checksum recorded", *note ? "; " : "", note);
    if (st)
        find(v, st, w->name, *v->error.message ? v->error.message : lq_status_text(st));
    else
        find(v, LQ_OK, w->name, message);
    return LQ_OK;
}

static lq_status check_all(verify *v)
{
    lq_status st = LQ_OK;

    v->buffer = lqi_alloc(lqi_ctx_allocator(v->ctx), CHUNK);
    v->hash = lqi_alloc(lqi_ctx_allocator(v->ctx), sizeof *v->hash);
    if (!v->buffer || !v->hash)
        st = lqi_fail(&v->error, LQ_ERR_NOMEM, NULL, "no memory to verify");
    for (uint64_t i = 0; i < v->cp->count && !st; i++)
        st = check_weight(v, i);
    lqi_free(lqi_ctx_allocator(v->ctx), v->hash);
    lqi_free(lqi_ctx_allocator(v->ctx), v->buffer);
    return st;
}

lq_status lq_verify(const lq_ctx *ctx, const char *path, const lq_file_opts *opts,
                    void (*found)(void *user, const lq_finding *finding), void *user,
                    uint64_t *bad, lq_error *error)
{
    verify v = { .ctx = ctx, .found = found, .user = user, .error = LQ_ERROR_INIT };
    lq_status st;

    if (!ctx || !path)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a context and a path are needed");
    st = lq_checkpoint_open(ctx, path, opts, &v.cp, error);
    if (st)
        return st;
    st = check_all(&v);
    lq_checkpoint_destroy(v.cp);
    if (st)
        return lqi_fail(error, st, NULL, "%s", v.error.message);
    if (bad)
        *bad = v.bad;
    return LQ_OK;
}
