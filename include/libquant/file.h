/* SPDX-License-Identifier: MIT */
/*
 * libquant/file.h - checkpoints: GGUF, safetensors, directories of shards
 *
 * Three floors:
 *
 *   lq_file        a container: named raw tensors and metadata, whatever they mean
 *   lq_checkpoint  the weights in it: a dialect (bitsandbytes, GPTQ, GGUF...) has put
 *                  raw tensors together into specs, shapes and planes
 *   lq_convert     a whole checkpoint into another, in a fixed memory budget
 *
 * Readers trust nothing: every count, offset and size is checked against what is
 * really there before memory is allocated; an error names file, offset and tensor.
 * Writers are atomic: the output path holds its old content, or the complete new one.
 */
#ifndef LIBQUANT_FILE_H
#define LIBQUANT_FILE_H

#include "libquant/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --------------------------------------------------------------- container */

typedef int32_t lq_container;

enum {
    LQ_CONTAINER_GGUF        = 1,
    LQ_CONTAINER_SAFETENSORS = 2, /* one file */
    LQ_CONTAINER_DIRECTORY   = 3  /* config.json, model*.safetensors, index */
};

/* "gguf", "safetensors", "directory"; NULL otherwise. */
LQ_API const char *lq_container_name(lq_container container);

typedef struct lq_file lq_file;

typedef struct lq_file_opts {
    size_t   struct_size;
    int32_t  strict;       /* 1: refuse what the formats' texts forbid but readers in
                              the field accept (unknown safetensors fields, trailing
                              data, alignment below 8, bool other than 0 and 1...) */
    int32_t  map;          /* 1: map files into memory instead of reading them.  If
                              somebody truncates a mapped file, the process gets
                              SIGBUS: only for files that nobody else writes. */
    uint64_t max_header;   /* bytes of header or metadata; 0: 100 MiB */
    uint64_t max_tensors;  /* 0: 1,000,000 */
} lq_file_opts;

#define LQ_FILE_OPTS_INIT { sizeof(lq_file_opts), 0, 0, 0, 0 }
LQ_API void lq_file_opts_init(lq_file_opts *opts);

/*
 * Open a GGUF file, a safetensors file, or a checkpoint directory (recognised by
 * content, not by name) and read its header.
 *
 * LQ_ERR_NOTFOUND, LQ_ERR_IO (also for pipes and devices), LQ_ERR_TRUNCATED,
 * LQ_ERR_FORMAT, LQ_ERR_CORRUPT, LQ_ERR_LIMIT, LQ_ERR_OVERFLOW, LQ_ERR_SHAPE,
 * LQ_ERR_DUPLICATE, LQ_ERR_MISMATCH, LQ_ERR_UNSUPPORTED, LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_file_open(const lq_ctx *ctx, const char *path,
                              const lq_file_opts *opts, lq_file **file,
                              lq_error *error);

/* The same from 'bytes' bytes at 'data', borrowed until lq_file_close(). */
LQ_API lq_status lq_file_open_memory(const lq_ctx *ctx, const void *data, uint64_t bytes,
                                     const lq_file_opts *opts, lq_file **file,
                                     lq_error *error);
LQ_API void lq_file_close(lq_file *file);

LQ_API lq_container lq_file_container(const lq_file *file);
LQ_API const char *lq_file_path(const lq_file *file);  /* "" for memory */

/* ------------------------------------------------------------- raw tensors */

#define LQ_MAX_DIMS 8

/* A tensor as its container announces it.  Strings belong to the file. */
typedef struct lq_file_tensor {
    size_t      struct_size;
    const char *name;         /* terminated; never contains a NUL itself */
    lq_dtype    dtype;        /* plain element type, or 0 for a block format */
    lq_format   format;       /* the format: GGUF types, and F32, F16, BF16 */
    uint32_t    n_dims;       /* 0: a scalar */
    uint64_t    dims[LQ_MAX_DIMS]; /* outermost first, rows before cols */
    uint64_t    offset;       /* in its file, bytes */
    uint64_t    bytes;
    const char *file;         /* path of the shard that holds it */
} lq_file_tensor;

