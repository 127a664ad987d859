/* SPDX-License-Identifier: MIT */
/*
 * lib/core/core.h - contexts, and what core's files share
 */
#ifndef LQI_CORE_H
#define LQI_CORE_H

#include "lib/base/half.h"
#include "lib/base/threads.h"
#include "lib/format/format.h"
#include "libquant/scales.h"
#include "libquant/tensor.h"

struct lq_ctx {
    lq_allocator     allocator;
    lqi_kernels      kernels;
    lqi_decode_fn   *decode[LQI_FORMATS];   /* codec table: by registry index */
    lqi_encode_fn   *encode[LQI_FORMATS];   /* likewise; NULL: block by block, group by group */
    struct lqi_grids *grids;                /* expanded codebooks of the I-quants */
    struct lqi_maps8 *maps8;                /* of 8-bit states of optimizers */
    lqi_pool        *pool;                  /* NULL: serial */
    lq_parallel_for *parallel_for;
    void            *parallel_user;
    uint32_t         threads;
};

/* Run tasks on whatever the context has. */
void lqi_parallel(const lq_ctx *ctx, size_t count, lqi_task *task, void *arg);

/* --------------------------------------------------------------- codebooks */

struct lq_codebook {
    lq_allocator allocator;
    uint32_t     count;
    float        values[256];     /* by code; 0 above count */
    float        sorted[256];     /* ascending */
    float        midpoints[255];  /* between neighbours of 'sorted' */
    uint8_t      code[256];       /* of sorted[i] */
    lqi_bins     bins;            /* the same by the upper bits of a number */
    void       (*nearest)(const lqi_bins *bins, const float *x, size_t n, uint8_t *codes);
};

/* Place of the value nearest to x among the sorted ones: the specification of the bins. */
unsigned lqi_codebook_rank(const lq_codebook *book, float x);

/* Make the bins, unless the values do not allow them.  LQ_ERR_NOMEM. */
lq_status lqi_codebook_index(lq_codebook *book);

/* -------------------------------------------------------- maps of 8-bit states */

/* Place for the maps, which are made when they are first needed.  NULL: no memory. */
struct lqi_maps8 *lqi_maps8_create(const lq_allocator *allocator);
void              lqi_maps8_destroy(struct lqi_maps8 *maps);

/*
 * map[0]: the signed dynamic map; map[1]: the unsigned one, in which no positive number gets
 * code 0.  Nearest values; of two equally near ones the lower.  Any number of threads may ask
 * at once.  LQ_ERR_NOMEM.
 */
lq_status lqi_maps8_need(const lq_ctx *ctx, const lqi_map8 *map[2]);

/* ------------------------------------------------------------------ scales */

/* Signed dynamic 8-bit map (bitsandbytes), 256 ascending values. */
extern const float lqi_dynamic8[256];
extern const float lqi_udynamic8[256];

/* Code of y (scale / scale2) in the signed map, or any of the two, by the CUDA kernel's
 * search. */
uint8_t lqi_dynamic8_nearest(float y);
uint8_t lqi_dynamic_nearest(const float map[256], float y);

/* A first-level scale with the tensor's applied. */
float lqi_scale_global(const lq_spec *spec, float scale, float global);

/* Quantize one second-level block of n scales: codes and its f32 scale. */
void lqi_scale2_encode(const float *scales, size_t n, float offset, uint8_t *codes,
                       float *scale2);

/* Scales [first, first + n) of an array of 'type' to f32. */
void lqi_scales_load(const lq_ctx *ctx, lq_dtype type, const void *scales, uint64_t first,
                     size_t n, float *out);

/* Scales [first, first + n) of a tensor's planes, whatever its levels, to f32. */
void lqi_scales_read(const lq_ctx *ctx, const lq_spec *spec, void *const plane[LQ_PLANES],
                     uint64_t first, size_t n, float *out);

/* ------------------------------------------------------------------- specs */

/*
 * A complete, checked spec and a matrix: the geometry that every pass over rows needs.
 * Flat specs are stored as one row of rows * cols elements.
 */
typedef struct lqi_geometry {
    const lqi_format *format;
    const lq_spec    *spec;
    int               index;         /* of the format in the registry */
    unsigned          bits;
    const float      *table;
    uint64_t          rows, cols;
    uint64_t          row_bytes;     /* stored bytes of a row of codes, dense */
    uint64_t          group_rows;    /* as numbers: ALL replaced, 1 if flat */
    uint64_t          group_cols;
    uint64_t          row_groups;    /* groups in a row (flat: in the tensor) */
    uint64_t          groups;        /* in the tensor */
    uint64_t          padded_cols;   /* blocked: cols rounded up to blocks */
    uint64_t          bytes[LQ_PLANES];
} lqi_geometry;

/* spec must be complete.  LQ_ERR_SHAPE, LQ_ERR_OVERFLOW, LQ_ERR_NOTFOUND. */
lq_status lqi_geometry_init(lqi_geometry *geometry, const lq_spec *spec, uint64_t rows,
                          uint64_t cols);

/* ---------------------------------------------------------------- decoding */

/*
 * Columns [col0, col0 + n) of one row to f32, no checks (layout and rows agree, range
 * inside).  col0 is a multiple of the block in blocked formats.
 */
void lqi_decode_span(const lq_ctx *ctx, const lqi_geometry *geometry, const lq_rows *rows,
                     uint64_t row, uint64_t col0, size_t n, float *y);

