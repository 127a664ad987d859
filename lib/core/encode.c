/* SPDX-License-Identifier: MIT */
/*
 * lib/core/encode.c - numbers to stored rows: fit, round, pack
 *
 * Blocked formats go block by block.  Planar ones in two passes over each group: the
 * range of its values gives the parameters, then codes are rounded against the scale as
 * stored.
 */
#include "lib/core/core.h"

#define CHUNK 256    /* numbers rounded at a time */
#define PIECE 4096   /* numbers of a blocked row encoded at a time: 16 superblocks */

void lq_encode_opts_init(lq_encode_opts *opts)
{
    const lq_encode_opts init = LQ_ENCODE_OPTS_INIT;

    if (opts)
        *opts = init;
}

/* ----------------------------------------------------------------- blocked */

/* Mean square of the row, one chain of f32 sums from the left. */
static lq_status mean_square(const lqi_values *v, float *result)
{
    float x[CHUNK], sum = 0;

    for (uint64_t i = 0; i < v->n; i += CHUNK) {
        size_t n = (size_t)lqi_min(CHUNK, v->n - i);
        lq_status status = lqi_values_read(v, i, n, x);
        if (status)
            return status;
        for (size_t j = 0; j < n; j++)
            sum += x[j] * x[j];
    }
    *result = sum / (float)v->n;
    return LQ_OK;
}

static int too_large(const lqi_format *f, const float *x, size_t n)
{
    float lo = 0, hi = 0;

    for (size_t i = 0; i < n && f->max_abs > 0; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    return hi > f->max_abs || -lo > f->max_abs;
}

/* A scale did not fit its type. */
static int has_bad_block(const lqi_format *f, const float *x, size_t n, const uint8_t *block)
{
    if (too_large(f, x, n))
        return 1;
    for (size_t i = 0; f->check && i < n; i += f->block_len, block += f->block_bytes)
        if (f->check(block))
            return 1;
    return 0;
}

/* Whole blocks at x: as many at once as the format can. */
static void encode_piece(const lqi_format *f, lqi_encode_fn *many, const lqi_encode_run *run)
{
    lqi_fit in = { .spec = run->spec, .n = f->block_len, .row_ms = run->row_ms,
                   .grids = run->grids };
    uint8_t *block = run->codes;

    if (many) {
        many(run);
        return;
    }
    for (size_t i = 0; i < run->n; i += f->block_len, block += f->block_bytes) {
        in.x = run->x + i;
        in.imp = run->imp ? run->imp + i : NULL;
        lqi_encode_block(f, &in, block);
    }
}

static void improve_piece(const lqi_format *f, const lqi_encode_run *run, size_t n)
{
    lqi_fit in = { .spec = run->spec, .row_ms = run->row_ms, .grids = run->grids };
    uint8_t *block = run->codes;

    for (size_t i = 0; i < n; i += f->block_len, block += f->block_bytes) {
        in.x = run->x + i;
        in.imp = run->imp ? run->imp + i : NULL;
        in.n = (size_t)lqi_min(f->block_len, n - i);
        lqi_best_block(f, &in, block);
    }
}

lq_status lqi_encode_blocks(const lqi_geometry *g, const lqi_values *v, const float *imp,
                            uint8_t *row)
{
    float x[PIECE], w[PIECE];
    const lqi_format *f = g->format;
    lqi_encode_fn *many = v->ctx->encode[lqi_format_index(f)];
    lqi_encode_run run = { .x = x, .spec = g->spec, .grids = v->ctx->grids,
                           .kernels = &v->ctx->kernels, .codes = row + f->row_bytes };
    lq_status status = LQ_OK;

    if (f->row_ms && imp)
        status = mean_square(v, &run.row_ms);
    for (uint64_t c = 0; c < v->n && !status; c += PIECE) {
        size_t n = (size_t)lqi_min(PIECE, v->n - c);
        run.n = (n + f->block_len - 1) / f->block_len * f->block_len;
        status = lqi_values_read(v, c, n, x);
        if (status)
            return status;
        memset(x + n, 0, (run.n - n) * sizeof *x);
        if (imp) {
            memcpy(w, imp + c, n * sizeof *w);
            memset(w + n, 0, (run.n - n) * sizeof *w);
            run.imp = w;
        }
        encode_piece(f, many, &run);
        if (v->search == LQ_SEARCH_BEST)
            improve_piece(f, &run, n);
        if (v->nonfinite != LQ_NONFINITE_PROPAGATE && has_bad_block(f, x, n, run.codes))
            return LQ_ERR_NUMERIC;
        run.codes += run.n / f->block_len * f->block_bytes;
    }
    return status;
}

lq_status lqi_encode_ready(const lq_ctx *ctx, const lqi_geometry *g, const float *imp)
{
    (void)ctx;
    return g->format->needs_imp && !imp ? LQ_ERR_ARG : LQ_OK;
}

/* ------------------------------------------------------------------ planar */

lq_status lqi_group_fit(const lqi_geometry *g, float lo, float hi, int32_t nonfinite,
                        lqi_group *group)
{
    const lq_spec *s = g->spec;

    if (lo > hi)
        lo = hi = 0;
    group->scale = group->zero = 0;
    g->format->fit_range(s, lo, hi, group);
    if (!s->scale2_block)
        group->scale = lqi_scale_round(s->scale_type, group->scale);
    if (s->zeros && g->format->fit_zero)
        g->format->fit_zero(s, lo, hi, group);
    return lqi_finite(group->scale) || nonfinite == LQ_NONFINITE_PROPAGATE ? LQ_OK
                                                                           : LQ_ERR_NUMERIC;
}

lq_status lqi_group_mean(const lqi_geometry *g, double sum, uint64_t n, int32_t nonfinite,
                         lqi_group *group)
{
    group->scale = group->zero = 0;
    g->format->fit_mean(g->spec, n ? (float)(sum / (double)n) : 0, group);
    group->scale = lqi_scale_round(g->spec->scale_type, group->scale);
    return lqi_finite(group->scale) || nonfinite == LQ_NONFINITE_PROPAGATE ? LQ_OK
                                                                           : LQ_ERR_NUMERIC;
}

static lq_status fit_mean(const lqi_geometry *g, const lqi_values *v, uint64_t first, uint64_t n,
                          lqi_group *group)
{
    double sum = 0;
    lq_status status = lqi_values_sum(v, first, n, &sum);

    return status ? status : lqi_group_mean(g, sum, n, v->nonfinite, group);
}

/* 1 if one of the numbers is NaN, which ranges do not see. */
static int has_nan(const lqi_values *v, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++) {
        float x = lqi_load_float(v->type, v->x, i);
        if (x != x)
            return 1;
    }
    return 0;
}