#define LQ_FILE_TENSOR_INIT { sizeof(lq_file_tensor), 0, 0, 0, 0, { 0 }, 0, 0, 0 }
LQ_API void lq_file_tensor_init(lq_file_tensor *tensor);

LQ_API uint64_t lq_file_tensor_count(const lq_file *file);
LQ_API lq_status lq_file_tensor_at(const lq_file *file, uint64_t index,
                                   lq_file_tensor *tensor);
LQ_API lq_status lq_file_tensor_find(const lq_file *file, const char *name,
                                     uint64_t *index);

/* Read 'bytes' bytes from 'offset' of tensor 'index'.  Thread-safe.
 * LQ_ERR_ARG (out of range), LQ_ERR_IO, LQ_ERR_TRUNCATED (the file shrank). */
LQ_API lq_status lq_file_read(const lq_file *file, uint64_t index, uint64_t offset,
                              void *buffer, uint64_t bytes, lq_error *error);

/* The tensor's bytes in place, for mapped files and memory; NULL otherwise. */
LQ_API const void *lq_file_tensor_data(const lq_file *file, uint64_t index);

/* ---------------------------------------------------------------- metadata */

/* Type of a metadata value: GGUF's numbers.  Safetensors metadata are strings. */
typedef int32_t lq_meta_type;

enum {
    LQ_META_U8 = 0, LQ_META_I8 = 1, LQ_META_U16 = 2, LQ_META_I16 = 3, LQ_META_U32 = 4,
    LQ_META_I32 = 5, LQ_META_F32 = 6, LQ_META_BOOL = 7, LQ_META_STRING = 8,
    LQ_META_ARRAY = 9, LQ_META_U64 = 10, LQ_META_I64 = 11, LQ_META_F64 = 12
};

/* One key.  Pointers belong to the file. */
typedef struct lq_meta {
    size_t       struct_size;
    const char  *key;
    lq_meta_type type;    /* of the value, or of each element of an array */
    int32_t      is_array;
    uint64_t     count;   /* elements; 1 for a scalar */
    const void  *data;    /* count little-endian numbers (unaligned), or NULL for
                             strings: see lq_file_meta_string() */
} lq_meta;

#define LQ_META_INIT { sizeof(lq_meta), 0, 0, 0, 0, 0 }
LQ_API void lq_meta_init(lq_meta *meta);

LQ_API uint64_t lq_file_meta_count(const lq_file *file);
LQ_API lq_status lq_file_meta_at(const lq_file *file, uint64_t index, lq_meta *meta);
LQ_API lq_status lq_file_meta_find(const lq_file *file, const char *key, lq_meta *meta);

/* String number 'element' of a string value ('meta' from this file): bytes and length,
 * terminated as well. */
LQ_API lq_status lq_file_meta_string(const lq_file *file, const lq_meta *meta,
                                     uint64_t element, const char **text,
                                     uint64_t *bytes);

/* config.json of a directory, or "quantization_config"/"config" of a file's metadata:
 * text and length, NULL and 0 when there is none. */
LQ_API const char *lq_file_config(const lq_file *file, uint64_t *bytes);

/* ------------------------------------------------------------------ writer */

/*
 * Writes one container: declare metadata and all tensors, lq_writer_begin(), then the
 * data in any order, lq_writer_finish().  Until finish returns LQ_OK nothing is visible
 * at 'path'; destroy without finish removes every trace.  A process that is killed leaves
 * its temporary, ".NAME.lqtmp-XXXXXX" beside the output, for a person to remove.
 *
 * GGUF with a limit of shards: "NAME.gguf" as the path makes NAME-00001-of-0000N.gguf and its
 * siblings, N at least 2, or NAME.gguf where everything fits into one.  Readers open the first
 * of them, which appears last; with 'replace' the first of an old set goes before any of the
 * new ones comes, so that nobody sees a set of both.  A process killed in between leaves no
 * first file, that is no model.
 */
typedef struct lq_writer lq_writer;

typedef struct lq_writer_opts {
    size_t       struct_size;
    int32_t      replace;      /* 1: an existing output may be replaced */
    int32_t      checksums;    /* 0: XXH3-128 of every tensor in the metadata; -1: none */
    uint64_t     shard_bytes;  /* most bytes of tensors in a file; directories: 0 is 4 GiB */
    uint32_t     alignment;    /* GGUF: 0: 32 */
    uint32_t     shard_tensors; /* most tensors in a file; 0: any number */
} lq_writer_opts;

