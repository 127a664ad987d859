/* SPDX-License-Identifier: MIT */
/*
 * lib/format/planar.c - packed codes of planar formats
 *
 * A row of codes is a stream of bits: code k occupies bits [k * bits, k * bits + bits), the
 * least significant bit of a byte first.  Four-bit codes also come with the order of the
 * two nibbles exchanged (bitsandbytes): element 2i in the upper half of byte i.
 */
#include "lib/format/planar.h"

/* --------------------------------------------------------------- codes, read */

static void read_nibbles(const uint8_t *codes, unsigned order, uint64_t first, size_t n,
                         uint32_t *out)
{
    unsigned flip = order == LQI_HIGH_FIRST;

    for (size_t i = 0; i < n; i++) {
        uint64_t e = first + i;
        out[i] = codes[e / 2] >> (((e & 1) ^ flip) * 4) & 15;
    }
}

/* A code of up to 8 bits lies in one byte or two; the second is read only if it does. */
static void read_bits(const uint8_t *codes, unsigned bits, uint64_t first, size_t n,
                      uint32_t *out)
{
    uint32_t mask = (1u << bits) - 1;

    for (size_t i = 0; i < n; i++) {
        uint64_t e = first + i;
        /* whole groups of 8 codes take 'bits' bytes, so nothing overflows */
        uint64_t byte = e / 8 * bits + e % 8 * bits / 8;
        unsigned shift = (unsigned)(e % 8 * bits % 8);
        uint32_t v = codes[byte];
        if (shift + bits > 8)
            v |= (uint32_t)codes[byte + 1] << 8;
        out[i] = v >> shift & mask;
    }
}

void lqi_codes_read(const uint8_t *codes, unsigned bits, unsigned order, uint64_t first,
                    size_t n, uint32_t *out)
{
    if (bits == 8) {
        for (size_t i = 0; i < n; i++)
            out[i] = codes[first + i];
        return;
    }
    if (bits == 4)
        read_nibbles(codes, order, first, n, out);
    else
        read_bits(codes, bits, first, n, out);
}

/* Eight codes from a byte on. */
static void read_eight(const uint8_t *codes, unsigned bits, uint8_t out[8])
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bits; i++)
        v |= (uint64_t)codes[i] << 8 * i;
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> bits * i & ((1u << bits) - 1));
}

static void read_pairs(const uint8_t *codes, unsigned order, size_t n, uint8_t *out)
{
    unsigned first = order == LQI_HIGH_FIRST ? 4 : 0, second = 4 - first;

    for (size_t i = 0; i < n / 2; i++) {
        out[2 * i] = codes[i] >> first & 15;
        out[2 * i + 1] = codes[i] >> second & 15;
    }
}

void lqi_codes_bytes(const uint8_t *codes, unsigned bits, unsigned order, uint64_t first,
                     size_t n, uint8_t *out)
{
    size_t fast = first % 8 ? 0 : n / 8 * 8;

    if (bits == 8) {
        memcpy(out, codes + first, n);
        return;
    }
    if (bits == 4)
        read_pairs(codes + first / 2, order, fast, out);
    for (size_t i = 0; bits != 4 && i < fast; i += 8)
        read_eight(codes + (first + i) / 8 * bits, bits, out + i);
    for (size_t i = fast; i < n; i++) {
        uint32_t code;
        lqi_codes_read(codes, bits, order, first + i, 1, &code);
        out[i] = (uint8_t)code;
    }
}

/* -------------------------------------------------------------- codes, write */

static void write_nibbles(uint8_t *codes, unsigned order, uint64_t first, size_t n,
                          const uint32_t *in)
{
    unsigned flip = order == LQI_HIGH_FIRST;

    for (size_t i = 0; i < n; i++) {
        uint64_t e = first + i;
        unsigned shift = (unsigned)((e & 1) ^ flip) * 4;
        codes[e / 2] = (uint8_t)((codes[e / 2] & (0xf0u >> shift)) | (in[i] & 15) << shift);
    }
}

static void write_bits(uint8_t *codes, unsigned bits, uint64_t first, size_t n,
                       const uint32_t *in)
{
    uint32_t mask = (1u << bits) - 1;

    for (size_t i = 0; i < n; i++) {
        uint64_t e = first + i, byte = e / 8 * bits + e % 8 * bits / 8;
        unsigned shift = (unsigned)(e % 8 * bits % 8);
        uint32_t v = (in[i] & mask) << shift, keep = ~(mask << shift);
        codes[byte] = (uint8_t)((codes[byte] & keep) | v);
        if (shift + bits > 8)
            codes[byte + 1] = (uint8_t)((codes[byte + 1] & keep >> 8) | v >> 8);
    }
}

