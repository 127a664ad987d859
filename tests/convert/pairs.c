/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/pairs.c - one small model between all forms that a weight can take
 *
 * A form is a spec in a dialect or container.  Forms of a class have the same codes: from A
 * to B and back to A every plane has the same bytes.  Between classes weights are decoded
 * and encoded again, and the error that is reported is the error.
 */
#include "tests/convert/util.h"

typedef struct form {
    const char *spec, *dialect;     /* dialect NULL: GGUF */
} form;

#define FORMS 12

static const form classes[][FORMS] = {
    { { "int4:g32:f16", "lq" }, { "int4:g32:f16", "gptq" }, { "int4:g32:f16", "gptq_v1" },
      { "int4:g32:f16", "gptq_v2" }, { "int4:g32:f16", "gptq_p" }, { "int4:g32:zp:f16", "awq" },
      { "int4:g32:zp:f16", "awq_gemv" }, { "int4:g32:zp:f16", "awq_fast" },
      { "int4:g32:f16", "compressed-tensors" }, { "q4_0", NULL }, { "q4_0", "lq" } },
    { { "int4:g32:zp:f16", "lq" }, { "int4:g32:zp:f16", "gptq" },
      { "int4:g32:zp:f16", "gptq_v1" }, { "int4:g32:zp:f16", "gptq_v2" },
      { "int4:g32:zp:f16", "gptq_p" }, { "int4:g32:zp:f16", "awq" },
      { "int4:g32:zp:f16", "awq_gemv" }, { "int4:g32:zp:f16", "awq_fast" },
      { "int4:g32:zp:f16", "compressed-tensors" }, { "q4_1", NULL } },
    { { "int5:g32:f16", "lq" }, { "int5:g32:f16", "gptq_p" },
      { "int5:g32:f16", "compressed-tensors" }, { "q5_0", NULL } },
    { { "int5:g32:zp:f16", "lq" }, { "int5:g32:zp:f16", "gptq_p" },
      { "int5:g32:zp:f16", "compressed-tensors" }, { "q5_1", NULL } },
    { { "int8:g32:f16", "lq" }, { "int8:g32:f16", "gptq" }, { "int8:g32:f16", "gptq_v1" },
      { "int8:g32:f16", "gptq_p" }, { "int8:g32:f16", "compressed-tensors" },
      { "int8:g32:zp:f16", "gptq" }, { "q8_0", NULL } },
    { { "int8:ch:zp:f16", "lq" }, { "int8:ch:zp:f16", "gptq" }, { "int8:ch:zp:f16", "gptq_p" },
      { "int8:ch:zp:f16", "compressed-tensors" } },
    { { "int2:g32:zp:f16", "lq" }, { "int2:g32:zp:f16", "gptq" },
      { "int2:g32:zp:f16", "gptq_v1" }, { "int2:g32:zp:f16", "gptq_p" },
      { "int2:g32:zp:f16", "compressed-tensors" } },
    { { "int3:g64:f16", "lq" }, { "int3:g64:f16", "gptq" }, { "int3:g64:f16", "gptq_v1" },
      { "int3:g64:f16", "gptq_p" }, { "int3:g64:zp:f16", "gptq" },
      { "int3:g64:f16", "compressed-tensors" } },
    { { "int6:g32:zp:f16", "lq" }, { "int6:g32:zp:f16", "gptq_p" },
      { "int6:g32:zp:f16", "compressed-tensors" } },
    { { "int7:ch:zp:f16", "lq" }, { "int7:ch:zp:f16", "gptq_p" },
      { "int7:ch:zp:f16", "compressed-tensors" } },
    { { "mxfp4", "lq" }, { "mxfp4", "compressed-tensors" }, { "mxfp4", "gpt-oss" },
      { "mxfp4_gguf", NULL } },
    { { "nvfp4_gguf", NULL }, { "nvfp4:gm", "lq" }, { "nvfp4:gm", "modelopt" } },
    { { "nvfp4:gd", "lq" }, { "nvfp4:gd", "compressed-tensors" } },
    { { "mxfp8_e4m3", "lq" }, { "mxfp8_e4m3", "compressed-tensors" } },
    { { "fp8_e4m3:t", "lq" }, { "fp8_e4m3:t", "modelopt" },
      { "fp8_e4m3:t", "compressed-tensors" } },
    { { "fp8_e4m3:ch", "lq" }, { "fp8_e4m3:ch", "compressed-tensors" } },
    { { "fp8_e4m3:32x64", "lq" }, { "fp8_e4m3:32x64", "fp8" },
      { "fp8_e4m3:32x64", "compressed-tensors" } },
    { { "nf4:b64:dq", "lq" }, { "nf4:b64:dq", "bitsandbytes" } },
    { { "fp4:b64", "lq" }, { "fp4:b64", "bitsandbytes" } },
    { { "llm_int8", "lq" }, { "llm_int8", "bitsandbytes" } },
    { { "q4_k", NULL }, { "q4_k", "lq" } },
};

