/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/encode_blocks.h - encoders of blocks of 32 whose scale is a range
 *
 * V_LANES blocks at a time: each is folded to one vector of extremes, a tree of
 * transpositions makes one vector of block extremes of these, and scales, reciprocals and
 * f16 are computed for all blocks at once.  The operations on a weight are those of the
 * plain encoder, so the bytes are too; where that depends on more than the range (a tie of
 * +a and -a, the sign of a zero minimum) the block is looked through again.
 *
 * Batches with magnitudes so large or so small that something overflows or is denormal,
 * and runs with importances where they matter, go to the format's own encoder.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

#define BLOCK 32
#define BLOCK_VECTORS (BLOCK / V_LANES)
#define BLOCK_BYTES_MAX 36

/* V_LANES blocks; 0, and nothing promised about the bytes, if they are odd. */
typedef int batch_encoder(const float *x, uint8_t *b);

/* Numbers [at, at + n) of the run, whole blocks whose bytes are at 'codes'. */
V_INLINE void encode_plain(const lqi_encode_run *run, size_t at, size_t n, uint8_t *codes)
{
    lqi_encode_run part = *run;

    part.x += at;
    part.n = n;
    part.codes = codes;
    if (part.imp)
        part.imp += at;
    run->plain(&part);
}

/* The last blocks are filled up with zeros elsewhere. */
V_INLINE int encode_rest(const float *x, size_t blocks, size_t bytes, batch_encoder *batch,
                         uint8_t *codes)
{
    float padded[V_LANES * BLOCK] = { 0 };
    uint8_t out[V_LANES * BLOCK_BYTES_MAX];

    memcpy(padded, x, blocks * BLOCK * sizeof *x);
    if (!batch(padded, out))
        return 0;
    memcpy(codes, out, blocks * bytes);
    return 1;
}

V_INLINE void encode_batches(const lqi_encode_run *run, size_t bytes, batch_encoder *batch)
{
    size_t blocks = run->n / BLOCK, i = 0;

    for (; i + V_LANES <= blocks; i += V_LANES)
        if (!batch(run->x + i * BLOCK, run->codes + i * bytes))
            encode_plain(run, i * BLOCK, V_LANES * BLOCK, run->codes + i * bytes);
    if (i < blocks && !encode_rest(run->x + i * BLOCK, blocks - i, bytes, batch,
                                   run->codes + i * bytes))
        encode_plain(run, i * BLOCK, (blocks - i) * BLOCK, run->codes + i * bytes);
}

/* A lane that is neither 0 nor of a magnitude with which all goes well. */
V_INLINE int any_odd(v_f32 magnitude)
{
    v_mask small = v_both(v_lt(v_set1(0), magnitude), v_lt(magnitude, v_set1(1e-15f)));

    return v_bits(v_either(small, v_lt(v_set1(1e15f), magnitude))) != 0;
}

V_INLINE v_f32 inverse_or_zero(v_f32 d)
{
    return v_select(v_eq(d, v_set1(0)), v_set1(0), v_div(v_set1(1), d));
}

/* Least and largest number of each block. */
V_INLINE void block_ranges(const float *x, v_f32 *least, v_f32 *most)
{
    v_f32 lo[V_LANES], hi[V_LANES];

    for (int b = 0; b < V_LANES; b++, x += BLOCK) {
        lo[b] = hi[b] = v_load(x);
        for (int i = V_LANES; i < BLOCK; i += V_LANES) {
            lo[b] = v_min(v_load(x + i), lo[b]);
            hi[b] = v_max(v_load(x + i), hi[b]);
        }
    }
    *least = v_min_tree(lo);
    *most = v_max_tree(hi);
}

/* Largest magnitude of 'count' whole groups, one to a lane; lanes beyond repeat the first. */
V_INLINE v_f32 group_magnitudes(const float *x, size_t group, size_t count)
{
    v_f32 most[V_LANES];

    for (size_t g = 0; g < V_LANES; g++, x += group) {
        most[g] = most[0];
        if (g >= count)
            continue;
        most[g] = v_abs(v_load(x));
        for (size_t i = V_LANES; i < group; i += V_LANES)
            most[g] = v_max(v_abs(v_load(x + i)), most[g]);
    }
    return v_max_tree(most);
}

/* -------------------------------------------------------- around a middle */

