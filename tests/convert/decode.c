/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/decode.c - decodes the quantized weights of a checkpoint
 *
 *     decode CHECKPOINT FOLDER     FOLDER/NAME.f32 per weight, and one line of text for
 *                                  each: NAME DIALECT SPEC NOTE, separated by tabs
 *
 * for write_dialects.py, which made the checkpoint and knows the numbers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libquant/libquant.h>

static lq_status write_values(const lq_checkpoint *cp, uint64_t index, const lq_weight *w,
                              const char *folder, lq_error *error)
{
    uint64_t n = w->shape.rows * w->shape.cols;
    float *y = malloc((size_t)(4 * w->shape.outer * n + 4));
    char path[1024];
    FILE *f;
    lq_status st = LQ_OK;

    for (uint64_t o = 0; o < w->shape.outer && !st; o++)
        st = lq_checkpoint_rows(cp, index, o, 0, w->shape.rows, y + o * n, error);
    snprintf(path, sizeof path, "%s/%s.f32", folder, w->name);
    f = st ? NULL : fopen(path, "wb");
    if (!st && (!f || fwrite(y, (size_t)(4 * n), (size_t)w->shape.outer, f) != w->shape.outer ||
                fclose(f)))
        st = LQ_ERR_IO;
    free(y);
    return st;
}

static lq_status decode_all(const lq_checkpoint *cp, const char *folder, lq_error *error)
{
    lq_status st = LQ_OK;

    for (uint64_t i = 0; i < lq_checkpoint_count(cp) && !st; i++) {
        char spec[LQ_SPEC_TEXT] = "";
        lq_weight w;
        lq_weight_init(&w);
        st = lq_checkpoint_weight(cp, i, &w);
        if (st || !w.spec || !strcmp(w.dialect, "plain"))
            continue;
        lq_spec_print(w.spec, spec, sizeof spec);
        printf("%s\t%s\t%s\t%s\n", w.name, w.dialect, spec, w.note);
        st = write_values(cp, i, &w, folder, error);
    }
    return st;
}

int main(int argc, char **argv)
{
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *cp = NULL;
    lq_ctx *ctx = NULL;
    lq_status st;

    if (argc != 3)
        return 2;
    st = lq_ctx_create(NULL, &ctx, &error);
    if (!st)
        st = lq_checkpoint_open(ctx, argv[1], NULL, &cp, &error);
    if (!st)
        st = decode_all(cp, argv[2], &error);
    if (st)
        fprintf(stderr, "%s: %s\n", lq_status_name(st), error.message);
    lq_checkpoint_destroy(cp);
    lq_ctx_destroy(ctx);
    return st != LQ_OK;
}
