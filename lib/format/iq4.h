/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq4.h - the table of sixteen uneven levels of IQ4_NL and IQ4_XS
 */
#ifndef LQI_IQ4_H
#define LQI_IQ4_H

#include "lib/format/batch.h"
#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LQI_IQ4_SUB 32   /* weights that share a scale */

extern const int8_t lqi_iq4_level[16];

/* Nearest level, ties to the upper one: the number of midpoints up to v.  NaN gives 15,
 * as the comparisons of the reference do. */
uint32_t lqi_iq4_code(float v);

/* The same for LQI_IQ4_SUB numbers times 'inverse'. */
void lqi_iq4_codes(const float *x, float inverse, uint32_t *codes);

/* The same table as floats, for decoders and for the searches in lanes. */
extern const lqi_levels lqi_iq4_levels;

/*
 * x ~ scale * level: the scale of least weighted error among the fits of 16 roundings.
 * Weights: imp * sqrt(ms + x^2), or x^2 without importances.
 */
float lqi_iq4_search(const float *x, const float *imp, float ms);

#endif
