/* SPDX-License-Identifier: MIT */
/*
 * lib/file/safetensors_write.c - header of a safetensors file
 *
 * The header lists tensors in the order of their declaration.  Their data lies by
 * decreasing element size, declaration order within: so every tensor is aligned to its
 * elements without gaps, which the format forbids but frameworks that map files need.
 * The header is padded with spaces to a multiple of eight.
 *
 * Checksums are metadata, "lq.xxh3.<name>": 32 zeros first, the sums when they are known.
 */
#include "lib/file/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADER_BYTES  100000000u    /* readers in the field refuse longer ones */
#define NO_CHECKSUM   "00000000000000000000000000000000"

static lq_status fail(lq_error *error, lq_status status, const char *name,
                      const char *problem)
{
    lqi_where where = { NULL, name, LQ_NO_OFFSET };
    return lqi_fail(error, status, &where, "%s", problem);
}

/* --------------------------------------------------------------------- types */

static const char *type_name(lq_dtype dtype)
{
    const lqi_safetensors_dtype *type = lqi_safetensors_dtypes;
    while (type->dtype && type->dtype != dtype)
        type++;
    return type->dtype ? type->name : NULL;
}

static lq_status check_tensor(const lqi_out_tensor *t, lq_error *error)
{
    if (!type_name(t->dtype))
        return fail(error, LQ_ERR_UNSUPPORTED, t->name, "safetensors has no such type");
    if (strcmp(t->name, LQI_SAFETENSORS_METADATA) == 0)
        return fail(error, LQ_ERR_ARG, t->name, "the name is reserved");
    return LQ_OK;
}

/* Offsets from the begin of the data. */
static lq_status place(lq_writer *w, uint64_t first, uint64_t last, uint64_t *bytes,
                       lq_error *error)
{
    *bytes = 0;
    for (size_t size = 8; size; size /= 2) {
        for (uint64_t i = first; i < last; i++) {
            lqi_out_tensor *t = &w->tensors[i];
            if (lq_dtype_bytes(t->dtype) != size)
                continue;
            t->offset = *bytes;
            if (!lqi_add(*bytes, t->bytes, bytes))
                return fail(error, LQ_ERR_OVERFLOW, t->name, "the file is too large");
        }
    }
    return LQ_OK;
}

/* ---------------------------------------------------------------------- JSON */

static void put_escaped(lqi_buffer *b, const char *text)
{
    while (*text) {
        size_t plain = 0;
        char escape[8];
        while ((uint8_t)text[plain] >= ' ' && text[plain] != '"' && text[plain] != '\\')
            plain++;
        if (plain) {
            lqi_buffer_put(b, text, plain);
            text += plain;
            continue;
        }
        if (*text == '"' || *text == '\\')
            snprintf(escape, sizeof escape, "\\%c", *text);
        else
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(uint8_t)*text);
        lqi_buffer_text(b, escape);
        text++;
    }
}

void lqi_json_put_string(lqi_buffer *b, const char *text)
{
    lqi_buffer_text(b, "\"");
    put_escaped(b, text);
    lqi_buffer_text(b, "\"");
}

void lqi_json_put_u64(lqi_buffer *b, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    lqi_buffer_text(b, text);
}

void lqi_print_double(double v, char *text, size_t capacity)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, capacity, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    for (char *p = text; *p; p++)
        if (!strchr("0123456789+-e.", *p))
            *p = '.';
}

static void put_tensor(lqi_buffer *b, const lqi_out_tensor *t)
{
    lqi_json_put_string(b, t->name);
    lqi_buffer_text(b, ":{\"dtype\":\"");
    lqi_buffer_text(b, type_name(t->dtype));
    lqi_buffer_text(b, "\",\"shape\":[");
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (i)
            lqi_buffer_text(b, ",");
        lqi_json_put_u64(b, t->dims[i]);
    }
    lqi_buffer_text(b, "],\"data_offsets\":[");
    lqi_json_put_u64(b, t->offset);
    lqi_buffer_text(b, ",");
    lqi_json_put_u64(b, t->offset + t->bytes);
    lqi_buffer_text(b, "]}");
}

/* Before each metadata key: opens the object at the first. */
static void put_key_separator(lqi_buffer *b, int *keys)
{
    lqi_buffer_text(b, (*keys)++ ? "," : "\"" LQI_SAFETENSORS_METADATA "\":{");
}

