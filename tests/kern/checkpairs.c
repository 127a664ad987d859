/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checkpairs.c - products of panels in pairs of bf16 against kernels/panel_bf16.h
 *
 * Panels are random codes with scales of every size and extreme zero points, the words of
 * codes any bf16; activations reach from denormal numbers to 1e15.  Products are computed
 * again in float64 from the layout (panel_plain.h); the bits must be the same for every number
 * of columns and in both kinds of kernels.  Levels without such products have nothing to show.
 * --seed N repeats a run, --time measures.
 */
#include <float.h>
#include <stdio.h>
#include <time.h>

#include "kernels/kernels.h"
#include "panel_random.h"

#define CHUNKS 3
#define COLS   (CHUNKS * 256)
#define WIDEST 8      /* columns */
#define CANARY 0x7fc0dead

static uint8_t  memory[2 * CHUNKS * PANEL_CHUNK_MAX + 64];
static float    x[WIDEST][COLS];
static float    want[WIDEST][2 * LQI_PANEL_ROWS];
static lqi_kernels kernels;

/* ---------------------------------------------------------------------- input */

static int of_floats(const lqi_panel *p)
{
    return lqi_panel_shapes[p->shape].acts == LQI_ACTS_F32;
}

static lqi_words any_words(int codes, int shape)
{
    static const float odd[] = { 0, -0.0f, 1, -1, 15, -128, 1e-3f, 0.7f };
    lqi_words w = { .panel = any_panel(codes, shape) };

    if (of_floats(&w.panel)) {
        w.panel.shift = (uint8_t)(3 + test_next(&seed) % 2);
        for (int i = 0; i < 64; i++)
            w.panel.table[i] = (uint8_t)(test_next(&seed) % 0x7b | (test_next(&seed) & 0x80));
    }
    for (unsigned i = 0; i < 128; i++) {
        float f = i % 3 ? test_normal(&seed) : odd[test_next(&seed) % COUNT(odd)];
        if (of_floats(&w.panel))
            f = w.panel.shift == 4 ? lqi_e4m3_to_f32((uint8_t)i) : lqi_e5m2_to_f32((uint8_t)i);
        else if (i >= 16)
            f = lqi_bf16_to_f32(w.word[i % 16]);
        w.word[i] = lqi_f32_to_bf16(f);
    }
    return w;
}

/* Bytes of floats are numbers. */
static void make_finite(const lqi_panel *p, uint8_t *panel, size_t chunks)
{
    unsigned most = p->shift == 4 ? 0x7e : 0x7b;

    for (size_t i = 0; of_floats(p) && p->bits == 8 && i < chunks * p->chunk_bytes; i++) {
        size_t in = i % p->chunk_bytes, front = lqi_panel_shapes[p->shape].front;
        size_t head = lqi_panel_shapes[p->shape].head;
        int scale = in < front || (in - front) % (head + 1024) < head;
        if (!scale && (panel[i] & 0x7fu) > most)
            panel[i] = (uint8_t)((panel[i] & 0x80) | most);
    }
}

static void fill_x(int wild)
{
    static const float size[] = { 1, 1e-15f, 1e15f, 1e-3f, 1e-40f, 1, 1, 3e-38f };

    for (int t = 0; t < WIDEST; t++)
        for (int c = 0; c < COLS; c++)
            x[t][c] = c % 7 == 3 ? 0 : test_normal(&seed) * (wild ? size[t] : 1);
}

static int kind_of(const lqi_panel *p)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];

    return g->min == LQI_MIN_NONE ? LQI_ACTS_PAIRS :
           g->step == 64 ? LQI_ACTS_PAIRS_64 : LQI_ACTS_PAIRS_32;
}

/* The arrays of some columns, from a chunk on. */
typedef struct arrays {
    int32_t pair[COLS / 2 * WIDEST];
    float   sum[COLS / 32 * WIDEST];
} arrays;

static void lay_out(const lqi_panel *p, int first, int width, size_t chunk, size_t chunks,
                    arrays *to)
{
    for (int t = 0; t < width; t++) {
        const lqi_acts_column c = { .x = to->pair + t, .fsum = to->sum + t,
                                    .stride = (size_t)width };
        for (size_t i = 0; i < chunks; i++)
            kernels.panel->acts(kind_of(p), x[first + t] + 256 * (chunk + i), i, &c);
    }
}

