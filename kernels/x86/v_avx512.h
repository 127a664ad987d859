/* SPDX-License-Identifier: MIT */
/*
 * kernels/x86/v_avx512.h - the vector vocabulary in AVX-512: 16 floats
 */
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || \
    !defined(__AVX512VL__) || !defined(__AVX512VBMI__)
#error "this unit needs -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi"
#endif

#include <immintrin.h>

#define V_LANES 16
#define V_INLINE static inline __attribute__((always_inline))
#define V_NOINLINE __attribute__((noinline))

typedef __m512 v_f32;

/* May lie outside of everything. */
V_INLINE void v_prefetch(uintptr_t address) { _mm_prefetch((const char *)address, _MM_HINT_T0); }

V_INLINE v_f32 v_load(const float *p) { return _mm512_loadu_ps(p); }
V_INLINE void  v_store(float *p, v_f32 v) { _mm512_storeu_ps(p, v); }
V_INLINE v_f32 v_set1(float f) { return _mm512_set1_ps(f); }
V_INLINE v_f32 v_iota(void)
{
    return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
V_INLINE v_f32 v_mul(v_f32 a, v_f32 b) { return _mm512_mul_ps(a, b); }
V_INLINE v_f32 v_fma(v_f32 a, v_f32 b, v_f32 c) { return _mm512_fmadd_ps(a, b, c); }

V_INLINE float v_fmaf(float a, float b, float c)
{
    return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}

/* Halves are added until one number is left: i and i + 8, i and i + 4, ... */
V_INLINE float v_sum(v_f32 v)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

V_INLINE int v_any_nan(v_f32 v)
{
    return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q) != 0;
}

/* --------------------------------------------------- 16- and 8-bit elements */

V_INLINE v_f32 v_from_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

V_INLINE void v_to_f16(void *p, v_f32 v)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

V_INLINE v_f32 v_from_bf16(const void *p)
{
    __m512i w = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(w, 16));
}

/* Nearest even by integer addition (vcvtneps2bf16 flushes denormals); NaN is quieted. */
V_INLINE void v_to_bf16(void *p, v_f32 v)
{
    __m512i bits = _mm512_castps_si512(v), top = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    __m512i sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i r = _mm512_mask_or_epi32(_mm512_srli_epi32(sum, 16),
                                     _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), top,
                                     _mm512_set1_epi32(0x40));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(r));
}

/* Whether one of two vectors has a NaN. */
V_INLINE int v_any_nan2(v_f32 a, v_f32 b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q) != 0;
}

/* What rounds to bf16 when the lower half is dropped. */
V_INLINE __m512i v_round_bf16(v_f32 v)
{
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));

    return _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
}

/* Two vectors without NaN. */
V_INLINE void v_to_bf16_2(void *p, v_f32 a, v_f32 b)
{
    const __m512i upper = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37,
                                           35, 33, 31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9,
                                           7, 5, 3, 1);

    _mm512_storeu_si512(p, _mm512_permutex2var_epi16(v_round_bf16(a), upper, v_round_bf16(b)));
}

/* One f16; NaN keeps its payload but is quieted. */
V_INLINE float v_f16_scalar(uint16_t h)
{
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}

V_INLINE v_f32 v_from_i8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* -------------------------------------------------------- arithmetic, masks */

V_INLINE v_f32 v_add(v_f32 a, v_f32 b) { return _mm512_add_ps(a, b); }
V_INLINE v_f32 v_sub(v_f32 a, v_f32 b) { return _mm512_sub_ps(a, b); }
V_INLINE v_f32 v_div(v_f32 a, v_f32 b) { return _mm512_div_ps(a, b); }
V_INLINE v_f32 v_sqrt(v_f32 a) { return _mm512_sqrt_ps(a); }
V_INLINE v_f32 v_abs(v_f32 a) { return _mm512_abs_ps(a); }

/* a > b ? a : b and a < b ? a : b: a NaN on either side gives b */
V_INLINE v_f32 v_max(v_f32 a, v_f32 b) { return _mm512_max_ps(a, b); }
V_INLINE v_f32 v_min(v_f32 a, v_f32 b) { return _mm512_min_ps(a, b); }

