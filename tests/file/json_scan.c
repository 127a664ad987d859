/* SPDX-License-Identifier: MIT */
/*
 * tests/file/json_scan.c - our JSON scanner against jansson: both accept the same
 * documents and read the same strings, keys and numbers
 *
 * Differences that are meant: we stop at LQI_JSON_DEPTH levels, take numbers of any size
 * as text where jansson reports an overflow, and refuse NUL bytes everywhere, where
 * jansson passes over one behind a number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/file/json_scan.h"

#define FLAGS (JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL)

static uint32_t seed = 1;

static uint32_t next_random(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % below;
}

/* 1 accepted, 0 refused, -1 too deep. */
static int ours(const char *text, size_t bytes)
{
    lqi_json json;
    lqi_json_token token;
    lqi_json_start(&json, text, bytes);
    do {
        token = lqi_json_next(&json);
    } while (token != LQI_JSON_END && token != LQI_JSON_ERROR);
    assert_int_equal(lqi_json_next(&json), token);
    if (token == LQI_JSON_END)
        return 1;
    assert_non_null(json.problem);
    assert_true(json.start <= bytes);
    return json.status == LQ_ERR_LIMIT ? -1 : 0;
}

/* The same of jansson; -1: too deep or a number out of its range. */
static int theirs(const char *text, size_t bytes)
{
    json_error_t error;
    json_t *value = json_loadb(text, bytes, FLAGS, &error);
    int ok = value != NULL;
    json_decref(value);
    if (ok)
        return 1;
    enum json_error_code code = json_error_code(&error);
    return code == json_error_numeric_overflow || code == json_error_stack_overflow ? -1 : 0;
}

static void compare(const char *text, size_t bytes)
{
    char *copy = malloc(bytes + 1);     /* its own block: overruns are seen */
    assert_non_null(copy);
    memcpy(copy, text, bytes);
    int a = ours(copy, bytes), b = theirs(copy, bytes);
    free(copy);
    if (memchr(text, 0, bytes)) {
        assert_int_equal(a, 0);
        return;
    }
    if (a >= 0 && b >= 0 && a != b)
        print_error("%.*s\n", (int)bytes, text);
    assert_true(a < 0 || b < 0 || a == b);
}

static const char *const documents[] = {
    ("{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],"
     "\"data_offsets\":[0,24]}}  "),
    "{\"metadata\": {\"total_size\": 123},\n \"weight_map\": {\"a\": \"b\", \"c\": \"d\"}}\r\n",
    "[1, -2.5e+10, 0, 0.125E-3, true, false, null, \"\", [], {}, [[{}]]]",
    "\"\\u0041\\ud83d\\ude00\\n\\t\\\\\\/\\\"\\b\\f\\r caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"",
    "{\"a\":{\"b\":{\"c\":[1,[2,[3,[4]]]]}},\"d\":\"\\u00e9\\u20ac\"}",
    "  -0.0e-0 ", "12345678901234567890", "\t[\n]\r", "{\"a\\u0062\":1,\"ab\":2}",
};
#define DOCUMENTS (sizeof documents / sizeof *documents)

static void documents_and_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        size_t n = strlen(documents[i]);
        assert_int_equal(ours(documents[i], n), 1);
        for (size_t cut = 0; cut <= n; cut++)
            compare(documents[i], cut);
    }
}

/* Every byte of every document replaced by every value. */
static void replacements(void **state)
{
    char text[256];
    (void)state;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        size_t n = strlen(documents[i]);
        for (size_t at = 0; at < n; at++) {
            memcpy(text, documents[i], n);
            for (int c = 0; c < 256; c++) {
                text[at] = (char)c;
                compare(text, n);
            }
        }
    }
}

/* Insert, delete, replace, copy pieces: up to eight at once. */
static size_t mutate(char *text, size_t n, size_t room)
{
    static const char pieces[] = "{}[]:,\"\\ue+-.0123456789atrnlfs \n\xc3\xa9\xed\xa0\x80\x01";
    for (uint32_t times = 1 + next_random(8); times; times--) {
        size_t at = next_random((uint32_t)n + 1);
        uint32_t what = next_random(3);
        if (what == 0 && n < room) {
            memmove(text + at + 1, text + at, n - at);
            text[at] = pieces[next_random(sizeof pieces - 1)];
            n++;
        } else if (what == 1 && at < n) {
            memmove(text + at, text + at + 1, n - at - 1);
            n--;
        } else if (at < n) {
            text[at] = pieces[next_random(sizeof pieces - 1)];
        }
    }
    return n;
}

static void mutations(void **state)
{
    char text[512];
    (void)state;
    for (int i = 0; i < 100000; i++) {
        const char *from = documents[next_random(DOCUMENTS)];
        size_t n = strlen(from);
        memcpy(text, from, n);
        n = mutate(text, n, sizeof text);
        compare(text, n);
    }
}

