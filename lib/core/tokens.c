/* SPDX-License-Identifier: MIT */
/*
 * lib/core/tokens.c - activation vectors in 8 bits with one scale each
 *
 * A vector is encoded as a row of a weight would be, by the rules of its format.  With a
 * threshold, columns in which some magnitude reaches it are set apart: they are zero among
 * the codes and are multiplied as they are.  Only the numbers that reach the threshold are
 * left out of the vector's range, as in bitsandbytes.
 *
 * Each number is read twice, 256 at a time: for the range, then for its code.
 */
#include <math.h>

#include "lib/core/gemm.h"
#include "lib/core/tokens.h"

#define CHUNK LQI_PANEL_CHUNK

/* Sums of products of bytes stay below 2^31 up to here. */
#define COLS_MAX 131071

int lqi_tokens_integer(const lqi_geometry *g, const lqi_weight *weight)
{
    return weight && g->format->token_unit > 0 && weight->panel.codes == LQI_PANEL_8 &&
           weight->panel.shape == LQI_S256_F32 && g->group_cols >= g->cols &&
           !(g->spec->flags & (LQ_SPEC_FLAT | LQ_SPEC_GIDX)) && g->cols <= COLS_MAX;
}

/* -------------------------------------------------------------------- memory */

/* Add count * size bytes, aligned, to *bytes. */
static int add_array(uint64_t *bytes, uint64_t count, size_t size)
{
    uint64_t n;

    return lqi_mul(count, size, &n) && lqi_add(n, LQI_ALIGN - 1, &n) &&
           lqi_add(*bytes, n / LQI_ALIGN * LQI_ALIGN, bytes) && *bytes <= SIZE_MAX / 2;
}

static void *take_array(uint8_t **p, uint64_t count, size_t size)
{
    void *array = *p;

    *p += lqi_div_up(count * size, LQI_ALIGN) * LQI_ALIGN;
    return array;
}

static uint64_t codes_of(const lqi_tokens *t)
{
    return t->integer ? t->g.rows * t->chunks * (CHUNK / 4) : 0;
}

static uint64_t numbers_of(const lqi_tokens *t)
{
    if (!t->integer)
        return t->g.rows * t->g.cols;
    return t->threshold > 0 ? t->g.rows * t->g.cols : 0;
}

static void plan_tiles(const lqi_product *p, lqi_tokens *t)
{
    unsigned most = p->ctx->kernels.sums->columns;

    t->tiles = lqi_div_up(t->g.rows, most);
    t->width = t->g.rows / t->tiles;
    t->wider = t->g.rows % t->tiles;
    t->block = t->tiles == 1 ? t->chunks : LQI_STRIP_CHUNKS;
}

lq_status lqi_tokens_plan(const lqi_product *p, lqi_tokens *t, uint64_t *bytes)
{
    const lq_spec init = LQ_SPEC_INIT;
    lq_status status;
    uint64_t all;

    memset(t, 0, sizeof *t);
    t->integer = p->weight != NULL;
    t->threshold = p->a.threshold;
    t->spec = init;
    t->spec.format = p->g->format->token;
    if ((status = lq_spec_complete(&t->spec, NULL)) ||
        (status = lqi_geometry_init(&t->g, &t->spec, p->a.n, p->g->cols)))
        return status;
    t->chunks = lqi_div_up(p->g->cols, CHUNK);
    plan_tiles(p, t);
    if (!lqi_add(p->a.n, LQI_TILE_MAX, &all) || !lqi_mul(all, t->chunks * CHUNK, &all) ||
        all > SIZE_MAX / 16)
        return LQ_ERR_OVERFLOW;
    *bytes = 0;
    return add_array(bytes, t->g.rows, sizeof *t->scale) &&
           add_array(bytes, t->g.rows, sizeof *t->sum) &&
           add_array(bytes, codes_of(t), sizeof *t->codes) &&
           add_array(bytes, numbers_of(t), sizeof *t->numbers) &&
           add_array(bytes, t->threshold > 0 ? t->g.cols : 0, sizeof *t->outlier) &&
           add_array(bytes, t->threshold > 0 ? t->g.cols : 0, sizeof *t->apart)
               ? LQ_OK : LQ_ERR_OVERFLOW;
}

