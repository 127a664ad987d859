/* SPDX-License-Identifier: MIT */
/*
 * lib/train/fake_forward.c - encode with given scales; the forward pass is that, decoded
 */
#include "lib/train/fake.h"

struct encoding {
    const float *x;
    void *const *plane;
};

/* STRETCHED: codes of the levels, which are numbers of the spec at scale 1. */
static void round_stretched(const lqi_fake *f, const lqi_piece *p, const float *x, uint8_t *codes)
{
    float u[LQI_FAKE_CHUNK], level[LQI_FAKE_CHUNK];
    lqi_group group = lqi_fake_group(f, p->group);
    lqi_values v = { .ctx = f->ctx, .type = LQ_F32, .x = level, .finite = 1 };

    group.scale = 1;
    for (size_t i = 0; i < p->n; i += LQI_FAKE_CHUNK) {
        v.n = lqi_min(LQI_FAKE_CHUNK, p->n - i);
        lqi_fake_levels(f, p, x + i, (size_t)v.n, u, level);
        (void)lqi_group_round(&f->g, &v, 0, v.n, &group, codes, p->first + i);
    }
}

/* Rounding finite numbers by a finite scale cannot fail. */
static void encode_piece(const lqi_fake *f, const lqi_piece *p, void *arg)
{
    const struct encoding *e = arg;
    const lqi_geometry *g = &f->g;
    const float *row = e->x + p->row * f->length;
    uint8_t *codes = (uint8_t *)e->plane[LQ_PLANE_CODES] + p->row * g->row_bytes;
    lqi_group group = lqi_fake_group(f, p->group);
    lqi_values v = { .ctx = f->ctx, .type = LQ_F32, .x = row, .n = f->length, .finite = 1 };

    if (p->row % g->group_rows == 0)
        lqi_groups_store(f->ctx, g, &group, 1, e->plane[LQ_PLANE_SCALES], e->plane[LQ_PLANE_ZEROS],
                         p->group);
    if (f->fake.rule == LQ_FAKE_STRETCHED)
        round_stretched(f, p, row + p->first, codes);
    else
        (void)lqi_group_round(g, &v, p->first, p->n, &group, codes, p->first);
}

/* Everything is checked but what a search finds out. */
static lq_status encode(const lqi_fake *f, const float *x, lq_tensor **tensor, lq_error *error)
{
    const lq_shape shape = { 1, f->g.rows, f->g.cols };
    lq_status status;

    if (f->fake.rule == LQ_FAKE_FITTED)
        return lq_tensor_encode(f->ctx, &f->spec, &shape, LQ_F32, x, f->fake.opts, tensor, error);
    if ((status = lqi_fake_params(f, error)) || (status = lqi_fake_finite(f, x, error)) ||
        (status = lq_tensor_create(f->ctx, &f->spec, &shape, tensor, error)))
        return status;
    struct encoding e = { x, (*tensor)->plane };
    lqi_fake_pieces(f, encode_piece, &e);
    if (f->spec.flags & LQ_SPEC_FLAT && f->length)
        lqi_codes_pad(f->g.format, &f->spec, (*tensor)->plane[LQ_PLANE_CODES], f->length);
    return LQ_OK;
}

lq_status lq_fake_encode(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows, uint64_t cols,
                         const float *x, lq_tensor **tensor, lq_error *error)
{
    lqi_fake f;
    lq_tensor *made = NULL;
    lq_status status;

    if (!ctx || !fake || !tensor)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_fake_encode is NULL");
    if ((status = lqi_fake_open(ctx, fake, rows, cols, &f, error)) ||
        (status = lqi_fake_array(&f, x, "x", error)) ||
        (status = encode(&f, x, &made, error)))
        return status;
    *tensor = made;
    return LQ_OK;
}

lq_status lq_fake_forward(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows, uint64_t cols,
                          const float *x, float *y, lq_error *error)
{
    lqi_fake f;
    lq_tensor *tensor = NULL;
    uint64_t bytes;
    lq_status status;

    if (!ctx || !fake)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "an argument of lq_fake_forward is NULL");
    if ((status = lqi_fake_open(ctx, fake, rows, cols, &f, error)) ||
        (status = lqi_fake_array(&f, x, "x", error)) ||
        (status = lqi_fake_array(&f, y, "y", error)))
        return status;
    bytes = rows * cols * sizeof *x;
    if (x != y && lqi_overlap(x, bytes, y, bytes))
        return lqi_fail(error, LQ_ERR_OVERLAP, NULL, "lq_fake: x and y share a part");
    status = encode(&f, x, &tensor, error);
    if (status || bytes == 0) {
        lq_tensor_destroy(tensor);
        return status;
    }
    status = lq_tensor_decode(tensor, LQ_F32, y);
    lq_tensor_destroy(tensor);
    return status;
}
