/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/packed.c - compressed-tensors with several codes in a word
 *
 *   L.weight_packed      I32 [out, words]: integers of 2 to 8 bits, "pack-quantized"
 *   L.weight_scale       F16, BF16 or F32 [out, groups]
 *   L.weight_shape       I64 [2]
 *   L.weight_zero_point  I32, optional        L.weight_g_idx  I32 [in], optional
 *
 *   L.weight_packed      U8 [out, in / 2]: NVFP4 or MXFP4
 *   L.weight_scale       F8_E4M3 [out, in / 16], or U8 (E8M0) [out, in / 32]
 *   L.weight_global_scale  F32 [1], NVFP4: divides the scales
 *
 * The number of words tells the two ways of packing 3, 5, 6 and 7 bits apart; the dense one
 * is written, on request.
 */
#include <stdio.h>

#include "lib/file/dialect/packed.h"

enum { PACKED = LQI_PART_ARRAY, ZERO_POINT };

typedef struct model {
    uint64_t packed, scale, shape, zero, gidx, rows, cols, group;
    int64_t  bits, group_size;
    int32_t  form;
    int      permuted;
    size_t   base;
} model;

static const char *anchor_name(lqi_scan *scan, const model *m)
{
    return lqi_scan_entry(scan, m->packed)->name;
}

/* ------------------------------------------------------------------- config */

static lq_status read_config(lqi_scan *scan, model *m)
{
    json_t *groups = json_object_get(scan->quant, "config_groups"), *weights = NULL;
    void *it = json_object_iter(groups);
    lq_status st;

    if (it && json_object_size(groups) == 1)
        weights = json_object_get(json_object_iter_value(it), "weights");
    st = lqi_json_int(scan, m->packed, weights, "num_bits", &m->bits);
    if (!st && m->bits && (m->bits < 2 || m->bits > 8))
        return lqi_scan_fail(scan, m->packed, LQ_ERR_ARG, "the config says %lld bits, not 2 to "
                             "8", (long long)m->bits);
    return st ? st : lqi_json_int(scan, m->packed, weights, "group_size", &m->group_size);
}

/* ------------------------------------------------------------------ integers */

static lq_status read_shape(lqi_scan *scan, model *m)
{
    void *memory = NULL;
    lq_status st = lqi_scan_expect(scan, m->shape, LQ_I64, 2);

    if (!st)
        st = lqi_tensor_bytes(scan->cp->ctx, scan->file, m->shape, &memory, scan->error);
    if (st)
        return st;
    m->rows = lqi_load64(memory);
    m->cols = lqi_load64((const uint8_t *)memory + 8);
    lqi_free(lqi_ctx_allocator(scan->cp->ctx), memory);
    if (!m->rows || !m->cols || m->rows >= UINT32_MAX || m->cols >= UINT32_MAX)
        return lqi_scan_fail(scan, m->shape, LQ_ERR_SHAPE, "no shape of a matrix");
    return LQ_OK;
}

static lq_status find_form(lqi_scan *scan, model *m)
{
    const lqi_entry *e = lqi_scan_entry(scan, m->packed);

    if (e->n_dims != 2 || e->dims[0] != m->rows)
        return lqi_scan_fail(scan, m->packed, LQ_ERR_SHAPE, "rows are not those of its shape");
    if (!m->bits)       /* no config: the only width that fills the words */
        m->bits = (int64_t)(e->dims[1] * 32 / m->cols);
    if (m->bits < 2 || m->bits > 8)
        return lqi_scan_fail(scan, m->packed, LQ_ERR_SHAPE, "%llu words for %llu columns",
                             (unsigned long long)e->dims[1], (unsigned long long)m->cols);
    m->form = lq_compressed_detect((uint32_t)m->bits, m->cols, e->dims[1]);
    if (!m->form)
        return lqi_scan_fail(scan, m->packed, LQ_ERR_MISMATCH, "%llu words do not hold %llu "
                             "codes of %lld bits", (unsigned long long)e->dims[1],
                             (unsigned long long)m->cols, (long long)m->bits);
    return LQ_OK;
}

