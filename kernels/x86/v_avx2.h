/* SPDX-License-Identifier: MIT */
/*
 * kernels/x86/v_avx2.h - the vector vocabulary in AVX2, FMA and F16C: 8 floats
 */
#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "this unit needs -mavx2 -mfma -mf16c"
#endif

#include <immintrin.h>

#define V_LANES 8
#define V_INLINE static inline __attribute__((always_inline))
#define V_NOINLINE __attribute__((noinline))

typedef __m256 v_f32;

/* May lie outside of everything. */
V_INLINE void v_prefetch(uintptr_t address) { _mm_prefetch((const char *)address, _MM_HINT_T0); }

V_INLINE v_f32 v_load(const float *p) { return _mm256_loadu_ps(p); }
V_INLINE void  v_store(float *p, v_f32 v) { _mm256_storeu_ps(p, v); }
V_INLINE v_f32 v_set1(float f) { return _mm256_set1_ps(f); }
V_INLINE v_f32 v_iota(void) { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
V_INLINE v_f32 v_mul(v_f32 a, v_f32 b) { return _mm256_mul_ps(a, b); }
V_INLINE v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) { return _mm256_fmadd_ps(a, b, c); }

V_INLINE float v_fmaf(float a, float b, float c)
{
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}

/* ((0+4)+(2+6)) + ((1+5)+(3+7)) */
V_INLINE float v_sum(v_f32 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

V_INLINE int v_any_nan(v_f32 v)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)) != 0;
}

/* --------------------------------------------------- 16- and 8-bit elements */

V_INLINE v_f32 v_from_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

V_INLINE void v_to_f16(void *p, v_f32 v)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

V_INLINE v_f32 v_from_bf16(const void *p)
{
    __m256i w = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(w, 16));
}

/* Nearest even by integer addition; NaN is quieted. */
V_INLINE void v_to_bf16(void *p, v_f32 v)
{
    __m256i bits = _mm256_castps_si256(v), top = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    __m256i sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    __m256i r = _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16),
                                   _mm256_or_si256(top, _mm256_set1_epi32(0x40)), nan);
    r = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(r));
}

/* Whether one of two vectors has a NaN. */
V_INLINE int v_any_nan2(v_f32 a, v_f32 b)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_UNORD_Q)) != 0;
}

/* Rounded to bf16, in the lower half of lanes. */
V_INLINE __m256i v_round_bf16(v_f32 v)
{
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));

    return _mm256_srli_epi32(sum, 16);
}

/* Two vectors without NaN. */
V_INLINE void v_to_bf16_2(void *p, v_f32 a, v_f32 b)
{
    __m256i both = _mm256_packus_epi32(v_round_bf16(a), v_round_bf16(b));

    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(both, 0xd8));
}

/* One f16; NaN keeps its payload but is quieted. */
V_INLINE float v_f16_scalar(uint16_t h)
{
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}

V_INLINE v_f32 v_from_i8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

/* -------------------------------------------------------- arithmetic, masks */

V_INLINE v_f32 v_add(v_f32 a, v_f32 b) { return _mm256_add_ps(a, b); }
V_INLINE v_f32 v_sub(v_f32 a, v_f32 b) { return _mm256_sub_ps(a, b); }
V_INLINE v_f32 v_div(v_f32 a, v_f32 b) { return _mm256_div_ps(a, b); }
V_INLINE v_f32 v_sqrt(v_f32 a) { return _mm256_sqrt_ps(a); }
V_INLINE v_f32 v_abs(v_f32 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }

/* a > b ? a : b and a < b ? a : b: a NaN on either side gives b */
V_INLINE v_f32 v_max(v_f32 a, v_f32 b) { return _mm256_max_ps(a, b); }
V_INLINE v_f32 v_min(v_f32 a, v_f32 b) { return _mm256_min_ps(a, b); }

V_INLINE v_f32 v_neg(v_f32 a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }

/* Comparisons are false where a NaN takes part. */
typedef __m256 v_mask;

