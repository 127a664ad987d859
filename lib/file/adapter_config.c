/* SPDX-License-Identifier: MIT */
/*
 * lib/file/adapter_config.c - adapter_config.json of a LoRA adapter
 *
 *   {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "use_rslora": false,
 *    "target_modules": ["q_proj", ...], "rank_pattern": {"q_proj": 8}, ...}
 *
 * Members that change what is computed and are not known here are refused unless they are
 * off: an adapter is read as it was meant or not at all.  The others do not matter.
 */
#include <math.h>

#include "lib/file/adapter.h"

#define RANK_MAX (1u << 30)

typedef struct parser {
    lqi_json            json;
    const char         *path;
    lqi_arena          *arena;
    lqi_adapter_config *out;
    lq_error           *error;
} parser;

static lq_status fail(const parser *p, lq_status status, const char *key, const char *problem)
{
    lqi_where where = { p->path, key, p->json.start };

    return lqi_fail(p->error, status, &where, "%s", problem);
}

/* Not what was expected; or what the scanner has to say. */
static lq_status fail_token(const parser *p, const char *key, const char *problem)
{
    return p->json.token == LQI_JSON_ERROR ? fail(p, p->json.status, key, p->json.problem)
                                           : fail(p, LQ_ERR_CORRUPT, key, problem);
}

static lq_status fail_memory(const parser *p)
{
    return fail(p, LQ_ERR_NOMEM, NULL, "out of memory");
}

/* ------------------------------------------------------------------- members */

/* Each reads the value of a member. */
typedef lq_status read_member(parser *p, const char *key);

static lq_status read_type(parser *p, const char *key)
{
    if (lqi_json_next(&p->json) != LQI_JSON_STRING)
        return fail_token(p, key, "not a string");
    return lqi_json_equals(&p->json, "LORA") ? LQ_OK
                                             : fail(p, LQ_ERR_UNSUPPORTED, key, "not LORA");
}

static lq_status read_number(parser *p, const char *key, double *value)
{
    if (lqi_json_next(&p->json) != LQI_JSON_NUMBER)
        return fail_token(p, key, "not a number");
    return lqi_json_f64(&p->json, value) ? LQ_OK
                                         : fail(p, LQ_ERR_CORRUPT, key, "out of range");
}

static lq_status read_rank_of(parser *p, const char *key, double *rank)
{
    lq_status status = read_number(p, key, rank);

    if (status)
        return status;
    return *rank >= 1 && *rank <= RANK_MAX && *rank == floor(*rank)
               ? LQ_OK : fail(p, LQ_ERR_CORRUPT, key, "not a whole number from 1 to 2^30");
}

static lq_status read_rank(parser *p, const char *key)
{
    double rank = 0;
    lq_status status = read_rank_of(p, key, &rank);

    if (!status)
        p->out->c.rank = (uint32_t)rank;
    return status;
}

static lq_status read_alpha_of(parser *p, const char *key, double *alpha)
{
    lq_status status = read_number(p, key, alpha);

    if (status)
        return status;
    return *alpha != 0 ? LQ_OK : fail(p, LQ_ERR_CORRUPT, key, "an alpha of 0 leaves nothing");
}

static lq_status read_alpha(parser *p, const char *key)
{
    return read_alpha_of(p, key, &p->out->c.alpha);
}

static lq_status read_dropout(parser *p, const char *key)
{
    return read_number(p, key, &p->out->c.dropout);
}

static lq_status read_stabilised(parser *p, const char *key)
{
    lqi_json_token token = lqi_json_next(&p->json);

    if (token != LQI_JSON_TRUE && token != LQI_JSON_FALSE && token != LQI_JSON_NULL)
        return fail_token(p, key, "neither true nor false");
    p->out->c.rank_stabilised = token == LQI_JSON_TRUE;
    return LQ_OK;
}

static lq_status read_text(parser *p, const char *key, const char **text)
{
    lqi_json_token token = lqi_json_next(&p->json);

    if (token == LQI_JSON_NULL)
        return LQ_OK;
    if (token != LQI_JSON_STRING)
        return fail_token(p, key, "not a string");
    *text = lqi_json_string(&p->json, p->arena, NULL);
    return *text ? LQ_OK : fail_memory(p);
}

