/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/gptq.h - the reading and writing halves of the GPTQ dialects
 */
#ifndef LQI_DIALECT_GPTQ_H
#define LQI_DIALECT_GPTQ_H

#include "lib/file/dialect/json.h"

/* Parts of a weight; its variant is the version of the layout. */
enum { LQI_GPTQ_QWEIGHT = LQI_PART_ARRAY, LQI_GPTQ_QZEROS, LQI_GPTQ_SCALES, LQI_GPTQ_G_IDX };

lq_status lqi_gptq_import(const lq_checkpoint *cp, const lqi_weight *w,
                          void *const plane[LQ_PLANES], lq_error *error);

int       lqi_gptq_can_hold(const lqi_out *out);            /* 2, 3, 4 and 8 bits */
int       lqi_gptq_can_hold_planes(const lqi_out *out);     /* 2 to 8 bits */
lq_status lqi_gptq_declare(lqi_out *out);
lq_status lqi_gptq_store(lqi_out *out);                     /* out->dialect's version */
json_t   *lqi_gptq_config(const lqi_plan *plan);            /* version 2 */
json_t   *lqi_gptq_config_v1(const lqi_plan *plan);
json_t   *lqi_gptq_config_planes(const lqi_plan *plan);

#endif
