/* SPDX-License-Identifier: MIT */
/*
 * lib/file/stats_load.c - statistics of activations from files
 */
#include "lib/calib/calib.h"
#include "lib/file/stats.h"
#include "lib/file/file.h"

struct load {
    const lq_ctx  *ctx;
    const lq_file *file;
    lq_stats      *stats;
    lq_error      *error;
    char           name[LQI_STATS_NAME];
};

static lq_status fail(const struct load *l, lq_status status, const char *name,
                      const char *problem)
{
    const lqi_where where = { lq_file_path(l->file), name, LQ_NO_OFFSET };

    return lqi_fail(l->error, status, &where, "%s", problem);
}

/* ------------------------------------------------------------------- tensors */

/* Tensor NAME.part of a type and shape; rows 0: of one dimension. */
static lq_status find(struct load *l, const char *name, const char *part, lq_dtype type,
                      uint64_t rows, uint64_t cols, uint64_t *index)
{
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;

    if (!lqi_stats_name(l->name, name, part) ||
        lq_file_tensor_find(l->file, l->name, index) != LQ_OK ||
        lq_file_tensor_at(l->file, *index, &t) != LQ_OK)
        return fail(l, LQ_ERR_NOTFOUND, name, "the file has no such statistics");
    if (t.dtype != type || t.n_dims != (rows ? 2 : 1) || t.dims[t.n_dims - 1] != cols ||
        (rows && t.dims[0] != rows))
        return fail(l, LQ_ERR_SHAPE, l->name, "the statistics have another type or shape than "
                    "they should have");
    return LQ_OK;
}

static lq_status read_count(struct load *l, const char *name, uint64_t *count)
{
    uint8_t bytes[8];
    uint64_t index;
    lq_status status = find(l, name, LQI_STATS_COUNT, LQ_U64, 0, 1, &index);

    if (!status)
        status = lq_file_read(l->file, index, 0, bytes, sizeof bytes, l->error);
    if (status)
        return status;
    *count = lqi_load64(bytes);
    return *count ? LQ_OK : fail(l, LQ_ERR_CORRUPT, name, "no activations were seen");
}

/* Sums: finite, not negative. */
static lq_status read_sums(struct load *l, const char *name, const char *part, uint64_t cols,
                           double *out)
{
    uint64_t index;
    lq_status status = find(l, name, part, LQ_F64, 0, cols, &index);

    if (!status)
        status = lq_file_read(l->file, index, 0, out, cols * sizeof *out, l->error);
    for (uint64_t c = 0; c < cols && !status; c++) {
        uint64_t bits = lqi_load64(&out[c]);
        memcpy(&out[c], &bits, sizeof bits);
        if (!isfinite(out[c]))
            status = fail(l, LQ_ERR_NONFINITE, name, "a sum is not finite");
        else if (out[c] < 0)
            status = fail(l, LQ_ERR_CORRUPT, name, "a sum of magnitudes is negative");
    }
    return status;
}

static lq_status read_panel(struct load *l, lqi_stat *e, uint64_t panel)
{
    uint64_t rows = lqi_gram_rows(e->cols, panel), width = lqi_gram_width(e->cols, panel);
    uint64_t index;
    char part[LQI_STATS_PART];
    float *x;
    lq_status status;

    lqi_stats_gram_part(part, panel);
    if (!lqi_stats_name(l->name, e->name, part) ||
        lq_file_tensor_find(l->file, l->name, &index) != LQ_OK)
        return LQ_OK;
    status = find(l, e->name, part, LQ_F32, rows, width, &index);
    if (!status)
        status = lqi_stats_panel(l->stats, e, panel, l->error);
    if (status)
        return status;
    x = e->gram[panel];
    status = lq_file_read(l->file, index, 0, x, rows * width * sizeof *x, l->error);
    for (uint64_t i = 0; i < rows * width && !status; i++) {
        x[i] = lqi_bits_float(lqi_load32(&x[i]));
        if (!lqi_finite(x[i]))
            status = fail(l, LQ_ERR_NONFINITE, e->name, "X'X is not finite");
    }
    return status;
}

/* ------------------------------------------------------------------- entries */

