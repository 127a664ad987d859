/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/gemm_tile.h - the tile of the plain product, and the packing for it
 *
 * Parameters: GEMM_MR rows, GEMM_NV vectors of columns.  GEMM_MR * GEMM_NV accumulators,
 * GEMM_NV vectors of B and one number of A must fit the registers.  GEMM_MR divides V_LANES,
 * so that a vector of lines fills whole panels.
 */
#if !defined(V_LANES) || !defined(GEMM_MR) || !defined(GEMM_NV)
#error "gemm_tile.h needs a vocabulary, GEMM_MR and GEMM_NV"
#endif
#if V_LANES % GEMM_MR
#error "gemm_tile.h: GEMM_MR divides V_LANES"
#endif

#define GEMM_NR (GEMM_NV * V_LANES)

/* Sums are asked for early, into the second cache: they come from far away, and rows of C
 * are often a power of two apart, which a first cache cannot hold. */
V_INLINE void gemm_fetch(const float *sums, size_t ld, int rows, size_t cols)
{
#pragma GCC unroll 1
    for (int i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j += V_LANES)
            __builtin_prefetch(sums + i * ld + j, 0, 2);
        __builtin_prefetch(sums + i * ld + cols - 1, 0, 2);
    }
}

/* 'rows' and 'vectors' are constants wherever this is inlined. */
V_INLINE void gemm_sum(const int rows, const int vectors, const lqi_gemm_tile *t)
{
    const float *a = t->a, *b = t->b;
    v_f32 sum[GEMM_MR][GEMM_NV];

    gemm_fetch(t->sums, t->ld, rows, vectors * V_LANES);
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            sum[i][v] = v_set1(0);
    for (size_t k = t->k; k; k--, a += GEMM_MR, b += GEMM_NR) {
        v_f32 column[GEMM_NV];
        for (int v = 0; v < vectors; v++)
            column[v] = v_load(b + v * V_LANES);
        for (int i = 0; i < rows; i++) {
            v_f32 ai = v_set1(a[i]);
            for (int v = 0; v < vectors; v++)
                sum[i][v] = v_fma(ai, column[v], sum[i][v]);
        }
    }
    if (t->add)
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++)
                sum[i][v] = v_add(v_load(t->sums + i * t->ld + v * V_LANES), sum[i][v]);
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            v_store(t->sums + i * t->ld + v * V_LANES, sum[i][v]);
}

static void gemm_tile(const lqi_gemm_tile *t)
{
    if (t->cols <= V_LANES)
        gemm_sum(GEMM_MR, 1, t);
    else if (t->rows == 1)
        gemm_sum(1, GEMM_NV, t);
    else if (t->cols <= 2 * V_LANES)
        gemm_sum(GEMM_MR, 2, t);
    else
        gemm_sum(GEMM_MR, GEMM_NV, t);
}

/* ----------------------------------------------------------------- packing */

/* A row of a panel; 'room' numbers can be read.  What a vector writes beyond the width,
 * the next row overwrites. */
V_INLINE void gemm_copy_row(const float *x, size_t room, size_t width, float *to)
{
    if (room >= (width > V_LANES ? width : V_LANES)) {
        for (size_t i = 0; i < width; i += V_LANES)
            v_store(to + i, v_load(x + i));
    } else {
        for (size_t i = 0; i < width; i++)
            to[i] = i < room ? x[i] : 0;
    }
}

static void gemm_copy(const lqi_gemm_pack *p)
{
    for (size_t line = 0; line < p->n; line += p->width) {
        float *to = p->panels + line / p->width * p->stride;
        for (size_t c = 0; c < p->k; c++)
            gemm_copy_row(p->x + c * p->ldx + line, p->n - line, p->width, to + c * p->width);
    }
}

/* V_LANES lines; missing ones are the last one again.  They are a piece of a panel, or
 * several panels. */
static void gemm_transpose_lanes(const lqi_gemm_pack *p, size_t line)
{
    const size_t step = p->width < V_LANES ? p->width : V_LANES;
    const float *lines[V_LANES];
    float block[V_LANES * V_LANES + V_LANES];
    size_t c = 0;

    for (size_t i = 0; i < V_LANES; i++)
        lines[i] = p->x + (line + i < p->n ? line + i : p->n - 1) * p->ldx;
    for (; c + V_LANES <= p->k; c += V_LANES) {
        v_transpose(lines, c, block);
        for (size_t i = 0; i < V_LANES && line + i < p->n; i += step) {
            float *to = p->panels + (line + i) / p->width * p->stride + (line + i) % p->width;
            for (size_t l = 0; l < V_LANES; l++)
                v_store(to + (c + l) * p->width, v_load(block + l * V_LANES + i));
        }
    }
    for (size_t i = 0; i < V_LANES && line + i < p->n; i++) {
        float *to = p->panels + (line + i) / p->width * p->stride + (line + i) % p->width;
        for (size_t l = c; l < p->k; l++)
            to[l * p->width] = lines[i][l];
    }
}

static void gemm_transpose(const lqi_gemm_pack *p)
{
    for (size_t line = 0; line < p->n; line += V_LANES)
        gemm_transpose_lanes(p, line);
}
