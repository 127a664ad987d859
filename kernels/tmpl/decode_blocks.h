/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/decode_blocks.h - decoders of blocks with their scales inside
 *
 * A function per kind of block; decode_blocks() walks a run.  Four-bit codes are looked up
 * in 16 products, computed once per scale: the same rounding as a product per weight.
 * Where the table repeats, the bits above a shorter code need no mask.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

typedef void block_decoder(const lqi_run *run, const uint8_t *b, float *y);

/* Blocks begin at 'codes'.  The last block of a run may be wanted in part. */
V_INLINE void decode_blocks(const lqi_run *run, const uint8_t *codes, size_t len, size_t bytes,
                            block_decoder *block, float *y)
{
    const uint8_t *b = codes + (size_t)(run->first / len) * bytes;
    size_t n = run->n;
    float tail[256];

    for (; n >= len; n -= len, b += bytes, y += len)
        block(run, b, y);
    if (n == 0)
        return;
    block(run, b, tail);
    memcpy(y, tail, n * sizeof *y);
}

#define BLOCK_DECODER(name, len, bytes) \
    static void decode_##name(const lqi_run *run, float *y) \
    { \
        decode_blocks(run, run->codes, len, bytes, name, y); \
    }

V_INLINE float load_f16(const uint8_t *p)
{
    return v_f16_scalar(lqi_load16(p));
}

/* ------------------------------------------------------------- plain numbers */

static void decode_f16(const lqi_run *run, float *y)
{
    f16_to_f32(run->codes + 2 * run->first, y, run->n);
}

static void decode_bf16(const lqi_run *run, float *y)
{
    bf16_to_f32(run->codes + 2 * run->first, y, run->n);
}

/* ------------------------------------------------------------- blocks of 32 */

/* 16 bytes whose low nibbles come first and whose high nibbles follow. */
V_INLINE void split_nibbles(const uint8_t *q, v_table4 t, float *y)
{
    for (int i = 0; i < 16; i += V_LANES) {
        v_u32 codes = v_load_u8(q + i);
        v_store(y + i, v_table4_at(t, codes));
        v_store(y + 16 + i, v_table4_at(t, codes >> 4));
    }
}

V_INLINE void f16_nibbles(const lqi_run *run, const uint8_t *b, float *y)
{
    v_table4 t = v_table4_sub(v_table4_load(nibble_values), 8);

    (void)run;
    split_nibbles(b + 2, v_table4_mul(t, load_f16(b)), y);
}
BLOCK_DECODER(f16_nibbles, 32, 18)

V_INLINE void f16_table4(const lqi_run *run, const uint8_t *b, float *y)
{
    split_nibbles(b + 2, v_table4_mul(v_table4_load(run->table), load_f16(b)), y);
}
BLOCK_DECODER(f16_table4, 32, 18)

/* The scale is 2^(byte - 128). */
V_INLINE void e8m0_table4(const lqi_run *run, const uint8_t *b, float *y)
{
    float scale = lqi_bits_float(b[0] < 2 ? 0x200000u << b[0] : (uint32_t)(b[0] - 1) << 23);

    split_nibbles(b + 1, v_table4_mul(v_table4_load(run->table), scale), y);
}
BLOCK_DECODER(e8m0_table4, 32, 17)

/* Four scales of E4M3 without sign, halved, whose NaN code means 0. */
V_INLINE void ue4m3_table4(const lqi_run *run, const uint8_t *b, float *y)
{
    v_table4 levels = v_table4_load(run->table);
    v_u32 d = v_load_u8(b) & 0x7f, normal = (d << 20) + (119u << 23);
    v_f32 small = v_int_to_f32(d) * v_set1(0x1p-10f);
    v_u32 s = v_where_uless(d, v_set1u(8), v_as_u32(small), normal);
    float scale[V_LANES];

    v_store(scale, v_as_f32(v_where_uless(d, v_set1u(0x7f), s, v_set1u(0))));
    for (int j = 0; j < 4; j++)
        v_table4_split8(v_table4_mul(levels, scale[j]), b + 4 + 8 * j, y + 16 * j);
}
BLOCK_DECODER(ue4m3_table4, 64, 36)

