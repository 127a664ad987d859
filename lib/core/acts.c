/* SPDX-License-Identifier: MIT */
/*
 * lib/core/acts.c - activation vectors as integers, in the order that kernels read them
 *
 * Blocks of chunks lie one behind the other, in each block the tiles, in each tile array
 * after array (lqi_acts_tile), positions of all columns interleaved: the order in which
 * kernels read, so that the memory prefetcher follows.  Fused kernels walk along all chunks
 * of a tile, strips meet all tiles with two chunks.  The last tile of fused kernels may have
 * columns that nobody asked for: they are zero.
 */
#include "lib/core/panel.h"

/* 32-bit words of a column per chunk, in this order: x, scale, fsum, sum[3], pair[2], f. */
static const uint16_t words[LQI_ACTS_KINDS][9] = {
    [LQI_ACTS_32]  = { 64, 8, 8, 0, 8, 0, 0, 0 },
    [LQI_ACTS_256] = { 64, 1, 0, 16, 8, 4, 8, 4 },
    [LQI_ACTS_F32] = { 0, 0, 0, 0, 0, 0, 0, 0, 256 },
    [LQI_ACTS_PAIRS] = { 128, 0, 0, 0, 0, 0, 0, 0, 0 },
    [LQI_ACTS_PAIRS_32] = { 128, 0, 8, 0, 0, 0, 0, 0, 0 },
    [LQI_ACTS_PAIRS_64] = { 128, 0, 4, 0, 0, 0, 0, 0, 0 },
};

enum { X, SCALE, FSUM, SUM, PAIR = 6, F = 8, ARRAYS };

static uint64_t words_of(int kind)
{
    uint64_t all = 0;

    for (int i = 0; i < ARRAYS; i++)
        all += words[kind][i];
    return all;
}

/* From this many vectors on, decoding a strip first pays; floats have no strips. */
#define FUSED_LIMIT 16

/* Tiles of 8, the last one of 1, 4 or 8; or tiles that differ by one column at
 * most. */
static void plan_tiles(const lq_ctx *ctx, lqi_acts *a)
{
    a->fused = a->kind == LQI_ACTS_F32 || a->n <= FUSED_LIMIT;
    a->block = a->fused ? a->chunks : LQI_STRIP_CHUNKS;
    if (!a->fused) {
        a->tiles = lqi_div_up(a->n, ctx->kernels.panel->tile_max);
        a->width = a->n / a->tiles;
        a->wider = a->n % a->tiles;
        a->columns = a->n;
        return;
    }
    uint64_t last = a->n % 8;
    a->width = 8;
    a->tiles = a->n / 8 + (last != 0);
    a->columns = a->n - last + (last > 4 ? 8 : last > 1 ? 4 : last);
}

uint64_t lqi_acts_plan(const lq_ctx *ctx, int kind, uint64_t n, uint64_t cols, lqi_acts *a)
{
    uint64_t bytes;

    *a = (lqi_acts){ .kind = kind, .n = n,
                     .chunks = lqi_div_up(cols, LQI_PANEL_CHUNK) };
    plan_tiles(ctx, a);
    if (!lqi_mul(a->columns, words_of(kind) * sizeof(int32_t), &bytes) ||
        !lqi_mul(bytes, a->chunks, &bytes) || bytes > SIZE_MAX / 2)
        return 0;
    return bytes;
}

/* Tile i: first column and width. */
static uint64_t tile_span(const lqi_acts *a, uint64_t i, uint64_t *column)
{
    if (!a->fused) {
        *column = i * a->width + lqi_min(i, a->wider);
        return a->width + (i < a->wider);
    }
    *column = 8 * i;
    return lqi_min(8, a->columns - 8 * i);
}

/* Arrays of a tile in the block that begins with 'chunk'. */
static void arrays_of(const lqi_acts *a, uint64_t column, uint64_t width, uint64_t chunk,
                      int32_t *to[ARRAYS])
{
    uint64_t chunks = lqi_min(a->block, a->chunks - chunk);
    int32_t *p = a->data + words_of(a->kind) * (chunk * a->columns + chunks * column);

    for (int i = 0; i < ARRAYS; i++) {
        to[i] = p;
        p += words[a->kind][i] * chunks * width;
    }
}

