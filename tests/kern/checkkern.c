/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checkkern.c - every kernel slot of every level against the reference
 *
 * Walks the table and the registry: a new level, decoder or format needs no code here.
 * Inputs are adversarial: every tail length, extreme codes, denormal, infinite and NaN
 * scales; outputs are compared bit for bit (sums: against their bound) and guarded by
 * canaries.  --seed N repeats a run.
 */
#include <math.h>
#include <stdio.h>

#include "common.h"
#include "kernels/kernels.h"
#include "lib/base/half.h"
#include "lib/core/core.h"
#include "lib/format/grids.h"

#define N      1100
#define CANARY 0x7fc0dead   /* a NaN nobody computes */

static const lq_level levels[] = {
    LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI, LQ_LEVEL_AVX512_VNNI, LQ_LEVEL_AVX512_BF16,
    LQ_LEVEL_NEON, LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM,
};

static uint64_t seed = 1;

static float any_float(void)
{
    static const uint32_t special[] = { 0, 0x80000000, 1, 0x007fffff, 0x00800000, 0x7f7fffff,
                                        0x7f800000, 0xff800000, 0x7fc00001, 0x7f800001,
                                        0x33000000, 0x477fefff, 0x477ff000, 0x38800000 };
    uint64_t z = test_next(&seed);

    if (z % 4 == 0)
        return lqi_bits_float(special[z / 4 % COUNT(special)]);
    return z % 4 == 1 ? lqi_bits_float((uint32_t)(z >> 8)) : test_normal(&seed);
}

static void any_bytes(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)test_next(&seed);
}

static void plant(float *y)
{
    for (size_t i = 0; i < N + 32; i++)
        y[i] = lqi_bits_float(CANARY);
}

static void guarded(const float *y, size_t n)
{
    for (size_t i = n; i < N + 32; i++)
        assert_int_equal(lqi_float_bits(y[i]), CANARY);
}

/* Equal bits; two NaNs count as equal, whatever their payload, if 'nan'. */
static void same(const float *a, const float *b, size_t n, int nan)
{
    for (size_t i = 0; i < n; i++)
        if (lqi_float_bits(a[i]) != lqi_float_bits(b[i]) && !(nan && a[i] != a[i] && b[i] != b[i]))
            fail_msg("element %d of %d: %a, not %a", (int)i, (int)n, b[i], a[i]);
}

/* ------------------------------------------------------------- conversions */

static void conversions(const lqi_kernels *ref, const lqi_kernels *k)
{
    static float x[N + 32], a[N + 32], b[N + 32];
    static uint8_t h[2 * N + 64], g[2 * N + 64];

    for (size_t n = 0; n < N; n += n < 70 ? 1 : 97) {
        for (size_t i = 0; i < n; i++)
            x[i] = any_float();
        any_bytes(h, 2 * n + 1);
        plant(a);
        plant(b);
        ref->f16_to_f32(h + 1, a, n);   /* packed data needs no alignment */
        k->f16_to_f32(h + 1, b, n);
        same(a, b, n, 0);
        guarded(b, n);
        ref->bf16_to_f32(h + 1, a, n);
        k->bf16_to_f32(h + 1, b, n);
        same(a, b, n, 0);
        guarded(b, n);
        if (n % 2)
            any_bytes(h, n);
        else
            memset(h, (int)test_next(&seed) & 0x77, n);   /* no NaN */
        ref->e4m3_to_f32(h, a, n);
        k->e4m3_to_f32(h, b, n);
        same(a, b, n, 0);
        guarded(b, n);
        for (int half = 0; half < 2; half++) {
            memset(h, 0x5a, sizeof h);
            memset(g, 0x5a, sizeof g);
            (half ? ref->f32_to_f16 : ref->f32_to_bf16)(x, h + 1, n);
            (half ? k->f32_to_f16 : k->f32_to_bf16)(x, g + 1, n);
            assert_memory_equal(h, g, sizeof h);
        }
    }
}

