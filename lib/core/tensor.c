/* SPDX-License-Identifier: MIT */
/*
 * lib/core/tensor.c - handles that own, or borrow, the planes of a tensor
 */
#include "lib/core/core.h"

static lq_status new_tensor(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                            lq_tensor **tensor, lq_error *error)
{
    lq_tensor *t;
    uint64_t bytes;
    lq_status status;

    if (!ctx || !spec || !shape)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a context, spec or shape is NULL");
    t = lqi_alloc_zero(&ctx->allocator, sizeof *t);
    if (!t)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for a tensor");
    t->ctx = ctx;
    t->shape = *shape;
    status = lqi_opts_read(&t->spec, sizeof t->spec, spec);
    if (!status)
        status = lq_spec_complete(&t->spec, error);
    if (!status) {
        status = lqi_geometry_init(&t->geometry, &t->spec, shape->rows, shape->cols);
        if (!status)
            status = lq_spec_bytes(&t->spec, shape, &bytes);
        if (status)
            lqi_fail(error, status, NULL, "shape %llu x %llu x %llu does not fit the spec: %s",
                     (unsigned long long)shape->outer, (unsigned long long)shape->rows,
                     (unsigned long long)shape->cols, lq_status_text(status));
    }
    if (status) {
        lqi_free(&ctx->allocator, t);
        return status;
    }
    *tensor = t;
    return LQ_OK;
}

lq_status lq_tensor_create(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                           lq_tensor **tensor, lq_error *error)
{
    lq_tensor *t = NULL;
    lq_status status;

    if (!tensor)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no place for the tensor");
    status = new_tensor(ctx, spec, shape, &t, error);
    if (status)
        return status;
    for (int p = 0; p < LQ_PLANES; p++) {
        uint64_t bytes = t->geometry.bytes[p] * shape->outer;
        if (bytes == 0)
            continue;
        t->plane[p] = t->owned[p] = lqi_alloc_zero(&ctx->allocator, bytes);
        if (!t->plane[p]) {
            lq_tensor_destroy(t);
            return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for %llu bytes of %s",
                            (unsigned long long)bytes, lq_plane_name(p));
        }
    }
    *tensor = t;
    return LQ_OK;
}

lq_status lq_tensor_wrap(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                         void *const plane[LQ_PLANES], const uint64_t bytes[LQ_PLANES],
                         lq_tensor **tensor, lq_error *error)
{
    lq_tensor *t = NULL;
    lq_status status;

    if (!tensor || !plane || !bytes)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "planes or a place for the tensor are NULL");
    status = new_tensor(ctx, spec, shape, &t, error);
    if (status)
        return status;
    for (int p = 0; p < LQ_PLANES && !status; p++) {
        uint64_t need = t->geometry.bytes[p] * shape->outer;
        t->plane[p] = plane[p];
        if (need && !plane[p])
            status = lqi_fail(error, LQ_ERR_ARG, NULL, "plane %s is NULL", lq_plane_name(p));
        else if (bytes[p] < need)
            status = lqi_fail(error, LQ_ERR_BUFFER, NULL, "plane %s has %llu of %llu bytes",
                              lq_plane_name(p), (unsigned long long)bytes[p],
                              (unsigned long long)need);
    }
    if (status) {
        lq_tensor_destroy(t);
        return status;
    }
    *tensor = t;
    return LQ_OK;
}

void lq_tensor_destroy(lq_tensor *tensor)
{
    if (!tensor)
        return;
    for (int p = 0; p < LQ_PLANES; p++)
        lqi_free(&tensor->ctx->allocator, tensor->owned[p]);
    lqi_free(&tensor->ctx->allocator, tensor);
}

/* ------------------------------------------------------------------ access */

const lq_spec *lq_tensor_spec(const lq_tensor *tensor)
{
    return tensor ? &tensor->spec : NULL;
}

