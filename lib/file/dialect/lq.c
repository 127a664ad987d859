/* SPDX-License-Identifier: MIT */
/*
 * lib/file/dialect/lq.c - any spec in safetensors, for formats without a dialect of
 * their own
 *
 *   tensor     NAME.lq.PLANE      U8 [bytes], one per plane that the spec has
 *              NAME.lq.codebook   F32 [values], specs with a codebook
 *   metadata   lq.spec.NAME       "SPEC DTYPE DIMS"
 *
 * SPEC is the spec's text, DTYPE the element type before quantization ("-": unknown),
 * DIMS the logical dimensions, outermost first: "nf4:b64:dq bf16 32x128" ("-": a scalar).
 */
#include <stdio.h>

#include "lib/core/core.h"
#include "lib/file/dialect/dialect.h"

#define KEY "lq.spec."
#define CODES ".lq.codes"

/* ------------------------------------------------------------------ reading */

static lq_dtype dtype_of(const char *name, size_t bytes)
{
    for (lq_dtype t = LQ_F32; t <= LQ_BOOL; t++) {
        const char *known = lq_dtype_name(t);
        if (known && strlen(known) == bytes && !memcmp(known, name, bytes))
            return t;
    }
    return 0;
}

/* "32x128" to dims; 0 if it is anything else. */
static int parse_dims(const char *text, lqi_weight *w)
{
    w->n_dims = 0;
    if (!strcmp(text, "-"))
        return 1;
    for (;;) {
        uint64_t v = 0;
        const char *start = text;
        while (*text >= '0' && *text <= '9')
            if (!lqi_mul(v, 10, &v) || !lqi_add(v, (uint64_t)(*text++ - '0'), &v))
                return 0;
        if (text == start || w->n_dims == LQ_MAX_DIMS)
            return 0;
        w->dims[w->n_dims++] = v;
        if (!*text)
            return 1;
        if (*text++ != 'x')
            return 0;
    }
}

/* Cut "SPEC DTYPE DIMS" up; the spec's text goes to 'spec'. */
static int parse_key(const char *text, lqi_weight *w, char spec[LQ_SPEC_TEXT])
{
    const char *a = strchr(text, ' '), *b = a ? strchr(a + 1, ' ') : NULL;

    if (!b || a - text >= LQ_SPEC_TEXT)
        return 0;
    memcpy(spec, text, (size_t)(a - text));
    spec[a - text] = 0;
    w->dtype = dtype_of(a + 1, (size_t)(b - a - 1));
    return parse_dims(b + 1, w);
}

static lq_status read_codebook(lqi_scan *scan, lqi_weight *w, uint64_t index)
{
    const lqi_entry *e = lqi_scan_entry(scan, index);
    float values[256];
    uint8_t raw[1024];
    lq_status st;

    if (e->dtype != LQ_F32 || e->bytes < 8 || e->bytes > sizeof raw)
        return lqi_scan_fail(scan, index, LQ_ERR_CORRUPT, "not 2 to 256 f32 values");
    st = lq_file_read(scan->file, index, 0, raw, e->bytes, scan->error);
    if (st)
        return st;
    for (size_t i = 0; i < e->bytes / 4; i++)
        values[i] = lqi_bits_float(lqi_load32(raw + 4 * i));
    st = lq_codebook_create(scan->cp->ctx, values, (size_t)(e->bytes / 4), &w->codebook, NULL);
    lqi_scan_part(scan, w, LQI_PART_USED, index);
    return st ? lqi_scan_fail(scan, index, st, "%s", lq_status_text(st)) : LQ_OK;
}

static lq_status claim_planes(lqi_scan *scan, lqi_weight *w, uint64_t codes, size_t base)
{
    const char *name = lqi_scan_entry(scan, codes)->name;
    char suffix[32];
    uint64_t found;
    lq_status st = LQ_OK;

    lqi_scan_part(scan, w, LQ_PLANE_CODES, codes);
    for (int p = 1; p < LQ_PLANES && !st; p++) {
        if (!lq_plane_name(p))
            continue;
        snprintf(suffix, sizeof suffix, ".lq.%s", lq_plane_name(p));
        st = lqi_scan_find(scan, name, base, suffix, &found);
        if (!st && found != LQI_NONE)
            lqi_scan_part(scan, w, p, found);
    }
    if (!st)
        st = lqi_scan_find(scan, name, base, ".lq.codebook", &found);
    if (!st && found != LQI_NONE)
        st = read_codebook(scan, w, found);
    return st;
}

static lq_status take(lqi_scan *scan, uint64_t codes, size_t base)
{
    const char *name = lqi_scan_entry(scan, codes)->name, *text = NULL;
    char spec[LQ_SPEC_TEXT];
    lq_meta meta = LQ_META_INIT;
    uint64_t bytes = 0;
    lqi_weight *w;
    lq_status st = lqi_scan_add(scan, &lqi_dialect_lq, name, base, LQ_PLANES + 1, &w);
    char *key;

    if (st)
        return st;
    key = lqi_arena_alloc(&scan->cp->arena, base + sizeof KEY);
    if (!key)
        return lqi_scan_fail(scan, codes, LQ_ERR_NOMEM, "no memory for its key");
    memcpy(key, KEY, sizeof KEY - 1);
    memcpy(key + sizeof KEY - 1, w->name, base + 1);
    if (lq_file_meta_find(scan->file, key, &meta) ||
        lq_file_meta_string(scan->file, &meta, 0, &text, &bytes))
        return lqi_scan_fail(scan, codes, LQ_ERR_NOTFOUND,
                             "the metadata has no '" KEY "' key for it");
    if (!parse_key(text, w, spec))
        return lqi_scan_fail(scan, codes, LQ_ERR_CORRUPT,
                             "its '" KEY "' is not 'SPEC DTYPE DIMS'");
    st = claim_planes(scan, w, codes, base);
    return st ? st : lqi_scan_finish(scan, w, spec);
}

