/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/awq.c - checkpoints of AWQ, 4 bits
 *
 *   L.qweight  L.qzeros (llm-awq: L.scaled_zeros)  L.scales
 *
 * become the weight L.weight of [out, in].  The config's 'version' says how they are laid
 * out (libquant/layout.h), "gemm" without; 'group_size' (q_group_size) how many columns
 * share a scale.  All three layouts are written, on request; FAST as "gemv_fast".
 */
#include <ctype.h>
#include <stdio.h>

#include "lib/file/dialect/awq.h"

enum { QWEIGHT = LQI_PART_ARRAY, QZEROS, SCALES };

typedef struct model {
    uint64_t anchor, qzeros, scales, rows, cols, group;
    int64_t  group_size;
    int32_t  version;
    size_t   base;
    lq_spec  spec;
} model;

/* ------------------------------------------------------------------- config */

static lq_status read_version(lqi_scan *scan, model *m)
{
    static const struct { const char *name; int32_t version; } known[] = {
        { "gemm", LQ_AWQ_GEMM }, { "gemv", LQ_AWQ_GEMV }, { "gemv_fast", LQ_AWQ_FAST },
        { "llm-awq", LQ_AWQ_FAST },
    };
    const char *version = lqi_json_text(scan->quant, "version");
    char lower[24] = "gemm";

    if (version)
        snprintf(lower, sizeof lower, "%s", version);
    for (char *p = lower; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(lower, known[i].name)) {
            m->version = known[i].version;
            return LQ_OK;
        }
    return lqi_scan_fail(scan, m->anchor, LQ_ERR_UNSUPPORTED, "AWQ version '%s' is not known",
                         lower);
}

static lq_status read_config(lqi_scan *scan, model *m)
{
    int64_t bits = 4;
    lq_status st = lqi_json_int(scan, m->anchor, scan->quant, "w_bit", &bits);

    m->group_size = 128;
    if (!st)
        st = lqi_json_int(scan, m->anchor, scan->quant, "bits", &bits);
    if (!st && bits != 4)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_ARG, "the config says %lld bits, AWQ has 4",
                             (long long)bits);
    if (!st)
        st = lqi_json_int(scan, m->anchor, scan->quant, "q_group_size", &m->group_size);
    if (!st)
        st = lqi_json_int(scan, m->anchor, scan->quant, "group_size", &m->group_size);
    if (!st && (m->group_size == 0 || m->group_size < -1 || m->group_size >= UINT32_MAX))
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_ARG, "the config's 'group_size' %lld is "
                             "neither -1 nor positive", (long long)m->group_size);
    return st ? st : read_version(scan, m);
}

/* ----------------------------------------------------------------- geometry */

static lq_status find_companions(lqi_scan *scan, model *m)
{
    const char *name = lqi_scan_entry(scan, m->anchor)->name;
    lq_status st = lqi_scan_find(scan, name, m->base, ".scaled_zeros", &m->qzeros);

    if (!st && m->qzeros == LQI_NONE)
        st = lqi_scan_need(scan, m->anchor, m->base, ".qzeros", &m->qzeros);
    return st ? st : lqi_scan_need(scan, m->anchor, m->base, ".scales", &m->scales);
}

/* Rows and columns from qweight, whose words hold 8, or 4, codes. */
static lq_status find_shape(lqi_scan *scan, model *m)
{
    const lqi_entry *q = lqi_scan_entry(scan, m->anchor);
    int fast = m->version == LQ_AWQ_FAST;

    if (q->dtype != (fast ? LQ_I16 : LQ_I32) || q->n_dims != 2)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_CORRUPT, "not a matrix of %s",
                             fast ? "i16" : "i32");
    m->rows = q->dims[0];
    m->cols = q->dims[1];
    if (m->version == LQ_AWQ_GEMM) {
        m->rows = q->dims[1];
        m->cols = q->dims[0];
    }
    if (!lqi_mul(m->version == LQ_AWQ_GEMV ? m->cols : m->rows, fast ? 4 : 8,
                 m->version == LQ_AWQ_GEMV ? &m->cols : &m->rows) ||
        !m->rows || !m->cols || m->cols >= UINT32_MAX)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_SHAPE, "empty, or too large");
    m->group = m->group_size < 0 ? m->cols : (uint64_t)m->group_size;
    if (m->cols % m->group)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_SHAPE, "groups of %llu do not divide %llu "
                             "columns", (unsigned long long)m->group, (unsigned long long)m->cols);
    return LQ_OK;
}

static lq_status expect(lqi_scan *scan, uint64_t index, lq_dtype dtype, uint64_t bytes)
{
    return lqi_scan_expect(scan, index, dtype, bytes / lq_dtype_bytes(dtype));
}

