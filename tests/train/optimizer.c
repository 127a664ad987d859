/* SPDX-License-Identifier: MIT */
/*
 * tests/train/optimizer.c - rules against double, 8-bit states against f32, what is promised
 * about threads, cuts, odd gradients and bad arguments
 */
#include <math.h>
#include <stdio.h>

#include "common.h"
#include "lib/core/core.h"

enum { RULES = 4, N = 1000 };

typedef struct arrays {
    float   *p, *g;
    void    *state[4];
    uint64_t bytes[4], n;
} arrays;

static arrays make_arrays(const lq_optimizer *o, uint64_t n)
{
    arrays a = { .n = n };

    assert_int_equal(lq_optimizer_bytes(o, n, a.bytes), LQ_OK);
    a.p = calloc(n, sizeof *a.p);
    a.g = calloc(n, sizeof *a.g);
    for (int i = 0; i < 4; i++)
        a.state[i] = a.bytes[i] ? calloc(1, a.bytes[i]) : NULL;
    return a;
}

static void free_arrays(arrays *a)
{
    free(a->p);
    free(a->g);
    for (int i = 0; i < 4; i++)
        free(a->state[i]);
}

static lq_params params_of(const arrays *a)
{
    lq_params p = LQ_PARAMS_INIT;

    p.n = a->n;
    p.values = a->p;
    p.grads = a->g;
    p.m = a->state[0];
    p.v = a->state[1];
    p.m_scales = a->state[2];
    p.v_scales = a->state[3];
    return p;
}

static void same_arrays(const arrays *a, const arrays *b)
{
    assert_memory_equal(a->p, b->p, a->n * sizeof *a->p);
    for (int i = 0; i < 4; i++)
        if (a->bytes[i])
            assert_memory_equal(a->state[i], b->state[i], a->bytes[i]);
}

static void step(const lq_ctx *ctx, const lq_optimizer *o, const arrays *a)
{
    lq_params p = params_of(a);

    assert_int_equal(lq_optimizer_step(ctx, o, &p), LQ_OK);
}

static lq_optimizer a_rule(int rule, uint32_t bits)
{
    lq_optimizer o = LQ_OPTIMIZER_INIT;

    o.rule = rule;
    o.state_bits = bits;
    o.lr = 0.01f;
    o.weight_decay = 0.1f;
    o.grad_scale = 0.5f;
    return o;
}

/* ------------------------------------------------------- rules, in double */

typedef struct number {
    double p, m, v;
} number;

static void plain_step(const lq_optimizer *o, number *x, double g)
{
    double lr = o->lr, w = o->weight_decay, b1 = 0.9f, b2 = o->rule == LQ_LION ? 0.99f : 0.999f;
    double t = (double)o->step, c2 = sqrt(1 - pow(b2, t)), way;

    g *= o->grad_scale;
    switch (o->rule) {
    case LQ_SGD:
        x->m = b1 * x->m + g + w * x->p;
        x->p -= lr * x->m;
        return;
    case LQ_LION:
        x->p -= lr * w * x->p;
        way = b1 * x->m + (1 - b1) * g;
        x->p -= lr * ((way > 0) - (way < 0));
        x->m = b2 * x->m + (1 - b2) * g;
        return;
    case LQ_ADAM:
        g += w * x->p;
        break;
    default:
        x->p -= lr * w * x->p;
    }
    x->m = b1 * x->m + (1 - b1) * g;
    x->v = b2 * x->v + (1 - b2) * g * g;
    x->p -= lr * c2 / (1 - pow(b1, t)) * x->m / (sqrt(x->v) + 1e-8 * c2);
}

static void rules_in_double(void **state)
{
    for (int rule = 0; rule < RULES; rule++) {
        lq_optimizer o = a_rule(rule, 32);
        arrays a = make_arrays(&o, N);
        static number x[N];
        uint64_t seed = 9;

        for (int i = 0; i < N; i++) {
            a.p[i] = test_normal(&seed);
            x[i] = (number){ a.p[i], 0, 0 };
        }
        for (o.step = 1; o.step <= 10; o.step++) {
            for (int i = 0; i < N; i++) {
                a.g[i] = test_normal(&seed);
                plain_step(&o, &x[i], a.g[i]);
            }
            step(*state, &o, &a);
        }
        for (int i = 0; i < N; i++)
            if (!(fabs(a.p[i] - x[i].p) <= 2e-6 * (1 + fabs(x[i].p))))
                fail_msg("rule %d, number %d: %.9g, not %.9g", rule, i, a.p[i], x[i].p);
        free_arrays(&a);
    }
}

/* ------------------------------------------------------- 8 bits against 32 */

