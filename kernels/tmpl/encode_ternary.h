/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/encode_ternary.h - encoders of GGUF's ternary blocks of 256
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* 0, 1 and 2 for -1, 0 and 1; x is not larger than the scale. */
V_INLINE v_u32 ternary_at(const float *x, v_f32 inverse)
{
    return round_away(v_mul(v_load(x), inverse)) + 1;
}

/* 64 bytes: in each half of the block four codes to a byte, 32 apart. */
V_INLINE void store_pairs(const float *x, v_f32 inverse, uint8_t *q)
{
    v_u32 bytes[64 / V_LANES];

    for (int i = 0; i < 64 / V_LANES; i++) {
        const float *p = x + 128 * (i * V_LANES / 32) + i * V_LANES % 32;
        bytes[i] = ternary_at(p, inverse) | ternary_at(p + 32, inverse) << 2 |
                   ternary_at(p + 64, inverse) << 4 | ternary_at(p + 96, inverse) << 6;
    }
    for (int i = 0; i < 64 / V_LANES; i += 4)
        v_store_bytes4(q + i * V_LANES, bytes + i);
}

/* Five digits 'step' apart, the first one first; 3 v by additions. */
V_INLINE v_u32 join_digits(const float *x, size_t step, v_f32 inverse)
{
    v_u32 v = ternary_at(x, inverse);

    for (int n = 1; n < 5; n++)
        v = v + v + v + ternary_at(x + (size_t)n * step, inverse);
    return v;
}

/* ceil(256 v / 243) for v < 243: v and ceil(13 v / 243), whose division is a product with
 * 2^16 / 243 rounded up. */
V_INLINE v_u32 least_byte(v_u32 v)
{
    v_u32 rest = v + (v << 2) + (v << 3) + 242;

    return v + (((rest << 8) + (rest << 3) + (rest << 2) + (rest << 1)) >> 16);
}

/* 32 bytes of five codes, 16 of five, 4 of four. */
V_INLINE void store_digits(const float *x, v_f32 inverse, uint8_t *q)
{
    uint32_t last[16];

    for (int i = 0; i < 32; i += V_LANES)
        v_store_bytes(q + i, v_as_f32(least_byte(join_digits(x + i, 32, inverse))));
    for (int i = 0; i < 16; i += V_LANES)
        v_store_bytes(q + 32 + i, v_as_f32(least_byte(join_digits(x + 160 + i, 16, inverse))));
    for (int i = 0; i < 16; i += V_LANES)
        v_store_u32(last + i, ternary_at(x + 240 + i, inverse));
    for (int i = 0; i < 4; i++) {
        uint32_t v = 27 * last[i] + 9 * last[4 + i] + 3 * last[8 + i] + last[12 + i];
        q[48 + i] = (uint8_t)((3 * v * 256 + 242) / 243);
    }
}

typedef void ternary_packer(const float *x, v_f32 inverse, uint8_t *q);

/* Blocks of 'bytes' bytes, the scale in the last two. */
V_INLINE void encode_ternary(const lqi_encode_run *run, size_t bytes, ternary_packer *pack)
{
    size_t blocks = run->n / 256, some;
    uint8_t *b = run->codes;
    uint16_t d[V_LANES];
    float inverse[V_LANES];

    for (size_t i = 0; i < blocks; i += some, b += some * bytes) {
        const float *x = run->x + 256 * i;
        some = (size_t)lqi_min(blocks - i, V_LANES);
        v_f32 magnitude = group_magnitudes(x, 256, some);
        if (any_odd(magnitude)) {
            encode_plain(run, 256 * i, 256 * some, b);
            continue;
        }
        v_to_f16(d, magnitude);
        v_store(inverse, inverse_or_zero(magnitude));
        for (size_t k = 0; k < some; k++, x += 256) {
            pack(x, v_set1(inverse[k]), b + k * bytes);
            lqi_store16(b + k * bytes + bytes - 2, d[k]);
        }
    }
}

static void encode_ternary_digits(const lqi_encode_run *run)
{
    encode_ternary(run, 54, store_digits);
}

static void encode_ternary_pairs(const lqi_encode_run *run)
{
    encode_ternary(run, 66, store_pairs);
}
