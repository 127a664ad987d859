/* SPDX-License-Identifier: MIT */
/*
 * lib/format/hqq.c - float zero points by HQQ's half-quadratic solver
 *
 *   by     = min(maxq / (max - min), 2e4)         scale = 1 / by, kept
 *   zero   = -min * by                            start; 4 bits: rounded to an integer
 *   repeat at most 20 times, until zero stays
 *       q    = clamp(round(x * by + zero))
 *       e    = x - (q - zero) / by
 *       e    = sign(e) * max(|e| - |e|^-0.3 / 10, 0)     p = 0.7, beta = 10
 *       zero = mean(q - (x - e) * by)
 *   value  = (code - zero) * scale
 *
 * Source of truth: HQQ's default solver (mobiusml/hqq, axis 1).  It stops when the mean error
 * of the whole tensor stops falling, by which time the zero points stand still: a group may
 * stop when its own does.  Means are summed in double, in order; HQQ's f32 sums differ in
 * the last bits of zero.
 *
 * Of our own, where the reference's numbers are of no use:
 *   all equal       scale |x|, zero -1 or 1: exact.  All zero: scale 1, zero 0
 *   f16 scales      'by' is at most 6e4 / |min|, so that zero fits
 */
#include "lib/format/hqq.h"
#include "lib/format/planar.h"

#define ITERATIONS 20

/*
 * |e|^-0.3 for e in (0.15, 1e38), to about 1e-15, by operations that every machine rounds
 * alike (pow does not): Newton's method for y^10 = e^-3, from a guess by the exponent.
 */
static double power(double e)
{
    uint64_t bits;
    double y;

    memcpy(&bits, &e, sizeof bits);
    bits = ((uint64_t)1023 << 52) / 10 * 13 - bits / 10 * 3;
    memcpy(&y, &bits, sizeof y);
    for (int i = 0; i < 7; i++) {
        double y2 = y * y, y4 = y2 * y2;
        y += y * (1 - e * e * e * (y4 * y4 * y2)) / 10;
    }
    return y;
}

/* Errors below 10^(-1 / 1.3) = 0.17 shrink to nothing. */
static float shrink(float e)
{
    float a = fabsf(e), rest;

    if (!(a > 0.15f) || !lqi_finite(a))
        return 0;
    rest = a - 0.1f * (float)power((double)a);
    return rest > 0 ? copysignf(rest, e) : 0;
}

static float step(const lqi_fit *in, float maxq, float by, float zero)
{
    double sum = 0;

    for (size_t i = 0; i < in->n; i++) {
        float x = in->x[i], q = (float)lqi_round_int(x * by + zero, 0, maxq);
        float e = shrink(x - (q - zero) / by);
        sum += (double)(q - (x - e) * by);
    }
    return (float)(sum / (double)in->n);
}

static void constant(float x, lqi_group *group)
{
    group->scale = x == 0 ? 1 : fabsf(x);
    group->zero = x > 0 ? -1.0f : x < 0 ? 1.0f : 0.0f;
}

void lqi_hqq_fit(const lqi_fit *in, unsigned bits, lqi_group *group)
{
    float lo = in->x[0], hi = in->x[0], maxq = (float)((1u << bits) - 1), by, zero;

    for (size_t i = 1; i < in->n; i++) {
        lo = in->x[i] < lo ? in->x[i] : lo;
        hi = in->x[i] > hi ? in->x[i] : hi;
    }
    if (!(lo < hi)) {
        constant(lo, group);
        return;
    }
    by = 1 / (hi - lo) * maxq;
    by = by > 2e4f ? 2e4f : by;
    if (in->spec->scale_type == LQ_F16 && fabsf(lo) * by > 6e4f)
        by = 6e4f / fabsf(lo);
    zero = -lo * by;
    if (bits == 4)
        zero = rintf(zero);
    for (int i = 0; i < ITERATIONS; i++) {
        float next = step(in, maxq, by, zero);
        if (!(next < zero) && !(next > zero))
            break;
        zero = next;
    }
    group->scale = 1 / by;
    group->zero = zero;
}
