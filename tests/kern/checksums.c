/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checksums.c - exact sums of 8-bit panels (kernels/panel_sums.h) at every level,
 * for every number of columns, with bytes at their ends
 */
#include "common.h"
#include "kernels/kernels.h"

#define CHUNKS 3

static const lq_level levels[] = {
    LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI, LQ_LEVEL_AVX512_VNNI,
    LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON, LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM,
};

static uint64_t seed = 11;
static uint8_t  panel[CHUNKS * LQI_SUMS_CHUNK];
static int8_t   x[LQI_SUMS_MAX][CHUNKS * 256];

/* Round 0: what adds up to most, 1: to least; then anything. */
static void fill(int round)
{
    for (size_t i = 0; i < sizeof panel; i++)
        panel[i] = round < 2 ? 255 : (uint8_t)test_next(&seed);
    for (size_t t = 0; t < LQI_SUMS_MAX; t++)
        for (size_t c = 0; c < COUNT(x[t]); c++)
            x[t][c] = round == 0 ? 127 : round == 1 ? -128 : (int8_t)test_next(&seed);
}

static int32_t plain(int t, unsigned row, int32_t start)
{
    uint32_t sum = (uint32_t)start;

    for (size_t c = 0; c < CHUNKS * 256; c++) {
        size_t line = c / 256 * LQI_SUMS_CHUNK + 64 + c % 256 / 4 * 64;
        sum += (uint32_t)(panel[line + 4 * row + c % 4] * x[t][c]);
    }
    return (int32_t)sum;
}

static void check_columns(const lqi_panel_sums *sums, int count)
{
    static int32_t to[CHUNKS * 64 * LQI_SUMS_MAX];
    int32_t y[LQI_SUMS_MAX * LQI_PANEL_ROWS + 1];

    for (int t = 0; t < count; t++)
        for (int j = 0; j < CHUNKS * 64; j++)
            memcpy(&to[j * count + t], x[t] + 4 * j, 4);
    for (int i = 0; i <= count * LQI_PANEL_ROWS; i++)
        y[i] = 1000 - i;
    sums->run[count - 1](panel, CHUNKS, to, y);
    for (int i = 0; i < count * LQI_PANEL_ROWS; i++)
        assert_int_equal(y[i], plain(i / LQI_PANEL_ROWS, (unsigned)i % LQI_PANEL_ROWS, 1000 - i));
    assert_int_equal(y[count * LQI_PANEL_ROWS], 1000 - count * LQI_PANEL_ROWS);
}

static void every_level(void **state)
{
    lqi_kernels k;

    (void)state;
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lqi_level_usable(levels[l]))
            continue;
        lqi_kernels_init(&k, levels[l]);
        assert_in_range(k.sums->columns, 1, LQI_SUMS_MAX);
        for (int round = 0; round < 5; round++) {
            fill(round);
            for (int count = 1; count <= k.sums->columns; count++)
                check_columns(k.sums, count);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_level) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
