/* SPDX-License-Identifier: MIT */
/*
 * lib/file/checkpoint.c - lq_checkpoint_*: the weights of a file
 */
#include <stdlib.h>

#ifdef LQI_HAVE_JSON
#include <jansson.h>
#endif

#include "lib/core/core.h"
#include "lib/file/dialect/dialect.h"

const lq_allocator *lqi_ctx_allocator(const lq_ctx *ctx)
{
    return &ctx->allocator;
}

/* ------------------------------------------------------------------ weights */

lq_status lqi_shape_of(uint32_t n_dims, const uint64_t *dims, lq_shape *shape)
{
    lq_shape s = { 1, 1, n_dims ? dims[n_dims - 1] : 1 };

    if (n_dims >= 2)
        s.rows = dims[n_dims - 2];
    for (uint32_t i = 0; i + 2 < n_dims; i++)
        if (!lqi_mul(s.outer, dims[i], &s.outer))
            return LQ_ERR_OVERFLOW;
    *shape = s;
    return LQ_OK;
}

int lqi_rows_alone(const lq_spec *spec)
{
    const lqi_format *f = lqi_format_by_id(spec->format);

    return f && f->storage == LQ_BLOCKED;
}

const lqi_part *lqi_weight_part(const lqi_weight *w, int plane)
{
    for (uint32_t i = 0; i < w->part_count; i++)
        if (w->parts[i].plane == plane)
            return &w->parts[i];
    return NULL;
}

void lqi_weight_describe(const lqi_weight *w, lq_weight *out)
{
    lq_weight_init(out);
    out->name = w->name;
    out->spec = w->spec.format ? &w->spec : NULL;
    out->dialect = w->dialect->name;
    out->dtype = w->dtype;
    out->n_dims = w->n_dims;
    memcpy(out->dims, w->dims, sizeof out->dims);
    out->shape = w->shape;
    out->bytes = w->bytes;
    out->note = w->note ? w->note : "";
}

void lq_weight_init(lq_weight *weight)
{
    if (!weight)
        return;
    memset(weight, 0, sizeof *weight);
    weight->struct_size = sizeof *weight;
}

/* --------------------------------------------------------------------- scan */

static lq_status scan_config(lqi_scan *scan, struct json_t **root)
{
#ifdef LQI_HAVE_JSON
    lq_status st = lqi_config_parse(scan->file, root, scan->error);
    json_t *method = NULL;

    if (!st)
        st = lqi_config_quant(root, scan->file, &scan->quant, scan->error);
    if (st || !scan->quant)
        return st;
    method = json_object_get(scan->quant, "quant_method");
    if (!method)
        method = json_object_get(scan->quant, "method");        /* GPTQModel */
    scan->method = json_is_string(method) ? json_string_value(method) : "";
    return LQ_OK;
#else
    static const char *const anchors[] = {
        ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4", ".SCB", ".qweight",
        ".weight_scale", ".weight_scale_inv", ".weight_packed"
    };
    uint64_t bytes;
    const char *text = lq_file_config(scan->file, &bytes);
    int foreign = scan->file->quant_config ||
                  (text && (strstr(text, "\"quantization_config\"") ||
                            strstr(text, "\"quant_method\"")));

    *root = NULL;
    for (uint64_t i = 0; i < scan->file->entry_count && !foreign &&
                         scan->file->container != LQ_CONTAINER_GGUF; i++)
        for (size_t k = 0; k < sizeof anchors / sizeof *anchors; k++)
            foreign |= lqi_scan_base(scan->file->entries[i].name, anchors[k]) != 0;
    if (foreign)
        return lqi_fail(scan->error, LQ_ERR_UNSUPPORTED, NULL,
                        "a quantized checkpoint configured in JSON: this build has no jansson");
    return LQ_OK;
#endif
}

static lq_status report_left(lqi_scan *scan)
{
    for (uint64_t i = 0; i < scan->file->entry_count; i++)
        for (const lqi_dialect *const *d = lqi_dialects; *d && !scan->claimed[i]; d++) {
            int here = ((*d)->containers & 1u << scan->file->container) != 0;
            lq_status st = here && (*d)->left ? (*d)->left(scan, i) : LQ_OK;
            if (st)
                return st;
        }
    return LQ_OK;
}

