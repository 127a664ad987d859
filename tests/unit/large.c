/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/large.c - tensors of more than 2^31 weights and 2^32 bytes
 *
 * The planes are address space without memory behind it: only the pages that a row
 * touches become real.
 */
#include <sys/mman.h>

#include "common.h"

#define ROWS 70000u
#define COLS 65536u   /* 4.6e9 weights */

static float x[COLS], y[COLS];

static void *reserve(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void last_rows(void **state)
{
    static const char *const some[] = { "q8_0", "q4_k", "nf4:b64", "nf4:b64:dq", "int8:ch",
                                        "int4:g128:zp", "fp8_e4m3:128x128" };
    lq_ctx *ctx = test_ctx(0, 1);
    uint64_t seed = 3;

    (void)state;
    for (size_t i = 0; i < COUNT(some); i++) {
        lq_spec spec = test_spec(some[i]);
        lq_shape shape = { 1, ROWS, COLS }, one = { 1, 1, COLS };
        lq_rows rows = LQ_ROWS_INIT;
        uint64_t bytes[LQ_PLANES];
        rows.spec = &spec;
        rows.rows = ROWS;
        rows.cols = COLS;
        for (int p = 0; p < LQ_PLANES; p++) {
            assert_int_equal(lq_plane_bytes(&spec, p, &shape, &bytes[p]), LQ_OK);
            if (bytes[p] && !(rows.plane[p] = reserve(bytes[p])))
                skip();
        }
        assert_true(bytes[0] > UINT32_MAX / 2);
        /* the last row's bytes lie at the end of each plane */
        for (int p = 0; p < LQ_PLANES; p++) {
            uint64_t n;
            assert_int_equal(lq_plane_bytes(&spec, p, &one, &n), LQ_OK);
            for (uint64_t k = 0; k < n && k < bytes[p]; k++)
                ((uint8_t *)rows.plane[p])[bytes[p] - 1 - k] = (uint8_t)(test_next(&seed) & 0x3b);
        }
        /* the same bytes as a tensor of one row */
        lq_tensor *t = NULL;
        assert_int_equal(lq_tensor_create(ctx, &spec, &one, &t, NULL), LQ_OK);
        for (int p = 0; p < LQ_PLANES; p++) {
            uint64_t n;
            void *to = lq_tensor_plane(t, p, &n);
            if (n && p != LQ_PLANE_SCALE2)
                memcpy(to, (uint8_t *)rows.plane[p] + bytes[p] - n, n);
        }
        assert_int_equal(lq_decode_rows(ctx, &rows, ROWS - 1, 1, LQ_F32, y, COLS), LQ_OK);
        assert_int_equal(lq_tensor_decode(t, LQ_F32, x), LQ_OK);
        if (!spec.scale2_block)   /* whose blocks of scales begin elsewhere in one row */
            assert_memory_equal(x, y, sizeof x);
        lq_tensor_destroy(t);
        for (int p = 0; p < LQ_PLANES; p++)
            if (rows.plane[p])
                munmap(rows.plane[p], bytes[p]);
    }
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(last_rows) };
    return sizeof(size_t) < 8 ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
}
