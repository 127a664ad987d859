/* SPDX-License-Identifier: MIT */
/*
 * lib/base/threads.h - a small pthread pool that runs index ranges
 */
#ifndef LQI_THREADS_H
#define LQI_THREADS_H

#include "lib/base/base.h"

typedef struct lqi_pool lqi_pool;

typedef void lqi_task(void *arg, size_t index);

/* A pool of 'threads' (the caller included, >= 2).  Threads that cannot be started are
 * done without; NULL only when memory is out. */
lqi_pool *lqi_pool_create(const lq_allocator *allocator, uint32_t threads, uint32_t spin_us);
void      lqi_pool_destroy(lqi_pool *pool);

/* Threads that really run, the caller included. */
uint32_t lqi_pool_threads(const lqi_pool *pool);

/* Run task(arg, i) for i in [0, count).  Indices are taken one by one, in order.  A
 * pool that is busy, or inherited through fork(), runs everything on the caller. */
void lqi_pool_run(lqi_pool *pool, size_t count, lqi_task *task, void *arg);

#endif
