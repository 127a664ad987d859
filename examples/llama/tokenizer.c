/* SPDX-License-Identifier: MIT */
/*
 * examples/llama/tokenizer.c - text to tokens and back: byte-pair encoding by score
 *
 * Two sources of the same kind of vocabulary:
 *   tokenizer.bin   i32 longest piece; per token f32 score, i32 length, bytes (llama2.c)
 *   GGUF            tokenizer.ggml.model "llama", .tokens, .scores; spaces are U+2581
 * Bytes without a piece of their own are the tokens "<0x00>".."<0xFF>".
 */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct piece {
    char    *text;
    uint32_t length, token;
    float    score;
} piece;

struct tokenizer {
    uint32_t count;
    piece   *pieces;       /* by token */
    piece  **sorted;       /* by text */
    uint32_t bytes[256];   /* token of "<0x..>"; UINT32_MAX: none */
    char     one[256][1];  /* what those tokens print */
};

static int compare(const char *a, uint32_t a_length, const char *b, uint32_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int by_text(const void *a, const void *b)
{
    const piece *x = *(piece *const *)a, *y = *(piece *const *)b;
    int order = compare(x->text, x->length, y->text, y->length);

    return order ? order : (x->token > y->token) - (x->token < y->token);
}

static const piece *find(const tokenizer *t, const char *text, uint32_t length)
{
    uint32_t low = 0, high = t->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const piece *p = t->sorted[middle];

        if (compare(p->text, p->length, text, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < t->count && !compare(t->sorted[low]->text, t->sorted[low]->length, text, length))
        return t->sorted[low];
    return NULL;
}

static tokenizer *create(uint32_t count)
{
    tokenizer *t = allocate(1, sizeof *t);

    t->count = count;
    t->pieces = allocate(count, sizeof *t->pieces);
    t->sorted = allocate(count, sizeof *t->sorted);
    return t;
}

static void set_piece(tokenizer *t, uint32_t token, const char *text, uint32_t length,
                      float score)
{
    piece *p = &t->pieces[token];

    p->text = allocate(length + 1u, 1);
    memcpy(p->text, text, length);
    p->length = length;
    p->score = score;
    p->token = token;
    t->sorted[token] = p;
}

/* Sort, and find the tokens of single bytes. */
static tokenizer *finish(tokenizer *t)
{
    char name[8];

    qsort(t->sorted, t->count, sizeof *t->sorted, by_text);
    for (unsigned b = 0; b < 256; b++) {
        const piece *p;

        snprintf(name, sizeof name, "<0x%02X>", b);
        p = find(t, name, 6);
        t->bytes[b] = p ? p->token : UINT32_MAX;
        t->one[b][0] = (char)b;
    }
    return t;
}

/* ---------------------------------------------------------------- sources */

/* Little-endian number of four bytes. */
static uint32_t word(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;

    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static tokenizer *from_bin(const char *path, uint32_t vocab)
{
    size_t bytes = 0, at = 4;
    char *data = read_file(path, &bytes);
    tokenizer *t;

    if (!data)
        fail("%s: cannot be read", path);
    t = create(vocab);
    for (uint32_t i = 0; i < vocab; i++) {
        uint32_t length, bits;
        float score;

        if (at > bytes || bytes - at < 8)
            fail("%s: ends at token %u of %u", path, i, vocab);
        bits = word(data + at);
        length = word(data + at + 4);
        if (length > bytes - at - 8)
            fail("%s: token %u is longer than the file", path, i);
        memcpy(&score, &bits, 4);
        set_piece(t, i, data + at + 8, length, score);
        at += 8 + (size_t)length;
    }
    free(data);
    return finish(t);
}

/* U+2581 to spaces, in place; the new length. */
static uint32_t to_spaces(char *text, uint32_t length)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < length; i++) {
        if (length - i >= 3 && !memcmp(text + i, "\xe2\x96\x81", 3)) {
            text[n++] = ' ';
            i += 2;
        } else {
            text[n++] = text[i];
        }
    }
    return n;
}

static int is_llama(const lq_file *file)
{
    lq_meta meta = LQ_META_INIT;
    const char *text = "";
    uint64_t bytes;

    return lq_file_meta_find(file, "tokenizer.ggml.model", &meta) == LQ_OK &&
           lq_file_meta_string(file, &meta, 0, &text, &bytes) == LQ_OK &&
           !strcmp(text, "llama");
}

static tokenizer *from_gguf(const lq_file *file)
{
    lq_meta tokens = LQ_META_INIT, scores = LQ_META_INIT;
    tokenizer *t;

    if (!is_llama(file) ||
        lq_file_meta_find(file, "tokenizer.ggml.tokens", &tokens) != LQ_OK ||
        lq_file_meta_find(file, "tokenizer.ggml.scores", &scores) != LQ_OK ||
        scores.type != LQ_META_F32 || scores.count != tokens.count ||
        tokens.count > UINT32_MAX)
        return NULL;
    t = create((uint32_t)tokens.count);
    for (uint32_t i = 0; i < t->count; i++) {
        const char *text = "";
        uint64_t bytes = 0;
        float score;

        check(lq_file_meta_string(file, &tokens, i, &text, &bytes), NULL, "tokens");
        memcpy(&score, (const char *)scores.data + 4 * (size_t)i, 4);
        set_piece(t, i, text, (uint32_t)bytes, score);
        t->pieces[i].length = to_spaces(t->pieces[i].text, (uint32_t)bytes);
        t->pieces[i].text[t->pieces[i].length] = '\0';
    }
    return finish(t);
}

tokenizer *tokenizer_open(const char *path, const lq_file *file, uint32_t vocab)
{
    return path ? from_bin(path, vocab) : from_gguf(file);
}

void tokenizer_close(tokenizer *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->count; i++)
        free(t->pieces[i].text);
    free(t->pieces);
    free(t->sorted);
    free(t);
}

