/* SPDX-License-Identifier: MIT */
/* tests/file/safetensors_bad.c - headers that must be refused, and how */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/file/parse.h"

static unsigned checked;

static void expect(const char *header, uint64_t header_bytes, uint64_t data_bytes, int strict,
                   lq_status wanted, const char *name)
{
    lq_error error = LQ_ERROR_INIT;
    lq_status status = try_header(header, header_bytes, data_bytes, strict, &error);
    if (status != wanted)
        print_error("%.300s (%llu bytes of data): %s\n", header,
                    (unsigned long long)data_bytes, error.message);
    assert_string_equal(lq_status_name(status), lq_status_name(wanted));
    assert_int_equal(error.status, wanted);
    checked++;
    if (wanted == LQ_OK)
        return;
    assert_true(error.offset != LQ_NO_OFFSET);
    assert_true(error.offset <= 8 + header_bytes + data_bytes);
    assert_true(error.message[0] != '\0');
    if (name)
        assert_string_equal(error.name, name);
}

static void expect_text(const char *header, uint64_t data_bytes, lq_status wanted,
                        const char *name)
{
    expect(header, strlen(header), data_bytes, 0, wanted, name);
    expect(header, strlen(header), data_bytes, 1, wanted, name);
}

/* 'pattern' with '$' replaced by 'piece'. */
static void expect_piece(const char *pattern, const char *piece, uint64_t data_bytes,
                         lq_status wanted, const char *name)
{
    char header[4096];
    const char *hole = strchr(pattern, '$');
    snprintf(header, sizeof header, "%.*s%s%s", (int)(hole - pattern), pattern, piece,
             hole + 1);
    expect_text(header, data_bytes, wanted, name);
}

#define ENTRY(dtype, shape, begin, end) \
    "{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

/* S9: numbers that are not plain 64-bit integers, at every place for one. */
static void numbers(void **state)
{
    static const char *const bad[] = {
        "1e0", "1E0", "1.0", "0.0", "-1", "-0", "01", "00", "18446744073709551616",
        "99999999999999999999", "100000000000000000000000000", "\"4\"", "\"\"", "null",
        "true", "false", "[4]", "[]", "{}", "{\"a\":4}", "NaN", "Infinity", "-Infinity",
        "+4", "0x4", "4_0", "4L", ".4", "4.", "4e", "4e+", "-", "", "4 4", "'4'", "4/**/",
        "nul", "tru", "4,", ",4", "\\u0034"
    };
    static const char *const places[] = {
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[$],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,$],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[$,1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[$,4]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,$]}}",
    };
    (void)state;
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            if (p == 0 && bad[i][0] == '\0')
                expect_piece(places[p], bad[i], 4, LQ_ERR_MISMATCH, "a"); /* a scalar */
            else
                expect_piece(places[p], bad[i], 4, LQ_ERR_FORMAT, "a");
        }
    }
    for (size_t p = 0; p < 3; p++)
        expect_piece(places[p], "4", 4, LQ_OK, "a");
    expect_piece(places[3], "0", 4, LQ_OK, "a");
    expect_piece(places[4], "4", 4, LQ_OK, "a");
}

