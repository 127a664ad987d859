/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checksearch.c - scale searches in lanes against the plain ones
 *
 * Each search slot of each level must give the bits of lib/format/search.c in every lane
 * that it does not refuse, and each format's encode_many the bytes of lqi_encode_block():
 * on normal and heavy-tailed rows, zeros, ties, equal values, magnitudes that overflow or
 * vanish when squared, any bits at all, with importances of all these kinds.
 * Walks the registry.  --seed N repeats a run.
 */
#include <math.h>
#include <stdio.h>

#include "common.h"
#include "lib/format/format.h"
#include "lib/format/grids.h"
#include "lib/format/iq4.h"

#define COLS 4096   /* of the longest row */

static const lq_level levels[] = {
    LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI, LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16,
    LQ_LEVEL_NEON, LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM,
};

static uint64_t seed = 1;

/* ------------------------------------------------------------------ inputs */

enum { NORMAL, HEAVY, ZEROS, EQUAL, TIES, FEW, POSITIVE, ODD_BLOCKS, ODD_SUBS, ODD_VALUES,
       FINITE_BITS, ANY_BITS, PATTERNS };

static float odd_magnitude(void)
{
    static const float odd[] = { 1e-45f, 1e-40f, 1e-38f, 1e-30f, 1e-20f, 1e-16f, 1e-15f, 1e-14f,
                                 1e-7f, 1e7f, 1e14f, 1e16f, 1e19f, 1e25f, 1e30f, 1e38f };

    return odd[test_next(&seed) % COUNT(odd)];
}

static float any_bits(int finite)
{
    for (;;) {
        float v = lqi_bits_float((uint32_t)(test_next(&seed) >> 16));
        if (!finite || lqi_finite(v))
            return v;
    }
}

static float heavy(void)
{
    float v = test_normal(&seed);

    return v * v * v * v * v / 8;
}

/* 'n' numbers of one pattern; what belongs together comes in runs of 16, 32 or 256. */
static void fill(int pattern, float *x, size_t n)
{
    float same = 0, factor = 1;

    for (size_t i = 0; i < n; i++) {
        uint64_t z = test_next(&seed);
        float v = test_normal(&seed);
        if (i % (pattern == ODD_BLOCKS ? 256 : 16 << z % 2) == 0) {
            same = v;
            factor = z >> 8 & 3 ? 1 : pattern == ZEROS ? 0 : odd_magnitude();
        }
        switch (pattern) {
        case HEAVY:       x[i] = heavy(); break;
        case ZEROS:       x[i] = v * factor; break;
        case EQUAL:       x[i] = z >> 32 & 31 ? same : v; break;
        case TIES:        x[i] = z >> 32 & 3 ? 0.75f : -0.75f; break;
        case FEW:         x[i] = (float)((int)(z >> 32 & 7) - 3) / 4; break;
        case POSITIVE:    x[i] = fabsf(v); break;
        case ODD_BLOCKS:
        case ODD_SUBS:    x[i] = v * factor; break;
        case ODD_VALUES:  x[i] = z >> 32 & 15 ? v : v * odd_magnitude(); break;
        case FINITE_BITS: x[i] = any_bits(1); break;
        case ANY_BITS:    x[i] = z >> 32 & 31 ? v : any_bits(0); break;
        default:          x[i] = v; break;
        }
    }
}

/* As the core lets them through: finite and not negative. */
static void fill_importance(int pattern, float *imp, size_t n)
{
    fill(pattern, imp, n);
    for (size_t i = 0; i < n; i++)
        imp[i] = lqi_finite(imp[i]) ? fabsf(imp[i]) : 1;
}

/* ------------------------------------------------------------------- slots */

#define GROUPS 3   /* a pair and one more */

