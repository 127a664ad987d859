/* SPDX-License-Identifier: MIT */
/* tests/file/directory_read.c - checkpoint directories, good and bad */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/file/folder.h"
#include "tests/file/parse.h"

#include "lib/file/index_json.h"
#include "libquant/libquant.h"

static folder here;
static lq_ctx *ctx;

/* A shard of tensors of 4 bytes each, names separated by blanks. */
static void put_shard(const char *file, const char *names)
{
    char text[256], header[1024] = "{\"__metadata__\":{\"format\":\"pt\"}";
    unsigned at = 0;
    uint64_t bytes;
    strcpy(text, names);
    for (char *name = strtok(text, " "); name; name = strtok(NULL, " "), at += 4)
        sprintf(header + strlen(header),
                ",\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%u,%u]}", name, at,
                at + 4);
    strcat(header, "}");
    uint8_t *data = image(header, strlen(header), at, &bytes);
    for (uint64_t i = 0; i < at; i++)
        data[bytes - at + i] = (uint8_t)(file[0] + i);
    folder_put(&here, file, data, (size_t)bytes);
    free(data);
}

static lq_status open_here(int strict, lq_file **file, lq_error *error)
{
    lq_file_opts opts = LQ_FILE_OPTS_INIT;
    opts.strict = strict;
    lq_error_init(error);
    return lq_file_open(ctx, here.path, &opts, file, error);
}

/* Opening fails with this status; the error names a file or tensor like this. */
static void expect(int strict, lq_status wanted, const char *file_part, const char *name)
{
    lq_file *file = NULL;
    lq_error error;
    lq_status status = open_here(strict, &file, &error);
    if (status != wanted)
        print_error("%s\n", error.message);
    assert_string_equal(lq_status_name(status), lq_status_name(wanted));
    if (status == LQ_OK) {
        lq_file_close(file);
        return;
    }
    assert_null(file);
    assert_int_equal(error.status, wanted);
    if (file_part && !strstr(error.message, file_part))
        print_error("%s\n", error.message);
    assert_true(!file_part || strstr(error.message, file_part));
    if (name)
        assert_string_equal(error.name, name);
}

static int clean(void **state)
{
    (void)state;
    folder_clear(here.path, 0);
    return 0;
}

#define INDEX_OF(map) "{\"metadata\":{\"total_size\":12},\"weight_map\":{" map "}}"
#define MAP "\"a\":\"s2\",\"b\":\"s1\",\"c\":\"s1\""

static void put_two_shards(void)
{
    put_shard("s1", "b c");
    put_shard("s2", "a");
    folder_text(&here, LQI_INDEX_FILE, INDEX_OF(MAP));
}

static void indexed(void **state)
{
    lq_file *file = NULL;
    lq_error error;
    lq_file_tensor t = LQ_FILE_TENSOR_INIT;
    uint64_t index, bytes;
    uint8_t data[4];
    (void)state;
    put_two_shards();
    folder_text(&here, "config.json", " {\"a\": [1, 2]}\n");
    assert_int_equal(open_here(1, &file, &error), LQ_OK);
    assert_int_equal(lq_file_container(file), LQ_CONTAINER_DIRECTORY);
    assert_int_equal(lq_file_tensor_count(file), 3);
    assert_int_equal(lq_file_meta_count(file), 1);
    assert_int_equal(lq_file_tensor_find(file, "a", &index), LQ_OK);
    assert_int_equal(index, 2);                 /* shards are in the order of names */
    assert_int_equal(lq_file_tensor_at(file, index, &t), LQ_OK);
    assert_string_equal(t.file, folder_path(&here, "s2"));
    assert_int_equal(lq_file_read(file, 1, 0, data, 4, &error), LQ_OK);
    assert_int_equal(data[0], 's' + 4);
    assert_string_equal(lq_file_config(file, &bytes), " {\"a\": [1, 2]}\n");
    assert_int_equal(bytes, 15);
    lq_file_close(file);
}