V_INLINE void f16x2_nibbles(const lqi_run *run, const uint8_t *b, float *y)
{
    v_table4 t = v_table4_mul(v_table4_load(nibble_values), load_f16(b));

    (void)run;
    split_nibbles(b + 4, v_table4_sub(t, -load_f16(b + 2)), y);
}
BLOCK_DECODER(f16x2_nibbles, 32, 20)

/* Five bits of 32 codes: bit 4 of code i is bit i of 'high'. */
V_INLINE v_u32 five_bits(v_u32 nibble, uint32_t high)
{
    return (nibble & 15) | (v_spread(high) & 16);
}

V_INLINE void f16_nibbles_bit(const lqi_run *run, const uint8_t *b, float *y)
{
    v_f32 d = v_set1(load_f16(b));
    uint32_t high = lqi_load32(b + 2);

    (void)run;
    for (int i = 0; i < 16; i += V_LANES) {
        v_u32 q = v_load_u8(b + 6 + i);
        v_store(y + i, v_int_to_f32(five_bits(q, high >> i) - 16) * d);
        v_store(y + 16 + i, v_int_to_f32(five_bits(q >> 4, high >> (16 + i)) - 16) * d);
    }
}
BLOCK_DECODER(f16_nibbles_bit, 32, 22)

V_INLINE void f16x2_nibbles_bit(const lqi_run *run, const uint8_t *b, float *y)
{
    v_f32 d = v_set1(load_f16(b)), m = v_set1(load_f16(b + 2));
    uint32_t high = lqi_load32(b + 4);

    (void)run;
    for (int i = 0; i < 16; i += V_LANES) {
        v_u32 q = v_load_u8(b + 8 + i);
        v_store(y + i, v_int_to_f32(five_bits(q, high >> i)) * d + m);
        v_store(y + 16 + i, v_int_to_f32(five_bits(q >> 4, high >> (16 + i))) * d + m);
    }
}
BLOCK_DECODER(f16x2_nibbles_bit, 32, 24)

V_INLINE void f16_i8(const lqi_run *run, const uint8_t *b, float *y)
{
    v_f32 d = v_set1(load_f16(b));

    (void)run;
    for (int i = 0; i < 32; i += V_LANES)
        v_store(y + i, v_from_i8(b + 2 + i) * d);
}
BLOCK_DECODER(f16_i8, 32, 34)

V_INLINE void f16x2_i8(const lqi_run *run, const uint8_t *b, float *y)
{
    v_f32 d = v_set1(load_f16(b));

    (void)run;
    for (int i = 0; i < 32; i += V_LANES)
        v_store(y + i, v_from_i8(b + 4 + i) * d);
}
BLOCK_DECODER(f16x2_i8, 32, 36)

/* ------------------------------------------------------------ one and two bits */

/* Sign bits, of which 0 is minus. */
V_INLINE void f16_bits(const lqi_run *run, const uint8_t *b, float *y)
{
    v_u32 d = v_as_u32(v_set1(load_f16(b)));

    (void)run;
    for (int i = 0; i < 128; i += V_LANES) {
        uint32_t minus = ~(uint32_t)lqi_load16(b + 2 + i / 16 * 2) >> i % 16;
        v_store(y + i, v_as_f32(d ^ (v_spread(minus) & 0x80000000)));
    }
}
BLOCK_DECODER(f16_bits, 128, 18)

static const float value_of_2_bits[16] = { 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3 };
static const uint8_t place_of_2_bits[16] = { 0, 2, 4, 6, 8, 10, 12, 14,
                                             16, 18, 20, 22, 24, 26, 28, 30 };

