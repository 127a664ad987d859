/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/packed.h - the writing half of packed compressed-tensors
 */
#ifndef LQI_DIALECT_PACKED_H
#define LQI_DIALECT_PACKED_H

#include "lib/file/dialect/json.h"

int       lqi_packed_can_hold(const lqi_out *out);
lq_status lqi_packed_declare(lqi_out *out);
lq_status lqi_packed_store(lqi_out *out);
json_t   *lqi_packed_config(const lqi_plan *plan);

#endif