/* Copy the caller's rows, complete the spec into *spec, check planes and layout. */
lq_status lqi_rows_open(const lq_rows *in, lq_rows *rows, lq_spec *spec, lqi_geometry *geometry);

/* Default the type to F32 and check a [rows][ld] array of floats: type, pointer,
 * alignment, size.  *bytes 0: nothing there. */
lq_status lqi_check_floats(lq_dtype *type, const void *p, uint64_t rows, uint64_t cols,
                           uint64_t ld, uint64_t *bytes);

/* 1 if [p, p + bytes) touches a plane. */
int lqi_planes_overlap(const lqi_geometry *geometry, const lq_rows *rows, const void *p,
                       uint64_t bytes);

/* Weights that one parallel task handles at least: below that a thread costs more than
 * it gains. */
#define LQI_TASK_WEIGHTS 65536

/* ---------------------------------------------------------------- encoding */

/* Source numbers of one row, and what to do with those that are not finite. */
typedef struct lqi_values {
    const lq_ctx *ctx;
    lq_dtype    type;
    const void *x;
    uint64_t    n;
    int32_t     nonfinite;    /* LQ_NONFINITE_... */
    int32_t     search;       /* LQ_SEARCH_... */
    int         finite;       /* f32 numbers that are known to be */
} lqi_values;

/* Numbers [first, first + n) to f32 by the policy.  LQ_ERR_NONFINITE. */
lq_status lqi_values_read(const lqi_values *v, uint64_t first, size_t n, float *out);

/* The same without a copy where that can be: *x is the source itself or 'buffer', *most the
 * bits of the largest magnitude (0x7f800000 and more: not finite, possible with PROPAGATE
 * only; 0 where the numbers are known to be finite). */
lq_status lqi_values_at(const lqi_values *v, uint64_t first, size_t n, float *buffer,
                        const float **x, uint32_t *most);

/* Widen [*lo, *hi] to numbers [first, first + n); NaN does not widen. */
lq_status lqi_values_range(const lqi_values *v, uint64_t first, uint64_t n, float *lo,
                           float *hi);

/* Add the magnitudes of numbers [first, first + n) to *sum, in order. */
lq_status lqi_values_sum(const lqi_values *v, uint64_t first, uint64_t n, double *sum);

/* Importances: aligned, finite, not negative.  NULL is fine. */
lq_status lqi_check_importance(const float *imp, uint64_t n);

/* One row of a blocked format. */
lq_status lqi_encode_blocks(const lqi_geometry *g, const lqi_values *v, const float *imp,
                            uint8_t *row);

/* Parameters of a planar group with values in [lo, hi] (lo > hi: none), the scale as it
 * will be stored.  LQ_ERR_NUMERIC: the scale does not fit its type (unless 'nonfinite' is
 * PROPAGATE). */
lq_status lqi_group_fit(const lqi_geometry *g, float lo, float hi, int32_t nonfinite,
                        lqi_group *group);

/* The same for formats with fit_mean, from the mean magnitude of the group. */
lq_status lqi_group_mean(const lqi_geometry *g, double sum, uint64_t n, int32_t nonfinite,
                         lqi_group *group);

/* The same from source numbers [first, first + n), all values of the group. */
lq_status lqi_group_find(const lqi_geometry *g, const lqi_values *v, uint64_t first, uint64_t n,
                         lqi_group *group);

/* The second search (best.c): from the reference's block, or from a group fitted to
 * [lo, hi] (formats with fit_mean: to the mean, twice), to one with a lower squared error. */
void      lqi_best_block(const lqi_format *format, const lqi_fit *in, uint8_t *block);
lq_status lqi_best_group(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                         uint64_t n, float lo, float hi, lqi_group *group);

/* What a spec needs before it can encode: importances, neighbour lists.  LQ_ERR_ARG (no
 * importances), LQ_ERR_NOMEM. */
lq_status lqi_encode_ready(const lq_ctx *ctx, const lqi_geometry *g, const float *imp);

/* Codes of source numbers [first, first + n), all of one group, to elements starting at
 * 'element' of a row of codes. */
lq_status lqi_group_round(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                          uint64_t n, const lqi_group *group, uint8_t *codes,
                          uint64_t element);

/* Whole groups of source numbers [first, first + n), the last perhaps short: parameters to
 * groups[], whose 'global' is set, and codes to elements from 'first' on of a row of codes
 * whose bits are 0; NULL: parameters only. */
lq_status lqi_encode_groups(const lqi_geometry *g, const lqi_values *v, uint64_t first,
                            uint64_t n, lqi_group *groups, uint8_t *codes);

/* First-level scales (not with a second level) and zero points of n groups, to numbers
 * 'index' and following. */
void lqi_groups_store(const lq_ctx *ctx, const lqi_geometry *g, const lqi_group *groups,
                      size_t n, void *scales, uint8_t *zeros, uint64_t index);

/* ------------------------------------------------------------------ tensor */

struct lq_tensor {
    const lq_ctx *ctx;
    lq_spec       spec;
    lq_shape      shape;
    lqi_geometry    geometry;               /* of one expert */
    void         *plane[LQ_PLANES];
    void         *owned[LQ_PLANES];       /* to free, or NULL */
};

/* A sink of encoders: to the planes of the lq_tensor that is 'user'. */
lq_status lqi_tensor_sink(void *user, int plane, uint64_t offset, const void *data,
                          size_t bytes);

#endif
