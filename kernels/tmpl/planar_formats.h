/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/planar_formats.h - the planar formats' slots: parameters of V_LANES groups at
 * once, and what encode_planar.h makes of them
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* ------------------------------------------------------------------ fitters */

V_INLINE int all_between(v_f32 v, float lo, float hi)
{
    return v_bits(v_not(v_both(v_lt(v_set1(lo), v), v_lt(v, v_set1(hi))))) == 0;
}

/* Magnitudes with which nothing goes wrong; zero is none of them. */
V_INLINE int all_common(v_f32 magnitude)
{
    return all_between(magnitude, 1e-15f, 1e15f);
}

/* Scales as they are stored; 0: a type that is left to the plain encoder. */
V_INLINE int round_scales(const lq_spec *spec, v_f32 *scale)
{
    uint16_t stored[V_LANES];

    if (spec->scale2_block || spec->scale_type == LQ_F32)
        return 1;
    if (spec->scale_type == LQ_F16) {
        v_to_f16(stored, *scale);
        *scale = v_from_f16(stored);
        return 1;
    }
    if (spec->scale_type != LQ_BF16)
        return 0;
    v_to_bf16(stored, *scale);
    *scale = v_from_bf16(stored);
    return 1;
}

/* The scale is the largest magnitude. */
V_INLINE int fit_magnitude(const lqi_encode_run *run, const planar *p, v_f32 least, v_f32 most,
                           batch *b)
{
    (void)p, (void)least;
    if (any_odd(most) || !round_scales(run->spec, &most) || !all_between(most, -1, 1e30f))
        return 0;
    v_store(b->scale, most);
    v_store(b->by, inverse_or_zero(most));
    return 1;
}

/* ... over a number. */
V_INLINE int fit_ratio(const lqi_encode_run *run, const planar *p, v_f32 least, v_f32 most,
                       batch *b)
{
    v_f32 scale = v_div(most, v_set1(p->top));

    (void)least;
    if (!all_common(most) || !round_scales(run->spec, &scale) || !all_between(scale, 1e-30f, 1e30f))
        return 0;
    v_store(b->scale, scale);
    v_store(b->by, scale);
    return 1;
}

/* The range over the number of steps; where 0 lies in it is the zero point. */
V_INLINE int fit_affine(const lqi_encode_run *run, const planar *p, v_f32 least, v_f32 most,
                        batch *b)
{
    v_f32 top = v_set1((float)(p->hi - p->lo)), width = v_sub(most, least);
    v_f32 scale = v_div(width, top), zero;

    if (!all_common(width) || !round_scales(run->spec, &scale) || !all_between(scale, 1e-30f, 1e30f))
        return 0;
    zero = v_min(v_max(v_div(v_neg(least), scale), v_set1(0)), top);
    v_store(b->scale, scale);
    v_store(b->by, scale);
    v_store(b->zero, v_sub(v_add(zero, v_set1(TO_INTEGER)), v_set1(TO_INTEGER)));
    return 1;
}

/* Powers of two, by the rules of lib/format/mx.h; dividing by one is multiplying with its
 * reciprocal. */
V_INLINE int fit_power(const lqi_encode_run *run, const planar *p, v_f32 least, v_f32 most,
                       batch *b)
{
    int mode = run->spec->scale_mode;
    v_u32 bits = v_as_u32(most), e;

    (void)least;
    if (!all_common(most))
        return 0;
    if (mode == LQ_SCALE_RCEIL)
        bits = v_as_u32(v_mul(most, v_set1(1.0f / p->top)));
    if (mode == LQ_SCALE_EVEN)
        bits = bits + (1u << (22 - p->man));
    e = bits >> 23;
    if (mode == LQ_SCALE_RCEIL || mode == LQ_SCALE_CEIL)
        e = e + v_umin(bits & 0x7fffff, v_set1u(1));
    if (mode != LQ_SCALE_RCEIL)
        e = e - (uint32_t)p->emax;
    v_store(b->scale, v_as_f32(e << 23));
    v_store(b->by, v_as_f32((254 - e) << 23));
    return 1;
}

/* Numbers that are not negative to E4M3 and back. */
V_INLINE v_f32 through_e4m3(v_f32 v)
{
    v_u32 a = v_as_u32(v), largest = v_as_u32(v_set1(448));
    v_u32 normal = (a + 0x7ffff + (a >> 20 & 1)) & 0xfff00000;
    v_f32 small = v_sub(v_add(v, v_set1(0x1p14f)), v_set1(0x1p14f));

    return v_as_f32(v_where_uless(a, v_as_u32(v_set1(0x1p-6f)), v_as_u32(small),
                                  v_umin(normal, largest)));
}

/* Rules: lib/format/nvfp4.c */
V_INLINE int fit_global_mul(const lqi_encode_run *run, const planar *p, v_f32 least, v_f32 most,
                            batch *b)
{
    v_f32 global = v_set1(run->global), scale = v_div(v_div(most, v_set1(6)), global);

    (void)p, (void)least;
    scale = through_e4m3(v_min(v_max(scale, v_set1(0x1p-6f)), v_set1(448)));
    v_store(b->scale, scale);
    v_store(b->by, v_div(v_div(v_set1(1), global), scale));
    return 1;
}

V_INLINE int fit_global_div(const lqi_encode_run *run, const planar *p, v_f32 least, v_f32 most,
                            batch *b)
{
    v_f32 global = v_set1(run->global);
    v_f32 scale = through_e4m3(v_mul(global, v_div(most, v_set1(6))));

    (void)p, (void)least;
    scale = v_select(v_eq(scale, v_set1(0)), v_set1(0.125f), scale);
    v_store(b->scale, scale);
    v_store(b->by, v_div(scale, global));
    return 1;
}