V_INLINE v_f32 v_neg(v_f32 a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }

/* Comparisons are false where a NaN takes part. */
typedef __mmask16 v_mask;

V_INLINE v_mask v_lt(v_f32 a, v_f32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
V_INLINE v_mask v_eq(v_f32 a, v_f32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
V_INLINE v_mask v_both(v_mask a, v_mask b) { return (v_mask)(a & b); }
V_INLINE v_mask v_either(v_mask a, v_mask b) { return (v_mask)(a | b); }
V_INLINE v_mask v_not(v_mask a) { return (v_mask)~a; }
V_INLINE uint32_t v_bits(v_mask m) { return m; }   /* lane i in bit i */
V_INLINE v_f32 v_select(v_mask m, v_f32 yes, v_f32 no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}

/* The low byte of each lane. */
V_INLINE void v_store_bytes(uint8_t *p, v_f32 v)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_castps_si512(v)));
}

/* The low byte of each lane as u32. */
V_INLINE void v_store_codes(uint32_t *p, v_f32 v)
{
    _mm512_storeu_si512(p, _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0xff)));
}

/* y[i][lane] = rows[lane][i] for i in [0, V_LANES) */
V_INLINE void v_transpose(const float *const *rows, size_t first, float *y)
{
    v_f32 r[16], t[16];

    for (int i = 0; i < 16; i++)
        r[i] = v_load(rows[i] + first);
    for (int i = 0; i < 16; i += 2) {   /* pairs of rows */
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)     /* four rows: 128-bit lane q of r[i + c] has column 4q + c */
        for (int k = 0; k < 2; k++) {
            __m512d a = _mm512_castps_pd(t[i + k]), b = _mm512_castps_pd(t[i + k + 2]);
            r[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            r[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    for (int i = 0; i < 16; i += 8)     /* even and odd 128-bit lanes of eight rows */
        for (int c = 0; c < 4; c++) {
            t[i + c] = _mm512_shuffle_f32x4(r[i + c], r[i + c + 4], 0x88);
            t[i + c + 4] = _mm512_shuffle_f32x4(r[i + c], r[i + c + 4], 0xdd);
        }
    for (int c = 0; c < 8; c++) {
        v_store(y + 16 * c, _mm512_shuffle_f32x4(t[c], t[c + 8], 0x88));
        v_store(y + 16 * (c + 8), _mm512_shuffle_f32x4(t[c], t[c + 8], 0xdd));
    }
}

/* ----------------------------------------------------------------- integers */

/* Lanes of 32 bits, with the operators of the language: + - & | << >> (logical). */
typedef uint32_t v_u32 __attribute__((vector_size(64)));

V_INLINE v_u32 v_set1u(uint32_t u) { return (v_u32)_mm512_set1_epi32((int)u); }
V_INLINE v_u32 v_as_u32(v_f32 v) { return (v_u32)v; }
V_INLINE v_f32 v_as_f32(v_u32 u) { return (v_f32)u; }
V_INLINE v_u32 v_sra(v_u32 u, int n)   /* >> with copies of the sign */
{
    return (v_u32)_mm512_sra_epi32((__m512i)u, _mm_cvtsi32_si128(n));
}
V_INLINE v_f32 v_int_to_f32(v_u32 u) { return _mm512_cvtepi32_ps((__m512i)u); }
V_INLINE v_u32 v_trunc(v_f32 v) { return (v_u32)_mm512_cvttps_epi32(v); }
V_INLINE v_u32 v_umax(v_u32 a, v_u32 b)
{
    return (v_u32)_mm512_max_epu32((__m512i)a, (__m512i)b);
}
V_INLINE v_u32 v_umin(v_u32 a, v_u32 b)
{
    return (v_u32)_mm512_min_epu32((__m512i)a, (__m512i)b);
}
V_INLINE uint32_t v_umax_all(v_u32 u) { return _mm512_reduce_max_epu32((__m512i)u); }

V_INLINE v_u32 v_load_u8(const uint8_t *p)
{
    return (v_u32)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

V_INLINE v_u32 v_load_u16(const uint16_t *p)
{
    return (v_u32)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}

/* The low half of each lane. */
V_INLINE void v_store_u16(uint16_t *p, v_u32 u)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16((__m512i)u));
}

V_INLINE v_u32 v_gather(const int32_t *p, v_u32 i)
{
    return (v_u32)_mm512_i32gather_epi32((__m512i)i, p, 4);
}

/* Bit i is the top bit of lane i. */
V_INLINE uint32_t v_top_bits(v_u32 u) { return _mm512_movepi32_mask((__m512i)u); }

/* Numbers given by the low 16 bits of lanes. */
V_INLINE v_f32 v_from_f16_bits(v_u32 u)
{
    __m512i bits = (__m512i)u;

    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(bits));
}

/* Eight bytes, the lowest first; lanes from 8 on are 0. */
V_INLINE v_u32 v_from_u8x8(uint64_t bytes)
{
    return (v_u32)_mm512_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)bytes));
}

