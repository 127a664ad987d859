/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/main.c - the command line: generate text, or evaluate
 */
#include "llama.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "usage: llama MODEL [options]               generate\n"
    "       llama MODEL --eval TOKENS [options] measure\n"
    "\n"
    "MODEL is a safetensors file, a checkpoint directory or a GGUF file of the Llama\n"
    "architecture, quantized or not.\n"
    "\n"
    "  -p, --prompt TEXT      begin with this text (needs a tokenizer)\n"
    "      --tokens N,N...    begin with these token ids\n"
    "  -n, --count N          tokens to generate (256)\n"
    "  -t, --temperature X    0: the most probable token (0)\n"
    "      --top-p X          draw from the tokens that make up this share (1)\n"
    "  -s, --seed N           (1)\n"
    "      --speed            print tokens per second to standard error\n"
    "      --tokenizer FILE   llama2.c tokenizer.bin; else the GGUF's own, else ids\n"
    "      --write FILE       no text: write sampled sequences of --window tokens as\n"
    "                         16-bit ids, to evaluate with; how many: --sequences N (16)\n"
    "      --collect-stats OUT --tokens FILE\n"
    "                         statistics of the projections' inputs over a file of 16-bit\n"
    "                         ids, for GPTQ and importances\n"
    "  -e, --eval TOKENS      file of 16-bit token ids\n"
    "  -w, --window N         inputs per window (the model's context)\n"
    "  -r, --reference OTHER  also print KL(OTHER || MODEL) and flips\n"
    "      --json             the figures of --eval as one JSON object\n"
    "      --config FILE      config.json of a safetensors file that has none beside it\n"
    "  -m, --mode MODE        products: fast (generate), f32 (eval), bf16\n"
    "  -T, --threads N        (1)\n"
    "      --level NAME       CPU level (the best)\n"
    "  -h, --help\n";

typedef struct options {
    const char  *model, *config, *prompt, *ids, *tokenizer, *reference, *level, *write,
                *mode, *collect;
    uint32_t     count, sequences, threads;
    int          speed;
    sampler      s;
    eval_options eval;
} options;

enum { OPT_TOKENS = 256, OPT_TOP_P, OPT_TOKENIZER, OPT_WRITE, OPT_SEQUENCES,
       OPT_JSON, OPT_CONFIG, OPT_LEVEL, OPT_SPEED, OPT_COLLECT };

static const struct option long_options[] = {
    { "prompt", 1, NULL, 'p' },         { "tokens", 1, NULL, OPT_TOKENS },
    { "count", 1, NULL, 'n' },          { "temperature", 1, NULL, 't' },
    { "top-p", 1, NULL, OPT_TOP_P },    { "seed", 1, NULL, 's' },
    { "tokenizer", 1, NULL, OPT_TOKENIZER }, { "write", 1, NULL, OPT_WRITE },
    { "sequences", 1, NULL, OPT_SEQUENCES }, { "eval", 1, NULL, 'e' },
    { "window", 1, NULL, 'w' },         { "reference", 1, NULL, 'r' },
    { "json", 0, NULL, OPT_JSON },      { "config", 1, NULL, OPT_CONFIG },
    { "speed", 0, NULL, OPT_SPEED },    { "collect-stats", 1, NULL, OPT_COLLECT },
    { "threads", 1, NULL, 'T' },        { "level", 1, NULL, OPT_LEVEL },
    { "mode", 1, NULL, 'm' },           { "help", 0, NULL, 'h' },
    { NULL, 0, NULL, 0 }
};

static uint32_t integer(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (end == text || *end || *text == '-' || value > UINT32_MAX)
        fail("'%s' is no number", text);
    return (uint32_t)value;
}

static float real(const char *text)
{
    char *end;
    float value = strtof(text, &end);

    if (end == text || *end || !(value >= 0.0f))
        fail("'%s' is no number", text);
    return value;
}

static void set_option(options *o, int option)
{
    switch (option) {
    case 'p': o->prompt = optarg; break;
    case OPT_TOKENS: o->ids = optarg; break;
    case 'n': o->count = integer(optarg); break;
    case 't': o->s.temperature = real(optarg); break;
    case OPT_TOP_P: o->s.top_p = real(optarg); break;
    case 's': o->s.state = integer(optarg); break;
    case OPT_TOKENIZER: o->tokenizer = optarg; break;
    case OPT_WRITE: o->write = optarg; break;
    case OPT_SEQUENCES: o->sequences = integer(optarg); break;
    case 'e': o->eval.tokens = optarg; break;
    case 'w': o->eval.window = integer(optarg); break;
    case 'r': o->reference = optarg; break;
    case OPT_JSON: o->eval.json = 1; break;
    case OPT_CONFIG: o->config = optarg; break;
    case 'T': o->threads = integer(optarg); break;
    case OPT_LEVEL: o->level = optarg; break;
    case OPT_SPEED: o->speed = 1; break;
    case 'm': o->mode = optarg; break;
    case OPT_COLLECT: o->collect = optarg; break;
    case 'h': fputs(help, stdout); exit(0);
    default: fputs("llama: --help lists the options\n", stderr); exit(2);
    }
}

static options read_options(int argc, char **argv)
{
    options o = { .count = 256, .sequences = 16, .threads = 1, .s = { 0.0f, 1.0f, 1 } };
    int option;

    while ((option = getopt_long(argc, argv, "p:n:t:s:e:w:r:T:m:h", long_options, NULL)) != -1)
        set_option(&o, option);
    if (optind >= argc || argc - optind > 1) {
        fputs(help, stderr);
        exit(2);
    }
    o.model = argv[optind];
    return o;
}

/* ---------------------------------------------------------------- generate */

