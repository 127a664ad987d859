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

#include "kernels/panel_bf16.h"
#include "kernels/panel_sums.h"
#include "lib/base/half.h"
#include "libquant/format.h"

/* Which units the build has; Meson says so, a bare compiler call has the reference only. */
#ifndef LQI_BUILD_AVX2
#define LQI_BUILD_AVX2 0
#endif
#ifndef LQI_BUILD_AVX2_VNNI
#define LQI_BUILD_AVX2_VNNI 0
#endif
#ifndef LQI_BUILD_AVX512_BF16
#define LQI_BUILD_AVX512_BF16 0
#endif
#ifndef LQI_BUILD_AVX512
#define LQI_BUILD_AVX512 0
#endif
#ifndef LQI_BUILD_NEON
#define LQI_BUILD_NEON 0
#endif
#ifndef LQI_BUILD_NEON_DOTPROD
#define LQI_BUILD_NEON_DOTPROD 0
#endif
#ifndef LQI_BUILD_NEON_I8MM
#define LQI_BUILD_NEON_I8MM 0
#endif

/* ---------------------------------------------------------------- decoding */

/*
 * n consecutive elements of one stored row.  'codes' is the start of the row; 'first'
 * counts elements from there: a multiple of the block in blocked formats, anything in
 * planar ones.  Planar: scale[i] and zero[i] belong to the i-th group that the run
 * touches, the first of which holds element 'first'; 'group' is its length in elements.
 * Bytes up to 'end' can be read, whatever 'n' says.
 */
typedef struct lqi_run {
    const uint8_t *codes;
    const uint8_t *end;     /* planar: of the row */
    uint64_t       first;
    size_t         n;
    const float   *scale;
    const float   *zero;    /* NULL without zero points */
    uint64_t       group;
    const float   *table;   /* planar: values by code, for table formats */
    unsigned       bits;    /* planar: per code */
    const struct lqi_grids *grids;  /* expanded codebooks of the I-quants */
    const uint8_t *codebook;        /* the format's: values of the entries as bytes */
    int            float_zeros;     /* zero[] are numbers, not stored bytes */
} lqi_run;

typedef void lqi_decode_fn(const lqi_run *run, float *y);

/*
 * Decoders that levels specialise.  A format's descriptor names the one that fits it; where
 * a level has none (NULL, the only slots that may be) the format's own plain C decodes.
 *
 * Planar kinds are named by their codes, kinds of blocks by what lies in them.
 */
