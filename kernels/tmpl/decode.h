/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/decode.h - decoders, written once in the vector vocabulary
 *
 * Included by each ISA unit after its vocabulary (kernels/x86/v_<isa>.h), of which it
 * uses: V_LANES, v_f32, v_store, v_set1, v_mul, v_table4 (16 f32 values in registers),
 * v_table4_load, v_table4_high (values of V_LANES nibbles, high nibble first),
 * v_from_i8.
 *
 * A block decoder multiplies each value by its scale once, as the reference does: the
 * bits are the same on every level.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

/* One stretch of a group: elements [first, first + n) share 'scale'. */
static void table4_group(const uint8_t *codes, uint64_t first, size_t n, float scale,
                         const float *table, float *y)
{
    v_table4 values = v_table4_load(table, scale);
    size_t i = 0;

    for (; i < n && (first + i) % 2; i++)
        y[i] = table[codes[(first + i) / 2] & 15] * scale;
    for (; i + V_LANES <= n; i += V_LANES)
        v_store(y + i, v_table4_high(values, codes + (first + i) / 2));
    for (; i < n; i++) {
        uint8_t byte = codes[(first + i) / 2];
        y[i] = table[(first + i) % 2 ? byte & 15 : byte >> 4] * scale;
    }
}

static void decode_table4(const lqi_run *run, float *y)
{
    uint64_t first = run->first;
    size_t left = run->n;

    for (size_t g = 0; left; g++) {
        size_t n = (size_t)lqi_min(left, run->group - first % run->group);
        table4_group(run->codes, first, n, run->scale[g], run->table, y);
        y += n;
        first += n;
        left -= n;
    }
}

static void decode_f16_i8x32(const lqi_run *run, float *y)
{
    const uint8_t *block = run->codes + run->first / 32 * 34;
    size_t i = 0;

    for (; i + 32 <= run->n; i += 32, block += 34) {
        v_f32 scale = v_set1(lqi_f16_to_f32(lqi_load16(block)));
        for (size_t j = 0; j < 32; j += V_LANES)
            v_store(y + i + j, v_mul(v_from_i8(block + 2 + j), scale));
    }
    if (i < run->n) {
        float scale = lqi_f16_to_f32(lqi_load16(block));
        for (size_t j = 0; i + j < run->n; j++)
            y[i + j] = (float)(int8_t)block[2 + j] * scale;
    }
}
