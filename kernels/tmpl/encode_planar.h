/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/encode_planar.h - codes of planar groups
 *
 * A "planar" says how a format makes codes.  From it two slots are cut: a rounder for one
 * group whose parameters are known, and an encoder for many groups whose parameters follow
 * from their ranges.  The encoder takes V_LANES groups at a time: each is folded to one
 * vector of extremes, a tree of transpositions makes one vector of group extremes of these,
 * and the parameters of all are computed at once.
 *
 * The operations on a weight are those of the plain encoder, so the bytes are too.  Batches
 * in which something overflows, is denormal or has rules of its own (groups of zeros) go to
 * the plain encoder.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* Parameters of V_LANES groups; 'by' is what a weight is divided by or multiplied with. */
typedef struct batch {
    float scale[V_LANES], by[V_LANES], zero[V_LANES];
} batch;

typedef struct planar {
    rounder *round;
    int      divide;     /* t = x / by, not x * by */
    packing  pack;
    int      lo, hi;     /* integers: range of codes ... */
    int      zero;       /* ... and what is added; with zero points what is taken off */
    float    top;        /* scale = largest magnitude / top; MX: the largest element */
    int      emax, man;  /* MX: its exponent, mantissa bits */
} planar;

/* From least and largest numbers; formats without zero points get magnitudes in 'most'.
 * Returns 0, and nothing promised about *b, if a group is odd. */
typedef int fitter(const lqi_encode_run *run, const planar *p, v_f32 least, v_f32 most, batch *b);

V_INLINE rounding rounding_of(const planar *p, const lqi_ladder *ladder, const lqi_bins *bins)
{
    if (p->round == bin_of)
        return rounding_of_bins(bins);

    rounding l = { .lo = v_set1((float)p->lo), .hi = v_set1((float)p->hi),
                   .zero = v_set1u((uint32_t)p->zero) };

    if (p->round == rung_of)
        l.ladder = v_ladder_load(ladder);
    return l;
}

/* With a zero point, as a number of codes, codes run from 0 to hi - lo. */
V_INLINE void shift_range(const planar *p, float zero, rounding *l)
{
    int whole = (int)zero;

    l->lo = v_set1(-zero);
    l->hi = v_set1((float)(p->hi - p->lo - whole));
    l->zero = v_set1u((uint32_t)(whole + p->lo + p->zero));
}

V_INLINE v_u32 codes_at(const planar *p, const rounding *l, const float *x, v_f32 by)
{
    v_f32 t = p->divide ? v_div(v_load(x), by) : v_mul(v_load(x), by);

    return p->round(l, t);
}

/* ----------------------------------------------------- parameters are known */

/* Numbers that do not fill a vector. */
V_INLINE void round_few(const planar *p, const rounding *l, const lqi_round_run *r, size_t at,
                        size_t n, v_f32 by)
{
    float x[V_LANES] = { 0 };
    uint32_t codes[V_LANES];

    memcpy(x, r->x + at, n * sizeof *x);
    v_store_u32(codes, codes_at(p, l, x, by));
    put_codes(r->codes, r->element + at, n, codes, p->pack);
}

/* Vectors start where a code starts a byte. */
V_INLINE void round_stretch(const planar *p, const rounding *l, const lqi_round_run *r, v_f32 by)
{
    const unsigned unit = p->pack.bits == 8 ? 1 : p->pack.bits == 4 ? 2 : 8;
    size_t head = (size_t)lqi_min((unit - r->element % unit) % unit, r->n), i = head;
    uint8_t *out = r->codes + (r->element + i) / unit * (unit * p->pack.bits / 8);
    const size_t step = V_LANES * p->pack.bits / 8;

    if (head)
        round_few(p, l, r, 0, head, by);
    for (; i + 4 * V_LANES <= r->n; i += 4 * V_LANES, out += 4 * step) {
        v_u32 codes[4];
        for (int k = 0; k < 4; k++)
            codes[k] = codes_at(p, l, r->x + i + k * V_LANES, by);
        store_codes4(out, codes, p->pack);
    }
    for (; i + V_LANES <= r->n; i += V_LANES, out += step)
        store_codes(out, codes_at(p, l, r->x + i, by), p->pack);
    if (i < r->n)
        round_few(p, l, r, i, r->n - i, by);
}

V_INLINE void round_group(const planar *p, const lqi_round_run *r, float by)
{
    rounding l = rounding_of(p, r->ladder, NULL);

    if (r->zero >= 0)   /* as numbers of codes: stored bytes are off by 'zero + lo' */
        shift_range(p, (float)(uint8_t)(r->zero - p->lo - p->zero), &l);
    round_stretch(p, &l, r, v_set1(by));
}

/* ------------------------------------------------- parameters from the range */

