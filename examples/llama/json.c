/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/json.c - single values of the outermost object of a config.json
 *
 * Not a JSON library: it skips strings, lists and objects by their brackets and looks
 * only at keys of the outermost level.
 */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

/* Behind the string that begins at s. */
static const char *skip_string(const char *s)
{
    for (s++; *s && *s != '"'; s++)
        if (*s == '\\' && s[1])
            s++;
    return *s ? s + 1 : s;
}

/* Behind the value that begins at s. */
static const char *skip_value(const char *s)
{
    int depth = 0;

    while (*s) {
        if (*s == '"') {
            s = skip_string(s);
            continue;
        }
        if (depth == 0 && (*s == ',' || *s == '}'))
            return s;
        depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
        s++;
    }
    return s;
}

/* Beginning of the key's value, or NULL. */
static const char *find(const char *text, const char *key)
{
    const char *s = skip_space(text), *name;
    size_t length = strlen(key);

    if (*s++ != '{')
        return NULL;
    for (;;) {
        s = skip_space(s);
        if (*s != '"')
            return NULL;
        name = s + 1;
        s = skip_string(s);
        int same = (size_t)(s - name) == length + 1 && !memcmp(name, key, length);
        s = skip_space(s);
        if (*s++ != ':')
            return NULL;
        s = skip_space(s);
        if (same)
            return s;
        s = skip_value(s);
        if (*s++ != ',')
            return NULL;
    }
}

int json_number(const char *text, const char *key, double *value)
{
    const char *s = find(text, key);
    char *end;
    double number;

    if (!s)
        return 0;
    if (*s == '[')
        s = skip_space(s + 1);
    if (!strncmp(s, "true", 4) || !strncmp(s, "false", 5)) {
        *value = *s == 't';
        return 1;
    }
    number = strtod(s, &end);
    if (end == s)
        return 0;
    *value = number;
    return 1;
}

int json_text(const char *text, const char *key, char *value, size_t capacity)
{
    const char *s = find(text, key), *end;

    if (!s || *s != '"')
        return 0;
    end = skip_string(s);
    if (end[-1] != '"' || end - s < 2)
        return 0;
    snprintf(value, capacity, "%.*s", (int)(end - s - 2), s + 1);
    return 1;
}

int json_has(const char *text, const char *key)
{
    const char *s = find(text, key);

    return s && strncmp(s, "null", 4) != 0;
}
