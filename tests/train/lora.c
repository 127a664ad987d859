/* SPDX-License-Identifier: MIT */
/*
 * tests/train/lora.c - LoRA layers over bases of several specs: both passes against double
 * and against differences, types and flags, what is promised about bytes and memory; merging;
 * bad arguments
 */
#include <math.h>
#include <stdio.h>

#include "common.h"
#include "lib/base/half.h"

static const char *const specs[] = { "nf4:b64:dq", "q4_k", "int4:g32", "bf16", "f32" };

/* A layer over a random weight, its decoded numbers, and the arrays of a call. */
typedef struct layer {
    uint64_t       rows, cols, n;
    uint32_t       rank;
    lq_tensor     *tensor;
    lq_rows        base;
    lq_lora        lora;
    lq_lora_args   args;
    lq_lora_grads  grads;
    float         *w, *a, *b, *bias;   /* decoded; a, b as they are stored, widened */
    void          *stored_a, *stored_b;
    float         *x, *y, *dy, *dx, *da, *db, *xa;
    uint8_t       *keep;
} layer;

static float *numbers(uint64_t n, uint64_t seed, float size)
{
    float *x = malloc((n + 1) * sizeof *x);

    for (uint64_t i = 0; i < n; i++)
        x[i] = size * test_normal(&seed);
    return x;
}

static uint64_t type_bytes(lq_dtype type)
{
    return type == LQ_F16 || type == LQ_BF16 ? 2 : 4;
}

/* x as numbers of 'type'; x is rounded with them. */
static void *narrow(float *x, uint64_t n, lq_dtype type)
{
    uint8_t *stored = malloc((n + 1) * type_bytes(type));

    for (uint64_t i = 0; i < n; i++) {
        uint16_t half = type == LQ_F16 ? lqi_f32_to_f16(x[i]) : lqi_f32_to_bf16(x[i]);

        if (type_bytes(type) == 4) {
            memcpy(stored + 4 * i, &x[i], 4);
            continue;
        }
        memcpy(stored + 2 * i, &half, 2);
        x[i] = lqi_load_float(type, stored, i);
    }
    return stored;
}

static void make_base(layer *l, const lq_ctx *ctx, const char *text)
{
    lq_spec spec = test_spec(text);
    float *w = numbers(l->rows * l->cols, 3, 0.1f);

    l->tensor = test_encode(ctx, &spec, (lq_shape){ 1, l->rows, l->cols }, w, NULL);
    l->base = (lq_rows)LQ_ROWS_INIT;
    assert_int_equal(lq_tensor_rows(l->tensor, 0, &l->base), LQ_OK);
    l->w = malloc(l->rows * l->cols * sizeof *l->w);
    assert_int_equal(lq_tensor_decode(l->tensor, LQ_F32, l->w), LQ_OK);
    free(w);
}

static layer *make_layer(const lq_ctx *ctx, const char *spec, uint64_t rows, uint64_t cols,
                         uint32_t rank, uint64_t n, lq_dtype type)
{
    layer *l = calloc(1, sizeof *l);
    lq_spec s = test_spec(spec);
    uint64_t seed = 11;

    l->rows = rows;
    l->cols = cols = test_cols(&s, cols);
    l->rank = rank;
    l->n = n;
    make_base(l, ctx, spec);
    l->a = numbers(rank * cols, 5, 0.2f);
    l->b = numbers(rows * rank, 6, 0.3f);
    l->stored_a = narrow(l->a, rank * cols, type);
    l->stored_b = narrow(l->b, rows * rank, type);
    l->bias = numbers(rows, 7, 1);
    l->x = numbers(n * cols, 8, 1);
    l->dy = numbers(n * rows, 9, 1);
    l->y = calloc(n * rows + 1, sizeof *l->y);
    l->dx = numbers(n * cols, 12, 1);
    l->da = numbers(rank * cols, 13, 1);
    l->db = numbers(rows * rank, 14, 1);
    l->xa = calloc(n * rank + 1, sizeof *l->xa);
    l->keep = malloc(n * ((cols + 7) / 8) + 1);
    for (uint64_t i = 0; i < n * ((cols + 7) / 8); i++)
        l->keep[i] = (uint8_t)(test_next(&seed) | test_next(&seed));
    l->lora = (lq_lora)LQ_LORA_INIT;
    l->lora.base = &l->base;
    l->lora.type = type;
    l->lora.rank = rank;
    l->lora.scale = 0.75f;
    l->lora.a = l->stored_a;
    l->lora.b = l->stored_b;
    l->lora.bias = l->bias;
    l->args = (lq_lora_args)LQ_LORA_ARGS_INIT;
    l->args.n = n;
    l->args.x = l->x;
    l->args.y = l->y;
    l->args.xa = l->xa;
    l->args.keep = l->keep;
    l->args.keep_scale = 4 / 3.0f;
    l->grads = (lq_lora_grads)LQ_LORA_GRADS_INIT;
    l->grads.dy = l->dy;
    l->grads.dx = l->dx;
    l->grads.da = l->da;
    l->grads.db = l->db;
    return l;
}

