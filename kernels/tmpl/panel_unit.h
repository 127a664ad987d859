/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/panel_unit.h - panels in the vector vocabulary: codes, scales, activations
 *
 * Shared by the fused kernels and the strips.  A level with fewer lanes than a panel has
 * rows takes V_LANES rows at a time: 'row' is the first of them.
 *
 * 'bits', 'shape', 'step' are constants wherever these functions are inlined.
 */
#include "kernels/panel.h"

#if !defined(V_LANES) || !defined(V_SIGNED)
#error "panel_unit.h needs a vocabulary"
#endif

/* Sanitizers multiply the code of every instance, and the time to compile it: there one kernel
 * for all panels stands for them. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define V_GENERIC 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define V_GENERIC 1
#endif

#if defined(V_GENERIC)
#define P_INLINE static inline
#else
#define P_INLINE V_INLINE
#endif

#if defined(V_GENERIC)
#define EACH(i, count) for (int i = 0; i < (count); i++)
#elif defined(__clang__)
#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)
#else
#define EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < (count); i++)
#endif

/* ------------------------------------------------------------------- codes */

/* How codes become bytes, in registers. */
typedef struct unit_tables {
    v_table6 low, high;   /* by bits 5..0 of the index; 3 bits: by bits 2..0 and by bits 5..3 */
    v_bytes  offset;
} unit_tables;

static inline unit_tables unit_tables_load(const lqi_panel *p)
{
    uint8_t low[64], high[64], mask = (uint8_t)((1 << p->bits) - 1);
    uint8_t offset = V_SIGNED && lqi_panel_shapes[p->shape].offset ? (uint8_t)(1 << p->shift)
                                                                   : 0;

    for (int i = 0; i < 64; i++) {
        low[i] = (uint8_t)(p->table[i & mask] - offset);
        high[i] = (uint8_t)(p->table[i >> 3] - offset);
    }
    return (unit_tables){ v_table6_load(low), v_table6_load(high), v_bytes_set(offset) };
}

P_INLINE v_bytes unit_byte(const unit_tables *t, v_bytes code)
{
    return V_SIGNED ? v_bytes_sub(code, t->offset) : code;
}

#define LINE(i) v_bytes_load(p + 64 * (i))
#define SHR(v, n) v_bytes_shr(v, n)
#define AT(v) v_table6_at(t->low, v, bits)

P_INLINE void unit_2(const unit_tables *t, const uint8_t *p, v_bytes v[8])
{
    const v_bytes mask = v_bytes_set(3);

    EACH(i, 2) {
        v_bytes q = LINE(i);
        v[4 * i] = unit_byte(t, v_bytes_and(q, mask));
        v[4 * i + 1] = unit_byte(t, v_bytes_and(SHR(q, 2), mask));
        v[4 * i + 2] = unit_byte(t, v_bytes_and(SHR(q, 4), mask));
        v[4 * i + 3] = unit_byte(t, v_bytes_and(SHR(q, 6), mask));
    }
}

P_INLINE void unit_3(const unit_tables *t, const uint8_t *p, v_bytes v[8])
{
    enum { bits = 3 };
    const v_bytes two = v_bytes_set(3);
    v_bytes a = LINE(0), b = LINE(1), c = LINE(2);

    v[0] = AT(a);
    v[1] = AT(b);
    v[2] = AT(c);
    v[3] = v_table6_high(t->high, a);
    v[4] = v_table6_high(t->high, b);
    v[5] = v_table6_high(t->high, c);
    v[6] = AT(v_bytes_mix(two, SHR(a, 6), SHR(c, 4)));
    v[7] = AT(v_bytes_mix(two, SHR(b, 6), SHR(c, 5)));
}

P_INLINE void unit_4(const unit_tables *t, const uint8_t *p, v_bytes v[8])
{
    enum { bits = 4 };

    EACH(i, 4) {
        v_bytes q = LINE(i);
        v[2 * i] = AT(q);
        v[2 * i + 1] = v_table6_top(t->low, q);
    }
}

