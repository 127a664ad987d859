/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/bitsandbytes.c - reading checkpoints of bitsandbytes
 *
 * 4 bits, for a layer's L.weight of [N, K]:
 *
 *   L.weight                              any type: (N * K + 1) / 2 bytes, flat nibbles
 *   L.weight.absmax                       F32 [blocks], or U8 [blocks] when nested
 *   L.weight.quant_map                    F32 [16], the table
 *   L.weight.nested_absmax                F32 [blocks / 256]
 *   L.weight.nested_quant_map             F32 [256], the signed dynamic map
 *   L.weight.quant_state.bitsandbytes__nf4 (or __fp4)   U8: JSON, see bitsandbytes_write.c
 *
 * 8 bits (LLM.int8): L.weight I8 [N, K], L.SCB F32 [N], L.weight_format U8 0.
 */
#include <stdio.h>

#include "lib/core/core.h"
#include "lib/file/dialect/bitsandbytes.h"

#define STATE ".quant_state.bitsandbytes__"

/* ------------------------------------------------------------------- state */

typedef struct state {
    const char *type;       /* "nf4" or "fp4" */
    uint64_t    anchor;     /* the raw tensor of the JSON */
    size_t      base;       /* length of "L.weight" */
    int64_t     blocksize, nested_blocksize;
    float       offset;
    int         nested;
    uint64_t    count;      /* weights */
} state;

static lq_status read_shape(lqi_scan *scan, const state *s, json_t *root, lqi_weight *w)
{
    json_t *shape = json_object_get(root, "shape"), *dim;
    size_t i;

    if (!json_is_array(shape) || !json_array_size(shape) ||
        json_array_size(shape) > LQ_MAX_DIMS)
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_CORRUPT, "'shape' is not 1 to %d sizes",
                             LQ_MAX_DIMS);
    json_array_foreach(shape, i, dim) {
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return lqi_scan_fail(scan, s->anchor, LQ_ERR_CORRUPT, "'shape' is not sizes");
        w->dims[i] = (uint64_t)json_integer_value(dim);
    }
    w->n_dims = (uint32_t)json_array_size(shape);
    return LQ_OK;
}

static lq_dtype dtype_of(const char *text)
{
    if (!text)
        return 0;
    if (!strcmp(text, "float32"))
        return LQ_F32;
    if (!strcmp(text, "float16"))
        return LQ_F16;
    return strcmp(text, "bfloat16") ? 0 : LQ_BF16;
}

static int power_of_two(int64_t v, int64_t lo, int64_t hi)
{
    return v >= lo && v <= hi && !(v & (v - 1));
}

/* Members of a nested state: block size and offset. */
static lq_status read_nested(lqi_scan *scan, state *s, json_t *root)
{
    json_t *offset = json_object_get(root, "nested_offset");
    lq_status st = lqi_json_int(scan, s->anchor, root, "nested_blocksize",
                                &s->nested_blocksize);

    if (st)
        return st;
    s->nested = offset != NULL || s->nested_blocksize != 0;
    if (!s->nested)
        return LQ_OK;
    if (!json_is_number(offset) || !power_of_two(s->nested_blocksize, 2, 1 << 20))
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_CORRUPT,
                             "'nested_blocksize' or 'nested_offset' is missing or illegal");
    s->offset = (float)json_number_value(offset);
    if (!lqi_finite(s->offset))
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_NONFINITE, "'nested_offset' overflows");
    return LQ_OK;
}

static lq_status read_members(lqi_scan *scan, state *s, json_t *root, lqi_weight *w)
{
    const char *type = lqi_json_text(root, "quant_type");
    const char *config = lqi_json_text(scan->quant, "bnb_4bit_quant_type");
    lq_status st;

    if (!json_is_object(root))
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_CORRUPT, "not a JSON object");
    if (!type || strcmp(type, s->type))
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_MISMATCH,
                             "its name says %s, 'quant_type' says %s", s->type,
                             type ? type : "nothing");
    if (config && !strcmp(scan->method, "bitsandbytes") && strcmp(config, type))
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_MISMATCH,
                             "the config says %s, the tensor's 'quant_type' %s", config, type);
    st = lqi_json_int(scan, s->anchor, root, "blocksize", &s->blocksize);
    if (!st && !power_of_two(s->blocksize, 32, 4096))
        st = lqi_scan_fail(scan, s->anchor, LQ_ERR_CORRUPT,
                           "'blocksize' %lld is not a power of two from 32 to 4096",
                           (long long)s->blocksize);
    w->dtype = dtype_of(lqi_json_text(root, "dtype"));
    if (!st)
        st = read_shape(scan, s, root, w);
    return st ? st : read_nested(scan, s, root);
}

