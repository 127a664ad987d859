/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/util.h - helpers: checkpoints in temporary folders and in memory
 */
#ifndef TESTS_CONVERT_UTIL_H
#define TESTS_CONVERT_UTIL_H

#include "tests/common/common.h"
#include "tests/file/folder.h"

/* A tensor of a checkpoint to be made. */
typedef struct made {
    const char *name;
    lq_dtype    dtype;
    uint32_t    n_dims;
    uint64_t    dims[3];
    const void *data;       /* NULL: about normal numbers, F32 */
} made;

static inline uint64_t made_count(const made *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++)
        n *= t->dims[i];
    return n;
}

/* The numbers of a tensor without data. */
static inline float *made_values(const made *t)
{
    uint64_t n = made_count(t), seed = 7;
    float *x = malloc((size_t)(4 * n + 4));
    for (const char *p = t->name; *p; p++)
        seed = seed * 31 + (unsigned char)*p;
    test_fill(x, (size_t)n, seed);
    return x;
}

/* Write tensors to a file or directory; 'config' becomes config.json or its key. */
static inline void made_write(const lq_ctx *ctx, const char *path, lq_container container,
                              const char *config, const made *tensors, size_t count)
{
    lq_error error = LQ_ERROR_INIT;
    lq_writer *w = NULL;
    uint64_t index[64];

    assert_true(count <= 64);
    assert_int_equal(lq_writer_create(ctx, path, container, NULL, &w, &error), LQ_OK);
    if (config && container == LQ_CONTAINER_DIRECTORY)
        assert_int_equal(lq_writer_attach(w, "config.json", config, strlen(config)), LQ_OK);
    else if (config)
        assert_int_equal(lq_writer_meta_string(w, "quantization_config", config), LQ_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(lq_writer_tensor(w, tensors[i].name, tensors[i].dtype, 0,
                                          tensors[i].n_dims, tensors[i].dims, &index[i]), LQ_OK);
    assert_int_equal(lq_writer_begin(w, &error), LQ_OK);
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = made_count(&tensors[i]) * lq_dtype_bytes(tensors[i].dtype);
        float *x = tensors[i].data ? NULL : made_values(&tensors[i]);
        const void *data = tensors[i].data ? tensors[i].data : x;
        if (bytes)
            assert_int_equal(lq_writer_write(w, index[i], 0, data, bytes, &error), LQ_OK);
        free(x);
    }
    if (lq_writer_finish(w, &error) != LQ_OK)
        fail_msg("%s", error.message);
    lq_writer_destroy(w);
}

/* A whole file in memory; free() it. */
static inline void *slurp(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    char *data = NULL;
    size_t n = 0, got;

    if (!f)
        fail_msg("cannot open %s", path);
    do {
        data = realloc(data, n + 65536 + 1);
        got = fread(data + n, 1, 65536, f);
        n += got;
    } while (got);
    fclose(f);
    data[n] = 0;
    if (bytes)
        *bytes = n;
    return data;
}

static inline lq_checkpoint *open_checkpoint(const lq_ctx *ctx, const char *path)
{
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *cp = NULL;

    if (lq_checkpoint_open(ctx, path, NULL, &cp, &error) != LQ_OK)
        fail_msg("%s", error.message);
    return cp;
}

/* Decode a whole weight, both ways, which must agree; free() it. */
static inline float *decode_weight(const lq_checkpoint *cp, const char *name, lq_weight *w)
{
    lq_error error = LQ_ERROR_INIT;
    lq_tensor *t = NULL;
    uint64_t index = 0, n;
    float *y, *z;

    if (lq_checkpoint_find(cp, name, &index) != LQ_OK)
        fail_msg("%s is missing", name);
    lq_weight_init(w);
    assert_int_equal(lq_checkpoint_weight(cp, index, w), LQ_OK);
    n = w->shape.outer * w->shape.rows * w->shape.cols;
    y = malloc((size_t)(4 * n + 4));
    z = malloc((size_t)(4 * n + 4));
    if (lq_checkpoint_load(cp, index, &t, &error) != LQ_OK)
        fail_msg("%s", error.message);
    assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
    assert_int_equal(lq_tensor_check(t, NULL), LQ_OK);
    for (uint64_t o = 0; o < w->shape.outer; o++)
        for (uint64_t r = 0; r < w->shape.rows; r += 3) {
            uint64_t k = w->shape.rows - r < 3 ? w->shape.rows - r : 3;
            float *at = z + (o * w->shape.rows + r) * w->shape.cols;
            if (lq_checkpoint_rows(cp, index, o, r, k, at, &error) != LQ_OK)
                fail_msg("%s", error.message);
        }
    assert_memory_equal(y, z, (size_t)(4 * n));
    lq_tensor_destroy(t);
    free(z);
    return y;
}

/* lq_convert options that encode every weight whose name ends in ".weight". */
static inline lq_status choose_all(void *user, const lq_weight *weight, lq_choice *choice)
{
    size_t n = strlen(weight->name);

    if (weight->n_dims >= 2 && n > 7 && !strcmp(weight->name + n - 7, ".weight")) {
        choice->action = LQ_ENCODE;
        choice->spec = *(const lq_spec *)user;
    }
    return LQ_OK;
}

static inline lq_convert_opts convert_opts(lq_spec *spec)
{
    lq_convert_opts o;

    lq_convert_opts_init(&o);
    o.spec = spec;
    o.choose = choose_all;
    o.user = spec;
    return o;
}

#endif
