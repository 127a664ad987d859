/* SPDX-License-Identifier: MIT */
/*
 * lib/file/scan.c - what dialects use to recognise weights among raw tensors
 */
#include <stdarg.h>
#include <stdio.h>

#include "lib/file/dialect/dialect.h"

const lqi_entry *lqi_scan_entry(const lqi_scan *scan, uint64_t index)
{
    return &scan->file->entries[index];
}

lq_status lqi_scan_fail(lqi_scan *scan, uint64_t index, lq_status status,
                        const char *format, ...)
{
    lqi_where where = lqi_entry_where(scan->file, lqi_scan_entry(scan, index));
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return lqi_fail(scan->error, status, &where, "%s", text);
}

size_t lqi_scan_base(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);

    if (n <= s || memcmp(name + n - s, suffix, s))
        return 0;
    return n - s;
}

const char *lqi_scan_name(lqi_scan *scan, const char *base, size_t base_bytes,
                          const char *suffix)
{
    const lq_allocator *a = lqi_ctx_allocator(scan->cp->ctx);
    size_t s = strlen(suffix);
    uint64_t need = (uint64_t)base_bytes + s + 1;

    if (need > scan->scratch_bytes) {
        char *bigger = lqi_alloc(a, 2 * need);
        if (!bigger)
            return NULL;
        lqi_free(a, scan->scratch);
        scan->scratch = bigger;
        scan->scratch_bytes = 2 * need;
    }
    memcpy(scan->scratch, base, base_bytes);
    memcpy(scan->scratch + base_bytes, suffix, s + 1);
    return scan->scratch;
}

lq_status lqi_scan_find(lqi_scan *scan, const char *base, size_t base_bytes,
                        const char *suffix, uint64_t *index)
{
    const char *name = lqi_scan_name(scan, base, base_bytes, suffix);
    uint64_t found;

    if (!name)
        return lqi_fail(scan->error, LQ_ERR_NOMEM, NULL, "no memory for a tensor's name");
    *index = LQI_NONE;
    if (lqi_names_find(scan->file->entry_names, name, &found) && !scan->claimed[found])
        *index = found;
    return LQ_OK;
}

lq_status lqi_scan_need(lqi_scan *scan, uint64_t anchor, size_t base_bytes,
                        const char *suffix, uint64_t *index)
{
    uint64_t found = LQI_NONE;
    lq_status st = lqi_scan_find(scan, lqi_scan_entry(scan, anchor)->name, base_bytes,
                                 suffix, &found);
    if (st)
        return st;
    if (found == LQI_NONE)
        return lqi_scan_fail(scan, anchor, LQ_ERR_NOTFOUND,
                             "its companion with the ending '%s' is missing", suffix);
    *index = found;
    return LQ_OK;
}

lq_status lqi_scan_expect(lqi_scan *scan, uint64_t index, lq_dtype dtype, uint64_t count)
{
    const lqi_entry *e = lqi_scan_entry(scan, index);
    uint64_t size = lq_dtype_bytes(dtype), bytes;
    const char *have = lq_dtype_name(e->dtype);

    if (e->dtype != dtype)
        return lqi_scan_fail(scan, index, LQ_ERR_CORRUPT, "element type is %s, not %s",
                             have ? have : "a block format", lq_dtype_name(dtype));
    if (!lqi_mul(size, count, &bytes) || e->bytes != bytes)
        return lqi_scan_fail(scan, index, LQ_ERR_SHAPE,
                             "%llu elements where the weight needs %llu",
                             (unsigned long long)(e->bytes / size),
                             (unsigned long long)count);
    return LQ_OK;
}

/* Old files of compressed-tensors say -1 everywhere where there is no order. */
lq_status lqi_scan_order(lqi_scan *scan, uint64_t index, uint64_t cols, uint64_t group,
                         int *permuted)
{
    uint64_t groups = lqi_div_up(cols, group), bad = LQI_NONE, unset = 0;
    void *memory = NULL;
    lq_status st = lqi_scan_expect(scan, index, LQ_I32, cols);

    if (!st)
        st = lqi_tensor_bytes(scan->cp->ctx, scan->file, index, &memory, scan->error);
    if (st)
        return st;
    *permuted = 0;
    for (uint64_t i = 0; i < cols; i++) {
        uint32_t g = lqi_load32((const uint8_t *)memory + 4 * i);
        unset += g == UINT32_MAX;
        if (g >= groups && bad == LQI_NONE)
            bad = i;
        *permuted |= g != i / group;
    }
    lqi_free(lqi_ctx_allocator(scan->cp->ctx), memory);
    if (unset == cols)
        *permuted = 0;
    else if (bad != LQI_NONE)
        return lqi_scan_fail(scan, index, LQ_ERR_CORRUPT, "column %llu belongs to no group",
                             (unsigned long long)bad);
    return LQ_OK;
}

