/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/panel_pack.h - a chunk of a panel from 16 rows taken apart: what strips and
 * fused kernels undo; layout: kernels/panel.h
 *
 * The four codes of a row that share a dword are packed together: bytes of a u32 side by
 * side, which never overflow into each other.
 */
#include "kernels/panel.h"

typedef lqi_panel_part part;

#define ROWS for (unsigned r = 0; r < LQI_PANEL_ROWS; r++)

/* --------------------------------------------------------------------- codes */

/* A dword of each row side by side. */
typedef struct line {
    uint32_t row[LQI_PANEL_ROWS];
} line;

#if V_LANES >= 8
static void pair_columns(const part *s, unsigned pair, line c[16])
{
    float block[V_LANES][V_LANES];   /* only moved */

    for (unsigned row = 0; row < LQI_PANEL_ROWS; row += V_LANES)
        for (unsigned col = 0; col < 16; col += V_LANES) {
            const float *rows[V_LANES];
            for (unsigned r = 0; r < V_LANES; r++)
                rows[r] = (const float *)(const void *)s[row + r].code;
            v_transpose(rows, 16 * pair + col, block[0]);
            for (unsigned i = 0; i < V_LANES; i++)
                memcpy(c[col + i].row + row, block[i], sizeof block[i]);
        }
}
#else
static void pair_columns(const part *s, unsigned pair, line c[16])
{
    for (unsigned i = 0; i < 16; i++)
        ROWS
            c[i].row[r] = lqi_load32(s[r].code + 64 * pair + 4 * i);
}
#endif

static uint8_t *put_line(const line *q, uint8_t *to)
{
#if V_LANES > 1
    memcpy(to, q, sizeof *q);
#else
    ROWS
        lqi_store32(to + 4 * r, q->row[r]);
#endif
    return to + sizeof *q;
}

/* Column i of a unit's eight in the row at hand; a line of what 'expression' is in each row. */
#define C(i) c[i].row[r]
#define LINE_OF(expression)                      \
    do {                                         \
        line q;                                  \
        ROWS                                     \
            q.row[r] = (expression);             \
        to = put_line(&q, to);                   \
    } while (0)

static uint8_t *pack_2(const line *c, uint8_t *to)
{
    for (int i = 0; i < 8; i += 4)
        LINE_OF(C(i) | C(i + 1) << 2 | C(i + 2) << 4 | C(i + 3) << 6);
    return to;
}

static uint8_t *pack_3(const line *c, uint8_t *to)
{
    LINE_OF(C(0) | C(3) << 3 | (C(6) & 0x03030303) << 6);
    LINE_OF(C(1) | C(4) << 3 | (C(7) & 0x03030303) << 6);
    LINE_OF(C(2) | C(5) << 3 | (C(6) & 0x04040404) << 4 | (C(7) & 0x04040404) << 5);
    return to;
}

static uint8_t *pack_4(const line *c, uint8_t *to)
{
    for (int i = 0; i < 8; i += 2)
        LINE_OF(C(i) | C(i + 1) << 4);
    return to;
}

static uint8_t *pack_5(const line *c, uint8_t *to)
{
    for (int m = 0; m < 3; m++)
        LINE_OF(C(m) | (C(m + 5) & 0x07070707) << 5);
    LINE_OF(C(3) | (C(5) & 0x18181818) << 2 | (C(7) & 0x08080808) << 4);
    LINE_OF(C(4) | (C(6) & 0x18181818) << 2 | (C(7) & 0x10101010) << 3);
    return to;
}

static uint8_t *pack_6(const line *c, uint8_t *to)
{
    for (int i = 0; i < 8; i += 4) {
        LINE_OF(C(i) | (C(i + 3) & 0x03030303) << 6);
        LINE_OF(C(i + 1) | (C(i + 3) & 0x0c0c0c0c) << 4);
        LINE_OF(C(i + 2) | (C(i + 3) & 0x30303030) << 2);
    }
    return to;
}

static uint8_t *pack_8(const line *c, uint8_t *to)
{
    for (int i = 0; i < 8; i++)
        to = put_line(c + i, to);
    return to;
}

static uint8_t *put_pair(const lqi_panel *p, const part *s, unsigned pair, uint8_t *to)
{
    static uint8_t *(*const pack[LQI_PANEL_CODES])(const line *c, uint8_t *to) = {
        pack_2, pack_3, pack_4, pack_5, pack_6, pack_8
    };
    line c[16];

    pair_columns(s, pair, c);
    to = pack[p->codes](c, to);
    return pack[p->codes](c + 8, to);
}

/* -------------------------------------------------------------------- scales */

