/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/roof.c - reading and multiplying as fast as the machine can
 *
 * The loops are assembly: a compiler would leave out what nobody needs.  Twelve sums that
 * do not wait for each other cover the latency of two units.
 */
#include "roof.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

/* ------------------------------------------------------------------- memory */

int roof_reserve(roof *r, uint64_t bytes)
{
    if (r->memory && bytes <= r->bytes)
        return 1;
    roof_close(r);
    if (bytes > SIZE_MAX / 2)
        return 0;
    void *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 0;
    r->memory = memory;
    r->bytes = (size_t)bytes;
    memset(memory, 1, r->bytes);
    return 1;
}

void roof_close(roof *r)
{
    if (r->memory)
        munmap(r->memory, r->bytes);
    r->memory = NULL;
    r->bytes = 0;
}

/* ------------------------------------------------------------------ together */

/* Threads that begin at the same moment. */
typedef struct crew {
    const roof *roof;
    void      (*work)(const roof *r, unsigned index, int what);
    int         what;
    atomic_uint ready;
    atomic_int  go;         /* 1: begin, -1: go home */
} crew;

typedef struct member {
    crew     *crew;
    unsigned  index;
    pthread_t thread;
    double    begin, end;
} member;

static void *take_part(void *arg)
{
    member *m = arg;
    crew *c = m->crew;
    int go;

    atomic_fetch_add(&c->ready, 1);
    while ((go = atomic_load(&c->go)) == 0)
        sched_yield();
    m->begin = seconds_now();
    if (go > 0)
        c->work(c->roof, m->index, c->what);
    m->end = seconds_now();
    return NULL;
}

/* A processor of its own, not ours: left alone, new threads now and then share one for
 * longer than a measurement takes. */
static void settle(pthread_t thread, unsigned index)
{
#if defined(__linux__)
    int here = sched_getcpu();
    cpu_set_t allowed, one;

    if (sched_getaffinity(0, sizeof allowed, &allowed))
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || cpu == here || --index)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(thread, sizeof one, &one);
        return;
    }
#else
    (void)thread;
    (void)index;
#endif
}

#define MEMBERS_MAX 1024

/* Seconds from the first beginning to the last end; 0: threads are missing. */
static double together(const roof *r, void (*work)(const roof *r, unsigned index, int what),
                       int what)
{
    member members[MEMBERS_MAX] = { { NULL, 0, 0, 0, 0 } };
    crew c = { .roof = r, .work = work, .what = what };
    unsigned count = 1;

    members[0].crew = &c;
    while (count < r->threads && count < MEMBERS_MAX) {
        members[count].crew = &c;
        members[count].index = count;
        if (pthread_create(&members[count].thread, NULL, take_part, &members[count]))
            break;
        settle(members[count].thread, count);
        count++;
    }
    while (atomic_load(&c.ready) + 1 < count)
        sched_yield();
    atomic_store(&c.go, count == r->threads ? 1 : -1);
    take_part(&members[0]);
    double begin = members[0].begin, end = members[0].end;
    for (unsigned i = 1; i < count; i++) {
        pthread_join(members[i].thread, NULL);
        begin = members[i].begin < begin ? members[i].begin : begin;
        end = members[i].end > end ? members[i].end : end;
    }
    return count == r->threads ? end - begin : 0;
}

/* --------------------------------------------------------------------- loops */

static const float ones[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };

/* One turn of a loop of products: how many operations. */
typedef struct engine {
    void   (*run)(uint64_t turns);
    uint64_t turns;
    double   operations;
} engine;

#if defined(__x86_64__) && defined(__GNUC__)

#define CLOBBERS "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", \
    "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define TWELVE(op) op("0") op("1") op("2") op("3") op("4") op("5") op("6") op("7") op("8") \
    op("9") op("10") op("11")
#define CLEAR(i) "vpxor %%xmm" i ", %%xmm" i ", %%xmm" i "\n\t"


/* n bytes, a multiple of 512, eight loads a turn. */
#define LOAD(xor, reg, size, i) \
    xor " " i "*" size "(%0), %%" reg i ", %%" reg i "\n\t"
#define READ(name, xor, reg, size) \
    static void name(const uint8_t *p, size_t n) \
    { \
        __asm__ volatile( \
            TWELVE(CLEAR) \
            "1:\n\t" \
            LOAD(xor, reg, size, "0") LOAD(xor, reg, size, "1") LOAD(xor, reg, size, "2") \
            LOAD(xor, reg, size, "3") LOAD(xor, reg, size, "4") LOAD(xor, reg, size, "5") \
            LOAD(xor, reg, size, "6") LOAD(xor, reg, size, "7") \
            "add $8*" size ", %0\n\t" \
            "sub $8*" size ", %1\n\t" \
            "ja 1b\n\t" \
            "vzeroupper" \
            : "+r"(p), "+r"(n) : : CLOBBERS); \
    }
READ(read_256, "vpxor", "ymm", "32")
READ(read_512, "vpxord", "zmm", "64")

#define PRODUCTS(name, op, reg) \
    static void name(uint64_t turns) \
    { \
        __asm__ volatile( \
            TWELVE(CLEAR) \
            "vmovups (%1), %%" reg "14\n\t" \
            "vmovups (%1), %%" reg "15\n\t" \
            "1:\n\t" \
            TWELVE(op) \
            "dec %0\n\t" \
            "jnz 1b\n\t" \
            "vzeroupper" \
            : "+r"(turns) : "r"(ones) : CLOBBERS); \
    }
