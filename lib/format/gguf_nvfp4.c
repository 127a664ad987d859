/* SPDX-License-Identifier: MIT */
/*
 * lib/format/gguf_nvfp4.c - GGUF NVFP4: 64 4-bit floats and four small float scales
 *
 *     byte    0..3     4..35
 *     holds   d[4]     q: four groups of 8 bytes
 *
 * Group s has 16 weights: q[0..7] in its low nibbles, q[8..15] in its high ones.  d[s]
 * is E4M3 without sign (bit 7 is ignored); codes 0 and 0x7f stand for 0.
 *
 *     value[j] = level(q[j]) * (d / 2)            exact; levels: e2m1.h
 *     d[s]     = largest |x| / 6, at most 448; ties of the mantissa away from zero
 *     q[j]     = nearest level, ties towards zero
 *
 * There is no scale of the whole tensor: models that need one keep it in a tensor of its
 * own, which is not the format's business.
 *
 * All zero, or maxima below 2^-10 * 6: d = 0, code 0.  NaN: code 0, and it does not take
 * part in the maximum.  Infinity and maxima above 448 * 6 give d = 448, and nothing in
 * the bytes tells: max_abs lets the core refuse them.  Any bytes are legal.
 *
 * Importances are not used.  Source of truth: ggml's generic C.
 */
#include "lib/format/e2m1.h"

#define LEN   64
#define BYTES 36
#define SUBS  4
#define SUB   16

typedef struct nvfp4_param {
    uint8_t d[SUBS];
} nvfp4_param;

static lq_status check(const void *block)
{
    (void)block;
    return LQ_OK;
}

/* Half of E4M3 without sign. */
static inline float scale_of(uint8_t d)
{
    uint32_t a = d & 0x7f;

    if (a == 0x7f)
        return 0;
    return a < 8 ? (float)a * 0x1p-10f : lqi_bits_float((a << 20) + (119u << 23));
}

/* A scale to E4M3; ties go up, denormals do not round up to the least normal number. */
static uint8_t code_of(float scale)
{
    if (!(scale > 0))
        return 0;
    scale = scale < 448 ? scale : 448;
    if (scale < 0x1p-6f) {
        int man = (int)(scale * 512 + 0.5f);
        return (uint8_t)(man < 7 ? man : 7);
    }
    uint32_t a = (lqi_float_bits(scale) - (120u << 23) + (1u << 19)) >> 20;
    return (uint8_t)(a < 0x7e ? a : 0x7e);
}

static void fit(const lqi_fit *in, void *param)
{
    nvfp4_param *p = param;

    for (int s = 0; s < SUBS; s++)
        p->d[s] = code_of(fabsf(lqi_extreme(in->x + SUB * s, SUB)) / 6);
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const nvfp4_param *p = param;

    for (int i = 0; i < LEN; i++)
        codes[i] = lqi_e2m1_code(in->x[i], scale_of(p->d[i / SUB]));
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const nvfp4_param *p = param;

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = lqi_e2m1_level(codes[i]) * scale_of(p->d[i / SUB]);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const nvfp4_param *p = param;
    uint8_t *b = block;

    memcpy(b, p->d, SUBS);
    for (int s = 0; s < SUBS; s++)
        lqi_nibbles_write(codes + SUB * s, SUB / 2, b + SUBS + SUB / 2 * s);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    nvfp4_param *p = param;

    memcpy(p->d, b, SUBS);
    for (int s = 0; s < SUBS; s++)
        lqi_nibbles_read(b + SUBS + SUB / 2 * s, SUB / 2, codes + SUB * s);
}

static void decode_block(const uint8_t *b, float *y)
{
    const uint8_t *q = b + SUBS;

    for (int s = 0; s < SUBS; s++, q += SUB / 2, y += SUB) {
        float scale = scale_of(b[s]);
        for (int i = 0; i < SUB / 2; i++) {
            y[i] = lqi_e2m1_level(q[i] & 15) * scale;
            y[i + SUB / 2] = lqi_e2m1_level(q[i] >> 4) * scale;
        }
    }
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

/* The levels of e2m1.h, for decoders. */
static const float levels[16] = LQI_E2M1_LEVELS;

static const lqi_tunable tunable[] = {
    { (uint16_t)offsetof(nvfp4_param, d), SUBS, LQI_TUNE_U8, 0, 0x7e },
    { 0 },
};

const lqi_format lqi_format_gguf_nvfp4 = {
    .name        = "nvfp4_gguf",
    .panel       = &lqi_panel_gguf_nvfp4,
    .text        = "GGUF NVFP4: blocks of 64, 4-bit floats, 8-bit float scales per 16",
    .id          = LQ_FORMAT_GGUF_NVFP4,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .max_abs     = 448.0f * 6,
    .decoder     = LQI_DECODER_UE4M3_TABLE4,
    .encoder     = LQI_ENCODER_UE4M3_TABLE4,
    .table       = levels,
    .gguf        = 40,
    .param_bytes = sizeof(nvfp4_param),
    .tunable = tunable,
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