/* V_LANES signed bytes, eight to a word, the lowest first. */
V_INLINE v_f32 v_from_i8x8(const uint64_t *eight)
{
    __m128i bytes = _mm_set_epi64x((int64_t)eight[1], (int64_t)eight[0]);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

/* u + 1 in the lanes of m. */
V_INLINE v_u32 v_count(v_mask m, v_u32 u)
{
    return (v_u32)_mm512_mask_add_epi32((__m512i)u, m, (__m512i)u, _mm512_set1_epi32(1));
}

/* Eight numbers at p and eight 'next' numbers on; and a number for each of these pieces. */
V_INLINE v_f32 v_load_pieces(const float *p, size_t next)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p)),
                              _mm256_loadu_ps(p + next), 1);
}
V_INLINE v_f32 v_set_pieces(const float *f)
{
    return _mm512_mask_blend_ps(0xff00, v_set1(f[0]), v_set1(f[1]));
}

/* All bits of lane i if bit i is set. */
V_INLINE v_u32 v_spread(uint32_t bits) { return (v_u32)_mm512_movm_epi32((__mmask16)bits); }

/* ----------------------------------------------------- minimum and maximum */

V_INLINE float v_min_all(v_f32 v) { return _mm512_reduce_min_ps(v); }
V_INLINE float v_max_all(v_f32 v) { return _mm512_reduce_max_ps(v); }

V_INLINE v_u32 v_where_uless(v_u32 a, v_u32 b, v_u32 x, v_u32 y)
{
    return (v_u32)_mm512_mask_blend_epi32(_mm512_cmplt_epu32_mask((__m512i)a, (__m512i)b),
                                          (__m512i)y, (__m512i)x);
}

/*
 * Lane b of the result is the extreme of v[b]: four rounds, each of which halves the
 * number of vectors by folding two of them into one.
 */
#define V_TREE(name, op) \
    V_INLINE v_f32 name(const v_f32 v[16]) \
    { \
        v_f32 a[8], b[4], c[2]; \
        for (int i = 0; i < 8; i++) \
            a[i] = op(_mm512_shuffle_f32x4(v[i], v[i + 8], 0x44), \
                      _mm512_shuffle_f32x4(v[i], v[i + 8], 0xee)); \
        for (int i = 0; i < 4; i++) \
            b[i] = op(_mm512_shuffle_f32x4(a[i], a[i + 4], 0x88), \
                      _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd)); \
        for (int i = 0; i < 2; i++) \
            c[i] = op(_mm512_unpacklo_ps(b[i], b[i + 2]), _mm512_unpackhi_ps(b[i], b[i + 2])); \
        __m512d even = _mm512_castps_pd(c[0]), odd = _mm512_castps_pd(c[1]); \
        v_f32 all = op(_mm512_castpd_ps(_mm512_unpacklo_pd(even, odd)), \
                       _mm512_castpd_ps(_mm512_unpackhi_pd(even, odd))); \
        return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, \
                                                       12, 14, 13, 15), all); \
    }
V_TREE(v_min_tree, v_min)
V_TREE(v_max_tree, v_max)

