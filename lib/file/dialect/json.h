/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/json.h - what the dialects configured in JSON share
 */
#ifndef LQI_DIALECT_JSON_H
#define LQI_DIALECT_JSON_H

#include <jansson.h>

#include "lib/file/dialect/dialect.h"

/* Integer member 'key' of an object, or NULL; CORRUPT for another type.  Absent or null:
 * *value unchanged. */
lq_status lqi_json_int(lqi_scan *scan, uint64_t index, json_t *object, const char *key,
                       int64_t *value);
/* The same for true and false. */
lq_status lqi_json_bool(lqi_scan *scan, uint64_t index, json_t *object, const char *key,
                        int *value);
/* String member, or NULL when it is absent or another type. */
const char *lqi_json_text(json_t *object, const char *key);

/* 1 if all quantized weights of the plan have the same spec (codebooks aside). */
int lqi_same_specs(const lqi_plan *plan);

/* Job number i is one of the output's quantized weights. */
int lqi_job_quantized(const lqi_job *job);

/* New array of names of the linear layers left as they are; "lm_head" is always a
 * layer for those who read it. */
json_t *lqi_json_kept(const lqi_plan *plan);

/* First quantized job of the plan; there is one when a config is asked for. */
const lqi_out *lqi_first_quantized(const lqi_plan *plan);

#endif
