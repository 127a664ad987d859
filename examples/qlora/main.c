/* SPDX-License-Identifier: MIT */
/*
 * examples/qlora/main.c - fine-tune, measure, save, read again, merge; and its command line
 */
#include "qlora.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char help[] =
    "usage: qlora MODEL TOKENS OUT [options]\n"
    "\n"
    "Fine-tunes the model (a directory of examples/train) with LoRA on all linear layers, its\n"
    "matrices frozen in a quantized format.  TOKENS has train.u16 and heldout.u16; OUT gets\n"
    "'adapter', in PEFT's files, and 'merged', the model with the adapter in it, in bf16.\n"
    "\n"
    "  -w, --weights SPEC   of the frozen matrices (nf4:b64:dq)\n"
    "      --against SPEC   do the same with these and compare\n"
    "  -r, --rank N         (16)\n"
    "      --alpha X        (32)\n"
    "      --rslora         scale by alpha / sqrt(rank)\n"
    "      --dropout X      (0.05)\n"
    "      --fast           forward products on 8-bit activations\n"
    "  -n, --steps N        (300)\n"
    "  -b, --batch N        sequences at a time (8)\n"
    "      --length N       tokens in a sequence (the model's context)\n"
    "      --rate X         learning rate, constant after --warmup steps (0.002)\n"
    "      --warmup N       (20)\n"
    "      --clip X         largest norm of the gradient (0.3)\n"
    "  -s, --seed N         (1)\n"
    "  -T, --threads N      (1)\n"
    "  -h, --help\n";

typedef struct options {
    const char *model, *tokens, *out, *against;
    recipe      r;
    uint32_t    steps, batch, length, warmup, threads;
    double      rate, clip;
} options;

enum { OPT_AGAINST = 256, OPT_ALPHA, OPT_RSLORA, OPT_DROPOUT, OPT_FAST, OPT_LENGTH, OPT_RATE,
       OPT_WARMUP, OPT_CLIP };

static const struct option long_options[] = {
    { "weights", 1, NULL, 'w' },        { "against", 1, NULL, OPT_AGAINST },
    { "rank", 1, NULL, 'r' },           { "alpha", 1, NULL, OPT_ALPHA },
    { "rslora", 0, NULL, OPT_RSLORA },  { "dropout", 1, NULL, OPT_DROPOUT },
    { "fast", 0, NULL, OPT_FAST },      { "steps", 1, NULL, 'n' },
    { "batch", 1, NULL, 'b' },          { "length", 1, NULL, OPT_LENGTH },
    { "rate", 1, NULL, OPT_RATE },      { "warmup", 1, NULL, OPT_WARMUP },
    { "clip", 1, NULL, OPT_CLIP },      { "seed", 1, NULL, 's' },
    { "threads", 1, NULL, 'T' },        { "help", 0, NULL, 'h' },
    { NULL, 0, NULL, 0 }
};

static uint32_t integer(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end || *text == '-' || value == 0 || value > 1u << 24)
        fail("'%s' is no number from 1 to 2^24", text);
    return (uint32_t)value;
}

static double number(const char *text, double most)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= 0 && value < most))
        fail("'%s' is no number from 0 to %g", text, most);
    return value;
}

static void set_option(options *o, int option)
{
    switch (option) {
    case 'w': o->r.spec = optarg; break;
    case OPT_AGAINST: o->against = optarg; break;
    case 'r': o->r.rank = integer(optarg); break;
    case OPT_ALPHA: o->r.alpha = number(optarg, 1e6); break;
    case OPT_RSLORA: o->r.stabilised = 1; break;
    case OPT_DROPOUT: o->r.dropout = number(optarg, 1); break;
    case OPT_FAST: o->r.fast = 1; break;
    case 'n': o->steps = integer(optarg); break;
    case 'b': o->batch = integer(optarg); break;
    case OPT_LENGTH: o->length = integer(optarg); break;
    case OPT_RATE: o->rate = number(optarg, 1); break;
    case OPT_WARMUP: o->warmup = integer(optarg); break;
    case OPT_CLIP: o->clip = number(optarg, 1e6); break;
    case 's': o->r.seed = integer(optarg); break;
    case 'T': o->threads = integer(optarg); break;
    case 'h': fputs(help, stdout); exit(0);
    default: fputs("qlora: --help lists the options\n", stderr); exit(2);
    }
}

