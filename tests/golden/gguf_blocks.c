/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/gguf_blocks.c - what every blocked format of the registry promises
 *
 * Walks the registry: a new format needs no code here, except a line in 'quality'.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/base/half.h"
#include "tests/golden/gguf_util.h"

#define COLS (4 * LQI_BLOCK_MAX)

static const lqi_format *blocked(int i)
{
    return lqi_formats[i]->storage == LQ_BLOCKED ? lqi_formats[i] : NULL;
}

/* ---------------------------------------------------------- any bytes at all */

static void check_lossless(const lqi_format *f, const uint8_t *row, size_t cols)
{
    block_param param;
    uint32_t codes[LQI_BLOCK_MAX];
    uint8_t again[4 * LQI_BLOCK_MAX];

    for (size_t i = f->row_bytes; i < row_bytes(f, cols); i += f->block_bytes) {
        f->unpack(row + i, &param, codes);
        f->pack(&param, codes, again);
        if (memcmp(again, row + i, f->block_bytes))
            fail_msg("%s: pack(unpack()) changed a block", f->name);
    }
}

/* All lengths that end inside a block or at its end, from every block. */
static void check_runs(const lqi_format *f, const uint8_t *row, const float *y)
{
    float part[COLS + 1];

    for (size_t first = 0; first < COLS; first += 97 * f->block_len)
        for (size_t n = 0; first + n <= COLS; n += n < 300 ? 1 : 53) {
            part[n] = 12345;
            decode_run(f, row, first, n, part);
            if (first_difference(part, y + first, n) != n)
                fail_msg("%s: a run of %zu from %zu decodes differently", f->name, n, first);
            assert_true(part[n] == 12345);
        }
}

static void check_block_row(const lqi_format *f, const uint8_t *row)
{
    float y[COLS], z[COLS];

    decode_run(f, row, 0, COLS, y);
    value_row(f, row, COLS, z);
    if (first_difference(y, z, COLS) != COLS)
        fail_msg("%s: decode is not value(unpack())", f->name);
    check_lossless(f, row, COLS);
}

static void test_random_bytes(void **state)
{
    uint8_t row[4 * COLS];
    float y[COLS];
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < LQI_FORMATS; i++)
        for (int round = 0; round < 50 && blocked(i); round++) {
            for (size_t k = 0; k < sizeof row; k++)
                row[k] = (uint8_t)random_bits(&seed);
            check_block_row(blocked(i), row);
            decode_run(blocked(i), row, 0, COLS, y);
            if (round == 0)
                check_runs(blocked(i), row, y);
        }
}

/* ------------------------------------------------------- any numbers at all */

/* Numbers of every kind, in the mixtures that 'mix' selects. */
static float odd_number(uint64_t *seed, uint32_t mix)
{
    static const float odd[] = {
        0.0f, -0.0f, 1e-45f, -1e-40f, 1e-38f, 1e-30f, -1e-20f, 1e-16f,
        1e16f, -1e19f, 1e25f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN,
    };
    uint32_t bits = random_bits(seed);

    if (mix == 31)
        return lqi_bits_float(bits);
    if (bits % 32 < mix)
        return odd[(bits >> 8) % (sizeof odd / sizeof *odd)];
    return random_normal(seed);
}

/* Same bytes twice, and they decode consistently; the sanitizers look for the rest. */
static void encode_odd(const lqi_format *f, uint32_t mix, int weighted, uint64_t *seed)
{
    float x[COLS], imp[COLS];
    uint8_t row[4 * COLS], again[4 * COLS];

    for (size_t k = 0; k < COLS; k++) {
        x[k] = odd_number(seed, mix);
        imp[k] = odd_number(seed, mix);
    }
    encode_row(f, x, weighted ? imp : NULL, COLS, row);
    encode_row(f, x, weighted ? imp : NULL, COLS, again);
    assert_memory_equal(row, again, row_bytes(f, COLS));
    check_block_row(f, row);
}

static void test_odd_numbers(void **state)
{
    static const uint32_t mixes[] = { 0, 1, 2, 8, 16, 31 };
    uint64_t seed = 2;

    (void)state;
    for (int i = 0; i < LQI_FORMATS; i++)
        for (uint32_t m = 0; m < 6 && blocked(i); m++)
            for (int round = 0; round < 10; round++)
                encode_odd(blocked(i), mixes[m], round & 1, &seed);
}

/* Frozen parameters, as GPTQ and requantizing use them, take any numbers too; and
 * rounding decoded values with their own parameters gives these values back. */
