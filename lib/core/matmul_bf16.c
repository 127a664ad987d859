/* SPDX-License-Identifier: MIT */
/*
 * lib/core/matmul_bf16.c - products of pairs of bf16 with f32 sums
 *
 * Strips of 32 rows by 512 columns are decoded exactly, rounded once to bf16 and laid out
 * pair by pair, a register of sixteen rows each; tiles of up to six activation vectors pass
 * over them.  Activations are rounded once per call.
 */
#include "lib/core/product.h"

#define ROWS  LQI_BF16_ROWS
#define BLOCK (2 * LQI_BF16_PAIRS)   /* columns; a multiple of every format's block */

/* Work memory of a task. */
struct bf16_work {
    lqi_bf16_strip strip;
    _Alignas(LQI_ALIGN) uint32_t row[16][LQI_BF16_PAIRS];   /* sixteen rows in bf16 */
    float decoded[BLOCK];
    float sums[];                                           /* [n][ROWS] */
};

uint64_t lqi_bf16_work(uint64_t n)
{
    uint64_t bytes;

    if (!lqi_mul(n, ROWS * sizeof(float), &bytes) ||
        !lqi_add(bytes, sizeof(struct bf16_work) + LQI_ALIGN, &bytes) || bytes > SIZE_MAX / 2)
        return 0;
    return bytes / LQI_ALIGN * LQI_ALIGN;
}

uint64_t lqi_bf16_count(uint64_t row0, uint64_t row1)
{
    return lqi_div_up(row1 - row0, ROWS);
}

/* -------------------------------------------------------------- activations */

/*
 * [block of 512 columns][tile][pair][column of the tile].  Tiles differ by one column at
 * most; any width is fine.
 */
typedef struct tiling {
    uint64_t tiles, width, wider;   /* 'wider' tiles have one column more */
} tiling;

static tiling tiles_of(uint64_t n)
{
    uint64_t tiles = lqi_div_up(n, LQI_BF16_TILE);

    return (tiling){ tiles, n / tiles, n % tiles };
}

static uint64_t tile_at(const tiling *t, uint64_t i, uint64_t *column)
{
    *column = i * t->width + lqi_min(i, t->wider);
    return t->width + (i < t->wider);
}

uint64_t lqi_bf16_acts(uint64_t n, uint64_t cols)
{
    uint64_t bytes;

    if (!lqi_mul(lqi_div_up(cols, 2), n, &bytes) || !lqi_mul(bytes, sizeof(uint32_t), &bytes) ||
        bytes > SIZE_MAX / 2)
        return 0;
    return bytes;
}

/* Numbers [col, col + n) of vector j in bf16, one more zero behind an odd end. */
static void vector_to_bf16(const lqi_product *p, uint64_t j, uint64_t col, size_t n, uint16_t *to)
{
    const lqi_kernels *k = &p->ctx->kernels;
    const uint8_t *x = (const uint8_t *)p->a.x +
                       (j * p->a.ldx + col) * lq_dtype_bytes(p->a.x_type);
    float wide[BLOCK];

    if (p->a.x_type == LQ_BF16) {
        memcpy(to, x, n * sizeof *to);
    } else if (p->a.x_type == LQ_F32) {
        k->f32_to_bf16((const float *)(const void *)x, to, n);
    } else {
        k->f16_to_f32(x, wide, n);
        k->f32_to_bf16(wide, to, n);
    }
    if (n % 2)
        to[n] = 0;
}

struct fill_job {
    const lqi_product *p;
    tiling             t;
    uint32_t          *pairs;
};

static void fill_tile(void *arg, size_t index)
{
    const struct fill_job *f = arg;
    uint64_t cols = f->p->g->cols, n = f->p->a.n, column;
    uint64_t width = tile_at(&f->t, index, &column);
    uint16_t narrow[BLOCK];

    for (uint64_t c = 0; c < cols; c += BLOCK) {
        size_t count = (size_t)lqi_min(BLOCK, cols - c), pairs = (count + 1) / 2;
        uint32_t *to = f->pairs + c / 2 * n + pairs * column;
        for (uint64_t t = 0; t < width; t++) {
            vector_to_bf16(f->p, column + t, c, count, narrow);
            for (size_t i = 0; i < pairs; i++)
                to[i * width + t] = narrow[2 * i] | (uint32_t)narrow[2 * i + 1] << 16;
        }
    }
}

void lqi_bf16_fill(const lqi_product *p, uint32_t *pairs, int parallel)
{
    struct fill_job f = { p, tiles_of(p->a.n), pairs };

    if (parallel)
        lqi_parallel(p->ctx, (size_t)f.t.tiles, fill_tile, &f);
    else
        for (uint64_t i = 0; i < f.t.tiles; i++)
            fill_tile(&f, (size_t)i);
}

/* ------------------------------------------------------------------ strips */

/* Sixteen rows from 'row' on, columns [c, c + n), to one half of the strip. */
static void decode_rows(const lqi_product *p, uint64_t row, uint64_t c, size_t n, int half,
                        struct bf16_work *w)
{
    const lqi_kernels *k = &p->ctx->kernels;
    size_t pairs = (n + 1) / 2, whole = (pairs + 15) / 16 * 16;
    const float *rows[16];

    for (uint64_t r = 0; r < 16; r++) {
        rows[r] = (const float *)(const void *)w->row[r];
        memset(w->row[r] + n / 2, 0, (whole - n / 2) * sizeof **w->row);
        if (row + r >= p->a.row1) {
            memset(w->row[r], 0, whole * sizeof **w->row);
            continue;
        }
        lqi_decode_span(p->ctx, p->g, p->rows, row + r, c, n, w->decoded);
        k->f32_to_bf16(w->decoded, w->row[r], n);
    }
    k->search.transpose(rows, 0, whole, (float *)(void *)w->strip.pair[half]);
}

static void multiply_strip(const lqi_product *p, const tiling *t, uint64_t row,
                           struct bf16_work *w)
{
    uint64_t cols = p->g->cols, n = p->a.n;

    memset(w->sums, 0, (size_t)(n * ROWS) * sizeof *w->sums);
    for (uint64_t c = 0; c < cols; c += BLOCK) {
        size_t count = (size_t)lqi_min(BLOCK, cols - c), pairs = (count + 1) / 2;
        for (int half = 0; half < 2; half++)
            decode_rows(p, row + 16 * (uint64_t)half, c, count, half, w);
        for (uint64_t i = 0; i < t->tiles; i++) {
            uint64_t column, width = tile_at(t, i, &column);
            p->ctx->kernels.bf16[width - 1](&w->strip, p->pairs + c / 2 * n + pairs * column,
                                            pairs, w->sums + column * ROWS);
        }
    }
    lqi_product_store(p, row, lqi_min(ROWS, p->a.row1 - row), 0, n, w->sums, ROWS);
}

void lqi_bf16_run(lqi_product *p, uint8_t *work)
{
    struct bf16_work *w = (struct bf16_work *)(void *)work;
    tiling t = tiles_of(p->a.n);
    unsigned long long strip;

    while ((strip = atomic_fetch_add(&p->next, 1)) < p->strips)
        multiply_strip(p, &t, p->a.row0 + strip * ROWS, w);
}
