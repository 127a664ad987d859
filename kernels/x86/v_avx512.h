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

typedef __m512 v_f32;

V_INLINE v_f32 v_load(const float *p) { return _mm512_loadu_ps(p); }
V_INLINE void  v_store(float *p, v_f32 v) { _mm512_storeu_ps(p, v); }
V_INLINE v_f32 v_set1(float f) { return _mm512_set1_ps(f); }
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

V_INLINE v_f32 v_from_i8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* ------------------------------------------------------------ 16-value table */

typedef v_f32 v_table4;

V_INLINE v_table4 v_table4_load(const float *table, float scale)
{
    return v_mul(v_load(table), v_set1(scale));
}

/* Values of 16 nibbles in 8 bytes, the high nibble of each byte first: dword lane i sees
 * byte i / 2; the permute looks at the low four bits only, so a shift is the unpacking. */
V_INLINE v_f32 v_table4_high(v_table4 t, const uint8_t *p)
{
    const __m512i shift = _mm512_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24,
                                            4, 0, 12, 8, 20, 16, 28, 24);
    __m512i word = _mm512_castsi256_si512(_mm256_set1_epi32((int)lqi_load32(p)));
    word = _mm512_inserti64x4(word, _mm256_set1_epi32((int)lqi_load32(p + 4)), 1);
    return _mm512_permutexvar_ps(_mm512_srlv_epi32(word, shift), t);
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
