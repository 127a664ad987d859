/* SPDX-License-Identifier: MIT */
/*
 * tests/calib/stats.c - statistics of activations: numbers, promises, files, bad input
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "common.h"
#include "lib/base/half.h"

enum { COLS = 200, N = 700 };

static const char name[] = "model.layers.0.self_attn.q_proj.weight";
static const char other_name[] = "model.layers.0.self_attn.k_proj.weight";
static const char *const path = "stats_test.safetensors";

static float *activations(uint64_t n, uint64_t cols, uint64_t seed)
{
    float *x = malloc(n * cols * sizeof *x);

    test_fill(x, n * cols, seed);
    return x;
}

static lq_stats *make(const lq_ctx *ctx, int gram)
{
    lq_stats_opts opts = LQ_STATS_OPTS_INIT;
    lq_stats *s = NULL;

    opts.gram = gram;
    assert_int_equal(lq_stats_create(ctx, &opts, &s, NULL), LQ_OK);
    return s;
}

static void add(lq_stats *s, const char *weight, uint64_t cols, uint64_t n, const float *x)
{
    lq_error error = LQ_ERROR_INIT;

    if (lq_stats_add(s, weight, cols, n, LQ_F32, x, cols, &error) != LQ_OK)
        fail_msg("%s", error.message);
}

static lq_stat look(const lq_stats *s, const char *weight)
{
    lq_stat stat = LQ_STAT_INIT;

    assert_int_equal(lq_stats_find(s, weight, &stat), LQ_OK);
    return stat;
}

/* Everything of two entries is the same bytes. */
static void same(const lq_stats *a, const lq_stats *b, const char *weight)
{
    lq_stat x = look(a, weight), y = look(b, weight);
    float *p = malloc(x.cols * sizeof *p), *q = malloc(x.cols * sizeof *q);

    assert_int_equal(x.cols, y.cols);
    assert_int_equal(x.count, y.count);
    assert_int_equal(x.gram, y.gram);
    assert_memory_equal(x.sum_sq, y.sum_sq, x.cols * sizeof(double));
    assert_memory_equal(x.sum_abs, y.sum_abs, x.cols * sizeof(double));
    for (uint64_t r = 0; r < x.cols; r++) {
        lq_status status = lq_stats_gram_row(a, weight, r, p);
        assert_int_equal(lq_stats_gram_row(b, weight, r, q), status);
        if (status == LQ_OK)
            assert_memory_equal(p, q, (r + 1) * sizeof *p);
    }
    free(p);
    free(q);
}

/* ------------------------------------------------------------------ numbers */

static void against_double(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 2);
    lq_stats *s = make(ctx, 1);
    float *x = activations(N, COLS, 1), row[COLS];
    lq_stat stat;

    (void)state;
    add(s, name, COLS, 300, x);
    add(s, name, COLS, N - 300, x + 300 * COLS);
    stat = look(s, name);
    assert_int_equal(stat.count, N);
    assert_int_equal(stat.gram, 1);
    for (int i = 0; i < COLS; i++) {
        double sq = 0, abs = 0;
        for (int t = 0; t < N; t++) {
            double v = (double)x[t * COLS + i];
            sq += v * v;
            abs += fabs(v);
        }
        assert_true(stat.sum_sq[i] == sq && stat.sum_abs[i] == abs);
        assert_int_equal(lq_stats_gram_row(s, name, (uint64_t)i, row), LQ_OK);
        for (int j = 0; j <= i; j++) {
            double sum = 0, scale = 0;
            for (int t = 0; t < N; t++) {
                sum += (double)x[t * COLS + i] * x[t * COLS + j];
                scale += fabs((double)x[t * COLS + i] * x[t * COLS + j]);
            }
            assert_true(fabs(sum - row[j]) <= 300 * 0x1p-24 * scale);
        }
    }
    lq_stats_destroy(s);
    lq_ctx_destroy(ctx);
    free(x);
}

