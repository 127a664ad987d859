/* SPDX-License-Identifier: MIT */
/*
 * lib/core/codebook.c - tables of values: creation, names, normal quantiles, nearest code
 *
 * Fitting is in codebook_fit.c, the fast form of the table in codebook_bins.c.
 */
#include "lib/base/half.h"
#include "lib/core/core.h"

/* ---------------------------------------------------------------- creation */

/*
 * The largest f32 not above the exact midpoint of a and b (a <= b), so that "x above the
 * midpoint" is one f32 comparison and always right.  The sum in double may be rounded when
 * the exponents differ a lot; its error is recovered exactly (Knuth's two-sum).
 */
static float midpoint_below(float a, float b)
{
    double sum = (double)a + b, part = sum - a, half = sum / 2;
    double error = (a - (sum - part)) + (b - part);
    float f = (float)half;

    if ((double)f > half || ((double)f == half && error < 0))
        f = nextafterf(f, -INFINITY);
    return f;
}

/* Indices of 'values' in ascending order of value, equal ones in code order. */
static void sort_codes(lq_codebook *book)
{
    for (uint32_t i = 0; i < book->count; i++) {
        uint32_t k = i;
        for (; k > 0 && book->values[book->code[k - 1]] > book->values[i]; k--)
            book->code[k] = book->code[k - 1];
        book->code[k] = (uint8_t)i;
    }
}

static void index_values(lq_codebook *book)
{
    sort_codes(book);
    for (uint32_t i = 0; i < book->count; i++)
        book->sorted[i] = book->values[book->code[i]];
    for (uint32_t i = 0; i < 255; i++)
        book->midpoints[i] = i + 1 < book->count
                                 ? midpoint_below(book->sorted[i], book->sorted[i + 1])
                                 : INFINITY;
    for (uint32_t i = 1; i < book->count; i++)
        if (book->sorted[i] == book->sorted[i - 1])
            book->code[i] = book->code[i - 1];
}

lq_status lq_codebook_create(const lq_ctx *ctx, const float *values, size_t count,
                             lq_codebook **codebook, lq_error *error)
{
    if (!ctx || !values || !codebook)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_codebook_create: NULL argument");
    if ((uintptr_t)values % sizeof *values)
        return lqi_fail(error, LQ_ERR_ALIGN, NULL, "the codebook's values are not aligned");
    if (count < 2 || count > 256)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a codebook has 2 to 256 values, not %llu",
                        (unsigned long long)count);
    for (size_t i = 0; i < count; i++)
        if (!lqi_finite(values[i]))
            return lqi_fail(error, LQ_ERR_NONFINITE, NULL, "codebook value %llu is not finite",
                            (unsigned long long)i);
    lq_codebook *book = lqi_alloc_zero(&ctx->allocator, sizeof *book);
    if (!book)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory for a codebook");
    book->allocator = ctx->allocator;
    book->count = (uint32_t)count;
    memcpy(book->values, values, count * sizeof *values);
    book->nearest = ctx->kernels.nearest;
    index_values(book);
    if (lqi_codebook_index(book)) {
        lq_codebook_destroy(book);
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "out of memory for a codebook");
    }
    *codebook = book;
    return LQ_OK;
}

void lq_codebook_destroy(lq_codebook *codebook)
{
    if (!codebook)
        return;
    lq_allocator allocator = codebook->allocator;
    lqi_free(&allocator, codebook->bins.entry);
    lqi_free(&allocator, codebook);
}

size_t lq_codebook_count(const lq_codebook *codebook)
{
    return codebook ? codebook->count : 0;
}

const float *lq_codebook_values(const lq_codebook *codebook)
{
    return codebook ? codebook->values : NULL;
}

/* ------------------------------------------------------------------- names */

