/* SPDX-License-Identifier: MIT */
/*
 * lib/format/format.h - what a format is: data plus a few plain functions
 *
 * A unit in lib/format defines one const lqi_format and a line in formats.def makes it
 * known.  Nothing outside lib/format names a format; code above reads these fields.
 *
 * The functions, for one BLOCK (blocked) or one GROUP of columns (planar):
 *
 *     fit     values, importances          -> parameters (scales, minimums, zero points)
 *     round   values, parameters           -> codes
 *     value   parameters, codes            -> decoded values
 *     pack    parameters, codes            -> block bytes       (blocked)
 *     unpack  block bytes                  -> parameters, codes (blocked), lossless
 *     check   block bytes                  -> are they legal
 *     decode  a run of stored elements     -> values; equals value(unpack()) bit for bit
 *
 * encode = fit, round, pack.  Planar formats need no pack and unpack: 'bits', 'order'
 * and the spec say everything, lib/format/planar.c does it for all.  A planar 'round' is
 * called for pieces of a group: it looks at single values only.  Codes are u32 each:
 * a code may stand for 'unit' neighbouring columns (grid formats).
 */
#ifndef LQI_FORMAT_H
#define LQI_FORMAT_H

#include "kernels/kernels.h"
#include "lib/format/panels.h"
#include "libquant/format.h"
#include "libquant/codebook.h"

struct lqi_grids;   /* lib/format/grids.h: expanded codebooks, in the context */

/* Parameters of one group of a planar format; 'scale' as stored, already rounded. */
typedef struct lqi_group {
    float scale, zero;   /* zero: the stored byte as a number 0..255, whatever its sign means
                            to the format, or a float zero point; 0 without zero points */
    float global;        /* specs with a global scale: its value, set before fit_range */
} lqi_group;

/* What fit and round look at. */
typedef struct lqi_fit {
    const lq_spec *spec;
    const float   *x;        /* n values */
    const float   *imp;      /* n importances, or NULL */
    size_t         n;        /* block_len; planar: elements of the group */
    int            partial;  /* planar: the group is shorter than the spec says */
    float          row_ms;   /* blocked with row_ms and imp: mean of x^2 over the row */
    float          row;      /* formats with a row header: its number */
    const struct lqi_grids *grids;
    const lqi_search *search; /* of the level, or NULL: plain C */
} lqi_fit;

/* What a planar format can be combined with. */
enum {
    LQI_CAN_FLAT      = 1,
    LQI_CAN_MULTIROW  = 2,    /* groups over several rows (needs fit_range) */
    LQI_CAN_ZEROS_INT = 4,
    LQI_CAN_SCALE2    = 8,
    LQI_CAN_GIDX      = 16,
    LQI_CAN_ZEROS_FLOAT = 32, /* needs fit_values */
    LQI_CAN_GLOBAL    = 64,   /* needs fit_global */
    LQI_CAN_SCALE_MODE = 128,
    LQI_FIXED_GROUP   = 256,  /* no other groups than the descriptor's */
    LQI_NAN_SCALE     = 512   /* a NaN among the values (propagated) counts as an infinity */
};

#define LQI_VALUES_MAX 4096   /* columns of a group that fit_values sees at once */

enum { LQI_LOW_FIRST = 0, LQI_HIGH_FIRST = 1 };

/* A stored number in the parameters of a block that a better search may change. */
enum { LQI_TUNE_U8 = 1, LQI_TUNE_I8 = 2, LQI_TUNE_F16 = 3 };

typedef struct lqi_tunable {
    uint16_t offset, count;   /* in the parameters; count 0 ends a list */
    uint8_t  kind;            /* LQI_TUNE_... */
    int16_t  lo, hi;          /* range; of the bits without sign for F16 */
} lqi_tunable;

#define LQI_TUNE_SCALE(type, member) \
    { (uint16_t)offsetof(type, member), 1, LQI_TUNE_F16, 1, 0x7bff }

#define LQI_BLOCK_BYTES 1024  /* of any blocked format's block */
#define LQI_PARAM_MAX 64    /* bytes of any format's parameters of one block */
#define LQI_BLOCK_MAX 256   /* weights of any blocked format's block */

