/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/grids.c - codebooks and their neighbours against the definition; formats
 * that need importances; rows with a header
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include <libquant/libquant.h>

#include "tests/golden/gguf_util.h"

/* ------------------------------------------------------------------ tables */

/* FNV-1a of each codebook's entries as bytes: pinned, from the expanded tables that give
 * the reference's bytes. */
static void test_tables(void **state)
{
    static const unsigned entries[] = { 0, 256, 512, 1024, 2048, 256, 512 };
    const lqi_grids *g = all_grids();
    uint8_t value[8];

    (void)state;
    for (int i = LQI_GRID_NONE + 1; i < LQI_GRIDS; i++) {
        const lqi_grid_kind *k = &lqi_grid_kinds[i];
        assert_int_equal(k->entries, entries[i]);
        for (unsigned e = 0; e < k->entries; e++) {
            lqi_grid_lookup(i, e, value);
            assert_memory_equal(value, g->value[i] + e * k->lanes, k->lanes);
            for (int lane = 0; lane < k->lanes; lane++)
                assert_int_equal(value[lane], k->value[g->digit[i][e * k->lanes + (unsigned)lane]]);
        }
    }
    /* corners: entry 0 is the lowest point, levels of the last one */
    static const uint8_t low[] = { 0, 8, 8, 8, 255, 4, 1 };
    for (int i = LQI_GRID_NONE + 1; i < LQI_GRIDS; i++)
        for (int lane = 0; lane < lqi_grid_kinds[i].lanes; lane++)
            assert_int_equal(g->value[i][lane], low[i]);
}

static int distance(const lqi_grid_kind *k, const uint8_t *digit, unsigned point)
{
    int sum = 0;

    for (int lane = 0; lane < k->lanes; lane++, point /= k->base) {
        int d = (int)(point % k->base) - digit[lane];
        sum += d * d;
    }
    return sum;
}

/* Entries at the K least distances, by distance, then number; by the definition. */
static void check_point(int grid, unsigned point)
{
    const lqi_grid_kind *k = &lqi_grid_kinds[grid];
    const lqi_near *near = lqi_grids_near(all_grids(), grid);
    const uint8_t *digit = all_grids()->digit[grid];
    int32_t place = near->place[point];
    int done = 0;

    if (place >= 0) {
        assert_int_equal(distance(k, digit + place * k->lanes, point), 0);
        return;
    }
    const uint16_t *list = lqi_near_list(near, place);
    unsigned count = lqi_near_count(place);
    unsigned n = 0;
    for (int d = 0; done < k->nearest; d++) {
        unsigned before = n;
        for (unsigned e = 0; e < k->entries; e++)
            if (distance(k, digit + e * k->lanes, point) == d)
                assert_int_equal(list[n++], lqi_grid_word(k->lanes, digit + e * k->lanes));
        done += n > before;
        assert_true(d > 0 || n == 0);
    }
    assert_int_equal(count, n);
    for (; n % LQI_NEAR_PAD; n++)
        assert_int_equal(list[n], list[count - 1]);
}

static void test_neighbours(void **state)
{
    (void)state;
    for (int i = LQI_GRID_NONE + 1; i < LQI_GRIDS; i++)
        for (unsigned point = 0; point < lqi_grid_kinds[i].points; point += 1 + point % 7)
            check_point(i, point);
}

/* ---------------------------------------------------------------- building */

struct budget {
    int left, live;
};

