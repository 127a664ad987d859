/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/rules.c - which weights become what
 *
 * --exclude wins over --tensor, --tensor over --include, --include over the default.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

int regex_open(tool *t, const char *option, const char *text, regex_t *regex)
{
    char reason[128];
    int error = regcomp(regex, text, REG_EXTENDED | REG_NOSUB);

    if (!error)
        return 0;
    regerror(error, regex, reason, sizeof reason);
    return fail_usage(t, "--%s %s: bad regular expression: %s", option, text, reason);
}

/* REGEX=SPEC: specs have no '=', expressions may. */
static int open_tensor_rule(tool *t, const char *text, rule *r)
{
    const char *split = strrchr(text, '=');

    if (!split || split == text || !split[1])
        return fail_usage(t, "--tensor %s: expected REGEX=SPEC", text);
    int code = tool_spec(t, "--tensor", split + 1, &r->spec);
    if (code)
        return code;
    char *regex = strndup(text, (size_t)(split - text));
    if (!regex)
        return fail_status(t, LQ_ERR_NOMEM, "out of memory");
    code = regex_open(t, "tensor", regex, &r->regex);
    free(regex);
    return code;
}

static int is_rule(int id)
{
    return id == OPT_TENSOR || id == OPT_INCLUDE || id == OPT_EXCLUDE;
}

int rules_open(tool *t, const args *a, const lq_spec *target, rules *r)
{
    memset(r, 0, sizeof *r);
    r->target = *target;
    r->list = calloc(a->option_count + 1, sizeof *r->list);
    if (!r->list)
        return fail_status(t, LQ_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < a->option_count; i++) {
        const given *g = &a->options[i];
        rule *next = &r->list[r->count];
        if (!is_rule(g->id))
            continue;
        next->id = g->id;
        next->text = g->value;
        int code = g->id == OPT_TENSOR
                       ? open_tensor_rule(t, g->value, next)
                       : regex_open(t, command_option(t->command, g->id)->name, g->value,
                                    &next->regex);
        if (code)
            return code;
        r->count++;
        r->includes += g->id == OPT_INCLUDE;
    }
    return 0;
}

void rules_close(rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        regfree(&r->list[i].regex);
    free(r->list);
    memset(r, 0, sizeof *r);
}

/* First matching rule of a kind; every match is counted. */
static rule *first_match(rules *r, int id, const char *name, const rule **conflict)
{
    rule *first = NULL;

    for (size_t i = 0; i < r->count; i++) {
        rule *one = &r->list[i];
        if (one->id != id || regexec(&one->regex, name, 0, NULL, 0))
            continue;
        one->matched++;
        if (!first)
            first = one;
        else if (id == OPT_TENSOR && !lq_spec_equal(&first->spec, &one->spec))
            *conflict = one;
    }
    return first;
}

/* Matching rules of a kind take part in the decision. */
static void count_use(rules *r, int id, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        rule *one = &r->list[i];
        if (one->id == id && !regexec(&one->regex, name, 0, NULL, 0))
            one->used++;
    }
}

/* Leave a weight alone, unless it only changes between plain numbers (norms of GGUF). */
static void keep(lq_choice *choice, const char *reason)
{
    if (choice->action != LQ_ENCODE || spec_is_float(&choice->spec))
        return;
    choice->action = LQ_KEEP;
    choice->reason = reason;
}

static void encode(lq_choice *choice, const lq_spec *spec)
{
    choice->action = LQ_ENCODE;
    choice->spec = *spec;
    choice->reason = "";
}

const rule *rules_apply(rules *r, const lq_weight *w, lq_choice *choice, const rule **first)
{
    const rule *conflict = NULL;
    int possible = w->spec && w->n_dims >= 2;
    rule *excluded = first_match(r, OPT_EXCLUDE, w->name, &conflict);
    rule *tensor = first_match(r, OPT_TENSOR, w->name, &conflict);
    rule *included = first_match(r, OPT_INCLUDE, w->name, &conflict);

    if (excluded) {
        count_use(r, OPT_EXCLUDE, w->name);
        keep(choice, "excluded by --exclude");
    } else if (tensor && possible) {
        count_use(r, OPT_TENSOR, w->name);
        encode(choice, &tensor->spec);
        *first = tensor;
        if (conflict)
            return conflict;
    } else if (included && possible) {
        count_use(r, OPT_INCLUDE, w->name);
        encode(choice, &r->target);
    } else if (r->includes) {
        keep(choice, "not named by --include");
    }
    if (choice->action == LQ_ENCODE)
        choice->tail = r->tail;
    return NULL;
}

int rules_check(tool *t, const rules *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const rule *one = &r->list[i];
        const char *option = command_option(t->command, one->id)->name;
        if (!one->matched)
            return fail_usage(t, "--%s %s matches no weight", option, one->text);
        if (!one->used)
            return fail_usage(t, "--%s %s decides about no weight: those it matches are "
                              "excluded, decided by --tensor, or cannot be encoded", option,
                              one->text);
    }
    return 0;
}
