/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/modelopt.c - checkpoints of NVIDIA's ModelOpt: NVFP4 and FP8
 *
 *   NVFP4   L.weight          U8 [.., out, in / 2], the even column in the low nibble
 *           L.weight_scale    F8_E4M3 [.., out, in / 16]
 *           L.weight_scale_2  F32, one (for each expert); multiplies the scales
 *   FP8     L.weight          F8_E4M3 [out, in]
 *           L.weight_scale    F32, one
 *
 * L.input_scale (F32, one) belongs to the activations: a tensor of its own to us.  The
 * config says "quant_method": "modelopt", or stands in hf_quant_config.json, nested in
 * "quantization" and without a method.  Its other algorithms are arrays that
 * compressed-tensors has too, which reads them.
 */
#include <stdio.h>

#include "lib/file/dialect/json.h"

/* ------------------------------------------------------------------ reading */

static lq_status add(lqi_scan *scan, uint64_t codes, uint64_t scale, lqi_weight **w)
{
    const lqi_entry *e = lqi_scan_entry(scan, codes);
    lq_status st = lqi_scan_add(scan, &lqi_dialect_modelopt, e->name, strlen(e->name), 3, w);

    if (st)
        return st;
    lqi_scan_part(scan, *w, LQ_PLANE_CODES, codes);
    lqi_scan_part(scan, *w, LQ_PLANE_SCALES, scale);
    (*w)->magnitudes = 1;
    (*w)->n_dims = e->n_dims;
    memcpy((*w)->dims, e->dims, sizeof (*w)->dims);
    return LQ_OK;
}

static lq_status take_nvfp4(lqi_scan *scan, uint64_t global, size_t base)
{
    uint64_t codes, scale;
    uint32_t last;
    lqi_weight *w;
    lq_status st = lqi_scan_need(scan, global, base, ".weight", &codes);

    if (!st)
        st = lqi_scan_need(scan, global, base, ".weight_scale", &scale);
    if (st)
        return st;
    if (lqi_scan_entry(scan, codes)->dtype != LQ_U8 ||
        lqi_scan_entry(scan, scale)->dtype != LQ_F8_E4M3 ||
        lqi_scan_entry(scan, global)->dtype != LQ_F32)
        return lqi_scan_fail(scan, codes, LQ_ERR_CORRUPT, "has a 'weight_scale_2', but is not "
                             "U8 with scales in F8_E4M3 and F32");
    if (lqi_scan_entry(scan, codes)->n_dims < 2)
        return lqi_scan_fail(scan, codes, LQ_ERR_SHAPE, "not a matrix");
    st = add(scan, codes, scale, &w);
    if (st)
        return st;
    lqi_scan_part(scan, w, LQ_PLANE_OFFSET, global);
    last = w->n_dims - 1;
    if (!lqi_mul(w->dims[last], 2, &w->dims[last]))
        return lqi_scan_fail(scan, codes, LQ_ERR_OVERFLOW, "its size does not fit");
    return lqi_scan_finish(scan, w, "nvfp4:gm");
}

static lq_status take_fp8(lqi_scan *scan, uint64_t scale, size_t base)
{
    const lqi_entry *s = lqi_scan_entry(scan, scale);
    uint64_t codes;
    lqi_weight *w;
    lq_status st = lqi_scan_need(scan, scale, base, ".weight", &codes);

    if (st || lqi_scan_entry(scan, codes)->dtype != LQ_F8_E4M3 || s->dtype != LQ_F32 ||
        s->bytes != 4)
        return st;
    if (lqi_scan_entry(scan, codes)->n_dims != 2)
        return lqi_scan_fail(scan, codes, LQ_ERR_SHAPE, "not a matrix");
    st = add(scan, codes, scale, &w);
    return st ? st : lqi_scan_finish(scan, w, "fp8_e4m3:t:f32");
}

