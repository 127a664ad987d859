/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/gguf.c - the tensors of a GGUF file
 *
 * Each is one weight; its type is a format of the registry, or numbers that this build
 * does not decode.
 */
#include "lib/file/dialect/dialect.h"

static lq_status take(lqi_scan *scan, uint64_t index)
{
    const lqi_entry *e = lqi_scan_entry(scan, index);
    const lqi_format *f = lqi_format_by_id(e->format ? e->format : e->dtype);
    lqi_weight *w;
    lq_status st = lqi_scan_add(scan, &lqi_dialect_gguf, e->name, strlen(e->name), 1, &w);

    if (st)
        return st;
    lqi_scan_part(scan, w, LQ_PLANE_CODES, index);
    w->dtype = e->dtype;
    w->n_dims = e->n_dims;
    memcpy(w->dims, e->dims, sizeof w->dims);
    if (f && f->gguf >= 0)
        return lqi_scan_finish(scan, w, f->name);
    w->bytes = e->bytes;
    st = lqi_shape_of(w->n_dims, w->dims, &w->shape);
    return st ? lqi_scan_fail(scan, index, st, "its size does not fit") : LQ_OK;
}

static lq_status scan(lqi_scan *scan)
{
    lq_status st = LQ_OK;

    for (uint64_t i = 0; i < scan->file->entry_count && !st; i++)
        st = take(scan, i);
    return st;
}

static int can_hold(const lqi_out *out)
{
    const lqi_format *f = lqi_format_by_id(out->spec.format);

    return f && f->gguf >= 0 && !(out->spec.flags & LQ_SPEC_PAD);
}

static lq_status declare(lqi_out *out)
{
    lqi_where where = { NULL, out->name, LQ_NO_OFFSET };
    lq_dtype dtype = lqi_spec_plain(&out->spec) ? out->spec.format : 0;
    uint64_t *index = &out->tensor[LQ_PLANE_CODES];
    lq_status st = lq_writer_tensor(out->writer, out->name, dtype,
                                    dtype ? 0 : out->spec.format, out->n_dims, out->dims,
                                    index);
    out->main = *index;
    return st ? lqi_fail(out->error, st, &where, "%s", lq_status_text(st)) : LQ_OK;
}

const lqi_dialect lqi_dialect_gguf = {
    .name = "gguf",
    .containers = LQI_IN_GGUF,
    .takes_rest = 1,
    .scan = scan,
    .can_hold = can_hold,
    .declare = declare,
};