typedef enum lqi_decoder {
    LQI_DECODER_NONE,
    LQI_DECODER_TABLE4,         /* nibbles, high one first: table[code] * scale */
    LQI_DECODER_TABLE4_LOW,     /* nibbles, low one first */
    LQI_DECODER_INT4,           /* nibbles, low one first: (code - zero or 8) * scale */
    LQI_DECODER_INT8,           /* two's complement: (code - zero) * scale */
    LQI_DECODER_INT8_ABSMAX,    /* two's complement: code * scale * (1 / 127) */
    LQI_DECODER_INT8_64,        /* two's complement: code / 64 * scale */
    LQI_DECODER_INT_BITS,       /* 'bits' each as a stream: (code - zero or half) * scale */
    LQI_DECODER_TABLE2,         /* two bits each, from the low end: table[code] * scale */
    LQI_DECODER_E2M3,           /* six bits each as a stream: number * scale */
    LQI_DECODER_E3M2,
    LQI_DECODER_E4M3,           /* OCP E4M3FN: number * scale */
    LQI_DECODER_E5M2,
    LQI_DECODER_F16,            /* plain numbers */
    LQI_DECODER_BF16,
    LQI_DECODER_F16_I8X32,      /* f16 scale, 32 x i8 */
    LQI_DECODER_F16X2_I8X32,    /* f16 scale and sum, 32 x i8 */
    LQI_DECODER_F16_BITS,       /* f16 scale, 128 signs: 1 is plus */
    LQI_DECODER_F16_PAIRS,      /* f16 scale, 64 times two bits around 1, from the low end */
    LQI_DECODER_F16_NIBBLES,    /* f16 scale, 16 bytes: 16 codes around 8 low, then 16 high */
    LQI_DECODER_F16_TABLE4,     /* the same layout, values from the table */
    LQI_DECODER_E8M0_TABLE4,    /* scale 2^(byte - 128), the same layout and table */
    LQI_DECODER_UE4M3_TABLE4,   /* 64: four scales of lib/format/gguf_nvfp4.c, nibbles */
    LQI_DECODER_F16X2_NIBBLES,  /* f16 scale and addend, the same layout, codes from 0 */
    LQI_DECODER_F16_NIBBLES_BIT,    /* f16 scale, 32 fifth bits, nibbles: around 16 */
    LQI_DECODER_F16X2_NIBBLES_BIT,  /* f16 scale and addend, fifth bits, nibbles: from 0 */
    /* blocks of 256 */
    LQI_DECODER_AFFINE_2_BITS,      /* 16 x (scale, minimum) nibbles, codes, d, dmin */
    LQI_DECODER_SYMMETRIC_3_BITS,   /* third bits, two bits, 16 scales of 6 bits, d */
    LQI_DECODER_AFFINE_NIBBLES,     /* d, dmin, 8 x (scale, minimum) of 6 bits, nibbles */
    LQI_DECODER_AFFINE_NIBBLES_BIT, /* d, dmin, the same 12 bytes, fifth bits, nibbles */
    LQI_DECODER_SYMMETRIC_6_BITS,   /* low nibbles, upper two bits, 16 x i8 scales, d */
    LQI_DECODER_TERNARY_DIGITS,     /* five codes to a byte, f16 scale: lib/format/tq1_0.c */
    LQI_DECODER_TERNARY_PAIRS,      /* two bits, 4 x 32 to 32 bytes, f16 scale */
    LQI_DECODER_F16_TABLE4_SCALES,  /* d, 8 scales of 6 bits, nibbles through the table */
    LQI_DECODER_F32_I8X256,         /* f32 scale, codes, sums */
    LQI_DECODER_ROW_TABLES4,        /* rows: f32 scale d, blocks of lib/format/iq4_ks.c */
    /* the same, entries of a codebook for 8 or 4 weights; even: 7 bits stand for 8 signs */
    LQI_DECODER_EIGHTS_U8,          /* d, 8 x (4 entries of u8, 4 x 7 even signs, scale) */
    LQI_DECODER_EIGHTS_U16,         /* d, 32 x (9 bits of entry, 7 even signs), 16 scales */
    LQI_DECODER_EIGHTS_SIGNS,       /* d, entries of 8 + 2 bits, signs, 16 scales */
    LQI_DECODER_FOURS_U8,           /* d, 64 entries of u8, 8 x (4 x 7 even signs, scale) */
    LQI_DECODER_FOURS_SIGNS,        /* d, 64 entries of 8 + 1 bits, signs, 8 scales */
    LQI_DECODER_TERNARY_32,         /* d, 32 entries of 8 + 3 bits, scale and delta per 32 */
    LQI_DECODER_TERNARY_16,         /* the same, delta per 8, scale per 16, d in pieces */
    LQI_DECODERS
} lqi_decoder;

/* ---------------------------------------------------------------- encoding */

struct lqi_kernels;

/*
 * Nibbles by comparison: with r the number of thresholds (ascending, the last one infinite)
 * strictly below y, the code is code[r].  For speed 32 bins of one width, number k from
 * (k - 16) * width on, with one threshold each at most and none of these near the edge of a
 * bin: below[k] thresholds are below bin k.  (A threshold that is the edge itself, the number
 * before 0, is fine.)
 */
typedef struct lqi_ladder {
    float    threshold[16];
    uint32_t code[16];
    float    bins;           /* 1 / width */
    uint32_t below[32];
} lqi_ladder;

