/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/roof.h - what the machine can do: reading memory, multiplying in registers
 *
 * Measured, never looked up: other tenants and the clock change it from second to second,
 * so that it belongs to the same run as whatever is compared with it.
 */
#ifndef LQ_TOOL_ROOF_H
#define LQ_TOOL_ROOF_H

#include <stddef.h>

#include "lq.h"

#define ROOF_BYTES (256u << 20)   /* more than the caches hold */

typedef struct roof {
    uint8_t *memory;      /* what is read; measurements keep their data in it */
    size_t   bytes;
    unsigned threads;
    lq_level level;       /* whose instructions multiply */
} roof;

/* At least this much memory, its pages there; contents are lost.  0: there is none. */
int  roof_reserve(roof *r, uint64_t bytes);
void roof_close(roof *r);

/* Ways of reading: 256- and 512-bit registers; which is faster depends on the CPU. */
enum { READ_256, READ_512, READS };

/* Bytes per second of one sweep over all of the memory by all threads; 0: not on this CPU. */
double roof_read(const roof *r, int way);

/* Products of 8-bit integers, bf16 and f32, each with its addition. */
enum { PEAK_INT8, PEAK_BF16, PEAK_F32, PEAKS };

/* Operations per second, two a product, of all threads with the level's best instruction;
 * bf16 is f32 where a level has no instruction for it.  Takes a few milliseconds. */
double roof_peak(const roof *r, int kind);

#endif
