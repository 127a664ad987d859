/* SPDX-License-Identifier: MIT */
/*
 * lib/core/panel.c - which panels a weight has, and its rows taken apart
 */
#include <math.h>
#include <stdatomic.h>

#include "lib/core/panel.h"

/* -------------------------------------------------------------------- shapes */

/* Codes that are integers with a zero point, scales as small as the shapes' own. */
static int linear_f16(const lqi_geometry *g)
{
    const lqi_panel_plan *plan = g->format->panel;

    return !plan->levels && !plan->fitted && plan->factor == 1 &&
           g->spec->scale_type == LQ_F16 && !g->spec->scale2_block &&
           !(g->spec->flags & LQ_SPEC_GLOBAL) && g->spec->zeros != LQ_ZEROS_FLOAT;
}

/* The same of floats. */
static lqi_panel_shape float_shape(const lqi_geometry *g)
{
    uint64_t group = g->group_cols;

    if (g->spec->scale_type == LQ_E8M0)
        return group == 32 ? LQI_F32_E8M0 : LQI_PANEL_SHAPES;
    return group >= g->cols || group % 256 == 0 ? LQI_F256_F32 :
           group % 128 == 0 ? LQI_F128_F32 : LQI_PANEL_SHAPES;
}

/* The shape for groups of 'group' columns; the last ones take any scales and zeros. */
static lqi_panel_shape planar_shape(const lqi_geometry *g)
{
    const lqi_panel_plan *plan = g->format->panel;
    int zeros = g->spec->zeros != LQ_ZEROS_NONE, small = plan->codes != LQI_PANEL_8;
    uint64_t group = g->group_cols;
    lq_dtype type = g->spec->scale_type;

    if ((group >= g->cols || group % 256 == 0) && !zeros)
        return LQI_S256_F32;
    if (group % 128 == 0 && linear_f16(g) && small)
        return LQI_S128_F16_ZP;
    if (group == 64 && linear_f16(g) && lqi_panel_usable(plan->codes, LQI_S64_F16_ZP))
        return LQI_S64_F16_ZP;
    if (group % 64 == 0 && !zeros && lqi_panel_usable(plan->codes, LQI_S64_F32))
        return LQI_S64_F32;
    if (group == 32 && type == LQ_E8M0)
        return LQI_S32_E8M0;
    if (group == 32 && linear_f16(g) && !zeros)
        return LQI_S32_F16;
    if (group == 32 && linear_f16(g) && small)
        return LQI_S32_F16_ZP;
    if (group == 16 && type == LQ_F8_E4M3)
        return LQI_S16_E4M3;
    return group % 32 == 0 || group >= g->cols ? LQI_S32_F32_MIN : LQI_PANEL_SHAPES;
}

/* Groups must not cross the ends of rows. */
static int groups_fit(const lqi_geometry *g)
{
    if (g->spec->flags & LQ_SPEC_FLAT)
        return g->cols % g->group_cols == 0;
    return !(g->spec->flags & LQ_SPEC_GIDX) || g->cols % g->group_cols == 0;
}

/* -------------------------------------------------------------------- levels */

/* Sixteen numbers as integers of one unit: the unit with the least squared error. */
static float fit_levels(const float *value, unsigned count, int8_t *levels)
{
    double largest = 0, best = INFINITY, unit = 1;

    for (unsigned i = 0; i < count; i++)
        largest = fabs((double)value[i]) > largest ? fabs((double)value[i]) : largest;
    if (!(largest > 0 && largest < FLT_MAX))
        return 0;
    for (int k = 6400; k <= 12700; k++) {
        double u = largest * 100 / k, error = 0;
        for (unsigned i = 0; i < count; i++) {
            double e = (double)value[i] - rint((double)value[i] / u) * u;
            error += e * e;
        }
        if (error < best) {
            best = error;
            unit = u;
        }
    }
    for (unsigned i = 0; i < count; i++)
        levels[i] = (int8_t)rint((double)value[i] / unit);
    return (float)unit;
}

static int fill_table(const lqi_geometry *g, lqi_panel *p)
{
    const lqi_panel_plan *plan = g->format->panel;
    int8_t fitted[16] = { 0 };
    const int8_t *levels = plan->levels;
    unsigned count = plan->count;

    for (unsigned i = 0; i < 64; i++)
        p->table[i] = (uint8_t)i;
    if (plan->fitted) {
        if (g->bits > 4)
            return 0;
        levels = fitted;
        count = 1u << g->bits;
        p->factor = fit_levels(g->table, count, fitted);
        if (!(p->factor > 0))
            return 0;
    }
    for (unsigned i = 0; levels && i < count; i++)
        p->table[i] = (uint8_t)(levels[i] + (plan->floats ? 0 : 1 << p->shift));
    return 1;
}

