/* SPDX-License-Identifier: MIT */
/*
 * lib/file/imatrix.c - importances from llama-imatrix files
 *
 * The older layout, ".dat":
 *
 *     i32 entries | entries times: i32 length, name, i32 calls, i32 n, f32 values[n]
 *     optional:     i32 chunks, i32 length, name of the calibration text
 *
 * where values are sums of squared activations, one set per expert; the importance is
 * value / calls, or the value itself if calls is 0.
 *
 * The newer one is a GGUF file with tensors NAME.in_sum2 [experts][n] and NAME.counts
 * [experts]; the importance is in_sum2 / counts of the expert, 1 if its count is 0.
 */
#include <math.h>

#include "lib/core/core.h"
#include "lib/file/file.h"

#define ENTRIES_MAX  1000000
#define NAME_BYTES   65535        /* bytes of a weight's name */
#define ENTRY_MIN    17           /* bytes of the smallest entry */
#define SUMS         ".in_sum2"
#define COUNTS       ".counts"

typedef struct entry {
    const char *name;
    float      *values;
    uint64_t    count;
} entry;

struct lq_imatrix {
    lq_allocator allocator;
    lqi_arena    arena;
    entry       *entries;
    uint64_t     count, capacity;
    lqi_names   *names;
};

#define ULL(x) ((unsigned long long)(x))

/* ------------------------------------------------------------------ entries */

static lq_imatrix *create(const lq_ctx *ctx)
{
    lq_imatrix *m = lqi_alloc_zero(&ctx->allocator, sizeof *m);

    if (!m)
        return NULL;
    m->allocator = ctx->allocator;
    m->arena.allocator = &m->allocator;
    m->names = lqi_names_create(&m->allocator, 64);
    if (!m->names) {
        lqi_free(&m->allocator, m);
        return NULL;
    }
    return m;
}

void lq_imatrix_destroy(lq_imatrix *imatrix)
{
    lq_allocator a;

    if (!imatrix)
        return;
    a = imatrix->allocator;
    lqi_names_destroy(imatrix->names);
    lqi_arena_free(&imatrix->arena);
    lqi_free(&a, imatrix->entries);
    lqi_free(&a, imatrix);
}

static int grow(lq_imatrix *m)
{
    uint64_t wanted = m->capacity ? m->capacity * 2 : 64;
    entry *grown;

    if (m->count < m->capacity)
        return 1;
    grown = lqi_alloc(&m->allocator, wanted * sizeof *grown);
    if (!grown)
        return 0;
    if (m->count)
        memcpy(grown, m->entries, (size_t)(m->count * sizeof *grown));
    lqi_free(&m->allocator, m->entries);
    m->entries = grown;
    m->capacity = wanted;
    return 1;
}

static lq_status add(lq_imatrix *m, const entry *e, const lqi_where *where, lq_error *error)
{
    uint64_t index;
    int added = grow(m) ? lqi_names_add(m->names, e->name, &index) : -1;

    if (added < 0)
        return lqi_fail(error, LQ_ERR_NOMEM, where, "out of memory");
    if (added == 0)
        return lqi_fail(error, LQ_ERR_DUPLICATE, where, "the entry occurs twice");
    m->entries[m->count++] = *e;
    return LQ_OK;
}

/* Importances are finite and not negative. */
static lq_status check_values(const entry *e, const lqi_where *where, lq_error *error)
{
    for (uint64_t i = 0; i < e->count; i++) {
        if (!isfinite(e->values[i]))
            return lqi_fail(error, LQ_ERR_NONFINITE, where, "the importance of column %llu "
                            "is not finite", ULL(i));
        if (e->values[i] < 0)
            return lqi_fail(error, LQ_ERR_CORRUPT, where, "the importance of column %llu is "
                            "negative", ULL(i));
    }
    return LQ_OK;
}

/* ------------------------------------------------------------------- legacy */

typedef struct cursor {
    lq_imatrix       *m;
    const lqi_source *source;
    lq_error         *error;
    uint64_t          at, end;
    const char       *name;
} cursor;

#define WHERE(c) &(lqi_where){ lqi_source_path((c)->source), (c)->name, (c)->at }

static lq_status take(cursor *c, void *out, uint64_t bytes)
{
    lq_status status;

    if (bytes > c->end - c->at)
        return lqi_fail(c->error, LQ_ERR_TRUNCATED, WHERE(c), "%llu bytes announced, %llu "
                        "left in the file", ULL(bytes), ULL(c->end - c->at));
    status = lqi_source_read(c->source, c->at, out, bytes, c->error);
    if (status == LQ_OK)
        c->at += bytes;
    return status;
}

