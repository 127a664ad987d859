/* SPDX-License-Identifier: MIT */
/*
 * lib/core/encoder.c - one tensor of any spec from strips, in memory that does not grow
 *
 * Rows reach one of three paths:
 *
 *   rows   groups lie inside strips of 1 row, or of strip_rows rows: a strip is fitted,
 *          rounded and emitted
 *   whole  groups span all rows: scan() collects ranges, rows() only rounds
 *   flat   groups ignore rows: numbers are queued until FLAT of them are there
 *
 * Each path fills a strip of codes and an array of group parameters; emit_groups() sends
 * scales and zero points on.  Second-level scales wait in 'pending' until a block of them
 * is complete; their offset is the mean that scan() found.
 *
 * Whatever runs in parallel writes to places of its own, and sums are taken in index
 * order afterwards: the bytes do not depend on the threads.
 */
#include "lib/core/core.h"

#define FLAT 65536                 /* queued numbers; a multiple of every flat block */
#define STRIP_BYTES (1u << 20)     /* codes per strip, about */

struct lq_encoder {
    const lq_ctx   *ctx;
    lq_spec         spec;
    lq_shape        shape;
    lqi_geometry    g;
    lq_encode_opts  opts;
    lq_plane_sink  *sink;
    void           *user;
    lq_status       status;      /* sticky */
    int             passes;
    int             whole, flat; /* which path; neither: rows */
    uint64_t        strip;       /* rows per strip */
    uint64_t        scanned;     /* rows seen by scan(), over all experts */
    uint64_t        encoded;     /* rows seen by rows() */

    uint8_t        *codes;       /* of one strip */
    lqi_group      *groups;      /* of one strip; whole: of one expert */
    float          *lo, *hi;     /* whole: ranges, [outer][row_groups] */
    double         *magnitude;   /* whole, fit_mean: sums instead */
    float          *queue;       /* flat: numbers waiting for their block */
    size_t          queued;
    float          *amax;        /* global scale: largest magnitude per expert */
    float           global;      /* of the expert being encoded */
    double         *sums;        /* second level: sum of scales per expert */
    float          *pending;     /* second level: scales waiting for their block */
    uint8_t        *pending_codes;
    uint32_t        pending_count;
    uint64_t        at[LQ_PLANES];   /* bytes emitted */

    /* the strip that tasks work on */
    lq_dtype        x_type;
    const uint8_t  *x;
    uint64_t        x_bytes, n, per_task, first_row;
    _Atomic lq_status task_status;
};

/* -------------------------------------------------------------------- begin */

static lq_status check_begin(lq_encoder *e, const lq_encode_opts *opts, lq_error *error)
{
    lq_status status = lqi_opts_read(&e->opts, sizeof e->opts, opts);
    uint64_t bytes, weights;

    if (status)
        return lqi_fail(error, status, NULL, "lq_encode_opts has an unknown struct_size");
    if (e->opts.nonfinite < 0 || e->opts.nonfinite > LQ_NONFINITE_PROPAGATE ||
        e->opts.search < 0 || e->opts.search > LQ_SEARCH_BEST)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no such search, or policy for non-finite numbers");
    status = lq_spec_complete(&e->spec, error);
    if (status)
        return status;
    status = lqi_geometry_init(&e->g, &e->spec, e->shape.rows, e->shape.cols);
    if (status)
        return lqi_fail(error, status, NULL, "shape %llu x %llu does not fit format %s",
                        (unsigned long long)e->shape.rows, (unsigned long long)e->shape.cols,
                        e->g.format ? e->g.format->name : "?");
    status = lq_spec_bytes(&e->spec, &e->shape, &bytes);
    if (status || !lqi_mul(e->shape.outer, e->shape.rows, &weights) ||
        !lqi_mul(e->shape.outer, e->shape.cols, &weights))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "the tensor's size does not fit");
    status = lqi_encode_ready(e->ctx, &e->g, e->opts.importance);
    if (status)
        return lqi_fail(error, status, NULL, "format %s cannot be encoded %s", e->g.format->name,
                        status == LQ_ERR_ARG ? "without importances" : "now: no memory");
    status = lqi_check_importance(e->opts.importance, e->opts.importance ? weights : 0);
    for (uint64_t i = 0; i < e->shape.outer && e->opts.offset && !status; i++)
        status = lqi_finite(e->opts.offset[i]) ? LQ_OK : LQ_ERR_NONFINITE;
    if (status)
        return lqi_fail(error, status, NULL, "importances or offsets are not usable numbers");
    return LQ_OK;
}

