/* SPDX-License-Identifier: MIT */
/*
 * lib/file/encode_weight.c - one weight decoded and encoded in strips
 *
 * Three ways.  Where the codes stay (recode.c), rows go one by one.  Where every row stands alone, strips are encoded to memory, decoded to
 * measure the error, and written: memory is two strips, whatever the weight's size.
 * Other specs go through lq_encoder, in two passes where it wants them; the error is
 * measured afterwards on a copy of the planes, if that is smaller than MEASURE_MAX, and
 * else is NaN: not measured.
 */
#include <math.h>

#include "lib/core/core.h"
#include "lib/file/dialect/dialect.h"

#define MEASURE_MAX (64u << 20)
#define COPY_BYTES (1u << 20)

typedef struct run {
    lqi_plan         *plan;
    lqi_job          *job;
    const lqi_weight *w;
    lq_tensor        *tensor;       /* source, where rows need all its planes */
    lq_encode_opts    encode;
    const float      *importance;
    float            *x, *y;        /* a strip each */
    uint64_t          strip;        /* rows */
    uint64_t          done;         /* bytes of the input before this weight */
    double            sum_sq, sum_err;
} run;

static lq_status fail(const run *r, lq_status st)
{
    lqi_where where = { r->plan->in, r->w->name, LQ_NO_OFFSET };

    return lqi_fail(r->plan->error, st, &where, "%s", lq_status_text(st));
}

/* ------------------------------------------------------------------ progress */

static lq_status report(const run *r, uint64_t outer, uint64_t row)
{
    const lq_progress *p = &r->plan->opts->progress;
    double rows = (double)r->w->shape.outer * (double)r->w->shape.rows;
    double part = rows > 0 ? ((double)outer * (double)r->w->shape.rows + (double)row) / rows : 1;
    uint64_t done = r->done + (uint64_t)(part * (double)r->w->bytes);

    if (p->report && p->report(p->user, lqi_min(done, r->plan->work), r->plan->work,
                               r->w->name))
        return lqi_fail(r->plan->error, LQ_ERR_CANCELLED, NULL, "stopped on request");
    return LQ_OK;
}

/* -------------------------------------------------------------------- source */

static lq_status read_span(const run *r, uint64_t outer, uint64_t row, uint64_t n, float *y)
{
    lq_rows rows = LQ_ROWS_INIT;
    lq_status st;

    if (!r->tensor)
        return lq_checkpoint_rows(r->plan->cp, r->job->weight, outer, row, n, y,
                                  r->plan->error);
    st = lq_tensor_rows(r->tensor, outer, &rows);
    if (!st)
        st = lq_decode_rows(r->plan->ctx, &rows, row, n, LQ_F32, y, rows.cols);
    return st ? fail(r, st) : LQ_OK;
}

/* Source row of an output row: HF keeps the halves of a head apart, llama.cpp interleaves
 * them. */
static uint64_t source_row(const run *r, uint64_t row)
{
    uint64_t head = r->w->shape.rows / r->job->heads, in = row % head;

    return row - in + in % 2 * (head / 2) + in / 2;
}

static lq_status read_rows(const run *r, uint64_t outer, uint64_t row, uint64_t n, float *y)
{
    lq_status st = LQ_OK;

    if (!r->job->heads)
        return read_span(r, outer, row, n, y);
    for (uint64_t i = 0; i < n && !st; i++)
        st = read_span(r, outer, source_row(r, row + i), 1, y + i * r->w->shape.cols);
    return st;
}

/* ------------------------------------------------------------------- measure */

/* In order, in double: the same sums for any number of threads.  Values that are not
 * finite have no error. */
static void measure(run *r, uint64_t n)
{
    uint64_t count = n * r->w->shape.cols;

    for (uint64_t i = 0; i < count; i++) {
        double x = (double)r->x[i], e = (double)r->y[i] - x;
        if (!lqi_finite(r->x[i]))
            continue;
        r->sum_sq += x * x;
        r->sum_err += e * e;
    }
}

/* ------------------------------------------------------- rows that stand alone */

static int rows_alone(const lq_spec *s)
{
    return lq_spec_rows_independent(s) && !s->scale2_block &&
           !(s->flags & (LQ_SPEC_FLAT | LQ_SPEC_GIDX));
}