static lq_status take_i32(cursor *c, int32_t *value)
{
    uint8_t b[4];
    lq_status status = take(c, b, sizeof b);

    if (status == LQ_OK)
        *value = (int32_t)lqi_load32(b);
    return status;
}

static lq_status take_name(cursor *c, entry *e)
{
    int32_t length;
    char *text;
    lq_status status = take_i32(c, &length);

    if (status != LQ_OK)
        return status;
    if (length <= 0)
        return lqi_fail(c->error, LQ_ERR_CORRUPT, WHERE(c), "a name of %d bytes", (int)length);
    if ((uint64_t)length > c->end - c->at)
        return lqi_fail(c->error, LQ_ERR_TRUNCATED, WHERE(c), "a name of %d bytes announced, "
                        "%llu left in the file", (int)length, ULL(c->end - c->at));
    if (length > NAME_BYTES)
        return lqi_fail(c->error, LQ_ERR_LIMIT, WHERE(c), "a name of %d bytes", (int)length);
    text = lqi_arena_text(&c->m->arena, NULL, (uint64_t)length);
    if (!text)
        return lqi_fail(c->error, LQ_ERR_NOMEM, WHERE(c), "out of memory");
    e->name = text;
    status = take(c, text, (uint64_t)length);
    if (status == LQ_OK && memchr(text, 0, (size_t)length))
        return lqi_fail(c->error, LQ_ERR_CORRUPT, WHERE(c), "a name with a NUL byte");
    return status;
}

static lq_status take_values(cursor *c, entry *e)
{
    int32_t calls, n;
    lq_status status = take_i32(c, &calls);

    if (status == LQ_OK)
        status = take_i32(c, &n);
    if (status != LQ_OK)
        return status;
    if (calls < 0 || n <= 0)
        return lqi_fail(c->error, LQ_ERR_CORRUPT, WHERE(c), "%d values from %d calls", (int)n,
                        (int)calls);
    e->count = (uint64_t)n;
    if (e->count > (c->end - c->at) / 4)
        return lqi_fail(c->error, LQ_ERR_TRUNCATED, WHERE(c), "%d values announced, %llu bytes "
                        "left in the file", (int)n, ULL(c->end - c->at));
    e->values = lqi_arena_alloc(&c->m->arena, e->count * 4);
    if (!e->values)
        return lqi_fail(c->error, LQ_ERR_NOMEM, WHERE(c), "out of memory");
    status = take(c, e->values, e->count * 4);
    for (uint64_t i = 0; status == LQ_OK && i < e->count; i++) {
        float value = lqi_bits_float(lqi_load32(&e->values[i]));
        e->values[i] = calls > 0 ? value / (float)calls : value;
    }
    return status;
}

static lq_status take_entry(cursor *c)
{
    entry e = { 0 };
    lq_status status;

    c->name = NULL;
    status = take_name(c, &e);
    if (status != LQ_OK)
        return status;
    c->name = e.name;
    status = take_values(c, &e);
    if (status == LQ_OK)
        status = check_values(&e, WHERE(c), c->error);
    return status == LQ_OK ? add(c->m, &e, WHERE(c), c->error) : status;
}

/* What may follow: the number of chunks alone, or with the name of their text. */
static lq_status check_tail(cursor *c)
{
    int32_t chunks, length;
    lq_status status = LQ_OK;

    c->name = NULL;
    if (c->at < c->end)
        status = take_i32(c, &chunks);
    if (status != LQ_OK || c->at == c->end)
        return status;
    status = take_i32(c, &length);
    if (status != LQ_OK)
        return status;
    if (length < 0)
        return lqi_fail(c->error, LQ_ERR_CORRUPT, WHERE(c), "a name of %d bytes", (int)length);
    if ((uint64_t)length > c->end - c->at)
        return lqi_fail(c->error, LQ_ERR_TRUNCATED, WHERE(c), "a name of %d bytes announced, "
                        "%llu left in the file", (int)length, ULL(c->end - c->at));
    c->at += (uint64_t)length;
    if (c->at < c->end)
        return lqi_fail(c->error, LQ_ERR_CORRUPT, WHERE(c), "%llu bytes too many",
                        ULL(c->end - c->at));
    return LQ_OK;
}

