/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/panel_fused.h - products of one panel with 1, 4 or 8 columns
 *
 * Codes become bytes in registers and meet every column at once; the order of additions is
 * that of lqi_panel_fused_fn.  Written once, inlined with constants for each width of codes,
 * shape and number of columns.
 *
 * Parameter: FUSED_VECTORS(T), vectors of rows that go along the panel together for T columns;
 * 1 if nothing is said.
 */
#define FUSED_MAX 8

#ifndef FUSED_VECTORS
#define FUSED_VECTORS(T) 1
#endif

/* What a kernel carries along a panel for V_LANES rows. */
typedef struct fused_state {
    v_f32 y[FUSED_MAX], part[FUSED_MAX];
    v_u32 dot[FUSED_MAX], low[FUSED_MAX];   /* low: products of integer minimums */
} fused_state;

/* Index of an array of sums by step. */
P_INLINE int sums_of(const int step) { return step == 16 ? 0 : step == 32 ? 1 : 2; }

P_INLINE v_u32 fused_start(const int shape, const lqi_panel *p, const chunk_view *c, int pair,
                           int u, unsigned row, int32_t minus_sum)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[shape];

    if (g->min == LQI_MIN_ZERO)
        return chunk_zero(shape, c, pair, u, row) * v_set1u((uint32_t)minus_sum);
    if (g->offset && !V_SIGNED)
        return v_set1u((uint32_t)minus_sum) << p->shift;
    return v_set1u(0);
}

/* A step is complete: its integers meet their scale. */
P_INLINE void fused_step(const int shape, const int acts, const int min, const int T,
                         const lqi_panel *p, const chunk_view *c, int pair, int u, int half,
                         unsigned row, const float *scale, const float *fsum, fused_state *s)
{
    v_f32 w = chunk_scale(shape, p, c, pair, u, half, row), m = v_set1(0);

    if (min == LQI_MIN_FLOAT)
        m = chunk_min(shape, c, u, row);
    EACH(t, T) {
        v_f32 dot = v_int_to_f32(s->dot[t]);
        if (acts == LQI_ACTS_32)
            s->y[t] = v_fma(dot, v_mul(w, v_set1(scale[t])), s->y[t]);
        else
            s->part[t] = v_fma(dot, w, s->part[t]);
        if (min == LQI_MIN_FLOAT)
            s->y[t] = v_fma(m, v_set1(fsum[t]), s->y[t]);
    }
}

P_INLINE void fused_mins(const int shape, const int T, const chunk_view *c, int half,
                         unsigned row, const int32_t *pair, fused_state *s)
{
    v_u32 four = chunk_int_mins(shape, c, half, row);
    v_u32 even = mins_even(four), odd = mins_odd(four);

    EACH(t, T) {
        s->low[t] = v_dot2(s->low[t], even, v_set1u((uint32_t)pair[t]));
        s->low[t] = v_dot2(s->low[t], odd, v_set1u((uint32_t)pair[T + t]));
    }
}

/* The 256 columns are complete (ACTS_256). */
P_INLINE void fused_chunk(const int shape, const int T, const lqi_panel *p, const chunk_view *c,
                          unsigned row, const float *scale, fused_state *s)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[shape];
    const int two = g->two, min = g->min;
    v_f32 d = two ? chunk_d(shape, p, c, row) : v_set1(1), dmin = v_set1(0);

    if (min == LQI_MIN_INT)
        dmin = v_neg(chunk_dmin(shape, c, row));
    EACH(t, T) {
        v_f32 part = two ? v_mul(s->part[t], d) : s->part[t];
        if (min == LQI_MIN_INT)
            part = v_fma(v_int_to_f32(s->low[t]), dmin, part);
        s->y[t] = v_fma(part, v_set1(scale[t]), s->y[t]);
    }
}

/* Positions in the activations' arrays: of a column tile of T. */
typedef struct fused_acts {
    const int32_t *x, *sum, *pair;
    const float   *scale, *fsum;
} fused_acts;

/* Dots of v[first .. first + n) with their activations. */
P_INLINE void fused_dots(const int T, const v_bytes *v, int first, const int n,
                         const int32_t *x, fused_state *s)
{
    EACH(j, n)
        EACH(t, T) {
            const int at = (first + j) * T + t;
            s->dot[t] = v_dot4_of(s->dot[t], v[first + j], x + at / 4 * 4, at % 4);
        }
}

/* Dots of one step, or of what a unit has of it; first .. first + n are its bytes. */
P_INLINE void fused_part(const int shape, const int T, const lqi_panel *p, const chunk_view *c,
                         int pair, const int u, const int half, const v_bytes *v, const int n,
                         unsigned row, fused_acts *a, fused_state *s)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[shape];
    const int wide = g->step == 64;   /* a step of two units */

    if (!wide || u == 0)
        EACH(t, T)
            s->dot[t] = fused_start(shape, p, c, pair, u, row, a->sum[t]);
    fused_dots(T, v, n * half, n, a->x, s);
    if (wide && u == 0)
        return;
    fused_step(shape, g->acts, g->min, T, p, c, pair, u, half, row, a->scale, a->fsum, s);
    a->sum += T;
    if (g->acts == LQI_ACTS_32) {
        a->scale += T;
        a->fsum += T;
    }
}

