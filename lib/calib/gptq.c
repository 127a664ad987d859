/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/gptq.c - a matrix encoded with GPTQ: arguments, parameters, the order of work
 */
#include "lib/calib/gptq.h"

#define STRIP        512                /* rows */
#define LEVELS_MOST  (16u << 20)        /* numbers in the tables of a strip */
#define MSE_POWER    2.4

struct job {
    const lq_ctx   *ctx;
    const lq_shape *shape;
    lq_spec         spec;
    lqi_geometry    g;
    lq_gptq_opts    opts;
    const lqi_stat *stat;
    const char     *name;
    lq_error       *error;
    lqi_hessian     h;
    lqi_frozen      frozen;
    lqi_clip        clip;
    const float    *w;             /* the weight, f32 */
    float          *own;           /* a copy of it, or NULL */
    uint32_t       *group_of;      /* running groups in act-order; or NULL */
    lq_tensor      *tensor;
};

static lq_status fail(const struct job *j, lq_status status, const char *problem)
{
    const lqi_where where = { NULL, j->name, LQ_NO_OFFSET };

    return lqi_fail(j->error, status, &where, "%s", problem);
}

/* -------------------------------------------------------------------- options */

void lq_gptq_opts_init(lq_gptq_opts *opts)
{
    const lq_gptq_opts init = LQ_GPTQ_OPTS_INIT;

    if (opts)
        *opts = init;
}

void lq_gptq_opts_compat(lq_gptq_opts *opts)
{
    lq_gptq_opts_init(opts);
    if (!opts)
        return;
    opts->order = LQ_GPTQ_ORDER_NONE;
    opts->running = 1;
    opts->clip = LQ_GPTQ_CLIP_NONE;
}

void lq_gptq_result_init(lq_gptq_result *result)
{
    const lq_gptq_result init = LQ_GPTQ_RESULT_INIT;

    if (result)
        *result = init;
}

static lq_status check_options(const struct job *j)
{
    const lq_gptq_opts *o = &j->opts;

    if (o->order < 0 || o->order > LQ_GPTQ_ORDER_GROUP || (o->running & ~1) || o->clip < 0 ||
        o->clip > LQ_GPTQ_CLIP_MSE || o->sweeps < 0 || !(o->damp >= 0 && o->damp <= 1) ||
        o->nonfinite < 0 || o->nonfinite >= LQ_NONFINITE_PROPAGATE || o->search < 0 ||
        o->search > LQ_SEARCH_BEST)
        return fail(j, LQ_ERR_ARG, "an option is out of range");
    return LQ_OK;
}

/* Groups that are ranges of one row, with scales of their own. */
static int has_row_ranges(const struct job *j)
{
    const lqi_format *f = j->g.format;
    const lq_spec *s = &j->spec;

    return f->storage == LQ_PLANAR && f->fit_range && !f->fit_mean &&
           s->zeros != LQ_ZEROS_FLOAT && !(s->flags & LQ_SPEC_GLOBAL) &&
           (s->flags & LQ_SPEC_FLAT ? j->g.cols % j->g.group_cols == 0 : j->g.group_rows == 1);
}

static lq_status check_spec(struct job *j)
{
    const lq_spec *s = &j->spec;
    int act = j->opts.order == LQ_GPTQ_ORDER_ACT;

    if (j->opts.running && (!has_row_ranges(j) || s->scale2_block || s->flags & LQ_SPEC_FLAT))
        return fail(j, LQ_ERR_UNSUPPORTED, "running groups need a planar format with groups in "
                    "rows and scales of one level");
    if (j->opts.running && act && !(s->flags & LQ_SPEC_GIDX))
        return fail(j, LQ_ERR_UNSUPPORTED, "running groups in act-order need a spec with gidx");
    if (j->g.format->unit == 1)
        return LQ_OK;
    if (j->g.cols % j->g.format->block_len || j->opts.sweeps)
        return fail(j, LQ_ERR_UNSUPPORTED, "codes of several columns: no padding, no sweeps");
    j->opts.order = LQ_GPTQ_ORDER_NONE;
    return LQ_OK;
}

static lq_status find_stat(struct job *j, const lq_stats *stats)
{
    j->stat = lqi_stats_find(stats, j->name);
    if (!j->stat)
        return fail(j, LQ_ERR_NOTFOUND, "the statistics lack this weight");
    if (j->stat->cols != j->g.cols)
        return fail(j, LQ_ERR_MISMATCH, "the statistics are of another number of columns");
    if (lqi_stat_gram(j->stat) != 1)
        return fail(j, LQ_ERR_NOTFOUND, "the statistics do not have (all of) X'X");
    if (j->stat->broken)
        return fail(j, LQ_ERR_NOMEM, "memory ended while X'X was added to");
    return j->stat->count ? LQ_OK : fail(j, LQ_ERR_NUMERIC, "no activations were seen");
}

