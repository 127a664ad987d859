/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/emit.c - writes a checkpoint in a spec, and beside it what it decodes to
 *
 *     emit FOLDER SPEC     FOLDER/model.safetensors, and FOLDER/NAME.f32 per weight
 *
 * for read_dialects.py, which decodes the checkpoint on its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libquant/libquant.h>

static const struct { const char *name; uint64_t rows, cols; } weights[] = {
    { "model.layers.0.self_attn.q_proj.weight", 64, 128 },
    { "model.layers.0.mlp.up_proj.weight", 160, 256 },
};

static int fail(const char *doing, const lq_error *error)
{
    fprintf(stderr, "%s: %s\n", doing, error->message);
    return 1;
}

/* Integer arithmetic only: about normal, with some large and some zero values. */
static void fill(float *x, uint64_t n)
{
    uint32_t s = 12345;

    for (uint64_t i = 0; i < n; i++) {
        int sum = 0;
        for (int k = 0; k < 4; k++) {
            s = s * 1664525u + 1013904223u;
            sum += (int)(s >> 16 & 0xffff) - 32768;
        }
        x[i] = (float)sum / 1048576.0f * (i % 97 ? 1.0f : 8.0f);
        if (i % 61 == 0)
            x[i] = 0;
    }
}

static int write_source(const lq_ctx *ctx, const char *path, lq_error *error)
{
    lq_writer *w = NULL;
    uint64_t index[2];
    float *x = malloc(4 * 160 * 256);
    lq_status st = lq_writer_create(ctx, path, LQ_CONTAINER_SAFETENSORS, NULL, &w, error);

    for (int i = 0; i < 2 && !st; i++) {
        uint64_t dims[2] = { weights[i].rows, weights[i].cols };
        st = lq_writer_tensor(w, weights[i].name, LQ_F32, 0, 2, dims, &index[i]);
    }
    if (!st)
        st = lq_writer_begin(w, error);
    for (int i = 0; i < 2 && !st; i++) {
        uint64_t n = weights[i].rows * weights[i].cols;
        fill(x, n);
        st = lq_writer_write(w, index[i], 0, x, 4 * n, error);
    }
    if (!st)
        st = lq_writer_finish(w, error);
    lq_writer_destroy(w);
    free(x);
    return st ? fail("source", error) : 0;
}

static int write_decoded(const lq_ctx *ctx, const char *folder, const char *path,
                         lq_error *error)
{
    lq_checkpoint *cp = NULL;
    float *y = malloc(4 * 160 * 256);
    lq_status st = lq_checkpoint_open(ctx, path, NULL, &cp, error);
    char name[1024];

    for (int i = 0; i < 2 && !st; i++) {
        uint64_t index = 0;
        FILE *f;
        st = lq_checkpoint_find(cp, weights[i].name, &index);
        if (!st)
            st = lq_checkpoint_rows(cp, index, 0, 0, weights[i].rows, y, error);
        snprintf(name, sizeof name, "%s/%s.f32", folder, weights[i].name);
        f = st ? NULL : fopen(name, "wb");
        if (!f || fwrite(y, 4, weights[i].rows * weights[i].cols, f) !=
                      weights[i].rows * weights[i].cols || fclose(f))
            st = LQ_ERR_IO;
    }
    lq_checkpoint_destroy(cp);
    free(y);
    return st ? fail("decoding", error) : 0;
}

int main(int argc, char **argv)
{
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o;
    lq_spec spec = LQ_SPEC_INIT;
    lq_ctx *ctx = NULL;
    char in[1024], out[1024];
    int rc;

    if (argc != 3 && argc != 4)
        return 2;
    snprintf(in, sizeof in, "%s/in.safetensors", argv[1]);
    snprintf(out, sizeof out, "%s/model.safetensors", argv[1]);
    lq_convert_opts_init(&o);
    o.spec = &spec;
    o.dialect = argc == 4 ? argv[3] : NULL;
    if (lq_ctx_create(NULL, &ctx, &error) || lq_spec_parse(argv[2], &spec, &error))
        return fail(argv[2], &error);
    rc = write_source(ctx, in, &error);
    if (!rc && lq_convert(ctx, in, out, &o, &error))
        rc = fail("converting", &error);
    if (!rc)
        rc = write_decoded(ctx, argv[1], out, &error);
    lq_ctx_destroy(ctx);
    return rc;
}
