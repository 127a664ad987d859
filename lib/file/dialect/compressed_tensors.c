/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/compressed_tensors.c - plain 8-bit numbers beside their scales
 *
 *   L.weight             I8, F8_E4M3 or F8_E5M2 [out, in]
 *   L.weight_scale       F32, F16 or BF16: [1] or a scalar (per tensor), [out] or [out, 1]
 *                        (per channel), [out, in / N] (groups), [out / R, in / C] (blocks)
 *   L.weight_zero_point  I8, as many as scales, optional; others than I8 when all zero
 *   L.weight_g_idx       I32 [in], optional: the group of each column
 *
 * the formats "int-quantized" and "float-quantized".  MXFP8 has U8 scales (E8M0) of 32
 * columns.  What packs several codes into a word is in packed.c, writing in
 * compressed_tensors_write.c.
 */
#include <stdio.h>

#include "lib/file/dialect/compressed_tensors.h"

typedef struct model {
    uint64_t    codes, scale, zero, gidx;   /* the last two may be missing */
    size_t      base;
    uint64_t    rows, cols;
    uint64_t    group_cols;                 /* of groups in a row, else 0 */
    const char *number;                     /* "int8", "fp8_e4m3" */
    char        group[48];
    int         asymmetric, permuted;
} model;

/* ------------------------------------------------------------------- config */

/* 'weights' of the only config group, or NULL. */
static json_t *only_group(const lqi_scan *scan)
{
    json_t *groups = json_object_get(scan->quant, "config_groups");
    void *it = json_object_iter(groups);

    if (!it || json_object_size(groups) != 1)
        return NULL;
    return json_object_get(json_object_iter_value(it), "weights");
}

static int format_known(const char *format)
{
    static const char *const known[] = {
        "int-quantized", "float-quantized", "naive-quantized", "mxfp8-quantized", "dense"
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(format, known[i]))
            return 1;
    return 0;
}

static lq_status check_config(lqi_scan *scan, const model *m)
{
    const char *format = lqi_json_text(scan->quant, "format"), *type;
    json_t *weights = only_group(scan);
    int64_t bits = 8;
    int is_float = m->number[0] == 'f';
    lq_status st;

    if (strcmp(scan->method, "compressed-tensors"))
        return LQ_OK;
    if (format && !format_known(format))
        return lqi_scan_fail(scan, m->codes, LQ_ERR_UNSUPPORTED,
                             "compressed-tensors format '%s' is not known", format);
    st = lqi_json_int(scan, m->codes, weights, "num_bits", &bits);
    if (!st && bits != 8)
        return lqi_scan_fail(scan, m->codes, LQ_ERR_MISMATCH,
                             "the config says %lld bits, the tensor has 8", (long long)bits);
    type = lqi_json_text(weights, "type");
    if (!st && type && strcmp(type, is_float ? "float" : "int"))
        return lqi_scan_fail(scan, m->codes, LQ_ERR_MISMATCH,
                             "the config says type '%s', the tensor has %s", type, m->number);
    return st;
}

/* ----------------------------------------------------------------- geometry */

static const char *number_of(lq_dtype dtype)
{
    return dtype == LQ_I8 ? "int8" : dtype == LQ_F8_E4M3 ? "fp8_e4m3"
         : dtype == LQ_F8_E5M2 ? "fp8_e5m2" : NULL;
}

/* Groups of columns: as the config says, else the row in equal parts. */
static lq_status group_cols(lqi_scan *scan, model *m, uint64_t groups)
{
    int64_t said = 0;
    uint64_t size = groups ? m->cols / groups : 0;
    lq_status st = lqi_json_int(scan, m->scale, only_group(scan), "group_size", &said);

    if (st)
        return st;
    if (said > 0)
        size = (uint64_t)said;
    if (!size || size >= UINT32_MAX || lqi_div_up(m->cols, size) != groups)
        return lqi_scan_fail(scan, m->scale, said > 0 ? LQ_ERR_MISMATCH : LQ_ERR_SHAPE,
                             "%llu scales a row for %llu columns in groups of %llu",
                             (unsigned long long)groups, (unsigned long long)m->cols,
                             (unsigned long long)size);
    snprintf(m->group, sizeof m->group, "g%llu", (unsigned long long)size);
    m->group_cols = size;
    return LQ_OK;
}