/* Codes from the low end of a word on. */
V_INLINE void f16_pairs(const lqi_run *run, const uint8_t *b, float *y)
{
    v_table4 t = v_table4_mul(v_table4_sub(v_table4_load(value_of_2_bits), 1), load_f16(b));
    v_u32 place = v_load_u8(place_of_2_bits);

    (void)run;
    for (int i = 0; i < 64; i += V_LANES) {
        uint32_t word = lqi_load32(b + 2 + i / 16 * 4) >> i % 16 * 2;
        v_store(y + i, v_table4_at(t, v_set1u(word) >> place));
    }
}
BLOCK_DECODER(f16_pairs, 64, 18)

/* ------------------------------------------------------------ blocks of 256 */

static const float value_of_3_bits[16] = { -4, -3, -2, -1, 0, 1, 2, 3,
                                           -4, -3, -2, -1, 0, 1, 2, 3 };

/* Eight scales and eight minimums of 6 bits: 0..3 have bytes of their own, whose upper two
 * bits complete the nibbles of 4..7.  Products with d and dmin to 'scale' and 'min'. */
V_INLINE void six_bit_pairs(const uint8_t *b, float scale[16], float min[16])
{
    uint32_t s = lqi_load32(b + 4), m = lqi_load32(b + 8), h = lqi_load32(b + 12);
    v_f32 d = v_set1(load_f16(b)), dmin = v_set1(load_f16(b + 2));
    uint32_t s4 = (h & 0x0f0f0f0f) | (s >> 2 & 0x30303030);
    uint32_t m4 = (h >> 4 & 0x0f0f0f0f) | (m >> 2 & 0x30303030);

    v_store(scale, v_int_to_f32(v_from_u8x8((uint64_t)s4 << 32 | (s & 0x3f3f3f3f))) * d);
    v_store(min, v_int_to_f32(v_from_u8x8((uint64_t)m4 << 32 | (m & 0x3f3f3f3f))) * dmin);
}

V_INLINE v_table4 affine_table(const float *values, float scale, float min)
{
    return v_table4_sub(v_table4_mul(v_table4_load(values), scale), min);
}

V_INLINE void affine_nibbles(const lqi_run *run, const uint8_t *b, float *y)
{
    const uint8_t *q = b + 16;
    float scale[16], min[16];

    (void)run;
    six_bit_pairs(b, scale, min);
    for (int j = 0; j < 8; j += 2, q += 32, y += 64) {
        v_table4 low = affine_table(nibble_values, scale[j], min[j]);
        v_table4 high = affine_table(nibble_values, scale[j + 1], min[j + 1]);
        for (int i = 0; i < 32; i += V_LANES) {
            v_u32 codes = v_load_u8(q + i);
            v_store(y + i, v_table4_at(low, codes));
            v_store(y + 32 + i, v_table4_at(high, codes >> 4));
        }
    }
}
BLOCK_DECODER(affine_nibbles, 256, 144)

/* Bit j of byte i of 'high' is bit 4 of code i of sub-block j. */
V_INLINE void affine_nibbles_bit(const lqi_run *run, const uint8_t *b, float *y)
{
    float scale[16], min[16];

    (void)run;
    six_bit_pairs(b, scale, min);
    for (int i = 0; i < 32; i += V_LANES) {
        v_u32 high = v_load_u8(b + 16 + i) << 4;
        for (int j = 0; j < 8; j += 2, high >>= 2) {
            v_u32 q = v_load_u8(b + 48 + 16 * j + i);
            v_f32 low = v_int_to_f32((q & 15) | (high & 16));
            v_f32 top = v_int_to_f32(q >> 4 | (high >> 1 & 16));
            v_store(y + 32 * j + i, low * v_set1(scale[j]) - v_set1(min[j]));
            v_store(y + 32 * j + 32 + i, top * v_set1(scale[j + 1]) - v_set1(min[j + 1]));
        }
    }
}
BLOCK_DECODER(affine_nibbles_bit, 256, 176)

