/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checkpanels.c - kernels of panels against kernels/panel.h, and each other
 *
 * Panels are random bytes with scales of every size, from zero and denormal to large, and
 * extreme zero points; activations reach -127 and 127.  Products are computed again in
 * float64 by panel_plain.h, which knows nothing but the description of the layout; bits must
 * be the same at every level, for every number of columns and in both kinds of kernels.
 * --seed N repeats a run, --time measures.
 */
#include <stdio.h>
#include <time.h>

#include "kernels/kernels.h"
#include "panel_random.h"

#define CHUNKS 3
#define WIDEST 8      /* columns */
#define CANARY 0x7fc0dead

static const lq_level levels[] = {
    LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI, LQ_LEVEL_AVX512_VNNI,
    LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON, LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM,
};

/* Panels one behind the other, at an odd address behind data: loads need no alignment. */
static uint8_t memory[2 * CHUNKS * PANEL_CHUNK_MAX + 64];

/* ----------------------------------------------------------------- activations */

/* Columns of a tile, as lqi_acts_tile lays them out. */
typedef struct acts {
    int8_t  q[WIDEST][CHUNKS * 256];
    float   scale[WIDEST][CHUNKS * 8];      /* of 32 or 256 columns */
} acts;

typedef struct arrays {
    int32_t x[CHUNKS * 64 * WIDEST], sum[3][CHUNKS * 16 * WIDEST], pair[2][CHUNKS * 8 * WIDEST];
    float   scale[CHUNKS * 8 * WIDEST], fsum[CHUNKS * 8 * WIDEST];
} arrays;

static void fill_acts(acts *a, int wild)
{
    for (int t = 0; t < WIDEST; t++) {
        for (size_t i = 0; i < COUNT(a->q[t]); i++)
            a->q[t][i] = (int8_t)(any_byte(254) - 127);
        for (size_t i = 0; i < COUNT(a->scale[t]); i++) {
            float s = any_scale(0);
            a->scale[t][i] = wild && i % 3 ? (i % 2 ? 0 : 1e-20f * s) : s;
        }
    }
    for (size_t i = 0; i < 256; i++)   /* sums as large as they can be */
        a->q[0][256 + i] = wild ? -127 : 127;
}

static int32_t sum_of(const acts *a, int t, size_t first, size_t n)
{
    int32_t sum = 0;

    for (size_t i = first; i < first + n; i++)
        sum += a->q[t][i];
    return sum;
}

static int32_t halves(int32_t low, int32_t high)
{
    return (int32_t)((uint32_t)(low & 0xffff) | (uint32_t)high << 16);
}

/* Column 'from' + t of the activations is column t of the tile. */
static void lay_out(const acts *a, int kind, int from, int width, size_t chunks, arrays *to)
{
    size_t w = (size_t)width, cols = 256 * chunks;

    for (int t = 0; t < width; t++) {
        int c = from + t;
        for (size_t i = 0; i < cols / 4; i++)
            memcpy(&to->x[i * w + t], &a->q[c][4 * i], 4);
        for (size_t k = 0, n = 16; k < 3; k++, n *= 2)
            for (size_t i = 0; i < cols / n; i++)
                to->sum[k][i * w + t] = -sum_of(a, c, i * n, n);
        for (size_t k = 0, n = 16; k < 2; k++, n *= 2)
            for (size_t i = 0; i < cols / (4 * n); i++)
                for (size_t odd = 0; odd < 2; odd++)
                    to->pair[k][(2 * i + odd) * w + t] =
                        halves(sum_of(a, c, (4 * i + odd) * n, n),
                               sum_of(a, c, (4 * i + odd + 2) * n, n));
        for (size_t i = 0; i < (kind == LQI_ACTS_32 ? cols / 32 : chunks); i++) {
            to->scale[i * w + t] = a->scale[c][i];
            to->fsum[i * w + t] = a->scale[c][i] * (float)sum_of(a, c, 32 * i, 32);
        }
    }
}

/* The arrays from chunk 'chunk' on. */
static lqi_acts_tile tile_at(const arrays *a, int kind, int width, size_t chunk)
{
    size_t n = chunk * (size_t)width, groups = kind == LQI_ACTS_32 ? 8 * n : n;

    return (lqi_acts_tile){ a->x + 64 * n, a->scale + groups,
                            { a->sum[0] + 16 * n, a->sum[1] + 8 * n, a->sum[2] + 4 * n },
                            { a->pair[0] + 8 * n, a->pair[1] + 4 * n }, a->fsum + groups };
}

/* --------------------------------------------------------------------- checks */

static float want[WIDEST][2 * LQI_PANEL_ROWS];   /* the reference's bits */