static void all_halves(const lqi_kernels *ref, const lqi_kernels *k)
{
    static uint8_t h[2 * 65536];
    static float a[65536], b[65536];

    for (uint32_t i = 0; i < 65536; i++)
        lqi_store16(h + 2 * i, (uint16_t)i);
    ref->f16_to_f32(h, a, 65536);
    k->f16_to_f32(h, b, 65536);
    same(a, b, 65536, 0);
}

/* ---------------------------------------------------------------- decoders */

static void fill_run(const lqi_grids *grids, const lqi_format *f, lqi_run *run, uint8_t *codes,
                     float *scale)
{
    static float zero[N];
    unsigned kind = (unsigned)test_next(&seed) % 3;

    any_bytes(codes, 4 * N + 64);
    for (size_t i = 0; i < N; i++)
        scale[i] = any_float();
    *run = (lqi_run){ .codes = codes, .scale = scale, .table = f->table, .bits = f->bits,
                      .group = 1 + test_next(&seed) % 200,
                      .grids = grids, .codebook = grids->value[f->grid] };
    if (f->storage == LQ_PLANAR && test_next(&seed) % 2)
        run->group = 16u << test_next(&seed) % 5;
    for (size_t i = 0; i < N; i++)
        zero[i] = kind == 1 ? (float)(test_next(&seed) % 256) : any_float();
    if (f->can & LQI_CAN_ZEROS_INT && kind) {
        run->zero = zero;
        run->float_zeros = kind == 2;
    }
}

/* Planar: the codes of the run and nothing more, so that sanitizers see who reads beyond. */
static uint8_t *end_codes(const lqi_format *f, lqi_run *run)
{
    size_t bytes = (size_t)(((run->first + run->n) * f->bits + 7) / 8);
    uint8_t *codes = malloc(bytes + 1);

    assert_non_null(codes);
    memcpy(codes, run->codes, bytes);
    run->codes = codes;
    run->end = codes + bytes;
    return codes;
}

/* Each format whose decoder this level replaces, against the format's own; 'end' somewhere
 * beyond the run, and at its end. */
static void decoders(const lqi_kernels *k)
{
    static uint8_t codes[4 * N + 64];
    static float scale[N], a[N + 32], b[N + 32];
    const lq_allocator standard = { 0 };
    lqi_grids *grids = lqi_grids_create(&standard);

    assert_non_null(grids);
    for (int i = 0; i < LQI_FORMATS; i++) {
        const lqi_format *f = lqi_formats[i];
        if (!k->decode[f->decoder])
            continue;
        for (size_t n = 0; n < N; n += n < 70 ? 1 : 89) {
            lqi_run run;
            fill_run(grids, f, &run, codes, scale);
            run.first = test_next(&seed) % 90;
            if (f->storage == LQ_BLOCKED)
                run.first = run.first / f->block_len * f->block_len;
            run.n = n;
            plant(a);
            plant(b);
            f->decode(&run, a);
            run.end = codes + sizeof codes;
            k->decode[f->decoder](&run, b);
            same(a, b, n, 1);
            guarded(b, n);
            if (f->storage != LQ_PLANAR)
                continue;
            uint8_t *own = end_codes(f, &run);
            plant(b);
            k->decode[f->decoder](&run, b);
            free(own);
            same(a, b, n, 1);
            guarded(b, n);
        }
    }
    lqi_grids_destroy(grids);
}

/* -------------------------------------------------------------- looking through */

static void scans(const lqi_kernels *ref, const lqi_kernels *k)
{
    static float x[N];

    for (size_t n = 0; n < N; n += n < 140 ? 1 : 89) {
        float lo[2] = { INFINITY, INFINITY }, hi[2] = { -INFINITY, -INFINITY };
        for (size_t i = 0; i < n; i++)
            x[i] = any_float();
        assert_int_equal(ref->magnitude(x, n), k->magnitude(x, n));
        assert_int_equal(ref->any_nonfinite(x, n), k->any_nonfinite(x, n));
        ref->range(x, n, &lo[0], &hi[0]);
        k->range(x, n, &lo[1], &hi[1]);
        same(&lo[0], &lo[1], 1, 0);
        same(&hi[0], &hi[1], 1, 0);
        for (size_t i = 0; i < n; i++)   /* a lone infinity, in every place */
            x[i] = 1;
        if (n) {
            x[test_next(&seed) % n] = INFINITY;
            assert_true(k->any_nonfinite(x, n));
        }
    }
}

