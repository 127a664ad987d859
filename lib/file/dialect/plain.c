/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/plain.c - tensors of plain numbers in safetensors
 *
 * One raw tensor per weight: F32, F16 and BF16 are weights that decode, every other
 * element type is passed on as it is.
 */
#include "lib/file/dialect/dialect.h"

static lq_status take(lqi_scan *scan, uint64_t index)
{
    const lqi_entry *e = lqi_scan_entry(scan, index);
    lqi_weight *w;
    lq_status st = lqi_scan_add(scan, &lqi_dialect_plain, e->name, strlen(e->name), 1, &w);

    if (st)
        return st;
    lqi_scan_part(scan, w, LQ_PLANE_CODES, index);
    w->dtype = e->dtype;
    w->n_dims = e->n_dims;
    memcpy(w->dims, e->dims, sizeof w->dims);
    if (e->dtype >= LQ_F32 && e->dtype <= LQ_BF16)
        return lqi_scan_finish(scan, w, lq_dtype_name(e->dtype));
    w->bytes = e->bytes;
    st = lqi_shape_of(w->n_dims, w->dims, &w->shape);
    return st ? lqi_scan_fail(scan, index, st, "its size does not fit") : LQ_OK;
}

static lq_status scan(lqi_scan *scan)
{
    lq_status st = LQ_OK;

    for (uint64_t i = 0; i < scan->file->entry_count && !st; i++)
        if (!scan->claimed[i])
            st = take(scan, i);
    return st;
}

static int can_hold(const lqi_out *out)
{
    return lqi_spec_plain(&out->spec);
}

static lq_status declare(lqi_out *out)
{
    lq_status st = lqi_out_declare(out, out->name, "", out->spec.format, out->n_dims,
                                   out->dims, &out->tensor[LQ_PLANE_CODES]);
    out->main = out->tensor[LQ_PLANE_CODES];
    return st;
}

const lqi_dialect lqi_dialect_plain = {
    .name = "plain",
    .containers = LQI_IN_SAFETENSORS,
    .takes_rest = 1,
    .scan = scan,
    .can_hold = can_hold,
    .declare = declare,
};
