/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/text.c - growing text, and names from files made safe for a terminal
 */
#include "lq.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve(textbuf *t, size_t more)
{
    if (t->failed)
        return 0;
    if (more < t->capacity - t->bytes)
        return 1;
    size_t capacity = t->capacity ? t->capacity : 256;
    while (capacity - t->bytes <= more) {
        if (capacity > SIZE_MAX / 2) {
            t->failed = 1;
            return 0;
        }
        capacity *= 2;
    }
    char *data = realloc(t->data, capacity);
    if (!data) {
        t->failed = 1;
        return 0;
    }
    t->data = data;
    t->capacity = capacity;
    return 1;
}

void text_put(textbuf *t, const char *data, size_t bytes)
{
    if (!reserve(t, bytes))
        return;
    memcpy(t->data + t->bytes, data, bytes);
    t->bytes += bytes;
    t->data[t->bytes] = 0;
}

void text_add(textbuf *t, const char *string)
{
    text_put(t, string, strlen(string));
}

void text_vprintf(textbuf *t, const char *format, va_list list)
{
    va_list again;
    va_copy(again, list);
    int n = vsnprintf(NULL, 0, format, list);
    if (n >= 0 && reserve(t, (size_t)n + 1)) {
        vsnprintf(t->data + t->bytes, (size_t)n + 1, format, again);
        t->bytes += (size_t)n;
    }
    va_end(again);
}

void text_printf(textbuf *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    text_vprintf(t, format, list);
    va_end(list);
}

void text_free(textbuf *t)
{
    free(t->data);
    memset(t, 0, sizeof *t);
}

int32_t utf8_next(const char *s, size_t left, size_t *bytes)
{
    static const int32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t c = (uint8_t)s[0];

    *bytes = 1;
    if (c < 0x80)
        return c;
    size_t n = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc0 || c >= 0xf8 || n > left)
        return -1;
    int32_t point = c & (0x7f >> n);
    for (size_t i = 1; i < n; i++) {
        uint8_t next = (uint8_t)s[i];
        if ((next & 0xc0) != 0x80)
            return -1;
        point = point * 64 + (next & 0x3f);
    }
    if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return -1;
    *bytes = n;
    return point;
}

/* Controls, and what reorders or hides the text around it. */
static int disturbs(int32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0)
           || (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e)
           || (point >= 0x2060 && point <= 0x206f) || point == 0xfeff;
}

void text_escaped(textbuf *t, const char *s, size_t bytes)
{
    for (size_t i = 0, n; i < bytes; i += n) {
        int32_t point = utf8_next(s + i, bytes - i, &n);
        if (point == '\n')
            text_add(t, "\\n");
        else if (point == '\t')
            text_add(t, "\\t");
        else if (point == '\\')
            text_add(t, "\\\\");
        else if (point < 0x80 && (point < 0 || disturbs(point)))
            text_printf(t, "\\x%02x", (unsigned)(uint8_t)s[i]);
        else if (disturbs(point))
            text_printf(t, "\\u{%x}", (unsigned)point);
        else
            text_put(t, s + i, n);
    }
}

void text_cell(textbuf *t, const char *s, int columns)
{
    size_t from = t->bytes;
    int used = 0;

    text_escaped(t, s, strlen(s));
    for (size_t i = from, n; !t->failed && i < t->bytes; i += n, used++)
        utf8_next(t->data + i, t->bytes - i, &n);
    for (; used < columns; used++)
        text_add(t, " ");
}

const char *human_bytes(uint64_t bytes, char *out)
{
    static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

    if (bytes < 1024) {
        snprintf(out, HUMAN_TEXT, "%" PRIu64 " B", bytes);
        return out;
    }
    double value = (double)bytes / 1024;
    size_t i = 0;
    for (; value >= 1023.95 && i < 5; i++)
        value /= 1024;
    snprintf(out, HUMAN_TEXT, "%.*f %s", value < 9.995 ? 2 : 1, value, unit[i]);
    return out;
}