V_INLINE v_mask v_lt(v_f32 a, v_f32 b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
V_INLINE v_mask v_eq(v_f32 a, v_f32 b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
V_INLINE v_mask v_both(v_mask a, v_mask b) { return _mm256_and_ps(a, b); }
V_INLINE v_mask v_either(v_mask a, v_mask b) { return _mm256_or_ps(a, b); }
V_INLINE v_mask v_not(v_mask a)
{
    return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1)));
}
V_INLINE uint32_t v_bits(v_mask m) { return (uint32_t)_mm256_movemask_ps(m); }   /* lane i in bit i */
V_INLINE v_f32 v_select(v_mask m, v_f32 yes, v_f32 no) { return _mm256_blendv_ps(no, yes, m); }

/* The low byte of each lane. */
V_INLINE void v_store_bytes(uint8_t *p, v_f32 v)
{
    __m256i low = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0xff));
    __m128i w = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));

    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(w, w));
}

/* The low byte of each lane as u32. */
V_INLINE void v_store_codes(uint32_t *p, v_f32 v)
{
    _mm256_storeu_si256((__m256i *)p, _mm256_and_si256(_mm256_castps_si256(v),
                                                       _mm256_set1_epi32(0xff)));
}

/* y[i][lane] = rows[lane][i] for i in [0, V_LANES) */
V_INLINE void v_transpose(const float *const *rows, size_t first, float *y)
{
    v_f32 r[8], t[8];

    for (int i = 0; i < 8; i++)
        r[i] = v_load(rows[i] + first);
    for (int i = 0; i < 8; i += 2) {    /* pairs of rows */
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)      /* four rows: half h of r[i + c] has column 4h + c */
        for (int k = 0; k < 2; k++) {
            __m256d a = _mm256_castps_pd(t[i + k]), b = _mm256_castps_pd(t[i + k + 2]);
            r[i + 2 * k] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            r[i + 2 * k + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
    for (int c = 0; c < 4; c++) {
        v_store(y + 8 * c, _mm256_permute2f128_ps(r[c], r[c + 4], 0x20));
        v_store(y + 8 * (c + 4), _mm256_permute2f128_ps(r[c], r[c + 4], 0x31));
    }
}

/* ----------------------------------------------------------------- integers */

/* Lanes of 32 bits, with the operators of the language: + - & | << >> (logical). */
typedef uint32_t v_u32 __attribute__((vector_size(32)));

V_INLINE v_u32 v_set1u(uint32_t u) { return (v_u32)_mm256_set1_epi32((int)u); }
V_INLINE v_u32 v_as_u32(v_f32 v) { return (v_u32)v; }
V_INLINE v_f32 v_as_f32(v_u32 u) { return (v_f32)u; }
V_INLINE v_u32 v_sra(v_u32 u, int n)   /* >> with copies of the sign */
{
    return (v_u32)_mm256_sra_epi32((__m256i)u, _mm_cvtsi32_si128(n));
}
V_INLINE v_f32 v_int_to_f32(v_u32 u) { return _mm256_cvtepi32_ps((__m256i)u); }
V_INLINE v_u32 v_trunc(v_f32 v) { return (v_u32)_mm256_cvttps_epi32(v); }
V_INLINE v_u32 v_umax(v_u32 a, v_u32 b)
{
    return (v_u32)_mm256_max_epu32((__m256i)a, (__m256i)b);
}
V_INLINE v_u32 v_umin(v_u32 a, v_u32 b)
{
    return (v_u32)_mm256_min_epu32((__m256i)a, (__m256i)b);
}

V_INLINE uint32_t v_umax_all(v_u32 u)
{
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128((__m256i)u),
                              _mm256_extracti128_si256((__m256i)u, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1)));
}

V_INLINE v_u32 v_load_u8(const uint8_t *p)
{
    return (v_u32)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

V_INLINE v_u32 v_load_u16(const uint16_t *p)
{
    return (v_u32)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
}

/* The low half of each lane, which is all there is in it. */
V_INLINE void v_store_u16(uint16_t *p, v_u32 u)
{
    __m256i twice = _mm256_packus_epi32((__m256i)u, (__m256i)u);
    _mm_storeu_si128((__m128i *)p,
                     _mm256_castsi256_si128(_mm256_permute4x64_epi64(twice, 0x08)));
}

V_INLINE v_u32 v_gather(const int32_t *p, v_u32 i)
{
    return (v_u32)_mm256_i32gather_epi32(p, (__m256i)i, 4);
}

/* Bit i is the top bit of lane i. */
V_INLINE uint32_t v_top_bits(v_u32 u) { return (uint32_t)_mm256_movemask_ps(v_as_f32(u)); }

/* Numbers given by the low 16 bits of lanes, the rest of which is 0. */
V_INLINE v_f32 v_from_f16_bits(v_u32 u)
{
    __m256i bits = (__m256i)u;

    return _mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(bits),
                                            _mm256_extracti128_si256(bits, 1)));
}

