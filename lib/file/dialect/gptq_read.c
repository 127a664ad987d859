/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/gptq_read.c - the arrays of a GPTQ weight into our planes
 */
#include "lib/file/dialect/gptq.h"

static lq_status read_array(const lq_checkpoint *cp, const lqi_weight *w, int part,
                            void **memory, uint64_t *bytes, lq_error *error)
{
    const lqi_part *p = lqi_weight_part(w, part);

    if (!p)
        return LQ_OK;
    *bytes = p->bytes;
    return lqi_tensor_bytes(cp->ctx, cp->file, p->tensor, memory, error);
}

/* Planes to import to; symmetric specs have no zeros, but the arrays do: *zeros is memory
 * for them. */
static lq_status import_rows(const lq_checkpoint *cp, const lqi_weight *w, lq_spec *spec,
                             lq_rows *rows, void **zeros)
{
    uint64_t bytes = 0;
    lq_status st = LQ_OK;

    *spec = w->spec;
    rows->spec = spec;
    rows->rows = w->shape.rows;
    rows->cols = w->shape.cols;
    if (spec->zeros == LQ_ZEROS_INT)
        return LQ_OK;
    spec->zeros = LQ_ZEROS_INT;
    st = lq_plane_bytes(spec, LQ_PLANE_ZEROS, &w->shape, &bytes);
    if (st)
        return st;
    *zeros = lqi_alloc(lqi_ctx_allocator(cp->ctx), bytes);
    rows->plane[LQ_PLANE_ZEROS] = *zeros;
    return *zeros ? LQ_OK : LQ_ERR_NOMEM;
}

static lq_status import_arrays(const lq_checkpoint *cp, const lqi_weight *w,
                               const lq_gptq *gptq, void *const plane[LQ_PLANES],
                               lq_error *error)
{
    lqi_where where = { lq_file_path(cp->file), w->name, LQ_NO_OFFSET };
    lq_rows rows = LQ_ROWS_INIT;
    lq_spec spec = LQ_SPEC_INIT;
    void *zeros = NULL;
    lq_status st;

    memcpy(rows.plane, plane, sizeof rows.plane);
    st = import_rows(cp, w, &spec, &rows, &zeros);
    if (!st)
        st = lq_gptq_import(gptq, &rows);
    lqi_free(lqi_ctx_allocator(cp->ctx), zeros);
    return st ? lqi_fail(error, st, &where, "%s", lq_status_text(st)) : LQ_OK;
}

lq_status lqi_gptq_import(const lq_checkpoint *cp, const lqi_weight *w,
                          void *const plane[LQ_PLANES], lq_error *error)
{
    const lq_allocator *a = lqi_ctx_allocator(cp->ctx);
    lq_gptq gptq = LQ_GPTQ_INIT;
    lq_status st;

    gptq.version = (int32_t)w->variant;
    st = read_array(cp, w, LQI_GPTQ_QWEIGHT, &gptq.qweight, &gptq.qweight_bytes, error);
    if (!st)
        st = read_array(cp, w, LQI_GPTQ_QZEROS, &gptq.qzeros, &gptq.qzeros_bytes, error);
    if (!st)
        st = read_array(cp, w, LQI_GPTQ_SCALES, &gptq.scales, &gptq.scales_bytes, error);
    if (!st)
        st = read_array(cp, w, LQI_GPTQ_G_IDX, &gptq.g_idx, &gptq.g_idx_bytes, error);
    if (!st)
        st = import_arrays(cp, w, &gptq, plane, error);
    lqi_free(a, gptq.qweight);
    lqi_free(a, gptq.qzeros);
    lqi_free(a, gptq.scales);
    lqi_free(a, gptq.g_idx);
    return st;
}