static lq_status scan(lqi_scan *scan)
{
    lq_status st = lqi_scan_each(scan, ".weight_scale_2", take_nvfp4);

    if (st || strcmp(scan->method, "modelopt"))
        return st;
    return lqi_scan_each(scan, ".weight_scale", take_fp8);
}

/* ------------------------------------------------------------------ writing */

static int is_nvfp4(const lqi_out *out)
{
    return out->spec.format == LQ_FORMAT_NVFP4;
}

static int can_hold(const lqi_out *out)
{
    const lq_spec *s = &out->spec;

    if (out->n_dims != 2 || !lqi_scan_base(out->name, ".weight"))
        return 0;
    if (is_nvfp4(out))
        return (s->flags & LQ_SPEC_GLOBAL_MUL) && out->shape.cols % 16 == 0;
    return s->format == LQ_FORMAT_FP8_E4M3 && s->scale_type == LQ_F32 && !s->flags &&
           s->group_rows == LQ_GROUP_ALL && s->group_cols == LQ_GROUP_ALL;
}

static lq_status declare(lqi_out *out)
{
    uint64_t codes[2] = { out->shape.rows, out->shape.cols / (is_nvfp4(out) ? 2 : 1) };
    uint64_t scales[2] = { out->shape.rows, out->shape.cols / 16 };
    lq_status st = lqi_out_declare(out, out->name, "", is_nvfp4(out) ? LQ_U8 : LQ_F8_E4M3, 2,
                                   codes, &out->tensor[LQ_PLANE_CODES]);

    if (!st)
        st = is_nvfp4(out) ? lqi_out_declare(out, out->name, "_scale", LQ_F8_E4M3, 2, scales,
                                             &out->tensor[LQ_PLANE_SCALES])
                           : lqi_out_declare(out, out->name, "_scale", LQ_F32, 0, NULL,
                                             &out->tensor[LQ_PLANE_SCALES]);
    if (!st && is_nvfp4(out))
        st = lqi_out_declare(out, out->name, "_scale_2", LQ_F32, 0, NULL,
                             &out->tensor[LQ_PLANE_OFFSET]);
    out->main = out->tensor[LQ_PLANE_CODES];
    return st;
}

static const char *algorithm(const lqi_plan *plan)
{
    return is_nvfp4(lqi_first_quantized(plan)) ? "NVFP4" : "FP8";
}

/* Readers look for the producer's name to tell what kind of file this is. */
static json_t *producer(void)
{
    return json_pack("{s:s, s:s}", "name", "modelopt", "version", "libquant");
}

static json_t *config(const lqi_plan *plan)
{
    int nvfp4 = is_nvfp4(lqi_first_quantized(plan));

    if (!lqi_same_specs(plan))
        return NULL;
    return json_pack("{s:s, s:s, s:{s:{s:[s], s:{s:i, s:s, s:b, s:o}}}, s:o, s:o}",
                     "quant_method", "modelopt", "quant_algo", algorithm(plan),
                     "config_groups", "group_0", "targets", "Linear", "weights",
                     "num_bits", nvfp4 ? 4 : 8, "type", "float", "dynamic", 0,
                     "group_size", nvfp4 ? json_integer(16) : json_null(),
                     "ignore", lqi_json_kept(plan), "producer", producer());
}

static json_t *beside(const lqi_plan *plan, const char **name)
{
    int nvfp4 = is_nvfp4(lqi_first_quantized(plan));

    *name = "hf_quant_config.json";
    return json_pack("{s:o, s:{s:s, s:n, s:o, s:o}}", "producer", producer(),
                     "quantization", "quant_algo", algorithm(plan), "kv_cache_quant_algo",
                     "group_size", nvfp4 ? json_integer(16) : json_null(),
                     "exclude_modules", lqi_json_kept(plan));
}

const lqi_dialect lqi_dialect_modelopt = {
    .name = "modelopt",
    .containers = LQI_IN_SAFETENSORS,
    .asked = 1,
    .scan = scan,
    .can_hold = can_hold,
    .declare = declare,
    .config = config,
    .beside = beside,
};