/* ----------------------------------------------------------------- integers */

#define INTEGER(name, n, flip) \
    static const planar name##_rules = { .round = integer_of, .divide = 1, .pack = { n, 0 }, \
        .lo = -(1 << (n - 1)), .hi = (1 << (n - 1)) - 1, .zero = (1 << (n - 1)) - flip, \
        .top = (float)((1 << n) - 1) / 2 }; \
    static void encode_##name(const lqi_encode_run *run) \
    { \
        if (run->zero) \
            encode_planar(run, &name##_rules, fit_affine, 1); \
        else \
            encode_planar(run, &name##_rules, fit_ratio, 0); \
    } \
    static void round_##name(const lqi_round_run *r) \
    { \
        round_group(&name##_rules, r, r->scale); \
    }
INTEGER(int2, 2, 0)
INTEGER(int3, 3, 0)
INTEGER(int4, 4, 0)
INTEGER(int5, 5, 0)
INTEGER(int6, 6, 0)
INTEGER(int7, 7, 0)
INTEGER(int8, 8, 128)   /* stored minus 128 */

static const planar int8_absmax_rules = { .round = integer_of, .pack = { 8, 0 }, .lo = -127,
                                          .hi = 127 };

static void round_int8_absmax(const lqi_round_run *r)
{
    round_group(&int8_absmax_rules, r, 127 / r->scale);
}

static const planar ternary_rules = { .round = integer_of, .divide = 1, .pack = { 2, 0 },
                                      .lo = -1, .hi = 1, .zero = 1 };

static void round_ternary(const lqi_round_run *r)
{
    round_group(&ternary_rules, r, r->scale);
}

/* ------------------------------------------------------------- small floats */

#define FLOAT8(name, largest) \
    static const planar name##_rules = { .round = name##_of, .divide = 1, .pack = { 8, 0 }, \
                                         .top = largest }; \
    static void encode_##name(const lqi_encode_run *run) \
    { \
        encode_planar(run, &name##_rules, fit_ratio, 0); \
    }
FLOAT8(e4m3, 448)
FLOAT8(e5m2, 57344)

#define MX(name, rounder, n, exponent, largest, mantissa) \
    static const planar mx_##name##_rules = { .round = rounder, .pack = { n, 0 }, \
        .lo = -127, .hi = 127, .top = largest, .emax = exponent, .man = mantissa }; \
    static void encode_mx_##name(const lqi_encode_run *run) \
    { \
        encode_planar(run, &mx_##name##_rules, fit_power, 0); \
    }
MX(e4m3, e4m3_of, 8, 8, 448, 3)
MX(e5m2, e5m2_of, 8, 15, 57344, 2)
MX(e2m3, e2m3_of, 6, 2, 7.5f, 3)
MX(e3m2, e3m2_of, 6, 4, 28, 2)
MX(e2m1, e2m1_of, 4, 2, 6, 1)
MX(int8, fixed64_of, 8, 0, 127.0f / 64, 6)

/* A scale that is known need not be a power of two. */
#define DIVIDING(name, rounder, n) \
    static const planar round_##name##_rules = { .round = rounder, .divide = 1, \
        .pack = { n, 0 }, .lo = -127, .hi = 127 }; \
    static void round_##name(const lqi_round_run *r) \
    { \
        round_group(&round_##name##_rules, r, r->scale); \
    }
DIVIDING(e4m3, e4m3_of, 8)
DIVIDING(e5m2, e5m2_of, 8)
DIVIDING(e2m3, e2m3_of, 6)
DIVIDING(e3m2, e3m2_of, 6)
DIVIDING(e2m1, e2m1_of, 4)
DIVIDING(int8_64, fixed64_of, 8)

static const planar global_mul_rules = { .round = e2m1_of, .pack = { 4, 0 } };
static const planar global_div_rules = { .round = e2m1_of, .divide = 1, .pack = { 4, 0 } };

static void encode_e4m3_e2m1(const lqi_encode_run *run)
{
    if (run->spec->flags & LQ_SPEC_GLOBAL_DIV)
        encode_planar(run, &global_div_rules, fit_global_div, 0);
    else
        encode_planar(run, &global_mul_rules, fit_global_mul, 0);
}

/* ------------------------------------------------------------------ ladders */

static const planar ladder_rules = { .round = rung_of, .pack = { 4, 1 } };
static const planar ladder_partial = { .round = rung_of, .divide = 1, .pack = { 4, 1 } };

static void encode_ladder_high(const lqi_encode_run *run)
{
    encode_planar(run, &ladder_rules, fit_magnitude, 0);
}

static void round_ladder_high(const lqi_round_run *r)
{
    if (r->partial)
        round_group(&ladder_partial, r, r->scale);
    else
        round_group(&ladder_rules, r, 1 / r->scale);
}

/* --------------------------------------------------------------------- bins */

static const planar bins8_rules = { .round = bin_of, .pack = { 8, 0 } };
static const planar bins4_rules = { .round = bin_of, .pack = { 4, 0 } };

/* Other widths are less common. */
static void encode_bins(const lqi_encode_run *run)
{
    unsigned bits = run->bins->entry ? run->bins->bits : 0;

    if (bits == 8)
        encode_planar(run, &bins8_rules, fit_magnitude, 0);
    else if (bits == 4)
        encode_planar(run, &bins4_rules, fit_magnitude, 0);
    else
        run->plain(run);
}
