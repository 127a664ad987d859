/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/faults.c - conversions that end early leave nothing behind; options and
 * refusals
 */
#include "tests/convert/util.h"

static const made sources[] = {
    { "a.q_proj.weight", LQ_F32, 2, { 64, 64 }, NULL },
    { "a.norm.weight", LQ_F32, 1, { 64 }, NULL },
    { "odd.weight", LQ_F32, 2, { 32, 36 }, NULL },
};

static folder f;
static char in[512], out[512];

static void make(const lq_ctx *ctx)
{
    folder_make(&f);
    strcpy(in, folder_path(&f, "in.safetensors"));
    made_write(ctx, in, LQ_CONTAINER_SAFETENSORS, NULL, sources, COUNT(sources));
}

/* Each container, and each writer that holds planes or writes files of its own. */
static const struct run {
    const char *out, *spec, *dialect;
    uint64_t    shard_tensors;
} runs[] = {
    { "out.safetensors", "nf4:b64:dq", NULL, 0 },
    { "out", "int4:g32:zp:f16", NULL, 0 },
    { "out.gguf", "f16", NULL, 0 },
    { "out.gguf", "f16", NULL, 1 },
    { "out.safetensors", "int4:g32:f16", "gptq_v1", 0 },
    { "out.safetensors", "int5:g32:zp:f16", "gptq_p", 0 },
    { "out.safetensors", "int4:g32:zp:f16", "awq", 0 },
    { "out.safetensors", "int4:g32:zp:f16", "awq_gemv", 0 },
    { "out.safetensors", "int4:g32:zp:f16", "awq_fast", 0 },
    { "out.safetensors", "int3:g32:zp:f16", "compressed-tensors", 0 },
    { "out.safetensors", "int8:g32:zp:f16", "compressed-tensors", 0 },
    { "out.safetensors", "mxfp8_e4m3", "compressed-tensors", 0 },
    { "out", "nvfp4:gm", "modelopt", 0 },
    { "out.safetensors", "mxfp4", "gpt-oss", 0 },
};

/* Dialects do not take every shape. */
static lq_status choose_even(void *user, const lq_weight *weight, lq_choice *choice)
{
    if (weight->shape.cols % 32 == 0)
        return choose_all(user, weight, choice);
    choice->action = LQ_KEEP;
    return LQ_OK;
}

static lq_convert_opts run_opts(const struct run *r, lq_spec *spec)
{
    lq_convert_opts o = convert_opts(spec);

    o.dialect = r->dialect;
    o.shard_tensors = r->shard_tensors;
    if (r->dialect)
        o.choose = choose_even;
    return o;
}

/* Remove the output, and the files of a set; how many files it was. */
static int clear(const struct run *r)
{
    char part[64];

    folder_clear(out, 1);
    unlink(out);
    for (int i = 1; r->shard_tensors && i <= 3; i++) {
        snprintf(part, sizeof part, "out-%05d-of-00003.gguf", i);
        assert_int_equal(unlink(folder_path(&f, part)), 0);
    }
    return r->shard_tensors ? 3 : 1;
}

/* ------------------------------------------------------------------- cancel */

typedef struct countdown {
    int      left, calls;
    lq_spec *spec;
} countdown;

static int stop(void *user, uint64_t done, uint64_t total, const char *what)
{
    countdown *c = user;

    assert_non_null(what);
    assert_true(done <= total);
    c->calls++;
    return c->left-- == 0;
}

static void cancel(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);

    (void)state;
    make(ctx);
    for (size_t i = 0; i < COUNT(runs); i++)
        for (int at = 0;; at++) {
            lq_spec spec = test_spec(runs[i].spec);
            lq_convert_opts o = run_opts(&runs[i], &spec);
            countdown c = { at, 0, NULL };
            lq_error error = LQ_ERROR_INIT;
            lq_status st;
            strcpy(out, folder_path(&f, runs[i].out));
            o.progress.report = stop;
            o.progress.user = &c;
            st = lq_convert(ctx, in, out, &o, &error);
            if (!st) {
                assert_true(at > 3);
                int files = folder_count(f.path);
                assert_int_equal(files, 1 + clear(&runs[i]));
                break;
            }
            assert_int_equal(st, LQ_ERR_CANCELLED);
            assert_int_equal(error.status, st);
            assert_int_equal(folder_count(f.path), 1);
        }
    folder_clear(f.path, 1);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------------- memory */

typedef struct meter {
    long left, live;
} meter;

static void *meter_alloc(void *user, size_t size, size_t align)
{
    meter *m = user;
    void *p = NULL;

    if (m->left-- <= 0 || posix_memalign(&p, align < sizeof p ? sizeof p : align, size))
        return NULL;
    m->live++;
    return p;
}

