/* SPDX-License-Identifier: MIT */
/*
 * lib/calib/stats.c - statistics of activations: entries, and how they are put together
 */
#include "lib/calib/calib.h"

#define ULL(x) ((unsigned long long)(x))
#define COLS_MAX ((uint64_t)1 << 30)   /* products of two such sizes fit */

static lq_status fail(lq_error *error, lq_status status, const char *name, const char *problem)
{
    const lqi_where where = { NULL, name, LQ_NO_OFFSET };

    return lqi_fail(error, status, &where, "%s", problem);
}

/* ------------------------------------------------------------------ entries */

void lq_stats_opts_init(lq_stats_opts *opts)
{
    const lq_stats_opts init = LQ_STATS_OPTS_INIT;

    if (opts)
        *opts = init;
}

lq_status lq_stats_create(const lq_ctx *ctx, const lq_stats_opts *opts, lq_stats **stats,
                          lq_error *error)
{
    lq_stats_opts o = LQ_STATS_OPTS_INIT;
    lq_status status = ctx && stats ? lqi_opts_read(&o, sizeof o, opts) : LQ_ERR_ARG;
    lq_stats *s;

    if (status)
        return lqi_fail(error, status, NULL, "lq_stats_create: an argument is not usable");
    if (o.gram != 0 && o.gram != 1)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "gram is 0 or 1");
    o.gram_row1 = o.gram_row1 ? o.gram_row1 : UINT64_MAX / LQ_GRAM_ROWS * LQ_GRAM_ROWS;
    if (o.gram_row0 % LQ_GRAM_ROWS || o.gram_row1 % LQ_GRAM_ROWS || o.gram_row0 >= o.gram_row1)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "gram_row0 and gram_row1 are multiples of %d, "
                        "the first the smaller", LQ_GRAM_ROWS);
    s = lqi_alloc_zero(&ctx->allocator, sizeof *s);
    if (!s)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory");
    s->ctx = ctx;
    s->opts = o;
    *stats = s;
    return LQ_OK;
}

static void free_entry(const lq_allocator *a, lqi_stat *e)
{
    for (uint64_t p = 0; e->gram && p < lqi_gram_panels(e->cols); p++)
        lqi_free(a, e->gram[p]);
    lqi_free(a, e->gram);
    lqi_free(a, e->sum_sq);
    lqi_free(a, e->sum_abs);
    lqi_free(a, e->name);
}

void lq_stats_destroy(lq_stats *stats)
{
    const lq_allocator *a;

    if (!stats)
        return;
    a = &stats->ctx->allocator;
    for (uint64_t i = 0; i < stats->count; i++)
        free_entry(a, &stats->entries[i]);
    lqi_free(a, stats->entries);
    lqi_free(a, stats);
}

static lqi_stat *find_name(const lq_stats *stats, const char *name)
{
    for (uint64_t i = 0; i < stats->count; i++)
        if (strcmp(stats->entries[i].name, name) == 0)
            return &stats->entries[i];
    return NULL;
}

const lqi_stat *lqi_stats_find(const lq_stats *stats, const char *name)
{
    const lqi_stat *e = find_name(stats, name);

    return e ? &stats->entries[e->same] : NULL;
}

static int grow(lq_stats *s)
{
    const lq_allocator *a = &s->ctx->allocator;
    uint64_t wanted = s->capacity ? s->capacity * 2 : 64;
    lqi_stat *grown;

    if (s->count < s->capacity)
        return 1;
    grown = lqi_alloc(a, wanted * sizeof *grown);
    if (!grown)
        return 0;
    if (s->count)
        memcpy(grown, s->entries, (size_t)(s->count * sizeof *grown));
    lqi_free(a, s->entries);
    s->entries = grown;
    s->capacity = wanted;
    return 1;
}

/* A place at the end with a name, not yet counted. */
static lq_status new_name(lq_stats *s, const char *name, lqi_stat **entry, lq_error *error)
{
    if (find_name(s, name))
        return fail(error, LQ_ERR_DUPLICATE, name, "the weight has statistics already");
    if (!grow(s))
        return fail(error, LQ_ERR_NOMEM, name, "out of memory");
    *entry = &s->entries[s->count];
    memset(*entry, 0, sizeof **entry);
    (*entry)->same = s->count;
    (*entry)->name = lqi_strdup(&s->ctx->allocator, name);
    return (*entry)->name ? LQ_OK : fail(error, LQ_ERR_NOMEM, name, "out of memory");
}

