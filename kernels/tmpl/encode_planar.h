/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/encode_planar.h - codes of groups whose scales are known, and of groups whose
 * scale is their largest magnitude
 *
 * A rounder turns V_LANES numbers into codes (a function of a "rounding", which holds all
 * that does not change within a group); two drivers store bytes and nibbles.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* What a rounder needs; each uses some of it. */
typedef struct rounding {
    v_f32    scale, lo, hi;
    v_u32    zero;
    v_f32    middle;         /* ladder: the four levels of thresholds */
    v_table3 quarters, eighths, sixteenths;
    v_table4 codes;
} rounding;

typedef v_u32 rounder(const rounding *l, v_f32 x);

/* Numbers that do not fill a vector; as nibbles, from the low end of a byte on if 'flip'
 * is 0. */
V_INLINE void round_few(const lqi_round_run *r, size_t at, size_t n, rounder *round,
                        const rounding *l, uint32_t codes[V_LANES])
{
    float x[V_LANES] = { 0 };

    memcpy(x, r->x + at, n * sizeof *x);
    v_store((float *)codes, v_as_f32(round(l, v_load(x))));
}

V_INLINE void put_nibbles(const lqi_round_run *r, size_t at, size_t n, unsigned flip,
                          const uint32_t *codes)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t e = r->element + at + i;
        unsigned shift = ((unsigned)(e & 1) ^ flip) * 4;
        uint8_t *byte = r->codes + e / 2;
        *byte = (uint8_t)((*byte & 0xf0 >> shift) | (codes[i] & 15) << shift);
    }
}

V_INLINE void round_to_nibbles(const lqi_round_run *r, rounder *round, const rounding *l,
                               unsigned flip)
{
    uint32_t codes[V_LANES];
    size_t i = 0;
    uint8_t *out;

    if (r->element % 2 && r->n) {
        round_few(r, 0, 1, round, l, codes);
        put_nibbles(r, 0, 1, flip, codes);
        i = 1;
    }
    out = r->codes + (r->element + i) / 2;
    for (; i + V_LANES <= r->n; i += V_LANES, out += V_LANES / 2) {
        v_u32 c = round(l, v_load(r->x + i));
        if (flip)
            v_store_nibbles_high(out, c);
        else
            v_store_nibbles_low(out, c);
    }
    if (i < r->n) {
        round_few(r, i, r->n - i, round, l, codes);
        put_nibbles(r, i, r->n - i, flip, codes);
    }
}

V_INLINE void round_to_bytes(const lqi_round_run *r, rounder *round, const rounding *l)
{
    uint8_t *out = r->codes + r->element;
    uint32_t codes[V_LANES];
    size_t i = 0;

    for (; i + V_LANES <= r->n; i += V_LANES)
        v_store_bytes(out + i, v_as_f32(round(l, v_load(r->x + i))));
    if (i == r->n)
        return;
    round_few(r, i, r->n - i, round, l, codes);
    for (size_t k = 0; i < r->n; i++, k++)
        out[i] = (uint8_t)codes[k];
}

/* ----------------------------------------------------------------- integers */

#define TO_INTEGER 12582912.0f   /* 1.5 * 2^23: pushes the fraction out of the mantissa */

/* Nearest, ties to even, between lo and hi. */
V_INLINE v_u32 nearest_integer(const rounding *l, v_f32 t)
{
    v_f32 v = v_add(v_min(v_max(t, l->lo), l->hi), v_set1(TO_INTEGER));

    return v_as_u32(v) - v_as_u32(v_set1(TO_INTEGER));
}

V_INLINE v_u32 by_division(const rounding *l, v_f32 x)
{
    return nearest_integer(l, v_div(x, l->scale)) + l->zero;
}

V_INLINE v_u32 by_factor(const rounding *l, v_f32 x)
{
    return nearest_integer(l, v_mul(x, l->scale));
}

