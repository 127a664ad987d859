/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/decode_grids.h - decoders of superblocks of codebook entries
 *
 * The values of an entry are bytes: of 8 weights in one 64-bit word, or of 4 weights in
 * half of one.  Words are gathered by plain loads, 32 weights at a time; what follows is
 * done on whole vectors.  lib/format/grid_codes.c and iq1.h are the specification.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* Bit i of 'signs' negates weight i; a scale for each 16 weights. */
V_INLINE void signed_weights(const uint64_t *eight, uint32_t signs, float low, float high,
                             float *y)
{
    for (int i = 0; i < 32; i += V_LANES) {
        v_f32 v = v_mul(v_from_i8x8(eight + i / 8), v_set1(i < 16 ? low : high));
        v_store(y + i, v_as_f32(v_as_u32(v) ^ (v_spread(signs >> i) & 0x80000000)));
    }
}

/* Four bytes of 8 signs from as many of 7: the eighth makes the number of set ones even. */
V_INLINE uint32_t even_signs(uint32_t s)
{
    uint32_t parity = s ^ s >> 4;

    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return s | (parity & 0x01010101) << 7;
}

/* The same from 28 bits. */
V_INLINE uint32_t even_signs_packed(uint32_t s)
{
    return even_signs((s & 0x7f) | (s << 1 & 0x7f00) | (s << 2 & 0x7f0000) |
                      (s << 3 & 0x7f000000));
}

/* From the low four bits of a code. */
V_INLINE float half_scale(float d, uint32_t code, float unit)
{
    return d * (0.5f + (float)(code & 15)) * unit;
}

V_INLINE uint64_t entry_of_8(const lqi_run *run, uint32_t entry)
{
    return lqi_load64(run->codebook + 8 * (size_t)entry);
}

V_INLINE uint64_t entries_of_4(const lqi_run *run, uint32_t a, uint32_t b)
{
    return lqi_load32(run->codebook + 4 * (size_t)a) |
           (uint64_t)lqi_load32(run->codebook + 4 * (size_t)b) << 32;
}

/* --------------------------------------------------- entries of 8 weights */

V_INLINE void eights_u8(const lqi_run *run, const uint8_t *b, float *y)
{
    float d = load_f16(b);

    for (int j = 0; j < 8; j++, y += 32) {
        const uint8_t *entry = b + 2 + 8 * j;
        uint32_t code = lqi_load32(entry + 4);
        float scale = half_scale(d, code >> 28, 0.25f);
        uint64_t eight[4];
        for (int g = 0; g < 4; g++)
            eight[g] = entry_of_8(run, entry[g]);
        signed_weights(eight, even_signs_packed(code), scale, scale, y);
    }
}
BLOCK_DECODER(eights_u8, 256, 66)

V_INLINE void eights_u16(const lqi_run *run, const uint8_t *b, float *y)
{
    float d = load_f16(b);

    for (int j = 0; j < 8; j++, y += 32) {
        uint64_t code = lqi_load64(b + 2 + 8 * j), s = code >> 9 & 0x007f007f007f007f;
        uint64_t eight[4];
        s |= s >> 8;
        for (int g = 0; g < 4; g++)
            eight[g] = entry_of_8(run, (uint32_t)(code >> 16 * g) & 511);
        signed_weights(eight, even_signs((uint32_t)((s & 0xffff) | (s >> 16 & 0xffff0000))),
                       half_scale(d, b[66 + j], 0.25f), half_scale(d, b[66 + j] >> 4, 0.25f), y);
    }
}
BLOCK_DECODER(eights_u16, 256, 74)

V_INLINE void eights_signs(const lqi_run *run, const uint8_t *b, float *y)
{
    float d = load_f16(b);

    for (int j = 0; j < 8; j++, y += 32) {
        const uint8_t *low = b + 2 + 4 * j;
        uint32_t high = (uint32_t)b[66 + j] << 8;
        uint64_t eight[4];
        for (int g = 0; g < 4; g++)
            eight[g] = entry_of_8(run, low[g] | (high >> 2 * g & 0x300));
        signed_weights(eight, lqi_load32(b + 34 + 4 * j), half_scale(d, b[74 + j], 0.25f),
                       half_scale(d, b[74 + j] >> 4, 0.25f), y);
    }
}
BLOCK_DECODER(eights_signs, 256, 82)

