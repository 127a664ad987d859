/* SPDX-License-Identifier: MIT */
/*
 * libquant/libquant.h - the whole library; read in this order, it is the tour
 *
 *     #include <libquant/libquant.h>
 *
 *     lq_ctx *ctx;  lq_spec spec = LQ_SPEC_INIT;  lq_tensor *q;
 *     lq_ctx_create(NULL, &ctx, NULL);
 *     lq_spec_parse("nf4:b64:dq", &spec, NULL);
 *     lq_tensor_encode(ctx, &spec, &(lq_shape){ 1, rows, cols }, LQ_F32, w, NULL, &q, NULL);
 *     lq_tensor_decode(q, LQ_F32, w2);
 */
#ifndef LIBQUANT_H
#define LIBQUANT_H

#include "libquant/base.h"      /* status, errors, contexts */
#include "libquant/version.h"
#include "libquant/format.h"    /* formats and specs */
#include "libquant/codebook.h"  /* tables of values */
#include "libquant/scales.h"    /* block scales, double quantization */
#include "libquant/tensor.h"    /* encode and decode */
#include "libquant/layout.h"    /* foreign memory layouts */
#include "libquant/matmul.h"    /* products */
#include "libquant/gemm.h"      /* products of plain matrices */
#include "libquant/file.h"      /* checkpoints */
#include "libquant/calibrate.h" /* statistics of activations */
#include "libquant/train.h"     /* optimizers, LoRA, fake quantization */

#endif