/* 'count' elements of 'size' bytes, at least one. */
static int allocate(lq_encoder *e, void *place, uint64_t count, size_t size)
{
    uint64_t bytes;
    void *memory = lqi_mul(count + (count == 0), size, &bytes)
                       ? lqi_alloc_zero(&e->ctx->allocator, bytes) : NULL;

    memcpy(place, &memory, sizeof memory);
    return memory != NULL;
}

static void choose_path(lq_encoder *e)
{
    const lq_spec *s = &e->spec;
    uint64_t per_row = e->g.row_bytes + e->g.row_groups * sizeof(lqi_group) + 1;

    e->flat = (s->flags & LQ_SPEC_FLAT) != 0;
    e->whole = s->group_rows == LQ_GROUP_ALL;
    e->passes = e->whole || s->flags & LQ_SPEC_GLOBAL || (s->scale2_block && !e->opts.offset)
                    ? 2 : 1;
    e->strip = e->whole ? 1 : e->g.group_rows;
    if (!e->flat && per_row < STRIP_BYTES)
        e->strip *= lqi_div_up(STRIP_BYTES / per_row, e->strip);
}

static int allocate_all(lq_encoder *e)
{
    const lqi_geometry *g = &e->g;
    uint64_t strips = e->whole ? 1 : e->strip / g->group_rows;
    uint64_t groups = e->flat ? FLAT / g->group_cols : strips * g->row_groups;
    uint64_t codes = e->flat ? (uint64_t)FLAT * g->bits / 8 : e->strip * g->row_bytes;

    if (g->format->storage == LQ_BLOCKED)
        groups = 0;
    if (!allocate(e, &e->codes, codes, 1) || !allocate(e, &e->groups, groups, sizeof *e->groups))
        return 0;
    if (e->flat && !allocate(e, &e->queue, FLAT, sizeof *e->queue))
        return 0;
    if (e->whole && (!allocate(e, &e->lo, e->shape.outer * g->row_groups, sizeof(float)) ||
                     !allocate(e, &e->hi, e->shape.outer * g->row_groups, sizeof(float))))
        return 0;
    if (e->whole && g->format->fit_mean &&
        !allocate(e, &e->magnitude, e->shape.outer * g->row_groups, sizeof(double)))
        return 0;
    if (e->spec.flags & LQ_SPEC_GLOBAL && !allocate(e, &e->amax, e->shape.outer, sizeof(float)))
        return 0;
    if (!e->spec.scale2_block)
        return 1;
    return allocate(e, &e->sums, e->shape.outer, sizeof *e->sums) &&
           allocate(e, &e->pending, e->spec.scale2_block, sizeof(float)) &&
           allocate(e, &e->pending_codes, e->spec.scale2_block, 1);
}

lq_status lq_encoder_begin(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                           const lq_encode_opts *opts, lq_plane_sink *sink, void *user,
                           lq_encoder **encoder, lq_error *error)
{
    lq_encoder *e;
    lq_status status;

    if (!ctx || !spec || !shape || !sink || !encoder)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_encoder_begin is NULL");
    e = lqi_alloc_zero(&ctx->allocator, sizeof *e);
    if (!e)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for an encoder");
    e->ctx = ctx;
    e->shape = *shape;
    e->sink = sink;
    e->user = user;
    status = lqi_opts_read(&e->spec, sizeof e->spec, spec);
    if (!status)
        status = check_begin(e, opts, error);
    if (!status) {
        choose_path(e);
        if (!allocate_all(e))
            status = lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for an encoder's strips");
    }
    if (status) {
        lq_encoder_destroy(e);
        return status;
    }
    for (uint64_t i = 0; e->whole && i < e->shape.outer * e->g.row_groups; i++) {
        e->lo[i] = INFINITY;
        e->hi[i] = -INFINITY;
    }
    *encoder = e;
    return LQ_OK;
}

