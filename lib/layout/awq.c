/* SPDX-License-Identifier: MIT */
/*
 * lib/layout/awq.c - AWQ's arrays: GEMM, GEMV, and the interleaved form of the fast kernels
 *
 * Everything is nibbles.  A 'place' is the index of the nibble of (row, column) in qweight,
 * two nibbles to a byte, low one first:
 *
 *   GEMM   words of eight rows, order 0 2 4 6 1 3 5 7 from the low end, word by column
 *   GEMV   the row's columns in order
 *   FAST   four rows take turns every 64 columns.  Within 32 columns, column 8d + 2b + h
 *          goes to place 8b + 4h + d
 *
 * Zero points: GEMM nibbles as the codes; GEMV nibbles per group, rows of zw words; FAST f16
 * -(zero * scale).  Scales: [groups][rows], [rows][8 zw], [8 zw][rows].
 */
#include "lib/base/half.h"
#include "lib/layout/layout.h"

/* ------------------------------------------------------------------- places */

static const uint8_t gemm_place[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };

static uint64_t gemm(uint64_t rows, uint64_t row, uint64_t col)
{
    return col * rows + row / 8 * 8 + gemm_place[row % 8];
}

static uint64_t fast(uint64_t cols, uint64_t row, uint64_t col)
{
    uint64_t in = col % 64, place = in / 32 * 32 + in % 8 / 2 * 8 + in % 2 * 4 + in % 32 / 8;

    return row / 4 * 4 * cols + col / 64 * 256 + row % 4 * 64 + place;
}

static uint64_t code_place(const lqi_matrix *m, int32_t version, uint64_t row, uint64_t col)
{
    if (version == LQ_AWQ_GEMM)
        return gemm(m->rows, row, col);
    return version == LQ_AWQ_GEMV ? row * m->cols + col : fast(m->cols, row, col);
}

static uint32_t nibble_read(const uint8_t *p, uint64_t place)
{
    return p[place / 2] >> place % 2 * 4 & 15;
}

/* The array was zero before. */
static void nibble_write(uint8_t *p, uint64_t place, uint32_t v)
{
    p[place / 2] = (uint8_t)(p[place / 2] | v << place % 2 * 4);
}

/* Words of zero points in a row of GEMV; 0: the kernels do not have this group size. */
static uint64_t zero_words(const lqi_matrix *m)
{
    uint64_t multiple = m->group_cols >= 128 ? 1 : m->group_cols == 64 ? 2
                      : m->group_cols == 32 ? 4 : 0;

    return multiple ? lqi_div_up(lqi_div_up(m->groups, 8), multiple) * multiple : 0;
}

static uint64_t scale_place(const lqi_matrix *m, int32_t version, uint64_t row, uint64_t i)
{
    return version == LQ_AWQ_GEMV ? row * 8 * zero_words(m) + i : i * m->rows + row;
}

static uint64_t zero_place(const lqi_matrix *m, int32_t version, uint64_t row, uint64_t i)
{
    return version == LQ_AWQ_GEMM ? gemm(m->rows, row, i) : row * 8 * zero_words(m) + i;
}

/* ------------------------------------------------------------------- checks */

static lq_status matrix_init(lqi_matrix *m, const lq_spec *spec, uint64_t rows, uint64_t cols,
                             int32_t version)
{
    lq_status status = lqi_matrix_half(m, spec, rows, cols);

    if (status)
        return status;
    if (version < LQ_AWQ_GEMM || version > LQ_AWQ_FAST)
        return LQ_ERR_ARG;
    if (m->bits != 4 || (version != LQ_AWQ_GEMM && cols && !zero_words(m)))
        return LQ_ERR_UNSUPPORTED;
    if ((version == LQ_AWQ_GEMM && rows % 8) || (version == LQ_AWQ_GEMV && cols % 8) ||
        (version == LQ_AWQ_FAST && (rows % 4 || cols % 64)) || (cols && cols % m->group_cols))
        return LQ_ERR_SHAPE;
    return LQ_OK;
}

