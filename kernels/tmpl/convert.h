/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/convert.h - arrays of f16 and bf16 to and from f32
 *
 * Bits as in lib/base/half.h.  NaNs: f16 payloads differ between the hardware
 * conversion and half.h, so a vector with a NaN goes through half.h.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

static void f16_to_f32(const void *src, float *dst, size_t n)
{
    const uint8_t *s = src;
    size_t i = 0;

    for (; i + V_LANES <= n; i += V_LANES) {
        v_f32 v = v_from_f16(s + 2 * i);
        v_store(dst + i, v);
        if (v_any_nan(v))
            for (size_t j = i; j < i + V_LANES; j++)
                dst[j] = lqi_load_float(LQ_F16, s, j);
    }
    for (; i < n; i++)
        dst[i] = lqi_load_float(LQ_F16, s, i);
}

static void bf16_to_f32(const void *src, float *dst, size_t n)
{
    const uint8_t *s = src;
    size_t i = 0;

    for (; i + V_LANES <= n; i += V_LANES)
        v_store(dst + i, v_from_bf16(s + 2 * i));
    for (; i < n; i++)
        dst[i] = lqi_load_float(LQ_BF16, s, i);
}

static void f32_to_f16(const float *src, void *dst, size_t n)
{
    uint8_t *d = dst;
    size_t i = 0;

    for (; i + 2 * V_LANES <= n; i += 2 * V_LANES) {
        v_f32 a = v_load(src + i), b = v_load(src + i + V_LANES);
        v_to_f16(d + 2 * i, a);
        v_to_f16(d + 2 * (i + V_LANES), b);
        if (v_any_nan2(a, b))
            for (size_t j = i; j < i + 2 * V_LANES; j++)
                lqi_store16(d + 2 * j, lqi_f32_to_f16(src[j]));
    }
    for (; i < n; i++)
        lqi_store16(d + 2 * i, lqi_f32_to_f16(src[i]));
}

static void f32_to_bf16(const float *src, void *dst, size_t n)
{
    uint8_t *d = dst;
    size_t i = 0;

    for (; i + 2 * V_LANES <= n; i += 2 * V_LANES) {
        v_f32 a = v_load(src + i), b = v_load(src + i + V_LANES);
        v_to_bf16_2(d + 2 * i, a, b);
        if (v_any_nan2(a, b))
            for (size_t j = i; j < i + 2 * V_LANES; j++)
                lqi_store16(d + 2 * j, lqi_f32_to_bf16(src[j]));
    }
    for (; i < n; i++)
        lqi_store16(d + 2 * i, lqi_f32_to_bf16(src[i]));
}
