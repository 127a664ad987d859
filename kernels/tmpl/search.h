/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/search.h - scale searches, one block per lane
 *
 * Included by each ISA unit after its vocabulary, of which it uses: V_LANES, v_f32, v_mask,
 * load, store, set1, add, sub, mul, div, sqrt, abs, neg, min, max, lt, eq, both, either,
 * not, bits, select, store_bytes, store_codes, store_u32, transpose, table4_at, levels.
 *
 * lib/format/search.c is the specification.  A float sum runs over the elements of its
 * lane in ascending order; nothing is fused or reassociated.  Codes stay floats, which is
 * exact for small integers.  Rounding adds 1.5 * 2^23: the sum has the integer in its low
 * bits and is clamped before it is subtracted again.
 *
 * Two groups go through each loop together, because the sums of one are a chain of
 * additions that leaves the CPU half idle.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

#define SEARCH_MAGIC 12582912.0f   /* 1.5 * 2^23 */
#define SEARCH_LIMIT 2097152.0f    /* 2^21: rounding is exact well below 2^22 */
#define SEARCH_EPS   1e-15f        /* as LQI_SEARCH_EPS */
#define SEARCH_HUGE  1e30f         /* second-level numbers from here on are not ours */

/* 'count' is a constant once functions are inlined */
#if defined(__clang__)
#define EACH_GROUP(k, count) _Pragma("clang loop unroll(full)") for (int k = 0; k < count; k++)
#else
#define EACH_GROUP(k, count) _Pragma("GCC unroll 2") for (int k = 0; k < count; k++)
#endif

/* ------------------------------------------------------ transposing, weighing */

static void search_transpose(const float *const *rows, size_t first, size_t n, float *x)
{
    for (size_t i = 0; i < n; i += V_LANES)
        v_transpose(rows, first + i, x + i * V_LANES);
}

V_INLINE v_f32 sum_of_squares(const float *x, size_t n)
{
    v_f32 sum = v_set1(0);

    for (size_t i = 0; i < n; i++) {
        v_f32 v = v_load(x + i * V_LANES);
        sum = v_add(sum, v_mul(v, v));
    }
    return sum;
}

static void search_sum_squares(const float *x, size_t n, float *sum)
{
    v_store(sum, sum_of_squares(x, n));
}

V_INLINE v_f32 weight_of(lqi_weighting how, v_f32 x, v_f32 extra, v_f32 imp)
{
    switch (how) {
    case LQI_WEIGH_SQUARE: return v_mul(x, x);
    case LQI_WEIGH_ABS:    return v_abs(x);
    case LQI_WEIGH_RMS:    return v_add(extra, v_abs(x));
    default:               return v_mul(imp, v_sqrt(v_add(extra, v_mul(x, x))));
    }
}

V_INLINE v_f32 weigh_all(lqi_weighting how, const float *x, size_t n, v_f32 extra, float *w)
{
    v_f32 sum = v_set1(0), imp = v_set1(0);

    for (size_t i = 0; i < n; i++) {
        if (how == LQI_WEIGH_IMPORTANCE)
            imp = v_load(w + i * V_LANES);
        v_f32 v = weight_of(how, v_load(x + i * V_LANES), extra, imp);
        v_store(w + i * V_LANES, v);
        sum = v_add(sum, v);
    }
    return sum;
}

static void search_weigh(lqi_weighting how, const float *x, size_t n, const float *ms, float *w,
                         float *sum)
{
    v_f32 s, extra = v_set1(0);

    if (how == LQI_WEIGH_SQUARE) {
        s = weigh_all(LQI_WEIGH_SQUARE, x, n, extra, w);
    } else if (how == LQI_WEIGH_ABS) {
        s = weigh_all(LQI_WEIGH_ABS, x, n, extra, w);
    } else if (how == LQI_WEIGH_RMS) {
        extra = v_sqrt(v_div(sum_of_squares(x, n), v_set1((float)n)));
        s = weigh_all(LQI_WEIGH_RMS, x, n, extra, w);
    } else {
        s = weigh_all(LQI_WEIGH_IMPORTANCE, x, n, v_load(ms), w);
    }
    v_store(sum, s);
}