static lq_status emit_strip(run *r, const lq_rows *rows, uint64_t n, uint64_t at[LQ_PLANES])
{
    lq_shape shape = { 1, n, r->w->shape.cols };

    for (int p = 0; p < LQ_PLANES; p++) {
        uint64_t bytes = 0;
        lq_status st = rows->plane[p] ? lq_plane_bytes(rows->spec, p, &shape, &bytes) : LQ_OK;
        if (!st && bytes)
            st = lqi_out_sink(&r->job->out, p, at[p], rows->plane[p], (size_t)bytes);
        if (st)
            return st;
        at[p] += bytes;
    }
    return LQ_OK;
}

static lq_status strip_alone(run *r, const lq_rows *planes, uint64_t outer, uint64_t row,
                             uint64_t n, uint64_t at[LQ_PLANES])
{
    uint64_t cols = r->w->shape.cols;
    lq_rows rows = *planes;
    lq_status st = read_rows(r, outer, row, n, r->x);

    if (st)
        return st;
    rows.rows = n;
    r->encode.importance = r->importance ? r->importance + outer * cols : NULL;
    st = lq_encode_rows(r->plan->ctx, &rows, 0, n, LQ_F32, r->x, cols, &r->encode);
    if (!st)
        st = lq_decode_rows(r->plan->ctx, &rows, 0, n, LQ_F32, r->y, cols);
    if (st)
        return fail(r, st);
    measure(r, n);
    return emit_strip(r, &rows, n, at);
}

static lq_status run_alone(run *r)
{
    lq_shape shape = { 1, r->strip, r->w->shape.cols };
    uint64_t at[LQ_PLANES] = { 0 };
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *planes = NULL;
    lq_status st = lq_tensor_create(r->plan->ctx, &r->job->out.spec, &shape, &planes,
                                    r->plan->error);

    if (!st)
        st = lq_tensor_rows(planes, 0, &rows);
    for (uint64_t o = 0; o < r->w->shape.outer && !st; o++)
        for (uint64_t row = 0; row < r->w->shape.rows && !st; row += r->strip) {
            uint64_t n = lqi_min(r->strip, r->w->shape.rows - row);
            st = strip_alone(r, &rows, o, row, n, at);
            if (!st)
                st = report(r, o, row + n);
        }
    lq_tensor_destroy(planes);
    return st;
}

/* -------------------------------------------------------------------- recode */

/* One row's planes to the output, and their values against the source's. */
static lq_status recode_row(run *r, const lqi_recode *how, const lq_rows *source, uint64_t row,
                            const lq_rows *one)
{
    lq_status st = LQ_OK;

    if (!lqi_recode_row(how, source, row, one))
        return fail(r, LQ_ERR_MISMATCH);        /* the source has changed since the plan */
    st = lq_decode_rows(r->plan->ctx, source, row, 1, LQ_F32, r->x, source->cols);
    if (!st)
        st = lq_decode_rows(r->plan->ctx, one, 0, 1, LQ_F32, r->y, source->cols);
    if (st)
        return fail(r, st);
    measure(r, 1);
    return LQ_OK;
}

/* Planes of experts, such as a global scale, go out with the first row. */
static lq_status emit_row(run *r, const lq_rows *one, int first, uint64_t at[LQ_PLANES])
{
    lq_rows rows = *one;

    if (!first)
        rows.plane[LQ_PLANE_OFFSET] = NULL;
    return emit_strip(r, &rows, 1, at);
}

static lq_status recode_expert(run *r, const lqi_recode *how, uint64_t outer, const lq_rows *one,
                               uint64_t at[LQ_PLANES])
{
    lq_rows rows = LQ_ROWS_INIT;
    lq_status st = lq_tensor_rows(r->tensor, outer, &rows);

    for (uint64_t row = 0; row < r->w->shape.rows && !st; row++) {
        uint64_t from = r->job->heads ? source_row(r, row) : row;
        st = recode_row(r, how, &rows, from, one);
        if (!st)
            st = emit_row(r, one, row == 0, at);
    }
    return st ? st : report(r, outer, r->w->shape.rows);
}

static lq_status run_recode(run *r)
{
    lq_shape shape = { 1, 1, r->w->shape.cols };
    uint64_t at[LQ_PLANES] = { 0 };
    lq_rows one = LQ_ROWS_INIT;
    lq_tensor *scratch = NULL;
    lqi_recode how;
    lq_status st = lq_tensor_create(r->plan->ctx, &r->job->out.spec, &shape, &scratch,
                                    r->plan->error);

    lqi_recode_open(&how, &r->w->spec, &r->job->out.spec, shape.cols);
    if (!st)
        st = lq_tensor_rows(scratch, 0, &one);
    for (uint64_t o = 0; o < r->w->shape.outer && !st; o++)
        st = recode_expert(r, &how, o, &one, at);
    lq_tensor_destroy(scratch);
    return st;
}