#define VNNI_512(i) "vpdpbusd %%zmm14, %%zmm15, %%zmm" i "\n\t"
#define VNNI_256(i) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" i "\n\t"
#define MADD_256(i) \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm12\n\t" \
    "vpmaddwd %%ymm12, %%ymm15, %%ymm12\n\t" \
    "vpaddd %%ymm12, %%ymm" i ", %%ymm" i "\n\t"
#define BF16_512(i) "vdpbf16ps %%zmm14, %%zmm15, %%zmm" i "\n\t"
#define FMA_512(i) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" i "\n\t"
#define FMA_256(i) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" i "\n\t"
PRODUCTS(vnni_512, VNNI_512, "zmm")
PRODUCTS(vnni_256, VNNI_256, "ymm")
PRODUCTS(madd_256, MADD_256, "ymm")
PRODUCTS(bf16_512, BF16_512, "zmm")
PRODUCTS(fma_512, FMA_512, "zmm")
PRODUCTS(fma_256, FMA_256, "ymm")

#define TURNS (1u << 19)

static const engine *fast_engine(lq_level level, int kind)
{
    static const engine avx512[PEAKS] = { { vnni_512, TURNS, 12 * 128 },
                                          { bf16_512, TURNS, 12 * 64 },
                                          { fma_512, TURNS, 12 * 32 } };
    static const engine avx2[PEAKS] = { { madd_256, TURNS, 12 * 64 }, { NULL, 0, 0 },
                                        { fma_256, TURNS, 12 * 16 } };
    static const engine avx2_vnni = { vnni_256, TURNS, 12 * 64 };

    if (kind == PEAK_BF16 && level != LQ_LEVEL_AVX512_BF16)
        kind = PEAK_F32;
    if (level == LQ_LEVEL_AVX512_VNNI || level == LQ_LEVEL_AVX512_BF16)
        return &avx512[kind];
    if (level == LQ_LEVEL_AVX2_VNNI && kind == PEAK_INT8)
        return &avx2_vnni;
    return level == LQ_LEVEL_AVX2 || level == LQ_LEVEL_AVX2_VNNI ? &avx2[kind] : NULL;
}

static void (*reader(int way))(const uint8_t *p, size_t n)
{
    if (way == READ_512)
        return __builtin_cpu_supports("avx512f") ? read_512 : NULL;
    return __builtin_cpu_supports("avx2") ? read_256 : NULL;
}

#else

static const engine *fast_engine(lq_level level, int kind)
{
    (void)level;
    (void)kind;
    return NULL;
}

static void (*reader(int way))(const uint8_t *p, size_t n)
{
    (void)way;
    return NULL;
}

#endif

/* ------------------------------------------------------------------- plain C */

static volatile uint64_t kept;   /* so that nothing can be left out */

static void read_plain(const uint8_t *p, size_t n)
{
    uint64_t sum[8] = { 0 }, word[8];

    for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
        memcpy(word, p, sizeof word);
        for (int i = 0; i < 8; i++)
            sum[i] += word[i];
    }
    for (int i = 0; i < 8; i++)
        kept += sum[i];
}

#define PLAIN 64

static void int8_plain(uint64_t turns)
{
    int32_t sum[PLAIN] = { 0 };

    for (; turns; turns--) {
        int8_t w = (int8_t)turns;
        for (int i = 0; i < PLAIN; i++)
            sum[i] += w * (int8_t)(turns >> i % 8);
    }
    for (int i = 0; i < PLAIN; i++)
        kept += (uint64_t)sum[i];
}

static void f32_plain(uint64_t turns)
{
    float sum[PLAIN] = { 0 };

    for (; turns; turns--) {
        float w = (float)(int32_t)turns;
        for (int i = 0; i < PLAIN; i++)
            sum[i] += w * ones[i % 16];
    }
    for (int i = 0; i < PLAIN; i++)
        kept += (uint64_t)sum[i];
}

/* ---------------------------------------------------------------- measurements */

static void read_share(const roof *r, unsigned index, int way)
{
    void (*read)(const uint8_t *p, size_t n) = reader(way);
    size_t each = r->bytes / r->threads / 512 * 512;

    (read ? read : read_plain)(r->memory + index * each, each);
}

double roof_read(const roof *r, int way)
{
    size_t each = r->bytes / r->threads / 512 * 512;

    if (each == 0 || (way != READ_256 && !reader(way)))
        return 0;
    double seconds = together(r, read_share, way);
    return seconds > 0 ? (double)each * r->threads / seconds : 0;
}

static const engine *engine_of(lq_level level, int kind)
{
    static const engine int8 = { int8_plain, 1u << 16, 2 * PLAIN },
                        f32 = { f32_plain, 1u << 16, 2 * PLAIN };
    const engine *fast = fast_engine(level, kind);

    return fast ? fast : kind == PEAK_INT8 ? &int8 : &f32;
}

static void multiply(const roof *r, unsigned index, int kind)
{
    const engine *e = engine_of(r->level, kind);

    (void)index;
    e->run(e->turns);
}

double roof_peak(const roof *r, int kind)
{
    const engine *e = engine_of(r->level, kind);
    double seconds = together(r, multiply, kind);

    return seconds > 0 ? (double)e->turns * e->operations * r->threads / seconds : 0;
}
