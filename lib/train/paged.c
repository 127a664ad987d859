/* SPDX-License-Identifier: MIT */
/*
 * lib/train/paged.c - arrays in files, of which a budget of bytes is in memory
 *
 * Arrays are cut into segments of a 32nd of the budget.  A segment is held from its use until
 * room is needed and no other has been used longer ago.  The oldest quarter of the budget is
 * on its way to the files before it has to go, so that nobody waits for all of a write.
 */
#include "lib/core/core.h"
#include "lib/train/pages.h"
#include "lib/train/paged.h"

enum { SEGMENTS = 32 };   /* of the budget: two windows of six arrays, three segments each,
                             and a quarter that is being written */

static const uint64_t grain_step = 64 << 10, grain_most = 16 << 20;

typedef struct segment {
    uint64_t used;        /* the pool's clock then; 0: not held */
    uint64_t from, to;    /* what must be written of the array; empty: nothing */
    int      writing;     /* has been asked for since */
} segment;

typedef struct array {
    struct array *next;
    lqi_pages     pages;
    uint64_t      count;
    segment      *segments;
} array;

struct lq_paged {
    const lq_ctx *ctx;
    char         *directory;
    uint64_t      budget, grain, page;
    uint64_t      held, writing;   /* bytes */
    uint64_t      clock;
    uint64_t      read, written;
    array        *first;
};

void lq_paged_opts_init(lq_paged_opts *opts)
{
    const lq_paged_opts init = LQ_PAGED_OPTS_INIT;

    if (opts)
        *opts = init;
}

void lq_paged_info_init(lq_paged_info *info)
{
    const lq_paged_info init = LQ_PAGED_INFO_INIT;

    if (info)
        *info = init;
}

/* ---------------------------------------------------------------- segments */

typedef struct place {
    array  *in;
    segment *s;
} place;

static uint64_t segment_at(const lq_paged *pool, place at)
{
    return (uint64_t)(at.s - at.in->segments) * pool->grain;
}

static uint64_t segment_bytes(const lq_paged *pool, place at)
{
    return lqi_min(pool->grain, at.in->pages.bytes - segment_at(pool, at));
}

/* What it takes of the budget. */
static uint64_t segment_cost(const lq_paged *pool, place at)
{
    return lqi_div_up(segment_bytes(pool, at), pool->page) * pool->page;
}

/* The held segment that was used longest ago, before this use; 'unwritten': of those that
 * have something to write.  s NULL: there is none. */
static place oldest(const lq_paged *pool, int unwritten)
{
    place best = { NULL, NULL };

    for (array *a = pool->first; a; a = a->next)
        for (segment *s = a->segments; s < a->segments + a->count; s++)
            if (s->used && s->used < pool->clock && !(unwritten && s->from == s->to) &&
                (!best.s || s->used < best.s->used))
                best = (place){ a, s };
    return best;
}

static void wrote(lq_paged *pool, segment *s)
{
    pool->written += s->to - s->from;
    s->from = s->to = 0;
}

static void set_writing(lq_paged *pool, place at, int writing)
{
    if (writing && !at.s->writing)
        pool->writing += segment_cost(pool, at);
    if (!writing && at.s->writing)
        pool->writing -= segment_cost(pool, at);
    at.s->writing = writing;
}

static lq_status drop(lq_paged *pool, place at, lq_error *error)
{
    uint64_t from = segment_at(pool, at), bytes = segment_bytes(pool, at);
    lq_status status;

    if (at.s->used)
        lqi_pages_settle(&at.in->pages, from, bytes);
    status = lqi_pages_drop(&at.in->pages, from, bytes, error);
    if (status)
        return status;
    set_writing(pool, at, 0);
    wrote(pool, at.s);
    if (at.s->used)
        pool->held -= segment_cost(pool, at);
    at.s->used = 0;
    return LQ_OK;
}

static void write_behind(lq_paged *pool)
{
    while (pool->writing < pool->budget / 4) {
        place at = oldest(pool, 1);

        if (!at.s)
            return;
        lqi_pages_start_write(&at.in->pages, at.s->from, at.s->to - at.s->from);
        wrote(pool, at.s);
        set_writing(pool, at, 1);
    }
}

static lq_status make_room(lq_paged *pool, uint64_t cost, lq_error *error)
{
    if (pool->held + cost <= pool->budget)
        return LQ_OK;
    while (pool->held + cost > pool->budget) {
        lq_status status = drop(pool, oldest(pool, 0), error);

        if (status)
            return status;
    }
    write_behind(pool);
    return LQ_OK;
}

