/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/panel_sums.h - exact sums of 8-bit panels times bytes: PANEL_SUMS
 *
 * Parameters: SUMS_VECTORS (vectors of rows side by side), SUMS_MAX (columns, 16 at most):
 * together the accumulators.
 *
 * The chunks of such a panel are 64 lines of codes behind their scales (S256_F32).
 */
#define SUMS_FRONT 64
#define SUMS_STEP  (SUMS_VECTORS * V_LANES)

#if V_SIGNED
/*
 * No product of bytes without sign and bytes with: halves of 16 bits, the activation in the
 * upper byte, so that 256 times the sum appears.  A chunk's is below 2^31.
 */
V_INLINE v_u32 sums_dot(v_u32 sum, v_u32 w, v_u32 x)
{
    const v_u32 low = v_set1u(0x00ff00ff), high = v_set1u(0xff00ff00);

    sum = v_dot2(sum, w & low, (x << 8) & high);
    return v_dot2(sum, (w >> 8) & low, x & high);
}

V_INLINE v_u32 sums_of_chunk(v_u32 sum)
{
    return ((sum + v_set1u(1u << 31)) >> 8) - v_set1u(1u << 23);
}

#define SUMS_WEIGHTS    v_u32
#define sums_weights(p) v_load_u32(p)
#else
#define SUMS_WEIGHTS            v_bytes
#define sums_weights(p)         v_bytes_load(p)
#define sums_dot(sum, w, x)     v_dot4(sum, w, x)
#define sums_of_chunk(sum)      (sum)
#endif

/* Sums of one line on their way; 'T' is a constant wherever this is inlined. */
V_INLINE void sums_line(const int T, const uint8_t *codes, const int32_t *x,
                        v_u32 (*sum)[SUMS_VECTORS])
{
    SUMS_WEIGHTS w[SUMS_VECTORS];

    EACH(i, SUMS_VECTORS)
        w[i] = sums_weights(codes + 4 * V_LANES * i);
    EACH(t, T) {
        v_u32 xt = v_set1u((uint32_t)x[t]);
        EACH(i, SUMS_VECTORS)
            sum[t][i] = sums_dot(sum[t][i], w[i], xt);
    }
}

/* One chunk of SUMS_STEP rows.  Of few columns even and odd lines have sums of their own:
 * else each dot product would wait for the last one. */
V_INLINE void sums_chunk(const int T, const uint8_t *codes, const int32_t *x, int32_t *y)
{
    const int odd = T <= SUMS_MAX / 4 ? T : 0;
    v_u32 sum[SUMS_MAX][SUMS_VECTORS];

    EACH(t, T + odd)
        EACH(i, SUMS_VECTORS)
            sum[t][i] = v_set1u(0);
    for (int j = 0; j < 64; j += 2, codes += 2 * 64, x += 2 * T) {
        sums_line(T, codes, x, sum);
        sums_line(T, codes + 64, x + T, sum + odd);
    }
    EACH(t, T)
        EACH(i, SUMS_VECTORS) {
            uint32_t *to = (uint32_t *)y + LQI_PANEL_ROWS * t + V_LANES * i;
            v_u32 all = odd ? sum[t][i] + sum[t + odd][i] : sum[t][i];
            v_store_u32(to, v_load_u32(to) + sums_of_chunk(all));
        }
}

V_INLINE void sums_columns(const int T, const uint8_t *panel, size_t chunks, const int32_t *x,
                           int32_t *y)
{
    for (size_t chunk = 0; chunk < chunks; chunk++, panel += LQI_SUMS_CHUNK, x += 64 * T)
        for (int row = 0; row < LQI_PANEL_ROWS; row += SUMS_STEP)
            sums_chunk(T, panel + SUMS_FRONT + 4 * row, x, y + row);
}

#define SUMS(T) \
    static void sums_##T(const uint8_t *panel, size_t chunks, const int32_t *x, int32_t *y) \
    { \
        sums_columns(T, panel, chunks, x, y); \
    }
SUMS(1) SUMS(2) SUMS(3) SUMS(4)
#if SUMS_MAX > 4
SUMS(5) SUMS(6)
#endif
#if SUMS_MAX > 6
SUMS(7) SUMS(8) SUMS(9) SUMS(10) SUMS(11) SUMS(12) SUMS(13) SUMS(14) SUMS(15) SUMS(16)
#endif
#undef SUMS

const lqi_panel_sums PANEL_SUMS = {
    .run = {
        sums_1, sums_2, sums_3, sums_4,
#if SUMS_MAX > 4
        sums_5, sums_6,
#endif
#if SUMS_MAX > 6
        sums_7, sums_8, sums_9, sums_10, sums_11, sums_12, sums_13, sums_14, sums_15, sums_16,
#endif
    },
    .columns = SUMS_MAX,
};
