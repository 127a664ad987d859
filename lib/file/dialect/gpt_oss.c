/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/gpt_oss.c - MXFP4 as gpt-oss publishes its experts
 *
 *   N_blocks   U8 [experts, out, in / 32, 16]: E2M1 codes, two to a byte, the first low
 *   N_scales   U8 [experts, out, in / 32]: E8M0
 *
 * become the weight N of [experts, out, in], without experts of [out, in].  The config's
 * quant_method is "mxfp4".  Written on request.
 */
#include "lib/file/dialect/json.h"

enum { BLOCK = 32 };

static lq_status check_scales(lqi_scan *scan, uint64_t scales, const lqi_entry *blocks)
{
    const lqi_entry *s = lqi_scan_entry(scan, scales);

    if (s->dtype != LQ_U8 && s->dtype != LQ_E8M0)
        return lqi_scan_fail(scan, scales, LQ_ERR_CORRUPT, "scales are not bytes");
    if (s->n_dims != blocks->n_dims - 1 ||
        memcmp(s->dims, blocks->dims, s->n_dims * sizeof *s->dims))
        return lqi_scan_fail(scan, scales, LQ_ERR_SHAPE, "not a scale for each block");
    return LQ_OK;
}

static lq_status take(lqi_scan *scan, uint64_t blocks, size_t base)
{
    const lqi_entry *e = lqi_scan_entry(scan, blocks);
    uint64_t scales, cols = 0;
    lqi_weight *w;
    lq_status st = lqi_scan_need(scan, blocks, base, "_scales", &scales);

    if (st)
        return st;
    if (e->dtype != LQ_U8)
        return lqi_scan_fail(scan, blocks, LQ_ERR_CORRUPT, "blocks are not bytes");
    if (e->n_dims < 3 || e->n_dims > 4 || e->dims[e->n_dims - 1] != BLOCK / 2 ||
        !lqi_mul(e->dims[e->n_dims - 2], BLOCK, &cols))
        return lqi_scan_fail(scan, blocks, LQ_ERR_SHAPE, "not [experts, rows, blocks, %d]",
                             BLOCK / 2);
    st = check_scales(scan, scales, e);
    if (!st)
        st = lqi_scan_add(scan, &lqi_dialect_gpt_oss, e->name, base, 2, &w);
    if (st)
        return st;
    lqi_scan_part(scan, w, LQ_PLANE_CODES, blocks);
    lqi_scan_part(scan, w, LQ_PLANE_SCALES, scales);
    w->magnitudes = 1;
    w->n_dims = e->n_dims - 1;
    memcpy(w->dims, e->dims, sizeof w->dims);
    w->dims[w->n_dims - 1] = cols;
    return lqi_scan_finish(scan, w, "mxfp4");
}

static lq_status scan(lqi_scan *scan)
{
    return strcmp(scan->method, "mxfp4") ? LQ_OK : lqi_scan_each(scan, "_blocks", take);
}

static int can_hold(const lqi_out *out)
{
    const lq_spec *s = &out->spec;

    return s->format == LQ_FORMAT_MXFP4 && s->scale_type == LQ_E8M0 && s->group_cols == BLOCK &&
           (out->n_dims == 2 || out->n_dims == 3) && out->shape.cols % BLOCK == 0;
}

static lq_status declare(lqi_out *out)
{
    uint64_t dims[4];
    uint32_t n = out->n_dims;
    lq_status st;

    memcpy(dims, out->dims, n * sizeof *dims);
    dims[n - 1] = out->shape.cols / BLOCK;
    dims[n] = BLOCK / 2;
    st = lqi_out_declare(out, out->name, "_blocks", LQ_U8, n + 1, dims,
                         &out->tensor[LQ_PLANE_CODES]);
    if (!st)
        st = lqi_out_declare(out, out->name, "_scales", LQ_U8, n, dims,
                             &out->tensor[LQ_PLANE_SCALES]);
    out->main = out->tensor[LQ_PLANE_CODES];
    return st;
}

static json_t *config(const lqi_plan *plan)
{
    return lqi_same_specs(plan)
               ? json_pack("{s:s, s:o}", "quant_method", "mxfp4", "modules_to_not_convert",
                           lqi_json_kept(plan))
               : NULL;
}

const lqi_dialect lqi_dialect_gpt_oss = {
    .name = "gpt-oss",
    .containers = LQI_IN_SAFETENSORS,
    .asked = 1,
    .scan = scan,
    .can_hold = can_hold,
    .declare = declare,
    .config = config,
};