static lq_status hold(lq_paged *pool, place at, lq_error *error)
{
    uint64_t from = segment_at(pool, at), bytes = segment_bytes(pool, at);
    lq_status status = make_room(pool, segment_cost(pool, at), error);

    if (status)
        return status;
    uint64_t present = lqi_pages_resident(&at.in->pages, from, bytes);
    pool->read += bytes - lqi_min(bytes, present);
    lqi_pages_fetch(&at.in->pages, from, bytes);
    pool->held += segment_cost(pool, at);
    at.s->used = pool->clock;
    return LQ_OK;
}

/* --------------------------------------------------------------------- use */

static array *array_of(const lq_paged *pool, const void *data)
{
    uintptr_t p = (uintptr_t)data;

    for (array *a = pool->first; a; a = a->next) {
        uintptr_t begin = (uintptr_t)a->pages.data;

        if (p >= begin && p - begin < a->pages.bytes)
            return a;
    }
    return NULL;
}

/* Segments [first, last] of the array; those that are held are the youngest at once, so that
 * none of them makes room for another. */
static lq_status use_segments(lq_paged *pool, array *a, uint64_t first, uint64_t last,
                              lq_error *error)
{
    lq_status status = LQ_OK;

    pool->clock++;
    for (uint64_t i = first; i <= last; i++)
        if (a->segments[i].used)
            a->segments[i].used = pool->clock;
    for (uint64_t i = first; i <= last && status == LQ_OK; i++)
        if (!a->segments[i].used)
            status = hold(pool, (place){ a, &a->segments[i] }, error);
    return status;
}

/* Bytes [from, to) of the array will have to be written. */
static void mark(lq_paged *pool, array *a, uint64_t from, uint64_t to)
{
    for (uint64_t i = from / pool->grain; i * pool->grain < to; i++) {
        segment *s = &a->segments[i];
        uint64_t begin = i * pool->grain, end = lqi_min(to, begin + pool->grain);
        int clean = s->from == s->to;

        begin = begin < from ? from : begin;
        s->from = clean ? begin : lqi_min(s->from, begin);
        s->to = clean || s->to < end ? end : s->to;
        set_writing(pool, (place){ a, s }, 0);
    }
}

lq_status lq_paged_use(lq_paged *pool, const void *data, uint64_t bytes, int32_t access,
                       lq_error *error)
{
    lq_status status;
    array *a = NULL;
    uint64_t at, first, last;

    if (!pool || access < LQ_PAGED_READ || access > LQ_PAGED_WRITE)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no pool, or no such access");
    if (bytes == 0)
        return LQ_OK;
    a = array_of(pool, data);
    at = a ? (uint64_t)((const uint8_t *)data - a->pages.data) : 0;
    if (!a || bytes > a->pages.bytes - at)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "these bytes are not in one paged array");
    first = at / pool->grain;
    last = (at + bytes - 1) / pool->grain;
    if (last - first + 1 > pool->budget / pool->grain)
        return lqi_fail(error, LQ_ERR_LIMIT, NULL,
                        "%llu bytes at once do not fit the budget of %llu",
                        (unsigned long long)bytes, (unsigned long long)pool->budget);
    status = use_segments(pool, a, first, last, error);
    if (status == LQ_OK && access == LQ_PAGED_WRITE)
        mark(pool, a, at, at + bytes);
    return status;
}

int lqi_paged_has(const lq_paged *pool, const void *data)
{
    return array_of(pool, data) != NULL;
}

uint64_t lqi_paged_grain(const lq_paged *pool)
{
    return pool->grain;
}

const lq_ctx *lqi_paged_ctx(const lq_paged *pool)
{
    return pool->ctx;
}

static lq_status trim_array(lq_paged *pool, array *a, lq_error *error)
{
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < a->count && status == LQ_OK; i++) {
        place at = { a, &a->segments[i] };

        if (!at.s->used && lqi_pages_resident(&a->pages, segment_at(pool, at),
                                              segment_bytes(pool, at)))
            status = drop(pool, at, error);
    }
    return status;
}

lq_status lq_paged_trim(lq_paged *pool, lq_error *error)
{
    lq_status status = LQ_OK;

    if (!pool)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no pool");
    for (array *a = pool->first; a && status == LQ_OK; a = a->next)
        status = trim_array(pool, a, error);
    return status;
}

lq_status lq_paged_sync(lq_paged *pool, lq_error *error)
{
    lq_status status;

    if (!pool)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no pool");
    for (array *a = pool->first; a; a = a->next) {
        if (a->pages.origin == LQI_FILE_TEMPORARY)
            continue;
        if ((status = lqi_pages_sync(&a->pages, error)) != LQ_OK)
            return status;
        for (uint64_t i = 0; i < a->count; i++)
            wrote(pool, &a->segments[i]);
    }
    return LQ_OK;
}

