/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/json.c - writes one JSON document
 */
#include "lq.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void doc_begin(doc *j, textbuf *out)
{
    memset(j, 0, sizeof *j);
    j->out = out;
}

static void quoted(textbuf *out, const char *s, size_t bytes)
{
    text_add(out, "\"");
    for (size_t i = 0, n; i < bytes; i += n) {
        int32_t point = utf8_next(s + i, bytes - i, &n);
        if (point < 0)
            text_add(out, "\\ufffd");      /* a path or name that is not UTF-8 */
        else if (point == '"' || point == '\\')
            text_printf(out, "\\%c", (int)point);
        else if (point == '\n')
            text_add(out, "\\n");
        else if (point < 0x20 || point == 0x7f || point == 0x2028 || point == 0x2029)
            text_printf(out, "\\u%04x", (unsigned)point);
        else
            text_put(out, s + i, n);
    }
    text_add(out, "\"");
}

static uint64_t bit(const doc *j)
{
    return (uint64_t)1 << (j->depth & 63);
}

/* Separator and key of the next member. */
static void member(doc *j, const char *key)
{
    if (j->used & bit(j))
        text_add(j->out, j->depth <= 2 && !j->line ? ",\n" : ", ");
    j->used |= bit(j);
    if (!key)
        return;
    quoted(j->out, key, strlen(key));
    text_add(j->out, ": ");
}

static void open_level(doc *j, const char *key, int array)
{
    member(j, key);
    text_add(j->out, array ? "[" : "{");
    j->depth++;
    j->used &= ~bit(j);
    j->array = array ? j->array | bit(j) : j->array & ~bit(j);
}

void doc_object(doc *j, const char *key)
{
    open_level(j, key, 0);
}

void doc_array(doc *j, const char *key)
{
    open_level(j, key, 1);
}

void doc_close(doc *j)
{
    text_add(j->out, j->array & bit(j) ? "]" : "}");
    j->depth--;
    if (j->depth == 0)
        text_add(j->out, "\n");
}

void doc_bytes(doc *j, const char *key, const char *value, size_t bytes)
{
    member(j, key);
    quoted(j->out, value, bytes);
}

void doc_string(doc *j, const char *key, const char *value)
{
    if (value)
        doc_bytes(j, key, value, strlen(value));
    else
        doc_null(j, key);
}

void doc_uint(doc *j, const char *key, uint64_t value)
{
    member(j, key);
    text_printf(j->out, "%" PRIu64, value);
}

void doc_int(doc *j, const char *key, int64_t value)
{
    member(j, key);
    text_printf(j->out, "%" PRId64, value);
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
void doc_number(doc *j, const char *key, double value)
{
    char digits[40];

    if (!isfinite(value)) {
        doc_null(j, key);
        return;
    }
    for (int n = 15; n <= 17; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    member(j, key);
    text_add(j->out, digits);
}

void doc_bool(doc *j, const char *key, int value)
{
    member(j, key);
    text_add(j->out, value ? "true" : "false");
}

void doc_null(doc *j, const char *key)
{
    member(j, key);
    text_add(j->out, "null");
}