/* One unit of V_LANES rows, at 'codes'. */
P_INLINE void fused_unit(const int bits, const int shape, const int T, const lqi_panel *p,
                         const unit_tables *tables, const chunk_view *c, int pair, const int u,
                         const uint8_t *codes, unsigned row, fused_acts *a, fused_state *s)
{
    v_bytes v[8];

    unit_decode(bits, tables, codes + 4 * row, v);
    if (lqi_panel_shapes[shape].step == 16) {
        fused_part(shape, T, p, c, pair, u, 0, v, 4, row, a, s);
        fused_part(shape, T, p, c, pair, u, 1, v, 4, row, a, s);
    } else {
        fused_part(shape, T, p, c, pair, u, 0, v, 8, row, a, s);
    }
    a->x += 8 * T;
}

/* The same of all rows, which meet the same activations. */
P_INLINE void fused_units(const int bits, const int shape, const int T, const lqi_panel *p,
                          const unit_tables *tables, const chunk_view *c, int pair, const int u,
                          const uint8_t *codes, unsigned row, fused_acts *a, fused_state *s)
{
    const int vectors = FUSED_VECTORS(T);
    const fused_acts start = *a;

    EACH(r, vectors) {
        *a = start;
        fused_unit(bits, shape, T, p, tables, c, pair, u, codes, row + V_LANES * r, a, &s[r]);
    }
}

/* The 256 columns begin. */
P_INLINE void fused_open(const int T, fused_state *s)
{
    EACH(t, T) {
        s->part[t] = v_set1(0);
        s->low[t] = v_set1u(0);
    }
}

/* Rows [row, row + FUSED_VECTORS(T) * V_LANES) of the panel. */
P_INLINE void fused_rows(const int bits, const int shape, const int T, const lqi_panel *p,
                         const uint8_t *panel, size_t chunks, const lqi_acts_tile *tile,
                         unsigned row, float *y)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[shape];
    const int step = g->step, acts = g->acts, min = g->min, vectors = FUSED_VECTORS(T);
    const unit_tables tables = unit_tables_load(p);
    fused_acts a = { tile->x, tile->sum[sums_of(step)],
                     min == LQI_MIN_INT ? tile->pair[sums_of(step)] : NULL,
                     tile->scale, tile->fsum };
    fused_state s[LQI_PANEL_ROWS / V_LANES];

    EACH(r, vectors)
        EACH(t, T)
            s[r].y[t] = v_set1(0);
    for (; chunks; chunks--) {
        chunk_view c = { panel, panel + g->front, NULL };
        chunk_prefetch(bits, shape, panel);
        EACH(r, vectors)
            fused_open(T, &s[r]);
        for (int pair = 0; pair < 4; pair++) {
            const uint8_t *codes = c.head + g->head;
            if (shape == LQI_K16_MIN) {
                EACH(r, vectors)
                    fused_mins(shape, T, &c, 0, row + V_LANES * r, a.pair, &s[r]);
                a.pair += 2 * T;
            }
            fused_units(bits, shape, T, p, &tables, &c, pair, 0, codes, row, &a, s);
            fused_units(bits, shape, T, p, &tables, &c, pair, 1, codes + 64 * bits, row, &a, s);
            c.head = codes + 128 * bits;
        }
        c.tail = c.head;
        if (shape == LQI_K32_MIN) {
            EACH(r, vectors) {
                fused_mins(shape, T, &c, 0, row + V_LANES * r, a.pair, &s[r]);
                fused_mins(shape, T, &c, 1, row + V_LANES * r, a.pair + 2 * T, &s[r]);
            }
            a.pair += 4 * T;
        }
        if (acts == LQI_ACTS_256) {
            EACH(r, vectors)
                fused_chunk(shape, T, p, &c, row + V_LANES * r, a.scale, &s[r]);
            a.scale += T;
        }
        panel = c.tail + g->tail;
    }
    EACH(r, vectors)
        EACH(t, T)
            v_store(y + LQI_PANEL_ROWS * t + row + V_LANES * r, s[r].y[t]);
}

/* All rows, so many at a time. */
#define FUSED_HEAD(name) \
    static void name(const lqi_panel *p, const uint8_t *panel, size_t chunks, \
                     const lqi_acts_tile *a, float *y)
#define FUSED_BODY(vectors, rows) \
    for (unsigned row = 0; row < LQI_PANEL_ROWS; row += V_LANES * (vectors)) \
        rows;

#if defined(V_GENERIC)
#define FUSED_T(T) \
    FUSED_HEAD(fused_##T) \
    { \
        FUSED_BODY(FUSED_VECTORS(T), \
                   fused_rows(p->bits, p->shape, T, p, panel, chunks, a, row, y)) \
    }
FUSED_T(1) FUSED_T(4) FUSED_T(8)
#else
/* Rows in a function of their own: inlined twice, they would be twice the code. */
#define FUSED_ONE(bits, shape, T) \
    static V_NOINLINE void rows_##bits##_##shape##_##T(const lqi_panel *p, \
        const uint8_t *panel, size_t chunks, const lqi_acts_tile *a, unsigned row, float *y) \
    { \
        fused_rows(bits, LQI_##shape, T, p, panel, chunks, a, row, y); \
    } \
    FUSED_HEAD(fused_##bits##_##shape##_##T) \
    { \
        FUSED_BODY(FUSED_VECTORS(T), rows_##bits##_##shape##_##T(p, panel, chunks, a, row, y)) \
    }
#define FUSED(bits, shape) \
    FUSED_ONE(bits, shape, 1) FUSED_ONE(bits, shape, 4) FUSED_ONE(bits, shape, 8)
#define FLOATS(bits, shape)
#include "kernels/tmpl/panels.def"
#undef FUSED
#undef FLOATS
#endif
