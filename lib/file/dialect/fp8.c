/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/fp8.c - FP8 in blocks, as DeepSeek and Qwen publish it
 *
 *   L.weight            F8_E4M3 [out, in]
 *   L.weight_scale_inv  F32 or BF16 [out / R rounded up, in / C rounded up]
 *
 * with R x C from the config's 'weight_block_size', 128 x 128 without.  The value is
 * code * weight_scale_inv: the name is historical.  GPTQModel stores reciprocals under
 * the same name and says so ("weight_scale_semantics": "inverse"), for a tensor [1], rows
 * [out] or blocks: read as 1 / scale in f32, so that a value is within one rounding of its
 * code / scale.
 */
#include <stdio.h>

#include "lib/core/core.h"
#include "lib/file/dialect/json.h"

enum { RECIPROCALS = LQI_PART_ARRAY };

static int is_inverse(const lqi_scan *scan)
{
    const char *semantics = lqi_json_text(scan->quant, "weight_scale_semantics");

    return semantics && !strcmp(semantics, "inverse");
}

static lq_status block_size(lqi_scan *scan, uint64_t index, uint64_t block[2])
{
    json_t *size = json_object_get(scan->quant, "weight_block_size");

    block[0] = block[1] = 128;
    if (!size || json_is_null(size))
        return LQ_OK;
    for (size_t i = 0; i < 2; i++) {
        json_int_t v = json_integer_value(json_array_get(size, i));
        if (json_array_size(size) != 2 || v < 1 || v >= UINT32_MAX)
            return lqi_scan_fail(scan, index, LQ_ERR_CORRUPT,
                                 "'weight_block_size' is not two positive sizes");
        block[i] = (uint64_t)v;
    }
    return LQ_OK;
}

static lq_status check_scale(lqi_scan *scan, uint64_t scale, const lqi_entry *codes,
                             const uint64_t block[2])
{
    const lqi_entry *s = lqi_scan_entry(scan, scale);

    if (s->dtype != LQ_F32 && s->dtype != LQ_F16 && s->dtype != LQ_BF16)
        return lqi_scan_fail(scan, scale, LQ_ERR_CORRUPT, "scales are not floats");
    for (uint32_t i = 0; i < 2; i++)
        if (s->n_dims != 2 || s->dims[i] != lqi_div_up(codes->dims[i], block[i]))
            return lqi_scan_fail(scan, scale, LQ_ERR_SHAPE,
                                 "scales do not fit blocks of %llu x %llu",
                                 (unsigned long long)block[0], (unsigned long long)block[1]);
    return LQ_OK;
}

/* One scale for the tensor, or one for each row: "t", "ch"; 0 for neither. */
static int simple_group(const lqi_entry *s, const lqi_entry *codes, char group[48])
{
    uint64_t count = 1;

    for (uint32_t i = 0; i < s->n_dims && i < 2; i++)
        if (!lqi_mul(count, s->dims[i], &count))
            return 0;
    if (s->n_dims > 2 || lq_dtype_bytes(s->dtype) == 0 ||
        (s->dtype != LQ_F32 && s->dtype != LQ_F16 && s->dtype != LQ_BF16))
        return 0;
    if (count == 1)
        strcpy(group, "t");
    else if (count == codes->dims[0] && s->dims[0] == count)
        strcpy(group, "ch");
    return *group != 0;
}