static void *take(void *user, size_t size, size_t align)
{
    struct budget *b = user;

    (void)align;
    if (b->left == 0)
        return NULL;
    b->left--;
    b->live++;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void give(void *user, void *memory)
{
    ((struct budget *)user)->live -= memory != NULL;
    free(memory);
}

static lq_status need_two(const lqi_grids *g)
{
    lq_status status = lqi_grids_need(g, LQI_GRID_IQ3_S);

    return status ? status : lqi_grids_need(g, LQI_GRID_IQ1);
}

static void test_memory_runs_out(void **state)
{
    lq_status status = LQ_ERR_NOMEM;

    (void)state;
    for (int most = 0; status; most++) {
        struct budget b = { most, 0 };
        const lq_allocator allocator = { take, give, &b };
        lqi_grids *g = lqi_grids_create(&allocator);
        status = g ? need_two(g) : LQ_ERR_NOMEM;
        assert_true(status == LQ_OK || status == LQ_ERR_NOMEM);
        if (status && g) {            /* what failed can be tried again */
            b.left = 10;
            assert_int_equal(need_two(g), LQ_OK);
        }
        if (g) {
            b.left = 0;               /* and what is there is not built again */
            assert_int_equal(need_two(g), LQ_OK);
            assert_int_equal(lqi_grids_need(g, LQI_GRID_IQ2_S), LQ_ERR_NOMEM);
        }
        lqi_grids_destroy(g);
        assert_int_equal(b.live, 0);
    }
}

static void *prepare(void *ctx)
{
    return (void *)(intptr_t)lq_ctx_prepare(ctx);
}

static void test_prepare(void **state)
{
    lq_ctx *ctx = NULL;
    pthread_t thread[4];
    void *status;

    (void)state;
    assert_int_equal(lq_ctx_prepare(NULL), LQ_ERR_ARG);
    assert_int_equal(lq_ctx_create(NULL, &ctx, NULL), LQ_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, prepare, ctx), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], &status);
        assert_null(status);
    }
    assert_int_equal(lq_ctx_prepare(ctx), LQ_OK);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------- through the library */

static void fill(float *x, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_normal(&seed);
}

/* Encoded by the library as by the format's own function; refused without importances
 * where the format cannot do without. */
static void test_importances(void **state)
{
    static float x[3 * 512], imp[512];
    static uint8_t row[4 * 512];
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    lq_shape shape = { 1, 3, 512 };
    lq_ctx *ctx = NULL;

    (void)state;
    assert_int_equal(lq_ctx_create(NULL, &ctx, NULL), LQ_OK);
    fill(x, 3 * 512, 11);
    for (int i = 0; i < 512; i++)
        imp[i] = 1 + (float)(i % 7);
    for (int i = 0; i < LQI_FORMATS; i++) {
        const lqi_format *f = lqi_formats[i];
        lq_spec spec = LQ_SPEC_INIT;
        lq_tensor *t = NULL;
        lq_error error = LQ_ERROR_INIT;
        if (!f->grid && !f->fit_row)
            continue;
        spec.format = f->id;
        assert_int_equal(lq_tensor_encode(ctx, &spec, &shape, LQ_F32, x, NULL, &t, &error),
                         f->needs_imp ? LQ_ERR_ARG : LQ_OK);
        lq_tensor_destroy(t);
        t = NULL;
        opts.importance = imp;
        assert_int_equal(lq_tensor_encode(ctx, &spec, &shape, LQ_F32, x, &opts, &t, &error), LQ_OK);
        assert_int_equal(lq_tensor_check(t, NULL), LQ_OK);
        const uint8_t *codes = lq_tensor_plane(t, LQ_PLANE_CODES, NULL);
        for (size_t r = 0; r < 3; r++) {
            encode_row(f, x + 512 * r, imp, 512, row);
            assert_memory_equal(codes + r * row_bytes(f, 512), row, row_bytes(f, 512));
        }
        lq_tensor_destroy(t);
    }
    lq_ctx_destroy(ctx);
}