static void carve(lqi_tokens *t, uint8_t *memory)
{
    t->scale = take_array(&memory, t->g.rows, sizeof *t->scale);
    t->sum = take_array(&memory, t->g.rows, sizeof *t->sum);
    t->codes = take_array(&memory, codes_of(t), sizeof *t->codes);
    t->numbers = take_array(&memory, numbers_of(t), sizeof *t->numbers);
    t->outlier = take_array(&memory, t->threshold > 0 ? t->g.cols : 0, sizeof *t->outlier);
    t->apart = memory;
}

/* -------------------------------------------------------------------- inputs */

struct fill {
    const lqi_product *p;
    lqi_tokens        *t;
};

/* Activations of vector j from 'col' on as f32. */
static size_t read_chunk(const struct fill *f, uint64_t j, uint64_t col, float *x)
{
    const lq_matmul_args *a = &f->p->a;
    size_t n = (size_t)lqi_min(CHUNK, f->t->g.cols - col), size = lq_dtype_bytes(a->x_type);

    lqi_widen(&f->p->ctx->kernels, a->x_type, (const uint8_t *)a->x + (j * a->ldx + col) * size,
              x, n);
    return n;
}

/* 0 if no number reaches the threshold. */
static int reaches(const struct fill *f, const float *x, size_t n)
{
    return f->p->ctx->kernels.magnitude(x, n) >= lqi_float_bits(f->t->threshold);
}

/* Columns of one chunk that some vector sets apart. */
static void find_task(void *arg, size_t index)
{
    const struct fill *f = arg;
    uint64_t col = (uint64_t)index * CHUNK;
    uint8_t *apart = f->t->apart + col;
    float x[CHUNK];

    memset(apart, 0, (size_t)lqi_min(CHUNK, f->t->g.cols - col));
    for (uint64_t j = 0; j < f->t->g.rows; j++) {
        size_t n = read_chunk(f, j, col, x);
        if (!reaches(f, x, n))
            continue;
        for (size_t i = 0; i < n; i++)
            apart[i] |= fabsf(x[i]) >= f->t->threshold;
    }
}

static void list_outliers(lqi_tokens *t)
{
    for (uint64_t c = 0; c < t->g.cols; c++)
        if (t->apart[c])
            t->outlier[t->outliers++] = (uint32_t)c;
}

/* Numbers of vector 'index' in the columns apart. */
static void gather_task(void *arg, size_t index)
{
    const struct fill *f = arg;
    const lq_matmul_args *a = &f->p->a;
    float *to = f->t->numbers + index * f->t->outliers;

    for (uint64_t i = 0; i < f->t->outliers; i++)
        to[i] = lqi_load_float(a->x_type, a->x, index * a->ldx + f->t->outlier[i]);
}

/* ------------------------------------------------------------------ encoding */

/* Parameters of vector j.  0 if one of its numbers is not finite. */
static int fit_vector(const struct fill *f, uint64_t j, lqi_group *group)
{
    const lqi_kernels *k = &f->p->ctx->kernels;
    const lqi_tokens *t = f->t;
    float x[CHUNK], lo = INFINITY, hi = -INFINITY;

    for (uint64_t col = 0; col < t->g.cols; col += CHUNK) {
        size_t n = read_chunk(f, j, col, x);
        if (t->outliers && reaches(f, x, n))
            for (size_t i = 0; i < n; i++)
                x[i] = fabsf(x[i]) >= t->threshold ? 0 : x[i];
        if (k->any_nonfinite(x, n))
            return 0;
        k->range(x, n, &lo, &hi);
    }
    group->global = 1;
    lqi_group_fit(&t->g, lo, hi, LQ_NONFINITE_PROPAGATE, group);
    return 1;
}