static void free_layer(layer *l)
{
    void *all[] = { l->w, l->a, l->b, l->bias, l->stored_a, l->stored_b, l->x, l->y, l->dy,
                    l->dx, l->da, l->db, l->xa, l->keep };

    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
    lq_tensor_destroy(l->tensor);
    free(l);
}

static void forward(const lq_ctx *ctx, const layer *l)
{
    assert_int_equal(lq_lora_forward(ctx, &l->lora, &l->args), LQ_OK);
}

static void backward(const lq_ctx *ctx, const layer *l)
{
    assert_int_equal(lq_lora_backward(ctx, &l->lora, &l->args, &l->grads), LQ_OK);
}

/* ------------------------------------------------------------ layer in double */

/* A result and the sum of the magnitudes of what it adds up: the size of rounding errors. */
typedef struct sum {
    double value, size;
} sum;

static void term(sum *s, double value)
{
    s->value += value;
    s->size += fabs(value);
}

static double kept(const layer *l, uint64_t i, uint64_t c)
{
    if (!l->args.keep)
        return 1;
    return l->keep[i * ((l->cols + 7) / 8) + c / 8] >> c % 8 & 1 ? l->args.keep_scale : 0;
}

/* s x' A^T, with the magnitudes carried along. */
static sum plain_xa(const layer *l, uint64_t i, uint64_t k)
{
    sum s = { 0, 0 };

    for (uint64_t c = 0; c < l->cols; c++)
        term(&s, l->lora.scale * kept(l, i, c) * l->x[i * l->cols + c] * l->a[k * l->cols + c]);
    return s;
}

static sum plain_gb(const layer *l, uint64_t i, uint64_t k)
{
    sum s = { 0, 0 };

    for (uint64_t r = 0; r < l->rows; r++)
        term(&s, (double)l->lora.scale * l->dy[i * l->rows + r] * l->b[r * l->rank + k]);
    return s;
}

static void scaled_term(sum *s, sum of, double by)
{
    s->value += of.value * by;
    s->size += of.size * fabs(by);
}

static sum plain_y(const layer *l, uint64_t i, uint64_t r)
{
    sum s = { 0, 0 };

    term(&s, l->bias[r]);
    for (uint64_t c = 0; c < l->cols; c++)
        term(&s, (double)l->x[i * l->cols + c] * l->w[r * l->cols + c]);
    for (uint64_t k = 0; k < l->rank; k++)
        scaled_term(&s, plain_xa(l, i, k), l->b[r * l->rank + k]);
    return s;
}

static sum plain_dx(const layer *l, uint64_t i, uint64_t c)
{
    sum s = { 0, 0 };

    for (uint64_t r = 0; r < l->rows; r++)
        term(&s, (double)l->dy[i * l->rows + r] * l->w[r * l->cols + c]);
    for (uint64_t k = 0; k < l->rank; k++)
        scaled_term(&s, plain_gb(l, i, k), kept(l, i, c) * l->a[k * l->cols + c]);
    return s;
}

static sum plain_da(const layer *l, uint64_t k, uint64_t c)
{
    sum s = { 0, 0 };

    for (uint64_t i = 0; i < l->n; i++)
        scaled_term(&s, plain_gb(l, i, k), kept(l, i, c) * l->x[i * l->cols + c]);
    return s;
}

static sum plain_db(const layer *l, uint64_t r, uint64_t k)
{
    sum s = { 0, 0 };

    for (uint64_t i = 0; i < l->n; i++)
        scaled_term(&s, plain_xa(l, i, k), l->dy[i * l->rows + r]);
    return s;
}

/* The sum over all y of y dy: what differences are taken of. */
static double plain_loss(const layer *l)
{
    double loss = 0;

    for (uint64_t i = 0; i < l->n; i++)
        for (uint64_t r = 0; r < l->rows; r++)
            loss += plain_y(l, i, r).value * l->dy[i * l->rows + r];
    return loss;
}