static void small_types(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    float *x = activations(N, COLS, 2);
    uint16_t *h = malloc(N * COLS * sizeof *h);

    (void)state;
    for (int type = LQ_F16; type <= LQ_BF16; type++) {
        lq_stats *a = make(ctx, 1), *b = make(ctx, 1);
        for (int i = 0; i < N * COLS; i++) {
            h[i] = type == LQ_F16 ? lqi_f32_to_f16(x[i]) : lqi_f32_to_bf16(x[i]);
            x[i] = type == LQ_F16 ? lqi_f16_to_f32(h[i]) : lqi_bf16_to_f32(h[i]);
        }
        assert_int_equal(lq_stats_add(a, name, COLS, N, type, h, COLS, NULL), LQ_OK);
        add(b, name, COLS, N, x);
        same(a, b, name);
        lq_stats_destroy(a);
        lq_stats_destroy(b);
    }
    free(x);
    free(h);
    lq_ctx_destroy(ctx);
}

/* ----------------------------------------------------------------- promises */

static void levels_and_threads(void **state)
{
    static const lq_level levels[] = { LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX512_VNNI,
                                       LQ_LEVEL_NEON };
    float *x = activations(N, COLS, 3);
    lq_ctx *one = test_ctx(LQ_LEVEL_REF, 1);
    lq_stats *first = make(one, 1);

    (void)state;
    add(first, name, COLS, N, x);
    for (size_t l = 0; l < COUNT(levels); l++)
        for (uint32_t threads = 1; threads <= 8; threads += 7) {
            if (!lq_level_available(levels[l]))
                continue;
            lq_ctx *ctx = test_ctx(levels[l], threads);
            lq_stats *s = make(ctx, 1);
            add(s, name, COLS, 512, x);
            add(s, name, COLS, 0, NULL);
            add(s, name, COLS, N - 512, x + 512 * COLS);
            same(first, s, name);
            lq_stats_destroy(s);
            lq_ctx_destroy(ctx);
        }
    lq_stats_destroy(first);
    lq_ctx_destroy(one);
    free(x);
}

static void merging(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    lq_stats *all = make(ctx, 1), *a = make(ctx, 1), *b = make(ctx, 1), *plain = make(ctx, 0);
    float *x = activations(512, COLS, 4);
    lq_error error = LQ_ERROR_INIT;

    (void)state;
    for (int i = 0; i < 512 * COLS; i++)          /* sums of these do not round */
        x[i] = (float)(int)(16 * x[i]) / 16;
    add(all, name, COLS, 512, x);
    add(a, name, COLS, 256, x);
    add(b, name, COLS, 256, x + 256 * COLS);
    add(b, "other", 3, 1, x);
    assert_int_equal(lq_stats_same(b, other_name, name, NULL), LQ_OK);
    assert_int_equal(lq_stats_merge(a, b, NULL), LQ_OK);
    same(all, a, name);
    same(b, a, "other");
    assert_int_equal(lq_stats_count(a), 3);
    assert_ptr_equal(look(a, other_name).sum_sq, look(a, name).sum_sq);
    assert_int_equal(lq_stats_merge(a, b, NULL), LQ_OK);     /* shared ones are added once */
    assert_int_equal(look(a, other_name).count, 768);
    add(plain, name, COLS, 1, x);
    assert_int_equal(lq_stats_merge(a, plain, &error), LQ_ERR_MISMATCH);
    assert_string_equal(error.name, name);
    assert_int_equal(lq_stats_merge(a, a, NULL), LQ_ERR_ARG);
    lq_stats_destroy(all);
    lq_stats_destroy(a);
    lq_stats_destroy(b);
    lq_stats_destroy(plain);
    lq_ctx_destroy(ctx);
    free(x);
}