/* -------------------------------------------------------------------- weights */

static lq_status read_weights(struct job *j, lq_dtype type, const void *x)
{
    uint64_t rows = j->g.rows, cols = j->g.cols;
    lqi_values v = { j->ctx, type, x, cols, j->opts.nonfinite, 0, 0 };
    lq_status status = LQ_OK;

    j->w = x;
    if (type == LQ_F32 && !j->opts.running && j->opts.nonfinite == LQ_NONFINITE_ERROR)
        return LQ_OK;                /* encoding looks at all of them */
    j->w = j->own = lqi_alloc(&j->ctx->allocator, rows * cols * sizeof *j->own);
    if (!j->own)
        return fail(j, LQ_ERR_NOMEM, "out of memory");
    for (uint64_t r = 0; r < rows && !status; r++) {
        v.x = (const uint8_t *)x + r * cols * lq_dtype_bytes(type);
        status = lqi_values_read(&v, 0, (size_t)cols, j->own + r * cols);
    }
    return status ? fail(j, status, lq_status_text(status)) : LQ_OK;
}

static void clear_dead(struct job *j)
{
    for (uint64_t c = 0; c < j->g.cols; c++)
        for (uint64_t r = 0; r < j->g.rows && j->h.diagonal[c] == 0; r++)
            j->own[r * j->g.cols + c] = 0;
}

/* ------------------------------------------------------------------ parameters */

/* Plain rounding, whose parameters stay. */
static lq_status encode(struct job *j, const float *w)
{
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    lq_status status;

    opts.nonfinite = j->opts.nonfinite;
    opts.search = j->opts.search;
    if (j->g.format->storage == LQ_BLOCKED)
        opts.importance = j->h.diagonal;
    status = lq_tensor_encode(j->ctx, &j->spec, j->shape, LQ_F32, w, &opts, &j->tensor,
                              j->error);
    return status ? fail(j, status, lq_status_text(status)) : LQ_OK;
}

/* The clipped weights are needed for their ranges only. */
static lq_status encode_clipped(struct job *j)
{
    uint64_t bytes = j->g.rows * j->g.cols * sizeof(float);
    float *clipped = lqi_alloc(&j->ctx->allocator, bytes);
    lq_status status;

    if (!clipped)
        return fail(j, LQ_ERR_NOMEM, "out of memory");
    memcpy(clipped, j->w, (size_t)bytes);
    lqi_clip_weights(j->ctx, &j->clip, clipped);
    status = encode(j, clipped);
    lqi_free(&j->ctx->allocator, clipped);
    return status;
}

static lq_status fit(struct job *j)
{
    int clip = j->opts.clip;

    j->clip = (lqi_clip){ &j->g, clip == LQ_GPTQ_CLIP_MSE ? NULL : j->h.diagonal,
                          clip == LQ_GPTQ_CLIP_MSE ? MSE_POWER : 2, clip == LQ_GPTQ_CLIP_MSE };
    return clip != LQ_GPTQ_CLIP_NONE && has_row_ranges(j) && !j->opts.running
               ? encode_clipped(j) : encode(j, j->w);
}

/* --------------------------------------------------------------- running groups */

/* Columns of the order of solving, 'group' to a group. */
static lq_status number_groups(struct job *j)
{
    uint64_t n = j->g.cols;
    uint8_t *plane;

    if (!j->opts.running || j->opts.order != LQ_GPTQ_ORDER_ACT)
        return LQ_OK;
    j->group_of = lqi_alloc(&j->ctx->allocator, n * sizeof *j->group_of);
    if (!j->group_of)
        return fail(j, LQ_ERR_NOMEM, "out of memory");
    plane = lq_tensor_plane(j->tensor, LQ_PLANE_GIDX, NULL);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t col = j->h.order[n - 1 - i];
        j->group_of[col] = (uint32_t)(i / j->g.group_cols);
        lqi_store32(plane + 4 * (size_t)col, j->group_of[col]);
    }
    return LQ_OK;
}

static void store_groups(struct job *j)
{
    if (j->opts.running)
        lqi_groups_store(j->ctx, &j->g, j->frozen.groups, (size_t)j->g.groups,
                         lq_tensor_plane(j->tensor, LQ_PLANE_SCALES, NULL),
                         lq_tensor_plane(j->tensor, LQ_PLANE_ZEROS, NULL), 0);
}

/* -------------------------------------------------------------------- solving */

/* Rows of a strip: fewer where the tables of a row are large. */
static uint64_t strip_rows(const struct job *j)
{
    uint64_t row = (j->g.padded_cols << j->g.bits) / 16 + 1;

    if (j->g.format->storage == LQ_PLANAR || j->g.format->unit > 1)
        return lqi_min(STRIP, j->g.rows);
    return lqi_min(lqi_min(STRIP, j->g.rows), LEVELS_MOST / row + LQI_LANES);
}

