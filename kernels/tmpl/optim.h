/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/optim.h - steps of optimizers, state of f32 or of 8 bits
 *
 * A rule computes V_LANES numbers.  Each array is read and written once: of an 8-bit state a
 * block is decoded, stepped into L1 and encoded with its new scale.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

typedef struct step_terms {
    v_f32 beta1, rest1, beta2, rest2, rate, eps, keep, coupled, scale;
} step_terms;

V_INLINE step_terms load_terms(const lqi_step *s)
{
    return (step_terms){ v_set1(s->beta[0]), v_set1(s->rest[0]), v_set1(s->beta[1]),
                         v_set1(s->rest[1]), v_set1(-s->rate), v_set1(s->eps),
                         v_set1(s->keep), v_set1(s->coupled), v_set1(s->scale) };
}

/* ------------------------------------------------------------------- rules */

/* g is what stands in the array.  A rule without v does not touch it. */
typedef void step_rule(const step_terms *t, v_f32 *p, v_f32 g, v_f32 *m, v_f32 *v);

/* What is new where 'size' is finite. */
V_INLINE void keep_finite(v_f32 size, v_f32 *old, v_f32 new)
{
    *old = v_select(v_lt(size, v_set1(INFINITY)), new, *old);
}

V_INLINE v_f32 gradient(const step_terms *t, v_f32 p, v_f32 g)
{
    return v_fma(p, t->coupled, v_mul(g, t->scale));
}

V_INLINE void adam_rule(const step_terms *t, v_f32 *p, v_f32 g, v_f32 *m, v_f32 *v)
{
    v_f32 m1, v1, change;

    g = gradient(t, *p, g);
    m1 = v_fma(*m, t->beta1, v_mul(g, t->rest1));
    v1 = v_fma(*v, t->beta2, v_mul(v_mul(g, t->rest2), g));
    change = v_div(m1, v_add(v_sqrt(v1), t->eps));
    keep_finite(v1, p, v_fma(change, t->rate, v_mul(*p, t->keep)));
    keep_finite(v1, m, m1);
    keep_finite(v1, v, v1);
}

V_INLINE void lion_rule(const step_terms *t, v_f32 *p, v_f32 g, v_f32 *m, v_f32 *v)
{
    const v_f32 zero = v_set1(0);
    v_f32 way, m1, change;

    (void)v;
    g = gradient(t, *p, g);
    way = v_fma(*m, t->beta1, v_mul(g, t->rest1));
    m1 = v_fma(*m, t->beta2, v_mul(g, t->rest2));
    change = v_select(v_lt(zero, way), t->rate,
                      v_select(v_lt(way, zero), v_neg(t->rate), zero));
    keep_finite(v_abs(m1), p, v_add(v_mul(*p, t->keep), change));
    keep_finite(v_abs(m1), m, m1);
}

V_INLINE void sgd_rule(const step_terms *t, v_f32 *p, v_f32 g, v_f32 *m, v_f32 *v)
{
    v_f32 m1;

    (void)v;
    g = gradient(t, *p, g);
    m1 = v_fma(*m, t->beta1, g);
    keep_finite(v_abs(m1), p, v_fma(m1, t->rate, v_mul(*p, t->keep)));
    keep_finite(v_abs(m1), m, m1);
}

/* ------------------------------------------------------------ state of f32 */

V_INLINE void step_vectors(const lqi_step *s, size_t n, step_rule *rule, const int states)
{
    const step_terms t = load_terms(s);
    float *m = s->state[0], *v = s->state[1];

    for (size_t i = 0; i < n; i += V_LANES) {
        v_f32 p = v_load(s->p + i), a = v_load(m + i);
        v_f32 b = states > 1 ? v_load(v + i) : v_set1(0);

        rule(&t, &p, v_load(s->g + i), &a, &b);
        v_store(s->p + i, p);
        v_store(m + i, a);
        if (states > 1)
            v_store(v + i, b);
    }
}

V_INLINE void step_f32(const lqi_step *s, step_rule *rule, const int states)
{
    size_t whole = s->n / V_LANES * V_LANES, rest = (s->n - whole) * sizeof(float);
    float part[4][V_LANES] = { { 0 } };
    float *array[4] = { s->p, s->state[0], s->state[1], NULL };
    lqi_step last = *s;

    step_vectors(s, whole, rule, states);
    if (rest == 0)
        return;
    last.p = part[0];
    last.state[0] = part[1];
    last.state[1] = part[2];
    last.g = memcpy(part[3], s->g + whole, rest);
    for (int i = 0; i <= states; i++)
        memcpy(part[i], array[i] + whole, rest);
    step_vectors(&last, V_LANES, rule, states);
    for (int i = 0; i <= states; i++)
        memcpy(array[i] + whole, part[i], rest);
}

/* --------------------------------------------------------- state of 8 bits */

/* Numbers of a block, whose largest magnitude is in 'most', to codes.  Scales so small that
 * they have no reciprocal are enlarged first, and so are the numbers. */
