/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/checkfloats.c - kernels of panels of floats against float64, and each other
 *
 * Panels are random bytes without NaN and infinities, denormals among them; products are
 * computed again from the layout in kernels/panel.h, and the bits must be the same at every
 * level and for every number of columns.
 */
#include "common.h"
#include "kernels/kernels.h"
#include "panel_plain.h"

#define CHUNKS 3
#define COLS   (CHUNKS * 256)
#define WIDEST 8

static const lq_level levels[] = {
    LQ_LEVEL_REF, LQ_LEVEL_AVX2, LQ_LEVEL_AVX2_VNNI, LQ_LEVEL_AVX512_VNNI,
    LQ_LEVEL_AVX512_BF16, LQ_LEVEL_NEON, LQ_LEVEL_NEON_DOTPROD, LQ_LEVEL_NEON_I8MM,
};

static uint64_t seed = 7;
static uint8_t  panel[CHUNKS * PANEL_CHUNK_MAX + 64];
static float    x[WIDEST][COLS], want[WIDEST][LQI_PANEL_ROWS];

/* A float that is a number. */
static uint8_t any_byte(const lqi_panel *p)
{
    unsigned most = p->shift == 4 ? 0x7e : 0x7b;

    return (uint8_t)(test_next(&seed) % (most + 1) | (test_next(&seed) & 0x80));
}

/* A panel as lib/core/panel.c would make it. */
static lqi_panel any_panel(int codes, int shape, int shift)
{
    lqi_panel p = { .codes = (uint8_t)codes, .shape = (uint8_t)shape, .shift = (uint8_t)shift,
                    .factor = shift == 4 ? 0x1p60f : 0x1p52f };

    lqi_panel_measure(&p);
    for (int i = 0; i < 64; i++)
        p.table[i] = any_byte(&p);
    return p;
}

/* Where the scale of a column's step lies. */
static size_t scale_at(const lqi_panel *p, size_t col, unsigned row)
{
    size_t chunk = col / 256 * p->chunk_bytes, in = col % 256;

    if (p->shape == LQI_F32_E8M0)
        return chunk + in / 64 * (32u + 128u * p->bits) + in / 32 % 2 * 16 + row;
    return chunk + 4 * row + (p->shape == LQI_F128_F32 ? in / 128 * 64 : 0);
}

static void fill_panel(const lqi_panel *p)
{
    for (size_t i = 0; i < CHUNKS * p->chunk_bytes; i++)
        panel[i] = any_byte(p);
    for (size_t col = 0; col < COLS; col += 32)
        for (unsigned row = 0; row < LQI_PANEL_ROWS; row++) {
            float scale = (0.5f + (float)(test_next(&seed) % 1000) / 700);
            if (p->shape == LQI_F32_E8M0)
                panel[scale_at(p, col, row)] = (uint8_t)(100 + test_next(&seed) % 40);
            else
                memcpy(panel + scale_at(p, col, row), &scale, 4);
        }
}

static double weight(const lqi_panel *p, size_t col, unsigned row)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];
    const uint8_t *unit = panel + col / 256 * p->chunk_bytes + g->front +
                          col % 256 / 64 * (g->head + 128u * p->bits) + g->head +
                          col / 32 % 2 * 64 * p->bits;
    unsigned code = panel_code(p->bits, unit + 4 * row + col % 4, (unsigned)(col % 32 / 4));
    unsigned byte = p->bits == 8 ? code : p->table[code];
    const uint8_t *at = panel + scale_at(p, col, row);
    double scale = p->shape == LQI_F32_E8M0 ? ldexp(1, *at - 127) : panel_f32(at);

    return scale * (double)(p->shift == 4 ? lqi_e4m3_to_f32((uint8_t)byte)
                                          : lqi_e5m2_to_f32((uint8_t)byte));
}

static void fill_acts(void)
{
    for (int t = 0; t < WIDEST; t++)
        for (int c = 0; c < COLS; c++) {
            float f = test_normal(&seed);
            x[t][c] = t == 1 ? f * 1e-15f : t == 2 ? f * 1e15f : c % 7 == 3 ? 0 : f;
        }
}

/* The activations of columns [first, first + width), by the level's own slot. */
static lqi_acts_tile lay_out(const lqi_panel_kernels *k, int first, int width, float *f)
{
    for (int t = 0; t < width; t++) {
        const lqi_acts_column c = { .f = f + t, .stride = (size_t)width };
        for (size_t chunk = 0; chunk < CHUNKS; chunk++)
            k->acts(LQI_ACTS_F32, x[first + t] + 256 * chunk, chunk, &c);
    }
    return (lqi_acts_tile){ .f = f };
}

static void check_plain(const lqi_panel *p)
{
    for (int t = 0; t < WIDEST; t++)
        for (unsigned row = 0; row < LQI_PANEL_ROWS; row++) {
            double sum = 0, size = 0;
            for (size_t c = 0; c < COLS; c++) {
                double product = weight(p, c, row) * (double)x[t][c];
                sum += product;
                size += fabs(product);
            }
            if (!(fabs((double)want[t][row] - sum) <= size * 50 * 0x1p-24))
                fail_msg("%d bits, shape %d, column %d, row %u: %a, not %a", p->bits, p->shape, t,
                         row, (double)want[t][row], sum);
        }
}

static void check_level(const lqi_panel *p, const lqi_panel_kernels *k, int first)
{
    static const int widths[LQI_FUSED] = { 1, 4, 8 };
    static float f[WIDEST * COLS];
    float y[WIDEST * LQI_PANEL_ROWS + 1];

    for (int i = 0; i < LQI_FUSED; i++)
        for (int from = 0; from < WIDEST; from += widths[i]) {
            lqi_acts_tile tile = lay_out(k, from, widths[i], f);
            y[widths[i] * LQI_PANEL_ROWS] = 12345;
            k->fused[p->codes][p->shape][i](p, panel, CHUNKS, &tile, y);
            assert_true(y[widths[i] * LQI_PANEL_ROWS] == 12345);
            size_t bytes = (size_t)widths[i] * sizeof *want;
            if (first && i == 0)
                memcpy(want[from], y, bytes);
            assert_memory_equal(y, want[from], bytes);
        }
}

static void one_panel(int codes, int shape, int shift)
{
    const lqi_panel p = any_panel(codes, shape, shift);
    lqi_kernels k;

    fill_panel(&p);
    fill_acts();
    for (size_t l = 0; l < COUNT(levels); l++) {
        if (!lqi_level_usable(levels[l]))
            continue;
        lqi_kernels_init(&k, levels[l]);
        check_level(&p, k.panel, l == 0);
        if (l == 0)
            check_plain(&p);
    }
}

static void every_panel(void **state)
{
    (void)state;
    for (int codes = 0; codes < LQI_PANEL_CODES; codes++)
        for (int shape = 0; shape < LQI_PANEL_SHAPES; shape++)
            for (int shift = 3; shift <= 4; shift++)
                if (lqi_panel_usable(codes, shape) &&
                    lqi_panel_shapes[shape].acts == LQI_ACTS_F32)
                    one_panel(codes, shape, shift);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_panel) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
