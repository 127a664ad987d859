/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq4_nl.c - GGUF IQ4_NL: 32 nibbles into a table of uneven levels
 *
 *     byte    0..1     2..17
 *     holds   d: f16   low nibbles: q[0..15], high nibbles: q[16..31]
 *
 *     value[j] = d * level(q[j])          one rounding; levels: iq4.h
 *
 * Encoding: a search for the scale of least weighted error, weights x^2, or with
 * importances imp * sqrt(2 * mean x^2 of the block + x^2); codes are the levels nearest
 * to x / scale with the scale before it becomes f16.
 *
 * ggml has a second, quicker rule for IQ4_NL caches of keys and values (one rounding with
 * the other sign of the start scale, no search), with other bytes.  Model files never
 * have it, and it is not here.
 *
 * All below 1e-15, or importances that are all 0 in the block: d = 0, code 8.  A NaN makes d
 * NaN, with code 15.  So do squares that overflow; check reports it.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/iq4.h"

#define LEN   LQI_IQ4_SUB
#define BYTES 18

/* Only 'd' is stored. */
typedef struct iq4_nl_param {
    float    inverse;
    uint16_t d;
} iq4_nl_param;

static lq_status check(const void *block)
{
    return lqi_check_f16(block);
}

static void set_scale(iq4_nl_param *p, float scale)
{
    p->inverse = scale != 0 ? 1 / scale : 0;
    p->d = lqi_store_scale(scale);
}

static void fit(const lqi_fit *in, void *param)
{
    float ms2 = in->imp ? 2 * lqi_sum_squares(in->x, LEN) / LEN : 0;

    set_scale(param, lqi_iq4_search(in->x, in->imp, ms2));
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const iq4_nl_param *p = param;

    lqi_iq4_codes(in->x, p->inverse, codes);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const iq4_nl_param *p = param;
    float d = lqi_f16_to_f32(p->d);

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = d * (float)lqi_iq4_level[codes[i]];
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const iq4_nl_param *p = param;
    uint8_t *b = block;

    lqi_store16(b, p->d);
    lqi_nibbles_write(codes, LEN / 2, b + 2);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    iq4_nl_param *p = param;

    p->d = lqi_load16(b);
    p->inverse = lqi_inverse_of(lqi_f16_to_f32(p->d));
    lqi_nibbles_read(b + 2, LEN / 2, codes);
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_f16_to_f32(lqi_load16(b));

    for (int i = 0; i < LEN / 2; i++) {
        y[i] = d * (float)lqi_iq4_level[b[2 + i] & 15];
        y[i + LEN / 2] = d * (float)lqi_iq4_level[b[2 + i] >> 4];
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

/* Two blocks in each lane. */
static void encode_batch(lqi_batch *b)
{
    _Alignas(LQI_ALIGN) float ms2[2 * LQI_LANES_MAX];
    const lqi_batch_plan plan = { .subs = 2, .len = LEN, .how = LQI_WEIGH_SQUARE, .ms = ms2,
                                  .ms_step = b->lanes };
    lqi_subs s;

    for (size_t j = 0; j < 2 && b->imp[0]; j++)
        lqi_batch_mean_square(b, 2, j, LEN, ms2 + j * b->lanes);
    lqi_batch_levels(b, &plan, &lqi_iq4_levels, &s);
    for (size_t lane = 0; lane < b->count; lane++) {
        uint32_t codes[2 * LEN];
        float inverse[2];
        const lqi_rounding r = { .x = b->row[lane], .n = 2 * LEN, .group = LEN, .scale = inverse,
                                 .codes = codes };
        iq4_nl_param p[2];
        for (size_t j = 0; j < 2; j++) {
            set_scale(&p[j], s.scale[j * b->lanes + lane]);
            inverse[j] = p[j].inverse;
        }
        if (b->search->round_levels(&r, &lqi_iq4_levels))
            b->odd |= 1u << lane;
        pack(&p[0], codes, b->block[lane]);
        pack(&p[1], codes + LEN, b->block[lane] + BYTES);
    }
}

static void encode_many(const lqi_encode_run *run)
{
    lqi_encode_batches(&lqi_format_iq4_nl, NULL, run, encode_batch);
}

static const lqi_tunable tunable[] = { LQI_TUNE_SCALE(iq4_nl_param, d), { 0 } };

const lqi_format lqi_format_iq4_nl = {
    .name        = "iq4_nl",
    .panel       = &lqi_panel_iq4_nl,
    .text        = "GGUF: blocks of 32, 4-bit codes of uneven levels, f16 scale",
    .id          = LQ_FORMAT_IQ4_NL,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F16_TABLE4,
    .table       = lqi_iq4_levels.level,
    .gguf        = 20,
    .param_bytes = sizeof(iq4_nl_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .encode_many = encode_many,
};