/* For each set bit b: the first number of block b with the magnitude in lane b. */
V_INLINE v_f32 first_extremes(const float *x, unsigned lanes, v_f32 magnitude)
{
    float a[V_LANES];

    v_store(a, magnitude);
    for (int b = 0; b < V_LANES; b++, x += BLOCK) {
        if (!(lanes >> b & 1))
            continue;
        for (int i = 0; i < BLOCK; i++)
            if (fabsf(x[i]) == a[b]) {
                a[b] = x[i];
                break;
            }
    }
    return v_load(a);
}

/* The number of largest magnitude of each block, +0 for a block of zeros; 0: odd. */
V_INLINE int block_extremes(const float *x, v_f32 *extreme)
{
    v_f32 least, most, below, zero = v_set1(0);

    block_ranges(x, &least, &most);
    below = v_neg(least);
    v_f32 magnitude = v_max(v_abs(least), v_abs(most));
    if (any_odd(magnitude))
        return 0;
    v_f32 e = v_select(v_lt(most, below), least, most);
    v_mask nothing = v_eq(magnitude, zero);
    unsigned ties = v_bits(v_both(v_eq(most, below), v_not(nothing)));
    if (ties)
        e = v_select(v_eq(most, below), first_extremes(x, ties, magnitude), e);
    *extreme = v_select(nothing, zero, e);
    return 1;
}

/* Codes + 1/2 as numbers; truncated they are at most 2 mid - 1. */
V_INLINE v_f32 around_middle(const float *x, v_f32 inverse, float mid)
{
    v_f32 v = v_add(v_mul(v_load(x), inverse), v_set1(mid + 0.5f));

    return v_min(v, v_set1(2 * mid - 1));
}

/* Four bits to 16 bytes, codes 0..15 below; upper bits are dropped. */
V_INLINE void store_split(uint8_t *q, const v_u32 *codes)
{
    for (int i = 0; i < BLOCK_VECTORS / 2; i++)
        v_store_bytes(q + i * V_LANES,
                      v_as_f32((codes[i] & 15) | codes[i + BLOCK_VECTORS / 2] << 4));
}

V_INLINE int symmetric_scales(const float *x, float mid, uint16_t *d, float *inverse)
{
    v_f32 extreme, scale;

    if (!block_extremes(x, &extreme))
        return 0;
    scale = v_mul(extreme, v_set1(-1 / mid));   /* a power of two: exact */
    v_to_f16(d, scale);
    v_store(inverse, inverse_or_zero(scale));
    return 1;
}

V_INLINE int f16_nibbles_batch(const float *x, uint8_t *b)
{
    uint16_t d[V_LANES];
    float inverse[V_LANES];

    if (!symmetric_scales(x, 8, d, inverse))
        return 0;
    for (int k = 0; k < V_LANES; k++, x += BLOCK, b += 18) {
        v_u32 codes[BLOCK_VECTORS];
        for (int i = 0; i < BLOCK_VECTORS; i++)
            codes[i] = v_trunc(around_middle(x + i * V_LANES, v_set1(inverse[k]), 8));
        lqi_store16(b, d[k]);
        store_split(b + 2, codes);
    }
    return 1;
}

V_INLINE int f16_nibbles_bit_batch(const float *x, uint8_t *b)
{
    uint16_t d[V_LANES];
    float inverse[V_LANES];

    if (!symmetric_scales(x, 16, d, inverse))
        return 0;
    for (int k = 0; k < V_LANES; k++, x += BLOCK, b += 22) {
        v_u32 codes[BLOCK_VECTORS];
        uint32_t high = 0;
        for (int i = 0; i < BLOCK_VECTORS; i++) {
            v_f32 v = around_middle(x + i * V_LANES, v_set1(inverse[k]), 16);
            codes[i] = v_trunc(v);
            high |= v_bits(v_lt(v_set1(0x1.fffffep+3f), v)) << i * V_LANES;
        }
        lqi_store16(b, d[k]);
        lqi_store32(b + 2, high);
        store_split(b + 6, codes);
    }
    return 1;
}

/* --------------------------------------------------------- from a minimum */

/* A minimum of zero has the sign of the first zero. */
V_INLINE v_f32 signed_zeros(const float *x, unsigned lanes, v_f32 least)
{
    return lanes ? v_select(v_eq(least, v_set1(0)), first_extremes(x, lanes, v_abs(least)), least)
                 : least;
}

V_INLINE int affine_scales(const float *x, float top, uint16_t *d, uint16_t *m, float *inverse,
                           float *base)
{
    v_f32 least, most, scale;

    block_ranges(x, &least, &most);
    if (any_odd(v_max(v_abs(least), v_abs(most))))
        return 0;
    least = signed_zeros(x, v_bits(v_eq(least, v_set1(0))), least);
    scale = v_add(v_div(v_sub(most, least), v_set1(top)), v_set1(0));   /* + 0: no -0 */
    v_to_f16(d, scale);
    v_to_f16(m, least);
    v_store(inverse, inverse_or_zero(scale));
    v_store(base, least);
    return 1;
}

