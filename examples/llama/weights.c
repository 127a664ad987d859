/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/weights.c - size and error of the layers' projection matrices
 */
#include "llama.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *decode(const linear *l)
{
    float *values = allocate(l->rows * l->cols, sizeof *values);

    check(lq_tensor_decode(l->tensor, LQ_F32, values), NULL, "decode");
    return values;
}

/*
 * Row of a GGUF's q or k that holds row r of the Hugging Face one: per head, the halves
 * (0..d/2-1, d/2..d-1) that rotate together become neighbours.
 */
static uint64_t gguf_row(uint64_t r, uint64_t head_dim)
{
    uint64_t head = r / head_dim, i = r % head_dim, half = head_dim / 2;

    return head * head_dim + (i < half ? 2 * i : 2 * (i - half) + 1);
}

static uint64_t row_in(const model *m, int projection, uint64_t r)
{
    if (m->c.gguf_names && (projection == PROJ_Q || projection == PROJ_K))
        return gguf_row(r, m->c.head_dim);
    return r;
}

static void add_errors(const model *m, const model *reference, uint32_t layer_index,
                       int projection, double *error, double *total)
{
    const linear *a = &m->layers[layer_index].proj[projection];
    const linear *b = &reference->layers[layer_index].proj[projection];
    float *x = decode(a), *y = decode(b);

    for (uint64_t r = 0; r < a->rows; r++) {
        const float *p = x + row_in(m, projection, r) * a->cols;
        const float *q = y + row_in(reference, projection, r) * b->cols;

        for (uint64_t i = 0; i < a->cols; i++) {
            *error += ((double)p[i] - q[i]) * ((double)p[i] - q[i]);
            *total += (double)q[i] * q[i];
        }
    }
    free(x);
    free(y);
}

static void name_spec(const model *m, weight_stats *stats)
{
    char text[LQ_SPEC_TEXT];

    for (uint32_t i = 0; i < m->c.layers; i++)
        for (int p = 0; p < PROJECTIONS; p++) {
            const lq_spec *spec = lq_tensor_spec(m->layers[i].proj[p].tensor);

            check(lq_spec_print(spec, text, sizeof text), NULL, "spec");
            if (!stats->spec[0])
                memcpy(stats->spec, text, sizeof text);
            if (strcmp(stats->spec, text))
                memcpy(stats->spec, "mixed", 6);
        }
}

weight_stats weights_measure(const model *m, const model *reference)
{
    weight_stats stats = { 0 };
    double error = 0.0, total = 0.0;

    for (uint32_t i = 0; i < m->c.layers; i++)
        for (int p = 0; p < PROJECTIONS; p++) {
            const linear *l = &m->layers[i].proj[p];

            stats.weights += l->rows * l->cols;
            stats.bytes += l->bytes;
            if (reference)
                add_errors(m, reference, i, p, &error, &total);
        }
    name_spec(m, &stats);
    stats.relative_rmse = total > 0.0 ? sqrt(error / total) : 0.0;
    return stats;
}
