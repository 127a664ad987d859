/* SPDX-License-Identifier: MIT */
/*
 * lib/file/adapter.h - what the files of LoRA adapters share
 *
 *   adapter_config.c  adapter_config.json: the numbers, and what cannot be done
 *   adapter_read.c    tensors to modules
 *   adapter_write.c   modules to a directory
 */
#ifndef LQI_ADAPTER_H
#define LQI_ADAPTER_H

#include "lib/file/json_scan.h"

#define LQI_ADAPTER_CONFIG  "adapter_config.json"
#define LQI_ADAPTER_WEIGHTS "adapter_model.safetensors"
#define LQI_ADAPTER_PREFIX  "base_model.model."
#define LQI_ADAPTER_A       ".lora_A.weight"
#define LQI_ADAPTER_B       ".lora_B.weight"

/* A rank or an alpha of the modules that a pattern names. */
typedef struct lqi_adapter_pattern {
    struct lqi_adapter_pattern *next;
    const char *key;
    double      value;
} lqi_adapter_pattern;

typedef struct lqi_adapter_config {
    lq_adapter_config    c;          /* strings in the arena */
    lqi_adapter_pattern *ranks, *alphas;
} lqi_adapter_config;

/* 'path' is for messages. */
lq_status lqi_adapter_config_parse(const char *path, const void *text, uint64_t bytes,
                                   lqi_arena *arena, lqi_adapter_config *config,
                                   lq_error *error);

/* The value of the first pattern that is the module's name or its last parts. */
double lqi_adapter_pattern_find(const lqi_adapter_pattern *list, const char *module,
                                double otherwise);

#endif
