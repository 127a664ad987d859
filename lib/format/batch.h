/* SPDX-License-Identifier: MIT */
/*
 * lib/format/batch.h - many blocks encoded side by side, one per lane
 *
 * A batch is as many consecutive blocks of a row as the level's searches have lanes; small
 * blocks are taken two to a lane, because searches do two groups at a time.  Arrays of a
 * batch have the lane as their fastest index: [i][lane], sub-blocks [j][lane].
 *
 * A format's encode_many gives lqi_encode_batches() a function for one batch.  Blocks that
 * a search or the rounding refuses go to lqi_encode_plain() afterwards, so that every
 * byte is the plain encoder's.
 */
#ifndef LQI_BATCH_H
#define LQI_BATCH_H

#include "lib/format/format.h"
#include "lib/format/search.h"

#define LQI_SUBS_MAX 16   /* sub-blocks of a block */

typedef struct lqi_batch {
    _Alignas(LQI_ALIGN) float x[LQI_BLOCK_MAX * LQI_LANES_MAX];
    const lqi_search *search;
    const lqi_format *format;
    const void       *plan;
    size_t            lanes, count;       /* of lanes, and of those that are real */
    size_t            span, len;          /* blocks and values of a lane */
    const float      *row[LQI_LANES_MAX]; /* values and importances of a lane */
    const float      *imp[LQI_LANES_MAX]; /* all NULL without importances */
    uint8_t          *block[LQI_LANES_MAX];
    float             row_ms;
    uint32_t          odd;                /* lanes for the plain encoder */
} lqi_batch;

/* Results of the searches, one for each sub-block and lane. */
typedef struct lqi_subs {
    _Alignas(LQI_ALIGN) float scale[LQI_SUBS_MAX * LQI_LANES_MAX];
    _Alignas(LQI_ALIGN) float min[LQI_SUBS_MAX * LQI_LANES_MAX];
    _Alignas(LQI_ALIGN) float inverse[LQI_SUBS_MAX * LQI_LANES_MAX];
    _Alignas(LQI_ALIGN) float base[LQI_SUBS_MAX * LQI_LANES_MAX];
    _Alignas(LQI_ALIGN) float weight[LQI_SUBS_MAX * LQI_LANES_MAX];   /* sums of weights */
} lqi_subs;

typedef void lqi_batch_fn(lqi_batch *b);

/* All blocks of a run, batch by batch; block by block where the level has no searches or
 * 'encode' is NULL.  'plan' is the format's own. */
void lqi_encode_batches(const lqi_format *format, const void *plan, const lqi_encode_run *run,
                        lqi_batch_fn *encode);

/* What a search looks at: 'subs' sub-blocks (an even number) of 'len' values, weighted by
 * 'how'; with importances by imp * sqrt(ms[j * ms_step + lane] + x^2), or by imp alone if ms
 * is NULL. */
typedef struct lqi_batch_plan {
    size_t        subs, len;
    lqi_weighting how;
    const float  *ms;
    size_t        ms_step;
} lqi_batch_plan;

/* All of 'out'. */
void lqi_batch_affine(lqi_batch *b, const lqi_batch_plan *plan, const lqi_qkx_plan *search,
                      lqi_subs *out);

/* Scale, inverse and weight of 'out'. */
void lqi_batch_symmetric(lqi_batch *b, const lqi_batch_plan *plan, int nmax, lqi_subs *out);

/* Scale and weight of 'out', and the codes [subs][len][lanes]. */
void lqi_batch_descend(lqi_batch *b, const lqi_batch_plan *plan, int nmax, lqi_subs *out,
                       uint8_t *codes);

/* Scale and weight of 'out'. */
void lqi_batch_levels(lqi_batch *b, const lqi_batch_plan *plan, const lqi_levels *levels,
                      lqi_subs *out);

/* factor * mean square of each lane's sub-block j, as lqi_sum_squares adds it up. */
void lqi_batch_mean_square(const lqi_batch *b, float factor, size_t j, size_t len, float *ms);

/* One lane of [n][lane]. */
static inline void lqi_lane_floats(const lqi_batch *b, const float *v, size_t lane, size_t n,
                                   float *out)
{
    for (size_t j = 0; j < n; j++)
        out[j] = v[j * b->lanes + lane];
}

#endif