static lq_status block_of(lqi_scan *scan, model *m, const lqi_entry *s)
{
    json_t *block = json_object_get(only_group(scan), "block_structure");
    json_int_t r = json_integer_value(json_array_get(block, 0));
    json_int_t c = json_integer_value(json_array_get(block, 1));

    if (json_array_size(block) != 2)
        r = c = 128;
    if (r < 1 || c < 1 || r >= UINT32_MAX || c >= UINT32_MAX)
        return lqi_scan_fail(scan, m->scale, LQ_ERR_CORRUPT, "illegal 'block_structure'");
    if (s->dims[0] != lqi_div_up(m->rows, (uint64_t)r) ||
        s->dims[1] != lqi_div_up(m->cols, (uint64_t)c))
        return lqi_scan_fail(scan, m->scale, LQ_ERR_SHAPE,
                             "scales do not fit blocks of %lld x %lld", (long long)r,
                             (long long)c);
    snprintf(m->group, sizeof m->group, "%lldx%lld", (long long)r, (long long)c);
    return LQ_OK;
}

/* Powers of two beside E4M3 numbers. */
static int is_mx(const lqi_scan *scan, const model *m)
{
    lq_dtype dtype = lqi_scan_entry(scan, m->scale)->dtype;

    return lqi_scan_entry(scan, m->codes)->dtype == LQ_F8_E4M3 &&
           (dtype == LQ_U8 || dtype == LQ_E8M0);
}

static lq_status mx_group(lqi_scan *scan, model *m, const lqi_entry *s)
{
    if (s->n_dims != 2 || s->dims[0] != m->rows || s->dims[1] != lqi_div_up(m->cols, 32))
        return lqi_scan_fail(scan, m->scale, LQ_ERR_SHAPE, "not a scale for every 32 columns");
    snprintf(m->group, sizeof m->group, "g32");
    return LQ_OK;
}

static lq_status find_group(lqi_scan *scan, model *m)
{
    const lqi_entry *s = lqi_scan_entry(scan, m->scale);
    uint64_t n = s->n_dims ? s->dims[0] : 1, groups = s->n_dims == 2 ? s->dims[1] : 1;

    if (is_mx(scan, m)) {
        m->number = "mxfp8_e4m3";
        return mx_group(scan, m, s);
    }
    if (s->dtype != LQ_F32 && s->dtype != LQ_F16 && s->dtype != LQ_BF16)
        return lqi_scan_fail(scan, m->scale, LQ_ERR_CORRUPT, "scales are not floats");
    if (s->n_dims > 2)
        return lqi_scan_fail(scan, m->scale, LQ_ERR_SHAPE, "more than two dimensions");
    if (s->n_dims < 2 && n == 1)
        snprintf(m->group, sizeof m->group, "t");
    else if (n == m->rows && groups == 1)
        snprintf(m->group, sizeof m->group, "ch");
    else if (n == 1 && groups == 1)
        snprintf(m->group, sizeof m->group, "t");
    else if (n == m->rows)
        return group_cols(scan, m, groups);
    else if (s->n_dims == 2)
        return block_of(scan, m, s);
    else
        return lqi_scan_fail(scan, m->scale, LQ_ERR_SHAPE, "%llu scales for %llu rows",
                             (unsigned long long)n, (unsigned long long)m->rows);
    return LQ_OK;
}

/* --------------------------------------------------------------------- scan */

/* Zero points are kept where the config says so, or one of them is not 0. */
static lq_status find_zeros(lqi_scan *scan, model *m)
{
    const lqi_entry *e;
    const uint8_t *p;
    void *memory = NULL;
    int symmetric = 1, zero = 1;
    lq_status st = lqi_scan_find(scan, lqi_scan_entry(scan, m->scale)->name, m->base,
                                 ".weight_zero_point", &m->zero);

    if (!st)
        st = lqi_json_bool(scan, m->codes, only_group(scan), "symmetric", &symmetric);
    if (st || m->zero == LQI_NONE)
        return st;
    e = lqi_scan_entry(scan, m->zero);
    st = lqi_tensor_bytes(scan->cp->ctx, scan->file, m->zero, &memory, scan->error);
    if (st)
        return st;
    p = memory;
    for (uint64_t i = 0; i < e->bytes; i++)
        zero &= !p[i];
    lqi_free(lqi_ctx_allocator(scan->cp->ctx), memory);
    m->asymmetric = m->number[0] == 'i' && e->dtype == LQ_I8 && (!zero || !symmetric);
    if (!zero && !m->asymmetric)
        return lqi_scan_fail(scan, m->zero, LQ_ERR_UNSUPPORTED,
                             "zero points other than 0 are known for int8 only");
    return LQ_OK;
}