/* --------------------------------------------------------------------- words */

/* The unit, from 1 to 2, in which bf16 has the numbers with the least squared error. */
static float word_unit(const float *value, unsigned count)
{
    double best = INFINITY;
    float unit = 1;

    for (int k = 128; k < 256; k++) {
        float u = (float)k / 128;
        double error = 0;
        for (unsigned i = 0; i < count; i++) {
            double e = (double)lqi_bf16_to_f32(lqi_f32_to_bf16(value[i] / u)) * (double)u -
                       (double)value[i];
            error += e * e;
        }
        if (error < best) {
            best = error;
            unit = u;
        }
    }
    return unit;
}

/* bf16 of codes of four bits: integers fit as they are. */
static void words_of_codes(const lqi_geometry *g, const lqi_panel *p, lqi_words *w)
{
    const lqi_panel_geometry *shape = &lqi_panel_shapes[p->shape];
    int less = shape->offset ? 1 << p->shift : shape->min == LQI_MIN_ZERO ? LQI_WORDS_ZERO : 0;
    int fitted = g->format->panel->fitted;

    if (fitted)
        w->panel.factor = word_unit(g->table, 16);
    for (unsigned i = 0; i < 128; i++) {
        float f = fitted ? g->table[i % 16] / w->panel.factor
                         : (float)((int)p->table[i % 16] - less);
        w->word[i] = lqi_f32_to_bf16(f);
    }
}

static void words_of_floats(const lqi_panel *p, lqi_words *w)
{
    w->panel.factor = 1;
    for (unsigned i = 0; i < 128; i++) {
        float f = p->shift == 4 ? lqi_e4m3_to_f32((uint8_t)i) : lqi_e5m2_to_f32((uint8_t)i);
        w->word[i] = lqi_f32_to_bf16(f);
    }
}

static void fill_words(const lqi_geometry *g, lqi_weight *w)
{
    w->words.panel = w->panel;
    if (lqi_panel_shapes[w->panel.shape].acts == LQI_ACTS_F32)
        words_of_floats(&w->panel, &w->words);
    else if (w->panel.codes == LQI_PANEL_4)
        words_of_codes(g, &w->panel, &w->words);
}

/* ---------------------------------------------------------------------- plan */

int lqi_weight_plan(const lqi_geometry *g, lqi_weight *w, lq_status *status)
{
    const lqi_panel_plan *plan = g->format->panel;
    int planar = g->format->storage == LQ_PLANAR;

    *status = LQ_OK;
    memset(w, 0, sizeof *w);
    if (!plan || g->rows == 0 || g->cols == 0)
        return 0;
    w->panel = (lqi_panel){ .codes = plan->codes, .shape = plan->shape, .shift = plan->shift,
                            .factor = plan->factor };
    if (planar) {
        if (!groups_fit(g))
            return 0;
        w->panel.shape = (uint8_t)(plan->floats ? float_shape(g) : planar_shape(g));
    }
    if (w->panel.shape == LQI_PANEL_SHAPES ||
        !lqi_panel_usable(w->panel.codes, w->panel.shape) || !fill_table(g, &w->panel))
        return 0;
    lqi_panel_measure(&w->panel);
    w->panels = lqi_div_up(g->rows, LQI_PANEL_ROWS);
    w->chunks = lqi_div_up(g->cols, LQI_PANEL_CHUNK);
    if (!lqi_mul(w->panels, w->chunks, &w->bytes) ||
        !lqi_mul(w->bytes, w->panel.chunk_bytes, &w->bytes))
        *status = LQ_ERR_OVERFLOW;
    return !*status;
}

/* ------------------------------------------------------------- planar weights */

/* What packing knows about a weight. */
typedef struct packer {
    const lq_ctx       *ctx;
    const lqi_geometry *g;
    const lq_rows      *rows;
    lqi_weight         *w;
    atomic_int          unfit;
} packer;

