/* SPDX-License-Identifier: MIT */
/*
 * lib/core/codebook_bins.c - a codebook by the upper bits of a number
 *
 * Bins (kernels.h) are the sign, the exponent and seven bits of the mantissa.  A midpoint
 * between values divides its bin; two different ones in a bin are one too many, which the
 * values of few codebooks manage: those whose steps are less than 1/128 of their magnitude.
 */
#include "lib/core/core.h"

#define BIN     0x10000u   /* floats in a bin */
#define ENTRIES 16384u     /* at most: 32 octaves, twice the depth of the dynamic maps */

/* Bits of the smallest (but zero) and of the largest magnitude of a midpoint. */
static void find_ends(const lq_codebook *book, uint32_t *least, uint32_t *most)
{
    *least = UINT32_MAX;
    *most = 0;
    for (uint32_t i = 0; i + 1 < book->count; i++) {
        uint32_t bits = lqi_float_bits(book->midpoints[i]) & 0x7fffffff;
        *least = bits && bits < *least ? bits : *least;
        *most = bits > *most ? bits : *most;
    }
    if (*most == 0)
        *least = *most = 1;
}

/* The numbers whose magnitudes have the bits [first, first + BIN).  0: two thresholds. */
static int make_entry(const lq_codebook *book, uint32_t first, int positive, uint32_t *entry)
{
    float from = lqi_bits_float(first), to = lqi_bits_float(first + BIN - 1);
    unsigned near, far, low, high;
    uint32_t at = 0;

    to = to <= FLT_MAX ? to : INFINITY;
    near = lqi_codebook_rank(book, positive ? from : -from);
    far = lqi_codebook_rank(book, positive ? to : -to);
    low = near < far ? near : far;
    high = near < far ? far : near;
    if (low != high) {   /* a negative midpoint itself is not above it */
        if (book->midpoints[low] != book->midpoints[high - 1])
            return 0;
        at = (lqi_float_bits(book->midpoints[low]) & 0x7fffffff) - first - !positive;
    }
    *entry = at << 16 | (uint32_t)book->code[far] << 8 | book->code[near];
    return 1;
}

lq_status lqi_codebook_index(lq_codebook *book)
{
    uint32_t least, most, count, *entry;

    find_ends(book, &least, &most);
    least = (least - 1) & ~(BIN - 1);      /* zero and less than any midpoint: the first bin */
    count = (most + 1 - least) / BIN + 1;  /* beyond the last midpoint: the last bin */
    if (2 * count > ENTRIES)
        return LQ_OK;
    entry = lqi_alloc(&book->allocator, 2 * count * sizeof *entry);
    if (!entry)
        return LQ_ERR_NOMEM;
    for (uint32_t i = 0; i < 2 * count; i++)
        if (!make_entry(book, least + i % count * BIN, i < count, entry + i)) {
            lqi_free(&book->allocator, entry);
            return LQ_OK;
        }
    book->bins = (lqi_bins){ lqi_bits_float(least),
                             lqi_bits_float((uint32_t)lqi_min(least + count * BIN - 1, 0x7f800000)),
                             count, 1, entry };
    while (1u << book->bins.bits < book->count)
        book->bins.bits++;
    return LQ_OK;
}
