/* SPDX-License-Identifier: MIT */
/*
 * lib/format/minifloat.c - decoding codes of 4 and 6 bits through a table
 */
#include "lib/format/minifloat.h"

void lqi_table4_low_decode(const lqi_run *run, float *y)
{
    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        float scale = run->scale[s.group];
        for (size_t i = s.at; i < s.at + s.n; i++) {
            uint64_t e = run->first + i;
            y[i] = run->table[run->codes[e / 2] >> (e & 1) * 4 & 15] * scale;
        }
    }
}

#define CHUNK 256

void lqi_table6_decode(const lqi_run *run, float *y)
{
    uint32_t codes[CHUNK];

    for (lqi_segment s = { 0, 0, 0 }; lqi_segment_next(run, &s);) {
        float scale = run->scale[s.group];
        for (size_t i = 0; i < s.n; i += CHUNK) {
            size_t at = s.at + i, n = s.n - i < CHUNK ? s.n - i : CHUNK;
            lqi_codes_read(run->codes, 6, LQI_LOW_FIRST, run->first + at, n, codes);
            for (size_t k = 0; k < n; k++)
                y[at + k] = run->table[codes[k] & 63] * scale;
        }
    }
}