static lq_status find_order(lqi_scan *scan, model *m)
{
    lq_status st = lqi_scan_find(scan, lqi_scan_entry(scan, m->scale)->name, m->base,
                                 ".weight_g_idx", &m->gidx);

    if (st || m->gidx == LQI_NONE)
        return st;
    st = lqi_scan_order(scan, m->gidx, m->cols, m->group_cols ? m->group_cols : m->cols,
                        &m->permuted);
    if (!st && m->permuted && m->number[0] != 'i')
        return lqi_scan_fail(scan, m->gidx, LQ_ERR_UNSUPPORTED,
                             "an order of columns is known for int8 only");
    return st;
}

static lq_status build(lqi_scan *scan, const model *m)
{
    const lqi_entry *e = lqi_scan_entry(scan, m->codes), *s = lqi_scan_entry(scan, m->scale);
    char spec[LQ_SPEC_TEXT];
    lqi_weight *w;
    lq_status st = lqi_scan_add(scan, &lqi_dialect_compressed_tensors, e->name,
                                strlen(e->name), 4, &w);

    if (st)
        return st;
    lqi_scan_part(scan, w, LQ_PLANE_CODES, m->codes);
    lqi_scan_part(scan, w, LQ_PLANE_SCALES, m->scale);
    if (m->zero != LQI_NONE)
        lqi_scan_part(scan, w, m->asymmetric ? LQ_PLANE_ZEROS : LQI_PART_USED, m->zero);
    if (m->gidx != LQI_NONE)
        lqi_scan_part(scan, w, m->permuted ? LQ_PLANE_GIDX : LQI_PART_USED, m->gidx);
    w->magnitudes = m->number[0] != 'i';
    w->n_dims = 2;
    memcpy(w->dims, e->dims, sizeof w->dims);
    snprintf(spec, sizeof spec, "%s:%s%s%s:%s", m->number, m->group,
             m->asymmetric ? ":zp" : "", m->permuted ? ":gidx" : "",
             s->dtype == LQ_U8 ? "e8m0" : lq_dtype_name(s->dtype));
    return lqi_scan_finish(scan, w, spec);
}

static lq_status take(lqi_scan *scan, uint64_t scale, size_t base)
{
    model m = { .scale = scale, .base = base };
    const lqi_entry *e;
    uint64_t other = LQI_NONE;
    lq_status st = lqi_scan_find(scan, lqi_scan_entry(scan, scale)->name, base,
                                 ".weight_packed", &other);

    if (!st && other != LQI_NONE)
        return lqi_scan_fail(scan, other, LQ_ERR_UNSUPPORTED, "packed codes are not known");
    if (!st)
        st = lqi_scan_need(scan, scale, base, ".weight", &m.codes);
    if (st)
        return st;
    e = lqi_scan_entry(scan, m.codes);
    m.number = number_of(e->dtype);
    if (!m.number)
        return lqi_scan_fail(scan, m.codes, LQ_ERR_UNSUPPORTED,
                             "has a 'weight_scale', but is neither int8 nor fp8");
    if (e->n_dims != 2)
        return lqi_scan_fail(scan, m.codes, LQ_ERR_SHAPE, "not a matrix");
    m.rows = e->dims[0];
    m.cols = e->dims[1];
    st = check_config(scan, &m);
    if (!st)
        st = find_group(scan, &m);
    if (!st)
        st = find_zeros(scan, &m);
    if (!st)
        st = find_order(scan, &m);
    return st ? st : build(scan, &m);
}

static lq_status scan(lqi_scan *scan)
{
    return lqi_scan_each(scan, ".weight_scale", take);
}

/* A quantized number without its scale, where the config says there are such. */
static lq_status left(lqi_scan *scan, uint64_t index)
{
    const lqi_entry *e = lqi_scan_entry(scan, index);

    if (strcmp(scan->method, "compressed-tensors") && strcmp(scan->method, "fp8") &&
        strcmp(scan->method, "modelopt"))
        return LQ_OK;
    if (!number_of(e->dtype) || !lqi_scan_base(e->name, ".weight"))
        return LQ_OK;
    return lqi_scan_fail(scan, index, LQ_ERR_NOTFOUND, "its scale is missing");
}

const lqi_dialect lqi_dialect_compressed_tensors = {
    .name = "compressed-tensors",
    .containers = LQI_IN_SAFETENSORS,
    .scan = scan,
    .left = left,
    .can_hold = lqi_compressed_can_hold,
    .declare = lqi_compressed_declare,
    .config = lqi_compressed_config,
};
