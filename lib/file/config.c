/* SPDX-License-Identifier: MIT */
/*
 * lib/file/config.c - config.json, or what stands for it in a single file's metadata
 *
 * Without jansson the file is empty: dialects configured in JSON are not built then.
 */
#include "lib/file/weights.h"

#ifdef LQI_HAVE_JSON
#include <jansson.h>

static lq_status parse(const lq_file *file, const char *text, uint64_t bytes, json_t **root,
                       lq_error *error)
{
    lqi_where where = { lq_file_path(file), NULL, LQ_NO_OFFSET };
    json_error_t json_error;
    json_t *parsed;

    if (bytes > LQI_CONFIG_MAX)
        return lqi_fail(error, LQ_ERR_LIMIT, &where, "its config has more than %u bytes",
                        LQI_CONFIG_MAX);
    parsed = json_loadb(text, (size_t)bytes, JSON_REJECT_DUPLICATES, &json_error);
    if (!parsed && json_error_code(&json_error) == json_error_out_of_memory)
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "no memory for its config");
    if (!parsed)
        return lqi_fail(error, LQ_ERR_FORMAT, &where, "its config is not JSON: line %d: %s",
                        json_error.line, json_error.text);
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return lqi_fail(error, LQ_ERR_CORRUPT, &where, "its config is not a JSON object");
    }
    *root = parsed;
    return LQ_OK;
}

lq_status lqi_config_parse(const lq_file *file, json_t **root, lq_error *error)
{
    uint64_t bytes = 0;
    const char *text = lq_file_config(file, &bytes);

    *root = NULL;
    return text ? parse(file, text, bytes, root, error) : LQ_OK;
}

lq_status lqi_config_model(const lq_file *file, json_t **root, lq_error *error)
{
    lq_meta meta = LQ_META_INIT;
    const char *text = NULL;
    uint64_t bytes = 0;

    if (file->container != LQ_CONTAINER_SAFETENSORS ||
        lq_file_meta_find(file, "config", &meta) != LQ_OK ||
        lq_file_meta_string(file, &meta, 0, &text, &bytes) != LQ_OK)
        return lqi_config_parse(file, root, error);
    *root = NULL;
    return parse(file, text, bytes, root, error);
}

/* The config beside config.json becomes *root's.  ModelOpt's is nested and has no method. */
static lq_status parse_beside(json_t **root, const lq_file *file, lq_error *error)
{
    json_t *beside = NULL, *inner;
    lq_status st = parse(file, file->quant_config, file->quant_config_bytes, &beside, error);

    if (st)
        return st;
    inner = json_object_get(beside, "quantization");
    if (json_is_object(inner)) {
        json_object_set_new(inner, "quant_method", json_string("modelopt"));
        json_incref(inner);
        json_decref(beside);
        beside = inner;
    }
    if (!*root)
        *root = json_object();
    if (json_object_set_new(*root, "quantization_config", beside))
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for a config");
    return LQ_OK;
}

lq_status lqi_config_quant(json_t **root, const lq_file *file, json_t **quant,
                           lq_error *error)
{
    lqi_where where = { lq_file_path(file), NULL, LQ_NO_OFFSET };
    json_t *q = json_object_get(*root, "quantization_config"), *method;

    if (!q && json_object_get(*root, "quant_method"))
        q = *root;
    if (!q && file->quant_config) {
        lq_status st = parse_beside(root, file, error);
        if (st)
            return st;
        q = json_object_get(*root, "quantization_config");
    }
    if (!q || json_is_null(q))
        return LQ_OK;
    if (!json_is_object(q))
        return lqi_fail(error, LQ_ERR_CORRUPT, &where,
                        "'quantization_config' is not a JSON object");
    method = json_object_get(q, "quant_method");
    if (method && !json_is_string(method))
        return lqi_fail(error, LQ_ERR_CORRUPT, &where, "'quant_method' is not a string");
    *quant = q;
    return LQ_OK;
}
#else
typedef int lqi_config_empty;
#endif