/* X'X of many columns in three passes, each with rows of its own. */
static void parts(void **state)
{
    enum { WIDE = 2 * LQ_GRAM_ROWS + 100, FEW = 3 };
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 2);
    lq_stats *all = make(ctx, 1), *joined = NULL;
    float *x = activations(FEW, WIDE, 5);

    (void)state;
    add(all, name, WIDE, FEW, x);
    for (uint64_t p = 0; p < 3; p++) {
        lq_stats_opts opts = { sizeof opts, 1, 0, p * LQ_GRAM_ROWS, (p + 1) * LQ_GRAM_ROWS };
        lq_stats *part = NULL;
        assert_int_equal(lq_stats_create(ctx, &opts, &part, NULL), LQ_OK);
        add(part, name, WIDE, FEW, x);
        assert_int_equal(look(part, name).gram, -1);
        if (!joined) {
            joined = part;
            continue;
        }
        assert_int_equal(lq_stats_join(joined, part, NULL), LQ_OK);
        add(part, name, WIDE, 1, x);
        assert_int_equal(lq_stats_join(joined, part, NULL), LQ_ERR_MISMATCH);
        lq_stats_destroy(part);
    }
    assert_int_equal(look(joined, name).gram, 1);
    same(all, joined, name);
    lq_stats_destroy(all);
    lq_stats_destroy(joined);
    lq_ctx_destroy(ctx);
    free(x);
}

/* -------------------------------------------------------------------- files */

static lq_status load(const lq_ctx *ctx, const char *weight, lq_stats **s, lq_error *error)
{
    lq_file *file = NULL;
    lq_status status = lq_file_open(ctx, path, NULL, &file, error);

    if (status == LQ_OK)
        status = lq_stats_load(ctx, file, weight, s, error);
    lq_file_close(file);
    return status;
}

static void saving(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    lq_stats *s = make(ctx, 1), *back = NULL;
    float *x = activations(N, COLS, 6);

    (void)state;
    add(s, name, COLS, N, x);
    add(s, "other", 17, 5, x);
    assert_int_equal(lq_stats_same(s, other_name, name, NULL), LQ_OK);
    assert_int_equal(lq_stats_save(s, path, 0, NULL), LQ_OK);
    assert_int_equal(lq_stats_save(s, path, 0, NULL), LQ_ERR_EXISTS);
    assert_int_equal(lq_stats_save(s, path, 1, NULL), LQ_OK);
    assert_int_equal(load(ctx, NULL, &back, NULL), LQ_OK);
    assert_int_equal(lq_stats_count(back), 3);
    same(s, back, name);
    same(s, back, "other");
    same(s, back, other_name);
    lq_stats_destroy(back);
    assert_int_equal(load(ctx, other_name, &back, NULL), LQ_OK);
    same(s, back, other_name);
    lq_stats_destroy(back);
    lq_stats_destroy(s);
    lq_ctx_destroy(ctx);
    unlink(path);
    free(x);
}

static void imatrix(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    lq_stats *s = make(ctx, 0), *back = NULL;
    float *x = activations(N, COLS, 7);
    const float *values;
    lq_imatrix *m = NULL;
    lq_file *file = NULL;
    uint64_t count;

    (void)state;
    add(s, name, COLS, N, x);
    assert_int_equal(lq_stats_same(s, other_name, name, NULL), LQ_OK);
    assert_int_equal(lq_stats_save(s, "stats_test.gguf", 1, NULL), LQ_OK);
    assert_int_equal(lq_imatrix_open(ctx, "stats_test.gguf", &m, NULL), LQ_OK);
    assert_int_equal(lq_imatrix_count(m), 2);
    assert_int_equal(lq_imatrix_find(m, "blk.0.attn_k.weight", &values, &count), LQ_OK);
    assert_int_equal(count, COLS);
    for (int c = 0; c < COLS; c++)
        assert_true(values[c] == (float)look(s, name).sum_sq[c] / (float)N);
    assert_int_equal(lq_file_open(ctx, "stats_test.gguf", NULL, &file, NULL), LQ_OK);
    assert_int_equal(lq_stats_load(ctx, file, NULL, &back, NULL), LQ_ERR_FORMAT);
    lq_file_close(file);
    lq_imatrix_destroy(m);
    lq_stats_destroy(s);
    lq_ctx_destroy(ctx);
    unlink("stats_test.gguf");
    free(x);
}

