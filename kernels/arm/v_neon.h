/* SPDX-License-Identifier: MIT */
/*
 * kernels/arm/v_neon.h - the vector vocabulary in NEON: V_REGS registers of 4 floats
 *
 * One register where loops carry many vectors (searches, products), two where codes come in
 * eights (decoders, encoders).  A word is written for register k of its vectors.
 *
 * Nothing here estimates or fuses: reciprocals are divisions, a maximum is a comparison
 * and a selection (FMAX and FMAXNM treat NaN otherwise), and FPCR is left as the system
 * sets it: nearest even, denormals are numbers.
 */
#if !defined(__aarch64__) || defined(__AARCH64EB__)
#error "this unit needs 64-bit ARM, little-endian"
#endif
#if V_REGS != 1 && V_REGS != 2
#error "V_REGS: registers of a vector, 1 or 2"
#endif

#include <arm_neon.h>

#define V_LANES (4 * V_REGS)
#define V_INLINE static inline __attribute__((always_inline))
#define V_NOINLINE __attribute__((noinline))

typedef float v_f32 __attribute__((vector_size(16 * V_REGS)));

/* Lanes of 32 bits, with the operators of the language: + - & | << >> (logical). */
typedef uint32_t v_u32 __attribute__((vector_size(16 * V_REGS)));

/* All bits of the lanes where a comparison holds; none where a NaN takes part. */
typedef v_u32 v_mask;

typedef union v_regs {
    v_f32       f;
    v_u32       u;
    float32x4_t f4[V_REGS];
    uint32x4_t  u4[V_REGS];
} v_regs;

/* Registers of arguments and results. */
#define F4(v) ((v_regs){ .f = (v) }.f4[k])
#define U4(v) ((v_regs){ .u = (v) }.u4[k])
#define EACH_REG for (int k = 0; k < V_REGS; k++)
#define V_WORD_F32(head, register_k) \
    V_INLINE v_f32 head { v_regs r; EACH_REG r.f4[k] = register_k; return r.f; }
#define V_WORD_U32(head, register_k) \
    V_INLINE v_u32 head { v_regs r; EACH_REG r.u4[k] = register_k; return r.u; }

/* Four numbers for the lanes of register k; i of lane i of the first. */
#define V_LANE4(a, b, c, d) ((uint32x4_t){ a, b, c, d })
#define V_IOTA4 (V_LANE4(0, 1, 2, 3) + vdupq_n_u32((uint32_t)(4 * k)))
#define V_BIT4  vshlq_u32(vdupq_n_u32(1), vreinterpretq_s32_u32(V_IOTA4))

/* ------------------------------------------------------- numbers, arithmetic */

V_WORD_F32(v_load(const float *p), vld1q_f32(p + 4 * k))
V_INLINE void v_store(float *p, v_f32 v) { EACH_REG vst1q_f32(p + 4 * k, F4(v)); }
V_WORD_F32(v_set1(float f), vdupq_n_f32(f))
V_WORD_F32(v_iota(void), vcvtq_f32_u32(V_IOTA4))

V_INLINE v_f32 v_add(v_f32 a, v_f32 b) { return a + b; }
V_INLINE v_f32 v_sub(v_f32 a, v_f32 b) { return a - b; }
V_INLINE v_f32 v_mul(v_f32 a, v_f32 b) { return a * b; }
V_INLINE v_f32 v_div(v_f32 a, v_f32 b) { return a / b; }
V_INLINE v_f32 v_neg(v_f32 a) { return -a; }
V_WORD_F32(v_sqrt(v_f32 a), vsqrtq_f32(F4(a)))
V_WORD_F32(v_abs(v_f32 a), vabsq_f32(F4(a)))
V_WORD_F32(v_fma(v_f32 a, v_f32 b, v_f32 c), vfmaq_f32(F4(c), F4(a), F4(b)))
V_INLINE float v_fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