static void clear_apart(const uint8_t *apart, size_t n, float *x)
{
    const uint8_t *at = apart;

    while ((at = memchr(at, 1, n - (size_t)(at - apart)))) {
        x[at - apart] = 0;
        at++;
    }
}

/* Codes of vector j from 'col' on, zeros behind the last one. */
static void encode_chunk(const struct fill *f, uint64_t j, uint64_t col, const lqi_group *group,
                         uint8_t codes[CHUNK])
{
    const lqi_tokens *t = f->t;
    float x[CHUNK];
    lqi_values v = { .ctx = f->p->ctx, .type = LQ_F32, .x = x, .n = CHUNK, .finite = 1 };
    size_t n = read_chunk(f, j, col, x);

    if (t->outliers)
        clear_apart(t->apart + col, n, x);
    memset(codes, 0, CHUNK);
    lqi_group_round(&t->g, &v, 0, n, group, codes, 0);
}

/* Where line 0 of a tile lies, from 'chunk' on. */
static uint64_t tile_at(const lqi_tokens *t, uint64_t column, uint64_t width, uint64_t chunk)
{
    uint64_t first = chunk / t->block * t->block;
    uint64_t chunks = lqi_min(t->block, t->chunks - first);

    return CHUNK / 4 * (first * t->g.rows + chunks * column + (chunk - first) * width);
}

static uint64_t tile_span(const lqi_tokens *t, uint64_t i, uint64_t *column)
{
    *column = i * t->width + lqi_min(i, t->wider);
    return t->width + (i < t->wider);
}

static void fill_integers(const struct fill *f, uint64_t j, uint64_t column, uint64_t width,
                          const lqi_group *group)
{
    lqi_tokens *t = f->t;
    uint8_t codes[CHUNK] = { 0 };
    int32_t sum = 0;

    for (uint64_t chunk = 0; chunk < t->chunks; chunk++) {
        int32_t *to = t->codes + tile_at(t, column, width, chunk) + (j - column);
        if (group)
            encode_chunk(f, j, chunk * CHUNK, group, codes);
        for (size_t i = 0; i < CHUNK; i++)
            sum += (int8_t)codes[i];
        for (size_t i = 0; i < CHUNK / 4; i++)
            memcpy(to + i * width, codes + 4 * i, 4);
    }
    t->sum[j] = sum;
}

static void fill_floats(const struct fill *f, uint64_t j, const lqi_group *group)
{
    const lqi_tokens *t = f->t;
    const lqi_group one = { .scale = 1, .global = 1 };
    float *to = t->numbers + j * t->g.cols;
    uint8_t bytes[CHUNK] = { 0 };
    uint32_t codes[CHUNK];

    for (uint64_t col = 0; col < t->g.cols; col += CHUNK) {
        size_t n = (size_t)lqi_min(CHUNK, t->g.cols - col);
        if (group)
            encode_chunk(f, j, col, group, bytes);
        for (size_t i = 0; i < n; i++)
            codes[i] = bytes[i];
        t->g.format->value(&t->spec, &one, codes, n, to + col);
    }
}

static void fill_tile(void *arg, size_t index)
{
    const struct fill *f = arg;
    uint64_t column, width = tile_span(f->t, index, &column);

    for (uint64_t j = column; j < column + width; j++) {
        lqi_group group = { 0 };
        int finite = fit_vector(f, j, &group);
        f->t->scale[j] = finite ? group.scale : NAN;
        if (f->t->integer)
            fill_integers(f, j, column, width, finite ? &group : NULL);
        else
            fill_floats(f, j, finite ? &group : NULL);
    }
}

static void each(struct fill *f, int parallel, uint64_t count, lqi_task *task)
{
    if (parallel)
        lqi_parallel(f->p->ctx, (size_t)count, task, f);
    else
        for (uint64_t i = 0; i < count; i++)
            task(f, (size_t)i);
}