static void round_again(const lqi_format *f, const uint8_t *block, uint64_t *seed)
{
    block_param param;
    uint32_t codes[LQI_BLOCK_MAX];
    float x[LQI_BLOCK_MAX], y[LQI_BLOCK_MAX];
    lqi_fit in = { .x = x, .n = f->block_len, .grids = all_grids() };
    uint8_t odd[4 * LQI_BLOCK_MAX];

    unpack_block(f, block, 0, &param, codes);
    f->value(NULL, &param, codes, f->block_len, x);
    f->round(&in, &param, codes);
    f->value(NULL, &param, codes, f->block_len, y);
    for (size_t k = 0; k < f->block_len; k++)
        if (x[k] != y[k])
            fail_msg("%s: %a became %a", f->name, (double)x[k], (double)y[k]);

    for (size_t k = 0; k < f->block_len; k++)
        x[k] = odd_number(seed, 8);
    f->round(&in, &param, codes);
    f->pack(&param, codes, odd + f->row_bytes);
    check_lossless(f, odd, f->block_len);
}

static void test_frozen(void **state)
{
    float x[LQI_BLOCK_MAX];
    uint8_t block[4 * LQI_BLOCK_MAX];
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < LQI_FORMATS; i++)
        for (int round = 0; round < 50 && blocked(i); round++) {
            for (size_t k = 0; k < LQI_BLOCK_MAX; k++)
                x[k] = random_normal(&seed);
            encode_row(blocked(i), x, NULL, blocked(i)->block_len, block);
            round_again(blocked(i), block, &seed);
        }
}

/* ------------------------------------------------------------------- check */

/* The largest magnitude that does not make a block illegal, or 0: the format leaves it
 * to the core, by max_abs. */
static float legal_up_to(const lqi_format *f)
{
    if (f->max_abs > 0)
        return 0;
    return f->dtype == LQ_F16 || (f->block_len > 1 && f->id != LQ_FORMAT_GGUF_MXFP4 &&
                                  f->id != LQ_FORMAT_Q8_K) ? 65504 : FLT_MAX;
}

/* Blocks of normal numbers are legal; those whose scale or number overflows are not. */
static void test_check(void **state)
{
    static const float high[] = { 1, 1e30f, -1e30f, INFINITY, -INFINITY };
    float x[LQI_BLOCK_MAX];
    uint8_t block[4 * LQI_BLOCK_MAX];
    uint64_t seed = 4;

    (void)state;
    for (int i = 0; i < LQI_FORMATS; i++)
        for (size_t h = 0; h < sizeof high / sizeof *high && blocked(i); h++) {
            const lqi_format *f = blocked(i);
            int bad = fabsf(high[h]) > legal_up_to(f);
            for (size_t k = 0; k < LQI_BLOCK_MAX; k++)
                x[k] = random_normal(&seed);
            x[0] = high[h];
            encode_row(f, x, NULL, f->block_len, block);
            if (h > 0 && legal_up_to(f) == 0)
                continue;
            if (f->check(block + f->row_bytes) != (bad && h > 0 ? LQ_ERR_NONFINITE : LQ_OK))
                fail_msg("%s: check is wrong about %g", f->name, (double)high[h]);
        }
}

/* --------------------------------------------------------------- own cases */

/* Exact halves, which the reference's vectors do not have: away from zero, and the
 * float below one half down. */
static void test_q8_0_halves(void **state)
{
    static const float x[] = { 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 126.5f, 0x1.fffffep-2f, 127 };
    static const uint8_t code[] = { 1, 255, 2, 3, 253, 127, 0, 127 };
    const lqi_format *f = lqi_format_by_name("Q8_0");
    float row[32] = { 0 };
    uint8_t block[34];

    (void)state;
    assert_non_null(f);
    memcpy(row, x, sizeof x);
    encode_row(f, row, NULL, 32, block);
    assert_int_equal(lqi_load16(block), 0x3c00);   /* d = 1 */
    assert_memory_equal(block + 2, code, sizeof code);
}

/* The exponent of MXFP4 is that of log2f, rounded to a float: the last numbers below a
 * power of two count as the power.  No case of the reference's comes near. */
