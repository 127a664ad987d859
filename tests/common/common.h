/* SPDX-License-Identifier: MIT */
/*
 * tests/common/common.h - what core's tests share: contexts, inputs, the list of specs
 *
 * Inputs come from integer arithmetic only, so that they are the same everywhere.
 */
#ifndef TEST_COMMON_H
#define TEST_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <libquant/libquant.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* splitmix64 */
static inline uint64_t test_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* About normal: the sum of four 16-bit uniforms, exact in float. */
static inline float test_normal(uint64_t *state)
{
    uint64_t z = test_next(state);
    int sum = (int)(z & 0xffff) + (int)(z >> 16 & 0xffff) + (int)(z >> 32 & 0xffff) +
              (int)(z >> 48);
    return (float)(sum - 131070) / 37837.0f;
}

static inline void test_fill(float *x, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = test_normal(&seed);
}

static inline lq_ctx *test_ctx(lq_level level, uint32_t threads)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx = NULL;

    opts.level = level;
    opts.threads = threads;
    assert_int_equal(lq_ctx_create(&opts, &ctx, NULL), LQ_OK);
    return ctx;
}

/* One or more specs of every format: each storage path of the core is there. */
static const char *const test_specs[] = {
    "f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k",
    "q4_1", "q5_0", "q5_1", "q8_1", "q2_k", "q3_k", "q5_k", "q8_k", "iq4_nl", "iq4_xs",
    "iq1_m", "iq2_s", "iq3_xxs", "iq3_s", "iq4_ks",   /* IQ1_S, IQ2_XS, IQ2_XXS: golden/grids */
    "tq1_0", "tq2_0", "q1_0", "q2_0", "mxfp4_gguf", "nvfp4_gguf",
    "nf4:b32", "nf4:b64", "nf4:b64:dq", "nf4:b4096", "nf4:g64", "nf4:g64:dq", "nf4:g100:f16",
    "nf4:ch", "fp4:b64", "fp4:b128:dq", "int4:g32:zp", "int4:g128", "int4:g64:f32",
    "int4:g64:zp:gidx", "int4:ch:zp", "int8:ch", "int8:g128", "int8:g64:zp", "int8:ch:bf16",
    "llm_int8:ch", "fp8_e4m3:ch", "fp8_e4m3:t", "fp8_e4m3:128x128", "fp8_e4m3:g128",
    "fp8_e5m2:ch", "fp8_e5m2:t",
    "int2:g32", "int2:g32:zp", "int2:g32:fz", "int3:g32:zp:gidx", "int3:g128", "int4:g64:fz:f32",
    "int5:g32", "int5:g100:zp:f32", "int6:ch", "int6:128x128:zp", "int7:g64:zp:bf16",
    "int8:g64:fz", "ternary:t", "ternary:ch", "ternary:g64:f16", "ternary:128x128",
    "mxfp8_e4m3", "mxfp8_e5m2:ceil", "mxfp6_e2m3:rceil", "mxfp6_e3m2", "mxfp4", "mxfp4:even",
    "mxint8", "nvfp4", "nvfp4:gd",
};

static inline lq_spec test_spec(const char *text)
{
    lq_spec spec = LQ_SPEC_INIT;
    lq_error error = LQ_ERROR_INIT;

    if (lq_spec_parse(text, &spec, &error) != LQ_OK)
        fail_msg("%s: %s", text, error.message);
    return spec;
}

/* Columns that a spec takes: 'cols', rounded up to its blocks. */
static inline uint64_t test_cols(const lq_spec *spec, uint64_t cols)
{
    lq_format_info info = LQ_FORMAT_INFO_INIT;

    assert_int_equal(lq_format_get(spec->format, &info), LQ_OK);
    return (cols + info.block_len - 1) / info.block_len * info.block_len;
}

static inline lq_tensor *test_encode(const lq_ctx *ctx, const lq_spec *spec, lq_shape shape,
                                     const float *x, const lq_encode_opts *opts)
{
    lq_tensor *tensor = NULL;
    lq_error error = LQ_ERROR_INIT;

    if (lq_tensor_encode(ctx, spec, &shape, LQ_F32, x, opts, &tensor, &error) != LQ_OK)
        fail_msg("%s", error.message);
    return tensor;
}

static inline void test_same_planes(const lq_tensor *a, const lq_tensor *b)
{
    for (int p = 0; p < LQ_PLANES; p++) {
        uint64_t n = 0, m = 0;
        const void *x = lq_tensor_plane(a, p, &n), *y = lq_tensor_plane(b, p, &m);
        assert_int_equal(n, m);
        if (n)
            assert_memory_equal(x, y, (size_t)n);
    }
}

#endif
