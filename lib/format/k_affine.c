/* SPDX-License-Identifier: MIT */
/*
 * lib/format/k_affine.c - superblocks with scales and minimums: Q2_K, Q4_K, Q5_K
 */
#include "lib/format/k_affine.h"

/* Search sub-block j; *weight is the sum of its weights, which importances need. */
static lqi_qkx search(const lqi_k_plan *plan, const lqi_fit *in, float ms, int j, float *weight)
{
    const float *x = in->x + plan->sub * j;
    float w[LQI_SEARCH_MAX], rms = 0;

    if (in->imp) {
        *weight = lqi_search_weights(x, in->imp + plan->sub * j, plan->sub, ms, w);
        return lqi_make_qkx(&plan->weighted, x, w, plan->sub);
    }
    if (plan->with_rms)
        rms = sqrtf(lqi_sum_squares(x, plan->sub) / (float)plan->sub);
    for (int i = 0; i < plan->sub; i++)
        w[i] = rms + fabsf(x[i]);
    *weight = 0;
    return lqi_make_qkx(&plan->plain, x, w, plan->sub);
}

static float mean_square(const lqi_k_plan *plan, const lqi_fit *in)
{
    return in->imp ? plan->ms * lqi_sum_squares(in->x, LQI_K_LEN) / LQI_K_LEN : 0;
}

float lqi_k_round_to_top(const lqi_k_plan *plan, const float *v, int n, uint8_t *codes)
{
    float most = 0;

    for (int j = 0; j < n; j++)
        most = v[j] > most ? v[j] : most;
    float inverse = most > 0 ? (float)plan->top / most : 0;
    for (int j = 0; j < n; j++) {
        uint8_t code = (uint8_t)lqi_nearest_int(inverse * v[j]);
        codes[j] = code > plan->cut ? (uint8_t)plan->cut : code;
    }
    return most / (float)plan->top;
}

void lqi_k_fit(const lqi_k_plan *plan, const lqi_fit *in, lqi_k_param *p)
{
    float scale[LQI_K_SUBS], min[LQI_K_SUBS], weight[LQI_K_SUBS], d, dmin;
    float ms = mean_square(plan, in);
    int subs = LQI_K_LEN / plan->sub;

    for (int j = 0; j < subs; j++) {
        lqi_qkx won = search(plan, in, ms, j, &weight[j]);
        scale[j] = won.scale;
        min[j] = won.min;
    }
    if (in->imp) {
        d = lqi_make_qp(scale, weight, subs, plan->top, p->sc);
        dmin = lqi_make_qp(min, weight, subs, plan->top, p->m);
    } else {
        d = lqi_k_round_to_top(plan, scale, subs, p->sc);
        dmin = lqi_k_round_to_top(plan, min, subs, p->m);
    }
    p->d = lqi_store_scale(d);
    p->dmin = lqi_store_scale(dmin);
}

static void search_codes(const lqi_k_plan *plan, const lqi_fit *in, int j, uint32_t *codes)
{
    float weight;
    lqi_qkx won = search(plan, in, mean_square(plan, in), j, &weight);

    for (int i = 0; i < plan->sub; i++)
        codes[i] = lqi_qkx_code(&won, plan->plain.nmax, in->x[plan->sub * j + i]);
}

void lqi_k_round(const lqi_k_plan *plan, const lqi_fit *in, const lqi_k_param *p,
                 uint32_t *codes)
{
    float d = lqi_f16_to_f32(p->d), dmin = lqi_f16_to_f32(p->dmin);

    for (int j = 0; j < LQI_K_LEN / plan->sub; j++, codes += plan->sub) {
        float scale = d * p->sc[j], min = dmin * p->m[j];
        if (scale == 0) {
            search_codes(plan, in, j, codes);
            continue;
        }
        for (int i = 0; i < plan->sub; i++) {
            int l = lqi_nearest_int((in->x[plan->sub * j + i] + min) / scale);
            codes[i] = (uint32_t)lqi_clamp_int(l, 0, plan->plain.nmax);
        }
    }
}

void lqi_k_value(const lqi_k_plan *plan, const lqi_k_param *p, const uint32_t *codes, size_t n,
                 float *y)
{
    float d = lqi_f16_to_f32(p->d), dmin = lqi_f16_to_f32(p->dmin);

    for (size_t i = 0; i < n; i++) {
        size_t j = i / (size_t)plan->sub;
        float scale = d * p->sc[j], min = dmin * p->m[j];
        y[i] = scale * (float)codes[i] - min;
    }
}

/* ------------------------------------------------------------------ layout */

/* The reference packs bytes without masking sc and m; what is above their 6 bits runs
 * into sub-block j + 4. */
void lqi_k_scales_write(const lqi_k_param *p, uint8_t *s)
{
    for (int j = 0; j < 4; j++) {
        s[j] = (uint8_t)(p->sc[j] | p->sc[j + 4] >> 4 << 6);
        s[4 + j] = (uint8_t)(p->m[j] | p->m[j + 4] >> 4 << 6);
        s[8 + j] = (uint8_t)((p->sc[j + 4] & 15) | (p->m[j + 4] & 15) << 4);
    }
}

void lqi_k_scales_read(const uint8_t *s, lqi_k_param *p)
{
    for (int j = 0; j < 4; j++) {
        p->sc[j] = s[j] & 63;
        p->m[j] = s[4 + j] & 63;
        p->sc[j + 4] = (uint8_t)((s[8 + j] & 15) | s[j] >> 6 << 4);
        p->m[j + 4] = (uint8_t)(s[8 + j] >> 4 | s[4 + j] >> 6 << 4);
    }
}
