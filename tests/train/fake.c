/* SPDX-License-Identifier: MIT */
/*
 * tests/train/fake.c - fake quantization: values against decode(encode(x)), gradients against
 * differences, scales of its own, what is promised about threads and bad arguments
 */
#include <math.h>
#include <stdio.h>

#include "common.h"

enum { ROWS = 6, COLS = 100, N = ROWS * COLS };

static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI,
                                   LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON };

/* A fake and its arrays; everything on the heap, so that overruns are seen. */
typedef struct fixture {
    lq_spec *spec;
    lq_fake  fake;
    lq_codebook *book;
    uint64_t rows, cols, groups;
    float   *x, *y, *dy, *dx, *scales, *zeros, *dscales, *dzeros;
} fixture;

static float *floats(uint64_t n)
{
    float *p = calloc(n ? n : 1, sizeof *p);

    assert_non_null(p);
    return p;
}

/* A "codebook" gets five uneven values. */
static fixture make(const lq_ctx *ctx, int rule, const char *text, uint64_t rows, uint64_t cols)
{
    const float values[] = { -1, -0.4f, 0, 0.3f, 0.9f };
    lq_fake init = LQ_FAKE_INIT;
    fixture f = { .spec = malloc(sizeof *f.spec), .fake = init, .rows = rows };

    *f.spec = test_spec(text);
    f.cols = test_cols(f.spec, cols);
    if (f.spec->format == LQ_FORMAT_CODEBOOK) {
        assert_int_equal(lq_codebook_create(ctx, values, COUNT(values), &f.book, NULL), LQ_OK);
        f.spec->codebook = f.book;
    }
    f.fake.rule = rule;
    f.fake.spec = f.spec;
    if (rule != LQ_FAKE_FITTED)
        assert_int_equal(lq_fake_groups(&f.fake, rows, f.cols, &f.groups, NULL), LQ_OK);
    f.x = floats(rows * f.cols);
    f.y = floats(rows * f.cols);
    f.dy = floats(rows * f.cols);
    f.dx = floats(rows * f.cols);
    f.fake.scales = f.scales = floats(f.groups);
    f.fake.zeros = f.zeros = floats(f.groups);
    f.dscales = floats(f.groups);
    f.dzeros = floats(f.groups);
    test_fill(f.x, rows * f.cols, 1);
    test_fill(f.dy, rows * f.cols, 2);
    return f;
}

static void drop(fixture *f)
{
    float *all[] = { f->x, f->y, f->dy, f->dx, f->scales, f->zeros, f->dscales, f->dzeros };

    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
    free(f->spec);
    lq_codebook_destroy(f->book);
}

static void start(const lq_ctx *ctx, const fixture *f)
{
    assert_int_equal(lq_fake_start(ctx, &f->fake, f->rows, f->cols, f->x, NULL), LQ_OK);
}

static void forward(const lq_ctx *ctx, const fixture *f)
{
    lq_error error = LQ_ERROR_INIT;

    if (lq_fake_forward(ctx, &f->fake, f->rows, f->cols, f->x, f->y, &error) != LQ_OK)
        fail_msg("%s", error.message);
}

static void backward(const lq_ctx *ctx, const fixture *f)
{
    lq_fake_grads g = LQ_FAKE_GRADS_INIT;

    g.x = f->x;
    g.dy = f->dy;
    g.dx = f->dx;
    if (f->fake.rule != LQ_FAKE_FITTED)
        g.dscales = f->dscales;
    if (f->fake.rule == LQ_FAKE_AFFINE && f->spec->zeros)
        g.dzeros = f->dzeros;
    assert_int_equal(lq_fake_backward(ctx, &f->fake, f->rows, f->cols, &g, NULL), LQ_OK);
}