V_INLINE void plain_groups(const lqi_encode_run *run, size_t at, size_t n)
{
    lqi_encode_run part = *run;

    part.x += at;
    part.n = n;
    part.first += at;
    part.scale += at / run->group;
    if (part.zero)
        part.zero += at / run->group;
    run->plain(&part);
}

/* Ranges of 'count' whole groups, which include 0. */
V_INLINE void group_ranges(const float *x, size_t group, size_t count, v_f32 *least, v_f32 *most)
{
    v_f32 lo[V_LANES], hi[V_LANES];

    for (size_t g = 0; g < V_LANES; g++, x += group) {
        lo[g] = lo[0];
        hi[g] = hi[0];
        if (g >= count)
            continue;
        lo[g] = hi[g] = v_set1(0);
        for (size_t i = 0; i < group; i += V_LANES) {
            lo[g] = v_min(v_load(x + i), lo[g]);
            hi[g] = v_max(v_load(x + i), hi[g]);
        }
    }
    *least = v_min_tree(lo);
    *most = v_max_tree(hi);
}

/* Codes of n vectors, 'per' of each group; 0: all of the first. */
V_INLINE void encode_vectors(const planar *p, const float *by, const float *zero,
                             const rounding *l, const float *x, size_t n, size_t per,
                             uint8_t *out)
{
    const size_t step = V_LANES * p->pack.bits / 8;
    rounding own = *l;
    v_u32 codes[4];
    size_t v = 0;

    for (; v + 4 <= n; v += 4, out += 4 * step) {
        for (size_t k = 0; k < 4; k++, x += V_LANES) {
            size_t g = per ? (v + k) / per : 0;
            if (zero)
                shift_range(p, zero[g], &own);
            codes[k] = codes_at(p, &own, x, v_set1(by[g]));
        }
        store_codes4(out, codes, p->pack);
    }
    for (; v < n; v++, x += V_LANES, out += step) {
        size_t g = per ? v / per : 0;
        if (zero)
            shift_range(p, zero[g], &own);
        store_codes(out, codes_at(p, &own, x, v_set1(by[g])), p->pack);
    }
}

/* Codes of 'count' groups. */
V_INLINE void encode_codes(const planar *p, const batch *b, const rounding *l, int zeros,
                           const float *x, size_t group, size_t count, uint8_t *out)
{
    const float *zero = zeros ? b->zero : NULL;
    size_t per = group / V_LANES;

    if (per == 1)
        encode_vectors(p, b->by, zero, l, x, count, 1, out);
    else if (per == 2)
        encode_vectors(p, b->by, zero, l, x, 2 * count, 2, out);
    else
        for (size_t g = 0; g < count; g++, x += group, out += group / 8 * p->pack.bits)
            encode_vectors(p, b->by + g, zeros ? zero + g : NULL, l, x, per, 0, out);
}

/* Zero points as bytes are stored. */
V_INLINE void store_zeros(const planar *p, const batch *b, size_t count, float *zero)
{
    for (size_t g = 0; g < count; g++)
        zero[g] = (float)(uint8_t)((int)b->zero[g] + p->lo + p->zero);
}

/* 'count' whole groups at 'at', V_LANES of them at most. */
V_INLINE void encode_batch(const lqi_encode_run *run, const planar *p, fitter *fit,
                           const rounding *l, int zeros, size_t at, size_t count)
{
    const float *x = run->x + at;
    size_t group = (size_t)run->group;
    uint64_t first = run->first + at;
    v_f32 least = v_set1(0), most;
    batch b;

    if (zeros)
        group_ranges(x, group, count, &least, &most);
    else
        most = group_magnitudes(x, group, count);
    if (!fit(run, p, least, most, &b)) {
        plain_groups(run, at, count * group);
        return;
    }
    memcpy(run->scale + at / group, b.scale, count * sizeof *b.scale);
    if (zeros)
        store_zeros(p, &b, count, run->zero + at / group);
    if (run->codes)
        encode_codes(p, &b, l, zeros, x, group, count, run->codes + first / 8 * p->pack.bits);
}

/* Groups that are no whole vectors or do not start on a byte, and a short last group, are for
 * the format's encoder. */
V_INLINE void encode_planar(const lqi_encode_run *run, const planar *p, fitter *fit, int zeros)
{
    size_t whole = 0, some, group;

    if (run->group % V_LANES == 0 && run->first % 8 == 0 && run->group <= run->n) {
        rounding l = rounding_of(p, run->ladder, run->bins);
        group = (size_t)run->group;
        whole = run->n / group * group;
        for (size_t at = 0; at < whole; at += some) {
            some = (size_t)lqi_min(whole - at, group * V_LANES);
            encode_batch(run, p, fit, &l, zeros, at, some / group);
        }
    }
    if (whole < run->n)
        plain_groups(run, whole, run->n - whole);
}
