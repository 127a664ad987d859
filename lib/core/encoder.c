/* SPDX-License-Identifier: MIT */
/*
 * lib/core/encoder.c - one tensor of any spec from strips, in memory that does not grow
 */
#include "lib/core/encoder.h"

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
static int allocate_any(lq_encoder *e, void *place, uint64_t count, size_t size)
{
    uint64_t bytes;
    void *memory = lqi_mul(count + (count == 0), size, &bytes)
                       ? lqi_alloc(&e->ctx->allocator, bytes) : NULL;

    memcpy(place, &memory, sizeof memory);
    return memory != NULL;
}

/* The same, zeros. */
static int allocate(lq_encoder *e, void *place, uint64_t count, size_t size)
{
    void *memory;

    if (!allocate_any(e, place, count, size))
        return 0;
    memcpy(&memory, place, sizeof memory);
    memset(memory, 0, (size_t)(count * size));
    return 1;
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
    if (!e->flat && per_row < STRIP_BYTES && e->shape.rows)
        e->strip *= lqi_div_up(lqi_min(STRIP_BYTES / per_row, e->shape.rows), e->strip);
}

static int allocate_all(lq_encoder *e)
{
    const lqi_geometry *g = &e->g;
    uint64_t strips = e->whole ? 1 : e->strip / g->group_rows;
    uint64_t groups = e->flat ? FLAT / g->group_cols : strips * g->row_groups;
    uint64_t codes = e->flat ? (uint64_t)FLAT * g->bits / 8 : e->strip * g->row_bytes;

    if (g->format->storage == LQ_BLOCKED)
        groups = 0;
    if (!allocate_any(e, &e->codes, codes, 1) ||
        !allocate(e, &e->groups, groups, sizeof *e->groups))
        return 0;
    if (e->flat && !allocate_any(e, &e->queue, FLAT, sizeof *e->queue))
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

/* ------------------------------------------------------------------- calls */

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
        status = lqi_encoder_look(e, rows, outer);
        done += rows;
        e->scanned += rows;
        e->x += rows * e->x_bytes;
        if (!status && e->scanned % e->shape.rows == 0)
            status = lqi_encoder_end_look(e, outer);
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
            status = lqi_encoder_begin_expert(e, outer);
        if (!status)
            status = lqi_encoder_encode(e, rows, outer);
        done += rows;
        e->encoded += rows;
        e->x += rows * e->x_bytes;
        if (!status && e->encoded % e->shape.rows == 0)
            status = lqi_encoder_end_expert(e, outer);
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
        status = lqi_encoder_begin_expert(e, i);   /* offset and indices of an empty tensor */
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
