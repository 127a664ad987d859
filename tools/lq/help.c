/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/help.c - help and the manual, from the table
 */
#include "lq.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 80
#define INDENT 26

static const char exit_codes[] =
    "0 success; 1 differs (compare, verify); 2 wrong usage, or the output exists; 3 bad data; "
    "4 unsupported; 5 input or output failed; 6 out of memory; 7 cancelled. When the reader "
    "of standard output goes away (| head), lq ends quietly with 141, as a program killed by "
    "SIGPIPE would.";

static const char json_note[] =
    "With --json standard output holds exactly one JSON document. \"status\" is \"LQ_OK\", or "
    "the name of the failure; then \"exit\" has the exit code and \"message\" the text, with "
    "\"file\", \"name\" and \"offset\" where they are known. Numbers that are not finite are "
    "null. bench writes a document a line, one for each measurement.";

static const char size_note[] =
    "K, M, G, T and KiB... are powers of 1024, KB, MB, GB, TB powers of 1000. --params counts "
    "in thousands: K, M, B, T.";

static const char terminal_note[] =
    "Progress is drawn on standard error when that is a terminal and TERM is not dumb. "
    "Nothing is ever coloured, so NO_COLOR needs no attention.";

/* Words of 's' in lines of WIDTH, each indented; the first line has 'column' used. */
static void wrap(textbuf *out, const char *s, int column, int indent)
{
    while (*s) {
        int n = (int)strcspn(s, " \n");
        if (column > indent && column + 1 + n > WIDTH) {
            text_printf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            text_add(out, " ");
            column++;
        }
        text_put(out, s, (size_t)n);
        column += n;
        s += n;
        if (*s == '\n') {
            text_printf(out, "\n%*s", indent, "");
            column = indent;
        }
        s += *s != 0;
    }
    text_add(out, "\n");
}

static void option_head(textbuf *out, const option_row *row)
{
    if (row->letter)
        text_printf(out, "-%c, ", row->letter);
    text_printf(out, "--%s%s%s", row->name, row->arg ? " " : "", row->arg ? row->arg : "");
}

static void option_line(textbuf *out, const option_row *row)
{
    textbuf head = { 0 };

    option_head(&head, row);
    text_printf(out, "  %s%s", row->letter ? "" : "    ", head.data ? head.data : "");
    int column = 2 + (row->letter ? 0 : 4) + (int)head.bytes;
    text_free(&head);
    if (column > INDENT - 2) {
        text_add(out, "\n");
        column = 0;
    }
    text_printf(out, "%*s", INDENT - column, "");
    wrap(out, row->text, INDENT, INDENT);
}

static void program_help(textbuf *out)
{
    text_printf(out, "lq %s: quantize models, and look at the result\n\n"
                "usage: lq COMMAND [ARGUMENTS] [OPTIONS]\n\ncommands:\n", lq_version_string());
    for (const command *c = commands; c->name; c++)
        text_printf(out, "  %-12s %s\n", c->name, c->summary);
    text_add(out, "\nlq COMMAND --help explains a command, lq --version prints the version.\n"
             "Every command takes --json.\n\nexit codes:");
    wrap(out, exit_codes, 11, 0);
}

void help_text(textbuf *out, const command *c)
{
    if (!c) {
        program_help(out);
        return;
    }
    text_printf(out, "usage: lq %s %s%s[OPTIONS]\n\n%s\n\n", c->name, c->synopsis,
                *c->synopsis ? " " : "", c->summary);
    wrap(out, c->text, 0, 0);
    text_add(out, "\noptions:\n");
    for (const option_row *row = c->options; row->id; row++)
        option_line(out, row);
}

static void section(textbuf *out, const char *title, const char *s)
{
    text_printf(out, "\n## %s\n\n", title);
    wrap(out, s, 0, 0);
}

void manual_text(textbuf *out)
{
    text_add(out, "# lq: the command-line tool of libquant\n\n"
             "<!-- Written by `lq manual`; a test compares. -->\n\n"
             "    lq COMMAND [ARGUMENTS] [OPTIONS]\n\n"
             "| command | what it does |\n|---|---|\n");
    for (const command *c = commands; c->name; c++)
        text_printf(out, "| `%s` | %s |\n", c->name, c->summary);
    for (const command *c = commands; c->name; c++) {
        text_printf(out, "\n## lq %s\n\n    lq %s %s%s[OPTIONS]\n\n", c->name, c->name,
                    c->synopsis, *c->synopsis ? " " : "");
        wrap(out, c->text, 0, 0);
        text_add(out, "\n");
        for (const option_row *row = c->options; row->id; row++) {
            text_add(out, "- `");
            option_head(out, row);
            text_printf(out, "`: %s\n", row->text);
        }
    }
    section(out, "Exit codes", exit_codes);
    section(out, "JSON", json_note);
    section(out, "Sizes", size_note);
    section(out, "Terminal", terminal_note);
}

int print_text(tool *t, const char *key, const textbuf *content)
{
    doc  j;

    if (content->failed)
        return fail_status(t, LQ_ERR_NOMEM, "out of memory");
    if (!t->json) {
        text_put(&t->out, content->data, content->bytes);
        return 0;
    }
    doc_begin(&j, &t->out);
    doc_object(&j, NULL);
    doc_string(&j, "status", "LQ_OK");
    doc_bytes(&j, key, content->data, content->bytes);
    doc_close(&j);
    return 0;
}

int cmd_help(tool *t, const args *a)
{
    textbuf help = { 0 };
    const command *c = NULL;

    if (a->positional_count) {
        c = command_find(a->positional[0]);
        if (!c)
            return fail_usage(t, "there is no command '%s'", a->positional[0]);
    }
    help_text(&help, c);
    int code = print_text(t, "help", &help);
    text_free(&help);
    return code;
}

int cmd_manual(tool *t, const args *a)
{
    textbuf manual = { 0 };

    (void)a;
    manual_text(&manual);
    int code = print_text(t, "manual", &manual);
    text_free(&manual);
    return code;
}