static lq_status read_state(lqi_scan *scan, state *s, lqi_weight *w)
{
    const lqi_entry *e = lqi_scan_entry(scan, s->anchor);
    json_error_t json_error;
    void *text = NULL;
    json_t *root;
    lq_status st;

    if (e->dtype != LQ_U8 || e->bytes > 65536)
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_CORRUPT, "not U8 text of a quant state");
    st = lqi_tensor_bytes(scan->cp->ctx, scan->file, s->anchor, &text, scan->error);
    if (st)
        return st;
    root = json_loadb(text, (size_t)e->bytes, JSON_REJECT_DUPLICATES, &json_error);
    lqi_free(lqi_ctx_allocator(scan->cp->ctx), text);
    if (!root && json_error_code(&json_error) == json_error_out_of_memory)
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_NOMEM, "no memory for its JSON");
    if (!root)
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_CORRUPT, "not JSON: %s",
                             json_error.text);
    st = read_members(scan, s, root, w);
    json_decref(root);
    return st;
}

/* ------------------------------------------------------------------- 4 bits */

/* The stored table must be the one that the type's name stands for. */
static lq_status check_table(lqi_scan *scan, uint64_t index, const float *table, size_t n)
{
    uint8_t raw[1024];
    lq_status st = lqi_scan_expect(scan, index, LQ_F32, n);

    if (!st)
        st = lq_file_read(scan->file, index, 0, raw, 4 * n, scan->error);
    for (size_t i = 0; i < n && !st; i++) {
        float v = lqi_bits_float(lqi_load32(raw + 4 * i));
        if (!lqi_finite(v))
            return lqi_scan_fail(scan, index, LQ_ERR_NONFINITE, "value %zu is not finite", i);
        if (v != table[i])
            return lqi_scan_fail(scan, index, LQ_ERR_MISMATCH,
                                 "value %zu is not that of the table it stands for", i);
    }
    return st;
}

static lq_status claim_map(lqi_scan *scan, const state *s, lqi_weight *w, const char *suffix,
                           const float *table, size_t n)
{
    uint64_t map;
    lq_status st = lqi_scan_need(scan, s->anchor, s->base, suffix, &map);

    if (!st)
        st = check_table(scan, map, table, n);
    if (!st)
        lqi_scan_part(scan, w, LQI_PART_USED, map);
    return st;
}

static lq_status claim_nested(lqi_scan *scan, const state *s, lqi_weight *w, uint64_t blocks)
{
    uint8_t *offset = lqi_arena_alloc(&scan->cp->arena, 4);
    uint64_t scale2;
    lq_status st = lqi_scan_need(scan, s->anchor, s->base, ".nested_absmax", &scale2);

    if (st)
        return st;
    if (!offset)
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_NOMEM, "no memory for its offset");
    st = lqi_scan_expect(scan, scale2, LQ_F32,
                         lqi_div_up(blocks, (uint64_t)s->nested_blocksize));
    if (st)
        return st;
    lqi_store32(offset, lqi_float_bits(s->offset));
    lqi_scan_part(scan, w, LQ_PLANE_SCALE2, scale2);
    lqi_scan_memory(w, LQ_PLANE_OFFSET, offset, 4);
    return claim_map(scan, s, w, ".nested_quant_map", lqi_dynamic8, 256);
}

static lq_status claim_all(lqi_scan *scan, const state *s, lqi_weight *w)
{
    const lqi_format *format = lqi_format_by_name(s->type);
    uint64_t codes, absmax, blocks = lqi_div_up(s->count, (uint64_t)s->blocksize);
    lq_status st = lqi_scan_need(scan, s->anchor, s->base, "", &codes);

    if (!st)
        st = lqi_scan_need(scan, s->anchor, s->base, ".absmax", &absmax);
    if (!st)
        st = lqi_scan_expect(scan, absmax, s->nested ? LQ_U8 : LQ_F32, blocks);
    if (st)
        return st;
    lqi_scan_part(scan, w, LQ_PLANE_CODES, codes);
    lqi_scan_part(scan, w, LQ_PLANE_SCALES, absmax);
    lqi_scan_part(scan, w, LQI_PART_USED, s->anchor);
    st = claim_map(scan, s, w, ".quant_map", format->table, 16);
    return st || !s->nested ? st : claim_nested(scan, s, w, blocks);
}

/* Blocks run through the whole tensor, so leading dimensions are rows of one matrix. */
static lq_status flatten(lqi_scan *scan, state *s, lqi_weight *w)
{
    if (lqi_shape_of(w->n_dims, w->dims, &w->shape) ||
        !lqi_mul(w->shape.outer, w->shape.rows, &w->shape.rows) ||
        !lqi_mul(w->shape.rows, w->shape.cols, &s->count))
        return lqi_scan_fail(scan, s->anchor, LQ_ERR_OVERFLOW, "its shape does not fit");
    w->shape.outer = 1;
    return LQ_OK;
}

