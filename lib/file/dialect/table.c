/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/table.c - every dialect, in the order in which they are asked
 *
 * For writing, the first that can hold a weight gets it; 'lq' holds everything.
 */
#include "lib/file/dialect/dialect.h"

const lqi_dialect *const lqi_dialects[] = {
    &lqi_dialect_gguf,
    &lqi_dialect_plain,
#ifdef LQI_HAVE_JSON
    &lqi_dialect_bitsandbytes,
    &lqi_dialect_gptq,
    &lqi_dialect_awq,
    &lqi_dialect_packed,
    &lqi_dialect_compressed_tensors,
    &lqi_dialect_fp8,
#endif
    &lqi_dialect_lq,
    NULL
};

const lqi_dialect *lqi_dialect_for(const lqi_out *out, lq_container container, int foreign)
{
    for (const lqi_dialect *const *d = lqi_dialects; *d; d++)
        if (((*d)->containers & 1u << container) && (foreign || !(*d)->config) &&
            !(*d)->asked && (*d)->can_hold(out))
            return *d;
    return NULL;
}
