/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/ctx.c - contexts, threads, statuses, errors
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "lib/base/threads.h"

static void names(void **state)
{
    (void)state;
    assert_string_equal(lq_status_name(LQ_OK), "LQ_OK");
    assert_string_equal(lq_status_name(LQ_ERR_CANCELLED), "LQ_ERR_CANCELLED");
    assert_string_equal(lq_status_name(-999), "unknown status");
    assert_string_equal(lq_status_name(7), "unknown status");
    for (lq_status s = LQ_ERR_CANCELLED; s <= LQ_OK; s++)
        assert_true(strlen(lq_status_text(s)) > 5);
    assert_int_equal(lq_version(), 0x000100);
    assert_string_equal(lq_version_string(), "0.1.0");
    for (lq_level level = 1; level < 30; level++) {
        lq_level found = 0;
        if (!lq_level_name(level))
            continue;
        assert_int_equal(lq_level_find(lq_level_name(level), &found), LQ_OK);
        assert_int_equal(found, level);
    }
    assert_int_equal(lq_level_find("sse9", &(lq_level){ 0 }), LQ_ERR_NOTFOUND);
}

static void refusals(void **state)
{
    lq_ctx_opts o = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx = NULL;
    lq_error error = LQ_ERROR_INIT;

    (void)state;
    assert_int_equal(lq_ctx_create(NULL, NULL, NULL), LQ_ERR_ARG);
    o.threads = 1025;
    assert_int_equal(lq_ctx_create(&o, &ctx, &error), LQ_ERR_ARG);
    assert_non_null(strstr(error.message, "1025"));
    o.threads = 1;
    o.level = 9;
    assert_int_equal(lq_ctx_create(&o, &ctx, &error), LQ_ERR_ARG);
    o.level = LQ_LEVEL_NEON_I8MM;
    if (!lq_level_available(o.level)) {
        assert_int_equal(lq_ctx_create(&o, &ctx, &error), LQ_ERR_UNSUPPORTED);
        assert_non_null(strstr(error.message, "neon-i8mm"));
    }
    o.level = 0;
    o.struct_size = 0;
    assert_int_equal(lq_ctx_create(&o, &ctx, &error), LQ_ERR_ARG);
    assert_null(ctx);
    lq_ctx_destroy(NULL);
}

/* A terminated message whatever the lengths; names are escaped. */
static void long_errors(void **state)
{
    lq_error error = LQ_ERROR_INIT;
    char text[600];
    lq_spec spec = LQ_SPEC_INIT;

    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(lq_spec_parse(text, &spec, &error), LQ_ERR_ARG);
    lqi_where where = { text, "a\nb\x01" "c", 77 };
    lqi_fail(&error, LQ_ERR_CORRUPT, &where, "%s", text);
    assert_string_equal(error.name, "a\\x0ab\\x01c");
    assert_true(strlen(error.message) < sizeof error.message);
    assert_int_equal(error.offset, 77);
    error.struct_size = 8;   /* an older, shorter struct: nothing is written */
    error.status = 5;
    lqi_fail(&error, LQ_ERR_CORRUPT, NULL, "text");
    assert_int_equal(error.status, 5);
}

/* ----------------------------------------------------------------- threads */

struct counts { atomic_int hits[1000]; };

static void count_task(void *arg, size_t i)
{
    atomic_fetch_add(&((struct counts *)arg)->hits[i], 1);
}

static void run_and_check(lqi_pool *pool, size_t n)
{
    struct counts c = { { 0 } };

    lqi_pool_run(pool, n, count_task, &c);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(c.hits[i], i < n);
}

static void pool_runs_each_index_once(void **state)
{
    const lq_allocator a = { 0 };

    (void)state;
    for (uint32_t spin = 0; spin <= 50; spin += 50) {
        lqi_pool *pool = lqi_pool_create(&a, 4, spin);
        for (int round = 0; round < 300; round++)
            run_and_check(pool, (size_t)(round * 7 % 1000));
        usleep(2000);   /* workers are asleep now */
        run_and_check(pool, 1000);
        lqi_pool_destroy(pool);
    }
}

static void *use_pool(void *pool)
{
    for (int i = 0; i < 200; i++)
        run_and_check(pool, 100);
    return NULL;
}

static void busy_pool_runs_serially(void **state)
{
    const lq_allocator a = { 0 };
    lqi_pool *pool = lqi_pool_create(&a, 3, 20);
    pthread_t other[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&other[i], NULL, use_pool, pool), 0);
    use_pool(pool);
    for (int i = 0; i < 3; i++)
        pthread_join(other[i], NULL);
    lqi_pool_destroy(pool);
}

