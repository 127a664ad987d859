/* SPDX-License-Identifier: MIT */
/*
 * examples/train/main.c - the training loop and its command line
 */
#include "../common/common.h"
#include "train.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help[] =
    "usage: train FOLDER RUN [options]\n"
    "\n"
    "Trains a small Llama model on FOLDER/train.u16 (16-bit token ids) and measures it on\n"
    "FOLDER/heldout.u16.  RUN is a safetensors file that is written now and then; if it is\n"
    "there, training goes on from it.\n"
    "\n"
    "  -n, --steps N        (4000)\n"
    "  -b, --batch N        sequences at a time (8)\n"
    "  -a, --accumulate N   batches whose gradients make a step (1)\n"
    "  -r, --rate X         largest learning rate (0.001)\n"
    "      --warmup N       steps until it is reached (100); then a cosine down to a tenth\n"
    "      --decay X        weight decay of matrices (0.1)\n"
    "      --clip X         largest norm of the gradient (1)\n"
    "      --save N         steps between saves and measurements (250)\n"
    "      --stop N         end after this step, as if interrupted\n"
    "  -s, --seed N         (1)\n"
    "  -e, --export OUT     write the model as a bf16 checkpoint directory; no training\n"
    "      --vocab N (1024)  --dim N (256)  --hidden N (768)  --layers N (4)\n"
    "      --heads N (4)  --kv-heads N (4)  --context N (256)\n"
    "  -T, --threads N      (1)\n"
    "  -h, --help\n";

typedef struct options {
    const char *folder, *run, *export;
    uint32_t    steps, batch, accumulate, warmup, save, stop, threads;
    uint64_t    seed;
    double      rate, decay, clip;
    shape       s;
} options;

enum { OPT_WARMUP = 256, OPT_DECAY, OPT_CLIP, OPT_SAVE, OPT_STOP, OPT_VOCAB, OPT_DIM,
       OPT_HIDDEN, OPT_LAYERS, OPT_HEADS, OPT_KV_HEADS, OPT_CONTEXT };

static const struct option long_options[] = {
    { "steps", 1, NULL, 'n' },          { "batch", 1, NULL, 'b' },
    { "accumulate", 1, NULL, 'a' },     { "rate", 1, NULL, 'r' },
    { "warmup", 1, NULL, OPT_WARMUP },  { "decay", 1, NULL, OPT_DECAY },
    { "clip", 1, NULL, OPT_CLIP },      { "save", 1, NULL, OPT_SAVE },
    { "stop", 1, NULL, OPT_STOP },      { "seed", 1, NULL, 's' },
    { "export", 1, NULL, 'e' },         { "vocab", 1, NULL, OPT_VOCAB },
    { "dim", 1, NULL, OPT_DIM },        { "hidden", 1, NULL, OPT_HIDDEN },
    { "layers", 1, NULL, OPT_LAYERS },  { "heads", 1, NULL, OPT_HEADS },
    { "kv-heads", 1, NULL, OPT_KV_HEADS }, { "context", 1, NULL, OPT_CONTEXT },
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

static double positive(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= 0))
        fail("'%s' is no number", text);
    return value;
}

static void set_option(options *o, int option)
{
    switch (option) {
    case 'n': o->steps = integer(optarg); break;
    case 'b': o->batch = integer(optarg); break;
    case 'a': o->accumulate = integer(optarg); break;
    case 'r': o->rate = positive(optarg); break;
    case OPT_WARMUP: o->warmup = integer(optarg); break;
    case OPT_DECAY: o->decay = positive(optarg); break;
    case OPT_CLIP: o->clip = positive(optarg); break;
    case OPT_SAVE: o->save = integer(optarg); break;
    case OPT_STOP: o->stop = integer(optarg); break;
    case 's': o->seed = integer(optarg); break;
    case 'e': o->export = optarg; break;
    case OPT_VOCAB: o->s.vocab = integer(optarg); break;
    case OPT_DIM: o->s.dim = integer(optarg); break;
    case OPT_HIDDEN: o->s.hidden = integer(optarg); break;
    case OPT_LAYERS: o->s.layers = integer(optarg); break;
    case OPT_HEADS: o->s.heads = integer(optarg); break;
    case OPT_KV_HEADS: o->s.kv_heads = integer(optarg); break;
    case OPT_CONTEXT: o->s.context = integer(optarg); break;
    case 'T': o->threads = integer(optarg); break;
    case 'h': fputs(help, stdout); exit(0);
    default: fputs("train: --help lists the options\n", stderr); exit(2);
    }
}

static options read_options(int argc, char **argv)
{
    options o = { .steps = 4000, .batch = 8, .accumulate = 1, .warmup = 100, .save = 250,
                  .threads = 1, .seed = 1, .rate = 1e-3, .decay = 0.1, .clip = 1,
                  .s = { 1024, 256, 768, 4, 4, 4, 256, 1e-5, 10000, 0 } };
    int option;

    while ((option = getopt_long(argc, argv, "n:b:a:r:s:e:T:h", long_options, NULL)) != -1)
        set_option(&o, option);
    if (argc - optind != 2) {
        fputs(help, stderr);
        exit(2);
    }
    o.folder = argv[optind];
    o.run = argv[optind + 1];
    if (o.s.vocab > 65536 || o.s.heads % o.s.kv_heads || o.s.dim % (2 * o.s.heads))
        fail("the sizes do not fit together");
    return o;
}

/* --------------------------------------------------------------- one step */

typedef struct trainer {
    const options *o;
    network       *n;
    progress       p;
    parameter     *list;
    uint32_t       count;
    corpus         text, held_out;
    uint16_t      *inputs, *targets;
} trainer;

