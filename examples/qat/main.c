/* SPDX-License-Identifier: MIT */
/*
 * examples/qat/main.c - fine-tune a model behind its quantization, and measure
 */
#include "../qlora/base.h"
#include "qat.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "usage: qat MODEL TOKENS [options]\n"
    "\n"
    "Trains a model (a directory of examples/train) with the matrices of its layers quantized in\n"
    "every forward pass, on TOKENS/train.u16, and measures it on TOKENS/heldout.u16 before and\n"
    "after.  Without --weights, --activations and --gradients it is plain fine-tuning.\n"
    "\n"
    "  -w, --weights SPEC      such as int2:g32:fz\n"
    "      --rule RULE         scales of the weights: fitted (to the weights, always anew),\n"
    "                          affine, lsq, stretched: learned (fitted)\n"
    "      --activations SPEC  of the activations that meet them, such as fp8_e4m3:t\n"
    "      --gradients SPEC    of the gradients that come back, such as fp8_e5m2:t\n"
    "      --history N         scales of both from the largest magnitudes of N steps (0: of the\n"
    "                          numbers themselves)\n"
    "  -n, --steps N           0: measure only (300)\n"
    "  -b, --batch N           sequences at a time (8)\n"
    "      --length N          tokens in a sequence (the model's context)\n"
    "  -r, --rate X            largest learning rate (0.0005)\n"
    "      --scale-rate X      of learned scales, in parts of it (0.3)\n"
    "      --warmup N          steps until it is reached (20); then a cosine down to a tenth\n"
    "  -s, --seed N            (1)\n"
    "  -T, --threads N         (1)\n"
    "  -h, --help\n";

typedef struct options {
    const char *model, *tokens;
    recipe      r;
    uint32_t    steps, batch, length, warmup, threads;
    uint64_t    seed;
    double      rate, scale_rate;
} options;

enum { OPT_RULE = 256, OPT_ACTIVATIONS, OPT_GRADIENTS, OPT_HISTORY, OPT_LENGTH, OPT_SCALE_RATE,
       OPT_WARMUP };

static const struct option long_options[] = {
    { "weights", 1, NULL, 'w' },       { "rule", 1, NULL, OPT_RULE },
    { "activations", 1, NULL, OPT_ACTIVATIONS }, { "gradients", 1, NULL, OPT_GRADIENTS },
    { "history", 1, NULL, OPT_HISTORY }, { "steps", 1, NULL, 'n' },
    { "batch", 1, NULL, 'b' },         { "length", 1, NULL, OPT_LENGTH },
    { "rate", 1, NULL, 'r' },          { "scale-rate", 1, NULL, OPT_SCALE_RATE },
    { "warmup", 1, NULL, OPT_WARMUP }, { "seed", 1, NULL, 's' },
    { "threads", 1, NULL, 'T' },       { "help", 0, NULL, 'h' },
    { NULL, 0, NULL, 0 }
};

static uint32_t integer(const char *text, uint32_t least)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end || *text == '-' || value < least || value > 1u << 24)
        fail("'%s' is no number from %u to 2^24", text, least);
    return (uint32_t)value;
}

static double number(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= 0 && value <= 1))
        fail("'%s' is no number from 0 to 1", text);
    return value;
}

static int rule_of(const char *text)
{
    static const char *const names[] = { "fitted", "affine", "lsq", "stretched" };

    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    fail("there is no rule '%s'", text);
}

static void set_option(options *o, int option)
{
    switch (option) {
    case 'w': o->r.weights = optarg; break;
    case OPT_RULE: o->r.rule = rule_of(optarg); break;
    case OPT_ACTIVATIONS: o->r.activations = optarg; break;
    case OPT_GRADIENTS: o->r.gradients = optarg; break;
    case OPT_HISTORY: o->r.history = integer(optarg, 0); break;
    case 'n': o->steps = integer(optarg, 0); break;
    case 'b': o->batch = integer(optarg, 1); break;
    case OPT_LENGTH: o->length = integer(optarg, 1); break;
    case 'r': o->rate = number(optarg); break;
    case OPT_SCALE_RATE: o->scale_rate = number(optarg); break;
    case OPT_WARMUP: o->warmup = integer(optarg, 1); break;
    case 's': o->seed = integer(optarg, 0); break;
    case 'T': o->threads = integer(optarg, 1); break;
    case 'h': fputs(help, stdout); exit(0);
    default: fputs("qat: --help lists the options\n", stderr); exit(2);
    }
}

static options read_options(int argc, char **argv)
{
    options o = { .steps = 300, .batch = 8, .warmup = 20, .threads = 1, .seed = 1,
                  .rate = 5e-4, .scale_rate = 0.3 };
    int option;

    while ((option = getopt_long(argc, argv, "w:n:b:r:s:T:h", long_options, NULL)) != -1)
        set_option(&o, option);
    if (argc - optind != 2) {
        fputs(help, stderr);
        exit(2);
    }
    o.model = argv[optind];
    o.tokens = argv[optind + 1];
    return o;
}

/* --------------------------------------------------------------------- run */

