/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/dialect.h - how a checkpoint names and configures its weights
 *
 * A dialect is one const lqi_dialect: functions that recognise weights among raw
 * tensors, and functions that declare and fill the raw tensors of a weight going out.
 * Nothing outside lib/file/dialect asks which dialect it has.
 *
 * Reading: scan() looks for its anchor (the tensor whose name no other dialect uses),
 * claims it and its companions, and adds a weight whose parts say where each plane's
 * bytes are.  Dialects are asked in the order of the table; what nobody claims is for
 * the last ones.  left() then sees each tensor that only 'plain' would take, to report
 * companions that have lost their weight.
 *
 * Writing: declare() names the tensors and sets out->tensor[plane] where a plane streams
 * into one as it is; planes without a tensor are held in memory until store().
 */
#ifndef LQI_DIALECT_H
#define LQI_DIALECT_H

#include "lib/file/weights.h"

/* ------------------------------------------------------------------ reading */

typedef struct lqi_scan {
    lq_checkpoint *cp;
    const lq_file *file;
    uint8_t       *claimed;      /* per raw tensor */
    struct json_t *quant;        /* quantization_config, or NULL */
    const char    *method;       /* its quant_method, "" without */
    char          *scratch;      /* names put together */
    uint64_t       scratch_bytes;
    lq_error      *error;
} lqi_scan;

struct lqi_dialect {
    const char *name;
    uint32_t    containers;      /* bits 1 << lq_container it can be written to */
    int         takes_rest;      /* scans last: whatever nobody has claimed */
    int         asked;           /* written only where the caller names it */
    int32_t     variant;         /* the dialect's own: which of several forms it writes */
    lq_status (*scan)(lqi_scan *scan);                                  /* or NULL */
    lq_status (*left)(lqi_scan *scan, uint64_t index);                  /* or NULL */
    /* Fill the planes of weights whose arrays are not planes (LQI_PART_ARRAY). */
    lq_status (*import)(const lq_checkpoint *cp, const lqi_weight *w,
                        void *const plane[LQ_PLANES], lq_error *error); /* or NULL */

    int       (*can_hold)(const lqi_out *out);
    lq_status (*declare)(lqi_out *out);
    lq_status (*store)(lqi_out *out);                                   /* or NULL */
    /* Foreign dialects: a new quantization_config for the plan's quantized weights, NULL
     * where it could not tell the truth about all of them. */
    struct json_t *(*config)(const lqi_plan *plan);
    /* Directories: a further file that says the same, and its name; or NULL. */
    struct json_t *(*beside)(const lqi_plan *plan, const char **name);
};

extern const lqi_dialect *const lqi_dialects[];   /* NULL-terminated */

/* Dialect that writes a weight to a container: the first that can hold it, foreign ones
 * (those with a config) only with 'foreign'.  NULL: none. */
const lqi_dialect *lqi_dialect_for(const lqi_out *out, lq_container container, int foreign);

/* Unclaimed tensor "base" (of base_bytes) + suffix; LQI_NONE if there is none.  NOMEM. */
lq_status lqi_scan_find(lqi_scan *scan, const char *base, size_t base_bytes,
                        const char *suffix, uint64_t *index);
/* The same, and LQ_ERR_NOTFOUND names the missing companion of 'anchor'. */
lq_status lqi_scan_need(lqi_scan *scan, uint64_t anchor, size_t base_bytes,
                        const char *suffix, uint64_t *index);
/* Length of the name before 'suffix', 0 if it ends otherwise (or is nothing else). */
size_t lqi_scan_base(const char *name, const char *suffix);

const lqi_entry *lqi_scan_entry(const lqi_scan *scan, uint64_t index);

/* Report about a raw tensor. */
lq_status lqi_scan_fail(lqi_scan *scan, uint64_t index, lq_status status,
                        const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* The tensor has this element type, and 'count' elements in all. */
lq_status lqi_scan_expect(lqi_scan *scan, uint64_t index, lq_dtype dtype, uint64_t count);

/* The I32 tensor says the group of each column: *permuted 0 if that is column / group.
 * CORRUPT: no such group. */
lq_status lqi_scan_order(lqi_scan *scan, uint64_t index, uint64_t cols, uint64_t group,
                         int *permuted);

/* A new weight; its memory is the checkpoint's.  'name' need not be terminated. */
lq_status lqi_scan_add(lqi_scan *scan, const lqi_dialect *dialect, const char *name,
                       size_t name_bytes, uint32_t max_parts, lqi_weight **weight);
/* Claim a raw tensor as part of a weight. */
void lqi_scan_part(lqi_scan *scan, lqi_weight *w, int plane, uint64_t tensor);
/* A plane from memory in the checkpoint's arena. */
void lqi_scan_memory(lqi_weight *w, int plane, const void *memory, uint64_t bytes);
/* Dimensions, spec text, then sizes: every plane must have the bytes that the spec
 * wants (LQ_ERR_SHAPE names the tensor). */
lq_status lqi_scan_finish(lqi_scan *scan, lqi_weight *w, const char *spec_text);

/* Loop over unclaimed tensors with a name ending: fn(scan, index, base_bytes). */
lq_status lqi_scan_each(lqi_scan *scan, const char *suffix,
                        lq_status (*fn)(lqi_scan *scan, uint64_t index, size_t base));

/* 'X.weight' from "X": a terminated name in scratch, or NULL. */
const char *lqi_scan_name(lqi_scan *scan, const char *base, size_t base_bytes,
                          const char *suffix);

extern const lqi_dialect lqi_dialect_plain, lqi_dialect_gguf, lqi_dialect_lq;
#ifdef LQI_HAVE_JSON
extern const lqi_dialect lqi_dialect_bitsandbytes, lqi_dialect_gptq, lqi_dialect_gptq_v1,
    lqi_dialect_gptq_v2, lqi_dialect_gptq_p, lqi_dialect_compressed_tensors, lqi_dialect_fp8,
    lqi_dialect_awq, lqi_dialect_awq_gemv, lqi_dialect_awq_fast, lqi_dialect_packed,
    lqi_dialect_modelopt, lqi_dialect_gpt_oss;
#endif

#define LQI_IN_SAFETENSORS (1u << LQ_CONTAINER_SAFETENSORS | 1u << LQ_CONTAINER_DIRECTORY)
#define LQI_IN_GGUF        (1u << LQ_CONTAINER_GGUF)

#endif