static void meter_free(void *user, void *p)
{
    meter *m = user;

    m->live -= p != NULL;
    free(p);
}

static void no_memory(void **state)
{
    meter m = { 1000000, 0 };
    lq_ctx_opts co = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx = NULL;
    long base;

    (void)state;
    co.level = LQ_LEVEL_REF;
    co.allocator = (lq_allocator){ meter_alloc, meter_free, &m };
    assert_int_equal(lq_ctx_create(&co, &ctx, NULL), LQ_OK);
    make(ctx);
    base = m.live;
    for (size_t i = 0; i < COUNT(runs); i++)
        for (long n = 0;; n++) {
            lq_spec spec = test_spec(runs[i].spec);
            lq_convert_opts o = run_opts(&runs[i], &spec);
            lq_status st;
            strcpy(out, folder_path(&f, runs[i].out));
            m.left = n;
            st = lq_convert(ctx, in, out, &o, NULL);
            assert_int_equal(m.live, base);
            if (!st) {
                clear(&runs[i]);
                break;
            }
            if (st != LQ_ERR_NOMEM)
                fail_msg("%s, allocation %ld: %s", runs[i].spec, n, lq_status_name(st));
            assert_int_equal(folder_count(f.path), 1);
        }
    m.left = 1000000;
    folder_clear(f.path, 1);
    lq_ctx_destroy(ctx);
    assert_int_equal(m.live, 0);
}

/* ----------------------------------------------------------------- refusals */

static void refusals(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_error error = LQ_ERROR_INIT;
    lq_spec nf4 = test_spec("nf4:b64"), q4 = test_spec("q4_0"), f16 = test_spec("f16");
    lq_convert_opts o = convert_opts(&nf4);

    (void)state;
    make(ctx);
    strcpy(out, folder_path(&f, "out.gguf"));
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "safetensors"));
    assert_non_null(strstr(error.message, "q4_0"));
    o = convert_opts(&q4);
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_ERR_SHAPE);
    o.tail = LQ_TAIL_PAD;
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_ERR_UNSUPPORTED);
    o.tail = LQ_TAIL_FALLBACK;                  /* llama-quantize has none for q4_0 */
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_ERR_SHAPE);
    o.tail = LQ_TAIL_SPEC;
    o.tail_spec = &f16;
    assert_int_equal(lq_convert(ctx, in, in, &o, &error), LQ_ERR_ARG);
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_OK);
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_ERR_EXISTS);
    strcpy(in, out);
    strcpy(out, folder_path(&f, "again.safetensors"));
    o = convert_opts(&nf4);
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_ERR_ARG);     /* requantize */
    o.allow_requantize = 1;
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_OK);
    o = convert_opts(&q4);
    o.struct_size = 0;
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_ERR_ARG);
    o = convert_opts(&nf4);
    o.dequantize = 1;
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_ERR_ARG);
    lq_convert_opts_init(&o);
    o.spec = &f16;
    o.dequantize = 1;
    o.replace = 1;
    assert_int_equal(lq_convert(ctx, in, out, &o, &error), LQ_OK);
    assert_int_equal(folder_count(f.path), 3);
    folder_clear(f.path, 1);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------------ reports */

typedef struct totals {
    int    calls, encoded, sums;
    double sum_sq, sum_err;
} totals;

static void add(void *user, const lq_convert_report *r)
{
    totals *t = user;

    assert_int_equal(r->index, t->calls);
    assert_int_equal(r->count, COUNT(sources));
    t->calls++;
    t->encoded += strcmp(r->from, r->to) != 0;
    t->sums += r->xxh3[0] != 0;
    if (!strcmp(r->name, "a.q_proj.weight")) {
        t->sum_sq = r->sum_sq;
        t->sum_err = r->sum_err_sq;
    }
}

