/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checkgrids.c - codebook searches of each level against the plain ones
 *
 * Sub-blocks of the sizes and rules that formats use, on random numbers, ties and few
 * values, negative magnitudes, weights of 0, numbers that only some levels take; every
 * neighbour list of IQ1.  --seed N repeats a run.
 */
#include <math.h>

#include "common.h"
#include "lib/format/grid_search.h"
#include "lib/format/iq1.h"

static const lq_level levels[] = {
    LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI, LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16,
    LQ_LEVEL_NEON, LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM,
};

static const lqi_grid_rules rules[] = {
    { .sub = 32, .base = 15, .step = 0.2f, .steps = 9, .repeat_all = 1, .start_off = 1 },
    { .sub = 32, .base = 15, .step = 0.2f, .steps = 15 },
    { .sub = 32, .base = 5, .step = 0.1f, .steps = 6, .repeat = 1, .repeat_all = 1 },
    { .sub = 16, .base = 5, .step = 0.1f, .steps = 9 },
};

static uint64_t seed = 1;
static lqi_grids *grids;

enum { NORMAL, TIES, FEW, NEGATIVE, SMALL, LARGE, ODD, PATTERNS };

static float number(int pattern)
{
    static const float odd[] = { 0, 1e-45f, 1e-38f, 1e-20f, 1e-8f, 1e8f, 1e13f, 1e20f, 1e38f };
    uint64_t z = test_next(&seed) >> 16;
    float v = fabsf(test_normal(&seed));

    switch (pattern) {
    case TIES:     return z % 4 ? 0.75f : 0.25f;
    case FEW:      return (float)(z % 6) / 4;
    case NEGATIVE: return z % 8 ? v : -v;
    case SMALL:    return v * 1e-18f;
    case LARGE:    return v * 1e11f;
    case ODD:      return z % 8 ? v : odd[z / 8 % COUNT(odd)];
    default:       return v;
    }
}

static void fill(int pattern, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = number(pattern);
}

/* --------------------------------------------------------------- sub-blocks */

static size_t refused, taken;

static void check_fit(const lqi_search *s, const lqi_grid_rules *r, int grid, int pattern,
                      int weights)
{
    _Alignas(LQI_ALIGN) float v[LQI_GRID_SUB], w[LQI_GRID_SUB];
    lqi_grid_fit plain = { .rules = r, .near = lqi_grids_near(grids, grid), .v = v, .w = w };

    fill(pattern, v, LQI_GRID_SUB);
    fill(weights == NEGATIVE ? ODD : weights, w, LQI_GRID_SUB);
    for (int i = 0; i < r->sub; i++)
        plain.range = v[i] > plain.range ? v[i] : plain.range;
    plain.scale = plain.range / 15;
    lqi_grid_fit fit = plain;
    if (plain.range == 0)
        return;
    if (s->grid(&fit)) {
        refused++;
        return;
    }
    taken++;
    lqi_grid_fit_plain(&plain);
    assert_int_equal(lqi_float_bits(plain.scale), lqi_float_bits(fit.scale));
    for (int g = 0; g < r->sub / plain.near->lanes; g++)
        assert_int_equal(plain.word[g], fit.word[g]);
}

static void sub_blocks(const lqi_search *s)
{
    for (int grid = LQI_GRID_NONE + 1; grid < LQI_GRIDS; grid++)
        for (size_t r = 0; r < COUNT(rules); r++)
            for (int i = 0; i < 4 * PATTERNS * PATTERNS; i++)
                check_fit(s, &rules[r], grid, i % PATTERNS, i / PATTERNS % PATTERNS);
    print_message("sub-blocks: %zu taken, %zu refused\n", taken, refused);
    assert_true(refused < taken);
}

/* -------------------------------------------------------------------- lists */

static uint16_t plain_nearest(const uint16_t *list, unsigned n, const float *x, const float *w,
                              float scale, const float *q)
{
    float term[8][8] = { { 0 } }, error;

    for (int i = 0; i < 8; i++)
        for (int l = 0; l < 3; l++) {
            float e = scale * q[l] - x[i];
            term[i][l] = w[i] * e * e;
        }
    return lqi_near_word(8, list, n, (const float (*)[8])term, &error);
}

static void lists(const lqi_search *s)
{
    const lqi_near *near = lqi_grids_near(grids, LQI_GRID_IQ1);
    float x[8], w[8];

    for (unsigned point = 0; point < lqi_grid_kinds[LQI_GRID_IQ1].points; point++) {
        int32_t place = near->place[point];
        const float *q = lqi_iq1_value[point % 2];
        if (place >= 0)
            continue;
        const uint16_t *list = lqi_near_list(near, place);
        unsigned n = lqi_near_count(place);
        fill((int)(point % PATTERNS), x, 8);
        fill((int)(point / PATTERNS % PATTERNS), w, 8);
        float scale = point % 11 ? number(NORMAL) : NAN;
        assert_int_equal(s->nearest(list, n, x, w, scale, q),
                         plain_nearest(list, n, x, w, scale, q));
    }
}

static void every_level(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(levels); i++) {
        lqi_kernels k;
        if (!lqi_level_usable(levels[i]))
            continue;
        lqi_kernels_init(&k, levels[i]);
        if (!k.search.grid)
            continue;
        print_message("level %s, seed %llu\n", lq_level_name(levels[i]),
                      (unsigned long long)seed);
        sub_blocks(&k.search);
        lists(&k.search);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_level) };
    const lq_allocator standard = { 0 };

    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        seed = strtoull(argv[2], NULL, 10);
    grids = lqi_grids_create(&standard);
    for (int i = 0; i < LQI_GRIDS; i++)
        if (!grids || lqi_grids_need(grids, i))
            return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lqi_grids_destroy(grids);
    return failed;
}
