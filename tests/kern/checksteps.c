/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checksteps.c - steps of optimizers: every level against the reference, 8-bit codes
 * against exact distances
 *
 * --time prints parameters per second of one thread, in the caches and beyond.
 */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "common.h"
#include "lib/core/core.h"

static const lq_level levels[] = {
    LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI, LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16,
    LQ_LEVEL_NEON, LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM,
};

static const char *const rule_name[LQI_STEPS] = { "adam", "lion", "sgd" };

/* Arrays of a step: p, g, then states and scales. */
typedef struct arrays {
    float   *p, *g;
    uint8_t *state[2];
    float   *scales[2];
} arrays;

static arrays make_arrays(size_t n)
{
    size_t blocks = n / LQI_STATE_BLOCK + 1;
    arrays a;

    a.p = calloc(n + 1, sizeof *a.p);
    a.g = calloc(n + 1, sizeof *a.g);
    for (int i = 0; i < 2; i++) {
        a.state[i] = calloc(n + 1, sizeof(float));
        a.scales[i] = calloc(blocks + 1, sizeof(float));
    }
    return a;
}

static void free_arrays(arrays *a)
{
    free(a->p);
    free(a->g);
    for (int i = 0; i < 2; i++) {
        free(a->state[i]);
        free(a->scales[i]);
    }
}

static lqi_step make_step(const arrays *a, size_t n, const lqi_map8 *const map[2], float coupled)
{
    return (lqi_step){ .p = a->p, .g = a->g, .n = n, .state = { a->state[0], a->state[1] },
                       .absmax = { a->scales[0], a->scales[1] }, .map = { map[0], map[1] },
                       .beta = { 0.9f, 0.95f }, .rest = { 0.1f, 0.05f }, .rate = 1e-3f,
                       .eps = 1e-8f, .keep = 0.999f, .coupled = coupled, .scale = 0.7f };
}

/* Gradients of many sizes; and now and then what no gradient should be. */
static float any_gradient(uint64_t *seed)
{
    static const float special[] = { 0.0f, -0.0f, 1e30f, -1e25f, 1e-30f, 1e-42f, INFINITY, NAN };
    uint64_t z = test_next(seed);

    if (z % 16 == 0)
        return special[z / 16 % COUNT(special)];
    return ldexpf(test_normal(seed), -(int)(z / 16 % 24));
}

static void same_bytes(const arrays *a, const arrays *b, size_t n, int narrow, const char *name)
{
    size_t state = narrow ? n : n * sizeof(float), blocks = n / LQI_STATE_BLOCK + 1;

    if (memcmp(a->p, b->p, (n + 1) * sizeof *a->p))
        fail_msg("%s: parameters differ", name);
    for (int i = 0; i < 2; i++)
        if (memcmp(a->state[i], b->state[i], state + 1) ||
            memcmp(a->scales[i], b->scales[i], (blocks + 1) * sizeof(float)))
            fail_msg("%s: state %d differs", name, i);
}

static void compare(const lqi_kernels *ref, const lqi_kernels *k, const lqi_map8 *const map[2],
                    size_t n, int rule, int narrow)
{
    arrays a = make_arrays(n), b = make_arrays(n);
    uint64_t seed = n + (uint64_t)rule;

    for (size_t i = 0; i < n; i++)
        a.p[i] = b.p[i] = test_normal(&seed);
    a.p[n] = b.p[n] = 7;
    for (int t = 0; t < 5; t++) {
        lqi_step s = make_step(&a, n, map, t & 1 ? 0.01f : 0.0f);
        lqi_step other = make_step(&b, n, map, t & 1 ? 0.01f : 0.0f);

        for (size_t i = 0; i < n; i++)
            a.g[i] = b.g[i] = any_gradient(&seed);
        ref->step[rule][narrow](&s);
        k->step[rule][narrow](&other);
        same_bytes(&a, &b, n, narrow, rule_name[rule]);
    }
    assert_true(a.p[n] == 7);
    for (size_t i = 0; i < n; i++)
        assert_true(isfinite(a.p[i]));
    free_arrays(&a);
    free_arrays(&b);
}

static void levels_agree(void **state)
{
    static const size_t sizes[] = { 0, 1, 7, 15, 17, 63, 255, 256, 257, 511, 512, 1000, 2048 };
    lqi_kernels ref, k;
    const lqi_map8 *map[2];

    assert_int_equal(lqi_maps8_need(*state, map), LQ_OK);
    lqi_kernels_init(&ref, LQ_LEVEL_REF);
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lqi_level_usable(levels[l]))
            continue;
        lqi_kernels_init(&k, levels[l]);
        for (size_t i = 0; i < COUNT(sizes); i++)
            for (int rule = 0; rule < LQI_STEPS; rule++)
                for (int narrow = 0; narrow < 2; narrow++)
                    compare(&ref, &k, map, sizes[i], rule, narrow);
    }
}

