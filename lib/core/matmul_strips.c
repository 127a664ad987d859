/* SPDX-License-Identifier: MIT */
/*
 * lib/core/matmul_strips.c - products in f32: strips of decoded weights meet the f32 tile
 *
 * STRIP rows are multiplied at a time.  Blocks of BLOCK columns are decoded to f32 and
 * met with every activation vector, so a weight is decoded once per call whatever n is.
 * Sums of a strip stay in the work memory until its last block:
 *
 *     for each strip of 16 rows:
 *         sums[n][16] = 0
 *         for each block of 512 columns:
 *             w[16][512] = decode
 *             for each tile of nr vectors:  sums += w . x   (kernels/tmpl/tile_f32.h)
 *         y = sums + bias (+ y)
 *
 * The order of additions into one output depends on cols and on the level only.  Edges
 * are zero-padded copies; every output goes through the same tile.
 */
#include "lib/core/tokens.h"

#define STRIP 16
#define BLOCK 512   /* a multiple of every format's block */

/* One task's scratch: floats, in this order. */
struct scratch {
    float *w;      /* [STRIP][BLOCK] */
    float *x;      /* [LQI_TILE_MAX][BLOCK]: converted or padded vectors */
    float *sums;   /* [n rounded up to tiles][STRIP] */
};

/* LQI_TILE_MAX more vectors than n leave room for any tile. */
uint64_t lqi_strips_work(uint64_t n)
{
    uint64_t floats;

    if (!lqi_add(n, LQI_TILE_MAX, &floats) || !lqi_mul(floats, STRIP, &floats) ||
        !lqi_add(floats, (STRIP + LQI_TILE_MAX) * BLOCK, &floats) ||
        !lqi_mul(floats, sizeof(float), &floats) || floats > SIZE_MAX / 2)
        return 0;
    return lqi_div_up(floats, LQI_ALIGN) * LQI_ALIGN;
}

uint64_t lqi_strips_count(uint64_t row0, uint64_t row1)
{
    return lqi_div_up(row1 - row0, STRIP);
}

static struct scratch carve(void *work)
{
    float *p = work;

    return (struct scratch){ p, p + STRIP * BLOCK, p + (STRIP + LQI_TILE_MAX) * BLOCK };
}

/* Vectors [j, j + nr), columns [c, c + k), as the tile wants them: in place, or copied. */
static const float *tile_vectors(const lqi_product *p, const struct scratch *s, uint64_t j,
                                 uint64_t c, size_t k, size_t *ldx)
{
    unsigned nr = p->ctx->kernels.tile_f32.nr;
    const lq_matmul_args *a = &p->a;

    if (a->x_type == LQ_F32 && j + nr <= a->n) {
        *ldx = (size_t)a->ldx;
        return (const float *)a->x + j * a->ldx + c;
    }
    *ldx = BLOCK;
    for (unsigned t = 0; t < nr; t++) {
        float *to = s->x + t * BLOCK;
        const uint8_t *from = (const uint8_t *)a->x +
                              ((j + t) * a->ldx + c) * lq_dtype_bytes(a->x_type);
        if (j + t >= a->n)
            memset(to, 0, k * sizeof *to);
        else if (a->x_type == LQ_F32)
            memcpy(to, from, k * sizeof *to);
        else if (a->x_type == LQ_F16)
            p->ctx->kernels.f16_to_f32(from, to, k);
        else
            p->ctx->kernels.bf16_to_f32(from, to, k);
    }
    return s->x;
}

/* Columns [c, c + k) of the strip's rows meet all vectors. */
static void multiply_block(const lqi_product *p, const struct scratch *s, uint64_t row,
                           uint64_t rows, uint64_t c, size_t k)
{
    const lqi_tile_f32 *tile = &p->ctx->kernels.tile_f32;

    for (uint64_t r = 0; r < STRIP; r++) {
        if (r < rows)
            lqi_decode_span(p->ctx, p->g, p->rows, row + r, c, k, s->w + r * BLOCK);
        else
            memset(s->w + r * BLOCK, 0, k * sizeof *s->w);
    }
    for (uint64_t j = 0; j < p->a.n; j += tile->nr) {
        size_t ldx;
        const float *x = tile_vectors(p, s, j, c, k, &ldx);
        for (uint64_t r = 0; r < rows; r += tile->mr)
            tile->run(s->w + r * BLOCK, BLOCK, x, ldx, k, s->sums + j * STRIP + r, STRIP);
    }
}

static void multiply_strip(const lqi_product *p, const struct scratch *s, uint64_t row)
{
    uint64_t rows = lqi_min(STRIP, p->a.row1 - row), cols = p->g->cols;

    memset(s->sums, 0, (size_t)((p->a.n + LQI_TILE_MAX) * STRIP) * sizeof *s->sums);
    for (uint64_t c = 0; c < cols; c += BLOCK)
        multiply_block(p, s, row, rows, c, (size_t)lqi_min(BLOCK, cols - c));
    if (p->tokens)
        lqi_tokens_scale(p->tokens, p->a.n, rows, s->sums, STRIP);
    lqi_product_store(p, row, rows, 0, p->a.n, s->sums, STRIP);
}

void lqi_strips_run(lqi_product *p, uint8_t *work)
{
    struct scratch s = carve(work);
    unsigned long long strip;

    while ((strip = atomic_fetch_add(&p->next, 1)) < p->strips)
        multiply_strip(p, &s, p->a.row0 + strip * STRIP);
}
