/* SPDX-License-Identifier: MIT */
/*
 * lib/format/batch.c - many blocks encoded side by side, one per lane
 */
#include "lib/format/batch.h"

/* Values [first, first + n) of a run, block by block. */
static void encode_plain(const lqi_format *f, const lqi_encode_run *run, size_t first, size_t n)
{
    lqi_encode_run part = *run;

    part.x += first;
    part.n = n;
    part.codes += first / f->block_len * f->block_bytes;
    if (part.imp)
        part.imp += first;
    lqi_encode_plain(&part);
}

/* The values from 'first' on, of which 'n' / 'len' lanes are left; lanes without a block of
 * their own repeat the last one and write nowhere. */
static void open_batch(lqi_batch *b, const lqi_encode_run *run, size_t first, size_t n)
{
    size_t left = (n - first) / b->len;

    b->count = left < b->lanes ? left : b->lanes;
    b->odd = 0;
    for (size_t lane = 0; lane < b->lanes; lane++) {
        size_t i = first + b->len * (lane < b->count ? lane : b->count - 1);
        b->row[lane] = run->x + i;
        b->imp[lane] = run->imp ? run->imp + i : NULL;
        b->block[lane] = run->codes + i / b->format->block_len * b->format->block_bytes;
    }
    b->search->transpose(b->row, 0, b->len, b->x);
}

void lqi_encode_batches(const lqi_format *format, const void *plan, const lqi_encode_run *run,
                        lqi_batch_fn *encode)
{
    lqi_batch b;
    size_t n, i = 0;

    if (!encode || !run->kernels->search.lanes) {
        lqi_encode_plain(run);
        return;
    }
    b.search = &run->kernels->search;
    b.format = format;
    b.plan = plan;
    b.lanes = b.search->lanes;
    b.span = format->block_len > LQI_LANE_GROUP ? 1 : 2;
    b.len = b.span * format->block_len;
    b.row_ms = run->row_ms;
    n = run->n - run->n % b.len;
    assert(b.len % 16 == 0 && b.len <= LQI_BLOCK_MAX);
    for (; i < n; i += b.lanes * b.len) {
        open_batch(&b, run, i, n);
        encode(&b);
        for (size_t lane = 0; b.odd && lane < b.count; lane++)
            if (b.odd >> lane & 1)
                encode_plain(format, run, i + lane * b.len, b.len);
    }
    encode_plain(format, run, n, run->n - n);
}

void lqi_batch_mean_square(const lqi_batch *b, float factor, size_t j, size_t len, float *ms)
{
    b->search->sum_squares(b->x + j * len * b->lanes, len, ms);
    for (size_t lane = 0; lane < b->lanes; lane++)
        ms[lane] = factor * ms[lane] / (float)len;
}

/* Weights of sub-block j, and their sum. */
static void weigh(const lqi_batch *b, const lqi_batch_plan *plan, size_t j, float *w,
                  float *sum)
{
    lqi_weighting how = b->imp[0] ? LQI_WEIGH_IMPORTANCE : plan->how;
    const float *x = b->x + j * plan->len * b->lanes;
    const float *ms = plan->ms ? plan->ms + j * plan->ms_step : NULL;

    if (b->imp[0]) {
        b->search->transpose(b->imp, j * plan->len, plan->len, w);
        if (!ms)
            return;
    }
    b->search->weigh(how, x, plan->len, ms, w, sum);
}

/* Two sub-blocks at a time: their weights are used while they are near. */
void lqi_batch_affine(lqi_batch *b, const lqi_batch_plan *plan, const lqi_qkx_plan *search,
                      lqi_subs *out)
{
    _Alignas(LQI_ALIGN) float w[2 * LQI_LANE_GROUP * LQI_LANES_MAX];
    size_t step = plan->len * b->lanes;
    lqi_affine_search s = { .w = w, .groups = 2, .n = plan->len, .rmin = search->rmin,
                            .rdelta = search->rdelta, .nmax = search->nmax,
                            .steps = search->steps, .absolute = search->absolute };

    for (size_t j = 0; j < plan->subs; j += 2) {
        size_t at = j * b->lanes;
        s.x = b->x + j * step;
        s.scale = out->scale + at;
        s.min = out->min + at;
        s.inverse = out->inverse + at;
        s.base = out->base + at;
        weigh(b, plan, j, w, out->weight + at);
        weigh(b, plan, j + 1, w + step, out->weight + at + b->lanes);
        b->odd |= b->search->affine(&s);
    }
}

typedef uint32_t symmetric_fn(const lqi_symmetric_search *s);

static void symmetric_pairs(lqi_batch *b, const lqi_batch_plan *plan, symmetric_fn *search,
                            lqi_symmetric_search *s, lqi_subs *out)
{
    _Alignas(LQI_ALIGN) float w[2 * LQI_LANE_GROUP * LQI_LANES_MAX];
    size_t step = plan->len * b->lanes;
    uint8_t *codes = s->codes;

    s->w = w;
    s->groups = 2;
    s->n = plan->len;
    for (size_t j = 0; j < plan->subs; j += 2) {
        size_t at = j * b->lanes;
        s->x = b->x + j * step;
        s->scale = out->scale + at;
        s->inverse = out->inverse + at;
        s->codes = codes ? codes + j * step : NULL;
        weigh(b, plan, j, w, out->weight + at);
        weigh(b, plan, j + 1, w + step, out->weight + at + b->lanes);
        b->odd |= search(s);
    }
}

void lqi_batch_symmetric(lqi_batch *b, const lqi_batch_plan *plan, int nmax, lqi_subs *out)
{
    lqi_symmetric_search s = { .nmax = nmax };

    symmetric_pairs(b, plan, b->search->symmetric, &s, out);
}

void lqi_batch_descend(lqi_batch *b, const lqi_batch_plan *plan, int nmax, lqi_subs *out,
                       uint8_t *codes)
{
    lqi_symmetric_search s = { .nmax = nmax, .codes = codes };

    symmetric_pairs(b, plan, b->search->descend, &s, out);
}

void lqi_batch_levels(lqi_batch *b, const lqi_batch_plan *plan, const lqi_levels *levels,
                      lqi_subs *out)
{
    lqi_symmetric_search s = { .levels = levels };

    symmetric_pairs(b, plan, b->search->levels, &s, out);
}