/*
 * Codes by the upper bits of a number.  Its magnitude, held to [least, most], falls into one
 * of the bins of 2^16 neighbouring floats that start with 'least'; positive numbers have the
 * first entries, all others those from 'rest' on (NaN: the first of these).  An entry is
 *
 *     31 .. 16  place in the bin     15 .. 8  code above that place     7 .. 0  up to it
 */
typedef struct lqi_bins {
    float           least, most;
    uint32_t        rest;
    unsigned        bits;       /* of a code */
    uint32_t       *entry;      /* NULL: the values do not allow it */
} lqi_bins;

static inline uint8_t lqi_bins_code(const lqi_bins *b, float x)
{
    float a = fabsf(x) > b->least ? fabsf(x) : b->least;
    uint32_t at = lqi_float_bits(a < b->most ? a : b->most) - lqi_float_bits(b->least);
    uint32_t entry = b->entry[(at >> 16) + (x > 0 ? 0 : b->rest)];

    return (uint8_t)(entry < at << 16 ? entry >> 8 : entry);
}

/*
 * Numbers to stored bytes, many blocks or groups at once.  'x' holds n finite numbers.
 *
 * Blocked: whole blocks, to 'codes'.  Planar: whole groups (the last may be short) of
 * elements [first, first + n) of the row of codes at 'codes', whose bits are still 0; the
 * scale of each group, as stored, goes to scale[], and its zero point to zero[].  With
 * 'codes' NULL that is all.
 */
typedef struct lqi_encode_run lqi_encode_run;
typedef void lqi_encode_fn(const lqi_encode_run *run);

struct lqi_encode_run {
    const float              *x;
    const float              *imp;      /* n importances, or NULL */
    size_t                    n;
    float                     row_ms;   /* as in lqi_fit */
    float                     row;      /* likewise */
    const lq_spec            *spec;
    const struct lqi_grids   *grids;
    const struct lqi_kernels *kernels;
    uint8_t                  *codes;
    uint64_t                  first;
    uint64_t                  group;
    float                    *scale;
    float                    *zero;     /* integer zero points as stored bytes; or NULL */
    float                     global;   /* of specs with a global scale */
    const lqi_ladder         *ladder;   /* of the format, or NULL */
    const lqi_bins           *bins;     /* of the codebook, or NULL */
    lqi_encode_fn            *plain;    /* what a level does not handle goes there: the same
                                           for any blocks or groups of the run */
};

/*
 * Encoders that levels specialise; as with decoders, a NULL slot means that the format's
 * own encoder does it.  Blocks have the layouts of the decoders of these names, scales
 * that follow from the range of the block, and the rules of lib/format/symmetric32.h,
 * affine32.h and absmax.h.
 */
typedef enum lqi_encoder {
    LQI_ENCODER_NONE,
    LQI_ENCODER_F32,            /* plain numbers */
    LQI_ENCODER_F16,
    LQI_ENCODER_BF16,
    LQI_ENCODER_F16_I8X32,
    LQI_ENCODER_F16X2_I8X32,
    LQI_ENCODER_F32_I8X256,     /* lib/format/q8_k.c */
    LQI_ENCODER_F16_NIBBLES,
    LQI_ENCODER_F16_NIBBLES_BIT,
    LQI_ENCODER_F16X2_NIBBLES,
    LQI_ENCODER_F16X2_NIBBLES_BIT,
    LQI_ENCODER_E8M0_TABLE4,    /* lib/format/gguf_mxfp4.c */
    LQI_ENCODER_UE4M3_TABLE4,   /* lib/format/gguf_nvfp4.c */
    LQI_ENCODER_TERNARY_DIGITS,
    LQI_ENCODER_TERNARY_PAIRS,
    /* planar, with scales as the format of this name wants them */
    LQI_ENCODER_LADDER_HIGH,    /* scale = largest magnitude, y = x * (1 / scale) */
    LQI_ENCODER_BINS,           /* the same, y to codes of a codebook as a stream of bits */
    LQI_ENCODER_INT2,           /* lib/format/int.h: symmetric, or with integer zero points */
    LQI_ENCODER_INT3,
    LQI_ENCODER_INT4,
    LQI_ENCODER_INT5,
    LQI_ENCODER_INT6,
    LQI_ENCODER_INT7,
    LQI_ENCODER_INT8,
    LQI_ENCODER_E4M3,           /* lib/format/fp8.h */
    LQI_ENCODER_E5M2,
    LQI_ENCODER_MX_E4M3,        /* lib/format/mx.h */
    LQI_ENCODER_MX_E5M2,
    LQI_ENCODER_MX_E2M3,
    LQI_ENCODER_MX_E3M2,
    LQI_ENCODER_MX_E2M1,
    LQI_ENCODER_MX_INT8,
    LQI_ENCODER_E4M3_E2M1,      /* lib/format/nvfp4.c */
    LQI_ENCODERS
} lqi_encoder;

