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

/* 1 / d, or 0 where that is not finite: the reference is undefined there. */
static inline float lqi_inverse_of(float d)
{
    float inverse = d != 0 ? 1 / d : 0;

    return lqi_finite(inverse) ? inverse : 0;
}

static inline lq_status lqi_check_f16(const void *scale)
{
    return (lqi_load16(scale) & 0x7c00) == 0x7c00 ? LQ_ERR_NONFINITE : LQ_OK;
}

/* A pair of them, d and a minimum. */
static inline lq_status lqi_check_f16_pair(const void *first)
{
    lq_status status = lqi_check_f16(first);

    return status ? status : lqi_check_f16((const uint8_t *)first + 2);
}

/* Byte to number without relying on how narrowing treats the sign. */
static inline int lqi_signed_byte(uint8_t b)
{
    return (b ^ 0x80) - 128;
}

/*
 * Nearest integer, ties away from zero, cut to [lo, hi].  By truncation: adding 0.5
 * would be wrong just below one half, its predecessor is right for every float.  NaN
 * gives 0.
 */
static inline int lqi_round_away(float v, int lo, int hi)
{
    if (!(v == v))
        return 0;
    v = v > (float)hi ? (float)hi : v;
    v = v < (float)lo ? (float)lo : v;
    return (int)(v + copysignf(0x1.fffffep-2f, v));
}

/* -------------------------------------------------------------- bit fields */

/* The low four bits of 2 * half codes: byte i has code i below, code half + i above. */
static inline void lqi_nibbles_write(const uint32_t *codes, int half, uint8_t *q)
{
    for (int i = 0; i < half; i++)
        q[i] = (uint8_t)((codes[i] & 15) | (codes[half + i] & 15) << 4);
}

static inline void lqi_nibbles_read(const uint8_t *q, int half, uint32_t *codes)
{
    for (int i = 0; i < half; i++) {
        codes[i] = q[i] & 15;
        codes[half + i] = q[i] >> 4;
    }
}

/* Bit 'at' of 32 codes as bits of a little-endian u32; reading adds to the codes. */
static inline void lqi_bits_write(const uint32_t *codes, int at, uint8_t *q)
{
    uint32_t bits = 0;

    for (int i = 0; i < 32; i++)
        bits |= (codes[i] >> at & 1) << i;
    lqi_store32(q, bits);
}

static inline void lqi_bits_read(const uint8_t *q, int at, uint32_t *codes)
{
    uint32_t bits = lqi_load32(q);

    for (int i = 0; i < 32; i++)
        codes[i] |= (bits >> i & 1) << at;
}

/* The low two bits of 4 * quarter codes: byte i has codes i, quarter + i ... from below. */
static inline void lqi_pairs_write(const uint32_t *codes, int quarter, uint8_t *q)
{
    for (int i = 0; i < quarter; i++)
        q[i] = (uint8_t)((codes[i] & 3) | (codes[quarter + i] & 3) << 2 |
                         (codes[2 * quarter + i] & 3) << 4 | (codes[3 * quarter + i] & 3) << 6);
}

static inline void lqi_pairs_read(const uint8_t *q, int quarter, uint32_t *codes)
{
    for (int i = 0; i < 4 * quarter; i++)
        codes[i] = q[i % quarter] >> 2 * (i / quarter) & 3;
}

#endif
