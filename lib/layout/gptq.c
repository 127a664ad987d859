/* SPDX-License-Identifier: MIT */
/*
 * lib/layout/gptq.c - GPTQ's arrays: versions 1 and 2, and planes
 *
 *              theirs                              ours
 *   codes      i32 [cols * b / 32][rows]           rows of codes
 *   zeros      i32 [groups][rows * b / 32]         bytes [rows][groups]
 *   scales     f16 [groups][rows]                  f16 [rows][groups]
 *   g_idx      i32 [cols]                          i32 [cols], or implied
 *
 * Their fields lie in little-endian words: one stream per row, whose words are 'rows' apart,
 * and one stream per group.  Each 32 fields take b words:
 *
 *   versions 1, 2   field k occupies bits [k b, k b + b), also where that crosses a word
 *   planes          the field's bits from the low end up in pieces of 4, 2 and 1 bits (3 is
 *                   2 + 1, 5 is 4 + 1, 6 is 4 + 2, 7 is 4 + 2 + 1; 8 stays whole); piece by
 *                   piece w words, piece of field k at bits [k w, k w + w) of them
 *
 * Our 8-bit codes and zero points are two's complement, theirs are not.
 */
#include "lib/layout/layout.h"

/* ---------------------------------------------------------- streams of fields */

typedef struct stream {
    unsigned bits;
    int      planes;
} stream;