/*
 * Codes of n numbers of one planar group with known parameters, to elements from 'element'
 * on of the row at 'codes'.  The numbers are finite, the scale is a normal number between
 * 1e-30 and 1e30.
 */
typedef struct lqi_round_run {
    const float      *x;
    size_t            n;
    float             scale;
    int               zero;      /* stored byte; -1 without zero points */
    int               partial;   /* the group is shorter than the spec says */
    const lqi_ladder *ladder;
    uint8_t          *codes;
    uint64_t          element;
} lqi_round_run;

typedef void lqi_round_fn(const lqi_round_run *run);

/* As with decoders; a NULL slot means the format's own 'round'. */
typedef enum lqi_rounder {
    LQI_ROUNDER_NONE,
    LQI_ROUNDER_INT2,           /* nearest x / scale, plus zero; a stream of bits */
    LQI_ROUNDER_TERNARY,        /* the same, from -1 to 1 */
    LQI_ROUNDER_INT3,
    LQI_ROUNDER_INT4,
    LQI_ROUNDER_INT5,
    LQI_ROUNDER_INT6,
    LQI_ROUNDER_INT7,
    LQI_ROUNDER_INT8,           /* the same in bytes, stored minus 128 */
    LQI_ROUNDER_INT8_64,        /* nearest x / scale * 64, two's complement */
    LQI_ROUNDER_INT8_ABSMAX,    /* nearest x * (127 / scale), two's complement */
    LQI_ROUNDER_E4M3,           /* x / scale, nearest even, saturating */
    LQI_ROUNDER_E5M2,
    LQI_ROUNDER_E2M3,           /* the same, a stream of bits */
    LQI_ROUNDER_E3M2,
    LQI_ROUNDER_E2M1,
    LQI_ROUNDER_LADDER_HIGH,    /* x * (1 / scale), partial: x / scale, on the
                                   ladder; high nibble first */
    LQI_ROUNDERS
} lqi_rounder;

/* ----------------------------------------------------------- scale searches */

/*
 * The searches of lib/format/search.h for several blocks side by side, and what goes
 * with them.  In their arrays lane b belongs to block b: element i of it is at
 * [i * lanes + b].  Each lane does the operations of the plain search in their order, so
 * the bits are the same.  They differ only in what the reference's rounding makes of
 * numbers of 2^22 and more and of NaN; functions that return uint32_t set bit b if block
 * b had such numbers: it belongs to the plain encoder.
 *
 * Arrays of lanes are LQI_ALIGN aligned.
 */
#define LQI_LANES_MAX  16   /* of any level */
#define LQI_LANE_GROUP 32   /* values of one search at most */

/* How values weigh in a search: x^2, |x|, root mean square of the group + |x|, and
 * importance * sqrt(ms + x^2). */
typedef enum lqi_weighting {
    LQI_WEIGH_SQUARE, LQI_WEIGH_ABS, LQI_WEIGH_RMS, LQI_WEIGH_IMPORTANCE
} lqi_weighting;

/* x ~ scale * l - min, l in [0, nmax]; candidates as in lqi_qkx_plan. */
typedef struct lqi_affine_search {
    const float *x, *w;      /* [groups][n][lanes] */
    size_t       groups, n;
    float        rmin, rdelta;
    int          nmax, steps;
    int          absolute;   /* error w * |e| instead of w * e^2 */
    float       *scale, *min, *inverse, *base;   /* [groups][lanes] */
} lqi_affine_search;

