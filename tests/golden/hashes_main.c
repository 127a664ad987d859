/* SPDX-License-Identifier: MIT */
/*
 * tests/golden/hashes_main.c - one list of hashes that every machine must reproduce
 *
 *     hashes LIST            compare with the list, at every level this CPU has
 *     hashes --write LIST    write it
 *
 * FNV-1a of the encoded planes and of the decoded values, for every spec, on inputs made
 * by integer arithmetic; then of two plain products.  No test library, so that it runs under any emulator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libquant/libquant.h>

#define ROWS 130
#define COLS 768

static const char *const specs[] = {
    "f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k", "nf4:b64", "nf4:b64:dq", "nf4:g96:bf16",
    "fp4:b128", "fp4:b64:dq", "int4:g32:zp", "int4:g128", "int4:ch:zp", "int8:ch", "int8:g128",
    "int8:g64:zp", "llm_int8:ch", "fp8_e4m3:ch", "fp8_e4m3:t", "fp8_e4m3:128x128", "fp8_e5m2:ch",
    "nf4:g64:e8m0", "int8:g128:e4m3",
    "q4_1", "q5_0", "q5_1", "q8_1", "q2_k", "q3_k", "q5_k", "q8_k", "iq4_nl", "iq4_xs",
    "tq1_0", "tq2_0", "q1_0", "q2_0", "mxfp4_gguf", "nvfp4_gguf",
    "iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_ks",
    "int2:g32:zp", "int3:g128", "int5:g64:zp", "int6:ch", "int7:g32", "int2:g32:fz", "int4:g64:fz:f32",
    "int8:g128:fz:bf16", "ternary:t", "ternary:g64:f16", "mxfp8_e4m3", "mxfp8_e5m2:rceil",
    "mxfp6_e2m3:ceil", "mxfp6_e3m2:even", "mxfp4", "mxint8", "nvfp4", "nvfp4:gd",
};

#define LINES (2 * sizeof specs / sizeof *specs + 1)

static uint64_t fnv(uint64_t hash, const void *data, uint64_t bytes)
{
    const unsigned char *p = data;

    for (uint64_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* Little-endian bytes of f32 values, whatever the machine. */
static uint64_t fnv_floats(uint64_t hash, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], 4);
        unsigned char b[4] = { (unsigned char)bits, (unsigned char)(bits >> 8),
                               (unsigned char)(bits >> 16), (unsigned char)(bits >> 24) };
        hash = fnv(hash, b, 4);
    }
    return hash;
}

/* Weights with outliers, tiny values, zero runs and ties. */
static void fill(float *x, size_t n)
{
    uint64_t s = 42;

    for (size_t i = 0; i < n; i++) {
        s = s * 6364136223846793005u + 1442695040888963407u;
        int sum = (int)(s >> 48) + (int)(s >> 32 & 0xffff) - 65535;
        x[i] = (float)sum / 65536.0f;
        if (s >> 20 % 64 & 1 && i % 101 == 0)
            x[i] *= 30;
        if (i % 997 < 40)
            x[i] = 0;
        if (i % 37 == 5)
            x[i] = (float)(sum / 4096) / 16;
    }
}

static int hash_spec(lq_level level, const char *text, int use_imp, uint64_t hash[2])
{
    static float x[ROWS * COLS], y[ROWS * COLS], imp[COLS];
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_encode_opts enc = LQ_ENCODE_OPTS_INIT;
    lq_shape shape = { 1, ROWS, COLS };
    lq_spec spec = LQ_SPEC_INIT;
    lq_ctx *ctx = NULL;
    lq_tensor *t = NULL;

    fill(x, ROWS * COLS);
    for (int i = 0; i < COLS; i++)
        imp[i] = (float)(i * 7919 % 1009) / 64;
    enc.importance = use_imp ? imp : NULL;
    opts.level = level;
    opts.threads = 2;
    hash[0] = hash[1] = 0;
    if (lq_ctx_create(&opts, &ctx, NULL) || lq_spec_parse(text, &spec, NULL))
        return 0;
    lq_status status = lq_tensor_encode(ctx, &spec, &shape, LQ_F32, x, &enc, &t, NULL);
    if (status == LQ_ERR_ARG && !use_imp) {   /* cannot do without importances */
        lq_ctx_destroy(ctx);
        return 1;
    }
    if (status || lq_tensor_decode(t, LQ_F32, y))
        return 0;
    hash[0] = hash[1] = 0xcbf29ce484222325u;
    for (int p = 0; p < LQ_PLANES; p++) {
        uint64_t bytes = 0;
        const void *data = lq_tensor_plane(t, p, &bytes);
        hash[0] = fnv(hash[0], data, bytes);
    }
    hash[1] = fnv_floats(hash[1], y, ROWS * COLS);
    lq_tensor_destroy(t);
    lq_ctx_destroy(ctx);
    return 1;
}