lq_status lqi_stats_new(lq_stats *s, const char *name, uint64_t cols, lqi_stat **entry,
                        lq_error *error)
{
    const lq_allocator *a = &s->ctx->allocator;
    lqi_stat *e;
    lq_status status;

    if (cols == 0 || cols > COLS_MAX)
        return fail(error, cols ? LQ_ERR_OVERFLOW : LQ_ERR_ARG, name, "an impossible number of "
                    "columns");
    status = new_name(s, name, &e, error);
    if (status)
        return status;
    e->cols = cols;
    e->sum_sq = lqi_alloc_zero(a, cols * sizeof *e->sum_sq);
    e->sum_abs = lqi_alloc_zero(a, cols * sizeof *e->sum_abs);
    e->gram = lqi_alloc_zero(a, lqi_gram_panels(cols) * sizeof *e->gram);
    if (!e->sum_sq || !e->sum_abs || !e->gram) {
        free_entry(a, e);
        return fail(error, LQ_ERR_NOMEM, name, "out of memory");
    }
    s->count++;
    *entry = e;
    return LQ_OK;
}

void lqi_stats_drop(lq_stats *s)
{
    free_entry(&s->ctx->allocator, &s->entries[--s->count]);
}

lq_status lqi_stats_panel(lq_stats *s, lqi_stat *e, uint64_t panel, lq_error *error)
{
    if (e->gram[panel])
        return LQ_OK;
    e->gram[panel] = lqi_alloc_zero(&s->ctx->allocator,
                                    lqi_gram_numbers(e->cols, panel) * sizeof(float));
    return e->gram[panel] ? LQ_OK : fail(error, LQ_ERR_NOMEM, e->name, "out of memory for X'X");
}

int lqi_stat_gram(const lqi_stat *e)
{
    uint64_t panels = lqi_gram_panels(e->cols), there = 0;

    for (uint64_t p = 0; p < panels; p++)
        there += e->gram[p] != NULL;
    return there == panels ? 1 : there ? -1 : 0;
}

lq_status lq_stats_same(lq_stats *stats, const char *name, const char *of, lq_error *error)
{
    lqi_stat *e;
    const lqi_stat *origin;
    lq_status status;

    if (!stats || !name || !*name || !of)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_stats_same: NULL argument");
    origin = lqi_stats_find(stats, of);
    if (!origin)
        return fail(error, LQ_ERR_NOTFOUND, of, "the weight has no statistics");
    uint64_t index = (uint64_t)(origin - stats->entries);
    status = new_name(stats, name, &e, error);
    if (status)
        return status;
    e->same = index;
    stats->count++;
    return LQ_OK;
}

/* ------------------------------------------------------------------ together */

static lq_status check_pair(const lqi_stat *to, const lqi_stat *from, lq_error *error)
{
    if (to->broken || from->broken)
        return fail(error, LQ_ERR_NOMEM, to->name, "memory ended while X'X was added to");
    if (to->cols != from->cols)
        return fail(error, LQ_ERR_MISMATCH, to->name, "the numbers of columns differ");
    return LQ_OK;
}

static void copy_sums(lqi_stat *to, const lqi_stat *from)
{
    to->count = from->count;
    memcpy(to->sum_sq, from->sum_sq, (size_t)from->cols * sizeof *to->sum_sq);
    memcpy(to->sum_abs, from->sum_abs, (size_t)from->cols * sizeof *to->sum_abs);
}

/* Panels that 'from' has and 'to' lacks. */
static lq_status copy_panels(lq_stats *s, lqi_stat *to, const lqi_stat *from, lq_error *error)
{
    lq_status status = LQ_OK;

    for (uint64_t p = 0; p < lqi_gram_panels(from->cols) && !status; p++) {
        if (!from->gram[p] || to->gram[p])
            continue;
        status = lqi_stats_panel(s, to, p, error);
        if (!status)
            memcpy(to->gram[p], from->gram[p],
                   (size_t)lqi_gram_numbers(from->cols, p) * sizeof *from->gram[p]);
    }
    return status;
}

static lq_status add_entry(lqi_stat *to, const lqi_stat *from, lq_error *error)
{
    lq_status status = check_pair(to, from, error);

    for (uint64_t p = 0; !status && p < lqi_gram_panels(to->cols); p++)
        if (!to->gram[p] != !from->gram[p])
            status = fail(error, LQ_ERR_MISMATCH, to->name, "one has rows of X'X that the "
                          "other does not have");
    if (status)
        return status;
    to->count += from->count;
    for (uint64_t c = 0; c < to->cols; c++) {
        to->sum_sq[c] += from->sum_sq[c];
        to->sum_abs[c] += from->sum_abs[c];
    }
    for (uint64_t p = 0; p < lqi_gram_panels(to->cols); p++)
        for (uint64_t i = 0; to->gram[p] && i < lqi_gram_numbers(to->cols, p); i++)
            to->gram[p][i] += from->gram[p][i];
    return LQ_OK;
}