/* Twenty AdamW steps; gradients of a block spread over 'decades'. */
static void adam_steps(const lq_ctx *ctx, uint32_t bits, const lqi_map8 *plain, int decades,
                       arrays *a)
{
    lq_optimizer o = a_rule(LQ_ADAMW, bits);
    const lqi_map8 *map[2];
    uint64_t seed = 77;

    o.lr = 1e-3f;
    o.weight_decay = 0;
    *a = make_arrays(&o, a->n);
    assert_int_equal(lqi_maps8_need(ctx, map), LQ_OK);
    for (o.step = 1; o.step <= 20; o.step++) {
        for (uint64_t i = 0; i < a->n; i++)
            a->g[i] = test_normal(&seed) *
                      (float)pow(10, -decades * (double)(i * 37 % 256) / 255);
        if (plain) {   /* the same step with another map of v */
            double t = (double)o.step, young = sqrt(1 - pow(0.999f, t));
            lqi_step s = { .p = a->p, .g = a->g, .n = a->n, .scale = 0.5f, .keep = 1,
                           .state = { a->state[0], a->state[1] },
                           .absmax = { a->state[2], a->state[3] }, .map = { map[0], plain },
                           .beta = { 0.9f, 0.999f }, .rest = { 1 - 0.9f, 1 - 0.999f },
                           .rate = (float)(1e-3f * young / (1 - pow(0.9f, t))),
                           .eps = (float)(1e-8f * young) };

            ctx->kernels.step[LQI_STEP_ADAM][1](&s);
        } else {
            step(ctx, &o, a);
        }
    }
}

/* Root mean square of the difference of changes, relative to those of f32; and the largest
 * change against the largest of f32. */
static double relative_rms(const arrays *a, const arrays *f32, double *largest)
{
    double error = 0, size = 0, most = 0, most32 = 0;

    for (uint64_t i = 0; i < a->n; i++) {
        error += pow((double)a->p[i] - f32->p[i], 2);
        size += pow(f32->p[i], 2);
        most = fmax(most, fabs(a->p[i]));
        most32 = fmax(most32, fabs(f32->p[i]));
    }
    *largest = most / most32;
    return sqrt(error / size);
}

static void quality_of_8_bits(void **state)
{
    static const double limit[] = { 0.03, 0.06, 0.4 };
    lq_codebook *book = NULL;
    const lqi_map8 *map[2];
    lqi_map8 plain;

    assert_int_equal(lqi_maps8_need(*state, map), LQ_OK);
    assert_int_equal(lq_codebook_create(*state, lqi_udynamic8, 256, &book, NULL), LQ_OK);
    plain = *map[1];
    plain.bins = book->bins;
    for (int i = 0; i < 3; i++) {
        arrays f32 = { .n = 25600 }, ours = f32, nearest = f32;
        double most, most_nearest, rms, rms_nearest;

        adam_steps(*state, 32, NULL, 2 * i, &f32);
        adam_steps(*state, 8, NULL, 2 * i, &ours);
        adam_steps(*state, 8, &plain, 2 * i, &nearest);
        rms = relative_rms(&ours, &f32, &most);
        rms_nearest = relative_rms(&nearest, &f32, &most_nearest);
        printf("%d decades: rms %.3f, largest step %.2f; plain nearest: %.3f, %.2f\n", 2 * i, rms,
               most, rms_nearest, most_nearest);
        assert_true(rms <= limit[i] && rms <= rms_nearest * 1.001 && most < 1.5);
        assert_true(i < 2 || rms_nearest > 1);
        free_arrays(&f32);
        free_arrays(&ours);
        free_arrays(&nearest);
    }
    lq_codebook_destroy(book);
}

/* ---------------------------------------------------------------- promises */