/* ------------------------------------------------------------------- tables */

/* 16 values, chosen by the low four bits of a lane. */
typedef v_f32 v_table4;

V_INLINE v_table4 v_table4_load(const void *table) { return _mm512_loadu_ps(table); }
V_INLINE void v_table4_store(float *p, v_table4 t) { _mm512_storeu_ps(p, t); }
V_INLINE v_table4 v_table4_mul(v_table4 t, float f) { return t * v_set1(f); }
V_INLINE v_table4 v_table4_sub(v_table4 t, float f) { return t - v_set1(f); }
V_INLINE v_f32 v_table4_at(v_table4 t, v_u32 i)
{
    return _mm512_permutexvar_ps((__m512i)i, t);
}

/* 8 values, chosen by a lane below 8. */
typedef v_f32 v_table3;

V_INLINE v_table3 v_table3_load(const float *table)
{
    return _mm512_castps256_ps512(_mm256_loadu_ps(table));
}
V_INLINE v_f32 v_table3_at(v_table3 t, v_u32 i) { return _mm512_permutexvar_ps((__m512i)i, t); }

/* -------------------------------------------------------------------- ladders */

/* lqi_ladder in registers. */
typedef struct v_ladder {
    v_table4 threshold, code;
    v_f32    bins;
    v_u32    below[2];
} v_ladder;

V_INLINE v_ladder v_ladder_load(const lqi_ladder *t)
{
    return (v_ladder){ v_table4_load(t->threshold), v_table4_load(t->code), v_set1(t->bins),
                       { (v_u32)_mm512_loadu_si512(t->below),
                         (v_u32)_mm512_loadu_si512(t->below + 16) } };
}

/* Thresholds lie between -1 and 1: what is beyond (vrangeps: lesser magnitude, sign of y) may
 * move there.  Rounding down to an integer is the bin, in the low bits of the mantissa; of the
 * thresholds one at most is in it. */
V_INLINE v_u32 v_ladder_code(const v_ladder *t, v_f32 y)
{
    y = _mm512_range_ps(y, v_set1(1), 2);
    __m512i bin = (__m512i)_mm512_fmadd_round_ps(y, t->bins, v_set1(12582912.0f + 16),
                                                 _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512i rank = _mm512_permutex2var_epi32((__m512i)t->below[0], bin, (__m512i)t->below[1]);
    __mmask16 above = _mm512_cmp_ps_mask(v_table4_at(t->threshold, (v_u32)rank), y, _CMP_LT_OQ);

    rank = _mm512_mask_add_epi32(rank, above, rank, _mm512_set1_epi32(1));
    return (v_u32)v_table4_at(t->code, (v_u32)rank);
}

/* 32 values in v_f32 t[], as rows of 8 or of 4.  Number i of the k-th row of 8, for lanes
 * whose low three bits are i and whose bit 3 is k & 1. */
V_INLINE v_f32 v_of_8(const v_f32 *t, int k, v_u32 i)
{
    return _mm512_permutexvar_ps((__m512i)i, t[k / 2]);
}

/* The k-th row of 4, everywhere; and its number i, for lanes whose low two bits are i. */
V_INLINE v_f32 v_spread_4(const v_f32 *t, int k)
{
    __m512i four = _mm512_add_epi32(_mm512_set1_epi32(4 * (k % 4)), _mm512_set4_epi32(3, 2, 1, 0));
    return _mm512_permutexvar_ps(four, t[k / 4]);
}

V_INLINE v_f32 v_of_4(v_f32 four, v_u32 i) { return _mm512_permutevar_ps(four, (__m512i)i); }

/* ------------------------------------------------------------------ nibbles */

/* The nibbles of 8 bytes in the low four bits of 16 lanes; what is above means nothing.
 * Every lane sees all eight bytes and takes 8 bits from where it says. */
V_INLINE v_u32 v_nibbles_from(const uint8_t *p, __m512i place)
{
    return (v_u32)_mm512_multishift_epi64_epi8(place, _mm512_set1_epi64((int64_t)lqi_load64(p)));
}

V_INLINE v_u32 v_nibbles_high(const uint8_t *p)
{
    return v_nibbles_from(p, _mm512_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24, 36, 32, 44, 40, 52,
                                               48, 60, 56));
}