lq_status lq_tensor_shape(const lq_tensor *tensor, lq_shape *shape)
{
    if (!tensor || !shape)
        return LQ_ERR_ARG;
    *shape = tensor->shape;
    return LQ_OK;
}

void *lq_tensor_plane(const lq_tensor *tensor, int plane, uint64_t *bytes)
{
    if (!tensor || plane < 0 || plane >= LQ_PLANES)
        return NULL;
    if (bytes)
        *bytes = tensor->geometry.bytes[plane] * tensor->shape.outer;
    return tensor->plane[plane];
}

static void view(const lq_tensor *t, uint64_t outer, lq_rows *rows)
{
    const lq_rows init = LQ_ROWS_INIT;

    *rows = init;
    rows->spec = &t->spec;
    rows->rows = t->shape.rows;
    rows->cols = t->shape.cols;
    for (int p = 0; p < LQ_PLANES; p++)
        if (t->plane[p])
            rows->plane[p] = (uint8_t *)t->plane[p] + outer * t->geometry.bytes[p];
}

lq_status lq_tensor_rows(const lq_tensor *tensor, uint64_t outer, lq_rows *rows)
{
    if (!tensor || !rows || rows->struct_size < sizeof *rows || outer >= tensor->shape.outer)
        return LQ_ERR_ARG;
    view(tensor, outer, rows);
    return LQ_OK;
}

/* ------------------------------------------------------- encode and decode */

lq_status lqi_tensor_sink(void *user, int plane, uint64_t offset, const void *data, size_t bytes)
{
    const lq_tensor *t = user;

    memcpy((uint8_t *)t->plane[plane] + offset, data, bytes);
    return LQ_OK;
}

/* Both passes over a dense array. */
static lq_status run_encoder(lq_encoder *e, const lq_shape *s, lq_dtype type, const void *x)
{
    uint64_t matrix = s->rows * s->cols * lq_dtype_bytes(type);
    const uint8_t *p = x;
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < s->outer && lq_encoder_passes(e) == 2 && !status; i++)
        status = lq_encoder_scan(e, type, p + i * matrix, s->cols, s->rows);
    for (uint64_t i = 0; i < s->outer && !status; i++)
        status = lq_encoder_rows(e, type, p + i * matrix, s->cols, s->rows);
    return status;
}

lq_status lq_tensor_encode(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                           lq_dtype x_type, const void *x, const lq_encode_opts *opts,
                           lq_tensor **tensor, lq_error *error)
{
    lq_tensor *t;
    lq_encoder *e = NULL;
    uint64_t rows, bytes;
    lq_status status;

    if (!tensor)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no place for the tensor");
    status = lq_tensor_create(ctx, spec, shape, &t, error);
    if (status)
        return status;
    status = lqi_mul(shape->outer, shape->rows, &rows)
                 ? lqi_check_floats(&x_type, x, rows, shape->cols, shape->cols, &bytes)
                 : LQ_ERR_OVERFLOW;
    if (status) {
        lqi_fail(error, status, NULL, "the source array: %s", lq_status_text(status));
        goto done;
    }
    status = lq_encoder_begin(ctx, &t->spec, shape, opts, lqi_tensor_sink, t, &e, error);
    if (status)
        goto done;
    run_encoder(e, shape, x_type, x);
    status = lq_encoder_finish(e, error);
done:
    lq_encoder_destroy(e);
    if (status)
        lq_tensor_destroy(t);
    else
        *tensor = t;
    return status;
}

lq_status lq_tensor_decode(const lq_tensor *tensor, lq_dtype y_type, void *y)
{
    lq_rows rows;
    uint64_t total, bytes;
    lq_status status;

    if (!tensor)
        return LQ_ERR_ARG;
    if (!lqi_mul(tensor->shape.outer, tensor->shape.rows, &total))
        return LQ_ERR_OVERFLOW;
    status = lqi_check_floats(&y_type, y, total, tensor->shape.cols, tensor->shape.cols, &bytes);
    for (uint64_t i = 0; i < tensor->shape.outer && bytes && !status; i++) {
        view(tensor, i, &rows);
        status = lq_decode_rows(tensor->ctx, &rows, 0, rows.rows, y_type,
                                (uint8_t *)y + i * (bytes / tensor->shape.outer), rows.cols);
    }
    return status;
}