void lq_encoder_destroy(lq_encoder *e)
{
    if (!e)
        return;
    lq_allocator allocator = e->ctx->allocator;
    void *parts[] = { e->codes, e->groups, e->lo, e->hi, e->queue, e->sums, e->pending,
                      e->pending_codes, e->amax, e->magnitude, e };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        lqi_free(&allocator, parts[i]);
}

int lq_encoder_passes(const lq_encoder *e)
{
    return e ? e->passes : 0;
}

uint64_t lq_encoder_strip_rows(const lq_encoder *e)
{
    if (!e)
        return 0;
    return e->whole || e->flat ? 1 : e->g.group_rows;
}

/* ------------------------------------------------------------------ strips */

static lqi_values row_values(const lq_encoder *e, uint64_t row)
{
    return (lqi_values){ e->ctx, e->x_type, e->x + row * e->x_bytes, e->g.cols, e->opts.nonfinite,
                         e->opts.search };
}

/* Parameters of group column 'c' of strip rows [row, row + rows). */
static lq_status fit_tile(lq_encoder *e, uint64_t row, uint64_t rows, uint64_t c,
                          lqi_group *group)
{
    uint64_t first = c * e->g.group_cols, n = lqi_min(e->g.group_cols, e->g.cols - first);
    float lo = INFINITY, hi = -INFINITY;
    double sum = 0;
    lq_status status = LQ_OK;

    group->global = e->global;
    if (rows == 1) {
        lqi_values v = row_values(e, row);
        return lqi_group_find(&e->g, &v, first, n, group);
    }
    for (uint64_t r = row; r < row + rows && !status; r++) {
        lqi_values v = row_values(e, r);
        status = e->g.format->fit_mean ? lqi_values_sum(&v, first, n, &sum)
                                       : lqi_values_range(&v, first, n, &lo, &hi);
    }
    if (!status && e->g.format->fit_mean)
        return lqi_group_mean(&e->g, sum, rows * n, e->opts.nonfinite, group);
    return status ? status : lqi_group_fit(&e->g, lo, hi, e->opts.nonfinite, group);
}

static lq_status fit_rows(lq_encoder *e, uint64_t row, uint64_t rows)
{
    lq_status status = LQ_OK;

    for (uint64_t c = 0; c < e->g.row_groups && !status; c++)
        status = fit_tile(e, row, rows, c, &e->groups[row / e->g.group_rows * e->g.row_groups + c]);
    return status;
}

static lq_status round_row(lq_encoder *e, uint64_t row)
{
    const lqi_geometry *g = &e->g;
    const lqi_group *groups = e->groups;
    lqi_values v = row_values(e, row);
    uint8_t *codes = e->codes + row * g->row_bytes;
    lq_status status = LQ_OK;

    if (!e->whole)
        groups += row / g->group_rows * g->row_groups;
    memset(codes, 0, (size_t)g->row_bytes);
    for (uint64_t c = 0; c < g->row_groups && !status; c++) {
        uint64_t first = c * g->group_cols, n = lqi_min(g->group_cols, g->cols - first);
        status = lqi_group_round(g, &v, first, n, &groups[c], codes, first);
    }
    return status;
}

/* A row whose groups are its own. */
static lq_status encode_row(lq_encoder *e, uint64_t row)
{
    const lqi_geometry *g = &e->g;
    lqi_values v = row_values(e, row);
    lqi_group *groups = e->groups + row * g->row_groups;
    uint8_t *codes = e->codes + row * g->row_bytes;

    for (uint64_t c = 0; c < g->row_groups; c++)
        groups[c].global = e->global;
    memset(codes, 0, (size_t)g->row_bytes);
    return lqi_encode_groups(g, &v, 0, g->cols, groups, codes);
}

