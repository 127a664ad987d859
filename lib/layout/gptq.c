/* SPDX-License-Identifier: MIT */
/*
 * lib/layout/gptq.c - GPTQ's arrays, versions 1 and 2
 *
 *              theirs                              ours
 *   codes      i32 [cols * b / 32][rows]           rows of codes
 *   zeros      i32 [groups][rows * b / 32]         bytes [rows][groups]
 *   scales     f16 [groups][rows]                  f16 [rows][groups]
 *   g_idx      i32 [cols]                          i32 [cols], or implied
 *
 * Their fields are streams of bits in little-endian words: one stream per row, whose words
 * lie 'rows' apart, and one stream per group.  Field k occupies bits [k b, k b + b), also
 * where that crosses a word (3 bits).  Our 8-bit codes and zero points are two's complement,
 * theirs are not.
 */
#include "lib/format/format.h"
#include "libquant/layout.h"

/* ---------------------------------------------------------- streams of fields */

/* Field number 'k' of a stream whose words lie 'step' words apart. */
static uint32_t field_read(const uint8_t *words, uint64_t step, unsigned bits, uint64_t k)
{
    uint64_t word = k / 32 * bits + k % 32 * bits / 32;
    unsigned shift = (unsigned)(k % 32 * bits % 32);
    uint32_t v = lqi_load32(words + 4 * word * step) >> shift;

    if (shift + bits > 32)
        v |= lqi_load32(words + 4 * (word + 1) * step) << (32 - shift);
    return v & ((1u << bits) - 1);
}

/* The stream was zero before. */
static void field_write(uint8_t *words, uint64_t step, unsigned bits, uint64_t k, uint32_t v)
{
    uint64_t word = k / 32 * bits + k % 32 * bits / 32;
    unsigned shift = (unsigned)(k % 32 * bits % 32);
    uint8_t *p = words + 4 * word * step;

    lqi_store32(p, lqi_load32(p) | v << shift);
    if (shift + bits > 32) {
        p += 4 * step;
        lqi_store32(p, lqi_load32(p) | v >> (32 - shift));
    }
}

/* -------------------------------------------------------------------- checks */

typedef struct matrix {
    lq_spec           spec;
    const lqi_format *format;
    unsigned          bits, flip;     /* flip: their number ^ flip is our byte */
    uint64_t          rows, cols, groups, group_cols;
    uint64_t          row_bytes;      /* from row to row of our codes */
    void             *plane[LQ_PLANES];
} matrix;

static lq_status matrix_init(matrix *m, const lq_spec *spec, uint64_t rows, uint64_t cols)
{
    lq_status status = lqi_opts_read(&m->spec, sizeof m->spec, spec);

    if (!status)
        status = lq_spec_complete(&m->spec, NULL);
    if (status)
        return status;
    m->format = lqi_format_by_id(m->spec.format);
    m->bits = m->format->bits;
    m->flip = m->bits == 8 ? 128 : 0;
    if (!(m->format->can & LQI_CAN_ZEROS_INT) || m->spec.zeros != LQ_ZEROS_INT ||
        (m->bits != 2 && m->bits != 3 && m->bits != 4 && m->bits != 8) ||
        m->spec.scale_type != LQ_F16 || m->spec.scale2_block || m->spec.group_rows != 1 ||
        (m->spec.flags & LQ_SPEC_FLAT))
        return LQ_ERR_UNSUPPORTED;
    if (rows % 32 || cols % 32)
        return LQ_ERR_SHAPE;
    m->rows = rows;
    m->cols = cols;
    m->group_cols = m->spec.group_cols == LQ_GROUP_ALL ? cols : m->spec.group_cols;
    m->groups = cols ? lqi_div_up(cols, m->group_cols) : 0;
    m->row_bytes = cols / 8 * m->bits;
    return LQ_OK;
}

/* Bytes of their arrays. */
static lq_status array_bytes(const matrix *m, lq_gptq *gptq)
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

