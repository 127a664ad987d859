/* SPDX-License-Identifier: MIT */
/*
 * lib/file/stats_save.c - statistics of activations to files
 *
 * The tensors are laid out in libquant/calibrate.h.  Numbers go out little-endian, in pieces.
 */
#include "lib/calib/calib.h"
#include "lib/file/stats.h"
#include "lib/file/file.h"

#define PIECE 4096   /* numbers */

struct save {
    const lq_stats *stats;
    lq_writer      *writer;
    int             gguf;
    uint64_t        next;     /* tensors are written in the order of their declaration */
    lq_error       *error;
    char            name[LQI_STATS_NAME];
};

static lq_status fail(const struct save *s, lq_status status, const char *name,
                      const char *problem)
{
    const lqi_where where = { NULL, name, LQ_NO_OFFSET };

    return lqi_fail(s->error, status, &where, "%s", problem);
}

/* "NAME.part", for GGUF with llama.cpp's name. */
static lq_status tensor_name(struct save *s, const char *name, const char *part)
{
    char other[LQ_GGUF_NAME];

    if (s->gguf && lq_gguf_name(name, other, sizeof other) == LQ_OK)
        name = other;
    if (!lqi_stats_name(s->name, name, part))
        return fail(s, LQ_ERR_LIMIT, name, "the name is too long");
    return LQ_OK;
}

/* ------------------------------------------------------------------ declaring */

static lq_status declare(struct save *s, const char *name, const char *part, lq_dtype type,
                         uint64_t rows, uint64_t cols)
{
    uint64_t dims[2] = { rows, cols }, index;
    lq_status status = tensor_name(s, name, part);

    if (!status)
        status = lq_writer_tensor(s->writer, s->name, type, 0, rows ? 2 : 1,
                                  rows ? dims : dims + 1, &index);
    return status ? fail(s, status, name, lq_status_text(status)) : LQ_OK;
}

static lq_status declare_all(struct save *s, const lqi_stat *e)
{
    char part[LQI_STATS_PART];
    lq_status status = declare(s, e->name, LQI_STATS_COUNT, LQ_U64, 0, 1);

    if (!status)
        status = declare(s, e->name, LQI_STATS_SQ, LQ_F64, 0, e->cols);
    if (!status)
        status = declare(s, e->name, LQI_STATS_ABS, LQ_F64, 0, e->cols);
    for (uint64_t p = 0; p < lqi_gram_panels(e->cols) && !status; p++) {
        if (!e->gram[p])
            continue;
        lqi_stats_gram_part(part, p);
        status = declare(s, e->name, part, LQ_F32, lqi_gram_rows(e->cols, p),
                         lqi_gram_width(e->cols, p));
    }
    return status;
}

static lq_status declare_same(struct save *s, const lqi_stat *e, const char *of)
{
    if (!lqi_stats_name(s->name, LQI_STATS_SAME, e->name))
        return fail(s, LQ_ERR_LIMIT, e->name, "the name is too long");
    return lq_writer_meta_string(s->writer, s->name, of);
}

static lq_status declare_entry(struct save *s, const lqi_stat *e)
{
    const lqi_stat *origin = &s->stats->entries[e->same];
    lq_status status;

    if (origin->count == 0)
        return fail(s, LQ_ERR_NUMERIC, e->name, "no activations were seen");
    if (origin->broken)
        return fail(s, LQ_ERR_NOMEM, e->name, "memory ended while X'X was added to");
    if (!s->gguf)
        return origin == e ? declare_all(s, e) : declare_same(s, e, origin->name);
    status = declare(s, e->name, ".in_sum2", LQ_F32, 0, origin->cols);
    return status ? status : declare(s, e->name, ".counts", LQ_F32, 0, 1);
}

/* -------------------------------------------------------------------- writing */

static lq_status put_floats(struct save *s, const float *x, uint64_t n)
{
    uint8_t bytes[4 * PIECE];
    lq_status status = LQ_OK;

    for (uint64_t i = 0, count; i < n && !status; i += count) {
        count = lqi_min(PIECE, n - i);
        for (uint64_t k = 0; k < count; k++)
            lqi_store32(bytes + 4 * k, lqi_float_bits(x[i + k]));
        status = lq_writer_write(s->writer, s->next, 4 * i, bytes, 4 * count, s->error);
    }
    s->next++;
    return status;
}

