/* SPDX-License-Identifier: MIT */
/*
 * libquant/format.h - formats, and specs: formats with their parameters
 *
 * A format says what numbers mean.  Two families:
 *
 *   blocked   codes and scales interleaved in fixed blocks of a row (the GGUF types)
 *   planar    codes, scales, zero points in separate planes, any group shape
 *
 * A spec is a format with its parameters.  It has a text form, used wherever a person
 * names a format (files, options, error messages):
 *
 *   f32 f16 bf16               plain numbers
 *   q8_0 q4_0 q4_k q6_k ...    GGUF types
 *   nf4:b64  nf4:b64:dq        flat blocks of 64, with double quantization
 *   int4:g128:zp:f16           groups of 128 columns, integer zero points, f16 scales
 *   int8:ch                    one scale per row ("per channel")
 *   fp8_e4m3:t  :128x128       one scale per tensor; per block of 128 rows x 128 columns
 *
 *   option    meaning
 *   gN        groups of N columns; the last group of a row may be short
 *   bN        flat blocks of N: groups run through the tensor, past row ends
 *   ch, t     one group per row; one group per tensor (per expert)
 *   RxC       groups of R rows by C columns
 *   zp        integer zero points
 *   gidx      a plane that gives each column's group (act-order)
 *   fz        float zero points, fitted by HQQ
 *   dq, dqN   second-level scales: 8-bit scales in blocks of N (256) around their mean
 *   gm, gd    one more scale per tensor that multiplies, or divides, the others (NVFP4)
 *   floor ceil even rceil      how a power-of-two scale is chosen (OCP MX; floor)
 *   f32 f16 bf16 e8m0 e4m3     type of the scales
 *   pad       a last short block of a blocked format is filled with zeros in storage
 */
#ifndef LIBQUANT_FORMAT_H
#define LIBQUANT_FORMAT_H

#include "libquant/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lq_codebook;

/* ----------------------------------------------------------------- formats */

/* Format ids: pinned, append-only.  GGUF types are 100 + their number in GGUF. */
typedef int32_t lq_format;

enum {
    LQ_FORMAT_NONE     = 0,
    LQ_FORMAT_F32      = 1,
    LQ_FORMAT_F16      = 2,
    LQ_FORMAT_BF16     = 3,
    LQ_FORMAT_Q4_0     = 102,
    LQ_FORMAT_Q4_1     = 103,
    LQ_FORMAT_Q5_0     = 106,
    LQ_FORMAT_Q5_1     = 107,
    LQ_FORMAT_Q8_0     = 108,
    LQ_FORMAT_Q8_1     = 109,
    LQ_FORMAT_Q2_K     = 110,
    LQ_FORMAT_Q3_K     = 111,
    LQ_FORMAT_Q4_K     = 112,
    LQ_FORMAT_Q5_K     = 113,
    LQ_FORMAT_Q6_K     = 114,
    LQ_FORMAT_Q8_K     = 115,
    LQ_FORMAT_IQ2_XXS  = 116,
    LQ_FORMAT_IQ2_XS   = 117,
    LQ_FORMAT_IQ3_XXS  = 118,
    LQ_FORMAT_IQ1_S    = 119,
    LQ_FORMAT_IQ4_NL   = 120,
    LQ_FORMAT_IQ3_S    = 121,
    LQ_FORMAT_IQ2_S    = 122,
    LQ_FORMAT_IQ4_XS   = 123,
    LQ_FORMAT_IQ1_M    = 129,
    LQ_FORMAT_TQ1_0    = 134,
    LQ_FORMAT_TQ2_0    = 135,
    LQ_FORMAT_GGUF_MXFP4 = 139, /* GGUF's block spelling of mxfp4 */
    LQ_FORMAT_GGUF_NVFP4 = 140,
    LQ_FORMAT_Q1_0     = 141,
    LQ_FORMAT_Q2_0     = 142,
    LQ_FORMAT_IQ4_KS   = 191, /* ik_llama.cpp; no GGUF number of ggml's own */
    LQ_FORMAT_NF4      = 200,
    LQ_FORMAT_FP4      = 201, /* bitsandbytes FP4, not OCP E2M1 */
    LQ_FORMAT_CODEBOOK = 202, /* any table of 2..256 values, see codebook.h */
    LQ_FORMAT_INT2     = 212,
    LQ_FORMAT_INT3     = 213,
    LQ_FORMAT_INT4     = 214,
    LQ_FORMAT_INT5     = 215,
    LQ_FORMAT_INT6     = 216,
    LQ_FORMAT_INT7     = 217,
    LQ_FORMAT_INT8     = 218,
    LQ_FORMAT_TERNARY  = 220, /* BitNet b1.58: {-1, 0, 1} * mean |w| */
    LQ_FORMAT_LLM_INT8 = 230, /* LLM.int8(): value = code * absmax / 127 */
    LQ_FORMAT_FP8_E4M3 = 240,
    LQ_FORMAT_FP8_E5M2 = 241,
    LQ_FORMAT_MXFP8_E4M3 = 250, /* OCP MX: groups of 32, E8M0 scales */
    LQ_FORMAT_MXFP8_E5M2 = 251,
    LQ_FORMAT_MXFP6_E2M3 = 252,
    LQ_FORMAT_MXFP6_E3M2 = 253,
    LQ_FORMAT_MXFP4    = 254,
    LQ_FORMAT_MXINT8   = 255,
    LQ_FORMAT_NVFP4    = 256  /* groups of 16, E4M3 scales, a global scale */
};

