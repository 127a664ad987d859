/* SPDX-License-Identifier: MIT */
/*
 * lib/train/optimizer.h - what steps in windows need of steps
 */
#ifndef LQI_OPTIMIZER_H
#define LQI_OPTIMIZER_H

#include "libquant/train.h"

/* Copies of the caller's structs, checked, with defaults filled in.  Statuses as
 * lq_optimizer_step(). */
lq_status lqi_step_open(const lq_optimizer *optimizer, const lq_params *params, lq_optimizer *o,
                        lq_params *p);

/* Numbers [at, at + n), or to the end; 'at' is a multiple of LQ_STATE_BLOCK. */
lq_params lqi_params_cut(const lq_params *p, uint32_t state_bits, uint64_t at, uint64_t n);

#endif
