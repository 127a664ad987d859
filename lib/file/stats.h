/* SPDX-License-Identifier: MIT */
/*
 * lib/file/stats.h - names in files of statistics
 */
#ifndef LQI_STATS_H
#define LQI_STATS_H

#include <stdio.h>

#include "lib/base/base.h"

#define LQI_STATS_KEY     "lq.stats"
#define LQI_STATS_VERSION "1"
#define LQI_STATS_SAME    "lq.stats.same."
#define LQI_STATS_COUNT   ".count"
#define LQI_STATS_SQ      ".sum_sq"
#define LQI_STATS_ABS     ".sum_abs"

#define LQI_STATS_PART 32     /* bytes of the longest part */
#define LQI_STATS_NAME 4096   /* of a name and its part */

/* Both together, 0 if that is too long. */
static inline int lqi_stats_name(char out[LQI_STATS_NAME], const char *name, const char *part)
{
    int n = snprintf(out, LQI_STATS_NAME, "%s%s", name, part);

    return n >= 0 && n < LQI_STATS_NAME;
}

static inline void lqi_stats_gram_part(char out[LQI_STATS_PART], uint64_t panel)
{
    snprintf(out, LQI_STATS_PART, ".gram.%llu", (unsigned long long)panel);
}

#endif
