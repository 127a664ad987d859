/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/gptq.c - checkpoints of GPTQ, versions 1, 2 and planes
 *
 *   L.qweight   I32 [in * bits / 32, out]       L.scales  F16 [groups, out]
 *   L.qzeros    I32 [groups, out * bits / 32]   L.g_idx   I32 [in]
 *
 * become the weight L.weight of [out, in].  The bits follow from qzeros and scales and
 * must agree with the config.  The version is the config's 'checkpoint_format': "gptq"
 * (also when absent: what AutoGPTQ wrote) is 1, "gptq_v2", "gptq_p" (planes).  Files
 * labelled 1 with zero points of version 2 exist, and the reverse: where a model does not
 * say that it is asymmetric, zero points that are all the middle of one version decide,
 * and the weight's note says so.  Without any config nothing else tells the version.
 */
#include <stdio.h>

#include "lib/file/dialect/gptq.h"
#include "lib/layout/layout.h"

typedef struct model {
    uint64_t anchor, qzeros, scales, g_idx;     /* raw tensors; g_idx may be missing */
    size_t   base;
    int64_t  bits, group_size;                  /* of the config; 0: not said */
    int      sym, desc_act;                     /* -1: not said */
    int32_t  version;                           /* 0: not said */
    uint64_t in, out, groups, group;
    int      permuted, symmetric;               /* symmetric: zero points tell nothing */
    const char *note;
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
    else if (format && !strcmp(format, "gptq_p"))
        m->version = LQ_GPTQ_PLANES;
    else if (format && strcmp(format, "gptq"))
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_UNSUPPORTED,
                             "checkpoint format '%s' is not known", format);
    return LQ_OK;
}

/* The planes have 2 to 8 bits, the others what fills words. */
static lq_status read_bits(lqi_scan *scan, model *m)
{
    int planes = m->version == LQ_GPTQ_PLANES;
    lq_status st = lqi_json_int(scan, m->anchor, scan->quant, "bits", &m->bits);

    if (st || !json_object_get(scan->quant, "bits"))
        return st;
    if (m->bits >= 2 && m->bits <= 8 && (planes || m->bits <= 4 || m->bits == 8))
        return LQ_OK;
    return lqi_scan_fail(scan, m->anchor, LQ_ERR_ARG, "the config's 'bits' %lld is not %s",
                         (long long)m->bits, planes ? "2 to 8" : "2, 3, 4 or 8");
}

static lq_status read_config(lqi_scan *scan, model *m)
{
    lq_status st;

    if (!scan->quant)
        return LQ_OK;
    if (*scan->method && strcmp(scan->method, "gptq"))
        return lqi_scan_fail(scan, m->anchor, LQ_ERR_UNSUPPORTED,
                             "packed as '%s', which is not known", scan->method);
    st = read_version(scan, m);
    if (!st)
        st = read_bits(scan, m);
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
    return st;
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
    lq_status st = lqi_scan_order(scan, m->g_idx, m->in, m->group, &m->permuted);

    if (!st && m->permuted && !m->desc_act)
        return lqi_scan_fail(scan, m->g_idx, LQ_ERR_MISMATCH,
                             "the config says 'desc_act' false, the tensor is not in order");
    return st;
}

/* Look at the zero points where they can tell the version. */
static lq_status find_version(lqi_scan *scan, model *m)
{
    const lqi_entry *e = lqi_scan_entry(scan, m->qzeros);
    void *memory = NULL;
    int32_t seen;
    lq_status st;

    if (m->version && m->sym == 0)
        return LQ_OK;
    st = lqi_tensor_bytes(scan->cp->ctx, scan->file, m->qzeros, &memory, scan->error);
    if (st)
        return st;
    seen = lqi_gptq_detect(memory, e->bytes, (uint32_t)m->bits,
                           m->version == LQ_GPTQ_PLANES);
    lqi_free(lqi_ctx_allocator(scan->cp->ctx), memory);
    if (seen && m->version && seen != m->version)
        m->note = seen == LQ_GPTQ_V2 ? "labelled gptq, with the zero points of gptq_v2"
                                     : "labelled gptq_v2, with the zero points of gptq";
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
    st = lqi_scan_add(scan, m->version == LQ_GPTQ_PLANES ? &lqi_dialect_gptq_p
                      : &lqi_dialect_gptq, name, strlen(name), 4, &w);
    if (st)
        return st;
    lqi_scan_part(scan, w, LQI_GPTQ_QWEIGHT, m->anchor);
    lqi_scan_part(scan, w, LQI_GPTQ_QZEROS, m->qzeros);
    lqi_scan_part(scan, w, LQI_GPTQ_SCALES, m->scales);
    if (m->g_idx != LQI_NONE)
        lqi_scan_part(scan, w, m->permuted ? LQI_GPTQ_G_IDX : LQI_PART_USED, m->g_idx);
    w->variant = (uint32_t)m->version;
    w->note = m->note;
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
    return strcmp(scan->method, "awq") ? lqi_scan_each(scan, ".qweight", take) : LQ_OK;
}

static lq_status left(lqi_scan *scan, uint64_t index)
{
    if (!lqi_scan_base(lqi_scan_entry(scan, index)->name, ".qzeros"))
        return LQ_OK;
    return lqi_scan_fail(scan, index, LQ_ERR_NOTFOUND, "its '.qweight' is missing");
}

#define LQI_GPTQ_WRITER(hold, json) \
    .containers = LQI_IN_SAFETENSORS, .can_hold = hold, .declare = lqi_gptq_declare, \
    .store = lqi_gptq_store, .config = json

/* Reads all versions; writes version 2 of what has no plainer dialect, unasked too. */
const lqi_dialect lqi_dialect_gptq = {
    .name = "gptq", .variant = LQ_GPTQ_V2,
    .scan = scan, .left = left, .import = lqi_gptq_import,
    LQI_GPTQ_WRITER(lqi_gptq_can_hold, lqi_gptq_config)
};

const lqi_dialect lqi_dialect_gptq_v1 = {
    .name = "gptq_v1", .variant = LQ_GPTQ_V1, .asked = 1,
    LQI_GPTQ_WRITER(lqi_gptq_can_hold, lqi_gptq_config_v1)
};

const lqi_dialect lqi_dialect_gptq_v2 = {
    .name = "gptq_v2", .variant = LQ_GPTQ_V2, .asked = 1,
    LQI_GPTQ_WRITER(lqi_gptq_can_hold, lqi_gptq_config)
};

const lqi_dialect lqi_dialect_gptq_p = {
    .name = "gptq_p", .variant = LQ_GPTQ_PLANES, .asked = 1,
    .import = lqi_gptq_import,
    LQI_GPTQ_WRITER(lqi_gptq_can_hold_planes, lqi_gptq_config_planes)
};