static void planar_codes(const packer *k, uint64_t row, uint64_t col, size_t n,
                         lqi_panel_part *part)
{
    const lqi_geometry *g = k->g;
    uint64_t stride = k->rows->stride ? k->rows->stride : g->row_bytes;
    const uint8_t *codes = k->rows->plane[LQ_PLANE_CODES];
    uint8_t flip = g->format->panel->flip;

    if (g->spec->flags & LQ_SPEC_FLAT)
        col += row * g->cols;
    else
        codes += row * stride;
    if (!k->w->order)
        lqi_codes_bytes(codes, g->bits, g->format->order, col, n, part->code);
    for (size_t i = 0; k->w->order && i < n; i++)
        lqi_codes_bytes(codes, g->bits, g->format->order, k->w->order[col + i], 1,
                        part->code + i);
    for (size_t i = 0; flip && i < n; i++)
        part->code[i] ^= flip;
}

/* Zero point of a group in numbers of codes; the offset where there are none. */
static float zero_of(const packer *k, uint64_t group)
{
    const lq_spec *s = k->g->spec;
    const uint8_t *zeros = k->rows->plane[LQ_PLANE_ZEROS];

    if (s->zeros == LQ_ZEROS_INT)
        return zeros[group] ^ k->g->format->panel->flip;
    if (s->zeros == LQ_ZEROS_FLOAT)
        return lqi_scale_load(s->scale_type, zeros, group);
    return (float)(1 << k->w->panel.shift);
}

/* The first group of a row, by its number in the tensor. */
static uint64_t first_group(const lqi_geometry *g, uint64_t row)
{
    if (g->spec->flags & LQ_SPEC_FLAT)
        return row * g->cols / g->group_cols;
    return row / g->group_rows * g->row_groups;
}

/* Scale, and zero point or minimum, of step i; 'scale' NULL: the panel has the stored ones. */
static void planar_step(const packer *k, uint64_t group, size_t i, const float *scale,
                        lqi_panel_part *part)
{
    const lqi_panel *p = &k->w->panel;
    const uint8_t *stored = k->rows->plane[LQ_PLANE_SCALES];

    if (lqi_panel_shapes[p->shape].min == LQI_MIN_ZERO)
        part->byte[i] = (uint8_t)zero_of(k, group);
    if (scale)
        part->scale[i] = *scale;
    else if (k->g->spec->scale_type == LQ_F16)
        part->half[i] = lqi_load16(stored + 2 * group);
    else
        part->byte[i] = stored[group];
    if (p->shape == LQI_S32_F32_MIN)
        part->min[i] = part->scale[i] * p->factor *
                       ((float)(1 << p->shift) - zero_of(k, group));
}

static int has_f32_scales(unsigned shape)
{
    return shape == LQI_S32_F32_MIN || shape == LQI_S64_F32 || shape == LQI_S256_F32 ||
           shape == LQI_F128_F32 || shape == LQI_F256_F32;
}

/* A step never crosses a group. */
static void planar_part(const packer *k, uint64_t row, uint64_t col, lqi_panel_part *part)
{
    const lqi_geometry *g = k->g;
    size_t step = lqi_panel_shapes[k->w->panel.shape].step;
    size_t n = (size_t)lqi_min(LQI_PANEL_CHUNK, g->cols - col), count;
    uint64_t first = first_group(g, row) + col / g->group_cols, in = col % g->group_cols;
    int floats = has_f32_scales(k->w->panel.shape);
    float scale[16];

    planar_codes(k, row, col, n, part);
    count = (size_t)((in + n - 1) / g->group_cols) + 1;
    if (floats)
        lqi_scales_read(k->ctx, g->spec, k->rows->plane, first, count, scale);
    for (size_t i = 0, group = 0; i * step < n; i++, in += step) {
        if (in >= g->group_cols) {
            in -= g->group_cols;
            group++;
        }
        planar_step(k, first + group, i, floats ? scale + group : NULL, part);
    }
}

/* ------------------------------------------------------------ blocked weights */

static void blocked_part(const packer *k, uint64_t row, uint64_t col, lqi_panel_part *part)
{
    const lqi_geometry *g = k->g;
    uint64_t stride = k->rows->stride ? k->rows->stride : g->row_bytes;
    lqi_run run = { .codes = (const uint8_t *)k->rows->plane[LQ_PLANE_CODES] + row * stride,
                    .first = col, .grids = k->ctx->grids,
                    .n = (size_t)lqi_min(LQI_PANEL_CHUNK, g->padded_cols - col) };

    g->format->panel->part(&run, part);
}

/* -------------------------------------------------------------------- packing */

