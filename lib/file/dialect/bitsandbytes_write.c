/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/bitsandbytes_write.c - writing checkpoints for bitsandbytes
 *
 * The quant state is JSON with exactly the members that bitsandbytes accepts:
 *
 *   {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [32, 128],
 *    "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.13}
 *
 * The offset is known only when the weight is encoded, but the tensor's size before:
 * the text is filled up with spaces.
 */
#include <stdio.h>

#include "lib/core/core.h"
#include "lib/file/dialect/bitsandbytes.h"
#include "lib/file/safetensors.h"

#define STATE_MAX 320
#define OFFSET_TEXT 26      /* any double in its shortest decimal form */

enum { MAP, NESTED_MAP, STATE, FORMAT };    /* lqi_out.extra */

static int is_4bit(const lq_spec *spec)
{
    return spec->format == LQ_FORMAT_NF4 || spec->format == LQ_FORMAT_FP4;
}

static int power_of_two(uint32_t v, uint32_t lo, uint32_t hi)
{
    return v >= lo && v <= hi && !(v & (v - 1));
}

int lqi_bnb_can_hold(const lqi_out *out)
{
    const lq_spec *s = &out->spec;

    if (out->shape.outer != 1 || out->n_dims != 2 || !lqi_scan_base(out->name, ".weight"))
        return 0;
    if (s->format == LQ_FORMAT_LLM_INT8)
        return s->scale_type == LQ_F32 && !s->scale2_block && s->group_rows == 1 &&
               s->group_cols == LQ_GROUP_ALL;
    return is_4bit(s) && (s->flags & LQ_SPEC_FLAT) && power_of_two(s->group_cols, 32, 4096) &&
           (s->scale2_block ? s->scale2_block == 256 : s->scale_type == LQ_F32);
}

/* --------------------------------------------------------------------- JSON */

static const char *dtype_text(lq_dtype dtype)
{
    return dtype == LQ_F16 ? "float16" : dtype == LQ_BF16 ? "bfloat16" : "float32";
}

/* The state's text for an offset; filled up to what any offset needs. */
static size_t state_text(const lqi_out *out, float offset, char text[STATE_MAX])
{
    const lqi_format *f = lqi_format_by_id(out->spec.format);
    char number[40];
    size_t n, end;

    n = (size_t)snprintf(text, STATE_MAX, "{\"quant_type\": \"%s\", \"blocksize\": %u, "
                         "\"dtype\": \"%s\", \"shape\": [%llu, %llu]", f->name,
                         out->spec.group_cols, dtype_text(out->dtype),
                         (unsigned long long)out->dims[0], (unsigned long long)out->dims[1]);
    if (!out->spec.scale2_block) {
        text[n++] = '}';
        return n;
    }
    n += (size_t)snprintf(text + n, STATE_MAX - n, ", \"nested_blocksize\": %u, "
                          "\"nested_dtype\": \"float32\", \"nested_offset\": ",
                          out->spec.scale2_block);
    end = n + OFFSET_TEXT;
    lqi_print_double((double)offset, number, sizeof number);
    n += (size_t)snprintf(text + n, STATE_MAX - n, "%s}", number);
    while (n < end)
        text[n++] = ' ';
    return n;
}

/* ------------------------------------------------------------------- 4 bits */

static lq_status declare_nested(lqi_out *out)
{
    uint64_t blocks = out->bytes[LQ_PLANE_SCALE2] / 4, map = 256;
    lq_status st = lqi_out_declare(out, out->name, ".nested_absmax", LQ_F32, 1, &blocks,
                                   &out->tensor[LQ_PLANE_SCALE2]);

    return st ? st : lqi_out_declare(out, out->name, ".nested_quant_map", LQ_F32, 1, &map,
                                     &out->extra[NESTED_MAP]);
}

static lq_status declare_4bit(lqi_out *out)
{
    char text[STATE_MAX], suffix[48];
    uint64_t codes[2] = { out->bytes[LQ_PLANE_CODES], 1 }, map = 16;
    int nested = out->spec.scale2_block != 0;
    uint64_t scales = out->bytes[LQ_PLANE_SCALES] / (nested ? 1 : 4);
    uint64_t state = state_text(out, 0, text);
    lq_status st = lqi_out_declare(out, out->name, "", LQ_U8, 2, codes,
                                   &out->tensor[LQ_PLANE_CODES]);

    snprintf(suffix, sizeof suffix, ".quant_state.bitsandbytes__%s",
             lqi_format_by_id(out->spec.format)->name);
    if (!st)
        st = lqi_out_declare(out, out->name, ".absmax", nested ? LQ_U8 : LQ_F32, 1, &scales,
                             &out->tensor[LQ_PLANE_SCALES]);
    if (!st)
        st = lqi_out_declare(out, out->name, ".quant_map", LQ_F32, 1, &map, &out->extra[MAP]);
    if (!st && nested)
        st = declare_nested(out);
    return st ? st : lqi_out_declare(out, out->name, suffix, LQ_U8, 1, &state,
                                     &out->extra[STATE]);
}

static lq_status write_table(lqi_out *out, uint64_t tensor, const float *table, size_t n)
{
    uint8_t raw[1024];

    for (size_t i = 0; i < n; i++)
        lqi_store32(raw + 4 * i, lqi_float_bits(table[i]));
    return lqi_out_write(out, tensor, raw, 4 * n);
}

static lq_status store_4bit(lqi_out *out)
{
    const lqi_format *f = lqi_format_by_id(out->spec.format);
    char text[STATE_MAX];
    float offset = 0;
    lq_status st = write_table(out, out->extra[MAP], f->table, 16);

    if (!st && out->spec.scale2_block) {
        offset = lqi_bits_float(lqi_load32(out->held[LQ_PLANE_OFFSET]));
        st = write_table(out, out->extra[NESTED_MAP], lqi_dynamic8, 256);
    }
    return st ? st : lqi_out_write(out, out->extra[STATE], text,
                                   state_text(out, offset, text));
}

/* ------------------------------------------------------------------- 8 bits */

static lq_status declare_int8(lqi_out *out)
{
    char name[8] = "";
    lqi_buffer base = { .allocator = lqi_ctx_allocator(out->ctx) };
    lq_status st = lqi_out_declare(out, out->name, "", LQ_I8, 2, out->dims,
                                   &out->tensor[LQ_PLANE_CODES]);

    lqi_buffer_put(&base, out->name, lqi_scan_base(out->name, ".weight"));
    lqi_buffer_put(&base, name, 1);
    if (!st && base.failed)
        st = lqi_fail(out->error, LQ_ERR_NOMEM, NULL, "no memory for a name");
    if (!st)
        st = lqi_out_declare(out, (const char *)base.data, ".SCB", LQ_F32, 1, out->dims,
                             &out->tensor[LQ_PLANE_SCALES]);
    if (!st)
        st = lqi_out_declare(out, (const char *)base.data, ".weight_format", LQ_U8, 0, NULL,
                             &out->extra[FORMAT]);
    lqi_buffer_free(&base);
    return st;
}

lq_status lqi_bnb_declare(lqi_out *out)
{
    lq_status st = is_4bit(&out->spec) ? declare_4bit(out) : declare_int8(out);

    out->main = out->tensor[LQ_PLANE_CODES];
    return st;
}

lq_status lqi_bnb_store(lqi_out *out)
{
    return is_4bit(&out->spec) ? store_4bit(out)
                               : lqi_out_write(out, out->extra[FORMAT], "", 1);
}

/* ------------------------------------------------------------------- config */

/* Block sizes may differ, each tensor says its own; the kinds of number may not. */
json_t *lqi_bnb_config(const lqi_plan *plan)
{
    const lqi_out *first = lqi_first_quantized(plan);
    int four = is_4bit(&first->spec), nested = first->spec.scale2_block != 0;
    const char *type = lqi_format_by_id(first->spec.format)->name;

    for (uint64_t i = 0; i < plan->count; i++) {
        const lq_spec *s = &plan->jobs[i].out.spec;
        if (lqi_job_quantized(&plan->jobs[i]) &&
            (s->format != first->spec.format || (s->scale2_block != 0) != nested))
            return NULL;
    }
    return json_pack("{s:s, s:b, s:b, s:s, s:b, s:s, s:s, s:b, s:f, s:o}",
                     "quant_method", "bitsandbytes", "load_in_8bit", !four,
                     "load_in_4bit", four, "bnb_4bit_quant_type", four ? type : "fp4",
                     "bnb_4bit_use_double_quant", nested,
                     "bnb_4bit_compute_dtype", dtype_text(first->dtype),
                     "bnb_4bit_quant_storage", "uint8", "llm_int8_has_fp16_weight", 0,
                     "llm_int8_threshold", 6.0, "llm_int8_skip_modules",
                     lqi_json_kept(plan));
}
