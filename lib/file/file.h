/* SPDX-License-Identifier: MIT */
/*
 * lib/file/file.h - what the files of lib/file share
 *
 *   source.c       bytes of an input: pread, mapping or memory, all checked
 *   reader.c       lq_file_*: opens containers, serves tensors and metadata
 *   gguf_read.c  safetensors_read.c  directory_read.c     parsers, fill an lq_file
 *   writer.c       lq_writer_*: order of calls, completeness, checksums
 *   gguf_write.c  safetensors_write.c  directory_write.c  header builders
 *   atomic.c       output files that appear complete or not at all
 *   checkpoint.c   lq_checkpoint_*; dialect/<name>.c puts weights together
 *   convert.c  choose.c  hf_gguf.c  verify.c  imatrix.c
 *   adapter_config.c  adapter_read.c  adapter_write.c     lq_adapter_*
 */
#ifndef LQI_FILE_H
#define LQI_FILE_H

#include "lib/base/base.h"
#include "libquant/file.h"

/* ------------------------------------------------------------------- source */

/* One input of known size.  Reads of ranges that are not there fail with TRUNCATED. */
typedef struct lqi_source lqi_source;

lq_status lqi_source_open(const lq_allocator *a, const char *path, int map,
                          lqi_source **source, lq_error *error);
lq_status lqi_source_memory(const lq_allocator *a, const void *data, uint64_t bytes,
                            lqi_source **source, lq_error *error);
void        lqi_source_close(lqi_source *source);
uint64_t    lqi_source_bytes(const lqi_source *source);
const char *lqi_source_path(const lqi_source *source);           /* "" for memory */
const void *lqi_source_data(const lqi_source *source);           /* NULL: not in memory */
lq_status   lqi_source_read(const lqi_source *source, uint64_t offset, void *buffer,
                            uint64_t bytes, lq_error *error);

/* ---------------------------------------------------------------- an opened file */

typedef struct lqi_entry {          /* a tensor */
    char      *name;                /* in the arena */
    lq_dtype   dtype;
    lq_format  format;
    uint32_t   n_dims;
    uint64_t   dims[LQ_MAX_DIMS];
    uint64_t   offset, bytes;       /* absolute in its source */
    uint32_t   shard;               /* index into sources */
} lqi_entry;

typedef struct lqi_key {            /* a metadata value */
    char         *key;
    lq_meta_type  type;
    int32_t       is_array;
    uint64_t      count;
    const void   *data;             /* numbers, or NULL */
    const char  **strings;          /* count of them, terminated; NULL for numbers */
    uint64_t     *string_bytes;
} lqi_key;

/* Memory that lives and dies with a file: grows in chunks, freed at once. */
typedef struct lqi_arena {
    const lq_allocator *allocator;
    struct lqi_chunk   *chunks;
} lqi_arena;

void *lqi_arena_alloc(lqi_arena *arena, uint64_t bytes);   /* 16-byte aligned; NULL */
char *lqi_arena_text(lqi_arena *arena, const void *text, uint64_t bytes);  /* terminates */
void  lqi_arena_free(lqi_arena *arena);

/* Open-addressing map from name to index, linear time for a million names. */
typedef struct lqi_names lqi_names;
lqi_names *lqi_names_create(const lq_allocator *a, uint64_t expected);
void       lqi_names_destroy(lqi_names *names);
/* 1 added, 0 already there, -1 out of memory; *index is the name's index, counted from 0 in
 * the order of adding.  The text is borrowed. */
int        lqi_names_add(lqi_names *names, const char *text, uint64_t *index);
int        lqi_names_find(const lqi_names *names, const char *text, uint64_t *index);

struct lq_file {
    lq_allocator  allocator;
    lq_file_opts  opts;             /* complete: defaults filled in */
    lq_container  container;
    char         *path;
    lqi_source  **sources;          /* shards */
    uint32_t      source_count;
    lqi_arena     arena;
    lqi_entry    *entries;          /* growing arrays, own allocation */
    uint64_t      entry_count, entry_capacity;
    lqi_key      *keys;
    uint64_t      key_count, key_capacity;
    lqi_names    *entry_names, *key_names;
    const char   *config;           /* text, or NULL */
    uint64_t      config_bytes;
    const char   *quant_config;    /* directories: of lqi_quant_files, or NULL */
    uint64_t      quant_config_bytes;
};

/* Hand out a struct to a caller whose idea of it may be shorter or longer than ours. */
lq_status lqi_hand_out(void *out, const void *known, size_t known_bytes);

/* Names of the files beside config.json that say how a checkpoint is quantized. */
extern const char *const lqi_quant_files[];

/* Append; DUPLICATE, LIMIT (opts.max_tensors) or NOMEM.  The entry's name must be in
 * the arena. */
