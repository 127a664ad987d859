/* SPDX-License-Identifier: MIT */
/* lib/file/json_scan.c - strict JSON (RFC 8259), one token at a time */
#include "lib/file/json_scan.h"

/* What may come next. */
enum {
    VALUE,              /* a value */
    VALUE_OR_CLOSE,     /* first in an array: a value or ']' */
    KEY_OR_CLOSE,       /* first in an object */
    AFTER,              /* after a value: ',', a closing bracket, or the end */
    FAILED
};

void lqi_json_start(lqi_json *json, const void *text, uint64_t bytes)
{
    memset(json, 0, sizeof *json);
    json->text = text;
    json->bytes = bytes;
    json->state = VALUE;
}

static lqi_json_token fail_at(lqi_json *json, lq_status status, uint64_t at,
                              const char *problem)
{
    json->state = FAILED;
    json->status = status;
    json->start = at;
    json->length = 0;
    json->problem = problem;
    return LQI_JSON_ERROR;
}

static lqi_json_token fail(lqi_json *json, const char *problem)
{
    return fail_at(json, LQ_ERR_FORMAT, json->at, problem);
}

static void skip_space(lqi_json *json)
{
    while (json->at < json->bytes) {
        uint8_t c = json->text[json->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return;
        json->at++;
    }
}

/* ------------------------------------------------------------------ nesting */

static int in_object(const lqi_json *json)
{
    uint32_t level = json->depth - 1;
    return (int)(json->nesting[level / 64] >> (level % 64) & 1);
}

static lqi_json_token open_level(lqi_json *json, int object)
{
    uint32_t level = json->depth;
    if (level == LQI_JSON_DEPTH)
        return fail_at(json, LQ_ERR_LIMIT, json->at, "JSON is nested too deeply");
    uint64_t bit = (uint64_t)1 << (level % 64);
    if (object)
        json->nesting[level / 64] |= bit;
    else
        json->nesting[level / 64] &= ~bit;
    json->depth++;
    json->at++;
    json->state = object ? KEY_OR_CLOSE : VALUE_OR_CLOSE;
    return object ? LQI_JSON_OBJECT : LQI_JSON_ARRAY;
}

static lqi_json_token close_level(lqi_json *json)
{
    int object = in_object(json);
    json->depth--;
    json->start = json->at++;
    json->length = 1;
    json->state = AFTER;
    return object ? LQI_JSON_OBJECT_END : LQI_JSON_ARRAY_END;
}

/* ------------------------------------------------------------------ strings */

/* Four hexadecimal digits at 'at': their value, or -1. */
static int32_t hex4(const lqi_json *json, uint64_t at)
{
    if (json->bytes - at < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = json->text[at + i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (low >= 'a' && low <= 'f')
            value = value * 16 + (low - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/*
 * The escape whose backslash is at 'at': its length and code point, or 0 if it is not
 * legal.  'at' lies inside the text.
 */
static unsigned escape(const lqi_json *json, uint64_t at, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (json->bytes - at < 2)
        return 0;
    uint8_t c = json->text[at + 1];
    if (c != 'u') {
        const char *name = c ? strchr(names, c) : NULL;
        *code = name ? (uint8_t)values[name - names] : 0;
        return name ? 2 : 0;
    }
    int32_t high = hex4(json, at + 2);
    if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
        return 0;
    *code = (uint32_t)high;
    if (high < 0xd800 || high > 0xdbff)
        return 6;
    if (json->bytes - at < 12 || json->text[at + 6] != '\\' || json->text[at + 7] != 'u')
        return 0;
    int32_t low = hex4(json, at + 8);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *code = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return 12;
}

/* The string whose opening quote is at json->at. */
static lqi_json_token scan_string(lqi_json *json, lqi_json_token token)
{
    uint64_t at = json->at + 1, begin = at;
    json->escaped = 0;
    while (at < json->bytes && json->text[at] != '"') {
        uint32_t code;
        unsigned length = 1;
        if (json->text[at] < 0x20)
            return fail_at(json, LQ_ERR_FORMAT, at, "control character in a JSON string");
        if (json->text[at] == '\\') {
            length = escape(json, at, &code);
            if (!length)
                return fail_at(json, LQ_ERR_FORMAT, at, "illegal escape in a JSON string");
            json->escaped = 1;
        }
        at += length;
    }
    if (at >= json->bytes)
        return fail_at(json, LQ_ERR_FORMAT, json->at, "JSON string without an end");
    if (!lqi_utf8_valid((const char *)json->text + begin, at - begin))
        return fail_at(json, LQ_ERR_FORMAT, begin, "JSON string is not valid UTF-8");
    json->start = begin;
    json->length = at - begin;
    json->at = at + 1;
    json->state = AFTER;
    return token;
}

static unsigned put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[4] = { 0, 0xc0, 0xe0, 0xf0 };
    out[0] = (char)(lead[more] | code >> (6 * more));
    for (unsigned i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

uint64_t lqi_json_decode(const lqi_json *json, char *out)
{
    uint64_t at = json->start, end = at + json->length, n = 0;
    if (!json->escaped) {
        memcpy(out, json->text + at, (size_t)json->length);
        return json->length;
    }
    while (at < end) {
        uint32_t code;
        if (json->text[at] != '\\') {
            out[n++] = (char)json->text[at++];
            continue;
        }
        at += escape(json, at, &code);
        n += put_utf8(out + n, code);
    }
    return n;
}

char *lqi_json_string(const lqi_json *json, lqi_arena *arena, uint64_t *bytes)
{
    char *text = lqi_arena_alloc(arena, json->length + 1);
    if (!text)
        return NULL;
    uint64_t n = lqi_json_decode(json, text);
    text[n] = '\0';
    if (bytes)
        *bytes = n;
    return text;
}

int lqi_json_equals(const lqi_json *json, const char *word)
{
    char text[6 * 32];      /* a byte takes at most six when escaped */
    size_t n = strlen(word);
    assert(n <= 32);
    if (json->length < n || json->length > 6 * n)
        return 0;
    return lqi_json_decode(json, text) == n && memcmp(text, word, n) == 0;
}

/* ------------------------------------------------------------------ numbers */

static uint64_t digits(const lqi_json *json, uint64_t at)
{
    uint64_t begin = at;
    while (at < json->bytes && json->text[at] >= '0' && json->text[at] <= '9')
        at++;
    return at - begin;
}

static int byte_is(const lqi_json *json, uint64_t at, uint8_t a, uint8_t b)
{
    return at < json->bytes && (json->text[at] == a || json->text[at] == b);
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static lqi_json_token scan_number(lqi_json *json)
{
    uint64_t at = json->at, n;
    if (byte_is(json, at, '-', '-'))
        at++;
    n = digits(json, at);
    if (n == 0 || (n > 1 && json->text[at] == '0'))
        return fail(json, "illegal JSON number");
    at += n;
    if (byte_is(json, at, '.', '.')) {
        n = digits(json, at + 1);
        if (n == 0)
            return fail(json, "illegal JSON number");
        at += 1 + n;
    }
    if (byte_is(json, at, 'e', 'E')) {
        at++;
        if (byte_is(json, at, '+', '-'))
            at++;
        n = digits(json, at);
        if (n == 0)
            return fail(json, "illegal JSON number");
        at += n;
    }
    json->start = json->at;
    json->length = at - json->at;
    json->at = at;
    json->state = AFTER;
    return LQI_JSON_NUMBER;
}

int lqi_json_u64(const lqi_json *json, uint64_t *value)
{
    uint64_t v = 0;
    if (json->token != LQI_JSON_NUMBER)
        return 0;
    for (uint64_t i = 0; i < json->length; i++) {
        uint8_t c = json->text[json->start + i];
        if (c < '0' || c > '9' || !lqi_mul(v, 10, &v) || !lqi_add(v, c - (uint64_t)'0', &v))
            return 0;
    }
    *value = v;
    return 1;
}

/* Digits from 'at' on, behind 'value'; *scale counts those that no longer count. */
static uint64_t read_digits(const lqi_json *json, uint64_t at, double *value, int64_t *scale)
{
    for (; at < json->start + json->length; at++) {
        uint8_t c = json->text[at];
        if (c < '0' || c > '9')
            break;
        if (*value < 0x1p53)
            *value = *value * 10 + (c - '0');
        else
            ++*scale;
    }
    return at;
}

/* v 10^scale, in steps by powers of ten that are exact. */
static double shift(double v, int64_t scale)
{
    while (scale != 0 && v != 0 && v <= DBL_MAX) {
        int64_t size = scale < 0 ? -scale : scale, step = size < 22 ? size : 22;
        double power = 1;
        for (int64_t i = 0; i < step; i++)
            power *= 10;
        v = scale < 0 ? v / power : v * power;
        scale += scale < 0 ? step : -step;
    }
    return v;
}

int lqi_json_f64(const lqi_json *json, double *value)
{
    uint64_t at = json->start, end = at + json->length, point;
    int negative;
    int64_t scale = 0, dropped = 0;
    double v = 0, power = 0;
    if (json->token != LQI_JSON_NUMBER)
        return 0;
    negative = json->text[at] == '-';
    at = read_digits(json, at + negative, &v, &scale);
    if (at < end && json->text[at] == '.') {
        point = at + 1;
        at = read_digits(json, point, &v, &dropped);
        scale -= (int64_t)(at - point) - dropped;
    }
    if (at < end) {
        int minus = json->text[at + 1] == '-', sign = minus || json->text[at + 1] == '+';
        int64_t rest = 0;
        (void)read_digits(json, at + 1 + sign, &power, &rest);
        power = rest || power > 100000 ? 100000 : power;
        scale += minus ? -(int64_t)power : (int64_t)power;
    }
    *value = negative ? -shift(v, scale) : shift(v, scale);
    return *value >= -DBL_MAX && *value <= DBL_MAX;
}

/* ------------------------------------------------------------------- tokens */

static lqi_json_token scan_word(lqi_json *json, const char *word, lqi_json_token token)
{
    size_t n = strlen(word);
    if (json->bytes - json->at < n || memcmp(json->text + json->at, word, n) != 0)
        return fail(json, "JSON value expected");
    json->start = json->at;
    json->length = n;
    json->at += n;
    json->state = AFTER;
    return token;
}

static lqi_json_token scan_value(lqi_json *json)
{
    if (json->at >= json->bytes)
        return fail(json, "JSON ends early");
    json->start = json->at;
    json->length = 1;
    switch (json->text[json->at]) {
    case '{': return open_level(json, 1);
    case '[': return open_level(json, 0);
    case '"': return scan_string(json, LQI_JSON_STRING);
    case 't': return scan_word(json, "true", LQI_JSON_TRUE);
    case 'f': return scan_word(json, "false", LQI_JSON_FALSE);
    case 'n': return scan_word(json, "null", LQI_JSON_NULL);
    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9': return scan_number(json);
    default:  return fail(json, "JSON value expected");
    }
}

static lqi_json_token scan_key(lqi_json *json)
{
    if (json->at >= json->bytes)
        return fail(json, "JSON ends early");
    if (json->text[json->at] != '"')
        return fail(json, "JSON member name expected");
    if (scan_string(json, LQI_JSON_KEY) == LQI_JSON_ERROR)
        return LQI_JSON_ERROR;
    skip_space(json);
    if (!byte_is(json, json->at, ':', ':'))
        return fail(json, "colon expected after a JSON member name");
    json->at++;
    json->state = VALUE;
    return LQI_JSON_KEY;
}

static lqi_json_token after_value(lqi_json *json)
{
    if (json->depth == 0)
        return json->at == json->bytes ? LQI_JSON_END
                                       : fail(json, "something follows the JSON document");
    if (json->at >= json->bytes)
        return fail(json, "JSON ends early");
    uint8_t close = in_object(json) ? '}' : ']';
    if (json->text[json->at] == close)
        return close_level(json);
    if (json->text[json->at] != ',')
        return fail(json, "comma or closing bracket expected");
    json->at++;
    skip_space(json);
    return in_object(json) ? scan_key(json) : scan_value(json);
}

static lqi_json_token scan(lqi_json *json)
{
    if (json->state == FAILED)
        return LQI_JSON_ERROR;
    skip_space(json);
    switch (json->state) {
    case KEY_OR_CLOSE:
        return byte_is(json, json->at, '}', '}') ? close_level(json) : scan_key(json);
    case VALUE_OR_CLOSE:
        return byte_is(json, json->at, ']', ']') ? close_level(json) : scan_value(json);
    case VALUE:
        return scan_value(json);
    default:
        return after_value(json);
    }
}

lqi_json_token lqi_json_next(lqi_json *json)
{
    json->token = scan(json);
    return json->token;
}

int lqi_json_skip(lqi_json *json)
{
    uint32_t depth = json->depth;
    do {
        lqi_json_token token = lqi_json_next(json);
        if (token == LQI_JSON_ERROR || token == LQI_JSON_END)
            return 0;
    } while (json->depth > depth);
    return 1;
}

int lqi_json_is_object(lqi_json *json, const void *text, uint64_t bytes)
{
    lqi_json_start(json, text, bytes);
    if (lqi_json_next(json) != LQI_JSON_OBJECT) {
        if (json->state != FAILED)
            fail_at(json, LQ_ERR_FORMAT, json->start, "not a JSON object");
        return 0;
    }
    lqi_json_token token;
    do {
        token = lqi_json_next(json);
    } while (token != LQI_JSON_END && token != LQI_JSON_ERROR);
    return token == LQI_JSON_END;
}
