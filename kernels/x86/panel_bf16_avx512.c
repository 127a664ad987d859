/* SPDX-License-Identifier: MIT */
/*
 * kernels/x86/panel_bf16_avx512.c - products of panels in pairs of bf16 with AVX-512 BF16
 *
 * Lane r of a register is row r: no shuffles between rows, as with integers.
 */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/panel_bf16.h"
#include "kernels/x86/v_avx512.h"

#include "kernels/tmpl/panel_unit.h"

#define PAIRS_MAX 8   /* columns */

V_INLINE v_f32 dot_pair(v_f32 sum, v_bytes w, v_bytes x)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)x);
}

V_INLINE v_bytes pair_at(const int32_t *x) { return (v_bytes)v_set1u((uint32_t)*x); }

/* ------------------------------------------------------------------ decoding */

/* Words in registers. */
typedef struct pair_tables {
    v_bytes word;                 /* by five bits */
    v_bytes low[2], high[2];      /* bytes of the words, by seven bits */
    unit_tables unit;             /* of floats with fewer bits */
} pair_tables;

/* Bytes of 64 words: the low ones, and the high ones. */
P_INLINE void split_words(const uint16_t *word, v_bytes *low, v_bytes *high)
{
    const __m512i a = _mm512_loadu_si512(word), b = _mm512_loadu_si512(word + 32);

    *low = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)),
                              _mm512_cvtepi16_epi8(b), 1);
    *high = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srli_epi16(a, 8))),
        _mm512_cvtepi16_epi8(_mm512_srli_epi16(b, 8)), 1);
}

P_INLINE pair_tables pair_tables_load(const int bits, const lqi_words *w)
{
    pair_tables t;

    memset(&t, 0, sizeof t);
    if (bits == 4) {
        t.word = _mm512_loadu_si512(w->word);
        return t;
    }
    EACH(i, 2)
        split_words(w->word + 64 * i, &t.low[i], &t.high[i]);
    if (bits < 8)
        t.unit = unit_tables_load(&w->panel);
    return t;
}

/* A line of nibbles: eight columns. */
P_INLINE void pairs_of_nibbles(const pair_tables *t, const uint8_t *line, v_bytes w[4])
{
    const v_bytes q = v_bytes_load(line);

    w[0] = _mm512_permutexvar_epi16(q, t->word);
    w[1] = _mm512_permutexvar_epi16(v_bytes_shr(q, 8), t->word);
    w[2] = _mm512_permutexvar_epi16(v_bytes_shr(q, 4), t->word);
    w[3] = _mm512_permutexvar_epi16(v_bytes_shr(q, 12), t->word);
}

/* Bytes of floats: four columns.  The index of a look-up ends below the sign. */
P_INLINE void pairs_of_floats(const pair_tables *t, v_bytes q, v_bytes w[2])
{
    const v_bytes lower = _mm512_set1_epi16(0x00ff), sign = v_bytes_set(0x80);
    const v_bytes low = _mm512_permutex2var_epi8(t->low[0], q, t->low[1]);
    v_bytes high = _mm512_permutex2var_epi8(t->high[0], q, t->high[1]);

    high = _mm512_ternarylogic_epi64(high, q, sign, 0xf8);   /* high | (q & sign) */
    w[0] = v_bytes_mix(lower, low, _mm512_slli_epi16(high, 8));
    w[1] = v_bytes_mix(lower, v_bytes_shr(low, 8), high);
}

/* Eight columns, number 'eight' of a unit of which 'v' are the bytes if its codes are those
 * of floats below eight bits. */
P_INLINE void pairs_decode(const int bits, const pair_tables *t, const uint8_t *unit,
                           const v_bytes v[8], const int eight, v_bytes w[4])
{
    if (bits == 4) {
        pairs_of_nibbles(t, unit + 64 * eight, w);
        return;
    }
    EACH(i, 2)
        pairs_of_floats(t, bits == 8 ? v_bytes_load(unit + 128 * eight + 64 * i)
                                     : v[2 * eight + i], w + 2 * i);
}

