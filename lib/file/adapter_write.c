/* SPDX-License-Identifier: MIT */
/*
 * lib/file/adapter_write.c - LoRA adapters: modules to a directory
 *
 * The directory is lq_writer's, so it appears complete or not at all; its only shard has
 * the name that PEFT looks for.
 */
#include <math.h>

#include "lib/core/core.h"
#include "lib/file/adapter.h"
#include "lib/file/safetensors.h"
#include "libquant/train.h"

#define PIECE 4096   /* numbers that are written at once */

typedef struct output {
    const lq_ctx            *ctx;
    const lq_adapter_config *c;
    lq_adapter_module       *modules;   /* complete copies of the caller's */
    uint64_t                 count;
    lq_writer               *writer;
    lq_error                *error;
} output;

static lq_status fail(const output *o, const char *name, lq_status status, const char *problem)
{
    lqi_where where = { NULL, name, LQ_NO_OFFSET };

    return lqi_fail(o->error, status, &where, "%s", problem);
}

/* --------------------------------------------------------------------- checks */

static float usual_scale(const output *o, uint32_t rank)
{
    return lq_lora_scale((float)o->c->alpha, rank, o->c->rank_stabilised);
}

static lq_status check_module(const output *o, lq_adapter_module *m)
{
    uint64_t bytes;
    lq_status status;

    if (!m->name || !m->name[0] || m->rank == 0 || !isfinite(m->scale))
        return fail(o, m->name, LQ_ERR_ARG, "a module has a name, a rank and a finite scale");
    if ((status = lqi_check_floats(&m->type, m->a, m->rank, m->cols, m->cols, &bytes)) ||
        (status = lqi_check_floats(&m->type, m->b, m->rows, m->rank, m->rank, &bytes)))
        return fail(o, m->name, status, "A or B is missing, not aligned or of another type");
    m->scale = m->scale == 0 ? usual_scale(o, m->rank) : m->scale;
    return LQ_OK;
}

static lq_status copy_modules(output *o, const lq_adapter_module *modules)
{
    const uint8_t *at = (const uint8_t *)modules;
    lq_status status = LQ_OK;

    o->modules = lqi_alloc_zero(&o->ctx->allocator, o->count * sizeof *o->modules);
    if (!o->modules)
        return fail(o, NULL, LQ_ERR_NOMEM, "no memory for a list of modules");
    for (uint64_t i = 0; i < o->count && !status; i++, at += modules->struct_size) {
        if (lqi_opts_read(&o->modules[i], sizeof *o->modules, at))
            return fail(o, NULL, LQ_ERR_ARG, "a module has an unknown struct_size");
        status = check_module(o, &o->modules[i]);
    }
    return status;
}

static lq_status check_config(const output *o)
{
    const lq_adapter_config *c = o->c;

    if (c->rank == 0 || !isfinite(c->alpha) || c->alpha == 0 || !isfinite(c->dropout) ||
        (c->rank_stabilised & ~1) || (!c->targets && c->target_count))
        return fail(o, NULL, LQ_ERR_ARG,
                    "rank 0, alpha 0, a number that is not finite, or a flag not 0 or 1");
    for (uint64_t i = 0; i < c->target_count; i++)
        if (!c->targets[i] || !lqi_utf8_valid(c->targets[i], strlen(c->targets[i])))
            return fail(o, NULL, LQ_ERR_ARG, "a target is no text");
    if ((c->base_model && !lqi_utf8_valid(c->base_model, strlen(c->base_model))) ||
        (c->task && !lqi_utf8_valid(c->task, strlen(c->task))))
        return fail(o, NULL, LQ_ERR_ARG, "base_model or task is no UTF-8");
    return LQ_OK;
}

/* ----------------------------------------------------------------------- JSON */

static void put_member(lqi_buffer *b, const char *key)
{
    lqi_buffer_text(b, ",\n  \"");
    lqi_buffer_text(b, key);
    lqi_buffer_text(b, "\": ");
}