typedef sum element(const layer *, uint64_t, uint64_t);

/* Numbers of 'got' in some places; 'before': what they were added to, or NULL. */
static void compare(const layer *l, const char *what, element *plain, const void *got,
                    lq_dtype type, uint64_t rows, uint64_t cols, const float *before)
{
    double eps = type == LQ_BF16 ? 0x1p-8 : type == LQ_F16 ? 0x1p-11 : 0;
    double steps = (double)(l->cols + l->rows + l->n + l->rank) / 4 + 32;
    uint64_t seed = 21;

    for (int t = 0; t < 60; t++) {
        uint64_t i = test_next(&seed) % rows, k = test_next(&seed) % cols;
        sum s = plain(l, i, k);
        double y = lqi_load_float(type ? type : LQ_F32, got, i * cols + k);

        if (before)
            term(&s, before[i * cols + k]);
        if (!(fabs(y - s.value) <= steps * 0x1p-24 * s.size + 2.5 * eps * s.size))
            fail_msg("%s of %llu x %llu rank %u, [%llu][%llu]: %.9g, not %.9g (%g)", what,
                     (unsigned long long)l->rows, (unsigned long long)l->cols, l->rank,
                     (unsigned long long)i, (unsigned long long)k, y, s.value, s.size);
    }
}

static void compare_all(const layer *l)
{
    compare(l, "y", plain_y, l->y, l->args.y_type, l->n, l->rows, NULL);
    compare(l, "s x' A^T", plain_xa, l->xa, 0, l->n, l->rank, NULL);
    compare(l, "dx", plain_dx, l->dx, l->grads.dx_type, l->n, l->cols, NULL);
    compare(l, "dA", plain_da, l->da, 0, l->rank, l->cols, NULL);
    compare(l, "dB", plain_db, l->db, 0, l->rows, l->rank, NULL);
}

/* -------------------------------------------------------------------- passes */

static void passes_in_double(void **state)
{
    static const struct { uint64_t rows, cols, n; uint32_t rank; } sizes[] = {
        { 37, 45, 5, 1 }, { 64, 96, 300, 8 }, { 19, 130, 17, 33 }, { 5, 3, 1, 4 },
        { 33, 20, 7, 300 },
    };
    static const lq_dtype types[] = { 0, LQ_BF16, LQ_F16 };

    for (size_t s = 0; s < COUNT(specs); s++)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            layer *l = make_layer(*state, specs[s], sizes[i].rows, sizes[i].cols, sizes[i].rank,
                                  sizes[i].n, types[(s + i) % COUNT(types)]);

            if (i % 2)
                l->args.keep = NULL;
            forward(*state, l);
            backward(*state, l);
            compare_all(l);
            free_layer(l);
        }
}

/* A central difference of the loss: it is linear in every number by itself. */
static double difference(const layer *l, float *number)
{
    float old = *number;
    double above, below, above_at, below_at;

    *number = old + 0.25f;
    above_at = *number;
    above = plain_loss(l);
    *number = old - 0.25f;
    below_at = *number;
    below = plain_loss(l);
    *number = old;
    return (above - below) / (above_at - below_at);
}

static void compare_difference(const layer *l, const char *what, float *number, float got)
{
    double want = difference(l, number);

    if (!(fabs(got - want) <= 2e-5 * (1 + fabs(want))))
        fail_msg("%s: %.9g, not %.9g", what, got, want);
}

static void gradients_by_differences(void **state)
{
    for (size_t s = 0; s < COUNT(specs); s++) {
        layer *l = make_layer(*state, specs[s], 11, 37, 3, 4, LQ_F32);
        uint64_t seed = 31;

        backward(*state, l);   /* xa is what the forward pass left: zeros */
        for (uint64_t i = 0; i < l->rows * l->rank; i++)
            assert_true(l->db[i] == 0);
        forward(*state, l);
        backward(*state, l);
        for (int t = 0; t < 20; t++) {
            uint64_t x = test_next(&seed) % (l->n * l->cols);
            uint64_t a = test_next(&seed) % (l->rank * l->cols);
            uint64_t b = test_next(&seed) % (l->rows * l->rank);

            compare_difference(l, "dx", &l->x[x], l->dx[x]);
            compare_difference(l, "dA", &l->a[a], l->da[a]);
            compare_difference(l, "dB", &l->b[b], l->db[b]);
        }
        free_layer(l);
    }
}

