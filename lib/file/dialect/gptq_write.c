/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/gptq_write.c - writing checkpoints of GPTQ
 *
 * Version 2 unless another is asked for: it can express every zero point, where version 1
 * refuses 0 (LQ_ERR_NUMERIC).  Symmetric specs get the zero point 2^(bits-1).  The arrays
 * are transposed, so the planes of a weight are held until all of it is there.
 */
#include "lib/file/dialect/gptq.h"

static unsigned bits_of(const lq_spec *spec)
{
    const lqi_format *f = lqi_format_by_id(spec->format);

    return f ? f->bits : 0;
}

static uint64_t group_of(const lqi_out *out)
{
    return out->spec.group_cols == LQ_GROUP_ALL ? out->shape.cols : out->spec.group_cols;
}

/* The layout knows which specs and shapes it can do; here is what names and configs want. */
int lqi_gptq_can_hold_planes(const lqi_out *out)
{
    lq_gptq gptq = LQ_GPTQ_INIT;

    return out->n_dims == 2 && lqi_scan_base(out->name, ".weight") && out->shape.rows &&
           out->shape.cols &&
           !lq_gptq_bytes(&out->spec, out->shape.rows, out->shape.cols, &gptq) &&
           out->shape.cols % group_of(out) == 0;
}

int lqi_gptq_can_hold(const lqi_out *out)
{
    unsigned bits = bits_of(&out->spec);

    return (bits <= 4 || bits == 8) && lqi_gptq_can_hold_planes(out);
}

lq_status lqi_gptq_declare(lqi_out *out)
{
    lqi_buffer base = { .allocator = lqi_ctx_allocator(out->ctx) };
    uint64_t rows = out->shape.rows, cols = out->shape.cols, bits = bits_of(&out->spec);
    uint64_t groups = cols / group_of(out);
    uint64_t qweight[2] = { cols * bits / 32, rows }, qzeros[2] = { groups, rows * bits / 32 };
    uint64_t scales[2] = { groups, rows };
    const char *name;
    lq_status st = LQ_OK;

    lqi_buffer_put(&base, out->name, lqi_scan_base(out->name, ".weight"));
    lqi_buffer_put(&base, "", 1);
    name = (const char *)base.data;
    if (base.failed)
        st = lqi_fail(out->error, LQ_ERR_NOMEM, NULL, "no memory for a name");
    if (!st)
        st = lqi_out_declare(out, name, ".qweight", LQ_I32, 2, qweight, &out->extra[0]);
    if (!st)
        st = lqi_out_declare(out, name, ".qzeros", LQ_I32, 2, qzeros, &out->extra[1]);
    if (!st)
        st = lqi_out_declare(out, name, ".scales", LQ_F16, 2, scales, &out->extra[2]);
    if (!st)
        st = lqi_out_declare(out, name, ".g_idx", LQ_I32, 1, &cols, &out->extra[3]);
    out->main = out->extra[0];
    lqi_buffer_free(&base);
    return st;
}

/* Planes as an int spec with zero points; symmetric ones get 2^(bits-1) everywhere. */
static lq_status full_rows(lqi_out *out, lq_spec *spec, lq_rows *rows, void **zeros)
{
    uint64_t bytes = 0;
    lq_status st;

    *spec = out->spec;
    rows->spec = spec;
    rows->rows = out->shape.rows;
    rows->cols = out->shape.cols;
    memcpy(rows->plane, out->held, sizeof rows->plane);
    if (spec->zeros == LQ_ZEROS_INT)
        return LQ_OK;
    spec->zeros = LQ_ZEROS_INT;
    st = lq_plane_bytes(spec, LQ_PLANE_ZEROS, &out->shape, &bytes);
    if (st)
        return st;
    *zeros = lqi_alloc(lqi_ctx_allocator(out->ctx), bytes);
    if (!*zeros)
        return LQ_ERR_NOMEM;
    memset(*zeros, bits_of(spec) == 8 ? 0 : 1 << (bits_of(spec) - 1), (size_t)bytes);
    rows->plane[LQ_PLANE_ZEROS] = *zeros;
    return LQ_OK;
}

static void fill_g_idx(const lqi_out *out, uint8_t *g_idx)
{
    uint64_t group = group_of(out);

    for (uint64_t i = 0; i < out->shape.cols; i++)
        lqi_store32(g_idx + 4 * i, (uint32_t)(i / group));
    if (out->spec.flags & LQ_SPEC_GIDX)
        memcpy(g_idx, out->held[LQ_PLANE_GIDX], (size_t)(4 * out->shape.cols));
}

