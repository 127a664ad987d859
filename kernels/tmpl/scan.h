/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/scan.h - what rows are looked through for: range, magnitude, NaN
 *
 * Four chains of minimums and maximums hide their latency.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

#define SCAN 4   /* vectors at a time */

static uint32_t magnitude(const float *x, size_t n)
{
    v_u32 most[SCAN] = { { 0 } };
    uint32_t result = 0, a;
    size_t i = 0;

    for (; i + SCAN * V_LANES <= n; i += SCAN * V_LANES)
        for (int k = 0; k < SCAN; k++)
            most[k] = v_umax(most[k], v_as_u32(v_abs(v_load(x + i + V_LANES * k))));
    for (; i + V_LANES <= n; i += V_LANES)
        most[0] = v_umax(most[0], v_as_u32(v_abs(v_load(x + i))));
    for (; i < n; i++) {
        a = lqi_float_bits(x[i]) & 0x7fffffff;
        result = a > result ? a : result;
    }
    a = v_umax_all(v_umax(v_umax(most[0], most[1]), v_umax(most[2], most[3])));
    return a > result ? a : result;
}

static int any_nonfinite(const float *x, size_t n)
{
    return magnitude(x, n) >= 0x7f800000;
}

/* A NaN in x gives v_min and v_max their second operand. */
static void range(const float *x, size_t n, float *lo, float *hi)
{
    v_f32 least[SCAN], most[SCAN];
    size_t i = 0;

    for (int k = 0; k < SCAN; k++) {
        least[k] = v_set1(*lo);
        most[k] = v_set1(*hi);
    }
    for (; i + SCAN * V_LANES <= n; i += SCAN * V_LANES)
        for (int k = 0; k < SCAN; k++) {
            v_f32 v = v_load(x + i + V_LANES * k);
            least[k] = v_min(v, least[k]);
            most[k] = v_max(v, most[k]);
        }
    for (; i + V_LANES <= n; i += V_LANES) {
        v_f32 v = v_load(x + i);
        least[0] = v_min(v, least[0]);
        most[0] = v_max(v, most[0]);
    }
    float l = v_min_all(v_min(v_min(least[0], least[1]), v_min(least[2], least[3])));
    float h = v_max_all(v_max(v_max(most[0], most[1]), v_max(most[2], most[3])));
    for (; i < n; i++) {
        l = x[i] < l ? x[i] : l;
        h = x[i] > h ? x[i] : h;
    }
    *lo = l + 0.0f;
    *hi = h + 0.0f;
}