/* Activations and gradients of 16 bits, rows apart, sums added to what is there. */
static void types_and_flags(void **state)
{
    static const lq_dtype types[] = { LQ_BF16, LQ_F16 };

    for (size_t t = 0; t < COUNT(types); t++)
        for (int masked = 0; masked < 2; masked++) {
            layer *l = make_layer(*state, "nf4:b64:dq", 40, 70, 8, 270, types[t]);
            uint64_t nx = l->n * l->cols, ny = l->n * l->rows;
            float *dx = numbers(nx, 41, 1), *da = numbers(l->rank * l->cols, 42, 1);
            float *db = numbers(l->rows * l->rank, 43, 1);
            void *x16 = narrow(l->x, nx, types[t]), *dy16 = narrow(l->dy, ny, types[t]);
            float *y = numbers(ny, 44, 1);
            void *y16 = narrow(y, ny, types[t]), *dx16 = narrow(dx, nx, types[t]);

            if (!masked)
                l->args.keep = NULL;
            l->args.x = x16;
            l->args.y = y16;
            l->grads.dy = dy16;
            l->grads.dx = dx16;
            l->args.x_type = l->args.y_type = l->grads.dy_type = l->grads.dx_type = types[t];
            l->args.add_y = l->grads.add_dx = l->grads.add_da = l->grads.add_db = 1;
            memcpy(l->da, da, l->rank * l->cols * sizeof *da);
            memcpy(l->db, db, l->rows * l->rank * sizeof *db);
            forward(*state, l);
            backward(*state, l);
            compare(l, "y", plain_y, y16, types[t], l->n, l->rows, y);
            compare(l, "dx", plain_dx, dx16, types[t], l->n, l->cols, dx);
            compare(l, "dA", plain_da, l->da, 0, l->rank, l->cols, da);
            compare(l, "dB", plain_db, l->db, 0, l->rows, l->rank, db);
            free(dx);
            free(da);
            free(db);
            free(x16);
            free(y);
            free(y16);
            free(dy16);
            free(dx16);
            free_layer(l);
        }
}

/* Vectors that lie apart; each result alone is the one that comes with the others. */
static void parts_of_arrays(void **state)
{
    layer *l = make_layer(*state, "int4:g32", 21, 64, 5, 9, LQ_F32);
    uint64_t wide = 100;
    float *x = numbers(l->n * wide, 51, 1), *y = numbers(l->n * wide, 52, 1);
    float *dx = numbers(l->n * wide, 53, 1), untouched = dx[l->cols];
    float *da = calloc(l->rank * l->cols, sizeof *da);
    float *db = calloc(l->rows * l->rank, sizeof *db);

    forward(*state, l);
    backward(*state, l);
    for (uint64_t i = 0; i < l->n; i++)
        memcpy(x + i * wide, l->x + i * l->cols, l->cols * sizeof *x);
    l->args.x = x;
    l->args.ldx = wide;
    l->args.y = y;
    l->args.ldy = wide;
    forward(*state, l);
    l->args.xa = NULL;
    l->grads.dx = dx;
    l->grads.lddx = wide;
    l->grads.da = l->grads.db = NULL;
    l->args.x = NULL;   /* not needed for dx */
    backward(*state, l);
    l->args.x = x;
    l->grads.dx = NULL;
    l->grads.da = da;
    backward(*state, l);
    l->grads.da = NULL;
    l->grads.db = db;
    backward(*state, l);
    for (uint64_t i = 0; i < l->n; i++) {
        assert_memory_equal(y + i * wide, l->y + i * l->rows, l->rows * sizeof *y);
        assert_memory_equal(dx + i * wide, l->dx + i * l->cols, l->cols * sizeof *dx);
    }
    assert_true(dx[l->cols] == untouched);
    assert_memory_equal(da, l->da, l->rank * l->cols * sizeof *da);
    assert_memory_equal(db, l->db, l->rows * l->rank * sizeof *db);
    free(x);
    free(y);
    free(dx);
    free(da);
    free(db);
    free_layer(l);
}

/* ------------------------------------------------------------------ promises */

static uint64_t bytes_of(const layer *l, void *to)
{
    const struct { const float *p; uint64_t n; } all[] = {
        { l->y, l->n * l->rows }, { l->dx, l->n * l->cols }, { l->da, l->rank * l->cols },
        { l->db, l->rows * l->rank },
    };
    uint64_t at = 0;

    for (size_t i = 0; i < COUNT(all); at += all[i++].n)
        if (to)
            memcpy((float *)to + at, all[i].p, all[i].n * sizeof(float));
    return at * sizeof(float);
}

