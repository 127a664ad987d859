/* SPDX-License-Identifier: MIT */
/*
 * tests/file/sample.h - a small GGUF file with every kind of value, and a writer for it
 */
#ifndef TESTS_FILE_SAMPLE_H
#define TESTS_FILE_SAMPLE_H

#include "tests/file/container.h"

typedef struct sample_key {
    const char  *key;
    lq_meta_type type;
    int32_t      is_array;
    const void  *data;
    uint64_t     count;
} sample_key;

typedef struct sample_tensor {
    const char *name;
    lq_dtype    dtype;
    lq_format   format;
    uint32_t    gguf;              /* type number in the file */
    uint32_t    n_dims;
    uint64_t    dims[4], bytes;
} sample_tensor;

static const uint8_t     sample_u8[] = { 0, 1, 255 };
static const int8_t      sample_i8[] = { -128, 0, 127 };
static const uint16_t    sample_u16[] = { 1, 65535 };
static const int16_t     sample_i16[] = { -32768, 7 };
static const uint32_t    sample_u32[] = { 1, 4000000000u };
static const int32_t     sample_i32[] = { -1, 2000000000 };
static const float       sample_f32[] = { 0.5f, -0.0f, 1e-45f };
static const uint8_t     sample_bool[] = { 1, 0, 1 };
static const uint64_t    sample_u64[] = { 1234567890123456789u };
static const int64_t     sample_i64[] = { -9, 9 };
static const double      sample_f64[] = { 1e300, -1e-300 };
static const char *const sample_text[] = { "", "<s>", "\xe2\x96\x81the", "line\nbreak" };

static const sample_key sample_keys[] = {
    { "general.architecture", LQ_META_STRING, 0, sample_text + 1, 1 },
    { "s.u8", LQ_META_U8, 0, sample_u8 + 2, 1 },
    { "s.i8", LQ_META_I8, 0, sample_i8, 1 },
    { "s.u16", LQ_META_U16, 0, sample_u16 + 1, 1 },
    { "s.i16", LQ_META_I16, 0, sample_i16, 1 },
    { "s.u32", LQ_META_U32, 0, sample_u32 + 1, 1 },
    { "s.i32", LQ_META_I32, 0, sample_i32, 1 },
    { "s.f32", LQ_META_F32, 0, sample_f32, 1 },
    { "s.bool", LQ_META_BOOL, 0, sample_bool, 1 },
    { "s.u64", LQ_META_U64, 0, sample_u64, 1 },
    { "s.i64", LQ_META_I64, 0, sample_i64, 1 },
    { "s.f64", LQ_META_F64, 0, sample_f64, 1 },
    { "a.u8", LQ_META_U8, 1, sample_u8, 3 },
    { "a.i8", LQ_META_I8, 1, sample_i8, 3 },
    { "a.u16", LQ_META_U16, 1, sample_u16, 2 },
    { "a.i16", LQ_META_I16, 1, sample_i16, 2 },
    { "a.u32", LQ_META_U32, 1, sample_u32, 2 },
    { "a.i32", LQ_META_I32, 1, sample_i32, 2 },
    { "a.f32", LQ_META_F32, 1, sample_f32, 3 },
    { "a.bool", LQ_META_BOOL, 1, sample_bool, 3 },
    { "a.u64", LQ_META_U64, 1, sample_u64, 1 },
    { "a.i64", LQ_META_I64, 1, sample_i64, 2 },
    { "a.f64", LQ_META_F64, 1, sample_f64, 2 },
    { "a.text", LQ_META_STRING, 1, sample_text, 4 },
    { "a.none", LQ_META_F32, 1, sample_f32, 0 },
};

static const sample_tensor sample_tensors[] = {
    { "odd", LQ_F32, 0, 0, 1, { 7 }, 28 },
    { "half", LQ_F16, 0, 1, 3, { 2, 3, 5 }, 60 },
    { "four", LQ_BF16, 0, 30, 4, { 2, 1, 3, 4 }, 48 },
    { "scalar", LQ_F64, 0, 28, 0, { 0 }, 8 },
    { "ints", LQ_I32, 0, 26, 2, { 3, 3 }, 36 },
    { "blocks", 0, LQ_FORMAT_Q4_K, 12, 2, { 3, 256 }, 432 },
    { "bytes", LQ_I8, 0, 24, 1, { 1 }, 1 },
    { "unknown", 0, 110, 10, 2, { 2, 512 }, 336 },
    { "outer", 0, LQ_FORMAT_Q8_0, 8, 3, { 1, 1, 32 }, 34 },
    { "empty", LQ_F32, 0, 0, 2, { 0, 4 }, 0 },
    { "last", 0, LQ_FORMAT_F32, 0, 1, { 3 }, 12 },
};

static inline void sample_fill(size_t tensor, uint8_t *data, uint64_t bytes)
{
    uint64_t state = 1000 + tensor;

    for (uint64_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)test_next(&state);
}

static inline lq_status sample_declare(lq_writer *w)
{
    lq_status status = LQ_OK;
    uint64_t index;

    for (size_t i = 0; i < COUNT(sample_keys) && status == LQ_OK; i++)
        status = lq_writer_meta(w, sample_keys[i].key, sample_keys[i].type,
                                sample_keys[i].is_array, sample_keys[i].data,
                                sample_keys[i].count);
    for (size_t i = 0; i < COUNT(sample_tensors) && status == LQ_OK; i++) {
        const sample_tensor *t = &sample_tensors[i];
        status = lq_writer_tensor(w, t->name, t->dtype, t->format, t->n_dims, t->dims, &index);
    }
    return status;
}

/* Tensors from the last to the first, in pieces of at most 'piece' bytes. */
static inline lq_status sample_write(lq_writer *w, uint64_t piece)
{
    lq_status status = LQ_OK;
    uint8_t data[512];

    for (size_t i = COUNT(sample_tensors); i-- > 0;) {
        uint64_t bytes = sample_tensors[i].bytes;
        sample_fill(i, data, bytes);
        for (uint64_t at = 0; at < bytes && status == LQ_OK; at += piece)
            status = lq_writer_write(w, i, at, data + at,
                                     bytes - at < piece ? bytes - at : piece, NULL);
    }
    return status;
}

static inline lq_status sample_file(const lq_ctx *ctx, const char *path,
                                    const lq_writer_opts *opts, uint64_t piece)
{
    lq_writer *w = NULL;
    lq_status status = lq_writer_create(ctx, path, LQ_CONTAINER_GGUF, opts, &w, NULL);

    if (status == LQ_OK)
        status = sample_declare(w);
    if (status == LQ_OK)
        status = lq_writer_begin(w, NULL);
    if (status == LQ_OK)
        status = sample_write(w, piece);
    if (status == LQ_OK)
        status = lq_writer_finish(w, NULL);
    lq_writer_destroy(w);
    return status;
}

#endif
