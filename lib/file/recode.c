/* SPDX-License-Identifier: MIT */
/*
 * lib/file/recode.c - the same codes in another format: planes to GGUF's blocks and back
 *
 *   int4, int5, int8 of g32, f16, without zp    q4_0  q5_0  q8_0     (code - middle) * d
 *   the same with zp                            the same             zero points: middle
 *   int4, int5 of g32, f16, with zp             q4_1  q5_1
 *   mxfp4                                       mxfp4_gguf
 *   nvfp4:gm, nvfp4:gd                          nvfp4_gguf           global scale 1
 *   integers without zp                         with zp              zero points: middle
 *
 * Between (code - zero) * d and code * d + m the minimum is m = -(zero * d), an f16: the
 * value is the same where that product needs no rounding, which is measured.  Back, a
 * minimum that no integer zero point gives cannot be said in planes, nor a global scale
 * other than 1 in blocks: whether a weight can be recoded depends on its numbers then.
 *
 * Blocks begin with their scales, in the types of the planes; where codes lie in them is
 * their format's business.
 */
#include "lib/core/core.h"
#include "lib/file/weights.h"

enum { TO_BLOCKS, TO_PLANES, ZEROS };

typedef struct pair {
    lq_format planes, blocks;
    lq_dtype  scales;
    uint32_t  group;        /* columns of a scale */
    int       minimum;      /* blocks have one, planes zero points */
} pair;

static const pair pairs[] = {
    { LQ_FORMAT_INT4, LQ_FORMAT_Q4_0, LQ_F16, 32, 0 },
    { LQ_FORMAT_INT4, LQ_FORMAT_Q4_1, LQ_F16, 32, 1 },
    { LQ_FORMAT_INT5, LQ_FORMAT_Q5_0, LQ_F16, 32, 0 },
    { LQ_FORMAT_INT5, LQ_FORMAT_Q5_1, LQ_F16, 32, 1 },
    { LQ_FORMAT_INT8, LQ_FORMAT_Q8_0, LQ_F16, 32, 0 },
    { LQ_FORMAT_MXFP4, LQ_FORMAT_GGUF_MXFP4, LQ_E8M0, 32, 0 },
    { LQ_FORMAT_NVFP4, LQ_FORMAT_GGUF_NVFP4, LQ_F8_E4M3, 16, 0 },
};

static int fits(const pair *p, const lq_spec *planes, const lq_spec *blocks)
{
    return planes->format == p->planes && blocks->format == p->blocks &&
           planes->scale_type == p->scales && planes->zeros != LQ_ZEROS_FLOAT &&
           (planes->zeros || !p->minimum) && planes->group_rows == 1 &&
           planes->group_cols == p->group &&
           !(planes->flags & ~(uint32_t)LQ_SPEC_GLOBAL) && !planes->scale2_block &&
           !blocks->flags;
}

/* Both sides are integers in planes, and differ in nothing but having zero points. */
static int zeros_only(const lq_spec *from, const lq_spec *to)
{
    const lqi_format *f = lqi_format_by_id(from->format);
    lq_spec other = *from;

    if (!f || !(f->can & LQI_CAN_ZEROS_INT) || from->flags || from->zeros == LQ_ZEROS_FLOAT ||
        to->zeros == LQ_ZEROS_FLOAT || from->scale2_block || from->group_rows != 1)
        return 0;
    other.zeros = to->zeros;
    return lq_spec_equal(&other, to);
}

int lqi_recode_open(lqi_recode *r, const lq_spec *from, const lq_spec *to, uint64_t cols)
{
    const lqi_format *f = lqi_format_by_id(from->format);

    *r = (lqi_recode){ .from = from, .to = to, .cols = cols };
    if (zeros_only(from, to)) {
        r->way = ZEROS;
        r->other = f;
        return 1;
    }
    r->way = f && f->storage == LQ_PLANAR ? TO_BLOCKS : TO_PLANES;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        r->pair = &pairs[i];
        r->other = lqi_format_by_id(pairs[i].blocks);
        if (r->way == TO_BLOCKS ? fits(r->pair, from, to) : fits(r->pair, to, from))
            return cols % r->other->block_len == 0;
    }
    return 0;
}

int lqi_recode_depends(const lqi_recode *r)
{
    switch (r->way) {
    case TO_BLOCKS: return r->from->zeros || r->from->flags & LQ_SPEC_GLOBAL;
    case TO_PLANES: return r->pair->minimum;
    default:        return r->from->zeros;
    }
}