static lq_status export(lqi_out *out, const lq_rows *rows, lq_gptq *gptq)
{
    const lq_allocator *a = lqi_ctx_allocator(out->ctx);
    lq_status st = lq_gptq_bytes(rows->spec, rows->rows, rows->cols, gptq);

    if (st)
        return st;
    gptq->version = out->dialect->variant;
    gptq->g_idx_bytes = 4 * rows->cols;
    gptq->qweight = lqi_alloc_zero(a, gptq->qweight_bytes);
    gptq->qzeros = lqi_alloc_zero(a, gptq->qzeros_bytes);
    gptq->scales = lqi_alloc_zero(a, gptq->scales_bytes);
    gptq->g_idx = lqi_alloc_zero(a, gptq->g_idx_bytes);
    if (!gptq->qweight || !gptq->qzeros || !gptq->scales || !gptq->g_idx)
        return LQ_ERR_NOMEM;
    st = lq_gptq_export(rows, gptq);
    fill_g_idx(out, gptq->g_idx);
    return st;
}

lq_status lqi_gptq_store(lqi_out *out)
{
    const lq_allocator *a = lqi_ctx_allocator(out->ctx);
    lqi_where where = { NULL, out->name, LQ_NO_OFFSET };
    lq_gptq gptq = LQ_GPTQ_INIT;
    lq_rows rows = LQ_ROWS_INIT;
    lq_spec spec = LQ_SPEC_INIT;
    void *zeros = NULL;
    lq_status st = full_rows(out, &spec, &rows, &zeros);

    if (!st)
        st = export(out, &rows, &gptq);
    if (st)
        lqi_fail(out->error, st, &where, "%s", lq_status_text(st));
    if (!st)
        st = lqi_out_write(out, out->extra[0], gptq.qweight, gptq.qweight_bytes);
    if (!st)
        st = lqi_out_write(out, out->extra[1], gptq.qzeros, gptq.qzeros_bytes);
    if (!st)
        st = lqi_out_write(out, out->extra[2], gptq.scales, gptq.scales_bytes);
    if (!st)
        st = lqi_out_write(out, out->extra[3], gptq.g_idx, gptq.g_idx_bytes);
    lqi_free(a, gptq.qweight);
    lqi_free(a, gptq.qzeros);
    lqi_free(a, gptq.scales);
    lqi_free(a, gptq.g_idx);
    lqi_free(a, zeros);
    return st;
}

/* ------------------------------------------------------------------- config */

/* GPTQModel's "dynamic": a leading "-:" and a pattern name a module left alone. */
static json_t *exceptions(const lqi_plan *plan)
{
    json_t *dynamic = json_object(), *kept = lqi_json_kept(plan), *name;
    size_t i;

    json_array_foreach(kept, i, name) {
        json_t *pattern = json_sprintf("-:^%s$", json_string_value(name));
        if (strcmp(json_string_value(name), "lm_head") && pattern)
            json_object_set_new(dynamic, json_string_value(pattern), json_object());
        json_decref(pattern);
    }
    json_decref(kept);
    return dynamic;
}

static int alike(const lq_spec *a, const lq_spec *b)
{
    return a->format == b->format && a->group_cols == b->group_cols && a->zeros == b->zeros;
}

static json_t *config(const lqi_plan *plan, const char *format)
{
    const lqi_out *first = lqi_first_quantized(plan);
    int permuted = 0, head = 0;
    uint32_t group = first->spec.group_cols;
    json_t *dynamic, *q;

    for (uint64_t i = 0; i < plan->count; i++) {
        const lqi_job *job = &plan->jobs[i];
        if (!lqi_job_quantized(job))
            continue;
        if (!alike(&first->spec, &job->out.spec))
            return NULL;
        permuted |= (job->out.spec.flags & LQ_SPEC_GIDX) != 0;
        head |= lqi_name_is_output(job->out.name);
    }
    q = json_pack("{s:s, s:i, s:I, s:b, s:b, s:b, s:s, s:s, s:{s:[s]}}",
                  "quant_method", "gptq", "bits", (int)bits_of(&first->spec),
                  "group_size", (json_int_t)(group == LQ_GROUP_ALL ? -1 : (int64_t)group),
                  "desc_act", permuted, "sym", first->spec.zeros == LQ_ZEROS_NONE,
                  "lm_head", head, "checkpoint_format", format, "pack_dtype", "int32",
                  "meta", "quantizer", "libquant");
    dynamic = exceptions(plan);
    if (json_object_size(dynamic))
        json_object_set(q, "dynamic", dynamic);
    json_decref(dynamic);
    return q;
}

json_t *lqi_gptq_config(const lqi_plan *plan)
{
    return config(plan, "gptq_v2");
}

json_t *lqi_gptq_config_v1(const lqi_plan *plan)
{
    return config(plan, "gptq");
}

json_t *lqi_gptq_config_planes(const lqi_plan *plan)
{
    return config(plan, "gptq_p");
}