/* Random bodies of strings: the same text comes out. */
static void strings(void **state)
{
    static const char *const pieces[] = {
        "a", "\\n", "\\\\", "\\\"", "\\/", "\\u0041", "\\u00e9", "\\u20AC", "\\ud83d\\ude00",
        "\\uD834\\uDD1E", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f", "\\b\\f\\r\\t",
        "\\u001f", "\\uffff", "\\u0001", "\\ud7ff", "\\ue000", "\\u07ff\\u0800"
    };
    char text[1024], decoded[1024];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        lqi_json json;
        text[0] = '"';
        text[1] = '\0';
        for (uint32_t k = next_random(20); k; k--)
            strcat(text, pieces[next_random(sizeof pieces / sizeof *pieces)]);
        strcat(text, "\"");
        json_t *value = json_loads(text, FLAGS, NULL);
        assert_non_null(value);
        lqi_json_start(&json, text, strlen(text));
        assert_int_equal(lqi_json_next(&json), LQI_JSON_STRING);
        uint64_t n = lqi_json_decode(&json, decoded);
        assert_int_equal(n, json_string_length(value));
        assert_memory_equal(decoded, json_string_value(value), (size_t)n);
        assert_int_equal(lqi_json_next(&json), LQI_JSON_END);
        json_decref(value);
    }
}

static void words_and_numbers(void **state)
{
    static const char text[] = "{\"dtyp\\u0065\":18446744073709551615,\"x\":[1.5,\"7\",007]}";
    lqi_json json;
    uint64_t value = 1;
    (void)state;
    lqi_json_start(&json, text, sizeof text - 1);
    assert_int_equal(lqi_json_next(&json), LQI_JSON_OBJECT);
    assert_int_equal(lqi_json_next(&json), LQI_JSON_KEY);
    assert_true(lqi_json_equals(&json, "dtype"));
    assert_false(lqi_json_equals(&json, "dtyp"));
    assert_false(lqi_json_equals(&json, "dtypes"));
    assert_false(lqi_json_equals(&json, ""));
    assert_int_equal(lqi_json_next(&json), LQI_JSON_NUMBER);
    assert_true(lqi_json_u64(&json, &value));
    assert_true(value == UINT64_MAX);
    assert_int_equal(lqi_json_next(&json), LQI_JSON_KEY);
    assert_int_equal(lqi_json_next(&json), LQI_JSON_ARRAY);
    assert_int_equal(lqi_json_next(&json), LQI_JSON_NUMBER);
    assert_false(lqi_json_u64(&json, &value));
    assert_int_equal(lqi_json_next(&json), LQI_JSON_STRING);
    assert_false(lqi_json_u64(&json, &value));
    assert_int_equal(lqi_json_next(&json), LQI_JSON_ERROR);
    assert_int_equal(json.status, LQ_ERR_FORMAT);
    assert_int_equal(json.start, strstr(text, "007") - text);
}

static void skipping(void **state)
{
    static const char text[] = "{\"a\":[[1,{\"b\":2}],3],\"c\":\"d\",\"e\":{}}";
    lqi_json json;
    (void)state;
    lqi_json_start(&json, text, sizeof text - 1);
    assert_int_equal(lqi_json_next(&json), LQI_JSON_OBJECT);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lqi_json_next(&json), LQI_JSON_KEY);
        assert_true(lqi_json_equals(&json, i == 0 ? "a" : i == 1 ? "c" : "e"));
        assert_true(lqi_json_skip(&json));
    }
    assert_int_equal(lqi_json_next(&json), LQI_JSON_OBJECT_END);
    assert_int_equal(lqi_json_next(&json), LQI_JSON_END);
    assert_true(lqi_json_is_object(&json, text, sizeof text - 1));
    assert_false(lqi_json_is_object(&json, text, sizeof text - 2));
    assert_false(lqi_json_is_object(&json, "[1]", 3));
    assert_int_equal(json.status, LQ_ERR_FORMAT);
    assert_non_null(json.problem);
}

/* Exactly LQI_JSON_DEPTH levels pass, alternating arrays and objects. */
static void depth(void **state)
{
    char text[LQI_JSON_DEPTH * 8 + 64];
    (void)state;
    for (int levels = LQI_JSON_DEPTH - 1; levels <= LQI_JSON_DEPTH + 1; levels++) {
        size_t n = 0;
        for (int i = 0; i < levels; i++)
            n += (size_t)sprintf(text + n, "%s", i % 3 ? "[" : "{\"k\":");
        text[n++] = '1';
        for (int i = levels; i-- > 0;)
            text[n++] = i % 3 ? ']' : '}';
        assert_int_equal(theirs(text, n), 1);
        assert_int_equal(ours(text, n), levels <= LQI_JSON_DEPTH ? 1 : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_and_prefixes), cmocka_unit_test(replacements),
        cmocka_unit_test(mutations), cmocka_unit_test(strings),
        cmocka_unit_test(words_and_numbers), cmocka_unit_test(skipping),
        cmocka_unit_test(depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
