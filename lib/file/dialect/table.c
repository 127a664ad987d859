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
    &lqi_dialect_awq,
    &lqi_dialect_awq_gemv,
    &lqi_dialect_awq_fast,
    &lqi_dialect_modelopt,
    &lqi_dialect_fp8,
    &lqi_dialect_gpt_oss,
    &lqi_dialect_packed,
    &lqi_dialect_compressed_tensors,
    &lqi_dialect_gptq,
    &lqi_dialect_gptq_v1,
    &lqi_dialect_gptq_v2,
    &lqi_dialect_gptq_p,
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

int lq_dialect_can_hold(const char *name, const lq_spec *spec, const lq_shape *shape)
{
    lqi_out out = { .name = "x.weight", .n_dims = 2, .spec = LQ_SPEC_INIT };
    uint64_t bytes;
    int found = 0;

    if (!name || !spec || !shape || shape->outer > 1 ||
        lqi_opts_read(&out.spec, sizeof out.spec, spec) || lq_spec_complete(&out.spec, NULL) ||
        lqi_spec_plain(&out.spec) || lq_spec_bytes(&out.spec, shape, &bytes))
        return 0;
    out.shape = *shape;
    out.dims[0] = shape->rows;
    out.dims[1] = shape->cols;
    for (const lqi_dialect *const *d = lqi_dialects; *d && !found; d++)
        found = !strcmp((*d)->name, name) && (*d)->can_hold(&out);
    return found;
}

/* Named once where several descriptors share a name; what is not configured is no choice. */
const char *lq_dialect_name(size_t index)
{
    for (const lqi_dialect *const *d = lqi_dialects; *d; d++) {
        int again = d > lqi_dialects && !strcmp((*d)->name, d[-1]->name);
        int choice = (*d)->config || *d == &lqi_dialect_lq;
        if (choice && !again && index-- == 0)
            return (*d)->name;
    }
    return NULL;
}