lq_status lq_paged_get(const lq_paged *pool, lq_paged_info *info)
{
    lq_paged_info full = LQ_PAGED_INFO_INIT;

    if (!pool || !info || info->struct_size < sizeof info->struct_size)
        return LQ_ERR_ARG;
    full.budget = pool->budget;
    full.read = pool->read;
    full.written = pool->written;
    for (const array *a = pool->first; a; a = a->next) {
        full.bytes += a->pages.bytes;
        full.resident += lqi_pages_resident(&a->pages, 0, a->pages.bytes);
    }
    full.struct_size = info->struct_size;
    memcpy(info, &full, (size_t)lqi_min(info->struct_size, sizeof full));
    return LQ_OK;
}

/* ------------------------------------------------------------------ arrays */

static lq_status make_array(const lq_paged *pool, uint64_t bytes, const char *path,
                            array **made, lq_error *error)
{
    const lq_allocator *allocator = &pool->ctx->allocator;
    array *a = lqi_alloc_zero(allocator, sizeof *a);
    lq_status status;

    if (!a)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    status = lqi_pages_open(&a->pages, allocator, pool->directory, path, bytes, error);
    if (status) {
        lqi_free(allocator, a);
        return status;
    }
    a->count = lqi_div_up(bytes, pool->grain);
    a->segments = lqi_alloc_zero(allocator, a->count * sizeof *a->segments);
    if (!a->segments) {
        lqi_pages_close(&a->pages, 1);
        lqi_free(allocator, a);
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    }
    *made = a;
    return LQ_OK;
}

lq_status lq_paged_alloc(lq_paged *pool, uint64_t bytes, const char *path, void **data,
                         lq_error *error)
{
    lq_status status;
    array *a = NULL;

    if (!pool || !data || (path && !*path))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no pool, no place for the result or no name");
    if (!path && !pool->directory)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "the pool has no directory: an array needs a "
                        "file's name");
    if (bytes > PTRDIFF_MAX)
        return lqi_fail(error, LQ_ERR_OVERFLOW, NULL, "a paged array of %llu bytes",
                        (unsigned long long)bytes);
    if (bytes == 0) {
        *data = NULL;
        return LQ_OK;
    }
    status = make_array(pool, bytes, path, &a, error);
    if (status)
        return status;
    a->next = pool->first;
    pool->first = a;
    *data = a->pages.data;
    return LQ_OK;
}

static void free_array(lq_paged *pool, array **link)
{
    array *a = *link;

    for (uint64_t i = 0; i < a->count; i++) {
        place at = { a, &a->segments[i] };

        set_writing(pool, at, 0);
        pool->held -= at.s->used ? segment_cost(pool, at) : 0;
    }
    *link = a->next;
    lqi_pages_close(&a->pages, 0);
    lqi_free(&pool->ctx->allocator, a->segments);
    lqi_free(&pool->ctx->allocator, a);
}

lq_status lq_paged_free(lq_paged *pool, void *data)
{
    array **link;

    if (!pool)
        return LQ_ERR_ARG;
    if (!data)
        return LQ_OK;
    for (link = &pool->first; *link && (*link)->pages.data != data;)
        link = &(*link)->next;
    if (!*link)
        return LQ_ERR_ARG;
    free_array(pool, link);
    return LQ_OK;
}

/* -------------------------------------------------------------------- pool */

/* A multiple of the steps, and so of the page. */
static uint64_t grain_of(uint64_t budget)
{
    return lqi_min(budget / SEGMENTS / grain_step * grain_step, grain_most);
}

lq_status lq_paged_create(const lq_ctx *ctx, const lq_paged_opts *opts, lq_paged **pool,
                          lq_error *error)
{
    lq_paged_opts o = { 0 };
    lq_paged *p;
    lq_status status;

    if (!ctx || !pool)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no context, or no place for the result");
    if ((status = lqi_opts_read(&o, sizeof o, opts)) != LQ_OK)
        return lqi_fail(error, status, NULL, "options of an unknown kind");
    o.budget_bytes = o.budget_bytes ? o.budget_bytes : (uint64_t)256 << 20;
    if (o.budget_bytes < LQ_PAGED_MIN_BUDGET)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a budget of %llu bytes is below %llu",
                        (unsigned long long)o.budget_bytes,
                        (unsigned long long)LQ_PAGED_MIN_BUDGET);
    p = lqi_alloc_zero(&ctx->allocator, sizeof *p);
    if (p && o.directory && !(p->directory = lqi_strdup(&ctx->allocator, o.directory))) {
        lqi_free(&ctx->allocator, p);
        p = NULL;
    }
    if (!p)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    p->ctx = ctx;
    p->budget = o.budget_bytes;
    p->grain = grain_of(p->budget);
    p->page = lqi_pages_unit();
    *pool = p;
    return LQ_OK;
}

void lq_paged_destroy(lq_paged *pool)
{
    if (!pool)
        return;
    while (pool->first)
        free_array(pool, &pool->first);
    lqi_free(&pool->ctx->allocator, pool->directory);
    lqi_free(&pool->ctx->allocator, pool);
}
