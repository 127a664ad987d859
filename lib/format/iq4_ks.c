/* SPDX-License-Identifier: MIT */
/*
 * lib/format/iq4_ks.c - IQ4_KS of ik_llama.cpp: rows with an f32 scale in front of their
 * blocks of 256 weights, 136 bytes each
 *
 *     row     0..3          then per block    0..7           8 + 16 j .. 23 + 16 j
 *             d: f32, LE                      scale byte     codes of sub-block j of 32: low
 *                                             of each j      nibbles 0..15, high 16..31
 *
 *     value = (d * ((s & 254) - 127)) * T[s & 1][q]
 *
 * for the sub-block's scale byte s: its upper seven bits are a scale, an odd number in
 * -127..127; its lowest bit chooses between two tables, of which the second is the first
 * plus 4.  The first is the table of IQ4_NL.  No sample of the format was at hand: the
 * geometry is documented, the shift of 4 and the split of the scale byte are from memory
 * of ik_llama.cpp's decoder and want confirmation by a real file.
 *
 * Encoding is this library's own: per sub-block and table the scale of least weighted
 * error among 15 roundings, weights as in IQ4_XS; d from the largest scale of the row;
 * then, with scales as stored, the better table.  Values are divided by the sub-block's
 * largest first, so that nothing overflows.  A row of zeros is all zero bytes; infinities
 * make d infinite.
 */
#include "lib/format/blocked.h"
#include "lib/format/iq4.h"
#include "lib/format/search.h"

#define LEN   256
#define BYTES 136
#define SUBS  8
#define SUB   32

#define TRIALS 16   /* 15 and one for the width of vectors */

static const int8_t tables[2][16] = {
    { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 },
    { -123, -100, -79, -61, -45, -31, -18, -6, 5, 17, 29, 42, 57, 73, 93, 117 },
};

typedef struct iq4_ks_param {
    float   d;             /* the row's; not in the block */
    uint8_t scale[SUBS];
} iq4_ks_param;

static lq_status check(const void *block)
{
    (void)block;
    return LQ_OK;
}

static float sub_scale(float d, uint8_t s)
{
    return d * (float)((s & 254) - 127);
}

/* Codes of n numbers side by side, n a constant: how many midpoints are at or below each. */
static inline void nearest(const int8_t *table, const float *v, size_t n, int32_t *codes)
{
    for (size_t i = 0; i < n; i++)
        codes[i] = 0;
    for (int k = 0; k < 15; k++) {
        float middle = 0.5f * (float)(table[k] + table[k + 1]);
        for (size_t i = 0; i < n; i++)
            codes[i] += v[i] >= middle;
    }
}

/* ------------------------------------------------------------------ layout */

static void pack(const void *param, const uint32_t *codes, void *block)
{
    const iq4_ks_param *p = param;
    uint8_t *b = block, *q = b + SUBS;

    memcpy(b, p->scale, SUBS);
    for (int j = 0; j < SUBS; j++, q += SUB / 2, codes += SUB)
        for (int i = 0; i < SUB / 2; i++)
            q[i] = (uint8_t)(codes[i] | codes[i + SUB / 2] << 4);
}

static void unpack(const void *block, void *param, uint32_t *codes)
{
    const uint8_t *b = block, *q = b + SUBS;
    iq4_ks_param *p = param;

    memcpy(p->scale, b, SUBS);
    for (int j = 0; j < SUBS; j++, q += SUB / 2, codes += SUB)
        for (int i = 0; i < SUB / 2; i++) {
            codes[i] = q[i] & 15;
            codes[i + SUB / 2] = q[i] >> 4;
        }
}

/* -------------------------------------------------------------- the search */

/* Sub-block j relative to its largest magnitude, which is returned: 'v', weights 'w'. */
static float prepare(const lqi_fit *in, int j, float *v, float *w)
{
    const float *x = in->x + SUB * j, *imp = in->imp ? in->imp + SUB * j : NULL;
    float most = fabsf(lqi_extreme(x, SUB)), ms2;

    if (most == 0 || !lqi_finite(most))
        return most;
    for (int i = 0; i < SUB; i++)
        v[i] = x[i] / most;
    ms2 = 2 * lqi_sum_squares(v, SUB) / SUB;
    for (int i = 0; i < SUB; i++)
        w[i] = imp ? imp[i] * sqrtf(ms2 + v[i] * v[i]) : v[i] * v[i];
    return most;
}

/* Sums of all roundings of one number: products with v and with the level. */
static void add_roundings(const int8_t *table, const float inverse[TRIALS], float v, float w,
                          float a[TRIALS], float b[TRIALS])
{
    float scaled[TRIALS];
    int32_t codes[TRIALS];

    for (int t = 0; t < TRIALS; t++)
        scaled[t] = inverse[t] * v;
    nearest(table, scaled, TRIALS, codes);
    for (int t = 0; t < TRIALS; t++) {
        float q = (float)table[codes[t]], wq = w * q;
        a[t] += wq * v;
        b[t] += wq * q;
    }
}

/* Best scale of v, of either sign, for one table; *score grows with what it explains. */
static float search_table(const int8_t *table, const float *v, const float *w, float *score)
{
    float extreme = lqi_extreme(v, SUB), scale = 0;
    float inverse[TRIALS], a[TRIALS] = { 0 }, b[TRIALS] = { 0 };

    for (int t = 0; t < TRIALS; t++)
        inverse[t] = (float)(t - 7 + table[0]) / extreme;
    for (int i = 0; i < SUB; i++)
        add_roundings(table, inverse, v[i], w[i], a, b);
    for (int t = 0; t < 15; t++)
        if (b[t] > 0 && a[t] / b[t] * a[t] > *score) {
            scale = a[t] / b[t];
            *score = scale * a[t];
        }
    return scale;
}