/* Fast forward products and everything behind them: the same bytes at every level, for any
 * threads; from the rows: for any threads. */
static void same_bytes(void **state)
{
    static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX512_VNNI,
                                       LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON };
    layer *l = make_layer(*state, "nf4:b64:dq", 300, 512, 16, 530, LQ_BF16);
    uint64_t bytes = bytes_of(l, NULL);
    void *first = malloc(bytes), *rows = malloc(bytes), *now = malloc(bytes);
    lq_rows base = l->base;
    int count = 0;

    for (size_t i = 0; i < COUNT(levels); i++)
        for (uint32_t threads = 1; threads <= 3; threads += 2) {
            lq_prepared *prepared = NULL;
            lq_ctx *ctx;

            if (!lq_level_available(levels[i]))
                continue;
            ctx = test_ctx(levels[i], threads);
            assert_int_equal(lq_prepare(ctx, &base, NULL, &prepared, NULL), LQ_OK);
            l->lora.base = NULL;
            l->lora.prepared = prepared;
            forward(ctx, l);
            backward(ctx, l);
            (void)bytes_of(l, count++ ? now : first);
            if (count > 1)
                assert_memory_equal(now, first, bytes);
            lq_prepared_destroy(prepared);
            l->lora.base = &base;
            l->lora.prepared = NULL;
            forward(ctx, l);
            (void)bytes_of(l, threads > 1 ? now : rows);
            if (threads > 1)
                assert_memory_equal(now, rows, bytes);
            lq_ctx_destroy(ctx);
        }
    free(first);
    free(rows);
    free(now);
    free_layer(l);
}

/* An allocator that knows how much there was at once, and fails when it is told to. */
typedef struct counted {
    uint64_t now, most;
    int64_t  left;      /* allocations until one fails */
} counted;

static void *count_alloc(void *user, size_t size, size_t align)
{
    counted *c = user;
    size_t room = (size + align - 1) / align * align;
    uint8_t *p;

    if (c->left-- <= 0 || !(p = aligned_alloc(align, room + align)))
        return NULL;
    memcpy(p, &room, sizeof room);
    c->now += room;
    c->most = c->now > c->most ? c->now : c->most;
    return p + align;
}

static void count_free(void *user, void *memory)
{
    counted *c = user;
    uint8_t *p = memory;
    size_t room;

    if (!p)
        return;
    p -= 64;
    memcpy(&room, p, sizeof room);
    c->now -= room;
    free(p);
}

static lq_ctx *counted_ctx(counted *c, uint32_t threads)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx = NULL;

    c->left = INT64_MAX;
    opts.allocator = (lq_allocator){ count_alloc, count_free, c };
    opts.threads = threads;
    assert_int_equal(lq_ctx_create(&opts, &ctx, NULL), LQ_OK);
    return ctx;
}

/* What the header says a pass takes. */
static uint64_t stated(const layer *l, uint32_t threads)
{
    uint64_t n = l->n < 256 ? l->n : 256;
    uint64_t strips = threads * (64 * l->n + (128 << 10));
    uint64_t gemm = (3u << 20) + threads * (512u << 10);
    uint64_t branch = n * 2 * l->rank * 4 + (l->args.keep ? n * l->cols * 4 : 0);

    return strips > gemm + branch ? strips : gemm + branch;
}

/* The base is 32 MiB when decoded: no call may come near that. */
static void memory_is_what_the_header_says(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 2; threads++)
        for (int masked = 0; masked < 2; masked++) {
            counted c = { 0 };
            lq_ctx *ctx = counted_ctx(&c, threads);
            layer *l = make_layer(ctx, "nf4:b64:dq", 8192, 1024, 16, 24, LQ_F32);
            uint64_t before = c.now, decoded = l->rows * l->cols * 4;

            if (!masked)
                l->args.keep = NULL;
            l->args.xa = NULL;
            c.most = before;
            forward(ctx, l);
            assert_true(c.most > before && c.most - before <= stated(l, threads));
            c.most = before;
            backward(ctx, l);
            assert_true(c.most > before && c.most - before <= stated(l, threads));
            assert_true(stated(l, threads) < decoded / 4 && c.now == before);
            free_layer(l);
            lq_ctx_destroy(ctx);
            assert_int_equal(c.now, 0);
        }
}

