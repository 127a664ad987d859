/* SPDX-License-Identifier: MIT */
/*
 * lib/core/panel.h - weights as panels: choosing, packing, activations, products
 */
#ifndef LQI_CORE_PANEL_H
#define LQI_CORE_PANEL_H

#include "kernels/panel_bf16.h"
#include "lib/core/core.h"
#include "lib/format/panel.h"

/* A matrix as panels. */
typedef struct lqi_weight {
    lqi_panel panel;
    lqi_words words;              /* for products in bf16 */
    uint64_t  panels, chunks;     /* of 16 rows; of 256 columns */
    uint64_t  bytes;              /* of all panels */
    uint8_t  *data;               /* [panels][chunks][panel.chunk_bytes] */
    uint32_t *order;              /* column at each position (act-order), or NULL */
} lqi_weight;

/*
 * How the rows of a geometry would lie in panels: everything but 'data' and 'order'.  0 if
 * they have no panels: a format of large floats, groups that do not fit.
 * LQ_ERR_OVERFLOW by *status.
 */
int lqi_weight_plan(const lqi_geometry *g, lqi_weight *weight, lq_status *status);

/*
 * Fill weight->data, and weight->order if there is one, on the context's threads.  0 if some
 * scale is not finite or groups of an act-order are not of one size: such a weight is not
 * for panels.
 */
int lqi_weight_pack(const lq_ctx *ctx, const lqi_geometry *g, const lq_rows *rows,
                    lqi_weight *weight);

/* ---------------------------------------------------------------- activations */

/* Activation vectors in integers, cut into tiles of neighbouring columns. */
typedef struct lqi_acts {
    int       kind;             /* LQI_ACTS_... */
    int       fused;            /* tiles for fused kernels */
    uint64_t  n, chunks;
    uint64_t  tiles, width, wider;   /* 'wider' tiles have one column more than 'width' */
    uint64_t  columns;          /* of all tiles, padding included */
    uint64_t  block;            /* chunks that lie together */
    int32_t  *data;
} lqi_acts;

/* Plan for n vectors of cols numbers; the bytes of 'data', 0: does not fit. */
uint64_t lqi_acts_plan(const lq_ctx *ctx, int kind, uint64_t n, uint64_t cols, lqi_acts *acts);

/* Vectors x (F32, F16, BF16) to acts->data, on the context's threads if 'parallel'; order:
 * of columns, or NULL. */
void lqi_acts_fill(const lq_ctx *ctx, lqi_acts *acts, lq_dtype type, const void *x,
                   uint64_t ldx, uint64_t cols, const uint32_t *order, int parallel);

/* Tile i from 'chunk' on, the first of a block: its first column, its width. */
unsigned lqi_acts_tile_at(const lqi_acts *acts, uint64_t i, uint64_t chunk, uint64_t *column,
                          lqi_acts_tile *tile);

#endif
