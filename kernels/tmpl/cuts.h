/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/cuts.h - best cuts of sorted values in three levels
 *
 * Part of search.h, whose conventions it uses; lib/format/iq1_s.c and iq1_m.c are the
 * specification.  All cuts are tried in order: the lower end, the upper end, then the signs
 * of the deltas.  Lanes are consecutive trials of one lower end: so many upper ends times
 * the combinations of signs.
 */
#ifndef SEARCH_MAGIC
#error "included by kernels/tmpl/search.h"
#endif

#define CUT_MOST 32   /* values */
#define CUT_HUGE 1e15f

/* Indices of n values, ascending, the first of equal ones first: a value's place is the
 * number of those before it.  Returns 0 for values that are not ours. */
V_INLINE int cut_sort(const float *x, const int n, uint8_t *order)
{
    float place[CUT_MOST];
    v_mask fine = v_eq(v_set1(0), v_set1(0));

    for (int i = 0; i < n; i += V_LANES) {
        v_f32 v = v_load(x + i), index = v_add(v_set1((float)i), v_iota()), before = v_set1(0);
        fine = v_both(fine, v_lt(v_abs(v), v_set1(CUT_HUGE)));
        for (int k = 0; k < n; k++) {
            v_f32 other = v_set1(x[k]);
            v_mask same = v_both(v_eq(other, v), v_lt(v_set1((float)k), index));
            before = v_add(before, v_select(v_either(v_lt(other, v), same), v_set1(1), v_set1(0)));
        }
        v_store(place + i, before);
    }
    if (v_bits(v_not(fine)))
        return 0;
    for (int i = 0; i < n; i++)
        order[(int)place[i]] = (uint8_t)i;
    return 1;
}

/* ------------------------------------------------------------------ trials */

typedef struct cut_best {
    float best, scale;
    int   low, trial;   /* trial: upper end * combinations + combination */
} cut_best;

V_INLINE uint32_t cut_better(float best, v_f32 a, v_f32 b)
{
    return v_bits(v_both(v_lt(v_set1(0), b), v_lt(v_mul(v_set1(best), b), v_mul(a, a))));
}

/* Trials 'first' and following, 'count' of which exist: one after the other, each against
 * the best so far. */
V_INLINE void cut_try(cut_best *c, v_f32 a, v_f32 b, int low, int first, int count)
{
    uint32_t left = count < V_LANES ? (1u << count) - 1 : UINT32_MAX;
    uint32_t better = cut_better(c->best, a, b) & left;
    float xs[V_LANES], ws[V_LANES];

    if (!better)
        return;
    v_store(xs, a);
    v_store(ws, b);
    while (better) {
        int lane = __builtin_ctz(better);
        c->scale = xs[lane] / ws[lane];
        c->best = c->scale * xs[lane];
        c->low = low;
        c->trial = first + lane;
        left &= ~(uint32_t)0 << lane << 1;
        better = cut_better(c->best, a, b) & left;
    }
}

/* ------------------------------------------------- deltas of one sign, by sums */

typedef struct cut_sums {
    float wx[CUT_MOST + 1], w[CUT_MOST + 1];   /* running sums in sorted order */
    /* the same for each trial: two in a row with one upper end; and the share of what lies
     * above it */
    float wx2[2 * CUT_MOST + 2 + V_LANES], w2[2 * CUT_MOST + 2 + V_LANES];
    float top_wx[2 * CUT_MOST + 2 + V_LANES], top_w[2 * CUT_MOST + 2 + V_LANES];
} cut_sums;

V_INLINE void cut_add_up(const float *x, const float *w, const uint8_t *order, cut_sums *s)
{
    s->wx[0] = s->w[0] = 0;
    for (int k = 0; k < CUT_MOST; k++) {
        s->wx[k + 1] = s->wx[k] + w[order[k]] * x[order[k]];
        s->w[k + 1] = s->w[k] + w[order[k]];
    }
    for (int k = 0; k < 2 * CUT_MOST + 2 + V_LANES; k++) {
        s->wx2[k] = s->wx[k / 2 < CUT_MOST ? k / 2 : CUT_MOST];
        s->w2[k] = s->w[k / 2 < CUT_MOST ? k / 2 : CUT_MOST];
    }
}

