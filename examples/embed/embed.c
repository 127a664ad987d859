/* SPDX-License-Identifier: MIT */
/*
 * examples/embed/embed.c - first use: quantize a matrix, decode it, look at the error
 *
 *     cc embed.c $(pkg-config --cflags --libs libquant) -lm
 */
#include <libquant/libquant.h>

#include <math.h>
#include <stdio.h>

enum { ROWS = 64, COLS = 256 };

static float w[ROWS * COLS], w2[ROWS * COLS];

int main(void)
{
    double error = 0.0, total = 0.0;

    for (int i = 0; i < ROWS * COLS; i++)
        w[i] = sinf(0.7f * (float)i) + 0.1f * cosf(0.013f * (float)i * (float)i);

    /* The six lines.  Each call returns an lq_status; the last argument can be an
     * lq_error that explains it. */
    lq_ctx *ctx = NULL;  lq_spec spec = LQ_SPEC_INIT;  lq_tensor *q = NULL;
    lq_status status = lq_ctx_create(NULL, &ctx, NULL);
    if (!status) status = lq_spec_parse("nf4:b64:dq", &spec, NULL);
    if (!status) status = lq_tensor_encode(ctx, &spec, &(lq_shape){ 1, ROWS, COLS }, LQ_F32,
                                           w, NULL, &q, NULL);
    if (!status) status = lq_tensor_decode(q, LQ_F32, w2);

    lq_tensor_destroy(q);
    lq_ctx_destroy(ctx);
    if (status) {
        fprintf(stderr, "embed: %s\n", lq_status_text(status));
        return 1;
    }
    for (int i = 0; i < ROWS * COLS; i++) {
        error += ((double)w2[i] - w[i]) * ((double)w2[i] - w[i]);
        total += (double)w[i] * w[i];
    }
    printf("nf4:b64:dq of %d x %d numbers: relative RMSE %.4f\n", ROWS, COLS,
           sqrt(error / total));
    return 0;
}
