/* SPDX-License-Identifier: MIT */
/*
 * lib/file/weights.h - weights put together from raw tensors, and how they go out
 *
 *   checkpoint.c       lq_checkpoint_*: scan, load, rows
 *   scan.c             what dialects use to recognise weights
 *   config.c           config.json and quantization_config (only with jansson)
 *   dialect/<name>.c   one const lqi_dialect each, see dialect/dialect.h
 *   choose.c           which weight becomes what, and why
 *   convert.c          lq_convert(): the whole run
 *   mix.c  plan_mix.c  llama-quantize's mixes, and one at work
 *   plan.c             decisions, names and dialects before anything is written
 *   output.c           a planned weight's planes into a writer's tensors
 *   encode_weight.c    one weight decoded and encoded in strips
 *   recode.c           the same codes in another format's blocks
 *   attach.c           metadata, config.json and other files of the output
 *   hf_names.c  hf_gguf.c  hf_rope.c   names, row order and keys of HF Llama in GGUF
 *   tokenizer_gguf.c   tokenizer.json and tokenizer.model as GGUF keys
 *   verify.c           lq_verify()
 */
#ifndef LQI_WEIGHTS_H
#define LQI_WEIGHTS_H

#include "lib/file/file.h"
#include "lib/format/format.h"
#include "libquant/codebook.h"
#include "libquant/layout.h"

struct json_t;
typedef struct lqi_dialect lqi_dialect;

#define LQI_NONE UINT64_MAX             /* no tensor */
#define LQI_CONFIG_MAX (1u << 20)       /* bytes of config.json */
#define LQI_STRIP_BYTES (8u << 20)      /* f32 values in work at a time */

/* ------------------------------------------------------------------ weights */

/* A piece of a weight: a raw tensor, or bytes made while scanning. */
typedef struct lqi_part {
    int         plane;      /* LQ_PLANE_..., or LQI_PART_... */
    uint64_t    tensor;     /* raw tensor, or LQI_NONE */
    const void *memory;     /* in the checkpoint's arena, else NULL */
    uint64_t    bytes;
} lqi_part;

/* Parts that are no plane: arrays that the dialect's import() takes, and companions that
 * have been used up while scanning. */
enum { LQI_PART_ARRAY = LQ_PLANES, LQI_PART_USED = 2 * LQ_PLANES };

typedef struct lqi_weight {
    const char        *name;
    const lqi_dialect *dialect;
    lq_spec            spec;        /* complete; format 0: not numbers we decode */
    lq_dtype           dtype;
    uint32_t           n_dims;
    uint64_t           dims[LQ_MAX_DIMS];
    lq_shape           shape;
    uint64_t           bytes;       /* of all planes */
    uint64_t           first;       /* raw tensor that gives the weight its place */
    lqi_part          *parts;
    uint32_t           part_count;
    uint32_t           variant;     /* the dialect's own */
    int                magnitudes;  /* its scales are never negative */
    const char        *note;        /* static, or NULL: what its reader had to settle */
    lq_codebook       *codebook;    /* owned, or NULL */
} lqi_weight;

struct lq_checkpoint {
    const lq_ctx *ctx;
    lq_file      *file;
    lqi_arena     arena;
    lqi_weight   *weights;
    uint64_t      count, capacity;
    lqi_names    *names;
};

const lq_allocator *lqi_ctx_allocator(const lq_ctx *ctx);

static inline lqi_where lqi_entry_where(const lq_file *file, const lqi_entry *entry)
{
    return (lqi_where){ lqi_source_path(file->sources[entry->shard]), entry->name,
                        LQ_NO_OFFSET };
}

/* outer, rows, cols of dimensions; a vector is one row.  LQ_ERR_OVERFLOW. */
lq_status lqi_shape_of(uint32_t n_dims, const uint64_t *dims, lq_shape *shape);

/* Fill the public description. */
void lqi_weight_describe(const lqi_weight *w, lq_weight *out);

/* 1 if rows are stored one behind the other and stand alone: blocked and plain. */
int lqi_rows_alone(const lq_spec *spec);

/* 1 if the spec is one of f32, f16, bf16; their ids are those of the element types. */
static inline int lqi_spec_plain(const lq_spec *spec)
{
    return spec->format >= LQ_FORMAT_F32 && spec->format <= LQ_FORMAT_BF16;
}

