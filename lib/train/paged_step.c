/* SPDX-License-Identifier: MIT */
/*
 * lib/train/paged_step.c - steps of an optimizer over paged arrays, window by window
 *
 * A window is as many numbers as make a segment of f32, so that in an array that begins a
 * file no segment belongs to two windows.
 */
#include "lib/core/core.h"
#include "lib/train/optimizer.h"
#include "lib/train/paged.h"

typedef struct sweep {
    lq_paged           *pool;
    const lq_optimizer *optimizer;       /* the caller's */
    lq_optimizer        o;
    lq_params           p;
    uint64_t            window, count;   /* numbers of each, and how many */
    lq_error           *error;
} sweep;

static lq_params window_at(const sweep *s, uint64_t index)
{
    uint64_t number = s->o.step % 2 ? index : s->count - 1 - index;

    return lqi_params_cut(&s->p, s->o.state_bits, number * s->window, s->window);
}

/* Those of its arrays that the pool has. */
static lq_status use_window(const sweep *s, const lq_params *p)
{
    uint64_t bytes[4];
    lq_status status = lq_optimizer_bytes(&s->o, p->n, bytes);
    const struct {
        const void *data;
        uint64_t    bytes;
        int32_t     access;
    } array[] = {
        { p->values, p->n * sizeof(float), LQ_PAGED_WRITE },
        { p->grads, p->n * sizeof(float), LQ_PAGED_READ },
        { p->m, bytes[0], LQ_PAGED_WRITE }, { p->v, bytes[1], LQ_PAGED_WRITE },
        { p->m_scales, bytes[2], LQ_PAGED_WRITE }, { p->v_scales, bytes[3], LQ_PAGED_WRITE },
    };

    for (size_t i = 0; i < sizeof array / sizeof array[0] && status == LQ_OK; i++)
        if (array[i].bytes && lqi_paged_has(s->pool, array[i].data))
            status = lq_paged_use(s->pool, array[i].data, array[i].bytes, array[i].access,
                                  s->error);
    return status;
}

static lq_status run(const sweep *s)
{
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < s->count && status == LQ_OK; i++) {
        lq_params now = window_at(s, i), next = window_at(s, lqi_min(i + 1, s->count - 1));

        if ((status = use_window(s, &now)) || (status = use_window(s, &next)))
            break;
        status = lq_optimizer_step(lqi_paged_ctx(s->pool), s->optimizer, &now);
        if (status)
            lqi_fail(s->error, status, NULL, "%s", lq_status_text(status));
    }
    return status;
}

lq_status lq_paged_step(lq_paged *pool, const lq_optimizer *optimizer, const lq_params *params,
                        lq_error *error)
{
    sweep s = { .pool = pool, .optimizer = optimizer, .error = error };
    lq_status status = pool ? lqi_step_open(optimizer, params, &s.o, &s.p) : LQ_ERR_ARG;

    if (status)
        return lqi_fail(error, status, NULL, "a step: %s", lq_status_text(status));
    s.window = lqi_paged_grain(pool) / sizeof(float);
    s.count = lqi_div_up(s.p.n, s.window);
    return run(&s);
}