/* Three steps of 3 * 16384 + 700 numbers: of one thread, of two, and of two arrays. */
static void threads_and_cuts(void **state)
{
    const uint64_t n = 3 * 16384 + 700, cut = 77 * LQ_STATE_BLOCK;
    lq_ctx *two = test_ctx(LQ_LEVEL_BEST, 2);

    for (int rule = 0; rule < RULES; rule++)
        for (uint32_t bits = 8; bits <= 32; bits += 24) {
            lq_optimizer o = a_rule(rule, bits);
            arrays a = make_arrays(&o, n), b = make_arrays(&o, n), c = make_arrays(&o, n);

            test_fill(a.p, n, 1);
            memcpy(b.p, a.p, n * sizeof *a.p);
            memcpy(c.p, a.p, n * sizeof *a.p);
            for (o.step = 1; o.step <= 3; o.step++) {
                lq_params first = params_of(&c), second = first;

                test_fill(a.g, n, o.step);
                memcpy(b.g, a.g, n * sizeof *a.g);
                memcpy(c.g, a.g, n * sizeof *a.g);
                step(*state, &o, &a);
                step(two, &o, &b);
                first.n = cut;
                second.n -= cut;
                second.values += cut;
                second.grads += cut;
                second.m = (char *)second.m + cut * bits / 8;
                if (second.v)
                    second.v = (char *)second.v + cut * bits / 8;
                if (second.m_scales)
                    second.m_scales += cut / LQ_STATE_BLOCK;
                if (second.v_scales)
                    second.v_scales += cut / LQ_STATE_BLOCK;
                assert_int_equal(lq_optimizer_step(two, &o, &second), LQ_OK);
                assert_int_equal(lq_optimizer_step(two, &o, &first), LQ_OK);
            }
            same_arrays(&a, &b);
            same_arrays(&a, &c);
            free_arrays(&a);
            free_arrays(&b);
            free_arrays(&c);
        }
    lq_ctx_destroy(two);
}

static void odd_gradients(void **state)
{
    static const float odd[] = { INFINITY, -INFINITY, NAN, 3e38f };

    for (int rule = 0; rule < RULES; rule++)
        for (uint32_t bits = 8; bits <= 32; bits += 24) {
            lq_optimizer o = a_rule(rule, bits);
            arrays a = make_arrays(&o, 300);

            o.grad_scale = 1.5f;
            for (o.step = 1; o.step <= 3; o.step++) {
                for (uint64_t i = 0; i < a.n; i++) {
                    a.p[i] = 1;
                    a.g[i] = i < COUNT(odd) ? odd[i] : 0.25f;
                }
                step(*state, &o, &a);
                for (uint64_t i = 0; i < a.n; i++)
                    assert_true(i < COUNT(odd) ? a.p[i] == 1 : a.p[i] < 1 && a.p[i] > 0);
            }
            free_arrays(&a);
        }
}

/* The defaults are what they say; negative betas are none. */
static void defaults(void **state)
{
    for (int rule = 0; rule < RULES; rule++) {
        lq_optimizer o = LQ_OPTIMIZER_INIT, full;
        arrays a, b;

        o.rule = rule;
        o.lr = 0.1f;
        full = o;
        full.state_bits = 32;
        full.beta1 = 0.9f;
        full.beta2 = rule == LQ_LION ? 0.99f : rule == LQ_SGD ? 0.0f : 0.999f;
        full.eps = 1e-8f;
        full.grad_scale = 1;
        a = make_arrays(&o, N);
        b = make_arrays(&full, N);
        for (o.step = full.step = 1; o.step <= 2; o.step++, full.step++) {
            test_fill(a.g, N, o.step);
            test_fill(b.g, N, o.step);
            step(*state, &o, &a);
            step(*state, &full, &b);
        }
        same_arrays(&a, &b);
        if (rule == LQ_SGD) {   /* without momentum */
            memset(a.p, 0, N * sizeof *a.p);
            o.beta1 = -1;
            step(*state, &o, &a);
            for (int i = 0; i < N; i++)
                assert_true(a.p[i] == -(o.lr * a.g[i]));
        }
        free_arrays(&a);
        free_arrays(&b);
    }
}

