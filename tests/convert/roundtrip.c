/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/roundtrip.c - every spec through every container and dialect
 *
 * What is read back must decode to the bits of lq_tensor_encode and lq_tensor_decode.
 */
#include "tests/convert/util.h"

static const made sources[] = {
    { "a.q_proj.weight", LQ_F32, 2, { 64, 256 }, NULL },
    { "b.up_proj.weight", LQ_F32, 2, { 160, 512 }, NULL },
    { "a.norm.weight", LQ_F32, 1, { 256 }, NULL },
    { "a.bias", LQ_F32, 1, { 64 }, NULL },
};

static const struct expected { const char *spec, *dialect, *config; } expected[] = {
    { "f32", "plain", NULL },
    { "f16", "plain", NULL },
    { "bf16", "plain", NULL },
    { "q8_0", "lq", NULL },
    { "q4_k", "lq", NULL },
    { "nf4:b64", "bitsandbytes", "\"bnb_4bit_quant_type\": \"nf4\"" },
    { "nf4:b128:dq", "bitsandbytes", "\"bnb_4bit_use_double_quant\": true" },
    { "fp4:b64", "bitsandbytes", "\"bnb_4bit_quant_type\": \"fp4\"" },
    { "fp4:b32:dq", "bitsandbytes", "\"load_in_4bit\": true" },
    { "llm_int8", "bitsandbytes", "\"load_in_8bit\": true" },
    { "nf4:g64", "lq", NULL },
    { "nf4:b64:dq64", "lq", NULL },
    { "int4:g32:zp:f16", "gptq", "\"group_size\": 32" },
    { "int4:ch:zp:f16", "gptq", "\"group_size\": -1" },
    { "int4:g64:f16", "gptq", "\"sym\": true" },
    { "int4:g64:zp:f32", "lq", NULL },
    { "int8:ch", "compressed-tensors", "\"strategy\": \"channel\"" },
    { "int8:g128", "compressed-tensors", "\"strategy\": \"group\"" },
    { "int8:g32:zp", "compressed-tensors", "\"symmetric\": false" },
    { "int3:g32:f16", "gptq", "\"bits\": 3" },
    { "mxfp8_e4m3", "compressed-tensors", "\"mxfp8-quantized\"" },
    { "fp8_e4m3:ch", "compressed-tensors", "\"format\": \"float-quantized\"" },
    { "fp8_e4m3:t", "compressed-tensors", "\"strategy\": \"tensor\"" },
    { "fp8_e4m3:128x128", "fp8", "\"weight_block_size\"" },
    { "fp8_e5m2:ch", "lq", NULL },
};

static int setup(void **state)
{
    *state = test_ctx(LQ_LEVEL_REF, 1);
    return 0;
}

static int teardown(void **state)
{
    lq_ctx_destroy(*state);
    return 0;
}

/* Codebooks come back as other handles with the same values. */
static int same_spec(const lq_spec *a, const lq_spec *b)
{
    lq_spec c = *a;

    c.codebook = b->codebook;
    return lq_spec_equal(&c, b);
}

static void check_weight(const lq_ctx *ctx, const lq_checkpoint *cp, const made *source,
                         const lq_spec *spec, const char *dialect)
{
    lq_shape shape = { 1, source->dims[0], source->dims[1] };
    float *x = made_values(source), *want, *have;
    lq_tensor *t = test_encode(ctx, spec, shape, x, NULL);
    lq_weight w;

    want = malloc((size_t)(4 * made_count(source)));
    assert_int_equal(lq_tensor_decode(t, LQ_F32, want), LQ_OK);
    have = decode_weight(cp, source->name, &w);
    assert_string_equal(w.dialect, dialect);
    assert_true(same_spec(spec, w.spec));
    assert_int_equal(w.n_dims, 2);
    assert_memory_equal(w.dims, source->dims, 2 * sizeof *w.dims);
    assert_memory_equal(want, have, (size_t)(4 * made_count(source)));
    lq_tensor_destroy(t);
    free(x);
    free(want);
    free(have);
}

static void convert(const lq_ctx *ctx, const char *in, const char *out, const char *spec_text)
{
    lq_error error = LQ_ERROR_INIT;
    lq_spec spec = test_spec(spec_text);
    lq_convert_opts o = convert_opts(&spec);

    if (lq_convert(ctx, in, out, &o, &error) != LQ_OK)
        fail_msg("%s: %s", spec_text, error.message);
}

