/* SPDX-License-Identifier: MIT */
/*
 * lib/core/values.c - source numbers: any float type, any policy for what is not finite
 */
#include "lib/core/core.h"

#define CHUNK 1024

static void load(const lqi_values *v, uint64_t first, size_t n, float *out)
{
    if (v->type == LQ_F32) {
        memcpy(out, (const float *)v->x + first, n * sizeof *out);
        return;
    }
    const uint8_t *halves = (const uint8_t *)v->x + 2 * first;
    if (v->type == LQ_F16)
        v->ctx->kernels.f16_to_f32(halves, out, n);
    else
        v->ctx->kernels.bf16_to_f32(halves, out, n);
}

/* Largest finite magnitude of the row: what CLAMP makes of an infinity. */
static float largest_finite(const lqi_values *v)
{
    float most = 0;

    for (uint64_t i = 0; i < v->n; i++) {
        float a = fabsf(lqi_load_float(v->type, v->x, i));
        if (lqi_finite(a) && a > most)
            most = a;
    }
    return most;
}

static float repair(const lqi_values *v, float f)
{
    if (v->nonfinite == LQ_NONFINITE_ZERO || f != f)
        return 0;
    return copysignf(largest_finite(v), f);
}

lq_status lqi_values_read(const lqi_values *v, uint64_t first, size_t n, float *out)
{
    load(v, first, n, out);
    if (v->nonfinite == LQ_NONFINITE_PROPAGATE || !v->ctx->kernels.any_nonfinite(out, n))
        return LQ_OK;
    if (v->nonfinite == LQ_NONFINITE_ERROR)
        return LQ_ERR_NONFINITE;
    for (size_t i = 0; i < n; i++)
        if (!lqi_finite(out[i]))
            out[i] = repair(v, out[i]);
    return LQ_OK;
}

lq_status lqi_values_at(const lqi_values *v, uint64_t first, size_t n, float *buffer,
                        const float **x, uint32_t *most)
{
    *x = buffer;
    if (v->type == LQ_F32)
        *x = (const float *)v->x + first;
    if (v->finite) {
        *most = 0;
        return LQ_OK;
    }
    if (v->type != LQ_F32)
        load(v, first, n, buffer);
    *most = v->ctx->kernels.magnitude(*x, n);
    if (*most < 0x7f800000 || v->nonfinite == LQ_NONFINITE_PROPAGATE)
        return LQ_OK;
    *x = buffer;
    lq_status status = lqi_values_read(v, first, n, buffer);
    if (!status)
        *most = v->ctx->kernels.magnitude(buffer, n);
    return status;
}

lq_status lqi_values_range(const lqi_values *v, uint64_t first, uint64_t n, float *lo,
                           float *hi)
{
    float buffer[CHUNK];
    const float *x;
    uint32_t most;

    for (uint64_t i = 0; i < n; i += CHUNK) {
        size_t count = (size_t)lqi_min(CHUNK, n - i);
        lq_status status = lqi_values_at(v, first + i, count, buffer, &x, &most);
        if (status)
            return status;
        v->ctx->kernels.range(x, count, lo, hi);
    }
    return LQ_OK;
}

lq_status lqi_values_sum(const lqi_values *v, uint64_t first, uint64_t n, double *sum)
{
    float x[CHUNK];

    for (uint64_t i = 0; i < n; i += CHUNK) {
        size_t count = (size_t)lqi_min(CHUNK, n - i);
        lq_status status = lqi_values_read(v, first + i, count, x);
        if (status)
            return status;
        for (size_t k = 0; k < count; k++)
            *sum += (double)fabsf(x[k]);
    }
    return LQ_OK;
}
