/* SPDX-License-Identifier: MIT */
/*
 * lib/base/base.h - what every other file needs: errors, options, memory, sizes
 */
#ifndef LQI_BASE_H
#define LQI_BASE_H

#include <assert.h>
#include <float.h>
#include <stdint.h>
#include <string.h>

#include "libquant/base.h"

#if FLT_EVAL_METHOD != 0
#error "libquant needs float arithmetic in float: on 32-bit x86 use -msse2 -mfpmath=sse"
#endif

/* ------------------------------------------------------------------ errors */

/* Where an error is; members may be NULL or LQ_NO_OFFSET. */
typedef struct lqi_where {
    const char *file, *name;
    uint64_t    offset;
} lqi_where;

/*
 * Fill the caller's 'error' (may be NULL) and return 'status':
 *     return lqi_fail(error, LQ_ERR_SHAPE, NULL, "cols %llu is not ...", cols);
 * The message becomes "FILE: tensor 'NAME': at byte OFFSET: text".  'where' may be NULL.
 */
lq_status lqi_fail(lq_error *error, lq_status status, const lqi_where *where,
                   const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* lqi_fail() with errno's text appended and mapped: ENOSPC NOSPACE, ENOENT NOTFOUND,
 * EEXIST EXISTS, ENOMEM NOMEM, anything else IO. */
lq_status lqi_fail_errno(lq_error *error, int system, const char *file, const char *doing);

/*
 * Copy a caller's options struct over 'known' bytes of zeroed 'dst', by the rule in
 * libquant/base.h.  src NULL: dst stays zero.
 */
lq_status lqi_opts_read(void *dst, size_t known, const void *src);

/* ------------------------------------------------------------------ memory */

#define LQI_ALIGN 64   /* of everything the library allocates: a cache line, a zmm */

/* NULL when size is 0, does not fit, or memory is out. */
void *lqi_alloc(const lq_allocator *allocator, uint64_t size);
void *lqi_alloc_zero(const lq_allocator *allocator, uint64_t size);
void  lqi_free(const lq_allocator *allocator, void *memory);
char *lqi_strdup(const lq_allocator *allocator, const char *text);

/* ------------------------------------------------------------------- sizes */

/* *result = a * b or a + b; 0 on overflow (then *result is unspecified), else 1. */
static inline int lqi_mul(uint64_t a, uint64_t b, uint64_t *result)
{
    *result = a * b;
    return a == 0 || *result / a == b;
}

static inline int lqi_add(uint64_t a, uint64_t b, uint64_t *result)
{
    *result = a + b;
    return *result >= a;
}

/* Quotient rounded up, without overflow; b > 0. */
static inline uint64_t lqi_div_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static inline uint64_t lqi_min(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* 1 if [a, a + a_bytes) and [b, b + b_bytes) share a byte. */
static inline int lqi_overlap(const void *a, uint64_t a_bytes, const void *b, uint64_t b_bytes)
{
    uintptr_t p = (uintptr_t)a, q = (uintptr_t)b;
    return a_bytes && b_bytes && p < q + b_bytes && q < p + a_bytes;
}

/* ------------------------------------------------------ unaligned loads, LE */

static inline uint16_t lqi_load16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t lqi_load32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t lqi_load64(const void *p)
{
    return lqi_load32(p) | (uint64_t)lqi_load32((const uint8_t *)p + 4) << 32;
}

static inline void lqi_store16(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}

static inline void lqi_store32(void *p, uint32_t v)
{
    lqi_store16(p, (uint16_t)v);
    lqi_store16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static inline void lqi_store64(void *p, uint64_t v)
{
    lqi_store32(p, (uint32_t)v);
    lqi_store32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

static inline float lqi_bits_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t lqi_float_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

#endif