#define LQ_WRITER_OPTS_INIT { sizeof(lq_writer_opts), 0, 0, 0, 0, 0 }
LQ_API void lq_writer_opts_init(lq_writer_opts *opts);

/* LQ_ERR_EXISTS (and not opts->replace), LQ_ERR_NOTFOUND (no such directory),
 * LQ_ERR_IO, LQ_ERR_ARG, LQ_ERR_NOMEM. */
LQ_API lq_status lq_writer_create(const lq_ctx *ctx, const char *path,
                                  lq_container container, const lq_writer_opts *opts,
                                  lq_writer **writer, lq_error *error);

/* Set a key: 'count' elements of 'type' at 'data' (native numbers; for strings an array
 * of const char *), as an array if 'is_array'.  A key set again is replaced and moves
 * to the end.  Safetensors take single strings only: LQ_ERR_UNSUPPORTED. */
LQ_API lq_status lq_writer_meta(lq_writer *writer, const char *key, lq_meta_type type,
                                int32_t is_array, const void *data, uint64_t count);
LQ_API lq_status lq_writer_meta_string(lq_writer *writer, const char *key,
                                       const char *text);

/* Copy a key of another file as it is. */
LQ_API lq_status lq_writer_meta_copy(lq_writer *writer, const lq_file *file,
                                     const lq_meta *meta);

/* A further file of a directory checkpoint (config.json, tokenizer.json): written with
 * it, as atomically.  LQ_ERR_UNSUPPORTED for single files. */
LQ_API lq_status lq_writer_attach(lq_writer *writer, const char *name, const void *data,
                                  uint64_t bytes);

/* Declare a tensor: 'dtype' for plain elements, else 'format' (GGUF).  Its bytes follow
 * from type and dims.  LQ_ERR_DUPLICATE, LQ_ERR_UNSUPPORTED (the container has no such
 * type), LQ_ERR_SHAPE, LQ_ERR_LIMIT (name). */
LQ_API lq_status lq_writer_tensor(lq_writer *writer, const char *name, lq_dtype dtype,
                                  lq_format format, uint32_t n_dims,
                                  const uint64_t *dims, uint64_t *index);

/* Lay out the header and reserve the space.  LQ_ERR_NOSPACE. */
LQ_API lq_status lq_writer_begin(lq_writer *writer, lq_error *error);

/* Write part of a tensor.  Each tensor's parts come in ascending order, without gaps;
 * tensors in any order.  LQ_ERR_ARG (out of order or range), LQ_ERR_IO, LQ_ERR_NOSPACE. */
LQ_API lq_status lq_writer_write(lq_writer *writer, uint64_t index, uint64_t offset,
                                 const void *data, uint64_t bytes, lq_error *error);

/* Check that everything is there, make it durable and put it in place.
 * LQ_ERR_CORRUPT: a tensor is incomplete. */
LQ_API lq_status lq_writer_finish(lq_writer *writer, lq_error *error);
LQ_API void lq_writer_destroy(lq_writer *writer);

/* -------------------------------------------------------------- checkpoint */

/* The weights of a file.  Owns the lq_file it was given. */
typedef struct lq_checkpoint lq_checkpoint;

/* One logical weight, or a raw tensor that is no weight (spec NULL). */
typedef struct lq_weight {
    size_t         struct_size;
    const char    *name;      /* "model.layers.0.mlp.up_proj.weight" */
    const lq_spec *spec;      /* NULL: not numbers we decode (integer tensors...) */
    const char    *dialect;   /* "plain", "gguf", or one of lq_dialect_name() */
    lq_dtype       dtype;     /* type of the numbers before quantization, if recorded */
    uint32_t       n_dims;
    uint64_t       dims[LQ_MAX_DIMS];  /* logical, outermost first */
    lq_shape       shape;     /* the same as outer, rows, cols */
    uint64_t       bytes;     /* all its planes */
    const char    *note;      /* what the reader had to settle against the file's label, "" */
} lq_weight;