V_INLINE v_u32 v_nibbles_low(const uint8_t *p)
{
    return v_nibbles_from(p, _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48,
                                               52, 56, 60));
}

/* Lanes below 16 to half as many bytes, the low or the high nibble of each first. */
V_INLINE void v_store_nibbles_low(uint8_t *p, v_u32 u)
{
    __m512i pairs = _mm512_or_si512((__m512i)u, _mm512_srli_epi64((__m512i)u, 28));
    _mm_storel_epi64((__m128i *)p, _mm512_cvtepi64_epi8(pairs));
}

V_INLINE void v_store_nibbles_high(uint8_t *p, v_u32 u)
{
    __m512i pairs = _mm512_or_si512(_mm512_slli_epi64((__m512i)u, 4),
                                    _mm512_srli_epi64((__m512i)u, 32));
    _mm_storel_epi64((__m128i *)p, _mm512_cvtepi64_epi8(pairs));
}

/* The same for four vectors, in their order: dword i gathers lane i of each, pairs of dwords
 * are joined, and a permutation puts the bytes where they belong. */
V_INLINE void v_store_nibbles4(uint8_t *p, const v_u32 u[4], unsigned high_first)
{
    __m512i all = (__m512i)(u[0] | u[1] << 8 | u[2] << 16 | u[3] << 24);
    __m512i pairs = high_first ? _mm512_or_si512(_mm512_slli_epi64(all, 4),
                                                 _mm512_srli_epi64(all, 32))
                               : _mm512_or_si512(all, _mm512_srli_epi64(all, 28));
    const __m512i order = _mm512_castsi256_si512(_mm256_setr_epi8(
        0, 8, 16, 24, 32, 40, 48, 56, 1, 9, 17, 25, 33, 41, 49, 57,
        2, 10, 18, 26, 34, 42, 50, 58, 3, 11, 19, 27, 35, 43, 51, 59));

    _mm256_storeu_si256((__m256i *)p,
                        _mm512_castsi512_si256(_mm512_permutexvar_epi8(order, pairs)));
}

/* The low byte of each lane of four vectors. */
V_INLINE void v_store_bytes4(uint8_t *p, const v_u32 u[4])
{
    const __m512i order = _mm512_castsi256_si512(_mm256_setr_epi8(
        0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60,
        64, 68, 72, 76, 80, 84, 88, 92, 96, 100, 104, 108, 112, 116, 120, 124));
    __m512i low = _mm512_permutex2var_epi8((__m512i)u[0], order, (__m512i)u[1]);
    __m512i high = _mm512_permutex2var_epi8((__m512i)u[2], order, (__m512i)u[3]);

    _mm512_storeu_si512(p, _mm512_inserti64x4(low, _mm512_castsi512_si256(high), 1));
}

/* Numbers 0..255 of a table of bytes. */
V_INLINE __m512i v_byte_of_256(const uint8_t *t, __m512i i)
{
    __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(t), i, _mm512_loadu_si512(t + 64));
    __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(t + 128), i,
                                            _mm512_loadu_si512(t + 192));

    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(i), low, high);
}

/* Values of 64 codes, byte by byte.  Dwords of codes are transposed first, 4 x 4, so that
 * the unpacking of 128-bit lanes leaves them in order. */
V_INLINE void v_map8_load4(const lqi_map8 *map, const uint8_t *codes, v_f32 y[4])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i i = _mm512_permutexvar_epi32(order, _mm512_loadu_si512(codes)), b[4], w[4];

    for (int k = 0; k < 4; k++)
        b[k] = v_byte_of_256(map->byte[k], i);
    for (int k = 0; k < 4; k += 2) {
        w[k] = _mm512_unpacklo_epi8(b[k], b[k + 1]);
        w[k + 1] = _mm512_unpackhi_epi8(b[k], b[k + 1]);
    }
    for (int k = 0; k < 2; k++) {
        y[2 * k] = _mm512_castsi512_ps(_mm512_unpacklo_epi16(w[k], w[k + 2]));
        y[2 * k + 1] = _mm512_castsi512_ps(_mm512_unpackhi_epi16(w[k], w[k + 2]));
    }
}