/* --------------------------------------------------------------- encoding */

/* Bytes of the UTF-8 character at 'text'; 1 for what is none. */
static uint32_t character(const char *text)
{
    uint32_t n = 1;

    if ((text[0] & 0xc0) == 0xc0)
        while (n < 4 && (text[n] & 0xc0) == 0x80)
            n++;
    return n;
}

/* Tokens of single characters, or of their bytes. */
static uint32_t split(const tokenizer *t, const char *text, uint32_t *tokens)
{
    uint32_t n = 0;

    while (*text) {
        uint32_t length = character(text);
        const piece *p = find(t, text, length);

        if (p)
            tokens[n++] = p->token;
        for (uint32_t i = 0; !p && i < length; i++) {
            uint32_t byte = t->bytes[(unsigned char)text[i]];

            if (byte != UINT32_MAX)
                tokens[n++] = byte;
        }
        text += length;
    }
    return n;
}

/* Piece of two neighbours joined, or NULL. */
static const piece *join(const tokenizer *t, uint32_t a, uint32_t b)
{
    const piece *x = &t->pieces[a], *y = &t->pieces[b];
    uint32_t length = x->length + y->length;
    const piece *p = NULL;
    char *text, small[128];

    text = length <= sizeof small ? small : allocate(length, 1);
    memcpy(text, x->text, x->length);
    memcpy(text + x->length, y->text, y->length);
    p = find(t, text, length);
    if (text != small)
        free(text);
    return p;
}

/* Join the best pair until there is none. */
static uint32_t merge(const tokenizer *t, uint32_t *tokens, uint32_t n)
{
    for (;;) {
        const piece *best = NULL;
        uint32_t at = 0;

        for (uint32_t i = 0; i + 1 < n; i++) {
            const piece *p = join(t, tokens[i], tokens[i + 1]);

            if (p && (!best || p->score > best->score)) {
                best = p;
                at = i;
            }
        }
        if (!best)
            return n;
        tokens[at] = best->token;
        n--;
        memmove(tokens + at + 1, tokens + at + 2, (n - at - 1) * sizeof *tokens);
    }
}

uint32_t tokenizer_encode(const tokenizer *t, const char *text, uint32_t bos,
                          uint32_t *tokens)
{
    const piece *space = find(t, " ", 1);
    uint32_t n = 0;

    tokens[0] = bos;
    if (*text && space)
        tokens[1 + n++] = space->token;
    n += split(t, text, tokens + 1 + n);
    return 1 + merge(t, tokens + 1, n);
}

const char *tokenizer_piece(const tokenizer *t, uint32_t previous, uint32_t token,
                            uint32_t bos, size_t *bytes)
{
    const piece *p;
    unsigned value;

    *bytes = 0;
    if (token >= t->count || token == bos)
        return "";
    p = &t->pieces[token];
    if (p->length == 6 && sscanf(p->text, "<0x%2X>", &value) == 1 && p->text[5] == '>') {
        *bytes = 1;
        return t->one[value];
    }
    *bytes = p->length;
    if (previous == bos && p->length && p->text[0] == ' ') {
        --*bytes;
        return p->text + 1;
    }
    return p->text;
}