/* Every allocation fails once: NOMEM, and nothing is left behind. */
static void no_memory(void **state)
{
    counted c = { 0 };
    lq_ctx *ctx = counted_ctx(&c, 1);
    layer *l = make_layer(ctx, "nf4:b64:dq", 30, 40, 4, 6, LQ_F32);
    uint64_t before = c.now;
    lq_status status = LQ_ERR_NOMEM;
    lq_tensor *merged = NULL;
    int failures = 0;

    (void)state;
    for (int64_t ration = 0; status; ration++, failures++) {
        c.left = ration;
        status = lq_lora_forward(ctx, &l->lora, &l->args);
        assert_true(!status || status == LQ_ERR_NOMEM);
        assert_int_equal(c.now, before);
    }
    status = LQ_ERR_NOMEM;
    for (int64_t ration = 0; status; ration++, failures++) {
        c.left = ration;
        status = lq_lora_backward(ctx, &l->lora, &l->args, &l->grads);
        assert_true(!status || status == LQ_ERR_NOMEM);
        assert_int_equal(c.now, before);
    }
    status = LQ_ERR_NOMEM;
    for (int64_t ration = 0; status; ration++, failures++) {
        lq_merge_report report = LQ_MERGE_REPORT_INIT;

        c.left = ration;
        status = lq_lora_merge(ctx, &l->lora, NULL, NULL, &merged, &report, NULL);
        assert_true(status ? status == LQ_ERR_NOMEM && !merged && c.now == before : 1);
    }
    c.left = INT64_MAX;
    lq_tensor_destroy(merged);
    assert_true(failures > 15);
    free_layer(l);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------------- merging */

static lq_tensor *merge(const lq_ctx *ctx, const layer *l, const char *spec,
                        const lq_encode_opts *opts, lq_merge_report *report)
{
    lq_spec s = test_spec(spec ? spec : "f32");
    lq_tensor *merged = NULL;
    lq_error error = LQ_ERROR_INIT;

    *report = (lq_merge_report)LQ_MERGE_REPORT_INIT;
    if (lq_lora_merge(ctx, &l->lora, spec ? &s : NULL, opts, &merged, report, &error) != LQ_OK)
        fail_msg("%s: %s", spec, error.message);
    return merged;
}

/* Against W + s B A in double; the report against the same. */
static void check_merged(const lq_ctx *ctx, const layer *l, const char *spec, const float *imp)
{
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    lq_merge_report report, want = LQ_MERGE_REPORT_INIT;
    lq_tensor *merged;
    float *got = malloc(l->rows * l->cols * sizeof *got);
    double worst = 0;

    opts.importance = imp;
    merged = merge(ctx, l, spec, &opts, &report);
    assert_int_equal(lq_tensor_decode(merged, LQ_F32, got), LQ_OK);
    for (uint64_t r = 0; r < l->rows; r++)
        for (uint64_t c = 0; c < l->cols; c++) {
            double w = l->w[r * l->cols + c], change = 0, d;

            for (uint64_t k = 0; k < l->rank; k++)
                change += (double)l->lora.scale * l->b[r * l->rank + k] * l->a[k * l->cols + c];
            d = got[r * l->cols + c] - (w + change);
            worst = fmax(worst, fabs(d));
            d *= d * (imp ? imp[c] : 1);
            want.error += d;
            want.change += change * change * (imp ? imp[c] : 1);
            want.squares += (w + change) * (w + change) * (imp ? imp[c] : 1);
        }
    assert_true(fabs(report.change - want.change) <= 1e-5 * want.change);
    assert_true(fabs(report.squares - want.squares) <= 1e-5 * want.squares);
    assert_true(fabs(report.error - want.error) <= 1e-3 * want.error + 1e-11 * want.squares);
    if (lq_tensor_spec(merged)->format == LQ_FORMAT_F32)
        assert_true(worst < 1e-6 && report.error == 0);
    else
        assert_true(report.error > 0 && report.error < 0.02 * want.squares);
    lq_tensor_destroy(merged);
    free(got);
}

static void merges(void **state)
{
    for (size_t s = 0; s < COUNT(specs); s++) {
        layer *l = make_layer(*state, specs[s], 37, 45, 6, 1, s % 2 ? LQ_F32 : LQ_BF16);
        float *imp = numbers(l->cols, 61, 1);

        for (uint64_t c = 0; c < l->cols; c++)
            imp[c] = imp[c] * imp[c];
        check_merged(*state, l, NULL, NULL);
        check_merged(*state, l, "f32", NULL);
        check_merged(*state, l, "bf16", imp);
        check_merged(*state, l, "nf4:g32:dq", NULL);
        check_merged(*state, l, "fp8_e4m3:t", imp);
        free_layer(l);
        free(imp);
    }
}

/* More than one strip; at every level, for any threads. */
static void merged_bytes(void **state)
{
    layer *l = make_layer(*state, "nf4:b64:dq", 700, 1024, 16, 1, LQ_BF16);
    lq_ctx *ref = test_ctx(LQ_LEVEL_REF, 1), *three = test_ctx(LQ_LEVEL_BEST, 3);
    static const char *const to[] = { "nf4:b64:dq", "fp8_e4m3:128x128", "q4_k" };

    for (size_t i = 0; i < COUNT(to); i++) {
        lq_merge_report first, second;
        lq_tensor *a = merge(ref, l, to[i], NULL, &first);
        lq_tensor *b = merge(three, l, to[i], NULL, &second);

        test_same_planes(a, b);
        assert_memory_equal(&first, &second, sizeof first);
        lq_tensor_destroy(a);
        lq_tensor_destroy(b);
    }
    free_layer(l);
    lq_ctx_destroy(ref);
    lq_ctx_destroy(three);
}

/* ------------------------------------------------------------- bad arguments */

#define BAD(of, field, value, want) do { \
        layer bad = *l; \
        bad.of.field = value; \
        assert_int_equal(lq_lora_forward(ctx, &bad.lora, &bad.args), want); \
    } while (0)
