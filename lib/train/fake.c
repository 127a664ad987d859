/* SPDX-License-Identifier: MIT */
/*
 * lib/train/fake.c - fake quantization: arguments, parameters of groups, the order of work
 */
#include "lib/format/planar.h"
#include "lib/train/fake.h"

#include <math.h>

void lq_fake_init(lq_fake *fake)
{
    const lq_fake init = LQ_FAKE_INIT;

    if (fake)
        *fake = init;
}

void lq_fake_grads_init(lq_fake_grads *grads)
{
    const lq_fake_grads init = LQ_FAKE_GRADS_INIT;

    if (grads)
        *grads = init;
}

/* ------------------------------------------------------------------ levels */

static unsigned code_count(const lqi_fake *f)
{
    return f->spec.codebook ? (unsigned)lq_codebook_count(f->spec.codebook) : 1u << f->g.bits;
}

/* Finite levels at scale 1, ascending. */
static unsigned sorted_levels(const lqi_fake *f, float level[256])
{
    const lqi_group one = { 1, f->spec.zeros ? (float)((1u << f->g.bits) - 1) / 2 : 0, 0 };
    unsigned n = 0;

    for (uint32_t code = 0; code < code_count(f); code++) {
        float y;
        unsigned at = n;

        f->g.format->value(&f->spec, &one, &code, 1, &y);
        if (!lqi_finite(y))
            continue;
        for (; at && level[at - 1] > y; at--)
            level[at] = level[at - 1];
        level[at] = y;
        n++;
    }
    return n;
}

static void look_at_levels(lqi_fake *f)
{
    float level[256];
    unsigned n = sorted_levels(f, level);

    f->lo = level[0];
    f->hi = level[n - 1];
    f->integers = level[0] == rintf(level[0]);
    f->levels = 1;
    f->step = 0;
    for (unsigned i = 1; i < n; i++) {
        f->integers &= level[i] == rintf(level[i]);
        f->levels += level[i] != level[i - 1];
    }
    if (f->levels < 2 || f->lo != -f->hi)
        return;
    f->n = (float)f->levels / 2;
    f->h = f->levels % 2 ? 0 : 0.5f;
    f->step = (f->hi - f->lo) / (float)(f->levels - 1);
    for (unsigned i = 1; i < n; i++)
        if (level[i] != level[i - 1] &&
            fabsf(level[i] - level[i - 1] - f->step) > 1e-5f * f->step)
            f->step = 0;
}

/* --------------------------------------------------------------- arguments */

static lq_status refuse(lq_error *error, const char *rule, const char *what)
{
    return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL, "%s fake quantization needs %s", rule, what);
}

static lq_status check_rule(lqi_fake *f, lq_error *error)
{
    const lq_spec *s = &f->spec;
    static const char *const names[] = { "fitted", "affine", "LSQ", "stretched" };
    const char *name = names[f->fake.rule];

    if (f->fake.rule == LQ_FAKE_FITTED)
        return LQ_OK;
    if (f->g.format->storage != LQ_PLANAR || s->scale2_block ||
        s->flags & (LQ_SPEC_GIDX | LQ_SPEC_GLOBAL))
        return refuse(error, name, "a planar spec with one level of scales and no group indices");
    if (f->fake.rule == LQ_FAKE_AFFINE &&
        (!(f->g.format->can & LQI_CAN_ZEROS_INT) || s->zeros == LQ_ZEROS_FLOAT))
        return refuse(error, name, "integers, without float zero points");
    if (f->fake.rule == LQ_FAKE_LSQ && s->zeros)
        return refuse(error, name, "a spec without zero points");
    if (f->fake.rule == LQ_FAKE_STRETCHED && s->zeros == LQ_ZEROS_INT)
        return refuse(error, name, "a spec without integer zero points");
    look_at_levels(f);
    if (f->fake.rule == LQ_FAKE_STRETCHED && f->step == 0)
        return refuse(error, name, "equally spaced levels around 0");
    return LQ_OK;
}