/* S7, S8, S9, S20: broken syntax around a tensor that is fine. */
static void syntax(void **state)
{
    static const char *const bad[] = {
        "", " ", "[", "]", "{", "[]", "null", "\"\"", "1", "{}x", " {}", "\xef\xbb\xbf{}",
        "\n{}", "{}{}", "{} {}", "{},", "{}]", "{}}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}",
        "{'a':1}", "{a:1}", "{1:1}", "{\"a\":{}", "{\"a\":{},}", "{//\n}", "{/**/}", "{}#",
        "{\"a\":{}}", "{\"a\":[]}", "{\"a\":1}", "{\"a\":null}", "{\"a\":\"x\"}",
        "{\"a\":{\"dtype\"}}", "{\"a\":{\"dtype\":}}", "{\"a\":{\"dtype\":\"U8\",}}",
        "{\"a\":{\"dtype\":\"U8\" \"shape\":[]}}", "{\"a\":{\"dtype\":\"U8\"}",
        "{\"a\":{\"dtype\":U8}}", "{\"a\":{\"dtype\":\"U8}}", "{\"a\n\":1}", "{\"a\t\":1}",
        "{\"a\\x\":1}", "{\"\\\":1}", "{\"\\u12\":1}", "{\"\\u12g4\":1}", "{\"\\U0041\":1}",
        "{\"\\ud800\":1}", "{\"\\udc00\":1}", "{\"\\ud800\\ud800\":1}", "{\"\\ud800x\":1}",
        "{\"\\ud800\\u0041\":1}", "{\"\\udc00\\ud800\":1}", "{\"\\u0000\":1}",
        "{\"a\\u0000b\":1}", "{\"\x80\":1}", "{\"\xc0\x80\":1}", "{\"\xc3\":1}",
        "{\"\xed\xa0\x80\":1}", "{\"\xf4\x90\x80\x80\":1}", "{\"\xff\":1}",
        "{\"\xe2\x82\":1}", "{\"\xf8\x88\x80\x80\x80\":1}", "{\"a\":tru}", "{\"a\":nan}",
        "{\"a\":{\"shape\":[1,]}}", "{\"a\":{\"shape\":[,1]}}", "{\"a\":{\"shape\":[1 1]}}",
        "{\"a\":{\"shape\":[1}}", "{\"a\":{\"shape\":1]}}", "{\"a\":{\"shape\":{}}}",
        "{\"a\":{\"shape\":\"[1]\"}}", "{\"a\":{\"data_offsets\":0}}",
        "{\"a\":{\"data_offsets\":{\"0\":0}}}", "{\"__metadata__\":[]}",
        "{\"__metadata__\":null}", "{\"__metadata__\":\"\"}", "{\"__metadata__\":1}",
        "{\"__metadata__\":{\"k\":1}}", "{\"__metadata__\":{\"k\":null}}",
        "{\"__metadata__\":{\"k\":{}}}", "{\"__metadata__\":{\"k\":[\"v\"]}}",
        "{\"__metadata__\":{\"k\":\"v\",}}", "{\"__metadata__\":{\"k\"}}",
        "{\"__metadata__\":{\"k\":\"\\u0000\"}}", "{\"__metadata__\":{\"k\":\"\xff\"}}",
        "{\"__metadata__\":{\"k\":\"\\ud800\"}}", "{\"__metadata__\":{\"k\":\"v\""
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_text(bad[i], 0, LQ_ERR_FORMAT, NULL);
    expect("{}\0", 3, 0, 0, LQ_ERR_FORMAT, NULL);
    expect("{\"a\0b\":1}", 9, 0, 0, LQ_ERR_FORMAT, NULL);
    expect_text("{}", 0, LQ_OK, NULL);
    expect_text("{}      ", 0, LQ_OK, NULL);
    expect("{}\n", 3, 0, 0, LQ_OK, NULL);          /* the text allows blanks only */
    expect("{}\n", 3, 0, 1, LQ_ERR_FORMAT, NULL);
    expect("{ }\t ", 5, 0, 1, LQ_ERR_FORMAT, NULL);
}

/* S10: nesting. */
static void depth(void **state)
{
    enum { LEVELS = 1000000 };
    static const char head[] = "{\"a\":{\"x\":";
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *unit = i ? "{\"k\":" : "[";
        size_t bytes = strlen(unit), n = sizeof head - 1;
        char *text = malloc(n + LEVELS * bytes);
        assert_non_null(text);
        memcpy(text, head, n);
        for (int level = 0; level < LEVELS; level++, n += bytes)
            memcpy(text + n, unit, bytes);
        expect(text, n, 0, 0, LQ_ERR_LIMIT, "a");
        free(text);
    }
}

