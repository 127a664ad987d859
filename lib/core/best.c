/* SPDX-License-Identifier: MIT */
/*
 * lib/core/best.c - the second search: same format, lower error than the reference's
 *
 * Blocked: from the reference's block, coordinate descent over the numbers that the
 * descriptor calls tunable (scales, minimums, sub-scales).  A changed number is kept when
 * the block, rounded anew, has a lower weighted squared error; sweeps go on until one
 * changes nothing.
 *
 * Planar: the range (or mean) that the group's parameters come from is shrunk and
 * stretched, and the candidate of least squared error wins (GPTQ's and llm-compressor's
 * "MSE" clipping; NVFP4's choice of 4 or 6 as the largest code).
 *
 * Sums are double, in index order: the same bytes on every machine.
 */
#include "lib/core/core.h"

#define SWEEPS 4
#define CHUNK  256

/* ----------------------------------------------------------------- blocked */

struct trial {
    const lqi_format *format;
    const lqi_fit    *in;
    uint8_t          *block;     /* best so far */
    double            error;
};

static double block_error(const struct trial *t, const void *param, const uint32_t *codes)
{
    float y[LQI_BLOCK_MAX];
    double sum = 0;

    t->format->value(t->in->spec, param, codes, t->format->block_len, y);
    for (size_t i = 0; i < t->in->n; i++) {
        double e = (double)t->in->x[i] - (double)y[i];
        sum += (t->in->imp ? (double)t->in->imp[i] : 1) * e * e;
    }
    return sum;
}

/* Parameters and codes of a block; the row's header is not in it. */
static void load(const struct trial *t, const uint8_t *block, void *param, uint32_t *codes)
{
    t->format->unpack(block, param, codes);
    if (t->format->row_bytes)
        memcpy(param, &t->in->row, sizeof t->in->row);
}

/* Change one number of the best block's parameters; keep the result if it is better.
 * Packing and unpacking first brings derived parameters in line with the stored ones. */
static int try_change(struct trial *t, const lqi_tunable *u, unsigned element, int delta)
{
    _Alignas(16) uint8_t param[LQI_PARAM_MAX] = { 0 };
    uint32_t codes[LQI_BLOCK_MAX];
    uint8_t block[LQI_BLOCK_BYTES];
    uint8_t *at = param + u->offset + (size_t)element * (u->kind == LQI_TUNE_F16 ? 2 : 1);

    load(t, t->block, param, codes);
    int value = u->kind == LQI_TUNE_F16 ? lqi_load16(at) & 0x7fff
                                        : u->kind == LQI_TUNE_I8 ? (int8_t)*at : *at;
    int sign = u->kind == LQI_TUNE_F16 ? lqi_load16(at) & 0x8000 : 0;
    if (value + delta < u->lo || value + delta > u->hi)
        return 0;
    if (u->kind == LQI_TUNE_F16) {
        uint16_t half = (uint16_t)((value + delta) | sign);
        memcpy(at, &half, sizeof half);   /* parameters are native numbers */
    } else {
        *at = (uint8_t)(value + delta);
    }
    t->format->pack(param, codes, block);
    load(t, block, param, codes);
    t->format->round(t->in, param, codes);
    double error = block_error(t, param, codes);
    if (!(error < t->error))
        return 0;
    t->format->pack(param, codes, t->block);
    t->error = error;
    return 1;
}

/* In steps that reach the other side of a small bump. */
static int tune(struct trial *t, const lqi_tunable *u, unsigned element)
{
    int changed = 0, largest = u->kind == LQI_TUNE_F16 ? 128 : 4;

    for (int step = 1; step <= largest; step *= 2)
        for (int sign = 1; sign >= -1; sign -= 2)
            while (try_change(t, u, element, sign * step))
                changed = 1;
    return changed;
}

void lqi_best_block(const lqi_format *f, const lqi_fit *in, uint8_t *block)
{
    _Alignas(16) uint8_t param[LQI_PARAM_MAX] = { 0 };
    uint32_t codes[LQI_BLOCK_MAX];
    struct trial t = { f, in, block, 0 };
    int changed = 1;

    load(&t, block, param, codes);
    t.error = block_error(&t, param, codes);
    for (int sweep = 0; sweep < SWEEPS && changed; sweep++) {
        changed = 0;
        for (const lqi_tunable *u = f->tunable; u && u->count; u++)
            for (unsigned e = 0; e < u->count; e++)
                changed |= tune(&t, u, e);
    }
}

/* ------------------------------------------------------------------ planar */

static lq_status group_error(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                             uint64_t n, const lqi_group *group, double *error)
{
    float x[CHUNK], y[CHUNK];
    uint32_t codes[CHUNK];
    lqi_fit in = { .spec = g->spec, .x = x, .partial = n < g->group_cols };
    lqi_group decoded = *group;      /* decoding sees the global scale in the other */

    if (g->spec->flags & LQ_SPEC_GLOBAL)
        decoded.scale = lqi_scale_global(g->spec, group->scale, group->global);
    *error = 0;
    for (uint64_t i = 0; i < n; i += CHUNK) {
        in.n = (size_t)lqi_min(CHUNK, n - i);
        lq_status status = lqi_values_read(v, first + i, in.n, x);
        if (status)
            return status;
        g->format->round(&in, group, codes);
        g->format->value(g->spec, &decoded, codes, in.n, y);
        for (size_t k = 0; k < in.n; k++) {
            double e = (double)x[k] - (double)y[k];
            *error += e * e;
        }
    }
    return LQ_OK;
}

#define FACTORS 100

/* Factors of the range: 1.00, 0.99 ... 0.20, then 1.05 ... 2.00. */
static float factor(int i)
{
    return i <= 80 ? (float)(100 - i) / 100 : (float)(100 + 5 * (i - 80)) / 100;
}

/* Formats with a mean get it as both ends of the range. */
static lq_status candidate(const lqi_geometry *g, float lo, float hi, lqi_group *group)
{
    return g->format->fit_mean ? lqi_group_mean(g, hi, 1, LQ_NONFINITE_ERROR, group)
                               : lqi_group_fit(g, lo, hi, LQ_NONFINITE_ERROR, group);
}

lq_status lqi_best_group(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                         uint64_t n, float lo, float hi, lqi_group *group)
{
    lqi_group best = *group;
    double least, error;
    lq_status status = group_error(g, v, first, n, &best, &least);

    for (int i = 1; i <= FACTORS && least > 0 && !status; i++) {
        lqi_group other = { 0, 0, group->global };
        /* what does not fit its type is no candidate */
        if (candidate(g, lo * factor(i), hi * factor(i), &other))
            continue;
        status = group_error(g, v, first, n, &other, &error);
        if (!status && error < least) {
            least = error;
            best = other;
        }
    }
    *group = best;
    return status;
}
