/* SPDX-License-Identifier: MIT */
/*
 * tests/file/safetensors_emit.c - write the pattern tensors, for read_safetensors.py
 *
 *     safetensors_emit PATH [SHARD_BYTES]    a directory if SHARD_BYTES is given
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/file/pattern.h"

int main(int argc, char **argv)
{
    lq_ctx *ctx = NULL;
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    if (argc < 2)
        return 2;
    if (argc > 2)
        opts.shard_bytes = strtoull(argv[2], NULL, 10);
    lq_status status = lq_ctx_create(NULL, &ctx, &error);
    if (status == LQ_OK)
        status = pattern_create(ctx, argv[1], argc > 2 ? LQ_CONTAINER_DIRECTORY
                                                       : LQ_CONTAINER_SAFETENSORS,
                                &opts, 4096, &error);
    if (status != LQ_OK)
        fprintf(stderr, "%s\n", error.message);
    lq_ctx_destroy(ctx);
    return status == LQ_OK ? 0 : 1;
}