/* "SPEC imatrix encoded decoded" */
static int line_for(lq_level level, size_t i, int imp, char *line, size_t capacity)
{
    uint64_t hash[2];

    if (!hash_spec(level, specs[i], imp, hash))
        return 0;
    snprintf(line, capacity, "%s %s %016llx %016llx\n", specs[i], imp ? "imatrix" : "-",
             (unsigned long long)hash[0], (unsigned long long)hash[1]);
    return 1;
}

/* "gemm - X'X XX'", the second of which is scaled and added to the first */
static int gemm_line(lq_level level, char *line, size_t capacity)
{
    static float x[ROWS * COLS], y[COLS * COLS];
    lq_gemm_args g = LQ_GEMM_ARGS_INIT;
    lq_ctx_opts opts = LQ_CTX_OPTS_INIT;
    lq_ctx *ctx = NULL;
    uint64_t hash[2] = { 0xcbf29ce484222325u, 0xcbf29ce484222325u };

    fill(x, ROWS * COLS);
    opts.level = level;
    opts.threads = 2;
    g.a = g.b = x;
    g.c = y;
    g.m = g.n = COLS;
    g.k = ROWS;
    g.trans_a = 1;
    if (lq_ctx_create(&opts, &ctx, NULL) || lq_gemm(ctx, &g))
        return 0;
    hash[0] = fnv_floats(hash[0], y, COLS * COLS);
    g.m = g.n = ROWS;
    g.k = COLS;
    g.trans_a = 0;
    g.trans_b = g.accumulate = 1;
    g.alpha = 0.1f;
    if (lq_gemm(ctx, &g))
        return 0;
    hash[1] = fnv_floats(hash[1], y, ROWS * ROWS);
    lq_ctx_destroy(ctx);
    snprintf(line, capacity, "gemm - %016llx %016llx\n", (unsigned long long)hash[0],
             (unsigned long long)hash[1]);
    return 1;
}

/* Line i of the list. */
static int any_line(lq_level level, size_t i, char *line, size_t capacity)
{
    return i == LINES - 1 ? gemm_line(level, line, capacity)
                          : line_for(level, i / 2, i & 1, line, capacity);
}

static int write_list(const char *path)
{
    FILE *f = fopen(path, "w");
    char line[128];

    for (size_t i = 0; f && i < LINES; i++)
        if (!any_line(LQ_LEVEL_REF, i, line, sizeof line) || fputs(line, f) < 0)
            return 1;
    return !f || fclose(f);
}

static int compare_list(const char *path, lq_level level)
{
    FILE *f = fopen(path, "r");
    char line[128], want[128];
    int bad = 0;

    for (size_t i = 0; f && i < LINES; i++) {
        if (!fgets(want, sizeof want, f) || !any_line(level, i, line, sizeof line) ||
            strcmp(line, want)) {
            printf("level %s: got %s, want %s", lq_level_name(level), line, want);
            bad = 1;
        }
    }
    if (!f || fgets(want, sizeof want, f))
        bad = 1;   /* no list, or a longer one */
    if (f)
        fclose(f);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0, levels = 0;

    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_list(argv[2]);
    for (lq_level level = 1; argc == 2 && level < 64; level++) {
        if (!lq_level_name(level) || !lq_level_available(level))
            continue;
        bad |= compare_list(argv[1], level);
        levels++;
    }
    printf("%d levels, %s\n", levels, bad ? "different" : "all equal");
    return bad || levels == 0;
}
