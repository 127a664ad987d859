/* SPDX-License-Identifier: MIT */
/*
 * lib/layout/compressed.c - "pack-quantized" arrays of compressed-tensors
 *
 *              theirs                                    ours
 *   codes      i32 [rows][words], fields along cols      rows of codes
 *   zeros      i32 [words][groups], fields along rows    bytes [groups of rows][groups]
 *
 * A field is value + 2^(b - 1), the number our codes are below 8 bits already.  Words are
 * little-endian; field k of a stream
 *
 *   dense      occupies bits [k b, k b + b), also where that crosses a word
 *   words      lies in word k / f at bits [k % f b, ...), f = floor(32 / b)
 */
#include "lib/layout/layout.h"

/* ------------------------------------------------------------------ streams */

/* Place of field k: its word and the shift in it. */
typedef struct place {
    uint64_t word;
    unsigned shift;
} place;

static place place_of(unsigned bits, int32_t form, uint64_t k)
{
    unsigned fields = 32 / bits;

    if (form == LQ_COMPRESSED_WORDS)
        return (place){ k / fields, (unsigned)(k % fields) * bits };
    return (place){ k / 32 * bits + k % 32 * bits / 32, (unsigned)(k % 32 * bits % 32) };
}

static uint32_t field_read(const uint8_t *words, uint64_t step, unsigned bits, place p)
{
    uint32_t v = lqi_load32(words + 4 * p.word * step) >> p.shift;

    if (p.shift + bits > 32)
        v |= lqi_load32(words + 4 * (p.word + 1) * step) << (32 - p.shift);
    return v & ((1u << bits) - 1);
}

/* The stream was zero before. */
static void field_write(uint8_t *words, uint64_t step, unsigned bits, place p, uint32_t v)
{
    uint8_t *at = words + 4 * p.word * step;

    lqi_store32(at, lqi_load32(at) | v << p.shift);
    if (p.shift + bits > 32) {
        at += 4 * step;
        lqi_store32(at, lqi_load32(at) | v >> (32 - p.shift));
    }
}

/* Words of n fields. */
static uint64_t words_of(unsigned bits, int32_t form, uint64_t n)
{
    if (form == LQ_COMPRESSED_WORDS)
        return lqi_div_up(n, 32 / bits);
    return n / 32 * bits + lqi_div_up(n % 32 * bits, 32);
}

/* ------------------------------------------------------------------- checks */

static lq_status array_bytes(const lqi_matrix *m, lq_compressed *c)
{
    uint64_t codes, zeros;

    if (c->form != LQ_COMPRESSED_DENSE && c->form != LQ_COMPRESSED_WORDS)
        return LQ_ERR_ARG;
    if (m->cols > UINT64_MAX / 8 || m->rows > UINT64_MAX / 8 ||
        !lqi_mul(words_of(m->bits, c->form, m->cols), m->rows, &codes) ||
        !lqi_mul(codes, 4, &codes) ||
        !lqi_mul(words_of(m->bits, c->form, m->row_groups), m->groups, &zeros) ||
        !lqi_mul(zeros, 4, &zeros))
        return LQ_ERR_OVERFLOW;
    c->packed_bytes = codes;
    c->zero_point_bytes = m->spec.zeros ? zeros : 0;
    return LQ_OK;
}

static lq_status open_both(const lq_compressed *in, const lq_rows *rows_in, lq_compressed *c,
                           lqi_matrix *m, lq_compressed *need)
{
    lq_rows rows = { 0 };
    lq_status status = in && rows_in ? lqi_opts_read(c, sizeof *c, in) : LQ_ERR_ARG;

    if (!status)
        status = lqi_opts_read(&rows, sizeof rows, rows_in);
    if (!status && (!rows.spec || c->reserved))
        status = LQ_ERR_ARG;
    if (!status)
        status = lqi_matrix_init(m, rows.spec, rows.rows, rows.cols);
    *need = *c;
    if (!status)
        status = array_bytes(m, need);
    if (status)
        return status;
    if ((need->packed_bytes && !c->packed) || (need->zero_point_bytes && !c->zero_point))
        return LQ_ERR_ARG;
    if (c->packed_bytes < need->packed_bytes ||
        (need->zero_point_bytes && c->zero_point_bytes < need->zero_point_bytes))
        return LQ_ERR_BUFFER;
    return lqi_matrix_planes(m, &rows, 0);
}

