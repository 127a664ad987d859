/* SPDX-License-Identifier: MIT */
/*
 * lib/core/matmul_panels.c - products of panels with activations in integers or in bf16
 *
 * Few vectors: each panel meets all of them through the fused kernels, read once from
 * memory.  So do floats with f32 activations and any number, some panels at a time.  Many
 * vectors else: strips of two panels by two chunks are decoded once, to bytes or to bf16, and
 * tiles of a few vectors pass over them:
 *
 *     for each strip:
 *         sums[n][32] = 0
 *         for each two chunks of columns:
 *             decode
 *             for each tile: sums += strip . tile
 *         y = sums
 *
 * The sums of a strip are a buffer of their own: with the distance of y's vectors they would
 * all fall into a few sets of the cache.
 */
#include "lib/core/product.h"

#define FUSED_STRIP 8   /* panels that a task takes at a time */

/* Work memory of a strip: two panels as bytes or as words, then sums[n][LQI_STRIP_ROWS]. */
static size_t strip_bytes(const lqi_product *p)
{
    return p->way == LQI_WAY_PAIRS ? sizeof(lqi_pairs_strip) : sizeof(lqi_strip);
}

uint64_t lqi_panels_work(const lqi_product *p, const lqi_acts *a)
{
    if (a->fused)
        return LQI_ALIGN;
    return (strip_bytes(p) + a->n * LQI_STRIP_ROWS * sizeof(float) + LQI_ALIGN - 1) / LQI_ALIGN *
           LQI_ALIGN;
}

static uint64_t strip_panels(const lq_ctx *ctx, const lqi_acts *a)
{
    return a->fused ? FUSED_STRIP : ctx->kernels.panel->strip_panels;
}

uint64_t lqi_panels_count(const lq_ctx *ctx, const lqi_acts *a, uint64_t row0, uint64_t row1)
{
    uint64_t rows = strip_panels(ctx, a) * LQI_PANEL_ROWS;

    return row1 > row0 ? (row1 - 1) / rows - row0 / rows + 1 : 0;
}

/* Rows of [row, row + count) that are asked for. */
static void store_rows(const lqi_product *p, uint64_t row, uint64_t count, uint64_t first,
                       uint64_t n, const float *sums, uint64_t ld)
{
    uint64_t from = row < p->a.row0 ? p->a.row0 : row;
    uint64_t end = lqi_min(row + count, p->a.row1);

    if (from < end)
        lqi_product_store(p, from, end - from, first, n, sums + (from - row), ld);
}

static const uint8_t *panel_at(const lqi_weight *w, uint64_t panel, uint64_t chunk)
{
    return w->data + (panel * w->chunks + chunk) * w->panel.chunk_bytes;
}

/* -------------------------------------------------------------------- few */

/* One panel and one tile. */
static void fused_product(const lqi_product *p, uint64_t panel, uint64_t i)
{
    const lqi_weight *w = p->weight;
    const lqi_acts *a = p->acts;
    const lqi_kernels *k = &p->ctx->kernels;
    const uint8_t *from = panel_at(w, panel, 0);
    float y[8 * LQI_PANEL_ROWS];
    lqi_acts_tile tile;
    uint64_t column;
    unsigned width = lqi_acts_tile_at(a, i, 0, &column, &tile);
    int kind = width == 8 ? LQI_FUSED_8 : width == 4 ? LQI_FUSED_4 : LQI_FUSED_1;

    if (p->way == LQI_WAY_PAIRS)
        k->pairs->fused[w->panel.codes][w->panel.shape][kind](&w->words, from,
                                                              (size_t)w->chunks, &tile, y);
    else
        k->panel->fused[w->panel.codes][w->panel.shape][kind](&w->panel, from,
                                                              (size_t)w->chunks, &tile, y);
    store_rows(p, panel * LQI_PANEL_ROWS, LQI_PANEL_ROWS, column, lqi_min(width, a->n - column),
               y, LQI_PANEL_ROWS);
}