/* ----------------------------------------------------------------- parameters */

/* The stored zero point in the middle of the codes. */
static uint8_t middle(const lqi_format *f)
{
    return f->bits == 8 ? 0 : (uint8_t)(1u << (f->bits - 1));
}

/* -(zero * d) in f16. */
static uint16_t minimum(uint16_t d, uint32_t zero)
{
    return lqi_f32_to_f16(-(lqi_f16_to_f32(d) * (float)zero));
}

/* The zero point of a scale and a minimum; *zero unchanged and 0: there is none. */
static int find_zero(unsigned bits, uint16_t d, uint16_t m, uint8_t *zero)
{
    for (uint32_t z = 0; z < 1u << bits; z++)
        if (minimum(d, z) == m || (minimum(d, z) == 0x8000 && m == 0)) {
            *zero = (uint8_t)z;
            return 1;
        }
    return 0;
}

/* An E4M3 scale of planes is that of a block: no sign, no NaN. */
static int plain_e4m3(const uint8_t *scales, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (scales[i] >= 0x7f)
            return 0;
    return 1;
}

/* Blocks ignore the sign, and 0x7f stands for 0. */
static void to_e4m3(uint8_t *scales, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        scales[i] = (scales[i] & 0x7f) == 0x7f ? 0 : scales[i] & 0x7f;
}

static int head_to_block(const lqi_recode *r, const lq_rows *from, uint64_t group,
                         uint8_t *block)
{
    uint64_t size = lqi_scale_bytes(r->pair->scales), n = r->other->block_len / r->pair->group;
    const uint8_t *scales = (const uint8_t *)from->plane[LQ_PLANE_SCALES] + group * size;
    const uint8_t *zeros = from->plane[LQ_PLANE_ZEROS];
    uint16_t m;

    memset(block, 0, r->other->block_bytes);
    memcpy(block, scales, (size_t)(n * size));
    if (r->from->flags & LQ_SPEC_GLOBAL)
        return plain_e4m3(scales, n) &&
               lqi_scale_load(LQ_F32, from->plane[LQ_PLANE_OFFSET], 0) == 1;
    if (!r->pair->minimum)
        return !r->from->zeros || zeros[group] == middle(r->other);
    m = minimum(lqi_load16(scales), zeros[group]);
    lqi_store16(block + size, m);
    return lqi_finite(lqi_f16_to_f32(m));
}

static int head_to_planes(const lqi_recode *r, const uint8_t *block, uint64_t group,
                          const lq_rows *to)
{
    uint64_t size = lqi_scale_bytes(r->pair->scales), n = r->other->block_len / r->pair->group;
    uint8_t *scales = (uint8_t *)to->plane[LQ_PLANE_SCALES] + group * size;
    uint8_t *zeros = to->plane[LQ_PLANE_ZEROS];

    memcpy(scales, block, (size_t)(n * size));
    if (r->to->flags & LQ_SPEC_GLOBAL) {
        to_e4m3(scales, n);
        lqi_scale_store(LQ_F32, 1, to->plane[LQ_PLANE_OFFSET], 0);
    }
    if (r->pair->minimum)
        return find_zero(r->other->bits, lqi_load16(block), lqi_load16(block + size),
                         zeros + group);
    if (r->to->zeros)
        zeros[group] = middle(r->other);
    return 1;
}

/* ----------------------------------------------------------------------- rows */

/* Of a row in planes, without overflow: the tensor is there. */
static uint64_t code_bytes(const lqi_recode *r)
{
    return r->cols / 8 * r->other->bits + (r->cols % 8 * r->other->bits + 7) / 8;
}

static int row_to_blocks(const lqi_recode *r, const lq_rows *from, uint64_t row,
                         const lq_rows *to)
{
    const lqi_format *f = r->other;
    const uint8_t *codes = (const uint8_t *)from->plane[LQ_PLANE_CODES] + row * code_bytes(r);
    uint8_t *block = to->plane[LQ_PLANE_CODES];
    uint64_t blocks = r->cols / f->block_len, each = f->block_len / r->pair->group;
    _Alignas(16) uint8_t param[LQI_PARAM_MAX];
    uint32_t c[LQI_BLOCK_MAX];

    for (uint64_t b = 0; b < blocks; b++, block += f->block_bytes) {
        if (!head_to_block(r, from, (row * blocks + b) * each, block))
            return 0;
        f->unpack(block, param, c);             /* the head as the format's parameters */
        lqi_codes_read(codes, f->bits, LQI_LOW_FIRST, b * f->block_len, f->block_len, c);
        f->pack(param, c, block);
    }
    return 1;
}