static lq_status copy_entry(lq_stats *stats, const lq_stats *other, const lqi_stat *from,
                            lq_error *error)
{
    const lqi_stat *origin = &other->entries[from->same];
    lqi_stat *to;
    lq_status status;

    if (origin != from)
        return lq_stats_same(stats, from->name, origin->name, error);
    status = check_pair(from, from, error);
    if (!status)
        status = lqi_stats_new(stats, from->name, from->cols, &to, error);
    if (status)
        return status;
    copy_sums(to, from);
    status = copy_panels(stats, to, from, error);
    if (status)
        lqi_stats_drop(stats);
    return status;
}

/* What is the same weight as another is so in both. */
static lq_status check_same(const lq_stats *stats, const lqi_stat *to, const lq_stats *other,
                            const lqi_stat *from, lq_error *error)
{
    const char *a = stats->entries[to->same].name, *b = other->entries[from->same].name;

    return strcmp(a, b) == 0 ? LQ_OK : fail(error, LQ_ERR_MISMATCH, to->name, "shares its "
                                            "statistics with another weight");
}

typedef lq_status together(lq_stats *stats, lqi_stat *to, const lqi_stat *from,
                           lq_error *error);

static lq_status for_pairs(lq_stats *stats, const lq_stats *other, together *pair,
                           lq_error *error)
{
    lq_status status = LQ_OK;

    if (!stats || !other || stats == other)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "two different statistics are needed");
    for (uint64_t i = 0; i < other->count && !status; i++) {
        const lqi_stat *from = &other->entries[i];
        lqi_stat *to = find_name(stats, from->name);
        status = to ? check_same(stats, to, other, from, error)
                    : copy_entry(stats, other, from, error);
        if (to && !status && to->same == (uint64_t)(to - stats->entries))
            status = pair(stats, to, from, error);
    }
    return status;
}

static lq_status add_pair(lq_stats *stats, lqi_stat *to, const lqi_stat *from, lq_error *error)
{
    (void)stats;
    return add_entry(to, from, error);
}

lq_status lq_stats_merge(lq_stats *stats, const lq_stats *other, lq_error *error)
{
    return for_pairs(stats, other, add_pair, error);
}

static lq_status join_pair(lq_stats *stats, lqi_stat *to, const lqi_stat *from, lq_error *error)
{
    size_t bytes = (size_t)to->cols * sizeof(double);
    lq_status status = check_pair(to, from, error);

    if (status)
        return status;
    if (to->count != from->count || memcmp(to->sum_sq, from->sum_sq, bytes) ||
        memcmp(to->sum_abs, from->sum_abs, bytes))
        return fail(error, LQ_ERR_MISMATCH, to->name, "the statistics are of other inputs");
    return copy_panels(stats, to, from, error);
}

lq_status lq_stats_join(lq_stats *stats, const lq_stats *other, lq_error *error)
{
    return for_pairs(stats, other, join_pair, error);
}

/* ------------------------------------------------------------------- looking */

void lq_stat_init(lq_stat *stat)
{
    const lq_stat init = LQ_STAT_INIT;

    if (stat)
        *stat = init;
}

uint64_t lq_stats_count(const lq_stats *stats)
{
    return stats ? stats->count : 0;
}

lq_status lq_stats_at(const lq_stats *stats, uint64_t index, lq_stat *stat)
{
    const lqi_stat *e;

    if (!stats || !stat || stat->struct_size < sizeof *stat || index >= stats->count)
        return LQ_ERR_ARG;
    e = &stats->entries[stats->entries[index].same];
    lq_stat_init(stat);
    stat->name = stats->entries[index].name;
    stat->cols = e->cols;
    stat->count = e->count;
    stat->sum_sq = e->sum_sq;
    stat->sum_abs = e->sum_abs;
    stat->gram = lqi_stat_gram(e);
    return LQ_OK;
}

lq_status lq_stats_find(const lq_stats *stats, const char *name, lq_stat *stat)
{
    const lqi_stat *e = stats && name ? find_name(stats, name) : NULL;

    if (!stats || !name)
        return LQ_ERR_ARG;
    return e ? lq_stats_at(stats, (uint64_t)(e - stats->entries), stat) : LQ_ERR_NOTFOUND;
}

lq_status lq_stats_gram_row(const lq_stats *stats, const char *name, uint64_t row,
                            float *values)
{
    const lqi_stat *e = stats && name ? lqi_stats_find(stats, name) : NULL;
    uint64_t panel = row / LQ_GRAM_ROWS;

    if (!stats || !name || !values || (e && row >= e->cols))
        return LQ_ERR_ARG;
    if (!e || !e->gram[panel])
        return LQ_ERR_NOTFOUND;
    memcpy(values, e->gram[panel] + row % LQ_GRAM_ROWS * lqi_gram_width(e->cols, panel),
           (size_t)(row + 1) * sizeof *values);
    return LQ_OK;
}