static lq_status solve(struct job *j, lq_gptq_result *result)
{
    lqi_solver s = { .ctx = j->ctx, .h = &j->h, .frozen = &j->frozen, .w = j->w,
                     .rows = j->g.rows, .strip = strip_rows(j), .sweeps = j->opts.sweeps,
                     .progress = j->opts.progress, .name = j->name };
    lq_rows rows = LQ_ROWS_INIT;
    lq_status status = number_groups(j);

    if (!status)
        status = lqi_hessian_factor(&j->h, j->opts.damp == 0 ? 0.01f : j->opts.damp, j->error);
    if (status)
        return status;
    lq_tensor_rows(j->tensor, 0, &rows);
    status = lqi_frozen_open(&j->frozen, j->ctx, &j->g, &rows, s.strip);
    j->frozen.group_of = j->group_of;
    if (j->opts.running) {
        s.running = lqi_min(j->g.group_cols, j->g.cols);
        s.clip = j->opts.clip == LQ_GPTQ_CLIP_NONE ? NULL : &j->clip;
    }
    if (!status)
        status = lqi_solve(&s);
    if (status)
        return fail(j, status, lq_status_text(status));
    store_groups(j);
    result->loss = s.loss;
    result->damp = j->h.damp;
    result->dead = j->h.dead;
    return LQ_OK;
}

static lq_status run(struct job *j, lq_dtype type, const void *x, lq_gptq_result *result)
{
    lq_status status = lqi_hessian_open(&j->h, j->ctx, j->stat, j->opts.order, j->g.group_cols,
                                        j->error);

    if (!status)
        status = read_weights(j, type, x);
    if (!status && j->opts.running)
        clear_dead(j);
    if (!status)
        status = fit(j);
    return status ? status : solve(j, result);
}

static void close(struct job *j)
{
    lqi_frozen_close(&j->frozen);
    lqi_hessian_close(&j->h);
    lqi_free(&j->ctx->allocator, j->own);
    lqi_free(&j->ctx->allocator, j->group_of);
}

/* ------------------------------------------------------------------------ call */

static lq_status open(struct job *j, const lq_spec *spec, lq_dtype *type, const void *x,
                      const lq_gptq_opts *opts)
{
    const lq_shape *shape = j->shape;
    uint64_t bytes;
    lq_status status = lqi_opts_read(&j->opts, sizeof j->opts, opts);

    if (!status)
        status = lqi_opts_read(&j->spec, sizeof j->spec, spec);
    if (!status)
        status = lq_spec_complete(&j->spec, NULL);
    if (!status)
        status = lqi_geometry_init(&j->g, &j->spec, shape->rows, shape->cols);
    if (!status)
        status = lqi_check_floats(type, x, shape->rows, shape->cols, shape->cols, &bytes);
    if (status)
        return fail(j, status, lq_status_text(status));
    if (shape->outer != 1 || bytes == 0)
        return fail(j, LQ_ERR_SHAPE, "one matrix that is not empty is needed");
    status = check_options(j);
    return status ? status : check_spec(j);
}

/* Plain rounding of what was given. */
static lq_status encode_plain(struct job *j, lq_dtype type, const void *x)
{
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;

    opts.nonfinite = j->opts.nonfinite;
    opts.search = j->opts.search;
    opts.progress = j->opts.progress;
    return lq_tensor_encode(j->ctx, &j->spec, j->shape, type, x, &opts, &j->tensor, j->error);
}

lq_status lq_tensor_gptq(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                         lq_dtype x_type, const void *x, const lq_stats *stats,
                         const char *name, const lq_gptq_opts *opts, lq_tensor **tensor,
                         lq_gptq_result *result, lq_error *error)
{
    struct job j = { .ctx = ctx, .shape = shape, .name = name, .error = error };
    lq_gptq_result found = LQ_GPTQ_RESULT_INIT;
    lq_status status;

    if (!ctx || !spec || !shape || !tensor || (stats && !name) ||
        (result && result->struct_size < sizeof *result))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_tensor_gptq: NULL argument");
    status = open(&j, spec, &x_type, x, opts);
    if (status)
        return status;
    if (stats)
        status = find_stat(&j, stats);
    if (status)
        return status;
    found.solved = !stats ? LQ_ERR_NOTFOUND : j.g.format->dtype ? LQ_ERR_UNSUPPORTED : LQ_OK;
    status = found.solved ? encode_plain(&j, x_type, x) : run(&j, x_type, x, &found);
    close(&j);
    if (status) {
        lq_tensor_destroy(j.tensor);
        return status;
    }
    *tensor = j.tensor;
    if (result)
        *result = found;
    return LQ_OK;
}