static lq_status encode_strip_rows(lq_encoder *e, uint64_t row, uint64_t rows)
{
    const lqi_geometry *g = &e->g;
    lq_status status = LQ_OK;

    if (g->format->storage == LQ_BLOCKED) {
        const float *imp = e->opts.importance;
        if (imp)
            imp += e->encoded / e->shape.rows * g->cols;
        for (uint64_t r = row; r < row + rows && !status; r++) {
            lqi_values v = row_values(e, r);
            status = lqi_encode_blocks(g, &v, imp, e->codes + r * g->row_bytes);
        }
        return status;
    }
    if (!e->whole && g->group_rows == 1)
        return encode_row(e, row);
    if (!e->whole)
        status = fit_rows(e, row, rows);
    for (uint64_t r = row; r < row + rows && !status; r++)
        status = round_row(e, r);
    return status;
}

/* Groups [index, ...) of the queue: 'partial' blocks end where the queue does. */
static lq_status encode_queue_groups(lq_encoder *e, uint64_t index, uint64_t end)
{
    uint64_t first = index * e->g.group_cols, n = lqi_min(end * e->g.group_cols, e->queued) - first;
    lqi_values v = { e->ctx, LQ_F32, e->queue, e->queued, LQ_NONFINITE_PROPAGATE,
                     e->opts.search };

    v.nonfinite = e->opts.nonfinite == LQ_NONFINITE_PROPAGATE ? e->opts.nonfinite
                                                              : LQ_NONFINITE_ERROR;
    for (uint64_t i = index; i < end; i++)
        e->groups[i].global = e->global;
    return lqi_encode_groups(&e->g, &v, first, n, &e->groups[index], e->codes);
}

/* A task works on e->per_task rows of the strip (a multiple of group_rows) or groups of
 * the queue. */
static void strip_task(void *arg, size_t index)
{
    lq_encoder *e = arg;
    uint64_t first = index * e->per_task, end = lqi_min(first + e->per_task, e->n);
    uint64_t step = e->flat ? end - first : e->whole ? 1 : e->g.group_rows;
    lq_status status = LQ_OK;

    for (uint64_t i = first; i < end && !status && !e->task_status; i += step)
        status = e->flat ? encode_queue_groups(e, i, end)
                         : encode_strip_rows(e, i, lqi_min(step, end - i));
    if (status)
        e->task_status = status;
}

/* Run strip_task over n rows or groups of 'weights' numbers each. */
static lq_status run_tasks(lq_encoder *e, uint64_t n, uint64_t weights)
{
    uint64_t step = e->flat || e->whole ? 1 : e->g.group_rows;

    e->n = n;
    e->per_task = LQI_TASK_WEIGHTS / 8 / (weights + 1) + 1;
    e->per_task = lqi_div_up(e->per_task, step) * step;
    e->task_status = LQ_OK;
    lqi_parallel(e->ctx, (size_t)lqi_div_up(n, e->per_task), strip_task, e);
    return e->task_status;
}

/* -------------------------------------------------------------------- emit */

static lq_status emit(lq_encoder *e, int plane, const void *data, uint64_t bytes)
{
    lq_status status = bytes ? e->sink(e->user, plane, e->at[plane], data, (size_t)bytes) : LQ_OK;

    e->at[plane] += bytes;
    return status > 0 ? LQ_ERR_ARG : status;
}

static lq_status emit_float(lq_encoder *e, int plane, float f)
{
    uint8_t bytes[4];

    lqi_store32(bytes, lqi_float_bits(f));
    return emit(e, plane, bytes, sizeof bytes);
}

static float expert_offset(const lq_encoder *e, uint64_t outer)
{
    if (e->opts.offset)
        return e->opts.offset[outer];
    return e->g.groups ? (float)(e->sums[outer] / (double)e->g.groups) : 0;
}

/* Quantize the pending block of second-level scales of expert 'outer'. */
static lq_status flush_pending(lq_encoder *e, uint64_t outer)
{
    float scale2;
    lq_status status;

    if (e->pending_count == 0)
        return LQ_OK;
    lqi_scale2_encode(e->pending, e->pending_count, expert_offset(e, outer), e->pending_codes,
                      &scale2);
    if (!lqi_finite(scale2) && e->opts.nonfinite != LQ_NONFINITE_PROPAGATE)
        return LQ_ERR_NUMERIC;
    status = emit(e, LQ_PLANE_SCALES, e->pending_codes, e->pending_count);
    if (!status)
        status = emit_float(e, LQ_PLANE_SCALE2, scale2);
    e->pending_count = 0;
    return status;
}