static lq_status put_doubles(struct save *s, const double *x, uint64_t n)
{
    uint8_t bytes[8 * PIECE];
    lq_status status = LQ_OK;

    for (uint64_t i = 0, count; i < n && !status; i += count) {
        count = lqi_min(PIECE, n - i);
        for (uint64_t k = 0; k < count; k++) {
            uint64_t bits;
            memcpy(&bits, &x[i + k], sizeof bits);
            lqi_store64(bytes + 8 * k, bits);
        }
        status = lq_writer_write(s->writer, s->next, 8 * i, bytes, 8 * count, s->error);
    }
    s->next++;
    return status;
}

static lq_status put_count(struct save *s, uint64_t count)
{
    uint8_t bytes[8];

    lqi_store64(bytes, count);
    return lq_writer_write(s->writer, s->next++, 0, bytes, sizeof bytes, s->error);
}

static lq_status put_all(struct save *s, const lqi_stat *e)
{
    lq_status status = put_count(s, e->count);

    if (!status)
        status = put_doubles(s, e->sum_sq, e->cols);
    if (!status)
        status = put_doubles(s, e->sum_abs, e->cols);
    for (uint64_t p = 0; p < lqi_gram_panels(e->cols) && !status; p++)
        if (e->gram[p])
            status = put_floats(s, e->gram[p], lqi_gram_numbers(e->cols, p));
    return status;
}

/* Sums are rounded to f32, as llama.cpp stores them. */
static lq_status put_imatrix(struct save *s, const lqi_stat *e)
{
    const lq_allocator *a = &s->stats->ctx->allocator;
    float *sums = lqi_alloc(a, e->cols * sizeof *sums), count = (float)e->count;
    lq_status status;

    if (!sums)
        return fail(s, LQ_ERR_NOMEM, e->name, "out of memory");
    for (uint64_t c = 0; c < e->cols; c++)
        sums[c] = (float)e->sum_sq[c];
    status = put_floats(s, sums, e->cols);
    lqi_free(a, sums);
    return status ? status : put_floats(s, &count, 1);
}

static lq_status put_keys(struct save *s)
{
    const char *none = "";
    uint32_t zero = 0;
    lq_status status;

    if (!s->gguf)
        return lq_writer_meta_string(s->writer, LQI_STATS_KEY, LQI_STATS_VERSION);
    status = lq_writer_meta_string(s->writer, "general.type", "imatrix");
    if (!status)
        status = lq_writer_meta(s->writer, "imatrix.datasets", LQ_META_STRING, 1, &none, 1);
    if (!status)
        status = lq_writer_meta(s->writer, "imatrix.chunk_count", LQ_META_U32, 0, &zero, 1);
    return status ? status
                  : lq_writer_meta(s->writer, "imatrix.chunk_size", LQ_META_U32, 0, &zero, 1);
}

static lq_status write_all(struct save *s)
{
    lq_status status = put_keys(s);

    for (uint64_t i = 0; i < s->stats->count && !status; i++)
        status = declare_entry(s, &s->stats->entries[i]);
    if (!status)
        status = lq_writer_begin(s->writer, s->error);
    for (uint64_t i = 0; i < s->stats->count && !status; i++) {
        const lqi_stat *e = &s->stats->entries[i];
        if (s->gguf)
            status = put_imatrix(s, &s->stats->entries[e->same]);
        else if (e->same == i)
            status = put_all(s, e);
    }
    return status ? status : lq_writer_finish(s->writer, s->error);
}

lq_status lq_stats_save(const lq_stats *stats, const char *path, int32_t replace,
                        lq_error *error)
{
    struct save s = { .stats = stats, .error = error };
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    size_t n = path ? strlen(path) : 0;
    lq_status status;

    if (!stats || !path)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_stats_save: NULL argument");
    if (stats->count == 0)
        return lqi_fail(error, LQ_ERR_NUMERIC, NULL, "%s: there are no statistics to "
                        "write", path);
    s.gguf = n > 5 && strcmp(path + n - 5, ".gguf") == 0;
    opts.replace = replace != 0;
    status = lq_writer_create(stats->ctx, path,
                              s.gguf ? LQ_CONTAINER_GGUF : LQ_CONTAINER_SAFETENSORS, &opts,
                              &s.writer, error);
    if (status)
        return status;
    status = write_all(&s);
    lq_writer_destroy(s.writer);
    return status;
}