/* ------------------------------------------------------------------- codes */

/* Nearest by distances, exact in long double; of equal ones the lower. */
static int nearest_code(const lqi_map8 *map, float y)
{
    long double best = INFINITY;
    int code = 0;

    for (int i = 0; i < 256; i++) {
        long double d = fabsl((long double)map->value[i] - y);

        if (d < best) {
            best = d;
            code = i;
        }
    }
    return code;
}

static void check_code(const lqi_map8 *map, int floor, float y)
{
    int code = lqi_bins_code(&map->bins, y), expected = nearest_code(map, y);

    if (floor && y > 0 && expected == 0)
        expected = 1;
    if (code != expected)
        fail_msg("%a: code %d, not %d", y, code, expected);
}

static void nearest_codes(void **state)
{
    const lqi_map8 *map[2];
    uint64_t seed = 3;

    assert_int_equal(lqi_maps8_need(*state, map), LQ_OK);
    assert_int_equal(map[0]->zero, 127);
    assert_int_equal(map[1]->zero, 0);
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < 255; i++) {
            float middle = (float)(((double)map[m]->value[i] + map[m]->value[i + 1]) / 2);

            check_code(map[m], m, map[m]->value[i]);
            check_code(map[m], m, middle);
            check_code(map[m], m, nextafterf(middle, 2));
            if (middle > 0 || m == 0)
                check_code(map[m], m, nextafterf(middle, m ? 0 : -2));
        }
        for (int i = 0; i < 20000; i++) {
            float y = ldexpf((float)(test_next(&seed) >> 40), -24 - (int)(test_next(&seed) % 40));

            check_code(map[m], m, m == 0 && i & 1 ? -y : y);
        }
    }
    assert_int_equal(lqi_bins_code(&map[1]->bins, 1e-45f), 1);
    assert_int_equal(lqi_bins_code(&map[1]->bins, 0), 0);
}

/* -------------------------------------------------------------------- speed */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double rate(const lqi_kernels *k, const lqi_map8 *const map[2], size_t n, int rule,
                   int narrow)
{
    arrays a = make_arrays(n);
    lqi_step s = make_step(&a, n, map, 0);
    double best = 0, spent = 0;
    uint64_t seed = 1;

    for (size_t i = 0; i < n; i++) {
        a.p[i] = test_normal(&seed);
        a.g[i] = test_normal(&seed);
    }
    k->step[rule][narrow](&s);   /* memory is there from now on */
    while (spent < 0.25) {
        double start = seconds(), time;
        size_t times = 1 + (1u << 20) / n;

        for (size_t i = 0; i < times; i++)
            k->step[rule][narrow](&s);
        time = seconds() - start;
        spent += time;
        best = fmax(best, (double)(times * n) / time);
    }
    free_arrays(&a);
    return best * 1e-6;
}

static int time_all(const lq_ctx *ctx)
{
    static const lq_level timed[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX512_VNNI };
    const lqi_map8 *map[2];
    lqi_kernels k;

    if (lqi_maps8_need(ctx, map))
        return 1;
    printf("Mparameters/s, one thread: 16 Ki of them, and 16 Mi\n");
    for (size_t l = 0; l < COUNT(timed); l++) {
        if (!lqi_level_usable(timed[l]))
            continue;
        lqi_kernels_init(&k, timed[l]);
        for (int rule = 0; rule < LQI_STEPS; rule++)
            for (int narrow = 0; narrow < 2; narrow++)
                printf("%-12s %-4s %-4s %7.0f %7.0f\n", lq_level_name(timed[l]),
                       rule_name[rule], narrow ? "8bit" : "f32",
                       rate(&k, map, 1u << 14, rule, narrow),
                       timed[l] == LQ_LEVEL_REF ? 0 : rate(&k, map, 1u << 24, rule, narrow));
    }
    return 0;
}

static int make_context(void **state)
{
    return lq_ctx_create(NULL, (lq_ctx **)state, NULL) != LQ_OK;
}

static int destroy_context(void **state)
{
    lq_ctx_destroy(*state);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_codes),
        cmocka_unit_test(levels_agree),
    };
    void *ctx = NULL;

    if (argc > 1 && !strcmp(argv[1], "--time"))
        return make_context(&ctx) || time_all(ctx);
    return cmocka_run_group_tests(tests, make_context, destroy_context);
}