/* Outputs of the reference against float64. */
static void check_plain(const lqi_panel *p, const uint8_t *panels, size_t chunks, int wild,
                        const acts *a)
{
    size_t bytes = chunks * p->chunk_bytes;
    double ops = (double)(chunks * (256 / lqi_panel_shapes[p->shape].step * 2 + 8));

    for (int t = 0; t < WIDEST; t++)
        for (unsigned row = 0; row < 2 * LQI_PANEL_ROWS; row++) {
            panel_sum s = panel_product(p, panels + row / 16 * bytes, chunks, row % 16,
                                        a->q[t], a->scale[t]);
            double bound = ops * 0x1p-24 * s.magnitude + (wild ? 1e-28 : 0);
            if (!(fabs((double)want[t][row] - s.sum) <= bound))
                fail_msg("%d bits, shape %d, %zu chunks, row %u: %a, not %a +- %a", p->bits,
                         p->shape, chunks, row, (double)want[t][row], s.sum, bound);
        }
}

static void same_rows(const char *what, const lqi_panel *p, const float *got, const float *right,
                      unsigned rows)
{
    for (unsigned r = 0; r < rows; r++)
        if (lqi_float_bits(got[r]) != lqi_float_bits(right[r]))
            fail_msg("%s, %d bits, shape %d, row %u: %a, not %a", what, p->bits, p->shape, r,
                     (double)got[r], (double)right[r]);
}

static void fused(const lqi_panel_kernels *k, const lqi_panel *p, const uint8_t *panels,
                  size_t chunks, const acts *a, int fill_want)
{
    static const int width[LQI_FUSED] = { 1, 4, 8 };
    const int kind = lqi_panel_shapes[p->shape].acts;
    float y[WIDEST * LQI_PANEL_ROWS + 1];
    static arrays to;

    for (int f = 0; f < LQI_FUSED; f++)
        for (int from = 0; from + width[f] <= WIDEST; from += width[f])
            for (unsigned i = 0; i < 2; i++) {
                lay_out(a, kind, from, width[f], chunks, &to);
                lqi_acts_tile tile = tile_at(&to, kind, width[f], 0);
                y[width[f] * LQI_PANEL_ROWS] = lqi_bits_float(CANARY);
                k->fused[p->codes][p->shape][f](p, panels + i * chunks * p->chunk_bytes, chunks,
                                                &tile, y);
                assert_int_equal(lqi_float_bits(y[width[f] * LQI_PANEL_ROWS]), CANARY);
                for (int t = 0; t < width[f]; t++) {
                    float *right = want[from + t] + LQI_PANEL_ROWS * i;
                    if (fill_want && f == 0)
                        memcpy(right, y, LQI_PANEL_ROWS * sizeof *y);
                    same_rows("fused", p, y + LQI_PANEL_ROWS * t, right, LQI_PANEL_ROWS);
                }
            }
}

/* As lib/core/matmul_panels.c does: two chunks at a time, sums kept. */
static void strip_and_tile(const lqi_panel_kernels *k, const lqi_panel *p, const uint8_t *panels,
                           size_t chunks, const arrays *to, int width, float *y)
{
    const int kind = lqi_panel_shapes[p->shape].acts;
    static lqi_strip strip;

    for (size_t chunk = 0; chunk < chunks; chunk += LQI_STRIP_CHUNKS) {
        size_t n = chunks - chunk < LQI_STRIP_CHUNKS ? chunks - chunk : LQI_STRIP_CHUNKS;
        lqi_acts_tile tile = tile_at(to, kind, width, chunk);
        memset(&strip, 0xff, sizeof strip);
        for (unsigned i = 0; i < k->strip_panels; i++)
            k->strip[p->codes](p, panels + (i * chunks + chunk) * p->chunk_bytes, n,
                               i * LQI_PANEL_ROWS, &strip);
        k->tile[lqi_panel_tile_kind(p)][k->tile_max - width](&strip, n, &tile, y);
    }
}

static void tiles(const lqi_panel_kernels *k, const lqi_panel *p, const uint8_t *panels,
                  size_t chunks, const acts *a)
{
    float y[WIDEST * LQI_STRIP_ROWS + 1];
    static arrays to;

    assert_true(k->tile_max >= 3 && k->tile_max <= WIDEST);
    assert_true(k->strip_panels >= 1 && k->strip_panels <= 2);
    for (int width = k->tile_max - 2; width <= k->tile_max; width++) {
        memset(y, 0, sizeof y);
        y[width * LQI_STRIP_ROWS] = lqi_bits_float(CANARY);
        lay_out(a, lqi_panel_shapes[p->shape].acts, 0, width, chunks, &to);
        strip_and_tile(k, p, panels, chunks, &to, width, y);
        assert_int_equal(lqi_float_bits(y[width * LQI_STRIP_ROWS]), CANARY);
        for (int t = 0; t < width; t++)
            same_rows("tile", p, y + LQI_STRIP_ROWS * t, want[t],
                      k->strip_panels * LQI_PANEL_ROWS);
    }
}