/* Two bits; a nibble of scale and one of minimum per 16, d and dmin last. */
V_INLINE void affine_2_bits(const lqi_run *run, const uint8_t *b, float *y)
{
    v_f32 d = v_set1(load_f16(b + 80)), dmin = v_set1(load_f16(b + 82));
    float scale[16], min[16];

    (void)run;
    for (int j = 0; j < 16; j += V_LANES) {
        v_u32 pair = v_load_u8(b + j);
        v_store(scale + j, v_int_to_f32(pair & 15) * d);
        v_store(min + j, v_int_to_f32(pair >> 4) * dmin);
    }
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 32; i += V_LANES) {
            v_u32 q = v_load_u8(b + 16 + 32 * half + i);
            for (int j = 0; j < 4; j++, q >>= 2) {
                int sub = 8 * half + 2 * j + i / 16;
                v_table4 t = affine_table(value_of_2_bits, scale[sub], min[sub]);
                v_store(y + 128 * half + 32 * j + i, v_table4_at(t, q));
            }
        }
}
BLOCK_DECODER(affine_2_bits, 256, 84)

/* Two bits, of which byte i of each half of the block has those of codes i + 32 k. */
V_INLINE void ternary_pairs(const lqi_run *run, const uint8_t *b, float *y)
{
    v_table4 t = v_table4_mul(v_table4_sub(v_table4_load(value_of_2_bits), 1), load_f16(b + 64));

    (void)run;
    for (int half = 0; half < 64; half += 32, y += 128)
        for (int i = 0; i < 32; i += V_LANES) {
            v_u32 q = v_load_u8(b + half + i);
            for (int k = 0; k < 4; k++, q >>= 2)
                v_store(y + 32 * k + i, v_table4_at(t, q));
        }
}
BLOCK_DECODER(ternary_pairs, 256, 66)

/* Bytes are fractions whose digits in base 3 are codes, 'digits' of them, 'step' apart. */
V_INLINE void digits(v_u32 q, v_f32 d, size_t step, int n, float *y)
{
    for (int k = 0; k < n; k++, y += step) {
        q = q + q + q;
        v_store(y, v_int_to_f32((q >> 8) - 1) * d);
        q &= 255;
    }
}

V_INLINE void ternary_digits(const lqi_run *run, const uint8_t *b, float *y)
{
    float last[4][V_LANES];
    v_f32 d = v_set1(load_f16(b + 52));

    (void)run;
    for (int i = 0; i < 32; i += V_LANES)
        digits(v_load_u8(b + i), d, 32, 5, y + i);
    for (int i = 0; i < 16; i += V_LANES)
        digits(v_load_u8(b + 32 + i), d, 16, 5, y + 160 + i);
    digits(v_from_u8x8(lqi_load32(b + 48)), d, V_LANES, 4, last[0]);
    for (int k = 0; k < 4; k++)
        memcpy(y + 240 + 4 * k, last[k], 4 * sizeof *y);
}
BLOCK_DECODER(ternary_digits, 256, 54)

/* 16 scales of 6 bits around 32: nibbles low in bytes 0..7, then high, their upper bits in
 * bytes 8..11, two each.  Products with d. */
V_INLINE void six_bit_scales(const uint8_t *s, float d, float scale[16])
{
    uint32_t a = lqi_load32(s), b = lqi_load32(s + 4), h = lqi_load32(s + 8);
    const uint32_t nibble = 0x0f0f0f0f, two = 0x30303030;
    uint8_t codes[16];

    lqi_store32(codes, (a & nibble) | (h << 4 & two));
    lqi_store32(codes + 4, (b & nibble) | (h << 2 & two));
    lqi_store32(codes + 8, (a >> 4 & nibble) | (h & two));
    lqi_store32(codes + 12, (b >> 4 & nibble) | (h >> 2 & two));
    for (int j = 0; j < 16; j += V_LANES)
        v_store(scale + j, v_int_to_f32(v_load_u8(codes + j) - 32) * v_set1(d));
}