static lq_status fit_values(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                               uint64_t n, lqi_group *group)
{
    float x[LQI_VALUES_MAX];
    lqi_fit in = { .spec = g->spec, .x = x, .n = (size_t)n, .partial = n < g->group_cols };
    lq_status status = lqi_values_read(v, first, (size_t)n, x);

    if (status)
        return status;
    g->format->fit_values(&in, group);
    if (!g->spec->scale2_block)
        group->scale = lqi_scale_round(g->spec->scale_type, group->scale);
    group->zero = lqi_scale_round(g->spec->scale_type, group->zero);
    return (lqi_finite(group->scale) && lqi_finite(group->zero)) ||
                   v->nonfinite == LQ_NONFINITE_PROPAGATE ? LQ_OK : LQ_ERR_NUMERIC;
}

lq_status lqi_group_find(const lqi_geometry *g, const lqi_values *v, uint64_t first, uint64_t n,
                         lqi_group *group)
{
    float lo = INFINITY, hi = -INFINITY;
    lq_status status;

    if (g->spec->zeros == LQ_ZEROS_FLOAT)
        return fit_values(g, v, first, n, group);
    if (g->format->fit_mean)
        return fit_mean(g, v, first, n, group);
    status = lqi_values_range(v, first, n, &lo, &hi);
    if (g->format->can & LQI_NAN_SCALE && v->nonfinite == LQ_NONFINITE_PROPAGATE &&
        has_nan(v, first, n))
        hi = INFINITY;
    if (!status)
        status = lqi_group_fit(g, lo, hi, v->nonfinite, group);
    if (!status && v->search == LQ_SEARCH_BEST)
        status = lqi_best_group(g, v, first, n, lo, hi, group);
    return status;
}

lq_status lqi_group_round(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                          uint64_t n, const lqi_group *group, uint8_t *codes,
                          uint64_t element)
{
    float x[CHUNK];
    uint32_t c[CHUNK];
    lqi_fit in = { .spec = g->spec, .x = x, .partial = n < g->group_cols };

    for (uint64_t i = 0; i < n; i += CHUNK) {
        in.n = (size_t)lqi_min(CHUNK, n - i);
        lq_status status = lqi_values_read(v, first + i, in.n, x);
        if (status)
            return status;
        g->format->round(&in, group, c);
        lqi_codes_write(codes, g->bits, g->format->order, element + i, in.n, c);
    }
    return LQ_OK;
}

void lqi_group_store(const lqi_geometry *g, const lqi_group *group, void *scales,
                     uint8_t *zeros, uint64_t index)
{
    lqi_scale_store(g->spec->scale_type, group->scale, scales, index);
    if (g->spec->zeros == LQ_ZEROS_FLOAT)
        lqi_scale_store(g->spec->scale_type, group->zero, zeros, index);
    else if (g->spec->zeros)
        zeros[index] = (uint8_t)(int)group->zero;
}

/* All groups of one row whose groups have one row each. */
static lq_status encode_groups(const lqi_geometry *g, const lqi_values *v,
                               const lq_rows *rows, uint64_t row, uint8_t *codes)
{
    for (uint64_t c = 0, i = row * g->row_groups; c < g->cols; c += g->group_cols, i++) {
        uint64_t n = lqi_min(g->group_cols, g->cols - c);
        lqi_group group = { 0, 0, 0 };
        lq_status status = lqi_group_find(g, v, c, n, &group);
        if (!status)
            status = lqi_group_round(g, v, c, n, &group, codes, c);
        if (status)
            return status;
        lqi_group_store(g, &group, rows->plane[LQ_PLANE_SCALES], rows->plane[LQ_PLANE_ZEROS],
                        i);
    }
    return LQ_OK;
}