/* a > b ? a : b and a < b ? a : b: a NaN on either side gives b */
V_WORD_F32(v_max(v_f32 a, v_f32 b), vbslq_f32(vcgtq_f32(F4(a), F4(b)), F4(a), F4(b)))
V_WORD_F32(v_min(v_f32 a, v_f32 b), vbslq_f32(vcltq_f32(F4(a), F4(b)), F4(a), F4(b)))

/* Halves are added until two numbers are left, then these. */
V_INLINE float v_sum(v_f32 v)
{
    float32x4_t s = (v_regs){ .f = v }.f4[0];

#if V_REGS == 2
    s = vaddq_f32(s, (v_regs){ .f = v }.f4[1]);
#endif
    float32x2_t two = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* Of numbers without NaN. */
V_INLINE float v_min_all(v_f32 v)
{
    float32x4_t least = (v_regs){ .f = v }.f4[0];

    EACH_REG least = vminq_f32(least, F4(v));
    return vminvq_f32(least);
}

V_INLINE float v_max_all(v_f32 v)
{
    float32x4_t most = (v_regs){ .f = v }.f4[0];

    EACH_REG most = vmaxq_f32(most, F4(v));
    return vmaxvq_f32(most);
}

/* -------------------------------------------------------------------- masks */

V_WORD_U32(v_lt(v_f32 a, v_f32 b), vcltq_f32(F4(a), F4(b)))
V_WORD_U32(v_eq(v_f32 a, v_f32 b), vceqq_f32(F4(a), F4(b)))
V_INLINE v_mask v_both(v_mask a, v_mask b) { return a & b; }
V_INLINE v_mask v_either(v_mask a, v_mask b) { return a | b; }
V_INLINE v_mask v_not(v_mask a) { return ~a; }
V_WORD_F32(v_select(v_mask m, v_f32 yes, v_f32 no), vbslq_f32(U4(m), F4(yes), F4(no)))

/* u + 1 in the lanes of m. */
V_INLINE v_u32 v_count(v_mask m, v_u32 u) { return u - m; }

/* Lane i in bit i. */
V_INLINE uint32_t v_bits(v_mask m)
{
    uint32x4_t bits = vdupq_n_u32(0);

    EACH_REG bits |= U4(m) & V_BIT4;
    return vaddvq_u32(bits);
}

/* Bit i is the top bit of lane i. */
V_INLINE uint32_t v_top_bits(v_u32 u)
{
    uint32x4_t bits = vdupq_n_u32(0);

    EACH_REG bits |= vshlq_u32(U4(u) >> 31, vreinterpretq_s32_u32(V_IOTA4));
    return vaddvq_u32(bits);
}

/* Whether one of two vectors has a NaN. */
V_INLINE int v_any_nan2(v_f32 a, v_f32 b)
{
    return v_bits(v_both(v_eq(a, a), v_eq(b, b))) != (1u << V_LANES) - 1;
}
V_INLINE int v_any_nan(v_f32 v) { return v_any_nan2(v, v); }

/* ----------------------------------------------------------------- integers */

V_WORD_U32(v_set1u(uint32_t u), vdupq_n_u32(u))
V_INLINE v_u32 v_as_u32(v_f32 v) { return (v_u32)v; }
V_INLINE v_f32 v_as_f32(v_u32 u) { return (v_f32)u; }
V_WORD_F32(v_int_to_f32(v_u32 u), vcvtq_f32_s32(vreinterpretq_s32_u32(U4(u))))
V_WORD_U32(v_trunc(v_f32 v), vreinterpretq_u32_s32(vcvtq_s32_f32(F4(v))))
V_WORD_U32(v_sra(v_u32 u, int n),   /* >> with copies of the sign */
           vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(U4(u)), vdupq_n_s32(-n))))
V_WORD_U32(v_umax(v_u32 a, v_u32 b), vmaxq_u32(U4(a), U4(b)))
V_WORD_U32(v_umin(v_u32 a, v_u32 b), vminq_u32(U4(a), U4(b)))
V_WORD_U32(v_where_uless(v_u32 a, v_u32 b, v_u32 x, v_u32 y),
           vbslq_u32(vcltq_u32(U4(a), U4(b)), U4(x), U4(y)))