/* Two bits of q and one of a mask of 32 bytes, bit 4 * half + j of byte i. */
V_INLINE void symmetric_3_bits(const lqi_run *run, const uint8_t *b, float *y)
{
    float scale[16];

    (void)run;
    six_bit_scales(b + 96, load_f16(b + 108), scale);
    for (int i = 0; i < 32; i += V_LANES) {
        v_u32 high = v_load_u8(b + i) << 2;
        for (int half = 0; half < 2; half++) {
            v_u32 q = v_load_u8(b + 32 + 32 * half + i);
            for (int j = 0; j < 4; j++, q >>= 2, high >>= 1) {
                v_table4 t = v_table4_mul(v_table4_load(value_of_3_bits),
                                          scale[8 * half + 2 * j + i / 16]);
                v_store(y + 128 * half + 32 * j + i, v_table4_at(t, (q & 3) | (high & 4)));
            }
        }
    }
}
BLOCK_DECODER(symmetric_3_bits, 256, 110)

/* Six bits around 32, i8 scales per 16. */
V_INLINE void symmetric_6_bits(const lqi_run *run, const uint8_t *b, float *y)
{
    float scale[16], d = load_f16(b + 208);

    (void)run;
    for (int j = 0; j < 16; j += V_LANES)
        v_store(scale + j, v_from_i8(b + 192 + j) * v_set1(d));
    for (int half = 0; half < 2; half++, y += 128) {
        const float *s = scale + 8 * half;
        for (int i = 0; i < 32; i += V_LANES) {
            const uint8_t *p = b + 64 * half + i;
            v_u32 q0 = v_load_u8(p), q1 = v_load_u8(p + 32), h = v_load_u8(b + 128 + 32 * half + i);
            const v_u32 q[4] = { (q0 & 15) | (h << 4 & 48), (q1 & 15) | (h << 2 & 48),
                                 q0 >> 4 | (h & 48), q1 >> 4 | (h >> 2 & 48) };
            for (int j = 0; j < 4; j++)
                v_store(y + 32 * j + i, v_int_to_f32(q[j] - 32) * v_set1(s[2 * j + i / 16]));
        }
    }
}
BLOCK_DECODER(symmetric_6_bits, 256, 210)

/* Nibbles through a table; scales of 6 bits around 32 per 32 weights: low nibbles in bytes
 * 4..7, the upper two bits in the 16 of bytes 2..3. */
V_INLINE void f16_table4_scales(const lqi_run *run, const uint8_t *b, float *y)
{
    float d = load_f16(b);
    uint32_t high = lqi_load16(b + 2), low = lqi_load32(b + 4);
    v_table4 values = v_table4_load(run->table);

    for (int j = 0; j < 8; j++, low >>= 4, high >>= 2) {
        int scale = (int)((low & 15) | (high << 4 & 48)) - 32;
        split_nibbles(b + 8 + 16 * j, v_table4_mul(values, d * (float)scale), y + 32 * j);
    }
}
BLOCK_DECODER(f16_table4_scales, 256, 136)

V_INLINE void f32_i8(const lqi_run *run, const uint8_t *b, float *y)
{
    v_f32 d = v_set1(lqi_bits_float(lqi_load32(b)));

    (void)run;
    for (int i = 0; i < 256; i += V_LANES)
        v_store(y + i, d * v_from_i8(b + 4 + i));
}
BLOCK_DECODER(f32_i8, 256, 292)

/* Nibbles through the table, or through the same plus 4 where the lowest bit of the scale says
 * so; its other bits are an odd number of the row's. */
V_INLINE void row_tables4(const lqi_run *run, const uint8_t *b, float *y)
{
    float d = lqi_bits_float(lqi_load32(run->codes));
    v_table4 values = v_table4_load(run->table);

    for (int j = 0; j < 8; j++) {
        v_table4 t = v_table4_sub(values, -4 * (float)(b[j] & 1));
        float scale = d * (float)((b[j] & 254) - 127);
        split_nibbles(b + 8 + 16 * j, v_table4_mul(t, scale), y + 32 * j);
    }
}

static void decode_row_tables4(const lqi_run *run, float *y)
{
    decode_blocks(run, run->codes + 4, 256, 136, row_tables4, y);
}
