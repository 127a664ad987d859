/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/panel_tile.h - strips of decoded rows, and their products with many columns
 *
 * Parameters: STRIP_PANELS (panels of a strip), TILE_MAX (columns of a tile: rows and
 * columns of accumulators must leave registers for the weights).
 */
#define STRIP_VECTORS (STRIP_PANELS * LQI_PANEL_ROWS / V_LANES)

#if defined(V_MATRIX) && !V_SIGNED
#error "panel_tile.h: products of matrices start from 0"
#endif

/* ------------------------------------------------------------------ strips */

P_INLINE v_bytes strip_zero(const lqi_panel *p, const chunk_view *c, int pair, int u,
                            unsigned row)
{
    unsigned offset = V_SIGNED ? 0 : 1u << lqi_strip_shift(p);
    v_u32 zero = v_set1u(0);

    switch (p->shape) {
    case LQI_S32_F16_ZP: zero = chunk_zero(LQI_S32_F16_ZP, c, pair, u, row); break;
    case LQI_S64_F16_ZP: zero = chunk_zero(LQI_S64_F16_ZP, c, pair, u, row); break;
    case LQI_S128_F16_ZP: zero = chunk_zero(LQI_S128_F16_ZP, c, pair, u, row); break;
    default: break;
    }
    return v_bytes_repeat(v_set1u(offset) - zero);
}

/* Scales and minimums, for whatever shape: position 'at' counts steps from the strip's
 * first chunk. */
static void strip_scales(const lqi_panel *p, const chunk_view *c, size_t chunk, int pair,
                         unsigned row, unsigned to, lqi_strip *s)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];
    size_t at = (4 * chunk + (size_t)pair) * 64 / g->step;

#define SCALES(shape) \
    case LQI_##shape: \
        for (int u = 0; u < (g->step == 64 ? 1 : 2); u++) { \
            for (int half = 0; half < (g->step == 16 ? 2 : 1); half++, at++) \
                v_store(s->scale[at] + to, \
                        chunk_scale(LQI_##shape, p, c, pair, u, half, row)); \
            if (g->min == LQI_MIN_FLOAT) \
                v_store(s->min[at - 1] + to, chunk_min(LQI_##shape, c, u, row)); \
        } \
        break;
    switch (p->shape) {
    SCALES(S32_F16) SCALES(S32_E8M0) SCALES(S32_F16_MIN) SCALES(S32_F16_ZP)
    SCALES(S32_F32_MIN) SCALES(S64_F32) SCALES(S64_F16_ZP) SCALES(S128_F16_ZP)
    SCALES(S256_F32) SCALES(S16_E4M3) SCALES(K32) SCALES(K16) SCALES(K32_MIN)
    SCALES(K16_MIN)
    default: break;
    }
#undef SCALES
}

static void strip_pair(v_u32 four, size_t at, unsigned to, lqi_strip *s)
{
    v_store_u32((uint32_t *)s->pair[at] + to, mins_even(four));
    v_store_u32((uint32_t *)s->pair[at + 1] + to, mins_odd(four));
}

/* What stands behind the codes. */
static void strip_tail(const lqi_panel *p, const chunk_view *c, size_t chunk, unsigned row,
                       unsigned to, lqi_strip *s)
{
    switch (p->shape) {
    case LQI_K32:
    case LQI_K16:
        v_store(s->d[chunk] + to, chunk_d(LQI_K16, p, c, row));
        break;
    case LQI_K16_MIN:
        v_store(s->d[chunk] + to, chunk_d(LQI_K16_MIN, p, c, row));
        v_store(s->dmin[chunk] + to, v_neg(chunk_dmin(LQI_K16_MIN, c, row)));
        break;
    case LQI_K32_MIN:
        for (int half = 0; half < 2; half++)
            strip_pair(chunk_int_mins(LQI_K32_MIN, c, half, row), 4 * chunk + 2 * (size_t)half,
                       to, s);
        v_store(s->d[chunk] + to, chunk_d(LQI_K32_MIN, p, c, row));
        v_store(s->dmin[chunk] + to, v_neg(chunk_dmin(LQI_K32_MIN, c, row)));
        break;
    default:
        v_store(s->d[chunk] + to, v_set1(1));
    }
}

P_INLINE void strip_unit(const int bits, const unit_tables *tables, const uint8_t *codes,
                         int zeros, v_bytes zero, unsigned row, unsigned to,
                         uint8_t (*out)[LQI_STRIP_ROWS * 4])
{
    v_bytes v[8];

    unit_decode(bits, tables, codes + 4 * row, v);
    if (zeros)
        EACH(j, 8)
            v[j] = v_bytes_add(v[j], zero);
#if defined(V_MATRIX)
    EACH(j, 4)
        v_matrix_rows(&v[2 * j], &v[2 * j + 1]);
#endif
    EACH(j, 8)
        v_bytes_store(out[j] + 4 * to, v[j]);
}

/* Rows [row, row + V_LANES) of the panel to the strip's rows from 'to' on. */
P_INLINE void strip_rows(const int bits, const lqi_panel *p, const uint8_t *panel,
                         size_t chunks, unsigned row, unsigned to, lqi_strip *s)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];
    const unit_tables tables = unit_tables_load(p);
    int zeros = g->min == LQI_MIN_ZERO;

    for (size_t chunk = 0; chunk < chunks; chunk++) {
        chunk_view c = { panel, panel + g->front, NULL };
        for (int pair = 0; pair < 4; pair++) {
            const uint8_t *codes = c.head + g->head;
            strip_scales(p, &c, chunk, pair, row, to, s);
            if (p->shape == LQI_K16_MIN)
                strip_pair(chunk_int_mins(LQI_K16_MIN, &c, 0, row),
                           8 * chunk + 2 * (size_t)pair, to, s);
            for (int u = 0; u < 2; u++, codes += 64 * bits)
                strip_unit(bits, &tables, codes, zeros,
                           zeros ? strip_zero(p, &c, pair, u, row) : tables.offset, row, to,
                           s->codes + 64 * chunk + 16 * pair + 8 * u);
            c.head = codes;
        }
        c.tail = c.head;
        strip_tail(p, &c, chunk, row, to, s);
        panel = c.tail + g->tail;
    }
    s->shift = (uint8_t)lqi_strip_shift(p);
}

#define STRIP(bits) \
    static void strip_##bits(const lqi_panel *p, const uint8_t *panel, size_t chunks, \
                             unsigned row, lqi_strip *s) \
    { \
        for (unsigned r = 0; r < LQI_PANEL_ROWS; r += V_LANES) \
            strip_rows(bits, p, panel, chunks, r, row + r, s); \
    }