static lq_status array_bytes(const lqi_matrix *m, lq_awq *awq)
{
    uint64_t groups = awq->version == LQ_AWQ_GEMM ? m->groups : 8 * zero_words(m);
    uint64_t codes, scales, fields;

    groups = m->cols ? groups : 0;
    if (!lqi_mul(m->rows, m->cols, &codes) || !lqi_mul(m->rows, groups, &fields) ||
        !lqi_mul(fields, 2, &scales))
        return LQ_ERR_OVERFLOW;
    awq->qweight_bytes = codes / 2;
    awq->qzeros_bytes = awq->version == LQ_AWQ_FAST ? scales : fields / 2;
    awq->scales_bytes = scales;
    return LQ_OK;
}

static lq_status open_both(const lq_awq *awq_in, const lq_rows *rows_in, lq_awq *awq,
                           lqi_matrix *m, lq_awq *need)
{
    lq_rows rows = { 0 };
    lq_status status = awq_in && rows_in ? lqi_opts_read(awq, sizeof *awq, awq_in) : LQ_ERR_ARG;

    if (!status)
        status = lqi_opts_read(&rows, sizeof rows, rows_in);
    if (!status && (!rows.spec || awq->reserved))
        status = LQ_ERR_ARG;
    if (!status)
        status = matrix_init(m, rows.spec, rows.rows, rows.cols, awq->version);
    *need = *awq;
    if (!status)
        status = array_bytes(m, need);
    if (status)
        return status;
    if (need->qweight_bytes && (!awq->qweight || !awq->qzeros || !awq->scales))
        return LQ_ERR_ARG;
    if (awq->qweight_bytes < need->qweight_bytes || awq->qzeros_bytes < need->qzeros_bytes ||
        awq->scales_bytes < need->scales_bytes)
        return LQ_ERR_BUFFER;
    return lqi_matrix_planes(m, &rows, 1);
}

/* AWQ has groups in order only. */
static lq_status check_index(const lqi_matrix *m)
{
    const uint8_t *index = m->plane[LQ_PLANE_GIDX];

    for (uint64_t c = 0; m->spec.flags & LQ_SPEC_GIDX && c < m->cols; c++)
        if (lqi_load32(index + 4 * c) != c / m->group_cols)
            return LQ_ERR_MISMATCH;
    return LQ_OK;
}

/* ------------------------------------------------------- scaled zero points */

/* f16 of -(zero * scale); both are what PyTorch computes. */
static uint16_t scaled_zero(uint32_t zero, uint16_t scale)
{
    return (uint16_t)(lqi_f32_to_f16((float)zero * lqi_f16_to_f32(scale)) ^ 0x8000);
}

/* The zero point that gives 'scaled', with a scale of 0 the zero point 0; 16: none, or more
 * than one. */
static uint32_t unscaled_zero(uint16_t scaled, uint16_t scale)
{
    uint32_t found = 16;

    for (uint32_t zero = 0; zero < 16; zero++) {
        uint16_t want = scaled_zero(zero, scale);
        if (want != scaled && !(zero == 0 && (scaled & 0x7fff) == 0))
            continue;
        if (found != 16)
            return scale & 0x7fff ? 16 : 0;
        found = zero;
    }
    return found;
}

/* ------------------------------------------------------------------- public */

void lq_awq_init(lq_awq *awq)
{
    lq_awq init = LQ_AWQ_INIT;

    if (awq)
        *awq = init;
}

lq_status lq_awq_bytes(const lq_spec *spec, uint64_t rows, uint64_t cols, lq_awq *awq)
{
    lqi_matrix m = { 0 };
    lq_awq copy = { 0 };
    lq_status status = spec && awq ? lqi_opts_read(&copy, sizeof copy, awq) : LQ_ERR_ARG;

    if (!status)
        status = matrix_init(&m, spec, rows, cols, copy.version);
    if (!status)
        status = array_bytes(&m, &copy);
    if (!status)
        lqi_struct_return(awq, &copy, sizeof copy);
    return status;
}