V_INLINE uint32_t v_umax_all(v_u32 u)
{
    uint32x4_t most = vdupq_n_u32(0);

    EACH_REG most = vmaxq_u32(most, U4(u));
    return vmaxvq_u32(most);
}

V_INLINE uint32_t v_usum_all(v_u32 u)
{
    uint32x4_t sum = vdupq_n_u32(0);

    EACH_REG sum += U4(u);
    return vaddvq_u32(sum);
}

V_WORD_U32(v_load_u32(const void *p),
           vreinterpretq_u32_u8(vld1q_u8((const uint8_t *)p + 16 * k)))
V_WORD_F32(v_load_f32(const void *p),
           vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)p + 16 * k)))
V_INLINE void v_store_u32(uint32_t *p, v_u32 u) { EACH_REG vst1q_u32(p + 4 * k, U4(u)); }

/* The low byte of each lane as u32. */
V_INLINE void v_store_codes(uint32_t *p, v_f32 v) { v_store_u32(p, v_as_u32(v) & 255); }

V_WORD_U32(v_gather(const int32_t *p, v_u32 i),
           V_LANE4((uint32_t)p[i[4 * k]], (uint32_t)p[i[4 * k + 1]], (uint32_t)p[i[4 * k + 2]],
                   (uint32_t)p[i[4 * k + 3]]))

/* ---------------------------------------------------- 16- and 8-bit elements */

/* V_LANES bytes; of one register's the rest is anything. */
V_INLINE uint8x8_t v_load_bytes(const uint8_t *p)
{
#if V_REGS == 1
    return vreinterpret_u8_u32(vdup_n_u32(lqi_load32(p)));
#else
    return vld1_u8(p);
#endif
}

/* Register k of eight halves as words. */
#define V_WIDEN_U16(w) (k ? vmovl_high_u16(w) : vmovl_u16(vget_low_u16(w)))
#define V_WIDEN_S16(w) (k ? vmovl_high_s16(w) : vmovl_s16(vget_low_s16(w)))

/* The low halves of lanes: four of each register. */
V_INLINE uint16x8_t v_narrow(v_u32 u)
{
    const v_regs r = { .u = u };

    return vcombine_u16(vmovn_u32(r.u4[0]), vmovn_u32(r.u4[V_REGS - 1]));
}

V_INLINE void v_store_narrow(uint8_t *p, uint16x8_t u)
{
#if V_REGS == 1
    lqi_store32(p, vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(u)), 0));
#else
    vst1_u8(p, vmovn_u16(u));
#endif
}

V_WORD_U32(v_load_u8(const uint8_t *p), V_WIDEN_U16(vmovl_u8(v_load_bytes(p))))
V_WORD_F32(v_from_i8(const uint8_t *p),
           vcvtq_f32_s32(V_WIDEN_S16(vmovl_s8(vreinterpret_s8_u8(v_load_bytes(p))))))
V_WORD_U32(v_load_u16(const uint16_t *p), vmovl_u16(vld1_u16(p + 4 * k)))

/* The low byte of each lane, the low half of each lane. */
V_INLINE void v_store_bytes(uint8_t *p, v_f32 v) { v_store_narrow(p, v_narrow(v_as_u32(v))); }
V_INLINE void v_store_u16(uint16_t *p, v_u32 u)
{
    EACH_REG vst1_u16(p + 4 * k, vmovn_u32(U4(u)));
}

/* Numbers of 16 bits lie where they like. */
#define V_LOAD_16(p) vld1_u8((const uint8_t *)(p) + 8 * k)

V_WORD_F32(v_from_f16(const void *p), vcvt_f32_f16(vreinterpret_f16_u8(V_LOAD_16(p))))
V_WORD_F32(v_from_f16_bits(v_u32 u), vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(U4(u)))))
V_WORD_F32(v_from_bf16(const void *p),
           vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(V_LOAD_16(p)), 16)))