/* y of the fixture is what encoding x by the spec, and decoding, gives. */
static void same_as_spec(const lq_ctx *ctx, const fixture *f, const lq_encode_opts *opts)
{
    lq_tensor *t = test_encode(ctx, f->spec, (lq_shape){ 1, f->rows, f->cols }, f->x, opts);
    float *want = floats(f->rows * f->cols);

    assert_int_equal(lq_tensor_decode(t, LQ_F32, want), LQ_OK);
    assert_memory_equal(f->y, want, f->rows * f->cols * sizeof *want);
    free(want);
    lq_tensor_destroy(t);
}

/* ------------------------------------------------------------------ fitted */

/* Any spec; in place too; the gradient is dy. */
static void every_spec(void **state)
{
    const char *const more[] = { "codebook:b64", "codebook:ch", "int2:ch", "int3:g16", "int8:t" };

    for (size_t i = 0; i < COUNT(test_specs) + COUNT(more); i++) {
        fixture f = make(*state, LQ_FAKE_FITTED,
                         i < COUNT(more) ? more[i] : test_specs[i - COUNT(more)], 130, 300);
        size_t bytes = f.rows * f.cols * sizeof(float);

        forward(*state, &f);
        same_as_spec(*state, &f, NULL);
        backward(*state, &f);
        assert_memory_equal(f.dx, f.dy, bytes);
        assert_int_equal(lq_fake_forward(*state, &f.fake, f.rows, f.cols, f.x, f.x, NULL), LQ_OK);
        assert_memory_equal(f.x, f.y, bytes);
        drop(&f);
    }
}

static void options_of_the_encoder(void **state)
{
    fixture f = make(*state, LQ_FAKE_FITTED, "iq2_xxs", 3, 256);
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    float imp[256];

    assert_int_equal(lq_fake_forward(*state, &f.fake, 3, 256, f.x, f.y, NULL), LQ_ERR_ARG);
    for (int i = 0; i < 256; i++)
        imp[i] = 1 + (float)(i % 7);
    opts.importance = imp;
    f.fake.opts = &opts;
    forward(*state, &f);
    same_as_spec(*state, &f, &opts);
    drop(&f);
}

/* ------------------------------------------------------------ given scales */

