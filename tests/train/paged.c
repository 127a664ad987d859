/* SPDX-License-Identifier: MIT */
/*
 * tests/train/paged.c - paged arrays: the bytes of plain ones, the budget, what survives a
 * kill, bad input and full disks
 *
 * Built twice: with LQI_PAGES_PLAIN for systems that move no pages.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#ifdef LQI_PAGES_PLAIN
enum { MOVES = 0 };
#else
enum { MOVES = 1 };
#endif

enum { RULES = 4, ARRAYS = 6, MIB = 1 << 20 };

static char folder[] = "lq-paged-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static unsigned files(void)
{
    char command[64], count[16] = "";

    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(count, sizeof count, pipe));
    pclose(pipe);
    return (unsigned)atoi(count);
}

static lq_paged *make_pool(const lq_ctx *ctx, uint64_t budget)
{
    lq_paged_opts opts = LQ_PAGED_OPTS_INIT;
    lq_paged *pool = NULL;

    opts.directory = folder;
    opts.budget_bytes = budget;
    assert_int_equal(lq_paged_create(ctx, &opts, &pool, NULL), LQ_OK);
    return pool;
}

static void *take(lq_paged *pool, uint64_t bytes, const char *path)
{
    lq_error error = LQ_ERROR_INIT;
    void *data = NULL;

    if (lq_paged_alloc(pool, bytes, path, &data, &error) != LQ_OK)
        fail_msg("%s", error.message);
    return data;
}

static lq_paged_info info_of(const lq_paged *pool)
{
    lq_paged_info info = LQ_PAGED_INFO_INIT;

    assert_int_equal(lq_paged_get(pool, &info), LQ_OK);
    return info;
}

static void use(lq_paged *pool, const void *data, uint64_t bytes, int32_t access)
{
    assert_int_equal(lq_paged_use(pool, data, bytes, access, NULL), LQ_OK);
}

static void within_budget(const lq_paged *pool)
{
    lq_paged_info info = info_of(pool);

    if (MOVES && info.resident > info.budget)
        fail_msg("%llu bytes of %llu", (unsigned long long)info.resident,
                 (unsigned long long)info.budget);
}

/* --------------------------------------------------------------- optimizers */

/* values, grads, m, v, m_scales, v_scales */
typedef struct arrays {
    void    *data[ARRAYS];
    uint64_t bytes[ARRAYS];
    uint64_t n;
} arrays;

static arrays sizes(const lq_optimizer *o, uint64_t n)
{
    arrays a = { .n = n, .bytes = { n * 4, n * 4 } };

    assert_int_equal(lq_optimizer_bytes(o, n, a.bytes + 2), LQ_OK);
    return a;
}

static lq_params params_of(const arrays *a)
{
    lq_params p = LQ_PARAMS_INIT;

    p.n = a->n;
    p.values = a->data[0];
    p.grads = a->data[1];
    p.m = a->data[2];
    p.v = a->data[3];
    p.m_scales = a->data[4];
    p.v_scales = a->data[5];
    return p;
}

static lq_optimizer a_rule(int rule, uint32_t bits)
{
    lq_optimizer o = LQ_OPTIMIZER_INIT;

    o.rule = rule;
    o.state_bits = bits;
    o.lr = 0.01f;
    o.beta1 = -1;     /* 0, which is not the default */
    o.weight_decay = 0.1f;
    return o;
}

static void fill_paged(lq_paged *pool, float *x, const float *from, uint64_t n)
{
    const uint64_t part = 100000;

    for (uint64_t i = 0; i < n; i += part) {
        uint64_t m = n - i < part ? n - i : part;

        use(pool, x + i, m * 4, LQ_PAGED_WRITE);
        memcpy(x + i, from + i, m * 4);
    }
}