typedef struct lanes {
    _Alignas(LQI_ALIGN) float x[GROUPS * LQI_LANE_GROUP * LQI_LANES_MAX];
    _Alignas(LQI_ALIGN) float w[GROUPS * LQI_LANE_GROUP * LQI_LANES_MAX];
    _Alignas(LQI_ALIGN) float out[4][GROUPS * LQI_LANES_MAX];
    uint8_t codes[GROUPS * LQI_LANE_GROUP * LQI_LANES_MAX];
} lanes;

static lanes data;
static size_t refused, taken;

/* Group g of a lane as the plain searches see it. */
static void gather(const lqi_search *s, const float *v, size_t g, size_t n, size_t lane,
                   float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = v[(g * n + i) * s->lanes + lane];
}

static void same_float(const char *what, float plain, float got)
{
    if (lqi_float_bits(plain) != lqi_float_bits(got) && !(plain != plain && got != got))
        fail_msg("%s is %a, not %a", what, (double)got, (double)plain);
}

static int takes(uint32_t odd, size_t lane)
{
    refused += odd >> lane & 1;
    taken += !(odd >> lane & 1);
    return !(odd >> lane & 1);
}

static void check_affine(const lqi_search *s, size_t n, int nmax, int absolute)
{
    const lqi_qkx_plan plan = { .rmin = -0.9f, .rdelta = 0.05f, .nmax = nmax, .steps = 36,
                                .absolute = absolute };
    const lqi_affine_search job = { .x = data.x, .w = data.w, .groups = GROUPS, .n = n,
                                    .rmin = plan.rmin, .rdelta = plan.rdelta, .nmax = nmax,
                                    .steps = plan.steps, .absolute = absolute,
                                    .scale = data.out[0], .min = data.out[1],
                                    .inverse = data.out[2], .base = data.out[3] };
    uint32_t odd = s->affine(&job);
    float x[LQI_LANE_GROUP], w[LQI_LANE_GROUP];

    for (size_t lane = 0; lane < s->lanes; lane++)
        for (size_t g = 0; g < GROUPS && takes(odd, lane); g++) {
            size_t at = g * s->lanes + lane;
            gather(s, data.x, g, n, lane, x);
            gather(s, data.w, g, n, lane, w);
            lqi_qkx plain = lqi_make_qkx(&plan, x, w, (int)n);
            same_float("scale", plain.scale, data.out[0][at]);
            same_float("min", plain.min, data.out[1][at]);
            same_float("inverse", plain.inverse, data.out[2][at]);
            same_float("base", plain.base, data.out[3][at]);
        }
}

static void check_symmetric(const lqi_search *s, size_t n, int nmax)
{
    const lqi_symmetric_search job = { .x = data.x, .w = data.w, .groups = GROUPS, .n = n,
                                       .nmax = nmax, .scale = data.out[0],
                                       .inverse = data.out[1] };
    uint32_t odd = s->symmetric(&job);
    float x[LQI_LANE_GROUP], w[LQI_LANE_GROUP];

    for (size_t lane = 0; lane < s->lanes; lane++)
        for (size_t g = 0; g < GROUPS && takes(odd, lane); g++) {
            gather(s, data.x, g, n, lane, x);
            gather(s, data.w, g, n, lane, w);
            lqi_qx plain = lqi_make_qx(x, w, (int)n, nmax);
            same_float("scale", plain.scale, data.out[0][g * s->lanes + lane]);
            same_float("inverse", plain.inverse, data.out[1][g * s->lanes + lane]);
        }
}

static void check_descend(const lqi_search *s, size_t n, int nmax)
{
    const lqi_symmetric_search job = { .x = data.x, .w = data.w, .groups = GROUPS, .n = n,
                                       .nmax = nmax, .scale = data.out[0],
                                       .codes = data.codes };
    float x[LQI_LANE_GROUP], sum[LQI_LANES_MAX];
    uint32_t codes[LQI_LANE_GROUP], odd;

    for (size_t g = 0; g < GROUPS; g++)
        s->weigh(LQI_WEIGH_SQUARE, data.x + g * n * s->lanes, n, NULL,
                 data.w + g * n * s->lanes, sum);
    odd = s->descend(&job);
    for (size_t lane = 0; lane < s->lanes; lane++)
        for (size_t g = 0; g < GROUPS && takes(odd, lane); g++) {
            gather(s, data.x, g, n, lane, x);
            float plain = lqi_make_q3(x, (int)n, nmax, codes);
            same_float("scale", plain, data.out[0][g * s->lanes + lane]);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(codes[i], data.codes[(g * n + i) * s->lanes + lane]);
        }
}