/* ------------------------------------------------------------------- check */

#define CHUNK 1024

/* Every block is legal.  Its number is the error's position. */
static lq_status check_blocks(const lq_tensor *t, lq_error *error)
{
    const lqi_geometry *g = &t->geometry;
    const uint8_t *codes = t->plane[LQ_PLANE_CODES];
    uint64_t rows = t->shape.outer * t->shape.rows;

    if (!g->format->check)
        return LQ_OK;
    for (uint64_t r = 0; r < rows; r++) {
        lqi_where row = { NULL, "codes", r * g->row_bytes };
        if (g->format->fit_row && !lqi_finite(lqi_load_float(LQ_F32, codes + row.offset, 0)))
            return lqi_fail(error, LQ_ERR_NONFINITE, &row, "the scale of row %llu is not finite",
                            (unsigned long long)r);
        for (uint64_t b = 0; b < g->row_groups; b++) {
            uint64_t at = r * g->row_bytes + g->format->row_bytes + b * g->format->block_bytes;
            lq_status status = g->format->check(codes + at);
            lqi_where where = { NULL, "codes", at };
            if (status)
                return lqi_fail(error, status, &where, "block %llu of row %llu is not legal: %s",
                                (unsigned long long)b, (unsigned long long)r,
                                lq_status_text(status));
        }
    }
    return LQ_OK;
}

static lq_status check_indices(const lq_tensor *t, lq_error *error)
{
    const uint8_t *index = t->plane[LQ_PLANE_GIDX];
    uint64_t n = t->geometry.bytes[LQ_PLANE_GIDX] / 4 * t->shape.outer;

    for (uint64_t i = 0; i < n; i++) {
        uint32_t group = lqi_load32(index + 4 * i);
        lqi_where where = { NULL, "gidx", 4 * i };
        if (group >= t->geometry.row_groups)
            return lqi_fail(error, LQ_ERR_CORRUPT, &where, "group %u of column %llu is not below %llu",
                            group, (unsigned long long)i,
                            (unsigned long long)t->geometry.row_groups);
    }
    return LQ_OK;
}

/* Everything decodes to finite numbers: covers scales of every level and float codes. */
static lq_status check_values(const lq_tensor *t, lq_error *error)
{
    float y[CHUNK];
    lq_rows rows;

    for (uint64_t o = 0; o < t->shape.outer; o++) {
        view(t, o, &rows);
        for (uint64_t i = 0; i < t->shape.rows * t->shape.cols; i += 1) {
            uint64_t row = i / t->shape.cols, col = i % t->shape.cols;
            size_t n = (size_t)lqi_min(CHUNK, t->shape.cols - col);
            lqi_decode_span(t->ctx, &t->geometry, &rows, row, col, n, y);
            for (size_t k = 0; k < n; k++)
                if (!lqi_finite(y[k]))
                    return lqi_fail(error, LQ_ERR_NONFINITE, NULL,
                                    "row %llu, column %llu decodes to NaN or infinity",
                                    (unsigned long long)row, (unsigned long long)(col + k));
            i += n - 1;
        }
    }
    return LQ_OK;
}

lq_status lq_tensor_check(const lq_tensor *tensor, lq_error *error)
{
    lq_status status;

    if (!tensor)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no tensor to check");
    status = tensor->geometry.format->storage == LQ_BLOCKED ? check_blocks(tensor, error)
                                                            : check_indices(tensor, error);
    return status ? status : check_values(tensor, error);
}
