/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/dialects.c - from dialect to dialect without a bit changing
 */
#include "tests/convert/util.h"

static const made sources[] = {
    { "a.q_proj.weight", LQ_F32, 2, { 64, 256 }, NULL },
    { "b.up_proj.weight", LQ_F32, 2, { 96, 512 }, NULL },
    { "a.norm.weight", LQ_F32, 1, { 256 }, NULL },
};

static lq_ctx *ctx;
static folder f;

static int setup(void **state)
{
    (void)state;
    ctx = test_ctx(LQ_LEVEL_REF, 1);
    folder_make(&f);
    made_write(ctx, folder_path(&f, "in.safetensors"), LQ_CONTAINER_SAFETENSORS, NULL, sources,
               COUNT(sources));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lq_ctx_destroy(ctx);
    folder_clear(f.path, 1);
    return 0;
}

static lq_status keep(void *user, const lq_weight *weight, lq_choice *choice)
{
    (void)user;
    (void)weight;
    choice->action = LQ_KEEP;
    return LQ_OK;
}

static lq_status convert(const char *in, const char *out, lq_convert_opts *o, lq_error *error)
{
    char path[512];

    strcpy(path, folder_path(&f, in));
    o->replace = 1;
    return lq_convert(ctx, path, folder_path(&f, out), o, error);
}

static void quantize(const char *spec_text, const char *dialect, const char *out)
{
    lq_spec spec = test_spec(spec_text);
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o = convert_opts(&spec);

    o.dialect = dialect;
    if (convert("in.safetensors", out, &o, &error))
        fail_msg("%s as %s: %s", spec_text, dialect, error.message);
}

static lq_status rewrite(const char *in, const char *dialect, const char *out)
{
    lq_spec f32 = test_spec("f32");
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o = convert_opts(&f32);

    o.choose = keep;
    o.dialect = dialect;
    return convert(in, out, &o, &error);
}

/* Same dialect as asked, same values as in 'other'. */
static void same(const char *a, const char *b, const char *dialect)
{
    lq_checkpoint *x = open_checkpoint(ctx, folder_path(&f, a));
    lq_checkpoint *y = open_checkpoint(ctx, folder_path(&f, b));

    for (int i = 0; i < 2; i++) {
        lq_weight w, v;
        float *p = decode_weight(x, sources[i].name, &w), *q = decode_weight(y, sources[i].name, &v);
        assert_string_equal(v.dialect, dialect);
        assert_int_equal(w.shape.rows, v.shape.rows);
        for (uint64_t k = 0; k < w.shape.rows * w.shape.cols; k++)
            assert_true(p[k] == q[k]);      /* the sign of a zero may differ */
        free(p);
        free(q);
    }
    lq_checkpoint_destroy(x);
    lq_checkpoint_destroy(y);
}

static void chain(void **state)
{
    static const char *const specs[] = { "int4:g32:zp:f16", "int4:g128:f16", "int4:ch:zp:f16" };
    static const char *const path[] = { "awq", "compressed-tensors", "gptq", "lq", "awq", "gptq" };

    (void)state;
    for (size_t s = 0; s < COUNT(specs); s++) {
        quantize(specs[s], "lq", "0.safetensors");
        for (size_t i = 0; i < COUNT(path); i++) {
            char in[32], out[32];
            snprintf(in, sizeof in, "%zu.safetensors", i);
            snprintf(out, sizeof out, "%zu.safetensors", i + 1);
            assert_int_equal(rewrite(in, path[i], out), LQ_OK);
            same("0.safetensors", out, path[i]);
        }
    }
}

/* Every width, symmetric and not, and the small floats, as compressed-tensors packs them. */
static void packed(void **state)
{
    static const char *const specs[] = {
        "int2:g32:f16", "int3:g64:zp:bf16", "int4:g128:f32", "int5:ch:zp:f16", "int6:g32:f16",
        "int7:g64:zp:f32", "int8:g32:zp:f16", "mxfp4", "nvfp4:gd",
    };

    (void)state;
    for (size_t s = 0; s < COUNT(specs); s++) {
        quantize(specs[s], "lq", "own.safetensors");
        quantize(specs[s], "compressed-tensors", "theirs.safetensors");
        same("own.safetensors", "theirs.safetensors", "compressed-tensors");
        assert_int_equal(rewrite("theirs.safetensors", "lq", "back.safetensors"), LQ_OK);
        same("own.safetensors", "back.safetensors", "lq");
    }
}