typedef struct run {
    const options *o;
    network       *n;
    fakes         *f;
    float         *m, *v, *scale_m, *scale_v;   /* of the optimizer */
    corpus         text, held_out;
    uint16_t      *inputs, *targets;
} run;

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double learning_rate(const options *o, uint64_t step)
{
    double part;

    if (step < o->warmup)
        return o->rate * (double)step / o->warmup;
    part = (double)(step - o->warmup) / (o->steps > o->warmup ? o->steps - o->warmup : 1);
    return o->rate * (0.1 + 0.45 * (1 + cos(3.141592653589793 * part)));
}

static void update(run *r, uint64_t step)
{
    network *n = r->n;
    lq_optimizer rule = LQ_OPTIMIZER_INIT;
    lq_params weights = { sizeof weights, n->parameters, n->weights, n->grads, r->m, r->v, 0, 0 };
    lq_params scales = { sizeof scales, r->f->scales, r->f->values, r->f->grads, r->scale_m,
                         r->scale_v, 0, 0 };
    double squares = 0;

    check(lq_sum_squares(n->ctx, n->grads, n->parameters, &squares), NULL, "gradient");
    rule.beta2 = 0.95f;
    rule.step = step;
    rule.lr = (float)learning_rate(r->o, step);
    rule.grad_scale = squares > 1 ? (float)(1 / sqrt(squares)) : 1.0f;
    check(lq_optimizer_step(n->ctx, &rule, &weights), NULL, "weights");
    rule.lr *= (float)r->o->scale_rate;
    check(lq_optimizer_step(n->ctx, &rule, &scales), NULL, "scales");
}

static double train_step(run *r, uint64_t *random, uint64_t step)
{
    network *n = r->n;
    double loss;

    memset(n->grads, 0, n->parameters * sizeof *n->grads);
    corpus_draw(&r->text, random, n->sequences, n->length, r->inputs, r->targets);
    fakes_begin(r->f);
    loss = network_forward(n, r->inputs, r->targets);
    network_backward(n, r->inputs, r->targets, 1);
    fakes_end(r->f);
    update(r, step);
    return loss;
}

static double measure(run *r)
{
    fakes_begin(r->f);
    return corpus_loss(&r->held_out, r->n, r->inputs, r->targets);
}

static void train(run *r)
{
    uint64_t random = r->o->seed;
    double since = seconds(), begin = since, loss = 0;
    uint32_t steps = 0;

    for (uint64_t step = 1; step <= r->o->steps; step++) {
        loss += train_step(r, &random, step);
        steps++;
        if (step % 25 && step != r->o->steps)
            continue;
        printf("step %llu  loss %.4f  %.0f tokens/s\n", (unsigned long long)step, loss / steps,
               (double)steps * r->n->tokens / (seconds() - since));
        fflush(stdout);
        since = seconds();
        loss = steps = 0;
    }
    printf("%.0f seconds\n", seconds() - begin);
}

static void begin(run *r, const options *o, const lq_ctx *ctx)
{
    shape s;
    lq_checkpoint *model = base_open(ctx, o->model, &s);

    if (o->length && o->length < s.context)
        s.context = o->length;
    r->o = o;
    r->n = network_create(ctx, &s, o->batch, s.context, 1);
    base_fill(model, r->n);
    lq_checkpoint_destroy(model);
    r->f = fakes_create(r->n, &o->r);
    r->m = allocate(r->n->parameters, sizeof(float));
    r->v = allocate(r->n->parameters, sizeof(float));
    r->scale_m = allocate(r->f->scales, sizeof(float));
    r->scale_v = allocate(r->f->scales, sizeof(float));
    r->text = corpus_read(o->tokens, "train.u16", s.vocab);
    r->held_out = corpus_read(o->tokens, "heldout.u16", s.vocab);
    r->inputs = allocate(r->n->tokens, sizeof *r->inputs);
    r->targets = allocate(r->n->tokens, sizeof *r->targets);
}

static void end(run *r)
{
    fakes_destroy(r->f);
    network_destroy(r->n);
    free(r->m);
    free(r->v);
    free(r->scale_m);
    free(r->scale_v);
    free(r->text.tokens);
    free(r->held_out.tokens);
    free(r->inputs);
    free(r->targets);
}

int main(int argc, char **argv)
{
    options o = read_options(argc, argv);
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_ctx *ctx = NULL;
    run r = { 0 };

    opts.threads = o.threads;
    check(lq_ctx_create(&opts, &ctx, &error), &error, "context");
    begin(&r, &o, ctx);
    if (o.r.weights)
        printf("%s: %llu weights in %llu bytes, %.3f bits each; %zu learned scales\n", o.r.weights,
               (unsigned long long)r.f->weights_in_all, (unsigned long long)r.f->bytes,
               8.0 * (double)r.f->bytes / (double)r.f->weights_in_all, r.f->scales);
    printf("held out before %.4f\n", measure(&r));
    fflush(stdout);
    if (o.steps) {
        train(&r);
        printf("held out after %.4f\n", measure(&r));
    }
    end(&r);
    lq_ctx_destroy(ctx);
    return 0;
}