/* Scale of a sub-block, for whichever table is better. */
static float search(const lqi_fit *in, int j)
{
    float v[SUB], w[SUB], score = 0, scale = 0;
    float most = prepare(in, j, v, w);

    if (most == 0 || !lqi_finite(most))
        return most;
    for (int t = 0; t < 2; t++) {
        float before = score, found = search_table(tables[t], v, w, &score);
        scale = score > before ? found : scale;
    }
    return scale * most;
}

static float fit_row(const lqi_fit *in)
{
    float most = 0;

    for (int j = 0; j < SUBS; j++) {
        float scale = fabsf(search(in, j));
        most = scale > most ? scale : most;
    }
    return most / 127;
}

/* Weighted squared error with one table at a stored scale, of values relative to 'most'. */
static float table_error(const int8_t *table, const float *v, const float *w, float scale)
{
    float scaled[SUB], sum = 0;
    int32_t codes[SUB];

    for (int i = 0; i < SUB; i++)
        scaled[i] = v[i] / scale;
    nearest(table, scaled, SUB, codes);
    for (int i = 0; i < SUB; i++) {
        float e = scale * (float)table[codes[i]] - v[i];
        sum += w[i] * e * e;
    }
    return sum;
}

static uint8_t choose_table(const lqi_fit *in, int j, float scale)
{
    float v[SUB], w[SUB], most = prepare(in, j, v, w);

    if (most == 0 || scale == 0 || !lqi_finite(most))
        return 0;
    return table_error(tables[1], v, w, scale / most) < table_error(tables[0], v, w, scale / most);
}

static void fit(const lqi_fit *in, void *param)
{
    iq4_ks_param *p = param;

    p->d = in->row;
    memset(p->scale, 0, SUBS);
    for (int j = 0; j < SUBS && p->d > 0; j++) {
        int l = lqi_nearest_int(0.5f * (search(in, j) / p->d + 127));
        p->scale[j] = (uint8_t)(lqi_clamp_int(l, 0, 127) << 1);
        p->scale[j] |= choose_table(in, j, sub_scale(p->d, p->scale[j]));
    }
}

static void round_codes(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const iq4_ks_param *p = param;

    for (int j = 0; j < SUBS; j++, codes += SUB) {
        float scale = sub_scale(p->d, p->scale[j]), scaled[SUB];
        int32_t l[SUB] = { 0 };
        for (int i = 0; i < SUB && scale != 0; i++)
            scaled[i] = in->x[SUB * j + i] / scale;
        if (scale != 0)
            nearest(tables[p->scale[j] & 1], scaled, SUB, l);
        for (int i = 0; i < SUB; i++)
            codes[i] = (uint32_t)l[i];
    }
}

/* ---------------------------------------------------------------- decoding */

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const iq4_ks_param *p = param;

    (void)spec;
    for (size_t i = 0; i < n; i++) {
        uint8_t s = p->scale[i / SUB];
        y[i] = sub_scale(p->d, s) * (float)tables[s & 1][codes[i]];
    }
}

static void decode_block(float d, const uint8_t *b, float *y)
{
    const uint8_t *q = b + SUBS;

    for (int j = 0; j < SUBS; j++, q += SUB / 2, y += SUB) {
        float scale = sub_scale(d, b[j]), v[16];
        for (int i = 0; i < 16; i++)
            v[i] = scale * (float)tables[b[j] & 1][i];
        for (int i = 0; i < SUB / 2; i++) {
            y[i] = v[q[i] & 15];
            y[i + SUB / 2] = v[q[i] >> 4];
        }
    }
}

static void decode(const lqi_run *run, float *y)
{
    const uint8_t *b = run->codes + 4 + (size_t)(run->first / LEN) * BYTES;
    float d = lqi_bits_float(lqi_load32(run->codes)), tail[LEN];
    size_t n = run->n;

    for (; n >= LEN; n -= LEN, b += BYTES, y += LEN)
        decode_block(d, b, y);
    if (n == 0)
        return;
    decode_block(d, b, tail);
    memcpy(y, tail, n * sizeof *y);
}

/* Steps of one change the table, too. */
static const lqi_tunable tunable[] = {
    { offsetof(iq4_ks_param, scale), SUBS, LQI_TUNE_U8, 0, 255 }, { 0 }
};

const lqi_format lqi_format_iq4_ks = {
    .name        = "iq4_ks",
    .panel       = &lqi_panel_iq4_ks,
    .text        = "ik_llama.cpp: a scale per row, blocks of 256, 4-bit codes of two tables per 32",
    .id          = LQ_FORMAT_IQ4_KS,
    .storage     = LQ_BLOCKED,
    .block_len   = LEN,
    .block_bytes = BYTES,
    .row_bytes   = 4,
    .bits        = 4,
    .unit        = 1,
    .strip_rows  = 1,
    .decoder     = LQI_DECODER_ROW_TABLES4,
    .table       = lqi_iq4_levels.level,
    .max_abs     = 1e38f,
    .gguf        = -1,
    .param_bytes = sizeof(iq4_ks_param),
    .check = check, .fit = fit, .round = round_codes, .value = value,
    .pack = pack, .unpack = unpack, .decode = decode, .fit_row = fit_row,
    .tunable = tunable,
};
