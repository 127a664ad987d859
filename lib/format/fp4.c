/* SPDX-License-Identifier: MIT */
/*
 * lib/format/fp4.c - bitsandbytes' FP4: sign, two exponent bits, one mantissa bit, over 12
 *
 *   byte i     element 2i in bits 7..4, element 2i + 1 in bits 3..0
 *   code       bit 3 sign, bits 2..0 the magnitude:
 *                  0    1       6    7    4    5    2    3
 *                  0  1/192   1/6  1/4  1/3  1/2  2/3   1      (not OCP E2M1)
 *   scale      largest magnitude of the group
 *   value      table[code] * scale, one f32 product
 *   rounding   y = x normalised by the scale (planar.h); the thresholds below, which are the
 *              constants typed into bitsandbytes' CUDA kernel and up to 14 ulp beside the
 *              midpoints; a tie goes towards 0; y < 0 sets the sign bit, of a zero too
 *   all zero   scale 0, code 0
 *   NaN, inf   (propagated) NaN takes code 0; with an infinite scale everything does
 *
 * Source of truth: bitsandbytes' CUDA rule; short groups divide like its CPU code.
 */
#include "lib/format/planar.h"

static const float table[16] = {
    0.0f, 0x1.555556p-8f, 0x1.555556p-1f, 0x1p+0f,
    0x1.555556p-2f, 0x1p-1f, 0x1.555556p-3f, 0x1p-2f,
    0.0f, -0x1.555556p-8f, -0x1.555556p-1f, -0x1p+0f,
    -0x1.555556p-2f, -0x1p-1f, -0x1.555556p-3f, -0x1p-2f
};

/* Between the magnitudes in ascending order, and their codes. */
static const float thresholds[7] = {
    0x1.555572p-9f, 0x1.6p-4f, 0x1.aaaaaap-3f, 0x1.2aaaaap-2f,
    0x1.aaaaacp-2f, 0x1.2aaaap-1f, 0x1.aaaaaap-1f
};
static const uint8_t code_of[8] = { 0, 1, 6, 7, 4, 5, 2, 3 };

/*
 * The same as a ladder of y with its sign.  Below zero a tie belongs to the smaller
 * magnitude, which lies above: there the thresholds are the numbers before -t; and the one
 * before zero, so that -0 counts as 0.
 */
static const lqi_ladder ladder = {
    .threshold = {
        -0x1.aaaaacp-1f, -0x1.2aaaa2p-1f, -0x1.aaaaaep-2f, -0x1.2aaaacp-2f,
        -0x1.aaaaacp-3f, -0x1.600002p-4f, -0x1.555574p-9f, -0x1p-149f,
        0x1.555572p-9f, 0x1.6p-4f, 0x1.aaaaaap-3f, 0x1.2aaaaap-2f,
        0x1.aaaaacp-2f, 0x1.2aaaap-1f, 0x1.aaaaaap-1f, INFINITY
    },
    .code = { 11, 10, 13, 12, 15, 14, 9, 8, 0, 1, 6, 7, 4, 5, 2, 3 },
    .bins = 15,
    .below = { 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6,
               8, 9, 10, 10, 11, 12, 12, 13, 13, 14, 14, 14, 14, 15, 15, 15 }
};

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;
    lqi_normal normal = lqi_normal_init(group->scale, in->partial);

    for (size_t i = 0; i < in->n; i++) {
        float y = lqi_normal_of(normal, in->x[i]), a = fabsf(y);
        unsigned rank = 0;
        for (int t = 0; t < 7; t++)
            rank += thresholds[t] < a;
        codes[i] = code_of[rank] | (y < 0 ? 8u : 0);
    }
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    (void)spec;
    lqi_table4_value(table, param, codes, n, y);
}

const lqi_format lqi_format_fp4 = {
    .name         = "fp4",
    .panel       = &lqi_panel_table4,
    .text         = "4-bit float of bitsandbytes (not OCP E2M1)",
    .default_spec = "fp4:b64",
    .id           = LQ_FORMAT_FP4,
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
