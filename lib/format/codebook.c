/* SPDX-License-Identifier: MIT */
/*
 * lib/format/codebook.c - codes into any table of 2 to 256 values
 *
 *   element e  bits [be, be + b) of the row's stream from the low bit of byte 0 up;
 *              b = ceil(log2(count)), at least 1
 *   scale      largest magnitude of the group
 *   value      table[code] * scale, one f32 product; codes the table lacks are 0
 *   code       nearest value to x normalised by the scale (planar.h); ties and NaN as
 *              lq_codebook_nearest()
 *   all zero   scale 0, code of the value nearest to 0
 *
 * No reference: the format is libquant's own.
 */
#include "lib/format/planar.h"

#define CHUNK 256

static void round_(const lqi_fit *in, const void *param, uint32_t *codes)
{
    const lqi_group *group = param;
    lqi_normal normal = lqi_normal_init(group->scale, in->partial);
    float y[CHUNK];
    uint8_t nearest[CHUNK];

    for (size_t i = 0; i < in->n; i += CHUNK) {
        size_t n = in->n - i < CHUNK ? in->n - i : CHUNK;
        for (size_t k = 0; k < n; k++)
            y[k] = lqi_normal_of(normal, in->x[i + k]);
        lq_codebook_nearest(in->spec->codebook, y, n, nearest);
        for (size_t k = 0; k < n; k++)
            codes[i + k] = nearest[k];
    }
}

static void value(const lq_spec *spec, const void *param, const uint32_t *codes, size_t n,
                  float *y)
{
    const lqi_group *group = param;
    const float *table = lq_codebook_values(spec->codebook);

    for (size_t i = 0; i < n; i++)
        y[i] = table[codes[i] & 255] * group->scale;
}

static void decode(const lqi_run *run, float *y)
{
    uint32_t codes[CHUNK];

    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        float scale = run->scale[s.group];
        for (size_t i = 0; i < s.n; i += CHUNK) {
            size_t at = s.at + i, n = s.n - i < CHUNK ? s.n - i : CHUNK;
            lqi_codes_read(run->codes, run->bits, LQI_LOW_FIRST, run->first + at, n, codes);
            for (size_t k = 0; k < n; k++)
                y[at + k] = run->table[codes[k]] * scale;
        }
    }
}

const lqi_format lqi_format_codebook = {
    .name         = "codebook",
    .panel       = &lqi_panel_table4,
    .text         = "any table of 2 to 256 values",
    .default_spec = "codebook:b64",
    .id           = LQ_FORMAT_CODEBOOK,
    .storage      = LQ_PLANAR,
    .block_len    = 1,
    .bits         = 0,
    .order        = LQI_LOW_FIRST,
    .unit         = 1,
    .strip_rows   = 1,
    .gguf         = -1,
    .can          = LQI_CAN_FLAT | LQI_CAN_MULTIROW | LQI_CAN_SCALE2,
    .scale_types  = LQI_ALL_SCALE_TYPES,
    .scale_type   = LQ_F32,
    .group_rows   = 1,
    .group_cols   = 64,
    .flags        = LQ_SPEC_FLAT,
    .param_bytes  = sizeof(lqi_group),
    .fit_range    = lqi_absmax_fit_range,
    .round        = round_,
    .value        = value,
    .encoder      = LQI_ENCODER_BINS,
    .decode       = decode
};