lq_status lq_codebook_named(const lq_ctx *ctx, const char *name, lq_codebook **codebook,
                            lq_error *error)
{
    if (!ctx || !name || !codebook)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_codebook_named: NULL argument");
    if (!strcmp(name, "dynamic8"))
        return lq_codebook_create(ctx, lqi_dynamic8, 256, codebook, error);
    if (!strcmp(name, "udynamic8"))
        return lq_codebook_create(ctx, lqi_udynamic8, 256, codebook, error);
    /* table formats bring the others */
    const lqi_format *format = lqi_format_by_name(name);
    if (!format || !format->table)
        return lqi_fail(error, LQ_ERR_NOTFOUND, NULL, "there is no codebook named '%.40s'",
                        name);
    return lq_codebook_create(ctx, format->table, (size_t)1 << format->bits, codebook, error);
}

/* -------------------------------------------------------- normal quantiles */

/* exp(-t) for 0 <= t < 32: Taylor series of exp(-t / 64), squared six times. */
static double exp_minus(double t)
{
    double x = -t / 64, sum = 1;

    for (int k = 14; k > 0; k--)
        sum = 1 + sum * x / k;
    for (int k = 0; k < 6; k++)
        sum *= sum;
    return sum;
}

/*
 * x >= 0 with Phi(x) - 1/2 = q, 0 <= q < 1/2.  Newton's method on
 *     Phi(x) - 1/2 = phi(x) * S(x),  S(x) = x + x^3/3 + x^5/(3*5) + ...
 * Phi is concave right of 0, so the iteration from 0 rises to the root without passing it.
 * Only + - * /, hence the same bits everywhere.  Good for the q of up to 256 quantiles
 * (x < 3); the library's f32 results are correctly rounded but for rare halves.
 */
static double normal_quantile(double q)
{
    const double root_2pi = 2.50662827463100050242;
    double x = 0;

    for (int round = 0; round < 24; round++) {
        double term = x, sum = x;
        for (int k = 3; k < 90; k += 2) {
            term = term * (x * x) / k;
            sum += term;
        }
        x += q * root_2pi / exp_minus(x * x / 2) - sum;
    }
    return x;
}

lq_status lq_codebook_normal(const lq_ctx *ctx, size_t count, lq_codebook **codebook,
                             lq_error *error)
{
    float values[256] = { 0 };

    if (!ctx || !codebook)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "lq_codebook_normal: NULL argument");
    if (count < 2 || count > 256)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a codebook has 2 to 256 values, not %llu",
                        (unsigned long long)count);
    /* value i lies at probability (i + 1/2) / count; the upper half, then its mirror */
    double largest = normal_quantile(0.5 - 0.5 / (double)count);
    for (size_t i = count / 2 + count % 2; i < count; i++) {
        double q = ((double)i + 0.5) / (double)count - 0.5;
        values[i] = (float)(normal_quantile(q) / largest);
        values[count - 1 - i] = -values[i];
    }
    values[count - 1] = 1;
    values[0] = -1;
    return lq_codebook_create(ctx, values, count, codebook, error);
}

/* ----------------------------------------------------------------- nearest */

/* Number of midpoints below x, by bisection; those past the last value are infinite. */
unsigned lqi_codebook_rank(const lq_codebook *book, float x)
{
    unsigned rank = 0;

    for (unsigned step = 128; step > 0; step /= 2)   /* without branches to mispredict */
        rank += step & (0u - (book->midpoints[rank + step - 1] < x));
    return rank;
}

lq_status lq_codebook_nearest(const lq_codebook *codebook, const float *x, size_t n,
                              uint8_t *codes)
{
    if (!codebook || (n && (!x || !codes)))
        return LQ_ERR_ARG;
    if ((uintptr_t)x % sizeof *x)
        return LQ_ERR_ALIGN;
    if (codebook->bins.entry)
        codebook->nearest(&codebook->bins, x, n, codes);
    for (size_t i = 0; i < n && !codebook->bins.entry; i++)
        codes[i] = codebook->code[lqi_codebook_rank(codebook, x[i] == x[i] ? x[i] : 0.0f)];
    return LQ_OK;
}