static lq_status read_base_model(parser *p, const char *key)
{
    return read_text(p, key, &p->out->c.base_model);
}

static lq_status read_task(parser *p, const char *key)
{
    return read_text(p, key, &p->out->c.task);
}

/* The values of an array that has just begun; 0 behind an error. */
static uint64_t count_values(lqi_json json)
{
    uint64_t count = 0;

    for (;;) {
        lqi_json before = json;
        lqi_json_token token = lqi_json_next(&json);

        if (token == LQI_JSON_ARRAY_END)
            return count;
        json = before;
        if (!lqi_json_skip(&json))
            return 0;
        count++;
    }
}

/* A list of names; a text is a pattern over names, which the tensors answer as well. */
static lq_status read_targets(parser *p, const char *key)
{
    lq_adapter_config *c = &p->out->c;
    lqi_json_token token = lqi_json_next(&p->json);
    const char **targets;
    uint64_t count, i;

    if (token == LQI_JSON_STRING || token == LQI_JSON_NULL)
        return LQ_OK;
    if (token != LQI_JSON_ARRAY)
        return fail_token(p, key, "neither a list nor a string");
    count = count_values(p->json);
    targets = lqi_arena_alloc(p->arena, (count + 1) * sizeof *targets);
    if (!targets)
        return fail_memory(p);
    for (i = 0; (token = lqi_json_next(&p->json)) == LQI_JSON_STRING && i < count; i++)
        if (!(targets[i] = lqi_json_string(&p->json, p->arena, NULL)))
            return fail_memory(p);
    if (token != LQI_JSON_ARRAY_END)
        return fail_token(p, key, "not a list of strings");
    c->targets = targets;
    c->target_count = count;
    return LQ_OK;
}

/* Letters that stand for themselves in a regular expression, and '.', which as good as does. */
static int is_literal(const char *text)
{
    return text[0] && !text[strcspn(text, "^$*+?()[]{}|\\")];
}

static lq_status read_pattern(parser *p, lqi_adapter_pattern ***end,
                              lq_status (*read)(parser *, const char *, double *))
{
    lqi_adapter_pattern *new = lqi_arena_alloc(p->arena, sizeof *new);

    if (!new || !(new->key = lqi_json_string(&p->json, p->arena, NULL)))
        return fail_memory(p);
    if (!is_literal(new->key))
        return fail(p, LQ_ERR_UNSUPPORTED, new->key, "patterns other than names are not known");
    new->next = NULL;
    **end = new;
    *end = &new->next;
    return read(p, new->key, &new->value);
}

static lq_status read_patterns(parser *p, const char *key, lqi_adapter_pattern **list,
                               lq_status (*read)(parser *, const char *, double *))
{
    lqi_json_token token = lqi_json_next(&p->json);

    if (token == LQI_JSON_NULL)
        return LQ_OK;
    if (token != LQI_JSON_OBJECT)
        return fail_token(p, key, "not an object");
    while ((token = lqi_json_next(&p->json)) == LQI_JSON_KEY) {
        lq_status status = read_pattern(p, &list, read);
        if (status)
            return status;
    }
    return token == LQI_JSON_OBJECT_END ? LQ_OK : fail_token(p, key, "syntax");
}

static lq_status read_ranks(parser *p, const char *key)
{
    return read_patterns(p, key, &p->out->ranks, read_rank_of);
}

static lq_status read_alphas(parser *p, const char *key)
{
    return read_patterns(p, key, &p->out->alphas, read_alpha_of);
}

/* How A and B began matters where that changed the weight itself. */
static lq_status check_init(parser *p, const char *key)
{
    static const char *const harmless[] = { "gaussian", "eva", "orthogonal" };
    lqi_json_token token = lqi_json_next(&p->json);

    if (token == LQI_JSON_NULL || token == LQI_JSON_TRUE || token == LQI_JSON_FALSE)
        return LQ_OK;
    if (token != LQI_JSON_STRING)
        return fail_token(p, key, "neither a truth value nor a string");
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (lqi_json_equals(&p->json, harmless[i]))
            return LQ_OK;
    return fail(p, LQ_ERR_UNSUPPORTED, key, "this start changes the model's own weights");
}

