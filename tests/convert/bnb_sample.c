/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/bnb_sample.c - a checkpoint written by bitsandbytes itself
 *
 * Each 4-bit layer must decode to the bits that bitsandbytes decodes, in the layer's
 * own element type.
 */
#include "tests/convert/util.h"

static const struct layer {
    const char *name, *spec;
    lq_dtype    dtype;
    uint64_t    rows, cols;
} layers[] = {
    { "layer0.weight", "nf4:b64:dq", LQ_BF16, 32, 128 },
    { "layer1.weight", "nf4:b64", LQ_F16, 16, 64 },
    { "layer2.weight", "fp4:b64:dq", LQ_F32, 8, 192 },
    { "layer3.weight", "fp4:b64", LQ_BF16, 24, 64 },
};

static const char *data_path(const char *name)
{
    static char path[2][512];
    static int next;
    const char *root = getenv("LQ_TEST_DATA");
    char *p = path[next++ % 2];

    snprintf(p, sizeof path[0], "%s/%s", root ? root : "tests/data", name);
    return p;
}

/* Equal as numbers: the sign of a zero differs between bitsandbytes' own code paths. */
static void same(lq_dtype dtype, const unsigned char *a, const unsigned char *b, uint64_t n)
{
    size_t size = lq_dtype_bytes(dtype);

    for (uint64_t i = 0; i < n; i++) {
        uint32_t x = 0, y = 0, sign = size == 4 ? 0x80000000u : 0x8000u;
        memcpy(&x, a + i * size, size);
        memcpy(&y, b + i * size, size);
        if (x != y && ((x | y) & ~sign) != 0)
            fail_msg("element %llu: %x, not %x", (unsigned long long)i, x, y);
    }
}

static void sample(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_BEST, 2);
    lq_checkpoint *cp = open_checkpoint(ctx, data_path("safetensors/tiny_bnb4bit.safetensors"));
    unsigned char *want = slurp(data_path("convert/tiny_bnb4bit.dequant"), NULL), *at = want;
    lq_weight w;

    (void)state;
    assert_int_equal(lq_checkpoint_count(cp), 9);
    for (size_t i = 0; i < COUNT(layers); i++) {
        const struct layer *l = &layers[i];
        lq_spec spec = test_spec(l->spec);
        uint64_t n = l->rows * l->cols, index;
        unsigned char *y = malloc((size_t)(4 * n));
        lq_tensor *t = NULL;
        free(decode_weight(cp, l->name, &w));
        assert_string_equal(w.dialect, "bitsandbytes");
        assert_true(lq_spec_equal(w.spec, &spec));
        assert_int_equal(w.dtype, l->dtype);
        assert_int_equal(w.shape.rows, l->rows);
        assert_int_equal(w.shape.cols, l->cols);
        assert_int_equal(lq_checkpoint_find(cp, l->name, &index), LQ_OK);
        assert_int_equal(lq_checkpoint_load(cp, index, &t, NULL), LQ_OK);
        assert_int_equal(lq_tensor_decode(t, l->dtype, y), LQ_OK);
        same(l->dtype, y, at, n);
        at += n * lq_dtype_bytes(l->dtype);
        lq_tensor_destroy(t);
        free(y);
    }
    free(decode_weight(cp, "int8_layer.weight", &w));
    assert_int_equal(w.spec->format, LQ_FORMAT_LLM_INT8);
    free(want);
    lq_checkpoint_destroy(cp);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sample) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
