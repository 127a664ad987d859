/* SPDX-License-Identifier: MIT */
/*
 * lib/core/encoder_emit.c - both passes over an expert, and what goes to the sink when
 */
#include "lib/core/encoder.h"

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
        lqi_groups_store(e->ctx, &e->g, &e->groups[i], (size_t)count, scales, zeros, 0);
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
lq_status lqi_encoder_begin_expert(lq_encoder *e, uint64_t outer)
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

static lq_status emit_flat(lq_encoder *e, uint64_t outer)
{
    uint64_t groups = lqi_div_up(e->flat_n, e->g.group_cols);
    uint64_t bytes = lqi_div_up(e->flat_n * e->g.bits, 8);
    lq_status status;

    memset(e->codes, 0, (size_t)bytes);
    status = lqi_encoder_run(e, groups, e->g.group_cols);
    lqi_codes_pad(e->g.format, &e->spec, e->codes, e->flat_n);
    if (!status)
        status = emit(e, LQ_PLANE_CODES, e->codes, bytes);
    if (!status)
        status = emit_groups(e, groups, outer);
    return status;
}

/* --------------------------------------------------------------- the passes */

typedef lq_status flat_task(lq_encoder *e, uint64_t outer);

/* What the queue holds, to 'task'. */
static lq_status flush_queue(lq_encoder *e, uint64_t outer, flat_task *task)
{
    e->flat_x = e->queue;
    e->flat_n = e->queued;
    e->queued = 0;
    return e->flat_n ? task(e, outer) : LQ_OK;
}

/* f32 numbers are used where they lie, but for those that CLAMP replaces, and for groups whose
 * codes end within a byte. */
static int usable_in_place(const lq_encoder *e)
{
    return e->x_type == LQ_F32 && e->opts.nonfinite != LQ_NONFINITE_CLAMP &&
           e->g.group_cols % 8 == 0;
}

/* Numbers to 'task': whole groups from their place, the rest, or all, by way of the queue. */
static lq_status feed(lq_encoder *e, const lqi_values *v, uint64_t outer, flat_task *task)
{
    size_t group = (size_t)e->g.group_cols, n;
    int in_place = usable_in_place(e);
    lq_status status = LQ_OK;

    for (uint64_t c = 0; c < v->n && !status; c += n) {
        n = (size_t)lqi_min(v->n - c, in_place && e->queued ? group - e->queued
                                                            : FLAT - e->queued);
        if (in_place && e->queued == 0 && n >= group) {
            n -= n % group;
            e->flat_x = (const float *)v->x + c;
            e->flat_n = n;
            status = task(e, outer);
            continue;
        }
        status = lqi_values_read(v, c, n, e->queue + e->queued);
        e->queued += n;
        if (!status && e->queued == (in_place ? group : FLAT))
            status = flush_queue(e, outer, task);
    }
    return status;
}

/* Rows without gaps are one row. */
static lq_status feed_rows(lq_encoder *e, uint64_t rows, uint64_t outer, flat_task *task)
{
    int joined = usable_in_place(e) && e->x_bytes == e->g.cols * sizeof(float);
    uint64_t step = joined ? rows : 1;
    lq_status status = LQ_OK;

    for (uint64_t r = 0; r < rows && !status; r += step) {
        lqi_values v = lqi_encoder_values(e, r);
        v.n *= step;
        status = feed(e, &v, outer, task);
    }
    return status;
}

lq_status lqi_encoder_encode(lq_encoder *e, uint64_t rows, uint64_t outer)
{
    uint64_t groups = lqi_div_up(rows, e->g.group_rows) * e->g.row_groups;
    lq_status status = LQ_OK;

    if (e->flat)
        return feed_rows(e, rows, outer, emit_flat);
    status = lqi_encoder_run(e, rows, e->g.cols);
    if (!status)
        status = emit(e, LQ_PLANE_CODES, e->codes, rows * e->g.row_bytes);
    if (!status && e->g.format->storage == LQ_PLANAR && !e->whole)
        status = emit_groups(e, groups, outer);
    return status;
}

lq_status lqi_encoder_end_expert(lq_encoder *e, uint64_t outer)
{
    lq_status status = LQ_OK;

    if (e->flat)
        status = flush_queue(e, outer, emit_flat);
    return status ? status : flush_pending(e, outer);
}

/* Add the scales of groups [0, n) to the expert's sum, in order. */
static void sum_scales(lq_encoder *e, uint64_t n, uint64_t outer)
{
    for (uint64_t i = 0; i < n; i++)
        e->sums[outer] += (double)e->groups[i].scale;
}

static lq_status scan_flat(lq_encoder *e, uint64_t outer)
{
    uint64_t groups = lqi_div_up(e->flat_n, e->g.group_cols);
    e->flat_scan = 1;
    lq_status status = lqi_encoder_run(e, groups, e->g.group_cols);

    e->flat_scan = 0;
    sum_scales(e, groups, outer);
    return status;
}

/* The largest magnitude so far: global scales come from nothing else. */
static lq_status scan_amax(lq_encoder *e, uint64_t rows, uint64_t outer)
{
    float lo = 0, hi = 0;
    lq_status status = LQ_OK;

    for (uint64_t r = 0; r < rows && !status; r++) {
        lqi_values v = lqi_encoder_values(e, r);
        status = lqi_values_range(&v, 0, v.n, &lo, &hi);
    }
    hi = -lo > hi ? -lo : hi;
    if (!status && hi > e->amax[outer])
        e->amax[outer] = hi;
    return status;
}

static lq_status look_at_strip(lq_encoder *e, uint64_t rows, uint64_t outer)
{
    const lqi_geometry *g = &e->g;
    lq_status status = LQ_OK;

    if (e->flat)
        return feed_rows(e, rows, outer, scan_flat);
    for (uint64_t r = 0; r < rows && !status; r++) {
        for (uint64_t c = 0; c < g->row_groups && e->whole && !status; c++) {
            lqi_values v = lqi_encoder_values(e, r);
            uint64_t first = c * g->group_cols, at = outer * g->row_groups + c;
            uint64_t n = lqi_min(g->group_cols, g->cols - first);
            status = e->magnitude ? lqi_values_sum(&v, first, n, &e->magnitude[at])
                                  : lqi_values_range(&v, first, n, &e->lo[at], &e->hi[at]);
        }
        if (!status && !e->whole && r % g->group_rows == 0)
            status = lqi_encoder_fit(e, r, lqi_min(g->group_rows, rows - r));
    }
    if (!status && e->spec.scale2_block && !e->whole)
        sum_scales(e, lqi_div_up(rows, g->group_rows) * g->row_groups, outer);
    return status;
}

lq_status lqi_encoder_look(lq_encoder *e, uint64_t rows, uint64_t outer)
{
    return e->amax ? scan_amax(e, rows, outer) : look_at_strip(e, rows, outer);
}

lq_status lqi_encoder_end_look(lq_encoder *e, uint64_t outer)
{
    lq_status status = e->flat ? flush_queue(e, outer, scan_flat) : LQ_OK;

    if (!status && e->whole && e->spec.scale2_block) {
        for (uint64_t c = 0; c < e->g.row_groups && !status; c++)
            status = fit_whole(e, outer, c);
        sum_scales(e, e->g.row_groups, outer);
    }
    return status;
}

/* Check a strip against what was seen so far. */
