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

/* The search's results as parameters and codes; returns 0, and leaves both, if the
 * superblock is all zero. */
static int make_codes(const lqi_grid_plan *plan, const lqi_grid_sub *sub, lqi_grid_param *param,
                      uint32_t *codes)
{
    int lanes = lqi_grid_kinds[plan->grid].lanes, per = plan->rules.sub / 8;
    lqi_grid_param p = { 0 };
    float d = round_scales(sub, LQI_GRID_LEN / plan->rules.sub, p.scale);

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

void lqi_grid_encode(const lqi_grid_plan *plan, const lqi_fit *in, void *block)
{
    lqi_grid_sub sub[LQI_GRID_LEN / 16];
    lqi_grid_param param;
    uint32_t codes[LQI_GRID_CODES];

    memset(block, 0, (size_t)plan->bytes);
    lqi_grid_search(plan, in, sub);
    if (!make_codes(plan, sub, &param, codes))
        return;
    plan->pack(&param, codes, block);
    if (plan->finish)
        plan->finish(sub, block);
}

void lqi_grid_fit_block(const lqi_grid_plan *plan, const lqi_fit *in, void *param)
{
    uint8_t block[LQI_BLOCK_BYTES];
    uint32_t codes[LQI_GRID_CODES];

    lqi_grid_encode(plan, in, block);
    plan->unpack(block, param, codes);
}

/* ------------------------------------------------------------------ scales */

void lqi_grid_scales_write(const uint8_t *scale, int n, uint8_t *b)
{
    for (int j = 0; j < n / 2; j++)
        b[j] = (uint8_t)(scale[2 * j] | scale[2 * j + 1] << 4);
}

void lqi_grid_scales_read(const uint8_t *b, int n, uint8_t *scale)
{
    for (int j = 0; j < n; j++)
        scale[j] = b[j / 2] >> 4 * (j % 2) & 15;
}

/* Of the sub-block of weight i. */
static inline float scale_of(const lqi_grid_plan *plan, const lqi_grid_param *param, size_t i)
{
    float d = lqi_f16_to_f32(param->d);

    return d * (0.5f + (float)param->scale[i / (size_t)plan->rules.sub]) * plan->unit;
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
static int32_t nearest_value(const lqi_grid_kind *k, const lqi_near *near, int32_t place,
                             const float *v, const float *w)
{
    float term[8][8], error;

    for (int lane = 0; lane < k->lanes; lane++)
        for (int level = 0; level < k->base; level++) {
            float e = (float)k->value[level] - v[lane];
            term[lane][level] = w[lane] * e * e;
        }
    uint16_t word = lqi_near_word(k->lanes, lqi_near_list(near, place), lqi_near_count(place),
                                  (const float (*)[8])term, &error);
    return near->place[lqi_grid_word_point(k->lanes, word)];
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
            place = nearest_value(k, near, place, v + i, w + i);
        entry[i / k->lanes] = (uint32_t)place;
    }
    return make_code(plan, entry, signs);
}

void lqi_grid_round(const lqi_grid_plan *plan, const lqi_fit *in, const lqi_grid_param *param,
                    uint32_t *codes)
{
    static const float ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    for (int g = 0; g < LQI_GRID_CODES; g++)
        codes[g] = round_code(plan, in->grids, in->x + 8 * g, in->imp ? in->imp + 8 * g : ones,
                              scale_of(plan, param, 8 * (size_t)g));
}

/* ---------------------------------------------------------------- decoding */

/* Without a codebook: from the bitmap. */
static void values(const lqi_grid_plan *plan, const uint8_t *codebook,
                   const lqi_grid_param *param, const uint32_t *codes, size_t n, float *y)
{
    unsigned lanes = lqi_grid_kinds[plan->grid].lanes, mask = (1u << plan->entry_bits) - 1;

    for (size_t i = 0; i < n; i += 8, y += 8) {
        float scale = scale_of(plan, param, i);
        uint32_t code = *codes++;
        uint8_t v[8], signs;
        for (unsigned lane = 0; lane < 8; lane += lanes, code >>= plan->entry_bits)
            lqi_grid_entry(codebook, plan->grid, code & mask, v + lane);
        signs = plan->even ? lqi_grid_even(code) : (uint8_t)code;
        for (int k = 0; k < 8; k++)
            y[k] = lqi_bits_float(lqi_float_bits(scale * (float)v[k]) ^
                                  (uint32_t)(signs >> k & 1) << 31);
    }
}

void lqi_grid_value(const lqi_grid_plan *plan, const lqi_grid_param *param,
                    const uint32_t *codes, size_t n, float *y)
{
    values(plan, NULL, param, codes, n, y);
}

static void decode_block(const void *plan, const uint8_t *codebook, const uint8_t *b, float *y)
{
    const lqi_grid_plan *p = plan;
    uint32_t codes[LQI_GRID_CODES];
    lqi_grid_param param;

    p->unpack(b, &param, codes);
    values(p, codebook, &param, codes, LQI_GRID_LEN, y);
}

void lqi_grid_decode(const lqi_grid_plan *plan, const lqi_run *run, float *y)
{
    lqi_decode_entries(run, (size_t)plan->bytes, plan, decode_block, y);
}
