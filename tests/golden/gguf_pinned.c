/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/gguf_pinned.c - hashes of many encoded rows
 *
 * The reference's vectors are few rows; one rounding in another place can miss them all.
 * These rows are made from integers alone, so that every machine has the same, and the
 * hashes were found equal for two encoders written apart from each other.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "lib/base/half.h"
#include "tests/golden/gguf_util.h"

#define COLS 1024
#define ROWS 384

/* In (-1, 1), exact. */
static float uniform(uint64_t *seed)
{
    return (float)((int)(random_bits(seed) >> 7) - (1 << 24)) * 0x1p-24f;
}

/* One of eight shapes of rows, of magnitude 2^-12 to 2^3. */
static float element(uint64_t *seed, int row, int col)
{
    float u = uniform(seed), v = uniform(seed), scale = lqi_bits_float((115u + row % 16) << 23);

    switch (row / 16 % 8) {
    case 0: return scale * (u + v);
    case 1: return scale * (u * v);                      /* heavy in the middle */
    case 2: return scale * (v > 0.97f ? 40 * u : u);     /* outliers */
    case 3: return col / 32 % 3 == 1 ? 0 : scale * u;    /* zero sub-blocks */
    case 4: return scale * (float)(int)(u * 6);          /* ties */
    case 5: return scale * (1 + u * 0x1p-18f);           /* nearly constant */
    case 6: return scale * fabsf(u + v);
    default: return col / 16 % 5 == 1 ? scale * u * 0x1p-20f : scale * u * u * v;
    }
}

static float importance(uint64_t *seed, int row)
{
    float u = uniform(seed), v = uniform(seed);

    return row % 3 == 0 && v > 0.3f ? 0 : u * u * v * v;
}

static void make_row(uint64_t *seed, int row, float *x, float *imp)
{
    for (int c = 0; c < COLS; c++) {
        x[c] = element(seed, row, c);
        imp[c] = importance(seed, row);
    }
}

static uint64_t hash_rows(const lqi_format *f, int weighted)
{
    float x[COLS], imp[COLS];
    uint8_t q[4 * COLS];
    uint64_t seed = 7, hash = 0;

    for (int r = 0; r < ROWS; r++) {
        make_row(&seed, r, x, imp);
        encode_row(f, x, weighted ? imp : NULL, COLS, q);
        hash = hash * 31 + fnv_bytes(q, row_bytes(f, COLS));
    }
    return hash;
}

static void test_pinned(void **state)
{
    static const struct { const char *name; uint64_t plain, weighted; } pinned[] = {
        { "q8_0", 0xf4072b2829fab4b6, 0xf4072b2829fab4b6 },
        { "q4_0", 0x3fd323d975bda551, 0xdb04d850d4d6d14e },
        { "q4_k", 0x3eb83a341ade9bff, 0xd25db785e723fa58 },
        { "q6_k", 0x2ac077e0f5bf3056, 0x42df0a0c040cd020 },
        { "q4_1", 0x234db6369b8fe95a, 0x55242dddcd01730f },
        { "q5_0", 0x438b39c150eb89b6, 0x3dd0730b86cb9f2a },
        { "q5_1", 0x96c0cba70355bba9, 0xa0e1714634a88f2c },
        { "q8_1", 0x37b8a16e5fac9a79, 0x37b8a16e5fac9a79 },
        { "q2_k", 0x8ac60f7b7a4a6af8, 0xedb2c3740a277aca },
        { "q3_k", 0x4a87df3b92890723, 0x3bd960dbe0be8c22 },
        { "q5_k", 0x24a8518d22578eed, 0xf8a093836ea8052d },
        { "q8_k", 0x52630ce4127c3416, 0x52630ce4127c3416 },
        { "iq4_nl", 0x056c2258968ea1e4, 0xdd1e3d2d2e5673ce },
        { "iq4_xs", 0xb128098aa9e7b45d, 0x47e1d9c099c4f1cf },
        { "tq1_0", 0xea050fcb3d1280ab, 0xea050fcb3d1280ab },
        { "tq2_0", 0xd642f9e2ea293b35, 0xd642f9e2ea293b35 },
        { "q1_0", 0x8493a19f2d4d8d5d, 0x8493a19f2d4d8d5d },
        { "q2_0", 0xb3dd037cca177134, 0xb3dd037cca177134 },
        { "mxfp4_gguf", 0x53ebb0b325f29010, 0x53ebb0b325f29010 },
        { "nvfp4_gguf", 0xf84eeb1405a2ec15, 0xf84eeb1405a2ec15 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++) {
        const lqi_format *f = lqi_format_by_name(pinned[i].name);
        uint64_t plain = hash_rows(f, 0), weighted = hash_rows(f, 1);
        if (plain != pinned[i].plain || weighted != pinned[i].weighted)
            fail_msg("%s: hashes are 0x%016llx, 0x%016llx", f->name, (unsigned long long)plain,
                     (unsigned long long)weighted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pinned) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