static lq_status read_legacy(lq_imatrix *m, const lqi_source *source, lq_error *error)
{
    cursor c = { .m = m, .source = source, .error = error,
                 .end = lqi_source_bytes(source) };
    int32_t entries;
    lq_status status = take_i32(&c, &entries);

    if (status != LQ_OK)
        return status;
    if (entries <= 0)
        return lqi_fail(error, LQ_ERR_CORRUPT, WHERE(&c), "%d entries", (int)entries);
    if (entries > ENTRIES_MAX)
        return lqi_fail(error, LQ_ERR_LIMIT, WHERE(&c), "%d entries; %d are allowed: is this "
                        "an imatrix file?", (int)entries, ENTRIES_MAX);
    if ((uint64_t)entries > c.end / ENTRY_MIN)
        return lqi_fail(error, LQ_ERR_TRUNCATED, WHERE(&c), "%d entries announced, %llu bytes "
                        "in the file", (int)entries, ULL(c.end));
    for (int32_t i = 0; i < entries && status == LQ_OK; i++)
        status = take_entry(&c);
    return status == LQ_OK ? check_tail(&c) : status;
}

/* --------------------------------------------------------------------- GGUF */

/* Tensor NAME.counts that belongs to NAME.in_sum2, into *counts. */
static lq_status find_counts(lq_imatrix *m, const lq_file *file, const char *name,
                             lq_file_tensor *counts, uint64_t *index, lq_error *error)
{
    const lqi_where where = { lq_file_path(file), name, LQ_NO_OFFSET };
    size_t n = strlen(name);
    char *text = lqi_arena_text(&m->arena, NULL, n + sizeof COUNTS);

    if (!text)
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    memcpy(text, name, n);
    memcpy(text + n, COUNTS, sizeof COUNTS);
    if (lq_file_tensor_find(file, text, index) != LQ_OK)
        return lqi_fail(error, LQ_ERR_CORRUPT, &where, "there is no %s", text);
    return lq_file_tensor_at(file, *index, counts);
}

/* Read a tensor of F32 into the arena, native. */
static lq_status read_floats(lq_imatrix *m, const lq_file *file, uint64_t index,
                             const lq_file_tensor *t, float **values, lq_error *error)
{
    const lqi_where where = { t->file, t->name, t->offset };
    float *v;
    lq_status status;

    if (t->dtype != LQ_F32)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, &where, "importances are stored as f32");
    if (t->bytes == 0)
        return lqi_fail(error, LQ_ERR_CORRUPT, &where, "the tensor is empty");
    v = lqi_arena_alloc(&m->arena, t->bytes);
    if (!v)
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    status = lq_file_read(file, index, 0, v, t->bytes, error);
    for (uint64_t i = 0; status == LQ_OK && i < t->bytes / 4; i++)
        v[i] = lqi_bits_float(lqi_load32(&v[i]));
    if (status == LQ_OK)
        *values = v;
    return status;
}

static lq_status divide(entry *e, const float *counts, uint64_t experts,
                        const lqi_where *where, lq_error *error)
{
    uint64_t cols = e->count / experts;

    for (uint64_t x = 0; x < experts; x++) {
        if (!isfinite(counts[x]) || counts[x] < 0)
            return lqi_fail(error, isfinite(counts[x]) ? LQ_ERR_CORRUPT : LQ_ERR_NONFINITE,
                            where, "the count of expert %llu is no count", ULL(x));
        for (uint64_t i = x * cols; i < (x + 1) * cols; i++)
            e->values[i] = counts[x] > 0 ? e->values[i] / counts[x] : 1.0f;
    }
    return LQ_OK;
}