#define LQ_WEIGHT_INIT { sizeof(lq_weight), 0, 0, 0, 0, 0, { 0 }, { 0, 0, 0 }, 0, 0 }
LQ_API void lq_weight_init(lq_weight *weight);

/* Recognise the dialect and put weights together.  On success the checkpoint owns
 * 'file'; on failure the caller keeps it.  LQ_ERR_CORRUPT, LQ_ERR_MISMATCH,
 * LQ_ERR_SHAPE, LQ_ERR_NOTFOUND (a weight's companion is missing),
 * LQ_ERR_UNSUPPORTED, LQ_ERR_NOMEM; the tensor is named. */
LQ_API lq_status lq_checkpoint_create(const lq_ctx *ctx, lq_file *file,
                                      lq_checkpoint **checkpoint, lq_error *error);

/* Open and recognise in one call; the first part of a GGUF model in several files
 * ("-00001-of-00003.gguf") brings the others with it, LQ_ERR_MISMATCH where one is missing or
 * of another model. */
LQ_API lq_status lq_checkpoint_open(const lq_ctx *ctx, const char *path,
                                    const lq_file_opts *opts,
                                    lq_checkpoint **checkpoint, lq_error *error);
LQ_API void lq_checkpoint_destroy(lq_checkpoint *checkpoint);

LQ_API const lq_file *lq_checkpoint_file(const lq_checkpoint *checkpoint);
LQ_API uint64_t lq_checkpoint_count(const lq_checkpoint *checkpoint);
LQ_API lq_status lq_checkpoint_weight(const lq_checkpoint *checkpoint, uint64_t index,
                                      lq_weight *weight);
LQ_API lq_status lq_checkpoint_find(const lq_checkpoint *checkpoint, const char *name,
                                    uint64_t *index);

/* Load a weight's planes into a new tensor (mapped files: borrowed where the bytes lie
 * as we need them; then the checkpoint must outlive the tensor).
 * LQ_ERR_UNSUPPORTED: spec is NULL.  LQ_ERR_NONFINITE, LQ_ERR_CORRUPT: a scale of a
 * foreign dialect (not "gguf" or "lq") is NaN or infinite, or is negative where scales are
 * magnitudes (FP8, MX, NVFP4). */
LQ_API lq_status lq_checkpoint_load(const lq_checkpoint *checkpoint, uint64_t index,
                                    lq_tensor **tensor, lq_error *error);

/* Decode rows [row0, row0 + n) of one expert to f32 straight from the file, dense.
 * Blocked and plain weights need memory for the rows only; planar ones load their
 * planes.  Thread-safe. */
LQ_API lq_status lq_checkpoint_rows(const lq_checkpoint *checkpoint, uint64_t index,
                                    uint64_t outer, uint64_t row0, uint64_t n, float *y,
                                    lq_error *error);

/* ----------------------------------------------------------------- convert */

/* What becomes of one weight. */
enum {
    LQ_KEEP   = 0, /* copied as it is */
    LQ_ENCODE = 1  /* decoded and encoded to 'spec' */
};

enum {
    LQ_TAIL_ERROR    = 0,
    LQ_TAIL_PAD      = 1, /* spec gets 'pad'; GGUF refuses it */
    LQ_TAIL_FALLBACK = 2, /* llama-quantize's table: q4_k to q5_0, or f16; LQ_ERR_SHAPE for
                             types that it does not list (q8_0, q4_0, mxfp4_gguf...) */
    LQ_TAIL_SPEC     = 3  /* tail_spec */
};

/* A decision, and why, in words for people ("norm", "excluded", "cols 172 not a
 * multiple of 256: q8_0").  'reason' is static or lives as long as the call. */
typedef struct lq_choice {
    size_t      struct_size;
    int32_t     action;
    int32_t     tail;
    const char *reason;
    lq_spec     spec;          /* last: it may grow */
} lq_choice;

/* The default rule: 2-D weights of linear layers are encoded to 'spec'; norms, biases
 * and 1-D tensors become (GGUF) or stay (safetensors) F32; the embedding and lm_head are
 * kept in safetensors and follow llama-quantize's rule in GGUF. */
LQ_API lq_status lq_choose_default(const lq_weight *weight, const lq_spec *spec,
                                   lq_container out, lq_choice *choice);