static options read_options(int argc, char **argv)
{
    options o = { .r = { .spec = "nf4:b64:dq", .rank = 16, .alpha = 32, .dropout = 0.05,
                         .seed = 1 },
                  .steps = 300, .batch = 8, .warmup = 20, .threads = 1, .rate = 2e-3,
                  .clip = 0.3 };
    int option;

    while ((option = getopt_long(argc, argv, "w:r:n:b:s:T:h", long_options, NULL)) != -1)
        set_option(&o, option);
    if (argc - optind != 3) {
        fputs(help, stderr);
        exit(2);
    }
    o.model = argv[optind];
    o.tokens = argv[optind + 1];
    o.out = argv[optind + 2];
    if (o.r.alpha == 0)
        fail("an alpha of 0 leaves nothing");
    return o;
}

/* -------------------------------------------------------------------- run */

typedef struct run {
    const options *o;
    const lq_ctx  *ctx;
    const lq_checkpoint *model;
    shape          s;
    network       *n;
    adapters      *a;
    corpus         text, held_out;
    uint16_t      *inputs, *targets;
    void          *state[4];          /* of the optimizer */
    uint64_t       state_bytes[4];
} run;

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double measure(run *r, network *n)
{
    r->a->training = 0;
    return corpus_loss(&r->held_out, n, r->inputs, r->targets);
}

static lq_optimizer rule_of(const run *r, uint64_t step)
{
    lq_optimizer rule = LQ_OPTIMIZER_INIT;
    double part = step < r->o->warmup ? (double)step / r->o->warmup : 1;

    rule.state_bits = 8;
    rule.step = step;
    rule.lr = (float)(r->o->rate * part);
    return rule;
}

static void update(run *r, uint64_t step)
{
    lq_optimizer rule = rule_of(r, step);
    lq_params p = LQ_PARAMS_INIT;
    double squares = 0;

    check(lq_sum_squares(r->ctx, r->a->grads, r->a->parameters, &squares), NULL, "gradient");
    if (sqrt(squares) > r->o->clip)
        rule.grad_scale = (float)(r->o->clip / sqrt(squares));
    p.n = r->a->parameters;
    p.values = r->a->values;
    p.grads = r->a->grads;
    p.m = r->state[0];
    p.v = r->state[1];
    p.m_scales = r->state[2];
    p.v_scales = r->state[3];
    check(lq_optimizer_step(r->ctx, &rule, &p), NULL, "optimizer");
}

static void train(run *r)
{
    uint64_t random = r->o->r.seed;
    double since = seconds(), begin = since, loss = 0;
    uint32_t steps = 0;

    for (uint64_t step = 1; step <= r->o->steps; step++) {
        r->a->training = 1;
        corpus_draw(&r->text, &random, r->n->sequences, r->n->length, r->inputs, r->targets);
        loss += network_forward(r->n, r->inputs, r->targets);
        network_backward(r->n, r->inputs, r->targets, 1);
        update(r, step);
        steps++;
        if (step % 50 && step != r->o->steps)
            continue;
        printf("step %llu  loss %.4f  %.0f tokens/s\n", (unsigned long long)step, loss / steps,
               (double)steps * r->n->tokens / (seconds() - since));
        fflush(stdout);
        since = seconds();
        loss = steps = 0;
    }
    printf("%.0f seconds, %.0f tokens/s\n", seconds() - begin,
           (double)r->o->steps * r->n->tokens / (seconds() - begin));
}

static void print_bytes(const char *what, size_t bytes)
{
    printf("  %-44s %8.3f MB\n", what, (double)bytes / 1e6);
}

static void print_memory(const run *r)
{
    const network *n = r->n;
    const adapters *a = r->a;
    size_t weights = n->parameters * sizeof *n->weights, state = 0;

    for (int i = 0; i < 4; i++)
        state += r->state_bytes[i];
    printf("memory\n");
    print_bytes("frozen matrices", a->base_bytes);
    print_bytes("  the same in f32 would be", a->frozen * sizeof(float));
    if (a->ready_bytes)
        print_bytes("  prepared for fast products", a->ready_bytes);
    print_bytes("embedding and norms, f32", weights);
    print_bytes("adapters, f32", a->parameters * sizeof(float));
    print_bytes("their gradients, f32", a->parameters * sizeof(float));
    print_bytes("AdamW's state, 8 bits", state);
    print_bytes("activations and their gradients", n->bytes - weights);
    print_bytes("kept by adapters for the backward pass", a->kept_bytes);
}

