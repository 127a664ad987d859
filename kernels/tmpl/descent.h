/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/descent.h - the searches that end in coordinate descent: make_q3, make_qp
 *
 * Part of search.h, whose vocabulary, limits and conventions it uses.
 */
#ifndef SEARCH_MAGIC
#error "included by kernels/tmpl/search.h"
#endif

/* ----------------------------------------------------- symmetric, by descent */

/* Codes of one group, and the sums w x l and w l^2 over them. */
typedef struct descent {
    symmetric start;
    v_f32     xl, l2;
    v_mask    active;   /* lanes whose last sweep changed something */
    v_mask    changed;
} descent;

typedef struct descent_data {
    const float *x, *w;
    float       *l;
    size_t       step;
    v_f32        low, high;
} descent_data;

V_INLINE void descent_codes(const descent_data *d, descent *q, const int count)
{
    for (size_t i = 0; i < d->step; i += V_LANES)
        EACH_GROUP(k, count) {
            size_t at = (size_t)k * d->step + i;
            v_f32 x = v_load(d->x + at), w = v_load(d->w + at);
            v_f32 l = symmetric_code(q[k].start.inverse, x, d->low, d->high);
            v_store(d->l + at, l);
            q[k].xl = v_add(q[k].xl, v_mul(v_mul(w, x), l));
            q[k].l2 = v_add(q[k].l2, v_mul(v_mul(w, l), l));
        }
}

/* Try another code for one element of each lane against the others. */
V_INLINE void descent_step(const descent_data *d, descent *q, size_t at)
{
    const v_f32 zero = v_set1(0), magic = v_set1(SEARCH_MAGIC);
    v_f32 x = v_load(d->x + at), w = v_load(d->w + at), old = v_load(d->l + at);
    v_f32 wx = v_mul(w, x);
    v_f32 xl = v_sub(q->xl, v_mul(wx, old)), l2 = v_sub(q->l2, v_mul(v_mul(w, old), old));
    v_mask can = v_both(q->active, v_lt(zero, xl));
    v_f32 v = v_div(v_mul(x, l2), xl);
    v_f32 l = v_sub(v_min(v_max(v_add(v, magic), d->low), d->high), magic);

    q->start.odd = v_either(q->start.odd,
                            v_both(can, v_not(v_lt(v_abs(v), v_set1(SEARCH_LIMIT)))));
    can = v_both(can, v_not(v_eq(l, old)));
    xl = v_add(xl, v_mul(wx, l));
    l2 = v_add(l2, v_mul(v_mul(w, l), l));
    can = v_both(can, v_both(v_lt(zero, l2), v_lt(v_mul(v_mul(q->xl, q->xl), l2),
                                                  v_mul(v_mul(xl, xl), q->l2))));
    v_store(d->l + at, v_select(can, l, old));
    q->xl = v_select(can, xl, q->xl);
    q->l2 = v_select(can, l2, q->l2);
    q->changed = v_either(q->changed, can);
}

/* Five sweeps at most; a lane without a change is finished. */
V_INLINE void descent_sweeps(const descent_data *d, descent *q, const int count)
{
    for (int sweep = 0; sweep < 5; sweep++) {
        uint32_t any = 0;
        EACH_GROUP(k, count)
            q[k].changed = v_lt(d->low, d->low);
        for (size_t i = 0; i < d->step; i += V_LANES)
            EACH_GROUP(k, count)
                descent_step(d, &q[k], (size_t)k * d->step + i);
        EACH_GROUP(k, count) {
            q[k].active = v_both(q[k].active, q[k].changed);
            any |= v_bits(q[k].active);
        }
        if (!any)
            break;
    }
}

V_INLINE v_mask descent_groups(const lqi_symmetric_search *s, size_t g, const int count)
{
    _Alignas(64) float l[2 * LQI_LANE_GROUP * V_LANES];
    const size_t step = s->n * V_LANES;
    const v_f32 zero = v_set1(0), nmax = v_set1((float)s->nmax);
    const descent_data d = { s->x + g * step, s->w + g * step, l, step,
                             v_sub(v_set1(SEARCH_MAGIC), nmax),
                             v_set1(SEARCH_MAGIC + (float)s->nmax - 1) };
    v_mask odd = v_lt(zero, zero);
    descent q[2];

    EACH_GROUP(k, count) {
        symmetric_start(&q[k].start, d.x + (size_t)k * step, s->n);
        q[k].start.inverse = v_div(v_neg(nmax), q[k].start.extreme);
        q[k].xl = q[k].l2 = zero;
        q[k].active = v_not(q[k].start.dead);
    }
    descent_codes(&d, q, count);
    descent_sweeps(&d, q, count);
    EACH_GROUP(k, count) {
        v_mask none = v_either(q[k].start.dead, v_not(v_lt(zero, q[k].l2)));
        v_f32 offset = v_select(q[k].start.dead, zero, v_add(nmax, v_set1(SEARCH_MAGIC)));
        v_store(s->scale + (g + (size_t)k) * V_LANES,
                v_select(none, zero, v_div(q[k].xl, q[k].l2)));
        for (size_t i = (size_t)k * step; i < (size_t)(k + 1) * step; i += V_LANES) {
            v_f32 code = v_select(q[k].start.dead, zero, v_load(l + i));
            v_store_bytes(s->codes + g * step + i, v_add(code, offset));
        }
        odd = v_either(odd, q[k].start.odd);
    }
    return odd;
}

static uint32_t search_descend(const lqi_symmetric_search *s)
{
    uint32_t odd = 0;
    size_t g = 0;

    assert(s->n <= LQI_LANE_GROUP);
    for (; g + 2 <= s->groups; g += 2)
        odd |= v_bits(descent_groups(s, g, 2));
    if (g < s->groups)
        odd |= v_bits(descent_groups(s, g, 1));
    return odd;
}

