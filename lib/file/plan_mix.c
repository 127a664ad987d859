/* SPDX-License-Identifier: MIT */
/*
 * lib/file/plan_mix.c - a mix applied to the weights of a checkpoint
 *
 * llama-quantize counts the tensors of a kind in its own order, by block, then by name;
 * with experts it takes the block's number instead.
 */
#include <stdio.h>
#include <stdlib.h>

#ifdef LQI_HAVE_JSON
#include <jansson.h>
#endif

#include "lib/file/mix.h"

typedef struct place {
    char      name[LQ_GGUF_NAME];   /* llama.cpp's, cut */
    uint64_t  weight;
    long long block;
    int       kind;
    uint64_t  index, count;
} place;

struct lqi_mix_plan {
    const lqi_mix *mix;
    lqi_mix_model  model;
    place         *places;          /* by weight */
    uint64_t       missing;         /* bit for each GGUF type that this build lacks */
};

/* --------------------------------------------------------------------- model */

/* A count under "ARCH.key", of an array the first; 0 without. */
static uint64_t gguf_count(const lq_file *file, const char *arch, const char *key)
{
    char text[160];
    lq_meta m = LQ_META_INIT;

    snprintf(text, sizeof text, "%s.%s", arch, key);
    if (lq_file_meta_find(file, text, &m) || !m.count || !m.data)
        return 0;
    if (m.type == LQ_META_U32 || m.type == LQ_META_I32)
        return lqi_load32(m.data);
    return m.type == LQ_META_U64 || m.type == LQ_META_I64 ? lqi_load64(m.data) : 0;
}

static void gguf_model(const lq_file *file, lqi_mix_model *m)
{
    lq_meta meta = LQ_META_INIT;
    const char *arch = "";
    uint64_t bytes;

    if (lq_file_meta_find(file, "general.architecture", &meta) == LQ_OK)
        lq_file_meta_string(file, &meta, 0, &arch, &bytes);
    m->heads = gguf_count(file, arch, "attention.head_count");
    m->kv_heads = gguf_count(file, arch, "attention.head_count_kv");
    m->experts = gguf_count(file, arch, "expert_count");
    m->layers = gguf_count(file, arch, "block_count");
    m->falcon = !strcmp(arch, "falcon");
    m->llama = !strcmp(arch, "llama");
}

#ifdef LQI_HAVE_JSON
static uint64_t config_count(const lqi_plan *plan, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(plan->config, key));

    return v > 0 ? (uint64_t)v : 0;
}

static void config_model(const lqi_plan *plan, lqi_mix_model *m)
{
    json_t *type = json_object_get(plan->config, "model_type");

    m->heads = config_count(plan, "num_attention_heads");
    m->kv_heads = config_count(plan, "num_key_value_heads");
    if (!json_object_get(plan->config, "num_key_value_heads"))
        m->kv_heads = m->heads;
    m->experts = config_count(plan, "num_local_experts");
    if (!m->experts)
        m->experts = config_count(plan, "num_experts");
    m->layers = config_count(plan, "num_hidden_layers");
    m->llama = plan->llama;
    m->falcon = json_is_string(type) && !strcmp(json_string_value(type), "falcon");
}
#endif

/* -------------------------------------------------------------------- places */

