/* SPDX-License-Identifier: MIT */
/* lib/file/order.h - sort indices: n log n at worst, own memory only */
#ifndef LQI_ORDER_H
#define LQI_ORDER_H

#include "lib/base/base.h"

/* 1 if element b must stand before element a (stable: 0 when they are equal). */
typedef int lqi_before(const void *context, uint64_t b, uint64_t a);

/*
 * Fill order[0, n) with the numbers 0 .. n - 1 sorted by 'before', stable.  'work' has
 * room for n as well.
 */
void lqi_order(uint64_t *order, uint64_t *work, uint64_t n, lqi_before *before,
               const void *context);

#endif