/* ---------------------------------------------------------------- encoders */

/* Finite numbers.  'kind' decides how odd: common weights; ties of +a and -a, halves of
 * steps and zeros of both signs; any magnitude. */
static float weight(unsigned kind)
{
    uint64_t z = test_next(&seed);
    float f = test_normal(&seed);

    if (kind == 0)
        return f;
    if (kind == 1)
        return (float)((int)(z % 33) - 16) * (z >> 40 & 1 ? 0.5f : -0.5f);
    if (kind == 2)
        return z % 16 == 0 ? -0.0f : z % 16 == 1 ? 0 : fabsf(f);
    f = lqi_bits_float((uint32_t)(z >> 16));
    return lqi_finite(f) ? f : 0;
}

/* n numbers; stretches of zeros and of another kind lie in between. */
static void weights(float *x, size_t n)
{
    unsigned kind = (unsigned)test_next(&seed) % 4;

    for (size_t i = 0; i < n; i++) {
        if (i % 64 == 0 && test_next(&seed) % 8 == 0)
            kind = (unsigned)test_next(&seed) % 4;
        x[i] = weight(kind);
    }
    if (n > 100 && test_next(&seed) % 2)
        memset(x + 32, 0, 64 * sizeof *x);
}

static unsigned plain_calls;

static void plain(const lqi_encode_run *run)
{
    plain_calls++;
    lqi_encode_plain(run);
}

/* One run of 'n' numbers: bytes, scales and what lies behind them. */
static void encode_both(const lqi_kernels *k, const lqi_format *f, lqi_encode_run *run)
{
    static uint8_t a[4 * N + 64], b[4 * N + 64];
    static float s[N], t[N], y[N], z[N];

    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    memset(s, 0, sizeof s);
    memset(t, 0, sizeof t);
    memset(y, 0, sizeof y);
    memset(z, 0, sizeof z);
    run->codes = a;
    run->scale = s;
    run->zero = run->spec->zeros ? y : NULL;
    lqi_encode_plain(run);
    run->codes = b;
    run->scale = t;
    run->zero = run->spec->zeros ? z : NULL;
    k->encode[f->encoder](run);
    if (memcmp(a, b, sizeof a))
        print_message("%s: n %zu, first %llu, groups of %llu\n", f->name, run->n,
                      (unsigned long long)run->first, (unsigned long long)run->group);
    assert_memory_equal(a, b, sizeof a);
    same(s, t, N, 0);
    same(y, z, N, 0);
    if (f->storage == LQ_BLOCKED)
        return;
    memset(t, 0, sizeof t);   /* parameters only */
    run->codes = NULL;
    k->encode[f->encoder](run);
    same(s, t, N, 0);
}

/* One of the specs that an encoder of this format may meet; 'book' for those with one. */
static void any_spec(const lqi_format *f, unsigned round, const lq_codebook *book, lq_spec *spec)
{
    static const lq_dtype types[] = { LQ_F32, LQ_F16, LQ_BF16, LQ_F8_E4M3, LQ_E8M0 };
    const lq_spec none = LQ_SPEC_INIT;
    lq_dtype type = types[round % COUNT(types)];

    *spec = none;
    spec->format = f->id;
    if (f->scale_types >> type & 1)
        spec->scale_type = type;
    if (f->bits == 0 && f->storage == LQ_PLANAR)
        spec->codebook = book;
    if (f->can & LQI_CAN_ZEROS_INT && round % 2)
        spec->zeros = LQ_ZEROS_INT;
    if (f->can & LQI_CAN_SCALE_MODE)
        spec->scale_mode = LQ_SCALE_FLOOR + (int)(round % 4);
    if (f->can & LQI_CAN_GLOBAL && round % 2)
        spec->flags = LQ_SPEC_GLOBAL_DIV;
    assert_int_equal(lq_spec_complete(spec, NULL), LQ_OK);
}