static void dtypes(void **state)
{
    static const char *const bad[] = {
        "F4", "F6_E2M3", "F6_E3M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64", "C128", "f32",
        "float32", "F32 ", " F32", "", "F", "F322", "F128", "I4", "U4", "INT8", "BF16\\n",
        "Bool", "\\u00e9", "a dtype whose name is longer than all of ours together"
    };
    static const char pattern[] =
        "{\"a\":{\"dtype\":\"$\",\"shape\":[4],\"data_offsets\":[0,4]}}";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_piece(pattern, bad[i], 4, LQ_ERR_UNSUPPORTED, "a");
    expect_piece(pattern, "\\u0055\\u0038", 4, LQ_OK, NULL);
    lq_error error = LQ_ERROR_INIT;
    const char *header = "{\"w.x\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]}}";
    assert_int_equal(try_header(header, strlen(header), 1, 0, &error), LQ_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "F4"));
    assert_non_null(strstr(error.message, "w.x"));
}

/* S11 to S18, S22, S23. */
static void tensors(void **state)
{
    static const struct {
        const char *header;
        uint64_t    data;
        lq_status   status;
        const char *name;
    } cases[] = {
        { "{\"a\":" ENTRY("U8", "1", "0", "1") ",\"a\":" ENTRY("U8", "1", "1", "2") "}", 2,
          LQ_ERR_DUPLICATE, "a" },
        { "{\"a\":" ENTRY("U8", "1", "0", "1") ",\"\\u0061\":" ENTRY("U8", "1", "1", "2") "}",
          2, LQ_ERR_DUPLICATE, "a" },
        { "{\"a\":" ENTRY("U8", "0", "0", "0") ",\"b\":" ENTRY("U8", "0", "0", "0")
          ",\"a\":" ENTRY("U8", "0", "0", "0") "}", 0, LQ_ERR_DUPLICATE, "a" },
        { "{\"__metadata__\":{},\"__metadata__\":{}}", 0, LQ_ERR_DUPLICATE, "__metadata__" },
        { "{\"__metadata__\":{},\"\\u005f_metadata__\":{}}", 0, LQ_ERR_DUPLICATE,
          "__metadata__" },
        { "{\"__metadata__\":{\"k\":\"1\",\"k\":\"1\"}}", 0, LQ_ERR_DUPLICATE, "k" },
        { "{\"__metadata__\":{\"k\":\"1\",\"\\u006b\":\"2\"}}", 0, LQ_ERR_DUPLICATE, "k" },
        { "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
          LQ_ERR_DUPLICATE, "a" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
          LQ_ERR_DUPLICATE, "a" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],"
          "\"data\\u005foffsets\":[0,1]}}", 1, LQ_ERR_DUPLICATE, "a" },
        { "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, LQ_ERR_FORMAT, "a" },
        { "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, LQ_ERR_FORMAT, "a" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, LQ_ERR_FORMAT, "a" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[]}}", 1, LQ_ERR_FORMAT,
          "a" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, LQ_ERR_FORMAT,
          "a" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1, LQ_ERR_FORMAT,
          "a" },
        { "{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, LQ_ERR_FORMAT, "a" },
        { "{\"a\":{\"dtype\":null,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, LQ_ERR_FORMAT,
          "a" },
        { "{\"a\":" ENTRY("U8", "1", "1", "0") "}", 1, LQ_ERR_CORRUPT, "a" },
        { "{\"a\":" ENTRY("F32", "1", "0", "3") "}", 3, LQ_ERR_MISMATCH, "a" },
        { "{\"a\":" ENTRY("F32", "1", "0", "5") "}", 5, LQ_ERR_MISMATCH, "a" },
        { "{\"a\":" ENTRY("F32", "", "0", "0") "}", 0, LQ_ERR_MISMATCH, "a" },
        { "{\"a\":" ENTRY("F32", "0", "0", "4") "}", 4, LQ_ERR_MISMATCH, "a" },
        { "{\"a\":" ENTRY("F32", "1", "0", "4") "}", 3, LQ_ERR_TRUNCATED, "a" },
        { "{\"a\":" ENTRY("F32", "1", "0", "4") "}", 0, LQ_ERR_TRUNCATED, "a" },
        { "{\"a\":" ENTRY("F32", "1", "18446744073709551608", "18446744073709551612") "}", 4,
          LQ_ERR_TRUNCATED, "a" },
        { "{\"a\":" ENTRY("U8", "4294967296,4294967296", "0", "0") "}", 0, LQ_ERR_OVERFLOW,
          "a" },
        { "{\"a\":" ENTRY("U8", "18446744073709551615,2", "0", "1") "}", 1, LQ_ERR_OVERFLOW,
          "a" },
        { "{\"a\":" ENTRY("F32", "4611686018427387904", "0", "0") "}", 0, LQ_ERR_OVERFLOW,
          "a" },
        { "{\"a\":" ENTRY("F64", "2305843009213693953", "0", "8") "}", 8, LQ_ERR_OVERFLOW,
          "a" },
        { "{\"a\":" ENTRY("U8", "65536,65536,65536,65536", "0", "0") "}", 0, LQ_ERR_OVERFLOW,
          "a" },
        { "{\"a\":" ENTRY("U8", "2", "0", "2") ",\"b\":" ENTRY("U8", "2", "1", "3") "}", 3,
          LQ_ERR_CORRUPT, "b" },
        { "{\"a\":" ENTRY("U8", "2", "0", "2") ",\"b\":" ENTRY("U8", "2", "0", "2") "}", 2,
          LQ_ERR_CORRUPT, "b" },
        { "{\"b\":" ENTRY("U8", "2", "3", "5") ",\"a\":" ENTRY("U8", "2", "0", "2") "}", 5,
          LQ_ERR_CORRUPT, "b" },
        { "{\"a\":" ENTRY("U8", "2", "1", "3") "}", 3, LQ_ERR_CORRUPT, "a" },
        { "{\"a\":" ENTRY("U8", "4", "0", "4") ",\"b\":" ENTRY("U8", "0", "2", "2") "}", 4,
          LQ_ERR_CORRUPT, "b" },
        { "{\"a\":" ENTRY("U8", "2", "0", "2") "}", 3, LQ_ERR_CORRUPT, NULL },
        { "{}", 1, LQ_ERR_CORRUPT, NULL },
        { "{\"__metadata__\":{}}", 1, LQ_ERR_CORRUPT, NULL },
        { "{\"a\":" ENTRY("U8", "1,1,1,1,1,1,1,1,1", "0", "1") "}", 1, LQ_ERR_LIMIT, "a" },
        { "{\"a\":" ENTRY("U8", "1,1,1,1,1,1,1,1", "0", "1") "}", 1, LQ_OK, NULL },
        { "{\"a\":" ENTRY("F64", "", "0", "8") "}", 8, LQ_OK, NULL },
        { "{\"a\":" ENTRY("U8", "0", "0", "0") ",\"b\":" ENTRY("U8", "3,0", "0", "0") "}", 0,
          LQ_OK, NULL },
        { "{\"b\":" ENTRY("U8", "4", "2", "6") ",\"c\":" ENTRY("U8", "0", "2", "2") ",\"a\":"
          ENTRY("U8", "2", "0", "2") ",\"d\":" ENTRY("U8", "0", "6", "6") "}", 6, LQ_OK, NULL },
        { "{\"\":" ENTRY("U8", "1", "0", "1") "}", 1, LQ_OK, NULL },
        { "{\"../../etc/x\\n\":" ENTRY("U8", "1", "0", "1") "}", 1, LQ_OK, NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_text(cases[i].header, cases[i].data, cases[i].status, cases[i].name);
}

/* S13: unknown members pass, except under strict. */
static void unknown_members(void **state)
{
    static const char *const extra[] = {
        "1", "\"x\"", "null", "true", "[]", "{}", "[1,[2,{\"a\":[]}],-1.5e3]",
        "{\"dtype\":\"F32\",\"dtype\":1}"
    };
    static const char pattern[] =
        "{\"a\":{\"dtype\":\"U8\",\"more\":%s,\"shape\":[1],\"data_offsets\":[0,1]}}";
    char header[512];
    (void)state;
    for (size_t i = 0; i < sizeof extra / sizeof *extra; i++) {
        int n = snprintf(header, sizeof header, pattern, extra[i]);
        expect(header, (uint64_t)n, 1, 0, LQ_OK, NULL);
        expect(header, (uint64_t)n, 1, 1, LQ_ERR_FORMAT, "a");
    }
}

static const char good[] =
    "{\"__metadata__\":{\"format\":\"pt\",\"k\\u00e9\":\"v\\n\"},"
    "\"a.weight\":" ENTRY("F32", "2,3", "0", "24") ","
    "\"\\ud83d\\ude00\":" ENTRY("BF16", "", "24", "26") ","
    "\"c\":{\"data_offsets\":[26,29],\"shape\":[3],\"dtype\":\"I8\"}}  ";

/* S9: the header text cut at every byte, with a length that fits. */
static void cut_header(void **state)
{
    size_t n = strlen(good) - 2;
    (void)state;
    expect_text(good, 29, LQ_OK, NULL);
    for (size_t i = 0; i < n; i++)
        expect(good, i, 29, 0, LQ_ERR_FORMAT, NULL);
}

/* S1, S3 and data that is missing: the file cut at every byte. */
static void cut_file(void **state)
{
    uint64_t bytes;
    uint8_t *data = image(good, strlen(good), 29, &bytes);
    (void)state;
    for (uint64_t i = 0; i < bytes; i++) {
        lq_error error = LQ_ERROR_INIT;
        uint8_t *part = malloc((size_t)i + 1);     /* its own block: overruns are seen */
        assert_non_null(part);
        memcpy(part, data, (size_t)i);
        assert_int_equal(try_image(part, i, 0, &error), LQ_ERR_TRUNCATED);
        assert_true(error.offset != LQ_NO_OFFSET);
        free(part);
    }
    free(data);
}

/* S2, S4, S5: the length field. */
static void length(void **state)
{
    static const struct { uint64_t length; lq_status status; } cases[] = {
        { 0, LQ_ERR_FORMAT }, { 1, LQ_ERR_FORMAT }, { 25, LQ_ERR_TRUNCATED },
        { (uint64_t)100 << 20, LQ_ERR_TRUNCATED }, { ((uint64_t)100 << 20) + 1, LQ_ERR_LIMIT },
        { UINT64_MAX, LQ_ERR_LIMIT }, { UINT64_MAX - 7, LQ_ERR_LIMIT },
        { (uint64_t)1 << 63, LQ_ERR_LIMIT }, { 24, LQ_OK }
    };
    uint8_t data[32];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lq_error error = LQ_ERROR_INIT;
        memset(data, ' ', sizeof data);
        memcpy(data + 8, "{}", 2);
        lqi_store64(data, cases[i].length);
        assert_int_equal(try_image(data, sizeof data, 0, &error), cases[i].status);
        assert_true(error.offset != LQ_NO_OFFSET || cases[i].status == LQ_OK);
    }
}

/* S24: what a name contains is printed escaped. */
static void escaped_name(void **state)
{
    lq_error error = LQ_ERROR_INIT;
    const char *header = "{\"a\\u001b[2J\\n\":{}}";
    (void)state;
    assert_int_equal(try_header(header, strlen(header), 0, 0, &error), LQ_ERR_FORMAT);
    assert_null(strchr(error.message, 0x1b));
    assert_null(strchr(error.message, '\n'));
}

static int count_cases(void **state)
{
    (void)state;
    print_message("%u headers checked\n", checked);
    return checked > 500 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers), cmocka_unit_test(syntax), cmocka_unit_test(depth),
        cmocka_unit_test(dtypes), cmocka_unit_test(tensors),
        cmocka_unit_test(unknown_members), cmocka_unit_test(cut_header),
        cmocka_unit_test(cut_file), cmocka_unit_test(length), cmocka_unit_test(escaped_name),
    };
    return cmocka_run_group_tests(tests, NULL, count_cases);
}
