/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/solve.c - the solver
 *
 * A strip of rows goes through all columns, LQI_BLOCK at a time.  Inside a block LQI_LANES rows
 * are solved side by side, each column's error passed on to those behind it in the block;
 * those behind the block get it in one product.  Rows do not know of each other, and every
 * number is the same chain of operations whoever computes it.
 */
#include "lib/calib/gptq.h"
#include "libquant/gemm.h"

typedef float lanes[LQI_BLOCK][LQI_LANES];

/* What the rows of a task have in common. */
struct task {
    const lqi_solver *s;
    uint64_t          first, rows;   /* of the strip */
    lanes             t;             /* weights of the block as they are now */
    lanes             w;             /* as they came */
    lanes             d;             /* what rounding changed: w minus the value */
    lanes             q;
    double            loss[LQI_LANES];
    /* running groups */
    float            *ahead;         /* [columns from the block's first on][LQI_LANES] */
    float            *x, *weight;    /* one group */
};

/* ------------------------------------------------------------- running groups */

/* Columns from the begin of the block to the end of the last group that begins in it; 0: none
 * does. */
static uint64_t columns_ahead(const lqi_solver *s)
{
    uint64_t begin = s->h->n - s->hi, last = (s->h->n - s->lo - 1) / s->running * s->running;

    return last < begin ? 0 : lqi_min(s->hi, last + s->running - begin);
}

/*
 * GPTQ's weights at the begin of the block: the best for the columns that are left, not yet
 * rounded, given the errors D of those before.  't' does not need these, because it only asks
 * for a column when all before it are done; they follow from it by substitution,
 *
 *     a[k] = t[k] - sum over j < k of (a[j] - w[j]) R[j][k] / R[k][k]
 *
 * with j from the block's first column on.
 */
static void look_ahead(struct task *k)
{
    const lqi_solver *s = k->s;
    uint64_t n = s->h->n, width = columns_ahead(s);

    for (uint64_t r = 0; r < k->rows; r++)
        for (uint64_t i = 0; i < width; i++)
            k->ahead[i * LQI_LANES + r] = s->run[(k->first + r) * n + s->hi - 1 - i];
    for (uint64_t j = 0; j < width && s->hi < n; j++) {
        const float *factor = s->h->factor + (s->hi - 1 - j) * n + s->hi - 1;
        float change[LQI_LANES] = { 0 };
        for (uint64_t r = 0; r < k->rows; r++)
            change[r] = k->ahead[j * LQI_LANES + r] -
                        s->source[(k->first + r) * n + s->hi - 1 - j];
        for (uint64_t i = j + 1; i < width; i++)
            for (int r = 0; r < LQI_LANES; r++)
                k->ahead[i * LQI_LANES + r] -= change[r] * *(factor - i);
    }
}

/* Of row r, the group that begins at 'place'.  A scale that does not fit its type is not
 * taken: the group keeps that of the weights as they came. */
static void fit_running(struct task *k, uint64_t r, uint64_t place)
{
    const lqi_solver *s = k->s;
    const lqi_frozen *v = s->frozen;
    size_t n = (size_t)lqi_min(s->running, place + 1);
    uint32_t col = s->h->order[place];
    uint64_t group = v->group_of ? v->group_of[col] : col / v->g->group_cols;
    lqi_clip clip = { 0 };
    lqi_group found = { 0, 0, 0 };
    float lo = INFINITY, hi = -INFINITY, p = 1;

    for (size_t i = 0; i < n; i++) {
        k->x[i] = k->ahead[(s->hi - 1 - place + i) * LQI_LANES + r];
        k->weight[i] = s->h->diagonal[s->h->order[place - i]];
        lo = k->x[i] < lo ? k->x[i] : lo;
        hi = k->x[i] > hi ? k->x[i] : hi;
    }
    if (s->clip) {
        clip = *s->clip;
        clip.weight = clip.weight ? k->weight : NULL;
        p = lqi_clip_factor(&clip, k->x, n);
    }
    if (!lqi_group_fit(v->g, lo * p, hi * p, LQ_NONFINITE_ERROR, &found))
        v->groups[(s->row0 + k->first + r) * v->g->row_groups + group] = found;
}

