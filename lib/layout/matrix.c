/* SPDX-License-Identifier: MIT */
/*
 * lib/layout/matrix.c - integer matrices as layouts see them
 */
#include "lib/layout/layout.h"

lq_status lqi_matrix_init(lqi_matrix *m, const lq_spec *spec, uint64_t rows, uint64_t cols)
{
    lq_status status = lqi_opts_read(&m->spec, sizeof m->spec, spec);
    const lqi_format *f;

    if (!status)
        status = lq_spec_complete(&m->spec, NULL);
    if (status)
        return status;
    f = lqi_format_by_id(m->spec.format);
    if (!(f->can & LQI_CAN_ZEROS_INT) || m->spec.zeros == LQ_ZEROS_FLOAT ||
        m->spec.scale2_block || m->spec.flags & LQ_SPEC_FLAT)
        return LQ_ERR_UNSUPPORTED;
    m->bits = f->bits;
    m->flip = m->bits == 8 ? 128 : 0;
    m->rows = rows;
    m->cols = cols;
    m->group_rows = m->spec.group_rows == LQ_GROUP_ALL ? rows : m->spec.group_rows;
    m->group_cols = m->spec.group_cols == LQ_GROUP_ALL ? cols : m->spec.group_cols;
    m->row_groups = rows ? lqi_div_up(rows, m->group_rows) : 0;
    m->groups = cols ? lqi_div_up(cols, m->group_cols) : 0;
    m->row_bytes = cols / 8 * m->bits + (cols % 8 * m->bits + 7) / 8;
    return LQ_OK;
}

lq_status lqi_matrix_half(lqi_matrix *m, const lq_spec *spec, uint64_t rows, uint64_t cols)
{
    lq_status status = lqi_matrix_init(m, spec, rows, cols);

    if (!status && (m->spec.scale_type != LQ_F16 || m->spec.group_rows != 1))
        return LQ_ERR_UNSUPPORTED;
    return status;
}

lq_status lqi_matrix_planes(lqi_matrix *m, const lq_rows *rows, int scales)
{
    int empty = m->rows == 0 || m->cols == 0;
    uint64_t span;

    if (rows->stride && rows->stride < m->row_bytes)
        return LQ_ERR_ARG;
    m->row_bytes = rows->stride ? rows->stride : m->row_bytes;
    if (!lqi_mul(m->row_bytes, m->rows, &span))
        return LQ_ERR_OVERFLOW;
    memcpy(m->plane, rows->plane, sizeof m->plane);
    if (!empty && (!m->plane[LQ_PLANE_CODES] || (scales && !m->plane[LQ_PLANE_SCALES]) ||
                   (m->spec.zeros && !m->plane[LQ_PLANE_ZEROS])))
        return LQ_ERR_ARG;
    if (scales && m->spec.flags & LQ_SPEC_GIDX && m->cols && !m->plane[LQ_PLANE_GIDX])
        return LQ_ERR_ARG;
    return LQ_OK;
}

void lqi_matrix_read(const lqi_matrix *m, uint64_t row, uint64_t first, size_t n,
                     uint32_t *codes)
{
    const uint8_t *p = (const uint8_t *)m->plane[LQ_PLANE_CODES] + row * m->row_bytes;

    lqi_codes_read(p, m->bits, LQI_LOW_FIRST, first, n, codes);
    for (size_t i = 0; i < n; i++)
        codes[i] ^= m->flip;
}

void lqi_matrix_write(const lqi_matrix *m, uint64_t row, uint64_t first, size_t n,
                      uint32_t *codes)
{
    uint8_t *p = (uint8_t *)m->plane[LQ_PLANE_CODES] + row * m->row_bytes;

    /* a batch begins on a byte: what is left of the last one is 0 */
    if (n && first + n == m->cols)
        p[first / 8 * m->bits + (n * m->bits - 1) / 8] = 0;
    for (size_t i = 0; i < n; i++)
        codes[i] ^= m->flip;
    lqi_codes_write(p, m->bits, LQI_LOW_FIRST, first, n, codes);
}

uint32_t lqi_matrix_zero(const lqi_matrix *m, uint64_t index)
{
    if (!m->spec.zeros)
        return 1u << (m->bits - 1);
    return ((const uint8_t *)m->plane[LQ_PLANE_ZEROS])[index] ^ m->flip;
}

lq_status lqi_matrix_set_zero(const lqi_matrix *m, uint64_t index, uint32_t zero)
{
    if (!m->spec.zeros)
        return zero == 1u << (m->bits - 1) ? LQ_OK : LQ_ERR_MISMATCH;
    ((uint8_t *)m->plane[LQ_PLANE_ZEROS])[index] = (uint8_t)(zero ^ m->flip);
    return LQ_OK;
}

lq_status lqi_matrix_check_zeros(const lqi_matrix *m, uint32_t least)
{
    uint64_t n = m->spec.zeros ? m->row_groups * m->groups : 0;

    for (uint64_t i = 0; i < n; i++) {
        uint32_t zero = lqi_matrix_zero(m, i);
        if (zero >> m->bits)
            return LQ_ERR_CORRUPT;
        if (zero < least)
            return LQ_ERR_NUMERIC;
    }
    return LQ_OK;
}

void lqi_struct_return(void *dst, const void *copy, size_t known)
{
    size_t size;

    memcpy(&size, dst, sizeof size);
    memcpy((uint8_t *)dst + sizeof size, (const uint8_t *)copy + sizeof size,
           (size < known ? size : known) - sizeof size);
}