static lq_status grow(lq_checkpoint *cp, lq_error *error)
{
    const lq_allocator *a = lqi_ctx_allocator(cp->ctx);
    uint64_t capacity = cp->capacity ? 2 * cp->capacity : 64, bytes;
    lqi_weight *bigger = NULL;

    if (lqi_mul(capacity, sizeof *bigger, &bytes))
        bigger = lqi_alloc(a, bytes);
    if (!bigger)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for %llu weights",
                        (unsigned long long)capacity);
    if (cp->count)
        memcpy(bigger, cp->weights, (size_t)(cp->count * sizeof *bigger));
    lqi_free(a, cp->weights);
    cp->weights = bigger;
    cp->capacity = capacity;
    return LQ_OK;
}

lq_status lqi_scan_add(lqi_scan *scan, const lqi_dialect *dialect, const char *name,
                       size_t name_bytes, uint32_t max_parts, lqi_weight **weight)
{
    lq_checkpoint *cp = scan->cp;
    lq_status st = cp->count == cp->capacity ? grow(cp, scan->error) : LQ_OK;
    lqi_weight *w;

    if (st)
        return st;
    w = &cp->weights[cp->count];
    memset(w, 0, sizeof *w);
    lq_spec_init(&w->spec);
    w->dialect = dialect;
    w->first = LQI_NONE;
    w->name = lqi_arena_text(&cp->arena, name, name_bytes);
    w->parts = lqi_arena_alloc(&cp->arena, max_parts * sizeof *w->parts);
    if (!w->name || !w->parts)
        return lqi_fail(scan->error, LQ_ERR_NOMEM, NULL, "no memory for a weight");
    cp->count++;
    *weight = w;
    return LQ_OK;
}

void lqi_scan_part(lqi_scan *scan, lqi_weight *w, int plane, uint64_t tensor)
{
    w->parts[w->part_count++] = (lqi_part){ plane, tensor, NULL,
                                            lqi_scan_entry(scan, tensor)->bytes };
    scan->claimed[tensor] = 1;
    if (w->first == LQI_NONE)
        w->first = tensor;
}

void lqi_scan_memory(lqi_weight *w, int plane, const void *memory, uint64_t bytes)
{
    w->parts[w->part_count++] = (lqi_part){ plane, LQI_NONE, memory, bytes };
}

static lq_status check_plane(lqi_scan *scan, lqi_weight *w, int plane, int imported)
{
    const lqi_part *part = lqi_weight_part(w, plane);
    uint64_t want = 0;
    lq_status st = lq_plane_bytes(&w->spec, plane, &w->shape, &want);

    if (st)
        return lqi_scan_fail(scan, w->first, st, "%s", lq_status_text(st));
    if (!lqi_add(w->bytes, want, &w->bytes))
        return lqi_scan_fail(scan, w->first, LQ_ERR_OVERFLOW, "its size does not fit");
    if (imported || (!part && !want))
        return LQ_OK;
    if (!part || part->bytes != want)
        return lqi_scan_fail(scan, part && part->tensor != LQI_NONE ? part->tensor : w->first,
                             LQ_ERR_SHAPE, "%llu bytes where the plane '%s' needs %llu",
                             (unsigned long long)(part ? part->bytes : 0),
                             lq_plane_name(plane), (unsigned long long)want);
    return LQ_OK;
}

lq_status lqi_scan_finish(lqi_scan *scan, lqi_weight *w, const char *spec_text)
{
    int imported = 0;
    lq_status st = lq_spec_parse(spec_text, &w->spec, NULL);

    if (st)
        return lqi_scan_fail(scan, w->first, LQ_ERR_UNSUPPORTED,
                             "stored as '%s', which this build cannot hold", spec_text);
    w->spec.codebook = w->codebook;
    if (!w->shape.outer && !w->shape.rows && !w->shape.cols)
        st = lqi_shape_of(w->n_dims, w->dims, &w->shape);
    if (st)
        return lqi_scan_fail(scan, w->first, st, "its size does not fit");
    for (uint32_t i = 0; i < w->part_count; i++)
        imported |= w->parts[i].plane >= LQI_PART_ARRAY && w->parts[i].plane < LQI_PART_USED;
    w->bytes = 0;
    for (int p = 0; p < LQ_PLANES && !st; p++)
        st = check_plane(scan, w, p, imported);
    return st;
}

lq_status lqi_scan_each(lqi_scan *scan, const char *suffix,
                        lq_status (*fn)(lqi_scan *scan, uint64_t index, size_t base))
{
    lq_status st = LQ_OK;

    for (uint64_t i = 0; i < scan->file->entry_count && !st; i++) {
        size_t base = scan->claimed[i] ? 0 : lqi_scan_base(lqi_scan_entry(scan, i)->name,
                                                           suffix);
        if (base)
            st = fn(scan, i, base);
    }
    return st;
}