/* Eight bytes, the lowest first. */
V_INLINE v_u32 v_from_u8x8(uint64_t bytes)
{
    return (v_u32)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)bytes));
}

/* V_LANES signed bytes, eight to a word, the lowest first. */
V_INLINE v_f32 v_from_i8x8(const uint64_t *eight)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128((int64_t)eight[0])));
}

/* u + 1 in the lanes of m. */
V_INLINE v_u32 v_count(v_mask m, v_u32 u) { return u - (v_u32)m; }

/* Pieces of eight numbers 'next' apart, of which a vector has one; and a number for each. */
V_INLINE v_f32 v_load_pieces(const float *p, size_t next)
{
    (void)next;
    return v_load(p);
}
V_INLINE v_f32 v_set_pieces(const float *f) { return v_set1(f[0]); }

/* All bits of lane i if bit i is set. */
V_INLINE v_u32 v_spread(uint32_t bits)
{
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return (v_u32)_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), lane), lane);
}

/* ----------------------------------------------------- minimum and maximum */

V_INLINE float v_min_all(v_f32 v)
{
    __m128 m = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_min_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_min_ss(m, _mm_movehdup_ps(m)));
}

V_INLINE float v_max_all(v_f32 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* Numbers below 2^31. */
V_INLINE v_u32 v_where_uless(v_u32 a, v_u32 b, v_u32 x, v_u32 y)
{
    return (v_u32)_mm256_blendv_epi8((__m256i)y, (__m256i)x,
                                     _mm256_cmpgt_epi32((__m256i)b, (__m256i)a));
}

/*
 * Lane b of the result is the extreme of v[b]: three rounds, each of which halves the
 * number of vectors by folding two of them into one.
 */
#define V_TREE(name, op) \
    V_INLINE v_f32 name(const v_f32 v[8]) \
    { \
        v_f32 a[4], b[2]; \
        for (int i = 0; i < 4; i++) \
            a[i] = op(_mm256_permute2f128_ps(v[i], v[i + 4], 0x20), \
                      _mm256_permute2f128_ps(v[i], v[i + 4], 0x31)); \
        for (int i = 0; i < 2; i++) \
            b[i] = op(_mm256_unpacklo_ps(a[i], a[i + 2]), _mm256_unpackhi_ps(a[i], a[i + 2])); \
        __m256d even = _mm256_castps_pd(b[0]), odd = _mm256_castps_pd(b[1]); \
        v_f32 all = op(_mm256_castpd_ps(_mm256_unpacklo_pd(even, odd)), \
                       _mm256_castpd_ps(_mm256_unpackhi_pd(even, odd))); \
        return _mm256_permute_ps(all, 0xd8); \
    }
V_TREE(v_min_tree, v_min)
V_TREE(v_max_tree, v_max)

/* ------------------------------------------------------------------- tables */

/* 16 values, chosen by the low four bits of a lane: entries 0-7 and 8-15.  Permutes look
 * at the low three bits of an index; bit 3 moves to the sign and chooses the half. */
typedef struct v_table4 { v_f32 low, high; } v_table4;

V_INLINE v_table4 v_table4_load(const void *table)
{
    const float *t = table;
    return (v_table4){ v_load(t), v_load(t + 8) };
}

V_INLINE void v_table4_store(float *p, v_table4 t)
{
    v_store(p, t.low);
    v_store(p + 8, t.high);
}

V_INLINE v_table4 v_table4_mul(v_table4 t, float f)
{
    return (v_table4){ t.low * v_set1(f), t.high * v_set1(f) };
}

V_INLINE v_table4 v_table4_sub(v_table4 t, float f)
{
    return (v_table4){ t.low - v_set1(f), t.high - v_set1(f) };
}

V_INLINE v_f32 v_table4_at(v_table4 t, v_u32 i)
{
    v_f32 a = _mm256_permutevar8x32_ps(t.low, (__m256i)i);
    v_f32 b = _mm256_permutevar8x32_ps(t.high, (__m256i)i);
    return _mm256_blendv_ps(a, b, v_as_f32(i << 28));
}

/* 8 values, chosen by a lane below 8. */
typedef v_f32 v_table3;

V_INLINE v_table3 v_table3_load(const float *table) { return v_load(table); }
V_INLINE v_f32 v_table3_at(v_table3 t, v_u32 i)
{
    return _mm256_permutevar8x32_ps(t, (__m256i)i);
}

/* -------------------------------------------------------------------- ladders */

/* lqi_ladder in registers: thresholds in the order in which a bisection meets them. */
typedef struct v_ladder {
    v_f32    half, quarters, eighths, sixteenths;
    v_table4 code;
} v_ladder;

V_INLINE v_ladder v_ladder_load(const lqi_ladder *ladder)
{
    const float *t = ladder->threshold;

    return (v_ladder){ v_set1(t[7]), _mm256_setr_ps(t[3], t[11], 0, 0, 0, 0, 0, 0),
                       _mm256_setr_ps(t[1], t[5], t[9], t[13], 0, 0, 0, 0),
                       _mm256_setr_ps(t[0], t[2], t[4], t[6], t[8], t[10], t[12], t[14]),
                       v_table4_load(ladder->code) };
}

/* 2 i + (t < y) */
V_INLINE v_u32 v_ladder_step(v_u32 i, v_f32 t, v_f32 y)
{
    return i + i - (v_u32)_mm256_cmp_ps(t, y, _CMP_LT_OQ);
}

V_INLINE v_u32 v_ladder_code(const v_ladder *t, v_f32 y)
{
    v_u32 i = v_ladder_step(v_set1u(0), t->half, y);

    i = v_ladder_step(i, _mm256_permutevar8x32_ps(t->quarters, (__m256i)i), y);
    i = v_ladder_step(i, _mm256_permutevar8x32_ps(t->eighths, (__m256i)i), y);
    i = v_ladder_step(i, _mm256_permutevar8x32_ps(t->sixteenths, (__m256i)i), y);
    return v_as_u32(v_table4_at(t->code, i));
}

/* 32 values in v_f32 t[], as rows of 8 or of 4.  Number i of the k-th row of 8, for lanes
 * whose low three bits are i. */
V_INLINE v_f32 v_of_8(const v_f32 *t, int k, v_u32 i)
{
    return _mm256_permutevar8x32_ps(t[k], (__m256i)i);
}

/* The k-th row of 4, everywhere; and its number i, for lanes whose low two bits are i. */
V_INLINE v_f32 v_spread_4(const v_f32 *t, int k)
{
    return k % 2 ? _mm256_permute2f128_ps(t[k / 2], t[k / 2], 0x11)
                 : _mm256_permute2f128_ps(t[k / 2], t[k / 2], 0x00);
}

V_INLINE v_f32 v_of_4(v_f32 four, v_u32 i) { return _mm256_permutevar_ps(four, (__m256i)i); }

/* ------------------------------------------------------------------ nibbles */

/* The nibbles of 4 bytes in the low four bits of 8 lanes; what is above means nothing. */
V_INLINE v_u32 v_nibbles_high(const uint8_t *p)
{
    return (v_u32)_mm256_srlv_epi32(_mm256_set1_epi32((int)lqi_load32(p)),
                                    _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24));
}