/* The sums, computed again from what the tensor functions say. */
static void reports(void **state)
{
    static const char *const all[] = { "nf4:b64:dq", "int8:ch", "fp8_e4m3:t" };
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    float *x = made_values(&sources[0]), y[64 * 64];

    (void)state;
    make(ctx);
    strcpy(out, folder_path(&f, "out.safetensors"));
    for (size_t k = 0; k < COUNT(all); k++) {
        lq_spec spec = test_spec(all[k]);
        lq_tensor *t = test_encode(ctx, &spec, (lq_shape){ 1, 64, 64 }, x, NULL);
        lq_convert_opts o;
        totals sum = { 0 }, dry = { 0 };
        double sq = 0, err = 0;
        lq_convert_opts_init(&o);
        o.spec = &spec;
        o.replace = 1;
        o.report = add;
        o.user = &sum;
        assert_int_equal(lq_convert(ctx, in, out, &o, NULL), LQ_OK);
        lq_tensor_decode(t, LQ_F32, y);
        for (int i = 0; i < 64 * 64; i++) {
            sq += (double)x[i] * (double)x[i];
            err += ((double)y[i] - (double)x[i]) * ((double)y[i] - (double)x[i]);
        }
        assert_true(sum.sum_sq == sq && sum.sum_err == err && err > 0);
        assert_int_equal(sum.encoded, 2);
        assert_int_equal(sum.sums, 3);
        unlink(out);
        o.user = &dry;
        o.dry_run = 1;
        assert_int_equal(lq_convert(ctx, in, out, &o, NULL), LQ_OK);
        assert_int_equal(dry.calls, 3);
        assert_int_equal(folder_count(f.path), 1);
        lq_tensor_destroy(t);
    }
    free(x);
    folder_clear(f.path, 1);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------------- verify */

static void count_bad(void *user, const lq_finding *finding)
{
    *(int *)user += finding->status == LQ_ERR_CORRUPT;
}

static void verify(void **state)
{
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_spec spec = test_spec("int8:ch");
    lq_convert_opts o = convert_opts(&spec);
    uint64_t bad = 9;
    int corrupt = 0;
    size_t bytes;
    char *data;

    (void)state;
    make(ctx);
    strcpy(out, folder_path(&f, "out.safetensors"));
    assert_int_equal(lq_convert(ctx, in, out, &o, NULL), LQ_OK);
    assert_int_equal(lq_verify(ctx, out, NULL, count_bad, &corrupt, &bad, NULL), LQ_OK);
    assert_int_equal(bad, 0);
    data = slurp(out, &bytes);
    data[bytes - 1] ^= 1;
    folder_put(&f, "out.safetensors", data, bytes);
    free(data);
    assert_int_equal(lq_verify(ctx, out, NULL, count_bad, &corrupt, &bad, NULL), LQ_OK);
    assert_int_equal(bad, 1);
    assert_int_equal(corrupt, 1);
    folder_clear(f.path, 1);
    lq_ctx_destroy(ctx);
}

/* ------------------------------------------------------------------- config */

static void config(void **state)
{
    static const char json[] = "{\"zeta\": 1, \"alpha\": [2], \"quantization_config\": "
                               "{\"quant_method\": \"none\"}, \"model_type\": \"toy\"}";
    lq_ctx *ctx = test_ctx(LQ_LEVEL_REF, 1);
    lq_spec spec = test_spec("int8:ch"), f32 = test_spec("f32");
    lq_convert_opts o = convert_opts(&spec);
    char *text, *a, *b, *c;

    (void)state;
    folder_make(&f);
    strcpy(in, folder_path(&f, "model"));
    strcpy(out, folder_path(&f, "out"));
    made_write(ctx, in, LQ_CONTAINER_DIRECTORY, json, sources, COUNT(sources));
    folder_text(&f, "model/tokenizer.json", "{}");
    folder_text(&f, "model/notes.bin", "not wanted");
    assert_int_equal(lq_convert(ctx, in, out, &o, NULL), LQ_OK);
    text = slurp(folder_path(&f, "out/config.json"), NULL);
    a = strstr(text, "\"zeta\"");
    b = strstr(text, "\"alpha\"");
    c = strstr(text, "\"model_type\"");
    assert_true(a && b && c && a < b && b < c);
    assert_non_null(strstr(text, "compressed-tensors"));
    free(text);
    assert_int_equal(access(folder_path(&f, "out/tokenizer.json"), R_OK), 0);
    assert_int_not_equal(access(folder_path(&f, "out/notes.bin"), R_OK), 0);
    /* through a single file, which has no config.json */
    strcpy(out, folder_path(&f, "one.safetensors"));
    assert_int_equal(lq_convert(ctx, in, out, &o, NULL), LQ_OK);
    lq_convert_opts_init(&o);
    o.spec = &f32;
    o.dequantize = 1;
    strcpy(in, out);
    strcpy(out, folder_path(&f, "back"));
    assert_int_equal(lq_convert(ctx, in, out, &o, NULL), LQ_OK);
    text = slurp(folder_path(&f, "back/config.json"), NULL);
    assert_null(strstr(text, "quantization_config"));
    assert_non_null(strstr(text, "\"toy\""));
    free(text);
    folder_clear(f.path, 1);
    lq_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel), cmocka_unit_test(no_memory), cmocka_unit_test(refusals),
        cmocka_unit_test(reports), cmocka_unit_test(verify), cmocka_unit_test(config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
