/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/calib.h - what the files of lib/calib share
 */
#ifndef LQI_CALIB_H
#define LQI_CALIB_H

#include "lib/core/core.h"
#include "libquant/calibrate.h"

/* ---------------------------------------------------------------- statistics */

/* One weight's.  X'X lies in panels of LQ_GRAM_ROWS rows, each as wide as its last row is
 * long. */
typedef struct lqi_stat {
    char    *name;
    uint64_t same;      /* number of the entry that has the numbers; its own */
    uint64_t cols, count;
    double  *sum_sq, *sum_abs;
    float  **gram;      /* lqi_gram_panels() of them, NULL where rows are not kept; or NULL */
    int      broken;    /* memory ended in the middle of an addition */
} lqi_stat;

struct lq_stats {
    const lq_ctx *ctx;
    lq_stats_opts opts;
    lqi_stat     *entries;
    uint64_t      count, capacity;
};

static inline uint64_t lqi_gram_panels(uint64_t cols)
{
    return lqi_div_up(cols, LQ_GRAM_ROWS);
}

/* Numbers in a row of a panel, and its rows. */
static inline uint64_t lqi_gram_width(uint64_t cols, uint64_t panel)
{
    return lqi_min(cols, (panel + 1) * LQ_GRAM_ROWS);
}

static inline uint64_t lqi_gram_rows(uint64_t cols, uint64_t panel)
{
    return lqi_gram_width(cols, panel) - panel * LQ_GRAM_ROWS;
}

static inline uint64_t lqi_gram_numbers(uint64_t cols, uint64_t panel)
{
    return lqi_gram_rows(cols, panel) * lqi_gram_width(cols, panel);
}

/* The entry that has the numbers of weight 'name'; NULL. */
const lqi_stat *lqi_stats_find(const lq_stats *stats, const char *name);

/* A new entry, its sums zero, no panels yet.  LQ_ERR_DUPLICATE, LQ_ERR_OVERFLOW,
 * LQ_ERR_NOMEM. */
lq_status lqi_stats_new(lq_stats *stats, const char *name, uint64_t cols, lqi_stat **entry,
                        lq_error *error);

/* Take back the entry that was made last. */
void lqi_stats_drop(lq_stats *stats);

/* Memory for a panel, zeros.  LQ_ERR_OVERFLOW, LQ_ERR_NOMEM. */
lq_status lqi_stats_panel(lq_stats *stats, lqi_stat *entry, uint64_t panel, lq_error *error);

/* 1: all panels are there, -1: some, 0: none. */
int lqi_stat_gram(const lqi_stat *entry);

#endif