static void check_nonnegative(const lqi_search *s, size_t n, int nmax)
{
    float x[LQI_LANE_GROUP], w[LQI_LANE_GROUP];
    uint8_t codes[LQI_LANE_GROUP];
    uint32_t odd = s->nonnegative(data.x, data.w, n, nmax, data.codes, data.out[0]);

    for (size_t lane = 0; lane < s->lanes; lane++)
        if (takes(odd, lane)) {
            gather(s, data.x, 0, n, lane, x);
            gather(s, data.w, 0, n, lane, w);
            float plain = lqi_make_qp(x, w, (int)n, nmax, codes);
            same_float("scale", plain, data.out[0][lane]);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(codes[i], data.codes[i * s->lanes + lane]);
        }
}

static void check_weights(const lqi_search *s, size_t n)
{
    _Alignas(LQI_ALIGN) float ms[LQI_LANES_MAX], sum[LQI_LANES_MAX], square[LQI_LANES_MAX];
    float x[LQI_LANE_GROUP], imp[LQI_LANE_GROUP], w[LQI_LANE_GROUP], got[LQI_LANE_GROUP];
    lanes *other = malloc(sizeof *other);

    assert_non_null(other);
    fill_importance(HEAVY, ms, LQI_LANES_MAX);
    *other = data;
    s->weigh(LQI_WEIGH_IMPORTANCE, data.x, n, ms, other->w, sum);
    s->sum_squares(data.x, n, square);
    for (size_t lane = 0; lane < s->lanes; lane++) {
        gather(s, data.x, 0, n, lane, x);
        gather(s, data.w, 0, n, lane, imp);
        gather(s, other->w, 0, n, lane, got);
        same_float("sum of weights", lqi_search_weights(x, imp, (int)n, ms[lane], w), sum[lane]);
        same_float("sum of squares", lqi_sum_squares(x, (int)n), square[lane]);
        for (size_t i = 0; i < n; i++)
            same_float("weight", w[i], got[i]);
    }
    free(other);
}

static void check_round(const lqi_search *s)
{
    static const int range[][2] = { { 0, 15 }, { -32, 31 }, { 0, 3 }, { -4, 3 } };
    float scale[16], add[16];
    uint32_t codes[256];

    fill(HEAVY, scale, 16);
    fill_importance(NORMAL, add, 16);
    scale[3] = 0;
    for (size_t t = 0; t < COUNT(range); t++) {
        const lqi_rounding r = { .x = data.x, .n = 256, .group = 16, .scale = scale,
                                 .add = t % 2 ? NULL : add, .lo = range[t][0], .hi = range[t][1],
                                 .multiply = t / 2 % 2, .codes = codes };
        memset(codes, 0x5a, sizeof codes);
        if (s->round(&r))
            continue;
        for (size_t i = 0; i < 256; i++) {
            float v = data.x[i] + (r.add ? add[i / 16] : 0);
            v = r.multiply ? scale[i / 16] * v : v / scale[i / 16];
            uint32_t code = (uint32_t)(lqi_clamp_int(lqi_nearest_int(v), r.lo, r.hi) - r.lo);
            assert_int_equal(codes[i], scale[i / 16] == 0 ? 0x5a5a5a5a : code);
        }
    }
}