static void single(void **state)
{
    (void)state;
    put_shard("other.safetensors", "a");
    expect(1, LQ_OK, NULL, NULL);               /* the only one, whatever its name */
    put_shard("third.safetensors", "a");
    expect(0, LQ_ERR_NOTFOUND, "2 *.safetensors files", NULL);
    put_shard("model.safetensors", "x y");
    lq_file *file = NULL;
    lq_error error;
    assert_int_equal(open_here(1, &file, &error), LQ_OK);
    assert_int_equal(lq_file_tensor_count(file), 2);
    assert_null(lq_file_config(file, NULL));
    lq_file_close(file);
    put_two_shards();                           /* the index has precedence */
    assert_int_equal(open_here(1, &file, &error), LQ_OK);
    assert_int_equal(lq_file_tensor_count(file), 3);
    lq_file_close(file);
}

static void nothing(void **state)
{
    (void)state;
    expect(0, LQ_ERR_NOTFOUND, "no weights", NULL);
    put_shard(".hidden.safetensors", "a");
    put_shard("model.safetensors.bak", "a");
    put_shard(".safetensors", "a");
    expect(0, LQ_ERR_NOTFOUND, "no weights", NULL);
    assert_int_equal(mkdir(folder_path(&here, "model.safetensors"), 0700), 0);
    expect(0, LQ_ERR_IO, "model.safetensors", NULL);
}

/* S26: an index that does not fit its shards. */
static void contradictions(void **state)
{
    (void)state;
    put_two_shards();
    expect(1, LQ_OK, NULL, NULL);
    folder_text(&here, LQI_INDEX_FILE, INDEX_OF("\"a\":\"s1\",\"b\":\"s1\",\"c\":\"s2\""));
    expect(0, LQ_ERR_MISMATCH, "listed in", NULL);
    folder_text(&here, LQI_INDEX_FILE, INDEX_OF(MAP ",\"d\":\"s1\""));
    expect(0, LQ_ERR_MISMATCH, "not in s1", "d");
    folder_text(&here, LQI_INDEX_FILE, INDEX_OF(MAP ",\"d\":\"s3\""));
    expect(0, LQ_ERR_NOTFOUND, "s3", NULL);
    folder_text(&here, LQI_INDEX_FILE, INDEX_OF(MAP ",\"b\":\"s1\""));
    expect(0, LQ_ERR_DUPLICATE, LQI_INDEX_FILE, "b");
    folder_text(&here, LQI_INDEX_FILE, INDEX_OF("\"a\":\"s2\",\"b\":\"s1\""));
    expect(0, LQ_OK, NULL, NULL);
    expect(1, LQ_ERR_MISMATCH, "not listed", "c");
    put_shard("s3", "a");                       /* in two shards */
    folder_text(&here, LQI_INDEX_FILE, INDEX_OF(MAP ",\"x\":\"s3\""));
    expect(0, LQ_ERR_DUPLICATE, "s3", "a");
}

static void total_size(void **state)
{
    static const char *const other[] = { "11", "13", "0" };
    static const char *const ignored[] = {
        "12.0", "\"x\"", "null", "-1", "{}", "[12]", "\"13\""
    };
    char text[512];
    (void)state;
    put_two_shards();
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        sprintf(text, "{\"metadata\":{\"total_size\":%s},\"weight_map\":{" MAP "}}", other[i]);
        folder_text(&here, LQI_INDEX_FILE, text);
        expect(0, LQ_OK, NULL, NULL);
        expect(1, LQ_ERR_MISMATCH, "total_size", NULL);
    }
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        sprintf(text, "{\"metadata\":{\"total_size\":%s},\"weight_map\":{" MAP "}}", ignored[i]);
        folder_text(&here, LQI_INDEX_FILE, text);
        expect(1, LQ_OK, NULL, NULL);
    }
    folder_text(&here, LQI_INDEX_FILE, "{\"weight_map\":{" MAP "}}");
    expect(1, LQ_OK, NULL, NULL);
}