static uint32_t parse_ids(const char *text, uint32_t *tokens)
{
    uint32_t n = 0;
    char *end;

    for (;;) {
        unsigned long value = strtoul(text, &end, 10);

        if (end == text || value > UINT32_MAX || (*end && *end != ','))
            fail("--tokens: '%s' is no token id", text);
        tokens[n++] = (uint32_t)value;
        if (!*end)
            return n;
        text = end + 1;
    }
}

static uint32_t begin_sequence(const options *o, const model *m, const tokenizer *t,
                               uint32_t *tokens)
{
    if (o->ids)
        return parse_ids(o->ids, tokens);
    if (o->prompt && !t)
        fail("--prompt needs a tokenizer: name one with --tokenizer, or use --tokens");
    if (t)
        return tokenizer_encode(t, o->prompt ? o->prompt : "", m->c.bos, tokens);
    tokens[0] = m->c.bos;
    return 1;
}

static void print_token(const tokenizer *t, const config *c, uint32_t previous,
                        uint32_t token)
{
    size_t bytes;
    const char *text;

    if (!t) {
        printf("%u ", token);
        return;
    }
    text = tokenizer_piece(t, previous, token, c->bos, &bytes);
    fwrite(text, 1, bytes, stdout);
    fflush(stdout);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void generate(const options *o, const model *m, const tokenizer *t)
{
    size_t room = strlen(o->prompt ? o->prompt : "") + strlen(o->ids ? o->ids : "") + 2;
    uint32_t *tokens = allocate(room, sizeof *tokens);
    uint32_t n = begin_sequence(o, m, t, tokens), count = o->count, last;
    float *logits = allocate(m->vocab, sizeof *logits);
    sampler s = o->s;
    session *run;
    double start;

    if (n >= m->c.context)
        fail("the prompt fills the context of %u", m->c.context);
    if (count > m->c.context - n)
        count = m->c.context - n;
    run = session_create(m, n + count, n);
    session_run(run, tokens, n);
    session_logits(run, n - 1, 1, logits);
    for (uint32_t i = 0; i < n; i++)
        print_token(t, &m->c, i ? tokens[i - 1] : UINT32_MAX, tokens[i]);
    last = tokens[n - 1];
    start = seconds();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t next = sample(&s, logits, m->vocab);

        if (next == m->c.eos || next == m->c.bos)
            break;
        print_token(t, &m->c, last, next);
        last = next;
        session_run(run, &next, 1);
        session_logits(run, 0, 1, logits);
    }
    putchar('\n');
    if (o->speed)
        fprintf(stderr, "%.0f tokens/s\n", (run->used - n) / (seconds() - start));
    session_destroy(run);
    free(logits);
    free(tokens);
}

/* Sequences that begin with BOS, and one token more so that the last has a target. */
static void write_samples(const options *o, const model *m)
{
    uint32_t window = o->eval.window ? o->eval.window : m->c.context, token = m->c.bos;
    float *logits = allocate(m->vocab, sizeof *logits);
    session *run = session_create(m, window, 1);
    sampler s = o->s;
    FILE *f = fopen(o->write, "wb");

    if (!f)
        fail("%s: cannot be written", o->write);
    if (m->vocab > 65536)
        fail("--write: 16-bit token ids cannot hold %u", m->vocab);
    for (uint64_t i = 0; i <= (uint64_t)o->sequences * window; i++) {
        if (i % window == 0) {
            session_reset(run);
            token = m->c.bos;
        }
        fputc((int)(token & 255), f);
        fputc((int)(token >> 8), f);
        session_run(run, &token, 1);
        session_logits(run, 0, 1, logits);
        token = sample(&s, logits, m->vocab);
    }
    if (fclose(f))
        fail("%s: cannot be written", o->write);
    session_destroy(run);
    free(logits);
}

/* -------------------------------------------------------------------- main */

static lq_ctx *open_context(const options *o)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_ctx *ctx = NULL;

    opts.threads = o->threads;
    if (o->level)
        check(lq_level_find(o->level, &opts.level), NULL, o->level);
    check(lq_ctx_create(&opts, &ctx, &error), &error, "context");
    return ctx;
}

/* Text is generated with fast products; what is measured or kept, with exact ones. */
static int32_t products(const options *o)
{
    if (!o->mode)
        return o->eval.tokens || o->write || o->collect ? LQ_MODE_F32 : LQ_MODE_FAST;
    if (strcmp(o->mode, "fast") == 0)
        return LQ_MODE_FAST;
    if (strcmp(o->mode, "bf16") == 0)
        return LQ_MODE_BF16;
    if (strcmp(o->mode, "f32") != 0)
        fail("--mode: '%s' is none of fast, bf16, f32", o->mode);
    return LQ_MODE_F32;
}

int main(int argc, char **argv)
{
    options o = read_options(argc, argv);
    lq_ctx *ctx = open_context(&o);
    model *m = model_open(ctx, o.model, o.config), *reference = NULL;
    tokenizer *t = NULL;

    m->mode = products(&o);
    if (o.collect) {
        if (!o.ids)
            fail("--collect-stats needs --tokens FILE");
        o.eval.tokens = o.ids;
        collect(m, &o.eval, o.collect);
    } else if (o.eval.tokens) {
        if (o.reference) {
            reference = model_open(ctx, o.reference, o.config);
            reference->mode = LQ_MODE_F32;
        }
        evaluate(m, reference, &o.eval);
    } else if (o.write) {
        write_samples(&o, m);
    } else {
        t = tokenizer_open(o.tokenizer, lq_checkpoint_file(m->checkpoint), m->vocab);
        generate(&o, m, t);
    }
    tokenizer_close(t);
    model_close(reference);
    model_close(m);
    lq_ctx_destroy(ctx);
    return 0;
}