static lq_status scan_all(lqi_scan *scan)
{
    uint32_t container = 1u << scan->file->container;
    lq_status st = LQ_OK;

    for (const lqi_dialect *const *d = lqi_dialects; *d && !st; d++)
        if (((*d)->containers & container) && (*d)->scan && !(*d)->takes_rest)
            st = (*d)->scan(scan);
    if (!st)
        st = report_left(scan);
    for (const lqi_dialect *const *d = lqi_dialects; *d && !st; d++)
        if (((*d)->containers & container) && (*d)->scan && (*d)->takes_rest)
            st = (*d)->scan(scan);
    return st;
}

static int by_place(const void *a, const void *b)
{
    const lqi_weight *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

static lq_status index_names(lq_checkpoint *cp, lq_error *error)
{
    cp->names = lqi_names_create(lqi_ctx_allocator(cp->ctx), cp->count);
    if (!cp->names)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for names");
    for (uint64_t i = 0; i < cp->count; i++) {
        uint64_t index = i;
        int added = lqi_names_add(cp->names, cp->weights[i].name, &index);
        if (added < 0)
            return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for names");
        if (!added) {
            lqi_where where = { lq_file_path(cp->file), cp->weights[i].name, LQ_NO_OFFSET };
            return lqi_fail(error, LQ_ERR_DUPLICATE, &where, "two weights of this name");
        }
    }
    return LQ_OK;
}

static void drop(lq_checkpoint *cp)
{
    const lq_allocator *a = lqi_ctx_allocator(cp->ctx);

    for (uint64_t i = 0; i < cp->count; i++)
        lq_codebook_destroy(cp->weights[i].codebook);
    lqi_names_destroy(cp->names);
    lqi_free(a, cp->weights);
    lqi_arena_free(&cp->arena);
    lqi_free(a, cp);
}

static lq_status scan_file(lq_checkpoint *cp, lq_error *error)
{
    const lq_allocator *a = lqi_ctx_allocator(cp->ctx);
    lqi_scan scan = { .cp = cp, .file = cp->file, .method = "", .error = error };
    struct json_t *root = NULL;
    lq_status st;

    scan.claimed = lqi_alloc_zero(a, cp->file->entry_count + 1);
    if (!scan.claimed)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for a list of tensors");
    st = scan_config(&scan, &root);
    if (!st)
        st = scan_all(&scan);
#ifdef LQI_HAVE_JSON
    json_decref(root);
#endif
    lqi_free(a, scan.scratch);
    lqi_free(a, scan.claimed);
    if (!st && cp->count > 1)
        qsort(cp->weights, (size_t)cp->count, sizeof *cp->weights, by_place);
    return st ? st : index_names(cp, error);
}

lq_status lq_checkpoint_create(const lq_ctx *ctx, lq_file *file, lq_checkpoint **checkpoint,
                               lq_error *error)
{
    lq_checkpoint *cp;
    lq_status st;

    if (!ctx || !file || !checkpoint)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a context, a file and a result are needed");
    cp = lqi_alloc_zero(&ctx->allocator, sizeof *cp);
    if (!cp)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for a checkpoint");
    cp->ctx = ctx;
    cp->file = file;
    cp->arena.allocator = &ctx->allocator;
    st = scan_file(cp, error);
    if (st) {
        drop(cp);
        return st;
    }
    *checkpoint = cp;
    return LQ_OK;
}

lq_status lq_checkpoint_open(const lq_ctx *ctx, const char *path, const lq_file_opts *opts,
                             lq_checkpoint **checkpoint, lq_error *error)
{
    lq_file *file = NULL;
    lq_status st;

    if (!ctx || !path || !checkpoint)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a context, a path and a result are needed");
    st = lq_file_open(ctx, path, opts, &file, error);
    if (st)
        return st;
    st = lqi_gguf_join(ctx, file, error);
    if (!st)
        st = lq_checkpoint_create(ctx, file, checkpoint, error);
    if (st)
        lq_file_close(file);
    return st;
}

void lq_checkpoint_destroy(lq_checkpoint *checkpoint)
{
    lq_file *file;

    if (!checkpoint)
        return;
    file = checkpoint->file;
    drop(checkpoint);
    lq_file_close(file);
}

/* -------------------------------------------------------------- inspection */

const lq_file *lq_checkpoint_file(const lq_checkpoint *checkpoint)
{
    return checkpoint ? checkpoint->file : NULL;
}

uint64_t lq_checkpoint_count(const lq_checkpoint *checkpoint)
{
    return checkpoint ? checkpoint->count : 0;
}

/* The caller's struct may be older and shorter, by the rule of options structs. */
lq_status lq_checkpoint_weight(const lq_checkpoint *checkpoint, uint64_t index,
                               lq_weight *weight)
{
    lq_weight w;
    size_t size;

    if (!checkpoint || !weight || index >= checkpoint->count || !weight->struct_size)
        return LQ_ERR_ARG;
    lqi_weight_describe(&checkpoint->weights[index], &w);
    size = weight->struct_size;
    w.struct_size = size;
    memcpy(weight, &w, size < sizeof w ? size : sizeof w);
    return LQ_OK;
}

lq_status lq_checkpoint_find(const lq_checkpoint *checkpoint, const char *name,
                             uint64_t *index)
{
    uint64_t found;

    if (!checkpoint || !name || !index)
        return LQ_ERR_ARG;
    if (!lqi_names_find(checkpoint->names, name, &found))
        return LQ_ERR_NOTFOUND;
    *index = found;
    return LQ_OK;
}

/* -------------------------------------------------------------------- bytes */

lq_status lqi_part_read(const lq_checkpoint *cp, const lqi_part *part, uint64_t offset,
                        void *buffer, uint64_t bytes, lq_error *error)
{
    if (!bytes)
        return LQ_OK;
    if (part->tensor != LQI_NONE)
        return lq_file_read(cp->file, part->tensor, offset, buffer, bytes, error);
    if (offset > part->bytes || bytes > part->bytes - offset)
        return lqi_fail(error, LQ_ERR_CORRUPT, NULL, "a plane has %llu bytes, fewer than its "
                        "shape needs", (unsigned long long)part->bytes);
    memcpy(buffer, (const uint8_t *)part->memory + offset, (size_t)bytes);
    return LQ_OK;
}

lq_status lqi_tensor_bytes(const lq_ctx *ctx, const lq_file *file, uint64_t index,
                           void **memory, lq_error *error)
{
    const lqi_entry *e = &file->entries[index];
    lqi_where where = lqi_entry_where(file, e);
    void *p = lqi_alloc(&ctx->allocator, e->bytes ? e->bytes : 1);
    lq_status st;

    if (!p)
        return lqi_fail(error, LQ_ERR_NOMEM, &where, "no memory for %llu bytes",
                        (unsigned long long)e->bytes);
    st = e->bytes ? lq_file_read(file, index, 0, p, e->bytes, error) : LQ_OK;
    if (st) {
        lqi_free(&ctx->allocator, p);
        return st;
    }
    *memory = p;
    return LQ_OK;
}

/* Bytes in place, if they may be borrowed: planes of numbers want their alignment. */
static const void *in_place(const lq_checkpoint *cp, const lqi_part *part)
{
    const void *p = part->memory;

    if (part->tensor != LQI_NONE)
        p = lq_file_tensor_data(cp->file, part->tensor);
    if (p && part->plane != LQ_PLANE_CODES && (uintptr_t)p % 4)
        return NULL;
    return p;
}

/* Planes are not const in lq_tensor_wrap(), but nothing writes to borrowed ones. */
static void *writable(const void *p)
{
    void *q;

    memcpy(&q, &p, sizeof q);
    return q;
}

static int borrow(const lq_checkpoint *cp, const lqi_weight *w, void *plane[LQ_PLANES],
                  uint64_t bytes[LQ_PLANES])
{
    for (uint32_t i = 0; i < w->part_count; i++) {
        const lqi_part *part = &w->parts[i];
        const void *p;
        if (part->plane >= LQI_PART_USED)
            continue;
        if (part->plane >= LQI_PART_ARRAY)
            return 0;
        p = in_place(cp, part);
        if (!p)
            return 0;
        plane[part->plane] = writable(p);
        bytes[part->plane] = part->bytes;
    }
    return 1;
}

static lq_status read_planes(const lq_checkpoint *cp, const lqi_weight *w, lq_tensor *tensor,
                             lq_error *error)
{
    void *plane[LQ_PLANES] = { 0 };
    lq_status st = LQ_OK;

    for (int p = 0; p < LQ_PLANES; p++)
        plane[p] = lq_tensor_plane(tensor, p, NULL);
    for (uint32_t i = 0; i < w->part_count; i++)
        if (w->parts[i].plane >= LQI_PART_ARRAY && w->parts[i].plane < LQI_PART_USED)
            return w->dialect->import(cp, w, plane, error);
    for (uint32_t i = 0; i < w->part_count && !st; i++) {
        const lqi_part *part = &w->parts[i];
        if (part->plane < LQ_PLANES && part->bytes)
            st = lqi_part_read(cp, part, 0, plane[part->plane], part->bytes, error);
    }
    return st;
}

lq_status lq_checkpoint_load(const lq_checkpoint *checkpoint, uint64_t index,
                             lq_tensor **tensor, lq_error *error)
{
    void *plane[LQ_PLANES] = { 0 };
    uint64_t bytes[LQ_PLANES] = { 0 };
    const lqi_weight *w;
    lqi_where where = { 0 };
    lq_tensor *t = NULL;
    lq_status st;

    if (!checkpoint || !tensor || index >= checkpoint->count)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no such weight");
    w = &checkpoint->weights[index];
    where = lqi_entry_where(checkpoint->file, &checkpoint->file->entries[w->first]);
    where.name = w->name;
    if (!w->spec.format)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, &where, "not numbers that can be decoded");
    if (borrow(checkpoint, w, plane, bytes)) {
        st = lq_tensor_wrap(checkpoint->ctx, &w->spec, &w->shape, plane, bytes, &t, error);
    } else {
        st = lq_tensor_create(checkpoint->ctx, &w->spec, &w->shape, &t, error);
        if (!st)
            st = read_planes(checkpoint, w, t, error);
    }
    if (!st)
        st = lqi_check_scales(checkpoint, w, t, error);
    if (st) {
        lq_tensor_destroy(t);
        return st;
    }
    *tensor = t;
    return LQ_OK;
}

