/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/gptq.c - checkpoints of GPTQ, versions 1 and 2
 *
 *   L.qweight   I32 [in * bits / 32, out]       L.scales  F16 [groups, out]
 *   L.qzeros    I32 [groups, out * bits / 32]   L.g_idx   I32 [in]
 *
 * become the weight L.weight of [out, in].  The bits follow from qzeros and scales and
 * must agree with the config.  The version is the config's 'checkpoint_format' ("gptq"
 * when absent: what AutoGPTQ wrote); symmetric models are looked at, because files
 * labelled 1 with zero points of version 2 exist.  Without any config only symmetric
 * zero points tell the version.
 *
 * Written: version 2, which can express every zero point.  Symmetric specs get the zero
 * point 2^(bits-1).
 */
#include <stdio.h>

#include "lib/file/dialect/json.h"

enum { QWEIGHT = LQI_PART_ARRAY, QZEROS, SCALES, G_IDX };

typedef struct model {
    uint64_t anchor, qzeros, scales, g_idx;     /* raw tensors; g_idx may be missing */
    size_t   base;
    int64_t  bits, group_size;                  /* of the config; 0: not said */
    int      sym, desc_act;                     /* -1: not said */
    int32_t  version;                           /* 0: not said */
    uint64_t in, out, groups, group;
    int      permuted, symmetric;               /* symmetric: zero points tell nothing */
} model;

/* ------------------------------------------------------------------- config */

static lq_status read_version(lqi_scan *scan, model *m)
{
    const char *format = lqi_json_text(scan->quant, "checkpoint_format");

    if (!format)
        format = lqi_json_text(scan->quant, "format");
    m->version = LQ_GPTQ_V1;
    if (format && !strcmp(format, "gptq_v2"))
        m->version = LQ_GPTQ_V2;
    else if (format && strcmp(format, "gptq"))
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_UNSUPPORTED,
                             "checkpoint format '%s' is not known", format);
    return LQ_OK;
}

static lq_status read_config(lqi_scan *scan, model *m)
{
    lq_status st;

    if (!scan->quant)
        return LQ_OK;
    if (*scan->method && strcmp(scan->method, "gptq"))
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_UNSUPPORTED,
                             "packed as '%s', which is not known", scan->method);
    st = lqi_json_int(scan, m->anchor, scan->quant, "bits", &m->bits);
    if (!st && m->bits != 0 && m->bits != 2 && m->bits != 3 && m->bits != 4 && m->bits != 8)
        st = LQ_ERR_ARG;
    if (!st && json_object_get(scan->quant, "bits") && !m->bits)
        st = LQ_ERR_ARG;
    if (st == LQ_ERR_ARG)
        return lqi_scan_fail(scan, m->anchor, st, "the config's 'bits' %lld is not 2, 3, 4 "
                             "or 8", (long long)m->bits);
    m->group_size = -2;
    if (!st)
        st = lqi_json_int(scan, m->anchor, scan->quant, "group_size", &m->group_size);
    if (!st && json_object_get(scan->quant, "group_size") &&
        (m->group_size == 0 || m->group_size < -1))
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_ARG,
                             "the config's 'group_size' %lld is neither -1 nor positive",
                             (long long)m->group_size);
    if (m->group_size == -2)
        m->group_size = 0;
    if (!st)
        st = lqi_json_bool(scan, m->anchor, scan->quant, "sym", &m->sym);
    if (!st)
        st = lqi_json_bool(scan, m->anchor, scan->quant, "desc_act", &m->desc_act);
    return st ? st : read_version(scan, m);
}

/* ----------------------------------------------------------------- geometry */

static lq_status matrix(lqi_scan *scan, uint64_t index, lq_dtype dtype)
{
    const lqi_entry *e = lqi_scan_entry(scan, index);
    const char *have = lq_dtype_name(e->dtype);

    if (e->dtype != dtype)
        return lqi_scan_fail(scan, index, LQ_ERR_CORRUPT, "element type is %s, not %s",
                             have ? have : "a block format", lq_dtype_name(dtype));
    if (e->n_dims != 2)
        return lqi_scan_fail(scan, index, LQ_ERR_SHAPE, "not a matrix");
    return LQ_OK;
}

