/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/panel_plain.h - panels read as kernels/panel.h describes them, one number at a
 * time, and their products in float64
 */
#ifndef PANEL_PLAIN_H
#define PANEL_PLAIN_H

#include <math.h>

#include "kernels/panel.h"
#include "lib/base/half.h"

#define PANEL_CHUNK_MAX 6144   /* bytes */

/* --------------------------------------------------------------------- fields */

enum { FIELD_F16, FIELD_F32, FIELD_E8M0, FIELD_E4M3, FIELD_ZERO, FIELD_BYTES };

/* Numbers of one kind, side by side in a chunk. */
typedef struct panel_field {
    int    kind;
    size_t at, size, count;
} panel_field;

static inline size_t panel_head(const lqi_panel *p, unsigned pair)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];

    return g->front + pair * (g->head + 2u * 64 * p->bits);
}

/* Of one chunk, all but the codes. */
static inline unsigned panel_fields(const lqi_panel *p, panel_field *f)
{
    size_t tail = panel_head(p, 4) + (p->shape == LQI_K32_MIN ? 128 : 0);
    unsigned n = 0;

    if (p->shape == LQI_S128_F16_ZP) {
        f[n++] = (panel_field){ FIELD_F16, 0, 2, 32 };
        f[n++] = (panel_field){ FIELD_ZERO, 64, 1, 32 };
    } else if (p->shape == LQI_F128_F32) {
        f[n++] = (panel_field){ FIELD_F32, 0, 4, 32 };
    } else if (p->shape == LQI_S256_F32 || p->shape == LQI_F256_F32) {
        f[n++] = (panel_field){ FIELD_F32, 0, 4, 16 };
    } else if (lqi_panel_shapes[p->shape].two) {
        f[n++] = (panel_field){ FIELD_F16, tail, 2, p->shape >= LQI_K32_MIN ? 32 : 16 };
    }
    for (unsigned pair = 0; pair < 4; pair++) {
        size_t head = panel_head(p, pair);
        switch (p->shape) {
        case LQI_S32_F16:     f[n++] = (panel_field){ FIELD_F16, head, 2, 32 }; break;
        case LQI_S32_F16_MIN: f[n++] = (panel_field){ FIELD_F16, head, 2, 64 }; break;
        case LQI_S32_E8M0:
        case LQI_F32_E8M0:    f[n++] = (panel_field){ FIELD_E8M0, head, 1, 32 }; break;
        case LQI_S32_F32_MIN: f[n++] = (panel_field){ FIELD_F32, head, 4, 64 }; break;
        case LQI_S64_F32:     f[n++] = (panel_field){ FIELD_F32, head, 4, 16 }; break;
        case LQI_S16_E4M3:    f[n++] = (panel_field){ FIELD_E4M3, head, 1, 64 }; break;
        case LQI_S32_F16_ZP:
            f[n++] = (panel_field){ FIELD_F16, head, 2, 32 };
            f[n++] = (panel_field){ FIELD_ZERO, head + 64, 1, 32 };
            break;
        case LQI_S64_F16_ZP:
            f[n++] = (panel_field){ FIELD_F16, head, 2, 16 };
            f[n++] = (panel_field){ FIELD_ZERO, head + 32, 1, 16 };
            break;
        default: break;
        }
    }
    return n;
}

/* ---------------------------------------------------------------------- codes */

/* Code c[j] of a byte column whose byte i is b[64 * i]. */
static unsigned panel_code(unsigned bits, const uint8_t *b, unsigned j)
{
#define B(i) ((unsigned)b[64 * (i)])
    switch (bits) {
    case 2: return B(j / 4) >> 2 * (j % 4) & 3;
    case 4: return B(j / 2) >> 4 * (j % 2) & 15;
    case 3:
        if (j < 6)
            return B(j % 3) >> 3 * (j / 3) & 7;
        return B(j - 6) >> 6 | (B(2) >> j & 1) << 2;
    case 5:
        if (j < 5)
            return B(j) & 31;
        if (j < 7)
            return B(j - 5) >> 5 | (B(j - 2) >> 5 & 3) << 3;
        return B(2) >> 5 | B(3) >> 7 << 3 | B(4) >> 7 << 4;
    case 6: {
        unsigned i = j / 4 * 3;
        if (j % 4 < 3)
            return B(i + j % 4) & 63;
        return B(i) >> 6 | B(i + 1) >> 6 << 2 | B(i + 2) >> 6 << 4;
    }
    default: return B(j);
    }
#undef B
}

/* What a code stands for, before its scale and zero point. */
static int panel_level(const lqi_panel *p, const uint8_t *chunk, unsigned row, unsigned col)
{
    const uint8_t *unit = chunk + panel_head(p, col / 64) + lqi_panel_shapes[p->shape].head
                          + col / 32 % 2 * 64 * p->bits;
    unsigned code = panel_code(p->bits, unit + 4 * row + col % 4, col % 32 / 4);

    if (p->bits == 3 || p->bits == 4 || p->bits == 6)
        code = p->table[code];
    return (int)code - (lqi_panel_shapes[p->shape].offset ? 1 << p->shift : 0);
}

/* --------------------------------------------------------------------- scales */

static double panel_f16(const uint8_t *p)
{
    return (double)lqi_f16_to_f32(lqi_load16(p));
}

static double panel_f32(const uint8_t *p)
{
    return (double)lqi_bits_float(lqi_load32(p));
}