enum { LQ_BLOCKED = 1, LQ_PLANAR = 2 };   /* storage */

/* A line of the registry. */
typedef struct lq_format_info {
    size_t      struct_size;
    lq_format   id;
    int32_t     storage;       /* LQ_BLOCKED or LQ_PLANAR */
    const char *name;          /* "q4_k": stable, static storage */
    const char *text;          /* one line for people */
    uint32_t    block_len;     /* blocked: weights per block; planar: 1 */
    uint32_t    block_bytes;   /* blocked: bytes per block; planar: 0 */
    uint32_t    row_bytes;     /* blocked: header bytes before each row's blocks */
    uint32_t    bits;          /* bits per code; 0 where the codebook decides */
    uint32_t    unit;          /* neighbouring columns that share one code */
    int32_t     gguf_type;     /* number in GGUF, -1 if it has none */
    const char *default_spec;  /* text of the spec with every default */
    lq_dtype    dtype;         /* f32, f16, bf16: their element type; else 0 */
    int32_t     reserved;      /* 0 */
} lq_format_info;

#define LQ_FORMAT_INFO_INIT { sizeof(lq_format_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_format_info_init(lq_format_info *info);

/* Number of formats in this build; indices run from 0 in a fixed order. */
LQ_API size_t lq_format_count(void);

/* Describe format number 'index'.  LQ_ERR_ARG: NULL or index out of range. */
LQ_API lq_status lq_format_at(size_t index, lq_format_info *info);

/* Describe a format by id.  LQ_ERR_NOTFOUND for an id this build lacks. */
LQ_API lq_status lq_format_get(lq_format id, lq_format_info *info);

/* Describe a format by name ("q4_k", any case).  LQ_ERR_NOTFOUND otherwise. */
LQ_API lq_status lq_format_find(const char *name, lq_format_info *info);

/* ------------------------------------------------------------------- specs */

#define LQ_GROUP_ALL UINT32_MAX  /* all rows, or all columns */

enum { LQ_ZEROS_NONE = 0, LQ_ZEROS_INT = 1, LQ_ZEROS_FLOAT = 2 };

enum {                          /* lq_spec.flags */
    LQ_SPEC_FLAT = 1,           /* groups run through the tensor, past row ends */
    LQ_SPEC_GIDX = 2,           /* plane LQ_PLANE_GIDX gives each column's group */
    LQ_SPEC_PAD  = 4,           /* blocked: a short last block is zero-filled */
    LQ_SPEC_GLOBAL_MUL = 8,     /* scales are multiplied by plane LQ_PLANE_OFFSET */
    LQ_SPEC_GLOBAL_DIV = 16,    /* scales are divided by it */
    LQ_SPEC_GLOBAL = 24         /* either */
};

enum { LQ_SCALE_FLOOR = 1, LQ_SCALE_CEIL = 2, LQ_SCALE_EVEN = 3, LQ_SCALE_RCEIL = 4 };

