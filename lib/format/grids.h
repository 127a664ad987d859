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
    LQI_GRID_NONE,
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
    uint32_t       list_len;    /* words of all lists together, see lqi_near */
} lqi_grid_kind;

extern const lqi_grid_kind lqi_grid_kinds[LQI_GRIDS];

/* Number of a point, its word (kernels.h), and the digit of a lane of a word. */
static inline unsigned lqi_grid_point(const lqi_grid_kind *k, const uint8_t *digit)
{
    unsigned point = 0;

    for (int i = k->lanes; i-- > 0;)
        point = point * k->base + digit[i];
    return point;
}

static inline uint16_t lqi_grid_word(int lanes, const uint8_t *digit)
{
    unsigned word = lanes == 8 ? 0 : 0x8080;

    for (int i = 0; i < lanes; i++)
        word |= (unsigned)digit[i] << 16 / lanes * i;
    return (uint16_t)word;
}

static inline unsigned lqi_grid_digit(int lanes, uint16_t word, int lane)
{
    return lanes == 8 ? word >> 2 * lane & 3u : word >> 4 * lane & 7u;
}

/* Number of the point of a word. */
static inline unsigned lqi_grid_word_point(int lanes, uint16_t word)
{
    unsigned point = 0;

    for (int i = lanes; i-- > 0;)
        point = point * (lanes == 8 ? 3 : 8) + lqi_grid_digit(lanes, word, i);
    return point;
}

/*
 * Of n > 0 words, the one with the least sum of term[lane][digit]; the first of equal ones,
 * and if no sum is a number below FLT_MAX.  Sums go over the lanes from the first on.
 */
uint16_t lqi_near_word(int lanes, const uint16_t *list, unsigned n, const float term[8][8],
                       float *error);

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
 * Build the neighbour lists of a grid, if they are not there yet.  Any number of threads may
 * do so at once.  LQ_ERR_NOMEM.
 */
lq_status lqi_grids_need(const lqi_grids *grids, int grid);

/* Lists that lqi_grids_need() has built. */
const lqi_near *lqi_grids_near(const lqi_grids *grids, int grid);

/* Values of one entry's lanes, straight from the bitmap: for those who have no context. */
void lqi_grid_lookup(int grid, uint32_t entry, uint8_t *value);

/* The same from an expanded codebook (lqi_run), or the bitmap if that is NULL. */
static inline void lqi_grid_entry(const uint8_t *codebook, int grid, uint32_t entry,
                                  uint8_t *value)
{
    if (!codebook)
        lqi_grid_lookup(grid, entry, value);
    else if (lqi_grid_kinds[grid].lanes == 8)
        memcpy(value, codebook + 8 * (size_t)entry, 8);
    else
        memcpy(value, codebook + 4 * (size_t)entry, 4);
}

/* Decode a run of blocks of 256, the last one perhaps in part; 'plan' is passed on. */
static inline void lqi_decode_entries(const lqi_run *run, size_t bytes, const void *plan,
                                      void (*block)(const void *plan, const uint8_t *codebook,
                                                    const uint8_t *b, float *y), float *y)
{
    const uint8_t *b = run->codes + (size_t)(run->first / 256) * bytes;
    size_t n = run->n;
    float tail[256];

    for (; n >= 256; n -= 256, b += bytes, y += 256)
        block(plan, run->codebook, b, y);
    if (n == 0)
        return;
    block(plan, run->codebook, b, tail);
    memcpy(y, tail, n * sizeof *y);
}

/* grid_bits.c */
extern const uint8_t lqi_grid_bits_iq2_xxs[821], lqi_grid_bits_iq2_xs[821],
    lqi_grid_bits_iq2_s[821], lqi_grid_bits_iq1[821], lqi_grid_bits_iq3_xxs[512],
    lqi_grid_bits_iq3_s[512];

#endif
