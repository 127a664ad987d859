/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/compressed_tensors_write.c - writing plain compressed-tensors
 *
 * All planes are tensors as they are: our 8-bit codes and zero points are two's complement
 * already.
 */
#include "lib/file/dialect/compressed_tensors.h"

enum { NOTHING, INT8, FP8, MXFP8 };

static int kind_of(const lq_spec *s)
{
    if (s->format == LQ_FORMAT_INT8)
        return INT8;
    if (s->format == LQ_FORMAT_FP8_E4M3)
        return FP8;
    return s->format == LQ_FORMAT_MXFP8_E4M3 ? MXFP8 : NOTHING;
}

/* Their name of how scales are shared. */
static const char *strategy(const lq_spec *s)
{
    if (s->group_rows == LQ_GROUP_ALL)
        return "tensor";
    if (s->group_rows != 1)
        return "block";
    return s->group_cols == LQ_GROUP_ALL ? "channel" : "group";
}

static int is(const lq_spec *s, const char *name)
{
    return !strcmp(strategy(s), name);
}

int lqi_compressed_can_hold(const lqi_out *out)
{
    const lq_spec *s = &out->spec;
    int kind = kind_of(s);

    if (!kind || out->n_dims != 2 || !lqi_scan_base(out->name, ".weight"))
        return 0;
    if (kind == MXFP8)
        return s->scale_type == LQ_E8M0 && out->shape.cols % s->group_cols == 0;
    if (s->scale2_block || s->zeros == LQ_ZEROS_FLOAT ||
        (s->flags & ~(kind == INT8 ? LQ_SPEC_GIDX : 0u)) ||
        (s->scale_type != LQ_F32 && s->scale_type != LQ_F16 && s->scale_type != LQ_BF16))
        return 0;
    if (is(s, "tensor"))
        return s->group_cols == LQ_GROUP_ALL;
    if (is(s, "group"))
        return kind == INT8 && out->shape.cols % s->group_cols == 0;
    return is(s, "channel") || (kind == FP8 && s->group_cols != LQ_GROUP_ALL);
}

lq_status lqi_compressed_declare(lqi_out *out)
{
    static const lq_dtype codes[] = { [INT8] = LQ_I8, [FP8] = LQ_F8_E4M3, [MXFP8] = LQ_F8_E4M3 };
    const lq_spec *s = &out->spec;
    int kind = kind_of(s), tensor = is(s, "tensor");
    uint64_t cols = s->group_cols == LQ_GROUP_ALL ? out->shape.cols : s->group_cols;
    uint64_t scales[2] = { tensor ? 1 : lqi_div_up(out->shape.rows, s->group_rows),
                           cols ? lqi_div_up(out->shape.cols, cols) : 1 };
    lq_status st = lqi_out_declare(out, out->name, "", codes[kind], 2, out->dims,
                                   &out->tensor[LQ_PLANE_CODES]);

    if (!st)
        st = lqi_out_declare(out, out->name, "_scale", kind == MXFP8 ? LQ_U8 : s->scale_type,
                             tensor ? 1 : 2, scales, &out->tensor[LQ_PLANE_SCALES]);
    if (!st && s->zeros)
        st = lqi_out_declare(out, out->name, "_zero_point", LQ_I8, tensor ? 1 : 2, scales,
                             &out->tensor[LQ_PLANE_ZEROS]);
    if (!st && (s->flags & LQ_SPEC_GIDX))
        st = lqi_out_declare(out, out->name, "_g_idx", LQ_I32, 1, &out->shape.cols,
                             &out->tensor[LQ_PLANE_GIDX]);
    out->main = out->tensor[LQ_PLANE_CODES];
    return st;
}

/* What only some configurations say about their weights. */
static void add_details(json_t *config, const lq_spec *s)
{
    json_t *groups = json_object_get(config, "config_groups");
    json_t *weights = json_object_get(json_object_get(groups, "group_0"), "weights");

    if (is(s, "block"))
        json_object_set_new(weights, "block_structure",
                            json_pack("[I,I]", (json_int_t)s->group_rows,
                                      (json_int_t)s->group_cols));
    if (kind_of(s) == MXFP8)
        json_object_set_new(weights, "scale_dtype", json_string("torch.uint8"));
    if (s->flags & LQ_SPEC_GIDX)
        json_object_set_new(weights, "actorder", json_string("group"));
}

json_t *lqi_compressed_config(const lqi_plan *plan)
{
    static const char *const formats[] = {
        [INT8] = "int-quantized", [FP8] = "float-quantized", [MXFP8] = "mxfp8-quantized"
    };
    const lq_spec *s = &lqi_first_quantized(plan)->spec;
    int kind = kind_of(s);
    json_t *q;

    if (!lqi_same_specs(plan))
        return NULL;
    q = json_pack("{s:s, s:s, s:s, s:{s:{s:[s], s:{s:i, s:s, s:b, s:s, s:o, s:b}, s:n, s:n}}, "
                  "s:o}",
                  "quant_method", "compressed-tensors", "format", formats[kind],
                  "quantization_status", "compressed", "config_groups", "group_0",
                  "targets", "Linear", "weights", "num_bits", 8,
                  "type", kind == INT8 ? "int" : "float", "symmetric",
                  s->zeros == LQ_ZEROS_NONE, "strategy", strategy(s),
                  "group_size", is(s, "group") ? json_integer(s->group_cols) : json_null(),
                  "dynamic", 0, "input_activations", "output_activations",
                  "ignore", lqi_json_kept(plan));
    if (q)
        add_details(q, s);
    return q;
}
