/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/codes.h - numbers to codes, and codes to bits of a row
 *
 * A rounder turns V_LANES quotients (x over its scale, or times a factor) into codes; what
 * does not change within a group it takes from a "rounding".  Packers store whole vectors of
 * codes; put_codes() is for what does not fill one.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* What a rounder needs; each uses some of it. */
typedef struct rounding {
    v_f32     lo, hi;
    v_u32     zero;
    v_ladder  ladder;
    bin_terms bins;
} rounding;

typedef v_u32 rounder(const rounding *l, v_f32 t);

/* ----------------------------------------------------------------- integers */

#define TO_INTEGER 12582912.0f   /* 1.5 * 2^23: pushes the fraction out of the mantissa */

/* Nearest, ties to even, between lo and hi; counted from zero. */
V_INLINE v_u32 integer_of(const rounding *l, v_f32 t)
{
    v_f32 v = v_add(v_min(v_max(t, l->lo), l->hi), v_set1(TO_INTEGER));

    return v_as_u32(v) - v_as_u32(v_set1(TO_INTEGER)) + l->zero;
}

/* In units of 1/64. */
V_INLINE v_u32 fixed64_of(const rounding *l, v_f32 t)
{
    return integer_of(l, v_mul(t, v_set1(64))) & 255;
}

/* ------------------------------------------------------------- small floats */

/*
 * 'man' bits of mantissa.  Normal numbers round in integers, whose carry is right; for
 * subnormal ones adding a power of two that has their least value as its last place rounds
 * too.  Both to nearest, ties to even.
 */
V_INLINE v_u32 to_minifloat(v_f32 t, unsigned man, uint32_t bias, float aligner, uint32_t largest)
{
    const uint32_t shift = 23 - man, least = (128 - bias) << 23;
    v_u32 a = v_as_u32(t) & 0x7fffffff;
    v_u32 normal = (a - (least - (1u << 23)) + ((1u << (shift - 1)) - 1) + (a >> shift & 1)) >> shift;
    v_u32 small = v_as_u32(v_add(v_as_f32(a), v_set1(aligner))) - v_as_u32(v_set1(aligner));

    return v_where_uless(a, v_set1u(least), small, v_umin(normal, v_set1u(largest)));
}

#define MINIFLOAT(name, man, bias, aligner, largest, sign) \
    V_INLINE v_u32 name(const rounding *l, v_f32 t) \
    { \
        (void)l; \
        return to_minifloat(t, man, bias, aligner, largest) | \
               (v_as_u32(t) >> (31 - sign) & (1u << sign)); \
    }
MINIFLOAT(e4m3_of, 3, 7, 0x1p+14f, 0x7e, 7)
MINIFLOAT(e5m2_of, 2, 15, 0x1p+7f, 0x7b, 7)
MINIFLOAT(e2m3_of, 3, 1, 0x1p+20f, 31, 5)
MINIFLOAT(e3m2_of, 2, 3, 0x1p+19f, 31, 5)
MINIFLOAT(e2m1_of, 1, 1, 0x1p+22f, 7, 3)

/* ------------------------------------------------------------------ ladders */

V_INLINE v_u32 rung_of(const rounding *l, v_f32 t)
{
    return v_ladder_code(&l->ladder, t);
}

/* --------------------------------------------------------------------- bins */

V_INLINE rounding rounding_of_bins(const lqi_bins *b)
{
    return (rounding){ .bins = bins_load(b) };
}

V_INLINE v_u32 bin_of(const rounding *l, v_f32 t)
{
    return bins_code(&l->bins, t);
}

static void codes_of_bins(const lqi_bins *bins, const float *x, size_t n, uint8_t *codes)
{
    const rounding l = rounding_of_bins(bins);
    size_t i = 0;

    for (; i + V_LANES <= n; i += V_LANES)
        v_store_bytes(codes + i, v_as_f32(bin_of(&l, v_load(x + i))));
    for (; i < n; i++)
        codes[i] = lqi_bins_code(bins, x[i]);
}

