/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/optimizer.c - three steps of 8-bit optimizers as bitsandbytes makes them
 *
 * The vectors are its updates with nearest codes.  Its framework rounds sums elsewhere than we
 * do, so parameters are compared with a tolerance and a code in a hundred may be the next
 * one.  Where it stores a second moment as zero, we store the smallest number, and go another
 * way from there: these numbers are not compared.
 */
#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libquant/libquant.h"
#include "tests/golden/vectors.h"

static vec_set set;

static double number(const vec_array *a, const char *key)
{
    const char *at = strstr(a->params, key);

    assert_non_null(at);
    return strtod(at + strlen(key), NULL);
}

static lq_optimizer rule_of(const vec_array *a)
{
    lq_optimizer o = LQ_OPTIMIZER_INIT;

    o.rule = vec_has(a, "name=adam") ? LQ_ADAMW : vec_has(a, "name=lion") ? LQ_LION : LQ_SGD;
    o.state_bits = 8;
    o.lr = (float)number(a, ";lr=");
    o.beta1 = (float)number(a, ";beta1=");
    o.beta2 = (float)number(a, ";beta2=");
    o.eps = (float)number(a, ";eps=");
    o.weight_decay = (float)number(a, ";wd=");
    return o;
}

/* But for those whose second moment was stored as the smallest number: theirs may be zero. */
static void same_params(const vec_array *a, const char *array, const float *p, size_t n,
                        const uint8_t *smallest)
{
    const float *expected = vec_data(&set, a->name, array, n);
    size_t left_out = 0;

    for (size_t i = 0; i < n; i++) {
        if (smallest[i]) {
            left_out++;
            continue;
        }
        if (fabs(p[i] - expected[i]) > 1e-5 * (1 + fabs(expected[i])))
            fail_msg("%s: %s[%zu] is %.9g, not %.9g", a->name, array, i, p[i], expected[i]);
    }
    assert_true(left_out <= n / 2);
}

static void same_codes(const vec_array *a, const char *array, const uint8_t *codes, size_t n,
                       const uint8_t *smallest)
{
    const uint8_t *expected = vec_data(&set, a->name, array, n);
    size_t differ = 0;

    for (size_t i = 0; i < n; i++) {
        if (smallest[i])
            continue;
        differ += codes[i] != expected[i];
        if (abs(codes[i] - expected[i]) > 1)
            fail_msg("%s: %s[%zu] is %d, not %d", a->name, array, i, codes[i], expected[i]);
    }
    assert_true(differ <= n / 100);
}

/* (1 - beta is of an f32 beta here.) */
static void same_scales(const vec_array *a, const char *array, const float *scales, size_t n)
{
    const float *expected = vec_data(&set, a->name, array, n);

    for (size_t i = 0; i < n; i++)
        if (fabsf(scales[i] - expected[i]) > 1e-4f * expected[i])
            fail_msg("%s: %s[%zu] is %.9g, not %.9g", a->name, array, i, scales[i], expected[i]);
}

static void run_case(const lq_ctx *ctx, const vec_array *a)
{
    static const char *const gradient[] = { "grad1", "grad2", "grad3" };
    enum { MOST = 2048, BLOCKS = MOST / LQ_STATE_BLOCK };
    size_t n = vec_number(a, "n"), blocks = (n + LQ_STATE_BLOCK - 1) / LQ_STATE_BLOCK;
    float p[MOST], m_scales[BLOCKS] = { 0 }, v_scales[BLOCKS] = { 0 };
    uint8_t m[MOST] = { 0 }, v[MOST] = { 0 }, smallest[MOST] = { 0 };
    static const uint8_t none[MOST];
    const float *start = vec_data(&set, a->name, "param0", n);
    lq_optimizer o = rule_of(a);
    lq_params params = { sizeof params, n, p, NULL, m, v, m_scales, v_scales };

    assert_true(n <= MOST);
    memcpy(p, start, n * sizeof *p);
    for (o.step = 1; o.step <= 3; o.step++) {
        params.grads = vec_data(&set, a->name, gradient[o.step - 1], n);
        assert_int_equal(lq_optimizer_step(ctx, &o, &params), LQ_OK);
        if (o.step == 1)
            same_params(a, "param1", p, n, smallest);
        if (o.step == 3)
            same_params(a, "param3", p, n, smallest);
        for (size_t i = 0; i < n; i++)
            smallest[i] |= v[i] == 1;
    }
    same_codes(a, "state1_3", m, n, none);
    same_scales(a, "absmax1_3", m_scales, blocks);
    if (o.rule == LQ_ADAMW) {
        same_codes(a, "state2_3", v, n, smallest);
        same_scales(a, "absmax2_3", v_scales, blocks);
    }
}

static void three_steps(void **state)
{
    lq_ctx *ctx = NULL;
    int cases = 0;

    (void)state;
    assert_int_equal(lq_ctx_create(NULL, &ctx, NULL), LQ_OK);
    for (size_t i = 0; i < set.count; i++)
        if (vec_case_begins(&set, i, "optim8")) {
            run_case(ctx, &set.arrays[i]);
            cases++;
        }
    assert_int_equal(cases, 4);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(three_steps) };
    int failures;

    vec_open(&set, "bitsandbytes");
    failures = cmocka_run_group_tests(tests, NULL, NULL);
    vec_close(&set);
    return failures;
}
