/* SPDX-License-Identifier: MIT */
/*
 * kernels/arm/v_neon_codes.h - words of decoders and encoders in NEON: codes come in eights
 */
#if !defined(V_REGS) || V_REGS != 2
#error "include v_neon.h with V_REGS 2 first"
#endif

/* Register k of eight halves. */
#define V_HALF(u16) (k ? vget_high_u16(u16) : vget_low_u16(u16))

/* All bits of lane i if bit i is set. */
V_WORD_U32(v_spread(uint32_t bits), vtstq_u32(vdupq_n_u32(bits), V_BIT4))

/* Eight bytes, the lowest first; and signed ones. */
V_WORD_U32(v_from_u8x8(uint64_t bytes), V_WIDEN_U16(vmovl_u8(vcreate_u8(bytes))))
V_WORD_F32(v_from_i8x8(const uint64_t *eight),
           vcvtq_f32_s32(V_WIDEN_S16(vmovl_s8(vcreate_s8(eight[0])))))

/* Pieces of eight numbers 'next' apart, of which a vector has one; and a number for each. */
V_INLINE v_f32 v_load_pieces(const float *p, size_t next)
{
    (void)next;
    return v_load(p);
}
V_INLINE v_f32 v_set_pieces(const float *f) { return v_set1(f[0]); }

/* The low byte of each lane of four vectors. */
V_INLINE void v_store_bytes4(uint8_t *p, const v_u32 u[4])
{
    for (int i = 0; i < 4; i++)
        v_store_narrow(p + 8 * i, v_narrow(u[i]));
}

/* Lane b of the result is the extreme of v[b], of numbers without NaN. */
#define V_TREE(name, op, pairs) \
    V_INLINE v_f32 name(const v_f32 v[8]) \
    { \
        float32x4_t a[8]; \
        v_regs r; \
        for (int i = 0; i < 8; i++) { \
            const v_regs both = { .f = v[i] }; \
            a[i] = op(both.f4[0], both.f4[1]); \
        } \
        EACH_REG r.f4[k] = pairs(pairs(a[4 * k], a[4 * k + 1]), \
                                 pairs(a[4 * k + 2], a[4 * k + 3])); \
        return r.f; \
    }
V_TREE(v_min_tree, vminq_f32, vpminq_f32)
V_TREE(v_max_tree, vmaxq_f32, vpmaxq_f32)

/* 8 values, chosen by a lane below 8. */
typedef v_f32 v_table3;

V_INLINE v_table3 v_table3_load(const float *table) { return v_load(table); }
V_INLINE v_f32 v_table3_at(v_table3 t, v_u32 i)
{
    const v_regs two = { .f = t };

    return v_of_two(two.f4[0], two.f4[1], i);
}

/* Values of 32 codes of an 8-bit state. */
V_INLINE void v_map8_load4(const lqi_map8 *map, const uint8_t *codes, v_f32 y[4])
{
    for (int i = 0; i < 4; i++) {
        float value[8];
        for (int lane = 0; lane < 8; lane++)
            value[lane] = map->value[codes[8 * i + lane]];
        y[i] = v_load(value);
    }
}

/* ------------------------------------------------------------------ nibbles */

/* The nibbles of 4 bytes in the low four bits of 8 lanes; what is above means nothing. */
V_WORD_U32(v_nibbles_low(const uint8_t *p),
           vshlq_u32(vdupq_n_u32(lqi_load32(p) >> 16 * k), (int32x4_t){ 0, -4, -8, -12 }))
V_WORD_U32(v_nibbles_high(const uint8_t *p),
           vshlq_u32(vdupq_n_u32(lqi_load32(p) >> 16 * k), (int32x4_t){ -4, 0, -12, -8 }))

/* Pairs of nibbles in halves to bytes: the low or the high nibble first. */
V_INLINE uint8x8_t v_join_nibbles(uint16x8_t pairs, unsigned high_first)
{
    return vmovn_u16(high_first ? vshlq_n_u16(pairs, 4) | vshrq_n_u16(pairs, 8)
                                : pairs | vshrq_n_u16(pairs, 4));
}

/* Lanes below 16 to half as many bytes. */
V_INLINE void v_store_nibbles(uint8_t *p, v_u32 u, unsigned high_first)
{
    uint16x4_t pairs = vreinterpret_u16_u8(vmovn_u16(v_narrow(u)));
    uint8x8_t bytes = v_join_nibbles(vcombine_u16(pairs, pairs), high_first);

    lqi_store32(p, vget_lane_u32(vreinterpret_u32_u8(bytes), 0));
}

V_INLINE void v_store_nibbles_low(uint8_t *p, v_u32 u) { v_store_nibbles(p, u, 0); }
V_INLINE void v_store_nibbles_high(uint8_t *p, v_u32 u) { v_store_nibbles(p, u, 1); }