static lq_status check_arrays(const matrix *m, const lq_gptq *g)
{
    lq_gptq need;
    lq_status status = array_bytes(m, &need);

    if (status)
        return status;
    if (g->version != LQ_GPTQ_V1 && g->version != LQ_GPTQ_V2)
        return LQ_ERR_ARG;
    if (g->reserved || (need.qweight_bytes && (!g->qweight || !g->qzeros || !g->scales)))
        return LQ_ERR_ARG;
    if (g->qweight_bytes < need.qweight_bytes || g->qzeros_bytes < need.qzeros_bytes ||
        g->scales_bytes < need.scales_bytes || (g->g_idx && g->g_idx_bytes < need.g_idx_bytes))
        return LQ_ERR_BUFFER;
    return LQ_OK;
}

/* Read both arguments of import and export, check all that does not depend on content. */
static lq_status open_both(const lq_gptq *gptq_in, const lq_rows *rows_in, lq_gptq *gptq,
                           matrix *m)
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
    if (status)
        return status;
    if (rows.stride) {
        if (rows.stride < m->row_bytes)
            return LQ_ERR_ARG;
        m->row_bytes = rows.stride;
    }
    uint64_t span;
    if (!lqi_mul(m->row_bytes, m->rows, &span))
        return LQ_ERR_OVERFLOW;
    memcpy(m->plane, rows.plane, sizeof m->plane);
    int empty = m->rows == 0 || m->cols == 0;
    if (!empty && (!m->plane[LQ_PLANE_CODES] || !m->plane[LQ_PLANE_SCALES] ||
                   !m->plane[LQ_PLANE_ZEROS]))
        return LQ_ERR_ARG;
    if ((m->spec.flags & LQ_SPEC_GIDX) && m->cols && !m->plane[LQ_PLANE_GIDX])
        return LQ_ERR_ARG;
    return LQ_OK;
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
    matrix m = { 0 };

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
    size_t known = gptq->struct_size < sizeof copy ? gptq->struct_size : sizeof copy;
    copy.struct_size = gptq->struct_size;
    memcpy(gptq, &copy, known);
    return LQ_OK;
}

/* Every index in range; 'plain': and in the order that needs no plane. */
static lq_status check_index(const matrix *m, const uint8_t *index, int plain)
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
static void copy_index(const matrix *m, const uint8_t *src, uint8_t *dst)
{
    for (uint64_t c = 0; dst && c < m->cols; c++)
        lqi_store32(dst + 4 * c, src ? lqi_load32(src + 4 * c)
                                     : (uint32_t)(c / m->group_cols));
}

#define BATCH 32   /* fields at a time: whole bytes of ours, whole words of theirs */

lq_status lq_gptq_import(const lq_gptq *gptq, const lq_rows *rows)
{
    matrix m = { 0 };
    lq_gptq g = { 0 };
    lq_status status = open_both(gptq, rows, &g, &m);

    if (!status && g.g_idx)
        status = check_index(&m, g.g_idx, !(m.spec.flags & LQ_SPEC_GIDX));
    if (status)
        return status;
    uint8_t *codes = m.plane[LQ_PLANE_CODES], *zeros = m.plane[LQ_PLANE_ZEROS];
    uint8_t *scales = m.plane[LQ_PLANE_SCALES];
    uint32_t mask = (1u << m.bits) - 1, add = g.version == LQ_GPTQ_V1, batch[BATCH];

    for (uint64_t r = 0; r < m.rows; r++) {
        for (uint64_t c = 0; c < m.cols; c += BATCH) {
            for (unsigned k = 0; k < BATCH; k++)
                batch[k] = field_read((const uint8_t *)g.qweight + 4 * r, m.rows, m.bits,
                                      c + k) ^ m.flip;
            lqi_codes_write(codes + r * m.row_bytes, m.bits, LQI_LOW_FIRST, c, BATCH, batch);
        }
        for (uint64_t i = 0; i < m.groups; i++) {
            const uint8_t *words = (const uint8_t *)g.qzeros + i * (m.rows / 8 * m.bits);
            uint32_t zero = (field_read(words, 1, m.bits, r) + add) & mask;
            zeros[r * m.groups + i] = (uint8_t)(zero ^ m.flip);
            lqi_store16(scales + 2 * (r * m.groups + i),
                        lqi_load16((const uint8_t *)g.scales + 2 * (i * m.rows + r)));
        }
    }
    copy_index(&m, g.g_idx, m.spec.flags & LQ_SPEC_GIDX ? m.plane[LQ_PLANE_GIDX] : NULL);
    return LQ_OK;
}