static void nothing_bad(void *user, const lq_finding *f)
{
    (void)user;
    if (f->status)
        fail_msg("%s: %s", f->name, f->message);
}

static void one(const lq_ctx *ctx, const folder *f, const char *in, const char *out,
                const struct expected *e)
{
    const char *path = folder_path(f, out);
    lq_spec spec = test_spec(e->spec);
    lq_checkpoint *cp;
    uint64_t bad = 9;
    lq_weight w;

    convert(ctx, in, path, e->spec);
    cp = open_checkpoint(ctx, path);
    assert_int_equal(lq_checkpoint_count(cp), 4);
    for (size_t i = 0; i < 2; i++)
        check_weight(ctx, cp, &sources[i], &spec,
                     lq_file_container(lq_checkpoint_file(cp)) == LQ_CONTAINER_GGUF
                         ? "gguf" : e->dialect);
    free(decode_weight(cp, "a.norm.weight", &w));
    assert_int_equal(w.spec->format, LQ_FORMAT_F32);
    lq_checkpoint_destroy(cp);
    assert_int_equal(lq_verify(ctx, path, NULL, nothing_bad, NULL, &bad, NULL), LQ_OK);
    assert_int_equal(bad, 0);
}

/* Write to both containers, and from the second one losslessly back to a single file. */
static void all_specs(void **state)
{
    const lq_ctx *ctx = *state;
    folder f;

    folder_make(&f);
    made_write(ctx, folder_path(&f, "in.safetensors"), LQ_CONTAINER_SAFETENSORS, NULL, sources,
               COUNT(sources));
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct expected *e = &expected[i];
        char *config, in[512];
        size_t bytes;
        strcpy(in, folder_path(&f, "in.safetensors"));
        one(ctx, &f, in, "out.safetensors", e);
        one(ctx, &f, in, "out", e);
        config = NULL;
        if (access(folder_path(&f, "out/config.json"), R_OK) == 0)
            config = slurp(folder_path(&f, "out/config.json"), &bytes);
        if ((config != NULL) != (e->config != NULL) || (config && !strstr(config, e->config)))
            fail_msg("%s: config.json is %s", e->spec, config ? config : "missing");
        free(config);
        strcpy(in, folder_path(&f, "out"));
        one(ctx, &f, in, "copy.safetensors", e);
        folder_clear(in, 1);
        unlink(folder_path(&f, "out.safetensors"));
        unlink(folder_path(&f, "copy.safetensors"));
    }
    folder_clear(f.path, 1);
}

static void gguf(void **state)
{
    static const struct expected specs[] = {
        { "q8_0", "gguf", NULL }, { "q4_0", "gguf", NULL }, { "q4_k", "gguf", NULL },
        { "q6_k", "gguf", NULL }, { "f16", "gguf", NULL }, { "bf16", "gguf", NULL },
    };
    const lq_ctx *ctx = *state;
    folder f;
    char in[512];

    folder_make(&f);
    strcpy(in, folder_path(&f, "in.safetensors"));
    made_write(ctx, in, LQ_CONTAINER_SAFETENSORS, NULL, sources, COUNT(sources));
    for (size_t i = 0; i < COUNT(specs); i++) {
        one(ctx, &f, in, "out.gguf", &specs[i]);
        unlink(folder_path(&f, "out.gguf"));
    }
    folder_clear(f.path, 1);
}