/* Width of the next piece of a field with 'left' bits. */
static unsigned piece(const stream *s, unsigned left)
{
    if (!s->planes || left == 8)
        return left;
    return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* Field number 'k' of a stream whose words lie 'step' words apart; 'plus' is added to each
 * word first. */
static uint32_t field_read(const stream *s, const uint8_t *words, uint64_t step, uint64_t k,
                           uint32_t plus)
{
    uint64_t word = k / 32 * s->bits;
    uint32_t field = 0;

    for (unsigned done = 0, w; done < s->bits; done += w) {
        w = piece(s, s->bits - done);
        uint64_t at = word + k % 32 * w / 32;
        unsigned shift = (unsigned)(k % 32 * w % 32);
        uint32_t v = (lqi_load32(words + 4 * at * step) + plus) >> shift;
        if (shift + w > 32)
            v |= (lqi_load32(words + 4 * (at + 1) * step) + plus) << (32 - shift);
        field |= (v & ((1u << w) - 1)) << done;
        word += w;
    }
    return field;
}

/* The stream was zero before. */
static void field_write(const stream *s, uint8_t *words, uint64_t step, uint64_t k,
                        uint32_t field)
{
    uint64_t word = k / 32 * s->bits;

    for (unsigned done = 0, w; done < s->bits; done += w) {
        w = piece(s, s->bits - done);
        uint8_t *p = words + 4 * (word + k % 32 * w / 32) * step;
        unsigned shift = (unsigned)(k % 32 * w % 32);
        uint32_t v = field >> done & ((1u << w) - 1);
        lqi_store32(p, lqi_load32(p) | v << shift);
        if (shift + w > 32) {
            p += 4 * step;
            lqi_store32(p, lqi_load32(p) | v >> (32 - shift));
        }
        word += w;
    }
}

/* -------------------------------------------------------------------- checks */

static lq_status matrix_init(lqi_matrix *m, const lq_spec *spec, uint64_t rows, uint64_t cols)
{
    lq_status status = lqi_matrix_half(m, spec, rows, cols);

    if (status)
        return status;
    return rows % 32 || cols % 32 ? LQ_ERR_SHAPE : LQ_OK;
}

/* Bytes of their arrays. */
static lq_status array_bytes(const lqi_matrix *m, lq_gptq *gptq)
{
    uint64_t codes, zeros, scales, index;

    if (!lqi_mul(m->cols / 8 * m->bits, m->rows, &codes) ||
        !lqi_mul(m->rows / 8 * m->bits, m->groups, &zeros) ||
        !lqi_mul(m->rows, m->groups, &scales) || !lqi_mul(scales, 2, &scales) ||
        !lqi_mul(m->cols, 4, &index) || m->cols > INT32_MAX)
        return LQ_ERR_OVERFLOW;
    gptq->qweight_bytes = codes;
    gptq->qzeros_bytes = zeros;
    gptq->scales_bytes = scales;
    gptq->g_idx_bytes = index;
    return LQ_OK;
}

/* Widths that a version other than planes has, as bits. */
static uint32_t widths(int32_t version)
{
    uint32_t whole = 1u << 2 | 1u << 4 | 1u << 8;

    return version == LQ_GPTQ_V1_WORDS ? whole : whole | 1u << 3;
}

static lq_status check_arrays(const lqi_matrix *m, const lq_gptq *g)
{
    lq_gptq need;
    lq_status status = array_bytes(m, &need);

    if (status)
        return status;
    if (g->version < LQ_GPTQ_V1 || g->version > LQ_GPTQ_PLANES)
        return LQ_ERR_ARG;
    if (g->version != LQ_GPTQ_PLANES && !(1u << m->bits & widths(g->version)))
        return LQ_ERR_UNSUPPORTED;
    if (g->reserved || (need.qweight_bytes && (!g->qweight || !g->qzeros || !g->scales)))
        return LQ_ERR_ARG;
    if (g->qweight_bytes < need.qweight_bytes || g->qzeros_bytes < need.qzeros_bytes ||
        g->scales_bytes < need.scales_bytes || (g->g_idx && g->g_idx_bytes < need.g_idx_bytes))
        return LQ_ERR_BUFFER;
    return LQ_OK;
}

/* Read both arguments of import and export, check all that does not depend on content. */
static lq_status open_both(const lq_gptq *gptq_in, const lq_rows *rows_in, lq_gptq *gptq,
                           lqi_matrix *m)
{
    lq_rows rows = { 0 };

    if (!gptq_in || !rows_in)
        return LQ_ERR_ARG;
    lq_status status = lqi_opts_read(gptq, sizeof *gptq, gptq_in);
    if (!status)
        status = lqi_opts_read(&rows, sizeof rows, rows_in);
    if (!status)
        status = rows.spec ? matrix_init(m, rows.spec, rows.rows, rows.cols) : LQ_ERR_ARG;
    if (!status)
        status = check_arrays(m, gptq);
    return status ? status : lqi_matrix_planes(m, &rows, 1);
}

/* -------------------------------------------------------------------- public */

void lq_gptq_init(lq_gptq *gptq)
{
    lq_gptq init = LQ_GPTQ_INIT;

    if (gptq)
        *gptq = init;
}

lq_status lq_gptq_bytes(const lq_spec *spec, uint64_t rows, uint64_t cols, lq_gptq *gptq)
{
    lqi_matrix m = { 0 };

    if (!spec || !gptq)
        return LQ_ERR_ARG;
    lq_gptq copy = { 0 };
    lq_status status = lqi_opts_read(&copy, sizeof copy, gptq);
    if (!status)
        status = matrix_init(&m, spec, rows, cols);
    if (!status)
        status = array_bytes(&m, &copy);
    if (status)
        return status;
    lqi_struct_return(gptq, &copy, sizeof copy);
    return LQ_OK;
}

/* Every index in range; 'plain': and in the order that needs no plane. */
static lq_status check_index(const lqi_matrix *m, const uint8_t *index, int plain)
{
    for (uint64_t c = 0; c < m->cols; c++) {
        uint32_t group = lqi_load32(index + 4 * c);    /* negative ones are large */
        if (group >= m->groups)
            return LQ_ERR_CORRUPT;
        if (plain && group != c / m->group_cols)
            return LQ_ERR_MISMATCH;
    }
    return LQ_OK;
}

/* g_idx from 'src' (may be NULL) to 'dst' (may be NULL). */
static void copy_index(const lqi_matrix *m, const uint8_t *src, uint8_t *dst)
{
    for (uint64_t c = 0; dst && c < m->cols; c++)
        lqi_store32(dst + 4 * c, src ? lqi_load32(src + 4 * c)
                                     : (uint32_t)(c / m->group_cols));
}

/* One in each field of a word: what version 1 subtracts when it works by words. */
static uint32_t ones(unsigned bits)
{
    return 0xffffffffu / ((1u << bits) - 1);
}

/* Zero point and scale of every group of a row. */
static lq_status import_groups(const lqi_matrix *m, const lq_gptq *g, uint64_t row)
{
    stream s = { m->bits, g->version == LQ_GPTQ_PLANES };
    uint32_t mask = (1u << m->bits) - 1, add = g->version == LQ_GPTQ_V1;
    uint32_t plus = g->version == LQ_GPTQ_V1_WORDS ? ones(m->bits) : 0;
    uint8_t *scales = m->plane[LQ_PLANE_SCALES];
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < m->groups && !status; i++) {
        const uint8_t *words = (const uint8_t *)g->qzeros + i * (m->rows / 8 * m->bits);
        uint32_t zero = (field_read(&s, words, 1, row, plus) + add) & mask;
        status = lqi_matrix_set_zero(m, row * m->groups + i, zero);
        lqi_store16(scales + 2 * (row * m->groups + i),
                    lqi_load16((const uint8_t *)g->scales + 2 * (i * m->rows + row)));
    }
    return status;
}