static void put_text(lqi_buffer *b, const char *key, const char *text)
{
    put_member(b, key);
    if (text)
        lqi_json_put_string(b, text);
    else
        lqi_buffer_text(b, "null");
}

static void put_plain(lqi_buffer *b, const char *key, const char *text)
{
    put_member(b, key);
    lqi_buffer_text(b, text);
}

static void put_number(lqi_buffer *b, double value)
{
    char text[40];

    lqi_print_double(value, text, sizeof text);
    lqi_buffer_text(b, text);
}

/* The ranks, or alphas, of modules that differ from the config's. */
static void put_patterns(lqi_buffer *b, const output *o, const char *key, int alphas)
{
    int count = 0;

    put_member(b, key);
    lqi_buffer_text(b, "{");
    for (uint64_t i = 0; i < o->count; i++) {
        const lq_adapter_module *m = &o->modules[i];
        double root = o->c->rank_stabilised ? sqrt(m->rank) : m->rank;

        if (alphas ? m->scale == usual_scale(o, m->rank) : m->rank == o->c->rank)
            continue;
        lqi_buffer_text(b, count++ ? ", " : "");
        lqi_json_put_string(b, m->name);
        lqi_buffer_text(b, ": ");
        put_number(b, alphas ? m->scale * root : m->rank);
    }
    lqi_buffer_text(b, "}");
}

/* The caller's targets, or the modules by their full names. */
static void put_targets(lqi_buffer *b, const output *o)
{
    uint64_t count = o->c->targets ? o->c->target_count : o->count;

    put_member(b, "target_modules");
    lqi_buffer_text(b, "[");
    for (uint64_t i = 0; i < count; i++) {
        lqi_buffer_text(b, i ? ", " : "");
        lqi_json_put_string(b, o->c->targets ? o->c->targets[i] : o->modules[i].name);
    }
    lqi_buffer_text(b, "]");
}

static void put_config(lqi_buffer *b, const output *o)
{
    lqi_buffer_text(b, "{\n  \"peft_type\": \"LORA\"");
    put_text(b, "base_model_name_or_path", o->c->base_model);
    put_text(b, "task_type", o->c->task);
    put_plain(b, "inference_mode", "true");
    put_member(b, "r");
    lqi_json_put_u64(b, o->c->rank);
    put_member(b, "lora_alpha");
    put_number(b, o->c->alpha);
    put_member(b, "lora_dropout");
    put_number(b, o->c->dropout);
    put_plain(b, "use_rslora", o->c->rank_stabilised ? "true" : "false");
    put_plain(b, "use_dora", "false");
    put_plain(b, "bias", "\"none\"");
    put_plain(b, "fan_in_fan_out", "false");
    put_plain(b, "init_lora_weights", "true");
    put_plain(b, "modules_to_save", "null");
    put_patterns(b, o, "rank_pattern", 0);
    put_patterns(b, o, "alpha_pattern", 1);
    put_targets(b, o);
    lqi_buffer_text(b, "\n}\n");
}

static lq_status attach_config(const output *o)
{
    lqi_buffer b = { .allocator = &o->ctx->allocator };
    lq_status status;

    put_config(&b, o);
    status = b.failed ? LQ_ERR_NOMEM
                      : lq_writer_attach(o->writer, LQI_ADAPTER_CONFIG, b.data, b.bytes);
    lqi_buffer_free(&b);
    return status ? fail(o, NULL, status, "the config cannot be made") : LQ_OK;
}

/* -------------------------------------------------------------------- tensors */