/* S26: names of shards that would leave the directory, or are none. */
static void shard_names(void **state)
{
    static const char *const bad[] = {
        "", ".", "..", "../x", "../../x", "/etc/passwd", "x/y", "/", "x/", "./x", "a\\\\b",
        "..\\\\x", "\\u002e\\u002e\\u002fx", "\\/x"
    };
    char text[2048], name[300];
    (void)state;
    put_two_shards();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sprintf(text, "{\"weight_map\":{\"a\":\"%s\"}}", bad[i]);
        folder_text(&here, LQI_INDEX_FILE, text);
        expect(0, LQ_ERR_FORMAT, "plain file name", "a");
    }
    for (int n = 255; n <= 256; n++) {
        memset(name, 'n', sizeof name);
        name[n] = '\0';
        sprintf(text, "{\"weight_map\":{\"a\":\"%s\"}}", name);
        folder_text(&here, LQI_INDEX_FILE, text);
        expect(0, n == 255 ? LQ_ERR_NOTFOUND : LQ_ERR_FORMAT, NULL, NULL);
    }
    folder_text(&here, LQI_INDEX_FILE, "{\"weight_map\":{\"a\":\"s\\u0032\"}}");
    expect(1, LQ_OK, NULL, NULL);
}

static void bad_index(void **state)
{
    static const char *const bad[] = {
        "", " ", "[]", "1", "null", "{", "{}", "{}x", "{\"metadata\":{}}",
        "{\"weight_map\":{}}", "{\"weight_map\":[]}", "{\"weight_map\":null}",
        "{\"weight_map\":{\"a\":1}}", "{\"weight_map\":{\"a\":null}}",
        "{\"weight_map\":{\"a\":[\"s2\"]}}", "{\"weight_map\":{\"a\":{}}}",
        "{\"weight_map\":{\"a\":\"s2\",}}", "{\"weight_map\":{\"a\":\"s2\"}",
        "{\"weight_map\":{\"a\":\"s2\"}}}", "{\"weight_map\":{\"a\":\"s2\\u0000\"}}",
        "{\"weight_map\":{\"\\ud800\":\"s2\"}}",
        "{\"metadata\":1,\"weight_map\":{\"a\":\"s2\"}}",
        "{\"metadata\":[],\"weight_map\":{\"a\":\"s2\"}}",
        "\xef\xbb\xbf{\"weight_map\":{\"a\":\"s2\"}}",
        "{\"weight_map\":{\"a\":\"s2\"},\"more\":}", "{\"weight_map\":{\"a\":\"s2\"},\"x\":01}"
    };
    (void)state;
    put_two_shards();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        folder_text(&here, LQI_INDEX_FILE, bad[i]);
        expect(0, LQ_ERR_FORMAT, LQI_INDEX_FILE, NULL);
    }
    folder_text(&here, LQI_INDEX_FILE,
                "{\"weight_map\":{\"a\":\"s2\"},\"weight_map\":{\"b\":\"s1\"}}");
    expect(0, LQ_ERR_DUPLICATE, LQI_INDEX_FILE, NULL);
    folder_text(&here, LQI_INDEX_FILE, " {\"more\":[{}],\"weight_map\":{\"a\":\"s2\"}}\n");
    expect(1, LQ_OK, NULL, NULL);
}

static void bad_shard(void **state)
{
    (void)state;
    put_two_shards();
    folder_text(&here, "s2", "\2\0\0\0");
    expect(0, LQ_ERR_TRUNCATED, "s2", NULL);
    unlink(folder_path(&here, "s2"));
    assert_int_equal(symlink("s2", folder_path(&here, "s2")), 0);
    expect(0, LQ_ERR_IO, "s2", NULL);           /* a link to itself */
    unlink(folder_path(&here, "s2"));
    assert_int_equal(mkfifo(folder_path(&here, "s2"), 0600), 0);
    expect(0, LQ_ERR_IO, "s2", NULL);
    unlink(folder_path(&here, "s2"));
    put_shard("real", "a");
    assert_int_equal(symlink("real", folder_path(&here, "s2")), 0);
    expect(0, LQ_OK, NULL, NULL);               /* caches consist of links */
}

