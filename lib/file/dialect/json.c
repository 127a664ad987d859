/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/json.c - what the dialects configured in JSON share
 */
#include "lib/file/dialect/json.h"

lq_status lqi_json_int(lqi_scan *scan, uint64_t index, json_t *object, const char *key,
                       int64_t *value)
{
    json_t *v = json_object_get(object, key);

    if (!v || json_is_null(v))
        return LQ_OK;
    if (!json_is_integer(v))
        return lqi_scan_fail(scan, index, LQ_ERR_CORRUPT, "'%s' is not an integer", key);
    *value = json_integer_value(v);
    return LQ_OK;
}

lq_status lqi_json_bool(lqi_scan *scan, uint64_t index, json_t *object, const char *key,
                        int *value)
{
    json_t *v = json_object_get(object, key);

    if (!v || json_is_null(v))
        return LQ_OK;
    if (!json_is_boolean(v))
        return lqi_scan_fail(scan, index, LQ_ERR_CORRUPT, "'%s' is not true or false", key);
    *value = json_is_true(v);
    return LQ_OK;
}

const char *lqi_json_text(json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);

    return json_is_string(v) ? json_string_value(v) : NULL;
}

int lqi_job_quantized(const lqi_job *job)
{
    return job->raw == LQI_NONE && !lqi_spec_plain(&job->out.spec);
}

const lqi_out *lqi_first_quantized(const lqi_plan *plan)
{
    for (uint64_t i = 0; i < plan->count; i++)
        if (lqi_job_quantized(&plan->jobs[i]))
            return &plan->jobs[i].out;
    return NULL;
}

int lqi_same_specs(const lqi_plan *plan)
{
    const lqi_out *first = lqi_first_quantized(plan);

    for (uint64_t i = 0; i < plan->count; i++)
        if (lqi_job_quantized(&plan->jobs[i]) &&
            !lq_spec_equal(&first->spec, &plan->jobs[i].out.spec))
            return 0;
    return 1;
}

json_t *lqi_json_kept(const lqi_plan *plan)
{
    json_t *kept = json_array();
    int head = 0;

    for (uint64_t i = 0; i < plan->count; i++) {
        const lqi_job *job = &plan->jobs[i];
        size_t base = lqi_scan_base(job->out.name, ".weight");
        head |= lqi_name_is_output(job->out.name);
        if (job->raw != LQI_NONE || lqi_job_quantized(job) || job->out.n_dims < 2 || !base ||
            strstr(job->out.name, "embed"))
            continue;
        json_array_append_new(kept, json_stringn(job->out.name, base));
    }
    if (!head)      /* tied to the embedding: no tensor, but a linear layer for readers */
        json_array_append_new(kept, json_string("lm_head"));
    return kept;
}