/* ------------------------------------------------------------------- public */

void lq_compressed_init(lq_compressed *compressed)
{
    lq_compressed init = LQ_COMPRESSED_INIT;

    if (compressed)
        *compressed = init;
}

lq_status lq_compressed_bytes(const lq_spec *spec, uint64_t rows, uint64_t cols,
                              lq_compressed *compressed)
{
    lqi_matrix m = { 0 };
    lq_compressed copy = { 0 };
    lq_status status = spec && compressed ? lqi_opts_read(&copy, sizeof copy, compressed)
                                          : LQ_ERR_ARG;

    if (!status)
        status = lqi_matrix_init(&m, spec, rows, cols);
    if (!status)
        status = array_bytes(&m, &copy);
    if (!status)
        lqi_struct_return(compressed, &copy, sizeof copy);
    return status;
}

int32_t lq_compressed_detect(uint32_t bits, uint64_t n, uint64_t words)
{
    if (bits < 2 || bits > 8 || n > UINT64_MAX / 8)
        return 0;
    if (words == words_of(bits, LQ_COMPRESSED_DENSE, n))
        return LQ_COMPRESSED_DENSE;
    return words == words_of(bits, LQ_COMPRESSED_WORDS, n) ? LQ_COMPRESSED_WORDS : 0;
}

lq_status lq_compressed_import(const lq_compressed *compressed, const lq_rows *rows)
{
    lqi_matrix m = { 0 };
    lq_compressed in = { 0 }, need;
    lq_status status = open_both(compressed, rows, &in, &m, &need);
    uint32_t batch[LQI_BATCH];

    if (status)
        return status;
    for (uint64_t r = 0; r < m.rows; r++) {
        const uint8_t *row = (const uint8_t *)in.packed + need.packed_bytes / m.rows * r;
        for (uint64_t c = 0; c < m.cols; c += LQI_BATCH) {
            size_t n = (size_t)lqi_min(LQI_BATCH, m.cols - c);
            for (unsigned k = 0; k < n; k++)
                batch[k] = field_read(row, 1, m.bits, place_of(m.bits, in.form, c + k));
            lqi_matrix_write(&m, r, c, n, batch);
        }
    }
    for (uint64_t i = 0; m.spec.zeros && m.rows && i < m.groups; i++)
        for (uint64_t r = 0; r < m.row_groups; r++)
            lqi_matrix_set_zero(&m, r * m.groups + i,
                                field_read((const uint8_t *)in.zero_point + 4 * i, m.groups,
                                           m.bits, place_of(m.bits, in.form, r)));
    return LQ_OK;
}

lq_status lq_compressed_export(const lq_rows *rows, const lq_compressed *compressed)
{
    lqi_matrix m = { 0 };
    lq_compressed out = { 0 }, need;
    lq_status status = open_both(compressed, rows, &out, &m, &need);
    uint32_t batch[LQI_BATCH];

    if (!status)
        status = lqi_matrix_check_zeros(&m, 0);
    if (status || m.rows == 0 || m.cols == 0)
        return status;
    memset(out.packed, 0, (size_t)need.packed_bytes);
    if (need.zero_point_bytes)
        memset(out.zero_point, 0, (size_t)need.zero_point_bytes);
    for (uint64_t r = 0; r < m.rows; r++) {
        uint8_t *row = (uint8_t *)out.packed + need.packed_bytes / m.rows * r;
        for (uint64_t c = 0; c < m.cols; c += LQI_BATCH) {
            size_t n = (size_t)lqi_min(LQI_BATCH, m.cols - c);
            lqi_matrix_read(&m, r, c, n, batch);
            for (unsigned k = 0; k < n; k++)
                field_write(row, 1, m.bits, place_of(m.bits, out.form, c + k), batch[k]);
        }
    }
    for (uint64_t i = 0; m.spec.zeros && i < m.groups; i++)
        for (uint64_t r = 0; r < m.row_groups; r++)
            field_write((uint8_t *)out.zero_point + 4 * i, m.groups, m.bits,
                        place_of(m.bits, out.form, r), lqi_matrix_zero(&m, r * m.groups + i));
    return LQ_OK;
}