static int by_kind(const void *a, const void *b)
{
    const place *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_weight(const void *a, const void *b)
{
    const place *x = a, *y = b;

    return x->weight < y->weight ? -1 : x->weight > y->weight;
}

static void name_place(const char *name, uint64_t weight, place *p)
{
    int heads;

    if (lqi_llama_find(name, p->name, sizeof p->name, &heads))
        snprintf(p->name, sizeof p->name, "%s", name);
    p->weight = weight;
    p->block = lqi_block_of(p->name);
    p->kind = lqi_mix_kind(p->name);
}

static void count_places(struct lqi_mix_plan *mp, uint64_t n)
{
    for (uint64_t i = 0, j; i < n; i = j) {
        int values;
        for (j = i; j < n && mp->places[j].kind == mp->places[i].kind; j++)
            mp->places[j].index = j - i;
        values = strstr(mp->places[i].name, "attn_v") || strstr(mp->places[i].name, "attn_qkv") ||
                 strstr(mp->places[i].name, "attn_kv_b");
        for (uint64_t k = i; k < j; k++) {
            place *p = &mp->places[k];
            p->count = values || !mp->model.layers ? j - i : mp->model.layers;
            if (mp->model.experts > 1 && !values && p->block >= 0)
                p->index = (uint64_t)p->block;
        }
    }
}

/* ---------------------------------------------------------------------- plan */

lq_status lqi_mix_open(lqi_plan *plan, int has_output)
{
    const lq_allocator *a = lqi_ctx_allocator(plan->ctx);
    uint64_t n = plan->cp->count, bytes;
    struct lqi_mix_plan *mp = lqi_alloc_zero(a, sizeof *mp);

    plan->mix = mp;
    if (mp && lqi_mul(n + 1, sizeof *mp->places, &bytes))
        mp->places = lqi_alloc_zero(a, bytes);
    if (!mp || !mp->places)
        return lqi_fail(plan->error, LQ_ERR_NOMEM, NULL, "no memory for a mix");
    mp->mix = lqi_mix_find(plan->opts->mix);
    mp->model.imatrix = plan->opts->importance != NULL;
    mp->model.has_output = has_output;
    if (plan->cp->file->container == LQ_CONTAINER_GGUF)
        gguf_model(plan->cp->file, &mp->model);
#ifdef LQI_HAVE_JSON
    else
        config_model(plan, &mp->model);
#endif
    for (uint64_t i = 0; i < n; i++)
        name_place(plan->cp->weights[i].name, i, &mp->places[i]);
    if (n)
        qsort(mp->places, (size_t)n, sizeof *mp->places, by_kind);
    count_places(mp, n);
    if (n)
        qsort(mp->places, (size_t)n, sizeof *mp->places, by_weight);
    return LQ_OK;
}

void lqi_mix_close(lqi_plan *plan)
{
    if (plan->mix)
        lqi_free(lqi_ctx_allocator(plan->ctx), plan->mix->places);
    lqi_free(lqi_ctx_allocator(plan->ctx), plan->mix);
}

uint32_t lqi_mix_file_type(const lqi_plan *plan)
{
    return plan->mix->mix->file_type;
}

lq_status lqi_mix_choose(lqi_plan *plan, uint64_t weight, const lq_weight *w,
                         lq_choice *choice, char *reason, size_t capacity)
{
    struct lqi_mix_plan *mp = plan->mix;
    const place *p = &mp->places[weight];
    lqi_mix_tensor t = { p->name, w->n_dims, w->shape.cols, p->index, p->count };
    unsigned type = lqi_mix_type(mp->mix, &mp->model, &t, reason, capacity);
    const lqi_format *f = lqi_format_by_gguf(type);
    lqi_where where = { plan->in, w->name, LQ_NO_OFFSET };

    if (!f) {
        mp->missing |= UINT64_C(1) << type;
        return LQ_OK;
    }
    if (!mp->model.imatrix && lqi_mix_needs_importance(mp->mix, p->name, type))
        return lqi_fail(plan->error, LQ_ERR_ARG, &where, "%s needs importances (an imatrix)",
                        f->name);
    lq_spec_init(&choice->spec);
    choice->spec.format = f->id;
    choice->reason = reason;
    return lq_spec_complete(&choice->spec, plan->error);
}

lq_status lqi_mix_missing(const lqi_plan *plan)
{
    char list[200] = "";
    size_t n = 0;

    for (unsigned type = 0; type < 64; type++)
        if ((plan->mix->missing >> type & 1) && n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "",
                                  lqi_gguf_type_name(type));
    if (!n)
        return LQ_OK;
    return lqi_fail(plan->error, LQ_ERR_UNSUPPORTED, NULL, "the mix %s needs %s, which this "
                    "build does not have", plan->mix->mix->name, list);
}
