/* SPDX-License-Identifier: MIT */
/*
 * tests/convert/splits.c - GGUF models in several files
 */
#include "tests/convert/util.h"

static lq_ctx *ctx;
static folder f;

static int setup(void **state)
{
    (void)state;
    ctx = test_ctx(LQ_LEVEL_REF, 1);
    folder_make(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lq_ctx_destroy(ctx);
    folder_clear(f.path, 1);
    return 0;
}

/* One part: a tensor of 4 numbers, 'value' each. */
static void part(const char *file, uint16_t no, uint16_t count, int32_t total, const char *name,
                 float value)
{
    float data[4] = { value, value, value, value };
    uint64_t dims[1] = { 4 }, index;
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_writer *w = NULL;

    opts.replace = 1;
    opts.checksums = -1;
    assert_int_equal(lq_writer_create(ctx, folder_path(&f, file), LQ_CONTAINER_GGUF, &opts, &w,
                                      NULL), LQ_OK);
    lq_writer_meta(w, "split.no", LQ_META_U16, 0, &no, 1);
    lq_writer_meta(w, "split.count", LQ_META_U16, 0, &count, 1);
    lq_writer_meta(w, "split.tensors.count", LQ_META_I32, 0, &total, 1);
    assert_int_equal(lq_writer_tensor(w, name, LQ_F32, 0, 1, dims, &index), LQ_OK);
    assert_int_equal(lq_writer_begin(w, NULL), LQ_OK);
    assert_int_equal(lq_writer_write(w, index, 0, data, sizeof data, NULL), LQ_OK);
    assert_int_equal(lq_writer_finish(w, NULL), LQ_OK);
    lq_writer_destroy(w);
}

static void whole(void)
{
    part("m-00001-of-00003.gguf", 0, 3, 3, "a", 1);
    part("m-00002-of-00003.gguf", 1, 3, 3, "b", 2);
    part("m-00003-of-00003.gguf", 2, 3, 3, "c", 3);
}

static void all_parts(void **state)
{
    static const char *const names[] = { "a", "b", "c" };
    lq_checkpoint *cp;

    (void)state;
    whole();
    cp = open_checkpoint(ctx, folder_path(&f, "m-00001-of-00003.gguf"));
    assert_int_equal(lq_checkpoint_count(cp), 3);
    for (int i = 0; i < 3; i++) {
        lq_weight w;
        float *y = decode_weight(cp, names[i], &w);
        assert_true(y[3] == (float)(i + 1));
        free(y);
    }
    lq_checkpoint_destroy(cp);
}

static void expect(const char *file, lq_status status, const char *names)
{
    lq_error error = LQ_ERROR_INIT;
    lq_checkpoint *cp = NULL;
    lq_status st = lq_checkpoint_open(ctx, folder_path(&f, file), NULL, &cp, &error);

    if (st != status || (names && !strstr(error.message, names)))
        fail_msg("%s: %s", lq_status_name(st), error.message);
    lq_checkpoint_destroy(cp);
}

static void refused(void **state)
{
    (void)state;
    whole();
    expect("m-00002-of-00003.gguf", LQ_ERR_MISMATCH, "first part");
    part("m-00002-of-00003.gguf", 2, 3, 3, "b", 2);
    expect("m-00001-of-00003.gguf", LQ_ERR_MISMATCH, "m-00002-of-00003.gguf");
    part("m-00002-of-00003.gguf", 1, 3, 4, "b", 2);
    expect("m-00001-of-00003.gguf", LQ_ERR_MISMATCH, "another model");
    part("m-00002-of-00003.gguf", 1, 3, 3, "a", 2);
    expect("m-00001-of-00003.gguf", LQ_ERR_DUPLICATE, NULL);
    unlink(folder_path(&f, "m-00002-of-00003.gguf"));
    expect("m-00001-of-00003.gguf", LQ_ERR_MISMATCH, "missing");
    part("other.gguf", 0, 3, 3, "a", 1);
    expect("other.gguf", LQ_ERR_MISMATCH, "named");
    part("one-00001-of-00002.gguf", 0, 2, 5, "a", 1);
    part("one-00002-of-00002.gguf", 1, 2, 5, "b", 1);
    expect("one-00001-of-00002.gguf", LQ_ERR_MISMATCH, "split.tensors.count");
}

/* -------------------------------------------------------------------- writing */

static const made sources[] = {
    { "a.weight", LQ_F32, 2, { 32, 64 }, NULL },   { "b.weight", LQ_F32, 2, { 64, 32 }, NULL },
    { "c.weight", LQ_F32, 2, { 8, 128 }, NULL },   { "d.weight", LQ_F32, 2, { 16, 96 }, NULL },
    { "e.bias", LQ_F32, 1, { 7 }, NULL },
};

static const made others[] = { { "a.weight", LQ_F32, 2, { 32, 64 }, NULL },
    { "b.weight", LQ_F32, 2, { 64, 32 }, NULL },   { "c.weight", LQ_F32, 2, { 8, 128 }, NULL },
    { "x.weight", LQ_F32, 2, { 16, 96 }, NULL },   { "e.bias", LQ_F32, 1, { 7 }, NULL },
};

static lq_status split(const char *in, const char *out, uint64_t bytes, uint64_t tensors,
                       int replace)
{
    lq_spec spec = test_spec("q8_0");
    lq_error error = LQ_ERROR_INIT;
    lq_convert_opts o = convert_opts(&spec);
    char path[512];

    o.shard_bytes = bytes;
    o.shard_tensors = tensors;
    o.replace = replace;
    strcpy(path, folder_path(&f, in));
    return lq_convert(ctx, path, folder_path(&f, out), &o, &error);
}

static void same(const char *a, const char *b)
{
    lq_checkpoint *x = open_checkpoint(ctx, folder_path(&f, a));
    lq_checkpoint *y = open_checkpoint(ctx, folder_path(&f, b));

    assert_int_equal(lq_checkpoint_count(x), lq_checkpoint_count(y));
    for (size_t i = 0; i < COUNT(sources); i++) {
        lq_weight w, v;
        float *p = decode_weight(x, sources[i].name, &w), *q = decode_weight(y, sources[i].name, &v);
        assert_memory_equal(p, q, (size_t)(4 * made_count(&sources[i])));
        free(p);
        free(q);
    }
    lq_checkpoint_destroy(x);
    lq_checkpoint_destroy(y);
}

static void sound(const char *file)
{
    uint64_t bad = 9;

    assert_int_equal(lq_verify(ctx, folder_path(&f, file), NULL, NULL, NULL, &bad, NULL), LQ_OK);
    assert_int_equal(bad, 0);
}

static uint64_t keys_of(const char *name)
{
    lq_file *file = NULL;
    uint64_t n;

    assert_int_equal(lq_file_open(ctx, folder_path(&f, name), NULL, &file, NULL), LQ_OK);
    n = lq_file_meta_count(file);
    lq_file_close(file);
    return n;
}

static void written(void **state)
{
    (void)state;
    made_write(ctx, folder_path(&f, "in.safetensors"), LQ_CONTAINER_SAFETENSORS, NULL, sources,
               COUNT(sources));
    assert_int_equal(split("in.safetensors", "u.gguf", 0, 0, 0), LQ_OK);
    assert_int_equal(split("in.safetensors", "w.gguf", 0, 2, 0), LQ_OK);
    same("u.gguf", "w-00001-of-00003.gguf");
    sound("w-00001-of-00003.gguf");
    assert_int_equal(keys_of("w-00002-of-00003.gguf"), 5);  /* split.*, lq.split, lq.xxh3 */
    assert_int_not_equal(access(folder_path(&f, "w.gguf"), F_OK), 0);
    assert_int_equal(split("in.safetensors", "w.gguf", 0, 2, 0), LQ_ERR_EXISTS);
    assert_int_equal(split("in.safetensors", "w.gguf", 0, 2, 1), LQ_OK);
    same("u.gguf", "w-00001-of-00003.gguf");
    assert_int_equal(split("in.safetensors", "v.gguf", 1, 0, 0), LQ_OK);
    same("u.gguf", "v-00001-of-00005.gguf");
    sound("v-00001-of-00005.gguf");
    /* all in one: an ordinary file, byte for byte */
    assert_int_equal(split("in.safetensors", "one.gguf", 1 << 20, 9, 0), LQ_OK);
    same("u.gguf", "one.gguf");
    assert_int_equal(keys_of("one.gguf"), keys_of("u.gguf"));
    /* and from a set to a single file again */
    assert_int_equal(split("v-00001-of-00005.gguf", "again.gguf", 0, 0, 0), LQ_OK);
    same("u.gguf", "again.gguf");
    assert_int_equal(keys_of("again.gguf"), keys_of("u.gguf"));
}

/* A file of another set of the same shape does not pass for one of this. */
static void mixed(void **state)
{
    size_t bytes;
    void *data;

    (void)state;
    made_write(ctx, folder_path(&f, "other.safetensors"), LQ_CONTAINER_SAFETENSORS, NULL,
               others, COUNT(others));
    assert_int_equal(split("other.safetensors", "x.gguf", 0, 3, 0), LQ_OK);
    assert_int_equal(split("in.safetensors", "y.gguf", 0, 3, 0), LQ_OK);
    data = slurp(folder_path(&f, "x-00002-of-00002.gguf"), &bytes);
    folder_put(&f, "y-00002-of-00002.gguf", data, bytes);
    free(data);
    expect("y-00001-of-00002.gguf", LQ_ERR_MISMATCH, "another time");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts), cmocka_unit_test(refused), cmocka_unit_test(written),
        cmocka_unit_test(mixed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
