/* SPDX-License-Identifier: MIT */
/*
 * lib/core/geometry.c - where the bytes of a matrix lie, and how many there are
 */
#include "lib/core/core.h"

static lq_status blocked(lqi_geometry *g)
{
    const lqi_format *f = g->format;
    uint64_t blocks = lqi_div_up(g->cols, f->block_len);

    if (g->cols % f->block_len && !(g->spec->flags & LQ_SPEC_PAD))
        return LQ_ERR_SHAPE;
    g->padded_cols = blocks * f->block_len;
    g->group_rows = 1;
    g->group_cols = f->block_len;
    g->row_groups = blocks;
    if (g->padded_cols < g->cols || !lqi_mul(blocks, f->block_bytes, &g->row_bytes) ||
        !lqi_add(g->row_bytes, f->row_bytes, &g->row_bytes) ||
        !lqi_mul(g->rows, g->row_bytes, &g->bytes[LQ_PLANE_CODES]) ||
        !lqi_mul(g->rows, blocks, &g->groups))
        return LQ_ERR_OVERFLOW;
    return LQ_OK;
}

/* Groups and bytes of codes; flat specs have one long row. */
static lq_status planar_groups(lqi_geometry *g)
{
    int flat = g->spec->flags & LQ_SPEC_FLAT;
    uint64_t length = g->cols, rows = g->rows, bits;

    if (flat && !lqi_mul(g->rows, g->cols, &length))
        return LQ_ERR_OVERFLOW;
    if (flat)
        rows = length > 0;
    g->group_rows = g->spec->group_rows == LQ_GROUP_ALL ? rows : g->spec->group_rows;
    g->group_cols = g->spec->group_cols == LQ_GROUP_ALL ? length : g->spec->group_cols;
    g->group_rows += g->group_rows == 0;
    g->group_cols += g->group_cols == 0;
    g->padded_cols = g->cols;
    g->row_groups = lqi_div_up(length, g->group_cols);
    if (!lqi_mul(length, g->bits, &bits) ||
        !lqi_mul(lqi_div_up(rows, g->group_rows), g->row_groups, &g->groups))
        return LQ_ERR_OVERFLOW;
    g->row_bytes = lqi_div_up(bits, 8);
    if (!lqi_mul(g->row_bytes, rows, &g->bytes[LQ_PLANE_CODES]))
        return LQ_ERR_OVERFLOW;
    return LQ_OK;
}

static lq_status planar(lqi_geometry *g)
{
    const lq_spec *s = g->spec;
    lq_status status = planar_groups(g);
    uint64_t scale2 = s->scale2_block ? lqi_div_up(g->groups, s->scale2_block) : 0;
    size_t scale_bytes = s->scale2_block ? 1 : lqi_scale_bytes(s->scale_type);
    size_t zero_bytes = s->zeros != LQ_ZEROS_NONE;

    if (status)
        return status;
    if (s->zeros == LQ_ZEROS_FLOAT)
        zero_bytes = lqi_scale_bytes(s->scale_type);
    if (s->scale2_block || s->flags & LQ_SPEC_GLOBAL)
        g->bytes[LQ_PLANE_OFFSET] = sizeof(float);
    if (!lqi_mul(g->groups, zero_bytes, &g->bytes[LQ_PLANE_ZEROS]) ||
        !lqi_mul(g->groups, scale_bytes, &g->bytes[LQ_PLANE_SCALES]) ||
        !lqi_mul(scale2, sizeof(float), &g->bytes[LQ_PLANE_SCALE2]) ||
        (s->flags & LQ_SPEC_GIDX && !lqi_mul(g->cols, 4, &g->bytes[LQ_PLANE_GIDX])))
        return LQ_ERR_OVERFLOW;
    return LQ_OK;
}

lq_status lqi_geometry_init(lqi_geometry *g, const lq_spec *spec, uint64_t rows,
                            uint64_t cols)
{
    uint64_t elements;

    memset(g, 0, sizeof *g);
    g->format = lqi_format_by_id(spec->format);
    g->spec = spec;
    g->rows = rows;
    g->cols = cols;
    if (!g->format)
        return LQ_ERR_NOTFOUND;
    g->index = lqi_format_index(g->format);
    g->bits = lqi_spec_bits(g->format, spec);
    g->table = lqi_spec_table(g->format, spec);
    if (g->format->storage == LQ_PLANAR && g->bits == 0)
        return LQ_ERR_ARG;                       /* no codebook */
    if (!lqi_mul(rows, cols, &elements) || elements > UINT64_MAX / 8)
        return LQ_ERR_OVERFLOW;
    return g->format->storage == LQ_BLOCKED ? blocked(g) : planar(g);
}

/* ------------------------------------------------------------------ public */

const char *lq_plane_name(int plane)
{
    static const char *const names[] = { "codes", "scales", "zeros", "scale2", "offset",
                                         "gidx" };

    if (plane < 0 || plane >= (int)(sizeof names / sizeof *names))
        return NULL;
    return names[plane];
}

static lq_status open_shape(const lq_spec *spec, const lq_shape *shape, lq_spec *complete,
                            lqi_geometry *g)
{
    lq_status status;

    if (!spec || !shape)
        return LQ_ERR_ARG;
    memset(complete, 0, sizeof *complete);
    status = lqi_opts_read(complete, sizeof *complete, spec);
    if (!status)
        status = lq_spec_complete(complete, NULL);
    if (!status)
        status = lqi_geometry_init(g, complete, shape->rows, shape->cols);
    return status;
}

lq_status lq_plane_bytes(const lq_spec *spec, int plane, const lq_shape *shape,
                         uint64_t *bytes)
{
    lq_spec complete;
    lqi_geometry g;
    uint64_t total;
    lq_status status = open_shape(spec, shape, &complete, &g);

    if (status)
        return status;
    if (!bytes || plane < 0 || plane >= LQ_PLANES)
        return LQ_ERR_ARG;
    if (!lqi_mul(g.bytes[plane], shape->outer, &total))
        return LQ_ERR_OVERFLOW;
    *bytes = total;
    return LQ_OK;
}

lq_status lq_spec_bytes(const lq_spec *spec, const lq_shape *shape, uint64_t *bytes)
{
    lq_spec complete;
    lqi_geometry g;
    uint64_t total = 0;
    lq_status status = open_shape(spec, shape, &complete, &g);

    if (status)
        return status;
    if (!bytes)
        return LQ_ERR_ARG;
    for (int p = 0; p < LQ_PLANES; p++)
        if (!lqi_add(total, g.bytes[p], &total))
            return LQ_ERR_OVERFLOW;
    if (!lqi_mul(total, shape->outer, &total))
        return LQ_ERR_OVERFLOW;
    *bytes = total;
    return LQ_OK;
}
