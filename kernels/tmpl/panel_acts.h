/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/panel_acts.h - activations to 8-bit integers
 *
 *     scale = amax / 127, q = nearest even of x * (127 / amax)
 *
 * over 32 or 256 activations.  Below ACTS_LEAST all count as zero, so that 127 / amax is a
 * number.  A NaN or an infinity makes the scale NaN, and with it every product of the
 * column.  The order of everything that rounds is fixed, so all levels agree.
 */
#define ACTS_LEAST 1e-30f

/* scale and inverse from the bits of the largest magnitude */
static float acts_scale(uint32_t most, float *inverse)
{
    float amax;

    memcpy(&amax, &most, sizeof amax);
    *inverse = 0;
    if (most >= 0x7f800000)
        return NAN;
    if (amax < ACTS_LEAST)
        return 0;
    *inverse = 127 / amax;
    return amax / 127;
}

V_INLINE uint32_t acts_most(const float *x, int n)
{
    v_u32 most = v_set1u(0);

    for (int i = 0; i < n; i += V_LANES)
        most = v_umax(most, v_as_u32(v_load(x + i)) & v_set1u(0x7fffffff));
    return v_umax_all(most);
}

/* 16 integers of x * inverse, as bytes; their sum. */
V_INLINE int32_t acts_sixteen(const float *x, float inverse, int8_t *q)
{
    const v_f32 magic = v_set1(12582912.0f);   /* nearest even: the low bits of the sum */
    v_u32 sum = v_set1u(0);

    for (int i = 0; i < 16; i += V_LANES) {
        v_f32 shifted = v_add(v_mul(v_load(x + i), v_set1(inverse)), magic);
        v_u32 n = v_as_u32(shifted) - v_as_u32(magic);
        v_store_bytes((uint8_t *)q + i, v_as_f32(n));
        sum = sum + n;
    }
    return (int32_t)v_usum_all(sum);
}

/* Sums of four steps as 16-bit halves. */
static void acts_pairs(const int32_t *sum, int32_t *pair, size_t stride)
{
    pair[0] = (int32_t)((uint32_t)(uint16_t)sum[0] | (uint32_t)sum[2] << 16);
    pair[stride] = (int32_t)((uint32_t)(uint16_t)sum[1] | (uint32_t)sum[3] << 16);
}

/* The sums that kernels want, from those over 16. */
static void acts_sums(int kind, const int32_t sum[16], size_t chunk, const lqi_acts_column *c)
{
    int32_t sum32[8];

    for (size_t g = 0; g < 8; g++) {
        sum32[g] = sum[2 * g] + sum[2 * g + 1];
        c->sum[1][(8 * chunk + g) * c->stride] = -sum32[g];
    }
    if (kind == LQI_ACTS_32)
        return;
    for (size_t g = 0; g < 16; g++)
        c->sum[0][(16 * chunk + g) * c->stride] = -sum[g];
    for (size_t g = 0; g < 4; g++) {
        c->sum[2][(4 * chunk + g) * c->stride] = -sum32[2 * g] - sum32[2 * g + 1];
        acts_pairs(sum + 4 * g, c->pair[0] + 2 * (4 * chunk + g) * c->stride, c->stride);
    }
    for (size_t g = 0; g < 2; g++)
        acts_pairs(sum32 + 4 * g, c->pair[1] + 2 * (2 * chunk + g) * c->stride, c->stride);
}

/* ACTS_F32; the power: panel_float.h. */
static void acts_floats(const float *x, size_t chunk, const lqi_acts_column *c)
{
    for (size_t i = 0; i < LQI_PANEL_CHUNK; i++)
        c->f[(LQI_PANEL_CHUNK * chunk + i) * c->stride] = x[i] * 0x1p60f;
}

/* Sum of 'group' bf16: four chains. */
static float acts_sum_words(const uint16_t *w, int group)
{
    float sum[4] = { 0, 0, 0, 0 };

    for (int i = 0; i < group; i++)
        sum[i % 4] += lqi_bf16_to_f32(w[i]);
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* ACTS_PAIRS; group 0: without sums. */
static void acts_words(const float *x, int group, size_t chunk, const lqi_acts_column *c)
{
    const int sums = group ? LQI_PANEL_CHUNK / group : 0;
    int32_t *to = c->x + LQI_PANEL_CHUNK / 2 * chunk * c->stride;
    uint16_t w[LQI_PANEL_CHUNK];

    for (int i = 0; i < LQI_PANEL_CHUNK; i += V_LANES)
        v_to_bf16(w + i, v_load(x + i));
    for (int i = 0; i < LQI_PANEL_CHUNK; i += 4, to += 2 * c->stride) {
        to[0] = (int32_t)(w[i] | (uint32_t)w[i + 2] << 16);
        to[c->stride] = (int32_t)(w[i + 1] | (uint32_t)w[i + 3] << 16);
    }
    for (int g = 0; g < sums; g++)
        c->fsum[((size_t)sums * chunk + (size_t)g) * c->stride] =
            acts_sum_words(w + group * g, group);
}

static void acts_chunk(int kind, const float *x, size_t chunk, const lqi_acts_column *c)
{
    const int group = kind == LQI_ACTS_32 ? 32 : 256;
    int32_t sum[16];
    int8_t q[256];
    float inverse = 0, scale = 0;

    if (kind == LQI_ACTS_F32) {
        acts_floats(x, chunk, c);
        return;
    }
    if (kind >= LQI_ACTS_PAIRS) {
        acts_words(x, kind == LQI_ACTS_PAIRS ? 0 : kind == LQI_ACTS_PAIRS_32 ? 32 : 64, chunk, c);
        return;
    }
    for (int g = 0; g < 16; g++) {
        if (16 * g % group == 0)
            scale = acts_scale(acts_most(x + 16 * g, group), &inverse);
        sum[g] = acts_sixteen(x + 16 * g, inverse, q + 16 * g);
        if (scale != scale)   /* then q is anything, and results are NaN */
            sum[g] = 0;
        if (kind == LQI_ACTS_32 && g % 2) {
            size_t at = (8 * chunk + (size_t)g / 2) * c->stride;
            c->scale[at] = scale;
            c->fsum[at] = scale * (float)(sum[g - 1] + sum[g]);
        }
    }
    if (kind == LQI_ACTS_256)
        c->scale[chunk * c->stride] = scale;
    acts_sums(kind, sum, chunk, c);
    for (size_t i = 0; i < 64; i++)
        memcpy(&c->x[(64 * chunk + i) * c->stride], q + 4 * i, 4);
}