static void begin(run *r, const char *spec)
{
    recipe what = r->o->r;
    lq_optimizer rule = rule_of(r, 1);
    shape apart = r->s;

    apart.apart = 1;
    what.spec = spec;
    what.tokens = r->o->batch * r->s.context;
    r->a = adapters_create(r->ctx, r->model, &r->s, &what);
    r->n = network_create(r->ctx, &apart, r->o->batch, r->s.context, 0);
    r->n->linears = adapters_linears(r->a);
    base_fill(r->model, r->n);
    r->inputs = allocate(r->n->tokens, sizeof *r->inputs);
    r->targets = allocate(r->n->tokens, sizeof *r->targets);
    check(lq_optimizer_bytes(&rule, r->a->parameters, r->state_bytes), NULL, "optimizer");
    for (int i = 0; i < 4; i++)
        r->state[i] = allocate(r->state_bytes[i] ? r->state_bytes[i] : 1, 1);
}

static void end(run *r)
{
    network_destroy(r->n);
    adapters_destroy(r->a);
    free(r->inputs);
    free(r->targets);
    for (int i = 0; i < 4; i++)
        free(r->state[i]);
}

/* Held-out loss of a frozen format behind training. */
static double fine_tune(run *r, const char *spec)
{
    double loss;

    begin(r, spec);
    printf("%s: %zu numbers are trained beside %zu that are not\n", spec, r->a->parameters,
           r->n->parameters + r->a->frozen);
    print_memory(r);
    printf("held out before %.4f\n", measure(r, r->n));
    fflush(stdout);
    train(r);
    loss = measure(r, r->n);
    printf("held out after %.4f\n", loss);
    fflush(stdout);
    return loss;
}

/* Save, read into zeros, merge: the loss of each. */
static void keep(run *r, double loss)
{
    char saved_as[4096], merged[4096], tokenizer[4096];
    network *plain = network_create(r->ctx, &r->s, r->o->batch, r->s.context, 0);
    double again;

    snprintf(saved_as, sizeof saved_as, "%s/adapter", r->o->out);
    snprintf(merged, sizeof merged, "%s/merged", r->o->out);
    snprintf(tokenizer, sizeof tokenizer, "%s/tokenizer.bin", r->o->model);
    (void)mkdir(r->o->out, 0777);
    adapters_save(r->a, saved_as, r->o->model);
    memset(r->a->values, 0, r->a->parameters * sizeof *r->a->values);
    adapters_load(r->a, saved_as);
    again = measure(r, r->n);
    printf("held out, adapter saved and read %.4f (%s)\n", again,
           again == loss ? "the same" : "not the same");
    base_fill(r->model, plain);
    adapters_merge(r->a, r->o->r.spec, plain);
    printf("held out, merged into %s %.4f\n", r->o->r.spec, measure(r, plain));
    adapters_merge(r->a, "bf16", plain);
    printf("held out, merged into bf16 %.4f\n", measure(r, plain));
    checkpoint_export(plain, merged, tokenizer);
    network_destroy(plain);
}

int main(int argc, char **argv)
{
    options o = read_options(argc, argv);
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_ctx *ctx = NULL;
    lq_checkpoint *model;
    run r = { .o = &o };
    double loss, other;

    opts.threads = o.threads;
    check(lq_ctx_create(&opts, &ctx, &error), &error, "context");
    model = base_open(ctx, o.model, &r.s);
    if (o.length && o.length < r.s.context)
        r.s.context = o.length;
    r.ctx = ctx;
    r.model = model;
    r.text = corpus_read(o.tokens, "train.u16", r.s.vocab);
    r.held_out = corpus_read(o.tokens, "heldout.u16", r.s.vocab);
    loss = fine_tune(&r, o.r.spec);
    keep(&r, loss);
    end(&r);
    if (o.against) {
        other = fine_tune(&r, o.against);
        printf("%s %.4f, %s %.4f: %+.2f %%\n", o.r.spec, loss, o.against, other,
               100 * (loss / other - 1));
        end(&r);
    }
    free(r.text.tokens);
    free(r.held_out.tokens);
    lq_checkpoint_destroy(model);
    lq_ctx_destroy(ctx);
    return 0;
}
