/* SPDX-License-Identifier: MIT */
/*
 * kernels/kernels.h - the table of what depends on the CPU
 *
 * Every context owns one filled table.  lqi_kernels_init() starts from the reference
 * (kernels/ref.c fills every slot) and lets each level that the context may use
 * overwrite what it does better.  Kernels know panels and primitives, never formats.
 */
#ifndef LQI_KERNELS_H
#define LQI_KERNELS_H

#include "lib/base/base.h"
#include "libquant/format.h"

/* Which units the build has; Meson says so, a bare compiler call has the reference only. */
#ifndef LQI_BUILD_AVX2
#define LQI_BUILD_AVX2 0
#endif
#ifndef LQI_BUILD_AVX512
#define LQI_BUILD_AVX512 0
#endif

/* ---------------------------------------------------------------- decoding */

/*
 * n consecutive elements of one stored row.  'codes' is the start of the row; 'first'
 * counts elements from there: a multiple of the block in blocked formats, anything in
 * planar ones.  Planar: scale[i] and zero[i] belong to the i-th group that the run
 * touches, the first of which holds element 'first'; 'group' is its length in elements.
 */
typedef struct lqi_run {
    const uint8_t *codes;
    uint64_t       first;
    size_t         n;
    const float   *scale;
    const float   *zero;    /* NULL without zero points */
    uint64_t       group;
    const float   *table;   /* planar: values by code, for table formats */
    unsigned       bits;    /* planar: per code */
    const struct lqi_grids *grids;  /* expanded codebooks of the I-quants */
} lqi_run;

typedef void lqi_decode_fn(const lqi_run *run, float *y);

/* Decoders that levels specialise.  A format's descriptor names the one that fits it;
 * where a level has none (NULL, the only slots that may be) the format's own plain C
 * decodes. */
typedef enum lqi_decoder {
    LQI_DECODER_NONE,
    LQI_DECODER_TABLE4,   /* planar nibbles, high nibble first, 16-entry table * scale */
    LQI_DECODER_F16_I8X32, /* blocks of { f16 scale, 32 x i8 } */
    LQI_DECODERS
} lqi_decoder;

/* ---------------------------------------------------------------- encoding */

struct lqi_kernels;

/*
 * Numbers to stored bytes, many blocks or groups at once.  'x' holds n finite numbers.
 *
 * Blocked: whole blocks, to 'codes'.  Planar: whole groups (the last may be short) of
 * elements [first, first + n) of the row of codes at 'codes', whose bits are still 0; the
 * scale of each group goes to scale[], f32.
 */
typedef struct lqi_encode_run {
    const float              *x;
    const float              *imp;      /* n importances, or NULL */
    size_t                    n;
    float                     row_ms;   /* as in lqi_fit */
    const lq_spec            *spec;
    const struct lqi_grids   *grids;
    const struct lqi_kernels *kernels;
    uint8_t                  *codes;
    uint64_t                  first;
    uint64_t                  group;
    float                    *scale;
} lqi_encode_run;

typedef void lqi_encode_fn(const lqi_encode_run *run);

/* Encoders that levels specialise; as with decoders, a NULL slot means that the format's
 * own plain C encodes. */
typedef enum lqi_encoder {
    LQI_ENCODER_NONE,
    LQI_ENCODERS
} lqi_encoder;

/* ------------------------------------------------------------------- tiles */

/*
 * y[j * ldy + i] += sum over c in [0, k) of w[i * ldw + c] * x[j * ldx + c]
 * for i in [0, mr), j in [0, nr).  The sum of one output is the same chain of fused
 * multiply-adds wherever it lies in the tile.
 */
typedef void lqi_tile_f32_fn(const float *w, size_t ldw, const float *x, size_t ldx,
                             size_t k, float *y, size_t ldy);

typedef struct lqi_tile_f32 {
    lqi_tile_f32_fn *run;
    uint8_t          mr, nr;
} lqi_tile_f32;

#define LQI_TILE_MAX 16   /* mr and nr of any level */

/* ------------------------------------------------------------------- table */

typedef struct lqi_kernels {
    lq_level       level;
    lqi_tile_f32   tile_f32;
    lqi_decode_fn *decode[LQI_DECODERS];
    lqi_encode_fn *encode[LQI_ENCODERS];
    /* 1 if one of n numbers is NaN or infinite. */
    int  (*any_nonfinite)(const float *x, size_t n);
    /* Widen [*lo, *hi] to n numbers; NaN does not widen. */
    void (*range)(const float *x, size_t n, float *lo, float *hi);
    /* arrays of n numbers; nearest even, bit for bit as lib/base/half.h */
    void (*f16_to_f32)(const void *src, float *dst, size_t n);
    void (*bf16_to_f32)(const void *src, float *dst, size_t n);
    void (*f32_to_f16)(const float *src, void *dst, size_t n);
    void (*f32_to_bf16)(const float *src, void *dst, size_t n);
} lqi_kernels;

/* Fill 'k' for a level that lqi_level_usable() accepts. */
void lqi_kernels_init(lqi_kernels *k, lq_level level);

/* Best level of this build on this CPU; and whether it can run 'level'. */
lq_level lqi_level_best(void);
int      lqi_level_usable(lq_level level);

/* One per unit. */
void lqi_kernels_init_ref(lqi_kernels *k);
void lqi_kernels_init_avx2(lqi_kernels *k);
void lqi_kernels_init_avx512(lqi_kernels *k);

#endif
