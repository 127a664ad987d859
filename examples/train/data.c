/* SPDX-License-Identifier: MIT */
/*
 * examples/train/data.c - token files, and windows of them
 */
#include "../common/common.h"
#include "train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

corpus corpus_read(const char *folder, const char *name, uint32_t vocab)
{
    char path[4096];
    size_t bytes = 0;
    unsigned char *data;
    corpus c;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    data = (unsigned char *)read_file(path, &bytes);
    if (!data)
        fail("%s: cannot be read", path);
    c.count = bytes / 2;
    c.tokens = allocate(c.count, sizeof *c.tokens);
    for (size_t i = 0; i < c.count; i++) {
        c.tokens[i] = (uint16_t)(data[2 * i] | data[2 * i + 1] << 8);
        if (c.tokens[i] >= vocab)
            fail("%s: token %u, the vocabulary has %u", path, c.tokens[i], vocab);
    }
    free(data);
    return c;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double random_uniform(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

double random_gaussian(uint64_t *state)
{
    double u = 1 - random_uniform(state), angle = 6.283185307179586 * random_uniform(state);

    return sqrt(-2 * log(u)) * cos(angle);
}

static void copy_window(const corpus *c, size_t at, uint32_t length, uint16_t *inputs,
                        uint16_t *targets)
{
    for (uint32_t i = 0; i < length; i++) {
        inputs[i] = c->tokens[at + i];
        targets[i] = c->tokens[at + i + 1];
    }
}

void corpus_draw(const corpus *c, uint64_t *state, uint32_t sequences, uint32_t length,
                 uint16_t *inputs, uint16_t *targets)
{
    if (c->count <= length)
        fail("%zu tokens: more than %u are needed", c->count, length);
    for (uint32_t i = 0; i < sequences; i++)
        copy_window(c, random_next(state) % (c->count - length), length,
                    inputs + (size_t)i * length, targets + (size_t)i * length);
}

int corpus_windows(const corpus *c, size_t first, uint32_t sequences, uint32_t length,
                   uint16_t *inputs, uint16_t *targets)
{
    if ((first + sequences) * length + 1 > c->count)
        return 0;
    for (uint32_t i = 0; i < sequences; i++)
        copy_window(c, (first + i) * length, length, inputs + (size_t)i * length,
                    targets + (size_t)i * length);
    return 1;
}

double corpus_loss(const corpus *c, network *n, uint16_t *inputs, uint16_t *targets)
{
    double sum = 0;
    size_t batches = 0;

    while (corpus_windows(c, batches * n->sequences, n->sequences, n->length, inputs,
                          targets)) {
        sum += network_forward(n, inputs, targets);
        batches++;
    }
    return batches ? sum / (double)batches : NAN;
}
