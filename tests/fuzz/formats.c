/* SPDX-License-Identifier: MIT */
/*
 * tests/fuzz/formats.c - any bytes as stored planes, any floats as source, any spec text
 *
 * byte 0: format; byte 1: columns; byte 2: policy; then a terminated spec text (may be
 * empty: the format's default); the rest is planes, and source numbers.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libquant/libquant.h>

#define ROWS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_planes(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                          const uint8_t *data, size_t size)
{
    float *y = malloc(ROWS * 1024 * sizeof *y);
    lq_tensor *t = NULL;

    if (y && lq_tensor_create(ctx, spec, shape, &t, NULL) == LQ_OK) {
        for (int p = 0; p < LQ_PLANES; p++) {
            uint64_t bytes = 0;
            uint8_t *plane = lq_tensor_plane(t, p, &bytes);
            for (uint64_t i = 0; size && i < bytes; i++)
                plane[i] = data[(i * 7 + (uint64_t)p) % size];
        }
        if (lq_tensor_decode(t, LQ_F32, y) != LQ_OK)
            abort();
        lq_tensor_check(t, NULL);
    }
    lq_tensor_destroy(t);
    free(y);
}

static void encode_floats(const lq_ctx *ctx, const lq_spec *spec, const lq_shape *shape,
                          int policy, const uint8_t *data, size_t size)
{
    static float importance[1024];
    lq_encode_opts opts = LQ_ENCODE_OPTS_INIT;
    float *x = malloc(ROWS * 1024 * sizeof *x), *y = malloc(ROWS * 1024 * sizeof *y);
    lq_tensor *t = NULL;

    for (size_t i = 0; i < 1024; i++)
        importance[i] = size ? (float)data[i % size] : 1;
    opts.nonfinite = policy & 3;
    opts.importance = policy & 4 ? importance : NULL;
    for (size_t i = 0; x && i < ROWS * 1024; i++) {
        uint32_t bits = 0;
        for (size_t b = 0; size && b < 4; b++)
            bits = bits << 8 | data[(4 * i + b) % size];
        memcpy(&x[i], &bits, sizeof bits);
    }
    if (x && y && lq_tensor_encode(ctx, spec, shape, LQ_F32, x, &opts, &t, NULL) == LQ_OK &&
        lq_tensor_decode(t, LQ_F32, y) != LQ_OK)
        abort();
    lq_tensor_destroy(t);
    free(x);
    free(y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lq_ctx *ctx;
    lq_format_info info = LQ_FORMAT_INFO_INIT;
    lq_spec spec = LQ_SPEC_INIT, other = LQ_SPEC_INIT;
    char text[80] = "", printed[LQ_SPEC_TEXT];
    size_t n = 0;

    if (size < 4 || (!ctx && lq_ctx_create(NULL, &ctx, NULL)))
        return 0;
    lq_format_at(data[0] % lq_format_count(), &info);
    while (3 + n < size && n < sizeof text - 1 && data[3 + n])
        n++;
    memcpy(text, data + 3, n);
    if (lq_spec_parse(text, &spec, NULL) && lq_spec_parse(info.default_spec, &spec, NULL))
        return 0;
    if (lq_spec_print(&spec, printed, sizeof printed) == LQ_OK &&
        (lq_spec_parse(printed, &other, NULL) || !lq_spec_equal(&spec, &other)))
        abort();
    lq_format_get(spec.format, &info);
    lq_shape shape = { 1, ROWS, (data[1] * 4 % 1024 + info.block_len - 1) / info.block_len *
                                info.block_len };
    if (shape.cols > 1024)
        shape.cols = 1024;
    size_t from = 3 + n + (3 + n < size);
    decode_planes(ctx, &spec, &shape, data + from, size - from);
    encode_floats(ctx, &spec, &shape, data[2], data + from, size - from);
    return 0;
}