void lqi_tokens_fill(const lqi_product *p, lqi_tokens *t, void *memory, int parallel)
{
    struct fill f = { p, t };

    carve(t, memory);
    if (t->threshold > 0) {
        each(&f, parallel, t->chunks, find_task);
        list_outliers(t);
    }
    each(&f, parallel, t->tiles, fill_tile);
    if (t->outliers)
        each(&f, parallel, t->g.rows, gather_task);
}

/* ------------------------------------------------------------------- products */

/* A task's memory: sums of two panels, weights of the columns apart. */
struct scratch {
    int32_t *sums;   /* [PANELS][n][16] */
    float   *w;      /* [outliers][16] */
};

#define PANELS 2     /* that meet a tile one after the other */

uint64_t lqi_tokens_work(const lqi_product *p)
{
    uint64_t bytes = 0;

    return add_array(&bytes, p->a.n, PANELS * LQI_PANEL_ROWS * sizeof(int32_t)) &&
           add_array(&bytes, p->a.threshold > 0 ? p->g->cols : 0,
                     LQI_PANEL_ROWS * sizeof(float)) ? bytes : 0;
}

uint64_t lqi_tokens_count(uint64_t row0, uint64_t row1)
{
    uint64_t rows = PANELS * LQI_PANEL_ROWS;

    return row1 > row0 ? (row1 - 1) / rows - row0 / rows + 1 : 0;
}

/* Decoded weights of a panel's rows in the columns apart: the bytes are stored codes with
 * the upper bit flipped. */
static void outlier_weights(const lqi_product *p, const uint8_t *panel, const float *scale,
                            float *w)
{
    const lqi_tokens *t = p->tokens;
    const lqi_format *format = p->g->format;

    for (uint64_t i = 0; i < t->outliers; i++) {
        uint64_t c = t->outlier[i];
        const uint8_t *column = panel + c / CHUNK * LQI_SUMS_CHUNK +
                                lqi_panel_shapes[LQI_S256_F32].front + c % CHUNK / 4 * 64 + c % 4;
        for (int r = 0; r < LQI_PANEL_ROWS; r++) {
            lqi_group group = { .scale = scale[r] };
            uint32_t code = column[4 * r] ^ p->g->format->panel->flip;
            format->value(p->g->spec, &group, &code, 1, w + i * LQI_PANEL_ROWS + r);
        }
    }
}

/* y[16] += columns apart of vector j. */
static void add_outliers(const lqi_tokens *t, uint64_t j, const float *w, float *y)
{
    const float *x = t->numbers + j * t->outliers;
    float sum[LQI_PANEL_ROWS];   /* apart from w, for the compiler */

    memcpy(sum, y, sizeof sum);
    for (uint64_t i = 0; i < t->outliers; i++, w += LQI_PANEL_ROWS)
        for (int r = 0; r < LQI_PANEL_ROWS; r++)
            sum[r] += x[i] * w[r];
    memcpy(y, sum, sizeof sum);
}

/* Scales of a panel's rows; 0 behind the last one. */
static void row_scales(const lqi_product *p, uint64_t row0, uint64_t rows,
                       float scale[LQI_PANEL_ROWS])
{
    memset(scale, 0, LQI_PANEL_ROWS * sizeof *scale);
    for (uint64_t r = 0; r < rows; r++)
        lqi_scales_read(p->ctx, p->g->spec, p->rows->plane,
                        (row0 + r) / p->g->group_rows * p->g->row_groups, 1, &scale[r]);
}

/* The panel's bytes are level + 128: 128 times the sum of the activations is too much. */
static void scale_sums(const lqi_tokens *t, uint64_t j, const int32_t *sums, const double *unit,
                       float *y)
{
    double scale = (double)t->scale[j];
    uint32_t excess = (uint32_t)t->sum[j] << 7;

    for (int r = 0; r < LQI_PANEL_ROWS; r++)
        y[r] = (float)((double)(int32_t)((uint32_t)sums[r] - excess) * (scale * unit[r]));
}