static int row_to_planes(const lqi_recode *r, const lq_rows *from, uint64_t row,
                         const lq_rows *to)
{
    const lqi_format *f = r->other;
    uint64_t blocks = r->cols / f->block_len, each = f->block_len / r->pair->group;
    const uint8_t *block = (const uint8_t *)from->plane[LQ_PLANE_CODES] +
                           row * blocks * f->block_bytes;
    _Alignas(16) uint8_t param[LQI_PARAM_MAX];
    uint32_t c[LQI_BLOCK_MAX];

    memset(to->plane[LQ_PLANE_CODES], 0, (size_t)code_bytes(r));
    for (uint64_t b = 0; b < blocks; b++, block += f->block_bytes) {
        if (!head_to_planes(r, block, b * each, to))
            return 0;
        f->unpack(block, param, c);
        lqi_codes_write(to->plane[LQ_PLANE_CODES], f->bits, LQI_LOW_FIRST, b * f->block_len,
                        f->block_len, c);
    }
    return 1;
}

/* Planes as they are, but for zero points that come or go. */
static int row_zeros(const lqi_recode *r, const lq_rows *from, uint64_t row, const lq_rows *to)
{
    uint64_t groups = r->from->group_cols == LQ_GROUP_ALL
                          ? 1 : lqi_div_up(r->cols, r->from->group_cols);
    uint64_t scales = groups * lqi_scale_bytes(r->from->scale_type), bytes = code_bytes(r);
    const uint8_t *zeros = from->plane[LQ_PLANE_ZEROS];

    memcpy(to->plane[LQ_PLANE_CODES],
           (const uint8_t *)from->plane[LQ_PLANE_CODES] + row * bytes, (size_t)bytes);
    memcpy(to->plane[LQ_PLANE_SCALES],
           (const uint8_t *)from->plane[LQ_PLANE_SCALES] + row * scales, (size_t)scales);
    if (r->to->zeros)
        memset(to->plane[LQ_PLANE_ZEROS], middle(r->other), (size_t)groups);
    for (uint64_t g = 0; r->from->zeros && g < groups; g++)
        if (zeros[row * groups + g] != middle(r->other))
            return 0;
    return 1;
}

int lqi_recode_row(const lqi_recode *r, const lq_rows *from, uint64_t row, const lq_rows *to)
{
    switch (r->way) {
    case TO_BLOCKS: return row_to_blocks(r, from, row, to);
    case TO_PLANES: return row_to_planes(r, from, row, to);
    default:        return row_zeros(r, from, row, to);
    }
}

/* ---------------------------------------------------------------------- weights */

static lq_status check_rows(const lqi_recode *r, const lq_tensor *t, const lq_shape *shape,
                            const lq_rows *one, int *same)
{
    lq_status st = LQ_OK;

    for (uint64_t o = 0; o < shape->outer && *same && !st; o++) {
        lq_rows rows = LQ_ROWS_INIT;
        st = lq_tensor_rows(t, o, &rows);
        for (uint64_t row = 0; row < shape->rows && *same && !st; row++)
            *same = lqi_recode_row(r, &rows, row, one);
    }
    return st;
}

lq_status lqi_recode_check(const lqi_plan *plan, uint64_t index, const lq_spec *to, int *same)
{
    const lqi_weight *w = &plan->cp->weights[index];
    lq_shape one = { 1, 1, w->shape.cols };
    lq_rows rows = LQ_ROWS_INIT;
    lq_tensor *t = NULL, *scratch = NULL;
    lqi_recode r;
    lq_status st = LQ_OK;

    *same = lqi_recode_open(&r, &w->spec, to, w->shape.cols);
    if (!*same || !lqi_recode_depends(&r))
        return LQ_OK;
    st = lq_checkpoint_load(plan->cp, index, &t, plan->error);
    if (!st)
        st = lq_tensor_create(plan->ctx, to, &one, &scratch, plan->error);
    if (!st)
        st = lq_tensor_rows(scratch, 0, &rows);
    if (!st)
        st = check_rows(&r, t, &w->shape, &rows, same);
    lq_tensor_destroy(scratch);
    lq_tensor_destroy(t);
    return st;
}
