/* SPDX-License-Identifier: MIT */
/* lib/file/index_json.c - model.safetensors.index.json: which shard holds which tensor */
#include "lib/file/index_json.h"

#include "lib/file/order.h"

typedef struct parser {
    lqi_index  *index;
    const char *path;
    uint64_t    max_tensors;
    lqi_json    json;
    lq_error   *error;
} parser;

static lq_status fail(const parser *p, lq_status status, const char *name,
                      const char *problem)
{
    lqi_where where = { p->path, name, p->json.start };
    return lqi_fail(p->error, status, &where, "%s", problem);
}

static lq_status fail_syntax(const parser *p, const char *name, const char *expected)
{
    if (p->json.problem)
        return fail(p, p->json.status, name, p->json.problem);
    return fail(p, LQ_ERR_FORMAT, name, expected);
}

static lq_status fail_memory(const parser *p)
{
    return fail(p, LQ_ERR_NOMEM, NULL, "out of memory");
}

/* Room for one more element: the array, perhaps moved, or NULL. */
static void *grow(const lq_allocator *a, void *array, uint64_t count, uint64_t *capacity,
                  size_t size)
{
    if (count < *capacity)
        return array;
    uint64_t wanted = *capacity ? *capacity * 2 : 16;
    void *larger = lqi_alloc(a, wanted * size);
    if (!larger)
        return NULL;
    if (count)
        memcpy(larger, array, (size_t)(count * size));
    lqi_free(a, array);
    *capacity = wanted;
    return larger;
}

/* The name of a shard becomes part of a path: nothing but a file name may pass. */
static int legal_shard(const char *name, uint64_t bytes)
{
    if (bytes == 0 || bytes > LQI_SHARD_NAME_BYTES)
        return 0;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    return !strchr(name, '/') && !strchr(name, '\\');
}

/* The number of the shard that the current string names. */
static lq_status read_shard(parser *p, const char *tensor, uint32_t *shard)
{
    lqi_index *x = p->index;
    char name[6 * LQI_SHARD_NAME_BYTES + 1];
    uint64_t bytes = 0, number;
    if (lqi_json_next(&p->json) != LQI_JSON_STRING)
        return fail_syntax(p, tensor, "the shard is not a string");
    if (p->json.length < sizeof name)
        bytes = lqi_json_decode(&p->json, name);
    name[bytes] = '\0';
    if (!legal_shard(name, bytes))
        return fail(p, LQ_ERR_FORMAT, tensor, "the shard is not a plain file name");
    if (lqi_names_find(x->shard_names, name, &number) == 1) {
        *shard = (uint32_t)number;
        return LQ_OK;
    }
    const char **shards = grow(&x->allocator, x->shards, x->shard_count,
                               &x->shard_capacity, sizeof *shards);
    if (!shards)
        return fail_memory(p);
    x->shards = shards;
    char *kept = lqi_arena_text(&x->arena, name, bytes);
    number = x->shard_count;
    if (!kept || lqi_names_add(x->shard_names, kept, &number) != 1)
        return fail_memory(p);
    shards[x->shard_count++] = kept;
    *shard = (uint32_t)number;
    return LQ_OK;
}

static lq_status read_tensor(parser *p)
{
    lqi_index *x = p->index;
    uint64_t number = x->tensor_count;
    char *name = lqi_json_string(&p->json, &x->arena, NULL);
    if (!name)
        return fail_memory(p);
    if (x->tensor_count == p->max_tensors)
        return fail(p, LQ_ERR_LIMIT, name, "too many tensors");
    int added = lqi_names_add(x->tensor_names, name, &number);
    if (added == 0)
        return fail(p, LQ_ERR_DUPLICATE, name, "the name occurs twice");
    if (added < 0)
        return fail_memory(p);
    uint32_t shard = 0;
    lq_status status = read_shard(p, name, &shard);
    if (status != LQ_OK)
        return status;
    lqi_index_tensor *tensors = grow(&x->allocator, x->tensors, x->tensor_count,
                                     &x->tensor_capacity, sizeof *tensors);
    if (!tensors)
        return fail_memory(p);
    x->tensors = tensors;
    tensors[x->tensor_count++] = (lqi_index_tensor){ name, shard, 0 };
    return LQ_OK;
}

static lq_status read_weight_map(parser *p)
{
    lqi_json_token token;
    if (lqi_json_next(&p->json) != LQI_JSON_OBJECT)
        return fail_syntax(p, "weight_map", "not an object");
    while ((token = lqi_json_next(&p->json)) == LQI_JSON_KEY) {
        lq_status status = read_tensor(p);
        if (status != LQ_OK)
            return status;
    }
    return token == LQI_JSON_OBJECT_END ? LQ_OK : fail_syntax(p, "weight_map", "syntax");
}

