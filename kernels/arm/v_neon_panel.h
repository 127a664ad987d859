/* SPDX-License-Identifier: MIT */
/*
 * kernels/arm/v_neon_panel.h - words of panels in NEON: four bytes in each lane
 *
 * Dot products are of signed bytes at every level: SMMLA (8 products to a lane, two rows by
 * two columns), SDOT (4 products to a lane), or products in 16 bits whose neighbours are
 * added, which cannot overflow: activations are no less than -127.
 */
#if !defined(V_REGS) || V_REGS != 1
#error "include v_neon.h with V_REGS 1 first"
#endif

#define V_SIGNED 1

/* May lie outside of everything. */
V_INLINE void v_prefetch(uintptr_t address) { __builtin_prefetch((const void *)address); }

typedef uint8x16_t v_bytes;

V_INLINE v_bytes v_bytes_load(const void *p) { return vld1q_u8(p); }
V_INLINE void v_bytes_store(void *p, v_bytes v) { vst1q_u8(p, v); }
V_INLINE v_bytes v_bytes_set(uint8_t b) { return vdupq_n_u8(b); }
V_INLINE v_bytes v_bytes_repeat(v_u32 low)   /* the low byte of each lane */
{
    return (v_bytes)((low & 255) * 0x01010101);
}
V_INLINE v_bytes v_bytes_and(v_bytes a, v_bytes b) { return a & b; }
V_INLINE v_bytes v_bytes_add(v_bytes a, v_bytes b) { return a + b; }
V_INLINE v_bytes v_bytes_sub(v_bytes a, v_bytes b) { return a - b; }

V_INLINE v_u32 v_bytes_lanes(v_bytes v) { return vreinterpretq_u32_u8(v); }

/* Bytes to the right. */
#define v_bytes_shr(v, n) ((v) >> (n))

/* Bits of a where the mask is 1, of b where it is 0. */
V_INLINE v_bytes v_bytes_mix(v_bytes mask, v_bytes a, v_bytes b)
{
    return vbslq_u8(mask, a, b);
}

/* 64 bytes by the low six bits of a byte: smaller tables repeat.  'high': entries 8 i. */
typedef struct v_table6 {
    uint8x16x4_t all;
    uint8x16_t   high;
} v_table6;

V_INLINE v_table6 v_table6_load(const uint8_t t[64])
{
    const uint8x16x4_t all = { { vld1q_u8(t), vld1q_u8(t + 16), vld1q_u8(t + 32),
                                 vld1q_u8(t + 48) } };
    const uint8x16_t eighths = vreinterpretq_u8_u64(vdupq_n_u64(0x3830282018100800));

    return (v_table6){ all, vqtbl4q_u8(all, eighths) };
}

/* 'bits' of the index count: 3, 4 or 6. */
V_INLINE v_bytes v_table6_at(v_table6 t, v_bytes i, const int bits)
{
    return bits <= 4 ? vqtbl1q_u8(t.all.val[0], i & 15) : vqtbl4q_u8(t.all, i & 63);
}

/* By bits 7..4; and by bits 5..3, from a table made for that. */
V_INLINE v_bytes v_table6_top(v_table6 t, v_bytes i)
{
    return vqtbl1q_u8(t.all.val[0], i >> 4);
}

V_INLINE v_bytes v_table6_high(v_table6 t, v_bytes i)
{
    return vqtbl1q_u8(t.high, i >> 3 & 7);
}

/* ------------------------------------------------------------- dot products */

/* sum + w[0] x[0] + .. + w[3] x[3]; and the same of 16-bit halves. */
V_INLINE v_u32 v_dot4(v_u32 sum, v_bytes w, v_u32 x)
{
    int8x16_t a = vreinterpretq_s8_u8(w), b = vreinterpretq_s8_u32(x);
#if defined(__ARM_FEATURE_DOTPROD)
    return vreinterpretq_u32_s32(vdotq_s32(vreinterpretq_s32_u32(sum), a, b));
#else
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);

    low = vpaddq_s16(low, high);
    return vreinterpretq_u32_s32(vpadalq_s16(vreinterpretq_s32_u32(sum), low));
#endif
}

V_INLINE v_u32 v_dot2(v_u32 sum, v_u32 w, v_u32 x)
{
    int16x8_t a = vreinterpretq_s16_u32(w), b = vreinterpretq_s16_u32(x);
    int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b)), high = vmull_high_s16(a, b);

    return sum + vreinterpretq_u32_s32(vpaddq_s32(low, high));
}

/* With x[i], i a constant below 4; all four may be read. */
V_INLINE v_u32 v_dot4_of(v_u32 sum, v_bytes w, const int32_t *x, const int i)
{
#if defined(__ARM_FEATURE_DOTPROD)
    int8x16_t a = vreinterpretq_s8_u8(w), four = vreinterpretq_s8_s32(vld1q_s32(x));
    int32x4_t s = vreinterpretq_s32_u32(sum);

    switch (i) {
    case 0: s = vdotq_laneq_s32(s, a, four, 0); break;
    case 1: s = vdotq_laneq_s32(s, a, four, 1); break;
    case 2: s = vdotq_laneq_s32(s, a, four, 2); break;
    default: s = vdotq_laneq_s32(s, a, four, 3);
    }
    return vreinterpretq_u32_s32(s);
#else
    return v_dot4(sum, w, vreinterpretq_u32_s32(vdupq_n_s32(x[i])));
#endif
}

#if defined(__ARM_FEATURE_MATMUL_INT8)

/*
 * Matrices of 2 x 8 bytes.  Of lanes that are rows, two vectors with four columns each become
 * two with the eight columns of two rows; so do two columns of activations, x[0..1] and
 * next[0..1].  A sum has two rows of two columns; two of them are taken apart by columns.
 */
#define V_MATRIX 1

V_INLINE void v_matrix_rows(v_bytes *a, v_bytes *b)
{
    uint32x4_t first = vreinterpretq_u32_u8(*a), second = vreinterpretq_u32_u8(*b);

    *a = vreinterpretq_u8_u32(vzip1q_u32(first, second));
    *b = vreinterpretq_u8_u32(vzip2q_u32(first, second));
}

V_INLINE v_u32 v_matrix_columns(const int32_t *x, const int32_t *next)
{
    int32x2x2_t columns = vzip_s32(vld1_s32(x), vld1_s32(next));

    return vreinterpretq_u32_s32(vcombine_s32(columns.val[0], columns.val[1]));
}

V_INLINE v_u32 v_dot8(v_u32 sum, v_bytes w, v_u32 x)
{
    return vreinterpretq_u32_s32(vmmlaq_s32(vreinterpretq_s32_u32(sum), vreinterpretq_s8_u8(w),
                                            vreinterpretq_s8_u32(x)));
}

V_INLINE v_u32 v_matrix_first(v_u32 a, v_u32 b) { return vuzp1q_u32(a, b); }
V_INLINE v_u32 v_matrix_second(v_u32 a, v_u32 b) { return vuzp2q_u32(a, b); }

#endif
