/* SPDX-License-Identifier: MIT */
/*
 * lib/file/recode.c - the same codes in the blocks of another format
 *
 *   int4:g32:f16      q4_0         (code - 8) * d, both
 *   int4:g32:zp:f16   q4_1         (code - zero) * d as code * d + m, m = -(zero * d) in f16:
 *                                  exact where that product is an f16, which is measured
 *   mxfp4             mxfp4_gguf   the same codes and exponents
 *
 * Blocks of 32: nibble j of a block's 16 bytes is column j, its upper half column j + 16.
 */
#include "lib/core/core.h"
#include "lib/file/weights.h"

enum { BLOCK = 32 };

static const struct pair { lq_format from, to; lq_dtype scales; int zeros; size_t head; } pairs[] = {
    { LQ_FORMAT_INT4, LQ_FORMAT_Q4_0, LQ_F16, LQ_ZEROS_NONE, 2 },
    { LQ_FORMAT_INT4, LQ_FORMAT_Q4_1, LQ_F16, LQ_ZEROS_INT, 4 },
    { LQ_FORMAT_MXFP4, LQ_FORMAT_GGUF_MXFP4, LQ_E8M0, LQ_ZEROS_NONE, 1 },
};

static const struct pair *pair_of(const lq_spec *from, const lq_spec *to, const lq_shape *shape)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct pair *p = &pairs[i];
        if (from->format == p->from && to->format == p->to && from->scale_type == p->scales &&
            from->zeros == p->zeros && from->group_rows == 1 && from->group_cols == BLOCK &&
            !from->flags && !from->scale2_block && shape->cols % BLOCK == 0)
            return p;
    }
    return NULL;
}

int lqi_recode_possible(const lq_spec *from, const lq_spec *to, const lq_shape *shape)
{
    return pair_of(from, to, shape) != NULL;
}

static void put_head(const struct pair *p, const lq_rows *rows, uint64_t group, uint8_t *block)
{
    const uint8_t *scales = rows->plane[LQ_PLANE_SCALES], *zeros = rows->plane[LQ_PLANE_ZEROS];
    uint64_t size = lqi_scale_bytes(p->scales);

    memcpy(block, scales + group * size, (size_t)size);
    if (p->zeros)
        lqi_scale_store(LQ_F16, -(lqi_scale_load(LQ_F16, scales, group) * (float)zeros[group]),
                        block + size, 0);
}

void lqi_recode_row(const lq_spec *to, const lq_rows *rows, uint64_t row, uint8_t *blocks)
{
    lq_shape shape = { 1, rows->rows, rows->cols };
    const struct pair *p = pair_of(rows->spec, to, &shape);
    const uint8_t *codes = (const uint8_t *)rows->plane[LQ_PLANE_CODES] + row * (rows->cols / 2);
    uint64_t groups = rows->cols / BLOCK;

    for (uint64_t g = 0; g < groups; g++) {
        uint32_t c[BLOCK];
        lqi_codes_read(codes, 4, LQI_LOW_FIRST, g * BLOCK, BLOCK, c);
        put_head(p, rows, row * groups + g, blocks);
        for (int j = 0; j < BLOCK / 2; j++)
            blocks[p->head + j] = (uint8_t)(c[j] | c[j + BLOCK / 2] << 4);
        blocks += p->head + BLOCK / 2;
    }
}
