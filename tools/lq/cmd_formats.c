/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/cmd_formats.c - lq formats
 */
#include "lq.h"

#include <inttypes.h>
#include <stdio.h>

#define SAMPLE_ROWS 256
#define SAMPLE_COLS 4096

/* Bits per weight of a large matrix in the format's default spec, 0 if unknown. */
static double sample_bits(const lq_format_info *info)
{
    const lq_shape shape = { 1, SAMPLE_ROWS, SAMPLE_COLS };
    lq_spec spec = LQ_SPEC_INIT;
    uint64_t bytes;

    if (lq_spec_parse(info->default_spec, &spec, NULL) != LQ_OK
        || spec.format == LQ_FORMAT_CODEBOOK || lq_spec_bytes(&spec, &shape, &bytes) != LQ_OK)
        return 0;
    return bits_per_weight(bytes, &shape);
}

/* Dialects that can hold the format in one of its common forms. */
static void json_dialects(doc *j, const lq_format_info *info)
{
    static const char *const forms[] = { "", ":g128:f16", ":g128:zp:f16", ":ch", ":t",
                                         ":128x128", ":b64", ":gm", ":gd" };
    const lq_shape shape = { 1, SAMPLE_ROWS, SAMPLE_COLS };
    const char *name;

    doc_array(j, "dialects");
    for (size_t i = 0; (name = lq_dialect_name(i)) != NULL; i++) {
        int holds = 0;
        for (size_t k = 0; k < sizeof forms / sizeof *forms && !holds; k++) {
            lq_spec spec = LQ_SPEC_INIT;
            char text[64];
            snprintf(text, sizeof text, "%s%s", info->name, forms[k]);
            holds = lq_spec_parse(text, &spec, NULL) == LQ_OK
                    && lq_dialect_can_hold(name, &spec, &shape);
        }
        if (holds)
            doc_string(j, NULL, name);
    }
    doc_close(j);
}

static void json_format(doc *j, const lq_format_info *info)
{
    double bits = sample_bits(info);

    doc_object(j, NULL);
    doc_string(j, "name", info->name);
    doc_int(j, "id", info->id);
    doc_string(j, "storage", info->storage == LQ_BLOCKED ? "blocked" : "planar");
    doc_string(j, "text", info->text);
    doc_string(j, "default_spec", info->default_spec);
    doc_uint(j, "block_len", info->block_len);
    doc_uint(j, "block_bytes", info->block_bytes);
    doc_uint(j, "row_bytes", info->row_bytes);
    doc_uint(j, "bits", info->bits);
    if (info->gguf_type >= 0)
        doc_int(j, "gguf_type", info->gguf_type);
    else
        doc_null(j, "gguf_type");
    if (bits > 0)
        doc_number(j, "bits_per_weight", bits);
    else
        doc_null(j, "bits_per_weight");
    json_dialects(j, info);
    doc_close(j);
}

static void print_format(tool *t, const lq_format_info *info)
{
    double bits = sample_bits(info);
    char number[16] = "-";

    if (bits > 0)
        snprintf(number, sizeof number, "%.3f", bits);
    text_cell(&t->out, info->name, 10);
    out_printf(t, " %9s  ", number);
    text_cell(&t->out, info->default_spec, 18);
    out_printf(t, " %s\n", info->text);
}

int cmd_formats(tool *t, const args *a)
{
    doc  j;

    (void)a;
    doc_begin(&j, &t->out);
    if (t->json) {
        doc_object(&j, NULL);
        doc_string(&j, "status", "LQ_OK");
        doc_array(&j, "formats");
    } else {
        out_printf(t, "%-10s %9s  %-18s %s\n", "format", "bits/w", "default spec", "what");
    }
    for (size_t i = 0; i < lq_format_count(); i++) {
        lq_format_info info = LQ_FORMAT_INFO_INIT;
        if (lq_format_at(i, &info) != LQ_OK)
            continue;
        if (t->json)
            json_format(&j, &info);
        else
            print_format(t, &info);
    }
    if (t->json) {
        doc_close(&j);
        doc_close(&j);
    }
    return 0;
}
