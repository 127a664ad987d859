/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/encode_e2m1.h - encoders of GGUF's blocks of 4-bit floats
 *
 * Codes are counted midpoints (lib/format/e2m1.h).  Cut into bins [k - 1/4, k + 3/4) of the
 * scale each has one midpoint at most, so a table says what lies below a number's bin and one
 * comparison does the rest.  The products of midpoints and scales are exact, and the bin is
 * only an estimate: the codes are the plain encoder's.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

#define NO_MIDDLE INFINITY

static const uint32_t e2m1_below[16] = { 0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 7, 7, 7, 7, 7 };
static const float e2m1_middle[16] = {
    0.5f, 1.5f, 2.5f, 3.5f, NO_MIDDLE, 5, NO_MIDDLE, 7,
    NO_MIDDLE, NO_MIDDLE, 10, NO_MIDDLE, NO_MIDDLE, NO_MIDDLE, NO_MIDDLE, NO_MIDDLE
};

/* Code of x for a scale and its reciprocal.  Scale infinity, which stands for 0: code 0.
 * There is no negative zero. */
V_INLINE v_u32 e2m1_code(v_f32 x, v_f32 scale, v_f32 inverse)
{
    v_f32 a = v_abs(x), t = v_min(v_mul(a, inverse), v_set1(15));
    v_u32 bin = v_trunc(v_add(t, v_set1(0.25f)));
    v_f32 middle = v_mul(v_table4_at(v_table4_load(e2m1_middle), bin), scale);
    v_u32 code = v_as_u32(v_table4_at(v_table4_load(e2m1_below), bin));

    code = v_count(v_lt(middle, a), code);
    return code | v_umin(code << 3, v_as_u32(x) >> 28 & 8);
}

/* Codes of pieces of eight numbers at x and at x + high to the low and the high nibbles of
 * bytes; vectors of 16 take a second piece, 'next' numbers on.  Scales are those of pieces. */
V_INLINE void store_e2m1(const float *x, size_t high, size_t next, const float *scale,
                         const float *inverse, uint8_t *q)
{
    v_f32 s = v_set_pieces(scale), i = v_set_pieces(inverse);
    v_u32 low = e2m1_code(v_load_pieces(x, next), s, i);

    v_store_bytes(q, v_as_f32(low | e2m1_code(v_load_pieces(x + high, next), s, i) << 4));
}

/* ----------------------------------------------------- 32, scale 2^(e - 128) */

/* log2f of the last floats below a power of two may be that power's: not for us. */
V_INLINE int below_power(v_f32 magnitude)
{
    v_u32 fraction = v_as_u32(magnitude) & 0x7fffff, near = v_set1u(0x7fff00);

    return v_umax_all(v_umax(fraction, near)) != 0x7fff00;
}

V_INLINE int e8m0_e2m1_batch(const float *x, uint8_t *b)
{
    v_f32 magnitude = group_magnitudes(x, BLOCK, V_LANES), none = v_set1(INFINITY);
    v_mask zero = v_eq(magnitude, v_set1(0));
    v_u32 e = (v_as_u32(magnitude) >> 23) - 2;
    float scale[V_LANES], inverse[V_LANES];
    uint32_t exponent[V_LANES];

    if (any_odd(magnitude) || below_power(magnitude))
        return 0;
    v_store_u32(exponent, v_as_u32(v_select(zero, v_set1(0), v_as_f32(e))));
    v_store(scale, v_select(zero, none, v_as_f32((e - 1) << 23)));
    v_store(inverse, v_select(zero, v_set1(0), v_as_f32((255 - e) << 23)));
    for (int k = 0; k < V_LANES; k++, x += BLOCK, b += 17) {
        const float s[2] = { scale[k], scale[k] }, i[2] = { inverse[k], inverse[k] };
        b[0] = (uint8_t)exponent[k];
        for (int c = 0; c < 16; c += V_LANES)
            store_e2m1(x + c, 16, 8, s, i, b + 1 + c);
    }
    return 1;
}

static void encode_e8m0_table4(const lqi_encode_run *run)
{
    encode_batches(run, 17, e8m0_e2m1_batch);
}

/* --------------------------------------------- 64, four scales of small floats */

/* E4M3 without sign; ties go up, denormals stay denormals. */
V_INLINE v_u32 to_ue4m3(v_f32 scale)
{
    v_u32 a = v_as_u32(scale), small = v_trunc(v_add(v_mul(scale, v_set1(512)), v_set1(0.5f)));
    v_u32 normal = (a - (120u << 23) + (1u << 19)) >> 20;

    return v_where_uless(a, v_as_u32(v_set1(0x1p-6f)), v_umin(small, v_set1u(7)),
                         v_umin(normal, v_set1u(0x7e)));
}

/* Half of its value; infinity for 0. */
V_INLINE v_f32 half_of_ue4m3(v_u32 d)
{
    v_f32 small = v_mul(v_int_to_f32(d), v_set1(0x1p-10f));
    v_u32 normal = (d << 20) + (119u << 23);
    v_f32 scale = v_as_f32(v_where_uless(d, v_set1u(8), v_as_u32(small), normal));

    return v_select(v_eq(scale, v_set1(0)), v_set1(INFINITY), scale);
}

/* V_LANES scales at most. */
V_INLINE int ue4m3_e2m1_batch(const float *x, size_t blocks, uint8_t *b)
{
    v_f32 magnitude = group_magnitudes(x, 16, 4 * blocks), s;
    float scale[V_LANES], inverse[V_LANES];
    uint8_t d[V_LANES];

    if (v_bits(v_lt(v_set1(1e8f), magnitude)))   /* beyond the midpoints */
        return 0;
    v_u32 code = to_ue4m3(v_min(v_div(magnitude, v_set1(6)), v_set1(448)));
    s = half_of_ue4m3(code);
    v_store_bytes(d, v_as_f32(code));
    v_store(scale, s);
    v_store(inverse, v_div(v_set1(1), s));
    for (size_t k = 0; k < 4 * blocks; k += 4, x += 64, b += 36) {
        memcpy(b, d + k, 4);
        for (size_t j = 0; j < 4; j += V_LANES / 8)
            store_e2m1(x + 16 * j, 8, 16, scale + k + j, inverse + k + j, b + 4 + 8 * j);
    }
    return 1;
}

static void encode_ue4m3_table4(const lqi_encode_run *run)
{
    size_t blocks = run->n / 64, some;

    for (size_t i = 0; i < blocks; i += some) {
        some = (size_t)lqi_min(blocks - i, V_LANES / 4);
        if (!ue4m3_e2m1_batch(run->x + 64 * i, some, run->codes + 36 * i))
            encode_plain(run, 64 * i, 64 * some, run->codes + 36 * i);
    }
}