static void round_int4(const lqi_round_run *r)
{
    int zero = r->zero < 0 ? 8 : r->zero;
    rounding l = { .scale = v_set1(r->scale), .lo = v_set1((float)-zero),
                 .hi = v_set1((float)(15 - zero)), .zero = v_set1u((uint32_t)zero) };

    round_to_nibbles(r, by_division, &l, 0);
}

/* Stored minus 128, so the zero point is added less 128. */
static void round_int8(const lqi_round_run *r)
{
    int zero = r->zero < 0 ? 128 : r->zero ^ 128;
    rounding l = { .scale = v_set1(r->scale), .lo = v_set1((float)-zero),
                 .hi = v_set1((float)(255 - zero)), .zero = v_set1u((uint32_t)(zero - 128)) };

    round_to_bytes(r, by_division, &l);
}

static void round_int8_absmax(const lqi_round_run *r)
{
    rounding l = { .scale = v_set1(127 / r->scale), .lo = v_set1(-127), .hi = v_set1(127) };

    round_to_bytes(r, by_factor, &l);
}

/* ------------------------------------------------------------- small floats */

/*
 * 'man' bits of mantissa.  Normal numbers round in integers, whose carry is right; for
 * subnormal ones adding a power of two that has their least value as its last place rounds
 * too.  Both to nearest, ties to even.
 */
V_INLINE v_u32 to_minifloat(v_f32 t, unsigned man, uint32_t bias, float aligner, uint32_t largest)
{
    const uint32_t shift = 23 - man, least = (128 - bias) << 23;
    v_u32 a = v_as_u32(t) & 0x7fffffff;
    v_u32 normal = (a - (least - (1u << 23)) + ((1u << (shift - 1)) - 1) + (a >> shift & 1)) >> shift;
    v_u32 small = v_as_u32(v_add(v_as_f32(a), v_set1(aligner))) - v_as_u32(v_set1(aligner));
    v_u32 code = v_where_uless(a, v_set1u(least), small, v_umin(normal, v_set1u(largest)));

    return code;
}

V_INLINE v_u32 e4m3_of(const rounding *l, v_f32 x)
{
    v_f32 t = v_div(x, l->scale);

    return to_minifloat(t, 3, 7, 0x1p+14f, 0x7e) | (v_as_u32(t) >> 24 & 0x80);
}

V_INLINE v_u32 e5m2_of(const rounding *l, v_f32 x)
{
    v_f32 t = v_div(x, l->scale);

    return to_minifloat(t, 2, 15, 0x1p+7f, 0x7b) | (v_as_u32(t) >> 24 & 0x80);
}

V_INLINE v_u32 e2m1_of(const rounding *l, v_f32 x)
{
    v_f32 t = v_div(x, l->scale);

    return to_minifloat(t, 1, 1, 0x1p+22f, 7) | (v_as_u32(t) >> 28 & 8);
}

static void round_e4m3(const lqi_round_run *r)
{
    rounding l = { .scale = v_set1(r->scale) };

    round_to_bytes(r, e4m3_of, &l);
}

static void round_e5m2(const lqi_round_run *r)
{
    rounding l = { .scale = v_set1(r->scale) };

    round_to_bytes(r, e5m2_of, &l);
}

static void round_e2m1(const lqi_round_run *r)
{
    rounding l = { .scale = v_set1(r->scale) };

    round_to_nibbles(r, e2m1_of, &l, 0);
}

/* ------------------------------------------------------------------ ladders */

/* Thresholds in the order in which a bisection meets them. */
V_INLINE void ladder_levels(const lqi_ladder *ladder, rounding *l)
{
    const float *t = ladder->threshold;
    float quarters[8] = { t[3], t[11] }, eighths[8] = { t[1], t[5], t[9], t[13] }, sixteenths[8];

    for (int i = 0; i < 8; i++)
        sixteenths[i] = t[2 * i];
    l->middle = v_set1(t[7]);
    l->quarters = v_table3_load(quarters);
    l->eighths = v_table3_load(eighths);
    l->sixteenths = v_table3_load(sixteenths);
    l->codes = v_table4_load(ladder->code);
}

