/* SPDX-License-Identifier: MIT */
/*
 * lib/file/output.c - a planned weight's planes into a writer's tensors
 */
#include "lib/file/dialect/dialect.h"

lq_status lqi_out_declare(lqi_out *out, const char *base, const char *suffix, lq_dtype dtype,
                          uint32_t n_dims, const uint64_t *dims, uint64_t *index)
{
    lqi_buffer name = { .allocator = lqi_ctx_allocator(out->ctx) };
    lqi_where where = { NULL, out->name, LQ_NO_OFFSET };
    static const uint64_t none[1];
    lq_status st;

    lqi_buffer_text(&name, base);
    lqi_buffer_text(&name, suffix);
    lqi_buffer_put(&name, "", 1);
    st = name.failed ? LQ_ERR_NOMEM
                     : lq_writer_tensor(out->writer, (const char *)name.data, dtype, 0,
                                        n_dims, dims ? dims : none, index);
    lqi_buffer_free(&name);
    return st ? lqi_fail(out->error, st, &where, "its output: %s", lq_status_text(st)) : LQ_OK;
}

lq_status lqi_out_hold(lqi_out *out, int all)
{
    for (int p = 0; p < LQ_PLANES; p++) {
        if (!out->bytes[p] || (!all && out->tensor[p] != LQI_NONE))
            continue;
        out->held[p] = lqi_alloc_zero(lqi_ctx_allocator(out->ctx), out->bytes[p]);
        if (!out->held[p])
            return lqi_fail(out->error, LQ_ERR_NOMEM, NULL, "no memory for %llu bytes of '%s'",
                            (unsigned long long)out->bytes[p], out->name);
    }
    return LQ_OK;
}

void lqi_out_release(lqi_out *out)
{
    for (int p = 0; p < LQ_PLANES; p++) {
        lqi_free(lqi_ctx_allocator(out->ctx), out->held[p]);
        out->held[p] = NULL;
    }
}

lq_status lqi_out_sink(void *user, int plane, uint64_t offset, const void *data,
                       size_t bytes)
{
    lqi_out *out = user;

    if (offset > out->bytes[plane] || bytes > out->bytes[plane] - offset)
        return lqi_fail(out->error, LQ_ERR_CORRUPT, NULL, "more bytes than '%s' has",
                        out->name);
    if (out->held[plane] && bytes)
        memcpy((uint8_t *)out->held[plane] + offset, data, bytes);
    if (out->tensor[plane] == LQI_NONE || !bytes)
        return LQ_OK;
    return lq_writer_write(out->writer, out->tensor[plane], offset, data, bytes, out->error);
}

lq_status lqi_out_write(lqi_out *out, uint64_t tensor, const void *data, uint64_t bytes)
{
    return bytes ? lq_writer_write(out->writer, tensor, 0, data, bytes, out->error) : LQ_OK;
}
