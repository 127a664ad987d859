/* SPDX-License-Identifier: MIT */
/*
 * kernels/panel.h - panels: the layout that fast products run on
 *
 * A panel holds 16 rows of a weight, cut into chunks of 256 columns, each chunk into units
 * of 32.  A unit is b lines of 64 bytes for codes of b bits.  Dword r of a line belongs to
 * row r; byte t of it carries codes of columns 4j + t, j = 0..7, so that a decoded unit is
 * eight vectors v[j] in which row r has its columns 4j .. 4j + 3 side by side: what meets
 * one broadcast dword of four activations in a dot product of bytes.  No shuffles, no
 * horizontal sums; sixteen outputs grow in one register.
 *
 * The eight codes c0..c7 of a byte column in its b bytes (c0 = code of v[0]):
 *
 *     b = 8   byte j      c[j]
 *     b = 4   byte i      c[2i+1]:4  c[2i]:4
 *     b = 2   byte i      c[4i+3]:2  c[4i+2]:2  c[4i+1]:2  c[4i]:2
 *     b = 6   byte 3i+m   bits 2m+1..2m of c[4i+3], c[4i+m]:6            m = 0, 1, 2
 *     b = 3   byte 0      c6(1..0)  c3  c0
 *             byte 1      c7(1..0)  c4  c1
 *             byte 2      c7(2) c6(2)  c5  c2
 *     b = 5   byte m      c[m+5](2..0)  c[m]                               m = 0, 1, 2
 *             byte 3      c7(3) c5(4..3)  c3
 *             byte 4      c7(4) c6(4..3)  c4
 *
 * Codes become bytes as they are (2, 5, 8 bits) or through a table of bytes (3, 4, 6):
 * level + offset, never negative, the offset a power of two.  Levels whose dot product wants
 * the weight without sign take the offset back through the sums of the activations; the
 * others subtract it from the bytes.
 *
 * What else a chunk holds, its shape, lies where a kernel first needs it, so that addresses
 * only grow: [front] 4 x [head, unit, unit] [tail].  A memory prefetcher loses a tenth to a
 * fifth of its speed otherwise.
 */
#ifndef LQI_PANEL_H
#define LQI_PANEL_H

#include "lib/base/base.h"

#define LQI_PANEL_ROWS  16
#define LQI_PANEL_CHUNK 256
#define LQI_PANEL_UNITS 8

/* Widths of codes, in bits. */
typedef enum lqi_panel_codes {
    LQI_PANEL_2, LQI_PANEL_3, LQI_PANEL_4, LQI_PANEL_5, LQI_PANEL_6, LQI_PANEL_8,
    LQI_PANEL_CODES
} lqi_panel_codes;

/*
 * Shapes: which weights share a scale, and how scales and minimums are stored, for 16 rows
 * each.  With x the activations, y += sum over steps of
 *
 *     one level    scale * (sum of level * x) + min * (sum of x)
 *     two levels   d * sub * (sum of level * x) - dmin * min * (sum of x)
 *
 *   shape        step  stored
 *   S32_F16      32    head: f16 scale[2]
 *   S32_E8M0     32    head: u8 exponent[2]; scale = factor * 2^(exponent - 127), 0 by exponent 0
 *   S32_F16_MIN  32    head: f16 scale[2], f16 min[2]
 *   S32_F16_ZP   32    head: f16 scale[2], u8 zero[2]; min = -scale * zero, in integers
 *   S32_F32_MIN  32    head: f32 scale[2], f32 min[2]; scale = factor * number
 *   S64_F32      64    head: f32 scale, likewise; and so all that follow with F32
 *   S64_F16_ZP   64    head: f16 scale, u8 zero
 *   S128_F16_ZP  64    front: f16 scale[2], u8 zero[2], each for 128 columns
 *   S256_F32     64    front: f32 scale
 *   S16_E4M3     16    head: u8 scale[4]; scale = factor * number
 *   F32_E8M0     32    head: u8 exponent[2]; scale = factor * 2^(exponent - 127)
 *   F128_F32     64    front: f32 scale[2], each for 128 columns
 *   F256_F32     64    front: f32 scale
 *   K32          32    head: i8 sub[2]; tail: f16 d
 *   K16          16    head: i8 sub[4]; tail: f16 d
 *   K32_MIN      32    head: i8 sub[2]; tail: u8 min[2][row][4], f16 d, f16 dmin
 *   K16_MIN      16    head: [row][4] nibbles, low sub, high min; tail: f16 d, f16 dmin
 *
 * [2] means for each unit, [4] for each half of a unit.  Codes of F... are floats of eight bits,
 * by their table where they are fewer: 'shift' 4 for E4M3, 3 for E5M2; activations are f32.
 */
