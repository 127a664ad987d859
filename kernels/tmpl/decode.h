/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/decode.h - decoders of planar codes, written once in the vector vocabulary
 *
 * Included by each ISA unit after its vocabulary (kernels/x86/v_<isa>.h).  A run is cut
 * into stretches of one group; a stretch is decoded V_LANES codes at a time.  Values are
 * multiplied by their scale once, as the formats' plain C does: the bits are the same on
 * every level.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* Elements [first, first + n) of group number 'group' of the run. */
typedef void stretch(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y);

/* Whole groups from element 'at' of the run on, the first of which is number 'group'.  Where
 * 'size' is a constant no stretch has a beginning or an end of its own to be looked at. */
V_INLINE void decode_equal(const lqi_run *run, const size_t size, size_t at, size_t group,
                           stretch *decode, float *y)
{
    const size_t end = group + (run->n - at) / size;
    const uint64_t before = (run->first + at) / size - group;

    for (y += at; group < end; group++, y += size)
        decode(run, (before + group) * size, size, group, y);
}

/* Usual lengths of groups have a loop of their own. */
V_INLINE void decode_whole(const lqi_run *run, size_t at, size_t group, stretch *decode, float *y)
{
    switch (run->group) {
    case 16: decode_equal(run, 16, at, group, decode, y); return;
    case 32: decode_equal(run, 32, at, group, decode, y); return;
    case 64: decode_equal(run, 64, at, group, decode, y); return;
    case 128: decode_equal(run, 128, at, group, decode, y); return;
    default: decode_equal(run, (size_t)run->group, at, group, decode, y);
    }
}

/* The first stretch can begin inside its group, the last one end there.  The copy of the run
 * is in registers: compilers know that nothing written to y changes it. */
V_INLINE void decode_stretches(const lqi_run *in, stretch *decode, float *y)
{
    const lqi_run run = *in;
    const uint64_t inside = run.first % run.group;
    size_t at = inside ? (size_t)lqi_min(run.n, run.group - inside) : 0, group = inside != 0;

    if (at)
        decode(&run, run.first, at, 0, y);
    if (run.n - at >= run.group) {
        decode_whole(&run, at, group, decode, y);
        size_t whole = (run.n - at) / (size_t)run.group;
        group += whole;
        at += whole * (size_t)run.group;
    }
    if (at < run.n)
        decode(&run, run.first + at, run.n - at, group, y + at);
}

/* ------------------------------------------------------------------ nibbles */

