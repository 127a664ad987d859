/* SPDX-License-Identifier: MIT */
/*
 * lib/train/fake.h - fake quantization: what its files share
 *
 *   fake.c          arguments, parameters of groups, the order of work
 *   fake_forward.c  encode with given scales, and decode
 *   fake_back.c     gradients
 *   fake_start.c    first scales, scales from a history
 *
 * Numbers are visited in pieces: what one row has of one group.  A row here is a row of
 * groups: of the matrix, or of flat specs the whole tensor.  Sums are taken within pieces,
 * then over the rows of a group, in order.
 */
#ifndef LQI_FAKE_H
#define LQI_FAKE_H

#include "lib/core/core.h"
#include "libquant/train.h"

typedef struct lqi_fake {
    const lq_ctx *ctx;
    lq_fake       fake;      /* the caller's */
    lq_spec       spec;      /* complete */
    lqi_geometry  g;
    uint64_t      length;    /* numbers of a row */
    uint64_t      rows;      /* 1 if flat */
    float         lo, hi;    /* levels, at scale 1 */
    unsigned      levels;    /* different ones */
    int           integers;  /* all of them are */
    /* STRETCHED */
    float         step;      /* from level to level, 0: they differ */
    float         n, h;      /* as in train.h */
} lqi_fake;

typedef struct lqi_piece {
    uint64_t row, first;     /* its first number in the row */
    size_t   n;
    uint64_t group;          /* in fake.scales */
    uint64_t slot;           /* row * row_groups + group of the row */
} lqi_piece;

/* Check everything but x.  Only FITTED: spec and geometry are all that is set. */
lq_status lqi_fake_open(const lq_ctx *ctx, const lq_fake *fake, uint64_t rows, uint64_t cols,
                        lqi_fake *f, lq_error *error);

/* [rows][cols] f32 numbers in use as 'name'. */
lq_status lqi_fake_array(const lqi_fake *f, const float *x, const char *name, lq_error *error);

/* LQ_ERR_NONFINITE if one of the numbers is. */
lq_status lqi_fake_finite(const lqi_fake *f, const float *x, lq_error *error);

/* Scales and zeros are there and can be stored. */
lq_status lqi_fake_params(const lqi_fake *f, lq_error *error);

/* Parameters of a group as stored, from checked scales and zeros. */
lqi_group lqi_fake_group(const lqi_fake *f, uint64_t index);

/* STRETCHED: the divisor of x. */
float lqi_fake_alpha(const lqi_fake *f, uint64_t index);

/* Levels of n numbers at scale 1, and u = x / s.  n at most LQI_FAKE_CHUNK. */
#define LQI_FAKE_CHUNK 256
void lqi_fake_levels(const lqi_fake *f, const lqi_piece *p, const float *x, size_t n, float *u,
                     float *level);

/* Run task(f, piece, arg) for every piece: those of a row in order, unless it is flat. */
typedef void lqi_fake_task(const lqi_fake *f, const lqi_piece *p, void *arg);
void lqi_fake_pieces(const lqi_fake *f, lqi_fake_task *task, void *arg);

#endif