/* What the tensor's scale would be. */
static float global_of(const lqi_format *f, const lq_spec *spec, const float *x, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return f->fit_global ? f->fit_global(spec, most) : 0;
}

static void encoders(const lqi_kernels *k)
{
    static const char *const names[] = { "dynamic8", "nf4", "udynamic8" };
    static float x[N], imp[N];
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_codebook *book[3];

    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(lq_codebook_named(ctx, names[i], &book[i], NULL), LQ_OK);
    for (int i = 0; i < LQI_FORMATS; i++) {
        const lqi_format *f = lqi_formats[i];
        lq_spec spec = LQ_SPEC_INIT;
        lqi_encode_run run = { .x = x, .spec = &spec, .kernels = k, .ladder = f->ladder,
                               .plain = plain };
        if (!k->encode[f->encoder])
            continue;
        for (unsigned round = 0; round < 400; round++) {
            any_spec(f, round, book[round / 5 % 3], &spec);
            run.bins = &book[round / 5 % 3]->bins;
            unsigned blocks = (unsigned)test_next(&seed) % 34 + 1;
            run.n = f->storage == LQ_BLOCKED ? f->block_len * blocks
                                             : 1 + test_next(&seed) % (N - 1);
            run.group = round % 3 ? (round % 7 + 1) * 16 : 1 + test_next(&seed) % 100;
            run.first = f->storage == LQ_BLOCKED ? 0 : test_next(&seed) % 9 * run.group;
            run.imp = f->storage == LQ_BLOCKED && round % 8 == 7 ? imp : NULL;
            run.n = run.n < N ? run.n : N / f->block_len * f->block_len;
            weights(x, run.n);
            for (size_t c = 0; c < run.n; c++)
                imp[c] = fabsf(test_normal(&seed));
            run.global = global_of(f, &spec, x, run.n);
            encode_both(k, f, &run);
        }
        /* common weights are not left to the plain encoder */
        plain_calls = 0;
        any_spec(f, 0, book[0], &spec);
        run.bins = &book[0]->bins;
        run.n = 1024;
        run.group = 64;
        run.first = 0;
        run.imp = NULL;
        test_fill(x, N, seed);
        run.global = global_of(f, &spec, x, run.n);
        encode_both(k, f, &run);
        assert_int_equal(plain_calls, 0);
    }
    for (size_t i = 0; i < COUNT(names); i++)
        lq_codebook_destroy(book[i]);
    lq_ctx_destroy(ctx);
}

/* ---------------------------------------------------------------- rounders */

static void round_both(const lqi_kernels *k, const lqi_format *f, const lq_spec *spec,
                       lqi_round_run *run)
{
    static uint8_t a[2 * N], b[2 * N];
    static uint32_t codes[N];
    lqi_group group = { run->scale, run->zero < 0 ? 0 : (float)run->zero, 0 };
    lqi_fit in = { .spec = spec, .x = run->x, .n = run->n, .partial = run->partial };

    any_bytes(a, sizeof a);
    memcpy(b, a, sizeof a);
    f->round(&in, &group, codes);
    lqi_codes_write(a, f->bits, f->order, run->element, run->n, codes);
    run->codes = b;
    k->round[f->rounder](run);
    assert_memory_equal(a, b, sizeof a);
}