P_INLINE void unit_5(const unit_tables *t, const uint8_t *p, v_bytes v[8])
{
    const v_bytes mask = v_bytes_set(31), three = v_bytes_set(7);
    v_bytes a = LINE(0), b = LINE(1), c = LINE(2), d = LINE(3), e = LINE(4);
    v_bytes top = v_bytes_mix(v_bytes_set(8), SHR(d, 4), SHR(e, 3));   /* c7: bits 3 and 4 */

    v[0] = unit_byte(t, v_bytes_and(a, mask));
    v[1] = unit_byte(t, v_bytes_and(b, mask));
    v[2] = unit_byte(t, v_bytes_and(c, mask));
    v[3] = unit_byte(t, v_bytes_and(d, mask));
    v[4] = unit_byte(t, v_bytes_and(e, mask));
    v[5] = unit_byte(t, v_bytes_and(v_bytes_mix(three, SHR(a, 5), SHR(d, 2)), mask));
    v[6] = unit_byte(t, v_bytes_and(v_bytes_mix(three, SHR(b, 5), SHR(e, 2)), mask));
    v[7] = unit_byte(t, v_bytes_and(v_bytes_mix(three, SHR(c, 5), top), mask));
}

P_INLINE void unit_6(const unit_tables *t, const uint8_t *p, v_bytes v[8])
{
    enum { bits = 6 };
    const v_bytes two = v_bytes_set(3), four = v_bytes_set(15);

    EACH(i, 2) {
        v_bytes a = LINE(3 * i), b = LINE(3 * i + 1), c = LINE(3 * i + 2);
        v[4 * i] = AT(a);
        v[4 * i + 1] = AT(b);
        v[4 * i + 2] = AT(c);
        v[4 * i + 3] = AT(v_bytes_mix(two, SHR(a, 6),
                                      v_bytes_mix(four, SHR(b, 4), SHR(c, 2))));
    }
}

P_INLINE void unit_8(const unit_tables *t, const uint8_t *p, v_bytes v[8])
{
    EACH(i, 8)
        v[i] = unit_byte(t, LINE(i));
}

P_INLINE void unit_decode(const int bits, const unit_tables *t, const uint8_t *p, v_bytes v[8])
{
    switch (bits) {
    case 2: unit_2(t, p, v); break;
    case 3: unit_3(t, p, v); break;
    case 4: unit_4(t, p, v); break;
    case 5: unit_5(t, p, v); break;
    case 6: unit_6(t, p, v); break;
    default: unit_8(t, p, v); break;
    }
}

#undef LINE
#undef SHR
#undef AT

/* ------------------------------------------------------------------ scales */

/* Where the parts of a chunk lie. */
typedef struct chunk_view {
    const uint8_t *front, *head, *tail;   /* head: of the pair of units */
} chunk_view;

/* A byte as the upper bits of a number: E8M0, or E4M3 less 120 in its exponent. */
P_INLINE v_f32 scale_shifted(const uint8_t *p, int shift, float factor)
{
    return v_mul(v_as_f32(v_load_u8(p) << shift), v_set1(factor));
}

P_INLINE v_f32 scale_float(const uint8_t *p, float factor)
{
    return v_mul(v_load_f32(p), v_set1(factor));
}

P_INLINE v_u32 scale_nibbles(const uint8_t *p, unsigned row)
{
    return v_load_u32(p + 4 * row);
}