/* What happened to one weight; strings live during the callback. */
typedef struct lq_convert_report {
    size_t      struct_size;
    uint64_t    index, count;
    const char *name;
    const char *from, *to;     /* spec texts */
    const char *reason;        /* "" when it was simply encoded */
    lq_shape    shape;
    uint64_t    bytes_in, bytes_out;
    double      sum_sq, sum_err_sq; /* of encoded weights: values, and errors */
    char        xxh3[33];      /* of the output's bytes */
} lq_convert_report;

typedef struct lq_convert_opts {
    size_t      struct_size;
    const lq_spec *spec;       /* target; NULL only with 'mix' */
    int32_t     nonfinite;     /* LQ_NONFINITE_... */
    int32_t     tail;          /* LQ_TAIL_... */
    int32_t     replace;       /* 1: an existing output may be replaced */
    int32_t     dry_run;       /* 1: decide, report sizes, write nothing */
    int32_t     allow_requantize; /* 1: quantized sources may be encoded again */
    int32_t     dequantize;    /* 1: decode every quantized weight to 'spec' (a float) */
    const lq_spec *tail_spec;
    lq_container container;    /* 0: from the output path's extension */
    int32_t     search;        /* LQ_SEARCH_... */
    uint64_t    shard_bytes;
    /* Override of the default rule: 'choice' comes filled with it. */
    lq_status (*choose)(void *user, const lq_weight *weight, lq_choice *choice);
    /* Importances of a weight: cols floats (experts one behind the other), or NULL. */
    const float *(*importance)(void *user, const lq_weight *weight);
    void      (*report)(void *user, const lq_convert_report *report);
    void       *user;
    lq_progress progress;
    const char *mix;           /* GGUF: a mix, see lq_mix_name(), instead of 'spec' */
    const char *dialect;       /* safetensors: one of lq_dialect_name(), LQ_ERR_UNSUPPORTED
                                  where it cannot hold a weight; NULL: the one that fits */
    uint64_t    shard_tensors; /* as shard_bytes: of lq_writer_opts */
} lq_convert_opts;

/*
 * Dialects of safetensors files: how quantized weights are named, packed and configured.
 * Name number 'index', NULL past the last:
 *
 *   bitsandbytes         nf4, fp4, llm_int8
 *   awq                  int4 with zero points, "gemm"
 *   awq_gemv, awq_fast   the same, "gemv" and "gemv_fast"
 *   modelopt             nvfp4:gm, fp8_e4m3:t
 *   compressed-tensors   int2 to int8, fp8_e4m3, mxfp8_e4m3, mxfp4, nvfp4:gd
 *   fp8                  fp8_e4m3 in blocks
 *   gpt-oss              mxfp4, experts too
 *   gptq, gptq_v2        int2, int3, int4, int8: zero points as they are
 *   gptq_v1              the same, zero points minus one
 *   gptq_p               int2 to int8 in planes
 *   lq                   everything
 */
LQ_API const char *lq_dialect_name(size_t index);

/* 1 if the dialect of this name can hold a quantized matrix of this spec and shape, else 0
 * (with bad arguments, too). */
LQ_API int lq_dialect_can_hold(const char *dialect, const lq_spec *spec,
                               const lq_shape *shape);

LQ_API void lq_convert_opts_init(lq_convert_opts *opts);

/*
 * Convert the checkpoint at 'in' to 'out'.  ".gguf" and ".safetensors" name single
 * files, anything else a directory.  A Hugging Face Llama checkpoint written to GGUF
 * gets llama.cpp's names, row order and metadata.
 *
 * LQ_ERR_UNSUPPORTED: the container cannot hold a spec; the message names those that
 * can.  Otherwise the statuses of opening, encoding and writing.  On failure 'out' is
 * as it was.
 */
LQ_API lq_status lq_convert(const lq_ctx *ctx, const char *in, const char *out,
                            const lq_convert_opts *opts, lq_error *error);

/*
 * The mixes of llama-quantize, which choose a type for each tensor of a GGUF file:
 * "q4_k_m", "q3_k_l", "iq2_m"...  The name of mix number 'index'; NULL past the last.
 * Every choice is reported with its reason; conversion says LQ_ERR_UNSUPPORTED when the
 * build lacks a type that the model needs, and LQ_ERR_ARG when llama-quantize would want
 * importances and there are none.
 */