STRIP(2) STRIP(3) STRIP(4) STRIP(5) STRIP(6) STRIP(8)
#undef STRIP

/* ------------------------------------------------------------------- tiles */

typedef struct tile_state {
    v_u32 dot[TILE_MAX][STRIP_VECTORS];
    v_f32 sum[TILE_MAX][STRIP_VECTORS];   /* of the chunk; ACTS_32: of everything */
} tile_state;

#define VECTORS EACH(i, STRIP_VECTORS)

#if defined(V_MATRIX)

/* All dots of a step, from line 'line' of the strip: two lines hold eight columns, and a
 * product is of two rows and two columns of the product.  An odd last one goes with the one
 * before it, once more.  Nothing is added to what was in s->dot, which is 0. */
P_INLINE void tile_dots(const int step, const int T, const lqi_strip *strip, size_t line,
                        const int32_t *x, tile_state *s)
{
    v_u32 sum[(TILE_MAX + 1) / 2][STRIP_VECTORS][2];

    EACH(t, (T + 1) / 2)
        VECTORS
            sum[t][i][0] = sum[t][i][1] = v_set1u(0);
    for (int j = 0; j < step / 4; j += 2) {
        v_bytes w[STRIP_VECTORS][2];
        VECTORS
            EACH(h, 2)
                w[i][h] = v_bytes_load(strip->codes[line + (size_t)(j + h)] + 4 * V_LANES * i);
        EACH(t, (T + 1) / 2) {
            const int32_t *two = x + j * T + (2 * t < T - 1 ? 2 * t : T - 2);
            v_u32 xt = v_matrix_columns(two, two + T);
            VECTORS
                EACH(h, 2)
                    sum[t][i][h] = v_dot8(sum[t][i][h], w[i][h], xt);
        }
    }
    EACH(t, (T + 1) / 2)
        VECTORS {
            const int first = 2 * t < T - 1 ? 2 * t : T - 2;
            s->dot[first][i] = v_matrix_first(sum[t][i][0], sum[t][i][1]);
            s->dot[first + 1][i] = v_matrix_second(sum[t][i][0], sum[t][i][1]);
        }
}

#else

/* All dots of a step, from line 'line' of the strip.  Where v_dot4_of() reads all four
 * neighbours, T is no less (TILE_MAX 6). */
P_INLINE void tile_dots(const int step, const int T, const lqi_strip *strip, size_t line,
                        const int32_t *x, tile_state *s)
{
    for (int j = 0; j < step / 4; j++) {
        v_bytes w[STRIP_VECTORS];
        VECTORS
            w[i] = v_bytes_load(strip->codes[line + (size_t)j] + 4 * V_LANES * i);
        EACH(t, T) {
            const int four = t < 4 ? 0 : T - 4;   /* four neighbours of which t is one */
            VECTORS
                s->dot[t][i] = v_dot4_of(s->dot[t][i], w[i], x + j * T + four, t - four);
        }
    }
}

#endif

P_INLINE void tile_start(const int T, int offset, unsigned shift, const int32_t *minus_sum,
                         tile_state *s)
{
    EACH(t, T) {
        v_u32 start = offset ? v_set1u((uint32_t)minus_sum[t]) << shift : v_set1u(0);
        VECTORS
            s->dot[t][i] = start;
    }
}