/* Read raw bytes of a part. */
lq_status lqi_part_read(const lq_checkpoint *cp, const lqi_part *part, uint64_t offset,
                        void *buffer, uint64_t bytes, lq_error *error);

/* The part that holds a plane as it is, or NULL. */
const lqi_part *lqi_weight_part(const lqi_weight *w, int plane);

/* Refuse a loaded weight's impossible scales, see check_scales.c. */
lq_status lqi_check_scales(const lq_checkpoint *cp, const lqi_weight *w, const lq_tensor *t,
                           lq_error *error);

/* Add the other parts of a GGUF model that is split; the file is its first.  MISMATCH names
 * the part. */
lq_status lqi_gguf_join(const lq_ctx *ctx, lq_file *file, lq_error *error);

/* A whole raw tensor in new memory (free with lqi_free; at least one byte). */
lq_status lqi_tensor_bytes(const lq_ctx *ctx, const lq_file *file, uint64_t index,
                           void **memory, lq_error *error);

/* ------------------------------------------------------------------- config */

#ifdef LQI_HAVE_JSON
/* Parse the file's config; *root NULL when it has none.  FORMAT, CORRUPT, LIMIT. */
lq_status lqi_config_parse(const lq_file *file, struct json_t **root, lq_error *error);
/* The same, but of a single file the whole model's config, where it has both. */
lq_status lqi_config_model(const lq_file *file, struct json_t **root, lq_error *error);
/* The quantization_config in it, or beside it (then it becomes *root's): a borrowed object,
 * or NULL.  CORRUPT. */
lq_status lqi_config_quant(struct json_t **root, const lq_file *file, struct json_t **quant,
                           lq_error *error);
#endif

/* ------------------------------------------------------------------- choose */

typedef struct lqi_choose {
    lq_container   out;
    const lq_spec *spec;
    int            tied;        /* the model has no output matrix of its own */
} lqi_choose;

lq_status lqi_choose_weight(const lqi_choose *rule, const lq_weight *weight,
                            lq_choice *choice);
int lqi_name_is_output(const char *name);

/* Settle what happens to a last short block.  'reason' has room for 'capacity' bytes. */
lq_status lqi_choose_tail(const lq_weight *weight, lq_container out,
                          const lq_spec *tail_spec, lq_choice *choice, char *reason,
                          size_t capacity, lq_error *error);

/* GGUF's number for a file whose weights are mostly 'format' (general.file_type). */
uint32_t lqi_gguf_file_type(lq_format format);

/* ------------------------------------------------------------------- output */

/* A weight on its way out: where its planes go. */
typedef struct lqi_out {
    const lq_ctx      *ctx;
    lq_writer         *writer;
    const lqi_dialect *dialect;
    const char        *name;
    lq_spec            spec;
    lq_dtype           dtype;               /* of the numbers before quantization */
    uint32_t           n_dims;
    uint64_t           dims[LQ_MAX_DIMS];
    lq_shape           shape;
    uint64_t           bytes[LQ_PLANES];
    uint64_t           tensor[LQ_PLANES];   /* plane streams into it, or LQI_NONE */
    uint64_t           extra[4];            /* further tensors of the dialect */
    uint64_t           main;                /* tensor whose checksum is reported */
    void              *held[LQ_PLANES];     /* the plane in memory, or NULL */
    lq_error          *error;
} lqi_out;

/* Declare one tensor of the weight: name plus suffix. */
lq_status lqi_out_declare(lqi_out *out, const char *base, const char *suffix, lq_dtype dtype,
                         uint32_t n_dims, const uint64_t *dims, uint64_t *index);
/* Memory for planes that do not stream, and with 'all' for every plane. */
lq_status lqi_out_hold(lqi_out *out, int all);
void      lqi_out_release(lqi_out *out);
/* An lq_plane_sink; 'user' is the lqi_out. */
lq_status lqi_out_sink(void *user, int plane, uint64_t offset, const void *data,
                       size_t bytes);
/* Write a whole extra tensor. */
lq_status lqi_out_write(lqi_out *out, uint64_t tensor, const void *data, uint64_t bytes);

/* --------------------------------------------------------------------- plan */

