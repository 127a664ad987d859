/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/gptq.h - the writing half of the GPTQ dialect
 */
#ifndef LQI_DIALECT_GPTQ_H
#define LQI_DIALECT_GPTQ_H

#include "lib/file/dialect/json.h"

int       lqi_gptq_can_hold(const lqi_out *out);
lq_status lqi_gptq_declare(lqi_out *out);
lq_status lqi_gptq_store(lqi_out *out);
json_t   *lqi_gptq_config(const lqi_plan *plan);

#endif