/* ------------------------------------------------------------------ affine */

/* One group; 'lo' is the base in force, which moves with every accepted candidate. */
typedef struct affine {
    v_f32  least, hi, lo;
    v_f32  sum_w, sum_x;
    v_f32  best, scale, inverse, base;
    v_mask dead, odd;
} affine;

/* Sums over the codes of a candidate, and the line through them. */
typedef struct affine_line {
    v_f32  inverse, l, l2, xl, scale, base, error;
    v_mask valid;
} affine_line;

V_INLINE v_f32 affine_code(v_f32 inverse, v_f32 lo, v_f32 x, v_f32 top)
{
    const v_f32 magic = v_set1(SEARCH_MAGIC);
    v_f32 v = v_add(v_mul(inverse, v_sub(x, lo)), magic);

    return v_sub(v_min(v_max(v, magic), top), magic);
}

V_INLINE v_f32 affine_term(int absolute, v_f32 w, v_f32 x, v_f32 l, v_f32 scale, v_f32 base)
{
    v_f32 e = v_sub(v_add(v_mul(scale, l), base), x);

    return v_mul(w, absolute ? v_abs(e) : v_mul(e, e));
}

/* Lanes whose scaled values leave the range of exact rounding. */
V_INLINE v_mask affine_odd(const affine *a, v_f32 inverse)
{
    v_f32 reach = v_max(v_abs(v_sub(a->least, a->lo)), v_abs(v_sub(a->hi, a->lo)));

    return v_not(v_lt(v_abs(v_mul(inverse, reach)), v_set1(SEARCH_LIMIT)));
}

V_INLINE void affine_start(affine *a, const float *x, const float *w, size_t n, v_f32 nmax)
{
    v_f32 zero = v_set1(0);

    a->least = a->hi = v_load(x);
    a->sum_w = a->sum_x = zero;
    for (size_t i = 0; i < n; i++) {
        v_f32 v = v_load(x + i * V_LANES), u = v_load(w + i * V_LANES);
        a->least = v_min(v, a->least);
        a->hi = v_max(v, a->hi);
        a->sum_w = v_add(a->sum_w, u);
        a->sum_x = v_add(a->sum_x, v_mul(u, v));
    }
    a->base = a->lo = v_select(v_lt(zero, a->least), zero, a->least);
    a->dead = v_eq(a->hi, a->lo);
    a->inverse = v_div(nmax, v_sub(a->hi, a->lo));
    a->scale = v_div(v_set1(1), a->inverse);
    a->best = zero;
    a->odd = v_either(affine_odd(a, a->inverse),
                      v_not(v_lt(v_abs(a->sum_x), v_set1(FLT_MAX))));
}

/* Least squares for the codes of a candidate. */
V_INLINE void affine_solve(const affine *a, affine_line *c)
{
    v_f32 zero = v_set1(0);
    v_f32 det = v_sub(v_mul(a->sum_w, c->l2), v_mul(c->l, c->l));
    v_mask above;

    c->valid = v_lt(zero, det);
    c->scale = v_div(v_sub(v_mul(a->sum_w, c->xl), v_mul(a->sum_x, c->l)), det);
    c->base = v_div(v_sub(v_mul(c->l2, a->sum_x), v_mul(c->l, c->xl)), det);
    c->error = zero;
    above = v_lt(zero, c->base);
    if (v_bits(above)) {
        c->base = v_select(above, zero, c->base);
        c->scale = v_select(above, v_div(c->xl, c->l2), c->scale);
    }
}

V_INLINE void affine_accept(affine *a, const affine_line *c)
{
    v_mask better = v_both(c->valid, v_lt(c->error, a->best));

    a->best = v_select(better, c->error, a->best);
    a->scale = v_select(better, c->scale, a->scale);
    a->inverse = v_select(better, c->inverse, a->inverse);
    a->base = v_select(better, a->lo, a->base);
    a->lo = v_select(better, c->base, a->lo);
}