/* Scales and zero points of e->groups[0 .. n), in pieces. */
static lq_status emit_groups(lq_encoder *e, uint64_t n, uint64_t outer)
{
    uint8_t scales[256 * 4], zeros[256 * 4];
    size_t size = lqi_scale_bytes(e->spec.scale_type);
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < n && e->spec.scale2_block && !status; i++) {
        e->pending[e->pending_count++] = e->groups[i].scale;
        if (e->pending_count == e->spec.scale2_block)
            status = flush_pending(e, outer);
    }
    for (uint64_t i = 0; i < n && !status; i += 256) {
        uint64_t count = lqi_min(256, n - i);
        for (uint64_t k = 0; k < count; k++)
            lqi_group_store(&e->g, &e->groups[i + k], scales, zeros, k);
        if (!e->spec.scale2_block)
            status = emit(e, LQ_PLANE_SCALES, scales, count * size);
        if (!status && e->spec.zeros)
            status = emit(e, LQ_PLANE_ZEROS, zeros,
                          e->spec.zeros == LQ_ZEROS_FLOAT ? count * size : count);
    }
    return status;
}

/* A group that spans all rows of an expert, from what scan() collected. */
static lq_status fit_whole(lq_encoder *e, uint64_t outer, uint64_t c)
{
    const lqi_geometry *g = &e->g;
    uint64_t at = outer * g->row_groups + c, first = c * g->group_cols;

    if (g->format->fit_mean)
        return lqi_group_mean(g, e->magnitude[at],
                              g->rows * lqi_min(g->group_cols, g->cols - first),
                              e->opts.nonfinite, &e->groups[c]);
    return lqi_group_fit(g, e->lo[at], e->hi[at], e->opts.nonfinite, &e->groups[c]);
}

/* Planes that are known when an expert begins: its offset, group indices, and the
 * parameters of groups that span all rows. */
static lq_status begin_expert(lq_encoder *e, uint64_t outer)
{
    const lqi_geometry *g = &e->g;
    lq_status status = LQ_OK;
    uint8_t index[4];

    if (e->spec.scale2_block)
        status = emit_float(e, LQ_PLANE_OFFSET, expert_offset(e, outer));
    if (e->spec.flags & LQ_SPEC_GLOBAL) {
        e->global = g->format->fit_global(&e->spec, e->amax[outer]);
        status = emit_float(e, LQ_PLANE_OFFSET, e->global);
    }
    for (uint64_t c = 0; c < g->cols && e->spec.flags & LQ_SPEC_GIDX && !status; c++) {
        lqi_store32(index, (uint32_t)(c / g->group_cols));
        status = emit(e, LQ_PLANE_GIDX, index, sizeof index);
    }
    for (uint64_t c = 0; c < g->groups && e->whole && !status; c++)
        status = fit_whole(e, outer, c);
    if (e->whole && !status)
        status = emit_groups(e, g->groups, outer);
    return status;
}

static lq_status emit_queue(lq_encoder *e, uint64_t outer)
{
    uint64_t groups = lqi_div_up(e->queued, e->g.group_cols);
    uint64_t bytes = lqi_div_up(e->queued * e->g.bits, 8);
    lq_status status;

    memset(e->codes, 0, (size_t)bytes);
    status = run_tasks(e, groups, e->g.group_cols);
    lqi_codes_pad(e->g.format, &e->spec, e->codes, e->queued);
    if (!status)
        status = emit(e, LQ_PLANE_CODES, e->codes, bytes);
    if (!status)
        status = emit_groups(e, groups, outer);
    e->queued = 0;
    return status;
}

/* --------------------------------------------------------------- the passes */