/* The first scales are the spec's own where the rule says so. */
static void started_from_the_spec(void **state)
{
    const struct { int rule; const char *spec; } cases[] = {
        { LQ_FAKE_AFFINE, "int2:g32" },        { LQ_FAKE_AFFINE, "int3:ch" },
        { LQ_FAKE_AFFINE, "int4:g32:zp" },     { LQ_FAKE_AFFINE, "int4:t:f32" },
        { LQ_FAKE_AFFINE, "int5:ch:zp:bf16" }, { LQ_FAKE_AFFINE, "int6:128x128:zp" },
        { LQ_FAKE_AFFINE, "int7:g30:zp:f32" }, { LQ_FAKE_AFFINE, "int8:g64:zp" },
        { LQ_FAKE_AFFINE, "int8:ch" },         { LQ_FAKE_LSQ, "nf4:b64" },
        { LQ_FAKE_LSQ, "nf4:g100:f16" },       { LQ_FAKE_LSQ, "fp4:b64" },
        { LQ_FAKE_LSQ, "codebook:b64" },       { LQ_FAKE_LSQ, "codebook:ch" },
        { LQ_FAKE_LSQ, "fp8_e4m3:ch" },        { LQ_FAKE_LSQ, "fp8_e4m3:128x128" },
        { LQ_FAKE_LSQ, "fp8_e5m2:t" },         { LQ_FAKE_LSQ, "mxfp4" },
        { LQ_FAKE_LSQ, "mxfp6_e2m3" },         { LQ_FAKE_LSQ, "llm_int8:ch" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f = make(*state, cases[i].rule, cases[i].spec, 130, 300);

        for (int k = 0; k < 32; k++)
            f.x[k] = 0;                     /* a group of nothing */
        for (int k = 300; k < 700; k++)
            f.x[k] = fabsf(f.x[k]) + 0.1f;  /* all above 0 */
        start(*state, &f);
        forward(*state, &f);
        same_as_spec(*state, &f, NULL);
        drop(&f);
    }
}

static void first_scales(void **state)
{
    fixture f = make(*state, LQ_FAKE_LSQ, "int4:ch:f32", ROWS, COLS);
    fixture s = make(*state, LQ_FAKE_STRETCHED, "ternary:ch", ROWS, COLS);

    start(*state, &f);
    start(*state, &s);
    for (int r = 0; r < ROWS; r++) {
        double mean = 0, most = 0;

        for (int c = 0; c < COLS; c++) {
            mean += fabs(f.x[r * COLS + c]) / COLS;
            most = fmax(most, fabs(f.x[r * COLS + c]));
        }
        assert_true(fabs(f.scales[r] - 2 * mean / sqrt(7)) < 1e-6);
        assert_true(s.scales[r] == (float)most);
    }
    drop(&f);
    drop(&s);
}

/* What is stored decodes to y, whatever the scales are. */
static void stored(void **state)
{
    const struct { int rule; const char *spec; } cases[] = {
        { LQ_FAKE_AFFINE, "int4:g32:zp" },   { LQ_FAKE_AFFINE, "int8:3x7:zp:bf16" },
        { LQ_FAKE_LSQ, "int3:g7" },          { LQ_FAKE_LSQ, "ternary:t" },
        { LQ_FAKE_LSQ, "codebook:b32" },     { LQ_FAKE_LSQ, "mxfp4" },
        { LQ_FAKE_STRETCHED, "ternary:t" },  { LQ_FAKE_STRETCHED, "ternary:g64:f16" },
        { LQ_FAKE_STRETCHED, "int2:g32:fz" }, { LQ_FAKE_STRETCHED, "int3:g10:fz:f32" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f = make(*state, cases[i].rule, cases[i].spec, 7, 130);
        lq_tensor *t = NULL;
        float *y = floats(f.rows * f.cols);
        int different = 0;

        for (uint64_t k = 0; k < f.groups; k++) {
            f.scales[k] = 0.2f + 0.01f * (float)(k % 10);
            f.zeros[k] = 3.3f + (float)(k % 3);
        }
        forward(*state, &f);
        assert_int_equal(lq_fake_encode(*state, &f.fake, f.rows, f.cols, f.x, &t, NULL), LQ_OK);
        assert_true(lq_spec_equal(lq_tensor_spec(t), f.spec));
        assert_int_equal(lq_tensor_check(t, NULL), LQ_OK);
        assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
        assert_memory_equal(y, f.y, f.rows * f.cols * sizeof *y);
        for (uint64_t k = 1; k < f.rows * f.cols; k++)
            different += y[k] != y[0];
        assert_true(different);
        lq_tensor_destroy(t);
        free(y);
        drop(&f);
    }
}

/* A scale that is not above 0 is the least of its type, and its gradient is finite. */
static void no_scale(void **state)
{
    const char *const specs[] = { "int4:ch:f32", "int4:ch", "int4:ch:bf16", "fp8_e4m3:ch",
                                  "mxfp4", "nf4:ch:e4m3" };

    for (size_t i = 0; i < COUNT(specs); i++) {
        fixture f = make(*state, LQ_FAKE_LSQ, specs[i], 2, 32);

        f.scales[1] = -1;
        forward(*state, &f);
        backward(*state, &f);
        for (int k = 0; k < 64; k++)
            assert_true(isfinite(f.y[k]) && isfinite(f.dx[k]));
        assert_true(isfinite(f.dscales[0]) && isfinite(f.dscales[1]));
        drop(&f);
    }
}

/* --------------------------------------------------------------- gradients */

/*
 * What the estimators are the derivatives of, in double: the rounding error of now stays, as
 * if it did not depend on anything.
 */
typedef struct place {
    double error;      /* of rounding, in levels */
    double zero_error; /* of rounding the zero point */
    double lo, hi;     /* levels; STRETCHED: of what is clamped */
} place;

static double surrogate(int rule, double x, double s, double z, place p)
{
    double u = x / s;

    switch (rule) {
    case LQ_FAKE_AFFINE:
        z += p.zero_error;
        u += z + p.error;      /* a code, or within h / s of one */
        return s * ((u < p.lo - 0.5 ? p.lo : u > p.hi + 0.5 ? p.hi : u) - z);
    case LQ_FAKE_LSQ:
        return u < p.lo ? s * p.lo : u > p.hi ? s * p.hi : s * (u + p.error);
    default:   /* clamped numbers move with the last level's bound */
        return u < -0.99 ? s * p.lo : u > 0.99 ? s * p.hi : s * (u + p.error);
    }
}

/* The place of x[i], from y. */
static place find_place(const fixture *f, uint64_t i, double s, double z, double lo, double hi)
{
    place p = { f->y[i] / s - f->x[i] / s, nearbyint(z) - z, lo, hi };

    if (f->fake.rule == LQ_FAKE_AFFINE)
        p.error = nearbyint(f->x[i] / s) - f->x[i] / s;
    return p;
}

/* Group of number i. */
static uint64_t group_of(const fixture *f, uint64_t i)
{
    uint64_t gr = f->spec->group_rows, gc = f->spec->group_cols, cols = f->cols;

    if (f->spec->flags & LQ_SPEC_FLAT)
        return i / gc;
    gr = gr == LQ_GROUP_ALL ? f->rows : gr;
    gc = gc == LQ_GROUP_ALL ? cols : gc;
    return i / cols / gr * ((cols + gc - 1) / gc) + i % cols / gc;
}

/* The derivative for x (0), s (1) or z (2). */
static double difference(int rule, const double at[3], int which, place p)
{
    double h = 1e-6 * (which == 2 ? 1 : at[1] + (which == 0 ? fabs(at[0]) : 0)), up[3], down[3];

    memcpy(up, at, sizeof up);
    memcpy(down, at, sizeof down);
    up[which] += h;
    down[which] -= h;
    return (surrogate(rule, up[0], up[1], up[2], p) -
            surrogate(rule, down[0], down[1], down[2], p)) / (up[which] - down[which]);
}

static void check_gradients(const fixture *f, double lo, double hi)
{
    struct sums { double s, z, most; } *sums = calloc(f->groups, sizeof *sums);
    int clipped = 0, rule = f->fake.rule;

    for (uint64_t i = 0; i < f->rows * f->cols; i++) {
        uint64_t g = group_of(f, i);
        double dy = f->dy[i], at[3] = { f->x[i], f->scales[g], f->zeros[g] };
        place p = find_place(f, i, at[1], at[2], lo, hi);
        double dx = difference(rule, at, 0, p);

        sums[g].s += dy * difference(rule, at, 1, p);
        sums[g].z += dy * difference(rule, at, 2, p);
        sums[g].most += fabs(dy) * (1 + fabs(at[0] / at[1]));
        if (!(fabs(f->dx[i] - dx * dy) <= 1e-6 * (1 + fabs(dy))))
            fail_msg("rule %d, lo %g, x %.9g: %.9g, not %.9g", rule, lo, at[0], f->dx[i], dx * dy);
        clipped += fabs(dx) < 0.5;
    }
    assert_in_range(clipped, 1, f->rows * f->cols / 2);
    for (uint64_t g = 0; g < f->groups; g++) {
        if (!(fabs(f->dscales[g] - sums[g].s) <= 1e-6 * sums[g].most))
            fail_msg("rule %d, lo %g, scale %d: %.9g, not %.9g (%g)", rule, lo, (int)g,
                     f->dscales[g], sums[g].s, sums[g].most);
        if (rule == LQ_FAKE_AFFINE && f->spec->zeros)
            assert_true(fabs(f->dzeros[g] - sums[g].z) <= 1e-6 * sums[g].most);
    }
    free(sums);
}

static void gradients(void **state)
{
    const struct { int rule; const char *spec; double lo, hi; float scale; } cases[] = {
        { LQ_FAKE_AFFINE, "int4:ch:zp:f32", 0, 15, 0.2f },
        { LQ_FAKE_AFFINE, "int3:t:zp:f32", 0, 7, 0.4f },
        { LQ_FAKE_AFFINE, "int8:g32:zp:f32", 0, 255, 0.01f },
        { LQ_FAKE_LSQ, "int2:g32:f32", -2, 1, 0.7f },
        { LQ_FAKE_LSQ, "int3:2x32:f32", -4, 3, 0.4f },
        { LQ_FAKE_LSQ, "int8:ch:f32", -128, 127, 0.02f },
        { LQ_FAKE_LSQ, "int4:t:f32", -8, 7, 0.2f },
        { LQ_FAKE_LSQ, "ternary:t", -1, 1, 0.9f },
        { LQ_FAKE_LSQ, "nf4:b32", -1, 1, 1.7f },
        { LQ_FAKE_LSQ, "fp4:g20", -1, 1, 1.7f },
        { LQ_FAKE_LSQ, "codebook:ch", -1, 0.9f, 1.7f },
        { LQ_FAKE_LSQ, "fp8_e4m3:ch", -448, 448, 0.005f },
        { LQ_FAKE_LSQ, "fp8_e5m2:t", -57344, 57344, 0.00003f },
        { LQ_FAKE_STRETCHED, "int2:g32:fz:f32", -0.75, 0.75, 1.8f },
        { LQ_FAKE_STRETCHED, "int4:g25:fz:f32", -0.9375, 0.9375, 1.8f },
        { LQ_FAKE_STRETCHED, "ternary:2x32", -1, 1, 1.6f },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f = make(*state, cases[i].rule, cases[i].spec, ROWS, COLS);

        f.fake.grad_factor = 1;
        for (uint64_t g = 0; g < f.groups; g++) {
            f.scales[g] = cases[i].scale * (1 + 0.02f * (float)(g % 5));
            f.zeros[g] = (float)((cases[i].hi + cases[i].lo) / 2 + 0.3);
        }
        forward(*state, &f);
        backward(*state, &f);
        check_gradients(&f, cases[i].lo, cases[i].hi);
        drop(&f);
    }
}

/* The factor of LSQ, 1 / sqrt(N Q); gradients in place; no gradients of scales. */
static void factor_and_places(void **state)
{
    fixture f = make(*state, LQ_FAKE_LSQ, "int4:ch:f32", ROWS, COLS);
    lq_fake_grads g = LQ_FAKE_GRADS_INIT;
    float plain[ROWS], dx[N];

    start(*state, &f);
    backward(*state, &f);
    memcpy(plain, f.dscales, sizeof plain);
    memcpy(dx, f.dx, sizeof dx);
    f.fake.grad_factor = 1;
    backward(*state, &f);
    for (int r = 0; r < ROWS; r++)
        assert_true(fabs(plain[r] * sqrt(N * 7.0) - f.dscales[r]) <= 1e-5 * (1 + fabs(f.dscales[r])));
    g.x = f.x;
    g.dy = g.dx = f.dy;
    assert_int_equal(lq_fake_backward(*state, &f.fake, ROWS, COLS, &g, NULL), LQ_OK);
    assert_memory_equal(f.dy, dx, sizeof dx);
    drop(&f);
}

/* ------------------------------------------------------------- FP8 training */

/* Scales follow the largest of three calls; what is larger is clipped, with no gradient. */
static void delayed_scaling(void **state)
{
    fixture f = make(*state, LQ_FAKE_LSQ, "fp8_e4m3:t", ROWS, COLS);
    float history[3] = { 0 };
    const float sizes[] = { 1, 4, 2, 1, 0.5f, 0 }, most[] = { 1, 4, 4, 4, 2, 1 };

    f.fake.history = history;
    f.fake.history_length = 3;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int k = 0; k < N; k++)
            f.x[k] = k % 3 ? 0 : sizes[i] * (k % 2 ? -1 : 1);
        assert_int_equal(lq_fake_observe(*state, &f.fake, ROWS, COLS, f.x, NULL), LQ_OK);
        assert_true(history[0] == sizes[i]);
        assert_true(f.scales[0] == most[i] / 448);
    }
    f.x[5] = 1.5f;
    f.x[6] = 0.75f;
    forward(*state, &f);
    backward(*state, &f);
    assert_true(f.y[5] == 448 * f.scales[0] && f.dx[5] == 0);
    assert_true(fabsf(f.y[6] - 0.75f) < 0.05f && f.dx[6] == f.dy[6]);
    memset(history, 0, sizeof history);
    memset(f.x, 0, N * sizeof(float));
    assert_int_equal(lq_fake_observe(*state, &f.fake, ROWS, COLS, f.x, NULL), LQ_OK);
    assert_true(f.scales[0] == 1);
    f.x[7] = NAN;
    assert_int_equal(lq_fake_observe(*state, &f.fake, ROWS, COLS, f.x, NULL), LQ_ERR_NONFINITE);
    assert_true(history[0] == 0 && f.scales[0] == 1);
    drop(&f);
}

