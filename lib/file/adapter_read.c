/* SPDX-License-Identifier: MIT */
/*
 * lib/file/adapter_read.c - LoRA adapters: tensors to modules
 *
 * Everything is read at once: adapters are small beside their models.
 */
#include <math.h>

#include "lib/core/core.h"
#include "lib/file/adapter.h"
#include "lib/file/file.h"
#include "libquant/train.h"

#define CONFIG_BYTES ((uint64_t)1 << 20)

struct lq_adapter {
    lq_allocator       allocator;
    lqi_arena          arena;
    lqi_adapter_config config;
    lq_adapter_module *modules;
    uint64_t           count;
    void              *data;     /* all of A and B */
};

/* On the way: where the tensors are. */
typedef struct reader {
    lq_adapter    *adapter;
    const lq_file *file;
    lq_error      *error;
} reader;

void lq_adapter_config_init(lq_adapter_config *config)
{
    const lq_adapter_config init = LQ_ADAPTER_CONFIG_INIT;

    if (config)
        *config = init;
}

void lq_adapter_module_init(lq_adapter_module *module)
{
    const lq_adapter_module init = LQ_ADAPTER_MODULE_INIT;

    if (module)
        *module = init;
}

static lq_status fail(const reader *r, const lq_file_tensor *t, lq_status status,
                      const char *problem)
{
    lqi_where where = { t ? t->file : lq_file_path(r->file), t ? t->name : NULL, LQ_NO_OFFSET };

    return lqi_fail(r->error, status, &where, "%s", problem);
}

/* ------------------------------------------------------------------- modules */

static int ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);

    return n >= k && !strcmp(name + n - k, end);
}

/* The tensor beside 't' whose name ends in 'other' where that of 't' ends in 'own'. */
static lq_status companion(const reader *r, const lq_file_tensor *t, const char *own,
                           const char *other, uint64_t *index)
{
    size_t base = strlen(t->name) - strlen(own), tail = strlen(other) + 1;
    char *name = lqi_arena_alloc(&r->adapter->arena, base + tail);
    lq_status status;

    if (!name)
        return fail(r, t, LQ_ERR_NOMEM, "out of memory");
    memcpy(name, t->name, base);
    memcpy(name + base, other, tail);
    status = lq_file_tensor_find(r->file, name, index);
    return status ? fail(r, t, LQ_ERR_NOTFOUND, "its other half is missing") : LQ_OK;
}

/* Is it A (1) or B (0) of a module? */
static lq_status classify(const reader *r, const lq_file_tensor *t, int *is_a)
{
    int b = ends_in(t->name, LQI_ADAPTER_B);
    size_t prefix = strlen(LQI_ADAPTER_PREFIX);

    *is_a = ends_in(t->name, LQI_ADAPTER_A);
    if (strncmp(t->name, LQI_ADAPTER_PREFIX, prefix) || (!*is_a && !b) ||
        strlen(t->name) <= prefix + strlen(LQI_ADAPTER_A))
        return fail(r, t, LQ_ERR_UNSUPPORTED, "not lora_A.weight or lora_B.weight of a module");
    if (t->n_dims != 2)
        return fail(r, t, LQ_ERR_SHAPE, "not a matrix");
    if (t->dtype != LQ_F32 && t->dtype != LQ_F16 && t->dtype != LQ_BF16)
        return fail(r, t, LQ_ERR_UNSUPPORTED, "neither F32 nor F16 nor BF16");
    return LQ_OK;
}

/* Count the modules; every tensor is half of one. */
static lq_status count_modules(reader *r, uint64_t *count)
{
    for (uint64_t i = 0; i < lq_file_tensor_count(r->file); i++) {
        lq_file_tensor t = LQ_FILE_TENSOR_INIT;
        uint64_t other;
        int is_a;
        lq_status status;

        (void)lq_file_tensor_at(r->file, i, &t);
        if ((status = classify(r, &t, &is_a)) ||
            (!is_a && (status = companion(r, &t, LQI_ADAPTER_B, LQI_ADAPTER_A, &other))))
            return status;
        *count += is_a;
    }
    return *count ? LQ_OK : fail(r, NULL, LQ_ERR_NOTFOUND, "no module has an adapter");
}

/* Rank and scale by the config. */
static lq_status fill_numbers(const reader *r, const lq_file_tensor *a, lq_adapter_module *m)
{
    const lqi_adapter_config *c = &r->adapter->config;
    double alpha = lqi_adapter_pattern_find(c->alphas, m->name, c->c.alpha);
    double rank = lqi_adapter_pattern_find(c->ranks, m->name, c->c.rank);

    if (rank != (double)a->dims[0])
        return fail(r, a, LQ_ERR_MISMATCH, "its rank is not the config's");
    m->rank = (uint32_t)rank;
    m->scale = lq_lora_scale((float)alpha, m->rank, c->c.rank_stabilised);
    return isfinite(m->scale) && m->scale != 0
               ? LQ_OK : fail(r, a, LQ_ERR_NUMERIC, "its scale does not fit a float");
}