static void forked_child_runs_serially(void **state)
{
    lq_ctx *ctx = test_ctx(0, 4);
    static float x[64 * 4096], y[64 * 4096];
    lq_spec spec = test_spec("q8_0");
    int code;

    (void)state;
    test_fill(x, COUNT(x), 1);
    pid_t child = fork();
    if (child == 0) {
        lq_tensor *t = NULL;
        lq_shape s = { 1, 64, 4096 };
        lq_status status = lq_tensor_encode(ctx, &spec, &s, LQ_F32, x, NULL, &t, NULL);
        if (!status)
            status = lq_tensor_decode(t, LQ_F32, y);
        lq_tensor_destroy(t);
        lq_ctx_destroy(ctx);
        _exit(status ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 0);
    lq_ctx_destroy(ctx);
}

/* The caller's threads may be none at all, and work backwards. */
static void backwards(void *user, size_t count, void (*task)(void *arg, size_t index), void *arg)
{
    ++*(int *)user;
    while (count--)
        task(arg, count);
}

static void callers_threads(void **state)
{
    lq_ctx_opts o = LQ_CTX_OPTS_INIT;
    lq_ctx *own = NULL, *plain = test_ctx(0, 1);
    static float x[64 * 4096];
    lq_shape s = { 1, 64, 4096 };
    lq_spec spec = test_spec("q4_0");
    int calls = 0;

    (void)state;
    test_fill(x, COUNT(x), 1);
    o.threads = 8;
    o.parallel_for = backwards;
    o.parallel_user = &calls;
    assert_int_equal(lq_ctx_create(&o, &own, NULL), LQ_OK);
    lq_tensor *a = test_encode(own, &spec, s, x, NULL), *b = test_encode(plain, &spec, s, x, NULL);
    test_same_planes(a, b);
    assert_true(calls > 0);
    lq_tensor_destroy(a);
    lq_tensor_destroy(b);
    lq_ctx_destroy(own);
    lq_ctx_destroy(plain);
}

/* Large enough to be shared out. */
static void products_of(const lq_ctx *ctx, const char *text, uint64_t n, int mode, float *y)
{
    static float w[192 * 2048], x[64 * 2048];
    const lq_shape s = { 1, 192, 2048 };
    lq_spec spec = test_spec(text);
    lq_rows rows = LQ_ROWS_INIT;
    lq_matmul_args a = LQ_MATMUL_ARGS_INIT;
    lq_prepared *p = NULL;

    test_fill(w, COUNT(w), 1);
    test_fill(x, COUNT(x), 2);
    lq_tensor *t = test_encode(ctx, &spec, s, w, NULL);
    assert_int_equal(lq_tensor_rows(t, 0, &rows), LQ_OK);
    assert_int_equal(lq_prepare(ctx, &rows, NULL, &p, NULL), LQ_OK);
    a.n = n;
    a.x = x;
    a.ldx = 2048;
    a.y = y;
    a.ldy = 192;
    a.mode = mode;
    assert_int_equal(lq_matmul(ctx, p, &a), LQ_OK);
    lq_prepared_destroy(p);
    lq_tensor_destroy(t);
}

static void products_by_anyone(void **state)
{
    static float y[3][64 * 192];
    static const struct { const char *spec; uint64_t n; int mode; } cases[] = {
        { "q4_k", 64, LQ_MODE_FAST }, { "q4_0", 64, LQ_MODE_BF16 }, { "nf4", 7, LQ_MODE_F32 },
    };
    lq_ctx_opts o = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx[3] = { test_ctx(0, 1), test_ctx(0, 3) };
    int calls = 0;

    (void)state;
    o.threads = 8;
    o.parallel_for = backwards;
    o.parallel_user = &calls;
    assert_int_equal(lq_ctx_create(&o, &ctx[2], NULL), LQ_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int k = 0; k < 3; k++) {
            calls = 0;
            products_of(ctx[k], cases[i].spec, cases[i].n, cases[i].mode, y[k]);
        }
        assert_true(calls > 0);
        assert_memory_equal(y[1], y[0], cases[i].n * 192 * sizeof **y);
        assert_memory_equal(y[2], y[0], cases[i].n * 192 * sizeof **y);
    }
    for (int k = 0; k < 3; k++)
        lq_ctx_destroy(ctx[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(refusals), cmocka_unit_test(long_errors),
        cmocka_unit_test(pool_runs_each_index_once), cmocka_unit_test(busy_pool_runs_serially),
        cmocka_unit_test(forked_child_runs_serially), cmocka_unit_test(callers_threads),
        cmocka_unit_test(products_by_anyone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