/*
 * Sixteen ascending levels; the nearest one by midpoints, ties to the upper: a code is the
 * number of middle[] <= v.  For speed 32 bins of one width around 0, number k about
 * (k - 16) * width, narrower than the distance of any two midpoints, and none of these
 * near the edge of a bin: below[k] midpoints are below bin k.
 */
typedef struct lqi_levels {
    float    level[16];
    float    middle[16];     /* the last one is FLT_MAX */
    float    bins;           /* 1 / width */
    uint32_t below[32];
} lqi_levels;

/* x ~ scale * l, l in [-nmax, nmax), or one of 'levels' */
typedef struct lqi_symmetric_search {
    const float *x, *w;      /* [groups][n][lanes] */
    size_t       groups, n;
    int          nmax;
    const lqi_levels *levels;
    float       *scale, *inverse;   /* [groups][lanes] */
    uint8_t     *codes;      /* descend only: [groups][n][lanes], l + nmax; all 0: no scale */
} lqi_symmetric_search;

/* Codes of n numbers in a row, in groups with a scale (and an addend, or NULL) each:
 * nearest integer of (x + add) / scale, or of scale * (x + add), held to [lo, hi], less
 * lo. */
typedef struct lqi_rounding {
    const float *x;
    size_t       n, group;   /* group: a multiple of 16 */
    const float *scale, *add;
    int          multiply;
    int          lo, hi;
    uint32_t    *codes;
} lqi_rounding;

/* ---------------------------------------------------------------- codebooks */

/*
 * The points of a codebook have 8 digits of 0..2, or 4 of 0..7.  A point's number has them
 * as its digits to base 3 or 8, the first one least significant.  Its word has them in
 * fields of 2 or of 4 bits; of the latter every second one has its upper bit set, so that
 * a field is an index into two rows of 8.
 *
 * place[point] >= 0: the entry that is this point.  Else ~place has where the list of its
 * nearest entries' words starts, in units of LQI_NEAR_PAD words, and in the low ten bits
 * their number.  A list is filled up to whole units with copies of its last word.
 */
#define LQI_NEAR_PAD 16

typedef struct lqi_near {
    const int32_t  *place;
    const uint16_t *list;
    uint8_t         lanes;    /* 8 or 4 */
} lqi_near;

static inline unsigned lqi_near_count(int32_t place)
{
    return ~(uint32_t)place & 1023;
}

static inline const uint16_t *lqi_near_list(const lqi_near *near, int32_t place)
{
    return near->list + (size_t)(~(uint32_t)place >> 10) * LQI_NEAR_PAD;
}

/* How lib/format/grid_search.c looks for a scale. */
typedef struct lqi_grid_rules {
    int   sub;               /* weights of a sub-block: 32 or 16 */
    float base, step;        /* candidates (base + step * i) / range for i in -steps..steps */
    int   steps;
    int   repeat;            /* round once more even if all groups are on the grid */
    int   repeat_all;        /* all groups, not those off the grid */
    int   start_off;         /* groups count as off the grid until a candidate wins */
} lqi_grid_rules;

/* One sub-block: v ~ scale * (2 digit + 1), weighted. */
typedef struct lqi_grid_fit {
    const lqi_grid_rules *rules;
    const lqi_near       *near;
    const float          *v, *w;     /* aligned */
    float                 range;
    float                 scale;     /* in: if no candidate wins; out: what was found */
    uint16_t              word[8];   /* out: of each group of lanes */
} lqi_grid_fit;

/* Values in ascending order cut in three; lib/format/iq1.h. */
typedef struct lqi_cut {
    uint8_t  order[32];      /* indices; equal values keep their order */
    int      low, high;      /* levels change at these places; low -1: no cut has any weight */
    unsigned minus;          /* bit g: the delta of 8 weights g is negative */
    float    scale;
} lqi_cut;