static lq_status declare(const output *o, const lq_adapter_module *m, const char *half,
                         uint64_t rows, uint64_t cols)
{
    const uint64_t dims[2] = { rows, cols };
    lqi_buffer name = { .allocator = &o->ctx->allocator };
    uint64_t index = 0;
    lq_status status;

    lqi_buffer_text(&name, LQI_ADAPTER_PREFIX);
    lqi_buffer_text(&name, m->name);
    lqi_buffer_text(&name, half);
    lqi_buffer_put(&name, "", 1);
    status = name.failed ? LQ_ERR_NOMEM
                         : lq_writer_tensor(o->writer, (const char *)name.data, m->type, 0, 2,
                                            dims, &index);
    lqi_buffer_free(&name);
    return status ? fail(o, m->name, status, lq_status_text(status)) : LQ_OK;
}

/* n numbers as the machine has them, little-endian. */
static lq_status write_numbers(const output *o, uint64_t index, lq_dtype type, const void *x,
                               uint64_t n)
{
    uint64_t size = lq_dtype_bytes(type);
    uint8_t piece[PIECE * sizeof(float)];
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < n && !status; i += PIECE) {
        uint64_t some = lqi_min(PIECE, n - i);
        const uint8_t *from = (const uint8_t *)x + i * size;

        for (uint64_t k = 0; k < some; k++) {
            uint32_t wide = 0;
            uint16_t narrow = 0;

            if (size == sizeof wide) {
                memcpy(&wide, from + k * size, sizeof wide);
                lqi_store32(piece + k * size, wide);
            } else {
                memcpy(&narrow, from + k * size, sizeof narrow);
                lqi_store16(piece + k * size, narrow);
            }
        }
        status = lq_writer_write(o->writer, index, i * size, piece, some * size, o->error);
    }
    return status;
}

static lq_status write_all(output *o)
{
    lq_status status = LQ_OK;

    for (uint64_t i = 0; i < o->count && !status; i++) {
        const lq_adapter_module *m = &o->modules[i];

        status = declare(o, m, LQI_ADAPTER_A, m->rank, m->cols);
        if (!status)
            status = declare(o, m, LQI_ADAPTER_B, m->rows, m->rank);
    }
    if (status || (status = attach_config(o)) ||
        (status = lq_writer_meta_string(o->writer, "format", "pt")) ||
        (status = lq_writer_begin(o->writer, o->error)))
        return status;
    for (uint64_t i = 0; i < o->count && !status; i++) {
        const lq_adapter_module *m = &o->modules[i];

        status = write_numbers(o, 2 * i, m->type, m->a, m->rank * m->cols);
        if (!status)
            status = write_numbers(o, 2 * i + 1, m->type, m->b, m->rows * m->rank);
    }
    return status ? status : lq_writer_finish(o->writer, o->error);
}

lq_status lq_adapter_write(const lq_ctx *ctx, const char *path, const lq_adapter_config *config,
                           const lq_adapter_module *modules, uint64_t count, int32_t replace,
                           lq_error *error)
{
    lq_adapter_config c = LQ_ADAPTER_CONFIG_INIT;
    output o = { .ctx = ctx, .c = &c, .count = count, .error = error };
    lq_writer_opts opts = LQ_WRITER_OPTS_INIT;
    lq_status status;

    if (!ctx || !path || !config || !modules || count == 0 || (replace & ~1))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "ctx, path, config and modules are needed");
    if (lqi_opts_read(&c, sizeof c, config) || modules->struct_size < sizeof(size_t))
        return lqi_fail(error, LQ_ERR_ARG, NULL, "a struct has an unknown struct_size");
    opts.replace = replace;
    opts.shard_bytes = UINT64_MAX;
    status = check_config(&o);
    if (!status)
        status = copy_modules(&o, modules);
    if (!status)
        status = lq_writer_create(ctx, path, LQ_CONTAINER_DIRECTORY, &opts, &o.writer, error);
    if (!status) {
        o.writer->single = LQI_ADAPTER_WEIGHTS;
        status = write_all(&o);
    }
    lq_writer_destroy(o.writer);
    lqi_free(&ctx->allocator, o.modules);
    return status;
}
