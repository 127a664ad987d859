/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/options.c - the command line of one command, through getopt_long
 */
#include "lq.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 32

/* The table's rows as getopt wants them. */
typedef struct getopt_table {
    struct option rows[ROWS_MAX + 1];
    char          letters[2 * ROWS_MAX + 2];
} getopt_table;

static void fill(getopt_table *g, const command *c)
{
    size_t n = 0;
    char *letter = g->letters;

    memset(g, 0, sizeof *g);
    *letter++ = ':';                       /* report missing values as ':' */
    for (const option_row *row = c->options; row->id && n < ROWS_MAX; row++, n++) {
        g->rows[n] = (struct option){ row->name, row->arg ? required_argument : no_argument,
                                      NULL, row->id };
        if (!row->letter)
            continue;
        *letter++ = row->letter;
        if (row->arg)
            *letter++ = ':';
    }
}

/* Row of what getopt returned: an id, or a letter. */
static const option_row *row_of(const command *c, int value)
{
    const option_row *row = c->options;

    while (row->id && row->id != value && (!row->letter || row->letter != value))
        row++;
    return row;
}

static int unknown_option(tool *t, const char *word)
{
    char name[64], near[SUGGEST_TEXT];
    suggestion s = { name, NULL, 0 };

    if (optopt >= OPT_HELP)
        return fail_usage(t, "--%s takes no value", row_of(t->command, optopt)->name);
    if (optopt)
        return fail_usage(t, "unknown option -%c", optopt);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    size_t matches = 0;
    for (const option_row *row = t->command->options; row->id; row++) {
        matches += !strncmp(row->name, name, strlen(name));
        suggest(&s, row->name);
    }
    if (matches > 1)
        return fail_usage(t, "--%s could be several options", name);
    return fail_usage(t, "unknown option --%s%s", name, suggest_text(&s, "--", near));
}

static int missing_value(tool *t)
{
    const option_row *row = row_of(t->command, optopt);

    return fail_usage(t, "--%s needs a value: %s", row->name, row->arg);
}

static int count_fits(tool *t, const args *a)
{
    const command *c = t->command;

    if (args_has(a, OPT_HELP))
        return 0;
    if (a->positional_count < c->min)
        return fail_usage(t, "arguments are missing: lq %s %s", c->name, c->synopsis);
    if (a->positional_count > c->max)
        return fail_usage(t, "one argument too many: %s", a->positional[c->max]);
    return 0;
}

int args_parse(tool *t, int argc, char **argv, args *a)
{
    getopt_table g;
    int value;

    memset(a, 0, sizeof *a);
    a->positional = calloc((size_t)argc + 1, sizeof *a->positional);
    a->options = calloc((size_t)argc * 2 + 2, sizeof *a->options);
    if (!a->positional || !a->options)
        return fail_status(t, LQ_ERR_NOMEM, "out of memory");
    fill(&g, t->command);
    opterr = 0;
    optind = 1;
    for (;;) {
        optopt = 0;
        int word = optind;
        value = getopt_long(argc, argv, g.letters, g.rows, NULL);
        if (value == -1)
            break;
        if (value == ':')
            return missing_value(t);
        if (value == '?')
            return unknown_option(t, argv[optind > word ? optind - 1 : word]);
        const option_row *row = row_of(t->command, value);
        given *o = &a->options[a->option_count++];
        o->id = row->id;
        o->value = row->arg ? optarg : NULL;
    }
    for (; optind < argc; optind++)
        a->positional[a->positional_count++] = argv[optind];
    return count_fits(t, a);
}

void args_free(args *a)
{
    free(a->positional);
    free(a->options);
    memset(a, 0, sizeof *a);
}

const char *args_value(const args *a, int id)
{
    for (size_t i = a->option_count; i-- > 0;)
        if (a->options[i].id == id)
            return a->options[i].value;
    return NULL;
}

int args_has(const args *a, int id)
{
    for (size_t i = 0; i < a->option_count; i++)
        if (a->options[i].id == id)
            return 1;
    return 0;
}