V_INLINE v_u32 v_nibbles_low(const uint8_t *p)
{
    return (v_u32)_mm256_srlv_epi32(_mm256_set1_epi32((int)lqi_load32(p)),
                                    _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
}

/* Low bytes of four 64-bit lanes. */
V_INLINE void v_store_low4(uint8_t *p, __m256i pairs)
{
    __m256i bytes = _mm256_shuffle_epi8(pairs, _mm256_set1_epi32(0x0800));
    __m128i four = _mm_unpacklo_epi16(_mm256_castsi256_si128(bytes),
                                      _mm256_extracti128_si256(bytes, 1));
    lqi_store32(p, (uint32_t)_mm_cvtsi128_si32(four));
}

/* Lanes below 16 to half as many bytes, the low or the high nibble of each first. */
V_INLINE void v_store_nibbles_low(uint8_t *p, v_u32 u)
{
    v_store_low4(p, _mm256_or_si256((__m256i)u, _mm256_srli_epi64((__m256i)u, 28)));
}

V_INLINE void v_store_nibbles_high(uint8_t *p, v_u32 u)
{
    v_store_low4(p, _mm256_or_si256(_mm256_slli_epi64((__m256i)u, 4),
                                    _mm256_srli_epi64((__m256i)u, 32)));
}

/* The same for four vectors, in their order: dword i gathers lane i of each, pairs of dwords
 * are joined, and shuffles put the bytes where they belong. */
V_INLINE void v_store_nibbles4(uint8_t *p, const v_u32 u[4], unsigned high_first)
{
    __m256i all = (__m256i)(u[0] | u[1] << 8 | u[2] << 16 | u[3] << 24);
    __m256i pairs = high_first ? _mm256_or_si256(_mm256_slli_epi64(all, 4),
                                                 _mm256_srli_epi64(all, 32))
                               : _mm256_or_si256(all, _mm256_srli_epi64(all, 28));
    __m256i two = _mm256_shuffle_epi8(pairs, _mm256_setr_epi8(
        0, 8, 1, 9, 2, 10, 3, 11, -1, -1, -1, -1, -1, -1, -1, -1,
        0, 8, 1, 9, 2, 10, 3, 11, -1, -1, -1, -1, -1, -1, -1, -1));

    _mm_storeu_si128((__m128i *)p, _mm_unpacklo_epi16(_mm256_castsi256_si128(two),
                                                      _mm256_extracti128_si256(two, 1)));
}

/* The low byte of each lane of four vectors. */
V_INLINE void v_store_bytes4(uint8_t *p, const v_u32 u[4])
{
    __m256i a = _mm256_packus_epi32((__m256i)(u[0] & 255), (__m256i)(u[1] & 255));
    __m256i b = _mm256_packus_epi32((__m256i)(u[2] & 255), (__m256i)(u[3] & 255));

    _mm256_storeu_si256((__m256i *)p, _mm256_permutevar8x32_epi32(
        _mm256_packus_epi16(a, b), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}

V_INLINE void v_map8_load4(const lqi_map8 *map, const uint8_t *codes, v_f32 y[4])
{
    for (int k = 0; k < 4; k++)
        y[k] = _mm256_i32gather_ps(map->value, (__m256i)v_load_u8(codes + 8 * k), 4);
}

/* 8 bytes to 16 numbers: the low nibbles, then the high ones. */
V_INLINE void v_table4_split8(v_table4 t, const uint8_t *q, float *y)
{
    v_u32 codes = v_load_u8(q);

    v_store(y, v_table4_at(t, codes));
    v_store(y + 8, v_table4_at(t, codes >> 4));
}

/* --------------------------------------------------------------- streams of bits */

/* Codes of 'bits' bits: which two bytes each lies in, and where. */
typedef struct v_stream {
    __m256i bytes, shift, mask;
} v_stream;

#define V_STREAM_BYTES 8   /* that v_stream_at() reads */

V_INLINE v_stream v_stream_of(unsigned bits)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i at = _mm256_mullo_epi32(lane, _mm256_set1_epi32((int)bits));
    __m256i byte = _mm256_srli_epi32(at, 3);
    __m256i two = _mm256_or_si256(byte, _mm256_slli_epi32(byte, 8));

    return (v_stream){ _mm256_add_epi32(two, _mm256_set1_epi32((int)0x80800100)),
                       _mm256_and_si256(at, _mm256_set1_epi32(7)),
                       _mm256_set1_epi32((1 << bits) - 1) };
}

/* V_LANES codes from the start of a byte on. */
V_INLINE v_u32 v_stream_at(const v_stream *s, const uint8_t *p)
{
    __m256i all = _mm256_set1_epi64x((int64_t)lqi_load64(p));
    __m256i two = _mm256_shuffle_epi8(all, s->bytes);

    return (v_u32)_mm256_and_si256(_mm256_srlv_epi32(two, s->shift), s->mask);
}

/* ------------------------------------------------------------- 8-bit floats */

/* By way of f16: E5M2 is its upper byte; E4M3 fits with its exponent off by 8, numbers over
 * 256, of which NaN codes are none. */
V_INLINE v_f32 v_from_e5m2(const uint8_t *p)
{
    __m128i bytes = _mm_loadl_epi64((const __m128i *)p);
    return _mm256_cvtph_ps(_mm_unpacklo_epi8(_mm_setzero_si128(), bytes));
}

V_INLINE v_f32 v_from_e4m3(const uint8_t *p)
{
    __m128i wide = _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p));
    __m128i half = _mm_or_si128(_mm_and_si128(_mm_slli_epi16(wide, 7), _mm_set1_epi16(0x3f80)),
                                _mm_and_si128(wide, _mm_set1_epi16(-0x8000)));
    return _mm256_cvtph_ps(half);
}

