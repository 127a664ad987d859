/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/suggest.c - "did you mean ...?"
 */
#include "lq.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 40

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Edits (insert, delete, replace, swap neighbours) that turn one word into the other. */
static unsigned edits(const char *a, const char *b)
{
    unsigned row[3][WORD_MAX + 1];
    unsigned *before = row[0], *last = row[1], *now = row[2];
    size_t m = strlen(a), n = strlen(b);

    if (m > WORD_MAX || n > WORD_MAX)
        return WORD_MAX;
    for (unsigned k = 0; k <= n; k++)
        last[k] = k;
    for (size_t i = 1; i <= m; i++) {
        now[0] = (unsigned)i;
        for (size_t k = 1; k <= n; k++) {
            int x = tolower((uint8_t)a[i - 1]), y = tolower((uint8_t)b[k - 1]);
            now[k] = least(least(last[k], now[k - 1]) + 1, last[k - 1] + (x != y));
            if (i > 1 && k > 1 && x == tolower((uint8_t)b[k - 2])
                && y == tolower((uint8_t)a[i - 2]))
                now[k] = least(now[k], before[k - 2] + 1);
        }
        unsigned *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[n];
}

void suggest(suggestion *s, const char *candidate)
{
    unsigned distance = edits(s->word, candidate);

    if (!s->best || distance < s->distance) {
        s->best = candidate;
        s->distance = distance;
    }
}

const char *suggest_text(const suggestion *s, const char *prefix, char *out)
{
    size_t bytes = strlen(s->word);

    out[0] = 0;
    if (s->best && s->distance <= 1 + bytes / 3 && s->distance < bytes)
        snprintf(out, SUGGEST_TEXT, "; did you mean '%s%s'?", prefix, s->best);
    return out;
}
