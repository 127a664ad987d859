/* SPDX-License-Identifier: MIT */
/*
 * lib/core/encoder.h - what the encoder's three files share
 *
 * Rows reach one of three paths:
 *
 *   rows   groups lie inside strips of 1 row, or of strip_rows rows: a strip is fitted,
 *          rounded and emitted
 *   whole  groups span all rows: scan() collects ranges, rows() only rounds
 *   flat   groups ignore rows: numbers are encoded where they lie, as far as they make whole
 *          groups, or queued until FLAT of them are there
 *
 * Each path fills a strip of codes and an array of group parameters; emit_groups() sends
 * scales and zero points on.  Second-level scales wait in 'pending' until a block of them
 * is complete; their offset is the mean that scan() found.
 *
 * Whatever runs in parallel writes to places of its own, and sums are taken in index
 * order afterwards: the bytes do not depend on the threads.
 *
 *   encoder.c        the public calls: arguments, memory, the order of rows
 *   encoder_strip.c  a strip's codes and parameters, in parallel
 *   encoder_emit.c   both passes over an expert, and what goes to the sink when
 */
#ifndef LQI_ENCODER_H
#define LQI_ENCODER_H

#include "lib/core/core.h"

#define FLAT 65536                 /* queued numbers; a multiple of every flat block */
#define STRIP_BYTES (1u << 20)     /* codes per strip, about */

struct lq_encoder {
    const lq_ctx   *ctx;
    lq_spec         spec;
    lq_shape        shape;
    lqi_geometry    g;
    lq_encode_opts  opts;
    lq_plane_sink  *sink;
    void           *user;
    lq_status       status;      /* sticky */
    int             passes;
    int             whole, flat; /* which path; neither: rows */
    uint64_t        strip;       /* rows per strip */
    uint64_t        scanned;     /* rows seen by scan(), over all experts */
    uint64_t        encoded;     /* rows seen by rows() */

    uint8_t        *codes;       /* of one strip */
    lqi_group      *groups;      /* of one strip; whole: of one expert */
    float          *lo, *hi;     /* whole: ranges, [outer][row_groups] */
    double         *magnitude;   /* whole, fit_mean: sums instead */
    float          *queue;       /* flat: numbers waiting for their block */
    size_t          queued;
    const float    *flat_x;      /* flat: what is being encoded, of the queue or the caller */
    size_t          flat_n;
    int             flat_scan;   /* flat: parameters only */
    float          *amax;        /* global scale: largest magnitude per expert */
    float           global;      /* of the expert being encoded */
    double         *sums;        /* second level: sum of scales per expert */
    float          *pending;     /* second level: scales waiting for their block */
    uint8_t        *pending_codes;
    uint32_t        pending_count;
    uint64_t        at[LQ_PLANES];   /* bytes emitted */

    /* the strip that tasks work on */
    lq_dtype        x_type;
    const uint8_t  *x;
    uint64_t        x_bytes, n, per_task, first_row;
    _Atomic lq_status task_status;
};

/* ------------------------------------------------------------------- strip */

/* Source numbers of row 'row' of the strip at e->x. */
lqi_values lqi_encoder_values(const lq_encoder *e, uint64_t row);

/* Parameters of strip rows [row, row + rows), at most one group high. */
lq_status lqi_encoder_fit(lq_encoder *e, uint64_t row, uint64_t rows);

/* Encode n rows of the strip, or n groups of the flat numbers, of 'weights' numbers each. */
lq_status lqi_encoder_run(lq_encoder *e, uint64_t n, uint64_t weights);

/* -------------------------------------------------------------------- emit */

lq_status lqi_encoder_begin_expert(lq_encoder *e, uint64_t outer);
lq_status lqi_encoder_encode(lq_encoder *e, uint64_t rows, uint64_t outer);
lq_status lqi_encoder_end_expert(lq_encoder *e, uint64_t outer);

/* The first pass: look at a strip; after the expert's last row. */
lq_status lqi_encoder_look(lq_encoder *e, uint64_t rows, uint64_t outer);
lq_status lqi_encoder_end_look(lq_encoder *e, uint64_t outer);

#endif
