/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/convert.h - what quantize, convert and dequantize share
 */
#ifndef LQ_TOOL_CONVERT_H
#define LQ_TOOL_CONVERT_H

#include "rules.h"

/* Weights that met the same fate for the same reason. */
typedef struct fate {
    char    *name;              /* of the first */
    char     from[LQ_SPEC_TEXT], to[LQ_SPEC_TEXT];
    char    *reason;
    uint64_t count;
} fate;

typedef struct conversion {
    tool           *t;
    const args     *a;
    lq_ctx         *ctx;
    lq_convert_opts opts;
    lq_spec spec;                   /* of opts */
    lq_spec         tail_spec;
    rules           rules;      /* empty for dequantize */
    lq_imatrix     *imatrix;
    progress        progress;
    int             quiet, verbose;
    int             losses;     /* say of each quantized weight whether it lost anything */
    /* the report */
    doc             j;
    fate           *fates;
    size_t          fate_count;
    uint64_t        encoded, kept, weights_in, bytes_in, bytes_out;
    double          sum_sq, sum_err_sq;
} conversion;

/* Options both commands have, context, container.  0 or an exit code. */
int conversion_begin(conversion *c, tool *t, const args *a, const lq_spec *spec);
/* Refuse an output that is the input, exists, or has no folder to lie in. */
int conversion_output(conversion *c, const lq_checkpoint *in);
/* Convert and report. */
int conversion_run(conversion *c);
void conversion_end(conversion *c);

/* Called by lq_convert() for each weight; prints what conversion_run() promised. */
void report_weight(void *user, const lq_convert_report *report);
void report_head(conversion *c);
void report_end(conversion *c);

#endif