/* Numbers of a size that fits the scale, its halves and far beyond, and any scale. */
static void rounders(const lqi_kernels *k)
{
    static float x[N];

    for (int i = 0; i < LQI_FORMATS; i++) {
        const lqi_format *f = lqi_formats[i];
        lq_spec spec = LQ_SPEC_INIT;
        if (!k->round[f->rounder])
            continue;
        spec.format = f->id;
        for (unsigned n = 0; n < N; n += n < 70 ? 1 : 53) {
            lqi_round_run run = { .x = x, .n = n, .ladder = f->ladder, .zero = -1 };
            spec.zeros = f->can & LQI_CAN_ZEROS_INT && n % 2 ? LQ_ZEROS_INT : LQ_ZEROS_NONE;
            if (spec.zeros)
                run.zero = (int)(test_next(&seed) % (1u << f->bits));
            run.scale = n % 5 ? 0.25f : (float)exp2((double)(test_next(&seed) % 190) - 95) * 1.3f;
            run.partial = n % 3 == 0;
            run.element = test_next(&seed) % 50;
            for (size_t c = 0; c < n; c++) {
                x[c] = weight(c % 7 == 0 ? 3 : (unsigned)test_next(&seed) % 3);
                if (c % 2)
                    x[c] *= run.scale * (n % 4 ? 1 : 64);
                if (!lqi_finite(x[c]))
                    x[c] = 0;
            }
            round_both(k, f, &spec, &run);
        }
    }
}

/* ------------------------------------------------------------------- tiles */

/* One output, as the bound of libquant/matmul.h for one block of columns. */
static void check_sum(const float *w, const float *x, size_t k, float before, float got)
{
    double sum = before, mag = fabs((double)before);

    for (size_t c = 0; c < k; c++) {
        sum += (double)w[c] * (double)x[c];
        mag += fabs((double)w[c] * (double)x[c]);
    }
    assert_true(fabs((double)got - sum) <= ((double)k / 8 + 16) * 0x1p-24 * mag);
}

static void tiles(const lqi_kernels *k)
{
    static float w[LQI_TILE_MAX * 600], x[LQI_TILE_MAX * 600], y[LQI_TILE_MAX * 40],
                 before[LQI_TILE_MAX * 40];
    const lqi_tile_f32 *t = &k->tile_f32;

    assert_true(t->mr > 0 && t->mr <= LQI_TILE_MAX && t->nr > 0 && t->nr <= LQI_TILE_MAX);
    assert_int_equal(16 % t->mr, 0);   /* lib/core/matmul.c cuts strips of 16 */
    test_fill(w, COUNT(w), seed);
    test_fill(x, COUNT(x), seed + 1);
    for (size_t n = 0; n < 560; n += n < 70 ? 1 : 61) {
        test_fill(y, COUNT(y), n);
        memcpy(before, y, sizeof y);
        t->run(w, 571, x, 583, n, y, 37);
        for (size_t j = 0; j < LQI_TILE_MAX; j++)
            for (size_t i = 0; i < 37; i++) {
                float b = before[j * 37 + i], got = y[j * 37 + i];
                if (i < t->mr && j < t->nr)
                    check_sum(w + i * 571, x + j * 583, n, b, got);
                else
                    assert_true(b == got);
            }
        /* where in the tile an output lies makes no difference */
        float swapped[LQI_TILE_MAX * 40] = { 0 }, straight[LQI_TILE_MAX * 40] = { 0 };
        t->run(w, 571, x, 583, n, straight, 37);
        t->run(w, 0, x, 0, n, swapped, 37);   /* row 0 and vector 0 everywhere */
        for (size_t j = 0; j < t->nr; j++)
            for (size_t i = 0; i < t->mr; i++)
                assert_true(swapped[j * 37 + i] == straight[0]);
    }
}

/* ----------------------------------------------------------- plain products */