static uint8_t *put_f16(const part *p, unsigned i, uint8_t *to)
{
    ROWS
        lqi_store16(to + 2 * r, p[r].half[i]);
    return to + 2 * LQI_PANEL_ROWS;
}

static uint8_t *put_min_f16(const part *p, unsigned i, uint8_t *to)
{
    ROWS
        lqi_store16(to + 2 * r, p[r].half_min[i]);
    return to + 2 * LQI_PANEL_ROWS;
}

static uint8_t *put_f32(const part *p, unsigned i, uint8_t *to)
{
    ROWS
        lqi_store32(to + 4 * r, lqi_float_bits(p[r].scale[i]));
    return to + 4 * LQI_PANEL_ROWS;
}

static uint8_t *put_min_f32(const part *p, unsigned i, uint8_t *to)
{
    ROWS
        lqi_store32(to + 4 * r, lqi_float_bits(p[r].min[i]));
    return to + 4 * LQI_PANEL_ROWS;
}

static uint8_t *put_bytes(const part *p, unsigned i, uint8_t *to)
{
    ROWS
        to[r] = p[r].byte[i];
    return to + LQI_PANEL_ROWS;
}

static uint8_t *put_sub(const part *p, unsigned i, uint8_t *to)
{
    ROWS
        to[r] = (uint8_t)p[r].sub[i];
    return to + LQI_PANEL_ROWS;
}

static uint8_t *put_nibbles(const part *p, unsigned pair, uint8_t *to)
{
    ROWS
        for (unsigned k = 4 * pair; k < 4 * pair + 4; k++)
            *to++ = (uint8_t)(p[r].sub[k] | p[r].byte[k] << 4);
    return to;
}

static uint8_t *put_front(const lqi_panel *p, const part *s, uint8_t *to)
{
    if (p->shape == LQI_S256_F32 || p->shape == LQI_F256_F32)
        return put_f32(s, 0, to);
    if (p->shape == LQI_F128_F32)
        return put_f32(s, 2, put_f32(s, 0, to));
    if (p->shape != LQI_S128_F16_ZP)
        return to;
    to = put_f16(s, 2, put_f16(s, 0, to));
    return put_bytes(s, 2, put_bytes(s, 0, to));
}

static uint8_t *put_head(const lqi_panel *p, const part *s, unsigned pair, uint8_t *to)
{
    unsigned a = 2 * pair, b = a + 1;   /* units */

    switch (p->shape) {
    case LQI_S32_F16:
        return put_f16(s, b, put_f16(s, a, to));
    case LQI_S32_E8M0:
    case LQI_F32_E8M0:
        return put_bytes(s, b, put_bytes(s, a, to));
    case LQI_S32_F16_MIN:
        to = put_f16(s, b, put_f16(s, a, to));
        return put_min_f16(s, b, put_min_f16(s, a, to));
    case LQI_S32_F16_ZP:
        to = put_f16(s, b, put_f16(s, a, to));
        return put_bytes(s, b, put_bytes(s, a, to));
    case LQI_S32_F32_MIN:
        to = put_f32(s, b, put_f32(s, a, to));
        return put_min_f32(s, b, put_min_f32(s, a, to));
    case LQI_S64_F32:
        return put_f32(s, pair, to);
    case LQI_S64_F16_ZP:
        return put_bytes(s, pair, put_f16(s, pair, to));
    case LQI_S16_E4M3:
        for (unsigned k = 4 * pair; k < 4 * pair + 4; k++)
            to = put_bytes(s, k, to);
        return to;
    case LQI_K32:
    case LQI_K32_MIN:
        return put_sub(s, b, put_sub(s, a, to));
    case LQI_K16:
        for (unsigned k = 4 * pair; k < 4 * pair + 4; k++)
            to = put_sub(s, k, to);
        return to;
    case LQI_K16_MIN:
        return put_nibbles(s, pair, to);
    default:
        return to;
    }
}

static void put_tail(const lqi_panel *p, const part *s, uint8_t *to)
{
    if (p->shape == LQI_K32_MIN)
        for (unsigned half = 0; half < 2; half++)
            ROWS {
                memcpy(to, s[r].byte + 4 * half, 4);
                to += 4;
            }
    if (lqi_panel_shapes[p->shape].two)
        to = put_f16(s, 0, to);
    if (lqi_panel_shapes[p->shape].min == LQI_MIN_INT)
        put_min_f16(s, 0, to);
}

static void pack_chunk(const lqi_panel *p, const part s[LQI_PANEL_ROWS], uint8_t *chunk)
{
    uint8_t *to = put_front(p, s, chunk);

    for (unsigned pair = 0; pair < LQI_PANEL_UNITS / 2; pair++)
        to = put_pair(p, s, pair, put_head(p, s, pair, to));
    put_tail(p, s, to);
}
