/* SPDX-License-Identifier: MIT */
/*
 * lib/format/grids.c - the codebooks of the I-quants: tables and neighbours
 *
 * Neighbours: for a point outside the codebook, the entries at its K least distinct
 * distances, by distance, then number; K is given with each codebook.  Distances are
 * sums over the lanes of the squared difference of levels.  Source of truth: the
 * quantizers of ggml, whose bytes depend on these lists and their order.
 */
#include <stdatomic.h>

#include "lib/format/grids.h"

/* The lengths of lists follow from the codebooks; make_lists() asserts them. */
#define IQ2(name, n, k, len) { lqi_grid_bits_##name, n, 6561, 8, 3, k, { 8, 25, 43 }, len }

const lqi_grid_kind lqi_grid_kinds[LQI_GRIDS] = {
    [LQI_GRID_IQ2_XXS] = IQ2(iq2_xxs, 256, 2, 161136),
    [LQI_GRID_IQ2_XS]  = IQ2(iq2_xs, 512, 2, 230560),
    [LQI_GRID_IQ2_S]   = IQ2(iq2_s, 1024, 1, 100576),
    [LQI_GRID_IQ1]     = { lqi_grid_bits_iq1, 2048, 6561, 8, 3, 3, { 255, 0, 1 }, 362352 },
    [LQI_GRID_IQ3_XXS] = { lqi_grid_bits_iq3_xxs, 256, 4096, 4, 8, 2,
                           { 4, 12, 20, 28, 36, 44, 52, 62 }, 62432 },
    [LQI_GRID_IQ3_S]   = { lqi_grid_bits_iq3_s, 512, 4096, 4, 8, 3,
                           { 1, 3, 5, 7, 9, 11, 13, 15 }, 59296 },
};

#define MAX_ENTRIES 2048

/* ------------------------------------------------------------------ points */

static int is_entry(const lqi_grid_kind *k, unsigned point)
{
    return k->bits[point / 8] >> point % 8 & 1;
}

static void split(const lqi_grid_kind *k, unsigned point, uint8_t *digit)
{
    for (int lane = 0; lane < k->lanes; lane++, point /= k->base)
        digit[lane] = (uint8_t)(point % k->base);
}