/* A scale of f32 with its unit: rounded, which matters to denormal ones. */
static double panel_scaled(const lqi_panel *p, const uint8_t *at)
{
    return (double)(p->factor * lqi_bits_float(lqi_load32(at)));
}

static double panel_e4m3(unsigned byte)
{
    return byte < 8 ? ldexp(byte, -9) : ldexp(8 + (byte & 7), (int)(byte >> 3) - 10);
}

/* Next to the codes: of 'col' and its neighbours. */
static double panel_scale(const lqi_panel *p, const uint8_t *chunk, unsigned row, unsigned col)
{
    const uint8_t *head = chunk + panel_head(p, col / 64);
    unsigned u = col / 32 % 2, half = col / 16 % 2;

    switch (p->shape) {
    case LQI_S32_F16: case LQI_S32_F16_MIN: case LQI_S32_F16_ZP:
        return panel_f16(head + 32 * u + 2 * row);
    case LQI_S32_E8M0: case LQI_F32_E8M0:
        return (double)p->factor * ldexp(1, head[16 * u + row] - 127);
    case LQI_S32_F32_MIN: return panel_scaled(p, head + 64 * u + 4 * row);
    case LQI_S64_F32:     return panel_scaled(p, head + 4 * row);
    case LQI_S64_F16_ZP:  return panel_f16(head + 2 * row);
    case LQI_S128_F16_ZP: return panel_f16(chunk + col / 128 * 32 + 2 * row);
    case LQI_F128_F32:
        return panel_scaled(p, chunk + col / 128 * 64 + 4 * row);
    case LQI_S256_F32: case LQI_F256_F32:
        return panel_scaled(p, chunk + 4 * row);
    case LQI_S16_E4M3:
        return (double)p->factor * panel_e4m3(head[32 * u + 16 * half + row]);
    case LQI_K16:         return (int8_t)head[32 * u + 16 * half + row];
    case LQI_K16_MIN:     return head[4 * row + 2 * u + half] & 15;
    default:              return (int8_t)head[16 * u + row];   /* K32, K32_MIN */
    }
}

static int panel_zero(const lqi_panel *p, const uint8_t *chunk, unsigned row, unsigned col)
{
    const uint8_t *head = chunk + panel_head(p, col / 64);

    switch (p->shape) {
    case LQI_S32_F16_ZP:  return head[64 + col / 32 % 2 * 16 + row];
    case LQI_S64_F16_ZP:  return head[32 + row];
    case LQI_S128_F16_ZP: return chunk[64 + col / 128 * 16 + row];
    default:              return 0;
    }
}

/* Next to the codes: what the sum of the activations is multiplied with. */
static double panel_min(const lqi_panel *p, const uint8_t *chunk, unsigned row, unsigned col)
{
    const uint8_t *head = chunk + panel_head(p, col / 64), *tail = chunk + panel_head(p, 4);
    unsigned u = col / 32 % 2;

    switch (p->shape) {
    case LQI_S32_F16_MIN: return panel_f16(head + 64 + 32 * u + 2 * row);
    case LQI_S32_F32_MIN: return panel_f32(head + 128 + 64 * u + 4 * row);
    case LQI_K32_MIN:     return tail[col / 128 * 64 + 4 * row + col / 32 % 4];
    case LQI_K16_MIN:     return head[4 * row + 2 * u + col / 16 % 2] >> 4;
    default:              return 0;
    }
}

/* The second level: d, or -dmin. */
static double panel_second(const lqi_panel *p, const uint8_t *chunk, unsigned row, int min)
{
    const uint8_t *d = chunk + panel_head(p, 4) + (p->shape == LQI_K32_MIN ? 128 : 0);

    if (!lqi_panel_shapes[p->shape].two)
        return 1;
    if (min)
        return p->shape >= LQI_K32_MIN ? -panel_f16(d + 32 + 2 * row) : 0;
    return (double)(float)(panel_f16(d + 2 * row) * (double)p->factor);
}

/* -------------------------------------------------------------------- products */

typedef struct panel_sum {
    double sum, magnitude;   /* of the terms that are rounded */
} panel_sum;

/* Row 'row' of a panel with one vector; a scale per 32 or per 256 of its integers. */
static inline panel_sum panel_product(const lqi_panel *p, const uint8_t *panel, size_t chunks,
                               unsigned row, const int8_t *q, const float *scale)
{
    const lqi_panel_geometry *g = &lqi_panel_shapes[p->shape];
    panel_sum s = { 0, 0 };

    for (size_t chunk = 0; chunk < chunks; chunk++, panel += p->chunk_bytes, q += 256)
        for (unsigned first = 0; first < 256; first += g->step) {
            double xs = (double)scale[g->acts == LQI_ACTS_32 ? 8 * chunk + first / 32 : chunk];
            double dot = 0, low = 0;
            for (unsigned c = first; c < first + g->step; c++) {
                int level = panel_level(p, panel, row, c) - panel_zero(p, panel, row, c);
                dot += level * q[c];
                low += panel_min(p, panel, row, c) * q[c];
            }
            dot *= panel_scale(p, panel, row, first) * panel_second(p, panel, row, 0) * xs;
            low *= panel_second(p, panel, row, 1) * xs;
            s.sum += dot + low;
            s.magnitude += fabs(dot) + fabs(low);
        }
    return s;
}

#endif
