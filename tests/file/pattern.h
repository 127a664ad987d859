/* SPDX-License-Identifier: MIT */
/*
 * tests/file/pattern.h - tensors whose bytes follow from their names
 *
 * Byte i of a tensor is byte (i mod 8) of s(i / 8), little-endian, where s(0) is the
 * 64-bit FNV-1a hash of its name and s(k + 1) = s(k) * 6364136223846793005 +
 * 1442695040888963407.  read_safetensors.py computes the same.
 */
#ifndef TESTS_FILE_PATTERN_H
#define TESTS_FILE_PATTERN_H

#include <stdint.h>
#include <stdlib.h>

#include "libquant/libquant.h"

typedef struct pattern_tensor {
    const char *name;
    lq_dtype    dtype;
    uint32_t    n_dims;
    uint64_t    dims[LQ_MAX_DIMS];
} pattern_tensor;

/* Every type, odd sizes in awkward order, an empty tensor, a scalar, difficult names. */
static const pattern_tensor pattern_tensors[] = {
    { "model.embed_tokens.weight", LQ_BF16, 2, { 7, 3 } },
    { "odd.u8", LQ_U8, 1, { 5 } },
    { "double", LQ_F64, 3, { 2, 1, 3 } },
    { "half", LQ_F16, 1, { 9 } },
    { "quote\" back\\slash \n\t\x01\x7f", LQ_F32, 2, { 3, 3 } },
    { "caf\xc3\xa9 \xf0\x9f\x98\x80", LQ_I8, 1, { 3 } },
    { "scalar", LQ_I64, 0, { 0 } },
    { "empty", LQ_F32, 2, { 4, 0 } },
    { "../../up", LQ_BOOL, 1, { 1 } },
    { "e4m3", LQ_F8_E4M3, 2, { 3, 5 } },
    { "e5m2", LQ_F8_E5M2, 1, { 1 } },
    { "e8m0", LQ_E8M0, 1, { 2 } },
    { "i16", LQ_I16, 8, { 1, 1, 1, 1, 1, 1, 1, 3 } },
    { "u16", LQ_U16, 1, { 1 } },
    { "i32", LQ_I32, 1, { 1 } },
    { "u32", LQ_U32, 1, { 11 } },
    { "u64", LQ_U64, 2, { 1, 2 } },
    { "large", LQ_F32, 2, { 100, 77 } },
};
#define PATTERN_COUNT (sizeof pattern_tensors / sizeof *pattern_tensors)

static inline uint64_t pattern_bytes(const pattern_tensor *t)
{
    uint64_t bytes = lq_dtype_bytes(t->dtype);
    for (uint32_t i = 0; i < t->n_dims; i++)
        bytes *= t->dims[i];
    return bytes;
}

/* The tensor's bytes, freed by the caller. */
static inline uint8_t *pattern_data(const pattern_tensor *t)
{
    uint64_t n = pattern_bytes(t), state = 0xcbf29ce484222325u;
    uint8_t *data = malloc((size_t)n + 1);
    if (!data)
        abort();
    for (const char *c = t->name; *c; c++)
        state = (state ^ (uint8_t)*c) * 0x100000001b3u;
    for (uint64_t i = 0; i < n; i++) {
        data[i] = (uint8_t)(state >> (i % 8 * 8));
        if (i % 8 == 7)
            state = state * 6364136223846793005u + 1442695040888963407u;
    }
    return data;
}

static inline lq_status pattern_declare(lq_writer *w)
{
    for (size_t i = 0; i < PATTERN_COUNT; i++) {
        const pattern_tensor *t = &pattern_tensors[i];
        uint64_t index;
        lq_status status = lq_writer_tensor(w, t->name, t->dtype, 0, t->n_dims, t->dims,
                                            &index);
        if (status != LQ_OK)
            return status;
    }
    return LQ_OK;
}

/* Write the data from the last tensor to the first, 'part' bytes at a time. */
static inline lq_status pattern_write(lq_writer *w, uint64_t part, lq_error *error)
{
    lq_status status = LQ_OK;
    for (size_t i = PATTERN_COUNT; i-- > 0 && status == LQ_OK;) {
        uint64_t bytes = pattern_bytes(&pattern_tensors[i]);
        uint8_t *data = pattern_data(&pattern_tensors[i]);
        for (uint64_t at = 0; at < bytes && status == LQ_OK; at += part) {
            uint64_t n = bytes - at < part ? bytes - at : part;
            status = lq_writer_write(w, i, at, data + at, n, error);
        }
        free(data);
    }
    return status;
}

/* A whole container at 'path'. */
static inline lq_status pattern_create(const lq_ctx *ctx, const char *path,
                                       lq_container container, const lq_writer_opts *opts,
                                       uint64_t part, lq_error *error)
{
    lq_writer *w = NULL;
    lq_status status = lq_writer_create(ctx, path, container, opts, &w, error);
    if (status == LQ_OK)
        status = lq_writer_meta_string(w, "format", "pt");
    if (status == LQ_OK)
        status = lq_writer_meta_string(w, "note \"\\\n", "caf\xc3\xa9 \"quoted\"\t\\ \x01");
    if (status == LQ_OK && container == LQ_CONTAINER_DIRECTORY)
        status = lq_writer_attach(w, "config.json", "{\"a\": 1}\n", 9);
    if (status == LQ_OK && container == LQ_CONTAINER_DIRECTORY)
        status = lq_writer_attach(w, "empty.txt", NULL, 0);
    if (status == LQ_OK)
        status = pattern_declare(w);
    if (status == LQ_OK)
        status = lq_writer_begin(w, error);
    if (status == LQ_OK)
        status = pattern_write(w, part, error);
    if (status == LQ_OK)
        status = lq_writer_finish(w, error);
    lq_writer_destroy(w);
    return status;
}

#endif