P_INLINE void pairs_unit(const int bits, const pair_tables *t, const uint8_t *unit,
                         v_bytes v[8])
{
    if (bits != 4 && bits != 8)
        unit_decode(bits, &t->unit, unit, v);
}

/* The minimum of a unit, or what is left of its zero point. */
P_INLINE v_f32 pairs_min(const int shape, const chunk_view *c, int pair, int u)
{
    if (lqi_panel_shapes[shape].min == LQI_MIN_FLOAT)
        return chunk_min(shape, c, u, 0);
    return v_int_to_f32(v_set1u(LQI_WORDS_ZERO) - chunk_zero(shape, c, pair, u, 0));
}

/* --------------------------------------------------------------- few columns */

/* Positions in the activations' arrays. */
typedef struct pairs_acts {
    const int32_t *x;
    const float   *sum;
} pairs_acts;

typedef struct pairs_state {
    v_f32 y[PAIRS_MAX], part[PAIRS_MAX][2];
} pairs_state;

/* A step is complete. */
P_INLINE void pairs_step(const int shape, const int T, const lqi_panel *p, const chunk_view *c,
                         int pair, int u, int half, pairs_acts *a, pairs_state *s)
{
    const int min = lqi_panel_shapes[shape].min;
    const v_f32 scale = chunk_scale(shape, p, c, pair, u, half, 0);
    const v_f32 m = min == LQI_MIN_NONE ? v_set1(0) : pairs_min(shape, c, pair, u);

    EACH(t, T) {
        v_f32 dot = v_add(s->part[t][0], s->part[t][1]);
        if (min == LQI_MIN_ZERO)
            dot = v_fma(m, v_set1(a->sum[t]), dot);
        s->y[t] = v_fma(dot, scale, s->y[t]);
        if (min == LQI_MIN_FLOAT)
            s->y[t] = v_fma(m, v_set1(a->sum[t]), s->y[t]);
        s->part[t][0] = s->part[t][1] = v_set1(0);
    }
    if (min != LQI_MIN_NONE)
        a->sum += T;
}

P_INLINE void pairs_rows(const int bits, const int shape, const int T, const lqi_words *words,
                         const uint8_t *panel, size_t chunks, const lqi_acts_tile *acts,
                         float *y)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[shape];
    const int eights = g->step / 8;
    const pair_tables tables = pair_tables_load(bits, words);
    pairs_acts a = { acts->x, acts->fsum };
    pairs_state s;

    EACH(t, T)
        s.y[t] = s.part[t][0] = s.part[t][1] = v_set1(0);
    for (; chunks; chunks--) {
        chunk_view c = { panel, panel + g->front, NULL };
        chunk_prefetch(bits, shape, panel);
        for (int pair = 0; pair < 4; pair++) {
            const uint8_t *codes = c.head + g->head;
            EACH(u, 2) {
                v_bytes v[8], w[4];
                pairs_unit(bits, &tables, codes + 64 * bits * u, v);
                EACH(i, 4) {
                    pairs_decode(bits, &tables, codes + 64 * bits * u, v, i, w);
                    EACH(k, 4)
                        EACH(t, T)
                            s.part[t][k % 2] = dot_pair(s.part[t][k % 2], w[k],
                                                        pair_at(a.x + k * T + t));
                    a.x += 4 * T;
                    if ((4 * u + i + 1) % eights == 0)
                        pairs_step(shape, T, &words->panel, &c, pair, u, i / 2, &a, &s);
                }
            }
            c.head = codes + 128 * bits;
        }
        panel = c.head;
    }
    EACH(t, T)
        v_store(y + LQI_PANEL_ROWS * t, s.y[t]);
}

