/* SPDX-License-Identifier: MIT */
/*
 * lib/core/panel_pack.c - chunks of panels from rows taken apart; layout: kernels/panel.h
 *
 * The four codes of a row that share a dword are packed together: bytes of a u32 side by
 * side, which never overflow into each other.
 */
#include "lib/core/panel.h"

typedef lqi_panel_part part;

/* --------------------------------------------------------------------- codes */

static void pack_3(const uint32_t c[8], uint32_t *q)
{
    q[0] = c[0] | c[3] << 3 | (c[6] & 0x03030303) << 6;
    q[1] = c[1] | c[4] << 3 | (c[7] & 0x03030303) << 6;
    q[2] = c[2] | c[5] << 3 | (c[6] & 0x04040404) << 4 | (c[7] & 0x04040404) << 5;
}

static void pack_5(const uint32_t c[8], uint32_t *q)
{
    const uint32_t three = 0x07070707, bit = 0x08080808, upper = 0x18181818;

    for (int m = 0; m < 3; m++)
        q[m] = c[m] | (c[m + 5] & three) << 5;
    q[3] = c[3] | (c[5] & upper) << 2 | (c[7] & bit) << 4;
    q[4] = c[4] | (c[6] & upper) << 2 | (c[7] & 0x10101010) << 3;
}

static void pack_6(const uint32_t c[4], uint32_t *q)
{
    q[0] = c[0] | (c[3] & 0x03030303) << 6;
    q[1] = c[1] | (c[3] & 0x0c0c0c0c) << 4;
    q[2] = c[2] | (c[3] & 0x30303030) << 2;
}

/* Dwords of one row of a unit: eight of codes to 'bits' of packed ones. */
static void pack_codes(unsigned bits, const uint32_t c[8], uint32_t q[8])
{
    switch (bits) {
    case 2:
        for (int i = 0; i < 2; i++)
            q[i] = c[4 * i] | c[4 * i + 1] << 2 | c[4 * i + 2] << 4 | c[4 * i + 3] << 6;
        break;
    case 3:
        pack_3(c, q);
        break;
    case 4:
        for (int i = 0; i < 4; i++)
            q[i] = c[2 * i] | c[2 * i + 1] << 4;
        break;
    case 5:
        pack_5(c, q);
        break;
    case 6:
        pack_6(c, q);
        pack_6(c + 4, q + 3);
        break;
    default:
        memcpy(q, c, 8 * sizeof *q);
    }
}

static uint8_t *put_unit(unsigned bits, const part *p, unsigned unit, uint8_t *to)
{
    for (unsigned r = 0; r < LQI_PANEL_ROWS; r++) {
        uint32_t c[8], q[8];
        for (unsigned j = 0; j < 8; j++)
            c[j] = lqi_load32(p[r].code + 32 * unit + 4 * j);
        pack_codes(bits, c, q);
        for (unsigned i = 0; i < bits; i++)
            lqi_store32(to + 64 * i + 4 * r, q[i]);
    }
    return to + 64 * bits;
}

/* -------------------------------------------------------------------- scales */

#define ROWS for (unsigned r = 0; r < LQI_PANEL_ROWS; r++)

static uint8_t *put_f16(const part *p, unsigned i, uint8_t *to)
{
    ROWS
        lqi_store16(to + 2 * r, lqi_f32_to_f16(p[r].scale[i]));
    return to + 2 * LQI_PANEL_ROWS;
}

static uint8_t *put_min_f16(const part *p, unsigned i, uint8_t *to)
{
    ROWS
        lqi_store16(to + 2 * r, lqi_f32_to_f16(p[r].min[i]));
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

void lqi_panel_pack(const lqi_panel *p, const lqi_panel_part s[LQI_PANEL_ROWS],
                    uint8_t *chunk)
{
    uint8_t *to = put_front(p, s, chunk);

    for (unsigned pair = 0; pair < 4; pair++) {
        to = put_head(p, s, pair, to);
        to = put_unit(p->bits, s, 2 * pair, to);
        to = put_unit(p->bits, s, 2 * pair + 1, to);
    }
    put_tail(p, s, to);
}
