/* SPDX-License-Identifier: MIT */
/*
 * lib/core/encode.c - numbers to stored rows: fit, round, pack
 *
 * Blocked formats go block by block.  Planar ones in two passes over each group: the
 * range of its values gives the parameters, then codes are rounded against the scale as
 * stored.
 */
#include "lib/core/core.h"
#include "lib/format/grids.h"

#define CHUNK 512    /* numbers rounded at a time */
#define PIECE 4096   /* numbers of a blocked row encoded at a time: 16 superblocks */

void lq_encode_opts_init(lq_encode_opts *opts)
{
    const lq_encode_opts init = LQ_ENCODE_OPTS_INIT;

    if (opts)
        *opts = init;
}

/* ----------------------------------------------------------------- blocked */

/* Room for numbers that cannot be used where they are. */
struct piece {
    float x[PIECE], w[PIECE];
};

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

/* The header of a row, for formats that have one: the largest number a block asks for. */
static lq_status row_header(const lqi_geometry *g, const lqi_values *v, const float *imp,
                            uint8_t *row, float *header)
{
    const lqi_format *f = g->format;
    float x[LQI_BLOCK_MAX], w[LQI_BLOCK_MAX], most = 0;
    lqi_fit in = { .spec = g->spec, .x = x, .imp = imp ? w : NULL, .n = f->block_len };

    for (uint64_t i = 0; i < v->n; i += f->block_len) {
        size_t n = (size_t)lqi_min(f->block_len, v->n - i);
        lq_status status = lqi_values_read(v, i, n, x);
        if (status)
            return status;
        memset(x + n, 0, (f->block_len - n) * sizeof *x);
        memset(w, 0, sizeof w);
        if (imp)
            memcpy(w, imp + i, n * sizeof *w);
        float number = f->fit_row(&in);
        most = number > most ? number : most;
    }
    *header = most;
    lqi_store32(row, lqi_float_bits(most));
    return v->nonfinite == LQ_NONFINITE_PROPAGATE || lqi_finite(most) ? LQ_OK : LQ_ERR_NUMERIC;
}

/* A scale did not fit its type. */
static int has_bad_block(const lqi_format *f, size_t n, uint32_t most, const uint8_t *block)
{
    if (f->max_abs > 0 && lqi_bits_float(most) > f->max_abs)
        return 1;
    for (size_t i = 0; f->check && i < n; i += f->block_len, block += f->block_bytes)
        if (f->check(block))
            return 1;
    return 0;
}

/* Blocks of numbers that no scale of f16 minds need no look at every block, if the encoder
 * works from their range. */
static int surely_fits(const lqi_encode_run *run, uint32_t most)
{
    return run->plain && !run->imp && most <= 0x44800000;   /* 1024 */
}

/* Whole blocks at x: as many at once as the level or the format can. */
static void encode_piece(lqi_encode_fn *many, const lqi_encode_run *run, uint32_t most)
{
    if (many && most < 0x7f800000)
        many(run);
    else
        lqi_encode_plain(run);
}

static void improve_piece(const lqi_format *f, const lqi_encode_run *run, size_t n)
{
    lqi_fit in = { .spec = run->spec, .row_ms = run->row_ms, .row = run->row, .grids = run->grids };
    uint8_t *block = run->codes;

    for (size_t i = 0; i < n; i += f->block_len, block += f->block_bytes) {
        in.x = run->x + i;
        in.imp = run->imp ? run->imp + i : NULL;
        in.n = (size_t)lqi_min(f->block_len, n - i);
        lqi_best_block(f, &in, block);
    }
}

/* Numbers and importances of a piece of n, filled up with zeros to whole blocks. */
static lq_status load_piece(const lqi_values *v, const float *imp, uint64_t at, size_t n,
                            struct piece *p, lqi_encode_run *run, uint32_t *most)
{
    lq_status status = lqi_values_at(v, at, n, p->x, &run->x, most);

    run->imp = imp ? imp + at : NULL;
    if (status || run->n == n)
        return status;
    memmove(p->x, run->x, n * sizeof *p->x);
    memset(p->x + n, 0, (run->n - n) * sizeof *p->x);
    run->x = p->x;
    if (!imp)
        return LQ_OK;
    memcpy(p->w, imp + at, n * sizeof *p->w);
    memset(p->w + n, 0, (run->n - n) * sizeof *p->w);
    run->imp = p->w;
    return LQ_OK;
}