/* Little-endian numbers become the machine's.  0: one is NaN or infinite. */
static int finish_numbers(lq_dtype type, void *p, uint64_t n)
{
    const uint32_t exponent = type == LQ_F16 ? 0x7c00 : 0x7f80;

    for (uint64_t i = 0; i < n; i++) {
        if (type == LQ_F32) {
            uint32_t bits = lqi_load32((uint8_t *)p + 4 * i);
            memcpy((uint8_t *)p + 4 * i, &bits, sizeof bits);
            if ((bits >> 16 & exponent) == exponent)
                return 0;
        } else {
            uint16_t bits = lqi_load16((uint8_t *)p + 2 * i);
            memcpy((uint8_t *)p + 2 * i, &bits, sizeof bits);
            if ((bits & exponent) == exponent)
                return 0;
        }
    }
    return 1;
}

static uint64_t room_for(uint64_t bytes)
{
    return lqi_div_up(bytes, LQI_ALIGN) * LQI_ALIGN;
}

/* Read tensor 'index' to *at, which moves behind it. */
static lq_status load(const reader *r, uint64_t index, const lq_file_tensor *t, uint8_t **at)
{
    lq_status status = t->bytes ? lq_file_read(r->file, index, 0, *at, t->bytes, r->error)
                                : LQ_OK;

    if (!status && !finish_numbers(t->dtype, *at, t->bytes / lq_dtype_bytes(t->dtype)))
        status = fail(r, t, LQ_ERR_NONFINITE, "a number is NaN or infinite");
    *at += room_for(t->bytes);
    return status;
}

static lq_status fill_module(reader *r, uint64_t index, const lq_file_tensor *a,
                             lq_adapter_module *m, uint8_t **at)
{
    lq_file_tensor b = LQ_FILE_TENSOR_INIT;
    size_t prefix = strlen(LQI_ADAPTER_PREFIX);
    size_t length = strlen(a->name) - prefix - strlen(LQI_ADAPTER_A);
    uint64_t other = 0;
    lq_status status = companion(r, a, LQI_ADAPTER_A, LQI_ADAPTER_B, &other);

    if (status)
        return status;
    (void)lq_file_tensor_at(r->file, other, &b);
    if (b.dtype != a->dtype)
        return fail(r, &b, LQ_ERR_MISMATCH, "its type is not that of its other half");
    if (b.dims[1] != a->dims[0])
        return fail(r, &b, LQ_ERR_MISMATCH, "its rank is not that of its other half");
    m->struct_size = sizeof *m;
    m->name = lqi_arena_text(&r->adapter->arena, a->name + prefix, length);
    if (!m->name)
        return fail(r, a, LQ_ERR_NOMEM, "out of memory");
    m->rows = b.dims[0];
    m->cols = a->dims[1];
    m->type = a->dtype;
    if ((status = fill_numbers(r, a, m)))
        return status;
    m->a = *at;
    if ((status = load(r, index, a, at)))
        return status;
    m->b = *at;
    return load(r, other, &b, at);
}

static lq_status allocate(reader *r)
{
    lq_adapter *ad = r->adapter;
    uint64_t total = 1, i;

    for (i = 0; i < lq_file_tensor_count(r->file); i++) {
        lq_file_tensor t = LQ_FILE_TENSOR_INIT;

        (void)lq_file_tensor_at(r->file, i, &t);
        if (!lqi_add(total, room_for(t.bytes), &total))
            return fail(r, &t, LQ_ERR_OVERFLOW, "the tensors do not fit into memory");
    }
    ad->data = lqi_alloc(&ad->allocator, total);
    ad->modules = lqi_alloc_zero(&ad->allocator, ad->count * sizeof *ad->modules);
    return ad->data && ad->modules ? LQ_OK
                                   : fail(r, NULL, LQ_ERR_NOMEM, "no memory for its tensors");
}

static lq_status read_modules(reader *r)
{
    lq_adapter *ad = r->adapter;
    uint64_t k = 0;
    uint8_t *at;
    lq_status status;

    if (lq_file_container(r->file) != LQ_CONTAINER_SAFETENSORS)
        return fail(r, NULL, LQ_ERR_FORMAT, "not a safetensors file");
    if ((status = count_modules(r, &ad->count)) || (status = allocate(r)))
        return status;
    at = ad->data;
    for (uint64_t i = 0; i < lq_file_tensor_count(r->file) && !status; i++) {
        lq_file_tensor t = LQ_FILE_TENSOR_INIT;

        (void)lq_file_tensor_at(r->file, i, &t);
        if (ends_in(t.name, LQI_ADAPTER_A))
            status = fill_module(r, i, &t, &ad->modules[k++], &at);
    }
    return status;
}

/* ------------------------------------------------------------------- opening */

static lq_adapter *create(const lq_ctx *ctx)
{
    lq_adapter *adapter = lqi_alloc_zero(&ctx->allocator, sizeof *adapter);

    if (!adapter)
        return NULL;
    adapter->allocator = ctx->allocator;
    adapter->arena.allocator = &adapter->allocator;
    return adapter;
}