#define STORED 16   /* vectors whose outputs are stored together */

static void finish_panel(const lqi_product *p, uint64_t panel, const int32_t *sums, float *w)
{
    const lqi_tokens *t = p->tokens;
    uint64_t row0 = panel * LQI_PANEL_ROWS, rows = lqi_min(LQI_PANEL_ROWS, p->g->rows - row0);
    uint64_t from = row0 < p->a.row0 ? p->a.row0 : row0, end = lqi_min(row0 + rows, p->a.row1);
    float scale[LQI_PANEL_ROWS], y[STORED][LQI_PANEL_ROWS];
    double unit[LQI_PANEL_ROWS];

    row_scales(p, row0, rows, scale);
    for (int r = 0; r < LQI_PANEL_ROWS; r++)
        unit[r] = (double)scale[r] * p->g->format->token_unit;
    if (t->outliers)
        outlier_weights(p, p->weight->data + panel * p->weight->chunks * LQI_SUMS_CHUNK, scale,
                        w);
    for (uint64_t j = 0; j < t->g.rows; j += STORED) {
        uint64_t n = lqi_min(STORED, t->g.rows - j);
        for (uint64_t i = 0; i < n; i++) {
            scale_sums(t, j + i, sums + (j + i) * LQI_PANEL_ROWS, unit, y[i]);
            add_outliers(t, j + i, w, y[i]);
        }
        lqi_product_store(p, from, end - from, j, n, y[0] + (from - row0), LQI_PANEL_ROWS);
    }
}

/* All vectors meet panels [panel, panel + count). */
static void multiply(const lqi_product *p, uint64_t panel, uint64_t count,
                     const struct scratch *s)
{
    const lqi_weight *w = p->weight;
    const lqi_tokens *t = p->tokens;
    uint64_t n = t->g.rows;

    memset(s->sums, 0, (size_t)(count * n * LQI_PANEL_ROWS) * sizeof *s->sums);
    for (uint64_t chunk = 0; chunk < t->chunks; chunk += t->block) {
        size_t chunks = (size_t)lqi_min(t->block, t->chunks - chunk);
        for (uint64_t i = 0; i < t->tiles; i++) {
            uint64_t column, width = tile_span(t, i, &column);
            for (uint64_t k = 0; k < count; k++)
                p->ctx->kernels.sums->run[width - 1](
                    w->data + ((panel + k) * w->chunks + chunk) * LQI_SUMS_CHUNK, chunks,
                    t->codes + tile_at(t, column, width, chunk),
                    s->sums + (k * n + column) * LQI_PANEL_ROWS);
        }
    }
    for (uint64_t k = 0; k < count; k++)
        finish_panel(p, panel + k, s->sums + k * n * LQI_PANEL_ROWS, s->w);
}

void lqi_tokens_run(lqi_product *p, uint8_t *work)
{
    uint64_t first = p->a.row0 / LQI_PANEL_ROWS, end = lqi_div_up(p->a.row1, LQI_PANEL_ROWS);
    struct scratch s = { .sums = take_array(&work, p->a.n, PANELS * LQI_PANEL_ROWS *
                                                               sizeof(int32_t)) };
    unsigned long long strip;

    s.w = (float *)(void *)work;
    while ((strip = atomic_fetch_add(&p->next, 1)) < p->strips) {
        uint64_t panel = (first / PANELS + strip) * PANELS;
        uint64_t from = panel < first ? first : panel;
        multiply(p, from, lqi_min(panel + PANELS, end) - from, &s);
    }
}

void lqi_tokens_scale(const lqi_tokens *t, uint64_t n, uint64_t rows, float *sums, uint64_t ld)
{
    for (uint64_t j = 0; j < n; j++)
        for (uint64_t r = 0; r < rows; r++)
            sums[j * ld + r] *= t->scale[j];
}