static unsigned bit_count(uint64_t v)
{
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    return (unsigned)(((v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
}

/* Point of an entry: the bit with 'entry' bits before it. */
static unsigned point_of(const lqi_grid_kind *k, uint32_t entry)
{
    unsigned at = 0, bytes = (k->points + 7u) / 8, n;

    for (; at + 8 <= bytes && (n = bit_count(lqi_load64(k->bits + at))) <= entry; at += 8)
        entry -= n;
    for (; at + 1 < bytes && (n = bit_count(k->bits[at])) <= entry; at++)
        entry -= n;
    for (unsigned point = 8 * at;; point++)
        if (is_entry(k, point) && entry-- == 0)
            return point;
}

void lqi_grid_lookup(int grid, uint32_t entry, uint8_t *value)
{
    const lqi_grid_kind *k = &lqi_grid_kinds[grid];
    uint8_t digit[8];

    split(k, point_of(k, entry), digit);
    for (int lane = 0; lane < k->lanes; lane++)
        value[lane] = k->value[digit[lane]];
}

/* -------------------------------------------------------------- neighbours */

typedef struct lqi_near_slot {
    _Atomic(lqi_near *) lists;
} near_slot;

/* What building looks at: entries as two halves of their lanes, and the distances of all
 * pairs of halves. */
typedef struct halves {
    unsigned points;                    /* of one half: 81 or 64 */
    uint8_t  low[MAX_ENTRIES], high[MAX_ENTRIES];
    uint16_t word[MAX_ENTRIES];
    uint8_t  distance[81][81];
} halves;

static uint8_t half_distance(const lqi_grid_kind *k, unsigned a, unsigned b)
{
    int sum = 0;

    for (int lane = 0; lane < k->lanes / 2; lane++, a /= k->base, b /= k->base) {
        int d = (int)(a % k->base) - (int)(b % k->base);
        sum += d * d;
    }
    return (uint8_t)sum;
}

static void cut_halves(const lqi_grid_kind *k, halves *h)
{
    unsigned n = 0;
    uint8_t digit[8];

    h->points = k->base == 3 ? 81 : 64;
    for (unsigned point = 0; point < k->points; point++) {
        if (!is_entry(k, point))
            continue;
        split(k, point, digit);
        h->word[n] = lqi_grid_word(k->lanes, digit);
        h->low[n] = (uint8_t)(point % h->points);
        h->high[n++] = (uint8_t)(point / h->points);
    }
    for (unsigned a = 0; a < h->points; a++)
        for (unsigned b = 0; b < h->points; b++)
            h->distance[a][b] = half_distance(k, a, b);
}

/* Words of one point's neighbours to 'list'; returns their number.  Distances of 63 and
 * more count as 63; the lists end far below. */
static unsigned make_list(const lqi_grid_kind *k, const halves *h, unsigned point,
                          uint16_t *list)
{
    const uint8_t *low = h->distance[point % h->points], *high = h->distance[point / h->points];
    uint8_t distance[MAX_ENTRIES];
    uint64_t seen = 0;
    unsigned n = 0;

    for (unsigned e = 0; e < k->entries; e++) {
        unsigned d = (unsigned)low[h->low[e]] + high[h->high[e]];
        distance[e] = (uint8_t)(d < 63 ? d : 63);
        seen |= (uint64_t)1 << distance[e];
    }
    for (int i = 0; i < k->nearest; i++, seen &= seen - 1) {
        unsigned d = bit_count((seen & -seen) - 1);
        for (unsigned e = 0; e < k->entries; e++)
            if (distance[e] == d)
                list[n++] = h->word[e];
    }
    return n;
}

/* A place of each point, and the lists. */
typedef struct tables {
    lqi_near near;
    _Alignas(LQI_ALIGN) uint16_t list[];
} tables;

static void fill_tables(const lqi_grid_kind *k, const halves *h, int32_t *place, uint16_t *list)
{
    uint32_t used = 0, entry = 0;

    for (unsigned point = 0; point < k->points; point++) {
        if (is_entry(k, point)) {
            place[point] = (int32_t)entry++;
            continue;
        }
        unsigned n = make_list(k, h, point, list + used);
        place[point] = (int32_t)~(used / LQI_NEAR_PAD << 10 | n);
        assert(n == lqi_near_count(place[point]));
        for (used += n; used % LQI_NEAR_PAD; used++)
            list[used] = list[used - 1];
    }
    assert(entry == k->entries && used == k->list_len);
}

static lqi_near *make_lists(const lq_allocator *allocator, const lqi_grid_kind *k)
{
    size_t lists = k->list_len * sizeof(uint16_t);
    tables *t = lqi_alloc(allocator, sizeof *t + lists + k->points * sizeof(int32_t));
    halves *h = lqi_alloc(allocator, sizeof *h);

    if (!t || !h) {
        lqi_free(allocator, t);
        lqi_free(allocator, h);
        return NULL;
    }
    int32_t *place = (int32_t *)(void *)(t->list + k->list_len);
    cut_halves(k, h);
    fill_tables(k, h, place, t->list);
    t->near = (lqi_near){ place, t->list, k->lanes };
    lqi_free(allocator, h);
    return &t->near;
}

/* Two threads may build the same lists; the first to be ready wins. */
lq_status lqi_grids_need(const lqi_grids *grids, int grid)
{
    _Atomic(lqi_near *) *slot = &grids->near[grid].lists;
    lqi_near *none = NULL, *made;

    if (grid == LQI_GRID_NONE || atomic_load_explicit(slot, memory_order_acquire))
        return LQ_OK;
    made = make_lists(&grids->allocator, &lqi_grid_kinds[grid]);
    if (!made)
        return LQ_ERR_NOMEM;
    if (!atomic_compare_exchange_strong(slot, &none, made))
        lqi_free(&grids->allocator, made);
    return LQ_OK;
}

const lqi_near *lqi_grids_near(const lqi_grids *grids, int grid)
{
    return atomic_load_explicit(&grids->near[grid].lists, memory_order_acquire);
}

uint16_t lqi_near_word(int lanes, const uint16_t *list, unsigned n, const float term[8][8],
                       float *error)
{
    uint16_t found = list[0];
    float best = FLT_MAX;

    for (unsigned k = 0; k < n; k++) {
        float sum = 0;
        for (int i = 0; i < lanes; i++)
            sum += term[i][lqi_grid_digit(lanes, list[k], i)];
        if (sum < best) {
            best = sum;
            found = list[k];
        }
    }
    *error = best;
    return found;
}

/* ------------------------------------------------------------------ tables */

static size_t table_bytes(void)
{
    size_t sum = 0;

    for (int i = LQI_GRID_NONE + 1; i < LQI_GRIDS; i++)
        sum += 2u * lqi_grid_kinds[i].entries * lqi_grid_kinds[i].lanes;
    return sum;
}

static void expand(const lqi_grid_kind *k, uint8_t *value, uint8_t *digit)
{
    for (unsigned point = 0; point < k->points; point++) {
        if (!is_entry(k, point))
            continue;
        split(k, point, digit);
        for (int lane = 0; lane < k->lanes; lane++)
            value[lane] = k->value[digit[lane]];
        value += k->lanes;
        digit += k->lanes;
    }
}

lqi_grids *lqi_grids_create(const lq_allocator *allocator)
{
    size_t slots = LQI_GRIDS * sizeof(near_slot);
    lqi_grids *g = lqi_alloc_zero(allocator, sizeof *g + slots + table_bytes());

    if (!g)
        return NULL;
    g->allocator = *allocator;
    g->near = (near_slot *)(void *)(g + 1);
    uint8_t *table = (uint8_t *)(g->near + LQI_GRIDS);
    for (int i = LQI_GRID_NONE + 1; i < LQI_GRIDS; i++) {
        const lqi_grid_kind *k = &lqi_grid_kinds[i];
        size_t bytes = (size_t)k->entries * k->lanes;
        expand(k, table, table + bytes);
        g->value[i] = table;
        g->digit[i] = table + bytes;
        table += 2 * bytes;
        atomic_init(&g->near[i].lists, NULL);
    }
    return g;
}

void lqi_grids_destroy(lqi_grids *grids)
{
    if (!grids)
        return;
    lq_allocator allocator = grids->allocator;
    for (int i = 0; i < LQI_GRIDS; i++)
        lqi_free(&allocator, atomic_load(&grids->near[i].lists));
    lqi_free(&allocator, grids);
}