/* Every form of GPTQ and width of it, and what ModelOpt has. */
static void on_request(void **state)
{
    static const char *const gptq[] = { "gptq", "gptq_v1", "gptq_v2", "gptq_p" };
    char spec[32];

    (void)state;
    for (unsigned bits = 2; bits <= 8; bits++)
        for (size_t v = bits > 4 && bits < 8 ? 3 : 0; v < COUNT(gptq); v++) {
            snprintf(spec, sizeof spec, v == 1 ? "int%u:g64:f16" : "int%u:g32:zp:f16", bits);
            quantize(spec, "lq", "own.safetensors");
            assert_int_equal(rewrite("own.safetensors", gptq[v], "g.safetensors"), LQ_OK);
            same("own.safetensors", "g.safetensors", v == 3 ? "gptq_p" : "gptq");
        }
    quantize("int5:g32:zp:f16", "lq", "own.safetensors");
    assert_int_equal(rewrite("own.safetensors", "gptq", "g.safetensors"), LQ_ERR_UNSUPPORTED);
    quantize("nvfp4:gm", "lq", "own.safetensors");
    quantize("nvfp4:gm", "modelopt", "theirs.safetensors");
    same("own.safetensors", "theirs.safetensors", "modelopt");
    quantize("fp8_e4m3:t", "lq", "own.safetensors");
    quantize("fp8_e4m3:t", "modelopt", "theirs.safetensors");
    same("own.safetensors", "theirs.safetensors", "modelopt");
    assert_int_equal(rewrite("theirs.safetensors", "compressed-tensors", "c.safetensors"), LQ_OK);
    same("own.safetensors", "c.safetensors", "compressed-tensors");
}

/* A directory of ModelOpt says it twice, and each of the two is enough. */
static void two_configs(void **state)
{
    static const char *const files[] = { "m/config.json", "m/hf_quant_config.json" };
    char gone[512];

    (void)state;
    quantize("fp8_e4m3:t", "lq", "own.safetensors");
    for (size_t i = 0; i < COUNT(files); i++) {
        quantize("fp8_e4m3:t", "modelopt", "m");
        strcpy(gone, folder_path(&f, files[i]));
        assert_int_equal(unlink(gone), 0);
        same("own.safetensors", "m", "modelopt");
        folder_clear(folder_path(&f, "m"), 1);
    }
}

static void refused(void **state)
{
    (void)state;
    quantize("int4:g32:zp:f16", "gptq", "g.safetensors");
    assert_int_equal(rewrite("g.safetensors", "bitsandbytes", "n.safetensors"),
                     LQ_ERR_UNSUPPORTED);
    assert_int_equal(rewrite("g.safetensors", "marlin", "n.safetensors"), LQ_ERR_NOTFOUND);
    quantize("int4:g32:zp:f32", "lq", "g.safetensors");
    assert_int_equal(rewrite("g.safetensors", "awq", "n.safetensors"), LQ_ERR_UNSUPPORTED);
}

static void see(void *user, const lq_convert_report *r)
{
    (void)user;
    if (!strcmp(r->name, sources[0].name))
        assert_true(r->sum_err_sq <= 1e-6 * r->sum_sq);
}

/* To GGUF by the same codes: no requantization, so nobody has to allow it. */
static void blocks(void **state)
{
    static const struct { const char *from, *to; int exact; } cases[] = {
        { "int4:g32:f16", "q4_0", 1 }, { "int4:g32:zp:f16", "q4_1", 0 },
        { "mxfp4", "mxfp4_gguf", 1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        lq_spec to = test_spec(cases[i].to);
        lq_error error = LQ_ERROR_INIT;
        lq_convert_opts o = convert_opts(&to);
        quantize(cases[i].from, "lq", "own.safetensors");
        o.choose = NULL;
        o.report = see;
        if (convert("own.safetensors", "own.gguf", &o, &error))
            fail_msg("%s: %s", cases[i].from, error.message);
        if (cases[i].exact)
            same("own.safetensors", "own.gguf", "gguf");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain), cmocka_unit_test(packed), cmocka_unit_test(on_request),
        cmocka_unit_test(two_configs), cmocka_unit_test(refused),
        cmocka_unit_test(blocks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
