/* SPDX-License-Identifier: MIT */
/*
 * lib/core/scales.c - arrays of scales, one or two levels
 *
 * The lqi_ functions at the top serve the scale planes of tensors; lq_scales is the same on
 * its own.
 */
#include "lib/base/half.h"
#include "lib/core/core.h"
#include "lib/format/planar.h"

/* ------------------------------------------------------------ two levels */

void lqi_scale2_encode(const float *scales, size_t n, float offset, uint8_t *codes,
                       float *scale2)
{
    float largest = 0;

    for (size_t i = 0; i < n; i++) {
        float a = fabsf(scales[i] - offset);
        if (a > largest)
            largest = a;
    }
    *scale2 = largest;
    if (largest == 0) {                        /* 0 * inf is NaN in CUDA: code 0 */
        memset(codes, 0, n);
        return;
    }
    lqi_normal normal = lqi_normal_init(largest, 0);
    for (size_t i = 0; i < n; i++)
        codes[i] = lqi_dynamic8_nearest(lqi_normal_of(normal, scales[i] - offset));
}

static float scale2_decode(uint8_t code, float scale2, float offset)
{
    float product = lqi_dynamic8[code] * scale2;
    return product + offset;
}

float lqi_scale_global(const lq_spec *spec, float scale, float global)
{
    return spec->flags & LQ_SPEC_GLOBAL_MUL ? scale * global : scale / global;
}

static void apply_global(const lq_spec *spec, float global, size_t n, float *scales)
{
    for (size_t i = 0; i < n; i++)
        scales[i] = lqi_scale_global(spec, scales[i], global);
}

void lqi_scales_load(const lq_ctx *ctx, lq_dtype type, const void *scales, uint64_t first,
                     size_t n, float *out)
{
    const uint8_t *p = (const uint8_t *)scales + first * lqi_scale_bytes(type);

    if (type == LQ_F16)
        ctx->kernels.f16_to_f32(p, out, n);
    else if (type == LQ_BF16)
        ctx->kernels.bf16_to_f32(p, out, n);
    else if (type == LQ_F8_E4M3)
        ctx->kernels.e4m3_to_f32(p, out, n);
    else if (type == LQ_E8M0)
        for (size_t i = 0; i < n; i++)
            out[i] = lqi_e8m0_to_f32(p[i]);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = lqi_bits_float(lqi_load32(p + 4 * i));
}

void lqi_scales_read(const lq_ctx *ctx, const lq_spec *spec, void *const plane[LQ_PLANES],
                     uint64_t first, size_t n, float *out)
{
    const uint8_t *codes = plane[LQ_PLANE_SCALES];

    if (!spec->scale2_block) {
        lqi_scales_load(ctx, spec->scale_type, codes, first, n, out);
        if (spec->flags & LQ_SPEC_GLOBAL)
            apply_global(spec, lqi_load_float(LQ_F32, plane[LQ_PLANE_OFFSET], 0), n, out);
        return;
    }
    float offset = lqi_load_float(LQ_F32, plane[LQ_PLANE_OFFSET], 0);
    for (uint64_t i = 0, end; i < n; i = end) {
        uint64_t block = (first + i) / spec->scale2_block;
        float scale2 = lqi_load_float(LQ_F32, plane[LQ_PLANE_SCALE2], block);
        end = lqi_min(n, (block + 1) * spec->scale2_block - first);
        for (; i < end; i++)
            out[i] = scale2_decode(codes[first + i], scale2, offset);
    }
}

/* ---------------------------------------------------------------- lq_scales */

struct lq_scales {
    lq_allocator allocator;
    lq_dtype     type;
    uint32_t     block;        /* 0: one level */
    float        offset;
    uint64_t     n, bytes, blocks;
    uint8_t     *codes;        /* NULL when n is 0 */
    float       *scale2;       /* NULL for one level and when n is 0 */
};

void lq_scales_opts_init(lq_scales_opts *opts)
{
    lq_scales_opts init = LQ_SCALES_OPTS_INIT;

    if (opts)
        *opts = init;
}

static lq_status read_opts(const lq_scales_opts *in, lq_scales_opts *opts, lq_error *error)
{
    lq_status status = lqi_opts_read(opts, sizeof *opts, in);

    if (status)
        return lqi_fail(error, status, NULL, "lq_scales_opts is not one this library knows");
    if (!opts->type)
        opts->type = LQ_F32;
    if (!lqi_scale_bytes(opts->type))
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL, "scales cannot have type number %ld",
                        (long)opts->type);
    if (opts->scale2_block && opts->type != LQ_F32)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "two levels leave no choice of a type");
    if (opts->offset && !opts->scale2_block)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an offset needs scale2_block");
    return LQ_OK;
}

/* An object with room for n scales. */
static lq_status allocate(const lq_ctx *ctx, uint64_t n, const lq_scales_opts *opts,
                          lq_scales **out, lq_error *error)
{
    uint64_t element = opts->scale2_block ? 1 : lqi_scale_bytes(opts->type), bytes, unused;
    uint64_t blocks = opts->scale2_block ? lqi_div_up(n, opts->scale2_block) : 0;

    if (!lqi_mul(n, element, &bytes) || !lqi_mul(blocks, sizeof(float), &unused))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "too many scales");
    lq_scales *s = lqi_alloc_zero(&ctx->allocator, sizeof *s);
    if (!s)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    s->allocator = ctx->allocator;
    s->type = opts->type;
    s->block = opts->scale2_block;
    s->n = n;
    s->bytes = bytes;
    s->blocks = blocks;
    s->codes = lqi_alloc(&s->allocator, bytes);
    s->scale2 = lqi_alloc(&s->allocator, blocks * sizeof(float));
    if ((bytes && !s->codes) || (blocks && !s->scale2)) {
        lq_scales_destroy(s);
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory for %llu scales",
                        (unsigned long long)n);
    }
    *out = s;
    return LQ_OK;
}

