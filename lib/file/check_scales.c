/* SPDX-License-Identifier: MIT */
/*
 * lib/file/check_scales.c - scales that no writer makes
 *
 * Weights of other people's dialects are refused when a scale, put together from all its
 * levels, is NaN or infinite; and, where the dialect's scales are magnitudes (FP8, MX,
 * NVFP4), negative.  Integer scales may be negative: full-range symmetric quantizers write
 * such.  0 is a group of zeros.  Our own dialect holds whatever was encoded.
 */
#include "lib/core/core.h"
#include "lib/file/dialect/dialect.h"

#define PIECE 1024

static lq_status fail(const lqi_weight *w, const lq_checkpoint *cp, uint64_t index, float v,
                      lq_error *error)
{
    const lqi_part *part = lqi_weight_part(w, LQ_PLANE_SCALES);
    uint64_t tensor = part && part->tensor != LQI_NONE ? part->tensor : w->first;
    lqi_where where = lqi_entry_where(cp->file, &cp->file->entries[tensor]);

    return lqi_fail(error, lqi_finite(v) ? LQ_ERR_CORRUPT : LQ_ERR_NONFINITE, &where,
                    "scale %llu is %s", (unsigned long long)index,
                    lqi_finite(v) ? "negative" : "not finite");
}

static lq_status check_rows(const lqi_weight *w, const lq_checkpoint *cp, const lq_tensor *t,
                            const lq_rows *rows, lq_error *error)
{
    float scales[PIECE];
    lqi_geometry g;
    lq_status st = lqi_geometry_init(&g, &w->spec, rows->rows, rows->cols);

    for (uint64_t at = 0; !st && at < g.groups; at += PIECE) {
        size_t n = (size_t)lqi_min(PIECE, g.groups - at);
        lqi_scales_read(t->ctx, &w->spec, rows->plane, at, n, scales);
        for (size_t i = 0; i < n; i++)
            if (!lqi_finite(scales[i]) || (w->magnitudes && scales[i] < 0))
                return fail(w, cp, at + i, scales[i], error);
    }
    return st;
}

lq_status lqi_check_scales(const lq_checkpoint *cp, const lqi_weight *w, const lq_tensor *t,
                           lq_error *error)
{
    lq_status st = LQ_OK;

    if (!w->dialect->config || !lq_tensor_plane(t, LQ_PLANE_SCALES, NULL))
        return LQ_OK;
    for (uint64_t o = 0; o < w->shape.outer && !st; o++) {
        lq_rows rows = LQ_ROWS_INIT;
        st = lq_tensor_rows(t, o, &rows);
        if (!st)
            st = check_rows(w, cp, t, &rows, error);
    }
    return st;
}
