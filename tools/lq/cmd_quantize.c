/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_quantize.c - lq quantize
 */
#include "convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Entry of the imatrix for a weight, under its own name or llama.cpp's; NULL. */
static const float *find_importance(const lq_imatrix *imatrix, const lq_weight *w,
                                    uint64_t *count)
{
    const float *values = NULL;
    char other[LQ_GGUF_NAME];

    if (lq_imatrix_find(imatrix, w->name, &values, count) == LQ_OK)
        return values;
    if (lq_gguf_name(w->name, other, sizeof other) == LQ_OK
        && lq_imatrix_find(imatrix, other, &values, count) == LQ_OK)
        return values;
    return NULL;
}

static const float *importance(void *user, const lq_weight *w)
{
    const conversion *c = user;
    uint64_t count = 0;
    const float *values = find_importance(c->imatrix, w, &count);

    return count == w->shape.outer * w->shape.cols ? values : NULL;
}

static lq_status choose(void *user, const lq_weight *w, lq_choice *choice)
{
    conversion *c = user;
    const rule *first;

    return rules_apply(&c->rules, w, choice, &first) ? LQ_ERR_ARG : LQ_OK;
}

static int tail_option(conversion *c)
{
    const char *value = args_value(c->a, OPT_TAIL);
    const option_row *row = command_option(c->t->command, OPT_TAIL);

    c->opts.tail = c->opts.container == LQ_CONTAINER_GGUF ? LQ_TAIL_FALLBACK : LQ_TAIL_ERROR;
    int index = value ? words_find(row->words, value) : -1;
    if (value && index < 0) {
        int code = tool_spec(c->t, "--tail", value, &c->tail_spec);
        if (code)
            return code;
        c->opts.tail = LQ_TAIL_SPEC;
        c->opts.tail_spec = &c->tail_spec;
    } else if (value) {
        c->opts.tail = index;      /* the words stand in the order of LQ_TAIL_... */
    }
    c->rules.tail = c->opts.tail;
    return 0;
}

static int options(conversion *c)
{
    lq_error error = LQ_ERROR_INIT;
    const char *imatrix = args_value(c->a, OPT_IMATRIX);

    int code = rules_open(c->t, c->a, c->opts.spec, &c->rules);
    if (!code)
        code = tail_option(c);
    if (!code)
        code = args_word(c->t, c->a, OPT_NONFINITE, LQ_NONFINITE_ERROR, &c->opts.nonfinite);
    if (!code)
        code = args_word(c->t, c->a, OPT_SEARCH, LQ_SEARCH_EXACT, &c->opts.search);
    if (code)
        return code;
    c->opts.allow_requantize = args_has(c->a, OPT_REQUANTIZE);
    c->opts.choose = choose;
    if (!imatrix)
        return 0;
    lq_status status = lq_imatrix_open(c->ctx, imatrix, &c->imatrix, &error);
    if (status != LQ_OK)
        return fail_error(c->t, status, &error);
    c->opts.importance = importance;
    return 0;
}

/* A chosen spec must fit the weight, and the weight must not be quantized already. */
static int check_choice(conversion *c, const lq_weight *w, const lq_choice *choice)
{
    char text[LQ_SPEC_TEXT] = "";
    uint64_t bytes;

    if (choice->action != LQ_ENCODE || !w->spec)
        return 0;
    if (!spec_is_float(w->spec) && !spec_is_float(&choice->spec)
        && !lq_spec_equal(w->spec, &choice->spec)
        && !c->opts.allow_requantize) {
        lq_spec_print(w->spec, text, sizeof text);
        return fail_usage(c->t, "%s is quantized already (%s); start from the original, or "
                          "accept the loss with --allow-requantize", w->name, text);
    }
    if (choice->tail == LQ_TAIL_ERROR
        && lq_spec_bytes(&choice->spec, &w->shape, &bytes) == LQ_ERR_SHAPE) {
        lq_spec_print(&choice->spec, text, sizeof text);
        return fail_status(c->t, LQ_ERR_SHAPE, "%s: rows of %" PRIu64 " do not fit the blocks "
                           "of %s; see --tail", w->name, w->shape.cols, text);
    }
    return 0;
}

/* What the imatrix has for a weight: 1, 0, or -1 when the lengths disagree. */
static int check_importance(const conversion *c, const lq_weight *w, uint64_t *count)
{
    if (!find_importance(c->imatrix, w, count))
        return 0;
    return *count == w->shape.outer * w->shape.cols ? 1 : -1;
}