lq_status lqi_file_add_entry(lq_file *file, const lqi_entry *entry, lq_error *error);
lq_status lqi_file_add_key(lq_file *file, const lqi_key *key, lq_error *error);

/* 1 if [text, text + bytes) is valid UTF-8 without NUL. */
int lqi_utf8_valid(const char *text, uint64_t bytes);

/* Parsers: sources[shard] is open; they append entries and keys. */
lq_status lqi_gguf_read(lq_file *file, uint32_t shard, lq_error *error);
lq_status lqi_safetensors_read(lq_file *file, uint32_t shard, lq_error *error);
lq_status lqi_directory_read(lq_file *file, lq_error *error);   /* opens its shards */

/* Bytes of a tensor of plain elements or of a block format, checked; fills *bytes. */
lq_status lqi_entry_bytes(lq_dtype dtype, lq_format format, uint32_t n_dims,
                          const uint64_t *dims, uint64_t *bytes);

/* ------------------------------------------------------------------- atomic */

/*
 * An output that appears complete or not at all.  A file is written to an unnamed or
 * hidden temporary beside it and renamed; a directory to a hidden sibling, exchanged or
 * renamed.
 */
typedef struct lqi_output lqi_output;

/* LQI_OUTPUT_SET: several files side by side; the path only says in which folder. */
enum { LQI_OUTPUT_FILE = 0, LQI_OUTPUT_DIRECTORY = 1, LQI_OUTPUT_SET = 2 };

lq_status lqi_output_create(const lq_allocator *a, const char *path, int kind, int replace,
                            lqi_output **output, lq_error *error);
/* Member files of directories and sets get names; a single file has member 0 without one. */
lq_status lqi_output_member(lqi_output *output, const char *name, uint32_t *index,
                            lq_error *error);
lq_status lqi_output_reserve(lqi_output *output, uint32_t index, uint64_t bytes,
                             lq_error *error);
lq_status lqi_output_write(lqi_output *output, uint32_t index, uint64_t offset,
                           const void *data, uint64_t bytes, lq_error *error);
lq_status lqi_output_commit(lqi_output *output, lq_error *error);   /* fsync, rename */
void      lqi_output_destroy(lqi_output *output);                   /* removes leftovers */

/* ------------------------------------------------------------------- writer */

typedef struct lqi_out_tensor {
    char     *name;
    lq_dtype  dtype;
    lq_format format;
    uint32_t  n_dims;
    uint64_t  dims[LQ_MAX_DIMS];
    uint64_t  bytes, offset;       /* absolute in its member */
    uint64_t  written;
    uint32_t  member;
    char      xxh3[33];            /* hex, when complete */
    void     *hash;                /* XXH3_state_t while writing */
} lqi_out_tensor;

typedef struct lqi_buffer {        /* growing bytes of a header */
    const lq_allocator *allocator;
    uint8_t            *data;
    uint64_t            bytes, capacity;
    int                 failed;    /* out of memory: sticky */
} lqi_buffer;

void lqi_buffer_put(lqi_buffer *b, const void *data, uint64_t bytes);
void lqi_buffer_text(lqi_buffer *b, const char *text);
void lqi_buffer_free(lqi_buffer *b);

struct lq_writer {
    lq_allocator    allocator;
    lq_writer_opts  opts;
    lq_container    container;
    lqi_output     *output;
    const char     *path;          /* as it was given, in the arena */
    lqi_arena       arena;
    lqi_key        *keys;
    uint64_t        key_count, key_capacity;
    lqi_out_tensor *tensors;
    uint64_t        tensor_count, tensor_capacity;
    lqi_names      *names;
    struct lqi_attachment { const char *name; void *data; uint64_t bytes; } *attachments;
    uint64_t        attachment_count;
    const char     *single;        /* directories: the name of the only shard, or NULL */
    int             begun, failed, finished;
};

/*
 * Build the headers of all members.  Called by begin (checksums still placeholders of
 * the same length: lays out members and offsets, reserves, writes) and again by finish
 * (checksums known: writes the same number of bytes again).
 */
lq_status lqi_gguf_write_header(lq_writer *w, lq_error *error);
lq_status lqi_safetensors_write_header(lq_writer *w, lq_error *error);
lq_status lqi_directory_write_header(lq_writer *w, lq_error *error);

/* Where an output in several files is cut: behind the last tensor of the file that begins
 * with tensor 'first', by the limits of the options. */
uint64_t lqi_writer_cut(const lq_writer *w, uint64_t first, uint64_t max_bytes);

/* Key under which tensor checksums stand: GGUF array of strings in tensor order;
 * safetensors one string per tensor, "lq.xxh3.<name>". */
#define LQI_META_XXH3 "lq.xxh3"

/* GGUF in several files: the same string in each. */
#define LQI_META_SPLIT "lq.split"

#endif
