/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/adapter.c - fuzz target: any bytes as a LoRA adapter
 *
 * Two bytes of length, little-endian, and so much of adapter_config.json; the rest is
 * adapter_model.safetensors.  Whatever is accepted can be used.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libquant/libquant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned seen;   /* what was read: so that it is read */

static unsigned touch(const void *p, uint64_t n, lq_dtype type)
{
    const uint8_t *bytes = p;
    unsigned sum = 0;

    for (uint64_t i = 0; i < n * lq_dtype_bytes(type); i++)
        sum += bytes[i];
    return sum;
}

static void check(const lq_adapter *adapter)
{
    lq_adapter_config c = LQ_ADAPTER_CONFIG_INIT;
    unsigned sum = 0;

    if (lq_adapter_get_config(adapter, &c) != LQ_OK || c.rank == 0 || c.alpha == 0)
        abort();
    for (uint64_t i = 0; i < c.target_count; i++)
        sum += (unsigned)strlen(c.targets[i]);
    for (uint64_t i = 0; i < lq_adapter_count(adapter); i++) {
        lq_adapter_module m = LQ_ADAPTER_MODULE_INIT;
        uint64_t found;

        if (lq_adapter_at(adapter, i, &m) != LQ_OK || m.rank == 0 || !m.name[0] ||
            !isfinite(m.scale) || m.scale == 0)
            abort();
        if (lq_adapter_find(adapter, m.name, &found) != LQ_OK || found != i)
            abort();
        sum += touch(m.a, m.rank * m.cols, m.type) + touch(m.b, m.rows * m.rank, m.type);
    }
    seen = sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lq_error error = LQ_ERROR_INIT;
    lq_adapter *adapter = NULL;
    lq_ctx *ctx = NULL;
    size_t config;
    lq_status status;

    if (size < 2 || lq_ctx_create(NULL, &ctx, NULL) != LQ_OK)
        return 0;
    config = data[0] | (size_t)data[1] << 8;
    config = config < size - 2 ? config : size - 2;
    status = lq_adapter_open_memory(ctx, data + 2, config, data + 2 + config, size - 2 - config,
                                    &adapter, &error);
    if (status == LQ_OK)
        check(adapter);
    else if (error.status != status || !error.message[0] || adapter)
        abort();
    lq_adapter_destroy(adapter);
    lq_ctx_destroy(ctx);
    return 0;
}