/* Panels [first, end) with all tiles: with few of them panel by panel, else tile by tile. */
static void fused_panels(const lqi_product *p, uint64_t first, uint64_t end)
{
    uint64_t tiles = p->acts->tiles, together = tiles <= 2 ? 1 : end - first;

    for (; first < end; first += together)
        for (uint64_t i = 0; i < tiles; i++)
            for (uint64_t panel = first; panel < first + together; panel++)
                fused_product(p, panel, i);
}

/* ------------------------------------------------------------------- many */

static void decode_strip(const lqi_product *p, uint64_t panel, uint64_t chunk, size_t chunks,
                         void *strip)
{
    const lqi_weight *w = p->weight;
    const lqi_kernels *k = &p->ctx->kernels;

    for (unsigned i = 0; i < k->panel->strip_panels && panel + i < w->panels; i++) {
        const uint8_t *from = panel_at(w, panel + i, chunk);
        if (p->way == LQI_WAY_PAIRS)
            k->pairs->strip[w->panel.codes](&w->words, from, chunks, i, strip);
        else
            k->panel->strip[w->panel.codes](&w->panel, from, chunks, i * LQI_PANEL_ROWS, strip);
    }
}

/* The strip meets 'width' columns. */
static void multiply_tile(const lqi_product *p, const void *strip, size_t chunks, unsigned width,
                          const lqi_acts_tile *tile, float *sums)
{
    const lqi_panel *w = &p->weight->panel;
    const lqi_kernels *k = &p->ctx->kernels;
    unsigned narrower = k->panel->tile_max - width;

    if (p->way == LQI_WAY_PAIRS)
        k->pairs->tile[lqi_panel_pairs_kind(w)][narrower](strip, chunks, tile, sums);
    else
        k->panel->tile[lqi_panel_tile_kind(w)][narrower](strip, chunks, tile, sums);
}

static void strip_product(const lqi_product *p, uint64_t panel, uint8_t *work)
{
    const lqi_weight *w = p->weight;
    const lqi_acts *a = p->acts;
    float *sums = (float *)(void *)(work + strip_bytes(p));

    memset(sums, 0, (size_t)(a->n * LQI_STRIP_ROWS) * sizeof *sums);
    for (uint64_t chunk = 0; chunk < w->chunks; chunk += LQI_STRIP_CHUNKS) {
        size_t chunks = (size_t)lqi_min(LQI_STRIP_CHUNKS, w->chunks - chunk);
        decode_strip(p, panel, chunk, chunks, work);
        for (uint64_t i = 0; i < a->tiles; i++) {
            lqi_acts_tile tile;
            uint64_t column;
            unsigned width = lqi_acts_tile_at(a, i, chunk, &column, &tile);
            multiply_tile(p, work, chunks, width, &tile, sums + column * LQI_STRIP_ROWS);
        }
    }
    store_rows(p, panel * LQI_PANEL_ROWS,
               (uint64_t)p->ctx->kernels.panel->strip_panels * LQI_PANEL_ROWS, 0, a->n, sums,
               LQI_STRIP_ROWS);
}

void lqi_panels_run(lqi_product *p, uint8_t *work)
{
    const lqi_acts *a = p->acts;
    uint64_t many = strip_panels(p->ctx, a), first = p->a.row0 / (many * LQI_PANEL_ROWS);
    unsigned long long strip;

    while ((strip = atomic_fetch_add(&p->next, 1)) < p->strips) {
        uint64_t panel = (first + strip) * many;
        if (!a->fused) {
            strip_product(p, panel, work);
            continue;
        }
        uint64_t from = p->a.row0 / LQI_PANEL_ROWS, end = lqi_div_up(p->a.row1, LQI_PANEL_ROWS);
        fused_panels(p, from > panel ? from : panel, lqi_min(panel + many, end));
    }
}