/* Numbers too large for a format are refused, and so are importances that overflow. */
static void test_refusals(void **state)
{
    static float x[512], imp[512];
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    lq_shape shape = { 1, 1, 512 };
    lq_ctx *ctx = NULL;

    (void)state;
    assert_int_equal(lq_ctx_create(NULL, &ctx, NULL), LQ_OK);
    for (int i = 0; i < LQI_FORMATS; i++)
        for (int huge = 0; huge < 2; huge++) {
            lq_spec spec = LQ_SPEC_INIT;
            lq_tensor *t = NULL;
            if (!lqi_formats[i]->grid)
                continue;
            spec.format = lqi_formats[i]->id;
            fill(x, 512, 12);
            for (int k = 0; k < 512; k++)
                imp[k] = huge ? 3e38f : 1;
            x[300] = huge ? 1 : 1e30f;
            opts.importance = imp;
            lq_status status = lq_tensor_encode(ctx, &spec, &shape, LQ_F32, x, &opts, &t, NULL);
            if (huge && status == LQ_OK)
                print_message("%s: takes importances of 3e38\n", lqi_formats[i]->name);
            assert_true(status == LQ_ERR_NUMERIC || (huge && status == LQ_OK));
            lq_tensor_destroy(t);
        }
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------- row headers */

static void test_row_header(void **state)
{
    enum { COLS = 4608, BYTES = 4 + 18 * 136 };   /* more than the core's piece */
    static float x[3 * COLS], y[3 * COLS], part[256];
    const lqi_format *f = lqi_format_by_name("iq4_ks");
    lq_shape shape = { 1, 3, COLS };
    lq_spec spec = LQ_SPEC_INIT;
    lq_ctx *ctx = NULL;
    lq_tensor *t = NULL;
    uint64_t bytes;
    double error = 0, sum = 0;

    (void)state;
    assert_non_null(f);
    spec.format = f->id;
    assert_int_equal(lq_spec_bytes(&spec, &shape, &bytes), LQ_OK);
    assert_int_equal(bytes, 3 * BYTES);
    assert_int_equal(lq_ctx_create(NULL, &ctx, NULL), LQ_OK);
    fill(x, 3 * COLS, 13);
    for (int i = 0; i < COLS; i++) {
        x[COLS + i] *= 1e-30f;          /* each row has its own scale */
        x[2 * COLS + i] = 0;
    }
    assert_int_equal(lq_tensor_encode(ctx, &spec, &shape, LQ_F32, x, NULL, &t, NULL), LQ_OK);
    assert_int_equal(lq_tensor_decode(t, LQ_F32, y), LQ_OK);
    for (int i = 0; i < 2 * COLS; i++) {
        double unit = i < COLS ? 1 : 1e30, d = (double)(x[i] - y[i]) * unit;
        error += d * d;
        sum += (double)x[i] * unit * ((double)x[i] * unit);
    }
    print_message("iq4_ks: relative RMS error %.5f\n", sqrt(error / sum));
    assert_true(error < 0.078 * 0.078 * sum);
    for (int i = 2 * COLS; i < 3 * COLS; i++)
        assert_true(y[i] == 0);

    uint8_t *codes = lq_tensor_plane(t, LQ_PLANE_CODES, NULL);
    for (size_t at = 0; at < COLS; at += 256) {   /* a decoder that starts inside a row */
        decode_run(f, codes + BYTES, at, 256, part);
        assert_int_equal(first_difference(part, y + COLS + at, 256), 256);
    }
    assert_int_equal(lq_tensor_check(t, NULL), LQ_OK);
    lqi_store32(codes + BYTES, 0x7f800000);
    assert_int_equal(lq_tensor_check(t, NULL), LQ_ERR_NONFINITE);
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
}

/* A row by hand: d = 2, sub-block 0 with s = 130 (scale 3, first table), sub-block 1 with
 * s = 1 (scale -127, second table). */
static void test_iq4_ks_layout(void **state)
{
    const lqi_format *f = lqi_format_by_name("iq4_ks");
    uint8_t row[4 + 136] = { 0, 0, 0, 0x40, 130, 1 };
    float y[256];

    (void)state;
    row[12] = 0xf0;        /* weight 0: code 0, weight 16: code 15 */
    row[12 + 16] = 0x87;   /* weight 32: code 7, weight 48: code 8 */
    decode_run(f, row, 0, 256, y);
    assert_true(y[0] == 6 * -127.0f && y[16] == 6 * 113.0f);
    assert_true(y[32] == -254 * -6.0f && y[48] == -254 * 5.0f);
}

/* ------------------------------------------------------- defects in the bytes */

/* IQ3_S: after a sub-block of zeros the rest moves up; a superblock decodes to garbage,
 * which is what the reference stores. */
static void test_iq3_s_gap(void **state)
{
    const lqi_format *f = lqi_format_by_name("iq3_s");
    float x[256];
    uint8_t with[110], without[110];

    (void)state;
    fill(x, 256, 14);
    encode_row(f, x, NULL, 256, without);
    memset(x + 96, 0, 32 * sizeof *x);
    encode_row(f, x, NULL, 256, with);
    assert_memory_equal(with + 2, without + 2, 24);              /* entries before */
    for (int i = 0; i < 8; i++)
        assert_int_equal(with[2 + 56 + i], 0);                   /* the last place */
    for (int i = 0; i < 4; i++)
        assert_int_equal(with[74 + 28 + i], 0);
    assert_memory_equal(with + 74 + 12, without + 74 + 16, 16);  /* signs moved */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_memory_runs_out), cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_importances),  cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_row_header),   cmocka_unit_test(test_iq4_ks_layout),
        cmocka_unit_test(test_iq3_s_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