typedef struct lqi_search {
    uint8_t lanes;   /* 0: this level has no searches, the plain ones of lib/format serve */
    /* x[i][b] = rows[b][first + i] for i in [0, n), n a multiple of 16 */
    void (*transpose)(const float *const *rows, size_t first, size_t n, float *x);
    void (*sum_squares)(const float *x, size_t n, float *sum);
    /* One group of n values.  IMPORTANCE: w holds importances, ms[b] a mean square. */
    void (*weigh)(lqi_weighting how, const float *x, size_t n, const float *ms, float *w,
                  float *sum);
    uint32_t (*affine)(const lqi_affine_search *s);
    uint32_t (*symmetric)(const lqi_symmetric_search *s);
    /* The same by improving one code at a time; 'inverse' is not used. */
    uint32_t (*descend)(const lqi_symmetric_search *s);
    /* The search of lib/format/iq4.h: scales only. */
    uint32_t (*levels)(const lqi_symmetric_search *s);
    /* One group: x ~ scale * l, l in [0, nmax], for x >= 0, n <= 16. */
    uint32_t (*nonnegative)(const float *x, const float *w, size_t n, int nmax,
                            uint8_t *codes, float *scale);
    /* 1 if a number was beyond the rounding.  Codes of groups with scale 0 are not written. */
    int (*round)(const lqi_rounding *r);
    /* The same for levels: codes of scale * x.  'add', 'lo' and 'hi' are not used. */
    int (*round_levels)(const lqi_rounding *r, const lqi_levels *levels);
    /* lqi_grid_fit_plain(); 1, and nothing written, if it belongs there. */
    int (*grid)(lqi_grid_fit *fit);
    /* lqi_near_word() for 8 digits with values q[0..2]; 'n' words. */
    uint16_t (*nearest)(const uint16_t *list, size_t n, const float *x, const float *w,
                        float scale, const float *q);
    /* The best cut of 32 values with deltas of one sign, or of 16 with a sign for each 8;
     * q: levels with delta plus and minus.  1 if it belongs to the plain search. */
    int (*cut_32)(const float *x, const float *w, const float q[2][3], lqi_cut *cut);
    int (*cut_16)(const float *x, const float *w, const float q[2][3], lqi_cut *cut);
} lqi_search;

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

/* ---------------------------------------------------------- plain products */

/*
 * sums[i * ld + j] = chain, or += chain with 'add', for i < mr, j < nr: chain is fused
 * multiply-adds of a[l * mr + i] * b[l * nr + j] to 0 for ascending l in [0, k).  Sums
 * from 'rows' or 'cols' on may be written or not.
 */
typedef struct lqi_gemm_tile {
    const float *a, *b;
    size_t       k, rows, cols;
    int          add;
    float       *sums;
    size_t       ld;
} lqi_gemm_tile;

/*
 * n lines of k numbers to panels of 'width' (mr or nr) lines: number c of line i becomes
 * panels[i / width * stride + c * width + i % width].  It is
 *
 *     copy:       x[c * ldx + i]
 *     transpose:  x[i * ldx + c]
 *
 * Up to LQI_LANES_MAX numbers may be written past a panel; missing lines of the last one
 * become anything.
 */
typedef struct lqi_gemm_pack {
    const float *x;
    size_t       ldx, n, k, width, stride;
    float       *panels;
} lqi_gemm_pack;

#define LQI_GEMM_TILE_MAX 512   /* mr * nr of any level */

typedef struct lqi_gemm {
    void   (*tile)(const lqi_gemm_tile *t);
    void   (*copy)(const lqi_gemm_pack *p);
    void   (*transpose)(const lqi_gemm_pack *p);
    uint8_t mr, nr;
} lqi_gemm;

/*
 * y[j][i] += sum over k in [0, pairs) of two products each, i in [0, LQI_BF16_ROWS), j in
 * [0, columns): w->pair[i / 16][k][i % 16] and x[k][j] are pairs of bf16, the first in the low
 * half.
 * The chain of additions behind one output does not depend on the number of columns.
 */