LQ_API const char *lq_mix_name(size_t index);

/* The spec of most tensors of a mix.  LQ_ERR_NOTFOUND (no such mix), LQ_ERR_UNSUPPORTED
 * (a type that this build lacks), LQ_ERR_ARG. */
LQ_API lq_status lq_mix_spec(const char *name, lq_spec *spec);

#define LQ_GGUF_NAME 64   /* bytes of the longest name in GGUF, with its end */

/* The name that llama.cpp gives to a tensor of a Hugging Face Llama checkpoint:
 * "blk.0.attn_q.weight" for "model.layers.0.self_attn.q_proj.weight".  LQ_ERR_NOTFOUND
 * for any other name, LQ_ERR_BUFFER ('capacity' bytes are too few), LQ_ERR_ARG. */
LQ_API lq_status lq_gguf_name(const char *name, char *gguf, size_t capacity);

/* ----------------------------------------------------------------- imatrix */

/* Importances per weight, from llama-imatrix files. */
typedef struct lq_imatrix lq_imatrix;

/* Read a legacy .dat file.  LQ_ERR_TRUNCATED, LQ_ERR_CORRUPT, LQ_ERR_LIMIT,
 * LQ_ERR_NONFINITE (the entry is named), LQ_ERR_DUPLICATE, LQ_ERR_IO, LQ_ERR_NOMEM. */
LQ_API lq_status lq_imatrix_open(const lq_ctx *ctx, const char *path,
                                 lq_imatrix **imatrix, lq_error *error);
LQ_API lq_status lq_imatrix_open_memory(const lq_ctx *ctx, const void *data,
                                        uint64_t bytes, lq_imatrix **imatrix,
                                        lq_error *error);
LQ_API void lq_imatrix_destroy(lq_imatrix *imatrix);
LQ_API uint64_t lq_imatrix_count(const lq_imatrix *imatrix);

/* Entry 'index': name, values (per input channel, calls divided out) and their number.
 * Pointers belong to the imatrix. */
LQ_API lq_status lq_imatrix_at(const lq_imatrix *imatrix, uint64_t index,
                               const char **name, const float **values, uint64_t *count);
LQ_API lq_status lq_imatrix_find(const lq_imatrix *imatrix, const char *name,
                                 const float **values, uint64_t *count);

/* ----------------------------------------------------------------- adapter */

/*
 * LoRA adapters (libquant/train.h) as PEFT keeps them: a directory of adapter_config.json and
 * adapter_model.safetensors.  For a linear layer MODULE, whose own weight of rows x cols is
 * MODULE.weight in the model, the latter has
 *
 *     base_model.model.MODULE.lora_A.weight   [rank][cols]
 *     base_model.model.MODULE.lora_B.weight   [rows][rank]
 *
 * of F32, F16 or BF16.  scale = alpha / rank, rank-stabilised alpha / sqrt(rank); patterns
 * give modules a rank or an alpha of their own.
 */
typedef struct lq_adapter lq_adapter;

/* A zeroed struct with struct_size, rank and alpha set is valid. */
typedef struct lq_adapter_config {
    size_t      struct_size;
    const char *base_model;       /* "base_model_name_or_path", or NULL */
    const char *task;             /* "task_type" ("CAUSAL_LM"), or NULL */
    const char *const *targets;   /* "target_modules"; NULL: a pattern in the file, or, when it
                                     is written, all modules by their full names */
    uint64_t    target_count;
    double      alpha;            /* "lora_alpha", not 0 */
    double      dropout;          /* "lora_dropout" of its training */
    uint32_t    rank;             /* "r" */
    int32_t     rank_stabilised;  /* "use_rslora" */
} lq_adapter_config;

#define LQ_ADAPTER_CONFIG_INIT { sizeof(lq_adapter_config), 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_adapter_config_init(lq_adapter_config *config);

