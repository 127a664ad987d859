/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/panel_float.h - products of panels of small floats with 1, 4 or 8 columns
 *
 * Bytes are E4M3 or E5M2: sign, then seven bits that are the upper bits of an f32's magnitude
 * when they stand right of four (three) zeros.  What such an f32 stands for is 2^-120 (2^-112)
 * of the number, and denormal where the byte is, which f32 arithmetic takes as it comes.  The
 * power is given back in halves, by the activations and by the scale, so that no product
 * leaves the range.
 *
 * Even and odd columns have sums of their own, else each product would wait for the last one.
 */

/* Byte i of each lane. */
P_INLINE v_f32 float_byte(v_u32 lanes, const int i, int shift, v_u32 mask)
{
    return v_as_f32(v_sra(lanes << (24 - 8 * i), shift) & mask);
}

P_INLINE void float_dots(const int T, const v_bytes v[8], int shift, v_u32 mask, const float *x,
                         v_f32 (*part)[2])
{
    EACH(j, 8) {
        const v_u32 lanes = v_bytes_lanes(v[j]);
        EACH(i, 4) {
            const v_f32 w = float_byte(lanes, i, shift, mask);
            EACH(t, T)
                part[t][i % 2] = v_fma(w, v_set1(x[(4 * j + i) * T + t]), part[t][i % 2]);
        }
    }
}

/* Rows [row, row + V_LANES) of the panel. */
P_INLINE void float_rows(const int bits, const int shape, const int T, const lqi_panel *p,
                         const uint8_t *panel, size_t chunks, const lqi_acts_tile *tile,
                         unsigned row, float *to)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[shape];
    const int units = g->step / 32;   /* of a step */
    const unit_tables tables = unit_tables_load(p);
    const v_u32 mask = v_set1u(0x80000000u | 0x7f000000u >> p->shift);
    const float *x = tile->f;
    v_f32 y[FUSED_MAX];

    EACH(t, T)
        y[t] = v_set1(0);
    for (; chunks; chunks--) {
        chunk_view c = { panel, panel + g->front, NULL };
        chunk_prefetch(bits, shape, panel);
        for (int step = 0; step < 8 / units; step++) {
            const int pair = step * units / 2, u = step * units % 2;
            const uint8_t *codes = c.front + g->front + pair * (g->head + 128 * bits) + g->head;
            v_f32 part[FUSED_MAX][2];
            c.head = codes - g->head;
            EACH(t, T)
                part[t][0] = part[t][1] = v_set1(0);
            for (int unit = u; unit < u + units; unit++, x += 32 * T) {
                v_bytes v[8];
                unit_decode(bits, &tables, codes + 64 * bits * unit + 4 * row, v);
                float_dots(T, v, p->shift, mask, x, part);
            }
            const v_f32 scale = chunk_scale(shape, p, &c, pair, u, 0, row);
            EACH(t, T)
                y[t] = v_fma(v_add(part[t][0], part[t][1]), scale, y[t]);
        }
        panel += g->front + 4 * (g->head + 128 * bits) + g->tail;
    }
    EACH(t, T)
        v_store(to + LQI_PANEL_ROWS * t + row, y[t]);
}

#if defined(V_GENERIC)
#define FLOATS_T(T) \
    FUSED_HEAD(floats_##T) \
    { \
        FUSED_BODY(1, float_rows(p->bits, p->shape, T, p, panel, chunks, a, row, y)) \
    }
FLOATS_T(1) FLOATS_T(4) FLOATS_T(8)
#else
#define FLOATS_ONE(bits, shape, T) \
    FUSED_HEAD(floats_##bits##_##shape##_##T) \
    { \
        FUSED_BODY(1, float_rows(bits, LQI_##shape, T, p, panel, chunks, a, row, y)) \
    }
#define FUSED(bits, shape)
#define FLOATS(bits, shape) \
    FLOATS_ONE(bits, shape, 1) FLOATS_ONE(bits, shape, 4) FLOATS_ONE(bits, shape, 8)
#include "kernels/tmpl/panels.def"
#undef FUSED
#undef FLOATS
#endif