static lq_status find_bits(lqi_scan *scan, model *m)
{
    const lqi_entry *z = lqi_scan_entry(scan, m->qzeros), *s = lqi_scan_entry(scan, m->scales);
    uint64_t words, bits = 0;

    m->groups = s->dims[0];
    m->out = s->dims[1];
    if (z->dims[0] != m->groups)
        return lqi_scan_fail(scan, m->qzeros, LQ_ERR_SHAPE,
                             "%llu groups, but the scales have %llu",
                             (unsigned long long)z->dims[0], (unsigned long long)m->groups);
    if (!m->out || !m->groups || !lqi_mul(z->dims[1], 32, &words))
        return lqi_scan_fail(scan, m->scales, LQ_ERR_SHAPE, "empty");
    bits = words / m->out;
    if (words % m->out || bits < 2 || bits > 8)
        return lqi_scan_fail(scan, m->qzeros, LQ_ERR_SHAPE,
                             "%llu words a group do not hold %llu zero points",
                             (unsigned long long)z->dims[1], (unsigned long long)m->out);
    if (m->bits && (uint64_t)m->bits != bits)
        return lqi_scan_fail(scan, m->qzeros, LQ_ERR_MISMATCH,
                             "the config says %lld bits, the tensors have %llu",
                             (long long)m->bits, (unsigned long long)bits);
    m->bits = (int64_t)bits;
    return LQ_OK;
}

static lq_status find_group(lqi_scan *scan, model *m)
{
    uint64_t group = m->in / m->groups;

    if (m->group_size > 0)
        group = (uint64_t)m->group_size;
    if (m->group_size < 0)
        group = m->in;
    if (!group || m->in % group)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_SHAPE,
                             "groups of %llu do not divide %llu columns",
                             (unsigned long long)group, (unsigned long long)m->in);
    if (m->in / group != m->groups)
        return lqi_scan_fail(scan, m->scales, m->group_size ? LQ_ERR_MISMATCH : LQ_ERR_SHAPE,
                             "the config says groups of %lld columns (%llu in a row), the "
                             "tensors have %llu", (long long)m->group_size,
                             (unsigned long long)(m->in / group),
                             (unsigned long long)m->groups);
    m->group = group;
    return LQ_OK;
}

static lq_status find_shape(lqi_scan *scan, model *m)
{
    const lqi_entry *q = lqi_scan_entry(scan, m->anchor);
    uint64_t bits;
    lq_status st = matrix(scan, m->anchor, LQ_I32);

    if (!st)
        st = matrix(scan, m->qzeros, LQ_I32);
    if (!st)
        st = matrix(scan, m->scales, LQ_F16);
    if (!st)
        st = find_bits(scan, m);
    if (st)
        return st;
    if (q->dims[1] != m->out)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_SHAPE,
                             "%llu rows, but the scales have %llu",
                             (unsigned long long)q->dims[1], (unsigned long long)m->out);
    if (!lqi_mul(q->dims[0], 32, &bits) || bits % (uint64_t)m->bits || !bits)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_SHAPE,
                             "its words do not hold whole codes");
    m->in = bits / (uint64_t)m->bits;
    if (m->in >= UINT32_MAX || m->in % 32 || m->out % 32)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_SHAPE,
                             "rows and columns are not multiples of 32");
    return find_group(scan, m);
}

/* -------------------------------------------------------- contents that decide */

