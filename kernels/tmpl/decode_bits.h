/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/decode_bits.h - decoders of planar codes that do not divide a byte evenly, or
 * are less than a nibble: streams of bits
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* Codes to numbers of a group; what does not change within the group is in 'g'. */
typedef struct bit_group {
    v_f32    zero, scale;
    v_table4 table;
} bit_group;

typedef v_f32 bit_value(const bit_group *g, v_u32 code);

/* Fewer codes than a vector has, or at the end of what may be read: from element e on. */
V_INLINE void decode_few_bits(const lqi_run *run, unsigned bits, const v_stream *s, uint64_t e,
                              size_t n, bit_value *value, const bit_group *g, float *y)
{
    uint64_t first = e % 8, byte = e / 8 * bits;
    uint8_t bytes[2 * V_STREAM_BYTES] = { 0 };
    size_t used = (size_t)((first + n) * bits + 7) / 8;
    float x[2 * V_LANES];

    memcpy(bytes, run->codes + byte, used);
    v_store(x, value(g, v_stream_at(s, bytes)));
    v_store(x + V_LANES, value(g, v_stream_at(s, bytes + V_LANES * bits / 8)));
    memcpy(y, x + first, n * sizeof *y);
}

/* Vectors begin where a code begins a byte, and end early enough for what they read: within
 * the codes of the run. */
V_INLINE void decode_bits(const lqi_run *run, unsigned bits, uint64_t first, size_t n,
                          bit_value *value, const bit_group *g, float *y)
{
    const v_stream s = v_stream_of(bits);
    size_t head = (size_t)lqi_min((8 - first % 8) % 8, n), i = head, step = V_LANES * bits / 8;
    const uint8_t *p = run->codes + (first + i) / 8 * bits;
    const uint8_t *end = run->codes + (run->first + run->n) / 8 * bits;

    if (head)
        decode_few_bits(run, bits, &s, first, head, value, g, y);
    for (; i + V_LANES <= n && p + V_STREAM_BYTES <= end; i += V_LANES, p += step)
        v_store(y + i, value(g, v_stream_at(&s, p)));
    for (; i < n; i += V_LANES)
        decode_few_bits(run, bits, &s, first + i, (size_t)lqi_min(V_LANES, n - i), value, g,
                        y + i);
}

/* ----------------------------------------------------------------- integers */

V_INLINE v_f32 integer_value(const bit_group *g, v_u32 code)
{
    return (v_int_to_f32(code) - g->zero) * g->scale;
}

V_INLINE void int_bits(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    float zero = run->zero ? run->zero[group] : (float)(1 << (run->bits - 1));
    bit_group g = { .zero = v_set1(zero), .scale = v_set1(run->scale[group]) };

    decode_bits(run, run->bits, first, n, integer_value, &g, y);
}

static void decode_int_bits(const lqi_run *run, float *y)
{
    decode_stretches(run, int_bits, y);
}

/* ------------------------------------------------------------------- tables */

V_INLINE v_f32 table_value(const bit_group *g, v_u32 code)
{
    return v_table4_at(g->table, code);
}

V_INLINE void table2(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    float values[16];
    bit_group g;

    for (int i = 0; i < 16; i++)
        values[i] = run->table[i % 4] * run->scale[group];
    g.table = v_table4_load(values);
    decode_bits(run, 2, first, n, table_value, &g, y);
}

static void decode_table2(const lqi_run *run, float *y)
{
    decode_stretches(run, table2, y);
}

/* -------------------------------------------------------- floats of six bits */

/* An f16 has room for the fields, which makes its exponent too small; 'shift' brings five
 * bits of magnitude to their place. */
#define FLOAT6(name, shift, factor) \
    V_INLINE v_f32 name##_value(const bit_group *g, v_u32 code) \
    { \
        v_u32 half = (code & 31) << shift | (code & 32) << 10; \
        return v_from_f16_bits(half) * v_set1(factor) * g->scale; \
    } \
    V_INLINE void name(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y) \
    { \
        bit_group g = { .scale = v_set1(run->scale[group]) }; \
        decode_bits(run, 6, first, n, name##_value, &g, y); \
    } \
    static void decode_##name(const lqi_run *run, float *y) \
    { \
        decode_stretches(run, name, y); \
    }
FLOAT6(e2m3, 7, 0x1p14f)
FLOAT6(e3m2, 8, 0x1p12f)