#define BAD_BACK(of, field, value, want) do { \
        layer bad = *l; \
        bad.of.field = value; \
        assert_int_equal(lq_lora_backward(ctx, &bad.lora, &bad.args, &bad.grads), want); \
    } while (0)

static void bad_forward(const lq_ctx *ctx, const layer *l)
{
    assert_int_equal(lq_lora_forward(NULL, &l->lora, &l->args), LQ_ERR_ARG);
    assert_int_equal(lq_lora_forward(ctx, NULL, &l->args), LQ_ERR_ARG);
    assert_int_equal(lq_lora_forward(ctx, &l->lora, NULL), LQ_ERR_ARG);
    BAD(lora, struct_size, 0, LQ_ERR_ARG);
    BAD(lora, base, NULL, LQ_ERR_ARG);
    BAD(lora, rank, 0, LQ_ERR_ARG);
    BAD(lora, scale, NAN, LQ_ERR_ARG);
    BAD(lora, a, NULL, LQ_ERR_ARG);
    BAD(lora, b, (char *)l->stored_b + 1, LQ_ERR_ALIGN);
    BAD(lora, bias, (float *)(void *)((char *)l->bias + 2), LQ_ERR_ALIGN);
    BAD(lora, bias, l->y, LQ_ERR_OVERLAP);
    BAD(lora, type, LQ_F64, LQ_ERR_UNSUPPORTED);
    BAD(args, struct_size, 0, LQ_ERR_ARG);
    BAD(args, x, NULL, LQ_ERR_ARG);
    BAD(args, y, NULL, LQ_ERR_ARG);
    BAD(args, y, l->x, LQ_ERR_OVERLAP);
    BAD(args, y, l->stored_a, LQ_ERR_OVERLAP);
    BAD(args, y, l->base.plane[LQ_PLANE_CODES], LQ_ERR_OVERLAP);
    BAD(args, xa, l->y, LQ_ERR_OVERLAP);
    BAD(args, keep, (uint8_t *)l->y, LQ_ERR_OVERLAP);
    BAD(args, ldx, l->cols - 1, LQ_ERR_SHAPE);
    BAD(args, ldy, l->rows - 1, LQ_ERR_SHAPE);
    BAD(args, n, UINT64_MAX / 2, LQ_ERR_OVERFLOW);
    BAD(args, x_type, LQ_I8, LQ_ERR_UNSUPPORTED);
    BAD(args, keep_scale, INFINITY, LQ_ERR_ARG);
    BAD(args, add_y, 2, LQ_ERR_ARG);
}

static void bad_backward(const lq_ctx *ctx, const layer *l)
{
    assert_int_equal(lq_lora_backward(ctx, &l->lora, &l->args, NULL), LQ_ERR_ARG);
    BAD_BACK(grads, struct_size, 0, LQ_ERR_ARG);
    BAD_BACK(grads, dy, NULL, LQ_ERR_ARG);
    BAD_BACK(grads, dx, l->dy, LQ_ERR_OVERLAP);
    BAD_BACK(grads, dx, l->xa, LQ_ERR_OVERLAP);
    BAD_BACK(grads, da, l->stored_a, LQ_ERR_OVERLAP);
    BAD_BACK(grads, db, l->da, LQ_ERR_OVERLAP);
    BAD_BACK(grads, add_dx, 2, LQ_ERR_ARG);
    BAD_BACK(grads, add_da, -1, LQ_ERR_ARG);
    BAD_BACK(grads, lddy, 1, LQ_ERR_SHAPE);
    BAD_BACK(grads, lddx, 1, LQ_ERR_SHAPE);
    BAD_BACK(grads, dy_type, LQ_F64, LQ_ERR_UNSUPPORTED);
    BAD_BACK(args, x, NULL, LQ_ERR_ARG);
}

