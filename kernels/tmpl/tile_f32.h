/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/tile_f32.h - the f32 tile, written once in the vector vocabulary
 *
 * Parameters: TILE_MR, TILE_NR (rows and vectors of the tile; their product is the
 * number of accumulators and must leave registers for one row and one vector).
 *
 * Each output is V_LANES chains of fused multiply-adds over c = lane (mod V_LANES),
 * added up pairwise by v_sum, then a scalar chain over the last k % V_LANES columns.
 * The order depends on k and V_LANES only.
 */
#if !defined(V_LANES) || !defined(TILE_MR) || !defined(TILE_NR)
#error "tile_f32.h needs a vocabulary, TILE_MR and TILE_NR"
#endif

static void tile_f32(const float *w, size_t ldw, const float *x, size_t ldx, size_t k,
                     float *y, size_t ldy)
{
    v_f32 sum[TILE_NR][TILE_MR];
    size_t c = 0;

    for (int j = 0; j < TILE_NR; j++)
        for (int i = 0; i < TILE_MR; i++)
            sum[j][i] = v_set1(0);
    for (; c + V_LANES <= k; c += V_LANES) {
        for (int j = 0; j < TILE_NR; j++) {
            v_f32 xj = v_load(x + j * ldx + c);
            for (int i = 0; i < TILE_MR; i++)
                sum[j][i] = v_fma(v_load(w + i * ldw + c), xj, sum[j][i]);
        }
    }
    for (int j = 0; j < TILE_NR; j++) {
        for (int i = 0; i < TILE_MR; i++) {
            float s = v_sum(sum[j][i]);
            for (size_t t = c; t < k; t++)
                s = v_fmaf(w[i * ldw + t], x[j * ldx + t], s);
            y[j * ldy + i] += s;
        }
    }
}
