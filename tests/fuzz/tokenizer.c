/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/tokenizer.c - any bytes as tokenizer.model (first byte even) or
 * tokenizer.json of a small Llama checkpoint that is converted to GGUF
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libquant/libquant.h>

static const char config[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":32,"
    "\"intermediate_size\":32,\"num_hidden_layers\":0,\"num_attention_heads\":1,"
    "\"num_key_value_heads\":1,\"vocab_size\":8,\"max_position_embeddings\":16,"
    "\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"tie_word_embeddings\":true}";

static lq_ctx *ctx;
static char folder[64], path[128];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean(void)
{
    static const char *const names[] = { "in/config.json", "in/model.safetensors",
                                         "in/tokenizer.model", "in/tokenizer.json", "in",
                                         "out.gguf", "" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
}

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* The checkpoint, once; its folder goes away at exit. */
static int begin(void)
{
    static const uint64_t dims[] = { 8, 32 }, norm[] = { 32 };
    static const float numbers[8 * 32];
    lq_writer *w = NULL;
    uint64_t index;

    strcpy(folder, "/tmp/fuzz-tokenizer-XXXXXX");
    if (!mkdtemp(folder) || atexit(clean) || lq_ctx_create(NULL, &ctx, NULL) ||
        lq_writer_create(ctx, in_folder("in"), LQ_CONTAINER_DIRECTORY, NULL, &w, NULL) ||
        lq_writer_attach(w, "config.json", config, sizeof config - 1) ||
        lq_writer_tensor(w, "model.embed_tokens.weight", LQ_F32, 0, 2, dims, &index) ||
        lq_writer_tensor(w, "model.norm.weight", LQ_F32, 0, 1, norm, &index) ||
        lq_writer_begin(w, NULL) || lq_writer_write(w, 0, 0, numbers, sizeof numbers, NULL) ||
        lq_writer_write(w, 1, 0, numbers, 32 * sizeof *numbers, NULL) ||
        lq_writer_finish(w, NULL))
        return 0;
    lq_writer_destroy(w);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lq_spec spec = LQ_SPEC_INIT;
    lq_convert_opts opts;
    lq_error error = LQ_ERROR_INIT;
    char in[80];

    if (size == 0 || (!ctx && !begin()))
        return 0;
    remove(in_folder("in/tokenizer.model"));
    remove(in_folder("in/tokenizer.json"));
    FILE *f = fopen(in_folder(data[0] % 2 ? "in/tokenizer.json" : "in/tokenizer.model"), "wb");
    if (!f)
        return 0;
    fwrite(data + 1, 1, size - 1, f);
    fclose(f);
    lq_spec_parse("f32", &spec, NULL);
    lq_convert_opts_init(&opts);
    opts.spec = &spec;
    opts.replace = 1;
    snprintf(in, sizeof in, "%s/in", folder);
    lq_status status = lq_convert(ctx, in, in_folder("out.gguf"), &opts, &error);
    if (status == LQ_ERR_IO)
        abort();
    return 0;
}