lq_status lq_gptq_import(const lq_gptq *gptq, const lq_rows *rows)
{
    lqi_matrix m = { 0 };
    lq_gptq g = { 0 };
    lq_status status = open_both(gptq, rows, &g, &m);

    if (!status && g.g_idx)
        status = check_index(&m, g.g_idx, !(m.spec.flags & LQ_SPEC_GIDX));
    stream s = { m.bits, g.version == LQ_GPTQ_PLANES };
    uint32_t batch[LQI_BATCH];

    for (uint64_t r = 0; r < m.rows && m.cols && !status; r++) {
        for (uint64_t c = 0; c < m.cols; c += LQI_BATCH) {
            for (unsigned k = 0; k < LQI_BATCH; k++)
                batch[k] = field_read(&s, (const uint8_t *)g.qweight + 4 * r, m.rows, c + k, 0);
            lqi_matrix_write(&m, r, c, LQI_BATCH, batch);
        }
        status = import_groups(&m, &g, r);
    }
    if (!status)
        copy_index(&m, g.g_idx, m.spec.flags & LQ_SPEC_GIDX ? m.plane[LQ_PLANE_GIDX] : NULL);
    return status;
}

static lq_status check_export(const lqi_matrix *m, const lq_gptq *g)
{
    lq_status status = LQ_OK;

    if (m->spec.flags & LQ_SPEC_GIDX)
        status = check_index(m, m->plane[LQ_PLANE_GIDX], !g->g_idx);
    return status ? status : lqi_matrix_check_zeros(m, g->version == LQ_GPTQ_V1);
}

static void export_groups(const lqi_matrix *m, const lq_gptq *g, uint64_t row)
{
    stream s = { m->bits, g->version == LQ_GPTQ_PLANES };
    uint32_t minus = g->version == LQ_GPTQ_V1;
    const uint8_t *scales = m->plane[LQ_PLANE_SCALES];

    for (uint64_t i = 0; i < m->groups; i++) {
        uint8_t *words = (uint8_t *)g->qzeros + i * (m->rows / 8 * m->bits);
        field_write(&s, words, 1, row, lqi_matrix_zero(m, row * m->groups + i) - minus);
        lqi_store16((uint8_t *)g->scales + 2 * (i * m->rows + row),
                    lqi_load16(scales + 2 * (row * m->groups + i)));
    }
}

static void subtract_ones(uint8_t *words, uint64_t bytes, unsigned bits)
{
    for (uint64_t i = 0; i < bytes; i += 4)
        lqi_store32(words + i, lqi_load32(words + i) - ones(bits));
}

lq_status lq_gptq_export(const lq_rows *rows, const lq_gptq *gptq)
{
    lqi_matrix m = { 0 };
    lq_gptq g = { 0 }, need;
    lq_status status = open_both(gptq, rows, &g, &m);

    if (!status)
        status = check_export(&m, &g);
    if (!status)
        status = array_bytes(&m, &need);
    if (status || m.rows == 0 || m.cols == 0)
        return status;
    stream s = { m.bits, g.version == LQ_GPTQ_PLANES };
    uint32_t batch[LQI_BATCH];

    memset(g.qweight, 0, (size_t)need.qweight_bytes);
    memset(g.qzeros, 0, (size_t)need.qzeros_bytes);
    for (uint64_t r = 0; r < m.rows; r++) {
        for (uint64_t c = 0; c < m.cols; c += LQI_BATCH) {
            lqi_matrix_read(&m, r, c, LQI_BATCH, batch);
            for (unsigned k = 0; k < LQI_BATCH; k++)
                field_write(&s, (uint8_t *)g.qweight + 4 * r, m.rows, c + k, batch[k]);
        }
        export_groups(&m, &g, r);
    }
    if (g.version == LQ_GPTQ_V1_WORDS)
        subtract_ones(g.qzeros, need.qzeros_bytes, m.bits);
    copy_index(&m, m.spec.flags & LQ_SPEC_GIDX ? m.plane[LQ_PLANE_GIDX] : NULL, g.g_idx);
    return LQ_OK;
}

int32_t lqi_gptq_detect(const void *qzeros, uint64_t bytes, uint32_t bits, int planes)
{
    int v1 = !planes, v2 = 1;

    if (!qzeros || !bytes || bits < 2 || bits > 8 || (!planes && bits > 4 && bits != 8))
        return 0;
    /* whole batches of 32 fields are whole words, so all groups make one stream */
    if (bytes % (4 * (uint64_t)bits))
        return 0;
    uint32_t middle = 1u << (bits - 1);
    stream s = { bits, planes };

    for (uint64_t k = 0; k < bytes / bits * 8 && (v1 || v2); k++) {
        uint32_t field = field_read(&s, qzeros, 1, k, 0);
        v1 &= field == middle - 1;
        v2 &= field == middle;
    }
    if (v2 && planes)
        return LQ_GPTQ_PLANES;
    return v2 ? LQ_GPTQ_V2 : v1 ? LQ_GPTQ_V1 : 0;
}

int32_t lq_gptq_detect(const void *qzeros, uint64_t bytes, uint32_t bits)
{
    return lqi_gptq_detect(qzeros, bytes, bits, 0);
}
