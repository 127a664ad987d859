/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/bench_optimizer.c - the speed of steps of optimizers, in the caches and beyond
 */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

#define CACHED 16384   /* numbers that stay in the caches with all that belongs to them */

const char *const bench_rule_name[] = { "adamw", "adam", "lion", "sgd" };   /* by LQ_ADAMW... */

typedef struct stepper {
    bench       *b;
    lq_optimizer o;
    lq_params    p;
    float       *values, *grads;
    void        *state[4];
    uint64_t     bytes[4];       /* of the state */
} stepper;

static lq_status run_step(void *arg)
{
    stepper *s = arg;

    s->o.step++;
    return lq_optimizer_step(s->b->ctx, &s->o, &s->p);
}

static lq_status take(stepper *s, uint64_t n)
{
    lq_status status = lq_optimizer_bytes(&s->o, n, s->bytes);

    if (status != LQ_OK)
        return status;
    s->values = bench_floats(1, n, 1, 0.02f);
    s->grads = bench_floats(1, n, 2, 0.001f);
    if (!s->values || !s->grads)
        return LQ_ERR_NOMEM;
    for (int i = 0; i < 4; i++)
        if (s->bytes[i] && !(s->state[i] = calloc(1, (size_t)s->bytes[i])))
            return LQ_ERR_NOMEM;
    s->p.n = n;
    s->p.values = s->values;
    s->p.grads = s->grads;
    s->p.m = s->state[0];
    s->p.v = s->state[1];
    s->p.m_scales = s->state[2];
    s->p.v_scales = s->state[3];
    return LQ_OK;
}

static lq_status measure(stepper *s, uint64_t n)
{
    bench *b = s->b;
    record r = { .op = OP_OPTIMIZER, .mode = bench_rule_name[s->o.rule], .n = n,
                 .bits = s->o.state_bits, .type = LQ_F32, .nmse = NAN };
    lq_status status = take(s, n);

    if (status == LQ_OK)
        status = bench_run(b, -1, run_step, s);
    if (status != LQ_OK)
        return status;
    r.seconds = b->samples.call;
    r.roof = b->samples.roof;
    r.weights = (double)n;
    r.written = (double)n * sizeof(float);
    for (int i = 0; i < 4; i++)
        r.written += (double)s->bytes[i];
    r.bytes = 2 * r.written + (double)n * sizeof(float);
    bench_report(b, &r);
    return LQ_OK;
}

lq_status bench_optimizer(bench *b, int rule, uint32_t bits)
{
    const uint64_t n[] = { CACHED, b->rows * b->cols };
    lq_status status = LQ_OK;

    for (int i = 0; i < 2 && status == LQ_OK; i++) {
        stepper s = { .b = b, .o = LQ_OPTIMIZER_INIT, .p = LQ_PARAMS_INIT };

        s.o.rule = rule;
        s.o.state_bits = bits;
        s.o.lr = 1e-4f;
        status = measure(&s, n[i]);
        free(s.values);
        free(s.grads);
        for (int k = 0; k < 4; k++)
            free(s.state[k]);
    }
    return status;
}
