/* SPDX-License-Identifier: MIT */
/*
 * lib/core/decode.c - stored rows to numbers
 *
 * One path for all formats: a span of a row is cut where groups (planar) say so, scales
 * become f32, and the context's decoder for the format does the rest.
 */
#include "lib/core/core.h"
#include "lib/format/grids.h"

#define GROUPS 128   /* scales decoded at a time */
#define CHUNK 2048   /* numbers converted to f16 or bf16 at a time; a multiple of every block */

/* ------------------------------------------------------------------- spans */

static void read_zeros(const lq_ctx *ctx, const lq_spec *s, const uint8_t *zeros, uint64_t first,
                       size_t n, float *out)
{
    if (s->zeros == LQ_ZEROS_FLOAT)
        lqi_scales_load(ctx, s->scale_type, zeros, first, n, out);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = zeros[first + i];
}

static lqi_run run_of_row(const lq_ctx *ctx, const lqi_geometry *g, const lq_rows *rows,
                          uint64_t row)
{
    uint64_t stride = rows->stride ? rows->stride : g->row_bytes;
    const uint8_t *codes = rows->plane[LQ_PLANE_CODES];
    int flat = g->spec->flags & LQ_SPEC_FLAT;

    codes += flat ? 0 : row * stride;
    return (lqi_run){ .codes = codes, .group = g->group_cols,
                      .end = codes + (flat ? g->bytes[LQ_PLANE_CODES] : g->row_bytes),
                      .table = g->table, .bits = g->bits, .grids = ctx->grids,
                      .codebook = ctx->grids->value[g->format->grid] };
}

static void decode_groups(const lq_ctx *ctx, const lqi_geometry *g, const lq_rows *rows,
                          uint64_t row, uint64_t first, size_t n, float *y)
{
    float scale[GROUPS], zero[GROUPS];
    lqi_decode_fn *decode = ctx->decode[g->index];
    int flat = g->spec->flags & LQ_SPEC_FLAT;
    uint64_t base = flat ? 0 : row / g->group_rows * g->row_groups;
    lqi_run run = run_of_row(ctx, g, rows, row);

    run.scale = scale;
    run.zero = g->spec->zeros ? zero : NULL;
    run.float_zeros = g->spec->zeros == LQ_ZEROS_FLOAT;
    while (n) {
        uint64_t group = first / g->group_cols, in_group = first % g->group_cols;
        uint64_t most = g->group_cols > UINT64_MAX / GROUPS ? UINT64_MAX
                                                            : g->group_cols * GROUPS;
        size_t count = (size_t)lqi_min(n, most - in_group);
        size_t groups = (size_t)((in_group + count - 1) / g->group_cols + 1);
        lqi_scales_read(ctx, g->spec, rows->plane, base + group, groups, scale);
        if (run.zero)
            read_zeros(ctx, g->spec, rows->plane[LQ_PLANE_ZEROS], base + group, groups, zero);
        run.first = first;
        run.n = count;
        decode(&run, y);
        first += count;
        n -= count;
        y += count;
    }
}

/* Groups chosen per column.  An index out of range counts as group 0. */
static void decode_indexed(const lq_ctx *ctx, const lqi_geometry *g, const lq_rows *rows,
                           uint64_t row, uint64_t col0, size_t n, float *y)
{
    lqi_decode_fn *decode = ctx->decode[g->index];
    const uint8_t *index = rows->plane[LQ_PLANE_GIDX];
    uint64_t base = row * g->row_groups, last = UINT64_MAX;
    lqi_run run = run_of_row(ctx, g, rows, row);
    float scale = 0, zero = 0;

    run.scale = &scale;
    run.zero = g->spec->zeros ? &zero : NULL;
    run.float_zeros = g->spec->zeros == LQ_ZEROS_FLOAT;
    run.group = UINT64_MAX;
    run.n = 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t group = lqi_load32(index + 4 * (col0 + i));
        if (group >= g->row_groups)
            group = 0;
        if (group != last) {
            lqi_scales_read(ctx, g->spec, rows->plane, base + group, 1, &scale);
            if (run.zero)
                read_zeros(ctx, g->spec, rows->plane[LQ_PLANE_ZEROS], base + group, 1, &zero);
            last = group;
        }
        run.first = col0 + i;
        decode(&run, y + i);
    }
}

void lqi_decode_span(const lq_ctx *ctx, const lqi_geometry *g, const lq_rows *rows,
                     uint64_t row, uint64_t col0, size_t n, float *y)
{
    if (n == 0)
        return;
    if (g->format->storage == LQ_BLOCKED) {
        lqi_run run = run_of_row(ctx, g, rows, row);
        run.first = col0;
        run.n = n;
        ctx->decode[g->index](&run, y);
    } else if (g->spec->flags & LQ_SPEC_GIDX) {
        decode_indexed(ctx, g, rows, row, col0, n, y);
    } else if (g->spec->flags & LQ_SPEC_FLAT) {
        decode_groups(ctx, g, rows, row, row * g->cols + col0, n, y);
    } else {
        decode_groups(ctx, g, rows, row, col0, n, y);
    }
}

/* ------------------------------------------------------------- whole rows */

void lq_rows_init(lq_rows *rows)
{
    const lq_rows init = LQ_ROWS_INIT;

    if (rows)
        *rows = init;
}