/* What the one or two groups of a loop have in common; 'step' floats apart. */
typedef struct affine_data {
    const float *x, *w;
    float       *l;
    size_t       step;
    v_f32        nmax, top;
} affine_data;

V_INLINE void affine_first(const affine_data *d, affine *a, const int count,
                           const int absolute)
{
    for (size_t i = 0; i < d->step; i += V_LANES)
        EACH_GROUP(k, count) {
            size_t at = (size_t)k * d->step + i;
            v_f32 x = v_load(d->x + at), l = affine_code(a[k].inverse, a[k].lo, x, d->top);
            a[k].best = v_add(a[k].best, affine_term(absolute, v_load(d->w + at), x, l,
                                                     a[k].scale, a[k].lo));
        }
}

V_INLINE void affine_candidate(const affine_data *d, affine *a, v_f32 numerator,
                               const int count, const int absolute)
{
    affine_line c[2];

    EACH_GROUP(k, count) {
        c[k].inverse = v_div(numerator, v_sub(a[k].hi, a[k].lo));
        a[k].odd = v_either(a[k].odd, affine_odd(&a[k], c[k].inverse));
        c[k].l = c[k].l2 = c[k].xl = v_set1(0);
    }
    for (size_t i = 0; i < d->step; i += V_LANES)
        EACH_GROUP(k, count) {
            size_t at = (size_t)k * d->step + i;
            v_f32 x = v_load(d->x + at), l = affine_code(c[k].inverse, a[k].lo, x, d->top);
            v_f32 wl = v_mul(v_load(d->w + at), l);
            v_store(d->l + at, l);
            c[k].l = v_add(c[k].l, wl);
            c[k].l2 = v_add(c[k].l2, v_mul(wl, l));
            c[k].xl = v_add(c[k].xl, v_mul(wl, x));
        }
    EACH_GROUP(k, count)
        affine_solve(&a[k], &c[k]);
    for (size_t i = 0; i < d->step; i += V_LANES)
        EACH_GROUP(k, count) {
            size_t at = (size_t)k * d->step + i;
            v_f32 term = affine_term(absolute, v_load(d->w + at), v_load(d->x + at),
                                     v_load(d->l + at), c[k].scale, c[k].base);
            c[k].error = v_add(c[k].error, term);
        }
    EACH_GROUP(k, count)
        affine_accept(&a[k], &c[k]);
}

/* 'count' groups (1 or 2) from number 'g' on. */
V_INLINE v_mask affine_groups(const lqi_affine_search *s, size_t g, const int count,
                              const int absolute)
{
    _Alignas(64) float l[2 * LQI_LANE_GROUP * V_LANES];
    const size_t step = s->n * V_LANES;
    const v_f32 nmax = v_set1((float)s->nmax), zero = v_set1(0);
    const affine_data d = { s->x + g * step, s->w + g * step, l, step, nmax,
                            v_add(nmax, v_set1(SEARCH_MAGIC)) };
    v_mask odd = v_lt(zero, zero);
    affine a[2];

    EACH_GROUP(k, count)
        affine_start(&a[k], d.x + (size_t)k * step, d.w + (size_t)k * step, s->n, nmax);
    affine_first(&d, a, count, absolute);
    for (int t = 0; t <= s->steps; t++)
        affine_candidate(&d, a, v_set1(s->rmin + s->rdelta * (float)t + (float)s->nmax), count,
                         absolute);
    EACH_GROUP(k, count) {
        size_t at = (g + (size_t)k) * V_LANES;
        v_store(s->scale + at, v_select(a[k].dead, zero, a[k].scale));
        v_store(s->inverse + at, v_select(a[k].dead, zero, a[k].inverse));
        v_store(s->base + at, a[k].base);
        v_store(s->min + at, v_neg(a[k].lo));
        odd = v_either(odd, v_both(a[k].odd, v_not(a[k].dead)));
    }
    return odd;
}

