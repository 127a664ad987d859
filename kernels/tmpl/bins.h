/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/bins.h - lqi_bins_code() of whole vectors
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

typedef struct bin_terms {
    v_f32           least, most, rest;
    const uint32_t *entry;
} bin_terms;

V_INLINE bin_terms bins_load(const lqi_bins *b)
{
    return (bin_terms){ v_set1(b->least), v_set1(b->most), v_as_f32(v_set1u(b->rest)),
                        b->entry };
}

V_INLINE v_u32 bins_code(const bin_terms *b, v_f32 x)
{
    v_u32 at = v_as_u32(v_min(v_max(v_abs(x), b->least), b->most)) - v_as_u32(b->least);
    v_f32 rest = v_select(v_lt(v_set1(0), x), v_set1(0), b->rest);
    v_u32 entry = v_gather((const int32_t *)b->entry, (at >> 16) + v_as_u32(rest));

    /* without a bit of the lower code, and so below 2^31 */
    return v_where_uless(entry >> 1, (at & 0xffff) << 15, entry >> 8, entry) & 255;
}