/* ----------------------------------------------------------- non-negative */

typedef struct nonnegative {
    const float *x, *w;
    size_t       n;
    v_f32        nmax;
    v_f32        l[LQI_LANES_MAX];   /* codes; n <= 16 */
    v_f32        xl, l2;             /* sums of w x l and w l^2 */
    v_mask       odd;
} nonnegative;

V_INLINE v_f32 nearest(v_f32 v)
{
    return v_sub(v_add(v, v_set1(SEARCH_MAGIC)), v_set1(SEARCH_MAGIC));
}

/* The first rounding is not clamped, and needs no clamp: nmax / hi * hi rounds to nmax. */
V_INLINE v_f32 nonnegative_error(const nonnegative *f, v_f32 inverse, const int clamp)
{
    v_f32 scale = v_div(v_set1(1), inverse), error = v_set1(0);

    for (size_t i = 0; i < f->n; i++) {
        v_f32 x = v_load(f->x + i * V_LANES), l = nearest(v_mul(inverse, x));
        v_f32 e = v_sub(x, v_mul(scale, clamp ? v_min(l, f->nmax) : l));
        error = v_add(error, v_mul(v_mul(v_load(f->w + i * V_LANES), e), e));
    }
    return error;
}

V_INLINE v_f32 nonnegative_inverse(const nonnegative *f, int nmax, v_f32 hi)
{
    v_f32 won = v_div(f->nmax, hi), best = nonnegative_error(f, won, 0);

    for (int t = -4; t <= 4; t++) {
        if (t == 0)
            continue;
        v_f32 inverse = v_div(v_set1(0.1f * (float)t + (float)nmax), hi);
        v_f32 error = nonnegative_error(f, inverse, 1);
        v_mask better = v_lt(error, best);
        best = v_select(better, error, best);
        won = v_select(better, inverse, won);
    }
    return won;
}

/* Try each code alone against the others; the lanes where one changed. */
V_INLINE v_mask nonnegative_sweep(nonnegative *f, v_mask active)
{
    const v_f32 zero = v_set1(0);
    v_mask changed = v_lt(zero, zero);

    for (size_t i = 0; i < f->n; i++) {
        v_f32 x = v_load(f->x + i * V_LANES), w = v_load(f->w + i * V_LANES), old = f->l[i];
        v_f32 wx = v_mul(w, x);
        v_f32 xl = v_sub(f->xl, v_mul(wx, old)), l2 = v_sub(f->l2, v_mul(v_mul(w, old), old));
        v_mask can = v_both(active, v_both(v_lt(zero, xl), v_lt(zero, l2)));
        v_f32 v = v_div(v_mul(x, l2), xl), l = v_min(nearest(v), f->nmax);

        f->odd = v_either(f->odd, v_both(can, v_not(v_lt(v, v_set1(SEARCH_LIMIT)))));
        can = v_both(can, v_not(v_eq(l, old)));
        if (!v_bits(can))
            continue;
        xl = v_add(xl, v_mul(wx, l));
        l2 = v_add(l2, v_mul(v_mul(w, l), l));
        can = v_both(can, v_lt(v_mul(v_mul(f->xl, f->xl), l2), v_mul(v_mul(xl, xl), f->l2)));
        f->l[i] = v_select(can, l, old);
        f->xl = v_select(can, xl, f->xl);
        f->l2 = v_select(can, l2, f->l2);
        changed = v_either(changed, can);
    }
    return changed;
}

V_INLINE void nonnegative_codes(nonnegative *f, v_f32 inverse)
{
    f->xl = f->l2 = v_set1(0);
    for (size_t i = 0; i < f->n; i++) {
        v_f32 x = v_load(f->x + i * V_LANES), w = v_load(f->w + i * V_LANES);
        v_f32 l = v_min(nearest(v_mul(inverse, x)), f->nmax);
        f->l[i] = l;
        f->xl = v_add(f->xl, v_mul(v_mul(w, x), l));
        f->l2 = v_add(f->l2, v_mul(v_mul(w, l), l));
    }
}

static uint32_t search_nonnegative(const float *x, const float *w, size_t n, int nmax,
                                   uint8_t *codes, float *scale)
{
    const v_f32 zero = v_set1(0);
    v_mask fine = v_eq(zero, zero), dead, active;
    nonnegative f = { .x = x, .w = w, .n = n, .nmax = v_set1((float)nmax) };
    v_f32 hi = zero;

    assert(n <= LQI_LANES_MAX);
    for (size_t i = 0; i < n; i++) {
        v_f32 v = v_load(x + i * V_LANES);
        hi = v_max(v, hi);
        fine = v_both(fine, v_both(v_lt(v, v_set1(SEARCH_HUGE)), v_not(v_lt(v, zero))));
    }
    f.odd = v_not(fine);
    dead = v_lt(hi, v_set1(SEARCH_EPS));
    nonnegative_codes(&f, nonnegative_inverse(&f, nmax, hi));
    active = v_not(dead);
    for (int sweep = 0; sweep < 5 && v_bits(active); sweep++)
        active = v_both(active, nonnegative_sweep(&f, active));
    for (size_t i = 0; i < n; i++)
        v_store_bytes(codes + i * V_LANES,
                      v_add(v_select(dead, zero, f.l[i]), v_set1(SEARCH_MAGIC)));
    dead = v_either(dead, v_not(v_lt(zero, f.l2)));
    v_store(scale, v_select(dead, zero, v_div(f.xl, f.l2)));
    return v_bits(f.odd);
}