/* --------------------------------------------------------------------- rows */

typedef struct span {
    uint64_t outer, row0, n;
} span;

static lq_status rows_of_tensor(const lq_checkpoint *cp, uint64_t index, const span *s,
                                float *y, lq_error *error)
{
    lq_tensor *t = NULL;
    lq_rows rows = LQ_ROWS_INIT;
    lq_status st = lq_checkpoint_load(cp, index, &t, error);

    if (st)
        return st;
    st = lq_tensor_rows(t, s->outer, &rows);
    if (!st)
        st = lq_decode_rows(cp->ctx, &rows, s->row0, s->n, LQ_F32, y, rows.cols);
    lq_tensor_destroy(t);
    return st ? lqi_fail(error, st, NULL, "%s", lq_status_text(st)) : LQ_OK;
}

/* Read nothing but the rows' own bytes. */
static lq_status rows_of_file(const lq_checkpoint *cp, const lqi_weight *w, const span *s,
                              float *y, lq_error *error)
{
    const lqi_part *part = lqi_weight_part(w, LQ_PLANE_CODES);
    lq_rows rows = LQ_ROWS_INIT;
    lq_shape shape = { 1, 1, w->shape.cols };
    uint64_t row = 0, bytes, offset;
    void *memory;
    lq_status st = lq_plane_bytes(&w->spec, LQ_PLANE_CODES, &shape, &row);

    if (st)
        return lqi_fail(error, st, NULL, "%s", lq_status_text(st));
    bytes = s->n * row;     /* parts of a plane whose size has been checked */
    offset = (s->outer * w->shape.rows + s->row0) * row;
    memory = lqi_alloc(lqi_ctx_allocator(cp->ctx), bytes ? bytes : 1);
    if (!memory)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for %llu bytes of rows",
                        (unsigned long long)bytes);
    st = lqi_part_read(cp, part, offset, memory, bytes, error);
    rows.spec = &w->spec;
    rows.plane[LQ_PLANE_CODES] = memory;
    rows.rows = s->n;
    rows.cols = w->shape.cols;
    if (!st) {
        st = lq_decode_rows(cp->ctx, &rows, 0, s->n, LQ_F32, y, rows.cols);
        if (st)
            lqi_fail(error, st, NULL, "%s", lq_status_text(st));
    }
    lqi_free(lqi_ctx_allocator(cp->ctx), memory);
    return st;
}

lq_status lq_checkpoint_rows(const lq_checkpoint *checkpoint, uint64_t index,
                             uint64_t outer, uint64_t row0, uint64_t n, float *y,
                             lq_error *error)
{
    span s = { outer, row0, n };
    const lqi_weight *w;

    if (!checkpoint || index >= checkpoint->count)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no such weight");
    w = &checkpoint->weights[index];
    if (!w->spec.format)
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL,
                        "'%s' is not numbers that can be decoded", w->name);
    if (outer >= w->shape.outer || row0 > w->shape.rows || n > w->shape.rows - row0)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "rows outside '%s'", w->name);
    if (!n || !w->shape.cols)
        return LQ_OK;
    if (!y)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no memory to decode to");
    if (lqi_rows_alone(&w->spec))
        return rows_of_file(checkpoint, w, &s, y, error);
    return rows_of_tensor(checkpoint, index, &s, y, error);
}