static void bad_merge(const lq_ctx *ctx, const layer *l)
{
    lq_merge_report report = { 8, 1, 2, 3 };
    lq_error error = LQ_ERROR_INIT;
    lq_tensor *merged = NULL;
    lq_lora bad = l->lora;
    float *odd = l->stored_a, old = odd[3];

    assert_int_equal(lq_lora_merge(ctx, &l->lora, NULL, NULL, NULL, NULL, &error), LQ_ERR_ARG);
    assert_int_equal(lq_lora_merge(ctx, &l->lora, NULL, NULL, &merged, &report, &error),
                     LQ_ERR_ARG);
    bad.rank = 0;
    assert_int_equal(lq_lora_merge(ctx, &bad, NULL, NULL, &merged, NULL, &error), LQ_ERR_ARG);
    assert_string_not_equal(error.message, "");
    odd[3] = INFINITY;
    assert_int_equal(lq_lora_merge(ctx, &l->lora, NULL, NULL, &merged, NULL, &error),
                     LQ_ERR_NONFINITE);
    odd[3] = old;
    assert_true(!merged && report.error == 3);
}

static void bad_arguments(void **state)
{
    const lq_ctx *ctx = *state;
    layer *l = make_layer(ctx, "nf4:b64:dq", 20, 64, 4, 3, LQ_F32);
    lq_prepared *prepared = NULL;

    bad_forward(ctx, l);
    for (uint64_t i = 0; i < l->n * l->rows; i++)
        assert_true(l->y[i] == 0);
    bad_backward(ctx, l);
    bad_merge(ctx, l);
    assert_int_equal(lq_prepare(ctx, &l->base, NULL, &prepared, NULL), LQ_OK);
    BAD(lora, prepared, prepared, LQ_ERR_ARG);   /* and base */
    l->lora.base = NULL;
    l->lora.prepared = prepared;
    BAD(lora, mode, 99, LQ_ERR_ARG);
    BAD(lora, mode, LQ_MODE_W8A8, LQ_ERR_UNSUPPORTED);
    for (uint64_t i = 0; i < l->n * l->rows; i++)
        assert_true(l->y[i] == 0);
    lq_prepared_destroy(prepared);
    free_layer(l);
}

/* No vectors: no y, and gradients of zero. */
static void nothing(void **state)
{
    layer *l = make_layer(*state, "nf4:b64:dq", 20, 64, 4, 0, LQ_F32);

    l->args.x = l->args.y = l->args.xa = NULL;
    l->args.keep = NULL;
    l->grads.dy = l->grads.dx = NULL;
    forward(*state, l);
    l->grads.add_db = 1;
    l->db[0] = 5;
    backward(*state, l);
    assert_true(l->db[0] == 5);
    for (uint64_t i = 0; i < l->rank * l->cols; i++)
        assert_true(l->da[i] == 0);
    free_layer(l);
}

static void scales(void **state)
{
    (void)state;
    assert_true(lq_lora_scale(16, 64, 0) == 0.25f);
    assert_true(lq_lora_scale(16, 64, 1) == 2.0f);
    assert_true(lq_lora_scale(16, 0, 0) == 0.0f);
    assert_true(lq_lora_scale(1, 3, 0) == 1 / 3.0f);
}

static int make_context(void **state)
{
    return lq_ctx_create(NULL, (lq_ctx **)state, NULL) != LQ_OK;
}

static int destroy_context(void **state)
{
    lq_ctx_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_in_double), cmocka_unit_test(gradients_by_differences),
        cmocka_unit_test(types_and_flags), cmocka_unit_test(parts_of_arrays),
        cmocka_unit_test(same_bytes), cmocka_unit_test(memory_is_what_the_header_says),
        cmocka_unit_test(no_memory), cmocka_unit_test(merges), cmocka_unit_test(merged_bytes),
        cmocka_unit_test(bad_arguments), cmocka_unit_test(nothing), cmocka_unit_test(scales),
    };

    return cmocka_run_group_tests(tests, make_context, destroy_context);
}