static void put_checksum(lqi_buffer *b, const lqi_out_tensor *t)
{
    lqi_buffer_text(b, "\"" LQI_META_XXH3 ".");
    put_escaped(b, t->name);
    lqi_buffer_text(b, "\":\"");
    lqi_buffer_text(b, t->xxh3[0] ? t->xxh3 : NO_CHECKSUM);
    lqi_buffer_text(b, "\"");
}

/* The caller's keys and the checksums; returns whether there is any. */
static int put_metadata(const lq_writer *w, uint64_t first, uint64_t last, lqi_buffer *b)
{
    int keys = 0;
    for (uint64_t i = 0; i < w->key_count; i++) {
        put_key_separator(b, &keys);
        lqi_json_put_string(b, w->keys[i].key);
        lqi_buffer_text(b, ":");
        lqi_json_put_string(b, w->keys[i].strings[0]);
    }
    for (uint64_t i = first; i < last && w->opts.checksums >= 0; i++) {
        put_key_separator(b, &keys);
        put_checksum(b, &w->tensors[i]);
    }
    if (keys)
        lqi_buffer_text(b, "}");
    return keys > 0;
}

/* The whole header, with its length in front. */
static void put_header(const lq_writer *w, uint64_t first, uint64_t last, lqi_buffer *b)
{
    static const uint8_t length[8];
    lqi_buffer_put(b, length, sizeof length);
    lqi_buffer_text(b, "{");
    int members = put_metadata(w, first, last, b);
    for (uint64_t i = first; i < last; i++) {
        if (members++)
            lqi_buffer_text(b, ",");
        put_tensor(b, &w->tensors[i]);
    }
    lqi_buffer_text(b, "}");
    while (!b->failed && b->bytes % 8)
        lqi_buffer_text(b, " ");
    if (!b->failed)
        lqi_store64(b->data, b->bytes - sizeof length);
}

/* -------------------------------------------------------------------- output */

static lq_status check_all(const lq_writer *w, uint64_t first, uint64_t last,
                           lq_error *error)
{
    for (uint64_t i = 0; i < w->key_count; i++) {
        const lqi_key *key = &w->keys[i];
        if (!lqi_utf8_valid(key->strings[0], key->string_bytes[0]))
            return fail(error, LQ_ERR_ARG, key->key, "the text is not UTF-8 without NUL");
    }
    for (uint64_t i = first; i < last; i++) {
        lq_status status = check_tensor(&w->tensors[i], error);
        if (status != LQ_OK)
            return status;
    }
    return LQ_OK;
}

static lq_status write_header(lq_writer *w, const lqi_buffer *header, uint64_t data_bytes,
                              uint32_t member, lq_error *error)
{
    uint64_t total;
    if (header->failed)
        return fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    if (header->bytes - 8 > HEADER_BYTES)
        return fail(error, LQ_ERR_LIMIT, NULL, "the header is longer than 100,000,000 bytes");
    if (!lqi_add(header->bytes, data_bytes, &total))
        return fail(error, LQ_ERR_OVERFLOW, NULL, "the file is too large");
    lq_status status = w->begun ? LQ_OK : lqi_output_reserve(w->output, member, total, error);
    if (status != LQ_OK)
        return status;
    return lqi_output_write(w->output, member, 0, header->data, header->bytes, error);
}

lq_status lqi_safetensors_put(lq_writer *w, uint64_t first, uint64_t last, uint32_t member,
                              lq_error *error)
{
    uint64_t data_bytes = 0;
    lqi_buffer header = { .allocator = &w->allocator };
    lq_status status = check_all(w, first, last, error);
    if (status == LQ_OK)
        status = place(w, first, last, &data_bytes, error);
    if (status != LQ_OK)
        return status;
    put_header(w, first, last, &header);
    status = write_header(w, &header, data_bytes, member, error);
    for (uint64_t i = first; i < last; i++) {
        w->tensors[i].offset += header.bytes;
        w->tensors[i].member = member;
    }
    lqi_buffer_free(&header);
    return status;
}

lq_status lqi_safetensors_write_header(lq_writer *w, lq_error *error)
{
    uint32_t member = 0;
    lq_status status = w->begun ? LQ_OK : lqi_output_member(w->output, NULL, &member, error);
    if (status != LQ_OK)
        return status;
    return lqi_safetensors_put(w, 0, w->tensor_count, member, error);
}