lq_status lqi_fake_open(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows, uint64_t cols,
                        lqi_fake *f, lq_error *error)
{
    lq_status status;
    uint64_t bytes;

    memset(f, 0, sizeof *f);
    f->ctx = ctx;
    if ((status = lqi_opts_read(&f->fake, sizeof f->fake, fake)) ||
        (status = lqi_opts_read(&f->spec, sizeof f->spec, f->fake.spec)))
        return lqi_fail(error, status, NULL, "lq_fake, or its spec, has an unknown struct_size");
    if (!f->fake.spec || f->fake.rule < 0 || f->fake.rule > LQ_FAKE_STRETCHED ||
        !lqi_finite(f->fake.grad_factor))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_fake: no spec, no rule %d, or a factor that "
                        "is not finite", f->fake.rule);
    if ((status = lq_spec_complete(&f->spec, error)))
        return status;
    if ((status = lqi_geometry_init(&f->g, &f->spec, rows, cols)))
        return lqi_fail(error, status, NULL, "shape %llu x %llu does not fit the spec: %s",
                        (unsigned long long)rows, (unsigned long long)cols,
                        lq_status_text(status));
    if (!lqi_mul(rows * cols, sizeof(float), &bytes) || bytes > SIZE_MAX / 2 ||
        f->g.groups > SIZE_MAX / 64 || (cols && rows > SIZE_MAX / 64))
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "the matrix's size does not fit");
    f->length = f->spec.flags & LQ_SPEC_FLAT ? rows * cols : cols;
    f->rows = f->spec.flags & LQ_SPEC_FLAT ? 1 : rows;
    return check_rule(f, error);
}

lq_status lqi_fake_array(const lqi_fake *f, const float *x, const char *name, lq_error *error)
{
    if (!x && f->g.rows && f->g.cols)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_fake: %s is NULL", name);
    if ((uintptr_t)x % sizeof *x)
        return lqi_fail(error, LQ_ERR_ALIGN, NULL, "lq_fake: %s is not aligned to floats", name);
    return LQ_OK;
}

struct finite {
    const lqi_fake *f;
    const float    *x;
    uint64_t        n;
    _Atomic int     bad;
};

static void finite_task(void *arg, size_t index)
{
    struct finite *a = arg;
    uint64_t first = (uint64_t)index * LQI_TASK_WEIGHTS;

    if (a->f->ctx->kernels.any_nonfinite(a->x + first,
                                         (size_t)lqi_min(LQI_TASK_WEIGHTS, a->n - first)))
        a->bad = 1;
}

lq_status lqi_fake_finite(const lqi_fake *f, const float *x, lq_error *error)
{
    struct finite a = { f, x, f->g.rows * f->g.cols, 0 };

    lqi_parallel(f->ctx, (size_t)lqi_div_up(a.n, LQI_TASK_WEIGHTS), finite_task, &a);
    if (a.bad)
        return lqi_fail(error, LQ_ERR_NONFINITE, NULL, "lq_fake: x has a NaN or an infinity");
    return LQ_OK;
}

/* -------------------------------------------------------------- parameters */

/* The least number above 0 of a type of scales. */
static float least(lq_dtype type)
{
    const uint8_t one[4] = { 1, 0, 0, 0 }, none = 0;

    return type == LQ_E8M0 ? lqi_scale_load(type, &none, 0) : lqi_scale_load(type, one, 0);
}

/* What turns a caller's scale into the stored one. */
static float stretch(const lqi_fake *f)
{
    return f->fake.rule == LQ_FAKE_STRETCHED ? 1 / (f->n * f->step) : 1;
}

lq_status lqi_fake_params(const lqi_fake *f, lq_error *error)
{
    const lq_fake *a = &f->fake;
    int with_zeros = a->rule == LQ_FAKE_AFFINE && f->spec.zeros;

    if (!a->scales || (with_zeros && !a->zeros))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_fake: scales or zeros are NULL");
    if ((uintptr_t)a->scales % sizeof(float) || (with_zeros && (uintptr_t)a->zeros % sizeof(float)))
        return lqi_fail(error, LQ_ERR_ALIGN, NULL, "lq_fake: scales or zeros are not aligned");
    for (uint64_t i = 0; i < f->g.groups; i++) {
        if (!lqi_finite(a->scales[i]) || (with_zeros && !lqi_finite(a->zeros[i])))
            return lqi_fail(error, LQ_ERR_NONFINITE, NULL,
                            "scale or zero point %llu is a NaN or an infinity",
                            (unsigned long long)i);
        if (a->scales[i] > 0 &&
            !lqi_finite(lqi_scale_round(f->spec.scale_type, a->scales[i] * stretch(f))))
            return lqi_fail(error, LQ_ERR_NUMERIC, NULL, "scale %llu is too large for its type",
                            (unsigned long long)i);
    }
    return LQ_OK;
}