/* Scales of 32 columns on both sides. */
P_INLINE void tile_32(const int min, const int offset, const int T, const lqi_strip *strip,
                      size_t chunks, const lqi_acts_tile *a, float *y)
{
    tile_state s;

    EACH(t, T)
        VECTORS
            s.sum[t][i] = v_load(y + LQI_STRIP_ROWS * t + V_LANES * i);
    for (size_t g = 0; g < 8 * chunks; g++) {
        tile_start(T, offset && !V_SIGNED, strip->shift, a->sum[1] + g * T, &s);
        tile_dots(32, T, strip, 8 * g, a->x + 8 * g * T, &s);
        EACH(t, T) {
            v_f32 xs = v_set1(a->scale[g * T + t]);
            VECTORS
                s.sum[t][i] = v_fma(v_int_to_f32(s.dot[t][i]),
                                    v_mul(v_load(strip->scale[g] + V_LANES * i), xs),
                                    s.sum[t][i]);
            if (min)
                VECTORS
                    s.sum[t][i] = v_fma(v_load(strip->min[g] + V_LANES * i),
                                        v_set1(a->fsum[g * T + t]), s.sum[t][i]);
        }
    }
    EACH(t, T)
        VECTORS
            v_store(y + LQI_STRIP_ROWS * t + V_LANES * i, s.sum[t][i]);
}

/* Products of the integer minimums, to s->dot. */
P_INLINE void tile_mins(const int step, const int T, const lqi_strip *strip, size_t chunk,
                        const int32_t *pair, tile_state *s)
{
    const int lines = 128 / step;

    tile_start(T, 0, 0, NULL, s);
    EACH(k, lines)
        EACH(t, T)
            VECTORS
                s->dot[t][i] = v_dot2(s->dot[t][i],
                                      v_load_u32((const uint8_t *)(strip->pair[lines * chunk + k]
                                                                   + V_LANES * i)),
                                      v_set1u((uint32_t)pair[k * T + t]));
}

/* Activations in 256; steps of 16, 32 or 64 columns. */
P_INLINE void tile_256(const int step, const int min, const int T, const lqi_strip *strip,
                       size_t chunks, const lqi_acts_tile *a, float *y)
{
    const size_t steps = (size_t)(256 / step);
    const int32_t *sum = a->sum[sums_of(step)];
    tile_state s;

    for (size_t chunk = 0; chunk < chunks; chunk++) {
        EACH(t, T)
            VECTORS
                s.sum[t][i] = v_set1(0);
        for (size_t g = steps * chunk; g < steps * (chunk + 1); g++) {
            tile_start(T, !min && !V_SIGNED, strip->shift, sum + g * T, &s);
            tile_dots(step, T, strip, g * (size_t)(step / 4), a->x + g * (size_t)(step / 4) * T,
                      &s);
            EACH(t, T)
                VECTORS
                    s.sum[t][i] = v_fma(v_int_to_f32(s.dot[t][i]),
                                        v_load(strip->scale[g] + V_LANES * i), s.sum[t][i]);
        }
        if (min)
            tile_mins(step, T, strip, chunk,
                      a->pair[sums_of(step)] + chunk * (size_t)(128 / step) * T, &s);
        EACH(t, T) {
            v_f32 xs = v_set1(a->scale[chunk * T + t]);
            VECTORS {
                float *to = y + LQI_STRIP_ROWS * t + V_LANES * i;
                v_f32 part = v_mul(s.sum[t][i], v_load(strip->d[chunk] + V_LANES * i));
                if (min)
                    part = v_fma(v_int_to_f32(s.dot[t][i]),
                                 v_load(strip->dmin[chunk] + V_LANES * i), part);
                v_store(to, v_fma(part, xs, v_load(to)));
            }
        }
    }
}

#define TILE_BODY_32(min, offset) tile_32(min, offset, T, strip, chunks, a, y)
#define TILE_BODY_256(step, min) tile_256(step, min, T, strip, chunks, a, y)
#define TILE(name, width, body) \
    static void name##_##width(const lqi_strip *strip, size_t chunks, const lqi_acts_tile *a, \
                               float *y) \
    { \
        enum { T = TILE_MAX - width }; \
        body; \
    }
#define TILES(name, body) TILE(name, 0, body) TILE(name, 1, body) TILE(name, 2, body)
TILES(tile32, TILE_BODY_32(0, 1))
TILES(tile32_min, TILE_BODY_32(1, 1))
TILES(tile32_codes_min, TILE_BODY_32(1, 0))
TILES(tile16_256, TILE_BODY_256(16, 0))
TILES(tile32_256, TILE_BODY_256(32, 0))
TILES(tile64_256, TILE_BODY_256(64, 0))
TILES(tile16_256_min, TILE_BODY_256(16, 1))
TILES(tile32_256_min, TILE_BODY_256(32, 1))