static int search_cut_32(const float *x, const float *w, const float q[2][3], lqi_cut *cut)
{
    const int n = CUT_MOST, trials = 2 * CUT_MOST + 2;
    cut_best c = { .best = -FLT_MAX, .low = -1 };
    float two[3][V_LANES];
    v_f32 q0, q1, q2;
    cut_sums s;

    if (!cut_sort(x, n, cut->order))
        return 1;
    cut_add_up(x, w, cut->order, &s);
    for (int i = 0; i < V_LANES; i++)
        for (int l = 0; l < 3; l++)
            two[l][i] = q[i % 2][l];
    q0 = v_load(two[0]), q1 = v_load(two[1]), q2 = v_load(two[2]);
    for (int k = 0; k < trials; k += V_LANES) {
        v_f32 wx = v_sub(v_set1(s.wx[n]), v_load(s.wx2 + k));
        v_f32 ww = v_sub(v_set1(s.w[n]), v_load(s.w2 + k));
        v_store(s.top_wx + k, v_mul(wx, q2));
        v_store(s.top_w + k, v_mul(v_mul(ww, q2), q2));
    }
    for (int i = 0; i <= n; i++) {
        v_f32 wx = v_set1(s.wx[i]), ww = v_set1(s.w[i]);
        v_f32 low_wx = v_mul(v_sub(wx, v_set1(s.wx[0])), q0);
        v_f32 low_w = v_mul(v_mul(v_sub(ww, v_set1(s.w[0])), q0), q0);
        for (int k = 2 * i; k < trials; k += V_LANES) {
            v_f32 a = v_add(low_wx, v_mul(v_sub(v_load(s.wx2 + k), wx), q1));
            v_f32 b = v_add(low_w, v_mul(v_mul(v_sub(v_load(s.w2 + k), ww), q1), q1));
            cut_try(&c, v_add(a, v_load(s.top_wx + k)), v_add(b, v_load(s.top_w + k)), i, k,
                    trials - k);
        }
    }
    cut->low = c.low;
    cut->high = c.trial / 2;
    cut->minus = c.trial % 2 ? 15 : 0;
    cut->scale = c.scale;
    return 0;
}

/* ----------------------------------------- deltas of two signs, term by term */

#define CUT_N     16
#define CUT_HIGHS (V_LANES / 4)   /* upper ends side by side */

/* Terms of the value at a place, for each level. */
typedef struct cut_terms {
    v_f32 a[CUT_N][3], b[CUT_N][3];
} cut_terms;

V_INLINE void cut_make_terms(const float *x, const float *w, const float q[2][3],
                             const uint8_t *order, cut_terms *t)
{
    v_f32 level[2][3];   /* of values in the first and the second half of the group */

    for (int l = 0; l < 3; l++) {
        float first[V_LANES], second[V_LANES];
        for (int i = 0; i < V_LANES; i++) {
            first[i] = q[i / 2 % 2][l];
            second[i] = q[i % 2][l];
        }
        level[0][l] = v_load(first);
        level[1][l] = v_load(second);
    }
    for (int k = 0; k < CUT_N; k++)
        for (int l = 0; l < 3; l++) {
            v_f32 v = level[order[k] / 8][l], wq = v_mul(v_set1(w[order[k]]), v);
            t->a[k][l] = v_mul(wq, v_set1(x[order[k]]));
            t->b[k][l] = v_mul(wq, v);
        }
}

/* Upper ends from 'high' on, after the terms below it. */
V_INLINE void cut_try_highs(const cut_terms *t, cut_best *c, v_f32 a, v_f32 b, int low, int high)
{
    float end[V_LANES];

    for (int i = 0; i < V_LANES; i++)
        end[i] = (float)(i / 4);
    for (int k = high; k < CUT_N; k++) {
        v_mask below = v_lt(v_set1((float)(k - high)), v_load(end));
        if (k - high < CUT_HIGHS - 1) {
            a = v_add(a, v_select(below, t->a[k][1], t->a[k][2]));
            b = v_add(b, v_select(below, t->b[k][1], t->b[k][2]));
        } else {
            a = v_add(a, t->a[k][2]);
            b = v_add(b, t->b[k][2]);
        }
    }
    cut_try(c, a, b, low, 4 * high, 4 * (CUT_N + 1 - high));
}

static int search_cut_16(const float *x, const float *w, const float q[2][3], lqi_cut *cut)
{
    static const uint8_t minus[4] = { 0, 2, 1, 3 };
    cut_best c = { .best = -FLT_MAX, .low = -1 };
    v_f32 low_a = v_set1(0), low_b = v_set1(0);
    cut_terms t;

    if (!cut_sort(x, CUT_N, cut->order))
        return 1;
    cut_make_terms(x, w, q, cut->order, &t);
    for (int i = 0; i <= CUT_N; i++) {
        v_f32 a = low_a, b = low_b;
        for (int high = i; high <= CUT_N; high += CUT_HIGHS) {
            cut_try_highs(&t, &c, a, b, i, high);
            for (int k = high; k < high + CUT_HIGHS && k < CUT_N; k++) {
                a = v_add(a, t.a[k][1]);
                b = v_add(b, t.b[k][1]);
            }
        }
        if (i < CUT_N) {
            low_a = v_add(low_a, t.a[i][0]);
            low_b = v_add(low_b, t.b[i][0]);
        }
    }
    cut->low = c.low;
    cut->high = c.trial / 4;
    cut->minus = minus[c.trial % 4];
    cut->scale = c.scale;
    return 0;
}
