/* SPDX-License-Identifier: MIT */
/*
 * lib/core/gemm_pack.c - blocks of a matrix to panels
 *
 * The tile reads 'width' lines at once, k after k, so a panel holds [k][width] numbers.
 * Where the numbers of a line are neighbours in memory this is a transposition, else a
 * copy in pieces of 'width'.  16-bit numbers are widened to the scratch first, quantized
 * ones decoded, a strip of memory rows at a time.
 */
#include "lib/core/gemm.h"

#define STRIP 8    /* memory rows that a copy reads at once: streams for the prefetcher */
#define LINES 48   /* lines that are transposed at once: whole panels at any level */

void lqi_widen(const lqi_kernels *kernels, lq_dtype type, const void *x, float *y, size_t n)
{
    if (type == LQ_F16)
        kernels->f16_to_f32(x, y, n);
    else if (type == LQ_BF16)
        kernels->bf16_to_f32(x, y, n);
    else
        memcpy(y, x, n * sizeof *y);
}

size_t lqi_factor_scratch(const lqi_factor *f, uint64_t lines)
{
    if (f->type == LQ_F32 && !f->quantized)
        return 0;
    return f->along ? LINES * LQ_GEMM_BLOCK : STRIP * (size_t)lines;
}

static void decode(const lqi_quantized *q, uint64_t row, uint64_t col, size_t rows, size_t cols,
                   float *y)
{
    for (size_t i = 0; i < rows; i++)
        lqi_decode_span(q->ctx, q->g, q->rows, q->row0 + row + i, col, cols, y + i * cols);
}

/* 'cols' numbers of 'rows' memory rows as f32: where they are, or in scratch. */
static const float *strip(const lqi_kernels *kernels, const lqi_factor *f, uint64_t row,
                          uint64_t col, size_t rows, size_t cols, float *scratch, size_t *ld)
{
    const uint8_t *p;

    *ld = cols;
    if (f->quantized) {
        decode(f->quantized, row, col, rows, cols, scratch);
        return scratch;
    }
    if (f->type == LQ_F32) {
        *ld = (size_t)f->ld;
        return (const float *)f->p + row * f->ld + col;
    }
    p = (const uint8_t *)f->p + (row * f->ld + col) * lq_dtype_bytes(f->type);
    for (size_t i = 0; i < rows; i++, p += 2 * f->ld)
        lqi_widen(kernels, f->type, p, scratch + i * cols, cols);
    return scratch;
}

void lqi_factor_pack(const lqi_kernels *kernels, const lqi_factor *f, uint64_t line,
                     size_t lines, uint64_t l, size_t k, float *scratch, float *panels)
{
    lqi_gemm_pack p = { .width = f->width, .stride = lqi_gemm_stride(f->width) };

    if (f->along) {
        p.k = k;
        for (size_t first = 0; first < lines; first += LINES) {
            p.n = (size_t)lqi_min(LINES, lines - first);
            p.x = strip(kernels, f, line + first, l, p.n, k, scratch, &p.ldx);
            p.panels = panels + first / p.width * p.stride;
            kernels->gemm.transpose(&p);
        }
        return;
    }
    p.n = lines;
    for (size_t c = 0; c < k; c += STRIP) {
        p.k = (size_t)lqi_min(STRIP, k - c);
        p.x = strip(kernels, f, l + c, line, p.k, lines, scratch, &p.ldx);
        p.panels = panels + c * p.width;
        kernels->gemm.copy(&p);
    }
}