typedef struct lqi_format {
    const char *name, *text;
    const char *default_spec;  /* text of the spec with every default; NULL: name */
    lq_format   id;
    int32_t     storage;       /* LQ_BLOCKED or LQ_PLANAR */
    uint16_t    block_len, block_bytes;
    uint16_t    row_bytes;     /* header before each row's blocks */
    uint8_t     bits;          /* per code; 0: from the codebook */
    uint8_t     order;         /* planar: of codes in a byte */
    uint8_t     unit;
    uint8_t     strip_rows;    /* rows encoded together, 1 for all so far */
    float       max_abs;       /* larger magnitudes cannot be encoded; 0: check says it */
    uint8_t     row_ms;        /* fit wants lqi_fit.row_ms when there are importances */
    uint8_t     needs_imp;     /* cannot be encoded without importances */
    uint8_t     grid;          /* LQI_GRID_... of grids.h, whose neighbours encoding needs */
    lqi_decoder decoder;
    lqi_encoder encoder;
    lqi_rounder rounder;       /* planar */
    const lqi_ladder *ladder;  /* planar, for the encoders and rounders of this name */
    int16_t     gguf;          /* type number, -1: none */
    lq_dtype    dtype;         /* plain numbers of this type, or 0 */
    const lqi_panel_plan *panel;   /* for fast products, or NULL */
    /* Products with activations in 8 bits: their format, 0: none; for integers, product =
     * sum of code * code * scale * scale * token_unit. */
    lq_format   token;
    double      token_unit;

    /* planar: what a spec may say, and what it means when it does not */
    uint32_t    can;
    uint32_t    scale_types;   /* bit 1 << lq_dtype */
    lq_dtype    scale_type;
    uint32_t    group_rows, group_cols, flags;
    const float *table;        /* 1 << bits values, or NULL; blocked too, for decoders */

    size_t    param_bytes;     /* blocked; planar: sizeof(lqi_group) */
    lq_status (*check)(const void *block);   /* NULL: any bytes are legal */
    void (*fit)(const lqi_fit *in, void *param);
    /* planar: the same from the least and the largest value of a group */
    void (*fit_range)(const lq_spec *spec, float lo, float hi, lqi_group *group);
    /* planar with integer zero points: group->zero for group->scale, which has been rounded
     * to its stored type; NULL without ZEROS_INT */
    void (*fit_zero)(const lq_spec *spec, float lo, float hi, lqi_group *group);
    /* planar, specs with float zero points: from all values of the group */
    void (*fit_values)(const lqi_fit *in, lqi_group *group);
    /* planar, instead of fit_range: from the mean magnitude of the group */
    void (*fit_mean)(const lq_spec *spec, float mean, lqi_group *group);
    /* planar, specs with a global scale: from the largest magnitude of the tensor */
    float (*fit_global)(const lq_spec *spec, float amax);
    /* Blocked, with a header of one f32 (row_bytes 4) before each row: what one block wants
     * the header to be; the largest of the row is stored.  The parameters of these formats
     * begin with the header as a float: fit takes it from lqi_fit.row, who unpacks sets it,
     * pack leaves it out. */
    float (*fit_row)(const lqi_fit *in);
    void (*round)(const lqi_fit *in, const void *param, uint32_t *codes);
    void (*value)(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y);
    void (*pack)(const void *param, const uint32_t *codes, void *block);
    void (*unpack)(const void *block, void *param, uint32_t *codes);
    lqi_decode_fn *decode;
    const lqi_tunable *tunable;   /* blocked: for the second search; NULL: it has none */
    /* Where the reference's search does not fit the steps: one block, instead of fit,
     * round and pack.  NULL for most. */
    void (*encode)(const lqi_fit *in, void *block);
    /* Many blocks, with the searches of the kernel table; the bytes of the steps above.
     * NULL: block by block. */
    lqi_encode_fn *encode_many;
} lqi_format;

/* -------------------------------------------------------------- the registry */

/* Position in formats.def; also the index of codec tables. */
enum {
#define LQI_FORMAT(name) LQI_INDEX_##name,
#include "lib/format/formats.def"
#undef LQI_FORMAT
    LQI_FORMATS
};

#define LQI_FORMAT(name) extern const lqi_format lqi_format_##name;
#include "lib/format/formats.def"
#undef LQI_FORMAT

extern const lqi_format *const lqi_formats[LQI_FORMATS];

/* NULL when unknown.  Names in any case. */
const lqi_format *lqi_format_by_id(lq_format id);
const lqi_format *lqi_format_by_name(const char *name);
const lqi_format *lqi_format_by_gguf(uint32_t type);
const lqi_format *lqi_format_by_dtype(lq_dtype type);            /* plain numbers */
int               lqi_format_index(const lqi_format *format);   /* LQI_INDEX_... */

/* One block by the steps above: what encode_many must equal, and falls back to. */
void lqi_encode_block(const lqi_format *format, const lqi_fit *in, void *block);

/* A run in plain C, block by block or group by group: what the encoders of the kernel table
 * must equal, and fall back to. */
void lqi_encode_plain(const lqi_encode_run *run);

/* Blocked: block by block, but with the level's searches (lqi_fit.search). */
void lqi_encode_search(const lqi_encode_run *run);

/* ------------------------------------------------------------------- planar */

/* Codes of elements [first, first + n) of a row packed with 'bits' each, as one stream
 * of bits (LQI_LOW_FIRST), or nibbles with the high one first.  Writing leaves the
 * other bits of shared bytes as they are. */
void lqi_codes_read(const uint8_t *codes, unsigned bits, unsigned order, uint64_t first,
                    size_t n, uint32_t *out);
/* The same as bytes, faster. */
void lqi_codes_bytes(const uint8_t *codes, unsigned bits, unsigned order, uint64_t first,
                     size_t n, uint8_t *out);
void lqi_codes_write(uint8_t *codes, unsigned bits, unsigned order, uint64_t first,
                     size_t n, const uint32_t *in);

/* After the last of n codes of a flat tensor: the rest of its byte gets codes of 0.0, as far
 * as whole ones fit (bitsandbytes' padding). */
void lqi_codes_pad(const lqi_format *format, const lq_spec *spec, uint8_t *codes, uint64_t n);

/* One first-level scale: bytes of its type (0: no type for scales), round to type (not
 * finite: out of the type's range), store (saturates), load. */
size_t lqi_scale_bytes(lq_dtype type);
float  lqi_scale_round(lq_dtype type, float scale);
void   lqi_scale_store(lq_dtype type, float scale, void *dst, uint64_t index);
float  lqi_scale_load(lq_dtype type, const void *src, uint64_t index);

/* Parameters of a group with values in [lo, hi], the scale as it will be stored: perhaps not
 * finite.  group->global is set. */
void lqi_group_from_range(const lqi_format *format, const lq_spec *spec, float lo, float hi,
                          lqi_group *group);

/* Bits per code, and the value table (NULL: not a table format), of a complete spec. */
unsigned     lqi_spec_bits(const lqi_format *format, const lq_spec *spec);
const float *lqi_spec_table(const lqi_format *format, const lq_spec *spec);

/* A planar 'decode' for formats without a faster one of their own: codes_read + value. */
void lqi_decode_planar(const lqi_format *format, const lq_spec *spec, const lqi_run *run,
                       float *y);

#endif
