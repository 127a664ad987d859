/* SPDX-License-Identifier: MIT */
/*
 * lib/format/search.c - the scale searches that several block formats share
 */
#include "lib/format/search.h"

float lqi_extreme(const float *x, int n)
{
    float most = 0, extreme = 0;

    for (int i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        if (a > most) {
            most = a;
            extreme = x[i];
        }
    }
    return extreme;
}

float lqi_sum_squares(const float *x, int n)
{
    float sum = 0;

    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

float lqi_search_weights(const float *x, const float *imp, int n, float ms, float *w)
{
    float sum = 0;

    for (int i = 0; i < n; i++) {
        w[i] = imp[i] * sqrtf(ms + x[i] * x[i]);
        sum += w[i];
    }
    return sum;
}

/* --------------------------------------------------------------- symmetric */

/* One lane per candidate: lane 0 rounds with nmax / extreme itself, the others with
 * nmax + 0.1 s, s = -9..9 without 0.  Lanes are independent, so that compilers can
 * turn the inner loop into vectors without changing the order of any sum. */
#define QX_LANES 19

static void qx_inverses(int nmax, float extreme, float *inverse)
{
    inverse[0] = (float)-nmax / extreme;
    for (int lane = 1; lane < QX_LANES; lane++) {
        int s = lane <= 9 ? lane - 10 : lane - 9;
        inverse[lane] = -((float)nmax + 0.1f * (float)s) / extreme;
    }
}

lqi_qx lqi_make_qx(const float *x, const float *w, int n, int nmax)
{
    float extreme = lqi_extreme(x, n);
    float inverse[QX_LANES], a[QX_LANES] = { 0 }, b[QX_LANES] = { 0 };

    assert(n <= LQI_SEARCH_MAX);
    if (fabsf(extreme) < LQI_SEARCH_EPS)
        return (lqi_qx){ 0, 0 };
    qx_inverses(nmax, extreme, inverse);

    for (int i = 0; i < n; i++) {
        float wx = w[i] * x[i];
        for (int c = 0; c < QX_LANES; c++) {
            int l = lqi_clamp_int(lqi_nearest_int(inverse[c] * x[i]), -nmax, nmax - 1);
            a[c] += wx * (float)l;
            b[c] += w[i] * (float)l * (float)l;
        }
    }

    lqi_qx won = { b[0] != 0 ? a[0] / b[0] : 0, inverse[0] };
    float best = won.scale * a[0];
    for (int c = 1; c < QX_LANES; c++)
        if (b[c] > 0 && a[c] * a[c] > best * b[c]) {
            won = (lqi_qx){ a[c] / b[c], inverse[c] };
            best = won.scale * a[c];
        }
    return won;
}

/* Fit of codes under change: the scale is xl / l2. */
typedef struct code_fit {
    float xl, l2;   /* sums of w x l and w l^2 */
} code_fit;

/* Try each l alone against the others; number of changes. */
static int q3_sweep(const float *x, int n, int nmax, int *l, code_fit *fit)
{
    int changed = 0;

    for (int i = 0; i < n; i++) {
        float w = x[i] * x[i], old = (float)l[i];
        code_fit rest = { fit->xl - w * x[i] * old, fit->l2 - w * old * old };
        if (!(rest.xl > 0))
            continue;
        int best = lqi_clamp_int(lqi_nearest_int(x[i] * rest.l2 / rest.xl), -nmax, nmax - 1);
        if (best == l[i])
            continue;
        rest.xl += w * x[i] * (float)best;
        rest.l2 += w * (float)best * (float)best;
        if (rest.l2 > 0 && rest.xl * rest.xl * fit->l2 > fit->xl * fit->xl * rest.l2) {
            l[i] = best;
            *fit = rest;
            changed++;
        }
    }
    return changed;
}

float lqi_make_q3(const float *x, int n, int nmax, uint32_t *codes)
{
    float extreme = lqi_extreme(x, n);
    code_fit fit = { 0, 0 };
    int l[LQI_SEARCH_MAX];

    assert(n <= LQI_SEARCH_MAX);
    for (int i = 0; i < n; i++)
        codes[i] = 0;
    if (fabsf(extreme) < LQI_SEARCH_EPS)
        return 0;

    float inverse = (float)-nmax / extreme;
    for (int i = 0; i < n; i++) {
        float w = x[i] * x[i];
        l[i] = lqi_clamp_int(lqi_nearest_int(inverse * x[i]), -nmax, nmax - 1);
        fit.xl += w * x[i] * (float)l[i];
        fit.l2 += w * (float)l[i] * (float)l[i];
    }
    for (int sweep = 0; sweep < 5; sweep++)
        if (!q3_sweep(x, n, nmax, l, &fit))
            break;
    for (int i = 0; i < n; i++)
        codes[i] = (uint32_t)(l[i] + nmax);
    return fit.l2 > 0 ? fit.xl / fit.l2 : 0;
}

/* ------------------------------------------------------------------ affine */

/* What the fit of a candidate's codes needs; 'l' as floats, they are small integers. */
typedef struct qkx_sums {
    float w, x, l, l2, xl;
} qkx_sums;

static float affine_error(const float *x, const float *w, const float *l, int n,
                          const lqi_qkx *fit, int absolute)
{
    float error = 0;

    for (int i = 0; i < n; i++) {
        float e = fit->scale * l[i] + fit->base - x[i];
        error += w[i] * (absolute ? fabsf(e) : e * e);
    }
    return error;
}

static void affine_codes(const float *x, int n, int nmax, float inverse, float base, float *l)
{
    for (int i = 0; i < n; i++)
        l[i] = (float)lqi_clamp_int(lqi_nearest_int(inverse * (x[i] - base)), 0, nmax);
}

static void code_sums(const float *x, const float *w, const float *l, int n, qkx_sums *s)
{
    s->l = s->l2 = s->xl = 0;
    for (int i = 0; i < n; i++) {
        float wl = w[i] * l[i];
        s->l += wl;
        s->l2 += wl * l[i];
        s->xl += wl * x[i];
    }
}

/* Least squares for given codes; 0 if they do not determine a line. */
static int affine_solve(const qkx_sums *s, float *scale, float *base)
{
    float det = s->w * s->l2 - s->l * s->l;

    if (!(det > 0))
        return 0;
    *scale = (s->w * s->xl - s->x * s->l) / det;
    *base = (s->l2 * s->x - s->l * s->xl) / det;
    if (*base > 0) {
        *base = 0;
        *scale = s->xl / s->l2;
    }
    return 1;
}

/* The start: least and largest value, sums over the group, rounding to the full range. */
static float affine_start(const float *x, const float *w, int n, float *lo, qkx_sums *s)
{
    float hi = x[0];

    *lo = x[0];
    s->w = s->x = 0;
    for (int i = 0; i < n; i++) {
        *lo = x[i] < *lo ? x[i] : *lo;
        hi = x[i] > hi ? x[i] : hi;
        s->w += w[i];
        s->x += w[i] * x[i];
    }
    if (*lo > 0)
        *lo = 0;
    return hi;
}

lqi_qkx lqi_make_qkx(const lqi_qkx_plan *plan, const float *x, const float *w, int n)
{
    float l[LQI_SEARCH_MAX], lo;
    qkx_sums sums;
    float hi = affine_start(x, w, n, &lo, &sums);

    assert(n <= LQI_SEARCH_MAX);
    if (hi == lo)
        return (lqi_qkx){ .min = -lo, .base = lo };

    lqi_qkx won = { .inverse = (float)plan->nmax / (hi - lo), .base = lo };
    won.scale = 1 / won.inverse;
    affine_codes(x, n, plan->nmax, won.inverse, lo, l);
    float best = affine_error(x, w, l, n, &won, plan->absolute);

    for (int s = 0; s <= plan->steps; s++) {
        /* 'lo' moves with every accepted candidate, also under the ones still to come:
         * a quirk of the reference that the bytes depend on */
        float inverse = (plan->rmin + plan->rdelta * (float)s + (float)plan->nmax) / (hi - lo);
        lqi_qkx solved;
        affine_codes(x, n, plan->nmax, inverse, lo, l);
        code_sums(x, w, l, n, &sums);
        if (!affine_solve(&sums, &solved.scale, &solved.base))
            continue;
        float error = affine_error(x, w, l, n, &solved, plan->absolute);
        if (error < best) {
            best = error;
            won = (lqi_qkx){ .scale = solved.scale, .inverse = inverse, .base = lo };
            lo = solved.base;
        }
    }
    won.min = -lo;
    return won;
}

/* ------------------------------------------------------------ second level */

static float qp_error(const float *x, const float *w, int n, int nmax, float inverse)
{
    float scale = 1 / inverse, error = 0;

    for (int i = 0; i < n; i++) {
        int l = lqi_nearest_int(inverse * x[i]);
        float e = x[i] - scale * (float)(l > nmax ? nmax : l);
        error += w[i] * e * e;
    }
    return error;
}

/* The first rounding is judged by the codes as bytes, without the upper clamp. */
static float qp_first_error(const float *x, const float *w, int n, float inverse)
{
    float scale = 1 / inverse, error = 0;

    for (int i = 0; i < n; i++) {
        uint8_t l = (uint8_t)lqi_nearest_int(inverse * x[i]);
        float e = x[i] - scale * (float)l;
        error += w[i] * e * e;
    }
    return error;
}

static float qp_inverse(const float *x, const float *w, int n, int nmax, float hi)
{
    float inverse = (float)nmax / hi;
    float best = qp_first_error(x, w, n, inverse);

    for (int s = -4; s <= 4; s++) {
        float candidate = (0.1f * (float)s + (float)nmax) / hi;
        if (s == 0)
            continue;
        float error = qp_error(x, w, n, nmax, candidate);
        if (error < best) {
            best = error;
            inverse = candidate;
        }
    }
    return inverse;
}

/* Try each code alone against the others; number of codes changed. */
static int qp_sweep(const float *x, const float *w, int n, int nmax, uint8_t *codes,
                    code_fit *fit)
{
    int changed = 0;

    for (int i = 0; i < n; i++) {
        float wx = w[i] * x[i], old = (float)codes[i];
        code_fit rest = { fit->xl - wx * old, fit->l2 - w[i] * old * old };
        if (!(rest.xl > 0 && rest.l2 > 0))
            continue;
        int l = lqi_nearest_int(x[i] * rest.l2 / rest.xl);
        l = l > nmax ? nmax : l;
        if (l == codes[i])
            continue;
        rest.xl += wx * (float)l;
        rest.l2 += w[i] * (float)l * (float)l;
        if (rest.xl * rest.xl * fit->l2 > fit->xl * fit->xl * rest.l2) {
            codes[i] = (uint8_t)l;
            *fit = rest;
            changed++;
        }
    }
    return changed;
}

float lqi_make_qp(const float *x, const float *w, int n, int nmax, uint8_t *codes)
{
    float hi = 0;
    code_fit fit = { 0, 0 };

    for (int i = 0; i < n; i++)
        hi = x[i] > hi ? x[i] : hi;
    for (int i = 0; i < n; i++)
        codes[i] = 0;
    if (hi < LQI_SEARCH_EPS)
        return 0;

    float inverse = qp_inverse(x, w, n, nmax, hi);
    for (int i = 0; i < n; i++) {
        int l = lqi_nearest_int(inverse * x[i]);
        l = l > nmax ? nmax : l;
        codes[i] = (uint8_t)l;
        fit.xl += w[i] * x[i] * (float)l;
        fit.l2 += w[i] * (float)l * (float)l;
    }
    for (int sweep = 0; sweep < 5; sweep++)
        if (!qp_sweep(x, w, n, nmax, codes, &fit))
            break;
    return fit.l2 > 0 ? fit.xl / fit.l2 : 0;
}
