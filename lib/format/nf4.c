/* SPDX-License-Identifier: MIT */
/*
 * lib/format/nf4.c - NF4: 16 quantiles of the normal distribution (QLoRA, arXiv 2305.14314)
 *
 *   byte i     element 2i in bits 7..4, element 2i + 1 in bits 3..0
 *   scale      largest magnitude of the group
 *   value      table[code] * scale, one f32 product
 *   code       y = x normalised by the scale (planar.h); the number of midpoints of the
 *              table strictly below y, so that a tie goes to the smaller value
 *   all zero   scale 0, code 7 (0.0)
 *   NaN, inf   (propagated) NaN takes code 0; with an infinite scale finite weights take
 *              code 7 and infinite ones code 0
 *
 * Source of truth: bitsandbytes' CPU code.  Two deviations: it stores 1e-38 as the scale of
 * an all-zero short block, and it divides by max(scale, 1e-38), which loses subnormal
 * blocks; we divide by the true scale.
 */
#include "lib/format/planar.h"

static const float table[16] = {
    -0x1p+0f, -0x1.647362p-1f, -0x1.0cd66p-1f, -0x1.94654p-2f,
    -0x1.23449ap-2f, -0x1.7a6a7ep-3f, -0x1.74f0e2p-4f, 0.0f,
    0x1.45f5fep-4f, 0x1.4995c6p-3f, 0x1.f809bap-3f, 0x1.5a0674p-2f,
    0x1.c3497p-2f, 0x1.200f56p-1f, 0x1.722766p-1f, 0x1p+0f
};

/* Midpoints of the table. */
static const lqi_ladder ladder = {
    .threshold = {
        -0x1.b239bp-1f, -0x1.38a4ep-1f, -0x1.d709p-2f, -0x1.5bd4ecp-2f,
        -0x1.e079d8p-3f, -0x1.1a7178p-3f, -0x1.74f0e2p-5f, 0x1.45f5fep-5f,
        0x1.ec90c4p-4f, 0x1.a0cfcp-3f, 0x1.2b05a8p-2f, 0x1.8ea7f2p-2f,
        0x1.00da08p-1f, 0x1.491b5ep-1f, 0x1.b913b4p-1f, INFINITY
    },
    .code = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
    .bins = 15,
    .below = { 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 6,
               7, 8, 9, 9, 10, 11, 12, 12, 13, 13, 14, 14, 14, 15, 15, 15 }
};

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;
    lqi_normal normal = lqi_normal_init(group->scale, in->partial);

    for (size_t i = 0; i < in->n; i++) {
        float y = lqi_normal_of(normal, in->x[i]);
        uint32_t code = 0;
        for (int t = 0; t < 15; t++)
            code += ladder.threshold[t] < y;
        codes[i] = code;
    }
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    lqi_table4_value(table, param, codes, n, y);
}

const lqi_format lqi_format_nf4 = {
    .name         = "nf4",
    .panel       = &lqi_panel_table4,
    .text         = "4-bit normal quantiles, as bitsandbytes",
    .default_spec = "nf4:b64",
    .id           = LQ_FORMAT_NF4,
    .storage      = LQ_PLANAR,
    .block_len    = 1,
    .bits         = 4,
    .order        = LQI_HIGH_FIRST,
    .unit         = 1,
    .strip_rows   = 1,
    .decoder      = LQI_DECODER_TABLE4,
    .encoder      = LQI_ENCODER_LADDER_HIGH,
    .rounder      = LQI_ROUNDER_LADDER_HIGH,
    .ladder       = &ladder,
    .gguf         = -1,
    .can          = LQI_CAN_FLAT | LQI_CAN_MULTIROW | LQI_CAN_SCALE2,
    .scale_types  = LQI_ALL_SCALE_TYPES,
    .scale_type   = LQ_F32,
    .group_rows   = 1,
    .group_cols   = 64,
    .flags        = LQ_SPEC_FLAT,
    .table        = table,
    .param_bytes  = sizeof(lqi_group),
    .fit_range    = lqi_absmax_fit_range,
    .round        = round_,
    .value        = value,
    .decode       = lqi_table4_decode
};
