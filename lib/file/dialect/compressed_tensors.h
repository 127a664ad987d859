/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/compressed_tensors.h - the writing half of plain compressed-tensors
 */
#ifndef LQI_DIALECT_COMPRESSED_TENSORS_H
#define LQI_DIALECT_COMPRESSED_TENSORS_H

#include "lib/file/dialect/json.h"

int       lqi_compressed_can_hold(const lqi_out *out);
lq_status lqi_compressed_declare(lqi_out *out);
json_t   *lqi_compressed_config(const lqi_plan *plan);

#endif