V_INLINE void v_to_f16(void *p, v_f32 v)
{
    EACH_REG vst1_u8((uint8_t *)p + 8 * k, vreinterpret_u8_f16(vcvt_f16_f32(F4(v))));
}

/* One f16; NaN keeps its payload but is quieted. */
V_INLINE float v_f16_scalar(uint16_t h)
{
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0);
}

/* Nearest even by integer addition, in the upper halves. */
V_INLINE v_u32 v_round_bf16(v_f32 v)
{
    v_u32 bits = v_as_u32(v);

    return bits + (bits >> 16 & 1) + 0x7fff;
}

V_INLINE void v_store_upper(void *p, v_u32 u)
{
    EACH_REG vst1_u8((uint8_t *)p + 8 * k, vreinterpret_u8_u16(vshrn_n_u32(U4(u), 16)));
}

/* NaN is quieted. */
V_INLINE void v_to_bf16(void *p, v_f32 v)
{
    v_f32 quiet = v_as_f32(v_as_u32(v) | 0x400000);

    v_store_upper(p, v_as_u32(v_select(v_eq(v, v), v_as_f32(v_round_bf16(v)), quiet)));
}

/* Two vectors without NaN. */
V_INLINE void v_to_bf16_2(void *p, v_f32 a, v_f32 b)
{
    v_store_upper(p, v_round_bf16(a));
    v_store_upper((uint8_t *)p + 2 * V_LANES, v_round_bf16(b));
}

/* ------------------------------------------------------------------- tables */

/* Bytes of table entry i, for lanes i below the number of entries. */
#define V_ENTRY(i) \
    vreinterpretq_u8_u32(vmlaq_u32(vdupq_n_u32(0x03020100), i, vdupq_n_u32(0x04040404)))

/* 16 values, chosen by the low four bits of a lane. */
typedef uint8x16x4_t v_table4;

V_INLINE v_table4 v_table4_load(const void *table)
{
    const uint8_t *t = table;

    return (v_table4){ { vld1q_u8(t), vld1q_u8(t + 16), vld1q_u8(t + 32), vld1q_u8(t + 48) } };
}

V_INLINE void v_table4_store(float *p, v_table4 t)
{
    for (int i = 0; i < 4; i++)
        vst1q_f32(p + 4 * i, vreinterpretq_f32_u8(t.val[i]));
}

V_INLINE v_table4 v_table4_mul(v_table4 t, float f)
{
    for (int i = 0; i < 4; i++)
        t.val[i] = vreinterpretq_u8_f32(vreinterpretq_f32_u8(t.val[i]) * vdupq_n_f32(f));
    return t;
}

V_INLINE v_table4 v_table4_sub(v_table4 t, float f)
{
    for (int i = 0; i < 4; i++)
        t.val[i] = vreinterpretq_u8_f32(vreinterpretq_f32_u8(t.val[i]) - vdupq_n_f32(f));
    return t;
}

V_WORD_F32(v_table4_at(v_table4 t, v_u32 i),
           vreinterpretq_f32_u8(vqtbl4q_u8(t, V_ENTRY(vandq_u32(U4(i), vdupq_n_u32(15))))))

/* 8 values, chosen by the low three bits. */
V_INLINE v_f32 v_of_two(float32x4_t low, float32x4_t high, v_u32 i)
{
    const uint8x16x2_t t = { { vreinterpretq_u8_f32(low), vreinterpretq_u8_f32(high) } };
    v_regs r;

    EACH_REG {
        uint8x16_t bytes = V_ENTRY(vandq_u32(U4(i), vdupq_n_u32(7)));
        r.f4[k] = vreinterpretq_f32_u8(vqtbl2q_u8(t, bytes));
    }
    return r.f;
}

/* 4 values, chosen by the low two bits. */
V_WORD_F32(v_table2_at(float32x4_t t, v_u32 i),
           vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(t),
                                           V_ENTRY(vandq_u32(U4(i), vdupq_n_u32(3))))))

/* 2 i + 1 where m */
V_INLINE v_u32 v_bisect(v_u32 i, v_mask m) { return i + i - m; }
