/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/bitsandbytes.h - the writing half of the bitsandbytes dialect
 */
#ifndef LQI_BITSANDBYTES_H
#define LQI_BITSANDBYTES_H

#include "lib/file/dialect/json.h"

int       lqi_bnb_can_hold(const lqi_out *out);
lq_status lqi_bnb_declare(lqi_out *out);
lq_status lqi_bnb_store(lqi_out *out);
json_t   *lqi_bnb_config(const lqi_plan *plan);

#endif