/* -------------------------------------------------------------------- columns */

/* Column at 'place', already rounded to q. */
static void settle(struct task *k, uint64_t place)
{
    const lqi_solver *s = k->s;
    uint64_t at = place - s->lo;

    for (uint64_t r = 0; r < k->rows; r++) {
        double e = ((double)k->t[at][r] - (double)k->q[at][r]) * (double)s->h->pivots[place];
        k->d[at][r] = k->w[at][r] - k->q[at][r];
        k->loss[r] += e * e;
    }
}

/* The error at 'place' to the places before 'end'. */
static void pass_on(struct task *k, uint64_t place, uint64_t end)
{
    const lqi_solver *s = k->s;
    const float *factor = s->h->factor + place * s->h->n + s->lo, *d = k->d[place - s->lo];

    for (uint64_t c = 0; c < end - s->lo; c++)
        for (int r = 0; r < LQI_LANES; r++)
            k->t[c][r] += d[r] * factor[c];
}

static void solve_column(struct task *k, uint64_t place)
{
    const lqi_solver *s = k->s;
    uint64_t at = place - s->lo;
    uint32_t col = s->h->order[place];

    if (s->running && (s->h->n - 1 - place) % s->running == 0)
        for (uint64_t r = 0; r < k->rows; r++)
            fit_running(k, r, place);
    for (uint64_t r = 0; r < k->rows; r++)
        k->q[at][r] = lqi_frozen_round(s->frozen, k->first + r, col, k->t[at][r]);
    settle(k, place);
    pass_on(k, place, place);
}

/* Columns that are rounded together: at 'place' and before it, their order is ascending. */
static void solve_chunk(struct task *k, uint64_t place)
{
    const lqi_solver *s = k->s;
    unsigned chunk = s->frozen->chunk;
    uint32_t col = s->h->order[place];
    uint64_t at = place - s->lo, inside = col % s->frozen->g->format->block_len;
    float x[LQI_BLOCK_MAX] = { 0 }, y[LQI_BLOCK_MAX];

    for (uint64_t r = 0; r < k->rows; r++) {
        for (unsigned c = 0; c < chunk; c++)
            x[inside + c] = k->t[at - c][r];
        lqi_frozen_chunk(s->frozen, k->first + r, col, x, y);
        for (unsigned c = 0; c < chunk; c++)
            k->q[at - c][r] = y[c];
    }
    for (unsigned c = 0; c < chunk; c++) {
        settle(k, place - c);
        pass_on(k, place - c, place + 1 - chunk);
    }
}

/* --------------------------------------------------------------------- blocks */

static void load(struct task *k)
{
    const lqi_solver *s = k->s;
    uint64_t width = s->hi - s->lo;

    if (k->rows < LQI_LANES) {
        memset(k->t, 0, sizeof k->t);
        memset(k->d, 0, sizeof k->d);
    }
    for (uint64_t r = 0; r < k->rows; r++) {
        uint64_t at = (k->first + r) * s->h->n + s->lo;
        k->loss[r] = 0;
        for (uint64_t c = 0; c < width; c++) {
            k->t[c][r] = s->run[at + c];
            k->w[c][r] = s->source[at + c];
        }
    }
}

/* Values take the place of weights that are done. */
static void store(const struct task *k)
{
    const lqi_solver *s = k->s;
    uint64_t width = s->hi - s->lo;

    for (uint64_t r = 0; r < k->rows; r++) {
        s->losses[s->row0 + k->first + r] += k->loss[r];
        for (uint64_t c = 0; c < width; c++) {
            s->run[(k->first + r) * s->h->n + s->lo + c] = k->q[c][r];
            s->d[(k->first + r) * LQI_BLOCK + c] = k->d[c][r];
        }
    }
}

/* Of one task, for running groups. */
static uint64_t room_floats(const lqi_solver *s)
{
    return s->running ? (LQI_BLOCK + s->running) * LQI_LANES + 2 * s->running : 0;
}