lq_status lqi_encode_blocks(const lqi_geometry *g, const lqi_values *v, const float *imp,
                            uint8_t *row)
{
    struct piece piece;
    const lqi_format *f = g->format;
    lqi_encode_run run = { .spec = g->spec, .grids = v->ctx->grids,
                           .kernels = &v->ctx->kernels, .codes = row + f->row_bytes };
    lq_status status = LQ_OK;

    if (v->ctx->kernels.encode[f->encoder])
        run.plain = f->encode_many ? f->encode_many : lqi_encode_plain;
    if (f->row_ms && imp)
        status = mean_square(v, &run.row_ms);
    if (f->fit_row)
        status = row_header(g, v, imp, row, &run.row);
    for (uint64_t c = 0; c < v->n && !status; c += PIECE) {
        size_t n = (size_t)lqi_min(PIECE, v->n - c);
        uint32_t most;
        run.n = (n + f->block_len - 1) / f->block_len * f->block_len;
        status = load_piece(v, imp, c, n, &piece, &run, &most);
        if (status)
            return status;
        encode_piece(v->ctx->encode[g->index], &run, most);
        if (v->search == LQ_SEARCH_BEST)
            improve_piece(f, &run, n);
        if (v->nonfinite != LQ_NONFINITE_PROPAGATE && !surely_fits(&run, most) &&
            has_bad_block(f, n, most, run.codes))
            return LQ_ERR_NUMERIC;
        run.codes += run.n / f->block_len * f->block_bytes;
    }
    return status;
}

lq_status lqi_encode_ready(const lq_ctx *ctx, const lqi_geometry *g, const float *imp)
{
    if (g->format->needs_imp && !imp)
        return LQ_ERR_ARG;
    return lqi_grids_need(ctx->grids, g->format->grid);
}

/* ------------------------------------------------------------------ planar */

