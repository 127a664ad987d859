/* SPDX-License-Identifier: MIT */
/*
 * lib/format/k_affine_many.c - Q2_K, Q4_K and Q5_K, many superblocks side by side
 *
 * The steps of k_affine.c with the searches of the kernel table.  Integers of both kinds
 * stay within 'top' here: whatever would exceed it is beyond the searches' rounding, and
 * such blocks go to the plain encoder.
 */
#include "lib/format/batch.h"
#include "lib/format/k_affine.h"

/* Scales and minimums of all lanes as integers, and their d and dmin. */
typedef struct integers {
    uint8_t sc[LQI_K_SUBS * LQI_LANES_MAX], m[LQI_K_SUBS * LQI_LANES_MAX];
    _Alignas(LQI_ALIGN) float d[LQI_LANES_MAX];
    _Alignas(LQI_ALIGN) float dmin[LQI_LANES_MAX];
} integers;

static void fit_weighted(lqi_batch *b, const lqi_subs *s, size_t subs, integers *out)
{
    const lqi_k_plan *plan = b->plan;

    b->odd |= b->search->nonnegative(s->scale, s->weight, subs, plan->top, out->sc, out->d);
    b->odd |= b->search->nonnegative(s->min, s->weight, subs, plan->top, out->m, out->dmin);
}

/* One kind of a lane without importances. */
static float fit_to_top(const lqi_batch *b, const float *v, size_t lane, size_t subs,
                        uint8_t *codes)
{
    float one[LQI_K_SUBS];

    lqi_lane_floats(b, v, lane, subs, one);
    return lqi_k_round_to_top(b->plan, one, (int)subs, codes);
}

static void lane_param(const lqi_batch *b, const lqi_subs *s, const integers *fit, size_t lane,
                       size_t subs, lqi_k_param *p)
{
    float d, dmin;

    if (b->imp[0]) {
        d = fit->d[lane];
        dmin = fit->dmin[lane];
        for (size_t j = 0; j < subs; j++) {
            p->sc[j] = fit->sc[j * b->lanes + lane];
            p->m[j] = fit->m[j * b->lanes + lane];
        }
    } else {
        d = fit_to_top(b, s->scale, lane, subs, p->sc);
        dmin = fit_to_top(b, s->min, lane, subs, p->m);
    }
    p->d = lqi_store_scale(d);
    p->dmin = lqi_store_scale(dmin);
}

/* The codes that the search of sub-block j ended with. */
static void search_codes(const lqi_batch *b, const lqi_subs *s, size_t lane, size_t j,
                         uint32_t *codes)
{
    const lqi_k_plan *plan = b->plan;
    size_t at = j * b->lanes + lane;
    const lqi_qkx won = { .inverse = s->inverse[at], .base = s->base[at] };
    const float *x = b->row[lane] + j * (size_t)plan->sub;

    for (int i = 0; i < plan->sub; i++)
        codes[i] = lqi_qkx_code(&won, plan->plain.nmax, x[i]);
}

static void encode_lane(lqi_batch *b, const lqi_subs *s, const lqi_k_param *p, size_t lane)
{
    const lqi_k_plan *plan = b->plan;
    size_t len = (size_t)plan->sub, subs = LQI_K_LEN / len;
    float scale[LQI_K_SUBS], min[LQI_K_SUBS];
    float d = lqi_f16_to_f32(p->d), dmin = lqi_f16_to_f32(p->dmin);
    uint32_t codes[LQI_K_LEN];
    const lqi_rounding r = { .x = b->row[lane], .n = LQI_K_LEN, .group = len, .scale = scale,
                             .add = min, .hi = plan->plain.nmax, .codes = codes };

    for (size_t j = 0; j < subs; j++) {
        scale[j] = d * p->sc[j];
        min[j] = dmin * p->m[j];
        if (scale[j] == 0)
            search_codes(b, s, lane, j, codes + j * len);
    }
    if (b->search->round(&r))
        b->odd |= 1u << lane;
    b->format->pack(p, codes, b->block[lane]);
}

static void encode(lqi_batch *b)
{
    _Alignas(LQI_ALIGN) float ms[LQI_LANES_MAX];
    const lqi_k_plan *plan = b->plan;
    size_t subs = LQI_K_LEN / (size_t)plan->sub;
    const lqi_batch_plan how = { .subs = subs, .len = (size_t)plan->sub, .ms = ms,
                                 .how = plan->with_rms ? LQI_WEIGH_RMS : LQI_WEIGH_ABS };
    lqi_k_param p = { 0 };
    lqi_subs s;
    integers fit;

    if (b->imp[0])
        lqi_batch_mean_square(b, plan->ms, 0, LQI_K_LEN, ms);
    lqi_batch_affine(b, &how, b->imp[0] ? &plan->weighted : &plan->plain, &s);
    if (b->imp[0])
        fit_weighted(b, &s, subs, &fit);
    for (size_t lane = 0; lane < b->count; lane++) {
        if (b->odd >> lane & 1)
            continue;
        lane_param(b, &s, &fit, lane, subs, &p);
        encode_lane(b, &s, &p, lane);
    }
}

void lqi_k_encode_many(const lqi_k_plan *plan, const lqi_format *format,
                       const lqi_encode_run *run)
{
    lqi_encode_batches(format, plan, run, encode);
}