V_INLINE v_f32 above_minimum(const float *x, v_f32 base, v_f32 inverse, float top)
{
    v_f32 v = v_add(v_mul(v_sub(v_load(x), base), inverse), v_set1(0.5f));

    return v_min(v, v_set1(top));
}

V_INLINE int f16x2_nibbles_batch(const float *x, uint8_t *b)
{
    uint16_t d[V_LANES], m[V_LANES];
    float inverse[V_LANES], base[V_LANES];

    if (!affine_scales(x, 15, d, m, inverse, base))
        return 0;
    for (int k = 0; k < V_LANES; k++, x += BLOCK, b += 20) {
        v_u32 codes[BLOCK_VECTORS];
        for (int i = 0; i < BLOCK_VECTORS; i++)
            codes[i] = v_trunc(above_minimum(x + i * V_LANES, v_set1(base[k]),
                                             v_set1(inverse[k]), 15));
        lqi_store16(b, d[k]);
        lqi_store16(b + 2, m[k]);
        store_split(b + 4, codes);
    }
    return 1;
}

V_INLINE int f16x2_nibbles_bit_batch(const float *x, uint8_t *b)
{
    uint16_t d[V_LANES], m[V_LANES];
    float inverse[V_LANES], base[V_LANES];

    if (!affine_scales(x, 31, d, m, inverse, base))
        return 0;
    for (int k = 0; k < V_LANES; k++, x += BLOCK, b += 24) {
        v_u32 codes[BLOCK_VECTORS];
        uint32_t high = 0;
        for (int i = 0; i < BLOCK_VECTORS; i++) {
            v_f32 v = above_minimum(x + i * V_LANES, v_set1(base[k]), v_set1(inverse[k]), 31);
            codes[i] = v_trunc(v);
            high |= v_bits(v_lt(v_set1(0x1.fffffep+3f), v)) << i * V_LANES;
        }
        lqi_store16(b, d[k]);
        lqi_store16(b + 2, m[k]);
        lqi_store32(b + 4, high);
        store_split(b + 8, codes);
    }
    return 1;
}

/* ------------------------------------------------------------------- bytes */

/* Ties away from zero: the predecessor of one half, with the sign, and truncation. */
V_INLINE v_u32 round_away(v_f32 v)
{
    v_u32 sign = v_as_u32(v) & 0x80000000;

    return v_trunc(v_add(v, v_as_f32(sign | v_as_u32(v_set1(0x1.fffffep-2f)))));
}

V_INLINE int f16_i8_batch(const float *x, uint8_t *b)
{
    v_f32 magnitude = group_magnitudes(x, BLOCK, V_LANES), scale;
    uint16_t d[V_LANES];
    float inverse[V_LANES];

    if (any_odd(magnitude))
        return 0;
    scale = v_div(magnitude, v_set1(127));
    v_to_f16(d, scale);
    v_store(inverse, inverse_or_zero(scale));
    for (int k = 0; k < V_LANES; k++, x += BLOCK, b += 34) {
        lqi_store16(b, d[k]);
        for (int i = 0; i < BLOCK; i += V_LANES)
            v_store_bytes(b + 2 + i, v_as_f32(round_away(v_mul(v_load(x + i),
                                                               v_set1(inverse[k])))));
    }
    return 1;
}

static void encode_f16_i8(const lqi_encode_run *run)
{
    encode_batches(run, 34, f16_i8_batch);
}

static void encode_f32(const lqi_encode_run *run)
{
    memcpy(run->codes, run->x, run->n * sizeof *run->x);
}

static void encode_f16(const lqi_encode_run *run)
{
    f32_to_f16(run->x, run->codes, run->n);
}

static void encode_bf16(const lqi_encode_run *run)
{
    f32_to_bf16(run->x, run->codes, run->n);
}

/* ------------------------------------- importances are for the format's encoder */

#define RANGE_ENCODER(name, bytes) \
    static void encode_##name(const lqi_encode_run *run) \
    { \
        if (run->imp) \
            run->plain(run); \
        else \
            encode_batches(run, bytes, name##_batch); \
    }
RANGE_ENCODER(f16_nibbles, 18)
RANGE_ENCODER(f16_nibbles_bit, 22)
RANGE_ENCODER(f16x2_nibbles, 20)
RANGE_ENCODER(f16x2_nibbles_bit, 24)
