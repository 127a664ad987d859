/* SPDX-License-Identifier: MIT */
/*
 * lib/core/maps8.c - the maps of 8-bit states of optimizers
 *
 * Values are those of the dynamic maps (dynamic8.c).  With the plain nearest code small second
 * moments become zero, and an update that is divided by their root becomes enormous; so the
 * first threshold of the unsigned map is 0, and a positive number keeps a positive value.
 */
#include "lib/core/core.h"

#include <stdatomic.h>

struct lqi_maps8 {
    lq_allocator       allocator;
    _Atomic(lqi_map8 *) made;     /* two of them */
};

struct lqi_maps8 *lqi_maps8_create(const lq_allocator *allocator)
{
    struct lqi_maps8 *maps = lqi_alloc_zero(allocator, sizeof *maps);

    if (maps) {
        maps->allocator = *allocator;
        atomic_init(&maps->made, NULL);
    }
    return maps;
}

static void free_maps(const lq_allocator *allocator, lqi_map8 *map)
{
    if (map) {
        lqi_free(allocator, map[0].bins.entry);
        lqi_free(allocator, map[1].bins.entry);
    }
    lqi_free(allocator, map);
}

void lqi_maps8_destroy(struct lqi_maps8 *maps)
{
    if (!maps)
        return;
    lq_allocator allocator = maps->allocator;
    free_maps(&allocator, atomic_load(&maps->made));
    lqi_free(&allocator, maps);
}

/* Exact: neighbours in the maps are so near each other that the sum is exact in double, and
 * the largest f32 not above the half is the threshold. */
static float threshold(float a, float b)
{
    double half = ((double)a + b) / 2;
    float f = (float)half;

    return (double)f > half ? nextafterf(f, -INFINITY) : f;
}

/* 'book' is scratch, too large for the stack of a thread. */
static lq_status make_map(lqi_map8 *map, const float *values, int floor, lq_codebook *book)
{
    lq_status status;

    memcpy(map->value, values, sizeof map->value);
    memcpy(book->sorted, values, sizeof book->sorted);
    book->count = 256;
    for (int i = 0; i < 256; i++) {
        uint32_t bits = lqi_float_bits(values[i]);

        for (int k = 0; k < 4; k++)
            map->byte[k][i] = (uint8_t)(bits >> 8 * k);
        book->code[i] = (uint8_t)i;
        if (i < 255)
            book->midpoints[i] = threshold(values[i], values[i + 1]);
        if (values[i] == 0.0f)
            map->zero = (uint8_t)i;
    }
    if (floor)
        book->midpoints[0] = 0.0f;
    status = lqi_codebook_index(book);
    if (!status)
        map->bins = book->bins;
    return status;
}

static lqi_map8 *make_maps(const lq_allocator *allocator)
{
    lqi_map8 *map = lqi_alloc_zero(allocator, 2 * sizeof *map);
    lq_codebook *book = lqi_alloc_zero(allocator, sizeof *book);
    lq_status status = map && book ? LQ_OK : LQ_ERR_NOMEM;

    if (!status) {
        book->allocator = *allocator;
        status = make_map(&map[0], lqi_dynamic8, 0, book);
    }
    if (!status)
        status = make_map(&map[1], lqi_udynamic8, 1, book);
    lqi_free(allocator, book);
    if (!status)
        return map;
    free_maps(allocator, map);
    return NULL;
}

lq_status lqi_maps8_need(const lq_ctx *ctx, const lqi_map8 *map[2])
{
    struct lqi_maps8 *maps = ctx->maps8;
    lqi_map8 *made = atomic_load_explicit(&maps->made, memory_order_acquire), *none = NULL;

    if (!made) {
        made = make_maps(&maps->allocator);
        if (!made)
            return LQ_ERR_NOMEM;
        if (!atomic_compare_exchange_strong(&maps->made, &none, made)) {
            free_maps(&maps->allocator, made);
            made = none;
        }
    }
    map[0] = &made[0];
    map[1] = &made[1];
    return LQ_OK;
}
