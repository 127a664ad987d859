/* SPDX-License-Identifier: MIT */
/*
 * lib/train/optimizer.c - one step of an optimizer over arrays of the caller
 */
#include "lib/core/core.h"
#include "lib/train/optimizer.h"

#include <math.h>

enum { CHUNK = 64 * LQI_STATE_BLOCK };   /* numbers of a task */

enum { M, V, M_SCALES, V_SCALES, STATES };   /* as lq_optimizer_bytes() has them */

void lq_optimizer_init(lq_optimizer *optimizer)
{
    const lq_optimizer init = LQ_OPTIMIZER_INIT;

    if (optimizer)
        *optimizer = init;
}

void lq_params_init(lq_params *params)
{
    const lq_params init = LQ_PARAMS_INIT;

    if (params)
        *params = init;
}

/* ------------------------------------------------------------------- rules */

typedef struct rule {
    lqi_step_rule kernel;
    int           states;
    float         beta1, beta2;   /* defaults */
    int           decoupled;      /* weight decay of parameters, not of gradients */
    int           corrected;      /* for the bias of young moments */
} rule;

static const rule rules[] = {
    [LQ_ADAMW] = { LQI_STEP_ADAM, 2, 0.9f, 0.999f, 1, 1 },
    [LQ_ADAM]  = { LQI_STEP_ADAM, 2, 0.9f, 0.999f, 0, 1 },
    [LQ_LION]  = { LQI_STEP_LION, 1, 0.9f, 0.99f, 1, 0 },
    [LQ_SGD]   = { LQI_STEP_SGD, 1, 0.9f, 0.0f, 0, 0 },
};

static float or_default(float x, float otherwise)
{
    return x == 0.0f ? otherwise : x < 0.0f ? 0.0f : x;
}

/* Copy the caller's numbers with defaults filled in, and check them. */
static lq_status read_optimizer(const lq_optimizer *in, lq_optimizer *o)
{
    lq_status status = lqi_opts_read(o, sizeof *o, in);

    if (status)
        return status;
    if (o->rule < 0 || (size_t)o->rule >= sizeof rules / sizeof rules[0])
        return LQ_ERR_ARG;
    o->state_bits = o->state_bits ? o->state_bits : 32;
    o->beta1 = or_default(o->beta1, rules[o->rule].beta1);
    o->beta2 = or_default(o->beta2, rules[o->rule].beta2);
    o->eps = o->eps == 0.0f ? 1e-8f : o->eps;
    o->grad_scale = o->grad_scale == 0.0f ? 1.0f : o->grad_scale;
    if ((o->state_bits != 32 && o->state_bits != 8) || !(o->lr >= 0 && o->lr <= FLT_MAX) ||
        !(o->beta1 < 1) || !(o->beta2 < 1) || !(o->eps >= FLT_MIN && o->eps <= FLT_MAX) ||
        !(o->weight_decay >= 0 && o->weight_decay <= FLT_MAX) || !isfinite(o->grad_scale))
        return LQ_ERR_ARG;
    return LQ_OK;
}

/* x^n, by squaring: the same on every machine. */
static double power(double x, uint64_t n)
{
    double result = 1.0;

    for (; n; n >>= 1, x *= x)
        if (n & 1)
            result *= x;
    return result;
}

static lqi_step make_step(const lq_optimizer *o)
{
    const rule *r = &rules[o->rule];
    double young1 = r->corrected ? 1.0 - power(o->beta1, o->step) : 1.0;
    double young2 = r->corrected ? sqrt(1.0 - power(o->beta2, o->step)) : 1.0;

    return (lqi_step){
        .beta = { o->beta1, o->beta2 },
        .rest = { 1.0f - o->beta1, 1.0f - o->beta2 },
        .rate = (float)(o->lr * young2 / young1),
        .eps = (float)(o->eps * young2),
        .keep = r->decoupled ? 1.0f - o->lr * o->weight_decay : 1.0f,
        .coupled = r->decoupled ? 0.0f : o->weight_decay,
        .scale = o->grad_scale,
    };
}

/* -------------------------------------------------------------------- arrays */

static lq_status state_bytes(const lq_optimizer *o, uint64_t n, uint64_t bytes[STATES])
{
    int states = rules[o->rule].states, narrow = o->state_bits == 8;
    uint64_t scales = lqi_div_up(n, LQI_STATE_BLOCK) * sizeof(float);

    if (n > SIZE_MAX / sizeof(float))
        return LQ_ERR_OVERFLOW;
    bytes[M] = n * o->state_bits / 8;
    bytes[V] = states > 1 ? bytes[M] : 0;
    bytes[M_SCALES] = narrow ? scales : 0;
    bytes[V_SCALES] = narrow && states > 1 ? scales : 0;
    return LQ_OK;
}