/* Takes the file, which may be NULL behind an error. */
static lq_status finish(lq_adapter *ad, lq_file *file, lq_status status, lq_adapter **adapter,
                        lq_error *error)
{
    reader r = { ad, file, error };

    if (!status)
        status = read_modules(&r);
    lq_file_close(file);
    if (status)
        lq_adapter_destroy(ad);
    else
        *adapter = ad;
    return status;
}

lq_status lq_adapter_open_memory(const lq_ctx *ctx, const void *config, uint64_t config_bytes,
                                 const void *weights, uint64_t weights_bytes,
                                 lq_adapter **adapter, lq_error *error)
{
    lq_adapter *ad;
    lq_file *file = NULL;
    lq_status status;

    if (!ctx || (!config && config_bytes) || !adapter)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, config and adapter are needed");
    ad = create(ctx);
    if (!ad)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for an adapter");
    status = lqi_adapter_config_parse(LQI_ADAPTER_CONFIG, config, config_bytes, &ad->arena,
                                      &ad->config, error);
    if (!status)
        status = lq_file_open_memory(ctx, weights, weights_bytes, NULL, &file, error);
    return finish(ad, file, status, adapter, error);
}

/* "folder/name", in the arena; NULL: out of memory. */
static char *join(lq_adapter *adapter, const char *folder, const char *name)
{
    size_t head = strlen(folder), tail = strlen(name) + 1;
    char *path = lqi_arena_alloc(&adapter->arena, (uint64_t)head + 1 + tail);

    if (!path)
        return NULL;
    memcpy(path, folder, head);
    path[head] = '/';
    memcpy(path + head + 1, name, tail);
    return path;
}

static lq_status read_config(lq_adapter *ad, const char *path, lq_error *error)
{
    lqi_where where = { path, NULL, LQ_NO_OFFSET };
    lqi_source *source = NULL;
    uint64_t bytes;
    char *text;
    lq_status status = lqi_source_open(&ad->allocator, path, 0, &source, error);

    if (status)
        return status;
    bytes = lqi_source_bytes(source);
    text = bytes > CONFIG_BYTES ? NULL : lqi_arena_alloc(&ad->arena, bytes + 1);
    if (bytes > CONFIG_BYTES)
        status = lqi_fail(error, LQ_ERR_LIMIT, &where, "longer than 1 MiB");
    else if (!text)
        status = lqi_fail(error, LQ_ERR_NOMEM, &where, "out of memory");
    else if (bytes)
        status = lqi_source_read(source, 0, text, bytes, error);
    lqi_source_close(source);
    return status ? status : lqi_adapter_config_parse(path, text, bytes, &ad->arena,
                                                      &ad->config, error);
}

lq_status lq_adapter_open(const lq_ctx *ctx, const char *path, lq_adapter **adapter,
                          lq_error *error)
{
    lq_adapter *ad;
    lq_file *file = NULL;
    char *config, *weights;
    lq_status status;

    if (!ctx || !path || !adapter)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, path and adapter are needed");
    ad = create(ctx);
    if (!ad)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for an adapter");
    config = join(ad, path, LQI_ADAPTER_CONFIG);
    weights = join(ad, path, LQI_ADAPTER_WEIGHTS);
    if (!config || !weights)
        status = lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for an adapter");
    else if (!(status = read_config(ad, config, error)))
        status = lq_file_open(ctx, weights, NULL, &file, error);
    return finish(ad, file, status, adapter, error);
}

void lq_adapter_destroy(lq_adapter *adapter)
{
    lq_allocator a;

    if (!adapter)
        return;
    a = adapter->allocator;
    lqi_arena_free(&adapter->arena);
    lqi_free(&a, adapter->data);
    lqi_free(&a, adapter->modules);
    lqi_free(&a, adapter);
}

/* ------------------------------------------------------------------- serving */

lq_status lq_adapter_get_config(const lq_adapter *adapter, lq_adapter_config *config)
{
    if (!adapter || !config)
        return LQ_ERR_ARG;
    return lqi_hand_out(config, &adapter->config.c, sizeof *config);
}

uint64_t lq_adapter_count(const lq_adapter *adapter)
{
    return adapter ? adapter->count : 0;
}

lq_status lq_adapter_at(const lq_adapter *adapter, uint64_t index, lq_adapter_module *module)
{
    if (!adapter || !module || index >= adapter->count)
        return LQ_ERR_ARG;
    return lqi_hand_out(module, &adapter->modules[index], sizeof *module);
}

lq_status lq_adapter_find(const lq_adapter *adapter, const char *name, uint64_t *index)
{
    if (!adapter || !name || !index)
        return LQ_ERR_ARG;
    for (uint64_t i = 0; i < adapter->count; i++) {
        if (strcmp(adapter->modules[i].name, name))
            continue;
        *index = i;
        return LQ_OK;
    }
    return LQ_ERR_NOTFOUND;
}
