/* SPDX-License-Identifier: MIT */
/*
 * examples/qlora/files.c - adapters saved and read as PEFT does, and merged
 */
#include "qlora.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const targets[] = { "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                                       "up_proj", "down_proj" };

void adapters_save(const adapters *all, const char *path, const char *base_model)
{
    lq_adapter_module *modules = allocate(all->count, sizeof *modules);
    lq_adapter_config config = LQ_ADAPTER_CONFIG_INIT;
    lq_error error = LQ_ERROR_INIT;

    config.base_model = base_model;
    config.task = "CAUSAL_LM";
    config.targets = targets;
    config.target_count = sizeof targets / sizeof *targets;
    config.alpha = all->alpha;
    config.dropout = all->dropout;
    config.rank = all->rank;
    config.rank_stabilised = all->stabilised;
    for (uint32_t i = 0; i < all->count; i++) {
        const adapter *a = &all->list[i];

        lq_adapter_module_init(&modules[i]);
        modules[i].name = a->name;
        modules[i].rows = a->rows.rows;
        modules[i].cols = a->rows.cols;
        modules[i].rank = all->rank;
        modules[i].a = a->lora.a;
        modules[i].b = a->lora.b;
    }
    check(lq_adapter_write(all->ctx, path, &config, modules, all->count, 1, &error), &error,
          path);
    free(modules);
}

void adapters_load(adapters *all, const char *path)
{
    lq_error error = LQ_ERROR_INIT;
    lq_adapter *file = NULL;

    check(lq_adapter_open(all->ctx, path, &file, &error), &error, path);
    for (uint32_t i = 0; i < all->count; i++) {
        adapter *a = &all->list[i];
        lq_adapter_module m = LQ_ADAPTER_MODULE_INIT;
        uint64_t index;

        check(lq_adapter_find(file, a->name, &index), NULL, a->name);
        check(lq_adapter_at(file, index, &m), NULL, a->name);
        if (m.rows != a->rows.rows || m.cols != a->rows.cols || m.rank != all->rank ||
            m.type != LQ_F32)
            fail("%s: %s: of another shape or type", path, a->name);
        a->lora.scale = m.scale;
        memcpy(all->values + a->a, m.a, m.rank * m.cols * sizeof(float));
        memcpy(all->values + a->b, m.b, m.rows * m.rank * sizeof(float));
    }
    lq_adapter_destroy(file);
}

void adapters_merge(const adapters *all, const char *text, network *n)
{
    lq_merge_report sum = LQ_MERGE_REPORT_INIT;
    lq_error error = LQ_ERROR_INIT;
    lq_spec spec = LQ_SPEC_INIT;

    check(lq_spec_parse(text, &spec, &error), &error, text);
    for (uint32_t i = 0; i < all->count; i++) {
        const adapter *a = &all->list[i];
        lq_merge_report report = LQ_MERGE_REPORT_INIT;
        lq_tensor *merged = NULL;

        check(lq_lora_merge(all->ctx, &a->lora, &spec, NULL, &merged, &report, &error), &error,
              a->name);
        check(lq_tensor_decode(merged, LQ_F32, shape_layer(&n->s, n->weights, i / MATRICES)
                                                   .matrix[i % MATRICES]), NULL, a->name);
        lq_tensor_destroy(merged);
        sum.squares += report.squares;
        sum.change += report.change;
        sum.error += report.error;
    }
    printf("merged into %s: the change is %.4f of the weights, what rounding adds %.4f (rms)\n",
           text, sqrt(sum.change / sum.squares), sqrt(sum.error / sum.squares));
}
