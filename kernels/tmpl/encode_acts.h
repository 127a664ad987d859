/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/encode_acts.h - encoders of GGUF's activation formats: bytes, a scale, and sums
 * of the bytes
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* ------------------------------------------------------------- blocks of 32 */

/* 32 codes; returns their sum. */
V_INLINE float store_summed(const float *x, v_f32 inverse, uint8_t *q)
{
    v_u32 sum = v_set1u(0);

    for (int i = 0; i < BLOCK; i += V_LANES) {
        v_u32 codes = round_away(v_mul(v_load(x + i), inverse));
        v_store_bytes(q + i, v_as_f32(codes));
        sum += codes;
    }
    return (float)(int32_t)v_usum_all(sum);
}

V_INLINE int f16x2_i8_batch(const float *x, uint8_t *b)
{
    v_f32 magnitude = group_magnitudes(x, BLOCK, V_LANES), scale;
    uint16_t d[V_LANES], s[V_LANES];
    float inverse[V_LANES], sum[V_LANES];

    if (any_odd(magnitude))
        return 0;
    scale = v_div(magnitude, v_set1(127));
    v_to_f16(d, scale);
    v_store(inverse, inverse_or_zero(scale));
    for (int k = 0; k < V_LANES; k++)
        sum[k] = store_summed(x + k * BLOCK, v_set1(inverse[k]), b + k * 36 + 4);
    v_to_f16(s, v_mul(v_load(sum), scale));
    for (int k = 0; k < V_LANES; k++) {
        lqi_store16(b + k * 36, d[k]);
        lqi_store16(b + k * 36 + 2, s[k]);
    }
    return 1;
}

static void encode_f16x2_i8(const lqi_encode_run *run)
{
    encode_batches(run, 36, f16x2_i8_batch);
}

/* ------------------------------------------------------------ blocks of 256 */

enum { F32_I8 = 256, F32_I8_BYTES = 292, F32_I8_SUMS = 260 };

/* The first number of largest magnitude. */
V_INLINE float extreme_of(const float *x, int n)
{
    v_f32 lo = v_load(x), hi = lo;
    float least, most;

    for (int i = V_LANES; i < n; i += V_LANES) {
        lo = v_min(v_load(x + i), lo);
        hi = v_max(v_load(x + i), hi);
    }
    least = v_min_all(lo);
    most = v_max_all(hi);
    for (int i = 0; i < n && most == -least; i++)
        if (fabsf(x[i]) == most)
            return x[i];
    return most > -least ? most : least;
}

/* Numbers of a common magnitude: nearest even integers, at most 127. */
V_INLINE void f32_i8_block(const float *x, float extreme, uint8_t *b)
{
    float inverse = extreme == 0 ? 0 : -127 / extreme;
    v_f32 by = v_set1(inverse), magic = v_set1(TO_INTEGER), top = v_set1(TO_INTEGER + 127);

    lqi_store32(b, lqi_float_bits(extreme == 0 ? 0 : 1 / inverse));
    for (int i = 0; i < F32_I8; i += 16) {
        v_u32 sum = v_set1u(0);
        for (int k = i; k < i + 16; k += V_LANES) {
            v_u32 code = v_as_u32(v_min(v_add(v_mul(by, v_load(x + k)), magic), top));
            v_store_bytes(b + 4 + k, v_as_f32(code));
            sum += code - v_as_u32(magic);
        }
        lqi_store16(b + F32_I8_SUMS + i / 8, (uint16_t)v_usum_all(sum));
    }
}

static void encode_f32_i8(const lqi_encode_run *run)
{
    uint8_t *b = run->codes;

    for (size_t i = 0; i < run->n; i += F32_I8, b += F32_I8_BYTES) {
        float extreme = extreme_of(run->x + i, F32_I8), a = fabsf(extreme);
        if (a == 0 || (a > 1e-15f && a < 1e15f))
            f32_i8_block(run->x + i, extreme, b);
        else
            encode_plain(run, i, F32_I8, b);
    }
}
