/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/lq.h - what the files of the lq program share
 *
 *   main.c table.c options.c help.c complete.c   dispatch; the table and what follows from it
 *   output.c text.c json.c fail.c                standard output, errors, exit codes
 *   number.c suggest.c common.c progress.c       arguments; context, specs, progress, signals
 *   cmd_<name>.c                                 one command each, with these behind them:
 *     convert.c report.c rules.c                   quantize, dequantize
 *     pairs.c difference.c                         compare
 *     model.c model_config.c                       estimate
 *     meta.c                                       inspect
 *     bench.c bench_*.c roof.c                     bench
 *
 * The program never calls setlocale(): numbers are read and printed as in the C locale.
 */
#ifndef LQ_TOOL_H
#define LQ_TOOL_H

#include <libquant/libquant.h>
#include <stdarg.h>

/* --------------------------------------------------------------------- text */

/* Growing text, always terminated once something was put.  'failed': out of memory. */
typedef struct textbuf {
    char  *data;
    size_t bytes, capacity;
    int    failed;
} textbuf;

void text_put(textbuf *t, const char *data, size_t bytes);
void text_add(textbuf *t, const char *string);
void text_printf(textbuf *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(textbuf *t, const char *format, va_list list);
void text_free(textbuf *t);

/* One character of 's': its code point, or -1 for a byte that is not UTF-8.  '*bytes'
 * is its length, at least 1. */
int32_t utf8_next(const char *s, size_t left, size_t *bytes);

/* Append with everything that could disturb a terminal written as \n, \x1b, \u{202e}. */
void text_escaped(textbuf *t, const char *s, size_t bytes);

/* Append 's' escaped, filled with blanks to 'columns'. */
void text_cell(textbuf *t, const char *s, int columns);

#define HUMAN_TEXT 24
/* "1.4 GiB" into 'out' of HUMAN_TEXT bytes. */
const char *human_bytes(uint64_t bytes, char *out);

/* --------------------------------------------------------------------- json */

/* Writer of one JSON document onto a text.  'key' is NULL inside arrays. */
typedef struct doc {
    textbuf *out;
    unsigned depth;
    int      line;          /* 1: no line breaks inside */
    uint64_t used, array;   /* one bit per depth: has a member; is an array */
} doc;

void doc_begin(doc *j, textbuf *out);
void doc_object(doc *j, const char *key);
void doc_array(doc *j, const char *key);
void doc_close(doc *j);                       /* the innermost object or array */
void doc_string(doc *j, const char *key, const char *value);
void doc_bytes(doc *j, const char *key, const char *value, size_t bytes);
void doc_uint(doc *j, const char *key, uint64_t value);
void doc_int(doc *j, const char *key, int64_t value);
void doc_number(doc *j, const char *key, double value);  /* non-finite: null */
void doc_bool(doc *j, const char *key, int value);
void doc_null(doc *j, const char *key);

/* -------------------------------------------------------------- the table */

enum {
    OPT_HELP = 256, OPT_JSON, OPT_THREADS, OPT_LEVEL, OPT_FORMAT, OPT_TENSOR, OPT_INCLUDE,
    OPT_EXCLUDE, OPT_IMATRIX, OPT_TAIL, OPT_NONFINITE, OPT_SEARCH, OPT_DRY_RUN, OPT_FORCE,
    OPT_REQUANTIZE, OPT_QUIET, OPT_VERBOSE, OPT_STRICT, OPT_TENSORS, OPT_TOLERANCE,
    OPT_PARAMS, OPT_CONTAINER, OPT_CONTEXT, OPT_BATCH, OPT_KV, OPT_LORA, OPT_TARGETS,
    OPT_OPTIMIZER, OPT_RECOMPUTE, OPT_MEMORY, OPT_ROWS, OPT_COLS, OPT_N, OPT_TYPE, OPT_REPEAT,
    OPT_TO, OPT_SPLIT_SIZE, OPT_SPLIT_TENSORS, OPT_MODE, OPT_ROTATE, OPT_UNPREPARED,
    OPT_WEIGHTED, OPT_RULE, OPT_BITS
};

typedef struct option_row {
    int         id;        /* OPT_...; 0 ends a list */
    const char *name;      /* without the dashes */
    char        letter;    /* 0: none */
    const char *arg;       /* NULL: a switch */
    const char *words;     /* "a|b|c": what 'arg' may be, for completion; or NULL */
    const char *text;
} option_row;

typedef struct tool tool;
typedef struct args args;

typedef struct command {
    const char       *name;    /* NULL ends the table */
    const char       *synopsis;
    size_t            min, max; /* positional arguments */
    const char       *summary;
    const char       *text;    /* paragraphs for help and manual */
    const char       *words;   /* what the first argument may be, or NULL */
    const option_row *options;
    int             (*run)(tool *t, const args *a);
} command;

extern const command commands[];
const command *command_find(const char *name);
const option_row *command_option(const command *c, int id);

/* ---------------------------------------------------------------- the program */

struct tool {
    const command *command;    /* NULL: none yet */
    int            json;
    textbuf        out;        /* standard output, not yet written */
    int            closed;     /* there was none when the program began */
    int            out_errno;  /* first failure to write it */
};

/* Print to standard output.  In --json mode the text waits for the end of the program,
 * so that an error can still take its place. */
void out_printf(tool *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void out_flush(tool *t);
/* The same in --json mode: what is there are complete documents, one a line. */
void out_lines(tool *t);
/* Make sure that descriptors 0 to 2 are taken, so that no model is opened as one. */
void out_begin(tool *t);
/* Write what is left; the exit code, changed if standard output failed. */
int out_end(tool *t, int code);

enum {
    EXIT_SAME = 0, EXIT_DIFFERS = 1, EXIT_USAGE = 2, EXIT_DATA = 3, EXIT_UNSUPPORTED = 4,
    EXIT_IO = 5, EXIT_MEMORY = 6, EXIT_CANCELLED = 7, EXIT_PIPE = 141
};

/* The one place that turns a status into an exit code. */
int exit_code(lq_status status, const lq_error *error);

/* Report a failure (text on standard error, or the JSON object) and return its code. */
int fail_usage(tool *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fail_status(tool *t, lq_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int fail_error(tool *t, lq_status status, const lq_error *error);
void warn(tool *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---------------------------------------------------------------- arguments */

typedef struct given {
    int         id;
    const char *value;   /* NULL for a switch */
} given;

struct args {
    const char **positional;
    size_t       positional_count;
    given       *options;          /* in the order of the command line */
    size_t       option_count;
};

/* 0, or the exit code of a usage error.  --help is seen by args_has(). */
int  args_parse(tool *t, int argc, char **argv, args *a);
void args_free(args *a);
int  args_has(const args *a, int id);
const char *args_value(const args *a, int id);   /* the last one; NULL */

/* A whole number in [min, max]; 'otherwise' when the option is absent. */
int args_count(tool *t, const args *a, int id, uint64_t otherwise, uint64_t min,
               uint64_t max, uint64_t *value);
/* Bytes: 48G, 48GiB (1024), 48GB (1000); 'otherwise' when absent. */
int args_size(tool *t, const args *a, int id, uint64_t otherwise, uint64_t *value);
/* One of the option's words: its index.  'otherwise' when absent. */
int args_word(tool *t, const args *a, int id, int otherwise, int *index);

int parse_count(const char *s, uint64_t *value);          /* 1 when 's' is one */
int parse_size(const char *s, uint64_t *bytes);
int parse_params(const char *s, uint64_t *count);         /* 7B, 1.5B, 350M */
int parse_number(const char *s, double *value);           /* finite, not negative */

/* Index of 'word' in the list "a|b|c", or -1. */
int words_find(const char *words, const char *word);

/* First word of a list with commas, cut to 'capacity'; returns where the next begins. */
const char *list_next(const char *list, char *word, size_t capacity);

/* Nearest candidate so far.  Start with best NULL. */
typedef struct suggestion {
    const char *word;
    const char *best;
    unsigned    distance;
} suggestion;

void suggest(suggestion *s, const char *candidate);
/* "; did you mean 'x'?", or "" when nothing is near.  'out' holds SUGGEST_TEXT bytes. */
#define SUGGEST_TEXT 96
const char *suggest_text(const suggestion *s, const char *prefix, char *out);

/* ------------------------------------------------------------- common pieces */

/* Context from --threads and --level. */
int tool_ctx(tool *t, const args *a, lq_ctx **ctx);
/* Spec of a text from the command line; 'what' names where it stood. */
int tool_spec(tool *t, const char *what, const char *spec_text, lq_spec *spec);
/* As tool_spec() for an option, 'otherwise' when absent. */
int args_spec(tool *t, const args *a, int id, const char *otherwise, lq_spec *spec);
int spec_is_float(const lq_spec *spec);               /* f32, f16, bf16 */
lq_container container_of(const char *path);          /* from its extension */
double bits_per_weight(uint64_t bytes, const lq_shape *shape);
/* "2x64x172" into 'out' of SHAPE_TEXT bytes; "scalar" for none. */
#define SHAPE_TEXT 176
const char *shape_text(uint32_t n_dims, const uint64_t *dims, char *out);
void doc_dims(doc *j, const char *key, uint32_t n_dims, const uint64_t *dims);
/* Refuse to write 'out' over 'in', its shards or a folder that holds them. */
int check_output(tool *t, const lq_checkpoint *in, const char *in_path, const char *out);

/* ------------------------------------------------------------------ progress */

typedef struct progress {
    int      shown;       /* draws on standard error */
    int      drawn;       /* characters on the line */
    double   start, last; /* seconds, monotonic */
} progress;

/* Catch SIGINT, SIGTERM and SIGHUP from now on: the next report cancels. */
void progress_signals(void);
int  progress_cancelled(void);
void progress_begin(progress *p, int quiet);
lq_progress progress_callback(progress *p);
void progress_clear(progress *p);
double seconds_now(void);

/* ------------------------------------------------------------------ commands */

/* Help of one command, or of the program for NULL; the manual; bash completion. */
void help_text(textbuf *out, const command *c);
void manual_text(textbuf *out);
void completion_text(textbuf *out);
/* Print a text, as member 'key' of an object in --json mode. */
int print_text(tool *t, const char *key, const textbuf *content);

int cmd_formats(tool *t, const args *a);
int cmd_inspect(tool *t, const args *a);
int cmd_quantize(tool *t, const args *a);
int cmd_convert(tool *t, const args *a);
int cmd_dequantize(tool *t, const args *a);
int cmd_compare(tool *t, const args *a);
int cmd_verify(tool *t, const args *a);
int cmd_estimate(tool *t, const args *a);
int cmd_bench(tool *t, const args *a);
int cmd_completions(tool *t, const args *a);
int cmd_manual(tool *t, const args *a);
int cmd_help(tool *t, const args *a);

#endif
