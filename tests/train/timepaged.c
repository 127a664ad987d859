/* SPDX-License-Identifier: MIT */
/*
 * tests/train/timepaged.c - steps over paged arrays against the same steps over plain ones
 *
 *   timepaged [MIB_OF_STATE [MIB_OF_BUDGET [STEPS]]]     2048 256 2
 *
 * AdamW with state of f32; parameters and gradients are paged, too.  Prints the rates, what
 * was moved, the largest resident and process sizes, and the hashes of the parameters, which
 * must agree.  timepaged.sh runs it where more memory than the budget is refused.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <libquant/libquant.h>

enum { VALUES, GRADS, M, V, ARRAYS };

typedef struct bench {
    lq_ctx   *ctx;
    lq_paged *pool;             /* NULL: plain memory */
    float    *array[ARRAYS];
    uint64_t  n, part, most;    /* numbers; of one use; largest resident bytes */
    int       failed;
} bench;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(lq_status status, const lq_error *error)
{
    if (status == LQ_OK)
        return;
    fprintf(stderr, "timepaged: %s\n", error->message[0] ? error->message : lq_status_text(status));
    exit(1);
}

static void take(bench *b)
{
    lq_error error = LQ_ERROR_INIT;

    for (int i = 0; i < ARRAYS; i++) {
        void *data = NULL;

        if (b->pool)
            must(lq_paged_alloc(b->pool, b->n * sizeof(float), NULL, &data, &error), &error);
        else
            data = calloc(b->n, sizeof(float));
        if (!data)
            must(LQ_ERR_NOMEM, &error);
        b->array[i] = data;
    }
}

static void use(const bench *b, const float *x, uint64_t n, int32_t access)
{
    lq_error error = LQ_ERROR_INIT;

    if (b->pool)
        must(lq_paged_use(b->pool, x, n * sizeof *x, access, &error), &error);
}

/* Numbers around 0, the same in both runs. */
static void fill(const bench *b, float *x, uint32_t seed)
{
    for (uint64_t at = 0; at < b->n; at += b->part) {
        uint64_t n = b->n - at < b->part ? b->n - at : b->part;

        use(b, x + at, n, LQ_PAGED_WRITE);
        for (uint64_t i = at; i < at + n; i++)
            x[i] = (float)(int32_t)(((uint32_t)i + seed) * 2654435761u) * 0x1p-31f;
    }
}

static uint64_t hash(const bench *b, const float *x)
{
    uint64_t h = 14695981039346656037u;

    for (uint64_t at = 0; at < b->n; at += b->part) {
        uint64_t n = b->n - at < b->part ? b->n - at : b->part;

        use(b, x + at, n, LQ_PAGED_READ);
        for (uint64_t i = at; i < at + n; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            h = (h ^ bits) * 1099511628211u;
        }
    }
    return h;
}

/* Seconds of a step, the mean of 'steps' after one that is not counted: there the state of
 * plain memory gets its pages. */
static double step(bench *b, uint64_t steps)
{
    lq_optimizer o = LQ_OPTIMIZER_INIT;
    lq_params p = LQ_PARAMS_INIT;
    lq_error error = LQ_ERROR_INIT;
    double start = 0;

    o.lr = 1e-3f;
    p.n = b->n;
    p.values = b->array[VALUES];
    p.grads = b->array[GRADS];
    p.m = b->array[M];
    p.v = b->array[V];
    for (o.step = 1; o.step <= steps + 1; o.step++) {
        lq_paged_info info = LQ_PAGED_INFO_INIT;

        if (o.step == 2)
            start = now();
        if (!b->pool) {
            must(lq_optimizer_step(b->ctx, &o, &p), &error);
            continue;
        }
        must(lq_paged_step(b->pool, &o, &p, &error), &error);
        must(lq_paged_get(b->pool, &info), &error);
        b->most = info.resident > b->most ? info.resident : b->most;
    }
    return (now() - start) / (double)steps;
}

int main(int argc, char **argv)
{
    uint64_t mib[3] = { 2048, 256, 2 };
    lq_ctx_opts threads = LQ_CTX_OPTS_INIT;
    lq_paged_opts opts = LQ_PAGED_OPTS_INIT;
    lq_paged_info info = LQ_PAGED_INFO_INIT;
    lq_error error = LQ_ERROR_INIT;
    bench b = { 0 };
    struct rusage usage;

    for (int i = 1; i < argc && i <= 3; i++)
        mib[i - 1] = strtoull(argv[i], NULL, 10);
    threads.threads = 2;
    must(lq_ctx_create(&threads, &b.ctx, &error), &error);
    opts.directory = ".";
    opts.budget_bytes = mib[1] << 20;
    if (mib[1])
        must(lq_paged_create(b.ctx, &opts, &b.pool, &error), &error);
    b.n = (mib[0] << 20) / 2 / sizeof(float);
    b.part = (uint64_t)1 << 20;
    take(&b);
    fill(&b, b.array[VALUES], 1);
    fill(&b, b.array[GRADS], 2);
    double seconds = step(&b, mib[2]);
    if (b.pool)
        must(lq_paged_get(b.pool, &info), &error);
    getrusage(RUSAGE_SELF, &usage);
    printf("%s: %.2f s a step, %.1f Mparam/s", b.pool ? "paged" : "plain", seconds,
           (double)b.n / seconds / 1e6);
    if (b.pool)
        printf("; read %.2f GiB, written %.2f GiB, resident at most %.1f of %.1f MiB",
               (double)info.read / 0x1p30, (double)info.written / 0x1p30,
               (double)b.most / 0x1p20, (double)info.budget / 0x1p20);
    printf("; process at most %.1f MiB; hash %016" PRIx64 "\n", (double)usage.ru_maxrss / 1024,
           hash(&b, b.array[VALUES]));
    lq_paged_destroy(b.pool);
    for (int i = 0; i < ARRAYS && !b.pool; i++)
        free(b.array[i]);
    lq_ctx_destroy(b.ctx);
    return 0;
}