/* Shapes that no foreign dialect holds: experts, columns that do not divide. */
static void odd_shapes(void **state)
{
    static const made odd[] = {
        { "experts.weight", LQ_F32, 3, { 3, 8, 96 }, NULL },
        { "odd.weight", LQ_F32, 2, { 5, 37 }, NULL },
        { "empty.weight", LQ_F32, 2, { 0, 64 }, NULL },
    };
    static const char *const specs[] = { "nf4:b64:dq", "int4:g32:zp", "int8:ch", "fp8_e4m3:t",
                                         "q4_k:pad", "nf4:ch" };
    const lq_ctx *ctx = *state;
    folder f;
    char in[512];

    folder_make(&f);
    strcpy(in, folder_path(&f, "in.safetensors"));
    made_write(ctx, in, LQ_CONTAINER_SAFETENSORS, NULL, odd, COUNT(odd));
    for (size_t i = 0; i < COUNT(specs); i++) {
        lq_spec spec = test_spec(specs[i]);
        lq_checkpoint *cp;
        convert(ctx, in, folder_path(&f, "out.safetensors"), specs[i]);
        cp = open_checkpoint(ctx, folder_path(&f, "out.safetensors"));
        for (size_t k = 0; k < COUNT(odd); k++) {
            lq_shape shape = { 1, 0, 0 };
            lq_weight w;
            float *have = decode_weight(cp, odd[k].name, &w), *want, *x;
            shape = w.shape;
            x = made_values(&odd[k]);
            want = malloc((size_t)(4 * made_count(&odd[k]) + 4));
            if (made_count(&odd[k])) {
                lq_tensor *t = test_encode(ctx, &spec, shape, x, NULL);
                lq_tensor_decode(t, LQ_F32, want);
                lq_tensor_destroy(t);
            }
            assert_memory_equal(want, have, (size_t)(4 * made_count(&odd[k])));
            assert_string_equal(w.dialect, "lq");
            assert_int_equal(w.n_dims, odd[k].n_dims);
            free(have);
            free(want);
            free(x);
        }
        lq_checkpoint_destroy(cp);
        unlink(folder_path(&f, "out.safetensors"));
    }
    folder_clear(f.path, 1);
}

static void codebook(void **state)
{
    static const float values[] = { -1, -0.5f, -0.25f, 0, 0.125f, 0.4f, 0.7f, 1 };
    const lq_ctx *ctx = *state;
    lq_error error = LQ_ERROR_INIT;
    lq_spec spec = LQ_SPEC_INIT;
    lq_codebook *book = NULL;
    lq_convert_opts o;
    lq_checkpoint *cp;
    folder f;
    char in[512];

    folder_make(&f);
    strcpy(in, folder_path(&f, "in.safetensors"));
    made_write(ctx, in, LQ_CONTAINER_SAFETENSORS, NULL, sources, COUNT(sources));
    assert_int_equal(lq_codebook_create(ctx, values, COUNT(values), &book, NULL), LQ_OK);
    spec.format = LQ_FORMAT_CODEBOOK;
    spec.codebook = book;
    assert_int_equal(lq_spec_complete(&spec, NULL), LQ_OK);
    o = convert_opts(&spec);
    if (lq_convert(ctx, in, folder_path(&f, "out.safetensors"), &o, &error) != LQ_OK)
        fail_msg("%s", error.message);
    cp = open_checkpoint(ctx, folder_path(&f, "out.safetensors"));
    check_weight(ctx, cp, &sources[0], &spec, "lq");
    lq_checkpoint_destroy(cp);
    lq_codebook_destroy(book);
    folder_clear(f.path, 1);
}

/* Two specs in one file: no foreign config could tell the truth. */
static lq_status mix(void *user, const lq_weight *weight, lq_choice *choice)
{
    if (weight->n_dims == 2 && weight->name[0] == 'a')
        choice->spec = *(const lq_spec *)user;
    return LQ_OK;
}

static void mixed(void **state)
{
    const lq_ctx *ctx = *state;
    lq_spec other = test_spec("int8:ch"), spec = test_spec("nf4:b64");
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o;
    lq_checkpoint *cp;
    folder f;
    char in[512];

    folder_make(&f);
    strcpy(in, folder_path(&f, "in.safetensors"));
    made_write(ctx, in, LQ_CONTAINER_SAFETENSORS, NULL, sources, COUNT(sources));
    lq_convert_opts_init(&o);
    o.spec = &spec;
    o.choose = mix;
    o.user = &other;
    if (lq_convert(ctx, in, folder_path(&f, "out"), &o, &error) != LQ_OK)
        fail_msg("%s", error.message);
    cp = open_checkpoint(ctx, folder_path(&f, "out"));
    check_weight(ctx, cp, &sources[0], &other, "lq");
    check_weight(ctx, cp, &sources[1], &spec, "lq");
    assert_int_not_equal(access(folder_path(&f, "out/config.json"), R_OK), 0);
    lq_checkpoint_destroy(cp);
    folder_clear(f.path, 1);
}

