/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/bench_copies.c - one weight as often as it takes to leave the caches
 *
 * Slow encoders would take longer than everything that is measured: PATTERN rows are encoded
 * and repeated.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#define PATTERN 256
#define COPIES_MAX 65536
#define ALIGN 64

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* The planes of 'whole' are those of 'part', over and over. */
static void repeat_planes(const lq_tensor *part, const lq_tensor *whole)
{
    for (int plane = 0; plane < LQ_PLANES; plane++) {
        uint64_t have = 0, want = 0;
        const uint8_t *from = lq_tensor_plane(part, plane, &have);
        uint8_t *to = lq_tensor_plane(whole, plane, &want);
        for (uint64_t at = 0; from && to && at < want; at += have)
            memcpy(to + at, from, (size_t)(want - at < have ? want - at : have));
    }
}

static lq_status make_tensor(copies *c, const bench *b, const lq_spec *spec, lq_error *error)
{
    const lq_shape shape = { 1, b->rows, b->cols };
    uint64_t rows = b->rows < PATTERN ? b->rows : PATTERN;
    float *x = bench_floats(rows, b->cols, 1, 0.02f);
    lq_tensor *part = NULL;
    lq_status status = x ? bench_encode(b, spec, rows, x, &part, error) : LQ_ERR_NOMEM;

    free(x);
    if (status == LQ_OK)
        status = lq_tensor_create(b->ctx, spec, &shape, &c->tensor, error);
    if (status == LQ_OK)
        repeat_planes(part, c->tensor);
    lq_tensor_destroy(part);
    return status;
}

/* Planes of the tensor, copied to memory of their own; returns the end. */
static uint8_t *copy_planes(const copies *c, lq_rows *rows, uint8_t *to)
{
    for (int plane = 0; plane < LQ_PLANES; plane++) {
        uint64_t bytes = 0;
        void *from = lq_tensor_plane(c->tensor, plane, &bytes);
        if (!from)
            continue;
        rows->plane[plane] = memcpy(to, from, (size_t)bytes);
        to += aligned(bytes);
    }
    return to;
}

/* Fast products read panels only. */
static int needs_planes(const copies *c, const bench *b)
{
    return !c->prepared_bytes || b->mode > LQ_MODE_FAST;
}

static lq_status make_copy(const copies *c, const bench *b, copy *one, uint8_t *to,
                           lq_error *error)
{
    lq_prepare_opts opts = LQ_PREPARE_OPTS_INIT;
    const lq_rows init = LQ_ROWS_INIT;

    one->rows = init;
    lq_status status = lq_tensor_rows(c->tensor, 0, &one->rows);
    if (status == LQ_OK && needs_planes(c, b))
        to = copy_planes(c, &one->rows, to);
    if (status != LQ_OK || !c->prepare)
        return status;
    opts.memory = c->prepared_bytes ? to : NULL;
    opts.memory_bytes = c->prepared_bytes;
    status = lq_prepare(b->ctx, &one->rows, &opts, &one->prepared, error);
    return status == LQ_OK && progress_cancelled() ? LQ_ERR_CANCELLED : status;
}

/* How many, and the memory for them. */
static lq_status reserve(copies *c, bench *b, uint64_t *each)
{
    *each = aligned(c->prepared_bytes);
    if (needs_planes(c, b))
        *each += c->source_bytes + LQ_PLANES * ALIGN;
    c->count = b->rotate / c->source_bytes + (b->rotate % c->source_bytes != 0);
    c->count = c->count < 1 ? 1 : c->count > COPIES_MAX ? COPIES_MAX : c->count;
    c->copy = calloc((size_t)c->count, sizeof *c->copy);
    if (!c->copy || *each > SIZE_MAX / c->count || !roof_reserve(&b->roof, *each * c->count))
        return LQ_ERR_NOMEM;
    return LQ_OK;
}

lq_status copies_open(copies *c, bench *b, const lq_spec *spec, int prepare, lq_error *error)
{
    const lq_shape shape = { 1, b->rows, b->cols };
    uint64_t each;
    lq_status status;

    *c = (copies){ .prepare = prepare };
    if ((status = make_tensor(c, b, spec, error))
        || (status = lq_spec_bytes(spec, &shape, &c->source_bytes))
        || (prepare && (status = lq_prepared_bytes(b->ctx, spec, b->rows, b->cols,
                                                   &c->prepared_bytes)))
        || (status = reserve(c, b, &each)))
        return status;
    for (uint64_t i = 0; i < c->count && status == LQ_OK; i++)
        status = make_copy(c, b, &c->copy[i], b->roof.memory + i * each, error);
    return status;
}

void copies_close(copies *c)
{
    for (uint64_t i = 0; c->copy && i < c->count; i++)
        lq_prepared_destroy(c->copy[i].prepared);
    free(c->copy);
    lq_tensor_destroy(c->tensor);
    memset(c, 0, sizeof *c);
}