/* ------------------------------------------------------------- 6-bit floats */

/*
 * A sign, and 'man' bits of mantissa below the exponent (constants).  Moved to their places,
 * without the sign, they are f = (1 + m) * 2^e: right but for the least exponent, where the
 * number is 2 f - least, least = 2^(1 - bias), which elsewhere is no less than f.  (Exact.)
 */
typedef struct v_float6 { unsigned man, bias; } v_float6;

V_INLINE v_float6 v_float6_of(const float *table, unsigned man, unsigned bias)
{
    (void)table;
    return (v_float6){ man, bias };
}

V_INLINE v_f32 v_float6_at(const v_float6 *t, v_u32 code)
{
    v_f32 f = v_as_f32(((code & 31) << (23 - t->man)) + ((127 - t->bias) << 23));
    v_f32 least = v_set1(lqi_bits_float((128 - t->bias) << 23));
    v_f32 magnitude = v_min(f, _mm256_fmsub_ps(f, v_set1(2), least));

    return v_as_f32(v_as_u32(magnitude) | (code << 26 & 0x80000000));
}

/* -------------------------------------------------------- sixteen levels */

/* lqi_levels in registers: midpoints as the four steps of a bisection see them. */
typedef struct v_levels {
    v_table4 level;
    v_f32    half, quarter[2], eighth, sixteenth;
} v_levels;