/* 8 bytes to 16 numbers: the low nibbles, then the high ones. */
V_INLINE void v_table4_split8(v_table4 t, const uint8_t *q, float *y)
{
    const __m512i place = _mm512_setr_epi32(0, 8, 16, 24, 32, 40, 48, 56, 4, 12, 20, 28, 36, 44,
                                            52, 60);

    v_store(y, v_table4_at(t, v_nibbles_from(q, place)));
}

/* --------------------------------------------------------------- streams of bits */

/* Codes of 'bits' bits: which two bytes each lies in, and where. */
typedef struct v_stream {
    __m512i bytes, shift, mask;
} v_stream;

#define V_STREAM_BYTES 16   /* that v_stream_at() reads */

V_INLINE v_stream v_stream_of(unsigned bits)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i at = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)bits));
    __m512i byte = _mm512_srli_epi32(at, 3);
    __m512i two = _mm512_or_si512(byte, _mm512_slli_epi32(byte, 8));

    return (v_stream){ _mm512_add_epi32(two, _mm512_set1_epi32((int)0x80800100)),
                       _mm512_and_si512(at, _mm512_set1_epi32(7)),
                       _mm512_set1_epi32((1 << bits) - 1) };
}

/* V_LANES codes from the start of a byte on. */
V_INLINE v_u32 v_stream_at(const v_stream *s, const uint8_t *p)
{
    __m512i all = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p));
    __m512i two = _mm512_shuffle_epi8(all, s->bytes);

    return (v_u32)_mm512_and_si512(_mm512_srlv_epi32(two, s->shift), s->mask);
}

/* ------------------------------------------------------------- 8-bit floats */

/* By way of f16: E5M2 is its upper byte; E4M3 fits with its exponent off by 8, numbers over
 * 256, of which NaN codes are none. */
V_INLINE v_f32 v_from_e5m2(const uint8_t *p)
{
    __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
    return _mm512_cvtph_ps(_mm256_slli_epi16(wide, 8));
}

V_INLINE v_f32 v_from_e4m3(const uint8_t *p)
{
    __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
    __m256i half = _mm256_or_si256(
        _mm256_and_si256(_mm256_slli_epi16(wide, 7), _mm256_set1_epi16(0x3f80)),
        _mm256_and_si256(wide, _mm256_set1_epi16(-0x8000)));
    return _mm512_cvtph_ps(half);
}

/* ------------------------------------------------------------- 6-bit floats */

/* A sign, and 'man' bits of mantissa below the exponent.  The table has the positive ones. */
typedef struct v_float6 { v_f32 low, high; } v_float6;

V_INLINE v_float6 v_float6_of(const float *table, unsigned man, unsigned bias)
{
    (void)man, (void)bias;
    return (v_float6){ v_load(table), v_load(table + 16) };
}

V_INLINE v_f32 v_float6_at(const v_float6 *t, v_u32 code)
{
    v_f32 magnitude = _mm512_permutex2var_ps(t->low, (__m512i)code, t->high);

    return v_as_f32(v_as_u32(magnitude) | (code << 26 & 0x80000000));
}

/* -------------------------------------------------------- sixteen levels */

/* lqi_levels in registers. */
typedef struct v_levels {
    v_table4 level, middle;
    v_f32    bins;
    v_u32    below[2];
} v_levels;

V_INLINE v_levels v_levels_load(const lqi_levels *t)
{
    return (v_levels){ v_table4_load(t->level), v_table4_load(t->middle), v_set1(t->bins),
                       { (v_u32)_mm512_loadu_si512(t->below),
                         (v_u32)_mm512_loadu_si512(t->below + 16) } };
}