static lq_status take_4bit(lqi_scan *scan, uint64_t anchor, size_t base, const char *type)
{
    state s = { .type = type, .anchor = anchor, .base = base };
    char spec[LQ_SPEC_TEXT];
    lqi_weight *w;
    lq_status st = lqi_scan_add(scan, &lqi_dialect_bitsandbytes,
                                lqi_scan_entry(scan, anchor)->name, base, LQ_PLANES, &w);

    if (!st)
        st = read_state(scan, &s, w);
    if (!st)
        st = flatten(scan, &s, w);
    if (!st)
        st = claim_all(scan, &s, w);
    if (st)
        return st;
    snprintf(spec, sizeof spec, "%s:b%d", type, (int)s.blocksize);
    if (s.nested)
        snprintf(spec, sizeof spec, "%s:b%d:dq%d", type, (int)s.blocksize,
                 (int)s.nested_blocksize);
    return lqi_scan_finish(scan, w, spec);
}

static lq_status take_nf4(lqi_scan *scan, uint64_t anchor, size_t base)
{
    return take_4bit(scan, anchor, base, "nf4");
}

static lq_status take_fp4(lqi_scan *scan, uint64_t anchor, size_t base)
{
    return take_4bit(scan, anchor, base, "fp4");
}

/* ------------------------------------------------------------------- 8 bits */

static lq_status claim_format(lqi_scan *scan, uint64_t scb, size_t base, lqi_weight *w)
{
    uint64_t format;
    uint8_t value = 0;
    lq_status st = lqi_scan_find(scan, lqi_scan_entry(scan, scb)->name, base,
                                 ".weight_format", &format);

    if (st || format == LQI_NONE)
        return st;
    st = lqi_scan_expect(scan, format, LQ_U8, 1);
    if (!st)
        st = lq_file_read(scan->file, format, 0, &value, 1, scan->error);
    if (!st && value)
        st = lqi_scan_fail(scan, format, LQ_ERR_UNSUPPORTED,
                           "weight format %u, only 0 (row-major) is known", value);
    if (!st)
        lqi_scan_part(scan, w, LQI_PART_USED, format);
    return st;
}

static lq_status take_int8(lqi_scan *scan, uint64_t scb, size_t base)
{
    const char *name = lqi_scan_entry(scan, scb)->name;
    const lqi_entry *e;
    uint64_t codes;
    lqi_weight *w;
    lq_status st = lqi_scan_need(scan, scb, base, ".weight", &codes);

    if (st)
        return st;
    e = lqi_scan_entry(scan, codes);
    st = lqi_scan_add(scan, &lqi_dialect_bitsandbytes, e->name, strlen(e->name), 3, &w);
    if (!st && e->n_dims != 2)
        st = lqi_scan_fail(scan, codes, LQ_ERR_SHAPE, "not a matrix, but '%s' scales it", name);
    if (!st)
        st = lqi_scan_expect(scan, codes, LQ_I8, e->bytes);
    if (!st)
        st = lqi_scan_expect(scan, scb, LQ_F32, e->dims[0]);
    if (st)
        return st;
    w->n_dims = 2;
    memcpy(w->dims, e->dims, sizeof w->dims);
    w->dtype = LQ_F16;
    lqi_scan_part(scan, w, LQ_PLANE_CODES, codes);
    lqi_scan_part(scan, w, LQ_PLANE_SCALES, scb);
    st = claim_format(scan, scb, base, w);
    return st ? st : lqi_scan_finish(scan, w, "llm_int8");
}

/* --------------------------------------------------------------------- scan */

static lq_status scan(lqi_scan *scan)
{
    lq_status st = lqi_scan_each(scan, STATE "nf4", take_nf4);

    if (!st)
        st = lqi_scan_each(scan, STATE "fp4", take_fp4);
    return st ? st : lqi_scan_each(scan, ".SCB", take_int8);
}

static lq_status left(lqi_scan *scan, uint64_t index)
{
    static const char *const companions[] = {
        ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax",
        ".weight.nested_quant_map"
    };

    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++)
        if (lqi_scan_base(lqi_scan_entry(scan, index)->name, companions[i]))
            return lqi_scan_fail(scan, index, LQ_ERR_NOTFOUND,
                                 "its quant_state.bitsandbytes__nf4 or __fp4 is missing");
    return LQ_OK;
}

const lqi_dialect lqi_dialect_bitsandbytes = {
    .name = "bitsandbytes",
    .containers = LQI_IN_SAFETENSORS,
    .scan = scan,
    .left = left,
    .can_hold = lqi_bnb_can_hold,
    .declare = lqi_bnb_declare,
    .store = lqi_bnb_store,
    .config = lqi_bnb_config,
};
