/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/grid.h - nearest entries of codebooks, and the scale search around them
 *
 * Part of search.h, whose conventions it uses.  Words, lists and places: kernels.h;
 * lib/format/grid_search.c and grids.c are the specification.
 *
 * What is before and after the lists goes one candidate per lane: digits, places, sums over
 * the sub-block.  A list goes one neighbour per lane.  Its distances are sums of a term for
 * each digit, of which there are 32 for a group and a scale: 8 digits x 4 values (the fourth
 * is not used) or 4 x 8.  So a neighbour costs a permute and an addition per digit.
 */
#ifndef SEARCH_MAGIC
#error "included by kernels/tmpl/search.h"
#endif

#define GRID_TERMS 32
#define GRID_REGS  (GRID_TERMS / V_LANES)
#define GRID_MOST  32   /* candidates */

/* Larger numbers, weights and codes go to the plain search. */
#define GRID_HUGE        1e12f
#define GRID_HUGE_WEIGHT 1e20f
#define GRID_HUGE_CODE   1048576.0f

/* Which digit a term belongs to, and the level that it stands for. */
static const uint32_t grid_digit[2][GRID_TERMS] = {
    { 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7 },
    { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3 },
};
static const float grid_level[2][GRID_TERMS] = {
    { 1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7, 1, 3, 5, 7 },
    { 1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15,
      1, 3, 5, 7, 9, 11, 13, 15 },
};

/* ------------------------------------------------------------------- lists */

/* Terms as the digits of words find them. */
typedef struct grid_terms {
    v_f32 row[GRID_REGS];
    v_f32 four[8];
} grid_terms;

V_INLINE void grid_spread(grid_terms *t, const int lanes)
{
    for (int k = 0; k < lanes && lanes == 8; k++)
        t->four[k] = v_spread_4(t->row, k);
}

V_INLINE v_f32 grid_term(const grid_terms *t, v_u32 word, int k, const int lanes)
{
    return lanes == 8 ? v_of_4(t->four[k], word >> 2 * k) : v_of_8(t->row, k, word >> 4 * k);
}

/* Distances; what is no number below FLT_MAX becomes that. */
V_INLINE v_f32 grid_distance(const grid_terms *t, v_u32 word, const int lanes)
{
    v_f32 sum = grid_term(t, word, 0, lanes);

#pragma GCC unroll 8
    for (int k = 1; k < lanes; k++)
        sum = v_add(sum, grid_term(t, word, k, lanes));
    return v_min(sum, v_set1(FLT_MAX));
}

/* Lanes keep their first best; of the lanes that share the least distance, the one that
 * found it at the lowest place. */
V_INLINE uint16_t grid_nearest_of_many(const grid_terms *t, const uint16_t *list, size_t n,
                                       const int lanes)
{
    v_f32 best = grid_distance(t, v_load_u16(list), lanes);
    v_u32 at = v_set1u(0);
    uint32_t place[V_LANES], first = UINT32_MAX;

    for (size_t i = V_LANES; i < n; i += V_LANES) {
        v_f32 sum = grid_distance(t, v_load_u16(list + i), lanes);
        v_mask less = v_lt(sum, best);
        best = v_select(less, sum, best);
        at = v_as_u32(v_select(less, v_as_f32(v_set1u((uint32_t)i)), v_as_f32(at)));
    }
    v_store_u32(place, at);
    for (uint32_t m = v_bits(v_eq(best, v_set1(v_min_all(best)))); m; m &= m - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(m), i = place[lane] + lane;
        first = i < first ? i : first;
    }
    return list[first];
}

V_INLINE uint16_t grid_nearest(grid_terms *t, const uint16_t *list, size_t n, const int lanes)
{
    grid_spread(t, lanes);
    if (n > V_LANES)
        return grid_nearest_of_many(t, list, n, lanes);
    v_f32 sum = grid_distance(t, v_load_u16(list), lanes);
    return list[__builtin_ctz(v_bits(v_eq(sum, v_set1(v_min_all(sum)))))];
}

/* Numbers of a group, one for each term. */
V_INLINE v_f32 grid_expand(const float *x, int i, const int lanes)
{
    return v_table3_at(v_table3_load(x), v_load_u32(grid_digit[lanes == 4] + i * V_LANES));
}

static uint16_t search_nearest(const uint16_t *list, size_t n, const float *x, const float *w,
                               float scale, const float *q)
{
    float level[GRID_TERMS];
    grid_terms t;

    for (int i = 0; i < GRID_TERMS; i++)
        level[i] = q[i % 4 % 3];
    for (int i = 0; i < GRID_REGS; i++) {
        v_f32 e = v_sub(v_mul(v_set1(scale), v_load(level + i * V_LANES)), grid_expand(x, i, 8));
        t.row[i] = v_mul(v_mul(grid_expand(w, i, 8), e), e);
    }
    return grid_nearest(&t, list, n, 8);
}