typedef enum lqi_panel_shape {
    LQI_S32_F16, LQI_S32_E8M0, LQI_S32_F16_MIN, LQI_S32_F16_ZP, LQI_S32_F32_MIN,
    LQI_S64_F32, LQI_S64_F16_ZP, LQI_S128_F16_ZP, LQI_S256_F32, LQI_S16_E4M3,
    LQI_F32_E8M0, LQI_F128_F32, LQI_F256_F32,
    LQI_K32, LQI_K16, LQI_K32_MIN, LQI_K16_MIN, LQI_PANEL_SHAPES
} lqi_panel_shape;

/* How a shape's minimums enter. */
enum { LQI_MIN_NONE, LQI_MIN_ZERO, LQI_MIN_FLOAT, LQI_MIN_INT };

/* Activations are 8-bit integers with a scale per 32 or per 256 columns, or f32; not by a
 * shape but for other products (panel_bf16.h): pairs of bf16, with sums over 32 or 64. */
enum {
    LQI_ACTS_32, LQI_ACTS_256, LQI_ACTS_F32, LQI_ACTS_PAIRS, LQI_ACTS_PAIRS_32,
    LQI_ACTS_PAIRS_64, LQI_ACTS_KINDS
};

typedef struct lqi_panel_geometry {
    uint16_t front, head, tail;   /* bytes */
    uint8_t  step;                /* columns between two uses of a scale */
    uint8_t  min;                 /* LQI_MIN_... */
    uint8_t  acts;                /* LQI_ACTS_... */
    uint8_t  two;                 /* two levels of scales */
    uint8_t  offset;              /* bytes are level + offset; else codes, from 0 */
} lqi_panel_geometry;

/* Here, so that kernels see constants. */
static const lqi_panel_geometry lqi_panel_shapes[LQI_PANEL_SHAPES] = {
    /*                    front head tail  step  min             acts          two offset */
    [LQI_S32_F16]     = {  0,   64,   0,   32,  LQI_MIN_NONE,  LQI_ACTS_32,  0, 1 },
    [LQI_S32_E8M0]    = {  0,   32,   0,   32,  LQI_MIN_NONE,  LQI_ACTS_32,  0, 1 },
    [LQI_S32_F16_MIN] = {  0,  128,   0,   32,  LQI_MIN_FLOAT, LQI_ACTS_32,  0, 0 },
    [LQI_S32_F16_ZP]  = {  0,   96,   0,   32,  LQI_MIN_ZERO,  LQI_ACTS_32,  0, 0 },
    [LQI_S32_F32_MIN] = {  0,  256,   0,   32,  LQI_MIN_FLOAT, LQI_ACTS_32,  0, 1 },
    [LQI_S64_F32]     = {  0,   64,   0,   64,  LQI_MIN_NONE,  LQI_ACTS_256, 0, 1 },
    [LQI_S64_F16_ZP]  = {  0,   48,   0,   64,  LQI_MIN_ZERO,  LQI_ACTS_256, 0, 0 },
    [LQI_S128_F16_ZP] = { 96,    0,   0,   64,  LQI_MIN_ZERO,  LQI_ACTS_256, 0, 0 },
    [LQI_S256_F32]    = { 64,    0,   0,   64,  LQI_MIN_NONE,  LQI_ACTS_256, 0, 1 },
    [LQI_S16_E4M3]    = {  0,   64,   0,   16,  LQI_MIN_NONE,  LQI_ACTS_256, 0, 1 },
    [LQI_F32_E8M0]    = {  0,   32,   0,   32,  LQI_MIN_NONE,  LQI_ACTS_F32, 0, 0 },
    [LQI_F128_F32]    = { 128,   0,   0,   64,  LQI_MIN_NONE,  LQI_ACTS_F32, 0, 0 },
    [LQI_F256_F32]    = { 64,    0,   0,   64,  LQI_MIN_NONE,  LQI_ACTS_F32, 0, 0 },
    [LQI_K32]         = {  0,   32,  32,   32,  LQI_MIN_NONE,  LQI_ACTS_256, 1, 1 },
    [LQI_K16]         = {  0,   64,  32,   16,  LQI_MIN_NONE,  LQI_ACTS_256, 1, 1 },
    [LQI_K32_MIN]     = {  0,   32, 192,   32,  LQI_MIN_INT,   LQI_ACTS_256, 1, 0 },
    [LQI_K16_MIN]     = {  0,   64,  64,   16,  LQI_MIN_INT,   LQI_ACTS_256, 1, 0 },
};