unsigned lqi_acts_tile_at(const lqi_acts *a, uint64_t i, uint64_t chunk, uint64_t *column,
                          lqi_acts_tile *tile)
{
    uint64_t width = tile_span(a, i, column);
    int32_t *p[ARRAYS];

    arrays_of(a, *column, width, chunk, p);
    *tile = (lqi_acts_tile){ .x = p[X], .scale = (const float *)p[SCALE],
                             .fsum = (const float *)p[FSUM],
                             .sum = { p[SUM], p[SUM + 1], p[SUM + 2] },
                             .pair = { p[PAIR], p[PAIR + 1] }, .f = (const float *)p[F] };
    return (unsigned)width;
}

/* -------------------------------------------------------------------- filling */

struct fill_job {
    const lq_ctx   *ctx;
    const lqi_acts *a;
    lq_dtype        type;
    const uint8_t  *x;
    uint64_t        ldx, cols;
    const uint32_t *order;
};

/* 256 activations of vector j from 'col' on as f32, zeros behind the last one. */
static const float *chunk_of(const struct fill_job *f, uint64_t j, uint64_t col, float *buffer)
{
    size_t n = (size_t)lqi_min(LQI_PANEL_CHUNK, f->cols - col), size = lq_dtype_bytes(f->type);
    const uint8_t *x = f->x + j * f->ldx * size;

    if (f->order) {
        for (size_t i = 0; i < n; i++)
            buffer[i] = lqi_load_float(f->type, x, f->order[col + i]);
    } else if (f->type == LQ_F32) {
        if (n == LQI_PANEL_CHUNK)
            return (const float *)(const void *)(x + col * size);
        memcpy(buffer, x + col * size, n * size);
    } else if (f->type == LQ_F16) {
        f->ctx->kernels.f16_to_f32(x + col * size, buffer, n);
    } else {
        f->ctx->kernels.bf16_to_f32(x + col * size, buffer, n);
    }
    memset(buffer + n, 0, (LQI_PANEL_CHUNK - n) * sizeof *buffer);
    return buffer;
}

/* Column t of a tile in one block. */
static lqi_acts_column column_of(int32_t *const p[ARRAYS], uint64_t t, uint64_t width)
{
    return (lqi_acts_column){ .x = p[X] + t, .scale = (float *)p[SCALE] + t,
                              .fsum = (float *)p[FSUM] + t, .f = (float *)p[F] + t,
                              .stride = (size_t)width,
                              .sum = { p[SUM] + t, p[SUM + 1] + t, p[SUM + 2] + t },
                              .pair = { p[PAIR] + t, p[PAIR + 1] + t } };
}

static void fill_tile(void *arg, size_t index)
{
    const struct fill_job *f = arg;
    uint64_t column, width = tile_span(f->a, index, &column), block = f->a->block;
    float buffer[LQI_PANEL_CHUNK] = { 0 };
    int32_t *p[ARRAYS] = { NULL };

    for (uint64_t chunk = 0; chunk < f->a->chunks; chunk++) {
        if (chunk % block == 0)
            arrays_of(f->a, column, width, chunk, p);
        for (uint64_t t = 0; t < width; t++) {
            lqi_acts_column c = column_of(p, t, width);
            const float *x = buffer;
            if (column + t < f->a->n)
                x = chunk_of(f, column + t, chunk * LQI_PANEL_CHUNK, buffer);
            else
                memset(buffer, 0, sizeof buffer);
            f->ctx->kernels.panel->acts(f->a->kind, x, (size_t)(chunk % block), &c);
        }
    }
}

void lqi_acts_fill(const lq_ctx *ctx, lqi_acts *a, lq_dtype type, const void *x, uint64_t ldx,
                   uint64_t cols, const uint32_t *order, int parallel)
{
    struct fill_job f = { ctx, a, type, x, ldx, cols, order };

    if (parallel)
        lqi_parallel(ctx, (size_t)a->tiles, fill_tile, &f);
    else
        for (uint64_t i = 0; i < a->tiles; i++)
            fill_tile(&f, (size_t)i);
}