static void block_task(void *arg, size_t index)
{
    const lqi_solver *s = arg;
    struct task k;
    uint64_t chunk = s->frozen->chunk;

    k.s = s;
    k.first = (uint64_t)index * LQI_LANES;
    k.rows = lqi_min(LQI_LANES, s->n - k.first);
    load(&k);
    if (s->running) {
        k.ahead = s->room + index * room_floats(s);
        k.x = k.ahead + (LQI_BLOCK + s->running) * LQI_LANES;
        k.weight = k.x + s->running;
        look_ahead(&k);
    }
    for (uint64_t place = s->hi; place > s->lo; place -= chunk)
        chunk == 1 ? solve_column(&k, place - 1) : solve_chunk(&k, place - 1);
    store(&k);
}

/* Errors of the block to all places before it. */
static lq_status feed_back(const lqi_solver *s)
{
    lq_gemm_args a = LQ_GEMM_ARGS_INIT;

    a.m = s->n;
    a.n = s->lo;
    a.k = s->hi - s->lo;
    a.a = s->d;
    a.lda = LQI_BLOCK;
    a.b = s->h->factor + s->lo * s->h->n;
    a.c = s->run;
    a.ldb = a.ldc = s->h->n;
    a.accumulate = 1;
    return lq_gemm(s->ctx, &a);
}

static void load_rows_task(void *arg, size_t r)
{
    const lqi_solver *s = arg;
    const float *w = s->w + (s->row0 + r) * s->h->n;
    float *source = s->source + r * s->h->n;

    for (uint64_t place = 0; place < s->h->n; place++)
        source[place] = w[s->h->order[place]];
    memcpy(s->run + r * s->h->n, source, (size_t)s->h->n * sizeof *source);
}

static lq_status solve_strip(lqi_solver *s)
{
    lq_status status = LQ_OK;

    lqi_parallel(s->ctx, (size_t)s->n, load_rows_task, s);
    for (s->hi = s->h->n; s->hi && !status; s->hi = s->lo) {
        s->lo = s->hi > LQI_BLOCK ? s->hi - LQI_BLOCK : 0;
        lqi_parallel(s->ctx, (size_t)lqi_div_up(s->n, LQI_LANES), block_task, s);
        if (s->lo)
            status = feed_back(s);
    }
    for (int32_t i = 0; i < s->sweeps && !status; i++)
        status = lqi_sweep(s);
    return status;
}

static lq_status report(const lqi_solver *s, uint64_t rows)
{
    const lq_progress *p = &s->progress;

    return p->report && p->report(p->user, rows, s->rows, s->name) ? LQ_ERR_CANCELLED : LQ_OK;
}

static lq_status solve_strips(lqi_solver *s)
{
    lq_status status = LQ_OK;

    for (s->row0 = 0; s->row0 < s->rows && !status; s->row0 += s->strip) {
        s->n = lqi_min(s->strip, s->rows - s->row0);
        lqi_frozen_begin(s->frozen, s->row0, s->n);
        status = solve_strip(s);
        lqi_frozen_end(s->frozen);
        if (!status)
            status = report(s, s->row0 + s->n);
    }
    for (uint64_t r = 0; r < s->rows && !status; r++)
        s->loss += s->losses[r];
    return status;
}

lq_status lqi_solve(lqi_solver *s)
{
    const lq_allocator *a = &s->ctx->allocator;
    uint64_t n = s->h->n, tasks = lqi_div_up(s->strip, LQI_LANES);
    lq_status status = LQ_ERR_NOMEM;

    s->run = lqi_alloc(a, s->strip * n * sizeof *s->run);
    s->source = lqi_alloc(a, s->strip * n * sizeof *s->source);
    s->d = lqi_alloc(a, s->strip * LQI_BLOCK * sizeof *s->d);
    s->losses = lqi_alloc_zero(a, s->rows * sizeof *s->losses);
    s->room = lqi_alloc(a, (tasks * room_floats(s) + 1) * sizeof *s->room);
    if (s->run && s->source && s->d && s->losses && s->room)
        status = lqi_sweep_open(s);
    if (!status)
        status = solve_strips(s);
    lqi_sweep_close(s);
    lqi_free(a, s->run);
    lqi_free(a, s->source);
    lqi_free(a, s->d);
    lqi_free(a, s->losses);
    lqi_free(a, s->room);
    return status;
}
