/* SPDX-License-Identifier: MIT */
/*
 * examples/train/product.c - all multiplications of the network are lq_gemm()
 */
#include "../common/common.h"
#include "train.h"

void product(const lq_ctx *ctx, const lq_gemm_args *args)
{
    check(lq_gemm(ctx, args), NULL, "lq_gemm");
}
