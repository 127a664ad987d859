/* SPDX-License-Identifier: MIT */
/*
 * lib/core/matmul_transposed.c - products with the transpose of a quantized weight
 *
 * The plain product (gemm.c) with weights that are decoded as they are packed: 256 rows by
 * some 2048 columns at a time, each number once per 2048 vectors.
 */
#include "lib/core/gemm.h"
#include "libquant/matmul.h"

static lq_status check(const lq_rows *rows, lq_matmul_args *a)
{
    if (a->row1 == 0)
        a->row1 = rows->rows;
    return a->row0 > a->row1 || a->row1 > rows->rows || a->mode < LQ_MODE_DEFAULT ||
           a->mode > LQ_MODE_F32 || a->bias || a->acts || a->threshold != 0 ? LQ_ERR_ARG : LQ_OK;
}

lq_status lq_matmul_transposed(const lq_ctx *ctx, const lq_rows *w, const lq_matmul_args *args)
{
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;
    lq_gemm_args product = LQ_GEMM_ARGS_INIT;
    lqi_geometry g;
    lq_rows rows;
    lq_spec spec;
    lq_status status;

    if (!ctx || !w || !args)
        return LQ_ERR_ARG;
    if ((status = lqi_rows_open(w, &rows, &spec, &g)) ||
        (status = lqi_opts_read(&a, sizeof a, args)) || (status = check(&rows, &a)))
        return status;
    product.m = a.n;
    product.n = g.cols;
    product.k = a.row1 - a.row0;
    product.a = a.x;
    product.a_type = a.x_type;
    product.lda = a.ldx;
    product.c = a.y;
    product.c_type = a.y_type;
    product.ldc = a.ldy;
    product.accumulate = a.accumulate;
    return lqi_gemm_quantized(ctx, &product, &(lqi_quantized){ ctx, &g, &rows, a.row0 });
}
