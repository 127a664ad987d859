/* SPDX-License-Identifier: MIT */
/*
 * lib/file/attach.c - metadata, config.json and further files of an output
 *
 *   GGUF          keys of a GGUF source, or those of hf_gguf.c, or the architecture's name
 *   safetensors   string keys of the source; "config", when the source has a config.json,
 *                 and "quantization_config" of a foreign dialect
 *   directory     config.json with the right quantization_config, other keys in their
 *                 order; tokenizer and other small files of a source directory
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#ifdef LQI_HAVE_JSON
#include <jansson.h>
#include <stdlib.h>
#endif

#include "lib/file/dialect/dialect.h"

#define ATTACH_MAX (64u << 20)      /* bytes of one further file */

static lq_status check(lqi_plan *plan, lq_status st, const char *what)
{
    return st ? lqi_fail(plan->error, st, NULL, "%s: %s", what, lq_status_text(st)) : LQ_OK;
}

/* -------------------------------------------------------------------- metadata */

/* Keys that are about the source's bytes. */
static int is_ours(const char *key)
{
    static const char *const exact[] = {
        "general.file_type", "general.quantization_version", "general.alignment",
        "quantization_config", "config", "format", NULL
    };

    if (!strncmp(key, "lq.", 3) || !strncmp(key, "split.", 6))
        return 1;
    for (const char *const *p = exact; *p; p++)
        if (!strcmp(key, *p))
            return 1;
    return 0;
}

static lq_status copy_keys(lqi_plan *plan, lq_writer *writer)
{
    const lq_file *file = plan->cp->file;
    lq_status st = LQ_OK;

    for (uint64_t i = 0; i < lq_file_meta_count(file) && !st; i++) {
        lq_meta meta = LQ_META_INIT;
        st = lq_file_meta_at(file, i, &meta);
        if (!st && !is_ours(meta.key))
            st = check(plan, lq_writer_meta_copy(writer, file, &meta), meta.key);
    }
    return st;
}

static lq_status gguf_numbers(lqi_plan *plan, lq_writer *writer)
{
    uint32_t version = 2, type = plan->mix ? lqi_mix_file_type(plan)
                                       : lqi_gguf_file_type(plan->opts->spec->format);
    lq_status st = lq_writer_meta(writer, "general.quantization_version", LQ_META_U32, 0,
                                  &version, 1);

    if (!st)
        st = lq_writer_meta(writer, "general.file_type", LQ_META_U32, 0, &type, 1);
    return check(plan, st, "metadata");
}

static const char *model_type(const lqi_plan *plan)
{
#ifdef LQI_HAVE_JSON
    json_t *type = json_object_get(plan->config, "model_type");

    if (json_is_string(type))
        return json_string_value(type);
#else
    (void)plan;
#endif
    return "unknown";
}

static lq_status gguf_keys(lqi_plan *plan, lq_writer *writer)
{
    lq_status st;

    if (plan->cp->file->container == LQ_CONTAINER_GGUF)
        st = copy_keys(plan, writer);
#ifdef LQI_HAVE_JSON
    else if (plan->llama)
        st = lqi_llama_keys(plan, writer);
#endif
    else
        st = check(plan, lq_writer_meta_string(writer, "general.architecture",
                                               model_type(plan)), "metadata");
    return st ? st : gguf_numbers(plan, writer);
}

/* ---------------------------------------------------------------------- config */

static lq_status put_config(lqi_plan *plan, lq_writer *writer, const char *text,
                            uint64_t bytes)
{
    if (plan->container == LQ_CONTAINER_DIRECTORY)
        return check(plan, lq_writer_attach(writer, "config.json", text, bytes), "config.json");
    return check(plan, lq_writer_meta_string(writer, "config", text), "config");
}

#ifdef LQI_HAVE_JSON
/* A config of the model, not only of its quantization. */
static int is_model(json_t *config)
{
    return config && !json_object_get(config, "quant_method");
}

static lq_status dump(lqi_plan *plan, lq_writer *writer, json_t *config, json_t *quant)
{
    int directory = plan->container == LQ_CONTAINER_DIRECTORY;
    char *text = NULL;
    lq_status st = LQ_OK;

    if (is_model(config)) {
        json_object_del(config, "quantization_config");
        if (quant)
            json_object_set(config, "quantization_config", quant);
    } else if (directory && quant) {
        json_object_set(config, "quantization_config", quant);
    }
    if (json_object_size(config)) {
        text = json_dumps(config, JSON_INDENT(2));
        st = text ? put_config(plan, writer, text, strlen(text)) : LQ_ERR_NOMEM;
        free(text);
    }
    if (st || directory || !quant)
        return st;
    text = json_dumps(quant, JSON_COMPACT);
    st = text ? lq_writer_meta_string(writer, "quantization_config", text) : LQ_ERR_NOMEM;
    free(text);
    return check(plan, st, "quantization_config");
}

