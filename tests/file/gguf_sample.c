/* SPDX-License-Identifier: MIT */
/*
 * tests/file/gguf_sample.c - write the sample to the path given, and print what is in it
 * for tests/file/read_gguf.py to compare
 */
#include "tests/file/sample.h"

static void print_key(const sample_key *k)
{
    static const uint8_t size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    const char *const *texts = k->data;
    const uint8_t *bytes = k->data;

    printf("K %s %d %d %d", k->key, (int)k->type, (int)k->is_array, (int)k->count);
    for (uint64_t i = 0; k->type == LQ_META_STRING && i < k->count; i++) {
        printf(" '");
        for (const char *c = texts[i]; *c; c++)
            printf("%02x", (unsigned)(uint8_t)*c);
    }
    for (uint64_t i = 0; k->type != LQ_META_STRING && i < k->count * size[k->type]; i++)
        printf("%s%02x", i ? "" : " ", (unsigned)bytes[i]);
    printf("\n");
}

static void print_tensor(size_t i)
{
    const sample_tensor *t = &sample_tensors[i];
    uint8_t data[512];
    uint32_t first = 0;

    sample_fill(i, data, t->bytes);
    printf("T %s %u %u %016llx", t->name, (unsigned)t->gguf, (unsigned)t->bytes,
           (unsigned long long)fnv(data, t->bytes));
    while (first + 1 < t->n_dims && t->dims[first] == 1)
        first++;
    for (uint32_t d = first; d < t->n_dims; d++)
        printf(" %u", (unsigned)t->dims[d]);
    printf("%s\n", t->n_dims ? "" : " 1");
}

int main(int argc, char **argv)
{
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_ctx *ctx;
    lq_status status;

    if (argc != 3 || lq_ctx_create(NULL, &ctx, NULL) != LQ_OK)
        return 2;
    opts.replace = 1;
    opts.alignment = (uint32_t)atoi(argv[2]);
    status = sample_file(ctx, argv[1], &opts, 100);
    lq_ctx_destroy(ctx);
    if (status != LQ_OK) {
        fprintf(stderr, "%s\n", lq_status_name(status));
        return 1;
    }
    for (size_t i = 0; i < COUNT(sample_keys); i++)
        print_key(&sample_keys[i]);
    for (size_t i = 0; i < COUNT(sample_tensors); i++)
        print_tensor(i);
    return 0;
}