/* ---------------------------------------------------------------- act order */

static lq_status keep_all(void *user, const lq_weight *weight, lq_choice *choice)
{
    (void)user;
    (void)weight;
    choice->action = LQ_KEEP;
    return LQ_OK;
}

static void same_raw(const lq_file *a, const lq_file *b, const char *name)
{
    lq_file_tensor x = LQ_FILE_TENSOR_INIT, y = LQ_FILE_TENSOR_INIT;
    uint64_t i = 0, k = 0;
    char *p, *q;

    assert_int_equal(lq_file_tensor_find(a, name, &i), LQ_OK);
    assert_int_equal(lq_file_tensor_find(b, name, &k), LQ_OK);
    lq_file_tensor_at(a, i, &x);
    lq_file_tensor_at(b, k, &y);
    assert_int_equal(x.bytes, y.bytes);
    assert_int_equal(x.dtype, y.dtype);
    p = malloc((size_t)x.bytes);
    q = malloc((size_t)x.bytes);
    assert_int_equal(lq_file_read(a, i, 0, p, x.bytes, NULL), LQ_OK);
    assert_int_equal(lq_file_read(b, k, 0, q, x.bytes, NULL), LQ_OK);
    assert_memory_equal(p, q, (size_t)x.bytes);
    free(p);
    free(q);
}

/* A GPTQ model whose columns are out of order: copied word for word, in version 2. */
static void act_order(void **state)
{
    static const char config[] = "{\"quant_method\": \"gptq\", \"bits\": 4, "
        "\"group_size\": 32, \"desc_act\": true, \"sym\": false, "
        "\"checkpoint_format\": \"gptq_v2\"}";
    const lq_ctx *ctx = *state;
    uint32_t words[16 * 64], zeros[4 * 8];
    uint16_t scales[4 * 64];
    int32_t g_idx[128];
    uint64_t seed = 3;
    const made t[] = {
        { "l.qweight", LQ_I32, 2, { 16, 64 }, words }, { "l.qzeros", LQ_I32, 2, { 4, 8 }, zeros },
        { "l.scales", LQ_F16, 2, { 4, 64 }, scales }, { "l.g_idx", LQ_I32, 1, { 128 }, g_idx },
    };
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o;
    lq_checkpoint *a, *b;
    lq_weight v, w;
    float *x, *y;
    folder f;
    char in[512];

    for (size_t i = 0; i < COUNT(words); i++)
        words[i] = (uint32_t)test_next(&seed);
    for (size_t i = 0; i < COUNT(zeros); i++)
        zeros[i] = (uint32_t)test_next(&seed);
    for (size_t i = 0; i < COUNT(scales); i++)
        scales[i] = (uint16_t)(0x2000 + test_next(&seed) % 0x1000);
    for (int i = 0; i < 128; i++)
        g_idx[i] = i * 37 % 128 / 32;
    folder_make(&f);
    strcpy(in, folder_path(&f, "in.safetensors"));
    made_write(ctx, in, LQ_CONTAINER_SAFETENSORS, config, t, COUNT(t));
    lq_convert_opts_init(&o);
    lq_spec f16 = test_spec("f16");
    o.spec = &f16;
    o.choose = keep_all;
    if (lq_convert(ctx, in, folder_path(&f, "out.safetensors"), &o, &error) != LQ_OK)
        fail_msg("%s", error.message);
    a = open_checkpoint(ctx, in);
    b = open_checkpoint(ctx, folder_path(&f, "out.safetensors"));
    x = decode_weight(a, "l.weight", &v);
    y = decode_weight(b, "l.weight", &w);
    assert_true(v.spec->flags & LQ_SPEC_GIDX);
    assert_true(lq_spec_equal(v.spec, w.spec));
    assert_memory_equal(x, y, 4 * 64 * 128);
    for (size_t i = 0; i < COUNT(t); i++)
        same_raw(lq_checkpoint_file(a), lq_checkpoint_file(b), t[i].name);
    free(x);
    free(y);
    lq_checkpoint_destroy(a);
    lq_checkpoint_destroy(b);
    folder_clear(f.path, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_specs), cmocka_unit_test(gguf), cmocka_unit_test(odd_shapes),
        cmocka_unit_test(codebook), cmocka_unit_test(mixed),
        cmocka_unit_test(act_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