/* --------------------------------------------------- entries of 4 weights */

V_INLINE void fours_u8(const lqi_run *run, const uint8_t *b, float *y)
{
    float d = load_f16(b);

    for (int j = 0; j < 8; j++, y += 32) {
        const uint8_t *entry = b + 2 + 8 * j;
        uint32_t code = lqi_load32(b + 66 + 4 * j);
        float scale = half_scale(d, code >> 28, 0.5f);
        uint64_t eight[4];
        for (int g = 0; g < 4; g++)
            eight[g] = entries_of_4(run, entry[2 * g], entry[2 * g + 1]);
        signed_weights(eight, even_signs_packed(code), scale, scale, y);
    }
}
BLOCK_DECODER(fours_u8, 256, 98)

V_INLINE void fours_signs(const lqi_run *run, const uint8_t *b, float *y)
{
    float d = load_f16(b);

    for (int j = 0; j < 8; j++, y += 32) {
        const uint8_t *low = b + 2 + 8 * j;
        uint32_t high = (uint32_t)b[66 + j] << 8;
        float scale = half_scale(d, b[106 + j / 2] >> 4 * (j % 2), 2);
        uint64_t eight[4];
        for (int g = 0; g < 4; g++, high >>= 2)
            eight[g] = entries_of_4(run, low[2 * g] | (high & 0x100),
                                    low[2 * g + 1] | (high >> 1 & 0x100));
        signed_weights(eight, lqi_load32(b + 74 + 4 * j), scale, scale, y);
    }
}
BLOCK_DECODER(fours_signs, 256, 110)

/* ---------------------------------------------- ternary entries of 8 weights */

/* Bit i of 'minus' is the sign of the delta of weight i; a scale for each 16. */
V_INLINE void ternary_weights(const uint64_t *eight, uint32_t minus, float low, float high,
                              float *y)
{
    const v_u32 delta = v_as_u32(v_set1(0.125f));

    for (int i = 0; i < 32; i += V_LANES) {
        v_f32 add = v_as_f32(delta | (v_spread(minus >> i) & 0x80000000));
        v_store(y + i, v_mul(v_set1(i < 16 ? low : high),
                             v_add(v_from_i8x8(eight + i / 8), add)));
    }
}

V_INLINE void ternary_32(const lqi_run *run, const uint8_t *b, float *y)
{
    float d = load_f16(b);

    for (int j = 0; j < 8; j++, y += 32) {
        const uint8_t *low = b + 2 + 4 * j;
        uint32_t high = lqi_load16(b + 34 + 2 * j);
        float scale = d * (float)(2 * (high >> 12 & 7) + 1);
        uint64_t eight[4];
        for (int g = 0; g < 4; g++)
            eight[g] = entry_of_8(run, low[g] | (high << 8 >> 3 * g & 0x700));
        ternary_weights(eight, 0 - (high >> 15), scale, scale, y);
    }
}
BLOCK_DECODER(ternary_32, 256, 50)

/* d is in the upper nibbles of the four words of scales, the lowest first. */
V_INLINE void ternary_16(const lqi_run *run, const uint8_t *b, float *y)
{
    uint64_t scales = lqi_load64(b + 48), nibbles = scales & 0xf000f000f000f000;
    float d = v_f16_scalar((uint16_t)(nibbles >> 12 | nibbles >> 24 | nibbles >> 36 |
                                      nibbles >> 48));

    for (int j = 0; j < 8; j++, y += 32) {
        const uint8_t *low = b + 4 * j;
        uint32_t high = lqi_load16(b + 32 + 2 * j), minus = 0;
        uint32_t scale = (uint32_t)(scales >> (16 * (j / 2) + 6 * (j % 2)));
        uint64_t eight[4];
        for (int g = 0; g < 4; g++, high >>= 4) {
            eight[g] = entry_of_8(run, low[g] | (high << 8 & 0x700));
            minus |= (high & 8 ? 0xffu : 0) << 8 * g;
        }
        ternary_weights(eight, minus, d * (float)(2 * (scale & 7) + 1),
                        d * (float)(2 * (scale >> 3 & 7) + 1), y);
    }
}
BLOCK_DECODER(ternary_16, 256, 56)