lq_status lqi_group_fit(const lqi_geometry *g, float lo, float hi, int32_t nonfinite,
                        lqi_group *group)
{
    if (lo > hi)
        lo = hi = 0;
    lqi_group_from_range(g->format, g->spec, lo, hi, group);
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

    if (!status)
        status = lqi_group_mean(g, sum, n, v->nonfinite, group);
    if (status || v->search != LQ_SEARCH_BEST)
        return status;
    float mean = n ? (float)(sum / (double)n) : 0;
    return lqi_best_group(g, v, first, n, mean, mean, group);
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

/* Whether the level's rounder may see these: finite numbers, a scale of common size. */
static lqi_round_fn *find_rounder(const lqi_geometry *g, const lq_ctx *ctx, const lqi_group *group,
                                  uint32_t most)
{
    int good = most < 0x7f800000 && group->scale > 1e-30f && group->scale < 1e30f;

    return good && g->spec->zeros != LQ_ZEROS_FLOAT ? ctx->kernels.round[g->format->rounder]
                                                    : NULL;
}

lq_status lqi_group_round(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                          uint64_t n, const lqi_group *group, uint8_t *codes,
                          uint64_t element)
{
    float buffer[CHUNK];
    uint32_t c[CHUNK], most;
    lqi_fit in = { .spec = g->spec, .partial = n < g->group_cols };
    lqi_round_run run = { .scale = group->scale, .partial = in.partial, .codes = codes,
                          .zero = g->spec->zeros == LQ_ZEROS_INT ? (int)group->zero : -1,
                          .ladder = g->format->ladder };

    for (uint64_t i = 0; i < n; i += CHUNK) {
        in.n = (size_t)lqi_min(CHUNK, n - i);
        lq_status status = lqi_values_at(v, first + i, in.n, buffer, &in.x, &most);
        lqi_round_fn *round = find_rounder(g, v->ctx, group, most);
        if (status)
            return status;
        if (round) {
            run.x = in.x;
            run.n = in.n;
            run.element = element + i;
            round(&run);
            continue;
        }
        g->format->round(&in, group, c);
        lqi_codes_write(codes, g->bits, g->format->order, element + i, in.n, c);
    }
    return LQ_OK;
}

#define RUN_GROUPS 128   /* groups of one encode run */

/* Groups whose encoder the level has; their parameters follow from their ranges. */
static int has_encoder(const lqi_geometry *g, const lqi_values *v)
{
    return v->ctx->kernels.encode[g->format->encoder] && g->spec->zeros != LQ_ZEROS_FLOAT &&
           v->search != LQ_SEARCH_BEST && g->group_cols <= PIECE;
}

static lq_status encode_one_by_one(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                                   uint64_t n, lqi_group *groups, uint8_t *codes)
{
    lqi_values known = *v;
    lq_status status = LQ_OK;

    known.finite = v->type == LQ_F32 &&
                   !v->ctx->kernels.any_nonfinite((const float *)v->x + first, (size_t)n);
    for (uint64_t i = 0; i < n && !status; i += g->group_cols, groups++) {
        uint64_t count = lqi_min(g->group_cols, n - i);
        status = lqi_group_find(g, &known, first + i, count, groups);
        if (!status && codes)
            status = lqi_group_round(g, &known, first + i, count, groups, codes, first + i);
    }
    return status;
}

/* At most PIECE numbers and RUN_GROUPS groups. */
static lq_status encode_run(const lqi_geometry *g, const lqi_values *v, uint64_t first, size_t n,
                            lqi_group *groups, uint8_t *codes)
{
    float buffer[PIECE], scale[RUN_GROUPS], zero[RUN_GROUPS];
    lqi_encode_run run = { .n = n, .spec = g->spec, .kernels = &v->ctx->kernels, .codes = codes,
                           .first = first, .group = g->group_cols, .scale = scale,
                           .zero = g->spec->zeros ? zero : NULL, .global = groups->global,
                           .ladder = g->format->ladder, .plain = lqi_encode_plain };
    uint32_t most;
    lq_status status = lqi_values_at(v, first, n, buffer, &run.x, &most);

    if (g->spec->codebook)
        run.bins = &g->spec->codebook->bins;

    if (status)
        return status;
    if (most >= 0x7f800000)
        return encode_one_by_one(g, v, first, n, groups, codes);
    v->ctx->kernels.encode[g->format->encoder](&run);
    for (size_t i = 0, k = 0; k < n; i++, k += (size_t)g->group_cols) {
        groups[i].scale = scale[i];
        groups[i].zero = run.zero ? zero[i] : 0;
        if (!lqi_finite(scale[i]) && v->nonfinite != LQ_NONFINITE_PROPAGATE)
            status = LQ_ERR_NUMERIC;
    }
    return status;
}

lq_status lqi_encode_groups(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                            uint64_t n, lqi_group *groups, uint8_t *codes)
{
    uint64_t size = g->group_cols, most;
    lq_status status = LQ_OK;

    if (!has_encoder(g, v))
        return encode_one_by_one(g, v, first, n, groups, codes);
    most = lqi_min(RUN_GROUPS, PIECE / size) * size;
    for (uint64_t i = 0; i < n && !status; i += most, groups += most / size)
        status = encode_run(g, v, first + i, (size_t)lqi_min(most, n - i), groups, codes);
    return status;
}

static void store_scales(const lq_ctx *ctx, lq_dtype type, const float *scale, size_t n,
                         uint8_t *out)
{
    size_t size = lqi_scale_bytes(type);

    if (type == LQ_F32)
        memcpy(out, scale, n * size);
    else if (type == LQ_F16)
        ctx->kernels.f32_to_f16(scale, out, n);
    else if (type == LQ_BF16)
        ctx->kernels.f32_to_bf16(scale, out, n);
    else
        for (size_t i = 0; i < n; i++)
            lqi_scale_store(type, scale[i], out, i);
}

void lqi_groups_store(const lq_ctx *ctx, const lqi_geometry *g, const lqi_group *groups,
                      size_t n, void *scales, uint8_t *zeros, uint64_t index)
{
    const lq_spec *s = g->spec;
    size_t size = lqi_scale_bytes(s->scale_type), count;
    float part[RUN_GROUPS];

    for (size_t i = 0; i < n; i += count) {
        count = (size_t)lqi_min(n - i, RUN_GROUPS);
        for (size_t k = 0; k < count; k++)
            part[k] = groups[i + k].scale;
        store_scales(ctx, s->scale_type, part, count, (uint8_t *)scales + (index + i) * size);
        for (size_t k = 0; k < count; k++)
            part[k] = groups[i + k].zero;
        if (s->zeros == LQ_ZEROS_FLOAT)
            store_scales(ctx, s->scale_type, part, count, zeros + (index + i) * size);
        for (size_t k = 0; k < count && s->zeros == LQ_ZEROS_INT; k++)
            zeros[index + i + k] = (uint8_t)(int)part[k];
    }
}

/* All groups of one row whose groups have one row each. */
static lq_status encode_groups(const lqi_geometry *g, const lqi_values *v,
                               const lq_rows *rows, uint64_t row, uint8_t *codes)
{
    uint64_t step = RUN_GROUPS, at = row * g->row_groups;
    lqi_group groups[RUN_GROUPS] = { { 0, 0, 0 } };

    for (uint64_t i = 0; i < g->row_groups; i += step) {
        uint64_t first = i * g->group_cols, count = lqi_min(step, g->row_groups - i);
        uint64_t n = count == step ? step * g->group_cols : g->cols - first;
        lq_status status = lqi_encode_groups(g, v, first, n, groups, codes);
        if (status)
            return status;
        lqi_groups_store(v->ctx, g, groups, (size_t)count, rows->plane[LQ_PLANE_SCALES],
                         rows->plane[LQ_PLANE_ZEROS], at + i);
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