/* Linear to the largest rate, then half a cosine down to a tenth of it. */
static double learning_rate(const options *o, uint64_t step)
{
    double part;

    if (step < o->warmup)
        return o->rate * (double)step / o->warmup;
    part = (double)(step - o->warmup) / (o->steps > o->warmup ? o->steps - o->warmup : 1);
    return o->rate * (0.1 + 0.45 * (1 + cos(3.141592653589793 * part)));
}

static void update(trainer *t, double *length)
{
    network *n = t->n;
    lq_optimizer rule = LQ_OPTIMIZER_INIT;
    double squares = 0;

    check(lq_sum_squares(n->ctx, n->grads, n->parameters, &squares), NULL, "gradient");
    *length = sqrt(squares);
    rule.beta2 = 0.95f;
    rule.step = t->p.step;
    rule.lr = (float)learning_rate(t->o, t->p.step);
    rule.grad_scale = *length > t->o->clip ? (float)(t->o->clip / *length) : 1.0f;
    for (uint32_t i = 0; i < t->count; i++) {
        lq_params p = LQ_PARAMS_INIT;

        p.n = t->list[i].count;
        p.values = n->weights + t->list[i].at;
        p.grads = n->grads + t->list[i].at;
        p.m = t->p.m + t->list[i].at;
        p.v = t->p.v + t->list[i].at;
        rule.weight_decay = t->list[i].rows ? (float)t->o->decay : 0.0f;
        check(lq_optimizer_step(n->ctx, &rule, &p), NULL, t->list[i].name);
    }
}

/* Mean loss of the step's batches; then the parameters move. */
static double train_step(trainer *t, double *length)
{
    network *n = t->n;
    double sum = 0;

    memset(n->grads, 0, n->parameters * sizeof *n->grads);
    for (uint32_t i = 0; i < t->o->accumulate; i++) {
        corpus_draw(&t->text, &t->p.random, n->sequences, n->length, t->inputs, t->targets);
        sum += network_forward(n, t->inputs, t->targets);
        network_backward(n, t->inputs, t->targets, 1.0 / t->o->accumulate);
    }
    t->p.step++;
    update(t, length);
    return sum / t->o->accumulate;
}

static double measure(trainer *t)
{
    return corpus_loss(&t->held_out, t->n, t->inputs, t->targets);
}

/* --------------------------------------------------------------- the loop */

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void begin(trainer *t, const options *o, const lq_ctx *ctx)
{
    size_t total;

    t->o = o;
    t->n = network_create(ctx, &o->s, o->batch, o->s.context, 1);
    t->list = allocate(shape_parameters(&o->s, NULL, &total), sizeof *t->list);
    t->count = shape_parameters(&o->s, t->list, &total);
    t->p.m = allocate(total, sizeof(float));
    t->p.v = allocate(total, sizeof(float));
    t->p.random = o->seed;
    if (checkpoint_resume(t->n, o->run, &t->p))
        return;
    if (o->export)
        fail("%s: cannot be read", o->run);
    for (uint32_t i = 0; i < t->count; i++)
        for (size_t k = 0; k < t->list[i].count; k++)
            t->n->weights[t->list[i].at + k] = t->list[i].rows ?
                (float)(t->list[i].deviation * random_gaussian(&t->p.random)) : 1.0f;
}

static void end(trainer *t)
{
    network_destroy(t->n);
    free(t->list);
    free(t->p.m);
    free(t->p.v);
    free(t->text.tokens);
    free(t->held_out.tokens);
    free(t->inputs);
    free(t->targets);
}

static void train(trainer *t)
{
    const options *o = t->o;
    uint64_t last = o->stop && o->stop < o->steps ? o->stop : o->steps;
    double since = seconds(), loss = 0, length = 0;
    uint32_t steps = 0;

    t->text = corpus_read(o->folder, "train.u16", o->s.vocab);
    t->held_out = corpus_read(o->folder, "heldout.u16", o->s.vocab);
    t->inputs = allocate(t->n->tokens, sizeof *t->inputs);
    t->targets = allocate(t->n->tokens, sizeof *t->targets);
    printf("%zu parameters, %zu tokens, from step %llu\n", t->n->parameters, t->text.count,
           (unsigned long long)t->p.step);
    while (t->p.step < last) {
        loss += train_step(t, &length);
        steps++;
        if (t->p.step % 25 == 0 || t->p.step == last) {
            double time = seconds() - since;

            printf("step %llu  loss %.4f  gradient %.3f  rate %.6f  %.0f tokens/s\n",
                   (unsigned long long)t->p.step, loss / steps, length,
                   learning_rate(o, t->p.step),
                   (double)steps * o->accumulate * t->n->tokens / time);
            fflush(stdout);
            since += time;
            loss = steps = 0;
        }
        if (t->p.step % o->save == 0 || t->p.step == last) {
            checkpoint_save(t->n, o->run, &t->p);
            printf("step %llu  held out %.4f\n", (unsigned long long)t->p.step, measure(t));
            fflush(stdout);
            since = seconds();
        }
    }
}

int main(int argc, char **argv)
{
    options o = read_options(argc, argv);
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_ctx *ctx = NULL;
    trainer t = { 0 };
    char tokenizer[4096];

    opts.threads = o.threads;
    check(lq_ctx_create(&opts, &ctx, &error), &error, "context");
    begin(&t, &o, ctx);
    if (o.export) {
        snprintf(tokenizer, sizeof tokenizer, "%s/tokenizer.bin", o.folder);
        checkpoint_export(t.n, o.export, tokenizer);
    } else {
        train(&t);
    }
    end(&t);
    lq_ctx_destroy(ctx);
    return 0;
}
