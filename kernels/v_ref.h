/* SPDX-License-Identifier: MIT */
/*
 * kernels/v_ref.h - the vector vocabulary of panels in plain C: one lane
 *
 * What the other vocabularies must equal.  Compiled for every machine.
 */
#include <math.h>

#include "kernels/kernels.h"
#include "lib/base/half.h"

#define V_LANES  1
#define V_SIGNED 1
#define V_INLINE static inline
#define V_GENERIC 1   /* constants would not make it fast */

typedef float    v_f32;
typedef uint32_t v_u32;
typedef uint32_t v_bytes;   /* four of them, the first in bits 7..0 */

/* May lie outside of everything. */
V_INLINE void v_prefetch(uintptr_t address) { (void)address; }

V_INLINE v_f32 v_load(const float *p) { return *p; }
V_INLINE void  v_store(float *p, v_f32 v) { *p = v; }
V_INLINE v_f32 v_load_f32(const void *p) { uint32_t u = lqi_load32(p); v_f32 f; memcpy(&f, &u, 4); return f; }
V_INLINE v_u32 v_load_u32(const void *p) { return lqi_load32(p); }
V_INLINE v_u32 v_load_u8(const uint8_t *p) { return *p; }
V_INLINE void  v_store_u32(uint32_t *p, v_u32 u) { *p = u; }
V_INLINE void  v_store_bytes(uint8_t *p, v_f32 v) { uint32_t u; memcpy(&u, &v, 4); *p = (uint8_t)u; }
V_INLINE v_f32 v_from_f16(const void *p) { return lqi_f16_to_f32(lqi_load16(p)); }
V_INLINE void  v_to_bf16(uint16_t *p, v_f32 v) { *p = lqi_f32_to_bf16(v); }
V_INLINE v_f32 v_from_i8(const uint8_t *p) { return (float)(int8_t)*p; }
V_INLINE v_f32 v_set1(float f) { return f; }
V_INLINE v_u32 v_set1u(uint32_t u) { return u; }
V_INLINE v_f32 v_mul(v_f32 a, v_f32 b) { return a * b; }
V_INLINE v_f32 v_add(v_f32 a, v_f32 b) { return a + b; }
V_INLINE v_f32 v_div(v_f32 a, v_f32 b) { return a / b; }
V_INLINE v_f32 v_sqrt(v_f32 a) { return sqrtf(a); }
V_INLINE v_f32 v_abs(v_f32 a) { return fabsf(a); }
V_INLINE v_f32 v_max(v_f32 a, v_f32 b) { return a > b ? a : b; }
V_INLINE v_f32 v_min(v_f32 a, v_f32 b) { return a < b ? a : b; }
V_INLINE float v_max_all(v_f32 a) { return a; }
V_INLINE v_f32 v_neg(v_f32 a) { return -a; }
V_INLINE v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) { return fmaf(a, b, c); }
V_INLINE v_u32 v_as_u32(v_f32 f) { v_u32 u; memcpy(&u, &f, 4); return u; }
V_INLINE v_u32 v_sra(v_u32 u, int n) { return (v_u32)((int32_t)u >> n); }
V_INLINE v_f32 v_as_f32(v_u32 u) { v_f32 f; memcpy(&f, &u, 4); return f; }
V_INLINE v_f32 v_int_to_f32(v_u32 u) { return (float)(int32_t)u; }
V_INLINE v_u32 v_gather(const int32_t *p, v_u32 i) { return (v_u32)p[i]; }
V_INLINE v_u32 v_where_uless(v_u32 a, v_u32 b, v_u32 x, v_u32 y) { return a < b ? x : y; }
V_INLINE v_u32 v_umax(v_u32 a, v_u32 b) { return a > b ? a : b; }
V_INLINE uint32_t v_umax_all(v_u32 u) { return u; }
V_INLINE uint32_t v_usum_all(v_u32 u) { return u; }

