/* SPDX-License-Identifier: MIT */
/*
 * lib/format/panel.h - how a format's numbers lie in panels (kernels/panel.h)
 *
 * A format that has panels names a plan in its descriptor.  Blocked formats take their
 * blocks apart themselves ('part'); planar ones say what their codes mean, the spec and
 * lib/core/panel.c do the rest.
 */
#ifndef LQI_FORMAT_PANEL_H
#define LQI_FORMAT_PANEL_H

#include "kernels/panel.h"
#include "lib/base/half.h"
#include "lib/format/format.h"

struct lqi_panel_plan {
    uint8_t codes;            /* LQI_PANEL_... width */
    uint8_t shape;            /* blocked: LQI_S32_F16 ... */
    uint8_t shift;            /* log2 of the offset */
    uint8_t flip;             /* planar: stored codes are xored with it */
    float   factor;           /* of the scales */
    const int8_t *levels;     /* by code; NULL: code - offset */
    uint8_t count;            /* of levels */
    uint8_t floats;           /* planar: codes or levels are floats, 'shift' as in panel.h */
    uint8_t fitted;           /* planar: levels are the value table, rounded to integers */
    /* Blocked: run->n columns of a chunk from run->first on; n is 256, or what is left of a
     * row in whole blocks. */
    void (*part)(const lqi_run *run, lqi_panel_part *part);
};

extern const int8_t lqi_panel_iq4_levels[16], lqi_panel_e2m1_levels[16];

/* The block that a run starts in. */
static inline const uint8_t *lqi_panel_block(const lqi_run *run, size_t len, size_t bytes)
{
    return run->codes + (size_t)(run->first / len) * bytes;
}

/* 32 codes from 16 bytes: low nibbles, then high ones. */
static inline void lqi_panel_nibbles(const uint8_t *q, uint8_t *code, int half)
{
    for (int i = 0; i < half; i++) {
        code[i] = q[i] & 15;
        code[half + i] = q[i] >> 4;
    }
}

#endif