static lq_status check_sizes(lqi_scan *scan, const model *m)
{
    lq_dtype codes = m->version == LQ_AWQ_FAST ? LQ_I16 : LQ_I32;
    lq_dtype zeros = m->version == LQ_AWQ_FAST ? LQ_F16 : LQ_I32;
    lq_awq awq = LQ_AWQ_INIT;
    lq_status st;

    awq.version = m->version;
    st = lq_awq_bytes(&m->spec, m->rows, m->cols, &awq);
    if (st)
        return lqi_scan_fail(scan, m->anchor, st, "not a shape of AWQ");
    st = expect(scan, m->anchor, codes, awq.qweight_bytes);
    if (!st)
        st = expect(scan, m->qzeros, zeros, awq.qzeros_bytes);
    return st ? st : expect(scan, m->scales, LQ_F16, awq.scales_bytes);
}

/* --------------------------------------------------------------------- scan */

static lq_status build(lqi_scan *scan, const model *m, const char *spec)
{
    const char *name = lqi_scan_name(scan, lqi_scan_entry(scan, m->anchor)->name, m->base,
                                     ".weight");
    lqi_weight *w;
    lq_status st;

    if (!name)
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_NOMEM, "no memory for its name");
    st = lqi_scan_add(scan, &lqi_dialect_awq, name, strlen(name), 3, &w);
    if (st)
        return st;
    lqi_scan_part(scan, w, QWEIGHT, m->anchor);
    lqi_scan_part(scan, w, QZEROS, m->qzeros);
    lqi_scan_part(scan, w, SCALES, m->scales);
    w->variant = (uint32_t)m->version;
    w->dtype = LQ_F16;
    w->n_dims = 2;
    w->dims[0] = m->rows;
    w->dims[1] = m->cols;
    return lqi_scan_finish(scan, w, spec);
}

static lq_status take(lqi_scan *scan, uint64_t anchor, size_t base)
{
    model m = { .anchor = anchor, .base = base, .spec = LQ_SPEC_INIT };
    char spec[LQ_SPEC_TEXT] = "int4:ch:zp:f16";
    lq_status st = read_config(scan, &m);

    if (!st)
        st = find_companions(scan, &m);
    if (!st)
        st = find_shape(scan, &m);
    if (st)
        return st;
    if (m.group != m.cols)
        snprintf(spec, sizeof spec, "int4:g%u:zp:f16", (unsigned)m.group);
    st = lq_spec_parse(spec, &m.spec, scan->error);
    if (!st)
        st = check_sizes(scan, &m);
    return st ? st : build(scan, &m, spec);
}

static lq_status scan(lqi_scan *scan)
{
    return strcmp(scan->method, "awq") ? LQ_OK : lqi_scan_each(scan, ".qweight", take);
}

/* ------------------------------------------------------------------- import */

static lq_status import(const lq_checkpoint *cp, const lqi_weight *w,
                        void *const plane[LQ_PLANES], lq_error *error)
{
    const lq_allocator *a = lqi_ctx_allocator(cp->ctx);
    lqi_where where = { lq_file_path(cp->file), w->name, LQ_NO_OFFSET };
    lq_awq awq = LQ_AWQ_INIT;
    lq_rows rows = LQ_ROWS_INIT;
    void **to[3] = { &awq.qweight, &awq.qzeros, &awq.scales };
    uint64_t *bytes[3] = { &awq.qweight_bytes, &awq.qzeros_bytes, &awq.scales_bytes };
    lq_status st = LQ_OK;

    for (int i = 0; i < 3 && !st; i++) {
        const lqi_part *part = lqi_weight_part(w, QWEIGHT + i);
        *bytes[i] = part->bytes;
        st = lqi_tensor_bytes(cp->ctx, cp->file, part->tensor, to[i], error);
    }
    awq.version = (int32_t)w->variant;
    rows.spec = &w->spec;
    memcpy(rows.plane, plane, sizeof rows.plane);
    rows.rows = w->shape.rows;
    rows.cols = w->shape.cols;
    if (!st) {
        st = lq_awq_import(&awq, &rows);
        if (st == LQ_ERR_NUMERIC)
            st = lqi_fail(error, LQ_ERR_CORRUPT, &where, "a scaled zero point is not that of "
                          "an integer from 0 to 15");
        else if (st)
            lqi_fail(error, st, &where, "%s", lq_status_text(st));
    }
    for (int i = 0; i < 3; i++)
        lqi_free(a, *to[i]);
    return st;
}

#define LQI_AWQ_WRITER(hold, json) \
    .containers = LQI_IN_SAFETENSORS, .asked = 1, .can_hold = hold, \
    .declare = lqi_awq_declare, .store = lqi_awq_store, .config = json

/* Reads all layouts, writes GEMM. */
const lqi_dialect lqi_dialect_awq = {
    .name = "awq", .variant = LQ_AWQ_GEMM, .scan = scan, .import = import,
    LQI_AWQ_WRITER(lqi_awq_can_hold_gemm, lqi_awq_config_gemm)
};

const lqi_dialect lqi_dialect_awq_gemv = {
    .name = "awq_gemv", .variant = LQ_AWQ_GEMV,
    LQI_AWQ_WRITER(lqi_awq_can_hold_gemv, lqi_awq_config_gemv)
};

const lqi_dialect lqi_dialect_awq_fast = {
    .name = "awq_fast", .variant = LQ_AWQ_FAST,
    LQI_AWQ_WRITER(lqi_awq_can_hold_fast, lqi_awq_config_fast)
};