/* -------------------------------------------------------------------- bad input */

static void bad_calls(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);
    lq_stats *s = make(ctx, 1), *before = make(ctx, 1), *none = NULL;
    lq_stats_opts odd = { sizeof odd, 1, 0, 1, LQ_GRAM_ROWS };
    float *x = activations(N, COLS, 8), row[1];
    lq_error error = LQ_ERROR_INIT;
    lq_stat stat = LQ_STAT_INIT;

    (void)state;
    add(s, name, COLS, N, x);
    add(before, name, COLS, N, x);
    x[COLS + 3] = INFINITY;
    assert_int_equal(lq_stats_add(s, name, COLS, N, LQ_F32, x, COLS, &error), LQ_ERR_NONFINITE);
    assert_string_equal(error.name, name);
    assert_int_equal(lq_stats_add(s, "new", COLS, N, LQ_F32, x, COLS, NULL), LQ_ERR_NONFINITE);
    assert_int_equal(lq_stats_find(s, "new", &stat), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_stats_add(s, name, COLS - 1, 1, LQ_F32, x, COLS, &error),
                     LQ_ERR_MISMATCH);
    assert_int_equal(lq_stats_add(s, name, COLS, 2, LQ_F32, x, COLS - 1, NULL), LQ_ERR_SHAPE);
    assert_int_equal(lq_stats_add(s, name, COLS, 1, LQ_F64, x, COLS, NULL), LQ_ERR_UNSUPPORTED);
    assert_int_equal(lq_stats_add(s, name, COLS, 1, LQ_F32, (char *)x + 1, COLS, NULL),
                     LQ_ERR_ALIGN);
    assert_int_equal(lq_stats_add(s, "", COLS, 1, LQ_F32, x, COLS, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_stats_add(s, "new", 0, 1, LQ_F32, x, COLS, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_stats_same(s, name, name, NULL), LQ_ERR_DUPLICATE);
    assert_int_equal(lq_stats_same(s, "new", "nobody", NULL), LQ_ERR_NOTFOUND);
    assert_int_equal(lq_stats_gram_row(s, name, COLS, row), LQ_ERR_ARG);
    assert_int_equal(lq_stats_at(s, 1, &stat), LQ_ERR_ARG);
    assert_int_equal(lq_stats_create(ctx, &odd, &none, NULL), LQ_ERR_ARG);
    same(before, s, name);
    add(s, "nothing", COLS, 0, NULL);
    assert_int_equal(lq_stats_save(s, path, 1, &error), LQ_ERR_NUMERIC);
    assert_string_equal(error.name, "nothing");
    assert_int_not_equal(access(path, F_OK), 0);
    lq_stats_destroy(s);
    lq_stats_destroy(before);
    lq_stats_destroy(NULL);
    lq_ctx_destroy(ctx);
    free(x);
}

/* A file with tensors as given: count, columns of the sums, a number in them. */
static void write_file(const lq_ctx *ctx, uint64_t count, uint64_t cols, double value,
                       lq_dtype type, float gram)
{
    static const char *const ends[] = { "w.count", "w.sum_sq", "w.sum_abs", "w.gram.0" };
    const uint64_t dims[4][2] = { { 1 }, { 4 }, { cols }, { 4, 4 } };
    const lq_dtype types[] = { LQ_U64, type, LQ_F64, LQ_F32 };
    double sums[8] = { value, 1, 1, 1, 1, 1, 1, 1 };
    float square[16] = { gram };
    const void *const data[] = { &count, sums, sums, square };
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_writer *w = NULL;
    uint64_t index;

    opts.replace = 1;
    assert_int_equal(lq_writer_create(ctx, path, LQ_CONTAINER_SAFETENSORS, &opts, &w, NULL),
                     LQ_OK);
    assert_int_equal(lq_writer_meta_string(w, "lq.stats", "1"), LQ_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(lq_writer_tensor(w, ends[i], types[i], 0, i == 3 ? 2 : 1, dims[i],
                                          &index), LQ_OK);
    assert_int_equal(lq_writer_begin(w, NULL), LQ_OK);
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t bytes = dims[i][0] * (i == 3 ? 4 : 1) * lq_dtype_bytes(types[i]);
        assert_int_equal(lq_writer_write(w, i, 0, data[i], bytes, NULL), LQ_OK);
    }
    assert_int_equal(lq_writer_finish(w, NULL), LQ_OK);
    lq_writer_destroy(w);
}

static void bad_files(void **state)
{
    static const struct {
        uint64_t count, cols;
        double value;
        lq_dtype type;
        float gram;
        lq_status status;
    } cases[] = {
        { 3, 4, 1, LQ_F64, 1, LQ_OK },
        { 0, 4, 1, LQ_F64, 1, LQ_ERR_CORRUPT },
        { 3, 5, 1, LQ_F64, 1, LQ_ERR_SHAPE },
        { 3, 4, -1, LQ_F64, 1, LQ_ERR_CORRUPT },
        { 3, 4, INFINITY, LQ_F64, 1, LQ_ERR_NONFINITE },
        { 3, 4, 1, LQ_I64, 1, LQ_ERR_SHAPE },
        { 3, 4, 1, LQ_F64, NAN, LQ_ERR_NONFINITE },
    };
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 1);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        lq_stats *s = NULL;
        lq_error error = LQ_ERROR_INIT;
        write_file(ctx, cases[i].count, cases[i].cols, cases[i].value, cases[i].type,
                   cases[i].gram);
        assert_int_equal(load(ctx, i % 2 ? "w" : NULL, &s, &error), cases[i].status);
        if (cases[i].status)
            assert_int_equal(error.name[0], 'w');
        assert_int_equal(s != NULL, cases[i].status == LQ_OK);
        lq_stats_destroy(s);
        s = NULL;
        assert_int_equal(load(ctx, "v", &s, &error), LQ_ERR_NOTFOUND);
        assert_string_equal(error.name, "v");
    }
    lq_ctx_destroy(ctx);
    unlink(path);
}

