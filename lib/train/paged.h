/* SPDX-License-Identifier: MIT */
/*
 * lib/train/paged.h - what steps need to know of a pool
 */
#ifndef LQI_PAGED_H
#define LQI_PAGED_H

#include "libquant/train.h"

const lq_ctx *lqi_paged_ctx(const lq_paged *pool);

/* Bytes of a segment, a multiple of 64 KiB. */
uint64_t lqi_paged_grain(const lq_paged *pool);

/* 1 if the pool has the byte at 'data'. */
int lqi_paged_has(const lq_paged *pool, const void *data);

#endif