static lq_status write_beside(lqi_plan *plan, lq_writer *writer)
{
    const char *name = "config";
    char *text = NULL;
    json_t *beside = plan->foreign->beside(plan, &name);
    lq_status st = LQ_ERR_NOMEM;

    if (beside)
        text = json_dumps(beside, JSON_INDENT(2));
    if (text)
        st = lq_writer_attach(writer, name, text, strlen(text));
    free(text);
    json_decref(beside);
    return check(plan, st, name);
}

static lq_status write_config(lqi_plan *plan, lq_writer *writer)
{
    json_t *config = is_model(plan->config) ? json_deep_copy(plan->config) : json_object();
    json_t *quant = plan->foreign ? plan->foreign->config(plan) : NULL;
    lq_status st = LQ_ERR_NOMEM;

    if (config && (quant || !plan->foreign))
        st = dump(plan, writer, config, quant);
    json_decref(config);
    json_decref(quant);
    if (!st && plan->container == LQ_CONTAINER_DIRECTORY && plan->foreign &&
        plan->foreign->beside)
        return write_beside(plan, writer);
    return check(plan, st, "config");
}
#else
static lq_status write_config(lqi_plan *plan, lq_writer *writer)
{
    uint64_t bytes = 0;
    const char *text = lq_file_config(plan->cp->file, &bytes);

    return text ? put_config(plan, writer, text, bytes) : LQ_OK;
}
#endif

/* ----------------------------------------------------------------- other files */

static int wanted(const char *name)
{
    static const char *const endings[] = { ".json", ".txt", ".model", ".jinja", ".md", NULL };
    size_t n = strlen(name);

    if (*name == '.' || !strcmp(name, "config.json") || strstr(name, ".index.json"))
        return 0;
    for (const char *const *q = lqi_quant_files; *q; q++)
        if (!strcmp(name, *q))
            return 0;
    for (const char *const *e = endings; *e; e++)
        if (n > strlen(*e) && !strcmp(name + n - strlen(*e), *e))
            return 1;
    return 0;
}

static lq_status attach_file(lqi_plan *plan, lq_writer *writer, const char *name)
{
    const lq_allocator *a = lqi_ctx_allocator(plan->ctx);
    char path[4096];
    lqi_source *source = NULL;
    struct stat info;
    void *memory;
    uint64_t bytes;
    lq_status st;
    int n = snprintf(path, sizeof path, "%s/%s", plan->in, name);

    if (n < 0 || (size_t)n >= sizeof path || stat(path, &info) || !S_ISREG(info.st_mode) ||
        info.st_size > (off_t)ATTACH_MAX)
        return LQ_OK;
    st = lqi_source_open(a, path, 0, &source, plan->error);
    if (st)
        return st;
    bytes = lqi_source_bytes(source);
    memory = lqi_alloc(a, bytes + 1);
    st = memory ? lqi_source_read(source, 0, memory, bytes, plan->error)
                : check(plan, LQ_ERR_NOMEM, path);
    if (!st)
        st = check(plan, lq_writer_attach(writer, name, memory, bytes), name);
    lqi_free(a, memory);
    lqi_source_close(source);
    return st;
}

static lq_status attach_files(lqi_plan *plan, lq_writer *writer)
{
    lq_status st = LQ_OK;
    struct dirent *entry;
    DIR *folder;

    if (plan->cp->file->container != LQ_CONTAINER_DIRECTORY)
        return LQ_OK;
    folder = opendir(plan->in);
    if (!folder)
        return LQ_OK;
    while (!st && (entry = readdir(folder)) != NULL)
        if (wanted(entry->d_name))
            st = attach_file(plan, writer, entry->d_name);
    closedir(folder);
    return st;
}

lq_status lqi_attach(lqi_plan *plan, lq_writer *writer)
{
    lq_status st = LQ_OK;

    if (plan->container == LQ_CONTAINER_GGUF)
        return gguf_keys(plan, writer);
    if (plan->cp->file->container != LQ_CONTAINER_GGUF)
        st = copy_keys(plan, writer);
    if (!st)
        st = check(plan, lq_writer_meta_string(writer, "format", "pt"), "metadata");
    if (!st)
        st = write_config(plan, writer);
    if (!st && plan->container == LQ_CONTAINER_DIRECTORY)
        st = attach_files(plan, writer);
    return st;
}
