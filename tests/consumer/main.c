/* SPDX-License-Identifier: MIT */
/*
 * tests/consumer/main.c - a stranger's program: built against an installed libquant, as a
 * subproject, and by a bare compiler call
 */
#include <stdio.h>

#include <libquant/libquant.h>

int main(void)
{
    float w[2 * 64], back[2 * 64];
    lq_ctx *ctx = NULL;
    lq_spec spec = LQ_SPEC_INIT;
    lq_shape shape = { 1, 2, 64 };
    lq_tensor *tensor = NULL;
    double error = 0;

    for (int i = 0; i < 128; i++)
        w[i] = (float)(i % 17 - 8) / 8;
    if (lq_ctx_create(NULL, &ctx, NULL) || lq_spec_parse("nf4:b64:dq", &spec, NULL) ||
        lq_tensor_encode(ctx, &spec, &shape, LQ_F32, w, NULL, &tensor, NULL) ||
        lq_tensor_decode(tensor, LQ_F32, back))
        return 1;
    for (int i = 0; i < 128; i++)
        error += (w[i] - back[i]) * (w[i] - back[i]);
    printf("libquant %s: squared error %g\n", lq_version_string(), error);
    lq_tensor_destroy(tensor);
    lq_ctx_destroy(ctx);
    return error < 1 ? 0 : 2;
}