static void one_panel(int codes, int shape, int wild, size_t chunks)
{
    const lqi_panel p = any_panel(codes, shape);
    uint8_t *panels = memory + 1 + test_next(&seed) % 60;
    static acts a;
    lqi_kernels k;

    fill_acts(&a, wild);
    for (int i = 0; i < 2; i++)
        fill_panel(&p, wild, panels + (size_t)i * chunks * p.chunk_bytes, chunks);
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lqi_level_usable(levels[l]))
            continue;
        lqi_kernels_init(&k, levels[l]);
        fused(k.panel, &p, panels, chunks, &a, l == 0);
        if (l == 0)
            check_plain(&p, panels, chunks, wild, &a);
        tiles(k.panel, &p, panels, chunks, &a);
    }
}

/* Panels of floats: checkfloats.c. */
static int has_integers(int codes, int shape)
{
    return lqi_panel_usable(codes, shape) && lqi_panel_shapes[shape].acts != LQI_ACTS_F32;
}

static void every_panel(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int codes = 0; codes < LQI_PANEL_CODES; codes++)
        for (int shape = 0; shape < LQI_PANEL_SHAPES; shape++)
            for (int round = 0; has_integers(codes, shape) && round < 6; round++)
                one_panel(codes, shape, round % 2, 1 + (size_t)round / 2);
}

/* ------------------------------------------------------- activations to integers */

/* Numbers that are hard to scale, and some common ones. */
static void fill_numbers(float *x, int kind)
{
    static const float size[] = { 1, 1e-38f, 1e-30f, 9e-31f, 1e30f, 3e38f, 0 };

    for (size_t i = 0; i < 256; i++) {
        x[i] = test_normal(&seed) * size[kind % COUNT(size)] / 4;
        if (kind % 2 && i % 5 == 0)
            x[i] = (float)((int)(test_next(&seed) % 255) - 127) / 254;   /* ties */
    }
    if (kind % 11 == 10)
        x[test_next(&seed) % 256] = kind % 2 ? NAN : -INFINITY;
    if (kind % 13 == 12)
        memset(x + 32, 0, 96 * sizeof *x);
}

static void quantize(const lqi_panel_kernels *k, int kind, const float *x, arrays *a)
{
    const lqi_acts_column c = { .x = a->x, .sum = { a->sum[0], a->sum[1], a->sum[2] },
                                .pair = { a->pair[0], a->pair[1] }, .scale = a->scale,
                                .fsum = a->fsum, .stride = 1 };

    memset(a, 0, sizeof *a);
    k->acts(kind, x, 0, &c);
}

/* Whether all integers mean something. */
static int all_finite(const arrays *a)
{
    int finite = 1;

    for (size_t i = 0; i < 8; i++)
        finite &= a->scale[i] == a->scale[i];
    return finite;
}

/* Integers within half a step; a NaN or an infinity spoils the scale. */
static void check_integers(int kind, const float *x, const arrays *a)
{
    size_t group = kind == LQI_ACTS_32 ? 32 : 256;

    for (size_t i = 0; i < 256; i++) {
        double most = 0, scale = (double)a->scale[i / group];
        int q = (int8_t)(a->x[i / 4] >> 8 * (i % 4));
        for (size_t k = i / group * group; k < (i / group + 1) * group; k++)
            most = !lqi_finite(x[k]) || most != most ? (double)NAN
                                                     : fmax(most, fabs((double)x[k]));
        if (most != most)
            assert_true(scale != scale);
        else
            assert_true(fabs(scale * q - (double)x[i]) <= most / 127 * 0.50003 + 1e-30 &&
                        q >= -127);
    }
}

/* What follows from the integers. */
static void check_sums(int kind, const arrays *a)
{
    static acts plain;
    static arrays right;

    memcpy(plain.q[0], a->x, 256);
    memcpy(plain.scale[0], a->scale, 8 * sizeof *a->scale);
    lay_out(&plain, kind, 0, 1, 1, &right);
    assert_memory_equal(a->sum[1], right.sum[1], 8 * sizeof **a->sum);
    if (kind == LQI_ACTS_32) {
        assert_memory_equal(a->fsum, right.fsum, 8 * sizeof *a->fsum);
        return;
    }
    assert_memory_equal(a->sum[0], right.sum[0], 16 * sizeof **a->sum);
    assert_memory_equal(a->sum[2], right.sum[2], 4 * sizeof **a->sum);
    assert_memory_equal(a->pair[0], right.pair[0], 8 * sizeof **a->pair);
    assert_memory_equal(a->pair[1], right.pair[1], 4 * sizeof **a->pair);
}

