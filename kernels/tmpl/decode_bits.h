/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/decode_bits.h - decoders of planar codes that do not divide a byte evenly, or
 * are less than a nibble: streams of bits
 *
 * 'bits' is a constant wherever it is a parameter.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* Codes to numbers of a group; what does not change within the group is in 'g'. */
typedef struct bit_group {
    v_f32    zero, scale;
    v_table3 table;
    v_float6 floats;
} bit_group;

typedef v_f32 bit_value(const bit_group *g, v_u32 code);

/* Fewer codes than a vector has, or at the end of what may be read: from element e on. */
V_INLINE void decode_few_bits(const lqi_run *run, unsigned bits, uint64_t e, size_t n,
                              bit_value *value, const bit_group *g, float *y)
{
    const v_stream s = v_stream_of(bits);
    uint64_t first = e % 8, byte = e / 8 * bits;
    uint8_t bytes[2 * V_STREAM_BYTES] = { 0 };
    size_t used = (size_t)((first + n) * bits + 7) / 8;
    float x[2 * V_LANES];

    memcpy(bytes, run->codes + byte, used);
    v_store(x, value(g, v_stream_at(&s, bytes)));
    v_store(x + V_LANES, value(g, v_stream_at(&s, bytes + V_LANES * bits / 8)));
    memcpy(y, x + first, n * sizeof *y);
}

V_INLINE void decode_vectors(const uint8_t *p, unsigned bits, size_t n, bit_value *value,
                             const bit_group *g, float *y)
{
    const v_stream s = v_stream_of(bits);

    for (size_t i = 0; i < n; i++)
        v_store(y + i * V_LANES, value(g, v_stream_at(&s, p + i * (V_LANES * bits / 8))));
}

/* Vectors begin where a code begins a byte.  What they read ends within the row: its last ones
 * may have to be read with care. */
V_INLINE void decode_bits(const lqi_run *run, unsigned bits, uint64_t first, size_t n,
                          bit_value *value, const bit_group *g, float *y)
{
    const size_t step = V_LANES * bits / 8, over = V_STREAM_BYTES - step;
    size_t head = (size_t)lqi_min((8 - first % 8) % 8, n), vectors = (n - head) / V_LANES, i;
    const uint8_t *p = run->codes + (first + head) / 8 * bits;
    size_t readable = (size_t)(run->end - p);

    if (head)
        decode_few_bits(run, bits, first, head, value, g, y);
    if (vectors * step + over <= readable) {
        decode_vectors(p, bits, vectors, value, g, y + head);
    } else {
        vectors = readable < over ? 0 : (readable - over) / step;
        decode_vectors(p, bits, vectors, value, g, y + head);
    }
    for (i = head + vectors * V_LANES; i < n; i += V_LANES)
        decode_few_bits(run, bits, first + i, (size_t)lqi_min(V_LANES, n - i), value, g, y + i);
}

/* ----------------------------------------------------------------- integers */

V_INLINE v_f32 integer_value(const bit_group *g, v_u32 code)
{
    return (v_int_to_f32(code) - g->zero) * g->scale;
}

V_INLINE v_f32 table_value(const bit_group *g, v_u32 code)
{
    return v_table3_at(g->table, code);
}

/* Up to three bits there is a product for each code, not for each weight. */
V_INLINE void integers(const lqi_run *run, unsigned bits, uint64_t first, size_t n, size_t group,
                       float *y)
{
    float zero = run->zero ? run->zero[group] : (float)(1 << (bits - 1));
    bit_group g = { .zero = v_set1(zero), .scale = v_set1(run->scale[group]) };

    g.table = (v_table3_load(nibble_values) - g.zero) * g.scale;
    decode_bits(run, bits, first, n, bits <= 3 ? table_value : integer_value, &g, y);
}

#define INTEGERS(bits) \
    V_INLINE void int##bits##_stream(const lqi_run *run, uint64_t first, size_t n, size_t group, \
                                     float *y) \
    { \
        integers(run, bits, first, n, group, y); \
    }
INTEGERS(2)
INTEGERS(3)
INTEGERS(5)
INTEGERS(6)
INTEGERS(7)

static void decode_int_bits(const lqi_run *run, float *y)
{
    switch (run->bits) {
    case 2: decode_stretches(run, int2_stream, y); return;
    case 3: decode_stretches(run, int3_stream, y); return;
    case 5: decode_stretches(run, int5_stream, y); return;
    case 6: decode_stretches(run, int6_stream, y); return;
    default: decode_stretches(run, int7_stream, y);
    }
}

/* ------------------------------------------------------------------- tables */

V_INLINE void table2(const lqi_run *run, uint64_t first, size_t n, size_t group, float *y)
{
    float values[8];
    bit_group g;

    for (int i = 0; i < 8; i++)
        values[i] = run->table[i % 4];
    g.table = v_table3_load(values) * v_set1(run->scale[group]);
    decode_bits(run, 2, first, n, table_value, &g, y);
}

static void decode_table2(const lqi_run *run, float *y)
{
    decode_stretches(run, table2, y);
}

/* -------------------------------------------------------- floats of six bits */

#define FLOAT6(name, man, bias) \
    V_INLINE v_f32 name##_value(const bit_group *g, v_u32 code) \
    { \
        return v_float6_at(&g->floats, code) * g->scale; \
    } \
    V_INLINE void name##_stream(const lqi_run *run, uint64_t first, size_t n, size_t group, \
                                float *y) \
    { \
        bit_group g = { .floats = v_float6_of(run->table, man, bias), \
                        .scale = v_set1(run->scale[group]) }; \
        decode_bits(run, 6, first, n, name##_value, &g, y); \
    } \
    static void decode_##name(const lqi_run *run, float *y) \
    { \
        decode_stretches(run, name##_stream, y); \
    }
FLOAT6(e2m3, 3, 1)
FLOAT6(e3m2, 2, 3)
