/* SPDX-License-Identifier: MIT */
/* lib/file/order.c - bottom-up merge sort of indices */
#include "lib/file/order.h"

/* Merge the sorted runs from[low, middle) and from[middle, high) to 'to'. */
static void merge(const uint64_t *from, uint64_t *to, uint64_t low, uint64_t middle,
                  uint64_t high, lqi_before *before, const void *context)
{
    uint64_t a = low, b = middle;
    for (uint64_t i = low; i < high; i++) {
        int take_b = a == middle || (b < high && before(context, from[b], from[a]));
        to[i] = take_b ? from[b++] : from[a++];
    }
}

static int sorted(const uint64_t *order, uint64_t n, lqi_before *before, const void *context)
{
    for (uint64_t i = 1; i < n; i++) {
        if (before(context, order[i], order[i - 1]))
            return 0;
    }
    return 1;
}

void lqi_order(uint64_t *order, uint64_t *work, uint64_t n, lqi_before *before,
               const void *context)
{
    uint64_t *from = order, *to = work;
    for (uint64_t i = 0; i < n; i++)
        order[i] = i;
    if (sorted(order, n, before, context))
        return;
    for (uint64_t run = 1; run < n; run *= 2) {
        for (uint64_t low = 0; low < n; low += 2 * run)
            merge(from, to, low, lqi_min(low + run, n), lqi_min(low + 2 * run, n),
                  before, context);
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != order)
        memcpy(order, from, (size_t)(n * sizeof *order));
}