static lq_status check_bias(parser *p, const char *key)
{
    lqi_json_token token = lqi_json_next(&p->json);

    if (token == LQI_JSON_NULL)
        return LQ_OK;
    if (token != LQI_JSON_STRING)
        return fail_token(p, key, "not a string");
    return lqi_json_equals(&p->json, "none") ? LQ_OK
                                             : fail(p, LQ_ERR_UNSUPPORTED, key, "not 'none'");
}

/* Nothing but null, false and empty lists and objects. */
static lq_status refuse(parser *p, const char *key)
{
    lqi_json_token token = lqi_json_next(&p->json);

    if (token == LQI_JSON_NULL || token == LQI_JSON_FALSE)
        return LQ_OK;
    if (token == LQI_JSON_ERROR)
        return fail_token(p, key, "syntax");
    if (token == LQI_JSON_ARRAY && lqi_json_next(&p->json) == LQI_JSON_ARRAY_END)
        return LQ_OK;
    if (token == LQI_JSON_OBJECT && lqi_json_next(&p->json) == LQI_JSON_OBJECT_END)
        return LQ_OK;
    return fail(p, LQ_ERR_UNSUPPORTED, key, "adapters with this are not supported");
}

static const struct member {
    const char  *key;
    read_member *read;
} members[] = {
    { "peft_type", read_type },            { "r", read_rank },
    { "lora_alpha", read_alpha },          { "lora_dropout", read_dropout },
    { "use_rslora", read_stabilised },     { "base_model_name_or_path", read_base_model },
    { "task_type", read_task },            { "target_modules", read_targets },
    { "rank_pattern", read_ranks },        { "alpha_pattern", read_alphas },
    { "init_lora_weights", check_init },   { "bias", check_bias },
    { "use_dora", refuse },                { "fan_in_fan_out", refuse },
    { "lora_bias", refuse },               { "layer_replication", refuse },
    { "use_qalora", refuse },              { "alora_invocation_tokens", refuse },
    { "target_parameters", refuse },       { "trainable_token_indices", refuse },
    { "modules_to_save", refuse },
};

enum { MEMBERS = sizeof members / sizeof *members, NEEDED = 3 };   /* the first ones */

/* ---------------------------------------------------------------------- all */

static lq_status read_one(parser *p, unsigned *seen)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (!lqi_json_equals(&p->json, members[i].key))
            continue;
        if (*seen >> i & 1)
            return fail(p, LQ_ERR_DUPLICATE, members[i].key, "the member occurs twice");
        *seen |= 1u << i;
        return members[i].read(p, members[i].key);
    }
    return lqi_json_skip(&p->json) ? LQ_OK : fail(p, p->json.status, NULL, p->json.problem);
}

static lq_status read_all(parser *p)
{
    lqi_json_token token;
    unsigned seen = 0;

    if (lqi_json_next(&p->json) != LQI_JSON_OBJECT)
        return p->json.problem ? fail(p, p->json.status, NULL, p->json.problem)
                               : fail(p, LQ_ERR_FORMAT, NULL, "not a JSON object");
    while ((token = lqi_json_next(&p->json)) == LQI_JSON_KEY) {
        lq_status status = read_one(p, &seen);
        if (status)
            return status;
    }
    if (token != LQI_JSON_OBJECT_END || lqi_json_next(&p->json) != LQI_JSON_END)
        return fail(p, p->json.status, NULL, p->json.problem);
    for (unsigned i = 0; i < NEEDED; i++)
        if (!(seen >> i & 1))
            return fail(p, LQ_ERR_NOTFOUND, members[i].key, "missing");
    return LQ_OK;
}

lq_status lqi_adapter_config_parse(const char *path, const void *text, uint64_t bytes,
                                   lqi_arena *arena, lqi_adapter_config *config,
                                   lq_error *error)
{
    parser p = { .path = path, .arena = arena, .out = config, .error = error };

    memset(config, 0, sizeof *config);
    config->c.struct_size = sizeof config->c;
    lqi_json_start(&p.json, text, bytes);
    return read_all(&p);
}

double lqi_adapter_pattern_find(const lqi_adapter_pattern *list, const char *module,
                                double otherwise)
{
    size_t n = strlen(module);

    for (; list; list = list->next) {
        size_t k = strlen(list->key);

        if (k > n || strcmp(module + n - k, list->key))
            continue;
        if (k == n || module[n - k - 1] == '.')
            return list->value;
    }
    return otherwise;
}
