/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/rules.h - --tensor, --include and --exclude of quantize
 */
#ifndef LQ_TOOL_RULES_H
#define LQ_TOOL_RULES_H

#include "lq.h"
#include <regex.h>

typedef struct rule {
    int         id;         /* OPT_TENSOR, OPT_INCLUDE, OPT_EXCLUDE */
    const char *text;       /* as given */
    regex_t     regex;
    lq_spec     spec;       /* OPT_TENSOR */
    uint64_t    matched;    /* names */
    uint64_t    used;       /* weights it decided about */
} rule;

typedef struct rules {
    rule   *list;
    size_t  count;
    int     includes;       /* number of --include */
    lq_spec target;
    int32_t tail;           /* LQ_TAIL_... */
} rules;

/* Compile what the command line gives; 0 or an exit code. */
int  rules_open(tool *t, const args *a, const lq_spec *target, rules *r);
void rules_close(rules *r);

/*
 * Change 'choice', which comes with the default, as the rules say.  NULL, or a second
 * --tensor rule that disagrees with '*first' about this weight.
 */
const rule *rules_apply(rules *r, const lq_weight *w, lq_choice *choice,
                        const rule **first);

/* After all weights were seen: complain about rules that decided nothing. */
int rules_check(tool *t, const rules *r);

/* Compile one expression; 0 or the exit code of bad usage. */
int regex_open(tool *t, const char *option, const char *text, regex_t *regex);

#endif
