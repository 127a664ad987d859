/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/awq.h - the reading and writing halves of the AWQ dialects
 */
#ifndef LQI_DIALECT_AWQ_H
#define LQI_DIALECT_AWQ_H

#include "lib/file/dialect/json.h"

int       lqi_awq_can_hold_gemm(const lqi_out *out);
int       lqi_awq_can_hold_gemv(const lqi_out *out);
int       lqi_awq_can_hold_fast(const lqi_out *out);
lq_status lqi_awq_declare(lqi_out *out);
lq_status lqi_awq_store(lqi_out *out);                      /* out->dialect's layout */
json_t   *lqi_awq_config_gemm(const lqi_plan *plan);
json_t   *lqi_awq_config_gemv(const lqi_plan *plan);
json_t   *lqi_awq_config_fast(const lqi_plan *plan);

#endif
