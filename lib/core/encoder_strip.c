/* SPDX-License-Identifier: MIT */
/*
 * lib/core/encoder_strip.c - a strip's codes and parameters
 */
#include "lib/core/encoder.h"

lqi_values lqi_encoder_values(const lq_encoder *e, uint64_t row)
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
        lqi_values v = lqi_encoder_values(e, row);
        return lqi_group_find(&e->g, &v, first, n, group);
    }
    for (uint64_t r = row; r < row + rows && !status; r++) {
        lqi_values v = lqi_encoder_values(e, r);
        status = e->g.format->fit_mean ? lqi_values_sum(&v, first, n, &sum)
                                       : lqi_values_range(&v, first, n, &lo, &hi);
    }
    if (!status && e->g.format->fit_mean)
        return lqi_group_mean(&e->g, sum, rows * n, e->opts.nonfinite, group);
    return status ? status : lqi_group_fit(&e->g, lo, hi, e->opts.nonfinite, group);
}

lq_status lqi_encoder_fit(lq_encoder *e, uint64_t row, uint64_t rows)
{
    lq_status status = LQ_OK;

    for (uint64_t c = 0; c < e->g.row_groups && !status; c++)
        status = fit_tile(e, row, rows, c, &e->groups[row / e->g.group_rows * e->g.row_groups + c]);
    return status;
}

/* 'finite': the numbers are known to be. */
static lq_status round_row(lq_encoder *e, uint64_t row, int finite)
{
    const lqi_geometry *g = &e->g;
    const lqi_group *groups = e->groups;
    lqi_values v = lqi_encoder_values(e, row);
    uint8_t *codes = e->codes + row * g->row_bytes;
    lq_status status = LQ_OK;

    v.finite = finite;
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
    lqi_values v = lqi_encoder_values(e, row);
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
            lqi_values v = lqi_encoder_values(e, r);
            status = lqi_encode_blocks(g, &v, imp, e->codes + r * g->row_bytes);
        }
        return status;
    }
    if (!e->whole && g->group_rows == 1)
        return encode_row(e, row);
    if (!e->whole)
        status = lqi_encoder_fit(e, row, rows);
    int finite = !e->whole && e->x_type == LQ_F32 && e->opts.nonfinite == LQ_NONFINITE_ERROR;
    for (uint64_t r = row; r < row + rows && !status; r++)
        status = round_row(e, r, finite);
    return status;
}

/* Groups [index, end) of flat numbers: 'partial' blocks end where these do.  Queued ones are
 * finite by now, unless they are to be propagated. */
static lq_status encode_flat_groups(lq_encoder *e, uint64_t index, uint64_t end)
{
    uint64_t first = index * e->g.group_cols, n = lqi_min(end * e->g.group_cols, e->flat_n) - first;
    lqi_values v = { e->ctx, LQ_F32, e->flat_x, e->flat_n, e->opts.nonfinite, e->opts.search };

    for (uint64_t i = index; i < end; i++)
        e->groups[i].global = e->global;
    return lqi_encode_groups(&e->g, &v, first, n, &e->groups[index],
                             e->flat_scan ? NULL : e->codes);
}

/* A task works on e->per_task rows of the strip (a multiple of group_rows) or groups of
 * flat numbers. */
static void strip_task(void *arg, size_t index)
{
    lq_encoder *e = arg;
    uint64_t first = index * e->per_task, end = lqi_min(first + e->per_task, e->n);
    uint64_t step = e->flat ? end - first : e->whole ? 1 : e->g.group_rows;
    lq_status status = LQ_OK;

    for (uint64_t i = first; i < end && !status && !e->task_status; i += step)
        status = e->flat ? encode_flat_groups(e, i, end)
                         : encode_strip_rows(e, i, lqi_min(step, end - i));
    if (status)
        e->task_status = status;
}

/* Run strip_task over n rows or groups of 'weights' numbers each. */
lq_status lqi_encoder_run(lq_encoder *e, uint64_t n, uint64_t weights)
{
    uint64_t step = e->flat || e->whole ? 1 : e->g.group_rows;

    e->n = n;
    e->per_task = LQI_TASK_WEIGHTS / 8 / (weights + 1) + 1;
    e->per_task = lqi_div_up(e->per_task, step) * step;
    e->task_status = LQ_OK;
    lqi_parallel(e->ctx, (size_t)lqi_div_up(n, e->per_task), strip_task, e);
    return e->task_status;
}
