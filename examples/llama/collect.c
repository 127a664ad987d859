/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/collect.c - statistics of what goes into the projections, for quantization
 *
 * One pass over a file of tokens in windows, as evaluation does it.  Q, K and V have the same
 * inputs, and so have gate and up: they are kept once.
 */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const hf[PROJECTIONS] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"
};

static const char *const gguf[PROJECTIONS] = {
    "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"
};

enum { NAME = 96 };

static void projection_name(const model *m, uint32_t index, int projection, char name[NAME])
{
    if (m->c.gguf_names)
        snprintf(name, NAME, "blk.%u.%s.weight", index, gguf[projection]);
    else
        snprintf(name, NAME, "model.layers.%u.%s.weight", index, hf[projection]);
}

void collect_add(const session *s, uint32_t index, int projection, uint32_t n, const float *x)
{
    uint64_t cols = s->m->layers[index].proj[projection].cols;
    lq_error error = LQ_ERROR_INIT;
    char name[NAME];

    if (!s->stats)
        return;
    projection_name(s->m, index, projection, name);
    check(lq_stats_add(s->stats, name, cols, n, LQ_F32, x, cols, &error), &error, name);
}

static void share(lq_stats *stats, const model *m, uint32_t index, int projection, int of)
{
    char name[NAME], origin[NAME];

    projection_name(m, index, projection, name);
    projection_name(m, index, of, origin);
    check(lq_stats_same(stats, name, origin, NULL), NULL, name);
}

void collect(const model *m, const eval_options *o, const char *path)
{
    uint32_t window = o->window ? o->window : m->c.context, *tokens;
    lq_stats_opts opts = LQ_STATS_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    session *s = session_create(m, window, window);
    size_t count;

    tokens = read_tokens(o->tokens, &count);
    if (count < window)
        fail("%s: %zu tokens, a window of %u is needed", o->tokens, count, window);
    opts.gram = 1;
    check(lq_stats_create(m->ctx, &opts, &s->stats, &error), &error, "statistics");
    for (size_t at = 0; at + window <= count; at += window) {
        session_reset(s);
        session_run(s, tokens + at, window);
    }
    for (uint32_t i = 0; i < m->c.layers; i++) {
        share(s->stats, m, i, PROJ_K, PROJ_Q);
        share(s->stats, m, i, PROJ_V, PROJ_Q);
        share(s->stats, m, i, PROJ_UP, PROJ_GATE);
    }
    check(lq_stats_save(s->stats, path, 1, &error), &error, path);
    lq_stats_destroy(s->stats);
    session_destroy(s);
    free(tokens);
}
