/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/frozen.c - rounding to frozen parameters, whatever the format
 *
 * Planar formats round single numbers.  Blocked ones round whole blocks, so for a strip of
 * rows every RUN columns, which share their scale in all of these formats, get a table: the
 * value of each code, NaN for codes that rounding never gives.  Where a code stands for
 * several columns there are too many of them: CHUNK columns are rounded at once, by rounding
 * their block.
 */
#include "lib/calib/gptq.h"

#define RUN   16
#define CHUNK 32

/* -------------------------------------------------------------------- planar */

static const lqi_group *group_at(const lqi_frozen *v, uint64_t r, uint64_t col)
{
    const lqi_geometry *g = v->g;
    uint64_t row = v->row0 + r;

    if (g->spec->flags & LQ_SPEC_FLAT)
        return &v->groups[(row * g->cols + col) / g->group_cols];
    return &v->groups[row / g->group_rows * g->row_groups +
                      (v->group_of ? v->group_of[col] : col / g->group_cols)];
}

/* Scales as they are stored, or, with a second level, decoded: as rounding wants them. */
static void read_groups(lqi_frozen *v)
{
    const lq_spec *s = v->g->spec;
    void *const *plane = v->rows.plane;
    const uint8_t *zeros = plane[LQ_PLANE_ZEROS];
    float scale, global = s->flags & LQ_SPEC_GLOBAL
                              ? lqi_load_float(LQ_F32, plane[LQ_PLANE_OFFSET], 0) : 0;

    for (uint64_t i = 0; i < v->g->groups; i++) {
        if (s->scale2_block)
            lqi_scales_read(v->ctx, s, plane, i, 1, &scale);
        else
            scale = lqi_scale_load(s->scale_type, plane[LQ_PLANE_SCALES], i);
        v->groups[i] = (lqi_group){ scale, 0, global };
        if (s->zeros == LQ_ZEROS_INT)
            v->groups[i].zero = (float)zeros[i];
        else if (s->zeros == LQ_ZEROS_FLOAT)
            v->groups[i].zero = lqi_scale_load(s->scale_type, zeros, i);
    }
}

static float round_planar(const lqi_frozen *v, uint64_t r, uint64_t col, float x)
{
    const lqi_geometry *g = v->g;
    const lqi_group *group = group_at(v, r, col);
    lqi_fit in = { .spec = g->spec, .x = &x, .n = 1 };
    lqi_group decoded = *group;
    uint32_t *code = &v->codes[r * v->stride + col];
    float y;

    g->format->round(&in, group, code);
    if (g->spec->flags & LQ_SPEC_GLOBAL)
        decoded.scale = lqi_scale_global(g->spec, group->scale, group->global);
    g->format->value(g->spec, &decoded, code, 1, &y);
    return y;
}

/* ------------------------------------------------------------------- blocked */

struct block {
    _Alignas(16) uint8_t param[LQI_PARAM_MAX];
    uint32_t codes[LQI_BLOCK_MAX];
};

static uint8_t *block_at(const lqi_frozen *v, uint64_t r, uint64_t index)
{
    const lqi_geometry *g = v->g;
    uint64_t stride = v->rows.stride ? v->rows.stride : g->row_bytes;

    return (uint8_t *)v->rows.plane[LQ_PLANE_CODES] + (v->row0 + r) * stride +
           g->format->row_bytes + index * g->format->block_bytes;
}

static void load_block(const lqi_frozen *v, uint64_t r, uint64_t index, struct block *b)
{
    const lqi_format *f = v->g->format;
    float header;

    memset(b->param, 0, sizeof b->param);
    f->unpack(block_at(v, r, index), b->param, b->codes);
    if (f->row_bytes) {
        header = lqi_bits_float(lqi_load32(block_at(v, r, 0) - f->row_bytes));
        memcpy(b->param, &header, sizeof header);
    }
}

/* Values of one code in all columns, NaN where rounding a value gives another code. */
static void block_values(const lqi_frozen *v, const struct block *b, uint32_t code, float *y)
{
    const lqi_format *f = v->g->format;
    uint32_t codes[LQI_BLOCK_MAX];
    lqi_fit in = { .spec = v->g->spec, .x = y, .n = f->block_len, .grids = v->ctx->grids };

    for (size_t i = 0; i < f->block_len; i++)
        codes[i] = code;
    f->value(v->g->spec, b->param, codes, f->block_len, y);
    f->round(&in, b->param, codes);
    for (size_t i = 0; i < f->block_len; i++)
        if (codes[i] != code)
            y[i] = NAN;
}

static void block_tables(const lqi_frozen *v, uint64_t r, uint64_t index)
{
    const lqi_format *f = v->g->format;
    size_t count = (size_t)1 << v->bits;
    uint64_t runs = v->g->padded_cols / RUN, first = index * f->block_len / RUN;
    float y[LQI_BLOCK_MAX];
    struct block b;

    load_block(v, r, index, &b);
    for (uint32_t code = 0; code < count; code++) {
        block_values(v, &b, code, y);
        for (size_t k = 0; k < f->block_len / RUN; k++)
            v->level[(r * runs + first + k) * count + code] = y[k * RUN];
    }
}