typedef int v_mask;
V_INLINE v_mask v_lt(v_f32 a, v_f32 b) { return a < b; }
V_INLINE v_f32 v_select(v_mask m, v_f32 yes, v_f32 no) { return m ? yes : no; }

/* The low byte of each of four vectors; values of as many codes. */
V_INLINE void v_store_bytes4(uint8_t *p, const v_u32 u[4])
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)u[i];
}

V_INLINE void v_map8_load4(const lqi_map8 *map, const uint8_t *codes, v_f32 y[4])
{
    for (int i = 0; i < 4; i++)
        y[i] = map->value[codes[i]];
}

/* ------------------------------------------------------------------- bytes */

V_INLINE v_bytes v_bytes_load(const void *p) { return lqi_load32(p); }
V_INLINE v_u32 v_bytes_lanes(v_bytes v) { return v; }
V_INLINE void v_bytes_store(void *p, v_bytes v) { lqi_store32(p, v); }
V_INLINE v_bytes v_bytes_set(uint8_t b) { return b * 0x01010101u; }
V_INLINE v_bytes v_bytes_repeat(v_u32 low) { return (low & 255) * 0x01010101u; }
V_INLINE v_bytes v_bytes_and(v_bytes a, v_bytes b) { return a & b; }
V_INLINE v_bytes v_bytes_mix(v_bytes mask, v_bytes a, v_bytes b) { return (mask & a) | (~mask & b); }

/* What crosses a byte is masked by whoever shifts. */
#define v_bytes_shr(v, n) ((v) >> (n))

/* Bytes without carries between them: the top bits are added apart. */
V_INLINE v_bytes v_bytes_add(v_bytes a, v_bytes b)
{
    return ((a & 0x7f7f7f7f) + (b & 0x7f7f7f7f)) ^ ((a ^ b) & 0x80808080);
}

V_INLINE v_bytes v_bytes_sub(v_bytes a, v_bytes b)
{
    return ((a | 0x80808080) - (b & 0x7f7f7f7f)) ^ ((a ^ ~b) & 0x80808080);
}

typedef struct v_table6 { uint8_t byte[64]; } v_table6;

V_INLINE v_table6 v_table6_load(const uint8_t t[64])
{
    v_table6 r;

    memcpy(r.byte, t, sizeof r.byte);
    return r;
}

V_INLINE v_bytes v_table6_high(v_table6 t, v_bytes i)
{
    v_bytes r = 0;

    for (int k = 0; k < 32; k += 8)
        r |= (v_bytes)t.byte[i >> k & 63] << k;
    return r;
}

V_INLINE v_bytes v_table6_at(v_table6 t, v_bytes i, const int bits)
{
    (void)bits;
    return v_table6_high(t, i);
}

V_INLINE v_bytes v_table6_top(v_table6 t, v_bytes i) { return v_table6_at(t, i >> 4, 4); }

V_INLINE v_u32 v_dot4(v_u32 sum, v_bytes w, v_u32 x)
{
    for (int k = 0; k < 32; k += 8)
        sum += (uint32_t)((int32_t)(int8_t)(w >> k) * (int8_t)(x >> k));
    return sum;
}

V_INLINE v_u32 v_dot4_of(v_u32 sum, v_bytes w, const int32_t *x, int i)
{
    return v_dot4(sum, w, (uint32_t)x[i]);
}

/* The low half with its sign.  No (int16_t): of sums of such products for two columns, gcc 12
 * at -O3 for ARM loses half of the terms. */
V_INLINE uint32_t v_low_half(v_u32 u) { return ((u & 0xffff) ^ 0x8000) - 0x8000; }

V_INLINE v_u32 v_dot2(v_u32 sum, v_u32 w, v_u32 x)
{
    return sum + v_low_half(w) * v_low_half(x) + v_low_half(w >> 16) * v_low_half(x >> 16);
}
