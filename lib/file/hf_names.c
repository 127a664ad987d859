/* SPDX-License-Identifier: MIT */
/*
 * lib/file/hf_names.c - Hugging Face Llama's tensor names and llama.cpp's
 */
#include <stdio.h>

#include "lib/file/weights.h"

static const struct { const char *hf, *gguf; } whole[] = {
    { "model.embed_tokens.weight", "token_embd.weight" },
    { "model.norm.weight", "output_norm.weight" },
    { "lm_head.weight", "output.weight" },
};

/* Followed by ".weight" or ".bias". */
static const struct { const char *hf, *gguf; int heads; } layer[] = {
    { "input_layernorm", "attn_norm", LQI_NO_HEADS },
    { "self_attn.q_proj", "attn_q", LQI_Q_HEADS },
    { "self_attn.k_proj", "attn_k", LQI_K_HEADS },
    { "self_attn.v_proj", "attn_v", LQI_NO_HEADS },
    { "self_attn.o_proj", "attn_output", LQI_NO_HEADS },
    { "post_attention_layernorm", "ffn_norm", LQI_NO_HEADS },
    { "mlp.gate_proj", "ffn_gate", LQI_NO_HEADS },
    { "mlp.up_proj", "ffn_up", LQI_NO_HEADS },
    { "mlp.down_proj", "ffn_down", LQI_NO_HEADS },
};

static lq_status put(char *name, size_t capacity, const char *block, int digits,
                     const char *text, const char *rest)
{
    int n = digits ? snprintf(name, capacity, "blk.%.*s.%s%s", digits, block, text, rest)
                   : snprintf(name, capacity, "%s", text);

    return n >= 0 && (size_t)n < capacity ? LQ_OK : LQ_ERR_BUFFER;
}

/* "model.layers.N.rest": N's digits and the rest; NULL for other names. */
static const char *split_layer(const char *hf, const char **block, int *digits)
{
    static const char prefix[] = "model.layers.";
    const char *p = hf + sizeof prefix - 1;

    if (strncmp(hf, prefix, sizeof prefix - 1))
        return NULL;
    *block = p;
    while (*p >= '0' && *p <= '9')
        p++;
    *digits = (int)(p - *block);
    return *digits && *digits < 8 && *p == '.' ? p + 1 : NULL;
}

lq_status lqi_llama_find(const char *hf, char *name, size_t capacity, int *heads)
{
    const char *block = NULL, *rest;
    int digits = 0;

    *heads = LQI_NO_HEADS;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strcmp(hf, whole[i].hf))
            return put(name, capacity, NULL, 0, whole[i].gguf, "");
    rest = split_layer(hf, &block, &digits);
    for (size_t i = 0; rest && i < sizeof layer / sizeof *layer; i++) {
        size_t n = strlen(layer[i].hf);
        if (strncmp(rest, layer[i].hf, n) ||
            (strcmp(rest + n, ".weight") && strcmp(rest + n, ".bias")))
            continue;
        *heads = layer[i].heads;
        return put(name, capacity, block, digits, layer[i].gguf, rest + n);
    }
    return LQ_ERR_NOTFOUND;
}

lq_status lq_gguf_name(const char *name, char *gguf, size_t capacity)
{
    char text[LQ_GGUF_NAME];
    int heads;
    lq_status st;

    if (!name || !gguf)
        return LQ_ERR_ARG;
    st = lqi_llama_find(name, text, sizeof text, &heads);
    if (st)
        return st;
    if (strlen(text) >= capacity)
        return LQ_ERR_BUFFER;
    strcpy(gguf, text);
    return LQ_OK;
}