lq_status lqi_rows_open(const lq_rows *in, lq_rows *rows, lq_spec *spec, lqi_geometry *g)
{
    const lq_rows empty = LQ_ROWS_INIT;
    const lq_spec none = LQ_SPEC_INIT;
    lq_status status;

    *rows = empty;
    *spec = none;
    if (!in || (status = lqi_opts_read(rows, sizeof *rows, in)) || !rows->spec)
        return in && status ? status : LQ_ERR_ARG;
    if ((status = lqi_opts_read(spec, sizeof *spec, rows->spec)) ||
        (status = lq_spec_complete(spec, NULL)) ||
        (status = lqi_geometry_init(g, spec, rows->rows, rows->cols)))
        return status;
    rows->spec = spec;
    if (rows->stride && (spec->flags & LQ_SPEC_FLAT || rows->stride < g->row_bytes))
        return LQ_ERR_SHAPE;
    for (int p = 0; p < LQ_PLANES; p++)
        if (g->bytes[p] && !rows->plane[p])
            return LQ_ERR_ARG;
    return LQ_OK;
}

struct decode_job {
    const lq_ctx       *ctx;
    const lqi_geometry *g;
    const lq_rows      *rows;
    uint64_t            row0, n, per_task;
    lq_dtype            type;
    uint8_t            *y;
    uint64_t            row_bytes;
};

static void decode_row(const struct decode_job *j, uint64_t row, uint8_t *y)
{
    float chunk[CHUNK];
    uint64_t cols = j->g->cols;

    if (j->type == LQ_F32) {
        lqi_decode_span(j->ctx, j->g, j->rows, row, 0, (size_t)cols, (float *)(void *)y);
        return;
    }
    for (uint64_t c = 0; c < cols; c += CHUNK, y += 2 * CHUNK) {
        size_t n = (size_t)lqi_min(CHUNK, cols - c);
        lqi_decode_span(j->ctx, j->g, j->rows, row, c, n, chunk);
        if (j->type == LQ_F16)
            j->ctx->kernels.f32_to_f16(chunk, y, n);
        else
            j->ctx->kernels.f32_to_bf16(chunk, y, n);
    }
}

static void decode_task(void *arg, size_t index)
{
    const struct decode_job *j = arg;
    uint64_t first = index * j->per_task, end = lqi_min(first + j->per_task, j->n);

    for (uint64_t r = first; r < end; r++)
        decode_row(j, j->row0 + r, j->y + r * j->row_bytes);
}

lq_status lqi_check_floats(lq_dtype *type, const void *p, uint64_t rows, uint64_t cols,
                           uint64_t ld, uint64_t *bytes)
{
    size_t size;
    uint64_t last;

    if (*type == LQ_DTYPE_DEFAULT)
        *type = LQ_F32;
    if (*type != LQ_F32 && *type != LQ_F16 && *type != LQ_BF16)
        return LQ_ERR_UNSUPPORTED;
    size = lq_dtype_bytes(*type);
    *bytes = 0;
    if (rows == 0 || cols == 0)
        return LQ_OK;
    if (!p)
        return LQ_ERR_ARG;
    if (ld < cols)
        return LQ_ERR_SHAPE;
    if ((uintptr_t)p % size)
        return LQ_ERR_ALIGN;
    if (!lqi_mul(rows - 1, ld, &last) || !lqi_add(last, cols, &last) ||
        !lqi_mul(last, size, bytes) || *bytes > SIZE_MAX / 2)
        return LQ_ERR_OVERFLOW;
    return LQ_OK;
}

int lqi_planes_overlap(const lqi_geometry *g, const lq_rows *rows, const void *p,
                       uint64_t bytes)
{
    for (int i = 0; i < LQ_PLANES; i++) {
        uint64_t n = g->bytes[i];
        if (i == LQ_PLANE_CODES && rows->stride && rows->rows)
            n = (rows->rows - 1) * rows->stride + g->row_bytes;
        if (lqi_overlap(rows->plane[i], n, p, bytes))
            return 1;
    }
    return 0;
}

lq_status lq_decode_rows(const lq_ctx *ctx, const lq_rows *in, uint64_t row0, uint64_t n,
                         lq_dtype y_type, void *y, uint64_t ldy)
{
    lq_rows rows;
    lq_spec spec;
    lqi_geometry g;
    uint64_t bytes;
    lq_status status;

    if (!ctx)
        return LQ_ERR_ARG;
    status = lqi_rows_open(in, &rows, &spec, &g);
    if (status)
        return status;
    if (row0 > rows.rows || n > rows.rows - row0)
        return LQ_ERR_ARG;
    status = lqi_check_floats(&y_type, y, n, g.cols, ldy, &bytes);
    if (status || bytes == 0)
        return status;
    if (lqi_planes_overlap(&g, &rows, y, bytes))
        return LQ_ERR_OVERLAP;
    struct decode_job job = { ctx, &g, &rows, row0, n, LQI_TASK_WEIGHTS / g.cols + 1, y_type, y,
                              ldy * lq_dtype_bytes(y_type) };
    lqi_parallel(ctx, (size_t)lqi_div_up(n, job.per_task), decode_task, &job);
    return LQ_OK;
}