static void test_mxfp4_exponents(void **state)
{
    const lqi_format *f = lqi_format_by_id(LQ_FORMAT_GGUF_MXFP4);
    float x[32] = { 0 };
    uint8_t block[17];

    (void)state;
    for (uint32_t k = 2; k < 255; k++)
        for (uint32_t last = 0; last <= 64; last++) {
            x[7] = lqi_bits_float((k << 23) - last);
            int power = (int)floorf((float)log2((double)x[7]));
            encode_row(f, x, NULL, 32, block);
            if (block[0] != (power + 125 > 0 ? power + 125 : 0))
                fail_msg("%a has the exponent %d", (double)x[7], block[0] - 125);
        }
    x[7] = FLT_MAX;   /* log2f: 128 */
    encode_row(f, x, NULL, 32, block);
    assert_int_equal(block[0], 253);
    x[7] = 0x1p-140f;
    encode_row(f, x, NULL, 32, block);
    assert_int_equal(block[0], 0);
    assert_int_equal(f->check(block), LQ_OK);
}

/* 4-bit floats: ties on both sides go towards zero, what is next to them to the nearest. */
static void test_e2m1_ties(void **state)
{
    static const float middle[] = { 0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10 };
    const lqi_format *f = lqi_format_by_id(LQ_FORMAT_GGUF_NVFP4);
    float x[64] = { 12 };
    uint8_t block[36];
    uint32_t codes[64];
    uint64_t param[8];

    (void)state;
    for (int m = 0; m < 7; m++) {
        x[1 + m] = m & 1 ? -middle[m] : middle[m];
        x[8 + m] = nextafterf(-x[1 + m], m & 1 ? INFINITY : -INFINITY);
    }
    encode_row(f, x, NULL, 64, block);
    assert_int_equal(block[0], 0x40);   /* 12 / 6 = 2 */
    f->unpack(block, param, codes);
    for (uint32_t m = 0; m < 7; m++) {
        assert_int_equal(codes[1 + m], m & 1 ? m + 8 : m);
        assert_int_equal(codes[8 + m], m & 1 ? m + 1 : m + 9);
    }
}

/* All 256 bytes of ternary digits, whose order no other test would notice. */
static void test_tq1_0_digits(void **state)
{
    const lqi_format *f = lqi_format_by_id(LQ_FORMAT_TQ1_0);
    uint8_t block[54] = { 0 };
    float y[256];

    (void)state;
    lqi_store16(block + 52, 0x3c00);   /* d = 1 */
    for (int byte = 0; byte < 256; byte++) {
        uint32_t digits = (uint32_t)byte * 243 / 256;
        block[3] = block[33] = block[50] = (uint8_t)byte;
        decode_run(f, block, 0, 256, y);
        for (uint32_t n = 0, unit = 81; n < 5; n++, unit /= 3) {
            float digit = (float)(int)(digits / unit % 3) - 1;
            assert_true(y[32 * n + 3] == digit && y[160 + 16 * n + 1] == digit);
            assert_true(n == 4 || y[240 + 4 * n + 2] == digit);
        }
    }
}

/* Zero blocks: what the reference stores, which is not always the code of 0. */
static void test_zero(void **state)
{
    static const struct { const char *name; int weighted; uint8_t last; } cases[] = {
        { "f32", 0, 0 },  { "f16", 0, 0 },     { "bf16", 1, 0 }, { "q8_0", 0, 0 },
        { "q4_0", 1, 0 }, { "q4_0", 0, 0x88 }, { "q4_k", 0, 0 }, { "q4_k", 1, 0 },
        { "q6_k", 0, 0 }, { "q6_k", 1, 0 },
        { "q4_1", 0, 0 }, { "q4_1", 1, 0 },    { "q5_1", 0, 0 }, { "q5_1", 1, 0 },
        { "q5_0", 0, 0 }, { "q5_0", 1, 0 },    { "q8_1", 0, 0 }, { "q8_k", 0, 0 },
        { "q2_k", 0, 0 }, { "q2_k", 1, 0 },    { "q3_k", 0, 0 }, { "q3_k", 1, 0 },
        { "q5_k", 0, 0 }, { "q5_k", 1, 0 },    { "iq4_nl", 0, 0x88 },
        { "iq4_nl", 1, 0x88 }, { "iq4_xs", 0, 0x88 }, { "iq4_xs", 1, 0x88 },
        { "tq1_0", 0, 0 }, { "tq2_0", 0, 0 },  { "q1_0", 0, 0xff }, { "q2_0", 0, 0x55 },
        { "mxfp4_gguf", 0, 0 }, { "nvfp4_gguf", 0, 0 },
    };
    float x[LQI_BLOCK_MAX] = { 0 }, y[LQI_BLOCK_MAX], imp[LQI_BLOCK_MAX];
    uint8_t block[4 * LQI_BLOCK_MAX];

    (void)state;
    for (int k = 0; k < LQI_BLOCK_MAX; k++)
        imp[k] = 1;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const lqi_format *f = lqi_format_by_name(cases[c].name);
        encode_row(f, x, cases[c].weighted ? imp : NULL, f->block_len, block);
        int where = f->gguf == 14 ? 0 : f->block_bytes - 1;   /* Q6_K: codes come first */
        assert_int_equal(block[where], cases[c].last);
        decode_run(f, block, 0, f->block_len, y);
        for (int k = 0; k < f->block_len; k++)
            assert_true(y[k] == 0);
    }
}