lq_status lq_optimizer_bytes(const lq_optimizer *optimizer, uint64_t n, uint64_t bytes[4])
{
    lq_optimizer o;
    lq_status status;

    if (!optimizer || !bytes)
        return LQ_ERR_ARG;
    status = read_optimizer(optimizer, &o);
    return status ? status : state_bytes(&o, n, bytes);
}

static lq_status check_arrays(const lq_optimizer *o, const lq_params *p)
{
    const void *array[] = { p->m, p->v, p->m_scales, p->v_scales, p->values, p->grads };
    enum { ARRAYS = sizeof array / sizeof array[0] };
    uint64_t bytes[ARRAYS];
    lq_status status = state_bytes(o, p->n, bytes);

    if (status)
        return status;
    bytes[STATES] = bytes[STATES + 1] = p->n * sizeof(float);
    for (int i = 0; i < ARRAYS; i++) {
        int is_codes = i < M_SCALES && o->state_bits == 8;

        if (bytes[i] && !array[i])
            return LQ_ERR_ARG;
        if (bytes[i] && !is_codes && (uintptr_t)array[i] % sizeof(float))
            return LQ_ERR_ALIGN;
        for (int k = 0; k < i; k++)
            if (lqi_overlap(array[i], bytes[i], array[k], bytes[k]))
                return LQ_ERR_OVERLAP;
    }
    return LQ_OK;
}

/* ---------------------------------------------------------------------- step */

struct work {
    lqi_step_fn *run;
    lqi_step     step;
    lq_params    p;
    uint32_t     state_bits;
};

static void *state_at(void *state, uint32_t state_bits, uint64_t at)
{
    return state ? (uint8_t *)state + at * state_bits / 8 : NULL;
}

lq_params lqi_params_cut(const lq_params *p, uint32_t state_bits, uint64_t at, uint64_t n)
{
    uint64_t block = at / LQI_STATE_BLOCK;
    lq_params part = *p;

    part.n = lqi_min(n, p->n - at);
    part.values = p->values + at;
    part.grads = p->grads + at;
    part.m = state_at(p->m, state_bits, at);
    part.v = state_at(p->v, state_bits, at);
    part.m_scales = p->m_scales ? p->m_scales + block : NULL;
    part.v_scales = p->v_scales ? p->v_scales + block : NULL;
    return part;
}

static void chunk_task(void *arg, size_t index)
{
    const struct work *w = arg;
    lq_params p = lqi_params_cut(&w->p, w->state_bits, (uint64_t)index * CHUNK, CHUNK);
    lqi_step s = w->step;

    s.p = p.values;
    s.g = p.grads;
    s.n = (size_t)p.n;
    s.state[0] = p.m;
    s.state[1] = p.v;
    s.absmax[0] = p.m_scales;
    s.absmax[1] = p.v_scales;
    w->run(&s);
}

lq_status lqi_step_open(const lq_optimizer *optimizer, const lq_params *params, lq_optimizer *o,
                        lq_params *p)
{
    lq_status status;

    if (!optimizer || !params)
        return LQ_ERR_ARG;
    memset(o, 0, sizeof *o);
    memset(p, 0, sizeof *p);
    if ((status = read_optimizer(optimizer, o)) ||
        (status = lqi_opts_read(p, sizeof *p, params)) ||
        (status = check_arrays(o, p)))
        return status;
    return o->step == 0 ? LQ_ERR_ARG : LQ_OK;
}

lq_status lq_optimizer_step(const lq_ctx *ctx, const lq_optimizer *optimizer,
                            const lq_params *params)
{
    lq_optimizer o;
    struct work w = { 0 };
    lq_status status = ctx ? lqi_step_open(optimizer, params, &o, &w.p) : LQ_ERR_ARG;

    if (status)
        return status;
    w.step = make_step(&o);
    if (o.state_bits == 8 && (status = lqi_maps8_need(ctx, w.step.map)))
        return status;
    w.state_bits = o.state_bits;
    w.run = ctx->kernels.step[rules[o.rule].kernel][o.state_bits == 8];
    lqi_parallel(ctx, (size_t)lqi_div_up(w.p.n, CHUNK), chunk_task, &w);
    return LQ_OK;
}
