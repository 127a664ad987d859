/* SPDX-License-Identifier: MIT */
/*
 * lib/format/q8_k.c - GGUF Q8_K: 256 signed bytes, a scale and 16 sums (activations)
 *
 *     byte    0..3     4..259       260..291
 *     holds   d: f32   q[256]: i8   sums[16]: i16, of 16 codes each
 *
 *     value[j] = d * q[j]                 one rounding
 *     inverse  = -127 / x of largest |x| (the first)
 *     q[j]     = round(inverse * x[j]), at most 127; ties to even
 *     d        = 1 / inverse
 *
 * The format of activations in products with K- and I-quants, not of weights in files.
 * Codes are the bytes, 0..255, two's complement.  The sums belong to the codes that
 * 'fit' found: they are parameters; decoding does not use them.  Importances are not
 * used.
 *
 * All zero: d = 0, q = 0, sums 0 (the reference leaves them unwritten).  NaN counts as
 * 0.  Infinity: d is infinite, check reports it.  Where 1/|x| is not finite d is 0 and
 * so are the codes.
 *
 * Source of truth: ggml's generic C.
 */
#include "lib/format/blocked.h"
#include "lib/format/search.h"

#define LEN   256
#define BYTES 292
#define SUBS  16
#define SUB   16

enum { Q = 4, SUMS = 260 };   /* byte offsets */

/* Sums are kept as they are stored; 'inverse' is not stored. */
typedef struct q8_k_param {
    float    d, inverse;
    uint16_t sums[SUBS];
} q8_k_param;

static lq_status check(const void *block)
{
    return lqi_finite(lqi_bits_float(lqi_load32(block))) ? LQ_OK : LQ_ERR_NONFINITE;
}

static inline uint8_t code_of(const q8_k_param *p, float x)
{
    int l = lqi_nearest_int(p->inverse * x);

    return (uint8_t)(l > 127 ? 127 : l);
}

static void fit(const lqi_fit *in, void *param)
{
    float extreme = lqi_extreme(in->x, LEN);
    q8_k_param *p = param;

    *p = (q8_k_param){ 0 };
    if (extreme == 0)
        return;
    p->inverse = -127.0f / extreme;
    p->d = 1 / p->inverse;
    for (int i = 0; i < LEN; i++)
        p->sums[i / SUB] = (uint16_t)(p->sums[i / SUB] + lqi_signed_byte(code_of(p, in->x[i])));
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    for (int i = 0; i < LEN; i++)
        codes[i] = code_of(param, in->x[i]);
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const q8_k_param *p = param;

    (void)spec;
    for (size_t i = 0; i < n; i++)
        y[i] = p->d * (float)lqi_signed_byte((uint8_t)codes[i]);
}

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const q8_k_param *p = param;
    uint8_t *b = block;

    lqi_store32(b, lqi_float_bits(p->d));
    for (int i = 0; i < LEN; i++)
        b[Q + i] = (uint8_t)codes[i];
    for (int j = 0; j < SUBS; j++)
        lqi_store16(b + SUMS + 2 * j, p->sums[j]);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block;
    q8_k_param *p = param;

    p->d = lqi_bits_float(lqi_load32(b));
    p->inverse = lqi_inverse_of(p->d);
    for (int i = 0; i < LEN; i++)
        codes[i] = b[Q + i];
    for (int j = 0; j < SUBS; j++)
        p->sums[j] = lqi_load16(b + SUMS + 2 * j);
}

static void decode_block(const uint8_t *b, float *y)
{
    float d = lqi_bits_float(lqi_load32(b));

    for (int i = 0; i < LEN; i++)
        y[i] = d * (float)lqi_signed_byte(b[Q + i]);
}

static void decode(const lqi_run *run, float *y)
{
    lqi_decode_blocks(run, LEN, BYTES, decode_block, y);
}

const lqi_format lqi_format_q8_k = {
    .name        = "q8_k",
    .panel       = &lqi_panel_q8_k,
    .text        = "GGUF: blocks of 256, 8-bit codes, f32 scale and sums, for activations",
    .id          = LQ_FORMAT_Q8_K,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .bits        = 8,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_F32_I8X256,
    .encoder     = LQI_ENCODER_F32_I8X256,
    .gguf        = 15,
    .param_bytes = sizeof(q8_k_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode,
};