/* Code of the nearest level, for v inside the bins: one midpoint at most is in its bin. */
V_INLINE v_u32 v_levels_code(const v_levels *t, v_f32 v)
{
    __m512i bin = (__m512i)v_add(v_mul(v, t->bins), v_set1(12582912.0f + 16));
    __m512i code = _mm512_permutex2var_epi32((__m512i)t->below[0], bin, (__m512i)t->below[1]);
    __mmask16 above = _mm512_cmp_ps_mask(v_table4_at(t->middle, (v_u32)code), v, _CMP_LE_OQ);

    return (v_u32)_mm512_mask_add_epi32(code, above, code, _mm512_set1_epi32(1));
}

V_INLINE void v_store_u32(uint32_t *p, v_u32 u) { _mm512_storeu_si512(p, (__m512i)u); }

/* ------------------------------------------------------------ bytes of panels */

/* Four bytes in each lane; bytes carry no sign where they meet a dot product. */
#define V_SIGNED 0
typedef __m512i v_bytes;

V_INLINE v_bytes v_bytes_load(const void *p) { return _mm512_loadu_si512(p); }
V_INLINE v_u32 v_bytes_lanes(v_bytes v) { return (v_u32)v; }
V_INLINE void v_bytes_store(void *p, v_bytes v) { _mm512_storeu_si512(p, v); }
V_INLINE v_bytes v_bytes_set(uint8_t b) { return _mm512_set1_epi8((char)b); }
V_INLINE v_bytes v_bytes_repeat(v_u32 low)   /* the low byte of each lane */
{
    return (v_bytes)((low & v_set1u(255)) * v_set1u(0x01010101));
}
V_INLINE v_bytes v_bytes_and(v_bytes a, v_bytes b) { return _mm512_and_si512(a, b); }
V_INLINE v_bytes v_bytes_add(v_bytes a, v_bytes b) { return _mm512_add_epi8(a, b); }
V_INLINE v_bytes v_bytes_sub(v_bytes a, v_bytes b) { return _mm512_sub_epi8(a, b); }

/* Halves of 16 bits to the right; 'n' is a constant. */
#define v_bytes_shr(v, n) _mm512_srli_epi16(v, n)

/* Bits of a where the mask is 1, of b where it is 0. */
V_INLINE v_bytes v_bytes_mix(v_bytes mask, v_bytes a, v_bytes b)
{
    return _mm512_ternarylogic_epi64(mask, a, b, 0xca);
}

/* 64 bytes by the low six bits of a byte: smaller tables repeat. */
typedef __m512i v_table6;

V_INLINE v_table6 v_table6_load(const uint8_t t[64]) { return _mm512_loadu_si512(t); }
V_INLINE v_bytes v_table6_at(v_table6 t, v_bytes i, const int bits)
{
    (void)bits;
    return _mm512_permutexvar_epi8(i, t);
}

/* By bits 7..4 of each byte. */
V_INLINE v_bytes v_table6_top(v_table6 t, v_bytes i)
{
    return v_table6_at(t, v_bytes_shr(i, 4), 4);
}

/* By bits 5..3 of each byte, from a table made for that. */
V_INLINE v_bytes v_table6_high(v_table6 t, v_bytes i) { return _mm512_permutexvar_epi8(i, t); }

/* sum + w[0] x[0] + .. + w[3] x[3], w without sign, x with */
V_INLINE v_u32 v_dot4(v_u32 sum, v_bytes w, v_u32 x)
{
    return (v_u32)_mm512_dpbusd_epi32((__m512i)sum, w, (__m512i)x);
}

/* With x[i], a broadcast. */
V_INLINE v_u32 v_dot4_of(v_u32 sum, v_bytes w, const int32_t *x, const int i)
{
    return v_dot4(sum, w, v_set1u((uint32_t)x[i]));
}

/* The same of 16-bit halves. */
V_INLINE v_u32 v_dot2(v_u32 sum, v_u32 w, v_u32 x)
{
    return (v_u32)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
}

V_INLINE v_u32 v_load_u32(const void *p) { return (v_u32)_mm512_loadu_si512(p); }
V_INLINE v_f32 v_load_f32(const void *p) { return _mm512_loadu_ps(p); }
V_INLINE uint32_t v_usum_all(v_u32 u) { return (uint32_t)_mm512_reduce_add_epi32((__m512i)u); }