V_INLINE uint32_t affine_all(const lqi_affine_search *s, const int absolute)
{
    uint32_t odd = 0;
    size_t g = 0;

    assert(s->n <= LQI_LANE_GROUP);
    for (; g + 2 <= s->groups; g += 2)
        odd |= v_bits(affine_groups(s, g, 2, absolute));
    if (g < s->groups)
        odd |= v_bits(affine_groups(s, g, 1, absolute));
    return odd;
}

static uint32_t search_affine(const lqi_affine_search *s)
{
    return s->absolute ? affine_all(s, 1) : affine_all(s, 0);
}

/* --------------------------------------------------------------- symmetric */

typedef struct symmetric {
    v_f32  extreme, best, scale, inverse;
    v_mask dead, odd;
} symmetric;

/* The first element of largest magnitude, and whether the group is ours. */
V_INLINE void symmetric_start(symmetric *q, const float *x, size_t n)
{
    v_f32 most = v_set1(0);
    v_mask fine = v_eq(most, most);

    q->extreme = most;
    for (size_t i = 0; i < n; i++) {
        v_f32 v = v_load(x + i * V_LANES), a = v_abs(v);
        v_mask more = v_lt(most, a);
        most = v_select(more, a, most);
        q->extreme = v_select(more, v, q->extreme);
        fine = v_both(fine, v_lt(a, v_set1(SEARCH_HUGE)));
    }
    q->dead = v_lt(most, v_set1(SEARCH_EPS));
    q->odd = v_not(fine);
}

V_INLINE v_f32 symmetric_code(v_f32 inverse, v_f32 x, v_f32 low, v_f32 high)
{
    const v_f32 magic = v_set1(SEARCH_MAGIC);

    return v_sub(v_min(v_max(v_add(v_mul(inverse, x), magic), low), high), magic);
}

typedef struct symmetric_data {
    const float *x, *w;
    float       *wx;
    size_t       step;
    v_f32        low, high;   /* SEARCH_MAGIC plus the least and the largest code */
} symmetric_data;

/* Candidates do not depend on one another: 'first' is the one that is always taken. */
V_INLINE void symmetric_candidate(const symmetric_data *d, symmetric *q, v_f32 numerator,
                                  const int first, const int count)
{
    v_f32 inverse[2], a[2], b[2];

    EACH_GROUP(k, count) {
        inverse[k] = v_div(numerator, q[k].extreme);
        a[k] = b[k] = v_set1(0);
    }
    for (size_t i = 0; i < d->step; i += V_LANES)
        EACH_GROUP(k, count) {
            size_t at = (size_t)k * d->step + i;
            v_f32 l = symmetric_code(inverse[k], v_load(d->x + at), d->low, d->high);
            a[k] = v_add(a[k], v_mul(v_load(d->wx + at), l));
            b[k] = v_add(b[k], v_mul(v_mul(v_load(d->w + at), l), l));
        }
    EACH_GROUP(k, count) {
        v_f32 zero = v_set1(0), scale = v_div(a[k], b[k]);
        v_mask better = v_both(v_lt(zero, b[k]), v_lt(v_mul(q[k].best, b[k]),
                                                      v_mul(a[k], a[k])));
        if (first) {
            better = v_eq(zero, zero);
            scale = v_select(v_eq(b[k], zero), zero, scale);
        }
        q[k].scale = v_select(better, scale, q[k].scale);
        q[k].best = v_select(better, v_mul(scale, a[k]), q[k].best);
        q[k].inverse = v_select(better, inverse[k], q[k].inverse);
    }
}

