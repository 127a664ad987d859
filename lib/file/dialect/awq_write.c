/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/awq_write.c - checkpoints of AWQ, written
 *
 * The three layouts of libquant/layout.h as AutoAWQ names and loads them: "gemm", "gemv" and
 * "gemv_fast".
 */
#include <stdio.h>

#include "lib/file/dialect/awq.h"

enum { ARRAYS = 3 };   /* qweight, qzeros, scales: out->extra */

static lq_status layout(const lqi_out *out, int32_t version, lq_awq *awq)
{
    awq->version = version;
    return lq_awq_bytes(&out->spec, out->shape.rows, out->shape.cols, awq);
}

static int can_hold(const lqi_out *out, int32_t version)
{
    lq_awq awq = LQ_AWQ_INIT;

    return out->n_dims == 2 && lqi_scan_base(out->name, ".weight") && out->shape.rows &&
           out->shape.cols && !(out->spec.flags & LQ_SPEC_GIDX) &&
           !layout(out, version, &awq);
}

int lqi_awq_can_hold_gemm(const lqi_out *out)
{
    return can_hold(out, LQ_AWQ_GEMM);
}

int lqi_awq_can_hold_gemv(const lqi_out *out)
{
    return can_hold(out, LQ_AWQ_GEMV);
}

int lqi_awq_can_hold_fast(const lqi_out *out)
{
    return can_hold(out, LQ_AWQ_FAST);
}

/* ------------------------------------------------------------------- arrays */

typedef struct array {
    const char *suffix;
    lq_dtype    dtype;
    uint64_t    dims[2];
} array;

static void shapes(const lqi_out *out, const lq_awq *awq, array to[ARRAYS])
{
    uint64_t rows = out->shape.rows, cols = out->shape.cols;
    uint64_t groups = awq->scales_bytes / 2 / rows;   /* padding included */

    if (awq->version == LQ_AWQ_GEMM) {
        to[0] = (array){ ".qweight", LQ_I32, { cols, rows / 8 } };
        to[1] = (array){ ".qzeros", LQ_I32, { groups, rows / 8 } };
        to[2] = (array){ ".scales", LQ_F16, { groups, rows } };
    } else if (awq->version == LQ_AWQ_GEMV) {
        to[0] = (array){ ".qweight", LQ_I32, { rows, cols / 8 } };
        to[1] = (array){ ".qzeros", LQ_I32, { rows, groups / 8 } };
        to[2] = (array){ ".scales", LQ_F16, { rows, groups } };
    } else {
        to[0] = (array){ ".qweight", LQ_I16, { rows / 4, cols } };
        to[1] = (array){ ".qzeros", LQ_F16, { groups, rows } };
        to[2] = (array){ ".scales", LQ_F16, { groups, rows } };
    }
}

lq_status lqi_awq_declare(lqi_out *out)
{
    char base[512];
    lq_awq awq = LQ_AWQ_INIT;
    array to[ARRAYS];
    lq_status st = layout(out, out->dialect->variant, &awq);

    if (st)
        return lqi_fail(out->error, st, NULL, "'%s': not a shape of AWQ", out->name);
    if (strlen(out->name) >= sizeof base)
        return lqi_fail(out->error, LQ_ERR_LIMIT, NULL, "'%s' is too long a name", out->name);
    snprintf(base, sizeof base, "%.*s", (int)lqi_scan_base(out->name, ".weight"), out->name);
    shapes(out, &awq, to);
    for (int i = 0; i < ARRAYS && !st; i++)
        st = lqi_out_declare(out, base, to[i].suffix, to[i].dtype, 2, to[i].dims,
                             &out->extra[i]);
    out->main = out->extra[0];
    return st;
}

static lq_status export(const lqi_out *out, lq_awq *awq)
{
    const lq_allocator *a = lqi_ctx_allocator(out->ctx);
    lq_rows rows = LQ_ROWS_INIT;
    lq_status st = layout(out, out->dialect->variant, awq);

    if (st)
        return st;
    rows.spec = &out->spec;
    memcpy(rows.plane, out->held, sizeof rows.plane);
    rows.rows = out->shape.rows;
    rows.cols = out->shape.cols;
    awq->qweight = lqi_alloc_zero(a, awq->qweight_bytes);
    awq->qzeros = lqi_alloc_zero(a, awq->qzeros_bytes);
    awq->scales = lqi_alloc_zero(a, awq->scales_bytes);
    return awq->qweight && awq->qzeros && awq->scales ? lq_awq_export(&rows, awq)
                                                      : LQ_ERR_NOMEM;
}

lq_status lqi_awq_store(lqi_out *out)
{
    const lq_allocator *a = lqi_ctx_allocator(out->ctx);
    lqi_where where = { NULL, out->name, LQ_NO_OFFSET };
    lq_awq awq = LQ_AWQ_INIT;
    lq_status st = export(out, &awq);

    if (st == LQ_ERR_NUMERIC)
        lqi_fail(out->error, st, &where, "f16 does not hold its zero points times scales");
    else if (st)
        lqi_fail(out->error, st, &where, "%s", lq_status_text(st));
    if (!st)
        st = lqi_out_write(out, out->extra[0], awq.qweight, awq.qweight_bytes);
    if (!st)
        st = lqi_out_write(out, out->extra[1], awq.qzeros, awq.qzeros_bytes);
    if (!st)
        st = lqi_out_write(out, out->extra[2], awq.scales, awq.scales_bytes);
    lqi_free(a, awq.qweight);
    lqi_free(a, awq.qzeros);
    lqi_free(a, awq.scales);
    return st;
}

/* ------------------------------------------------------------------- config */

static json_t *config(const lqi_plan *plan, const char *version)
{
    const lqi_out *first = lqi_first_quantized(plan);
    uint32_t group = first->spec.group_cols;

    for (uint64_t i = 0; i < plan->count; i++)
        if (lqi_job_quantized(&plan->jobs[i]) && plan->jobs[i].out.spec.group_cols != group)
            return NULL;
    return json_pack("{s:s, s:i, s:I, s:b, s:s, s:o}", "quant_method", "awq", "bits", 4,
                     "group_size", (json_int_t)(group == LQ_GROUP_ALL ? -1 : (int64_t)group),
                     "zero_point", 1, "version", version,
                     "modules_to_not_convert", lqi_json_kept(plan));
}

json_t *lqi_awq_config_gemm(const lqi_plan *plan)
{
    return config(plan, "gemm");
}

json_t *lqi_awq_config_gemv(const lqi_plan *plan)
{
    return config(plan, "gemv");
}

json_t *lqi_awq_config_fast(const lqi_plan *plan)
{
    return config(plan, "gemv_fast");
}
