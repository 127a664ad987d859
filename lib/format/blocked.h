/* SPDX-License-Identifier: MIT */
/*
 * lib/format/blocked.h - what the blocked formats share
 */
#ifndef LQI_BLOCKED_H
#define LQI_BLOCKED_H

#include "lib/format/format.h"
#include "lib/base/half.h"

/*
 * Decode a run of whole blocks, the last one perhaps in part, with the function for
 * one block.  Inline, so that 'block' is too.
 */
static inline void lqi_decode_blocks(const lqi_run *run, size_t len, size_t bytes,
                                     void (*block)(const uint8_t *b, float *y), float *y)
{
    const uint8_t *b = run->codes + (size_t)(run->first / len) * bytes;
    size_t n = run->n;
    float tail[LQI_BLOCK_MAX];

    for (; n >= len; n -= len, b += bytes, y += len)
        block(b, y);
    if (n == 0)
        return;
    block(b, tail);
    memcpy(y, tail, n * sizeof *y);
}

/*
 * A scale as the file stores it.  A computed NaN has the sign that the machine gives
 * it; the reference's bytes come from x86, where it is minus.
 */
static inline uint16_t lqi_store_scale(float scale)
{
    return scale == scale ? lqi_f32_to_f16(scale) : 0xfe00;
}

static inline lq_status lqi_check_f16(const void *scale)
{
    return (lqi_load16(scale) & 0x7c00) == 0x7c00 ? LQ_ERR_NONFINITE : LQ_OK;
}

#endif