typedef struct lqi_job {
    uint64_t    weight;         /* index in the checkpoint, LQI_NONE: 'made' */
    const void *made;           /* F32 numbers that the source does not have */
    int32_t     action;
    int         recode;         /* LQ_ENCODE by the same codes, recode.c */
    uint32_t    heads;          /* rows to interleave, hf_gguf.c; 0: none */
    char       *reason;         /* in the plan's arena */
    uint64_t    raw;            /* spec-less: its raw tensor */
    uint64_t    raw_out;        /* and the writer's */
    lqi_out     out;
} lqi_job;

typedef struct lqi_plan {
    const lq_ctx          *ctx;
    const lq_convert_opts *opts;
    lq_checkpoint         *cp;
    lq_container           container;
    lqi_arena              arena;
    lqi_job               *jobs;        /* in the order of the output */
    uint64_t               count;
    const lqi_dialect     *foreign;     /* of the output's quantized weights, or NULL */
    int                    llama;       /* HF Llama going to GGUF */
    struct lqi_mix_plan   *mix;         /* opts->mix at work, or NULL */
    const char            *in, *out;    /* paths */
    struct json_t         *config;      /* of the input, owned */
    uint64_t               work;        /* bytes of the input, for progress */
    lq_error              *error;
} lqi_plan;

lq_status lqi_plan_make(lqi_plan *plan);
void      lqi_plan_free(lqi_plan *plan);

/* N of "blk.N.", -1 without. */
long long lqi_block_of(const char *name);

/* plan_mix.c: opts->mix.  choose() replaces the spec of a weight that is to be encoded;
 * missing() fails if one of those types is not in this build. */
lq_status lqi_mix_open(lqi_plan *plan, int has_output);
void      lqi_mix_close(lqi_plan *plan);
lq_status lqi_mix_choose(lqi_plan *plan, uint64_t weight, const lq_weight *description,
                         lq_choice *choice, char *reason, size_t capacity);
lq_status lqi_mix_missing(const lqi_plan *plan);
uint32_t  lqi_mix_file_type(const lqi_plan *plan);

/* recode.c: a change of format that keeps the codes. */
typedef struct lqi_recode {
    const struct pair *pair;
    const lq_spec     *from, *to;
    const lqi_format  *other;       /* of the side with blocks; of both where both are planes */
    uint64_t           cols;
    int                way;
} lqi_recode;

/* 1 if the two specs, which must outlive 'r', have the same codes. */
int lqi_recode_open(lqi_recode *r, const lq_spec *from, const lq_spec *to, uint64_t cols);
/* 1 if the numbers of a weight decide whether the other format can say them. */
int lqi_recode_depends(const lqi_recode *r);
/* Row 'row' of 'from' to the single row of 'to'; 0: the other format cannot say it. */
int lqi_recode_row(const lqi_recode *r, const lq_rows *from, uint64_t row, const lq_rows *to);
/* Whether a weight can be recoded, whatever that depends on. */
lq_status lqi_recode_check(const lqi_plan *plan, uint64_t index, const lq_spec *to, int *same);

/* Encode or copy one planned weight. */
lq_status lqi_job_run(lqi_plan *plan, lqi_job *job, uint64_t *done, double sums[2]);

/* Metadata, config.json and further files of the output. */
lq_status lqi_attach(lqi_plan *plan, lq_writer *writer);

/* ---------------------------------------------------------- HF Llama -> GGUF */

enum { LQI_NO_HEADS, LQI_Q_HEADS, LQI_K_HEADS };

/* llama.cpp's name of a tensor, and whose heads its rows belong to.  LQ_ERR_NOTFOUND,
 * LQ_ERR_BUFFER. */
lq_status lqi_llama_find(const char *hf, char *name, size_t capacity, int *heads);

#ifdef LQI_HAVE_JSON
/* 1 if the model's config names an architecture that hf_gguf.c maps. */
int lqi_llama_known(struct json_t *config);
/* Name and heads of a weight; *name NULL: no such name, keep it; "": leave it out. */
lq_status lqi_llama_name(lqi_plan *plan, const char *hf, char **name, uint32_t *heads);
lq_status lqi_llama_keys(lqi_plan *plan, lq_writer *writer);
lq_status lqi_rope_keys(lqi_plan *plan, lq_writer *writer);
/* Name, numbers and dimensions of the tensor of rope factors; job->made stays NULL without. */
lq_status lqi_rope_job(lqi_plan *plan, lqi_job *job);
lq_status lqi_tokenizer_keys(lqi_plan *plan, lq_writer *writer, uint64_t vocab);
#endif

#endif