static lqi_acts_tile tile_of(const arrays *a)
{
    return (lqi_acts_tile){ .x = a->pair, .fsum = a->sum };
}

/* -------------------------------------------------------------------- float64 */

static double word_of(const lqi_words *w, const uint8_t *chunk, unsigned row, unsigned col)
{
    const lqi_panel *p = &w->panel;
    const uint8_t *unit = chunk + panel_head(p, col / 64) + lqi_panel_shapes[p->shape].head
                          + col / 32 % 2 * 64 * p->bits;
    unsigned code = panel_code(p->bits, unit + 4 * row + col % 4, col % 32 / 4);
    double sign;

    if (p->bits == 4)
        return (double)lqi_bf16_to_f32(w->word[code]);
    code = p->bits == 8 ? code : p->table[code];
    sign = code & 0x80 ? -1 : 1;
    return sign * (double)lqi_bf16_to_f32(w->word[code & 0x7f]);
}

static panel_sum plain(const lqi_words *w, const uint8_t *chunk, size_t chunks, unsigned row,
                       const float *v, double *flushed)
{
    const lqi_panel *p = &w->panel;
    int zeros = lqi_panel_shapes[p->shape].min == LQI_MIN_ZERO;
    panel_sum s = { 0, 0 };

    *flushed = 0;
    for (; chunks; chunks--, chunk += p->chunk_bytes, v += 256)
        for (unsigned c = 0; c < 256; c++) {
            double scale = panel_scale(p, chunk, row, c);
            double f = (double)lqi_bf16_to_f32(lqi_f32_to_bf16(v[c]));
            double zero = zeros ? LQI_WORDS_ZERO - panel_zero(p, chunk, row, c) : 0;
            double word = word_of(w, chunk, row, c), min = panel_min(p, chunk, row, c);
            s.sum += (scale * (word + zero) + min) * f;
            s.magnitude += (fabs(scale) * (fabs(word) + fabs(zero)) + fabs(min)) * fabs(f);
            *flushed += (1 + fabs(scale) * (1 + fabs(word) + fabs(zero)) + fabs(min)) * 0x1p-126;
        }
    return s;
}

static void check_plain(const lqi_words *w, const uint8_t *panels, size_t chunks)
{
    size_t bytes = chunks * w->panel.chunk_bytes;
    double ops = (double)(chunks * (256 / lqi_panel_shapes[w->panel.shape].step * 4) + 70);

    for (int t = 0; t < WIDEST; t++)
        for (unsigned row = 0; row < 2 * LQI_PANEL_ROWS; row++) {
            double flushed;
            panel_sum s = plain(w, panels + row / 16 * bytes, chunks, row % 16, x[t], &flushed);
            double bound = ops * 0x1p-24 * s.magnitude + flushed;
            if (s.magnitude > (double)FLT_MAX / 2)
                continue;
            if (!(fabs((double)want[t][row] - s.sum) <= bound))
                fail_msg("%d bits, shape %d, column %d, row %u: %a, not %a +- %a",
                         w->panel.bits, w->panel.shape, t, row, (double)want[t][row], s.sum,
                         bound);
        }
}

/* -------------------------------------------------------------------- kernels */

static void same_rows(const char *what, const lqi_words *w, const float *got, const float *right)
{
    for (unsigned r = 0; r < LQI_PANEL_ROWS; r++)
        if (lqi_float_bits(got[r]) != lqi_float_bits(right[r]))
            fail_msg("%s, %d bits, shape %d, row %u: %a, not %a", what, w->panel.bits,
                     w->panel.shape, r, (double)got[r], (double)right[r]);
}