/* 2.7 to 4.8 MB within 2 MiB; each array its own, or all cut from one at odd places. */
static void steps_against_plain(const lq_ctx *ctx, int rule, uint32_t bits, int cut)
{
    lq_optimizer o = a_rule(rule, bits);
    arrays plain = sizes(&o, 300 * 1000 + 77), paged = plain;
    lq_paged *pool = make_pool(ctx, 2 * MIB);
    uint64_t total = 0;
    char *whole;

    for (int i = 0; i < ARRAYS; i++)
        total += plain.bytes[i] + 508;
    whole = cut ? take(pool, total, NULL) : NULL;
    for (int i = 0; i < ARRAYS; i++) {
        plain.data[i] = plain.bytes[i] ? calloc(1, plain.bytes[i]) : NULL;
        paged.data[i] = cut ? whole + 508 : take(pool, paged.bytes[i], NULL);
        if (cut)
            whole += (paged.bytes[i] + 508) & ~(uint64_t)3;
    }
    test_fill(plain.data[0], plain.n, 1);
    fill_paged(pool, paged.data[0], plain.data[0], plain.n);
    for (o.step = 1; o.step <= 2; o.step++) {
        lq_params p = params_of(&plain), q = params_of(&paged);

        test_fill(plain.data[1], plain.n, o.step);
        fill_paged(pool, paged.data[1], plain.data[1], plain.n);
        assert_int_equal(lq_optimizer_step(ctx, &o, &p), LQ_OK);
        assert_int_equal(lq_paged_step(pool, &o, &q, NULL), LQ_OK);
        within_budget(pool);
    }
    for (int i = 0; i < ARRAYS; i++)
        if (plain.bytes[i])
            assert_memory_equal(plain.data[i], paged.data[i], plain.bytes[i]);
    for (int i = 0; i < ARRAYS; i++)
        free(plain.data[i]);
    lq_paged_destroy(pool);
}

static void steps(void **state)
{
    lq_ctx *two = test_ctx(LQ_LEVEL_BEST, 2);

    (void)state;
    for (int rule = 0; rule < RULES; rule++)
        for (uint32_t bits = 8; bits <= 32; bits += 24)
            steps_against_plain(two, rule, bits, rule % 2);
    steps_against_plain(two, LQ_ADAMW, 8, 1);
    lq_ctx_destroy(two);
    assert_int_equal(files(), 0);
}