/* Numbers of a row to the queue; a full queue goes to 'full'. */
static lq_status enqueue(lq_encoder *e, uint64_t row, uint64_t outer,
                         lq_status (*full)(lq_encoder *, uint64_t))
{
    lqi_values v = row_values(e, row);
    lq_status status = LQ_OK;

    for (uint64_t c = 0; c < v.n && !status;) {
        size_t n = (size_t)lqi_min(v.n - c, FLAT - e->queued);
        status = lqi_values_read(&v, c, n, e->queue + e->queued);
        e->queued += n;
        c += n;
        if (!status && e->queued == FLAT)
            status = full(e, outer);
    }
    return status;
}

static lq_status encode_strip(lq_encoder *e, uint64_t rows, uint64_t outer)
{
    uint64_t groups = lqi_div_up(rows, e->g.group_rows) * e->g.row_groups;
    lq_status status = LQ_OK;

    if (e->flat) {
        for (uint64_t r = 0; r < rows && !status; r++)
            status = enqueue(e, r, outer, emit_queue);
        return status;
    }
    status = run_tasks(e, rows, e->g.cols);
    if (!status)
        status = emit(e, LQ_PLANE_CODES, e->codes, rows * e->g.row_bytes);
    if (!status && e->g.format->storage == LQ_PLANAR && !e->whole)
        status = emit_groups(e, groups, outer);
    return status;
}

static lq_status end_expert(lq_encoder *e, uint64_t outer)
{
    lq_status status = LQ_OK;

    if (e->queued)
        status = emit_queue(e, outer);
    return status ? status : flush_pending(e, outer);
}

/* Add the scales of groups [0, n) to the expert's sum, in order. */
static void sum_scales(lq_encoder *e, uint64_t n, uint64_t outer)
{
    for (uint64_t i = 0; i < n; i++)
        e->sums[outer] += (double)e->groups[i].scale;
}

static lq_status scan_queue(lq_encoder *e, uint64_t outer)
{
    uint64_t groups = lqi_div_up(e->queued, e->g.group_cols);
    lq_status status = run_tasks(e, groups, e->g.group_cols);

    sum_scales(e, groups, outer);
    e->queued = 0;
    return status;
}

/* The largest magnitude so far: global scales come from nothing else. */
static lq_status scan_amax(lq_encoder *e, uint64_t rows, uint64_t outer)
{
    float lo = 0, hi = 0;
    lq_status status = LQ_OK;

    for (uint64_t r = 0; r < rows && !status; r++) {
        lqi_values v = row_values(e, r);
        status = lqi_values_range(&v, 0, v.n, &lo, &hi);
    }
    hi = -lo > hi ? -lo : hi;
    if (!status && hi > e->amax[outer])
        e->amax[outer] = hi;
    return status;
}

static lq_status scan_strip(lq_encoder *e, uint64_t rows, uint64_t outer)
{
    const lqi_geometry *g = &e->g;
    lq_status status = LQ_OK;

    for (uint64_t r = 0; r < rows && !status; r++) {
        if (e->flat) {
            status = enqueue(e, r, outer, scan_queue);
            continue;
        }
        for (uint64_t c = 0; c < g->row_groups && e->whole && !status; c++) {
            lqi_values v = row_values(e, r);
            uint64_t first = c * g->group_cols, at = outer * g->row_groups + c;
            uint64_t n = lqi_min(g->group_cols, g->cols - first);
            status = e->magnitude ? lqi_values_sum(&v, first, n, &e->magnitude[at])
                                  : lqi_values_range(&v, first, n, &e->lo[at], &e->hi[at]);
        }
        if (!status && !e->whole && r % g->group_rows == 0)
            status = fit_rows(e, r, lqi_min(g->group_rows, rows - r));
    }
    if (!status && e->spec.scale2_block && !e->flat && !e->whole)
        sum_scales(e, lqi_div_up(rows, g->group_rows) * g->row_groups, outer);
    return status;
}

static lq_status end_scan(lq_encoder *e, uint64_t outer)
{
    lq_status status = e->queued ? scan_queue(e, outer) : LQ_OK;

    if (!status && e->whole && e->spec.scale2_block) {
        for (uint64_t c = 0; c < e->g.row_groups && !status; c++)
            status = fit_whole(e, outer, c);
        sum_scales(e, e->g.row_groups, outer);
    }
    return status;
}