/* Our zero points in the range of the format, and of the version. */
static lq_status check_zeros(const matrix *m, int32_t version)
{
    const uint8_t *zeros = m->plane[LQ_PLANE_ZEROS];
    uint64_t n = m->rows * m->groups;

    for (uint64_t i = 0; i < n; i++) {
        uint32_t zero = zeros[i] ^ m->flip;
        if (zero >> m->bits)
            return LQ_ERR_CORRUPT;
        if (zero == 0 && version == LQ_GPTQ_V1)
            return LQ_ERR_NUMERIC;
    }
    return LQ_OK;
}

static lq_status check_export(const matrix *m, const lq_gptq *g)
{
    lq_status status = LQ_OK;

    if (m->spec.flags & LQ_SPEC_GIDX)
        status = check_index(m, m->plane[LQ_PLANE_GIDX], !g->g_idx);
    return status ? status : check_zeros(m, g->version);
}

lq_status lq_gptq_export(const lq_rows *rows, const lq_gptq *gptq)
{
    matrix m = { 0 };
    lq_gptq g = { 0 }, need;
    lq_status status = open_both(gptq, rows, &g, &m);

    if (!status)
        status = check_export(&m, &g);
    if (!status)
        status = array_bytes(&m, &need);
    if (status || m.rows == 0 || m.cols == 0)
        return status;
    const uint8_t *codes = m.plane[LQ_PLANE_CODES], *zeros = m.plane[LQ_PLANE_ZEROS];
    const uint8_t *scales = m.plane[LQ_PLANE_SCALES];
    uint32_t minus = g.version == LQ_GPTQ_V1, batch[BATCH];

    memset(g.qweight, 0, (size_t)need.qweight_bytes);
    memset(g.qzeros, 0, (size_t)need.qzeros_bytes);
    for (uint64_t r = 0; r < m.rows; r++) {
        for (uint64_t c = 0; c < m.cols; c += BATCH) {
            lqi_codes_read(codes + r * m.row_bytes, m.bits, LQI_LOW_FIRST, c, BATCH, batch);
            for (unsigned k = 0; k < BATCH; k++)
                field_write((uint8_t *)g.qweight + 4 * r, m.rows, m.bits, c + k,
                            batch[k] ^ m.flip);
        }
        for (uint64_t i = 0; i < m.groups; i++) {
            uint8_t *words = (uint8_t *)g.qzeros + i * (m.rows / 8 * m.bits);
            field_write(words, 1, m.bits, r, (zeros[r * m.groups + i] ^ m.flip) - minus);
            lqi_store16((uint8_t *)g.scales + 2 * (i * m.rows + r),
                        lqi_load16(scales + 2 * (r * m.groups + i)));
        }
    }
    copy_index(&m, m.spec.flags & LQ_SPEC_GIDX ? m.plane[LQ_PLANE_GIDX] : NULL, g.g_idx);
    return LQ_OK;
}

int32_t lq_gptq_detect(const void *qzeros, uint64_t bytes, uint32_t bits)
{
    int v1 = 1, v2 = 1;

    if (!qzeros || !bytes || (bits != 2 && bits != 3 && bits != 4 && bits != 8))
        return 0;
    /* whole batches of 32 fields are whole words, so all groups make one stream */
    if (bytes % (4 * (uint64_t)bits))
        return 0;
    uint32_t middle = 1u << (bits - 1);
    for (uint64_t k = 0; k < bytes / bits * 8 && (v1 || v2); k++) {
        uint32_t field = field_read(qzeros, 1, bits, k);
        v1 &= field == middle - 1;
        v2 &= field == middle;
    }
    return v2 ? LQ_GPTQ_V2 : v1 ? LQ_GPTQ_V1 : 0;
}