/* ----------------------------------------------------------------- quality */

typedef struct quality {
    const char *name;
    int         weighted;      /* with importances, all 1 */
    double      least, most;   /* relative RMS error */
} quality;

static double relative_error(const lqi_format *f, const float *imp)
{
    float x[COLS], y[COLS];
    uint8_t row[4 * COLS];
    double error = 0, sum = 0;
    uint64_t seed = 5;

    for (int r = 0; r < 16; r++) {
        for (size_t k = 0; k < COLS; k++)
            x[k] = random_normal(&seed);
        encode_row(f, x, imp, COLS, row);
        decode_run(f, row, 0, COLS, y);
        for (size_t k = 0; k < COLS; k++) {
            error += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
            sum += (double)x[k] * x[k];
        }
    }
    return sqrt(error / sum);
}

/* Normal rows.  The ceilings are what the reference's bytes give, and one per cent. */
static void test_quality(void **state)
{
    static const quality table[] = {
        { "f32", 0, 0, 0 },            { "f16", 0, 0.0001, 0.0003 },
        { "bf16", 0, 0.001, 0.0025 },  { "q8_0", 0, 0.0050, 0.00544 },
        { "q4_0", 0, 0.080, 0.0878 },  { "q4_0", 1, 0.070, 0.0835 },
        { "q4_k", 0, 0.065, 0.0725 },  { "q4_k", 1, 0.060, 0.0721 },
        { "q6_k", 0, 0.016, 0.0181 },  { "q6_k", 1, 0.015, 0.0177 },
        { "q4_1", 0, 0.073, 0.0794 },        { "q4_1", 1, 0.066, 0.0711 },
        { "q5_0", 0, 0.040, 0.0436 },        { "q5_0", 1, 0.038, 0.0415 },
        { "q5_1", 0, 0.036, 0.0386 },        { "q5_1", 1, 0.032, 0.0342 },
        { "q8_1", 0, 0.005, 0.0054 },        { "q8_k", 0, 0.007, 0.0071 },
        { "q2_k", 0, 0.276, 0.2997 },        { "q2_k", 1, 0.251, 0.2721 },
        { "q3_k", 0, 0.141, 0.1536 },        { "q3_k", 1, 0.135, 0.1466 },
        { "q5_k", 0, 0.034, 0.0368 },        { "q5_k", 1, 0.033, 0.0358 },
        { "iq4_nl", 0, 0.072, 0.0778 },      { "iq4_nl", 1, 0.070, 0.0765 },
        { "iq4_xs", 0, 0.072, 0.0785 },      { "iq4_xs", 1, 0.071, 0.0772 },
        { "tq1_0", 0, 0.758, 0.8229 },       { "tq2_0", 0, 0.758, 0.8229 },
        { "q1_0", 0, 0.558, 0.6059 },        { "q2_0", 0, 0.677, 0.7350 },
        { "mxfp4_gguf", 0, 0.107, 0.1165 },  { "nvfp4_gguf", 0, 0.088, 0.0958 },
    };
    float imp[COLS];

    (void)state;
    for (size_t k = 0; k < COLS; k++)
        imp[k] = 1;
    for (size_t c = 0; c < sizeof table / sizeof *table; c++) {
        const quality *q = &table[c];
        double rms = relative_error(lqi_format_by_name(q->name), q->weighted ? imp : NULL);
        const char *how = q->weighted ? " weighted" : "";
        print_message("%s%s: relative RMS error %.5f\n", q->name, how, rms);
        assert_true(rms <= q->most && rms >= q->least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_odd_numbers),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_q8_0_halves),
        cmocka_unit_test(test_mxfp4_exponents),
        cmocka_unit_test(test_e2m1_ties),
        cmocka_unit_test(test_tq1_0_digits),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_quality),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
