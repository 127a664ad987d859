/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/gptq.h - what the files of the solver share
 *
 * GPTQ quantizes column after column and lets the columns that are left make up for the
 * errors so far.  With H = X'X, damped, and H = R R' for an upper triangular R, in the order
 * of solving, D = W - Q:
 *
 *     w'[k] = w[k] + sum over j < k of D[j] R[j][k] / R[k][k]
 *     q[k]  = the nearest to w'[k] that the format has
 *
 * which is GPTQ's update by the rows of the factor of H^-1, without the inverse: R = U^-1.
 * The error that is left, trace(D H D'), is the sum of (R[k][k] (w'[k] - q[k]))^2.
 *
 * Columns are stored in the reverse of the order of solving, their place in it being their
 * index: then R is a lower triangular L, H = L L' is an ordinary Cholesky factorization, and
 * solving begins at the last place.
 *
 *   hessian.c  the order of columns; H, its damping
 *   factor.c   L
 *   clip.c     ranges that groups are fitted to
 *   frozen.c   rounding to frozen parameters, whatever the format
 *   solve.c    the solver
 *   sweep.c    coordinate descent
 *   gptq.c     the call
 */
#ifndef LQI_GPTQ_H
#define LQI_GPTQ_H

#include "lib/calib/calib.h"

#define LQI_LANES 32    /* rows that are solved side by side */
#define LQI_BLOCK 128   /* columns between two products; GPTQ's own number */

/* ---------------------------------------------------------------------- H */

typedef struct lqi_hessian {
    const lq_ctx   *ctx;
    const lqi_stat *stat;
    uint64_t        n;
    uint32_t       *order;     /* column of each place */
    const float   **rows;      /* of X'X, by column; up to the diagonal */
    float          *diagonal;  /* mean squares, by column; 0: dead, no input was not 0 */
    double          mean;      /* of it, dead columns counting as 1 */
    uint64_t        dead;
    float           damp;      /* that it took */
    float          *factor;    /* n x n, below the diagonal L[s][t] / L[t][t] */
    float          *pivots;    /* L[t][t] */
} lqi_hessian;

/* Read the diagonal and choose an order (LQ_GPTQ_ORDER_..., 'group' columns in a group).
 * 'h' may be destroyed after any failure.  LQ_ERR_NUMERIC, LQ_ERR_NONFINITE, LQ_ERR_NOMEM. */
lq_status lqi_hessian_open(lqi_hessian *h, const lq_ctx *ctx, const lqi_stat *stat,
                           int32_t order, uint64_t group, lq_error *error);
void      lqi_hessian_close(lqi_hessian *h);

/* H[s][t] for all t <= s to 'a', n numbers to a row; 'damp' times the mean added to the
 * diagonal; 'both': for t > s too. */
void lqi_hessian_fill(const lqi_hessian *h, float damp, int both, float *a);

/* Factor, with more and more damping from 'damp' on.  LQ_ERR_NUMERIC, LQ_ERR_NOMEM. */
lq_status lqi_hessian_factor(lqi_hessian *h, float damp, lq_error *error);

/* Lower triangle of a, n x n, to L, its diagonal to 'pivots', and columns divided by it.
 * LQ_ERR_NUMERIC: not positive definite; LQ_ERR_NOMEM. */
lq_status lqi_factor(const lq_ctx *ctx, uint64_t n, float *a, float *pivots);

/* ------------------------------------------------------------------- ranges */

/* How groups are clipped: factors 1, 1 - step ... of the range; error |x|^power, by 'weight'
 * (one per value, or NULL). */
typedef struct lqi_clip {
    const lqi_geometry *g;
    const float        *weight;
    double              power;
    int                 every;   /* 1: all factors of 1/100; 0: coarse ones, then fine ones */
} lqi_clip;

/* The factor for n values of a group, partial: fewer than the spec says. */
float lqi_clip_factor(const lqi_clip *clip, const float *x, size_t n);

/* Clamp w, rows x cols, to the clipped ranges of its groups.  'weight' belongs to columns. */
void lqi_clip_weights(const lq_ctx *ctx, const lqi_clip *clip, float *w);

/* ------------------------------------------------------------------- rounding */

/* Parameters of a tensor, frozen, and the codes that become of it. */
typedef struct lqi_frozen {
    const lq_ctx       *ctx;
    const lqi_geometry *g;
    lq_rows             rows;      /* of the tensor */
    unsigned            chunk;     /* neighbouring columns that are rounded together */
    lqi_group          *groups;    /* planar: of the tensor, scales as stored */
    const uint32_t     *group_of;  /* of each column, act-order; or NULL */
    uint64_t            row0;      /* of the strip */
    uint64_t            n;         /* its rows */
    uint32_t           *codes;     /* [n][stride], cols / unit of them: rows as long as a */
    uint64_t            stride;    /* power of two would meet in the same places of a cache */
    float              *level;     /* blocked, unit 1: [n][cols / RUN][1 << bits] */
    unsigned            bits;
} lqi_frozen;

/* For strips of at most 'most' rows.  LQ_ERR_NOMEM. */
lq_status lqi_frozen_open(lqi_frozen *v, const lq_ctx *ctx, const lqi_geometry *g,
                          const lq_rows *rows, uint64_t most);
void      lqi_frozen_close(lqi_frozen *v);

/* Begin a strip; write its codes. */
void lqi_frozen_begin(lqi_frozen *v, uint64_t row0, uint64_t n);
void lqi_frozen_end(lqi_frozen *v);

/* Round one number of strip row r; returns its value.  'chunk' 1 only. */
float lqi_frozen_round(const lqi_frozen *v, uint64_t r, uint64_t col, float x);

/* Round columns [col, col + chunk) of row r, all of whose block is at x, to y. */
void lqi_frozen_chunk(const lqi_frozen *v, uint64_t r, uint64_t col, const float *x, float *y);

/* --------------------------------------------------------------------- solver */

typedef struct lqi_solver {
    const lq_ctx      *ctx;
    const lqi_hessian *h;
    lqi_frozen        *frozen;
    const float       *w;          /* [rows][cols] */
    uint64_t           rows, strip;
    const lqi_clip    *clip;       /* running groups: how they are fitted, or NULL */
    uint64_t           running;    /* columns of a group fitted on the way; 0: frozen */
    int32_t            sweeps;
    double             loss;       /* trace(D H D') / 2, damped */
    lq_progress        progress;
    const char        *name;

    /* the strip that tasks work on */
    uint64_t           row0, n, lo, hi;
    float             *run;        /* [n][cols], by place: weights as they are now, values */
    float             *source;     /* [n][cols], by place: weights as they came */
    float             *d;          /* [n][LQI_BLOCK] */
    double            *losses;     /* of rows */
    float             *room;       /* running groups: of every task */
    float             *square;     /* sweeps: H, n x n */
    float             *all, *slope;   /* sweeps: D and D H, [n][cols] */
} lqi_solver;

/* LQ_ERR_CANCELLED, LQ_ERR_NOMEM. */
lq_status lqi_solve(lqi_solver *s);

/* Memory for sweeps; one over the strip, whose 'run' has its values.  LQ_ERR_NOMEM. */
lq_status lqi_sweep_open(lqi_solver *s);
lq_status lqi_sweep(lqi_solver *s);
void      lqi_sweep_close(lqi_solver *s);

#endif