V_INLINE v_levels v_levels_load(const lqi_levels *t)
{
    const float *m = t->middle;

    return (v_levels){ v_table4_load(t->level), v_set1(m[7]), { v_set1(m[3]), v_set1(m[11]) },
                       _mm256_setr_ps(m[1], m[5], m[9], m[13], 0, 0, 0, 0),
                       _mm256_setr_ps(m[0], m[2], m[4], m[6], m[8], m[10], m[12], m[14]) };
}

/* 2 i + (t <= v) */
V_INLINE v_u32 v_levels_step(v_u32 i, v_f32 t, v_f32 v)
{
    return i + i - (v_u32)_mm256_cmp_ps(t, v, _CMP_LE_OQ);
}

/* Code of the nearest level. */
V_INLINE v_u32 v_levels_code(const v_levels *t, v_f32 v)
{
    v_f32 upper = _mm256_cmp_ps(t->half, v, _CMP_LE_OQ);
    v_u32 i = v_levels_step(v_set1u(0) - (v_u32)upper,
                            v_select(upper, t->quarter[1], t->quarter[0]), v);

    i = v_levels_step(i, _mm256_permutevar8x32_ps(t->eighth, (__m256i)i), v);
    return v_levels_step(i, _mm256_permutevar8x32_ps(t->sixteenth, (__m256i)i), v);
}

V_INLINE void v_store_u32(uint32_t *p, v_u32 u) { _mm256_storeu_si256((__m256i *)p, (__m256i)u); }

/* ------------------------------------------------------------ bytes of panels */

/* Four bytes in each lane.  Without VNNI they carry a sign where they meet a dot product. */
#if defined(__AVXVNNI__)
#define V_SIGNED 0
#else
#define V_SIGNED 1
#endif
typedef __m256i v_bytes;

