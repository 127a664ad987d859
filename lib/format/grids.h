/* SPDX-License-Identifier: MIT */
/*
 * lib/format/grids.h - the codebooks of the I-quants
 *
 * A codebook is a set of points with 8 or 4 lanes of 3 or 8 levels.  A point's number has
 * the digits of its lanes, lane 0 the least significant; entries are numbered in ascending
 * order of their points.  The build carries bitmaps (grid_bits.c); a context holds the
 * expanded tables and, from the first encoding that needs them on, for each point its
 * entry or its nearest entries.
 */
#ifndef LQI_GRIDS_H
#define LQI_GRIDS_H

#include "lib/format/format.h"

enum {
    LQI_GRID_IQ2_XXS,
    LQI_GRID_IQ2_XS,
    LQI_GRID_IQ2_S,
    LQI_GRID_IQ1,
    LQI_GRID_IQ3_XXS,
    LQI_GRID_IQ3_S,
    LQI_GRIDS
};

typedef struct lqi_grid_kind {
    const uint8_t *bits;        /* one per point */
    uint16_t       entries, points;
    uint8_t        lanes, base; /* points == base ^ lanes */
    uint8_t        nearest;     /* distinct distances that a list of neighbours covers */
    uint8_t        value[8];    /* of each level; IQ1: as i8 */
    uint32_t       list_len;    /* all lists together, see lqi_near */
} lqi_grid_kind;

extern const lqi_grid_kind lqi_grid_kinds[LQI_GRIDS];

/*
 * Where each point goes.  place[point] >= 0: the entry that is this point.  Else
 * lqi_near_list() has a count and that many entries, by ascending distance, then number:
 * those at one of the 'nearest' least distances.
 */
typedef struct lqi_near {
    const int32_t  *place;
    const uint16_t *list;
} lqi_near;

static inline const uint16_t *lqi_near_list(const lqi_near *near, int32_t place)
{
    return near->list + (-1 - place);
}

typedef struct lqi_grids lqi_grids;

struct lqi_grids {
    lq_allocator   allocator;
    const uint8_t *value[LQI_GRIDS];    /* [entry][lane], values */
    const uint8_t *digit[LQI_GRIDS];    /* [entry][lane], levels */
    struct lqi_near_slot *near;         /* [LQI_GRIDS]; use lqi_grids_near() */
};

/* NULL: no memory.  Destroy accepts NULL. */
lqi_grids *lqi_grids_create(const lq_allocator *allocator);
void       lqi_grids_destroy(lqi_grids *grids);

/*
 * Build the neighbour lists of the grids in 'mask' (bit 1 << LQI_GRID_...) that are not
 * there yet.  Any number of threads may do so at once.  LQ_ERR_NOMEM.
 */
lq_status lqi_grids_need(const lqi_grids *grids, unsigned mask);

/* Lists that lqi_grids_need() has built. */
const lqi_near *lqi_grids_near(const lqi_grids *grids, int grid);

/* Values of one entry's lanes, straight from the bitmap: for those who have no context. */
void lqi_grid_lookup(int grid, uint32_t entry, uint8_t *value);

/* grid_bits.c */
extern const uint8_t lqi_grid_bits_iq2_xxs[821], lqi_grid_bits_iq2_xs[821],
    lqi_grid_bits_iq2_s[821], lqi_grid_bits_iq1[821], lqi_grid_bits_iq3_xxs[512],
    lqi_grid_bits_iq3_s[512];

#endif