static void integers(void **state)
{
    static arrays a, first;
    float x[256];
    lqi_kernels k;

    (void)state;
    for (int round = 0; round < 2 * 7 * 11 * 13; round++) {
        int kind = round % 2 ? LQI_ACTS_32 : LQI_ACTS_256;
        fill_numbers(x, round / 2);
        quantize(&lqi_panel_kernels_ref, kind, x, &first);
        check_integers(kind, x, &first);
        if (all_finite(&first))
            check_sums(kind, &first);
        for (size_t l = 1; l < COUNT(levels); l++) {
            if (!lqi_level_usable(levels[l]))
                continue;
            lqi_kernels_init(&k, levels[l]);
            quantize(k.panel, kind, x, &a);
            check_integers(kind, x, &a);
            if (all_finite(&first))
                assert_memory_equal(&a, &first, sizeof a);
        }
    }
}

/* ------------------------------------------------------------------------ speed */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { RUN_STRIP = LQI_FUSED, RUN_TILE, RUNS };

/* One kernel of one panel, which stays in the caches. */
typedef struct timed {
    const lqi_panel_kernels *k;
    lqi_panel                p;
    lqi_acts_tile            tile;
    lqi_strip                strip;
    float                    y[WIDEST * LQI_STRIP_ROWS];
} timed;

static void run_once(timed *t, int what)
{
    if (what < LQI_FUSED)
        t->k->fused[t->p.codes][t->p.shape][what](&t->p, memory, LQI_STRIP_CHUNKS, &t->tile,
                                                  t->y);
    else if (what == RUN_STRIP)
        t->k->strip[t->p.codes](&t->p, memory, LQI_STRIP_CHUNKS, 0, &t->strip);
    else
        t->k->tile[lqi_panel_tile_kind(&t->p)][0](&t->strip, LQI_STRIP_CHUNKS, &t->tile, t->y);
}

/* Products, or decoded numbers, per nanosecond: the best of five. */
static double speed(timed *t, int what)
{
    static const double columns[LQI_FUSED] = { 1, 4, 8 };
    double each = LQI_STRIP_CHUNKS * 256 * LQI_PANEL_ROWS, best = 0;

    if (what < LQI_FUSED)
        each *= columns[what];
    if (what == RUN_TILE)
        each *= t->k->tile_max * t->k->strip_panels;
    for (int sample = 0; sample < 5; sample++) {
        double start = now(), seconds;
        for (int i = 0; i < 200; i++)
            run_once(t, what);
        seconds = now() - start;
        best = fmax(best, 200 * each / seconds * 1e-9);
    }
    return best;
}

static void time_level(lq_level level)
{
    static arrays to;
    static acts a;
    static timed t;
    lqi_kernels k;

    lqi_kernels_init(&k, level);
    fill_acts(&a, 0);
    for (int codes = 0; codes < LQI_PANEL_CODES; codes++)
        for (int shape = 0; shape < LQI_PANEL_SHAPES; shape++) {
            if (!has_integers(codes, shape))
                continue;
            t.k = k.panel;
            t.p = any_panel(codes, shape);
            fill_panel(&t.p, 0, memory, LQI_STRIP_CHUNKS);
            lay_out(&a, lqi_panel_shapes[shape].acts, 0, WIDEST, LQI_STRIP_CHUNKS, &to);
            t.tile = tile_at(&to, lqi_panel_shapes[shape].acts, WIDEST, 0);
            memset(&t.strip, 0, sizeof t.strip);
            printf("%-12s %u bits, shape %2d:", lq_level_name(level), t.p.bits, shape);
            for (int what = 0; what < RUNS; what++)
                printf(" %8.2f", speed(&t, what));
            printf("\n");
        }
}

static int time_all(void)
{
    printf("products a nanosecond: 1, 4, 8 columns, strip (numbers decoded), tile\n");
    for (size_t l = 0; l < COUNT(levels); l++)
        if (lqi_level_usable(levels[l]))
            time_level(levels[l]);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_panel),
        cmocka_unit_test(integers),
    };

    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        seed = strtoull(argv[2], NULL, 10);
    if (argc == 2 && strcmp(argv[1], "--time") == 0)
        return time_all();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