/* Of the metadata only a whole number total_size is of interest. */
static lq_status read_metadata(parser *p)
{
    lqi_json *json = &p->json;
    lqi_json_token token;
    if (lqi_json_next(json) != LQI_JSON_OBJECT)
        return fail_syntax(p, "metadata", "not an object");
    while ((token = lqi_json_next(json)) == LQI_JSON_KEY) {
        int wanted = lqi_json_equals(json, "total_size");
        if (!lqi_json_skip(json))
            return fail_syntax(p, "metadata", "syntax");
        if (wanted && lqi_json_u64(json, &p->index->total_size))
            p->index->has_total_size = 1;
    }
    return token == LQI_JSON_OBJECT_END ? LQ_OK : fail_syntax(p, "metadata", "syntax");
}

static lq_status read_index(parser *p)
{
    enum { METADATA = 1, WEIGHT_MAP = 2 };
    lqi_json *json = &p->json;
    lqi_json_token token;
    unsigned seen = 0;
    if (lqi_json_next(json) != LQI_JSON_OBJECT)
        return fail_syntax(p, NULL, "not an object");
    while ((token = lqi_json_next(json)) == LQI_JSON_KEY) {
        unsigned member = lqi_json_equals(json, "metadata") ? METADATA :
                          lqi_json_equals(json, "weight_map") ? WEIGHT_MAP : 0;
        if (seen & member)
            return fail(p, LQ_ERR_DUPLICATE, NULL, "a member occurs twice");
        seen |= member;
        lq_status status = member == METADATA ? read_metadata(p) :
                           member == WEIGHT_MAP ? read_weight_map(p) :
                           lqi_json_skip(json) ? LQ_OK : fail_syntax(p, NULL, "syntax");
        if (status != LQ_OK)
            return status;
    }
    if (token != LQI_JSON_OBJECT_END || lqi_json_next(json) != LQI_JSON_END)
        return fail_syntax(p, NULL, "syntax");
    if (!(seen & WEIGHT_MAP))
        return fail(p, LQ_ERR_FORMAT, "weight_map", "missing");
    return p->index->tensor_count ? LQ_OK : fail(p, LQ_ERR_FORMAT, "weight_map", "empty");
}

static int name_before(const void *context, uint64_t b, uint64_t a)
{
    const char *const *names = context;
    return strcmp(names[b], names[a]) < 0;
}

/* Sort the shards by name, so that tensors come in the order of the files. */
static lq_status sort_shards(parser *p)
{
    lqi_index *x = p->index;
    uint64_t n = x->shard_count;
    uint64_t *order = lqi_alloc(&x->allocator, 2 * n * sizeof *order);
    const char **sorted = lqi_alloc(&x->allocator, n * sizeof *sorted);
    if (!order || !sorted) {
        lqi_free(&x->allocator, order);
        lqi_free(&x->allocator, sorted);
        return fail_memory(p);
    }
    uint64_t *place = order + n;
    lqi_order(order, place, n, name_before, x->shards);
    for (uint64_t i = 0; i < n; i++) {
        sorted[i] = x->shards[order[i]];
        place[order[i]] = i;
    }
    for (uint64_t i = 0; i < x->tensor_count; i++)
        x->tensors[i].shard = (uint32_t)place[x->tensors[i].shard];
    lqi_free(&x->allocator, x->shards);
    lqi_free(&x->allocator, order);
    x->shards = sorted;
    return LQ_OK;
}

lq_status lqi_index_parse(const lq_allocator *a, const char *path, const void *text,
                          uint64_t bytes, uint64_t max_tensors, lqi_index *index,
                          lq_error *error)
{
    parser p = { .index = index, .path = path, .max_tensors = max_tensors, .error = error };
    memset(index, 0, sizeof *index);
    index->allocator = *a;
    index->arena.allocator = &index->allocator;
    index->tensor_names = lqi_names_create(a, 64);
    index->shard_names = lqi_names_create(a, 16);
    if (!index->tensor_names || !index->shard_names)
        return fail_memory(&p);
    lqi_json_start(&p.json, text, bytes);
    lq_status status = read_index(&p);
    return status == LQ_OK ? sort_shards(&p) : status;
}

void lqi_index_free(lqi_index *index)
{
    lqi_names_destroy(index->tensor_names);
    lqi_names_destroy(index->shard_names);
    lqi_free(&index->allocator, index->tensors);
    lqi_free(&index->allocator, index->shards);
    lqi_arena_free(&index->arena);
    memset(index, 0, sizeof *index);
}
