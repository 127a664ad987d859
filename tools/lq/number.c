/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/number.c - numbers and words on the command line, junk refused
 */
#include "lq.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int parse_count(const char *s, uint64_t *value)
{
    uint64_t v = 0;

    if (!isdigit((uint8_t)*s))
        return 0;
    for (; isdigit((uint8_t)*s); s++) {
        unsigned digit = (unsigned)(*s - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return 0;
        v = v * 10 + digit;
    }
    if (*s)
        return 0;
    *value = v;
    return 1;
}

/* Digits with at most one point; '*end' is what follows.  -1 when there are none. */
static double decimal(const char *s, const char **end)
{
    double value = 0, scale = 1;
    int digits = 0, point = 0;

    for (; isdigit((uint8_t)*s) || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = 1;
            continue;
        }
        value = value * 10 + (*s - '0');
        scale *= point ? 10 : 1;
        digits++;
    }
    *end = s;
    return digits ? value / scale : -1;
}

/* 'value' of 'unit' to the power 'power', if it fits. */
static int scaled(double value, double unit, int power, uint64_t *result)
{
    for (; power > 0; power--)
        value *= unit;
    if (!(value >= 0 && value < 9.2e18))
        return 0;
    *result = (uint64_t)(value + 0.5);
    return 1;
}

int parse_size(const char *s, uint64_t *bytes)
{
    static const char letters[] = "KMGT";
    double value = decimal(s, &s);

    if (value < 0)
        return 0;
    if (!*s || !strcasecmp(s, "B"))
        return scaled(value, 1, 0, bytes);
    const char *letter = strchr(letters, toupper((uint8_t)*s));
    if (!letter)
        return 0;
    int decimal_unit = !strcasecmp(s + 1, "B");
    if (s[1] && !decimal_unit && strcasecmp(s + 1, "iB"))
        return 0;
    return scaled(value, decimal_unit ? 1000 : 1024, (int)(letter - letters) + 1, bytes);
}

int parse_params(const char *s, uint64_t *count)
{
    static const char letters[] = "KMBT";
    double value = decimal(s, &s);

    if (value < 0)
        return 0;
    if (!*s)
        return scaled(value, 1, 0, count);
    const char *letter = strchr(letters, toupper((uint8_t)*s));
    if (!letter || s[1])
        return 0;
    return scaled(value, 1000, (int)(letter - letters) + 1, count);
}

int parse_number(const char *s, double *value)
{
    char *end;

    if (!isdigit((uint8_t)*s) && *s != '.')
        return 0;
    double v = strtod(s, &end);
    if (end == s || *end || !isfinite(v) || v < 0)
        return 0;
    *value = v;
    return 1;
}

int words_find(const char *words, const char *word)
{
    size_t bytes = strlen(word);

    for (int i = 0; words; i++) {
        size_t n = strcspn(words, "|");
        if (n == bytes && !strncasecmp(words, word, n))
            return i;
        words = words[n] ? words + n + 1 : NULL;
    }
    return -1;
}

const char *list_next(const char *list, char *word, size_t capacity)
{
    size_t n = strcspn(list, ",");

    snprintf(word, capacity, "%.*s", (int)(n < capacity ? n : capacity), list);
    return list + n + (list[n] == ',');
}

int args_count(tool *t, const args *a, int id, uint64_t otherwise, uint64_t min,
               uint64_t max, uint64_t *value)
{
    const char *s = args_value(a, id);

    *value = otherwise;
    if (!s || (parse_count(s, value) && *value >= min && *value <= max))
        return 0;
    return fail_usage(t, "--%s %s: expected a whole number from %" PRIu64 " to %" PRIu64,
                      command_option(t->command, id)->name, s, min, max);
}

int args_size(tool *t, const args *a, int id, uint64_t otherwise, uint64_t *value)
{
    const char *s = args_value(a, id);

    *value = otherwise;
    if (!s || parse_size(s, value))
        return 0;
    return fail_usage(t, "--%s %s: expected a size such as 48G, 512MiB or 80GB",
                      command_option(t->command, id)->name, s);
}

int args_word(tool *t, const args *a, int id, int otherwise, int *index)
{
    const char *s = args_value(a, id);
    const option_row *row = command_option(t->command, id);

    *index = s ? words_find(row->words, s) : otherwise;
    if (*index >= 0)
        return 0;
    return fail_usage(t, "--%s %s: expected one of %s", row->name, s, row->words);
}