static lq_status check_g_idx(lqi_scan *scan, model *m)
{
    void *memory = NULL;
    uint64_t bad = LQI_NONE;
    lq_status st = lqi_scan_expect(scan, m->g_idx, LQ_I32, m->in);

    if (!st)
        st = lqi_tensor_bytes(scan->cp->ctx, scan->file, m->g_idx, &memory, scan->error);
    if (st)
        return st;
    for (uint64_t i = 0; i < m->in && bad == LQI_NONE; i++) {
        uint32_t g = lqi_load32((const uint8_t *)memory + 4 * i);
        if (g >= m->groups)
            bad = i;
        m->permuted |= g != i / m->group;
    }
    lqi_free(lqi_ctx_allocator(scan->cp->ctx), memory);
    if (bad != LQI_NONE)
        return lqi_scan_fail(scan, m->g_idx, LQ_ERR_CORRUPT,
                             "column %llu belongs to no group", (unsigned long long)bad);
    if (m->permuted && !m->desc_act)
        return lqi_scan_fail(scan, m->g_idx, LQ_ERR_MISMATCH,
                             "the config says 'desc_act' false, the tensor is not in order");
    return LQ_OK;
}

/* Look at the zero points where they can tell the version. */
static lq_status find_version(lqi_scan *scan, model *m)
{
    const lqi_entry *e = lqi_scan_entry(scan, m->qzeros);
    void *memory = NULL;
    int32_t seen;
    lq_status st;

    if (m->version && m->sym != 1)
        return LQ_OK;
    st = lqi_tensor_bytes(scan->cp->ctx, scan->file, m->qzeros, &memory, scan->error);
    if (st)
        return st;
    seen = lq_gptq_detect(memory, e->bytes, (uint32_t)m->bits);
    lqi_free(lqi_ctx_allocator(scan->cp->ctx), memory);
    if (seen)
        m->version = seen;
    m->symmetric = seen && m->sym == 1;
    if (!m->version)
        return lqi_scan_fail(scan, m->qzeros, LQ_ERR_UNSUPPORTED,
                             "no config, and the zero points do not tell version 1 from 2");
    return LQ_OK;
}

/* --------------------------------------------------------------------- scan */

static lq_status find_companions(lqi_scan *scan, model *m)
{
    const char *name = lqi_scan_entry(scan, m->anchor)->name;
    lq_status st = lqi_scan_need(scan, m->anchor, m->base, ".qzeros", &m->qzeros);

    if (!st)
        st = lqi_scan_need(scan, m->anchor, m->base, ".scales", &m->scales);
    return st ? st : lqi_scan_find(scan, name, m->base, ".g_idx", &m->g_idx);
}

static lq_status build(lqi_scan *scan, const model *m)
{
    const char *name = lqi_scan_name(scan, lqi_scan_entry(scan, m->anchor)->name, m->base,
                                     ".weight");
    char spec[LQ_SPEC_TEXT], group[24] = "ch";
    lqi_weight *w;
    lq_status st;

    if (!name)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_NOMEM, "no memory for its name");
    st = lqi_scan_add(scan, &lqi_dialect_gptq, name, strlen(name), 4, &w);
    if (st)
        return st;
    lqi_scan_part(scan, w, QWEIGHT, m->anchor);
    lqi_scan_part(scan, w, QZEROS, m->qzeros);
    lqi_scan_part(scan, w, SCALES, m->scales);
    if (m->g_idx != LQI_NONE)
        lqi_scan_part(scan, w, m->permuted ? G_IDX : LQI_PART_USED, m->g_idx);
    w->variant = (uint32_t)m->version;
    w->dtype = LQ_F16;
    w->n_dims = 2;
    w->dims[0] = m->out;
    w->dims[1] = m->in;
    if (m->group != m->in)
        snprintf(group, sizeof group, "g%u", (unsigned)m->group);
    snprintf(spec, sizeof spec, "int%u:%s%s%s:f16", (unsigned)m->bits, group,
             m->symmetric ? "" : ":zp", m->permuted ? ":gidx" : "");
    return lqi_scan_finish(scan, w, spec);
}