static lq_status take(lqi_scan *scan, uint64_t scale, size_t base)
{
    char spec[LQ_SPEC_TEXT], group[48] = "";
    const lqi_entry *e;
    uint64_t codes, block[2];
    lqi_weight *w;
    lq_status st = lqi_scan_need(scan, scale, base, ".weight", &codes);

    if (!st)
        st = block_size(scan, scale, block);
    if (st)
        return st;
    e = lqi_scan_entry(scan, codes);
    if (e->dtype != LQ_F8_E4M3)
        return lqi_scan_fail(scan, codes, LQ_ERR_UNSUPPORTED,
                             "has a 'weight_scale_inv', but is not F8_E4M3");
    if (e->n_dims != 2)
        return lqi_scan_fail(scan, codes, LQ_ERR_SHAPE, "not a matrix");
    if (!is_inverse(scan) || !simple_group(lqi_scan_entry(scan, scale), e, group))
        st = check_scale(scan, scale, e, block);
    if (!*group)
        snprintf(group, sizeof group, "%llux%llu", (unsigned long long)block[0],
                 (unsigned long long)block[1]);
    if (!st)
        st = lqi_scan_add(scan, &lqi_dialect_fp8, e->name, strlen(e->name), 2, &w);
    if (st)
        return st;
    lqi_scan_part(scan, w, LQ_PLANE_CODES, codes);
    lqi_scan_part(scan, w, is_inverse(scan) ? RECIPROCALS : LQ_PLANE_SCALES, scale);
    w->magnitudes = 1;
    w->n_dims = 2;
    memcpy(w->dims, e->dims, sizeof w->dims);
    snprintf(spec, sizeof spec, "fp8_e4m3:%s:%s", group, is_inverse(scan) ? "f32"
             : lq_dtype_name(lqi_scan_entry(scan, scale)->dtype));
    w->variant = (uint32_t)lqi_scan_entry(scan, scale)->dtype;
    return lqi_scan_finish(scan, w, spec);
}

/* Codes as they are, scales turned over. */
static lq_status import(const lq_checkpoint *cp, const lqi_weight *w,
                        void *const plane[LQ_PLANES], lq_error *error)
{
    const lqi_part *codes = lqi_weight_part(w, LQ_PLANE_CODES);
    const lqi_part *part = lqi_weight_part(w, RECIPROCALS);
    uint64_t n = part->bytes / lq_dtype_bytes((lq_dtype)w->variant);
    void *memory = NULL;
    lq_status st = lqi_part_read(cp, codes, 0, plane[LQ_PLANE_CODES], codes->bytes, error);

    if (!st)
        st = lqi_tensor_bytes(cp->ctx, cp->file, part->tensor, &memory, error);
    for (uint64_t i = 0; i < n && !st; i++)
        lqi_scale_store(LQ_F32, 1 / lqi_scale_load((lq_dtype)w->variant, memory, i),
                        plane[LQ_PLANE_SCALES], i);
    lqi_free(lqi_ctx_allocator(cp->ctx), memory);
    return st;
}

static lq_status scan(lqi_scan *scan)
{
    return lqi_scan_each(scan, ".weight_scale_inv", take);
}

static int is_number(uint32_t v)
{
    return v && v != LQ_GROUP_ALL;
}

static int can_hold(const lqi_out *out)
{
    const lq_spec *s = &out->spec;

    return s->format == LQ_FORMAT_FP8_E4M3 && out->n_dims == 2 && !s->flags && !s->zeros &&
           !s->scale2_block && is_number(s->group_rows) && s->group_rows > 1 &&
           is_number(s->group_cols) && lqi_scan_base(out->name, ".weight") &&
           (s->scale_type == LQ_F32 || s->scale_type == LQ_BF16);
}

static lq_status declare(lqi_out *out)
{
    uint64_t scales[2] = { lqi_div_up(out->shape.rows, out->spec.group_rows),
                           lqi_div_up(out->shape.cols, out->spec.group_cols) };
    lq_status st = lqi_out_declare(out, out->name, "", LQ_F8_E4M3, 2, out->dims,
                                   &out->tensor[LQ_PLANE_CODES]);

    if (!st)
        st = lqi_out_declare(out, out->name, "_scale_inv", out->spec.scale_type, 2, scales,
                             &out->tensor[LQ_PLANE_SCALES]);
    out->main = out->tensor[LQ_PLANE_CODES];
    return st;
}

static json_t *config(const lqi_plan *plan)
{
    const lq_spec *s = &lqi_first_quantized(plan)->spec;

    if (!lqi_same_specs(plan))
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:[I,I], s:o}", "quant_method", "fp8",
                     "activation_scheme", "dynamic", "fmt", "e4m3", "weight_block_size",
                     (json_int_t)s->group_rows, (json_int_t)s->group_cols,
                     "modules_to_not_convert", lqi_json_kept(plan));
}

const lqi_dialect lqi_dialect_fp8 = {
    .name = "fp8",
    .containers = LQI_IN_SAFETENSORS,
    .scan = scan,
    .import = import,
    .can_hold = can_hold,
    .declare = declare,
    .config = config,
};