/* ------------------------------------------------------------- a sub-block */

typedef struct grid_search {
    const lqi_grid_fit *fit;
    int                 groups;
    _Alignas(64) float  v[8][GRID_TERMS], u[8][GRID_TERMS];   /* expanded; u: roots of weights */
    float               wv[LQI_LANE_GROUP];
    uint16_t            word[8][GRID_MOST];   /* of a group, for each candidate */
    uint32_t            off[8];               /* candidates for which it was off the grid */
    float               xq[GRID_MOST], q2[GRID_MOST];
    float               most;                 /* largest magnitude */
} grid_search;

/* Returns 0 for numbers that are not ours. */
V_INLINE int grid_open(grid_search *s, const lqi_grid_fit *f, const int lanes)
{
    float v[LQI_LANE_GROUP + 8] = { 0 }, u[LQI_LANE_GROUP + 8] = { 0 };
    v_f32 most = v_set1(0);
    v_mask fine = v_eq(most, most);

    memset(s->off, 0, sizeof s->off);
    s->fit = f;
    s->groups = f->rules->sub / lanes;
    for (int i = 0; i < f->rules->sub; i += V_LANES) {
        v_f32 x = v_load(f->v + i), w = v_load(f->w + i);
        fine = v_both(fine, v_both(v_lt(v_abs(x), v_set1(GRID_HUGE)),
                                   v_lt(w, v_set1(GRID_HUGE_WEIGHT))));
        most = v_max(v_abs(x), most);
        v_store(v + i, x);
        v_store(u + i, v_sqrt(w));
        v_store(s->wv + i, v_mul(w, x));
    }
    for (int g = 0; g < s->groups; g++)
        for (int i = 0; i < GRID_REGS; i++) {
            v_store(s->v[g] + i * V_LANES, grid_expand(v + g * lanes, i, lanes));
            v_store(s->u[g] + i * V_LANES, grid_expand(u + g * lanes, i, lanes));
        }
    s->most = v_max_all(most);
    return !v_bits(v_not(fine));
}

/* Words and places of one group for V_LANES inverse scales. */
V_INLINE v_u32 grid_words(const grid_search *s, int group, v_f32 inverse, uint16_t *words,
                          const int lanes)
{
    const v_f32 magic = v_set1(SEARCH_MAGIC), one = v_set1(1), half = v_set1(0.5f);
    const v_f32 top = v_set1(SEARCH_MAGIC + (lanes == 8 ? 2 : 7));
    const float *v = s->fit->v + group * lanes;
    v_u32 word = v_set1u(lanes == 8 ? 0 : 0x8080), point = v_set1u(0);

#pragma GCC unroll 8
    for (int k = lanes - 1; k >= 0; k--) {
        v_f32 y = v_mul(half, v_sub(v_mul(inverse, v_set1(v[k])), one));
        v_u32 digit = v_as_u32(v_min(v_max(v_add(y, magic), magic), top)) & 7;
        word |= digit << 16 / lanes * k;
        point = (lanes == 8 ? point + point + point : point << 3) + digit;
    }
    v_store_u16(words, word);
    return v_gather(s->fit->near->place, point);
}

/* V_LANES scales under trial, 'count' of which are meant: candidates from 'first' on. */
typedef struct grid_trial {
    v_f32 inverse, scale;
    int   first, count;
} grid_trial;

/* Round groups; off the grid, to the nearest neighbour. */
V_INLINE void grid_round(grid_search *s, uint32_t groups, const grid_trial *t, const int lanes)
{
    const int first = t->first;
    const uint32_t valid = (uint32_t)((UINT64_C(1) << t->count) - 1);
    float scale[V_LANES];
    uint32_t place[V_LANES];

    v_store(scale, t->scale);
    for (int g = 0; g < s->groups; g++) {
        if (!(groups >> g & 1))
            continue;
        v_u32 at = grid_words(s, g, t->inverse, s->word[g] + first, lanes);
        uint32_t off = v_top_bits(at) & valid;
        s->off[g] = (s->off[g] & ~(valid << first)) | off << first;
        v_store_u32(place, at);
        for (; off; off &= off - 1) {
            int c = __builtin_ctz(off);
            grid_terms term;
            for (int i = 0; i < GRID_REGS; i++) {
                v_f32 level = v_load(grid_level[lanes == 4] + i * V_LANES);
                v_f32 e = v_sub(v_mul(v_set1(scale[c]), level), v_load(s->v[g] + i * V_LANES));
                term.row[i] = v_mul(v_mul(v_load(s->u[g] + i * V_LANES), e), e);
            }
            s->word[g][first + c] =
                grid_nearest(&term, lqi_near_list(s->fit->near, (int32_t)place[c]),
                             lqi_near_count((int32_t)place[c]), lanes);
        }
    }
}