V_INLINE v_u32 climb(const rounding *l, v_f32 y)
{
    v_u32 i = v_step(v_set1u(0), l->middle, y);

    i = v_step(i, v_table3_at(l->quarters, i), y);
    i = v_step(i, v_table3_at(l->eighths, i), y);
    i = v_step(i, v_table3_at(l->sixteenths, i), y);
    return v_as_u32(v_table4_at(l->codes, i));
}

V_INLINE v_u32 climb_by_factor(const rounding *l, v_f32 x)
{
    return climb(l, v_mul(x, l->scale));
}

V_INLINE v_u32 climb_by_division(const rounding *l, v_f32 x)
{
    return climb(l, v_div(x, l->scale));
}

static void round_ladder_high(const lqi_round_run *r)
{
    rounding l = { .scale = v_set1(r->partial ? r->scale : 1 / r->scale) };

    ladder_levels(r->ladder, &l);
    if (r->partial)
        round_to_nibbles(r, climb_by_division, &l, 1);
    else
        round_to_nibbles(r, climb_by_factor, &l, 1);
}

/* ---------------------------------------------- scales from largest magnitudes */

V_INLINE void plain_groups(const lqi_encode_run *run, size_t at, size_t n)
{
    lqi_encode_run part = *run;

    part.x += at;
    part.n = n;
    part.first += at;
    part.scale += at / run->group;
    if (part.imp)
        part.imp += at;
    run->plain(&part);
}

/* Largest magnitude of 'count' whole groups, one to a lane; 0 in lanes beyond. */
V_INLINE v_f32 group_magnitudes(const float *x, size_t group, size_t count)
{
    v_f32 most[V_LANES];

    for (size_t g = 0; g < V_LANES; g++) {
        v_f32 m = v_set1(0);
        for (size_t i = 0; i < group && g < count; i += V_LANES)
            m = v_max(v_abs(v_load(x + g * group + i)), m);
        most[g] = m;
    }
    return v_max_tree(most);
}

/* 'count' whole groups at 'at', V_LANES of them at most. */
V_INLINE void ladder_groups(const lqi_encode_run *run, size_t at, size_t count, rounding *l)
{
    const float *x = run->x + at;
    size_t group = (size_t)run->group;
    uint8_t *out = run->codes + (run->first + at) / 2;
    float scale[V_LANES], inverse[V_LANES];
    v_f32 magnitude = group_magnitudes(x, group, count);

    if (any_odd(magnitude)) {
        plain_groups(run, at, count * group);
        return;
    }
    v_store(scale, magnitude);
    v_store(inverse, inverse_or_zero(magnitude));
    memcpy(run->scale + at / group, scale, count * sizeof *scale);
    for (size_t g = 0; g < count; g++) {
        l->scale = v_set1(inverse[g]);
        for (size_t i = 0; i < group; i += V_LANES, x += V_LANES, out += V_LANES / 2)
            v_store_nibbles_high(out, climb_by_factor(l, v_load(x)));
    }
}

/* Groups that are no whole vectors, and a short last group, are for the format's encoder. */
static void encode_ladder_high(const lqi_encode_run *run)
{
    size_t whole = 0, batch, group;
    rounding l;

    if (run->group % V_LANES == 0 && run->first % 2 == 0 && run->group <= run->n) {
        group = (size_t)run->group;
        whole = run->n / group * group;
        ladder_levels(run->ladder, &l);
        for (size_t at = 0; at < whole; at += batch) {
            batch = (size_t)lqi_min(whole - at, group * V_LANES);
            ladder_groups(run, at, batch / group, &l);
        }
    }
    if (whole < run->n)
        plain_groups(run, whole, run->n - whole);
}
