/* SPDX-License-Identifier: MIT */
/*
 * lib/format/registry.c - the list of formats and how it is searched
 */
#include <math.h>

#include "lib/format/format.h"

const lqi_format *const lqi_formats[LQI_FORMATS] = {
#define LQI_FORMAT(name) &lqi_format_##name,
#include "lib/format/formats.def"
#undef LQI_FORMAT
};

/* ---------------------------------------------------------------- internal */

/* ASCII only: the names are, and a locale must not change what a file means. */
static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static int same_name(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) == lower(*b);
}

const lqi_format *lqi_format_by_id(lq_format id)
{
    for (int i = 0; i < LQI_FORMATS; i++)
        if (lqi_formats[i]->id == id)
            return lqi_formats[i];
    return NULL;
}

const lqi_format *lqi_format_by_name(const char *name)
{
    for (int i = 0; name && i < LQI_FORMATS; i++)
        if (same_name(lqi_formats[i]->name, name))
            return lqi_formats[i];
    return NULL;
}

const lqi_format *lqi_format_by_gguf(uint32_t type)
{
    for (int i = 0; i < LQI_FORMATS; i++)
        if (lqi_formats[i]->gguf >= 0 && (uint32_t)lqi_formats[i]->gguf == type)
            return lqi_formats[i];
    return NULL;
}

const lqi_format *lqi_format_by_dtype(lq_dtype type)
{
    for (int i = 0; i < LQI_FORMATS; i++)
        if (type && lqi_formats[i]->dtype == type)
            return lqi_formats[i];
    return NULL;
}

void lqi_encode_block(const lqi_format *f, const lqi_fit *in, void *block)
{
    _Alignas(16) uint8_t param[LQI_PARAM_MAX] = { 0 };
    uint32_t codes[LQI_BLOCK_MAX];

    if (f->encode) {
        f->encode(in, block);
        return;
    }
    if (f->fit)
        f->fit(in, param);
    f->round(in, param, codes);
    f->pack(param, codes, block);
}

static void encode_blocks(const lqi_format *f, const lqi_encode_run *run,
                          const lqi_search *search)
{
    lqi_fit in = { .spec = run->spec, .n = f->block_len, .row_ms = run->row_ms,
                   .row = run->row, .grids = run->grids, .search = search };
    uint8_t *block = run->codes;

    for (size_t i = 0; i < run->n; i += f->block_len, block += f->block_bytes) {
        in.x = run->x + i;
        in.imp = run->imp ? run->imp + i : NULL;
        lqi_encode_block(f, &in, block);
    }
}

#define CHUNK 256   /* codes at a time */

static void encode_plain_group(const lqi_format *f, const lqi_encode_run *run, size_t at,
                               size_t n, lqi_group *group)
{
    lqi_fit in = { .spec = run->spec, .grids = run->grids, .partial = n < run->group };
    float lo = INFINITY, hi = -INFINITY;
    uint32_t codes[CHUNK];

    for (size_t i = at; i < at + n; i++) {
        lo = run->x[i] < lo ? run->x[i] : lo;
        hi = run->x[i] > hi ? run->x[i] : hi;
    }
    lqi_group_from_range(f, run->spec, lo, hi, group);
    for (size_t i = 0; i < n && run->codes; i += CHUNK) {
        in.x = run->x + at + i;
        in.n = n - i < CHUNK ? n - i : CHUNK;
        f->round(&in, group, codes);
        lqi_codes_write(run->codes, lqi_spec_bits(f, run->spec), f->order, run->first + at + i,
                        in.n, codes);
    }
}

void lqi_encode_search(const lqi_encode_run *run)
{
    encode_blocks(lqi_format_by_id(run->spec->format), run, &run->kernels->search);
}

void lqi_encode_plain(const lqi_encode_run *run)
{
    const lqi_format *f = lqi_format_by_id(run->spec->format);
    lqi_group group = { .global = run->global };
    size_t n;

    if (f->storage == LQ_BLOCKED) {
        encode_blocks(f, run, NULL);
        return;
    }
    for (size_t at = 0, g = 0; at < run->n; at += n, g++) {
        n = (size_t)lqi_min(run->group, run->n - at);
        encode_plain_group(f, run, at, n, &group);
        run->scale[g] = group.scale;
        if (run->zero)
            run->zero[g] = group.zero;
    }
}

int lqi_format_index(const lqi_format *format)
{
    for (int i = 0; i < LQI_FORMATS; i++)
        if (lqi_formats[i] == format)
            return i;
    return -1;
}

/* ------------------------------------------------------------------ public */

void lq_format_info_init(lq_format_info *info)
{
    const lq_format_info init = LQ_FORMAT_INFO_INIT;

    if (info)
        *info = init;
}

/* Write what the caller's struct has room for; a longer one keeps its unknown tail. */
static lq_status describe(const lqi_format *f, lq_format_info *info)
{
    int planar = f->storage == LQ_PLANAR;
    lq_format_info full = {
        .struct_size  = info->struct_size,
        .id           = f->id,
        .storage      = f->storage,
        .name         = f->name,
        .text         = f->text,
        .block_len    = planar ? 1 : f->block_len,
        .block_bytes  = planar ? 0 : f->block_bytes,
        .row_bytes    = f->row_bytes,
        .bits         = f->bits,
        .unit         = f->unit,
        .gguf_type    = f->gguf,
        .default_spec = f->default_spec ? f->default_spec : f->name, .dtype = f->dtype,
    };

    memcpy(info, &full, (size_t)lqi_min(info->struct_size, sizeof full));
    return LQ_OK;
}

size_t lq_format_count(void)
{
    return LQI_FORMATS;
}

lq_status lq_format_at(size_t index, lq_format_info *info)
{
    if (!info || info->struct_size < sizeof info->struct_size || index >= LQI_FORMATS)
        return LQ_ERR_ARG;
    return describe(lqi_formats[index], info);
}

lq_status lq_format_get(lq_format id, lq_format_info *info)
{
    const lqi_format *format = lqi_format_by_id(id);

    if (!info || info->struct_size < sizeof info->struct_size)
        return LQ_ERR_ARG;
    return format ? describe(format, info) : LQ_ERR_NOTFOUND;
}

lq_status lq_format_find(const char *name, lq_format_info *info)
{
    const lqi_format *format = lqi_format_by_name(name);

    if (!name || !info || info->struct_size < sizeof info->struct_size)
        return LQ_ERR_ARG;
    return format ? describe(format, info) : LQ_ERR_NOTFOUND;
}