/* Scale of step 'half' of unit 'u' of pair 'pair': of the level next to the codes. */
P_INLINE v_f32 chunk_scale(const int shape, const lqi_panel *p, const chunk_view *c, int pair,
                           int u, int half, unsigned row)
{
    const uint8_t *h = c->head;

    switch (shape) {
    case LQI_S32_F16:
    case LQI_S32_F16_MIN:
    case LQI_S32_F16_ZP:
        return v_from_f16(h + 32 * u + 2 * row);
    case LQI_S32_E8M0:
    case LQI_F32_E8M0:
        return scale_shifted(h + 16 * u + row, 23, p->factor);
    case LQI_S32_F32_MIN:
        return scale_float(h + 64 * u + 4 * row, p->factor);
    case LQI_S64_F32:
        return scale_float(h + 4 * row, p->factor);
    case LQI_S64_F16_ZP:
        return v_from_f16(h + 2 * row);
    case LQI_S128_F16_ZP:
        return v_from_f16(c->front + 32 * (pair / 2) + 2 * row);
    case LQI_S256_F32:
    case LQI_F256_F32:
        return scale_float(c->front + 4 * row, p->factor);
    case LQI_F128_F32:
        return scale_float(c->front + 64 * (pair / 2) + 4 * row, p->factor);
    case LQI_S16_E4M3:
        return scale_shifted(h + 32 * u + 16 * half + row, 20, p->factor * 0x1p120f);
    case LQI_K32:
    case LQI_K32_MIN:
        return v_from_i8(h + 16 * u + row);
    case LQI_K16:
        return v_from_i8(h + 32 * u + 16 * half + row);
    default:   /* K16_MIN */
        return v_int_to_f32((scale_nibbles(h, row) >> (16 * u + 8 * half)) & v_set1u(15));
    }
}

P_INLINE v_u32 chunk_zero(const int shape, const chunk_view *c, int pair, int u, unsigned row)
{
    switch (shape) {
    case LQI_S32_F16_ZP:
        return v_load_u8(c->head + 64 + 16 * u + row);
    case LQI_S64_F16_ZP:
        return v_load_u8(c->head + 32 + row);
    default:   /* S128_F16_ZP */
        return v_load_u8(c->front + 64 + 16 * (pair / 2) + row);
    }
}

P_INLINE v_f32 chunk_min(const int shape, const chunk_view *c, int u, unsigned row)
{
    return shape == LQI_S32_F16_MIN ? v_from_f16(c->head + 64 + 32 * u + 2 * row)
                                    : v_load_f32(c->head + 128 + 64 * u + 4 * row);
}

/* Four minimums of a row as bytes of its lane: of a pair of units (K16) or of half a chunk. */
P_INLINE v_u32 chunk_int_mins(const int shape, const chunk_view *c, int half, unsigned row)
{
    if (shape == LQI_K16_MIN)
        return (scale_nibbles(c->head, row) >> 4) & v_set1u(0x0f0f0f0f);
    return v_load_u32(c->tail + 64 * half + 4 * row);
}

/* The same as 16-bit halves: minimums 0 and 2, 1 and 3. */
P_INLINE v_u32 mins_even(v_u32 four) { return four & v_set1u(0x00ff00ff); }
P_INLINE v_u32 mins_odd(v_u32 four) { return (four >> 8) & v_set1u(0x00ff00ff); }

P_INLINE v_f32 chunk_d(const int shape, const lqi_panel *p, const chunk_view *c, unsigned row)
{
    const uint8_t *d = c->tail + (shape == LQI_K32_MIN ? 128 : 0);

    return v_mul(v_from_f16(d + 2 * row), v_set1(p->factor));
}

P_INLINE v_f32 chunk_dmin(const int shape, const chunk_view *c, unsigned row)
{
    const uint8_t *d = c->tail + (shape == LQI_K32_MIN ? 128 : 0);

    return v_from_f16(d + 32 + 2 * row);
}

/* ------------------------------------------------------------------ memory */

/*
 * Ask for a chunk some way ahead.  Left to themselves, prefetchers of hardware follow the
 * addresses that each load instruction of a loop steps through, and lose them where heads and
 * ends of chunks come between; lines in their order, all from one place, they follow.
 */
#define CHUNK_AHEAD 2048

P_INLINE void chunk_prefetch(const int bits, const int shape, const uint8_t *panel)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[shape];
    const int bytes = g->front + 4 * (g->head + 128 * bits) + g->tail;

    for (int i = 0; i < bytes; i += 64)
        v_prefetch((uintptr_t)panel + CHUNK_AHEAD + (unsigned)i);
}