static void fused(const lqi_words *w, const uint8_t *panels, size_t chunks)
{
    static const int width[LQI_FUSED] = { 1, 4, 8 };
    float y[WIDEST * LQI_PANEL_ROWS + 1];
    static arrays to;

    for (int f = 0; f < LQI_FUSED; f++)
        for (int from = 0; from + width[f] <= WIDEST; from += width[f])
            for (unsigned i = 0; i < 2; i++) {
                lay_out(&w->panel, from, width[f], 0, chunks, &to);
                lqi_acts_tile tile = tile_of(&to);
                y[width[f] * LQI_PANEL_ROWS] = lqi_bits_float(CANARY);
                kernels.pairs->fused[w->panel.codes][w->panel.shape][f](
                    w, panels + i * chunks * w->panel.chunk_bytes, chunks, &tile, y);
                assert_int_equal(lqi_float_bits(y[width[f] * LQI_PANEL_ROWS]), CANARY);
                for (int t = 0; t < width[f]; t++) {
                    float *right = want[from + t] + LQI_PANEL_ROWS * i;
                    if (f == 0)
                        memcpy(right, y, LQI_PANEL_ROWS * sizeof *y);
                    same_rows("fused", w, y + LQI_PANEL_ROWS * t, right);
                }
            }
}

static void tiles(const lqi_words *w, const uint8_t *panels, size_t chunks)
{
    float y[LQI_PAIRS_TILE * LQI_STRIP_ROWS + 1];
    static lqi_pairs_strip strip;
    static arrays to;

    for (int less = 0; less < 3; less++) {
        int width = LQI_PAIRS_TILE - less;
        memset(y, 0, sizeof y);
        y[width * LQI_STRIP_ROWS] = lqi_bits_float(CANARY);
        for (size_t chunk = 0; chunk < chunks; chunk += LQI_STRIP_CHUNKS) {
            size_t n = chunks - chunk < LQI_STRIP_CHUNKS ? chunks - chunk : LQI_STRIP_CHUNKS;
            lay_out(&w->panel, 0, width, chunk, n, &to);
            lqi_acts_tile tile = tile_of(&to);
            memset(&strip, 0xff, sizeof strip);
            for (unsigned i = 0; i < 2; i++)
                kernels.pairs->strip[w->panel.codes](
                    w, panels + (i * chunks + chunk) * w->panel.chunk_bytes, n, i, &strip);
            kernels.pairs->tile[lqi_panel_pairs_kind(&w->panel)][less](&strip, n, &tile, y);
        }
        assert_int_equal(lqi_float_bits(y[width * LQI_STRIP_ROWS]), CANARY);
        for (int t = 0; t < width; t++)
            for (unsigned i = 0; i < 2; i++)
                same_rows("tile", w, y + LQI_STRIP_ROWS * t + LQI_PANEL_ROWS * i,
                          want[t] + LQI_PANEL_ROWS * i);
    }
}

static void one_panel(int codes, int shape, int wild, size_t chunks)
{
    const lqi_words w = any_words(codes, shape);
    uint8_t *panels = memory + 1 + test_next(&seed) % 60;

    for (int i = 0; i < 2; i++) {
        uint8_t *panel = panels + (size_t)i * chunks * w.panel.chunk_bytes;
        fill_panel(&w.panel, wild, panel, chunks);
        make_finite(&w.panel, panel, chunks);
    }
    fill_x(wild);
    fused(&w, panels, chunks);
    check_plain(&w, panels, chunks);
    tiles(&w, panels, chunks);
}

static int exists(int codes, int shape)
{
    return kernels.pairs && kernels.pairs->fused[codes][shape][LQI_FUSED_1] != NULL;
}

static void every_panel(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int codes = 0; codes < LQI_PANEL_CODES; codes++)
        for (int shape = 0; shape < LQI_PANEL_SHAPES; shape++)
            for (int round = 0; exists(codes, shape) && round < 8; round++)
                one_panel(codes, shape, round % 2, 1 + (size_t)round / 2 % CHUNKS);
}

/* --------------------------------------------------------------- activations */

static const lq_level levels[] = {
    LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI, LQ_LEVEL_AVX512_VNNI,
    LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON, LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM,
};