static const float nibble_values[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

/* Nibbles are looked up in 't', which is scaled already.  'flip' 1: high nibble first. */
V_INLINE void decode_nibbles(const uint8_t *codes, uint64_t first, size_t n, unsigned flip,
                             v_table4 t, float *y)
{
    size_t i = 0, vectors;
    float table[16];

    if (first % 2 || n % V_LANES)
        v_table4_store(table, t);
    if (first % 2 && n)
        y[i++] = table[codes[first / 2] >> 4 * !flip & 15];
    codes += (first + i) / 2;
    vectors = (n - i) / V_LANES;
    for (size_t k = 0; k < vectors; k++, codes += V_LANES / 2, i += V_LANES)
        v_store(y + i, v_table4_at(t, flip ? v_nibbles_high(codes) : v_nibbles_low(codes)));
    for (unsigned odd = 0; i < n; i++, codes += odd, odd ^= 1)
        y[i] = table[*codes >> 4 * (odd ^ flip) & 15];
}

V_INLINE v_table4 scaled_table(const lqi_run *run, size_t group)
{
    return v_table4_mul(v_table4_load(run->table), run->scale[group]);
}

V_INLINE void table4_high(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    decode_nibbles(run->codes, first, n, 1, scaled_table(run, group), y);
}

V_INLINE void table4_low(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    decode_nibbles(run->codes, first, n, 0, scaled_table(run, group), y);
}

V_INLINE void int4(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    v_table4 t = v_table4_sub(v_table4_load(nibble_values), run->zero ? run->zero[group] : 8);

    decode_nibbles(run->codes, first, n, 0, v_table4_mul(t, run->scale[group]), y);
}

static void decode_table4_high(const lqi_run *run, float *y)
{
    decode_stretches(run, table4_high, y);
}

static void decode_table4_low(const lqi_run *run, float *y)
{
    decode_stretches(run, table4_low, y);
}

static void decode_int4(const lqi_run *run, float *y)
{
    decode_stretches(run, int4, y);
}

/* -------------------------------------------------------------------- bytes */

/* Byte to number without relying on how narrowing treats the sign. */
V_INLINE float signed_byte(uint8_t b)
{
    return (float)((int)(b ^ 0x80) - 128);
}

/* Codes count from 128 on, as bytes from two's complement; so do stored zero points. */
V_INLINE void int8(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    const uint8_t *codes = run->codes + first;
    float zero = 128, scale = run->scale[group];
    size_t i = 0;

    if (run->zero)
        zero = run->float_zeros ? run->zero[group] : (float)((uint32_t)run->zero[group] ^ 128);
    for (; i + V_LANES <= n; i += V_LANES)
        v_store(y + i, (v_int_to_f32(v_load_u8(codes + i) ^ 128) - v_set1(zero)) *
                           v_set1(scale));
    for (; i < n; i++)
        y[i] = ((float)(codes[i] ^ 128) - zero) * scale;
}

/* Scales are largest magnitudes: code * scale * (1 / 127). */
V_INLINE void int8_absmax(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    const uint8_t *codes = run->codes + first;
    const float per_code = 1.0f / 127;
    float scale = run->scale[group];
    v_f32 s = v_set1(scale), p = v_set1(per_code);
    size_t i = 0;

    for (; i + V_LANES <= n; i += V_LANES)
        v_store(y + i, v_from_i8(codes + i) * s * p);
    for (; i < n; i++)
        y[i] = signed_byte(codes[i]) * scale * per_code;
}

V_INLINE void int8_64(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    const uint8_t *codes = run->codes + first;
    float scale = run->scale[group];
    v_f32 s = v_set1(scale), unit = v_set1(1.0f / 64);
    size_t i = 0;

    for (; i + V_LANES <= n; i += V_LANES)
        v_store(y + i, v_from_i8(codes + i) * unit * s);
    for (; i < n; i++)
        y[i] = signed_byte(codes[i]) / 64 * scale;
}

static void decode_int8_64(const lqi_run *run, float *y)
{
    decode_stretches(run, int8_64, y);
}

static void decode_int8(const lqi_run *run, float *y)
{
    decode_stretches(run, int8, y);
}

static void decode_int8_absmax(const lqi_run *run, float *y)
{
    decode_stretches(run, int8_absmax, y);
}

/* ------------------------------------------------------------- 8-bit floats */

/* Whether one of n codes is 0x7f or 0xff: then the sum of its lower bits and 1 has bit 7 set. */
V_INLINE int any_e4m3_nan(const uint8_t *codes, size_t n)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7f, one = 0x0101010101010101;
    uint64_t seen = 0, word;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        memcpy(&word, codes + i, sizeof word);
        seen |= (word & low) + one;
    }
    for (; i < n; i++)
        seen |= (codes[i] & 0x7fu) + 1;
    return (seen & ~low) != 0;
}

static void e4m3_to_f32(const uint8_t *src, float *dst, size_t n)
{
    size_t i = 0;

    if (!any_e4m3_nan(src, n))
        for (; i + V_LANES <= n; i += V_LANES)
            v_store(dst + i, v_from_e4m3(src + i) * v_set1(256));
    for (; i < n; i++)
        dst[i] = lqi_e4m3_to_f32(src[i]);
}

/* No NaN, and scales that may be multiplied with 256. */
V_INLINE void e4m3(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    const uint8_t *codes = run->codes + first;
    float scale = run->scale[group];
    v_f32 s = v_set1(scale * 256);
    size_t i = 0;

    for (; i + V_LANES <= n; i += V_LANES)
        v_store(y + i, v_from_e4m3(codes + i) * s);
    for (; i < n; i++)
        y[i] = lqi_e4m3_to_f32(codes[i]) * scale;
}

V_INLINE void e4m3_with_care(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = lqi_e4m3_to_f32(run->codes[first + i]) * run->scale[group];
}

V_INLINE void e5m2(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    const uint8_t *codes = run->codes + first;
    float scale = run->scale[group];
    v_f32 s = v_set1(scale);
    size_t i = 0;

    for (; i + V_LANES <= n; i += V_LANES)
        v_store(y + i, v_from_e5m2(codes + i) * s);
    for (; i < n; i++)
        y[i] = lqi_e5m2_to_f32(codes[i]) * scale;
}

static void decode_e4m3(const lqi_run *run, float *y)
{
    size_t groups = run->n ? (size_t)((run->first % run->group + run->n - 1) / run->group + 1) : 0;
    int common = !any_e4m3_nan(run->codes + run->first, run->n);

    for (size_t g = 0; g < groups; g++)
        common &= fabsf(run->scale[g]) < 0x1p118f;
    if (common)
        decode_stretches(run, e4m3, y);
    else
        decode_stretches(run, e4m3_with_care, y);
}

static void decode_e5m2(const lqi_run *run, float *y)
{
    decode_stretches(run, e5m2, y);
}