static void bad_arguments(void **state)
{
    const lq_ctx *ctx = *state;
    lq_optimizer o = a_rule(LQ_ADAMW, 8), bad;
    arrays a = make_arrays(&o, N);
    lq_params p = params_of(&a), q;
    uint64_t bytes[4] = { 1, 2, 3, 4 };

    o.step = 1;
    assert_int_equal(lq_optimizer_step(NULL, &o, &p), LQ_ERR_ARG);
    assert_int_equal(lq_optimizer_step(ctx, NULL, &p), LQ_ERR_ARG);
    assert_int_equal(lq_optimizer_step(ctx, &o, NULL), LQ_ERR_ARG);
#define BAD(field, value) \
    bad = o; \
    bad.field = value; \
    assert_int_equal(lq_optimizer_step(ctx, &bad, &p), LQ_ERR_ARG)
    BAD(struct_size, 0);
    BAD(step, 0);
    BAD(rule, 4);
    BAD(rule, -1);
    BAD(state_bits, 16);
    BAD(lr, -1);
    BAD(lr, NAN);
    BAD(beta1, 1);
    BAD(beta2, NAN);
    BAD(eps, -1e-8f);
    BAD(weight_decay, -1);
    BAD(grad_scale, INFINITY);
#undef BAD
#define BAD(field, value, status) \
    q = p; \
    q.field = value; \
    assert_int_equal(lq_optimizer_step(ctx, &o, &q), status)
    BAD(values, NULL, LQ_ERR_ARG);
    BAD(v, NULL, LQ_ERR_ARG);
    BAD(m_scales, NULL, LQ_ERR_ARG);
    BAD(m_scales, (void *)((char *)a.state[2] + 1), LQ_ERR_ALIGN);
    BAD(grads, a.p + 1, LQ_ERR_OVERLAP);
    BAD(v, (char *)a.state[0] + N - 1, LQ_ERR_OVERLAP);
    BAD(n, UINT64_MAX / 2, LQ_ERR_OVERFLOW);
#undef BAD
    assert_int_equal(lq_optimizer_bytes(&o, UINT64_MAX, bytes), LQ_ERR_OVERFLOW);
    assert_int_equal(lq_optimizer_bytes(NULL, 1, bytes), LQ_ERR_ARG);
    assert_true(bytes[0] == 1 && bytes[3] == 4);
    assert_int_equal(lq_optimizer_bytes(&o, 257, bytes), LQ_OK);
    assert_true(bytes[0] == 257 && bytes[1] == 257 && bytes[2] == 8 && bytes[3] == 8);
    for (int i = 0; i < N; i++)
        assert_true(a.p[i] == 0);
    p.n = 0;
    p.values = NULL;
    assert_int_equal(lq_optimizer_step(ctx, &o, &p), LQ_OK);
    free_arrays(&a);
}

/* ------------------------------------------------------------------ memory */

static int allowed;

static void *rationed(void *user, size_t size, size_t align)
{
    (void)user;
    return allowed-- > 0 ? aligned_alloc(align, (size + align - 1) / align * align) : NULL;
}

static void release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static void no_memory(void **state)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_optimizer o = a_rule(LQ_ADAMW, 8);
    arrays a = make_arrays(&o, N);
    lq_params p = params_of(&a);
    int failures = 0;

    (void)state;
    o.step = 1;
    opts.allocator = (lq_allocator){ rationed, release, NULL };
    for (int ration = 0;; ration++) {
        lq_ctx *ctx = NULL;
        lq_status status;

        allowed = 1000;
        assert_int_equal(lq_ctx_create(&opts, &ctx, NULL), LQ_OK);
        allowed = ration;
        status = lq_optimizer_step(ctx, &o, &p);
        lq_ctx_destroy(ctx);
        if (status == LQ_OK)
            break;
        assert_int_equal(status, LQ_ERR_NOMEM);
        failures++;
    }
    assert_int_equal(failures, 4);
    free_arrays(&a);
}

/* -------------------------------------------------------------------- norm */

static void sums_of_squares(void **state)
{
    enum { MANY = 16384 * 3 + 21 };
    lq_ctx *two = test_ctx(LQ_LEVEL_BEST, 2);
    float *x = malloc(MANY * sizeof *x);
    double sum = 0, again = 0, plain = 0;

    test_fill(x, MANY, 4);
    for (int i = 0; i < MANY; i++)
        plain += (double)x[i] * x[i];
    assert_int_equal(lq_sum_squares(*state, x, MANY, &sum), LQ_OK);
    assert_true(fabs(sum - plain) <= 1e-12 * plain);
    assert_int_equal(lq_sum_squares(two, x, MANY, &again), LQ_OK);
    assert_true(sum == again);
    assert_int_equal(lq_sum_squares(two, x, 0, &again), LQ_OK);
    assert_int_equal(lq_sum_squares(two, x, 3, &again), LQ_OK);
    assert_true(again > sum);
    x[MANY - 1] = NAN;
    again = 5;
    assert_int_equal(lq_sum_squares(two, x, MANY, &again), LQ_ERR_NONFINITE);
    assert_int_equal(lq_sum_squares(two, NULL, 1, &again), LQ_ERR_ARG);
    assert_int_equal(lq_sum_squares(two, x, 1, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_sum_squares(NULL, x, 1, &again), LQ_ERR_ARG);
    assert_int_equal(lq_sum_squares(two, (float *)(void *)((char *)x + 1), 1, &again),
                     LQ_ERR_ALIGN);
    assert_true(again == 5);
    free(x);
    lq_ctx_destroy(two);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_in_double), cmocka_unit_test(quality_of_8_bits),
        cmocka_unit_test(threads_and_cuts), cmocka_unit_test(odd_gradients),
        cmocka_unit_test(defaults), cmocka_unit_test(bad_arguments),
        cmocka_unit_test(no_memory), cmocka_unit_test(sums_of_squares),
    };

    return cmocka_run_group_tests(tests, make_context, destroy_context);
}