/* ------------------------------------------------------------------- no memory */

static int left;

static void *allocate(void *user, size_t size, size_t align)
{
    (void)user;
    return left-- > 0 ? aligned_alloc(align, (size + align - 1) / align * align) : NULL;
}

static void release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static lq_status everything(const lq_ctx *ctx, const float *x)
{
    lq_stats_opts opts = { sizeof opts, 1, 0, 0, 0 };
    lq_stats *s = NULL, *back = NULL;
    lq_status status = lq_stats_create(ctx, &opts, &s, NULL);

    if (!status)
        status = lq_stats_add(s, name, COLS, 300, LQ_F32, x, COLS, NULL);
    if (!status)
        status = lq_stats_same(s, other_name, name, NULL);
    if (!status)
        status = lq_stats_save(s, path, 1, NULL);
    if (!status)
        status = load(ctx, NULL, &back, NULL);
    if (!status)
        status = lq_stats_merge(s, back, NULL);
    lq_stats_destroy(s);
    lq_stats_destroy(back);
    return status;
}

static void no_memory(void **state)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    float *x = activations(300, COLS, 9);
    lq_status status = LQ_ERR_NOMEM;
    lq_ctx *ctx = NULL;

    (void)state;
    left = 1000;
    opts.allocator.alloc = allocate;
    opts.allocator.free = release;
    assert_int_equal(lq_ctx_create(&opts, &ctx, NULL), LQ_OK);
    for (int n = 0; status; n++) {
        left = n;
        status = everything(ctx, x);
        assert_true(status == LQ_OK || status == LQ_ERR_NOMEM);
        assert_true(n < 1000);
    }
    lq_ctx_destroy(ctx);
    unlink(path);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_double),
        cmocka_unit_test(small_types),
        cmocka_unit_test(levels_and_threads),
        cmocka_unit_test(merging),
        cmocka_unit_test(parts),
        cmocka_unit_test(saving),
        cmocka_unit_test(imatrix),
        cmocka_unit_test(bad_calls),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
