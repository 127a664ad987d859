/* SPDX-License-Identifier: MIT */
/*
 * tests/kern/panel_random.h - panels of random codes, and of scales that are numbers of any size
 */
#ifndef PANEL_RANDOM_H
#define PANEL_RANDOM_H

#include "common.h"
#include "panel_plain.h"

static uint64_t seed = 1;

static float any_scale(int wild)
{
    static const float odd[] = { 0, -0.0f, 1e-42f, -3e-39f, 1e-30f, 1, -7e10f, 1e25f };
    uint64_t z = test_next(&seed);

    return wild && z % 2 ? odd[z / 2 % COUNT(odd)] : 0.5f + (float)(z >> 40) * 0x1p-24f;
}

static uint16_t any_f16(int wild)
{
    static const uint16_t odd[] = { 0, 0x8000, 1, 0x83ff, 0x0400, 0x7bff, 0xfbff };
    uint64_t z = test_next(&seed);

    return wild && z % 2 ? odd[z / 2 % COUNT(odd)] : (uint16_t)(0x3800 + (z >> 8 & 0x7ff));
}

/* A byte in [0, most], often one of the ends. */
static uint8_t any_byte(unsigned most)
{
    uint64_t z = test_next(&seed);

    return (uint8_t)(z % 4 == 0 ? 0 : z % 4 == 1 ? most : (z >> 8) % (most + 1));
}

/* Random bytes would be NaN, infinity, or zero points beyond the codes. */
static void put_field(const lqi_panel *p, int field, int wild, uint8_t *to)
{
    float scale = any_scale(wild);

    switch (field) {
    case FIELD_F16: lqi_store16(to, any_f16(wild)); break;
    case FIELD_F32: memcpy(to, &scale, 4); break;
    case FIELD_E8M0: *to = wild ? (uint8_t)(1 + any_byte(190)) : (uint8_t)(120 + any_byte(7)); break;
    case FIELD_E4M3: *to = any_byte(126); break;
    case FIELD_ZERO: *to = any_byte((1u << p->bits) - 1); break;
    default: *to = any_byte(255);
    }
}

static void fill_panel(const lqi_panel *p, int wild, uint8_t *panel, size_t chunks)
{
    for (; chunks; chunks--, panel += p->chunk_bytes) {
        panel_field field[32];
        unsigned count = panel_fields(p, field);
        for (size_t i = 0; i < p->chunk_bytes; i++)
            panel[i] = (uint8_t)test_next(&seed);
        for (unsigned f = 0; f < count; f++)
            for (size_t i = 0; i < field[f].count; i++)
                put_field(p, field[f].kind, wild, panel + field[f].at + i * field[f].size);
    }
}

/* What all chunks share: offset, factor, levels. */
static lqi_panel any_panel(int codes, int shape)
{
    lqi_panel p = { .codes = (uint8_t)codes, .shape = (uint8_t)shape, .factor = 0.75f };

    lqi_panel_measure(&p);
    p.shift = p.bits == 2 ? (uint8_t)(test_next(&seed) % 2) : (uint8_t)(p.bits - 1);
    for (int i = 0; i < 64; i++)
        p.table[i] = (uint8_t)i;
    if (lqi_panel_shapes[shape].offset && (p.bits == 3 || p.bits == 4 || p.bits == 6)) {
        p.shift = (uint8_t)(4 + test_next(&seed) % 4);
        for (int i = 0; i < 64; i++)
            p.table[i] = any_byte((2u << p.shift) - 1);
    }
    return p;
}

#endif