/*
 * A format with its parameters.  Zero members mean the format's defaults, except in
 * specs the library hands out, which are complete.  'codebook' is borrowed and must
 * outlive the spec and everything made with it.
 */
typedef struct lq_spec {
    size_t    struct_size;
    lq_format format;
    uint32_t  group_rows;    /* rows that share a scale: 1, 128, LQ_GROUP_ALL */
    uint32_t  group_cols;    /* columns that share a scale, or LQ_GROUP_ALL */
    lq_dtype  scale_type;
    int32_t   zeros;         /* LQ_ZEROS_... */
    uint32_t  scale2_block;  /* second level: first-level scales per block; 0: none */
    uint32_t  flags;         /* LQ_SPEC_... */
    const struct lq_codebook *codebook;  /* LQ_FORMAT_CODEBOOK only */
    int32_t   scale_mode;    /* LQ_SCALE_..., formats with power-of-two scales only */
    int32_t   reserved;      /* 0 */
} lq_spec;

#define LQ_SPEC_INIT { sizeof(lq_spec), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_spec_init(lq_spec *spec);

/*
 * Read a spec's text.  Unknown words are named in 'error', with the nearest known
 * one.  The result is complete.  "codebook" needs its handle set afterwards.
 * LQ_ERR_NOTFOUND (format), LQ_ERR_ARG (option), LQ_ERR_UNSUPPORTED (an option the
 * format does not have).
 */
LQ_API lq_status lq_spec_parse(const char *text, lq_spec *spec, lq_error *error);

#define LQ_SPEC_TEXT 64  /* enough for every text lq_spec_print() writes */

/* Write a spec's canonical text, the group always spelled out, other options where they
 * differ from the default.  'capacity' in bytes.  LQ_ERR_BUFFER. */
LQ_API lq_status lq_spec_print(const lq_spec *spec, char *text, size_t capacity);

/* Replace zero members by the format's defaults and check that the parts agree.
 * LQ_ERR_NOTFOUND (format id), LQ_ERR_UNSUPPORTED (what the format does not have). */
LQ_API lq_status lq_spec_complete(lq_spec *spec, lq_error *error);

/* 1 if both describe the same numbers in the same planes, after completion. */
LQ_API int lq_spec_equal(const lq_spec *a, const lq_spec *b);

/* ------------------------------------------------------------------ planes */

/* 'outer' matrices (stacked experts; 1 for one) of rows x cols.  Outer matrices are
 * independent: own scales, own importances, planes one behind the other. */
typedef struct lq_shape {
    uint64_t outer, rows, cols;
} lq_shape;

/* Planes of a tensor.  Blocked formats have CODES only. */
enum {
    LQ_PLANE_CODES  = 0, /* blocks; or codes, each row starting on a byte (flat: none) */
    LQ_PLANE_SCALES = 1, /* first-level scales, [group of rows][group of columns] */
    LQ_PLANE_ZEROS  = 2, /* zero points: bytes (integer) or the scales' type (float) */
    LQ_PLANE_SCALE2 = 3, /* f32 scale of each block of first-level scales */
    LQ_PLANE_OFFSET = 4, /* f32 per outer: added to decoded first-level scales (dq), or
                            the factor or divisor of all scales (gm, gd) */
    LQ_PLANE_GIDX   = 5, /* i32 per column: its group; one for all rows */
    LQ_PLANES       = 8  /* array size */
};

/* "codes", "scales"...; NULL outside the list. */
LQ_API const char *lq_plane_name(int plane);

/*
 * Bytes of one plane for a shape; 0 for planes the spec does not have.
 * LQ_ERR_SHAPE: cols is not a multiple of a blocked format's block (without 'pad').
 * LQ_ERR_OVERFLOW.
 */
LQ_API lq_status lq_plane_bytes(const lq_spec *spec, int plane, const lq_shape *shape,
                                uint64_t *bytes);

/* Sum of all planes.  Bits per weight are 8 * bytes / (outer * rows * cols). */
LQ_API lq_status lq_spec_bytes(const lq_spec *spec, const lq_shape *shape,
                               uint64_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