/* Check a strip against what was seen so far. */
static lq_status check_strip(lq_encoder *e, lq_dtype type, const void *x, uint64_t ldx,
                             uint64_t n, uint64_t seen)
{
    uint64_t rows = e->shape.rows, left, bytes;
    lq_status status = lqi_check_floats(&type, x, n, e->g.cols, ldx, &bytes);

    if (status)
        return status;
    if (rows == 0 || seen / rows >= e->shape.outer)
        return n ? LQ_ERR_SHAPE : LQ_OK;
    left = rows - seen % rows;
    if (n > left || (n < left && n % lq_encoder_strip_rows(e)))
        return LQ_ERR_SHAPE;
    e->x_type = type;
    e->x = x;
    e->x_bytes = ldx * lq_dtype_bytes(type);
    return LQ_OK;
}

static lq_status report(lq_encoder *e, uint64_t done)
{
    const lq_progress *p = &e->opts.progress;

    if (p->report && p->report(p->user, done, e->shape.outer * e->shape.rows, "encode"))
        return LQ_ERR_CANCELLED;
    return LQ_OK;
}

lq_status lq_encoder_scan(lq_encoder *e, lq_dtype type, const void *x, uint64_t ldx, uint64_t n)
{
    lq_status status;

    if (!e || e->status || e->encoded || e->passes != 2)
        return !e || !e->status ? LQ_ERR_ARG : e->status;
    status = check_strip(e, type, x, ldx, n, e->scanned);
    for (uint64_t done = 0; done < n && !status;) {
        uint64_t rows = lqi_min(n - done, e->strip), outer = e->scanned / e->shape.rows;
        status = e->amax ? scan_amax(e, rows, outer) : scan_strip(e, rows, outer);
        done += rows;
        e->scanned += rows;
        e->x += rows * e->x_bytes;
        if (!status && e->scanned % e->shape.rows == 0)
            status = end_scan(e, outer);
    }
    e->status = status;
    return status;
}

lq_status lq_encoder_rows(lq_encoder *e, lq_dtype type, const void *x, uint64_t ldx, uint64_t n)
{
    lq_status status;

    if (!e || e->status)
        return e ? e->status : LQ_ERR_ARG;
    status = check_strip(e, type, x, ldx, n, e->encoded);
    if (!status && n && e->passes == 2 && e->scanned != e->shape.outer * e->shape.rows)
        status = LQ_ERR_SHAPE;
    for (uint64_t done = 0; done < n && !status;) {
        uint64_t rows = lqi_min(n - done, e->strip), outer = e->encoded / e->shape.rows;
        if (e->encoded % e->shape.rows == 0)
            status = begin_expert(e, outer);
        if (!status)
            status = encode_strip(e, rows, outer);
        done += rows;
        e->encoded += rows;
        e->x += rows * e->x_bytes;
        if (!status && e->encoded % e->shape.rows == 0)
            status = end_expert(e, outer);
        if (!status)
            status = report(e, e->encoded);
    }
    e->status = status;
    return status;
}

lq_status lq_encoder_finish(lq_encoder *e, lq_error *error)
{
    lq_status status;

    if (!e)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no encoder to finish");
    if (e->status)
        return lqi_fail(error, e->status, NULL, "encoding failed: %s", lq_status_text(e->status));
    for (uint64_t i = 0; e->shape.rows == 0 && i < e->shape.outer; i++) {
        status = begin_expert(e, i);   /* offset and indices of an empty tensor */
        if (status)
            return lqi_fail(error, e->status = status, NULL, "encoding failed");
    }
    if (e->shape.rows && e->encoded != e->shape.outer * e->shape.rows)
        return lqi_fail(error, e->status = LQ_ERR_SHAPE, NULL, "%llu of %llu rows are missing",
                        (unsigned long long)(e->shape.outer * e->shape.rows - e->encoded),
                        (unsigned long long)(e->shape.outer * e->shape.rows));
    e->status = LQ_ERR_ARG;   /* finished: only destroy is left */
    return LQ_OK;
}