V_INLINE v_mask symmetric_groups(const lqi_symmetric_search *s, size_t g, const int count)
{
    _Alignas(64) float wx[2 * LQI_LANE_GROUP * V_LANES];
    const size_t step = s->n * V_LANES;
    const float nmax = (float)s->nmax;
    const symmetric_data d = { s->x + g * step, s->w + g * step, wx, step,
                               v_set1(SEARCH_MAGIC - nmax), v_set1(SEARCH_MAGIC + nmax - 1) };
    v_mask odd = v_lt(d.low, d.low);
    symmetric q[2];

    for (size_t i = 0; i < step * (size_t)count; i += V_LANES)
        v_store(wx + i, v_mul(v_load(d.w + i), v_load(d.x + i)));
    EACH_GROUP(k, count) {
        symmetric_start(&q[k], d.x + (size_t)k * step, s->n);
        q[k].best = q[k].scale = q[k].inverse = v_set1(0);
    }
    symmetric_candidate(&d, q, v_set1(-nmax), 1, count);
    for (int t = -9; t <= 9; t++)
        if (t)
            symmetric_candidate(&d, q, v_set1(-(nmax + 0.1f * (float)t)), 0, count);
    EACH_GROUP(k, count) {
        size_t at = (g + (size_t)k) * V_LANES;
        v_store(s->scale + at, v_select(q[k].dead, v_set1(0), q[k].scale));
        v_store(s->inverse + at, v_select(q[k].dead, v_set1(0), q[k].inverse));
        odd = v_either(odd, q[k].odd);
    }
    return odd;
}

static uint32_t search_symmetric(const lqi_symmetric_search *s)
{
    uint32_t odd = 0;
    size_t g = 0;

    assert(s->n <= LQI_LANE_GROUP);
    for (; g + 2 <= s->groups; g += 2)
        odd |= v_bits(symmetric_groups(s, g, 2));
    if (g < s->groups)
        odd |= v_bits(symmetric_groups(s, g, 1));
    return odd;
}

/* ------------------------------------------------------------------ levels */

typedef struct levels_data {
    const float *x, *w;
    size_t       step;
    v_levels     table;
} levels_data;

/* The first candidate is always taken, be its scale a number or not. */
V_INLINE void levels_candidate(const levels_data *d, symmetric *q, const v_f32 *inverse,
                               const int first, const int count)
{
    v_f32 a[2], b[2];

    EACH_GROUP(k, count)
        a[k] = b[k] = v_set1(0);
    for (size_t i = 0; i < d->step; i += V_LANES)
        EACH_GROUP(k, count) {
            v_f32 x = v_load(d->x + (size_t)k * d->step + i);
            v_u32 code = v_levels_code(&d->table, v_mul(inverse[k], x));
            v_f32 l = v_table4_at(d->table.level, code);
            v_f32 wl = v_mul(v_load(d->w + (size_t)k * d->step + i), l);
            a[k] = v_add(a[k], v_mul(wl, x));
            b[k] = v_add(b[k], v_mul(wl, l));
        }
    EACH_GROUP(k, count) {
        v_f32 zero = v_set1(0);
        v_mask none = v_both(v_eq(a[k], zero), v_eq(b[k], zero));   /* of any weight */
        v_f32 scale = v_select(none, zero, v_div(a[k], b[k]));
        v_mask better = v_both(v_lt(zero, b[k]), v_lt(v_mul(q[k].best, b[k]),
                                               v_mul(a[k], a[k])));
        if (first)
            better = v_eq(zero, zero);
        q[k].scale = v_select(better, scale, q[k].scale);
        q[k].best = v_select(better, v_mul(scale, a[k]), q[k].best);
    }
}

V_INLINE v_mask levels_groups(const lqi_symmetric_search *s, size_t g, const int count)
{
    const size_t step = s->n * V_LANES;
    const v_f32 zero = v_set1(0), lowest = v_set1(s->levels->level[0]);
    const levels_data d = { s->x + g * step, s->w + g * step, step, v_levels_load(s->levels) };
    v_mask odd = v_lt(zero, zero);
    v_f32 inverse[2];
    symmetric q[2];

    EACH_GROUP(k, count) {
        symmetric_start(&q[k], d.x + (size_t)k * step, s->n);
        q[k].best = q[k].scale = zero;
        inverse[k] = v_div(v_set1(1), v_div(v_neg(q[k].extreme), lowest));
    }
    levels_candidate(&d, q, inverse, 1, count);
    for (int t = -7; t <= 7; t++) {
        EACH_GROUP(k, count)
            inverse[k] = v_div(v_set1((float)t + s->levels->level[0]), q[k].extreme);
        levels_candidate(&d, q, inverse, 0, count);
    }
    EACH_GROUP(k, count) {
        v_f32 scale = v_select(q[k].dead, zero, q[k].scale);
        v_mask fine = v_lt(v_abs(scale), v_set1(SEARCH_HUGE));
        v_store(s->scale + (g + (size_t)k) * V_LANES, scale);
        odd = v_either(odd, v_either(q[k].odd, v_not(fine)));
    }
    return odd;
}