/* Pairs are (0, 2) (1, 3) of each four numbers, sums those of the rounded ones. */
static void check_activations(const lqi_kernels *k, int kind, const float *v)
{
    int32_t pair[128];
    float sum[8];
    const lqi_acts_column c = { .x = pair, .fsum = sum, .stride = 1 };
    int group = kind == LQI_ACTS_PAIRS_64 ? 64 : 32;

    k->panel->acts(kind, v, 0, &c);
    for (int i = 0; i < 256; i++) {
        unsigned word = (uint32_t)pair[i / 4 * 2 + i % 2] >> (i % 4 < 2 ? 0 : 16) & 0xffff;
        assert_int_equal(word, lqi_f32_to_bf16(v[i]));
    }
    for (int g = 0; kind != LQI_ACTS_PAIRS && g < 256 / group; g++) {
        double exact = 0, size = 0;
        for (int i = group * g; i < group * (g + 1); i++) {
            double f = (double)lqi_bf16_to_f32(lqi_f32_to_bf16(v[i]));
            exact += f;
            size += fabs(f);
        }
        assert_true(fabs((double)sum[g] - exact) <= size * 18 * 0x1p-24);
    }
}

static void activations(void **state)
{
    lqi_kernels k;

    (void)state;
    fill_x(1);
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lqi_level_usable(levels[l]))
            continue;
        lqi_kernels_init(&k, levels[l]);
        for (int t = 0; t < WIDEST; t++)
            for (int kind = LQI_ACTS_PAIRS; kind <= LQI_ACTS_PAIRS_64; kind++)
                check_activations(&k, kind, x[t]);
    }
}

/* ------------------------------------------------------------------------ speed */

enum { RUN_STRIP = LQI_FUSED, RUN_TILE, RUNS };

/* One kernel of one panel, which stays in the caches. */
typedef struct timed {
    lqi_words       w;
    lqi_acts_tile   tile;
    lqi_pairs_strip strip;
    float           y[WIDEST * LQI_STRIP_ROWS];
} timed;

static void run_once(timed *t, int what)
{
    const lqi_panel_pairs *k = kernels.pairs;

    if (what < LQI_FUSED)
        k->fused[t->w.panel.codes][t->w.panel.shape][what](&t->w, memory, LQI_STRIP_CHUNKS,
                                                           &t->tile, t->y);
    else if (what == RUN_STRIP)
        k->strip[t->w.panel.codes](&t->w, memory, LQI_STRIP_CHUNKS, 0, &t->strip);
    else
        k->tile[lqi_panel_pairs_kind(&t->w.panel)][0](&t->strip, LQI_STRIP_CHUNKS, &t->tile, t->y);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Products, or decoded numbers, per nanosecond: the best of five. */
static double speed(timed *t, int what)
{
    static const double columns[RUNS] = { 1, 4, 8, 1, 2 * LQI_PAIRS_TILE };
    double each = LQI_STRIP_CHUNKS * 256 * LQI_PANEL_ROWS * columns[what], best = 0;

    for (int sample = 0; sample < 5; sample++) {
        double start = now();
        for (int i = 0; i < 200; i++)
            run_once(t, what);
        best = fmax(best, 200 * each / (now() - start) * 1e-9);
    }
    return best;
}

static int time_all(void)
{
    static arrays to;
    static timed t;

    printf("products a nanosecond: 1, 4, 8 columns, strip (numbers decoded), tile\n");
    for (int codes = 0; codes < LQI_PANEL_CODES; codes++)
        for (int shape = 0; shape < LQI_PANEL_SHAPES; shape++) {
            if (!exists(codes, shape))
                continue;
            t.w = any_words(codes, shape);
            fill_panel(&t.w.panel, 0, memory, LQI_STRIP_CHUNKS);
            fill_x(0);
            lay_out(&t.w.panel, 0, WIDEST, 0, LQI_STRIP_CHUNKS, &to);
            t.tile = tile_of(&to);
            printf("%u bits, shape %2d:", t.w.panel.bits, shape);
            for (int what = 0; what < RUNS; what++)
                printf(" %8.2f", speed(&t, what));
            printf("\n");
        }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_panel), cmocka_unit_test(activations),
    };

    lqi_kernels_init(&kernels, lqi_level_best());
    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        seed = strtoull(argv[2], NULL, 10);
    if (argc == 2 && strcmp(argv[1], "--time") == 0)
        return time_all();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
