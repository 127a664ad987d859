/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/pairs.c - weights of two checkpoints that belong together
 *
 * By name; else a Llama checkpoint's names are translated to llama.cpp's.  llama.cpp
 * stores the rows of attn_q and attn_k head by head as i0 j0 i1 j1 ... where Hugging
 * Face has i0 i1 ... j0 j1 ...: row = head * d + half * d/2 + i becomes
 * head * d + 2 i + half.
 */
#include "pairs.h"
#include "meta.h"

#include <stdlib.h>
#include <string.h>

static const char *weight_name(const lq_checkpoint *c, uint64_t index, lq_weight *w)
{
    lq_weight_init(w);
    return lq_checkpoint_weight(c, index, w) == LQ_OK ? w->name : "";
}

/* Rows per head of a permuted weight; 0 when its rows are in order. */
static uint64_t head_rows(const lq_checkpoint *gguf, const char *name, uint64_t rows)
{
    const lq_file *file = lq_checkpoint_file(gguf);
    uint64_t heads = meta_uint(file, "llama.attention.head_count", 0);

    if (strstr(name, ".attn_k."))
        heads = meta_uint(file, "llama.attention.head_count_kv", heads);
    else if (!strstr(name, ".attn_q."))
        return 0;
    return heads && rows % (2 * heads) == 0 ? rows / heads : 0;
}

/* Pair a Hugging Face weight with the GGUF weight of the translated name. */
static void translate(const lq_checkpoint *hf, uint64_t index, const lq_checkpoint *gguf,
                      uint64_t *found, uint64_t *rows)
{
    char other[LQ_GGUF_NAME];
    lq_weight w;

    if (lq_gguf_name(weight_name(hf, index, &w), other, sizeof other) != LQ_OK
        || lq_checkpoint_find(gguf, other, found) != LQ_OK) {
        *found = PAIR_NONE;
        return;
    }
    *rows = head_rows(gguf, other, w.shape.rows);
}

static void pair_from_a(const lq_checkpoint *a, const lq_checkpoint *b, pair *p)
{
    lq_weight w;

    if (lq_checkpoint_find(b, weight_name(a, p->a, &w), &p->b) == LQ_OK)
        return;
    translate(a, p->a, b, &p->b, &p->head_rows);
}

/* Weights of B that no weight of A has named. */
static void pair_from_b(const lq_checkpoint *a, const lq_checkpoint *b, uint64_t index,
                        pairs *p)
{
    uint64_t found, rows = 0;

    translate(b, index, a, &found, &rows);
    if (found != PAIR_NONE && p->list[found].b == PAIR_NONE) {
        p->list[found].b = index;
        p->list[found].head_rows = rows;
        p->list[found].a_is_gguf = 1;
        return;
    }
    p->list[p->count++] = (pair){ PAIR_NONE, index, 0, 0 };
}

int pairs_open(const lq_checkpoint *a, const lq_checkpoint *b, pairs *p)
{
    uint64_t count_a = lq_checkpoint_count(a), count_b = lq_checkpoint_count(b);
    uint8_t *seen = calloc((size_t)count_b + 1, 1);

    p->count = count_a;
    p->list = calloc((size_t)(count_a + count_b) + 1, sizeof *p->list);
    if (!seen || !p->list) {
        free(seen);
        pairs_close(p);
        return 0;
    }
    for (uint64_t i = 0; i < count_a; i++) {
        p->list[i] = (pair){ i, PAIR_NONE, 0, 0 };
        pair_from_a(a, b, &p->list[i]);
        if (p->list[i].b != PAIR_NONE)
            seen[p->list[i].b] = 1;
    }
    for (uint64_t i = 0; i < count_b; i++)
        if (!seen[i])
            pair_from_b(a, b, i, p);
    free(seen);
    return 1;
}

void pairs_close(pairs *p)
{
    free(p->list);
    memset(p, 0, sizeof *p);
}

uint64_t pair_row(const pair *p, uint64_t row)
{
    if (!p->head_rows)
        return row;
    uint64_t half = p->head_rows / 2, head = row / p->head_rows * p->head_rows;
    uint64_t in = row - head;
    if (p->a_is_gguf)
        return head + in % 2 * half + in / 2;
    return head + in % half * 2 + in / half;
}