/* Floats are numbers: E4M3 has one NaN, E5M2 infinities and more. */
static int floats_fit(const lqi_panel *p, const lqi_panel_part *part)
{
    unsigned most = p->bits < 8 ? 255 : p->shift == 4 ? 0x7e : 0x7b;
    int fit = 1;

    for (int i = 0; i < LQI_PANEL_CHUNK; i++)
        fit &= (part->code[i] & 0x7fu) <= most;
    return fit;
}

/* Scales are numbers, zero points such as strips can take. */
static int fit_for_panels(const lqi_panel *p, const lqi_panel_part *part)
{
    unsigned most = p->shape == LQI_S32_E8M0 ? 254 : p->shape == LQI_S16_E4M3 ? 126 :
                    p->shape == LQI_F32_E8M0 ? 190 /* times the factor */ : 255;
    unsigned unfit = 0;

    if (lqi_panel_shapes[p->shape].min == LQI_MIN_ZERO)
        most = 1u << lqi_strip_shift(p);
    for (int i = 0; i < 16; i++)
        unfit |= !lqi_finite(part->scale[i] * p->factor) |
                 ((part->half[i] & 0x7c00) == 0x7c00) | (part->byte[i] > most);
    for (int i = 0; i < 8; i++)
        unfit |= !lqi_finite(part->min[i]) | ((part->half_min[i] & 0x7c00) == 0x7c00);
    return !unfit && (lqi_panel_shapes[p->shape].acts != LQI_ACTS_F32 || floats_fit(p, part));
}

/* Rows and columns beyond the weight's are zeros. */
static void pack_task(void *arg, size_t index)
{
    packer *k = arg;
    lqi_weight *w = k->w;
    lqi_panel_part part[LQI_PANEL_ROWS];
    uint8_t *to = w->data + index * w->chunks * w->panel.chunk_bytes;
    uint64_t row = index * LQI_PANEL_ROWS, rows = lqi_min(LQI_PANEL_ROWS, k->g->rows - row);
    int blocked = k->g->format->storage == LQ_BLOCKED, fit = 1;

    for (uint64_t chunk = 0; chunk < w->chunks; chunk++, to += w->panel.chunk_bytes) {
        if (chunk == 0 || chunk == w->chunks - 1)
            memset(part, 0, sizeof part);
        for (uint64_t r = 0; r < rows; r++) {
            (blocked ? blocked_part : planar_part)(k, row + r, chunk * LQI_PANEL_CHUNK, &part[r]);
            fit &= fit_for_panels(&w->panel, &part[r]);
        }
        k->ctx->kernels.panel->pack(&w->panel, part, to);
    }
    if (!fit)
        atomic_store(&k->unfit, 1);
}

/* Columns ordered by group, in each by number; 0 unless all groups are of one size. */
static int fill_order(const lqi_geometry *g, const lq_rows *rows, uint32_t *order)
{
    const uint8_t *index = rows->plane[LQ_PLANE_GIDX];
    uint64_t filled = 0;

    for (uint64_t group = 0; group < g->row_groups; group++) {
        for (uint64_t c = 0; c < g->cols; c++)
            if (lqi_load32(index + 4 * c) == group)
                order[filled++] = (uint32_t)c;
        if (filled != (group + 1) * g->group_cols)
            return 0;
    }
    return filled == g->cols;
}

/* The factor of a tensor with a global scale: bytes of scales stay as they are. */
static void global_factor(const lqi_geometry *g, const lq_rows *rows, lqi_panel *p)
{
    if (p->shape != LQI_S16_E4M3 || !(g->spec->flags & LQ_SPEC_GLOBAL))
        return;
    float global;
    memcpy(&global, rows->plane[LQ_PLANE_OFFSET], sizeof global);
    p->factor = g->spec->flags & LQ_SPEC_GLOBAL_DIV ? p->factor / global : p->factor * global;
}

int lqi_weight_pack(const lq_ctx *ctx, const lqi_geometry *g, const lq_rows *rows,
                    lqi_weight *w)
{
    packer k = { .ctx = ctx, .g = g, .rows = rows, .w = w };

    atomic_init(&k.unfit, 0);
    global_factor(g, rows, &w->panel);
    if ((w->panel.shape == LQI_S16_E4M3 && !lqi_finite(w->panel.factor * 0x1p120f)) ||
        (w->order && !fill_order(g, rows, w->order)))
        return 0;
    fill_words(g, w);
    lqi_parallel(ctx, (size_t)w->panels, pack_task, &k);
    return !atomic_load(&k.unfit);
}