static void tables_task(void *arg, size_t r)
{
    const lqi_frozen *v = arg;

    for (uint64_t i = 0; i < v->g->row_groups; i++)
        block_tables(v, r, i);
}

/* Scales of 0 have one value many times, and no code may survive: the first one will do. */
static float round_blocked(const lqi_frozen *v, uint64_t r, uint64_t col, float x)
{
    size_t count = (size_t)1 << v->bits, code = 0;
    const float *level = v->level + (r * (v->g->padded_cols / RUN) + col / RUN) * count;
    float least = INFINITY;

    for (size_t i = 0; i < count; i++) {
        float e = fabsf(level[i] - x);
        if (e < least) {
            least = e;
            code = i;
        }
    }
    v->codes[r * v->stride + col] = (uint32_t)code;
    return level[code] == level[code] ? level[code] : 0;
}

void lqi_frozen_chunk(const lqi_frozen *v, uint64_t r, uint64_t col, const float *x, float *y)
{
    const lqi_format *f = v->g->format;
    uint64_t index = col / f->block_len, at = col % f->block_len;
    uint32_t codes[LQI_BLOCK_MAX], *own;
    lqi_fit in = { .spec = v->g->spec, .x = x, .n = f->block_len, .grids = v->ctx->grids };
    float values[LQI_BLOCK_MAX];
    struct block b;

    load_block(v, r, index, &b);
    f->round(&in, b.param, codes);
    f->value(v->g->spec, b.param, codes, f->block_len, values);
    memcpy(y, values + at, v->chunk * sizeof *y);
    own = v->codes + r * v->stride + col / f->unit;
    memcpy(own, codes + at / f->unit, v->chunk / f->unit * sizeof *own);
}

float lqi_frozen_round(const lqi_frozen *v, uint64_t r, uint64_t col, float x)
{
    return v->groups ? round_planar(v, r, col, x) : round_blocked(v, r, col, x);
}

/* -------------------------------------------------------------------- strips */

/* Numbers of the tables of one row. */
static uint64_t row_levels(const lqi_frozen *v)
{
    return v->g->padded_cols / RUN << v->bits;
}

lq_status lqi_frozen_open(lqi_frozen *v, const lq_ctx *ctx, const lqi_geometry *g,
                          const lq_rows *rows, uint64_t most)
{
    int blocked = g->format->storage == LQ_BLOCKED, single = g->format->unit == 1;

    *v = (lqi_frozen){ .ctx = ctx, .g = g, .rows = *rows, .chunk = single ? 1 : CHUNK,
                       .bits = g->bits };
    v->stride = g->padded_cols / g->format->unit + 16;
    v->codes = lqi_alloc(&ctx->allocator, most * v->stride * sizeof *v->codes);
    if (blocked && single)
        v->level = lqi_alloc(&ctx->allocator, most * row_levels(v) * sizeof *v->level);
    if (!blocked)
        v->groups = lqi_alloc(&ctx->allocator, g->groups * sizeof *v->groups);
    if (!v->codes || (blocked && single && !v->level) || (!blocked && !v->groups))
        return LQ_ERR_NOMEM;
    if (!blocked)
        read_groups(v);
    return LQ_OK;
}

void lqi_frozen_close(lqi_frozen *v)
{
    if (!v->ctx)
        return;
    lqi_free(&v->ctx->allocator, v->codes);
    lqi_free(&v->ctx->allocator, v->level);
    lqi_free(&v->ctx->allocator, v->groups);
}

void lqi_frozen_begin(lqi_frozen *v, uint64_t row0, uint64_t n)
{
    v->row0 = row0;
    v->n = n;
    if (v->level)
        lqi_parallel(v->ctx, (size_t)n, tables_task, v);
}

static void pack_row(const lqi_frozen *v, uint64_t r)
{
    const lqi_format *f = v->g->format;
    struct block b;

    for (uint64_t i = 0, col = 0; i < v->g->row_groups; i++, col += f->block_len) {
        size_t n = (size_t)lqi_min(f->block_len, v->g->cols - col) / f->unit;
        load_block(v, r, i, &b);
        memcpy(b.codes, v->codes + r * v->stride + col / f->unit, n * sizeof *b.codes);
        f->pack(b.param, b.codes, block_at(v, r, i));
    }
}

/* Codes of flat rows share bytes: rows one by one. */
void lqi_frozen_end(lqi_frozen *v)
{
    const lqi_geometry *g = v->g;
    uint64_t stride = v->rows.stride ? v->rows.stride : g->row_bytes;

    for (uint64_t r = 0; r < v->n; r++) {
        uint64_t row = v->row0 + r, first = 0;
        uint8_t *codes = v->rows.plane[LQ_PLANE_CODES];
        if (g->format->storage == LQ_BLOCKED) {
            pack_row(v, r);
            continue;
        }
        if (g->spec->flags & LQ_SPEC_FLAT)
            first = row * g->cols;
        else
            codes += row * stride;
        lqi_codes_write(codes, g->bits, g->format->order, first, (size_t)g->cols,
                        v->codes + r * v->stride);
    }
}
