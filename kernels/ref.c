/* SPDX-License-Identifier: MIT */
/*
 * kernels/ref.c - every kernel in plain C: the specification, and the level "ref"
 */
#include "kernels/kernels.h"
#include "lib/base/half.h"

static void f16_to_f32(const void *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = lqi_load_float(LQ_F16, src, i);
}

static void bf16_to_f32(const void *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = lqi_load_float(LQ_BF16, src, i);
}

static void e4m3_to_f32(const uint8_t *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = lqi_e4m3_to_f32(src[i]);
}

static void f32_to_f16(const float *src, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lqi_store16((uint8_t *)dst + 2 * i, lqi_f32_to_f16(src[i]));
}

static void f32_to_bf16(const float *src, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lqi_store16((uint8_t *)dst + 2 * i, lqi_f32_to_bf16(src[i]));
}

static uint32_t magnitude(const float *x, size_t n)
{
    uint32_t most = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t a = lqi_float_bits(x[i]) & 0x7fffffff;
        most = a > most ? a : most;
    }
    return most;
}

static int any_nonfinite(const float *x, size_t n)
{
    return magnitude(x, n) >= 0x7f800000;
}

static void range(const float *x, size_t n, float *lo, float *hi)
{
    for (size_t i = 0; i < n; i++) {
        *lo = x[i] < *lo ? x[i] : *lo;
        *hi = x[i] > *hi ? x[i] : *hi;
    }
    *lo += 0.0f;
    *hi += 0.0f;
}

static void nearest(const lqi_bins *bins, const float *x, size_t n, uint8_t *codes)
{
    for (size_t i = 0; i < n; i++)
        codes[i] = lqi_bins_code(bins, x[i]);
}

/* One chain of fused multiply-adds in ascending order per output. */
static void tile_f32(const float *w, size_t ldw, const float *x, size_t ldx, size_t k,
                     float *y, size_t ldy)
{
    for (size_t j = 0; j < 2; j++) {
        for (size_t i = 0; i < 2; i++) {
            float sum = 0;
            for (size_t c = 0; c < k; c++)
                sum = fmaf(w[i * ldw + c], x[j * ldx + c], sum);
            y[j * ldy + i] += sum;
        }
    }
}

#define GEMM_R 4   /* mr and nr */

static void gemm_tile(const lqi_gemm_tile *t)
{
    for (size_t i = 0; i < t->rows; i++) {
        for (size_t j = 0; j < t->cols; j++) {
            float *to = t->sums + i * t->ld + j, sum = 0;
            for (size_t l = 0; l < t->k; l++)
                sum = fmaf(t->a[l * GEMM_R + i], t->b[l * GEMM_R + j], sum);
            *to = t->add ? *to + sum : sum;
        }
    }
}

static void gemm_pack(const lqi_gemm_pack *p, size_t line_step, size_t step)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t c = 0; c < p->k; c++)
            p->panels[i / p->width * p->stride + c * p->width + i % p->width] =
                p->x[i * line_step + c * step];
}

static void gemm_copy(const lqi_gemm_pack *p)
{
    gemm_pack(p, 1, p->ldx);
}

static void gemm_transpose(const lqi_gemm_pack *p)
{
    gemm_pack(p, p->ldx, 1);
}

void lqi_kernels_init_ref(lqi_kernels *k)
{
    lqi_kernels_init_optim_ref(k);
    k->panel = &lqi_panel_kernels_ref;
    k->sums = &lqi_panel_sums_ref;
    k->tile_f32 = (lqi_tile_f32){ tile_f32, 2, 2 };
    k->gemm = (lqi_gemm){ gemm_tile, gemm_copy, gemm_transpose, GEMM_R, GEMM_R };
    k->magnitude = magnitude;
    k->any_nonfinite = any_nonfinite;
    k->range = range;
    k->nearest = nearest;
    k->f16_to_f32 = f16_to_f32;
    k->bf16_to_f32 = bf16_to_f32;
    k->e4m3_to_f32 = e4m3_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->f32_to_bf16 = f32_to_bf16;
}