#define PAIRS_HEAD(name) \
    static void name(const lqi_words *w, const uint8_t *panel, size_t chunks, \
                     const lqi_acts_tile *a, float *y)

#if defined(V_GENERIC)
#define PAIRS_T(T) \
    PAIRS_HEAD(pairs_##T) \
    { \
        pairs_rows(w->panel.bits, w->panel.shape, T, w, panel, chunks, a, y); \
    }
PAIRS_T(1) PAIRS_T(4) PAIRS_T(8)
#else
#define PAIRS_ONE(bits, shape, T) \
    PAIRS_HEAD(pairs_##bits##_##shape##_##T) \
    { \
        pairs_rows(bits, LQI_##shape, T, w, panel, chunks, a, y); \
    }
#define PAIRS(bits, shape) \
    PAIRS_ONE(bits, shape, 1) PAIRS_ONE(bits, shape, 4) PAIRS_ONE(bits, shape, 8)
#include "kernels/tmpl/panels_bf16.def"
#undef PAIRS
#endif

/* -------------------------------------------------------------- many columns */

/* Scales and minimums of one pair of units, of whatever shape. */
static void strip_scales(const lqi_words *w, const chunk_view *c, size_t chunk, int pair,
                         unsigned half, lqi_pairs_strip *s)
{
    const lqi_panel *p = &w->panel;
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];
    const size_t steps = 64 / g->step, first = (4 * chunk + (size_t)pair) * steps;

    for (size_t i = 0; i < steps; i++) {
        int u = (int)(i * g->step / 32), of_unit = (int)(i * g->step % 32 / 16);
        v_store(s->scale[first + i][half],
                chunk_scale(p->shape, p, c, pair, u, of_unit, 0));
        if (g->min != LQI_MIN_NONE)
            v_store(s->min[first + i][half], pairs_min(p->shape, c, pair, u));
    }
}

/* To the second cache: the chunk that takes this one's place in the next strip.  May lie
 * outside of everything. */
static void strip_prefetch(const uint8_t *panel, size_t ahead, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)((uintptr_t)panel + ahead + i), _MM_HINT_T1);
}

P_INLINE void pairs_strip(const int bits, const lqi_words *w, const uint8_t *panel,
                          size_t chunks, unsigned half, lqi_pairs_strip *s)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[w->panel.shape];
    const pair_tables tables = pair_tables_load(bits, w);
    uint32_t (*to)[16] = s->pair[half];

    for (size_t chunk = 0; chunk < chunks; chunk++) {
        chunk_view c = { panel, panel + g->front, NULL };
        strip_prefetch(panel, LQI_STRIP_CHUNKS * (size_t)w->panel.chunk_bytes,
                       w->panel.chunk_bytes);
        for (int pair = 0; pair < 4; pair++) {
            const uint8_t *codes = c.head + g->head;
            strip_scales(w, &c, chunk, pair, half, s);
            for (int u = 0; u < 2; u++) {
                v_bytes v[8], pairs[4];
                pairs_unit(bits, &tables, codes + 64 * bits * u, v);
                EACH(i, 4) {
                    pairs_decode(bits, &tables, codes + 64 * bits * u, v, i, pairs);
                    EACH(k, 4)
                        v_bytes_store(to[k], pairs[k]);
                    to += 4;
                }
            }
            c.head = codes + 128 * bits;
        }
        panel = c.head;
    }
}

#define STRIP(bits) \
    static void strip_##bits(const lqi_words *w, const uint8_t *panel, size_t chunks, \
                             unsigned half, lqi_pairs_strip *s) \
    { \
        pairs_strip(bits, w, panel, chunks, half, s); \
    }
STRIP(4) STRIP(6) STRIP(8)
#undef STRIP

