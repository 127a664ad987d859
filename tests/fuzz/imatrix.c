/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/imatrix.c - fuzz target: any bytes as a file of importances
 *
 * Importances that are accepted are finite, not negative and findable by name.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "libquant/libquant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const lq_imatrix *imatrix)
{
    for (uint64_t i = 0; i < lq_imatrix_count(imatrix); i++) {
        const char *name;
        const float *values, *found;
        uint64_t count;
        if (lq_imatrix_at(imatrix, i, &name, &values, &count) != LQ_OK || count == 0)
            abort();
        for (uint64_t k = 0; k < count; k++)
            if (!isfinite(values[k]) || values[k] < 0)
                abort();
        if (lq_imatrix_find(imatrix, name, &found, &count) != LQ_OK || found != values)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lq_error error = LQ_ERROR_INIT;
    lq_imatrix *imatrix = NULL;
    lq_ctx *ctx = NULL;
    lq_status status;

    if (lq_ctx_create(NULL, &ctx, NULL) != LQ_OK)
        return 0;
    status = lq_imatrix_open_memory(ctx, data, size, &imatrix, &error);
    if (status != LQ_OK && (imatrix || error.status != status || !error.message[0]))
        abort();
    check(imatrix);
    lq_imatrix_destroy(imatrix);
    lq_ctx_destroy(ctx);
    return 0;
}
