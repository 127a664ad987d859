/* SPDX-License-Identifier: MIT */
/*
 * lib/core/ctx.c - contexts: kernels, codecs and threads chosen once
 */
#include "lib/core/core.h"
#include "lib/format/grids.h"

#define MAX_THREADS 1024
#define DEFAULT_SPIN_US 20

void lq_ctx_opts_init(lq_ctx_opts *opts)
{
    const lq_ctx_opts init = LQ_CTX_OPTS_INIT;

    if (opts)
        *opts = init;
}

/* A level's codec where it has one for the format's kind, else the format's own. */
static void fill_codecs(lq_ctx *ctx)
{
    for (int i = 0; i < LQI_FORMATS; i++) {
        const lqi_format *f = lqi_formats[i];
        lqi_decode_fn *decode = ctx->kernels.decode[f->decoder];
        lqi_encode_fn *encode = ctx->kernels.encode[f->encoder];
        ctx->decode[i] = decode ? decode : f->decode;
        ctx->encode[i] = encode ? encode : f->encode_many;
    }
}

static lq_status check_opts(const lq_ctx_opts *o, lq_error *error)
{
    if (!o->allocator.alloc != !o->allocator.free)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "the allocator needs both alloc and free");
    if (o->threads > MAX_THREADS)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "%u threads are more than %d", o->threads,
                        MAX_THREADS);
    if (o->level != LQ_LEVEL_BEST && !lq_level_name(o->level))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no CPU level %d", o->level);
    if (!lq_level_available(o->level))
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL,
                        "level %s is not in this build or this CPU lacks it",
                        lq_level_name(o->level));
    return LQ_OK;
}

static lq_status start_pool(lq_ctx *ctx, const lq_ctx_opts *o)
{
    uint32_t spin = o->spin_us == UINT32_MAX ? 0 : o->spin_us ? o->spin_us : DEFAULT_SPIN_US;

    if (o->threads < 2 || o->parallel_for)
        return LQ_OK;
    ctx->pool = lqi_pool_create(&ctx->allocator, o->threads, spin);
    if (!ctx->pool)
        return LQ_ERR_NOMEM;
    ctx->threads = lqi_pool_threads(ctx->pool);
    return LQ_OK;
}

lq_status lq_ctx_create(const lq_ctx_opts *opts, lq_ctx **ctx, lq_error *error)
{
    lq_ctx_opts o = LQ_CTX_OPTS_INIT;
    lq_ctx *c;
    lq_status status;

    if (!ctx)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "no place for the context");
    status = lqi_opts_read(&o, sizeof o, opts);
    if (status)
        return lqi_fail(error, status, NULL, "lq_ctx_opts has an unknown struct_size");
    status = check_opts(&o, error);
    if (status)
        return status;
    c = lqi_alloc_zero(&o.allocator, sizeof *c);
    if (!c)
        return lqi_fail(error, LQ_ERR_NOMEM, NULL, "no memory for a context");
    c->allocator = o.allocator;
    c->parallel_for = o.parallel_for;
    c->parallel_user = o.parallel_user;
    c->threads = o.threads ? o.threads : 1;
    lqi_kernels_init(&c->kernels, o.level == LQ_LEVEL_BEST ? lqi_level_best() : o.level);
    fill_codecs(c);
    c->grids = lqi_grids_create(&c->allocator);
    c->maps8 = lqi_maps8_create(&c->allocator);
    status = c->grids && c->maps8 ? start_pool(c, &o) : LQ_ERR_NOMEM;
    if (status) {
        lq_ctx_destroy(c);
        return lqi_fail(error, status, NULL, "no memory for codebooks or a thread pool");
    }
    *ctx = c;
    return LQ_OK;
}

void lq_ctx_destroy(lq_ctx *ctx)
{
    if (!ctx)
        return;
    lq_allocator allocator = ctx->allocator;
    lqi_pool_destroy(ctx->pool);
    lqi_grids_destroy(ctx->grids);
    lqi_maps8_destroy(ctx->maps8);
    lqi_free(&allocator, ctx);
}

lq_status lq_ctx_prepare(const lq_ctx *ctx)
{
    lq_status status = ctx ? LQ_OK : LQ_ERR_ARG;

    for (int i = 0; i < LQI_FORMATS && !status; i++)
        status = lqi_grids_need(ctx->grids, lqi_formats[i]->grid);
    return status;
}

lq_level lq_ctx_level(const lq_ctx *ctx)
{
    return ctx ? ctx->kernels.level : 0;
}

uint32_t lq_ctx_threads(const lq_ctx *ctx)
{
    return ctx ? ctx->threads : 0;
}

void lqi_parallel(const lq_ctx *ctx, size_t count, lqi_task *task, void *arg)
{
    if (count > 1 && ctx->parallel_for) {
        ctx->parallel_for(ctx->parallel_user, count, task, arg);
    } else if (count > 1 && ctx->pool) {
        lqi_pool_run(ctx->pool, count, task, arg);
    } else {
        for (size_t i = 0; i < count; i++)
            task(arg, i);
    }
}

lq_status lq_parallel(const lq_ctx *ctx, size_t count, lqi_task *task, void *arg)
{
    if (!ctx || !task)
        return LQ_ERR_ARG;
    lqi_parallel(ctx, count, task, arg);
    return LQ_OK;
}