static lq_status read_pair(lq_imatrix *m, const lq_file *file, uint64_t index,
                           const lq_file_tensor *sums, lq_error *error)
{
    const lqi_where where = { sums->file, sums->name, sums->offset };
    char *name = lqi_arena_text(&m->arena, sums->name, strlen(sums->name) - strlen(SUMS));
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    entry e = { .name = name, .count = sums->bytes / 4 };
    uint64_t at, experts;
    float *counts;
    lq_status status;

    if (!name)
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    status = find_counts(m, file, name, &t, &at, error);
    if (status == LQ_OK)
        status = read_floats(m, file, index, sums, &e.values, error);
    if (status == LQ_OK)
        status = read_floats(m, file, at, &t, &counts, error);
    if (status != LQ_OK)
        return status;
    experts = t.bytes / 4;
    if (experts != (sums->n_dims > 1 ? e.count / sums->dims[sums->n_dims - 1] : 1))
        return lqi_fail(error, LQ_ERR_MISMATCH, &where, "%llu counts do not belong to it",
                        ULL(experts));
    status = check_values(&e, &where, error);
    if (status == LQ_OK)
        status = divide(&e, counts, experts, &where, error);
    if (status == LQ_OK)                 /* a tiny count makes infinities */
        status = check_values(&e, &where, error);
    return status == LQ_OK ? add(m, &e, &where, error) : status;
}

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static lq_status read_gguf(lq_imatrix *m, const lq_file *file, lq_error *error)
{
    const lqi_where where = { lq_file_path(file), NULL, LQ_NO_OFFSET };
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < lq_file_tensor_count(file) && status == LQ_OK; i++) {
        status = lq_file_tensor_at(file, i, &t);
        if (status == LQ_OK && ends_with(t.name, SUMS))
            status = read_pair(m, file, i, &t, error);
    }
    if (status == LQ_OK && m->count == 0)
        return lqi_fail(error, LQ_ERR_FORMAT, &where, "a GGUF file without importances");
    return status;
}

/* ------------------------------------------------------------------ opening */

static int is_gguf(const lqi_source *source)
{
    char magic[4];

    return lqi_source_bytes(source) >= 4 &&
           lqi_source_read(source, 0, magic, 4, NULL) == LQ_OK && memcmp(magic, "GGUF", 4) == 0;
}

/* The file is opened a second time, as a container, if it turns out to be GGUF. */
static lq_status read_any(const lq_ctx *ctx, lqi_source *source, lq_imatrix *m,
                          lq_error *error)
{
    const void *data = lqi_source_data(source);
    lq_file *file;
    lq_status status;

    if (!is_gguf(source))
        return read_legacy(m, source, error);
    status = data ? lq_file_open_memory(ctx, data, lqi_source_bytes(source), NULL, &file, error)
                  : lq_file_open(ctx, lqi_source_path(source), NULL, &file, error);
    if (status != LQ_OK)
        return status;
    status = read_gguf(m, file, error);
    lq_file_close(file);
    return status;
}

static lq_status finish(const lq_ctx *ctx, lqi_source *source, lq_imatrix **imatrix,
                        lq_error *error)
{
    lq_imatrix *m = create(ctx);
    lq_status status = m ? read_any(ctx, source, m, error)
                         : lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");

    lqi_source_close(source);
    if (status != LQ_OK) {
        lq_imatrix_destroy(m);
        return status;
    }
    *imatrix = m;
    return LQ_OK;
}

lq_status lq_imatrix_open(const lq_ctx *ctx, const char *path, lq_imatrix **imatrix,
                          lq_error *error)
{
    lqi_source *source;
    lq_status status;

    if (!ctx || !path || !imatrix)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, path and imatrix are needed");
    status = lqi_source_open(&ctx->allocator, path, 0, &source, error);
    return status == LQ_OK ? finish(ctx, source, imatrix, error) : status;
}

lq_status lq_imatrix_open_memory(const lq_ctx *ctx, const void *data, uint64_t bytes,
                                 lq_imatrix **imatrix, lq_error *error)
{
    lqi_source *source;
    lq_status status;

    if (!ctx || (!data && bytes) || !imatrix)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, data and imatrix are needed");
    status = lqi_source_memory(&ctx->allocator, data, bytes, &source, error);
    return status == LQ_OK ? finish(ctx, source, imatrix, error) : status;
}

/* ------------------------------------------------------------------ serving */

uint64_t lq_imatrix_count(const lq_imatrix *imatrix)
{
    return imatrix ? imatrix->count : 0;
}

lq_status lq_imatrix_at(const lq_imatrix *imatrix, uint64_t index, const char **name,
                        const float **values, uint64_t *count)
{
    if (!imatrix || !name || !values || !count || index >= imatrix->count)
        return LQ_ERR_ARG;
    *name = imatrix->entries[index].name;
    *values = imatrix->entries[index].values;
    *count = imatrix->entries[index].count;
    return LQ_OK;
}

lq_status lq_imatrix_find(const lq_imatrix *imatrix, const char *name, const float **values,
                          uint64_t *count)
{
    uint64_t index;

    if (!imatrix || !name || !values || !count)
        return LQ_ERR_ARG;
    if (!lqi_names_find(imatrix->names, name, &index))
        return LQ_ERR_NOTFOUND;
    *values = imatrix->entries[index].values;
    *count = imatrix->entries[index].count;
    return LQ_OK;
}