#define LQI_BF16_ROWS  32
#define LQI_BF16_PAIRS 256   /* at most */
#define LQI_BF16_TILE  6     /* columns at most */

typedef struct lqi_bf16_strip {
    _Alignas(LQI_ALIGN) uint32_t pair[2][LQI_BF16_PAIRS][16];
} lqi_bf16_strip;

typedef void lqi_bf16_fn(const lqi_bf16_strip *w, const uint32_t *x, size_t pairs, float *y);

/* -------------------------------------------------------------- optimizers */

#define LQI_STATE_BLOCK 256   /* numbers of an 8-bit state that share a scale */

/* Values of the 8-bit codes of a state, in units of the block's largest magnitude. */
typedef struct lqi_map8 {
    float    value[256];     /* by code */
    uint8_t  byte[4][256];   /* the same in bytes, the lowest first */
    lqi_bins bins;
    uint8_t  zero;           /* code of 0 */
} lqi_map8;

/*
 * One step of n numbers, with what the rules in libquant/train.h call m and v in state[0] and
 * [1].  8-bit: state[] are codes, whole blocks but for the last, absmax[] their scales.
 *
 *     g = scale g + coupled p       p = keep p - rate (...)
 *
 * Numbers whose state would not be finite stay as they are.
 */
typedef struct lqi_step {
    float       *p;
    const float *g;
    size_t       n;
    void        *state[2];
    float       *absmax[2];
    const lqi_map8 *map[2];
    float beta[2], rest[2];   /* and 1 - beta */
    float rate, eps, keep, coupled, scale;
} lqi_step;

typedef void lqi_step_fn(const lqi_step *s);

typedef enum lqi_step_rule { LQI_STEP_ADAM, LQI_STEP_LION, LQI_STEP_SGD, LQI_STEPS } lqi_step_rule;

/* ------------------------------------------------------------------- table */

typedef struct lqi_kernels {
    lq_level       level;
    lqi_tile_f32   tile_f32;
    lqi_gemm       gemm;
    lqi_decode_fn *decode[LQI_DECODERS];
    lqi_encode_fn *encode[LQI_ENCODERS];
    lqi_round_fn  *round[LQI_ROUNDERS];
    lqi_search     search;
    lqi_step_fn   *step[LQI_STEPS][2];    /* state of f32, and of 8 bits */
    const lqi_panel_kernels *panel;
    lqi_bf16_fn   *bf16[LQI_BF16_TILE];   /* by columns - 1; NULL: the level has none */
    const lqi_panel_pairs   *pairs;       /* likewise */
    const lqi_panel_sums    *sums;
    /* 1 if one of n numbers is NaN or infinite. */
    int  (*any_nonfinite)(const float *x, size_t n);
    /* Bits of the largest of n magnitudes as a number: 0x7f800000 and more if one is
     * infinite or NaN. */
    uint32_t (*magnitude)(const float *x, size_t n);
    /* Widen [*lo, *hi] to n numbers; NaN does not widen.  A zero result is +0. */
    void (*range)(const float *x, size_t n, float *lo, float *hi);
    /* lqi_bins_code() of n numbers */
    void (*nearest)(const lqi_bins *bins, const float *x, size_t n, uint8_t *codes);
    /* arrays of n numbers; nearest even, bit for bit as lib/base/half.h */
    void (*f16_to_f32)(const void *src, float *dst, size_t n);
    void (*bf16_to_f32)(const void *src, float *dst, size_t n);
    void (*e4m3_to_f32)(const uint8_t *src, float *dst, size_t n);
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
void lqi_kernels_init_optim_ref(lqi_kernels *k);
void lqi_kernels_init_avx2(lqi_kernels *k);
void lqi_kernels_init_avx512(lqi_kernels *k);
void lqi_kernels_init_avx512_bf16(lqi_kernels *k);
void lqi_kernels_init_neon(lqi_kernels *k);
void lqi_kernels_init_neon_codes(lqi_kernels *k);

#endif
