/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/clip.c - ranges that groups are fitted to
 *
 * A group whose range is shrunk has a finer step, and clips its largest weights.  The best
 * factor is searched by rounding.  Weights are then clamped to the range: whatever fits
 * scales to ranges, in one or two levels, finds the parameters that were tried here.
 */
#include "lib/base/mathx.h"
#include "lib/calib/gptq.h"

#define CHAINS 8
#define PIECE  256

/* ---------------------------------------------------------------------- error */

/* Sum over n values of weight |y - x|^power, in a fixed order. */
static double squares(const float *x, const float *y, const float *weight, size_t n)
{
    float chain[CHAINS] = { 0 };
    double sum = 0;
    size_t i = 0;

    for (; i + CHAINS <= n; i += CHAINS)
        for (size_t k = 0; k < CHAINS; k++) {
            float e = y[i + k] - x[i + k];
            chain[k] += (weight ? weight[i + k] : 1) * (e * e);
        }
    for (size_t k = 0; k < CHAINS; k++)
        sum += (double)chain[k];
    for (; i < n; i++)
        sum += (double)(weight ? weight[i] : 1) * ((double)y[i] - x[i]) * ((double)y[i] - x[i]);
    return sum;
}

static double powers(const lqi_clip *clip, const float *x, const float *y, const float *weight,
                     size_t n)
{
    double sum = 0;

    if (clip->power == 2)
        return squares(x, y, weight, n);
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)y[i] - (double)x[i]);
        if (e > 1e-300)
            sum += (weight ? (double)weight[i] : 1) * lqi_pow(e, clip->power);
    }
    return sum;
}

/* With the range [lo, hi] for all values; infinite where a scale does not fit its type. */
static double range_error(const lqi_clip *clip, const float *x, size_t n, float lo, float hi)
{
    const lqi_geometry *g = clip->g;
    lqi_fit in = { .spec = g->spec, .partial = n < g->group_cols };
    lqi_group group = { 0, 0, 0 };
    uint32_t codes[PIECE];
    float y[PIECE];
    double sum = 0;

    if (lqi_group_fit(g, lo, hi, LQ_NONFINITE_ERROR, &group))
        return INFINITY;
    for (size_t i = 0; i < n; i += PIECE) {
        in.n = (size_t)lqi_min(PIECE, n - i);
        in.x = x + i;
        g->format->round(&in, &group, codes);
        g->format->value(g->spec, &group, codes, in.n, y);
        sum += powers(clip, x + i, y, clip->weight ? clip->weight + i : NULL, in.n);
    }
    return sum;
}

/* --------------------------------------------------------------------- search */

static void range_of(const float *x, size_t n, float *lo, float *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        *lo = x[i] < *lo ? x[i] : *lo;
        *hi = x[i] > *hi ? x[i] : *hi;
    }
}

struct search {
    const lqi_clip *clip;
    const float    *x;
    size_t          n;
    float           lo, hi;
    int             best;     /* hundredths */
    double          least;
};

static void try_factor(struct search *s, int hundredths)
{
    float p = (float)hundredths / 100;
    double error = range_error(s->clip, s->x, s->n, s->lo * p, s->hi * p);

    if (error < s->least) {
        s->least = error;
        s->best = hundredths;
    }
}

float lqi_clip_factor(const lqi_clip *clip, const float *x, size_t n)
{
    struct search s = { .clip = clip, .x = x, .n = n, .best = 100, .least = INFINITY };
    int middle;

    range_of(x, n, &s.lo, &s.hi);
    if (clip->every) {
        for (int i = 100; i > 20; i--)
            try_factor(&s, i);
        return (float)s.best / 100;
    }
    for (int i = 100; i >= 40; i -= 6)
        try_factor(&s, i);
    middle = s.best;
    for (int i = 2; i <= 4; i += 2) {
        if (middle + i < 100)
            try_factor(&s, middle + i);
        try_factor(&s, middle - i);
    }
    return (float)s.best / 100;
}

/* --------------------------------------------------------------------- weights */

struct weights {
    const lqi_clip *clip;
    float          *w;
};

static void clamp(float *x, size_t n, float p)
{
    float lo, hi;

    range_of(x, n, &lo, &hi);
    lo = (lo < 0 ? lo : 0) * p;
    hi = (hi > 0 ? hi : 0) * p;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < lo ? lo : x[i] > hi ? hi : x[i];   /* a NaN stays: encoding says so */
}

static void clip_task(void *arg, size_t row)
{
    const struct weights *job = arg;
    const lqi_geometry *g = job->clip->g;
    lqi_clip clip = *job->clip;

    for (uint64_t c = 0; c < g->cols; c += g->group_cols) {
        size_t n = (size_t)lqi_min(g->group_cols, g->cols - c);
        float *x = job->w + row * g->cols + c;
        clip.weight = job->clip->weight ? job->clip->weight + c : NULL;
        clamp(x, n, lqi_clip_factor(&clip, x, n));
    }
}

void lqi_clip_weights(const lq_ctx *ctx, const lqi_clip *clip, float *w)
{
    struct weights job = { clip, w };

    lqi_parallel(ctx, (size_t)clip->g->rows, clip_task, &job);
}
