/* SPDX-License-Identifier: MIT */
/*
 * lib/file/gguf_types.c - sizes of what files contain
 */
#include "lib/file/gguf.h"
#include "lib/format/format.h"

/* By number.  4, 5, 31-33 and 36-38 were removed from the format. */
static const lqi_gguf_type types[] = {
    [0]  = { 1, 4, LQ_F32 },   [1]  = { 1, 2, LQ_F16 },
    [2]  = { 32, 18, 0 },      [3]  = { 32, 20, 0 },     /* q4_0, q4_1 */
    [6]  = { 32, 22, 0 },      [7]  = { 32, 24, 0 },     /* q5_0, q5_1 */
    [8]  = { 32, 34, 0 },      [9]  = { 32, 36, 0 },     /* q8_0, q8_1 */
    [10] = { 256, 84, 0 },     [11] = { 256, 110, 0 },   /* q2_k, q3_k */
    [12] = { 256, 144, 0 },    [13] = { 256, 176, 0 },   /* q4_k, q5_k */
    [14] = { 256, 210, 0 },    [15] = { 256, 292, 0 },   /* q6_k, q8_k */
    [16] = { 256, 66, 0 },     [17] = { 256, 74, 0 },    /* iq2_xxs, iq2_xs */
    [18] = { 256, 98, 0 },     [19] = { 256, 50, 0 },    /* iq3_xxs, iq1_s */
    [20] = { 32, 18, 0 },      [21] = { 256, 110, 0 },   /* iq4_nl, iq3_s */
    [22] = { 256, 82, 0 },     [23] = { 256, 136, 0 },   /* iq2_s, iq4_xs */
    [24] = { 1, 1, LQ_I8 },    [25] = { 1, 2, LQ_I16 },
    [26] = { 1, 4, LQ_I32 },   [27] = { 1, 8, LQ_I64 },
    [28] = { 1, 8, LQ_F64 },   [29] = { 256, 56, 0 },    /* iq1_m */
    [30] = { 1, 2, LQ_BF16 },
    [34] = { 256, 54, 0 },     [35] = { 256, 66, 0 },    /* tq1_0, tq2_0 */
    [39] = { 32, 17, 0 },      [40] = { 64, 36, 0 },     /* mxfp4, nvfp4 */
    [41] = { 128, 18, 0 },     [42] = { 64, 18, 0 },     /* q1_0, q2_0 */
};

#define TYPES (sizeof types / sizeof *types)

const lqi_gguf_type *lqi_gguf_type_get(uint64_t number)
{
    return number < TYPES && types[number].block_len ? &types[number] : NULL;
}

static int32_t number_of_dtype(lq_dtype dtype)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].block_len && types[i].dtype == dtype)
            return (int32_t)i;
    return -1;
}

int32_t lqi_gguf_type_number(lq_dtype dtype, lq_format format)
{
    const lqi_format *f = dtype ? NULL : lqi_format_by_id(format);

    if (dtype)
        return number_of_dtype(dtype);
    if (f && f->gguf >= 0)
        return f->gguf;
    if (format < LQI_GGUF_TYPE_BASE ||
        !lqi_gguf_type_get((uint64_t)(format - LQI_GGUF_TYPE_BASE)))
        return -1;
    return format - LQI_GGUF_TYPE_BASE;
}

uint32_t lqi_meta_bytes(lq_meta_type type)
{
    static const uint8_t bytes[13] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

    return type >= 0 && type <= LQ_META_F64 ? bytes[type] : 0;
}

/* ------------------------------------------------------------------ tensors */

typedef struct block {
    uint64_t len, bytes, row_bytes;
} block;

static lq_status block_of(lq_dtype dtype, lq_format format, block *b)
{
    const lqi_format *f;
    int32_t number;

    if (dtype) {
        *b = (block){ 1, lq_dtype_bytes(dtype), 0 };
        return b->bytes ? LQ_OK : LQ_ERR_UNSUPPORTED;
    }
    f = lqi_format_by_id(format);
    if (f && f->storage == LQ_BLOCKED) {
        *b = (block){ f->block_len, f->block_bytes, f->row_bytes };
        return LQ_OK;
    }
    number = lqi_gguf_type_number(0, format);
    if (number < 0)
        return LQ_ERR_UNSUPPORTED;
    *b = (block){ types[number].block_len, types[number].block_bytes, 0 };
    return LQ_OK;
}

/*
 * A dimension of 0 makes a tensor of no bytes; the others must fit all the same, so that
 * whoever computes strides from them can trust them.  Elements stay below 2^63.
 */
lq_status lqi_entry_bytes(lq_dtype dtype, lq_format format, uint32_t n_dims,
                          const uint64_t *dims, uint64_t *bytes)
{
    uint64_t cols = n_dims ? dims[n_dims - 1] : 1;
    uint64_t elements = 1, rows = 1, row, total;
    int empty = cols == 0;
    block b;
    lq_status status = block_of(dtype, format, &b);

    if (status != LQ_OK)
        return status;
    for (uint32_t i = 0; i + 1 < n_dims; i++) {
        empty |= dims[i] == 0;
        if (!lqi_mul(rows, dims[i] ? dims[i] : 1, &rows))
            return LQ_ERR_OVERFLOW;
    }
    if (!lqi_mul(rows, cols ? cols : 1, &elements) || elements > INT64_MAX)
        return LQ_ERR_OVERFLOW;
    if (cols % b.len != 0)
        return LQ_ERR_SHAPE;
    if (!lqi_mul(cols / b.len, b.bytes, &row) || !lqi_add(row, b.row_bytes, &row) ||
        !lqi_mul(row, rows, &total))
        return LQ_ERR_OVERFLOW;
    *bytes = empty ? 0 : total;
    return LQ_OK;
}
