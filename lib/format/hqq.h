/* SPDX-License-Identifier: MIT */
/*
 * lib/format/hqq.h - float zero points by HQQ's half-quadratic solver
 */
#ifndef LQI_HQQ_H
#define LQI_HQQ_H

#include "lib/format/format.h"

/* Scale and zero point of in->n values for codes of 'bits' bits, f32: the caller rounds them
 * to their stored type. */
void lqi_hqq_fit(const lqi_fit *in, unsigned bits, lqi_group *group);

#endif