/* -------------------------------------------------------- levels and threads */

static void same_bytes(void **state)
{
    const struct { int rule; const char *spec; } cases[] = {
        { LQ_FAKE_FITTED, "ternary:t" },         { LQ_FAKE_FITTED, "fp8_e5m2:t" },
        { LQ_FAKE_AFFINE, "int4:g32:zp" },       { LQ_FAKE_AFFINE, "int4:t" },
        { LQ_FAKE_LSQ, "nf4:b64" },              { LQ_FAKE_LSQ, "fp8_e4m3:128x128" },
        { LQ_FAKE_LSQ, "int3:g7" },              { LQ_FAKE_STRETCHED, "ternary:t" },
        { LQ_FAKE_STRETCHED, "int2:g32:fz:f32" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        lq_ctx *plain = test_ctx(LQ_LEVEL_REF, 1);
        fixture a = make(plain, cases[i].rule, cases[i].spec, 300, 520);
        size_t bytes = a.rows * a.cols * sizeof(float), few = a.groups * sizeof(float);

        if (cases[i].rule != LQ_FAKE_FITTED)
            start(plain, &a);
        forward(plain, &a);
        backward(plain, &a);
        for (size_t l = 0; l < COUNT(levels); l++) {
            if (!lq_level_available(levels[l]))
                continue;
            lq_ctx *ctx = test_ctx(levels[l], 3);
            fixture b = make(ctx, cases[i].rule, cases[i].spec, 300, 520);

            if (cases[i].rule != LQ_FAKE_FITTED)
                start(ctx, &b);
            forward(ctx, &b);
            backward(ctx, &b);
            assert_memory_equal(a.scales, b.scales, few);
            assert_memory_equal(a.zeros, b.zeros, few);
            assert_memory_equal(a.y, b.y, bytes);
            assert_memory_equal(a.dx, b.dx, bytes);
            assert_memory_equal(a.dscales, b.dscales, few);
            assert_memory_equal(a.dzeros, b.dzeros, few);
            drop(&b);
            lq_ctx_destroy(ctx);
        }
        drop(&a);
        lq_ctx_destroy(plain);
    }
}

/* --------------------------------------------------------------- bad input */

static void refused_specs(void **state)
{
    const struct { int rule; const char *spec; lq_status status; } cases[] = {
        { LQ_FAKE_AFFINE, "q4_0", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_AFFINE, "nf4:b64", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_AFFINE, "int4:g32:fz", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_LSQ, "f32", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_LSQ, "nf4:b64:dq", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_LSQ, "nvfp4", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_LSQ, "int4:g32:gidx", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_LSQ, "int4:g32:zp", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_STRETCHED, "int4:g32", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_STRETCHED, "int4:g32:zp", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_STRETCHED, "nf4:b64", LQ_ERR_UNSUPPORTED },
        { LQ_FAKE_LSQ, "codebook:b64", LQ_ERR_ARG },   /* without its codebook */
        { LQ_FAKE_FITTED, "q4_k", LQ_ERR_SHAPE },
        { 4, "int4:g32", LQ_ERR_ARG },
        { -1, "int4:g32", LQ_ERR_ARG },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        lq_spec spec = test_spec(cases[i].spec);
        lq_fake fake = LQ_FAKE_INIT;
        lq_error error = LQ_ERROR_INIT;
        float x[64] = { 0 }, y[64] = { 9 };

        fake.rule = cases[i].rule;
        fake.spec = &spec;
        fake.scales = fake.zeros = x;
        assert_int_equal(lq_fake_forward(*state, &fake, 1, 64, x, y, &error), cases[i].status);
        assert_true(error.message[0] && y[0] == 9);
    }
}

static void refused_numbers(void **state)
{
    fixture f = make(*state, LQ_FAKE_AFFINE, "int4:ch:zp", ROWS, COLS);
    lq_fake_grads g = LQ_FAKE_GRADS_INIT;
    lq_tensor *tensor = NULL;

    start(*state, &f);
    g.x = f.x;
    g.dy = f.dy;
    g.dx = f.dx;
    g.dscales = f.dscales;
    f.y[0] = 9;
#define FORWARD(status) \
    assert_int_equal(lq_fake_forward(*state, &f.fake, ROWS, COLS, f.x, f.y, NULL), status); \
    assert_int_equal(lq_fake_encode(*state, &f.fake, ROWS, COLS, f.x, &tensor, NULL), status); \
    assert_int_equal(lq_fake_backward(*state, &f.fake, ROWS, COLS, &g, NULL), status); \
    assert_true(f.y[0] == 9 && f.dx[0] == 0 && f.dscales[0] == 0 && !tensor)
#define WITH(place, value, status) \
    do { float old = place; place = value; FORWARD(status); place = old; } while (0)
    WITH(f.x[17], NAN, LQ_ERR_NONFINITE);
    WITH(f.x[17], -INFINITY, LQ_ERR_NONFINITE);
    WITH(f.scales[1], INFINITY, LQ_ERR_NONFINITE);
    WITH(f.zeros[1], NAN, LQ_ERR_NONFINITE);
    WITH(f.scales[1], 1e6f, LQ_ERR_NUMERIC);   /* f16 */
    WITH(f.fake.grad_factor, NAN, LQ_ERR_ARG);
    f.fake.zeros = NULL;
    FORWARD(LQ_ERR_ARG);
    f.fake.zeros = f.zeros;
    f.fake.spec = NULL;
    FORWARD(LQ_ERR_ARG);
    drop(&f);
}

static void refused_arrays(void **state)
{
    fixture f = make(*state, LQ_FAKE_LSQ, "int4:ch", ROWS, COLS);
    lq_fake_grads g = LQ_FAKE_GRADS_INIT;
    float *x = f.x, *odd = (float *)(void *)((char *)x + 2);
    lq_tensor *tensor;
    uint64_t n;

    assert_int_equal(lq_fake_groups(&f.fake, UINT64_MAX / 2, 3, &n, NULL), LQ_ERR_OVERFLOW);
    assert_int_equal(lq_fake_groups(NULL, 1, 1, &n, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_fake_forward(*state, &f.fake, ROWS, COLS, NULL, f.y, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_fake_forward(*state, &f.fake, ROWS, COLS, x, NULL, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_fake_forward(*state, NULL, ROWS, COLS, x, f.y, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_fake_forward(NULL, &f.fake, ROWS, COLS, x, f.y, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_fake_forward(*state, &f.fake, 1, COLS, odd, f.y, NULL), LQ_ERR_ALIGN);
    assert_int_equal(lq_fake_forward(*state, &f.fake, 1, COLS, x, x + 1, NULL), LQ_ERR_OVERLAP);
    assert_int_equal(lq_fake_encode(*state, &f.fake, ROWS, COLS, x, NULL, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_fake_observe(*state, &f.fake, ROWS, COLS, x, NULL), LQ_ERR_ARG);
    g.x = x;
    g.dy = f.dy;
    g.dx = x;
    assert_int_equal(lq_fake_backward(*state, &f.fake, ROWS, COLS, &g, NULL), LQ_ERR_OVERLAP);
    g.dx = f.dx;
    g.dscales = f.scales;
    assert_int_equal(lq_fake_backward(*state, &f.fake, ROWS, COLS, &g, NULL), LQ_ERR_OVERLAP);
    g.dscales = f.dscales;
    g.dzeros = f.dzeros;
    assert_int_equal(lq_fake_backward(*state, &f.fake, ROWS, COLS, &g, NULL), LQ_ERR_ARG);
    g.dzeros = NULL;
    f.fake.rule = LQ_FAKE_FITTED;
    assert_int_equal(lq_fake_backward(*state, &f.fake, ROWS, COLS, &g, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_fake_start(*state, &f.fake, ROWS, COLS, x, NULL), LQ_ERR_ARG);
    /* nothing to do */
    f.fake.rule = LQ_FAKE_LSQ;
    assert_int_equal(lq_fake_start(*state, &f.fake, 0, COLS, NULL, NULL), LQ_OK);
    assert_int_equal(lq_fake_forward(*state, &f.fake, 0, COLS, NULL, NULL, NULL), LQ_OK);
    assert_int_equal(lq_fake_encode(*state, &f.fake, ROWS, 0, NULL, &tensor, NULL), LQ_OK);
    lq_tensor_destroy(tensor);
    drop(&f);
}

/* ------------------------------------------------------------------ memory */

struct failing { long left, live; };

static void *failing_alloc(void *user, size_t size, size_t align)
{
    struct failing *f = user;

    (void)align;
    if (f->left-- <= 0)
        return NULL;
    f->live++;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void failing_free(void *user, void *p)
{
    if (p)
        ((struct failing *)user)->live--;
    free(p);
}

static void little_memory(void **state)
{
    struct failing memory = { 1000000, 0 };
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx = NULL;
    fixture f = make(*state, LQ_FAKE_AFFINE, "int4:2x32:zp", ROWS, COLS);
    lq_fake_grads g = LQ_FAKE_GRADS_INIT;
    lq_status status = LQ_ERR_NOMEM;
    long live;

    opts.allocator = (lq_allocator){ failing_alloc, failing_free, &memory };
    assert_int_equal(lq_ctx_create(&opts, &ctx, NULL), LQ_OK);
    live = memory.live;
    g.x = f.x;
    g.dy = f.dy;
    g.dx = f.dx;
    g.dscales = f.dscales;
    g.dzeros = f.dzeros;
    f.y[0] = 9;
    for (long left = 0; status == LQ_ERR_NOMEM; left++) {
        memory.left = left;
        status = lq_fake_start(ctx, &f.fake, ROWS, COLS, f.x, NULL);
        if (!status)
            status = lq_fake_backward(ctx, &f.fake, ROWS, COLS, &g, NULL);
        assert_true(f.y[0] == 9 && (!status || f.dx[0] == 0));
        if (!status)
            status = lq_fake_forward(ctx, &f.fake, ROWS, COLS, f.x, f.y, NULL);
        assert_int_equal(memory.live, live);
        memset(f.dx, 0, N * sizeof(float));
    }
    assert_int_equal(status, LQ_OK);
    assert_true(f.y[0] != 9);
    memory.left = 1000000;
    lq_ctx_destroy(ctx);
    drop(&f);
}

static int make_context(void **state)
{
    *state = test_ctx(LQ_LEVEL_BEST, 2);
    return 0;
}

static int destroy_context(void **state)
{
    lq_ctx_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spec),
        cmocka_unit_test(options_of_the_encoder),
        cmocka_unit_test(started_from_the_spec),
        cmocka_unit_test(first_scales),
        cmocka_unit_test(stored),
        cmocka_unit_test(no_scale),
        cmocka_unit_test(gradients),
        cmocka_unit_test(factor_and_places),
        cmocka_unit_test(delayed_scaling),
        cmocka_unit_test(same_bytes),
        cmocka_unit_test(refused_specs),
        cmocka_unit_test(refused_numbers),
        cmocka_unit_test(refused_arrays),
        cmocka_unit_test(little_memory),
    };

    return cmocka_run_group_tests(tests, make_context, destroy_context);
}
