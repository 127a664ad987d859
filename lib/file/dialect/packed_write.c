/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/packed_write.c - writing packed compressed-tensors
 *
 * Integers go through the layout; the codes and scales of NVFP4 and MXFP4 are planes as they
 * are.
 */
#include <stdio.h>

#include "lib/file/dialect/packed.h"

enum { NOTHING, INTEGERS, NVFP4, MXFP4 };

static int kind_of(const lqi_out *out)
{
    const lq_spec *s = &out->spec;
    lq_compressed c = LQ_COMPRESSED_INIT;

    c.form = LQ_COMPRESSED_DENSE;
    if (s->format == LQ_FORMAT_NVFP4)
        return (s->flags & LQ_SPEC_GLOBAL_DIV) && s->scale_type == LQ_F8_E4M3 ? NVFP4 : NOTHING;
    if (s->format == LQ_FORMAT_MXFP4)
        return s->scale_type == LQ_E8M0 ? MXFP4 : NOTHING;
    if (s->group_rows != 1 || s->zeros == LQ_ZEROS_FLOAT ||
        (s->scale_type != LQ_F32 && s->scale_type != LQ_F16 && s->scale_type != LQ_BF16))
        return NOTHING;
    return lq_compressed_bytes(s, out->shape.rows, out->shape.cols, &c) ? NOTHING : INTEGERS;
}

static uint64_t group_of(const lqi_out *out)
{
    return out->spec.group_cols == LQ_GROUP_ALL ? out->shape.cols : out->spec.group_cols;
}

int lqi_packed_can_hold(const lqi_out *out)
{
    int kind = out->n_dims == 2 && out->shape.rows && out->shape.cols &&
                       lqi_scan_base(out->name, ".weight") ? kind_of(out) : NOTHING;

    return kind == INTEGERS || (kind && out->shape.cols % group_of(out) == 0);
}

static lq_status declare_integers(lqi_out *out)
{
    const lqi_format *f = lqi_format_by_id(out->spec.format);
    uint64_t groups = lqi_div_up(out->shape.cols, group_of(out)), two = 2;
    uint64_t packed[2] = { out->shape.rows, lqi_div_up(out->shape.cols * f->bits, 32) };
    uint64_t scales[2] = { out->shape.rows, groups };
    uint64_t zeros[2] = { lqi_div_up(out->shape.rows * f->bits, 32), groups };
    lq_status st = lqi_out_declare(out, out->name, "_packed", LQ_I32, 2, packed, &out->extra[0]);

    if (!st)
        st = lqi_out_declare(out, out->name, "_scale", out->spec.scale_type, 2, scales,
                             &out->tensor[LQ_PLANE_SCALES]);
    if (!st)
        st = lqi_out_declare(out, out->name, "_shape", LQ_I64, 1, &two, &out->extra[1]);
    if (!st && out->spec.zeros)
        st = lqi_out_declare(out, out->name, "_zero_point", LQ_I32, 2, zeros, &out->extra[2]);
    if (!st && (out->spec.flags & LQ_SPEC_GIDX))
        st = lqi_out_declare(out, out->name, "_g_idx", LQ_I32, 1, &out->shape.cols,
                             &out->tensor[LQ_PLANE_GIDX]);
    out->main = out->extra[0];
    return st;
}

static lq_status declare_floats(lqi_out *out, int kind)
{
    uint64_t packed[2] = { out->shape.rows, out->shape.cols / 2 }, one = 1;
    uint64_t scales[2] = { out->shape.rows, out->shape.cols / group_of(out) };
    lq_status st = lqi_out_declare(out, out->name, "_packed", LQ_U8, 2, packed,
                                   &out->tensor[LQ_PLANE_CODES]);

    if (!st)
        st = lqi_out_declare(out, out->name, "_scale", kind == NVFP4 ? LQ_F8_E4M3 : LQ_U8, 2,
                             scales, &out->tensor[LQ_PLANE_SCALES]);
    if (!st && kind == NVFP4)
        st = lqi_out_declare(out, out->name, "_global_scale", LQ_F32, 1, &one,
                             &out->tensor[LQ_PLANE_OFFSET]);
    out->main = out->tensor[LQ_PLANE_CODES];
    return st;
}

lq_status lqi_packed_declare(lqi_out *out)
{
    int kind = kind_of(out);

    return kind == INTEGERS ? declare_integers(out) : declare_floats(out, kind);
}

static lq_status export(lqi_out *out, lq_compressed *c)
{
    const lq_allocator *a = lqi_ctx_allocator(out->ctx);
    lq_rows rows = LQ_ROWS_INIT;
    lq_status st;

    c->form = LQ_COMPRESSED_DENSE;
    st = lq_compressed_bytes(&out->spec, out->shape.rows, out->shape.cols, c);
    if (st)
        return st;
    c->packed = lqi_alloc_zero(a, c->packed_bytes);
    if (c->zero_point_bytes)
        c->zero_point = lqi_alloc_zero(a, c->zero_point_bytes);
    if (!c->packed || (c->zero_point_bytes && !c->zero_point))
        return LQ_ERR_NOMEM;
    rows.spec = &out->spec;
    memcpy(rows.plane, out->held, sizeof rows.plane);
    rows.rows = out->shape.rows;
    rows.cols = out->shape.cols;
    return lq_compressed_export(&rows, c);
}

lq_status lqi_packed_store(lqi_out *out)
{
    const lq_allocator *a = lqi_ctx_allocator(out->ctx);
    lqi_where where = { NULL, out->name, LQ_NO_OFFSET };
    lq_compressed c = LQ_COMPRESSED_INIT;
    uint8_t shape[16];
    lq_status st;

    if (kind_of(out) != INTEGERS)
        return LQ_OK;
    lqi_store64(shape, out->shape.rows);
    lqi_store64(shape + 8, out->shape.cols);
    st = export(out, &c);
    if (st)
        lqi_fail(out->error, st, &where, "%s", lq_status_text(st));
    if (!st)
        st = lqi_out_write(out, out->extra[0], c.packed, c.packed_bytes);
    if (!st)
        st = lqi_out_write(out, out->extra[1], shape, sizeof shape);
    if (!st && out->spec.zeros)
        st = lqi_out_write(out, out->extra[2], c.zero_point, c.zero_point_bytes);
    lqi_free(a, c.packed);
    lqi_free(a, c.zero_point);
    return st;
}

json_t *lqi_packed_config(const lqi_plan *plan)
{
    static const char *const names[] = {
        "", "pack-quantized", "nvfp4-pack-quantized", "mxfp4-pack-quantized"
    };
    const lqi_out *first = lqi_first_quantized(plan);
    int kind = kind_of(first), whole = first->spec.group_cols == LQ_GROUP_ALL;
    const lqi_format *f = lqi_format_by_id(first->spec.format);

    if (!lqi_same_specs(plan))
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:{s:{s:[s], s:{s:i, s:s, s:b, s:s, s:o, s:b}, s:n, "
                     "s:n}}, s:o}",
                     "quant_method", "compressed-tensors", "format", names[kind],
                     "quantization_status", "compressed", "config_groups", "group_0",
                     "targets", "Linear", "weights", "num_bits", (int)f->bits,
                     "type", kind == INTEGERS ? "int" : "float",
                     "symmetric", first->spec.zeros == LQ_ZEROS_NONE,
                     "strategy", kind == NVFP4 ? "tensor_group" : whole ? "channel" : "group",
                     "group_size", whole ? json_null() : json_integer(first->spec.group_cols),
                     "dynamic", 0, "input_activations", "output_activations",
                     "ignore", lqi_json_kept(plan));
}