static lq_status import_groups(const lqi_matrix *m, const lq_awq *a, uint64_t row)
{
    uint8_t *scales = m->plane[LQ_PLANE_SCALES];
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < m->groups && !status; i++) {
        uint64_t at = scale_place(m, a->version, row, i);
        uint16_t scale = lqi_load16((const uint8_t *)a->scales + 2 * at);
        uint32_t zero = a->version == LQ_AWQ_FAST
            ? unscaled_zero(lqi_load16((const uint8_t *)a->qzeros + 2 * at), scale)
            : nibble_read(a->qzeros, zero_place(m, a->version, row, i));
        if (zero > 15)
            return LQ_ERR_NUMERIC;
        status = lqi_matrix_set_zero(m, row * m->groups + i, zero);
        lqi_store16(scales + 2 * (row * m->groups + i), scale);
    }
    return status;
}

lq_status lq_awq_import(const lq_awq *awq, const lq_rows *rows)
{
    lqi_matrix m = { 0 };
    lq_awq a = { 0 }, need;
    lq_status status = open_both(awq, rows, &a, &m, &need);
    uint32_t batch[LQI_BATCH];

    for (uint64_t r = 0; r < m.rows && m.cols && !status; r++) {
        for (uint64_t c = 0; c < m.cols; c += LQI_BATCH) {
            size_t n = (size_t)lqi_min(LQI_BATCH, m.cols - c);
            for (unsigned k = 0; k < n; k++)
                batch[k] = nibble_read(a.qweight, code_place(&m, a.version, r, c + k));
            lqi_matrix_write(&m, r, c, n, batch);
        }
        status = import_groups(&m, &a, r);
    }
    for (uint64_t c = 0; m.spec.flags & LQ_SPEC_GIDX && c < m.cols && !status; c++)
        lqi_store32((uint8_t *)m.plane[LQ_PLANE_GIDX] + 4 * c, (uint32_t)(c / m.group_cols));
    return status;
}

static uint16_t scale_of(const lqi_matrix *m, uint64_t index)
{
    return lqi_load16((const uint8_t *)m->plane[LQ_PLANE_SCALES] + 2 * index);
}

/* Zero points that the scaled form can give back. */
static lq_status check_scaled(const lqi_matrix *m)
{
    for (uint64_t i = 0; i < m->rows * m->groups; i++) {
        uint32_t zero = lqi_matrix_zero(m, i);
        if (unscaled_zero(scaled_zero(zero, scale_of(m, i)), scale_of(m, i)) != zero)
            return LQ_ERR_NUMERIC;
    }
    return LQ_OK;
}

static void export_groups(const lqi_matrix *m, const lq_awq *a, uint64_t row)
{
    for (uint64_t i = 0; i < m->groups; i++) {
        uint64_t at = scale_place(m, a->version, row, i), index = row * m->groups + i;
        uint32_t zero = lqi_matrix_zero(m, index);
        lqi_store16((uint8_t *)a->scales + 2 * at, scale_of(m, index));
        if (a->version == LQ_AWQ_FAST)
            lqi_store16((uint8_t *)a->qzeros + 2 * at, scaled_zero(zero, scale_of(m, index)));
        else
            nibble_write(a->qzeros, zero_place(m, a->version, row, i), zero);
    }
}

lq_status lq_awq_export(const lq_rows *rows, const lq_awq *awq)
{
    lqi_matrix m = { 0 };
    lq_awq a = { 0 }, need;
    lq_status status = open_both(awq, rows, &a, &m, &need);
    uint32_t batch[LQI_BATCH];

    if (!status)
        status = check_index(&m);
    if (!status)
        status = lqi_matrix_check_zeros(&m, 0);
    if (!status && a.version == LQ_AWQ_FAST)
        status = check_scaled(&m);
    if (status || m.rows == 0 || m.cols == 0)
        return status;
    memset(a.qweight, 0, (size_t)need.qweight_bytes);
    memset(a.qzeros, 0, (size_t)need.qzeros_bytes);
    memset(a.scales, 0, (size_t)need.scales_bytes);
    for (uint64_t r = 0; r < m.rows; r++) {
        for (uint64_t c = 0; c < m.cols; c += LQI_BATCH) {
            size_t n = (size_t)lqi_min(LQI_BATCH, m.cols - c);
            lqi_matrix_read(&m, r, c, n, batch);
            for (unsigned k = 0; k < n; k++)
                nibble_write(a.qweight, code_place(&m, a.version, r, c + k), batch[k]);
        }
        export_groups(&m, &a, r);
    }
    return LQ_OK;
}