static lq_status find_group(lqi_scan *scan, model *m)
{
    const lqi_entry *s = lqi_scan_entry(scan, m->scale);
    uint64_t groups = s->n_dims == 2 ? s->dims[1] : 1;

    if (s->dtype != LQ_F32 && s->dtype != LQ_F16 && s->dtype != LQ_BF16)
        return lqi_scan_fail(scan, m->scale, LQ_ERR_CORRUPT, "scales are not floats");
    if (!groups || s->n_dims > 2 || s->dims[0] != m->rows || groups > m->cols)
        return lqi_scan_fail(scan, m->scale, LQ_ERR_SHAPE, "not scales of %llu rows",
                             (unsigned long long)m->rows);
    m->group = m->group_size > 0 ? (uint64_t)m->group_size : m->cols / groups;
    if (lqi_div_up(m->cols, m->group) != groups)
        return lqi_scan_fail(scan, m->scale, LQ_ERR_MISMATCH, "%llu scales a row for %llu "
                             "columns in groups of %llu", (unsigned long long)groups,
                             (unsigned long long)m->cols, (unsigned long long)m->group);
    return LQ_OK;
}

static lq_status check_zeros(lqi_scan *scan, const model *m, const lq_spec *spec)
{
    lq_compressed c = LQ_COMPRESSED_INIT;
    lq_status st;

    c.form = m->form;
    st = lq_compressed_bytes(spec, m->rows, m->cols, &c);
    if (st)
        return lqi_scan_fail(scan, m->packed, st, "%s", lq_status_text(st));
    st = lqi_scan_expect(scan, m->packed, LQ_I32, c.packed_bytes / 4);
    if (!st && m->zero != LQI_NONE)
        st = lqi_scan_expect(scan, m->zero, LQ_I32, c.zero_point_bytes / 4);
    return st;
}

static lq_status add(lqi_scan *scan, const model *m, uint32_t parts, lqi_weight **w)
{
    const char *name = lqi_scan_name(scan, anchor_name(scan, m), m->base, ".weight");
    lq_status st;

    if (!name)
        return lqi_scan_fail(scan, m->packed, LQ_ERR_NOMEM, "no memory for its name");
    st = lqi_scan_add(scan, &lqi_dialect_packed, name, strlen(name), parts, w);
    if (st)
        return st;
    (*w)->n_dims = 2;
    (*w)->dims[0] = m->rows;
    (*w)->dims[1] = m->cols;
    return LQ_OK;
}

static lq_status build(lqi_scan *scan, const model *m, const char *text)
{
    lqi_weight *w;
    lq_spec spec = LQ_SPEC_INIT;
    lq_status st = lq_spec_parse(text, &spec, NULL);

    if (st)
        return lqi_scan_fail(scan, m->packed, LQ_ERR_UNSUPPORTED, "stored as '%s', which this "
                             "build cannot hold", text);
    st = check_zeros(scan, m, &spec);
    if (!st)
        st = add(scan, m, 5, &w);
    if (st)
        return st;
    w->variant = (uint32_t)m->form;
    lqi_scan_part(scan, w, PACKED, m->packed);
    lqi_scan_part(scan, w, LQ_PLANE_SCALES, m->scale);
    lqi_scan_part(scan, w, LQI_PART_USED, m->shape);
    if (m->zero != LQI_NONE)
        lqi_scan_part(scan, w, ZERO_POINT, m->zero);
    if (m->gidx != LQI_NONE)
        lqi_scan_part(scan, w, m->permuted ? LQ_PLANE_GIDX : LQI_PART_USED, m->gidx);
    return lqi_scan_finish(scan, w, text);
}

static lq_status take_integers(lqi_scan *scan, model *m)
{
    char text[LQ_SPEC_TEXT], group[24] = "ch";
    lq_status st = lqi_scan_need(scan, m->packed, m->base, ".weight_shape", &m->shape);

    if (!st)
        st = lqi_scan_find(scan, anchor_name(scan, m), m->base, ".weight_zero_point", &m->zero);
    if (!st)
        st = lqi_scan_find(scan, anchor_name(scan, m), m->base, ".weight_g_idx", &m->gidx);
    if (!st)
        st = read_shape(scan, m);
    if (!st)
        st = find_form(scan, m);
    if (!st)
        st = find_group(scan, m);
    if (!st && m->gidx != LQI_NONE)
        st = lqi_scan_order(scan, m->gidx, m->cols, m->group, &m->permuted);
    if (st)
        return st;
    if (m->group != m->cols)
        snprintf(group, sizeof group, "g%llu", (unsigned long long)m->group);
    snprintf(text, sizeof text, "int%d:%s%s%s:%s", (int)m->bits, group,
             m->zero != LQI_NONE ? ":zp" : "", m->permuted ? ":gidx" : "",
             lq_dtype_name(lqi_scan_entry(scan, m->scale)->dtype));
    return build(scan, m, text);
}

/* -------------------------------------------------------------------- floats */

