/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/meta.c - metadata values as text and as JSON
 */
#include "meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Little-endian bytes of any host's file, unaligned. */
static uint64_t load(const lq_meta *m, uint64_t index, size_t bytes)
{
    const uint8_t *p = (const uint8_t *)m->data + index * bytes;
    uint64_t v = 0;

    for (size_t i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static size_t width(lq_meta_type type)
{
    switch (type) {
    case LQ_META_U8: case LQ_META_I8: case LQ_META_BOOL:
        return 1;
    case LQ_META_U16: case LQ_META_I16:
        return 2;
    case LQ_META_U32: case LQ_META_I32: case LQ_META_F32:
        return 4;
    case LQ_META_U64: case LQ_META_I64: case LQ_META_F64:
        return 8;
    default:
        return 0;
    }
}

double meta_real(const lq_meta *m, uint64_t index)
{
    uint64_t raw = load(m, index, width(m->type));

    if (m->type == LQ_META_F32) {
        uint32_t low = (uint32_t)raw;
        float f;
        memcpy(&f, &low, sizeof f);
        return (double)f;
    }
    if (m->type == LQ_META_F64) {
        double d;
        memcpy(&d, &raw, sizeof d);
        return d;
    }
    return 0;
}

static int is_real(lq_meta_type type)
{
    return type == LQ_META_F32 || type == LQ_META_F64;
}

static int is_signed(lq_meta_type type)
{
    return type == LQ_META_I8 || type == LQ_META_I16 || type == LQ_META_I32
           || type == LQ_META_I64;
}

int64_t meta_integer(const lq_meta *m, uint64_t index)
{
    size_t bytes = width(m->type);
    uint64_t raw = load(m, index, bytes);

    if (is_signed(m->type) && bytes < 8) {
        uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
        raw = (raw ^ sign) - sign;
    }
    return (int64_t)raw;
}

uint64_t meta_uint(const lq_file *file, const char *key, uint64_t otherwise)
{
    lq_meta m = LQ_META_INIT;

    if (lq_file_meta_find(file, key, &m) != LQ_OK || !m.count || !m.data || is_real(m.type)
        || !width(m.type))
        return otherwise;
    int64_t value = meta_integer(&m, 0);
    return is_signed(m.type) && value < 0 ? otherwise : (uint64_t)value;
}

const char *meta_text(const lq_file *file, const char *key)
{
    lq_meta m = LQ_META_INIT;
    const char *s;
    uint64_t bytes;

    if (lq_file_meta_find(file, key, &m) != LQ_OK || m.type != LQ_META_STRING || m.is_array
        || lq_file_meta_string(file, &m, 0, &s, &bytes) != LQ_OK)
        return NULL;
    return s;
}

static void json_element(doc *j, const char *key, const lq_file *file, const lq_meta *m,
                         uint64_t index)
{
    const char *s;
    uint64_t bytes;

    if (m->type == LQ_META_STRING) {
        if (lq_file_meta_string(file, m, index, &s, &bytes) == LQ_OK)
            doc_bytes(j, key, s, (size_t)bytes);
        else
            doc_null(j, key);
    } else if (m->type == LQ_META_BOOL) {
        doc_bool(j, key, meta_integer(m, index) != 0);
    } else if (is_real(m->type)) {
        doc_number(j, key, meta_real(m, index));
    } else if (is_signed(m->type)) {
        doc_int(j, key, meta_integer(m, index));
    } else {
        doc_uint(j, key, (uint64_t)meta_integer(m, index));
    }
}

void meta_json(doc *j, const lq_file *file, const lq_meta *m)
{
    if (!m->is_array) {
        json_element(j, m->key, file, m, 0);
        return;
    }
    doc_array(j, m->key);
    for (uint64_t i = 0; i < m->count; i++)
        json_element(j, NULL, file, m, i);
    doc_close(j);
}

static void text_element(textbuf *out, const lq_file *file, const lq_meta *m, uint64_t index,
                         size_t most)
{
    const char *s;
    uint64_t bytes;

    if (m->type == LQ_META_STRING) {
        if (lq_file_meta_string(file, m, index, &s, &bytes) != LQ_OK)
            return;
        text_escaped(out, s, bytes > most ? most : (size_t)bytes);
        if (bytes > most)
            text_printf(out, "... (%" PRIu64 " bytes)", bytes);
    } else if (m->type == LQ_META_BOOL) {
        text_add(out, meta_integer(m, index) ? "true" : "false");
    } else if (is_real(m->type)) {
        text_printf(out, "%.9g", meta_real(m, index));
    } else if (is_signed(m->type)) {
        text_printf(out, "%" PRId64, meta_integer(m, index));
    } else {
        text_printf(out, "%" PRIu64, (uint64_t)meta_integer(m, index));
    }
}

void meta_print(textbuf *out, const lq_file *file, const lq_meta *m, int full)
{
    uint64_t shown = full || m->count < 6 ? m->count : 4;
    size_t most = full ? SIZE_MAX : m->is_array ? 24 : 80;

    if (!m->is_array) {
        text_element(out, file, m, 0, most);
        return;
    }
    text_add(out, "[");
    for (uint64_t i = 0; i < shown; i++) {
        text_add(out, i ? ", " : "");
        text_element(out, file, m, i, most);
    }
    if (shown < m->count)
        text_printf(out, ", ... %" PRIu64 " in all", m->count);
    text_add(out, "]");
}