V_INLINE v_bytes v_bytes_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
V_INLINE v_u32 v_bytes_lanes(v_bytes v) { return (v_u32)v; }
V_INLINE void v_bytes_store(void *p, v_bytes v) { _mm256_storeu_si256((__m256i *)p, v); }
V_INLINE v_bytes v_bytes_set(uint8_t b) { return _mm256_set1_epi8((char)b); }
V_INLINE v_bytes v_bytes_repeat(v_u32 low)   /* the low byte of each lane */
{
    return (v_bytes)((low & v_set1u(255)) * v_set1u(0x01010101));
}
V_INLINE v_bytes v_bytes_and(v_bytes a, v_bytes b) { return _mm256_and_si256(a, b); }
V_INLINE v_bytes v_bytes_add(v_bytes a, v_bytes b) { return _mm256_add_epi8(a, b); }
V_INLINE v_bytes v_bytes_sub(v_bytes a, v_bytes b) { return _mm256_sub_epi8(a, b); }

/* Halves of 16 bits to the right; 'n' is a constant. */
#define v_bytes_shr(v, n) _mm256_srli_epi16(v, n)

/* Bits of a where the mask is 1, of b where it is 0. */
V_INLINE v_bytes v_bytes_mix(v_bytes mask, v_bytes a, v_bytes b)
{
    return _mm256_or_si256(_mm256_and_si256(mask, a), _mm256_andnot_si256(mask, b));
}

/* 64 bytes by the low six bits of a byte: smaller tables repeat. */
typedef struct v_table6 { __m256i quarter[4]; } v_table6;

V_INLINE v_table6 v_table6_load(const uint8_t t[64])
{
    v_table6 r;

    for (int i = 0; i < 4; i++)
        r.quarter[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(t + 16 * i)));
    return r;
}

/* 'bits' of the index count: 3, 4 or 6. */
V_INLINE v_bytes v_table6_at(v_table6 t, v_bytes i, const int bits)
{
    v_bytes low = _mm256_and_si256(i, _mm256_set1_epi8(15));
    v_bytes r = _mm256_shuffle_epi8(t.quarter[0], low);

    if (bits <= 4)
        return r;
    __m256i four = _mm256_slli_epi16(i, 3), five = _mm256_slli_epi16(i, 2);   /* to bit 7 */
    r = _mm256_blendv_epi8(r, _mm256_shuffle_epi8(t.quarter[1], low), four);
    low = _mm256_blendv_epi8(_mm256_shuffle_epi8(t.quarter[2], low),
                             _mm256_shuffle_epi8(t.quarter[3], low), four);
    return _mm256_blendv_epi8(r, low, five);
}

/* By bits 7..4 of each byte. */
V_INLINE v_bytes v_table6_top(v_table6 t, v_bytes i)
{
    return v_table6_at(t, v_bytes_shr(i, 4), 4);
}

/* By bits 5..3 of each byte, from a table made for that: entry 8 k is for k. */
V_INLINE v_bytes v_table6_high(v_table6 t, v_bytes i)
{
    return v_table6_at(t, i, 6);
}

/* sum + w[0] x[0] + .. + w[3] x[3] */
V_INLINE v_u32 v_dot4(v_u32 sum, v_bytes w, v_u32 x)
{
#if defined(__AVXVNNI__)
    return (v_u32)_mm256_dpbusd_avx_epi32((__m256i)sum, w, (__m256i)x);
#else
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8((__m256i)x, w));
    return sum + (v_u32)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#endif
}

/* With x[i], a broadcast. */
V_INLINE v_u32 v_dot4_of(v_u32 sum, v_bytes w, const int32_t *x, const int i)
{
    return v_dot4(sum, w, v_set1u((uint32_t)x[i]));
}

/* The same of 16-bit halves. */
V_INLINE v_u32 v_dot2(v_u32 sum, v_u32 w, v_u32 x)
{
    return sum + (v_u32)_mm256_madd_epi16((__m256i)w, (__m256i)x);
}

V_INLINE v_u32 v_load_u32(const void *p) { return (v_u32)v_bytes_load(p); }
V_INLINE v_f32 v_load_f32(const void *p) { return _mm256_loadu_ps((const float *)p); }
V_INLINE uint32_t v_usum_all(v_u32 u)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128((__m256i)u),
                              _mm256_extracti128_si256((__m256i)u, 1));
    s = _mm_add_epi32(s, _mm_unpackhi_epi64(s, s));
    return (uint32_t)_mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 1)));
}