static uint32_t search_levels(const lqi_symmetric_search *s)
{
    uint32_t odd = 0;
    size_t g = 0;

    for (; g + 2 <= s->groups; g += 2)
        odd |= v_bits(levels_groups(s, g, 2));
    if (g < s->groups)
        odd |= v_bits(levels_groups(s, g, 1));
    return odd;
}

/* Beyond the outermost levels a number may leave the bins, so it is held back. */
static int search_round_levels(const lqi_rounding *r, const lqi_levels *t)
{
    const v_levels table = v_levels_load(t);
    const v_f32 far = v_set1(14 / t->bins);
    v_mask fine = v_eq(far, far);

    for (size_t g = 0; g * r->group < r->n; g++) {
        const v_f32 scale = v_set1(r->scale[g]);
        for (size_t i = g * r->group; i < (g + 1) * r->group; i += V_LANES) {
            v_f32 v = v_mul(scale, v_load(r->x + i));
            fine = v_both(fine, v_lt(v_abs(v), v_set1(SEARCH_HUGE)));
            v = v_min(v_max(v, v_neg(far)), far);
            v_store_u32(r->codes + i, v_levels_code(&table, v));
        }
    }
    return v_bits(v_not(fine)) != 0;
}

#include "kernels/tmpl/descent.h"
#include "kernels/tmpl/grid.h"
#include "kernels/tmpl/cuts.h"

/* ---------------------------------------------------------------- rounding */

V_INLINE int round_all(const lqi_rounding *r, const int multiply)
{
    const v_f32 magic = v_set1(SEARCH_MAGIC), limit = v_set1(SEARCH_LIMIT);
    const v_f32 low = v_set1(SEARCH_MAGIC + (float)r->lo);
    const v_f32 high = v_set1(SEARCH_MAGIC + (float)r->hi), offset = v_set1((float)-r->lo);
    v_mask fine = v_eq(magic, magic);

    for (size_t g = 0; g * r->group < r->n; g++) {
        const v_f32 scale = v_set1(r->scale[g]), add = v_set1(r->add ? r->add[g] : 0);
        if (r->scale[g] == 0)
            continue;
        for (size_t i = g * r->group; i < (g + 1) * r->group; i += V_LANES) {
            v_f32 v = v_add(v_load(r->x + i), add);
            v = multiply ? v_mul(scale, v) : v_div(v, scale);
            fine = v_both(fine, v_lt(v_abs(v), limit));
            v = v_min(v_max(v_add(v, magic), low), high);
            v_store_codes(r->codes + i, v_add(v, offset));
        }
    }
    return v_bits(v_not(fine)) != 0;
}

static int search_round(const lqi_rounding *r)
{
    return r->multiply ? round_all(r, 1) : round_all(r, 0);
}

/* --------------------------------------------------------------- the slots */

static const lqi_search search_slots = {
    .lanes = V_LANES,
    .transpose = search_transpose,
    .sum_squares = search_sum_squares,
    .weigh = search_weigh,
    .affine = search_affine,
    .symmetric = search_symmetric,
    .descend = search_descend,
    .levels = search_levels,
    .nonnegative = search_nonnegative,
    .round = search_round,
    .round_levels = search_round_levels,
    .grid = search_grid,
    .nearest = search_nearest,
    .cut_32 = search_cut_32,
    .cut_16 = search_cut_16,
};