/* -------------------------------------------------------------------- encoder */

typedef lq_status feed_fn(lq_encoder *encoder, lq_dtype x_type, const void *x, uint64_t ldx,
                          uint64_t n);

static lq_status feed(run *r, lq_encoder *encoder, feed_fn *fn)
{
    lq_status st = LQ_OK;

    for (uint64_t o = 0; o < r->w->shape.outer && !st; o++)
        for (uint64_t row = 0; row < r->w->shape.rows && !st; row += r->strip) {
            uint64_t n = lqi_min(r->strip, r->w->shape.rows - row);
            st = read_rows(r, o, row, n, r->x);
            if (st)
                return st;
            r->plan->error->status = LQ_OK;
            st = fn(encoder, LQ_F32, r->x, r->w->shape.cols, n);
            if (st && r->plan->error->status != st)
                fail(r, st);            /* the sink has not said it */
            if (!st)
                st = report(r, o, fn == lq_encoder_scan ? 0 : row + n);
        }
    return st;
}

static lq_status measure_held(run *r)
{
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = NULL;
    lq_status st = lq_tensor_wrap(r->plan->ctx, &r->job->out.spec, &r->job->out.shape,
                                  r->job->out.held, r->job->out.bytes, &t, r->plan->error);

    for (uint64_t o = 0; o < r->w->shape.outer && !st; o++) {
        st = lq_tensor_rows(t, o, &rows);
        for (uint64_t row = 0; row < r->w->shape.rows && !st; row += r->strip) {
            uint64_t n = lqi_min(r->strip, r->w->shape.rows - row);
            st = read_rows(r, o, row, n, r->x);
            if (!st)
                st = lq_decode_rows(r->plan->ctx, &rows, row, n, LQ_F32, r->y, rows.cols);
            if (!st)
                measure(r, n);
        }
    }
    lq_tensor_destroy(t);
    return st;
}

static lq_status run_encoder(run *r)
{
    lq_encoder *encoder = NULL;
    lqi_out *out = &r->job->out;
    uint64_t step;
    lq_status st;

    r->encode.importance = r->importance;
    st = lq_encoder_begin(r->plan->ctx, &out->spec, &out->shape, &r->encode, lqi_out_sink, out,
                          &encoder, r->plan->error);
    if (st)
        return st;
    step = lq_encoder_strip_rows(encoder);
    if (r->strip < r->w->shape.rows && r->strip % step)
        r->strip = r->strip > step ? r->strip - r->strip % step : r->strip;
    if (lq_encoder_passes(encoder) == 2)
        st = feed(r, encoder, lq_encoder_scan);
    if (!st)
        st = feed(r, encoder, lq_encoder_rows);
    if (!st)
        st = lq_encoder_finish(encoder, r->plan->error);
    lq_encoder_destroy(encoder);
    return st;
}

/* ------------------------------------------------------------------------ run */

/* Rows of a strip: whole tiles of 128 rows, so that block groups fit. */
static uint64_t strip_rows(const lq_shape *shape, const lq_spec *spec)
{
    uint64_t row = shape->cols ? shape->cols : 1, n = LQI_STRIP_BYTES / 4 / row;
    uint64_t step = spec->group_rows > 1 && spec->group_rows != LQ_GROUP_ALL
                        ? spec->group_rows : 1;

    if (!shape->cols)       /* nothing to read, however many rows */
        return shape->rows ? shape->rows : 1;
    n = n > step ? n - n % step : step;
    return lqi_min(n, shape->rows ? shape->rows : 1);
}

static lq_status prepare(run *r)
{
    const lq_allocator *a = lqi_ctx_allocator(r->plan->ctx);
    const lq_convert_opts *o = r->plan->opts;
    uint64_t bytes = 0;
    lq_weight description;
    lq_status st = LQ_OK;

    lq_encode_opts_init(&r->encode);
    r->encode.nonfinite = o->nonfinite;
    r->encode.search = o->search;
    lqi_weight_describe(r->w, &description);
    if (o->importance)
        r->importance = o->importance(o->user, &description);
    r->strip = strip_rows(&r->w->shape, &r->job->out.spec);
    if (!lqi_mul(r->strip * 4, r->w->shape.cols, &bytes))
        return fail(r, LQ_ERR_OVERFLOW);
    r->x = lqi_alloc(a, bytes + 1);
    r->y = lqi_alloc(a, bytes + 1);
    if (!r->x || !r->y)
        return fail(r, LQ_ERR_NOMEM);
    if (r->job->recode || !lqi_rows_alone(&r->w->spec))
        st = lq_checkpoint_load(r->plan->cp, r->job->weight, &r->tensor, r->plan->error);
    return st;
}