/* Sums of w v q and w q^2 for V_LANES candidates. */
V_INLINE void grid_sums(grid_search *s, int first, const int lanes)
{
    v_f32 xq = v_set1(0), q2 = v_set1(0);
    grid_terms level;

    for (int i = 0; i < GRID_REGS; i++)
        level.row[i] = v_load(grid_level[lanes == 4] + i * V_LANES);
    grid_spread(&level, lanes);
    for (int g = 0; g < s->groups; g++) {
        v_u32 word = v_load_u16(s->word[g] + first);
        const float *w = s->fit->w + g * lanes, *wv = s->wv + g * lanes;
#pragma GCC unroll 8
        for (int k = 0; k < lanes; k++) {
            v_f32 q = grid_term(&level, word, k, lanes);
            xq = v_add(xq, v_mul(v_set1(wv[k]), q));
            q2 = v_add(q2, v_mul(v_mul(v_set1(w[k]), q), q));
        }
    }
    v_store(s->xq + first, xq);
    v_store(s->q2 + first, q2);
}

/* The candidate that wins, or -1; its scale, or the one from before. */
V_INLINE int grid_winner(const grid_search *s, int count, float *scale)
{
    float best = 0;
    int won = -1;

    for (int c = 0; c < count; c++)
        if (s->q2[c] > 0 && s->xq[c] * s->xq[c] > best * s->q2[c]) {
            *scale = s->xq[c] / s->q2[c];
            best = *scale * s->xq[c];
            won = c;
        }
    return won;
}

/* Words of the winner to candidate 0; the groups that are to be rounded once more. */
V_INLINE uint32_t grid_keep(grid_search *s, int won, const int lanes)
{
    const lqi_grid_rules *p = s->fit->rules;
    uint32_t off = 0, all = (1u << s->groups) - 1;

    for (int g = 0; g < s->groups; g++) {
        s->word[g][0] = won < 0 ? (lanes == 8 ? 0 : 0x8080) : s->word[g][won];
        off |= (won < 0 ? p->start_off != 0 : s->off[g] >> won & 1) << g;
    }
    return (off || p->repeat) && p->repeat_all ? all : off;
}

V_INLINE void grid_candidates(grid_search *s, const int lanes)
{
    const lqi_grid_rules *p = s->fit->rules;
    const int count = 2 * p->steps + 1;

    for (int i = 0; i < count; i += V_LANES) {
        v_f32 c = v_min(v_add(v_set1((float)(i - p->steps)), v_iota()), v_set1((float)p->steps));
        grid_trial t = { .first = i, .count = count - i < V_LANES ? count - i : V_LANES };
        t.inverse = v_div(v_add(v_set1(p->base), v_mul(c, v_set1(p->step))),
                          v_set1(s->fit->range));
        t.scale = v_div(v_set1(1), t.inverse);
        grid_round(s, UINT32_MAX, &t, lanes);
    }
    for (int i = 0; i < count; i += V_LANES)
        grid_sums(s, i, lanes);
}

V_INLINE int grid_fit(lqi_grid_fit *f, const int lanes)
{
    const lqi_grid_rules *p = f->rules;
    float scale = f->scale;
    grid_search s;

    if (!grid_open(&s, f, lanes) ||
        !(s.most * ((p->base + (float)p->steps * p->step) / f->range) < GRID_HUGE_CODE))
        return 1;
    grid_candidates(&s, lanes);
    uint32_t again = grid_keep(&s, grid_winner(&s, 2 * p->steps + 1, &scale), lanes);
    if (again && scale > 0) {
        const grid_trial t = { v_set1(1 / scale), v_set1(scale), 0, 1 };
        if (!(scale < GRID_HUGE && s.most * (1 / scale) < GRID_HUGE_CODE))
            return 1;
        grid_round(&s, again, &t, lanes);
        grid_sums(&s, 0, lanes);
        scale = s.q2[0] > 0 ? s.xq[0] / s.q2[0] : scale;
    }
    f->scale = scale;
    for (int g = 0; g < s.groups; g++)
        f->word[g] = s.word[g][0];
    return 0;
}

static int search_grid(lqi_grid_fit *f)
{
    return f->near->lanes == 8 ? grid_fit(f, 8) : grid_fit(f, 4);
}
