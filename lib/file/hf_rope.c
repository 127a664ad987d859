/* SPDX-License-Identifier: MIT */
/*
 * lib/file/hf_rope.c - scaled rotary positions of Hugging Face configs in GGUF
 *
 *   linear   keys rope.scaling.type and .factor
 *   llama3   a tensor rope_freqs.weight, F32 [head_dim / 2]: by what each frequency is
 *            divided.  Wavelengths below context / high_freq_factor are left alone, those
 *            above context / low_freq_factor get the whole factor, between them the
 *            reciprocals are blended
 *
 * The steps are rounded to f32 where llama.cpp's converter (PyTorch) rounds them.
 */
#include "lib/file/dialect/dialect.h"

#ifdef LQI_HAVE_JSON
#include <jansson.h>

#include "lib/base/mathx.h"

typedef struct scaling {
    const char *type;           /* NULL: none */
    double      factor, low, high, context, theta;
    uint64_t    dim;
} scaling;

static lq_status fail(const lqi_plan *plan, const char *what)
{
    return lqi_fail(plan->error, LQ_ERR_CORRUPT, NULL, "the config's rope scaling: %s", what);
}

static json_t *scaling_object(const lqi_plan *plan)
{
    json_t *object = json_object_get(plan->config, "rope_scaling");

    if (!json_is_object(object))        /* newer configs */
        object = json_object_get(plan->config, "rope_parameters");
    return json_is_object(object) ? object : NULL;
}

static const char *type_of(json_t *object)
{
    json_t *type = json_object_get(object, "rope_type");

    if (!type)
        type = json_object_get(object, "type");
    if (json_is_string(type) && strcmp(json_string_value(type), "default"))
        return json_string_value(type);
    return NULL;
}

static double number(json_t *object, const char *key, double otherwise)
{
    json_t *v = json_object_get(object, key);

    return json_is_number(v) ? json_number_value(v) : otherwise;
}

static uint64_t head_dim(const lqi_plan *plan)
{
    json_int_t dim = json_integer_value(json_object_get(plan->config, "head_dim"));
    json_int_t heads = json_integer_value(json_object_get(plan->config,
                                                          "num_attention_heads"));
    json_int_t size = json_integer_value(json_object_get(plan->config, "hidden_size"));

    if (dim <= 0 && heads > 0)
        dim = size / heads;
    return dim > 0 ? (uint64_t)dim : 0;
}

static int usable(double v)
{
    return v >= 1e-6 && v <= 1e9;
}

static lq_status read_scaling(const lqi_plan *plan, scaling *s)
{
    json_t *object = scaling_object(plan);

    s->type = type_of(object);
    if (!s->type)
        return LQ_OK;
    if (strcmp(s->type, "linear") && strcmp(s->type, "llama3"))
        return lqi_fail(plan->error, LQ_ERR_UNSUPPORTED, NULL, "the config's rope scaling "
                        "'%s' is not known in the conversion to GGUF", s->type);
    s->factor = number(object, "factor", 8);
    s->low = number(object, "low_freq_factor", 1);
    s->high = number(object, "high_freq_factor", 4);
    s->context = number(object, "original_max_position_embeddings", 8192);
    s->theta = number(plan->config, "rope_theta", number(object, "rope_theta", 10000));
    s->dim = head_dim(plan);
    if (!usable(s->factor) || !usable(s->low) || !usable(s->high) || !usable(s->context) ||
        !usable(s->theta))
        return fail(plan, "a number is out of range");
    if (s->low >= s->high)
        return fail(plan, "low_freq_factor is not below high_freq_factor");
    if (!s->dim || s->dim > 65536 || s->dim % 2)
        return fail(plan, "the head size is not even");
    return LQ_OK;
}

lq_status lqi_rope_keys(lqi_plan *plan, lq_writer *writer)
{
    scaling s = { 0 };
    float factor;
    lq_status st = read_scaling(plan, &s);

    if (st || !s.type || strcmp(s.type, "linear"))
        return st;
    factor = (float)s.factor;
    st = lq_writer_meta_string(writer, "llama.rope.scaling.type", "linear");
    if (!st)
        st = lq_writer_meta(writer, "llama.rope.scaling.factor", LQ_META_F32, 0, &factor, 1);
    return st ? lqi_fail(plan->error, st, NULL, "rope scaling: %s", lq_status_text(st)) : LQ_OK;
}

static float rope_factor(const scaling *s, uint64_t i)
{
    float exponent = (float)(2 * i) / (float)s->dim;
    float frequency = 1 / (float)lqi_pow(s->theta, (double)exponent);
    float wavelength = 1 / frequency * 6.28318530717958647692f;
    float smooth;

    if ((double)wavelength < s->context / s->high)
        return 1;
    if ((double)wavelength > s->context / s->low)
        return (float)s->factor;
    smooth = (1 / wavelength * (float)s->context - (float)s->low) / (float)(s->high - s->low);
    return 1 / ((1 - smooth) / (float)s->factor + smooth);
}

lq_status lqi_rope_job(lqi_plan *plan, lqi_job *job)
{
    scaling s = { 0 };
    float *factors;
    lq_status st = read_scaling(plan, &s);

    if (st || !s.type || strcmp(s.type, "llama3"))
        return st;
    factors = lqi_arena_alloc(&plan->arena, 4 * s.dim / 2);
    job->out.name = lqi_arena_text(&plan->arena, "rope_freqs.weight", 17);
    job->reason = lqi_arena_text(&plan->arena, "from the config's rope scaling", 30);
    if (!factors || !job->out.name || !job->reason)
        return lqi_fail(plan->error, LQ_ERR_NOMEM, NULL, "no memory for rope factors");
    for (uint64_t i = 0; i < s.dim / 2; i++)
        lqi_store32(factors + i, lqi_float_bits(rope_factor(&s, i)));
    job->made = factors;
    job->out.n_dims = 1;
    job->out.dims[0] = s.dim / 2;
    return LQ_OK;
}
#else
typedef int lqi_hf_rope_empty;
#endif