lqi_group lqi_fake_group(const lqi_fake *f, uint64_t index)
{
    float top = (float)((1u << f->g.bits) - 1), scale = f->fake.scales[index] * stretch(f);
    lqi_group group = { 1, 0, 0 };

    if (f->fake.rule == LQ_FAKE_STRETCHED && f->spec.zeros)
        group.zero = top / 2;
    if (f->fake.rule == LQ_FAKE_AFFINE && f->spec.zeros) {
        /* at scale 1 the zero point of a range [-z, top - z] is z, as it is stored */
        float z = (float)lqi_round_int(f->fake.zeros[index], 0, top);
        f->g.format->fit_zero(&f->spec, -z, top - z, &group);
    }
    group.scale = lqi_scale_round(f->spec.scale_type, scale > 0 ? scale : 0);
    if (!(group.scale > 0))
        group.scale = least(f->spec.scale_type);
    return group;
}

float lqi_fake_alpha(const lqi_fake *f, uint64_t index)
{
    float alpha = f->fake.scales[index];

    return alpha > 0 ? alpha : lqi_fake_group(f, index).scale / stretch(f);
}

/* -------------------------------------------------------------------- work */

static void stretched_levels(const lqi_fake *f, const lqi_piece *p, const float *x, size_t n,
                             float *u, float *level)
{
    float alpha = lqi_fake_alpha(f, p->group);

    for (size_t i = 0; i < n; i++) {
        u[i] = x[i] / alpha;
        float c = u[i] < -0.99f ? -0.99f : u[i] > 0.99f ? 0.99f : u[i];
        level[i] = ((float)lqi_round_int(c * f->n - f->h, -512, 512) + f->h) * f->step;
    }
}

void lqi_fake_levels(const lqi_fake *f, const lqi_piece *p, const float *x, size_t n, float *u,
                     float *level)
{
    lqi_group group = lqi_fake_group(f, p->group);
    lqi_fit in = { .spec = &f->spec, .x = x, .n = n, .partial = p->n < f->g.group_cols };
    uint32_t codes[LQI_FAKE_CHUNK];

    if (f->fake.rule == LQ_FAKE_STRETCHED) {
        stretched_levels(f, p, x, n, u, level);
        return;
    }
    f->g.format->round(&in, &group, codes);
    for (size_t i = 0; i < n; i++)
        u[i] = x[i] / group.scale;
    group.scale = 1;
    f->g.format->value(&f->spec, &group, codes, n, level);
}

struct pieces {
    const lqi_fake *f;
    lqi_fake_task  *task;
    void           *arg;
    uint64_t        count, per_task;   /* rows; flat: groups */
};

/* Pieces of groups [c, end) of a row. */
static void run_row(const struct pieces *w, uint64_t row, uint64_t c, uint64_t end)
{
    const lqi_geometry *g = &w->f->g;

    for (; c < end; c++) {
        uint64_t first = c * g->group_cols;
        lqi_piece p = { row, first, (size_t)lqi_min(g->group_cols, w->f->length - first),
                        row / g->group_rows * g->row_groups + c, row * g->row_groups + c };
        w->task(w->f, &p, w->arg);
    }
}

static void pieces_task(void *arg, size_t index)
{
    const struct pieces *w = arg;
    uint64_t first = index * w->per_task, end = lqi_min(first + w->per_task, w->count);

    if (w->f->spec.flags & LQ_SPEC_FLAT) {
        run_row(w, 0, first, end);
        return;
    }
    for (uint64_t row = first; row < end; row++)
        run_row(w, row, 0, w->f->g.row_groups);
}

void lqi_fake_pieces(const lqi_fake *f, lqi_fake_task *task, void *arg)
{
    int flat = f->spec.flags & LQ_SPEC_FLAT;
    struct pieces w = { f, task, arg, flat ? f->g.row_groups : f->rows, 0 };

    if (f->length == 0)
        return;
    w.per_task = LQI_TASK_WEIGHTS / 8 / (flat ? f->g.group_cols : f->length) + 1;
    lqi_parallel(f->ctx, (size_t)lqi_div_up(w.count, w.per_task), pieces_task, &w);
}

lq_status lq_fake_groups(const lq_fake *fake, uint64_t rows, uint64_t cols, uint64_t *groups,
                         lq_error *error)
{
    lqi_fake f;
    lq_status status;

    if (!fake || !groups)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_fake_groups is NULL");
    status = lqi_fake_open(NULL, fake, rows, cols, &f, error);
    if (!status)
        *groups = f.g.groups;
    return status;
}