static lq_status fill_one_level(lq_scales *s, const float *values, lq_error *error)
{
    for (uint64_t i = 0; i < s->n; i++) {
        if (!lqi_finite(lqi_scale_round(s->type, values[i])))
            return lqi_fail(error, LQ_ERR_NUMERIC, NULL, "scale %llu (%g) does not fit %s",
                            (unsigned long long)i, (double)values[i],
                            lq_dtype_name(s->type));
        lqi_scale_store(s->type, values[i], s->codes, i);
    }
    return LQ_OK;
}

static lq_status fill_two_levels(lq_scales *s, const float *values, const float *offset,
                                 lq_error *error)
{
    double sum = 0;

    for (uint64_t i = 0; i < s->n; i++)
        sum += values[i];
    s->offset = offset ? *offset : s->n ? (float)(sum / (double)s->n) : 0;
    if (!lqi_finite(s->offset))
        return lqi_fail(error, LQ_ERR_NONFINITE, NULL, "the offset is not finite");
    for (uint64_t b = 0; b < s->blocks; b++) {
        uint64_t first = b * s->block;
        size_t n = (size_t)lqi_min(s->block, s->n - first);
        lqi_scale2_encode(values + first, n, s->offset, s->codes + first, s->scale2 + b);
        if (!lqi_finite(s->scale2[b]))
            return lqi_fail(error, LQ_ERR_NUMERIC, NULL,
                            "scales from number %llu on are too far from the offset",
                            (unsigned long long)first);
    }
    return LQ_OK;
}

lq_status lq_scales_create(const lq_ctx *ctx, const float *values, uint64_t n,
                           const lq_scales_opts *opts_in, lq_scales **scales, lq_error *error)
{
    lq_scales_opts opts = { 0 };
    lq_scales *s;

    if (!ctx || !scales || (n && !values))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_scales_create: NULL argument");
    if ((uintptr_t)values % sizeof(float))
        return lqi_fail(error, LQ_ERR_ALIGN, NULL, "the scales are not aligned");
    lq_status status = read_opts(opts_in, &opts, error);
    if (!status)
        status = allocate(ctx, n, &opts, &s, error);
    if (status)
        return status;
    for (uint64_t i = 0; i < n && !status; i++)
        if (!lqi_finite(values[i]))
            status = lqi_fail(error, LQ_ERR_NONFINITE, NULL, "scale %llu is not finite",
                              (unsigned long long)i);
    if (!status)
        status = s->block ? fill_two_levels(s, values, opts.offset, error)
                          : fill_one_level(s, values, error);
    if (status)
        lq_scales_destroy(s);
    else
        *scales = s;
    return status;
}

lq_status lq_scales_from_stored(const lq_ctx *ctx, const void *codes, const float *scale2,
                                uint64_t n, const lq_scales_opts *opts_in,
                                lq_scales **scales, lq_error *error)
{
    lq_scales_opts opts = { 0 };
    lq_scales *s;

    if (!ctx || !scales || (n && !codes))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_scales_from_stored: NULL argument");
    lq_status status = read_opts(opts_in, &opts, error);
    if (status)
        return status;
    if (opts.scale2_block ? !opts.offset || (n && !scale2) : scale2 != NULL)
        return lqi_fail(error, LQ_ERR_ARG, NULL,
                        "two levels need scale2 and an offset, one level neither");
    status = allocate(ctx, n, &opts, &s, error);
    if (status)
        return status;
    if (n)
        memcpy(s->codes, codes, (size_t)s->bytes);
    if (s->blocks)
        memcpy(s->scale2, scale2, (size_t)s->blocks * sizeof(float));
    s->offset = opts.offset ? *opts.offset : 0;
    *scales = s;
    return LQ_OK;
}

void lq_scales_destroy(lq_scales *scales)
{
    if (!scales)
        return;
    lq_allocator allocator = scales->allocator;
    lqi_free(&allocator, scales->codes);
    lqi_free(&allocator, scales->scale2);
    lqi_free(&allocator, scales);
}

/* ------------------------------------------------------------------ access */

uint64_t lq_scales_count(const lq_scales *scales)
{
    return scales ? scales->n : 0;
}

const void *lq_scales_codes(const lq_scales *scales, uint64_t *bytes)
{
    if (bytes)
        *bytes = scales ? scales->bytes : 0;
    return scales ? scales->codes : NULL;
}

const float *lq_scales_scale2(const lq_scales *scales, uint64_t *count)
{
    if (count)
        *count = scales ? scales->blocks : 0;
    return scales ? scales->scale2 : NULL;
}

float lq_scales_offset(const lq_scales *scales)
{
    return scales ? scales->offset : 0;
}

lq_status lq_scales_decode(const lq_scales *scales, uint64_t first, uint64_t n,
                           float *values)
{
    if (!scales || (n && !values) || first > scales->n || n > scales->n - first)
        return LQ_ERR_ARG;
    if ((uintptr_t)values % sizeof *values)
        return LQ_ERR_ALIGN;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t k = first + i;
        values[i] = scales->block ? scale2_decode(scales->codes[k],
                                                  scales->scale2[k / scales->block],
                                                  scales->offset)
                                  : lqi_scale_load(scales->type, scales->codes, k);
    }
    return LQ_OK;
}
