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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts), cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
