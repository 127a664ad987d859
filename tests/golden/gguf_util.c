/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/gguf_util.c - what the tests of blocked formats share
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/half.h"
#include "tests/golden/gguf_util.h"

uint8_t *read_data(const char *name, size_t *bytes)
{
    const char *folder = getenv("LQ_TEST_DATA");
    char path[1024];
    long size;

    snprintf(path, sizeof path, "%s/%s", folder ? folder : "tests/data", name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    assert_true(size > 0);
    rewind(file);
    uint8_t *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), size);
    fclose(file);
    data[size] = 0;
    *bytes = (size_t)size;
    return data;
}

const lqi_grids *all_grids(void)
{
    static lqi_grids *grids;
    const lq_allocator none = { 0 };

    if (!grids) {
        grids = lqi_grids_create(&none);
        assert_non_null(grids);
        for (int i = 0; i < LQI_GRIDS; i++)
            assert_int_equal(lqi_grids_need(grids, i), LQ_OK);
    }
    return grids;
}

static void encode_block(const lqi_format *f, const lqi_fit *in, uint8_t *out)
{
    block_param param;
    uint32_t codes[LQI_BLOCK_MAX];

    if (f->encode) {
        f->encode(in, out);
        return;
    }
    f->fit(in, &param);
    f->round(in, &param, codes);
    f->pack(&param, codes, out);
}

void encode_row(const lqi_format *f, const float *x, const float *imp, size_t cols,
                uint8_t *out)
{
    lqi_fit in = { .n = f->block_len, .grids = all_grids() };

    if (imp && f->row_ms) {
        float sum = 0;
        for (size_t i = 0; i < cols; i++)
            sum += x[i] * x[i];
        in.row_ms = sum / (float)cols;
    }
    for (size_t i = 0; i < cols && f->fit_row; i += f->block_len) {
        in.x = x + i;
        in.imp = imp ? imp + i : NULL;
        float number = f->fit_row(&in);
        in.row = number > in.row ? number : in.row;
    }
    if (f->fit_row)
        lqi_store32(out, lqi_float_bits(in.row));
    out += f->row_bytes;
    for (size_t i = 0; i < cols; i += f->block_len, out += f->block_bytes) {
        in.x = x + i;
        in.imp = imp ? imp + i : NULL;
        encode_block(f, &in, out);
    }
}

void unpack_block(const lqi_format *f, const uint8_t *row, size_t i, block_param *param,
                  uint32_t *codes)
{
    float number = f->fit_row ? lqi_bits_float(lqi_load32(row)) : 0;

    memcpy(param, &number, sizeof number);
    f->unpack(row + f->row_bytes + i * f->block_bytes, param, codes);
}

void value_row(const lqi_format *f, const uint8_t *in, size_t cols, float *y)
{
    block_param param;
    uint32_t codes[LQI_BLOCK_MAX];

    for (size_t i = 0; i < cols; i += f->block_len) {
        unpack_block(f, in, i / f->block_len, &param, codes);
        f->value(NULL, &param, codes, f->block_len, y + i);
    }
}

void decode_run(const lqi_format *f, const uint8_t *row, size_t first, size_t n, float *y)
{
    lqi_run run = { .codes = row, .first = first, .n = n, .grids = all_grids(),
                    .codebook = all_grids()->value[f->grid] };

    f->decode(&run, y);
}

size_t row_bytes(const lqi_format *f, size_t cols)
{
    return f->row_bytes + cols / f->block_len * f->block_bytes;
}

size_t first_difference(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lqi_float_bits(a[i]) != lqi_float_bits(b[i]) && !(a[i] != a[i] && b[i] != b[i]))
            return i;
    return n;
}

static uint64_t fnv_step(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 0x100000001b3u;
}

uint64_t fnv_bytes(const uint8_t *p, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        hash = fnv_step(hash, p[i]);
    return hash;
}

uint64_t fnv_floats(const float *p, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        for (int shift = 0; shift < 32; shift += 8)
            hash = fnv_step(hash, (uint8_t)(lqi_float_bits(p[i]) >> shift));
    return hash;
}

uint32_t random_bits(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

/* Box and Muller; the last digits depend on the C library, no test does. */
float random_normal(uint64_t *state)
{
    double u = ((double)random_bits(state) + 1) * 0x1p-32, v = random_bits(state) * 0x1p-32;

    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}