/* What all panels of a weight have in common. */
typedef struct lqi_panel {
    uint8_t  codes, bits, shape;
    uint8_t  shift;               /* offset = 1 << shift, of shapes that have it; of floats */
    uint32_t chunk_bytes;
    float    factor;              /* of E8M0, E4M3 and F32 scales and of d */
    uint8_t  table[64];           /* level + offset, by the low bits of the index, the code;
                                     2, 5 and 8 bits are code = level + offset */
} lqi_panel;

/* Fill 'bits' and 'chunk_bytes' from the other members. */
void lqi_panel_measure(lqi_panel *panel);

/* ------------------------------------------------------------------- packing */

/*
 * 256 columns of one row, taken apart.  Where a shape has
 *     scales      scale[i], or half[i], for step i (step 64: [0..3]); two levels: d in half[0]
 *     minimums    min[i], or half_min[i], for unit i; two levels: dmin in half_min[0]
 *     sub         second-level scales, one per step
 *     byte        per step: E8M0 or E4M3 scales, zero points, integer minimums
 * What a shape stores as f16 is in half and half_min, bit by bit, f32 in scale and min.
 */
typedef struct lqi_panel_part {
    _Alignas(LQI_ALIGN) uint8_t code[LQI_PANEL_CHUNK];
    float    scale[16], min[8];
    uint16_t half[16], half_min[8];
    int8_t   sub[16];
    uint8_t  byte[16];
} lqi_panel_part;

/* One chunk of 16 rows taken apart, to its bytes. */
typedef void lqi_pack_fn(const lqi_panel *p, const lqi_panel_part part[LQI_PANEL_ROWS],
                         uint8_t *chunk);

/* --------------------------------------------------------------- activations */

/*
 * Some columns of activations side by side ("columns" of the product: vectors of the
 * caller).  All arrays are [position][columns], so that each kernel reads one after the
 * other.
 *
 *     q(i)    integers -127..127, activation ~ scale * q
 *     sum     minus the sum of q over 16, 32 and 64 columns of the weight (ACTS_32: 32 only)
 *     pair    sums over four steps of 16 or 32, as 16-bit halves: (0, 2) then (1, 3)
 *     fsum    scale * sum of q over 32 (ACTS_32 only)
 *     f       ACTS_F32, all there is: the activations times 2^60
 *
 * ACTS_PAIRS have x: two bf16 in a dword, columns 0 and 2, then 1 and 3 of each four, [cols / 2];
 * ACTS_PAIRS_32 and _64 also fsum: sums of the bf16 over so many columns.
 */
typedef struct lqi_acts_tile {
    const int32_t *x;               /* four q in a dword: [cols / 4] */
    const float   *scale;           /* [cols / 32] or [cols / 256] */
    const int32_t *sum[3];          /* [cols / 16], [cols / 32], [cols / 64] */
    const int32_t *pair[2];         /* [cols / 64][2], [cols / 128][2] */
    const float   *fsum;            /* [cols / 32] */
    const float   *f;               /* [cols] */
} lqi_acts_tile;

/* Where the quantizer puts one column: the same arrays with a stride between positions. */
typedef struct lqi_acts_column {
    int32_t *x, *sum[3], *pair[2];
    float   *scale, *fsum, *f;
    size_t   stride;
} lqi_acts_column;

/* One chunk of 256 activations, of column->kind. */
typedef void lqi_acts_fn(int kind, const float *x, size_t chunk, const lqi_acts_column *column);

/* -------------------------------------------------------------------- kernels */

/*
 * y[column][16] = the products of one panel with the columns of a tile.  The float
 * operations of one output, in this order, at every level and in both kinds of kernel, so
 * the bits are the same (fma = fused, one rounding; dot = exact integer):
 *
 *   ACTS_32    each step: y = fma(dot, scale * xscale, y); MIN_FLOAT: y = fma(min, fsum, y)
 *   ACTS_256   each step: part = fma(dot, scale or sub, part)
 *              each chunk: part = part * d; MIN_INT: part = fma(mindot, -dmin, part);
 *              y = fma(part, xscale, y); part = 0
 *   ACTS_F32   each column c of a step: part[c % 2] = fma(weight, f, part[c % 2])
 *              each step: y = fma(part[0] + part[1], scale, y); part = 0
 */