/* What one linear layer has: nearly an lq_lora. */
typedef struct lq_adapter_module {
    size_t      struct_size;
    const char *name;         /* "model.layers.0.self_attn.q_proj" */
    uint64_t    rows, cols;   /* of the layer's own weight */
    const void *a, *b;        /* numbers of the machine's byte order */
    lq_dtype    type;         /* F32 (0), F16, BF16 */
    uint32_t    rank;
    float       scale;        /* for writing, 0: what the config says */
} lq_adapter_module;

#define LQ_ADAPTER_MODULE_INIT { sizeof(lq_adapter_module), 0, 0, 0, 0, 0, 0, 0, 0 }
LQ_API void lq_adapter_module_init(lq_adapter_module *module);

/*
 * Read the adapter in a directory, all of it.  Adapters with parts that a plain LoRA layer has
 * not (DoRA, biases, modules saved whole, starts that changed the model) are refused, never
 * read in part.
 *
 * LQ_ERR_NOTFOUND (a file, a member of the config, one of A and B), LQ_ERR_IO, LQ_ERR_FORMAT
 * (not JSON, not safetensors), LQ_ERR_CORRUPT (a member of the wrong type or out of range),
 * LQ_ERR_DUPLICATE, LQ_ERR_UNSUPPORTED (method, member or tensor is named), LQ_ERR_SHAPE,
 * LQ_ERR_MISMATCH (ranks or types disagree), LQ_ERR_NONFINITE, LQ_ERR_NUMERIC (a scale does
 * not fit a float), LQ_ERR_LIMIT, LQ_ERR_OVERFLOW, LQ_ERR_TRUNCATED, LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_adapter_open(const lq_ctx *ctx, const char *path, lq_adapter **adapter,
                                 lq_error *error);

/* The same from the bytes of the two files, which are not kept. */
LQ_API lq_status lq_adapter_open_memory(const lq_ctx *ctx, const void *config,
                                        uint64_t config_bytes, const void *weights,
                                        uint64_t weights_bytes, lq_adapter **adapter,
                                        lq_error *error);
LQ_API void lq_adapter_destroy(lq_adapter *adapter);

/* Config and modules; pointers belong to the adapter.  Modules come in the order of their A
 * in the file.  LQ_ERR_ARG; LQ_ERR_NOTFOUND: no module of this name. */
LQ_API lq_status lq_adapter_get_config(const lq_adapter *adapter, lq_adapter_config *config);
LQ_API uint64_t lq_adapter_count(const lq_adapter *adapter);
LQ_API lq_status lq_adapter_at(const lq_adapter *adapter, uint64_t index,
                               lq_adapter_module *module);
LQ_API lq_status lq_adapter_find(const lq_adapter *adapter, const char *name, uint64_t *index);

/*
 * Write 'count' modules to a new directory, which appears complete or not at all; 'replace' 1:
 * instead of an old one.  PEFT reads it.  LQ_ERR_ARG, LQ_ERR_DUPLICATE (two modules of a
 * name), LQ_ERR_UNSUPPORTED (type), LQ_ERR_ALIGN, LQ_ERR_EXISTS, LQ_ERR_IO, LQ_ERR_NOSPACE,
 * LQ_ERR_OVERFLOW, LQ_ERR_NOMEM.
 */
LQ_API lq_status lq_adapter_write(const lq_ctx *ctx, const char *path,
                                  const lq_adapter_config *config,
                                  const lq_adapter_module *modules, uint64_t count,
                                  int32_t replace, lq_error *error);

/* ------------------------------------------------------------------ verify */

/* One finding of lq_verify(); strings live during the callback. */
typedef struct lq_finding {
    size_t      struct_size;
    lq_status   status;        /* LQ_OK: checked and right */
    const char *name;          /* tensor, or "" */
    const char *message;
} lq_finding;

/*
 * Check every tensor of a checkpoint: checksums where recorded, blocks and scales
 * legal, floats finite.  Calls 'found' for each weight, and for remarks about the file.
 * '*bad' counts findings with a status other than LQ_OK.  LQ_OK when all was examined.
 */
LQ_API lq_status lq_verify(const lq_ctx *ctx, const char *path, const lq_file_opts *opts,
                           void (*found)(void *user, const lq_finding *finding),
                           void *user, uint64_t *bad, lq_error *error);

#ifdef __cplusplus
}
#endif
#endif
