/* SPDX-License-Identifier: MIT */
/*
 * kernels/arm/v_neon_search.h - words of searches and packing in NEON: one register
 */
#if !defined(V_REGS) || V_REGS != 1
#error "include v_neon.h with V_REGS 1 first"
#endif

/* y[i][lane] = rows[lane][i] for i in [0, V_LANES) */
V_INLINE void v_transpose(const float *const *rows, size_t first, float *y)
{
    float32x4_t a = vld1q_f32(rows[0] + first), b = vld1q_f32(rows[1] + first);
    float32x4_t c = vld1q_f32(rows[2] + first), d = vld1q_f32(rows[3] + first);
    float32x4x4_t columns = { { a, b, c, d } };

    vst4q_f32(y, columns);
}

/* 8 values, chosen by a lane below 8. */
typedef struct v_table3 { v_f32 low, high; } v_table3;

V_INLINE v_table3 v_table3_load(const float *table)
{
    return (v_table3){ v_load(table), v_load(table + 4) };
}
V_INLINE v_f32 v_table3_at(v_table3 t, v_u32 i) { return v_of_two(t.low, t.high, i); }

/* 32 values in v_f32 t[], as rows of 8 or of 4.  Number i of the k-th row of 8, for lanes
 * whose low three bits are i. */
V_INLINE v_f32 v_of_8(const v_f32 *t, int k, v_u32 i)
{
    return v_of_two(t[2 * k], t[2 * k + 1], i);
}

/* The k-th row of 4, everywhere; and its number i, for lanes whose low two bits are i. */
V_INLINE v_f32 v_spread_4(const v_f32 *t, int k) { return t[k]; }
V_INLINE v_f32 v_of_4(v_f32 four, v_u32 i) { return v_table2_at(four, i); }

/* lqi_levels in registers: midpoints as the four steps of a bisection see them. */
typedef struct v_levels {
    v_table4 level;
    v_f32    half, quarter[2], eighths;
    v_table3 sixteenths;
} v_levels;

V_INLINE v_levels v_levels_load(const lqi_levels *t)
{
    const float *m = t->middle;
    const float even[8] = { m[0], m[2], m[4], m[6], m[8], m[10], m[12], m[14] };

    return (v_levels){ v_table4_load(t->level), v_set1(m[7]), { v_set1(m[3]), v_set1(m[11]) },
                       (v_f32){ m[1], m[5], m[9], m[13] }, v_table3_load(even) };
}

/* t <= v */
V_INLINE v_mask v_reached(v_f32 t, v_f32 v) { return vcleq_f32(t, v); }

/* Code of the nearest level. */
V_INLINE v_u32 v_levels_code(const v_levels *t, v_f32 v)
{
    v_mask upper = v_reached(t->half, v);
    v_u32 i = v_bisect(v_bisect(v_set1u(0), upper),
                       v_reached(v_select(upper, t->quarter[1], t->quarter[0]), v));

    i = v_bisect(i, v_reached(v_table2_at(t->eighths, i), v));
    return v_bisect(i, v_reached(v_table3_at(t->sixteenths, i), v));
}