/* -------------------------------------------------------------------- rows */

static int independent(const lq_spec *s)
{
    return s->group_rows <= 1 && !s->scale2_block &&
           !(s->flags & (LQ_SPEC_FLAT | LQ_SPEC_GIDX | LQ_SPEC_GLOBAL));
}

int lq_spec_rows_independent(const lq_spec *spec)
{
    lq_spec s = LQ_SPEC_INIT;

    if (!spec || lqi_opts_read(&s, sizeof s, spec) || lq_spec_complete(&s, NULL))
        return 0;
    return independent(&s);
}

struct encode_job {
    const lq_ctx         *ctx;
    const lqi_geometry   *g;
    const lq_rows        *rows;
    const lq_encode_opts *opts;
    uint64_t              row0, n, per_task;
    lq_dtype              type;
    const uint8_t        *x;
    uint64_t              x_bytes;
    _Atomic lq_status     status;
};

static lq_status encode_row(const struct encode_job *j, uint64_t r)
{
    const lqi_geometry *g = j->g;
    lqi_values v = { j->ctx, j->type, j->x + r * j->x_bytes, g->cols, j->opts->nonfinite,
                     j->opts->search };
    uint64_t stride = j->rows->stride ? j->rows->stride : g->row_bytes, row = j->row0 + r;
    uint8_t *codes = (uint8_t *)j->rows->plane[LQ_PLANE_CODES] + row * stride;

    if (g->format->storage == LQ_BLOCKED)
        return lqi_encode_blocks(g, &v, j->opts->importance, codes);
    memset(codes, 0, (size_t)g->row_bytes);
    return encode_groups(g, &v, j->rows, row, codes);
}

static void encode_task(void *arg, size_t index)
{
    struct encode_job *j = arg;
    uint64_t first = index * j->per_task, end = lqi_min(first + j->per_task, j->n);

    for (uint64_t r = first; r < end && !j->status; r++) {
        lq_status status = encode_row(j, r);
        if (status)
            j->status = status;
    }
}

/* Rows with their spec and geometry, as the caller gave them. */
struct opened {
    lq_rows        rows;
    lq_spec        spec;
    lqi_geometry   g;
    lq_encode_opts opts;
};

static lq_status open_all(const lq_rows *in, const lq_encode_opts *opts, struct opened *o)
{
    const lq_encode_opts none = LQ_ENCODE_OPTS_INIT;
    lq_status status;

    o->opts = none;
    if ((status = lqi_opts_read(&o->opts, sizeof o->opts, opts)) ||
        (status = lqi_rows_open(in, &o->rows, &o->spec, &o->g)))
        return status;
    if (o->opts.nonfinite < 0 || o->opts.nonfinite > LQ_NONFINITE_PROPAGATE ||
        o->opts.search < 0 || o->opts.search > LQ_SEARCH_BEST)
        return LQ_ERR_ARG;
    return independent(&o->spec) ? LQ_OK : LQ_ERR_UNSUPPORTED;
}

lq_status lq_encode_rows(const lq_ctx *ctx, const lq_rows *in, uint64_t row0, uint64_t n,
                         lq_dtype x_type, const void *x, uint64_t ldx,
                         const lq_encode_opts *opts)
{
    struct opened o;
    uint64_t bytes;
    lq_status status;

    if (!ctx)
        return LQ_ERR_ARG;
    status = open_all(in, opts, &o);
    if (status)
        return status;
    if (row0 > o.rows.rows || n > o.rows.rows - row0)
        return LQ_ERR_ARG;
    status = lqi_check_floats(&x_type, x, n, o.g.cols, ldx, &bytes);
    if (!status && bytes)
        status = lqi_check_importance(o.opts.importance, o.g.cols);
    if (!status && bytes)
        status = lqi_encode_ready(ctx, &o.g, o.opts.importance);
    if (status || bytes == 0)
        return status;
    if (lqi_planes_overlap(&o.g, &o.rows, x, bytes))
        return LQ_ERR_OVERLAP;
    struct encode_job job = { ctx, &o.g, &o.rows, &o.opts, row0, n, LQI_TASK_WEIGHTS / 8 / o.g.cols + 1,
                              x_type, x, ldx * lq_dtype_bytes(x_type), LQ_OK };
    lqi_parallel(ctx, (size_t)lqi_div_up(n, job.per_task), encode_task, &job);
    return job.status;
}

lq_status lqi_check_importance(const float *imp, uint64_t n)
{
    if (!imp)
        return LQ_OK;
    if ((uintptr_t)imp % sizeof *imp)
        return LQ_ERR_ALIGN;
    for (uint64_t i = 0; i < n; i++) {
        if (!lqi_finite(imp[i]))
            return LQ_ERR_NONFINITE;
        if (imp[i] < 0)
            return LQ_ERR_NUMERIC;
    }
    return LQ_OK;
}
