/* SPDX-License-Identifier: MIT */
/*
 * kernels/cpu.c - which levels this build has and this CPU can run
 */
#include "kernels/kernels.h"

#if defined(__x86_64__) && (LQI_BUILD_AVX2 || LQI_BUILD_AVX512)

#include <cpuid.h>

/* XCR0: which register state the operating system saves. */
static uint64_t saved_state(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static int bits_set(uint64_t value, uint64_t bits)
{
    return (value & bits) == bits;
}

static lq_level detect(void)
{
    uint32_t a, b1, c1, d, b7, c7, d7, e7 = 0, b, c;
    const uint32_t fma = 1u << 12, osxsave = 1u << 27, f16c = 1u << 29;
    const uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    const uint32_t vbmi = 1u << 1, vnni = 1u << 11;

    if (!__get_cpuid(1, &a, &b1, &c1, &d) || !bits_set(c1, fma | osxsave | f16c) ||
        !bits_set(saved_state(), 6) || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) ||
        !bits_set(b7, 1u << 5))
        return LQ_LEVEL_REF;
    if (a >= 1)
        __get_cpuid_count(7, 1, &e7, &b, &c, &d);
    if (bits_set(b7, f | dq | bw | vl) && bits_set(c7, vbmi | vnni) &&
        bits_set(saved_state(), 0xe6))
        return e7 & (1u << 5) ? LQ_LEVEL_AVX512_BF16 : LQ_LEVEL_AVX512_VNNI;
    return e7 & (1u << 4) ? LQ_LEVEL_AVX2_VNNI : LQ_LEVEL_AVX2;
}

#elif defined(__aarch64__) && LQI_BUILD_NEON

#if defined(__linux__)
#include <sys/auxv.h>
#endif

/* Every such CPU has NEON; Linux says what else it has, in these bits. */
static lq_level detect(void)
{
#if defined(__linux__)
    const unsigned long dotprod = 1ul << 20, i8mm = 1ul << 13;

    if (getauxval(AT_HWCAP) & dotprod)
        return getauxval(AT_HWCAP2) & i8mm ? LQ_LEVEL_NEON_I8MM : LQ_LEVEL_NEON_DOTPROD;
#endif
    return LQ_LEVEL_NEON;
}

#else

static lq_level detect(void)
{
    return LQ_LEVEL_REF;
}

#endif

/* Levels of one kind of CPU are cumulative, so the build only decides where the ladder ends. */
static lq_level top_of_build(void)
{
#if LQI_BUILD_NEON
    return LQI_BUILD_NEON_I8MM ? LQ_LEVEL_NEON_I8MM :
           LQI_BUILD_NEON_DOTPROD ? LQ_LEVEL_NEON_DOTPROD : LQ_LEVEL_NEON;
#else
    return LQI_BUILD_AVX512 ? LQ_LEVEL_AVX512_BF16 : LQ_LEVEL_AVX2_VNNI;
#endif
}

lq_level lqi_level_best(void)
{
    lq_level level = detect();

    return level < top_of_build() ? level : top_of_build();
}

int lqi_level_usable(lq_level level)
{
    lq_level best = lqi_level_best();

    if (!lq_level_name(level))
        return 0;
    return level == LQ_LEVEL_REF ||
           (level <= best && (level >= LQ_LEVEL_NEON) == (best >= LQ_LEVEL_NEON));
}

/* ------------------------------------------------------------------- names */

static const struct level_line {
    lq_level    level;
    const char *name;
} level_lines[] = {
    { LQ_LEVEL_REF, "ref" },
    { LQ_LEVEL_AVX2, "avx2" },
    { LQ_LEVEL_AVX2_VNNI, "avx2-vnni" },
    { LQ_LEVEL_AVX512_VNNI, "avx512-vnni" },
    { LQ_LEVEL_AVX512_BF16, "avx512-bf16" },
    { LQ_LEVEL_NEON, "neon" },
    { LQ_LEVEL_NEON_DOTPROD, "neon-dotprod" },
    { LQ_LEVEL_NEON_I8MM, "neon-i8mm" },
};

const char *lq_level_name(lq_level level)
{
    for (size_t i = 0; i < sizeof level_lines / sizeof *level_lines; i++)
        if (level_lines[i].level == level)
            return level_lines[i].name;
    return NULL;
}

lq_status lq_level_find(const char *name, lq_level *level)
{
    if (!name || !level)
        return LQ_ERR_ARG;
    for (size_t i = 0; i < sizeof level_lines / sizeof *level_lines; i++) {
        if (strcmp(level_lines[i].name, name) == 0) {
            *level = level_lines[i].level;
            return LQ_OK;
        }
    }
    return LQ_ERR_NOTFOUND;
}

int lq_level_available(lq_level level)
{
    return level == LQ_LEVEL_BEST || lqi_level_usable(level);
}
