/* SPDX-License-Identifier: MIT */
/*
 * lib/format/grid_codes.c - IQ2_* and IQ3_*: scales and codes of superblocks
 */
#include "lib/format/grid_search.h"

/* ---------------------------------------------------------------- encoding */

/* Scales of sub-blocks to 4 bits, counting 0.5 + code; the superblock's scale. */
static float round_scales(const lqi_grid_sub *sub, int n, uint8_t *codes)
{
    float max = 0;

    for (int i = 0; i < n; i++)
        max = max > sub[i].scale || max != max ? max : sub[i].scale;   /* NaN stays */
    float d = max / 31, inverse = 1 / d;
    for (int i = 0; i < n; i++)
        codes[i] = (uint8_t)lqi_clamp_int(
            lqi_nearest_int(0.5f * (inverse * sub[i].scale - 1)), 0, 15);
    return d;
}

static uint32_t make_code(const lqi_grid_plan *plan, const uint32_t *entry, uint8_t signs)
{
    int lanes = lqi_grid_kinds[plan->grid].lanes, bits = plan->entry_bits;
    uint32_t s = plan->even ? signs & 127u : signs;

    return lanes == 8 ? entry[0] | s << bits : entry[0] | entry[1] << bits | s << 2 * bits;
}

int lqi_grid_finish(const lqi_grid_plan *plan, const lqi_grid_sub *sub, lqi_grid_param *param,
                    uint32_t *codes)
{
    int lanes = lqi_grid_kinds[plan->grid].lanes, per = plan->sub / 8;
    lqi_grid_param p = { 0 };
    float d = round_scales(sub, LQI_GRID_LEN / plan->sub, p.scale);

    if (d == 0)
        return 0;
    p.d = lqi_store_scale(d * plan->fudge);
    *param = p;
    for (int g = 0; g < LQI_GRID_CODES; g++) {
        const lqi_grid_sub *s = &sub[g / per];
        int first = g % per * (8 / lanes);
        uint32_t entry[2] = { s->entry[first], lanes == 8 ? 0u : s->entry[first + 1] };
        codes[g] = make_code(plan, entry, s->signs[g % per]);
    }
    return 1;
}

/* ----------------------------------------------------------- frozen scales */

static uint8_t nearest_level(const lqi_grid_kind *k, float v)
{
    uint8_t level = 0;

    while (level + 1 < k->base && v > 0.5f * (float)(k->value[level] + k->value[level + 1]))
        level++;
    return level;
}

/* Of the neighbours, the one whose values are nearest. */
static int32_t nearest_value(const lqi_grid_kind *k, const uint8_t *value,
                             const uint16_t *list, const float *v, const float *w)
{
    float best = INFINITY;
    int32_t found = list[1];

    for (unsigned i = 1; i <= list[0]; i++) {
        const uint8_t *entry = value + (size_t)k->lanes * list[i];
        float sum = 0;
        for (int lane = 0; lane < k->lanes; lane++) {
            float e = (float)entry[lane] - v[lane];
            sum += w[lane] * e * e;
        }
        if (sum < best) {
            best = sum;
            found = list[i];
        }
    }
    return found;
}

/* Entries and signs of 8 values x ~ scale * value * sign. */
static uint32_t round_code(const lqi_grid_plan *plan, const struct lqi_grids *grids,
                           const float *x, const float *w, float scale)
{
    const lqi_grid_kind *k = &lqi_grid_kinds[plan->grid];
    const lqi_near *near = lqi_grids_near(grids, plan->grid);
    uint32_t entry[2] = { 0, 0 };
    float v[8];
    uint8_t digit[8], signs = lqi_grid_signs(x, w, plan->even, v);

    if (scale == 0)
        return 0;
    if (scale < 0)
        signs = (uint8_t)~signs;
    for (int i = 0; i < 8; i++) {
        v[i] /= fabsf(scale);
        digit[i] = nearest_level(k, v[i]);
    }
    for (int i = 0; i < 8; i += k->lanes) {
        int32_t place = near->place[lqi_grid_point(k, digit + i)];
        if (place < 0)
            place = nearest_value(k, grids->value[plan->grid], lqi_near_list(near, place), v + i,
                                  w + i);
        entry[i / k->lanes] = (uint32_t)place;
    }
    return make_code(plan, entry, signs);
}

void lqi_grid_round(const lqi_grid_plan *plan, const lqi_fit *in, const lqi_grid_param *param,
                    uint32_t *codes)
{
    static const float ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    float d = lqi_f16_to_f32(param->d);

    for (int g = 0; g < LQI_GRID_CODES; g++)
        codes[g] = round_code(plan, in->grids, in->x + 8 * g, in->imp ? in->imp + 8 * g : ones,
                              lqi_grid_scale(plan, d, param->scale[8 * g / plan->sub]));
}

/* ---------------------------------------------------------------- decoding */

void lqi_grid_value(const lqi_grid_plan *plan, const lqi_grid_param *param,
                    const uint32_t *codes, size_t n, float *y)
{
    unsigned lanes = lqi_grid_kinds[plan->grid].lanes, mask = (1u << plan->entry_bits) - 1;
    float d = lqi_f16_to_f32(param->d);

    for (size_t i = 0; i < n; i += 8) {
        uint32_t code = *codes++;
        uint8_t v[8], signs;
        for (unsigned lane = 0; lane < 8; lane += lanes, code >>= plan->entry_bits)
            lqi_grid_lookup(plan->grid, code & mask, v + lane);
        signs = plan->even ? lqi_grid_even(code) : (uint8_t)code;
        lqi_grid_values(v, signs, lqi_grid_scale(plan, d, param->scale[i / (size_t)plan->sub]),
                        y + i, 8);
    }
}
