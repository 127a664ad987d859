/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/main.c - the lq program: finds the command and runs it
 */
#include "lq.h"

#include <stdio.h>
#include <string.h>

/* --json counts wherever it stands, also when the rest cannot be parsed. */
static int wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--json"))
            return 1;
    return 0;
}

static int unknown_command(tool *t, const char *word)
{
    char near[SUGGEST_TEXT];
    suggestion s = { word, NULL, 0 };

    for (const command *c = commands; c->name; c++)
        suggest(&s, c->name);
    return fail_usage(t, "there is no command '%s'%s", word, suggest_text(&s, "", near));
}

static int print_version(tool *t)
{
    textbuf line = { 0 };

    text_printf(&line, "%s%s%s", t->json ? "" : "lq ", lq_version_string(),
                t->json ? "" : "\n");
    int code = print_text(t, "version", &line);
    text_free(&line);
    return code;
}

static int run_command(tool *t, int argc, char **argv)
{
    args a;
    textbuf help = { 0 };
    int code = args_parse(t, argc, argv, &a);

    if (!code && args_has(&a, OPT_HELP)) {
        help_text(&help, t->command);
        code = print_text(t, "help", &help);
        text_free(&help);
    } else if (!code) {
        code = t->command->run(t, &a);
    }
    args_free(&a);
    return code;
}

static int dispatch(tool *t, int argc, char **argv)
{
    static const args none;
    int first = 1;

    while (first < argc && !strcmp(argv[first], "--json"))
        first++;
    if (first >= argc)
        return fail_usage(t, "no command; usage: lq COMMAND [ARGUMENTS] [OPTIONS]");
    if (!strcmp(argv[first], "--version"))
        return print_version(t);
    if (!strcmp(argv[first], "--help") || !strcmp(argv[first], "-h"))
        return cmd_help(t, &none);
    t->command = command_find(argv[first]);
    if (!t->command)
        return unknown_command(t, argv[first]);
    return run_command(t, argc - first, argv + first);
}

int main(int argc, char **argv)
{
    tool t = { 0 };

    out_begin(&t);
    t.json = wants_json(argc, argv);
    int code = dispatch(&t, argc, argv);
    return out_end(&t, code);
}