/* ------------------------------------------------------------------ packing */

/* Where a format's codes lie: 'bits' each as a stream from the low end of bytes on; nibbles
 * also the other way round. */
typedef struct packing {
    unsigned bits, flip;
} packing;

/* Words of eight codes in bytes, the first one lowest. */
typedef uint64_t v_words __attribute__((vector_size(4 * V_LANES)));

/* Every second field of each word moves down by 'shift', next to the one before. */
V_INLINE v_words close_gaps(v_words w, uint64_t first, unsigned shift)
{
    return (w & first) | (w & ~first) >> shift;
}

/* Codes in bytes of each word to 'bits' bytes: pairs, fours and eights grow together. */
V_INLINE v_words squeeze(v_words w, unsigned bits)
{
    w = close_gaps(w, 0x00ff00ff00ff00ff, 8 - bits);
    w = close_gaps(w, 0x0000ffff0000ffff, 16 - 2 * bits);
    return close_gaps(w, 0x00000000ffffffff, 32 - 4 * bits);
}

/* n words of eight codes in bytes, to 'bits' bytes each; what is written beyond these the next
 * words overwrite. */
V_INLINE void store_words(uint8_t *out, const uint8_t bytes[4 * V_LANES], unsigned n,
                          unsigned bits)
{
    uint8_t packed[4 * V_LANES];
    v_words w;

    memcpy(&w, bytes, sizeof w);
    w = squeeze(w, bits);
    memcpy(packed, &w, sizeof w);
    for (unsigned i = 0; i < n; i++)
        memcpy(out + i * bits, packed + 8 * i, i * bits + 8 <= n * bits ? 8 : bits);
}

V_INLINE void store_bits(uint8_t *out, v_u32 codes, unsigned bits)
{
    uint8_t bytes[4 * V_LANES] = { 0 };

    v_store_bytes(bytes, v_as_f32(codes));
    store_words(out, bytes, V_LANES / 8, bits);
}

V_INLINE void store_bits4(uint8_t *out, const v_u32 codes[4], unsigned bits)
{
    uint8_t bytes[4 * V_LANES];

    v_store_bytes4(bytes, codes);
    store_words(out, bytes, V_LANES / 2, bits);
}

/* One vector of codes, to V_LANES * bits / 8 bytes. */
V_INLINE void store_codes(uint8_t *out, v_u32 codes, packing p)
{
    if (p.bits == 8)
        v_store_bytes(out, v_as_f32(codes));
    else if (p.bits == 4 && p.flip)
        v_store_nibbles_high(out, codes);
    else if (p.bits == 4)
        v_store_nibbles_low(out, codes);
    else
        store_bits(out, codes, p.bits);
}

/* Four vectors at once cost little more than one. */
V_INLINE void store_codes4(uint8_t *out, const v_u32 codes[4], packing p)
{
    if (p.bits == 8)
        v_store_bytes4(out, codes);
    else if (p.bits == 4)
        v_store_nibbles4(out, codes, p.flip);
    else
        store_bits4(out, codes, p.bits);
}

/* n codes from element e of a row on; other bits of shared bytes stay. */
V_INLINE void put_codes(uint8_t *row, uint64_t e, size_t n, const uint32_t *codes, packing p)
{
    uint32_t mask = (1u << p.bits) - 1;

    for (size_t i = 0; i < n; i++, e++) {
        uint8_t *byte = row + e / 8 * p.bits + e % 8 * p.bits / 8;
        unsigned shift = (unsigned)(e % 8 * p.bits % 8) ^ p.flip * 4;
        uint32_t code = (codes[i] & mask) << shift, keep = ~(mask << shift);
        byte[0] = (uint8_t)((byte[0] & keep) | code);
        if (shift + p.bits > 8)
            byte[1] = (uint8_t)((byte[1] & keep >> 8) | code >> 8);
    }
}