/* The same for four vectors, in their order. */
V_INLINE void v_store_nibbles4(uint8_t *p, const v_u32 u[4], unsigned high_first)
{
    for (int i = 0; i < 4; i += 2) {
        uint8x16_t codes = vmovn_high_u16(vmovn_u16(v_narrow(u[i])), v_narrow(u[i + 1]));
        vst1_u8(p + 4 * i, v_join_nibbles(vreinterpretq_u16_u8(codes), high_first));
    }
}

/* 8 bytes to 16 numbers: the low nibbles, then the high ones. */
V_INLINE void v_table4_split8(v_table4 t, const uint8_t *q, float *y)
{
    v_u32 codes = v_load_u8(q);

    v_store(y, v_table4_at(t, codes));
    v_store(y + 8, v_table4_at(t, codes >> 4));
}

/* --------------------------------------------------------------- streams of bits */

/* Codes of 'bits' bits: which two bytes each lies in, and where; shifts are negative. */
typedef struct v_stream {
    uint8x16_t bytes[V_REGS];
    int32x4_t  shift[V_REGS];
    uint32x4_t mask;
} v_stream;

#define V_STREAM_BYTES 8   /* that v_stream_at() reads */

V_INLINE v_stream v_stream_of(unsigned bits)
{
    v_stream s = { .mask = vdupq_n_u32((1u << bits) - 1) };

    EACH_REG {
        uint32x4_t at = V_IOTA4 * vdupq_n_u32(bits), byte = at >> 3;
        s.bytes[k] = vreinterpretq_u8_u32((byte | byte << 8) + vdupq_n_u32(0x80800100));
        s.shift[k] = -vreinterpretq_s32_u32(at & 7);
    }
    return s;
}

/* V_LANES codes from the start of a byte on. */
V_INLINE v_u32 v_stream_at(const v_stream *s, const uint8_t *p)
{
    const uint8x16_t all = vcombine_u8(vld1_u8(p), vdup_n_u8(0));
    v_regs r;

    EACH_REG {
        uint32x4_t two = vreinterpretq_u32_u8(vqtbl1q_u8(all, s->bytes[k]));
        r.u4[k] = vshlq_u32(two, s->shift[k]) & s->mask;
    }
    return r.u;
}

/* ------------------------------------------------------------- 8-bit floats */

/* By way of f16: E5M2 is its upper byte; E4M3 fits with its exponent off by 8, numbers over
 * 256, of which NaN codes are none. */
V_WORD_F32(v_from_e5m2(const uint8_t *p),
           vcvt_f32_f16(vreinterpret_f16_u16(V_HALF(vshll_n_u8(vld1_u8(p), 8)))))

V_INLINE uint16x8_t v_e4m3_halves(const uint8_t *p)
{
    uint16x8_t wide = vreinterpretq_u16_s16(vmovl_s8(vreinterpret_s8_u8(vld1_u8(p))));

    return (wide << 7 & 0x3f80) | (wide & 0x8000);
}

V_WORD_F32(v_from_e4m3(const uint8_t *p),
           vcvt_f32_f16(vreinterpret_f16_u16(V_HALF(v_e4m3_halves(p)))))

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
    v_f32 magnitude = v_min(f, v_fma(f, v_set1(2), v_neg(least)));

    return v_as_f32(v_as_u32(magnitude) | (code << 26 & 0x80000000));
}

/* -------------------------------------------------------------------- ladders */

/* lqi_ladder in registers: thresholds in the order in which a bisection meets them. */
typedef struct v_ladder {
    v_f32       half, quarter[2];
    float32x4_t eighths;
    v_table3    sixteenths;
    v_table4    code;
} v_ladder;

V_INLINE v_ladder v_ladder_load(const lqi_ladder *ladder)
{
    const float *t = ladder->threshold;
    const float even[8] = { t[0], t[2], t[4], t[6], t[8], t[10], t[12], t[14] };

    return (v_ladder){ v_set1(t[7]), { v_set1(t[3]), v_set1(t[11]) },
                       (float32x4_t){ t[1], t[5], t[9], t[13] }, v_table3_load(even),
                       v_table4_load(ladder->code) };
}

V_INLINE v_u32 v_ladder_code(const v_ladder *t, v_f32 y)
{
    v_mask upper = v_lt(t->half, y);
    v_u32 i = v_bisect(v_bisect(v_set1u(0), upper),
                       v_lt(v_select(upper, t->quarter[1], t->quarter[0]), y));

    i = v_bisect(i, v_lt(v_table2_at(t->eighths, i), y));
    i = v_bisect(i, v_lt(v_table3_at(t->sixteenths, i), y));
    return v_as_u32(v_table4_at(t->code, i));
}
