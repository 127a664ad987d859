/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/complete.c - bash completion, from the table and the registry of formats
 */
#include "lq.h"

#include <string.h>

static void add_words(textbuf *out, const char *words)
{
    for (const char *s = words; *s; s++)
        text_put(out, *s == '|' ? " " : s, 1);
}

static void add_formats(textbuf *out)
{
    for (size_t i = 0; i < lq_format_count(); i++) {
        lq_format_info info = LQ_FORMAT_INFO_INIT;
        if (lq_format_at(i, &info) == LQ_OK)
            text_printf(out, "%s%s", i ? " " : "", info.name);
    }
}

/* What completes the value of an option: words, formats, or files. */
static void add_values(textbuf *out, const option_row *row)
{
    if (row->words) {
        text_add(out, "COMPREPLY=($(compgen -W \"");
        add_words(out, row->words);
        if (strstr(row->arg, "SPEC"))
            text_add(out, " $formats");
        text_add(out, "\" -- \"$word\"))");
    } else if (strstr(row->arg, "SPEC")) {
        text_add(out, "COMPREPLY=($(compgen -W \"$formats\" -- \"$word\"))");
    } else if (!strcmp(row->arg, "FILE")) {
        text_add(out, "COMPREPLY=($(compgen -f -- \"$word\"))");
    } else {
        text_add(out, "COMPREPLY=()");
    }
    text_add(out, "; return;;\n");
}

static void add_command(textbuf *out, const command *c)
{
    text_printf(out, "    %s)\n        case \"$last\" in\n", c->name);
    for (const option_row *row = c->options; row->id; row++) {
        if (!row->arg)
            continue;
        text_printf(out, "        --%s", row->name);
        if (row->letter)
            text_printf(out, "|-%c", row->letter);
        text_add(out, ") ");
        add_values(out, row);
    }
    text_add(out, "        esac\n        options=\"");
    for (const option_row *row = c->options; row->id; row++)
        text_printf(out, "%s--%s", row == c->options ? "" : " ", row->name);
    text_add(out, "\"\n        words=\"");
    if (c->words)
        add_words(out, c->words);
    text_add(out, "\";;\n");
}

void completion_text(textbuf *out)
{
    text_add(out, "# bash completion of lq; use: source <(lq completions bash)\n"
             "_lq()\n{\n"
             "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}\n"
             "    local options words formats=\"");
    add_formats(out);
    text_add(out, "\"\n    COMPREPLY=()\n    if ((COMP_CWORD == 1)); then\n"
             "        COMPREPLY=($(compgen -W \"");
    for (const command *c = commands; c->name; c++)
        text_printf(out, "%s ", c->name);
    text_add(out, "--help --version\" -- \"$word\"))\n        return\n    fi\n"
             "    case \"${COMP_WORDS[1]}\" in\n");
    for (const command *c = commands; c->name; c++)
        add_command(out, c);
    text_add(out, "    *) return;;\n    esac\n"
             "    if [[ $word == -* ]]; then\n"
             "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
             "    elif [[ $words ]]; then\n"
             "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
             "    else\n        COMPREPLY=($(compgen -f -- \"$word\"))\n    fi\n}\n"
             "complete -o filenames -F _lq lq\n");
}

int cmd_completions(tool *t, const args *a)
{
    textbuf script = { 0 };

    if (strcmp(a->positional[0], "bash"))
        return fail_usage(t, "no completion for '%s'; there is one for bash",
                          a->positional[0]);
    completion_text(&script);
    int code = print_text(t, "script", &script);
    text_free(&script);
    return code;
}