V_INLINE void encode_state(const lqi_map8 *map, const float *x, v_f32 most, uint8_t *codes,
                           float *absmax)
{
    const bin_terms b = bins_load(&map->bins);
    float largest = v_max_all(most), enlarge = largest < 0x1p-100f ? 0x1p+100f : 1.0f;
    v_f32 factor = v_set1(enlarge), inverse = v_set1(0);

    if (largest > 0)
        inverse = v_set1(1.0f / (largest * enlarge));
    for (size_t i = 0; i < LQI_STATE_BLOCK; i += 4 * V_LANES) {
        v_u32 code[4];

        for (int k = 0; k < 4; k++)
            code[k] = bins_code(&b, v_mul(v_mul(v_load(x + i + k * V_LANES), factor), inverse));
        v_store_bytes4(codes + i, code);
    }
    *absmax = largest;
}

/* Block 'index', whose numbers and codes begin at s->p... */
V_INLINE void step_block(const lqi_step *s, const step_terms *t, step_rule *rule,
                         const int states)
{
    _Alignas(LQI_ALIGN) float x[2][LQI_STATE_BLOCK];
    const v_f32 scale1 = v_set1(*s->absmax[0]);
    const v_f32 scale2 = v_set1(states > 1 ? *s->absmax[1] : 0);
    v_f32 most1 = v_set1(0), most2 = v_set1(0);
    uint8_t *code1 = s->state[0], *code2 = s->state[1];

    for (size_t i = 0; i < LQI_STATE_BLOCK; i += 4 * V_LANES) {
        v_f32 m[4], v[4];

        v_map8_load4(s->map[0], code1 + i, m);
        if (states > 1)
            v_map8_load4(s->map[1], code2 + i, v);
        for (int k = 0; k < 4; k++) {
            size_t at = i + k * V_LANES;
            v_f32 p = v_load(s->p + at), a = v_mul(m[k], scale1);
            v_f32 b = states > 1 ? v_mul(v[k], scale2) : v_set1(0);

            rule(t, &p, v_load(s->g + at), &a, &b);
            v_store(s->p + at, p);
            v_store(x[0] + at, a);
            most1 = v_max(v_abs(a), most1);
            if (states > 1) {
                v_store(x[1] + at, b);
                most2 = v_max(b, most2);
            }
        }
    }
    encode_state(s->map[0], x[0], most1, code1, s->absmax[0]);
    if (states > 1)
        encode_state(s->map[1], x[1], most2, code2, s->absmax[1]);
}

/* A last block that is short, filled up with zeros. */
V_INLINE void step_short_block(const lqi_step *s, const step_terms *t, step_rule *rule,
                               const int states)
{
    float p[LQI_STATE_BLOCK] = { 0 }, g[LQI_STATE_BLOCK] = { 0 };
    uint8_t codes[2][LQI_STATE_BLOCK];
    lqi_step block = *s;

    block.p = memcpy(p, s->p, s->n * sizeof *p);
    block.g = memcpy(g, s->g, s->n * sizeof *g);
    for (int i = 0; i < states; i++) {
        memset(codes[i], s->map[i]->zero, sizeof codes[i]);
        block.state[i] = memcpy(codes[i], s->state[i], s->n);
    }
    step_block(&block, t, rule, states);
    memcpy(s->p, p, s->n * sizeof *p);
    for (int i = 0; i < states; i++)
        memcpy(s->state[i], codes[i], s->n);
}

V_INLINE void step_8bit(const lqi_step *s, step_rule *rule, const int states)
{
    const step_terms t = load_terms(s);
    lqi_step block = *s;

    for (; block.n >= LQI_STATE_BLOCK; block.n -= LQI_STATE_BLOCK) {
        step_block(&block, &t, rule, states);
        block.p += LQI_STATE_BLOCK;
        block.g += LQI_STATE_BLOCK;
        for (int i = 0; i < states; i++) {
            block.state[i] = (uint8_t *)block.state[i] + LQI_STATE_BLOCK;
            block.absmax[i]++;
        }
    }
    if (block.n)
        step_short_block(&block, &t, rule, states);
}

/* ------------------------------------------------------------------- slots */

#define STEP(name, bits, states) \
    static void name##_##bits(const lqi_step *s) { step_##bits(s, name##_rule, states); }
STEP(adam, f32, 2)
STEP(adam, 8bit, 2)
STEP(lion, f32, 1)
STEP(lion, 8bit, 1)
STEP(sgd, f32, 1)
STEP(sgd, 8bit, 1)

static void fill_steps(lqi_kernels *k)
{
    k->step[LQI_STEP_ADAM][0] = adam_f32;
    k->step[LQI_STEP_ADAM][1] = adam_8bit;
    k->step[LQI_STEP_LION][0] = lion_f32;
    k->step[LQI_STEP_LION][1] = lion_8bit;
    k->step[LQI_STEP_SGD][0] = sgd_f32;
    k->step[LQI_STEP_SGD][1] = sgd_8bit;
}