/* State alone may be paged; arrays that the pool does not have are left alone. */
static void some_paged(void **state)
{
    lq_optimizer o = a_rule(LQ_LION, 8);
    arrays a = sizes(&o, 1000);
    lq_paged *pool = make_pool(*state, 0);

    a.data[0] = calloc(1, a.bytes[0]);
    a.data[1] = calloc(1, a.bytes[1]);
    a.data[2] = take(pool, a.bytes[2], NULL);
    a.data[4] = take(pool, a.bytes[4], NULL);
    for (int i = 0; i < 1000; i++)
        ((float *)a.data[1])[i] = 1;
    o.step = 1;
    lq_params p = params_of(&a);
    assert_int_equal(lq_paged_step(pool, &o, &p, NULL), LQ_OK);
    assert_true(((float *)a.data[0])[999] == -0.01f);
    o.step = 0;
    lq_error error = LQ_ERROR_INIT;
    assert_int_equal(lq_paged_step(pool, &o, &p, &error), LQ_ERR_ARG);
    assert_true(error.message[0]);
    assert_int_equal(lq_paged_step(NULL, &o, &p, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_step(pool, NULL, &p, NULL), LQ_ERR_ARG);
    p.m = NULL;
    o.step = 2;
    assert_int_equal(lq_paged_step(pool, &o, &p, NULL), LQ_ERR_ARG);
    p = params_of(&a);
    p.grads = p.values + 1;
    assert_int_equal(lq_paged_step(pool, &o, &p, NULL), LQ_ERR_OVERLAP);
    assert_true(((float *)a.data[0])[999] == -0.01f);
    free(a.data[0]);
    free(a.data[1]);
    lq_paged_destroy(pool);
}

/* ------------------------------------------------------------------- budget */

/* Two arrays of 6 MB each: forwards, backwards, here and there. */
static void budget_kept(void **state)
{
    enum { N = 1500 * 1000, PART = 30000 };
    lq_paged *pool = make_pool(*state, 4 * MIB);
    uint32_t *x[2] = { take(pool, N * 4, NULL), take(pool, N * 4, in_folder("x")) };
    uint64_t seed = 5;

    for (int pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < N / PART; i++) {
            uint32_t *part = x[i % 2] + (pass % 2 ? N / PART - 1 - i : i) * PART;

            use(pool, part, PART * 4, LQ_PAGED_WRITE);
            for (uint32_t k = 0; k < PART; k++)
                part[k] = pass ? part[k] + 1 : k ^ (uint32_t)(part - x[i % 2]);
            within_budget(pool);
        }
    for (int i = 0; i < 100; i++) {
        uint32_t at = (uint32_t)(test_next(&seed) % (N - PART));

        use(pool, x[i % 2] + at, PART * 4, LQ_PAGED_READ);
        within_budget(pool);
    }
    lq_paged_info info = info_of(pool);
    assert_true(info.bytes == 2 * N * 4 && info.budget == 4 * MIB);
    /* 50 parts of 120 kB three times, and what lies between them in segments */
    assert_true(!MOVES || (info.written >= 3 * N * 4 && info.written < 4 * N * 4));
    assert_true(!MOVES || info.read > 3 * N * 4);
    for (uint32_t i = 0; i < N / PART; i++)
        for (uint32_t k = 0; k < PART; k++)   /* backwards the other array's part has its turn */
            if (x[i % 2][i * PART + k] != (k ^ i * PART) + 2 - (N / PART % 2 == 0))
                fail_msg("part %u, number %u: %u", i, k, x[i % 2][i * PART + k]);
    lq_paged_destroy(pool);
    unlink(in_folder("x"));
}

/* What is touched without saying so is given up on request, and not lost. */
static void trimming(void **state)
{
    enum { BYTES = 8 * MIB };
    lq_paged *pool = make_pool(*state, 2 * MIB);
    uint8_t *x = take(pool, BYTES, NULL);

    use(pool, x, MIB, LQ_PAGED_WRITE);
    memset(x, 3, BYTES);
    assert_true(info_of(pool).resident == BYTES);
    assert_int_equal(lq_paged_trim(pool, NULL), LQ_OK);
    within_budget(pool);
    assert_true(!MOVES || info_of(pool).resident == MIB);
    for (int i = 0; i < BYTES; i++)
        assert_true(x[i] == 3);
    lq_paged_destroy(pool);
}

/* What fits stays: nothing is read twice. */
static void all_fits(void **state)
{
    lq_paged *pool = make_pool(*state, 4 * MIB);
    uint8_t *x = take(pool, 2 * MIB, NULL), *y = take(pool, 2 * MIB, NULL);

    for (int i = 0; i < 3; i++) {
        use(pool, x, 2 * MIB, LQ_PAGED_WRITE);
        memset(x, i, 2 * MIB);
        use(pool, y, 2 * MIB, LQ_PAGED_WRITE);
        memset(y, i, 2 * MIB);
    }
    assert_true(info_of(pool).read <= 4 * MIB && info_of(pool).written == 0);
    assert_true(info_of(pool).resident == 4 * MIB);
    assert_int_equal(lq_paged_free(pool, x), LQ_OK);
    assert_true(info_of(pool).resident == 2 * MIB && info_of(pool).bytes == 2 * MIB);
    use(pool, take(pool, 2 * MIB, NULL), 2 * MIB, LQ_PAGED_WRITE);
    assert_true(y[2 * MIB - 1] == 2);
    lq_paged_destroy(pool);
}

/* -------------------------------------------------------------- named files */

static void killed(void **state)
{
    enum { BYTES = 5 * MIB };
    const char *path = in_folder("state");
    int status;
    pid_t child = fork();

    if (child == 0) {
        lq_paged *pool = make_pool(*state, 2 * MIB);
        uint8_t *x = take(pool, BYTES, path);

        for (int i = 0; i < BYTES; i += MIB) {
            if (lq_paged_use(pool, x + i, MIB, LQ_PAGED_WRITE, NULL) != LQ_OK)
                _exit(1);
            memset(x + i, i / MIB + 1, MIB);
        }
        if (lq_paged_sync(pool, NULL) != LQ_OK)
            _exit(1);
        x[17] = 99;
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    lq_paged *pool = make_pool(*state, 2 * MIB);
    uint8_t *x = take(pool, BYTES, path);
    for (int i = 0; i < BYTES; i++)
        if (i != 17)
            assert_true(x[i] == i / MIB + 1);
    assert_true(x[17] == 1 || x[17] == 99);
    lq_paged_destroy(pool);
    unlink(path);
}

static void expect(lq_paged *pool, uint64_t bytes, const char *path, lq_status expected)
{
    lq_error error = LQ_ERROR_INIT;
    void *data = pool;

    assert_int_equal(lq_paged_alloc(pool, bytes, path, &data, &error), expected);
    assert_true(data == pool && error.status == expected && error.message[0]);
}

static void named(void **state)
{
    char path[64], other[64];
    lq_paged *pool = make_pool(*state, 0), *second = make_pool(*state, 0);
    struct stat st;

    strcpy(path, in_folder("named"));
    strcpy(other, in_folder("other"));
    uint8_t *x = take(pool, 5000, path);
    for (int i = 0; i < 5000; i++)
        assert_true(x[i] == 0);
    x[0] = x[4999] = 7;
    expect(pool, 5000, path, LQ_ERR_OVERLAP);
    expect(second, 5000, path, LQ_ERR_OVERLAP);
    assert_int_equal(lq_paged_sync(pool, NULL), LQ_OK);
    assert_int_equal(lq_paged_free(pool, x), LQ_OK);
    expect(pool, 4999, path, LQ_ERR_MISMATCH);
    expect(pool, 5001, path, LQ_ERR_MISMATCH);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size == 5000);
    x = take(second, 5000, path);
    assert_true(x[0] == 7 && x[1] == 0 && x[4999] == 7);

    fclose(fopen(other, "w"));
    if (MOVES)   /* plain memory of this size is more than sanitizers let a program ask for */
        expect(pool, UINT64_C(1) << 60, other, LQ_ERR_NOSPACE);
    assert_true(stat(other, &st) == 0 && st.st_size == 0);
    x = take(pool, 10, other);
    assert_true(x[9] == 0);
    lq_paged_destroy(pool);
    lq_paged_destroy(second);
    unlink(path);
    unlink(other);
}

static void bad_files(void **state)
{
    lq_paged *pool = make_pool(*state, 0);

    expect(pool, 10, folder, LQ_ERR_IO);
    expect(pool, 10, "/dev/null", LQ_ERR_IO);
    expect(pool, 10, in_folder("no/such"), LQ_ERR_NOTFOUND);
    assert_int_equal(mkfifo(in_folder("pipe"), 0666), 0);
    expect(pool, 10, in_folder("pipe"), LQ_ERR_IO);
    assert_int_equal(unlink(in_folder("pipe")), 0);
    expect(pool, 10, "", LQ_ERR_ARG);
    lq_paged_destroy(pool);
    assert_int_equal(files(), 0);
#ifndef LQI_PAGES_PLAIN
    lq_paged_opts opts = LQ_PAGED_OPTS_INIT;
    opts.directory = in_folder("nowhere");
    assert_int_equal(lq_paged_create(*state, &opts, &pool, NULL), LQ_OK);
    expect(pool, 10, NULL, LQ_ERR_NOTFOUND);
    lq_paged_destroy(pool);
    opts.directory = "/proc";
    assert_int_equal(lq_paged_create(*state, &opts, &pool, NULL), LQ_OK);
    void *data = NULL;
    assert_int_not_equal(lq_paged_alloc(pool, 10, NULL, &data, NULL), LQ_OK);
    lq_paged_destroy(pool);
#endif
}

#ifndef LQI_PAGES_PLAIN
static void no_space(void **state)
{
    lq_paged *pool = make_pool(*state, 0);
    struct rlimit saved, small;

    expect(pool, UINT64_C(1) << 60, NULL, LQ_ERR_NOSPACE);
    expect(pool, UINT64_C(1) << 60, in_folder("huge"), LQ_ERR_NOSPACE);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    small = saved;
    small.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect(pool, 100001, NULL, LQ_ERR_NOSPACE);   /* and no signal */
    expect(pool, 100001, in_folder("large"), LQ_ERR_NOSPACE);
    void *data = take(pool, 100000, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    memset(data, 1, 100000);
    lq_paged_destroy(pool);
    assert_int_equal(files(), 0);
}

static void in_memory(void **state)
{
    lq_paged_opts opts = LQ_PAGED_OPTS_INIT;
    lq_paged *pool = NULL;

    if (access("/dev/shm", W_OK) != 0)
        skip();
    opts.directory = "/dev/shm";
    assert_int_equal(lq_paged_create(*state, &opts, &pool, NULL), LQ_OK);
    expect(pool, 10, NULL, LQ_ERR_UNSUPPORTED);
    lq_paged_destroy(pool);
}
#endif

/* ---------------------------------------------------------------- arguments */

static void bad_arguments(void **state)
{
    lq_paged_opts opts = LQ_PAGED_OPTS_INIT;
    lq_paged_info info = LQ_PAGED_INFO_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_paged *pool = NULL;
    void *data = &info;
    char here[10];

    assert_int_equal(lq_paged_create(NULL, &opts, &pool, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_create(*state, &opts, NULL, NULL), LQ_ERR_ARG);
    opts.budget_bytes = 2 * MIB - 1;
    assert_int_equal(lq_paged_create(*state, &opts, &pool, &error), LQ_ERR_ARG);
    assert_non_null(strstr(error.message, "2097151"));
    opts.struct_size = 0;
    assert_int_equal(lq_paged_create(*state, &opts, &pool, NULL), LQ_ERR_ARG);
    assert_null(pool);
    assert_int_equal(lq_paged_create(*state, NULL, &pool, NULL), LQ_OK);
    expect(pool, 10, NULL, LQ_ERR_ARG);   /* no directory */
    lq_paged_destroy(pool);

    pool = make_pool(*state, 2 * MIB);
    assert_int_equal(lq_paged_alloc(NULL, 1, NULL, &data, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_alloc(pool, 1, NULL, NULL, NULL), LQ_ERR_ARG);
    expect(pool, UINT64_MAX, NULL, LQ_ERR_OVERFLOW);
    assert_int_equal(lq_paged_alloc(pool, 0, in_folder("none"), &data, NULL), LQ_OK);
    assert_null(data);
    uint8_t *x = take(pool, 3 * MIB, NULL);
    assert_int_equal(lq_paged_use(NULL, x, 1, LQ_PAGED_READ, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_use(pool, x, 1, 2, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_use(pool, x, 1, -1, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_use(pool, here, 1, LQ_PAGED_READ, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_use(pool, x + 1, 3 * MIB, LQ_PAGED_READ, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_use(pool, x, UINT64_MAX, LQ_PAGED_READ, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_use(pool, x, 3 * MIB, LQ_PAGED_READ, &error), LQ_ERR_LIMIT);
    assert_int_equal(lq_paged_use(pool, x + 1, 2 * MIB, LQ_PAGED_READ, NULL), LQ_ERR_LIMIT);
    assert_int_equal(lq_paged_use(pool, NULL, 0, LQ_PAGED_READ, NULL), LQ_OK);
    use(pool, x, 2 * MIB, LQ_PAGED_READ);
    use(pool, x + MIB, 2 * MIB, LQ_PAGED_READ);
    within_budget(pool);
    assert_int_equal(lq_paged_free(pool, x + 1), LQ_ERR_ARG);
    assert_int_equal(lq_paged_free(NULL, x), LQ_ERR_ARG);
    assert_int_equal(lq_paged_free(pool, NULL), LQ_OK);
    assert_int_equal(lq_paged_sync(NULL, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_trim(NULL, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_get(pool, NULL), LQ_ERR_ARG);
    assert_int_equal(lq_paged_get(NULL, &info), LQ_ERR_ARG);
    info.struct_size = 0;
    assert_int_equal(lq_paged_get(pool, &info), LQ_ERR_ARG);
    lq_paged_destroy(pool);
    lq_paged_destroy(NULL);
    assert_int_equal(files(), 0);
}

static int allowed;

static void *rationed(void *user, size_t size, size_t align)
{
    (void)user;
    return allowed-- > 0 ? aligned_alloc(align, (size + align - 1) / align * align) : NULL;
}

static void release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static void no_memory(void **state)
{
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_paged_opts paged = LQ_PAGED_OPTS_INIT;
    lq_ctx *ctx = NULL;
    lq_status status = LQ_ERR_NOMEM;
    int ration;

    (void)state;
    opts.allocator = (lq_allocator){ rationed, release, NULL };
    allowed = 1000;
    assert_int_equal(lq_ctx_create(&opts, &ctx, NULL), LQ_OK);
    paged.directory = folder;
    for (ration = 0; status == LQ_ERR_NOMEM; ration++) {
        lq_paged *pool = NULL;
        void *data = NULL;

        allowed = ration;
        status = lq_paged_create(ctx, &paged, &pool, NULL);
        if (status == LQ_OK)
            status = lq_paged_alloc(pool, 100, NULL, &data, NULL);
        if (status == LQ_OK)
            status = lq_paged_alloc(pool, 100, in_folder("small"), &data, NULL);
        lq_paged_destroy(pool);
        if (status != LQ_OK)
            assert_int_equal(files(), 0);
    }
    assert_int_equal(status, LQ_OK);
    assert_true(ration >= 7);
    lq_ctx_destroy(ctx);
    unlink(in_folder("small"));
}

static int make_context(void **state)
{
    return lq_ctx_create(NULL, (lq_ctx **)state, NULL) != LQ_OK;
}

static int drop_context(void **state)
{
    lq_ctx_destroy(*state);
    return 0;
}

/* 1 if the folder is on a disk. */
static int can_page(void)
{
    lq_ctx *ctx = NULL;
    lq_paged_opts opts = LQ_PAGED_OPTS_INIT;
    lq_paged *pool = NULL;
    void *data = NULL;
    lq_status status;

    opts.directory = folder;
    if (lq_ctx_create(NULL, &ctx, NULL) || lq_paged_create(ctx, &opts, &pool, NULL))
        return 0;
    status = lq_paged_alloc(pool, 1, NULL, &data, NULL);
    lq_paged_destroy(pool);
    lq_ctx_destroy(ctx);
    return status != LQ_ERR_UNSUPPORTED;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps),         cmocka_unit_test(some_paged),
        cmocka_unit_test(budget_kept),   cmocka_unit_test(trimming),
        cmocka_unit_test(all_fits),      cmocka_unit_test(killed),
        cmocka_unit_test(named),         cmocka_unit_test(bad_files),
#ifndef LQI_PAGES_PLAIN
        cmocka_unit_test(no_space),      cmocka_unit_test(in_memory),
#endif
        cmocka_unit_test(bad_arguments), cmocka_unit_test(no_memory),
    };
    int failed;

    if (!mkdtemp(folder))
        return 1;
    if (!can_page()) {
        rmdir(folder);
        return 77;
    }
    failed = cmocka_run_group_tests(tests, make_context, drop_context);
    return rmdir(folder) != 0 || failed;
}
