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

typedef __m256 v_f32;

V_INLINE v_f32 v_load(const float *p) { return _mm256_loadu_ps(p); }
V_INLINE void  v_store(float *p, v_f32 v) { _mm256_storeu_ps(p, v); }
V_INLINE v_f32 v_set1(float f) { return _mm256_set1_ps(f); }
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

V_INLINE v_f32 v_from_i8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

/* ------------------------------------------------------------ 16-value table */

typedef struct v_table4 { v_f32 low, high; } v_table4;   /* entries 0-7, 8-15 */

V_INLINE v_table4 v_table4_load(const float *table, float scale)
{
    v_f32 s = v_set1(scale);
    return (v_table4){ v_mul(v_load(table), s), v_mul(v_load(table + 8), s) };
}

/* Values of 8 nibbles in 4 bytes, the high nibble of each byte first.  Permutes look at
 * the low three bits of an index; bit 3 moves to the sign and chooses the half. */
V_INLINE v_f32 v_table4_high(v_table4 t, const uint8_t *p)
{
    __m256i word = _mm256_set1_epi32((int)lqi_load32(p));
    __m256i index = _mm256_srlv_epi32(word, _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24));
    v_f32 a = _mm256_permutevar8x32_ps(t.low, index);
    v_f32 b = _mm256_permutevar8x32_ps(t.high, index);
    return _mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
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