/* 32 rows in two registers. */
P_INLINE void pairs_tile(const int step, const int min, const int T,
                         const lqi_pairs_strip *strip, size_t chunks, const lqi_acts_tile *a,
                         float *y)
{
    const size_t steps = chunks * (size_t)(LQI_PANEL_CHUNK / step);
    const int32_t *x = a->x;
    size_t k = 0;

    for (size_t g = 0; g < steps; g++) {
        v_f32 part[LQI_PAIRS_TILE][2][2];
        EACH(t, T)
            EACH(h, 2)
                part[t][h][0] = part[t][h][1] = v_set1(0);
        for (const size_t end = k + (size_t)step / 2; k < end; k += 2)
            EACH(odd, 2) {
                const v_bytes w[2] = { v_bytes_load(strip->pair[0][k + (size_t)odd]),
                                       v_bytes_load(strip->pair[1][k + (size_t)odd]) };
                EACH(t, T) {
                    const v_bytes xt = pair_at(x + t);
                    EACH(h, 2)
                        part[t][h][odd] = dot_pair(part[t][h][odd], w[h], xt);
                }
                x += T;
            }
        EACH(t, T)
            EACH(h, 2) {
                float *to = y + LQI_STRIP_ROWS * t + 16 * h;
                v_f32 dot = v_add(part[t][h][0], part[t][h][1]), sum = v_load(to);
                const v_f32 m = min == LQI_MIN_NONE ? v_set1(0) : v_load(strip->min[g][h]);
                if (min == LQI_MIN_ZERO)
                    dot = v_fma(m, v_set1(a->fsum[g * (size_t)T + (size_t)t]), dot);
                sum = v_fma(dot, v_load(strip->scale[g][h]), sum);
                if (min == LQI_MIN_FLOAT)
                    sum = v_fma(m, v_set1(a->fsum[g * (size_t)T + (size_t)t]), sum);
                v_store(to, sum);
            }
    }
}

#define TILE(name, T, step, min) \
    static void name##_##T(const lqi_pairs_strip *strip, size_t chunks, \
                           const lqi_acts_tile *a, float *y) \
    { \
        pairs_tile(step, min, T, strip, chunks, a, y); \
    }
#define TILES(name, step, min) \
    TILE(name, 6, step, min) TILE(name, 5, step, min) TILE(name, 4, step, min)
TILES(tile16, 16, LQI_MIN_NONE)
TILES(tile32, 32, LQI_MIN_NONE)
TILES(tile32_zero, 32, LQI_MIN_ZERO)
TILES(tile32_min, 32, LQI_MIN_FLOAT)
TILES(tile64, 64, LQI_MIN_NONE)
TILES(tile64_zero, 64, LQI_MIN_ZERO)

/* -------------------------------------------------------------------- table */

#if defined(V_GENERIC)
#define PAIRS(bits, shape) \
    .fused[LQI_PANEL_##bits][LQI_##shape] = { pairs_1, pairs_4, pairs_8 },
#else
#define PAIRS(bits, shape) \
    .fused[LQI_PANEL_##bits][LQI_##shape] = { \
        pairs_##bits##_##shape##_1, pairs_##bits##_##shape##_4, pairs_##bits##_##shape##_8 },
#endif
#define TILE_SLOT(name) { name##_6, name##_5, name##_4 }

const lqi_panel_pairs lqi_panel_pairs_avx512 = {
#include "kernels/tmpl/panels_bf16.def"
    .strip = { [LQI_PANEL_4] = strip_4, [LQI_PANEL_6] = strip_6, [LQI_PANEL_8] = strip_8 },
    .tile = {
        [LQI_PAIRS_16]      = TILE_SLOT(tile16),
        [LQI_PAIRS_32]      = TILE_SLOT(tile32),
        [LQI_PAIRS_32_ZERO] = TILE_SLOT(tile32_zero),
        [LQI_PAIRS_32_MIN]  = TILE_SLOT(tile32_min),
        [LQI_PAIRS_64]      = TILE_SLOT(tile64),
        [LQI_PAIRS_64_ZERO] = TILE_SLOT(tile64_zero),
    },
};
