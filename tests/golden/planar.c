/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/planar.c - see planar.h
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/golden/planar.h"

static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    assert_non_null(p);
    return p;
}

void planar_init(planar *p, lq_format format, size_t rows, size_t cols, size_t group_rows,
                 size_t group_cols)
{
    const lqi_format *f = lqi_format_by_id(format);
    lq_spec init = LQ_SPEC_INIT;

    assert_non_null(f);
    memset(p, 0, sizeof *p);
    p->spec = init;
    p->spec.format = format;
    p->spec.scale_type = LQ_F32;
    p->rows = rows;
    p->cols = cols;
    p->group_rows = group_rows;
    p->group_cols = group_cols;
    p->row_bytes = (cols * f->bits + 7) / 8;
    p->row_groups = (cols + group_cols - 1) / group_cols;
    size_t groups = p->row_groups * ((rows + group_rows - 1) / group_rows);
    p->codes = zeroed(rows * p->row_bytes, 1);
    p->scale = zeroed(groups, sizeof(float));
    p->zero = zeroed(groups, sizeof(float));
}

void planar_free(planar *p)
{
    free(p->codes);
    free(p->scale);
    free(p->zero);
}

static void range(const planar *p, const float *x, size_t r0, size_t r1, size_t c0, size_t c1,
                  float *lo, float *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (size_t r = r0; r < r1; r++)
        for (size_t c = c0; c < c1; c++) {
            float v = x[r * p->cols + c];
            *lo = v < *lo ? v : *lo;
            *hi = v > *hi ? v : *hi;
        }
}

static void encode_group(planar *p, const float *x, size_t gr, size_t gc)
{
    const lqi_format *f = lqi_format_by_id(p->spec.format);
    size_t r0 = gr * p->group_rows, c0 = gc * p->group_cols;
    size_t r1 = r0 + p->group_rows < p->rows ? r0 + p->group_rows : p->rows;
    size_t c1 = c0 + p->group_cols < p->cols ? c0 + p->group_cols : p->cols;
    uint32_t *codes = zeroed(c1 - c0, sizeof *codes);
    lqi_group group;
    float lo, hi;

    range(p, x, r0, r1, c0, c1, &lo, &hi);
    f->fit_range(&p->spec, lo, hi, &group);
    group.scale = lqi_scale_round(p->spec.scale_type, group.scale);
    if (p->spec.zeros)
        f->fit_zero(&p->spec, lo, hi, &group);
    p->scale[gr * p->row_groups + gc] = group.scale;
    p->zero[gr * p->row_groups + gc] = group.zero;
    for (size_t r = r0; r < r1; r++) {
        lqi_fit in = { .spec = &p->spec, .x = x + r * p->cols + c0, .n = c1 - c0,
                       .partial = c1 - c0 < p->group_cols };
        f->round(&in, &group, codes);
        lqi_codes_write(p->codes + r * p->row_bytes, lqi_spec_bits(f, &p->spec), f->order, c0,
                        c1 - c0, codes);
    }
    free(codes);
}

void planar_encode(planar *p, const float *x)
{
    for (size_t r = 0; r * p->group_rows < p->rows; r++)
        for (size_t c = 0; c < p->row_groups; c++)
            encode_group(p, x, r, c);
    for (size_t r = 0; r < p->rows; r++)
        lqi_codes_pad(lqi_format_by_id(p->spec.format), &p->spec, p->codes + r * p->row_bytes,
                      p->cols);
}

void planar_decode(const planar *p, float *y)
{
    const lqi_format *f = lqi_format_by_id(p->spec.format);
    float *again = zeroed(p->cols, sizeof *again);

    for (size_t r = 0; r < p->rows; r++) {
        size_t g = r / p->group_rows * p->row_groups;
        lqi_run run = { .codes = p->codes + r * p->row_bytes, .first = 0, .n = p->cols,
                        .scale = p->scale + g, .zero = p->spec.zeros ? p->zero + g : NULL,
                        .group = p->group_cols, .table = lqi_spec_table(f, &p->spec),
                        .bits = lqi_spec_bits(f, &p->spec) };
        f->decode(&run, y + r * p->cols);
        lqi_decode_planar(f, &p->spec, &run, again);
        assert_memory_equal(again, y + r * p->cols, p->cols * sizeof *again);
        /* a run that starts within a group */
        size_t skip = p->cols < 5 ? 0 : p->cols / 3 | 1;
        run.first = skip;
        run.n = p->cols - skip;
        run.scale += skip / p->group_cols;
        run.zero = run.zero ? run.zero + skip / p->group_cols : NULL;
        f->decode(&run, again);
        assert_memory_equal(again, y + r * p->cols + skip, run.n * sizeof *again);
    }
    free(again);
}