/* What the tile promises, from panels of any width: all numbers, at every k. */
static void gemm_tiles(const lqi_kernels *k)
{
    static float a[16 * 260], b[64 * 260], sums[16 * 70], before[16 * 70];
    const lqi_gemm *g = &k->gemm;

    assert_true(g->mr > 0 && g->mr <= 16 && g->nr > 0 && g->nr <= 64);
    assert_true(g->mr * g->nr <= LQI_GEMM_TILE_MAX);
    for (size_t n = 0; n <= 256; n += n < 20 ? 1 : 59) {
        for (unsigned shape = 0; shape < 24; shape++) {
            lqi_gemm_tile t = { a, b, n, 1 + shape % 6 * g->mr / 6, 1 + shape / 6 * g->nr / 4,
                                shape & 1, sums, 69 };
            for (size_t i = 0; i < COUNT(a); i++)
                a[i] = shape % 5 ? test_normal(&seed) : any_float();
            test_fill(b, COUNT(b), n + shape);
            test_fill(sums, COUNT(sums), n);
            memcpy(before, sums, sizeof sums);
            g->tile(&t);
            for (size_t i = 0; i < 16; i++) {
                for (size_t j = 0; j < 69; j++) {
                    float s = 0;
                    for (size_t l = 0; i < g->mr && j < g->nr && l < n; l++)
                        s = fmaf(a[l * g->mr + i], b[l * g->nr + j], s);
                    s = t.add ? before[i * 69 + j] + s : s;
                    if (i < t.rows && j < t.cols)
                        same(&s, &sums[i * 69 + j], 1, 1);
                    else if (i >= g->mr || j >= g->nr)
                        same(&before[i * 69 + j], &sums[i * 69 + j], 1, 1);
                }
            }
        }
    }
}

/* Both ways of packing, for both widths; canaries behind the last panel. */
static void gemm_packs(const lqi_kernels *k)
{
    static float x[130 * 130], panels[140 * 180];

    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = any_float();
    for (unsigned round = 0; round < 400; round++) {
        lqi_gemm_pack p = { x, 130, 1 + test_next(&seed) % 130, 1 + test_next(&seed) % 70,
                            round & 1 ? k->gemm.mr : k->gemm.nr, 0, panels };
        int across = round >> 1 & 1;   /* copy */
        if (across)
            p.x = x + 130 - p.n;       /* up to the last number that may be read */
        else
            p.x = x + 130 - p.k;
        p.stride = p.k * p.width + LQI_LANES_MAX;
        size_t end = ((p.n - 1) / p.width + 1) * p.stride;
        for (size_t i = 0; i < COUNT(panels); i++)
            panels[i] = lqi_bits_float(CANARY);
        (across ? k->gemm.copy : k->gemm.transpose)(&p);
        for (size_t i = 0; i < p.n; i++)
            for (size_t c = 0; c < p.k; c++)
                same(&p.x[across ? c * 130 + i : i * 130 + c],
                     &panels[i / p.width * p.stride + c * p.width + i % p.width], 1, 0);
        for (size_t i = end; i < COUNT(panels); i++)
            assert_int_equal(lqi_float_bits(panels[i]), CANARY);
    }
}

/* -------------------------------------------------------------------- main */

static void every_level(void **state)
{
    lqi_kernels ref, k;

    (void)state;
    lqi_kernels_init(&ref, LQ_LEVEL_REF);
    tiles(&ref);
    gemm_tiles(&ref);
    gemm_packs(&ref);
    for (size_t i = 0; i < COUNT(levels); i++) {
        if (!lqi_level_usable(levels[i]))
            continue;
        print_message("level %s, seed %llu\n", lq_level_name(levels[i]), (unsigned long long)seed);
        lqi_kernels_init(&k, levels[i]);
        conversions(&ref, &k);
        all_halves(&ref, &k);
        decoders(&k);
        scans(&ref, &k);
        encoders(&k);
        rounders(&k);
        tiles(&k);
        gemm_tiles(&k);
        gemm_packs(&k);
    }
}

static void no_slot_is_null(void **state)
{
    lqi_kernels k;

    (void)state;
    lqi_kernels_init(&k, lqi_level_best());
    assert_non_null(k.tile_f32.run);
    assert_true(k.gemm.tile && k.gemm.copy && k.gemm.transpose);
    assert_true(k.f16_to_f32 && k.bf16_to_f32 && k.f32_to_f16 && k.f32_to_bf16);
    assert_true(k.magnitude && k.any_nonfinite && k.range && k.nearest);
    for (int i = 0; i < LQI_FORMATS; i++)
        assert_non_null(lqi_formats[i]->decode);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_slot_is_null), cmocka_unit_test(every_level),
    };

    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