/* Entry 'name' from the tensors of 'of'. */
static lq_status load_entry(struct load *l, const char *name, const char *of)
{
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    uint64_t index;
    lqi_stat *e;
    lq_status status;

    if (!lqi_stats_name(l->name, of, LQI_STATS_SQ) ||
        lq_file_tensor_find(l->file, l->name, &index) != LQ_OK ||
        lq_file_tensor_at(l->file, index, &t) != LQ_OK)
        return fail(l, LQ_ERR_NOTFOUND, of, "the file has no statistics of this weight");
    if (t.n_dims != 1)
        return fail(l, LQ_ERR_SHAPE, t.name, "sums of a weight have one dimension");
    status = lqi_stats_new(l->stats, of, t.dims[0], &e, l->error);
    if (!status)
        status = read_count(l, of, &e->count);
    if (!status)
        status = read_sums(l, of, LQI_STATS_SQ, e->cols, e->sum_sq);
    if (!status)
        status = read_sums(l, of, LQI_STATS_ABS, e->cols, e->sum_abs);
    for (uint64_t p = 0; !status && p < lqi_gram_panels(e->cols); p++)
        status = read_panel(l, e, p);
    if (!status && strcmp(name, of))
        status = lq_stats_same(l->stats, name, of, l->error);
    return status;
}

/* The name whose inputs 'name' has, from the file's keys; NULL. */
static const char *origin_of(struct load *l, const char *name)
{
    lq_meta meta = LQ_META_INIT;
    const char *text = NULL;
    uint64_t bytes;

    if (!lqi_stats_name(l->name, LQI_STATS_SAME, name) ||
        lq_file_meta_find(l->file, l->name, &meta) != LQ_OK ||
        lq_file_meta_string(l->file, &meta, 0, &text, &bytes) != LQ_OK)
        return NULL;
    return text;
}

static lq_status load_tensors(struct load *l)
{
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    lq_status status = LQ_OK;
    char name[LQI_STATS_NAME];

    for (uint64_t i = 0; i < lq_file_tensor_count(l->file) && !status; i++) {
        status = lq_file_tensor_at(l->file, i, &t);
        size_t n = status ? 0 : strlen(t.name), end = strlen(LQI_STATS_SQ);
        if (n <= end || n - end >= sizeof name || strcmp(t.name + n - end, LQI_STATS_SQ))
            continue;
        memcpy(name, t.name, n - end);
        name[n - end] = 0;
        status = load_entry(l, name, name);
    }
    return status;
}

static lq_status load_same(struct load *l)
{
    const size_t begin = strlen(LQI_STATS_SAME);
    lq_meta meta = LQ_META_INIT;
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < lq_file_meta_count(l->file) && !status; i++) {
        const char *of;
        uint64_t bytes;
        status = lq_file_meta_at(l->file, i, &meta);
        if (status || strncmp(meta.key, LQI_STATS_SAME, begin))
            continue;
        status = lq_file_meta_string(l->file, &meta, 0, &of, &bytes);
        if (!status)
            status = lq_stats_same(l->stats, meta.key + begin, of, l->error);
    }
    return status;
}

static lq_status check_file(const struct load *l)
{
    lq_meta meta = LQ_META_INIT;
    const char *text;
    uint64_t bytes;

    if (lq_file_container(l->file) != LQ_CONTAINER_SAFETENSORS ||
        lq_file_meta_find(l->file, LQI_STATS_KEY, &meta) != LQ_OK ||
        lq_file_meta_string(l->file, &meta, 0, &text, &bytes) != LQ_OK)
        return fail(l, LQ_ERR_FORMAT, NULL, "no statistics of activations");
    if (strcmp(text, LQI_STATS_VERSION))
        return fail(l, LQ_ERR_UNSUPPORTED, NULL, "statistics of another version");
    return LQ_OK;
}

lq_status lq_stats_load(const lq_ctx *ctx, const lq_file *file, const char *name,
                        lq_stats **stats, lq_error *error)
{
    struct load l = { .ctx = ctx, .file = file, .error = error };
    const char *of;
    lq_status status;

    if (!ctx || !file || !stats)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_stats_load: NULL argument");
    status = check_file(&l);
    if (!status)
        status = lq_stats_create(ctx, NULL, &l.stats, error);
    if (status)
        return status;
    of = name ? origin_of(&l, name) : NULL;
    status = name ? load_entry(&l, name, of ? of : name) : load_tensors(&l);
    if (!status && !name)
        status = load_same(&l);
    if (status)
        lq_stats_destroy(l.stats);
    else
        *stats = l.stats;
    return status;
}