static lq_status encode(run *r)
{
    lqi_out *out = &r->job->out;
    uint64_t bytes = 0;
    int alone = r->job->recode || rows_alone(&out->spec), all;
    lq_status st = prepare(r);

    lq_spec_bytes(&out->spec, &out->shape, &bytes);
    all = !alone && bytes <= MEASURE_MAX;
    if (!st)
        st = lqi_out_hold(out, all);
    if (!st)
        st = r->job->recode ? run_recode(r) : alone ? run_alone(r) : run_encoder(r);
    if (!st && all)
        st = measure_held(r);
    else if (!alone)
        r->sum_sq = r->sum_err = NAN;
    lq_tensor_destroy(r->tensor);
    lqi_free(lqi_ctx_allocator(r->plan->ctx), r->x);
    lqi_free(lqi_ctx_allocator(r->plan->ctx), r->y);
    return st;
}

/* ----------------------------------------------------------------------- copy */

static lq_status copy_part(run *r, const lqi_part *part, uint8_t *buffer)
{
    lq_status st = LQ_OK;

    for (uint64_t at = 0; at < part->bytes && !st;) {
        uint64_t n = lqi_min(COPY_BYTES, part->bytes - at);
        st = lqi_part_read(r->plan->cp, part, at, buffer, n, r->plan->error);
        if (st)
            break;
        if (r->job->raw != LQI_NONE)
            st = lq_writer_write(r->job->out.writer, r->job->raw_out, at, buffer, n,
                                 r->plan->error);
        else
            st = lqi_out_sink(&r->job->out, part->plane, at, buffer, (size_t)n);
        at += n;
        if (!st && part->plane == LQ_PLANE_CODES)
            st = report(r, 0, 0);
    }
    return st;
}

static lq_status copy_loaded(run *r)
{
    lq_tensor *t = NULL;
    lq_status st = lq_checkpoint_load(r->plan->cp, r->job->weight, &t, r->plan->error);

    for (int p = 0; p < LQ_PLANES && !st; p++) {
        uint64_t bytes = 0;
        const void *plane = lq_tensor_plane(t, p, &bytes);
        if (plane && bytes)
            st = lqi_out_sink(&r->job->out, p, 0, plane, (size_t)bytes);
    }
    lq_tensor_destroy(t);
    return st;
}

/* The same numbers in the same planes: no rounding, whatever the two dialects. */
static lq_status copy(run *r)
{
    uint8_t *buffer;
    lq_status st = lqi_out_hold(&r->job->out, 0);

    if (st)
        return st;
    for (uint32_t i = 0; i < r->w->part_count; i++)
        if (r->w->parts[i].plane >= LQI_PART_ARRAY && r->w->parts[i].plane < LQI_PART_USED)
            return copy_loaded(r);
    buffer = lqi_alloc(lqi_ctx_allocator(r->plan->ctx), COPY_BYTES);
    if (!buffer)
        return fail(r, LQ_ERR_NOMEM);
    for (uint32_t i = 0; i < r->w->part_count && !st; i++)
        if (r->w->parts[i].plane < LQ_PLANES)
            st = copy_part(r, &r->w->parts[i], buffer);
    lqi_free(lqi_ctx_allocator(r->plan->ctx), buffer);
    return st;
}

lq_status lqi_job_run(lqi_plan *plan, lqi_job *job, uint64_t *done, double sums[2])
{
    run r = { .plan = plan, .job = job, .done = *done };
    lq_status st;

    sums[0] = sums[1] = 0;
    if (job->made)
        return lqi_out_sink(&job->out, LQ_PLANE_CODES, 0, job->made,
                            (size_t)job->out.bytes[LQ_PLANE_CODES]);
    r.w = &plan->cp->weights[job->weight];
    st = report(&r, 0, 0);
    if (!st)
        st = job->action == LQ_ENCODE ? encode(&r) : copy(&r);
    if (!st && job->raw == LQI_NONE && job->out.dialect->store)
        st = job->out.dialect->store(&job->out);
    lqi_out_release(&job->out);
    *done += r.w->bytes;
    sums[0] = r.sum_sq;
    sums[1] = r.sum_err;
    return st;
}
