/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/checkpoint.c - fuzz target: any bytes as a checkpoint in any dialect
 *
 * Whatever is accepted must describe weights whose planes lie inside the file, and must
 * load and decode.
 */
#include <stdint.h>
#include <stdlib.h>

#include "libquant/libquant.h"

#define VALUES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const lq_checkpoint *cp, uint64_t index, const lq_weight *w)
{
    static float y[VALUES_MAX];
    uint64_t n = w->shape.rows < 3 ? w->shape.rows : 3;
    lq_tensor *t = NULL;
    lq_status st;

    if (!w->shape.outer || !n || !w->shape.cols || w->shape.cols > VALUES_MAX / 3)
        return;
    st = lq_checkpoint_load(cp, index, &t, NULL);
    if (st && st != LQ_ERR_NONFINITE && st != LQ_ERR_CORRUPT)       /* of its scales */
        abort();
    if (lq_checkpoint_rows(cp, index, w->shape.outer - 1, w->shape.rows - n, n, y, NULL) != st)
        abort();
    lq_tensor_check(t, NULL);
    lq_tensor_destroy(t);
}

static void examine(const lq_checkpoint *cp, size_t size)
{
    for (uint64_t i = 0; i < lq_checkpoint_count(cp); i++) {
        lq_weight w = LQ_WEIGHT_INIT;
        uint64_t found;
        if (lq_checkpoint_weight(cp, i, &w) || !w.name || !w.dialect)
            abort();
        if (lq_checkpoint_find(cp, w.name, &found) || found != i)
            abort();
        if (w.bytes > 2 * (uint64_t)size)       /* planes: at most a little more */
            abort();
        if (w.spec)
            decode(cp, i, &w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *cp = NULL;
    lq_file *file = NULL;
    lq_ctx *ctx = NULL;

    if (lq_ctx_create(NULL, &ctx, NULL))
        return 0;
    if (!lq_file_open_memory(ctx, data, size, NULL, &file, NULL)) {
        lq_status st = lq_checkpoint_create(ctx, file, &cp, &error);
        if (st && (error.status != st || !error.message[0] || cp))
            abort();
        if (!st)
            examine(cp, size);
        if (st)
            lq_file_close(file);
    }
    lq_checkpoint_destroy(cp);
    lq_ctx_destroy(ctx);
    return 0;
}