void lqi_codes_write(uint8_t *codes, unsigned bits, unsigned order, uint64_t first,
                     size_t n, const uint32_t *in)
{
    if (bits == 8) {
        for (size_t i = 0; i < n; i++)
            codes[first + i] = (uint8_t)in[i];
        return;
    }
    if (bits == 4)
        write_nibbles(codes, order, first, n, in);
    else
        write_bits(codes, bits, first, n, in);
}

void lqi_codes_pad(const lqi_format *format, const lq_spec *spec, uint8_t *codes, uint64_t n)
{
    const float nothing = 0;
    const lqi_group group = { 1, 0 };
    lqi_fit in = { .spec = spec, .x = &nothing, .n = 1, .partial = 1 };
    unsigned bits = lqi_spec_bits(format, spec), used = (unsigned)(n % 8) * bits % 8;
    uint32_t code;

    if (used == 0)
        return;
    format->round(&in, &group, &code);
    for (; used + bits <= 8; used += bits)
        lqi_codes_write(codes, bits, format->order, n++, 1, &code);
}

/* --------------------------------------------------------------- parameters */

void lqi_group_from_range(const lqi_format *format, const lq_spec *spec, float lo, float hi,
                          lqi_group *group)
{
    group->scale = group->zero = 0;
    format->fit_range(spec, lo, hi, group);
    if (!spec->scale2_block)
        group->scale = lqi_scale_round(spec->scale_type, group->scale);
    if (spec->zeros && format->fit_zero)
        format->fit_zero(spec, lo, hi, group);
}

/* -------------------------------------------------------------------- specs */

unsigned lqi_spec_bits(const lqi_format *format, const lq_spec *spec)
{
    if (format->bits)
        return format->bits;
    size_t count = lq_codebook_count(spec->codebook);
    unsigned bits = count != 0;               /* 0: the spec still lacks its codebook */
    while (bits < 8 && count > (size_t)1 << bits)
        bits++;
    return bits;
}

const float *lqi_spec_table(const lqi_format *format, const lq_spec *spec)
{
    return format->table || format->bits ? format->table
                                         : lq_codebook_values(spec->codebook);
}

/* ----------------------------------------------------------------- decoding */

#define CHUNK 256

void lqi_decode_planar(const lqi_format *format, const lq_spec *spec, const lqi_run *run,
                       float *y)
{
    unsigned bits = lqi_spec_bits(format, spec);
    uint32_t codes[CHUNK];

    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        lqi_group group = { run->scale[s.group], run->zero ? run->zero[s.group] : 0 };
        for (size_t i = 0; i < s.n; i += CHUNK) {
            size_t n = s.n - i < CHUNK ? s.n - i : CHUNK;
            lqi_codes_read(run->codes, bits, format->order, run->first + s.at + i, n, codes);
            format->value(spec, &group, codes, n, y + s.at + i);
        }
    }
}

/* ------------------------------------------------------- tables of 16, high first */

void lqi_table4_value(const float *table, const void *param, const uint32_t *codes,
                      size_t n, float *y)
{
    const lqi_group *group = param;

    for (size_t i = 0; i < n; i++)
        y[i] = table[codes[i] & 15] * group->scale;
}

/* Elements [e, e + n) of one group. */
static void table4_segment(const uint8_t *codes, uint64_t e, size_t n, const float *table,
                           float scale, float *y)
{
    size_t i = 0;

    if (n && e & 1)
        y[i++] = table[codes[e / 2] & 15] * scale;
    for (; i + 2 <= n; i += 2) {
        uint8_t byte = codes[(e + i) / 2];
        y[i] = table[byte >> 4] * scale;
        y[i + 1] = table[byte & 15] * scale;
    }
    if (i < n)
        y[i] = table[codes[(e + i) / 2] >> 4] * scale;
}

void lqi_table4_decode(const lqi_run *run, float *y)
{
    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);)
        table4_segment(run->codes, run->first + s.at, s.n, run->table, run->scale[s.group],
                       y + s.at);
}