static lq_status take(lqi_scan *scan, uint64_t anchor, size_t base)
{
    model m = { .anchor = anchor, .base = base, .sym = -1, .desc_act = -1 };
    lq_status st = read_config(scan, &m);

    if (!st)
        st = find_companions(scan, &m);
    if (!st)
        st = find_shape(scan, &m);
    if (!st && m.g_idx != LQI_NONE)
        st = check_g_idx(scan, &m);
    if (!st)
        st = find_version(scan, &m);
    return st ? st : build(scan, &m);
}

static lq_status scan(lqi_scan *scan)
{
    return lqi_scan_each(scan, ".qweight", take);
}

static lq_status left(lqi_scan *scan, uint64_t index)
{
    if (!lqi_scan_base(lqi_scan_entry(scan, index)->name, ".qzeros"))
        return LQ_OK;
    return lqi_scan_fail(scan, index, LQ_ERR_NOTFOUND, "its '.qweight' is missing");
}

/* ------------------------------------------------------------------- import */

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

static lq_status import(const lq_checkpoint *cp, const lqi_weight *w,
                        void *const plane[LQ_PLANES], lq_error *error)
{
    const lq_allocator *a = lqi_ctx_allocator(cp->ctx);
    lq_gptq gptq = LQ_GPTQ_INIT;
    lq_status st;

    gptq.version = (int32_t)w->variant;
    st = read_array(cp, w, QWEIGHT, &gptq.qweight, &gptq.qweight_bytes, error);
    if (!st)
        st = read_array(cp, w, QZEROS, &gptq.qzeros, &gptq.qzeros_bytes, error);
    if (!st)
        st = read_array(cp, w, SCALES, &gptq.scales, &gptq.scales_bytes, error);
    if (!st)
        st = read_array(cp, w, G_IDX, &gptq.g_idx, &gptq.g_idx_bytes, error);
    if (!st)
        st = import_arrays(cp, w, &gptq, plane, error);
    lqi_free(a, gptq.qweight);
    lqi_free(a, gptq.qzeros);
    lqi_free(a, gptq.scales);
    lqi_free(a, gptq.g_idx);
    return st;
}

/* ------------------------------------------------------------------ writing */

static unsigned bits_of(const lq_spec *spec)
{
    const lqi_format *f = lqi_format_by_id(spec->format);

    return f ? f->bits : 0;
}

static uint64_t group_of(const lqi_out *out)
{
    return out->spec.group_cols == LQ_GROUP_ALL ? out->shape.cols : out->spec.group_cols;
}

/* The 4-bit integers only: 8-bit ones have plainer dialects. */
static int can_hold(const lqi_out *out)
{
    const lq_spec *s = &out->spec;

    return s->format == LQ_FORMAT_INT4 && out->n_dims == 2 && out->shape.outer == 1 &&
           lqi_scan_base(out->name, ".weight") && s->scale_type == LQ_F16 &&
           !s->scale2_block && s->group_rows == 1 && !(s->flags & LQ_SPEC_FLAT) &&
           s->zeros != LQ_ZEROS_FLOAT && out->shape.rows && out->shape.cols &&
           out->shape.rows % 32 == 0 && out->shape.cols % 32 == 0 &&
           out->shape.cols % group_of(out) == 0;
}

static lq_status declare(lqi_out *out)
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
    memset(*zeros, 1 << (bits_of(spec) - 1), (size_t)bytes);
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
    gptq->version = LQ_GPTQ_V2;
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

static lq_status store(lqi_out *out)
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

static json_t *config(const lqi_plan *plan)
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
                  "lm_head", head, "checkpoint_format", "gptq_v2", "pack_dtype", "int32",
                  "meta", "quantizer", "libquant");
    dynamic = exceptions(plan);
    if (json_object_size(dynamic))
        json_object_set(q, "dynamic", dynamic);
    json_decref(dynamic);
    return q;
}

const lqi_dialect lqi_dialect_gptq = {
    .name = "gptq",
    .containers = LQI_IN_SAFETENSORS,
    .scan = scan,
    .left = left,
    .import = import,
    .can_hold = can_hold,
    .declare = declare,
    .store = store,
    .config = config,
};