static lq_status take_floats(lqi_scan *scan, model *m)
{
    const lqi_entry *e = lqi_scan_entry(scan, m->packed), *s = lqi_scan_entry(scan, m->scale);
    uint64_t global = LQI_NONE;
    lqi_weight *w;
    lq_status st = lqi_scan_find(scan, e->name, m->base, ".weight_global_scale", &global);

    if (st)
        return st;
    if (e->n_dims != 2 || !lqi_mul(e->dims[1], 2, &m->cols))
        return lqi_scan_fail(scan, m->packed, LQ_ERR_SHAPE, "not a matrix");
    if (global != LQI_NONE ? s->dtype != LQ_F8_E4M3 : s->dtype != LQ_U8 && s->dtype != LQ_E8M0)
        return lqi_scan_fail(scan, m->scale, LQ_ERR_CORRUPT, "scales are not of this format");
    if (global != LQI_NONE)
        st = lqi_scan_expect(scan, global, LQ_F32, 1);
    m->rows = e->dims[0];
    if (!st)
        st = add(scan, m, 3, &w);
    if (st)
        return st;
    w->magnitudes = 1;
    lqi_scan_part(scan, w, LQ_PLANE_CODES, m->packed);
    lqi_scan_part(scan, w, LQ_PLANE_SCALES, m->scale);
    if (global != LQI_NONE)
        lqi_scan_part(scan, w, LQ_PLANE_OFFSET, global);
    return lqi_scan_finish(scan, w, global != LQI_NONE ? "nvfp4:gd" : "mxfp4");
}

static lq_status take(lqi_scan *scan, uint64_t packed, size_t base)
{
    model m = { .packed = packed, .base = base, .zero = LQI_NONE, .gidx = LQI_NONE };
    lq_dtype dtype = lqi_scan_entry(scan, packed)->dtype;
    lq_status st = lqi_scan_need(scan, packed, base, ".weight_scale", &m.scale);

    if (!st)
        st = read_config(scan, &m);
    if (st)
        return st;
    if (dtype == LQ_I32)
        return take_integers(scan, &m);
    if (dtype == LQ_U8)
        return take_floats(scan, &m);
    return lqi_scan_fail(scan, packed, LQ_ERR_CORRUPT, "packed codes are neither i32 nor u8");
}

static lq_status scan(lqi_scan *scan)
{
    return lqi_scan_each(scan, ".weight_packed", take);
}

/* ------------------------------------------------------------------- import */

static lq_status read_plane(const lq_checkpoint *cp, const lqi_weight *w, int plane, void *to,
                            lq_error *error)
{
    const lqi_part *part = lqi_weight_part(w, plane);

    return part ? lqi_part_read(cp, part, 0, to, part->bytes, error) : LQ_OK;
}

static lq_status import(const lq_checkpoint *cp, const lqi_weight *w,
                        void *const plane[LQ_PLANES], lq_error *error)
{
    const lq_allocator *a = lqi_ctx_allocator(cp->ctx);
    lqi_where where = { lq_file_path(cp->file), w->name, LQ_NO_OFFSET };
    const lqi_part *packed = lqi_weight_part(w, PACKED), *zero = lqi_weight_part(w, ZERO_POINT);
    lq_compressed c = LQ_COMPRESSED_INIT;
    lq_rows rows = LQ_ROWS_INIT;
    lq_status st = lqi_tensor_bytes(cp->ctx, cp->file, packed->tensor, &c.packed, error);

    if (!st && zero)
        st = lqi_tensor_bytes(cp->ctx, cp->file, zero->tensor, &c.zero_point, error);
    if (!st)
        st = read_plane(cp, w, LQ_PLANE_SCALES, plane[LQ_PLANE_SCALES], error);
    if (!st)
        st = read_plane(cp, w, LQ_PLANE_GIDX, plane[LQ_PLANE_GIDX], error);
    c.form = (int32_t)w->variant;
    c.packed_bytes = packed->bytes;
    c.zero_point_bytes = zero ? zero->bytes : 0;
    rows.spec = &w->spec;
    memcpy(rows.plane, plane, sizeof rows.plane);
    rows.rows = w->shape.rows;
    rows.cols = w->shape.cols;
    if (!st) {
        st = lq_compressed_import(&c, &rows);
        if (st)
            lqi_fail(error, st, &where, "%s", lq_status_text(st));
    }
    lqi_free(a, c.packed);
    lqi_free(a, c.zero_point);
    return st;
}

const lqi_dialect lqi_dialect_packed = {
    .name = "compressed-tensors",
    .containers = LQI_IN_SAFETENSORS,
    .asked = 1,
    .scan = scan,
    .import = import,
    .can_hold = lqi_packed_can_hold,
    .declare = lqi_packed_declare,
    .store = lqi_packed_store,
    .config = lqi_packed_config,
};