typedef struct coverage {
    uint64_t encoded, found;
} coverage;

static int plan_weight(conversion *c, const lq_weight *w, coverage *cover)
{
    lq_choice choice = { sizeof choice };
    const rule *first = NULL;
    uint64_t count = 0;

    lq_status status = lq_choose_default(w, c->opts.spec, c->opts.container, &choice);
    if (status != LQ_OK)
        return fail_status(c->t, status, "%s: %s", w->name, lq_status_text(status));
    const rule *second = rules_apply(&c->rules, w, &choice, &first);
    if (second)
        return fail_usage(c->t, "--tensor %s and --tensor %s disagree about %s", first->text,
                          second->text, w->name);
    int code = check_choice(c, w, &choice);
    if (code || !c->imatrix || choice.action != LQ_ENCODE || spec_is_float(&choice.spec))
        return code;
    int found = check_importance(c, w, &count);
    if (found < 0)
        return fail_status(c->t, LQ_ERR_MISMATCH, "%s has %" PRIu64 " columns, the imatrix "
                           "has %" PRIu64 " values: it belongs to another model", w->name,
                           w->shape.cols, count);
    cover->encoded++;
    cover->found += (uint64_t)found;
    return 0;
}

static int check_coverage(conversion *c, const coverage *cover)
{
    uint64_t entries = lq_imatrix_count(c->imatrix);

    if (cover->encoded && !cover->found)
        return fail_status(c->t, LQ_ERR_MISMATCH, "the imatrix names none of the weights: it "
                           "belongs to another model");
    if (cover->found < cover->encoded)
        warn(c->t, "the imatrix lacks %" PRIu64 " of %" PRIu64 " weights",
             cover->encoded - cover->found, cover->encoded);
    if (cover->found < entries)
        warn(c->t, "%" PRIu64 " entries of the imatrix are not used",
             entries - cover->found);
    return 0;
}

/* Everything that can be known to be wrong before work begins. */
static int plan(conversion *c, const lq_checkpoint *in)
{
    coverage cover = { 0, 0 };

    int code = conversion_output(c, in);
    for (uint64_t i = 0; !code && i < lq_checkpoint_count(in); i++) {
        lq_weight w = LQ_WEIGHT_INIT;
        if (lq_checkpoint_weight(in, i, &w) == LQ_OK)
            code = plan_weight(c, &w, &cover);
    }
    if (!code)
        code = rules_check(c->t, &c->rules);
    if (!code && c->imatrix)
        code = check_coverage(c, &cover);
    return code;
}

static int check_input(conversion *c)
{
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *in = NULL;

    lq_status status = lq_checkpoint_open(c->ctx, c->a->positional[0], NULL, &in, &error);
    int code = status == LQ_OK ? plan(c, in) : fail_error(c->t, status, &error);
    lq_checkpoint_destroy(in);
    return code;
}

/* The target: a mix where GGUF is written and the text names one, else a spec. */
static int target(tool *t, const args *a, lq_spec *spec, const char **mix)
{
    const char *text = args_value(a, OPT_FORMAT);
    int gguf = container_of(a->positional[1]) == LQ_CONTAINER_GGUF;

    if (!text)
        return fail_usage(t, "the target is missing: -f SPEC, for example -f q4_k_m");
    lq_status status = lq_mix_spec(text, spec);
    if (gguf && status == LQ_OK) {
        *mix = text;
        return 0;
    }
    if (gguf && status == LQ_ERR_UNSUPPORTED)
        return fail_status(t, status, "the mix %s needs a type that this build does not have",
                           text);
    if (status != LQ_ERR_NOTFOUND && lq_spec_parse(text, spec, NULL) != LQ_OK)
        return fail_usage(t, "%s is a mix of GGUF types: the output must be a .gguf file", text);
    return args_spec(t, a, OPT_FORMAT, NULL, spec);
}

int cmd_quantize(tool *t, const args *a)
{
    lq_spec spec = LQ_SPEC_INIT;
    const char *mix = NULL;
    conversion c;

    int code = target(t, a, &spec, &mix);
    if (code)
        return code;
    code = conversion_begin(&c, t, a, &spec);
    c.opts.mix = mix;
    if (!code)
        code = options(&c);
    if (!code)
        code = check_input(&c);
    if (!code)
        code = conversion_run(&c);
    conversion_end(&c);
    return code;
}