/* P8. */
static void config(void **state)
{
    static const char *const bad[] = { "", "[]", "1", "{", "{\"a\":}", "{} {}", "{'a':1}" };
    (void)state;
    put_shard("model.safetensors", "a");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        folder_text(&here, "config.json", bad[i]);
        expect(0, LQ_ERR_FORMAT, "config.json", NULL);
    }
    char *large = malloc((1 << 20) + 1);
    assert_non_null(large);
    memset(large, ' ', (1 << 20) + 1);
    memcpy(large, "{}", 2);
    folder_put(&here, "config.json", large, 1 << 20);
    expect(0, LQ_OK, NULL, NULL);
    folder_put(&here, "config.json", large, (1 << 20) + 1);
    expect(0, LQ_ERR_LIMIT, "config.json", NULL);
    free(large);
}

/* Keys that shards repeat must agree only under strict. */
static void shard_metadata(void **state)
{
    static const char text[] =
        "{\"__metadata__\":{\"format\":\"np\",\"own\":\"1\"},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    static const char twice[] =
        "{\"__metadata__\":{\"format\":\"pt\",\"own\":\"1\",\"own\":\"1\"}}";
    lq_file *file = NULL;
    lq_error error;
    uint64_t bytes;
    uint8_t *data = image(text, sizeof text - 1, 0, &bytes);
    (void)state;
    put_two_shards();
    folder_put(&here, "s2", data, (size_t)bytes);
    free(data);
    folder_text(&here, LQI_INDEX_FILE, "{\"weight_map\":{" MAP "}}");
    assert_int_equal(open_here(0, &file, &error), LQ_OK);
    lq_meta meta = LQ_META_INIT;
    const char *value = NULL;
    assert_int_equal(lq_file_meta_count(file), 2);
    assert_int_equal(lq_file_meta_find(file, "format", &meta), LQ_OK);
    assert_int_equal(lq_file_meta_string(file, &meta, 0, &value, &bytes), LQ_OK);
    assert_string_equal(value, "pt");
    lq_file_close(file);
    expect(1, LQ_ERR_MISMATCH, "s2", "format");
    data = image(twice, sizeof twice - 1, 0, &bytes);
    folder_put(&here, "s2", data, (size_t)bytes);
    free(data);
    expect(0, LQ_ERR_DUPLICATE, "s2", "own");
}

static void memory_runs_out(void **state)
{
    lq_status status = LQ_ERR_NOMEM;
    long i = 0;
    (void)state;
    put_two_shards();
    folder_text(&here, "config.json", "{}");
    for (; status == LQ_ERR_NOMEM; i++) {
        counting c = { 0, 0, i };
        lq_file file;
        lq_error error = LQ_ERROR_INIT;
        file_init(&file, &c);
        file.path = here.path;
        status = lqi_directory_read(&file, &error);
        /* The first attempt to open a file is repeated for its message. */
        if (status == LQ_OK && c.made > i)
            status = LQ_ERR_NOMEM;
        file_free(&file);
        assert_int_equal(c.live, 0);
        assert_true(i < 1000);
    }
    assert_int_equal(status, LQ_OK);
    assert_true(i > 10);
}

static int begin(void **state)
{
    (void)state;
    folder_make(&here);
    return lq_ctx_create(NULL, &ctx, NULL) == LQ_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    folder_remove(&here);
    lq_ctx_destroy(ctx);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(indexed), TEST(single), TEST(nothing), TEST(contradictions), TEST(total_size),
        TEST(shard_names), TEST(bad_index), TEST(bad_shard), TEST(config),
        TEST(shard_metadata), TEST(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
