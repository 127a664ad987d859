/* SPDX-License-Identifier: MIT */
/*
 * lib/format/tq1_0.c - GGUF TQ1_0: 256 ternary weights, five to a byte, and a scale
 *
 *     byte    0..31             32..47              48..51              52..53
 *     holds   5 codes each:     5 codes each:       4 codes each:       d: f16
 *             i + 32 n          160 + i + 16 n      240 + i + 4 n
 *
 * for byte i of a part and its digit n.  A byte stands for the fraction byte / 256,
 * whose digits in base 3 are the codes, first digit first: multiplying with 3 brings
 * one after the other above the point.  Of the bytes with the same digits, encoding
 * writes the least; unpacking keeps the rest apart, in the parameters.
 *
 *     value[j] = (code[j] - 1) * d        one rounding
 *
 * Encoding, and what becomes of odd numbers: absmax.h, with 1 as the largest code.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/absmax.h"

#define LEN   256
#define BYTES 54
#define D     52   /* byte offset */

/* A part of the block: bytes of 'digits' codes each, 'count' of them. */
typedef struct part {
    int first_byte, first_code, count, digits;
} part;

static const part parts[] = { { 0, 0, 32, 5 }, { 32, 160, 16, 5 }, { 48, 240, 4, 4 } };

#define PARTS 3

/* 'excess': what bytes have beyond the least one with the same digits. */
typedef struct tq1_0_param {
    lqi_absmax scale;
    uint8_t    excess[D];
} tq1_0_param;

static lq_status check(const void *block)
{
    return lqi_check_f16((const uint8_t *)block + D);
}

static void fit(const lqi_fit *in, void *param)
{
    tq1_0_param *p = param;

    memset(p->excess, 0, sizeof p->excess);
    lqi_absmax_fit(in->x, LEN, 1, &p->scale);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const tq1_0_param *p = param;

    lqi_ternary_round(in->x, LEN, 1, &p->scale, codes);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const tq1_0_param *p = param;

    (void)spec;
    lqi_ternary_value(&p->scale, codes, n, y);
}

/* The least byte of which v is the first five digits; 256 for v = 243. */
static uint32_t least_byte(uint32_t v)
{
    return (v * 256 + 242) / 243;
}

/* Digits 'n' apart by 'step' to one number, first digit first, and back. */
static uint32_t join(const uint32_t *codes, int step, int n)
{
    uint32_t v = 0;

    for (int i = 0; i < n; i++)
        v = v * 3 + codes[i * step];
    return v;
}

static void split(uint32_t v, int step, int n, uint32_t *codes)
{
    for (int i = n - 1; i >= 0; i--, v /= 3)
        codes[i * step] = v % 3;
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const tq1_0_param *p = param;
    uint8_t *b = block;

    for (const part *t = parts; t < parts + PARTS; t++)
        for (int i = 0; i < t->count; i++) {
            int at = t->first_byte + i;
            uint32_t unit = t->digits == 5 ? 1 : 3;   /* of the last digit */
            uint32_t v = join(codes + t->first_code + i, t->count, t->digits) * unit;
            uint32_t byte = least_byte(v) + p->excess[at];
            if (byte >= least_byte(v + unit))   /* excess of other codes */
                byte = least_byte(v);
            b[at] = (uint8_t)byte;
        }
    lqi_store16(b + D, p->scale.d);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    tq1_0_param *p = param;

    for (const part *t = parts; t < parts + PARTS; t++)
        for (int i = 0; i < t->count; i++) {
            int at = t->first_byte + i;
            uint32_t unit = t->digits == 5 ? 1 : 3;
            uint32_t v = b[at] * 243u / 256 / unit;
            split(v, t->count, t->digits, codes + t->first_code + i);
            p->excess[at] = (uint8_t)(b[at] - least_byte(v * unit));
        }
    lqi_absmax_load(b + D, &p->scale);
}

static void decode_block(const uint8_t *b, float *y)
{
    static const uint8_t power[] = { 1, 3, 9, 27, 81 };
    float d = lqi_f16_to_f32(lqi_load16(b + D));

    for (const part *t = parts; t < parts + PARTS; t++)
        for (int n = 0; n < t->digits; n++, y += t->count)
            for (int i = 0; i < t->count; i++) {
                uint8_t fraction = (uint8_t)(b[t->first_byte + i] * power[n]);
                y[i] = (float)((fraction * 3 >> 8) - 1) * d;
            }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

static const lqi_tunable tunable[] = { LQI_TUNE_SCALE(tq1_0_param, scale.d), { 0 } };

const lqi_format lqi_format_tq1_0 = {
    .name        = "tq1_0",
    .panel       = &lqi_panel_tq1_0,
    .text        = "GGUF: blocks of 256, five ternary codes per byte, f16 scale",
    .id          = LQ_FORMAT_TQ1_0,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 2,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_TERNARY_DIGITS,
    .encoder     = LQI_ENCODER_TERNARY_DIGITS,
    .gguf        = 34,
    .param_bytes = sizeof(tq1_0_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