/* With the weights x^2; lib/format/iq4.h makes its own. */
static void check_levels(const lqi_search *s)
{
    const size_t n = LQI_IQ4_SUB;
    const lqi_symmetric_search job = { .x = data.x, .w = data.w, .groups = GROUPS, .n = n,
                                       .levels = &lqi_iq4_levels, .scale = data.out[0] };
    float x[LQI_LANE_GROUP], sum[LQI_LANES_MAX];
    uint32_t odd;

    for (size_t g = 0; g < GROUPS; g++)
        s->weigh(LQI_WEIGH_SQUARE, data.x + g * n * s->lanes, n, NULL,
                 data.w + g * n * s->lanes, sum);
    odd = s->levels(&job);
    for (size_t lane = 0; lane < s->lanes; lane++)
        for (size_t g = 0; g < GROUPS && takes(odd, lane); g++) {
            gather(s, data.x, g, n, lane, x);
            same_float("scale", lqi_iq4_search(x, NULL, 0), data.out[0][g * s->lanes + lane]);
        }
}

/* Codes on both sides of every midpoint and everywhere between, and far outside. */
static void check_level_codes(const lqi_search *s)
{
    static float v[16384];
    static uint32_t codes[COUNT(v)];
    const float one = 1;
    const lqi_rounding r = { .x = v, .n = COUNT(v), .group = COUNT(v), .scale = &one,
                             .codes = codes };

    for (size_t i = 0; i < COUNT(v); i++)
        v[i] = ((float)i - (float)COUNT(v) / 2) / 32;
    for (size_t i = 0; i < 15; i++) {
        v[2 * i] = nextafterf(lqi_iq4_levels.middle[i], -1000);
        v[2 * i + 1] = nextafterf(lqi_iq4_levels.middle[i], 1000);
    }
    v[40] = 1e20f;
    v[41] = -1e20f;
    assert_int_equal(s->round_levels(&r, &lqi_iq4_levels), 0);
    for (size_t i = 0; i < COUNT(v); i++)
        assert_int_equal(codes[i], lqi_iq4_code(v[i]));
    v[7] = NAN;
    assert_int_equal(s->round_levels(&r, &lqi_iq4_levels), 1);
}

static void check_slots(const lqi_search *s)
{
    for (int pattern = 0; pattern < PATTERNS; pattern++)
        for (int weights = 0; weights < PATTERNS; weights += weights < ODD_BLOCKS ? 3 : 1) {
            fill(pattern, data.x, COUNT(data.x));
            fill_importance(weights, data.w, COUNT(data.w));
            check_weights(s, 32);
            check_round(s);
            check_affine(s, 32, 15, 0);
            check_affine(s, 16, 3, 1);
            check_symmetric(s, 16, 32);
            check_symmetric(s, 32, 8);
            check_descend(s, 16, 4);
            check_levels(s);
            fill_importance(pattern, data.x, COUNT(data.x));
            fill_importance(weights, data.w, COUNT(data.w));
            check_nonnegative(s, 8, 63);
            check_nonnegative(s, 16, 15);
        }
    print_message("searches: %zu taken, %zu refused\n", taken, refused);
    assert_true(refused * 4 < taken);
}

static void transpositions(const lqi_search *s)
{
    static float rows[LQI_LANES_MAX][300];
    const float *row[LQI_LANES_MAX];

    for (size_t lane = 0; lane < s->lanes; lane++) {
        fill(NORMAL, rows[lane], COUNT(rows[lane]));
        row[lane] = rows[lane];
    }
    s->transpose(row, 7, 32, data.x);
    for (size_t lane = 0; lane < s->lanes; lane++)
        for (size_t i = 0; i < 32; i++)
            assert_true(data.x[i * s->lanes + lane] == rows[lane][7 + i]);
}

static void every_slot(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(levels); i++) {
        lqi_kernels k;
        if (!lqi_level_usable(levels[i]))
            continue;
        lqi_kernels_init(&k, levels[i]);
        if (!k.search.lanes)
            continue;
        assert_true(k.search.lanes <= LQI_LANES_MAX && 16 % k.search.lanes == 0);
        print_message("level %s, seed %llu\n", lq_level_name(levels[i]),
                      (unsigned long long)seed);
        transpositions(&k.search);
        check_level_codes(&k.search);
        check_slots(&k.search);
    }
}