/* Each key has its weight. */
static lq_status check_keys(lqi_scan *scan)
{
    for (uint64_t i = 0; i < scan->file->key_count; i++) {
        const char *key = scan->file->keys[i].key;
        lqi_where where = { lq_file_path(scan->file), NULL, LQ_NO_OFFSET };
        const char *name;
        uint64_t index;
        if (strncmp(key, KEY, sizeof KEY - 1))
            continue;
        where.name = key + sizeof KEY - 1;
        name = lqi_scan_name(scan, where.name, strlen(where.name), CODES);
        if (!name)
            return lqi_fail(scan->error, LQ_ERR_NOMEM, NULL, "no memory for a name");
        if (!lqi_names_find(scan->file->entry_names, name, &index))
            return lqi_fail(scan->error, LQ_ERR_NOTFOUND, &where,
                            "announced in the metadata, but its codes are missing");
    }
    return LQ_OK;
}

static lq_status scan(lqi_scan *scan)
{
    lq_status st = check_keys(scan);

    return st ? st : lqi_scan_each(scan, CODES, take);
}

static lq_status left(lqi_scan *scan, uint64_t index)
{
    char suffix[32];

    for (int p = 0; p < LQ_PLANES; p++) {
        snprintf(suffix, sizeof suffix, ".lq.%s", lq_plane_name(p) ? lq_plane_name(p) : "?");
        if (lqi_scan_base(lqi_scan_entry(scan, index)->name, suffix))
            return lqi_scan_fail(scan, index, LQ_ERR_NOTFOUND, "its codes are missing");
    }
    return LQ_OK;
}

/* ------------------------------------------------------------------ writing */

static int can_hold(const lqi_out *out)
{
    (void)out;
    return 1;
}

static lq_status put_key(lqi_out *out)
{
    char text[LQ_SPEC_TEXT + 24 + 21 * LQ_MAX_DIMS];
    lqi_buffer key = { .allocator = lqi_ctx_allocator(out->ctx) };
    const char *dtype = lq_dtype_name(out->dtype);
    lq_status st = lq_spec_print(&out->spec, text, LQ_SPEC_TEXT);
    size_t n;

    if (st)
        return lqi_fail(out->error, st, NULL, "%s", lq_status_text(st));
    n = strlen(text);
    n += (size_t)snprintf(text + n, sizeof text - n, " %s ", dtype ? dtype : "-");
    if (!out->n_dims)
        snprintf(text + n, sizeof text - n, "-");
    for (uint32_t i = 0; i < out->n_dims; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%llu", i ? "x" : "",
                              (unsigned long long)out->dims[i]);
    lqi_buffer_text(&key, KEY);
    lqi_buffer_text(&key, out->name);
    lqi_buffer_put(&key, "", 1);
    st = key.failed ? LQ_ERR_NOMEM
                    : lq_writer_meta_string(out->writer, (const char *)key.data, text);
    lqi_buffer_free(&key);
    return st ? lqi_fail(out->error, st, NULL, "%s", lq_status_text(st)) : LQ_OK;
}

static lq_status declare(lqi_out *out)
{
    char suffix[32];
    lq_status st = put_key(out);

    for (int p = 0; p < LQ_PLANES && !st; p++) {
        if (p != LQ_PLANE_CODES && !out->bytes[p])
            continue;
        snprintf(suffix, sizeof suffix, ".lq.%s", lq_plane_name(p));
        st = lqi_out_declare(out, out->name, suffix, LQ_U8, 1, &out->bytes[p],
                             &out->tensor[p]);
    }
    out->main = out->tensor[LQ_PLANE_CODES];
    if (!st && out->spec.codebook) {
        uint64_t count = lq_codebook_count(out->spec.codebook);
        st = lqi_out_declare(out, out->name, ".lq.codebook", LQ_F32, 1, &count,
                             &out->extra[0]);
    }
    return st;
}

static lq_status store(lqi_out *out)
{
    const float *values = lq_codebook_values(out->spec.codebook);
    uint64_t count = lq_codebook_count(out->spec.codebook);
    uint8_t raw[1024];

    for (uint64_t i = 0; i < count; i++)
        lqi_store32(raw + 4 * i, lqi_float_bits(values[i]));
    return count ? lqi_out_write(out, out->extra[0], raw, 4 * count) : LQ_OK;
}

const lqi_dialect lqi_dialect_lq = {
    .name = "lq",
    .containers = LQI_IN_SAFETENSORS,
    .scan = scan,
    .left = left,
    .can_hold = can_hold,
    .declare = declare,
    .store = store,
};