typedef void lqi_panel_fused_fn(const lqi_panel *p, const uint8_t *panel, size_t chunks,
                                const lqi_acts_tile *a, float *y);

/* Columns of the fused kernels. */
enum { LQI_FUSED_1, LQI_FUSED_4, LQI_FUSED_8, LQI_FUSED };

/*
 * For many columns a few panels' chunks are decoded once, to bytes in the L1 cache:
 * 'rows' rows (one or two panels), LQI_STRIP_CHUNKS chunks at most.
 */
#define LQI_STRIP_ROWS   32
#define LQI_STRIP_CHUNKS 2

typedef struct lqi_strip {
    _Alignas(LQI_ALIGN) uint8_t codes[LQI_STRIP_CHUNKS * 64][LQI_STRIP_ROWS * 4];
    _Alignas(LQI_ALIGN) float   scale[LQI_STRIP_CHUNKS * 16][LQI_STRIP_ROWS];
    _Alignas(LQI_ALIGN) float   min[LQI_STRIP_CHUNKS * 8][LQI_STRIP_ROWS];       /* FLOAT */
    _Alignas(LQI_ALIGN) int32_t pair[LQI_STRIP_CHUNKS * 8][LQI_STRIP_ROWS];      /* INT */
    _Alignas(LQI_ALIGN) float   d[LQI_STRIP_CHUNKS][LQI_STRIP_ROWS];
    _Alignas(LQI_ALIGN) float   dmin[LQI_STRIP_CHUNKS][LQI_STRIP_ROWS];
    uint8_t shift;       /* of the offset of 'codes' (bytes without sign) */
} lqi_strip;

/* Bytes of a strip are level + offset.  Where there are zero points they are code - zero +
 * offset, so that nothing is left of them: no zero point is above the offset. */
static inline unsigned lqi_strip_shift(const lqi_panel *p)
{
    if (lqi_panel_shapes[p->shape].min != LQI_MIN_ZERO)
        return p->shift;
    return p->bits <= 4 ? 4 : p->bits;
}

/* Decode chunks [0, chunks) at 'panel' to rows [row, row + 16) of the strip. */
typedef void lqi_strip_fn(const lqi_panel *p, const uint8_t *panel, size_t chunks,
                          unsigned row, lqi_strip *strip);

/* y[column][LQI_STRIP_ROWS] += the strip's products. */
typedef void lqi_panel_tile_fn(const lqi_strip *strip, size_t chunks, const lqi_acts_tile *a,
                               float *y);

/* What a tile needs to know of a shape. */
typedef enum lqi_tile_kind {
    LQI_TILE_32, LQI_TILE_32_MIN, LQI_TILE_32_CODES_MIN, LQI_TILE_16_256, LQI_TILE_32_256, LQI_TILE_64_256,
    LQI_TILE_16_256_MIN, LQI_TILE_32_256_MIN, LQI_TILE_KINDS
} lqi_tile_kind;

lqi_tile_kind lqi_panel_tile_kind(const lqi_panel *p);

/* One level's kernels.  Tiles have tile_max, tile_max - 1 and tile_max - 2 columns. */
typedef struct lqi_panel_kernels {
    lqi_panel_fused_fn *fused[LQI_PANEL_CODES][LQI_PANEL_SHAPES][LQI_FUSED];
    lqi_strip_fn       *strip[LQI_PANEL_CODES];
    lqi_panel_tile_fn  *tile[LQI_TILE_KINDS][3];
    lqi_acts_fn        *acts;
    lqi_pack_fn        *pack;
    uint8_t             strip_panels;   /* panels of a strip: 1 or 2 */
    uint8_t             tile_max;
} lqi_panel_kernels;

/* 1 if kernels exist for such a panel: the same at every level. */
int lqi_panel_usable(lqi_panel_codes codes, lqi_panel_shape shape);

extern const lqi_panel_kernels lqi_panel_kernels_ref;
extern const lqi_panel_kernels lqi_panel_kernels_avx2;
extern const lqi_panel_kernels lqi_panel_kernels_avx2_vnni;
extern const lqi_panel_kernels lqi_panel_kernels_avx512;
extern const lqi_panel_kernels lqi_panel_kernels_neon;
extern const lqi_panel_kernels lqi_panel_kernels_neon_dotprod;
extern const lqi_panel_kernels lqi_panel_kernels_neon_i8mm;

#endif