/* ----------------------------------------------------------------- formats */

static float x[COLS], imp[COLS];
static lqi_grids *grids;
static uint8_t plain[8 * COLS], many[8 * COLS + 64];

static void encode_plain(const lqi_format *f, const lqi_encode_run *run)
{
    lqi_fit in = { .spec = run->spec, .n = f->block_len, .row_ms = run->row_ms,
                   .grids = run->grids };

    for (size_t i = 0; i < run->n / f->block_len; i++) {
        in.x = run->x + i * f->block_len;
        in.imp = run->imp ? run->imp + i * f->block_len : NULL;
        lqi_encode_block(f, &in, plain + i * f->block_bytes);
    }
}

static void compare(const lqi_format *f, const lqi_kernels *k, size_t n, int weighted)
{
    lqi_encode_run run = { .x = x, .imp = weighted ? imp : NULL, .n = n, .kernels = k,
                           .grids = grids, .codes = many };
    lq_spec spec = LQ_SPEC_INIT;
    size_t bytes = n / f->block_len * f->block_bytes;

    spec.format = f->id;
    run.spec = &spec;
    run.row_ms = lqi_sum_squares(x, (int)n) / (float)n;
    encode_plain(f, &run);
    memset(many, 0x5a, sizeof many);
    f->encode_many(&run);
    for (size_t i = 0; i < bytes; i++)
        if (plain[i] != many[i])
            fail_msg("%s%s: block %zu byte %zu is %02x, not %02x", f->name,
                     weighted ? " with importances" : "", i / f->block_bytes,
                     i % f->block_bytes, many[i], plain[i]);
    for (size_t i = bytes; i < bytes + 64; i++)
        assert_int_equal(many[i], 0x5a);
}

static void format_rows(const lqi_format *f, const lqi_kernels *k)
{
    for (int pattern = 0; pattern < PATTERNS; pattern++) {
        fill(pattern, x, COLS);
        compare(f, k, COLS, 0);
        for (int weights = 0; weights < PATTERNS; weights += weights < ODD_BLOCKS ? 2 : 1) {
            fill_importance(weights, imp, COLS);
            compare(f, k, COLS, 1);
        }
    }
    memset(imp, 0, sizeof imp);
    compare(f, k, COLS, 1);
    memset(x, 0, sizeof x);
    compare(f, k, COLS, 0);
    compare(f, k, COLS, 1);
}

/* 1 to 17 superblocks, or as many small blocks; one odd among sixteen. */
static void short_rows(const lqi_format *f, const lqi_kernels *k)
{
    for (size_t n = f->block_len; n <= COLS && n <= 17u * f->block_len; n += f->block_len) {
        fill(HEAVY, x, n);
        fill_importance(NORMAL, imp, n);
        x[test_next(&seed) % n] = odd_magnitude();
        compare(f, k, n, 0);
        compare(f, k, n, 1);
    }
}

static void every_format(void **state)
{
    const lq_allocator standard = { 0 };

    (void)state;
    grids = lqi_grids_create(&standard);
    assert_non_null(grids);
    for (size_t i = 0; i < COUNT(levels); i++) {
        lqi_kernels k;
        if (!lqi_level_usable(levels[i]))
            continue;
        lqi_kernels_init(&k, levels[i]);
        for (int j = 0; j < LQI_FORMATS; j++) {
            const lqi_format *f = lqi_formats[j];
            if (!f->encode_many || f->storage != LQ_BLOCKED)
                continue;
            print_message("%s %s\n", lq_level_name(levels[i]), f->name);
            assert_int_equal(lqi_grids_need(grids, f->grid), LQ_OK);
            format_rows(f, &k);
            short_rows(f, &k);
        }
    }
    lqi_grids_destroy(grids);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slot), cmocka_unit_test(every_format),
    };

    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