static const made sources[] = {
    { "a.q_proj.weight", LQ_F32, 2, { 64, 256 }, NULL },
    { "b.up_proj.weight", LQ_F32, 2, { 32, 512 }, NULL },
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

static const char *name_of(const form *which)
{
    static char text[4][96];
    static int turn;
    char *t = text[turn++ % 4];

    snprintf(t, sizeof *text, "%s as %s", which->spec, which->dialect ? which->dialect : "gguf");
    return t;
}

/* Path of a file "NAME.gguf" or "NAME.safetensors". */
static const char *file_of(const form *which, const char *name, char path[512])
{
    char file[64];

    snprintf(file, sizeof file, "%s.%s", name, which->dialect ? "safetensors" : "gguf");
    strcpy(path, folder_path(&f, file));
    return path;
}

typedef struct sums {
    double sq, err;
    int    same_codes;
    const lq_spec *spec;
} sums;

static lq_status choose(void *user, const lq_weight *weight, lq_choice *choice)
{
    const sums *s = user;

    return choose_all((void *)(uintptr_t)s->spec, weight, choice);
}

static void report(void *user, const lq_convert_report *r)
{
    sums *s = user;

    if (strcmp(r->name, sources[0].name))
        return;
    s->sq = r->sum_sq;
    s->err = r->sum_err_sq;
    s->same_codes = !strcmp(r->reason, "the same codes") ||
                    !strcmp(r->reason, "already in this format");
}

static sums convert(const char *in, const form *to, const char *out, int allow)
{
    lq_spec spec = test_spec(to->spec);
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o = convert_opts(&spec);
    sums s = { 0, 0, 0, &spec };

    o.choose = choose;
    o.report = report;
    o.user = &s;
    o.dialect = to->dialect;
    o.replace = 1;
    o.allow_requantize = allow;
    if (lq_convert(ctx, in, out, &o, &error))
        fail_msg("to %s: %s", name_of(to), error.message);
    return s;
}

/* Spec and planes of every weight. */
static void same_planes(const char *a, const char *b, const char *text)
{
    lq_checkpoint *x = open_checkpoint(ctx, a), *y = open_checkpoint(ctx, b);

    for (uint64_t i = 0; i < 2; i++) {
        uint64_t at[2] = { 0 };
        lq_tensor *t = NULL, *u = NULL;
        assert_int_equal(lq_checkpoint_find(x, sources[i].name, &at[0]), LQ_OK);
        assert_int_equal(lq_checkpoint_find(y, sources[i].name, &at[1]), LQ_OK);
        assert_int_equal(lq_checkpoint_load(x, at[0], &t, NULL), LQ_OK);
        assert_int_equal(lq_checkpoint_load(y, at[1], &u, NULL), LQ_OK);
        for (int p = 0; p < LQ_PLANES; p++) {
            uint64_t n = 0, m = 0;
            const void *have = lq_tensor_plane(t, p, &n), *want = lq_tensor_plane(u, p, &m);
            if (n != m || (n && memcmp(have, want, (size_t)n)))
                fail_msg("%s: plane %s of %s differs", text, lq_plane_name(p), sources[i].name);
        }
        lq_tensor_destroy(t);
        lq_tensor_destroy(u);
    }
    lq_checkpoint_destroy(x);
    lq_checkpoint_destroy(y);
}

static void within(void **state)
{
    char base[512], a[512], b[512], back[512];

    (void)state;
    for (size_t c = 0; c < COUNT(classes); c++) {
        const form *forms = classes[c];
        convert(folder_path(&f, "in.safetensors"), &forms[0], file_of(&forms[0], "0", base), 0);
        for (size_t i = 0; forms[i].spec; i++) {
            convert(base, &forms[i], file_of(&forms[i], "a", a), 0);
            for (size_t k = 0; forms[k].spec; k++) {
                char text[256];
                convert(a, &forms[k], file_of(&forms[k], "b", b), 0);
                convert(b, &forms[i], file_of(&forms[i], "back", back), 0);
                snprintf(text, sizeof text, "%s and %s", name_of(&forms[i]), name_of(&forms[k]));
                same_planes(a, back, text);
            }
        }
    }
}

/* Squared error of the first weight of b against a. */
static double error_of(const char *a, const char *b)
{
    lq_checkpoint *x = open_checkpoint(ctx, a), *y = open_checkpoint(ctx, b);
    lq_weight w;
    float *p = decode_weight(x, sources[0].name, &w), *q = decode_weight(y, sources[0].name, &w);
    double sum = 0;

    for (size_t i = 0; i < 64 * 256; i++)
        sum += ((double)q[i] - (double)p[i]) * ((double)q[i] - (double)p[i]);
    free(p);
    free(q);
    lq_checkpoint_destroy(x);
    lq_checkpoint_destroy(y);
    return sum;
}

static void between(void **state)
{
    char a[512], b[512];

    (void)state;
    for (size_t c = 0; c < COUNT(classes); c++) {
        convert(folder_path(&f, "in.safetensors"), &classes[c][0],
                file_of(&classes[c][0], "a", a), 0);
        for (size_t d = 0; d < COUNT(classes); d++) {
            const form *to = &classes[d][0];
            sums s = convert(a, to, file_of(to, "b", b), 1);
            double error = c == d ? 0 : error_of(a, b);
            if ((c == d && !s.same_codes) || (s.same_codes && error > 0))
                fail_msg("%s to %s: codes", name_of(&classes[c][0]), name_of(to));
            if (s.err != error || !(s.err <= 0.2 * s.sq))
                fail_msg("%s to %s: error %g reported, %g found, of %g", name_of(&classes[c][0]),
                         name_of(to), s.err, error, s.sq);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within), cmocka_unit_test(between),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
